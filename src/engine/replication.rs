//! Replicating a room (XEP-0281 section 3.2): how an instance is brought up, told of the others, and let go.

use crate::address::BareJid;

use super::link::Caps;
use super::request::Pending;
use super::state::clock::Now;
use super::state::instance::{Instance, Stage};
use super::state::room::Room;
use super::{Action, Engine, Notice, refuse};
use crate::error::Error;
use crate::wire::{Condition, Config as ConfigPush, Replicate, Request, SettingsExtra, StanzaError};

/// Delay before a roster that could not be taken is sent again; doubled each time.
pub(super) const ROSTER_RETRY_MS: u64 = 1_000;
/// How often that is done; after that the next change of link or room tries again.
const ROSTER_RETRIES: u32 = 6;

/// How long a service that will hold a room waits for it while others have not said whether they will have its name.
const NAME_MS: u64 = 5_000;

impl Engine {
    /// The source wants a shadow at `service`; a shadow wants to know the instance there.
    pub(super) fn want_instance(&mut self, now: Now, jid: &BareJid, service: &BareJid) {
        let limit = self.config.max_peerhosts;
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let is_source = room.is_source();
        if is_source && room.retracted.contains(service) {
            return;
        }
        let here = room
            .instances
            .iter()
            .find(|(instance, _)| instance.is_at(service));
        let is_refused = here.is_some_and(|(_, instance)| instance.stage == Stage::Refused);
        let is_new = here.is_none();
        if is_new {
            if room.instances.len() >= limit {
                let (room, peer) = (jid.clone(), service.clone());
                self.actions.push_back(Action::Notice {
                    room,
                    peer,
                    notice: Notice::TooManyPeerhosts,
                });
                return;
            }
            let instance = room.id.at(service);
            let mut wanted = Instance::new(Stage::Wanted);
            wanted.is_introduced = !room.is_source();
            self.rooms.add_instance(jid, instance, wanted);
            self.unsaved.insert(jid.clone());
        }
        self.keep_in_touch(now, service);
        if is_refused {
            return self.ask_refused_soon(now, service);
        }
        match self.caps(service) {
            _ if self.is_link_waiting(service) => {
                if is_new && is_source && !self.is_link_open(service) {
                    self.want_of_absent(now, jid, service);
                }
            }
            Caps::Unknown | Caps::Nothing => self.learn_caps(now, service),
            Caps::Xep | Caps::Full => match self
                .standing_refusal(now, service)
                .filter(|_| is_new && is_source)
            {
                Some(error) => {
                    self.refuse_instance(now, jid, service, error);
                    self.ask_refused_soon(now, service);
                }
                None => self.advance(now, jid, service),
            },
        }
    }

    /// The service's abilities are known: take the next step with its instance.
    pub(super) fn advance(&mut self, now: Now, jid: &BareJid, service: &BareJid) {
        let speaks_ours = self.speaks_ours(service);
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let is_source = room.is_source();
        let wanted = |(peer, instance): &(&BareJid, &mut Instance)| {
            peer.is_at(service) && instance.stage == Stage::Wanted && (is_source || !instance.is_expected())
        };
        let (id, source) = (room.id.clone(), room.source.clone());
        let Some((peer, instance)) = room.instances.iter_mut().find(wanted) else {
            if is_source {
                let instance = id.at(service);
                self.introduce_again(now, jid, &instance);
            }
            return;
        };
        let peer = peer.clone();
        if is_source {
            // An earlier room of this name has to end there first.
            let is_ending = |ending: &super::Ending| ending.untold.contains(&peer);
            if self.endings.get(jid).is_some_and(is_ending) {
                return;
            }
            (instance.stage, instance.may_hold, instance.has_agreed) = (Stage::Replicating, true, false);
            let request = Request::Replicate(Replicate { id, source });
            let pending = Pending::Replicate {
                room: jid.clone(),
                instance: peer,
            };
            let from = self.config.service.clone();
            self.note_asked(now, jid, service);
            self.request(now, from, service.clone(), request, pending);
        } else {
            if speaks_ours && instance.is_introduced {
                self.meet(now, jid, &peer);
                return;
            }
            instance.stage = Stage::Active;
            if speaks_ours {
                self.want_sync(now, jid, &peer);
                return;
            }
            self.send_roster(now, jid, &peer);
            if source.as_ref() == Some(&peer) && self.rooms.get(jid).is_some_and(|room| room.ready) {
                self.ask_history(now, jid, &peer);
            }
        }
    }

