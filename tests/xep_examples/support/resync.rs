//! Seeded random values of what makes up for a split: `<sync/>` and `<digest/>`.

use dmuc::address::BareJid;
use dmuc::wire::{
    Aside, Digest, EventStamp, Numbers, Parts, RoomDigest, SeenNumbers, SyncAnswer, SyncEvent, SyncRequest,
};

use super::generator::Gen;

impl Gen {
    /// A number from 1.
    fn ordinal(&mut self) -> u64 {
        self.countable().max(1)
    }

    fn numbers(&mut self) -> Numbers {
        let mut numbers = Numbers::default();
        for _ in 0..self.below(6) {
            // Past a hole behind the last one.
            let from = numbers.last().unwrap_or(0) + 1 + self.ordinal() % 1_000;
            numbers.insert_range(from, from + self.next() % 3);
        }
        if self.below(4) == 0 {
            numbers.insert(i64::MAX.unsigned_abs());
        }
        numbers
    }

    fn seen(&mut self) -> Vec<SeenNumbers> {
        let mut seen: Vec<SeenNumbers> = self.some(5, |g| SeenNumbers {
            origin: g.bare(),
            incarnation: g.ordinal(),
            numbers: g.numbers(),
            first: g.maybe(Gen::ordinal),
        });
        // Several lives of one origin.
        if let Some(again) = seen.first().cloned() {
            let incarnation = again.incarnation ^ 2;
            seen.extend((incarnation > 0).then_some(SeenNumbers { incarnation, ..again }));
        }
        seen
    }

    pub fn sync_request(&mut self) -> SyncRequest {
        SyncRequest {
            seen: self.seen(),
            roster: self.maybe(Gen::countable),
            settings: self.maybe(Gen::countable),
            relay: self.flip(),
            is_new: self.flip(),
            max: self.maybe(Gen::countable),
            again: self.maybe(Gen::word),
            head: self.flip(),
            packed: self.flip(),
        }
    }

    fn sync_event(&mut self, origin: &BareJid, incarnation: u64) -> SyncEvent {
        SyncEvent {
            event: EventStamp {
                id: format!("{}{}", self.word(), self.text()),
                origin: Some(origin.clone()),
                incarnation,
                seq: self.ordinal(),
                at: self.hlc(),
                roster: None,
            },
            nick: self.nick(),
            message_id: self.maybe(Gen::text),
            lang: self.maybe(Gen::word),
            occupant_id: self.maybe(Gen::word),
            payload: self.payload(),
        }
    }

    /// A page: runs of a few origins, which may come more than once.
    pub fn sync_answer(&mut self) -> SyncAnswer {
        let origins = [
            (self.bare(), self.ordinal()),
            (self.bare(), 0),
            (self.bare(), self.ordinal()),
        ];
        let mut events = Vec::new();
        for _ in 0..self.below(5) {
            let (origin, incarnation) = self.pick(&origins);
            events.extend(self.some(3, |g| g.sync_event(&origin, incarnation)));
        }
        SyncAnswer {
            more: self.flip(),
            seen: self.seen(),
            config: self.maybe(Gen::config),
            roster: self.maybe(Gen::roster),
            events,
            aside: self.maybe(|g| Aside {
                origin: g.bare(),
                incarnation: g.ordinal(),
                seq: g.ordinal(),
                id: g.word(),
            }),
        }
    }

    pub fn digest(&mut self) -> Digest {
        let line = |g: &mut Gen| match g.below(4) {
            0 => RoomDigest::gone(g.room()),
            _ => RoomDigest {
                id: g.room(),
                log: g.maybe(|g| (g.ordinal(), g.ordinal())),
                roster: g.countable(),
                settings: g.maybe(Gen::countable),
                rest: g.maybe(Gen::word),
                words: g.maybe(Gen::word),
                proof: g.maybe(Gen::word),
                parts: g.maybe(|g| Parts {
                    people: g.maybe(Gen::word),
                    list: g.maybe(Gen::word),
                    settings: g.maybe(Gen::word),
                    subject: g.maybe(Gen::word),
                    numbers: g.maybe(Gen::word),
                    words: g.maybe(Gen::word),
                }),
                gone: false,
            },
        };
        Digest {
            life: self.maybe(Gen::word),
            hello: self.below(2) == 0,
            time: self.maybe(Gen::countable),
            takes: self.maybe(Gen::countable),
            rooms: self.some(5, line),
        }
    }
}
