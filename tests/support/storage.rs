//! What a modelled service has on disk: each room with its settings, the stored log, the archive. A process that is
//! killed loses nothing of what it wrote; a machine that loses power loses what was not flushed yet. A dead host's
//! memory goes on as a zombie until the end of the call, and none of what it does then counts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dmuc::address::BareJid;
use dmuc::engine::{Entry, Ruled};
use dmuc::snapshot::ListPart;
use dmuc::wire::{Affiliation, EventStamp, Hatted};
use dmuc::{Config, Engine, Input, Snapshot};

use super::event::{Cause, Event, Turn};
use super::host::Host;
use super::outputs;
use super::room::{Archived, HostRoom, Listed};

/// An entry of the stored log (store `dmuc_log`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    pub nick: String,
    pub message_id: Option<String>,
    pub lang: Option<Box<str>>,
    pub occupant_id: Option<String>,
    /// With its origin.
    pub event: EventStamp,
    pub payload: Arc<str>,
}

/// Everything that a process leaves behind.
#[derive(Debug, Clone, Default)]
pub struct Remains {
    /// Without occupants.
    rooms: BTreeMap<BareJid, HostRoom>,
    stored: BTreeMap<BareJid, String>,
    places: BTreeMap<BareJid, Option<String>>,
    logs: BTreeMap<BareJid, Vec<Arc<LogEntry>>>,
}

/// What would survive a loss of power.
#[derive(Debug, Default)]
pub struct Disk {
    /// Rooms without occupants and archive, and what the engine wants stored with them.
    rooms: BTreeMap<BareJid, (HostRoom, Option<String>)>,
    places: BTreeMap<BareJid, Option<String>>,
    logs: BTreeMap<BareJid, Vec<Arc<LogEntry>>>,
    /// How much of each archive.
    archived: BTreeMap<BareJid, usize>,
}

impl LogEntry {
    /// A message with the place that the engine has given it; `home` is its origin unless that is said.
    pub fn new(home: &BareJid, message: &Archived, event: EventStamp) -> LogEntry {
        LogEntry {
            nick: message.nick.clone(),
            message_id: message.message_id.clone(),
            lang: None,
            occupant_id: message.occupant_id.clone(),
            event: EventStamp {
                origin: event.origin.or_else(|| Some(home.clone())),
                ..event
            },
            payload: message.payload.as_str().into(),
        }
    }

    pub fn of(entry: &Entry) -> LogEntry {
        LogEntry {
            nick: entry.nick.clone(),
            message_id: entry.message_id.clone(),
            lang: entry.lang.clone(),
            occupant_id: entry.occupant_id.clone(),
            event: EventStamp {
                id: entry.id.clone(),
                origin: Some(entry.key.origin.clone()),
                incarnation: entry.key.incarnation,
                seq: entry.key.seq,
                at: entry.key.at,
                roster: None,
            },
            payload: entry.payload.clone(),
        }
    }

    pub fn archived(&self) -> Archived {
        Archived {
            stanza_id: self.event.id.clone(),
            nick: self.nick.clone(),
            message_id: self.message_id.clone(),
            occupant_id: self.occupant_id.clone(),
            payload: self.payload.to_string(),
            wall_ms: self.event.at.wall_ms,
        }
    }
}

fn without_memory(room: &HostRoom) -> HostRoom {
    HostRoom {
        occupants: BTreeMap::new(),
        archive: Vec::new(),
        ..room.clone()
    }
}

impl Host {
    /// One more thing is done; the fuse of a host that is about to die burns down.
    pub(super) fn tick(&mut self) {
        let Some(left) = self.fuse else { return };
        if left > 0 {
            self.fuse = Some(left - 1);
        } else if self.at_death.is_none() {
            self.at_death = Some(Box::new((self.remains(), self.events.len(), self.outbox.len())));
        }
    }

    pub fn is_dead(&self) -> bool {
        self.at_death.is_some()
    }

