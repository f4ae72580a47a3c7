//! What the engine says at once.

use std::ffi::c_char;
use std::ptr;

use super::engine::{dmuc_engine, dmuc_now, result_of};
use super::fields::{Fields, dmuc_field};
use super::guard::{Outcome, guard_or, reference, release};
use crate::address::BareJid;
use crate::engine::{Input, Verdict};
use crate::error::Error;
use crate::inbound::{Handled, Inbound};
use crate::wire::{EventStamp, Stanza, StanzaError};
use crate::words;

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
    /// A local message was taken. STANZA_ID and KEPT: if kept, the host stamps it with that id and appends it to its stored
    /// log, with ORIGIN, INCARNATION, SEQ and AT, before it shows it and before it drains.
    DMUC_VERDICT_ACCEPTED = 3,
    /// A peer's message is to be shown to local occupants, once: ROOM, NICK, MESSAGE_ID, LANG, PAYLOAD, OCCUPANT_ID (may
    /// be absent) and KEPT. If kept, it is stamped with STANZA_ID and first appended to the stored log, with ORIGIN, INCARNATION,
    /// SEQ and AT.
    DMUC_VERDICT_DELIVER = 4,
    /// The user is sent to the room TO, in the words ERROR_TEXT, and, if INVITE is 1, invited there (XEP-0249).
    DMUC_VERDICT_REDIRECT = 5,
    /// It was refused and changed nothing: ERROR_TYPE, ERROR_CONDITION, ERROR_TEXT (may be absent), and, to a peer's
    /// stanza that is answered, as REPLY the stanza to answer with. To a local user the host says it.
    DMUC_VERDICT_REFUSED = 6,
    /// The source decides this and is out of reach: the host does it as it would at the source, and hands it in, with who did
    /// it. It holds here until the source decides.
    DMUC_VERDICT_HOLD = 7,
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
            Verdict::Hold => (dmuc_verdict_type::DMUC_VERDICT_HOLD, fields),
            Verdict::Accepted { id, event } => (
                dmuc_verdict_type::DMUC_VERDICT_ACCEPTED,
                place_of(fields, event.as_ref()).set(dmuc_field::DMUC_FIELD_STANZA_ID, &id),
            ),
            Verdict::Deliver { event, occupant_id } => (
                dmuc_verdict_type::DMUC_VERDICT_DELIVER,
                place_of(fields, event.as_ref())
                    .some(dmuc_field::DMUC_FIELD_OCCUPANT_ID, occupant_id.as_deref()),
            ),
            Verdict::Redirect { to, is_invited } => (
                dmuc_verdict_type::DMUC_VERDICT_REDIRECT,
                fields
                    .jid(dmuc_field::DMUC_FIELD_TO, &to)
                    .set(dmuc_field::DMUC_FIELD_ERROR_TEXT, &words::of_redirect(&to))
                    .number(dmuc_field::DMUC_FIELD_INVITE, is_invited.into()),
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

    /// The instance whose occupant sent the message, if it is to be stored.
    pub(super) fn of_instance(self, origin: &BareJid) -> dmuc_verdict {
        if self.fields.value(dmuc_field::DMUC_FIELD_KEPT as u32) == 0 {
            return self;
        }
        let fields = self.fields.jid(dmuc_field::DMUC_FIELD_ORIGIN, origin);
        dmuc_verdict { fields, ..self }
    }

    fn with_message(self, inbound: &Inbound) -> dmuc_verdict {
        let Stanza::Message(message) = inbound.stanza() else {
            return self;
        };
        let nick = message.from.resource();
        let verdict = self.of_instance(&message.from.to_bare());
        let fields = verdict
            .fields
            .jid(dmuc_field::DMUC_FIELD_ROOM, &message.to.to_bare())
            .some(dmuc_field::DMUC_FIELD_NICK, nick)
            .some(dmuc_field::DMUC_FIELD_MESSAGE_ID, message.id.as_deref())
            .some(dmuc_field::DMUC_FIELD_LANG, message.lang.as_deref())
            .set(dmuc_field::DMUC_FIELD_PAYLOAD, inbound.payload());
        dmuc_verdict { fields, ..verdict }
    }
}

/// What the stored log needs to know of a message besides the message; nothing of one that is not kept.
fn place_of(fields: Fields, event: Option<&EventStamp>) -> Fields {
    match event {
        None => fields,
        Some(event) => fields.number(dmuc_field::DMUC_FIELD_KEPT, 1).place(
            &event.id,
            event.incarnation,
            event.seq,
            event.at,
        ),
    }
}

/// Hands in what a local user wants; a refusal is for that user.
pub(super) fn verdict_of(engine: &mut dmuc_engine, now: dmuc_now, input: Input<'_>) -> Outcome<dmuc_verdict> {
    match engine.engine.handle_input(now.into(), input) {
        Ok(verdict) => Ok(dmuc_verdict::new(verdict)),
        Err(Error::Refused(error)) => Ok(dmuc_verdict::refused(&error, None)),
        Err(error) => Err(result_of(&error)),
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
