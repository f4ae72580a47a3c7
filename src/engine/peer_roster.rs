//! Rosters of other instances: put together from their parts, compared with what is known, and what follows one.

use std::collections::{BTreeMap, BTreeSet};

use crate::address::BareJid;

use super::link::Caps;
use super::presence::{Announced, NICK_CHANGED, default_role};
use super::roster::item_bytes;
use super::state::clock::Now;
use super::state::edition::{News, news};
use super::{Action, Engine, refuse};
use crate::error::Error;
use crate::wire::{Condition, Role, Roster, RosterExtra, RosterItem, limits};

/// How large a roster may get that comes in parts (G13).
const MAX_ROSTER_BYTES: usize = 32 * 1024 * 1024;

/// What parts of a roster take, about.
pub(super) fn part_bytes(items: &[RosterItem]) -> usize {
    items.iter().map(item_bytes).sum()
}

/// Whether a roster is taken, of which some parts are here and more come now.
fn expect_fits(parts: &[RosterItem], more: &[RosterItem], listed: usize, limit: usize) -> Result<(), Error> {
    let bytes = part_bytes(parts) + part_bytes(more);
    if bytes > MAX_ROSTER_BYTES || listed + parts.len() + more.len() > limit {
        return Err(refuse(
            Condition::PolicyViolation,
            "The roster is larger than this service takes",
        ));
    }
    Ok(())
}

impl Engine {
    /// Puts the parts of a roster together. Returns it when the last one is here.
    pub(super) fn collect_roster(
        &mut self,
        now: Now,
        jid: &BareJid,
        home: &BareJid,
        mut roster: Roster,
    ) -> Result<Option<Roster>, Error> {
        let limit = self.config.max_remote_occupants + limits::MAX_ROSTER_ITEMS;
        let room = self.rooms.get_mut(jid).ok_or(Error::UnknownRoom)?;
        // What names only some affiliations adds to those that are known.
        let listed = match roster.affiliations_complete() || !room.is_from_source(home) {
            true => 0,
            false => room.settings.affiliations.len(),
        };
        let instance = room.instances.get_mut(home).ok_or(Error::UnknownRoom)?;
        let extra = roster.extra.as_ref();
        let (version, part) = (
            extra.map(|extra| extra.version),
            extra.map_or(0, |extra| extra.part),
        );
        let is_part = extra.is_some_and(|extra| extra.more);
        // Earlier builds do not number theirs: what has no number belongs to the parts of the same picture that are here.
        let goes_on = part == 0
            && version.is_some()
            && instance.parts_version == version
            && !instance.roster_parts.is_empty();
        if part == 0 && !is_part && !goes_on {
            expect_fits(&[], &roster.items, listed, limit)?;
            return Ok(Some(roster));
        }
        if part > 0 && (instance.parts_version != version || instance.parts_next != part) {
            // The network has repeated it, or lost what was before it: without that it is no picture of who is there (G6).
            if instance.roster_version != version {
                self.pull_from(now, jid, home);
            }
            return Ok(None);
        }
        let begins = part == 0 && !goes_on;
        let parts = match begins {
            true => &[],
            false => instance.roster_parts.as_slice(),
        };
        expect_fits(parts, &roster.items, listed, limit)?;
        if is_part {
            self.expect_part(now, home, part_bytes(&roster.items))?;
        }
        let instance = self.instance_mut(jid, home).ok_or(Error::UnknownRoom)?;
        if begins {
            instance.roster_parts.clear();
        }
        instance.roster_parts.append(&mut roster.items);
        if is_part {
            let next = if goes_on { instance.parts_next } else { part + 1 };
            (instance.parts_version, instance.parts_next) = (version, next);
            return Ok(None);
        }
        (instance.parts_version, instance.parts_next) = (None, 0);
        let items = std::mem::take(&mut instance.roster_parts);
        Ok(Some(Roster { items, ..roster }))
    }

