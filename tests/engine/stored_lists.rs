//! A long list of affiliations is stored beside its room: one more entry costs what it is.

use dmuc::engine::{Input, Ruled};
use dmuc::snapshot::ListPart;
use dmuc::wire::{Affiliation, Hats, Hatted};
use dmuc::{Engine, Snapshot};

use crate::scenes;
use crate::support::federation::Federation;
use crate::support::names::*;

const MOST_WITHIN: usize = 10;
const ENTRIES: usize = 100;

fn thane(number: usize) -> String {
    format!("thane{number}@scotland.lit")
}

/// A source with so many members, besides its owner, of whose host nothing is stored any more.
fn crowd(count: usize) -> Federation {
    let mut fed = scenes::shared(&[CHAT, ROOMS]);
    fed.join(FOO, CRONE1);
    for number in 0..count {
        fed.affiliate(FOO, &thane(number), Affiliation::Member);
    }
    fed.run();
    // What is to be stored is asked for here alone.
    fed.at(&bare(CHAT), |host| host.is_store_away = true);
    fed
}

fn parts(fed: &mut Federation, has_none: bool) -> (Snapshot, ListPart) {
    fed.at(&bare(CHAT), |host| {
        host.engine
            .snapshot_in_parts(&bare(COVEN), has_none, MOST_WITHIN)
            .unwrap()
    })
}

fn whole(fed: &Federation) -> String {
    fed.host(CHAT).engine.snapshot(&bare(COVEN)).unwrap().to_xml()
}

fn base(fed: &mut Federation) -> String {
    match parts(fed, true) {
        (_, ListPart::Whole(list)) => list,
        (_, other) => panic!("{other:?}"),
    }
}

fn changes(fed: &mut Federation) -> (String, String) {
    match parts(fed, false) {
        (snapshot, ListPart::Changes(list)) => (snapshot.to_xml(), list),
        (_, other) => panic!("{other:?}"),
    }
}

#[test]
fn one_more_entry_is_all_that_is_stored_of_a_long_list() {
    let mut lengths = Vec::new();
    for count in [ENTRIES, 5 * ENTRIES] {
        let mut fed = crowd(count);
        let stored = base(&mut fed);
        assert!(stored.contains(&thane(count - 1)));
        assert_eq!(parts(&mut fed, false).1, ListPart::Unchanged);
        fed.affiliate(FOO, "macduff@scotland.lit", Affiliation::Admin);
        let (snapshot, list) = changes(&mut fed);
        assert!(list.contains("macduff@scotland.lit") && !list.contains("thane"));
        assert!(!snapshot.contains("scotland.lit"), "{snapshot}");
        lengths.push(snapshot.len() + list.len());
        let read = Snapshot::parse_in_parts(&snapshot, &(stored + &list)).unwrap();
        assert_eq!(read.to_xml(), whole(&fed));
    }
    assert_eq!(lengths[0], lengths[1]);
}

/// Off the list, with a hat, and banned since: whatever goes with an entry.
#[test]
fn the_last_word_on_an_entry_is_what_comes_back() {
    let mut fed = crowd(ENTRIES);
    let hats = "<hats xmlns='urn:xmpp:hats:0'><hat uri='urn:hat:thane' title='Thane'/></hats>";
    let mut stored = base(&mut fed);
    let mut take_in = |fed: &mut Federation, what: &str| {
        fed.run();
        let (snapshot, list) = changes(fed);
        stored.push_str(&list);
        let read = Snapshot::parse_in_parts(&snapshot, &stored).unwrap();
        assert_eq!(read.to_xml(), whole(fed), "{what}");
    };
    for (number, affiliation) in [
        (1, Affiliation::None),
        (2, Affiliation::Outcast),
        (3, Affiliation::Outcast),
        (3, Affiliation::Member),
        (1, Affiliation::Admin),
    ] {
        fed.affiliate(FOO, &thane(number), affiliation);
        take_in(&mut fed, affiliation.as_str());
    }
    fed.at(&bare(CHAT), |host| {
        let (jid, hats) = (bare(&thane(4)), Hats::parse(hats).unwrap());
        let room = bare(COVEN);
        let ruled = Ruled::by_the_room(&room, Hatted { jid, hats });
        host.input(Input::Ruled(ruled)).unwrap();
    });
    take_in(&mut fed, "hats");
}

