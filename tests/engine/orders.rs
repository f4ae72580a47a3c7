//! What an administrator orders: compare now, bring up one instance or drop it, forget a service that is gone for good.

use dmuc::engine::{Cause, InstanceState, LinkState, Order, ParkedFor};
use dmuc::wire::Condition;
use dmuc::{Config, Error};

use crate::scenes::coven;
use crate::support::federation::{Federation, config_of};
use crate::support::names::*;
use crate::support::net::Mode;

fn order(fed: &mut Federation, service: &str, order: Order<'_>) -> Result<(), Error> {
    fed.at(&bare(service), |host| host.order(order))
}

fn retract(fed: &mut Federation, service: &str) {
    let (room, service) = (bare(COVEN), bare(service));
    let retract = Order::Retract {
        room: &room,
        service: &service,
    };
    order(fed, CHAT, retract).unwrap();
}

fn replicate(fed: &mut Federation, service: &str) -> Result<(), Error> {
    let (room, service) = (bare(COVEN), bare(service));
    let replicate = Order::Replicate {
        room: &room,
        service: &service,
    };
    order(fed, CHAT, replicate)
}

fn condition(outcome: Result<(), Error>) -> Condition {
    match outcome {
        Err(Error::Refused(error)) => error.condition,
        other => panic!("not refused: {other:?}"),
    }
}

fn configure(fed: &mut Federation, service: &str, config: Config) {
    fed.at(&bare(service), |host| host.engine.set_config(host.now, config));
    fed.at(&bare(service), |host| host.drain());
}

fn instances(fed: &Federation) -> Vec<String> {
    fed.instances(COVEN).into_iter().collect()
}

#[test]
fn a_retracted_instance_is_closed_and_the_others_go_on() {
    let mut fed = coven();
    retract(&mut fed, ROOMS);
    fed.run();
    assert_eq!(instances(&fed), [COVEN_AT_CONF]);
    assert!(fed.host(ROOMS).room(&bare(COVEN_AT_ROOMS)).is_closed);
    for room in [COVEN, COVEN_AT_CONF] {
        let roster = fed.roster(room);
        assert!(
            !roster.iter().any(|line| line.contains("witch")),
            "{room}: {roster:?}"
        );
    }
    fed.say(FOO, "one");
    fed.run();
    assert_eq!(fed.heard(FAUST_PLACE), ["one"]);
    // Neither a reload nor a restart at either end brings it back.
    configure(&mut fed, CHAT, config_of(CHAT, &[CHAT, ROOMS, CONF]));
    fed.run_for(60_000);
    fed.restart(ROOMS);
    fed.run_for(60_000);
    fed.restart(CHAT);
    fed.run_for(60_000);
    assert_eq!(instances(&fed), [COVEN_AT_CONF]);
    let now = fed.now_at(&bare(CHAT));
    let seen = fed.host(CHAT).engine.room_overview(now, &bare(COVEN)).unwrap();
    assert_eq!(seen.retracted, [bare(ROOMS)]);
}

#[test]
fn a_retracted_service_that_is_away_learns_of_it_when_it_is_back() {
    let mut fed = coven();
    for other in [CHAT, CONF] {
        fed.net.set_mode(&bare(other), &bare(ROOMS), Mode::Bounces);
    }
    fed.run_for(60_000);
    retract(&mut fed, ROOMS);
    fed.restart(CHAT);
    fed.run_for(60_000);
    assert!(!fed.host(ROOMS).room(&bare(COVEN_AT_ROOMS)).is_closed);
    for other in [CHAT, CONF] {
        fed.net.set_mode(&bare(other), &bare(ROOMS), Mode::Up);
    }
    fed.run_for(180_000);
    assert!(fed.host(ROOMS).room(&bare(COVEN_AT_ROOMS)).is_closed);
    assert_eq!(instances(&fed), [COVEN_AT_CONF]);
}

#[test]
fn what_was_retracted_is_replicated_again_by_order() {
    let mut fed = coven();
    retract(&mut fed, ROOMS);
    fed.run();
    fed.say(FOO, "meanwhile");
    fed.run();
    replicate(&mut fed, ROOMS).unwrap();
    fed.run_for(60_000);
    assert_eq!(instances(&fed), [COVEN_AT_CONF, COVEN_AT_ROOMS]);
    fed.say(FOO, "again");
    fed.run();
    let last = fed.history(COVEN_AT_ROOMS).pop().map(|(_, message)| message);
    let same = fed.history(COVEN).pop().map(|(_, message)| message);
    assert_eq!(last, same);
    fed.restart(CHAT);
    fed.run_for(60_000);
    assert_eq!(instances(&fed), [COVEN_AT_CONF, COVEN_AT_ROOMS], "and stays");
}

