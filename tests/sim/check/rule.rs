//! G7: the source rules. What was changed at a shadow that could not reach it holds in the end, or whoever changed it
//! is told.

use std::collections::{BTreeMap, BTreeSet};

use dmuc::address::BareJid;
use dmuc::wire::Picture;

use crate::support::event::{Event, Turn, What};
use crate::support::names::service_of;

#[derive(Debug, Default)]
pub struct Rule {
    /// What the source has decided last.
    values: BTreeMap<(usize, What), String>,
    /// What was changed at a shadow, its last change only.
    open: BTreeMap<(BareJid, What), Attempt>,
    /// Who has ever changed something at a shadow.
    tried: BTreeMap<(BareJid, What), BTreeSet<BareJid>>,
    /// Of these, who may hear of it though nothing is open: its service has lost some, perhaps not the attempt.
    may_hear: BTreeMap<(BareJid, What), BTreeSet<BareJid>>,
    /// What the source has decided, in order.
    decided: BTreeMap<(usize, What), Vec<String>>,
    /// Which of these each shadow had last.
    taken: BTreeMap<(BareJid, What), usize>,
    /// Who decides.
    deciders: BTreeMap<usize, BareJid>,
    /// Rooms whose source has lost some of what it had decided.
    rolled_back: BTreeSet<usize>,
}

#[derive(Debug)]
struct Attempt {
    group: usize,
    actor: BareJid,
    /// Whose entry of the list it is, if this person has registered a nick with it and somebody else answers for the
    /// affiliation: both hear of it.
    registrant: Option<BareJid>,
    value: String,
    /// What it was based on, and any earlier attempt that nobody has been told of. Of avatars also the hashes of those.
    bases: BTreeSet<String>,
    /// What there was before the first of these.
    first: String,
    /// What these wanted.
    wanted: BTreeSet<String>,
    /// It was changed back to what it was before: nothing is offered, unless the source was asked before that.
    is_undone: bool,
    /// The source has had this value since.
    holds: bool,
    told: BTreeSet<BareJid>,
    /// It was shown at the shadow. A subject, and an avatar, is shown only when the engine has stored that it is to be offered.
    is_shown: bool,
}

impl Attempt {
    /// Who hears of it if it does not hold.
    fn authors(&self) -> impl Iterator<Item = &BareJid> {
        self.registrant.iter().chain([&self.actor])
    }

    fn is_based_on(&self, current: &String) -> bool {
        let picture = Picture::parse(current).ok().flatten();
        self.bases.contains(current)
            || picture.is_some_and(|picture| self.bases.contains(&picture.avatar.hash))
    }
}

/// Who answers for a change that follows another, untold one: of an entry of the list that may be who gave the affiliation
/// and, besides, who has registered the nick.
fn authors(
    before: Option<&Attempt>,
    what: &What,
    value: &str,
    actor: &BareJid,
) -> (BareJid, Option<BareJid>) {
    let (What::Affiliation(user), Some(before)) = (what, before) else {
        return (actor.clone(), None);
    };
    let ((given, nick), (was_given, was_nick)) = (parts(value), parts(&before.value));
    let (first_given, first_nick) = parts(&before.first);
    let is_only_the_nick = given == was_given && nick != was_nick;
    let had_registered = before.registrant.is_some() || before.actor == *user && was_nick != first_nick;
    let (main, is_registered) = if is_only_the_nick && was_given != first_given {
        (&before.actor, actor == user)
    } else {
        (actor, had_registered && nick == was_nick)
    };
    let registrant = Some(user).filter(|user| is_registered && *user != main);
    (main.clone(), registrant.cloned())
}

/// The affiliation and the registered nick of an entry.
fn parts(value: &str) -> (&str, Option<&str>) {
    match value.split_once(" as ") {
        Some((affiliation, nick)) => (affiliation, Some(nick)),
        None => (value, None),
    }
}

