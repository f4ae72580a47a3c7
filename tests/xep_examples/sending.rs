//! Section 3.6, Sending a Message.

use dmuc::address::{BareJid, Jid};
use dmuc::wire::{EventStamp, Hlc, Message, MessageKind, Stanza, write_groupchat};

use crate::support::spec::{literal, round_trip, round_trip_text};
use crate::support::xml::compare;

fn message(stanza: Stanza) -> Message {
    match stanza {
        Stanza::Message(message) => message,
        _ => panic!("not a message"),
    }
}

#[test]
fn user_sends_message() {
    let message = message(round_trip("User Sends Message"));
    assert_eq!(message.kind, MessageKind::Groupchat);
    assert_eq!(
        (message.payload.as_str(), &message.event),
        ("<body>Message 4.</body>", &None)
    );
}

#[test]
fn instance_distributes_message() {
    let literal = literal("Instance Distributes Message", 1);
    let stanzas: Vec<_> = literal
        .split_inclusive("</message>")
        .filter(|xml| !xml.trim().is_empty())
        .collect();
    assert_eq!(stanzas.len(), 2, "one stanza for each other instance");
    for (xml, to) in stanzas
        .iter()
        .zip(["theroom@conference.marlowe.lit", "coven@chat.shakespeare.lit"])
    {
        let message = message(round_trip_text(xml));
        assert_eq!(message.from.as_str(), "theroom@rooms.macbeth.lit/firstwitch");
        assert_eq!(message.to.as_str(), format!("{to}/firstwitch"));
        compare(
            &write_groupchat(&message.from, &message.to, (None, None), &message.payload, None),
            xml,
        );
    }
}

fn event(id: &str) -> EventStamp {
    let at = Hlc {
        wall_ms: 1_769_155_200_123,
        counter: 0,
    };
    EventStamp {
        id: id.to_owned(),
        origin: None,
        incarnation: 1,
        seq: 42,
        at,
        roster: None,
    }
}

#[test]
fn what_we_add_to_a_message_is_at_most_150_bytes() {
    let from = Jid::new("theroom@rooms.macbeth.lit/firstwitch").unwrap();
    let to = Jid::new("coven@chat.shakespeare.lit/firstwitch").unwrap();
    let payload = "<body>Message 4.</body>";
    let plain = write_groupchat(&from, &to, (Some("m4"), None), payload, None);
    let mut event = event("b3f1c1a0-5a77-4f4e-9d3a-2f1f3c0e6b11");
    let usual = write_groupchat(&from, &to, (Some("m4"), None), payload, Some(&event));
    assert_eq!(
        usual
            .strip_prefix(plain.strip_suffix("</message>").unwrap())
            .unwrap(),
        "<event xmlns='urn:x-dmuc:0' id='b3f1c1a0-5a77-4f4e-9d3a-2f1f3c0e6b11' inc='1' seq='42' \
         at='1769155200123.0'/></message>"
    );
    // Years of use: a hundred restored backups, a hundred million messages, a busy millisecond.
    event.incarnation = 100;
    event.seq = 100_000_000;
    event.at.counter = 1000;
    event.roster = Some(1_769_155_200_123);
    let worn = write_groupchat(&from, &to, (Some("m4"), None), payload, Some(&event));
    assert!(usual.len() - plain.len() <= 150 && worn.len() - plain.len() <= 150);
    assert_eq!(message(round_trip_text(&worn)).event, Some(event));
}

#[test]
fn an_event_is_made_from_attributes_without_a_dom() {
    let made = EventStamp::from_attrs(Some("x"), None, Some("1"), Some("42"), Some("1769155200123.0"));
    assert_eq!(made, Ok(event("x")));
    let relayed =
        EventStamp::from_attrs(Some("x"), Some("a@b.lit"), Some("0"), Some("0"), Some("0.7")).unwrap();
    assert_eq!(relayed.origin, Some(BareJid::new("a@b.lit").unwrap()));
    assert_eq!(
        relayed.at,
        Hlc {
            wall_ms: 0,
            counter: 7
        }
    );
}

#[test]
fn logical_time_orders_by_wall_time_then_counter() {
    let at = |text: &str| text.parse::<Hlc>().unwrap();
    assert!(at("1.9") < at("2.0") && at("2.0") < at("2.1") && at("2.2") < at("2.10"));
}
