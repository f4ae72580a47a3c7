//! Moderation (XEP-0425): the source decides, the message is gone everywhere, and nothing brings it back.

use dmuc::wire::{Affiliation, Condition, Moderation, Role};

use crate::lies::expect_refused;
use crate::support::event::{Event, What};
use crate::support::federation::{Federation, config_of};
use crate::support::moderate::Wish;
use crate::support::names::*;
use crate::support::net::Mode;

const INSTANCES: [(&str, &str); 3] = [(CHAT, COVEN), (ROOMS, COVEN_AT_ROOMS), (CONF, COVEN_AT_CONF)];

/// crone1 owns the room, the witch at a shadow is an admin, faust at another one is nobody.
fn coven() -> Federation {
    let mut fed = Federation::of(&[CHAT, ROOMS, CONF]);
    fed.create(COVEN, CRONE1, &[]);
    fed.join(FOO, CRONE1);
    fed.affiliate(FOO, "somewitch@macbeth.lit", Affiliation::Admin);
    fed.at(&bare(CHAT), |host| host.distribute(&bare(COVEN)));
    fed.run();
    fed.join(WITCH_PLACE, WITCH);
    fed.join(FAUST_PLACE, FAUST);
    fed.run();
    fed.forget();
    fed
}

fn take_away(fed: &mut Federation, place: &str, id: &str) -> Wish {
    fed.here(place, |host, room, nick| {
        host.take_away(room, nick, id, Some("Spam"))
    })
}

/// What an instance has under this id: in its log, its archive and its stored log; with what its people are told.
fn traces(fed: &Federation, service: &str, room: &str, id: &str) -> Vec<String> {
    let (room, host) = (bare(room), fed.host(service));
    let logged = host
        .engine
        .message(&room, id)
        .map(|entry| entry.payload.to_string());
    let archive = host.room(&room).archive.iter();
    let archived = archive.filter(|message| message.stanza_id == id);
    let archived = archived.map(|message| message.payload.clone());
    let stored = host.stored_payload(&room, id);
    let shown = host.shown_of(&room).filter(|entry| entry.id == id);
    let shown = shown.map(|entry| entry.payload.to_string());
    logged
        .into_iter()
        .chain(archived)
        .chain(stored)
        .chain(shown)
        .collect()
}

/// The message is a tombstone in the log, the archive and the stored log, and in no history, everywhere.
fn expect_gone(fed: &Federation, id: &str) {
    for (service, room) in INSTANCES {
        assert_eq!(traces(fed, service, room, id), ["", "", ""], "at {room}");
    }
}

/// The moderations that people at a place are told of.
fn told(fed: &Federation, place: &str) -> Vec<String> {
    let rooms_own = fed
        .messages(place)
        .into_iter()
        .filter(|message| message.nick.is_empty());
    let moderation = |payload: &str| Moderation::parse(payload).map(|moderation| moderation.id);
    rooms_own
        .map(|message| moderation(&message.payload).unwrap_or_else(|error| panic!("{error}: {message:?}")))
        .collect()
}

#[test]
fn a_moderator_anywhere_takes_a_message_said_anywhere_away() {
    for moderator in [FOO, WITCH_PLACE] {
        for author in [FOO, WITCH_PLACE, FAUST_PLACE] {
            let mut fed = coven();
            let id = fed.say(author, "buy this");
            fed.run();
            let wish = take_away(&mut fed, moderator, &id);
            fed.run();
            if let Wish::Asked(token) = wish {
                assert_eq!(fed.act_error(ROOMS, token), None);
            }
            expect_gone(&fed, &id);
            for place in [FOO, WITCH_PLACE, FAUST_PLACE] {
                assert_eq!(told(&fed, place), [id.as_str()], "{place}");
            }
            // Once more says nothing new.
            take_away(&mut fed, moderator, &id);
            fed.run();
            assert_eq!(told(&fed, FAUST_PLACE).len(), 1);
            let histories: Vec<_> = INSTANCES.iter().map(|(_, room)| fed.history(room)).collect();
            assert!(histories.iter().all(|history| *history == histories[0]));
            // And nothing of it comes back with a restart.
            for (service, _) in INSTANCES {
                fed.restart(service);
            }
            fed.run();
            expect_gone(&fed, &id);
        }
    }
}

