//! Which names here a peer may have for the shadows of its rooms (`dmuc_shadow_names`), and for whom it speaks by default.

use dmuc::Config;
use dmuc::config::ShadowNames;
use dmuc::ids::room_id_sha256;
use dmuc::wire::Condition;

use crate::lies::{expect_refused, iq};
use crate::support::federation::{Federation, config_of};
use crate::support::names::*;

fn config() -> Config {
    let mut config = config_of(ROOMS, &[CHAT, ROOMS]);
    config.shadow_names = ShadowNames::Opaque;
    config
}

fn rooms(config: Config) -> Federation {
    let mut fed = Federation::empty(1);
    fed.add(config);
    fed
}

fn asked(id: &str, source: &str) -> String {
    let xml = format!("<replicate xmlns='urn:xmpp:dmuc:0' {source}><room id='{id}'/></replicate>");
    iq(CHAT, ROOMS, "set", &xml)
}

fn is_taken_up(fed: &mut Federation, id: &str, source: &str) -> bool {
    fed.hand_in(&bare(ROOMS), &asked(id, source));
    let room = format!("{id}@{ROOMS}");
    fed.host(ROOMS).engine.room_info(&bare(&room)).is_some()
}

const OF_COVEN: &str = "source='coven@chat.shakespeare.lit'";

#[test]
fn a_service_that_is_not_trusted_has_no_name_of_ours() {
    let mut fed = rooms(config());
    let others_hash = room_id_sha256(&bare("heath@chat.shakespeare.lit"));
    for id in ["coven", "support", "coven.rooms.macbeth.lit", &others_hash] {
        expect_refused(&mut fed, ROOMS, &asked(id, OF_COVEN), Condition::NotAcceptable);
    }
}

#[test]
fn opaque_ids_and_names_with_its_own_domain_are_its_own() {
    let hash = room_id_sha256(&bare(COVEN));
    for id in [
        "816decd2-4dcb-41e0-8109-75b146b03a82",
        &hash,
        "coven.chat.shakespeare.lit",
    ] {
        assert!(is_taken_up(&mut rooms(config()), id, OF_COVEN), "{id}");
    }
    let mut fed = rooms(config());
    assert!(is_taken_up(&mut fed, "816decd2-4dcb-41e0-8109-75b146b03a83", ""));
}

#[test]
fn services_that_are_trusted_choose_and_so_do_all_where_the_administrator_says_so() {
    let mut trusting = config();
    trusting.peers.get_mut(&bare(CHAT)).unwrap().trusted = true;
    let mut open = config();
    open.shadow_names = ShadowNames::Any;
    for config in [trusting, open] {
        assert!(is_taken_up(&mut rooms(config), "coven", OF_COVEN));
    }
}

#[test]
fn a_shadow_that_is_here_stays_whatever_its_name() {
    let mut open = config();
    open.shadow_names = ShadowNames::Any;
    let mut fed = rooms(open);
    assert!(is_taken_up(&mut fed, "coven", OF_COVEN));
    fed.at(&bare(ROOMS), |host| host.configure_service(config()));
    let refused = fed.host(ROOMS).refused.len();
    assert!(is_taken_up(&mut fed, "coven", OF_COVEN));
    assert_eq!(fed.host(ROOMS).refused.len(), refused);
}

type Change = fn(&mut Config);

/// A source at the first service, each of the others with its own view of names; the ids of the shadows in the end.
fn named(others: &[(&str, Change)], source: Change) -> (Federation, Vec<String>) {
    let services: Vec<&str> = [CHAT]
        .into_iter()
        .chain(others.iter().map(|(at, _)| *at))
        .collect();
    let mut fed = Federation::empty(3);
    let mut config = config_of(CHAT, &services);
    source(&mut config);
    fed.add(config);
    for (service, change) in others {
        let mut config = config_of(service, &services);
        config.shadow_names = ShadowNames::Opaque;
        change(&mut config);
        fed.add(config);
    }
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    fed.run_for(120_000);
    let names = fed
        .instances(COVEN)
        .into_iter()
        .filter(|jid| jid != COVEN)
        .collect();
    (fed, names)
}

const OF_SERVICE: [&str; 2] = [
    "coven.chat.shakespeare.lit@conference.marlowe.lit",
    COVEN_OF_CHAT_AT_ROOMS,
];

fn trust(config: &mut Config, service: &str) {
    config.peers.get_mut(&bare(service)).unwrap().trusted = true;
}

#[test]
fn where_the_name_of_the_room_is_free_a_shadow_has_it() {
    let (_, names) = named(
        &[(ROOMS, |config| config.shadow_names = ShadowNames::Any)],
        |_| (),
    );
    assert_eq!(names, [COVEN_AT_ROOMS]);
}

