//! Thin links: bytes that arrive are life, and pages are as large as the line carries in a part of the link timeout.

use dmuc::engine::LinkState;
use dmuc::wire::Affiliation;

use crate::scenes;
use crate::support::event::{Crossing, Event};
use crate::support::federation::Federation;
use crate::support::names::*;
use crate::support::net::Mode;
use crate::support::talk::{ciphertext, words};

/// 2,400 bit/s.
const SHIP: u64 = 300;

fn ship(bytes_per_s: u64, latency_ms: u64) -> Federation {
    let mut fed = scenes::shared(&[CHAT, ROOMS]);
    fed.join(FOO, CRONE1);
    fed.join(WITCH_PLACE, WITCH);
    fed.run();
    for (a, b) in [(CHAT, ROOMS), (ROOMS, CHAT)] {
        let line = fed.net.direction(&bare(a), &bare(b));
        (line.bytes_per_s, line.latency_ms) = (Some(bytes_per_s), latency_ms);
    }
    fed.forget();
    fed
}

fn miss(fed: &mut Federation, count: usize, bytes: usize) -> Vec<String> {
    miss_of(fed, count, |number| words(number, bytes))
}

fn miss_of(fed: &mut Federation, count: usize, text: impl Fn(usize) -> String) -> Vec<String> {
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Swallows);
    fed.run_for(130_000);
    let said: Vec<String> = (0..count).map(text).collect();
    for text in &said {
        fed.say(FOO, text);
    }
    fed.forget();
    said
}

/// Until the shadow has them all, at most so long. Returns how long that took since the link was up again.
fn until_here(fed: &mut Federation, said: &[String], most_ms: u64) -> u64 {
    fed.net.heal();
    let states = |fed: &Federation| fed.host(ROOMS).engine.link_state(&bare(CHAT));
    let until = fed.now_ms + most_ms;
    while states(fed) == LinkState::Down {
        assert!(fed.step(until), "the link does not come up");
    }
    let began = fed.now_ms;
    while fed.heard(WITCH_PLACE).len() < said.len() {
        let heard = fed.heard(WITCH_PLACE).len();
        assert!(fed.step(until), "{heard} of {} have arrived", said.len());
        assert_ne!(
            states(fed),
            LinkState::Down,
            "called down after {} ms",
            fed.now_ms - began
        );
    }
    fed.now_ms - began
}

fn sent(fed: &mut Federation) -> u64 {
    fed.net.direction(&bare(CHAT), &bare(ROOMS)).bytes
}

/// How many events each page had.
fn pages(fed: &Federation) -> Vec<usize> {
    let pages = fed.events.iter().filter_map(|event| match event {
        Event::Crossed {
            what: Crossing::Synced(ids),
            ..
        } => Some(ids.len()),
        _ => None,
    });
    pages.filter(|events| *events > 0).collect()
}

#[test]
fn a_hundred_missed_messages_arrive_at_any_rate_in_little_more_than_the_lines_time() {
    for (bytes_per_s, count, bytes) in [
        (SHIP, 100, 60),
        (100, 60, 60),
        (1_200, 300, 200),
        (12_000, 1_000, 400),
    ] {
        let mut fed = ship(bytes_per_s, 300);
        let said = miss(&mut fed, count, bytes);
        let before = sent(&mut fed);
        let took_ms = until_here(&mut fed, &said, 3_600_000);
        assert_eq!(fed.heard(WITCH_PLACE), said, "once, in order");
        // What the messages alone come to in one page that is not packed.
        let each = said.iter().map(|text| 2 * text.len() as u64 + 210); // the id is the text
        let line_ms = each.sum::<u64>() * 1_000 / bytes_per_s;
        let sent_ms = (sent(&mut fed) - before) * 1_000 / bytes_per_s;
        assert!(
            took_ms * 2 <= line_ms,
            "{bytes_per_s} bytes/s: {took_ms} ms, of the line {line_ms} ms, sent {sent_ms} ms, pages {:?}",
            pages(&fed),
        );
    }
}

#[test]
fn a_page_takes_a_third_of_the_link_timeout_and_a_fast_link_has_large_ones() {
    for text in [words, ciphertext] {
        let mut fed = ship(SHIP, 300);
        let said = miss_of(&mut fed, 200, |number| text(number, 60));
        fed.net.largest = 0;
        until_here(&mut fed, &said, 3_600_000);
        // 20 s of 300 bytes, whatever is in it and however well it is packed, and the rest of the stanza.
        assert!(fed.net.largest <= 6_300, "{}", fed.net.largest);
    }

    let mut fed = ship(1_000_000, 20);
    let said = miss(&mut fed, 150, 60);
    until_here(&mut fed, &said, 60_000);
    assert_eq!(pages(&fed), [150]);
    // Far away and thick: the first page shows it.
    let mut fed = ship(1_000_000, 5_000);
    let said = miss(&mut fed, 150, 60);
    until_here(&mut fed, &said, 200_000);
    assert!(pages(&fed).len() <= 3, "{:?}", pages(&fed));
}

