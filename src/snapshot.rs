//! A room's distributed state as the host stores it: who the instances are, what the source decided, what has been seen
//! of every origin, what waits for the source. Messages are in the stored log, occupants nowhere, except those who were
//! out of reach: nobody else could tell of them after a restart.

mod list;
mod offer;
mod succession;

use std::collections::BTreeMap;

use crate::address::{BareJid, Jid};
use minidom::Element;

use crate::engine::stored::{StoredCut, StoredInstance, StoredRoom};
use crate::engine::{Ending, Remote, Room, Stage};
use crate::error::RestoreError;
use crate::wire::{
    Condition, IqKind, Numbers, OccupantExtra, Request, Role, RoomId, Roster, RosterExtra, RosterItem, Unfit,
    escaped, limits::MAX_RANGES,
};
pub use list::ListPart;
pub(crate) use offer::Stored;

/// Namespace of the stored form, with its version.
const NS: &str = "urn:x-dmuc:0#snapshot";
/// How many items one stored roster has: even with presences of the largest size they can be read back.
const ITEMS_PER_ROSTER: usize = 40;

/// Everything that has to survive a restart besides the messages.
#[derive(Debug, Clone)]
pub struct Snapshot {
    jid: BareJid,
    room: Option<StoredRoom>,
    ending: Option<Ending>,
    /// What was left out when it was read.
    unfit: Unfit,
}

fn wrong(what: impl Into<String>) -> RestoreError {
    RestoreError(what.into())
}

fn required<'a>(el: &'a Element, name: &'static str) -> Result<&'a str, RestoreError> {
    el.attr(name).ok_or_else(|| wrong(format!("no attribute {name}")))
}

fn number(el: &Element, name: &'static str) -> Result<Option<u64>, RestoreError> {
    let parse = |text: &str| text.parse().map_err(|_| wrong(format!("bad {name}")));
    el.attr(name).map(parse).transpose()
}

fn bare(el: &Element, name: &'static str) -> Result<BareJid, RestoreError> {
    BareJid::new(required(el, name)?).map_err(|_| wrong(format!("{name} is no JID")))
}

fn optional_bare(el: &Element, name: &'static str) -> Result<Option<BareJid>, RestoreError> {
    el.attr(name).map(|_| bare(el, name)).transpose()
}

/// What is wrong with a part of a list costs that part.
fn request(el: &Element, unfit: &mut Unfit) -> Result<Request, RestoreError> {
    let (request, left_out) =
        Request::parse_fitting(IqKind::Set, &String::from(el)).map_err(|_| wrong("an unknown part"))?;
    unfit.add(left_out);
    Ok(request)
}

/// A part without which the room is the same one, or nothing: whatever is wrong with it, the room comes back.
fn part<T>(read: Result<T, RestoreError>, unfit: &mut Unfit) -> Option<T> {
    read.map_err(|error| unfit.note(error.0)).ok()
}

fn push_attr(out: &mut String, name: &str, value: &str) {
    out.push_str(&format!(" {name}='{}'", escaped(value)));
}

fn push_some(out: &mut String, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        push_attr(out, name, value);
    }
}

impl Snapshot {
    /// `None` if there is nothing to remember.
    pub(crate) fn of(jid: &BareJid, room: Option<&Room>, ending: Option<&Ending>) -> Option<Snapshot> {
        if room.is_none() && ending.is_none() {
            return None;
        }
        Some(Snapshot {
            jid: jid.clone(),
            room: room.map(|room| StoredRoom::of(room, false)),
            ending: ending.cloned(),
            unfit: Unfit::default(),
        })
    }

    /// The same without a list that is stored beside the room, and what of that is to be stored.
    pub(crate) fn in_parts(
        jid: &BareJid,
        room: Option<&mut Room>,
        ending: Option<&Ending>,
        has_none: bool,
        most_within: usize,
    ) -> Option<(Snapshot, ListPart)> {
        let Some(room) = room else {
            return Some((Snapshot::of(jid, None, ending)?, ListPart::Within));
        };
        let part = ListPart::of(room.list_to_store(has_none, most_within));
        let snapshot = Snapshot {
            jid: jid.clone(),
            room: Some(StoredRoom::of(room, part != ListPart::Within)),
            ending: ending.cloned(),
            unfit: Unfit::default(),
        };
        Some((snapshot, part))
    }

    pub(crate) fn to_room(&self) -> Option<Room> {
        self.room.as_ref().map(StoredRoom::to_room)
    }

    pub(crate) fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    /// What could not be read any more and was left out: an occupant, an entry, a change that waited.
    pub fn unfit(&self) -> &Unfit {
        &self.unfit
    }

