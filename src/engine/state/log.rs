//! The log of a room's messages: grow-only, merged by union, ordered by (hybrid logical clock, origin).

mod awaited;
mod contents;
mod pages;
mod rulings;
mod slots;
mod withheld;

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::admitted::Admitted;
use crate::address::BareJid;
pub(crate) use pages::{HistoryLimits, Page};
pub use slots::Held;
pub(crate) use slots::said;
use slots::{Slot, Slots};

use crate::wire::limits::MAX_INSTANCES;
use crate::wire::{EventNumber, EventStamp, Hlc, Moderation, Numbers, SeenNumbers, SyncEvent, escaped};

/// What names an event in the whole federation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventKey {
    /// When it happened, for ordering: as its origin said, so that the order is the same everywhere (G6).
    pub at: Hlc,
    /// The instance whose occupant sent it.
    pub origin: BareJid,
    /// The origin's incarnation.
    pub incarnation: u64,
    /// Its number within (origin, incarnation), from 1, without holes.
    pub seq: u64,
}

impl EventKey {
    /// The stanza-id of what is numbered so, unless the source has another one from before the room was distributed.
    pub(crate) fn stanza_id(&self) -> String {
        crate::ids::numbered_stanza_id(&self.origin, self.incarnation, self.seq, self.at)
    }
}

/// One message as every instance holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Origin, number and time.
    pub key: EventKey,
    /// The stanza-id (XEP-0359), the same on every instance (G5).
    pub id: String,
    /// The nick of who sent it; empty for the room itself, which says only that a message is moderated.
    pub nick: String,
    /// The `id` attribute of the message.
    pub message_id: Option<String>,
    /// Its `xml:lang`.
    pub lang: Option<Box<str>>,
    /// The occupant-id (XEP-0421) of who sent it.
    pub occupant_id: Option<String>,
    /// The message's children as XML in the context of `jabber:client`: opaque. Empty for a message that is moderated; a
    /// [`Moderation`] if it is of the room itself.
    pub payload: Arc<str>,
    /// When it came here (monotonic ms); 0 for one that was read back.
    pub received_ms: u64,
}

impl Entry {
    /// Its place in the log, as it is stored and sent.
    pub fn stamp(&self) -> EventStamp {
        EventStamp {
            id: self.id.clone(),
            origin: Some(self.key.origin.clone()),
            incarnation: self.key.incarnation,
            seq: self.key.seq,
            at: self.key.at,
            roster: None,
        }
    }

    /// What it takes away, if it is of the room itself.
    pub fn moderation(&self) -> Option<Moderation> {
        let is_rooms = self.nick.is_empty();
        is_rooms.then(|| Moderation::parse(&self.payload).ok()).flatten()
    }

    /// Whether nothing of it is left.
    pub(crate) fn is_gone(&self) -> bool {
        self.payload.is_empty()
    }

    /// What counts for how much is held.
    pub(crate) fn size(&self) -> usize {
        self.payload.len() + self.message_id.as_deref().map_or(0, str::len)
    }

    /// What its sender chose the length of, besides the payload, is on the wire: six bytes at most for each.
    fn attribute_bytes(&self) -> usize {
        let id = self.message_id.as_deref().unwrap_or_default();
        let lang = self.lang.as_deref().unwrap_or_default();
        escaped(&self.nick).len() + escaped(id).len() + escaped(lang).len()
    }

    fn as_event(&self) -> SyncEvent {
        SyncEvent {
            event: self.stamp(),
            nick: self.nick.clone(),
            message_id: self.message_id.clone(),
            lang: self.lang.as_deref().map(str::to_owned),
            occupant_id: self.occupant_id.clone(),
            payload: self.payload.to_string(),
        }
    }
}

