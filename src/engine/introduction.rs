//! Instances get to know each other through the source (XEP-0281 section 3.2), and forget each other.
//!
//! Of two shadows the one with the smaller JID begins, and the source tells it last: it sends its roster to somebody
//! who knows it already, and is answered with the other's. So no honest roster is ever refused.

use crate::address::BareJid;

use super::link::LinkState;
use super::request::Pending;
use super::state::clock::Now;
use super::state::instance::{Instance, Stage};
use super::state::room::Room;
use super::{Action, Engine, Notice, refuse};
use crate::error::Error;
use crate::wire::{Condition, Peerhost, Request, StanzaError};

/// How long the roster of who begins is awaited; then ours goes first after all.
const MEETING_MS: u64 = 10_000;

impl Engine {
    /// The shadow holds the room: "the firsthost informs other peerhosts about the new peerhost", and that one about
    /// them.
    pub(super) fn replicated(&mut self, now: Now, jid: &BareJid, newcomer: &BareJid) {
        let notice = Notice::Replicated {
            shadow: newcomer.clone(),
        };
        let peer = newcomer.service();
        self.actions.push_back(Action::Notice {
            room: jid.clone(),
            peer,
            notice,
        });
        let Some(room) = self.rooms.get(jid) else { return };
        let others: Vec<BareJid> = room
            .instances
            .iter()
            .filter(|(other, instance)| *other != newcomer && instance.stage == Stage::Active)
            .map(|(other, _)| other.clone())
            .collect();
        for other in others {
            // Who speaks only the XEP's text sends at once whatever it has: the other has to know it by then.
            let (told, next) = match (self.speaks_ours(newcomer), self.speaks_ours(&other)) {
                (true, true) => (newcomer.max(&other), newcomer.min(&other)),
                (true, false) => (newcomer, &other),
                (false, _) => (&other, newcomer),
            };
            self.tell_of(now, jid, (told, next), true);
        }
        self.shadows_changed(now, jid);
    }

    /// Which shadows there are is one of the settings: who missed an introduction learns of it with them.
    pub(super) fn shadows_changed(&mut self, now: Now, jid: &BareJid) {
        let Some(room) = self.rooms.get_mut(jid).filter(|room| room.is_source()) else {
            return;
        };
        room.next_settings();
        self.unsaved.insert(jid.clone());
        let mut peers = self.receivers(jid);
        peers.retain(|peer| self.speaks_ours(peer));
        for peer in peers {
            self.send_config(now, jid, &peer, false);
        }
    }

    /// The source says which shadows there are.
    pub(super) fn shadows_told(&mut self, now: Now, jid: &BareJid, services: &[BareJid]) {
        let Some(room) = self.rooms.get_mut(jid).filter(|room| !room.is_source()) else {
            return;
        };
        let room_id = room.id.clone();
        // Of its own service a source is the only instance.
        let firsthost = room.firsthost.clone();
        let known: Vec<BareJid> = room
            .instances
            .keys()
            .filter(|instance| !room.is_from_source(instance))
            .map(|jid| jid.service())
            .collect();
        let told: Vec<BareJid> = services.iter().map(|jid| jid.service()).collect();
        for service in known.iter().filter(|service| !told.contains(service)) {
            self.forget_instance(now, jid, service);
        }
        if let Some(room) = self.rooms.get_mut(jid) {
            room.unnamed.retain(|instance| told.contains(&instance.service()));
        }
        for (named, service) in services.iter().zip(&told) {
            if *service == self.config.service || *service == firsthost || known.contains(service) {
                continue;
            }
            let instance = match named.node() {
                Some(_) => named.clone(),
                None => room_id.at(service),
            };
            match self.config.peers.contains_key(service) {
                true => self.expect_instance(now, jid, instance),
                false => self.remember_unnamed(jid, &instance),
            }
        }
    }