    pub(super) fn replicate_answered(
        &mut self,
        now: Now,
        jid: &BareJid,
        peer: &BareJid,
        error: Option<StanzaError>,
    ) {
        if self.instance_mut(jid, peer).is_none() {
            // Asked for by a name that another service would not have (`is_named_again`).
            return;
        }
        match error {
            None => {
                self.refusal_ended(now, jid, peer);
                if let Some(instance) = self.instance_mut(jid, peer) {
                    (instance.has_agreed, instance.retry_at) = (true, Some(now.mono_ms + NAME_MS));
                    self.timed.insert(jid.clone());
                }
            }
            Some(error) if Self::is_link_error(&error) => self.want_later(now, jid, peer),
            Some(error) => self.refuse_instance(now, jid, &peer.service(), error),
        }
        if !self.is_name_open(jid) {
            self.configure_agreed(now, jid);
        }
    }

    /// Those that will hold the room are given it.
    fn configure_agreed(&mut self, now: Now, jid: &BareJid) {
        let instances = self.rooms.get(jid).map(|room| &room.instances);
        let agreed = instances
            .into_iter()
            .flatten()
            .filter(|(_, instance)| instance.has_agreed);
        let agreed: Vec<BareJid> = agreed.map(|(peer, _)| peer.clone()).collect();
        for peer in &agreed {
            if let Some(instance) = self.instance_mut(jid, peer) {
                (instance.has_agreed, instance.retry_at) = (false, None);
            }
            self.set_stage(jid, peer, Stage::Configuring);
            self.send_config(now, jid, peer, true);
            // The roster follows at once: events follow it in order, and none falls between. Who knows only
            // the XEP's text is told one thing after the other.
            if self.speaks_ours(peer) {
                self.send_first_roster(now, jid, peer);
            }
        }
    }

    fn send_first_roster(&mut self, now: Now, jid: &BareJid, peer: &BareJid) {
        self.set_stage(jid, peer, Stage::Rostering);
        self.send_roster(now, jid, peer);
        self.send_first_subject(jid, peer);
    }

    pub(super) fn config_answered(
        &mut self,
        now: Now,
        jid: &BareJid,
        peer: &BareJid,
        error: Option<StanzaError>,
    ) {
        let instance = self.rooms.get(jid).and_then(|room| room.instances.get(peer));
        let waits = instance.is_some_and(|instance| instance.stage == Stage::Configuring);
        match error {
            None if waits => self.send_first_roster(now, jid, peer),
            None => {}
            Some(error) if Self::is_link_error(&error) => self.want_later(now, jid, peer),
            // It has agreed and forgotten: its service has been restarted since.
            Some(error) if error.condition == Condition::ItemNotFound => self.want_later(now, jid, peer),
            Some(error) => self.refuse_instance(now, jid, &peer.service(), error),
        }
    }

    pub(super) fn roster_answered(
        &mut self,
        now: Now,
        jid: &BareJid,
        peer: &BareJid,
        error: Option<StanzaError>,
    ) {
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let is_source = room.is_source();
        let Some(instance) = room.instances.get_mut(peer) else {
            return;
        };
        if is_source && instance.stage < Stage::Rostering {
            return;
        }
        if error.as_ref().is_some_and(Self::is_link_error) {
            // Its version is compared when the link is up. If it has not been down, with the next heartbeat: whoever has asked
            // meanwhile was told that it is on its way.
            instance.told = None;
            if is_source && instance.stage == Stage::Rostering {
                self.want_later(now, jid, peer);
            }
            self.said_to(now, &peer.service());
            return;
        }
        if let Some(error) = error {
            let is_unknown = error.condition == Condition::ItemNotFound;
            // The peer may not know us yet, as it is told of us by the source: try again shortly.
            if instance.retries < ROSTER_RETRIES {
                instance.retry_at = Some(now.mono_ms + (ROSTER_RETRY_MS << instance.retries));
                instance.retries += 1;
                self.timed.insert(jid.clone());
            } else if is_source && instance.stage == Stage::Rostering {
                self.want_later(now, jid, peer);
            }
            if is_unknown {
                self.disprove(jid, peer);
            }
            return;
        }
        (instance.retry_at, instance.retries) = (None, 0);
        let is_brought_up = is_source && instance.stage == Stage::Rostering;
        self.prove(jid, peer);
        if is_brought_up {
            if let Some(instance) = self.instance_mut(jid, peer) {
                (instance.stage, instance.is_named) = (Stage::Active, true);
            }
            // What was said before it was given its roster has not been sent to it: if it held the room before, a digest tells
            // that it lacks that.
            self.said_to(now, &peer.service());
            self.replicated(now, jid, peer);
            self.want_sync(now, jid, peer);
        }
    }

