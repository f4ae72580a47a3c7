//! The engine's actions, performed as the Lua shim performs them.

use dmuc::address::{BareJid, Jid};
use dmuc::engine::{RemoteOccupant, Ruled, Shown};
use dmuc::wire::{
    Act, ActKind, Affiliation, Condition, Form, Hatted, Iq, IqBody, Listing, Moderated, Moderation, Role,
    StanzaError, write_iq,
};
use dmuc::{Action, Input};

use super::event::{Event, Seen, Turn, What};
use super::host::Host;
use super::inviting::Letter;
use super::moderate::{GONE, may_affiliate, may_set_role};
use super::register::registered;
use super::room::{Archived, HostRoom, Listed, Remote};
use super::storage::LogEntry;

impl Host {
    pub(super) fn perform(&mut self, action: Action) {
        if let Some(stanza) = action.stanza() {
            self.outbox.push(stanza);
            return;
        }
        match action {
            Action::Apply { room, shown } => self.apply(&room, *shown),
            Action::ShowOccupant(occupant) => self.show_occupant(*occupant),
            Action::HideOccupant {
                room,
                home,
                nick,
                codes,
                new_nick,
                actor,
                reason,
            } => {
                let seen = Seen::Gone {
                    nick: nick.clone(),
                    codes,
                    new_nick,
                    actor,
                    reason,
                };
                let Some(host_room) = self.rooms.get_mut(&room) else {
                    return;
                };
                let Some(occupant) = host_room.occupants.get_mut(&nick) else {
                    panic!(
                        "{}: {nick} of {home} is to be hidden and was not shown",
                        self.service
                    )
                };
                assert!(
                    occupant.remote.remove(&home).is_some(),
                    "{}: {nick} of {home} is to be hidden and was not shown",
                    self.service
                );
                let is_gone = occupant.local.is_none() && occupant.remote.is_empty();
                host_room.tidy();
                if is_gone {
                    self.show_all(&room, &seen);
                }
            }
            Action::Rename { room, nick, new_nick } => self.rename(&room, &nick, &new_nick, vec![210]),
            Action::AddMessage { room, id, deliver } => self.add_message(&room, &id, deliver),
            Action::PerformAct {
                room,
                actor,
                act,
                to,
                from,
                id,
            } => {
                let body = match self.perform_act(&room, &actor, *act) {
                    Ok(()) => IqBody::Result(None),
                    Err(condition) => IqBody::Error(StanzaError::new(condition)),
                };
                self.outbox.push(write_iq(&Iq { from, to, id, body }));
            }
            Action::ShowVoiceRequest { room, nick, jid } => self.show_voice_request(&room, &nick, jid),
            Action::SendInvitation { room, token } => self.send_waiting_invitation(&room, token),
            Action::DeliverDecline {
                room, to, invitee, ..
            } => self.letters.push(Letter::Decline {
                from: room,
                to,
                by: invitee,
            }),
            Action::ActAnswered { room, token, error } => {
                if self.inviting.remove(&token).is_none() {
                    let is_done = error.is_none();
                    self.event(Event::Answered { room, token, is_done });
                }
                assert!(
                    self.acts.insert(token, error).is_none(),
                    "act {token} was answered twice"
                );
            }
            Action::Destroy {
                room, reason, venue, ..
            } => self.end(&room, reason.as_deref(), venue.as_ref()),
            Action::Close { room, source, reason } => {
                self.show_all(&room, &Seen::Closed { source, reason });
                self.everybody_left(&room);
                if let Some(host_room) = self.rooms.get_mut(&room) {
                    (host_room.is_distributed, host_room.is_closed) = (false, true);
                    host_room.is_parked = false;
                }
                self.event(Event::Turned {
                    room,
                    turn: Turn::Closed,
                });
            }
            Action::Park { parked, .. } => {
                self.finish_in(&parked.room);
                if let Some(host_room) = self.rooms.get_mut(&parked.room) {
                    (host_room.is_distributed, host_room.is_parked) = (false, true);
                    let people = host_room.occupants.values();
                    assert!(
                        people.clone().all(|occupant| occupant.remote.is_empty()),
                        "{} has remote occupants still",
                        parked.room
                    );
                }
                let (room, turn) = (parked.room, Turn::Parked);
                self.event(Event::Turned { room, turn });
            }
            Action::ReadAvatar { room } => self.give_avatar(&room),
            Action::SourceMoved { room, source, .. } => {
                if let Some(host_room) = self.rooms.get_mut(&room) {
                    host_room.source = (source != room).then_some(source);
                }
            }
            Action::Served { room, addresses } => {
                let was = self.served.insert(room.clone(), addresses.clone());
                assert_ne!(was.unwrap_or_default(), addresses, "no news of {room}");
            }
            Action::ReadLog { room } => self.reading.ask_for(&room),
            Action::ReadMessages { room, token, ids } => self.reading.want(room, token, ids),
            Action::Unpark { room } => {
                self.feed_stored(&room);
                let Some(host_room) = self.rooms.get_mut(&room) else {
                    return;
                };
                (host_room.is_distributed, host_room.is_parked) = (true, false);
                let locals: Vec<_> = host_room
                    .locals()
                    .map(|(nick, local)| (nick.clone(), local.clone()))
                    .collect();
                for (nick, local) in &locals {
                    self.tell_occupant(&room, nick, local);
                }
            }
            Action::Notice { room, peer, notice } => {
                self.notices.push((room.clone(), peer.clone(), notice.clone()));
                self.event(Event::Noticed { room, peer, notice });
            }
            Action::PrivateDone { token } => self.private_ended(token, true),
            Action::PrivateFailed { token, .. } => self.private_ended(token, false),
            Action::Overridden {
                room,
                actor_jid: actor,
                ruling,
                ..
            } => {
                let what = What::of(*ruling);
                self.event(Event::Overridden { room, actor, what });
            }
            Action::ResetLink { service } => self.resets.push((self.outbox.len(), service)),
            Action::SlowDown { service, pause_ms } => self.slowed.push((service, pause_ms)),
            Action::Store { room } => self.store(&room),
            Action::TrimLog { room, keep } => self.trim_log(&room, keep),
            Action::SendRequest { .. }
            | Action::SendAnswer { .. }
            | Action::SendPresence(_)
            | Action::SendGroupchat { .. }
            | Action::SendSubject { .. }
            | Action::SendModeration { .. } => panic!("{action:?} has no stanza"),
        }
    }

