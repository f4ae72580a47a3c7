//! What a page costs and how large it gets (G10, G13).

use dmuc::address::{BareJid, Jid};
use dmuc::wire::limits::*;
use dmuc::wire::{
    Condition, EventStamp, HistoryMessage, HistoryResult, Hlc, Iq, IqBody, IqKind, Numbers, OccupantExtra,
    Request, Response, Roster, RosterItem, SeenNumbers, Stanza, SyncAnswer, SyncEvent, SyncRequest,
    check_payload, write_groupchat, write_iq,
};

use crate::resync::{event, written};

const COVEN: &str = "coven@chat.shakespeare.lit";
const SHADOW: &str = "7d8f5b5e-0c0f-4bb1-9b1e-3a3c9d1b0f11@rooms.macbeth.lit";
/// What Prosody takes in one stanza between servers by default (`s2s_stanza_size_limit`).
const PROSODY_BYTES: usize = 512 * 1024;
/// What the engine puts into one page (src/engine/sync/answer.rs).
const PAGE_EVENTS: usize = 200;
const PAGE_BYTES: usize = 128 * 1024;

fn bare(text: &str) -> BareJid {
    BareJid::new(text).unwrap()
}

/// The n-th message as clients and hosts send it: with ids as long as UUIDs, and an occupant-id.
fn message(origin: &str, number: u64, body_bytes: usize) -> SyncEvent {
    SyncEvent {
        event: EventStamp {
            id: format!("0197b6c2-3a55-7b1e-8f6a-{number:012}"),
            origin: Some(bare(origin)),
            incarnation: 1_769_155_200_123,
            seq: number,
            at: Hlc {
                wall_ms: 1_769_155_300_000 + number,
                counter: 0,
            },
            roster: None,
        },
        nick: "secondwitch".into(),
        message_id: Some(format!("6f1c0e5a-9d1b-4c55-a111-{number:012}")),
        lang: Some("en".into()),
        occupant_id: Some("u2Cqk4bXj0vC1zV3mYbQ8TtHq7m0k8o1fY2pLxE6f3A=".into()),
        payload: format!("<body>{}</body>", "x".repeat(body_bytes)),
    }
}

fn live_bytes(event: &SyncEvent) -> usize {
    let origin = event.event.origin.clone().unwrap();
    let stamp = EventStamp {
        origin: None,
        ..event.event.clone()
    };
    let from = origin.with_resource(&event.nick).unwrap().into();
    let to: Jid = bare(SHADOW).into();
    write_groupchat(
        &from,
        &to,
        (event.message_id.as_deref(), event.lang.as_deref()),
        &event.payload,
        Some(&stamp),
    )
    .len()
}

fn in_iq(body: IqBody) -> String {
    write_iq(&Iq {
        from: bare(COVEN).into(),
        to: bare(SHADOW).into(),
        id: "0197b6c2-3a55-7b1e-8f6a-000000000000".into(),
        body,
    })
}

fn seen(origin: &str, incarnation: u64, last: u64) -> SeenNumbers {
    SeenNumbers {
        origin: bare(origin),
        incarnation,
        numbers: Numbers::up_to(last),
        first: Some(1),
    }
}

/// Question and answer with their IQs, for what two instances that have restarted three times have seen.
fn exchange_bytes(events: Vec<SyncEvent>) -> usize {
    let known: Vec<SeenNumbers> = [COVEN, SHADOW]
        .iter()
        .flat_map(|origin| (1..=3).map(|life| seen(origin, 1_769_000_000_000 + life, 4_711)))
        .collect();
    let request = Request::Sync(SyncRequest {
        seen: known.clone(),
        roster: Some(1_769_155_200_123),
        settings: Some(1_769_155_200_123),
        relay: true,
        is_new: false,
        ..SyncRequest::default()
    });
    let answer = written(&SyncAnswer {
        seen: known,
        events,
        ..SyncAnswer::default()
    });
    in_iq(IqBody::Get(request.to_xml())).len() + in_iq(IqBody::Result(Some(answer))).len()
}

