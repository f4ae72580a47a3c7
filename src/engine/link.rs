//! Links: one per peer service, whatever the number of rooms. What the peer speaks, and whether it answers.

use crate::address::BareJid;

use super::clock::Now;
use super::request::Pending;
use super::room::Stage;
use super::{Action, Engine, Notice};
use crate::wire::{DiscoInfo, Request, StanzaError};

/// First delay before a peer that does not answer is asked again.
const RETRY_FIRST_MS: u64 = 2_000;
/// The longest such delay.
const RETRY_MOST_MS: u64 = 60_000;

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

/// The path to one peer service.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    /// A failure does not change it: a peer that was silent for a while is no other peer.
    pub(crate) caps: Caps,
    pub(crate) is_up: bool,
    /// Whether a query is on its way.
    is_asking: bool,
    attempts: u32,
    retry_at: Option<u64>,
}

impl Default for Link {
    fn default() -> Self {
        Link {
            caps: Caps::Unknown,
            is_up: true,
            is_asking: false,
            attempts: 0,
            retry_at: None,
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

    pub(super) fn is_link_up(&self, service: &BareJid) -> bool {
        self.links.get(service).is_none_or(|link| link.is_up)
    }

    /// Whether requests to a service have to wait until it answers what it speaks.
    pub(super) fn is_link_waiting(&self, service: &BareJid) -> bool {
        self.links
            .get(service)
            .is_some_and(|link| link.is_asking || !link.is_up)
    }

    /// Asks what a service speaks, unless that is known or asked already. One without XEP-0281 may have it by now.
    pub(super) fn learn_caps(&mut self, now: Now, service: &BareJid) {
        let link = self.links.entry(service.clone()).or_default();
        let is_known = link.is_up && matches!(link.caps, Caps::Xep | Caps::Full);
        if is_known || link.is_asking || link.retry_at.is_some() {
            return;
        }
        link.is_asking = true;
        let from = self.config.service.clone();
        self.request(
            now,
            from,
            service.clone(),
            Request::DiscoInfo,
            Pending::Disco(service.clone()),
        );
    }

    /// The peer has shown by what it sent that it speaks our namespace.
    pub(super) fn saw_ours(&mut self, now: Now, service: &BareJid) {
        if self.caps(service) != Caps::Full || !self.is_link_up(service) {
            self.set_caps(now, service, Caps::Full);
        }
    }

    pub(super) fn disco_answered(&mut self, now: Now, service: &BareJid, info: &DiscoInfo) {
        let caps = match (info.supports_dmuc(), info.supports_ours()) {
            (false, _) => Caps::Nothing,
            (true, false) => Caps::Xep,
            (true, true) => Caps::Full,
        };
        self.set_caps(now, service, caps);
    }

    fn set_caps(&mut self, now: Now, service: &BareJid, caps: Caps) {
        if !self.config.peers.contains_key(service) {
            return;
        }
        let link = self.links.entry(service.clone()).or_default();
        let gained = link.caps == Caps::Nothing;
        let changed = gained || !link.is_up;
        *link = Link {
            caps,
            ..Link::default()
        };
        for room in self.rooms_with(service) {
            if caps == Caps::Nothing {
                self.refuse_instance(&room, service, Notice::Unsupported);
            } else {
                if changed {
                    self.want_again(&room, service, gained);
                }
                self.advance(now, &room, service);
            }
        }
    }

    /// The service has shown that it is alive: it is asked at once, not when its time comes.
    pub(super) fn showed_life(&mut self, now: Now, service: &BareJid) {
        if let Some(link) = self.links.get_mut(service).filter(|link| !link.is_up) {
            link.retry_at = None;
            self.learn_caps(now, service);
        }
    }

    /// A definite answer that the service has no DMUC.
    pub(super) fn disco_refused(&mut self, now: Now, service: &BareJid) {
        self.set_caps(now, service, Caps::Nothing);
    }

    /// The service cannot be reached. Occupants stay (G8); it is asked again with a growing, jittered delay.
    pub(super) fn link_failed(&mut self, now: Now, service: &BareJid) {
        if !self.config.peers.contains_key(service) {
            return;
        }
        let jitter = self.ids.below(RETRY_FIRST_MS / 2);
        let link = self.links.entry(service.clone()).or_default();
        if link.retry_at.is_some() {
            return;
        }
        let delay = RETRY_FIRST_MS
            .saturating_mul(1 << link.attempts.min(8))
            .min(RETRY_MOST_MS);
        let was_up = link.is_up;
        *link = Link {
            caps: link.caps,
            is_up: false,
            is_asking: false,
            attempts: link.attempts.saturating_add(1),
            retry_at: Some(now.mono_ms + delay + jitter),
        };
        if was_up {
            for room in self.rooms_with(service) {
                self.actions.push_back(Action::Notice {
                    room,
                    peer: service.clone(),
                    notice: Notice::Unreachable,
                });
            }
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

    pub(super) fn links_timeout(&self) -> Option<u64> {
        self.links.values().filter_map(|link| link.retry_at).min()
    }

    pub(super) fn handle_link_timeouts(&mut self, now: Now) {
        let due = |link: &Link| link.retry_at.is_some_and(|at| at <= now.mono_ms);
        let services: Vec<BareJid> = self
            .links
            .iter()
            .filter(|(_, link)| due(link))
            .map(|(service, _)| service.clone())
            .collect();
        for service in services {
            if let Some(link) = self.links.get_mut(&service) {
                link.retry_at = None;
            }
            self.learn_caps(now, &service);
        }
    }

    /// Our rooms that have an instance at this service.
    pub(super) fn rooms_with(&self, service: &BareJid) -> Vec<BareJid> {
        let has = |instance: &BareJid| service_of(instance) == *service;
        self.rooms
            .values()
            .filter(|room| room.instances.keys().any(has))
            .map(|room| room.jid.clone())
            .collect()
    }

    /// After a failure everything is agreed on anew with this instance, even if it `gained` XEP-0281 after a refusal.
    fn want_again(&mut self, room: &BareJid, service: &BareJid, gained: bool) {
        let Some(room) = self.rooms.get_mut(room) else {
            return;
        };
        for (jid, instance) in &mut room.instances {
            if service_of(jid) == *service && (gained || instance.stage != Stage::Refused) {
                instance.stage = Stage::Wanted;
            }
        }
    }
}

/// The service that hosts an instance.
pub(crate) fn service_of(jid: &BareJid) -> BareJid {
    jid.service()
}
