//! Which instances of a service are being asked what is missing here, and which wait for that: so that a pull costs the
//! same however many rooms are shared with the service.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::address::BareJid;

use super::MAX_PULLS;
use crate::engine::Engine;
use crate::engine::state::clock::Now;
use crate::engine::state::instance::SyncStage;

/// A room here and its other instance.
type Pair = (BareJid, BareJid);

/// By service. How far an instance is it says itself ([`SyncStage`]): what is here and is not so any more is dropped when
/// it is come across.
#[derive(Debug, Default)]
pub(crate) struct Pulls {
    open: BTreeMap<BareJid, BTreeSet<Pair>>,
    waiting: BTreeMap<BareJid, Waiting>,
}

/// They have their turn one after the other, so that a room that lacks something again and again holds up no other.
#[derive(Debug, Default)]
struct Waiting {
    pairs: BTreeSet<Pair>,
    /// Whose turn it was last.
    last: Option<Pair>,
}

impl Pulls {
    pub(super) fn begin(&mut self, service: &BareJid, pair: Pair) {
        if let Some(waiting) = self.waiting.get_mut(service) {
            waiting.pairs.remove(&pair);
        }
        self.open.entry(service.clone()).or_default().insert(pair);
    }

    /// How many pulls of a service are under way at the same time, as far as is known.
    pub(super) fn at_once(&self, service: &BareJid) -> usize {
        let open = self.open.get(service).map_or(0, BTreeSet::len);
        let waiting = self.waiting.get(service).map_or(0, |waiting| waiting.pairs.len());
        open + waiting
    }

    /// Takes out whose turn it is.
    fn next(&mut self, service: &BareJid) -> Option<Pair> {
        let waiting = self.waiting.get_mut(service)?;
        let after = match &waiting.last {
            Some(last) => (Bound::Excluded(last), Bound::Unbounded),
            None => (Bound::Unbounded, Bound::Unbounded),
        };
        let next = waiting.pairs.range::<Pair, _>(after).next().cloned();
        let next = next.or_else(|| waiting.pairs.first().cloned())?;
        waiting.pairs.remove(&next);
        waiting.last = Some(next.clone());
        Some(next)
    }
}

impl Engine {
    /// Whether one more instance of a service may be asked (G13).
    pub(super) fn may_pull(&mut self, service: &BareJid) -> bool {
        let most = self.most_pulls(service, MAX_PULLS);
        let rooms = &self.rooms;
        let is_open = |(jid, peer): &Pair| {
            let instance = rooms.get(jid).and_then(|room| room.instances.get(peer));
            instance
                .is_some_and(|instance| matches!(instance.sync, SyncStage::Asked | SyncStage::Taking { .. }))
        };
        let Some(open) = self.pulls.open.get_mut(service) else {
            return true;
        };
        open.retain(is_open);
        open.len() < most
    }

    /// It waits for its turn. Rooms that have ended meanwhile are forgotten when there are as many as others (G13).
    pub(super) fn note_waiting(&mut self, pair: Pair) {
        let service = pair.1.service();
        let most = 2 * self.rooms.count_shared_with(&service) + MAX_PULLS;
        let rooms = &self.rooms;
        let waiting = self.pulls.waiting.entry(service).or_default();
        waiting.pairs.insert(pair);
        if waiting.pairs.len() > most {
            let is_there = |(jid, peer): &Pair| {
                let room = rooms.get(jid);
                room.is_some_and(|room| room.instances.contains_key(peer))
            };
            waiting.pairs.retain(is_there);
        }
    }

    /// What could not be asked for while the link was out, or busy.
    pub(in crate::engine) fn ask_wanted(&mut self, now: Now, service: &BareJid) {
        while self.may_ask(service) {
            let Some((jid, peer)) = self.pulls.next(service) else {
                return;
            };
            if self.sync_stage(&jid, &peer) == Some(SyncStage::Wanted) {
                self.want_sync(now, &jid, &peer);
            }
        }
    }

    fn sync_stage(&self, jid: &BareJid, peer: &BareJid) -> Option<SyncStage> {
        Some(self.rooms.get(jid)?.instances.get(peer)?.sync)
    }
}
