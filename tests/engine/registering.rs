//! Registered nicks (XEP-0045 section 7.10): one registry, the source's, in force at every instance.

use dmuc::address::BareJid;
use dmuc::wire::{Affiliation, Condition};

use crate::scenes;
use crate::support::event::{Event, What};
use crate::support::federation::Federation;
use crate::support::moderate::Wish;
use crate::support::names::*;
use crate::support::net::Mode;

const INSTANCES: [(&str, &str); 3] = [(CHAT, COVEN), (ROOMS, COVEN_AT_ROOMS), (CONF, COVEN_AT_CONF)];
const SOMEWITCH: &str = "somewitch@macbeth.lit";
const DRFAUST: &str = "faust@marlowe.lit";

/// crone owns it; somewitch and faust are members, and in nobody's company yet.
fn coven() -> Federation {
    let mut fed = scenes::shared(&[CHAT, ROOMS, CONF]);
    fed.join(FOO, CRONE1);
    for member in [SOMEWITCH, DRFAUST] {
        fed.affiliate(FOO, member, Affiliation::Member);
    }
    fed.run();
    fed
}

fn register(fed: &mut Federation, at: &str, user: &str, nick: Option<&str>) -> Result<Wish, Condition> {
    let (room, user) = (bare(at), bare(user));
    fed.at(&service_of(&room), |host| host.register(&room, &user, nick))
}

/// Registers by way of the source, and returns what it says.
fn registered(fed: &mut Federation, at: &str, user: &str, nick: Option<&str>) -> Option<Condition> {
    let Ok(Wish::Asked(token)) = register(fed, at, user, nick) else {
        panic!("the source is not asked");
    };
    // Some links may be down.
    fed.run_for(5_000);
    fed.act_error(service_of(&bare(at)).as_str(), token)
}

/// Who has registered what, the same at every instance.
fn expect_registry(fed: &Federation, expected: &[(&str, &str)]) {
    for (service, room) in INSTANCES {
        let entries = fed.host(service).room(&bare(room)).affiliations.iter();
        let found: Vec<(String, String)> = entries
            .filter_map(|(user, entry)| Some((user.to_string(), entry.nick.clone()?)))
            .collect();
        let found: Vec<(&str, &str)> = found.iter().map(|(user, nick)| (&**user, &**nick)).collect();
        assert_eq!(found, expected, "{room}");
    }
}

fn affiliation(fed: &Federation, user: &str) -> Vec<Affiliation> {
    let of = |(service, room): (&str, &str)| fed.host(service).room(&bare(room)).affiliation_of(&bare(user));
    INSTANCES.into_iter().map(of).collect()
}

fn told(fed: &Federation) -> Vec<BareJid> {
    let events = fed.events.iter();
    events
        .filter_map(|event| match event {
            Event::Overridden {
                actor,
                what: What::Affiliation(_),
                ..
            } => actor.clone(),
            _ => None,
        })
        .collect()
}

fn cut(fed: &mut Federation) {
    for other in [CHAT, CONF] {
        fed.net.set_mode(&bare(ROOMS), &bare(other), Mode::Bounces);
    }
    fed.run_for(100_000);
}

fn heal(fed: &mut Federation) {
    fed.net.heal();
    fed.run_for(100_000);
    fed.run();
}

#[test]
fn registering_at_a_shadow_registers_everywhere() {
    let mut fed = coven();
    assert_eq!(
        registered(&mut fed, COVEN_AT_ROOMS, SOMEWITCH, Some("wyrd")),
        None
    );
    expect_registry(&fed, &[(SOMEWITCH, "wyrd")]);
    // Nobody else gets it, at no instance, and its owner another one.
    for (_, room) in INSTANCES {
        let place = format!("{room}/wyrd");
        assert!(
            fed.try_join(&place, "seyton@shakespeare.lit/x").is_err(),
            "{place}"
        );
    }
    assert_eq!(
        registered(&mut fed, COVEN_AT_CONF, DRFAUST, Some("wyrd")),
        Some(Condition::Conflict)
    );
    assert_eq!(
        registered(&mut fed, COVEN_AT_ROOMS, SOMEWITCH, Some("weird")),
        None
    );
    expect_registry(&fed, &[(SOMEWITCH, "weird")]);
    assert_eq!(registered(&mut fed, COVEN_AT_ROOMS, SOMEWITCH, None), None);
    expect_registry(&fed, &[]);
    assert_eq!(affiliation(&fed, SOMEWITCH), [Affiliation::None; 3]);
}

