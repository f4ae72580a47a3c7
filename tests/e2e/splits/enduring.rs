//! What is known during a split survives eviction of the room from Prosody's cache, reloads of the module and a restart.

use anyhow::{Context, Result};
use dmuc_testbed::{Client, Federation, Storage, Version, deadline, on_every_version};

use super::agreement::{agree, archive, one_history};
use super::evidence::has_all;
use super::hasty;
use super::scene::{ALL, Scene};

/// Somebody at each server whose own room pushes the coven out of the cache.
struct Gate {
    porters: [Client; 3],
}

impl Gate {
    async fn stands(fed: &Federation) -> Result<Gate> {
        let mut porters = Vec::new();
        for server in ALL {
            porters.push(Gate::opens(fed, server, "gate").await?);
        }
        let porters = porters.try_into().ok().context("three")?;
        Ok(Gate { porters })
    }

    async fn opens(fed: &Federation, server: usize, resource: &str) -> Result<Client> {
        let porter = fed[server].client("porter", resource).await?;
        let room = fed[server].room("gate");
        porter
            .create_room(&room, "porter", &[("muc#roomconfig_persistentroom", "1")])
            .await?;
        Ok(porter)
    }

    /// The coven leaves the cache of each of these servers.
    async fn is_knocked_at(&self, fed: &Federation, servers: &[usize]) -> Result<()> {
        for server in servers {
            let host = &fed[*server];
            let mark = host.log().mark();
            self.porters[*server]
                .say_and_see(&host.room("gate"), "Knock, knock")
                .await?;
            // Unless it was out already, the log tells.
            let muc = host.muc();
            let is_live = host
                .eval(&format!(
                    "for room in prosody.hosts['{muc}'].modules.muc.live_rooms() do \
                       if room.jid == '{}' then return true end end return false",
                    host.room("coven")
                ))
                .await?;
            if is_live.as_bool() == Some(true) {
                host.log()
                    .wait_since(mark, &format!("Evicting room {}", host.room("coven")), deadline())
                    .await?;
            }
        }
        Ok(())
    }
}

async fn enduring(version: Version, storage: Storage) -> Result<()> {
    let fed = hasty("enduring", version, storage)
        .muc_line("muc_room_cache_size = 1")
        .start()
        .await?;
    let mut scene = Scene::opens(&fed, "coven", &[]).await?;
    let mut said = scene.converse(2).await?;
    let mut gate = Gate::stands(&fed).await?;

    // Out of the cache when it happens: told all the same.
    gate.is_knocked_at(&fed, &ALL).await?;
    fed.isolate(1).await;
    scene.is_alone(1).await?;
    said.extend(scene.talk(&ALL, 2).await?);
    gate.is_knocked_at(&fed, &ALL).await?;
    said.extend(scene.talk(&ALL, 2).await?);

    for server in [1, 0] {
        gate.is_knocked_at(&fed, &[server]).await?;
        fed[server].reload_module(fed[server].muc(), "dmuc").await?;
        said.extend(scene.talk(&ALL, 1).await?);
        fed[server].reload_module(fed[server].muc(), "dmuc").await?;
        said.extend(scene.talk(&ALL, 1).await?);
    }

    gate.is_knocked_at(&fed, &[1]).await?;
    fed[1].restart().await?;
    scene.returns(1).await?;
    said.extend(scene.talk(&ALL, 2).await?);
    let again = fed[1].client("porter", "again").await?;
    again.join(&fed[1].room("gate"), "porter").await?;
    gate.porters[1] = again;
    gate.is_knocked_at(&fed, &ALL).await?;

    scene.heals().await?;
    for who in [0, 2] {
        scene.hears(who, &said).await?;
    }
    scene.all_here().await?;
    agree(&scene).await?;
    for witness in &scene.people {
        has_all(&witness.nick, &archive(witness, None).await?, &said)?;
    }
    gate.is_knocked_at(&fed, &ALL).await?;
    one_history(&scene).await?;
    gate.is_knocked_at(&fed, &ALL).await?;
    scene.converse(1).await?;
    agree(&scene).await?;
    fed.finish().await
}

on_every_version! {
    fn a_split_outlasts_eviction_and_reloads_and_a_restart(version, storage) {
        enduring(version, storage).await
    }
}
