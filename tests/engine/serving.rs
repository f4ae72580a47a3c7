//! By which addresses the host may serve a room (G15): of instances that hold it by their own word, as long as they do.

use crate::scenes;
use crate::support::federation::Federation;
use crate::support::names::*;
use crate::support::net::Mode;

fn served(fed: &Federation, service: &str, room: &str) -> Vec<String> {
    let told = fed.host(service).served.get(&bare(room));
    told.map_or_else(Vec::new, |all| {
        all.iter().map(|jid| jid.as_str().to_owned()).collect()
    })
}

#[test]
fn each_instance_is_known_by_the_addresses_of_all_others() {
    let fed = scenes::shared(&[CHAT, ROOMS, CONF]);
    let all = [(CHAT, COVEN), (ROOMS, COVEN_AT_ROOMS), (CONF, COVEN_AT_CONF)];
    for (service, room) in all {
        let others = all.iter().filter(|(other, _)| *other != service);
        let mut others: Vec<String> = others.map(|(_, room)| (*room).to_owned()).collect();
        others.sort();
        assert_eq!(served(&fed, service, room), others, "at {service}");
    }
}

#[test]
fn a_restart_and_a_split_change_nothing() {
    let mut fed = scenes::shared(&[CHAT, ROOMS]);
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Swallows);
    fed.run_for(200_000);
    fed.restart(ROOMS);
    fed.run_for(1_000);
    assert_eq!(served(&fed, ROOMS, COVEN_AT_ROOMS), [COVEN]);
}

#[test]
fn a_room_that_is_no_longer_shared_has_no_other_address() {
    let mut fed = scenes::shared(&[CHAT, ROOMS]);
    fed.at(&bare(CHAT), |host| host.undistribute(&bare(COVEN), None));
    fed.run();
    for (service, room) in [(CHAT, COVEN), (ROOMS, COVEN_AT_ROOMS)] {
        assert!(served(&fed, service, room).is_empty(), "at {service}");
    }
}

#[test]
fn a_peer_that_is_not_named_any_more_has_no_address_here() {
    let mut fed = scenes::shared(&[CHAT, ROOMS, CONF]);
    let mut config = fed.host(ROOMS).engine.config().clone();
    config.peers.retain(|peer, _| *peer != bare(CONF));
    fed.at(&bare(ROOMS), |host| host.configure_service(config));
    fed.run_for(200_000);
    assert_eq!(served(&fed, ROOMS, COVEN_AT_ROOMS), [COVEN]);
}
