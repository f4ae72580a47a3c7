//! What becomes of a world in which nothing more goes wrong: links heal, whoever is dead stays so, and who would stand by
//! itself does. A model checker's "eventually" does not see circles; this does.

use dmuc::succession::{Party, Step};

use super::world::{Event, Name, World};

/// More rounds than any world needs.
const ROUNDS: usize = 90;
/// A source whose heir has not won takes the role back.
const PATIENCE: usize = 8;

/// The world after everything has been said and done, and whether it came to rest.
pub fn at_rest(world: &World) -> (World, bool) {
    let mut world = world.clone();
    world.cuts.clear();
    world.left = super::world::Budget::default();
    world.names().for_each(|name| world.settle(name));
    let mut quiet = 0;
    for _ in 0..ROUNDS {
        let before = world.clone();
        talk(&mut world);
        quiet = if world == before { quiet + 1 } else { 0 };
        if quiet > 3 * PATIENCE {
            return (world, true);
        }
        if quiet > 0 {
            stand(&mut world, quiet);
        }
    }
    (world, false)
}

/// Everybody hears everybody, and gets what it wants.
pub fn talk(world: &mut World) {
    let mut events = Vec::new();
    for name in world.names() {
        for other in world.names().filter(|other| *other != name) {
            world.events_between_now(name, other, &mut events);
        }
    }
    events.iter().for_each(|event| world.happen(event));
}

/// Whoever would stand by itself, or take back what it released, does: the first in the order of its voters first.
fn stand(world: &mut World, quiet: usize) {
    for name in world
        .names()
        .filter(|name| !world.dead.contains(name))
        .collect::<Vec<_>>()
    {
        let party = world.party(name);
        let place = party
            .line()
            .voters
            .iter()
            .position(|voter| *voter == name)
            .unwrap_or(usize::from(name) + 3);
        let links = world.clone();
        let is_down = |of: &Name| links.is_down(name, *of);
        let step = match party.is_source() {
            true if quiet == PATIENCE && !party.may_decide() => Step::Reclaim,
            _ if quiet == 1 + place && party.has_to_stand_again(&is_down) => Step::StandAgain,
            false if quiet == 9 + place => Step::TakeOver,
            _ => continue,
        };
        world.left.again = 1;
        if world.parties[usize::from(name)].order(step, &is_down).is_ok() {
            world.settle(name);
            return;
        }
    }
}

/// Whether those who live can agree by themselves: most voters live, by every list that any of them knows, and nobody waits
/// for somebody dead to say what it had promised.
pub fn can_agree(world: &World) -> bool {
    let alive = world.names().filter(|name| !world.dead.contains(name));
    alive.into_iter().all(|name| {
        let party = world.party(name);
        let lives = |list: &Vec<Name>| {
            let count = list.iter().filter(|voter| !world.dead.contains(voter)).count();
            list.is_empty() || 2 * count > list.len()
        };
        lives(&party.line().voters) && lives(&party.line().unforced) && !party.is_recovering()
    })
}

/// What is not as it has to be at rest.
pub fn fault(world: &World) -> Option<&'static str> {
    let (rest, is_at_rest) = at_rest(world);
    if let Some(fault) = rest.witness.faults.first() {
        return Some(fault);
    }
    if !can_agree(&rest) {
        return None;
    }
    if !is_at_rest {
        return Some("it never comes to rest");
    }
    let alive: Vec<Name> = rest.names().filter(|name| !rest.dead.contains(name)).collect();
    let parties: Vec<&Party<Name>> = alive.iter().map(|name| rest.party(*name)).collect();
    let sources: Vec<&&Party<Name>> = parties.iter().filter(|party| party.is_source()).collect();
    let [source] = sources.as_slice() else {
        return Some(if sources.is_empty() {
            "no source"
        } else {
            "two sources"
        });
    };
    if !source.may_decide() {
        return Some("a source that may not decide");
    }
    let said = source.statement();
    if parties
        .iter()
        .any(|party| party.statement().follows != said.follows)
    {
        return Some("somebody follows another source");
    }
    if parties
        .iter()
        .any(|party| party.statement().edition != said.edition)
    {
        return Some("somebody holds another edition");
    }
    let is_lost = |edition| !source.line().contains(&said.edition, edition);
    if rest.is_overridden(source) {
        return Some("what most voters held is overridden");
    }
    let mut decisions = rest.witness.decisions.iter();
    let is_silent = decisions.any(|decision| {
        let is_home_alive = !rest.dead.contains(&decision.home) && !decision.is_forgotten;
        is_home_alive && !decision.is_told && is_lost(&decision.edition)
    });
    is_silent.then_some("a decision is lost without a word")
}

impl World {
    fn events_between_now(&self, name: Name, other: Name, events: &mut Vec<Event>) {
        if self.is_down(name, other) {
            return;
        }
        let (party, theirs) = (self.party(name), self.party(other));
        if theirs
            .heard(&name)
            .is_none_or(|said| said.at < party.statement().at)
        {
            events.push(Event::Hear(name, other));
        }
        if party.wanted(&|of| self.is_down(name, *of)) == Some(other) {
            events.push(Event::Take(name, other));
        }
    }
}
