//! The source's list of affiliations, with registered nicks and hats, at a shadow, and the occupants that follow the list.

use std::collections::{BTreeMap, BTreeSet};

use crate::address::{BareJid, Jid};

use super::super::invitations::banned;
use super::super::presence::shown;
use super::super::state::clock::Now;
use super::super::state::room::Room;
use super::super::state::waiting::{Matter, Offer};
use super::super::{Action, Engine, Shown, Verdict};
use super::{Asker, By, Kind, Variant};
use crate::error::Error;
use crate::wire::{
    ActKind, Affiliation, Listed, Listing, Roster, RosterExtra, RosterItem, Ruling, Unfit, fitting_text,
};

impl Kind for Listing {
    fn matter(&self) -> Option<Matter> {
        Some(Matter::Listed(self.jid.clone()))
    }

    fn held(&self, room: &Room) -> Listing {
        Listing {
            jid: self.jid.clone(),
            entry: room.listed(&self.jid),
        }
    }

    fn hold(&self, room: &mut Room) {
        room.set_affiliation(&self.jid, self.entry.affiliation, self.entry.nick.as_deref());
    }

    fn rule(self, engine: &mut Engine, now: Now, room: &BareJid, by: By<'_>) -> Result<Verdict, Error> {
        let entry = engine.fit_listed(room, &self.jid, self.entry);
        engine.local_affiliation(now, room, &self.jid, entry, by)
    }

    fn show(&self, engine: &mut Engine, room: &BareJid) {
        engine.show_entry(room, self.clone(), None, None);
        engine.follow_affiliation(room, &self.jid);
        engine.show_person(room, &self.jid);
    }

    /// Nobody who is banned is let in by an invitation.
    fn check(&self, _: &Engine, room: &Room, asker: Asker<'_>) -> Result<(), Error> {
        let is_invited = matches!(asker.act.kind, ActKind::Affiliation { is_invited: true, .. });
        if is_invited && room.affiliation_of(&self.jid.clone().into()) == Affiliation::Outcast {
            return Err(banned());
        }
        Ok(())
    }

    fn take(&self, _: &mut Engine, _: Now, _: &BareJid, _: Asker<'_>) -> Result<bool, Error> {
        Ok(false)
    }

    /// Who registers a nick asks for that alone.
    fn as_act(&self, offer: &Offer) -> Option<(ActKind, Option<String>)> {
        let was = Listing::of(&offer.was).map(|was| was.entry.clone());
        let entry = self.entry.clone();
        let kind = match offer.is_registration() {
            true => ActKind::Register {
                nick: entry.nick,
                was,
            },
            false => ActKind::Affiliation {
                jid: self.jid.clone(),
                affiliation: entry.affiliation,
                nick: entry.nick,
                was,
                is_invited: offer.is_invited,
            },
        };
        Some((kind, None))
    }
}

/// An entry of the list after its person has registered this nick, or taken a registration back (XEP-0045 section 7.10):
/// who had no affiliation becomes a member, and ceases to be one.
pub(in crate::engine) fn registered(was: &Listed, nick: Option<&str>) -> Listed {
    let affiliation = match (was.affiliation, nick) {
        (Affiliation::None, Some(_)) => Affiliation::Member,
        (Affiliation::Member, None) => Affiliation::None,
        (affiliation, _) => affiliation,
    };
    Listed {
        affiliation,
        nick: nick.map(str::to_owned),
    }
}

/// Two values of one entry, if that is what these are.
fn entries<'a>(before: &'a Ruling, after: &'a Ruling) -> Option<(&'a Listed, &'a Listed)> {
    let (before, after) = (Listing::of(before)?, Listing::of(after)?);
    (before.jid == after.jid).then_some((&before.entry, &after.entry))
}

/// Whether a change registers a nick that is registered for somebody else already: for one person, whoever else changed the
/// entry.
pub(in crate::engine) fn takes_nick(room: &Room, was: &Ruling, now: &Ruling) -> bool {
    let Some(listing) = Listing::of(now) else {
        return false;
    };
    let owner = listing.entry.nick.as_deref();
    let owner = owner.and_then(|nick| room.nick_owner(nick));
    !has_same_nick(was, now) && owner.is_some_and(|owner| *owner != listing.jid)
}

/// Whether two values of an entry differ in the registered nick alone.
pub(in crate::engine) fn is_only_the_nick(before: &Ruling, after: &Ruling) -> bool {
    entries(before, after)
        .is_some_and(|(before, after)| before.affiliation == after.affiliation && before.nick != after.nick)
}

pub(in crate::engine) fn has_same_nick(before: &Ruling, after: &Ruling) -> bool {
    entries(before, after).is_some_and(|(before, after)| before.nick == after.nick)
}