    fn remains(&self) -> Remains {
        let bare = |(jid, room): (&BareJid, &HostRoom)| {
            let occupants = BTreeMap::new();
            (
                jid.clone(),
                HostRoom {
                    occupants,
                    ..room.clone()
                },
            )
        };
        Remains {
            rooms: self.rooms.iter().map(bare).collect(),
            stored: self.stored.clone(),
            places: self.places.clone(),
            logs: self.logs.clone(),
        }
    }

    /// Appends to the stored log.
    pub(super) fn log(&mut self, room: &BareJid, entry: LogEntry) {
        self.tick();
        if !self.log_waits(room, &entry) {
            self.append_log(room, entry);
        }
    }

    pub(super) fn append_log(&mut self, room: &BareJid, entry: LogEntry) {
        // What a parked room has is read when it goes on.
        if self.engine.parked_room(room).is_none() {
            self.event(Event::Kept {
                room: room.clone(),
                id: entry.event.id.clone(),
                payload: entry.payload.to_string(),
            });
        }
        let id = entry.event.id.clone();
        self.logs.entry(room.clone()).or_default().push(Arc::new(entry));
        if self.reading.forgets && !self.is_dead() {
            self.tell(Input::MessageStored { room, id: &id });
        }
    }

    /// Appends to the archive; under an id that it has it keeps the one it has.
    pub(super) fn keep(&mut self, room: &BareJid, message: Archived) {
        self.tick();
        let has_it = |archived: &Archived| archived.stanza_id == message.stanza_id;
        let Some(host_room) = self.rooms.get(room) else {
            return;
        };
        if host_room.archive.iter().rev().any(has_it) || self.archive_waits(room, &message) {
            return;
        }
        if let Some(host_room) = self.rooms.get_mut(room) {
            host_room.archive.push(message);
        }
    }

    /// What is archived under this id gets another payload; nothing if there is none.
    pub(super) fn rewrite_archived(&mut self, room: &BareJid, id: &str, payload: Option<String>) {
        if let Some(payload) = &payload {
            self.rewrite_unstored(room, id, payload, false);
        }
        let archive = self.rooms.get_mut(room).map(|room| &mut room.archive);
        let archived = archive.and_then(|archive| archive.iter_mut().find(|message| message.stanza_id == id));
        if let Some((archived, payload)) = archived.zip(payload) {
            archived.payload = payload;
        }
    }

    /// The stored log keeps only that there was a message with this id.
    pub(super) fn forget_logged(&mut self, room: &BareJid, id: &str) {
        self.rewrite_unstored(room, id, "", true);
        let log = self.logs.get_mut(room);
        if let Some(entry) = log.and_then(|log| log.iter_mut().find(|entry| entry.event.id == id)) {
            Arc::make_mut(entry).payload = "".into();
        }
    }

    /// The payload that the stored log has under this id.
    pub fn stored_payload(&self, room: &BareJid, id: &str) -> Option<String> {
        let entry = self.logs.get(room)?.iter().find(|entry| entry.event.id == id)?;
        Some(entry.payload.to_string())
    }

    pub(super) fn store(&mut self, room: &BareJid) {
        self.tick();
        if self.is_store_away {
            self.has_missed_store = true;
            return;
        }
        // What is beside a room is behind its line, as the host has it.
        let had = self.stored.get(room).and_then(|stored| stored.split_once('\n'));
        let had = had.map(|(_, list)| list.to_owned());
        match self
            .engine
            .snapshot_in_parts(room, had.is_none(), self.most_within)
        {
            Some((snapshot, list)) => {
                let stored = snapshot.to_xml();
                let had = had.unwrap_or_default();
                let stored = match list {
                    ListPart::Within => stored,
                    ListPart::Whole(list) => format!("{stored}\n{list}"),
                    ListPart::Changes(list) => format!("{stored}\n{had}{list}"),
                    ListPart::Unchanged => format!("{stored}\n{had}"),
                };
                outputs::note(outputs::Kind::Snapshot, || stored.clone());
                self.stored.insert(room.clone(), stored);
                let place = self.place_of(room);
                self.places.insert(room.clone(), place);
            }
            None => {
                self.stored.remove(room);
                self.places.remove(room);
            }
        }
        // A room that has ended is remembered as long as somebody has to be told, without its messages.
        let is_held = self.engine.room_info(room).is_some() || self.engine.parked_room(room).is_some();
        if !is_held {
            self.forget_unstored(room);
        }
        if !is_held && self.logs.remove(room).is_some() {
            self.event(Event::Forgotten { room: room.clone() });
        }
    }

