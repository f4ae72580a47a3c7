//! Who is in a room of this service.

use mlua::{LuaString, Table, UserDataMethods};

use super::super::Handle;
use super::super::convert::{affiliation, any, bare, now, role};
use super::{Text, str_of};
use crate::engine::{Departure, Input, Occupant};

pub(super) fn add_methods<M: UserDataMethods<Handle>>(methods: &mut M) {
    // occupant(mono, wall, room, nick, jid, affiliation, role, occupant_id, payload)
    methods.add_method("occupant", |lua, this, args: OccupantArgs| {
        let (mono, wall, room, nick, jid, aff, role_name, occupant_id, payload) = args;
        let (room, jid) = (bare(&room)?, any(&jid)?);
        let (nick, payload) = (str_of(&nick), str_of(&payload));
        let occupant_id = occupant_id.as_ref().map(str_of);
        let input = Input::Occupant(Occupant {
            room: &room,
            nick: &nick,
            jid: &jid,
            affiliation: affiliation(aff.as_deref()),
            role: role(role_name.as_deref()),
            occupant_id: occupant_id.as_deref(),
            payload: &payload,
        });
        this.input(lua, now(mono, wall), input)
    });
    // occupant_left(mono, wall, room, { nick, codes, new_nick, affiliation, actor, reason, payload })
    methods.add_method(
        "occupant_left",
        |lua, this, (mono, wall, room, left): (f64, f64, String, Table)| {
            let room = bare(&room)?;
            let text = |key: &str| Ok::<_, mlua::Error>(left.get::<Option<Text>>(key)?.map(|text| text.0));
            let nick: String = left.get("nick")?;
            let codes: Option<Vec<u16>> = left.get("codes")?;
            let (new_nick, actor, reason) = (text("new_nick")?, text("actor")?, text("reason")?);
            let (name, payload) = (text("affiliation")?, text("payload")?);
            let input = Input::OccupantLeft(Departure {
                room: Some(&room),
                nick: &nick,
                codes: codes.as_deref().unwrap_or_default(),
                new_nick: new_nick.as_deref(),
                affiliation: name.as_deref().map(|name| affiliation(Some(name))),
                actor: actor.as_deref(),
                reason: reason.as_deref(),
                payload: payload.as_deref().unwrap_or_default(),
            });
            this.input(lua, now(mono, wall), input)
        },
    );
}

type OccupantArgs = (
    f64,
    f64,
    String,
    LuaString,
    String,
    Option<String>,
    Option<String>,
    Option<LuaString>,
    LuaString,
);
