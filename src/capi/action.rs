//! What the host has to do.

use std::ffi::{CString, c_char};
use std::ptr;

use crate::address::{BareJid, Jid};

use super::fields::{Fields, dmuc_field as F};
use super::guard::{c_text, guard_or, reference, release};
use super::requests::dmuc_act_type;
use crate::engine::{Action, Engine, Notice, RemoteOccupant, Shown};
use crate::wire::{Act, ActKind, Hatted, Listing, Moderated, Ruling};
use crate::words;

/// What the host has to do. The parts of each are listed with it, by their names in dmuc_field.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum dmuc_action_type {
    /// There is nothing to do: NULL was asked.
    DMUC_ACTION_NONE = 0,
    /// Send dmuc_action_stanza. FROM, TO (a service, a room, or an occupant of one).
    DMUC_ACTION_SEND = 1,
    /// Make the shadow's room if it does not exist, and give it this configuration. ROOM, SOURCE, FORM, SALT (absent if the
    /// peer does not share it).
    DMUC_ACTION_APPLY_SETTINGS = 2,
    /// Show the subject. ROOM, NICK (absent for the room itself), SUBJECT. A source may hand it in again with dmuc_engine_subject:
    /// unchanged is recognised.
    DMUC_ACTION_APPLY_SUBJECT = 3,
    /// Set an affiliation that the source decided. ROOM, JID, AFFILIATION; RESERVED_NICK, REASON, ACTOR may be absent.
    DMUC_ACTION_APPLY_AFFILIATION = 4,
    /// Put an occupant of a peer instance into the room, or change it. ROOM, HOME, NICK, AFFILIATION, ROLE, PAYLOAD; JID
    /// and OCCUPANT_ID may be absent.
    DMUC_ACTION_SHOW_OCCUPANT = 5,
    /// Take an occupant of a peer instance out of the room. ROOM, HOME, NICK, dmuc_action_code; NEW_NICK (with
    /// code 303), ACTOR, REASON may be absent.
    DMUC_ACTION_HIDE_OCCUPANT = 6,
    /// Give a local occupant another nick: it lost a clash (codes 303 and 210). ROOM, NICK, NEW_NICK.
    DMUC_ACTION_RENAME = 7,
    /// A message that was missed, or is older than this instance: into the stored log, then into the archive, and, if
    /// DELIVER, to the occupants with a delay. ROOM, NICK, STANZA_ID, ORIGIN, INCARNATION, SEQ, AT, TIME_MS, PAYLOAD, DELIVER;
    /// MESSAGE_ID, LANG and OCCUPANT_ID may be absent. If PAYLOAD is empty it was moderated: a tombstone, shown to nobody. Without
    /// NICK it is the room's own word that the message MODERATED is taken away (XEP-0425), by ACTOR, for REASON, both optional:
    /// that becomes a tombstone in the stored log and in the archive, and the occupants are told.
    DMUC_ACTION_ADD_MESSAGE = 8,
    /// Do what a peer's occupant asks, with the rights of ACTOR, and answer the IQ: from FROM, to TO, with the id
    /// IQ_ID. ROOM, ACTOR (the JID in whose name: in the room, or real), ACT, and, depending on that, NICK and ROLE; JID,
    /// AFFILIATION and RESERVED_NICK; FORM; RESERVED_NICK, which may be absent; VENUE and PASSWORD; MODERATED; JID (an
    /// invitation). REASON may be absent. With VOICE a role is the answer to a voice request: "visitor" refuses it, which is
    /// told with dmuc_engine_voice_answer. With INVITED an affiliation is what goes with an invitation: who may invite makes
    /// a member in a members-only room.
    DMUC_ACTION_PERFORM_ACT = 9,
    /// The outcome of dmuc_engine_act. ROOM, TOKEN; with an ERROR_TYPE, ERROR_CONDITION and ERROR_TEXT if it failed.
    DMUC_ACTION_ACT_ANSWERED = 10,
    /// The source was destroyed: destroy this shadow. Its remote occupants go with it, without a
    /// DMUC_ACTION_HIDE_OCCUPANT each. ROOM; REASON, VENUE, PASSWORD may be absent.
    DMUC_ACTION_DESTROY = 11,
    /// The source is an ordinary room again: tell the people here and invite them to it; the room stays as history that is
    /// closed to new messages. ROOM, SOURCE; REASON may be absent.
    DMUC_ACTION_CLOSE = 12,
    /// Something an owner or administrator should know. ROOM, PEER, NOTICE; SHADOW (replicated); ERROR_TYPE,
    /// ERROR_CONDITION, ERROR_TEXT (refused); CAUSE (unreachable, split_began); OCCUPANTS (split_began: the link to a
    /// service that holds an instance is down),
    /// DELIVER (split_began, and split_ended, when both sides agree again: whether the people in the room are told, in a line
    /// that goes into no history); MESSAGES (gap: messages of the peer's are lost here, nobody has kept them).
    DMUC_ACTION_NOTICE = 13,
    /// Store what dmuc_engine_snapshot gives for ROOM.
    DMUC_ACTION_STORE = 14,
    /// What was sent under the TOKEN of a dmuc_engine_private has reached its home: what is kept of it can go.
    DMUC_ACTION_PRIVATE_DONE = 15,
    /// It did not, as far as can be known: its sender gets this error. TOKEN, ERROR_TYPE, ERROR_CONDITION; ERROR_TEXT may be
    /// absent.
    DMUC_ACTION_PRIVATE_FAILED = 16,
    /// What somebody changed here while the source was out of reach does not hold: the source decided otherwise. The
    /// source's value has been applied already by the actions before; tell who made the change. ROOM, CHANGE, and, depending
    /// on that, JID and AFFILIATION, JID and RESERVED_NICK (absent if a registration was taken back), SUBJECT, VARIABLE, or
    /// MODERATED: what it was changed to. ACTOR and ACTOR_JID may be absent.
    DMUC_ACTION_OVERRIDDEN = 17,
    /// Nothing has been answered over the connection to the service PEER for too long: give it up, so that the next stanza
    /// opens a new one. TCP alone would take a quarter of an hour.
    DMUC_ACTION_RESET_LINK = 18,
    /// The stored log of ROOM has grown well beyond what is kept: drop the entries that were appended first until KEEP are
    /// left.
    DMUC_ACTION_TRIM_LOG = 19,
    /// Somebody here took the message MODERATED away while the source is out of reach: the occupants are told, and it is a
    /// tombstone in the archive. The stored log still has it. ROOM, MODERATED; ACTOR and REASON may be absent.
    DMUC_ACTION_HIDE_MESSAGE = 20,
    /// The source did not take the message STANZA_ID away, which was hidden here: it is back in the archive. ROOM, STANZA_ID.
    DMUC_ACTION_RESTORE_MESSAGE = 21,
    /// An occupant of another instance asks for voice: show it to the moderators here (XEP-0045 section 8.6). ROOM, NICK;
    /// JID is absent if this instance may not know it.
    DMUC_ACTION_SHOW_VOICE_REQUEST = 22,
    /// Send the invitation of the dmuc_engine_invite with this TOKEN from this instance. ROOM.
    DMUC_ACTION_SEND_INVITATION = 23,
    /// Tell who invited, the real JID TO, that the user JID declined. ROOM; REASON may be absent.
    DMUC_ACTION_DELIVER_DECLINE = 24,
    /// Give the user JID these HATS (XEP-0317), and no others: the source decided. ROOM, JID, HATS.
    DMUC_ACTION_APPLY_HATS = 25,
    /// The shadow ROOM is parked: its remote occupants are gone already, the people here are told why and cannot speak. What is
    /// stored of it stays, and so does its stored log. PEER, the service of its source; PARKED; DELIVER: whether there may be people in it, nobody is after a restart;
    /// SOURCE may be absent.
    DMUC_ACTION_PARK = 26,
    /// The parked shadow ROOM goes on: dmuc_engine_logged for each entry of its stored log, its occupants here, and
    /// dmuc_engine_started follow, as after dmuc_engine_restore.
    DMUC_ACTION_UNPARK = 27,
    /// The service PEER sends more than one peer may: read nothing of what comes from there for PAUSE_MS, the newest of these
    /// from when it is given. What is sent there goes out as always, and nothing that has come is dropped.
    DMUC_ACTION_SLOW_DOWN = 28,
    /// Somebody waits for what is in the stored log of ROOM, after dmuc_engine_started_reading: it is to be read before others
    /// are.
    DMUC_ACTION_READ_LOG = 29,
    /// The vCard of ROOM is VCARD now, or none if it is absent: keep it, and tell the people in the room (XEP-0486, status 104).
    DMUC_ACTION_APPLY_AVATAR = 30,
    /// The vCard of ROOM is needed: hand it over with dmuc_engine_picture, whether there is one or not.
    DMUC_ACTION_READ_AVATAR = 31,
    /// These messages of ROOM are needed, and not in memory: dmuc_engine_logged for each, and dmuc_engine_messages_read with TOKEN
    /// follow. STANZA_IDS. Given only of messages for which dmuc_engine_message_stored was called.
    DMUC_ACTION_READ_MESSAGES = 32,
    /// The source of ROOM is SOURCE from now on; ROOM itself, if this instance is the source now. It is named where the one
    /// before was, and the people in the room are told once.
    DMUC_ACTION_SOURCE_MOVED = 33,
    /// ROOM is here for whoever asks for it by one of ADDRESSES, of other instances that hold it by their own word. Given when
    /// they change: all of them each time, none when the room is not shared any more.
    DMUC_ACTION_SERVED = 34,
}

