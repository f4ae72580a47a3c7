//! Services, the network between them, and virtual time.

use std::collections::{BTreeMap, BTreeSet};

use dmuc::address::{BareJid, Jid};
use dmuc::config::{RoomIdScheme, ShadowNames};
use dmuc::engine::Input;
use dmuc::wire::{
    Affiliation, Condition, Form, Iq, IqBody, Message, MessageKind, Presence, PresenceKind, Request, Role,
    Stanza, StanzaError, write_iq, write_message, write_presence,
};
use dmuc::{Config, Now};

use super::dice::Dice;
use super::event::{Crossing, Event};
use super::host::Host;
use super::moderate::Wish;
use super::names::{bare, full, seat, service_of};
use super::net::{Flight, Network, Reset};
use super::outputs;
use super::people::Denied;
use super::xep::XepService;
use super::xep::subject_of;

/// Virtual time starts in January 2026.
pub const EPOCH_MS: u64 = 1_769_155_200_000;

/// What an instance says whose stored log has to be read first.
pub const STILL_READING: &str = "What was said in this room is still being read here; ask again later";

#[derive(Debug)]
pub struct Federation {
    pub now_ms: u64,
    pub hosts: BTreeMap<BareJid, Host>,
    pub xep: BTreeMap<BareJid, XepService>,
    pub net: Network,
    pub dice: Dice,
    /// Most that a stanza is late, in addition to its link's latency.
    pub jitter_ms: u64,
    pub events: Vec<Event>,
    /// Every stanza as it was delivered, while `is_traced`.
    pub trace: Vec<String>,
    pub is_traced: bool,
    /// Connections that a service has given up, with the peer's.
    pub given_up: Vec<(BareJid, BareJid)>,
    /// How far each service's wall clock is ahead.
    pub skew_ms: BTreeMap<BareJid, i64>,
    /// Private stanzas on their way, by room and token: between which services, and since when.
    privates: BTreeMap<(BareJid, u64), (BareJid, BareJid, u64)>,
    /// Services that run without the module.
    bare: BTreeSet<BareJid>,
    /// Services that lie. What happens there is nobody's business, and what they are about to send waits in `told`.
    pub liars: BTreeSet<BareJid>,
    pub told: Vec<(BareJid, String)>,
    /// Stanzas of liars that were refused and have changed something.
    pub changed_by_refused: Vec<String>,
    /// When a service last got an answer from another.
    answered_at: BTreeMap<(BareJid, BareJid), u64>,
}

impl Drop for Federation {
    fn drop(&mut self) {
        outputs::end();
    }
}

impl Federation {
    /// Nobody, at the beginning of time.
    pub fn empty(seed: u64) -> Federation {
        Federation {
            now_ms: 0,
            hosts: BTreeMap::new(),
            xep: BTreeMap::new(),
            net: Network::default(),
            dice: Dice::new(seed),
            jitter_ms: 0,
            events: Vec::new(),
            trace: Vec::new(),
            is_traced: false,
            given_up: Vec::new(),
            skew_ms: BTreeMap::new(),
            privates: BTreeMap::new(),
            bare: BTreeSet::new(),
            liars: BTreeSet::new(),
            told: Vec::new(),
            changed_by_refused: Vec::new(),
            answered_at: BTreeMap::new(),
        }
    }

    /// These services, each a peer of all others, with readable room ids and no redirects.
    pub fn of(services: &[&str]) -> Federation {
        let mut federation = Federation::empty(1);
        for service in services {
            federation.add(config_of(service, services));
        }
        federation
    }

    /// Starts a service.
    pub fn add(&mut self, config: Config) {
        let now = self.now_at(&config.service);
        let service = config.service.clone();
        let host = Host::new(config, self.dice.seed(), now);
        self.hosts.insert(service, host);
    }

    pub fn add_xep(&mut self, service: &str) -> &mut XepService {
        self.xep
            .entry(bare(service))
            .or_insert_with(|| XepService::new(service))
    }

    pub fn now_at(&self, service: &BareJid) -> Now {
        let skew = self.skew_ms.get(service).copied().unwrap_or(0);
        Now {
            mono_ms: self.now_ms,
            wall_ms: (EPOCH_MS + self.now_ms).saturating_add_signed(skew),
        }
    }

    pub fn host(&self, service: &str) -> &Host {
        self.hosts
            .get(&bare(service))
            .unwrap_or_else(|| panic!("there is no service {service}"))
    }

