//! What an asker lacks: our events and those of third instances in pages, our roster, and at the source the settings.

use crate::address::BareJid;

use super::super::door::MAX_UNKNOWN_LIVES;
use super::super::roster::{PART_BYTES, item_bytes};
use super::super::state::clock::Now;
use super::super::state::list::entry_item;
use super::super::state::log::{EventKey, Page};
use super::super::state::room::Room;
use super::super::{Engine, LIFE, refuse};
use super::GRACE_MS;
use crate::error::Error;
use crate::wire::{
    Affiliation, Condition, Config, Roster, RosterExtra, RosterItem, SeenNumbers, SyncAnswer, SyncRequest,
};

/// Most events in one page.
const PAGE_EVENTS: usize = 200;
/// About the most bytes of events in one page.
pub(in crate::engine) const PAGE_BYTES: usize = 131_072;
/// About what an event costs besides its payload.
pub(in crate::engine) const EVENT_BYTES: usize = 200;
/// A roster or a configuration larger than this has an answer of its own.
const LARGE_BYTES: usize = 65_536;
/// How much a page that is packed may be in all, for one byte of what is asked for: what people write becomes about a fifth.
const PACKED_IN_ONE: usize = 4;

impl Engine {
    /// A peer asks what it lacks. What it is told is [`Engine::page_for`], when what that needs is in memory
    /// ([`Engine::page_away`]).
    pub(in crate::engine) fn sync_asked(
        &mut self,
        now: Now,
        jid: &BareJid,
        asker: &BareJid,
        request: &SyncRequest,
    ) -> Result<(), Error> {
        if !self.rooms.get(jid).is_some_and(|room| room.ready) {
            return Err(refuse(Condition::ItemNotFound, "The room is not here yet"));
        }
        self.saw_ours(now, &asker.service());
        if self.stop_waiting(jid, asker) {
            // It knows us, and nobody will introduce us to it any more.
            self.want_sync(now, jid, asker);
        }
        self.prove(jid, asker);
        if let Some(link) = self.links.get_mut(&asker.service()) {
            link.reads_packed |= request.packed;
        }
        // Also where the answer has to wait: until then nothing more is said under numbers that were used.
        self.check_incarnation(now, jid, asker, &request.seen);
        if self.lacks_logged(jid, request) {
            self.expect_whole(jid)?;
        }
        Ok(())
    }

    /// What the next page for somebody has of messages that are in the stored log only: their places and stanza-ids.
    pub(in crate::engine) fn page_away(
        &self,
        now: Now,
        jid: &BareJid,
        asker: &BareJid,
        request: &SyncRequest,
    ) -> Vec<(EventKey, String)> {
        let Some(room) = self.rooms.get(jid) else {
            return Vec::new();
        };
        self.with_page(now, asker, jid, request, |page| {
            room.log.lacking_away(&request.seen, page)
        })
    }

