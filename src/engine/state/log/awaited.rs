//! A log that is still being read: which messages the snapshot says are in the stored one. They count as seen, so that nobody
//! tells them again; what is not among those that were read, when all are, is missing after all.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::{EventKey, Log};
use crate::address::BareJid;
use crate::wire::Numbers;

/// By origin and incarnation.
pub(super) type Awaited = BTreeMap<(BareJid, u64), Numbers>;

impl Log {
    /// From now on the log is one that is being read.
    pub(crate) fn expect_more(&mut self) {
        self.awaited.get_or_insert_default();
    }

    /// These were in the stored log when the snapshot was taken.
    pub(crate) fn recall_logged(&mut self, origin: &BareJid, incarnation: u64, numbers: &Numbers) {
        self.recall(origin, incarnation, numbers);
        let awaited = self.awaited.get_or_insert_default();
        let place = (origin.clone(), incarnation);
        awaited.entry(place).or_default().merge(numbers);
    }

    /// Whether everything that is stored has been read.
    pub(crate) fn is_whole(&self) -> bool {
        self.awaited.is_none()
    }

    /// It has been read.
    pub(super) fn note_read(&mut self, key: &EventKey) {
        let Some(awaited) = &mut self.awaited else { return };
        let place = (key.origin.clone(), key.incarnation);
        if let Some(numbers) = awaited.get_mut(&place) {
            *numbers = numbers.without(&Numbers::single(key.seq));
            if numbers.ranges().is_empty() {
                awaited.remove(&place);
            }
        }
    }

    /// Everything has been read. Returns whether something that should have been there was not: it has not been seen, then.
    pub(crate) fn finish_reading(&mut self) -> bool {
        let lost = self.awaited.take().unwrap_or_default();
        for ((origin, incarnation), numbers) in &lost {
            let known = self.seen.get_mut(origin);
            if let Some(seen) = known.and_then(|known| known.lives.get_mut(incarnation)) {
                *seen = seen.without(numbers);
            }
        }
        !lost.is_empty()
    }

    /// What the stored log has, for the snapshot: what is held, and what has not been read yet.
    pub(crate) fn logged(&self) -> Awaited {
        let mut logged = self.held.clone();
        for (place, numbers) in self.awaited.iter().flatten() {
            logged.entry(place.clone()).or_default().merge(numbers);
        }
        logged
    }

    /// What has been seen and is not in the stored log, for the snapshot. What is there comes back with it; if that has lost
    /// something with the power, it is missing then and not given up.
    pub(crate) fn given_up(&self) -> Vec<(&BareJid, u64, Numbers)> {
        let logged = self.logged();
        let mut gone = Vec::new();
        for (origin, known) in &self.seen {
            for (incarnation, numbers) in &known.lives {
                let numbers = match logged.get(&(origin.clone(), *incarnation)) {
                    Some(logged) => numbers.without(logged),
                    None => numbers.clone(),
                };
                if !numbers.ranges().is_empty() {
                    gone.push((origin, *incarnation, numbers));
                }
            }
        }
        gone
    }

    /// It is held from now on, or no longer.
    pub(super) fn note_held(&mut self, key: &EventKey, is_held: bool) {
        let single = Numbers::single(key.seq);
        match self.held.entry((key.origin.clone(), key.incarnation)) {
            Entry::Occupied(mut numbers) if is_held => numbers.get_mut().merge(&single),
            Entry::Occupied(mut numbers) => {
                let left = numbers.get().without(&single);
                if left.ranges().is_empty() {
                    numbers.remove();
                } else {
                    numbers.insert(left);
                }
            }
            Entry::Vacant(numbers) if is_held => drop(numbers.insert(single)),
            Entry::Vacant(_) => {}
        }
    }
}
