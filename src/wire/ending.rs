//! The ends of a distributed room (ours): closed, destroyed, left.

use crate::address::BareJid;
use minidom::Element;

use super::dom::{bare_jid, child_text};
use super::text::{Tag, opt_text};
use super::{WireError, ns};

/// `<close xmlns='urn:x-dmuc:0'/>`: the source stops distributing the room.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Close {
    /// Words for the occupants.
    pub reason: Option<String>,
}

/// `<destroy xmlns='urn:x-dmuc:0'/>`: the source destroyed the room (XEP-0045 section 10.9).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Destroy {
    /// Where to go instead.
    pub venue: Option<BareJid>,
    /// Words for the occupants.
    pub reason: Option<String>,
    /// The password of the venue.
    pub password: Option<String>,
}

impl Close {
    pub(super) fn read(el: &Element) -> Result<Close, WireError> {
        Ok(Close {
            reason: child_text(el, "reason", ns::OURS)?,
        })
    }

    pub(super) fn write(&self, out: &mut String) {
        Tag::within(out, "close", ns::OURS).body(|out| opt_text(out, "reason", self.reason.as_deref()));
    }
}

impl Destroy {
    pub(super) fn read(el: &Element) -> Result<Destroy, WireError> {
        Ok(Destroy {
            venue: bare_jid(el, "jid")?,
            reason: child_text(el, "reason", ns::OURS)?,
            password: child_text(el, "password", ns::OURS)?,
        })
    }

    pub(super) fn write(&self, out: &mut String) {
        Tag::within(out, "destroy", ns::OURS)
            .opt("jid", self.venue.as_ref().map(|venue| venue.as_str()))
            .body(|out| {
                opt_text(out, "reason", self.reason.as_deref());
                opt_text(out, "password", self.password.as_deref());
            });
    }
}
