//! Messages: once everywhere, with the same ids, unchanged.

use dmuc::Input;
use dmuc::wire::Role;

use crate::scenes;
use crate::support::event::Crossing;
use crate::support::federation::Federation;
use crate::support::names::*;
use crate::support::net::Mode;
use crate::support::people::Denied;

fn coven_with(fields: &[(&str, &str)]) -> Federation {
    let mut fed = Federation::of(&[CHAT, ROOMS, CONF]);
    fed.distributed(COVEN, CRONE1, fields);
    fed.run();
    for (place, user) in [(FOO, CRONE1), (WITCH_PLACE, WITCH), (FAUST_PLACE, FAUST)] {
        fed.join(place, user);
        fed.run();
    }
    fed.forget();
    fed
}

fn coven() -> Federation {
    coven_with(&[])
}

#[test]
fn a_message_is_seen_once_by_everybody_and_crosses_once_per_instance() {
    let mut fed = coven();
    fed.say(WITCH_PLACE, "hail");
    fed.run();
    for place in [FOO, WITCH_PLACE, FAUST_PLACE] {
        assert_eq!(fed.heard(place), ["hail"], "{place}");
    }
    for peer in [CHAT, CONF] {
        assert_eq!(
            fed.crossed(ROOMS, peer),
            [Crossing::Message {
                payload: "<body>hail</body>".into()
            }]
        );
        assert!(
            fed.crossed(peer, ROOMS).is_empty(),
            "nothing is sent back from {peer}"
        );
    }
    assert!(fed.crossed(CHAT, CONF).is_empty(), "nothing is relayed");
}

#[test]
fn a_message_has_the_same_ids_live_and_in_every_history() {
    let mut fed = coven();
    let stanza_id = fed.say(WITCH_PLACE, "hail");
    fed.run();
    let at_home = fed.message(WITCH_PLACE, "hail");
    assert_eq!(at_home.stanza_id, Some(stanza_id));
    assert_eq!(at_home.message_id.as_deref(), Some("hail"));
    assert!(at_home.occupant_id.is_some());
    for place in [FOO, FAUST_PLACE] {
        assert_eq!(fed.message(place, "hail"), at_home, "{place}");
    }
    let history = fed.history(COVEN);
    assert_eq!(history[0].1.stanza_id, at_home.stanza_id);
    assert_eq!(history, fed.history(COVEN_AT_ROOMS));
    assert_eq!(history, fed.history(COVEN_AT_CONF));
}

#[test]
fn occupant_ids_are_the_same_on_every_instance() {
    let mut fed = coven();
    fed.say(FOO, "one");
    fed.say(WITCH_PLACE, "two");
    fed.run();
    for (text, user) in [("one", CRONE1), ("two", WITCH)] {
        let expected = fed
            .host(CHAT)
            .room(&bare(COVEN))
            .occupant_id(&full(user).to_bare());
        for place in [FOO, WITCH_PLACE, FAUST_PLACE] {
            assert_eq!(
                fed.message(place, text).occupant_id.as_ref(),
                Some(&expected),
                "{text} at {place}"
            );
        }
    }
}

#[test]
fn any_payload_arrives_unchanged() {
    let mut fed = coven();
    let payload = "<body>a &lt;b&gt; &amp; c</body><body xml:lang='de'>d</body>\
        <replace xmlns='urn:xmpp:message-correct:0' id='m1'/>\
        <encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'><key rid='2'>AA==</key></header></encrypted>\
        <x xmlns='urn:example:unknown'><y>\u{1F9D9}</y></x>";
    fed.here(WITCH_PLACE, |host, room, nick| {
        host.say(room, nick, None, payload)
    });
    fed.run();
    let seen = fed.messages(FOO);
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].payload, payload);
    assert_eq!(seen[0].message_id, None);
}

