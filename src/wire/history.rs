//! Asking for a room's history (XEP-0281 section 3.2, limits as in XEP-0045 section 7.2.14).

use minidom::Element;

use super::dom::{number, required_child, time};
use super::text::Tag;
use super::{RoomId, WireError, datetime, ns};

/// `<room id='theroom'><history/></room>`: a shadow asks an instance for history.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    /// The room, which the addressee knows anyway.
    pub id: Option<RoomId>,
    /// At most this many characters of XML.
    pub maxchars: Option<u64>,
    /// At most this many messages.
    pub maxstanzas: Option<u64>,
    /// Only messages of the last so many seconds.
    pub seconds: Option<u64>,
    /// Only messages since then, in milliseconds since 1970.
    pub since: Option<i64>,
}

impl History {
    /// Reads `<room/>`.
    pub(super) fn read(el: &Element) -> Result<History, WireError> {
        let history = required_child(el, "history", ns::MUC)?;
        Ok(History {
            id: el.attr("id").map(RoomId::new).transpose()?,
            maxchars: number(history, "maxchars")?,
            maxstanzas: number(history, "maxstanzas")?,
            seconds: number(history, "seconds")?,
            since: time(history, "since")?,
        })
    }

    pub(super) fn write(&self, out: &mut String) {
        Tag::within(out, "room", ns::DMUC)
            .opt("id", self.id.as_ref().map(RoomId::as_str))
            .body(|out| {
                Tag::within(out, "history", ns::MUC)
                    .opt_number("maxchars", self.maxchars)
                    .opt_number("maxstanzas", self.maxstanzas)
                    .opt_number("seconds", self.seconds)
                    .opt("since", self.since.map(datetime::format).as_deref())
                    .empty();
            });
    }
}
