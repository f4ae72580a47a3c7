//! Resynchronisation: each side pulls what it lacks from the other, in pages, and only that (G4, G6, G10).
//!
//! The asker tells what it has of every origin, of the addressee's roster and of the settings; the answer holds what is
//! missing and, on its last page, what the addressee has. An event that the asker has is never told again. While
//! something of a home is missing here, its live messages are not taken: they come in the pages, in order.

use crate::address::BareJid;

use super::clock::{MAX_CLOCK_LEAD_MS, Now};
use super::link::{Caps, LinkState, service_of};
use super::log::{Entry, EventKey, Page, UNSTAMPED};
use super::request::Pending;
use super::room::{Room, Stage, SyncStage};
use super::roster::{ITEM_BYTES, PART_BYTES};
use super::{Action, Engine, Notice};
use crate::wire::{
    Affiliation, Condition, Config, Request, Response, Roster, RosterExtra, RosterItem, SeenNumbers,
    StanzaError, SyncAnswer, SyncEvent, SyncRequest,
};

/// Most events in one page.
const PAGE_EVENTS: usize = 200;
/// About the most bytes of events in one page.
const PAGE_BYTES: usize = 131_072;
/// About what an event costs besides its payload.
const EVENT_BYTES: usize = 200;
/// Third instances' events that came here only now are on their way to the asker, too.
const GRACE_MS: u64 = 10_000;
/// After how many attempts in a row, of growing distance, a room that its source does not have is given up: 8 minutes.
const LOST_AFTER: u32 = 9;
/// First and longest delay before something that could not be had is asked for again.
const RESYNC_FIRST_MS: u64 = 1_000;
const RESYNC_MOST_MS: u64 = 300_000;

impl Engine {
    /// Whether third instances' events are taken from `peer`: from the source, and from trusted peers (DESIGN 5).
    pub(super) fn takes_relayed(&self, jid: &BareJid, peer: &BareJid) -> bool {
        let is_trusted = self
            .config
            .peers
            .get(&service_of(peer))
            .is_some_and(|policy| policy.trusted);
        is_trusted || self.rooms.get(jid).is_some_and(|room| room.is_from_source(peer))
    }

