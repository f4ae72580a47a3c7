//! A split of a full room and its end, as people see them: the longest turn of each event loop.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Client, Federation, Server, Version, deadline};
use tokio::time::Instant;

use crate::instances_known;
use crate::report::{Table, verdict};

/// How many there are at each instance.
const PEOPLE: [usize; 2] = [50, 100];
/// The longest turn of an event loop, in CPU (DESIGN: bounds at scale).
const BAR_MS: f64 = 50.0;
const ROOM: &str = "coven";

async fn longest_turn_ms(server: &Server) -> Result<f64> {
    let told = server.eval("return longest_turn()").await?;
    ensure!(told["ticks"].as_u64() > Some(0), "no timer ran: {told}");
    Ok(told["most"].as_f64().context("no turn")? * 1e3)
}

/// Waits until everybody at one instance has seen so many presences of those at the other.
async fn all_saw(people: &[Client], count: usize) -> Result<()> {
    let end = Instant::now() + 8 * deadline();
    for client in people {
        let mut seen = 0;
        while seen < count {
            ensure!(
                Instant::now() < end,
                "{} has seen {seen} of {count}",
                client.jid()
            );
            seen += client.drain_matching(|s| s.name() == "presence").len();
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    Ok(())
}

async fn of(version: Version, people: usize) -> Result<[[f64; 2]; 2]> {
    let fed = Federation::builder()
        .servers(2)
        .label("bench-crowds")
        .version(version)
        .log_level("warn")
        .dmuc(true)
        .muc_line("dmuc_room_id = \"name\"")
        .muc_line("dmuc_shadow_names = \"any\"")
        .muc_line("dmuc_ping_interval = 1")
        .muc_line("dmuc_link_timeout = 3")
        .start()
        .await?;
    let owner = fed[0].client("crone1", "desktop").await?;
    let room = fed[0].room(ROOM);
    owner
        .create_room(&room, "firstcrone", &[("muc#roomconfig_distributed", "1")])
        .await?;
    instances_known(&fed, 0, &room).await?;
    let mut crowd = [Vec::new(), Vec::new()];
    for (at, clients) in crowd.iter_mut().enumerate() {
        for n in 0..people {
            let client = fed[at].client(&format!("thane{n}"), "castle").await?;
            client
                .join(&fed[at].room(ROOM), &format!("thane{n}at{at}"))
                .await?;
            clients.push(client);
        }
    }
    for client in crowd.iter().flatten() {
        client.sync().await?;
    }
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let mut turns = [[0.0; 2]; 2];
    for (step, turn) in turns.iter_mut().enumerate() {
        crowd.iter().flatten().for_each(|client| drop(client.drain()));
        for server in fed.servers() {
            server.eval("return measure_turns()").await?;
        }
        match step {
            0 => fed.link(0, 1).cut().await,
            _ => fed.link(0, 1).heal().await,
        }
        for clients in &crowd {
            all_saw(clients, people).await?;
        }
        for (at, turn) in turn.iter_mut().enumerate() {
            *turn = longest_turn_ms(&fed[at]).await?;
        }
    }
    fed.finish_fast()?;
    Ok(turns)
}

pub async fn measure(versions: &[Version], bars: &mut Table) -> Result<String> {
    let mut table = Table::new(&[
        "",
        "cut: one side",
        "cut: the other",
        "heal: one side",
        "heal: the other",
    ]);
    for version in versions {
        let mut longest: f64 = 0.0;
        for people in PEOPLE {
            let turns = of(*version, people).await?;
            longest = turns.iter().flatten().copied().fold(longest, f64::max);
            let cell = |ms: f64| format!("{ms:.0} ms");
            table.row([
                format!("Prosody {version}, {people} + {people}"),
                cell(turns[0][0]),
                cell(turns[0][1]),
                cell(turns[1][0]),
                cell(turns[1][1]),
            ]);
        }
        bars.row([
            format!("a split of a room with {0} + {0}: no turn of either server takes more than {BAR_MS} ms of CPU: Prosody {version}", PEOPLE[1]),
            format!("{longest:.0} ms"),
            verdict(longest <= BAR_MS),
        ]);
    }
    Ok(format!(
        "### A split of a full room\n\nThe link between two instances is cut, until everybody has seen that everybody at the other is out of reach, and then heals, until \
         they\nhave seen that they are not: the most CPU that each server took between two ticks of a timer of 5 ms.\n\n{}",
        table.text()
    ))
}
