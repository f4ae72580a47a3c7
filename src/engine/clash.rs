//! Two people with one nick: who keeps it is decided the same way everywhere (DESIGN section 3), and the other is not
//! shown until its home has renamed it (G8).

use std::cmp::Ordering;
use std::collections::BTreeSet;

use crate::address::{BareJid, Jid};

use super::presence::{hidden, shown};
use super::state::clock::Now;
use super::state::instance::{Instance, Remote};
use super::state::merge::{Contender, free_nick, keeps_nick};
use super::state::room::Room;
use super::{Action, Engine, split};

/// How long who lost a nick may go on speaking under it: its home may not know yet.
const RENAME_MS: u64 = 60_000;
/// How long after that the same nick gets the same home no other such minute.
const NO_GRACE_MS: u64 = 3_600_000;
/// How many nicks of one home are remembered as lost; while there are more nobody goes on speaking under one (G13).
const MAX_GRACES: usize = 1_000;
/// How many of our occupants may be on their way to another nick because a peer says that they have lost theirs (G13).
const MAX_GIVING_WAY: usize = 100;

/// What becomes of a clash.
enum Outcome {
    /// There is none, or it is one person.
    None,
    /// The newcomer has to go.
    NewcomerLoses,
    /// Everybody else has to go: our own occupant, and those of other instances.
    OthersLose { local: bool, remotes: Vec<BareJid> },
}

impl Engine {
    /// Settles whether `new` of `home` may have this nick; who may not is hidden or renamed.
    pub(super) fn settle_clash(
        &mut self,
        now: Now,
        jid: &BareJid,
        home: &BareJid,
        nick: &str,
        new: &mut Remote,
    ) {
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        match outcome(room, home, nick, new) {
            Outcome::None => {
                new.rename_by = 0;
                let mut others = room.instances.iter().filter(|(other, _)| *other != home);
                let is_anybodys = room.locals.contains_key(nick)
                    || others.any(|(_, instance)| instance.occupants.contains_key(nick));
                if !is_anybodys && let Some(instance) = room.instances.get_mut(home) {
                    // Nobody else's: it may be lost once more.
                    instance.graces.remove(nick);
                }
            }
            Outcome::NewcomerLoses => {
                new.hidden = true;
                // A deadline stands, whatever is announced before it.
                if let Some(instance) = room.instances.get_mut(home) {
                    new.rename_by = instance.grace(nick, now.mono_ms);
                }
            }
            Outcome::OthersLose { local, remotes } => {
                for loser in &remotes {
                    let Some(instance) = room.instances.get_mut(loser) else {
                        continue;
                    };
                    let rename_by = instance.grace(nick, now.mono_ms);
                    if let Some(remote) = instance.occupants.get_mut(nick) {
                        (remote.hidden, remote.rename_by) = (true, rename_by);
                    }
                }
                for loser in &remotes {
                    self.actions.push_back(hidden(jid, loser, nick));
                }
                if local {
                    self.rename_local(jid, nick);
                }
            }
        }
    }

    /// Whether the client that `home` shows under this nick counts as the person who has the nick here: an occupant-id is
    /// public, so that it says who somebody is to the eye only. Where the real JID of the person is known here, by a client
    /// of this or of another instance, the home has to be one that may name it: the source, a trusted peer, or one that is
    /// authoritative for its domain (G11).
    pub fn is_vouched_for(&self, room: &BareJid, home: &BareJid, nick: &str) -> bool {
        let Some(room) = self.rooms.get(room) else {
            return false;
        };
        let here = room.locals.get(nick).map(|local| &local.jid);
        let elsewhere = room.remotes(nick).filter_map(|(_, remote)| remote.jid.as_ref());
        let service = home.service();
        room.is_from_source(home)
            || here
                .into_iter()
                .chain(elsewhere)
                .all(|known| self.config.is_authoritative(&service, known.domain()))
    }

