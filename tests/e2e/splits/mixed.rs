//! Federations whose servers run different Prosodys: as in one of a single version, with each of them at the source.

use anyhow::{Context, Result};
use dmuc_testbed::{Builder, Federation, Storage, Version};

use super::agreement::{agree, archive, begin_again, one_history};
use super::evidence::has_all;
use super::hasty;
use super::scene::{ALL, Scene};
use crate::support::{MACBETH, MARLOWE, distributed, three, together};

/// The versions that are here, in turn, beginning at the source with the one of this number.
fn mixed(builder: Builder, first: usize) -> Builder {
    ALL.into_iter().fold(builder, |builder, server| {
        builder.with_server(server, |spec| {
            spec.version = in_turn(first + server);
            spec.storage = match server {
                1 => Storage::Sqlite,
                _ => Storage::Internal,
            };
        })
    })
}

fn in_turn(number: usize) -> Version {
    let all = Version::all();
    // The oldest, the first 13 and the newest, if more of them are here.
    match number % 3 {
        0 => Version::oldest(),
        1 => all.get(1).copied().unwrap_or_default(),
        _ => Version::newest(),
    }
}

fn label(what: &str, first: usize) -> String {
    format!("mixed-{what}-{}", in_turn(first))
}

async fn the_story(first: usize) -> Result<()> {
    let builder = three(&label("story", first), Version::default(), Storage::Internal);
    let fed = mixed(builder, first).start().await?;
    let crone = distributed(&fed, &[("muc#roomconfig_whois", "anyone")]).await?;
    let witch = fed[1].client("somewitch", "mobile").await?;
    let faust = fed[2].client("faust", "study").await?;
    witch.join(MACBETH, "firstwitch").await?;
    together(&fed, &["firstcrone", "firstwitch"]).await?;
    faust.join(MARLOWE, "faust").await?;
    together(&fed, &["faust", "firstcrone", "firstwitch"]).await?;
    for (client, server) in [(&crone, 0), (&witch, 1), (&faust, 2)] {
        let room = fed[server].room("coven");
        let body = format!("Hail from {room}");
        let id = client.say(&room, &body).await?;
        for other in [&crone, &witch, &faust] {
            let message = other.expect_body(&body).await?;
            assert_eq!(message.attr("id"), Some(&*id));
        }
    }
    // Ruled from the source: the shadows' people go, wherever they are.
    for (user, nick) in [
        ("somewitch@macbeth.lit", "firstwitch"),
        ("faust@marlowe.lit", "faust"),
    ] {
        crone
            .set_affiliation(&fed[0].room("coven"), user, "outcast")
            .await?;
        crone
            .expect("the end of somebody who is banned", |s| {
                s.attr("type") == Some("unavailable")
                    && s.attr("from").is_some_and(|from| from.ends_with(nick))
            })
            .await?;
    }
    together(&fed, &["firstcrone"]).await?;
    fed.finish().await
}

async fn says_apart(scene: &Scene<'_>, alone: usize, others: [usize; 2]) -> Result<Vec<String>> {
    let mut said = scene.speaks(alone, 4).await?;
    let there = scene.talk(&others, 4).await?;
    scene.hear(&others, &there).await?;
    said.extend(there);
    Ok(said)
}

async fn a_split_and_restarts(first: usize) -> Result<()> {
    let builder = hasty(&label("split", first), Version::default(), Storage::Internal);
    let fed: Federation = mixed(builder, first).start().await?;
    let mut scene = Scene::opens(&fed, "coven", &[]).await?;
    let mut said = scene.converse(2).await?;
    for other in [0, 2] {
        fed.link(1, other).cut().await;
    }
    scene.is_alone(1).await?;
    said.extend(says_apart(&scene, 1, [0, 2]).await?);
    scene.heals().await?;
    scene.hear(&ALL, &said).await?;
    agree(&scene).await.context("after the split")?;
    begin_again(&mut scene).await?;

    for server in ALL {
        let before = scene.converse(1).await?;
        fed[server].restart().await?;
        scene.returns(server).await?;
        scene.all_here().await?;
        scene.are_whole().await?;
        scene.converse(1).await?;
        agree(&scene)
            .await
            .with_context(|| format!("after a restart of {}", fed[server].domain()))?;
        for witness in &scene.people {
            has_all(&witness.nick, &archive(witness, None).await?, &before)?;
        }
        begin_again(&mut scene).await?;
    }
    one_history(&scene).await?;
    fed.finish().await
}

#[tokio::test]
async fn the_story_with_the_oldest_prosody_at_the_source() -> Result<()> {
    the_story(0).await
}

#[tokio::test]
async fn the_story_with_one_between_at_the_source() -> Result<()> {
    the_story(1).await
}

#[tokio::test]
async fn the_story_with_the_newest_prosody_at_the_source() -> Result<()> {
    the_story(2).await
}

#[tokio::test]
async fn a_split_and_restarts_with_the_oldest_prosody_at_the_source() -> Result<()> {
    a_split_and_restarts(0).await
}

#[tokio::test]
async fn a_split_and_restarts_with_one_between_at_the_source() -> Result<()> {
    a_split_and_restarts(1).await
}

#[tokio::test]
async fn a_split_and_restarts_with_the_newest_prosody_at_the_source() -> Result<()> {
    a_split_and_restarts(2).await
}
