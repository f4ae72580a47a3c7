//! The role of source comes, or goes.

use crate::address::BareJid;

use super::super::rulings::Actor;
use super::super::state::clock::Now;
use super::super::state::instance::Stage;
use super::super::state::succession::Succession;
use super::super::{Action, Engine, refuse};
use crate::error::Error;
use crate::succession::{Objection, Step};
use crate::wire::Condition;

impl Engine {
    /// This instance has been elected, or has taken over by force.
    pub(super) fn become_source(&mut self, now: Now, jid: &BareJid) {
        let service = self.config.service.clone();
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let Some(succession) = &room.succession else {
            return;
        };
        if !succession.party.is_source() {
            // Another one is followed already.
            return;
        }
        let said = succession.party.statement();
        let (term, version) = (said.follows.term, said.edition.version);
        let is_new = room.source.as_ref() != Some(jid);
        room.source = Some(jid.clone());
        room.firsthost = service;
        room.settings.term = term;
        (room.settings.version, room.settings.form_version) = (version, version);
        if is_new {
            // What others hold of it was given other versions: they get the whole.
            room.settings.restored_version = version;
            room.settings.removed.clear();
            room.settings.removed_since = version;
            for entry in room.settings.affiliations.values_mut() {
                entry.version = version;
            }
            for instance in room.instances.values_mut() {
                instance.is_named |= instance.stage == Stage::Active;
            }
        }
        room.settings.ahead = None;
        room.touch();
        let offers = std::mem::take(&mut room.offers);
        self.unsaved.insert(jid.clone());
        self.source_moved(jid);
        for offer in offers.into_values() {
            // What waited for the source's decision is for this one to decide now.
            self.decide_offered(now, jid, &offer);
        }
        if is_new {
            self.shadows_changed(now, jid);
            self.begin(now, jid);
        }
    }

    /// Another instance is the source now.
    pub(super) fn follow_source(&mut self, now: Now, jid: &BareJid) {
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let Some(succession) = &mut room.succession else {
            return;
        };
        (succession.heir, succession.reclaim_at, succession.succeed_at) = (None, None, None);
        let claim = succession.party.statement().follows.clone();
        let source = claim.source.clone();
        // Whom it was to bring up, or who would not have it: the new source says which instances there are.
        let unmade = room
            .instances
            .iter()
            .filter(|(_, instance)| instance.stage != Stage::Active);
        let unmade: Vec<BareJid> = unmade.map(|(jid, _)| jid.service()).collect();
        let was_source = room.source.as_ref() == Some(jid);
        room.firsthost = source.service();
        room.source = Some(source.clone());
        room.settings.term = claim.term;
        // None of its versions is here.
        (room.settings.version, room.settings.form_version) = (0, 0);
        room.settings.ahead = None;
        for offer in room.offers.values_mut() {
            offer.is_asked = false;
        }
        room.touch();
        self.unsaved.insert(jid.clone());
        self.source_moved(jid);
        for service in unmade.iter().filter(|_| was_source) {
            self.forget_instance(now, jid, service);
        }
        self.want_sync(now, jid, &source);
    }

    fn source_moved(&mut self, jid: &BareJid) {
        let Some(room) = self.rooms.get(jid) else { return };
        let Some(source) = room.source.clone() else { return };
        let (room, term) = (jid.clone(), room.settings.term);
        self.actions.push_back(Action::SourceMoved { room, source, term });
    }

    /// An administrator has ordered something of it.
    pub(in crate::engine) fn order_succession(
        &mut self,
        now: Now,
        jid: &BareJid,
        step: Step<BareJid>,
    ) -> Result<(), Error> {
        let Some(room) = self.rooms.get_mut(jid) else {
            return Err(Error::UnknownRoom);
        };
        let Some(mut succession) = room.succession.take() else {
            return Err(refuse(
                Condition::NotAllowed,
                "No instance of this room votes but its source (dmuc_voters): nobody can follow it",
            ));
        };
        let is_forced = matches!(step, Step::Force(_));
        let done = match step {
            Step::Release(heir) => self.hand_over(now, jid, &mut succession, heir),
            step => {
                let order = succession.party.order(step, &|name| self.is_gone(jid, name));
                order.map_err(objected)
            }
        };
        if let Some(room) = self.rooms.get_mut(jid) {
            room.succession = Some(succession);
        }
        self.voting.insert(jid.clone());
        done?;
        if is_forced {
            self.become_source(now, jid);
        }
        // What was ordered without votes follows at once.
        self.succession_follows(now, jid);
        Ok(())
    }

