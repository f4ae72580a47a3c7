//! What owners decide of a room's instances: a shadow has the source add, drop or follow one, and the configuration names voters.

use dmuc::config::Voters;
use dmuc::engine::{Input, VOTERS_FIELD};
use dmuc::wire::{Act, ActKind, Affiliation, Condition, Form, Steering};
use dmuc::{Config, Error};

use crate::support::federation::{Federation, config_of};
use crate::support::names::*;
use crate::support::net::Mode;

const ALL: [&str; 3] = [CHAT, ROOMS, CONF];

/// Every service trusts the others with a vote.
fn trusting(config: &mut Config) {
    config.peers.values_mut().for_each(|policy| policy.trusted = true);
}

/// Somewitch owns the room as crone1 does.
fn coven(alter: impl Fn(&mut Config)) -> Federation {
    let mut fed = Federation::empty(7);
    for service in ALL {
        let mut config = config_of(service, &ALL);
        alter(&mut config);
        fed.add(config);
    }
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    for (place, user) in [(FOO, CRONE1), (WITCH_PLACE, WITCH), (FAUST_PLACE, FAUST)] {
        fed.join(place, user);
    }
    fed.run();
    fed.affiliate(FOO, "somewitch@macbeth.lit", Affiliation::Owner);
    fed.run_for(30_000);
    fed
}

/// Somebody at a shadow asks for it; the error it gets, if any.
fn steered(
    fed: &mut Federation,
    room: &str,
    who: (&str, &str),
    service: &str,
    what: Steering,
) -> Option<Condition> {
    asked(
        fed,
        room,
        who,
        ActKind::Steer {
            service: bare(service),
            what,
        },
    )
}

fn asked(fed: &mut Federation, room: &str, (nick, user): (&str, &str), kind: ActKind) -> Option<Condition> {
    let room = bare(room);
    let service = room.service();
    let token = fed.host(service.as_str()).acts.len() as u64 + 1;
    fed.at(&service, |host| {
        let act = Act {
            actor_nick: Some(nick.to_owned()),
            actor_jid: Some(bare(user)),
            kind,
            reason: None,
        };
        host.input(Input::Act {
            room: &room,
            token,
            act,
        })
        .unwrap();
        host.drain();
    });
    fed.run_for(10_000);
    fed.act_error(service.as_str(), token)
}

const OWNER: (&str, &str) = ("witch", "somewitch@macbeth.lit");
const GUEST: (&str, &str) = ("faust", "faust@marlowe.lit");

fn instances(fed: &Federation) -> Vec<String> {
    fed.instances(COVEN).into_iter().collect()
}

fn voters(fed: &Federation, room: &str) -> Vec<String> {
    let room = bare(room);
    let host = fed.host(&room.service().to_string());
    host.engine
        .voters(&room)
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn voting(services: &[&str]) -> Form {
    let mut form = Form::default();
    form.set(
        VOTERS_FIELD,
        services.iter().map(|service| (*service).to_owned()).collect(),
    );
    form
}

fn name_voters(fed: &mut Federation, services: &[&str]) {
    let (room, form) = (bare(COVEN), voting(services));
    fed.at(&bare(CHAT), |host| host.apply_form(&room, &form, None));
    fed.run_for(60_000);
}

fn problem(fed: &Federation, services: &[&str]) -> Option<String> {
    let checked = fed
        .host(CHAT)
        .engine
        .check_voters(&bare(COVEN), &voting(services));
    checked.err().map(|error| match error {
        Error::Refused(error) => {
            assert_eq!(error.condition, Condition::NotAcceptable);
            error.text.unwrap_or_default()
        }
        other => panic!("{other:?}"),
    })
}

#[test]
fn an_owner_at_a_shadow_has_a_service_dropped_and_taken_in_again() {
    let mut fed = coven(|_| {});
    assert_eq!(
        steered(&mut fed, COVEN_AT_ROOMS, OWNER, CONF, Steering::Retract),
        None
    );
    assert_eq!(instances(&fed), [COVEN_AT_ROOMS]);
    assert!(fed.host(CONF).room(&bare(COVEN_AT_CONF)).is_closed);
    assert_eq!(
        steered(&mut fed, COVEN_AT_ROOMS, OWNER, CONF, Steering::Replicate),
        None
    );
    fed.run_for(30_000);
    assert_eq!(instances(&fed), [COVEN_AT_CONF, COVEN_AT_ROOMS]);
}

#[test]
fn nobody_but_an_owner_has_that_done_and_only_with_peers_of_the_source() {
    let mut fed = coven(|_| {});
    for what in [Steering::Retract, Steering::Replicate, Steering::HandOver] {
        let refused = steered(&mut fed, COVEN_AT_CONF, GUEST, ROOMS, what);
        assert_eq!(refused, Some(Condition::Forbidden), "{what:?}");
    }
    // In an owner's name, by an instance that does not speak for that.
    let forged = steered(&mut fed, COVEN_AT_CONF, OWNER, ROOMS, Steering::Retract);
    assert_eq!(forged, Some(Condition::Forbidden));
    let unknown = steered(
        &mut fed,
        COVEN_AT_ROOMS,
        OWNER,
        "chat.kyd.lit",
        Steering::Replicate,
    );
    assert_eq!(unknown, Some(Condition::ItemNotFound));
    assert_eq!(instances(&fed), [COVEN_AT_CONF, COVEN_AT_ROOMS]);
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Bounces);
    fed.run_for(100_000);
    let unreachable = steered(&mut fed, COVEN_AT_ROOMS, OWNER, CONF, Steering::Retract);
    assert_eq!(unreachable, Some(Condition::RemoteServerNotFound));
}

