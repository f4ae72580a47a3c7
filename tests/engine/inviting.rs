//! Mediated invitations and declines (XEP-0045 section 7.8.2) across instances.

use dmuc::Verdict;
use dmuc::wire::{Affiliation, Condition};

use crate::support::federation::Federation;
use crate::support::inviting::Letter;
use crate::support::names::*;
use crate::support::net::Mode;

const HECATE_PLACE: &str = "coven@rooms.macbeth.lit/hecate";
const HAG: &str = "hag66@shakespeare.lit";
const LENNOX: &str = "lennox@macbeth.lit";
const WAGNER: &str = "wagner@marlowe.lit";

fn coven_with(fields: &[(&str, &str)]) -> Federation {
    let mut fed = Federation::of(&[CHAT, ROOMS, CONF]);
    fed.create(COVEN, CRONE1, fields);
    fed.join(FOO, CRONE1);
    fed.affiliate(FOO, "hecate@macbeth.lit", Affiliation::Admin);
    fed.affiliate(FOO, "somewitch@macbeth.lit", Affiliation::Member);
    fed.affiliate(FOO, "faust@marlowe.lit", Affiliation::Member);
    fed.at(&bare(CHAT), |host| host.distribute(&bare(COVEN)));
    fed.run();
    fed.join(HECATE_PLACE, "hecate@macbeth.lit/moon");
    fed.join(WITCH_PLACE, WITCH);
    fed.join(FAUST_PLACE, FAUST);
    fed.run();
    fed.forget();
    fed
}

fn coven() -> Federation {
    coven_with(&[])
}

const MEMBERS_ONLY: [(&str, &str); 1] = [("muc#roomconfig_membersonly", "1")];

fn invites(fed: &mut Federation, place: &str, invitee: &str) -> u64 {
    let invitee = jid(invitee);
    let token = fed.here(place, |host, room, nick| host.invite(room, nick, &invitee));
    fed.run_for(1_000);
    token
}

/// Takes what users got at all services.
fn letters(fed: &mut Federation) -> Vec<Letter> {
    let hosts = fed.hosts.values_mut();
    hosts.flat_map(|host| std::mem::take(&mut host.letters)).collect()
}

fn invitation(room: &str, invitee: &str, nick: &str) -> Letter {
    Letter::Invitation {
        from: bare(room),
        to: jid(invitee),
        by: format!("{room}/{nick}"),
    }
}

fn declines(fed: &mut Federation, room: &str, invitee: &str, to: &str) -> Result<Verdict, Condition> {
    let (room, invitee, to) = (bare(room), jid(invitee), jid(to));
    let verdict = fed.at(&service_of(&room), |host| host.decline(&room, &invitee, &to));
    fed.run();
    verdict
}

fn decline(room: &str, to: &str, invitee: &str) -> Letter {
    Letter::Decline {
        from: bare(room),
        to: jid(to),
        by: jid(invitee),
    }
}

#[test]
fn an_invitation_comes_from_the_invitees_own_instance() {
    let mut fed = coven();
    for (place, nick) in [(FOO, "foo"), (WITCH_PLACE, "witch"), (FAUST_PLACE, "faust")] {
        for (invitee, room) in [(HAG, COVEN), (LENNOX, COVEN_AT_ROOMS), (WAGNER, COVEN_AT_CONF)] {
            invites(&mut fed, place, invitee);
            assert_eq!(letters(&mut fed), [invitation(room, invitee, nick)], "{place}");
            assert_eq!(fed.affiliation(COVEN, invitee), Affiliation::None);
        }
    }
    // A user of no peer's domain.
    invites(&mut fed, WITCH_PLACE, "volpone@venice.lit");
    let theirs = invitation(COVEN_AT_ROOMS, "volpone@venice.lit", "witch");
    assert_eq!(letters(&mut fed), [theirs]);
}

#[test]
fn an_instance_that_cannot_be_reached_invites_nobody() {
    let mut fed = coven();
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Bounces);
    // Before it is noticed, and after.
    for _ in 0..2 {
        invites(&mut fed, FOO, LENNOX);
        fed.run_for(200_000);
        assert_eq!(letters(&mut fed), [invitation(COVEN, LENNOX, "foo")]);
    }
}

