//! A checker that cannot fail proves nothing: each is fed a history that breaks its guarantee.

use std::collections::{BTreeMap, BTreeSet};

use dmuc::wire::{Condition, StanzaError};

use super::{Checkers, View, compare};
use crate::support::event::{Cause, Crossing, Event, Seen, SeenMessage};
use crate::support::names::{CHAT, COVEN, COVEN_AT_CONF, COVEN_AT_ROOMS, ROOMS, bare, jid};

fn checkers() -> Checkers {
    let mut checkers = Checkers::default();
    for instance in [COVEN, COVEN_AT_ROOMS] {
        checkers.map(&bare(instance), 0);
    }
    checkers
}

pub fn message(number: u64, stanza_id: &str) -> SeenMessage {
    SeenMessage {
        nick: "foo".into(),
        payload: format!("<body>foo says {number}</body>"),
        message_id: None,
        stanza_id: Some(stanza_id.into()),
        occupant_id: None,
        delayed: false,
    }
}

pub fn saw(room: &str, number: u64, stanza_id: &str) -> Event {
    Event::Saw {
        room: bare(room),
        session: 1,
        seen: Seen::Message(message(number, stanza_id)),
    }
}

pub fn joined(room: &str) -> Event {
    Event::Joined {
        room: bare(room),
        nick: "witch".into(),
        session: 1,
    }
}

pub fn said(number: u64) -> Event {
    Event::Said {
        room: bare(COVEN),
        session: 9,
        payload: message(number, "").payload,
        kept: true,
    }
}

fn crossed(what: Crossing) -> Event {
    Event::Crossed {
        from: jid(&format!("{COVEN}/foo")),
        to: jid(&format!("{COVEN_AT_ROOMS}/foo")),
        id: None,
        what,
    }
}

/// What the checkers say of a history.
pub fn verdict(history: &[Event]) -> Result<(), String> {
    let mut checkers = checkers();
    for event in history {
        checkers.event(event)?;
    }
    checkers.rested()
}

pub fn expect_violation(verdict: Result<(), String>, guarantee: &str) {
    let error = verdict.expect_err("the checker saw nothing wrong");
    assert!(error.starts_with(guarantee), "{error}");
}

#[test]
fn a_good_history_passes() {
    let history = [
        joined(COVEN_AT_ROOMS),
        said(1),
        saw(COVEN_AT_ROOMS, 1, "a"),
        said(2),
        saw(COVEN_AT_ROOMS, 2, "b"),
    ];
    verdict(&history).unwrap();
}

#[test]
fn a_message_that_crosses_twice_is_seen() {
    let what = Crossing::Message {
        payload: "<body>x</body>".into(),
    };
    expect_violation(verdict(&[crossed(what.clone()), crossed(what)]), "G1");
}

#[test]
fn a_presence_that_crosses_twice_for_one_change_is_seen() {
    let presence = || crossed(Crossing::Presence { available: true });
    let changed = || Event::Changed {
        room: bare(COVEN),
        nick: "foo".into(),
    };
    expect_violation(verdict(&[presence()]), "G1");
    expect_violation(verdict(&[changed(), presence(), presence()]), "G1");
    expect_violation(
        verdict(&[changed(), changed(), presence(), presence(), presence()]),
        "G1",
    );
    expect_violation(
        verdict(&[changed(), presence(), changed(), presence(), presence()]),
        "G1",
    );
    verdict(&[changed(), presence(), changed(), presence()]).unwrap();
    verdict(&[changed(), changed(), presence(), presence()]).unwrap();
}

#[test]
fn a_subject_that_crosses_twice_is_seen() {
    let what = Crossing::Subject { text: "x".into() };
    expect_violation(verdict(&[crossed(what.clone()), crossed(what)]), "G1");
}

#[test]
fn a_message_shown_twice_is_seen() {
    let history = [joined(COVEN), said(1), saw(COVEN, 1, "a"), saw(COVEN, 1, "a")];
    expect_violation(verdict(&history), "G4");
}

#[test]
fn messages_of_one_sender_out_of_order_are_seen() {
    let history = [
        joined(COVEN),
        said(1),
        said(2),
        saw(COVEN, 2, "b"),
        saw(COVEN, 1, "a"),
    ];
    expect_violation(verdict(&history), "G4");
}

