//! The mark on a groupchat message that makes it the same event everywhere (G4, G5, DESIGN section 3.1).

use std::fmt;
use std::str::FromStr;

use crate::address::BareJid;
use minidom::Element;

use super::dom::{bad, countable, decimal, to_bare, to_id};
use super::text::Tag;
use super::{WireError, ns};

/// The latest time that is taken: what a double holds exactly, 285,000 years from now.
const MAX_WALL_MS: u64 = (1 << 53) - 1;

/// A hybrid logical clock: wall time, and a counter that orders what happened in the same millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hlc {
    /// Milliseconds since 1970.
    pub wall_ms: u64,
    /// Orders events with the same `wall_ms`.
    pub counter: u32,
}

/// `<event xmlns='urn:x-dmuc:0' id='…' inc='1' seq='42' at='1769155200123.0' roster='1769155200456'/>` on a message between
/// instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventStamp {
    /// The stanza-id (XEP-0359) of the message on every instance.
    pub id: String,
    /// The instance that first took the message; absent when it is the sender.
    pub origin: Option<BareJid>,
    /// Counts the origin's lives: a new one starts when a restored backup would reuse numbers.
    pub incarnation: u64,
    /// Contiguous number per origin and incarnation.
    pub seq: u64,
    /// Orders the log.
    pub at: Hlc,
    /// The version of its home's roster when it was said: who else knows another one may take somebody else for its author.
    /// Only of what is told as it is said.
    pub roster: Option<u64>,
}

impl fmt::Display for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.wall_ms, self.counter)
    }
}

impl FromStr for Hlc {
    type Err = WireError;

    fn from_str(text: &str) -> Result<Hlc, WireError> {
        let (wall, counter) = text
            .split_once('.')
            .ok_or_else(|| bad("the attribute 'at' is not a logical time"))?;
        let counter = u32::try_from(decimal("at", counter)?)
            .map_err(|_| bad("the counter in the attribute 'at' is too large"))?;
        let wall_ms = decimal("at", wall)?;
        // Counting on from any time that is taken never overflows.
        if wall_ms > MAX_WALL_MS {
            return Err(bad("the time in the attribute 'at' is absurd"));
        }
        Ok(Hlc { wall_ms, counter })
    }
}

impl EventStamp {
    /// From the attributes of `<event/>`: on the hot path the Lua shim hands them over and no DOM is built.
    pub fn from_attrs(
        id: Option<&str>,
        origin: Option<&str>,
        incarnation: Option<&str>,
        seq: Option<&str>,
        at: Option<&str>,
    ) -> Result<EventStamp, WireError> {
        fn there<'a>(name: &str, value: Option<&'a str>) -> Result<&'a str, WireError> {
            value.ok_or_else(|| bad(format!("<event/> lacks the attribute '{name}'")))
        }
        Ok(EventStamp {
            id: to_id("id", there("id", id)?)?,
            origin: origin.map(|origin| to_bare("origin", origin)).transpose()?,
            incarnation: countable("inc", there("inc", incarnation)?)?,
            seq: countable("seq", there("seq", seq)?)?,
            at: there("at", at)?.parse()?,
            roster: None,
        })
    }

    /// The same with the attribute `roster`.
    pub fn with_roster(self, version: Option<&str>) -> Result<EventStamp, WireError> {
        let roster = version.map(|version| countable("roster", version)).transpose()?;
        Ok(EventStamp { roster, ..self })
    }

    /// `<event/>` as it is appended to a message.
    pub fn to_xml(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    pub(super) fn read(el: &Element) -> Result<EventStamp, WireError> {
        let attr = |name| el.attr(name);
        EventStamp::from_attrs(attr("id"), attr("origin"), attr("inc"), attr("seq"), attr("at"))?
            .with_roster(attr("roster"))
    }

    pub(super) fn write(&self, out: &mut String) {
        Tag::within(out, "event", ns::OURS)
            .attr("id", &self.id)
            .opt("origin", self.origin.as_ref().map(|origin| origin.as_str()))
            .number("inc", self.incarnation)
            .number("seq", self.seq)
            .attr("at", &self.at.to_string())
            .opt(
                "roster",
                self.roster.map(|version| version.to_string()).as_deref(),
            )
            .empty();
    }
}
