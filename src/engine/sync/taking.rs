//! Taking what came: a page, a few events at a time, and after the last what the peer has besides.

use sha2::{Digest as _, Sha256};

use super::super::state::admitted::Admitted;
use crate::address::BareJid;

use super::super::door::Turned;
use super::super::state::clock::Now;
use super::super::state::instance::{OpenPage, SyncStage};
use super::super::state::log::{Entry, EventKey, UNSTAMPED};
use super::super::state::room::Room;
use super::super::{Action, Engine, Notice, Shown};
use super::GRACE_MS;
use crate::wire::{Moderated, Numbers, Roster, RosterExtra, SeenNumbers, SyncAnswer, SyncEvent};

/// How many events of a page are taken at once.
const PART_EVENTS: usize = 4;

impl Engine {
    /// Takes a page of what was missing when `asked` was the version of the settings here.
    pub(super) fn take_answer(
        &mut self,
        now: Now,
        jid: &BareJid,
        peer: &BareJid,
        asked: Option<u64>,
        mut answer: SyncAnswer,
    ) {
        let from_source = self.rooms.get(jid).is_some_and(|room| room.is_from_source(peer));
        let is_overtaken = from_source && self.is_overtaken(jid, asked, &answer);
        if is_overtaken {
            answer.config = None;
            answer.roster = answer.roster.map(Roster::without_settings);
        }
        let aside = answer.aside.take();
        let is_aside = aside.is_some_and(|aside| self.give_up_message(jid, peer, &aside));
        let is_useful = answer.config.is_some() || answer.roster.is_some() || is_aside;
        if let Some(config) = answer.config.filter(|_| from_source) {
            // Who has become a member is one before the room takes only members, and who is none any more stays one
            // until it takes everybody: so nobody is removed whom the source did not remove.
            if let Some(roster) = &answer.roster {
                self.raise_affiliations(now, jid, roster);
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
        let wants_whole = std::mem::take(&mut instance.wants_whole);
        if wants_whole {
            instance.roster_version = None;
        }
        let again = wants_whole || is_overtaken;
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

    /// Whether the settings here have gone on since the question, past those of the answer: that says what is different from
    /// what was here then. A push may have overtaken it, with a number or without one; or the source has lost since what it
    /// had pushed.
    fn is_overtaken(&self, jid: &BareJid, asked: Option<u64>, answer: &SyncAnswer) -> bool {
        let held = self.rooms.get(jid).map(|room| room.settings.version);
        let config = answer.config.as_ref();
        let of_config = config.and_then(|config| config.settings.as_ref());
        let extra = answer.roster.as_ref().and_then(|roster| roster.extra.as_ref());
        let told = extra
            .and_then(|extra| extra.settings)
            .or(of_config.map(|settings| settings.version));
        held != asked && (held == Some(0) || told < held && told.is_some())
    }

    /// Takes the next events of a page: few at a time, since the host stores each before it shows it, and others wait.
    pub(super) fn take_part(&mut self, now: Now, jid: &BareJid, peer: &BareJid) {
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
        instance.is_reviewed = false;
        let again = instance.sync == SyncStage::Taking { again: true };
        instance.sync = SyncStage::Idle;
        if page.more {
            // A page without anything new would be followed by the same again.
            match page.is_useful {
                true => self.ask_sync(now, jid, peer, None),
                false => self.resync_later(now, jid, peer),
            }
            return;
        }
        let lacks = self.take_seen(now, jid, peer, &page.seen);
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
        // It came there only just now: told when it is older. What is not told then is known there and not held.
        let since = match (&instance.lacks, &lacks) {
            (Some((held, since)), Some(new)) if held == new => *since,
            _ => now.mono_ms,
        };
        let is_young = now.mono_ms < since + GRACE_MS;
        instance.lacks = lacks.map(|lacks| (lacks, since));
        if instance.lacks.is_some() && is_young {
            instance.resync_at = Some(now.mono_ms + GRACE_MS + GRACE_MS / 10);
            self.timed.insert(jid.clone());
        }
        self.agreed(now, jid, peer);
        self.settle_link(&peer.service());
        self.ask_wanted(now, &peer.service());
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
        let Some(room) = self.rooms.get(jid) else {
            return false;
        };
        // Who joined as soon as it was possible has missed what was said since.
        let has_caught_up = room
            .instances
            .get(peer)
            .is_some_and(|instance| instance.has_caught_up);
        let is_reviewed = room
            .instances
            .get(peer)
            .is_some_and(|instance| instance.is_reviewed && room.is_from_source(peer));
        let (mut is_useful, mut lost) = (false, 0);
        for event in events {
            let entry = self.as_entry(now, jid, peer, event);
            let Some(room) = self.rooms.get_mut(jid) else {
                return false;
            };
            let (origin, life, seq) = (entry.key.origin.clone(), entry.key.incarnation, entry.key.seq);
            let is_new = !room.log.has_seen(&origin, life, seq) || room.log.is_withheld(&entry.key);
            let turned = match self.admit(now, jid, peer, entry) {
                Ok(admitted) => {
                    if !is_new && is_reviewed {
                        self.correct(jid, peer, admitted);
                        continue;
                    }
                    is_useful |= is_new;
                    let missed = |room: &Room| room.may_be_missed(&admitted.entry().key);
                    // What was said here itself was heard here.
                    let is_ours = origin == *jid;
                    let deliver = !is_ours && (has_caught_up || self.rooms.get(jid).is_some_and(missed));
                    self.add_entry(now, jid, admitted, deliver);
                    continue;
                }
                Err(turned) => turned,
            };
            let turned = match turned {
                Turned::Refused(entry) => {
                    is_useful |= is_new;
                    if is_new {
                        self.refuse_event(now, jid, *entry);
                    }
                    continue;
                }
                turned => turned,
            };
            let Some(room) = self.rooms.get_mut(jid) else {
                return false;
            };
            if !matches!(turned, Turned::NotTheirs) {
                let added = room.log.mark(&origin, life, &Numbers::single(seq));
                is_useful |= added > 0;
                self.unsaved.insert(jid.clone());
                lost += added * u64::from(matches!(turned, Turned::Lost));
            }
        }
        if lost > 0 {
            self.note(jid, &peer.service(), Notice::Gap { messages: lost });
            self.unsaved.insert(jid.clone());
        }
        is_useful
    }

    /// The source has told again what is here already: where it says something else, its word counts, and administrators
    /// are told.
    fn correct(&mut self, jid: &BareJid, source: &BareJid, admitted: Admitted) {
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let Some(held) = room.log.differs(admitted.entry()) else {
            return;
        };
        let Some(id) = room.log.correct(&held, admitted.into_entry()) else {
            return;
        };
        room.touch();
        let moderation = None;
        self.actions
            .push_back(Action::apply(jid, Shown::Moderated(Moderated { id, moderation })));
        let origin = held.origin;
        self.note(jid, &source.service(), Notice::Differs { origin });
    }

    /// An event of a page as the log would hold it.
    fn as_entry(&self, now: Now, jid: &BareJid, peer: &BareJid, event: SyncEvent) -> Entry {
        let stamp = event.event;
        let origin = stamp.origin.unwrap_or_else(|| peer.clone());
        let key = match stamp.incarnation {
            UNSTAMPED => self.unstamped_key(jid, &origin, stamp.at),
            incarnation => EventKey {
                at: stamp.at,
                origin,
                incarnation,
                seq: stamp.seq,
            },
        };
        Entry {
            key,
            id: stamp.id,
            nick: event.nick,
            message_id: event.message_id,
            lang: event.lang.map(Into::into),
            occupant_id: event.occupant_id,
            payload: event.payload.into(),
            received_ms: now.mono_ms,
        }
    }

    /// What the peer has: what it can't tell any more, as the origin, is lost. Returns a hash over what it has and did not
    /// tell, if there is anything.
    fn take_seen(&mut self, now: Now, jid: &BareJid, peer: &BareJid, seen: &[SeenNumbers]) -> Option<String> {
        let relay = self.takes_relayed(jid, peer);
        if relay {
            // Lives of ours that we lost with a backup: what was said in them is taken when it is told again.
            self.check_incarnation(now, jid, peer, seen);
        }
        let room = self.rooms.get_mut(jid)?;
        let from_source = room.is_from_source(peer);
        let (mut lost, mut lacks) = (0u64, None::<Sha256>);
        // Who is new has not lost what was said before it came.
        let has_caught_up = |peer| {
            let instance = room.instances.get(peer);
            instance.is_some_and(|instance| instance.has_caught_up)
        };
        let is_told = room.log.knows(peer) || has_caught_up(peer);
        for entry in seen {
            if entry.origin == *peer {
                lost = room
                    .log
                    .mark(&entry.origin, entry.incarnation, &entry.numbers)
                    .saturating_add(lost);
            } else if relay && let Some(first) = entry.first {
                let told = entry.numbers.from(first);
                let (origin, life) = (&entry.origin, entry.incarnation);
                let missing = room.log.missing(origin, life, &told);
                let withheld = match from_source {
                    true => room.log.withheld_of(origin, life, &told),
                    false => 0,
                };
                if missing > 0 || withheld > 0 {
                    let line = format!("{origin} {life} {told} {missing} {withheld}\n");
                    lacks.get_or_insert_default().update(line);
                }
            }
        }
        if lost > 0 && is_told {
            self.actions.push_back(Action::Notice {
                room: jid.clone(),
                peer: peer.service(),
                notice: Notice::Gap { messages: lost },
            });
        }
        if lost > 0 {
            self.unsaved.insert(jid.clone());
        }
        let digest = lacks?.finalize();
        Some(crate::ids::hex(digest.get(..8).unwrap_or_default()))
    }
}
