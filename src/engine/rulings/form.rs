//! The configuration (XEP-0045 section 10.2): written by the source, followed by the shadows.

use crate::address::BareJid;

use super::super::state::clock::Now;
use super::super::state::edition::{News, news};
use super::super::state::instance::{Instance, Stage, SyncStage};
use super::super::state::room::Room;
use super::super::state::waiting::{Matter, Offer};
use super::super::{Action, Engine, Shown, Verdict};
use super::subject::said;
use super::{Actor, Asker, By, Kind, Variant};
use crate::error::Error;
use crate::wire::{ActKind, Config as ConfigPush, Field, Form, Ruling, Subject};

impl Kind for Form {
    fn matter(&self) -> Option<Matter> {
        match &*self.fields {
            [field] => Some(Matter::Field(field.var.clone())),
            _ => None,
        }
    }

    fn held(&self, room: &Room) -> Form {
        same_fields(self, &room.settings.form)
    }

    fn hold(&self, room: &mut Room) {
        for field in &self.fields {
            room.settings.form.set(&field.var, field.values.clone());
        }
    }

    fn rule(self, engine: &mut Engine, now: Now, room: &BareJid, by: By<'_>) -> Result<Verdict, Error> {
        engine.local_settings(now, room, self, by.actor)
    }

    fn show(&self, engine: &mut Engine, room: &BareJid) {
        engine.show_settings(room);
    }

    fn check(&self, engine: &Engine, room: &Room, _asker: Asker<'_>) -> Result<(), Error> {
        engine.check_named(room, self)
    }

    fn take(&self, _: &mut Engine, _: Now, _: &BareJid, _: Asker<'_>) -> Result<bool, Error> {
        Ok(false)
    }

    fn as_act(&self, offer: &Offer) -> Option<(ActKind, Option<String>)> {
        let kind = ActKind::Config {
            form: self.clone(),
            was: Form::of(&offer.was).cloned(),
        };
        Some((kind, None))
    }
}

/// The fields of `form` that `these` has, with no values where it has none.
pub(in crate::engine) fn same_fields(these: &Form, form: &Form) -> Form {
    let field = |field: &Field| Field {
        var: field.var.clone(),
        values: form.values(&field.var).unwrap_or_default().to_vec(),
    };
    Form {
        fields: these.fields.iter().map(field).collect(),
    }
}

/// A form for each field.
pub(in crate::engine) fn each(form: Form) -> impl Iterator<Item = Form> {
    form.fields.into_iter().map(|field| Form { fields: vec![field] })
}

impl Engine {
    fn local_settings(
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
            self.offer(jid, Ruling::Form(form), actor);
            self.offer_if_agreed(now, jid);
            return Ok(Verdict::Done);
        }
        room.settings.form = form;
        room.next_settings();
        self.tell_settings(now, jid);
        self.reveal_jids(now, jid);
        Ok(Verdict::Done)
    }

    /// The source's settings have changed: the other instances are told.
    pub(super) fn tell_settings(&mut self, now: Now, jid: &BareJid) {
        let Some(room) = self.rooms.get(jid) else { return };
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
        self.unsaved.insert(jid.clone());
    }

    /// The configuration in force is given to the host.
    pub(in crate::engine) fn show_settings(&mut self, jid: &BareJid) {
        let Some(room) = self.rooms.get(jid) else { return };
        let Some(source) = room.source.clone() else { return };
        let shown = Shown::Settings {
            source,
            form: room.settings.form.clone(),
            salt: room.settings.salt.clone(),
        };
        self.actions.push_back(Action::apply(jid, shown));
    }

    /// After a restart a shadow's room may lack what the engine has, or have what it never heard of: either may have been
    /// stored last. The engine's is the source's word, so the host is given it again, and shows nobody what it has already.
    pub(in crate::engine) fn show_stored(&mut self, jid: &BareJid) {
        let is_shadow = |room: &&Room| room.ready && !room.is_source();
        let Some(room) = self.rooms.get(jid).filter(is_shadow) else {
            return;
        };
        let subject = room.settings.subject.clone();
        self.show_settings(jid);
        self.actions
            .push_back(Action::apply(jid, Shown::Subject(subject)));
    }

    /// The source, which takes us for one that knows only the XEP's text (it may have just started), has said something
    /// without its number: it may be older or newer than what came with one. So what is here has no number any more, and
    /// the source is asked.
    pub(in crate::engine) fn lose_count(&mut self, now: Now, jid: &BareJid) {
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
    pub(in crate::engine) fn config_pushed(
        &mut self,
        now: Now,
        jid: &BareJid,
        source: &BareJid,
        config: ConfigPush,
    ) {
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

    /// [`Self::source_says`] of all fields at once: those that wait for the source's decision stay as they are here. Returns
    /// whether anything is otherwise now.
    fn source_says_form(&mut self, jid: &BareJid, mut form: Form) -> bool {
        let Some(room) = self.rooms.get(jid) else {
            return false;
        };
        let offered = room.offers.values().filter_map(|offer| Form::of(&offer.now));
        for ours in offered.cloned().collect::<Vec<_>>() {
            self.source_says(jid, &same_fields(&ours, &form));
            for field in ours.fields {
                form.set(&field.var, field.values);
            }
        }
        let Some(room) = self.rooms.get_mut(jid) else {
            return false;
        };
        let is_changed = room.settings.form != form;
        room.settings.form = form;
        is_changed
    }

    /// Takes in a configuration of the source's. The first one makes the shadow joinable.
    pub(in crate::engine) fn apply_config(
        &mut self,
        now: Now,
        jid: &BareJid,
        source: &BareJid,
        config: ConfigPush,
    ) {
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
        let is_changed = self.source_says_form(jid, config.form) || is_first;
        let mut subject: Option<Option<Subject>> = None;
        let shadows = config
            .settings
            .as_ref()
            .map(|settings| settings.instances.clone());
        if let Some(settings) = config.settings
            && let Some(room) = self.rooms.get_mut(jid)
        {
            room.settings.term = settings.term;
            room.settings.form_version = settings.version;
            if settings.salt.is_some() && settings.salt != room.settings.salt {
                room.settings.salt = settings.salt;
                room.derives_ids = false;
                self.relisted.insert(jid.clone());
            }
            self.source_says(jid, &settings.avatar);
            self.pictures.look_at(jid);
            let Some(room) = self.rooms.get(jid) else { return };
            // What was shown as a message when it changed is not shown again.
            let is_new = room.settings.subject.as_ref().map(said) != settings.subject.as_ref().map(said);
            if self.source_says(jid, &settings.subject) && is_new {
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
            self.actions
                .push_back(Action::apply(jid, Shown::Subject(subject)));
        }
        if let Some(shadows) = shadows {
            self.shadows_told(now, jid, &shadows);
        }
        self.unsaved.insert(jid.clone());
    }
}
