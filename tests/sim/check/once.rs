//! G1: an event crosses to each peer instance once.

use std::collections::BTreeSet;

use dmuc::address::{BareJid, Jid};

use crate::support::event::{Crossing, Event};

#[derive(Debug, Default)]
pub struct Once {
    /// What was said, and to which instance it went.
    messages: BTreeSet<(String, BareJid)>,
    subjects: BTreeSet<(String, BareJid, BareJid)>,
    /// Occupants whose last change was sent to this instance already.
    presences: BTreeSet<(BareJid, String, BareJid)>,
}

impl Once {
    pub fn event(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Changed { room, nick } => {
                self.presences.retain(|(of, who, _)| of != room || who != nick);
            }
            Event::Crossed { from, to, what } => return self.crossed(from, to, what),
            _ => {}
        }
        Ok(())
    }

    fn crossed(&mut self, from: &Jid, to: &Jid, what: &Crossing) -> Result<(), String> {
        let (sender, target) = (from.to_bare(), to.to_bare());
        let is_first = match what {
            Crossing::Message { payload } => self.messages.insert((payload.clone(), target)),
            Crossing::Subject { text } => self.subjects.insert((text.clone(), sender, target)),
            Crossing::Presence { .. } => {
                let nick = from.resource().map(str::to_owned).unwrap_or_default();
                self.presences.insert((sender, nick, target))
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