    /// The source has decided.
    fn apply(&mut self, room: &BareJid, shown: Shown) {
        match shown {
            Shown::Settings { source, form, salt } => self.apply_settings(room, source, form, salt),
            Shown::Listed {
                listing: Listing { jid, entry },
                actor,
                reason,
            } => {
                let entry = Listed {
                    affiliation: entry.affiliation,
                    nick: entry.nick,
                };
                self.set_affiliation(room, &jid, &entry, reason.as_deref(), actor.as_deref());
            }
            Shown::Subject(subject) => {
                let (nick, text) = subject
                    .map(|subject| (subject.nick, subject.text))
                    .unwrap_or_default();
                self.show_subject(room, nick.as_deref(), &text);
                // This is the source: everybody is told.
                if !self.room(room).is_shadow() {
                    self.tell_subject(room, nick.as_deref(), None, &text);
                }
            }
            Shown::Moderated(Moderated {
                moderation: Some(moderation),
                ..
            }) => self.hide_message(room, &moderation),
            Shown::Moderated(Moderated { id, moderation: None }) => {
                let entry = self.message(room, &id);
                self.rewrite_archived(room, &id, entry.map(|entry| entry.payload.to_string()));
            }
            Shown::Avatar(vcard) => self.show_avatar(room, vcard.unwrap_or_default()),
            Shown::Hats(Hatted { jid, hats }) => {
                let host_room = self.rooms.get_mut(room).expect("a room with a list");
                let is_listed = host_room.affiliations.contains_key(&jid);
                assert!(
                    hats.is_empty() || is_listed,
                    "{jid} has hats in {room} and is on no list"
                );
                host_room.hats.insert(jid, hats);
            }
        }
    }

