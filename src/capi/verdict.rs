//! What the engine says at once.

use std::ffi::c_char;
use std::ptr;

use super::fields::{Fields, dmuc_field};
use super::guard::{guard_or, reference, release};
use crate::engine::Verdict;
use crate::inbound::{Handled, Inbound};
use crate::wire::{Stanza, StanzaError};

/// What the engine says at once.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum dmuc_verdict_type {
    /// There is no verdict: NULL was asked.
    DMUC_VERDICT_NONE = 0,
    /// Not the engine's: the host goes on as XEP-0045 says.
    DMUC_VERDICT_CONTINUE = 1,
    /// Taken: the host only drains.
    DMUC_VERDICT_DONE = 2,
    /// A local message was taken. STANZA_ID and KEPT: if kept, the host stamps it with that id and stores it before it
    /// shows it and before it drains.
    DMUC_VERDICT_ACCEPTED = 3,
    /// A peer's message is to be shown to local occupants, once: ROOM, NICK, MESSAGE_ID, PAYLOAD, and, to stamp it with,
    /// STANZA_ID (absent if it is not to be stored) and OCCUPANT_ID.
    DMUC_VERDICT_DELIVER = 4,
    /// The user is sent to the room TO.
    DMUC_VERDICT_REDIRECT = 5,
    /// It was refused and changed nothing: ERROR_TYPE, ERROR_CONDITION, ERROR_TEXT (may be absent), and, to a peer's
    /// stanza that is answered, as REPLY the stanza to answer with. To a local user the host says it.
    DMUC_VERDICT_REFUSED = 6,
}

/// A verdict and its parts. Opaque.
#[derive(Debug)]
pub struct dmuc_verdict {
    kind: dmuc_verdict_type,
    fields: Fields,
}

impl dmuc_verdict {
    pub(super) fn new(verdict: Verdict) -> dmuc_verdict {
        let fields = Fields::default();
        let (kind, fields) = match verdict {
            Verdict::Continue => (dmuc_verdict_type::DMUC_VERDICT_CONTINUE, fields),
            Verdict::Done => (dmuc_verdict_type::DMUC_VERDICT_DONE, fields),
            Verdict::Accepted { id, kept } => (
                dmuc_verdict_type::DMUC_VERDICT_ACCEPTED,
                fields
                    .set(dmuc_field::DMUC_FIELD_STANZA_ID, &id)
                    .number(dmuc_field::DMUC_FIELD_KEPT, u64::from(kept)),
            ),
            Verdict::Deliver { id, occupant_id } => (
                dmuc_verdict_type::DMUC_VERDICT_DELIVER,
                fields
                    .some(dmuc_field::DMUC_FIELD_STANZA_ID, id.as_deref())
                    .some(dmuc_field::DMUC_FIELD_OCCUPANT_ID, occupant_id.as_deref()),
            ),
            Verdict::Redirect { to } => (
                dmuc_verdict_type::DMUC_VERDICT_REDIRECT,
                fields.jid(dmuc_field::DMUC_FIELD_TO, &to),
            ),
        };
        dmuc_verdict { kind, fields }
    }

    pub(super) fn refused(error: &StanzaError, reply: Option<&str>) -> dmuc_verdict {
        dmuc_verdict {
            kind: dmuc_verdict_type::DMUC_VERDICT_REFUSED,
            fields: Fields::default()
                .error(error)
                .some(dmuc_field::DMUC_FIELD_REPLY, reply),
        }
    }

    pub(super) fn of_stanza(handled: Handled) -> dmuc_verdict {
        match handled.verdict {
            Err(error) => dmuc_verdict::refused(&error, handled.refusal.as_deref()),
            Ok(verdict) => {
                let is_delivered = matches!(verdict, Verdict::Deliver { .. });
                let verdict = dmuc_verdict::new(verdict);
                match handled.inbound.filter(|_| is_delivered) {
                    Some(inbound) => verdict.with_message(&inbound),
                    None => verdict,
                }
            }
        }
    }

    fn with_message(self, inbound: &Inbound) -> dmuc_verdict {
        let Stanza::Message(message) = inbound.stanza() else {
            return self;
        };
        let nick = message.from.resource();
        let fields = self
            .fields
            .jid(dmuc_field::DMUC_FIELD_ROOM, &message.to.to_bare())
            .some(dmuc_field::DMUC_FIELD_NICK, nick)
            .some(dmuc_field::DMUC_FIELD_MESSAGE_ID, message.id.as_deref())
            .set(dmuc_field::DMUC_FIELD_PAYLOAD, inbound.payload());
        dmuc_verdict { fields, ..self }
    }
}

/// Which verdict it is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_verdict_kind(verdict: *const dmuc_verdict) -> dmuc_verdict_type {
    guard_or(dmuc_verdict_type::DMUC_VERDICT_NONE, || {
        // SAFETY: the caller keeps the conventions.
        let verdict = unsafe { reference(verdict) }.ok()?;
        Some(verdict.kind)
    })
}

/// A part that is text, or NULL if it is absent. `field` is a dmuc_field.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_verdict_text(verdict: *const dmuc_verdict, field: u32) -> *const c_char {
    guard_or(ptr::null(), || {
        // SAFETY: the caller keeps the conventions.
        let verdict = unsafe { reference(verdict) }.ok()?;
        Some(verdict.fields.text(field))
    })
}

/// A part that is a number, or 0 if it is absent. `field` is a dmuc_field.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_verdict_number(verdict: *const dmuc_verdict, field: u32) -> u64 {
    guard_or(0, || {
        // SAFETY: the caller keeps the conventions.
        let verdict = unsafe { reference(verdict) }.ok()?;
        Some(verdict.fields.value(field))
    })
}

/// Frees a verdict.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_verdict_free(verdict: *mut dmuc_verdict) {
    // SAFETY: the caller keeps the conventions.
    unsafe { release(verdict) }
}