#[test]
fn a_message_keeps_its_language_live_in_pages_and_in_stored_logs() {
    let mut fed = coven();
    fed.net.set_mode(&bare(CHAT), &bare(CONF), Mode::Bounces);
    fed.run_for(100_000);
    let say = |fed: &mut Federation, id: &str, lang: &str| {
        let (id, lang) = (id.to_owned(), lang.to_owned());
        fed.at(&bare(CHAT), |host| {
            let said = host.input(Input::Groupchat {
                room: &bare(COVEN),
                nick: "foo",
                message_id: Some(&id),
                lang: Some(&lang),
                payload: "<body>Salve</body>",
                keep: true,
            });
            said.unwrap();
            host.drain();
        });
    };
    let long = "x".repeat(65);
    for (id, lang) in [("m1", "la"), ("m2", &*long), ("m3", "")] {
        say(&mut fed, id, lang);
    }
    fed.run_for(1_000);
    fed.net.heal();
    fed.run();
    let langs = |fed: &Federation, service: &str, room: &str| -> Vec<(Option<String>, Option<String>)> {
        let (engine, room) = (&fed.host(service).engine, bare(room));
        let said = engine.messages(&room);
        said.map(|entry| (entry.message_id.clone(), entry.lang.as_deref().map(str::to_owned)))
            .collect()
    };
    let of = |id: &str, lang: Option<&str>| (Some(id.to_owned()), lang.map(str::to_owned));
    // An over-long one is none, and costs nothing else.
    let expected = [of("m1", Some("la")), of("m2", None), of("m3", None)];
    for (service, room) in [(CHAT, COVEN), (ROOMS, COVEN_AT_ROOMS), (CONF, COVEN_AT_CONF)] {
        assert_eq!(langs(&fed, service, room), expected, "{room}");
    }
    fed.restart(CONF);
    fed.run();
    assert_eq!(langs(&fed, CONF, COVEN_AT_CONF), expected);
}

#[test]
fn a_message_that_is_not_kept_is_sent_once_and_forgotten() {
    let mut fed = coven();
    let payload = "<composing xmlns='http://jabber.org/protocol/chatstates'/>";
    fed.here(WITCH_PLACE, |host, room, nick| {
        host.say(room, nick, None, payload)
    });
    fed.run();
    for place in [FOO, FAUST_PLACE, WITCH_PLACE] {
        let seen = fed.messages(place);
        assert_eq!(seen.len(), 1, "{place}");
        assert_eq!(seen[0].stanza_id, None);
    }
    assert!(fed.history(COVEN).is_empty() && fed.history(COVEN_AT_ROOMS).is_empty());
}

/// Modules here may think otherwise: what is in the history is the same everywhere.
#[test]
fn what_its_home_does_not_keep_is_kept_nowhere() {
    let mut fed = coven();
    fed.forget();
    let hail = "<message from='coven@chat.shakespeare.lit/foo' to='coven@rooms.macbeth.lit/foo' type='groupchat' id='h1'>\
                <body>hail</body></message>";
    fed.hand_in(&bare(ROOMS), hail);
    fed.run();
    let seen = fed.messages(WITCH_PLACE);
    assert_eq!((seen.len(), &seen[0].stanza_id), (1, &None));
    assert!(fed.history(COVEN_AT_ROOMS).is_empty());
}

/// Its presence is missing: whose nick it is by now is not known.
#[test]
fn what_is_not_kept_is_not_taken_for_somebody_elses_who_had_the_nick_before() {
    let mut fed = coven();
    fed.forget();
    fed.net.set_direction(&bare(ROOMS), &bare(CHAT), Mode::Swallows);
    fed.leave(WITCH_PLACE);
    fed.join(WITCH_PLACE, "secondwitch@macbeth.lit/x");
    fed.net.heal();
    fed.update(WITCH_PLACE, "<show>away</show>");
    let hum = "<hum xmlns='urn:example:hum'/>";
    fed.here(WITCH_PLACE, |host, room, nick| host.say(room, nick, None, hum));
    fed.run_for(1_000);
    assert!(fed.messages(FOO).is_empty());
    // It is known now.
    fed.here(WITCH_PLACE, |host, room, nick| host.say(room, nick, None, hum));
    fed.run();
    let (home, here) = (fed.messages(WITCH_PLACE), fed.messages(FOO));
    assert_eq!(here.len(), 1);
    assert_eq!(here[0].occupant_id, home[0].occupant_id);
}

#[test]
fn messages_of_one_sender_stay_in_order() {
    let mut fed = coven();
    let said: Vec<String> = (0..50).map(|number| format!("line {number}")).collect();
    for line in &said {
        fed.say(WITCH_PLACE, line);
        fed.run_for(7);
    }
    fed.run();
    assert_eq!(fed.heard(FOO), said);
    assert_eq!(fed.heard(FAUST_PLACE), said);
}

