//! Messages between instances (XEP-0281 section 3.6), and the invitation to a shadow (3.5, XEP-0249).
//!
//! On Prosody's hot path the Lua shim takes and builds messages itself; this is for the C binding, the simulator and tests.

use crate::address::{BareJid, Jid};
use minidom::Element;

use super::dom::{count, lang, message_id, only, over, required, text_attr, to_bare, to_jid};
use super::limits::MAX_PART_BYTES;
use super::payload::collect;
use super::presence::read_error;
use super::text::Tag;
use super::{EventStamp, Moderation, StanzaError, WireError, ns};

/// A message with the parts that the engine knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The sender: an occupant of an instance, a room, or a user.
    pub from: Jid,
    /// The addressee.
    pub to: Jid,
    /// The type.
    pub kind: MessageKind,
    /// The `id` the sender gave it.
    pub id: Option<String>,
    /// Its `xml:lang`.
    pub lang: Option<String>,
    /// The mark of the event; only between peers that speak `urn:x-dmuc:0`.
    pub event: Option<EventStamp>,
    /// The version of the settings with the subject that it sets (`<settings version=''/>` of ours).
    pub settings: Option<u64>,
    /// The message that the source takes away with it (`<moderate/>` of ours).
    pub moderation: Option<Moderation>,
    /// The other children as XML, unchanged.
    pub payload: String,
}

/// The type of a message (RFC 6121 section 5.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageKind {
    /// Single, as an invitation; also whatever type is unknown (RFC 6121 section 5.2.2).
    Normal,
    /// One to one, as a private message.
    Chat,
    /// To everybody in a room.
    Groupchat,
    /// An alert that expects no answer.
    Headline,
    /// A message was refused.
    Error(StanzaError),
}

/// `<x xmlns='jabber:x:conference'/>` (XEP-0249).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The room to join.
    pub room: BareJid,
    /// The password there.
    pub password: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// A complete groupchat message as it crosses to a peer instance (G1); the payload is copied.
pub fn write_groupchat(
    from: &Jid,
    to: &Jid,
    (id, lang): (Option<&str>, Option<&str>),
    payload: &str,
    event: Option<&EventStamp>,
) -> String {
    let mut out = String::with_capacity(payload.len() + 384);
    write_parts(&mut out, (from, to), Some("groupchat"), (id, lang), |out| {
        out.push_str(payload);
        if let Some(event) = event {
            event.write(out);
        }
    });
    out
}

/// A complete direct invitation (XEP-0249).
pub fn write_invitation(from: &Jid, to: &Jid, invitation: &Invitation) -> String {
    let mut out = String::new();
    write_parts(&mut out, (from, to), None, (None, None), |out| {
        invitation.write(out)
    });
    out
}

/// A complete message; the payload is copied.
pub fn write_message(message: &Message) -> String {
    let mut out = String::with_capacity(message.payload.len() + 384);
    let kind = match &message.kind {
        MessageKind::Normal => None,
        MessageKind::Chat => Some("chat"),
        MessageKind::Groupchat => Some("groupchat"),
        MessageKind::Headline => Some("headline"),
        MessageKind::Error(_) => Some("error"),
    };
    write_parts(
        &mut out,
        (&message.from, &message.to),
        kind,
        (message.id.as_deref(), message.lang.as_deref()),
        |out| {
            out.push_str(&message.payload);
            if let Some(event) = &message.event {
                event.write(out);
            }
            if let Some(version) = message.settings {
                Tag::within(out, "settings", ns::OURS)
                    .number("version", version)
                    .empty();
            }
            if let Some(moderation) = &message.moderation {
                moderation.write(out);
            }
            if let MessageKind::Error(error) = &message.kind {
                error.write(out);
            }
        },
    );
    out
}

fn write_parts(
    out: &mut String,
    (from, to): (&Jid, &Jid),
    kind: Option<&str>,
    (id, lang): (Option<&str>, Option<&str>),
    children: impl FnOnce(&mut String),
) {
    Tag::new(out, "message")
        .attr("from", from.as_str())
        .attr("to", to.as_str())
        .opt("type", kind)
        .opt("id", id)
        .opt("xml:lang", lang)
        .body(children);
}

impl Message {
    pub(super) fn read(el: &Element) -> Result<Message, WireError> {
        let kind = match el.attr("type") {
            Some("chat") => MessageKind::Chat,
            Some("groupchat") => MessageKind::Groupchat,
            Some("headline") => MessageKind::Headline,
            Some("error") => MessageKind::Error(read_error(el)),
            _ => MessageKind::Normal,
        };
        let is_error = matches!(kind, MessageKind::Error(_));
        Ok(Message {
            from: to_jid("from", required(el, "from")?)?,
            to: to_jid("to", required(el, "to")?)?,
            kind,
            id: message_id(el)?,
            lang: lang(el),
            event: only(el, "event", ns::OURS)?.map(EventStamp::read).transpose()?,
            settings: match only(el, "settings", ns::OURS)? {
                Some(settings) => count(settings, "version")?,
                None => None,
            },
            moderation: only(el, "moderate", ns::OURS)?
                .map(Moderation::read)
                .transpose()?,
            payload: collect(el, |child| {
                let refusal = is_error && child.is("error", ns::CLIENT);
                !(refusal || child.has_ns(ns::OURS) || child.has_ns(ns::DMUC))
            })?,
        })
    }
}

impl Invitation {
    /// Parses `<x xmlns='jabber:x:conference'/>`, an element of a message's payload.
    pub fn parse(xml: &str) -> Result<Invitation, WireError> {
        let x = super::dom::parse(xml, super::limits::MAX_PAYLOAD_BYTES)?;
        if !x.is("x", ns::CONFERENCE) {
            return Err(super::dom::bad("this is not an invitation"));
        }
        let password = x.attr("password");
        if password.is_some_and(|password| password.len() > MAX_PART_BYTES) {
            return Err(over("the password is over-long"));
        }
        Ok(Invitation {
            room: to_bare("jid", required(&x, "jid")?)?,
            password: password.map(str::to_owned),
            reason: text_attr(&x, "reason")?,
        })
    }

    fn write(&self, out: &mut String) {
        Tag::within(out, "x", ns::CONFERENCE)
            .attr("jid", self.room.as_str())
            .opt("password", self.password.as_deref())
            .opt("reason", self.reason.as_deref())
            .empty();
    }
}
