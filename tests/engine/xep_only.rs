//! A peer that speaks only the XEP's text: nothing of ours is sent to it (the model fails if it is), and its literal
//! stanzas, slips included, are taken.

use dmuc::engine::{LinkState, Order, Speaks};
use dmuc::wire::{Affiliation, Condition, IqBody, Role};

use crate::support::event::{Crossing, Seen};
use crate::support::federation::{Federation, config_of};
use crate::support::moderate::Wish;
use crate::support::names::*;
use crate::support::net::Mode;

/// Our source and one of our shadows; rooms.macbeth.lit knows the XEP's text.
fn coven() -> Federation {
    let services = [CHAT, ROOMS, CONF];
    let mut fed = Federation::empty(1);
    fed.add(config_of(CHAT, &services));
    fed.add(config_of(CONF, &services));
    fed.add_xep(ROOMS);
    fed.create(COVEN, CRONE1, &[]);
    fed.join(FOO, CRONE1);
    fed.say(FOO, "before");
    fed.set_subject(FOO, "Toil");
    fed.at(&bare(CHAT), |host| host.distribute(&bare(COVEN)));
    fed.run();
    fed.join(FAUST_PLACE, FAUST);
    fed.run();
    fed
}

fn join_xep(fed: &mut Federation) {
    fed.at_xep(ROOMS, |peer| {
        peer.join(&bare(COVEN_AT_ROOMS), "witch", &jid(WITCH))
    })
    .unwrap();
    fed.run();
}

#[test]
fn it_gets_configuration_roster_history_and_subject() {
    let fed = coven();
    let room = &fed.xep[&bare(ROOMS)].rooms[&bare(COVEN_AT_ROOMS)];
    assert!(room.has_config);
    assert_eq!(room.source, Some(bare(COVEN)));
    let history: Vec<&str> = room
        .history
        .iter()
        .map(|(_, _, payload, _)| payload.as_str())
        .collect();
    assert_eq!(history, ["<body>before</body>"]);
    assert_eq!(room.subject.as_deref(), Some("Toil"));
    assert_eq!(
        fed.roster(COVEN_AT_ROOMS),
        ["faust none participant", "foo owner moderator"]
    );
}

/// The other shadow cannot be told of it when it comes: the source makes up for that (XEP-0281 section 3.2).
#[test]
fn an_introduction_that_was_lost_is_made_up_for() {
    let services = [CHAT, ROOMS, CONF];
    let mut fed = Federation::empty(1);
    fed.add(config_of(CHAT, &services));
    fed.add(config_of(CONF, &services));
    fed.add_xep(ROOMS);
    fed.xep.get_mut(&bare(ROOMS)).unwrap().knows_peerhosts = true;
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Bounces);
    fed.create(COVEN, CRONE1, &[]);
    fed.join(FOO, CRONE1);
    fed.at(&bare(CHAT), |host| host.distribute(&bare(COVEN)));
    fed.run_for(60_000);
    fed.join(FAUST_PLACE, FAUST);
    fed.run_for(30_000);
    // The model learns of a shadow by its occupants, too.
    fed.leave(FAUST_PLACE);
    fed.run_for(30_000);
    fed.net.heal();
    fed.net.set_mode(&bare(CHAT), &bare(CONF), Mode::Bounces);
    fed.run_for(100_000);
    fed.net.heal();
    fed.run_for(100_000);
    fed.run();
    let known = &fed.xep[&bare(ROOMS)].rooms[&bare(COVEN_AT_ROOMS)].instances;
    assert!(known.contains(&bare(COVEN_AT_CONF)), "{known:?}");
    join_xep(&mut fed);
    let roster = ["foo owner moderator", "witch none participant"];
    for room in [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF] {
        assert_eq!(fed.roster(room), roster, "{room}");
    }
}