#[test]
fn a_message_that_comes_after_its_moderation_is_never_shown() {
    let mut fed = coven();
    fed.net.set_mode(&bare(ROOMS), &bare(CONF), Mode::Stalls);
    let id = fed.say(WITCH_PLACE, "buy this");
    fed.run_for(50);
    take_away(&mut fed, FOO, &id);
    fed.run_for(50);
    assert_eq!(told(&fed, FAUST_PLACE), [id.as_str()], "told before it came");
    fed.net.heal();
    fed.run_for(100_000);
    fed.run();
    expect_gone(&fed, &id);
    assert!(!fed.heard(FAUST_PLACE).contains(&"buy this".to_owned()));
    assert_eq!(told(&fed, FAUST_PLACE), [id]);
}

#[test]
fn who_was_away_learns_of_it_and_is_told_nothing_of_the_message() {
    let mut fed = coven();
    for (a, b) in [(CHAT, CONF), (ROOMS, CONF)] {
        fed.net.set_mode(&bare(a), &bare(b), Mode::Bounces);
    }
    let before = fed.say(FAUST_PLACE, "hear me");
    fed.run_for(100_000);
    let id = fed.say(FOO, "buy this");
    fed.run_for(1_000);
    take_away(&mut fed, WITCH_PLACE, &id);
    fed.run_for(1_000);
    fed.net.heal();
    fed.run_for(100_000);
    fed.run();
    expect_gone(&fed, &id);
    assert!(!fed.heard(FAUST_PLACE).contains(&"buy this".to_owned()));
    for (service, room) in INSTANCES {
        assert!(
            traces(&fed, service, room, &before)
                .iter()
                .all(|payload| payload.contains("hear me"))
        );
    }
}

/// The witch moderates while her shadow does not reach the source.
fn moderated_in_a_split(fed: &mut Federation) -> String {
    let id = fed.say(WITCH_PLACE, "buy this");
    fed.run();
    for peer in [CHAT, CONF] {
        fed.net.set_mode(&bare(ROOMS), &bare(peer), Mode::Bounces);
    }
    fed.run_for(100_000);
    assert_eq!(take_away(fed, WITCH_PLACE, &id), Wish::Done);
    fed.run_for(1_000);
    assert_eq!(told(fed, WITCH_PLACE), [id.as_str()]);
    let shown = fed
        .host(ROOMS)
        .shown_of(&bare(COVEN_AT_ROOMS))
        .any(|entry| entry.id == id);
    assert!(!shown, "gone from the history at once");
    id
}

fn heal(fed: &mut Federation) {
    fed.net.heal();
    fed.run_for(100_000);
    fed.run();
}

#[test]
fn what_is_taken_away_during_a_split_is_gone_everywhere_after_it() {
    for restart in [false, true] {
        let mut fed = coven();
        let id = moderated_in_a_split(&mut fed);
        if restart {
            fed.restart(ROOMS);
            fed.join(WITCH_PLACE, WITCH);
            fed.run_for(1_000);
        }
        heal(&mut fed);
        expect_gone(&fed, &id);
        assert_eq!(told(&fed, FAUST_PLACE), [id.as_str()]);
        if !restart {
            assert_eq!(told(&fed, WITCH_PLACE), [id], "once");
        }
    }
}

/// What came of it is in the log before it is stored that the shadow waits no more.
#[test]
fn a_kill_between_the_decision_and_the_snapshot_leaves_nothing_waiting() {
    let mut fed = coven();
    let id = moderated_in_a_split(&mut fed);
    let room = bare(COVEN_AT_ROOMS);
    let waiting = fed.host(ROOMS).stored[&room].clone();
    heal(&mut fed);
    assert_ne!(fed.host(ROOMS).stored[&room], waiting);
    fed.crash(&bare(ROOMS), false);
    fed.at(&bare(ROOMS), |host| host.stored.insert(room.clone(), waiting));
    fed.start(&bare(ROOMS));
    fed.run_for(100_000);
    assert!(fed.is_settled(), "{}", fed.who_waits());
    expect_gone(&fed, &id);
}