    /// The room this is the state of.
    pub fn room(&self) -> &BareJid {
        &self.jid
    }

    /// Whether the room goes on; otherwise only its end has to be told to somebody.
    pub fn is_alive(&self) -> bool {
        self.room.is_some()
    }

    /// As one line of XML.
    pub fn to_xml(&self) -> String {
        let mut out = String::new();
        match &self.room {
            Some(room) => write_room(&mut out, room, self.ending.as_ref()),
            None => {
                if let Some(ending) = &self.ending {
                    write_ending(&mut out, &self.jid, ending);
                }
            }
        }
        out
    }

    /// Reads what [`Snapshot::to_xml`] wrote. What peers had a hand in costs at most itself ([`Snapshot::unfit`]).
    ///
    /// # Errors
    /// [`RestoreError`] says what is wrong with the room itself: its ids, source, role or instances, or that its list is
    /// stored beside it.
    pub fn parse(xml: &str) -> Result<Snapshot, RestoreError> {
        let snapshot = Snapshot::read(xml)?;
        match &snapshot.room {
            Some(room) if room.is_list_beside => Err(wrong("its list of affiliations is stored beside it")),
            _ => Ok(snapshot),
        }
    }

    /// Reads a room and what is stored of its list beside it: the newest base, and behind it all changes since in their order,
    /// one after the other.
    ///
    /// # Errors
    /// As [`Snapshot::parse`]; or the list cannot be read, or is none.
    pub fn parse_in_parts(xml: &str, list: &str) -> Result<Snapshot, RestoreError> {
        let mut snapshot = Snapshot::read(xml)?;
        if let Some(room) = &mut snapshot.room {
            list::read(room, list, &mut snapshot.unfit)?;
        }
        Ok(snapshot)
    }

    fn read(xml: &str) -> Result<Snapshot, RestoreError> {
        let el = crate::wire::stored_element(xml).map_err(|_| wrong("not XML"))?;
        let mut unfit = Unfit::default();
        if el.is("ended", NS) {
            return Ok(Snapshot {
                jid: bare(&el, "jid")?,
                room: None,
                ending: Some(read_ending(&el, &mut unfit)?),
                unfit,
            });
        }
        if !el.is("room", NS) {
            return Err(wrong("not a snapshot of this version"));
        }
        let id = RoomId::new(required(&el, "id")?).map_err(|_| wrong("bad room id"))?;
        let incarnation = number(&el, "incarnation")?.ok_or_else(|| wrong("no attribute incarnation"))?;
        let (jid, firsthost) = (bare(&el, "jid")?, bare(&el, "firsthost")?);
        let mut room = StoredRoom::new(jid, id, firsthost, incarnation);
        room.source = optional_bare(&el, "source")?;
        room.is_ready = required(&el, "ready")? == "true";
        room.ready_at_ms = number(&el, "ready-at")?.unwrap_or(0);
        room.is_list_beside = el.attr("list") == Some("beside");
        room.pictured = el.attr("pictured").map(str::to_owned);
        let mut ending = None;
        for child in el.children() {
            if child.is("instance", NS) && child.attr("unnamed") == Some("true") {
                room.unnamed.insert(bare(child, "jid")?);
            } else if child.is("retracted", NS) {
                room.retracted.insert(bare(child, "jid")?);
            } else if child.is("instance", NS) {
                let instance = read_instance(child, &mut unfit)?;
                room.instances.insert(bare(child, "jid")?, instance);
            } else if child.is("seen", NS) {
                room.seen.extend(part(read_seen(child), &mut unfit));
            } else if child.is("logged", NS) {
                room.logged.extend(part(read_seen(child), &mut unfit));
            } else if child.is("withheld", NS) {
                room.withheld.extend(part(read_withheld(child), &mut unfit));
            } else if child.is("ban", NS) {
                list::read_ban(&mut room, child, &mut unfit);
            } else if child.is("offer", NS) {
                room.offers.extend(part(offer::read(child), &mut unfit));
            } else if child.is("succession", NS) {
                room.succession = part(succession::read(child, &mut unfit), &mut unfit);
            } else if child.is("ended", NS) {
                let read = read_ending(child, &mut unfit);
                ending = part(read, &mut unfit);
            } else {
                read_settings(&mut room, child, &mut unfit)?;
            }
        }
        Ok(Snapshot {
            jid: room.jid.clone(),
            room: Some(room),
            ending,
            unfit,
        })
    }
}

