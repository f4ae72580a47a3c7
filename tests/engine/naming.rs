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
    let mut fed = rooms(config());
    let hash = room_id_sha256(&bare(COVEN));
    for id in [
        "816decd2-4dcb-41e0-8109-75b146b03a82",
        &hash,
        "coven.chat.shakespeare.lit",
    ] {
        assert!(is_taken_up(&mut fed, id, OF_COVEN), "{id}");
    }
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
