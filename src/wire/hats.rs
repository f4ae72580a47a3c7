//! `<hats/>` (XEP-0317): what the source says about somebody besides the affiliation, for everybody to see.

use std::collections::BTreeSet;

use minidom::Element;

use super::dom::{bad, over, parse, required};
use super::limits::{MAX_CONTROL_BYTES, MAX_HAT_BYTES, MAX_HATS};
use super::text::Tag;
use super::{WireError, ns};

/// `<hats xmlns='urn:xmpp:hats:0'><hat uri='…' title='…'/></hats>`: the hats of one person, in the order of their URIs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hats(Vec<Hat>);

/// One hat.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hat {
    /// What identifies it, 1 to [`MAX_HAT_BYTES`] bytes.
    pub uri: String,
    /// How it is called, at most [`MAX_HAT_BYTES`] bytes.
    pub title: Option<String>,
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
            let (uri, title) = (required(hat, "uri")?, hat.attr("title"));
            if uri.is_empty() || !named.insert(uri) {
                return Err(bad("a hat has no URI of its own"));
            }
            if hats.len() == MAX_HATS {
                return Err(over(format!("one person has more than {MAX_HATS} hats")));
            }
            if uri.len() > MAX_HAT_BYTES || title.is_some_and(|title| title.len() > MAX_HAT_BYTES) {
                return Err(over(format!("a hat is longer than {MAX_HAT_BYTES} bytes")));
            }
            hats.push(Hat {
                uri: uri.to_owned(),
                title: title.map(str::to_owned),
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
                    .empty();
            }
        });
    }
}
