//! What people do at a service: create, join, talk, moderate, leave.

use std::collections::BTreeMap;

use dmuc::address::{BareJid, FullJid};
use dmuc::engine::{Departure, Order, Ruled};
use dmuc::wire::{Affiliation, Form, Role, Subject};
use dmuc::{Error, Input, Verdict};

use super::event::{Cause, Event, Seen, Turn, What};
use super::host::Host;
use super::room::{Archived, HostRoom, Listed, Local, Occupant};
use super::slow::Slow;
use super::storage::LogEntry;

/// Why something a local user wanted was not done at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    NoRoom,
    Banned,
    MembersOnly,
    NickTaken,
    AlreadyHere,
    NotHere,
    NotEntitled,
    /// Nobody may speak until a configuration is put right.
    Parked,
    /// Go to this shadow.
    Redirected(BareJid),
}

impl Host {
    pub fn create(&mut self, room: &BareJid, owner: &BareJid, form: Form) {
        let mut host_room = HostRoom::new(room.clone());
        host_room.form = form;
        let entry = Listed {
            affiliation: Affiliation::Owner,
            nick: None,
        };
        host_room.affiliations.insert(owner.clone(), entry);
        let fields = host_room.form.fields.clone();
        self.rooms.insert(room.clone(), host_room);
        for field in fields {
            self.decided(room, What::Field(field.var), field.values.join("\n"));
        }
    }

    /// An owner sets muc#roomconfig_distributed.
    pub fn distribute(&mut self, room: &BareJid) {
        let Some(host_room) = self.rooms.get_mut(room).filter(|room| !room.is_distributed) else {
            return;
        };
        host_room.is_distributed = true;
        let host_room = host_room.clone();
        let subject = host_room.subject.as_ref();
        let subject = subject.map(|(nick, text)| (nick.as_deref().unwrap_or_default(), text.as_str()));
        self.tell(Input::Distribute {
            room,
            form: host_room.form.clone(),
            unfit: Default::default(),
            salt: &host_room.salt,
            subject,
        });
        for (user, entry) in &host_room.affiliations {
            self.tell_affiliation(room, user, entry, None, (None, None));
        }
        for (nick, local) in host_room.locals() {
            self.tell_occupant(room, nick, local);
        }
        for past in &host_room.archive {
            let verdict = self.tell(Input::Past {
                room,
                nick: &past.nick,
                message_id: past.message_id.as_deref(),
                lang: None,
                stanza_id: Some(&past.stanza_id),
                occupant_id: past.occupant_id.as_deref(),
                wall_ms: past.wall_ms,
                payload: &past.payload,
            });
            match verdict {
                Verdict::Accepted {
                    event: Some(event), ..
                } => self.log(room, LogEntry::new(room, past, event)),
                other => panic!("a message of the past got {other:?}"),
            }
        }
        self.tell(Input::Started { room, is_whole: true });
        self.event(Event::Turned {
            room: room.clone(),
            turn: Turn::Distributed,
        });
        self.drain();
    }

    pub fn undistribute(&mut self, room: &BareJid, reason: Option<&str>) {
        self.turned(room, Turn::Undistributed);
        self.tell(Input::Undistribute { room, reason });
        self.drain();
        if let Some(host_room) = self.rooms.get_mut(room) {
            host_room.is_distributed = false;
        }
    }

    pub fn destroy(&mut self, room: &BareJid, reason: Option<&str>, venue: Option<&BareJid>) {
        self.turned(room, Turn::Destroyed);
        let Some(host_room) = self.rooms.get(room) else {
            return;
        };
        if host_room.is_distributed || host_room.is_parked {
            self.tell(Input::Destroyed {
                room,
                reason,
                venue,
                password: None,
            });
            self.drain();
        }
        self.end(room, reason, venue);
    }

    /// An administrator gives up what is parked of a room.
    pub fn let_go(&mut self, room: &BareJid) {
        self.tell(Input::LetGo { room });
        self.drain();
    }

    /// An administrator orders something; returns what is wrong with that.
    pub fn order(&mut self, order: Order<'_>) -> Result<(), Error> {
        let verdict = self.input(Input::Order(order));
        self.drain();
        verdict.map(|_| ())
    }

    fn turned(&mut self, room: &BareJid, turn: Turn) {
        let room = room.clone();
        self.event(Event::Turned { room, turn });
    }

    /// The room's people see its end, and it is gone.
    pub(super) fn end(&mut self, room: &BareJid, reason: Option<&str>, venue: Option<&BareJid>) {
        let seen = Seen::Destroyed {
            reason: reason.map(str::to_owned),
            venue: venue.cloned(),
        };
        self.show_all(room, &seen);
        self.everybody_left(room);
        self.rooms.remove(room);
    }

    pub(super) fn everybody_left(&mut self, room: &BareJid) {
        let Some(host_room) = self.rooms.get_mut(room) else {
            return;
        };
        for (nick, occupant) in std::mem::take(&mut host_room.occupants) {
            if let Some(local) = occupant.local {
                self.events.push(Event::Left {
                    room: room.clone(),
                    nick,
                    session: local.session,
                    cause: Cause::Ended,
                });
            }
        }
    }

