//! Which instances count: what a source says of third services makes none of theirs an instance (G11).

use dmuc::engine::LinkState;

use crate::lies::{CONFIG, ROSTER, expect_refused, iq};
use crate::support::federation::{Federation, config_of};
use crate::support::names::*;
use crate::support::net::Mode;
use dmuc::wire::Condition;

/// A room of chat.shakespeare.lit at rooms.macbeth.lit; conference.marlowe.lit is a peer of both that does not hold it.
const NAMED: &str =
    "<peerhost xmlns='urn:xmpp:dmuc:0' jid='conference.marlowe.lit'><room id='coven'/></peerhost>";

fn coven() -> Federation {
    let services = [CHAT, ROOMS, CONF];
    let mut fed = Federation::empty(1);
    let mut source = config_of(CHAT, &services[..2]);
    source.room_id = dmuc::config::RoomIdScheme::Name;
    fed.add(source);
    fed.add(config_of(ROOMS, &services));
    fed.add(config_of(CONF, &services));
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    fed.join(WITCH_PLACE, WITCH);
    fed.run();
    fed.forget();
    fed
}

fn named(fed: &mut Federation) {
    fed.hand_in(&bare(ROOMS), &iq(CHAT, ROOMS, "set", NAMED));
}

fn counts(fed: &Federation, other: &str) -> bool {
    let engine = &fed.host(ROOMS).engine;
    engine.instance_here(&bare(other)).is_some()
}

/// The same in the list of shadows that comes with the configuration.
fn listed(fed: &mut Federation) {
    let stored = fed
        .host(ROOMS)
        .engine
        .snapshot(&bare(COVEN_AT_ROOMS))
        .unwrap()
        .to_xml();
    let (_, version) = stored.split_once("<settings").unwrap();
    let (_, version) = version.split_once(" version='").unwrap();
    let version = version.split('\'').next().unwrap().parse::<u64>().unwrap() + 1;
    let settings = format!(
        "<settings xmlns='urn:x-dmuc:0' term='0' version='{version}'><instance jid='{ROOMS}'/>\
         <instance jid='{CONF}'/><instance jid='{CHAT}'/></settings>"
    );
    let config = CONFIG.replace("</config>", &format!("{settings}</config>"));
    fed.hand_in(&bare(ROOMS), &iq(COVEN, COVEN_AT_ROOMS, "set", &config));
    assert!(
        fed.host(ROOMS)
            .engine
            .is_instance(&bare(COVEN_AT_ROOMS), &bare(COVEN_AT_CONF))
    );
    // The true source would say what is so.
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Bounces);
}

#[test]
fn what_the_source_names_is_no_instance_until_it_says_so_itself() {
    for name in [named, listed] {
        let mut fed = coven();
        assert!(counts(&fed, COVEN), "the source has sent its configuration");
        name(&mut fed);
        for _ in 0..20 {
            assert!(!counts(&fed, COVEN_AT_CONF));
            assert!(counts(&fed, COVEN), "its own service has no shadow");
            assert!(!fed.instances(COVEN_AT_ROOMS).contains(COVEN_AT_CONF));
            fed.run_for(10_000);
        }
        let link = fed.host(ROOMS).engine.link_state(&bare(CONF));
        assert_eq!(link, LinkState::Up, "{}", fed.who_waits());
        let waits = fed.who_waits();
        assert!(!waits.contains(CONF), "{waits}");
    }
}

#[test]
fn what_is_only_named_gets_no_messages_and_no_presences() {
    let mut fed = coven();
    named(&mut fed);
    fed.say(WITCH_PLACE, "a secret");
    fed.update(WITCH_PLACE, "<show>away</show>");
    fed.run_for(120_000);
    fed.say(WITCH_PLACE, "another");
    fed.run_for(120_000);
    let tally = fed.tally(ROOMS, CONF);
    let events = tally
        .keys()
        .filter(|kind| kind.contains("message") || kind.contains("presence"));
    assert_eq!(events.count(), 0, "{tally:?}");
}

