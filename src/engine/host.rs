//! What the host tells of its own rooms: distribution on and off, occupants, joins.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::address::{BareJid, Jid};

use super::input::{Departure, Occupant};
use super::link::{Caps, LinkState};
use super::presence::hidden;
use super::request::Pending;
use super::state::clock::Now;
use super::state::instance::{Instance, Stage};
use super::state::room::{Local, Room};
use super::{Action, Engine, SendPresence, Verdict, refuse};
use crate::config::Replicate;
use crate::error::Error;
use crate::wire::{
    self, Act, ActKind, Close, Condition, Destroy, Form, Request, Role, StanzaError, Subject, Unfit,
};

/// For how long an invitation of a redirected user is not sent again: clients that join by themselves try at once.
const INVITED_FOR_MS: u64 = 60_000;
/// How many redirected users are remembered; the oldest are forgotten, and invited once more (G13).
const MAX_REDIRECTED: usize = 1_000;
/// Status code of a kick (XEP-0045 section 8.2).
const KICKED: u16 = 307;

impl Engine {
    pub(super) fn distribute(
        &mut self,
        now: Now,
        jid: &BareJid,
        form: Form,
        unfit: &Unfit,
        salt: &str,
        subject: Option<(&str, &str)>,
    ) -> Result<Verdict, Error> {
        if self.rooms.contains_key(jid) || self.parked.contains_key(jid) {
            return Ok(Verdict::Done);
        }
        let id = self.new_room_id(jid)?;
        if wire::fitting_id(salt).is_none() {
            let text = "The salt of the room's occupant-ids is none that other instances take";
            return Err(refuse(Condition::NotAcceptable, text));
        }
        let source = Some(jid.clone());
        let mut room = Room::new(
            jid.clone(),
            id,
            self.config.service.clone(),
            source,
            now.wall_ms.max(1),
        );
        room.ready = true;
        room.started = false;
        room.next_settings();
        room.settings.form = form;
        room.settings.salt = Some(salt.to_owned());
        room.settings.subject = subject.map(|(nick, text)| Subject {
            nick: wire::fitting_nick(nick),
            stamp: now.wall_ms as i64,
            text: wire::fitting_text(text),
        });
        self.rooms.insert(jid.clone(), room);
        self.tell_unfit_here(jid, unfit);
        self.unsaved.insert(jid.clone());
        Ok(Verdict::Done)
    }

    /// Replication starts, or starts again after a restart.
    pub(super) fn begin(&mut self, now: Now, jid: &BareJid) {
        let Some(room) = self.rooms.get(jid) else { return };
        let mut services: BTreeSet<BareJid> = room.instances.keys().map(|jid| jid.service()).collect();
        if room.is_source() && self.config.replicate == Replicate::Immediately {
            services.extend(self.config.peers.keys().cloned());
        } else if room.is_source() {
            let domains = room.locals.values().map(|local| local.jid.domain());
            services.extend(domains.filter_map(|domain| self.config.peer_of_domain(domain).cloned()));
        }
        for service in services {
            self.learn_caps(now, &service);
            self.want_instance(now, jid, &service);
        }
    }

    pub(super) fn undistribute(
        &mut self,
        now: Now,
        jid: &BareJid,
        reason: Option<&str>,
    ) -> Result<Verdict, Error> {
        let room = self.room_mut(jid)?;
        if !room.is_source() {
            return Err(Error::UnknownRoom);
        }
        let close = Request::Close(Close {
            reason: reason.map(wire::fitting_text),
        });
        self.end_room(now, jid, close);
        Ok(Verdict::Done)
    }

    pub(super) fn destroyed(
        &mut self,
        now: Now,
        jid: &BareJid,
        reason: Option<&str>,
        venue: Option<&BareJid>,
        password: Option<&str>,
    ) -> Result<Verdict, Error> {
        let destroy = Destroy {
            venue: venue.cloned(),
            reason: reason.map(wire::fitting_text),
            password: password.map(wire::fitting_text),
        };
        if self.end_parked(now, jid) {
            return Ok(Verdict::Done);
        }
        let is_source = self.room_mut(jid)?.is_source();
        let request = if is_source {
            Request::Destroy(destroy)
        } else {
            Request::Leave
        };
        self.end_room(now, jid, request);
        Ok(Verdict::Done)
    }

    /// Takes the room out of the engine and tells whom it concerns: the shadows, or the source.
    fn end_room(&mut self, now: Now, jid: &BareJid, request: Request) {
        self.tell_departures(jid);
        let Some(mut room) = self.rooms.remove(jid) else {
            return;
        };
        // A room that is destroyed is emptied by the host; one that goes on loses those who are elsewhere.
        let goes_on = matches!(request, Request::Close(_));
        let is_source = room.is_source();
        let mut untold = std::mem::take(&mut room.unnamed);
        untold.retain(|_| is_source);
        for (home, instance) in std::mem::take(&mut room.instances) {
            if goes_on {
                self.hide_all(jid, &home, &instance);
            }
            let is_told = is_source || room.is_from_source(&home);
            let may_have_it = instance.stage > Stage::Wanted || instance.is_cut || instance.may_hold;
            if is_told && may_have_it && self.caps(&home.service()) != Caps::Xep {
                untold.insert(home);
            }
        }
        self.unsaved.insert(jid.clone());
        self.tell_ending(now, jid, request, untold);
    }

