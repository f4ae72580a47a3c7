//! Whether the source is asked or a shadow decides provisionally (G7) is the engine's to say, and what it has said counts.

use dmuc::engine::{LinkState, Ruled};
use dmuc::wire::{Act, ActKind, Affiliation, Condition, Form, Moderated, Moderation, Role};
use dmuc::{Input, Verdict};

use crate::scenes;
use crate::support::event::Event;
use crate::support::federation::Federation;
use crate::support::names::*;
use crate::support::net::Mode;
use crate::support::room::Listed;

/// witch is an admin at the shadow.
fn coven() -> Federation {
    let mut fed = scenes::shared(&[CHAT, ROOMS]);
    fed.join(FOO, CRONE1);
    fed.affiliate(FOO, "somewitch@macbeth.lit", Affiliation::Admin);
    fed.run();
    fed.join(WITCH_PLACE, WITCH);
    fed.run();
    fed
}

fn cut(fed: &mut Federation) {
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Bounces);
    fed.run_for(100_000);
    assert_eq!(fed.host(ROOMS).engine.link_state(&bare(CHAT)), LinkState::Down);
}

/// What the engine says to an act of witch's, and the error of its answer, if there is one.
fn asked(fed: &mut Federation, token: u64, kind: ActKind) -> (Verdict, Option<Option<Condition>>) {
    let verdict = fed.at(&bare(ROOMS), |host| {
        let act = Act {
            actor_nick: Some("witch".to_owned()),
            actor_jid: Some(bare("somewitch@macbeth.lit")),
            kind,
            reason: None,
        };
        let room = bare(COVEN_AT_ROOMS);
        let input = Input::Act {
            room: &room,
            token,
            act,
        };
        let verdict = host.input(input).unwrap();
        host.drain();
        verdict
    });
    fed.run_for(10_000);
    let answer = fed.host(ROOMS).acts.get(&token).cloned();
    (verdict, answer.map(|error| error.map(|error| error.condition)))
}

fn rulings() -> Vec<ActKind> {
    let mut form = Form::default();
    form.set("muc#roomconfig_roomname", vec!["A dark cave".to_owned()]);
    vec![
        ActKind::Affiliation {
            jid: bare("banquo@macbeth.lit"),
            affiliation: Affiliation::Member,
            nick: None,
            was: None,
            is_invited: false,
        },
        ActKind::Register {
            nick: Some("witch".to_owned()),
            was: None,
        },
        ActKind::Config { form, was: None },
        ActKind::Moderate {
            id: "deed-without-a-name".to_owned(),
        },
    ]
}

#[test]
fn the_source_is_asked_for_a_ruling_while_it_can_be() {
    let mut fed = coven();
    for (token, kind) in (1..).zip(rulings()) {
        let (verdict, answer) = asked(&mut fed, token, kind.clone());
        assert_eq!(verdict, Verdict::Done, "{kind:?}");
        assert!(answer.is_some(), "{kind:?} was not answered");
    }
}

#[test]
fn a_shadow_that_cannot_ask_decides_and_is_answered_nothing() {
    let mut fed = coven();
    cut(&mut fed);
    for (token, kind) in (1..).zip(rulings()) {
        let said = asked(&mut fed, token, kind.clone());
        assert_eq!(said, (Verdict::Hold, None), "{kind:?}");
    }
}

#[test]
fn the_end_of_a_room_waits_for_nobody() {
    let mut fed = coven();
    cut(&mut fed);
    let kind = ActKind::Destroy {
        venue: None,
        password: None,
    };
    let error = Some(Some(Condition::RemoteServerNotFound));
    assert_eq!(asked(&mut fed, 1, kind), (Verdict::Done, error));
}

#[test]
fn what_is_no_ruling_waits_for_who_can_answer_it() {
    let mut fed = coven();
    cut(&mut fed);
    let kinds = [
        ActKind::Role {
            nick: "foo".to_owned(),
            serial: None,
            role: Role::Visitor,
            request: None,
        },
        ActKind::Voice {
            serial: 1,
            request: 1,
        },
        ActKind::Invite {
            jid: "hag66@shakespeare.lit".parse().unwrap(),
        },
        ActKind::Decline {
            nick: Some("foo".to_owned()),
            jid: None,
        },
    ];
    for (token, kind) in (1..).zip(kinds) {
        let said = asked(&mut fed, token, kind.clone());
        let error = Some(Some(Condition::RemoteServerNotFound));
        assert_eq!(said, (Verdict::Done, error), "{kind:?}");
    }
}

/// What the engine says to witch inviting `invitee`.
fn invited(fed: &mut Federation, token: u64, invitee: &str) -> Verdict {
    fed.at(&bare(ROOMS), |host| {
        let input = Input::Invite {
            room: &bare(COVEN_AT_ROOMS),
            token,
            nick: Some("witch"),
            jid: &"somewitch@macbeth.lit/pda".parse().unwrap(),
            invitee: &invitee.parse().unwrap(),
            reason: None,
        };
        host.input(input).unwrap()
    })
}

