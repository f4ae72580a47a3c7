//! A peer that knows nothing but the XEP's text: a component behind a plain Prosody, scripted with the XEP's own
//! stanzas, plays peerhost and firsthost for real servers.

mod firsthost;
mod firsthost_rooms;
mod peerhost;
mod peerhost_rooms;
mod script;

pub use firsthost::{AT_CHAT, HEATH, fills};
pub use peerhost::is_replicated;
pub use script::{CHAT, PEER, Peer, with_peer};