    pub(super) fn hide_all(&mut self, room: &BareJid, home: &BareJid, instance: &Instance) {
        for (nick, _) in instance
            .occupants
            .iter()
            .filter(|(_, remote)| instance.shows(remote))
        {
            self.actions.push_back(hidden(room, home, nick));
        }
    }

    pub(super) fn local_occupant(&mut self, now: Now, occupant: &Occupant<'_>) -> Result<Verdict, Error> {
        let limit = self
            .config
            .max_stanza_size
            .min(crate::wire::limits::MAX_PRESENCE_BYTES);
        let room = self.room_mut(occupant.room)?;
        let known = room.locals.get(occupant.nick);
        let serial = match known {
            Some(local) => local.serial,
            None => now.wall_ms.max(room.last_serial + 1),
        };
        // A presence too large for the peers is announced without its extensions.
        let payload = if occupant.payload.len() > limit {
            ""
        } else {
            occupant.payload
        };
        let local = Local {
            jid: occupant.jid.clone(),
            affiliation: occupant.affiliation,
            role: occupant.role,
            occupant_id: occupant.occupant_id.and_then(wire::fitting_id).map(str::to_owned),
            serial,
            payload: Arc::from(payload),
            version: known.map_or(0, |known| known.version),
            gave_way_to: known.map_or_else(BTreeSet::new, |known| known.gave_way_to.clone()),
        };
        if known == Some(&local) {
            return Ok(Verdict::Done);
        }
        // A new nick that another one took meanwhile was not given to that one.
        let given = room.giving_way.remove(occupant.nick);
        let given = given.filter(|(who, _)| *who == local.jid.to_bare());
        let local = Local {
            version: room.next_roster(),
            gave_way_to: given.map_or(local.gave_way_to, |(_, peers)| peers),
            ..local
        };
        room.last_serial = room.last_serial.max(serial);
        room.departed.remove(occupant.nick);
        if occupant.role != Role::Visitor {
            room.voice.remove(occupant.nick);
        }
        let shows_how = !room.derives_ids
            && local
                .occupant_id
                .as_ref()
                .is_some_and(|id| room.fits(&local.jid, id));
        room.locals.insert(occupant.nick.to_owned(), local);
        if shows_how {
            room.derives_ids = true;
            self.drop_forged_ids(now, occupant.room);
        }
        let Some(room) = self.rooms.get(occupant.room) else {
            return Err(Error::UnknownRoom);
        };
        let (is_source, is_started) = (room.is_source(), room.started);
        self.send_presence_to_all(occupant.room, occupant.nick);
        self.unhide(occupant.room, occupant.nick);
        if is_source && is_started && self.config.replicate == Replicate::OnJoin {
            let peer = self.config.peer_of_domain(occupant.jid.domain()).cloned();
            if let Some(service) = peer {
                self.want_instance(now, occupant.room, &service);
            }
        }
        Ok(Verdict::Done)
    }

    pub(super) fn local_left(&mut self, _now: Now, departure: &Departure<'_>) -> Result<Verdict, Error> {
        let Some(jid) = departure.room else {
            return Err(Error::UnknownRoom);
        };
        let room = self.room_mut(jid)?;
        let Some(local) = room.locals.remove(departure.nick) else {
            return Ok(Verdict::Done);
        };
        room.note_departure(departure.nick);
        room.voice.remove(departure.nick);
        self.send_departure_to_all(jid, departure, &local);
        self.unhide(jid, departure.nick);
        Ok(Verdict::Done)
    }

