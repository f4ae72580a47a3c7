//! The history of a room in the XEP's words: asked of a source that speaks only its text, answered to everybody, merged
//! without a gap or a double. Instances that speak ours synchronise instead ([`super::sync`]).
//!
//! What a home sends while its history is on the way waits until that is there, so that each sender's messages stay in
//! order (G4).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::state::admitted::Admitted;
use crate::address::BareJid;

use super::door::cleaned;
use super::link::Caps;
use super::request::Pending;
use super::state::clock::{MAX_CLOCK_LEAD_MS, Now};
use super::state::log::{Entry, EventKey, Held, HistoryLimits, UNSTAMPED, said};
use super::state::room::Room;
use super::{Action, Engine};
use crate::wire::{EventStamp, History, HistoryMessage, HistoryResult, Hlc, Request};

/// Most messages in one answer to a history request.
const HISTORY_MESSAGES: usize = 500;
/// Most characters of payload in one answer: Prosody takes stanzas of 512 KiB between servers.
const HISTORY_CHARS: usize = 262_144;
/// What a message in an answer has besides its payload, in characters: start tag, delay, our stamp.
const MESSAGE_OVERHEAD: usize = 400;
/// Most messages of one home that wait for its history; with one more they stop waiting (G13).
const MAX_HELD: usize = 500;

impl Engine {
    /// Asks an instance for its history; until it answers its messages are held.
    pub(super) fn ask_history(&mut self, now: Now, jid: &BareJid, peer: &BareJid) {
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let request = Request::History(History {
            id: Some(room.id.clone()),
            ..History::default()
        });
        let Some(instance) = room.instances.get_mut(peer) else {
            return;
        };
        instance.was_asked = true;
        instance.held.get_or_insert_default();
        // It is told apart from what is here by what it says.
        if !room.log.is_whole() {
            instance.wants_history = true;
            self.actions.push_back(Action::ReadLog { room: jid.clone() });
            return;
        }
        let pending = Pending::History {
            room: jid.clone(),
            instance: peer.clone(),
        };
        self.request(now, jid.clone(), peer.clone(), request, pending);
    }

    /// Keeps a message back while the history of its home is awaited. Gives it back if it is not.
    pub(super) fn hold(
        &mut self,
        now: Now,
        jid: &BareJid,
        home: &BareJid,
        entry: Admitted,
    ) -> Option<Admitted> {
        let instance = self.instance_mut(jid, home);
        let Some(held) = instance.and_then(|instance| instance.held.as_mut()) else {
            return Some(entry);
        };
        held.push(entry);
        if held.len() > MAX_HELD {
            self.release(now, jid, home);
        }
        None
    }

    /// The history is there, or will not come: what waited for it follows.
    pub(super) fn release(&mut self, now: Now, jid: &BareJid, home: &BareJid) {
        let instance = self.instance_mut(jid, home);
        let held = instance.and_then(|instance| instance.held.take());
        for mut entry in held.into_iter().flatten() {
            let key = &entry.entry().key;
            if key.incarnation == UNSTAMPED {
                let key = self.unstamped_key(jid, home, key.at);
                entry = entry.numbered(key);
            }
            self.add_entry(now, jid, entry, true);
        }
    }

    /// Puts a message into the log and tells the host of it, if it is new: then its stanza-id is returned.
    pub(super) fn add_entry(
        &mut self,
        now: Now,
        jid: &BareJid,
        admitted: Admitted,
        deliver: bool,
    ) -> Option<String> {
        let moderates = admitted.entry().moderation();
        // What the source has refused, and has not come here, nobody here has seen.
        let is_unseen = moderates.as_ref().is_some_and(|moderation| {
            let room = self.rooms.get(jid);
            moderation.of.is_some() && !room.is_some_and(|room| room.log.holds_refused(moderation))
        });
        let id = self.insert_entry(now, jid, admitted)?;
        // What was moderated before it came is not shown, and what was hidden here has been told already.
        let is_gone = self.message(jid, &id).is_some_and(Entry::is_gone);
        let is_told = moderates.is_some_and(|moderation| self.moderated_by_source(jid, moderation));
        self.actions.push_back(Action::AddMessage {
            room: jid.clone(),
            id: id.clone(),
            deliver: deliver && !is_gone && !is_told && !is_unseen,
        });
        Some(id)
    }

