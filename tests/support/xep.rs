//! A service that speaks the XEP's text and nothing else, by hand: it hosts shadows and sources, writes the stanzas of
//! the examples, and fails when it is sent anything of `urn:x-dmuc:0`.

use std::collections::{BTreeMap, BTreeSet};

use dmuc::address::{BareJid, Jid};
use dmuc::wire::{
    Affiliation, IqBody, IqKind, Message, MessageKind, Presence, PresenceKind, Request, Response, Role,
    Stanza, datetime, escaped,
};

use super::event::{Cause, Event, Seen, SeenMessage};
use super::names::{bare, service_of};
use super::private::token_of;

#[derive(Debug)]
pub struct XepService {
    pub service: BareJid,
    pub wall_ms: u64,
    pub rooms: BTreeMap<BareJid, XepRoom>,
    pub outbox: Vec<String>,
    pub events: Vec<Event>,
    /// Errors and answers it got, by id, for scripts.
    pub answers: BTreeMap<String, IqBody>,
    /// An administrator has told it where `<peerhost/>`'s newcomers are; the text alone does not name them.
    pub knows_peerhosts: bool,
    /// A presence of somebody here came back; it is not sent again.
    pub has_missed: bool,
    next_id: u64,
}

#[derive(Debug, Clone, Default)]
pub struct XepRoom {
    pub source: Option<BareJid>,
    pub id: String,
    pub has_config: bool,
    pub instances: BTreeSet<BareJid>,
    pub locals: BTreeMap<String, XepLocal>,
    /// By nick and home: the text knows no rule for two with one nick.
    pub remotes: BTreeMap<(String, BareJid), (Affiliation, Role)>,
    pub subject: Option<String>,
    /// Nick, message id, payload, Unix ms.
    pub history: Vec<(String, Option<String>, String, u64)>,
}

#[derive(Debug, Clone)]
pub struct XepLocal {
    pub session: u64,
    pub user: Jid,
    pub affiliation: Affiliation,
    pub role: Role,
}

impl XepService {
    pub fn new(service: &str) -> XepService {
        XepService {
            service: bare(service),
            wall_ms: 0,
            rooms: BTreeMap::new(),
            outbox: Vec::new(),
            events: Vec::new(),
            answers: BTreeMap::new(),
            knows_peerhosts: false,
            has_missed: false,
            next_id: 1,
        }
    }

    /// Sends something literally.
    pub fn send(&mut self, xml: impl Into<String>) {
        self.outbox.push(xml.into());
    }

    fn id(&mut self) -> String {
        self.next_id += 1;
        format!("xep{}", self.next_id)
    }

    pub fn receive(&mut self, xml: &str) {
        assert!(
            !xml.contains("urn:x-dmuc:0"),
            "{} is sent what it never heard of: {xml}",
            self.service
        );
        let stanza = Stanza::parse(xml).unwrap_or_else(|error| panic!("{error}: {xml}"));
        match stanza {
            Stanza::Iq(iq) => {
                let answer = match iq.body {
                    IqBody::Get(payload) => self.asked(&iq.from, &iq.to, IqKind::Get, &payload),
                    IqBody::Set(payload) => self.asked(&iq.from, &iq.to, IqKind::Set, &payload),
                    body => {
                        self.answered(&iq.to, &iq.id, body);
                        return;
                    }
                };
                let (kind, content) = match answer {
                    Ok(content) => ("result", content),
                    Err(condition) => ("error", error_xml(condition)),
                };
                self.send(format!(
                    "<iq from='{}' to='{}' id='{}' type='{kind}'>{content}</iq>",
                    escaped(iq.to.as_str()),
                    escaped(iq.from.as_str()),
                    escaped(&iq.id)
                ));
            }
            Stanza::Presence(presence) => self.presence(&presence),
            Stanza::Message(message) => self.message(&message),
        }
    }

