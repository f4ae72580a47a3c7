//! `<error/>` from and to XML (RFC 6120 section 8.3), and what a redirect points to (XEP-0281 section 3.5).

use crate::address::BareJid;
use minidom::Element;

use super::dom::{parse, to_bare};
use super::limits::{MAX_CONTROL_BYTES, MAX_TEXT_BYTES};
use super::text::{Tag, beginning};
use super::{Condition, ErrorType, StanzaError, WireError, ns};

impl StanzaError {
    /// The `<redirect/>` a user of a peer's domains gets who joins the source: it holds the URI that joins the shadow
    /// (`xmpp:theroom@rooms.macbeth.lit?join`, RFC 5122 and XEP-0147), as DESIGN section 4 corrects the XEP.
    pub fn redirect(shadow: &BareJid) -> StanzaError {
        let mut target = String::from("xmpp:");
        push_uri(&mut target, shadow.as_str());
        target.push_str("?join");
        StanzaError {
            target: Some(target),
            ..StanzaError::new(Condition::Redirect)
        }
    }

    /// The address in `<redirect/>` or `<gone/>`: an XMPP URI as RFC 6120 wants, or a plain JID as in the XEP's example.
    pub fn redirect_target(&self) -> Option<BareJid> {
        let target = self.target.as_deref()?.trim();
        let Some(uri) = target.strip_prefix("xmpp:") else {
            // What has another scheme would be a domain, too.
            let is_uri = target.split(['@', '/', '[']).next()?.contains(':');
            return to_bare("target", target).ok().filter(|_| !is_uri);
        };
        let path = uri.split(['?', '#']).next()?;
        to_bare("target", &percent_decoded(path)?).ok()
    }

    /// From what Prosody's `stanza:get_error()` returns: type, condition and text. Never fails: an error that we do not
    /// understand is still an error.
    pub fn from_parts(kind: Option<&str>, condition: Option<&str>, text: Option<&str>) -> StanzaError {
        let condition = condition
            .and_then(Condition::from_name)
            .unwrap_or(Condition::UndefinedCondition);
        StanzaError {
            kind: kind
                .and_then(ErrorType::from_name)
                .unwrap_or(condition.default_type()),
            condition,
            text: text.filter(|text| !text.is_empty()).map(shortened),
            target: None,
        }
    }

    /// Parses `<error/>`. Only what is not XML fails; text that is too long is cut.
    pub fn parse(xml: &str) -> Result<StanzaError, WireError> {
        Ok(StanzaError::read(&parse(xml, MAX_CONTROL_BYTES)?))
    }

    /// `<error type='…'>` with its condition and text.
    pub fn to_xml(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    pub(super) fn read(el: &Element) -> StanzaError {
        let text = el.get_child("text", ns::STANZAS).map(Element::text);
        let named = el
            .children()
            .find(|child| child.has_ns(ns::STANZAS) && Condition::from_name(child.name()).is_some());
        let target = named
            .map(Element::text)
            .filter(|target| !target.trim().is_empty());
        let error = StanzaError::from_parts(el.attr("type"), named.map(Element::name), text.as_deref());
        StanzaError {
            target: target.as_deref().map(shortened),
            ..error
        }
    }

    pub(super) fn write(&self, out: &mut String) {
        Tag::new(out, "error")
            .attr("type", self.kind.as_str())
            .body(|out| {
                let condition = Tag::within(out, self.condition.as_str(), ns::STANZAS);
                match &self.target {
                    Some(target) => condition.text(target),
                    None => condition.empty(),
                }
                if let Some(text) = &self.text {
                    Tag::within(out, "text", ns::STANZAS).text(text);
                }
            });
    }
}

fn shortened(text: &str) -> String {
    beginning(text, MAX_TEXT_BYTES).to_owned()
}

/// What an XMPP URI may hold unescaped in an address (RFC 5122 section 2.2: unreserved, `@`, `!$*.:_~-`).
fn push_uri(out: &mut String, jid: &str) {
    for b in jid.bytes() {
        match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => out.push(char::from(b)),
            b'@' | b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'*' | b':' => out.push(char::from(b)),
            _ => out.push_str(&format!("%{b:02X}")),
        }
    }
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let (hex, after) = rest.split_at_checked(2)?;
        let digit = |b: &u8| {
            char::from(*b)
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        };
        bytes.push(digit(hex.first()?)? * 16 + digit(hex.get(1)?)?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}
