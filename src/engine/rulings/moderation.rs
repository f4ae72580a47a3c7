//! Moderation (XEP-0425): a message is taken away everywhere. The source decides, as it does of everything that is not an
//! occupant's own (G7, G11), and numbers the decision as an event of the room itself, so that it is stored, resynchronised
//! and told as messages are (G3, G4). What it names loses its payload in every log, whether it is there or comes later.
//!
//! A shadow that cannot reach the source hides the message provisionally, and offers that (see [`super::offers`]).

use std::sync::Arc;

use crate::address::{BareJid, Jid};

use super::super::groupchat::check_stamp;
use super::super::link::Caps;
use super::super::reading::still_reading;
use super::super::state::admitted::Admitted;
use super::super::state::clock::Now;
use super::super::state::log::{Entry, EventKey};
use super::super::state::room::Room;
use super::super::state::waiting::{Matter, Offer};
use super::super::{Action, Engine, Shown, Verdict, bare, refuse};
use super::{Actor, Asker, By, Kind, Variant};
use crate::error::Error;
use crate::wire::{ActKind, Affiliation, Condition, EventStamp, Moderated, Moderation, Ruling, limits};

impl Kind for Moderated {
    fn matter(&self) -> Option<Matter> {
        Some(Matter::Moderated(self.id.clone()))
    }

    /// What is hidden here is not in the log, but in the offer itself.
    fn held(&self, room: &Room) -> Moderated {
        let offer = room.offers.get(&Matter::Moderated(self.id.clone()));
        let hidden = offer.and_then(|offer| Moderated::of(&offer.now));
        hidden.cloned().unwrap_or_else(|| Moderated {
            id: self.id.clone(),
            moderation: room.log.moderation_of(&self.id).and_then(Entry::moderation),
        })
    }

    /// It is held by the offer.
    fn hold(&self, _room: &mut Room) {}

    fn is_same(&self, other: &Moderated) -> bool {
        self.id == other.id && self.moderation.is_some() == other.moderation.is_some()
    }

    fn rule(self, engine: &mut Engine, now: Now, room: &BareJid, by: By<'_>) -> Result<Verdict, Error> {
        let Some(moderation) = self.moderation.filter(|moderation| moderation.id == self.id) else {
            let text = "What was taken away does not come back";
            return Err(refuse(Condition::BadRequest, text));
        };
        engine.local_moderation(now, room, moderation, by.actor.jid)
    }

    fn show(&self, engine: &mut Engine, jid: &BareJid) {
        let has_it = |room: &Room| room.log.has_id(&self.id);
        if self.moderation.is_some() || engine.rooms.get(jid).is_some_and(has_it) {
            let shown = Shown::Moderated(self.clone());
            engine.actions.push_back(Action::apply(jid, shown));
        }
    }

    /// Nobody takes away what is not there, unless an admin or owner says so: the message may be on its way, and anybody else
    /// asks again.
    fn check(&self, engine: &Engine, room: &Room, Asker { home, act }: Asker<'_>) -> Result<(), Error> {
        let rank = || engine.rank_of(room, home, act.actor_nick.as_deref(), act.actor_jid.as_ref());
        let is_known = room.log.has_id(&self.id) || room.log.moderation_of(&self.id).is_some();
        if !is_known && !room.log.is_whole() {
            return Err(still_reading());
        }
        if is_known || rank() >= Affiliation::Admin {
            return Ok(());
        }
        // What was said there while we could not be reached comes in pages that are not all here yet.
        if room
            .instances
            .get(home)
            .is_some_and(|instance| !instance.is_synced)
        {
            return Err(refuse(
                Condition::ResourceConstraint,
                "Messages of your instance are still on their way here: ask again later",
            ));
        }
        Err(refuse(Condition::ItemNotFound, "There is no such message"))
    }

    fn take(&self, _: &mut Engine, _: Now, _: &BareJid, _: Asker<'_>) -> Result<bool, Error> {
        Ok(false)
    }

    fn as_act(&self, _offer: &Offer) -> Option<(ActKind, Option<String>)> {
        let moderation = self.moderation.as_ref();
        let reason = moderation.and_then(|moderation| moderation.reason.clone());
        Some((ActKind::Moderate { id: self.id.clone() }, reason))
    }
}

