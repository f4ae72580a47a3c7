//! What peers send.

use mlua::{Lua, LuaString, MultiValue, Table, UserDataMethods};

use super::super::convert::{any, bare, full, now};
use super::super::{Handle, verdict_values};
use super::str_of;
use crate::engine::{Input, PeerPresence};
use crate::error::Error;
use crate::wire::{EventStamp, IqKind, Moderation, MucItem, OccupantStamp, StanzaError, WireError};

#[allow(clippy::too_many_lines)] // a table: one method after the other
pub(super) fn add_methods<M: UserDataMethods<Handle>>(methods: &mut M) {
    // peer_iq(mono, wall, from, to, type, id, payload_xml, taken)
    methods.add_method(
        "peer_iq",
        |lua,
         this,
         (mono, wall, from, to, kind, id, payload, taken): (
            f64,
            f64,
            String,
            String,
            String,
            String,
            LuaString,
            bool,
        )| {
            let (from, to) = (any(&from)?, any(&to)?);
            let kind = if kind == "get" { IqKind::Get } else { IqKind::Set };
            let payload = str_of(&payload);
            let input = Input::PeerIq {
                from: &from,
                to: &to,
                kind,
                id: &id,
                payload: &payload,
                taken,
            };
            this.input(lua, now(mono, wall), input)
        },
    );
    // peer_answer(mono, wall, from, id, payload_xml | nil, error_type, error_condition, error_text)
    methods.add_method("peer_answer", |lua, this, args: AnswerArgs| {
        let (mono, wall, from, id, payload, kind, condition, text) = args;
        let from = any(&from)?;
        let payload = payload.as_ref().map(str_of);
        let answer = match condition {
            None => Ok(payload.as_deref().unwrap_or_default()),
            Some(condition) => Err(StanzaError::from_parts(
                kind.as_deref(),
                Some(&condition),
                text.as_deref(),
            )),
        };
        this.input(
            lua,
            now(mono, wall),
            Input::PeerAnswer {
                from: &from,
                id: &id,
                answer,
            },
        )
    });
    // arriving(mono, wall, service)
    methods.add_method(
        "arriving",
        |lua, this, (mono, wall, service): (f64, f64, String)| {
            let service = bare(&service)?;
            this.input(lua, now(mono, wall), Input::Arriving { service: &service })
        },
    );
    // peer_presence(mono, wall, from, to, available, item): item has affiliation, role, jid, occupant_id, serial,
    // version, codes, new_nick, actor, reason, payload
    methods.add_method(
        "peer_presence",
        |lua, this, (mono, wall, from, to, available, item): (f64, f64, String, String, bool, Table)| {
            let (from, to) = (full(&from)?, full(&to)?);
            let text = |key: &str| item.get::<Option<String>>(key);
            let (aff, role_name, jid) = (text("affiliation")?, text("role")?, text("jid")?);
            let (occupant_id, new_nick) = (text("occupant_id")?, text("new_nick")?);
            let (actor, reason) = (text("actor")?, text("reason")?);
            let (serial, version) = (text("serial")?, text("version")?);
            let codes: Option<Vec<u16>> = item.get("codes")?;
            let payload: LuaString = item.get("payload")?;
            let parts = (|| {
                let stamp = serial.is_some().then(|| {
                    OccupantStamp::from_attrs(occupant_id.as_deref(), serial.as_deref(), version.as_deref())
                });
                let item = MucItem::from_attrs(
                    (aff.as_deref(), role_name.as_deref()),
                    jid.as_deref(),
                    new_nick.as_deref(),
                    (actor.as_deref(), reason.as_deref()),
                )?;
                Ok::<_, WireError>((item, stamp.transpose()?))
            })();
            let (item, stamp) = match parts {
                Ok(parts) => parts,
                Err(error) => return verdict_values(lua, Err(Error::Refused(StanzaError::from(error)))),
            };
            let payload = str_of(&payload);
            let input = Input::PeerPresence(PeerPresence {
                from: &from,
                to: &to,
                available,
                affiliation: item.affiliation,
                role: item.role,
                jid: item.jid.as_ref(),
                occupant_id: occupant_id.as_deref(),
                serial: stamp.as_ref().map(|stamp| stamp.serial),
                version: stamp.as_ref().and_then(|stamp| stamp.version),
                codes: codes.as_deref().unwrap_or_default(),
                new_nick: item.nick.as_deref(),
                actor: item.actor.as_deref(),
                reason: item.reason.as_deref(),
                payload: &payload,
            });
            this.input(lua, now(mono, wall), input)
        },
    );
    // peer_groupchat(mono, wall, from, to, id, lang, payload, keep, event_id, event_origin, event_inc, event_seq, event_at,
    // event_roster)
    methods.add_method("peer_groupchat", peer_groupchat);
    // peer_moderation(mono, wall, from, room, moderate_xml, event_id, event_origin, event_inc, event_seq, event_at)
    methods.add_method("peer_moderation", peer_moderation);
    methods.add_method(
        "peer_subject",
        |lua,
         this,
         (mono, wall, from, room, text, version): (f64, f64, String, String, String, Option<String>)| {
            let (from, room) = (any(&from)?, bare(&room)?);
            let input = Input::PeerSubject {
                from: &from,
                room: &room,
                text: &text,
                version: version
                    .and_then(|version| version.parse().ok())
                    .filter(|version| i64::try_from(*version).is_ok()),
            };
            this.input(lua, now(mono, wall), input)
        },
    );
    methods.add_method(
        "peer_error",
        |lua,
         this,
         (mono, wall, from, kind, condition, text): (f64, f64, String, String, String, Option<String>)| {
            let from = any(&from)?;
            let error = StanzaError::from_parts(Some(&kind), Some(&condition), text.as_deref());
            this.input(
                lua,
                now(mono, wall),
                Input::PeerError {
                    from: &from,
                    error: &error,
                },
            )
        },
    );
}