/// Numbers are what a late message is told by, and the XEP's text has none.
#[test]
fn only_what_a_touched_service_of_the_text_says_may_come_out_of_order() {
    let says = |home: &str, number: u64| {
        let mut message = message(number, &format!("{home}{number}"));
        message.payload = format!("<body>{home}#9 says {number}</body>");
        let seen = Seen::Message(message);
        Event::Saw {
            room: bare(COVEN),
            session: 1,
            seen,
        }
    };
    for (home, is_touched, is_fine) in [
        (COVEN_AT_ROOMS, false, false),
        (COVEN_AT_ROOMS, true, true),
        (COVEN_AT_CONF, true, false),
    ] {
        let mut checkers = checkers();
        checkers.speaks_xep_only(&bare(ROOMS));
        if is_touched {
            checkers.touched(&bare(ROOMS));
        }
        for event in [joined(COVEN), says(home, 2)] {
            checkers.event(&event).unwrap();
        }
        let late = checkers.event(&says(home, 1));
        assert_eq!(late.is_ok(), is_fine, "{home}, touched: {is_touched}, {late:?}");
        // Once it is, whatever it is.
        expect_violation(checkers.event(&says(home, 1)), "G4");
    }
}

#[test]
fn a_lost_message_is_seen() {
    expect_violation(verdict(&[joined(COVEN_AT_ROOMS), said(1)]), "G4");
}

/// What is not kept is lost with the connection it is on: only what was on its way when a fault began.
#[test]
fn what_is_not_kept_and_was_said_long_before_a_fault_is_due() {
    let mut checkers = checkers();
    let mut history = [joined(COVEN_AT_ROOMS), said(1)];
    let Event::Said { kept, .. } = &mut history[1] else {
        panic!()
    };
    *kept = false;
    history.iter().for_each(|event| checkers.event(event).unwrap());
    checkers.unsettle();
    checkers.rested().unwrap();
    checkers.event(&history[1]).unwrap();
    checkers.time(60_000);
    checkers.unsettle();
    expect_violation(checkers.rested(), "G4");
}

#[test]
fn who_speaks_the_text_only_may_miss_something_only_when_its_source_has_forgotten_it() {
    for is_forgotten in [false, true] {
        let mut checkers = checkers();
        checkers.replicates_on_join = true;
        checkers.source(0, &bare(COVEN));
        checkers.speaks_xep_only(&bare(ROOMS));
        if is_forgotten {
            checkers.lossy(&bare(CHAT));
        }
        for event in [joined(COVEN_AT_ROOMS), said(1)] {
            checkers.event(&event).unwrap();
        }
        let heard = checkers.rested().map_err(|error| error[..2].to_owned());
        let due = (!is_forgotten).then(|| "G4".to_owned());
        assert_eq!(heard.err(), due);
    }
}

#[test]
fn a_message_to_somebody_who_has_left_is_seen() {
    let left = Event::Left {
        room: bare(COVEN),
        nick: "witch".into(),
        session: 1,
        cause: Cause::Own,
    };
    expect_violation(verdict(&[joined(COVEN), said(1), left, saw(COVEN, 1, "a")]), "G4");
}

#[test]
fn two_stanza_ids_for_one_message_are_seen() {
    let history = [
        joined(COVEN),
        joined(COVEN_AT_ROOMS),
        said(1),
        saw(COVEN, 1, "a"),
        saw(COVEN_AT_ROOMS, 1, "b"),
    ];
    expect_violation(verdict(&history), "G5");
}

#[test]
fn a_refusal_between_honest_engines_is_seen() {
    let refused = |condition| Event::Refused {
        by: bare("rooms.macbeth.lit"),
        from: jid(COVEN),
        error: StanzaError::new(condition),
        stanza: format!(
            "<message from='{COVEN}/foo' to='{COVEN_AT_ROOMS}/foo' type='groupchat'><body/></message>"
        ),
    };
    assert!(verdict(&[refused(Condition::NotAcceptable)]).is_err());
    let mut checkers = checkers();
    checkers.loosen(0);
    checkers.event(&refused(Condition::NotAcceptable)).unwrap();
}

#[test]
fn an_instance_may_be_unknown_only_to_whom_the_source_could_not_tell() {
    let refused = |text: &str| Event::Refused {
        by: bare("rooms.macbeth.lit"),
        from: jid(&format!("{COVEN_AT_CONF}/foo")),
        error: StanzaError::with_text(Condition::Forbidden, text),
        stanza: format!(
            "<message from='{COVEN_AT_CONF}/foo' to='{COVEN_AT_ROOMS}/foo' type='groupchat'><body/></message>"
        ),
    };
    let unknown = "This is not an instance of the room";
    let judged = |text: &str, between: &str| {
        let mut checkers = checkers();
        checkers.source(0, &bare(COVEN));
        let trouble = (bare("rooms.macbeth.lit"), bare(between));
        checkers.trouble(BTreeSet::from([trouble]), BTreeSet::new());
        checkers.event(&refused(text))
    };
    let source = bare(COVEN).service().to_string();
    judged(unknown, &source).unwrap();
    assert!(judged("Not entitled", &source).is_err());
    assert!(judged(unknown, bare(COVEN_AT_CONF).service().as_str()).is_err());
    expect_violation(verdict(&[refused(unknown)]), "rooms.macbeth.lit refuses");
}

