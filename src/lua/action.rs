//! Actions as Lua tables: `kind` and the fields of the action, absent ones `nil`.

use crate::address::{BareJid, Jid};
use mlua::{IntoLua, Lua, Table};

use crate::engine::{Action, Entry, EventKey, Held, Notice, ParkedRoom, RemoteOccupant, SendPresence, Shown};
use crate::wire::{Act, ActKind, Hatted, IqKind, Listing, Moderated, Moderation, Ruling, StanzaError};
use crate::words::{self, Line};

/// A message of the log that is not in memory.
pub(super) struct Away {
    key: EventKey,
    id: String,
    is_gone: bool,
}

/// A message of the log, in memory or not.
pub(super) enum Found {
    Whole(Entry),
    Away(Away),
}

impl From<Held<'_>> for Found {
    fn from(held: Held<'_>) -> Found {
        match held {
            Held::Whole(entry) => Found::Whole(entry.clone()),
            Held::Away { key, is_gone, .. } => Found::Away(Away {
                key: key.clone(),
                id: held.id().into_owned(),
                is_gone,
            }),
        }
    }
}

/// The same as a table.
pub(super) fn found_table(lua: &Lua, found: &Found, moderated: Option<&Entry>) -> mlua::Result<Table> {
    match found {
        Found::Whole(entry) => entry_table(lua, entry, moderated),
        Found::Away(away) => away_table(lua, away, moderated),
    }
}

/// A table under construction.
struct Fields(Table);

impl Fields {
    fn new(lua: &Lua, kind: &str) -> mlua::Result<Fields> {
        // Room for every action's fields at once: growing step by step costs more than filling.
        Fields(lua.create_table_with_capacity(0, 12)?).set("kind", kind)
    }

    fn set(self, key: &str, value: impl IntoLua) -> mlua::Result<Fields> {
        self.0.raw_set(key, value)?;
        Ok(self)
    }

    fn jid(self, key: &str, jid: &BareJid) -> mlua::Result<Fields> {
        self.set(key, jid.as_str())
    }

    fn some(self, key: &str, value: Option<impl IntoLua>) -> mlua::Result<Fields> {
        match value {
            Some(value) => self.set(key, value),
            None => Ok(self),
        }
    }

    fn error(self, error: Option<&StanzaError>) -> mlua::Result<Fields> {
        let Some(error) = error else { return Ok(self) };
        self.set("error_type", error.kind.as_str())?
            .set("error_condition", error.condition.as_str())?
            .some("error_text", error.text.as_deref())
    }
}

