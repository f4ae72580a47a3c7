//! A room's list of affiliations as the host stores it beside the rest of the room: a base and what has changed since. One more
//! entry costs what it is, not what the list is.

use std::collections::BTreeSet;

use super::room::Room;
use crate::address::BareJid;
use crate::wire::{Hlc, RosterItem};

/// What the host has of a room's list beside the rest of the room; nothing if it has it within the rest, or not at all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Beside(Option<Kept>);

#[derive(Debug, Clone)]
struct Kept {
    /// How many entries the base has. It is written anew as soon as there are more changes than that.
    entries: usize,
    /// How many changes were given to the host since.
    changes: usize,
    /// Whose entries are to be given to it.
    unstored: BTreeSet<BareJid>,
}

/// An entry as it is now: its affiliation and nick, hats, and since when it is a ban.
#[derive(Debug, Clone)]
pub(crate) struct StoredEntry {
    pub(crate) item: RosterItem,
    pub(crate) user: BareJid,
    pub(crate) banned_since: Option<Hlc>,
}

/// What of the list the host stores next.
#[derive(Debug, Clone)]
pub(crate) enum ListToStore {
    /// All of it, with the rest of the room; what was beside it is out of date.
    Within,
    /// All of it, as the new base.
    Whole(Vec<StoredEntry>),
    /// These, behind what it has.
    Changes(Vec<StoredEntry>),
    /// What it has is the list.
    Unchanged,
}

impl Beside {
    /// What was read: a base of so many entries, and so many changes.
    pub(crate) fn read(entries: usize, changes: usize) -> Beside {
        Beside(Some(Kept {
            entries,
            changes,
            unstored: BTreeSet::new(),
        }))
    }

    /// Notes that an entry is not any more as it is stored. So many that they would make a new base are not noted one by one.
    pub(crate) fn note(&mut self, user: &BareJid) {
        let Some(kept) = &mut self.0 else { return };
        kept.unstored.insert(user.clone());
        if kept.changes + kept.unstored.len() > kept.entries {
            self.0 = None;
        }
    }
}

impl Room {
    fn stored_entry(&self, user: &BareJid) -> StoredEntry {
        StoredEntry {
            item: self.entry(user),
            user: user.clone(),
            banned_since: self.bans.since.get(user).copied(),
        }
    }

    /// Who is on the list, here or (with hats) at the source.
    pub(super) fn listed_users(&self) -> BTreeSet<&BareJid> {
        let listed = self.settings.affiliations.keys();
        // Who waits for the source's decision may be off the list here and have hats there.
        listed.chain(self.settings.hats.keys()).collect()
    }

    /// What of the list is to be stored, which the host then does: all if it has nothing (`is_whole`), or after as many changes as
    /// the base has entries. A list of up to `most_within` entries is stored with the rest of the room.
    pub(crate) fn list_to_store(&mut self, is_whole: bool, most_within: usize) -> ListToStore {
        if let Some(kept) = self.beside.0.as_mut().filter(|_| !is_whole) {
            let unstored = std::mem::take(&mut kept.unstored);
            kept.changes += unstored.len();
            return match unstored.is_empty() {
                true => ListToStore::Unchanged,
                false => ListToStore::Changes(unstored.iter().map(|user| self.stored_entry(user)).collect()),
            };
        }
        let users = self.listed_users();
        if users.len() <= most_within {
            self.beside = Beside::default();
            return ListToStore::Within;
        }
        let entries: Vec<StoredEntry> = users.into_iter().map(|user| self.stored_entry(user)).collect();
        self.beside = Beside::read(entries.len(), 0);
        ListToStore::Whole(entries)
    }
}
