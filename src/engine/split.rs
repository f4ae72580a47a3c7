//! What people see of a split: occupants behind a link that is down stay, shown as out of reach, until both sides agree
//! again (G8).

use std::sync::Arc;

use crate::address::BareJid;

use super::cause::Cause;
use super::presence;
use super::state::clock::Now;
use super::state::instance::{Instance, Remote, Stage, SyncStage};
use super::{Action, Engine, Notice};
use crate::config::SplitPresence;
use crate::wire::{Condition, StanzaError, escaped, split_payload};

/// Who is out of reach is shown so after this: a link that is back by then has left nothing to see.
const SETTLES_MS: u64 = 2_000;
/// What a link that goes up and down shows of all its occupants it shows once in this time.
const FLOODS_MS: u64 = 60_000;

impl Instance {
    /// Whether local occupants see this occupant of it.
    pub(crate) fn shows(&self, remote: &Remote) -> bool {
        !remote.hidden && !self.is_out
    }

    /// Its occupants are not out of reach. Returns whether people here have seen that they were.
    pub(crate) fn is_back(&mut self) -> bool {
        let was_shown = self.is_cut_shown;
        (self.is_cut, self.is_cut_shown, self.is_out) = (false, false, false);
        self.show_cut_at = None;
        was_shown
    }

    /// Its occupants are out of reach. Returns whether people here are still to see that.
    fn will_show_cut(&mut self, now: Now, how: SplitPresence) -> bool {
        self.is_cut = true;
        let is_shown = match how {
            SplitPresence::Keep => true,
            SplitPresence::Away => self.is_cut_shown,
            SplitPresence::Leave => self.is_out,
        };
        if is_shown || self.show_cut_at.is_some() {
            return false;
        }
        let next = self.cut_shown_at.map_or(0, |at| at + FLOODS_MS);
        self.show_cut_at = Some((now.mono_ms + SETTLES_MS).max(next));
        true
    }
}

impl Engine {
    /// The link to the service of an instance is down.
    pub(super) fn cut_instance(&mut self, now: Now, jid: &BareJid, service: &BareJid) {
        let how = self.config.split_presence;
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let found = room.instances.iter_mut().find(|(peer, _)| peer.is_at(service));
        let Some((peer, instance)) = found else { return };
        let peer = peer.clone();
        (instance.is_synced, instance.sync, instance.resync_at) = (false, SyncStage::Idle, None);
        (instance.retry_at, instance.pulls_until, instance.page) = (None, None, None);
        instance.roster_parts.clear();
        (instance.parts_version, instance.parts_next) = (None, 0);
        if instance.stage != Stage::Active {
            if instance.stage != Stage::Refused {
                self.note_unreachable(jid, service);
            }
            return;
        }
        let was_cut = instance.is_cut;
        if instance.will_show_cut(now, how) {
            self.timed.insert(jid.clone());
        }
        if !was_cut {
            self.unsaved.insert(jid.clone());
            self.tell_split(now, jid, &peer);
        }
    }

    /// Instances that have been out of reach for long enough: people here see it of everybody there.
    pub(super) fn handle_unshown_splits(&mut self, now: Now) {
        let mut due = Vec::new();
        for jid in &self.timed {
            let room = self.rooms.get_mut(jid);
            for (peer, instance) in room.into_iter().flat_map(|room| &mut room.instances) {
                if instance.show_cut_at.is_some_and(|at| at <= now.mono_ms) {
                    (instance.show_cut_at, instance.cut_shown_at) = (None, Some(now.mono_ms));
                    due.push((jid.clone(), peer.clone()));
                }
            }
        }
        for (jid, peer) in due {
            self.show_cut(&jid, &peer);
        }
    }

    fn show_cut(&mut self, jid: &BareJid, peer: &BareJid) {
        let how = self.config.split_presence;
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let Some(instance) = room.instances.get_mut(peer) else {
            return;
        };
        let occupants = instance.occupants.iter();
        let seen: Vec<(String, Remote)> = occupants
            .filter(|(_, remote)| instance.shows(remote))
            .map(|(nick, remote)| (nick.clone(), remote.clone()))
            .collect();
        (instance.is_cut_shown, instance.is_out) = (true, how == SplitPresence::Leave);
        for (nick, remote) in &seen {
            match how {
                SplitPresence::Keep => {}
                SplitPresence::Away => {
                    let payload = Some(decorated(remote, &peer.service()));
                    let shown = presence::shown(room, peer, nick, remote, payload);
                    self.actions.push_back(Action::ShowOccupant(Box::new(shown)));
                }
                SplitPresence::Leave => self.actions.push_back(presence::hidden(jid, peer, nick)),
            }
        }
        if how == SplitPresence::Leave {
            // Whoever lost a nick to them has it now, as far as people here see.
            for (nick, _) in &seen {
                self.unhide(jid, nick);
            }
        }
        self.unsaved.insert(jid.clone());
    }

