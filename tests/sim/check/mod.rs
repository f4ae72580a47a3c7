//! The guarantees of DESIGN section 1, as far as they can be seen from outside. Each checker reads the stream of
//! events and says what is wrong; `compare` looks at all instances of a room at rest.

mod bad_histories;
mod heard;
mod honest;
mod once;
mod same;

use std::collections::{BTreeMap, BTreeSet};

use dmuc::address::BareJid;

pub use same::{View, compare};

use crate::support::event::Event;

/// Most requests an engine may wait for at a time, with the few rooms and peers of a simulation.
const MAX_PENDING: usize = 2_000;

/// All checkers on one federation.
#[derive(Debug, Default)]
pub struct Checkers {
    once: once::Once,
    heard: heard::Heard,
    honest: honest::Honest,
    /// Which room an instance belongs to.
    groups: BTreeMap<BareJid, usize>,
    /// Services that speak the XEP's text only.
    xep: BTreeSet<BareJid>,
}

impl Checkers {
    pub fn map(&mut self, instance: &BareJid, group: usize) {
        self.groups.insert(instance.clone(), group);
    }

    pub fn speaks_xep_only(&mut self, service: &BareJid) {
        self.xep.insert(service.clone());
        self.once.xep.insert(service.clone());
    }

    pub fn event(&mut self, event: &Event) -> Result<(), String> {
        let group = |room: &BareJid| self.groups.get(room).copied();
        self.once.event(event)?;
        self.heard.event(event, &group, &self.xep)?;
        self.honest.event(event, &group, &self.xep)
    }

    /// Messages that were refused where that is allowed.
    pub fn refused(&self) -> &[String] {
        &self.honest.refused
    }

    /// G13: no queue grows without bound.
    pub fn bounds(&self, service: &BareJid, pending: usize) -> Result<(), String> {
        if pending > MAX_PENDING {
            return Err(format!("G13: {service} waits for {pending} answers"));
        }
        Ok(())
    }

    /// Instances come and go: what is said now may cross on the way.
    pub fn unsettle(&mut self) {
        self.heard.unsettle();
    }

    /// Rights in a room change: who just lost one may still be on the way with what it allowed.
    pub fn loosen(&mut self, group: usize) {
        self.honest.loosen(group);
    }

    pub fn end(&mut self, group: usize) {
        self.honest.end(group);
        self.heard.end(group);
    }

    /// Everything has arrived.
    pub fn rested(&mut self) -> Result<(), String> {
        self.heard.rested(&self.xep)?;
        self.honest.settle();
        Ok(())
    }
}