    /// Does something with the limits of a page for somebody.
    fn with_page<T>(
        &self,
        now: Now,
        asker: &BareJid,
        jid: &BareJid,
        request: &SyncRequest,
        work: impl FnOnce(&Page<'_>) -> T,
    ) -> T {
        // Who has nothing yet gets nothing from third instances either.
        let is_late = |received_ms: u64| request.is_new || received_ms + GRACE_MS <= now.mono_ms;
        let is_told = |origin: &BareJid, received_ms: u64| {
            origin == jid || request.relay && (origin == asker || is_late(received_ms))
        };
        work(&Page {
            is_told: &is_told,
            max_events: PAGE_EVENTS,
            max_bytes: self.page_bytes(asker, request),
            overhead: EVENT_BYTES,
            is_new: request.is_new,
        })
    }

    fn page_bytes(&self, asker: &BareJid, request: &SyncRequest) -> usize {
        let max_bytes = self.most_bytes(&asker.service(), PAGE_BYTES);
        let in_one = if request.packed { PACKED_IN_ONE } else { 1 };
        asked_for(request).map_or(max_bytes, |max| max_bytes.min(max.saturating_mul(in_one)))
    }

    /// What somebody who knows what `request` says lacks.
    pub(super) fn what_is_lacking(
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
        if roster_bytes > self.most_bytes(&asker.service(), PART_BYTES) {
            // More than fits: in parts, before the answer.
            if config.take().is_some() {
                self.send_config(now, jid, asker, false);
            }
            if !self.is_roster_underway(jid, asker) {
                let bytes = self.send_roster(now, jid, asker);
                self.charge_bytes(now, &asker.service(), bytes);
            }
            roster = None;
        }
        let config_bytes = config.as_ref().map_or(0, |config| config.form.to_xml().len());
        // Of what is sent, however much less it is packed.
        let asked_for = asked_for(request).unwrap_or(LARGE_BYTES * 2);
        let large_bytes = LARGE_BYTES.min(self.page_bytes(asker, request).min(asked_for) / 2);
        let is_large = roster.is_some() && roster_bytes > large_bytes || config_bytes > large_bytes;
        let Some(room) = self.rooms.get(jid) else {
            return SyncAnswer::default();
        };
        let (events, more) = match is_large {
            true => (Vec::new(), true),
            false => self.with_page(now, asker, jid, request, |page| {
                room.log.lacking(&request.seen, page)
            }),
        };
        let mut answer = SyncAnswer {
            more,
            config,
            roster,
            events,
            ..SyncAnswer::default()
        };
        fit(request, &mut answer);
        if !answer.more {
            answer.seen = room.log.vector(|origin| request.relay || origin == jid, true);
        }
        if let Some(instance) = self.instance_mut(jid, asker) {
            instance.pulls_until = answer.more.then_some(now.mono_ms + wait_ms);
        }
        answer
    }

    /// A peer that knows more of our present life than we do, or a later one, proves that numbers were used that are not known
    /// here any more: a new one begins (DESIGN 3.1). A life that is too far ahead of our clock proves nothing.
    pub(super) fn check_incarnation(
        &mut self,
        now: Now,
        jid: &BareJid,
        teller: &BareJid,
        seen: &[SeenNumbers],
    ) {
        let jitter = self.ids.below(LIFE / 16);
        let Some(room) = self.rooms.get(jid) else {
            return;
        };
        let next = (room.incarnation, room.log.next_seq(jid, room.incarnation));
        let most = now.wall_ms.saturating_add(MAX_UNKNOWN_LIVES * LIFE);
        let ours = seen
            .iter()
            .filter(|entry| entry.origin == *jid && entry.incarnation <= most);
        let latest = ours
            .filter_map(|entry| Some((entry.incarnation, entry.numbers.last()?)))
            .max();
        let Some((life, _)) = latest.filter(|latest| *latest >= next) else {
            return;
        };
        if !self.may_end_life(now, jid, teller) {
            return;
        }
        if let Some(room) = self.rooms.get_mut(jid) {
            room.note_life();
            room.live_anew((life + LIFE + jitter).max(now.wall_ms));
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
            items.extend(
                changed.map(|(nick, local)| super::super::roster::item(nick, local, sees_jids, true)),
            );
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
                items.extend(gone.map(|(user, _)| entry_item(user, Affiliation::None, None)));
            }
        }
        let extra = RosterExtra {
            version: room.roster_version,
            occupants: is_stale && since.is_none(),
            affiliations: settings.is_some() && known.is_none(),
            more: false,
            part: 0,
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
}

impl Room {
    /// Whether a peer gets this message in the pages that it is pulling.
    pub(in crate::engine) fn is_pulling(&self, peer: &BareJid, now: Now) -> bool {
        let instance = self.instances.get(peer);
        instance
            .and_then(|instance| instance.pulls_until)
            .is_some_and(|until| now.mono_ms < until)
    }
}

fn asked_for(request: &SyncRequest) -> Option<usize> {
    let bytes = |max: u64| usize::try_from(max).unwrap_or(PAGE_BYTES);
    request.max.map(bytes)
}

/// Leaves out events that cannot be packed into what was asked for with the rest (ciphertext hardly can), but one in any case.
fn fit(request: &SyncRequest, page: &mut SyncAnswer) {
    let Some(max) = asked_for(request).filter(|_| request.packed) else {
        return;
    };
    while page.events.len() > 1 {
        let bytes = page.packed_bytes();
        if bytes <= max {
            break;
        }
        // A little less than in proportion: fewer are packed a little worse.
        let keep = page.events.len().saturating_mul(max) / bytes * 7 / 8;
        page.events.truncate(keep.clamp(1, page.events.len() - 1));
        page.more = true;
    }
}

fn departed(nick: &str) -> RosterItem {
    RosterItem {
        role: Some(crate::wire::Role::None),
        nick: Some(nick.to_owned()),
        ..RosterItem::default()
    }
}
