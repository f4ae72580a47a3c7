//! Presence between instances (XEP-0281 sections 3.4 and 3.5) and from a room to its occupants (XEP-0045).
//!
//! On Prosody's hot paths the Lua shim takes and builds presences itself; this is for the C binding, the simulator and tests.

use crate::address::{BareJid, FullJid, Jid};
use minidom::Element;

use super::dom::{
    bad, child_text, count, countable, id, jid, nick, only, over, required, required_count, required_number,
    text_attr, to_id, to_jid, to_nick,
};
use super::limits::{MAX_STATUS_CODES, MAX_TEXT_BYTES};
use super::payload::collect;
use super::roster::belongs_to_client;
use super::text::{Tag, opt_text};
use super::{Affiliation, Role, StanzaError, WireError, ns};

/// A presence with the parts that the engine knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// The sender: an occupant of an instance, or a user.
    pub from: Jid,
    /// The addressee.
    pub to: Jid,
    /// What it says.
    pub kind: PresenceKind,
    /// The `<item/>` of `muc#user`.
    pub item: Option<MucItem>,
    /// The status codes of `muc#user`, in order.
    pub statuses: Vec<u16>,
    /// The mark of the join; only between peers that speak `urn:x-dmuc:0`.
    pub stamp: Option<OccupantStamp>,
    /// The other children as XML: show, status, caps, `<x/>` of a join, and whatever else.
    pub payload: String,
}

/// What a presence says (RFC 6121 section 4.7.1, as far as rooms see them).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PresenceKind {
    /// The occupant is here, or has changed.
    Available,
    /// The occupant leaves.
    Unavailable,
    /// A presence was refused.
    Error(StanzaError),
}

/// `<item/>` of `muc#user` (XEP-0045 section 7.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MucItem {
    /// The affiliation.
    pub affiliation: Affiliation,
    /// The role.
    pub role: Role,
    /// The real JID, where the addressee may see it.
    pub jid: Option<Jid>,
    /// The new nick in a nick change (status 303).
    pub nick: Option<String>,
    /// Why it changed.
    pub reason: Option<String>,
    /// The nick of whoever changed it.
    pub actor: Option<String>,
}

/// `<occupant xmlns='urn:x-dmuc:0' id='…' serial='…'/>` on a presence between instances.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OccupantStamp {
    /// The occupant-id (XEP-0421), where the real JID is not sent (G5).
    pub occupant_id: Option<String>,
    /// Counts the joins at the home, so that a stale act misses (DESIGN section 3.4).
    pub serial: u64,
    /// The version of the home's roster with this change (DESIGN section 3.2).
    pub version: Option<u64>,
}

/// A complete presence; the payload is copied.
pub fn write_presence(presence: &Presence) -> String {
    let mut out = String::with_capacity(presence.payload.len() + 256);
    presence.write(&mut out);
    out
}

/// The error a user gets who joins the source and is sent to a shadow instead; `asked` is the room JID with the nick
/// that was asked for (XEP-0281 section 3.5).
pub fn write_redirect(asked: &FullJid, to: &Jid, shadow: &BareJid) -> String {
    write_presence(&Presence {
        from: asked.clone().into(),
        to: to.clone(),
        kind: PresenceKind::Error(StanzaError::redirect(shadow)),
        item: None,
        statuses: Vec::new(),
        stamp: None,
        payload: String::new(),
    })
}

impl Presence {
    pub(super) fn read(el: &Element) -> Result<Presence, WireError> {
        let kind = match el.attr("type") {
            None => PresenceKind::Available,
            Some("unavailable") => PresenceKind::Unavailable,
            Some("error") => PresenceKind::Error(read_error(el)),
            Some(_) => return Err(bad("rooms know no presence of this type")),
        };
        let user = only(el, "x", ns::MUC_USER)?;
        let is_error = matches!(kind, PresenceKind::Error(_));
        Ok(Presence {
            from: to_jid("from", required(el, "from")?)?,
            to: to_jid("to", required(el, "to")?)?,
            kind,
            item: user
                .map(|x| only(x, "item", ns::MUC_USER))
                .transpose()?
                .flatten()
                .map(MucItem::read)
                .transpose()?,
            statuses: user.map(read_statuses).transpose()?.unwrap_or_default(),
            stamp: only(el, "occupant", ns::OURS)?
                .map(OccupantStamp::read)
                .transpose()?,
            payload: collect(el, |child| {
                belongs_to_client(child) && !(is_error && child.is("error", ns::CLIENT))
            })?,
        })
    }

    fn write(&self, out: &mut String) {
        let kind = match &self.kind {
            PresenceKind::Available => None,
            PresenceKind::Unavailable => Some("unavailable"),
            PresenceKind::Error(_) => Some("error"),
        };
        Tag::new(out, "presence")
            .attr("from", self.from.as_str())
            .attr("to", self.to.as_str())
            .opt("type", kind)
            .body(|out| {
                out.push_str(&self.payload);
                if self.item.is_some() || !self.statuses.is_empty() {
                    Tag::within(out, "x", ns::MUC_USER).body(|out| self.write_user(out));
                }
                if let Some(stamp) = &self.stamp {
                    stamp.write(out);
                }
                if let PresenceKind::Error(error) = &self.kind {
                    error.write(out);
                }
            });
    }