/// `line` is what a notice says.
#[allow(clippy::too_many_lines)] // a table: the fields of each action
pub(super) fn to_table(lua: &Lua, action: Action, line: Option<Line>) -> mlua::Result<Table> {
    let fields = match action {
        Action::SendRequest {
            from,
            to,
            id,
            request,
        } => Fields::new(lua, "send_iq")?
            .jid("from", &from)?
            .jid("to", &to)?
            .set("id", id)?
            .set(
                "type",
                if request.iq_kind() == IqKind::Get {
                    "get"
                } else {
                    "set"
                },
            )?
            .set("payload", request.to_xml())?,
        Action::SendAnswer { from, to, id, answer } => {
            let fields = Fields::new(lua, "send_iq")?
                .set("from", from.as_str())?
                .set("to", to.as_str())?
                .set("id", id)?;
            match answer.as_ref() {
                Ok(response) => fields.set("type", "result")?.some("payload", response.to_xml())?,
                Err(error) => fields.set("type", "error")?.set("payload", error.to_xml())?,
            }
        }
        Action::SendPresence(presence) => send_presence(lua, &presence)?,
        // The payload stays here: the host has the stanza at hand under `key`.
        Action::SendGroupchat {
            room,
            to,
            nick,
            message_id,
            key,
            event,
            ..
        } => {
            let fields = Fields::new(lua, "send_groupchat")?
                .jid("room", &room)?
                .jid("to", &to)?
                .set("nick", nick)?
                .some("id", message_id)?
                .set("key", key)?;
            match event {
                None => fields,
                Some(event) => fields
                    .set("event_id", event.id)?
                    .set("event_inc", event.incarnation.to_string())?
                    .set("event_seq", event.seq.to_string())?
                    .set("event_at", event.at.to_string())?
                    .some("event_roster", event.roster.map(|version| version.to_string()))?,
            }
        }
        Action::SendModeration {
            room,
            to,
            event,
            moderation,
        } => Fields::new(lua, "send_moderation")?
            .jid("room", &room)?
            .jid("to", &to)?
            .set("event_id", event.id)?
            .set("event_inc", event.incarnation.to_string())?
            .set("event_seq", event.seq.to_string())?
            .set("event_at", event.at.to_string())?
            .set("payload", moderation.to_xml())?,
        Action::SendSubject {
            room,
            to,
            nick,
            text,
            version,
        } => Fields::new(lua, "send_subject")?
            .jid("room", &room)?
            .jid("to", &to)?
            .some("nick", nick)?
            .set("text", text)?
            .some("version", version.map(|version| version.to_string()))?,
        Action::Apply { room, shown } => apply(lua, &room, *shown)?,
        Action::ShowOccupant(occupant) => return occupant_table(lua, *occupant),
        Action::HideOccupant {
            room,
            home,
            nick,
            codes,
            new_nick,
            actor,
            reason,
        } => Fields::new(lua, "hide_occupant")?
            .jid("room", &room)?
            .jid("home", &home)?
            .set("nick", nick)?
            .set("codes", codes)?
            .some("new_nick", new_nick)?
            .some("actor", actor)?
            .some("reason", reason)?,
        Action::Rename { room, nick, new_nick } => Fields::new(lua, "rename")?
            .jid("room", &room)?
            .set("nick", nick)?
            .set("new_nick", new_nick)?,
        Action::AddMessage { room, id, deliver } => Fields::new(lua, "add_message")?
            .jid("room", &room)?
            .set("id", id)?
            .set("deliver", deliver)?,
        Action::PerformAct {
            room,
            actor,
            act,
            to,
            from,
            id,
        } => perform_act(lua, &room, &actor, &act)?
            .set("to", to.as_str())?
            .set("from", from.as_str())?
            .set("id", id)?,
        Action::ShowVoiceRequest { room, nick, jid } => Fields::new(lua, "show_voice_request")?
            .jid("room", &room)?
            .set("nick", nick)?
            .some("jid", jid.as_ref().map(Jid::as_str))?,
        Action::SendInvitation { room, token } => Fields::new(lua, "send_invitation")?
            .jid("room", &room)?
            .set("token", token)?,
        Action::DeliverDecline {
            room,
            to,
            invitee,
            reason,
        } => Fields::new(lua, "deliver_decline")?
            .jid("room", &room)?
            .set("to", to.as_str())?
            .set("invitee", invitee.as_str())?
            .some("reason", reason)?,
        Action::ActAnswered { room, token, error } => Fields::new(lua, "act_answered")?
            .jid("room", &room)?
            .set("token", token)?
            .error(error.as_ref())?,
        Action::Destroy {
            room,
            reason,
            venue,
            password,
        } => Fields::new(lua, "destroy")?
            .jid("room", &room)?
            .some("reason", reason)?
            .some("venue", venue.as_ref().map(|venue| venue.as_str()))?
            .some("password", password)?,
        Action::Close { room, source, reason } => Fields::new(lua, "close")?
            .jid("room", &room)?
            .jid("source", &source)?
            .some("reason", reason)?,
        Action::Park { parked, has_people } => {
            Fields(parked_table(lua, "park", &parked)?).set("has_people", has_people)?
        }
        Action::ReadAvatar { room } => Fields::new(lua, "read_avatar")?.jid("room", &room)?,
        Action::SourceMoved { room, source, term } => {
            let told = words::of_source(&room, &source, term);
            Fields::new(lua, "source_moved")?
                .jid("room", &room)?
                .jid("source", &source)?
                .set("is_here", source == room)?
                .set("line", told.line)?
                .set("text", told.text)?
        }
        Action::Served { room, addresses } => {
            let addresses: Vec<&str> = addresses.iter().map(|address| address.as_str()).collect();
            Fields::new(lua, "served")?
                .jid("room", &room)?
                .set("addresses", addresses)?
        }
        Action::ReadLog { room } => Fields::new(lua, "read_log")?.jid("room", &room)?,
        Action::ReadMessages { room, token, ids } => Fields::new(lua, "read_messages")?
            .jid("room", &room)?
            .set("token", token)?
            .set("ids", ids)?,
        Action::Unpark { room } => Fields::new(lua, "unpark")?.jid("room", &room)?,
        Action::Notice { room, notice, .. } => {
            let fields = Fields::new(lua, "notice")?.jid("room", &room)?;
            line_fields(fields, &notice, line)?
        }
        Action::Store { room } => Fields::new(lua, "store")?.jid("room", &room)?,
        Action::TrimLog { room, keep } => Fields::new(lua, "trim_log")?
            .jid("room", &room)?
            .set("keep", keep)?,
        Action::PrivateDone { token } => Fields::new(lua, "private_done")?.set("token", token)?,
        Action::PrivateFailed { token, error } => Fields::new(lua, "private_failed")?
            .set("token", token)?
            .error(Some(&error))?,
        Action::Overridden {
            room,
            actor_nick,
            actor_jid,
            ruling,
            is_registration,
        } => overridden(lua, &ruling, is_registration)?
            .jid("room", &room)?
            .some("actor_nick", actor_nick)?
            .some("actor_jid", actor_jid.as_ref().map(|jid| jid.as_str()))?,
        Action::ResetLink { service } => Fields::new(lua, "reset_link")?.jid("service", &service)?,
        Action::SlowDown { service, pause_ms } => Fields::new(lua, "slow_down")?
            .jid("service", &service)?
            .set("pause_ms", pause_ms)?,
    };
    Ok(fields.0)
}

