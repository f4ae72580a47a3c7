//! Joins, leaves, nick changes and presence updates: seen everywhere, one stanza per peer instance.

use dmuc::wire::{Affiliation, Role};

use crate::scenes;
use crate::support::event::{Crossing, Seen};
use crate::support::federation::Federation;
use crate::support::names::*;

fn coven() -> Federation {
    let mut fed = scenes::shared(&[CHAT, ROOMS, CONF]);
    for (place, user) in [
        (FOO, CRONE1),
        (BYSTANDER, "hag66@shakespeare.lit/pda"),
        (AT_CONF, FAUST),
    ] {
        fed.join(place, user);
    }
    fed.run();
    fed.forget();
    fed
}

const BYSTANDER: &str = "coven@chat.shakespeare.lit/baz";
const AT_CONF: &str = "coven@conference.marlowe.lit/faust";
const AT_ROOMS: &str = "coven@rooms.macbeth.lit/witch";

fn expect_one_roster(fed: &Federation) -> Vec<String> {
    let roster = fed.roster(COVEN);
    assert_eq!(roster, fed.roster(COVEN_AT_ROOMS));
    assert_eq!(roster, fed.roster(COVEN_AT_CONF));
    roster
}

#[test]
fn a_join_is_seen_everywhere_and_crosses_once_per_instance() {
    let mut fed = coven();
    fed.join(AT_ROOMS, WITCH);
    fed.run();
    let expected = [
        "baz none participant",
        "faust none participant",
        "foo owner moderator",
        "witch none participant",
    ];
    assert_eq!(expect_one_roster(&fed), expected);
    for peer in [CHAT, CONF] {
        assert_eq!(
            fed.crossed(ROOMS, peer),
            [Crossing::Presence { available: true }],
            "to {peer}"
        );
    }
    for place in [FOO, BYSTANDER, AT_CONF] {
        let seen = fed.seen(place);
        assert!(
            matches!(seen.as_slice(), [Seen::Presence { nick, role: Role::Participant, .. }] if nick == "witch"),
            "{place}: {seen:?}"
        );
    }
}