    /// Something is missing here that `peer` has: it is asked, as soon as the link allows.
    pub(super) fn want_sync(&mut self, now: Now, jid: &BareJid, peer: &BareJid) {
        let service = service_of(peer);
        let caps = self.caps(&service);
        if matches!(caps, Caps::Xep | Caps::Nothing) {
            return;
        }
        let is_up = matches!(self.link_state(&service), LinkState::Up | LinkState::Syncing);
        let may_ask = caps == Caps::Full && is_up;
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
            _ if !may_ask => instance.sync = SyncStage::Wanted,
            _ => self.ask_sync(now, jid, peer),
        }
    }

    fn ask_sync(&mut self, now: Now, jid: &BareJid, peer: &BareJid) {
        let relay = self.takes_relayed(jid, peer);
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let from_source = room.is_from_source(peer);
        let seen = room.log.vector(|origin| relay || origin == peer, false);
        let is_new = room.log.is_empty();
        let version = room.settings.version;
        let Some(instance) = room.instances.get_mut(peer) else {
            return;
        };
        (instance.sync, instance.resync_at) = (SyncStage::Asked, None);
        let request = Request::Sync(SyncRequest {
            seen,
            roster: instance.roster_version,
            settings: from_source.then_some(version),
            relay,
            is_new,
        });
        let pending = Pending::Sync {
            room: jid.clone(),
            instance: peer.clone(),
        };
        self.request(now, jid.clone(), peer.clone(), request, pending);
    }

    /// What somebody who knows what `request` says lacks.
    pub(super) fn sync_asked(
        &mut self,
        now: Now,
        jid: &BareJid,
        asker: &BareJid,
        request: &SyncRequest,
    ) -> SyncAnswer {
        let wait_ms = self.config.link_timeout_ms;
        let Some(room) = self.rooms.get(jid) else {
            return SyncAnswer::default();
        };
        // Who has nothing yet gets nothing from third instances either.
        let is_late = |received_ms: u64| request.is_new || received_ms + GRACE_MS <= now.mono_ms;
        let is_told = |origin: &BareJid, received_ms: u64| {
            origin == jid || request.relay && (origin == asker || is_late(received_ms))
        };
        let page = Page {
            is_told: &is_told,
            max_events: PAGE_EVENTS,
            max_bytes: PAGE_BYTES,
            overhead: EVENT_BYTES,
            is_new: request.is_new,
        };
        let (events, more) = room.log.lacking(&request.seen, &page);
        let seen = match more {
            true => Vec::new(),
            false => room.log.vector(|origin| request.relay || origin == jid, true),
        };
        let settings = request.settings.filter(|_| room.is_source());
        let is_stale = settings.is_some_and(|version| version != room.settings.version);
        let config = is_stale.then(|| Config {
            form: room.settings.form.clone(),
            settings: Some(room.settings_extra()),
        });
        let affiliations = settings.filter(|_| is_stale);
        let roster = self.roster_since(jid, asker, request.roster, affiliations);
        if let Some(instance) = self
            .rooms
            .get_mut(jid)
            .and_then(|room| room.instances.get_mut(asker))
        {
            instance.pulls_until = more.then_some(now.mono_ms + wait_ms);
        }
        let size =
            |item: &RosterItem| ITEM_BYTES + item.occupant.as_ref().map_or(0, |extra| extra.payload.len());
        let is_large = roster
            .as_ref()
            .is_some_and(|roster| roster.items.iter().map(size).sum::<usize>() > PART_BYTES);
        let mut config = config;
        if is_large {
            // More than fits: in parts, before the answer.
            if config.take().is_some() {
                self.send_config(now, jid, asker, false);
            }
            self.send_roster(now, jid, asker);
        }
        SyncAnswer {
            more,
            seen,
            config,
            roster: roster.filter(|_| !is_large),
            events,
        }
    }

    /// What has changed in our roster since the version that `asker` has and, if `settings` is given, in the list of
    /// affiliations since that one. `None`: nothing.
    fn roster_since(
        &mut self,
        jid: &BareJid,
        asker: &BareJid,
        version: Option<u64>,
        settings: Option<u64>,
    ) -> Option<Roster> {
        let room = self.rooms.get(jid)?;
        let sees_jids = self.may_see_jids(room, asker);
        let is_stale = version != Some(room.roster_version);
        if !is_stale && settings.is_none() {
            return None;
        }
        let since = version.filter(|version| room.knows_roster_since(*version));
        let mut items = Vec::new();
        if is_stale {
            let changed = room
                .locals
                .iter()
                .filter(|(_, local)| since.is_none_or(|since| local.version > since));
            items.extend(changed.map(|(nick, local)| super::roster::item(nick, local, sees_jids, true)));
            if let Some(since) = since {
                let gone = room
                    .departed
                    .iter()
                    .filter(|(nick, version)| **version > since && !room.locals.contains_key(*nick));
                items.extend(gone.map(|(nick, _)| departed(nick)));
            }
        }
        let known = settings.filter(|version| room.knows_settings_since(*version));
        if settings.is_some() {
            let changed = room
                .settings
                .affiliations
                .iter()
                .filter(|(_, entry)| known.is_none_or(|known| entry.version > known));
            items.extend(changed.map(|(user, entry)| {
                super::roster::entry_item(user, entry.affiliation, entry.reserved_nick.as_deref())
            }));
            if let Some(known) = known {
                let gone = room
                    .settings
                    .removed
                    .iter()
                    .filter(|(_, version)| **version > known);
                items.extend(gone.map(|(user, _)| super::roster::entry_item(user, Affiliation::None, None)));
            }
        }
        let extra = RosterExtra {
            version: room.roster_version,
            occupants: is_stale && since.is_none(),
            affiliations: settings.is_some() && known.is_none(),
            more: false,
            term: Some(room.settings.term),
            settings: room.is_source().then_some(room.settings.version),
        };
        let lacks = !sees_jids && !room.locals.is_empty();
        if let Some(instance) = self
            .rooms
            .get_mut(jid)
            .and_then(|room| room.instances.get_mut(asker))
        {
            instance.lacks_jids |= lacks;
            instance.needs_roster = false;
        }
        Some(Roster {
            items,
            extra: Some(extra),
        })
    }

    pub(super) fn sync_answered(
        &mut self,
        now: Now,
        jid: &BareJid,
        peer: &BareJid,
        answer: Result<Response, StanzaError>,
    ) {
        let instance = self
            .rooms
            .get_mut(jid)
            .and_then(|room| room.instances.get_mut(peer));
        let Some(instance) = instance else { return };
        if instance.sync != SyncStage::Asked {
            return;
        }
        instance.sync = SyncStage::Idle;
        match answer {
            Ok(Response::Sync(answer)) => self.take_answer(now, jid, peer, *answer),
            Err(error) if Self::is_link_error(&error) => self.set_sync(jid, peer, SyncStage::Wanted),
            Err(error) if error.condition == Condition::ItemNotFound => self.lost_there(now, jid, peer),
            _ => self.resync_later(now, jid, peer),
        }
    }

    fn set_sync(&mut self, jid: &BareJid, peer: &BareJid, stage: SyncStage) {
        let instance = self
            .rooms
            .get_mut(jid)
            .and_then(|room| room.instances.get_mut(peer));
        if let Some(instance) = instance {
            instance.sync = stage;
        }
    }

    fn take_answer(&mut self, now: Now, jid: &BareJid, peer: &BareJid, answer: SyncAnswer) {
        let from_source = self.rooms.get(jid).is_some_and(|room| room.is_from_source(peer));
        if let Some(config) = answer.config.filter(|_| from_source) {
            self.apply_config(now, jid, peer, config);
        }
        if let Some(roster) = &answer.roster {
            self.apply_roster(now, jid, peer, roster);
            self.take_versions(jid, peer, roster.extra.as_ref(), from_source);
        }
        self.take_events(now, jid, peer, answer.events);
        if answer.more {
            self.ask_sync(now, jid, peer);
            return;
        }
        let lacks = self.take_seen(jid, peer, &answer.seen);
        let Some(instance) = self
            .rooms
            .get_mut(jid)
            .and_then(|room| room.instances.get_mut(peer))
        else {
            return;
        };
        instance.is_synced = true;
        if lacks {
            self.resync_later(now, jid, peer);
        } else {
            (instance.resync_at, instance.resyncs) = (None, 0);
        }
        self.agreed(now, jid, peer);
        self.settle_link(&service_of(peer));
    }

    /// What was pulled is the truth, whatever the versions were before.
    fn take_versions(
        &mut self,
        jid: &BareJid,
        peer: &BareJid,
        extra: Option<&RosterExtra>,
        from_source: bool,
    ) {
        let (Some(room), Some(extra)) = (self.rooms.get_mut(jid), extra) else {
            return;
        };
        if let Some(instance) = room.instances.get_mut(peer) {
            instance.roster_version = Some(extra.version);
        }
        if let Some(version) = extra.settings.filter(|_| from_source) {
            room.settings.version = version;
            self.unsaved.insert(jid.clone());
        }
    }

    /// Events that were missing. What is known already is not taken twice (G4).
    fn take_events(&mut self, now: Now, jid: &BareJid, peer: &BareJid, events: Vec<SyncEvent>) {
        let relay = self.takes_relayed(jid, peer);
        let Some(room) = self.rooms.get(jid) else { return };
        // Who joined as soon as it was possible has missed what was said since; clocks may differ.
        let missed_since = room.ready_at_ms.saturating_sub(MAX_CLOCK_LEAD_MS);
        for event in events {
            let stamp = event.event;
            let origin = stamp.origin.unwrap_or_else(|| peer.clone());
            let is_fine = (relay || origin == *peer) && event.payload.len() <= self.config.max_stanza_size;
            if !is_fine {
                continue;
            }
            self.clock.observe(now, stamp.at);
            let key = match stamp.incarnation {
                UNSTAMPED => self.unstamped_key(jid, &origin, stamp.at),
                incarnation => EventKey {
                    at: stamp.at,
                    origin,
                    incarnation,
                    seq: stamp.seq,
                },
            };
            let entry = Entry {
                key,
                id: stamp.id,
                nick: event.nick,
                message_id: event.message_id,
                occupant_id: event.occupant_id,
                payload: event.payload.into(),
                received_ms: now.mono_ms,
            };
            let deliver = entry.key.at.wall_ms >= missed_since;
            self.add_entry(now, jid, entry, deliver);
        }
    }

    /// What the peer has: what it can't tell any more, as the origin, is lost. Returns whether it has something that it
    /// did not tell yet.
    fn take_seen(&mut self, jid: &BareJid, peer: &BareJid, seen: &[SeenNumbers]) -> bool {
        let relay = self.takes_relayed(jid, peer);
        let Some(room) = self.rooms.get_mut(jid) else {
            return false;
        };
        let (mut lost, mut lacks) = (0u64, false);
        let is_news = room.log.knows(peer);
        for entry in seen {
            if entry.origin == *peer {
                lost = room
                    .log
                    .mark(&entry.origin, entry.incarnation, &entry.numbers)
                    .saturating_add(lost);
            } else if relay && let Some(first) = entry.first {
                let told = entry.numbers.from(first);
                lacks |= room.log.missing(&entry.origin, entry.incarnation, &told) > 0;
            }
        }
        // Who is new has not lost what was said before it came.
        if lost > 0 && is_news {
            self.actions.push_back(Action::Notice {
                room: jid.clone(),
                peer: service_of(peer),
                notice: Notice::Gap { messages: lost },
            });
        }
        if lost > 0 {
            self.unsaved.insert(jid.clone());
        }
        lacks
    }

    fn resync_later(&mut self, now: Now, jid: &BareJid, peer: &BareJid) {
        let jitter = self.ids.below(RESYNC_FIRST_MS);
        let Some(instance) = self
            .rooms
            .get_mut(jid)
            .and_then(|room| room.instances.get_mut(peer))
        else {
            return;
        };
        let delay = RESYNC_FIRST_MS
            .saturating_mul(1 << instance.resyncs.min(9))
            .clamp(RESYNC_FIRST_MS, RESYNC_MOST_MS);
        instance.resyncs = instance.resyncs.saturating_add(1);
        instance.resync_at = Some(now.mono_ms + delay + jitter);
    }

    /// Both sides agree, as far as we are concerned.
    pub(super) fn agreed(&mut self, now: Now, jid: &BareJid, peer: &BareJid) {
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
        instance.is_synced = true;
        if instance.is_cut {
            self.mend_instance(now, jid, peer);
        }
        if from_source {
            self.make_offers(now, jid);
        }
    }

    /// The peer says that it does not have the room: the source brings it up again; between shadows the source will
    /// introduce it, and a source that has just restarted may not be ready.
    pub(super) fn lost_there(&mut self, now: Now, jid: &BareJid, peer: &BareJid) {
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let is_source = room.is_source();
        let Some(instance) = room.instances.get_mut(peer) else {
            return;
        };
        (instance.is_synced, instance.sync) = (false, SyncStage::Idle);
        let is_lasting = instance.resyncs >= LOST_AFTER;
        if is_source {
            instance.stage = Stage::Wanted;
            self.advance(now, jid, &service_of(peer));
        } else if is_lasting && self.rooms.get(jid).is_some_and(|room| room.is_from_source(peer)) {
            self.source_lost(jid, peer);
        } else {
            self.resync_later(now, jid, peer);
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
        let mut due = Vec::new();
        for room in self.rooms.values_mut() {
            for (peer, instance) in &mut room.instances {
                if instance.resync_at.is_some_and(|at| at <= now.mono_ms) {
                    instance.resync_at = None;
                    due.push((room.jid.clone(), peer.clone()));
                }
            }
        }
        for (jid, peer) in due {
            self.want_sync(now, &jid, &peer);
        }
    }
}

impl Room {
    /// Whether a peer gets this message in the pages that it is pulling.
    pub(super) fn is_pulling(&self, peer: &BareJid, now: Now) -> bool {
        let instance = self.instances.get(peer);
        instance
            .and_then(|instance| instance.pulls_until)
            .is_some_and(|until| now.mono_ms < until)
    }
}

fn departed(nick: &str) -> RosterItem {
    RosterItem {
        role: Some(crate::wire::Role::None),
        nick: Some(nick.to_owned()),
        ..RosterItem::default()
    }
}
