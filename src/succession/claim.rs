//! Claims and editions: who says that it is the source, and which settings are whose.

/// That an instance is the source, in a term. Claims are ordered by term, then by name: the same order everywhere, whatever
/// list of voters somebody knows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Claim<N> {
    /// Counts elections; 0 for the room's first source.
    pub term: u64,
    /// Who says so.
    pub source: N,
}

/// One state of the settings: the claim under which it was decided, in which life of the source's service, and which it is.
/// Versions grow within a claim, over its lives too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edition<N> {
    /// Whose decision it is.
    pub claim: Claim<N>,
    /// The source's incarnation: a source that comes back from a backup decides in another one than before.
    pub life: u64,
    /// Counts decisions.
    pub version: u64,
}
