//! Stanzas that come in as XML, as inputs of the engine: for hosts without a stanza type of their own (the C binding,
//! the simulator). Prosody hands over attributes instead ([`Input`] by [`Input`]).

use crate::address::{BareJid, Jid};
use minidom::Element;
use minidom::rxml::{AttrMap, Event, Namespace, Options, Reader};

use crate::engine::{Engine, Input, Now, PeerPresence, Verdict};
use crate::error::Error;
use crate::wire::{
    Condition, Iq, IqBody, IqKind, Message, MessageKind, Presence, PresenceKind, Request, Stanza,
    StanzaError, WireError, ns, split_payload, without_forged, write_iq, write_message, write_presence,
};

/// Chat states (XEP-0085): what somebody is doing just now.
const CHAT_STATES: &str = "http://jabber.org/protocol/chatstates";
/// What may be done with a message (XEP-0334).
const HINTS: &str = "urn:xmpp:hints";

/// The start tag of a stanza: enough to answer it, whatever else is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    kind: HeadKind,
    from: Jid,
    to: Jid,
    id: Option<String>,
    /// Errors and results are never answered.
    is_answer: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HeadKind {
    Iq,
    Presence,
    Message,
}

impl Head {
    /// Reads the start tag; `None` when this is no stanza or does not say from whom to whom it goes.
    pub fn read(xml: &str) -> Option<Head> {
        let (namespace, name, attrs) = start_tag(xml)?;
        if !(namespace.is_empty() || namespace == ns::CLIENT) {
            return None;
        }
        let kind = match name.as_str() {
            "iq" => HeadKind::Iq,
            "presence" => HeadKind::Presence,
            "message" => HeadKind::Message,
            _ => return None,
        };
        let attr = |name: &str| attrs.get(&Namespace::NONE, name).map(String::as_str);
        Some(Head {
            kind,
            from: Jid::new(attr("from")?).ok()?,
            to: Jid::new(attr("to")?).ok()?,
            id: attr("id").map(str::to_owned),
            is_answer: matches!(attr("type"), Some("error" | "result")),
        })
    }

    /// The sender.
    pub fn from(&self) -> &Jid {
        &self.from
    }

    /// The addressee.
    pub fn to(&self) -> &Jid {
        &self.to
    }

    /// The stanza that tells the sender of `error`, if this is one that is answered.
    pub fn refusal(&self, error: &StanzaError) -> Option<String> {
        if self.is_answer {
            return None;
        }
        let (from, to, error) = (self.to.clone(), self.from.clone(), error.clone());
        Some(match self.kind {
            HeadKind::Iq => write_iq(&Iq {
                from,
                to,
                id: self.id.clone()?,
                body: IqBody::Error(error),
            }),
            HeadKind::Presence => write_presence(&Presence {
                from,
                to,
                kind: PresenceKind::Error(error),
                item: None,
                statuses: Vec::new(),
                stamp: None,
                payload: String::new(),
            }),
            HeadKind::Message => write_message(&Message {
                from,
                to,
                kind: MessageKind::Error(error),
                id: self.id.clone(),
                lang: None,
                event: None,
                settings: None,
                moderation: None,
                payload: String::new(),
            }),
        })
    }
}

/// A stanza that came in, taken apart.
#[derive(Debug, Clone)]
pub struct Inbound {
    stanza: Stanza,
    /// Bare JID of the addressee.
    to: BareJid,
    /// A message's children without what the engine reads.
    payload: String,
    /// The subject, when the message is nothing else.
    subject: Option<String>,
    /// Whether the message is worth keeping.
    keep: bool,
}

