//! G3: what was reflected survives and is everywhere in the end. G10: nothing that is held is sent again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use dmuc::address::BareJid;

use crate::support::event::{Crossing, Event, Seen, SeenMessage, Turn};
use crate::support::names::service_of;

/// Who holds which message in its stored log, by stanza-id, and since when.
#[derive(Debug, Default)]
pub struct Ledger {
    held: BTreeMap<BareJid, BTreeMap<String, u64>>,
    /// What waits in memory until it can be stored, in order.
    waits: BTreeMap<BareJid, VecDeque<String>>,
    /// What waited when its room was parked: lost with its service, or there again when the room goes on.
    waits_parked: BTreeMap<BareJid, Vec<String>>,
    /// What instances held whose service is down.
    before: BTreeMap<BareJid, BTreeMap<String, u64>>,
    /// What each message says, or said until it was taken away.
    pub payloads: BTreeMap<String, String>,
    /// Counts what is kept: a clock.
    clock: u64,
    /// When a `<sync/>` was asked, by asker, asked and id.
    asked: BTreeMap<(BareJid, BareJid, String), u64>,
    /// Services that have just lost something, or were put back to a backup.
    lossy: BTreeSet<BareJid>,
    /// What nobody has any more who could tell of it.
    pub excused: BTreeSet<String>,
    /// Said in a distributed room and not shown to its sender yet, by instance and stay.
    said: BTreeMap<(BareJid, u64), BTreeSet<String>>,
    reflected: BTreeMap<String, usize>,
    /// Where each message was said, and those that their origin has lost since, both by payload.
    origins: BTreeMap<String, BareJid>,
    lost_at_home: BTreeSet<String>,
    distributed: BTreeSet<usize>,
    /// Everybody takes from everybody what third instances have said.
    pub is_trusting: bool,
    /// A peer may tell others something else under one number: the source is asked for the newest messages again, with those
    /// that are held.
    pub has_liars: bool,
    /// Logs are so short that what is kept goes again.
    pub is_short: bool,
    /// Services that speak the XEP's text only: they store what they like.
    pub xep: BTreeSet<BareJid>,
}

impl Ledger {
    pub fn event(
        &mut self,
        event: &Event,
        group: &impl Fn(&BareJid) -> Option<usize>,
        sources: &BTreeMap<usize, BareJid>,
    ) -> Result<(), String> {
        match event {
            Event::Kept { room, id, payload } => {
                self.clock += 1;
                if !payload.is_empty() || !self.payloads.contains_key(id) {
                    self.payloads.insert(id.clone(), payload.clone());
                }
                self.waits_no_more(room, id, payload)?;
                let held = self.held.entry(room.clone()).or_default();
                if held.insert(id.clone(), self.clock).is_some() {
                    return Err(format!("G4: {payload:?} is in the stored log of {room} twice"));
                }
            }
            Event::Waits { room, id, payload } => {
                self.payloads.insert(id.clone(), payload.clone());
                self.waits.entry(room.clone()).or_default().push_back(id.clone());
            }
            // It is on its way to others, whether or not anybody here is ever shown it.
            Event::Taken { room, payload } => drop(self.origins.insert(payload.clone(), room.clone())),
            Event::Forgotten { room } => {
                self.waits.remove(room);
                self.waits_parked.remove(room);
                self.held.remove(room);
                self.before.remove(room);
            }
            // It is read back when it goes on.
            Event::Turned {
                room,
                turn: Turn::Parked,
            } => {
                let waits = self.waits.remove(room).unwrap_or_default();
                self.waits_parked.entry(room.clone()).or_default().extend(waits);
                self.held.remove(room);
            }
            Event::Turned {
                room,
                turn: Turn::Down,
            } => {
                let held = self.held.remove(room).unwrap_or_default();
                let waited = self.waits.remove(room).unwrap_or_default();
                let before = self.before.entry(room.clone()).or_default();
                before.extend(
                    held.into_iter()
                        .chain(waited.into_iter().map(|id| (id, self.clock))),
                );
                self.said.retain(|(at, _), _| at != room);
            }
            Event::Said {
                room,
                session,
                payload,
                kept: true,
            } => {
                let is_xep = self.xep.contains(&service_of(room));
                if is_xep || group(room).is_none_or(|number| !self.distributed.contains(&number)) {
                    return Ok(());
                }
                if !self.holds(room, payload) && !self.keeps_waiting(room, payload) {
                    return Err(format!(
                        "G3: {payload:?} is about to be reflected at {room} and not stored"
                    ));
                }
                self.origins.insert(payload.clone(), room.clone());
                let waiting = self.said.entry((room.clone(), *session)).or_default();
                waiting.insert(payload.clone());
            }
            Event::Saw {
                room,
                session,
                seen: Seen::Message(message),
            } => {
                self.is_archived(room, message, group)?;
                let waiting = self.said.get_mut(&(room.clone(), *session));
                if waiting.is_some_and(|waiting| waiting.remove(&message.payload))
                    && let Some(number) = group(room)
                {
                    self.reflected.insert(message.payload.clone(), number);
                }
            }
            Event::Crossed {
                from,
                to,
                id: Some(id),
                what,
            } => {
                let (from, to) = (from.to_bare(), to.to_bare());
                let is_source = group(&from).and_then(|group| sources.get(&group)) == Some(&from);
                if let Crossing::Synced(ids) = what
                    && !is_source
                    && !self.is_trusting
                {
                    self.speaks_for_itself(&from, &to, ids)?;
                }
                return self.crossed((from, to, id), what);
            }
            _ => {}
        }
        Ok(())
    }

