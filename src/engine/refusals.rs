//! Instances that a peer would not have: no refusal is for ever.
//!
//! They are asked for again after a few minutes, each time later, and soon when there is reason to: the peer or this
//! service was loaded anew, its link came up, it asked us something. Whatever the number of rooms, a peer is asked a few
//! questions at a time: if it refuses one for what holds of all (it takes no more, or none of ours), that is the answer for
//! all; what it takes is followed by others.

use std::collections::BTreeMap;

use crate::address::BareJid;

use super::link::LinkState;
use super::state::clock::Now;
use super::state::instance::{Instance, Stage};
use super::{Action, Engine, Notice};
use crate::wire::{Condition, StanzaError};

/// First and longest delay before refused instances are asked for again.
const FIRST_MS: u64 = 30_000;
const MOST_MS: u64 = 600_000;
/// However good the reason, a service is not asked again sooner than this.
const PAUSE_MS: u64 = 5_000;
/// How many rooms are asked for in one turn that are refused each for a reason of its own.
const ROOMS_PER_TURN: usize = 8;
/// How many are asked for when one was taken.
const ROOMS_AFTER_SUCCESS: usize = 2;

/// What one peer service has refused.
#[derive(Debug, Clone, Default)]
pub(super) struct Refusals {
    /// What it says of every room, as it said last.
    standing: Option<StanzaError>,
    /// When it was last asked, and when it will be (monotonic ms).
    asked_at: Option<u64>,
    due_at: Option<u64>,
    /// Turns in which it has taken nothing.
    attempts: u32,
    /// How many more rooms may be asked for in this turn.
    left: usize,
    /// The room that was asked for last: the others are next.
    last: Option<BareJid>,
}

/// Whether this is a reason of the room's own; others hold of every room.
fn is_about_the_room(condition: Condition) -> bool {
    use Condition as C;
    matches!(
        condition,
        C::Conflict
            | C::NotAcceptable
            | C::ItemNotFound
            | C::BadRequest
            | C::JidMalformed
            | C::Gone
            | C::UnexpectedRequest
    )
}

impl Engine {
    /// The instance will not be had now: said once, the room goes on without it.
    pub(super) fn refuse_instance(&mut self, now: Now, jid: &BareJid, service: &BareJid, error: StanzaError) {
        let condition = error.condition;
        if self.is_named_again(now, jid, condition) {
            return;
        }
        let Some(room) = self.rooms.get_mut(jid).filter(|room| room.is_source()) else {
            return;
        };
        let here = |(peer, _): &(&BareJid, &mut Instance)| peer.is_at(service);
        let Some((_, instance)) = room.instances.iter_mut().find(here) else {
            return;
        };
        let is_news = instance.refused_for != Some(condition);
        let is_answer = instance.stage > Stage::Wanted;
        (instance.stage, instance.refused_for) = (Stage::Refused, Some(condition));
        (instance.is_named, instance.may_hold, instance.retry_at) = (false, false, None);
        if is_news {
            self.unsaved.insert(jid.clone());
            let unsupported = [Condition::ServiceUnavailable, Condition::FeatureNotImplemented];
            let notice = match unsupported.contains(&condition) {
                true => Notice::Unsupported,
                false => Notice::Refused(error.clone()),
            };
            self.actions.push_back(Action::Notice {
                room: jid.clone(),
                peer: service.clone(),
                notice,
            });
        }
        let is_own_reason = is_about_the_room(condition);
        let refusals = self.refusals.entry(service.clone()).or_default();
        if is_answer {
            (refusals.asked_at, refusals.last) = (Some(now.mono_ms), Some(jid.clone()));
        }
        if !is_own_reason {
            refusals.standing = Some(error);
            refusals.left = 0;
        }
        let goes_on = is_own_reason && refusals.left > 0;
        if refusals.due_at.is_none() {
            self.ask_refused_later(now, service);
        }
        if goes_on {
            self.ask_refused(now, service, 1);
        }
    }

    /// What the service has just said of every room: a new one need not be asked for to learn it.
    pub(super) fn standing_refusal(&self, now: Now, service: &BareJid) -> Option<StanzaError> {
        let refusals = self.refusals.get(service)?;
        let is_fresh = refusals.asked_at.is_some_and(|at| now.mono_ms < at + PAUSE_MS);
        refusals.standing.clone().filter(|_| is_fresh)
    }

    /// What the service says of every room, as it said last, and in how long it is asked again.
    pub(super) fn standing_of(&self, now: Now, service: &BareJid) -> (Option<&StanzaError>, Option<u64>) {
        let Some(refusals) = self.refusals.get(service) else {
            return (None, None);
        };
        let next_in_ms = refusals.due_at.map(|at| at.saturating_sub(now.mono_ms));
        (refusals.standing.as_ref(), next_in_ms)
    }

    /// The service is asked for a room, for whatever reason.
    pub(super) fn note_asked(&mut self, now: Now, jid: &BareJid, service: &BareJid) {
        if let Some(refusals) = self.refusals.get_mut(service) {
            (refusals.asked_at, refusals.last) = (Some(now.mono_ms), Some(jid.clone()));
        }
    }

