//! Digests: heartbeat, detection of lost tails and anti-entropy in one. Each side tells, one line per room, what it has to
//! offer; what the other lacks it pulls ([`super::sync`]).

use crate::address::BareJid;

use super::cause::Cause;
use super::differing::{parts_bytes, parts_of};
use super::link::{Caps, LinkState};
use super::request::Pending;
use super::state::clock::Now;
use super::state::instance::{Stage, SyncStage};
use super::state::room::Room;
use super::sync::GRACE_MS;
use super::{Engine, Notice};
use crate::config::Replicate;
use crate::wire::{Digest, Request, RoomDigest, limits::MAX_DIGEST_ROOMS};

impl Engine {
    /// Tells a service of the rooms that have changed since it was told; without any, it is a mere heartbeat.
    pub(super) fn send_digest(&mut self, now: Now, service: &BareJid, wait_ms: u64) {
        self.send_lines(now, service, wait_ms, false);
    }

    /// The same of somebody who has just been loaded, or reaches the service again.
    pub(super) fn send_hello(&mut self, now: Now, service: &BareJid) {
        self.send_lines(now, service, self.config.link_timeout_ms, true);
    }

    fn send_lines(&mut self, now: Now, service: &BareJid, wait_ms: u64, hello: bool) {
        let mut rooms = Vec::new();
        let from = self.config.service.clone();
        self.rooms.change_shared_with(service, |room| {
            let revision = room.revision;
            let here = room.instances.iter_mut().find(|(jid, _)| jid.is_at(service));
            let Some((peer, instance)) = here else { return };
            let is_told = instance.stage != Stage::Active || instance.told == Some(revision) || !room.ready;
            if is_told || rooms.len() == MAX_DIGEST_ROOMS {
                return;
            }
            let is_anew = instance.told.is_none();
            instance.told = Some(revision);
            let peer = peer.clone();
            // The source may have been put back to before there was a shadow.
            let proof = (is_anew && room.is_from_source(&peer)).then(|| room.proof(&from));
            let told = line(room, &peer);
            rooms.push(RoomDigest {
                proof: proof.flatten(),
                ..told
            });
        });
        let life = Some(self.ids.name());
        let request = Request::Digest(Digest {
            life,
            hello,
            rooms,
            ..Digest::default()
        });
        let pending = Pending::Digest(service.clone());
        self.request_within(now, wait_ms, from, service.clone(), request, pending);
    }

    /// Both sides find out what they have missed: every room they share is told of again.
    pub(super) fn start_syncing(&mut self, now: Now, service: &BareJid) {
        self.forget_told(service);
        self.tell_endings(now, service);
        let has_instances = self.rooms.shared_with(service).any(|room| {
            let mut here = room.instances.iter().filter(|(jid, _)| jid.is_at(service));
            here.any(|(_, instance)| instance.stage == Stage::Active)
        });
        if has_instances {
            self.set_syncing(service);
        }
        self.send_hello(now, service);
    }

    /// Nothing that was told is sure to have arrived. The service may have said why.
    pub(super) fn digest_failed(&mut self, now: Now, service: &BareJid, cause: Option<Cause>) {
        self.forget_told(service);
        // A later one may have been answered: this one's rooms have to be told again all the same.
        self.said_to(now, service);
        self.settle_link(service);
        if cause == Some(Cause::NotPeered) {
            // Its own rooms are parked; where it has a shadow of ours, or another one, it is out of reach.
            self.not_shared(now, service);
        }
        if let Some(cause) = cause {
            self.link_refused(now, service, cause);
        } else if self.is_asked_while_down(service) {
            self.retry_later(now, service);
        }
    }

    fn forget_told(&mut self, service: &BareJid) {
        self.rooms.change_shared_with(service, |room| {
            for (jid, instance) in &mut room.instances {
                if jid.is_at(service) {
                    instance.told = None;
                }
            }
        });
    }

    /// Another life than before: the peer was restarted, maybe from a backup, and which of our rooms it still has shows
    /// when it is told of them again. Returns whether that is so.
    ///
    /// Taken notice of once per link timeout (G13): a life that changes sooner is noticed when it is named after that.
    fn note_life(&mut self, now: Now, service: &BareJid, digest: &Digest) -> bool {
        let pause = self.config.link_timeout_ms;
        let (Some(life), Some(link)) = (&digest.life, self.links.get_mut(service)) else {
            return false;
        };
        let is_another = link.life.as_ref().is_some_and(|was| was != life);
        let is_too_soon = link.life_noticed_at.is_some_and(|at| now.mono_ms < at + pause);
        if is_another && is_too_soon {
            return false;
        }
        let is_first = link.life.is_none();
        link.life = Some(life.clone());
        if is_another {
            link.life_noticed_at = Some(now.mono_ms);
            // It may be another version by now, and says so when it asks.
            link.reads_packed = false;
            self.forget_told(service);
        }
        if is_another || is_first {
            self.has_started(now, service);
        }
        is_another
    }

