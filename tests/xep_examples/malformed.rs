//! Bad input: for each control stanza the missing or wrong part, and the error its sender gets.

use dmuc::wire::{Condition, IqKind, Request};

use Condition::{
    BadRequest, FeatureNotImplemented, JidMalformed, NotAcceptable, PolicyViolation, ServiceUnavailable,
};
use IqKind::{Get, Set};

#[track_caller]
pub fn expect_refused(kind: IqKind, cases: &[(&str, Condition)]) {
    for (xml, condition) in cases {
        let error = Request::parse(kind, xml).expect_err(xml);
        assert_eq!(error.condition, *condition, "{xml}\n{error}");
        assert_eq!(error.kind, condition.default_type(), "{xml}");
        assert!(!error.text.is_empty());
    }
}

/// The element in the XEP's namespace.
macro_rules! dmuc {
    ($name:literal, $attrs:literal, $inner:literal) => {
        concat!(
            "<",
            $name,
            " xmlns='urn:xmpp:dmuc:0' ",
            $attrs,
            ">",
            $inner,
            "</",
            $name,
            ">"
        )
    };
}

/// The element in our namespace.
macro_rules! ours {
    ($name:literal, $attrs:literal, $inner:literal) => {
        concat!(
            "<",
            $name,
            " xmlns='urn:x-dmuc:0' ",
            $attrs,
            ">",
            $inner,
            "</",
            $name,
            ">"
        )
    };
}

#[test]
fn what_is_no_request_is_refused() {
    expect_refused(
        Set,
        &[
            ("", BadRequest),
            ("text", BadRequest),
            ("<replicate", BadRequest),
            ("<replicate xmlns='urn:xmpp:dmuc:0'>", BadRequest),
            (
                "<leave xmlns='urn:x-dmuc:0'/><leave xmlns='urn:x-dmuc:0'/>",
                BadRequest,
            ),
            ("<leave xmlns='urn:x-dmuc:0'/>text", BadRequest),
            ("<p:leave/>", BadRequest),
            ("<replicate/>", ServiceUnavailable),
            ("<query xmlns='jabber:iq:version'/>", ServiceUnavailable),
            ("<unknown xmlns='urn:xmpp:dmuc:0'/>", FeatureNotImplemented),
            ("<unknown xmlns='urn:x-dmuc:0'/>", FeatureNotImplemented),
            (
                "<replicate xmlns='urn:x-dmuc:0'><room id='a'/></replicate>",
                FeatureNotImplemented,
            ),
            ("<act xmlns='urn:xmpp:dmuc:0'/>", FeatureNotImplemented),
        ],
    );
}

#[test]
fn a_request_in_the_wrong_type_of_iq_is_refused() {
    let history = dmuc!(
        "room",
        "id='a'",
        "<history xmlns='http://jabber.org/protocol/muc'/>"
    );
    let disco = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
    expect_refused(Set, &[(history, BadRequest), (disco, BadRequest)]);
    expect_refused(
        Get,
        &[
            (dmuc!("replicate", "", "<room id='a'/>"), BadRequest),
            (dmuc!("peerhost", "", "<room id='a'/>"), BadRequest),
            (
                dmuc!("roster", "", "<item affiliation='none' name='a'/>"),
                BadRequest,
            ),
            (ours!("close", "", ""), BadRequest),
            (ours!("destroy", "", ""), BadRequest),
            (ours!("leave", "", ""), BadRequest),
        ],
    );
}

#[test]
fn a_malformed_replicate_is_refused() {
    expect_refused(
        Set,
        &[
            (dmuc!("replicate", "", ""), BadRequest),
            (dmuc!("replicate", "", "<room/>"), BadRequest),
            (dmuc!("replicate", "", "<room xmlns='urn:x' id='a'/>"), BadRequest),
            (dmuc!("replicate", "", "<room id='a'/><room id='b'/>"), BadRequest),
            (dmuc!("replicate", "", "<room id=''/>"), NotAcceptable),
            (dmuc!("replicate", "", "<room id='a@b'/>"), NotAcceptable),
            (dmuc!("replicate", "", "<room id='a/b'/>"), NotAcceptable),
            (dmuc!("replicate", "", "<room id='a b'/>"), NotAcceptable),
            (dmuc!("replicate", "source=''", "<room id='a'/>"), JidMalformed),
            (dmuc!("replicate", "source='a@'", "<room id='a'/>"), JidMalformed),
            (
                dmuc!("replicate", "source='chat.shakespeare.lit'", "<room id='a'/>"),
                JidMalformed,
            ),
            (
                dmuc!("replicate", "source='a@b.lit/nick'", "<room id='a'/>"),
                JidMalformed,
            ),
            (dmuc!("replicate", "", "<room id='a' source='@'/>"), JidMalformed),
        ],
    );
}

