//! Everything has a limit, and each limit a defined overflow (G13).

use dmuc::engine::Ruled;
use dmuc::wire::{Affiliation, Condition};

use crate::support::federation::{Federation, config_of};
use crate::support::names::*;
use crate::support::net::Mode;

fn coven(change: impl Fn(&mut dmuc::Config)) -> Federation {
    let mut fed = Federation::empty(1);
    for service in [CHAT, ROOMS] {
        let mut config = config_of(service, &[CHAT, ROOMS]);
        change(&mut config);
        fed.add(config);
    }
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    fed
}

fn conditions(fed: &Federation, service: &str) -> Vec<Condition> {
    fed.host(service)
        .refused
        .iter()
        .map(|(_, error)| error.condition)
        .collect()
}

#[test]
fn more_remote_occupants_than_allowed_are_a_resource_constraint() {
    let mut fed = coven(|config| config.max_remote_occupants = 3);
    for number in 0..5 {
        fed.join(
            &format!("{COVEN_AT_ROOMS}/n{number}"),
            &format!("user{number}@macbeth.lit/x"),
        );
    }
    fed.run();
    assert_eq!(fed.roster(COVEN).len(), 3);
    // What follows a refusal is pulled, and taken up to the limit.
    let refused = conditions(&fed, CHAT);
    assert!(!refused.is_empty() && refused.iter().all(|it| *it == Condition::ResourceConstraint));
    assert_eq!(fed.roster(COVEN_AT_ROOMS).len(), 5, "nobody is sent away");
    // Who leaves makes room.
    fed.leave(&format!("{COVEN_AT_ROOMS}/n0"));
    fed.join(&format!("{COVEN_AT_ROOMS}/late"), "late@macbeth.lit/x");
    fed.run();
    assert_eq!(fed.roster(COVEN).len(), 3);
}

#[test]
fn a_roster_with_more_occupants_than_allowed_is_taken_up_to_the_limit() {
    let mut fed = Federation::empty(1);
    let mut config = config_of(ROOMS, &[CHAT, ROOMS]);
    config.max_remote_occupants = 3;
    fed.add(config);
    fed.add(config_of(CHAT, &[CHAT, ROOMS]));
    fed.create(COVEN, CRONE1, &[]);
    for number in 0..5 {
        fed.join(
            &format!("{COVEN}/n{number}"),
            &format!("user{number}@shakespeare.lit/x"),
        );
    }
    fed.at(&bare(CHAT), |host| host.distribute(&bare(COVEN)));
    fed.run();
    assert_eq!(fed.roster(COVEN_AT_ROOMS).len(), 3);
    assert_eq!(
        fed.affiliation(COVEN_AT_ROOMS, "crone1@shakespeare.lit"),
        Affiliation::Owner
    );
}

#[test]
fn messages_beyond_the_log_go_oldest_first_and_are_not_taken_again() {
    let mut fed = coven(|config| config.log_max_messages = 20);
    fed.is_traced = true;
    fed.join(FOO, CRONE1);
    fed.run();
    for number in 0..40 {
        fed.say(FOO, &format!("{number}"));
    }
    fed.run();
    assert_eq!(fed.history(COVEN_AT_ROOMS).len(), 20);
    let copy = fed
        .trace
        .iter()
        .find_map(|line| line.split_once(&format!("{ROOMS} gets <message")))
        .unwrap()
        .1;
    let copy = format!("<message{copy}");
    assert!(copy.contains("<body>0</body>"), "{copy}");
    let before = fed.history(COVEN_AT_ROOMS);
    fed.hand_in(&bare(ROOMS), &copy);
    assert_eq!(fed.history(COVEN_AT_ROOMS), before);
}

#[test]
fn messages_held_for_a_history_that_does_not_come_are_bounded_and_shown() {
    let mut fed = Federation::of(&[CHAT, ROOMS]);
    fed.distributed(COVEN, CRONE1, &[]);
    fed.join(FOO, CRONE1);
    while !fed
        .host(ROOMS)
        .engine
        .room_info(&bare(COVEN_AT_ROOMS))
        .is_some_and(|info| info.is_ready)
    {
        assert!(fed.step(10_000));
    }
    let witch = "coven@rooms.macbeth.lit/witch";
    fed.join(witch, WITCH);
    fed.run_for(30);
    // The question for the history is lost.
    fed.net
        .set_mode(&bare(ROOMS), &bare(CHAT), crate::support::net::Mode::Up);
    fed.net.direction(&bare(ROOMS), &bare(CHAT)).latency_ms = 50_000;
    for number in 0..1_200 {
        fed.say(FOO, &format!("{number}"));
        fed.run_for(1);
    }
    fed.run_for(10_000);
    assert!(fed.heard(witch).len() >= 500, "{}", fed.heard(witch).len());
    fed.run_for(300_000);
    let expected: Vec<String> = (0..1_200).map(|number| format!("{number}")).collect();
    assert_eq!(fed.heard(witch), expected);
}

