//! kill -9 of each server in turn while everybody talks.

use anyhow::{Context, Result};
use dmuc_testbed::{Element, Storage, Version, body, on_every_version};

use super::agreement::{agree, archive, begin_again, one_history};
use super::evidence::has_all;
use super::hasty;
use super::patience;
use super::scene::{ALL, Scene, USERS};

/// How many messages each says in bursts of [`BURST`]; the server dies about the middle.
const LOAD: usize = 60;
const BURST: usize = 5;

/// Talks, each burst when the last was reflected.
async fn talks(scene: &Scene<'_>, who: usize) -> Result<Vec<String>> {
    let mut said = Vec::new();
    for _ in 0..LOAD / BURST {
        said.extend(scene.speaks(who, BURST).await?);
    }
    Ok(said)
}

/// Talks until the server dies.
async fn talks_to_the_end(scene: &Scene<'_>, who: usize) -> Result<()> {
    while !scene.people[who].is_closed() {
        // An error is the end of the stream; anything else shows below.
        if scene.speaks(who, BURST).await.is_err() {
            break;
        }
    }
    // Writing may have failed a moment before the reader sees the end.
    let end = scene.people[who].closed().await;
    end.with_context(|| format!("{who} could not speak, but the server lives"))?;
    Ok(())
}

async fn killing(version: Version, storage: Storage) -> Result<()> {
    let fed = hasty("killing", version, storage).start().await?;
    let mut scene = Scene::opens(&fed, "coven", &[]).await?;
    scene.converse(1).await?;
    for victim in ALL {
        let [a, b] = [(victim + 1) % 3, (victim + 2) % 3];
        let begun = scene.people[victim].reflected()?.len();
        let own = format!("{} says ", USERS[victim]);
        let is_own = |s: &Element| body(s).is_some_and(|text| text.starts_with(&own));
        let killer = async {
            scene.people[victim]
                .until("the victim is in the middle of it", patience(), |all| {
                    all.iter().filter(|s| is_own(s)).count() >= begun + LOAD / 2
                })
                .await?;
            fed[victim].kill().await
        };
        let (said_a, said_b, last_words, killed) = tokio::join!(
            talks(&scene, a),
            talks(&scene, b),
            talks_to_the_end(&scene, victim),
            killer
        );
        killed?;
        last_words?;
        let mut promised = [said_a?, said_b?].concat();
        // What was reflected to its sender is not lost; what was not may be there or not, but everywhere the same.
        promised.extend(scene.people[victim].reflected()?);

        fed[victim].start().await?;
        scene.returns(victim).await?;
        scene.all_here().await?;
        promised.extend(scene.converse(2).await?);
        agree(&scene)
            .await
            .with_context(|| format!("after killing {victim}"))?;
        for witness in &scene.people {
            has_all(&witness.nick, &archive(witness, None).await?, &promised)?;
        }
        // One that was killed has lost nobody else's people, and is a full member again.
        begin_again(&mut scene).await?;
        scene.converse(1).await?;
        agree(&scene).await?;
    }
    one_history(&scene).await?;
    fed.finish().await
}

on_every_version! {
    fn what_was_reflected_survives_the_death_of_any_server(version) {
        killing(version, Storage::Internal).await
    }

    fn what_was_reflected_survives_the_death_of_any_server_with_sqlite(version) {
        killing(version, Storage::Sqlite).await
    }
}
