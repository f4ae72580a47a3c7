//! Messages: ours are numbered, kept and sent to each instance once; a peer's are checked and shown once.

use std::sync::Arc;

use super::state::admitted::Admitted;
use crate::address::{BareJid, Jid};

use super::door::{Turned, cleaned};
use super::link::Caps;
use super::state::clock::{Now, successor};
use super::state::instance::Instance;
use super::state::log::{Entry, EventKey, Retention, UNSTAMPED};
use super::{Action, Engine, Verdict, nick_of, refuse};
use crate::config::Config;
use crate::error::Error;
use crate::ids::derived_stanza_id;
use crate::wire::{Affiliation, Condition, EventStamp, Hlc, Role, escaped, limits};

/// Who says something that is taken as it comes.
struct Speaker {
    occupant_id: Option<String>,
}

impl Engine {
    pub(super) fn local_groupchat(
        &mut self,
        now: Now,
        jid: &BareJid,
        nick: &str,
        (message_id, lang): (Option<&str>, Option<&str>),
        payload: &str,
        keep: bool,
    ) -> Result<Verdict, Error> {
        let limit = self.config.max_stanza_size;
        let room = self.rooms.get_mut(jid).ok_or(Error::UnknownRoom)?;
        if size_of(payload, message_id) > limit {
            // No instance would take it: better nobody sees it than only those who are here.
            return Err(refuse(
                Condition::PolicyViolation,
                "The message is larger than this room takes",
            ));
        }
        let payload: Arc<str> = Arc::from(payload);
        // Nobody speaks in this instance's name. What cannot be read here is for the host to judge: it has shown it.
        let payload = cleaned(&payload, &[jid]).unwrap_or(payload);
        let (id, stamp) = if keep {
            let at = self.clock.tick(now);
            let key = room.next_key(at);
            let (id, incarnation, seq) = (key.stanza_id(), key.incarnation, key.seq);
            let entry = Entry {
                key,
                id: id.clone(),
                nick: nick.to_owned(),
                message_id: message_id.map(str::to_owned),
                lang: of_lang(lang),
                occupant_id: room.locals.get(nick).and_then(|local| local.occupant_id.clone()),
                payload: payload.clone(),
                received_ms: now.mono_ms,
            };
            self.insert_entry(now, jid, Admitted::of_our_own(entry));
            let stamp = EventStamp {
                id: id.clone(),
                origin: None,
                incarnation,
                seq,
                at,
                roster: None,
            };
            (id, Some(stamp))
        } else {
            (self.ids.uuid(), None)
        };
        let pulls = |peer: &BareJid| self.rooms.get(jid).is_some_and(|room| room.is_pulling(peer, now));
        let roster = self.rooms.get(jid).map(|room| room.roster_version);
        let mut receivers = self.receivers(jid);
        receivers.retain(|peer| stamp.is_none() || !pulls(peer));
        for peer in receivers {
            let event = stamp.clone().filter(|_| self.speaks_ours(&peer));
            let event = event.map(|event| EventStamp { roster, ..event });
            self.actions.push_back(Action::SendGroupchat {
                room: jid.clone(),
                to: peer,
                nick: nick.to_owned(),
                message_id: message_id.map(str::to_owned),
                lang: of_lang(lang),
                key: id.clone(),
                event,
                payload: payload.clone(),
            });
        }
        Ok(Verdict::Accepted { id, event: stamp })
    }