#[test]
fn its_occupants_are_seen_everywhere_and_it_sees_all() {
    let mut fed = coven();
    join_xep(&mut fed);
    let roster = [
        "faust none participant",
        "foo owner moderator",
        "witch none participant",
    ];
    for room in [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF] {
        assert_eq!(fed.roster(room), roster, "{room}");
    }
    fed.at_xep(ROOMS, |peer| peer.leave(&bare(COVEN_AT_ROOMS), "witch"));
    fed.leave(FAUST_PLACE);
    fed.run();
    for room in [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF] {
        assert_eq!(fed.roster(room), ["foo owner moderator"], "{room}");
    }
}

#[test]
fn messages_cross_once_both_ways_with_one_stanza_id_among_ours() {
    let mut fed = coven();
    join_xep(&mut fed);
    fed.forget();
    fed.at_xep(ROOMS, |peer| {
        peer.say(&bare(COVEN_AT_ROOMS), "witch", Some("m1"), "<body>hail</body>")
    });
    fed.run();
    fed.say(FOO, "answer");
    fed.run();
    for place in [FOO, FAUST_PLACE, "coven@rooms.macbeth.lit/witch"] {
        assert_eq!(fed.heard(place), ["hail", "answer"], "{place}");
    }
    assert_eq!(
        fed.crossed(CHAT, ROOMS),
        [Crossing::Message {
            payload: "<body>answer</body>".into()
        }]
    );
    let (here, there) = (fed.message(FOO, "hail"), fed.message(FAUST_PLACE, "hail"));
    assert!(here.stanza_id.is_some());
    assert_eq!(here, there);
}

#[test]
fn a_message_without_an_id_is_taken_too_and_repeated_ids_are_told_apart() {
    let mut fed = coven();
    join_xep(&mut fed);
    for (id, text) in [
        (None, "one"),
        (None, "two"),
        (Some("x"), "three"),
        (Some("x"), "four"),
    ] {
        fed.at_xep(ROOMS, |peer| {
            peer.say(&bare(COVEN_AT_ROOMS), "witch", id, &message_body(text))
        });
    }
    fed.run();
    assert_eq!(fed.heard(FOO)[1..], ["one", "two", "three", "four"]);
    let ids: std::collections::BTreeSet<_> = fed
        .messages(FOO)
        .into_iter()
        .map(|message| message.stanza_id)
        .collect();
    assert_eq!(ids.len(), 5);
    assert_eq!(
        fed.message(FOO, "four").stanza_id,
        fed.message(FAUST_PLACE, "four").stanza_id
    );
}

#[test]
fn a_second_copy_of_its_message_is_dropped() {
    let mut fed = coven();
    join_xep(&mut fed);
    fed.forget();
    let say = |fed: &mut Federation, nth: usize, text: &str| {
        for _ in 0..nth {
            fed.at_xep(ROOMS, |peer| {
                peer.say(&bare(COVEN_AT_ROOMS), "witch", Some("m1"), &message_body(text))
            });
        }
        fed.run();
    };
    say(&mut fed, 3, "hail");
    say(&mut fed, 2, "another");
    assert_eq!(fed.heard(FOO), ["hail", "another"]);
    assert_eq!(fed.heard(FAUST_PLACE), ["hail", "another"]);
    assert_eq!(fed.history(COVEN), fed.history(COVEN_AT_CONF));
    // Long afterwards it is said again.
    fed.run_for(600_000);
    say(&mut fed, 1, "hail");
    assert_eq!(fed.heard(FOO), ["hail", "another", "hail"]);
    assert_eq!(fed.history(COVEN), fed.history(COVEN_AT_CONF));
}

/// What comes over a dead connection after what was sent over the next has nothing to be told by: it is shown, and kept, as it
/// comes.
#[test]
fn words_that_come_out_of_turn_are_shown_as_they_come() {
    let mut fed = coven();
    join_xep(&mut fed);
    for text in ["later", "late"] {
        let message = format!(
            "<message from='{COVEN_AT_ROOMS}/witch' to='{COVEN}/witch' type='groupchat' id='{text}'><body>{text}</body></message>"
        );
        fed.hand_in(&bare(CHAT), &message);
    }
    let heard = fed.heard(FOO);
    assert!(
        heard.ends_with(&["later".to_owned(), "late".to_owned()]),
        "{heard:?}"
    );
    let history: Vec<String> = fed.history(COVEN).into_iter().map(|(text, _)| text).collect();
    assert!(
        history.ends_with(&["later".to_owned(), "late".to_owned()]),
        "{history:?}"
    );
}

