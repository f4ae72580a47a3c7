//! Stanzas from peers, taken apart into inputs as the Lua shim does.

use dmuc::address::{BareJid, Jid};
use dmuc::engine::PeerPresence;
use dmuc::wire::{
    Condition, DiscoInfo, EventStamp, Iq, IqBody, IqKind, Message, MessageKind, Presence, PresenceKind,
    Request, Response, Stanza, StanzaError, without_forged, write_iq, write_message, write_presence,
};
use dmuc::{Error, Input, Verdict};

use super::event::{Event, Seen};
use super::host::Host;
use super::room::Archived;
use super::storage::LogEntry;

impl Host {
    /// One stanza from the network.
    pub fn receive(&mut self, xml: &str) {
        match Stanza::parse(xml) {
            Ok(Stanza::Iq(iq)) => self.receive_iq(iq, xml),
            Ok(Stanza::Presence(presence)) => self.receive_presence(presence, xml),
            Ok(Stanza::Message(message)) => self.receive_message(message, xml),
            Err(error) => self.note_refusal(None, StanzaError::from(error), xml),
        }
        self.drain();
        self.presence_payload = None;
    }

    fn note_refusal(&mut self, from: Option<&Jid>, error: StanzaError, stanza: &str) {
        let from = from.cloned().unwrap_or_else(|| self.service.clone().into());
        self.refused.push((from.clone(), error.clone()));
        let by = self.service.clone();
        self.event(Event::Refused {
            by,
            from,
            error,
            stanza: stanza.to_owned(),
        });
    }

    fn receive_iq(&mut self, iq: Iq, xml: &str) {
        if iq.id.starts_with("pm") {
            return self.receive_private_iq(iq);
        }
        let Iq { from, to, id, body } = iq;
        let (kind, payload) = match body {
            IqBody::Get(payload) => (IqKind::Get, payload),
            IqBody::Set(payload) => (IqKind::Set, payload),
            IqBody::Result(payload) => {
                let answer = Ok(payload.as_deref().unwrap_or_default());
                self.tell(Input::PeerAnswer {
                    from: &from,
                    id: &id,
                    answer,
                });
                return;
            }
            IqBody::Error(error) => {
                self.tell(Input::PeerAnswer {
                    from: &from,
                    id: &id,
                    answer: Err(error),
                });
                return;
            }
        };
        let answer = |host: &mut Host, body| {
            host.outbox.push(write_iq(&Iq {
                from: to.clone(),
                to: from.clone(),
                id: id.clone(),
                body,
            }));
        };
        let request = Request::parse(kind, &payload);
        if matches!(request, Ok(Request::DiscoInfo)) {
            let features = self
                .features
                .iter()
                .map(|feature| (*feature).to_owned())
                .collect();
            let info = DiscoInfo {
                features,
                ..DiscoInfo::default()
            };
            answer(self, IqBody::Result(Response::DiscoInfo(info).to_xml()));
            return;
        }
        // Without XEP-0281 there is nobody to ask.
        if self.features.is_empty() {
            answer(
                self,
                IqBody::Error(StanzaError::new(Condition::ServiceUnavailable)),
            );
            return;
        }
        let replicated = match &request {
            Ok(Request::Replicate(replicate)) => Some(replicate.id.at(&self.service)),
            _ => None,
        };
        let is_taken = |room: &BareJid| {
            let room = self.rooms.get(room);
            room.is_some_and(|room| !room.is_distributed && !room.is_closed)
        };
        let taken = replicated.as_ref().is_some_and(is_taken);
        let is_known = |host: &Host, room: &BareJid| {
            host.engine.room_info(room).is_some() || host.engine.parked_room(room).is_some()
        };
        let replicated = replicated.filter(|room| !is_known(self, room));
        match self.input(Input::PeerIq {
            from: &from,
            to: &to,
            kind,
            id: &id,
            payload: &payload,
            taken,
        }) {
            Ok(Verdict::Done) => {
                if let Some(room) = replicated.filter(|room| is_known(self, room)) {
                    self.make_up(&room);
                }
            }
            Ok(other) => panic!("an IQ got {other:?}"),
            Err(error) => {
                let error = self.refusal(&from, &error, xml);
                answer(self, IqBody::Error(error));
            }
        }
    }

    fn refusal(&mut self, from: &Jid, error: &Error, xml: &str) -> StanzaError {
        let error = error
            .stanza_error()
            .unwrap_or_else(|| panic!("{error} is no answer to {xml}"))
            .clone();
        self.note_refusal(Some(from), error.clone(), xml);
        error
    }

