//! How shadows come to be (XEP-0281 section 3.2), and what happens when they cannot.

use dmuc::config::Replicate;
use dmuc::wire::{Affiliation, Condition};

use crate::scenes;
use crate::support::event::Crossing;
use crate::support::federation::{Federation, config_of};
use crate::support::names::*;
use crate::support::net::Mode;

const ALL: [&str; 3] = [CHAT, ROOMS, CONF];

/// One service asks another for a shadow and is refused with this condition.
fn expect_refusal(fed: &mut Federation, condition: Condition) {
    fed.run();
    let notices = fed.notices(CHAT);
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(
        notices[0].starts_with(&format!("{COVEN} {ROOMS} Refused")),
        "{notices:?}"
    );
    assert!(notices[0].contains(&format!("{condition:?}")), "{notices:?}");
    assert!(fed.instances(COVEN).is_empty());
}

#[test]
fn a_distributed_room_gets_a_shadow_at_every_peer() {
    let mut fed = Federation::of(&ALL);
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    for (service, room) in [(ROOMS, COVEN_AT_ROOMS), (CONF, COVEN_AT_CONF)] {
        let info = fed.host(service).engine.room_info(&bare(room)).unwrap();
        assert!(info.is_ready && !info.is_source, "{room}");
        assert_eq!(info.source, Some(bare(COVEN)));
        assert!(fed.notices(CHAT).contains(&format!(
            "{COVEN} {service} Replicated {{ shadow: BareJid(\"{room}\") }}"
        )));
    }
}

