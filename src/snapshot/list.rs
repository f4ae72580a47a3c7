//! A room's list of affiliations in its stored form: within the room, or beside it as a base and changes.

use std::collections::BTreeMap;

use minidom::Element;

use super::{NS, bare, part, push_attr, required, write_rosters, wrong};
use crate::address::{BareJid, Jid};
use crate::engine::beside::{ListToStore, StoredEntry};
use crate::engine::stored::StoredRoom;
use crate::error::RestoreError;
use crate::wire::{Affiliation, Hlc, RosterExtra, RosterItem, Unfit};

/// What of the list a host stores beside a room, before it stores the room ([`crate::Engine::snapshot_in_parts`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListPart {
    /// Nothing: the list is in the snapshot. What is beside the room is out of date as soon as that is stored.
    Within,
    /// All of the list, as XML: takes the place of everything there as soon as the snapshot is stored.
    Whole(String),
    /// Entries as they are now, as XML: goes behind what is there.
    Changes(String),
    /// Nothing: what is there is the list.
    Unchanged,
}

impl ListPart {
    pub(super) fn of(list: ListToStore) -> ListPart {
        match list {
            ListToStore::Within => ListPart::Within,
            ListToStore::Whole(entries) => ListPart::Whole(to_xml(entries, true)),
            ListToStore::Changes(entries) => ListPart::Changes(to_xml(entries, false)),
            ListToStore::Unchanged => ListPart::Unchanged,
        }
    }
}

fn to_xml(entries: Vec<StoredEntry>, is_whole: bool) -> String {
    let mut out = format!("<list xmlns='{NS}'");
    if is_whole {
        push_attr(&mut out, "whole", "true");
    }
    out.push('>');
    let mut items = Vec::new();
    let mut bans = String::new();
    for entry in entries {
        if !is_whole || entry.banned_since.is_some() {
            write_ban(&mut bans, &entry.user, entry.banned_since.as_ref());
        }
        items.push(entry.item);
    }
    write_items(&mut out, &items);
    out.push_str(&bans);
    out.push_str("</list>");
    out
}

pub(super) fn write_items(out: &mut String, items: &[RosterItem]) {
    let extra = RosterExtra {
        affiliations: true,
        ..RosterExtra::default()
    };
    write_rosters(out, items, &extra);
}

/// Since when somebody is banned; without that, that it is not.
pub(super) fn write_ban(out: &mut String, user: &BareJid, since: Option<&Hlc>) {
    out.push_str("<ban");
    push_attr(out, "jid", user.as_str());
    if let Some(since) = since {
        push_attr(out, "since", &since.to_string());
    }
    out.push_str("/>");
}

pub(super) fn read_ban(room: &mut StoredRoom, el: &Element, unfit: &mut Unfit) {
    let since = |el: &Element| -> Result<Hlc, RestoreError> {
        required(el, "since")?.parse().map_err(|_| wrong("bad since"))
    };
    let Some(user) = part(bare(el, "jid"), unfit) else {
        return;
    };
    if el.attr("since").is_none() {
        room.bans.remove(&user);
    } else if let Some(since) = part(since(el), unfit) {
        room.bans.insert(user, since);
    }
}

/// Takes a list that is stored beside its room into it.
pub(super) fn read(room: &mut StoredRoom, xml: &str, unfit: &mut Unfit) -> Result<(), RestoreError> {
    if !room.is_list_beside {
        return Err(wrong("its list of affiliations is not stored beside it"));
    }
    let all = crate::wire::stored_element(&format!("<lists xmlns='{NS}'>{xml}</lists>"))
        .map_err(|_| wrong("its list of affiliations is not XML"))?;
    let (mut entries, mut changes) = (None, 0);
    for list in all.children() {
        if !list.is("list", NS) {
            return Err(wrong("an unknown part of its list of affiliations"));
        }
        let before = room.list.len();
        for child in list.children() {
            if child.is("ban", NS) {
                read_ban(room, child, unfit);
            } else {
                super::read_settings(room, child, unfit)?;
            }
        }
        let count = room.list.len() - before;
        match list.attr("whole") {
            Some("true") if entries.is_none() => entries = Some(count),
            _ => changes += count,
        }
    }
    let entries = entries.ok_or_else(|| wrong("its list of affiliations is not there"))?;
    fold(room);
    room.is_list_beside = false;
    // What could not be read is not to be read again.
    room.read_beside = (unfit.count == 0).then_some((entries, changes));
    Ok(())
}

/// Leaves the last of several entries of one user, and none for who is off the list.
fn fold(room: &mut StoredRoom) {
    let mut last: BTreeMap<BareJid, RosterItem> = BTreeMap::new();
    for item in std::mem::take(&mut room.list) {
        if let Some(user) = item.jid.as_ref().map(Jid::to_bare) {
            last.insert(user, item);
        }
    }
    let is_listed = |item: &RosterItem| {
        item.affiliation != Affiliation::None || item.reserved_nick.is_some() || !item.hats.is_empty()
    };
    room.list = last.into_values().filter(is_listed).collect();
}
