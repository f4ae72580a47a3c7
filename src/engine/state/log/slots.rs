//! What of a log is in memory: of every entry its place, and of an older one that the host's stored log has no more than that
//! (DESIGN 11, G13). What it says is read again when somebody needs it.
//!
//! Those that nobody has numbered stay: there is nothing but what they say to tell them by. So do decisions that a message is
//! moderated, and what the source has corrected, which is not in the stored log.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use super::{Entry, EventKey, Log, UNSTAMPED};

/// How many more than it is to have a log has before it gives some away.
const SLACK: usize = 8;
/// What an entry takes in memory besides its texts: itself, its places in the log, and what allocating costs.
const ENTRY_BYTES: usize = 640;
/// How many entries without their words are put into their log's map in the usual way before that is packed.
const UNPACKED: usize = 512;
/// A larger one is not packed: that would take too long.
const MOST_PACKED: usize = 50_000;

/// A place in the log: the entry, or what outlives its words.
#[derive(Debug, Clone, Default)]
pub(super) struct Slot {
    entry: Option<Box<Entry>>,
    /// Of what it says, as [`Entry::said`] has it.
    said: u64,
    received_s: u32,
    payload_bytes: u32,
    /// By which its stanza-id is looked for.
    print: u32,
    id_bytes: u16,
    is_gone: bool,
    /// Whether the host's stored log has it as it is here.
    is_stored: bool,
}

/// Which entries have left memory, and which may.
#[derive(Debug, Clone, Default)]
pub(super) struct Slots {
    /// Those that may.
    spare: BTreeSet<EventKey>,
    /// Those that were read again, and stay until that is over.
    recalled: BTreeSet<EventKey>,
    /// How many that have left have a stanza-id with this print, which follows from their place.
    prints: BTreeMap<u32, u32>,
    /// The stanza-ids of the others that have.
    names: BTreeMap<EventKey, Box<str>>,
    /// How many are in memory, and about how many bytes they take.
    whole: usize,
    bytes: usize,
    spare_bytes: usize,
    /// How many have left since the map was packed.
    unpacked: usize,
}

impl Slot {
    pub(super) fn entry(&self) -> Option<&Entry> {
        self.entry.as_deref()
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.entry().map_or(self.is_gone, Entry::is_gone)
    }

    /// What counts for how much is held.
    pub(super) fn size(&self) -> usize {
        let away = || self.payload_bytes as usize + usize::from(self.id_bytes);
        self.entry().map_or_else(away, Entry::size)
    }

    /// How many bytes it takes on the wire that its sender chose: at least, for one that is not in memory.
    pub(super) fn wire_bytes(&self) -> usize {
        let whole = |entry: &Entry| entry.payload.len() + entry.attribute_bytes();
        self.entry().map_or_else(|| self.size(), whole)
    }

    /// When it came here (monotonic ms), no later than that by more than a second.
    pub(super) fn received_ms(&self) -> u64 {
        let away = || u64::from(self.received_s) * 1_000;
        self.entry().map_or_else(away, |entry| entry.received_ms)
    }

    pub(super) fn said(&self) -> u64 {
        self.entry().map_or(self.said, Entry::said)
    }
}

impl Entry {
    /// By what a message that nobody has numbered is told from others: who says it, its `id` and its children.
    pub(crate) fn said(&self) -> u64 {
        said(&self.nick, self.message_id.as_deref(), &self.payload)
    }

    fn memory(&self) -> usize {
        let texts = [self.message_id.as_deref(), self.occupant_id.as_deref()];
        let texts: usize = texts.into_iter().flatten().map(str::len).sum();
        ENTRY_BYTES + self.payload.len() + self.nick.len() + self.id.len() + texts
    }
}

/// A hash over what a message says.
pub(crate) fn said(nick: &str, message_id: Option<&str>, payload: &str) -> u64 {
    let mut hash = Sha256::new();
    for part in [nick, message_id.unwrap_or("\u{0}"), payload] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut first = [0; 8];
    first.copy_from_slice(hash.finalize().get(..8).unwrap_or(&[0; 8]));
    u64::from_be_bytes(first)
}

