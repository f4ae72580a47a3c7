//! Engines that keep to the rules never refuse each other, except where two changes cross on the way.

use std::collections::{BTreeMap, BTreeSet};

use dmuc::address::BareJid;
use dmuc::engine::Notice;
use dmuc::wire::Condition;

use crate::support::event::Event;
use crate::support::federation::{STILL_READING, crossing};
use crate::support::names::service_of;

/// What an instance says to one that it does not know.
const NO_INSTANCE: &str = "This is not an instance of the room";

/// What it says of somebody who should have been renamed.
const NICK_IS_LOST: &str = "Somebody else has this nick: the occupant needs another one";

/// What the source says when more are offered than it fetches in a while.
const MANY_AVATARS: &str = "Other avatars are on their way here: try again";

#[derive(Debug, Default)]
pub struct Honest {
    ended: BTreeSet<usize>,
    /// Rooms where rights changed since everything was at rest.
    loosened: BTreeSet<usize>,
    /// Splits that have begun, by instance and service, and not ended.
    splits: BTreeSet<(BareJid, BareJid)>,
    /// Messages that were refused where that is allowed.
    pub refused: Vec<String>,
    /// Between which services something has been wrong since everything was at rest: a connection lost something or
    /// changed its order, or one of the two was down. Each way round.
    pub troubled: BTreeSet<(BareJid, BareJid)>,
    /// Services that have not started yet.
    pub absent: BTreeSet<BareJid>,
    /// Configurations have left peers out, or modules have gone or come, since everything was at rest.
    pub is_upheaved: bool,
    /// Somebody has set what other instances do not take.
    pub is_strained: bool,
    /// Something may be lost for good, or beyond what is kept.
    pub may_have_gaps: bool,
    /// One of the peers lies: it may tell anybody that somebody of its own has a nick.
    pub has_liars: bool,
    /// A clock is, or was, not like the others.
    pub has_skew: bool,
}

