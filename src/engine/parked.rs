//! What a configuration leaves out is parked, never forgotten: a shadow whose source's service is not in `dmuc_peers`, or
//! does not share the room with us, and instances at services that are not in it.
//!
//! A parked shadow is what is stored of it and nothing more: its host reads it back as after a restart when it goes on. Why
//! it is parked follows from the configuration, and is not stored.

use std::collections::BTreeSet;

use crate::address::BareJid;

use super::input::Departure;
use super::link::Caps;
use super::request::Pending;
use super::state::clock::Now;
use super::state::instance::{Instance, Stage};
use super::state::room::Room;
use super::state::stored::StoredRoom;
use super::{Action, Engine, LIFE, Notice, Verdict};
use crate::config::Config;
use crate::error::Error;
use crate::wire::{Peerhost, Request};

/// Why a room, or an instance of it, is parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParkedFor {
    /// A shadow: `dmuc_peers` here does not name the service of its source.
    SourceNotNamed,
    /// A shadow: the service of its source does not share the room with this one, whose name is not in its `dmuc_peers`.
    NotShared,
    /// An instance at a service that `dmuc_peers` here does not name. The room goes on without it.
    InstanceNotNamed,
}

impl ParkedFor {
    /// As the bindings name it.
    pub fn as_str(self) -> &'static str {
        match self {
            ParkedFor::SourceNotNamed => "source_not_named",
            ParkedFor::NotShared => "not_shared",
            ParkedFor::InstanceNotNamed => "instance_not_named",
        }
    }
}

/// What waits for a service to be named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedRoom {
    /// Our room.
    pub room: BareJid,
    /// The service that is not named, or does not name us.
    pub peer: BareJid,
    /// The source, if it is known.
    pub source: Option<BareJid>,
    /// Why.
    pub reason: ParkedFor,
}

impl Engine {
    /// Everything that is parked, in the order of rooms.
    pub fn parked(&self) -> Vec<ParkedRoom> {
        let shadows = self.parked.values().map(|room| self.parked_shadow(room));
        let instances = self.rooms.values().flat_map(|room| {
            room.unnamed.iter().map(|instance| ParkedRoom {
                room: room.jid.clone(),
                peer: instance.service(),
                source: room.source.clone(),
                reason: ParkedFor::InstanceNotNamed,
            })
        });
        let mut all: Vec<ParkedRoom> = shadows.chain(instances).collect();
        all.sort_by(|a, b| (&a.room, &a.peer).cmp(&(&b.room, &b.peer)));
        all
    }

    /// Why the shadow `room` is parked, or `None` if it is not.
    pub fn parked_room(&self, room: &BareJid) -> Option<ParkedRoom> {
        self.parked.get(room).map(|room| self.parked_shadow(room))
    }

    fn parked_shadow(&self, room: &Room) -> ParkedRoom {
        ParkedRoom {
            room: room.jid.clone(),
            peer: room.firsthost.clone(),
            source: room.source.clone(),
            reason: match self.config.peers.contains_key(&room.firsthost) {
                true => ParkedFor::NotShared,
                false => ParkedFor::SourceNotNamed,
            },
        }
    }

    /// Puts rooms and instances in line with a configuration that has just come into force.
    pub(super) fn follow_peers(&mut self, now: Now, was: &Config) {
        let is_new = |service: &&BareJid| !was.peers.contains_key(service);
        let named: Vec<BareJid> = self.config.peers.keys().filter(is_new).cloned().collect();
        let is_gone = |service: &&BareJid| !self.config.peers.contains_key(service);
        let unnamed: Vec<BareJid> = was.peers.keys().filter(is_gone).cloned().collect();
        let mut orphans = Vec::new();
        let mut others = Vec::new();
        for room in self.rooms.values() {
            match self.is_orphan(room) {
                true => orphans.push(room.jid.clone()),
                false => others.push(room.jid.clone()),
            }
        }
        for jid in orphans {
            self.park(now, &jid);
        }
        for jid in others {
            self.drop_unnamed(now, &jid);
            self.take_named(now, &jid);
        }
        for service in &unnamed {
            self.links.remove(service);
            self.give_up_requests(now, service);
            self.give_up_privates(service);
        }
        for service in &named {
            self.unpark_all(now, service);
            let is_untold = |instance: &BareJid| instance.is_at(service);
            if self
                .endings
                .values()
                .any(|ending| ending.untold.iter().any(is_untold))
            {
                self.learn_caps(now, service);
            }
        }
        // Who did not share rooms with us may do so by now.
        let asked: BTreeSet<BareJid> = self.parked.values().map(|room| room.firsthost.clone()).collect();
        for service in asked {
            if self.caps(&service) == Caps::Full && self.is_link_open(&service) {
                self.send_digest(now, &service, self.config.link_timeout_ms);
            }
        }
    }

