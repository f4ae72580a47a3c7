//! A log whose older messages are in the stored one only is the same log.

use super::super::*;
use super::*;

fn entry(origin: &str, seq: u64) -> Entry {
    let key = EventKey {
        at: Hlc {
            wall_ms: 1_000 * seq,
            counter: 0,
        },
        origin: BareJid::new(origin).unwrap(),
        incarnation: 7,
        seq,
    };
    Entry {
        id: key.stanza_id(),
        key,
        nick: "n".into(),
        lang: None,
        message_id: Some(format!("m{seq}")),
        occupant_id: Some("o".into()),
        payload: format!("<body>Number {seq} of {origin}</body>").into(),
        received_ms: 500,
    }
}

/// Twice a hundred messages; of the second log all but the newest ten have left memory.
fn logs() -> (Log, Log) {
    let mut whole = Log::default();
    for seq in 1..=50 {
        for origin in ["a@x", "b@x"] {
            whole.insert(Admitted::in_a_test(entry(origin, seq)));
        }
    }
    let mut shed = whole.clone();
    let ids: Vec<String> = whole.iter().map(|entry| entry.id.clone()).collect();
    ids.iter().for_each(|id| shed.note_stored(id));
    shed.shed(10);
    assert_eq!(shed.whole(), 10);
    (whole, shed)
}

fn page<'a>(is_told: &'a dyn Fn(&BareJid, u64) -> bool) -> Page<'a> {
    Page {
        is_told,
        max_events: 30,
        max_bytes: usize::MAX,
        overhead: 1,
        is_new: true,
    }
}

#[test]
fn nothing_but_its_words_is_forgotten() {
    let (mut whole, mut shed) = logs();
    assert_eq!(whole.len(), shed.len());
    assert_eq!(whole.bytes(), shed.bytes());
    assert_eq!(whole.vector(|_| true, true), shed.vector(|_| true, true));
    assert_eq!(whole.words(|_| true), shed.words(|_| true));
    assert_eq!(whole.count_said(), shed.count_said());
    assert_eq!(whole.logged(), shed.logged());
    let ids = |log: &Log| log.each().map(|held| held.id().into_owned()).collect::<Vec<_>>();
    assert_eq!(ids(&whole), ids(&shed));
    assert!(ids(&shed).iter().all(|id| shed.has_id(id)));
    let known = entry("a@x", 3);
    assert!(shed.insert(Admitted::in_a_test(known.clone())).is_none());
    assert!(!shed.has_id("nobody's"));
    assert!(shed.get(&known.id).is_none() && shed.held(&known.id).is_some());
    // Under the number of one of the newest, something else.
    let told = Entry {
        payload: "<body>else</body>".into(),
        ..entry("a@x", 30)
    };
    assert_eq!(shed.differs(&told), Some(told.key.clone()));
    assert_eq!(shed.differs(&entry("a@x", 30)), None);
}

#[test]
fn what_is_needed_is_asked_for_and_told_when_it_is_back() {
    let (whole, mut shed) = logs();
    let everything = |_: &BareJid, _: u64| true;
    let expected = whole.lacking(&[], &page(&everything));
    let away = shed.lacking_away(&[], &page(&everything));
    assert_eq!(away.len(), 30, "the oldest page");
    assert!(shed.lacking(&[], &page(&everything)).0.is_empty(), "not yet");
    for (key, id) in &away {
        let stored = whole.get(id).unwrap().clone();
        assert_eq!(stored.key, *key);
        // It comes back whatever time it is.
        shed.load(Admitted::in_a_test(Entry {
            received_ms: 0,
            ..stored
        }));
    }
    assert!(shed.lacking_away(&[], &page(&everything)).is_empty());
    shed.shed(10);
    assert_eq!(
        shed.lacking(&[], &page(&everything)),
        expected,
        "they stay while they are needed"
    );
    shed.release();
    shed.shed(10);
    assert_eq!(shed.whole(), 10);
    assert_eq!(whole.bytes(), shed.bytes());
}