/// An action and its parts. Opaque.
#[derive(Debug)]
pub struct dmuc_action {
    kind: dmuc_action_type,
    fields: Fields,
    stanza: Option<CString>,
    codes: Vec<u16>,
}

impl dmuc_action {
    /// `None` for a stanza that cannot be addressed, and for a message that is not in the log any more.
    pub(super) fn new(engine: &Engine, action: Action) -> Option<dmuc_action> {
        if let Some(stanza) = action.stanza() {
            let (from, to) = addresses(&action)?;
            let fields = Fields::default()
                .set(F::DMUC_FIELD_FROM, &from)
                .set(F::DMUC_FIELD_TO, &to);
            return Some(dmuc_action {
                kind: dmuc_action_type::DMUC_ACTION_SEND,
                fields,
                stanza: Some(c_text(&stanza)),
                codes: Vec::new(),
            });
        }
        let codes = match &action {
            Action::HideOccupant { codes, .. } => codes.clone(),
            _ => Vec::new(),
        };
        let (kind, fields) = parts(engine, action)?;
        Some(dmuc_action {
            kind,
            fields,
            stanza: None,
            codes,
        })
    }
}

/// From where to where a stanza goes.
fn addresses(action: &Action) -> Option<(String, String)> {
    let in_room = |room: &BareJid, nick: Option<&str>| match nick {
        Some(nick) => format!("{room}/{nick}"),
        None => room.to_string(),
    };
    let (from, to, nick) = match action {
        Action::SendAnswer { from, to, .. } => return Some((from.to_string(), to.to_string())),
        Action::SendRequest { from, to, .. } => (from, to, None),
        Action::SendPresence(presence) => (&presence.room, &presence.to, Some(presence.nick.as_str())),
        Action::SendGroupchat { room, to, nick, .. } => (room, to, Some(nick.as_str())),
        Action::SendSubject { room, to, nick, .. } => (room, to, nick.as_deref()),
        Action::SendModeration { room, to, .. } => (room, to, None),
        _ => return None,
    };
    Some((in_room(from, nick), in_room(to, nick)))
}

