//! What happened, in order: the one stream that checkers read.

use dmuc::address::{BareJid, Jid};
use dmuc::engine::Notice;
use dmuc::wire::{Affiliation, Role, Ruling, StanzaError};

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
        cause: Cause,
    },
    /// A local occupant has another nick now.
    Renamed {
        room: BareJid,
        session: u64,
        nick: String,
    },
    /// A local occupant's presence, role, affiliation or nick changed, or it came or went.
    Changed { room: BareJid, nick: String },
    /// A local occupant sent a message that was taken, and is not shown to anybody here yet.
    Taken { room: BareJid, payload: String },
    /// A local occupant sent a message that was taken.
    Said {
        room: BareJid,
        session: u64,
        payload: String,
        kept: bool,
    },
    /// A local occupant was shown something.
    Saw { room: BareJid, session: u64, seen: Seen },
    /// A message is in the stored log of an instance, after it was appended or after a restart.
    Kept {
        room: BareJid,
        id: String,
        payload: String,
    },
    /// A message cannot be stored now, and waits in memory; or still waits when its room goes on.
    Waits {
        room: BareJid,
        id: String,
        payload: String,
    },
    /// The room is not distributed here any more, and its stored log is gone.
    Forgotten { room: BareJid },
    /// A stanza was handed to the network.
    Crossed {
        from: Jid,
        to: Jid,
        /// Of an IQ.
        id: Option<String>,
        what: Crossing,
    },
    /// The source decided, or an ordinary room's owner did: what now has this value.
    Decided {
        room: BareJid,
        what: What,
        value: String,
    },
    /// Somebody changed something at a shadow that cannot reach its source.
    Tried {
        room: BareJid,
        actor: BareJid,
        what: What,
        /// What it was there until then.
        was: String,
        /// Of an avatar: the hash of the one that this instance has been told of, also if its picture is still on its way. What
        /// is changed after that is changed after it, whatever people there see of it yet.
        told: Option<String>,
        value: String,
    },
    /// A shadow has this value now.
    Took {
        room: BareJid,
        what: What,
        value: String,
    },
    /// The room told somebody that its change does not hold.
    Overridden {
        room: BareJid,
        actor: Option<BareJid>,
        what: What,
    },
    /// Somebody sends a private message or request to an occupant of another instance.
    Private {
        room: BareJid,
        to: BareJid,
        token: u64,
        is_request: bool,
    },
    /// It arrived at its addressee's home.
    PrivateArrived { room: BareJid, token: u64 },
    /// The engine says that it arrived, or that it did not as far as can be known.
    PrivateEnded {
        room: BareJid,
        token: u64,
        is_done: bool,
        /// The network has lost something on the way since, without a word.
        may_be_lost: bool,
    },
    /// Somebody at a shadow asks for something that is decided elsewhere.
    Asked { room: BareJid, token: u64, wish: Asked },
    /// The answer to that.
    Answered {
        room: BareJid,
        token: u64,
        is_done: bool,
    },
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
    /// The configuration leaves its source out: it is kept on disk and closed.
    Parked,
    Distributed,
    Undistributed,
    Destroyed,
    Closed,
    /// Its service ends, in good order or not: nobody is in it any more.
    Down,
    /// Its service has started again.
    Restarted,
}

/// Why somebody ceased to be an occupant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// It wanted to.
    Own,
    /// It was removed, with these status codes.
    Removed(Vec<u16>),
    /// The room is no more, or closed.
    Ended,
    /// Its service is down.
    Down,
}

/// What somebody asks for, as far as it shows in what the source decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// That a message is taken away.
    Message(String),
    /// That a user has this nick, or none any more.
    Registration(BareJid, Option<String>),
    Affiliation(BareJid, Affiliation),
    Other,
}

/// What settings consist of: each part changes on its own (G7).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    Affiliation(BareJid),
    Field(String),
    Subject,
    /// The vCard of the room.
    Avatar,
    /// The message with this stanza-id is gone.
    Message(String),
}

impl What {
    /// What a ruling is about that a shadow may make provisionally.
    pub fn of(ruling: Ruling) -> What {
        match ruling {
            Ruling::Listed(listing) => What::Affiliation(listing.jid),
            Ruling::Subject(_) => What::Subject,
            Ruling::Avatar(_) => What::Avatar,
            Ruling::Form(form) => What::Field(form.fields[0].var.clone()),
            Ruling::Moderated(moderated) => What::Message(moderated.id),
            Ruling::Hats(hatted) => panic!("hats of {} at a shadow", hatted.jid),
        }
    }
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
    /// To moderators: somebody asks for voice.
    VoiceRequest {
        nick: String,
        jid: Option<Jid>,
    },
    Subject {
        nick: Option<String>,
        text: String,
    },
    /// Status 104: the configuration changed.
    ConfigChanged,
    /// Status 104: the avatar changed; empty if there is none.
    Avatar(String),
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
    /// A message from one occupant to another.
    Private,
    /// The answer to a `<sync/>`, with the ids of its events.
    Synced(Vec<String>),
    /// The answer to a heartbeat: to a `<digest/>`, or to what a peer supports.
    Heartbeat,
    Error,
}

impl Event {
    /// The occupant-id that a client is told to be its own (status 110).
    pub fn own_occupant_id(&self) -> Option<(&BareJid, u64, &str)> {
        match self {
            Event::Saw {
                room,
                session,
                seen:
                    Seen::Presence {
                        occupant_id: Some(id),
                        codes,
                        ..
                    },
            } if codes.contains(&110) => Some((room, *session, id)),
            _ => None,
        }
    }
}
