//! DESIGN section 4: where the XEP slips, both forms are read and the corrected one is sent.

use dmuc::address::{BareJid, Jid};
use dmuc::wire::{Iq, IqBody, IqKind, Peerhost, Replicate, Request, Response, RoomId, Stanza, write_iq};

use crate::support::spec::repaired;
use crate::support::xml::compare;

fn example(caption: &str) -> Iq {
    match Stanza::parse(repaired(caption, 1).trim()) {
        Ok(Stanza::Iq(iq)) => iq,
        other => panic!("{other:?}"),
    }
}

/// The answer goes back to whoever asked (RFC 6120 section 8.2.3).
fn answer(question: &Iq, body: IqBody) -> String {
    write_iq(&Iq {
        from: question.to.clone(),
        to: question.from.clone(),
        id: question.id.clone(),
        body,
    })
}

#[test]
fn a_result_goes_back_to_the_requester() {
    let produced = answer(
        &example("Firsthost Requests Replication of Room"),
        IqBody::Result(Response::Empty.to_xml()),
    );
    compare(
        &produced,
        "<iq from='rooms.macbeth.lit' to='chat.shakespeare.lit' id='replicate1' type='result'/>",
    );
}

#[test]
fn the_shadow_asks_the_source_for_history() {
    let literal = example("Peerhost Requests Room History");
    let IqBody::Get(payload) = &literal.body else {
        panic!()
    };
    let request = Request::parse(IqKind::Get, payload).unwrap();
    let produced = write_iq(&Iq {
        from: Jid::new("theroom@rooms.macbeth.lit").unwrap(),
        to: Jid::new("coven@chat.shakespeare.lit").unwrap(),
        id: literal.id,
        body: IqBody::Get(request.to_xml()),
    });
    compare(
        &produced,
        "<iq from='theroom@rooms.macbeth.lit' to='coven@chat.shakespeare.lit' id='history1' type='get'>
           <room xmlns='urn:xmpp:dmuc:0' id='theroom'><history xmlns='http://jabber.org/protocol/muc'/></room>
         </iq>",
    );
}

#[test]
fn the_replication_request_names_the_source() {
    let source = Some(BareJid::new("coven@chat.shakespeare.lit").unwrap());
    let request = Request::Replicate(Replicate {
        id: RoomId::new("theroom").unwrap(),
        source,
    });
    let corrected = "<replicate xmlns='urn:xmpp:dmuc:0' source='coven@chat.shakespeare.lit'><room id='theroom'/></replicate>";
    assert_eq!(request.to_xml(), corrected);
    for also in [
        corrected,
        "<replicate xmlns='urn:xmpp:dmuc:0'><room id='theroom' source='coven@chat.shakespeare.lit'/></replicate>",
    ] {
        assert_eq!(Request::parse(IqKind::Set, also).as_ref(), Ok(&request));
    }
}

#[test]
fn the_news_of_a_peerhost_names_it() {
    let jid = Some(BareJid::new("rooms.macbeth.lit").unwrap());
    let here = Peerhost {
        id: RoomId::new("theroom").unwrap(),
        jid,
        gone: false,
    };
    let xml = "<peerhost xmlns='urn:xmpp:dmuc:0' jid='rooms.macbeth.lit'><room id='theroom'/></peerhost>";
    assert_eq!(Request::Peerhost(here.clone()).to_xml(), xml);
    let left = "<peerhost xmlns='urn:xmpp:dmuc:0' jid='rooms.macbeth.lit' gone='true'><room id='theroom'/></peerhost>";
    let gone = Request::Peerhost(Peerhost { gone: true, ..here });
    assert_eq!(gone.to_xml(), left);
    assert_eq!(Request::parse(IqKind::Set, left), Ok(gone));
}

#[test]
fn the_localpart_of_a_shadow_is_the_room_id() {
    let service = BareJid::new("rooms.macbeth.lit").unwrap();
    assert_eq!(
        RoomId::new("theroom").unwrap().at(&service).as_str(),
        "theroom@rooms.macbeth.lit"
    );
    assert_eq!(
        RoomId::new("TheRoom").unwrap().as_str(),
        "theroom",
        "localparts fold case"
    );
}