    /// What was on its way to a shadow-to-be is lost, whether the link is down or not: it is begun anew.
    fn want_later(&mut self, now: Now, jid: &BareJid, peer: &BareJid) {
        let jitter = self.ids.below(ROSTER_RETRY_MS);
        let Some(room) = self.rooms.get_mut(jid).filter(|room| room.is_source()) else {
            return;
        };
        if let Some(instance) = room.instances.get_mut(peer) {
            let delay = (ROSTER_RETRY_MS << instance.retries.min(ROSTER_RETRIES)) + jitter;
            (instance.stage, instance.retry_at) = (Stage::Wanted, Some(now.mono_ms + delay));
            instance.retries = instance.retries.saturating_add(1);
            self.timed.insert(jid.clone());
        }
    }

    /// The room's configuration goes to one instance; `first` in the course of its replication.
    pub(super) fn send_config(&mut self, now: Now, jid: &BareJid, peer: &BareJid, first: bool) {
        let is_full = self.speaks_ours(peer);
        let Some(room) = self.rooms.get(jid) else { return };
        let holds_it = |instance: &Instance| instance.stage == Stage::Active;
        let is_active = room.instances.get(peer).is_some_and(holds_it);
        let settings = is_full.then(|| SettingsExtra {
            said: (!is_active).then(|| room.log.latest_of_all()),
            ..room.settings_extra()
        });
        let request = Request::Config(ConfigPush {
            form: room.settings.form.clone(),
            settings,
        });
        let pending = if first {
            Pending::Config {
                room: jid.clone(),
                instance: peer.clone(),
            }
        } else {
            Pending::Nothing
        };
        self.request(now, jid.clone(), peer.clone(), request, pending);
    }

    /// A shadow that knows only the XEP's text is told the subject in a message of its own.
    fn send_first_subject(&mut self, jid: &BareJid, peer: &BareJid) {
        let Some(room) = self.rooms.get(jid) else { return };
        let subject = room.settings.subject.clone();
        if let Some(subject) = subject.filter(|_| !self.speaks_ours(peer)) {
            let (room, to) = (jid.clone(), peer.clone());
            self.actions.push_back(Action::SendSubject {
                room,
                to,
                nick: subject.nick,
                text: subject.text,
                version: None,
            });
        }
    }

    /// A firsthost asks us to hold a shadow.
    pub(super) fn replicate_asked(
        &mut self,
        now: Now,
        firsthost: &BareJid,
        replicate: Replicate,
        taken: bool,
    ) -> Result<(), Error> {
        if replicate
            .source
            .as_ref()
            .is_some_and(|source| source.service() != *firsthost)
        {
            return Err(refuse(
                Condition::NotAcceptable,
                "The source is not at the service that asks",
            ));
        }
        let jid = replicate.id.at(&self.config.service);
        if self.parked.contains_key(&jid) {
            return Err(refuse(
                Condition::Conflict,
                "This id is a room of another source here",
            ));
        }
        self.expect_read(&jid)?;
        if let Some(room) = self.rooms.get_mut(&jid) {
            let is_other = |source: &BareJid| room.source.as_ref().is_some_and(|known| known != source);
            if room.firsthost != *firsthost
                || room.is_source()
                || replicate.source.as_ref().is_some_and(is_other)
            {
                return Err(refuse(
                    Condition::Conflict,
                    "This id is a room of another source here",
                ));
            }
            // The source starts over: it no longer knows what we told it.
            for instance in room.instances.values_mut().filter(|_| room.ready) {
                instance.needs_roster = true;
            }
            return Ok(());
        }
        if !self.may_name(firsthost, &replicate.id, replicate.source.as_ref()) {
            return Err(refuse(
                Condition::NotAcceptable,
                "Services that are not trusted here have shadows with opaque ids, or names that end with their own domain",
            ));
        }
        if taken {
            return Err(refuse(Condition::Conflict, "This id is an ordinary room here"));
        }
        if self.has_id(&replicate.id) {
            return Err(refuse(
                Condition::Conflict,
                "This id is that of another room here",
            ));
        }
        self.expect_one_shadow(firsthost, replicate.source.as_ref())?;
        self.expect_shadow(firsthost)?;
        let incarnation = now.wall_ms.max(1);
        let mut room = Room::new(jid.clone(), replicate.id, firsthost.clone(), None, incarnation);
        if let Some(source) = replicate.source {
            room.instances
                .insert(source.clone(), Instance::new(Stage::Active));
            room.source = Some(source);
        }
        self.rooms.insert(jid.clone(), room);
        self.await_configuration(now, &jid);
        self.unsaved.insert(jid);
        self.learn_caps(now, firsthost);
        self.keep_in_touch(now, firsthost);
        Ok(())
    }

