//! Entries of the source's list of affiliations, with what goes with them: a registered nick, hats (XEP-0317).

use super::room::Room;
use crate::address::{BareJid, Jid};
use crate::wire::{Affiliation, Hats, RosterItem};

impl Room {
    /// An entry of the list of affiliations as it is told to others: none if there is none.
    pub(crate) fn entry(&self, user: &BareJid) -> RosterItem {
        let listed = self.listed(user);
        RosterItem {
            hats: self.hats(user),
            ..entry_item(user, listed.affiliation, listed.nick.as_deref())
        }
    }

    /// The hats of somebody, as the source has given them.
    pub(crate) fn hats(&self, user: &BareJid) -> Hats {
        self.settings.hats.get(user).cloned().unwrap_or_default()
    }

    /// Returns whether anything changed.
    pub(crate) fn set_hats(&mut self, user: &BareJid, hats: Hats) -> bool {
        if self.hats(user) == hats {
            return false;
        }
        if hats.is_empty() {
            self.settings.hats.remove(user);
        } else {
            self.settings.hats.insert(user.clone(), hats);
        }
        self.beside.note(user);
        true
    }
}

/// An entry of the list of affiliations.
pub(crate) fn entry_item(user: &BareJid, affiliation: Affiliation, nick: Option<&str>) -> RosterItem {
    RosterItem {
        affiliation,
        jid: Some(Jid::from(user.clone())),
        reserved_nick: nick.map(str::to_owned),
        ..RosterItem::default()
    }
}
