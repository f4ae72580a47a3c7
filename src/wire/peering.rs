//! Between services: the replication request and the news of a peerhost (XEP-0281 section 3.2).

use jid::BareJid;

use super::RoomId;

/// `<replicate/>`: the firsthost asks a peerhost to host a shadow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replicate {
    /// The localpart the shadow is to have.
    pub id: RoomId,
    /// The source. The XEP does not name it; without it the shadow learns it from the configuration push.
    pub source: Option<BareJid>,
}

/// `<peerhost/>`: the firsthost tells its peerhosts about another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peerhost {
    /// The room.
    pub id: RoomId,
    /// The service of the other peerhost. The XEP does not name it; without it there is nothing to learn.
    pub jid: Option<BareJid>,
    /// It has left (ours; the XEP knows only arrivals).
    pub gone: bool,
}