    /// People here are told that the link to an instance is down: now, or when they have not been told so often lately, if it
    /// still is then (G13).
    fn tell_split(&mut self, now: Now, jid: &BareJid, peer: &BareJid) {
        let (rate, service) = (self.split_notices(), peer.service());
        let Some(instance) = self.instance_mut(jid, peer) else {
            return;
        };
        if !instance.splits.take(now.mono_ms, rate) {
            instance.tell_split_at = Some(instance.splits.ready_at_ms(rate));
            self.timed.insert(jid.clone());
            return;
        }
        instance.tell_split_at = None;
        let shown = instance.occupants.values().filter(|remote| !remote.hidden);
        let occupants = shown.count();
        let cause = self.cause(&service);
        self.note(jid, &service, Notice::SplitBegan { occupants, cause });
    }

    /// Links that went down too often to be told at once, and are still down.
    pub(super) fn handle_untold_splits(&mut self, now: Now) {
        let mut due = Vec::new();
        for jid in &self.timed {
            let room = self.rooms.get_mut(jid);
            for (peer, instance) in room.into_iter().flat_map(|room| &mut room.instances) {
                if instance.tell_split_at.is_some_and(|at| at <= now.mono_ms) {
                    instance.tell_split_at = None;
                    if instance.is_cut {
                        due.push((jid.clone(), peer.clone()));
                    }
                }
            }
        }
        for (jid, peer) in due {
            self.tell_split(now, &jid, &peer);
        }
    }

    /// Both sides agree again: the occupants there are shown as they are.
    pub(super) fn heal_instance(&mut self, now: Now, jid: &BareJid, peer: &BareJid) {
        let how = self.config.split_presence;
        let Some(instance) = self.instance_mut(jid, peer) else {
            return;
        };
        let was_shown = instance.is_back();
        // Who was not told of the beginning hears nothing of the end.
        let is_told = instance.tell_split_at.take().is_none();
        let nicks: Vec<String> = instance.occupants.keys().cloned().collect();
        for nick in nicks {
            if was_shown && how != SplitPresence::Keep {
                self.show_again(now, jid, peer, &nick);
            }
            // Somebody who had lost a nick may have it now: whoever had it has left meanwhile, or was here before a restart.
            self.unhide(jid, &nick);
        }
        self.unsaved.insert(jid.clone());
        if is_told {
            self.note(jid, &peer.service(), Notice::SplitEnded);
        }
    }

    /// Services that know only the XEP's text tell their occupants anew.
    pub(super) fn heal_all(&mut self, now: Now, service: &BareJid) {
        for jid in self.rooms_with(service) {
            let peers = self
                .rooms
                .get(&jid)
                .into_iter()
                .flat_map(|room| room.instances.iter());
            let cut: Vec<BareJid> = peers
                .filter(|(peer, instance)| peer.is_at(service) && instance.is_cut)
                .map(|(peer, _)| peer.clone())
                .collect();
            for peer in cut {
                self.heal_instance(now, &jid, &peer);
            }
        }
    }

    fn show_again(&mut self, now: Now, jid: &BareJid, peer: &BareJid, nick: &str) {
        let Some(instance) = self.rooms.get(jid).and_then(|room| room.instances.get(peer)) else {
            return;
        };
        let Some(mut remote) = instance
            .occupants
            .get(nick)
            .filter(|remote| !remote.hidden)
            .cloned()
        else {
            return;
        };
        if self.config.split_presence == SplitPresence::Leave {
            // Somebody may have taken the nick meanwhile.
            self.settle_clash(now, jid, peer, nick, &mut remote);
        }
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        if !remote.hidden {
            let payload = Some(remote.payload.to_string());
            let shown = presence::shown(room, peer, nick, &remote, payload);
            self.actions.push_back(Action::ShowOccupant(Box::new(shown)));
        }
        if let Some(instance) = room.instances.get_mut(peer) {
            instance.occupants.insert(nick.to_owned(), remote);
        }
    }

