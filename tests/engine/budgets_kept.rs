//! What is kept for a peer, and how often it makes something happen: each limit has an option, and beyond it nothing but what
//! is over it is lost (G13).

use std::collections::BTreeSet;

use dmuc::config::Budgets;
use dmuc::engine::Notice;
use dmuc::wire::{Affiliation, Condition};

use crate::budgets::stored_life;
use crate::lies::iq;
use crate::lies_in_pages::{event, lie_in_page, now_of, texts};
use crate::support::federation::{Federation, config_of};
use crate::support::names::*;
use crate::support::net::Mode;

/// Two services, the first with these budgets; each room has its source there.
fn with(rooms: &[&str], change: impl Fn(&mut Budgets)) -> Federation {
    let mut fed = Federation::empty(1);
    for service in [CHAT, ROOMS] {
        let mut config = config_of(service, &[CHAT, ROOMS]);
        change(&mut config.budgets);
        fed.add(config);
    }
    for room in rooms {
        fed.distributed(&format!("{room}@{CHAT}"), CRONE1, &[]);
        fed.run();
    }
    fed
}

fn refusals(fed: &Federation, service: &str) -> Vec<Condition> {
    let refused = fed.host(service).refused.iter();
    refused.map(|(_, error)| error.condition).collect()
}

#[test]
fn extensions_of_a_peers_presences_are_kept_up_to_a_limit_over_all_its_rooms() {
    let mut fed = with(&["coven", "heath"], |budgets| budgets.max_presence_bytes = 10_000);
    let mood = format!("<status>{}</status>", "x".repeat(2_983));
    for number in 0..3 {
        for room in ["coven", "heath"] {
            let place = format!("{room}@{ROOMS}/n{number}");
            fed.join(&place, &format!("user{number}@macbeth.lit/x"));
            fed.update(&place, &mood);
            fed.run_for(2_000);
        }
    }
    let held = |fed: &Federation| -> Vec<usize> {
        let rooms = ["coven", "heath"].map(|room| bare(&format!("{room}@{CHAT}")));
        let shown = rooms
            .iter()
            .flat_map(|room| fed.host(CHAT).engine.remote_occupants(room));
        shown
            .map(|shown| shown.payload.map_or(0, |payload| payload.len()))
            .collect()
    };
    let bytes = held(&fed);
    assert_eq!(bytes.len(), 6, "everybody is there");
    assert_eq!(
        bytes.iter().filter(|bytes| **bytes == 3_000).count(),
        3,
        "{bytes:?}"
    );
    assert_eq!(bytes.iter().sum::<usize>(), 9_000);
    // Who leaves makes room.
    for room in ["coven", "heath"] {
        fed.leave(&format!("{room}@{ROOMS}/n0"));
    }
    fed.run_for(2_000);
    fed.update(&format!("heath@{ROOMS}/n2"), &mood.replace('x', "y"));
    fed.run();
    let bytes = held(&fed);
    assert_eq!(
        (bytes.len(), bytes.iter().sum::<usize>()),
        (4, 6_000),
        "{bytes:?}"
    );
}

#[test]
fn entries_of_a_peers_lists_are_kept_up_to_a_limit_over_all_its_rooms() {
    let mut fed = with(&["coven", "heath"], |budgets| budgets.max_listed = 10);
    fed.join(FOO, CRONE1);
    fed.join(&format!("heath@{CHAT}/foo"), CRONE1);
    for number in 0..8 {
        for room in ["coven", "heath"] {
            let place = format!("{room}@{CHAT}/foo");
            fed.affiliate(&place, &format!("user{number}@example.org"), Affiliation::Member);
        }
        fed.run_for(2_000);
    }
    fed.run();
    let listed = |service: &str, room: &str| {
        let room = bare(&format!("{room}@{service}"));
        fed.host(service).room(&room).affiliations.len()
    };
    let (coven, heath) = (listed(ROOMS, "coven"), listed(ROOMS, "heath"));
    assert_eq!(coven + heath, 10, "{coven} and {heath}");
    assert!(listed(CHAT, "coven") > 8, "at the source all are");
    let told = fed
        .host(ROOMS)
        .notices
        .iter()
        .filter(|(_, _, notice)| matches!(notice, Notice::Unfit { .. }));
    assert!(
        told.count() > 0,
        "administrators are told: {:?}",
        fed.host(ROOMS).notices
    );
}

