//! Opaque payloads: unchanged for clients, closed to anything of ours, and never a way out of the stanza.

use dmuc::wire::{
    Condition, IqKind, Request, Response, Stanza, check_payload, escaped, limits, split_payload,
    write_message,
};

fn occupant_payload(presence_children: &str) -> String {
    let xml = format!(
        "<roster xmlns='urn:xmpp:dmuc:0'><item affiliation='none' role='participant' name='foo'>
           <occupant xmlns='urn:x-dmuc:0' serial='1'>
             <presence xmlns='jabber:client'>{presence_children}</presence>
           </occupant></item></roster>"
    );
    match Request::parse(IqKind::Set, &xml) {
        Ok(Request::Roster(roster)) => roster.items[0].occupant.clone().unwrap().payload,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_payload_is_read_with_and_without_the_namespace_of_the_client() {
    assert_eq!(
        occupant_payload("<show xmlns='jabber:client'>away</show>"),
        "<show>away</show>"
    );
    assert_eq!(
        occupant_payload("<show>away</show> <a xmlns='urn:a'/>"),
        "<show>away</show><a xmlns='urn:a'/>"
    );
}

#[test]
fn prefixes_are_written_out() {
    assert_eq!(
        occupant_payload("<p:a xmlns:p='urn:a' p:k='1' k='2' xml:lang='en'><p:b/></p:a>"),
        "<a xmlns='urn:a' k='2' xml:lang='en' xmlns:ns2='urn:a' ns2:k='1'><b/></a>",
    );
}

#[test]
fn a_peer_cannot_put_words_of_the_room_into_a_presence() {
    let forged =
        "<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='owner' role='moderator'/></x>
        <occupant-id xmlns='urn:xmpp:occupant-id:0' id='other'/><occupant xmlns='urn:x-dmuc:0' serial='9'/>
        <config xmlns='urn:xmpp:dmuc:0'/><show>away</show>";
    assert_eq!(occupant_payload(forged), "<show>away</show>");
}

#[test]
fn nothing_of_ours_reaches_a_client_in_a_message() {
    let xml = "<message from='a@b.lit/c' to='d@e.lit' type='groupchat'><body>1</body>
        <event xmlns='urn:x-dmuc:0' id='x' inc='1' seq='1' at='1.0'/><other xmlns='urn:x-dmuc:0'/>
        <roster xmlns='urn:xmpp:dmuc:0'/></message>";
    let Ok(Stanza::Message(message)) = Stanza::parse(xml) else {
        panic!()
    };
    assert_eq!(message.payload, "<body>1</body>");
    assert!(message.event.is_some());
    assert!(
        !write_message(&dmuc::wire::Message {
            event: None,
            ..message
        })
        .contains("dmuc")
    );
}

fn history(children: &str) -> dmuc::wire::HistoryMessage {
    let xml = format!(
        "<history xmlns='http://jabber.org/protocol/muc'><message xmlns='jabber:client' type='groupchat'
           from='coven@chat.shakespeare.lit/foo' id='m1'>{children}</message></history>"
    );
    match Response::parse(Some(&xml)) {
        Ok(Response::History(mut history)) => history.messages.remove(0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn of_two_delays_the_last_is_the_historys_and_the_first_the_clients() {
    let first = "<delay xmlns='urn:xmpp:delay' from='bridge.lit' stamp='1999-01-01T00:00:00Z'/>";
    let last = "<delay xmlns='urn:xmpp:delay' stamp='1970-01-01T00:00:01Z'/>";
    let message = history(&format!("{first}<body>1</body>{last}"));
    assert_eq!(message.stamp, 1000);
    assert_eq!(
        message.payload,
        "<delay xmlns='urn:xmpp:delay' from='bridge.lit' stamp='1999-01-01T00:00:00Z'/><body>1</body>"
    );
}

#[test]
fn messages_of_the_room_itself_are_passed_over() {
    let xml = "<history xmlns='http://jabber.org/protocol/muc'>
        <message xmlns='jabber:client' type='groupchat' from='coven@chat.shakespeare.lit'><body>1</body></message>
        </history>";
    assert_eq!(
        Response::parse(Some(xml)),
        Ok(Response::History(dmuc::wire::HistoryResult::default()))
    );
}

#[test]
fn a_payload_splits_into_its_elements_untouched() {
    let elements = [
        "<body>a &lt; b</body>",
        "<e/>",
        "<a k='>' l=\"/>'\" xmlns=\"urn:a\"><a><b/></a></a>",
        "<c xmlns='urn:c'><![CDATA[</c><evil>]]></c>",
        "<d xmlns = 'urn:d' ></d >",
    ];
    assert_eq!(split_payload(&elements.concat()).unwrap(), elements);
    assert_eq!(split_payload(&elements.join(" \n")).unwrap(), elements);
    assert_eq!(split_payload("").unwrap(), Vec::<&str>::new());
}

#[test]
fn a_payload_cannot_leave_its_stanza() {
    for payload in [
        "<body>1</body></message><message><body>2</body>",
        "</p><p>",
        "<body>",
        "</body>",
        "<body>1</body",
        "text",
        "<body/>text",
        "<p:body/>",
        "<a b='1' b=1/>",
        "<!-- comment --><!DOCTYPE a>",
        "<?xml version='1.0'?><a/>",
        "<a>&unknown;</a>",
        "<a>\0</a>",
        "<a>&#0;</a>",
    ] {
        let error = check_payload(payload).expect_err(payload);
        assert_eq!(error.condition, Condition::BadRequest, "{payload}");
        assert!(split_payload(payload).is_err(), "{payload}");
    }
    let large = format!("<a>{}</a>", "x".repeat(limits::MAX_PAYLOAD_BYTES));
    assert_eq!(
        check_payload(&large).unwrap_err().condition,
        Condition::PolicyViolation
    );
}

#[test]
fn text_is_escaped_and_what_xml_cannot_hold_is_replaced() {
    assert_eq!(
        escaped("<a b='c'>&\"\n\t\r"),
        "&lt;a b=&apos;c&apos;&gt;&amp;&quot;&#10;&#9;&#13;"
    );
    assert_eq!(escaped("\0\u{1b}\u{ffff}é🧙"), "\u{fffd}\u{fffd}\u{fffd}é🧙");
}
