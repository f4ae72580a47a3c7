//! What owners, admins and moderators do: configuration, affiliations, roles.

use dmuc::address::BareJid;
use dmuc::engine::{Departure, Ruled};
use dmuc::wire::{Act, ActKind, Affiliation, Form, Moderated, Moderation, Role};
use dmuc::{Input, Verdict};

use super::event::{Asked, Event, Seen, What};
use super::host::Host;
use super::people::Denied;
use super::room::{Archived, Listed, Local};

/// What a message is: there, or taken away.
pub const THERE: &str = "there";
pub const GONE: &str = "gone";

/// What came of a wish that may need another instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    Done,
    /// Asked for elsewhere; the answer comes under this token.
    Asked(u64),
}

impl Host {
    /// An owner submits fields of the configuration form.
    pub fn configure(&mut self, room: &BareJid, nick: &str, fields: &[(&str, &str)]) -> Result<Wish, Denied> {
        let actor = self.expect_local(room, nick)?.clone();
        if actor.affiliation < Affiliation::Owner {
            return Err(Denied::NotEntitled);
        }
        let mut form = Form::default();
        for (var, value) in fields {
            form.set(var, vec![(*value).to_owned()]);
        }
        if self.room(room).is_shadow() {
            let kind = ActKind::Config {
                form: form.clone(),
                was: None,
            };
            if let Some(wish) = self.ask(room, nick, &actor, kind, None) {
                return Ok(wish);
            }
            for field in &form.fields {
                let what = What::Field(field.var.clone());
                self.tried(room, &actor.jid.to_bare(), what, field.values.join("\n"));
            }
        }
        self.apply_form(room, &form, Some((nick, &actor.jid.to_bare())));
        self.drain();
        Ok(Wish::Done)
    }

    /// Another module sets fields of the configuration, in nobody's name. At a shadow it is refused, in words: that is
    /// decided at the source.
    pub fn set_by_module(&mut self, room: &BareJid, fields: &[(&str, &str)]) -> Result<(), Denied> {
        let mut form = Form::default();
        for (var, value) in fields {
            form.set(var, vec![(*value).to_owned()]);
        }
        if self.room(room).is_shadow() {
            return Err(Denied::NotEntitled);
        }
        self.apply_form(room, &form, None);
        self.drain();
        Ok(())
    }

    /// Merges fields into the form of a source or an ordinary room, or of a shadow that cannot ask its source.
    pub fn apply_form(&mut self, room: &BareJid, fields: &Form, actor: Option<(&str, &BareJid)>) {
        let Some(host_room) = self.rooms.get_mut(room) else {
            return;
        };
        for field in &fields.fields {
            host_room.form.set(&field.var, field.values.clone());
        }
        let (form, is_distributed) = (host_room.form.clone(), host_room.is_distributed);
        for field in &fields.fields {
            self.decided(room, What::Field(field.var.clone()), field.values.join("\n"));
        }
        self.show_all(room, &Seen::ConfigChanged);
        if is_distributed {
            self.tell(Input::Ruled(Ruled {
                actor_nick: actor.map(|(nick, _)| nick),
                actor_jid: actor.map(|(_, user)| user),
                ..Ruled::by_the_room(room, form)
            }));
        }
        self.enforce_membership(room);
    }

    pub fn affiliate(
        &mut self,
        room: &BareJid,
        nick: &str,
        user: &BareJid,
        affiliation: Affiliation,
        reserved: Option<&str>,
    ) -> Result<Wish, Denied> {
        let actor = self.expect_local(room, nick)?.clone();
        if !may_affiliate(
            actor.affiliation,
            self.room(room).affiliation_of(user),
            affiliation,
        ) {
            return Err(Denied::NotEntitled);
        }
        let by = actor.jid.to_bare();
        let entry = self.room(room).with_affiliation(user, affiliation, reserved);
        if self.room(room).is_shadow() {
            let kind = ActKind::Affiliation {
                jid: user.clone(),
                affiliation,
                nick: reserved.map(str::to_owned),
                was: None,
                is_invited: false,
            };
            if let Some(wish) = self.ask(room, nick, &actor, kind, None) {
                return Ok(wish);
            }
            let what = What::Affiliation(user.clone());
            self.tried(room, &by, what, entry.as_text());
        }
        self.decide_affiliation(room, user, &entry, None, (Some(nick), Some(&by)));
        self.drain();
        Ok(Wish::Done)
    }