    /// The store answers again: what was to be stored meanwhile is.
    pub fn store_is_back(&mut self) {
        if std::mem::take(&mut self.is_store_away) {
            let rooms: BTreeSet<BareJid> = self.engine.rooms().chain(self.stored.keys()).cloned().collect();
            for room in rooms {
                self.store(&room);
            }
        }
    }

    pub(super) fn trim_log(&mut self, room: &BareJid, keep: usize) {
        self.tick();
        // What must be remembered of the entries is on disk before they go.
        self.flush_settings(room);
        if let Some(log) = self.logs.get_mut(room) {
            log.drain(..log.len().saturating_sub(keep));
        }
        self.flush_log(room);
    }

    /// Now and then what was written reaches the disk.
    pub(super) fn flush_some(&mut self) {
        if self.is_dead() || !self.dice.chance(15) {
            return;
        }
        let rooms: Vec<BareJid> = self.rooms.keys().cloned().collect();
        let Some(room) = self.dice.pick(&rooms).cloned() else {
            return;
        };
        match self.dice.below(4) {
            0 => self.flush_settings(&room),
            1 => self.flush_log(&room),
            2 => self.flush_archive(&room),
            _ => self.flush(),
        }
    }

    pub fn flush(&mut self) {
        self.disk = Disk::default();
        for room in self.rooms.keys().cloned().collect::<Vec<_>>() {
            self.flush_settings(&room);
            self.flush_archive(&room);
        }
    }

    fn flush_settings(&mut self, room: &BareJid) {
        match self.rooms.get(room) {
            Some(host_room) => {
                let stored = self.stored.get(room).cloned();
                let place = self.places.get(room).cloned().flatten();
                self.disk.places.insert(room.clone(), place);
                self.disk
                    .rooms
                    .insert(room.clone(), (without_memory(host_room), stored));
            }
            None => drop(self.disk.rooms.remove(room)),
        }
    }

    fn flush_log(&mut self, room: &BareJid) {
        let log = self.logs.get(room).cloned().unwrap_or_default();
        self.disk.logs.insert(room.clone(), log);
    }

    /// What is in the archive is in the log: they are written in this order.
    fn flush_archive(&mut self, room: &BareJid) {
        self.flush_log(room);
        let length = self.rooms.get(room).map_or(0, |room| room.archive.len());
        self.disk.archived.insert(room.clone(), length);
    }

    /// The process ends in good order.
    pub fn stop(&mut self) {
        self.flush();
        self.everybody_is_gone();
        self.go_down();
    }

    /// The process is killed, or the machine loses power and with it what was not flushed.
    pub fn crash(&mut self, lose_tail: bool) {
        if let Some(death) = self.at_death.take() {
            let (remains, events, stanzas) = *death;
            self.events.truncate(events);
            self.outbox.truncate(stanzas);
            self.take_up(remains);
        }
        // Also from rooms that are lost with the power.
        self.everybody_is_gone();
        if lose_tail {
            self.lose_tail();
        }
        self.go_down();
    }

    fn lose_tail(&mut self) {
        let disk = std::mem::take(&mut self.disk);
        let mut archives: BTreeMap<BareJid, Vec<Archived>> = BTreeMap::new();
        for (jid, room) in std::mem::take(&mut self.rooms) {
            archives.insert(jid, room.archive);
        }
        self.stored.clear();
        for (jid, (mut room, stored)) in disk.rooms {
            room.archive = archives.remove(&jid).unwrap_or_default();
            room.archive
                .truncate(disk.archived.get(&jid).copied().unwrap_or(0));
            self.rooms.insert(jid.clone(), room);
            if let Some(stored) = stored {
                self.stored.insert(jid, stored);
            }
        }
        (self.logs, self.places) = (disk.logs, disk.places);
        self.logs.retain(|jid, _| self.stored.contains_key(jid));
        self.flush();
    }

