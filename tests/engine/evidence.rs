//! What shows that a peer is there: its answers, and for a while whatever else it sends, behind which answers have to wait.

use dmuc::engine::LinkState;

use crate::scenes;
use crate::support::federation::{Federation, config_of};
use crate::support::names::*;
use crate::support::net::Mode;

fn coven() -> Federation {
    let mut fed = scenes::shared(&[CHAT, ROOMS]);
    fed.join(FOO, CRONE1);
    fed.join(WITCH_PLACE, WITCH);
    fed.run();
    fed.forget();
    fed.at(&bare(CHAT), |host| host.notices.clear());
    fed.at(&bare(ROOMS), |host| host.notices.clear());
    fed
}

fn state(fed: &Federation, here: &str, there: &str) -> LinkState {
    fed.host(here).engine.link_state(&bare(there))
}

/// A connection that takes one message a second: the rest waits, and so does every answer.
#[test]
fn a_link_over_which_a_burst_arrives_is_not_down() {
    let mut fed = coven();
    let count = 200;
    for number in 0..count {
        fed.net.direction(&bare(CHAT), &bare(ROOMS)).latency_ms = number * 1_000 + 20;
        fed.say(FOO, &format!("{number}"));
    }
    fed.net.direction(&bare(CHAT), &bare(ROOMS)).latency_ms = 20;
    fed.run_for(count * 1_000 + 120_000);
    for service in [CHAT, ROOMS] {
        assert_eq!(fed.notices(service), [""; 0], "{service}");
    }
    assert_eq!(fed.given_up, []);
    let all: Vec<String> = (0..count).map(|number| number.to_string()).collect();
    assert_eq!(fed.heard(WITCH_PLACE), all);
    assert_eq!(state(&fed, CHAT, ROOMS), LinkState::Up);
    assert_eq!(state(&fed, ROOMS, CHAT), LinkState::Up);
}

#[test]
fn a_direction_that_is_cut_alone_is_found_while_the_other_is_busy() {
    for is_talkative in [true, false] {
        let mut fed = coven();
        fed.net.set_direction(&bare(ROOMS), &bare(CHAT), Mode::Swallows);
        for number in 0..30 {
            if is_talkative {
                fed.say(FOO, &format!("{number}"));
            }
            fed.run_for(5_000);
        }
        let both = [state(&fed, CHAT, ROOMS), state(&fed, ROOMS, CHAT)];
        assert_eq!(both, [LinkState::Down; 2], "talkative: {is_talkative}");
    }
}

#[test]
fn a_question_that_was_lost_does_not_wait_for_what_else_arrives() {
    let mut fed = coven();
    fed.run_for(100_000);
    // Something changes, and the digest that tells of it is lost; everything else arrives.
    fed.net.set_direction(&bare(CHAT), &bare(ROOMS), Mode::Swallows);
    fed.set_subject(FOO, "Toil");
    let digests = |fed: &Federation| fed.net.stanzas(&bare(CHAT), &bare(ROOMS));
    let before = digests(&fed);
    let until = fed.now_ms + 60_000;
    while digests(&fed) == before && fed.step(until) {}
    fed.net.set_direction(&bare(CHAT), &bare(ROOMS), Mode::Up);
    for _ in 0..20 {
        fed.say(WITCH_PLACE, "hail");
        fed.run_for(5_000);
    }
    assert_eq!(fed.subject(COVEN_AT_ROOMS), "Toil");
}

/// Heartbeats of the peer come as regularly as ours, but never just after one of ours.
#[test]
fn what_came_before_the_last_heartbeat_counts_as_well() {
    let mut fed = Federation::empty(1);
    for service in [CHAT, ROOMS] {
        let mut config = config_of(service, &[CHAT, ROOMS]);
        (config.ping_interval_ms, config.link_timeout_ms) = (2_000, 6_000);
        fed.add(config);
    }
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    fed.join(FOO, CRONE1);
    fed.join(WITCH_PLACE, WITCH);
    fed.run();
    for latency in [20, 500, 900, 1_300, 1_700] {
        fed.forget();
        fed.net.direction(&bare(ROOMS), &bare(CHAT)).latency_ms = latency;
        for number in 0..150 {
            fed.net.direction(&bare(CHAT), &bare(ROOMS)).latency_ms = number * 150;
            fed.say(FOO, &format!("{number}"));
        }
        fed.net.direction(&bare(CHAT), &bare(ROOMS)).latency_ms = 20;
        fed.run_for(40_000);
        for service in [CHAT, ROOMS] {
            let splits = fed.notices(service);
            assert!(
                !splits.iter().any(|notice| notice.contains("Split")),
                "{latency}: {splits:?}"
            );
        }
        assert_eq!(fed.heard(WITCH_PLACE).len(), 150);
    }
}

/// Something bounces, the peer is asked whether it is there, and the question is lost: what comes from there meanwhile does
/// not answer it.
#[test]
fn a_lost_question_whether_the_peer_is_there_is_asked_again() {
    let mut fed = coven();
    fed.run_for(100_000);
    fed.net.set_direction(&bare(CHAT), &bare(ROOMS), Mode::Bounces);
    fed.say(FOO, "hail");
    fed.net.set_direction(&bare(CHAT), &bare(ROOMS), Mode::Swallows);
    let until = fed.now_ms + 60_000;
    while state(&fed, CHAT, ROOMS) != LinkState::Suspect && fed.step(until) {}
    fed.net.set_direction(&bare(CHAT), &bare(ROOMS), Mode::Up);
    for _ in 0..20 {
        fed.say(WITCH_PLACE, "hail");
        fed.run_for(5_000);
    }
    assert_eq!(state(&fed, CHAT, ROOMS), LinkState::Up);
}