#[test]
fn the_source_decides_with_its_own_words() {
    let mut fed = coven();
    fed.join("coven@conference.marlowe.lit/mephisto", "mephisto@marlowe.lit/x");
    fed.affiliate(FOO, "graymalkin@macbeth.lit", Affiliation::Outcast);
    fed.run();
    for (user, nick, error) in [
        ("banquo@macbeth.lit", "ghost", Condition::RegistrationRequired),
        ("graymalkin@macbeth.lit", "cat", Condition::Forbidden),
        (SOMEWITCH, "mephisto", Condition::Conflict),
        (SOMEWITCH, "foo", Condition::Conflict),
        // rooms.macbeth.lit does not speak for shakespeare.lit.
        ("crone1@shakespeare.lit", "crone", Condition::Forbidden),
    ] {
        let answer = registered(&mut fed, COVEN_AT_ROOMS, user, Some(nick));
        assert_eq!(answer, Some(error), "{user} as {nick}");
    }
    expect_registry(&fed, &[]);
}

#[test]
fn a_nick_is_registered_for_the_person_and_not_for_the_occupant() {
    let mut fed = coven();
    fed.join("coven@rooms.macbeth.lit/witch", WITCH);
    fed.run();
    assert_eq!(
        registered(&mut fed, COVEN_AT_ROOMS, SOMEWITCH, Some("witch")),
        None
    );
    expect_registry(&fed, &[(SOMEWITCH, "witch")]);
    // Nobody had to go for it.
    assert!(fed.roster(COVEN).contains(&"witch member participant".to_owned()));
}

#[test]
fn a_registration_that_the_network_loses_is_answered() {
    let mut fed = coven();
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Swallows);
    let Ok(Wish::Asked(token)) = register(&mut fed, COVEN_AT_ROOMS, SOMEWITCH, Some("wyrd")) else {
        panic!("the source is not asked");
    };
    fed.run_for(70_000);
    assert_eq!(fed.act_error(ROOMS, token), Some(Condition::RemoteServerTimeout));
}

#[test]
fn a_nick_registered_during_a_split_is_the_persons_if_the_source_agrees() {
    let mut fed = coven();
    cut(&mut fed);
    assert_eq!(
        register(&mut fed, COVEN_AT_ROOMS, SOMEWITCH, Some("wyrd")),
        Ok(Wish::Done)
    );
    // There it holds at once, and outlasts a restart.
    fed.restart(ROOMS);
    assert!(
        fed.try_join("coven@rooms.macbeth.lit/wyrd", "banquo@macbeth.lit/x")
            .is_err()
    );
    heal(&mut fed);
    expect_registry(&fed, &[(SOMEWITCH, "wyrd")]);
    assert_eq!(told(&fed), []);
    // And the other way round.
    cut(&mut fed);
    assert_eq!(
        register(&mut fed, COVEN_AT_ROOMS, SOMEWITCH, None),
        Ok(Wish::Done)
    );
    heal(&mut fed);
    expect_registry(&fed, &[]);
    assert_eq!(affiliation(&fed, SOMEWITCH), [Affiliation::None; 3]);
    assert_eq!(told(&fed), []);
}

#[test]
fn of_two_who_register_one_nick_on_two_sides_the_sources_has_it_and_the_other_is_told() {
    // Whose address is the smaller one does not matter, nor whether the owner is in the room.
    for (user, is_present) in [
        (SOMEWITCH, false),
        (SOMEWITCH, true),
        ("banquo@macbeth.lit", false),
        ("banquo@macbeth.lit", true),
    ] {
        let mut fed = coven();
        fed.affiliate(FOO, "banquo@macbeth.lit", Affiliation::Member);
        fed.run();
        cut(&mut fed);
        assert_eq!(
            register(&mut fed, COVEN_AT_ROOMS, user, Some("wyrd")),
            Ok(Wish::Done)
        );
        fed.join("coven@rooms.macbeth.lit/wyrd", &format!("{user}/x"));
        assert_eq!(registered(&mut fed, COVEN_AT_CONF, DRFAUST, Some("wyrd")), None);
        if is_present {
            fed.join("coven@conference.marlowe.lit/wyrd", FAUST);
        }
        heal(&mut fed);
        expect_registry(&fed, &[(DRFAUST, "wyrd")]);
        assert_eq!(told(&fed), [bare(user)]);
        // It is nobody else's any more: renamed, not removed (G8).
        for (service, room) in INSTANCES {
            let roster = fed.roster(room);
            assert!(
                roster.contains(&"wyrd (2) member participant".to_owned()),
                "{room}: {roster:?}"
            );
            assert_eq!(roster.len(), 2 + usize::from(is_present), "{room}: {roster:?}");
            let host_room = fed.host(service).room(&bare(room));
            let is_there = host_room.local("wyrd").is_some() || host_room.remote("wyrd").is_some();
            assert_eq!(is_there, is_present, "{room}");
        }
    }
}

