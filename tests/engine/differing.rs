//! What the instances of a room do not have alike, for who asks: nothing is moved by it.

use dmuc::engine::{Alike, Difference, InstanceState, Order};
use dmuc::wire::Affiliation;

use crate::scenes::coven;
use crate::support::federation::Federation;
use crate::support::names::*;
use crate::support::net::Mode;

type Change = fn(&mut Federation);

const SAME: [Alike; 5] = [Alike::Same; 5];

fn compared(fed: &mut Federation, room: &str) -> Vec<Difference> {
    let room = bare(room);
    let service = room.service();
    fed.at(&service, |host| host.order(Order::Compare(&room)).unwrap());
    fed.run_for(5_000);
    fed.at(&service, |host| {
        host.engine.room_differences(host.now, &room).unwrap()
    })
}

fn parts(one: &Difference) -> [Alike; 5] {
    [one.people, one.list, one.settings, one.subject, one.messages]
}

fn talked() -> Federation {
    let mut fed = coven();
    fed.say(FOO, "When shall we three meet again?");
    fed.say(FAUST_PLACE, "In thunder");
    fed.set_subject(FOO, "Trouble");
    fed.affiliate(FOO, "banquo@shakespeare.lit", Affiliation::Member);
    fed.configure(FOO, &[("muc#roomconfig_roomname", "A heath")]);
    fed.run_for(30_000);
    fed
}

#[test]
fn instances_in_step_have_the_same_seen_from_each() {
    let mut fed = talked();
    for room in [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF] {
        let found = compared(&mut fed, room);
        assert_eq!(found.len(), 2, "at {room}");
        for one in &found {
            assert_eq!(parts(one), SAME, "{} at {room}", one.jid);
            assert!(
                one.said_ago_ms.is_some_and(|ago| ago <= 5_000),
                "{} at {room}",
                one.jid
            );
        }
    }
}

#[test]
fn who_was_never_asked_or_cannot_be_is_unknown() {
    let mut fed = talked();
    let room = bare(COVEN);
    let before = fed.at(&bare(CHAT), |host| {
        host.engine.room_differences(host.now, &room).unwrap()
    });
    assert!(
        before
            .iter()
            .all(|one| parts(one) == [Alike::Unknown; 5] && one.said_ago_ms.is_none())
    );
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Bounces);
    fed.run_for(100_000);
    for one in compared(&mut fed, COVEN) {
        let is_out = one.jid == bare(COVEN_AT_ROOMS);
        assert_eq!(
            parts(&one),
            if is_out { [Alike::Unknown; 5] } else { SAME },
            "{}",
            one.jid
        );
        assert_eq!(one.state == InstanceState::OutOfReach, is_out, "{}", one.jid);
    }
}

#[test]
fn each_part_that_differs_is_told_and_no_other() {
    let mut fed = talked();
    assert!(compared(&mut fed, COVEN).iter().all(|one| parts(one) == SAME));
    // What it said last is what it is measured by: nothing of this has been told to the other side.
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Swallows);
    let steps: [(usize, Change); 5] = [
        (1, |fed| {
            fed.affiliate(FOO, "duncan@shakespeare.lit", Affiliation::Member);
        }),
        (2, |fed| {
            fed.configure(FOO, &[("muc#roomconfig_roomname", "A cave")]);
        }),
        (3, |fed| {
            fed.set_subject(FOO, "Toil");
        }),
        (4, |fed| {
            fed.say(FOO, "or in rain");
        }),
        (0, |fed| {
            fed.join("coven@chat.shakespeare.lit/hecate", "hecate@shakespeare.lit/moon");
        }),
    ];
    let room = bare(COVEN);
    let mut expected = SAME;
    for (place, change) in steps {
        change(&mut fed);
        expected[place] = Alike::Differs;
        let found = fed.at(&bare(CHAT), |host| {
            host.engine.room_differences(host.now, &room).unwrap()
        });
        let there = found.iter().find(|one| one.jid == bare(COVEN_AT_ROOMS)).unwrap();
        assert_eq!(parts(there), expected);
    }
    fed.net.heal();
    fed.run_for(200_000);
    assert!(compared(&mut fed, COVEN).iter().all(|one| parts(one) == SAME));
}
