//! A source that has just started does not know what its shadows speak, and tells them in the XEP's text, without the
//! numbers of the settings. What a shadow has then has no number, and is pulled (G6, G7).

use dmuc::wire::Affiliation;

use crate::scenes;
use crate::support::federation::Federation;
use crate::support::names::*;

const FROM_SOURCE: &str = "from='coven@chat.shakespeare.lit' to='coven@rooms.macbeth.lit'";

fn coven() -> Federation {
    let mut fed = scenes::shared(&[CHAT, ROOMS]);
    fed.join(FOO, CRONE1);
    fed.affiliate(FOO, "somewitch@macbeth.lit", Affiliation::Admin);
    fed.configure(FOO, &[("muc#roomconfig_moderatedroom", "1")]);
    fed.set_subject(FOO, "Toil");
    fed.run();
    fed
}

/// Something of another time arrives at the shadow: in the end it has what the source has.
fn expect_source_rules(late: &str) {
    let mut fed = coven();
    fed.hand_in(&bare(ROOMS), late);
    fed.run();
    let field = |room| {
        let form = &fed.host(service_of(&bare(room)).as_str()).room(&bare(room)).form;
        form.flag("muc#roomconfig_moderatedroom")
    };
    assert_eq!(field(COVEN), Some(true));
    assert_eq!(field(COVEN_AT_ROOMS), Some(true), "after {late}");
    assert_eq!(fed.subject(COVEN_AT_ROOMS), "Toil", "after {late}");
    for user in ["somewitch@macbeth.lit", "banquo@macbeth.lit"] {
        assert_eq!(
            fed.affiliation(COVEN_AT_ROOMS, user),
            fed.affiliation(COVEN, user),
            "{user} after {late}"
        );
    }
}

#[test]
fn a_configuration_without_a_number_does_not_stay() {
    let field = |var: &str, value: &str| format!("<field var='{var}'><value>{value}</value></field>");
    expect_source_rules(&format!(
        "<iq {FROM_SOURCE} id='late' type='set'><config xmlns='urn:xmpp:dmuc:0'>\
         <x xmlns='jabber:x:data' type='form'>{}{}</x></config></iq>",
        field("FORM_TYPE", "http://jabber.org/protocol/muc#roomconfig"),
        field("muc#roomconfig_moderatedroom", "0")
    ));
}

#[test]
fn an_entry_of_the_list_without_a_number_does_not_stay() {
    for entry in [
        "<item affiliation='outcast' jid='banquo@macbeth.lit'/>",
        "<item affiliation='none' jid='somewitch@macbeth.lit'/>",
    ] {
        expect_source_rules(&format!(
            "<iq {FROM_SOURCE} id='late' type='set'><roster xmlns='urn:xmpp:dmuc:0'>{entry}</roster></iq>"
        ));
    }
}

#[test]
fn a_subject_without_a_number_does_not_stay() {
    expect_source_rules(
        "<message from='coven@chat.shakespeare.lit/foo' to='coven@rooms.macbeth.lit' type='groupchat'>\
         <subject>Trouble</subject></message>",
    );
}

/// What is in agreement with what is here leaves it as it is: nothing is pulled.
#[test]
fn the_same_without_a_number_is_no_news() {
    let mut fed = coven();
    let before = fed.net.stanzas(&bare(ROOMS), &bare(CHAT));
    fed.hand_in(
        &bare(ROOMS),
        "<message from='coven@chat.shakespeare.lit/foo' to='coven@rooms.macbeth.lit' type='groupchat'>\
         <subject>Toil</subject></message>",
    );
    fed.run();
    assert_eq!(fed.net.stanzas(&bare(ROOMS), &bare(CHAT)), before);
}
