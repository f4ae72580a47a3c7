//! What was changed at a shadow while it could not reach the source: it holds here, and is offered on reconnect as
//! compare-and-set (G7). Taken if the source's value is still the one it was based on and the actor is still entitled;
//! otherwise the source's value comes back, and who made the change is told.

use crate::address::BareJid;

use super::super::request::Pending;
use super::super::state::clock::Now;
use super::super::state::room::Room;
use super::super::state::waiting::{Matter, Offer};
use super::super::{Action, Engine};
use super::Kind;
use super::list::{has_same_nick, is_only_the_nick};
use crate::wire::{Act, Condition, Request, Ruling, StanzaError};

/// How many changes may wait for the source; more are refused by taking them back at once (G13).
const MAX_OFFERS: usize = 500;

/// Who changes something.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Actor<'a> {
    pub(in crate::engine) nick: Option<&'a str>,
    pub(in crate::engine) jid: Option<&'a BareJid>,
    /// Whether it does so by inviting somebody.
    pub(in crate::engine) invites: bool,
}

impl Engine {
    /// Whether the source of `room` can be asked now: always true at the source and for rooms that are not distributed; at a
    /// shadow while the link to the source is not down.
    ///
    /// For people who look on: a host that acts on it races the link. What it is to do with a change says the verdict on
    /// [`Input::Act`](super::super::Input::Act), which counts however the link fares meanwhile.
    pub fn is_source_reachable(&self, room: &BareJid) -> bool {
        let Some(room) = self.rooms.get(room) else {
            return true;
        };
        room.is_source()
            || room
                .source
                .as_ref()
                .is_none_or(|source| self.is_link_open(&source.service()))
    }

    /// Takes a change at a shadow that cannot reach its source.
    pub(in crate::engine) fn offer(&mut self, jid: &BareJid, change: Ruling, actor: Actor<'_>) {
        for now in change.each() {
            self.offer_one(jid, now, actor);
        }
    }

    fn offer_one(&mut self, jid: &BareJid, now: Ruling, actor: Actor<'_>) {
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let was = now.held(room);
        if was.is_same(&now) {
            return;
        }
        let Some(matter) = now.matter() else { return };
        if room.offers.len() >= MAX_OFFERS && !room.offers.contains_key(&matter) {
            let offer = Offer::of(actor, was, now);
            self.overridden(jid, &offer);
            self.put_into_force(jid, &offer.was);
            return;
        }
        now.hold(room);
        match room.offers.get_mut(&matter) {
            // Back to what it was: nothing to offer any more.
            Some(offer) if offer.base.is_same(&now) && !offer.is_asked => {
                room.offers.remove(&matter);
            }
            Some(offer) => offer.change(now, actor),
            None => {
                room.offers.insert(matter, Offer::of(actor, was, now));
            }
        }
        self.unsaved.insert(jid.clone());
    }

    /// The source was out of reach when the engine said [`Verdict::Hold`](super::super::Verdict), and may have come back
    /// before the host had done what it was to do. If both sides agree already, nothing else would offer it; if they are
    /// about to, that will.
    pub(super) fn offer_if_agreed(&mut self, now: Now, jid: &BareJid) {
        let is_agreed = |room: &Room| {
            let source = room.source.as_ref().and_then(|source| room.instances.get(source));
            source.is_some_and(|source| source.is_synced)
        };
        if self.rooms.get(jid).is_some_and(is_agreed) && self.is_source_reachable(jid) {
            self.make_offers(now, jid);
        }
    }