    fn write_user(&self, out: &mut String) {
        if let Some(item) = &self.item {
            item.write(out);
        }
        for status in &self.statuses {
            Tag::new(out, "status").number("code", u64::from(*status)).empty();
        }
    }
}

pub(super) fn read_error(el: &Element) -> StanzaError {
    match el.get_child("error", ns::CLIENT) {
        Some(error) => StanzaError::read(error),
        None => StanzaError::from_parts(None, None, None),
    }
}

fn read_statuses(x: &Element) -> Result<Vec<u16>, WireError> {
    let mut codes = Vec::new();
    for status in x.children().filter(|child| child.is("status", ns::MUC_USER)) {
        if codes.len() == MAX_STATUS_CODES {
            return Err(over(format!(
                "the presence has more than {MAX_STATUS_CODES} status codes"
            )));
        }
        let code = required_number(status, "code")?;
        codes.push(u16::try_from(code).map_err(|_| bad("this is not a status code"))?);
    }
    Ok(codes)
}

impl MucItem {
    fn read(el: &Element) -> Result<MucItem, WireError> {
        let actor = only(el, "actor", ns::MUC_USER)?
            .map(|actor| text_attr(actor, "nick"))
            .transpose()?;
        Ok(MucItem {
            affiliation: el
                .attr("affiliation")
                .map(str::parse)
                .transpose()?
                .unwrap_or_default(),
            role: el.attr("role").map(str::parse).transpose()?.unwrap_or_default(),
            jid: jid(el, "jid")?,
            nick: nick(el, "nick")?,
            reason: child_text(el, "reason", ns::MUC_USER)?,
            actor: actor.flatten(),
        })
    }

    fn write(&self, out: &mut String) {
        Tag::new(out, "item")
            .attr("affiliation", self.affiliation.as_str())
            .attr("role", self.role.as_str())
            .opt("jid", self.jid.as_ref().map(Jid::as_str))
            .opt("nick", self.nick.as_deref())
            .body(|out| {
                opt_text(out, "reason", self.reason.as_deref());
                if let Some(actor) = &self.actor {
                    Tag::new(out, "actor").attr("nick", actor).empty();
                }
            });
    }
}

impl MucItem {
    /// From the attributes of `<item/>` (affiliation and role; jid; nick) and what is in it (the actor's nick, the reason),
    /// as the Lua shim hands them over on the hot path.
    ///
    /// # Errors
    /// As for an item that is read from XML.
    pub fn from_attrs(
        (affiliation, role): (Option<&str>, Option<&str>),
        jid: Option<&str>,
        nick: Option<&str>,
        (actor, reason): (Option<&str>, Option<&str>),
    ) -> Result<MucItem, WireError> {
        for (name, text) in [("the nick of an <actor/>", actor), ("a <reason/>", reason)] {
            if text.is_some_and(|text| text.len() > MAX_TEXT_BYTES) {
                return Err(over(format!("{name} is longer than {MAX_TEXT_BYTES} bytes")));
            }
        }
        Ok(MucItem {
            affiliation: affiliation.map(str::parse).transpose()?.unwrap_or_default(),
            role: role.map(str::parse).transpose()?.unwrap_or_default(),
            jid: jid.map(|jid| to_jid("jid", jid)).transpose()?,
            nick: nick.map(|nick| to_nick("nick", nick)).transpose()?,
            reason: reason.map(str::to_owned),
            actor: actor.map(str::to_owned),
        })
    }
}

impl OccupantStamp {
    /// From the attributes of `<occupant/>`, as the Lua shim hands them over on the hot path.
    pub fn from_attrs(
        occupant_id: Option<&str>,
        serial: Option<&str>,
        version: Option<&str>,
    ) -> Result<OccupantStamp, WireError> {
        let serial = serial.ok_or_else(|| bad("<occupant/> lacks the attribute 'serial'"))?;
        Ok(OccupantStamp {
            occupant_id: occupant_id.map(|id| to_id("id", id)).transpose()?,
            serial: countable("serial", serial)?,
            version: version.map(|version| countable("version", version)).transpose()?,
        })
    }

    /// `<occupant/>` as it is appended to a presence.
    pub fn to_xml(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn read(el: &Element) -> Result<OccupantStamp, WireError> {
        Ok(OccupantStamp {
            occupant_id: id(el, "id")?,
            serial: required_count(el, "serial")?,
            version: count(el, "version")?,
        })
    }

    fn write(&self, out: &mut String) {
        Tag::within(out, "occupant", ns::OURS)
            .opt("id", self.occupant_id.as_deref())
            .number("serial", self.serial)
            .opt_number("version", self.version)
            .empty();
    }
}
