//! Presence and messages: from the wrong sender, about somebody else's occupants, with absurd content.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Element, Storage, Version, error_condition, on_every_version, to_string};

use super::scene::{SECRET, STRANGER, Scene, row, shortened};
use crate::support::{MARLOWE, SOURCE, from};
use crate::xep_only::{AT_CHAT, HEATH, PEER};

pub const MUC_USER: &str = "http://jabber.org/protocol/muc#user";
pub const AUDIENCE: &str = "affiliation='none' role='participant'";

/// A stanza from the peer that bounces with this condition, and is logged as a warning.
pub async fn bounces(scene: &Scene, xml: &str, condition: &str) -> Result<()> {
    let mark = scene.fed[0].log().mark();
    let stanza = dmuc_testbed::stanza(xml)?;
    let sender = stanza.attr("from").context("from")?.to_owned();
    scene.peer.send(xml).await?;
    let bounce = scene
        .peer
        .take("the bounce", |s| {
            s.name() == stanza.name() && s.attr("type") == Some("error") && s.attr("to") == Some(&*sender)
        })
        .await?;
    ensure!(
        error_condition(&bounce).as_deref() == Some(condition),
        "{}",
        shortened(&to_string(&bounce))
    );
    let short: String = sender.chars().take(100).collect();
    scene.logged(mark, "(warn|debug)", &short, condition).await
}

pub fn message(from: &str, to: &str, children: &str) -> String {
    format!("<message from='{from}' to='{to}' type='groupchat' id='bad1'>{children}</message>")
}

pub fn presence(from: &str, to: &str, attrs: &str, children: &str) -> String {
    format!("<presence from='{from}' to='{to}' {attrs}>{children}</presence>")
}

pub fn item(attrs: &str) -> String {
    format!("<x xmlns='{MUC_USER}'><item {attrs}/></x>")
}

fn event(attrs: &str) -> String {
    format!("<body>{SECRET}</body><event xmlns='urn:x-dmuc:0' {attrs}/>")
}

/// Everything that is refused: (what, stanza, condition).
fn refused() -> Vec<(&'static str, String, &'static str)> {
    let at = |nick: &str| format!("{SOURCE}/{nick}");
    let by = |nick: &str| format!("{MARLOWE}/{nick}");
    let other = |nick: &str| format!("other@{PEER}/{nick}");
    let said = format!("<body>{SECRET}</body>");
    let huge = format!("<body>{}</body>", SECRET.repeat(10_000));
    let large = format!("<body>{}</body>", SECRET.repeat(7_200));
    let good = "id='e1' inc='1' seq='1' at='1769155200123.0'";
    let stamped = |attrs: &str| message(&by("faust"), &at("faust"), &event(attrs));
    vec![
        (
            "a message of nobody",
            message(&by("nobody"), &at("nobody"), &said),
            "not-acceptable",
        ),
        (
            "of somebody here",
            message(&by("firstcrone"), &at("firstcrone"), &said),
            "not-acceptable",
        ),
        (
            "under another nick",
            message(&by("faust"), &at("firstcrone"), &said),
            "bad-request",
        ),
        (
            "under no nick",
            message(MARLOWE, &at("faust"), &said),
            "bad-request",
        ),
        ("to no nick", message(&by("faust"), SOURCE, &said), "bad-request"),
        (
            "of another room",
            message(&other("faust"), &at("faust"), &said),
            "forbidden",
        ),
        (
            "of a visitor",
            message(&by("mute"), &at("mute"), &said),
            "forbidden",
        ),
        (
            "too large",
            message(&by("faust"), &at("faust"), &huge),
            "policy-violation",
        ),
        (
            "too large with its id",
            message(&by("faust"), &at("faust"), &large).replace("bad1", &"i".repeat(1000)),
            "policy-violation",
        ),
        ("an empty stamp", stamped(""), "bad-request"),
        ("no id", stamped("inc='1' seq='1' at='1.0'"), "bad-request"),
        (
            "an empty id",
            stamped("id='' inc='1' seq='1' at='1.0'"),
            "bad-request",
        ),
        (
            "an endless id",
            stamped(&format!("{good} ").replace("e1", &"e".repeat(129))),
            "policy-violation",
        ),
        ("no number", stamped("id='e' inc='1' at='1.0'"), "bad-request"),
        (
            "no whole number",
            stamped("id='e' inc='1' seq='1.5' at='1.0'"),
            "bad-request",
        ),
        (
            "a negative number",
            stamped("id='e' inc='1' seq='-1' at='1.0'"),
            "bad-request",
        ),
        (
            "number zero",
            stamped("id='e' inc='1' seq='0' at='1.0'"),
            "bad-request",
        ),
        (
            "the last number",
            stamped("id='e' inc='1' seq='18446744073709551615' at='1.0'"),
            "bad-request",
        ),
        (
            "beyond all numbers",
            stamped("id='e' inc='1' seq='99999999999999999999' at='1.0'"),
            "bad-request",
        ),
        (
            "no life",
            stamped("id='e' inc='0' seq='1' at='1.0'"),
            "bad-request",
        ),
        (
            "no time",
            stamped("id='e' inc='1' seq='1' at='now'"),
            "bad-request",
        ),
        (
            "another origin",
            stamped(&format!("{good} origin='{SOURCE}'")),
            "forbidden",
        ),
        (
            "no origin",
            stamped(&format!("{good} origin='@@'")),
            "jid-malformed",
        ),
        (
            "a subject of nobody",
            message(
                &by("nobody"),
                &at("nobody"),
                &format!("<subject>{SECRET}</subject>"),
            ),
            "forbidden",
        ),
        (
            "of a participant",
            message(
                &by("faust"),
                &at("faust"),
                &format!("<subject>{SECRET}</subject>"),
            ),
            "forbidden",
        ),
        (
            "of the room",
            message(MARLOWE, SOURCE, &format!("<subject>{SECRET}</subject>")),
            "forbidden",
        ),
        (
            "endless",
            message(
                HEATH,
                AT_CHAT,
                &format!("<subject>{}</subject>", SECRET.repeat(1000)),
            ),
            "policy-violation",
        ),
        (
            "a presence under another nick",
            presence(&by("faust"), &at("wagner"), "", &item(AUDIENCE)),
            "bad-request",
        ),
        (
            "of another room",
            presence(&other("wagner"), &at("wagner"), "", &item(AUDIENCE)),
            "forbidden",
        ),
        (
            "of the room",
            presence(MARLOWE, &at("faust"), "", ""),
            "bad-request",
        ),
        (
            "a subscription",
            presence(&by("faust"), &at("faust"), "type='subscribe'", ""),
            "bad-request",
        ),
        (
            "a probe",
            presence(&by("faust"), &at("faust"), "type='probe'", ""),
            "bad-request",
        ),
        (
            "too large",
            presence(
                &by("wagner"),
                &at("wagner"),
                "",
                &format!("<status>{}</status>", SECRET.repeat(10_000)),
            ),
            "policy-violation",
        ),
        (
            "endless reason",
            presence(
                &by("wagner"),
                &at("wagner"),
                "",
                &format!(
                    "<x xmlns='{MUC_USER}'><item><reason>{}</reason></item></x>",
                    SECRET.repeat(1000)
                ),
            ),
            "policy-violation",
        ),
        (
            "one more than may be",
            presence(&by("wagner"), &at("wagner"), "", &item(AUDIENCE)),
            "resource-constraint",
        ),
    ]
}

