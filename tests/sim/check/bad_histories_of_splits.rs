//! As `bad_histories`, for what must hold through failures: each checker sees a history that breaks its guarantee.

use std::collections::{BTreeMap, BTreeSet};

use super::bad_histories::{expect_violation, joined, message, said, saw, verdict, view};
use super::{Checkers, compare};
use crate::support::event::{Cause, Crossing, Event, Seen, Turn, What};
use crate::support::names::{CHAT, COVEN, COVEN_AT_CONF, COVEN_AT_ROOMS, bare, jid};

fn kept(room: &str, number: u64, id: &str) -> Event {
    Event::Kept {
        room: bare(room),
        id: id.into(),
        payload: message(number, id).payload,
    }
}

fn turned(room: &str, turn: Turn) -> Event {
    Event::Turned {
        room: bare(room),
        turn,
    }
}

fn asked(id: &str) -> Event {
    Event::Crossed {
        from: jid(COVEN_AT_ROOMS),
        to: jid(COVEN),
        id: Some(id.into()),
        what: Crossing::Request("sync".into()),
    }
}

fn answered(id: &str, events: &[&str]) -> Event {
    Event::Crossed {
        from: jid(COVEN),
        to: jid(COVEN_AT_ROOMS),
        id: Some(id.into()),
        what: Crossing::Synced(events.iter().map(|id| (*id).to_owned()).collect()),
    }
}

/// Checkers of one distributed room that have seen this.
fn after(history: &[Event]) -> Result<Checkers, String> {
    let mut checkers = Checkers::default();
    for instance in [COVEN, COVEN_AT_ROOMS] {
        checkers.map(&bare(instance), 0);
    }
    checkers.distributed(0);
    checkers.private.most_ms = 1_000;
    for event in history {
        checkers.event(event)?;
    }
    Ok(checkers)
}

fn expect_seen(history: &[Event], guarantee: &str) {
    let verdict = after(history).and_then(|mut checkers| {
        checkers.moment()?;
        checkers.rested()
    });
    expect_violation(verdict, guarantee);
}

#[test]
fn a_local_person_who_has_to_wait_is_seen() {
    expect_seen(&[joined(COVEN), kept(COVEN, 1, "a"), said(1)], "G2");
}

#[test]
fn a_message_that_is_reflected_before_it_is_stored_is_seen() {
    expect_seen(&[said(1)], "G3");
}

fn waits(number: u64, id: &str) -> Event {
    Event::Waits {
        room: bare(COVEN),
        id: id.into(),
        payload: message(number, id).payload,
    }
}

#[test]
fn a_message_that_waits_and_is_never_stored_is_seen() {
    let history = [waits(1, "a"), said(1)];
    expect_seen(&history, "G3");
    let mut checkers = after(&history).unwrap();
    checkers.event(&kept(COVEN, 1, "a")).unwrap();
    checkers.rested().unwrap();
}

#[test]
fn messages_that_waited_and_are_stored_out_of_order_are_seen() {
    expect_seen(&[waits(1, "a"), waits(2, "b"), kept(COVEN, 2, "b")], "G3");
    expect_seen(&[waits(1, "a"), kept(COVEN, 2, "b")], "G3");
}

#[test]
fn an_id_of_what_waits_is_seen() {
    expect_seen(&[joined(COVEN), waits(1, "a"), saw(COVEN, 1, "a")], "G5");
}

#[test]
fn a_message_that_a_restart_loses_is_seen() {
    let history = [kept(COVEN, 1, "a"), turned(COVEN, Turn::Down)];
    let service = bare(CHAT);
    expect_violation(after(&history).unwrap().started(&service), "G3");
    // With the power it may go.
    let mut checkers = after(&history).unwrap();
    checkers.lossy(&service);
    checkers.started(&service).unwrap();
    // It may not if it is there again.
    let mut checkers = after(&history).unwrap();
    checkers.event(&kept(COVEN, 1, "a")).unwrap();
    checkers.started(&service).unwrap();
}

