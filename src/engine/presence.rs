//! Occupants of other instances: what their homes tell us, who keeps a nick, who is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::address::{BareJid, Jid, resourcepart};

use super::clock::Now;
use super::input::PeerPresence;
use super::link::{Caps, service_of};
use super::offers::{OfferKey, Value};
use super::room::{Remote, Room, Stage, SyncStage};
use super::roster::item_bytes;
use super::{Action, Engine, RemoteOccupant, Verdict, nick_of, refuse, split};
use crate::error::Error;
use crate::wire::{
    Affiliation, Condition, Listed, Role, Roster, RosterExtra, RosterItem, StanzaError, limits,
};

/// How large a roster may get that comes in parts (G13).
const MAX_ROSTER_BYTES: usize = 32 * 1024 * 1024;
/// Status code of a change of nick (XEP-0045 section 7.6).
const NICK_CHANGED: u16 = 303;
/// Status codes that say why somebody left (XEP-0045 section 15.6.2).
const DEPARTURES: [u16; 6] = [301, 307, 321, 322, 332, 333];

/// An occupant as its home announces it.
struct Announced<'a> {
    nick: &'a str,
    jid: Option<&'a Jid>,
    affiliation: Affiliation,
    role: Role,
    occupant_id: Option<&'a str>,
    serial: Option<u64>,
    /// The presence's children.
    payload: &'a str,
    /// Whether the host has just handed them in.
    is_at_hand: bool,
}

impl Engine {
    pub(super) fn peer_presence(&mut self, now: Now, presence: &PeerPresence<'_>) -> Result<Verdict, Error> {
        let (home, jid) = (presence.from.to_bare(), presence.to.to_bare());
        let Some(room) = self.rooms.get(&jid) else {
            return Ok(Verdict::Continue);
        };
        if !room.instances.contains_key(&home) {
            return self.stranger(&home);
        }
        let nick = nick_of(presence.from, presence.to)?;
        if presence
            .reason
            .is_some_and(|reason| reason.len() > limits::MAX_TEXT_BYTES)
        {
            return Err(refuse(Condition::BadRequest, "The reason is too long"));
        }
        if presence.payload.len() > self.config.max_stanza_size.min(limits::MAX_PRESENCE_BYTES) {
            return Err(refuse(
                Condition::PolicyViolation,
                "The presence is larger than this room takes",
            ));
        }
        if !room.ready {
            return Err(refuse(Condition::ItemNotFound, "The room is not here yet"));
        }
        if presence.serial.is_some() {
            self.saw_ours(now, &service_of(&home));
        }
        if !self.is_next_presence(now, &jid, &home, presence.version) {
            return Ok(Verdict::Done);
        }
        if presence.available {
            let announced = Announced {
                nick,
                jid: presence.jid,
                affiliation: presence.affiliation,
                role: presence.role,
                occupant_id: presence.occupant_id,
                serial: presence.serial,
                payload: presence.payload,
                is_at_hand: true,
            };
            self.announce(now, &jid, &home, announced)?;
            self.reveal_jids(now, &jid);
        } else {
            self.depart(&jid, &home, nick, Some(presence));
        }
        let instance = self
            .rooms
            .get_mut(&jid)
            .and_then(|room| room.instances.get_mut(&home));
        if let Some(instance) = instance
            && presence.version.is_some()
        {
            instance.roster_version = presence.version;
        }
        Ok(Verdict::Done)
    }

    /// Whether a presence is the next change of its home's roster. One that is old is no news; if some are missing, they
    /// are pulled, and this one with them.
    fn is_next_presence(&mut self, now: Now, jid: &BareJid, home: &BareJid, version: Option<u64>) -> bool {
        let instance = self.instance_mut(jid, home);
        let (Some(instance), Some(version)) = (instance, version) else {
            return true;
        };
        match instance.roster_version {
            Some(held) if version <= held => false,
            Some(held) if version == held + 1 => true,
            _ => {
                instance.is_synced = false;
                self.want_sync(now, jid, home);
                false
            }
        }
    }

    /// A stanza for a distributed room from somebody who is no instance of it: services we peer with are refused,
    /// anybody else is an ordinary user of the room.
    pub(super) fn stranger(&self, from: &BareJid) -> Result<Verdict, Error> {
        if from.node().is_some() && self.config.peers.contains_key(&service_of(from)) {
            return Err(refuse(
                Condition::Forbidden,
                "This is not an instance of the room",
            ));
        }
        Ok(Verdict::Continue)
    }