    /// Lets something happen at a service, now, and takes what comes of it.
    pub fn at<R>(&mut self, service: &BareJid, happen: impl FnOnce(&mut Host) -> R) -> R {
        let now = self.now_at(service);
        let host = self
            .hosts
            .get_mut(service)
            .unwrap_or_else(|| panic!("there is no service {service}"));
        host.now = now;
        let result = happen(host);
        host.drain();
        self.collect(service);
        result
    }

    /// The same for a service that speaks only the XEP's text.
    pub fn at_xep<R>(&mut self, service: &str, happen: impl FnOnce(&mut XepService) -> R) -> R {
        let service = bare(service);
        let wall_ms = self.now_at(&service).wall_ms;
        let peer = self
            .xep
            .get_mut(&service)
            .unwrap_or_else(|| panic!("there is no service {service}"));
        peer.wall_ms = wall_ms;
        let result = happen(peer);
        self.collect(&service);
        result
    }

    /// Takes events and stanzas from a service.
    fn collect(&mut self, service: &BareJid) {
        let mut resets = Vec::new();
        let (events, outbox) = if let Some(host) = self.hosts.get_mut(service) {
            if host.is_dead() {
                let lose_tail = host.loses_tail;
                host.crash(lose_tail);
            }
            resets = std::mem::take(&mut host.resets);
            (std::mem::take(&mut host.events), std::mem::take(&mut host.outbox))
        } else if let Some(peer) = self.xep.get_mut(service) {
            (std::mem::take(&mut peer.events), std::mem::take(&mut peer.outbox))
        } else {
            return;
        };
        if self.is_traced {
            for event in &events {
                self.trace
                    .push(format!("{:>8} {service}: {event:?}", self.now_ms));
            }
        }
        self.net.tick(self.now_ms);
        if self.liars.contains(service) {
            let told = outbox.into_iter().map(|xml| (service.clone(), xml));
            self.told.extend(told);
            return;
        }
        for mut event in events {
            self.watch_private(&mut event);
            self.events.push(event);
        }
        // A connection is given up between what is sent before and after.
        let mut resets = resets.into_iter().peekable();
        for (number, xml) in outbox.into_iter().enumerate() {
            while let Some((_, peer)) = resets.next_if(|(after, _)| *after <= number) {
                self.reset(service, &peer);
            }
            self.send(service, xml);
        }
        for (_, peer) in resets {
            self.reset(service, &peer);
        }
    }

    fn reset(&mut self, service: &BareJid, peer: &BareJid) {
        let how = if self.dice.chance(50) {
            Reset::Loses
        } else {
            Reset::Bounces
        };
        self.net.reset(service, peer, how);
        self.given_up.push((service.clone(), peer.clone()));
    }

    /// What a private message's end means depends on what the network has done since it was sent.
    fn watch_private(&mut self, event: &mut Event) {
        match event {
            Event::Private { room, to, token, .. } => {
                let sent = (room.service(), to.service(), self.now_ms);
                self.privates.insert((room.clone(), *token), sent);
            }
            Event::PrivateEnded {
                room,
                token,
                may_be_lost,
                ..
            } => {
                if let Some((from, to, at)) = self.privates.remove(&(room.clone(), *token)) {
                    let is_lossy = self.net.last_loss_at(&from, &to).is_some_and(|lost| lost >= at);
                    // Without any answer since nobody can have vouched for it.
                    let answered = self.answered_at.get(&(from, to));
                    *may_be_lost |= is_lossy && answered.is_some_and(|answered| *answered >= at);
                }
            }
            _ => {}
        }
    }

    /// Hands a stanza to the network.
    pub fn send(&mut self, service: &BareJid, xml: String) {
        let Crossed { from, to, id, what } = crossing(&xml);
        let peer = to.service();
        assert_eq!(
            from.service(),
            *service,
            "{service} sends in another's name: {xml}"
        );
        if self.is_traced {
            self.trace
                .push(format!("{:>8} {service} sends {xml}", self.now_ms));
        }
        if !self.liars.contains(&peer) {
            self.events.push(Event::Crossed { from, to, id, what });
        }
        outputs::note(outputs::Kind::Stanza, || xml.clone());
        let jitter = self.dice.below(self.jitter_ms + 1);
        self.net.send(self.now_ms, jitter, service.clone(), peer, xml);
    }