impl Inbound {
    /// Parses a complete stanza of `jabber:client`; without `xmlns` it counts as one.
    ///
    /// # Errors
    /// What the sender is answered with.
    pub fn parse(xml: &str) -> Result<Inbound, WireError> {
        let stanza = Stanza::parse(xml)?;
        let to = match &stanza {
            Stanza::Iq(iq) => iq.to.to_bare(),
            Stanza::Presence(presence) => presence.to.to_bare(),
            Stanza::Message(message) => message.to.to_bare(),
        };
        let mut inbound = Inbound {
            to,
            payload: String::new(),
            subject: None,
            keep: false,
            stanza,
        };
        if let Stanza::Message(message) = &inbound.stanza
            && message.kind == MessageKind::Groupchat
        {
            let root = wrapped(&message.payload)?;
            let payload = filtered(&root, &message.payload, is_of_message)?;
            let from = message.from.to_bare();
            inbound.payload = without_forged(&payload, &[&inbound.to, &from])?.into_owned();
            inbound.subject = only_subject(&root);
            // Who sent it with a number has kept it.
            inbound.keep = message.event.is_some() || are_worth_keeping(&root);
        }
        Ok(inbound)
    }

    /// The stanza.
    pub fn stanza(&self) -> &Stanza {
        &self.stanza
    }

    /// The input it is, or `None` if it is not for the engine. `taken` is for a `<replicate/>`, see
    /// [`Input::PeerIq`].
    pub fn input(&self, taken: bool) -> Option<Input<'_>> {
        match &self.stanza {
            Stanza::Iq(iq) => iq_input(iq, taken),
            Stanza::Presence(presence) => presence_input(presence),
            Stanza::Message(message) => self.message_input(message),
        }
    }

    fn message_input<'a>(&'a self, message: &'a Message) -> Option<Input<'a>> {
        match &message.kind {
            MessageKind::Error(error) => Some(Input::PeerError {
                from: &message.from,
                error,
            }),
            MessageKind::Groupchat => {
                if let Some(text) = &self.subject {
                    return Some(Input::PeerSubject {
                        from: &message.from,
                        room: &self.to,
                        text,
                        version: message.settings,
                    });
                }
                if let Some(moderation) = &message.moderation {
                    return Some(Input::PeerModeration {
                        from: &message.from,
                        room: &self.to,
                        event: message.event.clone(),
                        moderation,
                    });
                }
                Some(Input::PeerGroupchat {
                    from: &message.from,
                    to: &message.to,
                    message_id: message.id.as_deref(),
                    lang: message.lang.as_deref(),
                    event: message.event.clone(),
                    payload: &self.payload,
                    keep: self.keep,
                })
            }
            _ => None,
        }
    }

    /// What is shown to clients: the children of a presence or message without those of the engine's.
    pub fn payload(&self) -> &str {
        match &self.stanza {
            Stanza::Iq(_) => "",
            Stanza::Presence(presence) => &presence.payload,
            Stanza::Message(_) => &self.payload,
        }
    }

    /// The room that this stanza, a `<replicate/>`, asks for at `service`; `None` for every other stanza.
    pub fn wanted_room(&self, service: &BareJid) -> Option<BareJid> {
        let Stanza::Iq(Iq {
            body: IqBody::Set(payload),
            ..
        }) = &self.stanza
        else {
            return None;
        };
        match Request::parse(IqKind::Set, payload) {
            Ok(Request::Replicate(replicate)) => Some(replicate.id.at(service)),
            _ => None,
        }
    }
}

/// What came of a stanza.
#[derive(Debug, Clone)]
pub struct Handled {
    /// The engine's verdict, or the error that its sender gets.
    pub verdict: Result<Verdict, StanzaError>,
    /// The error as a stanza to send; `None` also for errors that are not answered.
    pub refusal: Option<String>,
    /// The stanza, if it could be parsed.
    pub inbound: Option<Inbound>,
}

/// Hands a complete stanza to the engine. What is not for it, or malformed but not from a peer, is
/// [`Verdict::Continue`]. `None`: this is not a stanza, or does not say from whom to whom it goes.
pub fn handle_stanza(engine: &mut Engine, now: Now, xml: &str, taken: bool) -> Option<Handled> {
    let head = Head::read(xml)?;
    match Inbound::parse(xml) {
        Ok(inbound) => Some(handle_inbound(engine, now, &head, inbound, taken)),
        Err(error) => {
            let verdict = if is_of_peer(engine, &head) {
                Err(StanzaError::from(error))
            } else {
                Ok(Verdict::Continue)
            };
            Some(handled(&head, verdict, None))
        }
    }
}

