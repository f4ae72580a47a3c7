//! The guarantees of DESIGN section 1, as far as they can be seen from outside. Each checker reads the stream of
//! events and says what is wrong; `compare` looks at all instances of a room at rest.

mod asked;
mod bad_histories;
mod bad_histories_of_liars;
mod bad_histories_of_rulings;
mod bad_histories_of_splits;
mod credit;
mod heard;
mod honest;
mod ledger;
mod once;
mod outcasts;
mod private;
mod rule;
mod same;
mod stays;

use std::collections::{BTreeMap, BTreeSet};

use dmuc::address::BareJid;
use dmuc::config::{Replicate, SplitPresence};

pub use same::{View, compare};

use crate::plan::Setup;
use crate::support::event::Event;

/// Most requests an engine may wait for at a time, with the few rooms and peers of a simulation.
const MAX_PENDING: usize = 2_000;

/// All checkers on one federation.
#[derive(Debug, Default)]
pub struct Checkers {
    once: once::Once,
    heard: heard::Heard,
    honest: honest::Honest,
    ledger: ledger::Ledger,
    stays: stays::Stays,
    rule: rule::Rule,
    private: private::Private,
    asked: asked::Asked,
    credit: credit::Credit,
    outcasts: outcasts::Outcasts,
    /// Which room an instance belongs to.
    groups: BTreeMap<BareJid, usize>,
    /// Services that speak the XEP's text only.
    xep: BTreeSet<BareJid>,
    ended: BTreeSet<usize>,
    /// The source of each room.
    sources: BTreeMap<usize, BareJid>,
    /// Rooms are offered to a service only when somebody from there joins.
    replicates_on_join: bool,
}

impl Checkers {
    /// What the options allow.
    pub fn set_up(&mut self, setup: &Setup) {
        self.replicates_on_join = setup.replicate == Replicate::OnJoin;
        self.ledger.is_short = setup.log_max_messages.is_some();
        (self.heard.is_short, self.heard.has_faults) = (self.ledger.is_short, setup.has_faults);
        self.once.has_faults = setup.has_faults;
        self.honest.may_have_gaps = self.ledger.is_short;
        self.honest.has_skew = setup.services.iter().any(|service| service.skew_ms != 0);
        self.outcasts.is_blind = self.honest.has_skew || setup.services.iter().any(|service| service.is_xep);
        self.stays.may_leave = setup.split_presence == SplitPresence::Leave;
        self.ledger.is_trusting = setup.is_trusting;
        self.private.most_ms = 3 * setup.link_timeout_ms + 2 * setup.ping_interval_ms;
        (self.asked.most_ms, self.asked.is_short) = (self.private.most_ms, self.ledger.is_short);
    }

    pub fn source(&mut self, group: usize, instance: &BareJid) {
        self.sources.insert(group, instance.clone());
        self.map(instance, group);
    }

    pub fn map(&mut self, instance: &BareJid, group: usize) {
        self.groups.insert(instance.clone(), group);
    }

    pub fn speaks_xep_only(&mut self, service: &BareJid) {
        self.xep.insert(service.clone());
        self.once.xep.insert(service.clone());
        self.ledger.xep.insert(service.clone());
    }

    /// A fault has touched a service that speaks the XEP's text only.
    pub fn touched(&mut self, service: &BareJid) {
        self.heard.touched.insert(service.clone());
    }

    pub fn time(&mut self, now_ms: u64) {
        (self.private.now_ms, self.asked.now_ms, self.heard.now_ms) = (now_ms, now_ms, now_ms);
    }

    pub fn event(&mut self, event: &Event) -> Result<(), String> {
        let group = |room: &BareJid| self.groups.get(room).copied();
        self.once.event(event)?;
        self.ledger.event(event, &group, &self.sources)?;
        self.heard.event(event, &group, &self.xep)?;
        self.stays.event(event, &group, &self.xep)?;
        self.rule.event(event, &group)?;
        self.asked.event(event, &group)?;
        self.private.event(event)?;
        self.credit.event(event);
        self.outcasts.event(event, &group);
        self.honest.event(event, &group, &self.sources, &self.xep)
    }

    /// No time passes before the next event.
    pub fn moment(&mut self) -> Result<(), String> {
        self.private.in_time()?;
        self.asked.in_time()?;
        self.heard.moment(&self.xep)
    }

