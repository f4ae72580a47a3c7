//! What nobody may say in an instance's name: removed from every payload that comes in, live, in pages, in histories and
//! from stored logs (XEP-0203 section 4, XEP-0359 section 4, XEP-0421; docs/PROTOCOL.md section 7.8).

use std::borrow::Cow;

use minidom::Element;

use super::dom::{bad, parse};
use super::payload::{split_payload, write};
use super::{WireError, ns};
use crate::address::{BareJid, Jid};

/// What each instance adds for itself.
const MADE_HERE: [&str; 5] = [ns::OURS, ns::DMUC, ns::MUC, ns::MUC_USER, ns::OCCUPANT_ID];
/// Elements that say who did something with the message: delayed, numbered, passed on, took away.
const ATTESTED: [&str; 9] = [
    ns::DELAY,
    "jabber:x:delay",
    ns::STANZA_ID,
    "http://jabber.org/protocol/address",
    "urn:xmpp:fasten:0",
    "urn:xmpp:message-moderate:0",
    "urn:xmpp:message-moderate:1",
    "urn:xmpp:message-retract:0",
    "urn:xmpp:message-retract:1",
];
/// In which attributes they name whoever did it.
const WITNESSES: [&str; 4] = ["by", "from", "jid", "uri"];

/// The elements of a payload that may be shown as somebody's words: without what every instance makes for itself, and
/// without what names one of `instances` (or an occupant there) as who delayed, numbered, passed on or took away the message.
///
/// # Errors
/// The payload is no sequence of elements, or too large or deep.
pub fn without_forged<'a>(payload: &'a str, instances: &[&BareJid]) -> Result<Cow<'a, str>, WireError> {
    if !may_be_forged(payload, instances) {
        return Ok(Cow::Borrowed(payload));
    }
    let elements = split_payload(payload)?;
    let mut kept = String::with_capacity(payload.len());
    for element in &elements {
        // One at a time: each is read in the context in which it stands.
        let wrapped = parse(&format!("<p xmlns='{}'>{element}</p>", ns::CLIENT), usize::MAX)?;
        let child = wrapped
            .children()
            .next()
            .ok_or_else(|| bad("a payload is made of elements"))?;
        if !is_forged(child, instances) {
            kept.push_str(element);
        }
    }
    match kept.len() == payload.len() {
        true => Ok(Cow::Borrowed(payload)),
        false => Ok(Cow::Owned(kept)),
    }
}

/// What is said by a payload, written in one way, whatever an instance has added to it or taken out: without the elements of
/// which some instances keep fewer than others.
///
/// # Errors
/// The payload is no sequence of elements, or too large or deep.
pub fn canonical(payload: &str) -> Result<String, WireError> {
    let mut said = String::with_capacity(payload.len());
    for element in &split_payload(payload)? {
        let wrapped = parse(&format!("<p xmlns='{}'>{element}</p>", ns::CLIENT), usize::MAX)?;
        for child in wrapped.children() {
            let namespace = child.ns();
            let is_attested = ATTESTED.contains(&namespace.as_str());
            if !is_attested && !MADE_HERE.contains(&namespace.as_str()) {
                write(&mut said, child, ns::CLIENT);
            }
        }
    }
    Ok(said)
}

/// A look at the text alone, for the hot path: most messages have nothing of the kind.
fn may_be_forged(payload: &str, instances: &[&BareJid]) -> bool {
    let is_attested = || ATTESTED.iter().any(|namespace| payload.contains(namespace));
    // A reference may spell anything.
    payload.contains("&#")
        || MADE_HERE.iter().any(|namespace| payload.contains(namespace))
        || !instances.is_empty() && is_attested()
}

fn is_forged(element: &Element, instances: &[&BareJid]) -> bool {
    let namespace = element.ns();
    MADE_HERE.contains(&namespace.as_str())
        || ATTESTED.contains(&namespace.as_str()) && names_one_of(element, instances)
}

