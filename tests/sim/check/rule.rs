//! G7: the source rules. What was changed at a shadow that could not reach it holds in the end, or whoever changed it
//! is told.

use std::collections::BTreeMap;

use dmuc::address::BareJid;

use crate::support::event::{Event, Turn, What};
use crate::support::names::service_of;

#[derive(Debug, Default)]
pub struct Rule {
    /// What the source has decided last.
    values: BTreeMap<(usize, What), String>,
    /// What was changed at a shadow, its last change only.
    open: BTreeMap<(BareJid, What), Attempt>,
}

#[derive(Debug)]
struct Attempt {
    group: usize,
    actor: BareJid,
    value: String,
    /// The source has had this value since.
    holds: bool,
    is_told: bool,
}

impl Rule {
    pub fn event(&mut self, event: &Event, group: &impl Fn(&BareJid) -> Option<usize>) -> Result<(), String> {
        match event {
            Event::Decided { room, what, value } => {
                let Some(number) = group(room) else { return Ok(()) };
                for ((_, tried), attempt) in &mut self.open {
                    if attempt.group == number && tried == what && attempt.value == *value {
                        attempt.holds = true;
                    }
                }
                self.values.insert((number, what.clone()), value.clone());
            }
            Event::Tried {
                room,
                actor,
                what,
                value,
            } => {
                let Some(number) = group(room) else { return Ok(()) };
                // Who was never listed has no affiliation.
                let unlisted = "none".to_owned();
                let default = matches!(what, What::Affiliation(_)).then_some(&unlisted);
                let current = self.values.get(&(number, what.clone())).or(default);
                let holds = current == Some(value);
                let attempt = Attempt {
                    group: number,
                    actor: actor.clone(),
                    value: value.clone(),
                    holds,
                    is_told: false,
                };
                self.open.insert((room.clone(), what.clone()), attempt);
            }
            Event::Overridden { room, actor, what } => {
                let Some(attempt) = self.open.get_mut(&(room.clone(), what.clone())) else {
                    return Err(format!(
                        "G7: {actor:?} hears of {what:?} at {room}, which nobody changed"
                    ));
                };
                if actor.as_ref() != Some(&attempt.actor) {
                    return Err(format!(
                        "G7: {actor:?} hears of {what:?} at {room}, which {} changed",
                        attempt.actor
                    ));
                }
                if attempt.is_told {
                    return Err(format!("G7: {actor:?} hears of {what:?} at {room} again"));
                }
                attempt.is_told = true;
            }
            Event::Turned {
                room,
                turn: Turn::Closed | Turn::Destroyed,
            } => self.open.retain(|(at, _), _| at != room),
            _ => {}
        }
        Ok(())
    }

    /// It may have lost what it wanted to offer.
    pub fn lossy(&mut self, service: &BareJid) {
        self.open.retain(|(room, _), _| service_of(room) != *service);
    }

    pub fn end(&mut self, group: usize) {
        self.open.retain(|_, attempt| attempt.group != group);
    }

    pub fn rested(&mut self) -> Result<(), String> {
        for ((room, what), attempt) in std::mem::take(&mut self.open) {
            if !attempt.holds && !attempt.is_told {
                let now = self.values.get(&(attempt.group, what.clone()));
                return Err(format!(
                    "G7: {} set {what:?} to {:?} at {room}; the source has {now:?} and it was not told",
                    attempt.actor, attempt.value
                ));
            }
        }
        Ok(())
    }
}