#[track_caller]
fn expect_cheap(what: &str, events: Vec<SyncEvent>) {
    let live: usize = events.iter().map(live_bytes).sum();
    let page = exchange_bytes(events);
    assert!(page * 100 < live * 115, "{what}: {page} bytes, live {live}");
}

#[test]
fn missed_messages_cost_no_more_than_live_ones() {
    for body_bytes in [20, 200, 2_000] {
        for count in [25, 60] {
            let events = (1..=count).map(|number| message(COVEN, number, body_bytes));
            expect_cheap(&format!("{count} of {body_bytes}"), events.collect());
        }
    }
    let many = (1..=PAGE_EVENTS as u64).map(|number| message(COVEN, number, 20));
    expect_cheap("a full page", many.collect());
}

#[test]
fn origins_that_take_turns_cost_no_more_either() {
    for body_bytes in [20, 200, 2_000] {
        let events = (1..=60).map(|number| message([COVEN, SHADOW][number as usize % 2], number, body_bytes));
        expect_cheap(&format!("in turns, {body_bytes}"), events.collect());
    }
}

#[test]
fn a_page_of_the_largest_size_is_taken_by_prosody() {
    // As many bytes as there may be, in as many messages as there may be, and what comes with them: 100 instances
    // with all the holes they may have, and a roster.
    let body_bytes = PAGE_BYTES / PAGE_EVENTS - 200;
    let holes = (0..32).fold(Numbers::default(), |mut numbers, hole| {
        numbers.insert(1_000_000 + 2 * hole);
        numbers
    });
    let lives = (0..100).map(|n| SeenNumbers {
        numbers: holes.clone(),
        ..seen(
            &format!("7d8f5b5e-0c0f-4bb1-9b1e-{n:012}@rooms.macbeth.lit"),
            1_769_155_200_123,
            1,
        )
    });
    let answer = SyncAnswer {
        seen: lives.collect(),
        events: (1..=PAGE_EVENTS as u64)
            .map(|number| message(COVEN, number, body_bytes))
            .collect(),
        ..SyncAnswer::default()
    };
    let events = SyncAnswer {
        seen: Vec::new(),
        ..answer.clone()
    };
    // The engine reckons with 200 bytes for what an event costs besides its payload.
    let bytes = written(&events).len();
    assert!(bytes < PAGE_BYTES * 5 / 4, "{bytes}");
    // A roster in an answer has 256 KiB at most.
    let bytes = in_iq(IqBody::Result(Some(written(&answer)))).len() + 256 * 1024;
    assert!(bytes < PROSODY_BYTES, "{bytes}");
}

/// A page of one: the largest message that rooms take by default, which no page divides.
#[test]
fn a_page_of_one_largest_message_is_taken_by_prosody() {
    let largest = dmuc::Config::new(bare("chat.shakespeare.lit")).max_stanza_size;
    let body_bytes = largest - "<body></body>".len();
    let mut event = message(COVEN, 1, body_bytes);
    event.nick = "&".repeat(MAX_PART_BYTES);
    event.message_id = Some("'".repeat(MAX_PART_BYTES));
    let answer = SyncAnswer {
        events: vec![event],
        ..SyncAnswer::default()
    };
    assert!(in_iq(IqBody::Result(Some(written(&answer)))).len() < PROSODY_BYTES);
}

#[track_caller]
fn expect_limit(limit: usize, parse: impl Fn(usize) -> Result<(), Condition>) {
    assert_eq!(parse(limit), Ok(()));
    assert_eq!(parse(limit + 1), Err(Condition::PolicyViolation));
}

fn refusal<T>(result: Result<T, dmuc::wire::WireError>) -> Result<(), Condition> {
    result.map(drop).map_err(|error| error.condition)
}

