//! A configuration that leaves a service out, by mistake or on purpose: what is stored is parked, never deleted, and goes on
//! when the service is named again, in whatever order that happens.

use dmuc::Config;
use dmuc::Snapshot;
use dmuc::config::Replicate;
use dmuc::engine::ParkedFor;
use dmuc::wire::Affiliation;

use crate::scenes;
use crate::support::event::Seen;
use crate::support::federation::{Federation, config_of};
use crate::support::names::*;
use crate::support::net::Mode;
use crate::support::people::Denied;

const ALL: [&str; 3] = [CHAT, ROOMS, CONF];

fn coven() -> Federation {
    let mut fed = Federation::of(&ALL);
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    for (place, user) in [(FOO, CRONE1), (WITCH_PLACE, WITCH), (FAUST_PLACE, FAUST)] {
        fed.join(place, user);
    }
    fed.affiliate(FOO, "somewitch@macbeth.lit", Affiliation::Admin);
    fed.run();
    fed.say(WITCH_PLACE, "before");
    fed.run();
    fed
}

fn config(service: &str, peers: &[&str]) -> Config {
    let mut config = config_of(service, &ALL);
    config.peers.retain(|peer, _| peers.contains(&peer.as_str()));
    config
}

/// How a configuration comes into force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Reload,
    Restart,
}

impl By {
    const BOTH: [By; 2] = [By::Reload, By::Restart];

    fn name(self, fed: &mut Federation, service: &str, peers: &[&str]) {
        let config = config(service, peers);
        let seed = fed.dice.seed();
        fed.at(&bare(service), |host| match self {
            By::Reload => host.configure_service(config),
            By::Restart => host.restart(config, seed),
        });
    }
}

fn parked(fed: &Federation, service: &str) -> Vec<(String, String, ParkedFor)> {
    let parked = fed.host(service).engine.parked();
    let as_text =
        |parked: dmuc::engine::ParkedRoom| (parked.room.to_string(), parked.peer.to_string(), parked.reason);
    parked.into_iter().map(as_text).collect()
}

fn shadow_parked(service: &str, reason: ParkedFor) -> Vec<(String, String, ParkedFor)> {
    vec![(format!("coven@{service}"), CHAT.to_owned(), reason)]
}

fn come_back(fed: &mut Federation) {
    let places = [(FOO, CRONE1), (WITCH_PLACE, WITCH), (FAUST_PLACE, FAUST)];
    for (place, user) in places {
        let (room, nick) = seat(place);
        if fed.host(room.domain()).room(&room).local(&nick).is_none() {
            fed.join(place, user);
        }
    }
}

/// Everybody is in one room, nothing is parked, and what is said anywhere is heard everywhere, once.
fn expect_whole(fed: &mut Federation, what: &str) {
    fed.run();
    come_back(fed);
    fed.run();
    for service in ALL {
        assert_eq!(parked(fed, service), [], "{what}: parked at {service}");
        let room = format!("coven@{service}");
        assert_eq!(fed.instances(&room).len(), 2, "{what}: instances at {service}");
        assert_eq!(fed.roster(&room).len(), 3, "{what}: roster at {service}");
        assert_eq!(
            fed.affiliation(&room, "somewitch@macbeth.lit"),
            Affiliation::Admin
        );
    }
    fed.forget();
    for (place, text) in [(FOO, "one"), (WITCH_PLACE, "two"), (FAUST_PLACE, "three")] {
        fed.say(place, text);
        fed.run();
    }
    for place in [FOO, WITCH_PLACE, FAUST_PLACE] {
        assert_eq!(fed.heard(place), ["one", "two", "three"], "{what}: {place}");
    }
    let logs: Vec<Vec<String>> = ALL
        .iter()
        .map(|service| {
            let engine = &fed.host(service).engine;
            let room = bare(&format!("coven@{service}"));
            engine.messages(&room).map(|entry| entry.id.clone()).collect()
        })
        .collect();
    assert!(logs.iter().all(|log| *log == logs[0]), "{what}: {logs:?}");
    for service in ALL {
        let room = bare(&format!("coven@{service}"));
        let stored = fed.host(service).logs[&room].len();
        assert_eq!(
            stored,
            logs[0].len(),
            "{what}: something was stored twice or not at {service}"
        );
    }
}