/// What is parked: kind, room, peer, source (if known), reason; what is told of it (text), and why it is parked (why).
pub(super) fn parked_table(lua: &Lua, kind: &str, parked: &ParkedRoom) -> mlua::Result<Table> {
    let fields = Fields::new(lua, kind)?
        .jid("room", &parked.room)?
        .jid("peer", &parked.peer)?
        .some("source", parked.source.as_ref().map(|source| source.as_str()))?
        .set("reason", parked.reason.as_str())?
        .set("text", words::of_parked(parked))?
        .set("why", words::why_parked(parked))?;
    Ok(fields.0)
}

fn send_presence(lua: &Lua, presence: &SendPresence) -> mlua::Result<Fields> {
    // An available presence's payload is with the host, in the room's occupant.
    let payload = Some(&*presence.payload).filter(|payload| !presence.available && !payload.is_empty());
    Fields::new(lua, "send_presence")?
        .jid("room", &presence.room)?
        .jid("to", &presence.to)?
        .set("nick", presence.nick.as_str())?
        .set("available", presence.available)?
        .set("affiliation", presence.affiliation.as_str())?
        .set("role", presence.role.as_str())?
        .some("jid", presence.jid.as_ref().map(Jid::as_str))?
        .some("serial", presence.serial.map(|serial| serial.to_string()))?
        .some("version", presence.version.map(|version| version.to_string()))?
        .some("occupant_id", presence.occupant_id.as_deref())?
        .set("codes", presence.codes.clone())?
        .some("new_nick", presence.new_nick.as_deref())?
        .some("actor", presence.actor.as_deref())?
        .some("reason", presence.reason.as_deref())?
        .some("payload", payload)
}

