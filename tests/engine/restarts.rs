//! A service restarts: its rooms stay distributed, its occupants are gone once, everything is agreed on anew.

use dmuc::Snapshot;
use dmuc::config::{Replicate, RoomIdScheme};
use dmuc::wire::Affiliation;

use crate::scenes;
use crate::support::federation::{Federation, config_of};
use crate::support::names::*;
use crate::support::net::{Mode, plain};

fn coven() -> Federation {
    let mut fed = scenes::shared(&[CHAT, ROOMS, CONF]);
    for (place, user) in [(FOO, CRONE1), (WITCH_PLACE, WITCH), (FAUST_PLACE, FAUST)] {
        fed.join(place, user);
    }
    fed.affiliate(FOO, "somewitch@macbeth.lit", Affiliation::Admin);
    fed.set_subject(FOO, "Toil");
    fed.run();
    fed
}

fn expect_mesh(fed: &Federation) {
    for (room, others) in [
        (COVEN, [COVEN_AT_CONF, COVEN_AT_ROOMS]),
        (COVEN_AT_ROOMS, [COVEN, COVEN_AT_CONF]),
        (COVEN_AT_CONF, [COVEN, COVEN_AT_ROOMS]),
    ] {
        assert_eq!(
            fed.instances(room).into_iter().collect::<Vec<_>>(),
            others,
            "at {room}"
        );
        assert_eq!(fed.roster(room), fed.roster(COVEN), "at {room}");
        assert_eq!(fed.affiliation(room, "somewitch@macbeth.lit"), Affiliation::Admin);
        assert_eq!(fed.subject(room), "Toil");
    }
}

fn rejoin(fed: &mut Federation, place: &str, user: &str) {
    fed.join(place, user);
    fed.run();
    expect_mesh(fed);
    fed.forget();
    fed.say(place, "back");
    fed.run();
    for other in [FOO, WITCH_PLACE, FAUST_PLACE] {
        assert_eq!(fed.heard(other), ["back"], "{other}");
    }
}

#[test]
fn a_shadows_restart() {
    let mut fed = coven();
    fed.restart(ROOMS);
    fed.run();
    assert_eq!(
        fed.roster(COVEN),
        ["faust none participant", "foo owner moderator"]
    );
    expect_mesh(&fed);
    rejoin(&mut fed, WITCH_PLACE, WITCH);
}

#[test]
fn the_sources_restart() {
    let mut fed = coven();
    fed.restart(CHAT);
    fed.run();
    assert_eq!(
        fed.roster(COVEN),
        ["faust none participant", "witch admin moderator"]
    );
    expect_mesh(&fed);
    rejoin(&mut fed, FOO, CRONE1);
}

#[test]
fn the_restart_of_everybody_at_once() {
    let mut fed = coven();
    for service in [CHAT, ROOMS, CONF] {
        fed.restart(service);
    }
    fed.run();
    expect_mesh(&fed);
    assert!(fed.roster(COVEN).is_empty());
    for (place, user) in [(WITCH_PLACE, WITCH), (FAUST_PLACE, FAUST)] {
        fed.join(place, user);
        fed.run();
    }
    rejoin(&mut fed, FOO, CRONE1);
}

#[test]
fn a_restart_in_the_middle_of_replication() {
    for ms in (0..260).step_by(20) {
        for service in [CHAT, ROOMS, CONF] {
            let mut fed = Federation::of(&[CHAT, ROOMS, CONF]);
            fed.distributed(COVEN, CRONE1, &[]);
            fed.run_for(ms);
            fed.restart(service);
            fed.run();
            for room in [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF] {
                assert_eq!(
                    fed.instances(room).len(),
                    2,
                    "{room} after {service} restarted at {ms}"
                );
            }
            fed.join(WITCH_PLACE, WITCH);
            fed.join(FAUST_PLACE, FAUST);
            fed.run();
            assert_eq!(fed.roster(COVEN).len(), 2, "{service} restarted at {ms}");
            assert_eq!(fed.roster(COVEN), fed.roster(COVEN_AT_ROOMS));
            assert_eq!(fed.roster(COVEN), fed.roster(COVEN_AT_CONF));
        }
    }
}

#[test]
fn numbers_used_before_a_restart_are_not_used_again() {
    let mut fed = coven();
    fed.say(WITCH_PLACE, "before");
    fed.run();
    fed.restart(ROOMS);
    fed.run();
    fed.join(WITCH_PLACE, WITCH);
    fed.run();
    fed.say(WITCH_PLACE, "after");
    fed.run();
    assert_eq!(fed.heard(FOO), ["before", "after"]);
}