impl Honest {
    pub fn event(
        &mut self,
        event: &Event,
        group: &impl Fn(&BareJid) -> Option<usize>,
        sources: &BTreeMap<usize, BareJid>,
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
                // What a shadow knows of others it has from the source.
                let source = group(&room).and_then(|group| sources.get(&group));
                let mut concerned = vec![by.clone(), service_of(&from.to_bare())];
                concerned.extend(source.map(service_of));
                let is_troubled = self.is_troubled(&concerned);
                // Which instances there are the source tells when both have answered it, or it has lost that itself.
                let is_unheard_of = stanza.starts_with("<message")
                    && error.condition == Condition::Forbidden
                    && error.text.as_deref() == Some(NO_INSTANCE)
                    && source.map(service_of).is_some_and(|source| {
                        let both = [by.clone(), service_of(&from.to_bare())];
                        let is_cut = |other: BareJid| self.is_troubled(&[other, source.clone()]);
                        both.into_iter().any(is_cut)
                    });
                let is_allowed = match group(&room) {
                    // An offer meets what the source has changed meanwhile (G7).
                    Some(group) if stanza.contains("<was") && error.condition == Condition::Conflict => {
                        self.loosened.contains(&group)
                    }
                    // What it asks for is in the stored log, which is still being read after a restart.
                    _ if error.text.as_deref() == Some(STILL_READING) => true,
                    _ if stanza.contains("<act ") => {
                        // What it is about may have been lost on the way, and comes later.
                        let is_early = is_troubled && error.condition == Condition::ResourceConstraint;
                        // Of avatars only so many wait at a time.
                        let is_full = error.text.as_deref() == Some(MANY_AVATARS);
                        is_early
                            || is_full
                            || matches!(error.condition, Condition::ItemNotFound | Condition::Forbidden)
                    }
                    // Its setter has just lost the right to it, or the nick.
                    _ if stanza.contains("<subject>") => error.condition == Condition::Forbidden,
                    // It has not heard that its occupants were forgotten by a restart, and does not tell of them anew.
                    _ if is_troubled && xep.contains(&service_of(&from.to_bare())) => true,
                    // What was agreed on is forgotten by a restart, or comes out of turn: it is asked for again.
                    _ if is_troubled && !stanza.starts_with("<message") => matches!(
                        error.condition,
                        Condition::UnexpectedRequest | Condition::ItemNotFound | Condition::Forbidden
                    ),
                    // Its presence was lost on the way.
                    _ if is_troubled && error.condition == Condition::NotAcceptable => true,
                    _ if is_unheard_of => true,
                    _ if self.has_liars && error.text.as_deref() == Some(NICK_IS_LOST) => true,
                    // The text has no rule for two with one nick; and whoever was restarted, or out of reach, has not heard
                    // of those who have it at a service of the text, and hears of them by this refusal. So does whoever is
                    // out of reach of who has it for longer than a minute, from those who reach both. Who refuses may have been
                    // out of reach itself: of who had the nick by then and has another one now. Nothing shows it that this is so.
                    _ if error.condition == Condition::Conflict => {
                        let from = service_of(&from.to_bare());
                        let mut texts = xep.iter();
                        let mut troubled = self.troubled.iter();
                        xep.contains(&from)
                            || error.text.as_deref() == Some(NICK_IS_LOST)
                                && troubled.any(|(a, b)| [a, b].into_iter().any(|at| *at == from || at == by))
                            || texts.any(|text| self.is_troubled(&[from.clone(), text.clone()]))
                    }
                    // Who does not know whom is told by nobody.
                    _ if self.is_upheaved && !stanza.starts_with("<message") => true,
                    _ if self.is_upheaved && error.condition == Condition::Forbidden => true,
                    // Nor who is there: a peer that is named again is brought up anew, and until its roster has come none of
                    // its people is in the room. What is kept is pulled with the roster, and due all the same.
                    _ if self.is_upheaved && error.condition == Condition::NotAcceptable => true,
                    Some(group) if self.ended.contains(&group) => true,
                    // A room that nobody has joined there, or a service: it may have ended.
                    None => error.condition == Condition::ItemNotFound && !self.ended.is_empty(),
                    Some(group) => {
                        self.loosened.contains(&group)
                            && matches!(error.condition, Condition::Forbidden | Condition::NotAcceptable)
                    }
                };
                let is_early = matches!(error.condition, Condition::NotAcceptable | Condition::Conflict);
                let is_pulled = (is_early || is_unheard_of || self.is_upheaved) && stanza.contains("<event ");
                if is_allowed && stanza.starts_with("<message") && !is_pulled {
                    self.refused.push(stanza.clone());
                }
                if !is_allowed {
                    return Err(format!("{by} refuses with {error:?}: {stanza}"));
                }
            }
            Event::Noticed { room, peer, notice } => {
                let split = (room.clone(), peer.clone());
                let was_split = match notice {
                    Notice::SplitBegan { .. } => !self.splits.insert(split),
                    Notice::SplitEnded => self.splits.remove(&split),
                    _ => false,
                };
                self.noticed(room, peer, notice, was_split)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn noticed(
        &self,
        room: &BareJid,
        peer: &BareJid,
        notice: &Notice,
        was_split: bool,
    ) -> Result<(), String> {
        match notice {
            Notice::Replicated { .. } => {}
            // It began when something was wrong, and it may have gone on for long after that: a source that has forgotten by
            // a loss that it has this shadow, and replicates on join, takes it up again when somebody joins.
            Notice::SplitEnded if was_split => {}
            Notice::Unreachable { .. } if self.absent.contains(peer) => {}
            Notice::SplitBegan { .. } | Notice::SplitEnded | Notice::Unreachable { .. }
                if self.is_troubled(&[service_of(room), peer.clone()]) => {}
            Notice::Gap { .. } if self.may_have_gaps => {}
            Notice::ClockDiffers { .. } if self.has_skew => {}
            // Only of what its own host holds: nobody sends what others do not take.
            Notice::Unfit { .. } if self.is_strained && *peer == service_of(room) => {}
            _ if self.is_upheaved && !matches!(notice, Notice::Gap { .. } | Notice::Unfit { .. }) => {}
            other => return Err(format!("{room} is told of {peer}: {other:?}")),
        }
        Ok(())
    }

    fn is_troubled(&self, services: &[BareJid]) -> bool {
        let mut pairs = self.troubled.iter();
        pairs.any(|(a, b)| services.contains(a) && services.contains(b))
    }

    pub fn loosen(&mut self, group: usize) {
        self.loosened.insert(group);
    }

    pub fn end(&mut self, group: usize) {
        self.ended.insert(group);
    }

    pub fn settle(&mut self) {
        self.loosened.clear();
        self.is_upheaved = false;
    }
}