    /// What a liar says goes on its way, if it is a stanza at all and from the liar's own service: that is as much as a
    /// server sees to.
    pub fn forge(&mut self, liar: &BareJid, xml: String) {
        let Ok(stanza) = Stanza::parse(&xml) else { return };
        let (from, to) = match &stanza {
            Stanza::Iq(iq) => (&iq.from, &iq.to),
            Stanza::Presence(presence) => (&presence.from, &presence.to),
            Stanza::Message(message) => (&message.from, &message.to),
        };
        let peer = to.service();
        if from.service() != *liar || !self.hosts.contains_key(&peer) || self.liars.contains(&peer) {
            return;
        }
        if self.is_traced {
            self.trace.push(format!("{:>8} {liar} sends {xml}", self.now_ms));
        }
        let jitter = self.dice.below(self.jitter_ms + 1);
        self.net.send(self.now_ms, jitter, liar.clone(), peer, xml);
    }

    /// Whether nothing is read back meanwhile.
    fn hold_reading(&mut self, service: &BareJid, is_held: bool) {
        if let Some(host) = self.hosts.get_mut(service) {
            host.reading.is_held = is_held;
        }
    }

    /// All that others can see of a service, and what it has stored.
    fn state_of(&self, service: &BareJid) -> Option<String> {
        let host = self.hosts.get(service)?;
        let mut state = format!("{:?} {:?}", host.rooms, host.stored);
        for room in host.engine.rooms() {
            let messages = host.messages(room).into_iter();
            let messages: Vec<_> = messages.map(|entry| (entry.key, entry.payload)).collect();
            let snapshot = host.engine.snapshot(room).map(|snapshot| snapshot.to_xml());
            let occupants = host.engine.remote_occupants(room);
            state.push_str(&format!("{snapshot:?} {occupants:?} {messages:?}"));
        }
        Some(state)
    }

    /// The next thing that is due before or at `until_ms` happens; false if there is none.
    pub fn step(&mut self, until_ms: u64) -> bool {
        let running = self.hosts.values().filter(|host| !host.is_down);
        let timers = running.filter_map(|host| host.engine.poll_timeout());
        let (timer, flight) = (timers.min(), self.net.next_at());
        let Some(next) = timer
            .into_iter()
            .chain(flight)
            .min()
            .filter(|next| *next <= until_ms)
        else {
            return false;
        };
        self.now_ms = self.now_ms.max(next);
        self.net.tick(self.now_ms);
        if flight == Some(next) {
            if let Some(flight) = self.net.arrive() {
                self.deliver(flight);
            }
            return true;
        }
        let due =
            |host: &Host| !host.is_down && host.engine.poll_timeout().is_some_and(|at| at <= self.now_ms);
        let service = self
            .hosts
            .iter()
            .find(|(_, host)| due(host))
            .map(|(service, _)| service.clone());
        if let Some(service) = service {
            self.at(&service, Host::timeout);
        }
        true
    }

    fn deliver(&mut self, flight: Flight) {
        if flight.is_part {
            if self.hosts.contains_key(&flight.to) && self.runs(&flight.to) {
                let service = flight.from;
                self.at(&flight.to, |host| {
                    host.tell(Input::Arriving { service: &service })
                });
            }
            return;
        }
        let bounce_of = |condition| bounce(&flight.xml, condition);
        if self.bare.contains(&flight.to) && flight.bounce.is_none() {
            if let Some(xml) = without_module(&flight.xml) {
                self.net.send(self.now_ms, 0, flight.to, flight.from, xml);
            }
            return;
        }
        if let Some(condition) = flight.bounce {
            if let Some(xml) = bounce_of(condition) {
                self.hand_in(&flight.from, &xml);
            }
        } else if self.runs(&flight.to) {
            if flight.xml.starts_with("<iq") && flight.xml.contains(" type='result'") {
                let between = (flight.to.clone(), flight.from.clone());
                self.answered_at.insert(between, self.now_ms);
            }
            self.hand_in(&flight.to, &flight.xml);
        } else if self.hosts.contains_key(&flight.to) && self.dice.chance(50) {
            // It was in the buffers of a process that is no more.
            self.net.lost(&flight.from, &flight.to);
        } else if let Some(xml) = bounce_of(Condition::RemoteServerNotFound) {
            self.hand_in(&flight.from, &xml);
        }
    }

    pub fn runs(&self, service: &BareJid) -> bool {
        self.xep.contains_key(service) || self.hosts.get(service).is_some_and(|host| !host.is_down)
    }

