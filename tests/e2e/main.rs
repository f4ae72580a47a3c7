//! End to end: real Prosody servers, real client connections.

mod asking;
mod creating;
mod finding;
mod joining;
mod redirects;
mod refusals;
mod presences;
mod replicating;
mod stage;
mod story;
mod support;
mod xep_only;