#[test]
fn crossing_messages_have_one_order_in_every_history() {
    let mut fed = coven();
    for number in 0..10 {
        for place in [FOO, WITCH_PLACE, FAUST_PLACE] {
            fed.say(place, &format!("{number} from {place}"));
        }
        fed.run_for(13);
    }
    fed.run();
    let history = fed.history(COVEN);
    assert_eq!(history.len(), 30);
    assert_eq!(history, fed.history(COVEN_AT_ROOMS));
    assert_eq!(history, fed.history(COVEN_AT_CONF));
}

#[test]
fn an_answer_comes_after_its_question_even_if_the_clock_there_is_behind() {
    let mut fed = coven();
    fed.skew_ms.insert(bare(CHAT), -120_000);
    fed.say(WITCH_PLACE, "question");
    fed.run();
    fed.say(FOO, "answer");
    fed.run();
    for room in [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF] {
        let texts: Vec<String> = fed.history(room).into_iter().map(|(text, _)| text).collect();
        assert_eq!(texts, ["question", "answer"], "{room}");
    }
}

#[test]
fn a_second_copy_is_dropped() {
    let mut fed = coven();
    fed.is_traced = true;
    fed.say(WITCH_PLACE, "hail");
    fed.run();
    let copy = fed.trace.iter().find_map(|line| {
        line.split_once(&format!("{CHAT} gets "))
            .map(|(_, xml)| xml.to_owned())
    });
    let copy = copy.unwrap();
    assert!(copy.contains("<body>hail</body>"));
    let before = format!("{:?}", fed.host(CHAT).engine);
    fed.hand_in(&bare(CHAT), &copy);
    fed.run();
    assert_eq!(fed.heard(FOO), ["hail"]);
    assert_eq!(fed.history(COVEN).len(), 1);
    assert_eq!(before, format!("{:?}", fed.host(CHAT).engine));
}

#[test]
fn visitors_may_not_speak_wherever_they_are() {
    let mut fed = coven_with(&[("muc#roomconfig_moderatedroom", "1")]);
    let denied = fed.at(&bare(ROOMS), |host| {
        host.say(&bare(COVEN_AT_ROOMS), "witch", None, "<body>x</body>")
    });
    assert_eq!(denied, Err(Denied::NotEntitled));
    // A home that lets a visitor speak all the same is refused.
    let xml =
        format!("<message from='{WITCH_PLACE}' to='{COVEN}/witch' type='groupchat'><body>x</body></message>");
    fed.hand_in(&bare(CHAT), &xml);
    fed.run();
    assert!(fed.heard(FOO).is_empty());
    assert_eq!(fed.host(CHAT).refused.len(), 1);
    assert!(fed.crossed(CHAT, ROOMS).contains(&Crossing::Error));
}

#[test]
fn who_is_given_voice_may_speak_everywhere() {
    let mut fed = coven_with(&[("muc#roomconfig_moderatedroom", "1")]);
    let wish = fed.here(FOO, |host, room, nick| {
        host.set_role(room, nick, "witch", Role::Participant, None)
    });
    assert!(matches!(wish, crate::support::moderate::Wish::Asked(_)));
    fed.run();
    fed.say(WITCH_PLACE, "at last");
    fed.run();
    assert_eq!(fed.heard(FAUST_PLACE), ["at last"]);
}

#[test]
fn a_message_larger_than_the_limit_is_refused_by_the_peer_only() {
    let mut fed = coven();
    let config = {
        let mut config = fed.host(CHAT).engine.config().clone();
        config.max_stanza_size = 2_000;
        config
    };
    fed.at(&bare(CHAT), |host| host.engine.set_config(host.now, config));
    fed.here(WITCH_PLACE, |host, room, nick| {
        host.say(room, nick, None, &message_body(&"x".repeat(3_000)))
    });
    fed.say(WITCH_PLACE, "short");
    fed.run();
    assert_eq!(fed.heard(FOO), ["short"]);
    assert_eq!(fed.heard(FAUST_PLACE).len(), 2);
    assert_eq!(fed.host(CHAT).refused.len(), 1);
}

