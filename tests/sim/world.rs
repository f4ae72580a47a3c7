//! A federation with the rooms and people of one plan, and the checkers that watch it.

use std::collections::{BTreeMap, BTreeSet};

use dmuc::Config;
use dmuc::address::{BareJid, Jid};
use dmuc::config::ShadowNames;
use dmuc::wire::Affiliation;

use crate::check::Checkers;
use crate::plan::{Deed, Kind, Plan, Step};
use crate::support::dice::Dice;
use crate::support::event::Event;
use crate::support::federation::Federation;
use crate::support::host::Host;
use crate::support::names::{bare, service_of};
use crate::support::net::{Mode, Weather};
use crate::support::reading::Pace;

pub struct World {
    pub fed: Federation,
    pub plan: Plan,
    pub groups: Vec<Group>,
    pub checkers: Checkers,
    pub running: BTreeSet<usize>,
    /// Numbers what is said and everything else that must be told apart.
    pub count: u64,
    /// What was done, in words.
    pub story: Vec<String>,
    /// What is to happen at some time: a fault passes.
    due: BTreeMap<(u64, u64), Due>,
    /// Which peers a configuration leaves out.
    pub unnamed: BTreeSet<(BareJid, BareJid)>,
    /// Liars lie.
    pub is_lying: bool,
    /// Private messages to a liar's people: whatever becomes of them.
    pub lost_privates: BTreeSet<(BareJid, u64)>,
    /// What happens when something else does.
    pub ambushes: Vec<Ambush>,
    /// A service that has instances beside one that speaks the XEP's text only was down, or refused what that one said:
    /// it does not say it again.
    pub xep_missed: bool,
    /// Since when an instance at a service that speaks the XEP's text only knows of another.
    pub known_at: BTreeMap<(BareJid, BareJid), u64>,
    /// When somebody came to an instance of such a service, by instance and nick.
    pub came_at: BTreeMap<(BareJid, String), u64>,
    /// How many things have happened.
    steps: u64,
    /// When everything was at rest last.
    pub rested_at_ms: u64,
    /// For what nobody plans, as how long it takes until a service is back.
    pub dice: Dice,
}

/// What happens by itself after a while.
#[derive(Debug, Clone)]
pub enum Due {
    Mode(BareJid, BareJid, Mode),
    Clear(BareJid, BareJid),
    /// A link carries again whatever is sent.
    Thick(BareJid, BareJid),
    Start(BareJid),
    /// Two people change the same, at the source and at this shadow.
    Duel(usize, BareJid, u64),
    /// Somebody changes something at a shadow, and the source will.
    Ambush(Ambush),
    /// The source changes something.
    Shot(usize, u64),
    /// A service names a peer again.
    Name(BareJid, BareJid),
    /// A service runs with the module again.
    Load(BareJid),
    /// A hook that a message waits for returns.
    Finish(BareJid),
    /// A store answers again.
    Store(BareJid),
    /// Everybody at an instance says something.
    Talk(usize, BareJid),
}

/// What was changed at a shadow is going to be changed at the source when it is offered.
#[derive(Debug, Clone)]
pub struct Ambush {
    pub group: usize,
    pub shadow: BareJid,
    pub what: u64,
    pub victim: BareJid,
}

/// One room and all its instances.
#[derive(Debug, Clone)]
pub struct Group {
    pub source: BareJid,
    pub is_distributed: bool,
    /// Destroyed, or an ordinary room again: nothing is expected of it any more.
    pub has_ended: bool,
}

/// Most things that happen in one schedule: a thousand times what is usual.
const MOST_STEPS: u64 = 1_000_000;

