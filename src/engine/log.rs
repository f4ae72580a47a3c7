//! The log of a room's messages: grow-only, merged by union, ordered by (hybrid logical clock, origin).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::address::BareJid;

use crate::wire::Hlc;

/// What names an event in the whole federation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventKey {
    /// When it happened, for ordering.
    pub at: Hlc,
    /// The instance whose occupant sent it.
    pub origin: BareJid,
    /// The origin's incarnation.
    pub incarnation: u64,
    /// Its number within (origin, incarnation), from 1, without holes.
    pub seq: u64,
}

/// One message as every instance holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Origin, number and time.
    pub key: EventKey,
    /// The stanza-id (XEP-0359), the same on every instance (G5).
    pub id: String,
    /// The nick of who sent it.
    pub nick: String,
    /// The `id` attribute of the message.
    pub message_id: Option<String>,
    /// The occupant-id (XEP-0421) of who sent it.
    pub occupant_id: Option<String>,
    /// The message's children as XML in the context of `jabber:client`: opaque.
    pub payload: Arc<str>,
}

/// Which numbers of one (origin, incarnation) are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Seen {
    /// Everything from 1 to here.
    contiguous: u64,
    /// Known beyond a hole.
    ahead: BTreeSet<u64>,
}

/// How many numbers beyond a hole are remembered per origin; more are taken as seen up to the lowest (G13).
const MAX_AHEAD: usize = 4_096;
/// How many messages stay whatever their age: what clients usually ask for when they join.
const KEPT_HOWEVER_OLD: usize = 100;
/// How many incarnations of one origin are remembered; the oldest go first (G13).
const MAX_INCARNATIONS: usize = 8;

impl Seen {
    fn contains(&self, seq: u64) -> bool {
        seq <= self.contiguous || self.ahead.contains(&seq)
    }

    fn insert(&mut self, seq: u64) {
        if seq > self.contiguous {
            self.ahead.insert(seq);
        }
        while self.ahead.remove(&(self.contiguous + 1)) {
            self.contiguous += 1;
        }
        if self.ahead.len() > MAX_AHEAD
            && let Some(lowest) = self.ahead.first().copied()
        {
            self.contiguous = lowest - 1;
            while self.ahead.remove(&(self.contiguous + 1)) {
                self.contiguous += 1;
            }
        }
    }
}

/// The messages of one room and what has been seen of every origin.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    entries: BTreeMap<EventKey, Entry>,
    by_id: BTreeMap<String, EventKey>,
    seen: BTreeMap<BareJid, BTreeMap<u64, Seen>>,
    /// Characters of payload held.
    bytes: usize,
}

/// What a log may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retention {
    /// Unix ms of the oldest message worth keeping.
    pub(crate) oldest_wall_ms: u64,
    pub(crate) max_messages: usize,
    pub(crate) max_bytes: usize,
}

impl Log {
    /// Whether this event was taken before (G4).
    pub(crate) fn has_seen(&self, origin: &BareJid, incarnation: u64, seq: u64) -> bool {
        self.seen
            .get(origin)
            .and_then(|incarnations| incarnations.get(&incarnation))
            .is_some_and(|seen| seen.contains(seq))
    }

    /// The next unused number of `origin` in `incarnation`.
    pub(crate) fn next_seq(&self, origin: &BareJid, incarnation: u64) -> u64 {
        let seen = self
            .seen
            .get(origin)
            .and_then(|incarnations| incarnations.get(&incarnation));
        seen.map_or(1, |seen| {
            seen.ahead.last().copied().unwrap_or(0).max(seen.contiguous) + 1
        })
    }

    /// Whether a message with this stanza-id is held.
    pub(crate) fn has_id(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    /// The message with this stanza-id.
    pub(crate) fn get(&self, id: &str) -> Option<&Entry> {
        self.by_id.get(id).and_then(|key| self.entries.get(key))
    }

    /// Adds an entry. Returns `false`, and changes nothing, for an event or a stanza-id that is known.
    pub(crate) fn insert(&mut self, entry: Entry) -> bool {
        let EventKey {
            origin,
            incarnation,
            seq,
            ..
        } = &entry.key;
        if self.has_seen(origin, *incarnation, *seq) || self.by_id.contains_key(&entry.id) {
            return false;
        }
        let incarnations = self.seen.entry(origin.clone()).or_default();
        incarnations.entry(*incarnation).or_default().insert(*seq);
        if incarnations.len() > MAX_INCARNATIONS {
            incarnations.pop_first();
        }
        self.bytes += entry.payload.len();
        self.by_id.insert(entry.id.clone(), entry.key.clone());
        self.entries.insert(entry.key.clone(), entry);
        true
    }

    /// Drops what exceeds the retention limits, oldest first. What was seen stays known. A room in which little is
    /// said keeps a history, however old.
    pub(crate) fn trim(&mut self, limit: Retention) {
        while let Some((key, entry)) = self.entries.first_key_value() {
            let is_old = key.at.wall_ms < limit.oldest_wall_ms && self.entries.len() > KEPT_HOWEVER_OLD;
            if self.entries.len() <= limit.max_messages && self.bytes <= limit.max_bytes && !is_old {
                break;
            }
            let (key, id) = (key.clone(), entry.id.clone());
            self.bytes -= entry.payload.len();
            self.by_id.remove(&id);
            self.entries.remove(&key);
        }
    }

    /// Every message held, oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.values()
    }