/// Everything that is borne in silence: it changes nothing, and nobody is told.
fn ignored() -> Vec<String> {
    let error = "<error type='cancel'><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
    let mut all = Vec::new();
    for (from, to) in [
        (format!("{MARLOWE}/faust"), format!("{SOURCE}/faust")),
        (MARLOWE.to_owned(), SOURCE.to_owned()),
        (format!("{MARLOWE}/faust"), SOURCE.to_owned()),
        (format!("other@{PEER}/x"), format!("{SOURCE}/firstcrone")),
        (HEATH.to_owned(), AT_CHAT.to_owned()),
    ] {
        for body in [String::new(), format!("<body>{SECRET}</body>")] {
            all.push(format!(
                "<message from='{from}' to='{to}' type='error'>{body}{error}</message>"
            ));
        }
        all.push(presence(&from, &to, "type='error'", error));
    }
    // What a room tells its occupants of its avatar.
    all.push(presence(
        MARLOWE,
        &format!("{SOURCE}/faust"),
        "",
        "<x xmlns='vcard-temp:x:update'><photo>00</photo></x>",
    ));
    // Nobody leaves who was not there, and a shadow's subject is decided by the source.
    all.push(presence(
        &format!("{MARLOWE}/nobody"),
        &format!("{SOURCE}/nobody"),
        "type='unavailable'",
        "",
    ));
    all.push(presence(
        &format!("{MARLOWE}/firstcrone"),
        &format!("{SOURCE}/firstcrone"),
        "type='unavailable'",
        &item("affiliation='none' role='none'"),
    ));
    all
}

