//! Rights by claim (G11): that an occupant of a peer's is a moderator is the peer's word, and what follows from it is what
//! the list says, unless the peer is trusted.

use dmuc::wire::{Affiliation, Condition, Role};

use crate::scenes::coven;
use crate::support::federation::{Federation, config_of};
use crate::support::names::*;
use crate::support::net::Mode;

/// A home makes its own occupant a moderator, whom the list does not have.
fn claims(fed: &mut Federation, place: &str) {
    let (room, nick) = seat(place);
    fed.at(&service_of(&room), |host| {
        host.apply_role(&room, &nick, Role::Moderator, None, None);
    });
    fed.run();
    let rank = fed.host(CHAT).rank(&bare(COVEN), &nick);
    assert_eq!(rank, Some((Affiliation::None, Role::Moderator)));
}

fn trust(fed: &mut Federation) {
    let mut config = config_of(CHAT, &[CHAT, ROOMS, CONF]);
    config.peers.get_mut(&bare(CONF)).unwrap().trusted = true;
    fed.at(&bare(CHAT), |host| host.engine.set_config(host.now, config));
}

#[test]
fn a_moderator_by_its_homes_word_sets_no_subject() {
    let mut fed = coven();
    claims(&mut fed, FAUST_PLACE);
    fed.set_subject(FAUST_PLACE, "mine");
    fed.run();
    assert_eq!(fed.subject(COVEN), "");
    assert_eq!(fed.host(CHAT).refused[0].1.condition, Condition::Forbidden);
    fed.affiliate(FOO, "somewitch@macbeth.lit", Affiliation::Admin);
    fed.run();
    fed.set_subject(WITCH_PLACE, "hers");
    fed.run();
    assert_eq!(fed.subject(COVEN), "hers");
    trust(&mut fed);
    fed.set_subject(FAUST_PLACE, "mine");
    fed.run();
    for room in [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF] {
        assert_eq!(fed.subject(room), "mine", "{room}");
    }
}

#[test]
fn nor_is_one_taken_that_was_set_out_of_reach() {
    let mut fed = coven();
    claims(&mut fed, FAUST_PLACE);
    fed.net.set_mode(&bare(CONF), &bare(CHAT), Mode::Bounces);
    fed.run_for(100_000);
    fed.set_subject(FAUST_PLACE, "mine");
    fed.run_for(1_000);
    assert_eq!(fed.subject(COVEN_AT_CONF), "mine");
    fed.net.heal();
    fed.run_for(400_000);
    for room in [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF] {
        assert_eq!(fed.subject(room), "", "{room}");
    }
}

#[test]
fn whom_somebody_at_the_source_makes_a_moderator_is_one_until_the_next_join() {
    let mut fed = coven();
    let made = |fed: &mut Federation, role| {
        fed.here(FOO, |host, room, nick| {
            host.set_role(room, nick, "faust", role, None)
        });
        fed.run();
    };
    made(&mut fed, Role::Moderator);
    fed.set_subject(FAUST_PLACE, "mine");
    fed.update(FAUST_PLACE, "<show>away</show>");
    fed.run();
    assert_eq!(fed.subject(COVEN), "mine");
    // Not any more, whatever its home says.
    made(&mut fed, Role::Participant);
    claims(&mut fed, FAUST_PLACE);
    fed.set_subject(FAUST_PLACE, "again");
    fed.run();
    assert_eq!(fed.subject(COVEN), "mine");
    made(&mut fed, Role::Moderator);
    fed.set_subject(FAUST_PLACE, "again");
    fed.run();
    assert_eq!(fed.subject(COVEN), "again");
    fed.leave(FAUST_PLACE);
    fed.run();
    fed.join(FAUST_PLACE, FAUST);
    claims(&mut fed, FAUST_PLACE);
    fed.set_subject(FAUST_PLACE, "for ever");
    fed.run();
    assert_eq!(fed.subject(COVEN), "again");
}

/// It could as well say that the admin did it.
#[test]
fn who_speaks_for_an_admin_is_believed() {
    let mut fed = coven();
    claims(&mut fed, FAUST_PLACE);
    fed.affiliate(FOO, "wagner@marlowe.lit", Affiliation::Admin);
    fed.run();
    fed.set_subject(FAUST_PLACE, "mine");
    fed.run();
    assert_eq!(fed.subject(COVEN), "mine");
}
