//! Configuration, subject and affiliations: written by the source, followed by the shadows (G7).

use crate::address::{BareJid, Jid};

use super::clock::Now;
use super::link::service_of;
use super::room::{Instance, Stage};
use super::{Action, Engine, Verdict};
use crate::error::Error;
use crate::wire::{Affiliation, Config as ConfigPush, Form, Role, RosterItem, Subject, limits};

impl Engine {
    pub(super) fn local_settings(&mut self, now: Now, jid: &BareJid, form: Form) -> Result<Verdict, Error> {
        let room = self.room_mut(jid)?;
        if !room.is_source() || room.settings.form == form {
            return Ok(Verdict::Done);
        }
        room.settings.form = form;
        room.settings.version += 1;
        let informed = |(_, instance): &(&BareJid, &Instance)| instance.stage >= Stage::Configuring;
        let peers: Vec<BareJid> = room
            .instances
            .iter()
            .filter(informed)
            .map(|(peer, _)| peer.clone())
            .collect();
        for peer in peers {
            self.send_config(now, jid, &peer, false);
        }
        self.reveal_jids(now, jid);
        self.unsaved.insert(jid.clone());
        Ok(Verdict::Done)
    }

    #[allow(clippy::too_many_arguments)] // one call site, which takes Input::Affiliation apart
    pub(super) fn local_affiliation(
        &mut self,
        now: Now,
        jid: &BareJid,
        user: &BareJid,
        affiliation: Affiliation,
        reserved_nick: Option<&str>,
        reason: Option<&str>,
        actor: Option<&str>,
    ) -> Result<Verdict, Error> {
        let room = self.room_mut(jid)?;
        if !room.is_source() || !room.set_affiliation(user, affiliation, reserved_nick) {
            return Ok(Verdict::Done);
        }
        room.settings.version += 1;
        let item = RosterItem {
            affiliation,
            role: None,
            jid: Some(Jid::from(user.clone())),
            nick: None,
            reserved_nick: reserved_nick.map(str::to_owned),
            reason: reason.map(str::to_owned),
            actor: actor.map(str::to_owned),
            occupant: None,
        };
        self.send_affiliation(now, jid, &item);
        self.follow_affiliation(jid, user);
        self.reveal_jids(now, jid);
        self.unsaved.insert(jid.clone());
        Ok(Verdict::Done)
    }

    /// A subject set here. The source tells everybody; a shadow asks the source, which tells everybody.
    pub(super) fn local_subject(
        &mut self,
        now: Now,
        jid: &BareJid,
        nick: Option<&str>,
        text: &str,
    ) -> Result<Verdict, Error> {
        let room = self.room_mut(jid)?;
        let to = if room.is_source() {
            room.settings.version += 1;
            room.settings.subject = Some(Subject {
                nick: nick.map(str::to_owned),
                stamp: now.wall_ms as i64,
                text: text.to_owned(),
            });
            self.unsaved.insert(jid.clone());
            self.subject_receivers(jid, nick)
        } else {
            room.source.clone().into_iter().collect()
        };
        for to in to {
            self.actions.push_back(Action::SendSubject {
                room: jid.clone(),
                to,
                nick: nick.map(str::to_owned),
                text: text.to_owned(),
            });
        }
        Ok(Verdict::Done)
    }

    /// Everybody but a home that speaks only the XEP's text and has shown the change already.
    fn subject_receivers(&self, jid: &BareJid, nick: Option<&str>) -> Vec<BareJid> {
        let room = self.rooms.get(jid);
        let home = room
            .zip(nick)
            .and_then(|(room, nick)| room.remote(nick))
            .map(|(home, _)| home.clone());
        let mut receivers = self.receivers(jid);
        receivers.retain(|peer| home.as_ref() != Some(peer) || self.speaks_ours(peer));
        receivers
    }

    pub(super) fn peer_subject(
        &mut self,
        now: Now,
        from: &Jid,
        jid: &BareJid,
        text: &str,
    ) -> Result<Verdict, Error> {
        let home = from.to_bare();
        let Some(room) = self.rooms.get_mut(jid) else {
            return Ok(Verdict::Continue);
        };
        let Some(instance) = room.instances.get(&home) else {
            return self.stranger(&home);
        };
        if text.len() > limits::MAX_TEXT_BYTES {
            let text = "The subject is longer than this room takes";
            return Err(super::refuse(crate::wire::Condition::PolicyViolation, text));
        }
        let nick = from.resource().map(str::to_owned);
        if room.is_source() {
            let role = nick
                .as_ref()
                .and_then(|nick| instance.occupants.get(nick))
                .filter(|remote| !remote.hidden)
                .map(|remote| remote.role);
            let least = match room.settings.form.flag("muc#roomconfig_changesubject") {
                Some(true) => Role::Participant,
                _ => Role::Moderator,
            };
            if role < Some(least) {
                let text = "This occupant may not change the subject";
                return Err(super::refuse(crate::wire::Condition::Forbidden, text));
            }
        } else if room.is_from_source(&home) {
            room.settings.subject = Some(Subject {
                nick: nick.clone(),
                stamp: now.wall_ms as i64,
                text: text.to_owned(),
            });
            self.unsaved.insert(jid.clone());
        } else {
            // A shadow that speaks only the XEP's text tells everybody; the source decides and tells us.
            return Ok(Verdict::Done);
        }
        self.actions.push_back(Action::ApplySubject {
            room: jid.clone(),
            nick,
            text: text.to_owned(),
        });
        Ok(Verdict::Done)
    }

    /// A configuration came from the source. The first one makes the shadow joinable.
    pub(super) fn apply_config(&mut self, now: Now, jid: &BareJid, source: &BareJid, config: ConfigPush) {
        if config.settings.is_some() {
            self.saw_ours(now, &service_of(source));
        }
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let is_first = !room.ready;
        if room.source.is_none() {
            room.source = Some(source.clone());
            room.instances
                .insert(source.clone(), Instance::new(Stage::Active));
        }
        if let Some(instance) = room.instances.get_mut(source) {
            instance.stage = Stage::Active;
        }
        if is_first {
            room.ready_at_ms = now.wall_ms;
        }
        let is_changed = is_first || room.settings.form != config.form;
        room.ready = true;
        room.settings.form = config.form;
        let mut subject = None;
        if let Some(settings) = config.settings {
            room.settings.term = settings.term;
            room.settings.version = settings.version;
            room.settings.salt = settings.salt.or(room.settings.salt.take());
            let said = |subject: &Option<Subject>| subject.clone().map(|said| (said.nick, said.text));
            // What was shown as a message when it changed is not shown again.
            if said(&room.settings.subject) != said(&settings.subject) {
                subject = settings.subject.clone();
            }
            room.settings.subject = settings.subject;
        }
        if is_changed {
            self.actions.push_back(Action::ApplySettings {
                room: jid.clone(),
                source: source.clone(),
                form: room.settings.form.clone(),
                salt: room.settings.salt.clone(),
            });
        }
        if let Some(subject) = subject {
            let (nick, text) = (subject.nick, subject.text);
            self.actions.push_back(Action::ApplySubject {
                room: jid.clone(),
                nick,
                text,
            });
        }
        self.unsaved.insert(jid.clone());
    }
}
