//! What two services should have alike, and administrators get wrong: the clock, and how large a message may be.
//!
//! Both are in some answers to a digest: those to a service that has just been loaded or come back, and one in a while. The
//! time of an answer lies between those of the question and of its arrival, however slow the link is; what is outside of that by
//! more than a minute is no delay.

use crate::address::BareJid;

use super::state::clock::Now;
use super::state::instance::{Instance, Stage};
use super::{Engine, LinkOverview, Notice};
use crate::wire::Digest;

/// Clocks may differ by this without a word.
const MOST_SKEW_MS: u64 = 60_000;
/// How often answers that nobody asked for have the time and the limit.
const STAMP_EVERY_MS: u64 = 600_000;
/// No peer gets its answers in smaller pieces than this, whatever it says that it takes.
const LEAST_BYTES: usize = 8_192;
/// What has been told is not told again sooner, even if it was right in the meantime.
const TELL_EVERY_MS: u64 = 3_600_000;

/// What has been found out about one peer service.
#[derive(Debug, Clone, Default)]
pub(super) struct Unlike {
    /// When an answer of ours last had the time and the limit (monotonic ms).
    stamped_at: Option<u64>,
    /// By how much its clock is ahead of ours (ms), and the most bytes that it takes, as it said last.
    ahead_ms: Option<i64>,
    takes: Option<u64>,
    clock: Told,
    limit: Told,
}

impl Unlike {
    /// By how much its clock is ahead of ours (ms), as it said last.
    pub(super) fn ahead_ms(&self) -> Option<i64> {
        self.ahead_ms
    }

    /// The most bytes that it takes, as it said last.
    pub(super) fn takes(&self) -> Option<u64> {
        self.takes
    }
}

/// Whether a difference stands, and when it was last told (monotonic ms).
#[derive(Debug, Clone, Default)]
struct Told {
    stands: bool,
    at: Option<u64>,
}

impl Told {
    /// Takes note of whether there is a difference. Returns whether it has to be told.
    fn is_news(&mut self, now: Now, is_unlike: bool) -> bool {
        let is_new = is_unlike && !self.stands;
        if is_new && self.at.is_some_and(|at| now.mono_ms < at + TELL_EVERY_MS) {
            return false;
        }
        self.stands = is_unlike;
        if is_new {
            self.at = Some(now.mono_ms);
        }
        is_new
    }
}

impl LinkOverview {
    /// Whether its clock differs from ours by more than may be without a word.
    pub fn is_clock_wrong(&self) -> bool {
        self.ahead_ms.is_some_and(is_wrong)
    }
}

impl Engine {
    /// An answer to a digest, with the time and the limit where it is due.
    pub(super) fn stamped(&mut self, now: Now, service: &BareJid, hello: bool, answer: Digest) -> Digest {
        let takes = self.config.max_stanza_size as u64;
        let Some(link) = self.links.get_mut(service) else {
            return answer;
        };
        let stamped_at = &mut link.unlike.stamped_at;
        if !hello && stamped_at.is_some_and(|at| now.mono_ms < at + STAMP_EVERY_MS) {
            return answer;
        }
        *stamped_at = Some(now.mono_ms);
        Digest {
            time: Some(now.wall_ms),
            takes: Some(takes),
            ..answer
        }
    }

    /// Compares what a service says of itself in an answer with what is so here. That it differs is told in the rooms that
    /// are shared with it: if there is none yet, with a later answer.
    pub(super) fn note_unlike(&mut self, now: Now, service: &BareJid, answer: &Digest, sent_at: u64) {
        let ours = self.config.max_stanza_size as u64;
        let rooms = self.shared_rooms(service);
        let Some(link) = self.links.get_mut(service) else {
            return;
        };
        let unlike = &mut link.unlike;
        unlike.ahead_ms = answer
            .time
            .map(|time| ahead(now, time, sent_at))
            .or(unlike.ahead_ms);
        unlike.takes = answer.takes.or(unlike.takes);
        if rooms.is_empty() {
            return;
        }
        let mut notices = Vec::new();
        if let Some(ahead_ms) = unlike.ahead_ms
            && unlike.clock.is_news(now, is_wrong(ahead_ms))
        {
            notices.push(Notice::ClockDiffers { ahead_ms });
        }
        if let Some(theirs) = unlike.takes
            && unlike.limit.is_news(now, theirs < ours)
        {
            notices.push(Notice::TakesLess { theirs, ours });
        }
        for notice in notices {
            for room in &rooms {
                self.note(room, service, notice.clone());
            }
        }
    }

    /// As much of `usual` bytes as the service takes in one stanza: it may have a smaller limit than most.
    pub(super) fn most_bytes(&self, service: &BareJid, usual: usize) -> usize {
        let takes = self.links.get(service).and_then(|link| link.unlike.takes);
        let takes = takes.and_then(|takes| usize::try_from(takes).ok());
        takes.map_or(usual, |takes| usual.min(takes.max(LEAST_BYTES)))
    }

    /// The rooms of which the service has an instance that takes part.
    fn shared_rooms(&self, service: &BareJid) -> Vec<BareJid> {
        let is_active =
            |(jid, instance): (&BareJid, &Instance)| jid.is_at(service) && instance.stage == Stage::Active;
        let rooms = self.rooms.values();
        let shared = rooms.filter(|room| room.instances.iter().any(is_active));
        shared.map(|room| room.jid.clone()).collect()
    }
}

fn is_wrong(ahead_ms: i64) -> bool {
    ahead_ms.unsigned_abs() > MOST_SKEW_MS
}

/// By how much a clock that showed `time` at some moment since `sent_at` (monotonic ms) is at least ahead of ours, or behind.
fn ahead(now: Now, time: u64, sent_at: u64) -> i64 {
    let earliest = now.wall_ms.saturating_sub(now.mono_ms.saturating_sub(sent_at));
    let by = |to: u64, from: u64| i64::try_from(to.saturating_sub(from)).unwrap_or(i64::MAX);
    match time > now.wall_ms {
        true => by(time, now.wall_ms),
        false => -by(earliest, time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_link_is_no_wrong_clock() {
        let now = Now {
            mono_ms: 50_000,
            wall_ms: 1_000_000,
        };
        // Sent 40 s ago.
        for (time, expected) in [
            (1_000_000, 0),
            (960_000, 0),
            (990_000, 0),
            (1_000_700, 700),
            (959_000, -1_000),
            (0, -960_000),
        ] {
            assert_eq!(ahead(now, time, 10_000), expected, "{time}");
        }
        assert_eq!(ahead(now, u64::MAX, 10_000), i64::MAX);
    }

    #[test]
    fn a_difference_is_told_once_and_again_after_it_was_gone() {
        let mut told = Told::default();
        let at = |mono_ms| Now { mono_ms, wall_ms: 0 };
        assert!(!told.is_news(at(0), false));
        assert!(told.is_news(at(1), true));
        assert!(!told.is_news(at(2), true));
        assert!(!told.is_news(at(3), false));
        // Not every time that it comes and goes.
        assert!(!told.is_news(at(4), true));
        assert!(told.is_news(at(2 + TELL_EVERY_MS), true));
        assert!(!told.is_news(at(3 + TELL_EVERY_MS), true));
    }
}