#[test]
fn configuration_roster_and_history_cross_in_the_order_of_the_xep() {
    let fed = scenes::shared(&[CHAT, ROOMS]);
    let asked: Vec<Crossing> = fed.crossed(CHAT, ROOMS);
    let names: Vec<&str> = asked
        .iter()
        .filter_map(|what| match what {
            Crossing::Request(name) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    // Between two that speak ours the history comes with what else is missing.
    assert_eq!(
        names,
        [
            "query",
            "replicate",
            "digest",
            "config",
            "roster",
            "config",
            "sync"
        ]
    );
    assert!(
        fed.crossed(ROOMS, CHAT)
            .contains(&Crossing::Request("sync".into()))
    );
}

#[test]
fn a_shadow_gets_what_the_source_had_before() {
    let mut fed = Federation::of(&[CHAT, ROOMS]);
    fed.create(COVEN, CRONE1, &[("muc#roomconfig_roomdesc", "Thrice")]);
    fed.join(&format!("{COVEN}/foo"), CRONE1);
    let stanza_id = fed.say(&format!("{COVEN}/foo"), "before");
    fed.set_subject(&format!("{COVEN}/foo"), "Toil and trouble");
    fed.affiliate(
        &format!("{COVEN}/foo"),
        "hag66@shakespeare.lit",
        Affiliation::Member,
    );
    fed.at(&bare(CHAT), |host| host.distribute(&bare(COVEN)));
    fed.run();
    assert_eq!(fed.roster(COVEN_AT_ROOMS), ["foo owner moderator"]);
    assert_eq!(
        fed.affiliation(COVEN_AT_ROOMS, "crone1@shakespeare.lit"),
        Affiliation::Owner
    );
    assert_eq!(
        fed.affiliation(COVEN_AT_ROOMS, "hag66@shakespeare.lit"),
        Affiliation::Member
    );
    assert_eq!(
        fed.field(COVEN_AT_ROOMS, "muc#roomconfig_roomdesc").as_deref(),
        Some("Thrice")
    );
    assert_eq!(fed.subject(COVEN_AT_ROOMS), "Toil and trouble");
    let witch = format!("{COVEN_AT_ROOMS}/witch");
    fed.join(&witch, WITCH);
    let seen = fed.message(&witch, "before");
    assert_eq!(seen.stanza_id, Some(stanza_id));
    assert!(seen.delayed && seen.occupant_id.is_some());
    assert_eq!(fed.history(COVEN), fed.history(COVEN_AT_ROOMS));
}

#[test]
fn what_was_said_before_and_after_the_clock_was_set_back_keeps_its_order() {
    let mut fed = Federation::of(&[CHAT, ROOMS]);
    fed.create(COVEN, CRONE1, &[]);
    let foo = format!("{COVEN}/foo");
    fed.join(&foo, CRONE1);
    fed.say(&foo, "one");
    fed.skew_ms.insert(bare(CHAT), -600_000);
    fed.say(&foo, "two");
    fed.say(&foo, "three");
    fed.at(&bare(CHAT), |host| host.distribute(&bare(COVEN)));
    fed.say(&foo, "four");
    fed.run();
    let witch = format!("{COVEN_AT_ROOMS}/witch");
    fed.join(&witch, WITCH);
    assert_eq!(fed.heard(&witch), ["one", "two", "three", "four"]);
    assert_eq!(fed.history(COVEN), fed.history(COVEN_AT_ROOMS));
}

#[test]
fn nobody_joins_a_shadow_before_its_configuration_has_arrived() {
    let mut fed = Federation::of(&[CHAT, ROOMS]);
    fed.distributed(COVEN, CRONE1, &[]);
    while fed.host(ROOMS).engine.room_info(&bare(COVEN_AT_ROOMS)).is_none() {
        assert!(fed.step(10_000));
    }
    assert!(
        !fed.host(ROOMS)
            .engine
            .room_info(&bare(COVEN_AT_ROOMS))
            .unwrap()
            .is_ready
    );
    assert!(fed.try_join(&format!("{COVEN_AT_ROOMS}/early"), WITCH).is_err());
    fed.run();
    fed.join(&format!("{COVEN_AT_ROOMS}/late"), WITCH);
}

#[test]
fn every_peerhost_learns_of_every_other_and_talks_to_it_directly() {
    let services = ["a.example", "b.example", "c.example", "d.example"];
    let mut fed = Federation::of(&services);
    fed.distributed("r@a.example", "owner@example/x", &[]);
    fed.run();
    for service in services {
        let known = fed.instances(&format!("r@{service}"));
        let others: Vec<String> = services
            .iter()
            .filter(|other| **other != service)
            .map(|other| format!("r@{other}"))
            .collect();
        assert_eq!(known.into_iter().collect::<Vec<_>>(), others, "at {service}");
    }
    let place = "r@b.example/bee";
    fed.join(place, "bee@b/x");
    fed.run();
    fed.forget();
    fed.say(place, "hum");
    fed.run();
    for other in ["a.example", "c.example", "d.example"] {
        assert_eq!(fed.tally("b.example", other)["message"], 1, "to {other}");
        assert_eq!(fed.tally(other, "b.example").get("message"), None);
    }
}

#[test]
fn on_join_a_peer_is_asked_when_the_first_user_of_its_domains_joins() {
    let mut fed = Federation::empty(1);
    for service in ALL {
        let mut config = config_of(service, &ALL);
        config.replicate = Replicate::OnJoin;
        fed.add(config);
    }
    fed.distributed(COVEN, CRONE1, &[]);
    fed.join(&format!("{COVEN}/foo"), CRONE1);
    fed.run();
    // Each has heard of the others that they are there, and that is all.
    let is_asked = |fed: &Federation, peer| fed.tally(CHAT, peer).contains_key("replicate");
    assert!(!is_asked(&fed, ROOMS) && !is_asked(&fed, CONF));
    fed.join(&format!("{COVEN}/witch"), WITCH);
    fed.run();
    assert_eq!(
        fed.instances(COVEN).into_iter().collect::<Vec<_>>(),
        [COVEN_AT_ROOMS]
    );
    assert!(!is_asked(&fed, CONF));
    assert_eq!(fed.roster(COVEN_AT_ROOMS), fed.roster(COVEN));
}

#[test]
fn on_join_counts_users_who_were_there_when_the_room_was_made_distributed() {
    let mut fed = Federation::empty(1);
    for service in [CHAT, ROOMS] {
        let mut config = config_of(service, &[CHAT, ROOMS]);
        config.replicate = Replicate::OnJoin;
        fed.add(config);
    }
    fed.create(COVEN, CRONE1, &[]);
    fed.join(&format!("{COVEN}/witch"), WITCH);
    fed.at(&bare(CHAT), |host| host.distribute(&bare(COVEN)));
    fed.run();
    assert_eq!(
        fed.instances(COVEN).into_iter().collect::<Vec<_>>(),
        [COVEN_AT_ROOMS]
    );
}

#[test]
fn a_service_that_is_no_peer_is_forbidden() {
    let mut fed = Federation::empty(1);
    fed.add(config_of(CHAT, &[ROOMS]));
    fed.add(config_of(ROOMS, &[]));
    fed.distributed(COVEN, CRONE1, &[]);
    expect_refusal(&mut fed, Condition::Forbidden);
    assert!(fed.host(ROOMS).engine.rooms().next().is_none());
}

#[test]
fn more_shadows_than_allowed_are_a_resource_constraint() {
    let mut fed = Federation::empty(1);
    fed.add(config_of(CHAT, &[CHAT, ROOMS]));
    let mut config = config_of(ROOMS, &[CHAT, ROOMS]);
    config.max_shadows = 1;
    fed.add(config);
    fed.distributed("heath@chat.shakespeare.lit", CRONE1, &[]);
    fed.run();
    assert_eq!(fed.host(CHAT).notices.len(), 1);
    fed.at(&bare(CHAT), |host| host.notices.clear());
    fed.distributed(COVEN, CRONE1, &[]);
    expect_refusal(&mut fed, Condition::ResourceConstraint);
}

#[test]
fn an_id_that_is_an_ordinary_room_there_is_a_conflict() {
    let mut fed = Federation::of(&[CHAT, ROOMS]);
    for room in [COVEN_AT_ROOMS, COVEN_OF_CHAT_AT_ROOMS] {
        fed.create(room, WITCH, &[]);
    }
    fed.distributed(COVEN, CRONE1, &[]);
    expect_refusal(&mut fed, Condition::Conflict);
    assert!(!fed.host(ROOMS).room(&bare(COVEN_AT_ROOMS)).is_shadow());
}

#[test]
fn a_name_that_another_sources_shadow_has_there_stays_its() {
    let mut fed = Federation::empty(1);
    fed.add(config_of(CHAT, &[CHAT, ROOMS]));
    fed.add(config_of(CONF, &[CONF, ROOMS]));
    fed.add(config_of(ROOMS, &ALL));
    fed.distributed(COVEN_AT_CONF, FAUST, &[]);
    fed.run();
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    let source_of = |room| fed.host(ROOMS).engine.room_info(&bare(room)).unwrap().source;
    assert_eq!(source_of(COVEN_AT_ROOMS), Some(bare(COVEN_AT_CONF)));
    assert_eq!(source_of(COVEN_OF_CHAT_AT_ROOMS), Some(bare(COVEN)));
}

#[test]
fn a_name_that_a_source_has_there_stays_its() {
    let mut fed = Federation::of(&[CHAT, ROOMS]);
    fed.distributed(COVEN_AT_ROOMS, WITCH, &[]);
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    assert_eq!(fed.instances(COVEN), [COVEN_OF_CHAT_AT_ROOMS.to_owned()].into());
    let there = format!("coven.{ROOMS}@{CHAT}");
    assert_eq!(fed.instances(COVEN_AT_ROOMS), [there].into());
}

#[test]
fn another_source_of_the_same_firsthost_does_not_take_over_a_shadow() {
    let mut fed = scenes::shared(&[CHAT, ROOMS]);
    let xml = format!(
        "<iq from='{CHAT}' to='{ROOMS}' id='r2' type='set'><replicate xmlns='urn:xmpp:dmuc:0' \
         source='heath@{CHAT}'><room id='coven'/></replicate></iq>"
    );
    fed.hand_in(&bare(ROOMS), &xml);
    let refused = &fed.host(ROOMS).refused;
    assert_eq!(
        refused
            .iter()
            .map(|(_, error)| error.condition)
            .collect::<Vec<_>>(),
        [Condition::Conflict]
    );
}

#[test]
fn a_service_without_the_xep_is_reported_and_the_room_goes_on() {
    let mut fed = Federation::of(&[CHAT, ROOMS]);
    fed.at(&bare(ROOMS), |host| host.features.clear());
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    assert_eq!(fed.notices(CHAT), [format!("{COVEN} {ROOMS} Unsupported")]);
    let foo = format!("{COVEN}/foo");
    fed.join(&foo, CRONE1);
    fed.say(&foo, "alone");
    assert_eq!(fed.heard(&foo), ["alone"]);
    // One question, and the answer to that of the other side.
    let crossed = [("query".to_owned(), 1), ("answer".to_owned(), 1)];
    assert_eq!(fed.tally(CHAT, ROOMS), crossed.into());
}

#[test]
fn a_service_that_gains_the_xep_later_is_found_with_the_next_room() {
    let mut fed = Federation::of(&[CHAT, ROOMS]);
    fed.at(&bare(ROOMS), |host| host.features.clear());
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    fed.at(&bare(ROOMS), |host| {
        host.features = vec![dmuc::wire::ns::DMUC, dmuc::wire::ns::OURS]
    });
    fed.distributed("heath@chat.shakespeare.lit", CRONE1, &[]);
    fed.run();
    assert_eq!(
        fed.instances("heath@chat.shakespeare.lit")
            .into_iter()
            .collect::<Vec<_>>(),
        ["heath@rooms.macbeth.lit"]
    );
}

#[test]
fn a_service_that_gains_the_xep_and_asks_us_is_spoken_to_in_full() {
    let mut fed = Federation::of(&[CHAT, ROOMS]);
    fed.at(&bare(ROOMS), |host| host.features.clear());
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    fed.at(&bare(ROOMS), |host| {
        host.features = vec![dmuc::wire::ns::DMUC, dmuc::wire::ns::OURS]
    });
    fed.distributed("heath@rooms.macbeth.lit", WITCH, &[]);
    fed.run();
    fed.join("heath@chat.shakespeare.lit/foo", CRONE1);
    let id = fed.say("heath@chat.shakespeare.lit/foo", "hail");
    fed.run();
    assert_eq!(fed.history("heath@rooms.macbeth.lit")[0].1.stanza_id, Some(id));
}

#[test]
fn a_peer_that_cannot_be_reached_is_asked_again_with_growing_delay() {
    let mut fed = Federation::of(&[CHAT, ROOMS]);
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Bounces);
    fed.distributed(COVEN, CRONE1, &[]);
    let mut asked_at = Vec::new();
    for second in 0..300 {
        let before = fed.net.stanzas(&bare(CHAT), &bare(ROOMS));
        fed.run_for(1_000);
        if fed.net.stanzas(&bare(CHAT), &bare(ROOMS)) > before {
            asked_at.push(second);
        }
    }
    let pauses: Vec<i32> = asked_at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.len() >= 6, "{pauses:?}");
    assert!(
        pauses.windows(2).take(5).all(|pair| pair[1] > pair[0]),
        "{pauses:?}"
    );
    assert!(pauses.iter().all(|pause| *pause <= 62), "{pauses:?}");
    assert_eq!(
        fed.notices(CHAT),
        [format!("{COVEN} {ROOMS} Unreachable {{ cause: Unreachable }}")]
    );
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Up);
    fed.run();
    assert_eq!(
        fed.instances(COVEN).into_iter().collect::<Vec<_>>(),
        [COVEN_AT_ROOMS]
    );
}

