//! Reading XML: a bounded DOM, and its attributes and children as typed values or the error that says what is wrong.

use crate::address::{BareJid, Jid, resourcepart};
use minidom::Element;
use minidom::rxml::{Options, RawReader};
use minidom::tree_builder::TreeBuilder;

use super::limits::{
    MAX_DEPTH, MAX_ID_BYTES, MAX_LANG_BYTES, MAX_MESSAGE_ID_BYTES, MAX_PART_BYTES, MAX_PAYLOAD_BYTES,
    MAX_TEXT_BYTES,
};
use super::{Condition, WireError, datetime, ns};

/// The error for what is malformed (RFC 6120 section 8.3.3.1).
pub(super) fn bad(text: impl Into<String>) -> WireError {
    WireError::new(Condition::BadRequest, text)
}

/// The error for what is over a limit (RFC 6120 section 8.3.3.12, G13).
pub(super) fn over(text: impl Into<String>) -> WireError {
    WireError::new(Condition::PolicyViolation, text)
}

/// Parses one element and nothing after it, of at most `max` bytes and [`MAX_DEPTH`] levels.
///
/// A root without `xmlns` is in `jabber:client`, as it is in a stream.
pub(super) fn parse(xml: &str, max: usize) -> Result<Element, WireError> {
    if xml.len() > max {
        return Err(over(format!("the stanza is larger than {max} bytes")));
    }
    let options = Options {
        max_token_length: MAX_PAYLOAD_BYTES,
        ..Options::default()
    };
    let mut reader: RawReader<&[u8]> = RawReader::with_options(xml.as_bytes(), options);
    let client = Some(ns::CLIENT.to_owned());
    let mut builder = TreeBuilder::new().with_prefixes_stack(vec![client.into()]);
    loop {
        match reader.read() {
            Ok(Some(event)) => builder
                .process_event(event)
                .map_err(|_| bad("a namespace is not declared"))?,
            Ok(None) => break,
            Err(_) => return Err(bad("this is not well-formed XML")),
        }
        if builder.depth() > MAX_DEPTH {
            return Err(over(format!(
                "elements are nested deeper than {MAX_DEPTH} levels"
            )));
        }
    }
    builder.root.ok_or_else(|| bad("there is no element"))
}

/// An attribute that must be there.
pub(super) fn required<'a>(el: &'a Element, name: &'a str) -> Result<&'a str, WireError> {
    el.attr(name)
        .ok_or_else(|| bad(format!("<{}/> lacks the attribute '{name}'", el.name())))
}

/// A decimal number without sign, as the attribute of that name holds it.
pub(super) fn decimal(name: &str, value: &str) -> Result<u64, WireError> {
    let number = value
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| value.parse().ok())
        .flatten();
    number.ok_or_else(|| bad(format!("the attribute '{name}' is not a number")))
}

/// A number that may be absent.
pub(super) fn number(el: &Element, name: &str) -> Result<Option<u64>, WireError> {
    el.attr(name).map(|value| decimal(name, value)).transpose()
}

/// A number that must be there.
pub(super) fn required_number(el: &Element, name: &str) -> Result<u64, WireError> {
    decimal(name, required(el, name)?)
}

/// A number that is counted on from. Room is left above every one that is taken, so that counting never overflows.
pub(super) fn countable(name: &str, value: &str) -> Result<u64, WireError> {
    let number = decimal(name, value)?;
    match i64::try_from(number) {
        Ok(_) => Ok(number),
        Err(_) => Err(bad(format!("the attribute '{name}' is absurd"))),
    }
}

/// A number that is counted on from and may be absent.
pub(super) fn count(el: &Element, name: &str) -> Result<Option<u64>, WireError> {
    el.attr(name).map(|value| countable(name, value)).transpose()
}

/// A number that is counted on from and must be there.
pub(super) fn required_count(el: &Element, name: &str) -> Result<u64, WireError> {
    countable(name, required(el, name)?)
}

/// A boolean (XML Schema part 2 section 3.2.2); absence means false.
pub(super) fn flag(el: &Element, name: &str) -> Result<bool, WireError> {
    match el.attr(name) {
        None | Some("false" | "0") => Ok(false),
        Some("true" | "1") => Ok(true),
        Some(_) => Err(bad(format!("the attribute '{name}' is not a boolean"))),
    }
}

/// A point in time (XEP-0082) that may be absent.
pub(super) fn time(el: &Element, name: &str) -> Result<Option<i64>, WireError> {
    el.attr(name)
        .map(|value| {
            datetime::parse(value)
                .ok_or_else(|| bad(format!("the attribute '{name}' is not a date and time")))
        })
        .transpose()
}

/// A JID from text (RFC 7622).
pub(super) fn to_jid(name: &str, value: &str) -> Result<Jid, WireError> {
    let malformed = || WireError::new(Condition::JidMalformed, format!("'{name}' is not a JID"));
    if value.len() > 3 * MAX_PART_BYTES + 2 {
        return Err(malformed());
    }
    Jid::new(value).map_err(|_| malformed())
}

/// A bare JID from text.
pub(super) fn to_bare(name: &str, value: &str) -> Result<BareJid, WireError> {
    let is_full = |_| WireError::new(Condition::JidMalformed, format!("'{name}' is not a bare JID"));
    to_jid(name, value)?.try_into().map_err(is_full)
}

