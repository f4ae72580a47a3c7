//! What the end-to-end tests share: federations with a distributed room, and the versions they run on.

use anyhow::Result;
use dmuc_testbed::{Builder, Client, Element, Federation, Storage, Version};

/// The source of the XEP.
pub const SOURCE: &str = "coven@chat.shakespeare.lit";
/// Its shadows under `dmuc_room_id = "name"`.
pub const MACBETH: &str = "coven@rooms.macbeth.lit";
/// The other one.
pub const MARLOWE: &str = "coven@conference.marlowe.lit";

/// Nobody is served at the address of another instance: for tests in which people visit other servers' instances themselves.
pub const VISITS: &str = "dmuc_serve = \"off\"";

/// Three services that peer with each other; ids are readable so that tests can name the shadows.
pub fn three(label: &str, version: Version, storage: Storage) -> Builder {
    services(3, label, version, storage)
}

/// The first two of them.
pub fn two(label: &str, version: Version, storage: Storage) -> Builder {
    services(2, label, version, storage)
}

fn services(count: usize, label: &str, version: Version, storage: Storage) -> Builder {
    Federation::builder()
        .servers(count)
        .label(label)
        .version(version)
        .storage(storage)
        .dmuc(true)
        .muc_line("dmuc_room_id = \"name\"")
        .muc_line("dmuc_shadow_names = \"any\"")
}

/// crone1 creates the coven, makes it distributed, and both shadows are there.
pub async fn distributed(fed: &Federation, config: &[(&str, &str)]) -> Result<Client> {
    let crone = fed[0].client("crone1", "desktop").await?;
    let mut all = vec![
        ("muc#roomconfig_roomname", "A Dark Cave"),
        ("muc#roomconfig_distributed", "1"),
    ];
    all.extend_from_slice(config);
    crone.create_room(SOURCE, "firstcrone", &all).await?;
    replicated(fed, &["rooms.macbeth.lit", "conference.marlowe.lit"]).await?;
    Ok(crone)
}

/// The coven at two services, and who is in it.
pub struct Two {
    /// By server.
    pub rooms: [String; 2],
    /// At the source.
    pub crone: Client,
    /// At the shadow.
    pub witch: Client,
}

/// crone1 creates the coven and makes it distributed; somewitch joins its shadow, and they hear each other.
pub async fn two_together(fed: &Federation) -> Result<Two> {
    let rooms = [fed[0].room("coven"), fed[1].room("coven")];
    let crone = fed[0].client("crone1", "desktop").await?;
    crone
        .create_room(&rooms[0], "firstcrone", &[("muc#roomconfig_distributed", "1")])
        .await?;
    eventually("there is a shadow", || async {
        Ok(instances(fed, 0, &rooms[0]).await?.len() == 1 && instances(fed, 1, &rooms[1]).await?.len() == 1)
    })
    .await?;
    let witch = fed[1].client("somewitch", "mobile").await?;
    witch.join(&rooms[1], "firstwitch").await?;
    crone.say(&rooms[0], "hail").await?;
    witch.expect_body("hail").await?;
    Ok(Two { rooms, crone, witch })
}

/// Waits until the source knows that these services hold the room, and every shadow the others.
pub async fn replicated(fed: &Federation, services: &[&str]) -> Result<()> {
    for service in services {
        fed[0]
            .wait_for_log(&format!("{SOURCE}: {service} has an instance"))
            .await?;
    }
    for (index, server) in fed.servers().iter().enumerate().skip(1) {
        if !services.contains(&server.muc()) {
            continue;
        }
        let room = server.room("coven");
        let wanted = services.len();
        eventually(&format!("server {index} knows {wanted} instances"), || async {
            Ok(instances(fed, index, &room).await?.len() == wanted)
        })
        .await?;
    }
    Ok(())
}