/// As from a peer that does not know how to make pages smaller.
#[test]
fn a_stanza_that_takes_longer_than_any_timeout_is_waited_for_while_its_bytes_arrive() {
    let mut fed = ship(SHIP, 300);
    let long = "y".repeat(75_000);
    fed.say(FOO, &long);
    for _ in 0..600 {
        fed.run_for(1_000);
        for (here, there) in [(CHAT, ROOMS), (ROOMS, CHAT)] {
            let state = fed.host(here).engine.link_state(&bare(there));
            assert_ne!(state, LinkState::Down, "at {here}");
        }
    }
    assert_eq!(fed.heard(WITCH_PLACE), [long]);
    for (here, there) in [(CHAT, ROOMS), (ROOMS, CHAT)] {
        let asked = fed.crossed(here, there);
        let digests = asked
            .iter()
            .filter(|what| **what == Crossing::Request("digest".to_owned()));
        let digests = digests.count();
        assert!(digests <= 25, "{digests} heartbeats of {here}");
    }
}

#[test]
fn a_line_that_falls_silent_is_called_down_in_time_though_bytes_had_come() {
    let mut fed = ship(SHIP, 300);
    fed.say(FOO, &"y".repeat(100_000));
    fed.run_for(100_000);
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Swallows);
    fed.net
        .reset(&bare(CHAT), &bare(ROOMS), crate::support::net::Reset::Loses);
    fed.run_for(62_000);
    assert_eq!(fed.host(ROOMS).engine.link_state(&bare(CHAT)), LinkState::Down);
}

/// A link that its pages have shown to be thin.
fn measured() -> Federation {
    let mut fed = ship(SHIP, 300);
    let said = miss(&mut fed, 30, 60);
    until_here(&mut fed, &said, 3_600_000);
    fed.run_for(120_000);
    fed.forget();
    fed
}

#[test]
fn a_thin_link_on_which_nobody_speaks_carries_next_to_nothing() {
    let mut fed = measured();
    let ways = [(CHAT, ROOMS), (ROOMS, CHAT)];
    let bytes = |fed: &mut Federation| ways.map(|(a, b)| fed.net.direction(&bare(a), &bare(b)).bytes);
    let before = bytes(&mut fed);
    fed.run_for(3_600_000);
    for (after, before) in bytes(&mut fed).into_iter().zip(before) {
        assert!(after - before <= 5_000, "{} bytes in an hour", after - before);
        assert!(after > before, "it is asked all the same");
    }
}

#[test]
fn a_fault_of_a_quiet_thin_link_is_noticed_in_time_by_who_speaks() {
    let speak: [fn(&mut Federation); 4] = [
        |fed| _ = fed.say(FOO, "is anybody there?"),
        |fed| fed.update(FOO, "<show>away</show>"),
        |fed| fed.set_subject(FOO, "Toil"),
        |fed| _ = fed.affiliate(FOO, "hag66@shakespeare.lit", Affiliation::Member),
    ];
    for (number, speak) in speak.into_iter().enumerate() {
        let mut fed = measured();
        fed.run_for(1_200_000 + 137_000 * number as u64);
        fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Swallows);
        speak(&mut fed);
        fed.run_for(60_500);
        let state = fed.host(CHAT).engine.link_state(&bare(ROOMS));
        assert_eq!(state, LinkState::Down, "{number}");
    }
}

/// A link whose answers take long: taken for thin until a page has come over it, and nobody speaks.
fn far() -> Federation {
    let mut fed = ship(1_000_000, 600);
    miss(&mut fed, 0, 0);
    fed.net.heal();
    fed.run_for(200_000);
    fed.forget();
    fed
}

/// Its next heartbeat is a long way off; then a page shows that it carries enough.
#[test]
fn a_fault_of_a_link_that_has_just_shown_not_to_be_thin_is_noticed_in_time() {
    let mut fed = far();
    fed.net.set_direction(&bare(ROOMS), &bare(CHAT), Mode::Swallows);
    fed.say(WITCH_PLACE, &"y".repeat(10_000));
    fed.run_for(10);
    fed.net.set_direction(&bare(ROOMS), &bare(CHAT), Mode::Up);
    fed.run_for(60_000);
    assert_eq!(fed.heard(FOO).len(), 1, "in a page");
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Swallows);
    fed.say(FOO, "is anybody there?");
    fed.run_for(60_500);
    let state = fed.host(CHAT).engine.link_state(&bare(ROOMS));
    assert_eq!(state, LinkState::Down);
}