    fn asked(&mut self, from: &Jid, to: &Jid, kind: IqKind, payload: &str) -> Result<String, &'static str> {
        let (asker, target) = (from.to_bare(), to.to_bare());
        let request = Request::parse(kind, payload).map_err(|_| "service-unavailable")?;
        match request {
            Request::DiscoInfo => Ok("<query xmlns='http://jabber.org/protocol/disco#info'>\
                <feature var='urn:xmpp:dmuc:0'/></query>"
                .to_owned()),
            Request::Replicate(replicate) => {
                let room = replicate.id.at(&self.service);
                let entry = self.rooms.entry(room).or_default();
                entry.id = replicate.id.to_string();
                Ok(String::new())
            }
            Request::Config(_) => {
                let room = self.rooms.get_mut(&target).ok_or("item-not-found")?;
                room.source = Some(asker.clone());
                room.has_config = true;
                room.instances.insert(asker);
                Ok(String::new())
            }
            Request::Roster(roster) => {
                let room = self.rooms.get_mut(&target).ok_or("item-not-found")?;
                room.remotes.retain(|(_, home), _| *home != asker);
                for item in roster.items {
                    if let Some(nick) = item.nick {
                        let role = item.role.unwrap_or(Role::Participant);
                        room.remotes
                            .insert((nick, asker.clone()), (item.affiliation, role));
                    }
                }
                let id = self.id();
                self.send(format!(
                    "<iq from='{target}' to='{asker}' id='{id}' type='get'><room xmlns='urn:xmpp:dmuc:0' id='{}'>\
                     <history xmlns='http://jabber.org/protocol/muc'/></room></iq>",
                    target.node().unwrap_or_default().to_owned()
                ));
                Ok(String::new())
            }
            Request::History(_) => {
                let room = self.rooms.get(&target).ok_or("item-not-found")?;
                Ok(history_xml(&target, room))
            }
            Request::Peerhost(peerhost) => {
                let room = peerhost.id.at(&self.service);
                if let (true, Some(service)) = (self.knows_peerhosts, &peerhost.jid) {
                    let instance = peerhost.id.at(service);
                    self.introduce(&room, instance);
                }
                Ok(String::new())
            }
            _ => Err("feature-not-implemented"),
        }
    }

    /// Another instance of a room of ours: it is sent our occupants.
    fn introduce(&mut self, room: &BareJid, instance: BareJid) {
        let Some(entry) = self.rooms.get_mut(room) else {
            return;
        };
        if !entry.instances.insert(instance.clone()) {
            return;
        }
        let locals: Vec<(String, XepLocal)> = entry
            .locals
            .iter()
            .map(|(nick, local)| (nick.clone(), local.clone()))
            .collect();
        for (nick, local) in locals {
            self.send(presence_xml(room, &instance, &nick, &local, true));
        }
    }

    fn answered(&mut self, to: &Jid, id: &str, body: IqBody) {
        if let IqBody::Result(Some(payload)) = &body
            && let Ok(Response::History(history)) = Response::parse(Some(payload))
            && let Some(room) = self.rooms.get_mut(&to.to_bare())
        {
            room.history.extend(history.messages.into_iter().map(|message| {
                let stamp = u64::try_from(message.stamp).unwrap_or(0);
                (message.nick, message.id, message.payload, stamp)
            }));
        }
        self.answers.insert(id.to_owned(), body);
    }

    fn presence(&mut self, presence: &Presence) {
        let (home, target) = (presence.from.to_bare(), presence.to.to_bare());
        self.has_missed |= matches!(presence.kind, PresenceKind::Error(_));
        let Some(nick) = presence.from.resource().map(str::to_owned) else {
            return;
        };
        let Some(room) = self.rooms.get_mut(&target) else {
            return;
        };
        // It learns of other shadows by their occupants.
        let is_new = service_of(&home) != self.service && !room.instances.contains(&home);
        let item = presence.item.clone().unwrap_or_default();
        let seen = match presence.kind {
            PresenceKind::Error(_) => return,
            PresenceKind::Available => {
                room.remotes
                    .insert((nick.clone(), home.clone()), (item.affiliation, item.role));
                Seen::Presence {
                    nick,
                    affiliation: item.affiliation,
                    role: item.role,
                    occupant_id: None,
                    payload: presence.payload.clone(),
                    codes: Vec::new(),
                }
            }
            // Somebody of ours is removed over there: it is no occupant any more.
            PresenceKind::Unavailable
                if room.locals.contains_key(&nick)
                    && !room.remotes.contains_key(&(nick.clone(), home.clone())) =>
            {
                self.leave(&target, &nick);
                return;
            }
            PresenceKind::Unavailable => {
                room.remotes.remove(&(nick.clone(), home.clone()));
                let codes = presence.statuses.clone();
                Seen::Gone {
                    nick,
                    codes,
                    new_nick: item.nick,
                    actor: item.actor,
                    reason: item.reason,
                }
            }
        };
        self.show(&target, seen);
        if is_new {
            self.introduce(&target, home);
        }
    }

    fn message(&mut self, message: &Message) {
        if message.kind == MessageKind::Chat
            && let Some(token) = message.id.as_deref().and_then(token_of)
        {
            let room = message.from.to_bare();
            self.events.push(Event::PrivateArrived { room, token });
        }
        if message.kind != MessageKind::Groupchat {
            return;
        }
        let target = message.to.to_bare();
        let nick = message.from.resource().map(str::to_owned);
        let wall_ms = self.wall_ms;
        let Some(room) = self.rooms.get_mut(&target) else {
            return;
        };
        if let Some(text) = subject_of(message) {
            room.subject = Some(text.clone());
            self.show(&target, Seen::Subject { nick, text });
            return;
        }
        let nick = nick.unwrap_or_default();
        let (id, payload) = (message.id.clone(), message.payload.clone());
        if payload.contains("<body") {
            room.history
                .push((nick.clone(), id.clone(), payload.clone(), wall_ms));
        }
        self.show(&target, Seen::Message(seen(nick, id, payload)));
    }

    fn show(&mut self, room: &BareJid, seen: Seen) {
        let Some(entry) = self.rooms.get(room) else { return };
        for local in entry.locals.values() {
            let (room, session) = (room.clone(), local.session);
            self.events.push(Event::Saw {
                room,
                session,
                seen: seen.clone(),
            });
        }
    }

    // What people do here.

    /// Makes a room that is a source, for scripts that play the firsthost.
    pub fn create(&mut self, room: &str, id: &str) {
        let room = bare(room);
        let entry = self.rooms.entry(room.clone()).or_default();
        (entry.source, entry.has_config, entry.id) = (Some(room), true, id.to_owned());
    }

    pub fn join(&mut self, room: &BareJid, nick: &str, user: &Jid) -> Option<u64> {
        let session = self.next_id;
        let entry = self.rooms.get_mut(room).filter(|room| room.has_config)?;
        if entry.locals.contains_key(nick) || entry.remotes.keys().any(|(taken, _)| taken == nick) {
            return None;
        }
        self.next_id += 1;
        let local = XepLocal {
            session,
            user: user.clone(),
            affiliation: Affiliation::None,
            role: Role::Participant,
        };
        entry.locals.insert(nick.to_owned(), local.clone());
        let nick_text = nick.to_owned();
        self.events.push(Event::Joined {
            room: room.clone(),
            nick: nick_text,
            session,
        });
        self.tell_presence(room, nick, &local, true);
        Some(session)
    }

    pub fn leave(&mut self, room: &BareJid, nick: &str) {
        let Some(local) = self.rooms.get_mut(room).and_then(|room| room.locals.remove(nick)) else {
            return;
        };
        let (nick_text, session) = (nick.to_owned(), local.session);
        self.events.push(Event::Left {
            room: room.clone(),
            nick: nick_text,
            session,
            cause: Cause::Own,
        });
        self.tell_presence(room, nick, &local, false);
    }

    fn tell_presence(&mut self, room: &BareJid, nick: &str, local: &XepLocal, available: bool) {
        self.events.push(Event::Changed {
            room: room.clone(),
            nick: nick.to_owned(),
        });
        for instance in self.instances(room) {
            self.send(presence_xml(room, &instance, nick, local, available));
        }
    }

    pub fn say(&mut self, room: &BareJid, nick: &str, id: Option<&str>, payload: &str) {
        let wall_ms = self.wall_ms;
        let Some(entry) = self.rooms.get_mut(room) else {
            return;
        };
        let Some(local) = entry.locals.get(nick) else {
            return;
        };
        let (session, kept) = (local.session, payload.contains("<body"));
        let id_text = id.map(str::to_owned);
        if kept {
            entry
                .history
                .push((nick.to_owned(), id_text.clone(), payload.to_owned(), wall_ms));
        }
        let (said_in, said) = (room.clone(), payload.to_owned());
        self.events.push(Event::Said {
            room: said_in,
            session,
            payload: said,
            kept,
        });
        self.show(
            room,
            Seen::Message(seen(nick.to_owned(), id_text, payload.to_owned())),
        );
        let id = id.map(|id| format!(" id='{}'", escaped(id))).unwrap_or_default();
        let nick = escaped(nick);
        for instance in self.instances(room) {
            self.send(format!(
                "<message from='{room}/{nick}' to='{instance}/{nick}' type='groupchat'{id}>{payload}</message>"
            ));
        }
    }

    fn instances(&self, room: &BareJid) -> Vec<BareJid> {
        self.rooms
            .get(room)
            .map(|room| room.instances.iter().cloned().collect())
            .unwrap_or_default()
    }
}