    /// There is another shadow, to which we will be introduced in order. If we are not, it is asked after all.
    pub(super) fn expect_instance(&mut self, now: Now, jid: &BareJid, instance: BareJid) {
        let service = &instance.service();
        let limit = self.config.max_peerhosts;
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        if room.instances.len() >= limit {
            self.note(jid, service, Notice::TooManyPeerhosts);
            return;
        }
        let mut expected = Instance::new(Stage::Wanted);
        self.timed.insert(jid.clone());
        expected.retry_at = Some(now.mono_ms + MEETING_MS);
        self.rooms.add_instance(jid, instance, expected);
        self.unsaved.insert(jid.clone());
        self.learn_caps(now, service);
        self.keep_in_touch(now, service);
    }

    /// The first of two knows: now the one who begins is told.
    ///
    /// Who could not be reached is told again when it can be, if one of them has only the XEP's text: the others learn
    /// of each other with the settings, too.
    pub(super) fn introduced(
        &mut self,
        now: Now,
        jid: &BareJid,
        (told, of): (&BareJid, &BareJid),
        is_first: bool,
        error: Option<&StanzaError>,
    ) {
        match error {
            None if is_first => self.tell_of(now, jid, (of, told), false),
            Some(error) if Self::is_link_error(error) => {
                if self.speaks_ours(told) && self.speaks_ours(of) {
                    return;
                }
                let Some(instance) = self.instance_mut(jid, told) else {
                    return;
                };
                instance.unmet.insert(of.clone(), is_first);
                if matches!(
                    self.link_state(&told.service()),
                    LinkState::Up | LinkState::Syncing
                ) {
                    self.introduce_again(now, jid, told);
                }
            }
            _ => {}
        }
    }

    /// The instance can be reached again: it is told of those of whom it could not be told.
    pub(super) fn introduce_again(&mut self, now: Now, jid: &BareJid, told: &BareJid) {
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let Some(instance) = room.instances.get_mut(told) else {
            return;
        };
        if instance.stage != Stage::Active {
            return;
        }
        let mut unmet = std::mem::take(&mut instance.unmet);
        unmet.retain(|of, _| room.instances.contains_key(of));
        for (of, is_first) in unmet {
            self.tell_of(now, jid, (told, &of), is_first);
        }
    }

    fn tell_of(&mut self, now: Now, jid: &BareJid, (whom, of): (&BareJid, &BareJid), is_first: bool) {
        let Some(room) = self.rooms.get(jid) else { return };
        let request = Request::Peerhost(Peerhost {
            id: room.id.clone(),
            jid: Some(of.service()),
            gone: false,
        });
        let pending = Pending::Introduce {
            room: jid.clone(),
            told: whom.clone(),
            of: of.clone(),
            is_first,
        };
        let from = self.config.service.clone();
        self.request(now, from, whom.service(), request, pending);
    }

