//! Links that fail: local life goes on (G2), nobody is removed by a network (G8), and rosters agree again afterwards.

use dmuc::wire::Affiliation;

use crate::scenes;
use crate::support::event::Seen;
use crate::support::federation::Federation;
use crate::support::names::*;
use crate::support::net::Mode;

const BAZ: &str = "coven@chat.shakespeare.lit/baz";

fn coven() -> Federation {
    let mut fed = scenes::shared(&[CHAT, ROOMS, CONF]);
    for (place, user) in [
        (FOO, CRONE1),
        (BAZ, "hag66@shakespeare.lit/pda"),
        (WITCH_PLACE, WITCH),
        (FAUST_PLACE, FAUST),
    ] {
        fed.join(place, user);
    }
    fed.run();
    fed.forget();
    fed
}

fn set(fed: &mut Federation, mode: Mode) {
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), mode);
    fed.net.set_mode(&bare(CONF), &bare(ROOMS), mode);
}

fn gone(fed: &Federation, place: &str) -> Vec<String> {
    let seen = fed.seen(place).into_iter();
    seen.filter_map(|seen| match seen {
        Seen::Gone { nick, .. } => Some(nick),
        _ => None,
    })
    .collect()
}

#[test]
fn local_people_notice_nothing_of_a_dead_link() {
    for mode in [Mode::Swallows, Mode::Bounces] {
        let mut fed = coven();
        set(&mut fed, mode);
        let before = fed.now_ms;
        fed.say(FOO, "one");
        fed.join("coven@chat.shakespeare.lit/late", "late@shakespeare.lit/x");
        fed.change_nick("coven@chat.shakespeare.lit/late", "later");
        fed.update(BAZ, "<show>away</show>");
        fed.set_subject(FOO, "Toil");
        fed.kick(FOO, "later");
        assert_eq!(fed.now_ms, before, "nothing waits");
        assert_eq!(fed.heard(BAZ), ["one"]);
        assert_eq!(gone(&fed, BAZ), ["late", "later"]);
        assert_eq!(fed.subject(COVEN), "Toil");
    }
}

#[test]
fn nobody_is_removed_by_a_failing_link() {
    for mode in [Mode::Swallows, Mode::Bounces] {
        let mut fed = coven();
        set(&mut fed, mode);
        for number in 0..20 {
            fed.say(FOO, &format!("{number}"));
            fed.say(WITCH_PLACE, &format!("w{number}"));
            fed.update(FAUST_PLACE, &format!("<status>{number}</status>"));
            fed.run_for(10_000);
        }
        for place in [FOO, BAZ, WITCH_PLACE, FAUST_PLACE] {
            assert!(
                gone(&fed, place).is_empty(),
                "{place} sees {:?} leave",
                gone(&fed, place)
            );
        }
        for room in [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF] {
            assert_eq!(fed.roster(room).len(), 4, "{room}");
        }
        assert_eq!(fed.heard(WITCH_PLACE).len(), 20, "what is said locally");
        assert_eq!(fed.heard(FAUST_PLACE).len(), 20, "the other link is fine");
    }
}

#[test]
fn a_split_is_told_once_at_its_beginning_and_once_at_its_end() {
    let mut fed = coven();
    fed.at(&bare(CHAT), |host| host.notices.clear());
    set(&mut fed, Mode::Bounces);
    for number in 0..10 {
        fed.say(FOO, &format!("{number}"));
        fed.run_for(30_000);
    }
    let began = format!("{COVEN} {ROOMS} SplitBegan {{ occupants: 1, cause: Unreachable }}");
    assert_eq!(fed.notices(CHAT), std::slice::from_ref(&began));
    set(&mut fed, Mode::Up);
    fed.run();
    assert_eq!(fed.notices(CHAT), [began, format!("{COVEN} {ROOMS} SplitEnded")]);
}