    /// Puts the parts of a roster together. Returns it when the last one is here.
    pub(super) fn collect_roster(
        &mut self,
        jid: &BareJid,
        home: &BareJid,
        mut roster: Roster,
    ) -> Result<Option<Roster>, Error> {
        let limit = self.config.max_remote_occupants + limits::MAX_ROSTER_ITEMS;
        let room = self.rooms.get_mut(jid).ok_or(Error::UnknownRoom)?;
        // What names only some affiliations adds to those that are known.
        let listed = match roster.affiliations_complete() || !room.is_from_source(home) {
            true => 0,
            false => room.settings.affiliations.len(),
        };
        let instance = room.instances.get_mut(home).ok_or(Error::UnknownRoom)?;
        // Parts of another picture, whose end was lost, are none of this one.
        let version = roster.extra.as_ref().map(|extra| extra.version);
        let is_other = instance.parts_version != version;
        let parts = match is_other {
            true => &[],
            false => instance.roster_parts.as_slice(),
        };
        let bytes: usize = parts.iter().chain(&roster.items).map(item_bytes).sum();
        if bytes > MAX_ROSTER_BYTES || listed + parts.len() + roster.items.len() > limit {
            return Err(refuse(
                Condition::PolicyViolation,
                "The roster is larger than this service takes",
            ));
        }
        if is_other {
            instance.roster_parts.clear();
            instance.parts_version = version;
        }
        let mut items = std::mem::take(&mut instance.roster_parts);
        items.append(&mut roster.items);
        if roster.extra.as_ref().is_some_and(|extra| extra.more) {
            instance.roster_parts = items;
            return Ok(None);
        }
        Ok(Some(Roster { items, ..roster }))
    }

    /// A roster that its home sent by itself. An old one is no news, and if something is missing before it, that is pulled.
    pub(super) fn roster_pushed(&mut self, now: Now, jid: &BareJid, home: &BareJid, roster: &Roster) {
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let (from_source, held) = (room.is_from_source(home), room.settings.version);
        let Some(instance) = room.instances.get_mut(home) else {
            return;
        };
        if let Some(extra) = &roster.extra {
            if extra.occupants && instance.roster_version.is_some_and(|held| extra.version < held) {
                return;
            }
            if let Some(version) = extra
                .settings
                .filter(|_| from_source && !extra.occupants && !extra.affiliations)
            {
                if version <= held {
                    return;
                }
                if version > held + 1 {
                    self.want_sync(now, jid, home);
                    return;
                }
            }
        }
        let is_old =
            |extra: &RosterExtra| extra.affiliations && extra.settings.is_some_and(|version| version < held);
        if from_source && roster.extra.as_ref().is_some_and(is_old) {
            // Its list is no news, its occupants may be.
            let mut occupants = roster.clone();
            occupants.items.retain(|item| item.nick.is_some());
            if let Some(extra) = &mut occupants.extra {
                extra.affiliations = false;
            }
            self.apply_roster(now, jid, home, &occupants);
        } else {
            self.apply_roster(now, jid, home, roster);
        }
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        if let Some(extra) = &roster.extra {
            let is_whole = extra.affiliations && extra.settings == Some(room.settings.form_version);
            let is_part = !extra.affiliations && !extra.occupants;
            if from_source && (is_whole || is_part) {
                room.settings.version = extra.settings.unwrap_or(room.settings.version);
                self.unsaved.insert(jid.clone());
            }
            if extra.occupants
                && let Some(instance) = room.instances.get_mut(home)
            {
                instance.roster_version = Some(extra.version);
            }
        }
        self.after_roster(now, jid, home);
    }

