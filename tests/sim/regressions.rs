//! Schedules that failed once, as they were when they did: a seed means another schedule as soon as plans are made
//! differently, so each is kept whole, in `regressions/`, named after its seed.
//!
//! `DMUC_SIM_SAVE=1` with `DMUC_SIM_SEED` and `DMUC_SIM_KEEP` adds one.

use std::fs;
use std::path::{Path, PathBuf};

use crate::plan::Plan;
use crate::runner::simulate;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sim/regressions")
}

/// Keeps a schedule: what it begins with and its steps, a line each.
pub fn save(plan: &Plan) {
    let path = folder().join(format!("{}.json", plan.seed));
    let setup = serde_json::to_string(&plan.setup).unwrap();
    let steps: Vec<String> = plan
        .steps
        .iter()
        .map(|step| serde_json::to_string(step).unwrap())
        .collect();
    let text = format!(
        "{{\"seed\": {}, \"setup\": {setup}, \"steps\": [\n  {}\n]}}\n",
        plan.seed,
        steps.join(",\n  ")
    );
    fs::create_dir_all(folder()).unwrap();
    fs::write(&path, text).unwrap();
    println!("kept as {}", path.display());
}

fn all() -> Vec<Plan> {
    let files = fs::read_dir(folder()).unwrap();
    let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    let read = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    paths.iter().map(read).collect()
}

#[test]
fn schedules_that_failed_once_pass() {
    let plans = all();
    assert!(!plans.is_empty());
    let failed: Vec<String> = plans
        .into_iter()
        .filter_map(|plan| {
            let seed = plan.seed;
            let failure = simulate(plan, false).err()?;
            Some(format!("{seed}: {}", failure.error))
        })
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn a_kept_schedule_is_read_back_as_it_was() {
    let plan = Plan::of(42);
    let text = serde_json::to_string(&plan).unwrap();
    let read: Plan = serde_json::from_str(&text).unwrap();
    assert_eq!(format!("{plan:?}"), format!("{read:?}"));
}
