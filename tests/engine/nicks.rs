//! Two people take one nick at the same time: one keeps it, the other is renamed, everywhere alike (DESIGN section 3).

use dmuc::wire::Affiliation;

use crate::scenes;
use crate::support::event::Seen;
use crate::support::federation::Federation;
use crate::support::names::*;
use crate::support::net::Mode;

const ROOMS_OF_ALL: [&str; 3] = [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF];

fn coven() -> Federation {
    let mut fed = scenes::shared(&[CHAT, ROOMS, CONF]);
    fed.join("coven@chat.shakespeare.lit/foo", CRONE1);
    fed.run();
    fed
}

/// How many were renamed, as people where they are saw it.
fn renames(fed: &Federation) -> usize {
    let mut renamed = std::collections::BTreeSet::new();
    for event in &fed.events {
        if let crate::support::event::Event::Saw {
            room,
            seen: Seen::Presence { nick, codes, .. },
            ..
        } = event
            && codes.contains(&210)
        {
            renamed.insert((room.clone(), nick.clone()));
        }
    }
    renamed.len()
}

fn expect_roster(fed: &Federation, expected: &[&str]) {
    for room in ROOMS_OF_ALL {
        let nicks: Vec<String> = fed
            .roster(room)
            .iter()
            .map(|line| line.rsplitn(3, ' ').last().unwrap().to_owned())
            .collect();
        assert_eq!(nicks, expected, "{room}");
    }
}

/// Who has the nick at each instance: the occupant-id there.
fn holder(fed: &Federation, nick: &str) -> String {
    let ids: std::collections::BTreeSet<String> = ROOMS_OF_ALL
        .iter()
        .map(|room| {
            let host_room = fed.host(service_of(&bare(room)).as_str()).room(&bare(room));
            let remote = || {
                host_room
                    .remote(nick)
                    .and_then(|(_, remote)| remote.occupant_id.clone())
            };
            host_room
                .local(nick)
                .map(|local| local.occupant_id.clone())
                .or_else(remote)
                .unwrap()
        })
        .collect();
    assert_eq!(ids.len(), 1, "{nick} is somebody else elsewhere");
    ids.into_iter().next().unwrap()
}

fn id_of(fed: &Federation, user: &str) -> String {
    fed.host(CHAT)
        .room(&bare(COVEN))
        .occupant_id(&full(user).to_bare())
}

#[test]
fn between_source_and_shadow_the_source_keeps_the_nick() {
    let mut fed = coven();
    fed.join("coven@rooms.macbeth.lit/alice", WITCH);
    fed.now_ms += 10;
    fed.join("coven@chat.shakespeare.lit/alice", "hag66@shakespeare.lit/pda");
    fed.run();
    expect_roster(&fed, &["alice", "alice (2)", "foo"]);
    assert_eq!(holder(&fed, "alice"), id_of(&fed, "hag66@shakespeare.lit/pda"));
    assert_eq!(holder(&fed, "alice (2)"), id_of(&fed, WITCH));
    assert_eq!(renames(&fed), 1, "exactly one is renamed");
}

#[test]
fn between_shadows_the_earlier_join_keeps_the_nick() {
    for (first, second) in [
        (
            ("coven@rooms.macbeth.lit/alice", WITCH),
            ("coven@conference.marlowe.lit/alice", FAUST),
        ),
        (
            ("coven@conference.marlowe.lit/alice", FAUST),
            ("coven@rooms.macbeth.lit/alice", WITCH),
        ),
    ] {
        let mut fed = coven();
        fed.join(first.0, first.1);
        fed.now_ms += 5;
        fed.join(second.0, second.1);
        fed.run();
        expect_roster(&fed, &["alice", "alice (2)", "foo"]);
        assert_eq!(holder(&fed, "alice"), id_of(&fed, first.1));
        assert_eq!(renames(&fed), 1);
    }
}

#[test]
fn between_joins_of_the_same_moment_the_smaller_instance_keeps_the_nick() {
    let mut fed = coven();
    fed.join("coven@rooms.macbeth.lit/alice", WITCH);
    fed.join("coven@conference.marlowe.lit/alice", FAUST);
    fed.run();
    expect_roster(&fed, &["alice", "alice (2)", "foo"]);
    assert_eq!(holder(&fed, "alice"), id_of(&fed, FAUST));
    assert_eq!(renames(&fed), 1);
}

