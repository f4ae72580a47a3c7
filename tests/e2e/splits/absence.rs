//! A server that is down for the whole of a conversation.

use anyhow::{Context, Result};
use dmuc_testbed::{Storage, Version, on_every_version};

use super::agreement::{agree, archive, begin_again, one_history};
use super::evidence::has_all;
use super::hasty;
use super::scene::{ALL, NICKS, Scene};

async fn absence(version: Version, storage: Storage) -> Result<()> {
    let fed = hasty("absence", version, storage).start().await?;
    let mut scene = Scene::opens(&fed, "coven", &[]).await?;
    for absent in [1, 0] {
        let [a, b] = match absent {
            0 => [1, 2],
            _ => [0, 2],
        };
        let mut promised = scene.converse(1).await?;
        fed[absent].stop().await?;
        let said = scene.talk(&[a, b], 15).await?;
        scene.hear(&[a, b], &said).await?;
        promised.extend(said);
        // Somebody comes and goes, somebody stays under another nick, somebody is given something.
        let visitor = scene.enters(a, "porter", "gate", "porter").await?;
        visitor.leave(&visitor.room, "porter").await?;
        scene.people[b]
            .change_nick(&scene.people[b].room.clone(), "mephisto")
            .await?;
        scene.people[b].person.nick = "mephisto".to_owned();
        if absent != 0 {
            let crone = &scene.people[0];
            crone
                .set_affiliation(&crone.room, "hecate@macbeth.lit", "admin")
                .await?;
            crone.set_subject(&crone.room, "While you were away").await?;
        }
        promised.extend(scene.talk(&[a, b], 2).await?);

        fed[absent].start().await?;
        scene.returns(absent).await?;
        scene.all_here().await?;
        scene.are_whole().await?;
        scene.converse(1).await?;
        agree(&scene)
            .await
            .with_context(|| format!("{absent} was away"))?;
        for who in ALL {
            let witness = &scene.people[who];
            has_all(&witness.nick, &archive(witness, None).await?, &promised)?;
        }
        let witness = &scene.people[b];
        witness.change_nick(&witness.room, NICKS[b]).await?;
        scene.people[b].person.nick = NICKS[b].to_owned();
        scene.all_here().await?;
        begin_again(&mut scene).await?;
    }
    one_history(&scene).await?;
    fed.finish().await
}

on_every_version! {
    fn a_server_that_was_down_during_a_conversation_has_all_of_it_afterwards(version, storage = Sqlite) {
        absence(version, storage).await
    }
}
