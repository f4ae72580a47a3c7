//! Messages: those of this service's occupants, those from before, those that were stored, those that are taken away, and
//! private ones.

use std::ffi::c_char;

use super::engine::{dmuc_engine, dmuc_now, with_engine};
use super::guard::{Output, optional_text, reference, text, to_bare, to_nick};
use super::result::dmuc_result;
use super::values::{invalid_value, invalid_xml};
use super::verdict::{dmuc_verdict, verdict_of};
use crate::engine::{Input, Ruled};
use crate::inbound::message_payload;
use crate::wire::{Condition, EventStamp, Moderated, Moderation, limits};

/// A message that a local occupant sends to the room.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct dmuc_message {
    /// Who.
    pub nick: *const c_char,
    /// The `id` attribute. Optional.
    pub id: *const c_char,
    /// The children of the message as XML.
    pub payload: *const c_char,
    /// Whether it belongs into the history. What does not, as chat states, is sent once and forgotten.
    pub keep: bool,
    /// The `xml:lang` attribute. Optional.
    pub lang: *const c_char,
}

/// A message from before the room was distributed.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct dmuc_past_message {
    /// Who sent it.
    pub nick: *const c_char,
    /// The `id` attribute. Optional.
    pub id: *const c_char,
    /// The stanza-id it has here. Optional.
    pub stanza_id: *const c_char,
    /// The occupant-id of its sender. Optional.
    pub occupant_id: *const c_char,
    /// When, Unix time in milliseconds.
    pub time_ms: u64,
    /// The children of the message as XML.
    pub payload: *const c_char,
    /// The `xml:lang` attribute. Optional.
    pub lang: *const c_char,
}

/// An entry of the host's stored log, as a verdict or an action gave it.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct dmuc_logged_message {
    /// Who sent it. Absent for the room itself, which says that a message is moderated.
    pub nick: *const c_char,
    /// The `id` attribute. Optional.
    pub id: *const c_char,
    /// DMUC_FIELD_STANZA_ID.
    pub stanza_id: *const c_char,
    /// The occupant-id of its sender. Optional.
    pub occupant_id: *const c_char,
    /// DMUC_FIELD_ORIGIN. Optional: this instance.
    pub origin: *const c_char,
    /// DMUC_FIELD_INCARNATION.
    pub incarnation: u64,
    /// DMUC_FIELD_SEQ.
    pub seq: u64,
    /// DMUC_FIELD_AT.
    pub at: *const c_char,
    /// The children of the message as XML; of the room itself DMUC_FIELD_PAYLOAD as it was; empty for a tombstone.
    pub payload: *const c_char,
    /// The `xml:lang` attribute. Optional.
    pub lang: *const c_char,
}

/// A message that is taken away (XEP-0425).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct dmuc_moderation {
    /// Its stanza-id.
    pub message: *const c_char,
    /// The nick of who did it. Optional.
    pub actor_nick: *const c_char,
    /// The real JID of who did it, a bare JID. Optional; a shadow needs it.
    pub actor_jid: *const c_char,
    /// The occupant-id of who did it. Optional.
    pub occupant_id: *const c_char,
    /// Why. Optional.
    pub reason: *const c_char,
}

/// A message of the room's past, oldest first, between dmuc_engine_distribute and dmuc_engine_started. The verdict is
/// DMUC_VERDICT_ACCEPTED: it goes into the stored log as a new one does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_past(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    room: *const c_char,
    message: *const dmuc_past_message,
    verdict: *mut *mut dmuc_verdict,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let (room, message) = (engine.room(text(room)?)?, reference(message)?);
            let (nick, out) = (to_nick(text(message.nick)?)?, Output::new(verdict)?);
            let payload = message_payload(text(message.payload)?).map_err(invalid_xml)?;
            let input = Input::Past {
                room: &room,
                nick: &nick,
                message_id: optional_text(message.id)?,
                lang: optional_text(message.lang)?,
                stanza_id: optional_text(message.stanza_id)?,
                occupant_id: optional_text(message.occupant_id)?,
                wall_ms: message.time_ms,
                payload: &payload,
            };
            out.write_handle(verdict_of(engine, now, input)?.of_instance(&room));
            Ok(())
        })
    }
}

/// An entry of the host's stored log, after dmuc_engine_restore and before dmuc_engine_started. In any order; one that is
/// known is passed over. DMUC_RESULT_INVALID_VALUE if it has no place in a log: then no verdict and no action gave it so.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_logged(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    room: *const c_char,
    message: *const dmuc_logged_message,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let (room, message) = (engine.room(text(room)?)?, reference(message)?);
            let nick = optional_text(message.nick)?.map(to_nick).transpose()?;
            let origin = optional_text(message.origin)?.map(to_bare).transpose()?;
            let (incarnation, seq) = (message.incarnation.to_string(), message.seq.to_string());
            let event = EventStamp::from_attrs(
                Some(text(message.stanza_id)?),
                origin.as_ref().map(|origin| origin.as_str()),
                Some(&incarnation),
                Some(&seq).filter(|_| message.seq != 0).map(String::as_str),
                Some(text(message.at)?),
            );
            let event = event.map_err(invalid_value)?;
            // As it came in: the host may have stored what its client sent.
            let payload = match &nick {
                Some(_) => message_payload(text(message.payload)?).map_err(invalid_xml)?,
                None => Moderation::parse(text(message.payload)?)
                    .map_err(invalid_xml)?
                    .to_xml(),
            };
            let message_id = optional_text(message.id)?;
            let input = Input::Logged {
                room: &room,
                nick: nick.as_deref().unwrap_or_default(),
                message_id: message_id.filter(|id| id.len() <= limits::MAX_PART_BYTES),
                lang: optional_text(message.lang)?,
                occupant_id: optional_text(message.occupant_id)?,
                event,
                payload: &payload,
                is_stored: false,
            };
            engine.input(now, input)
        })
    }
}