#[test]
fn a_join_at_a_shadow_looks_like_any_other() {
    let mut fed = coven();
    fed.join(AT_ROOMS, WITCH);
    let seen = fed.seen(AT_ROOMS);
    let nicks: Vec<&str> = seen
        .iter()
        .filter_map(|seen| match seen {
            Seen::Presence { nick, .. } => Some(nick.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(
        nicks,
        ["baz", "faust", "foo", "witch"],
        "others first, oneself last"
    );
    assert!(matches!(seen.get(3), Some(Seen::Presence { codes, .. }) if *codes == [110]));
    assert!(matches!(seen.last(), Some(Seen::Subject { .. })));
}

#[test]
fn a_leave_is_seen_everywhere_and_crosses_once_per_instance() {
    let mut fed = coven();
    fed.leave(AT_CONF);
    fed.run();
    assert_eq!(
        expect_one_roster(&fed),
        ["baz none participant", "foo owner moderator"]
    );
    for peer in [CHAT, ROOMS] {
        assert_eq!(
            fed.crossed(CONF, peer),
            [Crossing::Presence { available: false }],
            "to {peer}"
        );
    }
    assert!(matches!(fed.seen(FOO).as_slice(), [Seen::Gone { nick, .. }] if nick == "faust"));
}

#[test]
fn a_changed_presence_is_seen_with_its_extensions() {
    let mut fed = coven();
    let payload = "<show>away</show><x xmlns='urn:example:mood'>toil</x>";
    fed.update(FOO, payload);
    fed.run();
    let seen = fed.seen(AT_CONF);
    assert!(
        matches!(seen.as_slice(), [Seen::Presence { nick, payload: shown, affiliation: Affiliation::Owner, .. }]
            if nick == "foo" && shown == payload),
        "{seen:?}"
    );
    for peer in [ROOMS, CONF] {
        assert_eq!(
            fed.crossed(CHAT, peer),
            [Crossing::Presence { available: true }],
            "to {peer}"
        );
    }
}

#[test]
fn a_presence_that_changes_nothing_does_not_cross() {
    let mut fed = coven();
    fed.update(FOO, "");
    fed.run();
    assert!(fed.crossed(CHAT, ROOMS).is_empty());
}

#[test]
fn late_joiners_see_the_presence_extensions_of_everybody() {
    let mut fed = coven();
    fed.update(FOO, "<show>dnd</show>");
    fed.run();
    fed.join(AT_ROOMS, WITCH);
    let seen = fed.seen(AT_ROOMS);
    assert!(
        seen.iter()
            .any(|seen| matches!(seen, Seen::Presence { nick, payload, .. }
        if nick == "foo" && payload == "<show>dnd</show>"))
    );
}

#[test]
fn a_nick_change_is_a_303_and_a_presence_everywhere() {
    let mut fed = coven();
    fed.change_nick(AT_CONF, "mephisto");
    fed.run();
    assert_eq!(
        expect_one_roster(&fed),
        [
            "baz none participant",
            "foo owner moderator",
            "mephisto none participant"
        ]
    );
    let seen = fed.seen(FOO);
    assert!(
        matches!(seen.as_slice(), [
            Seen::Gone { nick, codes, new_nick, .. },
            Seen::Presence { nick: after, .. }
        ] if nick == "faust" && *codes == [303] && new_nick.as_deref() == Some("mephisto") && after == "mephisto"),
        "{seen:?}"
    );
    assert_eq!(fed.crossed(CONF, ROOMS).len(), 2);
}

#[test]
fn the_number_of_occupants_does_not_change_what_crosses() {
    let mut fed = coven();
    for number in 0..20 {
        fed.join(
            &format!("{COVEN}/n{number}"),
            &format!("user{number}@shakespeare.lit/x"),
        );
        fed.join(
            &format!("{COVEN_AT_CONF}/m{number}"),
            &format!("user{number}@marlowe.lit/x"),
        );
    }
    fed.run();
    fed.forget();
    fed.join(AT_ROOMS, WITCH);
    fed.say(AT_ROOMS, "hail");
    fed.leave(AT_ROOMS);
    fed.run();
    assert_eq!(fed.crossed(ROOMS, CHAT).len(), 3);
    assert_eq!(fed.crossed(ROOMS, CONF).len(), 3);
    assert!(fed.crossed(CHAT, ROOMS).is_empty(), "nothing is sent back");
}

#[test]
fn a_nick_in_use_at_another_instance_is_taken() {
    let mut fed = coven();
    let denied = fed.try_join(&format!("{COVEN_AT_ROOMS}/foo"), WITCH);
    assert_eq!(denied, Err(crate::support::people::Denied::NickTaken));
}

#[test]
fn a_kick_at_home_is_seen_everywhere_with_its_code_and_reason() {
    let mut fed = coven();
    fed.kick(FOO, "baz");
    fed.run();
    assert_eq!(
        expect_one_roster(&fed),
        ["faust none participant", "foo owner moderator"]
    );
    let seen = fed.seen(AT_CONF);
    assert!(
        matches!(seen.as_slice(), [Seen::Gone { nick, codes, actor, reason, .. }]
            if nick == "baz" && *codes == [307] && actor.as_deref() == Some("foo") && reason.as_deref() == Some("out")),
        "{seen:?}"
    );
}

#[test]
fn people_come_and_go_many_times_without_a_trace() {
    let mut fed = coven();
    for _ in 0..10 {
        fed.join(AT_ROOMS, WITCH);
        fed.run();
        fed.change_nick(AT_ROOMS, "hecate");
        fed.leave("coven@rooms.macbeth.lit/hecate");
        fed.run();
    }
    expect_one_roster(&fed);
    assert_eq!(fed.crossed(ROOMS, CHAT).len(), 40);
}

#[test]
fn a_presence_too_large_for_the_peers_goes_without_its_extensions() {
    let mut fed = coven();
    let large = format!("<status>{}</status>", "x".repeat(70_000));
    fed.update(FOO, &large);
    fed.run();
    let seen = fed.seen(AT_CONF);
    assert!(
        seen.is_empty()
            || matches!(seen.as_slice(), [Seen::Presence { nick, payload, .. }] if nick == "foo" && payload.is_empty()),
        "{seen:?}"
    );
    assert!(fed.host(CONF).refused.is_empty());
    expect_one_roster(&fed);
}