#[test]
fn a_peer_that_swallows_everything_is_asked_again_too() {
    let mut fed = Federation::of(&[CHAT, ROOMS]);
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Swallows);
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run_for(150_000);
    assert!(fed.net.stanzas(&bare(CHAT), &bare(ROOMS)) >= 2);
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Up);
    fed.run();
    assert_eq!(
        fed.instances(COVEN).into_iter().collect::<Vec<_>>(),
        [COVEN_AT_ROOMS]
    );
}

#[test]
fn a_peer_that_starts_later_gets_its_shadow_then() {
    let mut fed = Federation::empty(1);
    fed.add(config_of(CHAT, &ALL));
    fed.add(config_of(ROOMS, &ALL));
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run_for(20_000);
    assert_eq!(
        fed.instances(COVEN).into_iter().collect::<Vec<_>>(),
        [COVEN_AT_ROOMS]
    );
    fed.add(config_of(CONF, &ALL));
    fed.run();
    assert_eq!(fed.instances(COVEN).len(), 2);
    assert_eq!(
        fed.instances(COVEN_AT_CONF).into_iter().collect::<Vec<_>>(),
        [COVEN, COVEN_AT_ROOMS]
    );
}

#[test]
fn a_shadow_that_started_a_moment_before_its_source_misses_nothing_live() {
    let mut fed = Federation::empty(1);
    fed.add(config_of(ROOMS, &ALL));
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Bounces);
    fed.run_for(100);
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Up);
    fed.add(config_of(CHAT, &ALL));
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run_for(200);
    fed.join("coven@chat.shakespeare.lit/foo", CRONE1);
    let id = fed.say("coven@chat.shakespeare.lit/foo", "hail");
    fed.run_for(200);
    assert_eq!(fed.history(COVEN_AT_ROOMS)[0].1.stanza_id, Some(id));
}

