//! Long lists of affiliations are stored beside their rooms: one more entry is written alone, and whatever ends the process,
//! the list that comes back is that of its version.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Federation, Server, Storage, Value, Version, on_every_version};

use crate::asking::role;
use crate::support::{eventually, two, two_together};

const ENTRIES: u64 = 200;
const COUNT: &str = "local count = 0; for jid in room:each_affiliation() do \
                     if jid:find('@scotland.lit', 1, true) then count = count + 1; end end return count";

/// What the chunk says of the server's `room` and what is `stored` of it, with the `store` of lists at hand.
async fn says(server: &Server, room: &str, chunk: &str) -> Result<Value> {
    let muc = server.muc();
    server
        .eval(&format!(
            "local open = require 'core.storagemanager'.open; local store = open('{muc}', 'dmuc_list'); \
             local room = prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{room}'); \
             local stored = open('{muc}', 'dmuc'):get('{}') or {{}}; {chunk}",
            room.split('@').next().unwrap_or_default()
        ))
        .await
}

/// Waits until the server has so many of them on its list, and has stored that.
async fn has(server: &Server, room: &str, count: u64, last: &str) -> Result<()> {
    let is_stored = format!(
        "local list = stored.list; if not list then return stored.version; end local text = {{ list.changes }}; \
         for number = list.first, list.last do table.insert(text, store:get('{}/'..number).list); end \
         return table.concat(text):find('{last}', 1, true) ~= nil",
        room.split('@').next().unwrap_or_default()
    );
    eventually(
        &format!("{count} are on the list of {room}, up to {last}"),
        || async {
            Ok(says(server, room, COUNT).await?.as_u64() == Some(count)
                && says(server, room, &is_stored).await? == true)
        },
    )
    .await
}

async fn affiliate(server: &Server, room: &str, user: &str) -> Result<()> {
    let chunk = format!("return room:set_affiliation(true, '{user}', 'member')");
    let done = says(server, room, &chunk).await?;
    ensure!(done == true, "{user}: {done}");
    Ok(())
}

/// Which parts the room's record names.
async fn parts(server: &Server, room: &str) -> Result<(u64, u64)> {
    let list = says(
        server,
        room,
        "return { stored.version, stored.list.first, stored.list.last }",
    )
    .await?;
    let number = |at: usize| list[at].as_u64().context("a number");
    ensure!(number(0)? == 3, "{list}");
    Ok((number(1)?, number(2)?))
}

async fn part_count(server: &Server, room: &str) -> Result<Option<u64>> {
    let count = "local count = 0; for _ in store:users() do count = count + 1; end return count";
    Ok(says(server, room, count).await?.as_u64())
}

async fn stored_beside(version: Version, storage: Storage) -> Result<()> {
    let fed: Federation = two("stored-lists", version, storage).start().await?;
    let together = two_together(&fed).await?;
    let rooms = &together.rooms;
    says(
        &fed[0],
        &rooms[0],
        &format!(
            "for i = 1, {ENTRIES} do assert(room:set_affiliation(true, 'thane'..i..'@scotland.lit', 'member')); end return 1"
        ),
    )
    .await?;
    for server in 0..2 {
        has(&fed[server], &rooms[server], ENTRIES, &format!("thane{ENTRIES}@")).await?;
    }
    affiliate(&fed[0], &rooms[0], "macduff@scotland.lit").await?;
    let mut before = Vec::new();
    for server in 0..2 {
        has(&fed[server], &rooms[server], ENTRIES + 1, "macduff@").await?;
        before.push(parts(&fed[server], &rooms[server]).await?);
        let length = says(&fed[server], &rooms[server], "return #stored.snapshot").await?;
        ensure!(length.as_u64() < Some(5_000), "{length} bytes without the list");
    }

    // Killed, with nobody to ask.
    fed[0].stop().await?;
    fed[1].crash().await?;
    eventually("the shadow is back", || async {
        Ok(role(&fed, 1, &rooms[1]).await?.as_deref() == Some("shadow"))
    })
    .await?;
    has(&fed[1], &rooms[1], ENTRIES + 1, "macduff@").await?;
    fed[0].start().await?;
    fed[0].crash().await?;
    eventually("the source is back", || async {
        Ok(role(&fed, 0, &rooms[0]).await?.as_deref() == Some("source"))
    })
    .await?;

    // Nothing of it was written anew, nor is it when the module is reloaded.
    fed[0].reload_module(fed[0].muc(), "dmuc").await?;
    affiliate(&fed[0], &rooms[0], "banquo@scotland.lit").await?;
    for server in 0..2 {
        has(&fed[server], &rooms[server], ENTRIES + 2, "banquo@").await?;
        assert_eq!(parts(&fed[server], &rooms[server]).await?, before[server]);
    }

    // It goes with the room.
    let owner = fed[0].client("crone1", "last").await?;
    owner.join(&rooms[0], "last").await?;
    owner
        .configure_room(&rooms[0], &[("muc#roomconfig_distributed", "0")])
        .await?;
    for server in 0..2 {
        eventually(&format!("no list is left at {}", rooms[server]), || async {
            Ok(part_count(&fed[server], &rooms[server]).await? == Some(0))
        })
        .await?;
    }
    fed.finish().await
}

on_every_version! {
    fn a_long_list_is_stored_beside_its_room(version, storage) {
        stored_beside(version, storage).await
    }
}
