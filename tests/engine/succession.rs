//! The role of source moves (DESIGN 9, G14): handed over, taken over by most voters, by force; and who was the source comes back.

use dmuc::engine::{LinkState, Order};
use dmuc::wire::{Affiliation, Condition};
use dmuc::{Config, Error};

use crate::support::federation::{Federation, config_of};
use crate::support::names::*;
use crate::support::net::Mode;

const ALL: [&str; 3] = [CHAT, ROOMS, CONF];

/// A service that trusts all the others.
fn trusting(service: &str, services: &[&str]) -> Config {
    let mut config = config_of(service, services);
    config.peers.values_mut().for_each(|peer| peer.trusted = true);
    config
}

/// The room at three services that vote, with one person at each.
fn coven_of(services: &[&str]) -> Federation {
    let mut fed = Federation::empty(7);
    for service in services {
        fed.add(trusting(service, services));
    }
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    for (place, user) in [(FOO, CRONE1), (WITCH_PLACE, WITCH), (FAUST_PLACE, FAUST)] {
        if services.iter().any(|service| place.contains(service)) {
            fed.join(place, user);
        }
    }
    fed.run();
    fed.run_for(30_000);
    fed
}

fn order(fed: &mut Federation, service: &str, order: Order<'_>) -> Result<(), Error> {
    let done = fed.at(&bare(service), |host| host.order(order));
    fed.at(&bare(service), |host| host.drain());
    done
}

fn take_over(fed: &mut Federation, room: &str) -> Result<(), Error> {
    let room = bare(room);
    order(fed, &room.service().to_string(), Order::TakeOver(&room))
}

fn cut_off(fed: &mut Federation, service: &str, services: &[&str]) {
    for other in services.iter().filter(|other| **other != service) {
        fed.net.set_mode(&bare(service), &bare(other), Mode::Bounces);
    }
    fed.run_for(100_000);
}

fn source(fed: &Federation, room: &str) -> String {
    let room = bare(room);
    let host = fed.host(&room.service().to_string());
    let info = host.engine.room_info(&room).expect("a room");
    info.source.expect("a source").to_string()
}

fn expect_source(fed: &Federation, rooms: &[&str], expected: &str) {
    for room in rooms {
        assert_eq!(source(fed, room), expected, "at {room}");
    }
}

fn voters(fed: &Federation, room: &str) -> Vec<String> {
    let room = bare(room);
    let host = fed.host(&room.service().to_string());
    let voters = host.engine.voters(&room);
    voters.iter().map(ToString::to_string).collect()
}

#[test]
fn instances_at_trusted_services_vote() {
    let fed = coven_of(&ALL);
    for room in [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF] {
        let mut voters = voters(&fed, room);
        assert_eq!(voters.first().map(String::as_str), Some(COVEN), "at {room}");
        voters.sort();
        assert_eq!(voters, [COVEN, COVEN_AT_CONF, COVEN_AT_ROOMS], "at {room}");
    }
}

#[test]
fn nobody_takes_over_from_a_source_that_can_be_reached() {
    let mut fed = coven_of(&ALL);
    let refused = take_over(&mut fed, COVEN_AT_ROOMS).unwrap_err();
    assert!(matches!(refused, Error::Refused(error) if error.condition == Condition::NotAllowed));
    expect_source(&fed, &[COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF], COVEN);
}

#[test]
fn the_room_outlives_its_host() {
    let mut fed = coven_of(&ALL);
    fed.affiliate(FOO, "somewitch@macbeth.lit", Affiliation::Owner);
    fed.run();
    cut_off(&mut fed, CHAT, &ALL);
    take_over(&mut fed, COVEN_AT_ROOMS).unwrap();
    fed.run_for(2_000);
    expect_source(&fed, &[COVEN_AT_ROOMS, COVEN_AT_CONF], COVEN_AT_ROOMS);
    // It is configured, and its people talk, without the host that it came from.
    fed.configure(WITCH_PLACE, &[("muc#roomconfig_roomname", "A heath")]);
    fed.affiliate(WITCH_PLACE, "faust@wittenberg.lit", Affiliation::Admin);
    fed.set_subject(WITCH_PLACE, "Trouble");
    fed.forget();
    fed.say(FAUST_PLACE, "who rules here?");
    fed.run_for(10_000);
    assert_eq!(fed.heard(WITCH_PLACE), ["who rules here?"]);
    assert_eq!(
        fed.affiliation(COVEN_AT_CONF, "faust@wittenberg.lit"),
        Affiliation::Admin
    );
    assert_eq!(fed.subject(COVEN_AT_CONF), "Trouble");
    // The old source comes back as a shadow.
    fed.net.heal();
    fed.run_for(120_000);
    expect_source(&fed, &[COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF], COVEN_AT_ROOMS);
    assert_eq!(fed.affiliation(COVEN, "faust@wittenberg.lit"), Affiliation::Admin);
    assert_eq!(fed.subject(COVEN), "Trouble");
    assert_eq!(fed.host(CHAT).engine.link_state(&bare(ROOMS)), LinkState::Up);
    assert_eq!(fed.roster(COVEN), fed.roster(COVEN_AT_ROOMS));
}