#[test]
fn a_newcomer_gets_its_messages_from_the_source() {
    let mut fed = coven();
    join_xep(&mut fed);
    fed.at_xep(ROOMS, |peer| {
        peer.say(&bare(COVEN_AT_ROOMS), "witch", Some("m1"), "<body>hail</body>")
    });
    fed.run();
    let services = [CHAT, ROOMS, CONF, "d.example"];
    for service in [CHAT, CONF] {
        fed.at(&bare(service), |host| {
            host.engine.set_config(host.now, config_of(service, &services))
        });
    }
    fed.add(config_of("d.example", &services));
    fed.run();
    assert_eq!(fed.history("coven@d.example"), fed.history(COVEN));
}

#[test]
fn subjects_go_both_ways() {
    let mut fed = coven();
    join_xep(&mut fed);
    fed.configure(FOO, &[("muc#roomconfig_changesubject", "1")]);
    fed.run();
    fed.forget();
    let subject = "<message from='coven@rooms.macbeth.lit/witch' to='coven@chat.shakespeare.lit/witch' \
        type='groupchat'><subject>Trouble</subject></message>";
    fed.at_xep(ROOMS, |peer| peer.send(subject));
    fed.run();
    assert_eq!(fed.subject(COVEN), "Trouble");
    assert_eq!(fed.subject(COVEN_AT_CONF), "Trouble");
    assert!(
        !fed.crossed(CHAT, ROOMS)
            .iter()
            .any(|what| matches!(what, Crossing::Subject { .. })),
        "it showed it already"
    );
    fed.set_subject(FOO, "Toil again");
    fed.run();
    assert_eq!(
        fed.xep[&bare(ROOMS)].rooms[&bare(COVEN_AT_ROOMS)]
            .subject
            .as_deref(),
        Some("Toil again")
    );
}

#[test]
fn affiliations_reach_it_as_a_whole_roster() {
    let mut fed = coven();
    fed.forget();
    fed.affiliate(FOO, "hag66@shakespeare.lit", Affiliation::Member);
    fed.run();
    assert_eq!(fed.tally(CHAT, ROOMS)["roster"], 1);
    assert_eq!(
        fed.roster(COVEN_AT_ROOMS),
        ["faust none participant", "foo owner moderator"]
    );
}

#[test]
fn what_it_cannot_do_is_said() {
    let mut fed = coven();
    join_xep(&mut fed);
    let wish = fed.here(FOO, |host, room, nick| {
        host.set_role(room, nick, "witch", Role::Visitor, None)
    });
    let Wish::Asked(token) = wish else { panic!() };
    assert_eq!(fed.act_error(CHAT, token), Some(Condition::FeatureNotImplemented));
}

#[test]
fn a_kick_reaches_it_in_the_words_of_xep_0045() {
    let mut fed = coven();
    join_xep(&mut fed);
    fed.kick(FOO, "witch");
    fed.run();
    for room in [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF] {
        assert_eq!(
            fed.roster(room),
            ["faust none participant", "foo owner moderator"],
            "{room}"
        );
    }
}

#[test]
fn an_end_of_distribution_is_a_leave_of_everybody() {
    let mut fed = coven();
    join_xep(&mut fed);
    let session = fed.session("coven@rooms.macbeth.lit/witch");
    fed.forget();
    fed.at(&bare(CHAT), |host| host.undistribute(&bare(COVEN), None));
    fed.run();
    let gone: Vec<String> = fed
        .seen_by(COVEN_AT_ROOMS, session)
        .into_iter()
        .filter_map(|seen| match seen {
            Seen::Gone { nick, .. } => Some(nick),
            _ => None,
        })
        .collect();
    assert!(gone.contains(&"foo".to_owned()), "{gone:?}");
    assert_eq!(fed.roster(COVEN), ["foo owner moderator"]);
}

