//! Leaves steps out of a schedule that fails, as long as it still fails in the same way.

use std::time::{Duration, Instant};

use crate::plan::Plan;
use crate::runner::{Failure, simulate};

/// Most runs spent on one schedule.
const MOST_RUNS: usize = 400;
const MOST_TIME: Duration = Duration::from_secs(20);

/// Which checker, as far as the text tells: `G4`, `panic`.
pub fn kind(error: &str) -> &str {
    for (words, kind) in [
        (" refuses with ", "refusal"),
        (" is told of ", "notice"),
        ("not converge", "G6 in time"),
    ] {
        if error.contains(words) {
            return kind;
        }
    }
    // "room 0 (…): G6: …" names the room first.
    let start = error.find("): G").map_or(0, |at| at + 3);
    let end = error[start..].find(':').map_or(error.len(), |at| start + at);
    &error[start..end]
}

/// The smallest schedule found that fails as `error` says, and how it fails.
pub fn shrink(plan: Plan, error: &str) -> (Plan, Failure) {
    shrink_with(plan, |plan| {
        simulate(plan, false)
            .err()
            .filter(|failure| kind(&failure.error) == kind(error))
    })
}

#[allow(clippy::disallowed_methods, reason = "patience is no part of a run")]
fn shrink_with(plan: Plan, fails: impl Fn(Plan) -> Option<Failure>) -> (Plan, Failure) {
    let mut kept = plan.numbers();
    let mut last = fails(plan.clone()).unwrap_or_else(|| Failure {
        error: "it does not fail again: the run depends on more than its seed".to_owned(),
        story: Vec::new(),
    });
    let started = Instant::now();
    let (mut runs, mut size) = (0, kept.len().div_ceil(2).max(1));
    loop {
        let (mut at, mut is_smaller) = (0, false);
        while at < kept.len() && runs < MOST_RUNS && started.elapsed() < MOST_TIME {
            let end = (at + size).min(kept.len());
            let mut fewer = kept.clone();
            fewer.drain(at..end);
            runs += 1;
            match fails(plan.keeping(&fewer)) {
                Some(failure) => (kept, last, is_smaller) = (fewer, failure, true),
                None => at = end,
            }
        }
        if runs >= MOST_RUNS || started.elapsed() >= MOST_TIME || size == 1 && !is_smaller {
            return (plan.keeping(&kept), last);
        }
        size = (size / 2).max(1);
    }
}

#[test]
fn only_the_steps_that_matter_are_left() {
    let plan = Plan::of(1);
    let needs = [3, 11, 17];
    let (shrunk, _) = shrink_with(plan, |plan| {
        let numbers = plan.numbers();
        needs
            .iter()
            .all(|number| numbers.contains(number))
            .then(|| Failure {
                error: "G4".to_owned(),
                story: Vec::new(),
            })
    });
    assert_eq!(shrunk.numbers(), needs);
}

#[test]
fn failures_are_told_apart_by_their_checker() {
    assert_eq!(kind("G4: stay 3 has not seen it"), "G4");
    assert_eq!(kind("room 0 (room0@rooms.s0.example): G6: message 3"), "G6");
    assert_eq!(kind("rooms.s0.example refuses with StanzaError"), "refusal");
    assert_eq!(kind("panic: index out of bounds"), "panic");
}