#[test]
fn what_the_old_source_decided_meanwhile_is_offered() {
    let mut fed = coven_of(&ALL);
    fed.affiliate(FOO, "somewitch@macbeth.lit", Affiliation::Owner);
    fed.run();
    cut_off(&mut fed, CHAT, &ALL);
    take_over(&mut fed, COVEN_AT_ROOMS).unwrap();
    fed.run_for(2_000);
    // The one side decides this, the other that, and both the subject.
    fed.affiliate(FOO, "banquo@shakespeare.lit", Affiliation::Member);
    fed.set_subject(FOO, "Toil");
    fed.affiliate(WITCH_PLACE, "duncan@macbeth.lit", Affiliation::Outcast);
    fed.set_subject(WITCH_PLACE, "Trouble");
    fed.run_for(2_000);
    fed.net.heal();
    fed.run_for(120_000);
    expect_source(&fed, &[COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF], COVEN_AT_ROOMS);
    for room in [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF] {
        assert_eq!(
            fed.affiliation(room, "banquo@shakespeare.lit"),
            Affiliation::Member,
            "at {room}"
        );
        assert_eq!(
            fed.affiliation(room, "duncan@macbeth.lit"),
            Affiliation::Outcast,
            "at {room}"
        );
        assert_eq!(fed.subject(room), "Trouble", "at {room}");
    }
}

#[test]
fn a_source_hands_over() {
    let mut fed = coven_of(&ALL);
    let (room, service) = (bare(COVEN), bare(CONF));
    let hand_over = Order::HandOver {
        room: &room,
        service: &service,
    };
    order(&mut fed, CHAT, hand_over).unwrap();
    fed.run_for(10_000);
    expect_source(&fed, &[COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF], COVEN_AT_CONF);
    fed.set_subject(FOO, "From the old source");
    fed.run_for(5_000);
    for room in [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF] {
        assert_eq!(fed.subject(room), "From the old source", "at {room}");
    }
}

#[test]
fn a_room_of_two_goes_on_by_force() {
    let two = [CHAT, ROOMS];
    let mut fed = coven_of(&two);
    cut_off(&mut fed, CHAT, &two);
    take_over(&mut fed, COVEN_AT_ROOMS).unwrap();
    fed.run_for(60_000);
    expect_source(&fed, &[COVEN_AT_ROOMS], COVEN);
    let room = bare(COVEN_AT_ROOMS);
    let force = Order::Force {
        room: &room,
        strikes: false,
    };
    order(&mut fed, ROOMS, force).unwrap();
    expect_source(&fed, &[COVEN_AT_ROOMS], COVEN_AT_ROOMS);
    fed.net.heal();
    fed.run_for(120_000);
    expect_source(&fed, &[COVEN, COVEN_AT_ROOMS], COVEN_AT_ROOMS);
}

#[test]
fn it_is_remembered_over_restarts() {
    let mut fed = coven_of(&ALL);
    cut_off(&mut fed, CHAT, &ALL);
    take_over(&mut fed, COVEN_AT_ROOMS).unwrap();
    fed.run_for(5_000);
    for service in [ROOMS, CONF] {
        fed.restart(service);
        fed.run_for(10_000);
    }
    expect_source(&fed, &[COVEN_AT_ROOMS, COVEN_AT_CONF], COVEN_AT_ROOMS);
    fed.restart(CHAT);
    fed.net.heal();
    fed.run_for(120_000);
    expect_source(&fed, &[COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF], COVEN_AT_ROOMS);
    fed.join(FOO, CRONE1);
    fed.set_subject(FOO, "From the old source");
    fed.run_for(5_000);
    assert_eq!(fed.subject(COVEN_AT_CONF), "From the old source");
}

