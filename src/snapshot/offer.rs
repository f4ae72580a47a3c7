//! Changes that wait for the source's decision, in the stored form.

use minidom::Element;

use crate::address::BareJid;
use crate::engine::{Offer, OfferKey, Value};
use crate::error::RestoreError;
use crate::wire::{Listed, Moderation, Subject, escaped, ns};

use super::{NS, optional_bare, push_attr, push_some, required, wrong};

pub(super) fn write(out: &mut String, key: &OfferKey, offer: &Offer) {
    out.push_str("<offer");
    match key {
        OfferKey::Affiliation(jid) => push_attr(out, "affiliation", jid.as_str()),
        OfferKey::Subject => push_attr(out, "subject", "true"),
        OfferKey::Field(var) => push_attr(out, "field", var),
        OfferKey::Moderation(id) => push_attr(out, "message", id),
    }
    push_some(out, "nick", offer.actor_nick.as_deref());
    push_some(out, "actor", offer.actor_jid.as_ref().map(|jid| jid.as_str()));
    push_some(out, "invited", offer.is_invited.then_some("true"));
    push_some(out, "registered", offer.is_registered.then_some("true"));
    out.push('>');
    for (name, value) in [("was", &offer.was), ("base", &offer.base), ("now", &offer.now)] {
        write_value(out, name, value);
    }
    out.push_str("</offer>");
}

fn write_value(out: &mut String, name: &str, value: &Value) {
    out.push_str(&format!("<{name}"));
    match value {
        Value::Listed(entry) => {
            push_attr(out, "affiliation", entry.affiliation.as_str());
            push_some(out, "nick", entry.nick.as_deref());
            out.push_str("/>");
        }
        Value::Subject(None) => out.push_str("/>"),
        Value::Subject(Some(subject)) => {
            push_some(out, "nick", subject.nick.as_deref());
            push_attr(out, "stamp", &subject.stamp.to_string());
            out.push_str(&format!(">{}</{name}>", escaped(&subject.text)));
        }
        Value::Moderated(moderation) => {
            out.push('>');
            out.push_str(&moderation.as_ref().map_or(String::new(), Moderation::to_xml));
            out.push_str(&format!("</{name}>"));
        }
        Value::Field(values) => {
            out.push('>');
            for value in values {
                out.push_str(&format!("<value>{}</value>", escaped(value)));
            }
            out.push_str(&format!("</{name}>"));
        }
    }
}

pub(super) fn read(el: &Element) -> Result<(OfferKey, Offer), RestoreError> {
    let key = if el.attr("affiliation").is_some() {
        let jid = optional_bare(el, "affiliation")?;
        OfferKey::Affiliation(jid.ok_or_else(|| wrong("an offer about nobody"))?)
    } else if let Some(var) = el.attr("field") {
        OfferKey::Field(var.to_owned())
    } else if let Some(id) = el.attr("message") {
        OfferKey::Moderation(id.to_owned())
    } else {
        OfferKey::Subject
    };
    let value = |name: &str| {
        let el = el
            .get_child(name, NS)
            .ok_or_else(|| wrong("an offer without a value"))?;
        read_value(&key, el)
    };
    let actor_jid: Option<BareJid> = optional_bare(el, "actor")?;
    let offer = Offer {
        actor_nick: el.attr("nick").map(str::to_owned),
        actor_jid,
        was: value("was")?,
        base: value("base")?,
        now: value("now")?,
        is_asked: false,
        is_invited: el.attr("invited") == Some("true"),
        is_registered: el.attr("registered") == Some("true"),
    };
    Ok((key, offer))
}

fn read_value(key: &OfferKey, el: &Element) -> Result<Value, RestoreError> {
    Ok(match key {
        OfferKey::Affiliation(_) => Value::Listed(Listed {
            affiliation: required(el, "affiliation")?
                .parse()
                .map_err(|_| wrong("bad affiliation"))?,
            nick: el.attr("nick").map(str::to_owned),
        }),
        OfferKey::Subject => Value::Subject(match el.attr("stamp") {
            None => None,
            Some(stamp) => Some(Subject {
                nick: el.attr("nick").map(str::to_owned),
                stamp: stamp.parse().map_err(|_| wrong("bad stamp"))?,
                text: el.text(),
            }),
        }),
        OfferKey::Moderation(_) => Value::Moderated(match el.get_child("moderate", ns::OURS) {
            None => None,
            Some(el) => Some(Moderation::read(el).map_err(|_| wrong("bad moderation"))?),
        }),
        OfferKey::Field(_) => Value::Field(el.children().map(Element::text).collect()),
    })
}
