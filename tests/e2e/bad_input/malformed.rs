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
    let nick = "n".repeat(1024);
    let many = |count: usize, what: &dyn Fn(usize) -> String| (0..count).map(what).collect::<String>();
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
                    "config, many fields",
                    dmuc(
                        "config",
                        "",
                        &form(&many(300, &|n| field(&format!("f{n}"), SECRET))),
                    ),
                    "policy-violation",
                ),
                (
                    "config, long value",
                    dmuc(
                        "config",
                        "",
                        &form(&field("muc#roomconfig_roomname", &SECRET.repeat(1000))),
                    ),
                    "policy-violation",
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
                    "roster, nobody",
                    dmuc("roster", "", "<item affiliation='none'/>"),
                    "bad-request",
                ),
                (
                    "roster, no rank",
                    dmuc("roster", "", "<item name='a'/>"),
                    "bad-request",
                ),
                (
                    "roster, strange rank",
                    dmuc("roster", "", "<item affiliation='king' name='a'/>"),
                    "bad-request",
                ),
                (
                    "roster, strange role",
                    dmuc("roster", "", "<item affiliation='none' role='fool' name='a'/>"),
                    "bad-request",
                ),
                (
                    "roster, no address",
                    dmuc("roster", "", "<item affiliation='none' jid='a@@b' name='a'/>"),
                    "jid-malformed",
                ),
                (
                    "roster, no nick",
                    dmuc("roster", "", "<item affiliation='none' name=''/>"),
                    "jid-malformed",
                ),
                (
                    "roster, long nick",
                    dmuc("roster", "", &format!("<item affiliation='none' name='{nick}'/>")),
                    "policy-violation",
                ),
                (
                    "roster, a crowd",
                    dmuc(
                        "roster",
                        "",
                        &many(10_001, &|n| format!("<item affiliation='none' name='n{n}'/>")),
                    ),
                    "policy-violation",
                ),
                (
                    "roster, no serial",
                    dmuc(
                        "roster",
                        "",
                        &format!(
                            "<item affiliation='none' name='a'>{}</item>",
                            ours("occupant", "", "")
                        ),
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