#[allow(clippy::too_many_lines)] // a table: the fields of each action
fn parts(engine: &Engine, action: Action) -> Option<(dmuc_action_type, Fields)> {
    let fields = Fields::default();
    let room_fields = |room: &BareJid| Fields::default().jid(F::DMUC_FIELD_ROOM, room);
    Some(match action {
        Action::SendRequest { .. }
        | Action::SendAnswer { .. }
        | Action::SendPresence(_)
        | Action::SendGroupchat { .. }
        | Action::SendSubject { .. }
        | Action::SendModeration { .. } => return None,
        Action::Apply { room, shown } => shown_fields(room_fields(&room), &shown),
        Action::ShowOccupant(occupant) => (
            dmuc_action_type::DMUC_ACTION_SHOW_OCCUPANT,
            occupant_fields(fields, &occupant),
        ),
        Action::HideOccupant {
            room,
            home,
            nick,
            new_nick,
            actor,
            reason,
            codes: _,
        } => (
            dmuc_action_type::DMUC_ACTION_HIDE_OCCUPANT,
            room_fields(&room)
                .jid(F::DMUC_FIELD_HOME, &home)
                .set(F::DMUC_FIELD_NICK, &nick)
                .some(F::DMUC_FIELD_NEW_NICK, new_nick.as_deref())
                .some(F::DMUC_FIELD_ACTOR, actor.as_deref())
                .some(F::DMUC_FIELD_REASON, reason.as_deref()),
        ),
        Action::Rename { room, nick, new_nick } => (
            dmuc_action_type::DMUC_ACTION_RENAME,
            room_fields(&room)
                .set(F::DMUC_FIELD_NICK, &nick)
                .set(F::DMUC_FIELD_NEW_NICK, &new_nick),
        ),
        Action::AddMessage { room, id, deliver } => {
            let entry = engine.message(&room, &id)?;
            (
                dmuc_action_type::DMUC_ACTION_ADD_MESSAGE,
                room_fields(&room)
                    .place(&entry.id, entry.key.incarnation, entry.key.seq, entry.key.at)
                    .jid(F::DMUC_FIELD_ORIGIN, &entry.key.origin)
                    .some(
                        F::DMUC_FIELD_NICK,
                        Some(entry.nick.as_str()).filter(|nick| !nick.is_empty()),
                    )
                    .moderation(entry.moderation().as_ref())
                    .some(F::DMUC_FIELD_MESSAGE_ID, entry.message_id.as_deref())
                    .some(F::DMUC_FIELD_LANG, entry.lang.as_deref())
                    .some(F::DMUC_FIELD_OCCUPANT_ID, entry.occupant_id.as_deref())
                    .number(F::DMUC_FIELD_TIME_MS, entry.key.at.wall_ms)
                    .set(F::DMUC_FIELD_PAYLOAD, &entry.payload)
                    .number(F::DMUC_FIELD_DELIVER, u64::from(deliver)),
            )
        }
        Action::PerformAct {
            room,
            actor,
            act,
            to,
            from,
            id,
        } => (
            dmuc_action_type::DMUC_ACTION_PERFORM_ACT,
            act_fields(room_fields(&room), &act)
                .set(F::DMUC_FIELD_ACTOR, actor.as_str())
                .set(F::DMUC_FIELD_FROM, from.as_str())
                .set(F::DMUC_FIELD_TO, to.as_str())
                .set(F::DMUC_FIELD_IQ_ID, &id),
        ),
        Action::ShowVoiceRequest { room, nick, jid } => (
            dmuc_action_type::DMUC_ACTION_SHOW_VOICE_REQUEST,
            room_fields(&room)
                .set(F::DMUC_FIELD_NICK, &nick)
                .some(F::DMUC_FIELD_JID, jid.as_ref().map(Jid::as_str)),
        ),
        Action::SendInvitation { room, token } => (
            dmuc_action_type::DMUC_ACTION_SEND_INVITATION,
            room_fields(&room).number(F::DMUC_FIELD_TOKEN, token),
        ),
        Action::DeliverDecline {
            room,
            to,
            invitee,
            reason,
        } => (
            dmuc_action_type::DMUC_ACTION_DELIVER_DECLINE,
            room_fields(&room)
                .set(F::DMUC_FIELD_TO, to.as_str())
                .set(F::DMUC_FIELD_JID, invitee.as_str())
                .some(F::DMUC_FIELD_REASON, reason.as_deref()),
        ),
        Action::ActAnswered { room, token, error } => {
            let fields = room_fields(&room).number(F::DMUC_FIELD_TOKEN, token);
            let fields = match &error {
                Some(error) => fields.error(error),
                None => fields,
            };
            (dmuc_action_type::DMUC_ACTION_ACT_ANSWERED, fields)
        }
        Action::Destroy {
            room,
            reason,
            venue,
            password,
        } => (
            dmuc_action_type::DMUC_ACTION_DESTROY,
            room_fields(&room)
                .some(F::DMUC_FIELD_REASON, reason.as_deref())
                .some(F::DMUC_FIELD_VENUE, venue.as_ref().map(|venue| venue.as_str()))
                .some(F::DMUC_FIELD_PASSWORD, password.as_deref()),
        ),
        Action::Close { room, source, reason } => (
            dmuc_action_type::DMUC_ACTION_CLOSE,
            room_fields(&room)
                .jid(F::DMUC_FIELD_SOURCE, &source)
                .some(F::DMUC_FIELD_REASON, reason.as_deref()),
        ),
        Action::Park { parked, has_people } => (
            dmuc_action_type::DMUC_ACTION_PARK,
            room_fields(&parked.room)
                .jid(F::DMUC_FIELD_PEER, &parked.peer)
                .some(
                    F::DMUC_FIELD_SOURCE,
                    parked.source.as_ref().map(|source| source.as_str()),
                )
                .set(F::DMUC_FIELD_PARKED, parked.reason.as_str())
                .number(F::DMUC_FIELD_DELIVER, has_people.into()),
        ),
        Action::ReadAvatar { room } => (dmuc_action_type::DMUC_ACTION_READ_AVATAR, room_fields(&room)),
        Action::SourceMoved { room, source, .. } => (
            dmuc_action_type::DMUC_ACTION_SOURCE_MOVED,
            room_fields(&room).jid(F::DMUC_FIELD_SOURCE, &source),
        ),
        Action::Served { room, addresses } => {
            let addresses: Vec<&str> = addresses.iter().map(|address| address.as_str()).collect();
            (
                dmuc_action_type::DMUC_ACTION_SERVED,
                room_fields(&room).set(F::DMUC_FIELD_ADDRESSES, &addresses.join("\n")),
            )
        }
        Action::ReadLog { room } => (dmuc_action_type::DMUC_ACTION_READ_LOG, room_fields(&room)),
        Action::ReadMessages { room, token, ids } => (
            dmuc_action_type::DMUC_ACTION_READ_MESSAGES,
            room_fields(&room)
                .number(F::DMUC_FIELD_TOKEN, token)
                .set(F::DMUC_FIELD_STANZA_IDS, &ids.join("\n")),
        ),
        Action::Unpark { room } => (dmuc_action_type::DMUC_ACTION_UNPARK, room_fields(&room)),
        Action::Notice { room, peer, notice } => {
            let line = words::of_notice(engine, &room, &peer, &notice);
            let is_told = line.everybody.is_some() && !engine.local_nicks(&room).is_empty();
            let fields = room_fields(&room).jid(F::DMUC_FIELD_PEER, &peer);
            (
                dmuc_action_type::DMUC_ACTION_NOTICE,
                notice_fields(fields, &notice, is_told),
            )
        }
        Action::Store { room } => (dmuc_action_type::DMUC_ACTION_STORE, room_fields(&room)),
        Action::PrivateDone { token } => (
            dmuc_action_type::DMUC_ACTION_PRIVATE_DONE,
            fields.number(F::DMUC_FIELD_TOKEN, token),
        ),
        Action::PrivateFailed { token, error } => (
            dmuc_action_type::DMUC_ACTION_PRIVATE_FAILED,
            fields.number(F::DMUC_FIELD_TOKEN, token).error(&error),
        ),
        Action::Overridden {
            room,
            actor_nick,
            actor_jid,
            ruling,
            is_registration,
        } => (
            dmuc_action_type::DMUC_ACTION_OVERRIDDEN,
            change_fields(room_fields(&room), &ruling, is_registration)
                .some(F::DMUC_FIELD_ACTOR, actor_nick.as_deref())
                .some(
                    F::DMUC_FIELD_ACTOR_JID,
                    actor_jid.as_ref().map(|jid| jid.as_str()),
                ),
        ),
        Action::ResetLink { service } => (
            dmuc_action_type::DMUC_ACTION_RESET_LINK,
            fields.jid(F::DMUC_FIELD_PEER, &service),
        ),
        Action::SlowDown { service, pause_ms } => (
            dmuc_action_type::DMUC_ACTION_SLOW_DOWN,
            fields
                .jid(F::DMUC_FIELD_PEER, &service)
                .number(F::DMUC_FIELD_PAUSE_MS, pause_ms),
        ),
        Action::TrimLog { room, keep } => (
            dmuc_action_type::DMUC_ACTION_TRIM_LOG,
            room_fields(&room).number(F::DMUC_FIELD_KEEP, keep as u64),
        ),
    })
}

