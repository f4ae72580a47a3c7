//! `<sync/>` (ours): one instance tells what it has, the other answers with what is missing (DESIGN 3, G6, G10).

use std::collections::BTreeSet;

use crate::address::BareJid;
use minidom::Element;

use super::dom::{
    bad, count, flag, id, lang, message_id, nick, only, over, required, required_count, to_bare, to_id,
};
use super::limits::{MAX_HISTORY_MESSAGES, MAX_MESSAGE_ID_BYTES, MAX_SEEN};
use super::packed::packed;
use super::payload::{collect, push_sound};
use super::reading::Reading;
use super::text::Tag;
use super::{Config, EventStamp, Moderation, Numbers, Roster, WireError, ns};

/// What an instance has of one (origin, incarnation).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenNumbers {
    /// The origin.
    pub origin: BareJid,
    /// Its incarnation.
    pub incarnation: u64,
    /// The numbers it has, or has given up.
    pub numbers: Numbers,
    /// In an answer: the lowest number that it can still tell of; absent if there is none.
    pub first: Option<u64>,
}

/// The question: what is missing of this?
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SyncRequest {
    /// What the asker has of every origin it knows.
    pub seen: Vec<SeenNumbers>,
    /// The version of the addressee's roster that it has; absent for none.
    pub roster: Option<u64>,
    /// The version of the settings that it has; absent for none, and if the addressee is not the source.
    pub settings: Option<u64>,
    /// Whether it takes third instances' events from the addressee (DESIGN 5).
    pub relay: bool,
    /// Whether it has nothing at all yet: only then it is told, too, what nobody has numbered.
    pub is_new: bool,
    /// About the most bytes that the answer may have, if that is less than usual; one event it may have in any case.
    pub max: Option<u64>,
    /// The id of the question to which no answer has come, and nothing else since: the connection over which the addressee sends
    /// does not carry it.
    pub again: Option<String>,
    /// Of an event that was alone in the answer and did not arrive the number and id will do.
    pub head: bool,
    /// Whether the answer may be packed. Then `max` is of what is sent.
    pub packed: bool,
}

/// The answer, or a page of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SyncAnswer {
    /// There is more: ask again.
    pub more: bool,
    /// What the answering instance has.
    pub seen: Vec<SeenNumbers>,
    /// The configuration and subject, if they differ (from the source).
    pub config: Option<Config>,
    /// What is different in its roster and, from the source, in the list of affiliations. Its snapshot says whether it is
    /// complete; in one that is not, an occupant with role `none` has left.
    pub roster: Option<Roster>,
    /// Events that are missing, in the order of the log.
    pub events: Vec<SyncEvent>,
    /// An event that did not get through.
    pub aside: Option<Aside>,
}

/// An event of which nothing is told but that there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// Its origin.
    pub origin: BareJid,
    /// Its origin's incarnation.
    pub incarnation: u64,
    /// Its number.
    pub seq: u64,
    /// Its id.
    pub id: String,
}

impl Aside {
    fn read(el: &Element) -> Result<Aside, WireError> {
        let (incarnation, seq) = (required_count(el, "inc")?, required_count(el, "seq")?);
        if incarnation == 0 || seq == 0 {
            return Err(bad("events and incarnations are numbered from 1"));
        }
        Ok(Aside {
            origin: to_bare("origin", required(el, "origin")?)?,
            incarnation,
            seq,
            id: to_id("event", required(el, "event")?)?,
        })
    }

    fn write(&self, out: &mut String) {
        Tag::new(out, "aside")
            .attr("origin", self.origin.as_str())
            .number("inc", self.incarnation)
            .number("seq", self.seq)
            .attr("event", &self.id)
            .empty();
    }
}

/// A message that was missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncEvent {
    /// Its stamp, with the origin.
    pub event: EventStamp,
    /// Who said it; empty for the room itself, which says only that a message is moderated.
    pub nick: String,
    /// The `id` its sender gave it.
    pub message_id: Option<String>,
    /// Its `xml:lang`.
    pub lang: Option<String>,
    /// The occupant-id (XEP-0421) of its sender.
    pub occupant_id: Option<String>,
    /// Its children as XML: none if it was moderated. Of the room itself [`Moderation::to_xml`].
    pub payload: String,
}

fn read_seen(el: &Element) -> Result<Vec<SeenNumbers>, WireError> {
    let (mut seen, mut named) = (Vec::new(), BTreeSet::new());
    for child in el.children().filter(|child| child.is("seen", ns::OURS)) {
        if seen.len() == MAX_SEEN {
            return Err(over(format!("more than {MAX_SEEN} incarnations")));
        }
        let entry = SeenNumbers {
            origin: to_bare("origin", required(child, "origin")?)?,
            incarnation: required_count(child, "inc")?,
            numbers: child.attr("numbers").unwrap_or_default().parse()?,
            first: count(child, "first")?,
        };
        // What has no number at its origin has none that anybody else could know (G4).
        if entry.incarnation == 0 || entry.first == Some(0) {
            return Err(bad("events and incarnations are numbered from 1"));
        }
        if !named.insert((entry.origin.clone(), entry.incarnation)) {
            return Err(bad("an incarnation is named twice"));
        }
        seen.push(entry);
    }
    Ok(seen)
}

