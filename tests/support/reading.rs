//! The stored log after a restart: read at once, or, by a lazy service, bit by bit while the room goes on already
//! ([`Input::LogRead`]).

use std::collections::{BTreeMap, BTreeSet};

use dmuc::Input;
use dmuc::address::BareJid;

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
    /// Nothing is read just now.
    pub is_held: bool,
    dice: Dice,
    /// How many entries of each room's stored log, from its beginning.
    left: BTreeMap<BareJid, usize>,
    /// Somebody waits for these.
    urgent: BTreeSet<BareJid>,
}

impl Reading {
    pub fn new(seed: u64) -> Reading {
        Reading {
            pace: Pace::AtOnce,
            is_held: false,
            dice: Dice::new(!seed),
            left: BTreeMap::new(),
            urgent: BTreeSet::new(),
        }
    }

    pub(super) fn forget(&mut self) {
        self.left.clear();
        self.urgent.clear();
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
            self.tell_logged(room, entry);
        }
        if from == 0 {
            self.reading.left.remove(room);
            self.reading.urgent.remove(room);
            if is_here {
                self.tell(Input::LogRead { room });
            }
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
        if self.is_dead() || self.is_down || self.reading.is_held || self.reading.left.is_empty() {
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
