//! Splits that are over soon, and links that go up and down: what people see of those behind them is bounded.

use dmuc::config::SplitPresence;
use dmuc::engine::LinkState;

use crate::support::event::Seen;
use crate::support::federation::{Federation, config_of};
use crate::support::names::*;
use crate::support::net::Mode;

const MINUTE_MS: u64 = 60_000;

/// crone1 at the source, ten people at the shadow.
fn coven(how: SplitPresence) -> Federation {
    let mut fed = Federation::empty(1);
    for service in [CHAT, ROOMS] {
        let mut config = config_of(service, &[CHAT, ROOMS]);
        config.split_presence = how;
        fed.add(config);
    }
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    fed.join(FOO, CRONE1);
    for n in 0..10 {
        fed.join(
            &format!("{COVEN_AT_ROOMS}/thane{n}"),
            &format!("thane{n}@macbeth.lit/x"),
        );
    }
    fed.run();
    fed.forget();
    fed
}

fn link(fed: &Federation) -> LinkState {
    fed.host(CHAT).engine.link_state(&bare(ROOMS))
}

fn run_until(fed: &mut Federation, state: LinkState) {
    let enough = fed.now_ms + 100_000;
    while link(fed) != state {
        assert!(fed.step(enough), "the link does not become {state:?}");
    }
}

fn cut(fed: &mut Federation) {
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Bounces);
    run_until(fed, LinkState::Down);
}

fn heal(fed: &mut Federation) {
    fed.net.heal();
    run_until(fed, LinkState::Up);
}

/// How many presences of the people at the shadow were shown at the source that say they are away or left, and others.
fn presences(fed: &Federation) -> (usize, usize) {
    let seen = fed.seen(FOO).into_iter();
    let shown: Vec<bool> = seen
        .filter_map(|seen| match seen {
            Seen::Presence { payload, .. } => Some(payload.contains("<show>xa</show>")),
            Seen::Gone { .. } => Some(true),
            _ => None,
        })
        .collect();
    let out = shown.iter().filter(|is_out| **is_out).count();
    (out, shown.len() - out)
}

#[test]
fn who_is_gone_and_back_within_seconds_is_not_shown_as_gone() {
    for how in [SplitPresence::Away, SplitPresence::Leave] {
        let mut fed = coven(how);
        cut(&mut fed);
        heal(&mut fed);
        fed.run_for(100_000);
        assert_eq!(presences(&fed), (0, 0), "{how:?}");
        assert_eq!(fed.roster(COVEN), fed.roster(COVEN_AT_ROOMS));
    }
}

#[test]
fn who_leaves_meanwhile_is_shown_as_that_and_nobody_else_is() {
    let mut fed = coven(SplitPresence::Away);
    cut(&mut fed);
    fed.leave(&format!("{COVEN_AT_ROOMS}/thane3"));
    heal(&mut fed);
    fed.run_for(100_000);
    assert_eq!(presences(&fed), (1, 0));
    assert_eq!(fed.roster(COVEN), fed.roster(COVEN_AT_ROOMS));
}

#[test]
fn a_link_that_goes_up_and_down_floods_a_room_once_a_minute() {
    for how in [SplitPresence::Away, SplitPresence::Leave] {
        let mut fed = coven(how);
        let began = fed.now_ms;
        let mut splits = 0;
        while fed.now_ms < began + 20 * MINUTE_MS {
            cut(&mut fed);
            // Long enough to be seen.
            fed.run_for(8_000);
            heal(&mut fed);
            splits += 1;
        }
        fed.run_for(100_000);
        let (out, back) = presences(&fed);
        assert_eq!(out, back, "everybody is shown as they are in the end");
        let (floods, minutes) = (out as u64 / 10, (fed.now_ms - began) / MINUTE_MS);
        assert!(splits > minutes, "{splits} splits");
        assert!(
            (5..=minutes).contains(&floods),
            "{floods} floods in {minutes} minutes, {how:?}"
        );
        assert_eq!(fed.roster(COVEN), fed.roster(COVEN_AT_ROOMS));
    }
}

#[test]
fn a_split_that_outlasts_the_pause_between_two_floods_is_seen() {
    let mut fed = coven(SplitPresence::Away);
    for _ in 0..2 {
        cut(&mut fed);
        fed.run_for(8_000);
        heal(&mut fed);
    }
    assert_eq!(presences(&fed), (10, 10), "the second was over too soon");
    cut(&mut fed);
    fed.run_for(65_000);
    assert_eq!(presences(&fed), (20, 10));
    // Newcomers see what everybody sees.
    let late = format!("{COVEN}/late");
    fed.join(&late, "late@shakespeare.lit/x");
    let is_out =
        |seen: &Seen| matches!(seen, Seen::Presence { payload, .. } if payload.contains("<show>xa</show>"));
    assert_eq!(fed.seen(&late).iter().filter(|seen| is_out(seen)).count(), 10);
}