    fn receive_presence(&mut self, presence: Presence, xml: &str) {
        let available = match &presence.kind {
            PresenceKind::Available => true,
            PresenceKind::Unavailable => false,
            PresenceKind::Error(error) => {
                self.tell(Input::PeerError {
                    from: &presence.from,
                    error,
                });
                return;
            }
        };
        let item = presence.item.clone().unwrap_or_default();
        let stamp = presence.stamp.as_ref();
        self.presence_payload = Some(presence.payload.clone());
        let result = self.input(Input::PeerPresence(PeerPresence {
            from: &presence.from,
            to: &presence.to,
            available,
            affiliation: item.affiliation,
            role: item.role,
            jid: item.jid.as_ref(),
            occupant_id: stamp.and_then(|stamp| stamp.occupant_id.as_deref()),
            serial: stamp.map(|stamp| stamp.serial),
            codes: &presence.statuses,
            new_nick: item.nick.as_deref(),
            actor: item.actor.as_deref(),
            reason: item.reason.as_deref(),
            version: stamp.and_then(|stamp| stamp.version),
            payload: &presence.payload,
        }));
        let error = match result {
            Ok(Verdict::Done) => return,
            // An ordinary MUC goes on: whoever leaves a room it is not in is no news, a presence is no join.
            Ok(_) if !available => return,
            Ok(_) => StanzaError::new(Condition::ItemNotFound),
            Err(error) => self.refusal(&presence.from, &error, xml),
        };
        self.outbox.push(write_presence(&Presence {
            from: presence.to,
            to: presence.from,
            kind: PresenceKind::Error(error),
            item: None,
            statuses: Vec::new(),
            stamp: None,
            payload: String::new(),
        }));
    }

    fn receive_message(&mut self, message: Message, xml: &str) {
        match &message.kind {
            MessageKind::Error(_) if message.id.as_deref().is_some_and(|id| id.starts_with("pm")) => {
                return self.receive_private(&message);
            }
            MessageKind::Error(error) => {
                self.tell(Input::PeerError {
                    from: &message.from,
                    error,
                });
                return;
            }
            MessageKind::Groupchat => {}
            _ => return self.receive_private(&message),
        }
        let room = message.to.to_bare();
        let result = match (&message.moderation, subject_of(&message)) {
            (Some(moderation), _) => self.input(Input::PeerModeration {
                from: &message.from,
                room: &room,
                event: message.event.clone(),
                moderation,
            }),
            (None, Some(text)) => self.input(Input::PeerSubject {
                from: &message.from,
                room: &room,
                text: &text,
                version: message.settings,
            }),
            (None, None) => {
                let payload = message.payload.as_str();
                let (message_id, event) = (message.id.as_deref(), message.event.clone());
                let keep = payload.contains("<body");
                self.input(Input::PeerGroupchat {
                    from: &message.from,
                    to: &message.to,
                    message_id,
                    lang: message.lang.as_deref(),
                    event,
                    payload,
                    keep,
                })
            }
        };
        let error = match result {
            Ok(Verdict::Deliver { event, occupant_id }) => {
                self.deliver(&room, &message, event, occupant_id);
                return;
            }
            Ok(Verdict::Done) => return,
            Ok(_) => StanzaError::new(Condition::ItemNotFound),
            Err(error) => self.refusal(&message.from, &error, xml),
        };
        self.outbox.push(write_message(&Message {
            from: message.to,
            to: message.from,
            kind: MessageKind::Error(error),
            id: message.id,
            lang: None,
            event: None,
            settings: None,
            moderation: None,
            payload: String::new(),
        }));
    }

    fn deliver(
        &mut self,
        room: &BareJid,
        message: &Message,
        event: Option<EventStamp>,
        occupant_id: Option<String>,
    ) {
        let id = event.as_ref().map(|event| event.id.clone());
        let nick = message.from.resource().map(str::to_owned).unwrap_or_default();
        let archived = Archived {
            stanza_id: id.clone().unwrap_or_default(),
            nick,
            message_id: message.id.clone(),
            occupant_id,
            payload: without_forged(&message.payload, &[room, &message.from.to_bare()])
                .unwrap_or_default()
                .into_owned(),
            wall_ms: self.now.wall_ms,
        };
        let mut seen = archived.as_seen(false);
        seen.stanza_id = id;
        if let Some(event) = event {
            let home = message.from.to_bare();
            self.log(room, LogEntry::new(&home, &archived, event));
            self.keep(room, archived);
        }
        self.show_all(room, &Seen::Message(seen));
    }
}

/// The subject of a message that changes it: `<subject/>` and nothing else (XEP-0045 section 8.1).
pub fn subject_of(message: &Message) -> Option<String> {
    let root = format!("<m xmlns='jabber:client'>{}</m>", message.payload);
    let element: minidom::Element = root.parse().ok()?;
    let mut children = element.children();
    let subject = children
        .next()
        .filter(|child| child.is("subject", "jabber:client"))?;
    children.next().is_none().then(|| subject.text())
}
