//! `<moderate/>` (ours): the source's decision that a message is gone (XEP-0425), an event of the room itself.

use minidom::Element;

use super::dom::{child_text, id, nick, parse, required, to_id};
use super::limits::MAX_PAYLOAD_BYTES;
use super::text::{Tag, opt_text};
use super::{WireError, ns};

/// `<moderate xmlns='urn:x-dmuc:0' id='…' nick='hecate' occupant='…'><reason>…</reason></moderate>`
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
}

impl Moderation {
    /// Parses the payload of an event that is the room's own: this element and nothing else.
    pub fn parse(payload: &str) -> Result<Moderation, WireError> {
        let el = parse(payload, MAX_PAYLOAD_BYTES)?;
        if !el.is("moderate", ns::OURS) {
            return Err(super::dom::bad("a room says only that a message is moderated"));
        }
        Moderation::read(&el)
    }

    pub(crate) fn read(el: &Element) -> Result<Moderation, WireError> {
        Ok(Moderation {
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
        Tag::within(out, "moderate", ns::OURS)
            .attr("id", &self.id)
            .opt("nick", self.nick.as_deref())
            .opt("occupant", self.occupant_id.as_deref())
            .body(|out| opt_text(out, "reason", self.reason.as_deref()));
    }
}
