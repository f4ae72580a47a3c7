//! Bad input: answers, marks on live stanzas, ids, and stanzas as a whole.

use dmuc::wire::{EventStamp, Hlc, OccupantStamp, Response, RoomId, Stanza};

use dmuc::wire::Condition::{BadRequest, JidMalformed, NotAcceptable, PolicyViolation};

#[test]
fn a_malformed_history_is_refused() {
    let history = |attrs: &str, delay: &str| {
        format!(
            "<history xmlns='http://jabber.org/protocol/muc'>
               <message xmlns='jabber:client' {attrs}><body>1</body>{delay}</message></history>"
        )
    };
    let good_attrs = "type='groupchat' from='coven@chat.shakespeare.lit/foo'";
    let good_delay = "<delay xmlns='urn:xmpp:delay' stamp='2002-10-13T23:58:37Z'/>";
    let with = |more: &str| history(good_attrs, &format!("{good_delay}{more}"));
    assert!(Response::parse(Some(&with(""))).is_ok());
    for (xml, condition) in [
        (
            history("from='coven@chat.shakespeare.lit/foo'", good_delay),
            BadRequest,
        ),
        (
            history("type='chat' from='coven@chat.shakespeare.lit/foo'", good_delay),
            BadRequest,
        ),
        (history("type='groupchat'", good_delay), BadRequest),
        (history("type='groupchat' from='@'", good_delay), JidMalformed),
        (
            history("type='groupchat' from='chat.shakespeare.lit/foo'", good_delay),
            JidMalformed,
        ),
        (history(good_attrs, ""), BadRequest),
        (history(good_attrs, "<delay xmlns='urn:xmpp:delay'/>"), BadRequest),
        (
            history(good_attrs, "<delay xmlns='urn:xmpp:delay' stamp='once'/>"),
            BadRequest,
        ),
        (
            history(good_attrs, &good_delay.replace(" stamp", " from='@' stamp")),
            JidMalformed,
        ),
        (with("<event xmlns='urn:x-dmuc:0'/>"), BadRequest),
        (
            with("<occupant-id xmlns='urn:xmpp:occupant-id:0' id=''/>"),
            BadRequest,
        ),
        ("<iq xmlns='jabber:client'/>".to_owned(), BadRequest),
        ("<history".to_owned(), BadRequest),
    ] {
        let error = Response::parse(Some(&xml)).expect_err(&xml);
        assert_eq!(error.condition, condition, "{xml}\n{error}");
    }
}

#[test]
fn a_malformed_event_is_refused() {
    let attrs = [Some("x"), Some("a@b.lit"), Some("1"), Some("2"), Some("3.4")];
    let made = |at: usize, value: Option<&str>| {
        let mut attrs = attrs;
        attrs[at] = value;
        EventStamp::from_attrs(attrs[0], attrs[1], attrs[2], attrs[3], attrs[4])
            .map_err(|error| error.condition)
    };
    assert!(made(1, None).is_ok(), "without an origin it is the sender");
    for missing in [0, 2, 3, 4] {
        assert_eq!(made(missing, None), Err(BadRequest));
    }
    let long = "x".repeat(129);
    assert_eq!(made(0, Some("")), Err(BadRequest));
    assert_eq!(made(0, Some(&long)), Err(PolicyViolation));
    assert_eq!(made(1, Some("a@b.lit/c")), Err(JidMalformed));
    for bad in ["", "-1", "+1", " 1", "1e3", "18446744073709551616", "１"] {
        assert_eq!(made(2, Some(bad)), Err(BadRequest), "{bad}");
        assert_eq!(made(3, Some(bad)), Err(BadRequest), "{bad}");
    }
    for bad in [
        "",
        "1",
        ".",
        "1.",
        ".1",
        "1.2.3",
        "1.4294967296",
        "-1.0",
        "1.-0",
        "1,0",
    ] {
        assert_eq!(made(4, Some(bad)), Err(BadRequest), "{bad}");
        assert!(bad.parse::<Hlc>().is_err());
    }
}

#[test]
fn a_malformed_occupant_mark_is_refused() {
    let made = |id, serial| OccupantStamp::from_attrs(id, serial, None).map_err(|error| error.condition);
    assert!(made(None, Some("0")).is_ok());
    assert_eq!(made(None, None), Err(BadRequest));
    assert_eq!(made(None, Some("x")), Err(BadRequest));
    assert_eq!(made(Some(""), Some("0")), Err(BadRequest));
    assert_eq!(made(Some(&"x".repeat(129)), Some("0")), Err(PolicyViolation));
}

#[test]
fn a_room_id_is_a_localpart() {
    for id in [
        "",
        "a@b",
        "a/b",
        "a b",
        "a\"b",
        "a:b",
        "a<b",
        "\u{0}",
        "\u{200e}\u{e000}",
    ] {
        assert_eq!(RoomId::new(id).unwrap_err().condition, NotAcceptable, "{id:?}");
    }
    for id in ["theroom", "7d8f5b5e-0c0f-4bb1-9b1e-3a3c9d1b0f11", "ä.ö", "魔女"] {
        assert_eq!(RoomId::new(id).unwrap().as_str(), id);
    }
}

#[test]
fn a_malformed_stanza_is_refused() {
    for (xml, condition) in [
        ("<foo/>", BadRequest),
        ("<message xmlns='urn:x'/>", BadRequest),
        ("<message to='a@b.lit'/>", BadRequest),
        ("<message from='a@b.lit'/>", BadRequest),
        ("<message from='@' to='a@b.lit'/>", JidMalformed),
        (
            "<presence from='a@b.lit' to='a@b.lit' type='subscribe'/>",
            BadRequest,
        ),
        ("<iq from='a@b.lit' to='a@b.lit' type='result'/>", BadRequest),
        ("<iq from='a@b.lit' to='a@b.lit' id='1'/>", BadRequest),
        ("<iq from='a@b.lit' to='a@b.lit' id='1' type='get'/>", BadRequest),
        (
            "<iq from='a@b.lit' to='a@b.lit' id='1' type='set'><a xmlns='a'/><b xmlns='b'/></iq>",
            BadRequest,
        ),
        (
            "<iq from='a@b.lit' to='a@b.lit' id='1' type='result'><a xmlns='a'/><b xmlns='b'/></iq>",
            BadRequest,
        ),
    ] {
        let error = Stanza::parse(xml).expect_err(xml);
        assert_eq!(error.condition, condition, "{xml}\n{error}");
    }
}
