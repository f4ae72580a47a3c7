//! What a log keeps, refuses and tells.

use super::*;

fn insert(log: &mut Log, entry: Entry) -> bool {
    log.insert(Admitted::in_a_test(entry)).is_some()
}

fn entry(origin: &str, incarnation: u64, seq: u64, wall_ms: u64) -> Entry {
    let origin = BareJid::new(origin).unwrap();
    Entry {
        id: format!("{origin}/{incarnation}/{seq}"),
        key: EventKey {
            at: Hlc { wall_ms, counter: 0 },
            origin,
            incarnation,
            seq,
        },
        nick: "n".into(),
        lang: None,
        message_id: None,
        occupant_id: None,
        payload: "<body>x</body>".into(),
        received_ms: 0,
    }
}

#[test]
fn a_second_copy_is_refused_even_after_the_first_was_trimmed() {
    let mut log = Log::default();
    assert!(insert(&mut log, entry("a@x", 1, 1, 10)));
    assert!(!insert(&mut log, entry("a@x", 1, 1, 10)));
    log.trim(limit(0, 0, usize::MAX));
    assert_eq!(log.iter().count(), 0);
    assert!(!insert(&mut log, entry("a@x", 1, 1, 10)));
    assert!(
        insert(&mut log, entry("a@x", 2, 1, 10)),
        "a new incarnation is a new event"
    );
}

#[test]
fn age_takes_messages_away_only_beyond_what_joins_ask_for() {
    let mut log = Log::default();
    let count = KEPT_HOWEVER_OLD as u64 + 5;
    for seq in 1..=count {
        assert!(insert(&mut log, entry("a@x", 1, seq, seq)));
    }
    log.trim(limit(3, usize::MAX, usize::MAX));
    assert_eq!(log.iter().count() as u64, count - 2, "2 were older");
    log.trim(limit(u64::MAX, usize::MAX, usize::MAX));
    assert_eq!(log.iter().count(), KEPT_HOWEVER_OLD);
    assert_eq!(log.iter().next_back().map(|entry| entry.key.seq), Some(count));
}

fn limit(oldest_wall_ms: u64, max_messages: usize, max_bytes: usize) -> Retention {
    Retention {
        oldest_wall_ms,
        latest_wall_ms: u64::MAX,
        max_messages,
        max_bytes,
    }
}

#[test]
fn large_messages_push_out_old_ones() {
    let mut log = Log::default();
    let size = entry("a@x", 1, 1, 1).payload.len();
    for seq in 1..=10 {
        insert(&mut log, entry("a@x", 1, seq, seq));
        log.trim(limit(0, usize::MAX, 3 * size));
    }
    let held: Vec<u64> = log.iter().map(|entry| entry.key.seq).collect();
    assert_eq!(held, [8, 9, 10]);
}

#[test]
fn only_what_is_not_held_any_more_is_given_up() {
    let mut log = Log::default();
    for seq in 1..=5 {
        insert(&mut log, entry("a@x", 1, seq, seq));
    }
    assert_eq!(log.given_up(), []);
    log.trim(limit(0, 2, usize::MAX));
    let jid = BareJid::new("a@x").unwrap();
    log.mark(&jid, 1, &"4 7-8".parse().unwrap());
    assert_eq!(log.given_up(), [(&jid, 1, "1-3 7-8".parse().unwrap())]);
}

#[test]
fn any_arrival_order_gives_the_same_log() {
    let events = [
        entry("a@x", 1, 1, 10),
        entry("b@x", 1, 1, 10),
        entry("a@x", 1, 2, 12),
        entry("b@x", 1, 2, 11),
    ];
    let mut forward = Log::default();
    let mut backward = Log::default();
    for event in &events {
        insert(&mut forward, event.clone());
    }
    for event in events.iter().rev() {
        insert(&mut backward, event.clone());
    }
    assert!(forward.iter().eq(backward.iter()));
    assert_eq!(forward.next_seq(&BareJid::new("a@x").unwrap(), 1), 3);
    assert_eq!(forward.next_seq(&BareJid::new("a@x").unwrap(), 2), 1);
}