    /// A stanza arrives at a service.
    pub fn hand_in(&mut self, service: &BareJid, xml: &str) {
        if self.is_traced {
            self.trace
                .push(format!("{:>8} {service} gets {xml}", self.now_ms));
        }
        if self.hosts.contains_key(service) {
            if self.runs(service) {
                let sender = sender(xml).filter(|sender| self.liars.contains(sender));
                if sender.is_some() {
                    // A message without a number has the host read the stored log before it hands it in: nothing new by that.
                    self.at(service, |host| host.read_before(xml));
                }
                let before = sender.and_then(|_| self.state_of(service));
                let events = self.events.len();
                // What it changes is looked at, and nothing else.
                let is_watched = before.is_some();
                self.hold_reading(service, is_watched);
                self.at(service, |host| host.receive(xml));
                let new = self.events.get(events..).unwrap_or_default();
                // An answer that has to wait for the stored log is no refusal: what was asked with it shows already whether numbers
                // of ours were used that are not known here any more.
                let is_late = |error: &StanzaError| error.text.as_deref() == Some(STILL_READING);
                let is_refused = new
                    .iter()
                    .any(|event| matches!(event, Event::Refused { error, .. } if !is_late(error)));
                let is_changed = is_watched && is_refused && self.state_of(service) != before;
                self.hold_reading(service, false);
                if is_changed {
                    self.changed_by_refused.push(xml.to_owned());
                }
            }
        } else if self.xep.contains_key(service) {
            self.at_xep(service.as_str(), |peer| peer.receive(xml));
        }
    }

    /// Runs until nothing is on its way but heartbeats and every engine is settled, for at most ten minutes.
    pub fn run(&mut self) {
        let until = self.now_ms + 600_000;
        while !self.is_settled() && self.step(until) {}
        assert!(
            self.is_settled(),
            "it does not come to rest:\n{}",
            self.who_waits()
        );
    }

    /// Nothing is on its way but heartbeats, which never end.
    pub fn is_settled(&self) -> bool {
        // Whoever waits for a liar may wait for ever.
        let is_lie = |flight: &Flight| self.liars.contains(&flight.from) || self.liars.contains(&flight.to);
        let is_beat = |flight: &Flight| flight.is_part || is_heartbeat(&flight.xml) || is_lie(flight);
        let is_settled = |host: &Host| !self.liars.is_empty() || host.is_settled();
        self.net.flights().all(is_beat) && self.hosts.values().all(is_settled)
    }

    /// Who waits for what, for whoever has to find out why nothing comes to rest.
    pub fn who_waits(&self) -> String {
        let waiting = self.hosts.values().filter(|host| !host.is_settled());
        let mut lines: Vec<String> = waiting
            .map(|host| {
                let waits: Vec<String> = host.engine.waits().collect();
                format!("  {}: {waits:?}", host.service)
            })
            .collect();
        let flights = self.net.flights().take(10);
        lines.extend(flights.map(|flight| format!("  on its way: {}", flight.xml)));
        lines.join("\n")
    }

    /// Runs for some time, whatever is still going on then.
    pub fn run_for(&mut self, ms: u64) {
        let until = self.now_ms + ms;
        while self.step(until) {}
        self.now_ms = until;
    }

    pub fn restart(&mut self, service: &str) {
        let seed = self.dice.seed();
        self.at(&bare(service), |host| {
            let config = host.engine.config().clone();
            host.restart(config, seed);
        });
    }

    /// The process is killed; with `lose_tail` the machine loses power, and what was not flushed is lost.
    pub fn crash(&mut self, service: &BareJid, lose_tail: bool) {
        self.at(service, |host| host.crash(lose_tail));
        self.net.died(service);
    }

    /// The server crashes and is started again at once, without the module.
    pub fn unload(&mut self, service: &str) {
        self.crash(&bare(service), false);
        self.bare.insert(bare(service));
    }

    /// The module is there when the server is started next.
    pub fn install(&mut self, service: &BareJid) {
        self.bare.remove(service);
    }

    /// It is started anew, with the module.
    pub fn load(&mut self, service: &str) {
        self.bare.remove(&bare(service));
        self.start(&bare(service));
    }

    pub fn start(&mut self, service: &BareJid) {
        let seed = self.dice.seed();
        self.at(service, |host| host.start(seed));
    }

    // What people do; a place is `room@service/nick`.

    /// `user`'s room, distributed at once, with the fields of `form`.
    pub fn distributed(&mut self, room: &str, user: &str, fields: &[(&str, &str)]) {
        self.create(room, user, fields);
        let room = bare(room);
        self.at(&service_of(&room), |host| host.distribute(&room));
    }

