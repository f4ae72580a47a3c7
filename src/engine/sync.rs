//! Resynchronisation: each side pulls what it lacks from the other, in pages, and only that (G4, G6, G10).
//!
//! The asker tells what it has of every origin, of the addressee's roster and of the settings; the answer holds what is
//! missing and, on its last page, what the addressee has. An event that the asker has is never told again. While
//! something of a home is missing here, its live messages are not taken: they come in the pages, in order.

mod answer;
mod pulls;
mod stuck;
mod taking;

use crate::address::BareJid;

pub(super) use answer::{EVENT_BYTES, PAGE_BYTES};
pub(super) use pulls::Pulls;

use super::link::{Caps, LinkState};
use super::request::Pending;
use super::state::clock::Now;
use super::state::instance::{Stage, SyncStage};
use super::{Action, Engine};
use crate::wire::{Condition, Request, Response, StanzaError, SyncRequest};

/// Third instances' events that came here only now are on their way to the asker, too.
pub(super) const GRACE_MS: u64 = 10_000;
/// How many pulls may be under way over one link (G13): more would wait for each other on it.
const MAX_PULLS: usize = 4;
/// How long a source that is there has to say that it does not have a room until its shadow is closed.
const LOST_AFTER_MS: u64 = 480_000;
/// First and longest delay before something that could not be had is asked for again.
const RESYNC_FIRST_MS: u64 = 1_000;
const RESYNC_MOST_MS: u64 = 300_000;

impl Engine {
    /// Whether third instances' events are taken from `peer`: from the source, and from trusted peers (DESIGN 5).
    pub(super) fn takes_relayed(&self, jid: &BareJid, peer: &BareJid) -> bool {
        let is_trusted = self
            .config
            .peers
            .get(&peer.service())
            .is_some_and(|policy| policy.trusted);
        is_trusted || self.rooms.get(jid).is_some_and(|room| room.is_from_source(peer))
    }

    /// Something is missing here that `peer` has: it is asked, as soon as the link allows.
    pub(super) fn want_sync(&mut self, now: Now, jid: &BareJid, peer: &BareJid) {
        let service = peer.service();
        let caps = self.caps(&service);
        if matches!(caps, Caps::Xep | Caps::Nothing) {
            return;
        }
        let may_ask = self.may_ask(&service);
        let Some(room) = self.rooms.get_mut(jid).filter(|room| room.ready) else {
            return;
        };
        let Some(instance) = room.instances.get_mut(peer) else {
            return;
        };
        if instance.stage != Stage::Active {
            return;
        }
        match instance.sync {
            SyncStage::Asked => {}
            SyncStage::Taking { .. } => instance.sync = SyncStage::Taking { again: true },
            _ if !may_ask => self.wait_for_sync(jid, peer),
            _ => self.ask_sync(now, jid, peer, None),
        }
    }

    /// Whether one more instance of a service may be asked now what is missing.
    fn may_ask(&mut self, service: &BareJid) -> bool {
        let is_up = matches!(self.link_state(service), LinkState::Up | LinkState::Syncing);
        self.caps(service) == Caps::Full && is_up && self.may_pull(service)
    }

    /// Asks for the next page; `again` is the id of the question before, to which nothing has come.
    fn ask_sync(&mut self, now: Now, jid: &BareJid, peer: &BareJid, again: Option<String>) {
        let relay = self.takes_relayed(jid, peer);
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let from_source = room.is_from_source(peer);
        let service = peer.service();
        let seen = room.log.vector(|origin| relay || origin == peer, false);
        let seen = match from_source {
            true => room.log.without_withheld(seen),
            false => seen,
        };
        let is_reviewed = room.instances.get(peer).is_some_and(|peer| peer.is_reviewed);
        let seen = match is_reviewed {
            true => room.log.without_newest(seen, jid),
            false => seen,
        };
        let is_new = room.log.is_empty();
        let settings = from_source.then_some(room.settings.version);
        let Some(instance) = room.instances.get_mut(peer) else {
            return;
        };
        (instance.sync, instance.resync_at) = (SyncStage::Asked, None);
        instance.wants_whole = false;
        let roster = instance.roster_version;
        let (most, head) = (instance.stuck.most(), instance.stuck.is_hopeless());
        self.pulls.begin(&service, (jid.clone(), peer.clone()));
        let page = self.next_page(&service, self.pulls.at_once(&service), most);
        let request = Request::Sync(SyncRequest {
            seen,
            roster,
            settings,
            relay,
            is_new,
            max: (page.bytes < PAGE_BYTES as u64).then_some(page.bytes),
            again,
            head,
            packed: true,
        });
        let pending = Pending::Sync {
            room: jid.clone(),
            instance: peer.clone(),
            settings,
            page,
            head,
        };
        self.request(now, jid.clone(), peer.clone(), request, pending);
    }

