//! The subject (XEP-0045 section 8.1): the source tells everybody, and decides between those set in a split.

use crate::address::{BareJid, Jid};

use super::super::state::clock::Now;
use super::super::state::edition::{News, news};
use super::super::state::room::Room;
use super::super::state::waiting::{Matter, Offer};
use super::super::{Action, Engine, Shown, Verdict, refuse};
use super::{Actor, Asker, By, Kind, Variant};
use crate::error::Error;
use crate::wire::{ActKind, Condition, Ruling, Subject, limits};

impl Kind for Option<Subject> {
    fn matter(&self) -> Option<Matter> {
        Some(Matter::Subject)
    }

    fn held(&self, room: &Room) -> Option<Subject> {
        room.settings.subject.clone()
    }

    fn hold(&self, room: &mut Room) {
        room.settings.subject.clone_from(self);
    }

    /// They say the same, whoever set them.
    fn is_same(&self, other: &Option<Subject>) -> bool {
        text(self) == text(other)
    }

    fn rule(self, engine: &mut Engine, now: Now, room: &BareJid, by: By<'_>) -> Result<Verdict, Error> {
        let (nick, text) = self
            .map(|subject| (subject.nick, subject.text))
            .unwrap_or_default();
        let actor = Actor {
            nick: nick.as_deref(),
            ..by.actor
        };
        engine.local_subject(now, room, actor, &text)
    }

    fn show(&self, engine: &mut Engine, room: &BareJid) {
        let shown = Shown::Subject(self.clone());
        engine.actions.push_back(Action::apply(room, shown));
    }

    fn check(&self, _engine: &Engine, _room: &Room, _asker: Asker<'_>) -> Result<(), Error> {
        Ok(())
    }

    /// A subject is shown by who takes it: the host has nothing to decide.
    fn take(
        &self,
        engine: &mut Engine,
        now: Now,
        room: &BareJid,
        Asker { home, act }: Asker<'_>,
    ) -> Result<bool, Error> {
        let (nick, person) = (act.actor_nick.as_deref(), act.actor_jid.as_ref());
        let held = engine.rooms.get(room).ok_or(Error::UnknownRoom)?;
        if !engine.may_set_subject(held, home, nick, person) {
            return Err(may_not());
        }
        engine.decide_subject(now, room, nick, text(self))?;
        Ok(true)
    }

    fn as_act(&self, offer: &Offer) -> Option<(ActKind, Option<String>)> {
        let was = Self::of(&offer.was).map(text).unwrap_or_default();
        let kind = ActKind::Subject {
            text: text(self).to_owned(),
            was: Some(was.to_owned()),
        };
        Some((kind, None))
    }
}

/// No subject and an empty one say the same.
fn text(subject: &Option<Subject>) -> &str {
    subject.as_ref().map_or("", |subject| &subject.text)
}

/// A subject by what it says, as an act has it.
pub(in crate::engine) fn saying(text: &str) -> Ruling {
    Ruling::Subject(Some(Subject {
        nick: None,
        stamp: 0,
        text: text.to_owned(),
    }))
}

impl Engine {
    /// A subject set here. The source tells everybody; a shadow asks the source, which tells everybody. If it can't be
    /// reached, the subject holds here until it can.
    fn local_subject(
        &mut self,
        now: Now,
        jid: &BareJid,
        actor: Actor<'_>,
        text: &str,
    ) -> Result<Verdict, Error> {
        let is_reachable = self.is_source_reachable(jid);
        // What the source's room itself has is so already; somebody who sets it is told.
        if !self.room_mut(jid)?.is_source() || actor.nick.is_some() {
            bounded_subject(text)?;
        }
        let text = &*self.fit_text(jid, "the subject", text);
        let room = self.room_mut(jid)?;
        let subject = Subject {
            nick: actor.nick.map(str::to_owned),
            stamp: now.wall_ms as i64,
            text: text.to_owned(),
        };
        if !room.is_source() && !is_reachable {
            self.offer(jid, Ruling::Subject(Some(subject.clone())), actor);
            // Stored before anybody sees it: it has to be offered, or whoever set it told, after a crash too (G7).
            self.queue_stores();
            let shown = Shown::Subject(Some(subject));
            self.actions.push_back(Action::apply(jid, shown));
            return Ok(Verdict::Done);
        }
        // No subject and one that was removed are the same.
        let is_said = |subject: &&Subject| !subject.text.is_empty();
        let held = room.settings.subject.as_ref().filter(is_said).map(said);
        if room.is_source() && held == Some(&subject).filter(is_said).map(said) {
            return Ok(Verdict::Done);
        }
        let mut version = None;
        let to = if room.is_source() {
            version = Some(room.next_settings());
            room.settings.subject = Some(subject);
            self.unsaved.insert(jid.clone());
            self.subject_receivers(jid, actor.nick)
        } else {
            room.source.clone().into_iter().collect()
        };
        for to in to {
            let version = version.filter(|_| self.speaks_ours(&to));
            self.actions.push_back(Action::SendSubject {
                room: jid.clone(),
                to,
                nick: actor.nick.map(str::to_owned),
                text: text.to_owned(),
                version,
            });
        }
        Ok(Verdict::Done)
    }