#[test]
fn a_shadow_that_restarts_gets_the_history_again() {
    let mut fed = coven();
    fed.say(FOO, "one");
    fed.say(FAUST_PLACE, "two");
    fed.run();
    fed.at(&bare(ROOMS), |host| {
        host.rooms.get_mut(&bare(COVEN_AT_ROOMS)).unwrap().archive.clear()
    });
    fed.restart(ROOMS);
    fed.run();
    assert_eq!(fed.history(COVEN_AT_ROOMS), fed.history(COVEN));
}

#[test]
fn every_stored_room_can_be_read_back_and_is_the_same() {
    let mut fed = coven();
    fed.here(FOO, |host, room, nick| {
        host.affiliate(
            room,
            nick,
            &bare("a\\26b\\27c@example.org"),
            Affiliation::Member,
            Some("<nick> & 'more'"),
        )
    });
    fed.set_subject(FOO, "Fair is <foul> & foul is 'fair'");
    fed.run();
    for service in [CHAT, ROOMS, CONF] {
        let stored = &fed.host(service).stored;
        assert_eq!(stored.len(), 1);
        for xml in stored.values() {
            assert!(!xml.contains('\n'));
            assert_eq!(Snapshot::parse(xml).unwrap().to_xml(), *xml);
            assert!(
                xml.contains("Fair is"),
                "the subject is stored at {service}: {xml}"
            );
        }
    }
}

#[test]
fn a_snapshot_that_is_none_is_refused_in_words() {
    for xml in [
        "",
        "x",
        "<room/>",
        "<room xmlns='urn:x-dmuc:0#snapshot'/>",
        "<room xmlns='urn:x-dmuc:0#snapshot' jid='@' id='x' firsthost='y' ready='true' incarnation='1'/>",
    ] {
        let error = Snapshot::parse(xml).unwrap_err();
        assert!(
            error.to_string().starts_with("stored room cannot be restored: "),
            "{error}"
        );
    }
}

#[test]
fn a_room_is_not_restored_twice() {
    let mut fed = coven();
    let xml = fed.host(CHAT).stored[&bare(COVEN)].clone();
    let before = format!("{:?}", fed.host(CHAT).engine);
    fed.at(&bare(CHAT), |host| {
        let snapshot = Snapshot::parse(&xml).unwrap();
        assert!(host.engine.restore(host.now, &snapshot).is_err());
    });
    assert_eq!(before, format!("{:?}", fed.host(CHAT).engine));
}

#[test]
fn the_same_seed_and_inputs_give_the_same_outputs() {
    let traces: Vec<Vec<String>> = (0..2)
        .map(|_| {
            let mut fed = Federation::of(&[CHAT, ROOMS, CONF]);
            fed.is_traced = true;
            fed.jitter_ms = 30;
            fed.distributed(COVEN, CRONE1, &[]);
            fed.run();
            fed.join(WITCH_PLACE, WITCH);
            fed.say(WITCH_PLACE, "hail");
            fed.run();
            fed.restart(ROOMS);
            fed.run();
            std::mem::take(&mut fed.trace)
        })
        .collect();
    assert_eq!(traces[0], traces[1]);
}

#[test]
fn a_subject_that_its_source_has_lost_is_nowhere() {
    let mut fed = scenes::shared(&[CHAT, ROOMS]);
    fed.join(FOO, CRONE1);
    let chat = bare(CHAT);
    fed.at(&chat, |host| host.backup());
    fed.set_subject(FOO, "Toil");
    fed.run();
    assert_eq!(fed.subject(COVEN_AT_ROOMS), "Toil");
    fed.at(&chat, |host| {
        host.stop();
        assert!(host.restore_backup());
    });
    fed.start(&chat);
    fed.run();
    assert_eq!(
        (fed.subject(COVEN), fed.subject(COVEN_AT_ROOMS)),
        Default::default()
    );
}

