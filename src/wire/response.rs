//! Everything an IQ result may hold.

use super::{DiscoInfo, HistoryResult};

/// The payload of an IQ result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// Nothing: an acknowledgement, or a history without messages.
    Empty,
    /// A room's history.
    History(HistoryResult),
    /// What the peer supports.
    DiscoInfo(DiscoInfo),
}
