//! A federation with the rooms and people of one plan, and the checkers that watch it.

use std::collections::{BTreeMap, BTreeSet};

use dmuc::Config;
use dmuc::address::BareJid;
use dmuc::wire::Affiliation;

use crate::check::{Checkers, View, compare};
use crate::plan::{Deed, Plan, Step};
use crate::support::dice::Dice;
use crate::support::event::{Event, SeenMessage};
use crate::support::federation::Federation;
use crate::support::host::Host;
use crate::support::names::{bare, service_of};

pub struct World {
    pub fed: Federation,
    pub plan: Plan,
    pub groups: Vec<Group>,
    pub checkers: Checkers,
    pub running: BTreeSet<usize>,
    /// Numbers what is said and everything else that must be told apart.
    pub count: u64,
}

/// One room and all its instances.
#[derive(Debug, Clone)]
pub struct Group {
    pub source: BareJid,
    pub is_distributed: bool,
    /// Destroyed, or an ordinary room again: nothing is expected of it any more.
    pub has_ended: bool,
}

impl World {
    pub fn new(plan: Plan) -> World {
        let mut world = World {
            fed: Federation::empty(plan.seed),
            groups: Vec::new(),
            checkers: Checkers::default(),
            running: BTreeSet::new(),
            count: 0,
            plan,
        };
        world.fed.jitter_ms = world.plan.setup.jitter_ms;
        let setup = world.plan.setup.clone();
        for (a, from) in setup.services.iter().enumerate() {
            world.fed.skew_ms.insert(bare(&from.name), from.skew_ms);
            for (b, to) in setup.services.iter().enumerate().filter(|(b, _)| a != *b) {
                let direction = world.fed.net.direction(&bare(&from.name), &bare(&to.name));
                direction.latency_ms = setup.latency_ms[a][b];
            }
        }
        for (number, service) in setup.services.iter().enumerate() {
            if !service.starts_late {
                world.start(number);
            }
        }
        world
    }

    pub fn start(&mut self, number: usize) {
        if !self.running.insert(number) {
            return;
        }
        let service = self.plan.setup.services[number].clone();
        if service.is_xep {
            self.fed.add_xep(&service.name).knows_peerhosts = true;
            self.checkers.speaks_xep_only(&bare(&service.name));
        } else {
            let config = self.config(number);
            self.fed.add(config);
        }
    }

