//! Occupants of other instances: what their homes tell us, who keeps a nick, who is shown.

use std::sync::Arc;

use crate::address::{BareJid, Jid, resourcepart};

use super::cause::Cause;
use super::input::PeerPresence;
use super::state::clock::Now;
use super::state::edition::{News, news};
use super::state::instance::{Remote, Stage};
use super::state::room::Room;
use super::{Action, Engine, RemoteOccupant, Verdict, nick_of, refuse, split};
use crate::error::Error;
use crate::wire::{Affiliation, Condition, Role, limits};

/// Status code of a change of nick (XEP-0045 section 7.6).
pub(super) const NICK_CHANGED: u16 = 303;
/// Status codes that say why somebody left (XEP-0045 section 15.6.2).
const DEPARTURES: [u16; 6] = [301, 307, 321, 322, 332, 333];

/// An occupant as its home announces it.
pub(super) struct Announced<'a> {
    pub(super) nick: &'a str,
    pub(super) jid: Option<&'a Jid>,
    pub(super) affiliation: Affiliation,
    pub(super) role: Role,
    pub(super) occupant_id: Option<&'a str>,
    pub(super) serial: Option<u64>,
    /// The presence's children.
    pub(super) payload: &'a str,
    /// Whether the host has just handed them in.
    pub(super) is_at_hand: bool,
}