#[test]
fn requests_that_are_never_answered_are_given_up() {
    let mut fed = coven(|_| {});
    fed.join(FOO, CRONE1);
    fed.run();
    fed.net
        .set_mode(&bare(CHAT), &bare(ROOMS), crate::support::net::Mode::Swallows);
    for number in 0..300 {
        fed.affiliate(FOO, &format!("user{number}@example.org"), Affiliation::Member);
        fed.run_for(1_000);
        assert!(
            fed.host(CHAT).engine.pending_requests() < 100,
            "{}",
            fed.host(CHAT).engine.pending_requests()
        );
    }
    fed.run_for(120_000);
    assert!(fed.host(CHAT).engine.pending_requests() <= 2);
}

#[test]
fn the_log_keeps_no_more_bytes_than_allowed() {
    let mut fed = coven(|config| config.log_max_bytes = 65_536);
    fed.join(FOO, CRONE1);
    fed.run();
    for number in 0..50 {
        let payload = message_body(&format!("{number} {}", "x".repeat(4_000)));
        fed.here(FOO, |host, room, nick| host.say(room, nick, None, &payload));
    }
    fed.run();
    for room in [COVEN, COVEN_AT_ROOMS] {
        let history = fed.history(room);
        assert!(
            history.len() < 20 && !history.is_empty(),
            "{room}: {}",
            history.len()
        );
        assert!(history.last().unwrap().0.starts_with("49 "));
    }
}

#[test]
fn a_large_room_is_replicated_whole() {
    let mut fed = Federation::of(&[CHAT, ROOMS]);
    fed.create(COVEN, CRONE1, &[]);
    fed.join(FOO, CRONE1);
    for number in 0..500 {
        let (place, user) = (
            format!("{COVEN}/n{number}"),
            format!("user{number}@shakespeare.lit/x"),
        );
        let (room, nick) = seat(&place);
        let payload = format!("<status>{}</status>", "busy ".repeat(300));
        fed.at(&bare(CHAT), |host| {
            host.join(&room, &nick, &full(&user), &payload).unwrap()
        });
        fed.here(FOO, |host, room, nick| {
            host.affiliate(room, nick, &full(&user).to_bare(), Affiliation::Member, None)
        });
    }
    fed.at(&bare(CHAT), |host| host.distribute(&bare(COVEN)));
    fed.run();
    assert_eq!(fed.roster(COVEN_AT_ROOMS).len(), 501);
    assert_eq!(fed.roster(COVEN_AT_ROOMS), fed.roster(COVEN));
    let largest = fed.tally(CHAT, ROOMS)["roster"];
    assert!(largest >= 2, "it went in {largest} parts");
}

#[test]
fn a_list_of_affiliations_does_not_grow_without_end() {
    let mut fed = coven(|config| config.max_remote_occupants = 10);
    let mut refusals = 0;
    for part in 0..30 {
        let items: String = (0..500)
            .map(|number| format!("<item affiliation='member' jid='u{part}.{number}@example.org'/>"))
            .collect();
        let xml = format!(
            "<iq from='{COVEN}' to='{COVEN_AT_ROOMS}' id='r{part}' type='set'><roster xmlns='urn:xmpp:dmuc:0'>\
             <snapshot xmlns='urn:x-dmuc:0' version='1'/>{items}</roster></iq>"
        );
        let before = format!("{:?}", fed.host(ROOMS).engine);
        fed.hand_in(&bare(ROOMS), &xml);
        if conditions(&fed, ROOMS).len() > refusals {
            refusals += 1;
            assert!(
                before == format!("{:?}", fed.host(ROOMS).engine),
                "a refusal changes nothing"
            );
        }
    }
    assert!(refusals > 0);
    assert_eq!(conditions(&fed, ROOMS)[0], Condition::PolicyViolation);
    let room = fed.host(ROOMS).room(&bare(COVEN_AT_ROOMS));
    assert!(room.affiliations.len() <= 10_010, "{}", room.affiliations.len());
}