#[test]
fn whoever_registered_the_nick_keeps_it_even_from_the_source() {
    let mut fed = coven();
    let user = bare("somewitch@macbeth.lit");
    fed.join("coven@rooms.macbeth.lit/alice", WITCH);
    fed.run();
    fed.leave("coven@rooms.macbeth.lit/alice");
    fed.run();
    // A host that does not enforce the registration lets somebody else in at the same moment.
    fed.here("coven@chat.shakespeare.lit/foo", |host, room, nick| {
        host.affiliate(room, nick, &user, Affiliation::Member, Some("alice"))
    });
    fed.run();
    fed.join("coven@rooms.macbeth.lit/alice", WITCH);
    fed.at(&bare(CHAT), |host| {
        let room = host.rooms.get_mut(&bare(COVEN)).unwrap();
        let listed = room.affiliations.remove(&user).unwrap();
        host.join(&bare(COVEN), "alice", &full("hag66@shakespeare.lit/pda"), "")
            .unwrap();
        host.rooms
            .get_mut(&bare(COVEN))
            .unwrap()
            .affiliations
            .insert(user.clone(), listed);
    });
    fed.run();
    expect_roster(&fed, &["alice", "alice (2)", "foo"]);
    assert_eq!(holder(&fed, "alice"), id_of(&fed, WITCH));
    assert_eq!(renames(&fed), 1);
}

#[test]
fn three_at_once_end_with_three_nicks() {
    let mut fed = coven();
    fed.join("coven@rooms.macbeth.lit/alice", WITCH);
    fed.join("coven@conference.marlowe.lit/alice", FAUST);
    fed.join("coven@chat.shakespeare.lit/alice", "hag66@shakespeare.lit/pda");
    fed.run();
    for room in ROOMS_OF_ALL {
        assert_eq!(fed.roster(room).len(), 4, "{room}: {:?}", fed.roster(room));
        assert_eq!(fed.roster(room), fed.roster(COVEN));
    }
    assert_eq!(holder(&fed, "alice"), id_of(&fed, "hag66@shakespeare.lit/pda"));
}

#[test]
fn a_change_of_nick_can_clash_like_a_join() {
    let mut fed = coven();
    fed.join("coven@rooms.macbeth.lit/witch", WITCH);
    fed.join("coven@conference.marlowe.lit/faust", FAUST);
    fed.run();
    fed.now_ms += 10;
    fed.change_nick("coven@conference.marlowe.lit/faust", "alice");
    fed.now_ms += 5;
    fed.change_nick("coven@rooms.macbeth.lit/witch", "alice");
    fed.run();
    expect_roster(&fed, &["alice", "alice (2)", "foo"]);
    assert_eq!(holder(&fed, "alice"), id_of(&fed, FAUST));
    assert_eq!(renames(&fed), 1);
}

#[test]
fn what_the_loser_says_before_it_is_renamed_is_not_lost() {
    let mut fed = coven();
    fed.join("coven@rooms.macbeth.lit/alice", WITCH);
    fed.join("coven@chat.shakespeare.lit/alice", "hag66@shakespeare.lit/pda");
    fed.say("coven@rooms.macbeth.lit/alice", "hail");
    fed.run();
    let witch = id_of(&fed, WITCH);
    for room in ROOMS_OF_ALL {
        let history = fed.history(room);
        assert_eq!(history.len(), 1, "{room}");
        assert_eq!(
            history[0].1.occupant_id.as_ref(),
            Some(&witch),
            "it is not the winner's"
        );
    }
    assert_eq!(fed.heard("coven@chat.shakespeare.lit/foo"), ["hail"]);
}

