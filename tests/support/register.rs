//! Registration with a room (XEP-0045 section 7.10): a nick that is nobody else's.

use dmuc::address::BareJid;
use dmuc::wire::{Act, ActKind, Affiliation, Condition};

use super::event::{Asked, What};
use super::host::Host;
use super::moderate::Wish;
use super::room::{HostRoom, Listed};

impl Host {
    /// Somebody, in the room or not, registers a nick there, or takes the registration back.
    pub fn register(
        &mut self,
        room: &BareJid,
        user: &BareJid,
        nick: Option<&str>,
    ) -> Result<Wish, Condition> {
        let in_room = self.room(room).locals();
        let actor_nick = in_room
            .filter(|(_, local)| local.jid.to_bare() == *user)
            .map(|(nick, _)| nick.clone())
            .next();
        if self.room(room).is_shadow() {
            let nick = nick.map(str::to_owned);
            let act = Act {
                actor_nick: actor_nick.clone(),
                actor_jid: Some(user.clone()),
                kind: ActKind::Register {
                    nick: nick.clone(),
                    was: None,
                },
                reason: None,
            };
            let wish = self.ask_act(room, act, Asked::Registration(user.clone(), nick));
            if let Some(wish) = wish {
                return Ok(wish);
            }
        }
        let entry = registered(self.room(room), user, nick)?;
        if self.room(room).is_shadow() {
            self.tried(room, user, What::Affiliation(user.clone()), entry.as_text());
        }
        self.decide_affiliation(room, user, &entry, None, (actor_nick.as_deref(), Some(user)));
        self.drain();
        Ok(Wish::Done)
    }
}

/// The entry of the list that it makes, as Prosody decides it without `allow_unaffiliated_register`.
pub fn registered(room: &HostRoom, user: &BareJid, nick: Option<&str>) -> Result<Listed, Condition> {
    let affiliation = room.affiliation_of(user);
    match affiliation {
        Affiliation::Outcast => return Err(Condition::Forbidden),
        Affiliation::None => return Err(Condition::RegistrationRequired),
        _ => {}
    }
    let Some(nick) = nick else {
        let affiliation = match affiliation {
            Affiliation::Member => Affiliation::None,
            other => other,
        };
        return Ok(Listed {
            affiliation,
            nick: None,
        });
    };
    let is_reserved = room.nick_owner(nick).is_some_and(|owner| owner != user);
    let is_own = room.local(nick).is_some_and(|local| local.jid.to_bare() == *user);
    if is_reserved || !is_own && !room.may_take(nick, user) {
        return Err(Condition::Conflict);
    }
    Ok(Listed {
        affiliation,
        nick: Some(nick.to_owned()),
    })
}
