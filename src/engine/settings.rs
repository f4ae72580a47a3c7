//! Configuration, subject and affiliations: written by the source, followed by the shadows (G7).

use super::state::edition::{News, news};
use super::state::waiting::{OfferKey, Value};
use crate::address::{BareJid, Jid};

use super::offers::Actor;
use super::state::clock::Now;
use super::state::instance::{Instance, Stage, SyncStage};
use super::state::room::Room;
use super::{Action, Engine, Verdict};
use crate::error::Error;
use crate::wire::{Config as ConfigPush, Form, Listed, RosterItem, Subject, limits};

impl Engine {
    pub(super) fn local_settings(
        &mut self,
        now: Now,
        jid: &BareJid,
        form: Form,
        actor: Actor<'_>,
    ) -> Result<Verdict, Error> {
        let room = self.room_mut(jid)?;
        if room.settings.form == form {
            return Ok(Verdict::Done);
        }
        if !room.is_source() {
            self.offer_form(jid, &form, actor);
            return Ok(Verdict::Done);
        }
        room.settings.form = form;
        room.next_settings();
        let informed = |(_, instance): &(&BareJid, &Instance)| instance.stage >= Stage::Configuring;
        let mut peers: Vec<BareJid> = room
            .instances
            .iter()
            .filter(informed)
            .map(|(peer, _)| peer.clone())
            .collect();
        peers.retain(|peer| self.is_link_open(&peer.service()) || !self.speaks_ours(peer));
        for peer in peers {
            self.send_config(now, jid, &peer, false);
        }
        self.reveal_jids(now, jid);
        self.unsaved.insert(jid.clone());
        Ok(Verdict::Done)
    }

    /// A form submitted at a shadow whose source is out of reach: every field is a change of its own.
    fn offer_form(&mut self, jid: &BareJid, form: &Form, actor: Actor<'_>) {
        if self.is_source_reachable(jid) {
            return;
        }
        for field in &form.fields {
            let key = OfferKey::Field(field.var.clone());
            self.offer(jid, key, Value::Field(field.values.clone()), actor);
        }
    }

    pub(super) fn local_affiliation(
        &mut self,
        now: Now,
        jid: &BareJid,
        user: &BareJid,
        entry: Listed,
        reason: Option<&str>,
        actor: Actor<'_>,
    ) -> Result<Verdict, Error> {
        let is_reachable = self.is_source_reachable(jid);
        let room = self.room_mut(jid)?;
        if !room.is_source() {
            if !is_reachable {
                self.offer(
                    jid,
                    OfferKey::Affiliation(user.clone()),
                    Value::Listed(entry),
                    actor,
                );
                self.follow_affiliation(jid, user);
            }
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
            reason: reason.map(crate::wire::fitting_text),
            actor: actor.nick.map(str::to_owned),
            ..room.entry(user)
        };
        self.send_affiliation(now, jid, &item);
        self.follow_affiliation(jid, user);
        self.reveal_jids(now, jid);
        self.unsaved.insert(jid.clone());
        Ok(Verdict::Done)
    }

