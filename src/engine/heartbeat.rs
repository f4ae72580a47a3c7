//! Heartbeats, and what is a sign of life.
//!
//! Only an answer to something of ours proves that both directions work, so every peer is asked something in every ping
//! interval: a digest ([`super::digest`]), or what it supports. An answer may have to wait behind a great deal of data,
//! so nothing counts as unanswered while something keeps arriving from there, within a bound: who hears nothing from us
//! takes the link for down and sends nothing any more, which is how a direction that is cut alone is found. Bytes of a stanza
//! that is not whole yet are such a sign as long as they come.

use crate::address::BareJid;

use super::Engine;
use super::cause::Cause;
use super::link::{Caps, Link, LinkState};
use super::state::clock::Now;

/// For how many link timeouts an answer may wait behind data that keeps arriving.
const MOST_PATIENCE: u64 = 10;

impl Engine {
    /// Something came from this service: what we ask it may have to wait behind that.
    pub(super) fn heard(&mut self, now: Now, service: &BareJid) {
        if let Some(link) = self.links.get_mut(service) {
            link.heard_at = link.heard_at.max(now.mono_ms);
        }
    }

    /// Until when a question that was sent at `sent_at` may go on waiting (monotonic ms), if something keeps arriving from
    /// where it was asked.
    pub(super) fn patience(&self, now: Now, service: &BareJid, sent_at: u64) -> Option<u64> {
        let link = self.links.get(service)?;
        if matches!(link.state, LinkState::Down | LinkState::Unknown) {
            return None;
        }
        // A stream keeps its order: what was sent before something that is answered has been lost.
        if link.answered_for > sent_at {
            return None;
        }
        let since = link.waiting_since.map_or(sent_at, |since| since.min(sent_at));
        let timeout = self.config.link_timeout_ms;
        // More than the pause between two heartbeats of the peer, of which the last may be lost.
        let pause = timeout / 4 * 3;
        let heard_until = (link.heard_at + pause).min(since + MOST_PATIENCE * timeout);
        let heard_until = (link.heard_at > since).then_some(heard_until);
        // However long it takes: it ends with its stanza.
        let arriving_at = link.arriving_at.filter(|at| *at > since);
        let until = heard_until.max(arriving_at.map(|at| at + pause));
        let until = until.filter(|until| *until > now.mono_ms)?;
        // Heartbeats go on as often as ever.
        Some(until.min(now.mono_ms + self.ping_after()))
    }

    /// A heartbeat, or the question whether the peer is there, is given more time: others follow it, by which the peer hears
    /// that we are there, and one of which may arrive where this one was lost.
    pub(super) fn ping_goes_on(&mut self, now: Now, service: &BareJid) {
        let interval = self.ping_after();
        if let Some(link) = self.links.get_mut(service)
            && link.due_at.is_none()
            && now.mono_ms >= link.beat_at + interval
            && matches!(
                link.state,
                LinkState::Up | LinkState::Syncing | LinkState::Suspect
            )
        {
            (link.pinged_until, link.due_at) = (None, Some(now.mono_ms));
        }
    }

    /// How long a link may be without an answer before it is asked for one.
    pub(super) fn ping_after(&self) -> u64 {
        self.config.ping_interval_ms.min(self.config.link_timeout_ms / 2)
    }

    /// The next heartbeat, an interval after the last answer.
    pub(super) fn schedule_ping(&mut self, now: Now, service: &BareJid) {
        let interval = self.next_ping_after(service);
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
    pub(super) fn is_shared(&self, service: &BareJid) -> bool {
        self.is_private_open(service) || self.rooms.shared_with(service).next().is_some()
    }

    /// The heartbeat. Unanswered it is repeated halfway to the timeout, so that one lost stanza is no dead link.
    pub(super) fn ping(&mut self, now: Now, service: &BareJid) {
        let wait = self.config.link_timeout_ms - self.ping_after();
        let is_shared = self.is_shared(service);
        let Some(link) = self.links.get_mut(service) else {
            return;
        };
        if !is_shared {
            link.due_at = None;
            return;
        }
        link.beat_at = now.mono_ms;
        link.waiting_since.get_or_insert(now.mono_ms);
        let is_first = link.pinged_until.is_none();
        let deadline = *link.pinged_until.get_or_insert(now.mono_ms + wait);
        let left = deadline.saturating_sub(now.mono_ms).max(1);
        link.due_at = is_first.then_some(now.mono_ms + left / 2);
        if link.caps == Caps::Full {
            self.send_digest(now, service, left);
        } else {
            self.ask_what_it_speaks(now, left, service);
        }
    }

    /// A request was not answered in its time. If nothing else was since it was sent, the link is dead.
    pub(super) fn was_silent(&mut self, now: Now, service: &BareJid, sent_at: u64, is_probe: bool) {
        let Some(link) = self.links.get(service) else {
            return;
        };
        match link.state {
            LinkState::Up | LinkState::Syncing | LinkState::Suspect | LinkState::Unknown
                if link.acked_at <= sent_at && self.patience(now, service, sent_at).is_none() =>
            {
                self.link_down(now, service, Cause::Silent);
            }
            LinkState::Down if is_probe => {
                self.retry_later(now, service);
                self.tell_untold(service);
            }
            // The question was lost on a link that works.
            LinkState::Unknown | LinkState::Suspect if is_probe => self.probe(now, service),
            // Lost on a link that works: what it told is told with a digest, for which a thin link may not have to wait long.
            LinkState::Up | LinkState::Syncing => self.said_to(now, service),
            _ => {}
        }
    }
}