fn perform_act(lua: &Lua, room: &BareJid, actor: &Jid, act: &Act) -> mlua::Result<Fields> {
    let fields = Fields::new(lua, "perform_act")?
        .jid("room", room)?
        .set("actor", actor.as_str())?
        .some("reason", act.reason.as_deref())?;
    match &act.kind {
        ActKind::Role {
            nick, role, request, ..
        } => fields
            .set("act", "role")?
            .set("nick", nick.as_str())?
            .set("role", role.as_str())?
            .set("is_answer", request.is_some()),
        ActKind::Affiliation {
            jid,
            affiliation,
            nick,
            is_invited,
            ..
        } => fields
            .set("act", "affiliation")?
            .jid("jid", jid)?
            .set("affiliation", affiliation.as_str())?
            .set("is_invited", *is_invited)?
            .some("nick", nick.as_deref()),
        ActKind::Invite { jid } => fields.set("act", "invite")?.set("jid", jid.as_str()),
        ActKind::Config { form, .. } => fields.set("act", "config")?.set("form", form.to_xml()),
        // The engine sees to these itself, and has them shown.
        ActKind::Avatar { .. } => fields.set("act", "avatar"),
        ActKind::Steer { .. } => fields.set("act", "steer"),
        ActKind::Voice { .. } => fields.set("act", "voice"),
        ActKind::Decline { .. } => fields.set("act", "decline"),
        ActKind::Subject { text, .. } => fields.set("act", "subject")?.set("text", text.as_str()),
        ActKind::Moderate { id } => fields.set("act", "moderate")?.set("message", id.as_str()),
        ActKind::Register { nick, .. } => fields.set("act", "register")?.some("nick", nick.as_deref()),
        ActKind::Destroy { venue, password } => fields
            .set("act", "destroy")?
            .some("venue", venue.as_ref().map(|venue| venue.as_str()))?
            .some("password", password.as_deref()),
    }
}

fn apply(lua: &Lua, room: &BareJid, shown: Shown) -> mlua::Result<Fields> {
    let fields = |kind: &str| Fields::new(lua, kind)?.jid("room", room);
    match shown {
        Shown::Settings { source, form, salt } => fields("apply_settings")?
            .jid("source", &source)?
            .set("form", form.to_xml())?
            .some("salt", salt),
        Shown::Listed {
            listing: Listing { jid, entry },
            actor,
            reason,
        } => fields("apply_affiliation")?
            .jid("jid", &jid)?
            .set("affiliation", entry.affiliation.as_str())?
            .some("nick", entry.nick)?
            .some("actor", actor)?
            .some("reason", reason),
        Shown::Subject(subject) => {
            let (nick, text) = subject
                .map(|subject| (subject.nick, subject.text))
                .unwrap_or_default();
            fields("apply_subject")?.some("nick", nick)?.set("text", text)
        }
        Shown::Moderated(Moderated { id, moderation }) => match moderation {
            Some(moderation) => {
                fields("hide_message")?.set("moderation", moderation_table(lua, &moderation)?)
            }
            None => fields("restore_message")?.set("id", id),
        },
        Shown::Avatar(vcard) => fields("apply_avatar")?.some("vcard", vcard),
        Shown::Hats(Hatted { jid, hats }) => {
            fields("apply_hats")?.jid("jid", &jid)?.set("hats", hats.to_xml())
        }
    }
}

fn overridden(lua: &Lua, ruling: &Ruling, is_registration: bool) -> mlua::Result<Fields> {
    let fields = Fields::new(lua, "overridden")?;
    match ruling {
        Ruling::Listed(Listing { jid, entry }) if is_registration => fields
            .set("change", "registration")?
            .jid("jid", jid)?
            .some("nick", entry.nick.as_deref()),
        Ruling::Listed(Listing { jid, entry }) => fields
            .set("change", "affiliation")?
            .jid("jid", jid)?
            .set("affiliation", entry.affiliation.as_str()),
        Ruling::Subject(subject) => {
            let text = subject.as_ref().map_or("", |subject| &subject.text);
            fields.set("change", "subject")?.set("text", text)
        }
        Ruling::Moderated(moderated) => fields
            .set("change", "moderation")?
            .set("message", moderated.id.as_str()),
        Ruling::Form(form) => fields
            .set("change", "field")?
            .some("var", form.fields.first().map(|field| field.var.as_str())),
        Ruling::Avatar(_) => fields.set("change", "avatar"),
        Ruling::Hats(hatted) => fields.set("change", "hats")?.jid("jid", &hatted.jid),
    }
}