    /// A subject set here. The source tells everybody; a shadow asks the source, which tells everybody. If it can't be
    /// reached, the subject holds here until it can.
    pub(super) fn local_subject(
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
            self.offer(
                jid,
                OfferKey::Subject,
                Value::Subject(Some(subject.clone())),
                actor,
            );
            // Stored before anybody sees it: it has to be offered, or whoever set it told, after a crash too (G7).
            self.queue_stores();
            self.show_subject(jid, Some(subject));
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

    pub(super) fn show_subject(&mut self, jid: &BareJid, subject: Option<Subject>) {
        let (nick, text) = subject.map_or((None, String::new()), |subject| (subject.nick, subject.text));
        self.actions.push_back(Action::ApplySubject {
            room: jid.clone(),
            nick,
            text,
        });
    }

    /// The configuration in force is given to the host.
    pub(super) fn show_settings(&mut self, jid: &BareJid) {
        let Some(room) = self.rooms.get(jid) else { return };
        let Some(source) = room.source.clone() else { return };
        self.actions.push_back(Action::ApplySettings {
            room: jid.clone(),
            source,
            form: room.settings.form.clone(),
            salt: room.settings.salt.clone(),
        });
    }

    /// After a restart a shadow's room may lack what the engine has, or have what it never heard of: either may have been
    /// stored last. The engine's is the source's word, so the host is given it again, and shows nobody what it has already.
    pub(super) fn show_stored(&mut self, jid: &BareJid) {
        let is_shadow = |room: &&Room| room.ready && !room.is_source();
        let Some(room) = self.rooms.get(jid).filter(is_shadow) else {
            return;
        };
        let subject = room.settings.subject.clone();
        self.show_settings(jid);
        self.show_subject(jid, subject);
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
        let nick = from.resource().map(str::to_owned);
        let subject = Subject {
            nick,
            stamp: now.wall_ms as i64,
            text: text.to_owned(),
        };
        if room.is_source() {
            if !self.may_set_subject(room, &home, subject.nick.as_deref(), None) {
                let text = "This occupant may not change the subject";
                return Err(super::refuse(crate::wire::Condition::Forbidden, text));
            }
            self.show_subject(jid, Some(subject));
        } else if room.is_from_source(&home) {
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
        let value = Value::Subject(Some(subject.clone()));
        if self.source_says(jid, &OfferKey::Subject, &value) {
            self.show_subject(jid, Some(subject));
        }
        self.unsaved.insert(jid.clone());
        if version.is_none() && is_news {
            self.lose_count(now, jid);
        }
    }

    /// The source, which takes us for one that knows only the XEP's text (it may have just started), has said something
    /// without its number: it may be older or newer than what came with one. So what is here has no number any more, and
    /// the source is asked.
    pub(super) fn lose_count(&mut self, now: Now, jid: &BareJid) {
        let is_counted = |room: &&mut Room| room.settings.version > 0;
        let Some(room) = self.rooms.get_mut(jid).filter(is_counted) else {
            return;
        };
        (room.settings.version, room.settings.form_version) = (0, 0);
        let source = room.source.clone();
        self.unsaved.insert(jid.clone());
        if let Some(source) = source {
            self.want_sync(now, jid, &source);
        }
    }

    /// A configuration that the source sent by itself. An old one is no news; if something before it is missing, both are
    /// pulled.
    pub(super) fn config_pushed(&mut self, now: Now, jid: &BareJid, source: &BareJid, config: ConfigPush) {
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let (is_first, held) = (!room.ready, room.settings.version);
        let version = config.settings.as_ref().map(|settings| settings.version);
        if let Some(instance) = room.instances.get_mut(source) {
            instance.stage = Stage::Active;
        }
        self.prove(jid, source);
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        // Until the list has come, too, none of the source's versions is here as a whole.
        if let Some(version) = version.filter(|_| !is_first) {
            match news(Some(held), version) {
                News::Old => {
                    if version == held {
                        room.settings.form_version = version;
                    }
                    return;
                }
                News::Next => room.settings.version = version,
                News::Gap => {
                    // What is missing may be what makes somebody a member of a room that takes only members now. The answer to
                    // a pull may come so, because it is large.
                    let instance = room.instances.get(source);
                    let is_asked = instance.is_some_and(|instance| instance.sync == SyncStage::Asked);
                    room.settings.ahead = is_asked.then(|| Box::new(config));
                    return self.want_sync(now, jid, source);
                }
            }
        }
        let is_news = room.settings.form != config.form;
        self.apply_config(now, jid, source, config);
        // The first configuration may have shown who the source is.
        self.prove(jid, source);
        if version.is_none() && is_news {
            self.lose_count(now, jid);
        }
    }

    /// Takes in a configuration of the source's. The first one makes the shadow joinable.
    pub(super) fn apply_config(&mut self, now: Now, jid: &BareJid, source: &BareJid, config: ConfigPush) {
        if config.settings.is_some() {
            self.saw_ours(now, &source.service());
        }
        let is_unnamed = |room: &Room| room.source.is_none();
        if self.rooms.get(jid).is_some_and(is_unnamed) {
            let instance = Instance::new(Stage::Active);
            self.rooms.add_instance(jid, source.clone(), instance);
        }
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let is_first = !room.ready;
        if room.source.is_none() {
            room.source = Some(source.clone());
        }
        if is_first {
            room.ready_at_ms = now.wall_ms;
            let settings = config.settings.as_ref();
            room.said_before = settings.and_then(|settings| settings.said.clone());
        }
        room.ready = true;
        // What waits for the source's decision stays as it is here.
        let mut form = config.form;
        for (key, offer) in &mut room.offers {
            if let (OfferKey::Field(var), Value::Field(ours)) = (key, &offer.now) {
                offer.base = Value::Field(form.values(var).unwrap_or_default().to_vec());
                form.set(var, ours.clone());
            }
        }
        let is_changed = is_first || room.settings.form != form;
        room.settings.form = form;
        let mut subject: Option<Option<Subject>> = None;
        let shadows = config
            .settings
            .as_ref()
            .map(|settings| settings.instances.clone());
        if let Some(settings) = config.settings {
            room.settings.term = settings.term;
            room.settings.form_version = settings.version;
            if settings.salt.is_some() && settings.salt != room.settings.salt {
                room.settings.salt = settings.salt;
                room.derives_ids = false;
                self.relisted.insert(jid.clone());
            }
            // What was shown as a message when it changed is not shown again.
            let is_new = room.settings.subject.as_ref().map(said) != settings.subject.as_ref().map(said);
            let value = Value::Subject(settings.subject.clone());
            if self.source_says(jid, &OfferKey::Subject, &value) && is_new {
                // A source that was put back to an older state may have none any more.
                subject = Some(settings.subject);
            }
        }
        if is_changed {
            self.show_settings(jid);
            // The room may have become one in which everybody sees real JIDs.
            self.reveal_jids(now, jid);
        }
        if let Some(subject) = subject {
            self.show_subject(jid, subject);
        }
        if let Some(shadows) = shadows {
            self.shadows_told(now, jid, &shadows);
        }
        self.unsaved.insert(jid.clone());
    }
}

/// What people see of a subject.
fn said(subject: &Subject) -> (Option<&str>, &str) {
    (subject.nick.as_deref(), &subject.text)
}

/// A subject that other instances would not take is taken by none.
fn bounded_subject(text: &str) -> Result<(), Error> {
    if text.len() <= limits::MAX_TEXT_BYTES {
        return Ok(());
    }
    Err(super::refuse(
        crate::wire::Condition::PolicyViolation,
        "The subject is longer than this room takes",
    ))
}
