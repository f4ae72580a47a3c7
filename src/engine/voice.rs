//! Requests for voice (XEP-0045 sections 7.13 and 8.6): a visitor's request reaches the moderators of every instance, and
//! the first answer counts. The visitor's home knows which was the first.
//!
//! Moderators of instances that cannot be reached are told when they can be again, if nobody has answered by then.

use std::collections::{BTreeMap, BTreeSet};

use super::state::waiting::{OpenRequest, SeenRequest};
use crate::address::BareJid;

use super::request::Pending;
use super::rulings::Actor;
use super::state::clock::Now;
use super::state::instance::Instance;
use super::{Action, Engine, Verdict, refuse};
use crate::error::Error;
use crate::wire::{Act, ActKind, Condition, Request, Role, StanzaError};

/// How many requests are remembered in a room, of its own occupants and of others; the oldest are forgotten (G13).
const MAX_REQUESTS: usize = 500;
/// How long a request can be answered.
const OPEN_MS: u64 = 24 * 3_600_000;
/// Who asks again, unanswered, is shown again to moderators of other instances after this.
const REPEAT_MS: u64 = 30_000;

impl OpenRequest {
    fn is_open(&self, now: Now) -> bool {
        now.mono_ms < self.at + OPEN_MS
    }
}

/// Forgets the oldest entry if there is no room for another.
fn make_room<K: Ord + Clone, V>(entries: &mut BTreeMap<K, V>, age: impl Fn(&V) -> u64) {
    if entries.len() < MAX_REQUESTS {
        return;
    }
    let oldest = entries.iter().min_by_key(|(_, entry)| age(entry));
    if let Some(key) = oldest.map(|(key, _)| key.clone()) {
        entries.remove(&key);
    }
}

/// Whether an instance has a moderator, as far as is known.
fn hosts_moderator(instance: &Instance) -> bool {
    instance.roster_version.is_none()
        || instance
            .occupants
            .values()
            .any(|remote| remote.role == Role::Moderator)
}

impl Engine {
    /// A visitor here asks for voice.
    pub(super) fn voice_requested(&mut self, now: Now, jid: &BareJid, nick: &str) -> Result<Verdict, Error> {
        let room = self.room_mut(jid)?;
        let Some(local) = room.locals.get(nick).filter(|local| local.role == Role::Visitor) else {
            return Ok(Verdict::Continue);
        };
        let serial = local.serial;
        match room.voice.get_mut(nick) {
            Some(open) if open.serial == serial && open.is_open(now) => {
                if now.mono_ms >= open.told_at + REPEAT_MS {
                    open.told.clear();
                    open.told_at = now.mono_ms;
                }
            }
            known => {
                let after = known.map_or(0, |open| open.number);
                room.voice.remove(nick);
                make_room(&mut room.voice, |open| open.at);
                let open = OpenRequest {
                    serial,
                    number: now.wall_ms.max(after + 1),
                    at: now.mono_ms,
                    told_at: now.mono_ms,
                    told: BTreeSet::new(),
                };
                room.voice.insert(nick.to_owned(), open);
            }
        }
        self.tell_voice_requests(now, jid, None);
        Ok(Verdict::Done)
    }

    /// Tells instances that host a moderator, or one of them, of the open requests that they do not know.
    pub(super) fn tell_voice_requests(&mut self, now: Now, jid: &BareJid, only: Option<&BareJid>) {
        let Some(room) = self.rooms.get(jid).filter(|room| !room.voice.is_empty()) else {
            return;
        };
        let mut news = Vec::new();
        for (home, instance) in &room.instances {
            let is_meant = only.is_none_or(|only| only == home);
            let can_be_told = instance.takes_events() && self.speaks_ours(home);
            if !is_meant || !can_be_told || !hosts_moderator(instance) || !self.is_link_open(&home.service())
            {
                continue;
            }
            for (nick, open) in &room.voice {
                if open.is_open(now) && !open.told.contains(home) {
                    news.push((home.clone(), nick.clone(), open.serial, open.number));
                }
            }
        }
        for (home, nick, serial, request) in news {
            let open = self.rooms.get_mut(jid).and_then(|room| room.voice.get_mut(&nick));
            if let Some(open) = open {
                open.told.insert(home.clone());
            }
            let act = Act {
                actor_nick: Some(nick.clone()),
                // Where section 5 of the design permits it, it is known there from the presence.
                actor_jid: None,
                kind: ActKind::Voice { serial, request },
                reason: None,
            };
            let pending = Pending::Voice {
                room: jid.clone(),
                nick,
                instance: home.clone(),
            };
            self.request(now, jid.clone(), home, Request::Act(act), pending);
        }
    }

