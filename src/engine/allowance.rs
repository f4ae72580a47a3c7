//! What each peer may ask for and leave here ([`super::budget`]), over all its rooms: one that does all it can costs others
//! little, and a bounded amount of memory (G13). What is beyond it is refused with `resource-constraint`, or left out.

use std::collections::BTreeMap;

use crate::address::BareJid;

use super::budget::{Bucket, Rate, Tally};
use super::clock::Now;
use super::instance::Instance;
use super::link::{is_at, service_of};
use super::peer_roster::part_bytes;
use super::request::Pending;
use super::roster::item_bytes;
use super::sync::EVENT_BYTES;
use super::{Engine, refuse};
use crate::error::Error;
use crate::wire::{Condition, Request, Response};

/// How much of an answer costs as much as a question, in bytes.
const ANSWER_UNIT_BYTES: usize = 16_384;
/// How many lines of a digest do.
const DIGEST_UNIT_LINES: usize = 16;
/// After a rest so many seconds' questions are answered at once.
const BURST_S: u64 = 10;
/// How often another instance may have the one here begin a new life.
const LIVES: Rate = Rate {
    units: 6,
    period_ms: 3_600_000,
    burst: 6,
};
/// How many requests for voice of a peer's people moderators here are shown.
const VOICE: Rate = Rate {
    units: 20,
    period_ms: 60_000,
    burst: 20,
};
/// Extensions of the presences of a peer's people, in bytes.
const MAX_PRESENCES_BYTES: usize = 32 * 1024 * 1024;
/// Entries of lists of affiliations in a peer's rooms, and hats.
const MAX_LISTED: usize = 100_000;
/// Rosters of which the last part has not come, in bytes.
const MAX_PARTS_BYTES: usize = 64 * 1024 * 1024;
/// For how many link timeouts a shadow waits for its configuration.
const UNCONFIGURED_TIMEOUTS: u64 = 10;

/// What the peers have used.
#[derive(Default)]
pub(crate) struct Allowances(BTreeMap<BareJid, Allowance>);

/// What has been used is no state of a room: a question that is refused changes nothing, and has been asked.
impl std::fmt::Debug for Allowances {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Allowances")
    }
}

/// What one peer has used.
#[derive(Default)]
struct Allowance {
    questions: Bucket,
    voice: Bucket,
    occupants: Tally,
    presences: Tally,
    listed: Tally,
    parts: Tally,
}

fn too_much(text: &str) -> Error {
    refuse(Condition::ResourceConstraint, text)
}

impl Engine {
    fn allowance(&mut self, service: &BareJid) -> &mut Allowance {
        self.allowances.0.entry(service.clone()).or_default()
    }

    fn question_rate(&self) -> Rate {
        let units = u64::from(self.config.max_questions);
        Rate {
            units,
            period_ms: 1_000,
            burst: units * BURST_S,
        }
    }

    /// Whether a question is answered now. Whoever is refused asks again later.
    pub(super) fn expect_question(
        &mut self,
        now: Now,
        service: &BareJid,
        request: &Request,
    ) -> Result<(), Error> {
        let lines = match request {
            Request::Sync(_) | Request::RosterQuery | Request::History(_) => 0,
            Request::Digest(digest) => digest.rooms.len(),
            _ => return Ok(()),
        };
        let rate = self.question_rate();
        let questions = &mut self.allowance(service).questions;
        if !questions.has_some(now.mono_ms, rate) {
            return Err(too_much("This service asks more than is answered"));
        }
        questions.spend(now.mono_ms, rate, 1 + (lines / DIGEST_UNIT_LINES) as u64);
        Ok(())
    }

    /// A long answer costs more than a question.
    pub(super) fn charge_answer(&mut self, now: Now, service: &BareJid, response: &Response) {
        let Response::Sync(answer) = response else { return };
        let events = answer.events.iter();
        let events: usize = events.map(|event| event.payload.len() + EVENT_BYTES).sum();
        let items = answer.roster.iter().flat_map(|roster| &roster.items);
        let bytes = events + items.map(item_bytes).sum::<usize>();
        let rate = self.question_rate();
        let units = (bytes / ANSWER_UNIT_BYTES) as u64;
        let allowance = self.allowance(service);
        allowance.questions.spend(now.mono_ms, rate, units);
    }