    pub fn create(&mut self, room: &str, user: &str, fields: &[(&str, &str)]) {
        let room = bare(room);
        let mut form = Form::default();
        form.set("muc#roomconfig_roomname", vec!["A Dark Cave".to_owned()]);
        form.set("muc#roomconfig_whois", vec!["moderators".to_owned()]);
        for (var, value) in fields {
            form.set(var, vec![(*value).to_owned()]);
        }
        self.at(&service_of(&room), |host| {
            host.create(&room, &full(user).to_bare(), form)
        });
    }

    pub fn join(&mut self, place: &str, user: &str) -> u64 {
        self.try_join(place, user)
            .unwrap_or_else(|denied| panic!("{user} cannot join as {place}: {denied:?}"))
    }

    pub fn try_join(&mut self, place: &str, user: &str) -> Result<u64, Denied> {
        let (room, nick) = seat(place);
        self.at(&service_of(&room), |host| {
            host.join(&room, &nick, &full(user), "")
        })
    }

    pub fn leave(&mut self, place: &str) {
        self.here(place, |host, room, nick| host.leave(room, nick));
    }

    pub fn update(&mut self, place: &str, payload: &str) {
        self.here(place, |host, room, nick| host.update(room, nick, payload));
    }

    pub fn change_nick(&mut self, place: &str, new_nick: &str) {
        self.here(place, |host, room, nick| host.change_nick(room, nick, new_nick));
    }

    /// Says `text` in a message whose id is `text` too. Returns the stanza-id.
    pub fn say(&mut self, place: &str, text: &str) -> String {
        let payload = super::names::message_body(text);
        self.here(place, |host, room, nick| {
            host.say(room, nick, Some(text), &payload)
        })
    }

    pub fn set_subject(&mut self, place: &str, text: &str) {
        self.here(place, |host, room, nick| host.set_subject(room, nick, text));
    }

    pub fn set_avatar(&mut self, place: &str, vcard: &str) -> Wish {
        self.here(place, |host, room, nick| host.set_avatar(room, nick, vcard))
    }

    pub fn kick(&mut self, place: &str, target: &str) -> Wish {
        self.here(place, |host, room, nick| {
            host.set_role(room, nick, target, Role::None, Some("out"))
        })
    }

    pub fn affiliate(&mut self, place: &str, user: &str, affiliation: Affiliation) -> Wish {
        let user = bare(user);
        self.here(place, |host, room, nick| {
            host.affiliate(room, nick, &user, affiliation, None)
        })
    }

    pub fn configure(&mut self, place: &str, fields: &[(&str, &str)]) -> Wish {
        self.here(place, |host, room, nick| host.configure(room, nick, fields))
    }

    /// Something the occupant of a place does, which is not denied.
    pub fn here<R>(
        &mut self,
        place: &str,
        act: impl FnOnce(&mut Host, &BareJid, &str) -> Result<R, Denied>,
    ) -> R {
        let (room, nick) = seat(place);
        self.at(&service_of(&room), |host| act(host, &room, &nick))
            .unwrap_or_else(|denied| panic!("{place} is denied it: {denied:?}"))
    }
}

/// The service that a stanza is from.
fn sender(xml: &str) -> Option<BareJid> {
    let from = xml.split(" from='").nth(1)?.split('\'').next()?;
    Some(Jid::new(from).ok()?.service())
}

/// What a MUC service without the module answers.
fn without_module(xml: &str) -> Option<String> {
    let Ok(Stanza::Iq(iq)) = Stanza::parse(xml) else {
        return None; // Nobody is in its rooms.
    };
    let IqBody::Get(query) = &iq.body else {
        return bounce(xml, Condition::ServiceUnavailable);
    };
    if !query.contains("http://jabber.org/protocol/disco#info") {
        return bounce(xml, Condition::ServiceUnavailable);
    }
    let muc = "<query xmlns='http://jabber.org/protocol/disco#info'>\
               <feature var='http://jabber.org/protocol/muc'/></query>";
    Some(write_iq(&Iq {
        from: iq.to,
        to: iq.from,
        id: iq.id,
        body: IqBody::Result(Some(muc.to_owned())),
    }))
}

