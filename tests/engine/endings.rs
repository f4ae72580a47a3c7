//! How distribution ends: the room becomes ordinary, is destroyed, or a shadow leaves.

use crate::scenes;
use crate::scenes::coven;
use crate::support::event::{Event, Seen};
use crate::support::federation::Federation;
use crate::support::names::*;
use crate::support::people::Denied;

fn expect_forgotten(fed: &Federation, services: &[&str]) {
    for service in services {
        let host = fed.host(service);
        assert_eq!(host.engine.rooms().count(), 0, "{service}");
        assert!(host.stored.is_empty(), "{service} still stores it");
        assert_eq!(host.engine.waits().next(), None, "{service}");
    }
}

#[test]
fn an_undistributed_room_closes_its_shadows_and_says_why() {
    let mut fed = coven();
    let session = fed.session(WITCH_PLACE);
    fed.forget();
    fed.at(&bare(CHAT), |host| {
        host.undistribute(&bare(COVEN), Some("enough"))
    });
    fed.run();
    expect_forgotten(&fed, &[CHAT, ROOMS, CONF]);
    let closed = Seen::Closed {
        source: bare(COVEN),
        reason: Some("enough".into()),
    };
    assert!(fed.seen_by(COVEN_AT_ROOMS, session).contains(&closed));
    assert_eq!(fed.try_join(WITCH_PLACE, WITCH), Err(Denied::NoRoom));
    assert_eq!(fed.roster(COVEN), ["foo owner moderator"]);
    fed.say(FOO, "alone");
    fed.run();
    assert!(fed.heard(FOO).contains(&"alone".to_owned()));
}

#[test]
fn a_room_can_be_distributed_again() {
    let mut fed = coven();
    fed.say(FOO, "before");
    fed.at(&bare(CHAT), |host| host.undistribute(&bare(COVEN), None));
    fed.run();
    fed.say(FOO, "between");
    fed.at(&bare(CHAT), |host| host.distribute(&bare(COVEN)));
    fed.run();
    fed.join(WITCH_PLACE, WITCH);
    fed.run();
    assert_eq!(fed.roster(COVEN), fed.roster(COVEN_AT_ROOMS));
    assert_eq!(fed.heard(WITCH_PLACE), ["before", "between"]);
    assert_eq!(fed.history(COVEN), fed.history(COVEN_AT_CONF));
}

#[test]
fn an_owner_may_change_the_mind_at_once() {
    let mut fed = Federation::of(&[CHAT, ROOMS, CONF]);
    fed.distributed(COVEN, CRONE1, &[]);
    for _ in 0..3 {
        fed.run_for(50);
        fed.at(&bare(CHAT), |host| host.undistribute(&bare(COVEN), None));
        fed.at(&bare(CHAT), |host| host.distribute(&bare(COVEN)));
    }
    fed.run();
    assert_eq!(fed.instances(COVEN).len(), 2, "{:?}", fed.notices(CHAT));
    fed.join(WITCH_PLACE, WITCH);
    fed.run();
    assert_eq!(fed.roster(COVEN), fed.roster(COVEN_AT_CONF));
    fed.at(&bare(CHAT), |host| host.undistribute(&bare(COVEN), None));
    fed.run();
    expect_forgotten(&fed, &[CHAT, ROOMS, CONF]);
}

#[test]
fn a_destroyed_room_is_destroyed_everywhere_with_reason_and_venue() {
    let mut fed = coven();
    let session = fed.session(FAUST_PLACE);
    fed.at(&bare(CHAT), |host| {
        host.destroy(
            &bare(COVEN),
            Some("Birnam wood"),
            Some(&bare("heath@chat.shakespeare.lit")),
        )
    });
    fed.run();
    expect_forgotten(&fed, &[CHAT, ROOMS, CONF]);
    let seen = fed.seen_by(COVEN_AT_CONF, session);
    let destroyed = Seen::Destroyed {
        reason: Some("Birnam wood".into()),
        venue: Some(bare("heath@chat.shakespeare.lit")),
    };
    assert_eq!(seen.last(), Some(&destroyed));
    for service in [CHAT, ROOMS, CONF] {
        assert!(fed.host(service).rooms.is_empty(), "{service}");
    }
}

#[test]
fn a_room_destroyed_while_it_replicates_leaves_nothing_behind() {
    for ms in (0..200).step_by(10) {
        let mut fed = Federation::of(&[CHAT, ROOMS, CONF]);
        fed.distributed(COVEN, CRONE1, &[]);
        fed.run_for(ms);
        fed.at(&bare(CHAT), |host| host.destroy(&bare(COVEN), None, None));
        fed.run();
        expect_forgotten(&fed, &[CHAT, ROOMS, CONF]);
    }
}

#[test]
fn a_shadow_that_is_destroyed_leaves_and_the_others_go_on() {
    let mut fed = coven();
    fed.forget();
    fed.at(&bare(ROOMS), |host| {
        host.destroy(&bare(COVEN_AT_ROOMS), Some("moving"), None)
    });
    fed.run();
    expect_forgotten(&fed, &[ROOMS]);
    assert_eq!(
        fed.roster(COVEN),
        ["faust none participant", "foo owner moderator"]
    );
    assert_eq!(fed.roster(COVEN_AT_CONF), fed.roster(COVEN));
    assert_eq!(
        fed.instances(COVEN).into_iter().collect::<Vec<_>>(),
        [COVEN_AT_CONF]
    );
    assert_eq!(
        fed.instances(COVEN_AT_CONF).into_iter().collect::<Vec<_>>(),
        [COVEN]
    );
    fed.forget();
    fed.say(FOO, "on");
    fed.run();
    assert_eq!(fed.heard(FAUST_PLACE), ["on"]);
    assert!(fed.crossed(CHAT, ROOMS).is_empty());
}

#[test]
fn what_is_on_its_way_when_a_room_ends_harms_nobody() {
    let mut fed = coven();
    fed.say(WITCH_PLACE, "last words");
    fed.update(FAUST_PLACE, "<show>away</show>");
    fed.kick(FOO, "faust");
    fed.at(&bare(CHAT), |host| host.undistribute(&bare(COVEN), None));
    fed.run();
    expect_forgotten(&fed, &[CHAT, ROOMS, CONF]);
    let turned = fed
        .events
        .iter()
        .filter(|event| matches!(event, Event::Turned { .. }))
        .count();
    assert_eq!(turned, 4, "distributed, undistributed, closed twice");
}

#[test]
fn who_was_away_when_two_rooms_of_one_name_ended_hears_of_it() {
    let mut fed = scenes::shared(&[CHAT, ROOMS, CONF]);
    fed.net
        .set_mode(&bare(CHAT), &bare(ROOMS), crate::support::net::Mode::Bounces);
    fed.run_for(100_000);
    let room = bare(COVEN);
    let destroy = |fed: &mut Federation| {
        fed.at(&bare(CHAT), |host| host.destroy(&room, Some("over"), None));
        fed.run_for(5_000);
    };
    destroy(&mut fed);
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run_for(5_000);
    assert!(
        fed.host(CONF).rooms.contains_key(&bare(COVEN_AT_CONF)),
        "the second one is at the other peer"
    );
    destroy(&mut fed);
    assert!(fed.host(ROOMS).rooms.contains_key(&bare(COVEN_AT_ROOMS)));
    fed.net.heal();
    // Sooner than it would close by itself because its source does not know it.
    fed.run_for(100_000);
    expect_forgotten(&fed, &[CHAT, ROOMS, CONF]);
}