    fn apply_settings(&mut self, room: &BareJid, source: BareJid, form: Form, salt: Option<String>) {
        let host_room = self
            .rooms
            .entry(room.clone())
            .or_insert_with(|| HostRoom::new(room.clone()));
        assert!(
            !host_room.is_closed || host_room.source.is_some(),
            "{room} was an ordinary room"
        );
        host_room.source = Some(source);
        (host_room.is_distributed, host_room.is_closed) = (true, false);
        host_room.is_parked = false;
        host_room.form = form;
        let fields = host_room.form.fields.clone();
        if let Some(salt) = salt {
            host_room.salt = salt;
        }
        for field in fields {
            self.decided(room, What::Field(field.var), field.values.join("\n"));
        }
        self.show_all(room, &Seen::ConfigChanged);
        self.enforce_membership(room);
    }

    pub(super) fn show_occupant(&mut self, shown: RemoteOccupant) {
        let service = self.service.clone();
        let handed_in = self.presence_payload.clone();
        let host_room = self
            .rooms
            .get_mut(&shown.room)
            .unwrap_or_else(|| panic!("{service}: there is no {} to show {} in", shown.room, shown.nick));
        let occupant = host_room.occupants.entry(shown.nick.clone()).or_default();
        let as_it_was = || {
            occupant
                .remote
                .get(&shown.home)
                .map(|remote| remote.payload.clone())
        };
        let payload = shown.payload.or_else(|| handed_in.clone()).or_else(as_it_was);
        let remote = Remote {
            jid: shown.jid,
            affiliation: shown.affiliation,
            role: shown.role,
            occupant_id: shown.occupant_id,
            payload: payload.unwrap_or_default(),
        };
        let was = occupant.remote.insert(shown.home, remote.clone());
        if was.as_ref() != Some(&remote) {
            self.show_all(&shown.room, &remote.as_seen(&shown.nick));
        }
    }

    fn add_message(&mut self, room: &BareJid, id: &str, deliver: bool) {
        let entry = self
            .engine
            .message(room, id)
            .unwrap_or_else(|| panic!("{room} has no message {id}"))
            .clone();
        let message = Archived {
            stanza_id: entry.id.clone(),
            nick: entry.nick.clone(),
            message_id: entry.message_id.clone(),
            occupant_id: entry.occupant_id.clone(),
            payload: entry.payload.to_string(),
            wall_ms: entry.key.at.wall_ms,
        };
        let logged = LogEntry::of(&entry);
        self.log(room, logged);
        if let Some(moderation) = entry.moderation() {
            self.rewrite_archived(room, &moderation.id, Some(String::new()));
            self.forget_logged(room, &moderation.id);
            self.decided(room, What::Message(moderation.id), GONE.to_owned());
        }
        self.keep(room, message.clone());
        if deliver {
            let mut seen = message.as_seen(true);
            seen.stanza_id = seen.stanza_id.filter(|id| self.has_archived(room, id));
            self.show_all(room, &Seen::Message(seen));
        }
    }