/// As [`handle_stanza`], for a host that has taken the stanza apart already, to see whether it is one for itself.
pub fn handle_inbound(engine: &mut Engine, now: Now, head: &Head, inbound: Inbound, taken: bool) -> Handled {
    let verdict = match inbound.input(taken) {
        None => Ok(Verdict::Continue),
        Some(input) => match engine.handle_input(now, input) {
            Ok(verdict) => Ok(verdict),
            Err(Error::Refused(error)) => Err(error),
            Err(Error::UnknownRoom | Error::Poisoned) => Ok(Verdict::Continue),
        },
    };
    handled(head, verdict, Some(inbound))
}

/// Whether a stanza is from a service we peer with or from an instance there: not from a user of the same domain.
fn is_of_peer(engine: &Engine, head: &Head) -> bool {
    let from = head.from.to_bare();
    let is_peer = engine.config().peers.contains_key(&head.from.service());
    is_peer && (from.node().is_none() || engine.is_instance(&head.to.to_bare(), &from))
}

fn handled(head: &Head, verdict: Result<Verdict, StanzaError>, inbound: Option<Inbound>) -> Handled {
    let refusal = verdict.as_ref().err().and_then(|error| head.refusal(error));
    Handled {
        verdict,
        refusal,
        inbound,
    }
}

/// What a client sent as a groupchat message, ready for [`Input::Groupchat`]: checked, and without what clients
/// must not forge (DESIGN section 5; XEP-0359 section 4; XEP-0421).
///
/// # Errors
/// It is not a sequence of elements, or too large.
pub fn message_payload(payload: &str) -> Result<String, WireError> {
    filtered(&wrapped(payload)?, payload, is_of_message)
}

/// What a client sent in a presence, ready for [`Input::Occupant`]: as [`message_payload`], and without the parts of
/// XEP-0045.
///
/// # Errors
/// It is not a sequence of elements, or too large.
pub fn presence_payload(payload: &str) -> Result<String, WireError> {
    filtered(&wrapped(payload)?, payload, |child| {
        is_of_message(child) && !child.has_ns(ns::MUC) && !child.has_ns(ns::MUC_USER)
    })
}

fn iq_input(iq: &Iq, taken: bool) -> Option<Input<'_>> {
    let (from, id) = (&iq.from, iq.id.as_str());
    let (kind, payload) = match &iq.body {
        IqBody::Get(payload) => (IqKind::Get, payload),
        IqBody::Set(payload) => (IqKind::Set, payload),
        IqBody::Result(payload) => {
            let answer = Ok(payload.as_deref().unwrap_or_default());
            return Some(Input::PeerAnswer { from, id, answer });
        }
        IqBody::Error(error) => {
            let answer = Err(error.clone());
            return Some(Input::PeerAnswer { from, id, answer });
        }
    };
    // Everything else that may be asked of a room or a service is answered by the host.
    let (namespace, _, _) = start_tag(payload)?;
    (namespace == ns::DMUC || namespace == ns::OURS).then_some(Input::PeerIq {
        from,
        to: &iq.to,
        kind,
        id,
        payload,
        taken,
    })
}

fn presence_input(presence: &Presence) -> Option<Input<'_>> {
    let from = &presence.from;
    let available = match &presence.kind {
        PresenceKind::Error(error) => return Some(Input::PeerError { from, error }),
        PresenceKind::Available => true,
        PresenceKind::Unavailable => false,
    };
    let item = presence.item.as_ref();
    let stamp = presence.stamp.as_ref();
    Some(Input::PeerPresence(PeerPresence {
        from,
        to: &presence.to,
        available,
        affiliation: item.map(|item| item.affiliation).unwrap_or_default(),
        role: item.map(|item| item.role).unwrap_or_default(),
        jid: item.and_then(|item| item.jid.as_ref()),
        occupant_id: stamp.and_then(|stamp| stamp.occupant_id.as_deref()),
        serial: stamp.map(|stamp| stamp.serial),
        version: stamp.and_then(|stamp| stamp.version),
        codes: &presence.statuses,
        new_nick: item.and_then(|item| item.nick.as_deref()),
        actor: item.and_then(|item| item.actor.as_deref()),
        reason: item.and_then(|item| item.reason.as_deref()),
        payload: &presence.payload,
    }))
}