#[test]
fn who_is_invited_becomes_a_member_here_only_while_the_source_cannot_be_asked() {
    let mut fed = coven();
    fed.configure(FOO, &[("muc#roomconfig_membersonly", "1")]);
    fed.run();
    assert_eq!(invited(&mut fed, 1, "banquo@macbeth.lit"), Verdict::Done);
    cut(&mut fed);
    assert_eq!(invited(&mut fed, 2, "fleance@macbeth.lit"), Verdict::Hold);
    // Who is a member already needs nobody's word.
    assert_eq!(invited(&mut fed, 3, "somewitch@macbeth.lit"), Verdict::Continue);
}

/// What the host does after Hold: an entry of the list, a field of the configuration, a message.
fn decide(fed: &mut Federation, message: &str) {
    let (room, witch) = (bare(COVEN_AT_ROOMS), bare("somewitch@macbeth.lit"));
    fed.at(&bare(ROOMS), |host| {
        let entry = Listed {
            affiliation: Affiliation::Member,
            nick: None,
        };
        let by = (Some("witch"), Some(&witch));
        host.decide_affiliation(&room, &bare("banquo@macbeth.lit"), &entry, None, by);
        let mut form = Form::default();
        form.set("muc#roomconfig_roomname", vec!["A dark cave".to_owned()]);
        host.apply_form(&room, &form, Some(("witch", &witch)));
        let moderation = Moderation {
            id: message.to_owned(),
            nick: Some("witch".to_owned()),
            ..Moderation::default()
        };
        let ruled = Ruled {
            actor_jid: Some(&witch),
            ..Ruled::by_the_room(&room, Moderated::from(moderation))
        };
        host.input(Input::Ruled(ruled)).unwrap();
    });
}

/// The host was told to decide. Before it has, the source comes back, and the link gets this far.
fn decided_late(is_far_enough: impl Fn(&Federation) -> bool) -> (Federation, String) {
    let mut fed = scenes::shared(&[CHAT, ROOMS]);
    fed.join(FOO, CRONE1);
    fed.affiliate(FOO, "somewitch@macbeth.lit", Affiliation::Owner);
    fed.run();
    fed.join(WITCH_PLACE, WITCH);
    let message = fed.say(WITCH_PLACE, "a deed without a name");
    fed.run();
    cut(&mut fed);
    for (token, kind) in (1..).zip(rulings()) {
        assert_eq!(asked(&mut fed, token, kind).0, Verdict::Hold);
    }
    fed.net.heal();
    while !is_far_enough(&fed) {
        assert!(fed.step(fed.now_ms + 100_000), "the link never gets this far");
    }
    (fed, message)
}

fn expect_everywhere(fed: &Federation, message: &str) {
    for (service, room) in [(CHAT, COVEN), (ROOMS, COVEN_AT_ROOMS)] {
        let banquo = fed.affiliation(room, "banquo@macbeth.lit");
        assert_eq!(banquo, Affiliation::Member, "{room}");
        let name = fed.field(room, "muc#roomconfig_roomname");
        assert_eq!(name.as_deref(), Some("A dark cave"), "{room}");
        let entry = fed.host(service).engine.message(&bare(room), message);
        let is_there = entry.is_some_and(|entry| entry.payload.contains("without a name"));
        assert!(!is_there, "{room}");
    }
}

fn link_is(fed: &Federation, state: LinkState) -> bool {
    fed.host(ROOMS).engine.link_state(&bare(CHAT)) == state
}

#[test]
fn what_is_decided_after_hold_reaches_a_source_that_is_back_already() {
    let (mut fed, message) = decided_late(|fed| link_is(fed, LinkState::Up) && fed.is_settled());
    decide(&mut fed, &message);
    fed.run();
    expect_everywhere(&fed, &message);
}

#[test]
fn what_is_decided_after_hold_reaches_a_source_that_is_coming_back() {
    let (mut fed, message) = decided_late(|fed| link_is(fed, LinkState::Syncing));
    decide(&mut fed, &message);
    fed.run();
    expect_everywhere(&fed, &message);
}

#[test]
fn what_was_decided_otherwise_at_a_source_that_is_back_already_is_told() {
    let (mut fed, message) = decided_late(|fed| link_is(fed, LinkState::Up) && fed.is_settled());
    decide(&mut fed, &message);
    // Before the offer is there.
    fed.affiliate(FOO, "banquo@macbeth.lit", Affiliation::Outcast);
    fed.run();
    for room in [COVEN, COVEN_AT_ROOMS] {
        let banquo = fed.affiliation(room, "banquo@macbeth.lit");
        assert_eq!(banquo, Affiliation::Outcast, "{room}");
    }
    let is_told = |event: &&Event| matches!(event, Event::Overridden { .. });
    assert_eq!(fed.events.iter().filter(is_told).count(), 1);
}
