//! What crossed which link, and what it cost.

use std::collections::BTreeMap;
use std::ops::{Add, AddAssign};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

/// Stanzas and their plaintext bytes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Count {
    /// How many stanzas.
    pub stanzas: u64,
    /// How many bytes as XML, before compression and encryption.
    pub bytes: u64,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Count) {
        self.stanzas += other.stanzas;
        self.bytes += other.bytes;
    }
}

impl Add for Count {
    type Output = Count;
    fn add(mut self, other: Count) -> Count {
        self += other;
        self
    }
}

/// What went from one host to another, by kind of stanza.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct LinkCount {
    /// `<message/>`.
    pub message: Count,
    /// `<presence/>`.
    pub presence: Count,
    /// `<iq/>`.
    pub iq: Count,
    /// Those IQs that are heartbeats of mod_dmuc, or the answers: part of `iq`.
    pub heartbeat: Count,
}

impl LinkCount {
    /// All kinds together.
    pub fn total(&self) -> Count {
        self.message + self.presence + self.iq
    }

    /// IQs but heartbeats: those that something caused.
    pub fn requests(&self) -> Count {
        Count {
            stanzas: self.iq.stanzas.saturating_sub(self.heartbeat.stanzas),
            bytes: self.iq.bytes.saturating_sub(self.heartbeat.bytes),
        }
    }

    /// All kinds together but heartbeats, which come when they come.
    pub fn caused(&self) -> Count {
        self.message + self.presence + self.requests()
    }
}

/// A server's counters.
#[derive(Debug, Default, Clone)]
pub struct Stats {
    /// By sending and receiving host, for example `chat.shakespeare.lit` to `rooms.macbeth.lit`.
    pub links: BTreeMap<(String, String), LinkCount>,
    /// Stanzas delivered to local clients, by name.
    pub delivered: BTreeMap<String, u64>,
    /// CPU time of the process since its start (not since the last reset), in seconds.
    pub cpu_s: f64,
    /// Lua's heap, in kB.
    pub lua_kb: f64,
}

#[derive(Deserialize)]
struct Raw {
    // Lua has no empty maps: an empty table is an array.
    links: Value,
    delivered: Value,
    cpu_s: f64,
    lua_kb: f64,
}

fn map<T: for<'de> Deserialize<'de>>(value: Value) -> Result<BTreeMap<String, T>> {
    match value {
        Value::Array(items) if items.is_empty() => Ok(BTreeMap::new()),
        other => Ok(serde_json::from_value(other)?),
    }
}

impl Stats {
    pub(crate) fn parse(value: Value) -> Result<Stats> {
        let raw: Raw = serde_json::from_value(value).context("parsing counters")?;
        let mut links = BTreeMap::new();
        for (key, count) in map::<LinkCount>(raw.links)? {
            let (from, to) = key.split_once(' ').context("a link has two ends")?;
            links.insert((from.to_owned(), to.to_owned()), count);
        }
        Ok(Stats {
            links,
            delivered: map(raw.delivered)?,
            cpu_s: raw.cpu_s,
            lua_kb: raw.lua_kb,
        })
    }

    /// What went from one host to another; zero if nothing did.
    pub fn link(&self, from: &str, to: &str) -> LinkCount {
        self.links
            .get(&(from.to_owned(), to.to_owned()))
            .copied()
            .unwrap_or_default()
    }

    /// Everything that left over any link.
    pub fn total(&self) -> Count {
        self.links
            .values()
            .fold(Count::default(), |sum, link| sum + link.total())
    }
}
