//! XEP-0281 on the wire: every example by its caption, then what the examples do not show.
//!
//! An example's test is its caption in snake case (a second one of the same caption gets `_2`); `spec` checks that none is
//! missing. Each is parsed into typed values and produced back, and compared as XML.

// In tests a panic is the verdict; clippy's exception covers only the #[test] functions themselves, not their helpers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support {
    pub mod generator;
    pub mod resync;
    pub mod spec;
    pub mod xml;
}

mod creating;
mod errors;
mod finding;
mod inviting;
mod joining;
mod limits;
mod malformed;
mod malformed_resync;
mod malformed_stanzas;
mod moderation;
mod pages;
mod payloads;
mod replicating;
mod resync;
mod round_trips;
mod sending;
mod slips;
