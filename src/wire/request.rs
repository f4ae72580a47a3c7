//! Everything one instance or service asks another in an IQ.

use super::{Act, Close, Config, Destroy, History, Peerhost, Replicate, Roster};

/// The type of an IQ that asks (RFC 6120 section 8.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IqKind {
    /// Asks for information.
    Get,
    /// Changes something.
    Set,
}

/// The payload of an IQ that asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Set, service to service: host a shadow.
    Replicate(Replicate),
    /// Set, service to service: there is another peerhost.
    Peerhost(Peerhost),
    /// Set, source to shadow: the configuration.
    Config(Config),
    /// Set, instance to instance: occupants and affiliations.
    Roster(Roster),
    /// Get, instance to instance: the history.
    History(History),
    /// Set, instance to instance: do this for one of my occupants.
    Act(Act),
    /// Set, source to shadow: the room is no longer distributed.
    Close(Close),
    /// Set, source to shadow: the room is destroyed.
    Destroy(Destroy),
    /// Set, shadow to source: this shadow is no more.
    Leave,
    /// Get: what do you support (XEP-0030)?
    DiscoInfo,
}

impl Request {
    /// The type of IQ it travels in.
    pub fn iq_kind(&self) -> IqKind {
        match self {
            Request::History(_) | Request::DiscoInfo => IqKind::Get,
            _ => IqKind::Set,
        }
    }
}
