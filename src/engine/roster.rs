//! Our occupants on their way to the other instances: one presence, or one roster, per instance (G1).

use std::sync::Arc;

use crate::address::BareJid;

use super::input::Departure;
use super::link::Caps;
use super::request::Pending;
use super::state::clock::Now;
use super::state::instance::Stage;
use super::state::room::{Local, Room};
use super::{Action, Engine, SendPresence};
use crate::wire::{Affiliation, Hats, OccupantExtra, Request, Role, Roster, RosterExtra, RosterItem};

/// About how large one roster stanza gets: others are sent and read between its parts (DESIGN section 11).
pub(super) const PART_BYTES: usize = 65_536;
/// About what an item costs besides its payload.
const ITEM_BYTES: usize = 300;
/// About what a presence costs.
const PRESENCE_BYTES: usize = 500;
/// About what a hat costs besides its text.
const HAT_BYTES: usize = 40;
/// How much longer a nick or an address may get when it is written: `&quot;`.
const ESCAPED: usize = 6;

impl Engine {
    /// Whether `instance` may learn real JIDs: everybody in a non-anonymous room; else the source, which
    /// enforces bans, and instances that host somebody entitled to see them (DESIGN section 5).
    pub(super) fn may_see_jids(&self, room: &Room, instance: &BareJid) -> bool {
        if room.is_non_anonymous() || room.is_from_source(instance) {
            return true;
        }
        let is_trusted = self.config.is_trusted(&instance.service());
        room.instances.get(instance).is_some_and(|instance| {
            instance.occupants.values().any(|remote| {
                let verified = remote.jid.as_ref().map(|jid| room.affiliation_of(jid));
                remote.role == Role::Moderator && (is_trusted || verified >= Some(Affiliation::Admin))
            })
        })
    }

    /// Sends the whole roster to an instance that has just been given the right to see real JIDs.
    pub(super) fn reveal_jids(&mut self, now: Now, jid: &BareJid) {
        let Some(room) = self.rooms.get(jid) else { return };
        let entitled: Vec<BareJid> = room
            .instances
            .iter()
            .filter(|(peer, instance)| {
                instance.takes_events() && instance.lacks_jids && self.may_see_jids(room, peer)
            })
            .map(|(peer, _)| peer.clone())
            .collect();
        for peer in entitled {
            if self.rooms.get(jid).is_some_and(|room| !room.locals.is_empty()) {
                self.send_roster(now, jid, &peer);
            }
        }
    }

    /// Our occupants, and from the source all affiliations, to one instance.
    ///
    /// Returns about how many bytes that are.
    pub(super) fn send_roster(&mut self, now: Now, jid: &BareJid, peer: &BareJid) -> usize {
        let is_full = self.speaks_ours(peer);
        let part_bytes = self.most_bytes(&peer.service(), PART_BYTES);
        let Some(room) = self.rooms.get(jid) else { return 0 };
        if room.is_source() || is_full {
            let roster = self.take_roster(jid, peer);
            let bytes = roster.items.iter().map(item_bytes).sum();
            let mut parts = split(roster, part_bytes);
            let last = parts.pop();
            for part in parts {
                let pending = Pending::RosterPart {
                    room: jid.clone(),
                    instance: peer.clone(),
                };
                self.request(now, jid.clone(), peer.clone(), Request::Roster(part), pending);
            }
            if let Some(part) = last {
                let pending = Pending::Roster {
                    room: jid.clone(),
                    instance: peer.clone(),
                };
                self.request(now, jid.clone(), peer.clone(), Request::Roster(part), pending);
            }
            return bytes;
        }
        if self.caps(&peer.service()) == Caps::Unknown {
            // Who is asked meanwhile what it speaks pulls it, or is told when it has answered.
            return 0;
        }
        // A shadow that speaks only the XEP's text learns of another shadow's occupants by presence.
        let nicks: Vec<String> = room.locals.keys().cloned().collect();
        for nick in &nicks {
            self.send_presence(jid, peer, nick);
        }
        nicks.len() * PRESENCE_BYTES
    }

    /// The roster for `peer`, which is about to get it.
    pub(super) fn take_roster(&mut self, jid: &BareJid, peer: &BareJid) -> Roster {
        // Who has been told our occupants with their occupant-ids must not be told them without (G5): also while it is being
        // asked what it speaks, after a restart.
        let instance = self.rooms.get(jid).and_then(|room| room.instances.get(peer));
        let is_full = instance.is_some_and(|instance| self.numbers(&peer.service(), instance));
        let Some(room) = self.rooms.get(jid) else {
            return Roster {
                items: Vec::new(),
                extra: None,
            };
        };
        let sees_jids = self.may_see_jids(room, peer);
        let is_source = room.is_source();
        let lacks_jids = !sees_jids && !room.locals.is_empty();
        let mut items: Vec<RosterItem> = room
            .locals
            .iter()
            .map(|(nick, local)| item(nick, local, sees_jids, is_full))
            .collect();
        if is_source {
            items.extend(room.settings.affiliations.keys().map(|user| room.entry(user)));
        }
        let extra = is_full.then_some(RosterExtra {
            version: room.roster_version,
            occupants: true,
            affiliations: is_source,
            more: false,
            part: 0,
            term: Some(room.settings.term),
            settings: is_source.then_some(room.settings.version),
        });
        if let Some(instance) = self.instance_mut(jid, peer) {
            instance.lacks_jids = lacks_jids;
            instance.needs_roster = false;
        }
        Roster { items, extra }
    }