    pub(super) fn sync_answered(
        &mut self,
        now: Now,
        jid: &BareJid,
        peer: &BareJid,
        (asked, head): (Option<u64>, bool),
        answer: Result<Response, StanzaError>,
    ) {
        let Some(instance) = self.instance_mut(jid, peer) else {
            return;
        };
        if instance.sync != SyncStage::Asked || answer.is_err() && self.is_asked_twice(jid, peer) {
            return;
        }
        let Some(instance) = self.instance_mut(jid, peer) else {
            return;
        };
        instance.sync = SyncStage::Idle;
        if let Some(room) = self.rooms.get_mut(jid).filter(|room| room.is_from_source(peer)) {
            room.settings.ahead = None;
        }
        match answer {
            Ok(Response::Sync(mut answer)) => {
                answer.aside = answer.aside.filter(|_| head);
                self.page_came(jid, peer, &answer);
                self.prove(jid, peer);
                self.take_answer(now, jid, peer, asked, *answer);
            }
            // Lost on a link that works.
            Err(error) if Self::is_link_error(&error) && self.is_link_open(&peer.service()) => {
                self.resync_later(now, jid, peer);
            }
            Err(error) if Self::is_link_error(&error) => self.wait_for_sync(jid, peer),
            Err(error) if error.condition == Condition::ItemNotFound => self.lost_there(now, jid, peer),
            _ => self.resync_later(now, jid, peer),
        }
        self.ask_wanted(now, &peer.service());
    }

    fn wait_for_sync(&mut self, jid: &BareJid, peer: &BareJid) {
        if let Some(instance) = self.instance_mut(jid, peer) {
            instance.sync = SyncStage::Wanted;
            self.note_waiting((jid.clone(), peer.clone()));
        }
    }

    pub(super) fn resync_later(&mut self, now: Now, jid: &BareJid, peer: &BareJid) {
        let jitter = self.ids.below(RESYNC_FIRST_MS);
        let Some(instance) = self.instance_mut(jid, peer) else {
            return;
        };
        let delay = RESYNC_FIRST_MS
            .saturating_mul(1 << instance.resyncs.min(9))
            .clamp(RESYNC_FIRST_MS, RESYNC_MOST_MS);
        instance.resyncs = instance.resyncs.saturating_add(1);
        instance.resync_at = Some(now.mono_ms + delay + jitter);
        self.timed.insert(jid.clone());
    }

    /// Both sides agree, as far as we are concerned. While the link is down only one direction is known to work: a digest
    /// that was stuck in a stalled connection is no end of a split.
    pub(super) fn agreed(&mut self, now: Now, jid: &BareJid, peer: &BareJid) {
        if !self.is_link_open(&peer.service()) {
            return;
        }
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let from_source = room.is_from_source(peer);
        let Some(instance) = room.instances.get_mut(peer) else {
            return;
        };
        if instance.stage != Stage::Active {
            return;
        }
        (instance.is_synced, instance.has_caught_up) = (true, true);
        instance.agreed_at = Some(now.mono_ms);
        instance.forget_who_left();
        if instance.is_cut {
            self.heal_instance(now, jid, peer);
        }
        if from_source {
            self.pictures.look_at(jid);
            self.make_offers(now, jid);
        }
        self.tell_voice_requests(now, jid, Some(peer));
        self.succession_agreed(now, jid, peer);
    }

    /// The peer says that it does not have the room: the source brings it up again; between shadows the source will
    /// introduce it, and a source that has just restarted may not be ready.
    pub(super) fn lost_there(&mut self, now: Now, jid: &BareJid, peer: &BareJid) {
        self.disprove(jid, peer);
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let is_source = room.is_source();
        let Some(instance) = room.instances.get_mut(peer) else {
            return;
        };
        (instance.is_synced, instance.sync) = (false, SyncStage::Idle);
        let gone_since = *instance.gone_since.get_or_insert(now.mono_ms);
        let is_lasting = now.mono_ms >= gone_since + LOST_AFTER_MS;
        if is_source {
            instance.gone_since = None;
            instance.stage = Stage::Wanted;
            self.advance(now, jid, &peer.service());
        } else if is_lasting && self.rooms.get(jid).is_some_and(|room| room.is_from_source(peer)) {
            self.source_lost(jid, peer);
        } else if self.rooms.get(jid).is_some_and(|room| room.is_from_source(peer)) {
            self.resync_later(now, jid, peer);
        } else {
            self.is_not_met(now, jid, peer);
        }
    }

    /// The source is there and has said for minutes that it has no such room: what is here is closed, as history that it
    /// may take up again.
    fn source_lost(&mut self, jid: &BareJid, source: &BareJid) {
        self.shadow_ends(jid, true);
        self.actions.push_back(Action::Close {
            room: jid.clone(),
            source: source.clone(),
            reason: Some("The room does not exist at its source any more".to_owned()),
        });
    }

    pub(super) fn handle_resyncs(&mut self, now: Now) {
        let (mut wanted, mut taken) = (Vec::new(), Vec::new());
        for jid in &self.timed {
            let room = self.rooms.get_mut(jid);
            for (peer, instance) in room.into_iter().flat_map(|room| &mut room.instances) {
                if instance.resync_at.is_some_and(|at| at <= now.mono_ms) {
                    instance.resync_at = None;
                    wanted.push((jid.clone(), peer.clone()));
                }
                if instance
                    .page
                    .as_ref()
                    .is_some_and(|page| page.next_at <= now.mono_ms)
                {
                    taken.push((jid.clone(), peer.clone()));
                }
            }
        }
        for (jid, peer) in wanted {
            self.want_sync(now, &jid, &peer);
        }
        // One at a time: the others' turn is the next timer's.
        if let Some((jid, peer)) = taken.first() {
            self.take_part(now, jid, peer);
        }
    }
}