#[test]
fn an_owner_at_a_shadow_has_the_source_hand_over() {
    let mut fed = coven(trusting);
    name_voters(&mut fed, &[CHAT]);
    assert_eq!(
        steered(&mut fed, COVEN_AT_ROOMS, OWNER, CONF, Steering::HandOver),
        Some(Condition::NotAllowed),
        "no other votes"
    );
    name_voters(&mut fed, &[CHAT, ROOMS, CONF]);
    assert_eq!(
        steered(&mut fed, COVEN_AT_ROOMS, OWNER, ROOMS, Steering::HandOver),
        None
    );
    fed.run_for(30_000);
    for room in [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF] {
        let host = fed.host(bare(room).service().as_str());
        let source = host.engine.room_info(&bare(room)).unwrap().source;
        assert_eq!(source, Some(bare(COVEN_AT_ROOMS)), "at {room}");
    }
    // Who was the source votes on: it is named.
    let mut after = voters(&fed, COVEN_AT_CONF);
    after.sort();
    assert_eq!(after, [COVEN, COVEN_AT_CONF, COVEN_AT_ROOMS]);
}

#[test]
fn whom_owners_name_votes_in_that_order_and_no_other() {
    let mut fed = coven(trusting);
    name_voters(&mut fed, &[CHAT]);
    assert_eq!(voters(&fed, COVEN), [COVEN]);
    name_voters(&mut fed, &[CHAT, ROOMS, CONF]);
    for room in [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF] {
        assert_eq!(
            voters(&fed, room),
            [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF],
            "at {room}"
        );
    }
    name_voters(&mut fed, &[CHAT, CONF]);
    for room in [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF] {
        assert_eq!(voters(&fed, room), [COVEN, COVEN_AT_CONF], "at {room}");
    }
    // Nothing is chosen any more: it is as the service has it.
    name_voters(&mut fed, &[]);
    assert_eq!(voters(&fed, COVEN), [COVEN, COVEN_AT_CONF, COVEN_AT_ROOMS]);
    let both = Voters::These([bare(ROOMS), bare(CONF)].into());
    let mut listed = coven(|config| config.voters = both.clone());
    assert_eq!(voters(&listed, COVEN), [COVEN, COVEN_AT_CONF, COVEN_AT_ROOMS]);
    name_voters(&mut listed, &[CHAT, CONF]);
    assert_eq!(voters(&listed, COVEN), [COVEN, COVEN_AT_CONF]);
    name_voters(&mut listed, &[]);
    assert_eq!(voters(&listed, COVEN), [COVEN, COVEN_AT_CONF, COVEN_AT_ROOMS]);
}