/// Incarnation of messages without our stamp (from peers that speak only the XEP's text): numbered by each instance for
/// itself, known by their stanza-id alone, never synchronised.
pub(crate) const UNSTAMPED: u64 = 0;
/// How many messages stay whatever their age: what clients usually ask for when they join.
const KEPT_HOWEVER_OLD: usize = 100;
/// How many incarnations of one origin are remembered; what was missed of older ones is given up (G13).
const MAX_INCARNATIONS: usize = 64;
/// How many holes in the numbers of one incarnation are remembered; the lowest are given up first (G13).
const MAX_HOLES: usize = 32;

/// How many decisions that a message is moderated may wait for their message; the oldest are forgotten (G13).
const MAX_AHEAD: usize = 500;

/// What is known of one origin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Origin {
    lives: BTreeMap<u64, Numbers>,
    /// Incarnations before this one are done with.
    since: u64,
}

/// The messages of one room and what has been seen of every origin.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    entries: BTreeMap<EventKey, Slot>,
    /// What is in memory, by its stanza-id, and of the rest what has one that does not follow from its place.
    by_id: BTreeMap<String, EventKey>,
    /// What of that is in memory, and what may leave it.
    slots: Slots,
    /// Which event says that the message with this stanza-id is moderated. Such a message has no payload, now or when it
    /// comes; as many are remembered as there are such events (G13).
    moderations: BTreeMap<String, EventKey>,
    /// Those of messages that are not here: which message each is about.
    ahead: BTreeMap<EventKey, String>,
    seen: BTreeMap<BareJid, Origin>,
    /// The newest messages of each origin.
    newest: BTreeMap<BareJid, contents::Newest>,
    /// What has been seen and is left to the source ([`withheld`]).
    withheld: BTreeMap<(BareJid, u64), Numbers>,
    /// The numbers of what is held.
    held: awaited::Awaited,
    /// What is in the stored log and has not been read yet; nothing as soon as all of it has been ([`awaited`]).
    awaited: Option<awaited::Awaited>,
    /// Characters of payload held.
    bytes: usize,
    /// How many entries the host's stored log has.
    stored: usize,
}

/// What a log may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retention {
    /// Unix ms of the oldest message worth keeping.
    pub(crate) oldest_wall_ms: u64,
    /// Unix ms of the latest message that is believed.
    pub(crate) latest_wall_ms: u64,
    pub(crate) max_messages: usize,
    pub(crate) max_bytes: usize,
}

impl Log {
    /// Whether this event was taken before, or given up (G4).
    pub(crate) fn has_seen(&self, origin: &BareJid, incarnation: u64, seq: u64) -> bool {
        self.seen.get(origin).is_some_and(|origin| {
            incarnation != UNSTAMPED && incarnation < origin.since
                || origin
                    .lives
                    .get(&incarnation)
                    .is_some_and(|numbers| numbers.contains(seq))
        })
    }

    /// Whether it follows what was taken before without a hole (G4: each sender's messages in order).
    pub(crate) fn is_next(&self, origin: &BareJid, incarnation: u64, seq: u64) -> bool {
        seq == 1 || self.has_seen(origin, incarnation, seq - 1)
    }

    /// The next unused number of `origin` in `incarnation`.
    pub(crate) fn next_seq(&self, origin: &BareJid, incarnation: u64) -> u64 {
        let origin = self.seen.get(origin);
        let numbers = origin.and_then(|origin| origin.lives.get(&incarnation));
        numbers.and_then(Numbers::last).unwrap_or(0) + 1
    }

    /// The latest event of `origin`: its last incarnation that has any, and the number.
    pub(crate) fn latest(&self, origin: &BareJid) -> Option<(u64, u64)> {
        let lives = &self.seen.get(origin)?.lives;
        let stamped = |(incarnation, numbers): (&u64, &Numbers)| {
            Some((*incarnation, numbers.last()?)).filter(|(incarnation, _)| *incarnation != UNSTAMPED)
        };
        lives.iter().rev().find_map(stamped)
    }

