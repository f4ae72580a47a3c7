//! What stored messages cost in memory: how much a server grows while they are said, distributed and not, and what it has after a
//! restart.

use anyhow::Result;
use dmuc_testbed::{Federation, Server, Storage, Version};

use crate::report::{Table, verdict};
use crate::said::{create, fill, resident};

/// Rooms, and messages in each.
const SCENES: [(u64, u64); 2] = [(1, 10_000), (100, 200)];
/// Bytes of memory for each message, more than a server without the module needs.
const BAR_BYTES: f64 = 200.0;

/// Bytes for each message.
struct Grown {
    said: f64,
    restarted: f64,
}

/// What is left when everything that is not used has been freed.
async fn settled(server: &Server) -> Result<f64> {
    server
        .eval("for _ = 1, 3 do collectgarbage('collect') end return true")
        .await?;
    Ok(resident(server)? as f64)
}

async fn grow(version: Version, has_dmuc: bool, (rooms, each): (u64, u64)) -> Result<Grown> {
    let storage = match version.is_0_12() {
        true => Storage::Internal,
        false => Storage::Sqlite,
    };
    let fed = Federation::builder()
        .servers(1)
        .label("bench-memory")
        .version(version)
        .storage(storage)
        .log_level("warn")
        .dmuc(has_dmuc)
        .start()
        .await?;
    let server = &fed[0];
    let owner = server.client("crone1", "desktop").await?;
    let names: Vec<String> = (0..rooms).map(|number| format!("coven{number}")).collect();
    for name in &names {
        create(&owner, &server.room(name), has_dmuc).await?;
        // What is loaded and made once only is there by then.
        fill(server, name, 20).await?;
    }
    owner.drain();
    server.restart().await?;
    let owner = server.client("crone1", "desktop").await?;
    for name in &names {
        owner.join(&server.room(name), crate::said::NICK).await?;
    }
    let before = settled(server).await?;
    for name in &names {
        fill(server, name, each).await?;
        owner.drain();
    }
    let said = settled(server).await? - before;
    // The same rooms with everything that was said, and nobody in them.
    server.restart().await?;
    let owner = server.client("crone1", "desktop").await?;
    for name in &names {
        owner.join(&server.room(name), crate::said::NICK).await?;
    }
    let mut restarted = settled(server).await?;
    // What is older is read by and by.
    loop {
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        let now = settled(server).await?;
        let is_still = (now - restarted).abs() < 128.0 * 1024.0;
        restarted = now;
        if is_still {
            break;
        }
    }
    fed.finish_fast()?;
    let count = (rooms * each) as f64;
    Ok(Grown {
        said: said / count,
        restarted: (restarted - before) / count,
    })
}

pub async fn measure(versions: &[Version], bars: &mut Table) -> Result<String> {
    let mut table = Table::new(&["messages of 256 bytes", "", "grown while said", "after a restart"]);
    for version in versions {
        for scene in SCENES {
            let (rooms, each) = scene;
            let plain = grow(*version, false, scene).await?;
            let ours = grow(*version, true, scene).await?;
            for (name, grown) in [("plain", &plain), ("distributed", &ours)] {
                table.row([
                    format!("{rooms} × {each}, Prosody {version}"),
                    name.to_owned(),
                    format!("{:.0} bytes each", grown.said),
                    format!("{:.0} bytes each", grown.restarted),
                ]);
            }
            for (when, bytes) in [
                ("said", ours.said - plain.said),
                ("after a restart", ours.restarted - plain.restarted),
            ] {
                bars.row([
                    format!(
                        "{rooms} × {each} stored messages take at most {BAR_BYTES} bytes each more than plain ones, {when}: Prosody {version}"
                    ),
                    format!("{bytes:.0}"),
                    verdict(bytes <= BAR_BYTES),
                ]);
            }
        }
    }
    Ok(format!(
        "### Memory of stored messages\n\nResident memory of the server's process for each message, when its collector has run: how much it grows \
         while they are said,\nand how much more it has, after a restart and with somebody in each room, than with 20 messages in each.\n\n{}",
        table.text()
    ))
}
