//! How much a link carries, as the pages that come over it show: the next one is asked for as large as a part of the link
//! timeout takes it, so that what people say meanwhile does not wait long behind it, and nothing has to be sent twice (G13).
//!
//! The asker measures, since only it knows when something arrives: what came between its question and the answer, whatever it
//! was, in the time that is more than an answer takes by itself. Before the first page the shortest time in which a digest was
//! answered shows what the link carries at least.

use crate::address::BareJid;

use super::Engine;
use super::link::LinkState;
use super::state::clock::Now;
use super::sync::PAGE_BYTES;

/// A page may take this part of the link timeout.
const SHARE: u64 = 3;
/// About what a digest and its answer come to on a link.
const DIGEST_BYTES: u64 = 500;
/// What is asked for where nothing is known of a link, and the least that a measured one is asked for.
const FIRST_BYTES: u64 = 4_096;
const LEAST_BYTES: u64 = 1_024;
/// How many times larger than the last the next page may be.
const GROWTH: u64 = 16;
/// A link on which pages have to be smaller is thin: more than two at once would only wait for each other.
const THIN_BYTES: u64 = 32_768;
const THIN_PULLS: usize = 2;
/// One on which a digest takes so long to be answered (ms) is taken for thin until a page has come over it.
const SLOW_MS: u64 = 1_000;
/// About what a stanza is besides its payload.
const STANZA_BYTES: u64 = 200;

/// What one link has carried to us.
#[derive(Clone, Default)]
pub(super) struct Flow {
    /// Bytes of stanzas.
    received: u64,
    /// The shortest time in which a digest was answered (ms).
    round_trip_ms: Option<u64>,
    /// How much can be asked for at once, over all rooms, as far as it was measured.
    at_once: Option<u64>,
}

/// What was counted is no state of the room.
impl std::fmt::Debug for Flow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Flow")
    }
}

/// A page that has been asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    /// At most so many bytes.
    pub(super) bytes: u64,
    /// What the link had carried by then.
    received: u64,
}

impl Flow {
    /// Of a link that comes back: it may be another line.
    pub(super) fn anew(&self) -> Flow {
        Flow {
            received: self.received,
            ..Flow::default()
        }
    }
}

impl Engine {
    /// A stanza has come from a service that was not asked for.
    pub(super) fn note_received(&mut self, service: &BareJid, bytes: usize) {
        if let Some(link) = self.links.get_mut(service) {
            link.flow.received += bytes as u64 + STANZA_BYTES;
        }
    }

    /// A part of a stanza has come of which the rest is still on its way. Returns whether that is a peer's.
    pub(super) fn arriving(&mut self, now: Now, service: &BareJid) -> bool {
        let Some(link) = self.links.get_mut(service) else {
            return false;
        };
        link.arriving_at = Some(now.mono_ms);
        self.is_lively(now, service);
        true
    }

    /// A digest was answered. While a link is being found out its connections may have had to be made first.
    pub(super) fn note_round_trip(&mut self, now: Now, service: &BareJid, sent_at: u64) {
        let took_ms = now.mono_ms.saturating_sub(sent_at);
        if let Some(link) = self.links.get_mut(service)
            && matches!(link.state, LinkState::Up | LinkState::Syncing)
        {
            let flow = &mut link.flow;
            flow.round_trip_ms = Some(flow.round_trip_ms.map_or(took_ms, |least| least.min(took_ms)));
        }
        self.note_thin(now, service);
    }

    /// For how long a page may be on its way (ms).
    pub(super) fn page_ms(&self) -> u64 {
        self.config.link_timeout_ms / SHARE
    }

    /// How much a service is asked for at once, over all rooms.
    fn at_once(&self, service: &BareJid) -> u64 {
        let Some(flow) = self.links.get(service).map(|link| &link.flow) else {
            return FIRST_BYTES;
        };
        let guessed = || {
            let per_s = DIGEST_BYTES * 1_000 / flow.round_trip_ms?.max(1);
            Some(self.carried(per_s).clamp(FIRST_BYTES, PAGE_BYTES as u64))
        };
        flow.at_once.or_else(guessed).unwrap_or(FIRST_BYTES)
    }

    /// Whether a link carries so little that every heartbeat counts: as far as is known, for its answers take long.
    pub(super) fn is_thin(&self, service: &BareJid) -> bool {
        self.links.get(service).is_some_and(|link| {
            let takes_long = link.flow.round_trip_ms.is_some_and(|ms| ms >= SLOW_MS);
            link.flow.at_once.map_or(takes_long, |bytes| bytes < THIN_BYTES)
        })
    }

    /// What a link carries while a page may be on its way, with something to spare.
    fn carried(&self, bytes_per_s: u64) -> u64 {
        bytes_per_s.saturating_mul(self.page_ms()) / 1_000 * 7 / 8
    }

    /// How many pulls may be under way over a link, of `usual` ones.
    pub(super) fn most_pulls(&self, service: &BareJid, usual: usize) -> usize {
        match self.at_once(service) < THIN_BYTES {
            true => usual.min(THIN_PULLS),
            false => usual,
        }
    }

    /// A page that is about to be asked for, as one of `pulls`, of at most `most` bytes.
    pub(super) fn next_page(&self, service: &BareJid, pulls: usize, most: Option<u64>) -> Asked {
        let received = self.links.get(service).map_or(0, |link| link.flow.received);
        let at_once = self.at_once(service);
        let bytes = match at_once < THIN_BYTES {
            true => at_once / pulls.max(1) as u64,
            false => at_once,
        };
        let bytes = bytes.min(most.unwrap_or(u64::MAX));
        Asked { bytes, received }
    }

    /// The page is here.
    pub(super) fn note_page(
        &mut self,
        now: Now,
        service: &BareJid,
        asked: Asked,
        sent_at: u64,
        bytes: usize,
    ) {
        self.note_received(service, bytes);
        let (page_ms, at_once) = (self.page_ms(), self.at_once(service));
        let Some(flow) = self.links.get(service).map(|link| &link.flow) else {
            return;
        };
        let took_ms = now.mono_ms.saturating_sub(sent_at);
        let bytes = flow.received.saturating_sub(asked.received);
        // A short one says little of what the link carries, unless it took long.
        if bytes < asked.bytes / 2 && took_ms <= page_ms {
            return;
        }
        let by_itself_ms = flow.round_trip_ms.unwrap_or(0);
        let on_its_way_ms = took_ms.saturating_sub(by_itself_ms).max(took_ms / 8).max(1);
        let most = at_once
            .max(FIRST_BYTES)
            .saturating_mul(GROWTH)
            .min(PAGE_BYTES as u64);
        let next = self.carried(bytes.saturating_mul(1_000) / on_its_way_ms);
        if let Some(link) = self.links.get_mut(service) {
            link.flow.at_once = Some(next.clamp(LEAST_BYTES, most));
        }
        self.note_thin(now, service);
    }
}