fn occupant_fields(fields: Fields, occupant: &RemoteOccupant) -> Fields {
    fields
        .jid(F::DMUC_FIELD_ROOM, &occupant.room)
        .jid(F::DMUC_FIELD_HOME, &occupant.home)
        .set(F::DMUC_FIELD_NICK, &occupant.nick)
        .some(F::DMUC_FIELD_JID, occupant.jid.as_ref().map(Jid::as_str))
        .set(F::DMUC_FIELD_AFFILIATION, occupant.affiliation.as_str())
        .set(F::DMUC_FIELD_ROLE, occupant.role.as_str())
        .some(F::DMUC_FIELD_OCCUPANT_ID, occupant.occupant_id.as_deref())
        .set(
            F::DMUC_FIELD_PAYLOAD,
            occupant.payload.as_deref().unwrap_or_default(),
        )
}

fn act_fields(fields: Fields, act: &Act) -> Fields {
    let kind = |fields: Fields, kind: dmuc_act_type| fields.number(F::DMUC_FIELD_ACT, u64::from(kind as u32));
    let fields = fields.some(F::DMUC_FIELD_REASON, act.reason.as_deref());
    match &act.kind {
        ActKind::Role {
            nick, role, request, ..
        } => kind(fields, dmuc_act_type::DMUC_ACT_ROLE)
            .set(F::DMUC_FIELD_NICK, nick)
            .set(F::DMUC_FIELD_ROLE, role.as_str())
            .number(F::DMUC_FIELD_VOICE, u64::from(request.is_some())),
        ActKind::Affiliation {
            jid,
            affiliation,
            nick,
            is_invited,
            ..
        } => kind(fields, dmuc_act_type::DMUC_ACT_AFFILIATION)
            .number(F::DMUC_FIELD_INVITED, u64::from(*is_invited))
            .jid(F::DMUC_FIELD_JID, jid)
            .set(F::DMUC_FIELD_AFFILIATION, affiliation.as_str())
            .some(F::DMUC_FIELD_RESERVED_NICK, nick.as_deref()),
        ActKind::Invite { jid } => {
            kind(fields, dmuc_act_type::DMUC_ACT_INVITE).set(F::DMUC_FIELD_JID, jid.as_str())
        }
        // The engine sees to these itself.
        ActKind::Voice { .. } | ActKind::Decline { .. } | ActKind::Avatar { .. } | ActKind::Steer { .. } => {
            fields
        }
        ActKind::Config { form, .. } => {
            kind(fields, dmuc_act_type::DMUC_ACT_SETTINGS).set(F::DMUC_FIELD_FORM, &form.to_xml())
        }
        ActKind::Subject { text, .. } => {
            kind(fields, dmuc_act_type::DMUC_ACT_SUBJECT).set(F::DMUC_FIELD_SUBJECT, text)
        }
        ActKind::Moderate { id } => {
            kind(fields, dmuc_act_type::DMUC_ACT_MODERATE).set(F::DMUC_FIELD_MODERATED, id)
        }
        ActKind::Register { nick, .. } => {
            kind(fields, dmuc_act_type::DMUC_ACT_REGISTER).some(F::DMUC_FIELD_RESERVED_NICK, nick.as_deref())
        }
        ActKind::Destroy { venue, password } => kind(fields, dmuc_act_type::DMUC_ACT_DESTROY)
            .some(F::DMUC_FIELD_VENUE, venue.as_ref().map(|venue| venue.as_str()))
            .some(F::DMUC_FIELD_PASSWORD, password.as_deref()),
    }
}