/// The host has stored the message with this stanza-id, in safety, and can read it again: what it says may leave memory
/// (`dmuc_memory`), and is asked for with DMUC_ACTION_READ_MESSAGES. Also after dmuc_engine_logged. Nothing leaves the memory of
/// a host that does not say so.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_message_stored(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    room: *const c_char,
    stanza_id: *const c_char,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let (room, id) = (engine.room(text(room)?)?, text(stanza_id)?);
            engine.input(now, Input::MessageStored { room: &room, id })
        })
    }
}

/// What DMUC_ACTION_READ_MESSAGES asked for under `token` has been handed in with dmuc_engine_logged: what is missing the storage
/// has lost. If `is_read` is false it cannot be read, and whoever needs it is told to ask again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_messages_read(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    token: u64,
    is_read: bool,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            engine.input(now, Input::MessagesRead { token, is_read })
        })
    }
}

/// A local occupant, allowed to speak, sent a message. The verdict is DMUC_VERDICT_ACCEPTED, or DMUC_VERDICT_REFUSED if
/// the peers would not take it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_groupchat(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    room: *const c_char,
    message: *const dmuc_message,
    verdict: *mut *mut dmuc_verdict,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let (room, message) = (engine.room(text(room)?)?, reference(message)?);
            let (nick, out) = (to_nick(text(message.nick)?)?, Output::new(verdict)?);
            let payload = match message_payload(text(message.payload)?) {
                // Too large: a refusal like the engine's own.
                Err(error) if error.condition == Condition::PolicyViolation => {
                    out.write_handle(dmuc_verdict::refused(&error.into(), None));
                    return Ok(());
                }
                checked => checked.map_err(invalid_xml)?,
            };
            let input = Input::Groupchat {
                room: &room,
                nick: &nick,
                message_id: optional_text(message.id)?,
                lang: optional_text(message.lang)?,
                payload: &payload,
                keep: message.keep,
            };
            out.write_handle(verdict_of(engine, now, input)?.of_instance(&room));
            Ok(())
        })
    }
}

/// A message was taken away by somebody entitled. A shadow asks the source with DMUC_ACT_MODERATE, and only after
/// DMUC_VERDICT_HOLD to that hands it in itself: the message is hidden here until the source has decided. DMUC_VERDICT_REFUSED:
/// there is no such message, or it cannot be hidden. What is to be done with it follows as actions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_moderate(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    room: *const c_char,
    moderation: *const dmuc_moderation,
    verdict: *mut *mut dmuc_verdict,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let (room, given) = (engine.room(text(room)?)?, reference(moderation)?);
            let out = Output::new(verdict)?;
            let actor_jid = optional_text(given.actor_jid)?.map(to_bare).transpose()?;
            let moderation = Moderation {
                id: text(given.message)?.to_owned(),
                nick: optional_text(given.actor_nick)?.map(to_nick).transpose()?,
                occupant_id: optional_text(given.occupant_id)?.map(str::to_owned),
                reason: optional_text(given.reason)?.map(str::to_owned),
                of: None,
            };
            let ruled = Ruled {
                actor_jid: actor_jid.as_ref(),
                ..Ruled::by_the_room(&room, Moderated::from(moderation))
            };
            out.write_handle(verdict_of(engine, now, Input::Ruled(ruled))?);
            Ok(())
        })
    }
}

/// Somebody here sends a private message, or, if `is_request`, an IQ that has to be answered, to the occupant `nick`.
/// DMUC_VERDICT_CONTINUE: that is no occupant of a peer instance. DMUC_VERDICT_REFUSED: it cannot be reached, the sender gets
/// the error. DMUC_VERDICT_DONE: the host sends it and keeps what it needs to answer its sender; DMUC_ACTION_PRIVATE_DONE or
/// DMUC_ACTION_PRIVATE_FAILED follows with `token`, which is its own until then, or until dmuc_engine_private_answered.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_private(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    room: *const c_char,
    nick: *const c_char,
    token: u64,
    is_request: bool,
    verdict: *mut *mut dmuc_verdict,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let (room, nick) = (engine.room(text(room)?)?, to_nick(text(nick)?)?);
            let out = Output::new(verdict)?;
            let input = Input::Private {
                room: &room,
                nick: &nick,
                token,
                is_request,
            };
            out.write_handle(verdict_of(engine, now, input)?);
            Ok(())
        })
    }
}

/// The IQ with this token was answered. DMUC_VERDICT_DONE: the answer is for its sender. DMUC_VERDICT_CONTINUE: no such IQ is
/// on its way; its sender has an error already, if there was one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_private_answered(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    token: u64,
    verdict: *mut *mut dmuc_verdict,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let out = Output::new(verdict)?;
            out.write_handle(verdict_of(engine, now, Input::PrivateAnswered { token })?);
            Ok(())
        })
    }
}
