//! The one door: every event that comes into a log passes here, whatever way it comes: live, in a page, in a history,
//! relayed for a third instance, from the stored log (G11; docs/PROTOCOL.md section 7.8). What may not be said live is in no
//! page either. [`Admitted`] is made here and nowhere else, and a log takes nothing else.

use std::sync::Arc;

use super::state::admitted::Admitted;
use crate::address::{BareJid, Jid};

use super::judging::Judged;
use super::state::clock::Now;
use super::state::log::{Entry, UNSTAMPED};
use super::state::room::Room;
use super::{Engine, LIFE, refuse};
use crate::error::Error;
use crate::wire::{Condition, without_forged};

/// How many lives may have begun since a snapshot was stored, or a backup made.
pub(super) const MAX_UNKNOWN_LIVES: u64 = 64;

/// Why an event does not come in.
#[derive(Debug)]
pub(super) enum Turned {
    /// Whoever tells it does not speak for its origin, or its origin cannot have said it: as if it had not been told.
    NotTheirs,
    /// Of the room itself, and not from the source, which alone decides what is moderated: it counts as known.
    Passed,
    /// Beyond what this instance takes from anybody: it counts as known here, and as lost.
    Lost,
    /// Said by somebody who is not in the room here because it is full: it counts as known.
    NotHere,
    /// Said by somebody who was banned, or a visitor: see [`super::judging`].
    Refused(Box<Entry>),
}

impl Engine {
    /// An event that `teller` tells of: live, in a page or in a history. What it may say is what its origin may.
    pub(super) fn admit(
        &mut self,
        now: Now,
        jid: &BareJid,
        teller: &BareJid,
        mut entry: Entry,
    ) -> Result<Admitted, Turned> {
        let relays = self.takes_relayed(jid, teller);
        let Some(room) = self.rooms.get(jid) else {
            return Err(Turned::NotTheirs);
        };
        let origin = &entry.key.origin;
        let is_theirs = match origin {
            origin if origin == jid => relays && is_of_an_earlier_life(now, room, &entry),
            origin if origin == teller => true,
            origin => relays && room.may_have_instance(origin),
        };
        if !is_theirs || room.log.is_one_too_many(origin, self.config.budgets.max_origins) {
            return Err(Turned::NotTheirs);
        }
        if entry.nick.is_empty() && !room.was_source(origin) {
            return Err(Turned::Passed);
        }
        // Whatever it claims to have: nobody has the id of somebody else's message, whichever comes first (G5).
        if entry.key.incarnation != UNSTAMPED && !room.was_source(origin) {
            entry.id = entry.key.stanza_id();
        }
        // No instance with this limit will ever take it.
        if entry.payload.len() > self.config.max_stanza_size {
            return Err(Turned::Lost);
        }
        // What waits for the source's word here is taken from nobody else.
        if room.log.is_withheld(&entry.key) && !room.is_from_source(teller) {
            return Err(Turned::NotTheirs);
        }
        let judged = self.judge(room, teller, &entry);
        // The author stays, whatever becomes of the words: its home keeps it as well (G5).
        let id = entry.occupant_id.take();
        entry.occupant_id = id.filter(|id| self.may_show_id(room, teller, &entry.key.origin, id));
        match judged {
            Judged::Heard => {}
            Judged::NotHere => return Err(Turned::NotHere),
            Judged::Refused => return Err(Turned::Refused(Box::new(entry))),
        }
        if !entry.nick.is_empty() {
            entry.payload = cleaned(&entry.payload, &[jid, &entry.key.origin]).ok_or(Turned::Lost)?;
        }
        self.clock.observe(now, entry.key.at);
        Ok(Admitted::by_the_door(entry))
    }

    /// Whether an event of `origin` that `teller` tells may carry this occupant-id: who tells it has to speak for that person,
    /// if anybody here knows who it is. Who may relay may not know everybody, so of people here the origin has to speak for
    /// them itself.
    pub(super) fn may_show_id(&self, room: &Room, teller: &BareJid, origin: &BareJid, id: &str) -> bool {
        let speaks_for = |instance: &BareJid| {
            let service = instance.service();
            move |jid: &Jid| self.config.is_authoritative(&service, jid.domain())
        };
        if !self.takes_relayed(&room.jid, teller) {
            return !room.is_somebody_elses(teller, id, speaks_for(teller));
        }
        *origin == room.jid
            || self.takes_relayed(&room.jid, origin)
            || room.locals_with(id).all(speaks_for(origin))
    }

    /// An event of our own stored log. What was stored before this door was as narrow as it is has not passed it.
    pub(super) fn admit_stored(
        &mut self,
        now: Now,
        jid: &BareJid,
        mut entry: Entry,
    ) -> Result<Admitted, Turned> {
        let jitter = self.ids.below(LIFE / 16);
        let Some(room) = self.rooms.get_mut(jid) else {
            return Err(Turned::NotTheirs);
        };
        let life = entry.key.incarnation;
        let is_known = room.log.is_away_at(&entry.key);
        if entry.key.origin == *jid && life >= room.incarnation && !is_known {
            // The log is newer than the snapshot: a life began that this does not know of. No life is so far ahead.
            if life - room.incarnation > MAX_UNKNOWN_LIVES * LIFE {
                return Err(Turned::NotTheirs);
            }
            room.live_anew(life + LIFE + jitter);
            self.unsaved.insert(jid.clone());
        }
        if !entry.nick.is_empty() {
            entry.payload = cleaned(&entry.payload, &[jid, &entry.key.origin]).ok_or(Turned::Lost)?;
        }
        self.clock.observe(now, entry.key.at);
        Ok(Admitted::by_the_door(entry))
    }
}

/// What is told of ourselves can only be what was lost here: said in a life before this one, at a time that has been, with a
/// number. The numbers of our present life, and of others since the engine started, are ours to give. Our clock may have been
/// set back since: the number of our life says that it was there.
fn is_of_an_earlier_life(now: Now, room: &Room, entry: &Entry) -> bool {
    let life = entry.key.incarnation;
    let latest = Now {
        wall_ms: now.wall_ms.max(room.incarnation),
        ..now
    };
    life != UNSTAMPED
        && life < room.incarnation
        && !room.lived.contains(&life)
        && entry.key.at <= latest.latest()
}

/// The words without what names an instance as a witness; `None` for what cannot be read.
pub(super) fn cleaned(payload: &Arc<str>, instances: &[&BareJid]) -> Option<Arc<str>> {
    match without_forged(payload, instances).ok()? {
        std::borrow::Cow::Borrowed(_) => Some(payload.clone()),
        std::borrow::Cow::Owned(kept) => Some(Arc::from(kept)),
    }
}

impl From<Turned> for Error {
    fn from(turned: Turned) -> Error {
        let (condition, text) = match turned {
            Turned::NotTheirs | Turned::Passed => (
                Condition::Forbidden,
                "A peer speaks only for occupants whose home it is",
            ),
            Turned::Lost => (
                Condition::PolicyViolation,
                "The message is larger than this room takes",
            ),
            Turned::NotHere => (Condition::NotAcceptable, "This occupant is not in the room"),
            Turned::Refused(_) => (Condition::Forbidden, "The occupant is banned"),
        };
        refuse(condition, text)
    }
}
