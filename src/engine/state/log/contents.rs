//! What the newest messages say, as a hash: two instances that have the same numbers may have been told different things
//! under them (G11).

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::{Entry, EventKey, Log, UNSTAMPED};
use crate::address::BareJid;
use crate::wire::{Numbers, SeenNumbers, canonical};

/// How many of the newest messages of one origin are compared.
const NEWEST: usize = 32;

/// The newest messages of one origin, by incarnation and number, with what they say if that was asked for.
pub(super) type Newest = BTreeMap<(u64, u64), (EventKey, Option<[u8; 8]>)>;

impl Log {
    /// A message has been taken in, or says something else now.
    pub(super) fn note_contents(&mut self, key: &EventKey) {
        if key.incarnation == UNSTAMPED {
            return;
        }
        let newest = self.newest.entry(key.origin.clone()).or_default();
        newest.insert((key.incarnation, key.seq), (key.clone(), None));
        while newest.len() > NEWEST {
            newest.pop_first();
        }
    }

    /// A hash over what the newest messages of these origins say. Nothing if some of them are not here, have not been read yet, or
    /// are moderated: then others may have more to hash.
    pub(crate) fn words(&mut self, passes: impl Fn(&BareJid) -> bool) -> Option<String> {
        if !self.is_whole() {
            return None;
        }
        let mut hash = Sha256::new();
        let mut is_empty = true;
        for (origin, newest) in self.newest.iter_mut().filter(|(origin, _)| passes(origin)) {
            let (life, last) = newest.last_key_value().map(|(number, _)| *number)?;
            let first = (last + 1).saturating_sub(NEWEST as u64).max(1);
            for seq in first..=last {
                let (key, said) = newest.get_mut(&(life, seq))?;
                // A decision that it is moderated comes to one instance before the other.
                let slot = self.entries.get(&*key).filter(|slot| !slot.is_gone())?;
                let said = match *said {
                    Some(said) => said,
                    None => *said.insert(slot.entry()?.contents()),
                };
                hash.update(format!("{origin} {life} {seq} {}\n", crate::ids::hex(&said)));
                is_empty = false;
            }
        }
        let digest = hash.finalize();
        (!is_empty).then(|| crate::ids::hex(digest.get(..8).unwrap_or_default()))
    }

    /// What has been seen, without the newest messages: whoever is asked so tells them again.
    pub(crate) fn without_newest(&self, mut seen: Vec<SeenNumbers>, but: &BareJid) -> Vec<SeenNumbers> {
        for entry in seen.iter_mut().filter(|entry| entry.origin != *but) {
            let Some(newest) = self.newest.get(&entry.origin) else {
                continue;
            };
            for (_, seq) in newest.keys().filter(|(life, _)| *life == entry.incarnation) {
                entry.numbers = entry.numbers.without(&Numbers::single(*seq));
            }
        }
        seen
    }

    /// What is held under the number of this message, if it says something else.
    pub(crate) fn differs(&self, told: &Entry) -> Option<EventKey> {
        let number = (told.key.incarnation, told.key.seq);
        let (key, said) = self.newest.get(&told.key.origin)?.get(&number)?;
        let slot = self.entries.get(key)?;
        // Of the room itself none has left memory.
        let is_rooms = slot.entry().is_some_and(|held| held.nick.is_empty());
        let is_comparable = !slot.is_gone() && !told.is_gone() && is_rooms == told.nick.is_empty();
        let held = slot.entry().map(Entry::contents).or(*said);
        (is_comparable && held? != told.contents()).then(|| key.clone())
    }

    /// What is held says from now on what the source says it does. Returns its stanza-id.
    pub(crate) fn correct(&mut self, key: &EventKey, told: Entry) -> Option<String> {
        let (key, told) = (
            key.clone(),
            Entry {
                key: key.clone(),
                ..told
            },
        );
        match self.is_away_at(&key) {
            true => self.take_back(told),
            false => self.change(&key, |held| {
                (held.nick, held.message_id, held.lang) = (told.nick, told.message_id, told.lang);
                (held.occupant_id, held.payload) = (told.occupant_id, told.payload);
            }),
        }
        let id = self.at(&key)?.id.clone();
        self.note_unlike_stored(&key);
        self.note_contents(&key);
        Some(id)
    }

    /// What one of the newest messages says is remembered when its words go.
    pub(super) fn keep_contents(&mut self, key: &EventKey, entry: &Entry) {
        let newest = self.newest.get_mut(&key.origin);
        if let Some((_, said)) = newest.and_then(|newest| newest.get_mut(&(key.incarnation, key.seq))) {
            said.get_or_insert_with(|| entry.contents());
        }
    }
}

impl Entry {
    /// What it says, alike on every instance: who said it, its `id` and its children, but for what each instance adds.
    fn contents(&self) -> [u8; 8] {
        let mut hash = Sha256::new();
        let said = match self.moderation() {
            // Named by the id that the message has here.
            Some(_) => String::new(),
            None => canonical(&self.payload).unwrap_or_default(),
        };
        let id = self.message_id.as_deref().unwrap_or_default();
        for part in [self.nick.as_str(), id, said.as_str()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut short = [0; 8];
        short.copy_from_slice(hash.finalize().get(..8).unwrap_or(&[0; 8]));
        short
    }
}
