//! vCards of rooms on their way (XEP-0486): asked for where they are missing, in parts, and handed to the host.
//!
//! A shadow asks its source for the one that is in force; the source asks the shadow where an owner has set one before it
//! decides. The host keeps them; what stays here is bounded and only saves asking again (G10, G13).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::address::{BareJid, Jid};

use super::request::Pending;
use super::state::clock::Now;
use super::{Action, Engine, Shown, Verdict, refuse};
use crate::error::Error;
use crate::wire::{Act, Avatar, AvatarPart, AvatarQuery, Condition, Picture, Request, Response, StanzaError};

/// How many of the last ones stay here; the oldest is forgotten, and asked for again.
const MAX_HELD: usize = 16;
/// How many come from one service at once; more wait.
const MAX_PULLS: usize = 4;
/// How many acts that set one may wait in a room, the one whose vCard is coming not counted, and in all rooms; more are refused.
const MAX_PROPOSED: usize = 4;
const MAX_PROPOSED_IN_ALL: usize = 64;
/// How many questions wait for the host; more are refused.
const MAX_ASKED: usize = 64;
/// A part that is not the last has at least so many bytes: less is no progress.
const MIN_PART_BYTES: usize = 1_000;
/// How often the same part is asked for, and after how long the first time (each time so much longer).
const MAX_TRIES: u64 = 8;
const AGAIN_MS: u64 = 2_000;
/// When one that could not be had is asked for again, unless both sides have to agree before.
const RETRY_MS: u64 = 300_000;

/// The vCards that are on their way.
#[derive(Debug, Default)]
pub(super) struct Pictures {
    /// The last ones that passed through here, by room, the newest last.
    held: VecDeque<(BareJid, Picture)>,
    /// What is coming, by room.
    pulls: BTreeMap<BareJid, Pull>,
    /// What the source was asked for and has not begun to ask for in turn, by room, in order.
    proposed: BTreeMap<BareJid, VecDeque<Proposal>>,
    /// Rooms that wait until less comes from a service.
    queued: BTreeMap<BareJid, BTreeSet<BareJid>>,
    /// Rooms whose host may have to show another one.
    unseen: BTreeSet<BareJid>,
    /// When a room's is asked for again (monotonic ms).
    retries: BTreeMap<BareJid, u64>,
    /// Questions of peers that wait for the host.
    asked: Vec<Asked>,
}

/// One that comes in parts.
#[derive(Debug)]
struct Pull {
    from: BareJid,
    avatar: Avatar,
    text: String,
    tries: u64,
    /// When the next part is asked for again (monotonic ms).
    again_at: Option<u64>,
    /// What the source was asked for, and what it has to answer.
    proposal: Option<Box<Proposal>>,
}

/// An act of another instance.
#[derive(Debug)]
pub(super) struct Proposal {
    pub(super) act: Act,
    pub(super) avatar: Avatar,
    pub(super) actor: BareJid,
    pub(super) asked: Asked,
}

/// A request of a peer that is answered later.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) query: AvatarQuery,
    /// Who asks.
    pub(super) from: Jid,
    /// Our room.
    pub(super) to: Jid,
    pub(super) id: String,
}

impl Pictures {
    /// What the host shows of this room may be another one than is in force.
    pub(super) fn look_at(&mut self, jid: &BareJid) {
        self.unseen.insert(jid.clone());
    }

    fn held(&self, jid: &BareJid, hash: &str) -> Option<&Picture> {
        let held = self.held.iter().rev();
        let of_room = held.filter(|(room, _)| room == jid);
        of_room
            .map(|(_, picture)| picture)
            .find(|picture| picture.avatar.hash == hash)
    }

    fn hold(&mut self, jid: &BareJid, picture: Picture) {
        self.held
            .retain(|(room, held)| room != jid || held.avatar != picture.avatar);
        self.held.push_back((jid.clone(), picture));
        if self.held.len() > MAX_HELD {
            self.held.pop_front();
        }
    }

    fn count_from(&self, service: &BareJid) -> usize {
        self.pulls
            .values()
            .filter(|pull| pull.from.is_at(service))
            .count()
    }

    pub(super) fn next_timer(&self) -> Option<u64> {
        let again = self.pulls.values().filter_map(|pull| pull.again_at);
        again.chain(self.retries.values().copied()).min()
    }
}