    /// The link to the source is up and its settings are here: what was changed meanwhile is offered.
    pub(in crate::engine) fn make_offers(&mut self, now: Now, jid: &BareJid) {
        let Some(room) = self.rooms.get(jid) else { return };
        let Some(source) = room.source.clone().filter(|source| source != jid) else {
            return;
        };
        for (matter, offer) in room.offers.clone() {
            if offer.is_asked {
                continue;
            }
            // The decision came before what is stored of the offer: a process was killed in between.
            let is_decided = |id: &String| {
                self.rooms
                    .get(jid)
                    .is_some_and(|room| room.log.moderation_of(id).is_some())
            };
            if matches!(&matter, Matter::Moderated(id) if is_decided(id)) {
                self.forget_offer(jid, &matter);
                continue;
            }
            if offer.base.is_same(&offer.now) {
                // The source has come to the same.
                self.forget_offer(jid, &matter);
                continue;
            }
            let act = offer.as_act().filter(|_| offer.base.is_same(&offer.was));
            let Some(act) = act else {
                self.resolve_offer(jid, &matter, false);
                continue;
            };
            if let Some(offer) = self.offer_mut(jid, &matter) {
                offer.is_asked = true;
            }
            let pending = Pending::Offer {
                room: jid.clone(),
                matter,
            };
            self.request(now, jid.clone(), source.clone(), Request::Act(act), pending);
        }
    }

    /// The source has decided on an offer, or could not be asked.
    pub(in crate::engine) fn offer_answered(
        &mut self,
        now: Now,
        jid: &BareJid,
        matter: &Matter,
        error: Option<&StanzaError>,
    ) {
        // The last: the source does not have yet what it is about.
        let is_too_early = |error: &StanzaError| {
            Self::is_link_error(error) || error.condition == Condition::ResourceConstraint
        };
        if error.is_some_and(is_too_early) {
            if let Some(offer) = self.offer_mut(jid, matter) {
                offer.is_asked = false;
            }
            let source = self.rooms.get(jid).and_then(|room| room.source.clone());
            if let Some(source) = source.filter(|source| self.is_link_open(&source.service())) {
                // Lost on a link that works, or too early: after the next pull it is made again.
                self.resync_later(now, jid, &source);
            }
            return;
        }
        self.resolve_offer(jid, matter, error.is_none());
    }

    /// What was decided here while this was the source is offered to the one that is it now.
    pub(in crate::engine) fn offer_anew(&mut self, jid: &BareJid, offer: Offer) {
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let base = offer.now.held(room);
        let Some(matter) = offer.now.matter().filter(|_| !base.is_same(&offer.now)) else {
            return;
        };
        if room.offers.len() >= MAX_OFFERS && !room.offers.contains_key(&matter) {
            return self.overridden(jid, &offer);
        }
        if room.offers.contains_key(&matter) {
            // What somebody here has changed since is offered.
            return;
        }
        let offer = Offer {
            base,
            is_asked: false,
            ..offer
        };
        let now = offer.now.clone();
        room.offers.insert(matter, offer);
        self.put_into_force(jid, &now);
    }

    fn offer_mut(&mut self, jid: &BareJid, matter: &Matter) -> Option<&mut Offer> {
        self.rooms.get_mut(jid)?.offers.get_mut(matter)
    }

    pub(in crate::engine) fn forget_offer(&mut self, jid: &BareJid, matter: &Matter) -> Option<Offer> {
        let offer = self.rooms.get_mut(jid)?.offers.remove(matter)?;
        self.unsaved.insert(jid.clone());
        Some(offer)
    }

    fn resolve_offer(&mut self, jid: &BareJid, matter: &Matter, is_taken: bool) {
        // The decision is an event on its way here: until it comes the message stays hidden.
        if is_taken && matches!(matter, Matter::Moderated(_)) {
            return;
        }
        let Some(offer) = self.forget_offer(jid, matter) else {
            return;
        };
        if is_taken {
            return;
        }
        self.put_into_force(jid, &offer.base);
        self.overridden(jid, &offer);
    }

