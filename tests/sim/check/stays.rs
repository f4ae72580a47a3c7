//! G8: nobody is removed by a network. And nobody who stayed at home all along leaves and joins in the eyes of others.

use std::collections::{BTreeMap, BTreeSet};

use dmuc::address::BareJid;
use dmuc::engine::Notice;

use crate::support::event::{Cause, Event, Seen, Turn};
use crate::support::names::service_of;

/// One stay of one occupant.
type Stay = (BareJid, u64);
/// A nick in a room, and the occupant-id of a person who has it.
type Holder = (usize, String, String);

#[derive(Debug, Default)]
pub struct Stays {
    /// Who is in which room under which nick.
    here: BTreeMap<Stay, (usize, String)>,
    /// The occupant-id of each stay, as its own client was shown it.
    ids: BTreeMap<Stay, String>,
    /// Whose presence a stay was shown last under a nick, by occupant-id.
    shown: BTreeMap<(Stay, String), String>,
    /// Whom a stay saw leave, by nick, who did not leave.
    gone: BTreeMap<(Stay, String), Gone>,
    /// How often a person has taken a nick since everything was at rest. Occupants of services of the XEP's text have no
    /// occupant-id: for all of them together it is the empty one.
    taken: BTreeMap<Holder, usize>,
    /// Who lost sight of which service since everything was at rest.
    split: BTreeSet<(BareJid, BareJid)>,
    ended: BTreeSet<usize>,
    /// Rooms whose source has lost what it knew since everything was at rest, and with it who the shadows are.
    beheaded: BTreeSet<usize>,
    /// Rooms in which somebody has given roles, or changed lists or settings.
    kicked: BTreeSet<usize>,
    governed: BTreeSet<usize>,
    /// One of the peers lies: it may show somebody of its own under anybody's nick, with any occupant-id, for a while.
    pub has_liars: bool,
    /// Occupants that are out of reach are shown as gone.
    pub may_leave: bool,
}

/// Somebody who was seen to leave and is there.
#[derive(Debug)]
struct Gone {
    id: String,
    stay: Stay,
    /// Somebody else with a right to the nick has been shown under it since.
    has_lost_it: bool,
}

const REMOVALS: [u16; 5] = [301, 307, 321, 322, 332];

impl Stays {
    pub fn event(
        &mut self,
        event: &Event,
        group: &impl Fn(&BareJid) -> Option<usize>,
        xep: &BTreeSet<BareJid>,
    ) -> Result<(), String> {
        match event {
            Event::Joined { room, nick, session } => {
                if let Some(number) = group(room) {
                    self.take(number, (room.clone(), *session), nick, xep);
                }
            }
            Event::Renamed { room, session, nick } => {
                let Some((number, _)) = self.here.remove(&(room.clone(), *session)) else {
                    return Err(format!(
                        "G8: stay {session} at {room} is renamed and was not there"
                    ));
                };
                self.take(number, (room.clone(), *session), nick, xep);
            }
            Event::Left {
                room,
                session,
                nick,
                cause,
            } => {
                let stay = (room.clone(), *session);
                let Some((number, _)) = self.here.remove(&stay) else {
                    return Ok(());
                };
                self.forget(&stay);
                return self.left(number, room, nick, cause);
            }
            Event::Turned {
                room,
                turn: Turn::Down,
            } => {
                let stays: Vec<Stay> = self.here.keys().filter(|(at, _)| at == room).cloned().collect();
                for stay in stays {
                    self.here.remove(&stay);
                    self.forget(&stay);
                }
            }
            Event::Noticed {
                room,
                peer,
                notice: Notice::SplitBegan { .. },
            } => drop(self.split.insert((room.clone(), peer.clone()))),
            Event::Saw { room, session, seen } if !xep.contains(&service_of(room)) => {
                return self.saw((room.clone(), *session), seen, xep);
            }
            _ => {}
        }
        Ok(())
    }

    fn take(&mut self, number: usize, stay: Stay, nick: &str, xep: &BTreeSet<BareJid>) {
        if xep.contains(&service_of(&stay.0)) {
            self.ids.insert(stay.clone(), String::new());
        }
        if let Some(id) = self.ids.get(&stay) {
            let holder = (number, nick.to_owned(), id.clone());
            *self.taken.entry(holder).or_default() += 1;
        }
        self.here.insert(stay, (number, nick.to_owned()));
    }

    /// Its client has been shown its own presence, which names it for all others.
    fn is_named(&mut self, stay: &Stay, number: usize, nick: &str, id: &str) {
        if self.ids.insert(stay.clone(), id.to_owned()).is_none() {
            let holder = (number, nick.to_owned(), id.to_owned());
            *self.taken.entry(holder).or_default() += 1;
        }
    }