#[test]
fn a_loser_that_is_never_renamed_cannot_go_on_speaking() {
    let mut fed = coven();
    fed.join("coven@chat.shakespeare.lit/alice", "hag66@shakespeare.lit/pda");
    fed.run();
    let presence = format!(
        "<presence from='{COVEN_AT_ROOMS}/alice' to='{COVEN}/alice'><x xmlns='http://jabber.org/protocol/muc#user'>\
         <item affiliation='none' role='participant' jid='{WITCH}'/></x><occupant xmlns='urn:x-dmuc:0' serial='1'/></presence>"
    );
    let message = |number: u64| {
        format!(
            "<message from='{COVEN_AT_ROOMS}/alice' to='{COVEN}/alice' type='groupchat'><body>{number}</body>\
             <event xmlns='urn:x-dmuc:0' id='e{number}' inc='1' seq='{number}' at='1.0'/></message>"
        )
    };
    fed.hand_in(&bare(CHAT), &presence);
    fed.hand_in(&bare(CHAT), &message(1));
    fed.run_for(40_000);
    fed.hand_in(&bare(CHAT), &presence);
    fed.run_for(30_000);
    fed.hand_in(&bare(CHAT), &message(2));
    fed.run();
    assert_eq!(fed.heard("coven@chat.shakespeare.lit/foo"), ["1"]);
    assert_eq!(
        fed.roster(COVEN),
        ["alice none participant", "foo owner moderator"]
    );
}

#[test]
fn who_leaves_before_the_rename_leaves_the_nick_to_the_other() {
    let mut fed = coven();
    fed.join("coven@rooms.macbeth.lit/alice", WITCH);
    fed.join("coven@chat.shakespeare.lit/alice", "hag66@shakespeare.lit/pda");
    fed.leave("coven@chat.shakespeare.lit/alice");
    fed.run();
    for room in ROOMS_OF_ALL {
        assert_eq!(fed.roster(room).len(), 2, "{room}: {:?}", fed.roster(room));
        assert_eq!(fed.roster(room), fed.roster(COVEN));
    }
}

#[test]
fn the_longest_nick_can_be_renamed_too() {
    let mut fed = coven();
    for nick in ["x".repeat(1_023), "ä".repeat(511)] {
        fed.join(&format!("{COVEN_AT_ROOMS}/{nick}"), WITCH);
        fed.join(&format!("{COVEN}/{nick}"), "hag66@shakespeare.lit/pda");
        fed.run();
        for room in ROOMS_OF_ALL {
            assert_eq!(fed.roster(room), fed.roster(COVEN));
            assert_eq!(fed.roster(room).len(), 3);
        }
        let place = fed
            .host(ROOMS)
            .room(&bare(COVEN_AT_ROOMS))
            .locals()
            .next()
            .unwrap()
            .0
            .clone();
        fed.leave(&format!("{COVEN_AT_ROOMS}/{place}"));
        fed.leave(&format!("{COVEN}/{nick}"));
        fed.run();
    }
}

#[test]
fn one_person_at_two_instances_is_one_occupant() {
    let mut fed = coven();
    fed.configure(
        "coven@chat.shakespeare.lit/foo",
        &[("muc#roomconfig_whois", "anyone")],
    );
    fed.run();
    fed.join("coven@rooms.macbeth.lit/witch", WITCH);
    fed.run();
    fed.join("coven@chat.shakespeare.lit/witch", "somewitch@macbeth.lit/laptop");
    fed.run();
    expect_roster(&fed, &["foo", "witch"]);
    assert_eq!(renames(&fed), 0);
    fed.forget();
    fed.leave("coven@rooms.macbeth.lit/witch");
    fed.run();
    expect_roster(&fed, &["foo", "witch"]);
    let gone = fed.seen("coven@chat.shakespeare.lit/foo");
    assert!(
        !gone.iter().any(|seen| matches!(seen, Seen::Gone { .. })),
        "gone only when the last one goes: {gone:?}"
    );
    fed.leave("coven@chat.shakespeare.lit/witch");
    fed.run();
    expect_roster(&fed, &["foo"]);
}

