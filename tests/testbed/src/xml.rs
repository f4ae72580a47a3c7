//! Small helpers for stanzas.

use anyhow::{Context, Result};
use minidom::{Element, Node};

pub(crate) const CLIENT: &str = "jabber:client";
pub(crate) const MUC: &str = "http://jabber.org/protocol/muc";
pub(crate) const MUC_USER: &str = "http://jabber.org/protocol/muc#user";
pub(crate) const MUC_OWNER: &str = "http://jabber.org/protocol/muc#owner";
pub(crate) const MUC_ADMIN: &str = "http://jabber.org/protocol/muc#admin";
pub(crate) const DATA_FORMS: &str = "jabber:x:data";
pub(crate) const STANZA_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
pub(crate) const DISCO_INFO: &str = "http://jabber.org/protocol/disco#info";
pub(crate) const DISCO_ITEMS: &str = "http://jabber.org/protocol/disco#items";

/// Parses a stanza; without `xmlns` it is in `jabber:client`, as on a client's stream.
pub fn stanza(xml: &str) -> Result<Element> {
    Element::from_reader_with_prefixes(xml.trim().as_bytes(), CLIENT.to_owned())
        .with_context(|| format!("parsing {xml}"))
}

/// XML as text.
pub fn to_string(element: &Element) -> String {
    let mut out = Vec::new();
    match element.write_to(&mut out) {
        Ok(()) => String::from_utf8_lossy(&out).into_owned(),
        Err(e) => format!("<!-- {e} -->"),
    }
}

/// The body of a message.
pub fn body(message: &Element) -> Option<String> {
    message.get_child("body", CLIENT).map(Element::text)
}

/// The condition of an error stanza, `conflict` for example.
pub fn error_condition(stanza: &Element) -> Option<String> {
    let error = stanza.get_child("error", CLIENT)?;
    let condition = error
        .children()
        .find(|c| c.ns() == STANZA_ERRORS && c.name() != "text")?;
    Some(condition.name().to_owned())
}

/// The status codes of a presence or message from a room.
pub fn code_list(stanza: &Element) -> Vec<u16> {
    let Some(x) = stanza.get_child("x", MUC_USER) else {
        return Vec::new();
    };
    x.children()
        .filter(|c| c.is("status", MUC_USER))
        .filter_map(|c| c.attr("code").and_then(|code| code.parse().ok()))
        .collect()
}

/// Escapes text for XML.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&apos;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

/// The same XML with one namespace replaced, for streams of components (`jabber:component:accept`).
///
/// Only from the root down: a message inside another element says `jabber:client` on every stream.
pub(crate) fn rename_namespace(element: &Element, from: &str, to: &str) -> Element {
    let ns = element.ns();
    if ns != from {
        return element.clone();
    }
    let mut copy = Element::bare(element.name(), to);
    *copy.attrs_mut() = element.attrs().clone();
    for node in element.nodes() {
        copy.append_node(match node {
            Node::Element(child) => Node::Element(rename_namespace(child, from, to)),
            Node::Text(text) => Node::Text(text.clone()),
        });
    }
    copy
}

/// Sets an attribute (without a namespace) of an element.
pub fn set_attr(element: &mut Element, name: &str, value: &str) -> Result<()> {
    let name = rxml::NcName::try_from(name).with_context(|| format!("attribute {name:?}"))?;
    element
        .attrs_mut()
        .insert(rxml::Namespace::NONE, name, value.to_owned());
    Ok(())
}
/// Letters and digits that look random, of which no packing makes much less; others for each `seed`.
pub fn noise(seed: u32, bytes: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    // xorshift64*
    let mut state = u64::from(seed)
        .wrapping_add(1)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let letters = std::iter::repeat_with(|| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        let random = state.wrapping_mul(0x2545_F491_4F6C_DD1D);
        char::from(LETTERS[usize::try_from(random >> 58).unwrap_or(0)])
    });
    letters.take(bytes).collect()
}
