//! Hats (XEP-0317): the source's to give, to who is on its list, and the same at every instance.

use dmuc::engine::Ruled;
use dmuc::wire::{Affiliation, Hats, Hatted, Request, Roster, RosterItem};
use dmuc::{Error, Input};

use crate::scenes;
use crate::support::federation::Federation;
use crate::support::names::*;
use crate::support::net::Mode;

const SOMEWITCH: &str = "somewitch@macbeth.lit";
const SHADOWS: [(&str, &str); 2] = [(ROOMS, COVEN_AT_ROOMS), (CONF, COVEN_AT_CONF)];

fn hats(titles: &[&str]) -> Hats {
    let hats: String = titles
        .iter()
        .map(|title| format!("<hat uri='urn:hat:{title}' title='{title}'/>"))
        .collect();
    Hats::parse(&format!("<hats xmlns='urn:xmpp:hats:0'>{hats}</hats>")).unwrap()
}

/// crone owns it, the witch is a member.
fn coven() -> Federation {
    let mut fed = scenes::shared(&[CHAT, ROOMS, CONF]);
    fed.join(FOO, CRONE1);
    fed.affiliate(FOO, SOMEWITCH, Affiliation::Member);
    fed.run();
    fed
}

fn give(fed: &mut Federation, service: &str, room: &str, user: &str, hats: Hats) -> Result<(), Error> {
    let (room, user) = (bare(room), bare(user));
    fed.at(&bare(service), |host| {
        let room = &room;
        let ruled = Ruled::by_the_room(room, Hatted { jid: user, hats });
        host.input(Input::Ruled(ruled)).map(|_| ())
    })
}

/// What the shadows have been told of somebody's hats.
fn shown(fed: &Federation, user: &str) -> Vec<Hats> {
    let of = |(service, room): (&str, &str)| {
        let room = fed.host(service).room(&bare(room));
        room.hats.get(&bare(user)).cloned().unwrap_or_default()
    };
    SHADOWS.into_iter().map(of).collect()
}

#[test]
fn hats_are_given_and_taken_everywhere() {
    let mut fed = coven();
    for titles in [&["teacher", "host"][..], &["host"], &[]] {
        give(&mut fed, CHAT, COVEN, SOMEWITCH, hats(titles)).unwrap();
        fed.run();
        assert_eq!(shown(&fed, SOMEWITCH), vec![hats(titles); 2], "{titles:?}");
    }
    assert_eq!(fed.affiliation(COVEN_AT_ROOMS, SOMEWITCH), Affiliation::Member);
}

/// XEP-0317 0.3.1: a colour, a language, and whatever else it holds.
#[test]
fn they_cross_whole_and_come_back_whole() {
    let mut fed = coven();
    let whole = |level: u32| {
        let badge = format!("<badge xmlns='urn:example:badges' level='{level}'/>");
        let hat =
            format!("<hat uri='urn:hat:host' title='Host' hue='327.255249' xml:lang='en-us'>{badge}</hat>");
        Hats::parse(&format!("<hats xmlns='urn:xmpp:hats:0'>{hat}</hats>")).unwrap()
    };
    for level in [3, 5] {
        give(&mut fed, CHAT, COVEN, SOMEWITCH, whole(level)).unwrap();
        fed.run();
        assert_eq!(shown(&fed, SOMEWITCH), vec![whole(level); 2]);
    }
    for service in [CHAT, ROOMS] {
        fed.restart(service);
        fed.run();
    }
    let (room, user) = (bare(COVEN_AT_ROOMS), bare(SOMEWITCH));
    assert_eq!(fed.host(ROOMS).engine.hats_of(&room, &user), whole(5));
}

#[test]
fn they_are_for_who_is_on_the_list_and_go_with_the_entry() {
    let mut fed = coven();
    let refused = give(&mut fed, CHAT, COVEN, "thane@macbeth.lit", hats(&["host"]));
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    give(&mut fed, CHAT, COVEN, SOMEWITCH, hats(&["host"])).unwrap();
    fed.affiliate(FOO, SOMEWITCH, Affiliation::None);
    fed.run();
    fed.affiliate(FOO, SOMEWITCH, Affiliation::Member);
    fed.run();
    assert_eq!(shown(&fed, SOMEWITCH), vec![Hats::default(); 2]);
    // A change of affiliation leaves them as they are.
    give(&mut fed, CHAT, COVEN, SOMEWITCH, hats(&["host"])).unwrap();
    fed.affiliate(FOO, SOMEWITCH, Affiliation::Admin);
    fed.run();
    assert_eq!(shown(&fed, SOMEWITCH), vec![hats(&["host"]); 2]);
}

