//! Requests from peers: who may ask what (DESIGN section 5, G11), and the answer.

use crate::address::{BareJid, Jid};

use super::pictures::{Asked, Proposal};
use super::presence;
use super::recall::Question;
use super::state::clock::Now;
use super::state::instance::Remote;
use super::state::room::Room;
use super::{Action, Engine, Verdict, bare, refuse};
use crate::error::Error;
use crate::wire::{
    Act, ActKind, Affiliation, AvatarQuery, Condition, IqKind, Request, Response, Roster, StanzaError,
};

impl Engine {
    #[allow(clippy::too_many_arguments)] // one call site, which takes Input::PeerIq apart
    pub(super) fn peer_iq(
        &mut self,
        now: Now,
        from: &Jid,
        to: &Jid,
        kind: IqKind,
        id: &str,
        payload: &str,
        taken: bool,
    ) -> Result<Verdict, Error> {
        let service = from.service();
        if !self.config.peers.contains_key(&service) {
            return Err(refuse(
                Condition::Forbidden,
                "This service does not peer with yours",
            ));
        }
        let (asker, target) = (bare(from), bare(to));
        let (Some(asker), Some(target)) = (asker.as_ref(), target.as_ref()) else {
            return Err(refuse(
                Condition::Forbidden,
                "Only services and rooms may ask this",
            ));
        };
        let (request, unfit) = Request::parse_fitting(kind, payload)
            .map_err(|error| Error::Refused(StanzaError::from(error)))?;
        self.expect_question(now, &service, &request)?;
        let ends_sharing = matches!(&request, Request::Peerhost(told) if self.ends_sharing(told));
        if !ends_sharing && !self.ends_parked(target, asker, &request) {
            // Who asks us anything else shares its rooms with us.
            self.unpark_all(now, &service);
        }
        let response = match request {
            Request::Replicate(replicate) => {
                self.between_services(asker, target)?;
                self.replicate_asked(now, asker, replicate, taken)?;
                // Who wants to share rooms may take ours by now.
                self.ask_refused_soon(now, &service);
                Response::Empty
            }
            Request::Peerhost(peerhost) => {
                self.between_services(asker, target)?;
                self.peerhost_told(now, asker, peerhost)?;
                Response::Empty
            }
            Request::Digest(digest) => {
                self.between_services(asker, target)?;
                self.saw_ours(now, &service);
                Response::Digest(self.digest_told(now, &service, &digest))
            }
            request => match self.room_request(now, asker, target, request, from, to, id)? {
                Some(response) => response,
                None => return Ok(Verdict::Done), // it is answered later
            },
        };
        self.tell_unfit(target, &service, &unfit);
        self.charge_answer(now, &service, &response);
        self.actions.push_back(Action::SendAnswer {
            from: to.clone(),
            to: from.clone(),
            id: id.to_owned(),
            answer: Box::new(Ok(response)),
        });
        self.showed_life(now, &service);
        Ok(Verdict::Done)
    }

    fn between_services(&self, asker: &BareJid, target: &BareJid) -> Result<(), Error> {
        if asker.node().is_some() || *target != self.config.service {
            return Err(refuse(
                Condition::Forbidden,
                "Only the service itself may ask this, of the service",
            ));
        }
        Ok(())
    }

    /// Whether it is the source that asks this of a room here; other instances may ask, too.
    ///
    /// # Errors
    /// The room is not here, or the asker is no instance of it.
    fn is_asked_by_source(
        &self,
        asker: &BareJid,
        target: &BareJid,
        request: &Request,
    ) -> Result<bool, Error> {
        self.expect_read(target)?;
        let Some(room) = self.rooms.get(target) else {
            return Err(refuse(
                Condition::ItemNotFound,
                "This room is not distributed here",
            ));
        };
        if !room.started {
            return Err(refuse(Condition::ItemNotFound, "The room is not here yet"));
        }
        // A <replicate/> that does not name the source: the first configuration shows it.
        let is_unnamed_source =
            room.source.is_none() && room.firsthost == asker.service() && asker.node().is_some();
        let is_source =
            room.is_from_source(asker) || is_unnamed_source && matches!(request, Request::Config(_));
        if !is_source && !room.instances.contains_key(asker) {
            return Err(refuse(
                Condition::Forbidden,
                "This is not an instance of the room",
            ));
        }
        Ok(is_source)
    }

    /// Another instance tells who is there, all at once or in parts.
    fn roster_told(
        &mut self,
        now: Now,
        target: &BareJid,
        asker: &BareJid,
        roster: Roster,
    ) -> Result<(), Error> {
        if !self.rooms.get(target).is_some_and(|room| room.ready) {
            return Err(refuse(
                Condition::UnexpectedRequest,
                "The configuration comes first",
            ));
        }
        let whole = self.collect_roster(now, target, asker, roster)?;
        self.prove(target, asker);
        if let Some(roster) = whole {
            self.roster_pushed(now, target, asker, &roster);
        }
        Ok(())
    }

