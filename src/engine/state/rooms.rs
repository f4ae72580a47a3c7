//! The rooms of a service, and the indices by which one of them is found that is not named: by the id that all its instances
//! share, or by the services that have an instance of it. So an input costs what it is about, not what there is.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use super::instance::Instance;
use super::room::Room;
use crate::address::BareJid;
use crate::wire::RoomId;

/// All distributed rooms by their JID here.
///
/// The index of services may have rooms that have lost their instance there: what is found in it is looked at. It lacks none.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    rooms: BTreeMap<BareJid, Room>,
    by_id: BTreeMap<RoomId, BTreeSet<BareJid>>,
    by_service: BTreeMap<BareJid, BTreeSet<BareJid>>,
    by_firsthost: BTreeMap<BareJid, Held>,
    /// About how many bytes of messages are in memory.
    memory: usize,
    /// Rooms by how many of theirs may leave it.
    by_spare: BTreeSet<(usize, BareJid)>,
}

/// What a firsthost has here.
#[derive(Debug, Default)]
struct Held {
    rooms: usize,
    /// Of messages.
    bytes: usize,
}

impl Deref for Rooms {
    type Target = BTreeMap<BareJid, Room>;

    fn deref(&self) -> &Self::Target {
        &self.rooms
    }
}

impl Rooms {
    /// Instances are added with [`Rooms::add_instance`]; id and firsthost stay.
    pub(crate) fn get_mut(&mut self, jid: &BareJid) -> Option<&mut Room> {
        self.rooms.get_mut(jid)
    }

    /// A room that was not here.
    pub(crate) fn insert(&mut self, jid: BareJid, mut room: Room) {
        self.remove(&jid);
        room.noted_memory = (0, 0);
        self.by_id.entry(room.id.clone()).or_default().insert(jid.clone());
        let held = self.by_firsthost.entry(room.firsthost.clone()).or_default();
        held.rooms += 1;
        held.bytes += room.noted_bytes;
        for instance in room.instances.keys() {
            let service = instance.service();
            self.by_service.entry(service).or_default().insert(jid.clone());
        }
        self.rooms.insert(jid.clone(), room);
        self.note_memory(&jid);
    }

    pub(crate) fn remove(&mut self, jid: &BareJid) -> Option<Room> {
        let room = self.rooms.remove(jid)?;
        forget(&mut self.by_id, &room.id, jid);
        self.memory = self.memory.saturating_sub(room.noted_memory.0);
        self.by_spare.remove(&(room.noted_memory.1, jid.clone()));
        for instance in room.instances.keys() {
            forget(&mut self.by_service, &instance.service(), jid);
        }
        if let Some(held) = self.by_firsthost.get_mut(&room.firsthost) {
            held.rooms = held.rooms.saturating_sub(1);
            held.bytes = held.bytes.saturating_sub(room.noted_bytes);
            if held.rooms == 0 {
                self.by_firsthost.remove(&room.firsthost);
            }
        }
        Some(room)
    }

    /// Another instance of a room that is here is known.
    pub(crate) fn add_instance(&mut self, jid: &BareJid, instance: BareJid, state: Instance) {
        if let Some(room) = self.rooms.get_mut(jid) {
            let service = instance.service();
            self.by_service.entry(service).or_default().insert(jid.clone());
            room.instances.insert(instance, state);
        }
    }

    /// The instance is none any more.
    pub(crate) fn remove_instance(&mut self, jid: &BareJid, instance: &BareJid) -> Option<Instance> {
        let room = self.rooms.get_mut(jid)?;
        let state = room.instances.remove(instance)?;
        let service = instance.service();
        if !room.instances.keys().any(|other| other.is_at(&service)) {
            forget(&mut self.by_service, &service, jid);
        }
        Some(state)
    }

    /// The rooms with this id: ours of a peer's room, or none. An id may be that of a room of ours by chance.
    pub(crate) fn with_id(&self, id: &RoomId) -> impl Iterator<Item = &Room> {
        let found = self.by_id.get(id).into_iter().flatten();
        found.filter_map(|jid| self.rooms.get(jid))
    }