/// An event of a known origin: its incarnation and its number, both from 1.
pub(super) fn event_number(name: &str, text: &str) -> Result<(u64, u64), WireError> {
    let (incarnation, seq) = text
        .split_once('.')
        .ok_or_else(|| bad(format!("the attribute '{name}' is not an event's number")))?;
    match (countable(name, incarnation)?, countable(name, seq)?) {
        (0, _) | (_, 0) => Err(bad("events and incarnations are numbered from 1")),
        numbered => Ok(numbered),
    }
}

/// A JID in an attribute that may be absent.
pub(super) fn jid(el: &Element, name: &str) -> Result<Option<Jid>, WireError> {
    el.attr(name).map(|value| to_jid(name, value)).transpose()
}

/// A bare JID in an attribute that may be absent.
pub(super) fn bare_jid(el: &Element, name: &str) -> Result<Option<BareJid>, WireError> {
    el.attr(name).map(|value| to_bare(name, value)).transpose()
}

/// A nick from text: a resourcepart (XEP-0045 section 5, RFC 7622 section 3.4), normalised.
pub(super) fn to_nick(name: &str, value: &str) -> Result<String, WireError> {
    if value.len() > MAX_PART_BYTES {
        return Err(over(format!(
            "the nick in '{name}' is longer than {MAX_PART_BYTES} bytes"
        )));
    }
    resourcepart(value)
        .map_err(|_| WireError::new(Condition::JidMalformed, format!("'{name}' is not a valid nick")))
}

/// A nick in an attribute that may be absent.
pub(super) fn nick(el: &Element, name: &str) -> Result<Option<String>, WireError> {
    el.attr(name).map(|value| to_nick(name, value)).transpose()
}

/// An id of ours, a stanza-id or an occupant-id: opaque, not empty, bounded.
pub(super) fn to_id(name: &str, value: &str) -> Result<String, WireError> {
    if value.is_empty() {
        return Err(bad(format!("the attribute '{name}' is empty")));
    }
    if value.len() > MAX_ID_BYTES {
        return Err(over(format!(
            "the attribute '{name}' is longer than {MAX_ID_BYTES} bytes"
        )));
    }
    Ok(value.to_owned())
}

/// An id in an attribute that may be absent.
pub(super) fn id(el: &Element, name: &str) -> Result<Option<String>, WireError> {
    el.attr(name).map(|value| to_id(name, value)).transpose()
}

/// The `id` of an IQ, which its sender chose (RFC 6120 section 8.1.3).
pub(super) fn iq_id(el: &Element) -> Result<Option<String>, WireError> {
    id_within(el, MAX_PART_BYTES)
}

/// The `id` of a message, which its sender chose.
pub(super) fn message_id(el: &Element) -> Result<Option<String>, WireError> {
    id_within(el, MAX_MESSAGE_ID_BYTES)
}

fn id_within(el: &Element, max: usize) -> Result<Option<String>, WireError> {
    match el.attr("id") {
        Some(id) if id.len() > max => Err(over(format!("the attribute 'id' is longer than {max} bytes"))),
        id => Ok(id.map(str::to_owned)),
    }
}

/// The language that a stanza says it is in. It must not cost the stanza: an over-long one counts for none.
pub(super) fn lang(el: &Element) -> Option<String> {
    let tag = el.attr_ns(ns::XML, "lang");
    tag.filter(|tag| !tag.is_empty() && tag.len() <= MAX_LANG_BYTES)
        .map(str::to_owned)
}

/// The only child of this name, if there is one; two of them would be ambiguous.
pub(super) fn only<'a>(el: &'a Element, name: &str, ns: &str) -> Result<Option<&'a Element>, WireError> {
    let mut found = el.children().filter(|child| child.is(name, ns));
    let first = found.next();
    match found.next() {
        None => Ok(first),
        Some(_) => Err(bad(format!("<{}/> holds more than one <{name}/>", el.name()))),
    }
}

/// The only child of this name, which must be there.
pub(super) fn required_child<'a>(el: &'a Element, name: &str, ns: &str) -> Result<&'a Element, WireError> {
    only(el, name, ns)?.ok_or_else(|| bad(format!("<{}/> lacks <{name}/>", el.name())))
}

/// The text of an element, bounded.
pub(super) fn text(el: &Element) -> Result<String, WireError> {
    let text = el.text();
    if text.len() > MAX_TEXT_BYTES {
        return Err(over(format!(
            "the text of <{}/> is longer than {MAX_TEXT_BYTES} bytes",
            el.name()
        )));
    }
    Ok(text)
}

/// The text of a child that may be absent.
pub(super) fn child_text(el: &Element, name: &str, ns: &str) -> Result<Option<String>, WireError> {
    only(el, name, ns)?.map(text).transpose()
}

/// An attribute that holds text, as an actor's or a venue's; may be absent.
pub(super) fn text_attr(el: &Element, name: &str) -> Result<Option<String>, WireError> {
    match el.attr(name) {
        Some(value) if value.len() > MAX_TEXT_BYTES => Err(over(format!(
            "the attribute '{name}' is longer than {MAX_TEXT_BYTES} bytes"
        ))),
        value => Ok(value.map(str::to_owned)),
    }
}