    fn take_up(&mut self, remains: Remains) {
        (self.rooms, self.stored, self.logs) = (remains.rooms, remains.stored, remains.logs);
        self.places = remains.places;
    }

    fn go_down(&mut self) {
        (self.is_down, self.fuse) = (true, None);
        // What was to be stored is lost.
        self.loses_tail |= std::mem::take(&mut self.is_store_away) || !self.unstored.is_empty();
        self.unstored.clear();
        self.are_messages_away = false;
        self.slow.clear();
        self.reading.forget();
        self.private.clear();
        self.presence_payload = None;
        // Nobody is to mistake the dead engine for one that runs.
        self.engine = Engine::new(self.engine.config().clone(), [0; 32]);
    }

    fn everybody_is_gone(&mut self) {
        for room in self.rooms.values_mut() {
            for (nick, occupant) in std::mem::take(&mut room.occupants) {
                if let Some(local) = occupant.local {
                    self.events.push(Event::Left {
                        room: room.jid.clone(),
                        nick,
                        session: local.session,
                        cause: Cause::Down,
                    });
                }
            }
            let (room, turn) = (room.jid.clone(), Turn::Down);
            self.events.push(Event::Turned { room, turn });
        }
        // A room that was just about to be forgotten, or that has ended while something private was on its way from it.
        let private = self.private.values().map(|whisper| &whisper.room);
        let ended: BTreeSet<&BareJid> = self.logs.keys().chain(private).collect();
        for room in ended.into_iter().filter(|room| !self.rooms.contains_key(*room)) {
            let (room, turn) = (room.clone(), Turn::Down);
            self.events.push(Event::Turned { room, turn });
        }
    }

    /// The process starts: what was stored comes back.
    pub fn start(&mut self, seed: [u8; 32]) {
        self.begin(seed);
        self.read_stored();
    }

    /// The process starts anew, and cannot read what was stored: not even which rooms there are, or only not the rooms.
    pub fn restart_unread(&mut self, seed: [u8; 32], knows_list: bool) {
        self.stop();
        self.begin(seed);
        let rooms: Vec<BareJid> = self.stored.keys().cloned().collect();
        let is_unread = true;
        if !knows_list {
            self.tell(Input::Unread {
                room: None,
                is_unread,
            });
        }
        for room in rooms.iter().filter(|_| knows_list) {
            let room = Some(room);
            self.tell(Input::Unread { room, is_unread });
        }
        self.drain();
    }

    /// What was stored can be read again.
    pub fn read(&mut self) {
        let is_unread = false;
        self.tell(Input::Unread {
            room: None,
            is_unread,
        });
        self.read_stored();
    }

    fn begin(&mut self, seed: [u8; 32]) {
        self.is_down = false;
        self.engine = Engine::new(self.engine.config().clone(), seed);
        self.served.clear();
        for room in self.rooms.keys() {
            let (room, turn) = (room.clone(), Turn::Restarted);
            self.events.push(Event::Turned { room, turn });
        }
    }

    fn read_stored(&mut self) {
        for (room, xml) in self.stored.clone() {
            let snapshot = match xml.split_once('\n') {
                Some((snapshot, list)) => Snapshot::parse_in_parts(snapshot, list),
                None => Snapshot::parse(&xml),
            };
            let snapshot = snapshot.unwrap_or_else(|error| panic!("{error}: {xml}"));
            self.engine
                .restore(self.now, &snapshot)
                .unwrap_or_else(|error| panic!("{error}"));
            if let Some(info) = self.engine.room_info(&room) {
                // A crash came before the shadow was stored, or after it was removed: it is made anew.
                if info.is_ready && !info.is_source && !self.rooms.contains_key(&room) {
                    let mut made = HostRoom::new(room.clone());
                    (made.source, made.is_distributed) = (info.source, true);
                    self.rooms.insert(room.clone(), made);
                }
                if let Some(host_room) = self.rooms.get_mut(&room).filter(|room| room.is_parked) {
                    (host_room.is_distributed, host_room.is_parked) = (true, false);
                }
                self.feed_stored(&room);
            }
        }
        self.miss_unstored();
        self.drain();
    }