impl Pull {
    /// Takes the next part; `false` if it is none.
    fn take(&mut self, part: &AvatarPart) -> bool {
        let bytes = self.text.len() + part.text.len();
        let is_next = part.hash == self.avatar.hash && part.from == self.text.len() as u64;
        let is_last = bytes as u64 == self.avatar.bytes;
        let is_progress = is_last || part.text.len() >= MIN_PART_BYTES;
        if !is_next || !is_progress || bytes as u64 > self.avatar.bytes {
            return false;
        }
        self.text.push_str(&part.text);
        (self.tries, self.again_at) = (0, None);
        true
    }

    fn is_whole(&self) -> bool {
        self.text.len() as u64 == self.avatar.bytes
    }
}

impl Engine {
    /// What the host has may be other than what was stored of the room: either may have been stored last.
    pub(super) fn look_up_avatar(&mut self, jid: &BareJid) {
        self.actions.push_back(Action::ReadAvatar { room: jid.clone() });
    }

    /// The host hands over the vCard that a room has, or one that somebody wants set.
    pub(super) fn picture_given(
        &mut self,
        now: Now,
        jid: &BareJid,
        vcard: Option<&str>,
        is_wanted: bool,
    ) -> Result<Verdict, Error> {
        let is_here = self.rooms.contains_key(jid);
        let read = vcard.map_or(Ok(None), Picture::parse);
        if let Ok(Some(picture)) = &read
            && is_here
        {
            self.pictures.hold(jid, picture.clone());
        }
        let asked = std::mem::take(&mut self.pictures.asked);
        let (of_room, others) = asked.into_iter().partition(|asked| asked.to.to_bare() == *jid);
        self.pictures.asked = others;
        for asked in of_room {
            let answer = self.part_of(jid, &asked.query).map(Response::Avatar);
            self.answer_later(now, asked, answer);
        }
        self.room_mut(jid)?;
        if !is_wanted {
            let avatar = read.as_ref().ok().and_then(Option::as_ref);
            self.avatar_found(now, jid, avatar.map(|picture| picture.avatar.clone()))?;
        }
        read.map_err(|error| Error::Refused(error.into()))?;
        Ok(Verdict::Done)
    }

    fn answer_later(&mut self, now: Now, asked: Asked, answer: Result<Response, Error>) {
        let answer = answer.map_err(|error| {
            let error = error.stanza_error().cloned();
            error.unwrap_or_else(|| StanzaError::new(Condition::ItemNotFound))
        });
        if let Ok(response) = &answer {
            self.charge_answer(now, &asked.from.service(), response);
        }
        self.actions.push_back(Action::SendAnswer {
            from: asked.to,
            to: asked.from,
            id: asked.id,
            answer: Box::new(answer),
        });
    }

    fn part_of(&self, jid: &BareJid, query: &AvatarQuery) -> Result<AvatarPart, Error> {
        let held = self.pictures.held(jid, &query.hash);
        let part = held.and_then(|picture| picture.part(query.from));
        part.ok_or_else(|| refuse(Condition::ItemNotFound, "This avatar is not here"))
    }

    /// An instance asks for a part. `None`: the host has to be asked, and the answer follows.
    pub(super) fn avatar_asked(&mut self, jid: &BareJid, asked: Asked) -> Result<Option<Response>, Error> {
        if self.pictures.held(jid, &asked.query.hash).is_some() {
            return self
                .part_of(jid, &asked.query)
                .map(|part| Some(Response::Avatar(part)));
        }
        if self.room_mut(jid)?.pictured.as_ref() != Some(&asked.query.hash) {
            return Err(refuse(Condition::ItemNotFound, "This avatar is not here"));
        }
        if self.pictures.asked.len() >= MAX_ASKED {
            return Err(refuse(
                Condition::ResourceConstraint,
                "Too many avatars are asked for",
            ));
        }
        let is_read = self.pictures.asked.iter().any(|asked| asked.to.to_bare() == *jid);
        self.pictures.asked.push(asked);
        if !is_read {
            self.look_up_avatar(jid);
        }
        Ok(None)
    }

