//! What a host may ask of its engine: nothing here changes anything.

use crate::address::BareJid;

use super::link::Caps;
use super::request::{Outstanding, Pending};
use super::state::clock::Now;
use super::state::instance::Instance;
use super::state::log::{Entry, Held};
use super::state::room::Room;
use super::{Engine, RemoteOccupant, presence, split};
use crate::snapshot::{ListPart, Snapshot};
use crate::wire::{Affiliation, Listed};

/// What a host needs to know of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomInfo {
    /// The id all instances share.
    pub id: String,
    /// The source, if it is known.
    pub source: Option<BareJid>,
    /// Whether the source is here.
    pub is_source: bool,
    /// Whether users may join and find it: its configuration has arrived.
    pub is_ready: bool,
}

impl Engine {
    /// What is known of a room, or `None` if it is not distributed.
    pub fn room_info(&self, room: &BareJid) -> Option<RoomInfo> {
        self.rooms.get(room).map(|room| RoomInfo {
            id: room.id.as_str().to_owned(),
            source: room.source.clone(),
            is_source: room.is_source(),
            is_ready: room.ready,
        })
    }

    /// Every distributed room, in the order of their JIDs.
    pub fn rooms(&self) -> impl Iterator<Item = &BareJid> {
        self.rooms.keys()
    }

    /// Whether `instance` is another instance of `room`, or was when that was parked.
    pub fn is_instance(&self, room: &BareJid, instance: &BareJid) -> bool {
        let room = self.rooms.get(room).or_else(|| self.parked.get(room));
        room.is_some_and(|room| room.instances.contains_key(instance))
    }

    /// The room here of which `instance` is another instance that holds it now, by its own word: where a user of this server is better off.
    pub fn instance_here(&self, instance: &BareJid) -> Option<&BareJid> {
        let is_it = |room: &&Room| {
            let other = room.instances.get(instance);
            room.ready && other.is_some_and(Instance::holds_room)
        };
        let service = instance.service();
        let found = self.rooms.shared_with(&service).find(is_it);
        let jid = found.map(|room| room.jid.clone())?;
        self.rooms.get(&jid).map(|room| &room.jid)
    }

    /// The other instances of `room` that hold it now, by their own word.
    pub fn active_instances(&self, room: &BareJid) -> Vec<BareJid> {
        let instances = self.rooms.get(room).map(|room| &room.instances);
        let active = |(_, instance): &(&BareJid, &Instance)| instance.holds_room();
        instances.map_or_else(Vec::new, |all| {
            all.iter().filter(active).map(|(jid, _)| jid.clone()).collect()
        })
    }

    /// Whether a message with this stanza-id is in the room's log.
    pub fn has_message(&self, room: &BareJid, id: &str) -> bool {
        self.rooms.get(room).is_some_and(|room| room.log.has_id(id))
    }

