//! A message that another module's hook holds up: the engine has numbered it, it is stored, and people here are shown it
//! when the hook returns. What else happens meanwhile goes on, but for what the same person says (docs/ARCHITECTURE.md).

use dmuc::address::BareJid;

use super::event::{Event, Seen};
use super::host::Host;
use super::room::Archived;

/// A message that people here have not been shown yet.
#[derive(Debug, Clone)]
pub struct Slow {
    pub room: BareJid,
    pub session: u64,
    pub message: Archived,
    pub kept: bool,
}

impl Host {
    /// Whether a message is still being taken here.
    pub(super) fn is_held_up(&self, room: &BareJid, id: &str) -> bool {
        let mut slow = self.slow.iter();
        slow.any(|slow| slow.room == *room && slow.message.stanza_id == id)
    }

    /// Whether something of this person still waits: what it says next comes after it.
    pub(super) fn is_slow(&self, room: &BareJid, session: u64) -> bool {
        let mut slow = self.slow.iter();
        slow.any(|slow| slow.room == *room && slow.session == session)
    }

    pub(super) fn hold_up(&mut self, taken: Slow) {
        let (room, payload) = (taken.room.clone(), taken.message.payload.clone());
        self.event(Event::Taken { room, payload });
        self.slow.push(taken);
    }

    /// What waits in this room is shown: nothing more can be said in it.
    pub(super) fn finish_in(&mut self, room: &BareJid) {
        let (now, later) = std::mem::take(&mut self.slow)
            .into_iter()
            .partition(|slow| slow.room == *room);
        self.slow = later;
        let now: Vec<Slow> = now;
        now.iter().for_each(|slow| self.reflect(slow));
    }

    /// The hooks of all messages return.
    pub fn finish(&mut self) {
        for slow in std::mem::take(&mut self.slow) {
            self.reflect(&slow);
        }
        self.drain();
    }

    /// People here are shown what somebody has said.
    pub(super) fn reflect(&mut self, slow: &Slow) {
        let mut seen = slow.message.as_seen(false);
        seen.stanza_id = seen.stanza_id.filter(|_| slow.kept);
        seen.stanza_id = seen.stanza_id.filter(|id| self.has_archived(&slow.room, id));
        self.event(Event::Said {
            room: slow.room.clone(),
            session: slow.session,
            payload: slow.message.payload.clone(),
            kept: slow.kept,
        });
        self.show_all(&slow.room, &Seen::Message(seen));
    }
}
