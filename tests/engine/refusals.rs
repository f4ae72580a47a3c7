//! No refusal is for ever, and none is asked again without end: peers that would not have a room, do not peer with us, or
//! have lost their module.

use dmuc::Config;
use dmuc::engine::LinkState;

use crate::scenes;
use crate::support::federation::{Federation, config_of};
use crate::support::names::*;

const HEATH: &str = "heath@chat.shakespeare.lit";

fn configure(fed: &mut Federation, service: &str, config: Config) {
    fed.at(&bare(service), |host| host.engine.set_config(host.now, config));
}

/// What ROOMS is configured with if it takes so many shadows.
fn takes(shadows: usize) -> Config {
    let mut config = config_of(ROOMS, &[CHAT, ROOMS]);
    config.max_shadows = shadows;
    config
}

fn asked(fed: &Federation) -> usize {
    fed.tally(CHAT, ROOMS).get("replicate").copied().unwrap_or(0)
}

fn state(fed: &Federation, here: &str, there: &str) -> LinkState {
    fed.host(here).engine.link_state(&bare(there))
}

/// A room at CHAT and ROOMS with somebody at each.
fn coven() -> Federation {
    let mut fed = scenes::shared(&[CHAT, ROOMS]);
    fed.join(FOO, CRONE1);
    fed.join(WITCH_PLACE, WITCH);
    fed.run();
    fed.forget();
    fed.at(&bare(CHAT), |host| host.notices.clear());
    fed.at(&bare(ROOMS), |host| host.notices.clear());
    fed
}

#[test]
fn who_peers_with_us_later_gets_its_instance_within_seconds() {
    let mut fed = Federation::of(&[CHAT, ROOMS]);
    configure(&mut fed, ROOMS, config_of(ROOMS, &[ROOMS]));
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run_for(1_200_000);
    assert!(fed.instances(COVEN).is_empty());
    assert_eq!(fed.notices(CHAT).len(), 1, "{:?}", fed.notices(CHAT));
    configure(&mut fed, ROOMS, config_of(ROOMS, &[CHAT, ROOMS]));
    fed.run_for(5_000);
    assert_eq!(fed.instances(COVEN).len(), 1);
}

#[test]
fn who_may_hold_more_rooms_after_a_reload_gets_them_all() {
    let mut fed = Federation::of(&[CHAT, ROOMS]);
    configure(&mut fed, ROOMS, takes(1));
    for number in 0..20 {
        fed.distributed(&format!("room{number}@{CHAT}"), CRONE1, &[]);
    }
    fed.run_for(600_000);
    let held = |fed: &Federation| {
        let rooms = (0..20).map(|number| format!("room{number}@{CHAT}"));
        rooms.filter(|room| !fed.instances(room).is_empty()).count()
    };
    assert_eq!(held(&fed), 1);
    configure(&mut fed, ROOMS, takes(20));
    fed.run_for(20_000);
    assert_eq!(held(&fed), 20);
}

#[test]
fn what_is_refused_for_all_rooms_is_one_question_for_all() {
    let mut fed = Federation::of(&[CHAT, ROOMS]);
    configure(&mut fed, ROOMS, takes(0));
    for number in 0..100 {
        fed.distributed(&format!("room{number}@{CHAT}"), CRONE1, &[]);
    }
    fed.run_for(10_000);
    let first = fed.notices(CHAT).len();
    assert_eq!(first, 100, "every owner is told");
    let before = asked(&fed);
    fed.run_for(3_600_000);
    let again = asked(&fed) - before;
    assert!((4..=20).contains(&again), "{again} questions in an hour");
    assert_eq!(fed.notices(CHAT).len(), first, "nobody is told again");
    // Nor does a restart ask for each.
    let before = asked(&fed);
    fed.restart(CHAT);
    fed.run_for(60_000);
    let again = asked(&fed) - before;
    assert!((1..=5).contains(&again), "{again} questions after a restart");
}

#[test]
fn a_room_that_was_in_the_way_may_go() {
    let mut fed = Federation::of(&[CHAT, ROOMS]);
    for room in [COVEN_AT_ROOMS, COVEN_OF_CHAT_AT_ROOMS] {
        fed.create(room, WITCH, &[]);
    }
    fed.distributed(COVEN, CRONE1, &[]);
    fed.distributed(HEATH, CRONE1, &[]);
    fed.run_for(10_000);
    assert!(fed.instances(COVEN).is_empty());
    assert_eq!(fed.instances(HEATH).len(), 1, "the other one is taken");
    fed.at(&bare(ROOMS), |host| {
        host.rooms.remove(&bare(COVEN_OF_CHAT_AT_ROOMS))
    });
    fed.run_for(700_000);
    assert_eq!(fed.instances(COVEN).len(), 1);
}

