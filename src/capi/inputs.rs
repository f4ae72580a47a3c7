//! What the host tells of its own rooms.

use std::ffi::c_char;

use super::engine::{dmuc_engine, dmuc_now, with_engine};
use super::guard::{
    Outcome, Output, optional_text, reference, slice, text, to_bare, to_full, to_jid, to_nick,
};
use super::result::dmuc_result;
use super::verdict::{dmuc_verdict, verdict_of};
use crate::engine::{Departure, Input, Occupant};
use crate::inbound::presence_payload;
use crate::wire::{Act, ActKind, Affiliation, Condition, Form, Hats, Moderation, Role, WireError};

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

/// What somebody wants done at another instance.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum dmuc_act_type {
    /// Change the role of a remote occupant: `nick`, `role` ("none" is a kick).
    DMUC_ACT_ROLE = 1,
    /// Change an affiliation: `jid`, `affiliation`, `nick` (to register with it; optional).
    DMUC_ACT_AFFILIATION = 2,
    /// Change the configuration: `form`.
    DMUC_ACT_SETTINGS = 3,
    /// Destroy the room: `venue` and `password` (optional).
    DMUC_ACT_DESTROY = 4,
    /// Change the subject. Never asked of a host, and not for dmuc_engine_act: that is what dmuc_engine_subject does.
    DMUC_ACT_SUBJECT = 5,
    /// Take a message away (XEP-0425): `message`.
    DMUC_ACT_MODERATE = 6,
    /// Register `nick` for the user, who need not be in the room, or take its registration back (no `nick`).
    DMUC_ACT_REGISTER = 7,
    /// Invite a user of this server. Not for dmuc_engine_act: that is what dmuc_engine_invite does.
    DMUC_ACT_INVITE = 8,
}

/// What a local user wants done at another instance, which decides. The texts that `act` does not need are not looked at.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct dmuc_act {
    /// What: a dmuc_act_type.
    pub act: u32,
    /// The nick of the user, if it is in the room. Optional.
    pub actor_nick: *const c_char,
    /// Its real JID, if the peer may know it. Optional.
    pub actor_jid: *const c_char,
    /// Why. Optional.
    pub reason: *const c_char,
    /// A nick.
    pub nick: *const c_char,
    /// A role.
    pub role: *const c_char,
    /// A bare JID or a domain.
    pub jid: *const c_char,
    /// An affiliation.
    pub affiliation: *const c_char,
    /// A data form with the fields to change.
    pub form: *const c_char,
    /// The room to go to instead.
    pub venue: *const c_char,
    /// The password there.
    pub password: *const c_char,
    /// The stanza-id of a message.
    pub message: *const c_char,
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

pub(super) fn invalid_value(_: WireError) -> dmuc_result {
    dmuc_result::DMUC_RESULT_INVALID_VALUE
}

pub(super) fn invalid_xml(_: WireError) -> dmuc_result {
    dmuc_result::DMUC_RESULT_INVALID_XML
}

fn to_affiliation(name: &str) -> Outcome<Affiliation> {
    name.parse().map_err(invalid_value)
}

fn to_role(name: &str) -> Outcome<Role> {
    name.parse().map_err(invalid_value)
}

fn to_form(xml: &str) -> Outcome<Form> {
    Form::parse(xml).map_err(invalid_xml)
}

/// The children of a presence. One that is too large for the peers is announced without them.
fn extensions(payload: &str) -> Outcome<String> {
    match presence_payload(payload) {
        Err(error) if error.condition == Condition::PolicyViolation => Ok(String::new()),
        checked => checked.map_err(invalid_xml),
    }
}

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
            let (form, salt) = (to_form(text(form)?)?, text(salt)?);
            let nick = optional_text(subject_nick)?.map(to_nick).transpose()?;
            let subject = nick.as_deref().zip(optional_text(subject)?);
            let input = Input::Distribute {
                room: &room,
                form,
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
            engine.started(now, &room)
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
            let input = Input::Occupant(Occupant {
                room: &room,
                nick: &nick,
                jid: &jid,
                affiliation: to_affiliation(text(occupant.affiliation)?)?,
                role: to_role(text(occupant.role)?)?,
                occupant_id: optional_text(occupant.occupant_id)?,
                payload: &extensions(payload)?,
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
            let input = Input::OccupantLeft(Departure {
                room: Some(&room),
                nick: &nick,
                codes,
                new_nick: new_nick.as_deref(),
                affiliation: affiliation.map(to_affiliation).transpose()?,
                actor: optional_text(departure.actor)?,
                reason: optional_text(departure.reason)?,
                payload: &extensions(payload)?,
            });
            engine.input(now, input)
        })
    }
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
            let input = Input::Subject {
                room: &room,
                nick: nick.as_deref(),
                actor_jid: actor_jid.as_ref(),
                text: text(subject)?,
            };
            engine.input(now, input)
        })
    }
}

