//! Private messages and requests between occupants (XEP-0045 section 7.5): what the host keeps of them, and how they end.

use dmuc::address::{BareJid, Jid};
use dmuc::wire::{Condition, Iq, IqBody, Message, MessageKind, StanzaError, write_iq, write_message};
use dmuc::{Input, Verdict};

use super::event::Event;
use super::host::Host;
use super::names::in_room;
use super::people::Denied;

/// What the host keeps of one.
#[derive(Debug, Clone)]
pub struct Whisper {
    pub(super) room: BareJid,
    /// An error came back for it.
    has_bounced: bool,
}

fn id_of(token: u64) -> String {
    format!("pm{token}")
}

pub(super) fn token_of(id: &str) -> Option<u64> {
    id.strip_prefix("pm")?.parse().ok()
}

impl Host {
    /// Somebody here sends something to somebody of another instance. Returns its token, if there is such an occupant.
    pub fn whisper(
        &mut self,
        room: &BareJid,
        nick: &str,
        target: &str,
        is_request: bool,
    ) -> Result<Option<u64>, Denied> {
        self.expect_local(room, nick)?;
        let host_room = self.room(room);
        let home = host_room.remote(target).map(|(home, _)| home.clone());
        let Some(home) = home.filter(|_| host_room.is_distributed && host_room.local(target).is_none())
        else {
            return Ok(None);
        };
        let token = self.next_token;
        self.next_token += 1;
        self.event(Event::Private {
            room: room.clone(),
            to: home.clone(),
            token,
            is_request,
        });
        let whisper = Whisper {
            room: room.clone(),
            has_bounced: false,
        };
        self.private.insert(token, whisper);
        let (from, to) = (in_room(room, nick).into(), Jid::from(in_room(&home, target)));
        match self.input(Input::Private {
            room,
            nick: target,
            token,
            is_request,
        }) {
            Ok(Verdict::Done) if is_request => {
                let payload = "<query xmlns='jabber:iq:version'/>".to_owned();
                let (id, body) = (id_of(token), IqBody::Get(payload));
                self.outbox.push(write_iq(&Iq { from, to, id, body }));
            }
            Ok(Verdict::Done) => self.outbox.push(write_message(&Message {
                from,
                to,
                kind: MessageKind::Chat,
                id: Some(id_of(token)),
                lang: None,
                event: None,
                settings: None,
                moderation: None,
                payload: format!("<body>psst {token}</body>"),
            })),
            Ok(_) | Err(_) => self.private_ended(token, false),
        }
        self.drain();
        Ok(Some(token))
    }

    pub(super) fn private_ended(&mut self, token: u64, is_done: bool) {
        let Some(whisper) = self.private.remove(&token) else {
            panic!("{}: {token} is no private stanza on its way", self.service)
        };
        self.event(Event::PrivateEnded {
            room: whisper.room,
            token,
            is_done,
            may_be_lost: whisper.has_bounced,
        });
    }

    /// A private message arrives here, or comes back.
    pub(super) fn receive_private(&mut self, message: &Message) {
        let token = message.id.as_deref().and_then(token_of);
        if let MessageKind::Error(error) = &message.kind {
            let whisper = token.and_then(|token| self.private.get_mut(&token));
            if let Some(whisper) = whisper {
                whisper.has_bounced = true;
            }
            self.tell(Input::PeerError {
                from: &message.from,
                error,
            });
            return;
        }
        self.private_arrived(&message.from, token);
    }

    fn private_arrived(&mut self, from: &Jid, token: Option<u64>) {
        if let Some(token) = token {
            let room = from.to_bare();
            self.event(Event::PrivateArrived { room, token });
        }
    }

    /// An IQ between two occupants. The client here knows its version.
    pub(super) fn receive_private_iq(&mut self, iq: Iq) {
        let token = token_of(&iq.id);
        let is_here = iq.to.resource().is_some_and(|nick| {
            let room = self.rooms.get(&iq.to.to_bare());
            room.is_some_and(|room| room.local(nick).is_some())
        });
        let is_done = match iq.body {
            IqBody::Get(_) | IqBody::Set(_) => {
                self.private_arrived(&iq.from, token);
                let body = if is_here {
                    IqBody::Result(Some("<query xmlns='jabber:iq:version'/>".to_owned()))
                } else {
                    IqBody::Error(StanzaError::new(Condition::ItemNotFound))
                };
                let Iq { from, to, id, .. } = iq;
                self.outbox.push(write_iq(&Iq {
                    from: to,
                    to: from,
                    id,
                    body,
                }));
                return;
            }
            IqBody::Result(_) => true,
            IqBody::Error(error) => {
                self.tell(Input::PeerError {
                    from: &iq.from,
                    error: &error,
                });
                false
            }
        };
        let Some(token) = token else { return };
        if self.tell(Input::PrivateAnswered { token }) == Verdict::Done {
            self.private_ended(token, is_done);
        }
    }
}