    /// A user asks to join. XEP-0045 section 7.2: the others, oneself, the history, the subject.
    pub fn join(&mut self, room: &BareJid, nick: &str, user: &FullJid, payload: &str) -> Result<u64, Denied> {
        let host_room = self
            .rooms
            .get(room)
            .filter(|room| !room.is_closed)
            .ok_or(Denied::NoRoom)?;
        if host_room.is_shadow() && !self.engine.room_info(room).is_some_and(|info| info.is_ready) {
            return Err(Denied::NoRoom);
        }
        let (bare, is_distributed) = (user.to_bare(), host_room.is_distributed);
        let affiliation = host_room.affiliation_of(&bare);
        if affiliation == Affiliation::Outcast {
            return Err(Denied::Banned);
        }
        let is_members_only = host_room.form.flag("muc#roomconfig_membersonly") == Some(true);
        if is_members_only && affiliation < Affiliation::Member {
            return Err(Denied::MembersOnly);
        }
        if host_room.locals().any(|(_, local)| local.jid == *user) {
            return Err(Denied::AlreadyHere);
        }
        if !host_room.may_take(nick, &bare) {
            return Err(Denied::NickTaken);
        }
        if is_distributed && let Verdict::Redirect { to, .. } = self.tell(Input::JoinRequest { room, user }) {
            self.drain();
            return Err(Denied::Redirected(to));
        }
        let session = self.next_session;
        self.next_session += 1;
        let Some(host_room) = self.rooms.get_mut(room) else {
            return Err(Denied::NoRoom);
        };
        let local = Local {
            session,
            jid: user.clone(),
            affiliation,
            role: host_room.default_role(affiliation),
            occupant_id: host_room.occupant_id(&bare),
            payload: payload.to_owned(),
        };
        host_room.occupants.entry(nick.to_owned()).or_default().local = Some(local);
        self.event(Event::Joined {
            room: room.clone(),
            nick: nick.to_owned(),
            session,
        });
        for seen in self.roster_as_seen(room, nick) {
            self.show(room, session, seen);
        }
        self.announce(room, nick, vec![110]);
        for message in self.history_for(room) {
            self.show(room, session, Seen::Message(message));
        }
        let subject = self.room(room).subject.clone().unwrap_or((None, String::new()));
        self.show(
            room,
            session,
            Seen::Subject {
                nick: subject.0,
                text: subject.1,
            },
        );
        self.drain();
        Ok(session)
    }

    fn roster_as_seen(&self, room: &BareJid, but: &str) -> Vec<Seen> {
        let shown =
            |(nick, occupant): (&String, &Occupant)| match (&occupant.local, occupant.remote.values().next())
            {
                (Some(local), _) => Some(local.as_seen(nick, Vec::new())),
                (None, Some(remote)) => Some(remote.as_seen(nick)),
                (None, None) => None,
            };
        let others = self.room(room).occupants.iter().filter(|(nick, _)| *nick != but);
        others.filter_map(shown).collect()
    }

    pub fn leave(&mut self, room: &BareJid, nick: &str) -> Result<(), Denied> {
        self.expect_local(room, nick)?;
        self.remove(
            room,
            Departure {
                nick,
                ..Departure::default()
            },
        );
        self.drain();
        Ok(())
    }

    /// A changed presence: show, status, or anything else.
    pub fn update(&mut self, room: &BareJid, nick: &str, payload: &str) -> Result<(), Denied> {
        self.expect_local(room, nick)?;
        if let Some(local) = self.rooms.get_mut(room).and_then(|room| room.local_mut(nick)) {
            local.payload = payload.to_owned();
        }
        self.announce(room, nick, Vec::new());
        self.drain();
        Ok(())
    }

    pub fn change_nick(&mut self, room: &BareJid, nick: &str, new_nick: &str) -> Result<(), Denied> {
        let user = self.expect_local(room, nick)?.jid.to_bare();
        if !self.room(room).may_take(new_nick, &user) {
            return Err(Denied::NickTaken);
        }
        self.rename(room, nick, new_nick, Vec::new());
        self.drain();
        Ok(())
    }

    /// XEP-0045 section 7.6: unavailable with 303, then available with the new nick.
    pub(super) fn rename(&mut self, room: &BareJid, nick: &str, new_nick: &str, codes: Vec<u16>) {
        let Some(local) = self.rooms.get(room).and_then(|room| room.local(nick)).cloned() else {
            return;
        };
        let how = Departure {
            nick,
            codes: &[303],
            new_nick: Some(new_nick),
            ..Departure::default()
        };
        self.remove(room, how);
        self.event(Event::Renamed {
            room: room.clone(),
            session: local.session,
            nick: new_nick.to_owned(),
        });
        if let Some(host_room) = self.rooms.get_mut(room) {
            host_room.occupants.entry(new_nick.to_owned()).or_default().local = Some(local);
        }
        self.announce(room, new_nick, codes);
    }

