//! Actions as stanzas, for hosts that send XML.

use crate::address::{BareJid, Jid};

use super::action::{Action, SendPresence};
use crate::wire::{
    Iq, IqBody, IqKind, Message, MessageKind, MucItem, OccupantStamp, Presence, PresenceKind, escaped,
    write_groupchat, write_iq, write_message, write_presence,
};

/// The stanza an action sends; `None` if it sends none.
#[allow(clippy::too_many_lines)] // a table: what each action is as a stanza
pub(super) fn write(action: &Action) -> Option<String> {
    match action {
        Action::SendRequest {
            from,
            to,
            id,
            request,
        } => {
            let body = match request.iq_kind() {
                IqKind::Get => IqBody::Get(request.to_xml()),
                IqKind::Set => IqBody::Set(request.to_xml()),
            };
            Some(write_iq(&Iq {
                from: from.clone().into(),
                to: to.clone().into(),
                id: id.clone(),
                body,
            }))
        }
        Action::SendAnswer { from, to, id, answer } => {
            let body = match answer.as_ref() {
                Ok(response) => IqBody::Result(response.to_xml()),
                Err(error) => IqBody::Error(error.clone()),
            };
            Some(write_iq(&Iq {
                from: from.clone(),
                to: to.clone(),
                id: id.clone(),
                body,
            }))
        }
        Action::SendPresence(presence) => presence_stanza(presence),
        Action::SendGroupchat {
            room,
            to,
            nick,
            message_id,
            lang,
            event,
            payload,
            ..
        } => {
            let (from, to) = (in_room(room, Some(nick))?, in_room(to, Some(nick))?);
            Some(write_groupchat(
                &from,
                &to,
                (message_id.as_deref(), lang.as_deref()),
                payload,
                event.as_ref(),
            ))
        }
        Action::SendModeration {
            room,
            to,
            event,
            moderation,
        } => Some(write_message(&Message {
            from: in_room(room, None)?,
            to: in_room(to, None)?,
            kind: MessageKind::Groupchat,
            id: None,
            lang: None,
            event: Some(event.clone()),
            settings: None,
            moderation: Some(moderation.as_ref().clone()),
            payload: String::new(),
        })),
        Action::SendSubject {
            room,
            to,
            nick,
            text,
            version,
        } => Some(write_message(&Message {
            from: in_room(room, nick.as_deref())?,
            to: in_room(to, nick.as_deref())?,
            kind: MessageKind::Groupchat,
            id: None,
            lang: None,
            event: None,
            settings: *version,
            moderation: None,
            payload: format!("<subject>{}</subject>", escaped(text)),
        })),
        _ => None,
    }
}

fn presence_stanza(presence: &SendPresence) -> Option<String> {
    Some(write_presence(&Presence {
        from: in_room(&presence.room, Some(&presence.nick))?,
        to: in_room(&presence.to, Some(&presence.nick))?,
        kind: if presence.available {
            PresenceKind::Available
        } else {
            PresenceKind::Unavailable
        },
        item: Some(MucItem {
            affiliation: presence.affiliation,
            role: presence.role,
            jid: presence.jid.clone(),
            nick: presence.new_nick.clone(),
            reason: presence.reason.clone(),
            actor: presence.actor.clone(),
        }),
        statuses: presence.codes.clone(),
        stamp: presence.serial.map(|serial| OccupantStamp {
            occupant_id: presence.occupant_id.clone(),
            serial,
            version: presence.version,
        }),
        payload: presence.payload.to_string(),
    }))
}

fn in_room(room: &BareJid, nick: Option<&str>) -> Option<Jid> {
    match nick {
        Some(nick) => room.with_resource(nick).ok().map(Jid::from),
        None => Some(room.clone().into()),
    }
}
