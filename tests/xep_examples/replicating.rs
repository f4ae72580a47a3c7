//! Section 3.2, Replicating a Room.

use dmuc::wire::{
    Affiliation, Config, Form, History, HistoryResult, Iq, IqBody, IqKind, Peerhost, Replicate, Request,
    Response, RoomId, Stanza,
};

use crate::support::spec::{literal, round_trip};
use crate::support::xml::compare;

fn iq(caption: &str) -> Iq {
    match round_trip(caption) {
        Stanza::Iq(iq) => iq,
        _ => panic!("{caption} is not an IQ"),
    }
}

/// The request of an example, which must be produced exactly as it stands there.
fn request(caption: &str) -> Request {
    let (kind, payload) = match iq(caption).body {
        IqBody::Get(payload) => (IqKind::Get, payload),
        IqBody::Set(payload) => (IqKind::Set, payload),
        _ => panic!("{caption} does not ask"),
    };
    let request = Request::parse(kind, &payload).expect("a valid request");
    assert_eq!(request.iq_kind(), kind);
    compare(&request.to_xml(), &payload);
    request
}

/// An acknowledgement: a result with the id of its question and nothing in it.
fn expect_acknowledgement(caption: &str, id: &str) -> Iq {
    let iq = iq(caption);
    assert_eq!(iq.id, id);
    let IqBody::Result(payload) = &iq.body else {
        panic!("{caption} is not a result")
    };
    assert_eq!(Response::parse(payload.as_deref()), Ok(Response::Empty));
    assert_eq!(Response::Empty.to_xml(), None);
    iq
}

fn the_room() -> RoomId {
    RoomId::new("theroom").unwrap()
}

#[test]
fn firsthost_requests_replication_of_room() {
    let Request::Replicate(replicate) = request("Firsthost Requests Replication of Room") else {
        panic!()
    };
    assert_eq!(
        replicate,
        Replicate {
            id: the_room(),
            source: None
        }
    );
}

#[test]
fn peerhost_acknowledges_replication_request() {
    let iq = expect_acknowledgement("Peerhost Acknowledges Replication Request", "replicate1");
    assert_eq!(
        iq.from.as_str(),
        "chat.shakespeare.lit",
        "the direction of the example is wrong, but it parses"
    );
}

#[test]
fn source_sends_room_configuration_to_shadow() {
    let Request::Config(config) = request("Source Sends Room Configuration to Shadow") else {
        panic!()
    };
    assert_eq!(
        config,
        Config {
            form: Form::default(),
            settings: None
        }
    );
}

#[test]
fn shadow_acknowledges_receipt_of_room_configuration() {
    expect_acknowledgement("Shadow Acknowledges Receipt of Room Configuration", "config1");
}