fn write_room(out: &mut String, room: &StoredRoom, ending: Option<&Ending>) {
    out.push_str(&format!("<room xmlns='{NS}'"));
    push_attr(out, "jid", room.jid.as_str());
    push_attr(out, "id", room.id.as_str());
    push_attr(out, "firsthost", room.firsthost.as_str());
    push_some(out, "source", room.source.as_ref().map(|source| source.as_str()));
    push_attr(out, "ready", if room.is_ready { "true" } else { "false" });
    push_attr(out, "ready-at", &room.ready_at_ms.to_string());
    push_attr(out, "incarnation", &room.incarnation.to_string());
    if room.is_list_beside {
        push_attr(out, "list", "beside");
    }
    push_some(out, "pictured", room.pictured.as_deref());
    out.push('>');
    out.push_str(&Request::Config(room.config.clone()).to_xml());
    list::write_items(out, &room.list);
    for (jid, instance) in &room.instances {
        write_instance(out, jid, instance);
    }
    // Who does not know the attribute lets them go.
    for jid in &room.unnamed {
        out.push_str("<instance");
        push_attr(out, "jid", jid.as_str());
        out.push_str(" unnamed='true'/>");
    }
    for jid in &room.retracted {
        out.push_str("<retracted");
        push_attr(out, "jid", jid.as_str());
        out.push_str("/>");
    }
    for (name, list) in [("seen", &room.seen), ("logged", &room.logged)] {
        for (origin, life, numbers) in list {
            let mut parts = numbers.parts().peekable();
            while parts.peek().is_some() {
                let part = parts.by_ref().take(MAX_RANGES).collect::<Vec<_>>().join(" ");
                write_numbers(out, name, origin, *life, &part);
            }
        }
    }
    for (origin, life, numbers) in &room.withheld {
        write_numbers(out, "withheld", origin, *life, &numbers.to_string());
    }
    for (user, since) in &room.bans {
        list::write_ban(out, user, Some(since));
    }
    for offer in room.offers.values() {
        offer::write(out, offer);
    }
    if let Some(stored) = &room.succession {
        succession::write(out, stored);
    }
    if let Some(ending) = ending {
        write_ending(out, &room.jid, ending);
    }
    out.push_str("</room>");
}

fn write_numbers(out: &mut String, name: &str, origin: &BareJid, life: u64, numbers: &str) {
    out.push('<');
    out.push_str(name);
    push_attr(out, "origin", origin.as_str());
    push_attr(out, "inc", &life.to_string());
    push_attr(out, "numbers", numbers);
    out.push_str("/>");
}

/// Items in as many rosters as they need to be read back: parsing has its limits.
fn write_rosters(out: &mut String, items: &[RosterItem], extra: &RosterExtra) {
    for items in items.chunks(ITEMS_PER_ROSTER) {
        let roster = Roster {
            items: items.to_vec(),
            extra: Some(extra.clone()),
        };
        out.push_str(&Request::Roster(roster).to_xml());
    }
}

/// What is not readable any more (a value longer than peers may send) is had from the room itself, or from its source:
/// it must not make an ordinary room of this one.
fn read_settings(room: &mut StoredRoom, child: &Element, unfit: &mut Unfit) -> Result<(), RestoreError> {
    let is_ours = child.has_ns(crate::wire::ns::DMUC);
    let read = request(child, unfit);
    if !is_ours {
        return Err(wrong("an unknown part"));
    }
    match part(read, unfit) {
        Some(Request::Config(config)) => room.config = config,
        Some(Request::Roster(roster)) => room.list.extend(roster.items),
        Some(_) => return Err(wrong("an unknown part")),
        None => {}
    }
    Ok(())
}

fn write_instance(out: &mut String, jid: &BareJid, instance: &StoredInstance) {
    out.push_str("<instance");
    push_attr(out, "jid", jid.as_str());
    if instance.is_named && instance.stage != Stage::Active {
        push_attr(out, "named", "true");
    }
    if instance.may_hold && instance.stage != Stage::Active {
        push_attr(out, "asked", "true");
    }
    if instance.stage == Stage::Active {
        push_attr(out, "active", "true");
    }
    push_some(out, "refused", instance.refused_for.map(Condition::as_str));
    if instance.is_proven {
        push_attr(out, "proven", "true");
    }
    let Some(cut) = &instance.cut else {
        out.push_str("/>");
        return;
    };
    push_attr(out, "cut", if cut.is_out { "out" } else { "shown" });
    out.push('>');
    let items = cut.occupants.iter().map(|(nick, remote)| RosterItem {
        affiliation: remote.affiliation,
        role: Some(remote.role),
        jid: remote.jid.clone(),
        nick: Some(nick.clone()),
        // A nick that was lost in a clash and not given up yet.
        reason: remote.hidden.then(|| "hidden".to_owned()),
        occupant: Some(OccupantExtra {
            occupant_id: remote.occupant_id.clone(),
            serial: remote.serial,
            payload: remote.payload.to_string(),
        }),
        ..RosterItem::default()
    });
    let extra = RosterExtra {
        version: cut.roster_version.unwrap_or(0),
        occupants: true,
        ..RosterExtra::default()
    };
    write_rosters(out, &items.collect::<Vec<_>>(), &extra);
    out.push_str("</instance>");
}

