//! As `bad_histories`, for what liars say and who is banned.

use dmuc::wire::{Affiliation, Role};

use super::bad_histories::{expect_violation, joined, view};
use super::{Checkers, View};
use crate::support::event::{Event, Seen, SeenMessage, What};
use crate::support::names::{COVEN, COVEN_AT_CONF, COVEN_AT_ROOMS, bare};

fn checkers() -> Checkers {
    let mut checkers = Checkers::default();
    checkers.beware(true);
    checkers.source(0, &bare(COVEN));
    for instance in [COVEN_AT_ROOMS, COVEN_AT_CONF] {
        checkers.map(&bare(instance), 0);
    }
    checkers
}

/// A client is shown its own presence.
fn named(room: &str, id: &str) -> Event {
    Event::Saw {
        room: bare(room),
        session: 1,
        seen: Seen::Presence {
            nick: "witch".into(),
            affiliation: Affiliation::None,
            role: Role::Participant,
            occupant_id: Some(id.into()),
            payload: String::new(),
            codes: vec![110],
        },
    }
}

fn lie(room: &str, occupant_id: Option<&str>) -> Event {
    Event::Saw {
        room: bare(room),
        session: 2,
        seen: Seen::Message(SeenMessage {
            nick: "evil".into(),
            payload: "<body>lie 1</body>".into(),
            message_id: None,
            stanza_id: Some("a".into()),
            occupant_id: occupant_id.map(str::to_owned),
            delayed: false,
        }),
    }
}

#[test]
fn a_lie_in_the_name_of_who_is_here_is_seen() {
    let mut checkers = checkers();
    for event in [joined(COVEN_AT_ROOMS), named(COVEN_AT_ROOMS, "witch's")] {
        checkers.event(&event).unwrap();
    }
    expect_violation(checkers.lie(&lie(COVEN_AT_ROOMS, Some("witch's"))), "G11");
    checkers.lie(&lie(COVEN_AT_ROOMS, Some("evil's"))).unwrap();
    checkers.lie(&lie(COVEN_AT_ROOMS, None)).unwrap();
    // Another instance may know nothing but the id, which everybody knows.
    checkers.lie(&lie(COVEN_AT_CONF, Some("witch's"))).unwrap();
}

#[test]
fn words_of_who_is_banned_are_seen() {
    let user = bare("witch@macbeth.lit");
    let id = dmuc::ids::occupant_id(&user, &format!("salt of {COVEN}"));
    let listed = |value: &str| Event::Decided {
        room: bare(COVEN),
        what: What::Affiliation(user.clone()),
        value: value.into(),
    };
    let said = Event::Said {
        room: bare(COVEN_AT_ROOMS),
        session: 1,
        payload: "<body>words</body>".into(),
        kept: true,
    };
    let here = [joined(COVEN_AT_ROOMS), named(COVEN_AT_ROOMS, &id)];
    let ban = listed("outcast");
    let after = |history: &[Event]| {
        let group = |_: &_| Some(0);
        let mut outcasts = super::outcasts::Outcasts::default();
        history.iter().for_each(|event| outcasts.event(event, &group));
        let mut odd: View = view(COVEN_AT_CONF);
        odd.texts.push(("a".into(), "<body>words</body>".into()));
        outcasts.compare(0, &[view(COVEN), odd])
    };
    let [joined, named] = here;
    expect_violation(
        after(&[joined.clone(), named.clone(), ban.clone(), said.clone()]),
        "G9",
    );
    // Before the ban, or when it was lifted before anybody could see it.
    after(&[joined.clone(), named.clone(), said.clone(), ban.clone()]).unwrap();
    after(&[joined, named, ban, said, listed("none")]).unwrap();
}
