//! End to end: real Prosody servers, real client connections.

mod asking;
mod bad_input;
mod community;
mod creating;
mod destroying;
mod entry;
mod finding;
mod governing;
mod ids;
mod joining;
mod lasting;
mod members_only;
mod options;
mod ordinary;
mod payloads;
mod presences;
mod private;
mod redirects;
mod refusals;
mod replicating;
mod splits;
mod stage;
mod story;
mod subjects;
mod support;
mod xep_only;
