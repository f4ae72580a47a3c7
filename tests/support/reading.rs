//! The stored log after a restart: read at once, or, by a lazy service, bit by bit while the room goes on already
//! ([`Input::LogRead`]).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use dmuc::Input;
use dmuc::address::BareJid;
use dmuc::engine::{Entry, Held};

use super::dice::Dice;
use super::host::{HISTORY, Host};

/// How a service reads its stored logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Before a room goes on.
    AtOnce,
    /// Sometimes before, sometimes bit by bit.
    Mixed,
    /// As little as it may, and nothing more until [`Host::read_log`] or somebody waits for it.
    WhenAsked,
}

/// What a service has not read yet.
#[derive(Debug)]
pub struct Reading {
    pub pace: Pace,
    /// The engine is told what is stored, and has it read again when it needs it.
    pub forgets: bool,
    /// Nothing is read just now.
    pub is_held: bool,
    dice: Dice,
    /// How many entries of each room's stored log, from its beginning.
    left: BTreeMap<BareJid, usize>,
    /// Somebody waits for these.
    urgent: BTreeSet<BareJid>,
    /// Messages that the engine needs: of which room, the token, and which.
    wanted: VecDeque<(BareJid, u64, Vec<String>)>,
    /// How many were asked for since the host was made.
    pub asked_for: usize,
}

impl Reading {
    pub fn new(seed: u64) -> Reading {
        Reading {
            pace: Pace::AtOnce,
            forgets: false,
            is_held: false,
            dice: Dice::new(!seed),
            left: BTreeMap::new(),
            urgent: BTreeSet::new(),
            wanted: VecDeque::new(),
            asked_for: 0,
        }
    }

    pub(super) fn forget(&mut self) {
        self.left.clear();
        self.urgent.clear();
        self.wanted.clear();
    }

    pub(super) fn want(&mut self, room: BareJid, token: u64, ids: Vec<String>) {
        self.asked_for += ids.len();
        self.wanted.push_back((room, token, ids));
    }

    pub(super) fn ask_for(&mut self, room: &BareJid) {
        self.urgent.insert(room.clone());
    }
}

impl Host {
    /// What the engine knows of a room is stored as it is now.
    pub fn store_now(&mut self, room: &BareJid) {
        self.store(room);
    }

    /// The entry that was appended last when the snapshot was stored.
    pub(super) fn place_of(&self, room: &BareJid) -> Option<String> {
        let waiting = self.waiting_entries(room).pop();
        let last = self.logs.get(room).and_then(|log| log.last());
        waiting
            .or_else(|| last.map(|entry| (**entry).clone()))
            .map(|entry| entry.event.id)
    }

    /// How many entries need not be read before the room goes on: no more than the snapshot knows of, and none if one of
    /// those is not there.
    pub(super) fn may_be_left(&mut self, room: &BareJid) -> usize {
        let spare = match self.reading.pace {
            Pace::AtOnce => return 0,
            Pace::Mixed if self.reading.dice.chance(30) => return 0,
            Pace::Mixed => self.reading.dice.below(5),
            Pace::WhenAsked => 0,
        };
        let place = self.places.get(room).cloned().flatten();
        let known = self.logs.get(room).zip(place).and_then(|(log, place)| {
            let is_it = |entry: &std::sync::Arc<super::storage::LogEntry>| entry.event.id == place;
            log.iter().rposition(is_it)
        });
        let known = known.map_or(0, |at| at as u64 + 1);
        known.saturating_sub(spare) as usize
    }

    /// These entries are read later.
    pub(super) fn leave_unread(&mut self, room: &BareJid, count: usize) {
        self.reading.left.insert(room.clone(), count);
    }

    /// Reads so many of the newest that have not been read.
    fn read_newest(&mut self, room: &BareJid, count: usize) {
        let Some(left) = self.reading.left.get_mut(room) else {
            return;
        };
        let until = *left;
        *left = until.saturating_sub(count);
        let from = *left;
        let log = self.logs.get(room).cloned().unwrap_or_default();
        let is_here = self.engine.room_info(room).is_some();
        for entry in log
            .get(from..until)
            .unwrap_or_default()
            .iter()
            .filter(|_| is_here)
        {
            self.tell_logged(room, entry, true);
        }
        if from == 0 {
            self.reading.left.remove(room);
            self.reading.urgent.remove(room);
            if is_here {
                self.tell(Input::LogRead { room });
            }
        }
    }

