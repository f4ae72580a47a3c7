//! What a test asks a federation: who is where, who saw what, what crossed.

use std::collections::{BTreeMap, BTreeSet};

use dmuc::wire::{Affiliation, Role};

use super::event::{Crossing, Event, Seen, SeenMessage};
use super::federation::Federation;
use super::names::{bare, seat, service_of};

impl Federation {
    /// Who is in a room, as `nick affiliation role`.
    pub fn roster(&self, room: &str) -> Vec<String> {
        let room = bare(room);
        let service = service_of(&room);
        let named = |(nick, (affiliation, role)): (&String, &(Affiliation, Role))| {
            format!("{nick} {} {}", affiliation.as_str(), role.as_str())
        };
        if let Some(peer) = self.xep.get(&service) {
            let entry = peer
                .rooms
                .get(&room)
                .unwrap_or_else(|| panic!("there is no room {room}"));
            let locals = entry
                .locals
                .iter()
                .map(|(nick, local)| (nick.clone(), (local.affiliation, local.role)));
            let remotes = entry
                .remotes
                .iter()
                .map(|((nick, _), rank)| (nick.clone(), *rank));
            return locals
                .chain(remotes)
                .collect::<BTreeMap<_, _>>()
                .iter()
                .map(named)
                .collect();
        }
        self.host(service.as_str())
            .roster(&room)
            .iter()
            .map(named)
            .collect()
    }

    /// The stay of who has this place now.
    pub fn session(&self, place: &str) -> u64 {
        let (room, nick) = seat(place);
        let service = service_of(&room);
        let session = match self.xep.get(&service) {
            Some(peer) => peer
                .rooms
                .get(&room)
                .and_then(|room| room.locals.get(&nick))
                .map(|local| local.session),
            None => self
                .host(service.as_str())
                .room(&room)
                .local(&nick)
                .map(|local| local.session),
        };
        session.unwrap_or_else(|| panic!("nobody is at {place}"))
    }

    /// Everything who has this place now was shown since it joined.
    pub fn seen(&self, place: &str) -> Vec<Seen> {
        let (room, _) = seat(place);
        self.seen_by(room.as_str(), self.session(place))
    }

    /// The same for somebody who may have left.
    pub fn seen_by(&self, room: &str, session: u64) -> Vec<Seen> {
        let room = bare(room);
        let saw = self.events.iter().filter_map(|event| match event {
            Event::Saw {
                room: at,
                session: by,
                seen,
            } if *at == room && *by == session => Some(seen.clone()),
            _ => None,
        });
        saw.collect()
    }

    pub fn messages(&self, place: &str) -> Vec<SeenMessage> {
        let message = |seen| match seen {
            Seen::Message(message) => Some(message),
            _ => None,
        };
        self.seen(place).into_iter().filter_map(message).collect()
    }

    /// The bodies of all messages who has this place now was shown.
    pub fn heard(&self, place: &str) -> Vec<String> {
        self.messages(place)
            .iter()
            .map(|message| body(&message.payload))
            .collect()
    }

    /// The message with this body as it was shown at a place.
    pub fn message(&self, place: &str, text: &str) -> SeenMessage {
        let mut found: Vec<SeenMessage> = self
            .messages(place)
            .into_iter()
            .filter(|message| body(&message.payload) == text)
            .collect();
        assert_eq!(
            found.len(),
            1,
            "{text:?} was seen {} times at {place}",
            found.len()
        );
        found.remove(0)
    }

    /// The messages of a room in the order of its history: body, and everything that must be the same everywhere.
    pub fn history(&self, room: &str) -> Vec<(String, SeenMessage)> {
        let room = bare(room);
        let entries = self.host(service_of(&room).as_str()).messages(&room);
        let entries = entries.into_iter().map(|entry| SeenMessage {
            nick: entry.nick.clone(),
            payload: entry.payload.to_string(),
            message_id: entry.message_id.clone(),
            stanza_id: Some(entry.id.clone()),
            occupant_id: entry.occupant_id.clone(),
            delayed: true,
        });
        entries.map(|message| (body(&message.payload), message)).collect()
    }

    pub fn subject(&self, room: &str) -> String {
        let room = bare(room);
        let subject = self.host(service_of(&room).as_str()).room(&room).subject.clone();
        subject.map(|(_, text)| text).unwrap_or_default()
    }

    /// The vCard of the room there; empty for none.
    pub fn avatar(&self, room: &str) -> String {
        let room = bare(room);
        self.host(service_of(&room).as_str()).room(&room).vcard.clone()
    }

    pub fn affiliation(&self, room: &str, user: &str) -> Affiliation {
        let room = bare(room);
        self.host(service_of(&room).as_str())
            .room(&room)
            .affiliation_of(&bare(user))
    }

    pub fn field(&self, room: &str, var: &str) -> Option<String> {
        let room = bare(room);
        self.host(service_of(&room).as_str())
            .room(&room)
            .form
            .get(var)
            .map(str::to_owned)
    }

    /// Forgets what happened so far, so that a test looks only at what follows.
    pub fn forget(&mut self) {
        self.events.clear();
        self.trace.clear();
    }

    /// What went from one service to another since the last [`Federation::forget`].
    pub fn crossed(&self, from: &str, to: &str) -> Vec<Crossing> {
        let (from, to) = (bare(from), bare(to));
        let crossed = self.events.iter().filter_map(|event| match event {
            Event::Crossed {
                from: sender,
                to: target,
                what,
                ..
            } if sender.service() == from && target.service() == to => Some(what.clone()),
            _ => None,
        });
        crossed.collect()
    }

    /// How many of each kind of stanza went from one service to another.
    pub fn tally(&self, from: &str, to: &str) -> BTreeMap<String, usize> {
        let mut tally = BTreeMap::new();
        for what in self.crossed(from, to) {
            let kind = match what {
                Crossing::Presence { .. } => "presence".to_owned(),
                Crossing::Message { .. } => "message".to_owned(),
                Crossing::Private => "private".to_owned(),
                Crossing::Subject { .. } => "subject".to_owned(),
                Crossing::Request(name) => name,
                Crossing::Answer | Crossing::Synced(_) | Crossing::Heartbeat => "answer".to_owned(),
                Crossing::Error => "error".to_owned(),
            };
            *tally.entry(kind).or_default() += 1;
        }
        tally
    }

    /// What owners and administrators were told at a service, as text.
    pub fn notices(&self, service: &str) -> Vec<String> {
        let host = self.host(service);
        host.notices
            .iter()
            .map(|(room, peer, notice)| format!("{room} {peer} {notice:?}"))
            .collect()
    }

    /// The other instances that an instance knows to hold the room.
    pub fn instances(&self, room: &str) -> BTreeSet<String> {
        let room = bare(room);
        let engine = &self.host(service_of(&room).as_str()).engine;
        engine
            .active_instances(&room)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    /// The error an act ended with; panics while it is not answered.
    pub fn act_error(&self, service: &str, token: u64) -> Option<dmuc::wire::Condition> {
        let answer = self.host(service).acts.get(&token);
        answer
            .unwrap_or_else(|| panic!("act {token} is not answered"))
            .as_ref()
            .map(|error| error.condition)
    }
}

/// The text between `<body>` and `</body>`; the payload itself if there is none.
pub fn body(payload: &str) -> String {
    let after = payload.split_once("<body>").map(|(_, after)| after);
    after
        .and_then(|after| after.split_once("</body>"))
        .map_or(payload, |(text, _)| text)
        .to_owned()
}
