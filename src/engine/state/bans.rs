//! Who is banned since when, and who of another instance is not in the room here.

use std::collections::BTreeMap;

use crate::address::{BareJid, Jid};
use crate::wire::Hlc;

/// Who is banned since when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bans {
    pub(crate) since: BTreeMap<BareJid, Hlc>,
    /// Whose occupant-ids these are: an event names its author by nothing else.
    pub(crate) ids: BTreeMap<String, BareJid>,
    /// The salt that they are made with.
    pub(crate) salt: Option<String>,
}

/// Why an occupant of another instance is not in the room here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// Banned.
    Banned,
    /// There are as many as there may be.
    Many,
}

/// An occupant of another instance that is not in the room here.
#[derive(Debug, Clone)]
pub(crate) struct LeftOut {
    pub(crate) why: Why,
    pub(crate) jid: Option<Jid>,
    pub(crate) occupant_id: Option<String>,
    /// It has left there as well; what it said may be on its way.
    pub(crate) is_gone: bool,
}

impl LeftOut {
    /// Whether this may be who an event names.
    pub(crate) fn may_be(&self, occupant_id: Option<&str>) -> bool {
        is_same(self.occupant_id.as_deref(), occupant_id)
    }
}

/// Two occupant-ids are the same as far as they are known.
pub(crate) fn is_same(one: Option<&str>, other: Option<&str>) -> bool {
    one.zip(other).is_none_or(|(one, other)| one == other)
}