#[test]
fn who_keeps_a_nick_is_decided_again_when_its_registration_ends() {
    let mut fed = coven();
    let (chat, rooms, conf) = (bare(CHAT), bare(ROOMS), bare(CONF));
    let set = |fed: &mut Federation, a: &BareJid, b: &BareJid, mode: Mode| {
        fed.net.set_mode(a, b, mode);
        fed.run_for(100_000);
    };
    // somewitch takes it first; faust registers it out of her reach and takes it, too.
    cut(&mut fed);
    fed.join("coven@rooms.macbeth.lit/wyrd", WITCH);
    fed.run_for(5_000);
    assert_eq!(registered(&mut fed, COVEN_AT_CONF, DRFAUST, Some("wyrd")), None);
    fed.join("coven@conference.marlowe.lit/wyrd", FAUST);
    fed.run_for(5_000);
    // The registration ends out of his reach, who then meets her.
    set(&mut fed, &conf, &chat, Mode::Bounces);
    fed.affiliate(FOO, DRFAUST, Affiliation::None);
    fed.run_for(5_000);
    set(&mut fed, &rooms, &chat, Mode::Up);
    set(&mut fed, &rooms, &conf, Mode::Up);
    // When he hears of it he gives way to who was first.
    heal(&mut fed);
    expect_registry(&fed, &[]);
    for (_, room) in INSTANCES {
        assert_eq!(
            fed.roster(room),
            [
                "foo owner moderator",
                "wyrd member participant",
                "wyrd (2) none participant"
            ],
            "{room}"
        );
    }
}

#[test]
fn a_membership_given_during_a_split_is_not_lost_with_the_nick_registered_on_it() {
    let mut fed = coven();
    fed.affiliate(FOO, "hecate@macbeth.lit", Affiliation::Admin);
    fed.run();
    fed.join("coven@rooms.macbeth.lit/hecate", "hecate@macbeth.lit/x");
    fed.run();
    cut(&mut fed);
    fed.affiliate(
        "coven@rooms.macbeth.lit/hecate",
        "banquo@macbeth.lit",
        Affiliation::Member,
    );
    assert_eq!(
        register(&mut fed, COVEN_AT_ROOMS, "banquo@macbeth.lit", Some("ghost")),
        Ok(Wish::Done)
    );
    heal(&mut fed);
    expect_registry(&fed, &[("banquo@macbeth.lit", "ghost")]);
    assert_eq!(affiliation(&fed, "banquo@macbeth.lit"), [Affiliation::Member; 3]);
    assert_eq!(told(&fed), []);
}

#[test]
fn who_gave_the_membership_and_who_registered_a_nick_with_it_both_hear_that_it_does_not_hold() {
    const HECATE: &str = "hecate@macbeth.lit";
    const BANQUO: &str = "banquo@macbeth.lit";
    let place = "coven@rooms.macbeth.lit/hecate";
    for is_given_first in [true, false] {
        let mut fed = coven();
        fed.affiliate(FOO, HECATE, Affiliation::Owner);
        if !is_given_first {
            fed.affiliate(FOO, BANQUO, Affiliation::Member);
        }
        fed.run();
        fed.join(place, "hecate@macbeth.lit/x");
        fed.run();
        cut(&mut fed);
        let given = match is_given_first {
            true => Affiliation::Member,
            false => Affiliation::Admin,
        };
        if is_given_first {
            fed.affiliate(place, BANQUO, given);
        }
        assert_eq!(
            register(&mut fed, COVEN_AT_ROOMS, BANQUO, Some("ghost")),
            Ok(Wish::Done)
        );
        if !is_given_first {
            fed.affiliate(place, BANQUO, given);
        }
        fed.affiliate(FOO, BANQUO, Affiliation::Outcast);
        // A restart keeps who has to hear of it.
        fed.restart(ROOMS);
        heal(&mut fed);
        let mut told = told(&fed);
        told.sort();
        assert_eq!(
            told,
            [bare(BANQUO), bare(HECATE)],
            "given first: {is_given_first}"
        );
        expect_registry(&fed, &[]);
        assert_eq!(affiliation(&fed, BANQUO), [Affiliation::Outcast; 3]);
    }
}

#[test]
fn a_nick_that_is_somebody_elses_is_not_registered_with_a_change_of_the_affiliation_either() {
    let mut fed = coven();
    fed.affiliate(FOO, SOMEWITCH, Affiliation::Owner);
    fed.run();
    fed.join("coven@rooms.macbeth.lit/witch", WITCH);
    fed.run();
    cut(&mut fed);
    fed.affiliate("coven@rooms.macbeth.lit/witch", SOMEWITCH, Affiliation::Admin);
    assert_eq!(
        register(&mut fed, COVEN_AT_ROOMS, SOMEWITCH, Some("wyrd")),
        Ok(Wish::Done)
    );
    assert_eq!(registered(&mut fed, COVEN_AT_CONF, DRFAUST, Some("wyrd")), None);
    heal(&mut fed);
    expect_registry(&fed, &[(DRFAUST, "wyrd")]);
    assert_eq!(affiliation(&fed, SOMEWITCH), [Affiliation::Owner; 3]);
    assert_eq!(told(&fed), [bare(SOMEWITCH)]);
}
