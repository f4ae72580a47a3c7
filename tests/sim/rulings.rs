//! What only the source decides: whose a nick is, which message is taken away, and which avatar the room has.

use dmuc::address::BareJid;
use dmuc::wire::{Affiliation, Role};

use crate::deeds::NICKS;
use crate::support::avatar::vcard;
use crate::support::dice::Dice;
use crate::support::host::Host;
use crate::support::names::service_of;
use crate::world::World;

/// So few nicks are registered that two people often want one.
const WANTED: usize = 5;
/// Of so many of the latest messages one is taken away.
const LATEST: usize = 8;

impl World {
    /// A distributed room and an instance of it that runs the engine.
    fn ruled_room(&mut self, dice: &mut Dice) -> Option<(usize, BareJid)> {
        let alive = self.groups_where(|group| group.is_distributed && !group.has_ended);
        let number = dice.pick(&alive).copied()?;
        let mut instances = self.instances(&self.groups[number]);
        instances.retain(|room| !self.is_xep(room));
        let room = dice.pick(&instances).cloned()?;
        self.checkers.map(&room, number);
        Some((number, room))
    }

    /// The source's owner gives somebody who is at this instance an affiliation.
    fn promote(&mut self, number: usize, room: &BareJid, affiliation: Affiliation, dice: &mut Dice) {
        let source = self.groups[number].source.clone();
        let locals = self.host(room).room(room).locals();
        let plain = locals.filter(|(_, local)| local.affiliation < affiliation);
        let users: Vec<BareJid> = plain.map(|(_, local)| local.jid.to_bare()).collect();
        let owners = self.host(&source).room(&source).locals();
        let mut owners = owners.filter(|(_, local)| local.affiliation == Affiliation::Owner);
        let owner = owners.next().map(|(nick, _)| nick.clone());
        drop(owners);
        if let (Some(user), Some(owner)) = (dice.pick(&users), owner) {
            self.checkers.govern(number);
            self.checkers.loosen(number);
            self.fed.at(&service_of(&source), |host| {
                drop(host.affiliate(&source, &owner, user, affiliation, None));
            });
        }
    }

    /// Somebody, mostly who may, registers a nick at the own service's instance.
    pub fn register(&mut self, dice: &mut Dice) {
        let Some((number, room)) = self.ruled_room(dice) else {
            return;
        };
        let domain = self.domain_of(&room).unwrap_or_default();
        let host_room = self.host(&room).room(&room);
        let mut people: Vec<BareJid> = host_room
            .affiliations
            .iter()
            .filter(|(user, entry)| user.domain() == domain && entry.affiliation > Affiliation::None)
            .map(|(user, _)| user.clone())
            .collect();
        if people.is_empty() && dice.chance(75) {
            return self.promote(number, &room, Affiliation::Member, dice);
        }
        if people.is_empty() || dice.chance(15) {
            people.extend(host_room.locals().map(|(_, local)| local.jid.to_bare()));
        }
        let Some(user) = dice.pick(&people).cloned() else {
            return;
        };
        let nick = dice
            .chance(80)
            .then(|| dice.pick(&NICKS[..WANTED]).copied())
            .flatten();
        self.want_nick(number, &room, &user, nick);
    }

    fn want_nick(&mut self, number: usize, room: &BareJid, user: &BareJid, nick: Option<&str>) {
        // Taking it back may end a membership.
        self.checkers.govern(number);
        self.checkers.loosen(number);
        self.tell(format!("{user} registers {nick:?} at {room}"));
        self.fed.at(&service_of(room), |host| {
            // What the room denies is said at once, and nothing has changed.
            drop(host.register(room, user, nick));
        });
    }

    /// A moderator takes one of the latest messages away.
    pub fn moderate(&mut self, dice: &mut Dice) {
        let Some((number, room)) = self.ruled_room(dice) else {
            return;
        };
        if moderator(self.host(&room), &room).is_none() && dice.chance(40) {
            return self.promote(number, &room, Affiliation::Admin, dice);
        }
        // Where there is a moderator, then.
        let mut instances = self.instances(&self.groups[number]);
        instances.retain(|room| !self.is_xep(room) && moderator(self.host(room), room).is_some());
        let room = match instances.contains(&room) {
            true => room,
            false => match dice.pick(&instances) {
                Some(other) => other.clone(),
                None => return,
            },
        };
        let messages = self.host(&room).shown_of(&room).count();
        let back = dice.below(messages.min(LATEST) as u64) as usize;
        self.take_away(&room, back);
    }

    fn take_away(&mut self, room: &BareJid, back: usize) {
        let host = self.host(room);
        let moderator = moderator(host, room);
        let messages = host.shown_of(room).rev();
        let id = messages
            .filter(|entry| !entry.nick.is_empty())
            .nth(back)
            .map(|entry| entry.id.clone());
        let (Some(nick), Some(id)) = (moderator, id) else {
            return;
        };
        self.tell(format!("{nick} takes {id} away at {room}"));
        self.fed.at(&service_of(room), |host| {
            drop(host.take_away(room, &nick, &id, None));
        });
    }

    /// An owner sets the avatar, or removes it.
    pub fn picture(&mut self, dice: &mut Dice) {
        let Some((number, room)) = self.ruled_room(dice) else {
            return;
        };
        if owner(self.host(&room), &room).is_none() && dice.chance(40) {
            return self.promote(number, &room, Affiliation::Owner, dice);
        }
        // Mostly small, sometimes of many parts.
        let bytes = *dice.pick(&[0, 400, 400, 4_000, 60_000]).unwrap_or(&400);
        self.set_avatar(&room, bytes);
    }

    fn set_avatar(&mut self, room: &BareJid, bytes: usize) {
        let Some(nick) = owner(self.host(room), room) else {
            return;
        };
        self.count += 1;
        let vcard = vcard(&format!("avatar {}", self.count), bytes);
        self.tell(format!(
            "{nick} sets an avatar of {} bytes at {room}",
            vcard.len()
        ));
        self.fed.at(&service_of(room), |host| {
            drop(host.set_avatar(room, &nick, &vcard));
        });
    }

    /// One side of a duel about what is ruled here.
    pub fn rule(&mut self, room: &BareJid, what: u64, victim: &BareJid) {
        match what {
            0 => {}
            1 => return self.take_away(room, 0),
            _ => return self.set_avatar(room, victim.as_str().len() * 1_000),
        }
        let Some(number) = self.groups.iter().position(|group| {
            let info = self.host(room).engine.room_info(room);
            info.is_some_and(|info| info.source.as_ref() == Some(&group.source))
        }) else {
            return;
        };
        let Some(user) = member(self.host(room), room) else {
            return;
        };
        let nick = NICKS[victim.as_str().bytes().map(usize::from).sum::<usize>() % WANTED];
        self.want_nick(number, room, &user, Some(nick));
    }
}

fn owner(host: &Host, room: &BareJid) -> Option<String> {
    let mut locals = host.rooms.get(room)?.locals();
    let owner = locals.find(|(_, local)| local.affiliation == Affiliation::Owner);
    owner.map(|(nick, _)| nick.clone())
}

fn moderator(host: &Host, room: &BareJid) -> Option<String> {
    let mut locals = host.rooms.get(room)?.locals();
    let moderator = locals.find(|(_, local)| local.role == Role::Moderator);
    moderator.map(|(nick, _)| nick.clone())
}

fn member(host: &Host, room: &BareJid) -> Option<BareJid> {
    let mut locals = host.rooms.get(room)?.locals();
    let member = locals.find(|(_, local)| local.affiliation > Affiliation::None);
    member.map(|(_, local)| local.jid.to_bare())
}