#[test]
fn a_decline_finds_who_invited() {
    let mut fed = coven();
    for (place, user, home) in [
        (FOO, CRONE1, COVEN),
        (WITCH_PLACE, WITCH, COVEN_AT_ROOMS),
        (FAUST_PLACE, FAUST, COVEN_AT_CONF),
    ] {
        let nick = seat(place).1;
        for (invitee, room) in [(HAG, COVEN), (LENNOX, COVEN_AT_ROOMS), (WAGNER, COVEN_AT_CONF)] {
            // As the invitation names who invited; by its place at home; by its real JID.
            for to in [format!("{room}/{nick}"), place.to_owned(), bare_of(user)] {
                invites(&mut fed, place, invitee);
                letters(&mut fed);
                assert_eq!(declines(&mut fed, room, invitee, &to), Ok(Verdict::Done));
                let found = [decline(home, user, invitee)];
                assert_eq!(letters(&mut fed), found, "{invitee} to {to}");
                // That ends it, and nobody hears of it twice.
                let again = declines(&mut fed, room, invitee, &to);
                // Whose real JID it is only the inviter's home knows, and has to be asked.
                if to != bare_of(user) {
                    assert_eq!(again, Err(Condition::ItemNotFound), "{invitee} to {to}");
                }
                assert!(letters(&mut fed).is_empty());
            }
        }
    }
}

fn bare_of(user: &str) -> String {
    jid(user).to_bare().to_string()
}

#[test]
fn a_decline_goes_only_to_who_invited() {
    let mut fed = coven();
    invites(&mut fed, FOO, LENNOX);
    letters(&mut fed);
    // Nobody invited this one.
    declines(
        &mut fed,
        COVEN_AT_ROOMS,
        "macduff@macbeth.lit",
        "coven@rooms.macbeth.lit/foo",
    )
    .unwrap();
    // Others are known to have invited this one.
    let to_witch = declines(&mut fed, COVEN_AT_ROOMS, LENNOX, "coven@rooms.macbeth.lit/witch");
    assert_eq!(to_witch, Err(Condition::ItemNotFound));
    declines(&mut fed, COVEN_AT_ROOMS, LENNOX, "coven@rooms.macbeth.lit/faust").unwrap();
    assert!(letters(&mut fed).is_empty());
    // What is known nowhere is mod_muc's.
    let unknown = declines(
        &mut fed,
        COVEN,
        "volpone@venice.lit",
        "coven@chat.shakespeare.lit/foo",
    );
    assert_eq!(unknown, Ok(Verdict::Continue));
}

#[test]
fn who_changed_nick_is_found_yet() {
    let mut fed = coven();
    invites(&mut fed, FOO, LENNOX);
    fed.change_nick(FOO, "bar");
    fed.run();
    letters(&mut fed);
    declines(&mut fed, COVEN_AT_ROOMS, LENNOX, "coven@rooms.macbeth.lit/foo").unwrap();
    assert_eq!(letters(&mut fed), [decline(COVEN, CRONE1, LENNOX)]);
}

#[test]
fn the_source_makes_members_of_who_is_invited() {
    for place in [FOO, HECATE_PLACE] {
        for (invitee, room) in [(HAG, COVEN), (LENNOX, COVEN_AT_ROOMS), (WAGNER, COVEN_AT_CONF)] {
            let mut fed = coven_with(&MEMBERS_ONLY);
            invites(&mut fed, place, invitee);
            let nick = seat(place).1;
            assert_eq!(letters(&mut fed), [invitation(room, invitee, &nick)], "{place}");
            for room in [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF] {
                assert_eq!(
                    fed.affiliation(room, invitee),
                    Affiliation::Member,
                    "{place}, at {room}"
                );
            }
        }
    }
}

#[test]
fn in_a_split_the_shadow_lets_in_whom_it_invites_and_the_source_follows() {
    let mut fed = coven_with(&MEMBERS_ONLY);
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Bounces);
    fed.run_for(200_000);
    // The invitee's own instance would not let it in.
    invites(&mut fed, HECATE_PLACE, WAGNER);
    assert_eq!(letters(&mut fed), [invitation(COVEN_AT_ROOMS, WAGNER, "hecate")]);
    assert_eq!(fed.affiliation(COVEN_AT_ROOMS, WAGNER), Affiliation::Member);
    assert_eq!(fed.affiliation(COVEN, WAGNER), Affiliation::None);
    // What waits survives a restart.
    fed.restart(ROOMS);
    fed.net.heal();
    fed.run();
    fed.run_for(200_000);
    for room in [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF] {
        assert_eq!(fed.affiliation(room, WAGNER), Affiliation::Member, "{room}");
    }
}

fn act(from: &str, to: &str, inner: &str, attrs: &str) -> String {
    format!(
        "<iq type='set' id='x' from='{from}' to='{to}'><act xmlns='urn:x-dmuc:0' {attrs}>{inner}</act></iq>"
    )
}

