//! Ordinary users: nothing of the protocol between instances is taken from them or shown to them.

use anyhow::{Result, ensure};
use dmuc_testbed::{Client, Element, Storage, Version, error_condition, on_every_version, to_string};

use super::scene::{SECRET, Scene};
use crate::support::{SOURCE, from};
use crate::xep_only::CHAT;

/// What a client may not say: elements of the XEP's namespace and of ours.
const FORGED: &str = "<event xmlns='urn:x-dmuc:0' id='x' inc='1' seq='7' at='1.0'/>\
     <occupant xmlns='urn:x-dmuc:0' id='x' serial='1'/><roster xmlns='urn:xmpp:dmuc:0'/>";

fn is_spared(what: &str, stanza: &Element) -> Result<()> {
    let text = to_string(stanza);
    ensure!(
        !text.contains("urn:x-dmuc:0") && !text.contains("urn:xmpp:dmuc:0"),
        "{what}: {text}"
    );
    Ok(())
}

async fn nothing_of_ours_comes_from_or_to_a_client(version: Version, storage: Storage) -> Result<()> {
    let scene = Scene::set("bad-clients", version, storage, "").await?;
    let witch = scene.fed[1].client("somewitch", "mobile").await?;
    witch.join("coven@rooms.macbeth.lit", "firstwitch").await?;
    let beldam = scene.fed[0].client("beldam", "x").await?;
    beldam.join(SOURCE, "beldam").await?;
    scene
        .crone
        .expect("the witch", from(SOURCE, "firstwitch"))
        .await?;
    let rooms = [
        (&scene.crone, SOURCE),
        (&beldam, SOURCE),
        (&witch, "coven@rooms.macbeth.lit"),
    ];
    for (number, (speaker, room)) in rooms.into_iter().enumerate() {
        let text = format!("Said {number}");
        speaker
            .send_xml(&format!(
                "<message type='groupchat' to='{room}'><body>{text}</body>{FORGED}</message>"
            ))
            .await?;
        for (listener, _) in rooms {
            is_spared("a message", &listener.expect_body(&text).await?)?;
        }
        let copy = scene
            .peer
            .take("the copy", |s| dmuc_testbed::body(s).as_deref() == Some(&*text))
            .await?;
        is_spared("the peer's copy", &copy)?;
    }
    whispers_and_presences(&rooms).await?;
    // Requests that are for instances, to the service, the room, and an occupant.
    for to in [
        CHAT,
        SOURCE,
        "coven@chat.shakespeare.lit/firstwitch",
        "coven@chat.shakespeare.lit/firstcrone",
    ] {
        for payload in [
            format!("<config xmlns='urn:xmpp:dmuc:0'>{SECRET}</config>"),
            format!("<strange xmlns='urn:x-dmuc:0'>{SECRET}</strange>"),
        ] {
            let answer = beldam
                .iq_xml(&format!("<iq type='set' to='{to}'>{payload}</iq>"))
                .await?;
            assert_eq!(
                error_condition(&answer).as_deref(),
                Some("forbidden"),
                "{}",
                to_string(&answer)
            );
        }
    }
    for (client, room) in rooms {
        client.sync().await?;
        for stanza in client.drain() {
            is_spared(&format!("whatever else {room} sent"), &stanza)?;
        }
    }
    scene.peer.sync().await?;
    for stanza in scene.peer.rest() {
        is_spared("whatever else the peer got", &stanza).or_else(|error| {
            // The XEP's own requests are for it.
            if stanza.name() == "iq" { Ok(()) } else { Err(error) }
        })?;
    }
    scene.peer.was_spared()?;
    for server in 0..2 {
        ensure!(scene.fed[server].log_lines_matching(SECRET)?.is_empty());
    }
    scene.fed.finish().await
}

async fn whispers_and_presences(rooms: &[(&Client, &str); 3]) -> Result<()> {
    let nicks = ["firstcrone", "beldam", "firstwitch"];
    for (one, (speaker, room)) in rooms.iter().enumerate() {
        for (other, (listener, _)) in rooms.iter().enumerate().filter(|(other, _)| *other != one) {
            let text = format!("From {one} to {other}");
            speaker
                .send_xml(&format!(
                    "<message type='chat' to='{room}/{}'><body>{text}</body>{FORGED}</message>",
                    nicks[other]
                ))
                .await?;
            is_spared("a whisper", &listener.expect_body(&text).await?)?;
        }
        let mood = format!("Mood {one}");
        speaker
            .send_xml(&format!(
                "<presence to='{room}/{}'><status>{mood}</status>{FORGED}</presence>",
                nicks[one]
            ))
            .await?;
        for (listener, _) in rooms {
            let seen = listener
                .expect(&mood, |s| {
                    s.is("presence", "jabber:client")
                        && to_string(s).contains(&format!("<status>{mood}</status>"))
                })
                .await?;
            is_spared("a presence", &seen)?;
        }
    }
    Ok(())
}

on_every_version!(nothing_of_ours_comes_from_or_to_a_client);