    /// Occupants elsewhere who may have been taken out of sight here, by a ban that does not hold.
    pub(super) fn show_person(&mut self, jid: &BareJid, user: &BareJid) {
        let Some(room) = self.rooms.get(jid) else { return };
        for (home, instance) in &room.instances {
            let is_it = |remote: &Remote| remote.jid.as_ref().is_some_and(|named| named.to_bare() == *user);
            let here = instance
                .occupants
                .iter()
                .filter(|(_, remote)| is_it(remote) && instance.shows(remote));
            for (nick, remote) in here {
                let payload = payload_of(instance, home, remote, self.config.split_presence);
                let shown = presence::shown(room, home, nick, remote, Some(payload));
                self.actions.push_back(Action::ShowOccupant(Box::new(shown)));
            }
        }
    }

    /// A peer that never returns: its occupants are no longer listed.
    pub(super) fn forget_occupants(&mut self, jid: &BareJid, service: &BareJid) {
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let found = room.instances.iter_mut().find(|(peer, _)| peer.is_at(service));
        let Some((peer, instance)) = found else { return };
        let peer = peer.clone();
        let visible: Vec<String> = instance
            .occupants
            .iter()
            .filter(|(_, remote)| instance.shows(remote))
            .map(|(nick, _)| nick.clone())
            .collect();
        let all: Vec<String> = std::mem::take(&mut instance.occupants).into_keys().collect();
        instance.roster_version = None;
        for nick in visible {
            self.actions.push_back(presence::hidden(jid, &peer, &nick));
        }
        for nick in all {
            self.unhide(jid, &nick);
        }
        self.has_room_again(jid);
        self.unsaved.insert(jid.clone());
    }

    /// There is no instance at a service that is out of reach, and why.
    pub(super) fn note_unreachable(&mut self, jid: &BareJid, service: &BareJid) {
        let notice = match self.cause(service) {
            Cause::NoModule => Notice::Unsupported,
            Cause::NotPeered => Notice::Refused(StanzaError::with_text(
                Condition::Forbidden,
                "This service does not peer with yours",
            )),
            cause => Notice::Unreachable { cause },
        };
        self.note(jid, service, notice);
    }

    /// A room is new and wants an instance at a service that is out of reach: its owner is told, if it still is when it
    /// is asked now. Who said no has said it.
    pub(super) fn want_of_absent(&mut self, now: Now, jid: &BareJid, service: &BareJid) {
        if self.cause(service).is_refusal() {
            self.note_unreachable(jid, service);
        } else if let Some(room) = self.rooms.get_mut(jid) {
            let here = room.instances.iter_mut().filter(|(peer, _)| peer.is_at(service));
            here.for_each(|(_, instance)| instance.is_untold = true);
        }
        self.showed_life(now, service);
    }

    /// The service is still out of reach.
    pub(super) fn tell_untold(&mut self, service: &BareJid) {
        let mut untold = Vec::new();
        self.rooms.change_shared_with(service, |room| {
            for (peer, instance) in &mut room.instances {
                if peer.is_at(service) && std::mem::take(&mut instance.is_untold) {
                    untold.push((room.jid.clone(), instance.stage));
                }
            }
        });
        for (jid, stage) in untold {
            if stage == Stage::Wanted {
                self.note_unreachable(&jid, service);
            }
        }
    }

    /// The service is reached, and says that it has no XEP-0281 or does not peer with us, which was not known before.
    pub(super) fn refused_now(&mut self, service: &BareJid) {
        self.rooms.change_shared_with(service, |room| {
            let here = room.instances.iter_mut().filter(|(peer, _)| peer.is_at(service));
            here.for_each(|(_, instance)| instance.is_untold = true);
        });
    }

    pub(super) fn note(&mut self, jid: &BareJid, service: &BareJid, notice: Notice) {
        self.actions.push_back(Action::Notice {
            room: jid.clone(),
            peer: service.clone(),
            notice,
        });
    }
}

/// What is shown of an occupant: as it is, or as out of reach.
pub(super) fn payload_of(instance: &Instance, home: &BareJid, remote: &Remote, how: SplitPresence) -> String {
    match instance.is_cut_shown && how == SplitPresence::Away {
        true => decorated(remote, &home.service()),
        false => remote.payload.to_string(),
    }
}

/// The presence of somebody out of reach: extended away, with a status that says why.
fn decorated(remote: &Remote, service: &BareJid) -> String {
    let is_mood = |element: &&str| {
        let name = element.trim_start_matches('<');
        let name = name.split([' ', '>', '/']).next().unwrap_or_default();
        name == "show" || name == "status"
    };
    let payload: Arc<str> = remote.payload.clone();
    let others = split_payload(&payload).unwrap_or_default();
    let mut shown: String = others.into_iter().filter(|element| !is_mood(element)).collect();
    shown.push_str("<show>xa</show><status>");
    shown.push_str(&escaped(&format!(
        "Out of reach: the connection to {service} is interrupted"
    )));
    shown.push_str("</status>");
    shown
}