#[test]
fn a_shadow_whose_source_is_not_named_is_parked_and_goes_on() {
    for wrong in By::BOTH {
        for right in By::BOTH {
            let what = format!("wrong by {wrong:?}, right by {right:?}");
            let mut fed = coven();
            wrong.name(&mut fed, ROOMS, &[CONF]);
            fed.run_for(200_000);
            assert_eq!(
                parked(&fed, ROOMS),
                shadow_parked(ROOMS, ParkedFor::SourceNotNamed),
                "{what}"
            );
            let room = bare(COVEN_AT_ROOMS);
            assert!(fed.host(ROOMS).engine.room_info(&room).is_none(), "{what}");
            assert!(fed.host(ROOMS).stored.contains_key(&room), "{what}");
            assert!(!fed.host(ROOMS).logs[&room].is_empty(), "{what}");
            fed.say(FOO, "meanwhile");
            fed.run_for(200_000);
            right.name(&mut fed, ROOMS, &[CHAT, CONF]);
            fed.run();
            expect_whole(&mut fed, &what);
            let log = &fed.host(ROOMS).engine;
            let said: Vec<String> = log
                .messages(&room)
                .filter_map(|entry| entry.message_id.clone())
                .collect();
            assert_eq!(said, ["before", "meanwhile", "one", "two", "three"], "{what}");
        }
    }
}

#[test]
fn people_in_a_parked_room_stay_cannot_speak_and_get_what_they_missed() {
    let mut fed = coven();
    fed.forget();
    By::Reload.name(&mut fed, ROOMS, &[CONF]);
    fed.run_for(1_000);
    // They see the others leave, and the others see them leave where that can be told.
    assert_eq!(fed.roster(COVEN_AT_ROOMS), ["witch admin moderator"]);
    assert_eq!(
        fed.roster(COVEN_AT_CONF),
        ["faust none participant", "foo owner moderator"]
    );
    let (room, nick) = seat(WITCH_PLACE);
    let said = fed.at(&bare(ROOMS), |host| {
        host.say(&room, &nick, Some("x"), "<body>x</body>")
    });
    assert_eq!(said, Err(Denied::Parked));
    fed.say(FOO, "meanwhile");
    fed.run_for(1_000);
    By::Reload.name(&mut fed, ROOMS, &[CHAT, CONF]);
    fed.run();
    assert_eq!(fed.heard(WITCH_PLACE), ["meanwhile"]);
    let is_gone = |seen: &Seen| matches!(seen, Seen::Gone { nick, .. } if nick == "witch");
    assert!(!fed.seen(WITCH_PLACE).iter().any(is_gone));
    expect_whole(&mut fed, "after that");
}

#[test]
fn a_source_that_does_not_name_a_shadow_parks_it_there_and_tells_the_others_at_once() {
    for wrong in By::BOTH {
        for right in By::BOTH {
            let what = format!("wrong by {wrong:?}, right by {right:?}");
            let mut fed = coven();
            wrong.name(&mut fed, CHAT, &[CONF]);
            fed.run_for(1_000);
            if wrong == By::Reload {
                // The list is the source's, and pushed at once.
                assert_eq!(
                    fed.roster(COVEN_AT_CONF),
                    ["faust none participant", "foo owner moderator"],
                    "{what}"
                );
                assert_eq!(
                    parked(&fed, ROOMS),
                    shadow_parked(ROOMS, ParkedFor::NotShared),
                    "{what}"
                );
            }
            fed.run_for(200_000);
            assert_eq!(
                parked(&fed, ROOMS),
                shadow_parked(ROOMS, ParkedFor::NotShared),
                "{what}"
            );
            assert_eq!(
                parked(&fed, CHAT),
                [(COVEN.to_owned(), ROOMS.to_owned(), ParkedFor::InstanceNotNamed)],
                "{what}"
            );
            assert!(
                !fed.roster(COVEN_AT_CONF)
                    .contains(&"witch admin moderator".to_owned()),
                "{what}"
            );
            let not_named = format!("{COVEN} {ROOMS} NotNamed");
            assert_eq!(
                fed.notices(CHAT)
                    .iter()
                    .filter(|notice| **notice == not_named)
                    .count(),
                1,
                "{what}"
            );
            right.name(&mut fed, CHAT, &[ROOMS, CONF]);
            fed.run();
            expect_whole(&mut fed, &what);
        }
    }
}

#[test]
fn both_sides_leave_each_other_out_and_put_it_right_in_any_order() {
    for by in By::BOTH {
        for (first_wrong, first_right) in [(CHAT, CHAT), (CHAT, ROOMS), (ROOMS, CHAT), (ROOMS, ROOMS)] {
            let what = format!("by {by:?}, {first_wrong} wrong first, {first_right} right first");
            let other = |service: &str| if service == CHAT { ROOMS } else { CHAT };
            let mut fed = coven();
            for service in [first_wrong, other(first_wrong)] {
                by.name(&mut fed, service, &[CONF]);
                fed.run_for(90_000);
            }
            for service in [first_right, other(first_right)] {
                by.name(&mut fed, service, &[other(service), CONF]);
                fed.run_for(90_000);
            }
            expect_whole(&mut fed, &what);
        }
    }
}

