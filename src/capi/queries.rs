//! What the host may ask the engine. Nothing changes by it.

use std::ffi::c_char;
use std::ptr;

use super::engine::{dmuc_engine, to_c, with_engine};
use super::guard::{Output, text, to_bare, to_service};
use super::result::dmuc_result;
use crate::engine::LinkState;

/// Whether a peer service can be reached.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum dmuc_link_state {
    /// It has not answered anything yet, or is no peer.
    DMUC_LINK_UNKNOWN = 0,
    /// It answers, and both sides agree.
    DMUC_LINK_UP = 1,
    /// Something bounced: it is asked at once.
    DMUC_LINK_SUSPECT = 2,
    /// It does not answer, and is probed with growing delay.
    DMUC_LINK_DOWN = 3,
    /// It answers again: both sides find out what they have missed.
    DMUC_LINK_SYNCING = 4,
}

/// Whether the source of `room` can be asked now: always true at the source and for rooms that are not distributed; at a shadow
/// while the link to the source is not down. For people who look on: a host that acts on it races the link. What it is to do
/// with a change says the verdict of dmuc_engine_act (DMUC_VERDICT_HOLD), which counts however the link fares meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_is_source_reachable(
    engine: *mut dmuc_engine,
    room: *const c_char,
    is_reachable: *mut bool,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let (room, out) = (engine.room(text(room)?)?, Output::new(is_reachable)?);
            out.write(engine.engine.is_source_reachable(&room));
            Ok(())
        })
    }
}

/// The room here of which the room `instance` is another instance that holds it now: where a direct invitation (XEP-0249) to a
/// user of this server should lead. NULL if there is none; to be freed with dmuc_string_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_instance_here(
    engine: *mut dmuc_engine,
    instance: *const c_char,
    room: *mut *mut c_char,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let (instance, out) = (to_bare(text(instance)?)?, Output::new(room)?);
            let here = engine.engine.instance_here(&instance);
            out.write(here.map_or(ptr::null_mut(), |room| to_c(room.as_str())));
            Ok(())
        })
    }
}

/// Whether the shadow `room` is parked (DMUC_ACTION_PARK): nobody may speak in it. False for any other room.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_is_parked(
    engine: *mut dmuc_engine,
    room: *const c_char,
    is_parked: *mut bool,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let (room, out) = (engine.room(text(room)?)?, Output::new(is_parked)?);
            out.write(engine.engine.parked_room(&room).is_some());
            Ok(())
        })
    }
}

/// Whether the client that the instance `home` shows under `nick` counts as the person who has the nick in `room`, so that it
/// gets a copy of what is for that person alone (a private message): where occupants of several homes have one nick, their
/// occupant-ids are the same, and those are public. False for rooms that are not distributed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_is_vouched_for(
    engine: *mut dmuc_engine,
    room: *const c_char,
    home: *const c_char,
    nick: *const c_char,
    is_vouched_for: *mut bool,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let (room, home) = (engine.room(text(room)?)?, to_bare(text(home)?)?);
            let (nick, out) = (text(nick)?, Output::new(is_vouched_for)?);
            out.write(engine.engine.is_vouched_for(&room, &home, nick));
            Ok(())
        })
    }
}

/// Whether the peer service `service` can be reached.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_link_state(
    engine: *mut dmuc_engine,
    service: *const c_char,
    state: *mut dmuc_link_state,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let (service, out) = (to_service(text(service)?)?, Output::new(state)?);
            out.write(match engine.engine.link_state(&service) {
                LinkState::Unknown => dmuc_link_state::DMUC_LINK_UNKNOWN,
                LinkState::Up => dmuc_link_state::DMUC_LINK_UP,
                LinkState::Suspect => dmuc_link_state::DMUC_LINK_SUSPECT,
                LinkState::Down => dmuc_link_state::DMUC_LINK_DOWN,
                LinkState::Syncing => dmuc_link_state::DMUC_LINK_SYNCING,
            });
            Ok(())
        })
    }
}

/// Whether nothing is to be done but heartbeats: nothing is unanswered, nothing is missing as far as is known, and every link
/// is up or leads to nobody.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_is_settled(
    engine: *mut dmuc_engine,
    is_settled: *mut bool,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let out = Output::new(is_settled)?;
            out.write(engine.engine.is_settled());
            Ok(())
        })
    }
}
