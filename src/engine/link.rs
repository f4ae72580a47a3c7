//! Links: one per peer service, whatever the number of rooms. What the peer speaks, and whether it answers.
//!
//! When a peer is asked whether it is there, and what counts as a sign of life, is in [`super::heartbeat`]; how a link fails, and
//! comes back, in [`super::outage`]; why a peer is out of reach in [`super::cause`].

use crate::address::BareJid;

use super::Engine;
use super::cause::Cause;
use super::outage::DOUBT_MS;
use super::rate::Flow;
use super::request::Pending;
use super::state::clock::Now;
use super::state::instance::{Instance, Stage, SyncStage};
use super::state::room::Room;
use super::unlike::Unlike;
use crate::wire::{DiscoInfo, Request};

/// How long the answer to a probe of a link that is down is awaited: two handshakes on a slow link take 8 s.
const PROBE_MS: u64 = 20_000;

/// What a peer service speaks, as it said last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caps {
    /// Not known yet.
    Unknown,
    /// No XEP-0281.
    Nothing,
    /// The XEP's text only: no ids, no synchronisation.
    Xep,
    /// `urn:x-dmuc:0` too.
    Full,
}

/// Whether a peer service can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// It has not answered anything yet.
    Unknown,
    /// It answers, and both sides agree.
    Up,
    /// Something bounced: it is asked at once.
    Suspect,
    /// It does not answer, or answers that it has no module or does not peer with us. It is probed with growing delay.
    Down,
    /// It answers again: both sides find out what they have missed.
    Syncing,
}

impl LinkState {
    /// As the bindings name it.
    pub fn as_str(self) -> &'static str {
        match self {
            LinkState::Unknown => "unknown",
            LinkState::Up => "up",
            LinkState::Suspect => "suspect",
            LinkState::Down => "down",
            LinkState::Syncing => "syncing",
        }
    }
}

/// The path to one peer service.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    /// A failure does not change it: a peer that was silent for a while is no other peer.
    pub(crate) caps: Caps,
    pub(crate) state: LinkState,
    /// Why it is down, or in doubt.
    pub(crate) cause: Cause,
    /// When it last answered something of ours (monotonic ms).
    pub(super) acked_at: u64,
    /// When anything last came from there (monotonic ms).
    pub(super) heard_at: u64,
    /// When it was last asked whether it is there (monotonic ms).
    pub(super) beat_at: u64,
    /// When our connection to it was last made anew since it carried nothing (monotonic ms).
    pub(super) renewed_at: Option<u64>,
    /// When something was last said to it, while it is thin (monotonic ms).
    pub(super) spoke_at: u64,
    /// When bytes of a stanza last came that is not whole yet (monotonic ms).
    pub(super) arriving_at: Option<u64>,
    /// What it carries.
    pub(super) flow: Flow,
    /// Since when heartbeats are not answered (monotonic ms); absent if the last one was.
    pub(super) waiting_since: Option<u64>,
    /// When the latest question that was answered had been sent (monotonic ms): what was sent before it is lost.
    pub(super) answered_for: u64,
    /// When the latest digest that was answered had been sent (monotonic ms): what was said before is there, or known to be
    /// missing.
    pub(super) compared_for: u64,
    /// Whether it is being asked what it speaks, and when it was last.
    pub(super) is_asking: bool,
    pub(super) probed_at: u64,
    /// Failed probes since it was last up.
    pub(super) attempts: u32,
    /// When it is asked again: after a failure, or as a heartbeat.
    pub(super) due_at: Option<u64>,
    /// When the heartbeat that has been sent counts as unanswered.
    pub(super) pinged_until: Option<u64>,
    /// When it came up, or went down (monotonic ms).
    pub(super) since: u64,
    /// Whether its occupants have been given up since.
    pub(super) has_expired: bool,
    /// The life of the peer's engine, as its last digest named it.
    pub(crate) life: Option<String>,
    /// When another life was last taken notice of (monotonic ms).
    pub(crate) life_noticed_at: Option<u64>,
    /// Whether it does not know succession.
    pub(super) is_deaf: bool,
    /// Whether it reads what is packed: as its disco#info said last, or one of its instances by asking for it, in this life.
    pub(super) reads_packed: bool,
    /// Whether its clock and its limits are like ours.
    pub(super) unlike: Unlike,
    /// A room that was not settled with it when that was last looked for.
    unsettled: Option<BareJid>,
}

