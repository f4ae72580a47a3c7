//! Mediated invitations (XEP-0045 section 7.8.2): one comes from the instance that serves the invitee best, the room's
//! source makes a member where only members may join, and a decline finds the way back to who invited.

use std::collections::VecDeque;

use crate::address::{BareJid, Jid};

use super::request::Pending;
use super::state::clock::Now;
use super::state::room::Room;
use super::{Action, Engine, Verdict, refuse};
use crate::error::Error;
use crate::wire::{Act, ActKind, Affiliation, Condition, Request, Role, StanzaError};

/// How many invitations are remembered, of users here and of others each; the oldest are forgotten (G13), and who declines
/// one of them is taken at its word.
const MAX_INVITATIONS: usize = 1_000;
/// How long an invitation is remembered.
const REMEMBERED_MS: u64 = 7 * 24 * 3_600_000;

/// Invitations that may be declined yet, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Invitations {
    /// Those by users of ours.
    ours: VecDeque<Invitation>,
    /// Those that were sent from here for occupants of other instances.
    carried: VecDeque<Invitation>,
}

/// Who invited whom.
#[derive(Debug, Clone)]
struct Invitation {
    room: BareJid,
    invitee: BareJid,
    /// The nick that who invited had then.
    nick: Option<String>,
    /// Its real JID, where it is known.
    jid: Option<Jid>,
    /// Of ours: the other instance that was asked to send it. Of others: the inviter's home.
    other: Option<BareJid>,
    /// When (monotonic ms).
    at: u64,
    /// Whether the invitee has said no: that ends it.
    is_declined: bool,
}

/// An invitation that is on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inviting {
    room: BareJid,
    token: u64,
    nick: Option<String>,
    jid: Jid,
    invitee: Jid,
    reason: Option<String>,
    step: Step,
}

/// A decline that is on its way: of which invitations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declining {
    room: BareJid,
    invitee: BareJid,
    nick: Option<String>,
    person: Option<BareJid>,
}

/// What another instance was asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The source is to make the invitee a member.
    Admit,
    /// The instance that serves the invitee is to send the invitation.
    Send,
}

fn remember(invitations: &mut VecDeque<Invitation>, new: Invitation) {
    invitations.retain(|known| {
        let is_same = known.room == new.room && known.invitee == new.invitee && known.nick == new.nick;
        new.at < known.at + REMEMBERED_MS && !(is_same && known.other == new.other && known.jid == new.jid)
    });
    if invitations.len() >= MAX_INVITATIONS {
        invitations.pop_front();
    }
    invitations.push_back(new);
}

/// The invitee has said no to these.
fn end(invitations: &mut VecDeque<Invitation>, is_it: impl Fn(&Invitation) -> bool) {
    let ended = invitations.iter_mut().filter(|known| is_it(known));
    ended.for_each(|known| known.is_declined = true);
}

/// Nobody becomes a member by an invitation whom the room has banned.
pub(super) fn banned() -> Error {
    refuse(
        Condition::Forbidden,
        "Who is banned from this room cannot be invited",
    )
}

impl Invitation {
    fn is_of(&self, now: Now, room: &BareJid, invitee: &BareJid) -> bool {
        self.room == *room && self.invitee == *invitee && now.mono_ms < self.at + REMEMBERED_MS
    }

    fn is_by(&self, nick: Option<&str>, jid: Option<&BareJid>) -> bool {
        let is_person = |jid: &BareJid| self.jid.as_ref().is_some_and(|known| known.to_bare() == *jid);
        nick.is_some() && self.nick.as_deref() == nick || jid.is_some_and(is_person)
    }
}