#[test]
fn an_instance_stands_by_itself_after_a_while() {
    let mut fed = Federation::empty(7);
    for service in ALL {
        let mut config = trusting(service, &ALL);
        config.succession_after_ms = 600_000;
        fed.add(config);
    }
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    fed.run_for(30_000);
    cut_off(&mut fed, CHAT, &ALL);
    fed.run_for(400_000);
    expect_source(&fed, &[COVEN_AT_ROOMS, COVEN_AT_CONF], COVEN);
    // The first of the others, in the order of voters.
    let heir = voters(&fed, COVEN_AT_CONF).remove(1);
    fed.run_for(600_000);
    expect_source(&fed, &[COVEN_AT_ROOMS, COVEN_AT_CONF], &heir);
}

/// A claim that nobody has voted for.
fn claim_of(liar: &str) -> String {
    format!(
        "<iq from='{liar}' id='lie' to='{COVEN}' type='set'><succession xmlns='urn:x-dmuc:0' life='9007199254740000' serial='900' \
         follows='7 {liar}' promised='7 {liar}' holds='7 9 9 {liar}' since='9'><voter jid='{liar}'/></succession></iq>"
    )
}

#[test]
fn a_voter_that_lies_replaces_no_source_that_others_follow() {
    let mut fed = coven_of(&ALL);
    fed.hand_in(&bare(CHAT), &claim_of(COVEN_AT_ROOMS));
    fed.run_for(30_000);
    expect_source(&fed, &[COVEN, COVEN_AT_CONF], COVEN);
}

#[test]
fn nor_one_that_has_just_started_and_has_heard_nobody_else() {
    let mut fed = coven_of(&ALL);
    fed.restart(CHAT);
    fed.hand_in(&bare(CHAT), &claim_of(COVEN_AT_ROOMS));
    expect_source(&fed, &[COVEN], COVEN);
    fed.run_for(30_000);
    expect_source(&fed, &[COVEN, COVEN_AT_CONF], COVEN);
}

#[test]
fn a_fourth_service_joins_under_the_new_source() {
    use dmuc::config::RoomIdScheme;
    const FOURTH: &str = "muc.mephisto.lit";
    let all = [CHAT, ROOMS, CONF, FOURTH];
    let mut fed = Federation::empty(7);
    for service in all {
        let mut config = trusting(service, &all);
        config.room_id = RoomIdScheme::Uuid;
        config.replicate = dmuc::config::Replicate::Immediately;
        if service == FOURTH {
            config.peers.clear();
        }
        fed.add(config);
    }
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    fed.run_for(30_000);
    let shadow = fed
        .instances(COVEN)
        .into_iter()
        .find(|jid| jid.contains(ROOMS))
        .unwrap();
    cut_off(&mut fed, CHAT, &all);
    take_over(&mut fed, &shadow).unwrap();
    fed.run_for(60_000);
    fed.at(&bare(FOURTH), |host| {
        let mut config = trusting(FOURTH, &all);
        config.room_id = RoomIdScheme::Uuid;
        host.engine.set_config(host.now, config);
        host.drain();
    });
    fed.run_for(400_000);
    let fourth = format!("{}@{FOURTH}", shadow.split_once('@').unwrap().0);
    assert!(
        fed.instances(&shadow).contains(&fourth),
        "{:?}",
        fed.instances(&shadow)
    );
    fed.net.heal();
    fed.run_for(400_000);
    // Who was the source keeps its address, and those who came meanwhile know it by that.
    assert!(
        fed.instances(&fourth).contains(COVEN),
        "{:?}",
        fed.instances(&fourth)
    );
    assert!(
        fed.instances(COVEN).contains(&fourth),
        "{:?}",
        fed.instances(COVEN)
    );
    assert_eq!(fed.roster(COVEN), fed.roster(&fourth));
}

/// What the liar says of itself, and what it says that the source has said in an earlier life.
fn echo_of(liar: &str) -> String {
    format!(
        "<iq from='{liar}' id='echo' to='{COVEN}' type='set'><succession xmlns='urn:x-dmuc:0' life='9007199254740000' serial='900' \
         follows='0 {COVEN}' promised='0 {COVEN}' holds='0 9 9 {COVEN}' since='9'><voter jid='{COVEN}'/>\
         <heard life='9' serial='900' follows='0 {COVEN}' promised='5 {liar}' holds='0 9 9 {COVEN}'/></succession></iq>"
    )
}

#[test]
fn nobody_makes_a_source_release_its_role() {
    let mut fed = coven_of(&ALL);
    fed.hand_in(&bare(CHAT), &echo_of(COVEN_AT_ROOMS));
    fed.run_for(60_000);
    expect_source(&fed, &[COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF], COVEN);
}

