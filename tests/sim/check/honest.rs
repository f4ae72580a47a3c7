//! Engines that keep to the rules never refuse each other, except where two changes cross on the way.

use std::collections::BTreeSet;

use dmuc::address::BareJid;
use dmuc::engine::Notice;
use dmuc::wire::Condition;

use crate::support::event::Event;
use crate::support::federation::crossing;
use crate::support::names::service_of;

#[derive(Debug, Default)]
pub struct Honest {
    ended: BTreeSet<usize>,
    /// Rooms where rights changed since everything was at rest.
    loosened: BTreeSet<usize>,
    /// Messages that were refused where that is allowed.
    pub refused: Vec<String>,
    /// Links fail.
    pub has_faults: bool,
    /// Something may be lost for good, or beyond what is kept.
    pub may_have_gaps: bool,
}

impl Honest {
    pub fn event(
        &mut self,
        event: &Event,
        group: &impl Fn(&BareJid) -> Option<usize>,
        xep: &BTreeSet<BareJid>,
    ) -> Result<(), String> {
        match event {
            Event::Refused {
                by,
                from,
                error,
                stanza,
            } => {
                let room = crossing(stanza).to.to_bare();
                let is_allowed = match group(&room) {
                    _ if stanza.contains("<act ") => {
                        matches!(error.condition, Condition::ItemNotFound | Condition::Forbidden)
                    }
                    // Its setter has just lost the right to it, or the nick.
                    _ if stanza.contains("<subject>") => error.condition == Condition::Forbidden,
                    // It has not heard that its occupants were forgotten by a restart, and does not tell of them anew.
                    _ if self.has_faults && xep.contains(&service_of(&from.to_bare())) => true,
                    // What was agreed on is forgotten by a restart, or comes out of turn: it is asked for again.
                    _ if self.has_faults && !stanza.starts_with("<message") => matches!(
                        error.condition,
                        Condition::UnexpectedRequest | Condition::ItemNotFound | Condition::Forbidden
                    ),
                    // The text has no rule for two with one nick.
                    _ if error.condition == Condition::Conflict => xep.contains(&service_of(&from.to_bare())),
                    Some(group) if self.ended.contains(&group) => true,
                    // A room that nobody has joined there, or a service: it may have ended.
                    None => error.condition == Condition::ItemNotFound && !self.ended.is_empty(),
                    Some(group) => {
                        self.loosened.contains(&group)
                            && matches!(error.condition, Condition::Forbidden | Condition::NotAcceptable)
                    }
                };
                if is_allowed && stanza.starts_with("<message") {
                    self.refused.push(stanza.clone());
                }
                if !is_allowed {
                    return Err(format!("{by} refuses with {error:?}: {stanza}"));
                }
            }
            Event::Noticed { room, peer, notice } => match notice {
                Notice::Replicated { .. } | Notice::Unreachable => {}
                Notice::SplitBegan { .. } | Notice::SplitEnded if self.has_faults => {}
                Notice::Gap { .. } if self.may_have_gaps => {}
                other => return Err(format!("{room} is told of {peer}: {other:?}")),
            },
            _ => {}
        }
        Ok(())
    }

    pub fn loosen(&mut self, group: usize) {
        self.loosened.insert(group);
    }

    pub fn end(&mut self, group: usize) {
        self.ended.insert(group);
    }

    pub fn settle(&mut self) {
        self.loosened.clear();
    }
}