impl World {
    pub fn new(plan: Plan) -> World {
        let mut world = World {
            fed: Federation::empty(plan.seed),
            groups: Vec::new(),
            checkers: Checkers::default(),
            running: BTreeSet::new(),
            count: 0,
            story: Vec::new(),
            due: BTreeMap::new(),
            unnamed: BTreeSet::new(),
            is_lying: true,
            lost_privates: BTreeSet::new(),
            ambushes: Vec::new(),
            xep_missed: false,
            known_at: BTreeMap::new(),
            came_at: BTreeMap::new(),
            steps: 0,
            rested_at_ms: 0,
            dice: Dice::new(plan.seed ^ 0xD1CE),
            plan,
        };
        world.fed.net.seed(world.plan.seed);
        world.checkers.set_up(&world.plan.setup);
        world.fed.jitter_ms = world.plan.setup.jitter_ms;
        let setup = world.plan.setup.clone();
        let liars = setup.services.iter().filter(|service| service.is_liar);
        world.fed.liars = liars.map(|service| bare(&service.name)).collect();
        world.checkers.beware(!world.fed.liars.is_empty());
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
            let name = config.service.clone();
            self.fed.add(config);
            if let Some(host) = self.fed.hosts.get_mut(&name) {
                host.most_within = 1; // nearly every list is stored beside its room
                host.reading.pace = Pace::Mixed;
                host.reading.forgets = is_forgetful(self.plan.seed, number);
            }
        }
    }

    pub fn config(&self, number: usize) -> Config {
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
        let service = config.service.clone();
        let is_named = |peer: &BareJid| !self.unnamed.contains(&(service.clone(), peer.clone()));
        config.peers.retain(|peer, _| is_named(peer));
        for peer in config.peers.values_mut() {
            peer.trusted = setup.is_trusting;
        }
        (config.room_id, config.replicate, config.redirect) =
            (setup.room_id, setup.replicate, setup.redirect);
        if setup.kind != Kind::Liars {
            config.shadow_names = ShadowNames::Any;
        }
        (config.ping_interval_ms, config.link_timeout_ms) = (setup.ping_interval_ms, setup.link_timeout_ms);
        config.split_presence = setup.split_presence;
        // Nothing stays that need not, or not much, or the history of newcomers.
        config.memory_bytes = match self.plan.seed / 3 % 3 {
            0 => 0,
            1 => 8_000,
            _ => config.memory_bytes,
        };
        if let Some(most) = setup.log_max_messages {
            config.log_max_messages = most;
        }
        config
    }

    /// Runs the plan. The error says which guarantee does not hold.
    pub fn run(&mut self) -> Result<(), String> {
        for step in self.plan.steps.clone() {
            self.step(&step)?;
        }
        self.rest()
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        self.advance(step.wait_ms)?;
        self.tell(format!("step {}: {:?}", step.number, step.deed));
        if step.deed == Deed::Rest {
            return self.rest();
        }
        self.perform(step.deed, &mut Dice::new(step.roll));
        self.check()
    }

    /// Something for whoever reads what happened.
    pub fn tell(&mut self, what: String) {
        let line = format!("{:>8} -- {what}", self.fed.now_ms);
        if self.fed.is_traced {
            self.fed.trace.push(line.clone());
        }
        self.story.push(line);
    }

    /// Time passes, and what is due happens.
    pub fn advance(&mut self, ms: u64) -> Result<(), String> {
        let until = self.fed.now_ms + ms;
        loop {
            let next = self.due.first_key_value().map(|((at, _), _)| *at);
            let stop = next.filter(|at| *at <= until).unwrap_or(until);
            while self.fed.step(stop) {
                self.check()?;
                self.spring_ambushes();
            }
            self.fed.now_ms = self.fed.now_ms.max(stop);
            self.fed.net.tick(self.fed.now_ms);
            match self.due.first_entry() {
                Some(due) if due.key().0 <= until => {
                    let due = due.remove();
                    self.happen(due)?;
                }
                _ => return Ok(()),
            }
        }
    }

    /// Lets something happen after a while.
    pub fn later(&mut self, ms: u64, what: Due) {
        self.count += 1;
        self.due.insert((self.fed.now_ms + ms, self.count), what);
    }

    /// What is due of links.
    pub fn due_links(&self) -> Vec<(u64, u64)> {
        let is_link = |due: &Due| matches!(due, Due::Mode(..) | Due::Clear(..) | Due::Thick(..));
        let due = self.due.iter().filter(|(_, due)| is_link(due));
        due.map(|(key, _)| *key).collect()
    }

    pub fn forget_due(&mut self, keys: &[(u64, u64)]) {
        self.due.retain(|key, _| !keys.contains(key));
    }

    fn happen(&mut self, due: Due) -> Result<(), String> {
        match due {
            Due::Mode(from, to, mode) => {
                self.tell(format!("{from} → {to}: {mode:?}"));
                self.fed.net.set_direction(&from, &to, mode);
            }
            Due::Clear(from, to) => self.fed.net.set_weather(&from, &to, Weather::default()),
            Due::Thick(from, to) => {
                self.fed.net.set_rate(&from, &to, None);
                self.fed.net.set_rate(&to, &from, None);
            }
            Due::Duel(number, shadow, roll) => self.fight(number, &shadow, &mut Dice::new(roll)),
            Due::Ambush(ambush) => self.set_ambush(ambush),
            Due::Shot(number, what) => self.shoot(number, what),
            Due::Start(service) => self.bring_up(&service)?,
            Due::Name(service, peer) => self.name(&service, &peer),
            Due::Load(service) => self.load(&service)?,
            Due::Finish(service) | Due::Store(service) => self.recover(&service),
            Due::Talk(number, room) => self.talk(number, &room),
        }
        self.check()
    }

    /// A service that is down starts again.
    pub fn bring_up(&mut self, service: &BareJid) -> Result<(), String> {
        if self.fed.hosts.get(service).is_none_or(|host| !host.is_down) {
            return Ok(());
        }
        self.tell(format!("{service} starts"));
        self.fed.start(service);
        self.check()?;
        self.miss_unstored(service);
        self.checkers.started(service)
    }

    /// Rooms that were made distributed while nothing could be stored until the service died are ordinary ones again.
    fn miss_unstored(&mut self, service: &BareJid) {
        let host = &self.fed.hosts[service];
        let is_unstored = |group: &Group| {
            let room = host.rooms.get(&group.source);
            group.is_distributed && !group.has_ended && room.is_some_and(|room| !room.is_distributed)
        };
        let unstored: Vec<usize> = self.groups_where(is_unstored);
        for number in unstored {
            self.tell(format!(
                "{} is an ordinary room again",
                self.groups[number].source
            ));
            self.checkers.end(number);
            self.groups[number].has_ended = true;
        }
    }

    /// All at once: links work, services run.
    pub fn heal(&mut self) -> Result<(), String> {
        self.due.clear();
        self.is_lying = false;
        self.calm_down()?;
        self.fed.net.tick(self.fed.now_ms);
        self.fed.net.heal();
        self.fed.net.thicken();
        for number in 0..self.plan.setup.services.len() {
            self.start(number);
        }
        let down: Vec<BareJid> = self.fed.hosts.keys().cloned().collect();
        for service in down {
            if let Some(host) = self.fed.hosts.get_mut(&service) {
                host.fuse = None;
            }
            self.bring_up(&service)?;
        }
        Ok(())
    }

    /// What has happened since, for the checkers.
    pub fn check(&mut self) -> Result<(), String> {
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return Err("G13: stanzas beget stanzas without an end".to_owned());
        }
        self.pass_on_lies();
        if let Some(stanza) = self.fed.changed_by_refused.pop() {
            return Err(format!(
                "G11: it is refused, and something is different after it: {stanza}"
            ));
        }
        let mut events = std::mem::take(&mut self.fed.events);
        self.leave_out_lies(&mut events)?;
        let is_told = |event: &Event| matches!(event, Event::Refused { .. } | Event::Noticed { .. });
        if events.iter().any(is_told) {
            self.map_instances();
            self.tell_troubles();
        }
        let is_xep = |from: &Jid| self.fed.xep.contains_key(&service_of(&from.to_bare()));
        let misses = |event: &Event| matches!(event, Event::Refused { from, .. } if is_xep(from));
        self.xep_missed |= events.iter().any(misses);
        self.note_arrivals(&events);
        self.checkers.time(self.fed.now_ms);
        for service in self.fed.xep.keys() {
            if self.fed.net.was_touched(service) {
                self.checkers.touched(service);
            }
        }
        for event in &events {
            self.checkers.event(event)?;
        }
        self.checkers.moment()?;
        let mut fallen = Vec::new();
        for host in self.fed.hosts.values() {
            self.checkers
                .bounds(&host.service, host.engine.pending_requests())?;
            let is_due = |due: &Due| matches!(due, Due::Start(service) | Due::Load(service) if *service == host.service);
            if host.is_down && !self.due.values().any(is_due) {
                fallen.push((host.service.clone(), host.loses_tail));
            }
        }
        for (service, loses_tail) in fallen {
            let ms = match self.dice.below(4) {
                0 => self.dice.below(500),
                _ => self.dice.below(2 * self.plan.setup.link_timeout_ms),
            };
            let how = if loses_tail {
                "without its unflushed tail"
            } else {
                ""
            };
            self.tell(format!("{service} is down {how} for {ms} ms"));
            if loses_tail {
                self.checkers.lossy(&service);
            }
            self.xep_missed |= !self.fed.xep.is_empty();
            self.checkers.unsettle();
            self.fed.net.died(&service);
            self.later(ms, Due::Start(service));
        }
        Ok(())
    }

    /// Who comes to services of the XEP's text, and which instances these know of.
    fn note_arrivals(&mut self, events: &[Event]) {
        if self.fed.xep.is_empty() {
            return;
        }
        let now = self.fed.now_ms;
        for event in events {
            if let Event::Joined { room, nick, .. } = event
                && self.is_xep(room)
            {
                self.came_at.insert((room.clone(), nick.clone()), now);
            }
        }
        let mut known = BTreeMap::new();
        for (home, room) in self.fed.xep.values().flat_map(|peer| &peer.rooms) {
            for instance in &room.instances {
                let pair = (home.clone(), instance.clone());
                let since = self.known_at.get(&pair).copied();
                known.insert(pair, since.unwrap_or(now));
            }
        }
        self.known_at = known;
    }

    /// The checkers learn what may be wrong between whom.
    fn tell_troubles(&mut self) {
        let mut troubled: BTreeSet<_> = self.fed.net.troubled_since(self.rested_at_ms).cloned().collect();
        let services = self.plan.setup.services.iter().map(|service| bare(&service.name));
        let down: Vec<BareJid> = services.filter(|service| !self.fed.runs(service)).collect();
        // Who speaks the text only never learns what it has missed.
        let concerns_xep =
            |(a, b): &&(BareJid, BareJid)| self.fed.xep.contains_key(a) || self.fed.xep.contains_key(b);
        troubled.extend(self.fed.net.troubled_since(0).filter(concerns_xep).cloned());
        for service in self.fed.hosts.keys() {
            troubled.extend(down.iter().map(|down| (service.clone(), down.clone())));
        }
        let services = self.plan.setup.services.iter().enumerate();
        let absent = services.filter(|(number, _)| !self.running.contains(number));
        let absent = absent.map(|(_, service)| bare(&service.name)).collect();
        self.checkers.trouble(troubled, absent);
    }

    /// The checkers learn which instance belongs to which room.
    pub fn map_instances(&mut self) {
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
            instances.retain(|room| self.fed.runs(&service_of(room)));
            return instances;
        }
        let source = service_of(&group.source);
        if !self.fed.runs(&source) {
            instances.clear();
        }
        for host in self.honest_hosts() {
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

    /// The services that lie are the last.
    pub fn honest_services(&self) -> usize {
        self.plan.setup.services.len() - self.fed.liars.len()
    }

    pub fn honest_hosts(&self) -> impl Iterator<Item = &Host> {
        let hosts = self.fed.hosts.values();
        hosts.filter(|host| !self.fed.liars.contains(&host.service))
    }

    pub fn is_xep(&self, room: &BareJid) -> bool {
        self.fed.xep.contains_key(&service_of(room))
    }

    pub fn host(&self, room: &BareJid) -> &Host {
        &self.fed.hosts[&service_of(room)]
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

/// Whether a service tells its engine what is stored, so that it need not be in memory: in two thirds of the schedules some do.
fn is_forgetful(seed: u64, number: usize) -> bool {
    !seed.is_multiple_of(3) && !(seed + number as u64).is_multiple_of(4)
}
