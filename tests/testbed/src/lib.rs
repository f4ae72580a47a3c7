//! Federations of real Prosody servers on loopback addresses, for tests, the demo and the benches.
//!
//! ```no_run
//! use dmuc_testbed::Federation;
//! # async fn f() -> anyhow::Result<()> {
//! let fed = Federation::builder().start().await?;
//! let alice = fed[0].client("crone1", "desktop").await?;
//! let bob = fed[1].client("firstwitch", "mobile").await?;
//! alice.create_room("coven@chat.shakespeare.lit", "firstcrone", &[]).await?;
//! bob.join("coven@chat.shakespeare.lit", "firstwitch").await?;
//! alice.say("coven@chat.shakespeare.lit", "Thrice the brinded cat hath mew'd.").await?;
//! bob.expect_body("Thrice the brinded cat hath mew'd.").await?;
//! fed.finish().await?;
//! # Ok(()) }
//! ```
//!
//! A [`Federation`] gets its own block of loopback addresses, its own certificate authority, its own name
//! resolution and a TCP proxy on every link. Nothing asks the internet, and nothing outlives the process: the
//! servers are killed with it, whatever way it ends. A federation that is not [finished](Federation::finish)
//! leaves its folder (configurations, logs, data) behind and prints where.
//!
//! Nothing here sleeps in order to wait: waiting is for an event, with a generous deadline ([`deadline`]).

mod address;
mod background;
mod client;
mod component;
mod config;
mod control;
mod federation;
mod inbox;
mod install;
mod lines;
mod link;
mod log;
mod pki;
mod prosodyctl;
mod proxy;
mod server;
mod stats;
mod stream;
mod suites;
mod waiting;
mod wire;
mod xml;

pub use client::{Client, JoinError, Joined, MamItem};
pub use component::ComponentClient;
pub use config::{ServerSpec, Storage};
pub use control::Control;
pub use federation::{Builder, Federation};
pub use inbox::Inbox;
pub use install::Version;
pub use lines::{Line, skipped};
pub use link::Link;
pub use log::LogStore;
pub use prosodyctl::Said;
pub use proxy::{Direction, Mode};
pub use server::Server;
pub use stats::{Count, LinkCount, Stats};
pub use suites::Suite;
pub use waiting::{deadline, scaled};
pub use wire::packed;
pub use xml::{body, code_list, error_condition, noise, set_attr, stanza, to_string};

pub use minidom::Element;
pub use serde_json::Value;
pub use xmpp_parsers::jid;
