//! Opaque payloads: the children of a presence or message as text (module docs of [`super`]).

use minidom::{Element, Node, rxml};

use super::dom::{bad, over, parse};
use super::limits::{MAX_PAYLOAD_BYTES, MAX_PAYLOAD_DEPTH};
use super::text::push_escaped;
use super::{WireError, ns};

/// Checks that a payload is well-formed, bounded, and only elements.
///
/// Prosody has parsed what it hands us; a C program may not have, and one stray `</message>` in a payload would
/// speak with our voice. For cold paths and for the C binding.
pub fn check_payload(payload: &str) -> Result<(), WireError> {
    if payload.len() > MAX_PAYLOAD_BYTES {
        return Err(over(format!(
            "the payload is larger than {MAX_PAYLOAD_BYTES} bytes"
        )));
    }
    let wrapped = parse(&format!("<p xmlns='{}'>{payload}</p>", ns::CLIENT), usize::MAX)?;
    if wrapped.texts().any(|text| !text.trim().is_empty()) {
        return Err(bad("there is text between the elements of the payload"));
    }
    wrapped.children().try_for_each(check_depth)
}

/// Appends a payload to an answer that holds more than it.
///
/// A host hands over what its clients send, which may be more than a peer takes (too deep, or `<xml:a/>`). A peer that
/// refuses the whole answer would ask for it for ever, so what it cannot take is left out.
pub(super) fn push_sound(out: &mut String, payload: &str) {
    if check_payload(payload).is_ok() {
        out.push_str(payload);
    }
}

/// How many levels of elements there are, the element itself included.
pub(super) fn depth(el: &Element) -> usize {
    1 + el.children().map(depth).max().unwrap_or(0)
}

fn check_depth(el: &Element) -> Result<(), WireError> {
    if depth(el) > MAX_PAYLOAD_DEPTH {
        return Err(over(format!(
            "the payload is nested deeper than {MAX_PAYLOAD_DEPTH} levels"
        )));
    }
    Ok(())
}

/// The elements of a payload, each exactly as it stands there.
pub fn split_payload(payload: &str) -> Result<Vec<&str>, WireError> {
    check_payload(payload)?;
    let mut elements = Vec::new();
    let (mut depth, mut start, mut at) = (0_usize, 0, 0);
    while let Some(open) = payload
        .get(at..)
        .and_then(|rest| rest.find('<'))
        .map(|found| at + found)
    {
        let rest = payload.get(open..).unwrap_or_default();
        if rest.starts_with("<![CDATA[") {
            at = open + rest.find("]]>").map_or(rest.len(), |end| end + 3);
            continue;
        }
        if depth == 0 {
            start = open;
        }
        let length = tag_length(rest);
        let tag = rest.get(..length).unwrap_or_default();
        at = open + length;
        if tag.starts_with("</") {
            depth = depth.saturating_sub(1);
        } else if !tag.ends_with("/>") {
            depth += 1;
        }
        if depth == 0 {
            elements.push(payload.get(start..at).unwrap_or_default());
        }
    }
    Ok(elements)
}

/// The bytes of the tag that starts here, up to its `>` outside of quotes.
fn tag_length(rest: &str) -> usize {
    let mut quote = None;
    for (i, b) in rest.bytes().enumerate() {
        match quote {
            Some(open) if b == open => quote = None,
            Some(_) => {}
            None if b == b'\'' || b == b'"' => quote = Some(b),
            None if b == b'>' => return i + 1,
            None => {}
        }
    }
    rest.len()
}

/// Writes the children of an element that pass the filter as a payload, within [`MAX_PAYLOAD_BYTES`] and
/// [`MAX_PAYLOAD_DEPTH`].
pub(super) fn collect(el: &Element, mut keep: impl FnMut(&Element) -> bool) -> Result<String, WireError> {
    let mut out = String::new();
    for child in el.children().filter(|child| keep(child)) {
        check_depth(child)?;
        write(&mut out, child, ns::CLIENT);
        if out.len() > MAX_PAYLOAD_BYTES {
            return Err(over(format!(
                "the payload is larger than {MAX_PAYLOAD_BYTES} bytes"
            )));
        }
    }
    Ok(out)
}

/// Writes all children of an element, as a control payload whose size was checked when it was parsed.
pub(super) fn collect_all(el: &Element) -> String {
    let mut out = String::new();
    el.children().for_each(|child| write(&mut out, child, ns::CLIENT));
    out
}

/// Writes an element as Prosody does: namespaces as `xmlns`, never as prefixes, except for attributes.
pub(super) fn write(out: &mut String, el: &Element, parent_ns: &str) {
    let namespace = el.ns();
    out.push('<');
    out.push_str(el.name());
    if namespace != parent_ns {
        push_attr(out, "xmlns", &namespace);
    }
    for (i, ((attr_ns, name), value)) in el.attrs().iter().enumerate() {
        if attr_ns.is_none() {
            push_attr(out, name, value);
        } else if *attr_ns == *rxml::Namespace::xml() {
            push_attr(out, &format!("xml:{name}"), value);
        } else {
            push_attr(out, &format!("xmlns:ns{i}"), attr_ns);
            push_attr(out, &format!("ns{i}:{name}"), value);
        }
    }
    if el.nodes().next().is_none() {
        out.push_str("/>");
        return;
    }
    out.push('>');
    for node in el.nodes() {
        match node {
            Node::Element(child) => write(out, child, &namespace),
            Node::Text(text) => push_escaped(out, text),
        }
    }
    out.push_str("</");
    out.push_str(el.name());
    out.push('>');
}

fn push_attr(out: &mut String, name: &str, value: &str) {
    out.push(' ');
    out.push_str(name);
    out.push_str("='");
    push_escaped(out, value);
    out.push('\'');
}
