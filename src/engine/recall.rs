//! Messages that are in the host's stored log only (DESIGN 11, G13): which leave memory, and how a question that needs what they
//! say waits until the host has read them.

use std::collections::BTreeMap;

use crate::address::{BareJid, Jid};

use super::state::clock::Now;
use super::state::log::EventKey;
use super::{Action, Engine, Verdict, refuse};
use crate::error::Error;
use crate::wire::{Condition, Request, Response, StanzaError};

/// How many of the newest messages of a room stay in memory while [`Config::memory_bytes`](crate::Config::memory_bytes) allows:
/// the history that newcomers get.
const NEWEST: usize = 20;

/// A peer's question that is answered when what it needs has been read.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) from: Jid,
    pub(super) to: Jid,
    /// The id of its stanza.
    pub(super) id: String,
    pub(super) request: Request,
}

#[derive(Debug)]
struct Waiting {
    room: BareJid,
    question: Question,
    wanted: Vec<EventKey>,
    /// When it came (monotonic ms).
    at: u64,
}

/// The questions that wait, by the token that the host is given: one of each instance at most (G13).
#[derive(Debug, Default)]
pub(super) struct Questions {
    waiting: BTreeMap<u64, Waiting>,
    last_token: u64,
}

impl Questions {
    fn of(&self, room: &BareJid, asker: &Jid) -> Option<(u64, u64)> {
        let mut waiting = self.waiting.iter();
        let found = waiting.find(|(_, other)| other.room == *room && other.question.from == *asker)?;
        Some((*found.0, found.1.at))
    }

    fn is_asked_of(&self, room: &BareJid) -> bool {
        self.waiting.values().any(|waiting| waiting.room == *room)
    }
}

impl Engine {
    /// The question of a peer waits until the host has read these messages.
    ///
    /// # Errors
    /// Another one of the same instance waits.
    pub(super) fn read_first(
        &mut self,
        now: Now,
        room: &BareJid,
        question: Question,
        away: Vec<(EventKey, String)>,
    ) -> Result<(), Error> {
        if let Some((token, at)) = self.questions.of(room, &question.from) {
            // Nobody waits for an answer for so long: the host has forgotten it.
            if now.mono_ms < at + self.config.link_timeout_ms {
                return Err(still_reading());
            }
            self.questions.waiting.remove(&token);
        }
        self.questions.last_token += 1;
        let token = self.questions.last_token;
        let (wanted, ids) = away.into_iter().unzip();
        let waiting = Waiting {
            room: room.clone(),
            question,
            wanted,
            at: now.mono_ms,
        };
        self.questions.waiting.insert(token, waiting);
        self.actions.push_back(Action::ReadMessages {
            room: room.clone(),
            token,
            ids,
        });
        Ok(())
    }

    /// The host has read what it was asked to, or cannot.
    pub(super) fn messages_read(&mut self, now: Now, token: u64, is_read: bool) -> Verdict {
        let Some(waiting) = self.questions.waiting.remove(&token) else {
            return Verdict::Done;
        };
        let (jid, question) = (waiting.room, waiting.question);
        if is_read {
            self.lose_away(&jid, &waiting.wanted);
        }
        let service = question.from.service();
        let (from, to, id) = (question.to.clone(), question.from.clone(), question.id.clone());
        let answer = match is_read {
            true => self.answer_at_last(now, &jid, question),
            false => Some(Err(stanza_error(still_reading()))),
        };
        if let Some(answer) = answer {
            if let Ok(response) = &answer {
                self.charge_answer(now, &service, response);
            }
            let answer = Box::new(answer);
            self.actions
                .push_back(Action::SendAnswer { from, to, id, answer });
        }
        self.settle_memory(&jid);
        Verdict::Done
    }

    /// The same question again, with everything there. `None`: it waits once more, since there is more to tell by now.
    fn answer_at_last(
        &mut self,
        now: Now,
        jid: &BareJid,
        question: Question,
    ) -> Option<Result<Response, StanzaError>> {
        let Question {
            from,
            to,
            id,
            request,
        } = question;
        match self.room_request(now, &from.to_bare(), jid, request, &from, &to, &id) {
            Ok(response) => response.map(Ok),
            Err(error) => Some(Err(stanza_error(error))),
        }
    }

    /// What has not come although everything was read the storage has lost.
    fn lose_away(&mut self, jid: &BareJid, wanted: &[EventKey]) {
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        if wanted.iter().filter(|key| room.log.lose(key)).count() > 0 {
            room.touch();
            self.unsaved.insert(jid.clone());
        }
    }

    /// The host's stored log has a message.
    pub(super) fn message_stored(&mut self, jid: &BareJid, id: &str) -> Verdict {
        if let Some(room) = self.rooms.get_mut(jid) {
            room.log.note_stored(id);
            self.settle_memory(jid);
        }
        Verdict::Done
    }

    /// Messages of this room have come into memory, or may leave it. Of each room the oldest leave it until no more than the
    /// history of newcomers is there; if that is too much for all rooms together, more, and first of the room that has most.
    pub(super) fn settle_memory(&mut self, jid: &BareJid) {
        let is_needed = self.questions.is_asked_of(jid);
        if let Some(room) = self.rooms.get_mut(jid) {
            if !is_needed {
                room.log.release();
            }
            room.log.shed(NEWEST);
        }
        self.rooms.note_memory(jid);
        while self.rooms.memory() > self.config.memory_bytes {
            let Some(largest) = self.rooms.most_spare().cloned() else {
                break;
            };
            if let Some(room) = self.rooms.get_mut(&largest) {
                room.log.shed_half();
            }
            self.rooms.note_memory(&largest);
        }
    }
}

fn still_reading() -> Error {
    let text = "What was said in this room is being read here; ask again later";
    refuse(Condition::ResourceConstraint, text)
}

fn stanza_error(error: Error) -> StanzaError {
    match error {
        Error::Refused(error) => error,
        _ => StanzaError::with_text(Condition::ItemNotFound, "This room is not distributed here"),
    }
}