    /// A roster that its home sent by itself. An old one is no news, and if something is missing before it, that is pulled.
    pub(super) fn roster_pushed(&mut self, now: Now, jid: &BareJid, home: &BareJid, roster: &Roster) {
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let (from_source, held) = (room.is_from_source(home), room.settings.version);
        let Some(instance) = room.instances.get_mut(home) else {
            return;
        };
        if let Some(extra) = &roster.extra {
            if extra.occupants && instance.roster_version.is_some_and(|held| extra.version < held) {
                return;
            }
            if let Some(version) = extra
                .settings
                .filter(|_| from_source && !extra.occupants && !extra.affiliations)
            {
                match news(Some(held), version) {
                    News::Old => return,
                    News::Next => {}
                    News::Gap => return self.want_sync(now, jid, home),
                }
            }
        }
        self.take_ahead(now, jid, home, roster);
        let is_old =
            |extra: &RosterExtra| extra.affiliations && extra.settings.is_some_and(|version| version < held);
        let is_old = from_source && roster.extra.as_ref().is_some_and(is_old);
        if is_old {
            // Its list is no news, its occupants may be.
            self.apply_roster(now, jid, home, &roster.clone().without_settings());
        } else {
            self.apply_roster(now, jid, home, roster);
        }
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        if let Some(extra) = &roster.extra {
            let is_whole = extra.affiliations && extra.settings == Some(room.settings.form_version);
            let is_part = !extra.affiliations && !extra.occupants;
            // The network may deliver one again that the subject has gone on from since, which no configuration shows.
            if from_source && !is_old && (is_whole || is_part) {
                room.settings.version = extra.settings.unwrap_or(room.settings.version);
                self.unsaved.insert(jid.clone());
            }
            if extra.occupants
                && let Some(instance) = room.instances.get_mut(home)
            {
                instance.roster_version = Some(extra.version);
            }
        } else {
            self.pull_what_is_plain(jid, home);
        }
        self.after_roster(now, jid, home);
    }

    /// Its home has told its occupants in the XEP's words only, as it did not know, just after a restart, that more is understood
    /// here: their occupant-ids are pulled.
    fn pull_what_is_plain(&mut self, jid: &BareJid, home: &BareJid) {
        if !self.speaks_ours(home) {
            return;
        }
        if let Some(instance) = self.instance_mut(jid, home) {
            (instance.roster_version, instance.is_synced) = (None, false);
        }
    }

    /// The configuration that belongs to a whole list of the source's, if it came before that and could not be taken alone.
    fn take_ahead(&mut self, now: Now, jid: &BareJid, home: &BareJid, roster: &Roster) {
        let Some(room) = self.rooms.get_mut(jid).filter(|room| room.is_from_source(home)) else {
            return;
        };
        let whole = roster.extra.as_ref().filter(|extra| extra.affiliations);
        let newer = |version: &u64| *version > room.settings.version;
        let Some(version) = whole.and_then(|extra| extra.settings).filter(newer) else {
            return;
        };
        let is_due = |config: &&mut Box<crate::wire::Config>| {
            let settings = config.settings.as_ref();
            settings.is_some_and(|settings| settings.version == version)
        };
        if room.settings.ahead.as_mut().filter(is_due).is_some()
            && let Some(config) = room.settings.ahead.take()
        {
            // As in an answer: who has become a member is one before the room takes only members.
            self.raise_affiliations(now, jid, roster);
            self.apply_config(now, jid, home, *config);
        }
    }

    /// Takes in a roster, or what is different in it: changes only what differs (G6).
    pub(super) fn apply_roster(&mut self, now: Now, jid: &BareJid, home: &BareJid, roster: &Roster) {
        let Some(room) = self
            .rooms
            .get(jid)
            .filter(|room| room.instances.contains_key(home))
        else {
            return;
        };
        let is_source = room.is_from_source(home);
        if roster.extra.is_some() {
            self.saw_ours(now, &home.service());
        }
        if is_source {
            self.apply_affiliations(now, jid, roster);
        }
        for (old, new) in self.changes_of_nick(jid, home, roster) {
            self.rename_remote(jid, home, &old, new);
        }
        if roster.occupants_complete()
            && let Some(instance) = self.instance_mut(jid, home)
        {
            (instance.has_banned, instance.has_left_out) = (false, false);
        }
        let mut present = BTreeSet::new();
        for item in &roster.items {
            let Some(nick) = &item.nick else { continue };
            if item.role == Some(Role::None) {
                self.depart(jid, home, nick, None);
                continue;
            }
            present.insert(nick.clone());
            let extra = item.occupant.as_ref();
            let announced = Announced {
                nick,
                jid: item.jid.as_ref(),
                affiliation: item.affiliation,
                role: item.role.unwrap_or(default_role(item.affiliation)),
                occupant_id: extra.and_then(|extra| extra.occupant_id.as_deref()),
                serial: extra.map(|extra| extra.serial),
                payload: extra.map_or("", |extra| extra.payload.as_str()),
                is_at_hand: false,
            };
            // One occupant that cannot be taken (a limit, a ban) does not spoil the rest.
            let taken = self.announce(now, jid, home, announced);
            let left_out_for = match &taken {
                Err(Error::Refused(error)) => Some(error.condition),
                _ => None,
            };
            if let Some(condition) = left_out_for {
                self.note_left_out(jid, home, item, condition);
            }
            if let Some(condition) = left_out_for
                && let Some(instance) = self.instance_mut(jid, home)
            {
                instance.has_banned |= condition == Condition::Forbidden;
                instance.has_left_out |= condition == Condition::ResourceConstraint;
            }
        }
        if roster.occupants_complete() {
            let instance = self.rooms.get(jid).and_then(|room| room.instances.get(home));
            let gone: Vec<String> = instance.map_or_else(Vec::new, |instance| {
                instance
                    .occupants
                    .keys()
                    .chain(instance.left_out.keys())
                    .filter(|nick| !present.contains(*nick))
                    .cloned()
                    .collect()
            });
            for nick in gone {
                self.depart(jid, home, &nick, None);
            }
        }
        self.reveal_jids(now, jid);
    }

