//! Splits and resync: links that are cut, stalled, swallow or are slow; servers that are killed, restarted, away. Real
//! clients on all sides throughout. Afterwards nothing is lost, nothing doubled, and everyone agrees (G3, G4, G6 to G9).
//!
//! [`scene`] has the people and what they do, [`evidence`] judges what they saw (pure, with tests of its own),
//! [`agreement`] collects that and is how nearly every test here ends.

mod absence;
pub mod agreement;
mod clashes;
mod crashes;
mod crowds;
mod enduring;
mod evidence;
mod faults;
mod kept;
mod mixed;
mod partial;
mod people;
mod resumed;
mod rulings;
pub mod scene;
mod settings;
mod soak;
mod unreachable;

use std::time::Duration;

use dmuc_testbed::{Builder, Storage, Version, scaled};

use crate::support::three;

/// `dmuc_link_timeout` of the servers here.
pub const LINK_TIMEOUT: Duration = Duration::from_secs(3);

/// The largest page of an archive here: those of thousands of messages are read as a whole again and again.
pub const MAX_PAGE: usize = 250;

/// Three services that notice quickly.
pub fn hasty(label: &str, version: Version, storage: Storage) -> Builder {
    noticing(label, LINK_TIMEOUT, version, storage)
}

/// Three services that take a link for dead after this.
pub fn noticing(label: &str, link_timeout: Duration, version: Version, storage: Storage) -> Builder {
    three(label, version, storage)
        .muc_line("dmuc_ping_interval = 1")
        .muc_line(&format!("max_archive_query_results = {MAX_PAGE}"))
        .muc_line(&format!("dmuc_link_timeout = {}", link_timeout.as_secs()))
}

/// How long to wait for what follows the end of a fault: a peer is tried after 2, 4, 8 … s and some jitter.
pub fn patience() -> Duration {
    scaled(Duration::from_secs(40))
}