    /// The latest event of every origin.
    pub(crate) fn latest_of_all(&self) -> BTreeMap<BareJid, (u64, u64)> {
        let origins = self.seen.keys();
        origins
            .filter_map(|origin| Some((origin.clone(), self.latest(origin)?)))
            .take(MAX_INSTANCES)
            .collect()
    }

    /// When `origin` said something last, if that is after this time.
    pub(crate) fn latest_after(&self, origin: &BareJid, at: Hlc) -> Option<Hlc> {
        let later = self.entries.keys().rev().take_while(|key| key.at > at);
        later
            .map(|key| (&key.origin, key.at))
            .find(|(of, _)| *of == origin)
            .map(|(_, at)| at)
    }

    /// How much is held, in bytes of payload.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there are events of as many origins as a room may have in its life (G13), and none of this one.
    pub(crate) fn is_one_too_many(&self, origin: &BareJid, max: usize) -> bool {
        self.seen.len() >= max && !self.knows(origin)
    }

    /// Whether nothing has ever been said here.
    pub(crate) fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Whether anything of this origin has ever been seen.
    pub(crate) fn knows(&self, origin: &BareJid) -> bool {
        self.seen.contains_key(origin)
    }

    /// Whether a message with this stanza-id is held.
    pub(crate) fn has_id(&self, id: &str) -> bool {
        self.key_of(id).is_some()
    }

    /// The message with this stanza-id, if it is in memory.
    pub(crate) fn get(&self, id: &str) -> Option<&Entry> {
        self.by_id.get(id).and_then(|key| self.at(key))
    }

    /// What is there, if it is in memory.
    fn at(&self, key: &EventKey) -> Option<&Entry> {
        self.entries.get(key).and_then(Slot::entry)
    }

    /// Adds an entry. Returns the stanza-id under which it is held, nothing for an event or a stanza-id that is known.
    pub(crate) fn insert(&mut self, admitted: Admitted) -> Option<String> {
        let mut entry = admitted.into_entry();
        let is_awaited = self.release_withheld(&entry.key);
        let key = &entry.key;
        if !is_awaited && self.has_seen(&key.origin, key.incarnation, key.seq) {
            return None;
        }
        self.mark(&key.origin.clone(), key.incarnation, &Numbers::single(key.seq));
        if self.has_same(&entry.id, &entry.key) {
            return None;
        }
        self.give_up_id(&entry);
        if self.has_id(&entry.id) {
            // Two origins gave one id: one of them lies, and neither may take the other's message away.
            entry.id = another_id(&entry.key.number(), &entry.id);
        }
        self.stored += 1;
        let id = entry.id.clone();
        self.hold(entry);
        Some(id)
    }

    /// Takes back an entry of the stored log: after a restart, or one whose words have left memory. Returns its place if it was
    /// not held.
    pub(crate) fn load(&mut self, admitted: Admitted) -> Option<EventKey> {
        let entry = admitted.into_entry();
        let key = &entry.key;
        if self.is_away_at(key) {
            self.take_back(entry);
            return None;
        }
        self.stored += 1;
        self.note_read(key);
        // The source may have told it since the snapshot was taken.
        self.release_withheld(key);
        self.mark(&key.origin.clone(), key.incarnation, &Numbers::single(key.seq));
        if self.entries.contains_key(key) {
            return None;
        }
        self.give_up_id(&entry);
        if self.has_id(&entry.id) {
            return None;
        }
        let key = key.clone();
        self.hold(entry);
        Some(key)
    }

    fn hold(&mut self, entry: Entry) {
        let mut entry = self.localized(entry);
        let moderation = entry.moderation();
        if moderation.is_none() && self.is_ruled_out(&entry) {
            entry.payload = Arc::from("");
        }
        if let Some((origin, _)) = self.seen.get_key_value(&entry.key.origin) {
            entry.key.origin = origin.clone();
        }
        let key = entry.key.clone();
        self.bytes += entry.size();
        self.note_held(&key, true);
        self.add_slot(entry);
        self.note_contents(&key);
        if let Some(moderation) = moderation {
            self.rule(&key, moderation);
        }
    }

