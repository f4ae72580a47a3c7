//! What was done to a room's list of affiliations while the module was not there: at the source it counts, and everybody
//! follows; at a shadow it does not.

use anyhow::Result;
use dmuc_testbed::{Federation, Storage, Version, on_every_version};

use crate::lasting::{ROOMS, gathered, is_distributed};
use crate::support::{SOURCE, eventually, three};

/// Each entry as `jid affiliation`, sorted.
async fn list(fed: &Federation, server: usize) -> Result<Vec<String>> {
    let (muc, room) = (fed[server].muc(), ROOMS[server]);
    let chunk = format!(
        "local room = prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{room}'); local list = {{}}; \
         for jid, affiliation in room:each_affiliation() do list[#list+1] = jid..' '..affiliation; end \
         table.sort(list); return list"
    );
    let found = fed[server].eval(&chunk).await?;
    let found = found.as_array().cloned().unwrap_or_default();
    Ok(found
        .iter()
        .filter_map(|entry| entry.as_str().map(str::to_owned))
        .collect())
}

/// As mod_muc, and an administrator with it, changes the list of a room that is not distributed.
async fn sets(fed: &Federation, server: usize, jid: &str, affiliation: &str) -> Result<()> {
    let (muc, room) = (fed[server].muc(), ROOMS[server]);
    let chunk = format!(
        "local room = prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{room}'); \
         assert(room:set_affiliation(true, '{jid}', '{affiliation}')); room:save(true); return true"
    );
    fed[server].eval(&chunk).await?;
    Ok(())
}

async fn all_have(fed: &Federation, expected: &[&str]) -> Result<()> {
    for (server, room) in ROOMS.iter().enumerate() {
        eventually(&format!("{room} lists {expected:?}"), || async {
            Ok(list(fed, server).await? == expected)
        })
        .await?;
    }
    Ok(())
}

async fn relisting(version: Version, storage: Storage) -> Result<()> {
    let fed = three("relisting", version, storage).start().await?;
    let people = gathered(&fed).await?;
    people[0]
        .set_affiliation(SOURCE, "ross@macbeth.lit", "member")
        .await?;
    let at_first = [
        "crone1@shakespeare.lit owner",
        "hecate@macbeth.lit admin",
        "ross@macbeth.lit member",
    ];
    all_have(&fed, &at_first).await?;

    // Nobody tells the others, and then all of it is told.
    fed[0].unload_module(fed[0].muc(), "dmuc").await?;
    sets(&fed, 0, "ross@macbeth.lit", "none").await?;
    sets(&fed, 0, "hecate@macbeth.lit", "member").await?;
    sets(&fed, 0, "macduff@macbeth.lit", "outcast").await?;
    fed[0].load_module(fed[0].muc(), "dmuc").await?;
    let changed = [
        "crone1@shakespeare.lit owner",
        "hecate@macbeth.lit member",
        "macduff@macbeth.lit outcast",
    ];
    all_have(&fed, &changed).await?;

    fed[1].unload_module(fed[1].muc(), "dmuc").await?;
    sets(&fed, 1, "macduff@macbeth.lit", "none").await?;
    sets(&fed, 1, "hecate@macbeth.lit", "owner").await?;
    sets(&fed, 1, "thief@macbeth.lit", "admin").await?;
    fed[1].load_module(fed[1].muc(), "dmuc").await?;
    all_have(&fed, &changed).await?;

    // The same over a restart: the process knows only what is stored.
    fed[0].unload_module(fed[0].muc(), "dmuc").await?;
    sets(&fed, 0, "hecate@macbeth.lit", "none").await?;
    sets(&fed, 0, "lennox@macbeth.lit", "admin").await?;
    fed[0].restart().await?;
    let at_last = [
        "crone1@shakespeare.lit owner",
        "lennox@macbeth.lit admin",
        "macduff@macbeth.lit outcast",
    ];
    is_distributed(&fed).await?;
    all_have(&fed, &at_last).await?;
    fed[1].unload_module(fed[1].muc(), "dmuc").await?;
    sets(&fed, 1, "macduff@macbeth.lit", "none").await?;
    sets(&fed, 1, "lennox@macbeth.lit", "owner").await?;
    sets(&fed, 1, "thief@macbeth.lit", "admin").await?;
    fed[1].restart().await?;
    is_distributed(&fed).await?;
    all_have(&fed, &at_last).await?;
    fed.finish().await
}

on_every_version! {
    fn a_list_changed_while_the_module_was_away_is_the_sources(version, storage) {
        relisting(version, storage).await
    }
}