    /// Who made a change is told that it does not hold; of an entry of the list these may be two.
    pub(in crate::engine) fn overridden(&mut self, jid: &BareJid, offer: &Offer) {
        let mut tell = |actor_nick: Option<String>, actor_jid: Option<BareJid>, is_registration| {
            self.actions.push_back(Action::Overridden {
                room: jid.clone(),
                actor_nick,
                actor_jid,
                ruling: Box::new(offer.now.clone()),
                is_registration,
            });
        };
        if let Ruling::Listed(listing) = &offer.now
            && offer.is_registered
            && offer.actor_jid.as_ref() != Some(&listing.jid)
        {
            tell(None, Some(listing.jid.clone()), true);
        }
        tell(
            offer.actor_nick.clone(),
            offer.actor_jid.clone(),
            offer.is_registration(),
        );
    }

    /// What the source has is in force, and shown.
    pub(in crate::engine) fn put_into_force(&mut self, jid: &BareJid, ruling: &Ruling) {
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        ruling.hold(room);
        ruling.show(self, jid);
    }

    /// The source says this: it is in force here unless a change of it waits for the source's decision.
    /// Returns whether it is in force now.
    pub(super) fn source_says<K: Kind>(&mut self, jid: &BareJid, said: &K) -> bool {
        let Some(room) = self.rooms.get_mut(jid) else {
            return false;
        };
        if !room.offers.is_empty()
            && let Some(offer) = said.matter().and_then(|matter| room.offers.get_mut(&matter))
        {
            offer.base = said.clone().into();
            return false;
        }
        said.hold(room);
        true
    }
}

impl Ruling {
    /// What was decided, as it is offered to another source if it turns out not to count. A retracted message stays so: that
    /// is an event.
    pub(in crate::engine) fn offers(self, room: &Room, actor: Actor<'_>) -> Vec<Offer> {
        if matches!(self, Ruling::Moderated(_)) {
            return Vec::new();
        }
        let offer = |now: Ruling| {
            let was = now.held(room);
            (!was.is_same(&now)).then(|| Offer::of(actor, was, now))
        };
        self.each().into_iter().filter_map(offer).collect()
    }

    /// The ruling as it is decided at a source: of the configuration, all fields.
    pub(in crate::engine) fn whole(self, room: Option<&Room>) -> Ruling {
        match (self, room) {
            (Ruling::Form(fields), Some(room)) => {
                let mut form = room.settings.form.clone();
                for field in fields.fields {
                    form.set(&field.var, field.values);
                }
                Ruling::Form(form)
            }
            (ruling, _) => ruling,
        }
    }
}

impl Offer {
    fn of(actor: Actor<'_>, was: Ruling, now: Ruling) -> Offer {
        Offer {
            actor_nick: actor.nick.map(str::to_owned),
            actor_jid: actor.jid.cloned(),
            base: was.clone(),
            was,
            now,
            is_asked: false,
            is_invited: actor.invites,
            is_registered: false,
        }
    }

    /// It is changed again before the source has decided.
    fn change(&mut self, now: Ruling, actor: Actor<'_>) {
        // Who registers a nick does not answer for the affiliation that somebody else gave before.
        let is_others = self.has_given_affiliation() && is_only_the_nick(&self.now, &now);
        self.is_registered = match &now {
            Ruling::Listed(listing) if is_only_the_nick(&self.now, &now) => actor.jid == Some(&listing.jid),
            Ruling::Listed(_) => {
                (self.is_registered || self.is_registration()) && has_same_nick(&self.now, &now)
            }
            _ => false,
        };
        self.now = now;
        if !is_others {
            self.is_invited = actor.invites;
            self.actor_nick = actor.nick.map(str::to_owned);
            self.actor_jid = actor.jid.cloned();
        }
    }

    /// The act that asks the source for it.
    pub(super) fn as_act(&self) -> Option<Act> {
        let (kind, reason) = self.now.as_act(self)?;
        Some(Act {
            actor_nick: self.actor_nick.clone(),
            actor_jid: self.actor_jid.clone(),
            kind,
            reason,
        })
    }
}
