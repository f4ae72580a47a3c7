//! What was changed at a shadow while it could not reach the source: it holds here, and is offered on reconnect as
//! compare-and-set (G7). Taken if the source's value is still the one it was based on and the actor is still entitled;
//! otherwise the source's value comes back, and who made the change is told.

use super::state::waiting::{Offer, OfferKey, Value};
use crate::address::BareJid;

use super::action::Change;
use super::request::Pending;
use super::state::clock::Now;
use super::state::room::Room;
use super::{Action, Engine, refuse};
use crate::error::Error;
use crate::wire::{Act, ActKind, Affiliation, Condition, Field, Form, Listed, Request, StanzaError, Subject};

/// How many changes may wait for the source; more are refused by taking them back at once (G13).
const MAX_OFFERS: usize = 500;

/// Who changes something.
#[derive(Debug, Clone, Copy)]
pub(super) struct Actor<'a> {
    pub(super) nick: Option<&'a str>,
    pub(super) jid: Option<&'a BareJid>,
    /// Whether it does so by inviting somebody.
    pub(super) invites: bool,
}

/// Subjects are the same if they say the same.
fn is_same(a: &Value, b: &Value) -> bool {
    let said = |subject: &Option<Subject>| {
        let subject = subject.as_ref();
        subject.map_or(String::new(), |subject| subject.text.clone())
    };
    match (a, b) {
        (Value::Subject(a), Value::Subject(b)) => said(a) == said(b),
        (Value::Moderated(a), Value::Moderated(b)) => a.is_some() == b.is_some(),
        (a, b) => a == b,
    }
}

impl Engine {
    /// Whether changes of the settings of `room` can be decided now: always at the source; at a shadow while the link to
    /// the source is not down. Otherwise the host takes them itself, and tells with who made them.
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
    pub(super) fn offer(&mut self, jid: &BareJid, key: OfferKey, now: Value, actor: Actor<'_>) {
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        let was = room.value(&key);
        if is_same(&was, &now) {
            return;
        }
        if room.offers.len() >= MAX_OFFERS && !room.offers.contains_key(&key) {
            let offer = Offer::of(actor, was, now);
            self.overridden(jid, &key, &offer);
            self.apply_value(jid, &key, &offer.was);
            return;
        }
        room.set_value(&key, &now);
        match room.offers.get_mut(&key) {
            // Back to what it was: nothing to offer any more.
            Some(offer) if is_same(&offer.base, &now) && !offer.is_asked => {
                room.offers.remove(&key);
            }
            Some(offer) => {
                // Who registers a nick does not answer for the affiliation that somebody else gave before.
                let is_others = offer.has_given_affiliation() && is_only_the_nick(&offer.now, &now);
                offer.is_registered = match &key {
                    OfferKey::Affiliation(user) if is_only_the_nick(&offer.now, &now) => {
                        actor.jid == Some(user)
                    }
                    OfferKey::Affiliation(user) => {
                        (offer.is_registered || offer.is_registration(user))
                            && has_same_nick(&offer.now, &now)
                    }
                    _ => false,
                };
                offer.now = now;
                if !is_others {
                    offer.is_invited = actor.invites;
                    offer.actor_nick = actor.nick.map(str::to_owned);
                    offer.actor_jid = actor.jid.cloned();
                }
            }
            None => {
                room.offers.insert(key, Offer::of(actor, was, now));
            }
        }
        self.unsaved.insert(jid.clone());
    }