    /// One changed affiliation to every shadow; the whole roster to those that know no partial ones.
    pub(super) fn send_affiliation(&mut self, now: Now, jid: &BareJid, item: &RosterItem) {
        let Some(room) = self.rooms.get(jid) else { return };
        let extra = RosterExtra {
            version: room.roster_version,
            occupants: false,
            affiliations: false,
            more: false,
            part: 0,
            term: Some(room.settings.term),
            settings: Some(room.settings.version),
        };
        for peer in self.receivers(jid) {
            if self.speaks_ours(&peer) {
                let request = Request::Roster(Roster {
                    items: vec![item.clone()],
                    extra: Some(extra.clone()),
                });
                self.request(now, jid.clone(), peer, request, Pending::Nothing);
            } else {
                self.send_roster(now, jid, &peer);
            }
        }
    }

    /// The instances that presences and messages go to: not those behind a link that is down, which pull what they have
    /// missed when it is up again.
    pub(super) fn receivers(&self, jid: &BareJid) -> Vec<BareJid> {
        let Some(room) = self.rooms.get(jid) else {
            return Vec::new();
        };
        let takes = |(peer, instance): &(&BareJid, &super::state::instance::Instance)| {
            // Nothing is sent either before it is known what the peer speaks.
            let is_reached = match self.caps(&peer.service()) {
                Caps::Full => self.is_link_open(&peer.service()),
                caps => caps == Caps::Xep,
            };
            // Who knows only the XEP's text is met by presences, and cannot ask later for what it was not sent.
            let is_met_so = self.caps(&peer.service()) == Caps::Xep && instance.stage == Stage::Active;
            (instance.takes_events() || is_met_so) && is_reached
        };
        room.instances
            .iter()
            .filter(takes)
            .map(|(peer, _)| peer.clone())
            .collect()
    }

    pub(super) fn send_presence_to_all(&mut self, jid: &BareJid, nick: &str) {
        for peer in self.receivers(jid) {
            self.send_presence(jid, &peer, nick);
        }
    }

    fn send_presence(&mut self, jid: &BareJid, peer: &BareJid, nick: &str) {
        let is_full = self.speaks_ours(peer);
        let Some(room) = self.rooms.get(jid) else { return };
        let Some(local) = room.locals.get(nick) else {
            return;
        };
        let sees_jids = self.may_see_jids(room, peer);
        self.actions
            .push_back(Action::SendPresence(Box::new(SendPresence {
                room: jid.clone(),
                to: peer.clone(),
                nick: nick.to_owned(),
                available: true,
                affiliation: local.affiliation,
                role: local.role,
                jid: (sees_jids || shows_itself(local)).then(|| local.jid.clone()),
                serial: is_full.then_some(local.serial),
                version: is_full.then_some(local.version),
                occupant_id: local.occupant_id.clone(),
                codes: Vec::new(),
                new_nick: None,
                actor: None,
                reason: None,
                payload: local.payload.clone(),
            })));
        let instance = self.instance_mut(jid, peer);
        if let Some(instance) = instance
            && !sees_jids
        {
            instance.lacks_jids = true;
        }
    }

    pub(super) fn send_departure_to_all(&mut self, jid: &BareJid, departure: &Departure<'_>, local: &Local) {
        for peer in self.receivers(jid) {
            self.send_departure(jid, peer, departure, local);
        }
    }

    fn send_departure(&mut self, jid: &BareJid, peer: BareJid, departure: &Departure<'_>, local: &Local) {
        let is_full = self.speaks_ours(&peer);
        let version = self.rooms.get(jid).map(|room| room.roster_version);
        self.actions
            .push_back(Action::SendPresence(Box::new(SendPresence {
                room: jid.clone(),
                to: peer,
                nick: departure.nick.to_owned(),
                available: false,
                affiliation: departure.affiliation.unwrap_or(local.affiliation),
                // Who changes the nick keeps the role (XEP-0045 section 7.6).
                role: match departure.new_nick {
                    Some(_) => local.role,
                    None => Role::None,
                },
                jid: None,
                serial: is_full.then_some(local.serial),
                version: version.filter(|_| is_full),
                occupant_id: local.occupant_id.clone(),
                codes: departure.codes.to_vec(),
                new_nick: departure.new_nick.map(str::to_owned),
                actor: departure.actor.map(str::to_owned),
                reason: departure.reason.map(crate::wire::fitting_text),
                payload: Arc::from(departure.payload),
            })));
    }