impl Engine {
    /// Somebody here invites a user, and may.
    pub(super) fn invite(
        &mut self,
        now: Now,
        jid: &BareJid,
        token: u64,
        (nick, inviter): (Option<&str>, &Jid),
        invitee: &Jid,
        reason: Option<&str>,
    ) -> Result<Verdict, Error> {
        let room = self.rooms.get(jid).ok_or(Error::UnknownRoom)?;
        if room.affiliation_of(invitee) == Affiliation::Outcast {
            return Err(banned());
        }
        let best = self.serves_best(jid, invitee);
        // The source makes a member of whom it invites itself.
        let lets_in = |instance: &BareJid| room.is_from_source(instance);
        let source = room.source.clone().filter(|source| source != jid);
        let is_stranger = room.affiliation_of(invitee) == Affiliation::None;
        let needs_source = room.is_members_only() && is_stranger && !best.as_ref().is_some_and(lets_in);
        let mut inviting = Inviting {
            room: jid.clone(),
            token,
            nick: nick.map(str::to_owned),
            jid: inviter.clone(),
            invitee: invitee.clone(),
            reason: reason.map(str::to_owned),
            step: Step::Send,
        };
        if let Some(source) = source.filter(|_| needs_source) {
            if !self.is_link_open(&source.service()) {
                // Provisionally a member, at this instance only: it is this one that lets it in.
                self.note_invitation(now, &inviting, None);
                return Ok(Verdict::Hold);
            }
            if !self.speaks_ours(&source) {
                return Err(refuse(
                    Condition::FeatureNotImplemented,
                    "The source of this room cannot be asked for a membership",
                ));
            }
            inviting.step = Step::Admit;
            self.ask_to_invite(now, source, inviting);
            return Ok(Verdict::Done);
        }
        self.note_invitation(now, &inviting, best.clone());
        match best {
            None => Ok(Verdict::Continue),
            Some(best) => {
                self.ask_to_invite(now, best, inviting);
                Ok(Verdict::Done)
            }
        }
    }

    /// The other instance at the service of the invitee's own domain.
    fn serves_best(&self, jid: &BareJid, invitee: &Jid) -> Option<BareJid> {
        let room = self.rooms.get(jid)?;
        let instance = self.instance_of_domain(room, invitee.domain())?;
        Some(instance.clone()).filter(|instance| self.speaks_ours(instance))
    }

    fn note_invitation(&mut self, now: Now, inviting: &Inviting, other: Option<BareJid>) {
        let invitation = Invitation {
            room: inviting.room.clone(),
            invitee: inviting.invitee.to_bare(),
            nick: inviting.nick.clone(),
            jid: Some(inviting.jid.clone()),
            other,
            at: now.mono_ms,
            is_declined: false,
        };
        remember(&mut self.invitations.ours, invitation);
    }

    fn ask_to_invite(&mut self, now: Now, instance: BareJid, inviting: Inviting) {
        let user = inviting.jid.to_bare();
        let (kind, actor_jid) = match inviting.step {
            Step::Admit => {
                let kind = ActKind::Affiliation {
                    jid: inviting.invitee.to_bare(),
                    affiliation: Affiliation::Member,
                    nick: None,
                    was: None,
                    is_invited: true,
                };
                (kind, Some(user))
            }
            Step::Send => {
                let kind = ActKind::Invite {
                    jid: inviting.invitee.clone(),
                };
                // An occupant is known there by its nick, and by its real JID only where section 5 permits that.
                (kind, Some(user).filter(|_| inviting.nick.is_none()))
            }
        };
        let act = Act {
            actor_nick: inviting.nick.clone(),
            actor_jid,
            kind,
            reason: inviting.reason.as_deref().map(crate::wire::fitting_text),
        };
        let from = inviting.room.clone();
        self.request(
            now,
            from,
            instance,
            Request::Act(act),
            Pending::Invite(Box::new(inviting)),
        );
    }

    /// The source has made the invitee a member, or the other instance has sent the invitation; or not.
    pub(super) fn invite_answered(&mut self, now: Now, mut inviting: Inviting, error: Option<StanzaError>) {
        let (room, token) = (inviting.room.clone(), inviting.token);
        match (inviting.step, error) {
            (Step::Admit, None) => {
                let best = self.serves_best(&room, &inviting.invitee);
                self.note_invitation(now, &inviting, best.clone());
                match best {
                    Some(best) => {
                        inviting.step = Step::Send;
                        self.ask_to_invite(now, best, inviting);
                    }
                    None => self.actions.push_back(Action::SendInvitation { room, token }),
                }
            }
            // The inviter's own instance is always good enough.
            (Step::Send, Some(_)) => self.actions.push_back(Action::SendInvitation { room, token }),
            (Step::Admit, error @ Some(_)) | (Step::Send, error @ None) => {
                self.actions.push_back(Action::ActAnswered { room, token, error });
            }
        }
    }

