//! IQs: every control stanza with what can be wrong with it.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Storage, Version, error_condition, on_every_version, to_string};

use super::malformed::{dmuc, field, form, malformed, ours};
use super::scene::{PARLOUR, PENDING, SECRET, STRANGER, Scene, Who, row, shortened};
use crate::support::{MARLOWE, SOURCE};
use crate::xep_only::{AT_CHAT, CHAT, HEATH, PEER};

/// A payload nobody finds anything wrong with.
fn good(name: &str) -> (&'static str, String) {
    let secret = format!("<reason>{SECRET}</reason>");
    let whole = form(&field("muc#roomconfig_roomname", SECRET));
    match name {
        "replicate" => ("set", dmuc(name, "", "<room id='another'/>")),
        "peerhost" => (
            "set",
            dmuc(name, "jid='rooms.macbeth.lit'", "<room id='theroom'/>"),
        ),
        "config" => ("set", dmuc(name, "", &whole)),
        "roster" => ("set", dmuc(name, "", "<item affiliation='none' name='ghost'/>")),
        "roster query" => ("get", dmuc("roster", "", "")),
        "room" => (
            "get",
            dmuc(
                name,
                "id='coven'",
                "<history xmlns='http://jabber.org/protocol/muc'/>",
            ),
        ),
        "act" => (
            "set",
            ours(
                name,
                "nick='faust'",
                &format!("<role nick='firstcrone' role='none'/>{secret}"),
            ),
        ),
        "close" | "destroy" => ("set", ours(name, "", &secret)),
        _ => ("set", ours("leave", "", "")),
    }
}

const ALL: [&str; 10] = [
    "replicate",
    "peerhost",
    "config",
    "roster",
    "roster query",
    "room",
    "act",
    "close",
    "destroy",
    "leave",
];

/// Everything of the tables, and who may not send what to whom.
async fn every_bad_request_is_refused_and_forgotten(version: Version, storage: Storage) -> Result<()> {
    let scene = Scene::set("bad-requests", version, storage, "dmuc_max_shadows = 2").await?;
    let before = scene.state().await?;
    for (to, from, rows) in malformed() {
        for (what, payload, condition) in rows {
            let kind = if what.starts_with("history") { "get" } else { "set" };
            row(
                what,
                scene
                    .refuses(Who::Peer, from, to, kind, &payload, condition)
                    .await,
            )?;
        }
    }
    scene.is_unmoved(&before).await?;
    for name in ALL {
        let (kind, payload) = good(name);
        let wrong_kind = if kind == "set" { "get" } else { "set" };
        let is_of_services = matches!(name, "replicate" | "peerhost");
        let (right, target) = if is_of_services {
            (PEER, CHAT)
        } else {
            (MARLOWE, SOURCE)
        };
        let refuses = async |what: &str, who, from: &str, to: &str, kind, condition| {
            let refused = scene.refuses(who, from, to, kind, &payload, condition).await;
            row(&format!("{name}: {what}"), refused)
        };
        // An empty <roster/> in a set says that nobody is there, which is no mistake in itself.
        if name != "roster query" {
            refuses("wrong type", Who::Peer, right, target, wrong_kind, "bad-request").await?;
        }
        let stranger = format!("coven@{STRANGER}");
        refuses("a stranger", Who::Stranger, STRANGER, target, kind, "forbidden").await?;
        refuses(
            "a stranger's room",
            Who::Stranger,
            &stranger,
            target,
            kind,
            "forbidden",
        )
        .await?;
        refuses("a user", Who::User, "", target, kind, "forbidden").await?;
        let full = format!("{right}/faust");
        refuses("a full JID", Who::Peer, &full, target, kind, "forbidden").await?;
        let to_occupant = format!("{SOURCE}/firstcrone");
        refuses(
            "of an occupant",
            Who::Peer,
            right,
            &to_occupant,
            kind,
            "forbidden",
        )
        .await?;
        if is_of_services {
            refuses("a room", Who::Peer, MARLOWE, CHAT, kind, "forbidden").await?;
            continue;
        }
        let other = format!("other@{PEER}");
        refuses("another room", Who::Peer, &other, SOURCE, kind, "forbidden").await?;
        refuses("the service", Who::Peer, PEER, SOURCE, kind, "forbidden").await?;
        refuses("not the source", Who::Peer, MARLOWE, AT_CHAT, kind, "forbidden").await?;
        for nowhere in [PARLOUR, CHAT, &format!("nowhere@{CHAT}")] {
            refuses(
                "no such room",
                Who::Peer,
                MARLOWE,
                nowhere,
                kind,
                "item-not-found",
            )
            .await?;
        }
        if matches!(name, "config" | "close" | "destroy") {
            refuses("a shadow", Who::Peer, MARLOWE, SOURCE, kind, "forbidden").await?;
        }
    }
    let (kind, payload) = good("replicate");
    let full = scene
        .refuses(Who::Peer, PEER, CHAT, kind, &payload, "resource-constraint")
        .await;
    row("more shadows than may be", full)?;
    let early = dmuc("roster", "", "<item affiliation='none' name='ghost'/>");
    let source = format!("pending@{PEER}");
    row(
        "a roster before the configuration",
        scene
            .refuses(Who::Peer, &source, PENDING, "set", &early, "forbidden")
            .await,
    )?;
    scene.is_unmoved(&before).await?;
    no_rights(&scene).await?;
    scene.is_unmoved(&before).await?;
    answers_to_nothing(&scene).await?;
    scene.is_unmoved(&before).await?;
    scene.fed.finish().await
}