#[test]
fn history_honours_every_limit_and_keeps_the_newest() {
    let mut log = Log::default();
    for seq in 1..=5 {
        insert(&mut log, entry("a@x", 1, seq, seq * 1_000));
    }
    let seqs = |found: Vec<&Entry>| found.iter().map(|entry| entry.key.seq).collect::<Vec<_>>();
    let size = entry("a@x", 1, 1, 1).size();
    let every = HistoryLimits {
        max_stanzas: usize::MAX,
        max_chars: usize::MAX,
        overhead: 10,
        since_ms: None,
    };
    let two = HistoryLimits {
        max_stanzas: 2,
        ..every
    };
    let short = HistoryLimits {
        max_chars: 3 * (size + 10) - 1,
        ..every
    };
    let since = HistoryLimits {
        since_ms: Some(3_000),
        ..every
    };
    let all = |_: &EventKey, _: Held<'_>| true;
    let odd = |key: &EventKey, _: Held<'_>| key.seq % 2 == 1;
    assert_eq!(seqs(log.history(&two, all)), [4, 5]);
    assert_eq!(seqs(log.history(&since, all)), [3, 4, 5]);
    assert_eq!(seqs(log.history(&short, all)), [4, 5]);
    assert_eq!(seqs(log.history(&two, odd)), [3, 5]);
    assert_eq!(seqs(log.history(&short, odd)), [3, 5]);
    let none = HistoryLimits {
        max_stanzas: 0,
        ..every
    };
    assert_eq!(seqs(log.history(&none, all)), [0u64; 0]);
    assert_eq!(seqs(log.history(&every, all)), [1, 2, 3, 4, 5]);
}

#[test]
fn holes_are_bounded_and_the_lowest_are_given_up() {
    let mut log = Log::default();
    for seq in (2..).step_by(2).take(2 * MAX_HOLES) {
        insert(&mut log, entry("a@x", 1, seq, seq));
    }
    let jid = BareJid::new("a@x").unwrap();
    assert!(log.vector(|_| true, false)[0].numbers.ranges().len() <= MAX_HOLES);
    assert!(log.has_seen(&jid, 1, 3) && !log.has_seen(&jid, 1, 4 * MAX_HOLES as u64 - 1));
}

#[test]
fn lives_are_bounded_and_the_oldest_are_done_with() {
    let mut log = Log::default();
    let jid = BareJid::new("a@x").unwrap();
    for life in 1..=2 * MAX_INCARNATIONS as u64 {
        assert!(insert(&mut log, entry("a@x", life, 1, life)));
    }
    assert_eq!(log.vector(|_| true, false).len(), MAX_INCARNATIONS);
    assert!(
        log.has_seen(&jid, 1, 77),
        "a number of a life long ago is nothing new"
    );
    assert!(!insert(&mut log, entry("a@x", 1, 2, 1)));
    let nothing_missing = log.lacking(&log.vector(|_| true, false), &page()).0;
    assert!(nothing_missing.is_empty());
}

fn page() -> Page<'static> {
    Page {
        is_told: &|_, _| true,
        max_events: 4,
        max_bytes: usize::MAX,
        overhead: 0,
        is_new: false,
    }
}

#[test]
fn what_somebody_lacks_comes_in_pages_in_the_order_of_the_log() {
    let (mut all, mut some) = (Log::default(), Log::default());
    for seq in 1..=5 {
        insert(&mut all, entry("a@x", 1, seq, seq * 10));
        insert(&mut all, entry("b@x", 7, seq, seq * 10 + 5));
    }
    insert(&mut some, entry("b@x", 7, 1, 15));
    insert(&mut some, entry("b@x", 7, 3, 35));
    let mut walls = Vec::new();
    loop {
        let (events, more) = all.lacking(&some.vector(|_| true, false), &page());
        assert!(events.len() <= 4);
        for event in events {
            walls.push(event.event.at.wall_ms);
            let origin = event.event.origin.unwrap();
            assert!(insert(
                &mut some,
                entry(
                    origin.as_str(),
                    event.event.incarnation,
                    event.event.seq,
                    event.event.at.wall_ms
                )
            ));
        }
        if !more {
            break;
        }
    }
    assert_eq!(walls, [10, 20, 25, 30, 40, 45, 50, 55]);
    assert!(
        all.iter()
            .map(|entry| &entry.key)
            .eq(some.iter().map(|entry| &entry.key))
    );
}

#[test]
fn the_hash_of_third_origins_is_the_same_for_the_same_numbers() {
    let (a, b) = (BareJid::new("a@x").unwrap(), BareJid::new("b@x").unwrap());
    let (mut one, mut two) = (Log::default(), Log::default());
    insert(&mut one, entry("a@x", 1, 1, 1));
    assert_eq!(one.hash_but(&a, &b, false), None);
    insert(&mut one, entry("c@x", 1, 1, 2));
    insert(&mut two, entry("c@x", 1, 1, 2));
    assert_eq!(one.hash_but(&a, &b, false), two.hash_but(&b, &a, false));
    insert(&mut two, entry("c@x", 1, 2, 3));
    assert_ne!(one.hash_but(&a, &b, false), two.hash_but(&b, &a, false));
}

