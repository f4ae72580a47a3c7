//! Distributed rooms stay distributed: through reloads of the module, orderly restarts, crashes, and eviction from
//! Prosody's cache of rooms. Roles, peers and ids stay; people find each other again.

use anyhow::{Context, Result};
use dmuc_testbed::{Client, Federation, Storage, Version, on_every_version};

use crate::asking::role;
use crate::support::{MACBETH, MARLOWE, SOURCE, VISITS, distributed, eventually, instances, three, together};

pub const ROOMS: [&str; 3] = [SOURCE, MACBETH, MARLOWE];
pub const NICKS: [&str; 3] = ["firstcrone", "firstwitch", "faust"];
const USERS: [&str; 3] = ["crone1", "somewitch", "faust"];

/// Every server has its part of the room, under the same id, with both others.
pub async fn is_distributed(fed: &Federation) -> Result<()> {
    for (server, room) in ROOMS.iter().enumerate() {
        let expected = if server == 0 { "source" } else { "shadow" };
        eventually(&format!("{room} is a {expected}"), || async {
            Ok(role(fed, server, room).await?.as_deref() == Some(expected))
        })
        .await?;
        eventually(&format!("{room} knows the others"), || async {
            let others: Vec<&str> = ROOMS.iter().copied().filter(|other| other != room).collect();
            let mut found = instances(fed, server, room).await?;
            found.sort();
            let mut wanted = others.clone();
            wanted.sort_unstable();
            Ok(found == wanted)
        })
        .await?;
    }
    Ok(())
}

/// Each says something that everybody sees exactly once.
pub async fn talk(fed: &Federation, people: &[Client; 3], occasion: &str) -> Result<()> {
    for (server, speaker) in people.iter().enumerate() {
        let text = format!("{occasion}: {}", NICKS[server]);
        speaker.say(ROOMS[server], &text).await?;
        for client in people {
            client
                .expect_body(&text)
                .await
                .with_context(|| format!("said at {}", ROOMS[server]))?;
        }
    }
    fed.settle(2).await?;
    for client in people {
        client.sync().await?;
        let again =
            client.drain_matching(|s| dmuc_testbed::body(s).is_some_and(|text| text.starts_with(occasion)));
        assert!(again.is_empty(), "{again:?}");
    }
    Ok(())
}

/// Whether anybody was thrown out of the room: nobody may be by what happens here.
pub async fn nobody_left(people: &[Client; 3]) -> Result<()> {
    for client in people {
        client.sync().await?;
        let left = client.drain_matching(|s| s.name() == "presence" && s.attr("type") == Some("unavailable"));
        assert!(left.is_empty(), "{left:?}");
    }
    Ok(())
}

async fn reloads(version: Version, storage: Storage) -> Result<()> {
    let fed = three("reloads", version, storage).start().await?;
    let people = gathered(&fed).await?;
    talk(&fed, &people, "At first").await?;
    for server in [0, 1] {
        let muc = fed[server].muc();
        fed[server].reload_module(muc, "dmuc").await?;
        is_distributed(&fed).await?;
        together(&fed, &["faust", "firstcrone", "firstwitch"]).await?;
        talk(&fed, &people, &format!("After a reload at {server}")).await?;
        nobody_left(&people).await?;
    }
    for server in [1, 0] {
        let muc = fed[server].muc();
        fed[server].unload_module(muc, "dmuc").await?;
        // While it is away the room is its own people's.
        let alone = format!("Alone at {server}");
        people[server].say_and_see(ROOMS[server], &alone).await?;
        fed[server].load_module(muc, "dmuc").await?;
        is_distributed(&fed).await?;
        together(&fed, &["faust", "firstcrone", "firstwitch"]).await?;
        talk(&fed, &people, &format!("After loading it again at {server}")).await?;
    }
    fed.finish().await
}

pub async fn gathered(fed: &Federation) -> Result<[Client; 3]> {
    let crone = distributed(fed, &[]).await?;
    crone
        .set_affiliation(SOURCE, "hecate@macbeth.lit", "admin")
        .await?;
    let witch = fed[1].client("somewitch", "mobile").await?;
    witch.join(MACBETH, NICKS[1]).await?;
    let faust = fed[2].client("faust", "study").await?;
    faust.join(MARLOWE, NICKS[2]).await?;
    together(fed, &["faust", "firstcrone", "firstwitch"]).await?;
    Ok([crone, witch, faust])
}

on_every_version! {
    fn reloading_and_loading_the_module_again_keeps_rooms_and_people(version, storage) {
        reloads(version, storage).await
    }
}