    /// The firsthost tells of another peerhost. Without its name there is nothing to learn.
    pub(super) fn peerhost_told(
        &mut self,
        now: Now,
        firsthost: &BareJid,
        peerhost: Peerhost,
    ) -> Result<(), Error> {
        let named = peerhost.id.at(&self.config.service);
        // Who was the source keeps its address.
        let jid = self
            .rooms
            .with_id(&peerhost.id)
            .next()
            .map_or(named, |room| room.jid.clone());
        self.expect_read(&jid)?;
        let is_theirs = |room: &Room| room.firsthost == *firsthost;
        if self.ends_sharing(&peerhost) && self.parked.get(&jid).is_some_and(is_theirs) {
            return Ok(()); // it has said so before
        }
        let known = self.rooms.get(&jid).is_some_and(is_theirs);
        if !known {
            return Err(refuse(
                Condition::ItemNotFound,
                "No shadow of yours with this id is here",
            ));
        }
        let Some(service) = peerhost.jid else {
            return Ok(());
        };
        if service == self.config.service {
            if peerhost.gone {
                self.sharing_ended(now, &jid);
            }
            return Ok(());
        }
        if service == *firsthost {
            return Err(refuse(
                Condition::NotAcceptable,
                "A source has no shadow at its own service",
            ));
        }
        if peerhost.gone {
            self.forget_instance(now, &jid, &service);
            if let Some(room) = self.rooms.get_mut(&jid) {
                room.unnamed.remove(&peerhost.id.at(&service));
            }
        } else if self.config.peers.contains_key(&service) {
            if let Some(room) = self.rooms.get_mut(&jid) {
                // A newcomer that was here before has lost what we told it.
                let mut there = room.instances.iter_mut();
                if let Some((_, instance)) = there.find(|(instance, _)| instance.is_at(&service)) {
                    instance.stage = Stage::Wanted;
                    instance.was_asked = false;
                    instance.is_introduced = true;
                    instance.is_synced = false;
                    instance.retry_at = None;
                }
            }
            self.showed_life(now, &service);
            self.want_instance(now, &jid, &service);
        } else {
            self.remember_unnamed(&jid, &peerhost.id.at(&service));
        }
        Ok(())
    }

    /// Whether a firsthost says of a room that it does not share it with us any more.
    pub(super) fn ends_sharing(&self, peerhost: &Peerhost) -> bool {
        peerhost.gone && peerhost.jid.as_ref() == Some(&self.config.service)
    }

    /// We have been told of a shadow that speaks our namespace: begin, or wait for it to begin.
    pub(super) fn meet(&mut self, now: Now, jid: &BareJid, peer: &BareJid) {
        let Some(instance) = self.instance_mut(jid, peer) else {
            return;
        };
        if jid > peer {
            instance.retry_at = Some(now.mono_ms + MEETING_MS);
            self.timed.insert(jid.clone());
            return;
        }
        (instance.stage, instance.is_introduced) = (Stage::Active, false);
        self.send_roster(now, jid, peer);
        self.want_sync(now, jid, peer);
    }

    /// A shadow sent us its roster, so it knows us: if we waited for that, ours follows.
    pub(super) fn greeted(&mut self, jid: &BareJid, peer: &BareJid) {
        if self.stop_waiting(jid, peer)
            && let Some(room) = self.rooms.get_mut(jid)
            && let Some(instance) = room.instances.get_mut(peer)
        {
            instance.retry_at = None;
            instance.needs_roster = true;
            // What was pulled while it waited to be met has not ended a split.
            instance.is_synced &= !instance.is_cut;
        }
    }

    /// From here on the other shadow gets our events. Returns whether we had waited for it.
    pub(super) fn stop_waiting(&mut self, jid: &BareJid, peer: &BareJid) -> bool {
        let Some(room) = self.rooms.get_mut(jid).filter(|room| !room.is_source()) else {
            return false;
        };
        let Some(instance) = room.instances.get_mut(peer) else {
            return false;
        };
        if instance.stage != Stage::Wanted {
            return false;
        }
        (instance.stage, instance.is_introduced) = (Stage::Active, false);
        true
    }

    /// A shadow leaves: the others are told.
    pub(super) fn shadow_left(&mut self, now: Now, jid: &BareJid, shadow: &BareJid) {
        let Some(room) = self.rooms.get(jid) else { return };
        let gone = Peerhost {
            id: room.id.clone(),
            jid: Some(shadow.service()),
            gone: true,
        };
        let others: Vec<BareJid> = room
            .instances
            .iter()
            .filter(|(other, instance)| *other != shadow && instance.stage == Stage::Active)
            .map(|(other, _)| other.service())
            .filter(|other| self.speaks_ours(other))
            .collect();
        self.forget_instance(now, jid, &shadow.service());
        self.shadows_changed(now, jid);
        for other in others {
            let request = Request::Peerhost(gone.clone());
            self.request(now, self.config.service.clone(), other, request, Pending::Nothing);
        }
    }
}