    /// An administrator's word makes this instance follow another: as if it had been believed.
    fn succession_follows(&mut self, now: Now, jid: &BareJid) {
        let Some(room) = self.rooms.get(jid) else { return };
        let Some(succession) = &room.succession else {
            return;
        };
        let follows = &succession.party.statement().follows;
        if room.source.as_ref() != Some(&follows.source) {
            match succession.party.is_source() {
                true => self.become_source(now, jid),
                false => self.follow_source(now, jid),
            }
        }
    }

    fn hand_over(
        &self,
        now: Now,
        jid: &BareJid,
        succession: &mut Succession,
        heir: BareJid,
    ) -> Result<(), Error> {
        let party = &succession.party;
        if !party.may_decide() {
            return Err(objected(Objection::NotTheSource));
        }
        if heir == *jid {
            return Err(objected(Objection::IsTheSource));
        }
        if !party.line().voters.contains(&heir) {
            return Err(objected(Objection::NotAVoter));
        }
        if self.is_gone(jid, &heir) {
            return Err(objected(Objection::HeirIsBehind));
        }
        succession.heir = Some(heir);
        succession.reclaim_at = Some(now.mono_ms + self.config.link_timeout_ms);
        Ok(())
    }

    /// The role is released as soon as the heir holds what has been decided, and has all that was said.
    pub(super) fn release_when_held(&mut self, now: Now, jid: &BareJid) {
        let Some(room) = self.rooms.get(jid) else { return };
        let Some(succession) = &room.succession else {
            return;
        };
        let Some(heir) = succession.heir.clone() else {
            return;
        };
        let is_level = room.instances.get(&heir).is_some_and(|heir| heir.is_synced);
        if !is_level || !succession.party.may_decide() {
            return;
        }
        let mut party = succession.party.clone();
        let order = party.order(Step::Release(heir), &|name| self.is_gone(jid, name));
        if order.is_err() {
            return;
        }
        let until = now.mono_ms + self.config.link_timeout_ms / 2;
        if let Some(succession) = self.succession_mut(jid) {
            (succession.party, succession.heir) = (party, None);
            succession.reclaim_at = Some(until);
        }
        self.voting.insert(jid.clone());
        self.settle_succession(now, jid);
    }

    /// What was waited for has not come.
    pub(super) fn succession_due(
        &mut self,
        now: Now,
        jid: &BareJid,
        (stands, reclaims, succeeds): (bool, bool, bool),
    ) {
        let mut steps = Vec::new();
        if let Some(succession) = self.succession_mut(jid).filter(|_| reclaims) {
            succession.heir = None;
            steps.push(Step::Reclaim);
        }
        if stands && let Some(succession) = self.succession_mut(jid) {
            let count = succession.patience(now.mono_ms, super::PEACE_MS);
            succession.disputes = (count + 1, now.mono_ms);
        }
        steps.extend(stands.then_some(Step::StandAgain));
        steps.extend(succeeds.then_some(Step::TakeOver));
        for step in steps {
            // It may have been settled meanwhile.
            drop(self.order_succession(now, jid, step));
        }
    }

