//! As `bad_histories`, for registered nicks and messages that are taken away.

use dmuc::wire::{Affiliation, Picture};

use super::bad_histories::{expect_violation, joined, message, said, verdict, view};
use super::{Checkers, View};
use crate::support::avatar::vcard;
use crate::support::event::{Asked, Event, Turn, What};
use crate::support::moderate::{GONE, THERE};
use crate::support::names::{COVEN, COVEN_AT_CONF, COVEN_AT_ROOMS, bare};

const WITCH: &str = "witch@macbeth.lit";

fn asked(token: u64, wish: Asked) -> Event {
    Event::Asked {
        room: bare(COVEN_AT_ROOMS),
        token,
        wish,
    }
}

fn answered(token: u64, is_done: bool) -> Event {
    Event::Answered {
        room: bare(COVEN_AT_ROOMS),
        token,
        is_done,
    }
}

fn decided(what: What, value: &str) -> Event {
    Event::Decided {
        room: bare(COVEN),
        what,
        value: value.into(),
    }
}

fn gone(id: &str) -> Event {
    decided(What::Message(id.into()), GONE)
}

fn listed(value: &str) -> Event {
    decided(What::Affiliation(bare(WITCH)), value)
}

#[test]
fn a_yes_that_is_not_true_is_seen() {
    let nick = |nick: Option<&str>| Asked::Registration(bare(WITCH), nick.map(str::to_owned));
    let wishes = [
        (Asked::Message("a".into()), gone("a"), gone("b")),
        (nick(Some("wyrd")), listed("member as wyrd"), listed("member")),
        (nick(None), listed("admin"), listed("admin as wyrd")),
        (
            Asked::Affiliation(bare(WITCH), Affiliation::Admin),
            listed("admin as wyrd"),
            listed("member"),
        ),
    ];
    for (wish, right, wrong) in wishes {
        let begun = || [listed("member as other"), asked(1, wish.clone())];
        let then = |rest: &[Event]| verdict(&[&begun(), rest].concat());
        then(&[right.clone(), answered(1, true)]).unwrap();
        then(&[answered(1, false)]).unwrap();
        expect_violation(then(&[answered(1, true)]), "G7");
        expect_violation(then(&[wrong, answered(1, true)]), "G7");
        // It was so before.
        verdict(&[right, asked(1, wish.clone()), answered(1, true)]).unwrap();
    }
}

#[test]
fn a_wish_without_an_answer_is_seen() {
    let wish = || asked(1, Asked::Other);
    expect_violation(verdict(&[wish()]), "asked");
    verdict(&[wish(), answered(1, true)]).unwrap();
    let down = Event::Turned {
        room: bare(COVEN_AT_ROOMS),
        turn: Turn::Down,
    };
    verdict(&[wish(), down]).unwrap();
    let mut checkers = Checkers::default();
    checkers.asked.most_ms = 1_000;
    checkers.event(&wish()).unwrap();
    checkers.time(1_000);
    checkers.asked.in_time().unwrap();
    checkers.time(1_001);
    expect_violation(checkers.asked.in_time(), "asked");
}

/// What the checkers say of three instances, one of which holds this.
fn compared(history: &[Event], change: impl FnOnce(&mut View)) -> Result<(), String> {
    let mut checkers = Checkers::default();
    checkers.map(&bare(COVEN), 0);
    for event in history {
        checkers.event(event).unwrap();
    }
    let mut odd = view(COVEN_AT_CONF);
    change(&mut odd);
    checkers.compare_rulings(0, &[view(COVEN), view(COVEN_AT_ROOMS), odd])
}

#[test]
fn a_message_that_was_taken_away_and_is_somewhere_is_seen() {
    let holds = |payload: &'static str| move |view: &mut View| view.texts.push(("a".into(), payload.into()));
    compared(&[gone("a")], holds("")).unwrap();
    expect_violation(compared(&[gone("a")], holds("text")), "G7");
    compared(&[gone("b")], holds("text")).unwrap();
    // And one that nobody took away.
    expect_violation(compared(&[gone("b")], holds("")), "G3");
}

#[test]
fn a_message_that_was_taken_away_before_somebody_heard_it_is_not_due() {
    let kept = Event::Kept {
        room: bare(COVEN),
        id: "a".into(),
        payload: message(1, "a").payload,
    };
    let history = [joined(COVEN_AT_ROOMS), kept, said(1)];
    expect_violation(verdict(&history), "G4");
    verdict(&[&history[..], &[gone("a")]].concat()).unwrap();
}

#[test]
fn a_nick_that_is_two_peoples_is_seen() {
    let owned = |view: &mut View| view.registered.push((bare(WITCH), "wyrd".into()));
    compared(&[], owned).unwrap();
    let twice = |view: &mut View| {
        owned(view);
        view.registered.push((bare("faust@marlowe.lit"), "wyrd".into()));
    };
    expect_violation(compared(&[], twice), "G7");
    let taken = |user: &'static str| {
        move |view: &mut View| {
            owned(view);
            view.present.push((bare(user), "wyrd".into()));
        }
    };
    compared(&[], taken(WITCH)).unwrap();
    expect_violation(compared(&[], taken("faust@marlowe.lit")), "G7");
}

/// Out of the source's reach what is ruled here is a change like any other.
#[test]
fn a_registration_or_a_moderation_that_is_overridden_in_silence_is_seen() {
    let what = || What::Affiliation(bare(WITCH));
    for (what, was, value, other) in [
        (what(), "member", "member as wyrd", "admin"),
        (What::Message("a".into()), THERE, GONE, THERE),
    ] {
        let tried = Event::Tried {
            room: bare(COVEN_AT_ROOMS),
            actor: bare(WITCH),
            what: what.clone(),
            was: was.into(),
            told: None,
            value: value.into(),
        };
        let told = Event::Overridden {
            room: bare(COVEN_AT_ROOMS),
            actor: Some(bare(WITCH)),
            what: what.clone(),
        };
        expect_violation(verdict(&[tried.clone(), decided(what.clone(), other)]), "G7");
        verdict(&[tried.clone(), decided(what, value)]).unwrap();
        verdict(&[tried, told]).unwrap();
    }
}

/// What is changed at a shadow that had been told of the source's avatar is changed after it, though the picture is not there yet.
#[test]
fn an_avatar_that_is_taken_over_one_that_the_shadow_had_not_been_told_of_is_seen() {
    let (one, two) = (vcard("one", 40), vcard("two", 40));
    let hash = Picture::parse(&one).unwrap().unwrap().avatar.hash;
    let tried = |told: Option<&str>| Event::Tried {
        room: bare(COVEN_AT_ROOMS),
        actor: bare(WITCH),
        what: What::Avatar,
        was: String::new(),
        told: told.map(str::to_owned),
        value: two.clone(),
    };
    let history = |told| {
        [
            decided(What::Avatar, &one),
            tried(told),
            decided(What::Avatar, &two),
        ]
    };
    verdict(&history(Some(&hash))).unwrap();
    expect_violation(verdict(&history(None)), "G7");
}