#[test]
fn an_over_long_message_id_does_not_cost_the_message() {
    let mut fed = coven();
    let id = "i".repeat(3_000);
    fed.here(WITCH_PLACE, |host, room, nick| {
        host.say(room, nick, Some(&id), "<body>hail</body>")
    });
    fed.run();
    assert_eq!(fed.heard(FOO), ["hail"]);
    assert_eq!(
        fed.history(COVEN)[0].1.stanza_id,
        fed.history(COVEN_AT_ROOMS)[0].1.stanza_id
    );
}

#[test]
fn history_in_a_join_keeps_the_newest_in_order() {
    let mut fed = coven();
    for number in 0..30 {
        fed.say(WITCH_PLACE, &format!("{number}"));
    }
    fed.run();
    let late = "coven@conference.marlowe.lit/late";
    fed.join(late, "late@marlowe.lit/x");
    let expected: Vec<String> = (10..30).map(|number| format!("{number}")).collect();
    assert_eq!(fed.heard(late), expected);
}

#[test]
fn the_log_keeps_no_more_than_its_limit() {
    let mut fed = Federation::empty(1);
    for service in [CHAT, ROOMS] {
        let mut config = crate::support::federation::config_of(service, &[CHAT, ROOMS]);
        config.log_max_messages = 20;
        fed.add(config);
    }
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    fed.join(FOO, CRONE1);
    fed.run();
    for number in 0..50 {
        fed.say(FOO, &format!("{number}"));
    }
    fed.run();
    assert_eq!(fed.history(COVEN).len(), 20);
    assert_eq!(fed.history(COVEN), fed.history(COVEN_AT_ROOMS));
    assert_eq!(fed.history(COVEN)[0].0, "30");
}

/// Clients choose the ids of their messages, of any length: they are the same in every history (G5).
#[test]
fn the_longest_id_of_a_message_is_in_every_history() {
    let mut fed = scenes::shared(&[CHAT, ROOMS, CONF]);
    fed.join("coven@chat.shakespeare.lit/foo", CRONE1);
    fed.join(&format!("{COVEN_AT_ROOMS}/witch"), WITCH);
    fed.run();
    let long = "&'".repeat(5_000);
    fed.net.set_mode(&bare(CHAT), &bare(CONF), Mode::Bounces);
    fed.net.set_mode(&bare(ROOMS), &bare(CONF), Mode::Bounces);
    for room in [COVEN, COVEN_AT_ROOMS] {
        let (service, nick) = match room {
            COVEN => (CHAT, "foo"),
            _ => (ROOMS, "witch"),
        };
        fed.at(&bare(service), |host| {
            host.say(&bare(room), nick, Some(&long), "<body>hail</body>")
        })
        .unwrap_or_else(|_| panic!("{nick} may speak"));
    }
    fed.run_for(120_000);
    for link in [CHAT, ROOMS] {
        fed.net.set_mode(&bare(link), &bare(CONF), Mode::Up);
    }
    fed.run_for(120_000);
    fed.restart(CHAT);
    fed.restart(CONF);
    fed.run();
    for (service, room) in [(CHAT, COVEN), (ROOMS, COVEN_AT_ROOMS), (CONF, COVEN_AT_CONF)] {
        let room = bare(room);
        let entries = fed.host(service).shown_of(&room);
        let ids: Vec<_> = entries.map(|entry| entry.message_id).collect();
        assert_eq!(ids, [Some(long.clone()), Some(long.clone())], "{room}");
    }
}

/// Two presences are lost on the way, and with them that the nick is somebody else's by now (G5).
#[test]
fn what_is_said_under_a_nick_that_changed_hands_unseen_is_its_new_holders() {
    let mut fed = scenes::shared(&[CHAT, ROOMS]);
    fed.join("coven@chat.shakespeare.lit/foo", CRONE1);
    let place = "coven@rooms.macbeth.lit/witch";
    fed.join(place, WITCH);
    fed.run();
    let (home, source) = (bare(ROOMS), bare(CHAT));
    fed.net.set_direction(&home, &source, Mode::Swallows);
    fed.leave(place);
    fed.join(place, "lennox@macbeth.lit/hall");
    fed.net.set_direction(&home, &source, Mode::Up);
    fed.say(place, "words of lennox");
    fed.run();
    let heard = fed.message("coven@chat.shakespeare.lit/foo", "words of lennox");
    let lennox = fed
        .host(ROOMS)
        .room(&bare(COVEN_AT_ROOMS))
        .occupant_id(&bare("lennox@macbeth.lit"));
    assert_eq!(heard.occupant_id, Some(lennox));
}