impl Engine {
    /// Somebody entitled took a message away, here or, if this is the source, anywhere.
    fn local_moderation(
        &mut self,
        now: Now,
        jid: &BareJid,
        moderation: Moderation,
        actor_jid: Option<&BareJid>,
    ) -> Result<Verdict, Error> {
        if !self.has_message(jid, &moderation.id) {
            self.expect_whole(jid)?;
        }
        let room = self.room_mut(jid)?;
        let target = room.log.get(&moderation.id);
        let is_rooms = target.is_some_and(|entry| entry.nick.is_empty());
        let is_long = |text: &Option<String>, most| text.as_ref().is_some_and(|text| text.len() > most);
        if is_rooms || moderation.id.is_empty() || moderation.id.len() > limits::MAX_ID_BYTES {
            return Err(refuse(Condition::ItemNotFound, "There is no such message"));
        }
        if is_long(&moderation.reason, limits::MAX_TEXT_BYTES) {
            return Err(refuse(Condition::NotAcceptable, "The reason is too long"));
        }
        if room.log.moderation_of(&moderation.id).is_some() {
            return Ok(Verdict::Done);
        }
        if room.is_source() {
            self.decide_moderation(now, jid, moderation, true);
            return Ok(Verdict::Done);
        }
        // What is not in the log could not be brought back.
        if !room.log.has_id(&moderation.id) {
            return Err(refuse(
                Condition::ItemNotFound,
                "There is no such message while the room's source is out of reach",
            ));
        }
        let matter = Matter::Moderated(moderation.id.clone());
        if room.offers.contains_key(&matter) {
            return Ok(Verdict::Done);
        }
        let actor = Actor {
            nick: moderation.nick.as_deref(),
            jid: actor_jid,
            invites: false,
        };
        let ruling = Moderated::from(moderation.clone());
        self.offer(jid, Ruling::Moderated(ruling.clone()), actor);
        if self.room_mut(jid)?.offers.contains_key(&matter) {
            ruling.show(self, jid);
        }
        self.offer_if_agreed(now, jid);
        Ok(Verdict::Done)
    }

    /// The source decides. `deliver`: people here have seen the message.
    pub(in crate::engine) fn decide_moderation(
        &mut self,
        now: Now,
        jid: &BareJid,
        moderation: Moderation,
        deliver: bool,
    ) {
        let at = self.clock.tick(now);
        let Some(room) = self.rooms.get(jid) else { return };
        let key = room.next_key(at);
        let (id, incarnation, seq) = (key.stanza_id(), key.incarnation, key.seq);
        let entry = Entry {
            key,
            id: id.clone(),
            nick: String::new(),
            message_id: None,
            lang: None,
            occupant_id: None,
            payload: Arc::from(moderation.to_xml()),
            received_ms: now.mono_ms,
        };
        self.add_entry(now, jid, Admitted::of_our_own(entry), deliver);
        let event = EventStamp {
            id,
            origin: None,
            incarnation,
            seq,
            at,
            roster: None,
        };
        let is_pulling = |peer: &BareJid| self.rooms.get(jid).is_some_and(|room| room.is_pulling(peer, now));
        let mut receivers = self.receivers(jid);
        receivers.retain(|peer| self.speaks_ours(peer) && !is_pulling(peer));
        for to in receivers {
            self.actions.push_back(Action::SendModeration {
                room: jid.clone(),
                to,
                event: event.clone(),
                moderation: Box::new(moderation.clone()),
            });
        }
    }

    /// A room says that a message is moderated: believed of the source (G11).
    pub(in crate::engine) fn peer_moderation(
        &mut self,
        now: Now,
        from: &Jid,
        jid: &BareJid,
        event: Option<EventStamp>,
        moderation: &Moderation,
    ) -> Result<Verdict, Error> {
        let home = from.to_bare();
        let Some(room) = self.rooms.get(jid) else {
            return Ok(Verdict::Continue);
        };
        let Some(instance) = room.instances.get(&home) else {
            return self.stranger(&home, true);
        };
        let speaks_ours = matches!(self.caps(&home.service()), Caps::Full | Caps::Unknown);
        if bare(from).is_none() || !room.is_from_source(&home) || !speaks_ours {
            return Err(refuse(
                Condition::Forbidden,
                "Only the source says what is moderated",
            ));
        }
        let Some(event) = event else {
            return Err(refuse(Condition::BadRequest, "What is moderated has a number"));
        };
        check_stamp(&event, &home)?;
        if room.log.has_seen(&home, event.incarnation, event.seq) {
            return Ok(Verdict::Done);
        }
        if !instance.is_synced || !room.log.is_next(&home, event.incarnation, event.seq) {
            self.pull_from(now, jid, &home);
            return Ok(Verdict::Done);
        }
        let entry = Entry {
            key: EventKey {
                at: event.at,
                origin: home.clone(),
                incarnation: event.incarnation,
                seq: event.seq,
            },
            id: event.id,
            nick: String::new(),
            message_id: None,
            lang: None,
            occupant_id: None,
            payload: Arc::from(moderation.to_xml()),
            received_ms: now.mono_ms,
        };
        let admitted = self.admit(now, jid, &home, entry)?;
        self.add_entry(now, jid, admitted, true);
        Ok(Verdict::Done)
    }

    /// The source has taken a message away. Returns whether people here know, because it was hidden here before.
    pub(in crate::engine) fn moderated_by_source(&mut self, jid: &BareJid, moderation: Moderation) -> bool {
        let matter = Matter::Moderated(moderation.id);
        self.forget_offer(jid, &matter).is_some()
    }
}
