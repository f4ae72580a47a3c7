//! Rooms whose stored log is still being read: they go on with what their snapshot knows of it. What has to look into the log
//! waits: pages for peers, histories, the moderation of a message.

use crate::address::BareJid;

use super::state::clock::Now;
use super::state::log::UNSTAMPED;
use super::{Action, Engine, Verdict, refuse};
use crate::error::Error;
use crate::wire::{Condition, Numbers, SyncRequest};

impl Engine {
    /// Whether everything that is stored of what was said in this room has been handed in. As long as it has not, the host does
    /// that ([`super::Input::LogRead`]) before it hands in a message that nobody has numbered: it may be one that is stored.
    pub fn is_log_whole(&self, room: &BareJid) -> bool {
        self.rooms.get(room).is_none_or(|room| room.log.is_whole())
    }

    /// Refuses what cannot be answered yet, and has the log read.
    pub(super) fn expect_whole(&mut self, jid: &BareJid) -> Result<(), Error> {
        if self.is_log_whole(jid) {
            return Ok(());
        }
        self.actions.push_back(Action::ReadLog { room: jid.clone() });
        Err(still_reading())
    }

    /// Whether who asks so lacks something that is, or may be, in the stored log.
    pub(super) fn lacks_logged(&self, jid: &BareJid, request: &SyncRequest) -> bool {
        let Some(room) = self.rooms.get(jid).filter(|room| !room.log.is_whole()) else {
            return false;
        };
        let has = |origin: &BareJid, life: u64| {
            let mut seen = request.seen.iter();
            seen.find(|seen| seen.origin == *origin && seen.incarnation == life)
        };
        let lacks = |((origin, life), numbers): (&(BareJid, u64), &Numbers)| {
            let is_told = origin == jid || request.relay;
            let missing = match has(origin, *life) {
                Some(seen) => numbers.without(&seen.numbers).count(),
                None => numbers.count(),
            };
            is_told && *life != UNSTAMPED && missing > 0
        };
        request.is_new || room.log.logged().iter().any(lacks)
    }

    /// All of the stored log is here.
    pub(super) fn log_read(&mut self, now: Now, jid: &BareJid) -> Result<Verdict, Error> {
        let is_lost = self.room_mut(jid)?.log.finish_reading();
        self.trim(now, jid);
        let Some(room) = self.rooms.get_mut(jid) else {
            return Ok(Verdict::Done);
        };
        let mut waiting = Vec::new();
        for (peer, instance) in &mut room.instances {
            if std::mem::take(&mut instance.wants_history) {
                waiting.push(peer.clone());
            }
        }
        let peers: Vec<BareJid> = room.instances.keys().cloned().collect();
        for peer in waiting {
            self.ask_history(now, jid, &peer);
        }
        if is_lost {
            // What the storage has lost is missing from now on: whoever has it is asked.
            self.unsaved.insert(jid.clone());
            for peer in peers {
                self.pull_from(now, jid, &peer);
            }
        }
        Ok(Verdict::Done)
    }
}

/// What somebody is told who has to wait for it.
pub(super) fn still_reading() -> Error {
    let text = "What was said in this room is still being read here; ask again later";
    refuse(Condition::ResourceConstraint, text)
}
