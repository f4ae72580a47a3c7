//! What each peer may ask for and leave here ([`super::state::budget`]), over all its rooms: one that does all it can costs others
//! little, and a bounded amount of memory (G13). What is beyond it is refused with `resource-constraint`, or left out.

use std::collections::BTreeMap;

use crate::address::BareJid;

use super::pace::Pace;
use super::peer_roster::part_bytes;
use super::request::Pending;
use super::roster::item_bytes;
use super::state::budget::{Bucket, Rate, Tally};
use super::state::clock::Now;
use super::state::instance::Instance;
use super::sync::EVENT_BYTES;
use super::{Engine, refuse};
use crate::error::Error;
use crate::wire::{Condition, Request, Response, SyncEvent};

/// How much of an answer costs as much as a question, in bytes.
const ANSWER_UNIT_BYTES: usize = 16_384;
/// How many lines of a digest do.
const DIGEST_UNIT_LINES: usize = 16;
/// After a rest so many seconds' questions are answered at once.
const BURST_S: u64 = 10;
const HOUR_MS: u64 = 3_600_000;
const MINUTE_MS: u64 = 60_000;
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
    pace: Pace,
}

/// So many in so long, and as many at once after a rest.
fn so_many(units: u32, period_ms: u64) -> Rate {
    Rate {
        units: units.into(),
        period_ms,
        burst: units.into(),
    }
}

fn too_much(text: &str) -> Error {
    refuse(Condition::ResourceConstraint, text)
}

impl Engine {
    fn allowance(&mut self, service: &BareJid) -> &mut Allowance {
        self.allowances.0.entry(service.clone()).or_default()
    }

    /// How fast a peer sends.
    pub(super) fn pace(&mut self, service: &BareJid) -> &mut Pace {
        &mut self.allowance(service).pace
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
            Request::Sync(_) | Request::RosterQuery | Request::History(_) | Request::Avatar(_) => 0,
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

    /// Whether a peer has not had more answers than it may have in so short a time.
    pub(super) fn answers_now(&mut self, now: Now, service: &BareJid) -> bool {
        let rate = self.question_rate();
        self.allowance(service).questions.has_some(now.mono_ms, rate)
    }

    /// A long answer costs more than a question.
    pub(super) fn charge_answer(&mut self, now: Now, service: &BareJid, response: &Response) {
        let bytes = match response {
            Response::Packed(inner) => return self.charge_answer(now, service, inner),
            Response::Sync(answer) => {
                // Clients choose the length of ids and nicks.
                let names =
                    |event: &SyncEvent| event.nick.len() + event.message_id.as_ref().map_or(0, String::len);
                let events = answer.events.iter();
                let events: usize = events
                    .map(|event| EVENT_BYTES + event.payload.len() + names(event))
                    .sum();
                let items = answer.roster.iter().flat_map(|roster| &roster.items);
                events + items.map(item_bytes).sum::<usize>()
            }
            Response::Avatar(part) => part.text.len(),
            // Only peers that speak the XEP's text alone have reason to ask for one.
            Response::History(_) => response.to_xml().map_or(0, |xml| xml.len()),
            _ => return,
        };
        self.charge_bytes(now, service, bytes);
    }

    /// So much was sent because a peer asked for it.
    pub(super) fn charge_bytes(&mut self, now: Now, service: &BareJid, bytes: usize) {
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
        let rate = so_many(self.config.budgets.max_lives, HOUR_MS);
        let instance = self.instance_mut(jid, teller);
        instance.is_some_and(|instance| instance.lives.take(now.mono_ms, rate))
    }

    /// Whether moderators here are shown one more request for voice.
    pub(super) fn expect_voice(&mut self, now: Now, service: &BareJid) -> Result<(), Error> {
        let rate = so_many(self.config.budgets.max_voice_requests, MINUTE_MS);
        let voice = &mut self.allowance(service).voice;
        match voice.take(now.mono_ms, rate) {
            true => Ok(()),
            false => Err(too_much("More requests for voice than moderators are shown")),
        }
    }

    /// How often the people in a room are told that the link to a peer is down.
    pub(super) fn split_notices(&self) -> Rate {
        so_many(self.config.budgets.max_split_notices, MINUTE_MS)
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
        let here = instances.filter(|(jid, _)| jid.is_at(service));
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
        let limit = self.config.budgets.max_presence_bytes;
        bytes == 0
            || self.tally(
                service,
                |allowance| &mut allowance.presences,
                |engine, tally| {
                    let count = || engine.count(service, held);
                    tally.add(now.mono_ms, bytes, limit, count)
                },
            )
    }

    /// Whether a room of this source takes so many entries of its list more, hats included.
    pub(super) fn takes_listed(&mut self, now: Now, firsthost: &BareJid, units: usize) -> bool {
        let limit = self.config.budgets.max_listed;
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
                    tally.add(now.mono_ms, units, limit, count)
                },
            )
    }

    /// Whether another part of a roster is kept until the last one comes.
    pub(super) fn expect_part(&mut self, now: Now, home: &BareJid, bytes: usize) -> Result<(), Error> {
        let service = home.service();
        let limit = self.config.budgets.max_roster_bytes;
        let is_added = self.tally(
            &service,
            |allowance| &mut allowance.parts,
            |engine, tally| {
                let count = || engine.count(&service, |instance| part_bytes(&instance.roster_parts));
                tally.add(now.mono_ms, bytes, limit, count)
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
        let services = room.instances.keys().map(|jid| jid.service());
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