    /// The source's own change of the list, or that of a shadow that cannot ask.
    pub fn decide_affiliation(
        &mut self,
        room: &BareJid,
        user: &BareJid,
        entry: &Listed,
        reason: Option<&str>,
        actor: (Option<&str>, Option<&BareJid>),
    ) {
        self.set_affiliation(room, user, entry, reason, actor.0);
        if self.room(room).is_distributed {
            self.tell_affiliation(room, user, entry, reason, actor);
        }
    }

    pub(super) fn tell_affiliation(
        &mut self,
        room: &BareJid,
        jid: &BareJid,
        entry: &Listed,
        reason: Option<&str>,
        (actor, actor_jid): (Option<&str>, Option<&BareJid>),
    ) {
        self.tell(Input::Ruled(Ruled {
            actor_nick: actor,
            actor_jid,
            reason,
            ..Ruled::by_the_room(room, entry.of(jid))
        }));
    }

    /// Something was changed at a shadow that cannot ask its source.
    pub(super) fn tried(&mut self, room: &BareJid, actor: &BareJid, what: What, value: String) {
        let host_room = self.room(room);
        let subject = || host_room.subject.as_ref().map(|(_, text)| text.clone());
        let was = match &what {
            What::Affiliation(user) => host_room.listed(user).as_text(),
            What::Field(var) => host_room.form.values(var).unwrap_or_default().join("\n"),
            What::Subject => subject().unwrap_or_default(),
            What::Avatar => host_room.vcard.clone(),
            What::Message(_) => THERE.to_owned(),
        };
        let told = match &what {
            What::Avatar => self.avatar_told(room),
            _ => None,
        };
        self.event(Event::Tried {
            room: room.clone(),
            actor: actor.clone(),
            what,
            was,
            told,
            value,
        });
    }

    /// A moderator takes a message away (XEP-0425).
    pub fn take_away(
        &mut self,
        room: &BareJid,
        nick: &str,
        id: &str,
        reason: Option<&str>,
    ) -> Result<Wish, Denied> {
        let actor = self.expect_local(room, nick)?.clone();
        if actor.role != Role::Moderator {
            return Err(Denied::NotEntitled);
        }
        let user = actor.jid.to_bare();
        self.read_log(room);
        let kind = ActKind::Moderate { id: id.to_owned() };
        if self.room(room).is_shadow()
            && let Some(wish) = self.ask(room, nick, &actor, kind, reason)
        {
            return Ok(wish);
        }
        let is_there = |message: &Archived| message.stanza_id == id && !message.payload.is_empty();
        if self.room(room).is_shadow() && self.room(room).archive.iter().any(is_there) {
            self.tried(room, &user, What::Message(id.to_owned()), GONE.to_owned());
        }
        let moderation = Moderation {
            id: id.to_owned(),
            nick: Some(nick.to_owned()),
            occupant_id: Some(actor.occupant_id.clone()),
            reason: reason.map(str::to_owned),
            of: None,
        };
        self.tell(Input::Ruled(Ruled {
            actor_jid: Some(&user),
            ..Ruled::by_the_room(room, Moderated::from(moderation))
        }));
        self.drain();
        Ok(Wish::Done)
    }

    /// Out of the source's reach: the message is gone here for now.
    pub(super) fn hide_message(&mut self, room: &BareJid, moderation: &Moderation) {
        self.rewrite_archived(room, &moderation.id, Some(String::new()));
        let told = Archived {
            stanza_id: String::new(),
            nick: String::new(),
            message_id: None,
            occupant_id: None,
            payload: moderation.to_xml(),
            wall_ms: self.now.wall_ms,
        };
        self.show_all(room, &Seen::Message(told.as_seen(false)));
    }