    /// Another instance asks who is here.
    fn roster_asked(&mut self, now: Now, target: &BareJid, asker: &BareJid) -> Result<(), Error> {
        if self.is_roster_underway(target, asker) {
            return Err(refuse(
                Condition::ResourceConstraint,
                "The roster is on its way already",
            ));
        }
        self.stop_waiting(target, asker);
        let bytes = self.send_roster(now, target, asker);
        self.charge_bytes(now, &asker.service(), bytes);
        Ok(())
    }

    /// Somebody elsewhere wants this done. In whose name the host does it, and answers; `None`: it is done.
    fn act_asked(
        &mut self,
        now: Now,
        asker: &BareJid,
        target: &BareJid,
        act: &Act,
    ) -> Result<Option<Jid>, Error> {
        if let ActKind::Invite { jid } = &act.kind {
            return self.invite_asked(now, target, asker, act, jid).map(Some);
        }
        if !self.rooms.get(target).is_some_and(Room::is_source) && !matches!(act.kind, ActKind::Role { .. }) {
            return Err(refuse(
                Condition::UnexpectedRequest,
                "Only the source decides this",
            ));
        }
        self.expect_decider(target)?;
        let actor = self.actor_of(target, asker, act)?;
        self.check_voice_answer(now, target, &act.kind)?;
        if self.is_decided(now, target, asker, act, &actor.to_bare())? {
            return Ok(None);
        }
        self.learn_actor(target, asker, act);
        Ok(Some(actor))
    }

    /// Somebody elsewhere wants this done: it is, or the host does it, or the vCard is asked for that it is about.
    fn act_told(
        &mut self,
        now: Now,
        asker: &BareJid,
        target: &BareJid,
        act: Act,
        (from, to, id): (&Jid, &Jid, &str),
    ) -> Result<Option<Response>, Error> {
        let Some(actor) = self.act_asked(now, asker, target, &act)? else {
            return Ok(Some(Response::Empty));
        };
        if let ActKind::Steer { service, what } = act.kind {
            self.steered(now, target, &actor, &service, what)?;
            return Ok(Some(Response::Empty));
        }
        if let ActKind::Avatar {
            avatar: Some(avatar), ..
        } = &act.kind
        {
            let (hash, avatar) = (avatar.hash.clone(), avatar.clone());
            let proposal = Proposal {
                act,
                avatar,
                actor: actor.to_bare(),
                asked: asked_later(AvatarQuery { hash, from: 0 }, from, to, id),
            };
            self.fetch_proposed(now, target, proposal)?;
            return Ok(None);
        }
        self.actions.push_back(Action::PerformAct {
            room: target.clone(),
            actor,
            act: Box::new(act),
            to: from.clone(),
            from: to.clone(),
            id: id.to_owned(),
        });
        Ok(None)
    }

    /// Requests between instances. `None`: the host performs it and answers, or it is answered when what that needs has been
    /// read.
    #[allow(clippy::too_many_arguments)] // one call site
    pub(super) fn room_request(
        &mut self,
        now: Now,
        asker: &BareJid,
        target: &BareJid,
        request: Request,
        from: &Jid,
        to: &Jid,
        id: &str,
    ) -> Result<Option<Response>, Error> {
        if self.ends_parked(target, asker, &request) {
            self.parked.remove(target);
            self.shadow_ended(target, asker, request);
            return Ok(Some(Response::Empty));
        }
        let is_source = self.is_asked_by_source(asker, target, &request)?;
        match request {
            Request::Config(config) => {
                self.expect_of_source(target, is_source)?;
                self.config_pushed(now, target, asker, config);
            }
            Request::Roster(roster) => self.roster_told(now, target, asker, roster)?,
            Request::RosterQuery => self.roster_asked(now, target, asker)?,
            request @ (Request::History(_) | Request::Sync(_)) => {
                return self.log_asked(now, asker, target, request, from, to, id);
            }
            Request::Act(Act {
                actor_nick,
                kind: ActKind::Voice { serial, request },
                ..
            }) => self.voice_asked(now, target, asker, actor_nick.as_deref(), serial, request)?,
            Request::Act(Act {
                actor_jid,
                kind: ActKind::Decline { nick, jid },
                reason,
                ..
            }) => self.declined(
                now,
                target,
                asker,
                actor_jid,
                (nick.as_deref(), jid.as_ref()),
                reason,
            )?,
            Request::Avatar(query) => {
                return self.avatar_asked(target, asked_later(query, from, to, id));
            }
            Request::Act(act) => return self.act_told(now, asker, target, act, (from, to, id)),
            request @ (Request::Close(_) | Request::Destroy(_)) => {
                self.expect_of_source(target, is_source)?;
                self.shadow_ends(target, matches!(request, Request::Close(_)));
                self.shadow_ended(target, asker, request);
            }
            Request::Succession(told) => self.succession_told(now, target, asker, *told)?,
            Request::Leave => {
                if !self.rooms.get(target).is_some_and(Room::is_source) {
                    return Err(refuse(Condition::UnexpectedRequest, "A shadow leaves the source"));
                }
                self.shadow_left(now, target, asker);
            }
            Request::Replicate(_) | Request::Peerhost(_) | Request::Digest(_) | Request::DiscoInfo => {
                return Err(refuse(Condition::BadRequest, "This is asked of the service"));
            }
            // Never read: what was in it is.
            Request::Packed(_) => return Err(refuse(Condition::BadRequest, "This is not asked packed")),
        }
        Ok(Some(Response::Empty))
    }