    /// A message of the room's log by its stanza-id, in memory or not.
    pub fn held(&self, room: &BareJid, id: &str) -> Option<Held<'_>> {
        self.rooms.get(room).and_then(|room| room.log.held(id))
    }

    /// About how many bytes of messages are in memory, of all rooms: no more than
    /// [`Config::memory_bytes`](crate::Config::memory_bytes), if the host has stored them and said so.
    pub fn memory(&self) -> usize {
        self.rooms.memory()
    }

    /// How many messages of the room's log are in memory.
    pub fn messages_in_memory(&self, room: &BareJid) -> usize {
        self.rooms.get(room).map_or(0, |room| room.log.whole())
    }

    /// A message of the room's log by its stanza-id, if it is in memory: every one is that the host has not said to be stored
    /// ([`super::Input::MessageStored`]).
    pub fn message(&self, room: &BareJid, id: &str) -> Option<&Entry> {
        self.rooms.get(room).and_then(|room| room.log.get(id))
    }

    /// The messages of the room's log in their order, in memory or not, the same on every instance (G6).
    pub fn log(&self, room: &BareJid) -> impl DoubleEndedIterator<Item = Held<'_>> {
        self.rooms.get(room).into_iter().flat_map(|room| room.log.each())
    }

    /// Those of them that are in memory; `rev()` starts with the newest.
    pub fn messages(&self, room: &BareJid) -> impl DoubleEndedIterator<Item = &Entry> {
        self.rooms.get(room).into_iter().flat_map(|room| room.log.iter())
    }

    /// What people who join see of the log: without what is moderated, and without what claims to be of the future, until
    /// that is the present: it would hide what was said.
    pub fn history(&self, now: Now, room: &BareJid) -> impl DoubleEndedIterator<Item = Held<'_>> {
        let room = self.rooms.get(room);
        let latest_ms = now.latest().wall_ms;
        let shows = move |held: &Held<'_>| {
            held.key().at.wall_ms <= latest_ms && room.is_some_and(|room| !room.is_hidden(held))
        };
        room.into_iter().flat_map(|room| room.log.each()).filter(shows)
    }

    /// The decision of the source that the message with this stanza-id is gone, as an entry of the log whose payload is a
    /// [`Moderation`](crate::wire::Moderation).
    pub fn moderation(&self, room: &BareJid, id: &str) -> Option<&Entry> {
        self.rooms.get(room).and_then(|room| room.log.moderation_of(id))
    }

    /// The occupants of other instances as they should be shown in `room`: what the host compares with after it
    /// restored the room from its own storage.
    pub fn remote_occupants(&self, room: &BareJid) -> Vec<RemoteOccupant> {
        let Some(room) = self.rooms.get(room) else {
            return Vec::new();
        };
        let mut shown = Vec::new();
        for (home, instance) in &room.instances {
            for (nick, remote) in instance
                .occupants
                .iter()
                .filter(|(_, remote)| instance.shows(remote))
            {
                let payload = split::payload_of(instance, home, remote, self.config.split_presence);
                shown.push(presence::shown(room, home, nick, remote, Some(payload)));
            }
        }
        shown
    }

    /// The instance whose client is shown of an occupant with clients at several (XEP-0045 section 7.2.9 leaves it to the
    /// service): the one that was joined first, then the one with the smaller JID. Every instance decides alike.
    pub fn first_home(&self, room: &BareJid, nick: &str) -> Option<&BareJid> {
        let room = self.rooms.get(room)?;
        let here = room.locals.get(nick).map(|local| (local.serial, &room.jid));
        let elsewhere = room.remotes(nick).map(|(home, remote)| (remote.serial, home));
        here.into_iter().chain(elsewhere).min().map(|(_, home)| home)
    }

    /// The affiliation that the home of an occupant says it has, whether or not that is believed here: what an occupant may
    /// do in its own name its home has decided already. `None` if there is no such occupant.
    pub fn claimed_affiliation(&self, room: &BareJid, home: &BareJid, nick: &str) -> Option<Affiliation> {
        let instance = self.rooms.get(room)?.instances.get(home)?;
        instance.occupants.get(nick).map(|remote| remote.claimed)
    }

    /// The list of affiliations of `room` as it is in force here, changes that wait for the source's decision included.
    pub fn affiliations(&self, room: &BareJid) -> Vec<(&BareJid, Listed)> {
        let Some(room) = self.rooms.get(room) else {
            return Vec::new();
        };
        let users = room.settings.affiliations.keys();
        users.map(|user| (user, room.listed(user))).collect()
    }

    /// The nicks of our own occupants of `room`: what the host compares with after it was not listening.
    pub fn local_nicks(&self, room: &BareJid) -> Vec<&str> {
        self.rooms
            .get(room)
            .map_or_else(Vec::new, |room| room.locals.keys().map(String::as_str).collect())
    }

    /// How many requests to peers are not answered yet.
    pub fn pending_requests(&self) -> usize {
        self.outstanding.len()
    }

    /// Whether nothing is to be done but heartbeats: nothing is unanswered, nothing is missing as far as is known, and
    /// every link is up or leads to nobody.
    pub fn is_settled(&self) -> bool {
        self.waits().next().is_none()
    }

    /// What is not settled yet, in words, for whoever has to find out why.
    pub fn waits(&self) -> impl Iterator<Item = String> {
        let is_beat = |outstanding: &Outstanding| matches!(outstanding.pending, Pending::Digest(_));
        let requests = self
            .outstanding
            .values()
            .filter(move |outstanding| !is_beat(outstanding));
        let requests = requests
            .map(|outstanding| format!("{} has not answered {:?}", outstanding.to, outstanding.pending));
        let links = self
            .unsettled_links()
            .map(|(service, state)| format!("the link to {service} is {state:?}"));
        let instances = self.rooms.values().filter(|room| room.ready).flat_map(|room| {
            let waiting = room.instances.iter().filter(|(_, instance)| instance.waits());
            waiting.map(|(peer, instance)| {
                let (stage, sync, cut) = (instance.stage, instance.sync, instance.is_cut);
                format!("{} waits for {peer}: {stage:?}, {sync:?}, cut {cut}", room.jid)
            })
        });
        let rooms = self.rooms.values().filter(|room| !room.offers.is_empty());
        let offers = rooms.map(|room| format!("{} has changes that wait for the source", room.jid));
        requests.chain(links).chain(instances).chain(offers)
    }

    /// Our rooms and those other instances of them of which something is missing here, or may be, as `(room, instance)`: what
    /// their people say now is shown when that has been pulled (G4). Peers that speak only the XEP's text are never behind;
    /// one that has the room, and has not been asked yet what it speaks, may be.
    pub fn behind(&self) -> impl Iterator<Item = (&BareJid, &BareJid)> {
        self.rooms.values().flat_map(move |room| {
            let instances = room.instances.iter();
            let behind = instances.filter(|(peer, instance)| self.may_miss(&peer.service(), instance));
            behind.map(|(peer, _)| (&room.jid, peer))
        })
    }

    /// Whether something of an instance at this service may be missing here.
    pub(super) fn may_miss(&self, service: &BareJid, instance: &Instance) -> bool {
        match self.caps(service) {
            Caps::Full => instance.is_behind(),
            Caps::Unknown => instance.holds_room(),
            Caps::Xep | Caps::Nothing => false,
        }
    }

    /// The room's distributed state for the host to store, or `None` if it is to be forgotten.
    pub fn snapshot(&self, room: &BareJid) -> Option<Snapshot> {
        let state = self.rooms.get(room).or_else(|| self.parked.get(room));
        Snapshot::of(room, state, self.endings.get(room))
    }

    /// The same for a host that stores a long list of affiliations beside the rest of the room, so that one more entry costs
    /// what it is: the room without such a list, and what of the list is to be stored before that.
    ///
    /// `has_none` says that the host has nothing of the list beside the room, or does not know; lists of up to `most_within`
    /// entries are in the snapshot. What is given is counted as stored: a host that cannot write it keeps it until it can.
    pub fn snapshot_in_parts(
        &mut self,
        room: &BareJid,
        has_none: bool,
        most_within: usize,
    ) -> Option<(Snapshot, ListPart)> {
        let ending = self.endings.get(room);
        let state = self.rooms.get_mut(room).or_else(|| self.parked.get_mut(room));
        Snapshot::in_parts(room, state, ending, has_none, most_within)
    }
}