#[test]
fn no_term_is_moved_out_of_reach() {
    let mut fed = coven_of(&ALL);
    let far = claim_of(COVEN_AT_ROOMS).replace("'7 ", "'9007199254740000 ");
    fed.hand_in(&bare(CHAT), &far);
    fed.run_for(60_000);
    let host = fed.host(CHAT);
    let seen = host.engine.room_overview(host.now, &bare(COVEN)).unwrap();
    assert_eq!(seen.term, 0);
}

#[test]
fn a_hand_over_that_a_restart_cuts_short_is_ended() {
    let mut fed = coven_of(&ALL);
    let (room, service) = (bare(COVEN), bare(CONF));
    fed.net.set_mode(&bare(CHAT), &bare(CONF), Mode::Stalls);
    let hand_over = Order::HandOver {
        room: &room,
        service: &service,
    };
    order(&mut fed, CHAT, hand_over).unwrap();
    fed.run_for(2_000);
    fed.restart(CHAT);
    fed.net.heal();
    fed.run_for(200_000);
    let source = source(&fed, COVEN);
    expect_source(&fed, &[COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF], &source);
    fed.join(FOO, CRONE1);
    fed.set_subject(FOO, "Decided again");
    fed.run_for(10_000);
    assert_eq!(fed.subject(COVEN_AT_CONF), "Decided again");
}

/// Who is asked for its vote notices only later that the source is gone, or believes so only then.
#[test]
fn a_voter_that_notices_later_that_the_source_is_gone_votes_then() {
    for mode in [Mode::Swallows, Mode::Bounces] {
        let mut fed = coven_of(&ALL);
        fed.net.set_mode(&bare(CHAT), &bare(ROOMS), mode);
        fed.run_for(100_000);
        take_over(&mut fed, COVEN_AT_ROOMS).unwrap();
        fed.run_for(20_000);
        expect_source(&fed, &[COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF], COVEN);
        fed.net.set_mode(&bare(CHAT), &bare(CONF), mode);
        fed.run_for(100_000);
        expect_source(&fed, &[COVEN_AT_ROOMS, COVEN_AT_CONF], COVEN_AT_ROOMS);
    }
}

/// A split in which both sides decided something has just ended when the source dies.
#[test]
fn whoever_has_just_come_back_from_a_split_may_be_elected() {
    for later in (0..6_000).step_by(1_000) {
        let mut fed = coven_of(&ALL);
        fed.affiliate(FOO, "somewitch@macbeth.lit", Affiliation::Owner);
        fed.run();
        fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Bounces);
        fed.run_for(70_000);
        fed.set_subject(WITCH_PLACE, "Trouble");
        fed.set_subject(FOO, "Toil");
        fed.affiliate(FOO, "banquo@shakespeare.lit", Affiliation::Member);
        fed.run_for(5_000);
        fed.net.heal();
        let up = |fed: &Federation| fed.host(ROOMS).engine.link_state(&bare(CHAT)) == LinkState::Up;
        while !up(&fed) {
            fed.run_for(100);
        }
        fed.run_for(later);
        cut_off(&mut fed, CHAT, &ALL);
        for heir in [COVEN_AT_ROOMS, COVEN_AT_CONF] {
            drop(take_over(&mut fed, heir));
            fed.run_for(20_000);
            if source(&fed, heir) == heir {
                break;
            }
        }
        assert_ne!(source(&fed, COVEN_AT_ROOMS), COVEN, "{later}");
        assert_eq!(
            source(&fed, COVEN_AT_ROOMS),
            source(&fed, COVEN_AT_CONF),
            "{later}"
        );
    }
}

/// The source dies soon after the room was made.
#[test]
fn whoever_says_that_it_votes_does_so() {
    let mut times = 0;
    for later in (0..12_000).step_by(500) {
        let mut fed = Federation::empty(7);
        for service in ALL {
            fed.add(trusting(service, &ALL));
        }
        fed.distributed(COVEN, CRONE1, &[]);
        fed.run_for(later);
        let know_all = [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF].map(|room| voters(&fed, room).len() == 3);
        if know_all != [true; 3] {
            continue;
        }
        cut_off(&mut fed, CHAT, &ALL);
        drop(take_over(&mut fed, COVEN_AT_ROOMS));
        fed.run_for(20_000);
        expect_source(&fed, &[COVEN_AT_ROOMS, COVEN_AT_CONF], COVEN_AT_ROOMS);
        times += 1;
    }
    assert!(times > 10, "{times}");
}