#[test]
fn a_refused_instance_is_asked_for_at_once_by_order() {
    let mut fed = Federation::empty(7);
    fed.add(config_of(CHAT, &[CHAT, ROOMS]));
    let mut full = config_of(ROOMS, &[CHAT, ROOMS]);
    full.max_shadows = 0;
    fed.add(full.clone());
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run_for(5_000);
    assert_eq!(instances(&fed), [""; 0]);
    // Nothing tells the source that the peer has room by now: by itself it would ask in half a minute.
    full.max_shadows = 10;
    fed.at(&bare(ROOMS), |host| host.engine.set_config(host.now, full));
    replicate(&mut fed, ROOMS).unwrap();
    fed.run_for(1_000);
    assert_eq!(instances(&fed), [COVEN_AT_ROOMS]);
}

#[test]
fn a_peer_that_is_back_is_reached_at_once_by_order() {
    let mut fed = coven();
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Bounces);
    fed.run_for(600_000);
    fed.say(FOO, "meanwhile");
    fed.run_for(1_000);
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Up);
    for by in [Order::SyncPeer(&bare(ROOMS)), Order::SyncRoom(&bare(COVEN))] {
        order(&mut fed, CHAT, by).unwrap();
    }
    fed.run_for(2_000);
    assert_eq!(fed.host(CHAT).engine.link_state(&bare(ROOMS)), LinkState::Up);
    assert_eq!(fed.heard(WITCH_PLACE), ["meanwhile"]);
    // Of a link that is up it asks what there is, once.
    fed.forget();
    order(&mut fed, CHAT, Order::SyncRoom(&bare(COVEN))).unwrap();
    fed.run_for(1_000);
    let asked = fed.tally(CHAT, ROOMS);
    assert_eq!(asked.get("sync"), Some(&1), "{asked:?}");
}

#[test]
fn a_peer_with_which_nothing_is_shared_is_asked_whether_it_names_us() {
    let mut fed = Federation::of(&[CHAT, ROOMS]);
    fed.run_for(5_000);
    assert_eq!(fed.host(CHAT).engine.link_state(&bare(ROOMS)), LinkState::Up);
    configure(&mut fed, ROOMS, config_of(ROOMS, &[ROOMS, CONF]));
    fed.run_for(5_000);
    order(&mut fed, CHAT, Order::SyncPeer(&bare(ROOMS))).unwrap();
    fed.run_for(2_000);
    let now = fed.now_at(&bare(CHAT));
    let links = fed.host(CHAT).engine.link_overviews(now);
    assert_eq!(
        (links[0].state, links[0].cause),
        (LinkState::Down, Some(Cause::NotPeered))
    );
}

#[test]
fn an_order_that_is_not_for_this_room_or_service_changes_nothing() {
    let mut fed = coven();
    let (coven, rooms, stranger) = (bare(COVEN), bare(ROOMS), bare("chat.kyd.lit"));
    let at_rooms = bare(COVEN_AT_ROOMS);
    let of_shadow = Order::Replicate {
        room: &at_rooms,
        service: &bare(CONF),
    };
    assert_eq!(
        condition(order(&mut fed, ROOMS, of_shadow)),
        Condition::NotAllowed
    );
    let of_shadow = Order::Retract {
        room: &at_rooms,
        service: &bare(CONF),
    };
    assert_eq!(
        condition(order(&mut fed, ROOMS, of_shadow)),
        Condition::NotAllowed
    );
    assert_eq!(
        condition(replicate(&mut fed, "chat.kyd.lit")),
        Condition::ItemNotFound
    );
    let of_stranger = Order::Retract {
        room: &coven,
        service: &stranger,
    };
    assert_eq!(
        condition(order(&mut fed, CHAT, of_stranger)),
        Condition::ItemNotFound
    );
    let to_stranger = Order::SyncPeer(&stranger);
    assert_eq!(
        condition(order(&mut fed, CHAT, to_stranger)),
        Condition::ItemNotFound
    );
    let of_peer = Order::Forget(&rooms);
    assert_eq!(condition(order(&mut fed, CHAT, of_peer)), Condition::NotAllowed);
    let ordinary = bare("heath@chat.shakespeare.lit");
    let outcome = order(&mut fed, CHAT, Order::SyncRoom(&ordinary));
    assert!(matches!(outcome, Err(Error::UnknownRoom)), "{outcome:?}");
    fed.run();
    assert_eq!(instances(&fed), [COVEN_AT_CONF, COVEN_AT_ROOMS]);
}