#[test]
fn what_the_source_does_not_take_away_is_back_after_the_split() {
    // Who is a moderator no more, whatever the shadow's last presence said.
    for affiliation in [Affiliation::None, Affiliation::Outcast] {
        let mut fed = coven();
        let id = moderated_in_a_split(&mut fed);
        fed.affiliate(FOO, "somewitch@macbeth.lit", affiliation);
        fed.run_for(1_000);
        heal(&mut fed);
        for (service, room) in INSTANCES {
            let traces = traces(&fed, service, room, &id);
            assert_eq!(traces.len(), 4, "{traces:?} at {room}");
            assert!(
                traces.iter().all(|payload| payload.contains("buy this")),
                "{traces:?} at {room}"
            );
        }
        let is_told = |event: &Event| matches!(event, Event::Overridden { what: What::Message(message), .. } if *message == id);
        assert!(fed.events.iter().any(is_told), "who did it is told");
    }
}

#[test]
fn a_mere_participant_at_a_peer_takes_nothing_away() {
    let mut fed = coven();
    let id = fed.say(FOO, "stays");
    fed.run();
    let act = format!(
        "<iq from='{COVEN_AT_CONF}' to='{COVEN}' id='x' type='set'><act xmlns='urn:x-dmuc:0' nick='faust' \
         jid='faust@marlowe.lit'><moderate id='{id}'/></act></iq>"
    );
    fed.hand_in(&bare(CHAT), &act);
    fed.run();
    assert!(
        traces(&fed, CHAT, COVEN, &id)
            .iter()
            .all(|payload| payload.contains("stays"))
    );
    // Nor does somebody in the name of the source's owner, or anything at a shadow.
    for (nick, user, condition) in [
        ("foo", "crone1@shakespeare.lit", Condition::Forbidden),
        ("nobody", "nobody@shakespeare.lit", Condition::Forbidden),
    ] {
        let act = format!(
            "<iq from='{COVEN_AT_CONF}' to='{COVEN}' id='x' type='set'><act xmlns='urn:x-dmuc:0' nick='{nick}' \
             jid='{user}'><moderate id='{id}'/></act></iq>"
        );
        expect_refused(&mut fed, CHAT, &act, condition);
    }
    let act = format!(
        "<iq from='{COVEN_AT_CONF}' to='{COVEN_AT_ROOMS}' id='x' type='set'><act xmlns='urn:x-dmuc:0' nick='faust'>\
         <moderate id='{id}'/></act></iq>"
    );
    expect_refused(&mut fed, ROOMS, &act, Condition::UnexpectedRequest);
    for (service, room) in INSTANCES {
        assert_eq!(traces(&fed, service, room, &id).len(), 4);
    }
}

#[test]
fn only_the_source_says_what_is_moderated() {
    let mut fed = coven();
    let id = fed.say(FOO, "stays");
    fed.run();
    let said = |from: &str, to: &str, event: &str| {
        format!(
            "<message from='{from}' to='{to}' type='groupchat'>{event}\
             <moderate xmlns='urn:x-dmuc:0' id='{id}' nick='foo'/></message>"
        )
    };
    let event = "<event xmlns='urn:x-dmuc:0' id='e' inc='1' seq='1' at='1.0'/>";
    for (service, from, to) in [
        (CHAT, COVEN_AT_CONF, COVEN),
        (ROOMS, COVEN_AT_CONF, COVEN_AT_ROOMS),
        (ROOMS, FOO, COVEN_AT_ROOMS),
        (ROOMS, "coven@evil.conference.marlowe.lit", COVEN_AT_ROOMS),
    ] {
        if from.contains("evil") {
            let before = crate::lies::state(&fed, service);
            fed.hand_in(&bare(service), &said(from, to, event));
            assert_eq!(before, crate::lies::state(&fed, service));
        } else {
            expect_refused(&mut fed, service, &said(from, to, event), Condition::Forbidden);
        }
    }
    expect_refused(
        &mut fed,
        ROOMS,
        &said(COVEN, COVEN_AT_ROOMS, ""),
        Condition::BadRequest,
    );
    let unnumbered = "<event xmlns='urn:x-dmuc:0' id='e' inc='0' seq='1' at='1.0'/>";
    expect_refused(
        &mut fed,
        ROOMS,
        &said(COVEN, COVEN_AT_ROOMS, unnumbered),
        Condition::BadRequest,
    );
    for (service, room) in INSTANCES {
        assert_eq!(traces(&fed, service, room, &id).len(), 4, "at {room}");
    }
}