type AnswerArgs = (
    f64,
    f64,
    String,
    String,
    Option<LuaString>,
    Option<String>,
    Option<String>,
    Option<String>,
);

type GroupchatArgs = (
    f64,
    f64,
    String,
    String,
    Option<LuaString>,
    Option<LuaString>,
    LuaString,
    bool,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
);

type ModerationArgs = (
    f64,
    f64,
    String,
    String,
    LuaString,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
);

fn peer_moderation(lua: &Lua, this: &Handle, args: ModerationArgs) -> mlua::Result<MultiValue> {
    let (mono, wall, from, room, xml, event_id, origin, incarnation, seq, at) = args;
    let (from, room) = (any(&from)?, bare(&room)?);
    let event = event_of(event_id, origin, incarnation, seq, at);
    let xml = str_of(&xml);
    let parsed = event.and_then(|event| Ok((event, Moderation::parse(&xml)?)));
    let (event, moderation) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return verdict_values(lua, Err(Error::Refused(StanzaError::from(error)))),
    };
    let input = Input::PeerModeration {
        from: &from,
        room: &room,
        event,
        moderation: &moderation,
    };
    this.input(lua, now(mono, wall), input)
}

/// The attributes of an `<event/>`, if there is one.
fn event_of(
    id: Option<String>,
    origin: Option<String>,
    incarnation: Option<String>,
    seq: Option<String>,
    at: Option<String>,
) -> Result<Option<EventStamp>, WireError> {
    let is_stamped = id.is_some() || incarnation.is_some() || seq.is_some() || at.is_some();
    let event = is_stamped.then(|| {
        EventStamp::from_attrs(
            id.as_deref(),
            origin.as_deref(),
            incarnation.as_deref(),
            seq.as_deref(),
            at.as_deref(),
        )
    });
    event.transpose()
}

fn peer_groupchat(lua: &Lua, this: &Handle, args: GroupchatArgs) -> mlua::Result<MultiValue> {
    let (mono, wall, from, to, id, lang, payload, keep, event_id, origin, incarnation, seq, at, roster) =
        args;
    let (from, to) = (full(&from)?, full(&to)?);
    let id = id.as_ref().map(str_of);
    let lang = lang.as_ref().map(str_of);
    let event = event_of(event_id, origin, incarnation, seq, at).and_then(|event| {
        let with_roster = event.map(|event| event.with_roster(roster.as_deref()));
        with_roster.transpose()
    });
    let event = match event {
        Ok(event) => event,
        Err(error) => return verdict_values(lua, Err(Error::Refused(StanzaError::from(error)))),
    };
    let input = Input::PeerGroupchat {
        from: &from,
        to: &to,
        message_id: id.as_deref(),
        lang: lang.as_deref(),
        event,
        payload: &str_of(&payload),
        keep,
    };
    this.input(lua, now(mono, wall), input)
}
