//! The source's list of affiliations and hats at a shadow, and the occupants that follow the list.

use std::collections::{BTreeMap, BTreeSet};

use super::state::waiting::{OfferKey, Value};
use crate::address::{BareJid, Jid};

use super::presence::shown;
use super::state::clock::Now;
use super::state::room::Room;
use super::{Action, Engine};
use crate::wire::{Affiliation, Listed, Roster, RosterExtra, RosterItem, Unfit};

impl Engine {
    /// Takes in the entries of the source's list that give somebody more than it has.
    pub(super) fn raise_affiliations(&mut self, now: Now, jid: &BareJid, roster: &Roster) {
        let (Some(room), Some(extra)) = (self.rooms.get(jid), &roster.extra) else {
            return;
        };
        let raises = |item: &&RosterItem| {
            let user = item.jid.as_ref().map(Jid::to_bare);
            item.nick.is_none() && user.is_some_and(|user| item.affiliation > room.listed(&user).affiliation)
        };
        let raised = Roster {
            items: roster.items.iter().filter(raises).cloned().collect(),
            extra: Some(RosterExtra {
                occupants: false,
                affiliations: false,
                ..extra.clone()
            }),
        };
        self.apply_affiliations(now, jid, &raised);
    }

    pub(super) fn apply_affiliations(&mut self, now: Now, jid: &BareJid, roster: &Roster) {
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let is_ours = roster.extra.is_some();
        let mut listed = BTreeSet::new();
        let mut changed = Vec::new();
        for item in &roster.items {
            // In the XEP's form an occupant's item is also the entry of its bare JID.
            let is_entry = item.nick.is_none() || (!is_ours && item.affiliation != Affiliation::None);
            let Some(user) = item.jid.as_ref().map(Jid::to_bare).filter(|_| is_entry) else {
                continue;
            };
            listed.insert(user.clone());
            let entry = Listed {
                affiliation: item.affiliation,
                nick: item.reserved_nick.clone(),
            };
            changed.push((user, entry, Some(item)));
        }
        if roster.affiliations_complete() {
            let offered = room.offers.keys().filter_map(|key| match key {
                OfferKey::Affiliation(user) => Some(user),
                _ => None,
            });
            let known = room.settings.affiliations.keys().chain(offered);
            let gone = known.filter(|user| !listed.contains(*user));
            changed.extend(gone.map(|user| (user.clone(), Listed::default(), None)));
        }
        let mut in_force = BTreeSet::new();
        let (mut left_out, mut is_news) = (0, false);
        let firsthost = self.rooms.get(jid).map(|room| room.firsthost.clone());
        let Some(firsthost) = firsthost else { return };
        for (user, entry, item) in changed {
            let key = OfferKey::Affiliation(user.clone());
            let was = self.rooms.get(jid).map(|room| room.listed(&user));
            let is_new = was.as_ref() != Some(&entry);
            is_news |= is_new;
            let hats = item.map(|item| item.hats.clone()).unwrap_or_default();
            let has_hats = !hats.is_empty();
            let units = self.rooms.get(jid).map_or(0, |room| {
                let is_more = entry != Listed::default() && !room.settings.affiliations.contains_key(&user);
                usize::from(is_more)
                    + hats
                        .iter()
                        .count()
                        .saturating_sub(room.hats(&user).iter().count())
            });
            if !self.takes_listed(now, &firsthost, units) {
                left_out += 1;
                continue;
            }
            let is_new_hat = self
                .rooms
                .get_mut(jid)
                .is_some_and(|room| room.set_hats(&user, hats));
            let mut is_shown = false;
            if self.source_says(jid, &key, &Value::Listed(entry.clone())) && is_new {
                in_force.insert(user.clone());
                let reason = item.and_then(|item| item.reason.clone());
                let actor = item.and_then(|item| item.actor.clone());
                self.show_entry(jid, &user, &entry, reason, actor);
                self.unsaved.insert(jid.clone());
                is_shown = true;
            }
            if is_new_hat {
                self.unsaved.insert(jid.clone());
                if !(is_shown && has_hats) {
                    self.show_hats(jid, &user);
                }
            }
        }
        self.follow_affiliations(jid, &in_force);
        if is_news && !is_ours {
            self.lose_count(now, jid);
        }
        if left_out > 0 {
            let mut unfit = Unfit::default();
            unfit.note(
                "entries of the list of affiliations, beyond what is kept for the rooms of one service"
                    .to_owned(),
            );
            self.tell_unfit(jid, &firsthost, &unfit);
        }
    }

    /// An entry of the list is in force: the host shows it, and the occupants it is about have it.
    pub(super) fn show_affiliation(&mut self, jid: &BareJid, user: &BareJid, entry: &Listed) {
        self.show_entry(jid, user, entry, None, None);
        self.follow_affiliation(jid, user);
    }

    fn show_entry(
        &mut self,
        jid: &BareJid,
        user: &BareJid,
        entry: &Listed,
        reason: Option<String>,
        actor: Option<String>,
    ) {
        self.actions.push_back(Action::ApplyAffiliation {
            room: jid.clone(),
            jid: user.clone(),
            affiliation: entry.affiliation,
            reserved_nick: entry.nick.clone(),
            reason,
            actor,
        });
        // Who comes back to the list has the hats again that go with it.
        let has_hats = |room: &Room| room.settings.hats.contains_key(user);
        if self.rooms.get(jid).is_some_and(has_hats) {
            self.show_hats(jid, user);
        }
    }

    /// [`Self::follow_affiliations`] for one entry.
    pub(super) fn follow_affiliation(&mut self, jid: &BareJid, user: &BareJid) {
        self.follow_affiliations(jid, &BTreeSet::from([user.clone()]));
    }

    /// Occupants of other instances whose real JID is known here have the affiliation of the list at once, as mod_muc
    /// has it. With which role their homes say; where they have said so already, that counts again. Who is banned is
    /// removed by its home.
    ///
    /// One pass over the occupants, however many entries have changed.
    fn follow_affiliations(&mut self, jid: &BareJid, users: &BTreeSet<BareJid>) {
        if users.is_empty() {
            return;
        }
        self.relisted.insert(jid.clone());
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let listed: BTreeMap<&BareJid, Affiliation> = users
            .iter()
            .map(|user| (user, room.affiliation_of(&Jid::from(user.clone()))))
            .filter(|(_, affiliation)| *affiliation != Affiliation::Outcast)
            .collect();
        let mut changed = Vec::new();
        for (home, instance) in &mut room.instances {
            for (nick, remote) in &mut instance.occupants {
                let Some(user) = remote.jid.as_ref().map(Jid::to_bare) else {
                    continue;
                };
                let Some(affiliation) = listed.get(&user).copied() else {
                    continue;
                };
                if remote.affiliation != affiliation {
                    remote.affiliation = affiliation;
                    if !remote.hidden && !instance.is_out && remote.claimed == affiliation {
                        changed.push((home.clone(), nick.clone(), remote.clone()));
                    }
                }
            }
        }
        for (home, nick, remote) in changed {
            let occupant = shown(room, &home, &nick, &remote, None);
            self.actions.push_back(Action::ShowOccupant(Box::new(occupant)));
        }
    }
}
