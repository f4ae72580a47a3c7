//! Messages that a shadow would not show, and leaves to the source: it has seen their numbers, and takes them from nobody but
//! the source, which has refused them for everybody, or has not.

use std::collections::BTreeMap;

use super::{EventKey, Log};
use crate::address::BareJid;
use crate::wire::{Numbers, SeenNumbers};

/// How many ranges of one incarnation may wait for the source's word: as many as fit between the ranges that were seen. The
/// oldest are given up first (G13).
const MAX_RANGES_WITHHELD: usize = 24;
/// How many incarnations.
const MAX_WITHHELD: usize = 256;

impl Log {
    /// Leaves a message to the source. It counts as seen, for everybody else.
    pub(crate) fn withhold(&mut self, key: &EventKey) {
        let place = (key.origin.clone(), key.incarnation);
        let numbers = self.withheld.entry(place).or_default();
        numbers.insert(key.seq);
        while numbers.ranges().len() > MAX_RANGES_WITHHELD {
            let lowest = numbers.ranges().first().map_or(0, |(_, to)| *to);
            *numbers = numbers.from(lowest + 1);
        }
        while self.withheld.len() > MAX_WITHHELD {
            self.withheld.pop_first();
        }
    }

    /// Whether this waits for the source's word.
    pub(crate) fn is_withheld(&self, key: &EventKey) -> bool {
        let numbers = self.withheld.get(&(key.origin.clone(), key.incarnation));
        numbers.is_some_and(|numbers| numbers.contains(key.seq))
    }

    /// The source has told it.
    pub(super) fn release_withheld(&mut self, key: &EventKey) -> bool {
        if self.withheld.is_empty() || !self.is_withheld(key) {
            return false;
        }
        let place = (key.origin.clone(), key.incarnation);
        if let Some(numbers) = self.withheld.get_mut(&place) {
            *numbers = numbers.without(&Numbers::single(key.seq));
            if numbers.ranges().is_empty() {
                self.withheld.remove(&place);
            }
        }
        true
    }

    /// What the source is told has been seen: without what it is to tell.
    pub(crate) fn without_withheld(&self, mut seen: Vec<SeenNumbers>) -> Vec<SeenNumbers> {
        for entry in seen.iter_mut().filter(|_| !self.withheld.is_empty()) {
            if let Some(withheld) = self.withheld.get(&(entry.origin.clone(), entry.incarnation)) {
                entry.numbers = entry.numbers.without(withheld);
            }
        }
        seen
    }

    /// How many of these numbers the source has yet to tell.
    pub(crate) fn withheld_of(&self, origin: &BareJid, incarnation: u64, numbers: &Numbers) -> u64 {
        let withheld = self.withheld.get(&(origin.clone(), incarnation));
        withheld.map_or(0, |withheld| withheld.count() - withheld.without(numbers).count())
    }

    /// What waits for the source's word, to be stored.
    pub(crate) fn withheld(&self) -> &BTreeMap<(BareJid, u64), Numbers> {
        &self.withheld
    }

    /// What waited when it was stored.
    pub(crate) fn recall_withheld(&mut self, origin: BareJid, incarnation: u64, numbers: Numbers) {
        self.withheld.insert((origin, incarnation), numbers);
    }
}