/// Also where a form came past the check: the source's own host hands in what it is told.
#[test]
fn owners_choose_only_among_those_that_the_administrator_trusts() {
    let only = |services: &[&str]| Voters::These(services.iter().copied().map(bare).collect());
    for (may, of) in [("nobody", Voters::Trusted), ("one", only(&[ROOMS]))] {
        let mut fed = coven(|config| config.voters = of.clone());
        let said = problem(&fed, &[CHAT, CONF]).unwrap();
        assert!(
            said.contains("conference.marlowe.lit cannot vote: the administrator"),
            "{may}: {said}"
        );
        name_voters(&mut fed, &[CHAT, CONF]);
        assert!(!voters(&fed, COVEN).contains(&COVEN_AT_CONF.to_owned()), "{may}");
    }
}

/// Trust is each administrator's own: who becomes the source keeps the voters that were made elsewhere.
#[test]
fn a_new_source_that_trusts_nobody_strikes_nobody_who_is_named() {
    let mut fed = coven(|config| {
        if config.service == bare(CHAT) {
            trusting(config);
        }
    });
    name_voters(&mut fed, &[CHAT, ROOMS, CONF]);
    let handed = steered(&mut fed, COVEN_AT_ROOMS, OWNER, ROOMS, Steering::HandOver);
    assert_eq!(handed, None);
    fed.run_for(120_000);
    let source = fed
        .host(ROOMS)
        .engine
        .room_info(&bare(COVEN_AT_ROOMS))
        .unwrap()
        .source;
    assert_eq!(source, Some(bare(COVEN_AT_ROOMS)));
    let mut after = voters(&fed, COVEN_AT_ROOMS);
    after.sort();
    assert_eq!(after, [COVEN, COVEN_AT_CONF, COVEN_AT_ROOMS]);
}

#[test]
fn an_owner_at_a_shadow_names_voters_too() {
    let mut fed = coven(trusting);
    let form = voting(&[CHAT, ROOMS]);
    let config = |form: Form| ActKind::Config { form, was: None };
    assert_eq!(asked(&mut fed, COVEN_AT_ROOMS, OWNER, config(form)), None);
    fed.run_for(60_000);
    assert_eq!(voters(&fed, COVEN_AT_ROOMS), [COVEN, COVEN_AT_ROOMS]);
    let wrong = config(voting(&[CHAT, "chat.kyd.lit"]));
    assert_eq!(
        asked(&mut fed, COVEN_AT_ROOMS, OWNER, wrong),
        Some(Condition::NotAcceptable)
    );
    fed.run_for(60_000);
    assert_eq!(voters(&fed, COVEN_AT_ROOMS), [COVEN, COVEN_AT_ROOMS]);
}

#[test]
fn who_cannot_vote_is_refused_in_words() {
    let mut fed = coven(trusting);
    assert_eq!(problem(&fed, &[]), None);
    assert_eq!(problem(&fed, &[CHAT, ROOMS, CONF]), None);
    for (service, words) in [
        ("chat.kyd.lit", "no service that this one shares rooms with"),
        ("coven@rooms.macbeth.lit", "is not the name of a service"),
        ("", "is not the name of a service"),
    ] {
        let said = problem(&fed, &[CHAT, service]).unwrap();
        assert!(said.contains(words), "{service}: {said}");
    }
    assert_eq!(
        steered(&mut fed, COVEN_AT_ROOMS, OWNER, CONF, Steering::Retract),
        None
    );
    let said = problem(&fed, &[CHAT, CONF]).unwrap();
    assert!(
        said.contains("conference.marlowe.lit cannot vote: it has no instance of this room"),
        "{said}"
    );
    let closed = coven(|config| config.voters = Voters::Nobody);
    assert!(
        problem(&closed, &[CHAT, ROOMS])
            .unwrap()
            .contains("dmuc_voters = \"none\"")
    );
}

#[test]
fn at_most_seven_vote() {
    let names: Vec<String> = (0..7).map(|i| format!("rooms{i}.macbeth.lit")).collect();
    let services: Vec<&str> = std::iter::once(CHAT)
        .chain(names.iter().map(String::as_str))
        .collect();
    let mut fed = Federation::empty(7);
    for service in &services {
        let mut config = config_of(service, &services);
        trusting(&mut config);
        fed.add(config);
    }
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run_for(30_000);
    assert!(problem(&fed, &services).unwrap().contains("At most 7"));
    assert_eq!(problem(&fed, &services[..7]), None);
}
