//! Between services: the replication request and the news of a peerhost (XEP-0281 section 3.2).

use crate::address::BareJid;
use minidom::Element;

use super::dom::{bare_jid, flag, required, required_child};
use super::text::Tag;
use super::{Condition, RoomId, WireError, ns};

/// `<replicate/>`: the firsthost asks a peerhost to host a shadow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replicate {
    /// The localpart the shadow is to have.
    pub id: RoomId,
    /// The source. The XEP does not name it; without it the shadow learns it from the configuration push.
    pub source: Option<BareJid>,
}

/// `<peerhost/>`: the firsthost tells its peerhosts about another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peerhost {
    /// The room.
    pub id: RoomId,
    /// The service of the other peerhost. The XEP does not name it; without it there is nothing to learn.
    pub jid: Option<BareJid>,
    /// It has left (ours; the XEP knows only arrivals).
    pub gone: bool,
}

impl Replicate {
    /// The source may stand on `<replicate/>`, where we write it, or on `<room/>`.
    pub(super) fn read(el: &Element) -> Result<Replicate, WireError> {
        let room = required_child(el, "room", ns::DMUC)?;
        let id = RoomId::new(required(room, "id")?)?;
        let source = match bare_jid(el, "source")? {
            Some(source) => Some(source),
            None => bare_jid(room, "source")?,
        };
        if source.as_ref().is_some_and(|source| source.node().is_none()) {
            return Err(WireError::new(
                Condition::JidMalformed,
                "'source' is not the JID of a room",
            ));
        }
        Ok(Replicate { id, source })
    }

    pub(super) fn write(&self, out: &mut String) {
        Tag::within(out, "replicate", ns::DMUC)
            .opt("source", self.source.as_ref().map(|source| source.as_str()))
            .body(|out| write_room(out, &self.id));
    }
}

impl Peerhost {
    pub(super) fn read(el: &Element) -> Result<Peerhost, WireError> {
        let id = RoomId::new(required(required_child(el, "room", ns::DMUC)?, "id")?)?;
        let jid = bare_jid(el, "jid")?;
        if jid.as_ref().is_some_and(|jid| jid.node().is_some()) {
            return Err(WireError::new(
                Condition::JidMalformed,
                "'jid' is not the JID of a service",
            ));
        }
        Ok(Peerhost {
            id,
            jid,
            gone: flag(el, "gone")?,
        })
    }

    pub(super) fn write(&self, out: &mut String) {
        Tag::within(out, "peerhost", ns::DMUC)
            .opt("jid", self.jid.as_ref().map(|jid| jid.as_str()))
            .flag("gone", self.gone)
            .body(|out| write_room(out, &self.id));
    }
}

fn write_room(out: &mut String, id: &RoomId) {
    Tag::new(out, "room").attr("id", id.as_str()).empty();
}
