//! An instance of a room as its people, its archive and its engine have it, for comparison.

use std::collections::{BTreeMap, BTreeSet};

use dmuc::address::BareJid;
use dmuc::wire::{Affiliation, Role, limits};

use crate::check::View;
use crate::support::event::SeenMessage;
use crate::support::names::service_of;
use crate::support::room::Listed;
use crate::world::World;

impl World {
    /// Who came to a service of the XEP's text before that knew of this instance, which a fault may have delayed: it does
    /// not tell again.
    fn untold(&self, room: &BareJid) -> BTreeSet<(String, BareJid)> {
        if !self.fed.net.was_touched(&service_of(room)) {
            return BTreeSet::new();
        }
        let is_untold = |((home, _), came_at): &(&(BareJid, String), &u64)| {
            let known_at = self.known_at.get(&(home.clone(), room.clone()));
            known_at.is_some_and(|known_at| *came_at < known_at)
        };
        let untold = self.came_at.iter().filter(is_untold);
        untold
            .map(|((home, nick), _)| (nick.clone(), home.clone()))
            .collect()
    }

    pub fn view(&self, room: &BareJid) -> View {
        if self.is_xep(room) {
            let entry = &self.fed.xep[&service_of(room)].rooms[room];
            let mut roster: BTreeMap<String, BTreeMap<BareJid, String>> = BTreeMap::new();
            for nick in entry.locals.keys() {
                roster
                    .entry(nick.clone())
                    .or_default()
                    .insert(room.clone(), String::new());
            }
            for (nick, home) in entry.remotes.keys() {
                roster
                    .entry(nick.clone())
                    .or_default()
                    .insert(home.clone(), String::new());
            }
            return View {
                instance: room.to_string(),
                is_xep: true,
                roster,
                ..View::default()
            };
        }
        let (host, host_room) = (self.host(room), self.host(room).room(room));
        let shown_as = |affiliation: Affiliation, role: Role, id: &Option<String>, payload: &str| {
            format!("{affiliation:?} {role:?} {id:?} {payload}")
        };
        let mut roster: BTreeMap<String, BTreeMap<BareJid, String>> = BTreeMap::new();
        let mut present = Vec::new();
        for (nick, occupant) in &host_room.occupants {
            let homes = roster.entry(nick.clone()).or_default();
            if let Some(local) = &occupant.local {
                let id = Some(local.occupant_id.clone());
                homes.insert(
                    room.clone(),
                    shown_as(local.affiliation, local.role, &id, &local.payload),
                );
                present.push((local.jid.to_bare(), nick.clone()));
            }
            for (home, remote) in &occupant.remote {
                let shown = shown_as(
                    remote.affiliation,
                    remote.role,
                    &remote.occupant_id,
                    &remote.payload,
                );
                homes.insert(home.clone(), shown);
            }
        }
        let as_seen = |entry: &dmuc::engine::Entry| SeenMessage {
            nick: entry.nick.clone(),
            payload: entry.payload.to_string(),
            message_id: entry.message_id.clone(),
            stanza_id: Some(entry.id.clone()),
            occupant_id: entry.occupant_id.clone(),
            delayed: true,
        };
        let liars = &self.fed.liars;
        let of_liars = |room: &BareJid| liars.contains(&service_of(room));
        let mut contested = BTreeSet::new();
        for (nick, homes) in &mut roster {
            let count = homes.len();
            homes.retain(|home, _| !of_liars(home));
            if homes.len() < count {
                contested.insert(nick.clone());
            }
        }
        let messages = host.messages(room);
        let held = messages.iter().filter(|entry| of_liars(&entry.key.origin));
        let logged = host.logs.get(room).into_iter().flatten();
        let logged = logged.filter(|entry| entry.event.origin.as_ref().is_some_and(of_liars));
        let lies: BTreeSet<String> = held
            .map(|entry| entry.id.clone())
            .chain(logged.map(|entry| entry.event.id.clone()))
            .collect();
        let mut shown = Vec::new();
        for occupant in host.engine.remote_occupants(room) {
            let remote = host_room
                .occupants
                .get(&occupant.nick)
                .and_then(|here| here.remote.get(&occupant.home));
            let same = remote.is_some_and(|remote| {
                (remote.affiliation, remote.role, &remote.occupant_id)
                    == (occupant.affiliation, occupant.role, &occupant.occupant_id)
            });
            if !same {
                shown.push(format!(
                    "the engine holds {occupant:?}, the room shows {remote:?}"
                ));
            }
        }
        let remotes: usize = host_room
            .occupants
            .values()
            .map(|occupant| occupant.remote.len())
            .sum();
        if remotes != host.engine.remote_occupants(room).len() {
            shown.push(format!(
                "the room shows {remotes} remote occupants, the engine holds others"
            ));
        }
        let affiliations = host_room
            .affiliations
            .iter()
            .map(|(user, entry)| (user.clone(), format!("{:?}", as_others_take_it(entry))));
        let mut texts: Vec<(String, String)> = Vec::new();
        for entry in &messages {
            texts.push((entry.id.clone(), entry.payload.to_string()));
        }
        for message in &host_room.archive {
            texts.push((message.stanza_id.clone(), message.payload.clone()));
        }
        for entry in host.logs.get(room).into_iter().flatten() {
            texts.push((entry.event.id.clone(), entry.payload.to_string()));
        }
        let registered = host_room.affiliations.iter();
        let registered = registered
            .filter_map(|(user, entry)| Some((user.clone(), as_others_take_it(entry).nick?)))
            .collect();
        texts.retain(|(id, _)| !lies.contains(id));
        let mut form = host_room.form.fields.clone();
        form.sort();
        View {
            instance: room.to_string(),
            is_xep: false,
            history: messages
                .iter()
                .filter(|entry| !lies.contains(&entry.id))
                .map(as_seen)
                .collect(),
            archive: host_room
                .archive
                .iter()
                .map(|message| message.stanza_id.clone())
                .filter(|id| !lies.contains(id))
                .collect(),
            roster,
            contested,
            texts,
            registered,
            settings: format!(
                "{form:?} {:?} {}",
                host_room
                    .subject
                    .as_ref()
                    .map(|(_, text)| text)
                    .filter(|text| !text.is_empty()),
                host_room.vcard
            ),
            affiliations: affiliations.collect(),
            present,
            max_messages: self.plan.setup.log_max_messages,
            untold: self.untold(room),
            stored: host.logs.get(room).map_or(0, Vec::len),
            disagreements: shown,
        }
    }
}

/// A reserved nick that is too long for other instances is the host's own.
fn as_others_take_it(entry: &Listed) -> Listed {
    let is_fitting = |nick: &String| nick.len() <= limits::MAX_PART_BYTES;
    Listed {
        affiliation: entry.affiliation,
        nick: entry.nick.clone().filter(is_fitting),
    }
}
