//! mod_muc reloaded under the module, which Prosody reloads with it: rooms and people stay, also during a split.

use anyhow::Result;
use dmuc_testbed::{Client, Federation, Storage, Version, on_every_version};

use crate::asking::{has_feature, items};
use crate::lasting::{NICKS, ROOMS, gathered, is_distributed, nobody_left, talk};
use crate::splits::{hasty, patience};
use crate::support::{eventually, nicks, together};

const ALL: [&str; 3] = ["faust", "firstcrone", "firstwitch"];

/// Whoever asks is answered as before.
async fn is_as_before(fed: &Federation, people: &[Client; 3]) -> Result<()> {
    for (server, client) in people.iter().enumerate() {
        assert_eq!(client.self_ping(ROOMS[server], NICKS[server]).await?, None);
        let info = client.disco_info(ROOMS[server]).await?;
        assert!(has_feature(&info, "muc_persistent"));
        assert_eq!(nicks(fed, server, ROOMS[server]).await?, ALL, "at {server}");
        let listed = items(&client.disco_items(fed[server].muc()).await?);
        assert_eq!(listed, [(ROOMS[server].to_owned(), "A Dark Cave".to_owned())]);
    }
    nobody_left(people).await
}

async fn reloads_muc(fed: &Federation, server: usize) -> Result<()> {
    let mark = fed[server].log().mark();
    fed[server].reload_module(fed[server].muc(), "muc").await?;
    fed[server]
        .log()
        .wait_since(mark, "Auto-reloading due to reload of", patience())
        .await
        .map(|_| ())
}

async fn reloading(version: Version, storage: Storage) -> Result<()> {
    let fed = hasty("reloading", version, storage).start().await?;
    let people = gathered(&fed).await?;
    people[0]
        .configure_room(ROOMS[0], &[("muc#roomconfig_publicroom", "1")])
        .await?;
    for server in 0..3 {
        eventually("it is public", || async {
            Ok(items(&people[server].disco_items(fed[server].muc()).await?).len() == 1)
        })
        .await?;
    }
    talk(&fed, &people, "At first").await?;
    for server in [1, 0] {
        reloads_muc(&fed, server).await?;
        is_as_before(&fed, &people).await?;
        is_distributed(&fed).await?;
        talk(&fed, &people, &format!("After a reload of muc at {server}")).await?;
    }
    // With nobody asking before a peer says something.
    reloads_muc(&fed, 1).await?;
    people[2].say(ROOMS[2], "Are you there?").await?;
    for client in &people {
        client.expect_body("Are you there?").await?;
    }
    is_as_before(&fed, &people).await?;

    // Cut off.
    fed.isolate(1).await;
    for (client, service) in [(&people[0], fed[1].muc()), (&people[1], fed[0].muc())] {
        let text = format!("The connection to {service} is interrupted");
        client
            .expect_within(&text, patience(), |s| {
                dmuc_testbed::body(s).is_some_and(|body| body.starts_with(&text))
            })
            .await?;
    }
    for server in [0, 1] {
        reloads_muc(&fed, server).await?;
        is_as_before(&fed, &people).await?;
        people[server]
            .say_and_see(ROOMS[server], &format!("Alone {server}"))
            .await?;
    }
    people[2].expect_body("Alone 0").await?;
    fed.heal_all().await;
    let late =
        |text: &'static str| move |s: &dmuc_testbed::Element| dmuc_testbed::body(s).as_deref() == Some(text);
    people[0]
        .expect_within("what was missed", patience(), late("Alone 1"))
        .await?;
    people[1]
        .expect_within("what was missed", patience(), late("Alone 0"))
        .await?;
    people[2]
        .expect_within("what was missed", patience(), late("Alone 1"))
        .await?;
    together(&fed, &ALL).await?;
    is_as_before(&fed, &people).await?;
    talk(&fed, &people, "At last").await?;
    fed.finish().await
}

on_every_version! {
    fn reloading_mod_muc_keeps_rooms_and_people(version, storage) {
        reloading(version, storage).await
    }
}
