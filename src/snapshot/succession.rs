//! An instance's part in the succession, in the stored form: its last statement as it is told, and what only it knows.

use std::collections::{BTreeMap, BTreeSet};

use minidom::Element;

use super::{NS, bare, number, offer, part, push_attr, required, wrong};
use crate::address::BareJid;
use crate::engine::stored::StoredSuccession;
use crate::error::RestoreError;
use crate::succession::{Edition, Moment, StoredParty};
use crate::wire::{IqKind, Request, Succession, Unfit, read_edition, write_edition};

pub(super) fn write(out: &mut String, stored: &StoredSuccession) {
    let party = &stored.party;
    out.push_str("<succession");
    if let Some(past) = party.past {
        push_attr(out, "past-life", &past.life.to_string());
        push_attr(out, "past-serial", &past.serial.to_string());
    }
    if party.has_released {
        push_attr(out, "released", "true");
    }
    if party.recalled.is_some() {
        push_attr(out, "recovering", "true");
    }
    out.push('>');
    let told = Succession {
        said: party.said.clone(),
        line: party.line.clone(),
        echo: None,
    };
    out.push_str(&Request::Succession(Box::new(told)).to_xml());
    write_names(out, "known", &party.known);
    write_names(out, "recalled", party.recalled.iter().flatten());
    for edition in &party.owed {
        out.push_str("<owed");
        push_attr(out, "edition", &write_edition(edition));
        out.push('>');
        let offers = stored.decided.get(edition).into_iter().flatten();
        offers.for_each(|decided| offer::write(out, decided));
        out.push_str("</owed>");
    }
    out.push_str("</succession>");
}

fn write_names<'a>(out: &mut String, name: &str, names: impl IntoIterator<Item = &'a BareJid>) {
    for jid in names {
        out.push('<');
        out.push_str(name);
        push_attr(out, "jid", jid.as_str());
        out.push_str("/>");
    }
}

pub(super) fn read(el: &Element, unfit: &mut Unfit) -> Result<StoredSuccession, RestoreError> {
    let told = el.get_child("succession", crate::wire::ns::OURS);
    let told = told.ok_or_else(|| wrong("a succession without a statement"))?;
    let told = Request::parse(IqKind::Set, &String::from(told));
    let Ok(Request::Succession(told)) = told else {
        return Err(wrong("bad statement"));
    };
    let past = match (number(el, "past-life")?, number(el, "past-serial")?) {
        (Some(life), Some(serial)) => Some(Moment { life, serial }),
        _ => None,
    };
    let names = |name: &str| -> BTreeSet<BareJid> {
        let named = el.children().filter(|child| child.is(name, NS));
        named.filter_map(|child| bare(child, "jid").ok()).collect()
    };
    let mut decided = BTreeMap::new();
    for owed in el.children().filter(|child| child.is("owed", NS)) {
        let Some((edition, offers)) = part(read_owed(owed, unfit), unfit) else {
            continue;
        };
        decided.insert(edition, offers);
    }
    let party = StoredParty {
        said: told.said,
        line: told.line,
        past,
        recalled: (el.attr("recovering") == Some("true")).then(|| names("recalled")),
        owed: decided.keys().cloned().collect(),
        known: names("known"),
        has_released: el.attr("released") == Some("true"),
    };
    decided.retain(|_, offers| !offers.is_empty());
    Ok(StoredSuccession { party, decided })
}

type Owed = (Edition<BareJid>, Vec<crate::engine::Offer>);

fn read_owed(el: &Element, unfit: &mut Unfit) -> Result<Owed, RestoreError> {
    let edition = read_edition(required(el, "edition")?).map_err(|_| wrong("bad edition"))?;
    let mut offers = Vec::new();
    for child in el.children().filter(|child| child.is("offer", NS)) {
        offers.extend(part(offer::read(child), unfit).map(|(_, offer)| offer));
    }
    Ok((edition, offers))
}
