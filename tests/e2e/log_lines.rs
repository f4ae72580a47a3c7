//! What an administrator reads at the usual level: a line for each thing that happens to a link, whatever the number of rooms.

use anyhow::Result;
use dmuc_testbed::{Federation, Server, Version, deadline, on_every_version};

use crate::support::eventually;

const ROOMS: [&str; 6] = ["coven", "cave", "heath", "moor", "castle", "camp"];

/// The lines of the module since a mark that are not for debugging.
fn lines(server: &Server, mark: usize) -> Vec<String> {
    let of_module = format!("{}:dmuc", server.muc());
    let is_seen = |line: &String| line.contains(&of_module) && !line.contains("debug\t");
    server
        .log()
        .lines_since(mark)
        .into_iter()
        .filter(is_seen)
        .collect()
}

fn about(lines: &[String], text: &str) -> usize {
    lines.iter().filter(|line| line.contains(text)).count()
}

async fn founded(fed: &Federation) -> Result<dmuc_testbed::Client> {
    let crone = fed[0].client("crone1", "desktop").await?;
    for room in ROOMS {
        let config = [("muc#roomconfig_distributed", "1")];
        crone.create_room(&fed[0].room(room), "crone", &config).await?;
        let distributed = format!("{} is distributed now", fed[0].room(room));
        fed[0].wait_for_log(&distributed).await?;
    }
    Ok(crone)
}

async fn splits(version: Version) -> Result<()> {
    let fed = Federation::builder()
        .servers(2)
        .label("log-lines")
        .version(version)
        .dmuc(true)
        .muc_line("dmuc_room_id = \"name\"")
        .muc_line("dmuc_shadow_names = \"any\"")
        .muc_line("dmuc_ping_interval = 1")
        .muc_line("dmuc_link_timeout = 3")
        .start()
        .await?;
    let _crone = founded(&fed).await?;
    let witch = fed[1].client("somewitch", "mobile").await?;
    for room in ROOMS {
        let shadow = fed[1].room(room);
        fed[1]
            .wait_for_log(&format!("{shadow} is an instance of {} now", fed[0].room(room)))
            .await?;
        witch.join(&shadow, "witch").await?;
        eventually("she is seen", || async {
            Ok(crate::support::nicks(&fed, 0, &fed[0].room(room)).await? == ["crone", "witch"])
        })
        .await?;
    }
    let marks = [fed[0].log().mark(), fed[1].log().mark()];
    fed.isolate(1).await;
    for (server, mark) in marks.iter().enumerate() {
        let log = fed[server].log();
        log.wait_since(
            *mark,
            "The link to .* is down: 6 rooms, and 6 occupants there",
            deadline(),
        )
        .await?;
    }
    fed.heal_all().await;
    for (server, mark) in marks.iter().enumerate() {
        let log = fed[server].log();
        log.wait_since(*mark, "The link to .* is up again, for 6 rooms", deadline())
            .await?;
        let seen = lines(&fed[server], *mark);
        let of_link = about(&seen, "he link to");
        assert_eq!(of_link, 2, "{seen:#?}");
    }
    fed.finish().await
}

async fn refusals(version: Version) -> Result<()> {
    let fed = Federation::builder()
        .servers(2)
        .label("refusals")
        .version(version)
        .dmuc(true)
        .muc_line("dmuc_peers = {}")
        .start()
        .await?;
    let _crone = founded(&fed).await?;
    let marks = [fed[0].log().mark(), fed[1].log().mark()];
    let muc = fed[0].muc().to_owned();
    let peer = fed[1].muc().to_owned();
    fed[0]
        .eval(&format!(
            "require 'core.configmanager'.set('{muc}', 'dmuc_peers', {{ '{peer}' }}) return true"
        ))
        .await?;
    fed[0].reload_module(&muc, "dmuc").await?;
    let log = fed[0].log();
    log.wait_since(
        marks[0],
        &format!("{peer} refused instances of 6 rooms"),
        deadline(),
    )
    .await?;
    let seen = lines(&fed[0], marks[0]);
    assert_eq!(about(&seen, "refused"), 1, "{seen:#?}");
    // The other side: the first, and how many more.
    fed[1].unload_module(&peer, "dmuc").await?;
    let more = "5 more since the last such line: Refused <replicate/> from chat.shakespeare.lit";
    fed[1].log().wait_since(marks[1], more, deadline()).await?;
    let seen = lines(&fed[1], marks[1]);
    assert_eq!(about(&seen, "Refused <replicate/>"), 2, "{seen:#?}");
    fed.finish().await
}

on_every_version! {
    fn a_split_of_many_rooms_is_two_lines(version) {
        splits(version).await
    }
    fn refusals_of_one_kind_are_counted(version) {
        refusals(version).await
    }
}
