//! Peers cannot lie about what was said (G11): pages, histories and stored logs pass the same door as live messages.

use dmuc::engine::Now;
use dmuc::wire::{EventStamp, Hlc};
use dmuc::{Engine, Input, Verdict};

use crate::lies::{coven, iq};
use crate::support::dice::Dice;
use crate::support::federation::{EPOCH_MS, Federation, config_of};
use crate::support::names::*;
use crate::xep_only::{LITERAL, shadow_of_a_xep_source_with};

/// How far ahead of its own clock an instance believes anybody (docs/PROTOCOL.md section 7.3).
const LEAD_MS: u64 = 300_000;
const MAX_NUMBER: u64 = (1 << 63) - 1;
const MAX_WALL_MS: u64 = (1 << 53) - 1;

/// The id of the latest request with this element that `from` has sent to `to`.
fn request(fed: &Federation, from: &str, to: &str, element: &str) -> Option<String> {
    let sent = fed.trace.iter().rev().filter(|line| line.contains(" sends <iq"));
    let mut matching = sent.filter(|line| {
        line.contains(&format!("from='{from}'"))
            && line.contains(&format!("to='{to}'"))
            && line.contains(element)
    });
    let line = matching.next()?;
    Some(line.split(" id='").nth(1)?.split('\'').next()?.to_owned())
}

/// The instance `liar` gives `events` (elements of a page, and whatever else it has) as what `room` lacks.
pub fn lie_in_page(fed: &mut Federation, liar: &str, room: &str, events: &str) {
    let (theirs, here) = (bare(liar).service(), bare(room).service());
    (fed.is_traced, fed.trace) = (true, Vec::new());
    let digest =
        "<digest xmlns='urn:x-dmuc:0'><room id='coven' log='9223372036854775807.1' roster='7'/></digest>";
    fed.hand_in(&here, &iq(theirs.as_str(), here.as_str(), "set", digest));
    let until = fed.now_ms + 60_000;
    let mut asked = request(fed, room, liar, "<sync ");
    while asked.is_none() && fed.step(until) {
        asked = request(fed, room, liar, "<sync ");
    }
    let id = asked.expect("it asks what it lacks");
    let answer = format!(
        "<iq from='{liar}' to='{room}' id='{id}' type='result'><sync xmlns='urn:x-dmuc:0'>{events}</sync></iq>"
    );
    fed.hand_in(&here, &answer);
    fed.run();
}

/// One event of a page.
pub fn event(origin: &str, (inc, seq): (u64, u64), at: &str, attrs: &str, payload: &str) -> String {
    format!(
        "<events origin='{origin}' inc='{inc}'><message xmlns='jabber:client' event='e-{inc}-{seq}' seq='{seq}' at='{at}' \
         {attrs}>{payload}</message></events>"
    )
}

/// A time like those of honest events.
pub fn now_of(fed: &Federation) -> String {
    format!("{}.0", EPOCH_MS + fed.now_ms)
}

pub fn texts(fed: &Federation, room: &str) -> Vec<String> {
    fed.history(room).into_iter().map(|(text, _)| text).collect()
}

/// The number that the room's next message has here.
fn next_stamp(fed: &mut Federation, place: &str, text: &str) -> EventStamp {
    fed.say(place, text);
    let (room, _) = seat(place);
    let engine = &fed.host(room.service().as_str()).engine;
    let own = engine.messages(&room).filter(|entry| entry.key.origin == room);
    let latest = own.max_by_key(|entry| (entry.key.incarnation, entry.key.seq));
    latest.unwrap().stamp()
}

fn expect_sound(fed: &Federation, stamp: &EventStamp) {
    let latest = EPOCH_MS + fed.now_ms + LEAD_MS;
    assert!(stamp.at.wall_ms <= latest, "the clock is at {}", stamp.at);
    assert!(
        stamp.seq < 1_000_000 && stamp.incarnation < MAX_WALL_MS,
        "{stamp:?}"
    );
}

#[test]
fn nobody_says_for_an_instance_what_it_says_in_its_present_life() {
    let mut fed = coven();
    let own = next_stamp(&mut fed, WITCH_PLACE, "mine");
    fed.run();
    let numbers = [
        (own.incarnation, own.seq + 1),
        (own.incarnation, MAX_NUMBER),
        (own.incarnation + 1, 1),
        (MAX_NUMBER, MAX_NUMBER),
    ];
    for number in numbers {
        for at in [now_of(&fed), format!("{MAX_WALL_MS}.4294967295")] {
            let lie = event(COVEN_AT_ROOMS, number, &at, "nick='witch'", "<body>lie</body>");
            lie_in_page(&mut fed, COVEN, COVEN_AT_ROOMS, &lie);
        }
    }
    assert!(!texts(&fed, COVEN_AT_ROOMS).contains(&"lie".to_owned()));
    let next = next_stamp(&mut fed, WITCH_PLACE, "next");
    assert_eq!((next.incarnation, next.seq), (own.incarnation, own.seq + 1));
    expect_sound(&fed, &next);
    fed.run();
    assert_eq!(fed.message(FOO, "next").nick, "witch", "peers take it");
}