#[test]
fn peers_cannot_invite_or_decline_for_others() {
    let mut fed = coven_with(&MEMBERS_ONLY);
    invites(&mut fed, FOO, LENNOX);
    letters(&mut fed);
    let member = format!("<affiliation jid='{WAGNER}' affiliation='member' invited='true'/>");
    let invite = format!("<invite jid='{LENNOX}'/>");
    for (xml, condition) in [
        (
            act(COVEN_AT_CONF, COVEN, &invite, "nick='foo'"),
            Condition::ItemNotFound,
        ),
        (
            act(COVEN_AT_CONF, COVEN, &invite, "jid='crone1@shakespeare.lit'"),
            Condition::Forbidden,
        ),
        (act(COVEN_AT_CONF, COVEN, &invite, ""), Condition::ItemNotFound),
        (
            act("coven@evil.example", COVEN, &invite, "nick='foo'"),
            Condition::Forbidden,
        ),
        (
            act(COVEN_AT_CONF, COVEN, &member, "jid='crone1@shakespeare.lit'"),
            Condition::Forbidden,
        ),
        (
            act(COVEN_AT_CONF, COVEN_AT_ROOMS, &member, "nick='faust'"),
            Condition::UnexpectedRequest,
        ),
        // Who has nothing to do with that invitation, and one that there is not.
        (
            act(
                COVEN_AT_CONF,
                COVEN,
                "<decline nick='foo'/>",
                &format!("jid='{LENNOX}'"),
            ),
            Condition::ItemNotFound,
        ),
        (
            act(
                COVEN_AT_ROOMS,
                COVEN,
                "<decline nick='foo'/>",
                "jid='macduff@macbeth.lit'",
            ),
            Condition::ItemNotFound,
        ),
        (
            act(COVEN_AT_ROOMS, COVEN, "<decline nick='foo'/>", ""),
            Condition::ItemNotFound,
        ),
    ] {
        let to = if xml.contains(&format!("to='{COVEN}'")) {
            CHAT
        } else {
            ROOMS
        };
        fed.hand_in(&bare(to), &xml);
        let (_, error) = fed.host(to).refused.last().expect("a refusal");
        assert_eq!(error.condition, condition, "{xml}");
        fed.run();
        assert!(letters(&mut fed).is_empty(), "{xml}");
    }
    // A member may not invite here: its home may let it, the source does not.
    for inner in [&member, &invite] {
        fed.hand_in(
            &bare(CHAT),
            &act(
                COVEN_AT_CONF,
                COVEN,
                inner,
                "nick='faust' jid='faust@marlowe.lit'",
            ),
        );
        fed.run();
        assert!(letters(&mut fed).is_empty());
    }
    assert_eq!(fed.affiliation(COVEN, WAGNER), Affiliation::None);
}

#[test]
fn an_instance_that_is_here_is_known_by_those_elsewhere() {
    let fed = coven();
    for (service, here) in [(CHAT, COVEN), (ROOMS, COVEN_AT_ROOMS), (CONF, COVEN_AT_CONF)] {
        for other in [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF] {
            let expected = Some(bare(here)).filter(|_| other != here);
            assert_eq!(
                fed.host(service).engine.instance_here(&bare(other)),
                expected.as_ref()
            );
        }
        assert_eq!(
            fed.host(service)
                .engine
                .instance_here(&bare("heath@chat.shakespeare.lit")),
            None
        );
    }
}

#[test]
fn a_peer_tells_of_one_decline_once() {
    let mut fed = coven();
    invites(&mut fed, FOO, LENNOX);
    letters(&mut fed);
    let told = act(
        COVEN_AT_ROOMS,
        COVEN,
        "<decline nick='foo'/>",
        &format!("jid='{LENNOX}'"),
    );
    fed.hand_in(&bare(CHAT), &told);
    assert_eq!(letters(&mut fed), [decline(COVEN, CRONE1, LENNOX)]);
    fed.hand_in(&bare(CHAT), &told);
    let (_, error) = fed.host(CHAT).refused.last().expect("a refusal");
    assert_eq!(error.condition, Condition::ItemNotFound);
    assert!(letters(&mut fed).is_empty());
}

