//! Endings not yet acknowledged: a shadow that was away when its room was destroyed or closed, and a source whose shadow
//! left while it was away, learn of it when they are back.

use std::collections::BTreeSet;

use crate::address::BareJid;

use super::Engine;
use super::request::Pending;
use super::state::clock::Now;
use crate::wire::{Request, StanzaError};

/// How many rooms that have ended are remembered for those who do not know (G13); the oldest are forgotten.
const MAX_ENDINGS: usize = 1_000;

/// How a room ended, and who has to be told.
#[derive(Debug, Clone)]
pub(crate) struct Ending {
    /// `<close/>`, `<destroy/>` or `<leave/>`.
    pub(crate) request: Request,
    /// Instances that have not acknowledged it.
    pub(crate) untold: BTreeSet<BareJid>,
    /// When (Unix ms).
    pub(crate) at_ms: u64,
}

impl Engine {
    /// The room has ended here: these instances are told, now or when they can be reached.
    pub(super) fn tell_ending(
        &mut self,
        now: Now,
        jid: &BareJid,
        request: Request,
        untold: BTreeSet<BareJid>,
    ) {
        if untold.is_empty() {
            return;
        }
        let services: BTreeSet<BareJid> = untold.iter().map(|jid| jid.service()).collect();
        // Who has not heard of the end of an earlier room of this name hears of it with this one.
        let mut untold = untold;
        if let Some(earlier) = self.endings.remove(jid) {
            untold.extend(earlier.untold);
        }
        let ending = Ending {
            request,
            untold,
            at_ms: now.wall_ms,
        };
        self.endings.insert(jid.clone(), ending);
        if self.endings.len() > MAX_ENDINGS {
            let oldest = self.endings.iter().min_by_key(|(_, ending)| ending.at_ms);
            if let Some(room) = oldest.map(|(room, _)| room.clone()) {
                self.endings.remove(&room);
                self.unsaved.insert(room);
            }
        }
        self.unsaved.insert(jid.clone());
        for service in services {
            self.tell_endings(now, &service);
        }
    }

    /// Tells a service of the ends that it does not know of.
    pub(super) fn tell_endings(&mut self, now: Now, service: &BareJid) {
        if !self.is_link_open(service) || !self.speaks_ours(service) {
            return;
        }
        let mut told = Vec::new();
        for (room, ending) in &self.endings {
            let here = ending.untold.iter().filter(|instance| instance.is_at(service));
            told.extend(here.map(|instance| (room.clone(), instance.clone(), ending.request.clone())));
        }
        for (room, instance, request) in told {
            let pending = Pending::Ending {
                room: room.clone(),
                instance: instance.clone(),
            };
            let is_asked = |outstanding: &super::request::Outstanding| outstanding.pending == pending;
            if !self.outstanding.values().any(is_asked) {
                self.request(now, room, instance, request, pending.clone());
            }
        }
    }

    /// Acknowledged; an error other than of the link says that there is nothing left to end.
    pub(super) fn ending_answered(
        &mut self,
        now: Now,
        jid: &BareJid,
        instance: &BareJid,
        error: Option<&StanzaError>,
    ) {
        if error.is_some_and(Self::is_link_error) {
            // Lost on a link that works; if it does not, they are told when it does again.
            self.tell_endings(now, &instance.service());
            return;
        }
        if let Some(ending) = self.endings.get_mut(jid) {
            ending.untold.remove(instance);
            if ending.untold.is_empty() {
                self.endings.remove(jid);
            }
        }
        self.unsaved.insert(jid.clone());
        self.advance(now, jid, &instance.service());
    }
}
