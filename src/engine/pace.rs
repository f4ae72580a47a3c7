//! How fast a peer is read. What a peer sends costs the one thread that serves everybody, whatever it comes to: also what is
//! refused. Whoever sends more than it may is not read for a moment, so that what others send has its turn in between;
//! nothing of what it sends is lost, and what it is sent goes out meanwhile (G13).

use super::input::Came;
use super::state::budget::{Bucket, Rate};
use super::state::clock::Now;
use super::{Action, Engine, Verdict};
use crate::error::Error;

/// So many bytes of a stanza count for as much as one more stanza.
const UNIT_BYTES: usize = 1_024;
/// A stanza that is refused counts for so many more: an honest peer has little of that, and there is no use in it.
const REFUSED_UNITS: u64 = 20;
/// After a rest so many seconds' stanzas are handled at once.
const BURST_S: u64 = 2;
/// A pause is not worth its while if it is shorter, nor to be made longer by less.
const SHORTEST_MS: u64 = 10;
/// The longest pause, and the most that is owed: heartbeats come in between.
const LONGEST_MS: u64 = 500;

/// What one peer has sent of what it may.
#[derive(Default)]
pub(super) struct Pace {
    sent: Bucket,
    /// Until when it is not read (monotonic ms).
    paused_until: u64,
}

impl Engine {
    fn pace_rate(&self) -> Rate {
        let units = u64::from(self.config.budgets.max_stanzas);
        Rate {
            units,
            period_ms: 1_000,
            burst: units * BURST_S,
        }
    }

    /// The longest pause: well within what makes a link count as silent.
    fn longest_pause(&self) -> u64 {
        LONGEST_MS.min(self.config.link_timeout_ms / 4)
    }

    /// A peer has sent something. If that was too much, the host does not read for a moment what comes from there.
    /// Answers that were asked for are free: they come as fast as they are asked for.
    pub(super) fn keep_pace(&mut self, now: Now, came: &Came, verdict: &Result<Verdict, Error>) {
        if !self.config.peers.contains_key(&came.service) {
            return;
        }
        let is_refused = match verdict {
            Ok(Verdict::Continue) => came.is_answer,
            Ok(_) if came.is_answer => return,
            Ok(_) => false,
            Err(_) => true,
        };
        let (rate, longest) = (self.pace_rate(), self.longest_pause());
        let refused = if is_refused { REFUSED_UNITS } else { 0 };
        let units = 1 + (came.weight / UNIT_BYTES) as u64 + refused;
        let pace = self.pace(&came.service);
        pace.sent.spend(now.mono_ms, rate, units);
        if pace.sent.has_some(now.mono_ms, rate) {
            return;
        }
        pace.sent.owe_at_most(now.mono_ms, rate, longest);
        let ready_at = pace.sent.ready_at_ms(rate).max(now.mono_ms + SHORTEST_MS);
        let until = ready_at.min(now.mono_ms + longest.max(SHORTEST_MS));
        if until >= pace.paused_until + SHORTEST_MS {
            pace.paused_until = until;
            self.actions.push_back(Action::SlowDown {
                service: came.service.clone(),
                pause_ms: until - now.mono_ms,
            });
        }
        // Its answers wait behind all that, because of us: even what is refused shows that they are on their way.
        self.heard(now, &came.service);
    }
}