impl Default for Link {
    fn default() -> Self {
        Link {
            caps: Caps::Unknown,
            state: LinkState::Unknown,
            cause: Cause::Unreachable,
            acked_at: 0,
            heard_at: 0,
            beat_at: 0,
            renewed_at: None,
            spoke_at: 0,
            arriving_at: None,
            flow: Flow::default(),
            waiting_since: None,
            answered_for: 0,
            compared_for: 0,
            is_asking: false,
            probed_at: 0,
            attempts: 0,
            due_at: None,
            pinged_until: None,
            since: 0,
            has_expired: false,
            life: None,
            life_noticed_at: None,
            is_deaf: false,
            reads_packed: false,
            unlike: Unlike::default(),
            unsettled: None,
        }
    }
}

impl Link {
    /// For how long it has been up, or down; one in doubt, as long as it was up.
    pub(super) fn for_ms(&self, now: Now) -> Option<u64> {
        let is_known = self.state != LinkState::Unknown;
        is_known.then(|| now.mono_ms.saturating_sub(self.since))
    }

    /// How long ago something of ours was last answered.
    pub(super) fn answered_ago_ms(&self, now: Now) -> Option<u64> {
        (self.acked_at > 0).then(|| now.mono_ms.saturating_sub(self.acked_at))
    }
}

impl Engine {
    pub(super) fn caps(&self, service: &BareJid) -> Caps {
        self.links.get(service).map_or(Caps::Unknown, |link| link.caps)
    }

    /// Whether our own namespace may be sent to the service of `instance`.
    pub(super) fn speaks_ours(&self, instance: &BareJid) -> bool {
        self.caps(&instance.service()) == Caps::Full
    }

    /// Whether a service has named a life in a digest, as only those do that have our extension.
    pub(super) fn has_named_life(&self, service: &BareJid) -> bool {
        self.links.get(service).is_some_and(|link| link.life.is_some())
    }

    /// Whether a peer service can be reached.
    pub fn link_state(&self, service: &BareJid) -> LinkState {
        self.links
            .get(service)
            .map_or(LinkState::Unknown, |link| link.state)
    }

    /// Why a service is out of reach, or was last in doubt.
    pub(super) fn cause(&self, service: &BareJid) -> Cause {
        self.links
            .get(service)
            .map_or(Cause::Unreachable, |link| link.cause)
    }

    /// Whether stanzas are sent to a service: unless its link is known to be down.
    pub(super) fn is_link_open(&self, service: &BareJid) -> bool {
        self.link_state(service) != LinkState::Down
    }

    /// Whether requests to a service have to wait until it answers what it speaks.
    pub(super) fn is_link_waiting(&self, service: &BareJid) -> bool {
        let waits =
            |link: &Link| link.is_asking || matches!(link.state, LinkState::Suspect | LinkState::Down);
        self.links.get(service).is_some_and(waits)
    }

    /// Asks what a service speaks, unless that is known or asked already. One without XEP-0281 may have it by now.
    pub(super) fn learn_caps(&mut self, now: Now, service: &BareJid) {
        let link = self.links.entry(service.clone()).or_default();
        let is_known = matches!(link.state, LinkState::Up | LinkState::Syncing)
            && matches!(link.caps, Caps::Xep | Caps::Full);
        let waits = matches!(link.state, LinkState::Suspect | LinkState::Down) && link.due_at.is_some();
        if is_known || link.is_asking || waits {
            return;
        }
        self.probe(now, service);
    }

    /// Asks what a service speaks, whatever is known: who answers can be reached.
    pub(super) fn probe(&mut self, now: Now, service: &BareJid) {
        let link = self.links.entry(service.clone()).or_default();
        (link.is_asking, link.due_at, link.probed_at) = (true, None, now.mono_ms);
        let wait = match link.state {
            LinkState::Down | LinkState::Suspect => PROBE_MS.min(self.config.link_timeout_ms),
            _ => self.config.link_timeout_ms,
        };
        self.ask_what_it_speaks(now, wait, service);
    }

    /// The question itself, without a change of the link until it is answered, or is not within `wait_ms`.
    pub(super) fn ask_what_it_speaks(&mut self, now: Now, wait_ms: u64, service: &BareJid) {
        let from = self.config.service.clone();
        let pending = Pending::Disco(service.clone());
        self.request_within(now, wait_ms, from, service.clone(), Request::DiscoInfo, pending);
    }

