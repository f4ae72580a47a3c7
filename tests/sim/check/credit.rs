//! G11: what a liar says is never shown or kept as somebody's whose home is honest.

use std::collections::BTreeMap;

use dmuc::address::BareJid;

use crate::support::event::{Event, Seen, Turn};

#[derive(Debug, Default)]
pub struct Credit {
    /// The occupant-ids of who is here, as its own client was shown it.
    here: BTreeMap<(BareJid, u64), String>,
}

impl Credit {
    pub fn event(&mut self, event: &Event) {
        if let Some((room, session, id)) = event.own_occupant_id() {
            self.here.insert((room.clone(), session), id.to_owned());
        }
        match event {
            Event::Left { room, session, .. } => drop(self.here.remove(&(room.clone(), *session))),
            Event::Turned {
                room,
                turn: Turn::Down,
            } => self.here.retain(|(at, _), _| at != room),
            _ => {}
        }
    }

    /// Something that a liar has made up. Who is in the room here is known here; of others there may be nothing but the
    /// occupant-id, which is public, or not even that yet.
    pub fn lie(&self, event: &Event, group: &impl Fn(&BareJid) -> Option<usize>) -> Result<(), String> {
        let Event::Saw {
            room,
            seen: Seen::Message(message),
            ..
        } = event
        else {
            return Ok(());
        };
        if group(room).is_none() {
            return Ok(());
        }
        let mut known = self.here.iter().filter(|((at, _), _)| at == room);
        match known.find(|(_, id)| Some(*id) == message.occupant_id.as_ref()) {
            Some(((at, session), _)) => Err(format!(
                "G11: {message:?} is shown at {room}; stay {session} at {at} never said it"
            )),
            None => Ok(()),
        }
    }
}