    /// A peer says that our occupant has lost its nick. Nothing here shows that this is so: it is believed once of each peer
    /// (G11). Returns whether somebody keeps the nick for that reason.
    pub(super) fn lose_nick(&mut self, jid: &BareJid, nick: &str, peer: &BareJid) -> bool {
        let Some(room) = self.rooms.get(jid) else {
            return false;
        };
        // Whose nick is registered keeps it, whatever a peer says (G11).
        let Some(local) = room
            .locals
            .get(nick)
            .filter(|local| room.nick_owner(nick) != Some(&local.jid.to_bare()))
        else {
            return false;
        };
        let who = local.jid.to_bare();
        let mut believed = local.gave_way_to.clone();
        if !believed.insert(peer.clone()) {
            return true;
        }
        let new_nick = self.rename_local(jid, nick);
        if let (Some(room), Some(new_nick)) = (self.rooms.get_mut(jid), new_nick) {
            if room.giving_way.len() >= MAX_GIVING_WAY {
                room.giving_way.clear();
            }
            room.giving_way.insert(new_nick, (who, believed));
        }
        false
    }

    /// The list has changed in some rooms, and with it who has registered which nick: clashes that are not over are decided
    /// once more, and who was banned is shown.
    pub(super) fn settle_nicks(&mut self, now: Now) {
        while let Some(jid) = self.relisted.pop_first() {
            self.note_bans(now, &jid);
            let Some(room) = self.rooms.get(&jid) else {
                continue;
            };
            let losers: Vec<(BareJid, String)> = room
                .instances
                .iter()
                .filter(|(_, instance)| !instance.is_out)
                .flat_map(|(home, instance)| {
                    let hidden = instance.occupants.iter().filter(|(_, remote)| remote.hidden);
                    hidden.map(|(nick, _)| (home.clone(), nick.clone()))
                })
                .collect();
            for (home, nick) in losers {
                self.settle_again(now, &jid, &home, &nick);
            }
            for nick in self.nicks_of_others(&jid) {
                self.rename_local(&jid, &nick);
            }
            self.take_banned_again(now, &jid);
        }
    }

    /// The nicks that people here took meanwhile which the source has registered for somebody else, whether that one is in
    /// the room or not. At the source the host sees to that before it registers a nick.
    fn nicks_of_others(&self, jid: &BareJid) -> Vec<String> {
        let Some(room) = self.rooms.get(jid).filter(|room| !room.is_source()) else {
            return Vec::new();
        };
        let entries = room.settings.affiliations.values();
        let registered: BTreeSet<&str> = entries
            .filter_map(|entry| entry.reserved_nick.as_deref())
            .collect();
        let here = room
            .locals
            .iter()
            .filter(|(nick, _)| registered.contains(nick.as_str()));
        here.filter(|(nick, local)| room.nick_owner(nick) != Some(&local.jid.to_bare()))
            .map(|(nick, _)| nick.clone())
            .collect()
    }

    /// Somebody who lost a nick may have it after all: then everybody else gives it up.
    fn settle_again(&mut self, now: Now, jid: &BareJid, home: &BareJid, nick: &str) {
        let instance = self.instance_mut(jid, home);
        let loser = instance.and_then(|instance| instance.occupants.get(nick));
        let Some(mut remote) = loser.filter(|remote| remote.hidden).cloned() else {
            return;
        };
        remote.hidden = false;
        self.settle_clash(now, jid, home, nick, &mut remote);
        if remote.hidden {
            return;
        }
        remote.rename_by = 0;
        let how = self.config.split_presence;
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let Some(instance) = room.instances.get(home) else {
            return;
        };
        let payload = split::payload_of(instance, home, &remote, how);
        let occupant = shown(room, home, nick, &remote, Some(payload));
        self.actions.push_back(Action::ShowOccupant(Box::new(occupant)));
        if let Some(instance) = room.instances.get_mut(home) {
            instance.occupants.insert(nick.to_owned(), remote);
        }
    }

    /// Has our occupant renamed. Returns its new nick.
    fn rename_local(&mut self, jid: &BareJid, nick: &str) -> Option<String> {
        let room = self.rooms.get_mut(jid)?;
        let locals = &room.locals;
        room.promised
            .retain(|old, _| old != nick && locals.contains_key(old));
        let new_nick = free_nick(nick, |nick| {
            let is_promised = room.promised.values().any(|promised| promised == nick);
            is_promised || room.is_nick_used(nick) || room.nick_owner(nick).is_some()
        });
        room.promised.insert(nick.to_owned(), new_nick.clone());
        self.actions.push_back(Action::Rename {
            room: jid.clone(),
            nick: nick.to_owned(),
            new_nick: new_nick.clone(),
        });
        Some(new_nick)
    }

