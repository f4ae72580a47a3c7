//! What is set in a room of this service: its subject, configuration, affiliations, hats and avatar.

use std::ffi::c_char;

use super::engine::{dmuc_engine, dmuc_now, with_engine};
use super::guard::{optional_text, reference, text, to_bare, to_nick};
use super::result::dmuc_result;
use super::values::{invalid_xml, to_affiliation, to_avatar, to_fitting_form};
use crate::engine::{Input, Ruled};
use crate::wire::{Hats, Hatted, Listed, Listing, Subject};

/// An entry of the list of affiliations.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct dmuc_affiliation {
    /// Whose: a bare JID or a domain.
    pub jid: *const c_char,
    /// "owner", "admin", "member", "none" or "outcast".
    pub affiliation: *const c_char,
    /// The nick that is registered with it. Optional.
    pub reserved_nick: *const c_char,
    /// Why. Optional.
    pub reason: *const c_char,
    /// The nick of who did it. Optional.
    pub actor: *const c_char,
    /// The real JID of who did it, a bare JID. Optional; a shadow needs it.
    pub actor_jid: *const c_char,
    /// Whether a shadow that cannot reach its source made somebody a member because that one was invited.
    pub is_invited: bool,
}

/// The subject was changed: at the source by anybody entitled; at a shadow it is only wished for, and shown when the source
/// has decided. While that cannot be reached the change holds here, until it can. `nick` is optional: the room itself;
/// `actor_jid`, the real bare JID of who did it, is optional; a shadow needs it. An empty `subject` removes it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_subject(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    room: *const c_char,
    nick: *const c_char,
    actor_jid: *const c_char,
    subject: *const c_char,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let room = engine.room(text(room)?)?;
            let nick = optional_text(nick)?.map(to_nick).transpose()?;
            let actor_jid = optional_text(actor_jid)?.map(to_bare).transpose()?;
            let subject = Subject {
                nick,
                stamp: now.wall_ms as i64,
                text: text(subject)?.to_owned(),
            };
            let ruled = Ruled {
                actor_jid: actor_jid.as_ref(),
                ..Ruled::by_the_room(&room, Some(subject))
            };
            engine.input(now, Input::Ruled(ruled))
        })
    }
}

/// The room's configuration as it is now, all muc#roomconfig fields. Unchanged is recognised. A shadow asks the source with
/// DMUC_ACT_SETTINGS, and only after DMUC_VERDICT_HOLD to that hands the change in itself: it holds here until the source has
/// decided. `actor_nick` and `actor_jid`, a bare JID, say who changed it; optional; a shadow needs them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_settings(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    room: *const c_char,
    form: *const c_char,
    actor_nick: *const c_char,
    actor_jid: *const c_char,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let (room, (form, unfit)) = (engine.room(text(room)?)?, to_fitting_form(text(form)?)?);
            let actor_nick = optional_text(actor_nick)?.map(to_nick).transpose()?;
            let actor_jid = optional_text(actor_jid)?.map(to_bare).transpose()?;
            let ruled = Ruled {
                unfit,
                actor_nick: actor_nick.as_deref(),
                actor_jid: actor_jid.as_ref(),
                ..Ruled::by_the_room(&room, form)
            };
            engine.input(now, Input::Ruled(ruled))
        })
    }
}

/// An affiliation was set. Unchanged is recognised. At a shadow as for dmuc_engine_settings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_affiliation(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    room: *const c_char,
    affiliation: *const dmuc_affiliation,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let (room, entry) = (engine.room(text(room)?)?, reference(affiliation)?);
            let reserved_nick = optional_text(entry.reserved_nick)?.map(to_nick).transpose()?;
            let actor_jid = optional_text(entry.actor_jid)?.map(to_bare).transpose()?;
            let listing = Listing {
                jid: to_bare(text(entry.jid)?)?,
                entry: Listed {
                    affiliation: to_affiliation(text(entry.affiliation)?)?,
                    nick: reserved_nick,
                },
            };
            let ruled = Ruled {
                actor_nick: optional_text(entry.actor)?,
                actor_jid: actor_jid.as_ref(),
                reason: optional_text(entry.reason)?,
                is_invited: entry.is_invited,
                ..Ruled::by_the_room(&room, listing)
            };
            engine.input(now, Input::Ruled(ruled))
        })
    }
}

/// The hats of the user `jid` as they are now (XEP-0317), at the source: `hats` is an element `<hats/>` with all of them, or
/// NULL for none. Unchanged is recognised. DMUC_RESULT_INVALID_XML also for what is over a limit (docs/PROTOCOL.md),
/// DMUC_RESULT_INVALID_VALUE for who is not on the list: give an affiliation first. Who is taken off the list has no hats. A shadow follows its source, and what is said here of
/// hats is ignored. The hats of a local occupant go into the payload of its presence at every instance, for those that do
/// not know its real JID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_hats(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    room: *const c_char,
    jid: *const c_char,
    hats: *const c_char,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let (room, jid) = (engine.room(text(room)?)?, to_bare(text(jid)?)?);
            let hats = match optional_text(hats)? {
                Some(xml) => Hats::parse(xml).map_err(invalid_xml)?,
                None => Hats::default(),
            };
            let ruled = Ruled::by_the_room(&room, Hatted { jid, hats });
            engine.input(now, Input::Ruled(ruled))
        })
    }
}

/// The room has this vCard now, which shows its avatar (XEP-0486); NULL or an empty one for none. Unchanged is recognised. The host
/// keeps it, and tells the people in the room. At a shadow as for dmuc_engine_settings, with DMUC_ACT_AVATAR.
/// DMUC_RESULT_INVALID_XML also for what is over a limit (docs/PROTOCOL.md).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_avatar(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    room: *const c_char,
    vcard: *const c_char,
    actor_nick: *const c_char,
    actor_jid: *const c_char,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let room = engine.room(text(room)?)?;
            let avatar = to_avatar(optional_text(vcard)?)?;
            let actor_nick = optional_text(actor_nick)?.map(to_nick).transpose()?;
            let actor_jid = optional_text(actor_jid)?.map(to_bare).transpose()?;
            let ruled = Ruled {
                actor_nick: actor_nick.as_deref(),
                actor_jid: actor_jid.as_ref(),
                ..Ruled::by_the_room(&room, avatar)
            };
            engine.input(now, Input::Ruled(ruled))
        })
    }
}

/// The vCard that the host has of the room, in answer to DMUC_ACTION_READ_AVATAR: NULL if it has none. Or, with `is_wanted`, one that
/// somebody wants set: before the DMUC_ACT_AVATAR that asks the source for it, or dmuc_engine_avatar.
/// DMUC_RESULT_INVALID_XML also for what is over a limit (docs/PROTOCOL.md).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_picture(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    room: *const c_char,
    vcard: *const c_char,
    is_wanted: bool,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let room = engine.room(text(room)?)?;
            let vcard = optional_text(vcard)?.filter(|vcard| !vcard.is_empty());
            to_avatar(vcard)?;
            let input = Input::Avatar {
                room: &room,
                vcard,
                is_wanted,
            };
            engine.input(now, input)
        })
    }
}