/// rooms.macbeth.lit is the firsthost and speaks the text; chat.shakespeare.lit is ours and hosts the shadow.
fn shadow_of_a_xep_source(replicate: &str) -> Federation {
    shadow_of_a_xep_source_with(replicate, "<body>before</body>")
}

/// The same where this was said before.
pub fn shadow_of_a_xep_source_with(replicate: &str, payload: &str) -> Federation {
    let mut fed = Federation::empty(1);
    fed.add(config_of(CHAT, &[CHAT, ROOMS]));
    fed.add_xep(ROOMS).create("heath@rooms.macbeth.lit", "theroom");
    fed.at_xep(ROOMS, |peer| {
        peer.join(
            &bare("heath@rooms.macbeth.lit"),
            "hecate",
            &jid("hecate@macbeth.lit/moon"),
        );
        peer.say(&bare("heath@rooms.macbeth.lit"), "hecate", Some("m0"), payload);
        peer.send(replicate);
    });
    fed.run();
    fed.at_xep(ROOMS, |peer| {
        peer.rooms.get_mut(&bare("heath@rooms.macbeth.lit")).unwrap().instances.insert(bare("theroom@chat.shakespeare.lit"));
        peer.send(
            "<iq from='heath@rooms.macbeth.lit' id='config1' to='theroom@chat.shakespeare.lit' type='set'>\
             <config xmlns='urn:xmpp:dmuc:0'><x xmlns='jabber:x:data' type='form'><field type='hidden' var='FORM_TYPE'>\
             <value>http://jabber.org/protocol/muc#roomconfig</value></field><field var='muc#roomconfig_roomname'>\
             <value>A Lonely Heath</value></field></x></config></iq>",
        );
        peer.send(
            "<iq from='heath@rooms.macbeth.lit' id='roster1' to='theroom@chat.shakespeare.lit' type='set'>\
             <roster xmlns='urn:xmpp:dmuc:0'><item affiliation='owner' jid='hecate@macbeth.lit/moon' name='hecate'/>\
             <item affiliation='none' jid='hag66@shakespeare.lit/pda' name='baz'/></roster></iq>",
        );
    });
    fed.run();
    fed
}

pub const LITERAL: &str = "<iq from='rooms.macbeth.lit' id='replicate1' to='chat.shakespeare.lit' type='set'>\
    <replicate xmlns='urn:xmpp:dmuc:0'><room id='theroom'/></replicate></iq>";
const SHADOW: &str = "theroom@chat.shakespeare.lit";

#[test]
fn its_source_gets_a_shadow_here_with_everything() {
    let fed = shadow_of_a_xep_source(LITERAL);
    for id in ["replicate1", "config1", "roster1"] {
        let answer = &fed.xep[&bare(ROOMS)].answers[id];
        assert_eq!(*answer, IqBody::Result(None), "{id}");
    }
    let info = fed.host(CHAT).engine.room_info(&bare(SHADOW)).unwrap();
    assert!(info.is_ready);
    assert_eq!(
        info.source,
        Some(bare("heath@rooms.macbeth.lit")),
        "learnt from the configuration"
    );
    assert_eq!(
        fed.roster(SHADOW),
        ["baz none participant", "hecate owner moderator"]
    );
    assert_eq!(
        fed.affiliation(SHADOW, "hecate@macbeth.lit"),
        Affiliation::Owner,
        "an occupant's item is an entry, too"
    );
    assert_eq!(
        fed.affiliation(SHADOW, "hag66@shakespeare.lit"),
        Affiliation::None
    );
    assert_eq!(fed.history(SHADOW).len(), 1);
}

