//! Who is in a room of this service.

use std::ffi::c_char;

use super::engine::{dmuc_engine, dmuc_now, with_engine};
use super::guard::{Outcome, optional_text, reference, slice, text, to_jid, to_nick};
use super::result::dmuc_result;
use super::values::{invalid_xml, to_affiliation, to_role};
use crate::engine::{Departure, Input, Occupant};
use crate::inbound::presence_payload;
use crate::wire::Condition;

/// A local occupant as it is now.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct dmuc_occupant {
    /// Its nick.
    pub nick: *const c_char,
    /// The real JID of its primary session.
    pub jid: *const c_char,
    /// "owner", "admin", "member" or "none".
    pub affiliation: *const c_char,
    /// "moderator", "participant" or "visitor".
    pub role: *const c_char,
    /// Its occupant-id (XEP-0421). Optional.
    pub occupant_id: *const c_char,
    /// The children of its presence as XML. Optional. If they are too large, the peers get the presence without them.
    pub payload: *const c_char,
}

/// How a local occupant ceased to be one.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct dmuc_departure {
    /// Its nick.
    pub nick: *const c_char,
    /// Status codes (XEP-0045 section 15.6), as 307 for a kick. Optional.
    pub codes: *const u16,
    /// How many.
    pub code_count: usize,
    /// The nick it takes, with 303. Optional.
    pub new_nick: *const c_char,
    /// The affiliation it leaves with. Optional: the one it had.
    pub affiliation: *const c_char,
    /// The nick of who removed it. Optional.
    pub actor: *const c_char,
    /// Why. Optional.
    pub reason: *const c_char,
    /// The children of its last presence as XML. Optional.
    pub payload: *const c_char,
}

/// The children of a presence. One that is too large for the peers is announced without them.
fn extensions(payload: &str) -> Outcome<String> {
    match presence_payload(payload) {
        Err(error) if error.condition == Condition::PolicyViolation => Ok(String::new()),
        checked => checked.map_err(invalid_xml),
    }
}

/// A local occupant joined or changed: presence, role, affiliation. The host has shown it already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_occupant(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    room: *const c_char,
    occupant: *const dmuc_occupant,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let (room, occupant) = (engine.room(text(room)?)?, reference(occupant)?);
            let (nick, jid) = (to_nick(text(occupant.nick)?)?, to_jid(text(occupant.jid)?)?);
            let payload = optional_text(occupant.payload)?.unwrap_or_default();
            let payload = extensions(payload)?;
            let input = Input::Occupant(Occupant {
                room: &room,
                nick: &nick,
                jid: &jid,
                affiliation: to_affiliation(text(occupant.affiliation)?)?,
                role: to_role(text(occupant.role)?)?,
                occupant_id: optional_text(occupant.occupant_id)?,
                payload: &payload,
            });
            engine.input(now, input)
        })
    }
}

/// A local occupant left, was removed, or changed its nick (then the new one follows with dmuc_engine_occupant).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_occupant_left(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    room: *const c_char,
    departure: *const dmuc_departure,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let (room, departure) = (engine.room(text(room)?)?, reference(departure)?);
            let nick = to_nick(text(departure.nick)?)?;
            let new_nick = optional_text(departure.new_nick)?.map(to_nick).transpose()?;
            let affiliation = optional_text(departure.affiliation)?;
            let payload = optional_text(departure.payload)?.unwrap_or_default();
            let codes = match departure.code_count {
                0 => &[],
                count => slice(departure.codes, count)?,
            };
            let payload = extensions(payload)?;
            let input = Input::OccupantLeft(Departure {
                room: Some(&room),
                nick: &nick,
                codes,
                new_nick: new_nick.as_deref(),
                affiliation: affiliation.map(to_affiliation).transpose()?,
                actor: optional_text(departure.actor)?,
                reason: optional_text(departure.reason)?,
                payload: &payload,
            });
            engine.input(now, input)
        })
    }
}