    /// The rooms that have an instance at a service, in the order of their JIDs.
    pub(crate) fn shared_with<'a>(&'a self, service: &'a BareJid) -> impl Iterator<Item = &'a Room> {
        debug_assert!(self.is_complete(service), "an instance was added past the index");
        let found = self.by_service.get(service).into_iter().flatten();
        found
            .filter_map(|jid| self.rooms.get(jid))
            .filter(move |room| has_instance_at(room, service))
    }

    /// About how many those are, and no fewer.
    pub(crate) fn count_shared_with(&self, service: &BareJid) -> usize {
        self.by_service.get(service).map_or(0, BTreeSet::len)
    }

    /// The rooms that have an instance at a service, from `first` on and around.
    pub(crate) fn shared_with_from<'a>(
        &'a self,
        service: &'a BareJid,
        first: Option<&'a BareJid>,
    ) -> impl Iterator<Item = &'a Room> {
        let of_service = self.by_service.get(service);
        let after = of_service.into_iter().flat_map(move |found| match first {
            Some(first) => found.range::<BareJid, _>(first..),
            None => found.range::<BareJid, _>(..),
        });
        let before = of_service
            .zip(first)
            .into_iter()
            .flat_map(|(found, first)| found.range::<BareJid, _>(..first));
        let found = after.chain(before);
        found
            .filter_map(|jid| self.rooms.get(jid))
            .filter(move |room| has_instance_at(room, service))
    }

    /// Calls `change` with each room that has an instance at a service.
    pub(crate) fn change_shared_with(&mut self, service: &BareJid, mut change: impl FnMut(&mut Room)) {
        for jid in self.by_service.get(service).into_iter().flatten() {
            if let Some(room) = self.rooms.get_mut(jid) {
                change(room);
            }
        }
    }

    /// How many rooms a firsthost has here: our own service the sources, a peer the shadows that we hold for it.
    pub(crate) fn count_of(&self, firsthost: &BareJid) -> usize {
        self.by_firsthost.get(firsthost).map_or(0, |held| held.rooms)
    }

    /// Counts the messages of a room again. Returns how many bytes the rooms of its firsthost have.
    pub(crate) fn note_log(&mut self, jid: &BareJid) -> usize {
        let Some(room) = self.rooms.get_mut(jid) else {
            return 0;
        };
        let bytes = room.log.bytes();
        let Some(held) = self.by_firsthost.get_mut(&room.firsthost) else {
            return 0;
        };
        held.bytes = (held.bytes + bytes).saturating_sub(room.noted_bytes);
        room.noted_bytes = bytes;
        held.bytes
    }

    /// Counts the messages of a room again that are in memory.
    pub(crate) fn note_memory(&mut self, jid: &BareJid) {
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let noted = std::mem::replace(&mut room.noted_memory, room.log.memory());
        self.memory = (self.memory + room.noted_memory.0).saturating_sub(noted.0);
        if noted.1 != room.noted_memory.1 {
            self.by_spare.remove(&(noted.1, jid.clone()));
            if room.noted_memory.1 > 0 {
                self.by_spare.insert((room.noted_memory.1, jid.clone()));
            }
        }
    }

    /// About how many bytes of messages are in memory.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    /// The room of which most may leave it, if any may.
    pub(crate) fn most_spare(&self) -> Option<&BareJid> {
        self.by_spare.last().map(|(_, jid)| jid)
    }

    fn is_complete(&self, service: &BareJid) -> bool {
        let found = self.by_service.get(service);
        self.rooms.values().all(|room| {
            !has_instance_at(room, service) || found.is_some_and(|found| found.contains(&room.jid))
        })
    }
}

fn has_instance_at(room: &Room, service: &BareJid) -> bool {
    room.instances.keys().any(|instance| instance.is_at(service))
}

fn forget<K: Ord>(index: &mut BTreeMap<K, BTreeSet<BareJid>>, key: &K, jid: &BareJid) {
    if let Some(found) = index.get_mut(key) {
        found.remove(jid);
        if found.is_empty() {
            index.remove(key);
        }
    }
}