    /// The peer has shown by what it sent that it speaks our namespace.
    pub(super) fn saw_ours(&mut self, now: Now, service: &BareJid) {
        if self.caps(service) == Caps::Xep {
            self.come_up(now, service, Caps::Full);
        }
        self.showed_life(now, service);
    }

    pub(super) fn disco_answered(&mut self, now: Now, service: &BareJid, info: &DiscoInfo) {
        if let Some(link) = self.links.get_mut(service) {
            link.reads_packed = info.supports_ours() && info.reads_packed();
        }
        match (info.supports_dmuc(), info.supports_ours()) {
            (false, _) => self.link_refused(now, service, Cause::NoModule),
            (true, false) => self.come_up(now, service, Caps::Xep),
            (true, true) => self.speaks(now, service),
        }
    }

    /// A definite answer that the service has no DMUC.
    pub(super) fn disco_refused(&mut self, now: Now, service: &BareJid) {
        self.link_refused(now, service, Cause::NoModule);
    }

    /// It has our extension. Who did not peer with us has to answer more than that.
    fn speaks(&mut self, now: Now, service: &BareJid) {
        let is_refused = |link: &Link| link.state == LinkState::Down && link.cause == Cause::NotPeered;
        if !self.links.get(service).is_some_and(is_refused) {
            return self.come_up(now, service, Caps::Full);
        }
        if let Some(link) = self.links.get_mut(service) {
            link.caps = Caps::Full;
        }
        self.send_digest(now, service, PROBE_MS.min(self.config.link_timeout_ms));
    }

    /// Whether it is being asked what it speaks.
    pub(super) fn is_being_asked(&self, service: &BareJid) -> bool {
        self.links.get(service).is_some_and(|link| link.is_asking)
    }

    /// Whether a service that is out of reach is being asked something.
    pub(super) fn is_asked_while_down(&self, service: &BareJid) -> bool {
        let is_asked = |link: &Link| link.state == LinkState::Down && link.is_asking;
        self.links.get(service).is_some_and(is_asked)
    }

    /// A digest was answered: if that is what was asked of who did not peer with us, it does now.
    pub(super) fn digest_taken(&mut self, now: Now, service: &BareJid) {
        if self.link_state(service) == LinkState::Down && self.caps(service) == Caps::Full {
            self.come_up(now, service, Caps::Full);
        }
    }

    fn come_up(&mut self, now: Now, service: &BareJid, caps: Caps) {
        if !self.config.peers.contains_key(service) {
            return;
        }
        let link = self.links.entry(service.clone()).or_default();
        let was_out = !matches!(link.state, LinkState::Up | LinkState::Syncing);
        let was_away = matches!(link.state, LinkState::Down | LinkState::Unknown);
        *link = Link {
            caps,
            state: if was_out { LinkState::Up } else { link.state },
            acked_at: now.mono_ms,
            heard_at: link.heard_at,
            arriving_at: link.arriving_at,
            beat_at: link.beat_at,
            renewed_at: link.renewed_at,
            spoke_at: link.spoke_at,
            flow: match was_away {
                true => link.flow.anew(),
                false => std::mem::take(&mut link.flow),
            },
            answered_for: link.answered_for,
            compared_for: link.compared_for,
            since: if was_away { now.mono_ms } else { link.since },
            life: link.life.take(),
            life_noticed_at: link.life_noticed_at,
            reads_packed: link.reads_packed,
            unlike: std::mem::take(&mut link.unlike),
            ..Link::default()
        };
        self.note_thin(now, service);
        self.succession_links(service);
        self.schedule_ping(now, service);
        for room in self.rooms_with(service) {
            if caps == Caps::Xep {
                self.forget_wanted(&room, service);
                if was_out {
                    self.want_again(&room, service);
                }
            }
            self.advance(now, &room, service);
        }
        if was_out && caps == Caps::Xep {
            self.heal_all(now, service);
        }
        if was_out && caps == Caps::Full {
            self.start_syncing(now, service);
        }
        if was_out {
            self.ask_refused_soon(now, service);
        }
    }