#[test]
fn incomplete_rosters_of_a_peer_are_kept_up_to_a_limit_over_all_its_rooms() {
    let mut fed = with(&["coven", "heath"], |budgets| budgets.max_roster_bytes = 80_000);
    let part = |room: &str, number: usize| {
        let item = |n: usize| format!("<item affiliation='none' name='{room}{number}.{n}'/>");
        let items: String = (0..100).map(item).collect();
        let place = if number > 0 { " part='1'" } else { "" };
        let snapshot =
            format!("<snapshot xmlns='urn:x-dmuc:0' version='1' occupants='true' more='true'{place}/>");
        let roster = format!("<roster xmlns='urn:xmpp:dmuc:0'>{snapshot}{items}</roster>");
        iq(
            &format!("{room}@{ROOMS}"),
            &format!("{room}@{CHAT}"),
            "set",
            &roster,
        )
    };
    let before = refusals(&fed, CHAT).len();
    fed.hand_in(&bare(CHAT), &part("coven", 0));
    fed.hand_in(&bare(CHAT), &part("heath", 0));
    assert_eq!(refusals(&fed, CHAT)[before..], []);
    for number in 1..5 {
        fed.hand_in(&bare(CHAT), &part("coven", number));
    }
    assert_eq!(refusals(&fed, CHAT)[before..], [Condition::ResourceConstraint; 4]);
    // What makes it whole is no more of it.
    let last = part("heath", 9).replace(" more='true'", "");
    fed.run_for(2_000);
    fed.hand_in(&bare(CHAT), &last);
    assert_eq!(refusals(&fed, CHAT).len(), before + 4);
}

#[test]
fn moderators_are_shown_so_many_requests_for_voice_of_a_peer_in_a_minute() {
    let mut fed = with(&["coven"], |budgets| budgets.max_voice_requests = 3);
    fed.join(FOO, CRONE1);
    fed.run();
    let visitor =
        "<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='visitor'/></x>";
    for number in 0..10 {
        let (from, to) = (
            format!("{COVEN_AT_ROOMS}/v{number}"),
            format!("{COVEN}/v{number}"),
        );
        let stamp = format!("<occupant xmlns='urn:x-dmuc:0' serial='{}'/>", 100 + number);
        fed.hand_in(
            &bare(CHAT),
            &format!("<presence from='{from}' to='{to}'>{visitor}{stamp}</presence>"),
        );
    }
    let asks = |fed: &mut Federation, number: usize| {
        let voice = format!("<voice serial='{}' request='1'/>", 100 + number);
        let act = format!("<act xmlns='urn:x-dmuc:0' nick='v{number}'>{voice}</act>");
        fed.hand_in(&bare(CHAT), &iq(COVEN_AT_ROOMS, COVEN, "set", &act));
    };
    let before = refusals(&fed, CHAT).len();
    (0..10).for_each(|number| asks(&mut fed, number));
    assert_eq!(refusals(&fed, CHAT)[before..], [Condition::ResourceConstraint; 7]);
    let shown = |fed: &Federation| {
        let seen = fed.seen(FOO).into_iter();
        seen.filter(|seen| matches!(seen, crate::support::event::Seen::VoiceRequest { .. }))
            .count()
    };
    assert_eq!(shown(&fed), 3);
    // Another minute, another three.
    fed.now_ms += 60_000;
    (3..10).for_each(|number| asks(&mut fed, number));
    assert_eq!(shown(&fed), 6);
}