/// A message was taken away by somebody entitled. At a shadow only while dmuc_engine_is_source_reachable says no: then it is
/// hidden here until the source has decided, otherwise it is a DMUC_ACT_MODERATE. DMUC_VERDICT_REFUSED: there is no such
/// message, or it cannot be hidden now. What is to be done with it follows as actions.
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
            };
            let input = Input::Moderate {
                room: &room,
                moderation,
                actor_jid: actor_jid.as_ref(),
            };
            out.write_handle(verdict_of(engine, now, input)?);
            Ok(())
        })
    }
}

/// The room's configuration as it is now, all muc#roomconfig fields. Unchanged is recognised. At a shadow only while
/// dmuc_engine_is_source_reachable says no: then the change holds here until the source has decided, otherwise it is a
/// DMUC_ACT_SETTINGS. `actor_nick` and `actor_jid`, a bare JID, say who changed it; optional; a shadow needs them.
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
            let (room, form) = (engine.room(text(room)?)?, to_form(text(form)?)?);
            let actor_nick = optional_text(actor_nick)?.map(to_nick).transpose()?;
            let actor_jid = optional_text(actor_jid)?.map(to_bare).transpose()?;
            let input = Input::Settings {
                room: &room,
                form,
                actor_nick: actor_nick.as_deref(),
                actor_jid: actor_jid.as_ref(),
            };
            engine.input(now, input)
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
            let input = Input::Affiliation {
                room: &room,
                jid: &to_bare(text(entry.jid)?)?,
                affiliation: to_affiliation(text(entry.affiliation)?)?,
                reserved_nick: reserved_nick.as_deref(),
                reason: optional_text(entry.reason)?,
                actor: optional_text(entry.actor)?,
                actor_jid: actor_jid.as_ref(),
                is_invited: entry.is_invited,
            };
            engine.input(now, input)
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
            let input = Input::Hats {
                room: &room,
                jid: &jid,
                hats,
            };
            engine.input(now, input)
        })
    }
}

/// A local user wants something done that only another instance may do: the source, or the home of an occupant. Answered
/// later by DMUC_ACTION_ACT_ANSWERED with the same `token`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_act(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    room: *const c_char,
    token: u64,
    act: *const dmuc_act,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let (room, act) = (engine.room(text(room)?)?, reference(act)?);
            let act = Act {
                actor_nick: optional_text(act.actor_nick)?.map(to_nick).transpose()?,
                actor_jid: optional_text(act.actor_jid)?.map(to_bare).transpose()?,
                kind: act_kind(act)?,
                reason: optional_text(act.reason)?.map(str::to_owned),
            };
            let input = Input::Act {
                room: &room,
                token,
                act,
            };
            engine.input(now, input)
        })
    }
}

/// # Safety
/// The texts are as the conventions say.
unsafe fn act_kind(act: &dmuc_act) -> Outcome<ActKind> {
    const ROLE: u32 = dmuc_act_type::DMUC_ACT_ROLE as u32;
    const AFFILIATION: u32 = dmuc_act_type::DMUC_ACT_AFFILIATION as u32;
    const SETTINGS: u32 = dmuc_act_type::DMUC_ACT_SETTINGS as u32;
    const DESTROY: u32 = dmuc_act_type::DMUC_ACT_DESTROY as u32;
    const MODERATE: u32 = dmuc_act_type::DMUC_ACT_MODERATE as u32;
    const REGISTER: u32 = dmuc_act_type::DMUC_ACT_REGISTER as u32;
    // SAFETY: passed on to the caller.
    unsafe {
        Ok(match act.act {
            ROLE => ActKind::Role {
                nick: to_nick(text(act.nick)?)?,
                serial: None,
                role: to_role(text(act.role)?)?,
                request: None,
            },
            AFFILIATION => ActKind::Affiliation {
                jid: to_bare(text(act.jid)?)?,
                affiliation: to_affiliation(text(act.affiliation)?)?,
                nick: optional_text(act.nick)?.map(to_nick).transpose()?,
                was: None,
                is_invited: false,
            },
            SETTINGS => ActKind::Config {
                form: to_form(text(act.form)?)?,
                was: None,
            },
            DESTROY => ActKind::Destroy {
                venue: optional_text(act.venue)?.map(to_bare).transpose()?,
                password: optional_text(act.password)?.map(str::to_owned),
            },
            MODERATE => ActKind::Moderate {
                id: text(act.message)?.to_owned(),
            },
            REGISTER => ActKind::Register {
                nick: optional_text(act.nick)?.map(to_nick).transpose()?,
                was: None,
            },
            _ => return Err(dmuc_result::DMUC_RESULT_INVALID_VALUE),
        })
    }
}