/// What comes with a hole before it is not taken: the source may never have stored either.
#[test]
fn what_a_source_has_told_and_lost_is_not_taken_when_it_comes_late() {
    let mut fed = Federation::of(&[CHAT, ROOMS]);
    fed.distributed(COVEN, CRONE1, &[]);
    fed.join(FOO, CRONE1);
    fed.run();
    let chat = bare(CHAT);
    fed.at(&chat, |host| host.backup());
    // None of it arrives, and the last two are still to come.
    fed.net.set_mode(&chat, &bare(ROOMS), Mode::Swallows);
    fed.is_traced = true;
    fed.set_subject(FOO, "Toil");
    fed.set_subject(FOO, "Trouble");
    fed.configure(FOO, &[("muc#roomconfig_roomname", "A Pit of Acheron")]);
    let sent = |what: &str| {
        let mut lines = fed.trace.iter().rev();
        let line = lines.find_map(|line| {
            line.split_once("sends ")
                .filter(|(_, xml)| plain(xml).contains(what))
        });
        line.expect("it is sent").1.to_owned()
    };
    let late = [sent("<subject>Trouble<"), sent("A Pit of Acheron")];
    fed.net.heal();
    fed.at(&chat, |host| {
        host.stop();
        assert!(host.restore_backup());
    });
    fed.start(&chat);
    fed.run();
    for xml in &late {
        fed.hand_in(&bare(ROOMS), xml);
    }
    fed.run_for(100_000);
    fed.run();
    assert_eq!(fed.subject(COVEN_AT_ROOMS), fed.subject(COVEN));
    let name = |room| fed.field(room, "muc#roomconfig_roomname");
    assert_eq!(name(COVEN_AT_ROOMS), name(COVEN));
}

/// The answer to a question says what is different from what was here when it was asked.
#[test]
fn what_a_source_has_told_and_lost_is_not_taken_for_what_it_answers() {
    let name = "muc#roomconfig_roomname";
    let mut fed = Federation::of(&[CHAT, ROOMS]);
    fed.distributed(COVEN, CRONE1, &[]);
    fed.join(FOO, CRONE1);
    fed.run();
    let (chat, rooms) = (bare(CHAT), bare(ROOMS));
    fed.at(&chat, |host| host.backup());
    fed.is_traced = true;
    // Two changes, of which nothing arrives: they are on their way for long.
    fed.net.set_mode(&chat, &rooms, Mode::Swallows);
    fed.configure(FOO, &[(name, "A Pit of Acheron")]);
    fed.affiliate(FOO, "hecate@shakespeare.lit", Affiliation::Member);
    let sent = |fed: &Federation, what: &str| {
        let mut lines = fed.trace.iter().rev();
        let line = lines.find_map(|line| {
            line.split_once("sends ")
                .filter(|(_, xml)| plain(xml).contains(what))
        });
        line.expect("it is sent").1.to_owned()
    };
    let late = ["A Pit of Acheron", "hecate"].map(|what| sent(&fed, what));
    fed.net.heal();
    fed.at(&chat, |host| {
        host.stop();
        assert!(host.restore_backup());
    });
    fed.start(&chat);
    fed.run();
    // Somebody's presence is lost, and what is said next shows it: the shadow asks.
    fed.join(FOO, CRONE1);
    fed.run();
    fed.net.set_mode(&chat, &rooms, Mode::Swallows);
    fed.join("coven@chat.shakespeare.lit/bar", "bar@shakespeare.lit/x");
    fed.net.heal();
    fed.say(FOO, "When shall we three meet again");
    let before = fed.trace.len();
    let is_question = |line: &String| line.contains("rooms.macbeth.lit sends ") && line.contains("<sync ");
    while !fed.trace[before..].iter().any(is_question) {
        assert!(fed.step(fed.now_ms + 100_000), "the shadow does not ask");
    }
    for xml in &late {
        fed.hand_in(&rooms, xml);
    }
    assert_eq!(
        fed.field(COVEN_AT_ROOMS, name).as_deref(),
        Some("A Pit of Acheron")
    );
    fed.run_for(100_000);
    fed.run();
    assert_eq!(fed.field(COVEN_AT_ROOMS, name), fed.field(COVEN, name));
    assert_eq!(
        fed.affiliation(COVEN_AT_ROOMS, "hecate@shakespeare.lit"),
        Affiliation::None
    );
}