    /// An address is that of one room here (G15). One that the source has asked for and not configured it has given up.
    fn expect_one_shadow(&mut self, firsthost: &BareJid, source: Option<&BareJid>) -> Result<(), Error> {
        let is_same = |room: &&Room| room.source.is_some() && room.source.as_ref() == source;
        let other = self.rooms.shared_with(firsthost).find(is_same);
        match other.map(|room| (room.ready, room.jid.clone())) {
            None => Ok(()),
            Some((false, jid)) => {
                self.rooms.remove(&jid);
                self.unconfigured.remove(&jid);
                self.unsaved.insert(jid);
                Ok(())
            }
            Some((true, _)) => Err(refuse(
                Condition::Conflict,
                "The source has a shadow here already, under another id",
            )),
        }
    }

    pub(super) fn forget_instance(&mut self, now: Now, jid: &BareJid, service: &BareJid) {
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let found = room
            .instances
            .keys()
            .find(|instance| instance.is_at(service))
            .cloned();
        let Some(home) = found else { return };
        self.release(now, jid, &home);
        // Of a room that has just been read nobody is shown yet.
        let is_shown = self.rooms.get(jid).is_some_and(|room| room.started);
        self.forget_in_succession(jid, &home);
        if let Some(instance) = self.rooms.remove_instance(jid, &home) {
            if is_shown {
                self.hide_all(jid, &home, &instance);
            }
            self.unsaved.insert(jid.clone());
            for nick in instance.occupants.keys() {
                self.unhide(jid, nick);
            }
            self.has_room_again(jid);
        }
    }

    pub(super) fn set_stage(&mut self, jid: &BareJid, peer: &BareJid, stage: Stage) {
        if let Some(instance) = self.instance_mut(jid, peer) {
            instance.stage = stage;
        }
    }

    pub(super) fn instances_timeout(&self) -> Option<u64> {
        let timed = self.timed.iter().filter_map(|jid| self.rooms.get(jid));
        let next = timed.filter_map(Room::next_timer).min();
        debug_assert_eq!(next, self.rooms.values().filter_map(Room::next_timer).min());
        next
    }

    pub(super) fn handle_instance_timeouts(&mut self, now: Now) {
        let rooms = &mut self.rooms;
        let is_timed = |jid: &BareJid| rooms.get(jid).is_some_and(|room| room.next_timer().is_some());
        self.timed.retain(is_timed);
        let mut due = Vec::new();
        for jid in &self.timed {
            for (peer, instance) in rooms
                .get_mut(jid)
                .into_iter()
                .flat_map(|room| &mut room.instances)
            {
                if instance.retry_at.is_some_and(|at| at <= now.mono_ms) {
                    instance.retry_at = None;
                    due.push((jid.clone(), peer.clone()));
                }
            }
        }
        for (room, peer) in due {
            let is_wanted = self.rooms.get(&room).is_some_and(|room| {
                let instance = room.instances.get(&peer);
                room.is_source() && instance.is_some_and(|instance| instance.stage == Stage::Wanted)
            });
            if is_wanted {
                self.advance(now, &room, &peer.service());
                continue;
            }
            // Whoever has not said by now whether it will have the name is not waited for.
            if self
                .instance_mut(&room, &peer)
                .is_some_and(|instance| instance.has_agreed)
            {
                self.configure_agreed(now, &room);
                continue;
            }
            if self.stop_waiting(&room, &peer) {
                self.want_sync(now, &room, &peer);
            }
            if !self.answers_now(now, &peer.service()) {
                if let Some(instance) = self.instance_mut(&room, &peer) {
                    instance.retry_at = Some(now.mono_ms + ROSTER_RETRY_MS);
                    self.timed.insert(room);
                }
                continue;
            }
            let bytes = self.send_roster(now, &room, &peer);
            self.charge_bytes(now, &peer.service(), bytes);
        }
    }
}
