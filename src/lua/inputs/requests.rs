//! What people here ask for: an act at another instance, voice, an invitation, to join.

use mlua::{Table, UserDataMethods};

use super::super::Handle;
use super::super::convert::{any, bare, full, now};
use super::{avatar_of, fitting_form};
use crate::engine::Input;
use crate::wire::{Act, ActKind};

#[allow(clippy::too_many_lines)] // a table: one method after the other
pub(super) fn add_methods<M: UserDataMethods<Handle>>(methods: &mut M) {
    // act(mono, wall, room, token, act): act has actor_nick, actor_jid, reason, and role + nick, or affiliation +
    // jid (+ nick), or form, or avatar (a vCard, empty for none; handed in before), or message (its stanza-id: to moderate it), or register (true) (+ nick), or nothing else
    // (+ venue, password) to destroy the room
    methods.add_method(
        "act",
        |lua, this, (mono, wall, room, token, act): (f64, f64, String, u64, Table)| {
            let room = bare(&room)?;
            let act = act_of(&act)?;
            this.input(
                lua,
                now(mono, wall),
                Input::Act {
                    room: &room,
                    token,
                    act,
                },
            )
        },
    );
    // voice_request(mono, wall, room, nick)
    methods.add_method(
        "voice_request",
        |lua, this, (mono, wall, room, nick): (f64, f64, String, String)| {
            let room = bare(&room)?;
            let input = Input::VoiceRequest {
                room: &room,
                nick: &nick,
            };
            this.input(lua, now(mono, wall), input)
        },
    );
    // voice_answer(mono, wall, room, nick, token, { nick, jid, is_granted })
    methods.add_method(
        "voice_answer",
        |lua, this, (mono, wall, room, nick, token, answer): (f64, f64, String, String, u64, Table)| {
            let room = bare(&room)?;
            let actor_nick: Option<String> = answer.get("nick")?;
            let actor_jid: Option<String> = answer.get("jid")?;
            let actor_jid = actor_jid.map(|jid| bare(&jid)).transpose()?;
            let input = Input::VoiceAnswer {
                room: &room,
                nick: &nick,
                token,
                actor_nick: actor_nick.as_deref(),
                actor_jid: actor_jid.as_ref(),
                is_granted: answer.get("is_granted")?,
            };
            this.input(lua, now(mono, wall), input)
        },
    );
    // invite(mono, wall, room, token, { nick, jid, invitee, reason })
    methods.add_method(
        "invite",
        |lua, this, (mono, wall, room, token, invite): (f64, f64, String, u64, Table)| {
            let room = bare(&room)?;
            let nick: Option<String> = invite.get("nick")?;
            let reason: Option<String> = invite.get("reason")?;
            let (jid, invitee): (String, String) = (invite.get("jid")?, invite.get("invitee")?);
            let input = Input::Invite {
                room: &room,
                token,
                nick: nick.as_deref(),
                jid: &any(&jid)?,
                invitee: &any(&invitee)?,
                reason: reason.as_deref(),
            };
            this.input(lua, now(mono, wall), input)
        },
    );
    // decline(mono, wall, room, invitee, to, reason)
    methods.add_method(
        "decline",
        |lua,
         this,
         (mono, wall, room, invitee, to, reason): (
            f64,
            f64,
            String,
            String,
            String,
            Option<String>,
        )| {
            let room = bare(&room)?;
            let input = Input::Decline {
                room: &room,
                invitee: &any(&invitee)?,
                to: &any(&to)?,
                reason: reason.as_deref(),
            };
            this.input(lua, now(mono, wall), input)
        },
    );
    methods.add_method(
        "join_request",
        |lua, this, (mono, wall, room, user): (f64, f64, String, String)| {
            let (room, user) = (bare(&room)?, full(&user)?);
            this.input(
                lua,
                now(mono, wall),
                Input::JoinRequest {
                    room: &room,
                    user: &user,
                },
            )
        },
    );
}

/// What somebody asks for has to be known: "none" would be something else.
fn known<T: std::str::FromStr>(name: &str) -> mlua::Result<T> {
    name.parse()
        .map_err(|_| mlua::Error::runtime(format!("{name:?} is not known")))
}

fn act_of(act: &Table) -> mlua::Result<Act> {
    let text = |key: &str| act.get::<Option<String>>(key);
    let jid = |key: &str| text(key)?.map(|jid| bare(&jid)).transpose();
    let kind = if let Some(name) = text("role")? {
        ActKind::Role {
            nick: act.get("nick")?,
            serial: None,
            role: known(&name)?,
            request: None,
        }
    } else if let Some(name) = text("affiliation")? {
        let Some(jid) = jid("jid")? else {
            return Err(mlua::Error::runtime("an affiliation needs a jid"));
        };
        ActKind::Affiliation {
            jid,
            affiliation: known(&name)?,
            nick: text("nick")?,
            was: None,
            is_invited: false,
        }
    } else if let Some(xml) = text("form")? {
        ActKind::Config {
            form: fitting_form(&xml)?.0,
            was: None,
        }
    } else if let Some(vcard) = text("avatar")? {
        ActKind::Avatar {
            avatar: avatar_of(&vcard)?,
            was: None,
        }
    } else if let Some(id) = text("message")? {
        ActKind::Moderate { id }
    } else if act.get::<Option<bool>>("register")? == Some(true) {
        ActKind::Register {
            nick: text("nick")?,
            was: None,
        }
    } else if let Some(what) = text("steer")? {
        let Some(service) = jid("service")? else {
            return Err(mlua::Error::runtime("what is steered is a service"));
        };
        ActKind::Steer {
            service,
            what: known(&what)?,
        }
    } else {
        ActKind::Destroy {
            venue: jid("venue")?,
            password: text("password")?,
        }
    };
    Ok(Act {
        actor_nick: text("actor_nick")?,
        actor_jid: jid("actor_jid")?,
        kind,
        reason: text("reason")?,
    })
}