/// Waits until `is_so`: for state that announces itself nowhere. Fails after the usual deadline.
pub async fn eventually<F, Fut>(what: &str, is_so: F) -> Result<()>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<bool>>,
{
    let end = tokio::time::Instant::now() + dmuc_testbed::deadline();
    while !is_so().await? {
        anyhow::ensure!(
            tokio::time::Instant::now() < end,
            "it never came to be that {what}"
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    Ok(())
}

/// How the link to a service is, as a server sees it.
pub async fn link_state(fed: &Federation, server: usize, service: &str) -> Result<String> {
    let muc = fed[server].muc().to_owned();
    let state = fed[server]
        .eval(&format!(
            "local instances = prosody.hosts['{muc}'].modules.dmuc.instances; \
             for i = 1, 9 do \
               local name, value = debug.getupvalue(instances, i); \
               if name == 'dmuc' then return value.ask('link', '{service}'); end; \
             end"
        ))
        .await?;
    state
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| anyhow::anyhow!("{state} is no name"))
}

/// Whether a room here has that instance, proven or only named.
pub async fn is_instance(fed: &Federation, server: usize, room: &str, other: &str) -> Result<bool> {
    let muc = fed[server].muc().to_owned();
    let found = fed[server]
        .eval(&format!(
            "local instances = prosody.hosts['{muc}'].modules.dmuc.instances; \
             for i = 1, 9 do \
               local name, value = debug.getupvalue(instances, i); \
               if name == 'dmuc' then return value.ask('is_instance', '{room}', '{other}') or false end; \
             end"
        ))
        .await?;
    Ok(found == true)
}

/// Waits until every MUC service has reached every other: one that asks before the others listen is told so, and tries again
/// after seconds.
pub async fn linked(fed: &Federation) -> Result<()> {
    for (index, server) in fed.servers().iter().enumerate() {
        for peer in fed.servers().iter().filter(|peer| peer.muc() != server.muc()) {
            let chunk = format!(
                "local instances = prosody.hosts['{}'].modules.dmuc.instances; \
                 for i = 1, 9 do \
                   local name, value = debug.getupvalue(instances, i); \
                   if name == 'dmuc' then return value.ask('link', '{}'); end; \
                 end",
                server.muc(),
                peer.muc()
            );
            eventually(&format!("{} reaches {}", server.muc(), peer.muc()), || async {
                Ok(fed[index].eval(&chunk).await? == "up")
            })
            .await?;
        }
    }
    Ok(())
}

/// The other instances `server` has for its room.
pub async fn instances(fed: &Federation, server: usize, room: &str) -> Result<Vec<String>> {
    let muc = fed[server].muc().to_owned();
    let found = fed[server]
        .eval(&format!(
            "local i = prosody.hosts['{muc}'].modules.dmuc.instances('{room}'); table.sort(i); return i"
        ))
        .await?;
    // Lua's empty list looks like an empty object.
    let found = found.as_array().cloned().unwrap_or_default();
    Ok(found
        .iter()
        .filter_map(|jid| jid.as_str().map(str::to_owned))
        .collect())
}

/// Whether a stanza is from this nick of this room.
pub fn from(room: &str, nick: &str) -> impl Fn(&Element) -> bool + use<> {
    let jid = format!("{room}/{nick}");
    move |stanza| stanza.attr("from") == Some(&*jid)
}

/// The nicks a server has in its room, sorted.
pub async fn nicks(fed: &Federation, server: usize, room: &str) -> Result<Vec<String>> {
    let muc = fed[server].muc().to_owned();
    let found = fed[server]
        .eval(&format!(
            "local nicks = {{}}; \
             local room = prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{room}'); \
             for jid in room:each_occupant() do nicks[#nicks+1] = jid:match('/(.*)$') end; \
             table.sort(nicks); return nicks"
        ))
        .await?;
    let found = found.as_array().cloned().unwrap_or_default();
    Ok(found
        .iter()
        .filter_map(|nick| nick.as_str().map(str::to_owned))
        .collect())
}

/// Waits until every server's instance of the coven has exactly these occupants.
pub async fn together(fed: &Federation, expected: &[&str]) -> Result<()> {
    for (index, server) in fed.servers().iter().enumerate() {
        let room = server.room("coven");
        eventually(&format!("{room} has {expected:?}"), || async {
            Ok(nicks(fed, index, &room).await? == expected)
        })
        .await?;
    }
    Ok(())
}
