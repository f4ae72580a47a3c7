//! Complete stanzas from peers.

use std::ffi::c_char;
use std::ptr;

use super::engine::{dmuc_engine, dmuc_now, to_c, with_engine};
use super::guard::{Output, text, text_of_length, to_service};
use super::result::dmuc_result;
use super::verdict::{dmuc_verdict, verdict_of};
use crate::engine::Input;
use crate::inbound::{self, Inbound};
use crate::wire::{PresenceKind, Stanza};

/// Hands in a complete stanza that came for the service, a room of it, or an occupant of one.
///
/// The host has authenticated the sending server and checked that `from` is of its domain. Whatever is not between
/// instances, as stanzas of local users, service discovery and private messages, is DMUC_VERDICT_CONTINUE. What a peer may
/// not do, or got wrong, is DMUC_VERDICT_REFUSED. DMUC_RESULT_INVALID_XML only if this is no stanza, or says not from whom
/// to whom it goes.
///
/// `taken`: whether the room that dmuc_engine_wanted_room gives for this stanza is an ordinary room here. Hosts without
/// ordinary rooms pass false.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_handle_stanza(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    xml: *const c_char,
    length: usize,
    taken: bool,
    verdict: *mut *mut dmuc_verdict,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let (xml, out) = (text_of_length(xml, length)?, Output::new(verdict)?);
            let handled = inbound::handle_stanza(&mut engine.engine, now.into(), xml, taken)
                .ok_or(dmuc_result::DMUC_RESULT_INVALID_XML)?;
            if handled.verdict.is_ok()
                && let Some(inbound) = &handled.inbound
                && let Stanza::Presence(presence) = inbound.stanza()
                && presence.kind == PresenceKind::Available
            {
                let (from, payload) = (presence.from.to_string(), presence.payload.clone());
                engine.presences.insert(from, payload);
            }
            out.write_handle(dmuc_verdict::of_stanza(handled));
            Ok(())
        })
    }
}

/// Bytes of a stanza of the peer service `service` have come in, and the stanza is not whole yet: over a thin link that takes
/// longer than `link_timeout`. Told every eighth of that, or less, as long as bytes come, it keeps the link from being called
/// down; no word is needed of stanzas that are whole sooner. DMUC_VERDICT_DONE; DMUC_VERDICT_CONTINUE if it is no peer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_arriving(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    service: *const c_char,
    verdict: *mut *mut dmuc_verdict,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let (service, out) = (to_service(text(service)?)?, Output::new(verdict)?);
            let input = Input::Arriving { service: &service };
            out.write_handle(verdict_of(engine, now, input)?);
            Ok(())
        })
    }
}

/// The room that a stanza asks this service to hold, if it is a `<replicate/>`; NULL for every other stanza, and for what is
/// none. Free it with dmuc_string_free. Changes nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_wanted_room(
    engine: *mut dmuc_engine,
    xml: *const c_char,
    length: usize,
    room: *mut *mut c_char,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let (xml, out) = (text_of_length(xml, length)?, Output::new(room)?);
            let service = &engine.engine.config().service;
            let wanted = Inbound::parse(xml)
                .ok()
                .and_then(|inbound| inbound.wanted_room(service));
            out.write(wanted.map_or(ptr::null_mut(), |room| to_c(room.as_str())));
            Ok(())
        })
    }
}
