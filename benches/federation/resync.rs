//! A thousand messages missed between two real servers: bytes, time, and the longest turn of each event loop.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Client, Count, Federation, Storage, Version, body, scaled};
use tokio::time::Instant;

use crate::report::{Table, verdict};
use crate::{everybody_has, instances_known, say};

const MISSED: usize = 1_000;
/// Plaintext bytes, in those of the same messages sent live.
const BAR_RATIO: f64 = 1.15;
const ROOM: &str = "coven";
/// A link is probed after 2, 4, 8 … s and some jitter.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// What crossed both directions of the link, and the longest turn of each server, in CPU.
#[derive(Debug, Clone, Copy)]
struct Load {
    plain: Count,
    encrypted: u64,
    turn_ms: [f64; 2],
}

struct Pair {
    fed: Federation,
    speaker: Client,
    hearer: Client,
    rooms: [String; 2],
}

impl Pair {
    async fn start(version: Version, storage: Storage) -> Result<Pair> {
        let fed = Federation::builder()
            .servers(2)
            .label("bench-resync")
            .version(version)
            .storage(storage)
            .log_level("warn")
            .dmuc(true)
            .muc_line("dmuc_room_id = \"name\"")
            .muc_line("dmuc_shadow_names = \"any\"")
            .muc_line("dmuc_ping_interval = 1")
            .muc_line("dmuc_link_timeout = 3")
            .start()
            .await?;
        let rooms = [fed[0].room(ROOM), fed[1].room(ROOM)];
        let speaker = fed[0].client("crone1", "desktop").await?;
        speaker
            .create_room(&rooms[0], "firstcrone", &[("muc#roomconfig_distributed", "1")])
            .await?;
        for (server, room) in rooms.iter().enumerate() {
            instances_known(&fed, server, room).await?;
        }
        let hearer = fed[1].client("somewitch", "mobile").await?;
        hearer.join(&rooms[1], "firstwitch").await?;
        let first = say(&speaker, &rooms[0]).await?;
        everybody_has([&speaker, &hearer], &first).await?;
        Ok(Pair {
            fed,
            speaker,
            hearer,
            rooms,
        })
    }

    /// Begins to measure.
    async fn begin(&self) -> Result<u64> {
        self.fed.reset_stats().await?;
        for server in self.fed.servers() {
            server.eval("return measure_turns()").await?;
        }
        Ok(self.fed.link(0, 1).bytes())
    }

    async fn end(&self, bytes_before: u64) -> Result<Load> {
        let mut turn_ms = [0.0; 2];
        for (turn, server) in turn_ms.iter_mut().zip(self.fed.servers()) {
            let told = server.eval("return longest_turn()").await?;
            ensure!(told["ticks"].as_u64() > Some(0), "no timer ran: {told}");
            *turn = told["most"].as_f64().context("no turn")? * 1e3;
        }
        let links = self.fed.stats().await?.links;
        let plain = links
            .values()
            .fold(Count::default(), |sum, link| sum + link.caused());
        let encrypted = self.fed.link(0, 1).bytes() - bytes_before;
        Ok(Load {
            plain,
            encrypted,
            turn_ms,
        })
    }

    /// Says everything, as fast as the server takes it. Returns the first and the last id.
    async fn say_all(&self) -> Result<(String, String)> {
        let first = say(&self.speaker, &self.rooms[0]).await?;
        let mut last = first.clone();
        for _ in 1..MISSED {
            last = say(&self.speaker, &self.rooms[0]).await?;
        }
        reaches(&self.speaker, &last).await?;
        Ok((first, last))
    }

    /// Waits until both are told of the beginning or the end of the split.
    async fn are_told(&self, what: &str) -> Result<()> {
        for client in [&self.speaker, &self.hearer] {
            let is_it = |s: &dmuc_testbed::Element| body(s).is_some_and(|text| text.contains(what));
            client.expect_within(what, scaled(PATIENCE), is_it).await?;
        }
        Ok(())
    }
}

/// Waits until somebody has a message. A thousand take a while where each is synced to a disk.
async fn reaches(client: &Client, id: &str) -> Result<()> {
    let is_it = |s: &dmuc_testbed::Element| s.name() == "message" && s.attr("id") == Some(id);
    client
        .expect_within(&format!("the message {id}"), scaled(PATIENCE), is_it)
        .await
        .map(drop)
}

pub async fn measure(versions: &[Version], bars: &mut Table) -> Result<String> {
    let mut table = Table::new(&[
        "1,000 messages",
        "stanzas",
        "bytes",
        "encrypted",
        "seconds",
        "longest turn: from",
        "longest turn: to",
    ]);
    let mut probes = Vec::new();
    for version in versions {
        let storage = match version.is_0_12() {
            true => Storage::Internal,
            false => Storage::Sqlite,
        };
        let pair = Pair::start(*version, storage).await?;
        let before = pair.begin().await?;
        let start = Instant::now();
        let (_, last) = pair.say_all().await?;
        reaches(&pair.hearer, &last).await?;
        let live_s = start.elapsed().as_secs_f64();
        let live = pair.end(before).await?;
        pair.hearer.drain();

        pair.fed.link(0, 1).cut().await;
        pair.are_told("is interrupted").await?;
        let (first, last) = pair.say_all().await?;
        let before = pair.begin().await?;
        pair.fed.link(0, 1).heal().await;
        let healed = Instant::now();
        reaches(&pair.hearer, &first).await?;
        let found = Instant::now();
        reaches(&pair.hearer, &last).await?;
        let resync_s = found.elapsed().as_secs_f64();
        pair.are_told("is back").await?;
        let resync = pair.end(before).await?;
        let more = pair.hearer.drain();
        let heard = more.iter().filter(|s| body(s).is_some()).count();
        ensure!(
            heard == MISSED - 2,
            "{heard} messages between the first and the last"
        );

        probes.push(format!("{:.1} s", (found - healed).as_secs_f64()));
        for (name, load, seconds) in [("live", live, live_s), ("resync", resync, resync_s)] {
            table.row([
                format!("{name}, Prosody {version}, {storage:?}"),
                load.plain.stanzas.to_string(),
                load.plain.bytes.to_string(),
                load.encrypted.to_string(),
                format!("{seconds:.2}"),
                format!("{:.0} ms", load.turn_ms[0]),
                format!("{:.0} ms", load.turn_ms[1]),
            ]);
        }
        let ratio = resync.plain.bytes as f64 / live.plain.bytes as f64;
        bars.row([
            format!("{MISSED} messages missed between two servers take at most {BAR_RATIO} of the same sent live: Prosody {version}"),
            format!("{ratio:.3}"),
            verdict(ratio <= BAR_RATIO),
        ]);
        pair.fed.finish_fast()?;
    }
    Ok(format!(
        "### A thousand messages missed\n\nTwo servers, one client at each. Live: said as fast as the server takes it, while the \
         link is up. Resync: said while it was\ncut, heard after the heal; seconds from the first missed message to the last (the \
         link itself was found open {} after\nthe heal). Bytes: stanzas in both directions without heartbeats, and what the proxies \
         on the link passed on, with TLS,\nits handshakes and heartbeats. Longest turn: the most CPU that the \
         server that was asked, and the one that\nasked, took between two ticks of a timer of 5 ms.\n\n{}",
        probes.join(" and "),
        table.text()
    ))
}