    #[allow(clippy::too_many_arguments)] // one call site, which takes Input::Past apart
    pub(super) fn past(
        &mut self,
        now: Now,
        jid: &BareJid,
        nick: &str,
        (message_id, lang): (Option<&str>, Option<&str>),
        stanza_id: Option<&str>,
        occupant_id: Option<&str>,
        wall_ms: u64,
        payload: &str,
    ) -> Result<Verdict, Error> {
        let stanza_id = stanza_id.and_then(crate::wire::fitting_id);
        let occupant_id = occupant_id.and_then(crate::wire::fitting_id);
        let room = self.rooms.get_mut(jid).ok_or(Error::UnknownRoom)?;
        let at = Hlc {
            wall_ms: wall_ms.min(now.wall_ms),
            counter: 0,
        };
        // The clock may have been set back between two messages; who said them said them in this order (G4).
        let before = room.log.last_key();
        let at = before.map_or(at, |before| at.max(successor(before.at)));
        let key = room.next_key(at);
        let entry = Entry {
            id: stanza_id.map_or_else(|| key.stanza_id(), str::to_owned),
            key,
            nick: nick.to_owned(),
            message_id: message_id.map(str::to_owned),
            lang: of_lang(lang),
            occupant_id: occupant_id.map(str::to_owned),
            payload: Arc::from(payload),
            received_ms: now.mono_ms,
        };
        let mut event = entry.stamp();
        if let Some(id) = self.insert_entry(now, jid, Admitted::of_our_own(entry)) {
            event.id = id;
        }
        // What is said from now on comes after it.
        self.clock.observe(now, at);
        Ok(Verdict::Accepted {
            id: event.id.clone(),
            event: Some(event),
        })
    }

    /// An entry of the stored log comes back after a restart.
    #[allow(clippy::too_many_arguments)] // one call site, which takes Input::Logged apart
    pub(super) fn logged(
        &mut self,
        now: Now,
        jid: &BareJid,
        nick: &str,
        (message_id, lang): (Option<&str>, Option<&str>),
        occupant_id: Option<&str>,
        event: EventStamp,
        payload: &str,
        is_stored: bool,
    ) -> Result<Verdict, Error> {
        let origin = event.origin.unwrap_or_else(|| jid.clone());
        let occupant_id = occupant_id.and_then(crate::wire::fitting_id);
        let entry = Entry {
            key: EventKey {
                at: event.at,
                origin,
                incarnation: event.incarnation,
                seq: event.seq,
            },
            id: event.id,
            nick: nick.to_owned(),
            message_id: message_id.map(str::to_owned),
            lang: of_lang(lang),
            occupant_id: occupant_id.map(str::to_owned),
            payload: Arc::from(payload),
            received_ms: 0,
        };
        self.room_mut(jid)?;
        if let Ok(admitted) = self.admit_stored(now, jid, entry) {
            let log = &mut self.room_mut(jid)?.log;
            let key = log.load(admitted);
            if let Some(key) = key.filter(|_| is_stored) {
                log.note_stored_at(&key);
            }
            self.settle_memory(jid);
        }
        Ok(Verdict::Done)
    }

    #[allow(clippy::too_many_arguments)] // one call site, which takes Input::PeerGroupchat apart
    pub(super) fn peer_groupchat(
        &mut self,
        now: Now,
        from: &Jid,
        to: &Jid,
        (message_id, lang): (Option<&str>, Option<&str>),
        event: Option<EventStamp>,
        payload: &str,
        keep: bool,
    ) -> Result<Verdict, Error> {
        let (home, jid) = (from.to_bare(), to.to_bare());
        let Some(room) = self.rooms.get(&jid) else {
            return Ok(Verdict::Continue);
        };
        let Some(instance) = room.instances.get(&home) else {
            // Instances speak to the occupant's nick, users to the room.
            return self.stranger(&home, nick_of(from, to).is_ok());
        };
        let nick = nick_of(from, to)?;
        if size_of(payload, message_id) > self.config.max_stanza_size {
            return Err(refuse(
                Condition::PolicyViolation,
                "The message is larger than this room takes",
            ));
        }
        if let Some(event) = &event {
            check_stamp(event, &home)?;
        }
        let service = home.service();
        // Numbers are for those who can tell of them again.
        let event = event.filter(|_| matches!(self.caps(&service), Caps::Full | Caps::Unknown));
        // Who numbers decides what is kept, for everybody.
        let numbers = self.numbers(&service, instance);
        let keep = event.is_some() || keep && !numbers;
        let Some(Speaker { occupant_id }) =
            self.speaker(now, (&jid, &home), nick, event.as_ref(), numbers)?
        else {
            return Ok(Verdict::Done);
        };
        if event.is_none() && keep && self.is_copy(now, &jid, &home, nick, message_id, payload) {
            return Ok(Verdict::Done);
        }
        if !keep {
            let room = self.rooms.get(&jid).ok_or(Error::UnknownRoom)?;
            let occupant_id = occupant_id.filter(|id| self.may_show_id(room, &home, &home, id));
            return Ok(Verdict::Deliver {
                event: None,
                occupant_id,
            });
        }
        let (id, key) = match event {
            Some(event) => {
                let key = key_of(&event, &home);
                (event.id, key)
            }
            None => self.unstamped(now, &jid, &home, nick, message_id),
        };
        let entry = Entry {
            key,
            id,
            nick: nick.to_owned(),
            message_id: message_id.map(str::to_owned),
            lang: of_lang(lang),
            occupant_id,
            payload: Arc::from(payload),
            received_ms: now.mono_ms,
        };
        self.take_live(now, &jid, &home, entry)
    }

