//! Requests for voice, invitations, declines.

use dmuc::address::{BareJid, Jid};
use dmuc::engine::Ruled;
use dmuc::wire::{Affiliation, Condition, Role};
use dmuc::{Input, Verdict};

use super::event::Seen;
use super::host::Host;
use super::people::Denied;
use super::room::Listed;

/// What somebody gets who need not be in the room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Letter {
    /// From a room to who is invited, with who invites.
    Invitation { from: BareJid, to: Jid, by: String },
    /// From a room to who invited, with who declines.
    Decline { from: BareJid, to: Jid, by: Jid },
}

/// An invitation for which another instance is asked.
#[derive(Debug, Clone)]
pub struct Sent {
    nick: String,
    invitee: Jid,
}

impl Host {
    pub fn ask_for_voice(&mut self, room: &BareJid, nick: &str) -> Result<(), Denied> {
        let local = self.expect_local(room, nick)?;
        if local.role != Role::Visitor {
            return Err(Denied::NotEntitled);
        }
        let jid = Some(Jid::from(local.jid.clone()));
        self.show_voice_request(room, nick, jid);
        self.tell(Input::VoiceRequest { room, nick });
        self.drain();
        Ok(())
    }

    pub(super) fn show_voice_request(&mut self, room: &BareJid, nick: &str, jid: Option<Jid>) {
        let Some(host_room) = self.rooms.get(room) else {
            return;
        };
        let moderators = host_room
            .locals()
            .filter(|(_, local)| local.role == Role::Moderator);
        let sessions: Vec<u64> = moderators.map(|(_, local)| local.session).collect();
        for session in sessions {
            let (nick, jid) = (nick.to_owned(), jid.clone());
            self.show(room, session, Seen::VoiceRequest { nick, jid });
        }
    }

    /// A moderator answers the form. `None`: nothing was asked elsewhere.
    pub fn answer_voice(
        &mut self,
        room: &BareJid,
        moderator: &str,
        nick: &str,
        is_granted: bool,
    ) -> Result<Option<u64>, Denied> {
        let actor = self.expect_local(room, moderator)?.clone();
        let token = self.next_token;
        self.next_token += 1;
        let actor_jid = actor.jid.to_bare();
        let input = Input::VoiceAnswer {
            room,
            nick,
            token,
            actor_nick: Some(moderator),
            actor_jid: Some(&actor_jid),
            is_granted,
        };
        let verdict = self.engine.handle_input(self.now, input);
        let is_here = self.room(room).local(nick).is_some();
        match verdict {
            Ok(Verdict::Continue) => self.apply_role(room, nick, Role::Participant, Some(moderator), None),
            Ok(_) => {}
            Err(_) => return Err(Denied::NotHere),
        }
        self.drain();
        Ok(Some(token).filter(|_| !is_here))
    }

    /// Somebody who may invites a user.
    pub fn invite(&mut self, room: &BareJid, nick: &str, invitee: &Jid) -> Result<u64, Denied> {
        let actor = self.expect_local(room, nick)?.clone();
        if actor.role < Role::Participant || !self.may_admit(room, actor.affiliation) {
            return Err(Denied::NotEntitled);
        }
        if self.room(room).affiliation_of(&invitee.to_bare()) == Affiliation::Outcast {
            return Err(Denied::NotEntitled);
        }
        let by = actor.jid.to_bare();
        if !self.room(room).is_shadow() {
            self.admit(room, &invitee.to_bare(), Some((nick, &by)));
        }
        let token = self.next_token;
        self.next_token += 1;
        let jid = Jid::from(actor.jid.clone());
        let verdict = self.tell(Input::Invite {
            room,
            token,
            nick: Some(nick),
            jid: &jid,
            invitee,
            reason: None,
        });
        let sent = Sent {
            nick: nick.to_owned(),
            invitee: invitee.clone(),
        };
        if verdict == Verdict::Hold {
            self.admit(room, &invitee.to_bare(), Some((nick, &by)));
        }
        if matches!(verdict, Verdict::Continue | Verdict::Hold) {
            self.send_invitation(room, &sent);
        } else {
            self.inviting.insert(token, sent);
        }
        self.drain();
        Ok(token)
    }

    /// Who may invite into a room that only members may join: admins (members, too, where the room says so, is not
    /// modelled).
    fn may_admit(&self, room: &BareJid, affiliation: Affiliation) -> bool {
        self.room(room).form.flag("muc#roomconfig_membersonly") != Some(true)
            || affiliation >= Affiliation::Admin
    }

    /// Makes a member of who is invited where only members may join.
    fn admit(&mut self, room: &BareJid, user: &BareJid, actor: Option<(&str, &BareJid)>) {
        let is_members_only = self.room(room).form.flag("muc#roomconfig_membersonly") == Some(true);
        if !is_members_only || self.room(room).affiliation_of(user) != Affiliation::None {
            return;
        }
        let entry = Listed {
            affiliation: Affiliation::Member,
            nick: None,
        };
        self.set_affiliation(room, user, &entry, None, None);
        self.tell(Input::Ruled(Ruled {
            actor_nick: actor.map(|(nick, _)| nick),
            actor_jid: actor.map(|(_, jid)| jid),
            is_invited: true,
            ..Ruled::by_the_room(room, entry.of(user))
        }));
    }

    /// At the source: who may invite makes a member.
    pub(super) fn admit_for(
        &mut self,
        room: &BareJid,
        rank: Affiliation,
        user: &BareJid,
    ) -> Result<(), Condition> {
        if !self.may_admit(room, rank) {
            return Err(Condition::Forbidden);
        }
        self.admit(room, user, None);
        Ok(())
    }

    /// An occupant of another instance invites a user of this server.
    pub(super) fn invite_for(
        &mut self,
        room: &BareJid,
        actor: &Jid,
        rank: Affiliation,
        invitee: &Jid,
    ) -> Result<(), Condition> {
        if !self.may_admit(room, rank) {
            return Err(Condition::Forbidden);
        }
        if !self.room(room).is_shadow() {
            self.admit(room, &invitee.to_bare(), None);
        }
        let nick = actor.resource().unwrap_or(actor.as_str()).to_owned();
        let invitee = invitee.clone();
        self.send_invitation(room, &Sent { nick, invitee });
        Ok(())
    }

    pub(super) fn send_waiting_invitation(&mut self, room: &BareJid, token: u64) {
        let sent = self.inviting.remove(&token).expect("an invitation waits");
        self.send_invitation(room, &sent);
    }

    fn send_invitation(&mut self, room: &BareJid, sent: &Sent) {
        self.letters.push(Letter::Invitation {
            from: room.clone(),
            to: sent.invitee.clone(),
            by: format!("{room}/{}", sent.nick),
        });
    }

    /// A user declines an invitation from a room here.
    pub fn decline(&mut self, room: &BareJid, invitee: &Jid, to: &Jid) -> Result<Verdict, Condition> {
        let input = Input::Decline {
            room,
            invitee,
            to,
            reason: None,
        };
        let verdict = self.engine.handle_input(self.now, input);
        self.drain();
        verdict.map_err(|error| match error {
            dmuc::Error::Refused(error) => error.condition,
            other => panic!("{other}"),
        })
    }
}
