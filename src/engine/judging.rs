//! What may not be said live is in no page either (G11): who is banned or a visitor, or is not in the room here for want of
//! room.
//!
//! The source judges for everybody (G7): what it refuses loses its words everywhere, by a decision like any other
//! moderation. A shadow that would refuse something shows nothing and leaves it to the source. Bans count from when they were
//! made: what somebody said before that, in a split, stays (G3).

use std::collections::BTreeMap;

use super::state::admitted::Admitted;
use super::state::bans::{Bans, LeftOut, Why, is_same};
use super::state::waiting::Matter;
use crate::address::{BareJid, Jid};

use super::Engine;
use super::link::Caps;
use super::state::clock::Now;
use super::state::instance::Instance;
use super::state::log::{Entry, EventKey, UNSTAMPED};
use super::state::room::Room;
use crate::ids;
use crate::wire::{Affiliation, Condition, Hlc, Moderation, Numbers, RosterItem};

/// How many of an instance's occupants are remembered as left out; more count as left out if they are not in the room (G13).
const MAX_LEFT_OUT: usize = 1_000;
/// How many messages of visitors wait for a page that says what they are (G13).
const MAX_SUSPECTS: usize = 100;
/// What people are told of a message that was refused.
const REFUSED: &str = "Whoever said this may not speak in this room";

/// What becomes of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judged {
    Heard,
    /// Not here: it counts as known.
    NotHere,
    /// Nowhere, if this is the source's judgement.
    Refused,
}

impl Engine {
    /// Somebody in another instance's roster cannot be taken.
    pub(super) fn note_left_out(
        &mut self,
        jid: &BareJid,
        home: &BareJid,
        item: &RosterItem,
        condition: Condition,
    ) {
        let why = match condition {
            Condition::Forbidden => Why::Banned,
            Condition::ResourceConstraint => Why::Many,
            _ => return,
        };
        let (Some(instance), Some(nick)) = (self.instance_mut(jid, home), &item.nick) else {
            return;
        };
        if instance.left_out.len() >= MAX_LEFT_OUT && !instance.left_out.contains_key(nick) {
            instance.has_left_out_more |= why == Why::Many;
            return;
        }
        let extra = item.occupant.as_ref();
        let left_out = LeftOut {
            why,
            jid: item.jid.clone(),
            occupant_id: extra.and_then(|extra| extra.occupant_id.clone()),
            is_gone: false,
        };
        instance.left_out.insert(nick.clone(), left_out);
    }

    /// The list of affiliations has changed: who is banned since now?
    pub(super) fn note_bans(&mut self, now: Now, jid: &BareJid) {
        let at = self.clock.reading(now);
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let banned: Vec<BareJid> = room.banned().cloned().collect();
        let mut since = std::mem::take(&mut room.bans.since);
        let kept: BTreeMap<BareJid, Hlc> = banned
            .into_iter()
            .map(|user| {
                let known = since.remove(&user).unwrap_or_else(|| {
                    room.beside.note(&user);
                    at
                });
                (user, known)
            })
            .collect();
        since.keys().for_each(|user| room.beside.note(user));
        let salt = room.settings.salt.clone();
        let id = |user: &BareJid| {
            let salt = salt.as_ref()?;
            user.node().map(|_| (ids::occupant_id(user, salt), user.clone()))
        };
        let ids = kept.keys().filter_map(id).collect();
        room.bans = Bans {
            since: kept,
            ids,
            salt,
        };
    }

    /// What becomes of an event that `teller` tells.
    pub(super) fn judge(&self, room: &Room, teller: &BareJid, entry: &Entry) -> Judged {
        let origin = &entry.key.origin;
        if entry.nick.is_empty() || entry.is_gone() || *origin == room.jid {
            return Judged::Heard;
        }
        let Some(instance) = room.instances.get(origin) else {
            return Judged::Heard;
        };
        if instance.is_too_many(&entry.nick, entry.occupant_id.as_deref()) {
            return Judged::NotHere;
        }
        if room.is_from_source(teller) {
            return Judged::Heard;
        }
        let number = (entry.key.incarnation, entry.key.seq);
        let is_visitors = instance.suspects.get(&number) == Some(&entry.nick);
        let is_banned = |since: Hlc| since < entry.key.at;
        match is_visitors || room.author_banned_since(instance, entry).is_some_and(is_banned) {
            true => Judged::Refused,
            false => Judged::Heard,
        }
    }

    /// A home lets somebody speak whom it has told us to be a visitor. Its presence may have been lost: it is pulled, with the
    /// message, and says what they are.
    pub(super) fn suspect(
        &mut self,
        now: Now,
        jid: &BareJid,
        home: &BareJid,
        nick: &str,
        number: (u64, u64),
    ) {
        if let Some(instance) = self.instance_mut(jid, home) {
            if instance.suspects.len() >= MAX_SUSPECTS {
                instance.suspects.pop_first();
            }
            instance.suspects.insert(number, nick.to_owned());
        }
        self.pull_from(now, jid, home);
    }

