//! Stanzas from peers: the product's own [`dmuc::inbound`] takes them in, as for a C program; here is what it leaves to a host.

use dmuc::Verdict;
use dmuc::address::{BareJid, Jid};
use dmuc::inbound::{Handled, Head, Inbound, handle_inbound, handle_stanza};
use dmuc::wire::{
    Condition, DiscoInfo, EventStamp, Iq, IqBody, IqKind, Message, MessageKind, PresenceKind, Request,
    Response, Stanza, StanzaError, write_iq,
};

use super::event::{Event, Seen};
use super::host::Host;
use super::room::Archived;
use super::storage::LogEntry;

impl Host {
    /// One stanza from the network.
    pub fn receive(&mut self, xml: &str) {
        match (Head::read(xml), Inbound::parse(xml)) {
            (Some(head), Ok(inbound)) => {
                if !self.serves(&inbound) {
                    self.hand_in(&head, inbound, xml);
                }
            }
            (Some(head), Err(_)) => {
                if let Some(handled) = handle_stanza(&mut self.engine, self.now, xml, false) {
                    self.settle(&head, handled, xml);
                }
            }
            (None, _) => panic!("no server passes on what does not say from whom to whom it goes: {xml}"),
        }
        self.drain();
        self.presence_payload = None;
    }

    /// What a host does itself, by XEP-0030 and for private stanzas, returning whether it was that.
    fn serves(&mut self, inbound: &Inbound) -> bool {
        match inbound.stanza() {
            Stanza::Iq(iq) if iq.id.starts_with("pm") => {
                self.receive_private_iq(iq.clone());
                true
            }
            Stanza::Iq(iq) => self.serves_iq(iq),
            Stanza::Presence(_) => false,
            Stanza::Message(message) => {
                let is_private = match &message.kind {
                    MessageKind::Error(_) => message.id.as_deref().is_some_and(|id| id.starts_with("pm")),
                    MessageKind::Groupchat => false,
                    _ => true,
                };
                if is_private {
                    self.receive_private(message);
                }
                is_private
            }
        }
    }

    fn serves_iq(&mut self, iq: &Iq) -> bool {
        let (kind, payload) = match &iq.body {
            IqBody::Get(payload) => (IqKind::Get, payload),
            IqBody::Set(payload) => (IqKind::Set, payload),
            IqBody::Result(_) | IqBody::Error(_) => return false,
        };
        let body = if matches!(Request::parse(kind, payload), Ok(Request::DiscoInfo)) {
            let features = self.features.iter().map(|feature| (*feature).to_owned());
            let info = DiscoInfo {
                features: features.collect(),
                ..DiscoInfo::default()
            };
            IqBody::Result(Response::DiscoInfo(info).to_xml())
        } else if self.features.is_empty() {
            // Without XEP-0281 there is nobody to ask.
            IqBody::Error(StanzaError::new(Condition::ServiceUnavailable))
        } else {
            return false;
        };
        self.outbox.push(write_iq(&Iq {
            from: iq.to.clone(),
            to: iq.from.clone(),
            id: iq.id.clone(),
            body,
        }));
        true
    }

    /// What is read of the stored log before this is handed in.
    pub fn read_before(&mut self, xml: &str) {
        if let Ok(stanza) = Stanza::parse(xml) {
            self.read_before_stanza(&stanza);
        }
    }

    /// What has no number may be among what has not been read.
    fn read_before_stanza(&mut self, stanza: &Stanza) {
        if let Stanza::Message(message) = stanza
            && message.event.is_none()
        {
            self.read_log(&message.to.to_bare());
        }
    }

    fn hand_in(&mut self, head: &Head, inbound: Inbound, xml: &str) {
        if let Stanza::Presence(_) = inbound.stanza() {
            self.presence_payload = Some(inbound.payload().to_owned());
        }
        let is_known = |host: &Host, room: &BareJid| {
            host.engine.room_info(room).is_some() || host.engine.parked_room(room).is_some()
        };
        let wanted = inbound.wanted_room(&self.service);
        let is_taken = |room: &BareJid| {
            let room = self.rooms.get(room);
            room.is_some_and(|room| !room.is_distributed && !room.is_closed && !room.is_parked)
        };
        let taken = wanted.as_ref().is_some_and(is_taken);
        self.read_before_stanza(inbound.stanza());
        let unknown = wanted.filter(|room| !is_known(self, room));
        let handled = handle_inbound(&mut self.engine, self.now, head, inbound, taken);
        self.settle(head, handled, xml);
        if let Some(room) = unknown.filter(|room| is_known(self, room)) {
            self.make_up(&room);
        }
    }

    /// What came of a stanza is sent and shown.
    fn settle(&mut self, head: &Head, handled: Handled, xml: &str) {
        let Handled {
            verdict,
            refusal,
            inbound,
        } = handled;
        match verdict {
            Err(error) => {
                self.note_refusal(head.from(), error, xml);
                self.outbox.extend(refusal);
            }
            Ok(Verdict::Deliver { event, occupant_id }) => {
                if let Some(Stanza::Message(message)) = inbound.as_ref().map(Inbound::stanza) {
                    let payload = inbound.as_ref().map(Inbound::payload).unwrap_or_default();
                    self.deliver(message, payload, event, occupant_id);
                }
            }
            Ok(Verdict::Continue) => {
                // An ordinary MUC: a leave from a room that somebody is not in is no news, a presence is no join.
                let is_answered = match inbound.as_ref().map(Inbound::stanza) {
                    Some(Stanza::Presence(presence)) => presence.kind == PresenceKind::Available,
                    _ => true,
                };
                let error = StanzaError::new(Condition::ItemNotFound);
                self.outbox.extend(head.refusal(&error).filter(|_| is_answered));
            }
            Ok(_) => {}
        }
    }

    fn note_refusal(&mut self, from: &Jid, error: StanzaError, stanza: &str) {
        self.refused.push((from.clone(), error.clone()));
        self.event(Event::Refused {
            by: self.service.clone(),
            from: from.clone(),
            error,
            stanza: stanza.to_owned(),
        });
    }

    fn deliver(
        &mut self,
        message: &Message,
        payload: &str,
        event: Option<EventStamp>,
        occupant_id: Option<String>,
    ) {
        let room = message.to.to_bare();
        let id = event.as_ref().map(|event| event.id.clone());
        let archived = Archived {
            stanza_id: id.clone().unwrap_or_default(),
            nick: message.from.resource().map(str::to_owned).unwrap_or_default(),
            message_id: message.id.clone(),
            occupant_id,
            payload: payload.to_owned(),
            wall_ms: self.now.wall_ms,
        };
        let mut seen = archived.as_seen(false);
        if let Some(event) = event {
            let home = message.from.to_bare();
            self.log(&room, LogEntry::new(&home, &archived, event));
            self.keep(&room, archived);
        }
        seen.stanza_id = id.filter(|id| self.has_archived(&room, id));
        self.show_all(&room, &Seen::Message(seen));
    }
}
