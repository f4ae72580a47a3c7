//! What makes up for a split, as it stands on the wire: `<sync/>`, `<digest/>`, offers with `<was/>`, versions.

use dmuc::address::BareJid;
use dmuc::wire::{Act, ActKind, Listed};
use dmuc::wire::{
    Affiliation, Config, Digest, EventStamp, Form, Hlc, Message, MessageKind, Numbers, OccupantStamp, Parts,
    Request, Response, Role, RoomDigest, RoomId, Roster, RosterExtra, RosterItem, SeenNumbers, SettingsExtra,
    Stanza, SyncAnswer, SyncEvent, SyncRequest, write_message,
};

use crate::support::xml::compare;

fn bare(text: &str) -> BareJid {
    BareJid::new(text).unwrap()
}

fn seen(origin: &str, incarnation: u64, numbers: &str, first: Option<u64>) -> SeenNumbers {
    SeenNumbers {
        origin: bare(origin),
        incarnation,
        numbers: numbers.parse().unwrap(),
        first,
    }
}

pub fn event(origin: &str, incarnation: u64, seq: u64, payload: &str) -> SyncEvent {
    SyncEvent {
        event: EventStamp {
            id: format!("id-{incarnation}-{seq}"),
            origin: Some(bare(origin)),
            incarnation,
            seq,
            at: Hlc {
                wall_ms: 1_769_155_200_123,
                counter: 1,
            },
            roster: None,
        },
        nick: "firstwitch".into(),
        message_id: None,
        lang: None,
        occupant_id: None,
        payload: payload.into(),
    }
}

/// Writes an answer, reads it back, and gives what was written.
pub fn written(answer: &SyncAnswer) -> String {
    let response = Response::Sync(Box::new(answer.clone()));
    let xml = response.to_xml().unwrap();
    assert_eq!(Response::parse(Some(&xml)), Ok(response), "{xml}");
    xml
}

/// Expects a request to be written as this XML and to be read back.
#[track_caller]
fn expect_request(request: &Request, xml: &str) {
    compare(&request.to_xml(), xml);
    assert_eq!(Request::parse(request.iq_kind(), xml).as_ref(), Ok(request));
}

#[test]
fn an_instance_tells_what_it_has_and_asks_for_the_rest() {
    let request = SyncRequest {
        seen: vec![
            seen("coven@chat.shakespeare.lit", 1, "1-120 125 130-131", None),
            seen("coven@chat.shakespeare.lit", 2, "", None),
            seen("theroom@rooms.macbeth.lit", 7, "1", None),
        ],
        roster: Some(41),
        settings: Some(0),
        relay: true,
        is_new: false,
        ..SyncRequest::default()
    };
    expect_request(
        &Request::Sync(request),
        "<sync xmlns='urn:x-dmuc:0' roster='41' settings='0' relay='true'>
           <seen origin='coven@chat.shakespeare.lit' inc='1' numbers='1-120 125 130-131'/>
           <seen origin='coven@chat.shakespeare.lit' inc='2' numbers=''/>
           <seen origin='theroom@rooms.macbeth.lit' inc='7' numbers='1'/></sync>",
    );
    let newcomer = SyncRequest {
        is_new: true,
        ..SyncRequest::default()
    };
    let over_a_thin_link = SyncRequest {
        max: Some(4_096),
        again: Some("dmuc-2007d1d7".to_owned()),
        head: true,
        packed: true,
        ..SyncRequest::default()
    };
    expect_request(
        &Request::Sync(over_a_thin_link),
        "<sync xmlns='urn:x-dmuc:0' max='4096' again='dmuc-2007d1d7' head='true' packed='true'/>",
    );
    expect_request(
        &Request::Sync(newcomer),
        "<sync xmlns='urn:x-dmuc:0' new='true'/>",
    );
    expect_request(
        &Request::Sync(SyncRequest::default()),
        "<sync xmlns='urn:x-dmuc:0'/>",
    );
}

