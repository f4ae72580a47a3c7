//! What people here ask for: an act at another instance, voice, an invitation, to join.

use std::ffi::c_char;

use super::engine::{dmuc_engine, dmuc_now, with_engine};
use super::guard::{Outcome, Output, optional_text, reference, text, to_bare, to_full, to_jid, to_nick};
use super::result::dmuc_result;
use super::values::{to_affiliation, to_avatar, to_form, to_role};
use super::verdict::{dmuc_verdict, verdict_of};
use crate::engine::Input;
use crate::wire::{Act, ActKind};

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
    /// Set the vCard of the room, which shows its avatar: `vcard` (absent or empty to remove it). Only owners may. Hand it in with
    /// dmuc_engine_picture before: the source asks for it. Never asked of a host.
    DMUC_ACT_AVATAR = 9,
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
    /// A vCard, an element `<vCard xmlns='vcard-temp'/>`.
    pub vcard: *const c_char,
}

/// A local user wants something done that only another instance may do: the source, or the home of an occupant.
/// DMUC_VERDICT_DONE: answered later by DMUC_ACTION_ACT_ANSWERED with the same `token`. DMUC_VERDICT_HOLD (not for a role or the
/// end of the room): no answer follows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_act(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    room: *const c_char,
    token: u64,
    act: *const dmuc_act,
    verdict: *mut *mut dmuc_verdict,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let (room, act) = (engine.room(text(room)?)?, reference(act)?);
            let out = Output::new(verdict)?;
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
            out.write_handle(verdict_of(engine, now, input)?);
            Ok(())
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
    const AVATAR: u32 = dmuc_act_type::DMUC_ACT_AVATAR as u32;
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
            AVATAR => ActKind::Avatar {
                avatar: to_avatar(optional_text(act.vcard)?)?,
                was: None,
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
/// Where only members may join, the source makes a member first. DMUC_VERDICT_CONTINUE: the host sends the invitation.
/// DMUC_VERDICT_HOLD: it does, and makes a member. DMUC_VERDICT_DONE: another instance is asked;
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