    /// An occupant of another instance invites a user whom this one serves. Who that is to the host.
    pub(super) fn invite_asked(
        &mut self,
        now: Now,
        jid: &BareJid,
        home: &BareJid,
        act: &Act,
        invitee: &Jid,
    ) -> Result<Jid, Error> {
        let unknown = || {
            refuse(
                Condition::ItemNotFound,
                "The occupant who invites is not known here",
            )
        };
        let room = self.rooms.get(jid).ok_or_else(unknown)?;
        let instance = room.instances.get(home).ok_or_else(unknown)?;
        // The real JID of an occupant is what is known here of it, whatever the act says.
        let mut known = None;
        let actor: Jid = match (&act.actor_nick, &act.actor_jid) {
            (Some(nick), _) => {
                let shown = |remote: &&super::Remote| instance.shows(remote);
                let remote = instance.occupants.get(nick).filter(shown).ok_or_else(unknown)?;
                if remote.role < Role::Participant {
                    return Err(refuse(Condition::Forbidden, "A visitor may not invite"));
                }
                if !self.is_vouched_for(jid, home, nick) {
                    return Err(super::peer::not_that_person());
                }
                known.clone_from(&remote.jid);
                home.with_resource(nick).map_err(|_| unknown())?.into()
            }
            (None, Some(user)) => {
                let speaks_for = self.config.is_authoritative(&home.service(), user.domain());
                if !speaks_for && !room.is_from_source(home) {
                    return Err(refuse(
                        Condition::Forbidden,
                        "Your service does not speak for that user's domain",
                    ));
                }
                known = Some(user.clone().into());
                user.clone().into()
            }
            (None, None) => return Err(unknown()),
        };
        if room.affiliation_of(invitee) == Affiliation::Outcast {
            return Err(banned());
        }
        let invitation = Invitation {
            room: jid.clone(),
            invitee: invitee.to_bare(),
            nick: act.actor_nick.clone(),
            jid: known,
            other: Some(home.clone()),
            at: now.mono_ms,
            is_declined: false,
        };
        remember(&mut self.invitations.carried, invitation);
        Ok(actor)
    }

    /// Somebody declines an invitation: it goes to who invited, whose home may be elsewhere.
    pub(super) fn decline(
        &mut self,
        now: Now,
        jid: &BareJid,
        invitee: &Jid,
        to: &Jid,
        reason: Option<&str>,
    ) -> Result<Verdict, Error> {
        let room = self.rooms.get(jid).ok_or(Error::UnknownRoom)?;
        let (user, place) = (invitee.to_bare(), to.to_bare());
        let is_here = place == *jid;
        let is_elsewhere = room.instances.contains_key(&place);
        let nick = to.resource().filter(|_| is_here || is_elsewhere);
        let person = Some(&place).filter(|_| !is_here && !is_elsewhere);
        let is_it = |known: &Invitation| known.is_of(now, jid, &user) && known.is_by(nick, person);
        let find = |all: &VecDeque<Invitation>| {
            let mut found = all.iter().rev().filter(|known| is_it(known));
            found.find(|known| !known.is_declined).cloned()
        };
        let (ours, carried) = (find(&self.invitations.ours), find(&self.invitations.carried));
        let mut all = self.invitations.ours.iter().chain(&self.invitations.carried);
        if ours.is_none() && carried.is_none() && all.any(is_it) {
            return Err(refuse(
                Condition::ItemNotFound,
                "This invitation is declined already",
            ));
        }
        if let Some(Invitation { jid: Some(to), .. }) = ours {
            end(&mut self.invitations.ours, is_it);
            self.actions.push_back(Action::DeliverDecline {
                room: jid.clone(),
                to,
                invitee: invitee.clone(),
                reason: reason.map(str::to_owned),
            });
            return Ok(Verdict::Done);
        }
        let home = match carried {
            Some(carried) => carried.other,
            None if is_elsewhere => Some(place.clone()),
            None => self.home_of_inviter(room, nick, person),
        };
        let Some(home) = home else {
            let invitations = [&self.invitations.ours, &self.invitations.carried];
            let mut all = invitations.into_iter().flatten();
            // Others are known to have invited this user, and this one is not.
            if is_here && all.any(|known| known.is_of(now, jid, &user)) {
                return Err(refuse(
                    Condition::ItemNotFound,
                    "This occupant has not invited you",
                ));
            }
            return Ok(Verdict::Continue);
        };
        if !self.is_link_open(&home.service()) {
            return Err(refuse(
                Condition::RemoteServerNotFound,
                "The service of who invited you is out of reach",
            ));
        }
        if !self.speaks_ours(&home) {
            return Ok(Verdict::Continue);
        }
        end(&mut self.invitations.carried, is_it);
        let act = Act {
            actor_nick: None,
            actor_jid: Some(user.clone()),
            kind: ActKind::Decline {
                nick: nick.map(str::to_owned),
                jid: person.cloned(),
            },
            reason: reason.map(crate::wire::fitting_text),
        };
        let declining = Declining {
            room: jid.clone(),
            invitee: user.clone(),
            nick: nick.map(str::to_owned),
            person: person.cloned(),
        };
        let pending = Pending::Decline(Box::new(declining));
        self.request(now, jid.clone(), home, Request::Act(act), pending);
        Ok(Verdict::Done)
    }