#[test]
fn a_message_that_somebody_else_holds_is_due_even_if_its_origin_lost_it() {
    let history = [
        joined(COVEN_AT_ROOMS),
        kept(COVEN, 1, "a"),
        said(1),
        Event::Saw {
            room: bare(COVEN),
            session: 9,
            seen: Seen::Message(message(1, "a")),
        },
    ];
    let join = Event::Joined {
        room: bare(COVEN),
        nick: "foo".into(),
        session: 9,
    };
    let lose = |is_elsewhere: bool| {
        let mut all = vec![join.clone()];
        all.extend(history.iter().cloned());
        if is_elsewhere {
            all.push(kept(COVEN_AT_ROOMS, 1, "a"));
        }
        all.push(turned(COVEN, Turn::Down));
        let mut checkers = after(&all).unwrap();
        checkers.lossy(&bare(CHAT));
        checkers.started(&bare(CHAT)).unwrap();
        checkers.rested()
    };
    lose(false).unwrap();
    expect_violation(lose(true), "G4");
}

#[test]
fn a_message_that_is_stored_twice_is_seen() {
    expect_seen(&[kept(COVEN, 1, "a"), kept(COVEN, 1, "a")], "G4");
}

#[test]
fn what_is_sent_though_it_is_held_is_seen() {
    let have = || kept(COVEN_AT_ROOMS, 1, "a");
    expect_seen(&[have(), asked("1"), answered("1", &["a"])], "G10");
    expect_seen(&[answered("1", &["a"])], "G10");
    // On its way when it was asked.
    after(&[asked("1"), have(), answered("1", &["a", "b"])]).unwrap();
}

#[test]
fn a_shadow_that_tells_of_others_is_seen() {
    let said_elsewhere = Event::Said {
        room: bare(COVEN_AT_CONF),
        session: 9,
        payload: message(1, "").payload,
        kept: true,
    };
    let mut checkers = Checkers::default();
    for instance in [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF] {
        checkers.map(&bare(instance), 0);
    }
    checkers.distributed(0);
    checkers.event(&kept(COVEN_AT_CONF, 1, "a")).unwrap();
    checkers.event(&said_elsewhere).unwrap();
    checkers.event(&asked("1")).unwrap();
    expect_violation(checkers.event(&answered("1", &["a"])), "G11");
    checkers.source(0, &bare(COVEN));
    checkers.event(&answered("1", &["a"])).unwrap();
}

#[test]
fn a_change_that_neither_holds_nor_is_taken_back_is_seen() {
    let tried = || Event::Tried {
        room: bare(COVEN_AT_ROOMS),
        actor: bare("witch@macbeth.lit"),
        what: What::Subject,
        was: String::new(),
        told: None,
        value: "Toil".into(),
    };
    let decided = |value: &str| Event::Decided {
        room: bare(COVEN),
        what: What::Subject,
        value: value.into(),
    };
    let told = |actor: &str| Event::Overridden {
        room: bare(COVEN_AT_ROOMS),
        actor: Some(bare(actor)),
        what: What::Subject,
    };
    expect_seen(&[tried(), decided("Trouble")], "G7");
    expect_seen(&[tried(), told("faust@marlowe.lit")], "G7");
    expect_seen(
        &[tried(), told("witch@macbeth.lit"), told("witch@macbeth.lit")],
        "G7",
    );
    expect_seen(&[told("witch@macbeth.lit")], "G7");
    after(&[tried(), decided("Toil"), decided("Trouble")])
        .unwrap()
        .rested()
        .unwrap();
    after(&[tried(), told("witch@macbeth.lit")])
        .unwrap()
        .rested()
        .unwrap();
    // A service that was put back to a backup may have the attempt again, or not; nobody hears of it twice.
    let back = || {
        let mut checkers = after(&[tried(), told("witch@macbeth.lit")]).unwrap();
        checkers.lossy(&bare(COVEN_AT_ROOMS).service());
        checkers
    };
    back().rested().unwrap();
    let mut checkers = back();
    checkers.event(&told("witch@macbeth.lit")).unwrap();
    expect_violation(checkers.event(&told("witch@macbeth.lit")), "G7");
    expect_violation(back().event(&told("faust@marlowe.lit")), "G7");
}