#[test]
fn what_was_lost_of_an_earlier_life_is_taken_back_and_nobody_hears_it_again() {
    let mut fed = coven();
    let at = now_of(&fed);
    let page = event(
        COVEN_AT_ROOMS,
        (7, 3),
        &at,
        "nick='witch'",
        "<body>long ago</body>",
    );
    lie_in_page(&mut fed, COVEN, COVEN_AT_ROOMS, &page);
    assert!(texts(&fed, COVEN_AT_ROOMS).contains(&"long ago".to_owned()));
    assert!(!fed.heard(WITCH_PLACE).contains(&"long ago".to_owned()));
}

#[test]
fn what_was_lost_of_an_earlier_life_was_not_said_in_the_future() {
    let mut fed = coven();
    for (seq, at) in [(1, MAX_WALL_MS), (2, EPOCH_MS + fed.now_ms + 2 * LEAD_MS)] {
        let lie = event(
            COVEN_AT_ROOMS,
            (7, seq),
            &format!("{at}.0"),
            "nick='witch'",
            "<body>lie</body>",
        );
        lie_in_page(&mut fed, COVEN, COVEN_AT_ROOMS, &lie);
    }
    assert!(!texts(&fed, COVEN_AT_ROOMS).contains(&"lie".to_owned()));
    let before = next_stamp(&mut fed, WITCH_PLACE, "next");
    expect_sound(&fed, &before);
    fed.run();
    fed.restart(ROOMS);
    fed.run();
    fed.join(WITCH_PLACE, WITCH);
    let after = next_stamp(&mut fed, WITCH_PLACE, "after the restart");
    expect_sound(&fed, &after);
    fed.run();
    assert_eq!(fed.message(FOO, "after the restart").nick, "witch");
}

#[test]
fn a_shadow_tells_nobody_what_the_source_has_said() {
    let mut fed = coven();
    let at = now_of(&fed);
    let lie = event(COVEN, (7, 1), &at, "nick='foo'", "<body>lie</body>");
    lie_in_page(&mut fed, COVEN_AT_ROOMS, COVEN, &lie);
    assert!(!texts(&fed, COVEN).contains(&"lie".to_owned()));
}

/// What an earlier version took, or somebody has written into it.
#[test]
fn a_stored_log_moves_no_clock_beyond_the_present_and_uses_up_no_number() {
    let mut engine = Engine::new(config_of(CHAT, &[CHAT, ROOMS]), [7; 32]);
    let now = Now {
        mono_ms: 0,
        wall_ms: EPOCH_MS,
    };
    let room = bare(COVEN);
    engine
        .handle_input(
            now,
            Input::Distribute {
                room: &room,
                form: dmuc::wire::Form::default(),
                unfit: Default::default(),
                salt: "salt",
                subject: None,
            },
        )
        .unwrap();
    for (origin, incarnation) in [
        (COVEN, MAX_NUMBER),
        (COVEN, MAX_NUMBER / 2),
        (COVEN, 5),
        (COVEN_AT_ROOMS, MAX_NUMBER),
    ] {
        let event = EventStamp {
            id: format!("{origin}{incarnation}"),
            origin: Some(bare(origin)),
            incarnation,
            seq: MAX_NUMBER,
            at: Hlc {
                wall_ms: MAX_WALL_MS,
                counter: u32::MAX,
            },
            roster: None,
        };
        let logged = Input::Logged {
            is_stored: false,
            room: &room,
            nick: "foo",
            message_id: None,
            lang: None,
            occupant_id: None,
            event,
            payload: "<body>x</body>",
        };
        engine.handle_input(now, logged).unwrap();
    }
    let said = Input::Groupchat {
        room: &room,
        nick: "foo",
        message_id: None,
        lang: None,
        payload: "<body>y</body>",
        keep: true,
    };
    let Ok(Verdict::Accepted {
        event: Some(stamp), ..
    }) = engine.handle_input(now, said)
    else {
        panic!("it is not taken");
    };
    assert!(stamp.at.wall_ms <= EPOCH_MS + LEAD_MS, "{stamp:?}");
    assert!(stamp.incarnation < MAX_WALL_MS && stamp.seq < 1_000, "{stamp:?}");
}