    /// Messages that only instances have from which nobody may take them.
    pub fn stranded(&self) -> BTreeSet<String> {
        if self.ledger.is_trusting {
            return BTreeSet::new();
        }
        let source_of = |room: &BareJid| {
            let group = self.groups.get(room)?;
            self.sources.get(group).cloned()
        };
        self.ledger.stranded(&source_of)
    }

    /// What the instances of a room hold of what the source has decided.
    pub fn compare_rulings(&self, group: usize, views: &[View]) -> Result<(), String> {
        self.asked.compare(group, views)?;
        self.outcasts.compare(group, views)
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

    /// Between which services something has been wrong since everything was at rest, and which have not started.
    pub fn trouble(&mut self, troubled: BTreeSet<(BareJid, BareJid)>, absent: BTreeSet<BareJid>) {
        (self.honest.troubled, self.honest.absent) = (troubled, absent);
    }

    /// Instances come and go, or a fault begins: what is said now may be lost on the way.
    pub fn unsettle(&mut self) {
        self.heard.unsettle();
    }

    /// One of the peers lies.
    pub fn beware(&mut self, has_liars: bool) {
        (self.honest.has_liars, self.heard.has_liars) = (has_liars, has_liars);
        self.stays.has_liars = has_liars;
        self.ledger.has_liars = has_liars;
    }

    /// What a liar says is shown or kept.
    pub fn lie(&mut self, event: &Event) -> Result<(), String> {
        let group = |room: &BareJid| self.groups.get(room).copied();
        self.credit.lie(event, &group)
    }

    /// Somebody sets what is as large as may be, or larger.
    pub fn strain(&mut self) {
        self.honest.is_strained = true;
    }

    /// A configuration leaves peers out, or a module goes or comes: rooms lose instances and get them again.
    pub fn upheave(&mut self) {
        (self.honest.is_upheaved, self.once.is_upheaved) = (true, true);
        for group in self.sources.keys() {
            self.stays.behead(*group);
        }
    }

    /// Rights in a room change: who just lost one may still be on the way with what it allowed.
    pub fn loosen(&mut self, group: usize) {
        self.honest.loosen(group);
    }

    /// Somebody gives roles, which may be a kick.
    pub fn kick(&mut self, group: usize) {
        self.stays.kick(group);
    }

    /// Somebody changes the list or the settings, which may remove people.
    pub fn govern(&mut self, group: usize) {
        self.stays.govern(group);
    }

    pub fn distributed(&mut self, group: usize) {
        self.ledger.distributed(group);
    }

    pub fn end(&mut self, group: usize) {
        self.ended.insert(group);
        self.honest.end(group);
        self.heard.end(group);
        self.stays.end(group);
        self.rule.end(group);
    }

    /// A service lost what it had not flushed, or was put back to a backup.
    pub fn lossy(&mut self, service: &BareJid) {
        self.ledger.lossy(service);
        self.rule.lossy(service);
        for (group, source) in &self.sources {
            if source.service() == *service {
                self.stays.behead(*group);
                if self.replicates_on_join {
                    self.heard.forget_shadows(*group);
                }
            }
        }
        (self.honest.may_have_gaps, self.outcasts.is_blind) = (true, true);
    }

    /// A clock jumped.
    pub fn skewed(&mut self) {
        (self.honest.has_skew, self.outcasts.is_blind) = (true, true);
    }

    /// A service runs again, with what it has stored.
    pub fn started(&mut self, service: &BareJid) -> Result<(), String> {
        self.ledger.started(service)
    }

    /// Everything has arrived.
    pub fn rested(&mut self) -> Result<(), String> {
        let (stranded, ledger) = (self.stranded(), &self.ledger);
        let gone = asked::payloads_of(self.asked.gone(), &ledger.payloads);
        let is_excused = |room: &BareJid, payload: &String| {
            ledger.excused.contains(payload)
                || gone.contains(payload)
                || stranded.contains(payload) && !ledger.holds(room, payload)
        };
        self.heard.rested(&self.xep, &is_excused)?;
        self.ledger.rested(&self.ended)?;
        self.rule.rested()?;
        self.private.rested()?;
        self.asked.rested()?;
        self.stays.rested();
        self.honest.settle();
        Ok(())
    }
}
