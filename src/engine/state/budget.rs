//! Budgets: how much one peer may ask for and leave here, however fast it is and however many rooms it has (G13).
//!
//! A [`Bucket`] is about work that is done and over, a [`Tally`] about what stays. Both are told the time.

/// How often something may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    /// So many units
    pub(crate) units: u64,
    /// in so long,
    pub(crate) period_ms: u64,
    /// and after a rest so many more at once.
    pub(crate) burst: u64,
}

impl Rate {
    fn unit_us(self) -> u64 {
        (self.period_ms * 1_000 / self.units.max(1)).max(1)
    }
}

/// What has been used of a [`Rate`]. What is spent at once beyond the burst has to be waited for afterwards.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bucket {
    /// When everything that was spent will have been refilled (monotonic us).
    full_at: u64,
}

impl Bucket {
    /// Whether a unit may be spent now.
    pub(crate) fn has_some(&self, now_ms: u64, rate: Rate) -> bool {
        let filled_by = now_ms.saturating_mul(1_000);
        self.full_at.saturating_add(rate.unit_us())
            <= filled_by.saturating_add(rate.burst.max(1) * rate.unit_us())
    }

    /// When a unit may be spent at the earliest (monotonic ms).
    pub(crate) fn ready_at_ms(&self, rate: Rate) -> u64 {
        let unit = rate.unit_us();
        let at = self.full_at.saturating_add(unit);
        at.saturating_sub(rate.burst.max(1) * unit).div_ceil(1_000)
    }

    /// Spends units, whether there are as many or not.
    pub(crate) fn spend(&mut self, now_ms: u64, rate: Rate, units: u64) {
        let cost = units.saturating_mul(rate.unit_us());
        self.full_at = self
            .full_at
            .max(now_ms.saturating_mul(1_000))
            .saturating_add(cost);
    }

    /// Whoever has spent a great deal waits no longer than this for the next unit.
    pub(crate) fn owe_at_most(&mut self, now_ms: u64, rate: Rate, most_ms: u64) {
        let most_us = most_ms.saturating_mul(1_000) + (rate.burst.max(1) - 1) * rate.unit_us();
        let most = now_ms.saturating_mul(1_000).saturating_add(most_us);
        self.full_at = self.full_at.min(most);
    }

    /// Spends a unit if there is one. Returns whether there was.
    pub(crate) fn take(&mut self, now_ms: u64, rate: Rate) -> bool {
        let has_some = self.has_some(now_ms, rate);
        if has_some {
            self.spend(now_ms, rate, 1);
        }
        has_some
    }
}

/// How long something counts as full without being counted again.
const RECOUNT_MS: u64 = 1_000;

/// At most how much a peer has here. What goes is not noted: it is counted when it seems to be too much, once a second at
/// most, so that neither who is in order nor who is not costs a count for each thing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    /// Not known before it is counted for the first time.
    most: Option<usize>,
    full_until: u64,
}

impl Tally {
    /// Adds units unless that would be more than `limit`; `count` says how many there are. Returns whether they were added.
    pub(crate) fn add(
        &mut self,
        now_ms: u64,
        units: usize,
        limit: usize,
        count: impl FnOnce() -> usize,
    ) -> bool {
        let is_enough = |most: usize| most.saturating_add(units) > limit;
        if self.most.is_none_or(is_enough) {
            if now_ms < self.full_until {
                return false;
            }
            let counted = count();
            self.most = Some(counted);
            if is_enough(counted) {
                self.full_until = now_ms + RECOUNT_MS;
                return false;
            }
        }
        self.most = self.most.map(|most| most.saturating_add(units));
        true
    }

    /// Something has come past it: it is counted when the next thing comes.
    pub(crate) fn forget(&mut self) {
        *self = Tally::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        units: 10,
        period_ms: 1_000,
        burst: 20,
    };

    #[test]
    fn a_burst_and_then_the_rate() {
        let mut bucket = Bucket::default();
        let taken = |bucket: &mut Bucket, now_ms| (0..100).filter(|_| bucket.take(now_ms, RATE)).count();
        assert_eq!(taken(&mut bucket, 5_000), 20);
        assert_eq!(taken(&mut bucket, 5_099), 0);
        assert_eq!(bucket.ready_at_ms(RATE), 5_100);
        assert_eq!(taken(&mut bucket, 5_100), 1);
        assert_eq!(taken(&mut bucket, 6_100), 10);
        assert_eq!(
            taken(&mut bucket, 1_000_000),
            20,
            "no more, however long the rest"
        );
    }

    #[test]
    fn what_is_spent_beyond_it_is_waited_for() {
        let mut bucket = Bucket::default();
        assert!(bucket.take(0, RATE));
        bucket.spend(0, RATE, 39);
        assert!(!bucket.has_some(2_099, RATE));
        assert!(bucket.has_some(2_100, RATE));
        bucket.spend(0, RATE, u64::MAX);
        assert!(!bucket.take(u64::MAX / 2_000, RATE));
    }

    #[test]
    fn debts_have_an_end() {
        let mut bucket = Bucket::default();
        bucket.spend(0, RATE, u64::MAX);
        bucket.owe_at_most(0, RATE, 500);
        assert_eq!(bucket.ready_at_ms(RATE), 500);
        assert!(!bucket.has_some(499, RATE) && bucket.has_some(500, RATE));
        // Who owes less is owed nothing for it.
        let mut bucket = Bucket::default();
        bucket.spend(0, RATE, 21);
        bucket.owe_at_most(0, RATE, 500);
        assert_eq!(bucket.ready_at_ms(RATE), 200);
    }

    #[test]
    fn what_there_is_is_counted_when_it_seems_too_much() {
        let mut tally = Tally::default();
        let never = || unreachable!("this need not be counted");
        assert!(tally.add(0, 1, 3, || 1));
        assert!(tally.add(0, 1, 3, never));
        assert!(!tally.add(0, 1, 3, || 3));
        assert!(!tally.add(999, 1, 3, never), "not again so soon");
        assert!(tally.add(1_000, 1, 3, || 1), "two have gone");
        tally.forget();
        assert!(!tally.add(1_000, 1, 3, || 5));
    }
}