    /// Another instance asks the source for one that is not here yet: it is decided, and answered, when it is. One after the
    /// other, in the order in which they were asked for.
    pub(super) fn fetch_proposed(
        &mut self,
        now: Now,
        jid: &BareJid,
        proposal: Proposal,
    ) -> Result<(), Error> {
        let in_all: usize = self.pictures.proposed.values().map(VecDeque::len).sum();
        let proposed = self.pictures.proposed.entry(jid.clone()).or_default();
        if proposed.len() >= MAX_PROPOSED || in_all >= MAX_PROPOSED_IN_ALL {
            let text = "Other avatars are on their way here: try again";
            return Err(refuse(Condition::ResourceConstraint, text));
        }
        proposed.push_back(proposal);
        self.begin_proposed(now, jid);
        Ok(())
    }

    /// The next one in a room, as soon as no other is coming.
    fn begin_proposed(&mut self, now: Now, jid: &BareJid) {
        if self.pictures.pulls.contains_key(jid) {
            return;
        }
        let Some(proposed) = self.pictures.proposed.get_mut(jid) else {
            return;
        };
        let Some(next) = proposed.front() else {
            self.pictures.proposed.remove(jid);
            return;
        };
        let service = next.asked.from.service();
        if self.pictures.count_from(&service) >= MAX_PULLS {
            self.pictures
                .queued
                .entry(service)
                .or_default()
                .insert(jid.clone());
            return;
        }
        let next = self.pictures.proposed.get_mut(jid).and_then(VecDeque::pop_front);
        if let Some(next) = next {
            let (home, avatar) = (next.asked.from.to_bare(), next.avatar.clone());
            self.pull_picture(now, jid, &home, avatar, Some(Box::new(next)));
        }
    }

    fn pull_picture(
        &mut self,
        now: Now,
        jid: &BareJid,
        from: &BareJid,
        avatar: Avatar,
        proposal: Option<Box<Proposal>>,
    ) {
        let pull = Pull {
            from: from.clone(),
            avatar,
            text: String::new(),
            tries: 0,
            again_at: None,
            proposal,
        };
        self.pictures.retries.remove(jid);
        self.pictures.pulls.insert(jid.clone(), pull);
        self.ask_part(now, jid);
    }

    fn ask_part(&mut self, now: Now, jid: &BareJid) {
        let Some(pull) = self.pictures.pulls.get_mut(jid) else {
            return;
        };
        pull.again_at = None;
        let (to, hash, from) = (
            pull.from.clone(),
            pull.avatar.hash.clone(),
            pull.text.len() as u64,
        );
        let pending = Pending::Avatar {
            room: jid.clone(),
            hash: hash.clone(),
        };
        let request = Request::Avatar(AvatarQuery { hash, from });
        self.request(now, jid.clone(), to, request, pending);
    }

    pub(super) fn picture_answered(
        &mut self,
        now: Now,
        jid: &BareJid,
        hash: &str,
        answer: Result<Response, StanzaError>,
    ) {
        let pulls = &mut self.pictures.pulls;
        let Some(pull) = pulls.get_mut(jid).filter(|pull| pull.avatar.hash == hash) else {
            return;
        };
        let service = pull.from.service();
        let is_taken = match &answer {
            Ok(Response::Avatar(part)) => pull.take(part),
            _ => false,
        };
        if is_taken && !pull.is_whole() {
            return self.ask_part(now, jid);
        }
        let is_late = |error: &StanzaError| error.condition == Condition::ResourceConstraint;
        let is_lost = answer.as_ref().is_err_and(Self::is_link_error);
        let may_come = is_lost || answer.as_ref().is_err_and(is_late);
        if may_come && pull.tries < MAX_TRIES && self.is_link_open(&service) {
            if let Some(pull) = self.pictures.pulls.get_mut(jid) {
                pull.tries += 1;
                pull.again_at = Some(now.mono_ms + AGAIN_MS * pull.tries);
            }
            return;
        }
        let Some(pull) = self.pictures.pulls.remove(jid) else {
            return;
        };
        let picture = Picture::parse(&pull.text).ok().flatten();
        match picture.filter(|picture| picture.avatar == pull.avatar) {
            Some(picture) => self.picture_came(now, jid, pull.proposal, picture),
            None => self.picture_failed(now, jid, pull, may_come),
        }
        self.begin_proposed(now, jid);
        // Whoever finds no room again waits again.
        for next in self.pictures.queued.remove(&service).unwrap_or_default() {
            self.pictures.look_at(&next);
        }
    }

