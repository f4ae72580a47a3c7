//! The XEP's cast, and JIDs from text.

use dmuc::address::{BareJid, FullJid, Jid};
use dmuc::wire::{Affiliation, Listed, Listing, Subject};

pub const CHAT: &str = "chat.shakespeare.lit";
pub const ROOMS: &str = "rooms.macbeth.lit";
pub const CONF: &str = "conference.marlowe.lit";

/// The source of the XEP's examples. With `dmuc_room_id = "name"` its shadows are `coven@` too.
pub const COVEN: &str = "coven@chat.shakespeare.lit";
pub const COVEN_AT_ROOMS: &str = "coven@rooms.macbeth.lit";
/// The same where that name is not to be had.
pub const COVEN_OF_CHAT_AT_ROOMS: &str = "coven.chat.shakespeare.lit@rooms.macbeth.lit";
pub const COVEN_AT_CONF: &str = "coven@conference.marlowe.lit";

pub const CRONE1: &str = "crone1@shakespeare.lit/desktop";
pub const WITCH: &str = "somewitch@macbeth.lit/mobile";
pub const FAUST: &str = "faust@marlowe.lit/study";

/// Where those three usually are in the room: one at the source, one at each shadow.
pub const FOO: &str = "coven@chat.shakespeare.lit/foo";
pub const WITCH_PLACE: &str = "coven@rooms.macbeth.lit/witch";
pub const FAUST_PLACE: &str = "coven@conference.marlowe.lit/faust";

pub fn bare(text: &str) -> BareJid {
    BareJid::new(text).unwrap_or_else(|error| panic!("{text} is no bare JID: {error}"))
}

pub fn full(text: &str) -> FullJid {
    FullJid::new(text).unwrap_or_else(|error| panic!("{text} is no full JID: {error}"))
}

pub fn jid(text: &str) -> Jid {
    Jid::new(text).unwrap_or_else(|error| panic!("{text} is no JID: {error}"))
}

/// `room@service/nick` taken apart.
pub fn seat(text: &str) -> (BareJid, String) {
    let full = full(text);
    (full.to_bare(), full.nick().to_owned())
}

pub fn in_room(room: &BareJid, nick: &str) -> FullJid {
    room.with_resource(nick)
        .unwrap_or_else(|error| panic!("{nick} is no nick: {error}"))
}

/// The service that hosts a room.
pub fn service_of(room: &BareJid) -> BareJid {
    room.service()
}

pub fn message_body(text: &str) -> String {
    format!("<body>{}</body>", dmuc::wire::escaped(text))
}

/// A ruling about somebody's entry of the list of affiliations.
pub fn listing(user: &BareJid, affiliation: Affiliation, nick: &str) -> Listing {
    Listing {
        jid: user.clone(),
        entry: Listed {
            affiliation,
            nick: Some(nick.to_owned()),
        },
    }
}

pub fn subject(nick: &str, text: &str) -> Subject {
    Subject {
        nick: Some(nick.to_owned()),
        stamp: 0,
        text: text.to_owned(),
    }
}