async fn bad_events_change_nothing(version: Version, storage: Storage) -> Result<()> {
    let scene = Scene::set(
        "bad-events",
        version,
        storage,
        "dmuc_max_remote_occupants = 4\ndmuc_max_stanza_size = 65536",
    )
    .await?;
    for nick in ["third", "fourth"] {
        scene.peer.enters(MARLOWE, SOURCE, nick, AUDIENCE).await?;
        scene.crone.expect(nick, from(SOURCE, nick)).await?;
    }
    let before = scene.state().await?;
    for (what, xml, condition) in refused() {
        row(what, bounces(&scene, &xml, condition).await)?;
    }
    scene.is_unmoved(&before).await?;
    for xml in ignored() {
        scene.peer.send(&xml).await?;
    }
    // A flood: every one is refused, none is taken.
    for number in 0..50 {
        scene
            .peer
            .enters(MARLOWE, SOURCE, &format!("flood{number}"), AUDIENCE)
            .await?;
    }
    scene.peer.sync().await?;
    let bounces = scene.peer.rest();
    let refused = |s: &Element| {
        s.attr("type") == Some("error") && error_condition(s).as_deref() == Some("resource-constraint")
    };
    ensure!(
        bounces.len() == 50 && bounces.iter().all(refused),
        "{:?}",
        bounces
            .iter()
            .map(|s| shortened(&to_string(s)))
            .collect::<Vec<_>>()
    );
    let crowd: String = (0..100)
        .map(|n| format!("<item affiliation='none' name='crowd{n}'/>"))
        .collect();
    let known = "<item affiliation='none' role='participant' name='faust'/>\
                 <item affiliation='none' role='visitor' name='mute'/>\
                 <item affiliation='none' role='participant' name='third'/>\
                 <item affiliation='none' role='participant' name='fourth'/>";
    let answer = scene
        .peer
        .ask(&format!(
            "<iq from='{MARLOWE}' to='{SOURCE}' type='set'><roster xmlns='urn:xmpp:dmuc:0'>{known}{crowd}</roster></iq>"
        ))
        .await?;
    assert_eq!(answer.attr("type"), Some("result"), "{}", to_string(&answer));
    scene.is_unmoved(&before).await?;
    // More items than one stanza may have: those beyond are left out, and administrators told.
    let crowd: String = (0..10_001)
        .map(|n| format!("<item affiliation='none' name='c{n}'/>"))
        .collect();
    let mark = scene.fed[0].log().mark();
    let answer = scene
        .peer
        .ask(&format!(
            "<iq from='{MARLOWE}' to='{SOURCE}' type='set'><roster xmlns='urn:xmpp:dmuc:0'>{known}{crowd}</roster></iq>"
        ))
        .await?;
    assert_eq!(answer.attr("type"), Some("result"), "{}", to_string(&answer));
    scene.fed[0]
        .log()
        .wait_since(
            mark,
            "left out here: .*more than 10000 items",
            dmuc_testbed::deadline(),
        )
        .await?;
    scene.is_unmoved(&before).await?;
    scene.fed.finish().await
}

/// A service that is no peer is what anybody is: its users may come in, its stanzas of ours mean nothing.
async fn a_stranger_is_an_ordinary_user(version: Version, storage: Storage) -> Result<()> {
    let scene = Scene::set("bad-strangers", version, storage, "").await?;
    let before = scene.state().await?;
    let coven = format!("coven@{STRANGER}");
    for nick in ["faust", "firstcrone", "stranger"] {
        for (kind, condition) in [("groupchat", "not-acceptable"), ("chat", "not-acceptable")] {
            let to = if kind == "chat" {
                format!("{SOURCE}/firstcrone")
            } else {
                SOURCE.to_owned()
            };
            let id = scene
                .stranger
                .send_xml(&format!(
                    "<message type='{kind}' from='{coven}/{nick}' to='{to}'><body>{SECRET}</body></message>"
                ))
                .await?;
            let bounce = scene
                .stranger
                .expect("the bounce", |s| s.attr("id") == Some(&*id))
                .await?;
            assert_eq!(
                error_condition(&bounce).as_deref(),
                Some(condition),
                "{}",
                to_string(&bounce)
            );
        }
    }
    let id = scene
        .stranger
        .send_xml(&presence(
            &format!("{coven}/firstcrone"),
            &format!("{SOURCE}/firstcrone"),
            "",
            &item(AUDIENCE),
        ))
        .await?;
    let bounce = scene
        .stranger
        .expect("the bounce", |s| s.attr("id") == Some(&*id))
        .await?;
    assert_eq!(
        error_condition(&bounce).as_deref(),
        Some("item-not-found"),
        "{}",
        to_string(&bounce)
    );
    scene
        .stranger
        .send_xml(&presence(
            &format!("{coven}/faust"),
            &format!("{SOURCE}/faust"),
            "type='unavailable'",
            "",
        ))
        .await?;
    scene
        .stranger
        .iq_xml(&format!(
            "<iq type='get' from='{STRANGER}' to='chat.shakespeare.lit'><ping xmlns='urn:xmpp:ping'/></iq>"
        ))
        .await?;
    scene.is_unmoved(&before).await?;
    scene.fed.finish().await
}

on_every_version!(bad_events_change_nothing, a_stranger_is_an_ordinary_user,);
