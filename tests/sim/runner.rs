//! Runs seeds, in parallel, and says how to run a failed one again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::plan::Plan;
use crate::world::World;

/// Seeds of a plain `cargo test`.
const SEEDS: u64 = 400;

/// Runs one plan; the error names the guarantee that does not hold, or is a panic's message.
pub fn simulate(plan: Plan, is_traced: bool) -> Result<(), String> {
    let mut world = World::new(plan);
    world.fed.is_traced = is_traced;
    let result = catch_unwind(AssertUnwindSafe(|| world.run())).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("panic: {}", text.unwrap_or_default()))
    });
    if is_traced {
        for line in &world.fed.trace {
            println!("{line}");
        }
    }
    result
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

#[test]
#[allow(clippy::disallowed_methods, reason = "it measures itself")]
fn every_schedule_keeps_the_guarantees() {
    if let Some(seed) = number("DMUC_SIM_SEED") {
        println!("{:#?}", Plan::of(seed).setup);
        simulate(Plan::of(seed), true).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        return;
    }
    let seeds = number("DMUC_SIM_SEEDS").or(number("SEEDS")).unwrap_or(SEEDS);
    let first = number("DMUC_SIM_FIRST").unwrap_or(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicU64::new(0);
    let started = Instant::now();
    let work = || {
        let mut failures = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return failures;
            }
            if let Err(error) = simulate(Plan::of(first + seed), false) {
                failures.push((first + seed, error));
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
        "{seeds} schedules in {seconds:.1} s, {:.0} per second",
        seeds as f64 / seconds
    );
    failures.sort();
    for (seed, error) in failures.iter().take(10) {
        println!("seed {seed}: {error}");
        println!("  replay: DMUC_SIM_SEED={seed} cargo test --test sim every -- --nocapture");
    }
    assert!(
        failures.is_empty(),
        "{} of {seeds} schedules failed",
        failures.len()
    );
}
