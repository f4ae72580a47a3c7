//! Who asks for something that is decided elsewhere is answered in bounded time, and a yes is true (G7). What was taken
//! away is nowhere any more (XEP-0425), and nothing else is missing. A nick is registered for one person.

use std::collections::{BTreeMap, BTreeSet};

use dmuc::address::BareJid;

use super::View;
use crate::support::event::{Asked as Wish, Event, Turn, What};
use crate::support::moderate::GONE;

#[derive(Debug, Default)]
pub struct Asked {
    open: BTreeMap<(BareJid, u64), Open>,
    /// What the source has decided last.
    values: BTreeMap<(usize, What), String>,
    pub now_ms: u64,
    /// An answer comes no later than this.
    pub most_ms: u64,
    /// Logs are so short that what was decided goes again.
    pub is_short: bool,
}

#[derive(Debug)]
struct Open {
    group: Option<usize>,
    wish: Wish,
    at_ms: u64,
    /// The source has had it so since.
    is_fulfilled: bool,
}

impl Asked {
    pub fn event(&mut self, event: &Event, group: &impl Fn(&BareJid) -> Option<usize>) -> Result<(), String> {
        match event {
            Event::Decided { room, what, value } => {
                let Some(number) = group(room) else { return Ok(()) };
                for open in self.open.values_mut().filter(|open| open.group == Some(number)) {
                    open.is_fulfilled |= open.wish.is_it(what, value);
                }
                self.values.insert((number, what.clone()), value.clone());
            }
            Event::Asked { room, token, wish } => {
                let group = group(room);
                let mut known = self
                    .values
                    .iter()
                    .filter(|((number, _), _)| group == Some(*number));
                let is_so = known.any(|((_, what), value)| wish.is_it(what, value));
                let is_listed = wish.user().zip(group).is_none_or(|(user, number)| {
                    let key = (number, What::Affiliation(user.clone()));
                    self.values.contains_key(&key)
                });
                let open = Open {
                    group,
                    wish: wish.clone(),
                    at_ms: self.now_ms,
                    is_fulfilled: wish == &Wish::Other || is_so || !is_listed && wish.is_so_of_the_unlisted(),
                };
                self.open.insert((room.clone(), *token), open);
            }
            Event::Answered { room, token, is_done } => {
                let Some(open) = self.open.remove(&(room.clone(), *token)) else {
                    return Ok(());
                };
                if *is_done && !open.is_fulfilled {
                    return Err(format!(
                        "G7: at {room} {:?} is said to be done, and the source has not done it",
                        open.wish
                    ));
                }
            }
            Event::Turned {
                room,
                turn: Turn::Down | Turn::Closed | Turn::Destroyed | Turn::Undistributed,
            } => self.open.retain(|(at, _), _| at != room),
            _ => {}
        }
        Ok(())
    }

    pub fn in_time(&self) -> Result<(), String> {
        for ((room, token), open) in &self.open {
            if self.now_ms > open.at_ms + self.most_ms {
                return Err(format!(
                    "asked: {:?} ({token}) at {room} has no answer after {} ms",
                    open.wish,
                    self.now_ms - open.at_ms
                ));
            }
        }
        Ok(())
    }

    /// The stanza-ids of what was taken away.
    pub fn gone(&self) -> impl Iterator<Item = &String> {
        self.values.keys().filter_map(|(_, what)| match what {
            What::Message(id) => Some(id),
            _ => None,
        })
    }

    /// What the instances of a room hold, at rest.
    pub fn compare(&self, group: usize, views: &[View]) -> Result<(), String> {
        for view in views {
            is_one_persons_each(view)?;
        }
        if self.is_short {
            return Ok(());
        }
        let is_ours = |id: &String| self.values.contains_key(&(group, What::Message(id.clone())));
        for view in views {
            for (id, payload) in &view.texts {
                if is_ours(id) && !payload.is_empty() {
                    return Err(format!(
                        "G7: {payload:?} was taken away and is at {}",
                        view.instance
                    ));
                }
                if !is_ours(id) && payload.is_empty() {
                    return Err(format!(
                        "G3: nobody took {id} away and it is gone at {}",
                        view.instance
                    ));
                }
            }
        }
        Ok(())
    }

    pub fn rested(&self) -> Result<(), String> {
        match self.open.first_key_value() {
            Some(((room, _), open)) => Err(format!("asked: {:?} at {room} has no answer", open.wish)),
            None => Ok(()),
        }
    }
}

fn is_one_persons_each(view: &View) -> Result<(), String> {
    let mut owners: BTreeMap<&String, &BareJid> = BTreeMap::new();
    for (user, nick) in &view.registered {
        if let Some(other) = owners.insert(nick, user) {
            let instance = &view.instance;
            return Err(format!("G7: {nick} is {user}'s and {other}'s at {instance}"));
        }
    }
    let mut roster = view.present.iter();
    match roster.find(|(user, nick)| owners.get(nick).is_some_and(|owner| *owner != user)) {
        Some((user, nick)) => Err(format!(
            "G7: {user} is {nick} at {}, which is {}'s",
            view.instance, owners[nick]
        )),
        None => Ok(()),
    }
}

impl Wish {
    /// Whether this is what was asked for.
    fn is_it(&self, what: &What, value: &str) -> bool {
        let (affiliation, nick) = match value.split_once(" as ") {
            Some((affiliation, nick)) => (affiliation, Some(nick)),
            None => (value, None),
        };
        match (self, what) {
            (Wish::Message(id), What::Message(other)) => id == other && value == GONE,
            (Wish::Registration(user, wanted), What::Affiliation(other)) => {
                user == other && wanted.as_deref() == nick
            }
            (Wish::Affiliation(user, wanted), What::Affiliation(other)) => {
                user == other && wanted.as_str() == affiliation
            }
            _ => false,
        }
    }

    fn user(&self) -> Option<&BareJid> {
        match self {
            Wish::Registration(user, _) | Wish::Affiliation(user, _) => Some(user),
            _ => None,
        }
    }

    /// Whether somebody who was never listed has it so.
    fn is_so_of_the_unlisted(&self) -> bool {
        match self {
            Wish::Registration(_, nick) => nick.is_none(),
            Wish::Affiliation(_, affiliation) => *affiliation == dmuc::wire::Affiliation::None,
            Wish::Message(_) | Wish::Other => false,
        }
    }
}

/// Which payloads are those of these stanza-ids.
pub fn payloads_of<'a>(
    ids: impl Iterator<Item = &'a String>,
    payloads: &BTreeMap<String, String>,
) -> BTreeSet<String> {
    ids.filter_map(|id| payloads.get(id)).cloned().collect()
}