fn write_seen(out: &mut String, seen: &[SeenNumbers]) {
    for entry in seen {
        Tag::new(out, "seen")
            .attr("origin", entry.origin.as_str())
            .number("inc", entry.incarnation)
            .attr("numbers", &entry.numbers.to_string())
            .opt_number("first", entry.first)
            .empty();
    }
}

impl SyncRequest {
    pub(super) fn read(el: &Element) -> Result<SyncRequest, WireError> {
        Ok(SyncRequest {
            seen: read_seen(el)?,
            roster: count(el, "roster")?,
            settings: count(el, "settings")?,
            relay: flag(el, "relay")?,
            is_new: flag(el, "new")?,
            max: count(el, "max")?,
            again: id(el, "again")?,
            head: flag(el, "head")?,
            packed: flag(el, "packed")?,
        })
    }

    pub(super) fn write(&self, out: &mut String) {
        Tag::within(out, "sync", ns::OURS)
            .opt_number("roster", self.roster)
            .opt_number("settings", self.settings)
            .flag("relay", self.relay)
            .flag("new", self.is_new)
            .opt_number("max", self.max)
            .opt("again", self.again.as_deref())
            .flag("head", self.head)
            .flag("packed", self.packed)
            .body(|out| write_seen(out, &self.seen));
    }
}

impl SyncAnswer {
    pub(super) fn read(el: &Element, reading: &mut Reading) -> Result<SyncAnswer, WireError> {
        let mut events = Vec::new();
        for run in el.children().filter(|child| child.is("events", ns::OURS)) {
            let origin = to_bare("origin", required(run, "origin")?)?;
            let incarnation = required_count(run, "inc")?;
            for event in run.children().filter(|child| child.is("message", ns::CLIENT)) {
                if events.len() == MAX_HISTORY_MESSAGES {
                    return Err(over(format!("more than {MAX_HISTORY_MESSAGES} events")));
                }
                // What is not taken is counted as lost with what the sender says it has.
                events.extend(reading.part(SyncEvent::read(event, &origin, incarnation))?);
            }
        }
        Ok(SyncAnswer {
            more: flag(el, "more")?,
            seen: read_seen(el)?,
            config: match only(el, "config", ns::DMUC)? {
                Some(config) => Some(Config::read(config, reading)?),
                None => None,
            },
            roster: match only(el, "roster", ns::DMUC)? {
                Some(roster) => Some(Roster::read(roster, reading)?),
                None => None,
            },
            events,
            aside: only(el, "aside", ns::OURS)?.map(Aside::read).transpose()?,
        })
    }

    /// How many bytes it is packed, as far as packing makes it less.
    pub fn packed_bytes(&self) -> usize {
        let mut xml = String::new();
        self.write(&mut xml);
        packed(xml).len()
    }

    pub(super) fn write(&self, out: &mut String) {
        Tag::within(out, "sync", ns::OURS)
            .flag("more", self.more)
            .body(|out| {
                write_seen(out, &self.seen);
                if let Some(aside) = &self.aside {
                    aside.write(out);
                }
                if let Some(config) = &self.config {
                    config.write(out);
                }
                if let Some(roster) = &self.roster {
                    roster.write(out);
                }
                let same = |a: &SyncEvent, b: &SyncEvent| {
                    (&a.event.origin, a.event.incarnation) == (&b.event.origin, b.event.incarnation)
                };
                for run in self.events.chunk_by(same) {
                    let Some(first) = run.first() else { continue };
                    Tag::new(out, "events")
                        .opt(
                            "origin",
                            first.event.origin.as_ref().map(|origin| origin.as_str()),
                        )
                        .number("inc", first.event.incarnation)
                        .body(|out| run.iter().for_each(|event| event.write(out)));
                }
            });
    }
}

impl SyncEvent {
    fn read(el: &Element, origin: &BareJid, incarnation: u64) -> Result<SyncEvent, WireError> {
        let seq = required_count(el, "seq")?;
        if seq == 0 {
            return Err(bad("events are numbered from 1"));
        }
        let moderation = only(el, "moderate", ns::OURS)?
            .map(Moderation::read)
            .transpose()?;
        Ok(SyncEvent {
            event: EventStamp {
                id: to_id("event", required(el, "event")?)?,
                origin: Some(origin.clone()),
                incarnation,
                seq,
                at: required(el, "at")?.parse()?,
                roster: None,
            },
            nick: match &moderation {
                Some(_) => String::new(),
                None => nick(el, "nick")?.ok_or_else(|| bad("an event says not whose it is"))?,
            },
            message_id: message_id(el)?,
            lang: lang(el),
            occupant_id: id(el, "occupant")?,
            payload: match moderation {
                Some(moderation) => moderation.to_xml(),
                None => collect(el, |child| !(child.has_ns(ns::OURS) || child.has_ns(ns::DMUC)))?,
            },
        })
    }

    fn write(&self, out: &mut String) {
        // Its children are written for the context of jabber:client.
        Tag::within(out, "message", ns::CLIENT)
            .attr("event", &self.event.id)
            .number("seq", self.event.seq)
            .attr("at", &self.event.at.to_string())
            .opt("nick", Some(self.nick.as_str()).filter(|nick| !nick.is_empty()))
            .opt(
                "id",
                self.message_id
                    .as_deref()
                    .filter(|id| id.len() <= MAX_MESSAGE_ID_BYTES),
            )
            .opt("xml:lang", self.lang.as_deref())
            .opt("occupant", self.occupant_id.as_deref())
            .body(|out| push_sound(out, &self.payload));
    }
}