    /// Who stands by itself when its source is gone (`dmuc_succession_after`): the earlier in the order, the sooner.
    pub(super) fn await_succession(&mut self, now: Now, jid: &BareJid) {
        let after = self.config.succession_after_ms;
        let jitter = self.ids.below(after / 8 + 1);
        let Some(room) = self.rooms.get(jid) else { return };
        let Some(succession) = &room.succession else {
            return;
        };
        let party = &succession.party;
        let source = &party.statement().follows.source;
        let place = party.line().voters.iter().position(|voter| voter == jid);
        let waits = after > 0 && !party.is_source() && self.is_gone(jid, source);
        let at = match (place.filter(|_| waits), succession.succeed_at) {
            (Some(place), None) => Some(now.mono_ms + after + after / 4 * place as u64 + jitter),
            (Some(_), at) => at,
            (None, _) => None,
        };
        // A release that was cut short by a restart.
        let is_stuck = party.is_source() && !party.may_decide() && !party.statement().is_standing;
        let until = now.mono_ms + self.config.link_timeout_ms / 2;
        if let Some(succession) = self.succession_mut(jid) {
            succession.succeed_at = at;
            if is_stuck {
                succession.reclaim_at.get_or_insert(until);
            }
        }
    }

    /// A change that was made here provisionally is decided here after all.
    fn decide_offered(&mut self, now: Now, jid: &BareJid, offer: &super::super::state::waiting::Offer) {
        let actor = Actor {
            nick: offer.actor_nick.as_deref(),
            jid: offer.actor_jid.as_ref(),
            invites: offer.is_invited,
        };
        if let Some(room) = self.rooms.get_mut(jid) {
            offer.base.hold(room);
        }
        let is_first = offer.base.is_same(&offer.was);
        if !is_first || self.rule_again(now, jid, offer.now.clone(), actor).is_err() {
            self.put_into_force(jid, &offer.base);
            self.overridden(jid, offer);
        }
    }

    /// A source that has released its role decides nothing until somebody has won it.
    pub(in crate::engine) fn expect_decider(&self, jid: &BareJid) -> Result<(), Error> {
        let room = self.rooms.get(jid);
        let succession = room.and_then(|room| room.succession.as_ref());
        let is_releasing =
            |succession: &&Succession| succession.party.is_source() && !succession.party.may_decide();
        match succession.filter(is_releasing) {
            Some(_) => Err(refuse(
                Condition::ResourceConstraint,
                "The role of source is being handed over: try again",
            )),
            None => Ok(()),
        }
    }

    /// What a peer is refused that does not know yet who the source is.
    pub(in crate::engine) fn names_source(&self, jid: &BareJid) -> String {
        let room = self.rooms.get(jid);
        let source = room.and_then(|room| room.source.as_ref().map(|source| (source, room.settings.term)));
        match source {
            Some((source, term)) if term > 0 => {
                format!("Only the source may do this: {source}, since term {term}")
            }
            _ => "Only the source may do this".to_owned(),
        }
    }
}

/// An objection as a peer or an administrator reads it.
fn objected(objection: Objection) -> Error {
    let (condition, text) = match objection {
        Objection::NotTheSource => (
            Condition::UnexpectedRequest,
            "The role of source is not this instance's to give",
        ),
        Objection::NotAVoter => (
            Condition::NotAllowed,
            "Only a voter of the room can be its source",
        ),
        Objection::SourceIsHere => (
            Condition::NotAllowed,
            "The source can be reached: it hands over, or nobody takes over",
        ),
        Objection::IsTheSource => (Condition::NotAllowed, "It is the source already"),
        Objection::Recovering => (
            Condition::ResourceConstraint,
            "The storage of this instance went back in time; it has to hear first what it had promised",
        ),
        Objection::HeirIsBehind => (
            Condition::ResourceConstraint,
            "That instance cannot be reached, or does not hold yet what the source has decided",
        ),
        Objection::MoreThanOne => (Condition::NotAllowed, "One voter comes or goes at a time"),
        Objection::TooMany => (Condition::NotAllowed, "The room has as many voters as it may"),
        Objection::Unsettled => (
            Condition::ResourceConstraint,
            "Most voters do not hold the last change of voters yet",
        ),
        Objection::NoClaim => (
            Condition::ItemNotFound,
            "That instance does not say that it is the source",
        ),
        Objection::Older => (Condition::NotAllowed, "A later claim is followed here already"),
    };
    refuse(condition, text)
}