/// What the host is to show.
fn shown_fields(fields: Fields, shown: &Shown) -> (dmuc_action_type, Fields) {
    match shown {
        Shown::Settings { source, form, salt } => (
            dmuc_action_type::DMUC_ACTION_APPLY_SETTINGS,
            fields
                .jid(F::DMUC_FIELD_SOURCE, source)
                .set(F::DMUC_FIELD_FORM, &form.to_xml())
                .some(F::DMUC_FIELD_SALT, salt.as_deref()),
        ),
        Shown::Listed {
            listing: Listing { jid, entry },
            actor,
            reason,
        } => (
            dmuc_action_type::DMUC_ACTION_APPLY_AFFILIATION,
            fields
                .jid(F::DMUC_FIELD_JID, jid)
                .set(F::DMUC_FIELD_AFFILIATION, entry.affiliation.as_str())
                .some(F::DMUC_FIELD_RESERVED_NICK, entry.nick.as_deref())
                .some(F::DMUC_FIELD_REASON, reason.as_deref())
                .some(F::DMUC_FIELD_ACTOR, actor.as_deref()),
        ),
        Shown::Subject(subject) => {
            let subject = subject.as_ref();
            let nick = subject.and_then(|subject| subject.nick.as_deref());
            (
                dmuc_action_type::DMUC_ACTION_APPLY_SUBJECT,
                fields
                    .some(F::DMUC_FIELD_NICK, nick)
                    .set(F::DMUC_FIELD_SUBJECT, subject.map_or("", |subject| &subject.text)),
            )
        }
        Shown::Moderated(Moderated { id, moderation }) => match moderation {
            Some(moderation) => (
                dmuc_action_type::DMUC_ACTION_HIDE_MESSAGE,
                fields.moderation(Some(moderation)),
            ),
            None => (
                dmuc_action_type::DMUC_ACTION_RESTORE_MESSAGE,
                fields.set(F::DMUC_FIELD_STANZA_ID, id),
            ),
        },
        Shown::Avatar(vcard) => (
            dmuc_action_type::DMUC_ACTION_APPLY_AVATAR,
            fields.some(F::DMUC_FIELD_VCARD, vcard.as_deref()),
        ),
        Shown::Hats(Hatted { jid, hats }) => (
            dmuc_action_type::DMUC_ACTION_APPLY_HATS,
            fields
                .jid(F::DMUC_FIELD_JID, jid)
                .set(F::DMUC_FIELD_HATS, &hats.to_xml()),
        ),
    }
}