    /// Takes in a roster, or what is different in it: changes only what differs (G6).
    pub(super) fn apply_roster(&mut self, now: Now, jid: &BareJid, home: &BareJid, roster: &Roster) {
        let Some(room) = self
            .rooms
            .get(jid)
            .filter(|room| room.instances.contains_key(home))
        else {
            return;
        };
        let is_source = room.is_from_source(home);
        if roster.extra.is_some() {
            self.saw_ours(now, &service_of(home));
        }
        if is_source {
            self.apply_affiliations(jid, roster);
        }
        for (old, new) in self.changes_of_nick(jid, home, roster) {
            self.rename_remote(jid, home, &old, new);
        }
        if roster.occupants_complete()
            && let Some(instance) = self.instance_mut(jid, home)
        {
            instance.has_banned = false;
        }
        let mut present = BTreeSet::new();
        for item in &roster.items {
            let Some(nick) = &item.nick else { continue };
            if item.role == Some(Role::None) {
                self.depart(jid, home, nick, None);
                continue;
            }
            present.insert(nick.clone());
            let extra = item.occupant.as_ref();
            let announced = Announced {
                nick,
                jid: item.jid.as_ref(),
                affiliation: item.affiliation,
                role: item.role.unwrap_or(default_role(item.affiliation)),
                occupant_id: extra.and_then(|extra| extra.occupant_id.as_deref()),
                serial: extra.map(|extra| extra.serial),
                payload: extra.map_or("", |extra| extra.payload.as_str()),
                is_at_hand: false,
            };
            // One occupant that cannot be taken (a limit, a ban) does not spoil the rest.
            let taken = self.announce(now, jid, home, announced);
            let is_banned = |error: &StanzaError| error.condition == Condition::Forbidden;
            if matches!(&taken, Err(Error::Refused(error)) if is_banned(error))
                && let Some(instance) = self.instance_mut(jid, home)
            {
                instance.has_banned = true;
            }
        }
        if roster.occupants_complete() {
            let instance = self.rooms.get(jid).and_then(|room| room.instances.get(home));
            let gone: Vec<String> = instance.map_or_else(Vec::new, |instance| {
                instance
                    .occupants
                    .keys()
                    .filter(|nick| !present.contains(*nick))
                    .cloned()
                    .collect()
            });
            for nick in gone {
                self.depart(jid, home, &nick, None);
            }
        }
        self.reveal_jids(now, jid);
    }

    /// Takes in the entries of the source's list that give somebody more than it has.
    pub(super) fn raise_affiliations(&mut self, jid: &BareJid, roster: &Roster) {
        let (Some(room), Some(extra)) = (self.rooms.get(jid), &roster.extra) else {
            return;
        };
        let raises = |item: &&RosterItem| {
            let user = item.jid.as_ref().map(Jid::to_bare);
            item.nick.is_none() && user.is_some_and(|user| item.affiliation > room.listed(&user).affiliation)
        };
        let raised = Roster {
            items: roster.items.iter().filter(raises).cloned().collect(),
            extra: Some(RosterExtra {
                occupants: false,
                affiliations: false,
                ..extra.clone()
            }),
        };
        self.apply_affiliations(jid, &raised);
    }

    /// Who has another nick in a roster than here, by the occupant-id: an old nick that is gone and a new one that is
    /// nobody's here. Each old nick once, each new one once.
    fn changes_of_nick(&self, jid: &BareJid, home: &BareJid, roster: &Roster) -> Vec<(String, String)> {
        let Some(room) = self.rooms.get(jid) else {
            return Vec::new();
        };
        let Some(instance) = room.instances.get(home) else {
            return Vec::new();
        };
        let (mut present, mut absent) = (BTreeMap::new(), BTreeSet::new());
        for item in &roster.items {
            let Some(nick) = item.nick.as_deref() else {
                continue;
            };
            if item.role == Some(Role::None) {
                absent.insert(nick);
            } else {
                let id = item
                    .occupant
                    .as_ref()
                    .and_then(|extra| extra.occupant_id.as_deref());
                present.insert(nick, id);
            }
        }
        let is_whole = roster.occupants_complete();
        let gone = instance
            .occupants
            .iter()
            .filter(|(nick, _)| {
                absent.contains(nick.as_str()) || is_whole && !present.contains_key(nick.as_str())
            })
            .filter_map(|(nick, remote)| Some((remote.occupant_id.as_deref()?, nick.as_str())));
        let mut gone_by_id: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        // The first of several that one person has is taken first.
        gone.rev()
            .for_each(|(id, nick)| gone_by_id.entry(id).or_default().push(nick));
        let mut changes = Vec::new();
        for (new, id) in present {
            if room.locals.contains_key(new) || room.remote(new).is_some() {
                continue;
            }
            let old = id.and_then(|id| gone_by_id.get_mut(id)).and_then(Vec::pop);
            if let Some(old) = old {
                changes.push((old.to_owned(), new.to_owned()));
            }
        }
        changes
    }