    /// The room ends here: instances that know only the XEP's text see our occupants leave, the others are told.
    pub(super) fn tell_departures(&mut self, jid: &BareJid) {
        let mut peers = self.receivers(jid);
        peers.retain(|peer| !self.speaks_ours(peer));
        for peer in peers {
            self.tell_departures_to(jid, &peer);
        }
    }

    /// One instance sees our occupants leave.
    pub(super) fn tell_departures_to(&mut self, jid: &BareJid, peer: &BareJid) {
        let Some(room) = self.rooms.get(jid) else { return };
        let locals: Vec<(String, Local)> = room
            .locals
            .iter()
            .map(|(nick, local)| (nick.clone(), local.clone()))
            .collect();
        for (nick, local) in &locals {
            let departure = Departure {
                nick,
                ..Departure::default()
            };
            self.send_departure(jid, peer.clone(), &departure, local);
        }
    }
}

/// Who administers the room is on the list everybody has, and by naming it its instance shows that it hosts
/// somebody who may see the others' real JIDs.
fn shows_itself(local: &Local) -> bool {
    local.role == Role::Moderator && local.affiliation >= Affiliation::Admin
}

/// About what an item costs in a stanza, at most.
pub(super) fn item_bytes(item: &RosterItem) -> usize {
    let names = [&item.nick, &item.reserved_nick].into_iter().flatten();
    let jid = item.jid.as_ref().map_or(0, |jid| jid.as_str().len());
    let payload = item.occupant.as_ref().map_or(0, |extra| extra.payload.len());
    let hats = item.hats.iter();
    let hats: usize = hats
        .map(|hat| {
            let texts = [
                Some(&hat.uri),
                hat.title.as_ref(),
                hat.hue.as_ref(),
                hat.lang.as_ref(),
            ];
            let texts: usize = texts.into_iter().flatten().map(String::len).sum();
            HAT_BYTES + ESCAPED * texts + hat.payload.len()
        })
        .sum();
    ITEM_BYTES + payload + hats + ESCAPED * (jid + names.map(String::len).sum::<usize>())
}

/// Parts of about so many bytes. A peer that knows no parts gets the whole.
fn split(roster: Roster, part_bytes: usize) -> Vec<Roster> {
    let Some(extra) = roster.extra else {
        return vec![roster];
    };
    let mut parts = Vec::new();
    let (mut items, mut bytes) = (Vec::new(), 0);
    for item in roster.items {
        if bytes + item_bytes(&item) > part_bytes && !items.is_empty() {
            let extra = Some(RosterExtra {
                more: true,
                part: parts.len() as u64,
                ..extra.clone()
            });
            parts.push(Roster {
                items: std::mem::take(&mut items),
                extra,
            });
            bytes = 0;
        }
        bytes += item_bytes(&item);
        items.push(item);
    }
    let part = parts.len() as u64;
    parts.push(Roster {
        items,
        extra: Some(RosterExtra { part, ..extra }),
    });
    parts
}

pub(super) fn item(nick: &str, local: &Local, sees_jids: bool, is_full: bool) -> RosterItem {
    RosterItem {
        affiliation: local.affiliation,
        role: Some(local.role),
        jid: (sees_jids || shows_itself(local)).then(|| local.jid.clone()),
        nick: Some(nick.to_owned()),
        reserved_nick: None,
        hats: Hats::default(),
        reason: None,
        actor: None,
        occupant: is_full.then(|| OccupantExtra {
            occupant_id: local.occupant_id.clone(),
            serial: local.serial,
            payload: local.payload.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Jid;

    #[test]
    fn a_large_roster_goes_in_parts_that_fit_and_the_last_one_says_so() {
        let local = Local {
            jid: Jid::new("hag66@shakespeare.lit/pda").unwrap(),
            affiliation: Affiliation::None,
            role: Role::Participant,
            occupant_id: None,
            serial: 1,
            payload: "x".repeat(1_000).into(),
            version: 1,
            gave_way_to: Default::default(),
        };
        let items: Vec<RosterItem> = (0..1_000)
            .map(|n| item(&format!("n{n}"), &local, true, true))
            .collect();
        let extra = RosterExtra {
            occupants: true,
            ..RosterExtra::default()
        };
        let whole = Roster {
            items: items.clone(),
            extra: Some(extra),
        };
        let parts = split(whole.clone(), PART_BYTES);
        assert!(parts.len() > 1);
        assert!(
            parts
                .iter()
                .all(|part| Request::Roster(part.clone()).to_xml().len() < 500_000)
        );
        let more: Vec<bool> = parts
            .iter()
            .map(|part| part.extra.as_ref().unwrap().more)
            .collect();
        assert!(more[..more.len() - 1].iter().all(|more| *more) && !more[more.len() - 1]);
        assert_eq!(
            parts.into_iter().flat_map(|part| part.items).collect::<Vec<_>>(),
            items
        );
        let unknowing = Roster { extra: None, ..whole };
        assert_eq!(
            split(unknowing.clone(), PART_BYTES),
            [unknowing],
            "a peer that knows no parts gets the whole"
        );
    }
}