    /// What a room says of itself counts for nothing if nothing is stored of its being distributed: the store was away from
    /// then until the process died.
    fn miss_unstored(&mut self) {
        let is_known =
            |room: &BareJid| self.stored.contains_key(room) || self.engine.room_info(room).is_some();
        let is_unstored = |room: &HostRoom| room.is_distributed && !room.is_shadow() && !is_known(&room.jid);
        let unstored: Vec<BareJid> = self
            .rooms
            .values()
            .filter(|room| is_unstored(room))
            .map(|room| room.jid.clone())
            .collect();
        for room in unstored {
            assert!(
                self.has_missed_store,
                "{room} was distributed, and nothing is stored of it"
            );
            if let Some(host_room) = self.rooms.get_mut(&room) {
                host_room.is_distributed = false;
            }
            let turn = Turn::Undistributed;
            self.event(Event::Turned { room, turn });
        }
    }

    /// A shadow has just been made here. If it was one before, and nothing of its state could be stored, what was said here
    /// could; otherwise what is left of an earlier room of this name is none of its business.
    pub(super) fn make_up(&mut self, room: &BareJid) {
        if self.rooms.get(room).is_some_and(HostRoom::is_shadow) {
            self.feed_log(room, 0);
        } else {
            self.logs.remove(room);
            self.forget_unstored(room);
        }
    }

    /// All of it, but for so many entries at the beginning, which are read later.
    fn feed_log(&mut self, room: &BareJid, left: usize) {
        let log = self.logs.get(room).cloned().unwrap_or_default();
        for (at, entry) in log.into_iter().enumerate() {
            self.event(Event::Kept {
                room: room.clone(),
                id: entry.event.id.clone(),
                payload: entry.payload.to_string(),
            });
            if at >= left {
                self.tell_logged(room, &entry, true);
            }
            // The archive lacks what was logged in the last moment.
            self.keep(room, entry.archived());
        }
        for entry in self.waiting_entries(room) {
            self.event(Event::Waits {
                room: room.clone(),
                id: entry.event.id.clone(),
                payload: entry.payload.to_string(),
            });
            self.tell_logged(room, &entry, false);
        }
    }

    pub(super) fn tell_logged(&mut self, room: &BareJid, entry: &LogEntry, is_stored: bool) {
        self.tell(Input::Logged {
            room,
            nick: &entry.nick,
            message_id: entry.message_id.as_deref(),
            lang: entry.lang.as_deref(),
            occupant_id: entry.occupant_id.as_deref(),
            event: entry.event.clone(),
            payload: &entry.payload,
            is_stored: is_stored && self.reading.forgets,
        });
    }

    /// What the engine is told of a room between its snapshot and its start.
    pub(super) fn feed_stored(&mut self, room: &BareJid) {
        let left = self.may_be_left(room);
        self.feed_log(room, left);
        // Who was out of reach when the process ended is still listed.
        for occupant in self.engine.remote_occupants(room) {
            self.show_occupant(occupant);
        }
        self.tell_settings(room);
        self.take_list(room);
        let is_whole = left == 0;
        self.tell(Input::Started { room, is_whole });
        if !is_whole {
            self.leave_unread(room, left);
        }
    }