#[test]
fn one_room_keeps_messages_of_so_many_instances() {
    let mut fed = with(&["coven"], |budgets| budgets.max_origins = 4);
    fed.join(FOO, CRONE1);
    fed.join(WITCH_PLACE, WITCH);
    fed.say(FOO, "hail");
    fed.say(WITCH_PLACE, "to thee");
    fed.run();
    let at = now_of(&fed);
    let lies: String = (0..10)
        .map(|number| {
            let (origin, said) = (
                format!("coven@conference{number}.lit"),
                format!("<body>{number}</body>"),
            );
            let number = (1_795_000_000_000 + number, 1);
            event(&origin, number, &at, "nick='x'", &said)
        })
        .collect();
    lie_in_page(&mut fed, COVEN, COVEN_AT_ROOMS, &lies);
    let heard: BTreeSet<String> = texts(&fed, COVEN_AT_ROOMS).into_iter().collect();
    assert_eq!(
        heard.len(),
        4,
        "two of each that is there, and two more: {heard:?}"
    );
    assert!(heard.contains("hail") && heard.contains("to thee"));
    // Those that are known go on.
    fed.say(FOO, "good night");
    fed.run();
    assert!(texts(&fed, COVEN_AT_ROOMS).contains(&"good night".to_owned()));
}

/// How often people in the coven were told that the link to the other service is down, and up again.
fn told(fed: &Federation) -> (usize, usize) {
    let notices = || fed.host(CHAT).notices.iter().map(|(_, _, notice)| notice);
    (
        notices()
            .filter(|notice| matches!(notice, Notice::SplitBegan { .. }))
            .count(),
        notices()
            .filter(|notice| matches!(notice, Notice::SplitEnded))
            .count(),
    )
}

fn down(fed: &mut Federation) {
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Bounces);
    fed.say(FOO, "is anybody there?");
    fed.run_for(5_000);
}

#[test]
fn people_are_told_so_many_splits_in_a_minute_and_of_a_lasting_one_all_the_same() {
    let mut fed = Federation::empty(1);
    for service in [CHAT, ROOMS] {
        let mut config = config_of(service, &[CHAT, ROOMS]);
        config.budgets.max_split_notices = 1;
        fed.add(config);
    }
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    fed.join(FOO, CRONE1);
    fed.join(WITCH_PLACE, WITCH);
    fed.run();
    let begun = fed.now_ms;
    for _ in 0..4 {
        down(&mut fed);
        fed.net.heal();
        fed.run_for(5_000);
    }
    assert!(fed.now_ms - begun < 60_000);
    let (began, ended) = told(&fed);
    assert_eq!((began, ended), (1, 1), "each beginning that was told has its end");
    // This one stays: when a while has passed, people are told.
    down(&mut fed);
    assert_eq!(told(&fed), (1, 1));
    fed.run_for(60_000);
    assert_eq!(told(&fed), (2, 1));
    fed.net.heal();
    fed.run_for(120_000);
    assert_eq!(told(&fed), (2, 2));
}

#[test]
fn an_instance_is_asked_for_one_page_at_a_time_whatever_it_says_it_has() {
    let mut fed = with(&["coven"], |_| ());
    fed.join(WITCH_PLACE, WITCH);
    fed.run();
    (fed.is_traced, fed.trace) = (true, Vec::new());
    for number in 0..100 {
        let life = 1_795_000_000_000u64 + number;
        let line = format!(
            "<room id='coven' log='{life}.7' roster='{number}' settings='{life}' rest='{number:016x}'/>"
        );
        let digest = format!("<digest xmlns='urn:x-dmuc:0' life='{number}'>{line}</digest>");
        fed.hand_in(&bare(ROOMS), &iq(CHAT, ROOMS, "set", &digest));
    }
    let asked = fed
        .trace
        .iter()
        .filter(|line| line.contains(" sends <iq") && line.contains("<sync "));
    assert_eq!(asked.count(), 1);
    assert!(fed.host(ROOMS).engine.pending_requests() <= 4);
}

#[test]
fn how_many_lives_an_instance_can_bring_about_in_an_hour_is_an_option() {
    let mut fed = with(&["coven"], |budgets| budgets.max_lives = 2);
    fed.join(FOO, CRONE1);
    fed.say(FOO, "hail");
    fed.run();
    let mut lives = BTreeSet::new();
    for _ in 0..10 {
        let life = stored_life(&fed);
        let seen = format!("<seen origin='{COVEN}' inc='{life}' numbers='1-999999'/>");
        let sync = format!("<sync xmlns='urn:x-dmuc:0'>{seen}</sync>");
        lives.insert(life);
        fed.hand_in(&bare(CHAT), &iq(COVEN_AT_ROOMS, COVEN, "get", &sync));
        fed.run_for(100);
    }
    assert_eq!(lives.len(), 3, "the first, and two more");
}
