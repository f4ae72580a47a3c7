//! Room ids (XEP-0281 section 1.3): the localpart of every shadow.

use std::fmt;

use crate::address::{BareJid, localpart};

use super::limits::MAX_ROOM_ID_BYTES;
use super::{Condition, WireError};

/// The `id` of `<room id='theroom'/>`: a valid, normalised localpart of at most 255 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomId(String);

impl RoomId {
    /// Checks and normalises an id. A bad one is `not-acceptable` (DESIGN section 4, errors for `<replicate/>`).
    pub fn new(id: &str) -> Result<RoomId, WireError> {
        let bad = |text: &str| WireError::new(Condition::NotAcceptable, text);
        if id.is_empty() {
            return Err(bad("the room id is empty"));
        }
        if id.len() > MAX_ROOM_ID_BYTES {
            return Err(bad("the room id is longer than 255 bytes"));
        }
        let part = localpart(id).map_err(|_| bad("the room id is not a valid localpart"))?;
        if part.len() > MAX_ROOM_ID_BYTES {
            return Err(bad("the room id is longer than 255 bytes"));
        }
        Ok(RoomId(part))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The instance with this id at a service: the shadow's localpart is the room id (DESIGN section 4).
    pub fn at(&self, service: &BareJid) -> BareJid {
        service.with_node(self)
    }
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