    pub(super) fn local_act(
        &mut self,
        now: Now,
        jid: &BareJid,
        token: u64,
        act: Act,
    ) -> Result<Verdict, Error> {
        let room = self.rooms.get(jid).ok_or(Error::UnknownRoom)?;
        if self.is_held_here(jid, &act.kind) {
            return Ok(Verdict::Hold);
        }
        let mut act = act;
        act.reason = act.reason.as_deref().map(wire::fitting_text);
        // A role is set by every home that the occupant has: one person may have clients at several instances.
        let acts: Vec<(BareJid, Act)> = match &act.kind {
            ActKind::Role { nick, .. } => {
                let homes = room.remotes(nick);
                homes
                    .map(|(home, remote)| (home.clone(), at_serial(&act, remote.serial)))
                    .collect()
            }
            _ => {
                let source = room.source.clone().filter(|source| source != jid);
                source.into_iter().map(|source| (source, act.clone())).collect()
            }
        };
        let mut error = acts.is_empty().then_some(Condition::ItemNotFound);
        let mut asked = Vec::new();
        for (target, act) in acts {
            if !self.is_link_open(&target.service()) {
                error = Some(Condition::RemoteServerNotFound);
            } else if self.speaks_ours(&target) {
                asked.push((target, act));
            } else {
                match &act.kind {
                    ActKind::Role {
                        nick,
                        role: Role::None,
                        ..
                    } if self.caps(&target.service()) == Caps::Xep => {
                        self.kick_plainly(jid, &target, nick, &act);
                    }
                    _ => error = Some(Condition::FeatureNotImplemented),
                }
            }
        }
        let error = error.map(StanzaError::new);
        if asked.is_empty() {
            self.actions.push_back(Action::ActAnswered {
                room: jid.clone(),
                token,
                error,
            });
            return Ok(Verdict::Done);
        }
        self.acts.insert((jid.clone(), token), (asked.len(), error));
        for (target, act) in asked {
            self.note_role_given(jid, &target, &act.kind);
            let pending = Pending::Act {
                room: jid.clone(),
                token,
            };
            self.request(now, jid.clone(), target, Request::Act(act), pending);
        }
        Ok(Verdict::Done)
    }

    /// A kick for a home that speaks only the XEP's text, in the words of XEP-0045: its occupant's session is its
    /// in-room JID there. The nick is free here at once, whatever the home does.
    fn kick_plainly(&mut self, jid: &BareJid, home: &BareJid, nick: &str, act: &Act) {
        let Some(remote) = self
            .instance_mut(jid, home)
            .and_then(|instance| instance.occupants.remove(nick))
        else {
            return;
        };
        self.has_room_again(jid);
        self.actions
            .push_back(Action::SendPresence(Box::new(SendPresence {
                room: jid.clone(),
                to: home.clone(),
                nick: nick.to_owned(),
                available: false,
                affiliation: remote.affiliation,
                role: Role::None,
                jid: None,
                serial: None,
                version: None,
                occupant_id: None,
                codes: vec![KICKED],
                new_nick: None,
                actor: act.actor_nick.clone(),
                reason: act.reason.clone(),
                payload: Arc::from(""),
            })));
        self.actions.push_back(Action::HideOccupant {
            room: jid.clone(),
            home: home.clone(),
            nick: nick.to_owned(),
            codes: vec![KICKED],
            new_nick: None,
            actor: act.actor_nick.clone(),
            reason: act.reason.clone(),
        });
        self.unhide(jid, nick);
    }

    /// The instance of the peer that serves the users of `domain`, if it holds the room and can be reached.
    pub(super) fn instance_of_domain<'a>(&self, room: &'a Room, domain: &str) -> Option<&'a BareJid> {
        let service = self.config.peer_of_domain(domain)?;
        let holds =
            |(shadow, instance): &(&BareJid, &Instance)| shadow.is_at(service) && instance.holds_room();
        let instance = room.instances.iter().find(holds).map(|(shadow, _)| shadow);
        instance.filter(|_| self.link_state(service) == LinkState::Up)
    }

    /// XEP-0281 section 3.5: a user of a peer's domains who joins the source is sent to that peer's shadow as long as that can be
    /// reached: in the source the next split would throw it out. The invitation is not repeated within a minute.
    pub(super) fn join_request(&mut self, now: Now, jid: &BareJid, user: &Jid) -> Verdict {
        let Some(room) = self.rooms.get(jid).filter(|room| room.is_source()) else {
            return Verdict::Continue;
        };
        let domain = user.domain();
        let shadow = self.instance_of_domain(room, domain).cloned();
        let Some(shadow) = shadow.filter(|_| self.config.redirect) else {
            return Verdict::Continue;
        };
        let here = room
            .locals
            .values()
            .filter(|local| local.jid.domain() == domain)
            .count();
        if here < self.config.redirect_after as usize {
            return Verdict::Continue;
        }
        let key = (jid.clone(), user.to_bare());
        self.redirected.retain(|_, at| now.mono_ms < *at + INVITED_FOR_MS);
        let is_invited = !self.redirected.contains_key(&key);
        if is_invited && self.redirected.len() >= MAX_REDIRECTED {
            let oldest = self
                .redirected
                .iter()
                .min_by_key(|(_, at)| **at)
                .map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                self.redirected.remove(&oldest);
            }
        }
        self.redirected.entry(key).or_insert(now.mono_ms);
        Verdict::Redirect {
            to: shadow,
            is_invited,
        }
    }
}

/// The act, about the occupant who joined with this serial.
fn at_serial(act: &Act, joined: u64) -> Act {
    let mut act = act.clone();
    if let ActKind::Role { serial, .. } = &mut act.kind {
        *serial = Some(joined);
    }
    act
}
