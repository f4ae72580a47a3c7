//! A room of this service: made distributed or ordinary, complete, destroyed.

use std::ffi::c_char;

use super::engine::{dmuc_engine, dmuc_now, with_engine};
use super::guard::{Output, optional_text, text, to_bare, to_nick, to_service};
use super::result::dmuc_result;
use super::values::to_fitting_form;
use super::verdict::{dmuc_verdict, verdict_of};
use crate::engine::{Input, Order};

/// The room was made distributed, and becomes the source. `form` is its configuration, a data form (XEP-0004) with
/// muc#roomconfig fields; `salt` the secret that its occupant-ids are made with; `subject_nick` and `subject` are
/// optional, together. Its affiliations, occupants and past messages follow, then dmuc_engine_started. A room that is
/// distributed already stays as it is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_distribute(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    room: *const c_char,
    form: *const c_char,
    salt: *const c_char,
    subject_nick: *const c_char,
    subject: *const c_char,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let room = engine.room(text(room)?)?;
            let ((form, unfit), salt) = (to_fitting_form(text(form)?)?, text(salt)?);
            let nick = optional_text(subject_nick)?.map(to_nick).transpose()?;
            let subject = nick.as_deref().zip(optional_text(subject)?);
            let input = Input::Distribute {
                room: &room,
                form,
                unfit,
                salt,
                subject,
            };
            engine.input(now, input)
        })
    }
}

/// The state of a room that was just made distributed, or taken back with dmuc_engine_restore, is complete: peers are
/// contacted from now on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_started(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    room: *const c_char,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let room = engine.room(text(room)?)?;
            engine.started(now, &room, true)
        })
    }
}

/// The same after dmuc_engine_restore, when not all of the stored log has been handed in: what was appended since the snapshot
/// was stored has been, the rest follows in any order, and dmuc_engine_log_read. Until then peers that ask for what is in the
/// log are told to wait, and so is whoever wants a message moderated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_started_reading(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    room: *const c_char,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let room = engine.room(text(room)?)?;
            engine.started(now, &room, false)
        })
    }
}

/// The last entry of the stored log has been handed in, after dmuc_engine_started_reading. As long as it has not, that is to be
/// done before a message of a peer comes in that nobody has numbered: it may be one that is stored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_log_read(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    room: *const c_char,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let room = engine.room(text(room)?)?;
            engine.input(now, Input::LogRead { room: &room })
        })
    }
}

/// The host cannot read what it has stored of `room`, or, without one, which rooms there are; or it has read it by now, if
/// `is_unread` is false. Until then peers that ask for such a room are told to wait, and nobody is told that a room is gone.
/// dmuc_engine_restore reads a room as well.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_unread(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    room: *const c_char,
    is_unread: bool,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let room = optional_text(room)?.map(|room| engine.room(room)).transpose()?;
            let room = room.as_ref();
            engine.input(now, Input::Unread { room, is_unread })
        })
    }
}

/// The source was made an ordinary room again. `reason` is for the people in the shadows; optional.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_undistribute(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    room: *const c_char,
    reason: *const c_char,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let (room, reason) = (engine.room(text(room)?)?, optional_text(reason)?);
            engine.input(now, Input::Undistribute { room: &room, reason })
        })
    }
}

/// An administrator gives up what is parked of the room: a shadow is closed (DMUC_ACTION_CLOSE) and its source told that it
/// has left; a source forgets its instances at services that are no peers. Nothing happens if nothing is parked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_let_go(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    room: *const c_char,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let room = engine.room(text(room)?)?;
            engine.input(now, Input::LetGo { room: &room })
        })
    }
}