async fn restarts(version: Version, storage: Storage) -> Result<()> {
    let fed = three("restarts", version, storage)
        .muc_line(VISITS)
        .with_server(1, |s| {
            s.muc_lines = vec![
                "dmuc_room_id = \"uuid\"".into(),
                "dmuc_shadow_names = \"any\"".into(),
            ]
        })
        .start()
        .await?;
    let mut people = gathered(&fed).await?;
    let heath = fed[1].room("heath");
    people[1]
        .create_room(&heath, "firstwitch", &[("muc#roomconfig_distributed", "1")])
        .await?;
    eventually("the heath has its shadows", || async {
        Ok(instances(&fed, 1, &heath).await?.len() == 2)
    })
    .await?;
    let shadows = instances(&fed, 1, &heath).await?;
    talk(&fed, &people, "At first").await?;
    for (server, kill) in [(0, false), (1, false), (0, true), (1, true)] {
        let how = if kill { "killed" } else { "restarted" };
        if kill {
            fed[server].crash().await?;
        } else {
            fed[server].restart().await?;
        }
        is_distributed(&fed)
            .await
            .with_context(|| format!("{server} was {how}"))?;
        // The people there come back; those elsewhere never left.
        let back = fed[server].client(USERS[server], how).await?;
        let joined = back.join(ROOMS[server], NICKS[server]).await?;
        let heard = joined.history_bodies();
        assert!(heard.contains(&"At first: firstcrone".to_owned()), "{heard:?}");
        assert!(heard.contains(&"At first: faust".to_owned()), "{heard:?}");
        people[server] = back;
        together(&fed, &["faust", "firstcrone", "firstwitch"])
            .await
            .with_context(|| format!("{server} was {how}"))?;
        talk(&fed, &people, &format!("{server} was {how}")).await?;
        // What was decided before is still in force.
        assert_eq!(
            people[0].affiliated(ROOMS[server], "admin").await?,
            ["hecate@macbeth.lit"]
        );
    }
    // Also a room nobody came back to has its ids.
    eventually("the heath has the same shadows", || async {
        Ok(instances(&fed, 1, &heath).await? == shadows)
    })
    .await?;
    let at_the_source = shadows
        .iter()
        .find(|shadow| shadow.ends_with("@chat.shakespeare.lit"))
        .context("a shadow")?;
    assert_eq!(role(&fed, 0, at_the_source).await?.as_deref(), Some("shadow"));
    // And changes arrive as before.
    people[0]
        .set_affiliation(SOURCE, "macduff@macbeth.lit", "outcast")
        .await?;
    eventually("the ban arrives", || async {
        Ok(people[0].affiliated(MACBETH, "outcast").await? == ["macduff@macbeth.lit"])
    })
    .await?;
    fed.finish().await
}

on_every_version! {
    fn restarting_or_killing_a_server_keeps_its_rooms_distributed(version, storage) {
        restarts(version, storage).await
    }
}

async fn eviction(version: Version, storage: Storage) -> Result<()> {
    let fed = three("eviction", version, storage)
        .muc_line("muc_room_cache_size = 1")
        .start()
        .await?;
    let people = gathered(&fed).await?;
    talk(&fed, &people, "At first").await?;
    // A second room at each server pushes the coven out of its cache.
    let mut others = Vec::new();
    for server in 0..3 {
        let mark = fed[server].log().mark();
        let other = fed[server].client("porter", "gate").await?;
        other
            .create_room(&fed[server].room("gate"), "porter", &[])
            .await?;
        fed[server]
            .log()
            .wait_since(
                mark,
                &format!("Evicting room {}", ROOMS[server]),
                dmuc_testbed::deadline(),
            )
            .await?;
        others.push(other);
    }
    // What a peer, and what somebody here says, brings it back, with everybody in it.
    talk(&fed, &people, "Out of the cache").await?;
    together(&fed, &["faust", "firstcrone", "firstwitch"]).await?;
    nobody_left(&people).await?;
    is_distributed(&fed).await?;
    // Each time anew: somebody joins, is seen everywhere, leaves.
    for server in 0..3 {
        others[server]
            .say_and_see(&fed[server].room("gate"), "Knock, knock")
            .await?;
    }
    let lennox = fed[1].client("lennox", "castle").await?;
    let mut nicks = lennox.join(MACBETH, "lennox").await?.nicks();
    nicks.sort();
    assert_eq!(nicks, ["faust", "firstcrone", "firstwitch"]);
    together(&fed, &["faust", "firstcrone", "firstwitch", "lennox"]).await?;
    for server in 0..3 {
        others[server]
            .say_and_see(&fed[server].room("gate"), "Never at quiet")
            .await?;
    }
    lennox.leave(MACBETH, "lennox").await?;
    together(&fed, &["faust", "firstcrone", "firstwitch"]).await?;
    talk(&fed, &people, "At last").await?;
    fed.finish().await
}

on_every_version! {
    fn a_room_that_was_evicted_from_the_cache_goes_on(version, storage) {
        eviction(version, storage).await
    }
}
