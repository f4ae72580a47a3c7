//! What follows by itself from what an instance knows, promised and heard.

use super::ballot::IsDown;
use super::{Claim, Edition, Name, Party};

/// How many votes are remembered that nothing has come of; the oldest are forgotten (G13).
pub const MAX_GRANTED: usize = 16;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<N> {
    /// This instance is the source from now on, under a claim above this one.
    Won(Claim<N>),
    /// Another one is the source from now on. This one followed this claim before.
    Follows(Claim<N>),
    /// This was decided or confirmed here, and is no part of what is held now: it is offered to the source, or its author is
    /// told.
    Lost(Vec<Edition<N>>),
    /// This instance has to have what this one holds.
    Take(N),
    /// There is something new to store, and then to tell the others.
    Said,
}

impl<N: Name> Party<N> {
    /// Applies every rule until none changes anything. `is_down` says whether the own link to somebody is down, or whoever
    /// that is does not have the room.
    pub fn settle(&mut self, is_down: IsDown<'_, N>) -> Vec<Outcome<N>> {
        let mut outcomes = Vec::new();
        while let Some(outcome) = self.apply_one(is_down) {
            outcomes.extend(outcome);
        }
        let lost = self.take_lost();
        if !lost.is_empty() {
            outcomes.push(Outcome::Lost(lost));
        }
        if self.said.is_standing {
            self.said.branches.clone_from(&self.line.branches);
        } else {
            self.said.branches.clear();
        }
        if self.said != self.told {
            self.said.at.serial += 1;
            self.told = self.said.clone();
            outcomes.push(Outcome::Said);
        }
        outcomes.extend(self.wanted(is_down).map(Outcome::Take));
        outcomes
    }

    /// Who holds something that this instance has to have, and can be reached.
    pub fn wanted(&self, is_down: IsDown<'_, N>) -> Option<N> {
        let wanted = self.heard.iter().find(|(name, said)| {
            let is_sources = **name == self.said.follows.source && said.edition.claim == self.said.follows;
            let is_missing = !self.line.contains(&self.said.edition, &said.edition);
            !is_down(name) && (is_sources && is_missing || self.wants_from(name, &said.edition))
        });
        wanted.map(|(name, _)| name.clone())
    }

    /// Applies the first rule that has something to do; `None` if there is none.
    fn apply_one(&mut self, is_down: IsDown<'_, N>) -> Option<Option<Outcome<N>>> {
        if self.is_recalled() {
            (self.recalled, self.has_recovered) = (None, true);
            return Some(None);
        }
        if let Some(claim) = self.believable(is_down) {
            let before = self.said.follows.clone();
            self.follow_claim(claim);
            return Some(Some(Outcome::Follows(before)));
        }
        if self.sees_source_again(is_down) {
            self.said.is_standing = false;
            return Some(None);
        }
        if let Some(claim) = self.grantable(is_down) {
            self.said.promised = claim.clone();
            self.said.is_standing = false;
            self.note_vote(claim);
            return Some(None);
        }
        if let Some(term) = self.released_to_us() {
            self.stand_for(term);
            return Some(None);
        }
        if self.has_won() {
            return Some(Some(self.win()));
        }
        None
    }

    /// Whether most of the other voters have said what they remember of this instance.
    fn is_recalled(&self) -> bool {
        let Some(recalled) = &self.recalled else {
            return false;
        };
        self.line.electorates().all(|list| {
            let others: Vec<&N> = list.iter().filter(|name| **name != self.me).collect();
            2 * others.iter().filter(|name| recalled.contains(**name)).count() > others.len()
                || others.is_empty()
        })
    }

    /// Who stands because its source was out of reach gives that up when it sees it again.
    fn sees_source_again(&self, is_down: IsDown<'_, N>) -> bool {
        let source = &self.said.follows.source;
        let is_here = |said: &super::Statement<N>| {
            said.follows == self.said.follows && said.releases(source) != Some(&self.said.promised)
        };
        self.said.is_standing
            && !self.is_source()
            && !is_down(source)
            && !self.has_forgotten_claim()
            && self.heard.get(source).is_some_and(is_here)
    }

    /// Whether a voter follows a claim of this instance that it has forgotten: its storage went back in time.
    pub(super) fn has_forgotten_claim(&self) -> bool {
        let mut heard = self.heard.iter();
        heard.any(|(name, said)| {
            let is_forgotten = said.follows.source == self.me && said.follows > self.said.follows;
            is_forgotten && self.line.is_voter(name)
        })
    }

    /// The term for which the source has released the role to this instance, if that has not stood for it yet.
    fn released_to_us(&self) -> Option<u64> {
        let source = &self.said.follows.source;
        let released = self.heard.get(source)?.releases(source)?;
        let is_next = released.source == self.me && released.term > self.said.promised.term;
        (is_next && !self.is_recovering() && self.line.is_voter(&self.me)).then_some(released.term)
    }

    /// It stays known that this was granted.
    pub(super) fn note_vote(&mut self, claim: Claim<N>) {
        self.said.granted.push(claim);
        let excess = self.said.granted.len().saturating_sub(MAX_GRANTED);
        self.said.granted.drain(..excess);
    }

    fn win(&mut self) -> Outcome<N> {
        let claim = self.said.promised.clone();
        let before = std::mem::replace(&mut self.said.follows, claim.clone());
        self.has_released = false;
        self.said.granted.clear();
        self.said.is_standing = false;
        let edition = self.next_edition(claim);
        self.line.begin(edition.version);
        if !self.line.unforced.is_empty() {
            // The force is over: those who voted before do so again, and leave one at a time.
            self.line.voters = std::mem::take(&mut self.line.unforced);
        }
        self.keep_voter(false);
        Outcome::Won(before)
    }

    /// Whether a source has to be elected anew ([`super::Step::StandAgain`]): somebody whom it reaches follows something
    /// higher that is not believed, or has promised it and votes; it has forgotten a claim of its own; or it was made by force, and most
    /// voters are here again. Nothing of it is done at once: what proves the higher claim may be on its way, and two that
    /// answer each other at once never end.
    pub fn has_to_stand_again(&self, is_down: IsDown<'_, N>) -> bool {
        if self.is_recovering() || !self.line.is_voter(&self.me) {
            return false;
        }
        if !self.is_source() && !self.has_forgotten_claim() || self.has_released && !self.said.is_standing {
            return false;
        }
        let mut heard = self.heard.iter();
        let is_forced = !self.line.unforced.is_empty() && !self.said.is_standing;
        let is_forgotten = !self.is_source() && !self.said.is_standing;
        let is_disputed = heard.any(|(name, said)| {
            let (promised, follows) = (&self.said.promised, &self.said.follows);
            let is_other = |claim: &Claim<N>| match self.said.is_standing {
                true => claim != promised && claim.term >= promised.term,
                false => claim > follows,
            };
            let is_disputing =
                is_other(&said.follows) || is_other(&said.promised) && self.line.is_voter(name);
            is_disputing && !is_down(name)
        });
        is_disputed || is_forgotten || is_forced && self.reaches_majority(is_down)
    }
}