    /// The answer to a peer's question for the history (XEP-0281 section 3.2), when what it needs is in memory
    /// ([`Engine::history_away`]).
    pub(super) fn history_asked(
        &self,
        now: Now,
        jid: &BareJid,
        asker: &BareJid,
        history: &History,
    ) -> HistoryResult {
        let is_full = self.speaks_ours(asker);
        let Some(room) = self.rooms.get(jid) else {
            return HistoryResult { messages: Vec::new() };
        };
        let is_told = |key: &EventKey, held: Held<'_>| room.tells_in_history(now, key, &held);
        let entries = room.log.history(&history_limits(now, history), is_told);
        let message = |entry: &Entry| HistoryMessage {
            nick: entry.nick.clone(),
            instance: jid.clone(),
            id: entry.message_id.clone(),
            lang: entry.lang.as_deref().map(str::to_owned),
            payload: entry.payload.to_string(),
            stamp: entry.key.at.wall_ms as i64,
            delay_from: Some(jid.clone().into()),
            event: is_full.then(|| EventStamp {
                id: entry.id.clone(),
                origin: Some(entry.key.origin.clone()).filter(|origin| origin != jid),
                incarnation: entry.key.incarnation,
                seq: entry.key.seq,
                at: entry.key.at,
                roster: None,
            }),
            occupant_id: entry.occupant_id.clone().filter(|_| is_full),
        };
        HistoryResult {
            messages: entries.into_iter().map(message).collect(),
        }
    }

    /// What such an answer has of messages that are in the stored log only: their places and stanza-ids.
    pub(super) fn history_away(&self, now: Now, jid: &BareJid, history: &History) -> Vec<(EventKey, String)> {
        let Some(room) = self.rooms.get(jid) else {
            return Vec::new();
        };
        let is_told = |key: &EventKey, held: Held<'_>| room.tells_in_history(now, key, &held);
        room.log.history_away(&history_limits(now, history), is_told)
    }

    /// The history we asked for. What is known already is not taken twice (G4). Only who speaks nothing but the XEP's text is
    /// asked: nothing of ours is in its answer, whatever it looks like (G11).
    pub(super) fn merge_history(&mut self, now: Now, jid: &BareJid, from: &BareJid, history: HistoryResult) {
        // It has learnt more meanwhile: its pages have what its history has, with numbers.
        let is_plain = self.caps(&from.service()) == Caps::Xep;
        let Some(room) = self.rooms.get(jid) else { return };
        // Who joined as soon as it was possible has missed what was said since; clocks may differ.
        let missed_since = room.ready_at_ms.saturating_sub(MAX_CLOCK_LEAD_MS);
        let mut known = unstamped_known(room, from);
        for message in history.messages.into_iter().filter(|_| is_plain) {
            let Some(payload) = cleaned(&Arc::from(message.payload), &[jid, from]) else {
                continue;
            };
            let same = said(&message.nick, message.id.as_deref(), &payload);
            if let Some(count) = known.get_mut(&same).filter(|count| **count > 0) {
                *count -= 1;
                continue;
            }
            let id = self.unstamped_id(jid, from, &message.nick, message.id.as_deref());
            let wall_ms = u64::try_from(message.stamp).unwrap_or(0).min(now.wall_ms);
            let key = self.unstamped_key(jid, from, Hlc { wall_ms, counter: 0 });
            let deliver = key.at.wall_ms >= missed_since;
            let entry = Entry {
                key,
                id,
                nick: message.nick,
                message_id: message.id,
                lang: message.lang.map(Into::into),
                occupant_id: None,
                payload,
                received_ms: now.mono_ms,
            };
            if let Ok(admitted) = self.admit(now, jid, from, entry) {
                self.add_entry(now, jid, admitted, deliver);
            }
        }
        self.release(now, jid, from);
    }
}

fn history_limits(now: Now, history: &History) -> HistoryLimits {
    let limit = |asked: Option<u64>, most: usize| {
        asked.map_or(most, |asked| usize::try_from(asked).unwrap_or(most).min(most))
    };
    let seconds = history
        .seconds
        .map(|s| now.wall_ms.saturating_sub(s.saturating_mul(1_000)));
    let since = history.since.map(|since| u64::try_from(since).unwrap_or(0));
    HistoryLimits {
        max_stanzas: limit(history.maxstanzas, HISTORY_MESSAGES),
        max_chars: limit(history.maxchars, HISTORY_CHARS),
        overhead: MESSAGE_OVERHEAD,
        since_ms: seconds.max(since),
    }
}

impl Room {
    /// Between shadows each speaks for its own occupants: the source has told of the others.
    fn tells_in_history(&self, now: Now, key: &EventKey, held: &Held<'_>) -> bool {
        let is_rooms = matches!(held, Held::Whole(entry) if entry.nick.is_empty());
        (self.is_source() || key.origin == self.jid)
            && !is_rooms
            && key.at.wall_ms <= now.latest().wall_ms
            && !self.is_hidden(held)
    }
}

/// How often each message is held here already that a history without our stamps may name: there is nothing else to
/// tell them by.
fn unstamped_known(room: &Room, from: &BareJid) -> BTreeMap<u64, usize> {
    let mut known = room.log.count_said();
    let held = room
        .instances
        .get(from)
        .and_then(|instance| instance.held.as_ref());
    for entry in held.into_iter().flatten().map(Admitted::entry) {
        *known.entry(entry.said()).or_insert(0) += 1;
    }
    known
}
