//! The smallest host of the engine: two services in one process, a room on both, and a message from either side.
//!
//! `cargo run --example two_services`. A real host has a network in place of the queue and a clock in place of `now`; it
//! also stores what the engine says (`Action::Store`, `Verdict`), which this one does not.

use std::collections::VecDeque;
use std::error::Error;

use dmuc::address::{BareJid, FullJid, Jid};
use dmuc::engine::{Occupant, Shown};
use dmuc::inbound::{Head, Inbound, handle_stanza};
use dmuc::wire::{
    Affiliation, DiscoInfo, Form, Iq, IqBody, IqKind, Request, Response, Role, Stanza, Unfit, ns, write_iq,
};
use dmuc::{Action, Config, Engine, Input, Now, Verdict};

const SERVICES: [&str; 2] = ["chat.shakespeare.lit", "rooms.macbeth.lit"];

struct Service {
    name: BareJid,
    engine: Engine,
    /// Its instance of the room, when it has one.
    room: Option<BareJid>,
}

impl Service {
    fn new(name: &str, peer: &str, seed: u8) -> Result<Service, Box<dyn Error>> {
        let config = Config::new(BareJid::new(name)?).with_peer(BareJid::new(peer)?);
        let (name, engine) = (config.service.clone(), Engine::new(config, [seed; 32]));
        Ok(Service {
            name,
            engine,
            room: None,
        })
    }

    /// Does what the engine wants; what it sends goes onto the wire.
    fn drain(&mut self, wire: &mut VecDeque<String>) {
        while let Some(action) = self.engine.poll_action() {
            wire.extend(action.stanza());
            match action {
                Action::Apply { room, shown } => {
                    if let Shown::Settings { source, .. } = *shown {
                        println!("{}: {room} is an instance of {source}", self.name);
                        self.room = Some(room);
                    }
                }
                Action::ShowOccupant(occupant) => {
                    println!(
                        "{}: {} is in the room, at {}",
                        self.name, occupant.nick, occupant.home
                    );
                }
                _ => {}
            }
        }
    }

    /// Somebody joins here and says something.
    fn says(&mut self, now: Now, user: &str, nick: &str, text: &str) -> Result<(), Box<dyn Error>> {
        let room = self.room.clone().ok_or("there is no room here")?;
        let (jid, payload) = (Jid::from(FullJid::new(user)?), format!("<body>{text}</body>"));
        let (affiliation, role) = (Affiliation::None, Role::Participant);
        let occupant = Occupant {
            room: &room,
            nick,
            jid: &jid,
            affiliation,
            role,
            occupant_id: None,
            payload: "",
        };
        self.engine.handle_input(now, Input::Occupant(occupant))?;
        let (room, payload) = (&room, payload.as_str());
        let said = Input::Groupchat {
            room,
            nick,
            message_id: None,
            lang: None,
            payload,
            keep: true,
        };
        self.engine.handle_input(now, said)?;
        Ok(())
    }

    /// A stanza of the peer. What is not for the engine is the host's: here it is what this service supports (XEP-0030).
    fn receive(&mut self, now: Now, xml: &str, wire: &mut VecDeque<String>) {
        let Some(handled) = handle_stanza(&mut self.engine, now, xml, false) else {
            return;
        };
        if let Ok(Verdict::Deliver { .. }) = handled.verdict {
            println!("{}: people here are shown {xml}", self.name);
        }
        wire.extend(handled.refusal);
        if let Some(Stanza::Iq(iq)) = handled.inbound.as_ref().map(Inbound::stanza)
            && let IqBody::Get(payload) = &iq.body
            && let Ok(Request::DiscoInfo) = Request::parse(IqKind::Get, payload)
        {
            let features = [ns::DMUC, ns::OURS, ns::PACKED].map(str::to_owned).into();
            let info = DiscoInfo {
                features,
                ..DiscoInfo::default()
            };
            let body = IqBody::Result(Response::DiscoInfo(info).to_xml());
            let (from, to, id) = (iq.to.clone(), iq.from.clone(), iq.id.clone());
            wire.push_back(write_iq(&Iq { from, to, id, body }));
        }
    }
}

/// Delivers what is on the wire; when that is empty, time passes to what is due next, as long as something is to be done.
fn settle(services: &mut [Service], wire: &mut VecDeque<String>, now: &mut Now) {
    loop {
        services.iter_mut().for_each(|service| service.drain(wire));
        if let Some(xml) = wire.pop_front() {
            let to = Head::read(&xml).map(|head| head.to().service());
            let mut addressed = services
                .iter_mut()
                .filter(|service| Some(&service.name) == to.as_ref());
            if let Some(service) = addressed.next() {
                service.receive(*now, &xml, wire);
            }
            continue;
        }
        let due = services
            .iter()
            .filter_map(|service| service.engine.poll_timeout());
        let is_settled = services.iter().all(|service| service.engine.is_settled());
        let Some(due) = due.min().filter(|_| !is_settled) else {
            return;
        };
        now.wall_ms += due.saturating_sub(now.mono_ms);
        now.mono_ms = due;
        services
            .iter_mut()
            .for_each(|service| service.engine.handle_timeout(*now));
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let [chat, rooms] = SERVICES;
    let mut services = [Service::new(chat, rooms, 1)?, Service::new(rooms, chat, 2)?];
    let (mut wire, mut now) = (
        VecDeque::new(),
        Now {
            mono_ms: 0,
            wall_ms: 1_800_000_000_000,
        },
    );

    let room = BareJid::new(&format!("coven@{chat}"))?;
    let (form, unfit) = (Form::default(), Unfit::default());
    let distribute = Input::Distribute {
        room: &room,
        form,
        unfit,
        salt: "a secret of the coven's",
        subject: None,
    };
    services[0].engine.handle_input(now, distribute)?;
    services[0].engine.handle_input(
        now,
        Input::Started {
            room: &room,
            is_whole: true,
        },
    )?;
    services[0].room = Some(room);
    settle(&mut services, &mut wire, &mut now);

    services[0].says(
        now,
        "crone1@shakespeare.lit/desktop",
        "firstcrone",
        "When shall we three meet again?",
    )?;
    settle(&mut services, &mut wire, &mut now);
    services[1].says(
        now,
        "hag66@macbeth.lit/pda",
        "thirdwitch",
        "When the hurlyburly's done.",
    )?;
    settle(&mut services, &mut wire, &mut now);
    Ok(())
}
