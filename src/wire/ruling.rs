//! What the source of a room decides (G7): one type, whatever it is, wherever it is told.

use super::{Avatar, Form, Hats, Listed, Moderation, Subject};
use crate::address::BareJid;

/// One thing that the source decides, and what it is to be or is.
///
/// What the engine does with each kind stands in `src/engine/rulings.rs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ruling {
    /// An entry of the list of affiliations.
    Listed(Listing),
    /// The subject; `None` if none was ever set.
    Subject(Option<Subject>),
    /// Fields of the configuration. Each is decided for itself; they come together because they are told together.
    Form(Form),
    /// Whether a message is moderated (XEP-0425).
    Moderated(Moderated),
    /// Somebody's hats (XEP-0317).
    Hats(Hatted),
    /// Which vCard the room has (XEP-0486); `None` if it has none.
    Avatar(Option<Avatar>),
}

/// An entry of the list of affiliations, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// A user or a domain.
    pub jid: BareJid,
    /// The affiliation, and the nick registered with it.
    pub entry: Listed,
}

/// Whether a message is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moderated {
    /// Its stanza-id.
    pub id: String,
    /// By whom and why it was moderated; `None` if it is there.
    pub moderation: Option<Moderation>,
}

impl From<Moderation> for Moderated {
    fn from(moderation: Moderation) -> Moderated {
        Moderated {
            id: moderation.id.clone(),
            moderation: Some(moderation),
        }
    }
}

/// All hats of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hatted {
    /// A user on the list of affiliations.
    pub jid: BareJid,
    /// Its hats.
    pub hats: Hats,
}