#[test]
fn the_swapped_addresses_of_the_text_are_taken() {
    let mut fed = shadow_of_a_xep_source(LITERAL);
    fed.join(&format!("{SHADOW}/foo"), CRONE1);
    fed.say(&format!("{SHADOW}/foo"), "of the shadow");
    fed.run();
    let refused = fed.host(CHAT).refused.len();
    // "Peerhost Acknowledges Receipt of Room History", a result to a result; a history asked by the source.
    for xml in [
        "<iq to='theroom@chat.shakespeare.lit' id='history1' from='heath@rooms.macbeth.lit' type='result'/>",
        "<iq to='theroom@chat.shakespeare.lit' id='history1' from='heath@rooms.macbeth.lit' type='get'>\
         <room xmlns='urn:xmpp:dmuc:0' id='theroom'><history xmlns='http://jabber.org/protocol/muc'/></room></iq>",
        "<iq from='rooms.macbeth.lit' id='ph1' to='chat.shakespeare.lit' type='set'>\
         <peerhost xmlns='urn:xmpp:dmuc:0'><room id='theroom'/></peerhost></iq>",
    ] {
        fed.at_xep(ROOMS, |peer| peer.send(xml));
        fed.run();
    }
    assert_eq!(fed.host(CHAT).refused.len(), refused);
    assert!(
        matches!(&fed.xep[&bare(ROOMS)].answers["history1"], IqBody::Result(Some(xml)) if xml.contains("of the shadow") && !xml.contains("before"))
    );
    assert_eq!(
        fed.xep[&bare(ROOMS)].answers["ph1"],
        IqBody::Result(None),
        "acknowledged, and nothing is learnt from it"
    );
}

#[test]
fn people_of_its_source_and_of_our_shadow_talk() {
    let mut fed = shadow_of_a_xep_source(LITERAL);
    let foo = format!("{SHADOW}/foo");
    fed.join(&foo, CRONE1);
    fed.run();
    assert_eq!(fed.heard(&foo), ["before"]);
    fed.say(&foo, "hail");
    fed.run();
    fed.at_xep(ROOMS, |peer| {
        peer.say(
            &bare("heath@rooms.macbeth.lit"),
            "hecate",
            Some("m1"),
            "<body>well met</body>",
        )
    });
    fed.run();
    assert_eq!(fed.heard(&foo), ["before", "hail", "well met"]);
    assert_eq!(
        fed.heard("heath@rooms.macbeth.lit/hecate"),
        ["before", "hail", "well met"]
    );
}

#[test]
fn a_history_that_is_told_twice_is_held_once() {
    let mut fed = shadow_of_a_xep_source(LITERAL);
    let foo = format!("{SHADOW}/foo");
    fed.join(&foo, CRONE1);
    for text in ["ok", "ok", "bye"] {
        fed.at_xep(ROOMS, |peer| {
            peer.say(
                &bare("heath@rooms.macbeth.lit"),
                "hecate",
                None,
                &message_body(text),
            )
        });
    }
    fed.say(&foo, "hail");
    fed.run();
    let before = fed.history(SHADOW);
    assert_eq!(before.len(), 5);
    // The link fails and comes back: everything is agreed on anew.
    fed.net
        .set_mode(&bare(CHAT), &bare(ROOMS), crate::support::net::Mode::Bounces);
    fed.update(&foo, "<show>away</show>");
    fed.run_for(1_000);
    fed.net
        .set_mode(&bare(CHAT), &bare(ROOMS), crate::support::net::Mode::Up);
    fed.run();
    assert_eq!(fed.history(SHADOW), before);
}

#[test]
fn an_unknown_room_of_the_firsthost_does_not_become_the_source_of_a_known_one() {
    let mut fed = shadow_of_a_xep_source(LITERAL);
    let thief = "<iq from='other@rooms.macbeth.lit' id='steal' to='theroom@chat.shakespeare.lit' type='set'>\
        <config xmlns='urn:xmpp:dmuc:0'><x xmlns='jabber:x:data' type='form'><field type='hidden' var='FORM_TYPE'>\
        <value>http://jabber.org/protocol/muc#roomconfig</value></field></x></config></iq>";
    fed.at_xep(ROOMS, |peer| peer.send(thief));
    fed.run();
    assert!(
        matches!(&fed.xep[&bare(ROOMS)].answers["steal"], IqBody::Error(error) if error.condition == Condition::Forbidden)
    );
}