fn sync(inner: &str) -> String {
    format!("<sync xmlns='urn:x-dmuc:0'>{inner}</sync>")
}

#[test]
fn a_sync_names_4096_incarnations() {
    let xml = |n: usize| {
        let seen = |i| format!("<seen origin='a@b.lit' inc='{i}' numbers='1'/>");
        sync(&(1..=n).map(seen).collect::<String>())
    };
    expect_limit(MAX_SEEN, |n| refusal(Request::parse(IqKind::Get, &xml(n))));
    expect_limit(MAX_SEEN, |n| refusal(Response::parse(Some(&xml(n)))));
}

#[test]
fn an_incarnation_has_64_ranges() {
    let xml = |n: usize| {
        let ranges: Vec<String> = (1..=n).map(|i| format!("{}-{}", 10 * i, 10 * i + 5)).collect();
        sync(&format!(
            "<seen origin='a@b.lit' inc='1' numbers='{}'/>",
            ranges.join(" ")
        ))
    };
    expect_limit(MAX_RANGES, |n| refusal(Request::parse(IqKind::Get, &xml(n))));
    expect_limit(MAX_RANGES, |n| refusal(Response::parse(Some(&xml(n)))));
}

#[test]
fn a_page_has_1000_messages_in_all_its_runs() {
    let run = |n: usize| {
        let message = "<message xmlns='jabber:client' event='e' seq='1' at='1.0' nick='a'/>";
        format!("<events origin='a@b.lit' inc='1'>{}</events>", message.repeat(n))
    };
    expect_limit(MAX_HISTORY_MESSAGES, |n| {
        refusal(Response::parse(Some(&sync(&format!(
            "{}{}",
            run(n / 2),
            run(n - n / 2)
        )))))
    });
}

#[test]
fn a_digest_has_500_rooms() {
    let xml = |n: usize| {
        let lines: String = (0..n).map(|i| format!("<room id='r{i}'/>")).collect();
        format!("<digest xmlns='urn:x-dmuc:0'>{lines}</digest>")
    };
    expect_limit(MAX_DIGEST_ROOMS, |n| {
        refusal(Request::parse(IqKind::Set, &xml(n)))
    });
    expect_limit(MAX_DIGEST_ROOMS, |n| refusal(Response::parse(Some(&xml(n)))));
}

#[test]
fn settings_name_1000_instances() {
    expect_limit(MAX_INSTANCES, |n| {
        let instances: String = (0..n).map(|i| format!("<instance jid='s{i}.lit'/>")).collect();
        let xml = format!(
            "<config xmlns='urn:xmpp:dmuc:0'><x xmlns='jabber:x:data' type='form'><field var='FORM_TYPE'>\
             <value>http://jabber.org/protocol/muc#roomconfig</value></field></x>\
             <settings xmlns='urn:x-dmuc:0' term='0' version='1'>{instances}</settings></config>"
        );
        refusal(Request::parse(IqKind::Set, &xml))
    });
}

fn nested(levels: usize) -> String {
    format!("{}{}", "<a>".repeat(levels), "</a>".repeat(levels))
}

