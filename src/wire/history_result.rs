//! A room's history as an answer (XEP-0281 section 3.2).

use jid::{BareJid, Jid};

use super::EventStamp;

/// `<history/>`: the messages, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HistoryResult {
    /// The messages, oldest first.
    pub messages: Vec<HistoryMessage>,
}

/// One message of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryMessage {
    /// Who said it (the resource of `from`).
    pub nick: String,
    /// The instance that answers (the bare JID of `from`).
    pub instance: BareJid,
    /// The `id` its sender gave it.
    pub id: Option<String>,
    /// The children as XML, without the delay, event and occupant-id below.
    pub payload: String,
    /// When it was said, in milliseconds since 1970.
    pub stamp: i64,
    /// The `from` of the delay: the real JID where the room is not anonymous, else the room (XEP-0045 7.2.13).
    pub delay_from: Option<Jid>,
    /// The mark of the event; absent from peers that speak only the XEP.
    pub event: Option<EventStamp>,
    /// The occupant-id (XEP-0421) of the sender.
    pub occupant_id: Option<String>,
}