    /// A message to the room. Kept if it has a body. Returns its stanza-id.
    pub fn say(
        &mut self,
        room: &BareJid,
        nick: &str,
        id: Option<&str>,
        payload: &str,
    ) -> Result<String, Denied> {
        let taken = self.take_words(room, nick, id, payload)?;
        let stanza_id = taken.message.stanza_id.clone();
        if self.is_slow(room, taken.session) {
            self.hold_up(taken);
        } else {
            self.reflect(&taken);
        }
        self.drain();
        Ok(stanza_id)
    }

    /// The same, and another module's hook waits before anybody here is shown it.
    pub fn say_slowly(
        &mut self,
        room: &BareJid,
        nick: &str,
        id: Option<&str>,
        payload: &str,
    ) -> Result<(), Denied> {
        let taken = self.take_words(room, nick, id, payload)?;
        self.hold_up(taken);
        self.drain();
        Ok(())
    }

    fn take_words(
        &mut self,
        room: &BareJid,
        nick: &str,
        id: Option<&str>,
        payload: &str,
    ) -> Result<Slow, Denied> {
        let local = self.expect_local(room, nick)?.clone();
        if self.room(room).is_parked {
            return Err(Denied::Parked);
        }
        if local.role < Role::Participant {
            return Err(Denied::NotEntitled);
        }
        let is_distributed = self.room(room).is_distributed;
        let keep = payload.contains("<body");
        let (stanza_id, event) = if is_distributed {
            match self.tell(Input::Groupchat {
                room,
                nick,
                message_id: id,
                lang: None,
                payload,
                keep,
            }) {
                Verdict::Accepted { id, event } => (id, event),
                other => panic!("a local message got {other:?}"),
            }
        } else {
            self.next_token += 1;
            (format!("{room}-{}", self.next_token), None)
        };
        let kept = event.is_some() || keep && !is_distributed;
        let message = Archived {
            stanza_id,
            nick: nick.to_owned(),
            message_id: id.map(str::to_owned),
            occupant_id: Some(local.occupant_id.clone()),
            payload: payload.to_owned(),
            wall_ms: self.now.wall_ms,
        };
        if kept {
            if let Some(event) = event {
                self.log(room, LogEntry::new(room, &message, event));
            }
            self.keep(room, message.clone());
        }
        Ok(Slow {
            room: room.clone(),
            session: local.session,
            message,
            kept,
        })
    }

    /// The subject: shown at once at the source, wished for at a shadow.
    pub fn set_subject(&mut self, room: &BareJid, nick: &str, text: &str) -> Result<(), Denied> {
        let local = self.expect_local(room, nick)?;
        let (role, user) = (local.role, local.jid.to_bare());
        let host_room = self.room(room);
        let anybody = host_room.form.flag("muc#roomconfig_changesubject") == Some(true);
        if role
            < if anybody {
                Role::Participant
            } else {
                Role::Moderator
            }
        {
            return Err(Denied::NotEntitled);
        }
        let (is_shadow, is_distributed) = (host_room.is_shadow(), host_room.is_distributed);
        if !is_shadow {
            self.show_subject(room, Some(nick), text);
        } else if !self.engine.is_source_reachable(room) {
            // For the checkers: a host has nothing to ask here.
            self.tried(room, &user, What::Subject, text.to_owned());
        }
        if is_distributed {
            self.tell_subject(room, Some(nick), Some(&user), text);
        }
        self.drain();
        Ok(())
    }

    pub(super) fn tell_subject(
        &mut self,
        room: &BareJid,
        nick: Option<&str>,
        actor_jid: Option<&BareJid>,
        text: &str,
    ) {
        let subject = Subject {
            nick: nick.map(str::to_owned),
            stamp: self.now.wall_ms as i64,
            text: text.to_owned(),
        };
        self.tell(Input::Ruled(Ruled {
            actor_jid,
            ..Ruled::by_the_room(room, Some(subject))
        }));
    }

    pub(super) fn show_subject(&mut self, room: &BareJid, nick: Option<&str>, text: &str) {
        let nick = nick.map(str::to_owned);
        if let Some(host_room) = self.rooms.get_mut(room) {
            let subject = (nick.clone(), text.to_owned());
            if host_room.subject.clone().unwrap_or_default() == subject {
                return;
            }
            host_room.subject = Some(subject);
        }
        self.decided(room, What::Subject, text.to_owned());
        self.show_all(
            room,
            &Seen::Subject {
                nick,
                text: text.to_owned(),
            },
        );
    }

    pub(super) fn expect_local(&self, room: &BareJid, nick: &str) -> Result<&Local, Denied> {
        let host_room = self.rooms.get(room).ok_or(Denied::NoRoom)?;
        host_room.local(nick).ok_or(Denied::NotHere)
    }

    /// Who is in the room, by nick, with affiliation and role, as this instance shows it.
    pub fn roster(&self, room: &BareJid) -> BTreeMap<String, (Affiliation, Role)> {
        let nicks = self.room(room).occupants.keys();
        nicks
            .filter_map(|nick| Some((nick.clone(), self.rank(room, nick)?)))
            .collect()
    }
}
