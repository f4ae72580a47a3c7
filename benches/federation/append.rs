//! What it costs to store a message, in a running server: the log's append and, for scale, that of mod_muc_mam.

use anyhow::{Context, Result};
use dmuc_testbed::{Federation, Server, Storage, Version};

use crate::message;
use crate::report::Table;
use crate::said::{NICK, ROOM, founded};

const APPENDS: usize = 500;
/// Messages per batch, and batches per server, after one that is not counted.
const SAID: usize = 200;
const ROUNDS: usize = 7;

/// Appends to a room of its own: milliseconds and CPU seconds for all of them.
fn chunk(muc: &str, store: &str) -> String {
    let message = message(
        "bench@chat.shakespeare.lit",
        "6f1e9c5e-7d0f-4d3c-9d53-0b8a5a3b1c11",
    );
    format!(
        "local parsed = assert(require 'util.xml'.parse([[{message}]]))
         local store = require 'core.storagemanager'.open('{muc}', '{store}', 'archive')
         local now = require 'util.time'.now
         local function append(count)
             for _ = 1, count do assert(store:append('bench-{store}', nil, parsed, math.floor(now()), 'dmuc')) end
         end
         append(50)
         local wall, cpu = now(), os.clock()
         append({APPENDS})
         return {{ wall = now() - wall, cpu = os.clock() - cpu }}"
    )
}

/// Microseconds for one message that is said by the only occupant: CPU, and the clock.
async fn batch(server: &Server) -> Result<[f64; 2]> {
    let (muc, room) = (server.muc(), server.room(ROOM));
    let took = server
        .eval(&format!(
            "local st, now = require 'util.stanza', require 'util.time'.now
             local room = prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{room}')
             local wall, cpu = now(), os.clock()
             for i = 1, {SAID} do
                 room:broadcast_message(st.message({{ type = 'groupchat', id = 'm'..i, from = '{room}/{NICK}', to = '{room}' }})
                     :text_tag('body', ('When shall we three meet again? '):rep(8)))
             end
             return {{ cpu = os.clock() - cpu, wall = now() - wall }}"
        ))
        .await?;
    let us = |name: &str| {
        let seconds = took[name].as_f64().context("no time")?;
        anyhow::Ok(seconds * 1e6 / SAID as f64)
    };
    Ok([us("cpu")?, us("wall")?])
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Without the module and with it, in turn: the medians of CPU and clock of each.
async fn said(version: Version, storage: Storage) -> Result<[[f64; 2]; 2]> {
    let fed = Federation::builder()
        .servers(2)
        .label("bench-said")
        .version(version)
        .storage(storage)
        .log_level("warn")
        .dmuc(true)
        .with_server(0, |server| server.dmuc = false)
        .start()
        .await?;
    let mut people = Vec::new();
    for (server, has_dmuc) in [(0, false), (1, true)] {
        people.push(founded(&fed[server], has_dmuc, 0).await?);
    }
    let mut rows: [[Vec<f64>; 2]; 2] = Default::default();
    for round in 0..=ROUNDS {
        let (plain, ours) = (batch(&fed[0]).await?, batch(&fed[1]).await?);
        for at in 0..2 {
            if round > 0 {
                rows[0][at].push(plain[at]);
                rows[1][at].push(ours[at]);
            }
        }
    }
    fed.finish_fast()?;
    Ok(rows.map(|row| row.map(median)))
}

pub async fn measure(versions: &[Version]) -> Result<String> {
    let mut both = Table::new(&[
        "a message, said and stored",
        "storage",
        "plain: CPU",
        "distributed: CPU",
        "plain: stands still",
        "distributed: stands still",
    ]);
    for version in versions {
        for storage in [Storage::Internal, Storage::Sqlite] {
            let [plain, ours] = said(*version, storage).await?;
            both.row([
                format!("Prosody {version}"),
                format!("{storage:?}"),
                format!("{:.0} us", plain[0]),
                format!("{:.0} us", ours[0]),
                format!("{:.0} us", plain[1]),
                format!("{:.0} us", ours[1]),
            ]);
        }
    }
    let mut table = Table::new(&["one append", "storage", "CPU", "the event loop stands still for"]);
    for version in versions {
        for storage in [Storage::Internal, Storage::Sqlite] {
            let fed = Federation::builder()
                .servers(1)
                .label("bench-append")
                .version(*version)
                .storage(storage)
                .log_level("warn")
                .dmuc(true)
                .start()
                .await?;
            for (store, what) in [("dmuc_log", "the log"), ("muc_log", "mod_muc_mam")] {
                let took = fed[0].eval(&chunk(fed[0].muc(), store)).await?;
                let us = |name: &str| {
                    let seconds = took[name].as_f64().context("no time")?;
                    anyhow::Ok(format!("{:.1} us", seconds * 1e6 / APPENDS as f64))
                };
                table.row([
                    format!("{what}, Prosody {version}"),
                    format!("{storage:?}"),
                    us("cpu")?,
                    us("wall")?,
                ]);
            }
            fed.finish_fast()?;
        }
    }
    Ok(format!(
        "### Storing a message\n\nEvery kept message of a distributed room is appended to its log before anybody sees it, and to \
         mod_muc_mam's archive where\nthat is on. Mean of {APPENDS} appends of one message in a running server; and a message in a room\nof one, with the module and without it in \
         turn, the median of {ROUNDS} batches of {SAID}: on SQL, log and archive are one transaction.\n\n{}\n{}",
        table.text(),
        both.text()
    ))
}
