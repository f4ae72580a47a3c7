//! What tests of rooms and their administration ask: forms, lists, the engine's view of a room.

use anyhow::{Context, Result};
use dmuc_testbed::{Client, Element, Federation};

const DATA_FORMS: &str = "jabber:x:data";
const MUC_USER: &str = "http://jabber.org/protocol/muc#user";

/// A field of a form.
pub fn field<'a>(form: &'a Element, var: &str) -> Option<&'a Element> {
    form.children()
        .find(|child| child.is("field", DATA_FORMS) && child.attr("var") == Some(var))
}

/// The first value of a field of a form.
pub fn value(form: &Element, var: &str) -> Option<String> {
    field(form, var)?
        .get_child("value", DATA_FORMS)
        .map(Element::text)
}

/// The form of this type in an answer to disco#info.
pub fn info_form<'a>(info: &'a Element, form_type: &str) -> Option<&'a Element> {
    info.children()
        .find(|child| child.is("x", DATA_FORMS) && value(child, "FORM_TYPE").as_deref() == Some(form_type))
}

/// Whether an answer to disco#info has this feature.
pub fn has_feature(info: &Element, var: &str) -> bool {
    info.children()
        .any(|child| child.name() == "feature" && child.attr("var") == Some(var))
}

/// The JIDs and names in an answer to disco#items.
pub fn items(query: &Element) -> Vec<(String, String)> {
    query
        .children()
        .filter(|child| child.name() == "item")
        .map(|item| {
            let attr = |name| item.attr(name).unwrap_or_default().to_owned();
            (attr("jid"), attr("name"))
        })
        .collect()
}

/// `source`, `shadow`, `pending`, or nothing for an ordinary room, as `module:role` says it.
pub async fn role(fed: &Federation, server: usize, room: &str) -> Result<Option<String>> {
    let muc = fed[server].muc().to_owned();
    let found = fed[server]
        .eval(&format!(
            "return (prosody.hosts['{muc}'].modules.dmuc.role('{room}')) or 'none'"
        ))
        .await?;
    let role = found.as_str().context("a role")?;
    Ok((role != "none").then(|| role.to_owned()))
}

/// Sends the configuration form as an owner does who fills in a few fields.
pub async fn submit(client: &Client, room: &str, fields: &[(&str, &str)]) -> Result<Element> {
    let fields: String = fields
        .iter()
        .map(|(var, value)| format!("<field var='{var}'><value>{value}</value></field>"))
        .collect();
    client
        .iq_xml(&format!(
            "<iq type='set' to='{room}'><query xmlns='http://jabber.org/protocol/muc#owner'>\
             <x xmlns='{DATA_FORMS}' type='submit'><field var='FORM_TYPE'>\
             <value>http://jabber.org/protocol/muc#roomconfig</value></field>{fields}</x></query></iq>"
        ))
        .await
}

/// Where a direct invitation (XEP-0249) leads.
pub fn invited_to(message: &Element) -> Option<&str> {
    message.get_child("x", "jabber:x:conference")?.attr("jid")
}

/// The `<item/>` of a presence.
pub fn item(presence: &Element) -> Option<&Element> {
    presence.get_child("x", MUC_USER)?.get_child("item", MUC_USER)
}

/// An attribute of the `<item/>` of a presence, or nothing.
pub fn item_attr<'a>(presence: &'a Element, name: &'a str) -> &'a str {
    item(presence)
        .and_then(|item| item.attr(name))
        .unwrap_or_default()
}

/// The reason in the `<item/>` of a presence.
pub fn reason(presence: &Element) -> Option<String> {
    item(presence)?.get_child("reason", MUC_USER).map(Element::text)
}

/// Waits for the presence that takes `nick` out of `room`.
pub async fn gone(client: &Client, room: &str, nick: &str) -> Result<Element> {
    let jid = format!("{room}/{nick}");
    client
        .expect(&format!("{jid} leaves"), |s| {
            s.name() == "presence" && s.attr("type") == Some("unavailable") && s.attr("from") == Some(&*jid)
        })
        .await
}

/// Waits for an available presence of `nick` in `room`.
pub async fn here(client: &Client, room: &str, nick: &str) -> Result<Element> {
    let jid = format!("{room}/{nick}");
    client
        .expect(&format!("{jid} is there"), |s| {
            s.name() == "presence" && s.attr("type").is_none() && s.attr("from") == Some(&*jid)
        })
        .await
}

/// Without the field that names the source for what it is (XEP-0281 section 3.3).
pub fn without_source(element: &Element) -> Element {
    let mut copy = Element::bare(element.name(), element.ns());
    *copy.attrs_mut() = element.attrs().clone();
    for node in element.nodes() {
        match node.as_element() {
            Some(child) if child.attr("var") == Some("dmuc-source") => {}
            Some(child) => {
                copy.append_child(without_source(child));
            }
            None => copy.append_node(node.clone()),
        }
    }
    copy
}