#[test]
fn a_shadow_that_restarts_while_it_is_not_shared_is_parked_again_and_goes_on() {
    let mut fed = coven();
    By::Restart.name(&mut fed, CHAT, &[CONF]);
    fed.run_for(60_000);
    fed.restart(ROOMS);
    fed.run_for(60_000);
    assert_eq!(parked(&fed, ROOMS), shadow_parked(ROOMS, ParkedFor::NotShared));
    By::Restart.name(&mut fed, CHAT, &[ROOMS, CONF]);
    expect_whole(&mut fed, "after that");
}

#[test]
fn shadows_that_leave_each_other_out_meet_again() {
    for wrong in By::BOTH {
        for right in By::BOTH {
            let what = format!("wrong by {wrong:?}, right by {right:?}");
            let mut fed = coven();
            wrong.name(&mut fed, ROOMS, &[CHAT]);
            fed.run_for(90_000);
            assert_eq!(
                parked(&fed, ROOMS),
                [(
                    COVEN_AT_ROOMS.to_owned(),
                    CONF.to_owned(),
                    ParkedFor::InstanceNotNamed
                )],
                "{what}"
            );
            right.name(&mut fed, ROOMS, &[CHAT, CONF]);
            expect_whole(&mut fed, &what);
        }
    }
}

#[test]
fn a_source_that_asks_only_on_join_remembers_the_shadow_that_it_left_out() {
    let mut fed = coven();
    for peers in [vec![CONF], vec![ROOMS, CONF]] {
        let mut config = config(CHAT, &peers);
        config.replicate = Replicate::OnJoin;
        let seed = fed.dice.seed();
        fed.at(&bare(CHAT), |host| host.restart(config, seed));
        fed.run_for(90_000);
    }
    expect_whole(&mut fed, "after that");
}

#[test]
fn what_is_let_go_by_an_administrator_is_closed_and_the_source_asks_anew() {
    let mut fed = coven();
    By::Reload.name(&mut fed, ROOMS, &[CONF]);
    fed.run_for(1_000);
    let room = bare(COVEN_AT_ROOMS);
    fed.at(&bare(ROOMS), |host| host.let_go(&room));
    assert_eq!(parked(&fed, ROOMS), []);
    assert!(fed.host(ROOMS).room(&room).is_closed);
    assert!(!fed.host(ROOMS).logs.contains_key(&room));
    // It is told that the shadow has left as soon as it is named, and starts over.
    By::Reload.name(&mut fed, ROOMS, &[CHAT, CONF]);
    fed.run_for(60_000);
    By::Restart.name(&mut fed, CHAT, &[ROOMS, CONF]);
    expect_whole(&mut fed, "after that");
}

#[test]
fn a_parked_room_that_is_destroyed_leaves_its_source() {
    let mut fed = coven();
    By::Reload.name(&mut fed, ROOMS, &[CONF]);
    fed.run_for(1_000);
    let room = bare(COVEN_AT_ROOMS);
    fed.at(&bare(ROOMS), |host| host.destroy(&room, None, None));
    assert_eq!(parked(&fed, ROOMS), []);
    // Stored is only whom to tell, also over a restart.
    By::Restart.name(&mut fed, ROOMS, &[CHAT, CONF]);
    fed.run();
    assert!(!fed.host(ROOMS).stored.contains_key(&room));
    assert_eq!(
        fed.instances(COVEN).into_iter().collect::<Vec<_>>(),
        [COVEN_AT_CONF]
    );
}

#[test]
fn a_source_forgets_what_it_left_out_when_told_to() {
    let mut fed = coven();
    By::Reload.name(&mut fed, CHAT, &[CONF]);
    fed.run_for(1_000);
    assert_eq!(parked(&fed, CHAT).len(), 1);
    fed.at(&bare(CHAT), |host| host.let_go(&bare(COVEN)));
    assert_eq!(parked(&fed, CHAT), []);
    assert!(!fed.host(CHAT).stored[&bare(COVEN)].contains("unnamed"));
}

