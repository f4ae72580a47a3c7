//! Two people with one nick: who keeps it is decided the same way everywhere (DESIGN section 3), and the other is not
//! shown until its home has renamed it (G8).

use crate::address::{BareJid, Jid};

use super::clock::Now;
use super::merge::{Contender, free_nick, keeps_nick};
use super::presence::shown;
use super::room::{Local, Remote, Room};
use super::{Action, Engine};

/// How long who lost a nick may go on speaking under it: its home may not know yet.
const RENAME_MS: u64 = 60_000;

/// What becomes of a clash.
enum Outcome {
    /// There is none, or it is one person.
    None,
    /// The newcomer has to go.
    NewcomerLoses,
    /// Our own occupant has to go.
    LocalLoses,
    /// The occupants of these instances have to go: one person, or there would be one already.
    RemotesLose(Vec<BareJid>),
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
            Outcome::None => new.rename_by = 0,
            Outcome::NewcomerLoses => {
                new.hidden = true;
                // A deadline stands, whatever is announced before it.
                if new.rename_by == 0 {
                    new.rename_by = now.mono_ms + RENAME_MS;
                }
            }
            Outcome::LocalLoses => self.rename_local(jid, nick),
            Outcome::RemotesLose(losers) => {
                for loser in &losers {
                    let instance = room.instances.get_mut(loser);
                    if let Some(remote) = instance.and_then(|instance| instance.occupants.get_mut(nick)) {
                        (remote.hidden, remote.rename_by) = (true, now.mono_ms + RENAME_MS);
                    }
                }
                for loser in &losers {
                    self.hide_quietly(jid, loser, nick);
                }
            }
        }
    }

    pub(super) fn hide_quietly(&mut self, jid: &BareJid, home: &BareJid, nick: &str) {
        self.actions.push_back(Action::HideOccupant {
            room: jid.clone(),
            home: home.clone(),
            nick: nick.to_owned(),
            codes: Vec::new(),
            new_nick: None,
            actor: None,
            reason: None,
        });
    }

    fn rename_local(&mut self, jid: &BareJid, nick: &str) {
        let Some(room) = self.rooms.get(jid) else { return };
        let new_nick = free_nick(nick, |nick| room.is_nick_used(nick));
        self.actions.push_back(Action::Rename {
            room: jid.clone(),
            nick: nick.to_owned(),
            new_nick,
        });
    }

    /// The nick is free: who lost it in a clash and has not been renamed yet is shown after all.
    pub(super) fn unhide(&mut self, jid: &BareJid, nick: &str) {
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        if room.locals.contains_key(nick) || room.remote(nick).is_some() {
            return;
        }
        let waiting = room.instances.iter_mut().find_map(|(home, instance)| {
            let remote = instance.occupants.get_mut(nick)?;
            (remote.hidden, remote.rename_by) = (false, 0);
            Some((home.clone(), remote.clone()))
        });
        if let Some((home, remote)) = waiting {
            let occupant = shown(room, &home, nick, &remote, Some(String::new()));
            self.actions.push_back(Action::ShowOccupant(Box::new(occupant)));
        }
    }
}

/// Who keeps the nick that `new` of `home` comes with?
fn outcome(room: &Room, home: &BareJid, nick: &str, new: &Remote) -> Outcome {
    let owner = room.nick_owner(nick);
    let contender = |home, jid: Option<&Jid>, since_ms| Contender {
        owns_nick: owner.is_some() && jid.map(Jid::to_bare).as_ref() == owner,
        at_source: room.is_from_source(home),
        since_ms,
        home,
    };
    // Honest homes give one person one occupant-id; where real JIDs are known on both sides, they decide.
    let same_person = |jid: Option<&Jid>, id: Option<&String>| match (&new.jid, jid) {
        (Some(other), Some(jid)) => other.to_bare() == jid.to_bare(),
        _ => id.is_some() && id == new.occupant_id.as_ref(),
    };
    let same_as_local = |local: &Local| same_person(Some(&local.jid), local.occupant_id.as_ref());
    let same_as_remote = |remote: &Remote| same_person(remote.jid.as_ref(), remote.occupant_id.as_ref());
    let newcomer = contender(home, new.jid.as_ref(), new.serial);
    if let Some(local) = room.locals.get(nick).filter(|local| !same_as_local(local)) {
        if keeps_nick(&contender(&room.jid, Some(&local.jid), local.serial), &newcomer) {
            return Outcome::NewcomerLoses;
        }
        return Outcome::LocalLoses;
    }
    let mut losers = Vec::new();
    for (other, instance) in room.instances.iter().filter(|(other, _)| *other != home) {
        let Some(remote) = instance.occupants.get(nick).filter(|remote| !remote.hidden) else {
            continue;
        };
        if same_as_remote(remote) {
            continue;
        }
        if keeps_nick(&contender(other, remote.jid.as_ref(), remote.serial), &newcomer) {
            return Outcome::NewcomerLoses;
        }
        losers.push(other.clone());
    }
    if losers.is_empty() {
        Outcome::None
    } else {
        Outcome::RemotesLose(losers)
    }
}
