//! One more affiliation in a room that has many: with the module and without it, in turn.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Client, Federation, Server, Storage, Version, deadline};
use tokio::time::Instant;

use crate::report::{Table, verdict};
use crate::said::cpu_ms;

const SIZES: [u64; 2] = [100, 5_000];
/// What the longest list may add to what the module costs with the shortest, in what it costs without the module.
const BAR: f64 = 0.2;
/// Changes per batch.
const CHANGES: u64 = 20;
/// Batches per room, after one that is not counted.
const ROUNDS: u64 = 6;
/// Without the module, and with it.
const PLAIN: usize = 0;

fn name(size: u64) -> String {
    format!("thanes{size}")
}

async fn in_room(server: &Server, size: u64, chunk: &str) -> Result<u64> {
    let (muc, room) = (server.muc(), server.room(&name(size)));
    let room =
        format!("local room = prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{room}'); {chunk}");
    server.eval(&room).await?.as_u64().context("a number")
}

/// A room with so many entries on its list.
async fn open(server: &Server, size: u64, has_dmuc: bool) -> Result<Client> {
    let room = server.room(&name(size));
    let owner = server.client("crone1", &format!("at{size}")).await?;
    owner
        .create_room(&room, "firstcrone", &[("muc#roomconfig_persistentroom", "1")])
        .await?;
    let fill = format!(
        "for i = 1, {size} do room._affiliations['thane'..i..'@scotland.lit'] = 'member'; end return 1"
    );
    in_room(server, size, &fill).await?;
    if has_dmuc {
        owner
            .configure_room(&room, &[("muc#roomconfig_distributed", "1")])
            .await?;
        let (muc, end) = (server.muc(), Instant::now() + deadline());
        let stored = format!(
            "local stored = require 'core.storagemanager'.open('{muc}', 'dmuc'):get('{}'); \
             return stored and stored.written_by and 1 or 0",
            name(size)
        );
        while in_room(server, size, &stored).await? == 0 {
            ensure!(Instant::now() < end, "{room} is not stored");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    Ok(owner)
}

/// Milliseconds of CPU for one more, each in a turn of its own.
async fn batch(server: &Server, size: u64, round: u64) -> Result<f64> {
    let before = cpu_ms(server).await?;
    for number in 0..CHANGES {
        let user = format!("witch{round}-{number}@macbeth.lit");
        let change = format!("return room:set_affiliation(true, '{user}', 'member') and 1");
        ensure!(in_room(server, size, &change).await? == 1, "{user}");
    }
    Ok((cpu_ms(server).await? - before) / CHANGES as f64)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

pub async fn measure(versions: &[Version], bars: &mut Table) -> Result<String> {
    let mut table = Table::new(&[
        "one more affiliation",
        "entries",
        "plain",
        "distributed",
        "difference",
    ]);
    for version in versions {
        for storage in [Storage::Internal, Storage::Sqlite] {
            let fed = Federation::builder()
                .servers(2)
                .label("bench-listed")
                .version(*version)
                .storage(storage)
                .log_level("warn")
                .dmuc(true)
                .with_server(PLAIN, |server| server.dmuc = false)
                .start()
                .await?;
            let mut people = Vec::new();
            let mut measured = [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]];
            for (server, size) in [0, 1]
                .into_iter()
                .flat_map(|server| SIZES.map(|size| (server, size)))
            {
                people.push(open(&fed[server], size, server != PLAIN).await?);
            }
            for round in 0..=ROUNDS {
                for (at, size) in SIZES.into_iter().enumerate() {
                    for server in 0..2 {
                        let cost = batch(&fed[server], size, round).await?;
                        if round > 0 {
                            measured[at][server].push(cost);
                        }
                    }
                }
            }
            let mut costs = Vec::new();
            for (size, [plain, ours]) in SIZES.into_iter().zip(measured) {
                let difference = median(
                    ours.iter()
                        .zip(&plain)
                        .map(|(ours, plain)| ours - plain)
                        .collect(),
                );
                let (plain, ours) = (median(plain), median(ours));
                table.row([
                    format!("Prosody {version}, {storage:?}"),
                    size.to_string(),
                    format!("{plain:.2} ms"),
                    format!("{ours:.2} ms"),
                    format!("{difference:.2} ms"),
                ]);
                costs.push((plain, difference));
            }
            let ((_, short), (plain, long)) = (costs[0], costs[1]);
            let ratio = (long - short) / plain;
            bars.row([
                format!(
                    "one more affiliation: {} entries instead of {} add to what the module costs at most {BAR} of plain MUC: \
                     Prosody {version}, {storage:?}",
                    SIZES[1], SIZES[0]
                ),
                format!("{ratio:.2}"),
                verdict(ratio <= BAR),
            ]);
            fed.finish_fast()?;
        }
    }
    Ok(format!(
        "### One more affiliation\n\nCPU of the server for one more entry on a room's list, each in a turn of its own, with the module and \
         without it, in turn; the\nmedian of {ROUNDS} batches of {CHANGES}. Prosody itself stores the whole list with each change.\n\n{}",
        table.text()
    ))
}
