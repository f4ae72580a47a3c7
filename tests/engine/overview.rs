//! What an administrator sees of rooms, links and refusals: before, during and after a failure.

use dmuc::engine::{Cause, InstanceState, LinkOverview, LinkState, RoomOverview, Speaks};
use dmuc::wire::Condition;

use crate::scenes;
use crate::support::federation::{Federation, config_of};
use crate::support::names::*;
use crate::support::net::Mode;

fn coven() -> Federation {
    let mut fed = scenes::shared(&[CHAT, ROOMS, CONF]);
    fed.join(FOO, CRONE1);
    fed.join(WITCH_PLACE, WITCH);
    fed.run();
    fed
}

fn room(fed: &Federation, service: &str, room: &str) -> RoomOverview {
    let host = fed.host(service);
    let now = fed.now_at(&bare(service));
    host.engine.room_overview(now, &bare(room)).unwrap()
}

fn link(fed: &Federation, service: &str, peer: &str) -> LinkOverview {
    let now = fed.now_at(&bare(service));
    let links = fed.host(service).engine.link_overviews(now);
    links.into_iter().find(|link| link.service == bare(peer)).unwrap()
}

fn states(room: &RoomOverview) -> Vec<(String, InstanceState)> {
    let instances = room.instances.iter();
    instances
        .map(|instance| (instance.jid.to_string(), instance.state))
        .collect()
}

#[test]
fn a_room_that_is_well_says_so() {
    let mut fed = coven();
    fed.say(FOO, "one");
    fed.run();
    let seen = room(&fed, CHAT, COVEN);
    assert!(seen.info.is_source);
    assert_eq!((seen.occupants, seen.messages, seen.offers), (1, 1, 0));
    assert_eq!(
        states(&seen),
        [
            (COVEN_AT_CONF.to_owned(), InstanceState::Agreed),
            (COVEN_AT_ROOMS.to_owned(), InstanceState::Agreed),
        ]
    );
    let rooms = &seen.instances[1];
    assert_eq!((rooms.link, rooms.speaks), (LinkState::Up, Speaks::Ours));
    assert_eq!(rooms.occupants, 1);
    assert!(rooms.agreed_ago_ms.is_some() && rooms.answered_ago_ms.is_some());
    let shadow = room(&fed, ROOMS, COVEN_AT_ROOMS);
    assert!(!shadow.info.is_source);
    let of_source: Vec<bool> = shadow
        .instances
        .iter()
        .map(|instance| instance.is_source)
        .collect();
    assert_eq!(of_source, [true, false]);
    let to_rooms = link(&fed, CHAT, ROOMS);
    assert_eq!((to_rooms.rooms, to_rooms.behind, to_rooms.endings), (1, 0, 0));
    assert_eq!((to_rooms.state, to_rooms.cause), (LinkState::Up, None));
}

#[test]
fn a_link_says_since_when_and_why_it_is_down() {
    let mut fed = coven();
    let up = link(&fed, CHAT, ROOMS).for_ms.unwrap();
    fed.run_for(30_000);
    assert_eq!(link(&fed, CHAT, ROOMS).for_ms.unwrap(), up + 30_000);
    for other in [CHAT, CONF] {
        fed.net.set_mode(&bare(other), &bare(ROOMS), Mode::Swallows);
    }
    fed.run_for(300_000);
    let down = link(&fed, CHAT, ROOMS);
    assert_eq!((down.state, down.cause), (LinkState::Down, Some(Cause::Silent)));
    let (for_ms, answered_ms) = (down.for_ms.unwrap(), down.answered_ago_ms.unwrap());
    assert!((150_000..300_000).contains(&for_ms), "{for_ms}");
    assert!(
        (for_ms..=300_000 + 30_000).contains(&answered_ms),
        "{answered_ms}"
    );
    // It is asked at least once a minute; now and then the question is on its way.
    let mut next = Vec::new();
    for _ in 0..60 {
        fed.run_for(1_000);
        next.extend(link(&fed, CHAT, ROOMS).next_in_ms);
    }
    assert!(
        next.len() >= 20 && next.iter().all(|ms| *ms <= 62_000),
        "{next:?}"
    );
    assert_eq!(
        room(&fed, CHAT, COVEN).instances[1].state,
        InstanceState::OutOfReach
    );
    for other in [CHAT, CONF] {
        fed.net.set_mode(&bare(other), &bare(ROOMS), Mode::Up);
    }
    fed.run_for(120_000);
    let up = link(&fed, CHAT, ROOMS);
    assert_eq!((up.state, up.cause, up.behind), (LinkState::Up, None, 0));
    assert!(up.for_ms.unwrap() < 120_000, "it has come up anew");
    assert_eq!(room(&fed, CHAT, COVEN).instances[1].state, InstanceState::Agreed);
}

#[test]
fn what_waits_for_the_source_is_counted() {
    let mut fed = scenes::shared(&[CHAT, ROOMS]);
    fed.join(FOO, CRONE1);
    fed.affiliate(FOO, "somewitch@macbeth.lit", dmuc::wire::Affiliation::Owner);
    fed.run();
    fed.join(WITCH_PLACE, WITCH);
    fed.run();
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Bounces);
    fed.run_for(120_000);
    fed.set_subject(WITCH_PLACE, "Toil");
    assert_eq!(room(&fed, ROOMS, COVEN_AT_ROOMS).offers, 1);
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Up);
    fed.run_for(120_000);
    assert_eq!(room(&fed, ROOMS, COVEN_AT_ROOMS).offers, 0);
}

#[test]
fn a_refusal_says_of_what_why_and_when_it_is_asked_again() {
    let mut fed = Federation::empty(7);
    fed.add(config_of(CHAT, &[CHAT, ROOMS]));
    let mut full = config_of(ROOMS, &[CHAT, ROOMS]);
    full.max_shadows = 0;
    fed.add(full);
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run_for(5_000);
    let now = fed.now_at(&bare(CHAT));
    let refusals = fed.host(CHAT).engine.refusal_overviews(now);
    assert_eq!(refusals.len(), 1);
    assert_eq!(
        (&refusals[0].room, &refusals[0].service),
        (&bare(COVEN), &bare(ROOMS))
    );
    assert_eq!(refusals[0].condition, Condition::ResourceConstraint);
    assert!(refusals[0].text.is_some() && refusals[0].next_in_ms.is_some());
    let seen = room(&fed, CHAT, COVEN);
    assert_eq!(seen.instances[0].state, InstanceState::Refused);
    assert_eq!(seen.instances[0].refused_for, Some(Condition::ResourceConstraint));
}
