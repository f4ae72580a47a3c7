//! The parts of actions and verdicts, by name.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char};
use std::ptr;

use crate::address::BareJid;

use super::guard::c_text;
use crate::wire::{Hlc, Moderation, StanzaError};

/// The parts of actions and verdicts. Those marked as numbers are for dmuc_action_number and dmuc_verdict_number, all
/// others for dmuc_action_text and dmuc_verdict_text. Which action and which verdict has which is said there.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum dmuc_field {
    /// The sender of a stanza, or of the answer to give.
    DMUC_FIELD_FROM = 1,
    /// The addressee.
    DMUC_FIELD_TO = 2,
    /// Our room.
    DMUC_FIELD_ROOM = 3,
    /// The source of the room.
    DMUC_FIELD_SOURCE = 4,
    /// The peer instance that an occupant joined.
    DMUC_FIELD_HOME = 5,
    /// A peer service.
    DMUC_FIELD_PEER = 6,
    /// A shadow: of this room, at a peer.
    DMUC_FIELD_SHADOW = 7,
    /// The id of an IQ.
    DMUC_FIELD_IQ_ID = 8,
    /// Whose it is, or who did it; absent for the room itself.
    DMUC_FIELD_NICK = 9,
    /// The nick that takes its place.
    DMUC_FIELD_NEW_NICK = 10,
    /// The nick that is registered with an affiliation.
    DMUC_FIELD_RESERVED_NICK = 11,
    /// A real JID.
    DMUC_FIELD_JID = 12,
    /// "owner", "admin", "member", "none" or "outcast".
    DMUC_FIELD_AFFILIATION = 13,
    /// "moderator", "participant", "visitor" or "none".
    DMUC_FIELD_ROLE = 14,
    /// The occupant-id (XEP-0421).
    DMUC_FIELD_OCCUPANT_ID = 15,
    /// The stanza-id (XEP-0359), the same at every instance.
    DMUC_FIELD_STANZA_ID = 16,
    /// The `id` attribute of a message.
    DMUC_FIELD_MESSAGE_ID = 17,
    /// The children of a message or presence, as XML.
    DMUC_FIELD_PAYLOAD = 18,
    /// A number: when it was sent, Unix time in milliseconds.
    DMUC_FIELD_TIME_MS = 19,
    /// A number: 1 if occupants have yet to see the message, or are told of the split, or that the room is parked.
    DMUC_FIELD_DELIVER = 20,
    /// A number: 1 if the message is to be appended to the stored log before it is shown.
    DMUC_FIELD_KEPT = 21,
    /// A subject; empty if there is none.
    DMUC_FIELD_SUBJECT = 22,
    /// The configuration, a data form (XEP-0004) with muc#roomconfig fields.
    DMUC_FIELD_FORM = 23,
    /// The salt of the room's occupant-ids.
    DMUC_FIELD_SALT = 24,
    /// Who did it: a nick; in DMUC_ACTION_PERFORM_ACT the JID in whose name it is done.
    DMUC_FIELD_ACTOR = 25,
    /// Why.
    DMUC_FIELD_REASON = 26,
    /// The room to go to instead.
    DMUC_FIELD_VENUE = 27,
    /// The password there.
    DMUC_FIELD_PASSWORD = 28,
    /// What happened: "replicated", "unsupported", "refused", "unreachable", "split_began", "split_ended", "gap",
    /// "set_aside" (the message with that STANZA_ID does not get through),
    /// "too_many_peerhosts", "clock_ahead" and "clock_behind" (the peer's clock differs from ours by DIFFERENCE_MS), "takes_less" (the
    /// peer takes smaller messages than we do), "not_named" (the peer is not in `dmuc_peers` any more, and its instance is left out until it is), or
    /// "unfit": something was cut or left out, DMUC_FIELD_REASON says what.
    DMUC_FIELD_NOTICE = 29,
    /// A number: what is to be done, a dmuc_act_type.
    DMUC_FIELD_ACT = 30,
    /// A number: the token that the host gave.
    DMUC_FIELD_TOKEN = 31,
    /// The type of an error (RFC 6120 section 8.3.2), as "cancel".
    DMUC_FIELD_ERROR_TYPE = 32,
    /// Its condition (RFC 6120 section 8.3.3), as "forbidden".
    DMUC_FIELD_ERROR_CONDITION = 33,
    /// Its words for a human.
    DMUC_FIELD_ERROR_TEXT = 34,
    /// A complete stanza to send back.
    DMUC_FIELD_REPLY = 35,
    /// The instance whose occupant sent a message: with INCARNATION and SEQ it names the message everywhere.
    DMUC_FIELD_ORIGIN = 36,
    /// A number: the life of the origin in which it sent the message; 0 if the origin does not number its messages.
    DMUC_FIELD_INCARNATION = 37,
    /// A number: the message's own, from 1 in each life of its origin.
    DMUC_FIELD_SEQ = 38,
    /// When it was sent, for the order of the messages, the same at every instance: `<ms>.<counter>`, both decimal. The
    /// order is by (ms, counter, ORIGIN, INCARNATION, SEQ).
    DMUC_FIELD_AT = 39,
    /// A number: how many entries stay.
    DMUC_FIELD_KEEP = 40,
    /// A number: how many occupants cannot be reached.
    DMUC_FIELD_OCCUPANTS = 41,
    /// A number: how many messages are lost.
    DMUC_FIELD_MESSAGES = 42,
    /// The real JID of who did it.
    DMUC_FIELD_ACTOR_JID = 43,
    /// What was changed: "affiliation", "registration", "subject", "field", "avatar" or "moderation".
    DMUC_FIELD_CHANGE = 44,
    /// The variable of a field of the configuration, as "muc#roomconfig_roomname".
    DMUC_FIELD_VARIABLE = 45,
    /// The stanza-id of the message that is taken away.
    DMUC_FIELD_MODERATED = 46,
    /// A number: 1 if a role is the answer to a voice request.
    DMUC_FIELD_VOICE = 47,
    /// A number: 1 if an affiliation comes of an invitation.
    DMUC_FIELD_INVITED = 48,
    /// The hats of a user, an element `<hats xmlns='urn:xmpp:hats:0'/>` (XEP-0317); empty for none.
    DMUC_FIELD_HATS = 49,
    /// The `xml:lang` of a message.
    DMUC_FIELD_LANG = 50,
    /// Why a room is parked: "source_not_named" (PEER is not in the peers of this engine) or "not_shared" (PEER does not name
    /// this service).
    DMUC_FIELD_PARKED = 51,
    /// Why a peer is out of reach, as far as that is known: "silent", "unreachable", "dns", "connection-refused",
    /// "certificate", "no-module" or "not-peered".
    DMUC_FIELD_CAUSE = 52,
    /// A number: by how much two clocks differ, in milliseconds.
    DMUC_FIELD_DIFFERENCE_MS = 53,
    /// A number: the largest payload of a message that the peer takes, in bytes.
    DMUC_FIELD_TAKES = 54,
    /// A number: the same of this engine (dmuc_max_stanza_size).
    DMUC_FIELD_TAKES_HERE = 55,
    /// A number: for how long nothing is read, in milliseconds.
    DMUC_FIELD_PAUSE_MS = 56,
    /// The vCard of a room, an element `<vCard xmlns='vcard-temp'/>` (XEP-0054).
    DMUC_FIELD_VCARD = 57,
    /// Stanza-ids, one a line, in the order of the log: 500 at most.
    DMUC_FIELD_STANZA_IDS = 58,
    /// Room JIDs, one a line; empty if there are none.
    DMUC_FIELD_ADDRESSES = 59,
    /// A number: whether an invitation is sent.
    DMUC_FIELD_INVITE = 60,
}