#[test]
fn its_own_roster_makes_it_an_instance_and_its_denial_ends_that() {
    let mut fed = coven();
    named(&mut fed);
    let roster = ROSTER
        .replace("thief@evil.example", FAUST)
        .replace("owner", "none");
    fed.hand_in(&bare(ROOMS), &iq(COVEN_AT_CONF, COVEN_AT_ROOMS, "set", &roster));
    assert!(counts(&fed, COVEN_AT_CONF));
    // It holds nothing: that is what it answers.
    fed.run_for(200_000);
    assert!(!counts(&fed, COVEN_AT_CONF));
}

#[test]
fn what_was_proven_is_known_after_a_restart_and_what_was_not_is_not() {
    let mut fed = coven();
    named(&mut fed);
    fed.restart(ROOMS);
    assert!(counts(&fed, COVEN));
    assert!(!counts(&fed, COVEN_AT_CONF));
}

#[test]
fn a_source_has_no_shadow_at_its_own_service() {
    let mut fed = coven();
    for gone in ["", " gone='true'"] {
        let xml =
            format!("<peerhost xmlns='urn:xmpp:dmuc:0' jid='{CHAT}'{gone}><room id='coven'/></peerhost>");
        expect_refused(
            &mut fed,
            ROOMS,
            &iq(CHAT, ROOMS, "set", &xml),
            Condition::NotAcceptable,
        );
    }
    assert!(counts(&fed, COVEN));
}

#[test]
fn an_id_belongs_to_one_room_of_a_service() {
    let mut fed = Federation::of(&[CHAT, ROOMS]);
    fed.at(&bare(CHAT), |host| {
        let mut config = config_of(CHAT, &[CHAT, ROOMS]);
        config.room_id = dmuc::config::RoomIdScheme::Sha256;
        host.engine.set_config(host.now, config);
    });
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    let id = fed.host(CHAT).engine.room_info(&bare(COVEN)).unwrap().id;
    let xml = format!("<replicate xmlns='urn:xmpp:dmuc:0' source='x@{ROOMS}'><room id='{id}'/></replicate>");
    expect_refused(&mut fed, CHAT, &iq(ROOMS, CHAT, "set", &xml), Condition::Conflict);
}

#[test]
fn of_a_parked_room_nobody_counts_until_the_source_speaks_again() {
    let mut fed = coven();
    let all = config_of(ROOMS, &[CHAT, ROOMS, CONF]);
    let mut fewer = all.clone();
    fewer.peers.remove(&bare(CHAT));
    fed.at(&bare(ROOMS), |host| host.configure_service(fewer));
    fed.run_for(1_000);
    assert!(!counts(&fed, COVEN));
    // Read from what is stored, with the source's service named again and out of reach.
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Stalls);
    let seed = fed.dice.seed();
    fed.at(&bare(ROOMS), |host| host.restart(all, seed));
    fed.run_for(1_000);
    assert!(!counts(&fed, COVEN));
    fed.net.heal();
    fed.run_for(200_000);
    assert!(counts(&fed, COVEN), "{}", fed.who_waits());
}

#[test]
fn no_room_here_is_given_the_id_of_another() {
    let mut fed = Federation::of(&[CHAT, ROOMS]);
    let configure = |fed: &mut Federation, scheme| {
        fed.at(&bare(CHAT), |host| {
            let mut config = config_of(CHAT, &[CHAT, ROOMS]);
            config.room_id = scheme;
            host.configure_service(config);
        });
    };
    configure(&mut fed, dmuc::config::RoomIdScheme::Sha256);
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    let id = fed.host(CHAT).engine.room_info(&bare(COVEN)).unwrap().id;
    // Another room here is called as that one is known elsewhere.
    configure(&mut fed, dmuc::config::RoomIdScheme::Name);
    let namesake = format!("{id}@{CHAT}");
    fed.distributed(&namesake, CRONE1, &[]);
    fed.run();
    let other = fed.host(CHAT).engine.room_info(&bare(&namesake)).unwrap().id;
    assert_ne!(id, other);
    assert_eq!(fed.instances(&namesake).len(), 1, "{}", fed.who_waits());
}
