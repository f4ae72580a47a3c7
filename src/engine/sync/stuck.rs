//! Pages that do not get through: a connection that is dead, or one message that the way there cannot digest and that takes every
//! connection with it (G13).
//!
//! Who waits for a page in vain asks again over the other connection, which works, and says what was not answered; who has
//! answered that gives up the connection that it used. So the link need not go down to be made anew. The page is made smaller
//! each time ([`Stuck`](super::super::state::stuck)), until one message is alone in it; if that does not come either only its
//! number and id are told, and the rest goes on.

use crate::address::BareJid;

use super::super::link::{Caps, LinkState};
use super::super::request::Pending;
use super::super::state::clock::Now;
use super::super::state::instance::{Paged, SyncStage};
use super::super::{Action, Engine, Notice};
use crate::wire::{Aside, Numbers, SyncAnswer, SyncRequest};

impl Engine {
    /// A page has not come, and nothing else either, or what was asked for later has: it is asked for again.
    pub(in crate::engine) fn check_pages(&mut self, now: Now) {
        let (silent_ms, mut late) = (self.silent_ms(), Vec::new());
        for (id, outstanding) in &mut self.outstanding {
            let Some(due) = outstanding.check_at.filter(|at| *at <= now.mono_ms) else {
                continue;
            };
            let link = self.links.get(&outstanding.to.service());
            // A stream keeps its order: something that it was asked later has been answered.
            let is_lost = link.is_some_and(|link| link.answered_for > outstanding.sent_at);
            let heard_at = link.map_or(0, |link| link.heard_at.max(link.arriving_at.unwrap_or(0)));
            let patient_until = heard_at + silent_ms;
            outstanding.check_at = (patient_until > now.mono_ms && !is_lost).then_some(patient_until);
            // Our own host was busy: what has come is not read yet.
            let is_late_here = now.mono_ms >= due + silent_ms / 4;
            if is_late_here {
                outstanding.check_at = Some(now.mono_ms + silent_ms / 4);
            }
            if outstanding.check_at.is_none() {
                late.push((id.clone(), outstanding.pending.clone(), is_lost));
            }
        }
        for (id, pending, is_lost) in late {
            let Pending::Sync { room, instance, .. } = &pending else {
                continue;
            };
            let service = instance.service();
            let is_up = matches!(self.link_state(&service), LinkState::Up | LinkState::Syncing);
            if is_up && self.caps(&service) == Caps::Full && self.is_asked(room, instance) {
                self.page_failed(&pending, self.outstanding.get(&id).map_or(0, |page| page.sent_at));
                // Where something else got through, the connection works.
                self.ask_sync(now, room, instance, (!is_lost).then_some(id));
            }
        }
    }

    /// For how long nothing may come while a page is awaited (ms): it is sized to take less, but what it comes in may show only
    /// when it is whole (TLS has records of 16 KiB).
    pub(in crate::engine) fn silent_ms(&self) -> u64 {
        self.config.link_timeout_ms / 2
    }

    fn is_asked(&self, jid: &BareJid, peer: &BareJid) -> bool {
        let instance = self.rooms.get(jid).and_then(|room| room.instances.get(peer));
        instance.is_some_and(|instance| instance.sync == SyncStage::Asked)
    }

    /// A page that was asked for at this time did not come.
    pub(in crate::engine) fn page_failed(&mut self, pending: &Pending, sent_at: u64) {
        let Pending::Sync {
            room, instance, page, ..
        } = pending
        else {
            return;
        };
        let link = self.links.get(&instance.service());
        let has_heard = link.is_some_and(|link| link.heard_at > sent_at);
        if let Some(instance) = self.instance_mut(room, instance) {
            instance.stuck.failed(page.bytes, has_heard);
        }
    }

    /// Whether the same is being asked in another question.
    pub(super) fn is_asked_twice(&self, jid: &BareJid, peer: &BareJid) -> bool {
        self.outstanding.values().any(|other| other.is_page_of(jid, peer))
    }

    /// A page is here: no other answer to the same is awaited.
    pub(super) fn page_came(&mut self, jid: &BareJid, peer: &BareJid, answer: &SyncAnswer) {
        self.outstanding.retain(|_, other| !other.is_page_of(jid, peer));
        let bytes: usize = answer.events.iter().map(|event| event.payload.len()).sum();
        if let Some(instance) = self.instance_mut(jid, peer) {
            instance.stuck.came(bytes as u64);
            if !answer.more {
                instance.stuck = Default::default();
            }
        }
    }

