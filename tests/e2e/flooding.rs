//! A peer that sends more than it may is read more slowly: what it says arrives, and nobody else waits for it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use dmuc_testbed::{
    ComponentClient, Element, Federation, Storage, Version, body, on_every_version, scaled, to_string,
};
use tokio::time::Instant;

/// The service that has too much to say, and its room.
const PEER: &str = "conference.marlowe.lit";
const HEATH: &str = "heath@conference.marlowe.lit";
const CHAT: &str = "chat.shakespeare.lit";
const HEATH_HERE: &str = "heath@chat.shakespeare.lit";

const PER_SECOND: usize = 100;
const STANZAS: usize = 700;
/// Twice as many as in a second come at once, and what is read in one go.
const AT_LEAST: Duration = Duration::from_secs(4);

fn is_request(s: &Element) -> bool {
    s.name() == "iq" && matches!(s.attr("type"), Some("get" | "set"))
}

/// It says yes to everything.
async fn answers(wire: Arc<ComponentClient>) {
    loop {
        let Ok(request) = wire.expect("a request", is_request).await else {
            continue;
        };
        let text = to_string(&request);
        let answer = if text.contains("disco#info") {
            "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='conference' type='text'/>\
             <feature var='urn:xmpp:dmuc:0'/><feature var='urn:x-dmuc:0'/></query>"
        } else if text.contains("<digest") {
            "<digest xmlns='urn:x-dmuc:0' life='1'/>"
        } else if text.contains("<sync") {
            "<sync xmlns='urn:x-dmuc:0'/>"
        } else {
            ""
        };
        let attr = |name| request.attr(name).unwrap_or_default();
        let (from, to, id) = (attr("to"), attr("from"), attr("id"));
        let xml = format!("<iq type='result' from='{from}' to='{to}' id='{id}'>{answer}</iq>");
        if wire.send_xml(&xml).await.is_err() {
            return;
        }
    }
}

/// Its room has a shadow here, with one occupant.
async fn settles_in(wire: &ComponentClient) -> Result<()> {
    let form = "<x xmlns='jabber:x:data' type='form'><field var='FORM_TYPE'>\
                <value>http://jabber.org/protocol/muc#roomconfig</value></field></x>";
    for (from, to, payload) in [
        (
            PEER,
            CHAT,
            format!(
                "<replicate xmlns='urn:xmpp:dmuc:0' source='{HEATH}'><room id='heath'/></replicate>"
            ),
        ),
        (
            HEATH,
            HEATH_HERE,
            format!(
                "<config xmlns='urn:xmpp:dmuc:0'>{form}<settings xmlns='urn:x-dmuc:0' term='0' version='1'/></config>"
            ),
        ),
        (
            HEATH,
            HEATH_HERE,
            "<roster xmlns='urn:xmpp:dmuc:0'><snapshot xmlns='urn:x-dmuc:0' version='1' settings='1' term='0' \
             occupants='true' affiliations='true'/><item affiliation='none' name='speaker'>\
             <occupant xmlns='urn:x-dmuc:0' serial='1'/></item></roster>"
                .to_owned(),
        ),
    ] {
        let answer = wire
            .iq_xml(&format!("<iq from='{from}' to='{to}' type='set'>{payload}</iq>"))
            .await?;
        ensure!(answer.attr("type") == Some("result"), "{}", to_string(&answer));
    }
    Ok(())
}

fn is_answer(s: &Element) -> bool {
    s.attr("id").is_some_and(|id| id.starts_with("flood"))
}

async fn flood(version: Version, storage: Storage) -> Result<()> {
    let fed = Federation::builder()
        .servers(2)
        .label("flooding")
        .version(version)
        .storage(storage)
        .with_server(0, |s| {
            (s.dmuc, s.peers) = (true, false);
            s.muc_lines.push(format!("dmuc_peers = {{ \"{PEER}\" }}"));
            s.muc_lines.push("dmuc_shadow_names = \"any\"".to_owned());
            s.muc_lines.push(format!("dmuc_max_stanzas = {PER_SECOND}"));
        })
        .component(1, PEER, "secret")
        .start()
        .await?;
    let wire = Arc::new(fed[1].component(PEER).await?);
    let answering = tokio::spawn(answers(Arc::clone(&wire)));
    settles_in(&wire).await?;
    let crone = fed[0].client("crone1", "desktop").await?;
    let room = fed[0].room("coven");
    crone.create_room(&room, "firstcrone", &[]).await?;
    crone.join(HEATH_HERE, "crone").await?;

    let (mark, start) = (fed[0].log().mark(), Instant::now());
    for number in 0..STANZAS {
        wire.send_xml(&format!(
            "<iq from='{HEATH}' to='{HEATH_HERE}' id='flood{number}' type='get'><sync xmlns='urn:x-dmuc:0'/></iq>"
        ))
        .await?;
    }
    wire.send_xml(&format!(
        "<message type='groupchat' from='{HEATH}/speaker' to='{HEATH_HERE}/speaker' id='last'>\
         <body>the last word</body>\
         <event xmlns='urn:x-dmuc:0' id='e1' inc='1795425160000' seq='1' at='1795425160000.1'/></message>"
    ))
    .await?;
    fed[0]
        .log()
        .wait_since(
            mark,
            "Slowed down conference.marlowe.lit, which sends more",
            dmuc_testbed::deadline(),
        )
        .await?;
    // Others are served, and so is the peer: what people here say reaches it meanwhile.
    for (to, text) in [(&*room, "hail"), (HEATH_HERE, "all hail")] {
        crone.say(to, text).await?;
        crone.expect_body(text).await?;
    }
    wire.expect("what is said here", |s| body(s).as_deref() == Some("all hail"))
        .await?;
    let early = wire.drain_matching(is_answer).len();
    ensure!(early < STANZAS, "all {early} questions were answered at once");
    // Reading goes on although the module that stopped it is loaded anew.
    fed[0].reload_module(CHAT, "dmuc").await?;
    let patience = scaled(Duration::from_secs(30));
    crone
        .expect_within("the peer's last word", patience, |s| {
            body(s).as_deref() == Some("the last word")
        })
        .await?;
    let took = start.elapsed();
    ensure!(
        took >= AT_LEAST,
        "{STANZAS} stanzas in {took:?}, of {PER_SECOND} a second"
    );
    let mut answered = early;
    while answered < STANZAS {
        wire.expect("an answer", is_answer).await?;
        answered += 1;
    }
    answering.abort();
    fed.finish().await
}

on_every_version! {
    fn a_flood_is_read_slowly_and_nothing_of_it_is_lost(version, storage) {
        flood(version, storage).await
    }
}