/// The configuration comes first and the list after it: a version is here when both are.
#[test]
fn a_shadow_that_falls_back_to_before_its_list_came_gets_the_list() {
    let mut fed = Federation::of(&[CHAT, ROOMS]);
    fed.is_traced = true;
    fed.distributed(COVEN, CRONE1, &[]);
    let rooms = bare(ROOMS);
    let is_config = |line: &String| line.contains("rooms.macbeth.lit gets ") && line.contains("<config ");
    while !fed.trace.iter().any(is_config) {
        assert!(fed.step(fed.now_ms + 100_000), "no configuration comes");
    }
    assert_eq!(
        fed.affiliation(COVEN_AT_ROOMS, "crone1@shakespeare.lit"),
        Affiliation::None
    );
    fed.at(&rooms, |host| host.backup());
    fed.run();
    fed.at(&rooms, |host| {
        host.crash(false);
        assert!(host.restore_backup());
    });
    fed.start(&rooms);
    fed.run();
    assert_eq!(
        fed.affiliation(COVEN_AT_ROOMS, "crone1@shakespeare.lit"),
        Affiliation::Owner
    );
}

/// It was away for less than a heartbeat: only its digests show that it is not the same any more.
#[test]
fn a_service_put_back_to_before_it_had_a_shadow_gets_it_again() {
    let mut fed = Federation::of(&[CHAT, ROOMS, CONF]);
    let rooms = bare(ROOMS);
    fed.at(&rooms, |host| host.backup());
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run_for(100_000);
    fed.at(&rooms, |host| {
        host.stop();
        assert!(host.restore_backup());
    });
    fed.start(&rooms);
    fed.run_for(100_000);
    fed.run();
    for room in [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF] {
        assert_eq!(fed.instances(room).len(), 2, "{room}");
    }
    fed.join(WITCH_PLACE, WITCH);
    fed.join(FAUST_PLACE, FAUST);
    fed.say(WITCH_PLACE, "hail");
    fed.run();
    assert_eq!(fed.heard(FAUST_PLACE), ["hail"]);
}

#[test]
fn a_source_that_has_lost_that_there_is_a_shadow_takes_it_up_again() {
    for scheme in [RoomIdScheme::Uuid, RoomIdScheme::Sha256, RoomIdScheme::Name] {
        taken_up_again(scheme);
    }
}

fn taken_up_again(scheme: RoomIdScheme) {
    let services = [CHAT, ROOMS];
    let mut fed = Federation::empty(1);
    for service in services {
        let mut config = config_of(service, &services);
        config.replicate = Replicate::OnJoin;
        config.room_id = scheme;
        fed.add(config);
    }
    let chat = bare(CHAT);
    fed.distributed(COVEN, CRONE1, &[]);
    let id = fed.host(CHAT).engine.room_info(&bare(COVEN)).unwrap().id;
    let at_rooms = format!("{id}@{ROOMS}");
    let place = format!("{at_rooms}/witch");
    fed.at(&chat, |host| host.backup());
    fed.join("coven@chat.shakespeare.lit/banquo", "banquo@macbeth.lit/x");
    fed.run();
    fed.join(&place, WITCH);
    fed.run_for(100_000);
    fed.at(&chat, |host| {
        host.stop();
        assert!(host.restore_backup());
    });
    fed.start(&chat);
    fed.run_for(100_000);
    fed.run();
    fed.join(FOO, CRONE1);
    fed.say(&place, "hail");
    fed.run();
    assert_eq!(fed.heard(FOO), ["hail"]);
    assert_eq!(fed.roster(COVEN), fed.roster(&at_rooms));
}

/// Digests do not tell anybody of what it has said itself. The first pull does, however late it is.
#[test]
fn who_has_lost_a_room_gets_back_what_it_said_there_though_the_link_fails_before_it_can_ask() {
    let mut fed = Federation::of(&[CHAT, ROOMS]);
    fed.run();
    let (chat, rooms) = (bare(CHAT), bare(ROOMS));
    fed.at(&rooms, |host| host.backup());
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    fed.join(WITCH_PLACE, WITCH);
    fed.say(WITCH_PLACE, "one");
    fed.run();
    fed.at(&rooms, |host| {
        host.stop();
        assert!(host.restore_backup());
    });
    // Whether the source answers is in question here until its own words have been heard for long.
    fed.net.set_direction(&rooms, &chat, Mode::Swallows);
    fed.start(&rooms);
    fed.run_for(500);
    fed.net.set_direction(&rooms, &chat, Mode::Up);
    fed.run_for(300_000);
    assert!(fed.instances(COVEN).contains(COVEN_AT_ROOMS));
    assert_eq!(fed.history(COVEN_AT_ROOMS).len(), 1);
    assert_eq!(fed.history(COVEN_AT_ROOMS), fed.history(COVEN));
}