#[test]
fn nobody_who_is_banned_is_invited_or_let_in() {
    for fields in [&MEMBERS_ONLY[..], &[]] {
        let mut fed = coven_with(fields);
        fed.affiliate(FOO, LENNOX, Affiliation::Outcast);
        fed.run();
        for (room, nick, user) in [
            (COVEN, "foo", CRONE1),
            (COVEN_AT_ROOMS, "hecate", "hecate@macbeth.lit/moon"),
            (COVEN_AT_CONF, "faust", FAUST),
        ] {
            let (room, user, invitee) = (bare(room), jid(user), jid(LENNOX));
            let invited = fed.at(&service_of(&room), |host| {
                host.input(dmuc::Input::Invite {
                    room: &room,
                    token: 1_000_000,
                    nick: Some(nick),
                    jid: &user,
                    invitee: &invitee,
                    reason: None,
                })
            });
            let condition = invited.map_err(|error| error.stanza_error().map(|error| error.condition));
            assert_eq!(condition.err(), Some(Some(Condition::Forbidden)), "{room}");
        }
        // Nor at the word of another instance, which may not have heard of the ban.
        let member = format!("<affiliation jid='{LENNOX}' affiliation='member' invited='true'/>");
        let invite = format!("<invite jid='{LENNOX}'/>");
        for (to, service, inner) in [
            (COVEN, CHAT, &member),
            (COVEN, CHAT, &invite),
            (COVEN_AT_CONF, CONF, &invite),
        ] {
            let xml = act(
                COVEN_AT_ROOMS,
                to,
                inner,
                "nick='hecate' jid='hecate@macbeth.lit'",
            );
            fed.hand_in(&bare(service), &xml);
            let (_, error) = fed.host(service).refused.last().expect("a refusal");
            assert_eq!(error.condition, Condition::Forbidden, "{xml}");
        }
        fed.run();
        assert!(letters(&mut fed).is_empty());
        for room in [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF] {
            assert_eq!(fed.affiliation(room, LENNOX), Affiliation::Outcast, "{room}");
        }
    }
}

/// A decline by a real JID would find its way to who is said to have it.
#[test]
fn an_invitation_from_elsewhere_is_of_the_person_that_is_known_here() {
    let mut fed = coven();
    let xml = act(
        COVEN_AT_CONF,
        COVEN_AT_ROOMS,
        &format!("<invite jid='{LENNOX}'/>"),
        "nick='faust' jid='crone1@shakespeare.lit'",
    );
    fed.hand_in(&bare(ROOMS), &xml);
    fed.run();
    letters(&mut fed);
    fed.is_traced = true;
    fed.forget();
    declines(&mut fed, COVEN_AT_ROOMS, LENNOX, "crone1@shakespeare.lit").unwrap();
    let to_conf =
        |line: &&String| line.contains(" sends ") && line.contains(&format!("to='{COVEN_AT_CONF}'"));
    assert_eq!(fed.trace.iter().filter(to_conf).count(), 0, "{:?}", fed.trace);
}

#[test]
fn a_reason_too_long_for_the_peers_is_cut_and_the_invitation_sent() {
    let mut fed = coven();
    let (room, user, invitee) = (bare(COVEN), jid(CRONE1), jid(LENNOX));
    let long = "é".repeat(4_000);
    fed.is_traced = true;
    let invited = fed.at(&bare(CHAT), |host| {
        host.input(dmuc::Input::Invite {
            room: &room,
            token: 1_000_000,
            nick: Some("foo"),
            jid: &user,
            invitee: &invitee,
            reason: Some(&long),
        })
    });
    assert_eq!(invited.ok(), Some(Verdict::Done));
    fed.run();
    assert_eq!(letters(&mut fed), [invitation(COVEN_AT_ROOMS, LENNOX, "foo")]);
    let (room, to) = (bare(COVEN_AT_ROOMS), jid("coven@rooms.macbeth.lit/foo"));
    let declined = fed.at(&bare(ROOMS), |host| {
        host.input(dmuc::Input::Decline {
            room: &room,
            invitee: &invitee,
            to: &to,
            reason: Some(&long),
        })
    });
    assert_eq!(declined.ok(), Some(Verdict::Done));
    fed.run();
    assert_eq!(letters(&mut fed), [decline(COVEN, CRONE1, LENNOX)]);
}

/// The inviter's home did not hear of it: who declines again is no liar.
#[test]
fn a_decline_that_was_lost_can_be_said_again() {
    let mut fed = coven();
    invites(&mut fed, FOO, LENNOX);
    letters(&mut fed);
    let (room, invitee) = (bare(COVEN_AT_ROOMS), jid(LENNOX));
    let to = jid("coven@rooms.macbeth.lit/foo");
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Bounces);
    let lost = fed.at(&bare(ROOMS), |host| host.decline(&room, &invitee, &to));
    assert_eq!(lost, Ok(Verdict::Done), "the link is thought to be up");
    fed.run_for(200_000);
    assert!(letters(&mut fed).is_empty());
    fed.net.heal();
    fed.run_for(200_000);
    fed.run();
    let again = declines(&mut fed, COVEN_AT_ROOMS, LENNOX, "coven@rooms.macbeth.lit/foo");
    assert_eq!(again, Ok(Verdict::Done));
    assert_eq!(letters(&mut fed), [decline(COVEN, CRONE1, LENNOX)]);
    let once_more = declines(&mut fed, COVEN_AT_ROOMS, LENNOX, "coven@rooms.macbeth.lit/foo");
    assert_eq!(once_more, Err(Condition::ItemNotFound));
    assert!(letters(&mut fed).is_empty());
}
