//! `<hats/>` (XEP-0317): what the source says about somebody besides the affiliation, for everybody to see.

use std::collections::BTreeSet;

use minidom::Element;

use super::dom::{bad, lang, over, parse, required};
use super::limits::{MAX_CONTROL_BYTES, MAX_HAT_BYTES, MAX_HAT_DEPTH, MAX_HAT_PAYLOAD_BYTES, MAX_HATS};
use super::payload::{depth, write};
use super::text::Tag;
use super::{WireError, ns};

/// `<hats xmlns='urn:xmpp:hats:0'><hat uri='…' title='…' hue='…' xml:lang='…'>…</hat></hats>`: the hats of one person, in the order of their URIs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hats(Vec<Hat>);

/// One hat.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hat {
    /// What identifies it, 1 to [`MAX_HAT_BYTES`] bytes.
    pub uri: String,
    /// How it is called, at most [`MAX_HAT_BYTES`] bytes.
    pub title: Option<String>,
    /// Its colour, an angle in degrees, as it was given: at most [`MAX_HAT_BYTES`] bytes.
    pub hue: Option<String>,
    /// The language of the title.
    pub lang: Option<String>,
    /// Its children as text, in the form in which they stand in it: at most [`MAX_HAT_PAYLOAD_BYTES`] bytes and [`MAX_HAT_DEPTH`]
    /// levels.
    pub payload: String,
}

impl Hats {
    /// Parses the element. `bad-request` for a hat without a URI and for two with the same one, `policy-violation` for
    /// what is over a limit.
    pub fn parse(xml: &str) -> Result<Hats, WireError> {
        let el = parse(xml, MAX_CONTROL_BYTES)?;
        if !el.is("hats", ns::HATS) {
            return Err(bad("these are not hats"));
        }
        Hats::read(&el)
    }

    pub(super) fn read(el: &Element) -> Result<Hats, WireError> {
        let (mut hats, mut named) = (Vec::new(), BTreeSet::new());
        for hat in el.children().filter(|child| child.is("hat", ns::HATS)) {
            let (uri, title, hue) = (required(hat, "uri")?, hat.attr("title"), hat.attr("hue"));
            if uri.is_empty() || !named.insert(uri) {
                return Err(bad("a hat has no URI of its own"));
            }
            if hats.len() == MAX_HATS {
                return Err(over(format!("one person has more than {MAX_HATS} hats")));
            }
            let is_long = |text: Option<&str>| text.is_some_and(|text| text.len() > MAX_HAT_BYTES);
            if is_long(Some(uri)) || is_long(title) || is_long(hue) {
                return Err(over(format!("a hat is longer than {MAX_HAT_BYTES} bytes")));
            }
            hats.push(Hat {
                uri: uri.to_owned(),
                title: title.map(str::to_owned),
                hue: hue.map(str::to_owned),
                lang: lang(hat),
                payload: payload_of(hat)?,
            });
        }
        hats.sort();
        Ok(Hats(hats))
    }

    /// The hats, in the order of their URIs.
    pub fn iter(&self) -> impl Iterator<Item = &Hat> {
        self.0.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The element as text; nothing if there is no hat.
    pub fn to_xml(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    pub(super) fn write(&self, out: &mut String) {
        if self.is_empty() {
            return;
        }
        Tag::within(out, "hats", ns::HATS).body(|out| {
            for hat in &self.0 {
                Tag::new(out, "hat")
                    .attr("uri", &hat.uri)
                    .opt("title", hat.title.as_deref())
                    .opt("hue", hat.hue.as_deref())
                    .opt("xml:lang", hat.lang.as_deref())
                    .body(|out| out.push_str(&hat.payload));
            }
        });
    }
}

fn payload_of(hat: &Element) -> Result<String, WireError> {
    let mut payload = String::new();
    for child in hat.children() {
        if depth(child) > MAX_HAT_DEPTH {
            return Err(over(format!(
                "what a hat holds is nested deeper than {MAX_HAT_DEPTH} levels"
            )));
        }
        write(&mut payload, child, ns::HATS);
    }
    if payload.len() > MAX_HAT_PAYLOAD_BYTES {
        return Err(over(format!(
            "what a hat holds is larger than {MAX_HAT_PAYLOAD_BYTES} bytes"
        )));
    }
    Ok(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hats(hat: &str) -> Result<Hats, WireError> {
        Hats::parse(&format!("<hats xmlns='urn:xmpp:hats:0'>{hat}</hats>"))
    }

    /// The example of XEP-0317 section 3.1.
    #[test]
    fn a_hat_is_kept_whole() {
        let xml = "<hats xmlns='urn:xmpp:hats:0'><hat uri='http://schemas.example.com/hats#host' title='Host' hue='327.255249' \
                   xml:lang='en-us'><badge xmlns='urn:example:badges' level='3'><own xmlns='urn:xmpp:hats:0'/>a &amp; b</badge><hat/>\
                   <x xmlns='jabber:client'/></hat></hats>";
        let read = Hats::parse(xml).unwrap();
        let hat = read.iter().next().unwrap();
        assert_eq!(
            (hat.hue.as_deref(), hat.lang.as_deref()),
            (Some("327.255249"), Some("en-us"))
        );
        assert_eq!(read.to_xml(), xml);
        assert_eq!(Hats::parse(&read.to_xml()).unwrap(), read);
    }

    #[test]
    fn what_a_hat_holds_is_bounded() {
        let filled = |bytes: usize| hats(&format!("<hat uri='x'><a b='{}'/></hat>", "c".repeat(bytes)));
        assert!(filled(MAX_HAT_PAYLOAD_BYTES - 9).is_ok());
        let nested = |levels: usize| {
            hats(&format!(
                "<hat uri='x'>{}{}</hat>",
                "<a>".repeat(levels),
                "</a>".repeat(levels)
            ))
        };
        assert!(nested(MAX_HAT_DEPTH).is_ok());
        let long = hats(&format!("<hat uri='x' hue='{}'/>", "1".repeat(MAX_HAT_BYTES + 1)));
        for refused in [filled(MAX_HAT_PAYLOAD_BYTES - 8), nested(MAX_HAT_DEPTH + 1), long] {
            assert_eq!(
                refused.unwrap_err().condition,
                super::super::Condition::PolicyViolation
            );
        }
        // A language that is none costs nothing else.
        let odd = hats(&format!("<hat uri='x' xml:lang='{}'/>", "l".repeat(65))).unwrap();
        assert_eq!(odd, hats("<hat uri='x'/>").unwrap());
    }

    #[test]
    fn what_is_different_about_a_hat_is_news() {
        let plain = hats("<hat uri='x'/>").unwrap();
        for other in [
            "<hat uri='x' hue='1'/>",
            "<hat uri='x' xml:lang='en'/>",
            "<hat uri='x'><a/></hat>",
        ] {
            assert_ne!(hats(other).unwrap(), plain, "{other}");
        }
    }
}
