//! Who decides for a room, and how that moves when its host hands over or is gone: the rules of DESIGN 9 (G14) apart from
//! everything else, so that a model checker can drive what the engine runs (`tests/model`).
//!
//! Every instance makes one kind of [`Statement`], about nobody but itself: which claim it follows, what it has promised, what
//! it holds. Asking for votes, granting, releasing the role, claiming it, holding an edition are all read off the latest
//! statements of those concerned, so that nothing depends on an answer that was lost, doubled or late. A statement counts when
//! it is newer than the one before, and the host stores what it says before it is told.

mod ballot;
mod changes;
mod claim;
mod line;
mod party;
mod settle;
mod statement;

pub use changes::{Objection, Step};
pub use claim::{Claim, Edition};
pub use line::{Line, MAX_BRANCHES};
pub use party::{MAX_OWED, Party, StoredParty};
pub use settle::{MAX_GRANTED, Outcome};
pub use statement::{Moment, Statement};

/// Most voters of a room: more make an election slower and no safer (DESIGN 9).
pub const MAX_VOTERS: usize = 7;

/// What names an instance: a bare JID, or something smaller in a model.
pub trait Name: Ord + Clone {}

impl<N: Ord + Clone> Name for N {}
