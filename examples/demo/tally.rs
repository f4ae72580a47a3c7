//! What crossed the links, by what it was for.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use dmuc_testbed::{Count, Federation, LinkCount, Stats};

use crate::cast::Side;

/// From one server to another.
pub type Way = (Side, Side);

/// What some events of one kind (joins, messages) took.
#[derive(Debug, Default, Clone)]
pub struct Cost {
    pub events: u64,
    pub ways: BTreeMap<Way, Count>,
}

impl Cost {
    pub fn add(&mut self, events: u64, links: &BTreeMap<Way, LinkCount>) {
        self.events += events;
        for (way, link) in links {
            *self.ways.entry(*way).or_default() += link.total();
        }
    }

    /// Over all links.
    pub fn total(&self) -> Count {
        self.ways
            .values()
            .fold(Count::default(), |sum, count| sum + *count)
    }

    /// Stanzas and bytes per event on one way.
    pub fn per_event(&self, way: Way) -> (f64, f64) {
        self.share(self.ways.get(&way).copied().unwrap_or_default())
    }

    /// Stanzas and bytes per event on all ways together.
    pub fn per_event_in_all(&self) -> (f64, f64) {
        self.share(self.total())
    }

    fn share(&self, count: Count) -> (f64, f64) {
        let events = self.events.max(1) as f64;
        (count.stanzas as f64 / events, count.bytes as f64 / events)
    }
}

/// Everything that was counted in one performance.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// Making the room, and its shadows.
    pub setup: Cost,
    pub joins: Cost,
    pub messages: Cost,
}

/// The counters of a federation, by server instead of by host: user domain and MUC service together. Without heartbeats:
/// they come once a second, whatever happens.
pub fn by_server(fed: &Federation, stats: &Stats) -> Result<BTreeMap<Way, LinkCount>> {
    let side = |host: &str| {
        fed.servers()
            .iter()
            .position(|server| server.domain() == host || server.muc() == host)
            .with_context(|| format!("no server is called {host}"))
    };
    let mut ways: BTreeMap<Way, LinkCount> = BTreeMap::new();
    for ((from, to), count) in &stats.links {
        let sum = ways.entry((side(from)?, side(to)?)).or_default();
        sum.message += count.message;
        sum.presence += count.presence;
        sum.iq += count.requests();
    }
    Ok(ways)
}
