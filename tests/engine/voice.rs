//! Requests for voice (XEP-0045 sections 7.13 and 8.6) across instances: who is asked, and whose answer counts.

use dmuc::address::Jid;
use dmuc::wire::{Affiliation, Condition};

use crate::support::event::Seen;
use crate::support::federation::Federation;
use crate::support::names::*;
use crate::support::net::Mode;

const HECATE_PLACE: &str = "coven@rooms.macbeth.lit/hecate";

/// crone1 moderates at the source, hecate at one shadow. The witch, at the same one, and faust, at the other, may not speak.
fn coven() -> Federation {
    let mut fed = Federation::of(&[CHAT, ROOMS, CONF]);
    fed.create(COVEN, CRONE1, &[("muc#roomconfig_moderatedroom", "1")]);
    fed.join(FOO, CRONE1);
    fed.affiliate(FOO, "hecate@macbeth.lit", Affiliation::Admin);
    fed.at(&bare(CHAT), |host| host.distribute(&bare(COVEN)));
    fed.run();
    fed.join(HECATE_PLACE, "hecate@macbeth.lit/moon");
    fed.join(WITCH_PLACE, WITCH);
    fed.join(FAUST_PLACE, FAUST);
    fed.run();
    assert!(
        fed.roster(COVEN).contains(&"faust none visitor".to_owned()),
        "{:?}",
        fed.roster(COVEN)
    );
    fed.forget();
    fed
}

fn asks(fed: &mut Federation, place: &str) {
    fed.here(place, |host, room, nick| host.ask_for_voice(room, nick));
    fed.run_for(1_000);
}

fn answers(fed: &mut Federation, place: &str, who: &str, is_granted: bool) -> Option<u64> {
    let token = fed.here(place, |host, room, nick| {
        host.answer_voice(room, nick, who, is_granted)
    });
    fed.run_for(1_000);
    token
}

fn requests(fed: &Federation, place: &str) -> Vec<(String, Option<Jid>)> {
    let seen = fed.seen(place).into_iter();
    seen.filter_map(|seen| match seen {
        Seen::VoiceRequest { nick, jid } => Some((nick, jid)),
        _ => None,
    })
    .collect()
}

fn may_speak(fed: &Federation, nick: &str) -> bool {
    let participant = format!("{nick} none participant");
    let held: Vec<bool> = [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF]
        .iter()
        .map(|room| fed.roster(room).contains(&participant))
        .collect();
    assert!(
        held.iter().all(|is| *is == held[0]),
        "not the same everywhere: {held:?}"
    );
    held[0]
}

#[test]
fn a_request_reaches_the_moderators_of_every_instance_in_one_stanza_each() {
    let mut fed = coven();
    asks(&mut fed, FAUST_PLACE);
    for place in [FOO, HECATE_PLACE] {
        assert_eq!(
            requests(&fed, place),
            [("faust".to_owned(), Some(jid(FAUST)))],
            "{place}"
        );
    }
    assert!(requests(&fed, WITCH_PLACE).is_empty() && requests(&fed, FAUST_PLACE).is_empty());
    assert_eq!(fed.tally(CONF, CHAT)["act"], 1);
    assert_eq!(fed.tally(CONF, ROOMS)["act"], 1);
    fed.forget();
    // No moderator is at marlowe: nothing goes there.
    asks(&mut fed, WITCH_PLACE);
    assert_eq!(
        requests(&fed, HECATE_PLACE),
        [("witch".to_owned(), Some(jid(WITCH)))]
    );
    assert_eq!(requests(&fed, FOO), [("witch".to_owned(), Some(jid(WITCH)))]);
    assert!(!fed.tally(ROOMS, CONF).contains_key("act"));
}

#[test]
fn the_first_answer_counts_from_wherever_it_comes() {
    for (visitor, nick) in [(FAUST_PLACE, "faust"), (WITCH_PLACE, "witch")] {
        for (first, second) in [(FOO, HECATE_PLACE), (HECATE_PLACE, FOO)] {
            let mut fed = coven();
            asks(&mut fed, visitor);
            answers(&mut fed, first, nick, true);
            assert!(may_speak(&fed, nick), "{nick}, granted by {first}");
            answers(&mut fed, second, nick, false);
            assert!(may_speak(&fed, nick));
            // A refusal counts, too, if it is the first.
            let mut fed = coven();
            asks(&mut fed, visitor);
            answers(&mut fed, first, nick, false);
            answers(&mut fed, second, nick, true);
            assert!(!may_speak(&fed, nick), "{nick}, refused by {first}");
            // Who asks again is asked about again.
            fed.forget();
            asks(&mut fed, visitor);
            assert_eq!(requests(&fed, second).len(), 1);
            answers(&mut fed, second, nick, true);
            assert!(may_speak(&fed, nick));
        }
    }
}

#[test]
fn a_late_answer_is_a_conflict_and_one_to_nothing_misses() {
    let mut fed = coven();
    asks(&mut fed, FAUST_PLACE);
    answers(&mut fed, FOO, "faust", false);
    let late = answers(&mut fed, HECATE_PLACE, "faust", true).unwrap();
    assert_eq!(fed.act_error(ROOMS, late), Some(Condition::Conflict));
    fed.leave(FAUST_PLACE);
    fed.run();
    fed.join(FAUST_PLACE, FAUST);
    fed.run();
    let stale = answers(&mut fed, HECATE_PLACE, "faust", true).unwrap();
    assert_eq!(fed.act_error(ROOMS, stale), Some(Condition::ItemNotFound));
    assert!(!may_speak(&fed, "faust"));
    // Who asked is gone for good: whoever answers is answered yet.
    asks(&mut fed, FAUST_PLACE);
    fed.leave(FAUST_PLACE);
    fed.run();
    let missed = answers(&mut fed, HECATE_PLACE, "faust", true).unwrap();
    assert_eq!(fed.act_error(ROOMS, missed), Some(Condition::ItemNotFound));
}