#[test]
fn a_page_holds_runs_of_several_origins_in_the_order_of_the_log() {
    let (chat, rooms) = ("coven@chat.shakespeare.lit", "theroom@rooms.macbeth.lit");
    let answer = SyncAnswer {
        more: true,
        events: vec![
            event(chat, 1, 1, "<body>When shall we three meet again</body>"),
            event(chat, 1, 2, ""),
            event(rooms, 7, 1, "<body>In thunder</body>"),
            event(chat, 1, 3, "<body>or in rain?</body>"),
            event(chat, 2, 1, "<body>after a restart</body>"),
        ],
        ..SyncAnswer::default()
    };
    let xml = written(&answer);
    assert_eq!(xml.matches("<events ").count(), 4, "{xml}");
    compare(
        &written(&SyncAnswer {
            seen: vec![seen(chat, 1, "1-3", Some(2))],
            events: answer.events[..2].to_vec(),
            ..SyncAnswer::default()
        }),
        "<sync xmlns='urn:x-dmuc:0'>
           <seen origin='coven@chat.shakespeare.lit' inc='1' numbers='1-3' first='2'/>
           <events origin='coven@chat.shakespeare.lit' inc='1'>
             <message xmlns='jabber:client' event='id-1-1' seq='1' at='1769155200123.1' nick='firstwitch'>
               <body>When shall we three meet again</body></message>
             <message xmlns='jabber:client' event='id-1-2' seq='2' at='1769155200123.1' nick='firstwitch'/>
           </events></sync>",
    );
}

#[test]
fn payloads_in_a_page_stay_as_they_were_in_the_message() {
    let payload = "<body xml:lang='en'>Fair &lt;is&gt; &amp;foul&apos;&quot; ]]&gt;</body><show>away</show>\
        <delay xmlns='urn:xmpp:delay' stamp='1999-01-01T00:00:00Z'/>\
        <html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'>\
        <p>Fair <b>is</b> foul</p></body></html><x xmlns='urn:a'><body xmlns='jabber:client'>within</body></x>\
        <a xmlns=''/>";
    let xml = written(&SyncAnswer {
        events: vec![event("coven@chat.shakespeare.lit", 1, 1, payload)],
        ..SyncAnswer::default()
    });
    assert!(xml.contains(payload), "{xml}");
}

#[test]
fn awkward_nicks_and_ids_pass_through_a_page() {
    for text in ["<&'\">", "a/b@c", "魔女 🧙", "]]>", "&amp;", "x\u{a0}y", "Ä"] {
        let Ok(place) = bare("a@b.lit").with_resource(text) else {
            panic!("{text:?} is a nick")
        };
        let mut event = event("coven@chat.shakespeare.lit", 1, 1, "<body>1</body>");
        event.nick = place.nick().to_owned();
        event.message_id = Some(format!("{text}\n\t\r "));
        event.occupant_id = Some(text.to_owned());
        event.event.id = format!("{text}\n");
        written(&SyncAnswer {
            events: vec![event],
            ..SyncAnswer::default()
        });
    }
}

