//! `<moderate/>` (ours): the source's decision that a message is gone (XEP-0425), an event of the room itself.

use crate::address::BareJid;
use minidom::Element;

use super::dom::{bad, child_text, event_number, id, nick, parse, required, to_bare, to_id};
use super::limits::MAX_PAYLOAD_BYTES;
use super::text::{Tag, opt_text};
use super::{WireError, ns};

/// `<moderate xmlns='urn:x-dmuc:0' id='…' nick='hecate' occupant='…'><reason>…</reason></moderate>`; with `origin` and
/// `number` of a message that the source has refused.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Moderation {
    /// The stanza-id of the message, the same on every instance.
    pub id: String,
    /// The nick of the moderator, if it is in the room.
    pub nick: Option<String>,
    /// The moderator's occupant-id (XEP-0421).
    pub occupant_id: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Which event the message is, if the source has refused it: who says it under somebody else's id is meant, and nobody
    /// else.
    pub of: Option<EventNumber>,
}

/// What names an event for ever: where it was said, and its number there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventNumber {
    /// The instance whose occupant said it.
    pub origin: BareJid,
    /// The origin's incarnation.
    pub incarnation: u64,
    /// Its number there, from 1.
    pub seq: u64,
}

impl Moderation {
    /// Parses the payload of an event that is the room's own: this element and nothing else.
    pub fn parse(payload: &str) -> Result<Moderation, WireError> {
        let el = parse(payload, MAX_PAYLOAD_BYTES)?;
        if !el.is("moderate", ns::OURS) {
            return Err(bad("a room says only that a message is moderated"));
        }
        Moderation::read(&el)
    }

    pub(crate) fn read(el: &Element) -> Result<Moderation, WireError> {
        let number = el.attr("number").map(|text| event_number("number", text));
        let of = match (el.attr("origin"), number.transpose()?) {
            (Some(origin), Some((incarnation, seq))) => Some(EventNumber {
                origin: to_bare("origin", origin)?,
                incarnation,
                seq,
            }),
            (None, None) => None,
            _ => return Err(bad("an event is named by its origin and its number")),
        };
        Ok(Moderation {
            of,
            id: to_id("id", required(el, "id")?)?,
            nick: nick(el, "nick")?,
            occupant_id: id(el, "occupant")?,
            reason: child_text(el, "reason", ns::OURS)?,
        })
    }

    /// The element as text.
    pub fn to_xml(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    pub(super) fn write(&self, out: &mut String) {
        let of = self.of.as_ref();
        let number = of.map(|of| format!("{}.{}", of.incarnation, of.seq));
        Tag::within(out, "moderate", ns::OURS)
            .attr("id", &self.id)
            .opt("nick", self.nick.as_deref())
            .opt("occupant", self.occupant_id.as_deref())
            .opt("origin", of.map(|of| of.origin.as_str()))
            .opt("number", number.as_deref())
            .body(|out| opt_text(out, "reason", self.reason.as_deref()));
    }
}
