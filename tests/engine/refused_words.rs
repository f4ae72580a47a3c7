//! What an instance refuses is not shown later (G11): not with the next page, not in a history, not after a restart. The
//! source judges for everybody.

use dmuc::wire::{Affiliation, Role};

use crate::lies::*;
use crate::lies_in_pages::{event, lie_in_page, now_of, texts};
use crate::scenes;
use crate::support::federation::{Federation, config_of};
use crate::support::names::*;
use crate::support::net::Mode;

const CAROL: &str = "carol@marlowe.lit";
const CAROL_PLACE: &str = "coven@conference.marlowe.lit/carol";

/// CONF does not keep to the source's list: carol, who is banned, joins there and speaks.
fn with_carol() -> Federation {
    let mut fed = coven();
    fed.affiliate(FOO, CAROL, Affiliation::Outcast);
    fed.run();
    fed.at(&bare(CONF), |host| {
        let room = host.rooms.get_mut(&bare(COVEN_AT_CONF)).unwrap();
        room.affiliations.remove(&bare(CAROL));
    });
    fed.join(CAROL_PLACE, "carol@marlowe.lit/study");
    fed.run();
    fed
}

fn expect_silence(fed: &Federation, text: &str, rooms: &[(&str, &str)]) {
    for (room, listener) in rooms {
        assert!(
            !texts(fed, room).contains(&text.to_owned()),
            "{text} is in the history of {room}"
        );
        assert!(
            !fed.heard(listener).contains(&text.to_owned()),
            "{listener} hears {text}"
        );
        let archive = &fed.host(bare(room).service().as_str()).room(&bare(room)).archive;
        let has_it = archive.iter().any(|message| message.payload.contains(text));
        assert!(!has_it, "{text} is in the archive of {room}");
    }
}

const SOURCE: (&str, &str) = (COVEN, FOO);
const OTHER_SHADOW: (&str, &str) = (COVEN_AT_ROOMS, WITCH_PLACE);

#[test]
fn who_is_banned_at_the_source_is_heard_nowhere_whoever_lets_them_in() {
    let mut fed = with_carol();
    fed.say(CAROL_PLACE, "words of carol");
    fed.run();
    expect_silence(&fed, "words of carol", &[SOURCE]);
    // The source takes the words away everywhere.
    for room in [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF] {
        assert!(
            !texts(&fed, room).contains(&"words of carol".to_owned()),
            "{room}"
        );
    }
    // What others say there is heard, before and after.
    fed.say(FAUST_PLACE, "words of faust");
    fed.run();
    assert!(fed.heard(FOO).contains(&"words of faust".to_owned()));
    assert!(fed.heard(WITCH_PLACE).contains(&"words of faust".to_owned()));
}

#[test]
fn what_was_refused_stays_so_after_a_restart_and_in_a_new_instance() {
    let mut fed = with_carol();
    fed.say(CAROL_PLACE, "words of carol");
    fed.run();
    fed.restart(CHAT);
    fed.run();
    fed.join(FOO, CRONE1);
    fed.run();
    expect_silence(&fed, "words of carol", &[SOURCE]);
    let held: Vec<_> = fed.host(CHAT).engine.messages(&bare(COVEN)).collect();
    let other: Vec<_> = fed.host(ROOMS).engine.messages(&bare(COVEN_AT_ROOMS)).collect();
    let known = |entries: &[&dmuc::engine::Entry]| -> Vec<_> {
        entries
            .iter()
            .map(|entry| (entry.id.clone(), entry.payload.to_string()))
            .collect()
    };
    assert_eq!(known(&held), known(&other), "all have the same");
}

#[test]
fn a_ban_of_a_whole_domain_and_one_of_somebody_who_left_again_count_as_well() {
    let mut fed = coven();
    fed.affiliate(FOO, "evil.example", Affiliation::Outcast);
    fed.affiliate(FOO, CAROL, Affiliation::Outcast);
    fed.run();
    fed.run_for(1_000);
    let at = now_of(&fed);
    let carol = fed.host(CHAT).room(&bare(COVEN)).occupant_id(&bare(CAROL));
    let page = event(
        COVEN_AT_CONF,
        (1 << 50, 1),
        &at,
        &format!("nick='ghost' occupant='{carol}'"),
        "<body>of who has left</body>",
    );
    lie_in_page(&mut fed, COVEN_AT_CONF, COVEN, &page);
    expect_silence(&fed, "of who has left", &[SOURCE]);
}