    /// The service answered something: both directions work.
    pub(super) fn acked(&mut self, now: Now, service: &BareJid) {
        let Some(link) = self.links.get_mut(service) else {
            return;
        };
        (link.acked_at, link.waiting_since) = (link.acked_at.max(now.mono_ms), None);
        match link.state {
            LinkState::Up | LinkState::Syncing => self.schedule_ping(now, service),
            LinkState::Suspect => {
                (link.state, link.attempts, link.is_asking) = (LinkState::Up, 0, false);
                self.schedule_ping(now, service);
                for room in self.rooms_with(service) {
                    self.advance(now, &room, service);
                }
                if self.caps(service) == Caps::Full {
                    self.start_syncing(now, service);
                }
            }
            // What it speaks by now is asked first.
            LinkState::Down => self.showed_life(now, service),
            LinkState::Unknown => {}
        }
    }

    pub(super) fn links_timeout(&self) -> Option<u64> {
        let expiry = self.config.occupant_timeout_ms;
        let times = self.links.values().flat_map(|link| {
            let waits = link.state == LinkState::Down && !link.has_expired;
            [link.due_at, waits.then_some(link.since + expiry)]
        });
        times.flatten().min()
    }

    pub(super) fn handle_link_timeouts(&mut self, now: Now) {
        let is_due = |link: &Link| link.due_at.is_some_and(|at| at <= now.mono_ms);
        let due: Vec<BareJid> = self
            .links
            .iter()
            .filter(|(_, link)| is_due(link))
            .map(|(service, _)| service.clone())
            .collect();
        for service in due {
            match self.link_state(&service) {
                LinkState::Up | LinkState::Syncing => self.ping(now, &service),
                _ => self.probe(now, &service),
            }
        }
        self.expire_occupants(now);
    }

    /// All instances of the service agree with ours: the link is as good as new.
    pub(super) fn settle_link(&mut self, service: &BareJid) {
        let Some(link) = self.links.get_mut(service) else {
            return;
        };
        if link.state != LinkState::Syncing {
            return;
        }
        let is_open = |room: &&Room| {
            let mut here = room.instances.iter().filter(|(jid, _)| jid.is_at(service));
            let is_unlike = |(_, instance): (&BareJid, &Instance)| {
                instance.holds_room() && (instance.is_cut || !instance.is_synced)
            };
            room.ready && here.any(is_unlike)
        };
        let unsettled = link.unsettled.take();
        let mut rooms = self.rooms.shared_with_from(service, unsettled.as_ref());
        match rooms.find(is_open) {
            Some(room) => link.unsettled = Some(room.jid.clone()),
            None => link.state = LinkState::Up,
        }
    }

    pub(super) fn set_syncing(&mut self, service: &BareJid) {
        if let Some(link) = self.links.get_mut(service) {
            link.state = LinkState::Syncing;
        }
    }

    /// The links to services with something to share that are not up.
    pub(super) fn unsettled_links(&self) -> impl Iterator<Item = (&BareJid, LinkState)> {
        let is_open = |(service, link): &(&BareJid, &Link)| {
            let is_soon = link.due_at.is_some_and(|at| at <= link.probed_at + DOUBT_MS / 2);
            let is_refused = link.state == LinkState::Down && link.cause.is_refusal() && !is_soon;
            let is_fine = !link.is_asking && (link.state == LinkState::Up || is_refused);
            !is_fine && self.is_shared(service)
        };
        self.links
            .iter()
            .filter(is_open)
            .map(|(service, link)| (service, link.state))
    }

    /// Our rooms that have an instance at this service.
    pub(super) fn rooms_with(&self, service: &BareJid) -> Vec<BareJid> {
        self.rooms
            .shared_with(service)
            .map(|room| room.jid.clone())
            .collect()
    }

    /// Whoever knows only the XEP's text cannot be asked for what is missing.
    fn forget_wanted(&mut self, room: &BareJid, service: &BareJid) {
        let Some(room) = self.rooms.get_mut(room) else {
            return;
        };
        for (jid, instance) in &mut room.instances {
            if jid.is_at(service) && instance.sync == SyncStage::Wanted {
                instance.sync = SyncStage::Idle;
            }
        }
    }

    /// After a failure everything is agreed on anew with an instance that speaks only the XEP's text.
    fn want_again(&mut self, room: &BareJid, service: &BareJid) {
        let Some(room) = self.rooms.get_mut(room) else {
            return;
        };
        for (jid, instance) in &mut room.instances {
            if jid.is_at(service) && instance.stage != Stage::Refused {
                instance.stage = Stage::Wanted;
            }
        }
    }
}
