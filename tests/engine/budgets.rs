//! What one peer may ask for and leave here, over all its rooms (G13): beyond it the peer is refused, and nobody else is.

use dmuc::wire::Condition;

use crate::support::federation::{Federation, config_of};
use crate::support::names::*;

const SERVICES: [&str; 3] = [CHAT, ROOMS, CONF];
const COVEN_AT_CONF: &str = "coven@conference.marlowe.lit";

fn services(change: impl Fn(&mut dmuc::Config)) -> Federation {
    let mut fed = Federation::empty(1);
    for service in SERVICES {
        let mut config = config_of(service, &SERVICES);
        change(&mut config);
        fed.add(config);
    }
    fed
}

fn coven(change: impl Fn(&mut dmuc::Config)) -> Federation {
    let mut fed = services(change);
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    fed
}

/// Hands a service stanzas, and tells what they were refused with.
fn refused(fed: &mut Federation, service: &str, stanzas: impl IntoIterator<Item = String>) -> Vec<Condition> {
    let before = fed.host(service).refused.len();
    for xml in stanzas {
        fed.hand_in(&bare(service), &xml);
    }
    let refused = &fed.host(service).refused[before..];
    refused.iter().map(|(_, error)| error.condition).collect()
}

fn question(from: &str, id: usize) -> String {
    format!("<iq from='{from}' to='{COVEN}' id='q{id}' type='get'><sync xmlns='urn:x-dmuc:0'/></iq>")
}

fn replicate(from: &str, name: &str) -> String {
    format!(
        "<iq from='{from}' to='{CHAT}' id='r-{name}' type='set'><replicate xmlns='urn:xmpp:dmuc:0' \
         source='{name}@{from}'><room id='{name}'/></replicate></iq>"
    )
}

#[test]
fn a_peer_that_asks_without_end_waits_and_others_are_answered() {
    let mut fed = coven(|config| config.max_questions = 2);
    fed.run_for(60_000);
    let flood = refused(&mut fed, CHAT, (0..100).map(|id| question(COVEN_AT_ROOMS, id)));
    assert_eq!(flood, [Condition::ResourceConstraint; 80]);
    assert_eq!(refused(&mut fed, CHAT, [question(COVEN_AT_CONF, 0)]), []);
    // What it is refused it is told later.
    fed.run_for(1_000);
    let later = refused(&mut fed, CHAT, (100..110).map(|id| question(COVEN_AT_ROOMS, id)));
    assert_eq!(later, [Condition::ResourceConstraint; 8]);
}

#[test]
fn a_long_answer_counts_for_several_questions() {
    let mut fed = coven(|config| config.max_questions = 2);
    fed.join(FOO, CRONE1);
    fed.run();
    for number in 0..30 {
        fed.say(FOO, &format!("{number} {}", "x".repeat(4_000)));
    }
    fed.run();
    fed.run_for(60_000);
    // Each is a page of some 120 kB; of short answers all twenty would be given.
    let flood = refused(&mut fed, CHAT, (0..20).map(|id| question(COVEN_AT_ROOMS, id)));
    assert!(flood.len() >= 10, "{} of 20", flood.len());
}

#[test]
fn an_honest_peer_that_is_told_to_wait_gets_everything() {
    let mut fed = coven(|config| config.max_questions = 1);
    let rooms: Vec<String> = (0..40).map(|number| format!("heath{number}@{CHAT}")).collect();
    for room in &rooms {
        fed.distributed(room, CRONE1, &[]);
        fed.run();
        fed.join(&format!("{room}/foo"), CRONE1);
        fed.run();
    }
    fed.net
        .set_mode(&bare(CHAT), &bare(ROOMS), crate::support::net::Mode::Swallows);
    for room in &rooms {
        fed.say(&format!("{room}/foo"), "hail");
    }
    fed.run_for(300_000);
    fed.net.heal();
    fed.run();
    let refusals = fed.host(CHAT).refused.iter();
    assert!(
        refusals
            .filter(|(_, error)| error.condition == Condition::ResourceConstraint)
            .count()
            > 0
    );
    for number in 0..40 {
        assert_eq!(
            fed.history(&format!("heath{number}@{ROOMS}")).len(),
            1,
            "{number}"
        );
    }
}

#[test]
fn one_peer_gets_only_its_part_of_the_shadows() {
    let mut fed = services(|config| (config.max_shadows, config.max_shadows_per_peer) = (4, 3));
    fed.run();
    let many = (0..10).map(|number| replicate(ROOMS, &format!("heath{number}")));
    let many = refused(&mut fed, CHAT, many);
    assert_eq!(many, [Condition::ResourceConstraint; 7]);
    assert_eq!(refused(&mut fed, CHAT, [replicate(CONF, "study")]), []);
    assert_eq!(
        refused(&mut fed, CHAT, [replicate(CONF, "hell")]),
        [Condition::ResourceConstraint]
    );
}

