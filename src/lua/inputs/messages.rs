//! Messages: those of this service's occupants, those from before, those that were stored, those that are retracted, and
//! private ones.

use mlua::{LuaString, Table, UserDataMethods};

use super::super::Handle;
use super::super::convert::{bare, now};
use super::{Text, str_of};
use crate::engine::{Input, Ruled};
use crate::wire::{EventStamp, Moderated, Moderation};

#[allow(clippy::too_many_lines)] // a table: one method after the other
pub(super) fn add_methods<M: UserDataMethods<Handle>>(methods: &mut M) {
    // groupchat(mono, wall, room, nick, id, lang, payload, keep) -> "accepted", id, inc, seq, at
    methods.add_method(
        "groupchat",
        |lua,
         this,
         (mono, wall, room, nick, id, lang, payload, keep): (
            f64,
            f64,
            String,
            LuaString,
            Option<LuaString>,
            Option<LuaString>,
            LuaString,
            bool,
        )| {
            let room = bare(&room)?;
            let id = id.as_ref().map(str_of);
            let lang = lang.as_ref().map(str_of);
            let input = Input::Groupchat {
                room: &room,
                nick: &str_of(&nick),
                message_id: id.as_deref(),
                lang: lang.as_deref(),
                payload: &str_of(&payload),
                keep,
            };
            this.input(lua, now(mono, wall), input)
        },
    );
    // past(mono, wall, room, message): a table with nick, id, lang, stanza_id, occupant_id, time (seconds), payload
    methods.add_method(
        "past",
        |lua, this, (mono, wall, room, past): (f64, f64, String, Table)| {
            let room = bare(&room)?;
            let text = |key: &str| Ok::<_, mlua::Error>(past.get::<Option<Text>>(key)?.map(|text| text.0));
            let nick = past.get::<Text>("nick")?.0;
            let (id, lang) = (text("id")?, text("lang")?);
            let (stanza_id, occupant_id) = (text("stanza_id")?, text("occupant_id")?);
            let time: f64 = past.get("time")?;
            let payload = past.get::<Text>("payload")?.0;
            let input = Input::Past {
                room: &room,
                nick: &nick,
                message_id: id.as_deref(),
                lang: lang.as_deref(),
                stanza_id: stanza_id.as_deref(),
                occupant_id: occupant_id.as_deref(),
                wall_ms: now(0.0, time).wall_ms,
                payload: &payload,
            };
            this.input(lua, now(mono, wall), input)
        },
    );
    // started(mono, wall, room, is_whole)
    methods.add_method(
        "started",
        |lua, this, (mono, wall, room, is_whole): (f64, f64, String, bool)| {
            let room = &bare(&room)?;
            this.input(lua, now(mono, wall), Input::Started { room, is_whole })
        },
    );
    methods.add_method("log_read", |lua, this, (mono, wall, room): (f64, f64, String)| {
        let room = bare(&room)?;
        this.input(lua, now(mono, wall), Input::LogRead { room: &room })
    });
    // message_stored(mono, wall, room, stanza_id)
    methods.add_method(
        "message_stored",
        |lua, this, (mono, wall, room, id): (f64, f64, String, String)| {
            let (room, id) = (&bare(&room)?, &*id);
            this.input(lua, now(mono, wall), Input::MessageStored { room, id })
        },
    );
    // messages_read(mono, wall, token, is_read)
    methods.add_method(
        "messages_read",
        |lua, this, (mono, wall, token, is_read): (f64, f64, u64, bool)| {
            this.input(lua, now(mono, wall), Input::MessagesRead { token, is_read })
        },
    );
    // logged(mono, wall, room, entry): a table with nick, id, lang, occupant_id, stanza_id, origin, inc, seq, at, payload, and
    // is_stored, if it can be read again
    methods.add_method(
        "logged",
        |lua, this, (mono, wall, room, entry): (f64, f64, String, Table)| {
            let room = bare(&room)?;
            let text = |key: &str| Ok::<_, mlua::Error>(entry.get::<Option<Text>>(key)?.map(|text| text.0));
            let (nick, id, occupant_id) = (text("nick")?, text("id")?, text("occupant_id")?);
            let lang = text("lang")?;
            let (stanza_id, origin) = (text("stanza_id")?, text("origin")?);
            let (incarnation, seq, at) = (text("inc")?, text("seq")?, text("at")?);
            let event = EventStamp::from_attrs(
                stanza_id.as_deref(),
                origin.as_deref(),
                incarnation.as_deref(),
                seq.as_deref(),
                at.as_deref(),
            );
            let event = event.map_err(|error| mlua::Error::runtime(error.to_string()))?;
            let payload: LuaString = entry.get("payload")?;
            let input = Input::Logged {
                room: &room,
                nick: nick.as_deref().unwrap_or_default(),
                message_id: id.as_deref(),
                lang: lang.as_deref(),
                occupant_id: occupant_id.as_deref(),
                event,
                payload: &str_of(&payload),
                is_stored: entry.get::<Option<bool>>("is_stored")?.unwrap_or_default(),
            };
            this.input(lua, now(mono, wall), input)
        },
    );
    // moderate(mono, wall, room, { id, nick, occupant_id, reason, actor_jid })
    methods.add_method(
        "moderate",
        |lua, this, (mono, wall, room, given): (f64, f64, String, Table)| {
            let room = bare(&room)?;
            let text = |key: &str| Ok::<_, mlua::Error>(given.get::<Option<Text>>(key)?.map(|text| text.0));
            let actor_jid = text("actor_jid")?.map(|jid| bare(&jid)).transpose()?;
            let moderation = Moderation {
                id: given.get("id")?,
                nick: text("nick")?,
                occupant_id: text("occupant_id")?,
                reason: text("reason")?,
                of: None,
            };
            let ruled = Ruled {
                actor_jid: actor_jid.as_ref(),
                ..Ruled::by_the_room(&room, Moderated::from(moderation))
            };
            this.input(lua, now(mono, wall), Input::Ruled(ruled))
        },
    );
    // private(mono, wall, room, nick, token, is_request)
    methods.add_method(
        "private",
        |lua, this, (mono, wall, room, nick, token, is_request): (f64, f64, String, String, u64, bool)| {
            let room = bare(&room)?;
            let input = Input::Private {
                room: &room,
                nick: &nick,
                token,
                is_request,
            };
            this.input(lua, now(mono, wall), input)
        },
    );
    methods.add_method(
        "private_answered",
        |lua, this, (mono, wall, token): (f64, f64, u64)| {
            this.input(lua, now(mono, wall), Input::PrivateAnswered { token })
        },
    );
}