    /// G5: a stanza-id by the room is on exactly what is in its log under that id: clients ask for what came after it.
    fn is_archived(
        &self,
        room: &BareJid,
        message: &SeenMessage,
        group: &impl Fn(&BareJid) -> Option<usize>,
    ) -> Result<(), String> {
        let is_ours = group(room).is_some_and(|number| self.distributed.contains(&number));
        let id = message.stanza_id.as_ref().filter(|id| !id.is_empty());
        if self.xep.contains(&service_of(room)) || !is_ours || self.is_short {
            return Ok(());
        }
        match id {
            Some(id) if self.held.get(room).is_none_or(|held| !held.contains_key(id)) => Err(format!(
                "G5: {:?} is shown at {room} under {id}, which is in no log",
                message.payload
            )),
            _ => Ok(()),
        }
    }

    /// G3: what waits is stored in the order in which it came.
    fn waits_no_more(&mut self, room: &BareJid, id: &str, payload: &str) -> Result<(), String> {
        let Some(waits) = self.waits.get_mut(room) else {
            return Ok(());
        };
        match waits.pop_front() {
            Some(first) if first != id => Err(format!(
                "G3: {payload:?} is stored at {room} before {first}, which has waited for longer"
            )),
            _ => Ok(()),
        }
    }

    fn keeps_waiting(&self, room: &BareJid, payload: &str) -> bool {
        let mut waits = self.waits.get(room).into_iter().flatten();
        waits.any(|id| self.payloads.get(id).is_some_and(|known| known == payload))
    }

    pub fn holds(&self, room: &BareJid, payload: &str) -> bool {
        let held = self.held.get(room);
        held.is_some_and(|held| {
            let mut ids = held.keys().rev();
            ids.any(|id| self.payloads.get(id).is_some_and(|known| known == payload))
        })
    }

    /// G11: of third instances' messages only the source tells, or who is trusted.
    fn speaks_for_itself(&self, from: &BareJid, to: &BareJid, ids: &[String]) -> Result<(), String> {
        for payload in ids.iter().filter_map(|id| self.payloads.get(id)) {
            if let Some(origin) = self.origins.get(payload).filter(|origin| *origin != from) {
                return Err(format!(
                    "G11: {to} asks {from} for what {origin} said: {payload:?}"
                ));
            }
        }
        Ok(())
    }

