//! Whole stanzas (RFC 6120 section 8): IQs here, presences and messages in their own files.

use crate::address::Jid;
use minidom::Element;

use super::dom::{bad, iq_id, parse, required, to_jid};
use super::limits::MAX_CONTROL_BYTES;
use super::payload::collect_all;
use super::presence::read_error;
use super::text::Tag;
use super::{Message, Presence, StanzaError, WireError, ns};

/// Any stanza.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stanza {
    /// A question, an answer, or a refusal.
    Iq(Iq),
    /// A presence.
    Presence(Presence),
    /// A message.
    Message(Message),
}

/// An `<iq/>` around a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Iq {
    /// The sender.
    pub from: Jid,
    /// The addressee.
    pub to: Jid,
    /// Ties an answer to its question.
    pub id: String,
    /// What it carries.
    pub body: IqBody,
}

/// What an `<iq/>` carries; payloads are one element as XML, for [`super::Request`] and [`super::Response`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IqBody {
    /// A question.
    Get(String),
    /// A command.
    Set(String),
    /// An answer; without payload, an acknowledgement.
    Result(Option<String>),
    /// A refusal.
    Error(StanzaError),
}

impl Stanza {
    /// Parses a complete stanza of `jabber:client`; without `xmlns` it counts as one.
    pub fn parse(xml: &str) -> Result<Stanza, WireError> {
        let el = parse(xml, MAX_CONTROL_BYTES)?;
        let namespace = el.ns();
        match (namespace.as_str(), el.name()) {
            (ns::CLIENT, "iq") => Ok(Stanza::Iq(Iq::read(&el)?)),
            (ns::CLIENT, "presence") => Ok(Stanza::Presence(Presence::read(&el)?)),
            (ns::CLIENT, "message") => Ok(Stanza::Message(Message::read(&el)?)),
            _ => Err(bad("this is not a stanza")),
        }
    }
}

impl Iq {
    fn read(el: &Element) -> Result<Iq, WireError> {
        let children = el.children().count();
        let payload = || match children {
            1 => Ok(collect_all(el)),
            _ => Err(bad("an IQ that asks has exactly one child element")),
        };
        let body = match el.attr("type") {
            Some("get") => IqBody::Get(payload()?),
            Some("set") => IqBody::Set(payload()?),
            Some("result") => match children {
                0 => IqBody::Result(None),
                1 => IqBody::Result(Some(payload()?)),
                _ => return Err(bad("a result has at most one child element")),
            },
            Some("error") => IqBody::Error(read_error(el)),
            _ => return Err(bad("an IQ is of type 'get', 'set', 'result' or 'error'")),
        };
        Ok(Iq {
            from: to_jid("from", required(el, "from")?)?,
            to: to_jid("to", required(el, "to")?)?,
            id: iq_id(el)?.ok_or_else(|| bad("an IQ lacks the attribute 'id'"))?,
            body,
        })
    }
}

/// A complete IQ; the payload is copied.
pub fn write_iq(iq: &Iq) -> String {
    let (kind, payload) = match &iq.body {
        IqBody::Get(payload) => ("get", Some(payload)),
        IqBody::Set(payload) => ("set", Some(payload)),
        IqBody::Result(payload) => ("result", payload.as_ref()),
        IqBody::Error(_) => ("error", None),
    };
    let mut out = String::with_capacity(payload.map_or(0, String::len) + 256);
    Tag::new(&mut out, "iq")
        .attr("from", iq.from.as_str())
        .attr("to", iq.to.as_str())
        .attr("id", &iq.id)
        .attr("type", kind)
        .body(|out| {
            if let Some(payload) = payload {
                out.push_str(payload);
            }
            if let IqBody::Error(error) = &iq.body {
                error.write(out);
            }
        });
    out
}