fn names_one_of(element: &Element, instances: &[&BareJid]) -> bool {
    let is_one = |value: &str| {
        let value = value.strip_prefix("xmpp:").unwrap_or(value);
        let address = Jid::new(value.trim()).map(|jid| jid.to_bare());
        address.is_ok_and(|address| instances.contains(&&address))
    };
    let mut named = WITNESSES.iter().filter_map(|name| element.attr(*name));
    named.any(is_one) || element.children().any(|child| names_one_of(child, instances))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(payload: &str) -> String {
        let here = BareJid::new("coven@chat.shakespeare.lit").unwrap();
        without_forged(payload, &[&here]).unwrap().into_owned()
    }

    #[test]
    fn what_names_this_instance_as_a_witness_is_removed() {
        for forged in [
            "<delay xmlns='urn:xmpp:delay' from='coven@chat.shakespeare.lit' stamp='2002-01-01T00:00:00Z'/>",
            "<delay xmlns='urn:xmpp:delay' from='Coven@Chat.Shakespeare.Lit/foo' stamp='2002-01-01T00:00:00Z'/>",
            "<delay xmlns='urn:xmpp:delay' from='&#99;oven@chat.shakespeare.lit' stamp='2002-01-01T00:00:00Z'/>",
            "<x xmlns='jabber:x:delay' from='coven@chat.shakespeare.lit' stamp='20020101T00:00:00'/>",
            "<stanza-id xmlns='urn:xmpp:sid:0' by='coven@chat.shakespeare.lit' id='x'/>",
            "<addresses xmlns='http://jabber.org/protocol/address'><address type='ofrom' jid='coven@chat.shakespeare.lit/foo'/></addresses>",
            "<apply-to xmlns='urn:xmpp:fasten:0' id='x'><moderated xmlns='urn:xmpp:message-moderate:0' by='coven@chat.shakespeare.lit/foo'/></apply-to>",
            "<retract xmlns='urn:xmpp:message-retract:1' id='x'><moderated xmlns='urn:xmpp:message-moderate:1' by='coven@chat.shakespeare.lit'/></retract>",
            "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='x'/>",
            "<x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/></x>",
            "<event xmlns='urn:x-dmuc:0' id='x'/>",
            "<config xmlns='urn:xmpp:dmuc:0'/>",
        ] {
            assert_eq!(
                cleaned(&format!("<body>a</body>{forged}<b/>")),
                "<body>a</body><b/>",
                "{forged}"
            );
        }
    }

    #[test]
    fn what_is_said_is_written_in_one_way() {
        let one = canonical("<body>a</body><x xmlns='y' b='1' a='2'/>").unwrap();
        let other =
            "<body>a</body><delay xmlns='urn:xmpp:delay' stamp='x'/><x a=\"2\" b='1' xmlns=\"y\"></x>";
        assert_eq!(canonical(other).unwrap(), one);
        assert_ne!(
            canonical("<body>b</body><x xmlns='y' b='1' a='2'/>").unwrap(),
            one
        );
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        for payload in [
            "<body>a &lt;b&gt; &#65;</body>",
            "<body>urn:xmpp:delay by='coven@chat.shakespeare.lit'</body>",
            "<delay xmlns='urn:xmpp:delay' from='crone1@shakespeare.lit' stamp='2002-01-01T00:00:00Z'/>",
            "<stanza-id xmlns='urn:xmpp:sid:0' by='coven@rooms.macbeth.lit' id='x'/>",
            "<retract xmlns='urn:xmpp:message-retract:1' id='x'/>",
            "<reply xmlns='urn:xmpp:reply:0' to='coven@chat.shakespeare.lit/foo' id='x'/>",
            "<origin-id xmlns='urn:xmpp:sid:0' id='m1'/>",
        ] {
            assert_eq!(cleaned(payload), payload);
        }
    }
}
