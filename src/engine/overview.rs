//! What an administrator may see of rooms, links and refusals: nothing here changes anything. Times are ages in milliseconds,
//! since a host's clock and the engine's need not begin alike.

use std::collections::BTreeMap;

use crate::address::BareJid;

use super::cause::Cause;
use super::link::{Caps, Link, LinkState};
use super::state::clock::Now;
use super::state::instance::{Instance, Stage};
use super::state::room::Room;
use super::{Engine, RoomInfo};
use crate::wire::{Condition, StanzaError};

/// The field of the form that names the room (XEP-0045 section 15.5.3).
const TITLE: &str = "muc#roomconfig_roomname";

/// What a peer service speaks, as it said last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// It has not said yet.
    Unknown,
    /// No XEP-0281.
    Nothing,
    /// The XEP's text only.
    Xep,
    /// What this implementation adds, too.
    Ours,
}

impl Speaks {
    /// As the bindings name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Speaks::Unknown => "unknown",
            Speaks::Nothing => "nothing",
            Speaks::Xep => "xep",
            Speaks::Ours => "ours",
        }
    }
}

impl From<Caps> for Speaks {
    fn from(caps: Caps) -> Speaks {
        match caps {
            Caps::Unknown => Speaks::Unknown,
            Caps::Nothing => Speaks::Nothing,
            Caps::Xep => Speaks::Xep,
            Caps::Full => Speaks::Ours,
        }
    }
}

/// How far a room is with one other instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceState {
    /// Its service would not have it, and is asked again later.
    Refused,
    /// It is to be brought up, or met, as soon as its service answers.
    Wanted,
    /// It is being brought up.
    SettingUp,
    /// Its service is out of reach.
    OutOfReach,
    /// Something of it is missing here, or may be, and is being pulled.
    Behind,
    /// Nothing is missing here.
    Agreed,
}

impl InstanceState {
    /// As the bindings name it.
    pub fn as_str(self) -> &'static str {
        match self {
            InstanceState::Refused => "refused",
            InstanceState::Wanted => "wanted",
            InstanceState::SettingUp => "setting-up",
            InstanceState::OutOfReach => "out-of-reach",
            InstanceState::Behind => "behind",
            InstanceState::Agreed => "agreed",
        }
    }
}

/// Another instance of a room, as far as it is known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceOverview {
    /// Its JID.
    pub jid: BareJid,
    /// Whether it is the source.
    pub is_source: bool,
    /// How far we are with it.
    pub state: InstanceState,
    /// The link to its service.
    pub link: LinkState,
    /// What its service speaks.
    pub speaks: Speaks,
    /// Its occupants, as it told us.
    pub occupants: usize,
    /// How long ago both sides were last found to agree.
    pub agreed_ago_ms: Option<u64>,
    /// How long ago its service last answered something, if heartbeats are unanswered since or not.
    pub answered_ago_ms: Option<u64>,
    /// Why its service would not have it.
    pub refused_for: Option<Condition>,
}

/// A distributed room as it is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomOverview {
    /// Its id, source and role.
    pub info: RoomInfo,
    /// Its name (muc#roomconfig_roomname); empty if it has none.
    pub title: String,
    /// How often the role of the source has been handed over.
    pub term: u64,
    /// The version of what the source decides (configuration, list of affiliations, subject).
    pub settings_version: u64,
    /// Our own occupants.
    pub occupants: usize,
    /// Messages that are kept.
    pub messages: usize,
    /// Changes made here that wait for the source's decision.
    pub offers: usize,
    /// Who votes on who follows the source, in order; nobody if nobody can.
    pub voters: Vec<BareJid>,
    /// The other instances, in the order of their JIDs.
    pub instances: Vec<InstanceOverview>,
    /// Those at services that `dmuc_peers` does not name (any more).
    pub unnamed: Vec<BareJid>,
    /// Services that an administrator has taken out of the room ([`Order::Retract`](super::Order)).
    pub retracted: Vec<BareJid>,
}