    /// Who has another nick in a roster than here, by the occupant-id: an old nick that is gone and a new one that is
    /// nobody's here. Each old nick once, each new one once.
    fn changes_of_nick(&self, jid: &BareJid, home: &BareJid, roster: &Roster) -> Vec<(String, String)> {
        let Some(room) = self.rooms.get(jid) else {
            return Vec::new();
        };
        let Some(instance) = room.instances.get(home) else {
            return Vec::new();
        };
        let (mut present, mut absent) = (BTreeMap::new(), BTreeSet::new());
        for item in &roster.items {
            let Some(nick) = item.nick.as_deref() else {
                continue;
            };
            if item.role == Some(Role::None) {
                absent.insert(nick);
            } else {
                let id = item
                    .occupant
                    .as_ref()
                    .and_then(|extra| extra.occupant_id.as_deref());
                present.insert(nick, id);
            }
        }
        let is_whole = roster.occupants_complete();
        let gone = instance
            .occupants
            .iter()
            .filter(|(nick, _)| {
                absent.contains(nick.as_str()) || is_whole && !present.contains_key(nick.as_str())
            })
            .filter_map(|(nick, remote)| Some((remote.occupant_id.as_deref()?, nick.as_str())));
        let mut gone_by_id: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        // The first of several that one person has is taken first.
        gone.rev()
            .for_each(|(id, nick)| gone_by_id.entry(id).or_default().push(nick));
        let mut changes = Vec::new();
        for (new, id) in present {
            if room.locals.contains_key(new) || room.remote(new).is_some() {
                continue;
            }
            let old = id.and_then(|id| gone_by_id.get_mut(id)).and_then(Vec::pop);
            if let Some(old) = old {
                changes.push((old.to_owned(), new.to_owned()));
            }
        }
        changes
    }

    /// An occupant of a peer instance has taken another nick: gone with 303 (XEP-0045 section 7.6), and announced
    /// after that.
    fn rename_remote(&mut self, jid: &BareJid, home: &BareJid, old: &str, new: String) {
        let Some(instance) = self.instance_mut(jid, home) else {
            return;
        };
        let Some(remote) = instance.occupants.remove(old) else {
            return;
        };
        if !instance.shows(&remote) {
            return;
        }
        self.actions.push_back(Action::HideOccupant {
            room: jid.clone(),
            home: home.clone(),
            nick: old.to_owned(),
            codes: vec![NICK_CHANGED],
            new_nick: Some(new),
            actor: None,
            reason: None,
        });
        self.unhide(jid, old);
    }

    /// The list has changed: who was announced while banned is perhaps banned no more, and its home does not tell again.
    pub(super) fn take_banned_again(&mut self, now: Now, jid: &BareJid) {
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let mut peers = Vec::new();
        for (peer, instance) in &mut room.instances {
            if std::mem::take(&mut instance.has_banned) {
                instance.lacks_roster();
                peers.push(peer.clone());
            }
        }
        for peer in peers {
            self.want_sync(now, jid, &peer);
        }
    }

    /// What follows a roster: our own, if it is awaited, and our question for the history of who sends its first.
    fn after_roster(&mut self, now: Now, jid: &BareJid, home: &BareJid) {
        self.greeted(jid, home);
        let Some(room) = self.rooms.get(jid) else { return };
        let Some(instance) = room.instances.get(home) else {
            return;
        };
        let is_plain = self.caps(&home.service()) == Caps::Xep;
        let asks_history = is_plain && room.is_from_source(home) && !instance.was_asked;
        let is_behind = !instance.is_synced;
        if instance.needs_roster {
            self.send_roster(now, jid, home);
        }
        if asks_history {
            self.ask_history(now, jid, home);
        } else if is_behind {
            self.want_sync(now, jid, home);
        }
    }
}
