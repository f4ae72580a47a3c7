//! Rooms with more stored messages than one segment of the log holds: after a restart they go on before all of that has been
//! read, and nothing is missing to anybody.

use std::fs;

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Storage, Version, body, on_every_version};

use crate::asking::role;
use crate::moderation::{Form, federation, takes_away};
use crate::stage::{Person, company, quiet};
use crate::support::eventually;

/// More than two segments.
const SAID: usize = 430;

/// What is said where, as archived there, oldest first.
async fn archived(person: &Person) -> Result<Vec<(String, String)>> {
    let items = person.mam_all(&person.room).await?;
    let said = items
        .iter()
        .filter_map(|item| Some((item.id.clone(), body(&item.message)?)));
    Ok(said.collect())
}

async fn read_late(version: Version, storage: Storage) -> Result<()> {
    let fed = federation(version, storage)
        .with_server(2, |server| server.storage = Storage::Internal)
        .start()
        .await?;
    let mut people = company(&fed, "coven", &[]).await?;
    for number in 0..SAID {
        let speaker = &people[number % 3];
        speaker.say(&speaker.room, &format!("Number {number}")).await?;
    }
    for person in &people {
        person.expect_body(&format!("Number {}", SAID - 1)).await?;
    }
    quiet(&fed, &people.each_ref()).await?;
    let everything = archived(&people[0]).await?;
    assert_eq!(everything.len(), SAID);

    // The source, and then nothing of a shadow is left: it has all of it from there.
    fed[0].restart().await?;
    people[0] = Person::joins(&fed, 0, "crone1", "coven", "firstcrone").await?;
    assert_eq!(people[0].joined.history_bodies().len(), 20);
    fed[2].stop().await?;
    for store in ["dmuc", "dmuc_log", "muc_log", "persistent", "config"] {
        let _ = fs::remove_dir_all(fed[2].dir().join("data/conference%2emarlowe%2elit").join(store));
    }
    fed[2].start().await?;
    eventually("the shadow is made again", || async {
        Ok(role(&fed, 2, &fed[2].room("coven")).await?.as_deref() == Some("shadow"))
    })
    .await?;
    people[2] = Person::joins(&fed, 2, "drfaust", "coven", "faust").await?;
    eventually("everything is there again", || async {
        Ok(archived(&people[2]).await?.len() == SAID)
    })
    .await?;

    // One of the oldest is taken away when nothing of it has been read after a restart.
    let (id, text) = everything.get(3).context("the fourth")?.clone();
    fed[0].restart().await?;
    people[0] = Person::joins(&fed, 0, "crone1", "coven", "firstcrone").await?;
    takes_away(&people[0], &id, Form::V0_2).await?;
    for restarts in 0..2 {
        for person in &people {
            eventually(&format!("{text} is gone at {}", person.room), || async {
                Ok(!archived(person).await?.iter().any(|(_, said)| *said == text))
            })
            .await?;
        }
        if restarts == 0 {
            for (server, (user, nick)) in [("crone1", "firstcrone"), ("somewitch", "firstwitch")]
                .into_iter()
                .enumerate()
            {
                fed[server].restart().await?;
                people[server] = Person::joins(&fed, server, user, "coven", nick).await?;
            }
        }
    }
    for person in &people {
        let rest = archived(person).await?;
        ensure!(rest.len() == SAID - 1, "{} at {}", rest.len(), person.room);
    }
    fed.finish().await
}

on_every_version! {
    fn long_logs_are_read_while_their_rooms_go_on(version, storage) {
        read_late(version, storage).await
    }
}
