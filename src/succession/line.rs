//! What goes with an edition of the settings: who votes, and what it goes back on.

use super::{Edition, Name};

/// How many earlier branches an edition names; what came before the oldest is taken for part of all (G13).
pub const MAX_BRANCHES: usize = 32;

/// Voters and lineage of an edition.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Line<N> {
    /// Who votes, in the order in which they are preferred; the source is one of them.
    pub voters: Vec<N>,
    /// The voters before the last change; empty if there was none under this claim.
    pub before: Vec<N>,
    /// The voters before the claim was forced, until most of those have voted for it; empty otherwise.
    pub unforced: Vec<N>,
    /// The version that most voters have to hold before they change again: the first of the claim, or the last change.
    pub since: u64,
    /// The last edition of each earlier claim, and of each earlier life, that this one goes back on; the oldest first.
    pub branches: Vec<Edition<N>>,
}

impl<N: Name> Line<N> {
    /// That of a room whose source is its only voter.
    pub fn of(source: N) -> Line<N> {
        Line {
            voters: vec![source],
            before: Vec::new(),
            unforced: Vec::new(),
            since: 0,
            branches: Vec::new(),
        }
    }

    /// Whether what was decided with `edition` is part of `head`, whose line this is.
    pub fn contains(&self, head: &Edition<N>, edition: &Edition<N>) -> bool {
        goes_back_on(&self.branches, head, edition)
    }

    /// From `head` on something else begins: another claim, or another life.
    pub(super) fn branch_off(&mut self, head: Edition<N>) {
        self.branches.push(head);
        let excess = self.branches.len().saturating_sub(MAX_BRANCHES);
        self.branches.drain(..excess);
    }

    /// A claim begins.
    pub(super) fn begin(&mut self, version: u64) {
        self.since = version;
        self.before.clear();
    }

    /// Those who have to agree to a claim: the voters, and as long as a claim was forced most of those before as well.
    pub fn electorates(&self) -> impl Iterator<Item = &Vec<N>> {
        let lists = [&self.voters, &self.unforced];
        lists.into_iter().filter(|list| !list.is_empty())
    }

    /// Whether somebody votes, or did before a claim was forced.
    pub(super) fn is_voter(&self, name: &N) -> bool {
        self.voters.contains(name) || self.unforced.contains(name)
    }
}

/// Whether most of `voters` are so.
pub(super) fn is_majority<N>(voters: &[N], is_so: impl Fn(&N) -> bool) -> bool {
    2 * voters.iter().filter(|voter| is_so(voter)).count() > voters.len()
}

/// Whether `edition` is part of what leads over `branches` to `head`.
pub(super) fn goes_back_on<N: Name>(
    branches: &[Edition<N>],
    head: &Edition<N>,
    edition: &Edition<N>,
) -> bool {
    let is_branch = |branch: &&Edition<N>| branch.claim == edition.claim && branch.life == edition.life;
    if is_branch(&head) {
        return edition.version <= head.version;
    }
    match branches.iter().rev().find(is_branch) {
        Some(branch) => edition.version <= branch.version,
        None => branches.len() >= MAX_BRANCHES && branches.first() > Some(edition),
    }
}