#[test]
fn where_no_service_would_have_it_all_shadows_have_one_with_the_source_in_it() {
    let (mut fed, names) = named(&[(ROOMS, |_| ()), (CONF, |_| ())], |_| ());
    assert_eq!(names, OF_SERVICE);
    let place = format!("{}/witch", OF_SERVICE[1]);
    fed.join(FOO, CRONE1);
    fed.join(&place, WITCH);
    fed.say(&place, "hail");
    fed.run();
    assert_eq!(fed.heard(FOO), ["hail"]);
}

/// Whichever answers first.
#[test]
fn where_a_room_there_has_it_all_shadows_have_one_with_the_source_in_it() {
    for slow in [None, Some(ROOMS), Some(CONF)] {
        let mut fed = Federation::of(&[CHAT, ROOMS, CONF]);
        fed.create(COVEN_AT_ROOMS, WITCH, &[]);
        if let Some(slow) = slow {
            fed.net.direction(&bare(slow), &bare(CHAT)).latency_ms = 2_000;
        }
        // What they speak is known.
        fed.run_for(30_000);
        fed.distributed(COVEN, CRONE1, &[]);
        fed.run();
        fed.run_for(120_000);
        let names: Vec<String> = fed.instances(COVEN).into_iter().collect();
        assert_eq!(names, OF_SERVICE, "{slow:?}");
    }
}

/// One of them could have it and the other would not.
#[test]
fn a_service_that_trusts_some_peers_only_names_them_all_alike() {
    let (_, names) = named(
        &[(ROOMS, |config| trust(config, CHAT)), (CONF, |_| ())],
        |config| trust(config, ROOMS),
    );
    assert_eq!(names, OF_SERVICE);
}

/// Then all shadows have it for good: the one that refuses is told of as refused.
#[test]
fn a_name_that_a_shadow_has_is_kept() {
    let others: &[(&str, Change)] = &[(ROOMS, |config| config.shadow_names = ShadowNames::Any)];
    let (mut fed, _) = named(others, |_| ());
    let services = [CHAT, ROOMS, CONF];
    let mut late = config_of(CONF, &services);
    late.shadow_names = ShadowNames::Opaque;
    fed.add(late);
    fed.at(&bare(CHAT), |host| {
        host.configure_service(config_of(CHAT, &services))
    });
    fed.run_for(120_000);
    let names: Vec<String> = fed
        .instances(COVEN)
        .into_iter()
        .filter(|jid| jid != COVEN)
        .collect();
    assert_eq!(names, [COVEN_AT_ROOMS]);
}

fn slow_to_answer(latency_ms: u64) -> Federation {
    let mut fed = Federation::of(&[CHAT, ROOMS, CONF]);
    fed.run_for(30_000);
    fed.net.direction(&bare(CONF), &bare(CHAT)).latency_ms = latency_ms;
    fed.distributed(COVEN, CRONE1, &[]);
    fed
}

#[test]
fn a_service_that_does_not_answer_holds_nobody_up() {
    let mut fed = slow_to_answer(10_000_000);
    fed.run_for(6_000);
    assert!(fed.instances(COVEN).contains(COVEN_AT_ROOMS));
}

#[test]
fn nor_does_one_that_is_no_peer_any_more() {
    let mut fed = slow_to_answer(20_000);
    fed.run_for(1_000);
    fed.at(&bare(CHAT), |host| {
        host.configure_service(config_of(CHAT, &[CHAT, ROOMS]));
    });
    fed.run_for(10_000);
    assert!(fed.instances(COVEN).contains(COVEN_AT_ROOMS));
}

/// Else what is said to the one would be said to the other.
#[test]
fn a_source_has_one_shadow_at_a_service() {
    let mut fed = Federation::of(&[CHAT, ROOMS]);
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    let again = asked("816decd2-4dcb-41e0-8109-75b146b03a82", OF_COVEN);
    expect_refused(&mut fed, ROOMS, &again, Condition::Conflict);
}

/// One refuses for another reason, and is asked again because of a third.
#[test]
fn what_is_refused_by_either_name_is_told_once() {
    let services = [CHAT, ROOMS, CONF];
    let mut fed = Federation::empty(1);
    for service in services {
        let mut config = config_of(service, &services);
        config.max_shadows = if service == CONF { 0 } else { config.max_shadows };
        fed.add(config);
    }
    fed.create(COVEN_AT_ROOMS, WITCH, &[]);
    fed.run_for(30_000);
    fed.net.direction(&bare(ROOMS), &bare(CHAT)).latency_ms = 1_000;
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run_for(20_000);
    assert_eq!(fed.instances(COVEN), [COVEN_OF_CHAT_AT_ROOMS.to_owned()].into());
    let told = fed.notices(CHAT);
    let told = told.iter().filter(|notice| notice.contains(CONF));
    assert_eq!(told.count(), 1, "{:?}", fed.notices(CHAT));
}
