//! Who is granted a vote, who is believed: what an instance makes of what the others say of themselves.

use super::line::{goes_back_on, is_majority};
use super::{Claim, Edition, Name, Party, Statement};

/// What an instance sees of its links.
pub type IsDown<'a, N> = &'a dyn Fn(&N) -> bool;

impl<N: Name> Party<N> {
    /// The vote that this instance has to give now, if there is one. It may not know yet that it votes.
    pub(super) fn grantable(&self, is_down: IsDown<'_, N>) -> Option<Claim<N>> {
        if self.is_recovering() {
            return None;
        }
        let asked = self
            .heard
            .iter()
            .filter_map(|(name, said)| Some((name, said, said.asks_for(name)?)));
        let granted = asked.filter(|(name, said, claim)| {
            claim.term > self.said.promised.term
                && self.line.is_voter(name)
                && self.may_leave_source_for(said, claim, is_down)
                && self.is_not_older(said, claim)
        });
        granted.map(|(_, _, claim)| claim.clone()).max()
    }

    /// Whoever sees the source keeps it from being replaced, unless that asks itself, or has voted for who asks: it has released
    /// the role, or is not the source any more.
    fn may_leave_source_for(&self, said: &Statement<N>, claim: &Claim<N>, is_down: IsDown<'_, N>) -> bool {
        let source = &self.said.follows.source;
        if self.is_source() {
            // Somebody took over whom most voters followed, or by force, and is gone again.
            let is_above = said.follows > self.said.follows || said.edition.claim > self.said.follows;
            return is_above && self.lacks_majority(is_down);
        }
        *source == claim.source || self.has_granted(source, claim) || !self.sees_source(is_down)
    }

    /// Whether the source can be reached, and does not say that it follows another one or has forgotten the claim.
    pub(super) fn sees_source(&self, is_down: IsDown<'_, N>) -> bool {
        let source = &self.said.follows.source;
        let claims = |said: &Statement<N>| said.is_claim_of(source) && said.follows >= self.said.follows;
        !is_down(source) && self.heard.get(source).is_none_or(claims)
    }

    /// Whether what somebody holds who asks for votes is not older than what is held here. What this instance has only taken to
    /// be elected does not count against its own source.
    fn is_not_older(&self, said: &Statement<N>, claim: &Claim<N>) -> bool {
        let (theirs, ours) = (&said.edition, &self.said.edition);
        if ours.claim > self.said.follows && claim.source == self.said.follows.source {
            return true;
        }
        theirs.claim > ours.claim || theirs.claim == ours.claim && goes_back_on(&said.branches, theirs, ours)
    }

    /// Whether what this instance asks votes for is granted.
    pub(super) fn has_won(&self) -> bool {
        let claim = &self.said.promised;
        self.said.is_standing
            && !self.is_recovering()
            && self
                .line
                .electorates()
                .all(|list| is_majority(list, |name| self.has_granted(name, claim)))
    }

    /// The latest statement of an instance, this one included.
    pub(super) fn said_by(&self, name: &N) -> Option<&Statement<N>> {
        match *name == self.me {
            true => Some(&self.said),
            false => self.heard.get(name),
        }
    }

    /// Whether `name` has promised this claim and nothing higher, as it says itself.
    fn has_granted(&self, name: &N, claim: &Claim<N>) -> bool {
        self.said_by(name).is_some_and(|said| said.promised == *claim)
    }

    /// Whether `name` follows this claim, as it says itself.
    fn does_follow(&self, name: &N, claim: &Claim<N>) -> bool {
        self.said_by(name).is_some_and(|said| said.follows == *claim)
    }

    /// Whether `name` follows this claim, or has ever voted for it.
    fn has_agreed(&self, name: &N, claim: &Claim<N>) -> bool {
        let agrees = |said: &Statement<N>| {
            said.follows == *claim || said.promised == *claim || said.granted.contains(claim)
        };
        self.said_by(name).is_some_and(agrees)
    }

    /// The highest claim above the one followed here that is believed.
    pub(super) fn believable(&self, is_down: IsDown<'_, N>) -> Option<Claim<N>> {
        let claims = self
            .heard
            .iter()
            .filter(|(name, said)| said.is_claim_of(name) && said.follows > self.said.follows);
        let believed = claims.filter(|(_, said)| self.is_believed(said, is_down));
        believed.map(|(_, said)| said.follows.clone()).max()
    }

    /// `said` is the statement of who claims to be the source.
    fn is_believed(&self, said: &Statement<N>, is_down: IsDown<'_, N>) -> bool {
        let claim = &said.follows;
        let source = &self.said.follows.source;
        let agrees = |name: &N| self.has_agreed(name, claim);
        let line = &self.line;
        let lists = [&line.voters, &line.before, &line.unforced];
        if lists.into_iter().any(|list| is_majority(list, agrees)) {
            return true;
        }
        match self.is_source() {
            false => self.does_follow(source, claim),
            true => self.lacks_majority(is_down) && self.is_vouched_for(claim),
        }
    }

    /// Whether who claims to be the source is a voter, or a voter follows it: enough for a source that has no majority itself.
    fn is_vouched_for(&self, claim: &Claim<N>) -> bool {
        let line = &self.line;
        let mut voters = line.voters.iter().chain(&line.unforced);
        line.is_voter(&claim.source) || voters.any(|name| self.does_follow(name, claim))
    }

    /// Whether it is known that most voters, or most of those before it was forced, are not with this source: they cannot be
    /// reached, or say that they follow another one. Who has said nothing yet may be with it.
    fn lacks_majority(&self, is_down: IsDown<'_, N>) -> bool {
        let claim = &self.said.follows;
        let agrees = |said: &Statement<N>| said.follows == *claim || said.promised == *claim;
        let may_agree =
            |name: &N| *name == self.me || !is_down(name) && self.heard.get(name).is_none_or(agrees);
        !self.line.electorates().all(|list| is_majority(list, may_agree))
    }

    /// Whether most voters can be reached.
    pub(super) fn reaches_majority(&self, is_down: IsDown<'_, N>) -> bool {
        let is_reached = |name: &N| *name == self.me || !is_down(name) && self.heard.contains_key(name);
        self.line.electorates().all(|list| is_majority(list, is_reached))
    }

    /// Whether `name` holds something that this instance has to have: a source what it had decided and forgotten, who asks for
    /// votes what voters have that is newer.
    pub(super) fn wants_from(&self, name: &N, edition: &Edition<N>) -> bool {
        if self.line.contains(&self.said.edition, edition) {
            return false;
        }
        let is_later = edition.claim >= self.said.edition.claim;
        let is_candidate = self.said.is_standing && self.line.is_voter(name) && is_later;
        match self.is_source() {
            true => is_later && edition.claim.source == self.me || is_candidate && self.has_forgotten_claim(),
            false => is_candidate,
        }
    }
}
