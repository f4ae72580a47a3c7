//! Distributed multi-user chat (XEP-0281): one room on several XMPP services.
//!
//! A **pure engine** ([`Engine`]) holds every distributed room, link and timer of one MUC service. It takes typed
//! inputs with the time as an argument, gives an immediate [`Verdict`], and queues [`Action`]s that the host drains.
//! It never reads a clock, a file, the network or the operating system's random source, never logs, never calls back.
//! Two thin bindings translate to it: the Lua module that `mod_dmuc` loads into Prosody (feature `lua`) and the C ABI of
//! `include/dmuc.h` (feature `capi`).
//!
//! ```text
//!  Prosody hook ──attrs, now──▶ mod_dmuc ──▶ lua ──┐        wire: XML <-> typed values
//!    verdict ◀───────────────────┘  ▲              ▼
//!  module:send, room:… ◀── actions  └── poll ── Engine ◀── capi ◀── C program, simulator
//! ```
//!
//! - [`engine`]: rooms, rosters, log, settings, links; `engine/*.rs` holds one sub-machine each.
//! - [`wire`]: every namespace and stanza; parses at the border, once.
//! - [`words`]: what hosts tell people and administrators.
//! - [`config`]: the options, checked once. [`snapshot`]: what is stored. [`ids`]: identifiers from the seed.
//!
//! Panics are bugs. A binding catches them, poisons the engine, and the host rebuilds it from what is stored; therefore
//! this crate must not be built with `panic = "abort"`.

// A function is read as one; what is a table says so where it stands.
#![deny(clippy::too_many_lines)]

pub mod address;
#[cfg(feature = "capi")]
pub mod capi;
pub mod config;
pub mod engine;
pub mod error;
pub mod ids;
pub mod inbound;
#[cfg(any(feature = "lua54", feature = "lua53", feature = "lua52", feature = "lua51"))]
mod lua;
pub mod snapshot;
pub mod succession;
pub mod wire;
pub mod words;

pub use config::Config;
pub use engine::{Action, Engine, Input, Now, Verdict};
pub use error::{ConfigError, Error, RestoreError};
pub use snapshot::Snapshot;