/// FNV-1a.
fn print_of(id: &str) -> u32 {
    let fold = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    id.bytes().fold(0x811c_9dc5, fold)
}

impl Log {
    /// An entry has been put in.
    pub(super) fn add_slot(&mut self, entry: Entry) {
        self.slots.whole += 1;
        self.slots.bytes += entry.memory();
        self.by_id.insert(entry.id.clone(), entry.key.clone());
        let (key, entry) = (entry.key.clone(), Some(Box::new(entry)));
        self.entries.insert(
            key,
            Slot {
                entry,
                ..Slot::default()
            },
        );
    }

    /// It is dropped.
    pub(super) fn remove_slot(&mut self, key: &EventKey) -> Option<Slot> {
        let slot = self.entries.remove(key)?;
        match slot.entry() {
            Some(entry) => {
                self.by_id.remove(&entry.id);
                self.note_left(key, entry.memory());
            }
            None => self.forget_id(key, slot.print),
        }
        Some(slot)
    }

    /// Changes an entry that is in memory.
    pub(super) fn change(&mut self, key: &EventKey, change: impl FnOnce(&mut Entry)) {
        let slot = self.entries.get_mut(key);
        let Some(entry) = slot.and_then(|slot| slot.entry.as_deref_mut()) else {
            return;
        };
        let before = (entry.size(), entry.memory());
        change(entry);
        let after = (entry.size(), entry.memory());
        self.bytes = self.bytes - before.0 + after.0;
        self.slots.bytes = self.slots.bytes - before.1 + after.1;
        if self.slots.spare.contains(key) {
            self.slots.spare_bytes = self.slots.spare_bytes - before.1 + after.1;
        }
    }

    /// Nothing is left of one that is not in memory but that there was one.
    pub(super) fn blank_slot(&mut self, key: &EventKey) {
        if let Some(slot) = self.entries.get_mut(key).filter(|slot| slot.entry.is_none()) {
            self.bytes -= slot.payload_bytes as usize;
            (slot.payload_bytes, slot.is_gone) = (0, true);
        }
    }

    fn note_left(&mut self, key: &EventKey, bytes: usize) {
        self.slots.whole -= 1;
        self.slots.bytes -= bytes;
        self.slots.recalled.remove(key);
        if self.slots.spare.remove(key) {
            self.slots.spare_bytes -= bytes;
        }
    }

    fn forget_id(&mut self, key: &EventKey, print: u32) {
        if let Some(id) = self.slots.names.remove(key) {
            self.by_id.remove(&*id);
        } else if let Some(count) = self.slots.prints.get_mut(&print) {
            *count -= 1;
            if *count == 0 {
                self.slots.prints.remove(&print);
            }
        }
    }

    /// Where the message with this stanza-id is.
    pub(super) fn key_of(&self, id: &str) -> Option<&EventKey> {
        let print = print_of(id);
        let away = || {
            self.slots.prints.contains_key(&print).then(|| {
                let mut alike = self.entries.iter().rev().filter(|(key, slot)| {
                    slot.entry.is_none() && slot.print == print && !self.slots.names.contains_key(key)
                });
                alike.find(|(key, _)| key.stanza_id() == id).map(|(key, _)| key)
            })
        };
        self.by_id.get(id).or_else(|| away().flatten())
    }

    /// The stanza-id of what is there.
    pub(super) fn id_at(&self, key: &EventKey, slot: &Slot) -> String {
        let named = || self.slots.names.get(key).map(|id| id.to_string());
        let whole = slot.entry().map(|entry| entry.id.clone());
        whole.or_else(named).unwrap_or_else(|| key.stanza_id())
    }

    /// The host's stored log has the message with this stanza-id, and can read it again.
    pub(crate) fn note_stored(&mut self, id: &str) {
        // Ids are asked for one a line.
        if id.contains('\n') {
            return;
        }
        let Some(key) = self.by_id.get(id).cloned() else {
            return;
        };
        self.note_stored_at(&key);
    }

