//! Heal and quiet: when all links work and all services run, everything comes to rest and everybody agrees.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::{View, compare};
use crate::support::event::{Crossing, Event};
use crate::support::host::Host;
use crate::world::World;

/// Convergence takes no longer than this, in virtual time.
const MOST_MS: u64 = 3_600_000;
/// The longest that anybody waits before asking an honest peer again.
const PATIENCE_MS: u64 = 330_000;
/// How many heartbeats without anything else there must have been.
const HEARTBEATS: u64 = 3;

impl World {
    /// Everything heals and arrives; then all instances of a room must agree, and everybody have heard everything.
    pub fn rest(&mut self) -> Result<(), String> {
        self.heal()?;
        let until = self.fed.now_ms + MOST_MS;
        // That a heartbeat was lost, and what it told with it, is known only after the timeout.
        let quiet_ms = HEARTBEATS * self.plan.setup.ping_interval_ms + self.plan.setup.link_timeout_ms;
        let has_liars = !self.fed.liars.is_empty();
        // Who waits for a liar never stops.
        let quiet_ms = quiet_ms + if has_liars { PATIENCE_MS } else { 0 };
        let mut busy_at = self.fed.now_ms;
        loop {
            if self.fed.is_settled() && self.fed.now_ms >= busy_at + quiet_ms {
                if !self.finish_reading() {
                    break;
                }
                busy_at = self.fed.now_ms;
            }
            // Without heartbeats there may be nothing left to happen.
            let wait_until = (busy_at + quiet_ms).max(self.fed.now_ms);
            let is_over = if self.fed.is_settled() { wait_until } else { until };
            if !self.fed.step(is_over) {
                self.fed.now_ms = is_over;
            }
            if self.fed.events.iter().any(is_more_than_a_heartbeat) {
                busy_at = self.fed.now_ms;
            }
            self.check()?;
            if self.fed.now_ms >= until {
                return Err(format!(
                    "G6: it does not converge within {} s; who waits for what:\n{}",
                    MOST_MS / 1_000,
                    self.fed.who_waits()
                ));
            }
        }
        self.tell("rest".to_owned());
        self.expect_agreement()
    }

    /// Stored logs have been read by now, whether or not anything happened there. Returns whether one had not been.
    fn finish_reading(&mut self) -> bool {
        let mut was_unread = false;
        for service in self.fed.hosts.keys().cloned().collect::<Vec<_>>() {
            if self.fed.runs(&service) {
                was_unread |= self.fed.at(&service, Host::read_logs);
            }
        }
        was_unread
    }

    fn expect_agreement(&mut self) -> Result<(), String> {
        let (xep_suffers, stranded) = (self.xep_suffers(), self.checkers.stranded());
        for (number, group) in self.groups.iter().enumerate() {
            if !group.is_distributed || group.has_ended {
                continue;
            }
            let mut views: Vec<View> = self.instances(group).iter().map(|room| self.view(room)).collect();
            forget_contested(&mut views);
            compare(&views, self.checkers.refused(), &stranded, xep_suffers)
                .and_then(|()| self.checkers.compare_rulings(number, &views))
                .map_err(|error| format!("room {number} ({}): {error}", group.source))?;
        }
        self.fed.hosts.values().try_for_each(expect_addresses)?;
        self.is_lying = true;
        self.rested_at_ms = self.fed.now_ms + 1;
        self.checkers.rested()
    }

    /// A fault has touched a service that speaks the XEP's text only, which has no way to catch up.
    pub fn xep_suffers(&self) -> bool {
        self.fed
            .xep
            .keys()
            .any(|service| self.fed.net.was_touched(service))
            || self.fed.xep.values().any(|peer| peer.has_missed)
            || self.xep_missed
    }

    /// The running engines, for bounds.
    pub fn engines(&self) -> impl Iterator<Item = &Host> {
        self.fed.hosts.values().filter(|host| !host.is_down)
    }
}

/// A host knows by which addresses its rooms are known elsewhere.
fn expect_addresses(host: &Host) -> Result<(), String> {
    if host.is_down {
        return Ok(());
    }
    let told = host.served.iter().filter(|(_, addresses)| !addresses.is_empty());
    let told: BTreeMap<_, _> = told
        .map(|(room, addresses)| (room.clone(), addresses.clone()))
        .collect();
    let held = host.engine.rooms();
    let held = held.map(|room| (room.clone(), host.engine.addresses(room)));
    let held: BTreeMap<_, _> = held.filter(|(_, addresses)| !addresses.is_empty()).collect();
    match told == held {
        true => Ok(()),
        false => Err(format!(
            "G15: {} was told {told:?} and holds {held:?}",
            host.service
        )),
    }
}

/// Whose nick a liar's people have, or had told only to some: each has it as it was told.
fn forget_contested(views: &mut [View]) {
    let contested = views.iter().flat_map(|view| view.contested.clone());
    let contested: BTreeSet<String> = contested.collect();
    for view in views {
        view.roster.retain(|nick, _| !contested.contains(nick));
    }
}

fn is_more_than_a_heartbeat(event: &Event) -> bool {
    match event {
        Event::Crossed { what, .. } => {
            let is_beat = |name: &str| name == "digest" || name == "query";
            !(*what == Crossing::Heartbeat || matches!(what, Crossing::Request(name) if is_beat(name)))
        }
        _ => false,
    }
}
