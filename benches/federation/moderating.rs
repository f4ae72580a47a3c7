//! What it costs to take one message away where much was said.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Federation, Storage, Version};

use crate::report::{Table, verdict};
use crate::said::{ROOM, cpu_ms, founded};

/// Fewer than the internal driver takes.
const STORED: u64 = 9_000;
/// In that of the same server without the module.
const BAR: f64 = 1.1;
/// How many are taken away, for one figure.
const TAKEN: usize = 5;

async fn one_ms(version: Version, storage: Storage, has_dmuc: bool) -> Result<f64> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let paths = format!(
        "plugin_paths = {{ {:?}; {:?}; \"/usr/lib/prosody/modules/mod_muc_moderation\" }}",
        root.join("tests/testbed/prosody"),
        root.join("target/plugin")
    );
    let fed = Federation::builder()
        .servers(1)
        .label("bench-moderating")
        .version(version)
        .storage(storage)
        .log_level("warn")
        .dmuc(has_dmuc)
        .global_line(&paths)
        .with_server(0, |server| server.muc_modules.push("muc_moderation".into()))
        .start()
        .await?;
    let server = &fed[0];
    let room = server.room(ROOM);
    let owner = founded(server, has_dmuc, STORED).await?;
    let ids = server
        .eval(&format!(
            "local store = require 'core.storagemanager'.open('{}', 'muc_log', 'archive')
             local ids = {{}}
             for id in store:find('{ROOM}', {{ limit = {TAKEN} }}) do ids[#ids + 1] = id end
             return ids",
            server.muc()
        ))
        .await?;
    let ids: Vec<&str> = ids
        .as_array()
        .context("no ids")?
        .iter()
        .filter_map(|id| id.as_str())
        .collect();
    ensure!(ids.len() == TAKEN, "{ids:?}");
    let before = cpu_ms(server).await?;
    for id in ids {
        let answer = owner
            .iq_xml(&format!(
                "<iq type='set' to='{room}'><apply-to xmlns='urn:xmpp:fasten:0' id='{id}'>\
                 <moderate xmlns='urn:xmpp:message-moderate:0'><retract xmlns='urn:xmpp:message-retract:0'/></moderate>\
                 </apply-to></iq>"
            ))
            .await?;
        ensure!(
            answer.attr("type") == Some("result"),
            "{}",
            dmuc_testbed::to_string(&answer)
        );
    }
    let took = cpu_ms(server).await? - before;
    fed.finish_fast()?;
    Ok(took / TAKEN as f64)
}

pub async fn measure(versions: &[Version], bars: &mut Table) -> Result<String> {
    let mut table = Table::new(&["one message taken away", "plain", "distributed"]);
    for version in versions {
        for storage in [Storage::Internal, Storage::Sqlite] {
            let plain = one_ms(*version, storage, false).await?;
            let ours = one_ms(*version, storage, true).await?;
            table.row([
                format!("Prosody {version}, {storage:?}"),
                format!("{plain:.1} ms"),
                format!("{ours:.1} ms"),
            ]);
            let ratio = ours / plain;
            bars.row([
                format!("{STORED} stored messages: taking one away costs at most {BAR} of plain MUC's CPU: Prosody {version}, {storage:?}"),
                format!("{ratio:.2}"),
                verdict(ratio <= BAR),
            ]);
        }
    }
    Ok(format!(
        "### Moderating\n\nCPU of the server from asking for the moderation of one of the oldest of {STORED} messages to the answer, \
         with mod_muc_moderation\nand mod_muc_mam. Mean of {TAKEN}.\n\n{}",
        table.text()
    ))
}