/// A notice in words: level and text of the line of the log; key and text (many) of the line for several rooms with the number
/// that is summed up; what owners and what everybody in the room is told. The name where something else follows from it.
fn line_fields(fields: Fields, notice: &Notice, line: Option<Line>) -> mlua::Result<Fields> {
    let fields = match notice {
        Notice::NotNamed => fields.set("notice", "not_named")?,
        Notice::Gap { messages } => fields.set("notice", "gap")?.set("messages", *messages)?,
        Notice::SetAside { .. } => fields.set("notice", "gap")?.set("messages", 1)?,
        _ => fields,
    };
    let Some(line) = line else { return Ok(fields) };
    let fields = fields
        .set("level", line.level.as_str())?
        .set("text", line.text)?
        .some("owners", line.owners)?
        .some("everybody", line.everybody)?;
    match line.many {
        Some(many) => fields
            .set("key", many.key)?
            .set("many", many.text)?
            .set("number", many.number),
        None => Ok(fields),
    }
}

pub(super) fn occupant_table(lua: &Lua, occupant: RemoteOccupant) -> mlua::Result<Table> {
    let fields = Fields::new(lua, "show_occupant")?
        .jid("room", &occupant.room)?
        .jid("home", &occupant.home)?
        .set("nick", occupant.nick)?
        .some("jid", occupant.jid.as_ref().map(Jid::as_str))?
        .set("affiliation", occupant.affiliation.as_str())?
        .set("role", occupant.role.as_str())?
        .some("occupant_id", occupant.occupant_id)?
        .some("payload", occupant.payload)?;
    Ok(fields.0)
}

/// What is moderated: `id`, `nick`, `occupant_id`, `reason`.
fn moderation_table(lua: &Lua, moderation: &Moderation) -> mlua::Result<Table> {
    let fields = Fields(lua.create_table_with_capacity(0, 6)?)
        .set("id", moderation.id.as_str())?
        .some("nick", moderation.nick.as_deref())?
        .some("occupant_id", moderation.occupant_id.as_deref())?
        .some("reason", moderation.reason.as_deref())?;
    Ok(fields.0)
}

/// A message that is in the stored log only: what is known of it.
fn away_table(lua: &Lua, away: &Away, moderated: Option<&Entry>) -> mlua::Result<Table> {
    let key = &away.key;
    let fields = Fields::new(lua, "message")?
        .set("is_away", true)?
        .set("is_gone", away.is_gone)?
        .set("stanza_id", away.id.as_str())?
        .set("time", key.at.wall_ms as f64 / 1_000.0)?
        .set("origin", key.origin.as_str())?
        .set("inc", key.incarnation.to_string())?
        .set("seq", key.seq.to_string())?
        .set("at", key.at.to_string())?
        .some("moderated", moderated_by(lua, moderated)?)?;
    Ok(fields.0)
}

fn moderated_by(lua: &Lua, moderated: Option<&Entry>) -> mlua::Result<Option<Table>> {
    let moderated = moderated.and_then(|by| Some((by, by.moderation()?)));
    let Some((by, moderation)) = moderated else {
        return Ok(None);
    };
    let table = moderation_table(lua, &moderation)?;
    table.raw_set("time", by.key.at.wall_ms as f64 / 1_000.0)?;
    table.raw_set("stanza_id", by.id.as_str())?;
    Ok(Some(table))
}

/// A message of the log. One that is moderated has `moderated`; one of the room itself, which says so of another, has
/// `moderates`: tables as of [`moderation_table`], `moderated` also with `time` and `stanza_id` of the decision.
fn entry_table(lua: &Lua, entry: &Entry, moderated: Option<&Entry>) -> mlua::Result<Table> {
    let moderates = entry.moderation();
    let moderates = moderates.map(|moderation| moderation_table(lua, &moderation));
    let fields = Fields::new(lua, "message")?
        .set("stanza_id", entry.id.as_str())?
        .set("nick", entry.nick.as_str())?
        .some("id", entry.message_id.as_deref())?
        .some("lang", entry.lang.as_deref())?
        .some("occupant_id", entry.occupant_id.as_deref())?
        .set("time", entry.key.at.wall_ms as f64 / 1_000.0)?
        .set("origin", entry.key.origin.as_str())?
        .set("inc", entry.key.incarnation.to_string())?
        .set("seq", entry.key.seq.to_string())?
        .set("at", entry.key.at.to_string())?
        .set("payload", &*entry.payload)?
        .some("moderates", moderates.transpose()?)?
        .some("moderated", moderated_by(lua, moderated)?)?;
    Ok(fields.0)
}