#[test]
fn a_roster_in_parts_without_end_is_refused_and_its_start_kept() {
    let mut fed = coven(|config| config.max_remote_occupants = 10);
    for part in 0..25 {
        let items: String = (0..500)
            .map(|number| format!("<item affiliation='none' name='n{part}.{number}'/>"))
            .collect();
        // The first that is one too many is sent again and again.
        let number = match part.min(20) {
            0 => String::new(),
            part => format!(" part='{part}'"),
        };
        let xml = format!(
            "<iq from='{COVEN}' to='{COVEN_AT_ROOMS}' id='r{part}' type='set'><roster xmlns='urn:xmpp:dmuc:0'>\
             <snapshot xmlns='urn:x-dmuc:0' version='1' occupants='true' more='true'{number}/>{items}</roster></iq>"
        );
        let before = format!("{:?}", fed.host(ROOMS).engine);
        fed.hand_in(&bare(ROOMS), &xml);
        if part >= 20 {
            assert!(
                before == format!("{:?}", fed.host(ROOMS).engine),
                "a refusal changes nothing"
            );
        }
    }
    assert_eq!(conditions(&fed, ROOMS), [Condition::PolicyViolation; 5]);
    assert!(fed.roster(COVEN_AT_ROOMS).is_empty());
}

/// What a sender may choose the length of counts for the size of a page, so that no page is too large for Prosody.
#[test]
fn long_nicks_and_ids_make_pages_of_fewer_messages() {
    let mut fed = coven(|_| ());
    let (nick, id) = ("&".repeat(1000), "'".repeat(1000));
    fed.join(&format!("{COVEN}/{nick}"), CRONE1);
    fed.run();
    fed.is_traced = true;
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Swallows);
    for number in 0..200 {
        let payload = format!("<body>{number}</body>");
        fed.at(&bare(CHAT), |host| {
            host.say(&bare(COVEN), &nick, Some(&id), &payload).unwrap();
        });
    }
    fed.run_for(600_000);
    fed.net.heal();
    fed.run();
    assert_eq!(fed.history(COVEN_AT_ROOMS).len(), 200);
    let largest = fed.trace.iter().map(String::len).max();
    assert!(largest < Some(512 * 1024), "{largest:?}");
}

/// The host shows who is gone, and why, in its own words; to the others it goes as far as they take it.
#[test]
fn a_reason_too_long_for_the_peers_is_cut_and_the_occupant_gone() {
    let mut fed = coven(|_| {});
    fed.join(FOO, CRONE1);
    fed.join(&format!("{COVEN}/baz"), "mephisto@shakespeare.lit/x");
    fed.run();
    assert_eq!(fed.roster(COVEN_AT_ROOMS).len(), 2);
    let long = "é".repeat(4_000);
    let kicked = fed.at(&bare(CHAT), |host| {
        host.set_role(&bare(COVEN), "foo", "baz", dmuc::wire::Role::None, Some(&long))
    });
    assert!(kicked.is_ok());
    fed.run();
    assert_eq!(fed.roster(COVEN_AT_ROOMS).len(), 1);
    assert_eq!(conditions(&fed, ROOMS), []);
}

#[test]
fn a_subject_too_long_for_the_peers_is_refused_and_changes_nothing() {
    let mut fed = coven(|_| {});
    fed.join(FOO, CRONE1);
    fed.set_subject(FOO, "Fire burn");
    fed.run();
    let long = "x".repeat(4_097);
    for (service, room) in [(CHAT, COVEN), (ROOMS, COVEN_AT_ROOMS)] {
        let room = bare(room);
        let refused = fed.at(&bare(service), |host| {
            let ruled = Ruled::by_the_room(&room, Some(subject("foo", &long)));
            host.input(dmuc::Input::Ruled(ruled))
        });
        let condition = refused.map_err(|error| error.stanza_error().map(|error| error.condition));
        assert_eq!(condition.err(), Some(Some(Condition::PolicyViolation)));
    }
    fed.run();
    assert_eq!(fed.subject(COVEN), "Fire burn");
    assert_eq!(fed.subject(COVEN_AT_ROOMS), "Fire burn");
}