/// Three instances, two of which cannot reach each other: the third tells one that the other has the nick, or one of the two
/// tells the third so of who has given it up.
#[test]
fn a_nick_may_be_lost_only_by_who_could_not_hear_of_it() {
    let judged = |text: &str, trouble: Option<(&str, &str)>| {
        let mut checkers = checkers();
        let trouble = trouble.map(|(one, other)| (bare(one), bare(other)));
        checkers.trouble(trouble.into_iter().collect(), BTreeSet::new());
        checkers.event(&Event::Refused {
            by: bare("rooms.macbeth.lit"),
            from: jid(&format!("{COVEN_AT_CONF}/foo")),
            error: StanzaError::with_text(Condition::Conflict, text),
            stanza: format!(
                "<message from='{COVEN_AT_CONF}/foo' to='{COVEN_AT_ROOMS}/foo'><body/></message>"
            ),
        })
    };
    let lost = "Somebody else has this nick: the occupant needs another one";
    let refused = ("conference.marlowe.lit", "chat.shakespeare.lit");
    judged(lost, Some(refused)).unwrap();
    judged(lost, Some(("chat.shakespeare.lit", "rooms.macbeth.lit"))).unwrap();
    assert!(judged(lost, None).is_err());
    assert!(judged(lost, Some(("chat.shakespeare.lit", "other.example"))).is_err());
    assert!(judged("Other", Some(refused)).is_err());
}

#[test]
fn more_requests_than_the_bound_are_seen() {
    expect_violation(checkers().bounds(&bare(COVEN), 1_000_000), "G13");
}

pub fn view(instance: &str) -> View {
    View {
        instance: instance.into(),
        is_xep: false,
        history: vec![message(1, "a"), message(2, "b")],
        archive: vec!["b".into(), "a".into()],
        roster: BTreeMap::from([("foo".into(), BTreeMap::from([(bare(COVEN), "owner".into())]))]),
        present: Vec::new(),
        max_messages: None,
        stored: 0,
        texts: Vec::new(),
        registered: Vec::new(),
        settings: "form".into(),
        untold: BTreeSet::new(),
        contested: BTreeSet::new(),
        affiliations: BTreeMap::from([(bare("crone1@shakespeare.lit"), "owner".into())]),
        disagreements: Vec::new(),
    }
}

/// The source, a shadow that agrees, and one that is different in one way.
fn expect_difference(change: impl FnOnce(&mut View), guarantee: &str) {
    let mut odd = view(COVEN_AT_CONF);
    change(&mut odd);
    expect_violation(
        compare(
            &[view(COVEN), view(COVEN_AT_ROOMS), odd],
            &[],
            &BTreeSet::new(),
            false,
        ),
        guarantee,
    );
}

#[test]
fn instances_that_agree_pass() {
    compare(
        &[view(COVEN), view(COVEN_AT_ROOMS), view(COVEN_AT_CONF)],
        &[],
        &BTreeSet::new(),
        false,
    )
    .unwrap();
}

#[test]
fn only_who_came_before_its_service_knew_of_an_instance_may_be_missing() {
    let untold = |view: &mut View, nick: &str| {
        view.untold.insert((nick.into(), bare(COVEN)));
    };
    let mut late = view(COVEN_AT_CONF);
    untold(&mut late, "foo");
    let agrees = |late: &View| compare(&[view(COVEN), late.clone()], &[], &BTreeSet::new(), false);
    agrees(&late).unwrap();
    late.roster.clear();
    agrees(&late).unwrap();
    expect_difference(
        |view| {
            untold(view, "bar");
            view.roster.clear();
        },
        "G6: occupant foo",
    );
    let as_other = |view: &mut View| {
        untold(view, "foo");
        let homes = BTreeMap::from([(bare(COVEN), "none".into())]);
        view.roster.insert("foo".into(), homes);
    };
    expect_difference(as_other, "G6: occupant foo");
}

#[test]
fn every_way_to_differ_is_seen() {
    expect_difference(|view| view.history.reverse(), "G6: message 0");
    expect_difference(
        |view| {
            view.history.pop();
            view.archive.remove(0);
        },
        "G6: message 1",
    );
    expect_difference(
        |view| view.history[0].occupant_id = Some("other".into()),
        "G6: message 0",
    );
    expect_difference(|view| view.archive.truncate(1), "G6: archive");
    expect_difference(|view| view.archive.push("a".into()), "G4: the archive");
    expect_difference(|view| view.roster.clear(), "G6: occupant foo");
    expect_difference(
        |view| drop(view.roster.insert("ghost".into(), BTreeMap::new())),
        "G6: occupant ghost",
    );
    expect_difference(
        |view| drop(view.roster.insert("foo".into(), BTreeMap::new())),
        "G6: occupant foo",
    );
    expect_difference(|view| view.settings.clear(), "G6: the configuration");
    expect_difference(|view| view.affiliations.clear(), "G6: the list");
    expect_difference(|view| view.disagreements.push("x".into()), "G6: at");
}