#[test]
fn they_survive_restarts_and_come_with_a_new_shadow() {
    let mut fed = Federation::of(&[CHAT, ROOMS, CONF]);
    fed.net.set_mode(&bare(CHAT), &bare(CONF), Mode::Bounces);
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run_for(10_000);
    fed.join(FOO, CRONE1);
    fed.affiliate(FOO, SOMEWITCH, Affiliation::Member);
    give(&mut fed, CHAT, COVEN, SOMEWITCH, hats(&["host"])).unwrap();
    fed.run_for(10_000);
    fed.net.heal();
    fed.run();
    assert_eq!(shown(&fed, SOMEWITCH), vec![hats(&["host"]); 2]);
    for service in [ROOMS, CHAT, CONF] {
        fed.restart(service);
        fed.run();
        assert_eq!(shown(&fed, SOMEWITCH), vec![hats(&["host"]); 2], "{service}");
    }
    // From here on only what the engine itself has kept can bring them.
    fed.join(WITCH_PLACE, WITCH);
    give(&mut fed, CHAT, COVEN, SOMEWITCH, hats(&[])).unwrap();
    fed.run();
    assert_eq!(shown(&fed, SOMEWITCH), vec![Hats::default(); 2]);
}

#[test]
fn what_was_given_in_a_split_is_there_after_it() {
    let mut fed = coven();
    give(&mut fed, CHAT, COVEN, SOMEWITCH, hats(&["host"])).unwrap();
    fed.run();
    for other in [CHAT, CONF] {
        fed.net.set_mode(&bare(ROOMS), &bare(other), Mode::Bounces);
    }
    fed.run_for(100_000);
    give(&mut fed, CHAT, COVEN, SOMEWITCH, hats(&["teacher"])).unwrap();
    fed.run_for(1_000);
    assert_eq!(shown(&fed, SOMEWITCH), [hats(&["host"]), hats(&["teacher"])]);
    fed.net.heal();
    fed.run();
    assert_eq!(shown(&fed, SOMEWITCH), vec![hats(&["teacher"]); 2]);
}

#[test]
fn who_was_taken_off_the_list_in_a_split_and_stays_has_the_hats_again() {
    let mut fed = coven();
    let lady = "lady@macbeth.lit";
    fed.affiliate(FOO, lady, Affiliation::Owner);
    give(&mut fed, CHAT, COVEN, SOMEWITCH, hats(&["host"])).unwrap();
    fed.run();
    fed.join("coven@rooms.macbeth.lit/lady", "lady@macbeth.lit/castle");
    fed.run();
    for other in [CHAT, CONF] {
        fed.net.set_mode(&bare(ROOMS), &bare(other), Mode::Bounces);
    }
    fed.run_for(100_000);
    fed.affiliate("coven@rooms.macbeth.lit/lady", SOMEWITCH, Affiliation::None);
    // The source's own change wins.
    fed.affiliate(FOO, SOMEWITCH, Affiliation::Admin);
    fed.run_for(1_000);
    assert_eq!(shown(&fed, SOMEWITCH), [Hats::default(), hats(&["host"])]);
    fed.restart(ROOMS);
    // New hats come before the decision about who wears them.
    give(&mut fed, CHAT, COVEN, SOMEWITCH, hats(&["teacher"])).unwrap();
    fed.net.heal();
    fed.run();
    assert_eq!(fed.affiliation(COVEN_AT_ROOMS, SOMEWITCH), Affiliation::Admin);
    assert_eq!(shown(&fed, SOMEWITCH), vec![hats(&["teacher"]); 2]);
}

#[test]
fn only_the_source_gives_them() {
    let mut fed = coven();
    give(&mut fed, ROOMS, COVEN_AT_ROOMS, SOMEWITCH, hats(&["king"])).unwrap();
    // Another shadow's list of affiliations counts as little as its hats.
    let roster = Roster {
        items: vec![RosterItem {
            affiliation: Affiliation::Owner,
            jid: Some(jid(SOMEWITCH)),
            hats: hats(&["king"]),
            ..RosterItem::default()
        }],
        extra: None,
    };
    let iq = format!(
        "<iq xmlns='jabber:client' from='{COVEN_AT_CONF}' id='x' to='{COVEN_AT_ROOMS}' type='set'>{}</iq>",
        Request::Roster(roster).to_xml()
    );
    fed.hand_in(&bare(ROOMS), &iq);
    fed.run();
    assert_eq!(shown(&fed, SOMEWITCH), vec![Hats::default(); 2]);
    assert_eq!(fed.affiliation(COVEN_AT_ROOMS, SOMEWITCH), Affiliation::Member);
}