    /// Somebody who is banned has said this, and its home has taken it. The source takes the words from it everywhere; a
    /// shadow leaves that to the source.
    pub(super) fn refuse_event(&mut self, now: Now, jid: &BareJid, entry: Entry) {
        let key = entry.key.clone();
        // Unless it is known to speak the XEP's text only: one that has not been asked since a restart here, or runs without
        // the module for a while, tells what it has decided later.
        let judges = |source: &BareJid| self.caps(&source.service()) != Caps::Xep;
        let Some(room) = self.rooms.get(jid) else { return };
        if key.incarnation == UNSTAMPED {
            return;
        }
        if room.is_source() {
            let blank = Entry {
                payload: "".into(),
                ..entry
            };
            if let Some(id) = self.add_entry(now, jid, Admitted::of_our_own(blank), false) {
                let moderation = Moderation {
                    id,
                    reason: Some(REFUSED.to_owned()),
                    of: Some(key.number()),
                    ..Moderation::default()
                };
                self.decide_moderation(now, jid, moderation, false);
            }
            return;
        }
        let has_judge = room.source.as_ref().is_some_and(judges);
        self.pass_over(jid, &key);
        if let Some(room) = self.rooms.get_mut(jid).filter(|_| has_judge) {
            room.log.withhold(&key);
        }
    }

    /// A number counts as known, whatever it stood for.
    pub(super) fn pass_over(&mut self, jid: &BareJid, key: &EventKey) {
        if let Some(room) = self.rooms.get_mut(jid) {
            let number = Numbers::single(key.seq);
            room.log.mark(&key.origin, key.incarnation, &number);
            room.touch();
            self.unsaved.insert(jid.clone());
        }
    }
}

impl Instance {
    /// Whether an occupant of this one with this nick is not in the room here, because there are too many.
    pub(super) fn is_too_many(&self, nick: &str, occupant_id: Option<&str>) -> bool {
        match self.left_out.get(nick) {
            Some(left_out) => left_out.why == Why::Many && left_out.may_be(occupant_id),
            None => self.has_left_out_more && !self.occupants.contains_key(nick),
        }
    }

    /// Somebody has left there; what it said may be on its way.
    pub(super) fn left_there(&mut self, nick: &str) {
        if let Some(left_out) = self.left_out.get_mut(nick) {
            left_out.is_gone = true;
        }
    }

    /// Its home says something of an occupant: nothing that was said under the nick before is a visitor's for sure.
    pub(super) fn acquit(&mut self, nick: &str) {
        self.suspects.retain(|_, suspect| suspect != nick);
    }

    /// Everything that was said there is here.
    pub(super) fn forget_who_left(&mut self) {
        self.suspects.clear();
        self.left_out.retain(|_, left_out| !left_out.is_gone);
        self.has_left_out_more &= self.left_out.len() >= MAX_LEFT_OUT;
    }
}

impl Room {
    /// Who is banned, by the source.
    fn banned(&self) -> impl Iterator<Item = &BareJid> {
        let entries = self.settings.affiliations.iter();
        let banned = entries.filter(|(_, entry)| entry.affiliation == Affiliation::Outcast);
        // What waits for the source's decision may come to nothing, and what was said meanwhile would be late.
        let decided = |user: &&BareJid| {
            self.offers.is_empty() || !self.offers.contains_key(&Matter::Listed((*user).clone()))
        };
        banned.map(|(user, _)| user).filter(decided)
    }

    /// Since when this user is banned, by its own entry or by that of its domain.
    pub(super) fn banned_since(&self, user: &Jid) -> Option<Hlc> {
        let (user, domain) = (user.to_bare(), user.service());
        match self.settings.affiliations.contains_key(&user) {
            true => self.bans.since.get(&user),
            false => self.bans.since.get(&domain),
        }
        .copied()
    }

    /// Since when the author of an event of this instance is banned, as far as anything here says who that is.
    fn author_banned_since(&self, instance: &Instance, entry: &Entry) -> Option<Hlc> {
        if self.bans.since.is_empty() {
            return None;
        }
        let id = entry.occupant_id.as_deref();
        let by_id = id.and_then(|id| self.bans.ids.get(id));
        let present = instance
            .occupants
            .get(&entry.nick)
            .filter(|remote| is_same(remote.occupant_id.as_deref(), id));
        let left_out = instance
            .left_out
            .get(&entry.nick)
            .filter(|left_out| left_out.why == Why::Banned && left_out.may_be(id));
        let named = [
            by_id.cloned().map(Jid::from),
            present.and_then(|remote| remote.jid.clone()),
            left_out.and_then(|left_out| left_out.jid.clone()),
        ];
        named
            .iter()
            .flatten()
            .filter_map(|user| self.banned_since(user))
            .min()
    }
}