    /// What an occupant elsewhere says goes through the door and into the log; the host shows it, unless the log has it.
    fn take_live(&mut self, now: Now, jid: &BareJid, home: &BareJid, entry: Entry) -> Result<Verdict, Error> {
        let entry = match self.admit(now, jid, home, entry) {
            Ok(entry) => entry,
            Err(Turned::Refused(entry)) => {
                let refused = Turned::Refused(entry.clone());
                self.refuse_event(now, jid, *entry);
                return Err(refused.into());
            }
            Err(turned) => return Err(turned.into()),
        };
        let Some(admitted) = self.hold(now, jid, home, entry) else {
            return Ok(Verdict::Done);
        };
        let key = admitted.entry().key.clone();
        let occupant_id = admitted.entry().occupant_id.clone();
        if self.room_mut(jid)?.log.is_ruled(admitted.entry()) {
            // It was retracted before it came.
            self.add_entry(now, jid, admitted, false);
            return Ok(Verdict::Done);
        }
        let Some(id) = self.insert_entry(now, jid, admitted) else {
            return Ok(Verdict::Done);
        };
        let event = EventStamp {
            id,
            origin: None,
            incarnation: key.incarnation,
            seq: key.seq,
            at: key.at,
            roster: None,
        };
        Ok(Verdict::Deliver {
            event: Some(event),
            occupant_id,
        })
    }

    /// Whether a service numbers what is kept of its messages: also before it has been asked what it speaks, if what it sent
    /// shows it.
    pub(super) fn numbers(&self, service: &BareJid, instance: &Instance) -> bool {
        match self.caps(service) {
            Caps::Full => true,
            Caps::Unknown => self.has_named_life(service) || instance.roster_version.is_some(),
            Caps::Xep | Caps::Nothing => false,
        }
    }