/// Whatever a source or a shadow says, in whatever numbers.
#[test]
fn no_input_of_a_peer_moves_the_clock_beyond_the_present_or_uses_up_our_numbers() {
    let mut fed = coven();
    let mut dice = Dice::new(11);
    let origins = [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF];
    let edges = [0, 1, 1 << 20, EPOCH_MS, MAX_WALL_MS, MAX_NUMBER - 1, MAX_NUMBER];
    for round in 0..60 {
        let number = |dice: &mut Dice| {
            let edge = *dice.pick(&edges).unwrap();
            (edge + dice.below(3)).clamp(1, MAX_NUMBER)
        };
        let (inc, seq) = (number(&mut dice), number(&mut dice));
        let at = format!(
            "{}.{}",
            number(&mut dice).min(MAX_WALL_MS),
            if dice.chance(50) { u32::MAX } else { 0 }
        );
        let (origin, liar) = (
            *dice.pick(&origins).unwrap(),
            *dice.pick(&[COVEN, COVEN_AT_CONF]).unwrap(),
        );
        if dice.chance(50) {
            let (from, nick) = if liar == COVEN {
                (FOO, "foo")
            } else {
                (FAUST_PLACE, "faust")
            };
            let live = format!(
                "<message from='{from}' to='{COVEN_AT_ROOMS}/{nick}' type='groupchat'><body>{round}</body>\
                 <event xmlns='urn:x-dmuc:0' id='l{round}' inc='{inc}' seq='{seq}' at='{at}'/></message>"
            );
            fed.hand_in(&bare(ROOMS), &live);
            fed.run();
        } else {
            let lie = event(
                origin,
                (inc, seq),
                &at,
                "nick='witch'",
                &format!("<body>{round}</body>"),
            );
            lie_in_page(&mut fed, liar, COVEN_AT_ROOMS, &lie);
        }
        let stamp = next_stamp(&mut fed, WITCH_PLACE, &format!("own {round}"));
        expect_sound(&fed, &stamp);
        fed.run();
        if round % 20 == 19 {
            fed.restart(ROOMS);
            fed.run();
            fed.join(WITCH_PLACE, WITCH);
        }
    }
}

const FORGED: &str = "<delay xmlns='urn:xmpp:delay' from='coven@rooms.macbeth.lit' stamp='2002-01-01T00:00:00Z'/>\
    <x xmlns='jabber:x:delay' from='coven@rooms.macbeth.lit/witch' stamp='20020101T00:00:00'/>\
    <stanza-id xmlns='urn:xmpp:sid:0' by='coven@rooms.macbeth.lit' id='forged'/>\
    <addresses xmlns='http://jabber.org/protocol/address'><address type='ofrom' jid='coven@rooms.macbeth.lit/witch'/></addresses>\
    <occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/>\
    <x xmlns='http://jabber.org/protocol/muc#user'><status code='104'/></x>";

#[test]
fn nobody_says_anything_in_the_receivers_name_live() {
    let mut fed = coven();
    fed.here(FOO, |host, room, nick| {
        host.say(room, nick, None, &format!("<body>live</body>{FORGED}"))
    });
    fed.run();
    assert_eq!(fed.message(WITCH_PLACE, "live").payload, "<body>live</body>");
    let kept = fed.history(COVEN_AT_ROOMS).pop().unwrap();
    assert_eq!(kept.1.payload, "<body>live</body>");
}

#[test]
fn nobody_says_anything_in_the_receivers_name_in_pages() {
    let mut fed = coven();
    let at = now_of(&fed);
    for liar in [COVEN, COVEN_AT_CONF] {
        let text = format!("<body>page of {liar}</body>");
        let nick = if liar == COVEN {
            "nick='foo'"
        } else {
            "nick='faust'"
        };
        let lie = event(liar, (7, 1), &at, nick, &format!("{text}{FORGED}"));
        lie_in_page(&mut fed, liar, COVEN_AT_ROOMS, &lie);
        let kept = fed.history(COVEN_AT_ROOMS);
        let payloads: Vec<&str> = kept.iter().map(|(_, kept)| kept.payload.as_str()).collect();
        assert!(payloads.contains(&text.as_str()), "{payloads:?}");
    }
}

#[test]
fn a_history_in_the_words_of_the_xep_carries_nothing_of_ours() {
    let said = format!(
        "<body>hail</body><occupant-id xmlns='urn:xmpp:occupant-id:0' id='somebody'/>\
         <event xmlns='urn:x-dmuc:0' id='somebodys' origin='theroom@chat.shakespeare.lit' inc='{MAX_NUMBER}' \
         seq='{MAX_NUMBER}' at='{MAX_WALL_MS}.0'/>"
    );
    let fed = shadow_of_a_xep_source_with(LITERAL, &said);
    let engine = &fed.host(CHAT).engine;
    let here = bare("theroom@chat.shakespeare.lit");
    let held: Vec<_> = engine.messages(&here).collect();
    assert_eq!(held.len(), 1);
    let (entry, key) = (held[0], &held[0].key);
    assert_eq!(
        (key.origin.as_str(), key.incarnation),
        ("heath@rooms.macbeth.lit", 0)
    );
    assert_eq!(&*entry.payload, "<body>hail</body>");
    assert_eq!(
        (entry.id == "somebodys", entry.occupant_id.as_deref()),
        (false, None)
    );
    assert!(key.at.wall_ms <= EPOCH_MS + fed.now_ms);
}

