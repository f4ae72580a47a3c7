//! A name that is missing in `dmuc_peers`, at the shadow's or at the source's service: the room is parked, people read why,
//! nothing is deleted, and it goes on when the name is there.

use anyhow::Result;
use dmuc_testbed::{Client, Federation, Storage, Version, body, error_condition, on_every_version};

use crate::asking::role;
use crate::lasting::{NICKS, ROOMS, gathered, is_distributed, talk};
use crate::splits::{hasty, patience};
use crate::support::{MACBETH, MARLOWE, SOURCE, eventually, nicks, together};

const ALL: [&str; 3] = ["faust", "firstcrone", "firstwitch"];

/// Changes the peers of a running server, as a reload of its configuration does.
pub async fn name(fed: &Federation, server: usize, peers: &[&str]) -> Result<()> {
    let muc = fed[server].muc();
    let list: Vec<String> = peers.iter().map(|peer| format!("'{peer}'")).collect();
    fed[server]
        .eval(&format!(
            "require 'core.configmanager'.set('{muc}', 'dmuc_peers', {{ {} }}); return true",
            list.join(", ")
        ))
        .await?;
    fed[server].reload_module(muc, "dmuc").await
}

/// Puts another name in place of a peer's, and starts the server again.
async fn restart_with(fed: &Federation, server: usize, was: &str, is: &str) -> Result<()> {
    fed[server].stop().await?;
    let file = fed[server].config_file();
    let config = std::fs::read_to_string(&file)?;
    let changed = config.replace(&format!("\"{was}\""), &format!("\"{is}\""));
    assert_ne!(config, changed, "{was} is not in the configuration");
    std::fs::write(&file, changed)?;
    fed[server].start().await
}

async fn is_told(client: &Client, room: &str, words: &[&str]) -> Result<()> {
    client
        .expect_within(&format!("a line with {words:?}"), patience(), |s| {
            s.attr("from") == Some(room)
                && s.attr("type") == Some("groupchat")
                && body(s).is_some_and(|text| words.iter().all(|word| text.contains(word)))
        })
        .await
        .map(|_| ())
}

pub async fn is_parked(fed: &Federation, server: usize, room: &str) -> Result<()> {
    eventually(&format!("{room} is parked"), || async {
        Ok(role(fed, server, room).await?.as_deref() == Some("parked"))
    })
    .await
}

/// Who speaks is told why that is not possible, and nobody sees it.
async fn cannot_speak(client: &Client, room: &str) -> Result<()> {
    let id = client.say(room, "Is anybody there?").await?;
    let refused = client.expect("a refusal", |s| s.attr("id") == Some(&*id)).await?;
    assert_eq!(refused.attr("type"), Some("error"));
    assert_eq!(error_condition(&refused).as_deref(), Some("not-allowed"));
    Ok(())
}

async fn at_the_shadow(version: Version, storage: Storage) -> Result<()> {
    let fed = hasty("parked", version, storage).start().await?;
    let people = gathered(&fed).await?;
    talk(&fed, &people, "At first").await?;
    let [crone, witch, faust] = &people;

    let mark = fed[1].log().mark();
    name(&fed, 1, &["chat.shakespeare.litt", "conference.marlowe.lit"]).await?;
    is_told(witch, MACBETH, &["closed for now", "chat.shakespeare.lit"]).await?;
    let warning =
        "warn.*A room is parked: the source is at chat.shakespeare.lit, which dmuc_peers does not name";
    fed[1].log().wait_since(mark, warning, patience()).await?;
    is_parked(&fed, 1, MACBETH).await?;
    // She stays and sees the others leave; they see her leave where that can be told.
    for nick in ["firstcrone", "faust"] {
        witch
            .expect(&format!("{nick} leaves"), |s| {
                s.attr("from") == Some(&*format!("{MACBETH}/{nick}")) && s.attr("type") == Some("unavailable")
            })
            .await?;
    }
    assert_eq!(witch.self_ping(MACBETH, NICKS[1]).await?, None);
    eventually("she is not in the third one", || async {
        Ok(nicks(&fed, 2, MARLOWE).await? == ["faust", "firstcrone"])
    })
    .await?;
    cannot_speak(witch, MACBETH).await?;

    // Who joins reads what was said, and why there is no more.
    let hecate = fed[1].client("hecate", "moon").await?;
    let joined = hecate.join(MACBETH, "hecate").await?;
    assert!(!joined.nicks().contains(&"faust".to_owned()));
    is_told(&hecate, MACBETH, &["closed for now"]).await?;
    hecate.leave(MACBETH, "hecate").await?;

    crone.say_and_see(SOURCE, "Meanwhile").await?;
    faust.expect_body("Meanwhile").await?;
    name(&fed, 1, &["chat.shakespeare.lit", "conference.marlowe.lit"]).await?;
    is_told(witch, MACBETH, &["goes on"]).await?;
    witch
        .expect_within("what she missed", patience(), |s| {
            body(s).as_deref() == Some("Meanwhile")
        })
        .await?;
    together(&fed, &ALL).await?;
    is_distributed(&fed).await?;
    talk(&fed, &people, "At last").await?;
    fed.finish().await
}

