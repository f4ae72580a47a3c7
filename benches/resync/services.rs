//! Services that are an engine each, and links that are a queue. What crosses is XML, and counted.

use std::collections::{BTreeMap, VecDeque};

use dmuc::address::{BareJid, Jid};
use dmuc::engine::LinkState;
use dmuc::wire::{DiscoInfo, Iq, IqBody, IqKind, MessageKind, Request, Response, Stanza, write_iq};
use dmuc::{Action, Engine, Input, Now, Verdict};

use crate::support::federation::{EPOCH_MS, Federation};

/// Stanzas, their bytes, and the messages that answers to `<sync/>` hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Crossed {
    pub stanzas: u64,
    pub bytes: u64,
    pub events: u64,
}

#[derive(Debug)]
pub struct Services {
    engines: BTreeMap<BareJid, Engine>,
    now: Now,
    flights: VecDeque<(BareJid, String)>,
    /// Everything that is sent disappears.
    pub is_cut: bool,
    pub crossed: Crossed,
    /// Stanza-ids of missed messages that were shown, in order.
    pub shown: Vec<String>,
}

impl Services {
    /// The engines of a federation that has come to rest.
    pub fn of(mut fed: Federation) -> Services {
        let now = Now {
            mono_ms: fed.now_ms,
            wall_ms: EPOCH_MS + fed.now_ms,
        };
        let engines = std::mem::take(&mut fed.hosts)
            .into_iter()
            .map(|(service, host)| (service, host.engine));
        Services {
            engines: engines.collect(),
            now,
            flights: VecDeque::new(),
            is_cut: false,
            crossed: Crossed::default(),
            shown: Vec::new(),
        }
    }

    pub fn engine(&self, service: &BareJid) -> &Engine {
        &self.engines[service]
    }

    /// Hands an input to a service, a millisecond later, and lets arrive what comes of it.
    pub fn input(&mut self, service: &BareJid, input: Input<'_>) -> Verdict {
        self.now.mono_ms += 1;
        self.now.wall_ms += 1;
        let engine = self.engines.get_mut(service).unwrap();
        let verdict = engine.handle_input(self.now, input).unwrap();
        self.settle();
        verdict
    }

    /// What is under way arrives, until nothing is.
    fn settle(&mut self) {
        loop {
            for engine in self.engines.values_mut() {
                while let Some(action) = engine.poll_action() {
                    match (&action, action.stanza()) {
                        (_, Some(xml)) => send(&mut self.crossed, &mut self.flights, xml, self.is_cut),
                        (Action::AddMessage { id, deliver, .. }, _) => {
                            assert!(*deliver);
                            self.shown.push(id.clone());
                        }
                        _ => {}
                    }
                }
            }
            let Some((to, xml)) = self.flights.pop_front() else {
                return;
            };
            self.arrives(&to, &xml);
        }
    }

    /// The next timer that is due before or at some time; false if there is none.
    fn step(&mut self, until_ms: u64) -> bool {
        let next = self.engines.values().filter_map(Engine::poll_timeout).min();
        let Some(next) = next.filter(|next| *next <= until_ms) else {
            return false;
        };
        let ahead = next.saturating_sub(self.now.mono_ms);
        self.now.mono_ms += ahead;
        self.now.wall_ms += ahead;
        for engine in self.engines.values_mut() {
            if engine.poll_timeout().is_some_and(|at| at <= self.now.mono_ms) {
                engine.handle_timeout(self.now);
            }
        }
        self.settle();
        true
    }

    pub fn run_for(&mut self, ms: u64) {
        let until = self.now.mono_ms + ms;
        while self.step(until) {}
        let ahead = until.saturating_sub(self.now.mono_ms);
        self.now.mono_ms += ahead;
        self.now.wall_ms += ahead;
    }

    /// Until nothing is left but heartbeats.
    pub fn run(&mut self) {
        let until = self.now.mono_ms + 600_000;
        while !self.engines.values().all(Engine::is_settled) {
            assert!(self.step(until), "the services do not come to rest");
        }
    }

