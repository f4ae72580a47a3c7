//! Which instances count: those that have themselves spoken as one (G11).
//!
//! The source says which shadows there are, and whoever replicates a room is a source: what it says begins a meeting and
//! nothing else. An instance is proven by what its own address sends: the source by a `<config/>`, a shadow by a
//! `<roster/>` or an occupant's presence, by asking or answering `<sync/>`, or by taking our `<roster/>`. That is stored
//! with the room and ends when its service says that it has no such room, and when the room is parked.

use crate::address::BareJid;

use super::Engine;
use super::state::clock::Now;
use super::state::instance::SyncStage;
use crate::wire::RoomId;

/// How often an instance that has never spoken as one is asked again after it said that it has no such room.
const MEETINGS: u32 = 6;

impl Engine {
    /// Whether a room here has this id, whatever its address: of one service it names one room.
    pub(super) fn has_id(&self, id: &RoomId) -> bool {
        self.rooms.with_id(id).next().is_some() || self.parked.values().any(|room| room.id == *id)
    }

    /// This very address sent us something of the room that was taken.
    pub(super) fn prove(&mut self, jid: &BareJid, peer: &BareJid) {
        let Some(instance) = self.instance_mut(jid, peer) else {
            return;
        };
        if !instance.is_proven {
            instance.is_proven = true;
            self.unsaved.insert(jid.clone());
        }
    }

    /// It says itself that it does not have the room.
    pub(super) fn disprove(&mut self, jid: &BareJid, peer: &BareJid) {
        let Some(instance) = self.instance_mut(jid, peer) else {
            return;
        };
        if instance.is_proven {
            instance.is_proven = false;
            self.unsaved.insert(jid.clone());
        }
    }

    /// A shadow of which only others told says that it has no such room. It may not have been told of us yet; after some
    /// attempts it is for its side to begin.
    pub(super) fn is_not_met(&mut self, now: Now, jid: &BareJid, peer: &BareJid) {
        let Some(instance) = self.instance_mut(jid, peer) else {
            return;
        };
        if instance.resyncs < MEETINGS {
            self.resync_later(now, jid, peer);
        } else {
            (instance.sync, instance.resync_at) = (SyncStage::Idle, None);
            // Who was out of sight is hidden already.
            self.forget_occupants(jid, &peer.service());
            if let Some(instance) = self.instance_mut(jid, peer) {
                instance.is_back();
            }
        }
        self.settle_link(&peer.service());
    }
}
