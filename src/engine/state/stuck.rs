//! A message that does not get through: found by ever smaller pages, until it is alone in one (G13).

/// A page of which a quarter would be less is followed by one with a single event.
const LEAST_BYTES: u64 = 512;
/// How often a page with one event fails until that is set aside.
const TRIALS: u32 = 2;

/// What one instance could not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stuck {
    /// About how many bytes the page might have that failed last.
    failed: Option<u64>,
    /// How much has come since.
    passed: u64,
    /// How often a page with one event has failed.
    alone: u32,
}

impl Stuck {
    /// About the most bytes that the next page may have: with 1 it has one event.
    pub(crate) fn most(&self) -> Option<u64> {
        let quarter = self.failed? / 4;
        Some(if quarter < LEAST_BYTES { 1 } else { quarter })
    }

    /// Whether the next event is to be set aside.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.alone >= TRIALS
    }

    /// A page of at most so many bytes was asked for and did not come; `is_alone` if nothing else was in the way: something
    /// had come since it was asked for.
    pub(crate) fn failed(&mut self, bytes: u64, is_alone: bool) {
        (self.failed, self.passed) = (Some(bytes), 0);
        self.alone += u32::from(is_alone && bytes == 1);
    }

    /// A page came whose events have so many bytes. What was in the way was among as many as had failed.
    pub(crate) fn came(&mut self, bytes: u64) {
        (self.passed, self.alone) = (self.passed.saturating_add(bytes), 0);
        if self
            .failed
            .is_some_and(|failed| self.passed >= failed.max(LEAST_BYTES))
        {
            *self = Stuck::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_become_smaller_until_one_event_is_alone_and_that_is_tried_twice() {
        let mut stuck = Stuck::default();
        assert_eq!(stuck.most(), None);
        for (failed, next) in [
            (131_072, 32_768),
            (32_768, 8_192),
            (8_192, 2_048),
            (2_048, 512),
            (512, 1),
            (1, 1),
        ] {
            stuck.failed(failed, true);
            assert_eq!(stuck.most(), Some(next));
            assert!(!stuck.is_hopeless());
        }
        // As long as nothing comes at all it is the link.
        stuck.failed(1, false);
        assert!(!stuck.is_hopeless());
        stuck.failed(1, true);
        assert!(stuck.is_hopeless());
    }

    #[test]
    fn when_as_much_has_come_as_had_failed_pages_are_as_large_as_ever() {
        let mut stuck = Stuck::default();
        stuck.failed(8_192, true);
        stuck.came(2_000);
        assert_eq!(stuck.most(), Some(2_048));
        stuck.came(8_000);
        assert_eq!(stuck, Stuck::default());
    }
}