#[test]
fn a_change_that_was_undone_before_anybody_heard_of_it_is_none() {
    let tried = |was: &str, value: &str| Event::Tried {
        room: bare(COVEN_AT_ROOMS),
        actor: bare("witch@macbeth.lit"),
        what: What::Subject,
        was: was.into(),
        told: None,
        value: value.into(),
    };
    let decided = |value: &str| Event::Decided {
        room: bare(COVEN),
        what: What::Subject,
        value: value.into(),
    };
    let undone = [tried("Old", "Toil"), tried("Toil", "Old")];
    let then = |rest: &[Event]| [&undone[..], rest].concat();
    after(&then(&[decided("Trouble")])).unwrap().rested().unwrap();
    // The source has heard of it.
    expect_seen(&then(&[decided("Toil")]), "G7");
    // It is changed again.
    expect_seen(&then(&[tried("Old", "Fire"), decided("Trouble")]), "G7");
    expect_seen(
        &[tried("Old", "Toil"), tried("Toil", "Fire"), decided("Trouble")],
        "G7",
    );
}

#[test]
fn an_offer_that_wins_over_what_it_did_not_know_is_seen() {
    let decided = |value: &str| Event::Decided {
        room: bare(COVEN),
        what: What::Subject,
        value: value.into(),
    };
    let tried = |was: &str| Event::Tried {
        room: bare(COVEN_AT_ROOMS),
        actor: bare("witch@macbeth.lit"),
        what: What::Subject,
        was: was.into(),
        told: None,
        value: "Toil".into(),
    };
    expect_seen(
        &[decided("Old"), tried("Old"), decided("Trouble"), decided("Toil")],
        "G7",
    );
    after(&[decided("Old"), tried("Old"), decided("Toil"), decided("Toil")]).unwrap();
}

#[test]
fn a_shadow_that_goes_back_to_old_settings_is_seen() {
    let decided = |value: &str| Event::Decided {
        room: bare(COVEN),
        what: What::Subject,
        value: value.into(),
    };
    let took = |value: &str| Event::Took {
        room: bare(COVEN_AT_ROOMS),
        what: What::Subject,
        value: value.into(),
    };
    let both = [decided("Old"), decided("New")];
    let then = |rest: &[Event]| after(&[&both[..], rest].concat());
    then(&[took("Old"), took("New"), took("New")]).unwrap();
    then(&[took("New"), decided("Old"), took("Old")]).unwrap();
    then(&[took("New"), turned(COVEN_AT_ROOMS, Turn::Restarted), took("Old")]).unwrap();
    expect_seen(&[decided("Old"), decided("New"), took("New"), took("Old")], "G7");
}

#[test]
fn a_removal_by_nobody_is_seen() {
    let left = |cause| Event::Left {
        room: bare(COVEN),
        nick: "witch".into(),
        session: 1,
        cause,
    };
    for cause in [
        Cause::Removed(vec![307]),
        Cause::Removed(vec![301]),
        Cause::Removed(vec![333]),
        Cause::Ended,
    ] {
        expect_seen(&[joined(COVEN), left(cause)], "G8");
    }
    verdict(&[joined(COVEN), left(Cause::Own)]).unwrap();
}

fn saw_nick(room: &str, session: u64, id: &str, codes: &[u16]) -> Event {
    Event::Saw {
        room: bare(room),
        session,
        seen: Seen::Presence {
            nick: "foo".into(),
            affiliation: dmuc::wire::Affiliation::None,
            role: dmuc::wire::Role::Participant,
            occupant_id: Some(id.into()),
            payload: String::new(),
            codes: codes.to_vec(),
        },
    }
}