    /// A shadow's list is what the engine has of it: what was done to it in the last moment before a crash is nobody's wish
    /// any more.
    fn take_list(&mut self, room: &BareJid) {
        let Some(host_room) = self.rooms.get(room).filter(|room| room.is_shadow()).cloned() else {
            return;
        };
        let none = Listed {
            affiliation: Affiliation::None,
            nick: None,
        };
        let held = self.engine.affiliations(room);
        let mut all: BTreeMap<BareJid, Listed> = host_room
            .affiliations
            .keys()
            .map(|user| (user.clone(), none.clone()))
            .collect();
        all.extend(held.into_iter().map(|(user, entry)| {
            let (affiliation, nick) = (entry.affiliation, entry.nick);
            (user.clone(), Listed { affiliation, nick })
        }));
        for (user, entry) in all {
            if host_room.affiliations.get(&user).unwrap_or(&none) != &entry {
                self.set_affiliation(room, &user, &entry, None, None);
            }
        }
    }

    /// A source tells what its room says, in case the engine had not heard yet.
    fn tell_settings(&mut self, room: &BareJid) {
        let Some(host_room) = self.rooms.get(room).filter(|room| !room.is_shadow()).cloned() else {
            return;
        };
        let ruled = Ruled::by_the_room(room, host_room.form.clone());
        self.tell(Input::Ruled(ruled));
        for (user, entry) in &host_room.affiliations {
            self.tell_affiliation(room, user, entry, None, (None, None));
        }
        // Whom the room has dropped from its list while the engine could not be told.
        let none = Listed {
            affiliation: Affiliation::None,
            nick: None,
        };
        let held = self.engine.affiliations(room);
        let held: Vec<BareJid> = held.into_iter().map(|(user, _)| user.clone()).collect();
        for user in held {
            if !host_room.affiliations.contains_key(&user) {
                self.tell_affiliation(room, &user, &none, None, (None, None));
            }
        }
        for (user, hats) in &host_room.hats {
            let (jid, hats) = (user.clone(), hats.clone());
            let ruled = Ruled::by_the_room(room, Hatted { jid, hats });
            self.tell(Input::Ruled(ruled));
        }
        let (nick, text) = host_room.subject.unwrap_or_default();
        self.tell_subject(room, nick.as_deref(), None, &text);
    }

    /// Another configuration comes into force, by a reload.
    pub fn configure_service(&mut self, config: Config) {
        self.engine.set_config(self.now, config);
    }

    pub fn backup(&mut self) {
        self.backup = Some(Box::new(self.remains()));
    }

    /// Puts the backup in place of what is stored, while the service is down. What has become distributed since, or
    /// ended, stays as it is: that is decided with people, not by a backup. False if there is none.
    pub fn restore_backup(&mut self) -> bool {
        assert!(self.is_down, "{} runs", self.service);
        let Some(backup) = self.backup.clone() else {
            return false;
        };
        let current = self.remains();
        self.take_up(*backup);
        let kind = |room: &HostRoom| (room.source.is_none(), room.is_distributed);
        let all: BTreeSet<BareJid> = self.rooms.keys().chain(current.rooms.keys()).cloned().collect();
        for jid in all {
            let (old, new) = (self.rooms.get(&jid).map(kind), current.rooms.get(&jid).map(kind));
            let is_source = |kind: Option<(bool, bool)>| kind.is_some_and(|(is_ours, _)| is_ours);
            if old != new && (is_source(old) || is_source(new)) {
                self.put_back(&jid, &current);
            }
        }
        self.flush();
        true
    }

    fn put_back(&mut self, jid: &BareJid, from: &Remains) {
        self.rooms.remove(jid);
        self.stored.remove(jid);
        self.logs.remove(jid);
        if let Some(room) = from.rooms.get(jid) {
            self.rooms.insert(jid.clone(), room.clone());
        }
        self.places.remove(jid);
        if let Some(stored) = from.stored.get(jid) {
            let place = from.places.get(jid).cloned().flatten();
            self.places.insert(jid.clone(), place);
            self.stored.insert(jid.clone(), stored.clone());
        }
        if let Some(log) = from.logs.get(jid) {
            self.logs.insert(jid.clone(), log.clone());
        }
    }
}