    /// Hands in what the engine needs again. Returns whether it needed any.
    fn read_wanted(&mut self) -> bool {
        let Some((room, token, ids)) = self.reading.wanted.pop_front() else {
            return false;
        };
        // Now and then a storage is away for a moment.
        let fails = self.reading.pace == Pace::Mixed && self.reading.dice.chance(5);
        let is_read = !self.is_store_away && !fails;
        if is_read && self.engine.room_info(&room).is_some() {
            let log = self.logs.get(&room).cloned().unwrap_or_default();
            for entry in log.iter().filter(|entry| ids.contains(&entry.event.id)) {
                self.tell_logged(&room, entry, true);
            }
        }
        self.tell(Input::MessagesRead { token, is_read });
        true
    }

    /// The messages of a room as the engine has them, in memory or not.
    pub fn messages(&self, room: &BareJid) -> Vec<Entry> {
        self.engine
            .log(room)
            .map(|held| self.read_again(room, &held))
            .collect()
    }

    /// One of them.
    pub fn message(&self, room: &BareJid, id: &str) -> Option<Entry> {
        self.engine
            .held(room, id)
            .map(|held| self.read_again(room, &held))
    }

    pub(super) fn read_again(&self, room: &BareJid, held: &Held<'_>) -> Entry {
        let id = held.id();
        let (key, is_gone) = match held {
            Held::Whole(entry) => return (*entry).clone(),
            Held::Away { key, is_gone, .. } => ((*key).clone(), *is_gone),
        };
        assert!(
            self.reading.forgets,
            "{room} has forgotten {id}, which nobody has said to be stored"
        );
        let mut stored = self.logs.get(room).into_iter().flatten().rev();
        let stored = stored
            .find(|entry| entry.event.id == id)
            .unwrap_or_else(|| panic!("{room} has forgotten {id}, and it is not stored"));
        Entry {
            key,
            id: id.into_owned(),
            nick: stored.nick.clone(),
            message_id: stored.message_id.clone(),
            lang: stored.lang.clone(),
            occupant_id: stored.occupant_id.clone(),
            payload: if is_gone {
                "".into()
            } else {
                stored.payload.clone()
            },
            received_ms: 0,
        }
    }

    /// All of it.
    pub fn read_log(&mut self, room: &BareJid) {
        self.read_newest(room, usize::MAX);
    }

    /// All of everything. Returns whether something had not been read.
    pub fn read_logs(&mut self) -> bool {
        let rooms: Vec<BareJid> = self.reading.left.keys().cloned().collect();
        for room in &rooms {
            self.read_log(room);
        }
        self.drain();
        !rooms.is_empty()
    }

    /// As much as somebody who joins gets.
    pub(super) fn read_history(&mut self, room: &BareJid) {
        while self.reading.left.contains_key(room) && self.shown_of(room).count() < 2 * HISTORY {
            self.read_newest(room, 8);
        }
    }

    /// Now and then some more. Returns whether there was any to read.
    pub(super) fn read_some(&mut self) -> bool {
        if self.is_dead() || self.is_down || self.reading.is_held {
            return false;
        }
        if self.read_wanted() {
            return true;
        }
        if self.reading.left.is_empty() {
            return false;
        }
        let urgent = self
            .reading
            .urgent
            .iter()
            .find(|room| self.reading.left.contains_key(*room));
        let room = match urgent.cloned() {
            Some(room) => room,
            None if self.reading.pace != Pace::Mixed || self.reading.dice.chance(95) => return false,
            None => {
                let rooms: Vec<BareJid> = self.reading.left.keys().cloned().collect();
                let Some(room) = self.reading.dice.pick(&rooms) else {
                    return false;
                };
                room.clone()
            }
        };
        let count = self.reading.dice.between(1, 12) as usize;
        self.read_newest(&room, count);
        true
    }
}
