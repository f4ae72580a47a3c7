//! The network: stanzas on their way, in order per direction, each link with a latency of its own. What can go wrong
//! on a link is a property of the link.

use std::collections::BTreeMap;

use dmuc::address::BareJid;

/// How one direction of a link behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Everything arrives, in order.
    #[default]
    Up,
    /// Everything comes back as remote-server-not-found.
    Bounces,
    /// Everything disappears.
    Swallows,
}

#[derive(Debug, Clone)]
pub struct Direction {
    pub mode: Mode,
    pub latency_ms: u64,
    /// Nothing overtakes what was sent before.
    last_at: u64,
    pub stanzas: u64,
    pub bytes: u64,
}

/// A stanza on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flight {
    pub from: BareJid,
    pub to: BareJid,
    pub xml: String,
    /// It comes back to its sender as an error.
    pub bounces: bool,
}

#[derive(Debug, Default)]
pub struct Network {
    directions: BTreeMap<(BareJid, BareJid), Direction>,
    flights: BTreeMap<(u64, u64), Flight>,
    count: u64,
}

impl Network {
    pub fn direction(&mut self, from: &BareJid, to: &BareJid) -> &mut Direction {
        self.directions
            .entry((from.clone(), to.clone()))
            .or_insert(Direction {
                mode: Mode::Up,
                latency_ms: 20,
                last_at: 0,
                stanzas: 0,
                bytes: 0,
            })
    }

    pub fn set_mode(&mut self, a: &BareJid, b: &BareJid, mode: Mode) {
        self.direction(a, b).mode = mode;
        self.direction(b, a).mode = mode;
    }

    /// Puts a stanza on its way; `jitter_ms` on top of the latency.
    pub fn send(&mut self, now_ms: u64, jitter_ms: u64, from: BareJid, to: BareJid, xml: String) {
        let size = xml.len() as u64;
        let direction = self.direction(&from, &to);
        direction.stanzas += 1;
        direction.bytes += size;
        if direction.mode == Mode::Swallows {
            return;
        }
        let bounces = direction.mode == Mode::Bounces;
        let at = (now_ms + direction.latency_ms + jitter_ms).max(direction.last_at);
        direction.last_at = at;
        self.count += 1;
        self.flights.insert(
            (at, self.count),
            Flight {
                from,
                to,
                xml,
                bounces,
            },
        );
    }

    pub fn next_at(&self) -> Option<u64> {
        self.flights.first_key_value().map(|((at, _), _)| *at)
    }

    pub fn arrive(&mut self) -> Option<Flight> {
        self.flights.pop_first().map(|(_, flight)| flight)
    }

    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// Stanzas handed to this direction so far.
    pub fn stanzas(&self, from: &BareJid, to: &BareJid) -> u64 {
        self.directions
            .get(&(from.clone(), to.clone()))
            .map_or(0, |direction| direction.stanzas)
    }
}