/// What is beyond the log has no place in it, and people who were there when it was said hear it all the same (G4).
#[test]
fn what_is_too_old_for_a_full_log_reaches_everybody_all_the_same() {
    let mut fed = coven(|config| {
        if config.service == bare(ROOMS) {
            config.log_max_messages = 6;
        }
    });
    let witch = "coven@rooms.macbeth.lit/witch";
    fed.join(FOO, CRONE1);
    fed.join(witch, WITCH);
    fed.run();
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Bounces);
    fed.run_for(100_000);
    for number in 0..4 {
        fed.say(FOO, &format!("old {number}"));
    }
    fed.run_for(1_000);
    for number in 0..8 {
        fed.say(witch, &format!("new {number}"));
    }
    fed.run_for(100_000);
    fed.net.heal();
    fed.run_for(200_000);
    fed.run();
    let heard = fed.heard(witch);
    for number in 0..4 {
        assert!(heard.contains(&format!("old {number}")), "{heard:?}");
    }
    assert_eq!(fed.history(COVEN_AT_ROOMS).len(), 6);
}

/// Nothing had ever been said there: the first words are lost, and people hear that there were some.
#[test]
fn a_gap_is_told_though_nothing_of_that_instance_was_known() {
    let mut fed = coven(|config| config.log_max_messages = 6);
    let witch = "coven@rooms.macbeth.lit/witch";
    fed.join(FOO, CRONE1);
    fed.join(witch, WITCH);
    fed.run();
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Swallows);
    for number in 0..10 {
        fed.say(witch, &format!("{number}"));
    }
    fed.run_for(200_000);
    fed.net.heal();
    fed.run_for(200_000);
    fed.run();
    let gaps: Vec<String> = fed
        .notices(CHAT)
        .into_iter()
        .filter(|notice| notice.contains("Gap"))
        .collect();
    assert_eq!(gaps.len(), 1, "{:?}", fed.notices(CHAT));
    assert_eq!(fed.heard(FOO), ["4", "5", "6", "7", "8", "9"]);
}

/// Everybody whom an instance has of others.
fn strangers(fed: &Federation, room: &str) -> Vec<String> {
    let nicks = fed.roster(room).into_iter();
    let nicks = nicks.filter_map(|line| Some(line.split_once(' ')?.0.to_owned()));
    nicks.collect()
}

#[test]
fn who_was_left_out_comes_in_when_somebody_leaves() {
    // At the source, and at a shadow, for somebody of either other instance.
    for limited in [COVEN, COVEN_AT_ROOMS] {
        let mut fed = coven(|config| config.max_remote_occupants = 2);
        let other = match limited {
            COVEN => COVEN_AT_ROOMS,
            _ => COVEN,
        };
        for number in 0..4 {
            fed.join(
                &format!("{other}/n{number}"),
                &format!("user{number}@example.org/x"),
            );
        }
        fed.run();
        assert_eq!(strangers(&fed, limited), ["n0", "n1"]);
        fed.leave(&format!("{other}/n0"));
        fed.run();
        assert_eq!(strangers(&fed, limited), ["n1", "n2"], "at {limited}");
        // Again and again, but not at once: people come and go in a full room.
        fed.leave(&format!("{other}/n1"));
        fed.run_for(60_000);
        assert_eq!(strangers(&fed, limited), ["n2", "n3"], "at {limited}");
    }
}

#[test]
fn who_was_left_out_comes_in_when_the_limit_is_raised() {
    let mut fed = coven(|config| config.max_remote_occupants = 2);
    for number in 0..4 {
        fed.join(
            &format!("{COVEN_AT_ROOMS}/n{number}"),
            &format!("user{number}@macbeth.lit/x"),
        );
    }
    fed.run();
    assert_eq!(strangers(&fed, COVEN), ["n0", "n1"]);
    let mut config = fed.host(CHAT).engine.config().clone();
    config.max_remote_occupants = 10;
    fed.at(&bare(CHAT), |host| host.configure_service(config));
    fed.run();
    assert_eq!(strangers(&fed, COVEN), ["n0", "n1", "n2", "n3"]);
}

#[test]
fn a_full_room_in_which_people_come_and_go_asks_for_few_rosters() {
    let mut fed = coven(|config| config.max_remote_occupants = 20);
    for number in 0..40 {
        fed.join(
            &format!("{COVEN_AT_ROOMS}/n{number}"),
            &format!("user{number}@macbeth.lit/x"),
        );
    }
    fed.run();
    assert_eq!(strangers(&fed, COVEN).len(), 20);
    let questions = |fed: &Federation| fed.tally(CHAT, ROOMS).get("sync").copied().unwrap_or_default();
    let before = questions(&fed);
    for number in 0..15 {
        fed.leave(&format!("{COVEN_AT_ROOMS}/n{number}"));
        fed.run_for(1_000);
    }
    let asked = questions(&fed) - before;
    assert!((1..=2).contains(&asked), "{asked} questions for 15 departures");
    fed.run_for(60_000);
    assert_eq!(strangers(&fed, COVEN).len(), 20);
}