#[test]
fn what_was_said_in_a_split_before_the_ban_stays() {
    let mut fed = coven();
    let (source, shadow) = (bare(CHAT), bare(CONF));
    fed.net.set_mode(&source, &shadow, Mode::Swallows);
    fed.run_for(200_000);
    fed.say(FAUST_PLACE, "before the ban");
    fed.run_for(5_000);
    fed.affiliate(FOO, "faust@marlowe.lit", Affiliation::Outcast);
    fed.run_for(5_000);
    fed.say(FAUST_PLACE, "after the ban");
    fed.run_for(5_000);
    fed.net.heal();
    fed.run();
    assert!(fed.heard(FOO).contains(&"before the ban".to_owned()));
    for room in [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF] {
        assert!(texts(&fed, room).contains(&"before the ban".to_owned()), "{room}");
        assert!(!texts(&fed, room).contains(&"after the ban".to_owned()), "{room}");
    }
}

/// Who is refused may give its words the id of somebody else's.
#[test]
fn a_refusal_takes_no_words_but_those_that_are_refused() {
    let mut fed = with_carol();
    fed.say(WITCH_PLACE, "words of the witch");
    fed.run();
    let honest = fed.message(FOO, "words of the witch").stanza_id.unwrap();
    let at = now_of(&fed);
    let number = 1_u64 << 50;
    let lie = format!(
        "<events origin='{COVEN_AT_CONF}' inc='{number}'><message xmlns='jabber:client' event='{honest}' seq='1' at='{at}' \
         nick='carol'><body>words of carol</body></message></events>"
    );
    lie_in_page(&mut fed, COVEN_AT_CONF, COVEN, &lie);
    expect_silence(&fed, "words of carol", &[SOURCE]);
    for room in [COVEN, COVEN_AT_ROOMS] {
        assert!(
            texts(&fed, room).contains(&"words of the witch".to_owned()),
            "{room}"
        );
    }
}

#[test]
fn who_is_left_out_for_want_of_room_is_not_heard_there_and_heard_elsewhere() {
    let mut fed = coven();
    let mut config = config_of(ROOMS, &[CHAT, ROOMS, CONF, EVIL]);
    config.max_remote_occupants = 2;
    fed.at(&bare(ROOMS), |host| host.engine.set_config(host.now, config));
    fed.run();
    let place = "coven@conference.marlowe.lit/wagner";
    fed.join(place, "wagner@marlowe.lit/study");
    fed.run();
    for text in ["one", "two", "three"] {
        fed.say(place, text);
        fed.run();
        assert!(fed.heard(FOO).contains(&text.to_owned()), "{text}");
        expect_silence(&fed, text, &[OTHER_SHADOW]);
    }
    // Others at the same home are heard.
    fed.say(FAUST_PLACE, "words of faust");
    fed.run();
    assert!(fed.heard(WITCH_PLACE).contains(&"words of faust".to_owned()));
}

/// CONF lets a visitor speak, and tells everybody that it is one.
#[test]
fn a_visitor_is_heard_nowhere_whoever_lets_them_speak() {
    let mut fed = coven();
    fed.here(FOO, |host, room, nick| {
        host.set_role(room, nick, "faust", Role::Visitor, None)
    });
    fed.run();
    fed.at(&bare(CONF), |host| {
        let room = host.rooms.get_mut(&bare(COVEN_AT_CONF)).unwrap();
        room.local_mut("faust").unwrap().role = Role::Participant;
    });
    fed.say(FAUST_PLACE, "words of a visitor");
    fed.run();
    expect_silence(&fed, "words of a visitor", &[SOURCE, OTHER_SHADOW]);
    // Who gets a voice is heard.
    fed.at(&bare(CONF), |host| {
        let room = host.rooms.get_mut(&bare(COVEN_AT_CONF)).unwrap();
        room.local_mut("faust").unwrap().role = Role::Visitor;
    });
    fed.here(FOO, |host, room, nick| {
        host.set_role(room, nick, "faust", Role::Participant, None)
    });
    fed.run();
    fed.say(FAUST_PLACE, "words of a participant");
    fed.run();
    assert!(fed.heard(FOO).contains(&"words of a participant".to_owned()));
    assert!(
        fed.heard(WITCH_PLACE)
            .contains(&"words of a participant".to_owned())
    );
}

