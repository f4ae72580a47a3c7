//! Which messages are moderated: decisions of the source in a log, and the messages they are about.
//!
//! A decision names a stanza-id. One about a message that the source has refused names the event as well, since whoever is
//! refused may have given it the id of somebody else's message, which must not go with it.

use std::sync::Arc;

use super::{Entry, EventKey, Log, MAX_AHEAD, Slot, another_id};
use crate::wire::{EventNumber, Moderation};

impl EventKey {
    /// What names it without its time.
    pub(crate) fn number(&self) -> EventNumber {
        EventNumber {
            origin: self.origin.clone(),
            incarnation: self.incarnation,
            seq: self.seq,
        }
    }

    fn is(&self, of: &EventNumber) -> bool {
        (self.incarnation, self.seq) == (of.incarnation, of.seq) && self.origin == of.origin
    }
}

impl Log {
    /// A decision about one event names it by the id that the event has here, or will have.
    pub(super) fn localized(&self, entry: Entry) -> Entry {
        let Some(moderation) = entry.moderation() else {
            return entry;
        };
        let Some(of) = &moderation.of else { return entry };
        let id = match self.find(of, &moderation.id) {
            Some((held, slot)) => self.id_at(held, slot),
            None if self.has_id(&moderation.id) => another_id(of, &moderation.id),
            None => return entry,
        };
        let here = Moderation { id, ..moderation };
        Entry {
            payload: Arc::from(here.to_xml()),
            ..entry
        }
    }

    /// The event with this number, which was told under this id.
    fn find(&self, of: &EventNumber, id: &str) -> Option<(&EventKey, &Slot)> {
        let derived = another_id(of, id);
        let named = [id, derived.as_str()]
            .into_iter()
            .find_map(|id| self.key_of(id).filter(|key| key.is(of)));
        let key = match named {
            Some(key) => Some(key),
            // Under an id that it has here for want of that one.
            None if self.has_seen(&of.origin, of.incarnation, of.seq) => {
                self.entries.keys().find(|key| key.is(of))
            }
            None => None,
        };
        key.and_then(|key| self.entries.get_key_value(key))
    }

    /// Whether the message that the source has refused was taken here, so that people may have seen it.
    pub(crate) fn holds_refused(&self, moderation: &Moderation) -> bool {
        let of = moderation.of.as_ref();
        of.is_some_and(|of| {
            self.find(of, &moderation.id)
                .is_some_and(|(_, slot)| !slot.is_gone())
        })
    }

    /// Takes a decision in: what it is about loses its payload, now or when it comes.
    pub(super) fn rule(&mut self, key: &EventKey, moderation: Moderation) {
        let id = moderation.id;
        self.take_away(&id);
        // One about an event of its own yields to one about whatever has the id.
        let is_ruled = self.moderation_of(&id).is_some();
        if is_ruled {
            return;
        }
        if !self.has_id(&id) {
            self.ahead.insert(key.clone(), id.clone());
        }
        self.moderations.insert(id, key.clone());
        while self.ahead.len() > MAX_AHEAD {
            let Some((_, id)) = self.ahead.pop_first() else {
                break;
            };
            self.moderations.remove(&id);
        }
    }

    /// The event that says that the message with this stanza-id is moderated.
    pub(crate) fn moderation_of(&self, id: &str) -> Option<&Entry> {
        let ruling = self.moderations.get(id).and_then(|key| self.at(key))?;
        let held = self.key_of(id);
        held.is_none_or(|held| is_about(ruling, held)).then_some(ruling)
    }

    /// Whether a message that comes now is moderated already.
    pub(crate) fn is_ruled(&self, entry: &Entry) -> bool {
        let ruling = self.moderations.get(&entry.id);
        ruling.is_some_and(|key| self.at(key).is_none_or(|ruling| is_about(ruling, &entry.key)))
    }

    /// The same, when it is taken in: the decision waits no longer.
    pub(super) fn is_ruled_out(&mut self, entry: &Entry) -> bool {
        if !self.is_ruled(entry) {
            return false;
        }
        if let Some(key) = self.moderations.get(&entry.id) {
            self.ahead.remove(key);
        }
        true
    }

    /// Nothing of a message stays but that there was one.
    fn take_away(&mut self, id: &str) {
        let Some(key) = self.key_of(id).cloned() else {
            return;
        };
        let is_rooms = |entry: &Entry| entry.nick.is_empty();
        if self.at(&key).is_some_and(is_rooms) {
            return;
        }
        self.blank_slot(&key);
        self.change(&key, |entry| entry.payload = Arc::from(""));
        self.note_contents(&key);
    }
}

/// Whether a decision is about this event.
fn is_about(ruling: &Entry, key: &EventKey) -> bool {
    let of = ruling.moderation().and_then(|moderation| moderation.of);
    of.is_none_or(|of| key.is(&of))
}