/// All rooms together, for whoever counts. Costs O(rooms and their instances).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Rooms of which this is the source.
    pub sources: usize,
    /// Rooms of which this is a shadow.
    pub shadows: usize,
    /// Shadows that have no configuration yet.
    pub pending: usize,
    /// Shadows that a configuration leaves out.
    pub parked: usize,
    /// Occupants who have joined here.
    pub here: usize,
    /// Occupants who have joined other instances.
    pub elsewhere: usize,
    /// Messages in the logs, on disk or in memory.
    pub messages: usize,
    /// About how many bytes of them are in memory.
    pub memory: usize,
    /// Changes made here that the source has yet to decide.
    pub offers: usize,
    /// Instances that a peer would not have.
    pub refused: usize,
}

/// The path to one peer service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkOverview {
    /// The service.
    pub service: BareJid,
    /// Whether it can be reached.
    pub state: LinkState,
    /// For how long it has been reachable, or out of reach.
    pub for_ms: Option<u64>,
    /// Why it is out of reach, or in doubt.
    pub cause: Option<Cause>,
    /// What it speaks.
    pub speaks: Speaks,
    /// How long ago it last answered something.
    pub answered_ago_ms: Option<u64>,
    /// In how long it is asked again.
    pub next_in_ms: Option<u64>,
    /// By how much its clock is ahead of ours, as far as it said.
    pub ahead_ms: Option<i64>,
    /// The most bytes of one message that it takes, as it said.
    pub takes: Option<u64>,
    /// Our rooms that have an instance there.
    pub rooms: usize,
    /// Of those, the ones of which something is missing here, or may be.
    pub behind: usize,
    /// Endings of rooms that it has yet to learn of.
    pub endings: usize,
}

impl LinkOverview {
    /// Whether what it was asked `asked_ago_ms` ago is to be answered yet. Who is known to be out of reach is asked again later.
    pub fn waits(&self, asked_ago_ms: u64) -> bool {
        let is_silent = self.answered_ago_ms.is_none_or(|ago| ago > asked_ago_ms);
        is_silent && !(self.state == LinkState::Down && self.next_in_ms.is_some())
    }
}

/// An instance that a peer service would not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusalOverview {
    /// Our room.
    pub room: BareJid,
    /// The service.
    pub service: BareJid,
    /// Its answer.
    pub condition: Condition,
    /// Its words, where they hold of every room.
    pub text: Option<String>,
    /// In how long it is asked again.
    pub next_in_ms: Option<u64>,
}

impl Engine {
    /// What there is to see of a room, or `None` if it is not distributed (or parked).
    pub fn room_overview(&self, now: Now, jid: &BareJid) -> Option<RoomOverview> {
        let room = self.rooms.get(jid)?;
        let instances = room.instances.iter();
        Some(RoomOverview {
            info: self.room_info(jid)?,
            title: room.settings.form.get(TITLE).unwrap_or_default().to_owned(),
            term: room.settings.term,
            settings_version: room.settings.version,
            occupants: room.locals.len(),
            messages: room.log.len(),
            offers: room.offers.len(),
            voters: self.voters(jid).to_vec(),
            instances: instances
                .map(|(peer, instance)| self.instance_overview(now, room, peer, instance))
                .collect(),
            unnamed: room.unnamed.iter().cloned().collect(),
            retracted: room.retracted.iter().cloned().collect(),
        })
    }

    fn instance_overview(
        &self,
        now: Now,
        room: &Room,
        jid: &BareJid,
        instance: &Instance,
    ) -> InstanceOverview {
        let service = jid.service();
        let link = self.links.get(&service);
        InstanceOverview {
            jid: jid.clone(),
            is_source: room.is_from_source(jid),
            state: self.instance_state(&service, instance),
            link: self.link_state(&service),
            speaks: self.caps(&service).into(),
            occupants: instance.occupants.len(),
            agreed_ago_ms: instance.agreed_at.map(|at| now.mono_ms.saturating_sub(at)),
            answered_ago_ms: link.and_then(|link| link.answered_ago_ms(now)),
            refused_for: instance.refused_for,
        }
    }