fn change_fields(fields: Fields, ruling: &Ruling, is_registration: bool) -> Fields {
    let named = |name: &str| fields.set(F::DMUC_FIELD_CHANGE, name);
    match ruling {
        Ruling::Listed(Listing { jid, entry }) if is_registration => named("registration")
            .jid(F::DMUC_FIELD_JID, jid)
            .some(F::DMUC_FIELD_RESERVED_NICK, entry.nick.as_deref()),
        Ruling::Listed(Listing { jid, entry }) => named("affiliation")
            .jid(F::DMUC_FIELD_JID, jid)
            .set(F::DMUC_FIELD_AFFILIATION, entry.affiliation.as_str()),
        Ruling::Subject(subject) => {
            let text = subject.as_ref().map_or("", |subject| &subject.text);
            named("subject").set(F::DMUC_FIELD_SUBJECT, text)
        }
        Ruling::Moderated(moderated) => named("moderation").set(F::DMUC_FIELD_MODERATED, &moderated.id),
        Ruling::Form(form) => named("field").some(
            F::DMUC_FIELD_VARIABLE,
            form.fields.first().map(|field| field.var.as_str()),
        ),
        Ruling::Avatar(_) => named("avatar"),
        Ruling::Hats(hatted) => named("hats").jid(F::DMUC_FIELD_JID, &hatted.jid),
    }
}

