//! Time as the engine sees it: an argument, never a reading.

use crate::wire::Hlc;

/// The time of an input. `mono_ms` never goes back while the engine lives and drives timers; `wall_ms` is Unix
/// time, may jump, and only orders and stamps messages. Snapshots keep wall time only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Milliseconds on a clock that never goes back.
    pub mono_ms: u64,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub wall_ms: u64,
}

/// How far into our future a peer's clock may pull ours (DESIGN section 3).
pub const MAX_CLOCK_LEAD_MS: u64 = 300_000;

/// Hybrid logical clock: wall time where clocks agree, causal order where they don't.
#[derive(Debug, Clone, Default)]
pub(crate) struct HybridClock {
    last: Hlc,
}

impl HybridClock {
    /// The time of a new event here: after everything seen so far.
    pub(crate) fn tick(&mut self, now: Now) -> Hlc {
        self.last = if now.wall_ms > self.last.wall_ms {
            Hlc {
                wall_ms: now.wall_ms,
                counter: 0,
            }
        } else {
            successor(self.last)
        };
        self.last
    }

    /// The time of something that has no event: nothing that was seen so far is later.
    pub(crate) fn reading(&self, now: Now) -> Hlc {
        let wall = Hlc {
            wall_ms: now.wall_ms,
            counter: 0,
        };
        self.last.max(wall)
    }

    /// Takes note of an event, whoever's: what is said here from now on comes after it. A time that lies too far in our
    /// future pulls our clock only so far, our own from before a restart included: a log may hold what a peer told us of
    /// ourselves, and peers would take none of it for the present either.
    pub(crate) fn observe(&mut self, now: Now, at: Hlc) {
        let latest = now.latest();
        // Nothing is added to what was cut: counting on from the largest counter would be a step beyond it.
        let taken = match at.wall_ms < latest.wall_ms {
            true => at,
            false => latest,
        };
        self.last = self.last.max(taken);
    }
}

impl Now {
    /// The latest time that counts as the present: clocks of peers may be so far ahead of ours.
    pub(crate) fn latest(self) -> Hlc {
        Hlc {
            wall_ms: self.wall_ms.saturating_add(MAX_CLOCK_LEAD_MS),
            counter: 0,
        }
    }
}

/// The next time after `at`.
pub(crate) fn successor(at: Hlc) -> Hlc {
    match at.counter.checked_add(1) {
        Some(counter) => Hlc {
            wall_ms: at.wall_ms,
            counter,
        },
        None => Hlc {
            wall_ms: at.wall_ms + 1,
            counter: 0,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(wall_ms: u64) -> Now {
        Now { mono_ms: 0, wall_ms }
    }

    #[test]
    fn ticks_grow_even_when_the_wall_clock_goes_back() {
        let mut clock = HybridClock::default();
        let first = clock.tick(now(1_000));
        let second = clock.tick(now(900));
        assert!(second > first);
        assert_eq!(
            second,
            Hlc {
                wall_ms: 1_000,
                counter: 1
            }
        );
    }

    #[test]
    fn an_answer_is_ordered_after_what_it_answers() {
        let (mut here, mut there) = (HybridClock::default(), HybridClock::default());
        let question = there.tick(now(10_000));
        here.observe(now(4_000), question);
        assert!(here.tick(now(4_001)) > question);
    }

    #[test]
    fn a_clock_too_far_in_the_future_pulls_ours_only_so_far() {
        let mut clock = HybridClock::default();
        clock.observe(
            now(1_000),
            Hlc {
                wall_ms: 10_000_000,
                counter: 3,
            },
        );
        assert!(clock.tick(now(1_001)).wall_ms <= 1_000 + MAX_CLOCK_LEAD_MS);
    }

    #[test]
    fn the_largest_counter_takes_the_clock_no_further() {
        let mut clock = HybridClock::default();
        let at = |wall_ms| Hlc {
            wall_ms,
            counter: u32::MAX,
        };
        for ahead in 0..3 {
            clock.observe(now(1_000), at(1_000 + MAX_CLOCK_LEAD_MS + ahead));
            assert_eq!(clock.tick(now(1_000)).wall_ms, 1_000 + MAX_CLOCK_LEAD_MS);
        }
    }
}
