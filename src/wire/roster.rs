//! `<roster/>`: occupants and affiliations of an instance (XEP-0281 section 3.2).

use crate::address::Jid;
use minidom::Element;

use super::dom::{
    bad, child_text, count, flag, id, jid, nick, only, over, required, required_count, text_attr,
};
use super::limits::MAX_ROSTER_ITEMS;
use super::payload::{collect, push_sound};
use super::reading::{Reading, whose};
use super::text::{Tag, opt_text};
use super::{Affiliation, Hats, Role, WireError, ns};

/// `<roster/>`: who is there and who is what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roster {
    /// The items, occupants (with a nick) and bare affiliations (without).
    pub items: Vec<RosterItem>,
    /// Versions and completeness; only between peers that speak `urn:x-dmuc:0`.
    pub extra: Option<RosterExtra>,
}

/// One `<item/>` of a roster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RosterItem {
    /// The affiliation.
    pub affiliation: Affiliation,
    /// The role; the XEP's items have none (DESIGN section 4).
    pub role: Option<Role>,
    /// The real JID where it is known and permitted (DESIGN section 5): full for occupants, bare for affiliations.
    pub jid: Option<Jid>,
    /// The nick of an occupant (attribute `name`, as in the XEP).
    pub nick: Option<String>,
    /// The nick registered with an affiliation (attribute `nick`, ours).
    pub reserved_nick: Option<String>,
    /// The hats that go with an affiliation (XEP-0317). An occupant's are in its presence.
    pub hats: Hats,
    /// Why the affiliation was given, or the occupant removed.
    pub reason: Option<String>,
    /// The nick of whoever did it.
    pub actor: Option<String>,
    /// What the XEP has no place for; only to peers that speak `urn:x-dmuc:0`.
    pub occupant: Option<OccupantExtra>,
}

/// `<occupant xmlns='urn:x-dmuc:0' …/>` in an item: what is needed to show the occupant as it is at home.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OccupantExtra {
    /// The occupant-id (XEP-0421), where the real JID is not sent (G5).
    pub occupant_id: Option<String>,
    /// Counts the joins at the home, so that a stale act misses (DESIGN section 3.4).
    pub serial: u64,
    /// The children of the occupant's presence, as XML.
    pub payload: String,
}

/// `<snapshot xmlns='urn:x-dmuc:0' …/>` in a roster: what it is a picture of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RosterExtra {
    /// The version of the sender's roster of its own occupants (DESIGN section 3.2).
    pub version: u64,
    /// The items name all occupants whose home is the sender; one that is missing has left.
    pub occupants: bool,
    /// The items name all affiliations; one that is missing is `none`.
    pub affiliations: bool,
    /// More items of the same picture follow in the next roster: one stanza would be too large.
    pub more: bool,
    /// How many rosters of the same picture came before this one.
    pub part: u64,
    /// The term of the settings whose affiliations these are.
    pub term: Option<u64>,
    /// The version of the settings whose affiliations these are.
    pub settings: Option<u64>,
}

impl Roster {
    /// Its occupants alone, without the list of affiliations and the version of that.
    pub(crate) fn without_settings(mut self) -> Roster {
        self.items.retain(|item| item.nick.is_some());
        if let Some(extra) = &mut self.extra {
            (extra.affiliations, extra.settings) = (false, None);
        }
        self
    }

    /// Whether an occupant of the sender that is missing here has left.
    pub fn occupants_complete(&self) -> bool {
        self.extra.as_ref().is_none_or(|extra| extra.occupants)
    }

    /// Whether an affiliation that is missing here is `none`.
    pub fn affiliations_complete(&self) -> bool {
        self.extra.as_ref().is_none_or(|extra| extra.affiliations)
    }

    pub(super) fn read(el: &Element, reading: &mut Reading) -> Result<Roster, WireError> {
        let mut items = Vec::new();
        for item in el.children().filter(|child| child.is("item", ns::DMUC)) {
            let too_many = || over(format!("the roster has more than {MAX_ROSTER_ITEMS} items"));
            if reading.has_room(items.len(), MAX_ROSTER_ITEMS, too_many)? {
                items.extend(RosterItem::read(item, reading)?);
            }
        }
        let extra = only(el, "snapshot", ns::OURS)?
            .map(RosterExtra::read)
            .transpose()?;
        Ok(Roster { items, extra })
    }

    pub(super) fn write(&self, out: &mut String) {
        Tag::within(out, "roster", ns::DMUC).body(|out| {
            if let Some(extra) = &self.extra {
                extra.write(out);
            }
            self.items.iter().for_each(|item| item.write(out));
        });
    }
}