/// That the link works shows the answer to something that was sent before it.
#[test]
fn a_decision_that_is_lost_on_a_thin_link_that_works_is_told_soon() {
    let mut fed = far();
    fed.configure(FOO, &[("muc#roomconfig_roomname", "The heath")]);
    fed.run_for(100);
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Swallows);
    fed.affiliate(FOO, "hag66@shakespeare.lit", Affiliation::Member);
    fed.run_for(10);
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Up);
    // The link timeout, in which it might be answered, and a heartbeat.
    fed.run_for(100_000);
    assert_eq!(fed.host(CHAT).engine.link_state(&bare(ROOMS)), LinkState::Up);
    let affiliation = fed.affiliation(COVEN_AT_ROOMS, "hag66@shakespeare.lit");
    assert_eq!(affiliation, Affiliation::Member);
}

/// What is said while a heartbeat is on its way is not vouched for by its answer.
#[test]
fn what_is_lost_on_a_quiet_thin_link_is_found_when_the_next_heartbeat_is_answered() {
    let mut fed = measured();
    fed.say(FOO, "one");
    fed.run_for(30_200);
    fed.net.set_direction(&bare(CHAT), &bare(ROOMS), Mode::Swallows);
    fed.say(FOO, "two");
    fed.run_for(10);
    fed.net.set_direction(&bare(CHAT), &bare(ROOMS), Mode::Up);
    fed.run_for(45_000);
    assert_eq!(fed.heard(WITCH_PLACE), ["one", "two"]);
}

#[test]
fn a_long_stanza_over_a_quiet_thin_link_does_not_take_it_down() {
    let mut fed = measured();
    fed.run_for(1_200_000);
    let long = "y".repeat(40_000);
    fed.say(FOO, &long);
    for _ in 0..330 {
        fed.run_for(1_000);
        for (here, there) in [(CHAT, ROOMS), (ROOMS, CHAT)] {
            let state = fed.host(here).engine.link_state(&bare(there));
            assert_ne!(state, LinkState::Down, "at {here}");
        }
    }
    assert_eq!(fed.heard(WITCH_PLACE), [long]);
}

/// The heartbeat that told of it is lost, too, and the one after it, which tells of nothing, is answered.
#[test]
fn what_is_lost_together_with_a_heartbeat_of_a_quiet_thin_link_is_found() {
    let mut fed = measured();
    fed.say(FOO, "one");
    fed.run_for(60_000);
    for (a, b) in [(CHAT, ROOMS), (ROOMS, CHAT)] {
        fed.net.set_direction(&bare(a), &bare(b), Mode::Swallows);
    }
    fed.say(FOO, "two");
    let is_told = |fed: &Federation| {
        fed.crossed(CHAT, ROOMS)
            .contains(&Crossing::Request("digest".to_owned()))
    };
    fed.forget();
    while !is_told(&fed) {
        fed.run_for(100);
    }
    fed.run_for(1_000);
    for (a, b) in [(CHAT, ROOMS), (ROOMS, CHAT)] {
        fed.net.set_direction(&bare(a), &bare(b), Mode::Up);
    }
    fed.run_for(120_000);
    let state = fed.host(CHAT).engine.link_state(&bare(ROOMS));
    assert_eq!(
        (state, fed.heard(WITCH_PLACE)),
        (LinkState::Up, vec!["two".to_owned()])
    );
}

/// What is said while it is brought up a second time is not sent to it, and it does not know that it lacks anything.
#[test]
fn a_shadow_that_is_brought_up_again_over_a_quiet_thin_link_soon_has_what_was_said_meanwhile() {
    const HEATH: &str = "heath@chat.shakespeare.lit";
    const HEATH_AT_ROOMS: &str = "heath@rooms.macbeth.lit";
    let mut fed = far();
    fed.distributed(HEATH, CRONE1, &[]);
    fed.join("heath@chat.shakespeare.lit/foo", CRONE1);
    // That it has its configuration is lost on the way, that it has its roster is not.
    let has_config = |fed: &Federation| {
        let host = fed.host(ROOMS);
        let room = host.rooms.get(&bare(HEATH_AT_ROOMS));
        room.is_some_and(|room| !room.form.fields.is_empty())
    };
    while !has_config(&fed) {
        // Whatever is said on the way there gets through.
        let mode = match fed.host(ROOMS).engine.rooms().count() {
            1 => Mode::Up,
            _ => Mode::Swallows,
        };
        fed.net.set_direction(&bare(ROOMS), &bare(CHAT), mode);
        assert!(fed.step(u64::MAX));
    }
    fed.net.set_direction(&bare(ROOMS), &bare(CHAT), Mode::Up);
    fed.run_for(50_000);
    let has_it = |fed: &Federation| fed.instances(HEATH).contains(HEATH_AT_ROOMS);
    assert!(has_it(&fed));
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Swallows);
    fed.run_for(130_000);
    assert!(!has_it(&fed), "it is brought up again");
    fed.say("heath@chat.shakespeare.lit/foo", "one");
    fed.net.heal();
    fed.run_for(200_000);
    assert!(has_it(&fed));
    assert_eq!(fed.history(HEATH_AT_ROOMS).len(), 1);
}