#[test]
fn what_is_not_stored_does_not_leave() {
    let mut log = Log::default();
    for seq in 1..=100 {
        log.insert(Admitted::in_a_test(entry("a@x", seq)));
        if seq % 2 == 0 {
            log.note_stored(&entry("a@x", seq).id);
        }
        log.shed(10);
    }
    assert!(log.iter().filter(|entry| entry.key.seq % 2 == 1).count() == 50);
    log.shed_half();
    while log.memory().1 > 0 {
        log.shed_half();
    }
    assert_eq!(log.iter().filter(|entry| entry.key.seq % 2 == 0).count(), 0);
    assert_eq!(log.whole(), 50);
    let mut weight = 0;
    log.iter().for_each(|entry| weight += entry.memory());
    assert_eq!(log.memory(), (weight, 0));
}

#[test]
fn messages_without_a_number_and_decisions_of_the_room_stay() {
    let mut log = Log::default();
    for seq in 1..=20 {
        let mut unnumbered = entry("a@x", seq);
        unnumbered.key.incarnation = UNSTAMPED;
        unnumbered.id = format!("u{seq}");
        let ruling = Entry {
            nick: String::new(),
            ..entry("b@x", seq)
        };
        for entry in [unnumbered, ruling] {
            let id = entry.id.clone();
            log.insert(Admitted::in_a_test(entry));
            log.note_stored(&id);
        }
    }
    log.shed(0);
    assert_eq!((log.whole(), log.memory().1), (40, 0));
}

#[test]
fn a_message_is_moderated_though_it_is_not_in_memory() {
    let (whole, mut shed) = logs();
    let target = entry("a@x", 5);
    let mut ruling = entry("b@x", 60);
    let moderation = Moderation {
        id: target.id.clone(),
        ..Moderation::default()
    };
    (ruling.nick, ruling.payload) = (String::new(), moderation.to_xml().into());
    let size = ruling.size();
    shed.insert(Admitted::in_a_test(ruling));
    assert!(shed.held(&target.id).unwrap().is_gone());
    assert_eq!(shed.bytes(), whole.bytes() + size - target.payload.len());
    assert!(shed.moderation_of(&target.id).is_some());
    // Even if the stored log has its words still.
    shed.load(Admitted::in_a_test(target.clone()));
    assert_eq!(shed.get(&target.id).map(|entry| &*entry.payload), Some(""));
}

#[test]
fn what_the_storage_has_lost_is_not_shown_again() {
    let (_, mut shed) = logs();
    let lost = entry("a@x", 5).key;
    assert!(shed.lose(&lost));
    assert!(!shed.lose(&entry("a@x", 50).key), "it is in memory");
    assert!(shed.has_seen(&lost.origin, 7, 5) && !shed.has_id(&lost.stanza_id()));
    assert!(shed.insert(Admitted::in_a_test(entry("a@x", 5))).is_none());
}

#[test]
fn what_the_source_corrects_stays_as_it_says() {
    let (_, mut shed) = logs();
    let told = Entry {
        payload: "<body>as it was</body>".into(),
        ..entry("a@x", 30)
    };
    let id = shed.correct(&told.key, told.clone()).unwrap();
    shed.release();
    shed.shed(0);
    assert_eq!(shed.get(&id).map(|entry| &entry.payload), Some(&told.payload));
}

#[test]
fn ids_that_do_not_follow_from_the_place_are_kept() {
    let mut log = Log::default();
    for seq in 1..=30 {
        let named = Entry {
            id: format!("name {seq}"),
            ..entry("a@x", seq)
        };
        log.insert(Admitted::in_a_test(named));
        log.note_stored(&format!("name {seq}"));
    }
    log.shed(0);
    assert_eq!(log.whole(), 0);
    assert_eq!(log.held("name 7").map(|held| held.key().seq), Some(7));
    assert_eq!(
        log.each().next().map(|held| held.id().into_owned()).as_deref(),
        Some("name 1")
    );
    assert!(log.held(&entry("a@x", 7).id).is_none());
    log.trim(Retention {
        oldest_wall_ms: 0,
        latest_wall_ms: u64::MAX,
        max_messages: 10,
        max_bytes: usize::MAX,
    });
    assert!(log.held("name 7").is_none() && log.held("name 21").is_some());
}

#[test]
fn a_message_that_has_left_takes_little() {
    // In a map whose nodes are full; its stanza-id's print takes 8 bytes more.
    assert!(
        size_of::<(EventKey, Slot)>() <= 96,
        "{}",
        size_of::<(EventKey, Slot)>()
    );
}