    pub(super) fn instance_state(&self, service: &BareJid, instance: &Instance) -> InstanceState {
        match instance.stage {
            Stage::Refused => InstanceState::Refused,
            _ if instance.is_cut || !self.is_link_open(service) => InstanceState::OutOfReach,
            Stage::Wanted => InstanceState::Wanted,
            Stage::Replicating | Stage::Configuring | Stage::Rostering => InstanceState::SettingUp,
            Stage::Active if self.may_miss(service, instance) => InstanceState::Behind,
            Stage::Active => InstanceState::Agreed,
        }
    }

    /// What there is in all rooms together.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals {
            parked: self.parked.len(),
            memory: self.rooms.memory(),
            ..Totals::default()
        };
        for room in self.rooms.values() {
            match (room.is_source(), room.ready) {
                (true, _) => totals.sources += 1,
                (false, true) => totals.shadows += 1,
                (false, false) => totals.pending += 1,
            }
            totals.here += room.locals.len();
            totals.messages += room.log.len();
            totals.offers += room.offers.len();
            for instance in room.instances.values() {
                totals.elsewhere += instance.occupants.len();
                totals.refused += usize::from(instance.stage == Stage::Refused);
            }
        }
        totals
    }

    /// The links to all peers, in the order of their JIDs.
    pub fn link_overviews(&self, now: Now) -> Vec<LinkOverview> {
        let mut behind: BTreeMap<BareJid, usize> = BTreeMap::new();
        for (_, instance) in self.behind() {
            *behind.entry(instance.service()).or_default() += 1;
        }
        let mut untold: BTreeMap<BareJid, usize> = BTreeMap::new();
        for instance in self.endings.values().flat_map(|ending| &ending.untold) {
            *untold.entry(instance.service()).or_default() += 1;
        }
        let of = |counts: &BTreeMap<BareJid, usize>, service| counts.get(service).copied().unwrap_or(0);
        let peers = self.config.peers.keys();
        peers
            .map(|service| LinkOverview {
                behind: of(&behind, service),
                endings: of(&untold, service),
                ..self.link_overview(now, service)
            })
            .collect()
    }

    fn link_overview(&self, now: Now, service: &BareJid) -> LinkOverview {
        let unknown = Link::default();
        let link = self.links.get(service).unwrap_or(&unknown);
        let is_out = matches!(link.state, LinkState::Down | LinkState::Suspect);
        LinkOverview {
            service: service.clone(),
            state: link.state,
            for_ms: link.for_ms(now),
            cause: is_out.then_some(link.cause),
            speaks: link.caps.into(),
            answered_ago_ms: link.answered_ago_ms(now),
            next_in_ms: link.due_at.map(|at| at.saturating_sub(now.mono_ms)),
            ahead_ms: link.unlike.ahead_ms(),
            takes: link.unlike.takes(),
            rooms: self.rooms.shared_with(service).count(),
            behind: 0,
            endings: 0,
        }
    }

    /// What peers would not have of our rooms, in the order of services and rooms.
    pub fn refusal_overviews(&self, now: Now) -> Vec<RefusalOverview> {
        let peers = self.config.peers.keys();
        let refused = peers.flat_map(|service| {
            let (standing, next_in_ms) = self.standing_of(now, service);
            self.refused_by(service).filter_map(move |jid| {
                let instances = self.rooms.get(jid).into_iter().flat_map(|room| &room.instances);
                let mut here = instances.filter(|(peer, _)| peer.is_at(service));
                let condition = here.find_map(|(_, instance)| instance.refused_for)?;
                let words = standing.filter(|error| error.condition == condition);
                Some(RefusalOverview {
                    room: jid.clone(),
                    service: service.clone(),
                    condition,
                    text: words.and_then(|error: &StanzaError| error.text.clone()),
                    next_in_ms,
                })
            })
        });
        refused.collect()
    }
}
