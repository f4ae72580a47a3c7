//! Comparing XML: attributes in any order, white space between elements does not count.

use minidom::{Element, Node};

/// Parses XML whose root may leave its namespace to the stream.
pub fn element(xml: &str) -> Element {
    let client = Some("jabber:client".to_owned());
    Element::from_reader_with_prefixes(xml.trim().as_bytes(), client)
        .unwrap_or_else(|error| panic!("{error}\n{xml}"))
}

/// The child of this name, in whatever namespace.
pub fn child<'a>(el: &'a Element, name: &str) -> &'a Element {
    el.children()
        .find(|child| child.name() == name)
        .unwrap_or_else(|| panic!("there is no <{name}/>"))
}

/// Expects two pieces of XML to be the same.
#[track_caller]
pub fn compare(produced: &str, expected: &str) {
    assert_eq!(
        canonical(&element(produced)),
        canonical(&element(expected)),
        "\n{produced}\n{expected}"
    );
}

fn canonical(el: &Element) -> String {
    let mut attrs: Vec<String> = el
        .attrs()
        .iter()
        .map(|((ns, name), value)| format!(" {{{ns}}}{name}={value:?}"))
        .collect();
    attrs.sort();
    let mut out = format!("\n<{{{}}}{}{}>", el.ns(), el.name(), attrs.concat());
    for node in el.nodes() {
        match node {
            Node::Element(child) => out.push_str(&canonical(child)),
            Node::Text(text) if text.trim().is_empty() => {}
            Node::Text(text) => out.push_str(&format!("{:?}", text.trim())),
        }
    }
    out + "</>"
}
