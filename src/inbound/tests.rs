//! Stanzas from the wire, taken apart.

use super::*;
use crate::wire::{Affiliation, Role};

const FROM_TO: &str = "from='theroom@rooms.macbeth.lit/first' to='coven@chat.shakespeare.lit/first'";

fn message(children: &str) -> Inbound {
    Inbound::parse(&format!(
        "<message {FROM_TO} type='groupchat' id='m1'>{children}</message>"
    ))
    .unwrap()
}

fn engine() -> Engine {
    let service = BareJid::new("chat.shakespeare.lit").unwrap();
    let peer = BareJid::new("rooms.macbeth.lit").unwrap();
    Engine::new(crate::Config::new(service).with_peer(peer), [1; 32])
}

const NOW: Now = Now {
    mono_ms: 1_000,
    wall_ms: 1_700_000_000_000,
};

#[test]
fn a_message_loses_what_the_engine_reads_and_what_peers_must_not_stamp() {
    let inbound = message(
        "<body>a &amp; b</body><stanza-id xmlns='urn:xmpp:sid:0' by='x' id='y'/>\
         <origin-id xmlns='urn:xmpp:sid:0' id='z'/><occupant-id xmlns='urn:xmpp:occupant-id:0' id='o'/>\
         <event xmlns='urn:x-dmuc:0' id='e' inc='1' seq='2' at='5.0'/>",
    );
    let Some(Input::PeerGroupchat {
        payload,
        event,
        keep,
        message_id,
        ..
    }) = inbound.input(false)
    else {
        panic!("{inbound:?}");
    };
    assert_eq!(
        payload,
        "<body>a &amp; b</body><origin-id xmlns='urn:xmpp:sid:0' id='z'/>"
    );
    assert_eq!(event.map(|event| event.seq), Some(2));
    assert_eq!(message_id, Some("m1"));
    assert!(keep);
}

#[test]
fn chat_states_and_what_says_no_are_not_kept() {
    let keeps = |children: &str| match message(children).input(false) {
        Some(Input::PeerGroupchat { keep, .. }) => keep,
        other => panic!("{other:?}"),
    };
    assert!(keeps("<body>x</body>"));
    assert!(keeps("<reactions xmlns='urn:xmpp:reactions:0' id='m'/>"));
    assert!(!keeps(""));
    assert!(!keeps(
        "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
    ));
    assert!(!keeps("<body>x</body><no-store xmlns='urn:xmpp:hints'/>"));
    // What somebody is doing in a thread.
    assert!(!keeps(
        "<composing xmlns='http://jabber.org/protocol/chatstates'/><thread>t</thread>"
    ));
    assert!(!keeps("<thread>t</thread>"));
    assert!(keeps(
        "<composing xmlns='http://jabber.org/protocol/chatstates'/><store xmlns='urn:xmpp:hints'/>"
    ));
}

#[test]
fn a_subject_alone_is_a_change_of_subject() {
    let text = |inbound: &Inbound| match inbound.input(false) {
        Some(Input::PeerSubject { text, .. }) => Some(text.to_owned()),
        _ => None,
    };
    assert_eq!(text(&message("<subject>Fire</subject>")).as_deref(), Some("Fire"));
    assert_eq!(text(&message("<subject/>")).as_deref(), Some(""));
    assert_eq!(text(&message("<subject>Fire</subject><body>Burn</body>")), None);
    assert_eq!(text(&message("<subject>Fire</subject><thread>t</thread>")), None);
}

#[test]
fn a_presence_becomes_its_parts() {
    let inbound = Inbound::parse(&format!(
        "<presence {FROM_TO} type='unavailable'><status>bye</status>\
         <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='member' role='none' nick='second' \
         jid='a@macbeth.lit/r'><actor nick='k'/><reason>why</reason></item><status code='303'/></x>\
         <occupant xmlns='urn:x-dmuc:0' id='o' serial='7'/></presence>"
    ))
    .unwrap();
    let Some(Input::PeerPresence(presence)) = inbound.input(false) else {
        panic!("{inbound:?}");
    };
    assert!(!presence.available);
    assert_eq!(
        (presence.affiliation, presence.role),
        (Affiliation::Member, Role::None)
    );
    assert_eq!(presence.jid.map(Jid::as_str), Some("a@macbeth.lit/r"));
    assert_eq!((presence.occupant_id, presence.serial), (Some("o"), Some(7)));
    assert_eq!((presence.codes, presence.new_nick), (&[303][..], Some("second")));
    assert_eq!((presence.actor, presence.reason), (Some("k"), Some("why")));
    assert_eq!(inbound.payload(), "<status>bye</status>");
}

