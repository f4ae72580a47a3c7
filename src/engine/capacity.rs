//! People of other instances who are left out because a room has as many as it may (G13): they come in when there is room
//! again, though nobody tells of them again.

use crate::address::BareJid;

use super::Engine;
use super::link::Caps;
use super::state::clock::Now;
use super::state::instance::{Instance, SyncStage};

/// How long at least between two whole rosters of one instance that are asked for because somebody has left: people come and
/// go in a room that is full.
const AGAIN_MS: u64 = 30_000;

impl Engine {
    /// Somebody of another instance is gone from a room, or it may have more.
    pub(super) fn has_room_again(&mut self, jid: &BareJid) {
        self.roomier.insert(jid.clone());
    }

    /// Asks those for their whole rosters of whom somebody was left out, where there is room by now.
    pub(super) fn take_left_out(&mut self, now: Now) {
        let limit = self.config.max_remote_occupants;
        while let Some(jid) = self.roomier.pop_first() {
            let Some(room) = self.rooms.get(&jid).filter(|room| room.remote_count() < limit) else {
                continue;
            };
            let left_out = room
                .instances
                .iter()
                .filter(|(_, instance)| instance.has_left_out);
            let peers: Vec<BareJid> = left_out.map(|(peer, _)| peer.clone()).collect();
            let mut due = Vec::new();
            for peer in peers {
                // Who speaks only the XEP's text cannot be asked, and tells of its occupants with their next presence.
                if self.caps(&peer.service()) == Caps::Xep {
                    continue;
                }
                let Some(instance) = self.instance_mut(&jid, &peer) else {
                    continue;
                };
                match instance.took_in_at.map(|at| at + AGAIN_MS) {
                    Some(at) if at > now.mono_ms => {
                        instance.take_in_at = Some(at);
                        self.timed.insert(jid.clone());
                    }
                    _ => {
                        (instance.take_in_at, instance.took_in_at) = (None, Some(now.mono_ms));
                        instance.lacks_roster();
                        due.push(peer);
                    }
                }
            }
            for peer in due {
                self.want_sync(now, &jid, &peer);
            }
        }
    }

    /// Rooms whose time has come are looked at again.
    pub(super) fn handle_left_out_timeouts(&mut self, now: Now) {
        for jid in &self.timed {
            let room = self.rooms.get_mut(jid);
            for instance in room.into_iter().flat_map(|room| room.instances.values_mut()) {
                if instance.take_in_at.is_some_and(|at| at <= now.mono_ms) {
                    instance.take_in_at = None;
                    self.roomier.insert(jid.clone());
                }
            }
        }
        self.take_left_out(now);
    }
}

impl Instance {
    /// Its whole roster is wanted, whatever is known of it.
    pub(super) fn lacks_roster(&mut self) {
        (self.roster_version, self.is_synced) = (None, false);
        self.wants_whole = self.sync == SyncStage::Asked;
    }
}