    /// The answer to an instance that asks for a page.
    pub(in crate::engine) fn page_for(
        &mut self,
        now: Now,
        jid: &BareJid,
        asker: &BareJid,
        id: &str,
        request: &SyncRequest,
    ) -> SyncAnswer {
        if self.page_asked(now, jid, asker, id, request) {
            return SyncAnswer {
                more: true,
                ..SyncAnswer::default()
            };
        }
        let answer = self.what_is_lacking(now, jid, asker, request);
        self.head_instead(jid, asker, request, answer)
    }

    /// An instance asks for a page. If it has asked before and our answer is not there yet, the connection is given up. Returns
    /// whether that has only just been given, and may be on its way.
    fn page_asked(
        &mut self,
        now: Now,
        jid: &BareJid,
        asker: &BareJid,
        id: &str,
        request: &SyncRequest,
    ) -> bool {
        let (page_ms, service) = (self.page_ms(), asker.service());
        let Some(instance) = self.instance_mut(jid, asker) else {
            return false;
        };
        let before = instance.paged.take();
        let answered = before.filter(|paged| request.again.as_ref() == Some(&paged.id));
        let alone = answered.as_ref().and_then(|paged| paged.alone.clone());
        let at = answered.map(|paged| paged.at);
        if at.is_some_and(|at| now.mono_ms < at + page_ms / 2) {
            if let (Some(again), Some(at)) = (&request.again, at) {
                let id = again.clone();
                instance.paged = Some(Paged { id, at, alone });
            }
            return true;
        }
        instance.paged = Some(Paged {
            id: id.to_owned(),
            at: now.mono_ms,
            alone,
        });
        if at.is_some() {
            self.renew_connection(now, &service);
        }
        false
    }

    /// The connection to a service does not carry what is sent over it: another one is made. What was on its way is lost, so
    /// everything is told again. Once in a while, however often that is asked for (G13).
    fn renew_connection(&mut self, now: Now, service: &BareJid) {
        let pause = self.page_ms() / 2;
        let Some(link) = self.links.get_mut(service) else {
            return;
        };
        let is_up = matches!(link.state, LinkState::Up | LinkState::Syncing);
        if !is_up || link.renewed_at.is_some_and(|at| now.mono_ms < at + pause) {
            return;
        }
        link.renewed_at = Some(now.mono_ms);
        self.actions.push_back(Action::ResetLink {
            service: service.clone(),
        });
        self.start_syncing(now, service);
    }

    /// Instead of a page whose one event did not get through: that there is one.
    fn head_instead(
        &mut self,
        jid: &BareJid,
        asker: &BareJid,
        request: &SyncRequest,
        answer: SyncAnswer,
    ) -> SyncAnswer {
        let alone = match answer.events.as_slice() {
            [event] if answer.config.is_none() && answer.roster.is_none() => Some(Aside {
                origin: event.event.origin.clone().unwrap_or_else(|| jid.clone()),
                incarnation: event.event.incarnation,
                seq: event.event.seq,
                id: event.event.id.clone(),
            }),
            _ => None,
        };
        let paged = self
            .instance_mut(jid, asker)
            .and_then(|instance| instance.paged.as_mut());
        let before = paged.and_then(|paged| std::mem::replace(&mut paged.alone, alone.clone()));
        match alone.filter(|alone| request.head && before.as_ref() == Some(alone)) {
            Some(aside) => SyncAnswer {
                more: true,
                aside: Some(aside),
                ..SyncAnswer::default()
            },
            None => answer,
        }
    }

    /// A message that does not get through is given up, and the owners are told.
    pub(super) fn give_up_message(&mut self, jid: &BareJid, peer: &BareJid, aside: &Aside) -> bool {
        let takes_relayed = self.takes_relayed(jid, peer);
        let Some(room) = self.rooms.get_mut(jid) else {
            return false;
        };
        // Of third instances those that have said something, and never of ourselves: as for events (`door.rs`).
        let is_third = aside.origin != *jid && room.log.knows(&aside.origin);
        if aside.origin != *peer && !(takes_relayed && is_third) {
            return false;
        }
        if let Some(instance) = room.instances.get_mut(peer) {
            instance.stuck = Default::default();
        }
        let number = Numbers::single(aside.seq);
        if room.log.mark(&aside.origin, aside.incarnation, &number) == 0 {
            return false;
        }
        self.unsaved.insert(jid.clone());
        let id = aside.id.clone();
        self.note(jid, &peer.service(), Notice::SetAside { id });
        true
    }
}
