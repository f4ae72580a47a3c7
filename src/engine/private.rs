//! Private messages and IQs to occupants of other instances: who sends one learns in bounded time if it did not arrive.

use crate::address::BareJid;

use super::link::LinkState;
use super::state::clock::Now;
use super::{Action, Engine, Verdict, refuse};
use crate::error::Error;
use crate::wire::{Condition, StanzaError};

/// How many may be on their way to one service (G13); more are refused.
const MAX_PRIVATE: usize = 1_000;

/// One that is on its way.
#[derive(Debug, Clone)]
pub(super) struct Private {
    service: BareJid,
    /// In which order they were sent.
    mark: u64,
    /// When an IQ counts as unanswered (monotonic ms); absent for a message.
    deadline: Option<u64>,
}

impl Engine {
    pub(super) fn private_sent(
        &mut self,
        now: Now,
        jid: &BareJid,
        nick: &str,
        token: u64,
        is_request: bool,
    ) -> Result<Verdict, Error> {
        let room = self.rooms.get(jid).ok_or(Error::UnknownRoom)?;
        let is_here = room.locals.contains_key(nick);
        let homes = room
            .remotes(nick)
            .filter(|(home, _)| !is_here && self.is_vouched_for(jid, home, nick));
        // Of several that one person has, one that can be reached will do.
        let services = homes.map(|(home, _)| home.service());
        let Some(service) = services.min_by_key(|service| self.link_state(service) == LinkState::Down) else {
            return Ok(Verdict::Continue);
        };
        if self.link_state(&service) == LinkState::Down {
            return Err(refuse(
                Condition::RemoteServerNotFound,
                "The service of this occupant is out of reach",
            ));
        }
        let waiting = self
            .privates
            .values()
            .filter(|private| private.service == service);
        if waiting.count() >= MAX_PRIVATE {
            return Err(refuse(
                Condition::ResourceConstraint,
                "Too many private messages are on their way there",
            ));
        }
        self.said_to(now, &service);
        self.private_mark += 1;
        let private = Private {
            service,
            mark: self.private_mark,
            deadline: is_request.then_some(now.mono_ms + 2 * self.config.link_timeout_ms),
        };
        self.privates.insert(token, private);
        Ok(Verdict::Done)
    }

    /// An IQ was answered.
    pub(super) fn private_answered(&mut self, token: u64) -> Verdict {
        match self.privates.remove(&token) {
            Some(_) => Verdict::Done,
            None => Verdict::Continue,
        }
    }

    /// A request of ours that was sent after these was answered: on one stream nothing overtakes anything.
    pub(super) fn private_arrived(&mut self, service: &BareJid, mark: u64) {
        let arrived: Vec<u64> = self
            .privates
            .iter()
            .filter(|(_, private)| {
                private.service == *service && private.mark <= mark && private.deadline.is_none()
            })
            .map(|(token, _)| *token)
            .collect();
        for token in arrived {
            self.privates.remove(&token);
            self.actions.push_back(Action::PrivateDone { token });
        }
    }

    /// Whether something is on its way to a service.
    pub(super) fn is_private_open(&self, service: &BareJid) -> bool {
        self.privates.values().any(|private| private.service == *service)
    }

    /// The link is down: nobody can vouch for what was on its way.
    pub(super) fn give_up_privates(&mut self, service: &BareJid) {
        let lost = |private: &Private| private.service == *service;
        self.fail_privates(lost);
    }

    pub(super) fn privates_timeout(&self) -> Option<u64> {
        self.privates
            .values()
            .filter_map(|private| private.deadline)
            .min()
    }

    pub(super) fn handle_private_timeouts(&mut self, now: Now) {
        self.fail_privates(|private| private.deadline.is_some_and(|at| at <= now.mono_ms));
    }

    fn fail_privates(&mut self, has_failed: impl Fn(&Private) -> bool) {
        let failed: Vec<u64> = self
            .privates
            .iter()
            .filter(|(_, private)| has_failed(private))
            .map(|(token, _)| *token)
            .collect();
        for token in failed {
            self.privates.remove(&token);
            let text = "The service of this occupant did not answer";
            self.actions.push_back(Action::PrivateFailed {
                token,
                error: StanzaError::with_text(Condition::RemoteServerTimeout, text),
            });
        }
    }
}
