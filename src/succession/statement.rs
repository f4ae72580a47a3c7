//! What an instance says of itself.

use super::{Claim, Edition, Name};

/// When a statement was made: later ones take the place of earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment {
    /// The incarnation of who makes it.
    pub life: u64,
    /// Counts its statements, over all lives as far as they were stored.
    pub serial: u64,
}

/// What an instance says of itself; stored before it is told.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Statement<N> {
    /// When it was made.
    pub at: Moment,
    /// Whom it takes for the source; its own claim if that is itself.
    pub follows: Claim<N>,
    /// The highest term that it has promised, and to whom.
    pub promised: Claim<N>,
    /// What it has granted others above the claim that it follows, the lowest first: it stays true when it has promised
    /// something higher since.
    pub granted: Vec<Claim<N>>,
    /// Whether it asks for votes for what it has promised itself.
    pub is_standing: bool,
    /// What it holds of the settings.
    pub edition: Edition<N>,
    /// While it asks for votes: what that goes back on ([`super::Line::branches`]).
    pub branches: Vec<Edition<N>>,
}

impl<N: Name> Statement<N> {
    /// Whether `teller` says that it is the source.
    pub(super) fn is_claim_of(&self, teller: &N) -> bool {
        self.follows.source == *teller
    }

    /// Whether nothing was promised that could go back on what is decided under this claim.
    pub(super) fn is_bound_to(&self, claim: &Claim<N>) -> bool {
        self.promised.term < claim.term || self.promised == *claim
    }

    /// What `teller` asks votes for, if it does.
    pub(super) fn asks_for(&self, teller: &N) -> Option<&Claim<N>> {
        Some(&self.promised).filter(|claim| self.is_standing && claim.source == *teller)
    }

    /// To whom `teller` releases the role of source, if it does.
    pub(super) fn releases(&self, teller: &N) -> Option<&Claim<N>> {
        let is_above = self.is_claim_of(teller) && self.promised.term > self.follows.term;
        Some(&self.promised).filter(|claim| is_above && claim.source != *teller)
    }
}