/// Well-formed, from the right instance, in the name of somebody who may not.
async fn no_rights(scene: &Scene) -> Result<()> {
    let reason = format!("<reason>{SECRET}</reason>");
    let acts = [
        (
            "nick='faust'",
            "<affiliation jid='faust@marlowe.lit' affiliation='owner'/>".to_owned(),
            "forbidden",
        ),
        ("nick='faust'", "<destroy/>".to_owned(), "forbidden"),
        (
            "nick='faust'",
            format!(
                "<config>{}</config>",
                form(&field("muc#roomconfig_roomname", SECRET))
            ),
            "forbidden",
        ),
        (
            "nick='faust'",
            "<role nick='firstcrone' role='none'/>".to_owned(),
            "forbidden",
        ),
        (
            "",
            "<role nick='firstcrone' role='none'/>".to_owned(),
            "item-not-found",
        ),
        ("nick='firstcrone'", "<destroy/>".to_owned(), "item-not-found"),
        (
            "jid='crone1@shakespeare.lit'",
            "<destroy/>".to_owned(),
            "forbidden",
        ),
        ("jid='nobody@marlowe.lit'", "<destroy/>".to_owned(), "forbidden"),
        (
            "jid='nobody@marlowe.lit/x'",
            "<destroy/>".to_owned(),
            "jid-malformed",
        ),
    ];
    for (actor, what, condition) in acts {
        let payload = ours("act", actor, &format!("{what}{reason}"));
        let answer = scene.ask(Who::Peer, MARLOWE, SOURCE, "set", &payload).await?;
        ensure!(
            error_condition(&answer).as_deref() == Some(condition),
            "{actor} {what}: {}",
            to_string(&answer)
        );
    }
    // The same in XEP-0045's own words, from an occupant's session at the peer.
    for (what, payload) in [
        ("admin", "<item affiliation='owner' jid='faust@marlowe.lit'/>"),
        ("admin", "<item role='none' nick='firstcrone'/>"),
        ("owner", "<destroy/>"),
    ] {
        let query = format!("<query xmlns='http://jabber.org/protocol/muc#{what}'>{payload}</query>");
        let from = format!("{MARLOWE}/faust");
        let answer = scene.ask(Who::Peer, &from, SOURCE, "set", &query).await?;
        let condition = error_condition(&answer).context("an error")?;
        ensure!(
            ["forbidden", "not-allowed"].contains(&&*condition),
            "{}",
            to_string(&answer)
        );
    }
    Ok(())
}

