//! Runs seeds, in parallel, shrinks what fails, and says how to run it again.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::plan::Plan;
use crate::regressions;
use crate::shrink::{kind, shrink};
use crate::support::outputs;
use crate::world::World;

/// Seeds of a plain `cargo test`.
const SEEDS: u64 = 2_000;
/// Of a window.
const WINDOW: u64 = 100;
/// How many failures are shrunk: the others are likely to be the same. `DMUC_SIM_SHRINK` says otherwise.
const SHRUNK: usize = 4;

/// What went wrong, and what had been done until then.
pub struct Failure {
    pub error: String,
    pub story: Vec<String>,
}

/// Runs one plan; the error names the guarantee that does not hold, or is a panic's message.
pub fn simulate(plan: Plan, is_traced: bool) -> Result<(), Failure> {
    let mut world = World::new(plan);
    world.fed.is_traced = is_traced;
    QUIET.set(!is_traced);
    let result = catch_unwind(AssertUnwindSafe(|| world.run())).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("panic: {}", text.unwrap_or_default()))
    });
    QUIET.set(false);
    if is_traced {
        for line in &world.fed.trace {
            println!("{line}");
        }
    }
    let story = world.story;
    result.map_err(|error| Failure { error, story })
}

thread_local! {
    /// A schedule that panics is reported later, in the order of the seeds.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

fn hush() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !QUIET.get() {
            hook(info);
        }
    }));
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

/// One seed with everything that happens, or with the steps of `DMUC_SIM_KEEP` only.
fn replay(seed: u64) {
    let mut plan = Plan::of(seed);
    if let Ok(kept) = std::env::var("DMUC_SIM_KEEP") {
        plan = plan.keeping(&numbers(&kept));
    }
    println!("seed {seed}\n{plan}");
    if std::env::var_os("DMUC_SIM_SAVE").is_some() {
        regressions::save(&plan);
    }
    if let Err(failure) = simulate(plan, true) {
        panic!("seed {seed}: {}", failure.error);
    }
}

/// `0-3,7` as 0, 1, 2, 3, 7.
fn numbers(text: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to) = (from.trim().parse(), to.trim().parse());
        let (Ok(from), Ok(to)) = (from, to) else {
            panic!("DMUC_SIM_KEEP: {part:?} is no range of steps")
        };
        from..=to
    };
    text.split(',').flat_map(range).collect()
}

/// The other way round.
fn ranges(numbers: &[usize]) -> String {
    let runs = numbers.chunk_by(|a, b| a + 1 == *b);
    let run = |run: &[usize]| match run {
        [one] => one.to_string(),
        [first, .., last] => format!("{first}-{last}"),
        [] => String::new(),
    };
    runs.map(run).collect::<Vec<_>>().join(",")
}

fn report(seed: u64, error: &str, is_shrunk: bool) {
    let replay = "cargo test --test sim every -- --nocapture";
    if !is_shrunk {
        println!("seed {seed}: {error}\n  replay: DMUC_SIM_SEED={seed} {replay}");
        return;
    }
    let (plan, failure) = shrink(Plan::of(seed), error);
    println!("seed {seed}: {}", failure.error);
    println!("the smallest schedule found that fails so:\n{plan}what happens then:");
    for line in &failure.story {
        println!("  {line}");
    }
    let kept = ranges(&plan.numbers());
    println!("  replay: DMUC_SIM_SEED={seed} DMUC_SIM_KEEP={kept} {replay}\n");
}

/// How many failed in which way.
fn summary(failures: &[(u64, String)]) {
    let mut kinds: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (seed, error) in failures {
        kinds.entry(kind(error)).or_default().push(*seed);
    }
    for (kind, seeds) in kinds {
        println!(
            "{kind}: {} schedules, the first {:?}",
            seeds.len(),
            &seeds[..seeds.len().min(12)]
        );
    }
}

#[test]
fn every_schedule_keeps_the_guarantees() {
    if let Some(seed) = number("DMUC_SIM_SEED") {
        return replay(seed);
    }
    let seeds = number("DMUC_SIM_SEEDS").or(number("SEEDS")).unwrap_or(SEEDS);
    let first = number("DMUC_SIM_FIRST").unwrap_or(0);
    play(first, seeds);
}

/// Every commit plays schedules that no other has: which ones follows from its hash, `DMUC_SIM_WINDOW` (run-tests.sh sets it).
#[test]
fn schedules_that_nobody_has_run_keep_the_guarantees() {
    let Ok(hash) = std::env::var("DMUC_SIM_WINDOW") else {
        println!("skipped: DMUC_SIM_WINDOW names no commit");
        return;
    };
    if number("DMUC_SIM_SEED").is_none() {
        play(window(&hash), WINDOW);
    }
}

/// The first seed of the window of a commit. Seeds below 2^32 are those that people name.
fn window(hash: &str) -> u64 {
    let digits = hash.get(..12).unwrap_or_default();
    let number = u64::from_str_radix(digits, 16)
        .unwrap_or_else(|_| panic!("DMUC_SIM_WINDOW={hash:?} is not the hash of a commit"));
    (1 << 32) + number * WINDOW
}

#[test]
fn windows_of_different_commits_share_no_schedule() {
    let (one, next) = (window("00000000000a98"), window("00000000000bff"));
    assert_eq!(next - one, WINDOW);
    assert!(window("ffffffffffff") > one);
}

#[allow(clippy::disallowed_methods, reason = "it measures itself")]
fn play(first: u64, seeds: u64) {
    let step = number("DMUC_SIM_STEP").unwrap_or(1);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicU64::new(0);
    let started = Instant::now();
    hush();
    let work = || {
        let mut failures = Vec::new();
        loop {
            let count = next.fetch_add(1, Ordering::Relaxed);
            if count >= seeds {
                return failures;
            }
            let seed = first + count * step;
            outputs::name(&format!("seed-{seed}"));
            if let Err(failure) = simulate(Plan::of(seed), false) {
                failures.push((seed, failure.error));
            }
        }
    };
    let mut failures: Vec<(u64, String)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_default())
            .collect()
    });
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{seeds} schedules from {first} on in {seconds:.1} s, {:.0} per second",
        seeds as f64 / seconds
    );
    failures.sort();
    let shrunk = number("DMUC_SIM_SHRINK").map_or(SHRUNK, |count| count as usize);
    // One of each kind.
    let mut kinds = BTreeSet::new();
    for (count, (seed, error)) in failures.iter().enumerate() {
        let is_shrunk = kinds.len() < shrunk && kinds.insert(kind(error));
        if is_shrunk || count < 20 {
            report(*seed, error, is_shrunk);
        }
    }
    summary(&failures);
    assert!(
        failures.is_empty(),
        "{} of {seeds} schedules from {first} on failed",
        failures.len()
    );
}

#[test]
fn steps_to_keep_are_written_as_ranges() {
    for text in ["0", "0-3,7", "2,4,6-9"] {
        assert_eq!(ranges(&numbers(text)), text);
    }
}