    fn crossed(&mut self, (from, to, id): (BareJid, BareJid, &str), what: &Crossing) -> Result<(), String> {
        match what {
            Crossing::Request(name) if name == "sync" => {
                self.asked.insert((from, to, id.to_owned()), self.clock);
            }
            Crossing::Synced(ids) => {
                let Some(at) = self.asked.get(&(to.clone(), from.clone(), id.to_owned())) else {
                    return Err(format!("G10: {from} answers {to} what was not asked"));
                };
                let held = self.held.get(&to);
                let known = |id: &&String| {
                    held.and_then(|held| held.get(*id))
                        .is_some_and(|since| since <= at)
                };
                if let Some(id) = ids.iter().find(known).filter(|_| !self.has_liars) {
                    let payload = self.payloads.get(id);
                    return Err(format!(
                        "G10: {from} sends {to} what it held when it asked: {payload:?}"
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }

    pub fn distributed(&mut self, group: usize) {
        self.distributed.insert(group);
    }

    /// What this service had not flushed is lost, or what it stored is older than it was.
    pub fn lossy(&mut self, service: &BareJid) {
        self.lossy.insert(service.clone());
    }

    /// A service runs again with what it has stored.
    pub fn started(&mut self, service: &BareJid) -> Result<(), String> {
        let is_lossy = self.lossy.remove(service);
        for (room, ids) in std::mem::take(&mut self.waits_parked) {
            if service_of(&room) != *service {
                self.waits_parked.insert(room, ids);
            } else if is_lossy {
                let lost = ids.into_iter().map(|id| (id, self.clock));
                self.before.entry(room).or_default().extend(lost);
            }
        }
        let rooms: Vec<BareJid> = self.before.keys().cloned().collect();
        for room in rooms.into_iter().filter(|room| service_of(room) == *service) {
            let before = self.before.remove(&room).unwrap_or_default();
            let held = self.held.get(&room);
            let lost: Vec<String> = before
                .into_keys()
                .filter(|id| held.is_none_or(|held| !held.contains_key(id)))
                .collect();
            for id in lost {
                let payload = self.payloads.get(&id).cloned().unwrap_or_default();
                if !is_lossy && !self.is_short {
                    return Err(format!("G3: {room} has lost {payload:?} by a restart"));
                }
                if self.origins.get(&payload) == Some(&room) {
                    self.lost_at_home.insert(payload.clone());
                }
                let mut others = self.held.values().chain(self.before.values());
                let mut waits = self.waits.values().flatten();
                if !others.any(|held| held.contains_key(&id)) && !waits.any(|waiting| *waiting == id) {
                    self.excused.insert(payload);
                }
            }
        }
        Ok(())
    }

    /// Messages that their origin said and lost, by a loss of power or a backup, and has not got back though others hold
    /// them. `source_of` says which instance every other takes them from; with those that know them it is not among
    /// them either. From shadows that are not trusted nobody takes what they do not speak for (DESIGN section 5).
    pub fn stranded(&self, source_of: &impl Fn(&BareJid) -> Option<BareJid>) -> BTreeSet<String> {
        let is_stranded = |payload: &&String| {
            let Some(origin) = self.origins.get(*payload) else {
                return false;
            };
            let source = source_of(origin);
            let has = |room: &BareJid| self.holds(room, payload);
            !has(origin) && source.is_some_and(|source| !has(&source))
        };
        self.lost_at_home.iter().filter(is_stranded).cloned().collect()
    }

    /// In the end somebody holds what was reflected; that all hold the same is another question (G6).
    pub fn rested(&self, ended: &BTreeSet<usize>) -> Result<(), String> {
        if let Some((room, ids)) = self.waits.iter().find(|(_, ids)| !ids.is_empty()) {
            return Err(format!(
                "G3: {ids:?} of {room} are not stored yet, and its store answers"
            ));
        }
        if self.is_short {
            return Ok(());
        }
        let held: BTreeSet<&String> = self
            .held
            .values()
            .flat_map(|held| held.keys())
            .filter_map(|id| self.payloads.get(id))
            .collect();
        for (payload, group) in &self.reflected {
            if !ended.contains(group) && !held.contains(payload) && !self.excused.contains(payload) {
                return Err(format!("G3: {payload:?} was reflected, and nobody has it"));
            }
        }
        Ok(())
    }
}