    fn is_orphan(&self, room: &Room) -> bool {
        !room.is_source() && !self.config.peers.contains_key(&room.firsthost)
    }

    /// A stored room takes its place: among the parked ones, or with what follows from the configuration.
    pub(super) fn place_restored(&mut self, now: Now, room: Room) {
        let jid = room.jid.clone();
        if self.is_orphan(&room) {
            self.set_aside(room);
            return self.say_parked(&jid, false);
        }
        self.take_back(now, room);
    }

    /// The room is in force again, as it was stored.
    fn take_back(&mut self, now: Now, mut room: Room) {
        let jid = room.jid.clone();
        // What was used after the snapshot was stored is not known any more: neither numbers of events nor versions.
        let jitter = self.ids.below(LIFE / 16);
        room.live_anew((room.incarnation + LIFE + jitter).max(now.wall_ms));
        if let Some(succession) = &mut room.succession {
            succession.party.restart(room.incarnation);
        }
        room.started = false;
        let is_configured = room.ready;
        self.rooms.insert(jid.clone(), room);
        self.count_anew(&jid);
        if !is_configured {
            self.await_configuration(now, &jid);
        }
        self.unsaved.insert(jid.clone());
        self.drop_unnamed(now, &jid);
        self.take_named(now, &jid);
    }

    /// The shadow goes out of force: nobody here is in it for the others, nobody of theirs is in it here.
    fn park(&mut self, now: Now, jid: &BareJid) {
        let Some(room) = self.rooms.get(jid).filter(|room| !room.is_source()) else {
            return;
        };
        let nicks: Vec<String> = room.locals.keys().cloned().collect();
        for nick in &nicks {
            let departure = Departure {
                room: Some(jid),
                nick,
                ..Departure::default()
            };
            // It is in the room, so this is not refused.
            drop(self.local_left(now, &departure));
        }
        let Some(room) = self.rooms.remove(jid) else {
            return;
        };
        for (home, instance) in &room.instances {
            self.hide_all(jid, home, instance);
        }
        self.set_aside(StoredRoom::of(&room, false).to_room());
        self.unsaved.insert(jid.clone());
        self.say_parked(jid, !nicks.is_empty());
    }

    /// Among the parked rooms. Its instances have to speak as such again when it goes on.
    fn set_aside(&mut self, mut room: Room) {
        for instance in room.instances.values_mut() {
            instance.is_proven = false;
        }
        self.parked.insert(room.jid.clone(), room);
    }

    fn say_parked(&mut self, jid: &BareJid, has_people: bool) {
        if let Some(parked) = self.parked_room(jid) {
            self.actions.push_back(Action::Park { parked, has_people });
        }
    }

    /// The rooms of this firsthost go on.
    pub(super) fn unpark_all(&mut self, now: Now, service: &BareJid) {
        let is_theirs = |room: &&Room| room.firsthost == *service;
        let rooms = self.parked.values().filter(is_theirs);
        for jid in rooms.map(|room| room.jid.clone()).collect::<Vec<_>>() {
            self.unpark(now, &jid);
        }
    }

    pub(super) fn unpark(&mut self, now: Now, jid: &BareJid) {
        if let Some(room) = self.parked.remove(jid) {
            self.take_back(now, room);
            self.actions.push_back(Action::Unpark { room: jid.clone() });
        }
    }

    /// The service does not share its rooms with us: it has refused to talk to us at all.
    pub(super) fn not_shared(&mut self, now: Now, service: &BareJid) {
        let is_theirs = |room: &&Room| room.firsthost == *service && !room.is_source();
        let rooms = self.rooms.values().filter(is_theirs);
        for jid in rooms.map(|room| room.jid.clone()).collect::<Vec<_>>() {
            self.park(now, &jid);
        }
    }

    /// The firsthost says that it does not share this room with us any more.
    pub(super) fn sharing_ended(&mut self, now: Now, jid: &BareJid) {
        self.park(now, jid);
    }