/// What an administrator orders (dmuc_engine_order).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum dmuc_order {
    /// What is shared is compared, and what is missing pulled, now instead of when its time comes: of `room` with every other
    /// instance, or of all rooms with `service`. The other of the two is NULL.
    DMUC_ORDER_SYNC = 0,
    /// The source `room` brings up an instance at the peer `service`, or tries again; also where it was retracted before.
    DMUC_ORDER_REPLICATE = 1,
    /// The source `room` takes `service` out of the room: the instance there is closed, and none is made there until it is
    /// replicated.
    DMUC_ORDER_RETRACT = 2,
    /// `service`, which is no peer any more, is gone for good: what waits for it is given up. `room` is NULL.
    DMUC_ORDER_FORGET = 3,
    /// The instance `room` asks for votes and becomes the source, since that is gone. `service` is NULL, as in the next two.
    DMUC_ORDER_TAKE_OVER = 4,
    /// The same without votes, where there can be no majority: what others have decided and is not known here may be lost.
    DMUC_ORDER_FORCE = 5,
    /// The same, and nobody else votes from then on.
    DMUC_ORDER_FORCE_ALONE = 6,
    /// The source `room` hands over to the instance at `service`, if that votes.
    DMUC_ORDER_HAND_OVER = 7,
    /// The instance `room` follows the one at `service`, which says that it is the source.
    DMUC_ORDER_FOLLOW = 8,
}

/// An administrator orders something; see dmuc_order for which of `room` and `service` it takes. DMUC_VERDICT_DONE, or
/// DMUC_VERDICT_REFUSED with the words for the administrator: it is not for this room (a shadow) or not for this service (a peer,
/// or none). DMUC_RESULT_UNKNOWN_ROOM for an ordinary room, DMUC_RESULT_INVALID_VALUE for no such order.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_order(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    order: u32,
    room: *const c_char,
    service: *const c_char,
    verdict: *mut *mut dmuc_verdict,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let room = optional_text(room)?.map(|room| engine.room(room)).transpose()?;
            let service = optional_text(service)?.map(to_service).transpose()?;
            let out = Output::new(verdict)?;
            const SYNC: u32 = dmuc_order::DMUC_ORDER_SYNC as u32;
            const REPLICATE: u32 = dmuc_order::DMUC_ORDER_REPLICATE as u32;
            const RETRACT: u32 = dmuc_order::DMUC_ORDER_RETRACT as u32;
            const FORGET: u32 = dmuc_order::DMUC_ORDER_FORGET as u32;
            const TAKE_OVER: u32 = dmuc_order::DMUC_ORDER_TAKE_OVER as u32;
            const FORCE: u32 = dmuc_order::DMUC_ORDER_FORCE as u32;
            const FORCE_ALONE: u32 = dmuc_order::DMUC_ORDER_FORCE_ALONE as u32;
            const HAND_OVER: u32 = dmuc_order::DMUC_ORDER_HAND_OVER as u32;
            const FOLLOW: u32 = dmuc_order::DMUC_ORDER_FOLLOW as u32;
            let order = match (order, &room, &service) {
                (SYNC, Some(room), None) => Order::SyncRoom(room),
                (SYNC, None, Some(service)) => Order::SyncPeer(service),
                (REPLICATE, Some(room), Some(service)) => Order::Replicate { room, service },
                (RETRACT, Some(room), Some(service)) => Order::Retract { room, service },
                (FORGET, None, Some(service)) => Order::Forget(service),
                (TAKE_OVER, Some(room), None) => Order::TakeOver(room),
                (FORCE, Some(room), None) => Order::Force { room, strikes: false },
                (FORCE_ALONE, Some(room), None) => Order::Force { room, strikes: true },
                (HAND_OVER, Some(room), Some(service)) => Order::HandOver { room, service },
                (FOLLOW, Some(room), Some(service)) => Order::Follow { room, service },
                _ => return Err(dmuc_result::DMUC_RESULT_INVALID_VALUE),
            };
            out.write_handle(verdict_of(engine, now, Input::Order(order))?);
            Ok(())
        })
    }
}

/// The room was destroyed here (XEP-0045 section 10.9). `reason`, `venue` and `password` are optional.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_destroyed(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    room: *const c_char,
    reason: *const c_char,
    venue: *const c_char,
    password: *const c_char,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let (room, reason) = (engine.room(text(room)?)?, optional_text(reason)?);
            let venue = optional_text(venue)?.map(to_bare).transpose()?;
            let input = Input::Destroyed {
                room: &room,
                reason,
                venue: venue.as_ref(),
                password: optional_text(password)?,
            };
            engine.input(now, input)
        })
    }
}