#[test]
fn two_shadows_of_which_one_is_named_later_meet() {
    // Either of them.
    for (late, other) in [(ROOMS, CONF), (CONF, ROOMS)] {
        let all = [CHAT, ROOMS, CONF];
        let mut fed = Federation::of(&all);
        configure(&mut fed, late, config_of(late, &[CHAT, late]));
        fed.distributed(COVEN, CRONE1, &[]);
        fed.run_for(10_000);
        fed.join(WITCH_PLACE, WITCH);
        fed.join(FAUST_PLACE, FAUST);
        fed.run_for(600_000);
        let blind = format!("coven@{late}");
        assert_eq!(fed.instances(&blind).len(), 1, "{late} knows the source only");
        configure(&mut fed, late, config_of(late, &all));
        fed.run_for(15_000);
        assert_eq!(fed.roster(COVEN_AT_ROOMS), fed.roster(COVEN_AT_CONF), "{late}");
        fed.forget();
        fed.say(WITCH_PLACE, "hail");
        fed.say(FAUST_PLACE, "habe nun");
        fed.run_for(2_000);
        let both = [fed.heard(WITCH_PLACE), fed.heard(FAUST_PLACE)];
        assert!(
            both.iter().all(|heard| heard.len() == 2),
            "{late} and {other}: {both:?}"
        );
    }
}

#[test]
fn a_shadow_that_is_restarted_with_another_peer_meets_it() {
    let all = [CHAT, ROOMS, CONF];
    let mut fed = Federation::of(&all);
    configure(&mut fed, ROOMS, config_of(ROOMS, &[CHAT, ROOMS]));
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run_for(60_000);
    fed.join(FAUST_PLACE, FAUST);
    fed.run_for(600_000);
    fed.at(&bare(ROOMS), |host| host.restart(config_of(ROOMS, &all), [7; 32]));
    fed.run_for(20_000);
    fed.join(WITCH_PLACE, WITCH);
    fed.run_for(2_000);
    assert_eq!(fed.roster(COVEN_AT_ROOMS), fed.roster(COVEN_AT_CONF));
    assert_eq!(fed.roster(COVEN_AT_CONF).len(), 2);
}

#[test]
fn a_peer_without_its_module_is_a_split_until_it_has_it_again() {
    let mut fed = coven();
    fed.unload(ROOMS);
    fed.run_for(60_000);
    let began = format!("{COVEN} {ROOMS} SplitBegan {{ occupants: 1, cause: NoModule }}");
    assert_eq!(fed.notices(CHAT), std::slice::from_ref(&began));
    assert_eq!(state(&fed, CHAT, ROOMS), LinkState::Down);
    for number in 0..5 {
        fed.say(FOO, &format!("{number}"));
        fed.run_for(120_000);
    }
    assert_eq!(fed.notices(CHAT), std::slice::from_ref(&began), "it is told once");
    fed.load(ROOMS);
    fed.run_for(5_000);
    fed.join(WITCH_PLACE, WITCH);
    fed.run_for(1_000);
    assert_eq!(fed.notices(CHAT), [began, format!("{COVEN} {ROOMS} SplitEnded")]);
    assert_eq!(fed.history(COVEN_AT_ROOMS).len(), 5, "nothing is lost");
    fed.forget();
    fed.say(WITCH_PLACE, "again");
    fed.run_for(1_000);
    assert_eq!(fed.heard(FOO), ["again"]);
}

#[test]
fn a_module_that_is_away_for_a_moment_is_no_split() {
    let mut fed = coven();
    fed.unload(ROOMS);
    // Somebody notices, and the module is back before it is asked again.
    let until = fed.now_ms + 60_000;
    while state(&fed, CHAT, ROOMS) != LinkState::Suspect && fed.step(until) {}
    fed.load(ROOMS);
    fed.run();
    assert_eq!(fed.notices(CHAT), [""; 0]);
}

#[test]
fn a_refusal_that_is_about_one_room_is_none_of_the_link() {
    let mut fed = coven();
    for condition in [
        "service-unavailable",
        "item-not-found",
        "forbidden",
        "feature-not-implemented",
    ] {
        let xml = format!(
            "<presence from='{COVEN_AT_ROOMS}/foo' to='{FOO}' type='error'><error type='cancel'>\
             <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>"
        );
        fed.hand_in(&bare(CHAT), &xml);
        fed.run_for(10_000);
        assert_ne!(state(&fed, CHAT, ROOMS), LinkState::Down, "{condition}");
    }
    fed.run();
    let splits = fed
        .notices(CHAT)
        .into_iter()
        .filter(|notice| notice.contains("Split"));
    assert_eq!(splits.count(), 0);
}

#[test]
fn who_does_not_peer_with_us_any_more_is_out_of_reach_and_says_why() {
    let mut fed = coven();
    configure(&mut fed, CHAT, config_of(CHAT, &[CHAT]));
    fed.run_for(120_000);
    let notices = fed.notices(ROOMS);
    assert!(notices.len() <= 1, "{notices:?}");
    configure(&mut fed, CHAT, config_of(CHAT, &[CHAT, ROOMS]));
    fed.run_for(10_000);
    fed.forget();
    fed.say(FOO, "again");
    fed.run_for(2_000);
    assert_eq!(fed.heard(WITCH_PLACE), ["again"]);
}

#[test]
fn an_owner_who_makes_a_room_while_a_peer_is_away_is_told() {
    let mut fed = coven();
    fed.unload(ROOMS);
    fed.run_for(90_000);
    fed.at(&bare(CHAT), |host| host.notices.clear());
    fed.distributed(HEATH, CRONE1, &[]);
    fed.run_for(1_000);
    assert_eq!(fed.notices(CHAT), [format!("{HEATH} {ROOMS} Unsupported")]);
    fed.load(ROOMS);
    fed.run_for(10_000);
    assert_eq!(fed.instances(HEATH).len(), 1);
}