#[test]
fn a_peer_added_to_the_configuration_gets_its_shadow_then() {
    let mut fed = Federation::empty(1);
    fed.add(config_of(CHAT, &[CHAT]));
    fed.add(config_of(ROOMS, &[CHAT, ROOMS]));
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    assert!(fed.instances(COVEN).is_empty());
    fed.at(&bare(CHAT), |host| {
        host.engine.set_config(host.now, config_of(CHAT, &[CHAT, ROOMS]))
    });
    fed.run();
    assert_eq!(
        fed.instances(COVEN).into_iter().collect::<Vec<_>>(),
        [COVEN_AT_ROOMS]
    );
}

#[test]
fn a_peer_taken_off_the_configuration_is_let_go() {
    let mut fed = Federation::of(&ALL);
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    fed.join(&format!("{COVEN_AT_ROOMS}/witch"), WITCH);
    fed.run();
    fed.at(&bare(CHAT), |host| {
        host.engine.set_config(host.now, config_of(CHAT, &[CHAT, CONF]))
    });
    fed.run();
    assert_eq!(
        fed.instances(COVEN).into_iter().collect::<Vec<_>>(),
        [COVEN_AT_CONF]
    );
    assert!(fed.roster(COVEN).is_empty());
}

#[test]
fn a_shadow_whose_sources_service_is_no_peer_any_more_is_parked() {
    let mut fed = scenes::shared(&[CHAT, ROOMS]);
    fed.join(&format!("{COVEN_AT_ROOMS}/witch"), WITCH);
    fed.run();
    fed.at(&bare(ROOMS), |host| {
        host.engine.set_config(host.now, config_of(ROOMS, &[ROOMS]))
    });
    fed.run();
    assert!(fed.host(ROOMS).room(&bare(COVEN_AT_ROOMS)).is_parked);
    assert!(fed.host(ROOMS).engine.room_info(&bare(COVEN_AT_ROOMS)).is_none());
}

#[test]
fn a_room_has_no_more_peerhosts_than_allowed_and_its_owner_is_told() {
    let mut fed = Federation::empty(1);
    let mut config = config_of(CHAT, &ALL);
    config.max_peerhosts = 1;
    fed.add(config);
    fed.add(config_of(ROOMS, &ALL));
    fed.add(config_of(CONF, &ALL));
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    assert_eq!(
        fed.instances(COVEN).into_iter().collect::<Vec<_>>(),
        [COVEN_AT_CONF]
    );
    assert!(
        fed.notices(CHAT)
            .contains(&format!("{COVEN} {ROOMS} TooManyPeerhosts"))
    );
}
