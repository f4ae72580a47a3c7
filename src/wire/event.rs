//! The mark on a groupchat message that makes it the same event everywhere (G4, G5, DESIGN section 3.1).

use jid::BareJid;

/// A hybrid logical clock: wall time, and a counter that orders what happened in the same millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hlc {
    /// Milliseconds since 1970.
    pub wall_ms: u64,
    /// Orders events with the same `wall_ms`.
    pub counter: u32,
}

/// `<event xmlns='urn:x-dmuc:0' id='…' inc='1' seq='42' at='1769155200123.0'/>` on a message between instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventStamp {
    /// The stanza-id (XEP-0359) of the message on every instance.
    pub id: String,
    /// The instance that first took the message; absent when it is the sender.
    pub origin: Option<BareJid>,
    /// Counts the origin's lives: a new one starts when a restored backup would reuse numbers.
    pub incarnation: u64,
    /// Contiguous number per origin and incarnation.
    pub seq: u64,
    /// Orders the log.
    pub at: Hlc,
}