impl RosterItem {
    /// `None` if it is passed over. Of an item of which is known whom it is about and with which affiliation, the rest is
    /// passed over by itself: a ban holds whatever is wrong with its reason.
    fn read(el: &Element, reading: &mut Reading) -> Result<Option<RosterItem>, WireError> {
        let whose = whose(el.attr("jid"), el.attr("name"));
        let core = || {
            let core = (
                required(el, "affiliation")?.parse()?,
                jid(el, "jid")?,
                nick(el, "name")?,
            );
            match core {
                (_, None, None) => Err(bad("a roster item names nobody: it has neither 'jid' nor 'name'")),
                core => Ok(Some(core)),
            }
        };
        let Some((affiliation, jid, name)) = reading.detail(&whose, core())? else {
            return Ok(None);
        };
        let role = el.attr("role").map(str::parse).transpose();
        let actor = match only(el, "actor", ns::DMUC) {
            Ok(Some(actor)) => text_attr(actor, "nick"),
            none => none.map(|_| None),
        };
        let hats = only(el, "hats", ns::HATS).and_then(|hats| hats.map(Hats::read).transpose());
        let occupant = match only(el, "occupant", ns::OURS) {
            Ok(Some(extra)) => OccupantExtra::read(extra, &whose, reading).map(Some),
            none => none.map(|_| None),
        };
        Ok(Some(RosterItem {
            affiliation,
            role: reading.detail(&whose, role)?,
            jid,
            nick: name,
            reserved_nick: reading.detail(&whose, nick(el, "nick"))?,
            hats: reading.detail(&whose, hats)?.unwrap_or_default(),
            reason: reading.detail(&whose, child_text(el, "reason", ns::DMUC))?,
            actor: reading.detail(&whose, actor)?,
            occupant: reading.detail(&whose, occupant)?,
        }))
    }

    fn write(&self, out: &mut String) {
        Tag::new(out, "item")
            .attr("affiliation", self.affiliation.as_str())
            .opt("role", self.role.map(Role::as_str))
            .opt("jid", self.jid.as_ref().map(Jid::as_str))
            .opt("name", self.nick.as_deref())
            .opt("nick", self.reserved_nick.as_deref())
            .body(|out| {
                self.hats.write(out);
                opt_text(out, "reason", self.reason.as_deref());
                if let Some(actor) = &self.actor {
                    Tag::new(out, "actor").attr("nick", actor).empty();
                }
                if let Some(occupant) = &self.occupant {
                    occupant.write(out);
                }
            });
    }
}

impl OccupantExtra {
    fn read(el: &Element, whose: &str, reading: &mut Reading) -> Result<OccupantExtra, WireError> {
        let payload = match only(el, "presence", ns::CLIENT) {
            Ok(Some(presence)) => collect(presence, belongs_to_client).map(Some),
            none => none.map(|_| None),
        };
        Ok(OccupantExtra {
            occupant_id: reading.detail(whose, id(el, "id"))?,
            serial: required_count(el, "serial")?,
            payload: reading.detail(whose, payload)?.unwrap_or_default(),
        })
    }

    fn write(&self, out: &mut String) {
        Tag::within(out, "occupant", ns::OURS)
            .opt("id", self.occupant_id.as_deref())
            .number("serial", self.serial)
            .body(|out| {
                if !self.payload.is_empty() {
                    Tag::within(out, "presence", ns::CLIENT).body(|out| push_sound(out, &self.payload));
                }
            });
    }
}

impl RosterExtra {
    fn read(el: &Element) -> Result<RosterExtra, WireError> {
        Ok(RosterExtra {
            version: required_count(el, "version")?,
            occupants: flag(el, "occupants")?,
            affiliations: flag(el, "affiliations")?,
            more: flag(el, "more")?,
            part: count(el, "part")?.unwrap_or(0),
            term: count(el, "term")?,
            settings: count(el, "settings")?,
        })
    }

    fn write(&self, out: &mut String) {
        Tag::within(out, "snapshot", ns::OURS)
            .number("version", self.version)
            .flag("occupants", self.occupants)
            .flag("affiliations", self.affiliations)
            .flag("more", self.more)
            .opt_number("part", Some(self.part).filter(|part| *part > 0))
            .opt_number("term", self.term)
            .opt_number("settings", self.settings)
            .empty();
    }
}

/// Whether a child of a presence is the client's to send. What a room says about an occupant, a peer says in its own
/// words, and nothing else of ours or of the room's passes as a client's (G11, DESIGN section 5).
pub(super) fn belongs_to_client(child: &Element) -> bool {
    let namespace = child.ns();
    ![ns::OURS, ns::DMUC, ns::MUC_USER, ns::OCCUPANT_ID].contains(&namespace.as_str())
}