    /// Somebody asks for what was said. `None`: the answer waits until that has been read.
    #[allow(clippy::too_many_arguments)] // one call site
    fn log_asked(
        &mut self,
        now: Now,
        asker: &BareJid,
        target: &BareJid,
        request: Request,
        from: &Jid,
        to: &Jid,
        id: &str,
    ) -> Result<Option<Response>, Error> {
        let away = match &request {
            Request::History(history) => {
                self.prove(target, asker);
                self.expect_whole(target)?;
                self.history_away(now, target, history)
            }
            Request::Sync(sync) => {
                self.sync_asked(now, target, asker, sync)?;
                self.page_away(now, target, asker, sync)
            }
            _ => Vec::new(),
        };
        if !away.is_empty() {
            let question = Question {
                from: from.clone(),
                to: to.clone(),
                id: id.to_owned(),
                request,
            };
            self.read_first(now, target, question, away)?;
            return Ok(None);
        }
        Ok(match request {
            Request::History(history) => Some(Response::History(
                self.history_asked(now, target, asker, &history),
            )),
            Request::Sync(sync) => {
                let answer = self.page_for(now, target, asker, id, &sync);
                let answer = Response::Sync(Box::new(answer));
                Some(match sync.packed {
                    true => Response::Packed(Box::new(answer)),
                    false => answer,
                })
            }
            _ => None,
        })
    }

    fn expect_of_source(&self, target: &BareJid, is_source: bool) -> Result<(), Error> {
        match is_source {
            true => Ok(()),
            false => Err(refuse(Condition::Forbidden, &self.names_source(target))),
        }
    }

    /// Whether the source ends a room that is parked here. Nobody else may, as with any other room.
    fn ends_parked(&self, target: &BareJid, asker: &BareJid, request: &Request) -> bool {
        let is_theirs = |room: &Room| room.is_from_source(asker);
        matches!(request, Request::Close(_) | Request::Destroy(_))
            && self.parked.get(target).is_some_and(is_theirs)
    }

    /// The host is told what the source has done with the room.
    fn shadow_ended(&mut self, jid: &BareJid, source: &BareJid, how: Request) {
        let room = jid.clone();
        self.unsaved.insert(jid.clone());
        match how {
            Request::Close(close) => self.actions.push_back(Action::Close {
                room,
                source: source.clone(),
                reason: close.reason,
            }),
            Request::Destroy(destroy) => self.actions.push_back(Action::Destroy {
                room,
                reason: destroy.reason,
                venue: destroy.venue,
                password: destroy.password,
            }),
            _ => {}
        }
    }

    /// The source took this shadow away: it is no longer ours to keep. If the room goes on as an ordinary one,
    /// nobody remote is left in it.
    pub(super) fn shadow_ends(&mut self, jid: &BareJid, goes_on: bool) {
        let Some(room) = self.rooms.remove(jid) else {
            return;
        };
        for (home, instance) in room.instances.iter().filter(|_| goes_on) {
            self.hide_all(jid, home, instance);
        }
        self.unsaved.insert(jid.clone());
    }