    /// The occupant elsewhere who says something now, if it is taken as it comes: `number` is its place in what its home keeps,
    /// `numbers` whether that home numbers what is kept. `None`: it is known here already, or comes with a page.
    ///
    /// # Errors
    /// The occupant may not say it.
    fn speaker(
        &mut self,
        now: Now,
        (jid, home): (&BareJid, &BareJid),
        nick: &str,
        number: Option<&EventStamp>,
        numbers: bool,
    ) -> Result<Option<Speaker>, Error> {
        let room = self.rooms.get(jid).ok_or(Error::UnknownRoom)?;
        let Some(instance) = room.instances.get(home) else {
            return Ok(None);
        };
        // Only what follows without a hole is taken as it comes; the rest is pulled, in order (G4).
        if let Some(event) = number {
            if room.log.has_seen(home, event.incarnation, event.seq) {
                return Ok(None);
            }
            // Nor if a presence of its home was lost on the way: the nick may be somebody else's by now (G5).
            let roster = event.roster.or(instance.roster_version);
            let is_next = room.log.is_next(home, event.incarnation, event.seq);
            if !instance.is_synced || !is_next || roster != instance.roster_version {
                self.pull_from(now, jid, home);
                return Ok(None);
            }
        }
        if numbers && number.is_none() && !instance.is_synced {
            // Something of its home is being pulled, perhaps a presence: the nick may be somebody else's by now (G5), and
            // this is not worth waiting for.
            return Ok(None);
        }
        if let Some(event) = number.filter(|_| instance.is_too_many(nick, None)) {
            // Not heard here, and nothing that has to be pulled.
            let key = key_of(event, home);
            self.pass_over(jid, &key);
            return Ok(None);
        }
        let Some(remote) = instance.occupants.get(nick) else {
            // Its presence may have been lost on the way: both are pulled (G4).
            if number.is_some() {
                self.pull_from(now, jid, home);
            }
            return Err(refuse(
                Condition::NotAcceptable,
                "This occupant is not in the room",
            ));
        };
        // Its home may not have heard yet that it lost the nick: nothing it says there may be missing here (G4).
        if remote.hidden && !(self.speaks_ours(home) && now.mono_ms < remote.rename_by) {
            return Err(refuse(
                Condition::Conflict,
                "Somebody else has this nick: the occupant needs another one",
            ));
        }
        // What has a number says when it was said, which is judged at the door.
        let is_banned = |jid: &Jid| number.is_none() && room.affiliation_of(jid) == Affiliation::Outcast;
        if remote.jid.as_ref().is_some_and(is_banned) {
            return Err(refuse(Condition::Forbidden, "The occupant is banned"));
        }
        if remote.role < Role::Participant {
            if let Some(event) = number {
                self.suspect(now, jid, home, nick, (event.incarnation, event.seq));
            }
            return Err(refuse(
                Condition::Forbidden,
                "Visitors may not speak in this room",
            ));
        }
        Ok(Some(Speaker {
            occupant_id: remote.occupant_id.clone(),
        }))
    }

    /// The stanza-id of a message without our stamp, and its place in the log.
    fn unstamped(
        &mut self,
        now: Now,
        jid: &BareJid,
        home: &BareJid,
        nick: &str,
        message_id: Option<&str>,
    ) -> (String, EventKey) {
        let id = self.unstamped_id(jid, home, nick, message_id);
        let at = self.clock.tick(now);
        // What others have told of it before may be of a clock that is far ahead: its messages keep their order (G4).
        let room = self.rooms.get(jid);
        let before = room.and_then(|room| room.log.latest_after(home, at));
        let at = before.map_or(at, successor);
        (id, self.unstamped_key(jid, home, at))
    }

    /// Something of this home is missing here: nothing of it is taken as it comes until that has been pulled.
    pub(super) fn pull_from(&mut self, now: Now, jid: &BareJid, home: &BareJid) {
        let room = self.rooms.get_mut(jid);
        if let Some(instance) = room.and_then(|room| room.instances.get_mut(home)) {
            instance.is_synced = false;
        }
        self.want_sync(now, jid, home);
    }

    /// The stanza-id of a message without our stamp: the same on every instance if it has an `id`.
    pub(super) fn unstamped_id(
        &mut self,
        jid: &BareJid,
        home: &BareJid,
        nick: &str,
        message_id: Option<&str>,
    ) -> String {
        let fresh = self.ids.uuid();
        let (Some(room), Some(message_id)) = (self.rooms.get(jid), message_id) else {
            return fresh;
        };
        let held = room
            .instances
            .get(home)
            .and_then(|instance| instance.held.as_ref());
        let is_held = |id: &String| held.into_iter().flatten().any(|held| held.entry().id == *id);
        (0..u32::MAX)
            .map(|salt| derived_stanza_id(room.id.as_str(), home, nick, message_id, salt))
            .find(|id| !room.log.has_id(id) && !is_held(id))
            .unwrap_or(fresh)
    }

