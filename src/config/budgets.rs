//! What one peer may use of this service besides what has an option of its own in [`Config`](super::Config): each of these
//! counts over all rooms of a peer unless it says otherwise, and what happens beyond it is in docs/PROTOCOL.md section 16.

use super::Reader;
use crate::error::ConfigError;

/// Limits on what is kept for a peer, and on how often it makes something happen (G13). All are inclusive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budgets {
    /// `dmuc_max_presence_bytes_per_peer`: bytes of extensions in presences of its people. Beyond: these are shown without.
    /// The default is 1.6 KiB for each of `dmuc_max_occupants_per_peer`.
    pub max_presence_bytes: usize,
    /// `dmuc_max_listed_per_peer`: entries of the lists of affiliations of its rooms, and hats. Beyond: left out, and told.
    pub max_listed: usize,
    /// `dmuc_max_roster_bytes_per_peer`: bytes of rosters of which the last part has not come. Beyond:
    /// `resource-constraint`. The default is two of the largest.
    pub max_roster_bytes: usize,
    /// `dmuc_max_voice_requests`: requests for voice of its people that moderators here are shown in a minute. Beyond:
    /// `resource-constraint`.
    pub max_voice_requests: u32,
    /// `dmuc_max_lives`: how often an hour one of its instances may have the one here begin a new life. Beyond: what proves it
    /// is passed over.
    pub max_lives: u32,
    /// `dmuc_max_origins`: instances, now and once, of which one room keeps messages. Beyond: messages of others are passed
    /// over. Each is remembered for as long as the room is.
    pub max_origins: usize,
    /// `dmuc_max_split_notices`: how often a minute the people in one room are told that the link to one peer is down. Beyond:
    /// they are told when a minute has passed, if it still is.
    pub max_split_notices: u32,
    /// `dmuc_max_stanzas`: stanzas that are handled in a second, and twice as many at once after a rest. Beyond: what comes
    /// from there is read more slowly.
    pub max_stanzas: u32,
}

impl Default for Budgets {
    fn default() -> Budgets {
        Budgets {
            max_presence_bytes: 32 * 1024 * 1024,
            max_listed: 100_000,
            max_roster_bytes: 64 * 1024 * 1024,
            max_voice_requests: 20,
            max_lives: 6,
            max_origins: crate::wire::limits::MAX_INSTANCES,
            max_split_notices: 4,
            max_stanzas: 1_000,
        }
    }
}

impl Budgets {
    pub(super) fn read(&mut self, read: &Reader<'_>) -> Result<(), ConfigError> {
        let bytes = 65_536..=1 << 40;
        for (option, slot, range) in [
            (
                "dmuc_max_presence_bytes_per_peer",
                &mut self.max_presence_bytes,
                bytes.clone(),
            ),
            (
                "dmuc_max_roster_bytes_per_peer",
                &mut self.max_roster_bytes,
                bytes,
            ),
            ("dmuc_max_listed_per_peer", &mut self.max_listed, 0..=10_000_000),
            (
                "dmuc_max_origins",
                &mut self.max_origins,
                2..=crate::wire::limits::MAX_INSTANCES as u64,
            ),
        ] {
            read.count(option, slot, *range.start(), *range.end())?;
        }
        for (option, slot) in [
            ("dmuc_max_voice_requests", &mut self.max_voice_requests),
            ("dmuc_max_lives", &mut self.max_lives),
            ("dmuc_max_split_notices", &mut self.max_split_notices),
        ] {
            read.count(option, slot, 1, 1_000_000)?;
        }
        read.count("dmuc_max_stanzas", &mut self.max_stanzas, 10, 1_000_000)
    }
}
