//! What waits for an answer: changes for the source's decision (G7), visitors for voice (XEP-0045 section 8.6).

use std::collections::BTreeSet;

use super::log::Entry;
use super::room::Room;
use crate::address::BareJid;
use crate::wire::{Listed, Moderation, Subject};

/// What was changed: one value of the settings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum OfferKey {
    Affiliation(BareJid),
    Subject,
    Field(String),
    /// The message with this stanza-id.
    Moderation(String),
}

/// The value of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Listed(Listed),
    /// Subject and the nick that set it.
    Subject(Option<Subject>),
    Field(Vec<String>),
    /// By whom and why a message is taken away; `None` if it is there.
    Moderated(Option<Moderation>),
}

/// A change that waits for the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) actor_nick: Option<String>,
    pub(crate) actor_jid: Option<BareJid>,
    /// What the source had when it was made.
    pub(crate) was: Value,
    /// What the source has now, as far as is known here: what comes back if it is not taken.
    pub(crate) base: Value,
    /// What it was set to.
    pub(crate) now: Value,
    /// Whether the source has been asked.
    pub(crate) is_asked: bool,
    /// Whether it comes of an invitation.
    pub(crate) is_invited: bool,
    /// Whether the person whose entry of the list it is has registered a nick with it, or taken the registration back, while
    /// somebody else answers for the affiliation: both hear of it if it does not hold.
    pub(crate) is_registered: bool,
}

impl Room {
    /// The value in force here.
    pub(crate) fn value(&self, key: &OfferKey) -> Value {
        match key {
            OfferKey::Affiliation(jid) => Value::Listed(self.listed(jid)),
            OfferKey::Subject => Value::Subject(self.settings.subject.clone()),
            OfferKey::Field(var) => Value::Field(self.settings.form.values(var).unwrap_or_default().to_vec()),
            // What is hidden here is not in the log, but in the offer itself.
            OfferKey::Moderation(id) => match self.offers.get(key) {
                Some(offer) => offer.now.clone(),
                None => Value::Moderated(self.log.moderation_of(id).and_then(Entry::moderation)),
            },
        }
    }

    /// Whether nobody who joins is shown this: it is moderated, for good or until the source has decided.
    pub(crate) fn is_hidden(&self, entry: &Entry) -> bool {
        entry.is_gone()
            || !self.offers.is_empty() && self.offers.contains_key(&OfferKey::Moderation(entry.id.clone()))
    }

    pub(crate) fn set_value(&mut self, key: &OfferKey, value: &Value) {
        match (key, value) {
            (OfferKey::Affiliation(jid), Value::Listed(entry)) => {
                self.set_affiliation(jid, entry.affiliation, entry.nick.as_deref());
            }
            (OfferKey::Subject, Value::Subject(subject)) => self.settings.subject = subject.clone(),
            (OfferKey::Field(var), Value::Field(values)) => self.settings.form.set(var, values.clone()),
            _ => {}
        }
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