    fn picture_came(&mut self, now: Now, jid: &BareJid, proposal: Option<Box<Proposal>>, picture: Picture) {
        self.pictures.hold(jid, picture.clone());
        let Some(proposal) = proposal else {
            return self.pictures.look_at(jid);
        };
        let home = proposal.asked.from.to_bare();
        let answer = match self.is_decided(now, jid, &home, &proposal.act, &proposal.actor) {
            Ok(true) => Ok(Response::Empty),
            Ok(false) => {
                self.decide_avatar(now, jid, Some(picture));
                Ok(Response::Empty)
            }
            Err(error) => Err(error),
        };
        self.answer_later(now, proposal.asked, answer);
    }

    /// What was lost with the link is asked for when both sides agree again.
    fn picture_failed(&mut self, now: Now, jid: &BareJid, pull: Pull, may_come: bool) {
        let is_proposed = pull.proposal.is_some();
        if let Some(proposal) = pull.proposal {
            let (condition, text) = match may_come {
                true => (
                    Condition::ResourceConstraint,
                    "The avatar did not arrive here: try again",
                ),
                false => (Condition::ItemNotFound, "Your instance does not have this avatar"),
            };
            self.answer_later(now, proposal.asked, Err(refuse(condition, text)));
        }
        let in_force = self.rooms.get(jid).and_then(|room| room.settings.avatar.as_ref());
        if in_force.is_some_and(|avatar| *avatar != pull.avatar) {
            self.pictures.look_at(jid);
        } else if !is_proposed && self.is_link_open(&pull.from.service()) {
            self.pictures.retries.insert(jid.clone(), now.mono_ms + RETRY_MS);
        }
    }

    /// The host shows this one from now on.
    pub(super) fn show_picture(&mut self, jid: &BareJid, picture: Option<Picture>) {
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        room.pictured = picture.as_ref().map(|picture| picture.avatar.hash.clone());
        let shown = Shown::Avatar(picture.map(|picture| picture.vcard));
        self.actions.push_back(Action::apply(jid, shown));
        self.unsaved.insert(jid.clone());
    }

    /// The one in force is shown, or asked for.
    fn follow_avatar(&mut self, now: Now, jid: &BareJid) {
        let Some(room) = self.rooms.get(jid).filter(|room| room.ready) else {
            return;
        };
        if room.is_pictured() {
            return;
        }
        let Some(avatar) = room.settings.avatar.clone() else {
            return self.show_picture(jid, None);
        };
        if let Some(picture) = self.pictures.held(jid, &avatar.hash).cloned() {
            return self.show_picture(jid, Some(picture));
        }
        let Some(source) = room.source.clone().filter(|source| source != jid) else {
            return;
        };
        let service = source.service();
        if !self.is_link_open(&service) || !self.speaks_ours(&source) || self.pictures.pulls.contains_key(jid)
        {
            return;
        }
        if self.pictures.count_from(&service) >= MAX_PULLS {
            self.pictures
                .queued
                .entry(service)
                .or_default()
                .insert(jid.clone());
            return;
        }
        self.pull_picture(now, jid, &source, avatar, None);
    }

    /// At the end of every input: what it leads to for the avatars of rooms.
    pub(super) fn follow_avatars(&mut self, now: Now) {
        while let Some(jid) = self.pictures.unseen.pop_first() {
            self.begin_proposed(now, &jid);
            self.follow_avatar(now, &jid);
        }
    }

    pub(super) fn handle_picture_timeouts(&mut self, now: Now) {
        let due = |at: u64| at <= now.mono_ms;
        let pulls = self.pictures.pulls.iter();
        let again = pulls.filter(|(_, pull)| pull.again_at.is_some_and(due));
        for jid in again.map(|(jid, _)| jid.clone()).collect::<Vec<_>>() {
            self.ask_part(now, &jid);
        }
        let retries = self.pictures.retries.iter().filter(|(_, at)| due(**at));
        for jid in retries.map(|(jid, _)| jid.clone()).collect::<Vec<_>>() {
            self.pictures.retries.remove(&jid);
            self.pictures.look_at(&jid);
        }
    }
}