    /// The source takes a subject that was asked for elsewhere: from here on it is what the next is compared with, whenever the
    /// host shows it. People here first, then the other instances. The host may hand in what it has shown.
    fn decide_subject(
        &mut self,
        now: Now,
        jid: &BareJid,
        nick: Option<&str>,
        text: &str,
    ) -> Result<(), Error> {
        bounded_subject(text)?;
        let subject = Subject {
            nick: nick.map(str::to_owned),
            stamp: now.wall_ms as i64,
            text: text.to_owned(),
        };
        let actor = Actor {
            nick,
            jid: None,
            invites: false,
        };
        let decided = self.to_remember(jid, &Ruling::Subject(Some(subject.clone())), actor);
        let shown = Shown::Subject(Some(subject));
        self.actions.push_back(Action::apply(jid, shown));
        self.local_subject(now, jid, actor, text)?;
        self.remember(jid, decided);
        Ok(())
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

    pub(in crate::engine) fn peer_subject(
        &mut self,
        now: Now,
        from: &Jid,
        jid: &BareJid,
        text: &str,
        version: Option<u64>,
    ) -> Result<Verdict, Error> {
        let home = from.to_bare();
        let Some(room) = self.rooms.get(jid) else {
            return Ok(Verdict::Continue);
        };
        if !room.instances.contains_key(&home) {
            // Somebody's wish for a subject, as any user sends it, is for the host to judge.
            return self.stranger(&home, from.resource().is_none() || version.is_some());
        }
        bounded_subject(text)?;
        let nick = from.resource();
        if room.is_source() {
            if !self.may_set_subject(room, &home, nick, None) {
                return Err(may_not());
            }
            self.decide_subject(now, jid, nick, text)?;
        } else if room.is_from_source(&home) {
            let subject = Subject {
                nick: nick.map(str::to_owned),
                stamp: now.wall_ms as i64,
                text: text.to_owned(),
            };
            self.subject_pushed(now, jid, &home, subject, version);
        }
        // A shadow that speaks only the XEP's text tells everybody; the source decides and tells us.
        Ok(Verdict::Done)
    }

    /// The source has changed the subject. An old one is no news; if something before it is missing, both are pulled.
    fn subject_pushed(
        &mut self,
        now: Now,
        jid: &BareJid,
        source: &BareJid,
        subject: Subject,
        version: Option<u64>,
    ) {
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        if !room.ready {
            // The configuration is on its way again, and brings it.
            return;
        }
        if let Some(version) = version {
            match news(Some(room.settings.version), version) {
                News::Old => return,
                News::Next => room.settings.version = version,
                // It comes with what is missing before it: a source that has lost it again would not say so.
                News::Gap => return self.want_sync(now, jid, source),
            }
        }
        let is_news = room.settings.subject.as_ref().map(said) != Some(said(&subject));
        let subject = Some(subject);
        if self.source_says(jid, &subject) {
            self.actions
                .push_back(Action::apply(jid, Shown::Subject(subject)));
        }
        self.unsaved.insert(jid.clone());
        if version.is_none() && is_news {
            self.lose_count(now, jid);
        }
    }
}

fn may_not() -> Error {
    refuse(Condition::Forbidden, "This occupant may not change the subject")
}

/// What people see of a subject.
pub(super) fn said(subject: &Subject) -> (Option<&str>, &str) {
    (subject.nick.as_deref(), &subject.text)
}

/// A subject that other instances would not take is taken by none.
fn bounded_subject(text: &str) -> Result<(), Error> {
    if text.len() <= limits::MAX_TEXT_BYTES {
        return Ok(());
    }
    Err(refuse(
        Condition::PolicyViolation,
        "The subject is longer than this room takes",
    ))
}