    /// An occupant of a peer instance has taken another nick: gone with 303 (XEP-0045 section 7.6), and announced
    /// after that.
    fn rename_remote(&mut self, jid: &BareJid, home: &BareJid, old: &str, new: String) {
        let Some(instance) = self.instance_mut(jid, home) else {
            return;
        };
        let Some(remote) = instance.occupants.remove(old) else {
            return;
        };
        if !instance.shows(&remote) {
            return;
        }
        self.actions.push_back(Action::HideOccupant {
            room: jid.clone(),
            home: home.clone(),
            nick: old.to_owned(),
            codes: vec![NICK_CHANGED],
            new_nick: Some(new),
            actor: None,
            reason: None,
        });
        self.unhide(jid, old);
    }

    fn apply_affiliations(&mut self, jid: &BareJid, roster: &Roster) {
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let is_ours = roster.extra.is_some();
        let mut listed = BTreeSet::new();
        let mut changed = Vec::new();
        for item in &roster.items {
            // In the XEP's form an occupant's item is also the entry of its bare JID.
            let is_entry = item.nick.is_none() || (!is_ours && item.affiliation != Affiliation::None);
            let Some(user) = item.jid.as_ref().map(Jid::to_bare).filter(|_| is_entry) else {
                continue;
            };
            listed.insert(user.clone());
            let entry = Listed {
                affiliation: item.affiliation,
                nick: item.reserved_nick.clone(),
            };
            changed.push((user, entry, Some(item)));
        }
        if roster.affiliations_complete() {
            let offered = room.offers.keys().filter_map(|key| match key {
                OfferKey::Affiliation(user) => Some(user),
                _ => None,
            });
            let known = room.settings.affiliations.keys().chain(offered);
            let gone = known.filter(|user| !listed.contains(*user));
            changed.extend(gone.map(|user| (user.clone(), Listed::default(), None)));
        }
        for (user, entry, item) in changed {
            let key = OfferKey::Affiliation(user.clone());
            let was = self.rooms.get(jid).map(|room| room.listed(&user));
            let is_new = was.as_ref() != Some(&entry);
            let hats = item.map(|item| item.hats.clone()).unwrap_or_default();
            let has_hats = !hats.is_empty();
            let is_new_hat = self
                .rooms
                .get_mut(jid)
                .is_some_and(|room| room.set_hats(&user, hats));
            let mut is_shown = false;
            if self.source_says(jid, &key, &Value::Listed(entry.clone())) && is_new {
                let reason = item.and_then(|item| item.reason.clone());
                let actor = item.and_then(|item| item.actor.clone());
                self.show_affiliation(jid, &user, &entry, reason, actor);
                self.unsaved.insert(jid.clone());
                is_shown = true;
            }
            if is_new_hat {
                self.unsaved.insert(jid.clone());
                if !(is_shown && has_hats) {
                    self.show_hats(jid, &user);
                }
            }
        }
    }

    /// An entry of the list is in force: the host shows it, and the occupants it is about have it.
    pub(super) fn show_affiliation(
        &mut self,
        jid: &BareJid,
        user: &BareJid,
        entry: &Listed,
        reason: Option<String>,
        actor: Option<String>,
    ) {
        self.actions.push_back(Action::ApplyAffiliation {
            room: jid.clone(),
            jid: user.clone(),
            affiliation: entry.affiliation,
            reserved_nick: entry.nick.clone(),
            reason,
            actor,
        });
        // Who comes back to the list has the hats again that go with it.
        let has_hats = |room: &Room| room.settings.hats.contains_key(user);
        if self.rooms.get(jid).is_some_and(has_hats) {
            self.show_hats(jid, user);
        }
        self.follow_affiliation(jid, user);
    }

    /// Occupants of other instances whose real JID is known here have the affiliation of the list at once, as mod_muc
    /// has it. With which role their homes say; where they have said so already, that counts again. Who is banned is
    /// removed by its home.
    pub(super) fn follow_affiliation(&mut self, jid: &BareJid, user: &BareJid) {
        self.relisted.insert(jid.clone());
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let affiliation = room.affiliation_of(&Jid::from(user.clone()));
        if affiliation == Affiliation::Outcast {
            return;
        }
        let mut changed = Vec::new();
        for (home, instance) in &mut room.instances {
            for (nick, remote) in &mut instance.occupants {
                let is_it = remote.jid.as_ref().is_some_and(|named| named.to_bare() == *user);
                if is_it && remote.affiliation != affiliation {
                    remote.affiliation = affiliation;
                    if !remote.hidden && !instance.is_out && remote.claimed == affiliation {
                        changed.push((home.clone(), nick.clone(), remote.clone()));
                    }
                }
            }
        }
        for (home, nick, remote) in changed {
            let occupant = shown(room, &home, &nick, &remote, None);
            self.actions.push_back(Action::ShowOccupant(Box::new(occupant)));
        }
    }