#[test]
fn a_room_that_ends_while_a_shadow_is_left_out_ends_there_when_it_is_named() {
    let mut fed = coven();
    By::Reload.name(&mut fed, CHAT, &[CONF]);
    fed.run_for(1_000);
    fed.at(&bare(CHAT), |host| {
        host.destroy(&bare(COVEN), Some("Moved"), None)
    });
    fed.run_for(60_000);
    assert_eq!(parked(&fed, ROOMS), shadow_parked(ROOMS, ParkedFor::NotShared));
    By::Reload.name(&mut fed, CHAT, &[ROOMS, CONF]);
    fed.run();
    assert_eq!(parked(&fed, ROOMS), []);
    assert!(!fed.host(ROOMS).rooms.contains_key(&bare(COVEN_AT_ROOMS)));
}

#[test]
fn a_third_service_takes_no_parked_id() {
    let mut fed = coven();
    By::Reload.name(&mut fed, ROOMS, &[CONF]);
    fed.run_for(1_000);
    fed.distributed("coven@conference.marlowe.lit", FAUST, &[]);
    fed.run_for(60_000);
    assert_eq!(
        parked(&fed, ROOMS),
        shadow_parked(ROOMS, ParkedFor::SourceNotNamed)
    );
}

/// As 0.1.0 stored it.
const STORED: &str = "<room xmlns='urn:x-dmuc:0#snapshot' jid='coven@rooms.macbeth.lit' id='coven' firsthost='chat.shakespeare.lit' \
    source='coven@chat.shakespeare.lit' ready='true' ready-at='1769155200100' incarnation='1769155200060'>\
    <config xmlns='urn:xmpp:dmuc:0'><x xmlns='jabber:x:data' type='form'><field var='FORM_TYPE' type='hidden'>\
    <value>http://jabber.org/protocol/muc#roomconfig</value></field><field var='muc#roomconfig_roomname'>\
    <value>A Dark Cave</value></field></x><settings xmlns='urn:x-dmuc:0' term='0' version='1769155200003' salt='salt'/></config>\
    <instance jid='coven@chat.shakespeare.lit' active='true'/><instance jid='coven@conference.marlowe.lit' active='true'/></room>";

#[test]
fn what_an_earlier_version_stored_is_parked_and_goes_on() {
    let snapshot = Snapshot::parse(STORED).unwrap();
    let mut fed = Federation::empty(1);
    fed.add(config(ROOMS, &[CONF]));
    fed.at(&bare(ROOMS), |host| {
        host.engine.restore(host.now, &snapshot).unwrap();
        host.stored.insert(bare(COVEN_AT_ROOMS), STORED.to_owned());
    });
    assert_eq!(
        parked(&fed, ROOMS),
        shadow_parked(ROOMS, ParkedFor::SourceNotNamed)
    );
    let stored = fed.host(ROOMS).engine.snapshot(&bare(COVEN_AT_ROOMS)).unwrap();
    assert_eq!(stored.to_xml(), snapshot.to_xml());
}

#[test]
fn owners_are_told_when_a_new_room_has_no_instance_because_a_link_is_known_to_be_down() {
    let mut fed = scenes::shared(&[CHAT, ROOMS]);
    let (chat, rooms) = (bare(CHAT), bare(ROOMS));
    fed.net.set_mode(&chat, &rooms, Mode::Bounces);
    fed.run_for(300_000);
    fed.distributed("heath@chat.shakespeare.lit", CRONE1, &[]);
    fed.run_for(300_000);
    let unreachable = format!("heath@chat.shakespeare.lit {ROOMS} Unreachable {{ cause: Unreachable }}");
    let told = |fed: &Federation| {
        let notices = fed.notices(CHAT);
        notices
            .iter()
            .filter(|notice| notice.starts_with("heath@"))
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(told(&fed), [unreachable]);
    fed.net.heal();
    fed.run();
    assert!(fed.notices(CHAT).contains(&format!(
        "heath@chat.shakespeare.lit {ROOMS} Replicated {{ shadow: BareJid(\"heath@{ROOMS}\") }}"
    )));
}

/// Its digest comes before it has answered what it speaks: it is not taken for one that knows only the XEP's text.
#[test]
fn a_service_that_is_named_again_is_brought_up_as_what_it_is() {
    let mut fed = coven();
    fed.set_subject(FOO, "Toil");
    fed.run();
    By::Reload.name(&mut fed, CHAT, &[CONF]);
    fed.run_for(60_000);
    fed.net.set_direction(&bare(ROOMS), &bare(CHAT), Mode::Bounces);
    By::Reload.name(&mut fed, CHAT, &[ROOMS, CONF]);
    fed.run_for(500);
    fed.net.heal();
    fed.forget();
    By::Reload.name(&mut fed, ROOMS, &[CHAT, CONF]);
    fed.run_for(200_000);
    let tally = fed.tally(CHAT, ROOMS);
    assert!(!tally.contains_key("subject"), "{tally:?}");
    expect_whole(&mut fed, "named again");
}
