//! Whether the source is asked or a shadow decides provisionally (G7) is the engine's to say.

use dmuc::engine::LinkState;
use dmuc::wire::{Act, ActKind, Affiliation, Condition, Form};
use dmuc::{Input, Verdict};

use crate::scenes;
use crate::support::federation::Federation;
use crate::support::names::*;
use crate::support::net::Mode;

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
