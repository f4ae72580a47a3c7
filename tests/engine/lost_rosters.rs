//! A roster too large for an answer goes out by itself, once, and whoever asks meanwhile is told nothing. If it was lost, and
//! the link has worked all the time, it is told of again (G6).

use dmuc::wire::Affiliation;

use crate::support::federation::{Federation, config_of};
use crate::support::names::*;
use crate::support::net::{Mode, plain};

#[test]
fn a_large_roster_that_a_restart_has_lost_comes_again() {
    let services = [CHAT, ROOMS];
    let mut fed = Federation::empty(1);
    for service in services {
        let mut config = config_of(service, &services);
        (config.ping_interval_ms, config.link_timeout_ms) = (2_000, 6_000);
        fed.add(config);
    }
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    fed.join(FOO, CRONE1);
    fed.update(FOO, &format!("<status>{}</status>", "s".repeat(65_400)));
    fed.run();
    // The shadow gets the roster with everybody's real JID, and its answer is lost.
    fed.net.set_direction(&bare(ROOMS), &bare(CHAT), Mode::Swallows);
    fed.configure(FOO, &[("muc#roomconfig_whois", "anyone")]);
    fed.run_for(200);
    fed.net.set_direction(&bare(ROOMS), &bare(CHAT), Mode::Up);
    fed.crash(&bare(ROOMS), false);
    fed.start(&bare(ROOMS));
    fed.run_for(60_000);
    assert_eq!(fed.roster(COVEN_AT_ROOMS), fed.roster(COVEN));
    let form = |service: &str, room: &str| fed.host(service).room(&bare(room)).form.clone();
    assert_eq!(form(ROOMS, COVEN_AT_ROOMS), form(CHAT, COVEN));
}

/// It has just been restarted, and its question what the shadow speaks is lost: the shadow has shown that by what it sent.
#[test]
fn a_source_that_shows_real_jids_to_a_shadow_does_not_forget_the_occupant_ids() {
    const HAG: &str = "hag66@shakespeare.lit/pda";
    let mut fed = Federation::of(&[CHAT, ROOMS]);
    fed.distributed(COVEN, CRONE1, &[("muc#roomconfig_whois", "moderators")]);
    fed.join("coven@chat.shakespeare.lit/crone", CRONE1);
    fed.join(FOO, HAG);
    fed.affiliate(
        "coven@chat.shakespeare.lit/crone",
        "somewitch@macbeth.lit",
        Affiliation::Admin,
    );
    fed.run();
    let (chat, rooms) = (bare(CHAT), bare(ROOMS));
    let of_foo = |fed: &Federation| {
        let room = fed.host(ROOMS).room(&bare(COVEN_AT_ROOMS));
        let remote = room.remote("foo").map(|(_, remote)| remote.clone());
        remote.map_or((None, None), |remote| (remote.jid, remote.occupant_id))
    };
    let before = of_foo(&fed);
    assert!(before.0.is_none() && before.1.is_some(), "{before:?}");
    fed.at(&chat, |host| host.stop());
    fed.net.set_direction(&chat, &rooms, Mode::Swallows);
    fed.start(&chat);
    fed.run_for(100);
    fed.join(FOO, HAG);
    fed.net.set_direction(&chat, &rooms, Mode::Up);
    // A heartbeat of the shadow, and what it pulls then.
    fed.run_for(31_000);
    // A moderator has come there, and that is told in a roster.
    let roster = "<iq from='coven@rooms.macbeth.lit' to='coven@chat.shakespeare.lit' id='roster' type='set'>\
        <roster xmlns='urn:xmpp:dmuc:0'>\
        <snapshot xmlns='urn:x-dmuc:0' version='1800000000000' occupants='true' term='0'/>\
        <item affiliation='admin' role='moderator' jid='somewitch@macbeth.lit/mobile' name='witch'>\
        <occupant xmlns='urn:x-dmuc:0' serial='1800000000000'/></item></roster></iq>";
    fed.send(&rooms, roster.to_owned());
    fed.run_for(1_000);
    assert_eq!(of_foo(&fed), (Some(full(HAG).into()), before.1));
}

const HAG_PLACE: &str = "coven@chat.shakespeare.lit/hag";

fn two_people() -> Federation {
    let mut fed = Federation::of(&[CHAT, ROOMS]);
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    fed.join(FOO, CRONE1);
    fed.join(HAG_PLACE, "hag66@shakespeare.lit/pda");
    fed.run();
    fed
}

