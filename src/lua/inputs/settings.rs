//! What is set in a room of this service: its subject, configuration, affiliations, hats and avatar.

use mlua::{Table, UserDataMethods};

use super::super::Handle;
use super::super::convert::{affiliation, bare, now};
use super::{Text, avatar_of, fitting_form};
use crate::engine::{Input, Ruled};
use crate::wire::{Hats, Hatted, Listed, Listing, Subject};

#[allow(clippy::too_many_lines)] // a table: one method after the other
pub(super) fn add_methods<M: UserDataMethods<Handle>>(methods: &mut M) {
    // subject(mono, wall, room, nick, actor_jid, text)
    methods.add_method(
        "subject",
        |lua,
         this,
         (mono, wall, room, nick, actor, text): (
            f64,
            f64,
            String,
            Option<String>,
            Option<String>,
            Text,
        )| {
            let room = bare(&room)?;
            let actor = actor.map(|actor| bare(&actor)).transpose()?;
            let time = now(mono, wall);
            let subject = Subject {
                nick,
                stamp: time.wall_ms as i64,
                text: text.0,
            };
            let ruled = Ruled {
                actor_jid: actor.as_ref(),
                ..Ruled::by_the_room(&room, Some(subject))
            };
            this.input(lua, time, Input::Ruled(ruled))
        },
    );
    // settings(mono, wall, room, form_xml, actor_nick, actor_jid)
    methods.add_method(
        "settings",
        |lua,
         this,
         (mono, wall, room, xml, nick, actor): (
            f64,
            f64,
            String,
            Text,
            Option<String>,
            Option<String>,
        )| {
            let room = bare(&room)?;
            let (form, unfit) = fitting_form(&xml.0)?;
            let actor = actor.map(|actor| bare(&actor)).transpose()?;
            let ruled = Ruled {
                unfit,
                actor_nick: nick.as_deref(),
                actor_jid: actor.as_ref(),
                ..Ruled::by_the_room(&room, form)
            };
            this.input(lua, now(mono, wall), Input::Ruled(ruled))
        },
    );
    // affiliation(mono, wall, room, jid, { affiliation, nick, reason, actor, actor_jid, is_invited })
    methods.add_method(
        "affiliation",
        |lua, this, (mono, wall, room, jid, entry): (f64, f64, String, String, Table)| {
            let (room, jid) = (bare(&room)?, bare(&jid)?);
            let text = |key: &str| Ok::<_, mlua::Error>(entry.get::<Option<Text>>(key)?.map(|text| text.0));
            let (name, nick) = (text("affiliation")?, text("nick")?);
            let (reason, actor) = (text("reason")?, text("actor")?);
            let actor_jid = text("actor_jid")?.map(|jid| bare(&jid)).transpose()?;
            let affiliation = affiliation(name.as_deref());
            let listed = Listed { affiliation, nick };
            let ruled = Ruled {
                actor_nick: actor.as_deref(),
                actor_jid: actor_jid.as_ref(),
                reason: reason.as_deref(),
                is_invited: entry.get::<Option<bool>>("is_invited")?.unwrap_or(false),
                ..Ruled::by_the_room(&room, Listing { jid, entry: listed })
            };
            this.input(lua, now(mono, wall), Input::Ruled(ruled))
        },
    );
    // picture(mono, wall, room, vcard, is_wanted): what the room has, or what somebody wants set; nil for none
    methods.add_method(
        "picture",
        |lua, this, (mono, wall, room, vcard, is_wanted): (f64, f64, String, Option<Text>, bool)| {
            let room = bare(&room)?;
            let input = Input::Avatar {
                room: &room,
                vcard: vcard.as_ref().map(|text| text.0.as_str()),
                is_wanted,
            };
            this.input(lua, now(mono, wall), input)
        },
    );
    // avatar(mono, wall, room, vcard, actor_nick, actor_jid): an empty vCard for none
    methods.add_method(
        "avatar",
        |lua,
         this,
         (mono, wall, room, vcard, nick, actor): (
            f64,
            f64,
            String,
            Text,
            Option<String>,
            Option<String>,
        )| {
            let room = bare(&room)?;
            let actor = actor.map(|actor| bare(&actor)).transpose()?;
            let ruled = Ruled {
                actor_nick: nick.as_deref(),
                actor_jid: actor.as_ref(),
                ..Ruled::by_the_room(&room, avatar_of(&vcard.0)?)
            };
            this.input(lua, now(mono, wall), Input::Ruled(ruled))
        },
    );
    // hats(mono, wall, room, jid, hats_xml): empty for none
    methods.add_method(
        "hats",
        |lua, this, (mono, wall, room, jid, xml): (f64, f64, String, String, Text)| {
            let (room, jid) = (bare(&room)?, bare(&jid)?);
            let hats = match xml.0.as_str() {
                "" => Ok(Hats::default()),
                xml => Hats::parse(xml),
            };
            let hats = hats.map_err(|error| mlua::Error::runtime(error.to_string()))?;
            let ruled = Ruled::by_the_room(&room, Hatted { jid, hats });
            this.input(lua, now(mono, wall), Input::Ruled(ruled))
        },
    );
}