    /// Who acts shows who it is: from then on its rights are known here, too.
    fn learn_actor(&mut self, jid: &BareJid, asker: &BareJid, act: &Act) {
        let (Some(nick), Some(person)) = (&act.actor_nick, &act.actor_jid) else {
            return;
        };
        if !self.config.is_authoritative(&asker.service(), person.domain())
            || !self.is_vouched_for(jid, asker, nick)
        {
            return;
        }
        let person = Jid::from(person.clone());
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let affiliation = room.affiliation_of(&person);
        let shown = room
            .instances
            .get(asker)
            .and_then(|instance| instance.occupants.get(nick));
        let id = shown.and_then(|remote| remote.occupant_id.as_ref());
        // Shown as somebody else: it stays nameless.
        if id.is_some_and(|id| room.is_forged(&person, id)) {
            return;
        }
        let Some(instance) = room.instances.get_mut(asker) else {
            return;
        };
        let unknown = |remote: &&mut Remote| remote.jid.is_none() && !remote.hidden;
        if let Some(remote) = instance.occupants.get_mut(nick).filter(unknown) {
            remote.jid = Some(person);
            remote.affiliation = affiliation;
            let remote = remote.clone();
            let shown = presence::shown(room, asker, nick, &remote, None);
            self.actions.push_back(Action::ShowOccupant(Box::new(shown)));
        }
    }

    /// In whose name an act is done: an occupant that the asking instance is the home of, or a real JID that its
    /// service is authoritative for. The host checks what that person is entitled to.
    fn actor_of(&self, jid: &BareJid, asker: &BareJid, act: &Act) -> Result<Jid, Error> {
        let unknown = || refuse(Condition::ItemNotFound, "The occupant who asks is not known here");
        let room = self.rooms.get(jid).ok_or_else(unknown)?;
        let instance = room.instances.get(asker).ok_or_else(unknown)?;
        if let ActKind::Role { nick, serial, .. } = &act.kind {
            let local = room.locals.get(nick);
            let current = local.filter(|local| serial.is_none_or(|serial| serial == local.serial));
            if current.is_none() {
                return Err(refuse(
                    Condition::ItemNotFound,
                    "The occupant it is about is not here any more",
                ));
            }
        }
        if let Some(nick) = &act.actor_nick
            && let Some(remote) = instance.occupants.get(nick)
        {
            // A role is an occupant's to give; the list of affiliations knows people.
            if !matches!(act.kind, ActKind::Role { .. } | ActKind::Moderate { .. })
                && let Some(person) = &remote.jid
            {
                return Ok(person.to_bare().into());
            }
            // Since its home told of its role the list has changed: that is older than the list.
            if matches!(act.kind, ActKind::Moderate { .. })
                && let Some(person) = &remote.jid
                && room.affiliation_of(person) != remote.claimed
            {
                return Ok(person.to_bare().into());
            }
            let speaks_for =
                |actor: &&BareJid| self.config.is_authoritative(&asker.service(), actor.domain());
            let named = act.actor_jid.as_ref().filter(speaks_for);
            if remote.jid.is_none() && !room.is_from_source(asker) && named.is_none() {
                return Err(refuse(
                    Condition::Forbidden,
                    "Nobody here knows who this occupant is",
                ));
            }
            // A nick is registered for a person.
            if let (ActKind::Register { .. }, Some(person)) = (&act.kind, named) {
                return Ok(person.clone().into());
            }
            if !self.is_vouched_for(jid, asker, nick) {
                return Err(not_that_person());
            }
            // What is taken away is taken away everywhere: that takes more than the word of the moderator's home.
            let is_moderation = matches!(act.kind, ActKind::Moderate { .. });
            if is_moderation
                && self.rank_of(room, asker, act.actor_nick.as_deref(), act.actor_jid.as_ref())
                    < Affiliation::Admin
                && !self.config.is_trusted(&asker.service())
            {
                return Err(refuse(
                    Condition::Forbidden,
                    "Only admins and owners may take messages away from your service",
                ));
            }
            let in_room = asker.with_resource(nick).map_err(|_| unknown())?;
            return Ok(in_room.into());
        }
        match &act.actor_jid {
            // The source itself, for a module of its server.
            None if act.actor_nick.is_none() && room.is_from_source(asker) => Ok(asker.clone().into()),
            Some(actor)
                if self.config.is_authoritative(&asker.service(), actor.domain())
                    || room.is_from_source(asker) =>
            {
                Ok(actor.clone().into())
            }
            Some(_) => Err(refuse(
                Condition::Forbidden,
                "Your service does not speak for that user's domain",
            )),
            None => Err(unknown()),
        }
    }
}

fn asked_later(query: AvatarQuery, from: &Jid, to: &Jid, id: &str) -> Asked {
    Asked {
        query,
        from: from.clone(),
        to: to.clone(),
        id: id.to_owned(),
    }
}

/// An occupant of a peer instance is shown as somebody for whom its home does not speak.
pub(super) fn not_that_person() -> Error {
    refuse(
        Condition::Forbidden,
        "Your service does not speak for the person who has this nick here",
    )
}
