//! Links that fail: in doubt, down, and asked again with growing delay until they are up ([`super::link`]).
//!
//! Errors and silence move link state and never occupants (G8).

use crate::address::BareJid;

use super::cause::Cause;
use super::link::{Caps, Link, LinkState};
use super::state::clock::Now;
use super::{Action, Engine};
use crate::wire::StanzaError;

/// First delay before a peer that does not answer is asked again.
const RETRY_FIRST_MS: u64 = 2_000;
/// The longest such delay.
const RETRY_MOST_MS: u64 = 60_000;
/// The longest such delay if it is there and said no.
const REFUSED_MOST_MS: u64 = 300_000;
/// A link that is in doubt is asked again after this, and taken for down if that fails, too.
pub(super) const DOUBT_MS: u64 = 2_000;

impl Engine {
    /// The service is there and says that it has no XEP-0281, or does not peer with us. Without a module it is in doubt
    /// first: one that is just being loaded anew is back in a moment.
    pub(super) fn link_refused(&mut self, now: Now, service: &BareJid, cause: Cause) {
        if !self.config.peers.contains_key(service) {
            return;
        }
        let link = self.links.entry(service.clone()).or_default();
        match link.state {
            LinkState::Up | LinkState::Syncing if cause == Cause::NoModule => {
                (link.state, link.cause, link.attempts) = (LinkState::Suspect, cause, 1);
                (link.is_asking, link.due_at) = (false, Some(now.mono_ms + DOUBT_MS));
            }
            LinkState::Suspect if cause == Cause::NoModule && !link.cause.is_refusal() => {
                (link.cause, link.attempts, link.is_asking) = (cause, 1, false);
                link.due_at = Some(now.mono_ms + DOUBT_MS);
            }
            LinkState::Suspect if cause == Cause::NoModule && link.due_at.is_some() => {}
            LinkState::Up | LinkState::Syncing | LinkState::Suspect | LinkState::Unknown => {
                self.link_down(now, service, cause);
            }
            LinkState::Down => {
                let is_news = link.cause != cause;
                link.cause = cause;
                self.retry_later(now, service);
                if is_news {
                    self.refused_now(service);
                }
                self.tell_untold(service);
            }
        }
        if cause == Cause::NoModule
            && let Some(link) = self.links.get_mut(service)
            && link.state == LinkState::Down
        {
            link.caps = Caps::Nothing;
        }
    }

    /// The service has shown that it is alive: it is asked at once, not when its time comes.
    pub(super) fn showed_life(&mut self, now: Now, service: &BareJid) {
        let Some(link) = self.links.get(service) else {
            return;
        };
        let is_out = matches!(link.state, LinkState::Down) || link.caps == Caps::Unknown;
        if !is_out || link.is_asking {
            return;
        }
        let earliest = link.probed_at + DOUBT_MS / 2;
        if now.mono_ms >= earliest {
            self.probe(now, service);
        } else if let Some(link) = self.links.get_mut(service) {
            link.due_at = Some(link.due_at.map_or(earliest, |at| at.min(earliest)));
        }
    }

    /// The service has just been started: that it could not be reached a moment ago says nothing. Said of one that names its
    /// first life, or another than before, which is taken notice of once per link timeout (G13).
    pub(super) fn has_started(&mut self, now: Now, service: &BareJid) {
        let is_unknown = |link: &Link| !link.is_asking && link.caps == Caps::Unknown;
        if self.links.get(service).is_some_and(is_unknown) {
            self.probe(now, service);
        }
    }

    /// Something bounced, or a request was not answered though nothing else was either.
    pub(super) fn link_failed(&mut self, now: Now, service: &BareJid, is_probe: bool, cause: Cause) {
        if !self.config.peers.contains_key(service) {
            return;
        }
        let link = self.links.entry(service.clone()).or_default();
        match link.state {
            LinkState::Up | LinkState::Syncing => {
                (link.state, link.attempts, link.due_at) = (LinkState::Suspect, 0, None);
                link.cause = cause;
                self.probe(now, service);
            }
            LinkState::Suspect if is_probe && link.attempts == 0 => {
                (link.attempts, link.is_asking) = (1, false);
                link.due_at = Some(now.mono_ms + DOUBT_MS);
            }
            LinkState::Suspect if !is_probe => {}
            LinkState::Suspect | LinkState::Unknown => self.link_down(now, service, cause),
            LinkState::Down if is_probe => {
                link.cause = cause;
                self.retry_later(now, service);
                self.tell_untold(service);
            }
            LinkState::Down => {}
        }
    }

    /// Asked again with a growing, jittered delay.
    pub(super) fn retry_later(&mut self, now: Now, service: &BareJid) {
        let jitter = self.ids.below(RETRY_FIRST_MS / 2);
        let Some(link) = self.links.get_mut(service) else {
            return;
        };
        let most = if link.cause.is_refusal() {
            REFUSED_MOST_MS
        } else {
            RETRY_MOST_MS
        };
        let delay = RETRY_FIRST_MS.saturating_mul(1 << link.attempts.min(8)).min(most);
        (link.is_asking, link.attempts) = (false, link.attempts.saturating_add(1));
        link.due_at = Some(now.mono_ms + delay + jitter);
    }

    /// The service cannot be reached. Occupants stay (G8).
    pub(super) fn link_down(&mut self, now: Now, service: &BareJid, cause: Cause) {
        self.succession_links(service);
        let Some(link) = self.links.get_mut(service) else {
            return;
        };
        (link.state, link.attempts, link.pinged_until) = (LinkState::Down, 0, None);
        link.cause = cause;
        (link.since, link.has_expired) = (now.mono_ms, false);
        self.retry_later(now, service);
        if cause == Cause::Silent {
            self.actions.push_back(Action::ResetLink {
                service: service.clone(),
            });
        }
        self.give_up_requests(now, service);
        self.give_up_privates(service);
        for room in self.rooms_with(service) {
            self.cut_instance(now, &room, service);
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

    /// Who never returns is not listed for ever.
    pub(super) fn expire_occupants(&mut self, now: Now) {
        let limit = self.config.occupant_timeout_ms;
        let gone = |link: &Link| {
            link.state == LinkState::Down && !link.has_expired && now.mono_ms >= link.since + limit
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
}
