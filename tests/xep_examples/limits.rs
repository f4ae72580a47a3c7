//! G13: every limit of the wire, at it and one over it.

use dmuc::wire::limits::*;
use dmuc::wire::{Condition, IqKind, Request, Response, RoomId, Stanza};

#[track_caller]
fn expect_limit(limit: usize, xml: impl Fn(usize) -> String) {
    let parse = |n| Request::parse(IqKind::Set, &xml(n));
    assert!(parse(limit).is_ok(), "{:?}", parse(limit));
    assert_eq!(
        parse(limit + 1).unwrap_err().condition,
        Condition::PolicyViolation
    );
}

fn roster(items: &str) -> String {
    format!("<roster xmlns='urn:xmpp:dmuc:0'>{items}</roster>")
}

#[test]
fn a_room_id_has_255_bytes() {
    assert!(RoomId::new(&"a".repeat(MAX_ROOM_ID_BYTES)).is_ok());
    assert_eq!(
        RoomId::new(&"a".repeat(256)).unwrap_err().condition,
        Condition::NotAcceptable
    );
    // The limit holds for what normalisation makes of it: U+2121 becomes "tel".
    assert_eq!(RoomId::new(&"\u{2121}".repeat(85)).unwrap().as_str().len(), 255);
    assert!(RoomId::new(&"\u{33af}".repeat(85)).is_err());
}

#[test]
fn a_nick_has_1023_bytes() {
    expect_limit(MAX_PART_BYTES, |n| {
        roster(&format!("<item affiliation='none' name='{}'/>", "x".repeat(n)))
    });
}

#[test]
fn an_occupant_id_has_128_bytes() {
    expect_limit(MAX_ID_BYTES, |n| {
        let id = "x".repeat(n);
        roster(&format!(
            "<item affiliation='none' name='a'><occupant xmlns='urn:x-dmuc:0' serial='1' id='{id}'/></item>"
        ))
    });
}

#[test]
fn a_person_has_16_hats_of_256_bytes() {
    let item = |hats: &str| {
        let hats = format!("<hats xmlns='urn:xmpp:hats:0'>{hats}</hats>");
        roster(&format!("<item affiliation='member' jid='a@b.lit'>{hats}</item>"))
    };
    let many = |n: usize| {
        (0..n)
            .map(|n| format!("<hat uri='urn:{n}'/>"))
            .collect::<String>()
    };
    expect_limit(MAX_HATS, |n| item(&many(n)));
    expect_limit(MAX_HAT_BYTES, |n| {
        item(&format!("<hat uri='{}'/>", "x".repeat(n)))
    });
    expect_limit(MAX_HAT_BYTES, |n| {
        item(&format!("<hat uri='a' title='{}'/>", "x".repeat(n)))
    });
    for wrong in [
        "<hat title='a'/>",
        "<hat uri=''/>",
        "<hat uri='a'/><hat uri='a' title='b'/>",
    ] {
        let refused = Request::parse(IqKind::Set, &item(wrong)).unwrap_err();
        assert_eq!(refused.condition, Condition::BadRequest, "{wrong}");
    }
}

#[test]
fn a_reason_has_4096_bytes() {
    expect_limit(MAX_TEXT_BYTES, |n| {
        format!(
            "<close xmlns='urn:x-dmuc:0'><reason>{}</reason></close>",
            "x".repeat(n)
        )
    });
}

fn config(fields: &str) -> String {
    format!(
        "<config xmlns='urn:xmpp:dmuc:0'><x xmlns='jabber:x:data' type='form'>
           <field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>{fields}
         </x></config>"
    )
}

#[test]
fn a_form_has_256_fields() {
    expect_limit(MAX_FORM_FIELDS, |n| {
        config(&(0..n).map(|i| format!("<field var='f{i}'/>")).collect::<String>())
    });
}

#[test]
fn a_form_has_1024_values_with_its_form_type() {
    expect_limit(MAX_FORM_VALUES - 1, |n| {
        let half = n / 2;
        config(&format!(
            "<field var='a'>{}</field><field var='b'>{}</field>",
            "<value/>".repeat(half),
            "<value/>".repeat(n - half)
        ))
    });
}

#[test]
fn a_value_has_4096_bytes() {
    expect_limit(MAX_FORM_VALUE_BYTES, |n| {
        config(&format!(
            "<field var='a'><value>{}</value></field>",
            "x".repeat(n)
        ))
    });
}

#[test]
fn a_roster_has_10000_items() {
    expect_limit(MAX_ROSTER_ITEMS, |n| {
        roster(&"<item affiliation='none' jid='a@b.lit'/>".repeat(n))
    });
}