/// Numbers that were seen. An earlier version wrote any number of ranges into one attribute.
fn read_seen(el: &Element) -> Result<(BareJid, u64, Numbers), RestoreError> {
    let (origin, incarnation) = (bare(el, "origin")?, number(el, "inc")?.unwrap_or(0));
    let parts: Vec<&str> = required(el, "numbers")?.split_ascii_whitespace().collect();
    let mut seen = Numbers::default();
    for part in parts.chunks(MAX_RANGES) {
        let numbers: Numbers = part.join(" ").parse().map_err(|_| wrong("bad numbers"))?;
        seen.merge(&numbers);
    }
    Ok((origin, incarnation, seen))
}

fn read_withheld(el: &Element) -> Result<(BareJid, u64, Numbers), RestoreError> {
    let (origin, incarnation) = (bare(el, "origin")?, number(el, "inc")?.unwrap_or(0));
    let numbers = required(el, "numbers")?
        .parse()
        .map_err(|_| wrong("bad numbers"))?;
    Ok((origin, incarnation, numbers))
}

fn read_instance(el: &Element, unfit: &mut Unfit) -> Result<StoredInstance, RestoreError> {
    let refused_for = el.attr("refused").and_then(Condition::from_name);
    let stage = match (el.attr("active"), refused_for) {
        (Some("true"), _) => Stage::Active,
        (_, Some(_)) => Stage::Refused,
        _ => Stage::Wanted,
    };
    let cut = el.attr("cut").map(|how| read_cut(el, how == "out", unfit));
    Ok(StoredInstance {
        stage,
        is_proven: el.attr("proven") == Some("true"),
        // What holds the room has been named and asked.
        is_named: stage == Stage::Active || el.attr("named") == Some("true"),
        may_hold: stage == Stage::Active || el.attr("asked") == Some("true"),
        refused_for: refused_for.filter(|_| stage == Stage::Refused),
        cut,
    })
}

/// The occupants of an instance that was out of reach.
fn read_cut(el: &Element, is_out: bool, unfit: &mut Unfit) -> StoredCut {
    let mut cut = StoredCut {
        is_out,
        roster_version: None,
        occupants: BTreeMap::new(),
    };
    for child in el.children() {
        let read = request(child, unfit);
        let Some(Request::Roster(roster)) = part(read, unfit) else {
            continue;
        };
        let version = roster.extra.map_or(0, |extra| extra.version);
        cut.roster_version = Some(version).filter(|version| *version > 0);
        for item in roster.items {
            let (Some(nick), Some(extra)) = (item.nick, item.occupant) else {
                continue; // which was counted when it was read
            };
            let remote = Remote {
                jid: item.jid.map(|jid: Jid| jid),
                affiliation: item.affiliation,
                claimed: item.affiliation,
                role: item.role.unwrap_or(Role::Participant),
                occupant_id: extra.occupant_id,
                serial: extra.serial,
                payload: extra.payload.into(),
                is_made_moderator: false,
                hidden: item.reason.is_some(),
                rename_by: 0,
            };
            cut.occupants.insert(nick, remote);
        }
    }
    cut
}

fn write_ending(out: &mut String, jid: &BareJid, ending: &Ending) {
    out.push_str(&format!("<ended xmlns='{NS}'"));
    push_attr(out, "jid", jid.as_str());
    push_attr(out, "at", &ending.at_ms.to_string());
    out.push('>');
    out.push_str(&ending.request.to_xml());
    for instance in &ending.untold {
        out.push_str("<untold");
        push_attr(out, "jid", instance.as_str());
        out.push_str("/>");
    }
    out.push_str("</ended>");
}

fn read_ending(el: &Element, unfit: &mut Unfit) -> Result<Ending, RestoreError> {
    let mut untold = std::collections::BTreeSet::new();
    let mut how = None;
    for child in el.children() {
        if child.is("untold", NS) {
            untold.insert(bare(child, "jid")?);
        } else {
            how = Some(request(child, unfit)?);
        }
    }
    let request = how
        .filter(|how| matches!(how, Request::Close(_) | Request::Destroy(_) | Request::Leave))
        .ok_or_else(|| wrong("not a valid ending"))?;
    Ok(Ending {
        request,
        untold,
        at_ms: number(el, "at")?.unwrap_or(0),
    })
}