    /// The same of what is there.
    pub(crate) fn note_stored_at(&mut self, key: &EventKey) {
        let slot = self.entries.get_mut(key).filter(|slot| !slot.is_stored);
        let Some((slot, entry)) = slot.and_then(|slot| {
            let memory = slot
                .entry()
                .filter(|entry| entry.may_leave())
                .map(Entry::memory)?;
            Some((slot, memory))
        }) else {
            return;
        };
        slot.is_stored = true;
        self.slots.spare_bytes += entry;
        self.slots.spare.insert(key.clone());
    }

    /// It says something else now than the stored log.
    pub(super) fn note_unlike_stored(&mut self, key: &EventKey) {
        let Some(slot) = self.entries.get_mut(key) else {
            return;
        };
        slot.is_stored = false;
        let memory = slot.entry().map_or(0, Entry::memory);
        self.slots.recalled.remove(key);
        if self.slots.spare.remove(key) {
            self.slots.spare_bytes -= memory;
        }
    }

    /// Whether what is there is in the stored log only.
    pub(crate) fn is_away_at(&self, key: &EventKey) -> bool {
        self.entries.get(key).is_some_and(|slot| slot.entry.is_none())
    }

    /// The message with this stanza-id, in memory or not.
    pub(crate) fn held(&self, id: &str) -> Option<Held<'_>> {
        let (key, slot) = self.entries.get_key_value(self.key_of(id)?)?;
        Some(self.held_at(key, slot))
    }

    /// About how many bytes of messages are in memory, and how many of them may leave it.
    pub(crate) fn memory(&self) -> (usize, usize) {
        (self.slots.bytes, self.slots.spare_bytes)
    }

    /// How many messages are in memory.
    pub(crate) fn whole(&self) -> usize {
        self.slots.whole
    }

    /// The oldest messages that the stored log has leave memory, until no more than `keep` of the newest are in it, but for
    /// what has to stay.
    pub(crate) fn shed(&mut self, keep: usize) {
        let whole = |log: &Log| log.slots.whole - log.slots.recalled.len();
        if whole(self) <= keep + SLACK || self.slots.spare.is_empty() {
            return;
        }
        let newest = keep
            .checked_sub(1)
            .and_then(|nth| self.entries.keys().nth_back(nth));
        let newest = newest.cloned();
        while whole(self) > keep {
            let oldest = self.slots.spare.first();
            let Some(key) = oldest.filter(|key| newest.as_ref().is_none_or(|newest| *key < newest)) else {
                break;
            };
            self.put_away(&key.clone());
        }
    }

    /// The older half of those that may.
    pub(crate) fn shed_half(&mut self) {
        let enough = self.slots.spare_bytes / 2;
        while self.slots.spare_bytes > enough {
            let Some(key) = self.slots.spare.first().cloned() else {
                break;
            };
            self.put_away(&key);
        }
    }

    fn put_away(&mut self, key: &EventKey) {
        let slot = self.entries.get_mut(key);
        let Some((slot, entry)) = slot.and_then(|slot| slot.entry.take().map(|entry| (slot, entry))) else {
            return;
        };
        let fits = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        slot.said = entry.said();
        slot.received_s = u32::try_from(entry.received_ms.div_ceil(1_000)).unwrap_or(u32::MAX);
        slot.payload_bytes = fits(entry.payload.len());
        slot.id_bytes = u16::try_from(entry.size() - entry.payload.len()).unwrap_or(u16::MAX);
        slot.is_gone = entry.is_gone();
        slot.print = print_of(&entry.id);
        let (print, size) = (slot.print, slot.size());
        self.bytes = self.bytes - entry.size() + size;
        self.note_left(key, entry.memory());
        self.keep_contents(key, &entry);
        if entry.id == key.stanza_id() {
            self.by_id.remove(&entry.id);
            *self.slots.prints.entry(print).or_default() += 1;
        } else {
            self.slots.names.insert(key.clone(), entry.id.into());
        }
        self.slots.unpacked += 1;
        self.pack();
    }

    /// What comes in order leaves the map's nodes half empty. Full ones take half the room.
    fn pack(&mut self) {
        if self.slots.unpacked > UNPACKED.max(self.entries.len() / 8) && self.entries.len() <= MOST_PACKED {
            self.slots.unpacked = 0;
            self.entries = std::mem::take(&mut self.entries).into_iter().collect();
            self.slots.prints = std::mem::take(&mut self.slots.prints).into_iter().collect();
        }
    }

    /// The words of an entry that had left are here again. They stay until [`Log::release`].
    pub(super) fn take_back(&mut self, mut entry: Entry) {
        let Some(slot) = self.entries.get(&entry.key).filter(|slot| slot.entry.is_none()) else {
            return;
        };
        let (before, print, received_ms) = (slot.size(), slot.print, slot.received_ms());
        entry.id = self.id_at(&entry.key, slot);
        if slot.is_gone {
            entry.payload = "".into();
        }
        entry.received_ms = received_ms;
        let key = entry.key.clone();
        self.forget_id(&key, print);
        self.by_id.insert(entry.id.clone(), key.clone());
        self.bytes = self.bytes - before + entry.size();
        self.slots.bytes += entry.memory();
        self.slots.whole += 1;
        if let Some(slot) = self.entries.get_mut(&key) {
            slot.entry = Some(Box::new(entry));
        }
        self.slots.recalled.insert(key);
    }

    /// What was read again may leave memory again.
    pub(crate) fn release(&mut self) {
        for key in std::mem::take(&mut self.slots.recalled) {
            let slot = self.entries.get(&key).filter(|slot| slot.is_stored);
            if let Some(entry) = slot.and_then(Slot::entry) {
                self.slots.spare_bytes += entry.memory();
                self.slots.spare.insert(key);
            }
        }
    }

    /// The storage has lost what only it had. It counts as seen all the same: people here have been shown it.
    pub(crate) fn lose(&mut self, key: &EventKey) -> bool {
        let is_lost = self.is_away_at(key);
        if is_lost {
            self.drop_entry(key);
        }
        is_lost
    }

    /// Every message of the log in its order, in memory or not.
    pub(crate) fn each(&self) -> impl DoubleEndedIterator<Item = Held<'_>> {
        self.entries.iter().map(|(key, slot)| self.held_at(key, slot))
    }

    pub(super) fn held_at<'a>(&'a self, key: &'a EventKey, slot: &'a Slot) -> Held<'a> {
        match slot.entry() {
            Some(entry) => Held::Whole(entry),
            None => Held::Away {
                key,
                name: self.slots.names.get(key).map(|id| &**id),
                is_gone: slot.is_gone,
            },
        }
    }
}