    /// Whether rooms that the service has an instance of have not been told of.
    pub(super) fn has_untold(&self, service: &BareJid) -> bool {
        self.rooms.shared_with(service).any(|room| {
            let mut here = room.instances.iter().filter(|(jid, _)| jid.is_at(service));
            room.ready && here.any(|(_, instance)| instance.stage == Stage::Active && instance.told.is_none())
        })
    }

    /// A source that has lost that there was a shadow (it was restarted from what it had stored before) takes it up again:
    /// where every peer has the room anyway, or if the peer knows what only who had the room can know.
    fn take_up_again(&mut self, now: Now, service: &BareJid, theirs: &RoomDigest) -> bool {
        let limit = self.config.max_peerhosts;
        let is_for_all = self.config.replicate == Replicate::Immediately;
        let knows = |room: &Room| {
            !room.has_guessable_id() || theirs.proof.is_some() && theirs.proof == room.proof(service)
        };
        let is_unknown = |room: &&Room| {
            let is_ours = room.is_source() && room.started;
            is_ours
                && (is_for_all || knows(room))
                && room.instances.len() < limit
                && !room.retracted.contains(service)
                && !room.instances.keys().any(|instance| instance.is_at(service))
        };
        if self.is_brought_up(now, service, theirs) {
            return true;
        }
        let Some(jid) = self
            .rooms
            .with_id(&theirs.id)
            .find(is_unknown)
            .map(|room| room.jid.clone())
        else {
            return false;
        };
        self.want_instance(now, &jid, service);
        true
    }

    /// A source's instance there that it is still bringing up, or that has said no before: by telling of the room it asks for
    /// it.
    fn is_brought_up(&mut self, now: Now, service: &BareJid, theirs: &RoomDigest) -> bool {
        let is_it = |room: &&Room| room.is_source() && room.started;
        let found = self.rooms.with_id(&theirs.id).find(is_it);
        let Some(jid) = found.map(|room| room.jid.clone()) else {
            return false;
        };
        let Some(room) = self.rooms.get_mut(&jid) else {
            return false;
        };
        let here = room.instances.iter_mut().find(|(jid, _)| jid.is_at(service));
        let Some((_, instance)) = here else {
            return false;
        };
        if instance.stage == Stage::Refused {
            instance.stage = Stage::Wanted;
        }
        if instance.stage == Stage::Wanted {
            match self.caps(service) {
                // It is being asked; as what it is brought up follows from the answer.
                Caps::Unknown | Caps::Nothing => self.learn_caps(now, service),
                Caps::Xep | Caps::Full => self.advance(now, &jid, service),
            }
        }
        true
    }

    /// What is new in a room here is told with the next heartbeats, which are due now: one to each service, however many
    /// rooms there are.
    pub(super) fn tell_soon(&mut self, now: Now, jid: &BareJid) {
        let Some(room) = self.rooms.get(jid) else { return };
        let services: Vec<BareJid> = room.instances.keys().map(|jid| jid.service()).collect();
        for service in services {
            self.beat_now(now, &service);
        }
    }

    /// A peer told what its rooms have to offer: ours of the same rooms are the answer.
    pub(super) fn digest_told(&mut self, now: Now, service: &BareJid, digest: &Digest) -> Digest {
        let is_restarted = self.note_life(now, service, digest);
        let mut rooms = Vec::new();
        let mut hashed_bytes = 0;
        for theirs in &digest.rooms {
            let found = self.find_instance(service, theirs);
            let Some((jid, peer)) = found else {
                let is_unread = self.rooms.with_id(&theirs.id).any(|room| !room.started);
                if !theirs.gone
                    && !is_unread
                    && !self.take_up_again(now, service, theirs)
                    && !self.has_unread()
                {
                    rooms.push(RoomDigest::gone(theirs.id.clone()));
                }
                continue;
            };
            if let Some(room) = self.rooms.get_mut(&jid) {
                // Of one room alone: it takes some work.
                let is_asked = theirs.parts.is_some() && digest.rooms.len() == 1;
                hashed_bytes += if is_asked { parts_bytes(room) } else { 0 };
                rooms.push(RoomDigest {
                    parts: is_asked.then(|| parts_of(room)),
                    ..line(room, &peer)
                });
                let revision = room.revision;
                if let Some(instance) = room.instances.get_mut(&peer) {
                    instance.told = Some(revision);
                }
            }
            self.compare(now, &jid, &peer, theirs);
        }
        self.charge_bytes(now, service, hashed_bytes);
        // Of those that it has it has just told by itself.
        if is_restarted && self.link_state(service) == LinkState::Up && self.has_untold(service) {
            self.send_digest(now, service, self.config.link_timeout_ms);
        }
        let life = Some(self.ids.name());
        if digest.hello || is_restarted {
            self.ask_refused_soon(now, service);
        }
        let answer = Digest {
            life,
            rooms,
            ..Digest::default()
        };
        self.stamped(now, service, digest.hello, answer)
    }