    /// Whether the roster of a room is on its way to an instance: it gets it once.
    pub(super) fn is_roster_underway(&self, jid: &BareJid, peer: &BareJid) -> bool {
        self.outstanding.values().any(|outstanding| {
            matches!(&outstanding.pending, Pending::Roster { room, instance } | Pending::RosterPart { room, instance }
                if room == jid && instance == peer)
        })
    }

    /// Whether an instance may have the one here begin a new life: it proves that it knows more of this one than we do, and
    /// every life is something that all instances remember.
    pub(super) fn may_end_life(&mut self, now: Now, jid: &BareJid, teller: &BareJid) -> bool {
        let instance = self.instance_mut(jid, teller);
        instance.is_some_and(|instance| instance.lives.take(now.mono_ms, LIVES))
    }

    /// Whether moderators here are shown one more request for voice.
    pub(super) fn expect_voice(&mut self, now: Now, service: &BareJid) -> Result<(), Error> {
        let voice = &mut self.allowance(service).voice;
        match voice.take(now.mono_ms, VOICE) {
            true => Ok(()),
            false => Err(too_much("More requests for voice than moderators are shown")),
        }
    }

    /// Whether a peer may have one more room here.
    pub(super) fn expect_shadow(&self, firsthost: &BareJid) -> Result<(), Error> {
        let shadows = self.rooms.len() - self.rooms.count_of(&self.config.service);
        if shadows + self.parked.len() >= self.config.max_shadows {
            return Err(too_much("This service holds as many shadows as it may"));
        }
        let parked = self.parked.values().filter(|room| room.firsthost == *firsthost);
        if self.rooms.count_of(firsthost) + parked.count() >= self.config.max_shadows_per_peer {
            return Err(too_much("This service holds as many shadows of yours as it may"));
        }
        Ok(())
    }

    fn count(&self, service: &BareJid, of: impl Fn(&Instance) -> usize) -> usize {
        let rooms = self.rooms.shared_with(service);
        let instances = rooms.flat_map(|room| room.instances.iter());
        let here = instances.filter(|(jid, _)| is_at(jid, service));
        here.map(|(_, instance)| of(instance)).sum()
    }

    /// Takes a tally of a peer's out, so that what it is of can be counted, and puts it back.
    fn tally(
        &mut self,
        service: &BareJid,
        field: impl Fn(&mut Allowance) -> &mut Tally,
        add: impl FnOnce(&Engine, &mut Tally) -> bool,
    ) -> bool {
        let mut tally = std::mem::take(field(self.allowance(service)));
        let is_added = add(self, &mut tally);
        *field(self.allowance(service)) = tally;
        is_added
    }

    /// Whether a peer may have one more occupant in rooms here.
    pub(super) fn expect_occupant(&mut self, now: Now, service: &BareJid) -> Result<(), Error> {
        let limit = self.config.max_occupants_per_peer;
        let is_added = self.tally(
            service,
            |allowance| &mut allowance.occupants,
            |engine, tally| {
                let count = || engine.count(service, |instance| instance.occupants.len());
                tally.add(now.mono_ms, 1, limit, count)
            },
        );
        match is_added {
            true => Ok(()),
            false => Err(too_much("Your service has as many occupants here as it may")),
        }
    }

    /// Whether the extensions of a presence are kept.
    pub(super) fn keeps_extensions(&mut self, now: Now, service: &BareJid, bytes: usize) -> bool {
        let held = |instance: &Instance| {
            instance
                .occupants
                .values()
                .map(|remote| remote.payload.len())
                .sum()
        };
        bytes == 0
            || self.tally(
                service,
                |allowance| &mut allowance.presences,
                |engine, tally| {
                    let count = || engine.count(service, held);
                    tally.add(now.mono_ms, bytes, MAX_PRESENCES_BYTES, count)
                },
            )
    }