    /// What follows a roster: our own, if it is awaited, and our question for the history of who sends its first.
    fn after_roster(&mut self, now: Now, jid: &BareJid, home: &BareJid) {
        self.greeted(jid, home);
        let Some(room) = self.rooms.get(jid) else { return };
        let Some(instance) = room.instances.get(home) else {
            return;
        };
        let is_plain = self.caps(&service_of(home)) == Caps::Xep;
        let asks_history = is_plain && room.is_from_source(home) && !instance.was_asked;
        let is_behind = !instance.is_synced;
        if instance.needs_roster {
            self.send_roster(now, jid, home);
        }
        if asks_history {
            self.ask_history(now, jid, home);
        } else if is_behind {
            self.want_sync(now, jid, home);
        }
    }

    fn announce(&mut self, now: Now, jid: &BareJid, home: &BareJid, new: Announced<'_>) -> Result<(), Error> {
        let limit = self.config.max_remote_occupants;
        let Some(room) = self.rooms.get(jid) else {
            return Err(Error::UnknownRoom);
        };
        let Some(instance) = room.instances.get(home) else {
            return Err(Error::UnknownRoom);
        };
        let old = instance.occupants.get(new.nick);
        if old.is_none() && room.remote_count() >= limit {
            return Err(refuse(
                Condition::ResourceConstraint,
                "The room has as many remote occupants as it may",
            ));
        }
        // Rights follow a real JID only where the home may name it (DESIGN section 5, G11).
        let is_source = room.is_from_source(home);
        let service = service_of(home);
        let is_verified = |named: &Jid| is_source || self.config.is_authoritative(&service, named.domain());
        let affiliation = match new.jid {
            _ if is_source => new.affiliation,
            Some(named) if is_verified(named) => room.affiliation_of(named),
            Some(_) => Affiliation::None,
            // Homes name everybody to the source; other shadows show what the home says and give no rights for it.
            None if !room.is_source() && self.speaks_ours(home) => new.affiliation,
            None => Affiliation::None,
        };
        if affiliation == Affiliation::Outcast {
            return Err(refuse(Condition::Forbidden, "The occupant is banned"));
        }
        let role = if new.role == Role::None {
            default_role(affiliation)
        } else {
            new.role
        };
        let mut remote = Remote {
            jid: new.jid.filter(|named| is_verified(named)).cloned(),
            affiliation,
            claimed: new.affiliation,
            role,
            occupant_id: new
                .occupant_id
                .filter(|id| id.len() <= limits::MAX_ID_BYTES)
                .map(str::to_owned),
            // Who knows only the XEP's text cannot rename anybody: its occupants come first, everywhere.
            serial: new.serial.unwrap_or(0),
            payload: match new.payload.len() > limits::MAX_PRESENCE_BYTES {
                true => Arc::from(""),
                false => Arc::from(new.payload),
            },
            hidden: false,
            rename_by: old.map_or(0, |old| old.rename_by),
        };
        // Who is not shown while the link is down takes no nick from anybody.
        if !instance.is_out {
            self.settle_clash(now, jid, home, new.nick, &mut remote);
        }
        let how = self.config.split_presence;
        let Some(room) = self.rooms.get_mut(jid) else {
            return Err(Error::UnknownRoom);
        };
        let Some(instance) = room.instances.get_mut(home) else {
            return Err(Error::UnknownRoom);
        };
        let was = instance.occupants.insert(new.nick.to_owned(), remote.clone());
        let was_shown = was.as_ref().is_some_and(|was| instance.shows(was));
        let is_shown = instance.shows(&remote);
        if was_shown && !is_shown {
            self.actions.push_back(hidden(jid, home, new.nick));
        } else if is_shown && was.as_ref() != Some(&remote) {
            let is_at_hand = new.is_at_hand && !instance.is_cut;
            let payload = (!is_at_hand).then(|| split::payload_of(instance, home, &remote, how));
            let occupant = shown(room, home, new.nick, &remote, payload);
            self.actions.push_back(Action::ShowOccupant(Box::new(occupant)));
        }
        self.unhide(jid, new.nick);
        Ok(())
    }