#[test]
fn only_control_requests_and_answers_are_for_the_engine() {
    let is_input = |kind: &str, child: &str| {
        let xml = format!(
            "<iq from='rooms.macbeth.lit' to='chat.shakespeare.lit' id='1' type='{kind}'>{child}</iq>"
        );
        Inbound::parse(&xml).unwrap().input(false).is_some()
    };
    assert!(is_input(
        "set",
        "<replicate xmlns='urn:xmpp:dmuc:0'><room id='r'/></replicate>"
    ));
    assert!(is_input("set", "<x:act xmlns:x='urn:x-dmuc:0'/>"));
    assert!(is_input("result", ""));
    assert!(is_input("error", ""));
    assert!(!is_input(
        "get",
        "<query xmlns='http://jabber.org/protocol/disco#info'/>"
    ));
    assert!(!is_input("get", "<ping xmlns='urn:xmpp:ping'/>"));
}

#[test]
fn the_room_of_a_replication_request_can_be_asked_for() {
    let xml = "<iq from='rooms.macbeth.lit' to='chat.shakespeare.lit' id='1' type='set'>\
               <replicate xmlns='urn:xmpp:dmuc:0'><room id='TheRoom'/></replicate></iq>";
    let service = BareJid::new("chat.shakespeare.lit").unwrap();
    let room = Inbound::parse(xml).unwrap().wanted_room(&service);
    assert_eq!(
        room.as_ref().map(|room| room.as_str()),
        Some("theroom@chat.shakespeare.lit")
    );
    assert_eq!(message("<body>x</body>").wanted_room(&service), None);
}

#[test]
fn what_a_peer_gets_wrong_is_refused_with_an_error_it_can_use() {
    let xml = "<iq from='rooms.macbeth.lit' to='chat.shakespeare.lit' id='1' type='set'>\
               <replicate xmlns='urn:xmpp:dmuc:0'/></iq>";
    let handled = handle_stanza(&mut engine(), NOW, xml, false).unwrap();
    assert_eq!(handled.verdict.unwrap_err().condition, Condition::BadRequest);
    let refusal = Inbound::parse(&handled.refusal.unwrap()).unwrap();
    let Stanza::Iq(iq) = refusal.stanza() else {
        panic!("{refusal:?}")
    };
    assert_eq!(
        (iq.to.as_str(), iq.from.as_str(), iq.id.as_str()),
        ("rooms.macbeth.lit", "chat.shakespeare.lit", "1")
    );
    assert!(matches!(iq.body, IqBody::Error(_)));
}

#[test]
fn what_is_cut_off_is_refused_if_it_is_from_a_peer_and_ignored_otherwise() {
    let cut = |from: &str| {
        let xml = format!("<message from='{from}' to='coven@chat.shakespeare.lit' id='1'><body>");
        handle_stanza(&mut engine(), NOW, &xml, false).unwrap()
    };
    let refused = cut("rooms.macbeth.lit");
    assert_eq!(refused.verdict.unwrap_err().condition, Condition::BadRequest);
    assert!(refused.refusal.is_some());
    // A user of the peer's domain is no peer.
    for user in ["hag66@shakespeare.lit/pda", "somewitch@rooms.macbeth.lit/pda"] {
        assert_eq!(cut(user).verdict, Ok(Verdict::Continue), "{user}");
    }
}

#[test]
fn an_attribute_that_is_too_long_is_refused_like_any_other() {
    let from = "coven@rooms.macbeth.lit";
    let id = "i".repeat(100_000);
    let xml = format!(
        "<iq from='{from}' to='chat.shakespeare.lit' id='{id}' type='set'><x xmlns='urn:x-dmuc:0'/></iq>"
    );
    let head = Head::read(&xml).unwrap();
    assert_eq!(head.from().as_str(), from);
    assert!(handle_stanza(&mut engine(), NOW, &xml, false).is_some());
}

#[test]
fn errors_and_results_are_never_answered() {
    let xml = "<message from='rooms.macbeth.lit' to='coven@chat.shakespeare.lit' type='error'><body>";
    let handled = handle_stanza(&mut engine(), NOW, xml, false).unwrap();
    assert!(handled.verdict.is_err() && handled.refusal.is_none());
}

#[test]
fn what_is_no_stanza_or_comes_from_nowhere_is_not_taken() {
    for xml in [
        "",
        "hello",
        "<",
        "<body xmlns='jabber:client' from='a' to='b'/>",
        "<iq xmlns='jabber:server' from='a' to='b'/>",
        "<iq to='b' id='1' type='get'/>",
        "<iq from='a@@b' to='b' id='1' type='get'/>",
    ] {
        assert!(handle_stanza(&mut engine(), NOW, xml, false).is_none(), "{xml}");
    }
}

#[test]
fn clients_cannot_forge_our_elements() {
    let given = "<body>x</body><e:event xmlns:e='urn:x-dmuc:0' id='1'/> <occupant-id xmlns='urn:xmpp:occupant-id:0' id='o'/>";
    assert_eq!(message_payload(given).unwrap(), "<body>x</body>");
    let given = "<show>away</show><x xmlns='http://jabber.org/protocol/muc'/>";
    assert_eq!(presence_payload(given).unwrap(), "<show>away</show>");
    for bad in [
        "<body>",
        "text",
        "</p><p>",
        "</message><message>",
        "<a:b/>",
        "<!-- c -->",
        "<a b='1' b='2'/>",
    ] {
        assert!(message_payload(bad).is_err(), "{bad}");
    }
}
