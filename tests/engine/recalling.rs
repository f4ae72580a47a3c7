//! Messages that are in the stored log only: they leave memory, and are read again for whoever needs them (DESIGN 11, G13).

use dmuc::engine::Ruled;
use dmuc::wire::{IqBody, Moderated, Moderation, Response};
use dmuc::{Config, Input};

use crate::scenes;
use crate::support::federation::{Federation, config_of};
use crate::support::host::Host;
use crate::support::names::*;
use crate::support::net::Mode;

/// More than the history of newcomers, and what a log has besides before it gives some away.
const MOST: usize = 28;

fn forgets(fed: &mut Federation, service: &str) {
    fed.at(&bare(service), |host| host.reading.forgets = true);
}

/// A room in which this many messages are said, in turns, at a source that forgets.
fn forgetful(count: usize) -> Federation {
    let mut fed = scenes::shared(&[CHAT, ROOMS]);
    forgets(&mut fed, CHAT);
    fed.join(FOO, CRONE1);
    fed.join(WITCH_PLACE, WITCH);
    fed.run();
    for number in 0..count {
        fed.say(
            if number % 3 == 0 { WITCH_PLACE } else { FOO },
            &format!("{number}"),
        );
        fed.run();
    }
    fed
}

fn in_memory(fed: &Federation, service: &str, room: &str) -> usize {
    fed.host(service).engine.messages_in_memory(&bare(room))
}

fn configure(fed: &mut Federation, service: &str, change: impl Fn(&mut Config)) {
    fed.at(&bare(service), |host| {
        let mut config = host.engine.config().clone();
        change(&mut config);
        host.configure_service(config);
        host.drain();
    });
}

/// A third service comes in, to which everything is new.
fn third(fed: &mut Federation) {
    let all = [CHAT, ROOMS, CONF];
    fed.add(config_of(CONF, &all));
    for service in [CHAT, ROOMS] {
        let config = config_of(service, &all);
        fed.at(&bare(service), |host| {
            host.configure_service(config);
            host.drain();
        });
    }
}

fn texts(fed: &Federation, room: &str) -> Vec<String> {
    fed.history(room).into_iter().map(|(text, _)| text).collect()
}

#[test]
fn no_more_than_the_history_of_newcomers_stays_in_memory() {
    let fed = forgetful(300);
    let held = in_memory(&fed, CHAT, COVEN);
    assert!((20..=MOST).contains(&held), "{held}");
    assert_eq!(texts(&fed, COVEN), texts(&fed, COVEN_AT_ROOMS));
    assert_eq!(fed.history(COVEN).len(), 300);
    assert_eq!(fed.host(CHAT).reading.asked_for, 0, "nobody needs it");
    // A host that does not say what it has stored keeps all of it.
    assert_eq!(in_memory(&fed, ROOMS, COVEN_AT_ROOMS), 300);
}

#[test]
fn who_comes_in_gets_what_is_in_the_stored_log_only() {
    let mut fed = forgetful(450);
    third(&mut fed);
    // Three pages.
    fed.run_for(20_000);
    assert_eq!(fed.history(COVEN_AT_CONF), fed.history(COVEN));
    assert_eq!(fed.history(COVEN_AT_CONF).len(), 450);
    assert!(fed.host(CHAT).reading.asked_for >= 250, "its own, two thirds");
    assert!(in_memory(&fed, CHAT, COVEN) <= MOST, "it left again");
}

#[test]
fn a_short_split_needs_nothing_of_it() {
    let mut fed = forgetful(100);
    for (from, to) in [(CHAT, ROOMS), (ROOMS, CHAT)] {
        fed.net.set_mode(&bare(from), &bare(to), Mode::Swallows);
    }
    for number in 0..10 {
        fed.say(FOO, &format!("meanwhile {number}"));
    }
    fed.run_for(90_000);
    fed.net.heal();
    fed.run_for(120_000);
    assert_eq!(texts(&fed, COVEN_AT_ROOMS), texts(&fed, COVEN));
    assert_eq!(fed.host(CHAT).reading.asked_for, 0);
}

#[test]
fn reading_after_a_restart_fills_no_memory() {
    let mut fed = forgetful(200);
    fed.restart(CHAT);
    fed.run_for(60_000);
    assert!(in_memory(&fed, CHAT, COVEN) <= MOST);
    assert_eq!(texts(&fed, COVEN), texts(&fed, COVEN_AT_ROOMS));
}

#[test]
fn the_budget_is_for_all_rooms_together() {
    let mut fed = Federation::of(&[CHAT, ROOMS]);
    forgets(&mut fed, CHAT);
    let budget = 64_000;
    configure(&mut fed, CHAT, |config| config.memory_bytes = budget);
    let rooms: Vec<String> = (0..20).map(|number| format!("room{number}@{CHAT}")).collect();
    for room in &rooms {
        fed.distributed(room, CRONE1, &[]);
        fed.run();
        fed.join(&format!("{room}/foo"), CRONE1);
    }
    for number in 0..400 {
        // One is as busy as all others together.
        let room = if number % 2 == 0 {
            &rooms[0]
        } else {
            &rooms[number / 2 % 20]
        };
        fed.say(&format!("{room}/foo"), &format!("{number}"));
        fed.run();
        let memory = fed.host(CHAT).engine.memory();
        assert!(memory <= budget, "{memory} after {number}");
    }
    for room in &rooms {
        let held = in_memory(&fed, CHAT, room);
        assert!((1..=MOST).contains(&held), "{held} in {room}: each has its share");
    }
    // A larger one takes effect at once, a smaller one with what comes next.
    configure(&mut fed, CHAT, |config| config.memory_bytes = 0);
    fed.say(&format!("{}/foo", rooms[0]), "last");
    fed.run();
    assert_eq!(fed.host(CHAT).engine.memory(), 0);
    assert_eq!(fed.history(&rooms[0]).len(), 211);
}