    /// Counts these numbers as seen. Returns how many of them were not.
    pub(crate) fn mark(&mut self, origin: &BareJid, incarnation: u64, numbers: &Numbers) -> u64 {
        let known = self.seen.entry(origin.clone()).or_default();
        if numbers.ranges().is_empty() || incarnation != UNSTAMPED && incarnation < known.since {
            return 0;
        }
        let held = known.lives.entry(incarnation).or_default();
        let before = held.count();
        held.merge(numbers);
        let added = held.count() - before + held.limit(MAX_HOLES);
        while known.lives.len() > MAX_INCARNATIONS {
            let oldest = known
                .lives
                .keys()
                .copied()
                .find(|incarnation| *incarnation != UNSTAMPED);
            let Some(oldest) = oldest else { break };
            known.lives.remove(&oldest);
            known.since = known.since.max(oldest + 1);
        }
        added
    }

    /// Counts these numbers as seen, as they were stored: what is held comes back later, and closes the holes between them.
    pub(crate) fn recall(&mut self, origin: &BareJid, incarnation: u64, numbers: &Numbers) {
        if numbers.ranges().is_empty() {
            return;
        }
        let known = self.seen.entry(origin.clone()).or_default();
        known.lives.entry(incarnation).or_default().merge(numbers);
        while known.lives.len() > MAX_INCARNATIONS {
            known.lives.pop_first();
        }
    }

    /// How many of these numbers have not been seen.
    pub(crate) fn missing(&self, origin: &BareJid, incarnation: u64, numbers: &Numbers) -> u64 {
        let Some(known) = self.seen.get(origin) else {
            return numbers.count();
        };
        if incarnation < known.since {
            return 0;
        }
        let Some(held) = known.lives.get(&incarnation) else {
            return numbers.count();
        };
        let mut all = held.clone();
        all.merge(numbers);
        all.count() - held.count()
    }

    /// Drops what exceeds the retention limits, oldest first. What was seen stays known. A room in which little is
    /// said keeps a history, however old.
    pub(crate) fn trim(&mut self, limit: Retention) {
        // What claims to be of the far future goes first: it would outlast everything else.
        while self.entries.len() > limit.max_messages || self.bytes > limit.max_bytes {
            let last = self.entries.last_key_value();
            let future = last.filter(|(key, _)| key.at.wall_ms > limit.latest_wall_ms);
            let Some(key) = future.map(|(key, _)| key.clone()) else {
                break;
            };
            self.drop_entry(&key);
        }
        while let Some((key, _)) = self.entries.first_key_value() {
            let is_old = key.at.wall_ms < limit.oldest_wall_ms && self.entries.len() > KEPT_HOWEVER_OLD;
            if self.entries.len() <= limit.max_messages && self.bytes <= limit.max_bytes && !is_old {
                break;
            }
            self.drop_entry(&key.clone());
        }
    }

    fn drop_entry(&mut self, key: &EventKey) {
        if let Some(slot) = self.remove_slot(key) {
            self.note_held(key, false);
            self.ahead.remove(key);
            self.bytes -= slot.size();
            if let Some(moderation) = slot.entry().and_then(Entry::moderation)
                && self.moderations.get(&moderation.id) == Some(key)
            {
                self.moderations.remove(&moderation.id);
            }
        }
    }

    /// Whether the message is here under this id: what the same origin said, or, for what nobody has numbered, whatever has
    /// it. Somebody else's numbered message under the same id is another one.
    pub(crate) fn has_same(&self, id: &str, key: &EventKey) -> bool {
        self.key_of(id)
            .is_some_and(|known| known.origin == key.origin || key.incarnation == UNSTAMPED)
    }

