//! G4: every occupant sees each message once, each sender's in order. G5: with the same ids everywhere.

use std::collections::{BTreeMap, BTreeSet};

use dmuc::address::BareJid;
use dmuc::engine::Notice;
use dmuc::wire::Condition;

use crate::support::event::{Event, Seen, SeenMessage, Turn};
use crate::support::names::{bare, service_of};

/// So long a stanza is on its way at most, over links with which nothing is wrong.
const IN_FLIGHT_MS: u64 = 1_000;

/// One stay of one occupant.
type Stay = (BareJid, u64);

#[derive(Debug, Default)]
pub struct Heard {
    stays: BTreeMap<Stay, Hearing>,
    said: Vec<Said>,
    /// How many have come.
    joins: u64,
    /// How many had come when a message was taken that nobody there was shown at once.
    taken: BTreeMap<String, u64>,
    /// What could not be stored at once somewhere, and is shown there without an id as long as that is so.
    waits: BTreeSet<(BareJid, String)>,
    /// The ids of each message, as the first to see it saw them.
    ids: BTreeMap<String, (SeenMessage, BareJid)>,
    ended: BTreeSet<usize>,
    /// Whether instances have come or gone, or anything was wrong, since everything was at rest.
    is_unsettled: bool,
    /// What was said in this moment, and where.
    just_said: Vec<(BareJid, String)>,
    /// Instances that were told of a gap: some messages are lost to them.
    gaps: BTreeSet<BareJid>,
    /// Rooms whose source has forgotten which shadows it has, and does not offer the room again by itself.
    forgetful: BTreeSet<usize>,
    /// The time, in virtual milliseconds.
    pub now_ms: u64,
    pub has_faults: bool,
    /// One of the peers lies: it may have an honest instance begin a new life, whose roster is then pulled by the others. What is
    /// not kept is not worth waiting for that.
    pub has_liars: bool,
    /// Services of the XEP's text that a fault has touched: what they say may come out of turn, and has no number to tell.
    pub touched: BTreeSet<BareJid>,
    /// Logs are so short that there may be gaps.
    pub is_short: bool,
}

#[derive(Debug)]
struct Hearing {
    group: Option<usize>,
    /// How many messages had been said when it began.
    since: usize,
    /// How many have come, with this one.
    joined: u64,
    seen: BTreeSet<String>,
    /// The last number heard of each sender.
    last: BTreeMap<String, u64>,
}

#[derive(Debug)]
struct Said {
    at_ms: u64,
    /// How many had come when it was taken.
    joined: u64,
    group: Option<usize>,
    room: BareJid,
    session: u64,
    payload: String,
    /// Its sender has seen it.
    is_reflected: bool,
    /// Whether everybody present must have seen it in the end.
    is_due: bool,
    /// Or only those who are not at a service that speaks the XEP's text, nor is the sender.
    between_ours: bool,
}

