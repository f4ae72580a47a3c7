//! What a log tells others: pages of what somebody lacks, and histories in the words of the XEP.

use std::collections::BTreeMap;

use super::slots::Slot;
use super::{Entry, EventKey, Held, Log, MAX_INCARNATIONS, UNSTAMPED};
use crate::address::BareJid;
use crate::wire::{Numbers, SeenNumbers, SyncEvent};

/// What one page of an answer may hold, and which events it is about.
pub(crate) struct Page<'a> {
    /// Whether events of this origin are told, received at this time.
    pub(crate) is_told: &'a dyn Fn(&BareJid, u64) -> bool,
    pub(crate) max_events: usize,
    pub(crate) max_bytes: usize,
    /// About what an event costs besides its payload.
    pub(crate) overhead: usize,
    /// Whether it is for somebody who has nothing yet.
    pub(crate) is_new: bool,
}

/// What a history request asks for at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HistoryLimits {
    pub(crate) max_stanzas: usize,
    pub(crate) max_chars: usize,
    /// About what a message costs besides its payload.
    pub(crate) overhead: usize,
    pub(crate) since_ms: Option<u64>,
}

impl Log {
    /// Events held here that somebody who has seen `seen` lacks, in the order of the log, and whether there are more. What is
    /// not in memory is to be read before ([`Log::lacking_away`]).
    pub(crate) fn lacking(&self, seen: &[SeenNumbers], page: &Page<'_>) -> (Vec<SyncEvent>, bool) {
        let (keys, mut more) = self.page_of(seen, page);
        let mut events = self.unnumbered(page);
        for key in keys {
            let Some(entry) = self.at(key) else {
                more = true;
                break;
            };
            events.push(entry.as_event());
        }
        (events, more)
    }

    /// Those of them that are in the stored log only: their places, and their stanza-ids.
    pub(crate) fn lacking_away(&self, seen: &[SeenNumbers], page: &Page<'_>) -> Vec<(EventKey, String)> {
        let (keys, _) = self.page_of(seen, page);
        self.those_away(keys)
    }

    fn those_away<'a>(&self, keys: impl IntoIterator<Item = &'a EventKey>) -> Vec<(EventKey, String)> {
        let found = keys
            .into_iter()
            .filter_map(|key| Some((key, self.entries.get(key)?)));
        let away = found.filter(|(_, slot)| slot.entry().is_none());
        away.map(|(key, slot)| (key.clone(), self.id_at(key, slot)))
            .collect()
    }

    /// The places of the numbered events of a page, and whether there are more.
    fn page_of(&self, seen: &[SeenNumbers], page: &Page<'_>) -> (Vec<&EventKey>, bool) {
        let mut known: BTreeMap<&BareJid, BTreeMap<u64, &Numbers>> = BTreeMap::new();
        for entry in seen {
            known
                .entry(&entry.origin)
                .or_default()
                .insert(entry.incarnation, &entry.numbers);
        }
        let has = |key: &EventKey| {
            known.get(&key.origin).is_some_and(|lives| {
                // Who remembers as many lives as it may is done with those before.
                let is_done = lives.len() >= MAX_INCARNATIONS
                    && lives
                        .keys()
                        .next()
                        .is_some_and(|oldest| key.incarnation < *oldest);
                let numbers = lives.get(&key.incarnation);
                is_done || numbers.is_some_and(|numbers| numbers.contains(key.seq))
            })
        };
        let unnumbered = self.unnumbered(page);
        let mut bytes = unnumbered
            .iter()
            .map(|event| event.payload.len() + page.overhead)
            .sum::<usize>();
        let (mut keys, before) = (Vec::new(), unnumbered.len());
        for (key, slot) in &self.entries {
            if key.incarnation == UNSTAMPED || !(page.is_told)(&key.origin, slot.received_ms()) || has(key) {
                continue;
            }
            bytes += slot.wire_bytes() + page.overhead;
            let count = before + keys.len();
            if count >= page.max_events || count > 0 && bytes > page.max_bytes {
                return (keys, true);
            }
            keys.push(key);
        }
        (keys, false)
    }

    /// The newest messages that nobody has numbered, for somebody who has nothing yet: only their stanza-ids tell them
    /// apart.
    fn unnumbered(&self, page: &Page<'_>) -> Vec<SyncEvent> {
        if !page.is_new {
            return Vec::new();
        }
        let is_told = |entry: &&Entry| {
            entry.key.incarnation == UNSTAMPED && (page.is_told)(&entry.key.origin, entry.received_ms)
        };
        let newest = self
            .entries
            .values()
            .filter_map(Slot::entry)
            .rev()
            .filter(is_told)
            .take(page.max_events / 2);
        let mut events: Vec<SyncEvent> = newest.map(Entry::as_event).collect();
        events.reverse();
        events
    }

    /// The newest messages that a history request of XEP-0045 section 7.2.13 asks for, oldest first.
    /// `since_ms` is Unix time; the caller has folded `seconds` into it. `is_told` says what is not passed over. What is not in
    /// memory is to be read before ([`Log::history_away`]).
    pub(crate) fn history(
        &self,
        limits: &HistoryLimits,
        is_told: impl Fn(&EventKey, Held<'_>) -> bool,
    ) -> Vec<&Entry> {
        let found = self.history_of(limits, is_told).into_iter();
        found.filter_map(|key| self.at(key)).collect()
    }

    /// Those of them that are in the stored log only.
    pub(crate) fn history_away(
        &self,
        limits: &HistoryLimits,
        is_told: impl Fn(&EventKey, Held<'_>) -> bool,
    ) -> Vec<(EventKey, String)> {
        self.those_away(self.history_of(limits, is_told))
    }

    fn history_of(
        &self,
        limits: &HistoryLimits,
        is_told: impl Fn(&EventKey, Held<'_>) -> bool,
    ) -> Vec<&EventKey> {
        let mut chars = 0;
        let mut newest_first = Vec::new();
        for (key, slot) in self.entries.iter().rev() {
            if newest_first.len() >= limits.max_stanzas
                || limits.since_ms.is_some_and(|since| key.at.wall_ms < since)
            {
                break;
            }
            let held = self.held_at(key, slot);
            if !is_told(key, held) {
                continue;
            }
            chars += slot.size() + limits.overhead;
            if chars > limits.max_chars {
                break;
            }
            newest_first.push(key);
        }
        newest_first.reverse();
        newest_first
    }
}