    /// The list has changed: who was announced while banned is perhaps banned no more, and its home does not tell again.
    pub(super) fn take_banned_again(&mut self, now: Now, jid: &BareJid) {
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let mut peers = Vec::new();
        for (peer, instance) in &mut room.instances {
            if std::mem::take(&mut instance.has_banned) {
                (instance.roster_version, instance.is_synced) = (None, false);
                instance.wants_whole = instance.sync == SyncStage::Asked;
                peers.push(peer.clone());
            }
        }
        for peer in peers {
            self.want_sync(now, jid, &peer);
        }
    }

    /// An occupant of a peer instance is gone.
    fn depart(&mut self, jid: &BareJid, home: &BareJid, nick: &str, how: Option<&PeerPresence<'_>>) {
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let Some(instance) = room.instances.get_mut(home) else {
            return;
        };
        let Some(remote) = instance.occupants.remove(nick) else {
            return;
        };
        if remote.hidden || instance.is_out {
            return;
        }
        // A change of nick names the new one; a code that is not about leaving would mislead clients.
        let new_nick = how
            .filter(|how| how.codes.contains(&NICK_CHANGED))
            .and_then(|how| how.new_nick)
            .and_then(|nick| resourcepart(nick).ok());
        let told = |code: &u16| DEPARTURES.contains(code) || *code == NICK_CHANGED && new_nick.is_some();
        self.actions.push_back(Action::HideOccupant {
            room: jid.clone(),
            home: home.clone(),
            nick: nick.to_owned(),
            codes: how.map_or_else(Vec::new, |how| how.codes.iter().copied().filter(told).collect()),
            new_nick,
            actor: how.and_then(|how| how.actor).map(str::to_owned),
            reason: how.and_then(|how| how.reason).map(str::to_owned),
        });
        self.unhide(jid, nick);
    }

    /// A stanza bounced. That says something of the link, nothing of occupants (G8).
    pub(super) fn peer_error(&mut self, now: Now, from: &Jid, error: &crate::wire::StanzaError) -> Verdict {
        let peer = from.to_bare();
        let service = service_of(&peer);
        let rooms = self
            .rooms
            .values()
            .filter(|room| room.instances.contains_key(&peer));
        let jids: Vec<BareJid> = rooms.map(|room| room.jid.clone()).collect();
        if jids.is_empty() {
            return Verdict::Continue;
        }
        if Self::is_link_error(error) {
            self.link_failed(now, &service, false);
        } else if error.condition == Condition::Conflict {
            // Somebody there has the nick of the occupant that spoke, and we have not heard of them.
            let mut is_repeated = false;
            for jid in jids {
                if let Some(nick) = from.resource() {
                    is_repeated |= self.lose_nick(&jid, nick, &peer);
                }
            }
            if is_repeated {
                return Verdict::Continue;
            }
        } else if matches!(error.condition, Condition::ItemNotFound | Condition::Forbidden) {
            // It does not know what we think it knows: bring it up again.
            for jid in jids {
                let Some(room) = self.rooms.get_mut(&jid) else {
                    continue;
                };
                let is_source = room.is_source();
                let Some(instance) = room.instances.get_mut(&peer) else {
                    continue;
                };
                if instance.stage == Stage::Active && instance.retry_at.is_none() {
                    if is_source && error.condition == Condition::ItemNotFound {
                        self.lost_there(now, &jid, &peer);
                    } else {
                        instance.retry_at = Some(now.mono_ms + super::replication::ROSTER_RETRY_MS);
                        self.timed.insert(jid.clone());
                    }
                }
            }
        }
        Verdict::Done
    }
}

/// Takes an occupant out of sight, without a word about why.
pub(super) fn hidden(jid: &BareJid, home: &BareJid, nick: &str) -> Action {
    Action::HideOccupant {
        room: jid.clone(),
        home: home.clone(),
        nick: nick.to_owned(),
        codes: Vec::new(),
        new_nick: None,
        actor: None,
        reason: None,
    }
}

/// The role a peer that names none means.
fn default_role(affiliation: Affiliation) -> Role {
    if affiliation >= Affiliation::Admin {
        Role::Moderator
    } else {
        Role::Participant
    }
}

pub(super) fn shown(
    room: &Room,
    home: &BareJid,
    nick: &str,
    remote: &Remote,
    payload: Option<String>,
) -> RemoteOccupant {
    RemoteOccupant {
        room: room.jid.clone(),
        home: home.clone(),
        nick: nick.to_owned(),
        jid: remote.jid.clone(),
        affiliation: remote.affiliation,
        role: remote.role,
        occupant_id: remote.occupant_id.clone(),
        payload,
    }
}
