//! `<moderate/>` of ours: in an act, in a message between rooms, in a page of missed events (PROTOCOL section 7.7).

use dmuc::address::BareJid;
use dmuc::wire::{
    Act, ActKind, Condition, EventNumber, IqKind, MessageKind, Moderation, Request, Response, Stanza,
    write_message,
};

const EVENT: &str = "<event xmlns='urn:x-dmuc:0' id='e1' inc='3' seq='4' at='5.0'/>";

fn message(moderate: &str) -> String {
    format!(
        "<message xmlns='jabber:client' from='coven@chat.shakespeare.lit' to='theroom@rooms.macbeth.lit' type='groupchat'>\
         {EVENT}{moderate}</message>"
    )
}

fn full() -> Moderation {
    Moderation {
        id: "22cf<&'".to_owned(),
        nick: Some("hecate".to_owned()),
        occupant_id: Some("LlT9".to_owned()),
        reason: Some("Spam & <more>".to_owned()),
        of: None,
    }
}

#[test]
fn what_is_moderated_survives_the_wire() {
    let bare = Moderation {
        id: "x".to_owned(),
        ..Moderation::default()
    };
    let refused = Moderation {
        of: Some(EventNumber {
            origin: BareJid::new("theroom@rooms.macbeth.lit").unwrap(),
            incarnation: 3,
            seq: 7,
        }),
        ..full()
    };
    for moderation in [full(), bare, refused] {
        assert_eq!(Moderation::parse(&moderation.to_xml()), Ok(moderation.clone()));
        let Ok(Stanza::Message(parsed)) = Stanza::parse(&message(&moderation.to_xml())) else {
            panic!("no message");
        };
        assert_eq!(parsed.kind, MessageKind::Groupchat);
        assert_eq!(parsed.moderation.as_ref(), Some(&moderation));
        assert_eq!(
            (parsed.event.as_ref().map(|event| event.seq), &*parsed.payload),
            (Some(4), "")
        );
        let Ok(Stanza::Message(again)) = Stanza::parse(&write_message(&parsed)) else {
            panic!("no message");
        };
        assert_eq!(again, parsed);
    }
}

#[test]
fn what_is_moderated_badly_is_refused() {
    let long = "x".repeat(4_097);
    let cases = [
        (
            "<moderate xmlns='urn:x-dmuc:0'/>".to_owned(),
            Condition::BadRequest,
        ),
        (
            "<moderate xmlns='urn:x-dmuc:0' id=''/>".to_owned(),
            Condition::BadRequest,
        ),
        (
            format!("<moderate xmlns='urn:x-dmuc:0' id='{}'/>", "x".repeat(129)),
            Condition::PolicyViolation,
        ),
        (
            "<moderate xmlns='urn:x-dmuc:0' id='x' nick=''/>".to_owned(),
            Condition::JidMalformed,
        ),
        (
            format!("<moderate xmlns='urn:x-dmuc:0' id='x'><reason>{long}</reason></moderate>"),
            Condition::PolicyViolation,
        ),
    ];
    for (xml, condition) in cases {
        let error = Moderation::parse(&xml).unwrap_err();
        assert_eq!(error.condition, condition, "{xml}");
        assert_eq!(
            Stanza::parse(&message(&xml)).unwrap_err().condition,
            condition,
            "{xml}"
        );
    }
    for other in ["<moderate id='x'/>", "<body>x</body>", "", "text"] {
        assert!(Moderation::parse(other).is_err(), "{other}");
    }
    let twice = full().to_xml().repeat(2);
    assert!(Moderation::parse(&twice).is_err());
    assert!(Stanza::parse(&message(&twice)).is_err());
}

#[test]
fn an_act_names_the_message() {
    let xml = "<act xmlns='urn:x-dmuc:0' nick='hecate'><moderate id='22cf'/><reason>Spam</reason></act>";
    let act = Act {
        actor_nick: Some("hecate".to_owned()),
        actor_jid: None,
        kind: ActKind::Moderate {
            id: "22cf".to_owned(),
        },
        reason: Some("Spam".to_owned()),
    };
    let request = Request::parse(IqKind::Set, xml).unwrap();
    assert_eq!(request, Request::Act(act));
    assert_eq!(Request::parse(IqKind::Set, &request.to_xml()).unwrap(), request);
    let nothing = "<act xmlns='urn:x-dmuc:0'><moderate/></act>";
    assert_eq!(
        Request::parse(IqKind::Set, nothing).unwrap_err().condition,
        Condition::BadRequest
    );
}

#[test]
fn in_a_page_it_is_an_event_of_nobody() {
    let page = |content: &str| {
        format!(
            "<sync xmlns='urn:x-dmuc:0'><events origin='coven@chat.shakespeare.lit' inc='3'>\
             <message xmlns='jabber:client' event='e1' seq='4' at='5.0'>{content}</message></events></sync>"
        )
    };
    let answer = Response::parse(Some(&page(&full().to_xml()))).unwrap();
    let Response::Sync(sync) = &answer else {
        panic!("no page");
    };
    assert_eq!(sync.events[0].nick, "");
    assert_eq!(Moderation::parse(&sync.events[0].payload), Ok(full()));
    let written = answer.to_xml();
    assert_eq!(Response::parse(written.as_deref()).unwrap(), answer);
    // A message that says not whose it is, and nothing else of ours either.
    for content in ["<body>x</body>", "", "<moderate xmlns='urn:x-dmuc:0'/>"] {
        assert!(Response::parse(Some(&page(content))).is_err(), "{content:?}");
    }
}