/// Whatever a message may be when it is said can be told again: in a page, a history, a roster, each in its IQ.
#[test]
fn a_payload_nests_56_deep_wherever_it_is() {
    let from: Jid = bare(COVEN).with_resource("foo").unwrap().into();
    let live = |n| write_groupchat(&from, &bare(SHADOW).into(), (None, None), &nested(n), None);
    let frames: [(&str, &str); 3] = [
        (
            "<sync xmlns='urn:x-dmuc:0'><events origin='a@b.lit' inc='1'>\
             <message xmlns='jabber:client' event='e' seq='1' at='1.0' nick='a'>",
            "</message></events></sync>",
        ),
        (
            "<history xmlns='http://jabber.org/protocol/muc'>\
             <message xmlns='jabber:client' type='groupchat' from='a@b.lit/c'>",
            "<delay xmlns='urn:xmpp:delay' stamp='1970-01-01T00:00:00Z'/></message></history>",
        ),
        (
            "<sync xmlns='urn:x-dmuc:0'><roster xmlns='urn:xmpp:dmuc:0'><item affiliation='none' name='a'>\
             <occupant xmlns='urn:x-dmuc:0' serial='1'><presence xmlns='jabber:client'>",
            "</presence></occupant></item></roster></sync>",
        ),
    ];
    expect_limit(MAX_PAYLOAD_DEPTH, |n| refusal(check_payload(&nested(n))));
    expect_limit(MAX_PAYLOAD_DEPTH, |n| refusal(Stanza::parse(&live(n))));
    for (before, after) in frames {
        let xml = |n| format!("{before}{}{after}", nested(n));
        expect_limit(MAX_PAYLOAD_DEPTH, |n| refusal(Response::parse(Some(&xml(n)))));
        let iq = in_iq(IqBody::Result(Some(xml(MAX_PAYLOAD_DEPTH))));
        assert_eq!(refusal(Stanza::parse(&iq)), Ok(()));
    }
}

/// Clients can send through Prosody what no peer of ours parses. It must not cost the other messages.
#[test]
fn a_message_that_no_peer_would_take_does_not_cost_the_page() {
    let (deep, reserved) = (nested(100), "<a xmlns='http://www.w3.org/XML/1998/namespace'/>");
    for payload in [deep.as_str(), reserved, "<body>", "</message><message/>"] {
        let mut events: Vec<SyncEvent> = (1..=3)
            .map(|seq| event(COVEN, 1, seq, "<body>1</body>"))
            .collect();
        events[1].payload = payload.to_owned();
        events[1].message_id = Some("x".repeat(MAX_MESSAGE_ID_BYTES + 1));
        let answer = SyncAnswer {
            events: events.clone(),
            ..SyncAnswer::default()
        };
        let xml = Response::Sync(Box::new(answer)).to_xml().unwrap();
        (events[1].payload, events[1].message_id) = (String::new(), None);
        match Response::parse(Some(&xml)) {
            Ok(Response::Sync(read)) => assert_eq!(read.events, events, "{payload}"),
            other => panic!("{payload}\n{other:?}"),
        }
    }
}

#[test]
fn a_payload_that_no_peer_would_take_costs_neither_history_nor_roster() {
    for bad in [nested(MAX_PAYLOAD_DEPTH + 1), "<body>".to_owned()] {
        let message = |payload: &str| HistoryMessage {
            nick: "foo".into(),
            instance: bare(COVEN),
            id: Some("x".repeat(MAX_MESSAGE_ID_BYTES + 1)),
            lang: None,
            payload: payload.to_owned(),
            stamp: 0,
            delay_from: None,
            event: None,
            occupant_id: None,
        };
        let history = Response::History(HistoryResult {
            messages: vec![message("<body>1</body>"), message(&bad)],
        });
        match Response::parse(history.to_xml().as_deref()) {
            Ok(Response::History(history)) => {
                assert_eq!(history.messages[0].payload, "<body>1</body>");
                assert_eq!(
                    (history.messages[1].payload.as_str(), &history.messages[1].id),
                    ("", &None)
                );
            }
            other => panic!("{other:?}"),
        }
        let occupant = |nick: &str, payload: &str| RosterItem {
            nick: Some(nick.to_owned()),
            occupant: Some(OccupantExtra {
                payload: payload.to_owned(),
                ..OccupantExtra::default()
            }),
            ..RosterItem::default()
        };
        let items = vec![occupant("a", "<show>away</show>"), occupant("b", &bad)];
        let roster = Request::Roster(Roster { items, extra: None });
        let items = vec![occupant("a", "<show>away</show>"), occupant("b", "")];
        assert_eq!(
            Request::parse(IqKind::Set, &roster.to_xml()),
            Ok(Request::Roster(Roster { items, extra: None }))
        );
    }
}
