//! Requests of ours that are not answered yet. Every one has a deadline.

use crate::address::{BareJid, Jid};

use super::clock::Now;
use super::link::service_of;
use super::{Action, Engine};
use crate::wire::{Condition, Request, Response, StanzaError};

/// What an answer is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pending {
    /// What does this service speak?
    Disco(BareJid),
    /// Will this service replicate the room?
    Replicate { room: BareJid, instance: BareJid },
    /// The first configuration of an instance.
    Config { room: BareJid, instance: BareJid },
    /// A roster.
    Roster { room: BareJid, instance: BareJid },
    /// An instance is told of another one, which is told of it in turn.
    Introduce {
        room: BareJid,
        told: BareJid,
        next: BareJid,
    },
    /// A part of a roster of which more follows.
    RosterPart { room: BareJid, instance: BareJid },
    /// The history.
    History { room: BareJid, instance: BareJid },
    /// Something a user of ours wants done elsewhere.
    Act { room: BareJid, token: u64 },
    /// Nothing depends on the answer.
    Nothing,
}

/// A request with the peer it went to and the time by which it counts as unanswered.
#[derive(Debug, Clone)]
pub(crate) struct Outstanding {
    pub(crate) to: BareJid,
    pub(crate) pending: Pending,
    deadline: u64,
}

impl Engine {
    pub(super) fn request(
        &mut self,
        now: Now,
        from: BareJid,
        to: BareJid,
        request: Request,
        pending: Pending,
    ) {
        let id = format!("dmuc-{}", self.ids.uuid());
        let deadline = now.mono_ms + self.config.link_timeout_ms;
        self.outstanding.insert(
            id.clone(),
            Outstanding {
                to: to.clone(),
                pending,
                deadline,
            },
        );
        self.actions.push_back(Action::SendRequest {
            from,
            to,
            id,
            request: Box::new(request),
        });
    }

    /// An answer came. One to nothing, or from somebody else than was asked, is ignored (G11).
    pub(super) fn peer_answer(
        &mut self,
        now: Now,
        from: &Jid,
        id: &str,
        answer: Result<&str, StanzaError>,
    ) -> bool {
        if self
            .outstanding
            .get(id)
            .is_none_or(|outstanding| *from != outstanding.to)
        {
            return false;
        }
        if let Some(Outstanding { to, pending, .. }) = self.outstanding.remove(id) {
            self.answered(now, &to, pending, answer);
        }
        true
    }

    fn answered(&mut self, now: Now, to: &BareJid, pending: Pending, answer: Result<&str, StanzaError>) {
        let service = service_of(to);
        if let Err(error) = &answer
            && Self::is_link_error(error)
        {
            self.link_failed(now, &service);
        }
        let response = answer.and_then(|xml| Response::parse(Some(xml)).map_err(StanzaError::from));
        match (pending, response) {
            (Pending::Disco(service), Ok(Response::DiscoInfo(info))) => {
                self.disco_answered(now, &service, &info);
            }
            (Pending::Disco(_), Err(error)) if Self::is_link_error(&error) => {}
            (Pending::Disco(service), _) => self.disco_refused(now, &service),
            (Pending::Replicate { room, instance }, response) => {
                self.replicate_answered(now, &room, &instance, response.err());
            }
            (Pending::Config { room, instance }, response) => {
                self.config_answered(now, &room, &instance, response.err());
            }
            (Pending::Roster { room, instance }, response) => {
                self.roster_answered(now, &room, &instance, response.err());
            }
            (Pending::Introduce { room, told, next }, Ok(_)) => {
                self.introduced(now, &room, &told, &next);
            }
            (Pending::RosterPart { room, instance }, Err(error)) => {
                self.roster_answered(now, &room, &instance, Some(error));
            }
            (Pending::History { room, instance }, Ok(Response::History(history))) => {
                self.merge_history(now, &room, &instance, history);
            }
            (Pending::History { room, instance }, _) => self.release(now, &room, &instance),
            (Pending::Act { room, token }, response) => {
                self.actions.push_back(Action::ActAnswered {
                    room,
                    token,
                    error: response.err(),
                });
            }
            _ => {}
        }
    }

    pub(super) fn requests_timeout(&self) -> Option<u64> {
        self.outstanding
            .values()
            .map(|outstanding| outstanding.deadline)
            .min()
    }

    pub(super) fn handle_request_timeouts(&mut self, now: Now) {
        let due: Vec<String> = self
            .outstanding
            .iter()
            .filter(|(_, outstanding)| outstanding.deadline <= now.mono_ms)
            .map(|(id, _)| id.clone())
            .collect();
        for id in due {
            if let Some(Outstanding { to, pending, .. }) = self.outstanding.remove(&id) {
                let silence =
                    StanzaError::with_text(Condition::RemoteServerTimeout, "The peer did not answer");
                self.answered(now, &to, pending, Err(silence));
            }
        }
    }
}