    /// The link to the source is up and its settings are here: what was changed meanwhile is offered.
    pub(super) fn make_offers(&mut self, now: Now, jid: &BareJid) {
        let Some(room) = self.rooms.get(jid) else { return };
        let Some(source) = room.source.clone().filter(|source| source != jid) else {
            return;
        };
        for (key, offer) in room.offers.clone() {
            if offer.is_asked {
                continue;
            }
            // The decision came before what is stored of the offer: a process was killed in between.
            let is_decided = |id: &String| {
                self.rooms
                    .get(jid)
                    .is_some_and(|room| room.log.moderation_of(id).is_some())
            };
            if matches!(&key, OfferKey::Moderation(id) if is_decided(id)) {
                self.forget_offer(jid, &key);
                continue;
            }
            if is_same(&offer.base, &offer.now) {
                // The source has come to the same.
                self.forget_offer(jid, &key);
                continue;
            }
            if !is_same(&offer.base, &offer.was) {
                self.resolve_offer(jid, &key, false);
                continue;
            }
            if let Some(offer) = self.rooms.get_mut(jid).and_then(|room| room.offers.get_mut(&key)) {
                offer.is_asked = true;
            }
            let pending = Pending::Offer {
                room: jid.clone(),
                key: key.clone(),
            };
            let request = Request::Act(offer.as_act(&key));
            self.request(now, jid.clone(), source.clone(), request, pending);
        }
    }

    /// The source has decided on an offer, or could not be asked.
    pub(super) fn offer_answered(
        &mut self,
        now: Now,
        jid: &BareJid,
        key: &OfferKey,
        error: Option<&StanzaError>,
    ) {
        // The last: the source does not have yet what it is about.
        let is_too_early = |error: &StanzaError| {
            Self::is_link_error(error) || error.condition == Condition::ResourceConstraint
        };
        if error.is_some_and(is_too_early) {
            let room = self.rooms.get_mut(jid);
            if let Some(offer) = room.and_then(|room| room.offers.get_mut(key)) {
                offer.is_asked = false;
            }
            let source = self.rooms.get(jid).and_then(|room| room.source.clone());
            if let Some(source) = source.filter(|source| self.is_link_open(&source.service())) {
                // Lost on a link that works, or too early: after the next pull it is made again.
                self.resync_later(now, jid, &source);
            }
            return;
        }
        self.resolve_offer(jid, key, error.is_none());
    }

    pub(super) fn forget_offer(&mut self, jid: &BareJid, key: &OfferKey) -> Option<Offer> {
        let offer = self.rooms.get_mut(jid)?.offers.remove(key)?;
        self.unsaved.insert(jid.clone());
        Some(offer)
    }

    fn resolve_offer(&mut self, jid: &BareJid, key: &OfferKey, is_taken: bool) {
        // The decision is an event on its way here: until it comes the message stays hidden.
        if is_taken && matches!(key, OfferKey::Moderation(_)) {
            return;
        }
        let Some(offer) = self.forget_offer(jid, key) else {
            return;
        };
        if is_taken {
            return;
        }
        self.apply_value(jid, key, &offer.base);
        self.overridden(jid, key, &offer);
    }

    /// Who made a change is told that it does not hold; of an entry of the list these may be two.
    fn overridden(&mut self, jid: &BareJid, key: &OfferKey, offer: &Offer) {
        if let (OfferKey::Affiliation(user), Value::Listed(entry)) = (key, &offer.now)
            && offer.is_registered
            && offer.actor_jid.as_ref() != Some(user)
        {
            self.actions.push_back(Action::Overridden {
                room: jid.clone(),
                actor_nick: None,
                actor_jid: Some(user.clone()),
                change: Change::Registration {
                    jid: user.clone(),
                    nick: entry.nick.clone(),
                },
            });
        }
        let change = match (key, &offer.now) {
            (OfferKey::Affiliation(user), Value::Listed(entry)) if offer.is_registration(user) => {
                Change::Registration {
                    jid: user.clone(),
                    nick: entry.nick.clone(),
                }
            }
            (OfferKey::Affiliation(user), Value::Listed(entry)) => Change::Affiliation {
                jid: user.clone(),
                affiliation: entry.affiliation,
            },
            (OfferKey::Field(var), _) => Change::Field { var: var.clone() },
            (OfferKey::Moderation(id), _) => Change::Moderation { id: id.clone() },
            (_, Value::Subject(Some(subject))) => Change::Subject {
                text: subject.text.clone(),
            },
            _ => Change::Subject { text: String::new() },
        };
        self.actions.push_back(Action::Overridden {
            room: jid.clone(),
            actor_nick: offer.actor_nick.clone(),
            actor_jid: offer.actor_jid.clone(),
            change,
        });
    }