#[test]
fn somebody_who_leaves_and_comes_back_without_moving_is_seen() {
    let gone = || Event::Saw {
        room: bare(COVEN_AT_ROOMS),
        session: 1,
        seen: Seen::Gone {
            nick: "foo".into(),
            codes: Vec::new(),
            new_nick: None,
            actor: None,
            reason: None,
        },
    };
    let shown = |id| saw_nick(COVEN_AT_ROOMS, 1, id, &[]);
    // Whoever joins is shown itself.
    let home = |session, id| {
        let joined = Event::Joined {
            room: bare(COVEN),
            nick: "foo".into(),
            session,
        };
        [joined, saw_nick(COVEN, session, id, &[110])]
    };
    let left = || Event::Left {
        room: bare(COVEN),
        nick: "foo".into(),
        session: 9,
        cause: Cause::Own,
    };
    let told = |rest: Vec<Event>| {
        let mut all = vec![joined(COVEN_AT_ROOMS)];
        all.extend(home(9, "a"));
        all.push(shown("a"));
        all.extend(rest);
        all
    };
    expect_seen(&told(vec![gone(), shown("a")]), "G8");
    // Nobody has this nick whose presence is shown meanwhile.
    expect_seen(&told(vec![gone(), shown("b"), gone(), shown("a")]), "G8");
    let [joins, is_named] = home(10, "a");
    after(&told(vec![left(), gone(), joins, is_named, shown("a")])).unwrap();
    let [joins, is_named] = home(10, "b");
    after(&told(vec![
        joins,
        is_named,
        gone(),
        shown("b"),
        gone(),
        shown("a"),
    ]))
    .unwrap();
    let [joins, is_named] = home(10, "b");
    after(&told(vec![left(), joins, is_named, gone(), shown("b")])).unwrap();
}

/// A nick that somebody at a service of the XEP's text really had for a while, without an occupant-id.
#[test]
fn who_lost_the_nick_to_somebody_without_an_occupant_id_may_come_back() {
    let seen_without_id = Event::Saw {
        room: bare(COVEN_AT_ROOMS),
        session: 1,
        seen: Seen::Presence {
            nick: "foo".into(),
            affiliation: dmuc::wire::Affiliation::None,
            role: dmuc::wire::Role::Participant,
            occupant_id: None,
            payload: String::new(),
            codes: Vec::new(),
        },
    };
    let gone = Event::Saw {
        room: bare(COVEN_AT_ROOMS),
        session: 1,
        seen: Seen::Gone {
            nick: "foo".into(),
            codes: Vec::new(),
            new_nick: None,
            actor: None,
            reason: None,
        },
    };
    let takes_the_nick = |room: &str, session| Event::Joined {
        room: bare(room),
        nick: "foo".into(),
        session,
    };
    for is_there in [true, false] {
        let mut checkers = after(&[joined(COVEN_AT_ROOMS), takes_the_nick(COVEN, 9)]).unwrap();
        checkers.map(&bare(COVEN_AT_CONF), 0);
        checkers.speaks_xep_only(&bare(COVEN_AT_CONF).service());
        let mut history = vec![
            saw_nick(COVEN, 9, "a", &[110]),
            saw_nick(COVEN_AT_ROOMS, 1, "a", &[]),
        ];
        history.extend(is_there.then(|| takes_the_nick(COVEN_AT_CONF, 2)));
        history.extend([gone.clone(), seen_without_id.clone(), gone.clone()]);
        for event in &history {
            checkers.event(event).unwrap();
        }
        let verdict = checkers.event(&saw_nick(COVEN_AT_ROOMS, 1, "a", &[]));
        match is_there {
            true => verdict.unwrap(),
            false => expect_violation(verdict, "G8"),
        }
    }
}