    /// Whether a room of this source takes so many entries of its list more, hats included.
    pub(super) fn takes_listed(&mut self, now: Now, firsthost: &BareJid, units: usize) -> bool {
        units == 0
            || self.tally(
                firsthost,
                |allowance| &mut allowance.listed,
                |engine, tally| {
                    let count = || {
                        let rooms = engine.rooms.shared_with(firsthost);
                        let theirs = rooms.filter(|room| room.firsthost == *firsthost);
                        let listed = theirs.map(|room| {
                            let hats = room.settings.hats.values();
                            room.settings.affiliations.len()
                                + hats.map(|hats| hats.iter().count()).sum::<usize>()
                        });
                        listed.sum()
                    };
                    tally.add(now.mono_ms, units, MAX_LISTED, count)
                },
            )
    }

    /// Whether another part of a roster is kept until the last one comes.
    pub(super) fn expect_part(&mut self, now: Now, home: &BareJid, bytes: usize) -> Result<(), Error> {
        let service = service_of(home);
        let is_added = self.tally(
            &service,
            |allowance| &mut allowance.parts,
            |engine, tally| {
                let count = || engine.count(&service, |instance| part_bytes(&instance.roster_parts));
                tally.add(now.mono_ms, bytes, MAX_PARTS_BYTES, count)
            },
        );
        match is_added {
            true => Ok(()),
            false => Err(too_much(
                "More rosters are incomplete than this service waits for",
            )),
        }
    }

    /// What a room that has been read has is counted with the next thing that its peers bring.
    pub(super) fn count_anew(&mut self, jid: &BareJid) {
        let Some(room) = self.rooms.get(jid) else { return };
        let services = room.instances.keys().map(service_of);
        let services: Vec<BareJid> = services.chain([room.firsthost.clone()]).collect();
        for service in services {
            if let Some(allowance) = self.allowances.0.get_mut(&service) {
                allowance.occupants.forget();
                allowance.presences.forget();
                allowance.listed.forget();
            }
        }
    }

    /// How many bytes of messages a room may keep: less than its own limit if the rooms of its firsthost keep more together
    /// than they may, so that each has its share. None loses anything to another while it keeps less than that.
    pub(super) fn log_share(&mut self, jid: &BareJid) -> usize {
        let (limit, of_peer) = (self.config.log_max_bytes, self.config.max_bytes_per_peer);
        let Some(firsthost) = self.rooms.get(jid).map(|room| room.firsthost.clone()) else {
            return limit;
        };
        let bytes = self.rooms.note_log(jid);
        if firsthost == self.config.service || bytes <= of_peer {
            return limit;
        }
        limit.min(of_peer / self.rooms.count_of(&firsthost).max(1))
    }

    /// A shadow has been made that has no configuration yet.
    pub(super) fn await_configuration(&mut self, now: Now, jid: &BareJid) {
        let until = now.mono_ms + UNCONFIGURED_TIMEOUTS * self.config.link_timeout_ms;
        self.unconfigured.insert(jid.clone(), until);
    }

    pub(super) fn unconfigured_timeout(&self) -> Option<u64> {
        self.unconfigured.values().min().copied()
    }

    /// Shadows whose configuration has not come are forgotten. A source that comes to it after all begins anew.
    pub(super) fn drop_unconfigured(&mut self, now: Now) {
        let rooms = &self.rooms;
        let waits = |jid: &BareJid| rooms.get(jid).is_some_and(|room| !room.ready);
        self.unconfigured.retain(|jid, _| waits(jid));
        let is_due = |(_, until): &(&BareJid, &u64)| **until <= now.mono_ms;
        let due = self.unconfigured.iter().filter(is_due);
        for jid in due.map(|(jid, _)| jid.clone()).collect::<Vec<_>>() {
            self.unconfigured.remove(&jid);
            self.rooms.remove(&jid);
            self.unsaved.insert(jid);
        }
    }
}