    /// Sets a value as the source has it, and has it shown.
    fn apply_value(&mut self, jid: &BareJid, key: &OfferKey, value: &Value) {
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        room.set_value(key, value);
        match (key, value) {
            (OfferKey::Affiliation(user), Value::Listed(entry)) => {
                self.show_affiliation(jid, user, entry);
                self.show_person(jid, user);
            }
            (OfferKey::Subject, Value::Subject(subject)) => self.show_subject(jid, subject.clone()),
            (OfferKey::Field(_), _) => self.show_settings(jid),
            (OfferKey::Moderation(id), Value::Moderated(None)) if room.log.has_id(id) => {
                self.actions.push_back(Action::RestoreMessage {
                    room: jid.clone(),
                    id: id.clone(),
                });
            }
            _ => {}
        }
    }

    /// The source's value of something: it is in force here unless a change of it waits for the source's decision.
    /// Returns whether it is in force now.
    pub(super) fn source_says(&mut self, jid: &BareJid, key: &OfferKey, value: &Value) -> bool {
        let Some(room) = self.rooms.get_mut(jid) else {
            return false;
        };
        match room.offers.get_mut(key) {
            Some(offer) => {
                offer.base = value.clone();
                false
            }
            None => {
                room.set_value(key, value);
                true
            }
        }
    }

    /// What the source does with a conditional act (G7): `true` if it is to be performed, `false` if that is so already.
    pub(super) fn is_wanted(&self, jid: &BareJid, kind: &ActKind, actor: &BareJid) -> Result<bool, Error> {
        let Some(room) = self.rooms.get(jid) else {
            return Err(Error::UnknownRoom);
        };
        if let ActKind::Moderate { id } = kind {
            return Ok(room.log.moderation_of(id).is_none());
        }
        let pairs: Vec<(OfferKey, Value, Value)> = match kind {
            ActKind::Affiliation {
                jid,
                affiliation,
                nick,
                was: Some(was),
                ..
            } => {
                let now = Listed {
                    affiliation: *affiliation,
                    nick: nick.clone(),
                };
                vec![(
                    OfferKey::Affiliation(jid.clone()),
                    Value::Listed(was.clone()),
                    Value::Listed(now),
                )]
            }
            ActKind::Register { nick, was: Some(was) } => {
                let now = registered(was, nick.as_deref());
                let key = OfferKey::Affiliation(actor.clone());
                vec![(key, Value::Listed(was.clone()), Value::Listed(now))]
            }
            ActKind::Config { form, was: Some(was) } => {
                let pair = |field: &Field| {
                    let before = was.values(&field.var).unwrap_or_default().to_vec();
                    let key = OfferKey::Field(field.var.clone());
                    (key, Value::Field(before), Value::Field(field.values.clone()))
                };
                form.fields.iter().map(pair).collect()
            }
            ActKind::Subject { text, was: Some(was) } => {
                vec![(OfferKey::Subject, subject_of(was), subject_of(text))]
            }
            _ => return Ok(true),
        };
        let mut is_so = true;
        for (key, was, now) in pairs {
            let current = room.value(&key);
            if is_same(&current, &now) {
                continue;
            }
            is_so = false;
            if !is_same(&current, &was) {
                return Err(refuse(
                    Condition::Conflict,
                    "The source has changed this meanwhile",
                ));
            }
            if takes_nick(room, &key, &was, &now) {
                return Err(refuse(
                    Condition::Conflict,
                    "Somebody else has registered this nick meanwhile",
                ));
            }
        }
        Ok(!is_so)
    }
}

