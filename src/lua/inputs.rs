//! One Lua method per [`Input`], with its parts as arguments.

use mlua::{BorrowedStr, Lua, LuaString, MultiValue, Table, UserDataMethods};

use super::convert::{affiliation, any, bare, full, now, role};
use super::{Handle, verdict_values};
use crate::engine::{Departure, Input, Occupant, PeerPresence};
use crate::error::Error;
use crate::wire::{Act, ActKind, EventStamp, Form, Hats, IqKind, Moderation, StanzaError, WireError};

fn str_of(text: &LuaString) -> mlua::Result<BorrowedStr> {
    text.to_str()
}

/// The form of a room as XML.
fn form(xml: &str) -> mlua::Result<Form> {
    Form::parse(xml).map_err(|error| mlua::Error::runtime(error.to_string()))
}

pub(super) fn add_methods<M: UserDataMethods<Handle>>(methods: &mut M) {
    add_room_methods(methods);
    add_occupant_methods(methods);
    add_peer_methods(methods);
}

fn add_room_methods<M: UserDataMethods<Handle>>(methods: &mut M) {
    // distribute(mono, wall, room, form_xml, salt, subject_nick, subject)
    methods.add_method(
        "distribute",
        |lua,
         this,
         (mono, wall, room, xml, salt, nick, subject): (
            f64,
            f64,
            String,
            String,
            String,
            Option<String>,
            Option<String>,
        )| {
            let room = bare(&room)?;
            let subject = nick.as_deref().zip(subject.as_deref());
            let input = Input::Distribute {
                room: &room,
                form: form(&xml)?,
                salt: &salt,
                subject,
            };
            this.input(lua, now(mono, wall), input)
        },
    );
    methods.add_method("started", |lua, this, (mono, wall, room): (f64, f64, String)| {
        let room = bare(&room)?;
        this.input(lua, now(mono, wall), Input::Started { room: &room })
    });
    methods.add_method(
        "undistribute",
        |lua, this, (mono, wall, room, reason): (f64, f64, String, Option<String>)| {
            let room = bare(&room)?;
            let input = Input::Undistribute {
                room: &room,
                reason: reason.as_deref(),
            };
            this.input(lua, now(mono, wall), input)
        },
    );
    // destroyed(mono, wall, room, reason, venue, password)
    methods.add_method(
        "destroyed",
        |lua,
         this,
         (mono, wall, room, reason, venue, password): (
            f64,
            f64,
            String,
            Option<String>,
            Option<String>,
            Option<String>,
        )| {
            let room = bare(&room)?;
            let venue = venue.and_then(|venue| bare(&venue).ok());
            let input = Input::Destroyed {
                room: &room,
                reason: reason.as_deref(),
                venue: venue.as_ref(),
                password: password.as_deref(),
            };
            this.input(lua, now(mono, wall), input)
        },
    );
    // past(mono, wall, room, message): a table with nick, id, lang, stanza_id, occupant_id, time (seconds), payload
    methods.add_method(
        "past",
        |lua, this, (mono, wall, room, past): (f64, f64, String, Table)| {
            let room = bare(&room)?;
            let nick: String = past.get("nick")?;
            let id: Option<String> = past.get("id")?;
            let lang: Option<String> = past.get("lang")?;
            let stanza_id: Option<String> = past.get("stanza_id")?;
            let occupant_id: Option<String> = past.get("occupant_id")?;
            let time: f64 = past.get("time")?;
            let payload: String = past.get("payload")?;
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
            String,
        )| {
            let room = bare(&room)?;
            let actor = actor.map(|actor| bare(&actor)).transpose()?;
            let input = Input::Subject {
                room: &room,
                nick: nick.as_deref(),
                actor_jid: actor.as_ref(),
                text: &text,
            };
            this.input(lua, now(mono, wall), input)
        },
    );
    // moderate(mono, wall, room, { id, nick, occupant_id, reason, actor_jid })
    methods.add_method(
        "moderate",
        |lua, this, (mono, wall, room, given): (f64, f64, String, Table)| {
            let room = bare(&room)?;
            let text = |key: &str| given.get::<Option<String>>(key);
            let actor_jid = text("actor_jid")?.map(|jid| bare(&jid)).transpose()?;
            let input = Input::Moderate {
                room: &room,
                moderation: Moderation {
                    id: given.get("id")?,
                    nick: text("nick")?,
                    occupant_id: text("occupant_id")?,
                    reason: text("reason")?,
                },
                actor_jid: actor_jid.as_ref(),
            };
            this.input(lua, now(mono, wall), input)
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
            String,
            Option<String>,
            Option<String>,
        )| {
            let room = bare(&room)?;
            let actor = actor.map(|actor| bare(&actor)).transpose()?;
            let input = Input::Settings {
                room: &room,
                form: form(&xml)?,
                actor_nick: nick.as_deref(),
                actor_jid: actor.as_ref(),
            };
            this.input(lua, now(mono, wall), input)
        },
    );
    // logged(mono, wall, room, entry): a table with nick, id, lang, occupant_id, stanza_id, origin, inc, seq, at, payload
    methods.add_method(
        "logged",
        |lua, this, (mono, wall, room, entry): (f64, f64, String, Table)| {
            let room = bare(&room)?;
            let text = |key: &str| entry.get::<Option<String>>(key);
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
                payload: &str_of(&payload)?,
            };
            this.input(lua, now(mono, wall), input)
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
    // affiliation(mono, wall, room, jid, { affiliation, nick, reason, actor, actor_jid, is_invited })
    methods.add_method(
        "affiliation",
        |lua, this, (mono, wall, room, jid, entry): (f64, f64, String, String, Table)| {
            let (room, jid) = (bare(&room)?, bare(&jid)?);
            let text = |key: &str| entry.get::<Option<String>>(key);
            let (name, nick) = (text("affiliation")?, text("nick")?);
            let (reason, actor) = (text("reason")?, text("actor")?);
            let actor_jid = text("actor_jid")?.map(|jid| bare(&jid)).transpose()?;
            let input = Input::Affiliation {
                room: &room,
                jid: &jid,
                affiliation: affiliation(name.as_deref()),
                reserved_nick: nick.as_deref(),
                reason: reason.as_deref(),
                actor: actor.as_deref(),
                actor_jid: actor_jid.as_ref(),
                is_invited: entry.get::<Option<bool>>("is_invited")?.unwrap_or(false),
            };
            this.input(lua, now(mono, wall), input)
        },
    );
    // hats(mono, wall, room, jid, hats_xml): empty for none
    methods.add_method(
        "hats",
        |lua, this, (mono, wall, room, jid, xml): (f64, f64, String, String, String)| {
            let (room, jid) = (bare(&room)?, bare(&jid)?);
            let hats = match xml.as_str() {
                "" => Ok(Hats::default()),
                xml => Hats::parse(xml),
            };
            let input = Input::Hats {
                room: &room,
                jid: &jid,
                hats: hats.map_err(|error| mlua::Error::runtime(error.to_string()))?,
            };
            this.input(lua, now(mono, wall), input)
        },
    );
    // act(mono, wall, room, token, act): act has actor_nick, actor_jid, reason, and role + nick, or affiliation +
    // jid (+ nick), or form, or message (its stanza-id: to moderate it), or register (true) (+ nick), or nothing else
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
            form: form(&xml)?,
            was: None,
        }
    } else if let Some(id) = text("message")? {
        ActKind::Moderate { id }
    } else if act.get::<Option<bool>>("register")? == Some(true) {
        ActKind::Register {
            nick: text("nick")?,
            was: None,
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

fn add_occupant_methods<M: UserDataMethods<Handle>>(methods: &mut M) {
    // occupant(mono, wall, room, nick, jid, affiliation, role, occupant_id, payload)
    methods.add_method("occupant", |lua, this, args: OccupantArgs| {
        let (mono, wall, room, nick, jid, aff, role_name, occupant_id, payload) = args;
        let (room, jid) = (bare(&room)?, any(&jid)?);
        let occupant_id = occupant_id.as_ref().map(str_of).transpose()?;
        let input = Input::Occupant(Occupant {
            room: &room,
            nick: &str_of(&nick)?,
            jid: &jid,
            affiliation: affiliation(aff.as_deref()),
            role: role(role_name.as_deref()),
            occupant_id: occupant_id.as_deref(),
            payload: &str_of(&payload)?,
        });
        this.input(lua, now(mono, wall), input)
    });
    // occupant_left(mono, wall, room, { nick, codes, new_nick, affiliation, actor, reason, payload })
    methods.add_method(
        "occupant_left",
        |lua, this, (mono, wall, room, left): (f64, f64, String, Table)| {
            let room = bare(&room)?;
            let text = |key: &str| left.get::<Option<String>>(key);
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
            let id = id.as_ref().map(str_of).transpose()?;
            let lang = lang.as_ref().map(str_of).transpose()?;
            let input = Input::Groupchat {
                room: &room,
                nick: &str_of(&nick)?,
                message_id: id.as_deref(),
                lang: lang.as_deref(),
                payload: &str_of(&payload)?,
                keep,
            };
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

fn add_peer_methods<M: UserDataMethods<Handle>>(methods: &mut M) {
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
            let payload = str_of(&payload)?;
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
        let payload = payload.as_ref().map(str_of).transpose()?;
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
            let codes: Option<Vec<u16>> = item.get("codes")?;
            let payload: LuaString = item.get("payload")?;
            let jid = jid.and_then(|jid| any(&jid).ok());
            let input = Input::PeerPresence(PeerPresence {
                from: &from,
                to: &to,
                available,
                affiliation: affiliation(aff.as_deref()),
                role: role(role_name.as_deref()),
                jid: jid.as_ref(),
                occupant_id: occupant_id.as_deref(),
                serial: text("serial")?.and_then(|serial| serial.parse().ok()),
                version: text("version")?.and_then(|version| version.parse().ok()),
                codes: codes.as_deref().unwrap_or_default(),
                new_nick: new_nick.as_deref(),
                actor: actor.as_deref(),
                reason: reason.as_deref(),
                payload: &str_of(&payload)?,
            });
            this.input(lua, now(mono, wall), input)
        },
    );
    // peer_groupchat(mono, wall, from, to, id, lang, payload, keep, event_id, event_origin, event_inc, event_seq, event_at)
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
                version: version.and_then(|version| version.parse().ok()),
            };
            this.input(lua, now(mono, wall), input)
        },
    );
    methods.add_method(
        "peer_error",
        |lua, this, (mono, wall, from, kind, condition): (f64, f64, String, String, String)| {
            let from = any(&from)?;
            let error = StanzaError::from_parts(Some(&kind), Some(&condition), None);
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
    let xml = str_of(&xml)?;
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
    let (mono, wall, from, to, id, lang, payload, keep, event_id, origin, incarnation, seq, at) = args;
    let (from, to) = (full(&from)?, full(&to)?);
    let id = id.as_ref().map(str_of).transpose()?;
    let lang = lang.as_ref().map(str_of).transpose()?;
    let event = match event_of(event_id, origin, incarnation, seq, at) {
        Ok(event) => event,
        Err(error) => return verdict_values(lua, Err(Error::Refused(StanzaError::from(error)))),
    };
    let input = Input::PeerGroupchat {
        from: &from,
        to: &to,
        message_id: id.as_deref(),
        lang: lang.as_deref(),
        event,
        payload: &str_of(&payload)?,
        keep,
    };
    this.input(lua, now(mono, wall), input)
}