/// A visitor here asks for voice (XEP-0045 section 7.13). The host shows it to the moderators here.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_voice_request(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    room: *const c_char,
    nick: *const c_char,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let (room, nick) = (engine.room(text(room)?)?, to_nick(text(nick)?)?);
            let input = Input::VoiceRequest {
                room: &room,
                nick: &nick,
            };
            engine.input(now, input)
        })
    }
}

/// A moderator here, `actor_nick` with the real JID `actor_jid`, both optional, answers the request of `nick` (XEP-0045
/// section 8.6). DMUC_VERDICT_CONTINUE: the host gives voice. DMUC_VERDICT_DONE: nothing is left for it to do; if the home
/// of `nick` is another instance, DMUC_ACTION_ACT_ANSWERED follows with the same `token`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_voice_answer(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    room: *const c_char,
    nick: *const c_char,
    token: u64,
    actor_nick: *const c_char,
    actor_jid: *const c_char,
    is_granted: bool,
    verdict: *mut *mut dmuc_verdict,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let (room, nick) = (engine.room(text(room)?)?, to_nick(text(nick)?)?);
            let actor_nick = optional_text(actor_nick)?.map(to_nick).transpose()?;
            let actor_jid = optional_text(actor_jid)?.map(to_bare).transpose()?;
            let out = Output::new(verdict)?;
            let input = Input::VoiceAnswer {
                room: &room,
                nick: &nick,
                token,
                actor_nick: actor_nick.as_deref(),
                actor_jid: actor_jid.as_ref(),
                is_granted,
            };
            out.write_handle(verdict_of(engine, now, input)?);
            Ok(())
        })
    }
}

/// Somebody here who may invites a user (XEP-0045 section 7.8.2): `nick`, optional, with the real JID `jid`.
/// Where only members may join, the source makes a member first. DMUC_VERDICT_CONTINUE: the host sends the invitation; a
/// shadow that cannot reach the source makes a member. DMUC_VERDICT_DONE: another instance is asked;
/// DMUC_ACTION_SEND_INVITATION or DMUC_ACTION_ACT_ANSWERED follows with the same `token`. `reason` is optional.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_invite(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    room: *const c_char,
    token: u64,
    nick: *const c_char,
    jid: *const c_char,
    invitee: *const c_char,
    reason: *const c_char,
    verdict: *mut *mut dmuc_verdict,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let room = engine.room(text(room)?)?;
            let nick = optional_text(nick)?.map(to_nick).transpose()?;
            let out = Output::new(verdict)?;
            let input = Input::Invite {
                room: &room,
                token,
                nick: nick.as_deref(),
                jid: &to_jid(text(jid)?)?,
                invitee: &to_jid(text(invitee)?)?,
                reason: optional_text(reason)?,
            };
            out.write_handle(verdict_of(engine, now, input)?);
            Ok(())
        })
    }
}

/// The user `invitee` declines an invitation into a room here (XEP-0045 section 7.8.2); `to` is the JID that it names.
/// DMUC_VERDICT_CONTINUE: nothing is known of it here, the host delivers it. DMUC_VERDICT_DONE: it is on its way.
/// `reason` is optional.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_decline(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    room: *const c_char,
    invitee: *const c_char,
    to: *const c_char,
    reason: *const c_char,
    verdict: *mut *mut dmuc_verdict,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let room = engine.room(text(room)?)?;
            let out = Output::new(verdict)?;
            let input = Input::Decline {
                room: &room,
                invitee: &to_jid(text(invitee)?)?,
                to: &to_jid(text(to)?)?,
                reason: optional_text(reason)?,
            };
            out.write_handle(verdict_of(engine, now, input)?);
            Ok(())
        })
    }
}

/// A user who is not an occupant asks to join; `user` is its full JID. DMUC_VERDICT_REDIRECT sends it to a shadow (XEP-0281
/// section 3.5); any other verdict: the join goes on. Who asks again within a minute gets in.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_join_request(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    room: *const c_char,
    user: *const c_char,
    verdict: *mut *mut dmuc_verdict,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let room = engine.room(text(room)?)?;
            let (user, out) = (to_full(text(user)?)?, Output::new(verdict)?);
            let input = Input::JoinRequest {
                room: &room,
                user: &user,
            };
            out.write_handle(verdict_of(engine, now, input)?);
            Ok(())
        })
    }
}