#[test]
fn a_malformed_peerhost_is_refused() {
    expect_refused(
        Set,
        &[
            (dmuc!("peerhost", "jid='a.lit'", ""), BadRequest),
            (dmuc!("peerhost", "jid='a.lit'", "<room/>"), BadRequest),
            (dmuc!("peerhost", "jid='a.lit'", "<room id='@'/>"), NotAcceptable),
            (dmuc!("peerhost", "jid='@'", "<room id='a'/>"), JidMalformed),
            (
                dmuc!("peerhost", "jid='room@a.lit'", "<room id='a'/>"),
                JidMalformed,
            ),
            (dmuc!("peerhost", "jid='a.lit/x'", "<room id='a'/>"), JidMalformed),
            (
                dmuc!("peerhost", "jid='a.lit' gone='perhaps'", "<room id='a'/>"),
                BadRequest,
            ),
        ],
    );
}

const FORM: &str = "<field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>";

fn config(x_type: &str, fields: &str, beside: &str) -> String {
    format!("<config xmlns='urn:xmpp:dmuc:0'><x xmlns='jabber:x:data' {x_type}>{fields}</x>{beside}</config>")
}

#[test]
fn a_malformed_config_is_refused() {
    let settings = |attrs: &str, inner: &str| {
        config(
            "type='form'",
            FORM,
            &format!("<settings xmlns='urn:x-dmuc:0' {attrs}>{inner}</settings>"),
        )
    };
    let long = "s".repeat(129);
    let cases = [
        ("<config xmlns='urn:xmpp:dmuc:0'/>".to_owned(), BadRequest),
        (config("", FORM, ""), BadRequest),
        (config("type='cancel'", FORM, ""), BadRequest),
        (config("type='form'", "", ""), BadRequest),
        (config("type='form'", "<field var='FORM_TYPE'/>", ""), BadRequest),
        (
            config("type='form'", &FORM.replace("roomconfig", "register"), ""),
            BadRequest,
        ),
        (config("type='form'", &format!("{FORM}{FORM}"), ""), BadRequest),
        (
            config(
                "type='form'",
                &format!("{FORM}<field><value>1</value></field>"),
                "",
            ),
            BadRequest,
        ),
        (
            config("type='form'", &format!("{FORM}<field var=''/>"), ""),
            BadRequest,
        ),
        (
            config(
                "type='form'",
                &format!("{FORM}<field var='a'/><field var='a'/>"),
                "",
            ),
            BadRequest,
        ),
        (
            config("type='form'", FORM, "<x xmlns='jabber:x:data' type='form'/>"),
            BadRequest,
        ),
        (settings("", ""), BadRequest),
        (settings("term='1'", ""), BadRequest),
        (settings("version='1'", ""), BadRequest),
        (settings("term='-1' version='1'", ""), BadRequest),
        (settings("term='+1' version='1'", ""), BadRequest),
        (settings("term='1' version=''", ""), BadRequest),
        (settings("term='1' version='1.5'", ""), BadRequest),
        (
            settings("term='1' version='18446744073709551616'", ""),
            BadRequest,
        ),
        (settings("term='1' version='1' salt=''", ""), BadRequest),
        (
            settings(&format!("term='1' version='1' salt='{long}'"), ""),
            PolicyViolation,
        ),
        (
            settings("term='1' version='1'", "<subject>x</subject>"),
            BadRequest,
        ),
        (
            settings("term='1' version='1'", "<subject stamp='today'>x</subject>"),
            BadRequest,
        ),
        (
            settings(
                "term='1' version='1'",
                "<subject nick='' stamp='1970-01-01T00:00:00Z'/>",
            ),
            JidMalformed,
        ),
    ];
    for (xml, condition) in &cases {
        expect_refused(Set, &[(xml, *condition)]);
    }
    assert!(Request::parse(Set, &settings("term='1' version='1' salt='s'", "")).is_ok());
}

