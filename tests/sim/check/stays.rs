//! G8: nobody is removed by a network. And nobody who stayed at home all along leaves and joins in the eyes of others.

use std::collections::{BTreeMap, BTreeSet};

use dmuc::address::BareJid;

use crate::support::event::{Cause, Event, Seen, Turn};
use crate::support::names::service_of;

/// One stay of one occupant.
type Stay = (BareJid, u64);

#[derive(Debug, Default)]
pub struct Stays {
    /// Who is in which room under which nick.
    here: BTreeMap<Stay, (usize, String)>,
    /// Whom a stay saw leave, by nick, who did not leave.
    gone: BTreeMap<(Stay, String), Stay>,
    /// Nicks that more than one has had, or has had at more than one home, since everything was at rest.
    clashed: BTreeSet<(usize, String)>,
    ended: BTreeSet<usize>,
    /// Rooms in which somebody has given roles, or changed lists or settings.
    kicked: BTreeSet<usize>,
    governed: BTreeSet<usize>,
    /// Occupants that are out of reach are shown as gone.
    pub may_leave: bool,
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
                    self.take(number, (room.clone(), *session), nick);
                }
            }
            Event::Renamed { room, session, nick } => {
                let Some((number, _)) = self.here.remove(&(room.clone(), *session)) else {
                    return Err(format!(
                        "G8: stay {session} at {room} is renamed and was not there"
                    ));
                };
                self.take(number, (room.clone(), *session), nick);
            }
            Event::Left {
                room,
                session,
                nick,
                cause,
            } => {
                let Some((number, _)) = self.here.remove(&(room.clone(), *session)) else {
                    return Ok(());
                };
                return self.left(number, room, nick, cause);
            }
            Event::Turned {
                room,
                turn: Turn::Down,
            } => self.here.retain(|(at, _), _| at != room),
            Event::Saw { room, session, seen } if !xep.contains(&service_of(room)) => {
                return self.saw((room.clone(), *session), seen, xep);
            }
            _ => {}
        }
        Ok(())
    }

    fn take(&mut self, number: usize, stay: Stay, nick: &str) {
        let holds = |(group, held): &(usize, String)| *group == number && held == nick;
        if self.here.values().any(holds) {
            self.clashed.insert((number, nick.to_owned()));
        }
        self.here.insert(stay, (number, nick.to_owned()));
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
                new_nick: None,
                ..
            } if !codes.iter().any(|code| REMOVALS.contains(code)) => {
                if let Some(stay) = self
                    .only_holder(number, nick)
                    .filter(|(room, _)| !xep.contains(&service_of(room)))
                {
                    self.gone.insert((viewer, nick.clone()), stay);
                }
            }
            Seen::Presence { nick, .. } => {
                let Some(stay) = self.gone.remove(&(viewer.clone(), nick.clone())) else {
                    return Ok(());
                };
                let is_odd = self.only_holder(number, nick) == Some(stay.clone());
                if is_odd && !self.may_leave && !self.clashed.contains(&(number, nick.clone())) {
                    let ((room, session), (home, _)) = (viewer, stay);
                    return Err(format!(
                        "G8: stay {session} at {room} sees {nick} leave and come back, who was at {home} all along"
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Who alone has this nick in the whole room.
    fn only_holder(&self, number: usize, nick: &str) -> Option<Stay> {
        let mut holders = self.here.iter();
        let is_it = |(_, (group, held)): &(&Stay, &(usize, String))| *group == number && held == nick;
        let (stay, _) = holders.find(is_it)?;
        holders.find(is_it).is_none().then(|| stay.clone())
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
        let held: BTreeSet<(usize, String)> = self.here.values().cloned().collect();
        self.clashed.retain(|nick| held.contains(nick));
    }
}
