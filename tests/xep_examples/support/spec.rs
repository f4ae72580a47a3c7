//! The examples of the specification, read from a copy of its source.

use super::xml::compare;
use dmuc::wire::{Stanza, write_iq, write_message, write_presence};

const SPEC: &str = include_str!("../xep-0281.xml");

const TESTS: [&str; 5] = [
    include_str!("../creating.rs"),
    include_str!("../replicating.rs"),
    include_str!("../finding.rs"),
    include_str!("../joining.rs"),
    include_str!("../sending.rs"),
];

/// Caption and text of every example, in order, as they stand in the specification.
pub fn examples() -> Vec<(&'static str, &'static str)> {
    SPEC.split("<example caption='")
        .skip(1)
        .map(|rest| {
            let (caption, rest) = rest
                .split_once("'><![CDATA[")
                .expect("an example has a caption and CDATA");
            (
                caption,
                rest.split_once("]]></example>").expect("an example ends").0,
            )
        })
        .collect()
}

/// The literal text of the n-th example of this caption, counted from 1.
pub fn literal(caption: &str, n: usize) -> &'static str {
    let mut found = examples().into_iter().filter(|example| example.0 == caption);
    found
        .nth(n - 1)
        .unwrap_or_else(|| panic!("there is no example {n} called {caption:?}"))
        .1
}

/// An example as it was meant: without the dots that stand for more fields, and with what XML needs.
pub fn repaired(caption: &str, n: usize) -> String {
    literal(caption, n)
        .replace("\n...", "")
        .replace(
            "/mobile'\n<x xmlns='jabber:x:conference'",
            "/mobile'>\n<x xmlns='jabber:x:conference'",
        )
        .replace("type='result'/>\n<history", "type='result'>\n<history")
}

/// Parses the only stanza of an example, produces it again, and expects the same XML.
pub fn round_trip(caption: &str) -> Stanza {
    round_trip_text(&repaired(caption, 1))
}

/// Parses a stanza, produces it again, and expects the same XML.
pub fn round_trip_text(xml: &str) -> Stanza {
    let stanza = Stanza::parse(xml.trim()).unwrap_or_else(|error| panic!("{error}\n{xml}"));
    let produced = match &stanza {
        Stanza::Iq(iq) => write_iq(iq),
        Stanza::Presence(presence) => write_presence(presence),
        Stanza::Message(message) => write_message(message),
    };
    compare(&produced, xml);
    stanza
}

#[test]
fn every_caption_of_the_specification_has_a_test() {
    let mut seen = Vec::new();
    for (caption, _) in examples() {
        seen.push(caption);
        let stem = caption.to_lowercase().replace(' ', "_");
        let name = match seen.iter().filter(|other| **other == caption).count() {
            1 => stem,
            n => format!("{stem}_{n}"),
        };
        let test = format!("#[test]\nfn {name}() {{");
        assert!(
            TESTS.iter().any(|source| source.contains(&test)),
            "there is no test {name}"
        );
    }
    assert_eq!(seen.len(), 25, "the specification has as many examples as it had");
}
