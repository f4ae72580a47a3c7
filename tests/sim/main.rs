//! The simulator: random schedules on modelled federations, in virtual time, with checkers for the guarantees of
//! DESIGN section 1.
//!
//! `cargo test --test sim` runs 2,000 seeds. `DMUC_SIM_SEEDS=N` runs N, in as many threads as there are processors,
//! from `DMUC_SIM_FIRST` on, of which `DMUC_SIM_STEP=M` takes each Mth. `DMUC_SIM_SEED=K` replays one with everything that happened, `DMUC_SIM_KEEP=0-3,7` only
//! these of its steps. A failure prints the smallest schedule found that fails so, and that command.

// In tests a panic is the verdict; clippy's exception covers only the #[test] functions themselves, not their helpers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod check;
mod deeds;
mod faults;
mod liars;
mod plan;
mod regressions;
mod rest;
mod rulings;
mod runner;
mod shrink;
mod upheavals;
mod views;
mod world;