    /// Instances at services that are not named are let go for now, and remembered.
    fn drop_unnamed(&mut self, now: Now, jid: &BareJid) {
        let Some(room) = self.rooms.get(jid) else { return };
        let (is_source, id) = (room.is_source(), room.id.clone());
        let is_foreign = |instance: &&BareJid| !self.config.peers.contains_key(&instance.service());
        let foreign: Vec<BareJid> = room.instances.keys().filter(is_foreign).cloned().collect();
        if foreign.is_empty() {
            return;
        }
        for instance in &foreign {
            if is_source {
                self.say_goodbye(now, jid, instance);
                self.note(jid, &instance.service(), Notice::NotNamed);
            }
            self.forget_instance(now, jid, &instance.service());
            self.remember_unnamed(jid, instance);
        }
        if !is_source {
            return;
        }
        // Its people leave the rosters of the others at once.
        for instance in &foreign {
            for other in self.receivers(jid) {
                if self.speaks_ours(&other) {
                    let gone = Request::Peerhost(Peerhost {
                        id: id.clone(),
                        jid: Some(instance.service()),
                        gone: true,
                    });
                    let from = self.config.service.clone();
                    self.request(now, from, other.service(), gone, Pending::Nothing);
                }
            }
        }
        self.shadows_changed(now, jid);
    }

    /// A shadow that we do not share the room with any more is told, if it can be.
    fn say_goodbye(&mut self, now: Now, jid: &BareJid, instance: &BareJid) {
        let service = instance.service();
        let Some(room) = self.rooms.get(jid) else { return };
        if !room.instances.get(instance).is_some_and(Instance::takes_events) || !self.is_link_open(&service) {
            return;
        }
        match self.caps(&service) {
            Caps::Full => {
                let gone = Request::Peerhost(Peerhost {
                    id: room.id.clone(),
                    jid: Some(service.clone()),
                    gone: true,
                });
                let from = self.config.service.clone();
                self.request(now, from, service, gone, Pending::Nothing);
            }
            Caps::Xep => self.tell_departures_to(jid, instance),
            Caps::Unknown | Caps::Nothing => {}
        }
    }

    /// There is an instance at a service that is not named.
    pub(super) fn remember_unnamed(&mut self, jid: &BareJid, instance: &BareJid) {
        let limit = self.config.max_peerhosts;
        if let Some(room) = self.rooms.get_mut(jid)
            && room.unnamed.len() < limit
            && room.unnamed.insert(instance.clone())
        {
            self.unsaved.insert(jid.clone());
        }
    }

    /// Instances that were left out are instances again, if their services are named now. A source asks them, a shadow waits
    /// for them as for any other that the source has told of.
    fn take_named(&mut self, now: Now, jid: &BareJid) {
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let peers = &self.config.peers;
        let is_named = |instance: &&BareJid| peers.contains_key(&instance.service());
        let named: Vec<BareJid> = room.unnamed.iter().filter(is_named).cloned().collect();
        for instance in named {
            let service = instance.service();
            let Some(room) = self.rooms.get_mut(jid) else {
                return;
            };
            room.unnamed.remove(&instance);
            self.unsaved.insert(jid.clone());
            if room.instances.keys().any(|known| known.is_at(&service)) {
                continue;
            }
            if !room.is_source() && room.started {
                // The source has told both of each other long ago, and will not do so again.
                self.want_instance(now, jid, &service);
            } else if !room.is_source() {
                self.expect_instance(now, jid, instance);
            } else if room.instances.len() < self.config.max_peerhosts {
                self.rooms
                    .add_instance(jid, instance, Instance::new(Stage::Wanted));
            } else {
                self.note(jid, &service, Notice::TooManyPeerhosts);
            }
        }
    }

    /// The administrator gives up what is parked of this room: a shadow becomes history that is closed, and its source is
    /// told that it has left; a source forgets the instances that are left out.
    pub(super) fn let_go(&mut self, now: Now, jid: &BareJid) -> Result<Verdict, Error> {
        if let Some(room) = self.parked.get(jid) {
            let source = room.source.clone();
            self.end_parked(now, jid);
            if let Some(source) = source {
                self.actions.push_back(Action::Close {
                    room: jid.clone(),
                    source,
                    reason: Some("An administrator of this service has let it go".to_owned()),
                });
            }
            return Ok(Verdict::Done);
        }
        let room = self.room_mut(jid)?;
        if !room.unnamed.is_empty() {
            room.unnamed.clear();
            self.unsaved.insert(jid.clone());
        }
        Ok(Verdict::Done)
    }

    /// A parked shadow is no more. Its source learns that when it can. Returns whether there was one.
    pub(super) fn end_parked(&mut self, now: Now, jid: &BareJid) -> bool {
        let Some(room) = self.parked.remove(jid) else {
            return false;
        };
        self.unsaved.insert(jid.clone());
        self.tell_ending(now, jid, Request::Leave, room.source.into_iter().collect());
        true
    }
}
