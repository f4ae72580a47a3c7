//! What happened, in order: the one stream that checkers read.

use dmuc::address::{BareJid, Jid};
use dmuc::engine::Notice;
use dmuc::wire::{Affiliation, Role, StanzaError};

/// Something that happened in the modelled world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A local occupant took a seat.
    Joined {
        room: BareJid,
        nick: String,
        session: u64,
    },
    /// A local occupant is no occupant any more.
    Left {
        room: BareJid,
        nick: String,
        session: u64,
    },
    /// A local occupant's presence, role, affiliation or nick changed, or it came or went.
    Changed { room: BareJid, nick: String },
    /// A local occupant sent a message that was taken.
    Said {
        room: BareJid,
        session: u64,
        payload: String,
        kept: bool,
    },
    /// A local occupant was shown something.
    Saw { room: BareJid, session: u64, seen: Seen },
    /// A stanza was handed to the network.
    Crossed { from: Jid, to: Jid, what: Crossing },
    /// The engine told an owner or an administrator something.
    Noticed {
        room: BareJid,
        peer: BareJid,
        notice: Notice,
    },
    /// The engine refused a peer's stanza.
    Refused {
        by: BareJid,
        from: Jid,
        error: StanzaError,
        stanza: String,
    },
    /// A room was distributed, closed, destroyed, or its service restarted.
    Turned { room: BareJid, turn: Turn },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    Distributed,
    Undistributed,
    Destroyed,
    Closed,
    Restarted,
}

/// What an occupant's client is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    Presence {
        nick: String,
        affiliation: Affiliation,
        role: Role,
        occupant_id: Option<String>,
        payload: String,
        codes: Vec<u16>,
    },
    Gone {
        nick: String,
        codes: Vec<u16>,
        new_nick: Option<String>,
        actor: Option<String>,
        reason: Option<String>,
    },
    Message(SeenMessage),
    Subject {
        nick: Option<String>,
        text: String,
    },
    /// Status 104: the configuration changed.
    ConfigChanged,
    /// The room is not distributed any more: go to the source.
    Closed {
        source: BareJid,
        reason: Option<String>,
    },
    Destroyed {
        reason: Option<String>,
        venue: Option<BareJid>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenMessage {
    pub nick: String,
    pub payload: String,
    pub message_id: Option<String>,
    pub stanza_id: Option<String>,
    pub occupant_id: Option<String>,
    /// From the history, or missed before.
    pub delayed: bool,
}

/// What a stanza between services is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Crossing {
    Presence {
        available: bool,
    },
    Message {
        payload: String,
    },
    Subject {
        text: String,
    },
    /// An IQ that asks, by the name of its element.
    Request(String),
    Answer,
    Error,
}