#[test]
fn one_person_is_known_by_its_occupant_id_where_real_jids_are_not() {
    let mut fed = coven();
    fed.join("coven@rooms.macbeth.lit/witch", WITCH);
    fed.run();
    fed.join(
        "coven@conference.marlowe.lit/hecate",
        "somewitch@macbeth.lit/laptop",
    );
    fed.run();
    fed.change_nick("coven@rooms.macbeth.lit/witch", "alice");
    fed.change_nick("coven@conference.marlowe.lit/hecate", "alice");
    fed.run();
    expect_roster(&fed, &["alice", "foo"]);
    assert_eq!(renames(&fed), 0);
    assert_eq!(holder(&fed, "alice"), id_of(&fed, WITCH));
}

#[test]
fn one_person_at_two_instances_loses_both_places_together() {
    let mut fed = Federation::of(&[CHAT, ROOMS, CONF, "d.example"]);
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    fed.join("coven@rooms.macbeth.lit/alice", WITCH);
    fed.run();
    fed.join(
        "coven@conference.marlowe.lit/alice",
        "somewitch@macbeth.lit/laptop",
    );
    fed.leave("coven@rooms.macbeth.lit/alice");
    fed.leave("coven@conference.marlowe.lit/alice");
    fed.run();
    fed.join("coven@rooms.macbeth.lit/alice", WITCH);
    fed.join(
        "coven@conference.marlowe.lit/alice",
        "somewitch@macbeth.lit/laptop",
    );
    fed.join("coven@chat.shakespeare.lit/alice", "hag66@shakespeare.lit/pda");
    fed.run();
    for room in [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF, "coven@d.example"] {
        let expected = ["alice none participant", "alice (2) none participant"];
        assert_eq!(fed.roster(room), expected, "{room}");
    }
}

const RENAMED_AT_ROOMS: &str = "coven@rooms.macbeth.lit";

/// The nick of the only one at the shadow after a peer has said that `nick` is somebody else's there.
fn after_conflict(fed: &mut Federation, peer: &str, nick: &str) -> String {
    let xml = format!(
        "<presence type='error' from='{peer}/{nick}' to='{RENAMED_AT_ROOMS}/{nick}'><error type='cancel'>\
         <conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>"
    );
    fed.hand_in(&bare(ROOMS), &xml);
    fed.run();
    let room = fed.host(ROOMS).room(&bare(COVEN_AT_ROOMS));
    let mut nicks = room.locals().map(|(nick, _)| nick.clone());
    let found = nicks.next().expect("nobody is removed");
    assert_eq!(nicks.next(), None);
    found
}

#[test]
fn a_peer_that_says_that_a_nick_is_lost_is_believed_once() {
    let mut fed = coven();
    fed.join("coven@rooms.macbeth.lit/alice", WITCH);
    fed.run();
    assert_eq!(after_conflict(&mut fed, COVEN_AT_CONF, "alice"), "alice (2)");
    fed.update("coven@rooms.macbeth.lit/alice (2)", "<show>away</show>");
    fed.run();
    assert_eq!(
        after_conflict(&mut fed, COVEN_AT_CONF, "alice (2)"),
        "alice (2)",
        "not again"
    );
    let other = after_conflict(&mut fed, COVEN, "alice (2)");
    assert_ne!(other, "alice (2)", "another one is believed as well");
    for peer in [COVEN_AT_CONF, COVEN] {
        assert_eq!(after_conflict(&mut fed, peer, &other), other);
    }
    // Who takes another nick may find that one taken, too.
    fed.change_nick(&format!("{COVEN_AT_ROOMS}/{other}"), "bob");
    fed.run();
    assert_eq!(after_conflict(&mut fed, COVEN_AT_CONF, "bob"), "bob (2)");
    expect_roster(&fed, &["bob (2)", "foo"]);
}

#[test]
fn who_has_registered_a_nick_keeps_it_whatever_a_peer_says() {
    let mut fed = coven();
    let user = bare("somewitch@macbeth.lit");
    fed.here("coven@chat.shakespeare.lit/foo", |host, room, nick| {
        host.affiliate(room, nick, &user, Affiliation::Member, Some("alice"))
    });
    fed.run();
    fed.join("coven@rooms.macbeth.lit/alice", WITCH);
    fed.run();
    assert_eq!(after_conflict(&mut fed, COVEN_AT_CONF, "alice"), "alice");
    assert_eq!(renames(&fed), 0);
}