fn seen(nick: String, message_id: Option<String>, payload: String) -> SeenMessage {
    SeenMessage {
        nick,
        payload,
        message_id,
        stanza_id: None,
        occupant_id: None,
        delayed: false,
    }
}

/// As in "Shadow Informs Source of New Occupant": an item without a JID.
fn presence_xml(room: &BareJid, to: &BareJid, nick: &str, local: &XepLocal, available: bool) -> String {
    let nick = escaped(nick);
    let (kind, role) = if available {
        ("", local.role)
    } else {
        (" type='unavailable'", Role::None)
    };
    format!(
        "<presence from='{room}/{nick}' to='{to}/{nick}'{kind}><x xmlns='http://jabber.org/protocol/muc#user'>\
         <item affiliation='{}' role='{}'/></x></presence>",
        local.affiliation.as_str(),
        role.as_str()
    )
}

fn history_xml(room: &BareJid, entry: &XepRoom) -> String {
    let messages: String = entry
        .history
        .iter()
        .map(|(nick, id, payload, stamp)| {
            let id = id
                .as_ref()
                .map(|id| format!(" id='{}'", escaped(id)))
                .unwrap_or_default();
            let stamp = datetime::format(i64::try_from(*stamp).unwrap_or(0));
            format!(
                "<message xmlns='jabber:client' from='{room}/{}' type='groupchat'{id}>{payload}\
                 <delay xmlns='urn:xmpp:delay' from='{room}' stamp='{stamp}'/></message>",
                escaped(nick)
            )
        })
        .collect();
    format!("<history xmlns='http://jabber.org/protocol/muc'>{messages}</history>")
}

fn error_xml(condition: &str) -> String {
    format!("<error type='cancel'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>")
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
