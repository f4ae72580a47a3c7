//! A peer that accepts a connection and does not read from it costs bounded memory, and what it missed it gets later.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Federation, Storage, Version, body, on_every_version};

use crate::support::{Two, eventually, two, two_together};

const BOUND: u64 = 1_048_576;
/// What the operating system's own buffers take on both sides of a loopback connection, at most.
const MESSAGES: usize = 120;
const MESSAGE_BYTES: usize = 150_000;

/// Bytes in the write buffers of a server's connections to others. After a partial write over TLS Prosody 13 has the length of
/// its buffer as a float.
async fn unsent(fed: &Federation, server: usize) -> Result<u64> {
    let muc = fed[server].muc();
    fed[server]
        .eval(&format!(
            "local bytes = 0; for _, session in pairs(prosody.hosts['{muc}'].s2sout) do \
             local buffer = session.conn and session.conn.writebuffer; \
             if type(buffer) == 'string' or getmetatable(buffer) then bytes = bytes + #buffer; \
             else for _, text in ipairs(buffer or {{}}) do bytes = bytes + #text; end end end \
             return math.floor(bytes)"
        ))
        .await?
        .as_u64()
        .context("a number")
}

async fn silent_reader(version: Version, storage: Storage) -> Result<()> {
    let fed = two("unread-links", version, storage)
        .muc_line(&format!("dmuc_max_unsent = {BOUND}"))
        .muc_line("dmuc_ping_interval = 1")
        // Silence alone does not end it here.
        .muc_line("dmuc_link_timeout = 600")
        .start()
        .await?;
    let Two { rooms, crone, witch } = two_together(&fed).await?;

    let mark = fed[0].log().mark();
    fed.link(0, 1).stall().await;
    let long = "x".repeat(MESSAGE_BYTES);
    for number in 0..MESSAGES {
        let text = format!("{number} {long}");
        crone.say(&rooms[0], &text).await?;
        crone.expect_body(&text).await?;
        // What was said in a second may be there before it is looked at.
        let waiting = unsent(&fed, 0).await?;
        ensure!(waiting < BOUND + 16 * 1_048_576, "{waiting} bytes wait");
    }
    fed[0]
        .log()
        .wait_since(
            mark,
            "does not read what it is sent: [0-9]+ bytes wait",
            dmuc_testbed::deadline(),
        )
        .await?;
    eventually("nothing is kept for it", || async {
        Ok(unsent(&fed, 0).await? <= BOUND)
    })
    .await?;

    fed.link(0, 1).heal().await;
    let last = format!("{} ", MESSAGES - 1);
    witch
        .expect_within(
            "the last message",
            dmuc_testbed::scaled(std::time::Duration::from_secs(90)),
            |s| body(s).is_some_and(|text| text.starts_with(&last)),
        )
        .await?;
    fed.finish().await
}

on_every_version! {
    fn a_peer_that_does_not_read_is_cut_off_and_gets_it_later(version, storage) {
        silent_reader(version, storage).await
    }
}
