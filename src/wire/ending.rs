//! The ends of a distributed room (ours): closed, destroyed, left.

use jid::BareJid;

/// `<close xmlns='urn:x-dmuc:0'/>`: the source stops distributing the room.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Close {
    /// Words for the occupants.
    pub reason: Option<String>,
}

/// `<destroy xmlns='urn:x-dmuc:0'/>`: the source destroyed the room (XEP-0045 section 10.9).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Destroy {
    /// Where to go instead.
    pub venue: Option<BareJid>,
    /// Words for the occupants.
    pub reason: Option<String>,
    /// The password of the venue.
    pub password: Option<String>,
}