fn act(from: &str, who: &str, id: &str) -> String {
    format!(
        "<iq from='{from}' to='{COVEN}' id='x' type='set'><act xmlns='urn:x-dmuc:0' {who}><moderate id='{id}'/></act></iq>"
    )
}

/// From now on the source believes what the service of faust's instance says.
fn trust(fed: &mut Federation) {
    let mut config = config_of(CHAT, &[CHAT, ROOMS, CONF]);
    config.peers.get_mut(&bare(CONF)).unwrap().trusted = true;
    fed.at(&bare(CHAT), |host| host.engine.set_config(host.now, config));
}

/// Whose home says that it is a moderator, and who is on no list.
fn make_moderator(fed: &mut Federation) {
    fed.here(FOO, |host, room, nick| {
        host.set_role(room, nick, "faust", Role::Moderator, None)
    });
    fed.run();
    let rank = fed.host(CHAT).rank(&bare(COVEN), "faust");
    assert_eq!(rank, Some((Affiliation::None, Role::Moderator)));
}

#[test]
fn by_the_word_of_a_peer_alone_nobody_takes_a_message_away() {
    let mut fed = coven();
    let id = fed.say(FOO, "stays");
    make_moderator(&mut fed);
    let Wish::Asked(token) = take_away(&mut fed, FAUST_PLACE, &id) else {
        panic!("the source decides");
    };
    fed.run();
    assert_eq!(fed.act_error(CONF, token), Some(Condition::Forbidden));
    for (service, room) in INSTANCES {
        assert_eq!(traces(&fed, service, room, &id).len(), 4, "at {room}");
    }
    trust(&mut fed);
    let Wish::Asked(token) = take_away(&mut fed, FAUST_PLACE, &id) else {
        panic!("the source decides");
    };
    fed.run();
    assert_eq!(fed.act_error(CONF, token), None);
    expect_gone(&fed, &id);
}

#[test]
fn what_nobody_knows_is_taken_away_only_by_who_administers_the_room() {
    let mut fed = coven();
    make_moderator(&mut fed);
    trust(&mut fed);
    let nothing = act(COVEN_AT_CONF, "nick='faust' jid='faust@marlowe.lit'", "nothing");
    expect_refused(&mut fed, CHAT, &nothing, Condition::ItemNotFound);
    // On its way, an admin says.
    let coming = act(
        COVEN_AT_ROOMS,
        "nick='witch' jid='somewitch@macbeth.lit'",
        "coming",
    );
    fed.hand_in(&bare(CHAT), &coming);
    fed.run();
    assert_eq!(told(&fed, FAUST_PLACE), ["coming"]);
}

/// The shadow has nothing to pull and offers at once, the source has its message yet to come.
#[test]
fn a_mere_moderators_decision_waits_until_the_source_has_the_message() {
    let mut fed = coven();
    make_moderator(&mut fed);
    trust(&mut fed);
    for peer in [CHAT, ROOMS] {
        fed.net.set_mode(&bare(CONF), &bare(peer), Mode::Bounces);
    }
    fed.run_for(100_000);
    for number in 0..1_000 {
        fed.say(FAUST_PLACE, &format!("before {number}"));
    }
    let id = fed.say(FAUST_PLACE, "buy this");
    fed.run_for(1_000);
    assert_eq!(take_away(&mut fed, FAUST_PLACE, &id), Wish::Done);
    heal(&mut fed);
    expect_gone(&fed, &id);
    for place in [FOO, WITCH_PLACE, FAUST_PLACE] {
        assert_eq!(told(&fed, place), [id.as_str()], "{place}");
    }
}