/// Each of them shows as much as goes into one part of a roster.
fn say_at_length(fed: &mut Federation) {
    let long = format!("<status>{}</status>", "s".repeat(65_000));
    for place in [FOO, HAG_PLACE] {
        fed.update(place, &long);
    }
}

/// Its parts are numbered: some of them again are not the whole.
#[test]
fn a_part_of_a_roster_that_the_network_repeats_takes_nobody_away() {
    let mut fed = two_people();
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Swallows);
    say_at_length(&mut fed);
    fed.run_for(130_000);
    fed.is_traced = true;
    fed.net.heal();
    fed.run_for(130_000);
    let parts = fed.trace.iter().filter_map(|line| line.split_once("sends "));
    let parts = parts.filter(|(_, xml)| {
        xml.starts_with("<iq from='coven@chat") && plain(xml).contains("occupants='true'")
    });
    let parts: Vec<String> = parts.map(|(_, xml)| plain(xml).into_owned()).collect();
    let numbers: Vec<bool> = parts.iter().map(|xml| xml.contains(" part='")).collect();
    assert_eq!(numbers, [false, true, true], "it comes in parts");
    let before = (fed.roster(COVEN_AT_ROOMS), fed.roster(COVEN));
    assert_eq!(before.0, before.1);
    for again in [&parts[2..], &parts[1..2], &[parts[0].clone(), parts[2].clone()]] {
        for xml in again {
            fed.hand_in(&bare(ROOMS), xml);
        }
        fed.run_for(1_000);
        assert_eq!(fed.roster(COVEN_AT_ROOMS), before.0);
    }
}

/// Without what is lost of it, it is no picture of who is there.
#[test]
fn a_roster_of_which_a_part_is_lost_is_pulled() {
    let mut fed = two_people();
    say_at_length(&mut fed);
    fed.run();
    // The roster that has one part less is told in one's place.
    let part = |number: &str, more: &str, items: &str| {
        format!(
            "<iq from='coven@chat.shakespeare.lit' to='coven@rooms.macbeth.lit' id='a part' type='set'>\
             <roster xmlns='urn:xmpp:dmuc:0'><snapshot xmlns='urn:x-dmuc:0' version='1900000000000' \
             occupants='true'{more}{number}/>{items}</roster></iq>"
        )
    };
    let item = "<item affiliation='owner' role='moderator' name='foo'/>";
    fed.send(&bare(CHAT), part("", " more='true'", item));
    fed.send(&bare(CHAT), part(" part='2'", "", ""));
    fed.run();
    assert_eq!(fed.roster(COVEN_AT_ROOMS), fed.roster(COVEN));
}

/// As builds sent them that did not number them: every part goes on from the one before.
#[test]
fn parts_that_are_not_numbered_are_put_together_in_their_order() {
    let mut fed = Federation::of(&[CHAT, ROOMS]);
    fed.distributed(COVEN, CRONE1, &[]);
    fed.join(FOO, CRONE1);
    fed.run();
    let part = |more: &str, items: &str| {
        format!(
            "<iq from='{COVEN}' to='{COVEN_AT_ROOMS}' id='part' type='set'><roster xmlns='urn:xmpp:dmuc:0'>\
             <snapshot xmlns='urn:x-dmuc:0' version='1800000000000' settings='1800000000000' term='0' occupants='true' \
             affiliations='true'{more}/>{items}</roster></iq>"
        )
    };
    let owner = "<item jid='crone1@shakespeare.lit' affiliation='owner'/>\
        <item affiliation='owner' role='moderator' name='foo'><occupant xmlns='urn:x-dmuc:0' serial='1800000000001' id='1'/></item>";
    let parts = [
        part(" more='true'", owner),
        part(
            " more='true'",
            "<item jid='hecate@shakespeare.lit' affiliation='member'/>",
        ),
        part("", "<item jid='banquo@shakespeare.lit' affiliation='member'/>"),
    ];
    for xml in &parts {
        fed.hand_in(&bare(ROOMS), xml);
    }
    let room = fed.host(ROOMS).room(&bare(COVEN_AT_ROOMS));
    let listed: Vec<String> = room.affiliations.keys().map(ToString::to_string).collect();
    assert_eq!(
        listed,
        [
            "banquo@shakespeare.lit",
            "crone1@shakespeare.lit",
            "hecate@shakespeare.lit"
        ]
    );
    assert!(room.remote("foo").is_some());
}