    /// The instance where an occupant with this nick is, or a client of this person, or that serves its domain.
    fn home_of_inviter(&self, room: &Room, nick: Option<&str>, person: Option<&BareJid>) -> Option<BareJid> {
        if let Some(nick) = nick.filter(|nick| !room.locals.contains_key(*nick)) {
            return room.remote(nick).map(|(home, _)| home.clone());
        }
        let person = person?;
        let is_person = |jid: &Jid| jid.to_bare() == *person;
        let has_it = |(_, instance): &(&BareJid, &super::Instance)| {
            let mut remotes = instance.occupants.values();
            remotes.any(|remote| remote.jid.as_ref().is_some_and(is_person))
        };
        let of_occupant = room.instances.iter().find(has_it).map(|(home, _)| home);
        let home = of_occupant.or_else(|| self.instance_of_domain(room, person.domain()));
        home.cloned()
    }

    /// The home of who invited did not answer: the invitee may say no once more. If it has heard all the same, it tells
    /// nobody twice.
    pub(super) fn decline_lost(&mut self, now: Now, declining: &Declining) {
        let (nick, person) = (declining.nick.as_deref(), declining.person.as_ref());
        let is_it = |known: &&mut Invitation| {
            known.is_of(now, &declining.room, &declining.invitee) && known.is_by(nick, person)
        };
        let lost = self.invitations.carried.iter_mut().filter(is_it);
        lost.for_each(|known| known.is_declined = false);
    }

    /// Another instance tells that a user declined. Taken only for an invitation that is known here, and only from who
    /// sent it, from who speaks for that user, or from the source.
    pub(super) fn declined(
        &mut self,
        now: Now,
        jid: &BareJid,
        asker: &BareJid,
        invitee: Option<BareJid>,
        (nick, person): (Option<&str>, Option<&BareJid>),
        reason: Option<String>,
    ) -> Result<(), Error> {
        let unknown = || refuse(Condition::ItemNotFound, "There is no such invitation here");
        let (Some(room), Some(invitee)) = (self.rooms.get(jid), invitee) else {
            return Err(unknown());
        };
        let speaks_for = self.config.is_authoritative(&asker.service(), invitee.domain());
        let may_tell = |known: &Invitation| {
            speaks_for || known.other.as_ref() == Some(asker) || room.is_from_source(asker)
        };
        let is_it = |known: &Invitation| {
            known.is_of(now, jid, &invitee)
                && known.is_by(nick, person)
                && may_tell(known)
                && !known.is_declined
        };
        let known = self.invitations.ours.iter().rev().find(|known| is_it(known));
        let to = known.and_then(|known| known.jid.clone()).ok_or_else(unknown)?;
        end(&mut self.invitations.ours, is_it);
        self.actions.push_back(Action::DeliverDecline {
            room: jid.clone(),
            to,
            invitee: invitee.into(),
            reason,
        });
        Ok(())
    }
}