/// An entry of the list after its person has registered this nick, or taken a registration back (XEP-0045 section 7.10):
/// who had no affiliation becomes a member, and ceases to be one.
fn registered(was: &Listed, nick: Option<&str>) -> Listed {
    let affiliation = match (was.affiliation, nick) {
        (Affiliation::None, Some(_)) => Affiliation::Member,
        (Affiliation::Member, None) => Affiliation::None,
        (affiliation, _) => affiliation,
    };
    Listed {
        affiliation,
        nick: nick.map(str::to_owned),
    }
}

/// Whether a change registers a nick that is registered for somebody else already: for one person, whoever else changed the
/// entry.
fn takes_nick(room: &Room, key: &OfferKey, was: &Value, now: &Value) -> bool {
    let (OfferKey::Affiliation(user), Value::Listed(entry)) = (key, now) else {
        return false;
    };
    let owner = entry.nick.as_deref().and_then(|nick| room.nick_owner(nick));
    !has_same_nick(was, now) && owner.is_some_and(|owner| owner != user)
}

/// Whether two values of an entry differ in the registered nick alone.
fn is_only_the_nick(before: &Value, after: &Value) -> bool {
    match (before, after) {
        (Value::Listed(before), Value::Listed(after)) => {
            before.affiliation == after.affiliation && before.nick != after.nick
        }
        _ => false,
    }
}

fn has_same_nick(before: &Value, after: &Value) -> bool {
    matches!((before, after), (Value::Listed(before), Value::Listed(after)) if before.nick == after.nick)
}

fn subject_of(text: &str) -> Value {
    Value::Subject(Some(Subject {
        nick: None,
        stamp: 0,
        text: text.to_owned(),
    }))
}

impl Offer {
    fn of(actor: Actor<'_>, was: Value, now: Value) -> Offer {
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

    /// Whether it changes an affiliation, not only the nick registered with it.
    fn has_given_affiliation(&self) -> bool {
        match (&self.was, &self.now) {
            (Value::Listed(was), Value::Listed(now)) => was.affiliation != now.affiliation,
            _ => false,
        }
    }

    /// Whether `user` has registered a nick, or taken the registration back: for that nobody needs to administer the room.
    fn is_registration(&self, user: &BareJid) -> bool {
        match (&self.was, &self.now) {
            (Value::Listed(was), Value::Listed(now)) => {
                self.actor_jid.as_ref() == Some(user)
                    && was.nick != now.nick
                    && *now == registered(was, now.nick.as_deref())
            }
            _ => false,
        }
    }

    fn as_act(&self, key: &OfferKey) -> Act {
        let text = |value: &Value| match value {
            Value::Subject(Some(subject)) => subject.text.clone(),
            _ => String::new(),
        };
        let form = |var: &str, value: &Value| {
            let mut form = Form::default();
            if let Value::Field(values) = value {
                form.set(var, values.clone());
            }
            form
        };
        let listed = |value: &Value| match value {
            Value::Listed(entry) => entry.clone(),
            _ => Listed::default(),
        };
        let kind = match key {
            OfferKey::Affiliation(jid) if self.is_registration(jid) => ActKind::Register {
                nick: listed(&self.now).nick,
                was: Some(listed(&self.was)),
            },
            OfferKey::Affiliation(jid) => {
                let entry = listed(&self.now);
                ActKind::Affiliation {
                    jid: jid.clone(),
                    affiliation: entry.affiliation,
                    nick: entry.nick,
                    was: Some(listed(&self.was)),
                    is_invited: self.is_invited,
                }
            }
            OfferKey::Subject => ActKind::Subject {
                text: text(&self.now),
                was: Some(text(&self.was)),
            },
            OfferKey::Field(var) => ActKind::Config {
                form: form(var, &self.now),
                was: Some(form(var, &self.was)),
            },
            OfferKey::Moderation(id) => ActKind::Moderate { id: id.clone() },
        };
        let reason = match &self.now {
            Value::Moderated(Some(moderation)) => moderation.reason.clone(),
            _ => None,
        };
        Act {
            actor_nick: self.actor_nick.clone(),
            actor_jid: self.actor_jid.clone(),
            kind,
            reason,
        }
    }
}