#[test]
fn no_more_instances_than_allowed_are_made_by_order() {
    let mut fed = Federation::empty(3);
    let mut config = config_of(CHAT, &[CHAT, ROOMS, CONF]);
    config.max_peerhosts = 1;
    fed.add(config);
    fed.add(config_of(ROOMS, &[CHAT, ROOMS, CONF]));
    fed.add(config_of(CONF, &[CHAT, ROOMS, CONF]));
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    assert_eq!(instances(&fed).len(), 1);
    let missing = if instances(&fed) == [COVEN_AT_CONF] {
        ROOMS
    } else {
        CONF
    };
    assert_eq!(
        condition(replicate(&mut fed, missing)),
        Condition::ResourceConstraint
    );
}

#[test]
fn a_service_that_is_gone_for_good_is_forgotten() {
    let mut fed = coven();
    // Two things wait for it: an instance that is left out, and the end of a room.
    fed.distributed("heath@chat.shakespeare.lit", CRONE1, &[]);
    fed.run();
    for other in [CHAT, CONF] {
        fed.net.set_mode(&bare(other), &bare(ROOMS), Mode::Bounces);
    }
    fed.run_for(60_000);
    let heath = bare("heath@chat.shakespeare.lit");
    fed.at(&bare(CHAT), |host| host.destroy(&heath, None, None));
    fed.run_for(1_000);
    configure(&mut fed, CHAT, config_of(CHAT, &[CHAT, CONF]));
    assert_eq!(
        fed.host(CHAT).engine.parked()[0].reason,
        ParkedFor::InstanceNotNamed
    );
    assert!(
        fed.host(CHAT).stored.contains_key(&heath),
        "its end is to be told"
    );
    order(&mut fed, CHAT, Order::Forget(&bare(ROOMS))).unwrap();
    assert_eq!(fed.host(CHAT).engine.parked(), []);
    assert!(!fed.host(CHAT).stored.contains_key(&heath));
    assert!(!fed.host(CHAT).stored[&bare(COVEN)].contains(ROOMS));
    fed.restart(CHAT);
    fed.run_for(60_000);
    let now = fed.now_at(&bare(CHAT));
    let seen = fed.host(CHAT).engine.room_overview(now, &bare(COVEN)).unwrap();
    let states: Vec<_> = seen.instances.iter().map(|instance| instance.state).collect();
    assert_eq!(states, [InstanceState::Agreed]);
}

#[test]
fn the_rooms_of_a_forgotten_source_stay_as_closed_history() {
    let mut fed = coven();
    fed.say(FOO, "one");
    fed.run();
    configure(&mut fed, ROOMS, config_of(ROOMS, &[ROOMS, CONF]));
    order(&mut fed, ROOMS, Order::Forget(&bare(CHAT))).unwrap();
    assert_eq!(fed.host(ROOMS).engine.parked(), []);
    assert!(fed.host(ROOMS).room(&bare(COVEN_AT_ROOMS)).is_closed);
    assert!(
        !fed.host(ROOMS).stored.contains_key(&bare(COVEN_AT_ROOMS)),
        "nobody is told"
    );
}

#[test]
fn what_a_whole_peer_refused_is_asked_for_at_a_pace_also_by_order() {
    let mut fed = Federation::empty(1);
    fed.add(config_of(CHAT, &[CHAT, ROOMS]));
    let mut full = config_of(ROOMS, &[CHAT, ROOMS]);
    full.max_shadows = 0;
    fed.add(full);
    for number in 0..50 {
        fed.distributed(&format!("room{number}@{CHAT}"), CRONE1, &[]);
    }
    fed.run_for(10_000);
    let before = fed.net.stanzas(&bare(CHAT), &bare(ROOMS));
    order(&mut fed, CHAT, Order::SyncPeer(&bare(ROOMS))).unwrap();
    fed.run_for(1_000);
    let asked = fed.net.stanzas(&bare(CHAT), &bare(ROOMS)) - before;
    assert!((1..10).contains(&asked), "{asked} questions in a second");
}

#[test]
fn a_retraction_is_ordered_twice_as_well() {
    let mut fed = coven();
    for service in [CHAT, ROOMS, CONF] {
        let mut config = config_of(service, &[CHAT, ROOMS, CONF]);
        config.max_peerhosts = 1;
        fed.at(&bare(service), |host| host.engine.set_config(host.now, config));
    }
    retract(&mut fed, ROOMS);
    order(
        &mut fed,
        CHAT,
        Order::Retract {
            room: &bare(COVEN),
            service: &bare(ROOMS),
        },
    )
    .unwrap();
    let error = order(
        &mut fed,
        CHAT,
        Order::Retract {
            room: &bare(COVEN),
            service: &bare(CONF),
        },
    )
    .unwrap_err();
    assert_eq!(
        error.stanza_error().map(|error| error.condition),
        Some(Condition::ResourceConstraint)
    );
}