    /// Cuts every link, and waits until every service knows.
    pub fn cut(&mut self) {
        self.is_cut = true;
        let until = self.now.mono_ms + 600_000;
        while !self.is_down() {
            assert!(self.step(until), "nobody notices");
        }
    }

    fn is_down(&self) -> bool {
        let all = self.engines.iter();
        all.clone().all(|(service, engine)| {
            let mut others = all.clone().filter(|(other, _)| *other != service);
            others.all(|(other, _)| engine.link_state(other) == LinkState::Down)
        })
    }

    fn arrives(&mut self, to: &BareJid, xml: &str) {
        let engine = self.engines.get_mut(to).unwrap();
        let input = |engine: &mut Engine, input| engine.handle_input(self.now, input).unwrap();
        match Stanza::parse(xml).unwrap() {
            Stanza::Iq(iq) => {
                let Iq { from, to, id, body } = iq;
                match body {
                    IqBody::Get(payload) => {
                        if Request::parse(IqKind::Get, &payload) == Ok(Request::DiscoInfo) {
                            let xml = disco(from, to, id);
                            send(&mut self.crossed, &mut self.flights, xml, self.is_cut);
                            return;
                        }
                        input(engine, request(&from, &to, IqKind::Get, &id, &payload));
                    }
                    IqBody::Set(payload) => {
                        input(engine, request(&from, &to, IqKind::Set, &id, &payload));
                    }
                    IqBody::Result(payload) => {
                        let (from, id) = (&from, &*id);
                        let answer = Ok(payload.as_deref().unwrap_or_default());
                        input(engine, Input::PeerAnswer { from, id, answer });
                    }
                    IqBody::Error(error) => panic!("{error:?} in answer to {id}"),
                }
            }
            Stanza::Message(message) => {
                assert_eq!(message.kind, MessageKind::Groupchat, "{xml}");
                input(
                    engine,
                    Input::PeerGroupchat {
                        from: &message.from,
                        to: &message.to,
                        message_id: message.id.as_deref(),
                        lang: None,
                        event: message.event,
                        payload: &message.payload,
                        keep: true,
                    },
                );
            }
            Stanza::Presence(_) => panic!("nobody comes or goes: {xml}"),
        }
    }
}

fn request<'a>(from: &'a Jid, to: &'a Jid, kind: IqKind, id: &'a str, payload: &'a str) -> Input<'a> {
    Input::PeerIq {
        from,
        to,
        kind,
        id,
        payload,
        taken: false,
    }
}

/// What a host answers for its engine.
fn disco(from: Jid, to: Jid, id: String) -> String {
    let features = [dmuc::wire::ns::DMUC, dmuc::wire::ns::OURS];
    let info = DiscoInfo {
        features: features.map(str::to_owned).into(),
        ..DiscoInfo::default()
    };
    let body = IqBody::Result(Response::DiscoInfo(info).to_xml());
    write_iq(&Iq {
        from: to,
        to: from,
        id,
        body,
    })
}

fn send(crossed: &mut Crossed, flights: &mut VecDeque<(BareJid, String)>, xml: String, is_cut: bool) {
    if is_cut {
        return;
    }
    crossed.stanzas += 1;
    crossed.bytes += xml.len() as u64;
    crossed.events += events_in(&xml);
    let to = attribute(&xml, "to").unwrap();
    let service = Jid::new(&to).unwrap().service();
    flights.push_back((service, xml));
}

/// How many messages the answer to a `<sync/>` holds, packed or not.
fn events_in(xml: &str) -> u64 {
    let packed = xml.find("<packed ").zip(xml.find("</packed>"));
    let plain = packed.and_then(|(start, end)| dmuc::wire::unpack(xml.get(start..end + 9)?).ok());
    let page = match &plain {
        Some(page) => page.strip_prefix("<sync "),
        None => xml.split_once("<sync ").map(|(_, page)| page),
    };
    page.map_or(0, |page| page.matches("<message").count() as u64)
}

/// An attribute of a stanza as an engine writes it.
fn attribute(xml: &str, name: &str) -> Option<String> {
    let head = xml.split('>').next()?;
    let (_, rest) = head.split_once(&format!(" {name}='"))?;
    Some(rest.split('\'').next()?.to_owned())
}
