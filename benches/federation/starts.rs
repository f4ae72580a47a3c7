//! What a start costs with rooms in which much was said: until the server answers anybody, until somebody is in the room, and
//! until it is quiet again.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Federation, Storage, Version, deadline};
use tokio::time::{Instant, sleep};

use crate::report::{Table, verdict};
use crate::said::{NICK, ROOM, cpu_ms, founded};

const STORED: [u64; 2] = [100, 10_000];
/// In that of the same server without the module.
const BAR_START: f64 = 1.5;
const BAR_TURN_MS: f64 = 50.0;
/// CPU (ms) of a start.
struct Start {
    answers: f64,
    joined: f64,
    quiet: f64,
    longest_turn: f64,
}

async fn start(version: Version, storage: Storage, has_dmuc: bool, stored: u64) -> Result<Start> {
    let fed = Federation::builder()
        .servers(1)
        .label("bench-starts")
        .version(version)
        .storage(storage)
        .log_level("warn")
        .dmuc(has_dmuc)
        .start()
        .await?;
    let server = &fed[0];
    let room = server.room(ROOM);
    founded(server, has_dmuc, stored).await?;
    server.restart().await?;
    let answers = cpu_ms(server).await?;
    server.eval("return measure_turns()").await?;
    let owner = server.client("crone1", "desktop").await?;
    let joined = owner.join(&room, NICK).await?;
    ensure!(joined.history_bodies().len() == 20, "no history");
    let in_room = cpu_ms(server).await?;
    let end = Instant::now() + deadline();
    let mut quiet = in_room;
    loop {
        sleep(Duration::from_millis(1_000)).await;
        let now = cpu_ms(server).await?;
        if now - quiet < 20.0 {
            break;
        }
        ensure!(Instant::now() < end, "it does not come to rest");
        quiet = now;
    }
    let told = server.eval("return longest_turn()").await?;
    let longest_turn = told["most"].as_f64().context("no turn")? * 1e3;
    fed.finish_fast()?;
    Ok(Start {
        answers,
        joined: in_room,
        quiet,
        longest_turn,
    })
}

pub async fn measure(versions: &[Version], bars: &mut Table) -> Result<String> {
    let mut table = Table::new(&[
        "one room",
        "stored",
        "until it answers",
        "somebody is in the room",
        "until it is quiet",
        "longest turn after that it answers",
    ]);
    for version in versions {
        let storage = match version.is_0_12() {
            true => Storage::Internal,
            false => Storage::Sqlite,
        };
        for stored in STORED {
            let mut answers = Vec::new();
            for has_dmuc in [false, true] {
                let took = start(*version, storage, has_dmuc, stored).await?;
                let name = if has_dmuc { "distributed" } else { "plain" };
                table.row([
                    format!("{name}, Prosody {version}, {storage:?}"),
                    stored.to_string(),
                    format!("{:.0} ms", took.answers),
                    format!("{:.0} ms", took.joined),
                    format!("{:.0} ms", took.quiet),
                    format!("{:.0} ms", took.longest_turn),
                ]);
                answers.push(took);
            }
            let [plain, ours] = answers.as_slice() else {
                continue;
            };
            let ratio = ours.answers / plain.answers;
            bars.row([
                format!("{stored} stored messages: a start takes at most {BAR_START} of a plain one's CPU until it answers: Prosody {version}"),
                format!("{ratio:.2}"),
                verdict(ratio <= BAR_START),
            ]);
            let longest = ours.longest_turn;
            bars.row([
                format!("{stored} stored messages: no turn after that takes more than {BAR_TURN_MS} ms: Prosody {version}"),
                format!("{longest:.0} ms"),
                verdict(longest <= BAR_TURN_MS),
            ]);
        }
    }
    Ok(format!(
        "### Starting\n\nCPU of the server's process since it began: until it answers anybody, until somebody has joined the room and \
         has its history,\nand until nothing goes on any more; what is older has been read then.\n\n{}",
        table.text()
    ))
}
