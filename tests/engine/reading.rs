//! After a restart a room goes on before all of its stored log has been read; what has to look into that waits.

use dmuc::Input;
use dmuc::engine::Ruled;
use dmuc::wire::{Condition, Moderated, Moderation};

use crate::scenes;
use crate::support::federation::Federation;
use crate::support::names::*;
use crate::support::net::Mode;
use crate::support::reading::Pace;

/// Thirty messages, each heard at both services, of which the service has read none after its restart.
fn restarted(service: &str) -> Federation {
    let mut fed = scenes::shared(&[CHAT, ROOMS]);
    fed.join(FOO, CRONE1);
    fed.join(WITCH_PLACE, WITCH);
    fed.run();
    for number in 0..30 {
        fed.say(
            if number % 3 == 0 { WITCH_PLACE } else { FOO },
            &format!("{number}"),
        );
        fed.run();
    }
    fed.at(&bare(service), |host| {
        // As a stop in good order does: nothing is left that the snapshot does not know of.
        let rooms: Vec<_> = host.stored.keys().cloned().collect();
        for room in &rooms {
            host.store_now(room);
        }
        host.reading.pace = Pace::WhenAsked;
    });
    fed.restart(service);
    fed
}

fn is_whole(fed: &Federation, service: &str, room: &str) -> bool {
    fed.host(service).engine.is_log_whole(&bare(room))
}

fn said(fed: &Federation, service: &str, room: &str) -> Vec<String> {
    let room = bare(room);
    let messages = fed.host(service).engine.messages(&room);
    messages.map(|entry| entry.payload.to_string()).collect()
}

#[test]
fn people_go_on_with_the_history_they_get_anywhere() {
    let mut fed = restarted(CHAT);
    fed.run_for(5_000);
    assert!(!is_whole(&fed, CHAT, COVEN));
    fed.join(FOO, CRONE1);
    fed.run();
    let history = fed.history(COVEN);
    assert!(history.len() >= 20, "{}", history.len());
    fed.say(FOO, "again");
    fed.say(WITCH_PLACE, "and again");
    fed.run();
    for room in [(CHAT, COVEN), (ROOMS, COVEN_AT_ROOMS)] {
        let last = said(&fed, room.0, room.1);
        assert_eq!(
            last[last.len() - 2..],
            ["<body>again</body>", "<body>and again</body>"]
        );
    }
}

#[test]
fn who_asks_for_what_has_not_been_read_gets_it_when_it_has() {
    let mut fed = restarted(CHAT);
    // Everything that was said is new to a service that comes in now.
    fed.add(crate::support::federation::config_of(CONF, &[CHAT, ROOMS, CONF]));
    for service in [CHAT, ROOMS] {
        let config = crate::support::federation::config_of(service, &[CHAT, ROOMS, CONF]);
        fed.at(&bare(service), |host| {
            host.configure_service(config);
            host.drain();
        });
    }
    fed.run_for(60_000);
    assert!(is_whole(&fed, CHAT, COVEN), "it was read because somebody asked");
    assert_eq!(said(&fed, CONF, COVEN_AT_CONF), said(&fed, CHAT, COVEN));
    assert_eq!(said(&fed, CHAT, COVEN).len(), 30);
}

#[test]
fn what_was_read_late_is_neither_pulled_nor_shown_again() {
    let mut fed = restarted(ROOMS);
    fed.is_traced = true;
    fed.run_for(120_000);
    fed.at(&bare(ROOMS), |host| {
        host.read_log(&bare(COVEN_AT_ROOMS));
        host.drain();
    });
    fed.run_for(120_000);
    assert!(is_whole(&fed, ROOMS, COVEN_AT_ROOMS));
    assert_eq!(said(&fed, ROOMS, COVEN_AT_ROOMS), said(&fed, CHAT, COVEN));
    assert!(!fed.trace.is_empty() && !fed.trace.iter().any(|line| line.contains("<body>")));
    assert_eq!(fed.host(ROOMS).room(&bare(COVEN_AT_ROOMS)).archive.len(), 30);
}

