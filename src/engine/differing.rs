//! Whether the instances of a room have the same, part by part: for an administrator or owner who asks. It is looked up when
//! somebody does, and moves nothing; what is missing is found and pulled without it ([`super::digest`]).

use sha2::{Digest as _, Sha256};

use crate::address::BareJid;
use crate::error::Error;

use super::link::Caps;
use super::overview::InstanceState;
use super::request::Pending;
use super::state::clock::Now;
use super::state::instance::Stage;
use super::state::room::Room;
use super::{Engine, digest};
use crate::wire::{Affiliation, Digest, Parts, Request, RoomDigest};

/// Between the parts of a line: no text that crosses a link has it.
const SEPARATOR: &str = "\u{1f}";

/// About what somebody in the room or on its list comes to.
const LINE_BYTES: usize = 64;

/// Of one part of a room, what another instance has of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alike {
    /// The same.
    Same,
    /// Something else.
    Differs,
    /// It has not said.
    Unknown,
}

impl Alike {
    /// As the bindings name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Alike::Same => "same",
            Alike::Differs => "differs",
            Alike::Unknown => "unknown",
        }
    }

    fn of(ours: Option<&str>, theirs: Option<&str>) -> Alike {
        match (ours, theirs) {
            (Some(ours), Some(theirs)) if ours == theirs => Alike::Same,
            (Some(_), Some(_)) => Alike::Differs,
            _ => Alike::Unknown,
        }
    }
}

/// What another instance has of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The instance.
    pub jid: BareJid,
    /// How far we are with it.
    pub state: InstanceState,
    /// How long ago it said what it has.
    pub said_ago_ms: Option<u64>,
    /// Who is in the room.
    pub people: Alike,
    /// The list of affiliations, with registered nicks.
    pub list: Alike,
    /// The configuration.
    pub settings: Alike,
    /// The subject.
    pub subject: Alike,
    /// Which messages there are, and what the newest say.
    pub messages: Alike,
}

impl Engine {
    /// Every instance that can be reached is asked what it has of a room.
    pub(super) fn ask_parts(&mut self, now: Now, jid: &BareJid) -> Result<(), Error> {
        let room = self.rooms.get(jid).ok_or(Error::UnknownRoom)?;
        let instances = room.instances.iter();
        let peers = instances.filter(|(_, instance)| instance.stage == Stage::Active);
        let peers: Vec<BareJid> = peers.map(|(peer, _)| peer.clone()).collect();
        for peer in peers {
            let service = peer.service();
            if self.caps(&service) != Caps::Full || !self.is_link_open(&service) {
                continue;
            }
            let life = Some(self.ids.name());
            let Some(room) = self.rooms.get_mut(jid) else {
                continue;
            };
            let line = RoomDigest {
                parts: Some(parts_of(room)),
                ..digest::line(room, &peer)
            };
            let revision = room.revision;
            if let Some(instance) = room.instances.get_mut(&peer) {
                instance.told = Some(revision);
            }
            let request = Request::Digest(Digest {
                life,
                rooms: vec![line],
                ..Digest::default()
            });
            let (wait_ms, from) = (self.config.link_timeout_ms, self.config.service.clone());
            let pending = Pending::Digest(service.clone());
            self.request_within(now, wait_ms, from, service, request, pending);
        }
        Ok(())
    }

    /// What each other instance has of a room, as it said last; `None` if the room is not distributed.
    pub fn room_differences(&mut self, now: Now, jid: &BareJid) -> Option<Vec<Difference>> {
        let ours = parts_of(self.rooms.get_mut(jid)?);
        let room = self.rooms.get(jid)?;
        let compared = room.instances.iter().map(|(peer, instance)| {
            let theirs = instance.parts.as_ref();
            let alike = |part: fn(&Parts) -> Option<&str>| {
                Alike::of(part(&ours), theirs.and_then(|(parts, _)| part(parts)))
            };
            let messages = match alike(|parts| parts.numbers.as_deref()) {
                Alike::Same => match alike(|parts| parts.words.as_deref()) {
                    Alike::Differs => Alike::Differs,
                    _ => Alike::Same,
                },
                other => other,
            };
            Difference {
                jid: peer.clone(),
                state: self.instance_state(&peer.service(), instance),
                said_ago_ms: theirs.map(|(_, at)| now.mono_ms.saturating_sub(*at)),
                people: alike(|parts| parts.people.as_deref()),
                list: alike(|parts| parts.list.as_deref()),
                settings: alike(|parts| parts.settings.as_deref()),
                subject: alike(|parts| parts.subject.as_deref()),
                messages,
            }
        });
        Some(compared.collect())
    }
}

/// About how much is hashed for that.
pub(super) fn parts_bytes(room: &Room) -> usize {
    let others = room.instances.values().map(|instance| instance.occupants.len());
    let lines = room.settings.affiliations.len() + room.locals.len() + others.sum::<usize>();
    lines * LINE_BYTES
}

/// What there is of a room here, each part as a hash.
pub(super) fn parts_of(room: &mut Room) -> Parts {
    let words = room.log.words(|_| true);
    let own = room.locals.keys().map(|nick| format!("{} {nick}", room.jid));
    let others = room.instances.iter().flat_map(|(peer, instance)| {
        let nicks = instance.occupants.keys();
        nicks.map(move |nick| format!("{peer} {nick}"))
    });
    let list = &room.settings.affiliations;
    let list = list
        .iter()
        .filter(|(_, entry)| entry.affiliation != Affiliation::None);
    let list = list.map(|(user, entry)| {
        let nick = entry.reserved_nick.as_deref().unwrap_or_default();
        format!("{user} {} {nick}", entry.affiliation.as_str())
    });
    let fields = room.settings.form.fields.iter();
    let fields = fields.map(|field| {
        let parts: Vec<&str> = [field.var.as_str()]
            .into_iter()
            .chain(field.values.iter().map(String::as_str))
            .collect();
        parts.join(SEPARATOR)
    });
    let subject = room.settings.subject.iter();
    let subject = subject.map(|subject| {
        let nick = subject.nick.as_deref().unwrap_or_default();
        [nick, &subject.text].join(SEPARATOR)
    });
    // Of who is no instance any more each keeps what it has.
    let origins = room.instances.keys().chain([&room.jid]);
    let numbers = origins.filter_map(|origin| {
        let (life, number) = room.log.latest(origin)?;
        Some(format!("{origin} {life} {number}"))
    });
    Parts {
        people: Some(hashed(own.chain(others))),
        list: Some(hashed(list)),
        settings: Some(hashed(fields)),
        subject: Some(hashed(subject)),
        numbers: Some(hashed(numbers)),
        words,
    }
}

/// The first 8 bytes of a hash over the lines, whatever their order.
fn hashed(lines: impl Iterator<Item = String>) -> String {
    let mut lines: Vec<String> = lines.collect();
    lines.sort_unstable();
    let mut hash = Sha256::new();
    for line in lines {
        hash.update(line.as_bytes());
        hash.update(b"\n");
    }
    crate::ids::hex(hash.finalize().get(..8).unwrap_or_default())
}
