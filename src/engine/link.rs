//! Links: one per peer service, whatever the number of rooms. What the peer speaks, and whether it answers.
//!
//! Only an answer to something of ours proves that both directions work, so every peer is asked something in every
//! ping interval: a digest ([`super::digest`]), or what it supports. Errors and silence move link state and never
//! occupants (G8).

use crate::address::BareJid;

use super::clock::Now;
use super::instance::{Stage, SyncStage};
use super::request::Pending;
use super::{Action, Engine, Notice};
use crate::wire::{DiscoInfo, Request, StanzaError};

/// First delay before a peer that does not answer is asked again.
const RETRY_FIRST_MS: u64 = 2_000;
/// The longest such delay.
const RETRY_MOST_MS: u64 = 60_000;
/// How long the answer to a probe of a link that is down is awaited: two handshakes on a slow link take 8 s.
const PROBE_MS: u64 = 20_000;
/// A link that is in doubt is asked again after this, and taken for down if that fails, too.
const DOUBT_MS: u64 = 2_000;

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
    /// It does not answer, and is probed with growing delay.
    Down,
    /// It answers again: both sides find out what they have missed.
    Syncing,
}

/// The path to one peer service.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    /// A failure does not change it: a peer that was silent for a while is no other peer.
    pub(crate) caps: Caps,
    pub(crate) state: LinkState,
    /// When it last answered something of ours (monotonic ms).
    acked_at: u64,
    /// Whether it is being asked what it speaks, and when it was last.
    is_asking: bool,
    probed_at: u64,
    /// Failed probes since it was last up.
    attempts: u32,
    /// When it is asked again: after a failure, or as a heartbeat.
    due_at: Option<u64>,
    /// When the heartbeat that has been sent counts as unanswered.
    pinged_until: Option<u64>,
    /// Since when it is down (monotonic ms).
    down_since: u64,
    /// Whether its occupants have been given up since.
    has_expired: bool,
    /// The life of the peer's engine, as its last digest named it.
    pub(crate) life: Option<String>,
    /// When another life was last taken notice of (monotonic ms).
    pub(crate) life_noticed_at: Option<u64>,
}

impl Default for Link {
    fn default() -> Self {
        Link {
            caps: Caps::Unknown,
            state: LinkState::Unknown,
            acked_at: 0,
            is_asking: false,
            probed_at: 0,
            attempts: 0,
            due_at: None,
            pinged_until: None,
            down_since: 0,
            has_expired: false,
            life: None,
            life_noticed_at: None,
        }
    }
}

impl Engine {
    pub(super) fn caps(&self, service: &BareJid) -> Caps {
        self.links.get(service).map_or(Caps::Unknown, |link| link.caps)
    }

    /// Whether our own namespace may be sent to the service of `instance`.
    pub(super) fn speaks_ours(&self, instance: &BareJid) -> bool {
        self.caps(&service_of(instance)) == Caps::Full
    }