#[test]
fn source_sends_room_roster_to_shadow() {
    let Request::Roster(roster) = request("Source Sends Room Roster to Shadow") else {
        panic!()
    };
    let seen: Vec<_> = roster
        .items
        .iter()
        .map(|item| {
            (
                item.affiliation,
                item.jid.as_ref().unwrap().as_str(),
                item.nick.as_deref().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (Affiliation::Owner, "crone1@shakespeare.lit/desktop", "foo"),
            (Affiliation::Admin, "wiccarocks@shakespeare.lit/laptop", "bar"),
            (Affiliation::None, "hag66@shakespeare.lit/pda", "baz"),
        ]
    );
    assert!(
        roster
            .items
            .iter()
            .all(|item| item.role.is_none() && item.occupant.is_none())
    );
    assert!(
        roster.occupants_complete() && roster.affiliations_complete(),
        "the XEP's roster is complete"
    );
}

#[test]
fn shadow_acknowledges_receipt_of_room_roster() {
    expect_acknowledgement("Shadow Acknowledges Receipt of Room Roster", "roster1");
}

#[test]
fn peerhost_requests_room_history() {
    let Request::History(history) = request("Peerhost Requests Room History") else {
        panic!()
    };
    assert_eq!(
        history,
        History {
            id: Some(the_room()),
            ..History::default()
        }
    );
}

#[test]
fn a_history_request_carries_all_four_limits() {
    let xml = "<room xmlns='urn:xmpp:dmuc:0' id='theroom'><history xmlns='http://jabber.org/protocol/muc'
        maxchars='65000' maxstanzas='20' seconds='180' since='1970-01-01T00:00:00Z'/></room>";
    let request = Request::parse(IqKind::Get, xml).unwrap();
    let Request::History(history) = &request else {
        panic!()
    };
    assert_eq!((history.maxchars, history.maxstanzas), (Some(65_000), Some(20)));
    assert_eq!((history.seconds, history.since), (Some(180), Some(0)));
    compare(&request.to_xml(), xml);
}

fn expect_three_messages(history: &HistoryResult) {
    let seen: Vec<_> = history
        .messages
        .iter()
        .map(|message| {
            assert_eq!(message.instance.as_str(), "coven@chat.shakespeare.lit");
            assert_eq!(
                (&message.id, &message.event, &message.occupant_id),
                (&None, &None, &None)
            );
            let delay_from = message.delay_from.as_ref().unwrap().as_str();
            (
                message.nick.as_str(),
                message.payload.as_str(),
                delay_from,
                message.stamp,
            )
        })
        .collect();
    let start = 1_034_553_517_000;
    assert_eq!(
        seen,
        [
            (
                "foo",
                "<body>Message 1.</body>",
                "crone1@shakespeare.lit/desktop",
                start
            ),
            (
                "bar",
                "<body>Message 2.</body>",
                "wiccarocks@shakespeare.lit/laptop",
                start + 6_000
            ),
            (
                "baz",
                "<body>Message 3.</body>",
                "hag66@shakespeare.lit/pda",
                start + 12_000
            ),
        ]
    );
}

#[test]
fn firsthost_sends_room_history_to_peerhost() {
    // As it was meant, and as we send it: <history/> inside the result.
    let IqBody::Result(Some(payload)) = iq("Firsthost Sends Room History to Peerhost").body else {
        panic!()
    };
    let response = Response::parse(Some(&payload)).unwrap();
    let Response::History(history) = &response else {
        panic!()
    };
    expect_three_messages(history);
    compare(&response.to_xml().unwrap(), &payload);

    // As it stands there, the stream breaks after three pieces: an empty result, which is a history without messages, a
    // <history/> that is no stanza, and an end tag that closes the stream. See `slips`.
    let literal = literal("Firsthost Sends Room History to Peerhost", 1).trim();
    let (result, rest) = literal.split_at(literal.find("<history").unwrap());
    let Ok(Stanza::Iq(Iq {
        body: IqBody::Result(None),
        id,
        ..
    })) = Stanza::parse(result.trim())
    else {
        panic!()
    };
    assert_eq!(
        (id.as_str(), Response::parse(None)),
        ("history1", Ok(Response::Empty))
    );
    let stray = rest.strip_suffix("</iq>").unwrap().trim();
    assert!(Stanza::parse(stray).is_err());
    // The bare element is the same answer, should a lenient server hand it over.
    let Ok(Response::History(history)) = Response::parse(Some(stray)) else {
        panic!()
    };
    expect_three_messages(&history);
}

#[test]
fn peerhost_acknowledges_receipt_of_room_history() {
    // A result that answers a result. We send none, and take one for what it is: empty.
    expect_acknowledgement("Peerhost Acknowledges Receipt of Room History", "history1");
}

#[test]
fn firsthost_reports_new_peerhost() {
    let Request::Peerhost(peerhost) = request("Firsthost Reports New Peerhost") else {
        panic!()
    };
    assert_eq!(
        peerhost,
        Peerhost {
            id: the_room(),
            jid: None,
            gone: false
        }
    );
}

#[test]
fn peerhost_acknowledges_notification_of_new_peerhost() {
    let iq = expect_acknowledgement("Peerhost Acknowledges Notification of New Peerhost", "ph1");
    assert_eq!(iq.to.as_str(), "chat.shakespeare.lit");
}
