//! Resynchronisation: each side pulls what it lacks from the other, in pages, and only that (G4, G6, G10).
//!
//! The asker tells what it has of every origin, of the addressee's roster and of the settings; the answer holds what is
//! missing and, on its last page, what the addressee has. An event that the asker has is never told again. While
//! something of a home is missing here, its live messages are not taken: they come in the pages, in order.

use crate::address::{BareJid, Jid};

use super::clock::Now;
use super::link::{Caps, LinkState, is_at, service_of};
use super::log::{Entry, EventKey, Page, UNSTAMPED};
use super::request::Pending;
use super::room::{OpenPage, Room, Stage, SyncStage};
use super::roster::{PART_BYTES, item_bytes};
use super::{Action, Engine, Notice};
use crate::wire::{
    Affiliation, Condition, Config, Numbers, Request, Response, Roster, RosterExtra, RosterItem, SeenNumbers,
    StanzaError, SyncAnswer, SyncEvent, SyncRequest,
};

/// Most events in one page.
const PAGE_EVENTS: usize = 200;
/// About the most bytes of events in one page.
const PAGE_BYTES: usize = 131_072;
/// How many of them are taken at once.
const PART_EVENTS: usize = 4;
/// About what an event costs besides its payload.
const EVENT_BYTES: usize = 200;
/// Third instances' events that came here only now are on their way to the asker, too.
const GRACE_MS: u64 = 10_000;
/// How many pulls may be under way over one link (G13): more would wait for each other on it.
const MAX_PULLS: usize = 4;
/// A roster or a configuration larger than this has an answer of its own.
const LARGE_BYTES: usize = 65_536;
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
        let may_ask = caps == Caps::Full && is_up && self.pulls(&service) < MAX_PULLS;
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
            _ if !may_ask => instance.sync = SyncStage::Wanted,
            _ => self.ask_sync(now, jid, peer),
        }
    }

    /// How many instances of a service are being asked what is missing.
    fn pulls(&self, service: &BareJid) -> usize {
        let instances = self.rooms.values().flat_map(|room| room.instances.iter());
        let here = instances.filter(|(jid, _)| is_at(jid, service));
        here.filter(|(_, instance)| matches!(instance.sync, SyncStage::Asked | SyncStage::Taking { .. }))
            .count()
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
        instance.wants_whole = false;
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
        self.check_incarnation(now, jid, &request.seen);
        let Some(room) = self.rooms.get(jid) else {
            return SyncAnswer::default();
        };
        let settings = request.settings.filter(|_| room.is_source());
        let is_stale = settings.is_some_and(|version| version != room.settings.version);
        let mut config = is_stale.then(|| Config {
            form: room.settings.form.clone(),
            settings: Some(room.settings_extra()),
        });
        let affiliations = settings.filter(|_| is_stale);
        let mut roster = self.roster_since(jid, asker, request.roster, affiliations);
        let items = roster.iter().flat_map(|roster| &roster.items);
        let roster_bytes: usize = items.map(item_bytes).sum();
        if roster_bytes > PART_BYTES {
            // More than fits: in parts, before the answer.
            if config.take().is_some() {
                self.send_config(now, jid, asker, false);
            }
            self.send_roster(now, jid, asker);
            roster = None;
        }
        let config_bytes = config.as_ref().map_or(0, |config| config.form.to_xml().len());
        let is_large = roster.is_some() && roster_bytes > LARGE_BYTES || config_bytes > LARGE_BYTES;
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
        let (events, more) = match is_large {
            true => (Vec::new(), true),
            false => room.log.lacking(&request.seen, &page),
        };
        let seen = match more {
            true => Vec::new(),
            false => room.log.vector(|origin| request.relay || origin == jid, true),
        };
        if let Some(instance) = self.instance_mut(jid, asker) {
            instance.pulls_until = more.then_some(now.mono_ms + wait_ms);
        }
        SyncAnswer {
            more,
            seen,
            config,
            roster,
            events,
        }
    }

    /// A peer that knows more of our present life than we do proves that numbers were used that are not known here any
    /// more: a new one begins (DESIGN 3.1).
    fn check_incarnation(&mut self, now: Now, jid: &BareJid, seen: &[SeenNumbers]) {
        let jitter = self.ids.below(super::LIFE / 16);
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let life = room.incarnation;
        let next = room.log.next_seq(jid, life);
        let is_ahead = |entry: &SeenNumbers| {
            entry.origin == *jid && entry.incarnation == life && entry.numbers.last() >= Some(next)
        };
        if seen.iter().any(is_ahead) {
            room.live_anew((life + super::LIFE + jitter).max(now.wall_ms));
            room.touch();
            self.unsaved.insert(jid.clone());
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
            items.extend(changed.map(|(user, _)| room.entry(user)));
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
        if let Some(instance) = self.instance_mut(jid, asker) {
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
        let Some(instance) = self.instance_mut(jid, peer) else {
            return;
        };
        if instance.sync != SyncStage::Asked {
            return;
        }
        instance.sync = SyncStage::Idle;
        match answer {
            Ok(Response::Sync(answer)) => self.take_answer(now, jid, peer, *answer),
            // Lost on a link that works.
            Err(error) if Self::is_link_error(&error) && self.is_link_open(&service_of(peer)) => {
                self.resync_later(now, jid, peer);
            }
            Err(error) if Self::is_link_error(&error) => self.set_sync(jid, peer, SyncStage::Wanted),
            Err(error) if error.condition == Condition::ItemNotFound => self.lost_there(now, jid, peer),
            _ => self.resync_later(now, jid, peer),
        }
        self.ask_wanted(now, &service_of(peer));
    }

    fn set_sync(&mut self, jid: &BareJid, peer: &BareJid, stage: SyncStage) {
        if let Some(instance) = self.instance_mut(jid, peer) {
            instance.sync = stage;
        }
    }

    fn take_answer(&mut self, now: Now, jid: &BareJid, peer: &BareJid, answer: SyncAnswer) {
        let from_source = self.rooms.get(jid).is_some_and(|room| room.is_from_source(peer));
        let is_useful = answer.config.is_some() || answer.roster.is_some();
        if let Some(config) = answer.config.filter(|_| from_source) {
            // Who has become a member is one before the room takes only members, and who is none any more stays one
            // until it takes everybody: so nobody is removed whom the source did not remove.
            if let Some(roster) = &answer.roster {
                self.raise_affiliations(jid, roster);
            }
            self.apply_config(now, jid, peer, config);
        }
        if let Some(roster) = &answer.roster {
            self.apply_roster(now, jid, peer, roster);
            self.take_versions(jid, peer, roster.extra.as_ref(), from_source);
        }
        let Some(instance) = self.instance_mut(jid, peer) else {
            return;
        };
        instance.gone_since = None;
        let again = std::mem::take(&mut instance.wants_whole);
        if again {
            instance.roster_version = None;
        }
        instance.sync = SyncStage::Taking { again };
        instance.page = Some(Box::new(OpenPage {
            events: answer.events.into(),
            more: answer.more,
            seen: answer.seen,
            is_useful,
            next_at: now.mono_ms,
        }));
        self.take_part(now, jid, peer);
    }

    /// Takes the next events of a page: few at a time, since the host stores each before it shows it, and others wait.
    fn take_part(&mut self, now: Now, jid: &BareJid, peer: &BareJid) {
        let instance = self.instance_mut(jid, peer);
        let Some(page) = instance.and_then(|instance| instance.page.as_mut()) else {
            return;
        };
        let part: Vec<SyncEvent> = page.events.drain(..page.events.len().min(PART_EVENTS)).collect();
        page.next_at = now.mono_ms + 1;
        let is_last = page.events.is_empty();
        let is_useful = self.take_events(now, jid, peer, part);
        let instance = self.instance_mut(jid, peer);
        if let Some(page) = instance.and_then(|instance| instance.page.as_mut()) {
            page.is_useful |= is_useful;
        }
        if is_last {
            self.close_page(now, jid, peer);
        } else {
            self.timed.insert(jid.clone());
        }
    }

    /// The whole page is here: the next one, or what the peer has besides.
    fn close_page(&mut self, now: Now, jid: &BareJid, peer: &BareJid) {
        let Some(instance) = self.instance_mut(jid, peer) else {
            return;
        };
        let Some(page) = instance.page.take() else { return };
        let again = instance.sync == SyncStage::Taking { again: true };
        instance.sync = SyncStage::Idle;
        if page.more {
            // A page without anything new would be followed by the same again.
            match page.is_useful {
                true => self.ask_sync(now, jid, peer),
                false => self.resync_later(now, jid, peer),
            }
            return;
        }
        let lacks = self.take_seen(jid, peer, &page.seen);
        let Some(instance) = self.instance_mut(jid, peer) else {
            return;
        };
        instance.is_synced = !again;
        instance.has_caught_up |= !again;
        if again {
            self.want_sync(now, jid, peer);
            return;
        }
        (instance.resync_at, instance.resyncs) = (None, 0);
        if lacks {
            // It came there only just now: told when it is older.
            instance.resync_at = Some(now.mono_ms + GRACE_MS + GRACE_MS / 10);
            self.timed.insert(jid.clone());
        }
        self.agreed(now, jid, peer);
        self.settle_link(&service_of(peer));
        self.ask_wanted(now, &service_of(peer));
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

    /// Events that were missing. What is known already is not taken twice (G4). Returns whether anything was new.
    fn take_events(&mut self, now: Now, jid: &BareJid, peer: &BareJid, events: Vec<SyncEvent>) -> bool {
        let relay = self.takes_relayed(jid, peer);
        let Some(room) = self.rooms.get(jid) else {
            return false;
        };
        // Who joined as soon as it was possible has missed what was said since.
        let has_caught_up = room
            .instances
            .get(peer)
            .is_some_and(|instance| instance.has_caught_up);
        let (mut is_useful, mut lost) = (false, 0);
        for event in events {
            let stamp = event.event;
            let origin = stamp.origin.unwrap_or_else(|| peer.clone());
            let Some(room) = self.rooms.get_mut(jid) else {
                return false;
            };
            if origin != *peer && !(relay && room.may_have_instance(&origin)) {
                continue;
            }
            if event.nick.is_empty() && !room.is_from_source(&origin) {
                // Only the source says what is moderated (G11).
                let number = Numbers::single(stamp.seq);
                is_useful |= room.log.mark(&origin, stamp.incarnation, &number) > 0;
                self.unsaved.insert(jid.clone());
                continue;
            }
            if event.payload.len() > self.config.max_stanza_size {
                // No instance with this limit will ever take it: it counts as known, and as lost.
                lost += room
                    .log
                    .mark(&origin, stamp.incarnation, &Numbers::single(stamp.seq));
                is_useful = true;
                continue;
            }
            let speaks_for = |jid: &Jid| self.config.is_authoritative(&service_of(peer), jid.domain());
            let is_theirs = |id: &String| relay || !room.is_somebody_elses(peer, id, speaks_for);
            let occupant_id = event.occupant_id.filter(is_theirs);
            is_useful |= !room.log.has_seen(&origin, stamp.incarnation, stamp.seq);
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
                lang: event.lang.map(Into::into),
                occupant_id,
                payload: event.payload.into(),
                received_ms: now.mono_ms,
            };
            let room = self.rooms.get(jid);
            let deliver = has_caught_up || room.is_some_and(|room| room.may_be_missed(&entry.key));
            self.add_entry(now, jid, entry, deliver);
        }
        if lost > 0 {
            self.note(jid, &service_of(peer), Notice::Gap { messages: lost });
            self.unsaved.insert(jid.clone());
        }
        is_useful
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
        if !self.is_link_open(&service_of(peer)) {
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
        if instance.is_cut {
            self.mend_instance(now, jid, peer);
        }
        if from_source {
            self.make_offers(now, jid);
        }
        self.tell_voice_requests(now, jid, Some(peer));
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
        let gone_since = *instance.gone_since.get_or_insert(now.mono_ms);
        let is_lasting = now.mono_ms >= gone_since + LOST_AFTER_MS;
        if is_source {
            instance.gone_since = None;
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
