//! The simulator: random schedules on modelled federations, in virtual time, with checkers for the guarantees of
//! DESIGN section 1.
//!
//! `cargo test --test sim` runs a few hundred seeds. `DMUC_SIM_SEEDS=N` runs N, in as many threads as there are
//! processors; `DMUC_SIM_SEED=K` replays one with everything that happened. A failure prints that command.

// In tests a panic is the verdict; clippy's exception covers only the #[test] functions themselves, not their helpers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod check;
mod deeds;
mod plan;
mod runner;
mod world;