    /// The newest messages that a history request of XEP-0045 section 7.2.13 asks for, oldest first.
    /// `since_ms` is Unix time; the caller has folded `seconds` into it. `chars_of` is `None` for what is passed over.
    pub(crate) fn history(
        &self,
        max_stanzas: Option<usize>,
        max_chars: Option<usize>,
        since_ms: Option<u64>,
        chars_of: impl Fn(&Entry) -> Option<usize>,
    ) -> Vec<&Entry> {
        let mut chars = 0;
        let mut newest_first = Vec::new();
        for entry in self.entries.values().rev() {
            if max_stanzas.is_some_and(|max| newest_first.len() >= max)
                || since_ms.is_some_and(|since| entry.key.at.wall_ms < since)
            {
                break;
            }
            let Some(more) = chars_of(entry) else { continue };
            chars += more;
            if max_chars.is_some_and(|max| chars > max) {
                break;
            }
            newest_first.push(entry);
        }
        newest_first.reverse();
        newest_first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(origin: &str, incarnation: u64, seq: u64, wall_ms: u64) -> Entry {
        let origin = BareJid::new(origin).unwrap();
        Entry {
            id: format!("{origin}/{incarnation}/{seq}"),
            key: EventKey {
                at: Hlc { wall_ms, counter: 0 },
                origin,
                incarnation,
                seq,
            },
            nick: "n".into(),
            message_id: None,
            occupant_id: None,
            payload: "<body>x</body>".into(),
        }
    }

    #[test]
    fn a_second_copy_is_refused_even_after_the_first_was_trimmed() {
        let mut log = Log::default();
        assert!(log.insert(entry("a@x", 1, 1, 10)));
        assert!(!log.insert(entry("a@x", 1, 1, 10)));
        log.trim(limit(0, 0, usize::MAX));
        assert_eq!(log.iter().count(), 0);
        assert!(!log.insert(entry("a@x", 1, 1, 10)));
        assert!(
            log.insert(entry("a@x", 2, 1, 10)),
            "a new incarnation is a new event"
        );
    }

    #[test]
    fn age_takes_messages_away_only_beyond_what_joins_ask_for() {
        let mut log = Log::default();
        let count = KEPT_HOWEVER_OLD as u64 + 5;
        for seq in 1..=count {
            assert!(log.insert(entry("a@x", 1, seq, seq)));
        }
        log.trim(limit(3, usize::MAX, usize::MAX));
        assert_eq!(log.iter().count() as u64, count - 2, "2 were older");
        log.trim(limit(u64::MAX, usize::MAX, usize::MAX));
        assert_eq!(log.iter().count(), KEPT_HOWEVER_OLD);
        assert_eq!(log.iter().next_back().map(|entry| entry.key.seq), Some(count));
    }

    fn limit(oldest_wall_ms: u64, max_messages: usize, max_bytes: usize) -> Retention {
        Retention {
            oldest_wall_ms,
            max_messages,
            max_bytes,
        }
    }

    #[test]
    fn large_messages_push_out_old_ones() {
        let mut log = Log::default();
        let size = entry("a@x", 1, 1, 1).payload.len();
        for seq in 1..=10 {
            log.insert(entry("a@x", 1, seq, seq));
            log.trim(limit(0, usize::MAX, 3 * size));
        }
        let held: Vec<u64> = log.iter().map(|entry| entry.key.seq).collect();
        assert_eq!(held, [8, 9, 10]);
    }

    #[test]
    fn any_arrival_order_gives_the_same_log() {
        let events = [
            entry("a@x", 1, 1, 10),
            entry("b@x", 1, 1, 10),
            entry("a@x", 1, 2, 12),
            entry("b@x", 1, 2, 11),
        ];
        let mut forward = Log::default();
        let mut backward = Log::default();
        for event in &events {
            forward.insert(event.clone());
        }
        for event in events.iter().rev() {
            backward.insert(event.clone());
        }
        assert!(forward.iter().eq(backward.iter()));
        assert_eq!(forward.next_seq(&BareJid::new("a@x").unwrap(), 1), 3);
        assert_eq!(forward.next_seq(&BareJid::new("a@x").unwrap(), 2), 1);
    }

    #[test]
    fn history_honours_every_limit_and_keeps_the_newest() {
        let mut log = Log::default();
        for seq in 1..=5 {
            log.insert(entry("a@x", 1, seq, seq * 1_000));
        }
        let seqs = |found: Vec<&Entry>| found.iter().map(|entry| entry.key.seq).collect::<Vec<_>>();
        assert_eq!(seqs(log.history(Some(2), None, None, |_| Some(0))), [4, 5]);
        assert_eq!(seqs(log.history(None, None, Some(3_000), |_| Some(0))), [3, 4, 5]);
        assert_eq!(seqs(log.history(None, Some(25), None, |_| Some(10))), [4, 5]);
        let odd = |entry: &Entry| (entry.key.seq % 2 == 1).then_some(10);
        assert_eq!(seqs(log.history(Some(2), None, None, odd)), [3, 5]);
        assert_eq!(seqs(log.history(None, Some(25), None, odd)), [3, 5]);
        assert_eq!(seqs(log.history(Some(0), None, None, |_| Some(0))), [0u64; 0]);
        assert_eq!(seqs(log.history(None, None, None, |_| Some(0))), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn numbers_beyond_a_hole_are_bounded() {
        let mut seen = Seen::default();
        for seq in (2..).step_by(2).take(2 * MAX_AHEAD) {
            seen.insert(seq);
        }
        assert!(seen.ahead.len() <= MAX_AHEAD);
        assert!(seen.contains(2) && seen.contains(4));
    }
}