impl Engine {
    pub(super) fn peer_presence(&mut self, now: Now, presence: &PeerPresence<'_>) -> Result<Verdict, Error> {
        let (home, jid) = (presence.from.to_bare(), presence.to.to_bare());
        let Some(room) = self.rooms.get(&jid) else {
            return Ok(Verdict::Continue);
        };
        if !room.instances.contains_key(&home) {
            // Who joins or leaves as a user does names neither role nor number.
            let names_occupant = presence.role != Role::None || presence.serial.is_some();
            return self.stranger(&home, names_occupant);
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
        if presence.serial.max(presence.version) > Some(i64::MAX as u64) {
            return Err(refuse(
                Condition::BadRequest,
                "This is no number to count on from",
            ));
        }
        if !room.ready {
            return Err(refuse(Condition::ItemNotFound, "The room is not here yet"));
        }
        if presence.serial.is_some() {
            self.saw_ours(now, &home.service());
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
        self.prove(&jid, &home);
        Ok(Verdict::Done)
    }

    /// Whether a presence is the next change of its home's roster. One that is old is no news; if some are missing, they
    /// are pulled, and this one with them.
    fn is_next_presence(&mut self, now: Now, jid: &BareJid, home: &BareJid, version: Option<u64>) -> bool {
        let instance = self.instance_mut(jid, home);
        let (Some(instance), Some(version)) = (instance, version) else {
            return true;
        };
        match news(instance.roster_version, version) {
            News::Old => false,
            News::Next => true,
            News::Gap => {
                instance.is_synced = false;
                self.want_sync(now, jid, home);
                false
            }
        }
    }

    /// A stanza for a distributed room from a JID that is no instance of it. What only an instance sends is refused to
    /// rooms of services we peer with; anybody else is an ordinary user of the room. A domain among the peers may be one of
    /// users all the same (by mistake), and their JIDs look like those of rooms: the stanza tells them apart.
    pub(super) fn stranger(&self, from: &BareJid, is_instance_like: bool) -> Result<Verdict, Error> {
        if is_instance_like && from.node().is_some() && self.config.peers.contains_key(&from.service()) {
            return Err(refuse(
                Condition::Forbidden,
                "This is not an instance of the room",
            ));
        }
        Ok(Verdict::Continue)
    }

    pub(super) fn announce(
        &mut self,
        now: Now,
        jid: &BareJid,
        home: &BareJid,
        new: Announced<'_>,
    ) -> Result<(), Error> {
        let limit = self.config.max_remote_occupants;
        let Some(room) = self.rooms.get(jid) else {
            return Err(Error::UnknownRoom);
        };
        let Some(instance) = room.instances.get(home) else {
            return Err(Error::UnknownRoom);
        };
        let is_new = !instance.occupants.contains_key(new.nick);
        if is_new && room.remote_count() >= limit {
            return Err(refuse(
                Condition::ResourceConstraint,
                "The room has as many remote occupants as it may",
            ));
        }
        let service = home.service();
        if is_new {
            self.expect_occupant(now, &service)?;
        }
        let is_small = new.payload.len() <= limits::MAX_PRESENCE_BYTES;
        let is_kept = is_small && self.keeps_extensions(now, &service, new.payload.len());
        let Some(room) = self.rooms.get(jid) else {
            return Err(Error::UnknownRoom);
        };
        let old = room
            .instances
            .get(home)
            .and_then(|instance| instance.occupants.get(new.nick));
        // Rights follow a real JID only where the home may name it (DESIGN section 5, G11).
        let is_source = room.is_from_source(home);
        let is_verified = |named: &Jid| is_source || self.config.is_authoritative(&service, named.domain());
        let affiliation = match new.jid {
            _ if is_source => new.affiliation,
            Some(named) if is_verified(named) => room.affiliation_of(named),
            Some(_) => Affiliation::None,
            // Homes name everybody to the source; other shadows show what the home says and give no rights for it. By the
            // serial it shows that it speaks ours, though it may not have said so yet.
            None if !room.is_source() && (self.speaks_ours(home) || new.serial.is_some()) => new.affiliation,
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
        let named = new.jid.filter(|named| is_verified(named));
        // Who is named shows its own occupant-id or none: that of somebody else would make it that person here (G11).
        let is_own = |id: &&str| !named.is_some_and(|named| room.is_forged(named, id));
        let remote = Remote {
            jid: named.cloned(),
            affiliation,
            claimed: new.affiliation,
            role,
            occupant_id: new
                .occupant_id
                .and_then(crate::wire::fitting_id)
                .filter(is_own)
                .map(str::to_owned),
            // Who knows only the XEP's text cannot rename anybody: its occupants come first, everywhere.
            serial: new.serial.unwrap_or(0),
            payload: match is_kept {
                true => Arc::from(new.payload),
                false => Arc::from(""),
            },
            is_made_moderator: old.is_some_and(|old| old.is_made_moderator && Some(old.serial) == new.serial),
            hidden: false,
            rename_by: old.map_or(0, |old| old.rename_by),
        };
        self.place(now, jid, home, new.nick, remote, new.is_at_hand)
    }

    /// Puts an occupant of a peer instance into the room as it is now, and shows what is different.
    fn place(
        &mut self,
        now: Now,
        jid: &BareJid,
        home: &BareJid,
        nick: &str,
        mut remote: Remote,
        is_at_hand: bool,
    ) -> Result<(), Error> {
        let instance = self.instance_mut(jid, home).ok_or(Error::UnknownRoom)?;
        // Who is not shown while the link is down takes no nick from anybody.
        if !instance.is_out {
            self.settle_clash(now, jid, home, nick, &mut remote);
        }
        let how = self.config.split_presence;
        let Some(room) = self.rooms.get_mut(jid) else {
            return Err(Error::UnknownRoom);
        };
        let Some(instance) = room.instances.get_mut(home) else {
            return Err(Error::UnknownRoom);
        };
        instance.left_out.remove(nick);
        instance.acquit(nick);
        let was = instance.occupants.insert(nick.to_owned(), remote.clone());
        let was_shown = was.as_ref().is_some_and(|was| instance.shows(was));
        let is_shown = instance.shows(&remote);
        if was_shown && !is_shown {
            self.actions.push_back(hidden(jid, home, nick));
        } else if is_shown && was.as_ref() != Some(&remote) {
            let is_at_hand = is_at_hand && !instance.is_cut;
            let payload = (!is_at_hand).then(|| split::payload_of(instance, home, &remote, how));
            let occupant = shown(room, home, nick, &remote, payload);
            self.actions.push_back(Action::ShowOccupant(Box::new(occupant)));
        }
        self.unhide(jid, nick);
        Ok(())
    }

    /// It is known only now how occupant-ids are made in this room: those that are somebody else's do not count.
    pub(super) fn drop_forged_ids(&mut self, now: Now, jid: &BareJid) {
        let Some(room) = self.rooms.get(jid) else { return };
        let is_forged = |remote: &Remote| {
            let both = remote.jid.as_ref().zip(remote.occupant_id.as_ref());
            both.is_some_and(|(named, id)| room.is_forged(named, id))
        };
        let mut forged = Vec::new();
        for (home, instance) in &room.instances {
            let occupants = instance.occupants.iter().filter(|(_, remote)| is_forged(remote));
            forged.extend(occupants.map(|(nick, remote)| (home.clone(), nick.clone(), remote.clone())));
        }
        for (home, nick, remote) in forged {
            let remote = Remote {
                occupant_id: None,
                hidden: false,
                ..remote
            };
            // Only a room that is gone would be an error, and it is here.
            let _ = self.place(now, jid, &home, &nick, remote, false);
        }
    }

    /// An occupant of a peer instance is gone.
    pub(super) fn depart(
        &mut self,
        jid: &BareJid,
        home: &BareJid,
        nick: &str,
        how: Option<&PeerPresence<'_>>,
    ) {
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let Some(instance) = room.instances.get_mut(home) else {
            return;
        };
        instance.left_there(nick);
        instance.acquit(nick);
        let Some(remote) = instance.occupants.remove(nick) else {
            return;
        };
        let is_unseen = remote.hidden || instance.is_out;
        self.has_room_again(jid);
        if is_unseen {
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
        let service = peer.service();
        let rooms = self
            .rooms
            .shared_with(&service)
            .filter(|room| room.instances.contains_key(&peer));
        let jids: Vec<BareJid> = rooms.map(|room| room.jid.clone()).collect();
        if jids.is_empty() {
            return Verdict::Continue;
        }
        if Self::is_link_error(error) {
            self.link_failed(now, &service, false, Cause::of_bounce(error));
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
pub(super) fn default_role(affiliation: Affiliation) -> Role {
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
