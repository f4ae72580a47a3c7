//! What Prosody's statistics show, as whoever scrapes `/metrics` reads it: of a federation whose link is cut, over a reload, and with
//! two services on one server.

use anyhow::{Context, Result};
use dmuc_testbed::{Federation, Storage, Version, on_every_version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{MACBETH, distributed, eventually, three};

/// The page of a server.
async fn scraped(fed: &Federation, server: usize) -> Result<String> {
    let address = fed[server].address();
    let mut stream = TcpStream::connect((address, 5280)).await?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut page = String::new();
    stream.read_to_string(&mut page).await?;
    anyhow::ensure!(page.starts_with("HTTP/1.1 200"), "{page}");
    Ok(page)
}

/// The value of one line of it.
fn value(page: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let is_it = |line: &&str| {
        let rest = line.strip_prefix(&format!("prosody_mod_dmuc__{name}"));
        let is_named = rest.is_some_and(|rest| rest.starts_with(['{', ' ']));
        is_named
            && labels
                .iter()
                .all(|(key, value)| line.contains(&format!("{key}=\"{value}\"")))
    };
    let line = page.lines().find(is_it)?;
    line.rsplit(' ').next()?.parse().ok()
}

async fn shows(
    fed: &Federation,
    server: usize,
    name: &str,
    labels: &[(&str, &str)],
    expected: f64,
) -> Result<()> {
    let what = format!("{name}{labels:?} is {expected}");
    let waited = eventually(&what, || async {
        Ok(value(&scraped(fed, server).await?, name, labels) == Some(expected))
    });
    if let Err(error) = waited.await {
        let page = scraped(fed, server).await?;
        let lines: Vec<&str> = page.lines().filter(|line| line.contains(name)).collect();
        return Err(error.context(lines.join("\n")));
    }
    Ok(())
}

async fn metrics(version: Version, storage: Storage) -> Result<()> {
    let mut builder = three("metrics", version, storage)
        .muc_line("dmuc_ping_interval = 1")
        .muc_line("dmuc_link_timeout = 3")
        .global_line("statistics = \"internal\"")
        .global_line("statistics_interval = \"manual\"")
        .global_line("openmetrics_allow_cidr = \"127.0.0.0/8\"");
    for server in 0..3 {
        builder = builder.with_server(server, |spec| spec.modules.push("http_openmetrics".to_owned()));
    }
    let fed = builder.start().await?;
    let crone = distributed(&fed, &[]).await?;
    let witch = fed[1].client("somewitch", "mobile").await?;
    witch.join(MACBETH, "firstwitch").await?;
    let chat = ("host", "chat.shakespeare.lit");
    let peer = ("peer", "rooms.macbeth.lit");
    shows(&fed, 0, "link_state", &[chat, peer, ("state", "up")], 1.0).await?;
    shows(&fed, 0, "link_state", &[chat, peer, ("state", "down")], 0.0).await?;
    shows(&fed, 0, "link_rooms", &[chat, peer], 1.0).await?;
    shows(&fed, 0, "rooms", &[chat, ("role", "source")], 1.0).await?;
    shows(
        &fed,
        1,
        "rooms",
        &[("host", "rooms.macbeth.lit"), ("role", "shadow")],
        1.0,
    )
    .await?;
    shows(&fed, 0, "occupants", &[chat, ("where", "elsewhere")], 1.0).await?;
    crone.say("coven@chat.shakespeare.lit", "Thrice").await?;
    witch.expect_body("Thrice").await?;
    shows(&fed, 0, "log_messages", &[chat], 1.0).await?;
    shows(
        &fed,
        0,
        "stanzas_sent_total",
        &[chat, peer, ("kind", "message")],
        1.0,
    )
    .await?;
    let page = scraped(&fed, 0).await?;
    let spent = value(&page, "engine_time_seconds_total", &[chat]).context("engine time")?;
    assert!(spent > 0.0 && spent < 60.0, "{spent} s");
    assert!(value(&page, "log_memory_bytes", &[chat]).is_some_and(|bytes| bytes > 0.0));

    // A link that is cut is seen, and so is that it heals; whatever was reloaded meanwhile.
    fed.link(0, 1).cut().await;
    shows(&fed, 0, "link_state", &[chat, peer, ("state", "down")], 1.0).await?;
    shows(&fed, 0, "link_state", &[chat, peer, ("state", "up")], 0.0).await?;
    let age = value(&scraped(&fed, 0).await?, "link_state_age_seconds", &[chat, peer]);
    assert!(age.is_some_and(|age| age < 60.0), "{age:?}");
    fed[0].reload_module("chat.shakespeare.lit", "dmuc").await?;
    fed.link(0, 1).heal().await;
    shows(&fed, 0, "link_state", &[chat, peer, ("state", "up")], 1.0).await?;
    shows(&fed, 0, "rooms", &[chat, ("role", "source")], 1.0).await?;

    // A second service of the same server stands beside the first.
    let second = fed[0].eval(
        "local mm, cm = require'core.modulemanager', require'core.configmanager'; \
         cm.set('second.shakespeare.lit', 'component_module', 'muc'); cm.set('second.shakespeare.lit', 'dmuc_peers', { 'rooms.macbeth.lit' }); \
         cm.set('second.shakespeare.lit', 'modules_enabled', { 'dmuc', 'muc_mam' }); \
         require'core.hostmanager'.activate('second.shakespeare.lit'); return mm.is_loaded('second.shakespeare.lit', 'dmuc')",
    );
    assert_eq!(second.await?, true);
    shows(
        &fed,
        0,
        "rooms",
        &[("host", "second.shakespeare.lit"), ("role", "source")],
        0.0,
    )
    .await?;
    shows(&fed, 0, "rooms", &[chat, ("role", "source")], 1.0).await?;
    fed.finish().await
}

on_every_version! {
    fn statistics_show_links_and_rooms(version, storage = Internal) {
        metrics(version, storage).await
    }
}