impl Rule {
    pub fn event(&mut self, event: &Event, group: &impl Fn(&BareJid) -> Option<usize>) -> Result<(), String> {
        match event {
            Event::Decided { room, what, value } => {
                let Some(number) = group(room) else { return Ok(()) };
                self.is_base_in_force(number, what, value)?;
                let key = (number, what.clone());
                self.decided.entry(key).or_default().push(value.clone());
                self.deciders.insert(number, room.clone());
                for ((_, tried), attempt) in &mut self.open {
                    if attempt.group != number || tried != what {
                        continue;
                    }
                    attempt.holds |= attempt.value == *value;
                    // The source has taken what was changed back. Of an affiliation it may have thought so by itself.
                    if attempt.wanted.contains(value) && !matches!(what, What::Affiliation(_)) {
                        attempt.is_undone = false;
                    }
                }
                self.values.insert((number, what.clone()), value.clone());
            }
            Event::Tried {
                room,
                actor,
                what,
                was,
                told,
                value,
            } => {
                let Some(number) = group(room) else { return Ok(()) };
                if was == value {
                    // Nothing was changed, and nothing is offered.
                    return Ok(());
                }
                // Who was never listed has no affiliation.
                let unlisted = "none".to_owned();
                let default = matches!(what, What::Affiliation(_)).then_some(&unlisted);
                let current = self.values.get(&(number, what.clone())).or(default);
                let holds = current == Some(value);
                let before = self.open.get(&(room.clone(), what.clone()));
                let before = before.filter(|attempt| attempt.told.is_empty());
                let first = before.map_or(was, |attempt| &attempt.first).clone();
                let mut bases = before.map_or(BTreeSet::new(), |attempt| attempt.bases.clone());
                bases.extend([was].into_iter().chain(told).cloned());
                let mut wanted = before.map_or(BTreeSet::new(), |attempt| attempt.wanted.clone());
                let is_undone = first == *value;
                if !is_undone {
                    wanted.insert(value.clone());
                }
                let (actor, registrant) = authors(before, what, value, actor);
                self.tried
                    .entry((room.clone(), what.clone()))
                    .or_default()
                    .extend(registrant.iter().chain([&actor]).cloned());
                let attempt = Attempt {
                    bases,
                    first,
                    wanted,
                    is_undone,
                    group: number,
                    actor,
                    registrant,
                    value: value.clone(),
                    holds,
                    told: BTreeSet::new(),
                    is_shown: !matches!(what, What::Subject | What::Avatar),
                };
                self.open.insert((room.clone(), what.clone()), attempt);
            }
            Event::Overridden { room, actor, what } => {
                let key = (room.clone(), what.clone());
                let Some(attempt) = self.open.get_mut(&key) else {
                    let may_hear = self.may_hear.get_mut(&key).zip(actor.as_ref());
                    if may_hear.is_some_and(|(actors, actor)| actors.remove(actor)) {
                        return Ok(());
                    }
                    return Err(format!(
                        "G7: {actor:?} hears of {what:?} at {room}, which nobody changed"
                    ));
                };
                let Some(actor) = actor
                    .as_ref()
                    .filter(|actor| attempt.authors().any(|author| author == *actor))
                else {
                    return Err(format!(
                        "G7: {actor:?} hears of {what:?} at {room}, which {} changed",
                        attempt.actor
                    ));
                };
                if !attempt.told.insert(actor.clone()) {
                    return Err(format!("G7: {actor:?} hears of {what:?} at {room} again"));
                }
            }
            Event::Took { room, what, value } => {
                let Some(number) = group(room) else { return Ok(()) };
                if let Some(attempt) = self.open.get_mut(&(room.clone(), what.clone())) {
                    attempt.is_shown |= attempt.value == *value;
                }
                return self.took(number, room, what, value);
            }
            Event::Turned { room, turn } => {
                // What it had not stored is what it had before.
                self.taken.retain(|(at, _), _| at != room);
                if matches!(turn, Turn::Closed | Turn::Destroyed) {
                    self.open.retain(|(at, _), _| at != room);
                }
                if matches!(turn, Turn::Down) {
                    self.cut_short(room);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// An offer is taken only if the source still has what it was based on. Affiliations are not told apart by their
    /// values, nor is that there is no avatar: anybody may have given this one, or removed it.
    fn is_base_in_force(&self, number: usize, what: &What, value: &String) -> Result<(), String> {
        let is_anybodys = match what {
            What::Affiliation(_) => true,
            What::Avatar => value.is_empty(),
            _ => false,
        };
        if self.rolled_back.contains(&number) || is_anybodys {
            return Ok(());
        }
        let Some(current) = self.values.get(&(number, what.clone())) else {
            return Ok(());
        };
        let decided = self.decided.get(&(number, what.clone()));
        let is_old = decided.is_some_and(|decided| decided.contains(value));
        let mut offers = self.open.iter().filter(|((_, tried), attempt)| {
            attempt.group == number && tried == what && attempt.value == *value
        });
        match offers.next() {
            Some(((room, _), attempt)) if !is_old && !attempt.is_based_on(current) => Err(format!(
                "G7: the source takes {value:?} for {what:?} from {room}, which knew {:?}, but it had {current:?}",
                attempt.bases
            )),
            _ => Ok(()),
        }
    }

    /// A shadow does not go back to what the source had before.
    fn took(&mut self, number: usize, room: &BareJid, what: &What, value: &String) -> Result<(), String> {
        let key = (room.clone(), what.clone());
        let is_own = self.open.get(&key).is_some_and(|attempt| attempt.value == *value);
        if is_own || self.rolled_back.contains(&number) {
            return Ok(());
        }
        let decided = self.decided.get(&(number, what.clone()));
        let decided = decided.map_or(&[][..], Vec::as_slice);
        let since = self.taken.get(&key).copied().unwrap_or(0);
        if let Some(at) = decided.iter().skip(since).position(|decided| decided == value) {
            self.taken.insert(key, since + at);
            return Ok(());
        }
        if decided.contains(value) {
            return Err(format!(
                "G7: {room} goes back to {value:?} of {what:?}, though it had {:?}",
                decided[since]
            ));
        }
        Ok(())
    }

    /// The process died while somebody changed something: nobody has seen that it took effect, though it may be offered.
    fn cut_short(&mut self, room: &BareJid) {
        let may_hear = &mut self.may_hear;
        self.open.retain(|key, attempt| {
            let is_unseen = key.0 == *room && !attempt.is_shown;
            if is_unseen {
                let heard = may_hear.entry(key.clone()).or_default();
                heard.extend(attempt.authors().cloned());
            }
            !is_unseen
        });
    }

    /// It may have lost what it wanted to offer, or have something again that it had offered.
    pub fn lossy(&mut self, service: &BareJid) {
        self.open.retain(|(room, _), _| service_of(room) != *service);
        let tried = self
            .tried
            .iter()
            .filter(|((room, _), _)| service_of(room) == *service);
        self.may_hear
            .extend(tried.map(|(key, actors)| (key.clone(), actors.clone())));
        let theirs = self
            .deciders
            .iter()
            .filter(|(_, room)| service_of(room) == *service);
        self.rolled_back.extend(theirs.map(|(number, _)| *number));
    }

    pub fn end(&mut self, group: usize) {
        self.open.retain(|_, attempt| attempt.group != group);
    }

    pub fn rested(&mut self) -> Result<(), String> {
        for ((room, what), attempt) in std::mem::take(&mut self.open) {
            let mut authors = attempt.authors();
            let untold = authors.find(|author| !attempt.told.contains(*author));
            if let Some(author) = untold.filter(|_| !attempt.holds && !attempt.is_undone) {
                let now = self.values.get(&(attempt.group, what.clone()));
                return Err(format!(
                    "G7: {author} set {what:?} to {:?} at {room}; the source has {now:?} and it was not told",
                    attempt.value
                ));
            }
        }
        Ok(())
    }
}
