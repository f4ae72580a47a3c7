//! Control stanzas that are wrong in themselves, whoever sends them.

use super::scene::SECRET;
use crate::xep_only::{AT_CHAT, CHAT, HEATH, PEER};

const ROOMCONFIG: &str =
    "<field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>";

/// A payload and the condition it is refused with, when everything else is right.
type Bad<'a> = (&'a str, String, &'a str);

pub fn dmuc(name: &str, attrs: &str, children: &str) -> String {
    format!("<{name} xmlns='urn:xmpp:dmuc:0' {attrs}>{children}</{name}>")
}

pub fn ours(name: &str, attrs: &str, children: &str) -> String {
    format!("<{name} xmlns='urn:x-dmuc:0' {attrs}>{children}</{name}>")
}

pub fn form(fields: &str) -> String {
    format!("<x xmlns='jabber:x:data' type='form'>{ROOMCONFIG}{fields}</x>")
}

pub fn field(var: &str, value: &str) -> String {
    format!("<field var='{var}'><value>{value}</value></field>")
}

/// What is wrong in itself, whoever sends it.
pub fn malformed() -> Vec<(&'static str, &'static str, Vec<Bad<'static>>)> {
    let long_id = format!("id='{}'", "i".repeat(256));
    let deep = format!("{}{}", "<a>".repeat(70), "</a>".repeat(70));
    let history = |attrs: &str| format!("<history xmlns='http://jabber.org/protocol/muc' {attrs}/>");
    let id = |id: &str| format!("<room id='{id}'/>");
    vec![
        (
            CHAT,
            PEER,
            vec![
                ("replicate without room", dmuc("replicate", "", ""), "bad-request"),
                (
                    "replicate without id",
                    dmuc("replicate", "", "<room/>"),
                    "bad-request",
                ),
                (
                    "replicate, empty id",
                    dmuc("replicate", "", &id("")),
                    "not-acceptable",
                ),
                (
                    "replicate, no localpart",
                    dmuc("replicate", "", &id("a b@c")),
                    "not-acceptable",
                ),
                (
                    "replicate, long id",
                    dmuc("replicate", "", &format!("<room {long_id}/>")),
                    "not-acceptable",
                ),
                (
                    "replicate twice",
                    dmuc("replicate", "", &id("a").repeat(2)),
                    "bad-request",
                ),
                (
                    "replicate, no source",
                    dmuc("replicate", "source='a@b@c'", &id("a")),
                    "jid-malformed",
                ),
                (
                    "replicate, a service",
                    dmuc("replicate", &format!("source='{PEER}'"), &id("a")),
                    "jid-malformed",
                ),
                (
                    "replicate, elsewhere",
                    dmuc("replicate", "source='a@rooms.macbeth.lit'", &id("a")),
                    "not-acceptable",
                ),
                (
                    "replicate what is here",
                    dmuc("replicate", "", &id("coven")),
                    "conflict",
                ),
                (
                    "replicate an ordinary room",
                    dmuc("replicate", "", &id("parlour")),
                    "conflict",
                ),
                (
                    "replicate too deep",
                    dmuc("replicate", "", &format!("{}{deep}", id("a"))),
                    "policy-violation",
                ),
                ("peerhost without room", dmuc("peerhost", "", ""), "bad-request"),
                (
                    "peerhost without id",
                    dmuc("peerhost", "", "<room/>"),
                    "bad-request",
                ),
                (
                    "peerhost, long id",
                    dmuc("peerhost", "", &format!("<room {long_id}/>")),
                    "not-acceptable",
                ),
                (
                    "peerhost, unknown room",
                    dmuc("peerhost", "", &id("nowhere")),
                    "item-not-found",
                ),
                (
                    "peerhost, our own room",
                    dmuc("peerhost", "jid='rooms.macbeth.lit'", &id("coven")),
                    "item-not-found",
                ),
                (
                    "peerhost, no address",
                    dmuc("peerhost", "jid='@'", &id("theroom")),
                    "jid-malformed",
                ),
                (
                    "peerhost, a room",
                    dmuc("peerhost", "jid='a@b.lit'", &id("theroom")),
                    "jid-malformed",
                ),
                (
                    "peerhost gone, perhaps",
                    dmuc("peerhost", "gone='perhaps'", &id("theroom")),
                    "bad-request",
                ),
                (
                    "something unknown",
                    dmuc("strange", "", SECRET),
                    "feature-not-implemented",
                ),
            ],
        ),
        (
            AT_CHAT,
            HEATH,
            vec![
                // An entry or a field that is not taken is passed over, and counted: tests/engine/fitting.rs.
                ("config without form", dmuc("config", "", ""), "bad-request"),
                (
                    "config, cancelled",
                    dmuc("config", "", "<x xmlns='jabber:x:data' type='cancel'/>"),
                    "bad-request",
                ),
                (
                    "config of what",
                    dmuc("config", "", "<x xmlns='jabber:x:data' type='form'/>"),
                    "bad-request",
                ),
                (
                    "config twice",
                    dmuc("config", "", &form("").repeat(2)),
                    "bad-request",
                ),
                (
                    "config, no version",
                    dmuc(
                        "config",
                        "",
                        &format!("{}<settings xmlns='urn:x-dmuc:0' term='1'/>", form("")),
                    ),
                    "bad-request",
                ),
                (
                    "history without limits",
                    dmuc("room", "id='theroom'", ""),
                    "bad-request",
                ),
                (
                    "history, negative",
                    dmuc("room", "", &history("maxstanzas='-1'")),
                    "bad-request",
                ),
                (
                    "history, no number",
                    dmuc("room", "", &history("maxchars='many'")),
                    "bad-request",
                ),
                (
                    "history, no time",
                    dmuc("room", "", &history("since='yesterday'")),
                    "bad-request",
                ),
                (
                    "history, absurd",
                    dmuc("room", "", &history("seconds='99999999999999999999'")),
                    "bad-request",
                ),
                (
                    "history, long id",
                    dmuc("room", &long_id, &history("")),
                    "not-acceptable",
                ),
                ("act of what", ours("act", "nick='foo'", ""), "bad-request"),
                (
                    "two acts",
                    ours("act", "nick='foo'", "<destroy/><destroy/>"),
                    "bad-request",
                ),
                (
                    "unknown act",
                    ours("act", "nick='foo'", "<dance/>"),
                    "bad-request",
                ),
                (
                    "act on nobody",
                    ours("act", "nick='foo'", "<role nick='nobody' role='none'/>"),
                    "item-not-found",
                ),
                (
                    "act on an earlier join",
                    ours(
                        "act",
                        "nick='foo'",
                        "<role nick='secondcrone' role='none' serial='1'/>",
                    ),
                    "item-not-found",
                ),
                (
                    "act, strange role",
                    ours("act", "nick='foo'", "<role nick='secondcrone' role='king'/>"),
                    "bad-request",
                ),
                ("leave a shadow", ours("leave", "", ""), "unexpected-request"),
                (
                    "something unknown of ours",
                    ours("strange", "", SECRET),
                    "feature-not-implemented",
                ),
                (
                    "replicate, asked of a room",
                    dmuc("replicate", "", &id("a")),
                    "forbidden",
                ),
            ],
        ),
    ]
}