#[test]
fn nothing_of_ours_passes_in_the_message_of_a_page() {
    let forged = "<body>1</body><event xmlns='urn:x-dmuc:0' id='x' inc='1' seq='1' at='1.0'/>\
        <settings xmlns='urn:x-dmuc:0' version='9'/><roster xmlns='urn:xmpp:dmuc:0'/>";
    let answer = SyncAnswer {
        events: vec![event("coven@chat.shakespeare.lit", 1, 1, forged)],
        ..SyncAnswer::default()
    };
    let xml = Response::Sync(Box::new(answer)).to_xml().unwrap();
    match Response::parse(Some(&xml)) {
        Ok(Response::Sync(answer)) => assert_eq!(answer.events[0].payload, "<body>1</body>"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_last_page_brings_settings_and_roster() {
    let answer = SyncAnswer {
        config: Some(Config {
            form: Form::default(),
            settings: Some(SettingsExtra {
                term: 0,
                version: 9,
                instances: vec![bare("rooms.macbeth.lit"), bare("chat.hecate.lit")],
                said: Some([(bare("coven@chat.shakespeare.lit"), (7, 42))].into()),
                ..SettingsExtra::default()
            }),
        }),
        roster: Some(Roster {
            items: vec![RosterItem {
                affiliation: Affiliation::None,
                role: Some(Role::None),
                nick: Some("gone <away>".into()),
                ..RosterItem::default()
            }],
            extra: Some(RosterExtra {
                version: 42,
                settings: Some(9),
                ..RosterExtra::default()
            }),
        }),
        ..SyncAnswer::default()
    };
    compare(
        &written(&answer),
        "<sync xmlns='urn:x-dmuc:0'>
           <config xmlns='urn:xmpp:dmuc:0'><x xmlns='jabber:x:data' type='form'>
             <field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/muc#roomconfig</value></field></x>
             <settings xmlns='urn:x-dmuc:0' term='0' version='9'>
               <instance jid='rooms.macbeth.lit'/><instance jid='chat.hecate.lit'/>
               <said><latest origin='coven@chat.shakespeare.lit' log='7.42'/></said></settings></config>
           <roster xmlns='urn:xmpp:dmuc:0'><snapshot xmlns='urn:x-dmuc:0' version='42' settings='9'/>
             <item affiliation='none' role='none' name='gone &lt;away&gt;'/></roster></sync>",
    );
    assert!(!answer.roster.unwrap().occupants_complete(), "a difference");
}

#[test]
fn a_digest_says_the_same_in_both_directions() {
    let digest = Digest {
        life: None,
        hello: false,
        time: Some(1_795_425_161_200),
        takes: Some(262_144),
        rooms: vec![
            RoomDigest {
                id: RoomId::new("theroom").unwrap(),
                log: Some((7, 42)),
                roster: 3,
                settings: Some(5),
                rest: Some("a1b2".into()),
                words: Some("e5f6".into()),
                proof: None,
                parts: Some(Parts {
                    list: Some("0a".into()),
                    words: Some("1b".into()),
                    ..Parts::default()
                }),
                gone: false,
            },
            RoomDigest {
                id: RoomId::new("new").unwrap(),
                log: None,
                roster: 0,
                settings: None,
                rest: None,
                words: None,
                proof: Some("c3d4".into()),
                parts: None,
                gone: false,
            },
            RoomDigest::gone(RoomId::new("lost").unwrap()),
        ],
    };
    let xml =
        "<digest xmlns='urn:x-dmuc:0' time='1795425161200' takes='262144'><room id='theroom' log='7.42' roster='3' settings='5' rest='a1b2' words='e5f6'><parts list='0a' words='1b'/></room>
        <room id='new' proof='c3d4'/><room id='lost' gone='true'/></digest>";
    expect_request(&Request::Digest(digest.clone()), xml);
    let answer = Response::Digest(digest);
    compare(&answer.to_xml().unwrap(), xml);
    assert_eq!(Response::parse(Some(xml)), Ok(answer));
    expect_request(
        &Request::Digest(Digest::default()),
        "<digest xmlns='urn:x-dmuc:0'/>",
    );
    let beat = Digest {
        life: Some("5e0c1b7d9f3a2468".into()),
        ..Digest::default()
    };
    let xml = "<digest xmlns='urn:x-dmuc:0' life='5e0c1b7d9f3a2468'/>";
    expect_request(&Request::Digest(beat.clone()), xml);
    let hello = Digest { hello: true, ..beat };
    let xml = "<digest xmlns='urn:x-dmuc:0' life='5e0c1b7d9f3a2468' hello='true'/>";
    expect_request(&Request::Digest(hello), xml);
}

fn offer(kind: ActKind) -> Request {
    Request::Act(Act {
        actor_nick: Some("firstwitch".into()),
        actor_jid: Some(bare("crone1@shakespeare.lit")),
        kind,
        reason: None,
    })
}

#[test]
fn an_offer_says_what_it_replaces() {
    let form = |name: &str| {
        let mut form = Form::default();
        form.set("muc#roomconfig_roomname", vec![name.into()]);
        form
    };
    let x = |name: &str| {
        format!(
            "<x xmlns='jabber:x:data' type='form'><field var='FORM_TYPE' type='hidden'>
               <value>http://jabber.org/protocol/muc#roomconfig</value></field>
               <field var='muc#roomconfig_roomname'><value>{name}</value></field></x>"
        )
    };
    let cases = [
        (
            ActKind::Affiliation {
                is_invited: false,
                jid: bare("wiccarocks@shakespeare.lit"),
                affiliation: Affiliation::Outcast,
                nick: None,
                was: Some(Listed {
                    affiliation: Affiliation::Member,
                    nick: Some("<wicca>".into()),
                }),
            },
            "<affiliation jid='wiccarocks@shakespeare.lit' affiliation='outcast'>
               <was affiliation='member' nick='&lt;wicca&gt;'/></affiliation>"
                .to_owned(),
        ),
        (
            ActKind::Config {
                form: form("New"),
                was: Some(form("Old")),
            },
            format!("<config>{}<was>{}</was></config>", x("New"), x("Old")),
        ),
        (
            ActKind::Subject {
                text: "Fire & water".into(),
                was: Some(String::new()),
            },
            "<subject><text>Fire &amp; water</text><was/></subject>".to_owned(),
        ),
        (
            ActKind::Subject {
                text: String::new(),
                was: None,
            },
            "<subject><text/></subject>".to_owned(),
        ),
        (
            ActKind::Register {
                nick: Some("wyrd & sister".into()),
                was: Some(Listed {
                    affiliation: Affiliation::Member,
                    nick: None,
                }),
            },
            "<register nick='wyrd &amp; sister'><was affiliation='member'/></register>".to_owned(),
        ),
        (
            ActKind::Register {
                nick: None,
                was: None,
            },
            "<register/>".to_owned(),
        ),
    ];
    for (kind, inner) in cases {
        let xml =
            format!("<act xmlns='urn:x-dmuc:0' nick='firstwitch' jid='crone1@shakespeare.lit'>{inner}</act>");
        expect_request(&offer(kind), &xml);
    }
}

#[test]
fn a_subject_brings_the_version_of_the_settings() {
    let message = Message {
        from: bare("coven@chat.shakespeare.lit")
            .with_resource("foo")
            .unwrap()
            .into(),
        to: bare("theroom@rooms.macbeth.lit").into(),
        kind: MessageKind::Groupchat,
        id: None,
        lang: None,
        event: None,
        settings: Some(1_769_155_200_123),
        moderation: None,
        payload: "<subject>Fire</subject>".into(),
    };
    let xml = write_message(&message);
    compare(
        &xml,
        "<message from='coven@chat.shakespeare.lit/foo' to='theroom@rooms.macbeth.lit' type='groupchat'>
           <subject>Fire</subject><settings xmlns='urn:x-dmuc:0' version='1769155200123'/></message>",
    );
    assert_eq!(Stanza::parse(&xml), Ok(Stanza::Message(message)));
}

#[test]
fn a_presence_brings_the_version_of_the_roster() {
    let stamp = OccupantStamp {
        occupant_id: None,
        serial: 5,
        version: Some(42),
    };
    compare(
        &stamp.to_xml(),
        "<occupant xmlns='urn:x-dmuc:0' serial='5' version='42'/>",
    );
    assert_eq!(OccupantStamp::from_attrs(None, Some("5"), Some("42")), Ok(stamp));
}

#[test]
fn ranges_are_read_back_as_the_set_they_are() {
    for (text, canonical) in [("1-2 3", "1-3"), ("1 2 3-9", "1-9"), (" 4 \n 6", "4 6")] {
        assert_eq!(text.parse::<Numbers>().unwrap().to_string(), canonical);
    }
}
