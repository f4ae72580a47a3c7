//! Clocks that differ and services that take less than others: told once, with what it is.

use dmuc::Config;

use crate::support::federation::{Federation, config_of};
use crate::support::names::*;
use crate::support::net::Mode;

const HOUR_MS: u64 = 3_600_000;

fn is_about(line: &str) -> bool {
    line.contains("ClockDiffers") || line.contains("TakesLess")
}

/// What is told at a service of clocks and limits.
fn told(fed: &Federation, service: &str) -> Vec<String> {
    fed.notices(service)
        .into_iter()
        .filter(|line| is_about(line))
        .collect()
}

fn coven_in(mut fed: Federation, config: impl Fn(&str) -> Config) -> Federation {
    fed.add(config(CHAT));
    fed.add(config(ROOMS));
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    fed.join(FOO, CRONE1);
    fed.join(WITCH_PLACE, WITCH);
    fed.run();
    fed
}

fn usual(service: &str) -> Config {
    config_of(service, &[CHAT, ROOMS])
}

#[test]
fn clocks_that_differ_are_told_once_at_both_ends() {
    let mut fed = Federation::empty(1);
    fed.skew_ms.insert(bare(ROOMS), 600_000);
    let mut fed = coven_in(fed, usual);
    fed.run_for(2 * HOUR_MS);
    let ahead = format!("{COVEN} {ROOMS} ClockDiffers {{ ahead_ms: ");
    let behind = format!("{COVEN_AT_ROOMS} {CHAT} ClockDiffers {{ ahead_ms: -");
    for (service, line) in [(CHAT, ahead), (ROOMS, behind)] {
        let told = told(&fed, service);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with(&line), "{told:?}");
    }
}

#[test]
fn a_clock_that_goes_wrong_later_is_noticed_and_one_that_is_right_again_is_forgotten() {
    let mut fed = coven_in(Federation::empty(1), usual);
    fed.run_for(HOUR_MS);
    assert_eq!(told(&fed, CHAT), Vec::<String>::new());
    for times in 1..=2 {
        fed.skew_ms.insert(bare(ROOMS), -600_000);
        fed.run_for(HOUR_MS);
        assert_eq!(told(&fed, CHAT).len(), times, "{:?}", told(&fed, CHAT));
        fed.skew_ms.remove(&bare(ROOMS));
        fed.run_for(HOUR_MS);
    }
}

/// A link that takes half a minute each way says nothing of a clock.
#[test]
fn a_slow_link_is_no_wrong_clock() {
    let mut fed = coven_in(Federation::empty(1), |service| Config {
        link_timeout_ms: 300_000,
        ..usual(service)
    });
    fed.net.direction(&bare(CHAT), &bare(ROOMS)).latency_ms = 80_000;
    fed.run_for(2 * HOUR_MS);
    assert_eq!(told(&fed, CHAT), Vec::<String>::new());
    assert_eq!(told(&fed, ROOMS), Vec::<String>::new());
}

#[test]
fn who_takes_less_is_named_where_more_is_taken() {
    let mut fed = coven_in(Federation::empty(1), |service| Config {
        max_stanza_size: if service == ROOMS { 10_000 } else { 262_144 },
        ..usual(service)
    });
    fed.run_for(2 * HOUR_MS);
    let line = format!("{COVEN} {ROOMS} TakesLess {{ theirs: 10000, ours: 262144 }}");
    assert_eq!(told(&fed, CHAT), [line]);
    assert_eq!(told(&fed, ROOMS), Vec::<String>::new());
}

/// What was missed comes in stanzas that the other side takes.
#[test]
fn pages_are_as_small_as_the_peer_needs_them() {
    let mut fed = coven_in(Federation::empty(1), |service| Config {
        max_stanza_size: if service == ROOMS { 10_000 } else { 262_144 },
        ..usual(service)
    });
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Swallows);
    for _ in 0..20 {
        fed.say(FOO, &"a".repeat(5_000));
    }
    fed.run_for(HOUR_MS);
    fed.forget();
    fed.is_traced = true;
    fed.net.heal();
    fed.run_for(HOUR_MS);
    assert_eq!(fed.history(COVEN_AT_ROOMS), fed.history(COVEN));
    let most = fed.trace.iter().map(String::len).max().unwrap_or(0);
    assert!((5_000..20_000).contains(&most), "{most}");
}
