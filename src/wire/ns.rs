//! Every XML namespace this project reads or writes.

/// What XEP-0281 itself defines: `<replicate/>`, `<peerhost/>`, `<config/>`, `<roster/>`, `<room/>`.
pub const DMUC: &str = "urn:xmpp:dmuc:0";
/// Everything the XEP leaves open (DESIGN section 4). Sent only to peers that advertise it.
pub const OURS: &str = "urn:x-dmuc:0";
/// A feature: who has it reads `<packed/>` in place of a larger element of ours or the XEP's.
pub const PACKED: &str = "urn:x-dmuc:0#packed";
/// XEP-0045 `<x/>` of a join and `<history/>`.
pub const MUC: &str = "http://jabber.org/protocol/muc";
/// XEP-0045 `<x/>` of an occupant's presence.
pub const MUC_USER: &str = "http://jabber.org/protocol/muc#user";
/// XEP-0045 affiliation and role lists.
pub const MUC_ADMIN: &str = "http://jabber.org/protocol/muc#admin";
/// XEP-0045 configuration and destruction by an owner.
pub const MUC_OWNER: &str = "http://jabber.org/protocol/muc#owner";
/// `FORM_TYPE` of a room's configuration form (XEP-0045 section 15.5.3).
pub const ROOMCONFIG: &str = "http://jabber.org/protocol/muc#roomconfig";
/// `FORM_TYPE` of a room's extended disco#info (XEP-0045 section 15.5.4), where `dmuc-source` lives.
pub const ROOMINFO: &str = "http://jabber.org/protocol/muc#roominfo";
/// Data forms (XEP-0004).
pub const DATA_FORMS: &str = "jabber:x:data";
/// Delayed delivery (XEP-0203).
pub const DELAY: &str = "urn:xmpp:delay";
/// Stable stanza ids (XEP-0359).
pub const STANZA_ID: &str = "urn:xmpp:sid:0";
/// Occupant ids (XEP-0421).
pub const OCCUPANT_ID: &str = "urn:xmpp:occupant-id:0";
/// What a room says about somebody besides role and affiliation (XEP-0317).
pub const HATS: &str = "urn:xmpp:hats:0";
/// vCards (XEP-0054): a room's shows its avatar (XEP-0486).
pub const VCARD: &str = "vcard-temp";
/// Direct invitations (XEP-0249).
pub const CONFERENCE: &str = "jabber:x:conference";
/// Service discovery of what an entity is (XEP-0030).
pub const DISCO_INFO: &str = "http://jabber.org/protocol/disco#info";
/// Service discovery of what an entity has (XEP-0030).
pub const DISCO_ITEMS: &str = "http://jabber.org/protocol/disco#items";
/// Stanza error conditions (RFC 6120 section 8.3).
pub const STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
/// XMPP ping (XEP-0199).
pub const PING: &str = "urn:xmpp:ping";
/// `xml:lang`.
pub const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// Stanzas as a client sees them (RFC 6120).
pub const CLIENT: &str = "jabber:client";