    /// What a peer's occupant asks for, if it is entitled (XEP-0045 sections 8 to 10).
    fn perform_act(&mut self, room: &BareJid, actor: &Jid, act: Act) -> Result<(), Condition> {
        let host_room = self.rooms.get(room).ok_or(Condition::ItemNotFound)?;
        let rank = match actor.resource() {
            Some(nick) => {
                let occupant = host_room.occupants.get(nick);
                let remote = occupant.and_then(|occupant| occupant.remote.get(&actor.to_bare()));
                remote
                    .map(|remote| (remote.affiliation, remote.role))
                    .ok_or(Condition::ItemNotFound)?
            }
            None => {
                let affiliation = host_room.affiliation_of(&actor.to_bare());
                (affiliation, host_room.default_role(affiliation))
            }
        };
        let name = actor.resource().map(str::to_owned);
        let entitled = |is_entitled: bool| {
            if is_entitled {
                Ok(())
            } else {
                Err(Condition::Forbidden)
            }
        };
        match act.kind {
            ActKind::Role {
                nick,
                role: Role::Visitor,
                request: Some(_),
                ..
            } => {
                let target = host_room.local(&nick).ok_or(Condition::ItemNotFound)?;
                entitled(may_set_role(
                    rank,
                    (target.affiliation, target.role),
                    Role::Participant,
                ))?;
                let token = self.next_token;
                self.next_token += 1;
                self.tell(Input::VoiceAnswer {
                    room,
                    nick: &nick,
                    token,
                    actor_nick: None,
                    actor_jid: None,
                    is_granted: false,
                });
            }
            ActKind::Role { nick, role, .. } => {
                let target = host_room.local(&nick).ok_or(Condition::ItemNotFound)?;
                entitled(may_set_role(rank, (target.affiliation, target.role), role))?;
                self.apply_role(room, &nick, role, name.as_deref(), act.reason.as_deref());
            }
            ActKind::Affiliation {
                jid,
                is_invited: true,
                ..
            } => self.admit_for(room, rank.0, &jid)?,
            ActKind::Invite { jid } => self.invite_for(room, actor, rank.0, &jid)?,
            ActKind::Affiliation {
                jid,
                affiliation,
                nick,
                ..
            } => {
                entitled(may_affiliate(rank.0, host_room.affiliation_of(&jid), affiliation))?;
                let entry = host_room.with_affiliation(&jid, affiliation, nick.as_deref());
                let actor = (name.as_deref(), act.actor_jid.as_ref());
                self.decide_affiliation(room, &jid, &entry, act.reason.as_deref(), actor);
            }
            ActKind::Config { form, .. } => {
                entitled(rank.0 == Affiliation::Owner)?;
                self.apply_form(room, &form, None);
            }
            // The engine decides by itself.
            ActKind::Moderate { id } => {
                entitled(rank.1 == Role::Moderator)?;
                let moderation = Moderation {
                    id,
                    nick: act.actor_nick,
                    occupant_id: None,
                    reason: act.reason,
                    of: None,
                };
                let ruled = Ruled::by_the_room(room, Moderated::from(moderation));
                self.tell(Input::Ruled(ruled));
            }
            ActKind::Subject { .. } => panic!("a subject is no act for the host"),
            ActKind::Avatar { .. } => panic!("an avatar is no act for the host"),
            ActKind::Register { nick, .. } => {
                let user = actor.to_bare();
                assert!(actor.resource().is_none(), "a nick is registered for a person");
                let entry = registered(host_room, &user, nick.as_deref())?;
                self.decide_affiliation(
                    room,
                    &user,
                    &entry,
                    None,
                    (act.actor_nick.as_deref(), Some(&user)),
                );
            }
            ActKind::Voice { .. } | ActKind::Decline { .. } | ActKind::Steer { .. } => {
                panic!("no act for the host")
            }
            ActKind::Destroy { venue, .. } => {
                entitled(rank.0 == Affiliation::Owner)?;
                let (reason, venue) = (act.reason.as_deref(), venue.as_ref());
                self.event(Event::Turned {
                    room: room.clone(),
                    turn: Turn::Destroyed,
                });
                self.tell(Input::Destroyed {
                    room,
                    reason,
                    venue,
                    password: None,
                });
                self.end(room, reason, venue);
            }
        }
        Ok(())
    }
}

impl Remote {
    pub fn as_seen(&self, nick: &str) -> Seen {
        Seen::Presence {
            nick: nick.to_owned(),
            affiliation: self.affiliation,
            role: self.role,
            occupant_id: self.occupant_id.clone(),
            payload: self.payload.clone(),
            codes: Vec::new(),
        }
    }
}
