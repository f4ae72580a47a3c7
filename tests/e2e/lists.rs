//! A long list of affiliations comes to a room at once, and costs it one save.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Federation, Storage, Version, on_every_version};

use crate::lasting::ROOMS;
use crate::splits::hasty;
use crate::splits::scene::Scene;
use crate::support::eventually;

const ENTRIES: u64 = 500;

/// What the chunk says of the `room` of the server, as a number.
async fn in_room(fed: &Federation, server: usize, chunk: &str) -> Result<u64> {
    let (muc, room) = (fed[server].muc(), ROOMS[server]);
    let room =
        format!("local room = prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{room}'); {chunk}");
    fed[server].eval(&room).await?.as_u64().context("a number")
}

async fn long_list(version: Version, storage: Storage) -> Result<()> {
    let fed = hasty("long-list", version, storage).start().await?;
    let scene = Scene::opens(&fed, "coven", &[]).await?;
    // What costs is counted where the list arrives; somebody who is on it is there.
    in_room(
        &fed,
        1,
        "prosody.saves = 0; local save = room._dmuc.save; \
         room._dmuc.save = function (...) prosody.saves = prosody.saves + 1; return save(...); end; return 1",
    )
    .await?;
    fed.isolate(1).await;
    scene.are_split(0, 1).await?;
    in_room(
        &fed,
        0,
        &format!(
            "for i = 1, {ENTRIES} do assert(room:set_affiliation(true, 'thane'..i..'@scotland.lit', 'member')); end \
             assert(room:set_affiliation(true, 'drfaust@marlowe.lit', 'admin')); return 1"
        ),
    )
    .await?;
    let before = in_room(&fed, 1, "return prosody.saves").await?;
    scene.heals().await?;
    eventually("the list is there", || async {
        let found = in_room(
            &fed,
            1,
            "local count = 0; for jid in room:each_affiliation() do \
             if jid:find('@scotland.lit', 1, true) then count = count + 1; end end return count",
        )
        .await?;
        Ok(found == ENTRIES)
    })
    .await?;
    let after = in_room(&fed, 1, "return prosody.saves").await?;
    ensure!(after - before <= 3, "{} saves", after - before);
    scene.converse(1).await?;
    fed.finish().await
}

on_every_version! {
    fn a_long_list_costs_a_room_one_save(version, storage) {
        long_list(version, storage).await
    }
}