    /// Who has the nick has changed: whoever lost it in a clash, has not been renamed yet, and clashes with nobody any
    /// more is shown after all. The best claim comes first.
    pub(super) fn unhide(&mut self, jid: &BareJid, nick: &str) {
        let how = self.config.split_presence;
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let hidden = |(home, instance): (&BareJid, &Instance)| {
            let remote = instance
                .occupants
                .get(nick)
                .filter(|remote| remote.hidden && !instance.is_out);
            remote.map(|remote| (home.clone(), remote.clone()))
        };
        let mut waiting: Vec<(BareJid, Remote)> = room.instances.iter().filter_map(hidden).collect();
        waiting.sort_by(|(a, first), (b, second)| {
            let claim =
                |home, remote: &Remote| contender(room, nick, home, remote.jid.as_ref(), remote.serial);
            match keeps_nick(&claim(a, first), &claim(b, second)) {
                true => Ordering::Less,
                false => Ordering::Greater,
            }
        });
        for (home, mut remote) in waiting {
            if !matches!(outcome(room, &home, nick, &remote), Outcome::None) {
                continue;
            }
            (remote.hidden, remote.rename_by) = (false, 0);
            let Some(instance) = room.instances.get(&home) else {
                continue;
            };
            let payload = split::payload_of(instance, &home, &remote, how);
            let occupant = shown(room, &home, nick, &remote, Some(payload));
            self.actions.push_back(Action::ShowOccupant(Box::new(occupant)));
            if let Some(instance) = room.instances.get_mut(&home) {
                instance.occupants.insert(nick.to_owned(), remote);
            }
        }
    }
}

impl Instance {
    /// Until when an occupant that has lost this nick may go on speaking under it. One minute for each home and nick, and
    /// not another one by leaving and coming again (G11).
    fn grace(&mut self, nick: &str, now_ms: u64) -> u64 {
        let is_new = |until: u64| now_ms >= until + NO_GRACE_MS;
        if let Some(until) = self.graces.get(nick).filter(|until| !is_new(**until)) {
            return *until;
        }
        if self.graces.len() >= MAX_GRACES {
            self.graces.retain(|_, until| !is_new(*until));
        }
        if self.graces.len() >= MAX_GRACES {
            return now_ms;
        }
        let until = now_ms + RENAME_MS;
        self.graces.insert(nick.to_owned(), until);
        until
    }
}

fn contender<'a>(
    room: &Room,
    nick: &str,
    home: &'a BareJid,
    jid: Option<&Jid>,
    since_ms: u64,
) -> Contender<'a> {
    let owner = room.nick_owner(nick);
    Contender {
        owns_nick: owner.is_some() && jid.map(Jid::to_bare).as_ref() == owner,
        at_source: room.is_from_source(home),
        since_ms,
        home,
    }
}

/// Who keeps the nick that `new` of `home` comes with?
fn outcome(room: &Room, home: &BareJid, nick: &str, new: &Remote) -> Outcome {
    // Honest homes give one person one occupant-id, and a home that names somebody shows no other's (see `announce`); where
    // real JIDs are known on both sides, they decide.
    let same_person = |jid: Option<&Jid>, id: Option<&String>| match (&new.jid, jid) {
        (Some(other), Some(jid)) => other.to_bare() == jid.to_bare(),
        _ => id.is_some() && id == new.occupant_id.as_ref(),
    };
    let newcomer = contender(room, nick, home, new.jid.as_ref(), new.serial);
    let keeps = |home, jid, since_ms| keeps_nick(&contender(room, nick, home, jid, since_ms), &newcomer);
    let mut local_loses = false;
    if let Some(local) = room.locals.get(nick)
        && !same_person(Some(&local.jid), local.occupant_id.as_ref())
    {
        if keeps(&room.jid, Some(&local.jid), local.serial) {
            return Outcome::NewcomerLoses;
        }
        local_loses = true;
    }
    let mut losers = Vec::new();
    for (other, instance) in room.instances.iter().filter(|(other, _)| *other != home) {
        let Some(remote) = instance
            .occupants
            .get(nick)
            .filter(|remote| instance.shows(remote))
        else {
            continue;
        };
        if same_person(remote.jid.as_ref(), remote.occupant_id.as_ref()) {
            continue;
        }
        if keeps(other, remote.jid.as_ref(), remote.serial) {
            return Outcome::NewcomerLoses;
        }
        losers.push(other.clone());
    }
    match (local_loses, losers.is_empty()) {
        (false, true) => Outcome::None,
        (local, _) => Outcome::OthersLose {
            local,
            remotes: losers,
        },
    }
}
