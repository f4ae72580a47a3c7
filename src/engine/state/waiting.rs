//! What waits for an answer: changes for the source's decision (G7), visitors for voice (XEP-0045 section 8.6).

use std::collections::BTreeSet;

use super::log::Held;
use super::room::Room;
use crate::address::BareJid;
use crate::wire::Ruling;

/// What a ruling is about, whatever it says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Matter {
    /// Somebody's entry of the list of affiliations.
    Listed(BareJid),
    Subject,
    /// A field of the configuration.
    Field(String),
    /// The message with this stanza-id.
    Moderated(String),
    /// Somebody's hats.
    Hats(BareJid),
    Avatar,
}

/// A change that waits for the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) actor_nick: Option<String>,
    pub(crate) actor_jid: Option<BareJid>,
    /// What the source had when it was made.
    pub(crate) was: Ruling,
    /// What the source has now, as far as is known here: what comes back if it is not taken.
    pub(crate) base: Ruling,
    /// What it was set to.
    pub(crate) now: Ruling,
    /// Whether the source has been asked.
    pub(crate) is_asked: bool,
    /// Whether it comes of an invitation.
    pub(crate) is_invited: bool,
    /// Whether the person whose entry of the list it is has registered a nick with it, or taken the registration back, while
    /// somebody else answers for the affiliation: both hear of it if it does not hold.
    pub(crate) is_registered: bool,
}

impl Room {
    /// Whether nobody who joins is shown this: it is moderated, for good or until the source has decided.
    pub(crate) fn is_hidden(&self, held: &Held<'_>) -> bool {
        let matter = || Matter::Moderated(held.id().into_owned());
        held.is_gone() || !self.offers.is_empty() && self.offers.contains_key(&matter())
    }
}

/// A request of an occupant of ours.
#[derive(Debug, Clone)]
pub(crate) struct OpenRequest {
    /// Its join: a request does not outlive it.
    pub(crate) serial: u64,
    pub(crate) number: u64,
    /// When it was made, and when it was last told (monotonic ms).
    pub(crate) at: u64,
    pub(crate) told_at: u64,
    /// The instances that were told.
    pub(crate) told: BTreeSet<BareJid>,
}

/// A request of somebody else's occupant that the moderators here were shown.
#[derive(Debug, Clone)]
pub(crate) struct SeenRequest {
    pub(crate) serial: u64,
    pub(crate) number: u64,
    /// When it was shown (monotonic ms).
    pub(crate) at: u64,
}