    fn config(&self, number: usize) -> Config {
        let setup = &self.plan.setup;
        let mut config = Config::new(bare(&setup.services[number].name));
        for (_, peer) in setup
            .services
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != number)
        {
            config = config.with_peer(bare(&peer.name));
        }
        for peer in config.peers.values_mut() {
            peer.trusted = setup.is_trusting;
        }
        (config.room_id, config.replicate, config.redirect) =
            (setup.room_id, setup.replicate, setup.redirect);
        config
    }

    /// Runs the plan. The error says which guarantee does not hold.
    pub fn run(&mut self) -> Result<(), String> {
        for step in self.plan.steps.clone() {
            self.step(&step)?;
        }
        for number in 0..self.plan.setup.services.len() {
            self.start(number);
        }
        self.rest()
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        let until = self.fed.now_ms + step.wait_ms;
        while self.fed.step(until) {
            self.check()?;
        }
        self.fed.now_ms = until;
        if self.fed.is_traced {
            let line = format!("{:>8} -- {:?}", self.fed.now_ms, step.deed);
            self.fed.trace.push(line);
        }
        if step.deed == Deed::Rest {
            return self.rest();
        }
        self.perform(step.deed, &mut Dice::new(step.roll));
        self.check()
    }

    /// What has happened since, for the checkers.
    fn check(&mut self) -> Result<(), String> {
        let events = std::mem::take(&mut self.fed.events);
        if events.iter().any(|event| matches!(event, Event::Refused { .. })) {
            self.map_instances();
        }
        for event in &events {
            self.checkers.event(event)?;
        }
        for host in self.fed.hosts.values() {
            self.checkers
                .bounds(&host.service, host.engine.pending_requests())?;
        }
        Ok(())
    }

    /// Everything arrives; then all instances of a room must agree, and everybody have heard everything.
    pub fn rest(&mut self) -> Result<(), String> {
        // A service that has not started is asked again and again: it is quiet when nothing else is left.
        let all_run = self.running.len() == self.plan.setup.services.len();
        let until = self.fed.now_ms + 900_000;
        while (all_run || !self.is_quiet()) && self.fed.step(until) {
            self.check()?;
        }
        self.check()?;
        if all_run
            && (self.fed.net.in_flight() > 0
                || self
                    .fed
                    .hosts
                    .values()
                    .any(|host| host.engine.poll_timeout().is_some()))
        {
            return Err("it does not come to rest".to_owned());
        }
        for (number, group) in self
            .groups
            .iter()
            .enumerate()
            .filter(|(_, group)| group.is_distributed && !group.has_ended)
        {
            let views: Vec<View> = self.instances(group).iter().map(|room| self.view(room)).collect();
            compare(&views, self.checkers.refused())
                .map_err(|error| format!("room {number} ({}): {error}", group.source))?;
        }
        self.checkers.rested()
    }

    /// Nothing is on its way and nobody waits for an answer.
    fn is_quiet(&self) -> bool {
        let waits = |host: &Host| host.engine.pending_requests() > 0;
        self.fed.net.in_flight() == 0 && !self.fed.hosts.values().any(waits)
    }

    /// The checkers learn which instance belongs to which room.
    fn map_instances(&mut self) {
        for (number, group) in self.groups.iter().enumerate() {
            for host in self.fed.hosts.values() {
                let is_ours = |room: &&BareJid| {
                    let info = host.engine.room_info(room);
                    info.is_some_and(|info| info.source.as_ref() == Some(&group.source))
                };
                for room in host.engine.rooms().filter(is_ours) {
                    self.checkers.map(room, number);
                }
            }
        }
    }

    /// Every instance of a room that is ready, the source first.
    pub fn instances(&self, group: &Group) -> Vec<BareJid> {
        let mut instances = vec![group.source.clone()];
        if !group.is_distributed {
            return instances;
        }
        for host in self.fed.hosts.values() {
            let is_ours = |room: &&BareJid| {
                let info = host.engine.room_info(room);
                info.is_some_and(|info| {
                    !info.is_source && info.is_ready && info.source.as_ref() == Some(&group.source)
                })
            };
            instances.extend(host.engine.rooms().filter(is_ours).cloned());
        }
        for peer in self.fed.xep.values() {
            let is_ours = |(_, room): &(&BareJid, &crate::support::xep::XepRoom)| {
                room.source.as_ref() == Some(&group.source)
            };
            instances.extend(peer.rooms.iter().filter(is_ours).map(|(jid, _)| jid.clone()));
        }
        instances
    }

    pub fn is_xep(&self, room: &BareJid) -> bool {
        self.fed.xep.contains_key(&service_of(room))
    }

    fn host(&self, room: &BareJid) -> &Host {
        &self.fed.hosts[&service_of(room)]
    }

    fn view(&self, room: &BareJid) -> View {
        if self.is_xep(room) {
            let entry = &self.fed.xep[&service_of(room)].rooms[room];
            let mut roster: BTreeMap<String, String> = BTreeMap::new();
            let remotes = entry.remotes.keys().map(|(nick, _)| nick);
            for nick in entry.locals.keys().chain(remotes) {
                roster.insert(nick.clone(), String::new());
            }
            return View {
                instance: room.to_string(),
                is_xep: true,
                roster,
                ..View::default()
            };
        }
        let (host, host_room) = (self.host(room), self.host(room).room(room));
        let mut roster = BTreeMap::new();
        for (nick, occupant) in &host_room.occupants {
            let local = occupant.local.iter().map(|local| {
                (
                    room.clone(),
                    (
                        local.affiliation,
                        local.role,
                        Some(local.occupant_id.clone()),
                        local.payload.clone(),
                    ),
                )
            });
            let remote = occupant.remote.iter().map(|(home, remote)| {
                (
                    home.clone(),
                    (
                        remote.affiliation,
                        remote.role,
                        remote.occupant_id.clone(),
                        remote.payload.clone(),
                    ),
                )
            });
            let homes: BTreeMap<_, _> = local.chain(remote).collect();
            roster.insert(nick.clone(), format!("{homes:?}"));
        }
        let as_seen = |entry: &dmuc::engine::Entry| SeenMessage {
            nick: entry.nick.clone(),
            payload: entry.payload.to_string(),
            message_id: entry.message_id.clone(),
            stanza_id: Some(entry.id.clone()),
            occupant_id: entry.occupant_id.clone(),
            delayed: true,
        };
        let mut shown = Vec::new();
        for occupant in host.engine.remote_occupants(room) {
            let remote = host_room
                .occupants
                .get(&occupant.nick)
                .and_then(|here| here.remote.get(&occupant.home));
            let same = remote.is_some_and(|remote| {
                (remote.affiliation, remote.role, &remote.occupant_id)
                    == (occupant.affiliation, occupant.role, &occupant.occupant_id)
            });
            if !same {
                shown.push(format!(
                    "the engine holds {occupant:?}, the room shows {remote:?}"
                ));
            }
        }
        let remotes: usize = host_room
            .occupants
            .values()
            .map(|occupant| occupant.remote.len())
            .sum();
        if remotes != host.engine.remote_occupants(room).len() {
            shown.push(format!(
                "the room shows {remotes} remote occupants, the engine holds others"
            ));
        }
        let affiliations = host_room
            .affiliations
            .iter()
            .map(|(user, entry)| (user.clone(), format!("{entry:?}")));
        let mut form = host_room.form.fields.clone();
        form.sort();
        View {
            instance: room.to_string(),
            is_xep: false,
            history: host.engine.messages(room).map(as_seen).collect(),
            archive: host_room
                .archive
                .iter()
                .map(|message| message.stanza_id.clone())
                .collect(),
            roster,
            settings: format!("{form:?} {:?}", host_room.subject.as_ref().map(|(_, text)| text)),
            affiliations: affiliations.collect(),
            disagreements: shown,
        }
    }

    /// Who is somewhere in the room, as (instance, nick, affiliation).
    pub fn people(&self, group: &Group) -> Vec<(BareJid, String, Affiliation)> {
        let mut people = Vec::new();
        for room in self.instances(group) {
            if self.is_xep(&room) {
                let entry = &self.fed.xep[&service_of(&room)].rooms[&room];
                people.extend(
                    entry
                        .locals
                        .iter()
                        .map(|(nick, local)| (room.clone(), nick.clone(), local.affiliation)),
                );
            } else if let Some(host_room) = self.host(&room).rooms.get(&room) {
                people.extend(
                    host_room
                        .locals()
                        .map(|(nick, local)| (room.clone(), nick.clone(), local.affiliation)),
                );
            }
        }
        people
    }
}