/// A message of a log.
#[derive(Debug, Clone)]
pub enum Held<'a> {
    /// It is in memory.
    Whole(&'a Entry),
    /// It is in the host's stored log only.
    Away {
        /// Its place.
        key: &'a EventKey,
        /// Its stanza-id, unless it follows from its place.
        name: Option<&'a str>,
        /// Whether it is moderated.
        is_gone: bool,
    },
}

impl Held<'_> {
    /// Its place in the log.
    pub fn key(&self) -> &EventKey {
        match self {
            Held::Whole(entry) => &entry.key,
            Held::Away { key, .. } => key,
        }
    }

    /// Its stanza-id.
    pub fn id(&self) -> Cow<'_, str> {
        match self {
            Held::Whole(entry) => Cow::Borrowed(&entry.id),
            Held::Away { name: Some(id), .. } => Cow::Borrowed(id),
            Held::Away { key, .. } => Cow::Owned(key.stanza_id()),
        }
    }

    /// Whether nothing of it is left.
    pub fn is_gone(&self) -> bool {
        match self {
            Held::Whole(entry) => entry.is_gone(),
            Held::Away { is_gone, .. } => *is_gone,
        }
    }
}

impl Entry {
    /// Whether it is one of those that may be in the stored log only.
    fn may_leave(&self) -> bool {
        self.key.incarnation != UNSTAMPED && !self.nick.is_empty()
    }
}

#[cfg(test)]
mod tests;