    /// A message that nobody has numbered gives its id up to a numbered one of another origin: anybody could have put it
    /// there first, to keep the other out.
    fn give_up_id(&mut self, newcomer: &Entry) {
        let known = self.by_id.get(&newcomer.id).filter(|known| {
            let is_numbered = newcomer.key.incarnation != UNSTAMPED;
            is_numbered && known.incarnation == UNSTAMPED && known.origin != newcomer.key.origin
        });
        if let Some(known) = known.cloned() {
            // It is in memory, as all of them are.
            let id = another_id(&known.number(), &newcomer.id);
            self.by_id.remove(&newcomer.id);
            self.by_id.insert(id.clone(), known.clone());
            self.change(&known, |entry| entry.id = id);
        }
    }

    /// How many entries the stored log should be cut down to, if it has grown well beyond what is held. The answer counts
    /// as done.
    pub(crate) fn take_excess(&mut self) -> Option<usize> {
        let held = self.entries.len();
        if !self.is_whole() || self.stored <= held + held / 10 + KEPT_HOWEVER_OLD {
            return None;
        }
        // It goes in the order in which it was stored, which is not that of the log: what is held is not to go with the rest.
        self.stored = held + (self.stored - held) / 4;
        Some(self.stored)
    }

    /// How many messages are held.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Every message in memory, oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.values().filter_map(Slot::entry)
    }

    /// The place of the last message.
    pub(crate) fn last_key(&self) -> Option<&EventKey> {
        self.entries.last_key_value().map(|(key, _)| key)
    }

    /// How often something is here that says this ([`said`]).
    pub(crate) fn count_said(&self) -> BTreeMap<u64, usize> {
        let mut counts = BTreeMap::new();
        for slot in self.entries.values() {
            *counts.entry(slot.said()).or_insert(0) += 1;
        }
        counts
    }

    /// What has been seen of every origin that passes, with the lowest number still held if `is_answer`.
    pub(crate) fn vector(&self, passes: impl Fn(&BareJid) -> bool, is_answer: bool) -> Vec<SeenNumbers> {
        let mut first: BTreeMap<(&BareJid, u64), u64> = BTreeMap::new();
        for key in self.entries.keys().filter(|_| is_answer) {
            let lowest = first.entry((&key.origin, key.incarnation)).or_insert(key.seq);
            *lowest = (*lowest).min(key.seq);
        }
        let mut seen = Vec::new();
        for (origin, known) in self.seen.iter().filter(|(origin, _)| passes(origin)) {
            for (incarnation, numbers) in known.lives.iter().filter(|(life, _)| **life != UNSTAMPED) {
                seen.push(SeenNumbers {
                    origin: origin.clone(),
                    incarnation: *incarnation,
                    numbers: numbers.clone(),
                    first: first.get(&(origin, *incarnation)).copied(),
                });
            }
        }
        seen
    }

    /// A hash over what has been seen of third origins: the same on two instances that have the same of them. What is left
    /// to the source counts as missing if `b` is the source.
    pub(crate) fn hash_but(&self, a: &BareJid, b: &BareJid, is_source: bool) -> Option<String> {
        let mut third = self.vector(|origin| origin != a && origin != b, false);
        if is_source {
            third = self.without_withheld(third);
        }
        if third.is_empty() {
            return None;
        }
        let mut hash = Sha256::new();
        for seen in third {
            hash.update(format!("{} {} {}\n", seen.origin, seen.incarnation, seen.numbers));
        }
        let digest = hash.finalize();
        Some(crate::ids::hex(digest.get(..8).unwrap_or_default()))
    }
}

/// The id of a message whose own one is somebody else's.
fn another_id(event: &EventNumber, id: &str) -> String {
    let number = format!("{}.{}", event.incarnation, event.seq);
    crate::ids::derived_stanza_id("", &event.origin, id, &number, 0)
}

#[cfg(test)]
mod tests;