/// Namespace, name and attributes of the root element. Nothing after its start tag is looked at.
fn start_tag(xml: &str) -> Option<(String, String, AttrMap)> {
    let mut reader = reader(xml);
    loop {
        match reader.read() {
            Ok(Some(Event::StartElement(_, (namespace, name), attrs))) => {
                return Some((namespace.to_string(), name.to_string(), attrs));
            }
            Ok(Some(Event::XmlDeclaration(..))) => {}
            _ => return None,
        }
    }
}

/// A reader for attributes of any length: what is too long is refused by those who know what it is.
fn reader(xml: &str) -> Reader<&[u8]> {
    let options = Options {
        max_token_length: xml.len(),
        ..Options::default()
    };
    Reader::with_options(xml.as_bytes(), options)
}

/// The elements of a payload as children of an element.
fn wrapped(payload: &str) -> Result<Element, WireError> {
    // Before minidom sees it: bounded in size and depth.
    crate::wire::check_payload(payload)?;
    let malformed = || WireError::new(Condition::BadRequest, "this is not well-formed XML");
    let xml = format!("<p xmlns='{}'>{payload}</p>", ns::CLIENT);
    // minidom takes an attribute twice; no server does, and the text goes on as it stands.
    let mut reader = reader(&xml);
    while reader.read().map_err(|_| malformed())?.is_some() {}
    xml.parse().map_err(|_| malformed())
}

/// The elements that pass, each exactly as it was sent.
fn filtered(root: &Element, payload: &str, passes: impl Fn(&Element) -> bool) -> Result<String, WireError> {
    let mut out = String::with_capacity(payload.len());
    for (child, text) in root.children().zip(split_payload(payload)?) {
        if passes(child) {
            out.push_str(text);
        }
    }
    Ok(out)
}

fn is_of_message(child: &Element) -> bool {
    let is_stamp = child.is("stanza-id", ns::STANZA_ID) || child.has_ns(ns::OCCUPANT_ID);
    !(is_stamp || child.has_ns(ns::OURS) || child.has_ns(ns::DMUC))
}

/// The subject of a message that changes it (XEP-0045 section 8.1): with a body or a thread it is an ordinary message.
fn only_subject(root: &Element) -> Option<String> {
    let has = |name: &str| root.get_child(name, ns::CLIENT).is_some();
    let subject = root.get_child("subject", ns::CLIENT)?;
    (!has("body") && !has("thread")).then(|| subject.text())
}

/// Whether a message that nobody has numbered yet, with these children (name and namespace of each), belongs into the log, where
/// the host has no opinion: unless it says no, or says only what is true for the moment.
pub fn is_worth_keeping<'a>(children: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> bool {
    let hint = |name: &str| children.clone().any(|child| child == (name, HINTS));
    if hint("store") {
        return true;
    }
    let is_content = |(name, namespace): (&str, &str)| {
        let is_transient = [
            CHAT_STATES,
            HINTS,
            ns::STANZA_ID,
            ns::OCCUPANT_ID,
            ns::OURS,
            ns::DELAY,
        ]
        .contains(&namespace);
        !is_transient && (name, namespace) != ("thread", ns::CLIENT)
    };
    !hint("no-store") && !hint("no-permanent-store") && children.clone().any(is_content)
}

/// As [`is_worth_keeping`], of the children of an element.
fn are_worth_keeping(root: &Element) -> bool {
    let children: Vec<_> = root.children().map(|child| (child.name(), child.ns())).collect();
    is_worth_keeping(children.iter().map(|(name, ns)| (*name, ns.as_str())))
}

#[cfg(test)]
mod tests;
