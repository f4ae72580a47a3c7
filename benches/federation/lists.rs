//! Thousands of affiliations put into a room at once: the longest turn of each event loop.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Federation, Server, Storage, Version, deadline};
use tokio::time::Instant;

use crate::instances_known;
use crate::report::{Table, verdict};

const ENTRIES: u64 = 5_000;
/// The longest turn of an event loop, in CPU (DESIGN: bounds at scale).
const BAR_MS: f64 = 50.0;
const ROOM: &str = "coven";

async fn in_room(server: &Server, chunk: &str) -> Result<u64> {
    let (muc, room) = (server.muc(), server.room(ROOM));
    let room =
        format!("local room = prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{room}'); {chunk}");
    server.eval(&room).await?.as_u64().context("a number")
}

async fn has_list(server: &Server) -> Result<()> {
    let end = Instant::now() + 4 * deadline();
    let count = "local count = 0; for _ in pairs(room and room._affiliations or {}) do count = count + 1; end return count";
    while in_room(server, count).await? <= ENTRIES {
        ensure!(Instant::now() < end, "the list has not arrived");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    Ok(())
}

async fn longest_turn_ms(server: &Server) -> Result<f64> {
    let told = server.eval("return longest_turn()").await?;
    ensure!(told["ticks"].as_u64() > Some(0), "no timer ran: {told}");
    Ok(told["most"].as_f64().context("no turn")? * 1e3)
}

pub async fn measure(versions: &[Version], bars: &mut Table) -> Result<String> {
    let mut table = Table::new(&["5,000 affiliations", "longest turn: from", "longest turn: to"]);
    for version in versions {
        let storage = match version.is_0_12() {
            true => Storage::Internal,
            false => Storage::Sqlite,
        };
        let fed = Federation::builder()
            .servers(2)
            .label("bench-lists")
            .version(*version)
            .storage(storage)
            .log_level("warn")
            .dmuc(true)
            .muc_line("dmuc_room_id = \"name\"")
            .muc_line("dmuc_shadow_names = \"any\"")
            .start()
            .await?;
        let room = fed[0].room(ROOM);
        let owner = fed[0].client("crone1", "desktop").await?;
        owner.create_room(&room, "firstcrone", &[]).await?;
        let fill = format!(
            "for i = 1, {ENTRIES} do room._affiliations['thane'..i..'@scotland.lit'] = 'member'; end return 1"
        );
        in_room(&fed[0], &fill).await?;
        for server in fed.servers() {
            server.eval("return measure_turns()").await?;
        }
        owner
            .configure_room(&room, &[("muc#roomconfig_distributed", "1")])
            .await?;
        instances_known(&fed, 0, &room).await?;
        has_list(&fed[1]).await?;
        let turns = [longest_turn_ms(&fed[0]).await?, longest_turn_ms(&fed[1]).await?];
        table.row([
            format!("Prosody {version}, {storage:?}"),
            format!("{:.0} ms", turns[0]),
            format!("{:.0} ms", turns[1]),
        ]);
        let longest = turns[0].max(turns[1]);
        bars.row([
            format!("{ENTRIES} affiliations: no turn of either server takes more than {BAR_MS} ms of CPU: Prosody {version}"),
            format!("{longest:.0} ms"),
            verdict(longest <= BAR_MS),
        ]);
        fed.finish_fast()?;
    }
    Ok(format!(
        "### A long list\n\nA room with {ENTRIES} affiliations becomes distributed: the most CPU that the source's server, and \
         its peer's, took between two\nticks of a timer of 5 ms.\n\n{}",
        table.text()
    ))
}