/// The text has no way to tell again who is there. So who joins under such a nick is renamed when others say that it is
/// taken (G8), and is heard under the new one.
#[test]
fn a_nick_that_a_restart_has_forgotten_is_lost_when_a_peer_says_so() {
    let mut fed = coven();
    join_xep(&mut fed);
    fed.restart(CONF);
    fed.run();
    fed.join("coven@conference.marlowe.lit/witch", FAUST);
    fed.run_for(100_000);
    fed.forget();
    fed.say("coven@conference.marlowe.lit/witch", "I am the witch");
    fed.run_for(100_000);
    fed.run();
    assert_eq!(fed.heard(FOO), ["I am the witch"]);
    let nicks = |room: &str| -> Vec<String> {
        let host_room = fed.host(service_of(&bare(room)).as_str()).room(&bare(room));
        host_room.occupants.keys().cloned().collect()
    };
    assert_eq!(nicks(COVEN), ["foo", "witch", "witch (2)"]);
    fed.forget();
    fed.say("coven@conference.marlowe.lit/witch (2)", "who am I?");
    fed.run();
    assert_eq!(fed.heard(FOO), ["who am I?"]);
}

/// The source, whose clock is ahead, has told of the first words; a shadow whose clock is behind hears the next itself.
#[test]
fn words_without_numbers_keep_their_order_whatever_the_clocks() {
    const ALL: [&str; 3] = [CHAT, ROOMS, CONF];
    let mut fed = Federation::empty(1);
    fed.skew_ms.insert(bare(CHAT), 290_000);
    fed.skew_ms.insert(bare(ROOMS), -290_000);
    fed.add(config_of(CHAT, &ALL));
    fed.add_xep(CONF).knows_peerhosts = true;
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run_for(5_000);
    let there = bare(COVEN_AT_CONF);
    fed.at_xep(CONF, |peer| peer.join(&there, "faust", &full(FAUST)));
    fed.run_for(5_000);
    let say = |fed: &mut Federation, text: &str| {
        let payload = format!("<body>{text}</body>");
        fed.at_xep(CONF, |peer| peer.say(&there, "faust", Some(text), &payload));
        fed.run_for(5_000);
    };
    say(&mut fed, "one");
    fed.add(config_of(ROOMS, &ALL));
    fed.run_for(400_000);
    fed.run();
    say(&mut fed, "two");
    let texts = |room: &str| {
        fed.history(room)
            .into_iter()
            .map(|(text, _)| text)
            .collect::<Vec<_>>()
    };
    assert_eq!(texts(COVEN_AT_ROOMS), ["one", "two"]);
    assert_eq!(texts(COVEN), ["one", "two"]);
}

/// There is nothing to compare with it, but an administrator who asks wants to know whether it is there.
#[test]
fn an_order_to_compare_asks_it_whether_it_is_there() {
    let mut fed = coven();
    fed.run_for(5_000);
    let answered_ago = |fed: &Federation| {
        let now = fed.now_at(&bare(CHAT));
        let links = fed.host(CHAT).engine.link_overviews(now);
        let link = links
            .into_iter()
            .find(|link| link.service == bare(ROOMS))
            .unwrap();
        assert_eq!((link.state, link.speaks), (LinkState::Up, Speaks::Xep));
        link.answered_ago_ms.unwrap()
    };
    let sync = |fed: &mut Federation| {
        fed.at(&bare(CHAT), |host| host.order(Order::SyncPeer(&bare(ROOMS))))
            .unwrap();
        fed.run_for(1_000);
    };
    assert!(answered_ago(&fed) >= 5_000);
    sync(&mut fed);
    assert!(answered_ago(&fed) <= 1_000);
    // A question that is lost makes no link fail sooner than others.
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Swallows);
    sync(&mut fed);
    assert!(answered_ago(&fed) > 1_000);
}
