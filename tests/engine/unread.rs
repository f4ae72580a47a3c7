//! A service starts while its storage is away: what it cannot read yet it neither denies nor gives to somebody else.

use std::collections::BTreeSet;

use dmuc::wire::{Condition, ErrorType};

use crate::scenes;
use crate::support::federation::Federation;
use crate::support::names::*;

/// Longer than a source may say that it has no such room.
const LONG_MS: u64 = 1_200_000;

fn coven() -> Federation {
    let mut fed = scenes::shared(&[CHAT, ROOMS, CONF]);
    for (place, user) in [(FOO, CRONE1), (WITCH_PLACE, WITCH), (FAUST_PLACE, FAUST)] {
        fed.join(place, user);
    }
    fed.say(FOO, "before");
    fed.run();
    fed
}

/// Whatever the service refused while it could not read: only to wait.
fn expect_asked_to_wait(fed: &Federation, service: &str) {
    let refused = &fed.host(service).refused;
    let kinds: BTreeSet<(ErrorType, Condition)> = refused
        .iter()
        .map(|(_, error)| (error.kind, error.condition))
        .collect();
    let wait = BTreeSet::from([(ErrorType::Wait, Condition::ResourceConstraint)]);
    assert!(kinds.is_subset(&wait), "{service}: {refused:?}");
}

#[test]
fn rooms_that_cannot_be_read_yet_go_on_when_they_can() {
    for service in [CHAT, ROOMS] {
        for knows_list in [false, true] {
            let mut fed = coven();
            fed.at(&bare(service), |host| host.restart_unread([7; 32], knows_list));
            fed.say(FAUST_PLACE, "meanwhile");
            fed.run_for(LONG_MS);
            expect_asked_to_wait(&fed, service);
            for other in [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF] {
                let is_here = other.ends_with(service);
                assert_eq!(
                    fed.instances(other).is_empty(),
                    is_here,
                    "{other}, {service} is away"
                );
            }
            fed.at(&bare(service), |host| host.read());
            fed.run_for(LONG_MS);
            for (place, user) in [(FOO, CRONE1), (WITCH_PLACE, WITCH)] {
                if place.contains(service) {
                    fed.join(place, user);
                }
            }
            fed.run();
            for room in [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF] {
                assert_eq!(fed.instances(room).len(), 2, "{room} after {service}");
                assert_eq!(fed.roster(room).len(), 3, "{room} after {service}");
                assert_eq!(fed.history(room).len(), 2, "{room} after {service}");
            }
        }
    }
}

#[test]
fn nobody_gets_the_name_of_a_room_that_cannot_be_read_yet() {
    let mut fed = coven();
    fed.at(&bare(ROOMS), |host| {
        host.stored.clear();
        host.restart_unread([7; 32], false);
    });
    fed.create("glen@chat.shakespeare.lit", CRONE1, &[]);
    fed.at(&bare(CHAT), |host| {
        host.distribute(&bare("glen@chat.shakespeare.lit"))
    });
    fed.run_for(10_000);
    assert!(fed.instances("glen@rooms.macbeth.lit").is_empty());
    expect_asked_to_wait(&fed, ROOMS);
}
