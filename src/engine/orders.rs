//! What an administrator orders: compare now, bring up one instance or drop it, forget a service that is gone for good.

use crate::address::{BareJid, Jid};

use super::link::{Caps, LinkState};
use super::state::clock::Now;
use super::state::instance::Stage;
use super::{Engine, Verdict, refuse};
use crate::error::Error;
use crate::succession::Step;
use crate::wire::{Affiliation, Close, Condition, Request, Steering};

/// What the people of an instance read that is taken out of the room.
const RETRACTED: &str = "An administrator of the source has taken this service out of the room";

/// An order of an administrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order<'a> {
    /// What is shared with this peer is compared, and what is missing pulled, now instead of when its time comes.
    SyncPeer(&'a BareJid),
    /// The same of one room, with every other instance.
    SyncRoom(&'a BareJid),
    /// Every other instance of the room is asked what it has of it, for [`Engine::room_differences`].
    Compare(&'a BareJid),
    /// The source brings up an instance at a peer, or tries again; also where it was retracted before.
    Replicate {
        /// The source.
        room: &'a BareJid,
        /// The peer.
        service: &'a BareJid,
    },
    /// The source takes a service out of the room: the instance there is closed, and none is made there until it is replicated.
    Retract {
        /// The source.
        room: &'a BareJid,
        /// Where the instance is, or shall not be.
        service: &'a BareJid,
    },
    /// An instance here becomes the source, since that is gone: as soon as most voters have voted for it.
    TakeOver(&'a BareJid),
    /// The same without votes, where there can be no majority. What others have decided and this instance does not hold may be
    /// lost; `strikes` takes the vote from all others.
    Force {
        /// The instance here.
        room: &'a BareJid,
        /// Whether nobody else votes from then on.
        strikes: bool,
    },
    /// The source here hands over to the instance at a service, if that votes.
    HandOver {
        /// The source.
        room: &'a BareJid,
        /// Where the next source is.
        service: &'a BareJid,
    },
    /// The instance here follows the one at this service, which says that it is the source.
    Follow {
        /// The instance here.
        room: &'a BareJid,
        /// Where the source is.
        service: &'a BareJid,
    },
    /// A service that is no peer any more is gone for good: what waits for it is given up.
    Forget(&'a BareJid),
}

impl Engine {
    pub(super) fn order(&mut self, now: Now, order: Order<'_>) -> Result<Verdict, Error> {
        match order {
            Order::SyncPeer(service) => self.sync_peer(now, service)?,
            Order::SyncRoom(room) => self.sync_room(now, room)?,
            Order::Compare(room) => self.ask_parts(now, room)?,
            Order::Replicate { room, service } => self.order_instance(now, room, service)?,
            Order::Retract { room, service } => self.retract(now, room, service)?,
            Order::TakeOver(room) => self.order_succession(now, room, Step::TakeOver)?,
            Order::Force { room, strikes } => self.order_succession(now, room, Step::Force(strikes))?,
            Order::HandOver { room, service } => {
                let heir = self.instance_at(room, service)?;
                self.order_succession(now, room, Step::Release(heir))?;
            }
            Order::Follow { room, service } => {
                let source = self.instance_at(room, service)?;
                self.order_succession(now, room, Step::Follow(source))?;
            }
            Order::Forget(service) => self.forget_service(now, service)?,
        }
        Ok(Verdict::Done)
    }

    /// An owner at a shadow has the source do this.
    pub(super) fn steered(
        &mut self,
        now: Now,
        room: &BareJid,
        actor: &Jid,
        service: &BareJid,
        what: Steering,
    ) -> Result<(), Error> {
        let rank = self.rooms.get(room).map(|known| known.affiliation_of(actor));
        if rank != Some(Affiliation::Owner) {
            return Err(refuse(
                Condition::Forbidden,
                "Only owners decide which services hold the room",
            ));
        }
        let order = match what {
            Steering::Replicate => Order::Replicate { room, service },
            Steering::Retract => Order::Retract { room, service },
            Steering::HandOver => Order::HandOver { room, service },
        };
        self.order(now, order).map(drop)
    }

    fn expect_peer(&self, service: &BareJid) -> Result<(), Error> {
        match self.config.peers.contains_key(service) {
            true => Ok(()),
            false => Err(refuse(
                Condition::ItemNotFound,
                "dmuc_peers does not name this service",
            )),
        }
    }

    fn instance_at(&self, jid: &BareJid, service: &BareJid) -> Result<BareJid, Error> {
        let room = self.rooms.get(jid).ok_or(Error::UnknownRoom)?;
        let mut instances = room.instances.keys();
        let here = instances.find(|instance| instance.is_at(service));
        here.cloned().ok_or_else(|| {
            refuse(
                Condition::ItemNotFound,
                "The room has no instance at that service",
            )
        })
    }

    fn expect_source(&self, jid: &BareJid) -> Result<(), Error> {
        match self.rooms.get(jid).ok_or(Error::UnknownRoom)?.is_source() {
            true => Ok(()),
            false => Err(refuse(
                Condition::NotAllowed,
                "The source of the room decides where it has instances",
            )),
        }
    }

    fn sync_peer(&mut self, now: Now, service: &BareJid) -> Result<(), Error> {
        self.expect_peer(service)?;
        self.reach_now(now, service);
        self.ask_refused_soon(now, service);
        for room in self.rooms_with(service) {
            self.sync_instances(now, &room, |instance| instance.is_at(service));
        }
        Ok(())
    }

    fn sync_room(&mut self, now: Now, jid: &BareJid) -> Result<(), Error> {
        let room = self.rooms.get(jid).ok_or(Error::UnknownRoom)?;
        let instances: Vec<BareJid> = room.instances.keys().cloned().collect();
        for instance in instances {
            self.reach_now(now, &instance.service());
        }
        self.want_refused(jid, |_| true);
        self.sync_instances(now, jid, |_| true);
        Ok(())
    }

    /// A service that is out of reach is asked whether it is back, another whether anything has changed there.
    fn reach_now(&mut self, now: Now, service: &BareJid) {
        match self.link_state(service) {
            // There is nothing to compare with who knows only the XEP's text; whether it is there it does say.
            LinkState::Up | LinkState::Syncing if !self.speaks_ours(service) => {
                self.ask_what_it_speaks(now, self.config.link_timeout_ms, service);
            }
            LinkState::Up | LinkState::Syncing if self.is_shared(service) => self.beat_now(now, service),
            // Where nothing is shared no heartbeat asks whether it still peers with us.
            LinkState::Up | LinkState::Syncing => self.send_digest(now, service, self.config.link_timeout_ms),
            LinkState::Unknown | LinkState::Suspect | LinkState::Down => {
                self.links.entry(service.clone()).or_default();
                if !self.is_being_asked(service) {
                    self.probe(now, service);
                }
            }
        }
    }

    fn sync_instances(&mut self, now: Now, jid: &BareJid, is_meant: impl Fn(&BareJid) -> bool) {
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let mut meant = Vec::new();
        for (peer, instance) in &mut room.instances {
            if is_meant(peer) {
                // What was tried in vain is tried as if for the first time.
                (instance.resyncs, instance.retries) = (0, 0);
                meant.push((peer.clone(), instance.stage));
            }
        }
        for (peer, stage) in meant {
            match stage {
                Stage::Wanted if self.is_ready_for_more(&peer.service()) => {
                    self.advance(now, jid, &peer.service());
                }
                Stage::Active => self.want_sync(now, jid, &peer),
                _ => {}
            }
        }
    }

    /// An instance that the peer would not have is asked for again with the next chance. For one room only: those of a whole
    /// peer are asked for at a pace (`ask_refused_soon`).
    fn want_refused(&mut self, jid: &BareJid, is_meant: impl Fn(&BareJid) -> bool) {
        let Some(room) = self.rooms.get_mut(jid).filter(|room| room.is_source()) else {
            return;
        };
        for (peer, instance) in &mut room.instances {
            if is_meant(peer) && instance.stage == Stage::Refused {
                instance.stage = Stage::Wanted;
            }
        }
    }

    /// Whether the service can be asked now to hold a room.
    fn is_ready_for_more(&self, service: &BareJid) -> bool {
        !self.is_link_waiting(service) && matches!(self.caps(service), Caps::Xep | Caps::Full)
    }

    fn order_instance(&mut self, now: Now, jid: &BareJid, service: &BareJid) -> Result<(), Error> {
        self.expect_source(jid)?;
        self.expect_peer(service)?;
        let limit = self.config.max_peerhosts;
        let Some(room) = self.rooms.get_mut(jid) else {
            return Err(Error::UnknownRoom);
        };
        let is_there = room.instances.keys().any(|instance| instance.is_at(service));
        if !is_there && room.instances.len() >= limit {
            return Err(refuse(
                Condition::ResourceConstraint,
                "The room has as many instances as it may (dmuc_max_peerhosts)",
            ));
        }
        if room.retracted.remove(service) {
            self.unsaved.insert(jid.clone());
        }
        self.reach_now(now, service);
        self.want_refused(jid, |instance| instance.is_at(service));
        self.sync_instances(now, jid, |instance| instance.is_at(service));
        if !is_there {
            self.want_instance(now, jid, service);
        }
        Ok(())
    }

    fn retract(&mut self, now: Now, jid: &BareJid, service: &BareJid) -> Result<(), Error> {
        self.expect_source(jid)?;
        let room = self.rooms.get(jid).ok_or(Error::UnknownRoom)?;
        let mut instances = room.instances.iter();
        let found = instances.find(|(instance, _)| instance.is_at(service));
        let found =
            found.map(|(instance, known)| (instance.clone(), known.stage > Stage::Wanted || known.may_hold));
        if found.is_none() {
            self.expect_peer(service)?;
        }
        if room.retracted.len() >= self.config.max_peerhosts && !room.retracted.contains(service) {
            return Err(refuse(
                Condition::ResourceConstraint,
                "As many services have been retracted from this room as it may have instances",
            ));
        }
        if let Some(room) = self.rooms.get_mut(jid) {
            room.retracted.insert(service.clone());
        }
        self.unsaved.insert(jid.clone());
        let Some((instance, may_have_it)) = found else {
            return Ok(());
        };
        let is_plain = self.caps(service) == Caps::Xep;
        if is_plain {
            self.tell_departures_to(jid, &instance);
        }
        self.shadow_left(now, jid, &instance);
        if may_have_it && !is_plain {
            let close = Request::Close(Close {
                reason: Some(RETRACTED.to_owned()),
            });
            self.tell_ending(now, jid, close, [instance].into());
        }
        Ok(())
    }

    fn forget_service(&mut self, now: Now, service: &BareJid) -> Result<(), Error> {
        if self.config.peers.contains_key(service) {
            return Err(refuse(
                Condition::NotAllowed,
                "dmuc_peers names this service: take it out there and reload, then it can be forgotten",
            ));
        }
        let parked = self.parked.values().filter(|room| room.firsthost == *service);
        for jid in parked.map(|room| room.jid.clone()).collect::<Vec<_>>() {
            self.let_go(now, &jid)?;
        }
        let is_other = |instance: &BareJid| !instance.is_at(service);
        for jid in self.rooms.keys().cloned().collect::<Vec<_>>() {
            let Some(room) = self.rooms.get_mut(&jid) else {
                continue;
            };
            let had = room.unnamed.len() + room.retracted.len();
            room.unnamed.retain(is_other);
            room.retracted.remove(service);
            if room.unnamed.len() + room.retracted.len() < had {
                self.unsaved.insert(jid);
            }
        }
        for (jid, ending) in &mut self.endings {
            let had = ending.untold.len();
            ending.untold.retain(is_other);
            if ending.untold.len() < had {
                self.unsaved.insert(jid.clone());
            }
        }
        self.endings.retain(|_, ending| !ending.untold.is_empty());
        self.links.remove(service);
        self.refusals.remove(service);
        Ok(())
    }
}