#[test]
fn who_asks_on_and_on_is_shown_again_only_after_a_while() {
    let mut fed = coven();
    for _ in 0..5 {
        asks(&mut fed, FAUST_PLACE);
    }
    assert_eq!(requests(&fed, HECATE_PLACE).len(), 1);
    assert_eq!(fed.tally(CONF, ROOMS)["act"], 1);
    fed.run_for(31_000);
    asks(&mut fed, FAUST_PLACE);
    assert_eq!(requests(&fed, HECATE_PLACE).len(), 2);
    answers(&mut fed, HECATE_PLACE, "faust", true);
    assert!(may_speak(&fed, "faust"));
}

#[test]
fn a_request_is_open_for_a_day() {
    let mut fed = coven();
    asks(&mut fed, FAUST_PLACE);
    fed.run_for(24 * 3_600_000);
    let token = answers(&mut fed, HECATE_PLACE, "faust", true).unwrap();
    assert_eq!(fed.act_error(ROOMS, token), Some(Condition::Conflict));
    assert!(!may_speak(&fed, "faust"));
}

#[test]
fn in_a_split_it_reaches_who_can_be_reached_and_the_others_afterwards() {
    let mut fed = coven();
    fed.net.set_mode(&bare(CONF), &bare(ROOMS), Mode::Bounces);
    fed.run_for(200_000);
    asks(&mut fed, FAUST_PLACE);
    assert_eq!(requests(&fed, FOO).len(), 1);
    assert!(requests(&fed, HECATE_PLACE).is_empty());
    fed.net.heal();
    fed.run();
    fed.run_for(200_000);
    assert_eq!(requests(&fed, HECATE_PLACE).len(), 1);
    assert_eq!(requests(&fed, FOO).len(), 1, "told once");
    answers(&mut fed, HECATE_PLACE, "faust", true);
    assert!(may_speak(&fed, "faust"));
    // What was answered meanwhile is not asked any more.
    let mut fed = coven();
    fed.net.set_mode(&bare(CONF), &bare(ROOMS), Mode::Bounces);
    fed.run_for(200_000);
    asks(&mut fed, FAUST_PLACE);
    answers(&mut fed, FOO, "faust", false);
    fed.net.heal();
    fed.run();
    fed.run_for(200_000);
    assert!(requests(&fed, HECATE_PLACE).is_empty());
}

fn act(from: &str, inner: &str, attrs: &str) -> String {
    format!(
        "<iq type='set' id='x' from='{from}' to='{COVEN_AT_CONF}'>\
         <act xmlns='urn:x-dmuc:0' {attrs}>{inner}</act></iq>"
    )
}

#[test]
fn peers_cannot_ask_for_others_or_answer_for_them() {
    let mut fed = coven();
    asks(&mut fed, FAUST_PLACE);
    let number = crate::support::federation::EPOCH_MS + fed.now_ms;
    fed.forget();
    for (xml, condition) in [
        // No such visitor at that instance.
        (
            act(COVEN_AT_ROOMS, "<voice serial='1' request='1'/>", "nick='foo'"),
            Condition::ItemNotFound,
        ),
        (
            act(COVEN_AT_ROOMS, "<voice serial='1' request='1'/>", "nick='witch'"),
            Condition::ItemNotFound,
        ),
        (
            act(COVEN_AT_ROOMS, "<voice serial='1' request='1'/>", ""),
            Condition::ItemNotFound,
        ),
        (
            act(
                "coven@evil.example",
                "<voice serial='1' request='1'/>",
                "nick='witch'",
            ),
            Condition::Forbidden,
        ),
        // Answers to what nobody has asked, and by nobody.
        (
            act(
                COVEN_AT_ROOMS,
                "<role nick='faust' role='participant' request='1'/>",
                "nick='hecate'",
            ),
            Condition::Conflict,
        ),
        (
            act(
                COVEN_AT_ROOMS,
                "<role nick='faust' role='participant' request='1'/>",
                "nick='nobody'",
            ),
            Condition::ItemNotFound,
        ),
        (
            act(
                COVEN_AT_ROOMS,
                "<role nick='faust' role='moderator' request='1'/>",
                "nick='hecate'",
            ),
            Condition::BadRequest,
        ),
    ] {
        fed.hand_in(&bare(CONF), &xml);
        let (_, error) = fed.host(CONF).refused.last().expect("a refusal");
        assert_eq!(error.condition, condition, "{xml}");
    }
    // The witch is no moderator.
    for role in ["participant", "visitor"] {
        for number in number - 5_000..=number {
            let answer = format!("<role nick='faust' role='{role}' request='{number}'/>");
            fed.hand_in(
                &bare(CONF),
                &act(
                    COVEN_AT_ROOMS,
                    &answer,
                    "nick='witch' jid='somewitch@macbeth.lit'",
                ),
            );
        }
    }
    fed.run();
    assert!(!may_speak(&fed, "faust"));
    answers(&mut fed, HECATE_PLACE, "faust", true);
    assert!(may_speak(&fed, "faust"), "the request is open yet");
}
