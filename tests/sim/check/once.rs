//! G1: an event crosses to each peer instance once.

use std::collections::{BTreeMap, BTreeSet};

use dmuc::address::{BareJid, Jid};

use crate::support::event::{Crossing, Event};
use crate::support::names::service_of;

#[derive(Debug, Default)]
pub struct Once {
    /// What was said, and to which instance it went.
    messages: BTreeSet<(String, BareJid)>,
    subjects: BTreeSet<(String, BareJid, BareJid)>,
    /// Services that speak the XEP's text only: they are shown JIDs by presence, too, as soon as they may see them.
    pub xep: BTreeSet<BareJid>,
    pub has_faults: bool,
    /// Configurations have left peers out: who is no instance any more is told that people leave, without that they do.
    pub is_upheaved: bool,
    presences: BTreeMap<(BareJid, String), Changes>,
}

/// The changes of one occupant.
#[derive(Debug, Default)]
struct Changes {
    count: u64,
    /// How many there were before those that nobody has been told of.
    told: u64,
    is_being_told: bool,
    /// The last one that each instance was told of.
    by_instance: BTreeMap<BareJid, u64>,
}

impl Once {
    pub fn event(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Changed { room, nick } => {
                let changes = self.presences.entry((room.clone(), nick.clone())).or_default();
                if changes.is_being_told {
                    (changes.told, changes.is_being_told) = (changes.count, false);
                }
                changes.count += 1;
            }
            // Whoever is there is told of the end.
            Event::Turned { room, .. } => {
                // Whether it had told of a subject that it had not stored yet it does not know.
                self.subjects.retain(|(_, sender, _)| sender != room);
                for ((of, _), changes) in &mut self.presences {
                    if of == room {
                        changes.told = changes.count;
                        changes.count += 1;
                    }
                }
            }
            Event::Crossed { from, to, what, .. } => return self.crossed(from, to, what),
            _ => {}
        }
        Ok(())
    }

    fn crossed(&mut self, from: &Jid, to: &Jid, what: &Crossing) -> Result<(), String> {
        let (sender, target) = (from.to_bare(), to.to_bare());
        let is_first = match what {
            Crossing::Message { payload } => self.messages.insert((payload.clone(), target)),
            // Who may have missed it and cannot ask is told again after a failure.
            Crossing::Subject { text } => {
                let is_new = self.subjects.insert((text.clone(), sender, target.clone()));
                is_new || self.has_faults && self.xep.contains(&service_of(&target))
            }
            Crossing::Presence { .. } => {
                let nick = from.resource().map(str::to_owned).unwrap_or_default();
                let changes = self.presences.entry((sender, nick)).or_default();
                changes.is_being_told = true;
                let last = changes.by_instance.entry(target.clone()).or_default();
                let is_new = *last < changes.count;
                *last = (*last + 1).max(changes.told + 1);
                is_new || self.is_upheaved || self.xep.contains(&service_of(&target))
            }
            _ => true,
        };
        if is_first {
            Ok(())
        } else {
            Err(format!("G1: {what:?} crosses from {from} to {to} again"))
        }
    }
}