    fn forget(&mut self, stay: &Stay) {
        self.ids.remove(stay);
        self.shown.retain(|(viewer, _), _| viewer != stay);
        self.gone.retain(|(viewer, _), _| viewer != stay);
    }

    fn left(&self, number: usize, room: &BareJid, nick: &str, cause: &Cause) -> Result<(), String> {
        let is_right = match cause {
            Cause::Own | Cause::Down => true,
            Cause::Ended => self.ended.contains(&number),
            Cause::Removed(codes) if codes.contains(&307) => self.kicked.contains(&number),
            Cause::Removed(codes) => {
                codes.iter().any(|code| REMOVALS.contains(code)) && self.governed.contains(&number)
            }
        };
        if is_right {
            Ok(())
        } else {
            Err(format!("G8: {nick} is removed from {room} by nobody: {cause:?}"))
        }
    }

    fn saw(&mut self, viewer: Stay, seen: &Seen, xep: &BTreeSet<BareJid>) -> Result<(), String> {
        let Some((number, _)) = self.here.get(&viewer) else {
            return Ok(());
        };
        let number = *number;
        match seen {
            Seen::Gone {
                nick,
                codes,
                new_nick,
                ..
            } => {
                let Some(id) = self.shown.remove(&(viewer.clone(), nick.clone())) else {
                    return Ok(());
                };
                let has_reason = new_nick.is_some() || codes.iter().any(|code| REMOVALS.contains(code));
                if let Some(stay) = self
                    .only_stay(number, nick, &id)
                    .filter(|(room, _)| !has_reason && !xep.contains(&service_of(room)))
                {
                    let has_lost_it = false;
                    self.gone.entry((viewer, nick.clone())).or_insert(Gone {
                        id,
                        stay,
                        has_lost_it,
                    });
                }
            }
            Seen::Presence {
                nick,
                occupant_id: None,
                ..
            } => {
                let somebody = (number, nick.clone(), String::new());
                if let Some(gone) = self.gone.get_mut(&(viewer, nick.clone())) {
                    gone.has_lost_it |= self.taken.contains_key(&somebody);
                }
            }
            Seen::Presence {
                nick,
                occupant_id: Some(id),
                codes,
                ..
            } => {
                if codes.contains(&110) {
                    self.is_named(&viewer, number, nick, id);
                }
                let key = (viewer.clone(), nick.clone());
                self.shown.insert(key.clone(), id.clone());
                let Some(gone) = self.gone.get_mut(&key) else {
                    return Ok(());
                };
                if gone.id != *id {
                    gone.has_lost_it |=
                        self.has_liars || self.taken.contains_key(&(number, nick.clone(), id.clone()));
                    return Ok(());
                }
                let Some(gone) = self.gone.remove(&key) else {
                    return Ok(());
                };
                let home = service_of(&gone.stay.0);
                let may_leave = self.may_leave && self.split.contains(&(viewer.0.clone(), home));
                let was_here = self.only_stay(number, nick, id).as_ref() == Some(&gone.stay);
                let may_leave = may_leave || self.beheaded.contains(&number);
                if was_here && !may_leave && !gone.has_lost_it && !self.has_liars {
                    let ((room, session), (home, _)) = (viewer, gone.stay);
                    return Err(format!(
                        "G8: stay {session} at {room} sees {nick} leave and come back, who was at {home} all along"
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The stay of this person under this nick, if it has taken the nick but once since everything was at rest.
    fn only_stay(&self, number: usize, nick: &str, id: &str) -> Option<Stay> {
        let taken = self.taken.get(&(number, nick.to_owned(), id.to_owned()));
        let is_it = |(stay, (group, held)): &(&Stay, &(usize, String))| {
            *group == number && held == nick && self.ids.get(*stay).is_some_and(|known| known == id)
        };
        let stay = self.here.iter().find(is_it).map(|(stay, _)| stay.clone());
        stay.filter(|_| taken == Some(&1))
    }

    pub fn behead(&mut self, group: usize) {
        self.beheaded.insert(group);
    }

    pub fn kick(&mut self, group: usize) {
        self.kicked.insert(group);
    }

    pub fn govern(&mut self, group: usize) {
        self.governed.insert(group);
    }

    pub fn end(&mut self, group: usize) {
        self.ended.insert(group);
    }

    pub fn rested(&mut self) {
        // Who shares a nick now may still be told apart later.
        self.taken.clear();
        for (stay, (number, nick)) in &self.here {
            if let Some(id) = self.ids.get(stay) {
                let holder = (*number, nick.clone(), id.clone());
                *self.taken.entry(holder).or_default() += 1;
            }
        }
        self.gone.clear();
        self.split.clear();
        self.beheaded.clear();
    }
}
