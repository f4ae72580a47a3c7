//! A long list of affiliations comes to a room at once, and costs it one save.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Federation, Storage, Version, on_every_version};

use crate::lasting::ROOMS;
use crate::splits::hasty;
use crate::splits::scene::Scene;
use crate::support::eventually;

const ENTRIES: u64 = 500;
const LONG: u64 = 3_000;

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

/// A list so long that it takes several turns of the server to hand over, and the module is reloaded between them.
async fn reloaded_half_way(version: Version, storage: Storage) -> Result<()> {
    let fed = hasty("half-a-list", version, storage).start().await?;
    let room = fed[0].room("coven");
    let owner = fed[0].client("crone1", "desktop").await?;
    owner.create_room(&room, "firstcrone", &[]).await?;
    let fill = format!(
        "for i = 1, {LONG} do room._affiliations['thane'..i..'@scotland.lit'] = 'member'; end return 1"
    );
    in_room(&fed, 0, &fill).await?;
    owner
        .configure_room(&room, &[("muc#roomconfig_distributed", "1")])
        .await?;
    fed[0].reload_module(fed[0].muc(), "dmuc").await?;
    eventually("the whole list is at the shadow", || async {
        let count = "local count = 0; for jid in pairs(room and room._affiliations or {}) do \
                     if jid:find('@scotland.lit', 1, true) then count = count + 1; end end return count";
        Ok(in_room(&fed, 1, count).await? == LONG)
    })
    .await?;
    fed.finish().await
}

on_every_version! {
    fn a_list_handed_over_in_turns_survives_a_reload_between_them(version, storage) {
        reloaded_half_way(version, storage).await
    }

    fn a_long_list_costs_a_room_one_save(version, storage) {
        long_list(version, storage).await
    }
}
