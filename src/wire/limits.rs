//! Limits enforced while parsing (G13): what is larger is refused with `policy-violation` and changes nothing.

/// Longest localpart, resourcepart, nick or `id` of an IQ, in bytes (RFC 7622 sections 3.3 and 3.4).
pub const MAX_PART_BYTES: usize = 1023;
/// Longest `id` of a message, in bytes: clients choose it, and Prosody takes any. With the payload it is within
/// `dmuc_max_stanza_size`.
pub const MAX_MESSAGE_ID_BYTES: usize = 256 * 1024;
/// Longest room id, in bytes. A UUID has 36, a SHA-256 in hex 64; the rest is room for `dmuc_room_id = "name"`.
pub const MAX_ROOM_ID_BYTES: usize = 255;
/// Longest event id, stanza-id (XEP-0359), occupant-id (XEP-0421) or occupant-id salt, in bytes.
pub const MAX_ID_BYTES: usize = 128;
/// Longest language tag (RFC 5646; `xml:lang`), in bytes. A longer one is passed over.
pub const MAX_LANG_BYTES: usize = 64;
/// Longest human text (reason, password, error text, room subject), in bytes.
pub const MAX_TEXT_BYTES: usize = 4096;
/// Most hats of one person (XEP-0317).
pub const MAX_HATS: usize = 16;
/// Longest URI, title or hue of a hat, in bytes.
pub const MAX_HAT_BYTES: usize = 256;
/// Most that a hat holds, in bytes.
pub const MAX_HAT_PAYLOAD_BYTES: usize = 1_024;
/// Deepest nesting of what a hat holds.
pub const MAX_HAT_DEPTH: usize = 8;
/// Largest vCard of a room, in bytes: as much as Prosody takes from a client in one stanza.
pub const MAX_AVATAR_BYTES: usize = 256 * 1024;
/// Largest part of one on the wire, in bytes as it is written there. Every server takes stanzas of 10,000 bytes (RFC 6120
/// section 13.12).
pub const MAX_AVATAR_PART_BYTES: usize = 8_000;
/// Most fields in one data form.
pub const MAX_FORM_FIELDS: usize = 256;
/// Most values in one data form, all fields together.
pub const MAX_FORM_VALUES: usize = 1024;
/// Longest value of one form field, in bytes.
pub const MAX_FORM_VALUE_BYTES: usize = 4096;
/// Most items in one `<roster/>`.
pub const MAX_ROSTER_ITEMS: usize = 10_000;
/// Most messages in one `<history/>`.
pub const MAX_HISTORY_MESSAGES: usize = 1_000;
/// Most instances of one room.
pub const MAX_INSTANCES: usize = 1_000;
/// Most ranges of numbers of one (origin, incarnation).
pub const MAX_RANGES: usize = 64;
/// Most (origin, incarnation) pairs in one `<sync/>`.
pub const MAX_SEEN: usize = 4_096;
/// Most rooms in one `<digest/>`.
pub const MAX_DIGEST_ROOMS: usize = 500;
/// Largest payload of one presence or message (its children as XML), in bytes.
pub const MAX_PAYLOAD_BYTES: usize = 512 * 1024;
/// Largest payload of a presence, in bytes: every roster carries one for each occupant.
pub const MAX_PRESENCE_BYTES: usize = 64 * 1024;
/// Largest control payload, in bytes. Prosody's own default limit for a stanza between servers is 512 KiB;
/// a C host has no such limit, so this one stands for it.
pub const MAX_CONTROL_BYTES: usize = 4 * 1024 * 1024;
/// Largest element in a `<packed/>`, in bytes: some times as much as what is packed here. What somebody makes it cost to read a
/// stanza is that much at most, however well it is packed (G13).
pub const MAX_UNPACKED_BYTES: usize = 1024 * 1024;
/// Deepest nesting of elements. The DOM is walked and dropped recursively, so without this a few hundred
/// kilobytes of `<a><a><a>…` would overflow the stack.
pub const MAX_DEPTH: usize = 64;
/// Deepest nesting of elements in one payload: whatever it is wrapped in later (history, roster, page) nests no deeper
/// than [`MAX_DEPTH`], so that what was taken once can always be told on.
pub const MAX_PAYLOAD_DEPTH: usize = 56;
/// Most features taken from one disco#info result.
pub const MAX_DISCO_FEATURES: usize = 1024;
/// Most identities taken from one disco#info result.
pub const MAX_DISCO_IDENTITIES: usize = 64;
/// Most `<status/>` codes in one presence (XEP-0045 section 15.6.2 registers about thirty).
pub const MAX_STATUS_CODES: usize = 64;