#[test]
fn a_shadow_that_is_never_configured_makes_room_for_another() {
    let mut fed = services(|config| config.max_shadows = 1);
    fed.run();
    assert_eq!(refused(&mut fed, CHAT, [replicate(ROOMS, "heath")]), []);
    let full = [Condition::ResourceConstraint];
    assert_eq!(refused(&mut fed, CHAT, [replicate(CONF, "study")]), full);
    fed.run_for(11 * 60_000);
    assert_eq!(refused(&mut fed, CHAT, [replicate(CONF, "study")]), []);
    let at_chat = bare("heath@chat.shakespeare.lit");
    assert!(fed.host(CHAT).engine.room_info(&at_chat).is_none());
}

#[test]
fn the_occupants_of_a_peer_are_counted_over_all_its_rooms() {
    let mut fed = services(|config| config.max_occupants_per_peer = 5);
    let rooms = ["coven", "heath", "cavern"];
    for room in rooms {
        fed.distributed(&format!("{room}@{CHAT}"), CRONE1, &[]);
        fed.run();
    }
    let mut count = 0;
    for room in rooms {
        for number in 0..3 {
            let (place, user) = (
                format!("{room}@{ROOMS}/n{number}"),
                format!("user{number}@macbeth.lit/x"),
            );
            fed.join(&place, &user);
            fed.run_for(2_000);
        }
        count += fed.roster(&format!("{room}@{CHAT}")).len();
    }
    fed.run();
    assert_eq!(count, 5);
    assert_eq!(
        fed.roster(&format!("cavern@{ROOMS}")).len(),
        3,
        "nobody is sent away"
    );
    // Who leaves makes room, in whatever room it is.
    fed.leave(&format!("coven@{ROOMS}/n0"));
    fed.run_for(2_000);
    fed.join(&format!("cavern@{ROOMS}/late"), "late@macbeth.lit/x");
    fed.run();
    let left: usize = rooms
        .map(|room| fed.roster(&format!("{room}@{CHAT}")).len())
        .iter()
        .sum();
    assert_eq!(left, 5);
}

#[test]
fn the_rooms_of_a_peer_share_what_it_may_leave_here() {
    let mut fed = services(|config| config.max_bytes_per_peer = 1_048_576);
    let rooms: Vec<String> = (0..8).map(|number| format!("heath{number}")).collect();
    for room in &rooms {
        fed.distributed(&format!("{room}@{CHAT}"), CRONE1, &[]);
        fed.run();
        fed.join(&format!("{room}@{CHAT}/foo"), CRONE1);
        fed.run();
    }
    fed.say(&format!("{}@{CHAT}/foo", rooms[7]), "small");
    for room in &rooms[..7] {
        for number in 0..12 {
            fed.say(
                &format!("{room}@{CHAT}/foo"),
                &format!("{number} {}", "x".repeat(32_000)),
            );
            fed.run();
        }
    }
    let held = |service: &str, room: &str| -> usize {
        let history = fed.history(&format!("{room}@{service}"));
        history.iter().map(|(text, ..)| text.len()).sum()
    };
    let at_source: usize = rooms.iter().map(|room| held(CHAT, room)).sum();
    let at_shadow: usize = rooms.iter().map(|room| held(ROOMS, room)).sum();
    assert!(at_source > 7 * 12 * 32_000, "its own rooms are nobody's budget");
    assert!(at_shadow < 2 * 1_048_576, "{at_shadow}");
    assert!(held(ROOMS, &rooms[7]) > 0, "who keeps little loses nothing");
    assert!(held(ROOMS, &rooms[6]) > 0);
}

#[test]
fn a_roster_that_is_on_its_way_is_not_sent_again() {
    let mut fed = coven(|_| ());
    fed.join(FOO, CRONE1);
    fed.run();
    let ask = |id: usize| {
        format!(
            "<iq from='{COVEN_AT_ROOMS}' to='{COVEN}' id='q{id}' type='get'><roster xmlns='urn:xmpp:dmuc:0'/></iq>"
        )
    };
    assert_eq!(
        refused(&mut fed, CHAT, (0..5).map(ask)),
        [Condition::ResourceConstraint; 4]
    );
    fed.run();
    assert_eq!(refused(&mut fed, CHAT, [ask(5)]), []);
}

/// The life of the room at the source, as it is stored.
pub fn stored_life(fed: &Federation) -> String {
    let stored = fed.host(CHAT).stored.get(&bare(COVEN));
    let (_, rest) = stored.unwrap().split_once("incarnation='").unwrap();
    rest.split('\'').next().unwrap().to_owned()
}

#[test]
fn an_instance_begins_few_lives_however_often_it_is_proven_wrong() {
    let mut fed = coven(|_| ());
    fed.join(FOO, CRONE1);
    fed.say(FOO, "hail");
    fed.run();
    let mut lives = std::collections::BTreeSet::new();
    for id in 0..40 {
        let life = stored_life(&fed);
        let xml = format!(
            "<iq from='{COVEN_AT_ROOMS}' to='{COVEN}' id='q{id}' type='get'><sync xmlns='urn:x-dmuc:0'>\
             <seen origin='{COVEN}' inc='{life}' numbers='1-999999'/></sync></iq>"
        );
        lives.insert(life);
        fed.hand_in(&bare(CHAT), &xml);
        fed.run_for(100);
    }
    assert!((3..=8).contains(&lives.len()), "{}", lives.len());
}
