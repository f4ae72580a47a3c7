//! Which names of ours a peer may have for its shadows (`dmuc_shadow_names`): the id that it chooses is a localpart here, and
//! whoever has `support@` or `office@` is taken for us.

use crate::address::BareJid;

use super::Engine;
use super::state::clock::Now;
use super::state::instance::{Instance, Stage};
use super::state::room::Room;
use crate::config::{RoomIdScheme, ShadowNames};
use crate::error::Error;
use crate::ids;
use crate::wire::{Condition, RoomId};

impl Engine {
    /// Whether a room of `firsthost` may be called so here. Services that are trusted choose as they like.
    pub(super) fn may_name(&self, firsthost: &BareJid, id: &RoomId, source: Option<&BareJid>) -> bool {
        self.config.shadow_names == ShadowNames::Any
            || self.config.is_trusted(firsthost)
            || is_opaque(id.as_str(), source)
            || carries(id.as_str(), firsthost.domain())
    }
}

impl Engine {
    /// The id that the shadows of a new room get (`dmuc_room_id`).
    pub(super) fn new_room_id(&mut self, jid: &BareJid) -> Result<RoomId, Error> {
        let id = match self.config.room_id {
            RoomIdScheme::Uuid => self.ids.uuid(),
            RoomIdScheme::Sha256 => ids::room_id_sha256(jid),
            // All shadows have the same: a name that some will have, and others hardly would, is none.
            RoomIdScheme::Name if !self.is_trust_mixed() => jid.node().unwrap_or_default().to_owned(),
            RoomIdScheme::Name => ids::room_id_of_service(jid),
        };
        let id = RoomId::new(&id).map_err(|error| Error::Refused(error.into()));
        match id {
            // Of another room, though not by its address: nobody could tell them apart.
            Ok(id) if self.has_id(&id) => self.random_room_id(),
            // With the service in it it may be too long.
            Err(_) if self.config.room_id == RoomIdScheme::Name => self.random_room_id(),
            id => id,
        }
    }

    fn is_trust_mixed(&self) -> bool {
        let peers = || self.config.peers.values();
        peers().any(|peer| peer.trusted) && peers().any(|peer| !peer.trusted)
    }

    fn random_room_id(&mut self) -> Result<RoomId, Error> {
        RoomId::new(&self.ids.uuid()).map_err(|error| Error::Refused(error.into()))
    }

    /// Whether no shadow has the name of the room yet, and some service has not said whether it will have it.
    pub(super) fn is_name_open(&self, jid: &BareJid) -> bool {
        let is_asked = |instance: &Instance| instance.stage == Stage::Replicating && !instance.has_agreed;
        self.config.room_id == RoomIdScheme::Name
            && self.rooms.get(jid).is_some_and(|room| {
                room.jid.node() == Some(room.id.as_str())
                    && !has_its_name(room)
                    && room.instances.values().any(is_asked)
            })
    }

    /// A service would not have the name of the room for a shadow of it. As long as no shadow has it, all are asked again by a
    /// name that has the service in it. Returns whether that is so.
    pub(super) fn is_named_again(&mut self, now: Now, jid: &BareJid, condition: Condition) -> bool {
        let about_names = [Condition::Conflict, Condition::NotAcceptable];
        if self.config.room_id != RoomIdScheme::Name || !about_names.contains(&condition) {
            return false;
        }
        let room = self.rooms.get(jid).filter(|room| room.is_source());
        let Some(room) = room.filter(|room| !has_its_name(room)) else {
            return false;
        };
        let id = RoomId::new(&ids::room_id_of_service(jid)).ok();
        let Some(id) = id.filter(|id| room.jid.node() == Some(room.id.as_str()) && !self.has_id(id)) else {
            return false;
        };
        let Some(mut room) = self.rooms.remove(jid) else {
            return false;
        };
        room.id = id.clone();
        let before = std::mem::take(&mut room.instances);
        self.rooms.insert(jid.clone(), room);
        self.unsaved.insert(jid.clone());
        for (old, instance) in &before {
            let mut wanted = Instance::new(Stage::Wanted);
            // What they have said against it for other reasons is no news when they say it again, and that they cannot be
            // reached is still to be told.
            (wanted.refused_for, wanted.is_untold) = (instance.refused_for, instance.is_untold);
            self.rooms.add_instance(jid, id.at(&old.service()), wanted);
        }
        for old in before.keys() {
            self.want_instance(now, jid, &old.service());
        }
        true
    }
}

/// Whether some shadow has the name that shadows of this room get: then it stays.
fn has_its_name(room: &Room) -> bool {
    let has_it = |instance: &Instance| instance.is_proven || instance.stage > Stage::Replicating;
    room.instances.values().any(has_it)
}

/// What nobody types: a UUID, or the SHA-256 of the source's JID.
fn is_opaque(id: &str, source: Option<&BareJid>) -> bool {
    uuid::Uuid::try_parse(id).is_ok_and(|uuid| uuid.hyphenated().to_string() == id)
        || source.is_some_and(|source| ids::room_id_sha256(source) == id)
}

/// `coven.chat.shakespeare.lit`, with any sign between that is neither letter nor digit.
fn carries(id: &str, domain: &str) -> bool {
    let name = id.strip_suffix(domain).map(str::chars);
    name.is_some_and(|mut name| {
        let between = name.next_back();
        between.is_some_and(|between| !between.is_alphanumeric()) && name.next().is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opaque_ids_are_uuids_and_the_hash_of_the_source() {
        let source = BareJid::new("coven@chat.shakespeare.lit").unwrap();
        let other = BareJid::new("other@chat.shakespeare.lit").unwrap();
        let hash = ids::room_id_sha256(&source);
        let uuid = "816decd2-4dcb-41e0-8109-75b146b03a82";
        assert!(is_opaque(uuid, None) && is_opaque(&hash, Some(&source)));
        assert!(!is_opaque(&hash, Some(&other)) && !is_opaque(&hash, None));
        for readable in [
            "support",
            "",
            "816decd24dcb41e0810975b146b03a82",
            "urn:uuid:816decd2-4dcb-41e0-8109-75b146b03a82",
            "support-816decd2-4dcb-41e0-8109-75b146b03a82",
        ] {
            assert!(!is_opaque(readable, Some(&source)), "{readable}");
        }
    }

    #[test]
    fn a_name_that_ends_with_the_firsthost_says_whose_it_is() {
        let domain = "chat.shakespeare.lit";
        for name in ["coven.chat.shakespeare.lit", "coven%chat.shakespeare.lit"] {
            assert!(carries(name, domain), "{name}");
        }
        for name in [
            "chat.shakespeare.lit",
            ".chat.shakespeare.lit",
            "covenchat.shakespeare.lit",
            "coven",
        ] {
            assert!(!carries(name, domain), "{name}");
        }
    }
}