/// The configuration tests start from: everybody a peer, readable ids, no redirects.
pub fn config_of(service: &str, services: &[&str]) -> Config {
    let mut config = Config::new(bare(service));
    for peer in services.iter().filter(|peer| **peer != service) {
        config = config.with_peer(bare(peer));
    }
    config.room_id = RoomIdScheme::Name;
    config.shadow_names = ShadowNames::Any;
    config.redirect = false;
    config
}

/// Where a stanza goes and what it is about.
pub struct Crossed {
    pub from: Jid,
    pub to: Jid,
    /// Of an IQ.
    pub id: Option<String>,
    pub what: Crossing,
}

pub fn crossing(xml: &str) -> Crossed {
    let xml = &*super::net::plain(xml);
    let stanza = Stanza::parse(xml).unwrap_or_else(|error| panic!("{error}: {xml}"));
    let mut id = None;
    let (from, to, what) = match stanza {
        Stanza::Iq(iq) => {
            let what = match &iq.body {
                IqBody::Get(payload) | IqBody::Set(payload) => Crossing::Request(element_name(payload)),
                IqBody::Result(Some(payload)) if payload.starts_with("<sync ") => {
                    Crossing::Synced(synced(payload))
                }
                IqBody::Result(Some(payload)) if is_heartbeat(payload) => Crossing::Heartbeat,
                IqBody::Result(_) => Crossing::Answer,
                IqBody::Error(_) => Crossing::Error,
            };
            id = Some(iq.id);
            (iq.from, iq.to, what)
        }
        Stanza::Presence(presence) => {
            let what = match &presence.kind {
                PresenceKind::Error(_) => Crossing::Error,
                kind => Crossing::Presence {
                    available: *kind == PresenceKind::Available,
                },
            };
            (presence.from, presence.to, what)
        }
        Stanza::Message(message) => {
            let what = match (&message.kind, subject_of(&message)) {
                (MessageKind::Error(_), _) => Crossing::Error,
                (MessageKind::Groupchat, Some(text)) => Crossing::Subject { text },
                (MessageKind::Groupchat, None) => Crossing::Message {
                    payload: match message.moderation {
                        Some(moderation) => moderation.to_xml(),
                        None => message.payload,
                    },
                },
                _ => Crossing::Private,
            };
            (message.from, message.to, what)
        }
    };
    Crossed { from, to, id, what }
}

/// Whether a stanza or its payload is one that only asks whether somebody is there, or the answer.
fn is_heartbeat(payload: &str) -> bool {
    (payload.contains("<iq ") || payload.starts_with("<digest ")) && payload.contains("<digest ")
        || payload.contains("http://jabber.org/protocol/disco#info")
}

/// The ids of the events in the answer to a `<sync/>`.
fn synced(payload: &str) -> Vec<String> {
    let Ok(answer) = payload.parse::<minidom::Element>() else {
        return Vec::new();
    };
    let runs = answer.children().filter(|child| child.name() == "events");
    runs.flat_map(|run| run.children())
        .filter_map(|message| message.attr("event").map(str::to_owned))
        .collect()
}

fn element_name(payload: &str) -> String {
    let end = payload.find([' ', '/', '>']).unwrap_or(payload.len());
    payload[1..end].to_owned()
}

/// What a server says of a stanza that it could not send; errors and answers are never bounced.
fn bounce(xml: &str, condition: Condition) -> Option<String> {
    let error = StanzaError::new(condition);
    Some(match Stanza::parse(xml).ok()? {
        Stanza::Iq(Iq {
            from,
            to,
            id,
            body: IqBody::Get(_) | IqBody::Set(_),
        }) => write_iq(&Iq {
            from: to,
            to: from,
            id,
            body: IqBody::Error(error),
        }),
        Stanza::Iq(_) => return None,
        Stanza::Presence(presence) if matches!(presence.kind, PresenceKind::Error(_)) => return None,
        Stanza::Presence(presence) => write_presence(&Presence {
            from: presence.to,
            to: presence.from,
            kind: PresenceKind::Error(error),
            ..presence
        }),
        Stanza::Message(message) if matches!(message.kind, MessageKind::Error(_)) => return None,
        Stanza::Message(message) => write_message(&Message {
            from: message.to,
            to: message.from,
            kind: MessageKind::Error(error),
            ..message
        }),
    })
}

/// Whether an IQ asks for this.
pub fn asks(kind: dmuc::wire::IqKind, xml: &str, is_it: impl FnOnce(&Request) -> bool) -> bool {
    Request::parse(kind, xml).is_ok_and(|request| is_it(&request))
}