    /// Whether a peer service can be reached.
    pub fn link_state(&self, service: &BareJid) -> LinkState {
        self.links
            .get(service)
            .map_or(LinkState::Unknown, |link| link.state)
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
    fn probe(&mut self, now: Now, service: &BareJid) {
        let link = self.links.entry(service.clone()).or_default();
        (link.is_asking, link.due_at, link.probed_at) = (true, None, now.mono_ms);
        let wait = match link.state {
            LinkState::Down | LinkState::Suspect => PROBE_MS.min(self.config.link_timeout_ms),
            _ => self.config.link_timeout_ms,
        };
        let from = self.config.service.clone();
        let pending = Pending::Disco(service.clone());
        self.request_within(now, wait, from, service.clone(), Request::DiscoInfo, pending);
    }

    /// The peer has shown by what it sent that it speaks our namespace.
    pub(super) fn saw_ours(&mut self, now: Now, service: &BareJid) {
        if !matches!(self.caps(service), Caps::Full | Caps::Unknown) {
            self.set_caps(now, service, Caps::Full);
        }
        self.showed_life(now, service);
    }

    pub(super) fn disco_answered(&mut self, now: Now, service: &BareJid, info: &DiscoInfo) {
        let caps = match (info.supports_dmuc(), info.supports_ours()) {
            (false, _) => Caps::Nothing,
            (true, false) => Caps::Xep,
            (true, true) => Caps::Full,
        };
        self.set_caps(now, service, caps);
    }

    /// A definite answer that the service has no DMUC.
    pub(super) fn disco_refused(&mut self, now: Now, service: &BareJid) {
        self.set_caps(now, service, Caps::Nothing);
    }

    fn set_caps(&mut self, now: Now, service: &BareJid, caps: Caps) {
        if !self.config.peers.contains_key(service) {
            return;
        }
        let link = self.links.entry(service.clone()).or_default();
        let gained = link.caps == Caps::Nothing && caps != Caps::Nothing;
        let was_out = !matches!(link.state, LinkState::Up | LinkState::Syncing) || gained;
        *link = Link {
            caps,
            state: if was_out { LinkState::Up } else { link.state },
            acked_at: now.mono_ms,
            life: link.life.take(),
            life_noticed_at: link.life_noticed_at,
            ..Link::default()
        };
        self.schedule_ping(now, service);
        for room in self.rooms_with(service) {
            match caps {
                Caps::Nothing => self.refuse_instance(&room, service, Notice::Unsupported),
                _ => {
                    if caps == Caps::Xep {
                        self.forget_wanted(&room, service);
                    }
                    if was_out && (gained || caps == Caps::Xep) {
                        self.want_again(&room, service, gained);
                    }
                    self.advance(now, &room, service);
                }
            }
        }
        if was_out && caps == Caps::Xep {
            self.mend_all(now, service);
        }
        if was_out && caps == Caps::Full {
            self.start_syncing(now, service);
        }
    }

    /// The service answered something: both directions work.
    pub(super) fn acked(&mut self, now: Now, service: &BareJid) {
        let Some(link) = self.links.get_mut(service) else {
            return;
        };
        link.acked_at = link.acked_at.max(now.mono_ms);
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

    /// The service has shown that it is alive: it is asked at once, not when its time comes.
    pub(super) fn showed_life(&mut self, now: Now, service: &BareJid) {
        let Some(link) = self.links.get(service) else {
            return;
        };
        let is_out = matches!(link.state, LinkState::Down) || link.caps == Caps::Unknown;
        if is_out && !link.is_asking && now.mono_ms >= link.probed_at + DOUBT_MS / 2 {
            self.probe(now, service);
        }
    }

    /// Something bounced, or a request was not answered though nothing else was either.
    pub(super) fn link_failed(&mut self, now: Now, service: &BareJid, is_probe: bool) {
        if !self.config.peers.contains_key(service) {
            return;
        }
        let link = self.links.entry(service.clone()).or_default();
        match link.state {
            LinkState::Up | LinkState::Syncing => {
                (link.state, link.attempts, link.due_at) = (LinkState::Suspect, 0, None);
                self.probe(now, service);
            }
            LinkState::Suspect if is_probe && link.attempts == 0 => {
                (link.attempts, link.is_asking) = (1, false);
                link.due_at = Some(now.mono_ms + DOUBT_MS);
            }
            LinkState::Suspect if !is_probe => {}
            LinkState::Suspect | LinkState::Unknown => self.link_down(now, service, false),
            LinkState::Down if is_probe => self.retry_later(now, service),
            LinkState::Down => {}
        }
    }

    /// Asked again with a growing, jittered delay.
    fn retry_later(&mut self, now: Now, service: &BareJid) {
        let jitter = self.ids.below(RETRY_FIRST_MS / 2);
        let Some(link) = self.links.get_mut(service) else {
            return;
        };
        let delay = RETRY_FIRST_MS
            .saturating_mul(1 << link.attempts.min(8))
            .min(RETRY_MOST_MS);
        (link.is_asking, link.attempts) = (false, link.attempts.saturating_add(1));
        link.due_at = Some(now.mono_ms + delay + jitter);
    }

    /// The service cannot be reached. Occupants stay (G8).
    fn link_down(&mut self, now: Now, service: &BareJid, is_silent: bool) {
        let Some(link) = self.links.get_mut(service) else {
            return;
        };
        (link.state, link.attempts, link.pinged_until) = (LinkState::Down, 0, None);
        (link.down_since, link.has_expired) = (now.mono_ms, false);
        self.retry_later(now, service);
        if is_silent {
            self.actions.push_back(Action::ResetLink {
                service: service.clone(),
            });
        }
        self.give_up_requests(now, service);
        self.give_up_privates(service);
        for room in self.rooms_with(service) {
            self.cut_instance(&room, service);
        }
    }

    /// Whether this error says that the peer cannot be reached, rather than what it thinks of a request.
    pub(super) fn is_link_error(error: &StanzaError) -> bool {
        use crate::wire::Condition as C;
        // The last is how mod_smacks gives back what was on its way when a connection died.
        matches!(
            error.condition,
            C::RemoteServerNotFound | C::RemoteServerTimeout | C::RecipientUnavailable
        )
    }

    /// How long a link may be without an answer before it is asked for one.
    fn ping_after(&self) -> u64 {
        self.config.ping_interval_ms.min(self.config.link_timeout_ms / 2)
    }

    /// The next heartbeat, an interval after the last answer.
    fn schedule_ping(&mut self, now: Now, service: &BareJid) {
        let interval = self.ping_after();
        let jitter = self.ids.below(interval / 10);
        let is_shared = self.is_shared(service);
        if let Some(link) = self.links.get_mut(service) {
            link.pinged_until = None;
            let is_peer = matches!(link.caps, Caps::Xep | Caps::Full);
            link.due_at = (is_shared && is_peer).then_some(now.mono_ms + interval - jitter);
        }
    }

    /// There is something to share with the service: it is asked from now on whether it is there.
    pub(super) fn keep_in_touch(&mut self, now: Now, service: &BareJid) {
        let is_idle =
            |link: &Link| link.due_at.is_none() && matches!(link.state, LinkState::Up | LinkState::Syncing);
        if self.links.get(service).is_some_and(is_idle) {
            self.schedule_ping(now, service);
        }
    }

    /// The next heartbeat of a link that is up is due now.
    pub(super) fn beat_now(&mut self, now: Now, service: &BareJid) {
        if let Some(link) = self.links.get_mut(service)
            && matches!(link.state, LinkState::Up | LinkState::Syncing)
            && link.caps == Caps::Full
            && link.pinged_until.is_none()
        {
            link.due_at = Some(now.mono_ms);
        }
    }

    /// Whether there is anything for which the service has to be asked: a room, or a private message whose end depends on
    /// what it answers.
    fn is_shared(&self, service: &BareJid) -> bool {
        let has = |instance: &BareJid| is_at(instance, service);
        self.is_private_open(service) || self.rooms.values().any(|room| room.instances.keys().any(has))
    }

    pub(super) fn links_timeout(&self) -> Option<u64> {
        let expiry = self.config.occupant_timeout_ms;
        let times = self.links.values().flat_map(|link| {
            let waits = link.state == LinkState::Down && !link.has_expired;
            [link.due_at, waits.then_some(link.down_since + expiry)]
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

    /// The heartbeat. Unanswered it is repeated halfway to the timeout, so that one lost stanza is no dead link.
    fn ping(&mut self, now: Now, service: &BareJid) {
        let wait = self.config.link_timeout_ms - self.ping_after();
        let is_shared = self.is_shared(service);
        let Some(link) = self.links.get_mut(service) else {
            return;
        };
        if !is_shared {
            link.due_at = None;
            return;
        }
        let is_first = link.pinged_until.is_none();
        let deadline = *link.pinged_until.get_or_insert(now.mono_ms + wait);
        let left = deadline.saturating_sub(now.mono_ms).max(1);
        link.due_at = is_first.then_some(now.mono_ms + left / 2);
        if link.caps == Caps::Full {
            self.send_digest(now, service, left);
        } else {
            let from = self.config.service.clone();
            let pending = Pending::Disco(service.clone());
            self.request_within(now, left, from, service.clone(), Request::DiscoInfo, pending);
        }
    }

    /// A request was not answered in its time. If nothing else was since it was sent, the link is dead.
    pub(super) fn was_silent(&mut self, now: Now, service: &BareJid, sent_at: u64, is_probe: bool) {
        let Some(link) = self.links.get(service) else {
            return;
        };
        match link.state {
            LinkState::Up | LinkState::Syncing | LinkState::Suspect | LinkState::Unknown
                if link.acked_at <= sent_at =>
            {
                self.link_down(now, service, true);
            }
            LinkState::Down if is_probe => self.retry_later(now, service),
            // The question was lost on a link that works.
            LinkState::Unknown | LinkState::Suspect if is_probe => self.probe(now, service),
            _ => {}
        }
    }

    /// Who never returns is not listed for ever.
    fn expire_occupants(&mut self, now: Now) {
        let limit = self.config.occupant_timeout_ms;
        let gone = |link: &Link| {
            link.state == LinkState::Down && !link.has_expired && now.mono_ms >= link.down_since + limit
        };
        let services: Vec<BareJid> = self
            .links
            .iter()
            .filter(|(_, link)| gone(link))
            .map(|(service, _)| service.clone())
            .collect();
        for service in services {
            if let Some(link) = self.links.get_mut(&service) {
                link.has_expired = true;
            }
            for room in self.rooms_with(&service) {
                self.forget_occupants(&room, &service);
            }
        }
    }

    /// All instances of the service agree with ours: the link is as good as new.
    pub(super) fn settle_link(&mut self, service: &BareJid) {
        let is_open = self.rooms.values().filter(|room| room.ready).any(|room| {
            let mut here = room.instances.iter().filter(|(jid, _)| is_at(jid, service));
            here.any(|(_, instance)| {
                instance.stage == Stage::Active && (instance.is_cut || !instance.is_synced)
            })
        });
        if let Some(link) = self.links.get_mut(service)
            && link.state == LinkState::Syncing
            && !is_open
        {
            link.state = LinkState::Up;
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
            let is_fine = !link.is_asking && (link.state == LinkState::Up || link.caps == Caps::Nothing);
            !is_fine && self.is_shared(service)
        };
        self.links
            .iter()
            .filter(is_open)
            .map(|(service, link)| (service, link.state))
    }

    /// Our rooms that have an instance at this service.
    pub(super) fn rooms_with(&self, service: &BareJid) -> Vec<BareJid> {
        let has = |instance: &BareJid| is_at(instance, service);
        self.rooms
            .values()
            .filter(|room| room.instances.keys().any(has))
            .map(|room| room.jid.clone())
            .collect()
    }

    /// Whoever knows only the XEP's text cannot be asked for what is missing.
    fn forget_wanted(&mut self, room: &BareJid, service: &BareJid) {
        let Some(room) = self.rooms.get_mut(room) else {
            return;
        };
        for (jid, instance) in &mut room.instances {
            if is_at(jid, service) && instance.sync == SyncStage::Wanted {
                instance.sync = SyncStage::Idle;
            }
        }
    }

    /// After a failure everything is agreed on anew with this instance, even if it `gained` XEP-0281 after a refusal.
    fn want_again(&mut self, room: &BareJid, service: &BareJid, gained: bool) {
        let Some(room) = self.rooms.get_mut(room) else {
            return;
        };
        for (jid, instance) in &mut room.instances {
            if is_at(jid, service) && (gained || instance.stage != Stage::Refused) {
                instance.stage = Stage::Wanted;
            }
        }
    }
}

/// Whether `service` hosts this instance.
pub(crate) fn is_at(instance: &BareJid, service: &BareJid) -> bool {
    instance.domain() == service.domain()
}

/// The service that hosts an instance.
pub(crate) fn service_of(jid: &BareJid) -> BareJid {
    jid.service()
}
