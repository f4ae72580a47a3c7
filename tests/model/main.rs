//! The rules of succession (DESIGN 9) explored: what the engine runs, driven by a model checker through everything that can
//! happen to a few instances. `make test` looks at a bounded part, `make model` further.

// In tests a panic is the verdict; clippy's exception covers only the #[test] functions themselves, not their helpers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod rest;
mod world;

use stateright::{Checker, Model, Property, UniformChooser};

use world::{Budget, Event, World};

struct Room {
    start: World,
    /// Whether nobody but the first source may ever win.
    is_kept: bool,
}

impl Model for Room {
    type State = World;
    type Action = Event;

    fn init_states(&self) -> Vec<World> {
        vec![self.start.clone()]
    }

    fn actions(&self, world: &World, events: &mut Vec<Event>) {
        world.events(events);
    }

    fn next_state(&self, world: &World, event: Event) -> Option<World> {
        let mut world = world.clone();
        world.happen(&event);
        let is_replaced = world.witness.won.values().any(|name| *name != 0) || !world.party(0).is_source();
        if self.is_kept && is_replaced {
            world.witness.faults.insert("the source is replaced");
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Room>> {
        vec![Property::always("succession", |_: &Room, world: &World| {
            world.witness.faults.is_empty() && rest::fault(world).is_none()
        })]
    }
}

/// Looks at everything that can happen, the nearest first, up to this many states.
fn explore(name: &str, room: Room, states: usize) {
    let checker = room
        .checker()
        .threads(2)
        .target_state_count(budget("DMUC_MODEL_STATES", states));
    report(name, &checker.spawn_bfs().join());
}

/// Follows long stories at random, up to this many states.
fn wander(name: &str, room: Room, seed: u64, states: usize) {
    let seed = std::env::var("DMUC_MODEL_SEED").map_or(seed, |text| text.parse().unwrap_or(seed));
    let checker = room
        .checker()
        .threads(2)
        .target_state_count(budget("DMUC_MODEL_STEPS", states));
    report(name, &checker.spawn_simulation(seed, UniformChooser).join());
}

fn budget(variable: &str, usual: usize) -> usize {
    std::env::var(variable).map_or(usual, |text| text.parse().unwrap_or(usual))
}

fn report(name: &str, checker: &impl Checker<Room>) {
    println!(
        "{name}: {} states, depth {}",
        checker.state_count(),
        checker.max_depth()
    );
    if let Some(path) = checker.discovery("succession") {
        let world = path.last_state().clone();
        let fault = world.witness.faults.first().copied().or(rest::fault(&world));
        let events: Vec<String> = path
            .into_actions()
            .iter()
            .map(|event| format!("{event:?}"))
            .collect();
        let rest = rest::at_rest(&world).0.summary();
        panic!(
            "{name}: {fault:?}\n{}\n{}\nat rest:\n{rest}",
            events.join("\n"),
            world.summary()
        );
    }
}

fn room(size: u8, voters: u8, left: Budget) -> Room {
    Room {
        start: World::new(size, voters, left),
        is_kept: false,
    }
}

#[test]
fn a_source_dies() {
    let left = Budget {
        decisions: 1,
        takeovers: 2,
        deaths: 1,
        cuts: 1,
        ..Budget::default()
    };
    explore("a source dies", room(3, 3, left), 8_000);
}

#[test]
fn two_successions() {
    let left = Budget {
        decisions: 1,
        takeovers: 2,
        cuts: 2,
        again: 1,
        ..Budget::default()
    };
    explore("two successions", room(3, 3, left), 8_000);
}

#[test]
fn a_role_is_handed_over() {
    let left = Budget {
        decisions: 1,
        handovers: 1,
        cuts: 1,
        crashes: 1,
        takeovers: 1,
        again: 1,
        ..Budget::default()
    };
    explore("a role is handed over", room(3, 3, left), 8_000);
}

#[test]
fn a_room_of_two_is_forced() {
    let left = Budget {
        decisions: 2,
        forced: 2,
        cuts: 2,
        crashes: 1,
        followed: 1,
        again: 1,
        ..Budget::default()
    };
    explore("a room of two is forced", room(2, 2, left), 8_000);
}

#[test]
fn three_are_forced() {
    let left = Budget {
        decisions: 1,
        forced: 2,
        cuts: 2,
        takeovers: 1,
        again: 1,
        ..Budget::default()
    };
    explore("three are forced", room(3, 3, left), 8_000);
}

#[test]
fn storage_goes_back_in_time() {
    let left = Budget {
        decisions: 2,
        takeovers: 1,
        cuts: 1,
        backups: 1,
        ..Budget::default()
    };
    explore("storage goes back in time", room(3, 3, left), 8_000);
}

#[test]
fn voters_come_and_go() {
    let left = Budget {
        decisions: 1,
        changes: 2,
        takeovers: 1,
        cuts: 1,
        ..Budget::default()
    };
    explore("voters come and go", room(3, 2, left), 8_000);
}

#[test]
fn voters_come_and_go_among_four() {
    let left = Budget {
        changes: 2,
        takeovers: 1,
        cuts: 2,
        handovers: 1,
        ..Budget::default()
    };
    explore("voters come and go among four", room(4, 3, left), 6_000);
}

#[test]
fn a_voter_lies() {
    let left = Budget {
        decisions: 1,
        lies: 3,
        again: 1,
        crashes: 1,
        ..Budget::default()
    };
    let room = Room {
        start: World::new(4, 4, left),
        is_kept: true,
    };
    explore("a voter lies", room, 8_000);
}

#[test]
fn one_that_is_cut_off_wins_nothing() {
    let left = Budget {
        decisions: 1,
        takeovers: 2,
        cuts: 3,
        crashes: 1,
        ..Budget::default()
    };
    let mut start = World::new(3, 3, left);
    start.cut_off = Some(1);
    explore("one that is cut off", Room { start, is_kept: true }, 8_000);
}

#[test]
fn five_voters() {
    let left = Budget {
        decisions: 1,
        takeovers: 2,
        deaths: 2,
        ..Budget::default()
    };
    explore("five voters", room(5, 5, left), 5_000);
}

#[test]
fn long_stories_of_three() {
    wander("long stories of three", room(3, 3, MUCH), 1, 8_000);
}

#[test]
fn long_stories_of_four() {
    wander("long stories of four", room(4, 3, MUCH), 2, 8_000);
}

#[test]
fn long_stories_of_five() {
    wander("long stories of five", room(5, 5, MUCH), 3, 6_000);
}

#[test]
fn long_stories_of_two() {
    wander("long stories of two", room(2, 2, MUCH), 4, 6_000);
}

/// Everything, often.
const MUCH: Budget = Budget {
    decisions: 6,
    takeovers: 4,
    handovers: 3,
    again: 3,
    forced: 2,
    followed: 2,
    changes: 3,
    cuts: 6,
    crashes: 2,
    backups: 1,
    deaths: 1,
    lies: 0,
};