#[test]
fn a_history_has_1000_messages() {
    let message = "<message xmlns='jabber:client' type='groupchat' from='a@b.lit/c'>
        <delay xmlns='urn:xmpp:delay' stamp='1970-01-01T00:00:00Z'/></message>";
    let parse = |n| {
        let xml = format!(
            "<history xmlns='http://jabber.org/protocol/muc'>{}</history>",
            message.repeat(n)
        );
        Response::parse(Some(&xml))
    };
    assert!(parse(MAX_HISTORY_MESSAGES).is_ok());
    assert_eq!(
        parse(MAX_HISTORY_MESSAGES + 1).unwrap_err().condition,
        Condition::PolicyViolation
    );
}

#[test]
fn a_payload_has_64_kib() {
    let parse = |n: usize| {
        let body = format!("<body>{}</body>", "x".repeat(n - "<body></body>".len()));
        Stanza::parse(&format!("<message from='a@b.lit' to='a@b.lit'>{body}</message>"))
    };
    assert!(parse(MAX_PAYLOAD_BYTES).is_ok());
    assert_eq!(
        parse(MAX_PAYLOAD_BYTES + 1).unwrap_err().condition,
        Condition::PolicyViolation
    );
}

#[test]
fn a_control_payload_has_4_mib() {
    let parse = |n: usize| {
        let frame = "<leave xmlns='urn:x-dmuc:0'></leave>".len();
        let xml = format!("<leave xmlns='urn:x-dmuc:0'>{}</leave>", " ".repeat(n - frame));
        Request::parse(IqKind::Set, &xml).map_err(|error| error.condition)
    };
    assert_eq!(parse(MAX_CONTROL_BYTES / 8), Ok(Request::Leave));
    assert_eq!(parse(MAX_CONTROL_BYTES + 1), Err(Condition::PolicyViolation));
}

#[test]
fn elements_nest_64_deep() {
    expect_limit(MAX_DEPTH, |n| {
        format!(
            "<leave xmlns='urn:x-dmuc:0'>{}{}</leave>",
            "<a>".repeat(n - 1),
            "</a>".repeat(n - 1)
        )
    });
}

#[test]
fn a_million_levels_do_not_overflow_the_stack() {
    let deep = format!("<leave xmlns='urn:x-dmuc:0'>{}", "<a>".repeat(1_000_000));
    assert_eq!(
        Request::parse(IqKind::Set, &deep).unwrap_err().condition,
        Condition::PolicyViolation
    );
}

#[test]
fn disco_info_is_bounded() {
    let parse = |inner: String| {
        Response::parse(Some(&format!(
            "<query xmlns='http://jabber.org/protocol/disco#info'>{inner}</query>"
        )))
        .map_err(|error| error.condition)
    };
    let features = |n| {
        (0..n)
            .map(|i| format!("<feature var='{i}'/>"))
            .collect::<String>()
    };
    assert!(parse(features(MAX_DISCO_FEATURES)).is_ok());
    assert_eq!(
        parse(features(MAX_DISCO_FEATURES + 1)),
        Err(Condition::PolicyViolation)
    );
    let identities = |n| "<identity category='a' type='b'/>".repeat(n);
    assert!(parse(identities(MAX_DISCO_IDENTITIES)).is_ok());
    assert_eq!(
        parse(identities(MAX_DISCO_IDENTITIES + 1)),
        Err(Condition::PolicyViolation)
    );
}

#[test]
fn a_presence_has_64_status_codes() {
    let parse = |n: usize| {
        let codes = "<status code='100'/>".repeat(n);
        Stanza::parse(&format!(
            "<presence from='a@b.lit/c' to='a@b.lit'><x xmlns='http://jabber.org/protocol/muc#user'>{codes}</x></presence>"
        ))
    };
    assert!(parse(MAX_STATUS_CODES).is_ok());
    assert_eq!(
        parse(MAX_STATUS_CODES + 1).unwrap_err().condition,
        Condition::PolicyViolation
    );
}

#[test]
fn an_over_long_id_of_a_message_is_refused() {
    let parse = |n: usize| {
        Stanza::parse(&format!(
            "<message from='a@b.lit' to='a@b.lit' id='{}'/>",
            "x".repeat(n)
        ))
    };
    assert!(parse(MAX_MESSAGE_ID_BYTES).is_ok());
    assert_eq!(
        parse(MAX_MESSAGE_ID_BYTES + 1).unwrap_err().condition,
        Condition::PolicyViolation
    );
}

#[test]
fn an_over_long_jid_is_malformed() {
    let xml = roster(&format!(
        "<item affiliation='none' jid='{}@b.lit'/>",
        "x".repeat(1024)
    ));
    assert_eq!(
        Request::parse(IqKind::Set, &xml).unwrap_err().condition,
        Condition::JidMalformed
    );
    let xml = roster(&format!(
        "<item affiliation='none' jid='{}'/>",
        "x".repeat(60_000)
    ));
    assert_eq!(
        Request::parse(IqKind::Set, &xml).unwrap_err().condition,
        Condition::JidMalformed
    );
}