    /// A moderator gives somebody another role; `Role::None` is a kick.
    pub fn set_role(
        &mut self,
        room: &BareJid,
        nick: &str,
        target: &str,
        role: Role,
        reason: Option<&str>,
    ) -> Result<Wish, Denied> {
        let actor = self.expect_local(room, nick)?.clone();
        let (affiliation, held) = self.rank(room, target).ok_or(Denied::NotHere)?;
        if !may_set_role((actor.affiliation, actor.role), (affiliation, held), role) {
            return Err(Denied::NotEntitled);
        }
        if self.room(room).local(target).is_none() {
            let kind = ActKind::Role {
                nick: target.to_owned(),
                serial: None,
                role,
                request: None,
            };
            return Ok(self.ask_home(room, nick, &actor, kind, reason));
        }
        // One person may have clients at several instances: every home sets the role.
        let is_elsewhere = self.room(room).remote(target).is_some();
        self.apply_role(room, target, role, Some(nick), reason);
        if is_elsewhere {
            let kind = ActKind::Role {
                nick: target.to_owned(),
                serial: None,
                role,
                request: None,
            };
            return Ok(self.ask_home(room, nick, &actor, kind, reason));
        }
        self.drain();
        Ok(Wish::Done)
    }

    pub fn apply_role(
        &mut self,
        room: &BareJid,
        target: &str,
        role: Role,
        actor: Option<&str>,
        reason: Option<&str>,
    ) {
        if role == Role::None {
            self.remove(
                room,
                Departure {
                    nick: target,
                    codes: &[307],
                    actor,
                    reason,
                    ..Departure::default()
                },
            );
            return;
        }
        if let Some(local) = self.rooms.get_mut(room).and_then(|room| room.local_mut(target)) {
            local.role = role;
        }
        self.announce(room, target, Vec::new());
    }

    /// Asks the home of an occupant.
    fn ask_home(
        &mut self,
        room: &BareJid,
        nick: &str,
        actor: &Local,
        kind: ActKind,
        reason: Option<&str>,
    ) -> Wish {
        let wish = self.ask(room, nick, actor, kind, reason);
        wish.expect("a role is nothing that holds provisionally")
    }

    /// Asks the source. `None`: it is out of reach, and this instance decides provisionally.
    pub(super) fn ask(
        &mut self,
        room: &BareJid,
        nick: &str,
        actor: &Local,
        kind: ActKind,
        reason: Option<&str>,
    ) -> Option<Wish> {
        let wish = match &kind {
            ActKind::Moderate { id } => Asked::Message(id.clone()),
            ActKind::Affiliation { jid, affiliation, .. } => Asked::Affiliation(jid.clone(), *affiliation),
            _ => Asked::Other,
        };
        let act = Act {
            actor_nick: Some(nick.to_owned()),
            actor_jid: Some(actor.jid.to_bare()),
            kind,
            reason: reason.map(str::to_owned),
        };
        self.ask_act(room, act, wish)
    }

    pub(super) fn ask_act(&mut self, room: &BareJid, act: Act, wish: Asked) -> Option<Wish> {
        let token = self.next_token;
        if self.tell(Input::Act { room, token, act }) == Verdict::Hold {
            return None;
        }
        self.next_token += 1;
        let asked = room.clone();
        self.event(Event::Asked {
            room: asked,
            token,
            wish,
        });
        self.drain();
        Some(Wish::Asked(token))
    }
}

/// XEP-0045 sections 8 and 9: moderators may kick and give voice to who ranks below them, admins make moderators.
pub fn may_set_role(actor: (Affiliation, Role), target: (Affiliation, Role), role: Role) -> bool {
    let concerns_moderator = target.1 == Role::Moderator || role == Role::Moderator;
    let outranks = target.0 < Affiliation::Admin || actor.0 > target.0 || actor.0 == Affiliation::Owner;
    actor.1 == Role::Moderator && outranks && (!concerns_moderator || actor.0 >= Affiliation::Admin)
}

/// XEP-0045 section 5.2.2: admins change members and outcasts, owners everything.
pub fn may_affiliate(actor: Affiliation, held: Affiliation, given: Affiliation) -> bool {
    actor == Affiliation::Owner
        || actor == Affiliation::Admin && held < Affiliation::Admin && given < Affiliation::Admin
}