    /// The peer's side of the rooms that we told of.
    pub(super) fn digest_answered(&mut self, now: Now, service: &BareJid, digest: &Digest, sent_at: u64) {
        self.note_life(now, service, digest);
        self.note_unlike(now, service, digest, sent_at);
        self.unpark_all(now, service);
        for theirs in &digest.rooms {
            if let Some((jid, peer)) = self.find_instance(service, theirs) {
                self.compare(now, &jid, &peer, theirs);
            }
        }
        // More rooms than fit into one.
        self.ask_wanted(now, service);
        if self.has_untold(service) {
            self.send_digest(now, service, self.config.link_timeout_ms);
        }
        self.settle_link(service);
    }

    fn find_instance(&self, service: &BareJid, theirs: &RoomDigest) -> Option<(BareJid, BareJid)> {
        self.rooms
            .with_id(&theirs.id)
            .filter(|room| room.ready && room.started)
            .find_map(|room| {
                let mut peers = room.instances.iter();
                let (peer, _) =
                    peers.find(|(jid, instance)| jid.is_at(service) && instance.stage == Stage::Active)?;
                Some((room.jid.clone(), peer.clone()))
            })
    }

    /// Pulls what a peer's line says is missing here. If nothing is, both sides agree as far as we are concerned.
    fn compare(&mut self, now: Now, jid: &BareJid, peer: &BareJid, theirs: &RoomDigest) {
        if theirs.gone {
            self.lost_there(now, jid, peer);
            return;
        }
        let takes_rest = self.takes_relayed(jid, peer);
        if let Some(instance) = self.instance_mut(jid, peer) {
            instance.gone_since = None;
            if let Some(parts) = &theirs.parts {
                instance.parts = Some((parts.clone(), now.mono_ms));
            }
        }
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let from_source = room.is_from_source(peer);
        let lacks_settings = from_source && theirs.settings != Some(room.settings.version);
        let lacks_log = theirs
            .log
            .is_some_and(|(incarnation, seq)| !room.log.has_seen(peer, incarnation, seq));
        let rest = takes_rest
            .then(|| room.log.hash_but(jid, peer, from_source))
            .filter(|ours| *ours != theirs.rest && theirs.rest.is_some());
        let Some(instance) = room.instances.get_mut(peer) else {
            return;
        };
        if !instance.is_proven {
            // It may be another room with this id: what is missing here shows when it answers for this one.
            return self.want_sync(now, jid, peer);
        }
        let lacks_roster = instance.roster_version != Some(theirs.roster);
        let lacks_rest = rest.is_some() && instance.settled_rest != theirs.rest;
        let is_wanted = instance.sync == SyncStage::Wanted;
        // Of what we have said ourselves no line tells: who has lost some, and begins anew, finds that by a pull.
        let is_unasked = takes_rest && !instance.has_caught_up;
        if lacks_rest {
            instance.settled_rest = theirs.rest.clone();
        }
        if lacks_log || lacks_roster || lacks_settings {
            instance.is_synced = false;
        }
        if lacks_log || lacks_roster || lacks_settings || lacks_rest || is_wanted || is_unasked {
            self.want_sync(now, jid, peer);
        } else if instance.sync == SyncStage::Idle {
            self.agreed(now, jid, peer);
            self.compare_words(now, jid, peer, theirs);
        }
    }

    /// The numbers are the same: is what they stand for? What the source says counts; what a shadow says of its own is
    /// noticed at the source.
    fn compare_words(&mut self, now: Now, jid: &BareJid, peer: &BareJid, theirs: &RoomDigest) {
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let from_source = room.is_from_source(peer);
        let is_same_tail = theirs.log == room.log.latest(peer);
        let rest = room.log.hash_but(jid, peer, from_source);
        if theirs.words.is_none()
            || !is_same_tail
            || !(from_source && rest == theirs.rest || room.is_source())
        {
            return;
        }
        let ours = match from_source {
            true => room.log.words(|origin| origin != jid),
            false => room.log.words(|origin| origin == peer),
        };
        let Some(instance) = room.instances.get_mut(peer) else {
            return;
        };
        if ours.is_none() || ours == theirs.words || instance.settled_words == theirs.words {
            return;
        }
        instance.settled_words = theirs.words.clone();
        if from_source {
            // It tells of third instances what came to it some time ago.
            instance.is_reviewed = true;
            instance.resync_at = Some(now.mono_ms + GRACE_MS + GRACE_MS / 10);
            self.timed.insert(jid.clone());
        } else {
            let origin = peer.clone();
            self.note(jid, &peer.service(), Notice::Differs { origin });
        }
    }
}

/// What we have to offer to a peer instance.
pub(super) fn line(room: &mut Room, peer: &BareJid) -> RoomDigest {
    let (here, is_source) = (room.jid.clone(), room.is_source());
    let words = match (is_source, room.is_from_source(peer)) {
        (true, _) => room.log.words(|origin| origin != peer),
        (_, true) => room.log.words(|origin| *origin == here),
        _ => None,
    };
    RoomDigest {
        id: room.id.clone(),
        log: room.log.latest(&room.jid),
        roster: room.roster_version,
        settings: room.is_source().then_some(room.settings.version),
        rest: room.log.hash_but(&room.jid, peer, room.is_from_source(peer)),
        words,
        proof: None,
        parts: None,
        gone: false,
    }
}