fn notice_fields(fields: Fields, notice: &Notice, is_told: bool) -> Fields {
    let named = |name: &str| fields.set(F::DMUC_FIELD_NOTICE, name);
    let is_told = u64::from(is_told);
    match notice {
        Notice::Replicated { shadow } => named("replicated").jid(F::DMUC_FIELD_SHADOW, shadow),
        Notice::Unsupported => named("unsupported"),
        Notice::Refused(error) => named("refused").error(error),
        Notice::Unreachable { cause } => named("unreachable").set(F::DMUC_FIELD_CAUSE, cause.as_str()),
        Notice::SplitBegan { occupants, cause } => named("split_began")
            .set(F::DMUC_FIELD_CAUSE, cause.as_str())
            .number(F::DMUC_FIELD_OCCUPANTS, *occupants as u64)
            .number(F::DMUC_FIELD_DELIVER, is_told),
        Notice::SplitEnded => named("split_ended").number(F::DMUC_FIELD_DELIVER, is_told),
        Notice::Gap { messages } => named("gap").number(F::DMUC_FIELD_MESSAGES, *messages),
        Notice::SetAside { id } => named("set_aside").set(F::DMUC_FIELD_STANZA_ID, id),
        Notice::Differs { origin } => named("differs").jid(F::DMUC_FIELD_SHADOW, origin),
        Notice::Unfit { what } => named("unfit").set(F::DMUC_FIELD_REASON, what),
        Notice::ClockDiffers { ahead_ms } => {
            let name = if *ahead_ms > 0 {
                "clock_ahead"
            } else {
                "clock_behind"
            };
            named(name).number(F::DMUC_FIELD_DIFFERENCE_MS, ahead_ms.unsigned_abs())
        }
        Notice::TakesLess { theirs, ours } => named("takes_less")
            .number(F::DMUC_FIELD_TAKES, *theirs)
            .number(F::DMUC_FIELD_TAKES_HERE, *ours),
        Notice::TooManyPeerhosts => named("too_many_peerhosts"),
        Notice::NotNamed => named("not_named"),
    }
}