#[test]
fn what_the_storage_has_lost_is_pulled_when_that_is_known() {
    let mut fed = scenes::shared(&[CHAT, ROOMS]);
    fed.join(FOO, CRONE1);
    for number in 0..30 {
        fed.say(FOO, &format!("{number}"));
        fed.run();
    }
    let room = bare(COVEN_AT_ROOMS);
    fed.at(&bare(ROOMS), |host| {
        host.store_now(&room);
        host.reading.pace = Pace::WhenAsked;
        host.stop();
        host.logs.get_mut(&room).unwrap().remove(7);
    });
    fed.start(&bare(ROOMS));
    fed.run_for(60_000);
    assert!(
        said(&fed, ROOMS, COVEN_AT_ROOMS).is_empty(),
        "nothing of it is missing yet"
    );
    fed.at(&bare(ROOMS), |host| {
        host.read_log(&room);
        host.drain();
    });
    fed.run_for(60_000);
    assert_eq!(said(&fed, ROOMS, COVEN_AT_ROOMS), said(&fed, CHAT, COVEN));
    assert_eq!(said(&fed, CHAT, COVEN).len(), 30);
}

#[test]
fn a_message_that_has_not_been_read_cannot_be_moderated_yet() {
    let mut fed = restarted(CHAT);
    let id = fed
        .host(ROOMS)
        .engine
        .messages(&bare(COVEN_AT_ROOMS))
        .next()
        .unwrap()
        .id
        .clone();
    let moderation = Moderation {
        id,
        nick: None,
        occupant_id: None,
        reason: None,
        of: None,
    };
    let coven = bare(COVEN);
    let ruled = || Ruled::by_the_room(&coven, Moderated::from(moderation.clone()));
    fed.at(&bare(CHAT), |host| {
        let error = host.input(Input::Ruled(ruled())).unwrap_err();
        let dmuc::Error::Refused(error) = error else {
            panic!("{error}");
        };
        assert_eq!(error.condition, Condition::ResourceConstraint);
        // Which has it read.
        host.drain();
        host.input(Input::Ruled(ruled())).unwrap();
        host.drain();
    });
    fed.run_for(10_000);
    for room in [(CHAT, COVEN), (ROOMS, COVEN_AT_ROOMS)] {
        assert_eq!(said(&fed, room.0, room.1)[0], "", "at {}", room.0);
    }
}

#[test]
fn snapshots_of_a_room_that_is_being_read_lose_nothing_of_it() {
    let mut fed = restarted(ROOMS);
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Swallows);
    // Stored again before anything has been read, and started from that.
    for _ in 0..3 {
        fed.at(&bare(ROOMS), |host| host.store_now(&bare(COVEN_AT_ROOMS)));
        fed.restart(ROOMS);
        assert!(!is_whole(&fed, ROOMS, COVEN_AT_ROOMS));
    }
    fed.at(&bare(ROOMS), |host| {
        host.read_log(&bare(COVEN_AT_ROOMS));
        host.drain();
    });
    assert_eq!(said(&fed, ROOMS, COVEN_AT_ROOMS).len(), 30);
}

/// The life that the room is in, as it is stored.
fn life(fed: &mut Federation, service: &str, room: &str) -> String {
    fed.at(&bare(service), |host| host.store_now(&bare(room)));
    let stored = &fed.host(service).stored[&bare(room)];
    let (_, rest) = stored.split_once(" incarnation='").unwrap();
    rest.split_once('\'').unwrap().0.to_owned()
}

#[test]
fn numbers_that_others_know_are_not_used_again_while_it_is_read() {
    let mut fed = restarted(CHAT);
    let before = life(&mut fed, CHAT, COVEN);
    // As after a backup was put back whose clock was right: a shadow knows more of this life than we do.
    let asks = format!(
        "<iq from='{COVEN_AT_ROOMS}' to='{COVEN}' id='q' type='get'><sync xmlns='urn:x-dmuc:0'>\
         <seen origin='{COVEN}' inc='{before}' numbers='1-7'/></sync></iq>"
    );
    fed.at(&bare(CHAT), |host| {
        host.reading.is_held = true;
        host.receive(&asks);
    });
    assert!(!is_whole(&fed, CHAT, COVEN));
    assert_ne!(life(&mut fed, CHAT, COVEN), before);
}