#[test]
fn rosters_and_settings_agree_after_a_failure() {
    for mode in [Mode::Swallows, Mode::Bounces] {
        let mut fed = coven();
        set(&mut fed, mode);
        fed.say(FOO, "is anybody there?");
        fed.leave(BAZ);
        fed.join("coven@rooms.macbeth.lit/second", "banquo@macbeth.lit/x");
        fed.change_nick(WITCH_PLACE, "hecate");
        fed.join("coven@conference.marlowe.lit/wagner", "wagner@marlowe.lit/x");
        fed.update(FAUST_PLACE, "<show>dnd</show>");
        fed.affiliate(FOO, "banquo@macbeth.lit", Affiliation::Member);
        fed.configure(FOO, &[("muc#roomconfig_roomname", "Heath")]);
        fed.set_subject(FOO, "Split");
        fed.run_for(130_000);
        set(&mut fed, Mode::Up);
        fed.run();
        let expected = [
            "faust none participant",
            "foo owner moderator",
            "hecate none participant",
            "second member participant",
            "wagner none participant",
        ];
        for room in [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF] {
            assert_eq!(fed.roster(room), expected, "{room} after {mode:?}");
            assert_eq!(
                fed.affiliation(room, "banquo@macbeth.lit"),
                Affiliation::Member,
                "{room}"
            );
            assert_eq!(
                fed.field(room, "muc#roomconfig_roomname").as_deref(),
                Some("Heath"),
                "{room}"
            );
            assert_eq!(fed.subject(room), "Split", "{room}");
        }
        fed.forget();
        fed.say(FOO, "again");
        fed.run();
        for place in ["coven@rooms.macbeth.lit/hecate", FAUST_PLACE] {
            assert_eq!(fed.heard(place), ["again"], "{place}");
        }
    }
}

#[test]
fn a_peer_that_shows_life_is_asked_at_once() {
    let mut fed = coven();
    set(&mut fed, Mode::Bounces);
    // Long enough for a long pause between two attempts.
    fed.say(FOO, "hello?");
    fed.run_for(400_000);
    set(&mut fed, Mode::Up);
    // Whoever asks first: the other one asks back at once, not when its own time comes.
    let is_up = |fed: &Federation, here: &str, there: &str| {
        fed.host(here).engine.link_state(&bare(there)) == dmuc::engine::LinkState::Up
    };
    let until = fed.now_ms + 70_000;
    while !(is_up(&fed, ROOMS, CHAT) || is_up(&fed, CHAT, ROOMS)) && fed.step(until) {}
    fed.run_for(500);
    assert!(is_up(&fed, ROOMS, CHAT) && is_up(&fed, CHAT, ROOMS));
    fed.forget();
    fed.say(FOO, "again");
    fed.run_for(1_000);
    assert_eq!(fed.heard(WITCH_PLACE), ["again"]);
}

#[test]
fn messages_keep_their_ids_while_a_link_is_in_doubt() {
    let mut fed = coven();
    set(&mut fed, Mode::Bounces);
    fed.say(FOO, "lost");
    fed.run_for(100);
    // The link is taken for dead, and works again.
    set(&mut fed, Mode::Up);
    let id = fed.say(FOO, "kept");
    fed.run();
    assert_eq!(
        fed.heard(WITCH_PLACE),
        ["lost", "kept"],
        "what was lost comes back, in its place"
    );
    assert_eq!(fed.message(WITCH_PLACE, "kept").stanza_id, Some(id));
}

#[test]
fn who_speaks_before_its_presence_is_known_is_heard_soon() {
    let mut fed = coven();
    fed.leave(WITCH_PLACE);
    fed.run();
    fed.net.set_direction(&bare(ROOMS), &bare(CHAT), Mode::Swallows);
    fed.join(WITCH_PLACE, WITCH);
    fed.net.set_direction(&bare(ROOMS), &bare(CHAT), Mode::Up);
    fed.say(WITCH_PLACE, "hail");
    fed.run_for(1_000);
    assert_eq!(fed.heard(FOO), ["hail"], "long before the next heartbeat");
}

/// A life that changes all the time is taken notice of once in the link timeout: nobody has everything told again by it.
#[test]
fn a_peer_that_names_another_life_each_time_is_told_no_more_for_it() {
    let mut fed = coven();
    fed.run_for(100_000);
    fed.is_traced = true;
    fed.forget();
    let digest = |life: u32| {
        format!(
            "<iq from='{ROOMS}' to='{CHAT}' id='life{life}' type='set'><digest xmlns='urn:x-dmuc:0' life='{life}'/></iq>"
        )
    };
    let lines = |fed: &Federation| {
        let digests = fed.trace.iter().filter(|line| {
            line.contains("chat.shakespeare.lit sends <iq")
                && line.contains("<digest ")
                && line.contains("type='set'")
        });
        digests
            .filter(|line| line.contains("<room ") && line.contains("to='rooms.macbeth.lit'"))
            .count()
    };
    for life in 0..20 {
        fed.hand_in(&bare(CHAT), &digest(life));
        fed.run_for(100);
    }
    assert_eq!(lines(&fed), 1, "one life is news");
    // The one it really has is news by then, too.
    fed.run_for(200_000);
    let before = lines(&fed);
    fed.hand_in(&bare(CHAT), &digest(100));
    fed.run_for(100);
    assert_eq!(lines(&fed), before + 1, "and so is one that comes much later");
}