/// What is refused loses its words and nothing else: its home has kept its author, and all have the same (G5, G6).
#[test]
fn what_is_refused_has_the_same_author_everywhere() {
    let mut fed = with_carol();
    fed.say(CAROL_PLACE, "words of carol");
    fed.run_for(60_000);
    let known = |service: &str, room: &str| -> Vec<_> {
        let room = bare(room);
        let entries = fed.host(service).engine.messages(&room);
        let of_carol = entries.filter(|entry| entry.nick == "carol");
        of_carol
            .map(|entry| {
                (
                    entry.id.clone(),
                    entry.occupant_id.clone(),
                    entry.payload.to_string(),
                )
            })
            .collect()
    };
    let home = known(CONF, COVEN_AT_CONF);
    let id = fed.host(CHAT).room(&bare(COVEN)).occupant_id(&bare(CAROL));
    assert!(matches!(home.as_slice(), [(_, Some(author), words)] if *author == id && words.is_empty()));
    assert_eq!(known(CHAT, COVEN), home);
    assert_eq!(known(ROOMS, COVEN_AT_ROOMS), home);
}

/// A shadow that has refused something waits for the source's word. What it says is stored, and is not due again (G10).
#[test]
fn what_the_source_has_refused_is_not_asked_for_again_after_a_restart() {
    let mut fed = with_carol();
    fed.say(CAROL_PLACE, "words of carol");
    fed.run_for(60_000);
    let room = bare(COVEN_AT_ROOMS);
    let entries = fed.host(ROOMS).engine.messages(&room);
    assert_eq!(entries.filter(|entry| entry.nick == "carol").count(), 1);
    (fed.is_traced, fed.trace) = (true, Vec::new());
    fed.restart(ROOMS);
    fed.run_for(60_000);
    assert!(fed.trace.iter().any(|line| line.contains("<sync ")));
    let again = fed.trace.iter().find(|line| line.contains("nick='carol'"));
    assert_eq!(again, None);
}

/// It was restarted while the source was out of reach, and does not know yet what that speaks.
#[test]
fn who_has_not_heard_of_the_source_since_it_was_started_leaves_what_it_refuses_to_it() {
    let mut fed = scenes::coven();
    fed.net.set_mode(&bare(CHAT), &bare(CONF), Mode::Swallows);
    fed.affiliate(FOO, "faust@marlowe.lit", Affiliation::Outcast);
    fed.run_for(5_000);
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Swallows);
    fed.restart(ROOMS);
    fed.run_for(10_000);
    fed.join(WITCH_PLACE, WITCH);
    fed.say(FAUST_PLACE, "after the ban");
    fed.run_for(10_000);
    assert!(texts(&fed, COVEN_AT_CONF).contains(&"after the ban".to_owned()));
    fed.net.heal();
    fed.run_for(300_000);
    let known = |service: &str, room: &str| -> Vec<_> {
        let room = bare(room);
        let entries = fed.host(service).engine.messages(&room);
        entries
            .map(|entry| (entry.id.clone(), entry.payload.to_string()))
            .collect()
    };
    let source = known(CHAT, COVEN);
    assert!(source.iter().any(|(_, words)| words.is_empty()), "{source:?}");
    assert_eq!(known(CONF, COVEN_AT_CONF), source);
    assert_eq!(known(ROOMS, COVEN_AT_ROOMS), source);
    expect_silence(&fed, "after the ban", &[SOURCE, OTHER_SHADOW]);
}
