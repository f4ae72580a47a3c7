//! `<roster/>`: occupants and affiliations of an instance (XEP-0281 section 3.2).

use jid::Jid;

use super::{Affiliation, Role};

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
    /// The term of the settings whose affiliations these are.
    pub term: Option<u64>,
    /// The version of the settings whose affiliations these are.
    pub settings: Option<u64>,
}

impl Roster {
    /// Whether an occupant of the sender that is missing here has left.
    pub fn occupants_complete(&self) -> bool {
        self.extra.as_ref().is_none_or(|extra| extra.occupants)
    }

    /// Whether an affiliation that is missing here is `none`.
    pub fn affiliations_complete(&self) -> bool {
        self.extra.as_ref().is_none_or(|extra| extra.affiliations)
    }
}