/// Named parts; what is absent is not in it.
#[derive(Debug, Default)]
pub(super) struct Fields {
    texts: BTreeMap<u32, CString>,
    numbers: BTreeMap<u32, u64>,
}

impl Fields {
    pub(super) fn set(mut self, field: dmuc_field, text: &str) -> Fields {
        self.texts.insert(field as u32, c_text(text));
        self
    }

    pub(super) fn jid(self, field: dmuc_field, jid: &BareJid) -> Fields {
        self.set(field, jid.as_str())
    }

    pub(super) fn some(self, field: dmuc_field, text: Option<&str>) -> Fields {
        match text {
            Some(text) => self.set(field, text),
            None => self,
        }
    }

    pub(super) fn number(mut self, field: dmuc_field, number: u64) -> Fields {
        self.numbers.insert(field as u32, number);
        self
    }

    /// The place of a message in the log, but for its origin.
    pub(super) fn place(self, id: &str, incarnation: u64, seq: u64, at: Hlc) -> Fields {
        self.set(dmuc_field::DMUC_FIELD_STANZA_ID, id)
            .number(dmuc_field::DMUC_FIELD_INCARNATION, incarnation)
            .number(dmuc_field::DMUC_FIELD_SEQ, seq)
            .set(dmuc_field::DMUC_FIELD_AT, &at.to_string())
    }

    /// What is taken away, if something is.
    pub(super) fn moderation(self, moderation: Option<&Moderation>) -> Fields {
        let Some(moderation) = moderation else { return self };
        self.set(dmuc_field::DMUC_FIELD_MODERATED, &moderation.id)
            .some(dmuc_field::DMUC_FIELD_ACTOR, moderation.nick.as_deref())
            .some(dmuc_field::DMUC_FIELD_REASON, moderation.reason.as_deref())
    }

    pub(super) fn error(self, error: &StanzaError) -> Fields {
        self.set(dmuc_field::DMUC_FIELD_ERROR_TYPE, error.kind.as_str())
            .set(dmuc_field::DMUC_FIELD_ERROR_CONDITION, error.condition.as_str())
            .some(dmuc_field::DMUC_FIELD_ERROR_TEXT, error.text.as_deref())
    }

    /// The text for C, or NULL. `field` comes from C and may be any number.
    pub(super) fn text(&self, field: u32) -> *const c_char {
        self.texts.get(&field).map_or(ptr::null(), |text| text.as_ptr())
    }

    /// The number, or 0.
    pub(super) fn value(&self, field: u32) -> u64 {
        self.numbers.get(&field).copied().unwrap_or(0)
    }
}