/// Which action it is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_action_kind(action: *const dmuc_action) -> dmuc_action_type {
    guard_or(dmuc_action_type::DMUC_ACTION_NONE, || {
        // SAFETY: the caller keeps the conventions.
        let action = unsafe { reference(action) }.ok()?;
        Some(action.kind)
    })
}

/// The complete stanza that DMUC_ACTION_SEND sends, of jabber:client; NULL for other actions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_action_stanza(action: *const dmuc_action) -> *const c_char {
    guard_or(ptr::null(), || {
        // SAFETY: the caller keeps the conventions.
        let action = unsafe { reference(action) }.ok()?;
        action.stanza.as_ref().map(|stanza| stanza.as_ptr())
    })
}

/// A part that is text, or NULL if it is absent. `field` is a dmuc_field.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_action_text(action: *const dmuc_action, field: u32) -> *const c_char {
    guard_or(ptr::null(), || {
        // SAFETY: the caller keeps the conventions.
        let action = unsafe { reference(action) }.ok()?;
        Some(action.fields.text(field))
    })
}

/// A part that is a number, or 0 if it is absent. `field` is a dmuc_field.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_action_number(action: *const dmuc_action, field: u32) -> u64 {
    guard_or(0, || {
        // SAFETY: the caller keeps the conventions.
        let action = unsafe { reference(action) }.ok()?;
        Some(action.fields.value(field))
    })
}

/// A status code (XEP-0045 section 15.6), by its index from 0; 0 after the last one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_action_code(action: *const dmuc_action, index: usize) -> u16 {
    guard_or(0, || {
        // SAFETY: the caller keeps the conventions.
        let action = unsafe { reference(action) }.ok()?;
        action.codes.get(index).copied()
    })
}

/// Frees an action.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_action_free(action: *mut dmuc_action) {
    // SAFETY: the caller keeps the conventions.
    unsafe { release(action) }
}
