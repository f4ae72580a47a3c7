//! G9, G11: what somebody has said who was banned at the source by then is nowhere in the end, whichever way it came.

use std::collections::{BTreeMap, BTreeSet};

use dmuc::address::BareJid;
use dmuc::ids::occupant_id;

use super::View;
use crate::support::event::{Event, Turn, What};

#[derive(Debug, Default)]
pub struct Outcasts {
    /// The occupant-ids of who is here, as its own client was shown it.
    here: BTreeMap<(BareJid, u64), String>,
    /// Who is banned at the source, by occupant-id.
    banned: BTreeSet<(usize, String)>,
    /// What they said since, and who.
    said: BTreeMap<String, (usize, String)>,
    /// Clocks differ, or a source has lost what it had decided: nobody can say what was before what.
    pub is_blind: bool,
}

impl Outcasts {
    pub fn event(&mut self, event: &Event, group: &impl Fn(&BareJid) -> Option<usize>) {
        if let Some((room, session, id)) = event.own_occupant_id() {
            self.here.insert((room.clone(), session), id.to_owned());
        }
        match event {
            Event::Decided {
                room,
                what: What::Affiliation(user),
                value,
            } => {
                let Some(number) = group(room) else { return };
                let author = (number, occupant_id(user, &format!("salt of {room}")));
                if value.starts_with("outcast") {
                    self.banned.insert(author);
                } else {
                    self.said.retain(|_, by| *by != author);
                    self.banned.remove(&author);
                }
            }
            Event::Said {
                room,
                session,
                payload,
                kept: true,
            } => {
                let id = self.here.get(&(room.clone(), *session));
                let author = group(room).zip(id.cloned());
                if let Some(author) = author.filter(|author| self.banned.contains(author)) {
                    self.said.insert(payload.clone(), author);
                }
            }
            Event::Left { room, session, .. } => drop(self.here.remove(&(room.clone(), *session))),
            Event::Turned {
                room,
                turn: Turn::Down,
            } => self.here.retain(|(at, _), _| at != room),
            _ => {}
        }
    }

    pub fn compare(&self, group: usize, views: &[View]) -> Result<(), String> {
        if self.is_blind {
            return Ok(());
        }
        for view in views {
            let is_banned = |payload: &String| self.said.get(payload).is_some_and(|(of, _)| *of == group);
            if let Some((id, payload)) = view.texts.iter().find(|(_, payload)| is_banned(payload)) {
                return Err(format!(
                    "G9: {payload:?} ({id}) was said by somebody who was banned, and is at {}",
                    view.instance
                ));
            }
        }
        Ok(())
    }
}