#[test]
fn a_message_that_its_origin_lost_is_due_where_it_may_be_taken() {
    let lost_by = |origin: &str, others: &[&str], is_trusting: bool| {
        let mut history = vec![kept(origin, 1, "a")];
        let Event::Said {
            session,
            payload,
            kept: is_kept,
            ..
        } = said(1)
        else {
            panic!("nothing was said")
        };
        let room = bare(origin);
        history.push(Event::Said {
            room,
            session,
            payload,
            kept: is_kept,
        });
        history.extend(others.iter().map(|other| kept(other, 1, "a")));
        history.push(turned(origin, Turn::Down));
        let mut checkers = after(&history).unwrap();
        checkers.source(0, &bare(COVEN));
        checkers.map(&bare(COVEN_AT_CONF), 0);
        checkers.ledger.is_trusting = is_trusting;
        checkers.lossy(&bare(origin).service());
        checkers.started(&bare(origin).service()).unwrap();
        checkers.stranded()
    };
    let message = message(1, "a").payload;
    assert!(lost_by(COVEN, &[COVEN_AT_ROOMS], false).contains(&message));
    assert!(lost_by(COVEN_AT_ROOMS, &[COVEN_AT_CONF], false).contains(&message));
    // From the source everybody takes it, and so they do from those they trust.
    assert!(lost_by(COVEN_AT_ROOMS, &[COVEN], false).is_empty());
    assert!(lost_by(COVEN, &[COVEN_AT_ROOMS], true).is_empty());
    let views = [view(COVEN), view(COVEN_AT_ROOMS)];
    let mut few = views.clone();
    few[1].history.remove(0);
    few[1].archive.retain(|id| id != "a");
    let none = BTreeSet::new();
    expect_violation(compare(&few, &[], &none, false), "G6");
    compare(&few, &[], &BTreeSet::from([message]), false).unwrap();
}

#[test]
fn an_outcast_who_is_somewhere_is_seen() {
    let witch = bare("witch@macbeth.lit");
    let mut source = view(COVEN);
    source.affiliations = BTreeMap::from([(witch.clone(), "Listed { affiliation: Outcast }".into())]);
    let mut shadow = view(COVEN_AT_ROOMS);
    shadow.affiliations = source.affiliations.clone();
    compare(&[source.clone(), shadow.clone()], &[], &BTreeSet::new(), false).unwrap();
    shadow.present.push((witch, "foo".into()));
    expect_violation(compare(&[source, shadow], &[], &BTreeSet::new(), false), "G9");
}

#[test]
fn more_messages_than_are_kept_are_seen() {
    let mut long = view(COVEN);
    long.max_messages = Some(1);
    expect_violation(compare(&[long.clone()], &[], &BTreeSet::new(), false), "G13");
    long.max_messages = Some(2);
    compare(&[long.clone()], &[], &BTreeSet::new(), false).unwrap();
    long.stored = 1_000;
    expect_violation(compare(&[long], &[], &BTreeSet::new(), false), "G13");
}

#[test]
fn a_private_message_without_an_end_or_with_a_wrong_one_is_seen() {
    let sent = Event::Private {
        room: bare(COVEN_AT_ROOMS),
        to: bare(COVEN),
        token: 3,
        is_request: false,
    };
    let ended = |may_be_lost| Event::PrivateEnded {
        room: bare(COVEN_AT_ROOMS),
        token: 3,
        is_done: true,
        may_be_lost,
    };
    let arrived = Event::PrivateArrived {
        room: bare(COVEN_AT_ROOMS),
        token: 3,
    };
    let mut checkers = after(std::slice::from_ref(&sent)).unwrap();
    checkers.moment().unwrap();
    checkers.time(1_001);
    expect_violation(checkers.moment(), "private");
    expect_seen(&[sent.clone(), ended(false)], "private");
    expect_seen(
        &[sent.clone(), arrived.clone(), ended(false), ended(false)],
        "private",
    );
    after(&[sent.clone(), ended(true)]).unwrap();
    after(&[sent, arrived, ended(false)]).unwrap().rested().unwrap();
}

#[test]
fn a_good_history_with_a_split_passes() {
    let history = [
        joined(COVEN_AT_ROOMS),
        kept(COVEN, 1, "a"),
        said(1),
        asked("1"),
        answered("1", &["a"]),
        kept(COVEN_AT_ROOMS, 1, "a"),
        saw(COVEN_AT_ROOMS, 1, "a"),
    ];
    after(&history).unwrap().rested().unwrap();
}
