//! Three servers of which two are cut off from each other: what one of them says reaches the other through the third, if
//! that one may speak for others.

use anyhow::{Result, ensure};
use dmuc_testbed::{Federation, Storage, Version, body, on_every_version};

use super::agreement::{agree, one_history};
use super::evidence::late;
use super::hasty;
use super::scene::{ALL, Scene};
use crate::support::eventually;

async fn through_the_source(version: Version, storage: Storage) -> Result<()> {
    let fed = hasty("partial", version, storage).start().await?;
    let scene = Scene::opens(&fed, "coven", &[]).await?;
    scene.converse(1).await?;
    fed.link(1, 2).cut().await;
    let mut said = scene.talk(&ALL, 2).await?;
    scene.are_split(1, 2).await?;
    said.extend(scene.talk(&ALL, 3).await?);
    // The link stays cut.
    scene.hear(&ALL, &said).await?;
    let theirs: Vec<String> = said[said.len() - 3..].to_vec();
    late("firstwitch", &scene.people[1].live()?, &theirs)?;
    // What the third has told is not told again by the one who said it.
    scene.heals().await?;
    scene.converse(1).await?;
    agree(&scene).await?;
    one_history(&scene).await?;
    fed.finish().await
}

on_every_version! {
    fn two_shadows_that_do_not_reach_each_other_hear_through_the_source(version, storage) {
        through_the_source(version, storage).await
    }
}

/// Waits until so many requests have gone from one service to another: heartbeats, and what follows from them.
async fn heartbeats(fed: &Federation, from: usize, to: usize, count: u64) -> Result<()> {
    let asked = || async {
        let stats = fed[from].stats().await?;
        anyhow::Ok(stats.link(fed[from].muc(), fed[to].muc()).iq.stanzas)
    };
    let before = asked().await?;
    eventually(&format!("{count} heartbeats from {from} to {to}"), || async {
        Ok(asked().await? >= before + count)
    })
    .await
}

/// The source and one shadow are cut off from each other; both reach the other shadow.
async fn through_a_shadow(label: &str, is_trusted: bool, version: Version, storage: Storage) -> Result<()> {
    let mut builder = hasty(label, version, storage);
    if is_trusted {
        let trusting = |peer: &str| {
            format!("dmuc_peers = {{ {peer}, [\"conference.marlowe.lit\"] = {{ trusted = true }} }}")
        };
        // Who makes the room trusts both: otherwise its service would be in the shadows' names.
        builder = builder
            .with_server(0, |s| {
                s.muc_lines
                    .push(trusting("[\"rooms.macbeth.lit\"] = { trusted = true }"))
            })
            .with_server(1, |s| s.muc_lines.push(trusting("\"chat.shakespeare.lit\"")));
    }
    let fed = builder.start().await?;
    let scene = Scene::opens(&fed, "coven", &[]).await?;
    scene.converse(1).await?;
    fed.link(0, 1).cut().await;
    scene.are_split(0, 1).await?;
    let crone = scene.speaks(0, 3).await?;
    let witch = scene.speaks(1, 3).await?;
    let faust = scene.speaks(2, 3).await?;
    // Who is connected to both hears both, and both hear it.
    scene.hears(2, &[crone.clone(), witch.clone()].concat()).await?;
    scene.hear(&[0, 1], &faust).await?;
    if is_trusted {
        scene.hears(0, &witch).await?;
        scene.hears(1, &crone).await?;
        late("firstcrone", &scene.people[0].live()?, &witch)?;
    } else {
        // Several chances to tell, none of which is taken.
        for (from, to) in [(2, 0), (0, 2), (2, 1), (1, 2)] {
            heartbeats(&fed, from, to, 4).await?;
        }
        for (who, unheard) in [(0, &witch), (1, &crone)] {
            let witness = &scene.people[who];
            witness.sync().await?;
            let heard = witness.with_transcript(|all| {
                all.iter()
                    .filter_map(body)
                    .filter(|text| unheard.contains(text))
                    .count()
            });
            ensure!(heard == 0, "{} believes a third instance", witness.nick);
        }
    }
    scene.heals().await?;
    scene.hear(&ALL, &[crone, witch, faust].concat()).await?;
    scene.converse(1).await?;
    agree(&scene).await?;
    one_history(&scene).await?;
    fed.finish().await
}

on_every_version! {
    fn nothing_is_taken_from_a_third_instance_that_is_not_trusted(version, storage = Sqlite) {
        through_a_shadow("untrusted", false, version, storage).await
    }

    fn a_trusted_third_instance_tells_what_others_said(version, storage) {
        through_a_shadow("trusted", true, version, storage).await
    }
}

/// One after the other, and all at once: the link between any two, then all of them.
async fn round_the_links(version: Version, storage: Storage) -> Result<()> {
    let fed = hasty("round", version, storage).start().await?;
    let scene = Scene::opens(&fed, "coven", &[]).await?;
    let mut said = scene.converse(1).await?;
    let links = [(0, 1), (1, 2), (0, 2)];
    for (a, b) in links {
        fed.link(a, b).cut().await;
        said.extend(scene.talk(&ALL, 2).await?);
        scene.are_split(a, b).await?;
        said.extend(scene.talk(&ALL, 1).await?);
    }
    // Now each is alone. The links come back in another order.
    for (a, b) in [(1, 2), (0, 2), (0, 1)] {
        fed.link(a, b).heal().await;
        scene.are_one(a, b).await?;
        said.extend(scene.talk(&ALL, 1).await?);
    }
    scene.hear(&ALL, &said).await?;
    agree(&scene).await?;
    one_history(&scene).await?;
    fed.finish().await
}

on_every_version! {
    fn links_that_fail_and_return_one_by_one_leave_everybody_in_agreement(version, storage = Sqlite) {
        round_the_links(version, storage).await
    }
}