    /// An instance did not take note of a request: it is told again with the next one, or when its link is back.
    pub(super) fn voice_not_told(&mut self, jid: &BareJid, nick: &str, instance: &BareJid) {
        let open = self.rooms.get_mut(jid).and_then(|room| room.voice.get_mut(nick));
        if let Some(open) = open {
            open.told.remove(instance);
        }
    }

    /// An occupant of `home` asks for voice.
    pub(super) fn voice_asked(
        &mut self,
        now: Now,
        jid: &BareJid,
        home: &BareJid,
        nick: Option<&str>,
        serial: u64,
        number: u64,
    ) -> Result<(), Error> {
        let unknown = || refuse(Condition::ItemNotFound, "No such visitor is known here");
        let (Some(room), Some(nick)) = (self.rooms.get(jid), nick) else {
            return Err(unknown());
        };
        let instance = room.instances.get(home).ok_or_else(unknown)?;
        let is_it = |remote: &&super::Remote| {
            remote.serial == serial && remote.role == Role::Visitor && instance.shows(remote)
        };
        let remote = instance.occupants.get(nick).filter(is_it).ok_or_else(unknown)?;
        let real_jid = remote.jid.clone();
        let key = (home.clone(), nick.to_owned());
        let is_known = |seen: &SeenRequest| {
            seen.serial == serial && seen.number == number && now.mono_ms < seen.at + REPEAT_MS
        };
        if room.voice_elsewhere.get(&key).is_some_and(is_known) {
            return Ok(());
        }
        self.expect_voice(now, &home.service())?;
        let Some(room) = self.rooms.get_mut(jid) else {
            return Err(unknown());
        };
        room.voice_elsewhere.remove(&key);
        make_room(&mut room.voice_elsewhere, |seen| seen.at);
        let seen = SeenRequest {
            serial,
            number,
            at: now.mono_ms,
        };
        room.voice_elsewhere.insert(key, seen);
        self.actions.push_back(Action::ShowVoiceRequest {
            room: jid.clone(),
            nick: nick.to_owned(),
            jid: real_jid,
        });
        Ok(())
    }

    /// A moderator here answers a request.
    pub(super) fn voice_answered(
        &mut self,
        now: Now,
        jid: &BareJid,
        nick: &str,
        token: u64,
        actor: Actor<'_>,
        is_granted: bool,
    ) -> Result<Verdict, Error> {
        let room = self.room_mut(jid)?;
        if let Some(local) = room.locals.get(nick) {
            let is_it = |open: &&OpenRequest| open.serial == local.serial && open.is_open(now);
            if room.voice.get(nick).filter(is_it).is_none() {
                return Ok(Verdict::Done);
            }
            if is_granted {
                // Answered as soon as it has the role.
                return Ok(Verdict::Continue);
            }
            room.voice.remove(nick);
            return Ok(Verdict::Done);
        }
        let Some((home, serial)) = room
            .remote(nick)
            .map(|(home, remote)| (home.clone(), remote.serial))
        else {
            self.actions.push_back(Action::ActAnswered {
                room: jid.clone(),
                token,
                error: Some(StanzaError::new(Condition::ItemNotFound)),
            });
            return Ok(Verdict::Done);
        };
        let seen = room.voice_elsewhere.get(&(home.clone(), nick.to_owned()));
        let Some(request) = seen.filter(|seen| seen.serial == serial).map(|seen| seen.number) else {
            self.actions.push_back(Action::ActAnswered {
                room: jid.clone(),
                token,
                error: Some(StanzaError::new(Condition::ItemNotFound)),
            });
            return Ok(Verdict::Done);
        };
        if !self.is_link_open(&home.service()) {
            return Err(refuse(
                Condition::RemoteServerNotFound,
                "The service of this occupant is out of reach",
            ));
        }
        let act = Act {
            actor_nick: actor.nick.map(str::to_owned),
            actor_jid: actor.jid.cloned(),
            kind: ActKind::Role {
                nick: nick.to_owned(),
                serial: None,
                role: if is_granted {
                    Role::Participant
                } else {
                    Role::Visitor
                },
                request: Some(request),
            },
            reason: None,
        };
        self.local_act(now, jid, token, act)
    }

    /// Whether an act from another instance that answers a request comes first.
    pub(super) fn check_voice_answer(&self, now: Now, jid: &BareJid, kind: &ActKind) -> Result<(), Error> {
        let ActKind::Role {
            nick,
            role,
            request: Some(number),
            ..
        } = kind
        else {
            return Ok(());
        };
        if !matches!(role, Role::Participant | Role::Visitor) {
            return Err(refuse(
                Condition::BadRequest,
                "A request for voice is granted or refused",
            ));
        }
        let open = self.rooms.get(jid).and_then(|room| room.voice.get(nick));
        match open {
            Some(open) if open.number == *number && open.is_open(now) => Ok(()),
            _ => Err(refuse(
                Condition::Conflict,
                "Somebody has answered this request already",
            )),
        }
    }
}