#[test]
fn a_malformed_roster_is_refused() {
    expect_refused(
        Set,
        &[
            (dmuc!("roster", "", "<item jid='a@b.lit' name='a'/>"), BadRequest),
            (
                dmuc!("roster", "", "<item affiliation='king' jid='a@b.lit'/>"),
                BadRequest,
            ),
            (
                dmuc!("roster", "", "<item affiliation='' jid='a@b.lit'/>"),
                BadRequest,
            ),
            (
                dmuc!("roster", "", "<item affiliation='none' role='jester' name='a'/>"),
                BadRequest,
            ),
            (dmuc!("roster", "", "<item affiliation='none'/>"), BadRequest),
            (
                dmuc!("roster", "", "<item affiliation='none' jid='@b.lit'/>"),
                JidMalformed,
            ),
            (
                dmuc!("roster", "", "<item affiliation='none' name=''/>"),
                JidMalformed,
            ),
            (
                dmuc!("roster", "", "<item affiliation='none' name='a' nick=''/>"),
                JidMalformed,
            ),
            (
                dmuc!(
                    "roster",
                    "",
                    "<item affiliation='none' name='a'><reason/><reason/></item>"
                ),
                BadRequest,
            ),
            (
                dmuc!(
                    "roster",
                    "",
                    "<item affiliation='none' name='a'><occupant xmlns='urn:x-dmuc:0'/></item>"
                ),
                BadRequest,
            ),
            (
                dmuc!(
                    "roster",
                    "",
                    "<item affiliation='none' name='a'><occupant xmlns='urn:x-dmuc:0' serial='x'/></item>"
                ),
                BadRequest,
            ),
            (
                dmuc!(
                    "roster",
                    "",
                    "<item affiliation='none' name='a'><occupant xmlns='urn:x-dmuc:0' serial='1' id=''/></item>"
                ),
                BadRequest,
            ),
            (
                dmuc!("roster", "", "<snapshot xmlns='urn:x-dmuc:0'/>"),
                BadRequest,
            ),
            (
                dmuc!("roster", "", "<snapshot xmlns='urn:x-dmuc:0' version='one'/>"),
                BadRequest,
            ),
            (
                dmuc!(
                    "roster",
                    "",
                    "<snapshot xmlns='urn:x-dmuc:0' version='1' occupants='2'/>"
                ),
                BadRequest,
            ),
            (
                dmuc!(
                    "roster",
                    "",
                    "<snapshot xmlns='urn:x-dmuc:0' version='1' term='x'/>"
                ),
                BadRequest,
            ),
        ],
    );
}

#[test]
fn one_bad_item_refuses_the_whole_roster() {
    let xml = dmuc!(
        "roster",
        "",
        "<item affiliation='owner' jid='a@b.lit'/><item affiliation='king' jid='c@b.lit'/>"
    );
    assert!(Request::parse(Set, xml).is_err());
}

#[test]
fn a_malformed_history_request_is_refused() {
    let with = |attrs: &str| {
        format!(
            "<room xmlns='urn:xmpp:dmuc:0' id='a'><history xmlns='http://jabber.org/protocol/muc' {attrs}/></room>"
        )
    };
    for attrs in [
        "maxchars='-1'",
        "maxstanzas='many'",
        "seconds=''",
        "since='yesterday'",
        "since='0'",
    ] {
        expect_refused(Get, &[(&with(attrs), BadRequest)]);
    }
    expect_refused(
        Get,
        &[
            (dmuc!("room", "id='a'", ""), BadRequest),
            (dmuc!("room", "id='a'", "<history/>"), BadRequest),
            (&with("").replace("id='a'", "id='@'"), NotAcceptable),
        ],
    );
}

#[test]
fn a_malformed_act_is_refused() {
    expect_refused(
        Set,
        &[
            (ours!("act", "nick='a'", ""), BadRequest),
            (ours!("act", "nick='a'", "<reason>because</reason>"), BadRequest),
            (ours!("act", "nick='a'", "<dance/>"), BadRequest),
            (ours!("act", "nick='a'", "<destroy/><destroy/>"), BadRequest),
            (ours!("act", "nick=''", "<destroy/>"), JidMalformed),
            (ours!("act", "jid='a@b.lit/full'", "<destroy/>"), JidMalformed),
            (ours!("act", "nick='a'", "<role nick='b'/>"), BadRequest),
            (ours!("act", "nick='a'", "<role role='none'/>"), BadRequest),
            (
                ours!("act", "nick='a'", "<role nick='b' role='king'/>"),
                BadRequest,
            ),
            (
                ours!("act", "nick='a'", "<role nick='b' role='none' serial='x'/>"),
                BadRequest,
            ),
            (
                ours!("act", "nick='a'", "<affiliation affiliation='member'/>"),
                BadRequest,
            ),
            (
                ours!("act", "nick='a'", "<affiliation jid='c@b.lit'/>"),
                BadRequest,
            ),
            (
                ours!(
                    "act",
                    "nick='a'",
                    "<affiliation jid='c@b.lit' affiliation='king'/>"
                ),
                BadRequest,
            ),
            (
                ours!("act", "nick='a'", "<affiliation jid='@' affiliation='none'/>"),
                JidMalformed,
            ),
            (
                ours!(
                    "act",
                    "nick='a'",
                    "<affiliation jid='c@b.lit' affiliation='none' nick='&#x202e;'/>"
                ),
                JidMalformed,
            ),
            (ours!("act", "nick='a'", "<config/>"), BadRequest),
            (ours!("act", "nick='a'", "<destroy jid='@'/>"), JidMalformed),
        ],
    );
}

#[test]
fn a_malformed_end_is_refused() {
    expect_refused(
        Set,
        &[
            (ours!("close", "", "<reason/><reason/>"), BadRequest),
            (ours!("destroy", "jid='@'", ""), JidMalformed),
            (ours!("destroy", "jid='a@b.lit/nick'", ""), JidMalformed),
            (ours!("destroy", "", "<password/><password/>"), BadRequest),
        ],
    );
}