/// That numbers were used which are lost here is proved by what others have seen, and bounded; what was said here since the
/// start is never theirs to tell.
#[test]
fn who_claims_to_have_seen_more_of_an_instance_moves_its_life_within_bounds_and_says_nothing_for_it() {
    let mut fed = coven();
    let own = next_stamp(&mut fed, WITCH_PLACE, "mine");
    fed.run();
    let at = now_of(&fed);
    for (inc, seq) in [
        (own.incarnation, own.seq + 1),
        (own.incarnation + 5, 3),
        (MAX_NUMBER, 1),
    ] {
        let lie = event(
            COVEN_AT_ROOMS,
            (own.incarnation, own.seq + 1),
            &at,
            "nick='witch'",
            "<body>lie</body>",
        );
        let seen = format!("<seen origin='{COVEN_AT_ROOMS}' inc='{inc}' numbers='1-{seq}'/>");
        for _ in 0..3 {
            lie_in_page(&mut fed, COVEN, COVEN_AT_ROOMS, &format!("{lie}{seen}"));
        }
    }
    assert!(!texts(&fed, COVEN_AT_ROOMS).contains(&"lie".to_owned()));
    let next = next_stamp(&mut fed, WITCH_PLACE, "next");
    assert!(next.incarnation > own.incarnation + 5);
    assert!(next.incarnation < EPOCH_MS + fed.now_ms + (1 << 27), "{next:?}");
    fed.run();
    assert_eq!(fed.message(FOO, "next").nick, "witch", "peers take it");
}

/// A shadow's own moderation counts for nothing and its number for known: who asks the source for it is not told, and does
/// not go on asking.
#[test]
fn what_the_source_has_passed_over_is_not_asked_for_again_and_again() {
    let mut fed = coven();
    let at = now_of(&fed);
    let nobodys = "<moderate xmlns='urn:x-dmuc:0' id='any'/>";
    let page = [
        event(
            COVEN_AT_CONF,
            (1 << 50, 1),
            &at,
            "nick='faust'",
            "<body>words</body>",
        ),
        event(COVEN_AT_CONF, (1 << 50, 2), &at, "", nobodys),
    ];
    lie_in_page(&mut fed, COVEN_AT_CONF, COVEN, &page.concat());
    fed.run_for(60_000);
    assert!(texts(&fed, COVEN_AT_ROOMS).contains(&"words".to_owned()));
    fed.trace.clear();
    fed.run_for(600_000);
    let pulls = fed
        .trace
        .iter()
        .filter(|line| line.contains(" sends ") && line.contains("<sync "));
    assert_eq!(pulls.count(), 0);
}

/// The source may not know somebody yet whose home it cannot reach, and relays a third service's words with that person's
/// occupant-id: at home they know better.
#[test]
fn what_is_relayed_does_not_speak_as_somebody_at_the_receiver() {
    let mut fed = coven();
    let room = bare(COVEN_AT_ROOMS);
    let hers = fed.host(ROOMS).room(&room).occupant_id(&full(WITCH).to_bare());
    let at = now_of(&fed);
    let attrs = format!("nick='faust' occupant='{hers}'");
    let page = event(COVEN_AT_CONF, (7_000, 1), &at, &attrs, "<body>I am she</body>");
    lie_in_page(&mut fed, COVEN, COVEN_AT_ROOMS, &page);
    let (text, said) = fed.history(COVEN_AT_ROOMS).pop().unwrap();
    assert_eq!((text.as_str(), said.occupant_id), ("I am she", None));
}

/// As for a message that does not get through.
#[test]
fn what_is_set_aside_without_being_asked_for_is_heard_all_the_same() {
    let mut fed = coven();
    let own = next_stamp(&mut fed, FOO, "one");
    fed.run();
    let (inc, seq) = (own.incarnation, own.seq + 1);
    let lie = format!("<aside origin='{COVEN}' inc='{inc}' seq='{seq}' event='x'/>");
    lie_in_page(&mut fed, COVEN, COVEN_AT_ROOMS, &lie);
    fed.say(FOO, "two");
    fed.run();
    assert!(texts(&fed, COVEN_AT_ROOMS).contains(&"two".to_owned()));
}