/// The entries of which a roster tells, with those that a whole list does not have any more.
fn told<'a>(room: &Room, roster: &'a Roster) -> Vec<(BareJid, Listed, Option<&'a RosterItem>)> {
    let is_ours = roster.extra.is_some();
    let mut listed = BTreeSet::new();
    let mut told = Vec::new();
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
        told.push((user, entry, Some(item)));
    }
    if roster.affiliations_complete() {
        let offered = room.offers.keys().filter_map(|matter| match matter {
            Matter::Listed(user) => Some(user),
            _ => None,
        });
        let known = room.settings.affiliations.keys().chain(offered);
        let gone = known.filter(|user| !listed.contains(*user));
        told.extend(gone.map(|user| (user.clone(), Listed::default(), None)));
    }
    told
}

impl Offer {
    /// Whether it changes an affiliation, not only the nick registered with it.
    pub(in crate::engine) fn has_given_affiliation(&self) -> bool {
        entries(&self.was, &self.now).is_some_and(|(was, now)| was.affiliation != now.affiliation)
    }

    /// Whether somebody has registered a nick for itself, or taken the registration back: for that nobody needs to administer
    /// the room.
    pub(in crate::engine) fn is_registration(&self) -> bool {
        let whose = Listing::of(&self.now).map(|listing| &listing.jid);
        entries(&self.was, &self.now).is_some_and(|(was, now)| {
            self.actor_jid.as_ref() == whose
                && was.nick != now.nick
                && *now == registered(was, now.nick.as_deref())
        })
    }
}

impl Engine {
    fn local_affiliation(
        &mut self,
        now: Now,
        jid: &BareJid,
        user: &BareJid,
        entry: Listed,
        By { actor, reason }: By<'_>,
    ) -> Result<Verdict, Error> {
        let room = self.room_mut(jid)?;
        if !room.is_source() {
            let listing = Listing {
                jid: user.clone(),
                entry,
            };
            self.offer(jid, Ruling::Listed(listing), actor);
            self.follow_affiliation(jid, user);
            self.offer_if_agreed(now, jid);
            return Ok(Verdict::Done);
        }
        if !room.set_affiliation(user, entry.affiliation, entry.nick.as_deref()) {
            return Ok(Verdict::Done);
        }
        if !room.settings.affiliations.contains_key(user) {
            room.settings.hats.remove(user);
        }
        room.next_settings();
        room.note_affiliation(user);
        let item = RosterItem {
            reason: reason.map(fitting_text),
            actor: actor.nick.map(str::to_owned),
            ..room.entry(user)
        };
        self.send_affiliation(now, jid, &item);
        self.follow_affiliation(jid, user);
        self.reveal_jids(now, jid);
        self.unsaved.insert(jid.clone());
        Ok(Verdict::Done)
    }

    /// Takes in the entries of the source's list that give somebody more than it has.
    pub(in crate::engine) fn raise_affiliations(&mut self, now: Now, jid: &BareJid, roster: &Roster) {
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

    pub(in crate::engine) fn apply_affiliations(&mut self, now: Now, jid: &BareJid, roster: &Roster) {
        let is_ours = roster.extra.is_some();
        let Some(room) = self.rooms.get(jid) else { return };
        let (firsthost, changed) = (room.firsthost.clone(), told(room, roster));
        let mut in_force = BTreeSet::new();
        let (mut left_out, mut is_news) = (0, false);
        for (user, entry, item) in changed {
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
            let listing = Listing {
                jid: user.clone(),
                entry,
            };
            if self.source_says(jid, &listing) && is_new {
                in_force.insert(user.clone());
                let reason = item.and_then(|item| item.reason.clone());
                let actor = item.and_then(|item| item.actor.clone());
                self.show_entry(jid, listing, reason, actor);
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

    fn show_entry(&mut self, jid: &BareJid, listing: Listing, reason: Option<String>, actor: Option<String>) {
        // Who comes back to the list has the hats again that go with it.
        let user = &listing.jid;
        let has_hats = |room: &Room| room.settings.hats.contains_key(user);
        let hatted = self.rooms.get(jid).is_some_and(has_hats).then(|| user.clone());
        let shown = Shown::Listed {
            listing,
            actor,
            reason,
        };
        self.actions.push_back(Action::apply(jid, shown));
        if let Some(user) = hatted {
            self.show_hats(jid, &user);
        }
    }

    /// [`Self::follow_affiliations`] for one entry.
    pub(in crate::engine) fn follow_affiliation(&mut self, jid: &BareJid, user: &BareJid) {
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
