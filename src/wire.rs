//! The wire: XML becomes typed values here, once, and typed values become XML.
//!
//! Parsing either gives a value whose every part is valid and within its limit ([`limits`]), or a [`WireError`]: the
//! stanza error its sender is answered with. Nothing behind this border looks at XML again, except for payloads
//! of messages and presences, which are opaque text to everybody but the clients.
//!
//! An opaque payload is the concatenation of a stanza's child elements, in the form in which they stand inside
//! a stanza of `jabber:client`: an element of that namespace needs no `xmlns`, every other one has its own.

mod act;
mod avatar;
pub mod datetime;
mod digest;
mod disco;
mod dom;
mod ending;
mod error;
mod error_xml;
mod event;
mod fitting;
mod forged;
mod form;
mod hats;
mod history;
mod history_result;
pub mod limits;
mod message;
mod moderation;
pub mod ns;
mod numbers;
mod packed;
mod payload;
mod peering;
mod presence;
mod rank;
mod reading;
mod request;
mod response;
mod room_id;
mod roster;
mod ruling;
mod settings;
mod stanza;
mod succession;
mod sync;
mod text;

pub use act::{Act, ActKind, Listed, Steering};
pub use avatar::{Avatar, AvatarPart, AvatarQuery, Picture};
pub use digest::{Digest, Parts, RoomDigest};
pub use disco::{DiscoInfo, Identity};
pub use ending::{Close, Destroy};
pub use error::{Condition, ErrorType, StanzaError, WireError};
pub use event::{EventStamp, Hlc};
pub use fitting::{fitting_char, fitting_id, fitting_nick, fitting_text};
pub use forged::{canonical, without_forged};
pub use form::{Field, Form};
pub use hats::{Hat, Hats};
pub use history::History;
pub use history_result::{HistoryMessage, HistoryResult};
pub use message::{Invitation, Message, MessageKind, write_groupchat, write_invitation, write_message};
pub use moderation::{EventNumber, Moderation};
pub use numbers::Numbers;
pub use packed::unpack;
pub(crate) use packed::weight;
pub use payload::{check_payload, split_payload};
pub use peering::{Peerhost, Replicate};
pub use presence::{MucItem, OccupantStamp, Presence, PresenceKind, write_presence, write_redirect};
pub use rank::{Affiliation, Role};
pub use reading::Unfit;
pub use request::{IqKind, Request};
pub use response::Response;
pub use room_id::RoomId;
pub use roster::{OccupantExtra, Roster, RosterExtra, RosterItem};
pub use ruling::{Hatted, Listing, Moderated, Ruling};
pub use settings::{Config, SettingsExtra, Subject};
pub use stanza::{Iq, IqBody, Stanza, write_iq};
pub use succession::Succession;
pub(crate) use succession::{read_stored_edition as read_edition, write_edition};
pub use sync::{Aside, SeenNumbers, SyncAnswer, SyncEvent, SyncRequest};
pub use text::{escaped, push_escaped};

/// A stored element, which is as large as what it stores.
pub(crate) fn stored_element(xml: &str) -> Result<minidom::Element, WireError> {
    dom::parse(xml, usize::MAX)
}
