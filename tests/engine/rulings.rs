//! What the source decides reaches a shadow in an order in which nobody is removed whom the source did not remove, and
//! what is decided of a person counts for all of it.

use dmuc::wire::{Affiliation, Role};

use crate::scenes;
use crate::support::event::Seen;
use crate::support::federation::Federation;
use crate::support::names::*;
use crate::support::net::Mode;

const BANQUO_PLACE: &str = "coven@rooms.macbeth.lit/banquo";
const BANQUO: &str = "banquo@macbeth.lit/horse";

/// crone1 owns the room and faust is an admin of it; witch and banquo are in the other shadow.
fn coven() -> Federation {
    let mut fed = scenes::shared(&[CHAT, ROOMS, CONF]);
    fed.join(FOO, CRONE1);
    fed.affiliate(FOO, "faust@marlowe.lit", Affiliation::Admin);
    fed.run();
    for (place, user) in [(FAUST_PLACE, FAUST), (WITCH_PLACE, WITCH), (BANQUO_PLACE, BANQUO)] {
        fed.join(place, user);
        fed.run();
    }
    fed.forget();
    fed
}

fn heal(fed: &mut Federation) {
    fed.net.heal();
    fed.run_for(100_000);
    fed.run();
}

/// Who left, as somebody saw it, with the status codes.
fn gone(fed: &Federation, place: &str) -> Vec<(String, Vec<u16>)> {
    let seen = fed.seen(place).into_iter();
    seen.filter_map(|seen| match seen {
        Seen::Gone { nick, codes, .. } => Some((nick, codes.to_vec())),
        _ => None,
    })
    .collect()
}

#[test]
fn who_became_a_member_in_a_split_stays_when_the_room_was_closed_in_it() {
    let mut fed = coven();
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Bounces);
    fed.run_for(100_000);
    fed.affiliate(FOO, "banquo@macbeth.lit", Affiliation::Member);
    fed.configure(FOO, &[("muc#roomconfig_membersonly", "1")]);
    heal(&mut fed);
    assert_eq!(gone(&fed, BANQUO_PLACE), [("witch".to_owned(), vec![322])]);
    // And the other way round: the room is open again before somebody is none.
    fed.forget();
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Bounces);
    fed.run_for(100_000);
    fed.configure(FOO, &[("muc#roomconfig_membersonly", "0")]);
    fed.affiliate(FOO, "banquo@macbeth.lit", Affiliation::None);
    heal(&mut fed);
    assert!(fed.roster(COVEN).contains(&"banquo none participant".to_owned()));
    assert_eq!(gone(&fed, FAUST_PLACE), []);
}

#[test]
fn a_configuration_after_something_that_was_lost_waits_for_it() {
    let mut fed = coven();
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Swallows);
    fed.affiliate(FOO, "banquo@macbeth.lit", Affiliation::Member);
    fed.run_for(1_000);
    fed.net.heal();
    fed.configure(FOO, &[("muc#roomconfig_membersonly", "1")]);
    heal(&mut fed);
    assert_eq!(gone(&fed, BANQUO_PLACE), [("witch".to_owned(), vec![322])]);
    assert!(
        fed.roster(COVEN_AT_ROOMS)
            .contains(&"banquo member participant".to_owned())
    );
}

#[test]
fn who_takes_part_at_two_instances_is_given_a_role_at_both() {
    let mut fed = coven();
    fed.join("coven@chat.shakespeare.lit/witch", "somewitch@macbeth.lit/other");
    fed.run();
    for room in [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF] {
        assert_eq!(
            fed.roster(room)
                .iter()
                .filter(|line| line.starts_with("witch "))
                .count(),
            1
        );
    }
    fed.here(FAUST_PLACE, |host, room, nick| {
        host.set_role(room, nick, "witch", Role::Visitor, None)
    });
    fed.run();
    for room in [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF] {
        assert!(
            fed.roster(room).contains(&"witch none visitor".to_owned()),
            "{room}: {:?}",
            fed.roster(room)
        );
    }
    fed.kick(FAUST_PLACE, "witch");
    fed.run();
    for room in [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF] {
        assert!(
            fed.roster(room).iter().all(|line| !line.starts_with("witch ")),
            "{room}: {:?}",
            fed.roster(room)
        );
    }
}
