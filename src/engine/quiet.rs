//! Thin links on which nobody says anything. A heartbeat every half minute would be a good part of what they carry, so they are
//! asked only once in a while; as soon as somebody here has said something that is not known to have arrived, or something is
//! arriving from there, as often as any other. So a fault is noticed within the link timeout of somebody speaking.

use crate::address::BareJid;

use super::link::LinkState;
use super::state::clock::Now;
use super::{Action, Engine};

/// How long a thin link may be without an answer while nobody speaks. What was lost there without a trace is found by then.
const QUIET_MS: u64 = 600_000;

impl Engine {
    /// Takes note of whether a link is thin. One that is not any more is asked as often as any other from now on, whatever is
    /// said: nothing else brings a heartbeat forward there.
    pub(super) fn note_thin(&mut self, now: Now, service: &BareJid) {
        if self.is_thin(service) {
            self.thin.insert(service.clone());
        } else if self.thin.remove(service) {
            self.is_lively(now, service);
        }
    }

    /// How long a link may be without an answer now before it is asked for one.
    pub(super) fn next_ping_after(&self, service: &BareJid) -> u64 {
        let usual = self.ping_after();
        // What was said before a digest that is answered has arrived, or is known to be missing. Other questions that are
        // answered show that only as long as the connection is the same.
        let is_quiet = self
            .links
            .get(service)
            .is_some_and(|link| link.spoke_at < link.compared_for);
        // Nor is a link quiet while an instance there has been told of nothing yet: it was met, or brought up, only now.
        match is_quiet && self.thin.contains(service) && !self.has_untold(service) {
            true => usual.max(QUIET_MS),
            false => usual,
        }
    }

    /// Something is going on on a link: it is asked as often as any other.
    pub(super) fn is_lively(&mut self, now: Now, service: &BareJid) {
        let by = now.mono_ms + self.ping_after();
        if let Some(link) = self.links.get_mut(service)
            && matches!(link.state, LinkState::Up | LinkState::Syncing)
            && link.pinged_until.is_none()
        {
            link.due_at = link.due_at.map(|at| at.min(by));
        }
    }

    /// Something is said to a service of which nothing but a later answer shows that it has arrived.
    pub(super) fn said_to(&mut self, now: Now, service: &BareJid) {
        if let Some(link) = self.links.get_mut(service) {
            link.spoke_at = now.mono_ms;
        }
        self.is_lively(now, service);
    }

    /// What the host is about to send over thin links.
    pub(super) fn note_speech(&mut self, now: Now) {
        if self.thin.is_empty() {
            return;
        }
        let to = self.actions.iter().filter_map(|action| match action {
            Action::SendPresence(presence) => Some(&presence.to),
            Action::SendGroupchat { to, .. }
            | Action::SendModeration { to, .. }
            | Action::SendSubject { to, .. } => Some(to),
            _ => None,
        });
        let services = to
            .map(|to| to.service())
            .filter(|service| self.thin.contains(service));
        for service in services.collect::<Vec<_>>() {
            self.said_to(now, &service);
        }
    }
}