impl Heard {
    pub fn event(
        &mut self,
        event: &Event,
        group: &impl Fn(&BareJid) -> Option<usize>,
        xep: &BTreeSet<BareJid>,
    ) -> Result<(), String> {
        match event {
            Event::Joined { room, session, .. } => {
                self.joins += 1;
                let hearing = Hearing {
                    joined: self.joins,
                    group: group(room),
                    since: self.said.len(),
                    seen: BTreeSet::new(),
                    last: BTreeMap::new(),
                };
                self.stays.insert((room.clone(), *session), hearing);
            }
            Event::Left { room, session, .. } => {
                self.stays.remove(&(room.clone(), *session));
            }
            Event::Turned {
                room,
                turn: Turn::Down,
            } => {
                self.stays.retain(|(at, _), _| at != room);
                // Whoever said it never saw it: it may be lost with its service.
                for said in self
                    .said
                    .iter_mut()
                    .filter(|said| !said.is_reflected && said.room == *room)
                {
                    (said.is_due, said.between_ours) = (false, false);
                }
            }
            Event::Taken { payload, .. } => drop(self.taken.insert(payload.clone(), self.joins)),
            Event::Waits { room, payload, .. } => {
                self.waits.insert((room.clone(), payload.clone()));
            }
            Event::Noticed {
                room,
                notice: Notice::Gap { .. },
                ..
            } => drop(self.gaps.insert(room.clone())),
            Event::Said {
                room,
                session,
                payload,
                kept,
            } => {
                self.just_said.push((room.clone(), payload.clone()));
                self.said.push(Said {
                    at_ms: self.now_ms,
                    joined: self.taken.remove(payload).unwrap_or(self.joins),
                    group: group(room),
                    room: room.clone(),
                    session: *session,
                    payload: payload.clone(),
                    is_reflected: false,
                    is_due: !self.is_unsettled && (*kept || !self.has_liars),
                    between_ours: *kept && !xep.contains(&service_of(room)),
                });
            }
            // Whoever lost the right to speak meanwhile, a nick that cannot be given up: `honest` says when.
            // What only came before its sender's presence is pulled with it.
            Event::Refused { stanza, error, .. }
                if error.condition == Condition::NotAcceptable && stanza.contains("<event ") => {}
            Event::Refused { stanza, .. } => {
                let said = self.said.iter_mut().filter(|said| stanza.contains(&said.payload));
                said.for_each(|said| (said.is_due, said.between_ours) = (false, false));
            }
            // That a message is hidden until the source has decided: it is in no log.
            Event::Saw {
                seen: Seen::Message(message),
                ..
            } if message.nick.is_empty() && message.stanza_id.as_deref() == Some("") => {}
            Event::Saw {
                room,
                session,
                seen: Seen::Message(message),
            } => {
                let said = self.said.iter_mut().rev().take(50);
                for said in said.filter(|said| said.session == *session && said.room == *room) {
                    said.is_reflected |= said.payload == message.payload;
                }
                // What is not kept has no number by which to tell what the network repeats.
                let is_known = message.stanza_id.is_some() && !xep.contains(&service_of(room));
                let may_repeat = self.has_faults && !is_known;
                self.saw((room, *session), message, may_repeat)?;
                if !xep.contains(&service_of(room)) {
                    self.compare_ids(room, message)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A service that speaks the text only cannot tell what the network repeats.
    fn saw(
        &mut self,
        (room, session): (&BareJid, u64),
        message: &SeenMessage,
        may_repeat: bool,
    ) -> Result<(), String> {
        let Some(hearing) = self.stays.get_mut(&(room.clone(), session)) else {
            return Err(format!("G4: somebody who is not in {room} is shown {message:?}"));
        };
        let who = format!("stay {session} at {room}");
        if !hearing.seen.insert(message.payload.clone()) {
            if may_repeat {
                return Ok(());
            }
            return Err(format!("G4: {who} sees {:?} again", message.payload));
        }
        // What is not kept (who is typing) may overtake what waits for older messages.
        let Some((sender, number)) = signature(&message.payload).filter(|_| message.stanza_id.is_some())
        else {
            return Ok(());
        };
        let is_numbered = !may_repeat && !self.touched.contains(&home_of(&sender));
        let last = hearing.last.insert(sender, number);
        if is_numbered && last.is_some_and(|last| last >= number) {
            return Err(format!(
                "G4: {who} sees {:?} after number {last:?}",
                message.payload
            ));
        }
        Ok(())
    }

    fn compare_ids(&mut self, room: &BareJid, message: &SeenMessage) -> Result<(), String> {
        if message.stanza_id.is_none() && self.waits.contains(&(room.clone(), message.payload.clone())) {
            return Ok(());
        }
        let first = self
            .ids
            .entry(message.payload.clone())
            .or_insert_with(|| (message.clone(), room.clone()));
        let ids = |message: &SeenMessage| {
            (
                message.nick.clone(),
                message.message_id.clone(),
                message.stanza_id.clone(),
                message.occupant_id.clone(),
            )
        };
        if ids(&first.0) == ids(message) {
            return Ok(());
        }
        Err(format!("G5: {message:?} at {room}, {:?} at {}", first.0, first.1))
    }

    /// What was said just now is still on its way, and may be lost there as well.
    pub fn unsettle(&mut self) {
        self.is_unsettled = true;
        let since = self.now_ms.saturating_sub(IN_FLIGHT_MS);
        let in_flight = self.said.iter_mut().rev().take_while(|said| said.at_ms >= since);
        in_flight.for_each(|said| said.is_due = false);
    }

    /// The source of a room has lost what it knew of its shadows. One that speaks the text only has no way to say that it
    /// is one.
    pub fn forget_shadows(&mut self, group: usize) {
        self.forgetful.insert(group);
    }

    pub fn end(&mut self, group: usize) {
        self.ended.insert(group);
    }

    /// G2: local people have seen what was said here before any time has passed.
    pub fn moment(&mut self, xep: &BTreeSet<BareJid>) -> Result<(), String> {
        for (room, payload) in std::mem::take(&mut self.just_said) {
            let mut here = self.stays.iter().filter(|((at, _), _)| *at == room);
            if !xep.contains(&service_of(&room))
                && let Some(((_, session), _)) = here.find(|(_, hearing)| !hearing.seen.contains(&payload))
            {
                return Err(format!("G2: stay {session} at {room} waits for {payload:?}"));
            }
        }
        Ok(())
    }

    /// Who was there when something was said and still is must have seen it.
    pub fn rested(
        &mut self,
        xep: &BTreeSet<BareJid>,
        is_excused: &impl Fn(&BareJid, &String) -> bool,
    ) -> Result<(), String> {
        for ((room, session), hearing) in &self.stays {
            let is_xep = xep.contains(&service_of(room));
            if self.is_short && self.gaps.contains(room) {
                continue;
            }
            if hearing.group.is_none_or(|group| self.ended.contains(&group)) {
                continue;
            }
            for said in self
                .said
                .iter()
                .skip(hearing.since)
                .filter(|said| said.group == hearing.group && said.joined >= hearing.joined)
            {
                let is_forgotten = hearing.group.is_some_and(|group| self.forgetful.contains(&group))
                    && (is_xep || xep.contains(&service_of(&said.room)));
                let is_due = said.is_due && !is_forgotten || said.between_ours && !is_xep;
                if is_due && !hearing.seen.contains(&said.payload) && !is_excused(room, &said.payload) {
                    return Err(format!(
                        "G4: stay {session} at {room} has not seen {:?}",
                        said.payload
                    ));
                }
            }
        }
        self.is_unsettled = false;
        Ok(())
    }
}

/// Who says it and its number: messages read `<…>sender says number</…>`.
fn signature(payload: &str) -> Option<(String, u64)> {
    let (start, rest) = payload.split_once(" says ")?;
    let sender = start.rsplit_once('>')?.1;
    let number = rest.split_once('<')?.0.parse().ok()?;
    Some((sender.to_owned(), number))
}

/// The service of a sender: an instance and the number of a stay there.
fn home_of(sender: &str) -> BareJid {
    let instance = sender.split_once('#').map_or(sender, |(instance, _)| instance);
    service_of(&bare(instance))
}
