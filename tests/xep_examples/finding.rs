//! Section 3.3, Finding a Room, and section 4, Determining Support.

use dmuc::wire::{DiscoInfo, IqBody, IqKind, Request, Response, Stanza, ns};

use crate::support::spec::round_trip;
use crate::support::xml::{compare, element};

fn body(caption: &str) -> IqBody {
    match round_trip(caption) {
        Stanza::Iq(iq) => iq.body,
        _ => panic!("{caption} is not an IQ"),
    }
}

#[test]
fn user_queries_peerhost_for_rooms() {
    let IqBody::Get(payload) = body("User Queries Peerhost for Rooms") else {
        panic!()
    };
    assert!(
        element(&payload).is("query", ns::DISCO_ITEMS),
        "Prosody answers it"
    );
}

#[test]
fn peerhost_returns_disco_items() {
    let IqBody::Result(Some(payload)) = body("Peerhost Returns Disco Items") else {
        panic!()
    };
    let names: Vec<_> = element(&payload)
        .children()
        .map(|item| item.attr("name").unwrap().to_owned())
        .collect();
    assert_eq!(
        names,
        ["A Lonely Heath", "A Dark Cave", "The Palace", "Macbeth's Castle"]
    );
}

#[test]
fn room_returns_extended_disco_info_results() {
    let IqBody::Result(Some(payload)) = body("Room Returns Extended Disco Info Results") else {
        panic!()
    };
    let response = Response::parse(Some(&payload)).unwrap();
    let Response::DiscoInfo(info) = &response else {
        panic!()
    };
    assert_eq!(info.source().unwrap().as_str(), "coven@chat.shakespeare.lit");
    assert_eq!(info.identities[0].name.as_deref(), Some("A Dark Cave"));
    assert!(info.features.contains(ns::MUC));
    assert!(
        !info.supports_dmuc(),
        "the room does not say so, its service does"
    );
    // We leave out what only a client shows: the label and type of the field.
    let plain = payload.replace(" label='Source Room' type='jid-single'", "");
    let plain = plain
        .replace(" label='Source Room'", "")
        .replace(" type='jid-single'", "");
    compare(&response.to_xml().unwrap(), &plain);
}

fn supported(features: &[&str]) -> DiscoInfo {
    let features: String = features
        .iter()
        .map(|var| format!("<feature var='{var}'/>"))
        .collect();
    let xml = format!("<query xmlns='http://jabber.org/protocol/disco#info'>{features}</query>");
    match Response::parse(Some(&xml)) {
        Ok(Response::DiscoInfo(info)) => info,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_service_is_asked_and_says_what_it_supports() {
    let question = Request::DiscoInfo.to_xml();
    assert_eq!(question, "<query xmlns='http://jabber.org/protocol/disco#info'/>");
    assert_eq!(Request::parse(IqKind::Get, &question), Ok(Request::DiscoInfo));
    let says = |info: &DiscoInfo| (info.supports_dmuc(), info.supports_ours());
    assert_eq!(
        says(&supported(&["urn:xmpp:dmuc:0", "urn:x-dmuc:0"])),
        (true, true)
    );
    assert_eq!(says(&supported(&["urn:xmpp:dmuc:0"])), (true, false));
    assert_eq!(
        says(&supported(&["http://jabber.org/protocol/muc"])),
        (false, false)
    );
}

#[test]
fn strange_things_in_disco_info_do_not_hide_what_is_supported() {
    let xml =
        "<query xmlns='http://jabber.org/protocol/disco#info'><feature/><identity/><what xmlns='urn:x'/>
        <x xmlns='jabber:x:data' type='result'><field><value>no var</value></field></x>
        <feature var='urn:xmpp:dmuc:0'/></query>";
    let Ok(Response::DiscoInfo(info)) = Response::parse(Some(xml)) else {
        panic!()
    };
    assert!(info.supports_dmuc() && info.source().is_none() && info.identities.is_empty());
}