#[test]
fn a_history_in_the_words_of_the_xep_is_read_as_well() {
    let mut fed = Federation::empty(1);
    fed.add(config_of(CHAT, &[CHAT, ROOMS]));
    forgets(&mut fed, CHAT);
    fed.add_xep(ROOMS);
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    fed.join(FOO, CRONE1);
    for number in 0..60 {
        fed.say(FOO, &format!("{number}"));
        fed.run();
    }
    let asked = format!(
        "<iq from='{COVEN_AT_ROOMS}' to='{COVEN}' id='h' type='get'><room xmlns='urn:xmpp:dmuc:0' id='coven'>\
         <history xmlns='http://jabber.org/protocol/muc' maxstanzas='50'/></room></iq>"
    );
    fed.at_xep(ROOMS, |peer| peer.send(asked));
    fed.run_for(30_000);
    let answer = &fed.xep[&bare(ROOMS)].answers["h"];
    let IqBody::Result(Some(xml)) = answer else {
        panic!("{answer:?}");
    };
    let Ok(Response::History(history)) = Response::parse(Some(xml)) else {
        panic!("{xml}");
    };
    assert_eq!(history.messages.len(), 50);
    assert!(history.messages[0].payload.contains("<body>10</body>"));
    assert!(in_memory(&fed, CHAT, COVEN) <= MOST);
}

/// An instance asks for everything.
fn question(id: &str) -> String {
    format!(
        "<iq from='{COVEN_AT_ROOMS}' to='{COVEN}' id='{id}' type='get'><sync xmlns='urn:x-dmuc:0' new='true'/></iq>"
    )
}

fn answer_to(host: &Host, id: &str) -> Option<String> {
    let is_it = |stanza: &&String| stanza.contains(&format!("id='{id}'"));
    host.outbox.iter().find(is_it).cloned()
}

#[test]
fn one_question_of_an_instance_waits_and_the_next_is_to_be_asked_again() {
    let mut fed = forgetful(100);
    fed.at(&bare(CHAT), |host| {
        host.reading.is_held = true;
        host.receive(&question("q1"));
        assert_eq!(answer_to(host, "q1"), None);
        host.receive(&question("q2"));
        let refused = answer_to(host, "q2").unwrap();
        assert!(refused.contains("resource-constraint"), "{refused}");
        host.reading.is_held = false;
        host.drain();
        let answer = answer_to(host, "q1").unwrap();
        assert!(answer.contains("<body>1</body>"), "{answer}");
    });
}

#[test]
fn who_needs_what_cannot_be_read_is_told_to_ask_again() {
    let mut fed = forgetful(100);
    fed.at(&bare(CHAT), |host| {
        host.is_store_away = true;
        host.receive(&question("q1"));
        let refused = answer_to(host, "q1").unwrap();
        assert!(refused.contains("resource-constraint"), "{refused}");
        host.store_is_back();
        host.receive(&question("q2"));
        assert!(answer_to(host, "q2").unwrap().contains("<body>1</body>"));
    });
}

#[test]
fn a_question_that_the_host_has_forgotten_is_taken_again() {
    let mut fed = forgetful(100);
    fed.at(&bare(CHAT), |host| {
        host.reading.is_held = true;
        host.receive(&question("q1"));
    });
    fed.run_for(61_000);
    fed.at(&bare(CHAT), |host| {
        host.receive(&question("q2"));
        host.reading.is_held = false;
        host.drain();
        let answer = answer_to(host, "q2").unwrap();
        assert!(answer.contains("<body>1</body>"), "{answer}");
    });
}

#[test]
fn what_the_storage_has_lost_is_told_to_nobody_and_asked_for_once() {
    let mut fed = forgetful(100);
    fed.at(&bare(CHAT), |host| {
        host.logs.get_mut(&bare(COVEN)).unwrap().remove(7);
        host.receive(&question("q1"));
        let answer = answer_to(host, "q1").unwrap();
        assert!(!answer.contains("<body>7</body>") && answer.contains("<body>8</body>"));
    });
    assert_eq!(fed.history(COVEN).len(), 99);
    let asked = fed.host(CHAT).reading.asked_for;
    fed.run_for(120_000);
    assert_eq!(fed.host(CHAT).reading.asked_for, asked);
}

#[test]
fn a_message_that_is_not_in_memory_is_moderated_everywhere() {
    let mut fed = forgetful(100);
    let id = fed.history(COVEN)[3].1.stanza_id.clone().unwrap();
    assert!(fed.host(CHAT).engine.message(&bare(COVEN), &id).is_none());
    let moderation = Moderation {
        id: id.clone(),
        ..Moderation::default()
    };
    let coven = bare(COVEN);
    fed.at(&coven.service(), |host| {
        let ruled = Ruled::by_the_room(&coven, Moderated::from(moderation));
        host.input(Input::Ruled(ruled)).unwrap();
        host.drain();
    });
    fed.run_for(10_000);
    third(&mut fed);
    fed.run_for(20_000);
    for room in [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF] {
        let said = fed
            .history(room)
            .into_iter()
            .find(|(_, said)| said.stanza_id.as_ref() == Some(&id));
        assert_eq!(said.unwrap().1.payload, "", "in {room}");
    }
}