/// Results and errors that nobody waits for, from everywhere.
async fn answers_to_nothing(scene: &Scene) -> Result<()> {
    let id = "dmuc-00000000-0000-4000-8000-000000000000";
    let long = format!("dmuc-{}", "x".repeat(3000));
    let error = "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
    let roster = dmuc("roster", "", "<item affiliation='owner' name='ghost'/>");
    let history = format!(
        "<history xmlns='http://jabber.org/protocol/muc'><message xmlns='jabber:client' from='{HEATH}/foo' \
         type='groupchat'><body>{SECRET}</body><delay xmlns='urn:xmpp:delay' stamp='2002-10-13T23:58:37Z'/>\
         </message></history>"
    );
    for (from, to) in [
        (PEER, CHAT),
        (MARLOWE, SOURCE),
        (HEATH, AT_CHAT),
        (&format!("x@{PEER}"), PARLOUR),
    ] {
        for id in [id, "history1", &long] {
            for (kind, payload) in [
                ("result", ""),
                ("result", &*roster),
                ("result", &*history),
                ("error", error),
            ] {
                scene
                    .peer
                    .send(&format!(
                        "<iq from='{from}' to='{to}' id='{id}' type='{kind}'>{payload}</iq>"
                    ))
                    .await?;
            }
        }
    }
    scene.peer.has_nothing_more().await
}

/// The answer to a question of ours counts only from the one that was asked, and only once.
async fn an_answer_counts_from_the_one_who_was_asked(version: Version, storage: Storage) -> Result<()> {
    let scene = Scene::set("bad-answers", version, storage, "").await?;
    let room = format!("heath@{CHAT}");
    scene
        .crone
        .create_room(&room, "firstcrone", &[("muc#roomconfig_distributed", "1")])
        .await?;
    let asked = scene.peer.request("replicate", CHAT).await?;
    let id = asked.attr("id").context("an id")?;
    for from in [HEATH, &format!("{PEER}/full"), MARLOWE] {
        scene
            .peer
            .send(&format!(
                "<iq from='{from}' to='{CHAT}' id='{id}' type='result'/>"
            ))
            .await?;
    }
    scene
        .stranger
        .send_xml(&format!(
            "<iq from='{STRANGER}' to='{CHAT}' id='{id}' type='result'/>"
        ))
        .await?;
    // Asked again, the service has not gone on: no configuration was sent.
    scene
        .stranger
        .iq_xml(&format!(
            "<iq type='get' from='{STRANGER}' to='{CHAT}'><ping xmlns='urn:xmpp:ping'/></iq>"
        ))
        .await?;
    scene.peer.has_nothing_more().await?;
    scene.peer.acknowledge(&asked).await?;
    let config = scene.peer.request("config", &room).await?;
    scene.peer.acknowledge(&asked).await?;
    // What is no answer to the question is no consent either: the peer is said to have refused.
    let (id, shadow) = (
        config.attr("id").context("an id")?,
        config.attr("to").context("to")?,
    );
    scene
        .peer
        .send(&format!(
            "<iq from='{shadow}' to='{room}' id='{id}' type='result'><strange xmlns='urn:example'>{SECRET}</strange></iq>"
        ))
        .await?;
    let told = scene
        .crone
        .expect("word of the refusal", |s| {
            s.attr("from") == Some(&*room)
                && dmuc_testbed::body(s).is_some_and(|b| b.contains("refused an instance"))
        })
        .await?;
    ensure!(
        !to_string(&told).contains(SECRET),
        "{}",
        shortened(&to_string(&told))
    );
    scene.peer.has_nothing_more().await?;
    scene.fed.finish().await
}

on_every_version!(
    every_bad_request_is_refused_and_forgotten,
    an_answer_counts_from_the_one_who_was_asked,
);