#[test]
fn a_list_is_written_anew_after_as_many_changes_as_it_has_entries() {
    let mut fed = crowd(ENTRIES);
    base(&mut fed);
    let mut given = 0;
    let anew = loop {
        fed.affiliate(FOO, &thane(1_000 + given), Affiliation::Member);
        match parts(&mut fed, false).1 {
            ListPart::Changes(_) => given += 1,
            other => break other,
        }
    };
    assert!(matches!(anew, ListPart::Whole(_)), "{anew:?}");
    assert!((ENTRIES..=ENTRIES + 2).contains(&given), "{given}");
    // Also if nothing was asked for meanwhile.
    for number in 0..3 * ENTRIES {
        fed.affiliate(FOO, &thane(number), Affiliation::Admin);
    }
    assert!(matches!(parts(&mut fed, false).1, ListPart::Whole(_)));
}

#[test]
fn a_short_list_stays_with_its_room() {
    let mut fed = crowd(MOST_WITHIN / 2);
    let (snapshot, list) = parts(&mut fed, true);
    assert_eq!((snapshot.to_xml(), list), (whole(&fed), ListPart::Within));
    // It grows, and gets short again.
    for number in 0..2 * MOST_WITHIN {
        fed.affiliate(FOO, &thane(number), Affiliation::Member);
    }
    base(&mut fed);
    for number in 0..2 * MOST_WITHIN {
        fed.affiliate(FOO, &thane(number), Affiliation::None);
    }
    for number in 0..2 * MOST_WITHIN {
        fed.affiliate(FOO, &thane(number % 2), Affiliation::Member);
        fed.affiliate(FOO, &thane(number % 2), Affiliation::None);
        parts(&mut fed, false);
    }
    assert_eq!(parts(&mut fed, false).1, ListPart::Within);
}

/// After a restart the list is gone on with where it was, unless something of it could not be read.
#[test]
fn a_list_that_was_read_is_not_written_anew() {
    let mut fed = crowd(ENTRIES);
    let stored = base(&mut fed);
    fed.affiliate(FOO, "macduff@scotland.lit", Affiliation::Admin);
    let (snapshot, list) = changes(&mut fed);
    let (config, now) = fed.at(&bare(CHAT), |host| (host.engine.config().clone(), host.now));
    let restored = |list: &str| {
        let mut engine = Engine::new(config.clone(), [7; 32]);
        let read = Snapshot::parse_in_parts(&snapshot, list).unwrap();
        engine.restore(now, &read).unwrap();
        let (_, part) = engine
            .snapshot_in_parts(&bare(COVEN), false, MOST_WITHIN)
            .unwrap();
        part
    };
    assert_eq!(restored(&(stored.clone() + &list)), ListPart::Unchanged);
    let broken = stored.replace("jid='thane7@", "jid='@");
    assert_ne!(broken, stored);
    assert!(matches!(restored(&(broken + &list)), ListPart::Whole(_)));
}

/// A room without its list is none: its version would be that of a list that it has not got.
#[test]
fn a_room_does_not_come_back_without_its_list() {
    let mut fed = crowd(ENTRIES);
    let stored = base(&mut fed);
    let snapshot = parts(&mut fed, false).0.to_xml();
    let (within, only_changes) = (whole(&fed), stored.replace(" whole='true'", ""));
    for (snapshot, list) in [
        (&*snapshot, None),
        (&snapshot, Some("")),
        (&snapshot, Some("<list")),
        (&snapshot, Some("<roster/>")),
        (&snapshot, Some(&*only_changes)),
        (&within, Some(&*stored)),
    ] {
        let read = match list {
            Some(list) => Snapshot::parse_in_parts(snapshot, list),
            None => Snapshot::parse(snapshot),
        };
        let text = read.map(|_| ()).unwrap_err().to_string();
        assert!(text.contains("its list of affiliations"), "{text}");
    }
}