    /// The service has taken a room: it may take others that it has refused.
    pub(super) fn refusal_ended(&mut self, now: Now, jid: &BareJid, peer: &BareJid) {
        let Some(instance) = self.instance_mut(jid, peer) else {
            return;
        };
        let was_refused = instance.refused_for.take().is_some();
        let service = peer.service();
        let Some(refusals) = self.refusals.get_mut(&service) else {
            return;
        };
        (refusals.standing, refusals.attempts) = (None, 0);
        if was_refused {
            self.unsaved.insert(jid.clone());
        }
        self.ask_refused(now, &service, ROOMS_AFTER_SUCCESS);
    }

    /// There is reason to ask again what the service has refused.
    pub(super) fn ask_refused_soon(&mut self, now: Now, service: &BareJid) {
        if !self.has_refused(service) {
            return;
        }
        let refusals = self.refusals.entry(service.clone()).or_default();
        let earliest = refusals.asked_at.map_or(now.mono_ms, |at| at + PAUSE_MS);
        let at = earliest.max(now.mono_ms);
        refusals.due_at = Some(refusals.due_at.map_or(at, |due| due.min(at)));
    }

    fn ask_refused_later(&mut self, now: Now, service: &BareJid) {
        let Some(refusals) = self.refusals.get_mut(service) else {
            return;
        };
        let delay = FIRST_MS
            .saturating_mul(1 << refusals.attempts.min(8))
            .min(MOST_MS);
        refusals.due_at = Some(now.mono_ms + delay + self.ids.below(delay / 5));
        refusals.attempts = refusals.attempts.saturating_add(1);
    }

    pub(super) fn refusals_timeout(&self) -> Option<u64> {
        self.refusals
            .values()
            .filter_map(|refusals| refusals.due_at)
            .min()
    }

    pub(super) fn handle_refusal_timeouts(&mut self, now: Now) {
        let is_due = |refusals: &Refusals| refusals.due_at.is_some_and(|at| at <= now.mono_ms);
        let due = self.refusals.iter().filter(|(_, refusals)| is_due(refusals));
        for service in due.map(|(service, _)| service.clone()).collect::<Vec<_>>() {
            if let Some(refusals) = self.refusals.get_mut(&service) {
                (refusals.due_at, refusals.left) = (None, ROOMS_PER_TURN);
            }
            // Otherwise when the link is up again.
            if matches!(self.link_state(&service), LinkState::Up | LinkState::Syncing)
                && self.has_refused(&service)
            {
                self.ask_refused_later(now, &service);
                self.ask_refused(now, &service, 1);
            }
        }
    }

    /// Asks for the next rooms that the service has refused.
    fn ask_refused(&mut self, now: Now, service: &BareJid, count: usize) {
        let Some(refusals) = self.refusals.get_mut(service) else {
            return;
        };
        let last = refusals.last.clone();
        let refused: Vec<BareJid> = self.refused_by(service).cloned().collect();
        let is_next = |jid: &&BareJid| last.as_ref().is_none_or(|last| *jid > last);
        let after = refused.iter().filter(is_next);
        let around = refused.iter().filter(|jid| !is_next(jid));
        for jid in after.chain(around).take(count) {
            if let Some(refusals) = self.refusals.get_mut(service) {
                refusals.left = refusals.left.saturating_sub(1);
            }
            let instances = self.rooms.get_mut(jid).map(|room| &mut room.instances);
            for (peer, instance) in instances.into_iter().flatten() {
                if peer.is_at(service) {
                    instance.stage = Stage::Wanted;
                }
            }
            self.advance(now, jid, service);
        }
    }

    fn has_refused(&self, service: &BareJid) -> bool {
        self.refused_by(service).next().is_some()
    }

    /// Our rooms of which the service would not have an instance.
    pub(super) fn refused_by<'a>(&'a self, service: &'a BareJid) -> impl Iterator<Item = &'a BareJid> {
        let is_refused =
            |(peer, instance): (&BareJid, &Instance)| peer.is_at(service) && instance.stage == Stage::Refused;
        let rooms = self
            .rooms
            .shared_with(service)
            .filter(|room| room.started && room.is_source());
        rooms
            .filter(move |room| room.instances.iter().any(is_refused))
            .map(|room| &room.jid)
    }

    /// Services that are no peers any more have not refused anything.
    pub(super) fn forget_refusals(&mut self) {
        let peers: &BTreeMap<BareJid, _> = &self.config.peers;
        self.refusals.retain(|service, _| peers.contains_key(service));
    }

    /// Every peer is told that this service has been loaded, now or as soon as it can be reached.
    pub(super) fn greet(&mut self, now: Now) {
        self.is_greeted = true;
        for service in self.config.peers.keys().cloned().collect::<Vec<_>>() {
            let is_up = matches!(self.link_state(&service), LinkState::Up | LinkState::Syncing);
            if is_up && self.caps(&service) == super::link::Caps::Full {
                self.send_hello(now, &service);
            } else {
                self.learn_caps(now, &service);
                self.showed_life(now, &service);
            }
            self.ask_refused_soon(now, &service);
        }
    }
}