/// A roster that came late tells who has taken which nick: each change once, and nobody is two.
#[test]
fn changes_of_nick_that_a_roster_tells_of_are_told_once_each() {
    let mut fed = coven();
    for number in 0..20 {
        fed.join(
            &format!("coven@rooms.macbeth.lit/old {number}"),
            // Some have two nicks.
            &format!("user{}@macbeth.lit/{number}", number / 2),
        );
    }
    fed.run();
    fed.net
        .set_mode(&bare(CHAT), &bare(ROOMS), crate::support::net::Mode::Bounces);
    fed.run_for(200_000);
    fed.forget();
    for number in 0..19 {
        fed.change_nick(
            &format!("coven@rooms.macbeth.lit/old {number}"),
            &format!("new {number}"),
        );
    }
    fed.leave("coven@rooms.macbeth.lit/old 19");
    fed.net.heal();
    fed.run_for(200_000);
    fed.run();
    let mut told = std::collections::BTreeMap::new();
    for seen in fed.seen("coven@chat.shakespeare.lit/foo") {
        if let Seen::Gone {
            nick,
            codes,
            new_nick,
            ..
        } = seen
        {
            assert_eq!(codes, if new_nick.is_some() { vec![303] } else { vec![] });
            assert_eq!(told.insert(nick.clone(), new_nick), None, "{nick} once");
        }
    }
    let expected = (0..20).map(|number| {
        let new = (number < 19).then(|| format!("new {number}"));
        (format!("old {number}"), new)
    });
    assert_eq!(told, expected.collect());
}

/// Who gives way leaves before it is renamed: what a peer is believed of the next one there is not decided by that.
#[test]
fn a_nick_that_was_never_given_is_chosen_by_somebody_else_as_any_other() {
    let mut fed = coven();
    fed.join("coven@rooms.macbeth.lit/alice", WITCH);
    fed.run();
    let room = bare(COVEN_AT_ROOMS);
    let (from, error) = (
        jid("coven@conference.marlowe.lit/alice"),
        dmuc::wire::StanzaError::new(dmuc::wire::Condition::Conflict),
    );
    fed.at(&bare(ROOMS), |host| {
        // The host has not come to the rename yet.
        let input = dmuc::Input::PeerError {
            from: &from,
            error: &error,
        };
        host.engine.handle_input(host.now, input).unwrap();
        host.leave(&room, "alice").unwrap();
    });
    fed.run();
    fed.join("coven@rooms.macbeth.lit/alice (2)", "banquo@macbeth.lit/horse");
    fed.run();
    let renamed = after_conflict(&mut fed, COVEN_AT_CONF, "alice (2)");
    assert_ne!(renamed, "alice (2)", "believed for the first time");
}

/// Two who lose at the same time, and whose nicks are the same once they are shortened, get two nicks.
#[test]
fn nicks_that_are_shortened_at_one_clash_stay_two() {
    let mut fed = coven();
    let start = "x".repeat(1_020);
    let nicks = [format!("{start}aaa"), format!("{start}bbb")];
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Bounces);
    fed.run_for(120_000);
    for (nick, (here, there)) in nicks.iter().zip([
        (WITCH, "hag66@shakespeare.lit/pda"),
        ("other@macbeth.lit/x", "lennox@shakespeare.lit/x"),
    ]) {
        fed.join(&format!("{COVEN_AT_ROOMS}/{nick}"), here);
        fed.join(&format!("{COVEN}/{nick}"), there);
    }
    fed.run_for(10_000);
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Up);
    fed.run_for(120_000);
    fed.run();
    for room in ROOMS_OF_ALL {
        assert_eq!(fed.roster(room), fed.roster(COVEN), "{room}");
        assert_eq!(fed.roster(room).len(), 5, "{room}: {:?}", fed.roster(room));
    }
    let new: std::collections::BTreeSet<String> = fed
        .host(ROOMS)
        .room(&bare(COVEN_AT_ROOMS))
        .locals()
        .map(|(nick, _)| nick.to_owned())
        .collect();
    assert_eq!(new.len(), 2, "{new:?}");
    assert!(new.iter().all(|nick| !nicks.contains(nick)));
}
