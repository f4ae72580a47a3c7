//! What it costs to store a message, in a running server: the log's append and, for scale, that of mod_muc_mam.

use anyhow::{Context, Result};
use dmuc_testbed::{Federation, Storage, Version};

use crate::message;
use crate::report::Table;

const APPENDS: usize = 500;

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

pub async fn measure(versions: &[Version]) -> Result<String> {
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
         mod_muc_mam's archive where\nthat is on. Mean of {APPENDS} appends of one message in a running server.\n\n{}",
        table.text()
    ))
}
