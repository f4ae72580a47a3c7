//! Private messages and requests: each ends in bounded time, and what is said to have arrived has.

use std::collections::BTreeMap;

use dmuc::address::BareJid;

use crate::support::event::{Event, Turn};

#[derive(Debug, Default)]
pub struct Private {
    open: BTreeMap<(BareJid, u64), Sent>,
    pub now_ms: u64,
    /// An end comes no later than this.
    pub most_ms: u64,
}

#[derive(Debug)]
struct Sent {
    at_ms: u64,
    has_arrived: bool,
    has_ended: bool,
}

impl Private {
    pub fn event(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Private { room, token, .. } => {
                let sent = Sent {
                    at_ms: self.now_ms,
                    has_arrived: false,
                    has_ended: false,
                };
                self.open.insert((room.clone(), *token), sent);
            }
            Event::PrivateArrived { room, token } => {
                if let Some(sent) = self.open.get_mut(&(room.clone(), *token)) {
                    sent.has_arrived = true;
                }
            }
            Event::PrivateEnded {
                room,
                token,
                is_done,
                may_be_lost,
            } => {
                let Some(sent) = self.open.get_mut(&(room.clone(), *token)) else {
                    return Ok(());
                };
                if sent.has_ended {
                    return Err(format!("private: {token} from {room} ends twice"));
                }
                sent.has_ended = true;
                if *is_done && !sent.has_arrived && !may_be_lost {
                    return Err(format!(
                        "private: {token} from {room} is done and has not arrived"
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
        for ((room, token), sent) in self.open.iter().filter(|(_, sent)| !sent.has_ended) {
            if self.now_ms > sent.at_ms + self.most_ms {
                return Err(format!(
                    "private: {token} from {room} has not ended after {} ms",
                    self.now_ms - sent.at_ms
                ));
            }
        }
        Ok(())
    }

    pub fn rested(&mut self) -> Result<(), String> {
        self.in_time()?;
        self.open.retain(|_, sent| !sent.has_ended);
        Ok(())
    }
}
