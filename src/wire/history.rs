//! Asking for a room's history (XEP-0281 section 3.2, limits as in XEP-0045 section 7.2.14).

use super::RoomId;

/// `<room id='theroom'><history/></room>`: a shadow asks an instance for history.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    /// The room, which the addressee knows anyway.
    pub id: Option<RoomId>,
    /// At most this many characters of XML.
    pub maxchars: Option<u64>,
    /// At most this many messages.
    pub maxstanzas: Option<u64>,
    /// Only messages of the last so many seconds.
    pub seconds: Option<u64>,
    /// Only messages since then, in milliseconds since 1970.
    pub since: Option<i64>,
}