#[test]
fn decisions_about_messages_that_are_not_here_are_bounded() {
    let decision = |seq: u64, id: &str| {
        let moderation = Moderation {
            id: id.to_owned(),
            ..Moderation::default()
        };
        Entry {
            nick: String::new(),
            payload: moderation.to_xml().into(),
            ..entry("a@x", 1, seq, seq)
        }
    };
    let named = |seq: u64, id: &str| Entry {
        id: id.to_owned(),
        ..entry("b@x", 1, seq, seq)
    };
    let mut log = Log::default();
    insert(&mut log, named(1, "here"));
    insert(&mut log, decision(1, "here"));
    let last = MAX_AHEAD as u64 + 2;
    for seq in 2..=last {
        insert(&mut log, decision(seq, &format!("unknown {seq}")));
    }
    assert!(log.moderation_of("here").is_some(), "not one of those");
    assert!(
        log.moderation_of("unknown 2").is_none(),
        "the oldest is forgotten"
    );
    assert!(log.moderation_of("unknown 3").is_some());
    // One whose message has come makes room for another.
    insert(&mut log, named(2, "unknown 3"));
    assert!(log.get("unknown 3").unwrap().is_gone());
    insert(&mut log, decision(last + 1, "one more"));
    assert!(log.moderation_of("unknown 3").is_some() && log.moderation_of("unknown 4").is_some());
    insert(&mut log, decision(last + 2, "too many"));
    assert!(log.moderation_of("unknown 3").is_some() && log.moderation_of("unknown 4").is_none());
}

#[test]
fn the_stored_log_is_cut_down_when_it_has_grown_well_beyond_what_is_held() {
    let mut log = Log::default();
    let mut cut = None;
    for seq in 1..=500 {
        insert(&mut log, entry("a@x", 1, seq, seq));
        log.trim(limit(0, 200, usize::MAX));
        if let Some(keep) = log.take_excess() {
            cut.get_or_insert((seq, keep));
        }
    }
    assert_eq!(cut, Some((321, 230)));
}

#[test]
fn a_numbered_message_never_yields_to_an_unnumbered_one_of_another_origin() {
    let mut log = Log::default();
    let forged = Entry {
        id: "id".into(),
        ..entry("a@x", UNSTAMPED, 1, 10)
    };
    let honest = Entry {
        id: "id".into(),
        ..entry("b@x", 1, 1, 20)
    };
    assert!(insert(&mut log, forged.clone()));
    assert!(insert(&mut log, honest.clone()));
    assert_eq!(log.get("id").map(|held| held.key.origin.as_str()), Some("b@x"));
    assert_eq!(log.iter().count(), 2);
    // The other way round the forged one is none, and a stored log says the same.
    let (mut late, mut stored) = (Log::default(), Log::default());
    assert!(insert(&mut late, honest.clone()) && !insert(&mut late, forged.clone()));
    stored.load(Admitted::in_a_test(forged));
    stored.load(Admitted::in_a_test(honest));
    assert_eq!(stored.get("id").map(|held| held.key.origin.as_str()), Some("b@x"));
}

/// A log that is being read, of which the snapshot knows three messages of `a` and one of `b`.
fn unread() -> Log {
    let mut log = Log::default();
    log.expect_more();
    for (origin, last) in [("a@x", 3), ("b@y", 1)] {
        log.recall_logged(&BareJid::new(origin).unwrap(), 1, &Numbers::up_to(last));
    }
    log
}

#[test]
fn what_has_not_been_read_counts_as_seen_and_is_stored_as_such() {
    let mut log = unread();
    assert!(
        !insert(&mut log, entry("a@x", 1, 2, 10)),
        "it is in the stored log"
    );
    assert!(log.is_next(&BareJid::new("a@x").unwrap(), 1, 4));
    assert!(log.given_up().is_empty());
    log.load(Admitted::in_a_test(entry("a@x", 1, 3, 30)));
    let all: Vec<String> = log.logged().values().map(ToString::to_string).collect();
    assert_eq!(all, ["1-3", "1"]);
    assert!(!log.is_whole());
}

#[test]
fn what_was_not_there_when_all_was_read_is_missing() {
    let mut log = unread();
    for seq in [1, 3] {
        log.load(Admitted::in_a_test(entry("a@x", 1, seq, 10 * seq)));
    }
    log.load(Admitted::in_a_test(entry("b@y", 1, 1, 15)));
    assert!(log.finish_reading());
    assert!(insert(&mut log, entry("a@x", 1, 2, 20)));
    assert!(log.is_whole() && !log.finish_reading());
}

#[test]
fn a_log_that_is_being_read_does_not_say_what_its_newest_messages_are() {
    let mut log = unread();
    log.load(Admitted::in_a_test(entry("b@y", 1, 1, 15)));
    assert_eq!(log.words(|_| true), None, "those of the other are somewhere");
    for seq in 1..=3 {
        log.load(Admitted::in_a_test(entry("a@x", 1, seq, 10 * seq)));
    }
    log.finish_reading();
    assert!(log.words(|_| true).is_some());
}