on_every_version! {
    fn a_room_whose_source_is_not_named_is_parked_and_goes_on(version, storage) {
        at_the_shadow(version, storage).await
    }
}

async fn at_the_source(version: Version, storage: Storage) -> Result<()> {
    let fed = hasty("parked-by-source", version, storage).start().await?;
    let people = gathered(&fed).await?;
    let [crone, witch, faust] = &people;
    let mark = fed[0].log().mark();
    name(&fed, 0, &["conference.marlowe.lit"]).await?;
    // At once, and without a word to be said.
    is_told(witch, MACBETH, &["closed for now", "does not share it"]).await?;
    is_told(crone, SOURCE, &["rooms.macbeth.lit", "its people have left"]).await?;
    let warning = "warn.*A room was shared with rooms.macbeth.lit, which dmuc_peers does not name";
    fed[0].log().wait_since(mark, warning, patience()).await?;
    for server in [0, 2] {
        eventually("she has left the others", || async {
            Ok(nicks(&fed, server, ROOMS[server]).await? == ["faust", "firstcrone"])
        })
        .await?;
    }
    is_parked(&fed, 1, MACBETH).await?;
    cannot_speak(witch, MACBETH).await?;
    faust.say_and_see(MARLOWE, "Meanwhile").await?;
    crone.expect_body("Meanwhile").await?;

    name(&fed, 0, &["rooms.macbeth.lit", "conference.marlowe.lit"]).await?;
    is_told(witch, MACBETH, &["goes on"]).await?;
    witch
        .expect_within("what she missed", patience(), |s| {
            body(s).as_deref() == Some("Meanwhile")
        })
        .await?;
    together(&fed, &ALL).await?;
    is_distributed(&fed).await?;
    talk(&fed, &people, "At last").await?;
    fed.finish().await
}

on_every_version! {
    fn a_peer_taken_off_the_list_leaves_everywhere_at_once_and_its_people_are_told(version, storage) {
        at_the_source(version, storage).await
    }
}

async fn over_restarts(version: Version, storage: Storage) -> Result<()> {
    let fed = hasty("parked-restarts", version, storage).start().await?;
    let mut people = gathered(&fed).await?;
    talk(&fed, &people, "At first").await?;
    for (server, peer) in [(1, "chat.shakespeare.lit"), (0, "rooms.macbeth.lit")] {
        let other = 1 - server;
        let wrong = format!("{peer}t");
        restart_with(&fed, server, peer, &wrong).await?;
        is_parked(&fed, 1, MACBETH).await?;
        let text = format!("Without {server}");
        people[2].say_and_see(MARLOWE, &text).await?;
        restart_with(&fed, server, &wrong, peer).await?;
        people[server] = match server {
            0 => fed[0].client("crone1", "desktop").await?,
            _ => fed[1].client("somewitch", "mobile").await?,
        };
        people[server].join(ROOMS[server], NICKS[server]).await?;
        together(&fed, &ALL).await?;
        is_distributed(&fed).await?;
        if other == 1 {
            // She was there all the time.
            people[1].expect_body(&text).await?;
        }
        talk(&fed, &people, &format!("After {server}")).await?;
    }
    fed.finish().await
}

on_every_version! {
    fn names_put_right_by_a_restart_of_either_side_lose_nothing(version, storage) {
        over_restarts(version, storage).await
    }
}