    /// Whether a message without our stamp came just before: the same nick, the same `id`, the same children. The network
    /// may deliver twice what has no number, and who repeats an `id` in earnest says something else with it (G4).
    fn is_copy(
        &self,
        now: Now,
        jid: &BareJid,
        home: &BareJid,
        nick: &str,
        message_id: Option<&str>,
        payload: &str,
    ) -> bool {
        let (Some(room), Some(message_id)) = (self.rooms.get(jid), message_id) else {
            return false;
        };
        let held = room
            .instances
            .get(home)
            .and_then(|instance| instance.held.as_ref());
        let known = |id: &String| {
            let waiting = || {
                let entries = held.into_iter().flatten().map(Admitted::entry);
                entries.into_iter().find(|entry| entry.id == *id)
            };
            room.log.get(id).or_else(waiting)
        };
        (0..u32::MAX)
            .map(|salt| derived_stanza_id(room.id.as_str(), home, nick, message_id, salt))
            .map_while(|id| known(&id))
            .any(|entry| *entry.payload == *payload && now.mono_ms < entry.received_ms + COPY_MS)
    }

    pub(super) fn unstamped_key(&self, jid: &BareJid, home: &BareJid, at: Hlc) -> EventKey {
        let seq = self
            .rooms
            .get(jid)
            .map_or(1, |room| room.log.next_seq(home, UNSTAMPED));
        EventKey {
            at,
            origin: home.clone(),
            incarnation: UNSTAMPED,
            seq,
        }
    }

    /// Puts a message into the log. Returns its stanza-id there, if it is new.
    pub(super) fn insert_entry(&mut self, now: Now, jid: &BareJid, entry: Admitted) -> Option<String> {
        let room = self.rooms.get_mut(jid)?;
        let id = room.log.insert(entry);
        room.touch();
        self.grown.insert(jid.clone(), now);
        id
    }

    /// Trims the logs that have grown, when the host has been told of what has come in: before that it may not go, however
    /// old it is.
    pub(super) fn trim_grown(&mut self) {
        while let Some((jid, now)) = self.grown.pop_first() {
            self.trim(now, &jid);
        }
    }

    /// Drops what is beyond retention, from memory and now and then from the stored log.
    pub(super) fn trim(&mut self, now: Now, jid: &BareJid) {
        let max_bytes = self.log_share(jid);
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        room.log.trim(Retention {
            max_bytes,
            ..retention(&self.config, now)
        });
        if let Some(keep) = room.log.take_excess() {
            self.trims.insert(jid.clone(), keep);
            self.unsaved.insert(jid.clone());
        }
        self.settle_memory(jid);
    }
}

/// How long a second copy of a message without our stamp is expected: so long mod_smacks keeps what was not acknowledged.
const COPY_MS: u64 = 600_000;
/// A message further ahead than this has no claim to be kept longer than others.
const DAY_MS: u64 = 86_400_000;

/// What a live event of this home may say of itself.
pub(super) fn check_stamp(event: &EventStamp, home: &BareJid) -> Result<(), Error> {
    if event.incarnation == UNSTAMPED || event.seq == 0 {
        return Err(refuse(Condition::BadRequest, "Events are numbered from 1"));
    }
    if event.origin.as_ref().is_some_and(|origin| origin != home) {
        return Err(refuse(
            Condition::Forbidden,
            "A peer speaks only for occupants whose home it is",
        ));
    }
    Ok(())
}

fn key_of(event: &EventStamp, home: &BareJid) -> EventKey {
    EventKey {
        at: event.at,
        origin: home.clone(),
        incarnation: event.incarnation,
        seq: event.seq,
    }
}

/// How many bytes on the wire are of its sender's making: its children, and the `id`.
fn size_of(payload: &str, message_id: Option<&str>) -> usize {
    payload.len() + message_id.map_or(0, |id| escaped(id).len())
}

fn retention(config: &Config, now: Now) -> Retention {
    Retention {
        latest_wall_ms: now.wall_ms.saturating_add(DAY_MS),
        oldest_wall_ms: now.wall_ms.saturating_sub(config.log_max_age_ms),
        max_messages: config.log_max_messages,
        max_bytes: config.log_max_bytes,
    }
}

/// A language as it is kept: an over-long one counts for none (G13).
pub(super) fn of_lang(lang: Option<&str>) -> Option<Box<str>> {
    let lang = lang.filter(|lang| !lang.is_empty() && lang.len() <= limits::MAX_LANG_BYTES);
    lang.map(Box::from)
}
