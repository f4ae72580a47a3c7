//! A resync of several pages that is cut in the middle, by the death of either side.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Storage, Version, on_every_version};

use super::agreement::{agree, archive};
use super::evidence::has_all;
use super::scene::{NICKS, Scene, USERS};
use super::{MAX_PAGE, noticing, patience};

/// More than seven pages of 200.
const MISSED: usize = 1500;

/// How the side that dies does so.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Restart,
    Kill,
}

async fn in_the_middle(
    label: &str,
    victim: usize,
    end: End,
    version: Version,
    storage: Storage,
) -> Result<()> {
    // A server that writes a page to a slow disk answers nothing meanwhile.
    let fed = noticing(label, Duration::from_secs(15), version, storage)
        .log_level("info")
        .start()
        .await?;
    let mut scene = Scene::opens(&fed, "coven", &[]).await?;
    for witness in &mut scene.people {
        witness.page = MAX_PAGE;
    }
    let mut promised = scene.converse(1).await?;
    fed.isolate(1).await;
    scene.is_alone(1).await?;
    let missed = scene.speaks(0, MISSED).await?;
    promised.extend(missed.iter().cloned());
    promised.extend(scene.speaks(1, 3).await?);

    // Slow enough for the middle to be hit: each page takes two of these.
    for other in [0, 2] {
        fed.link(1, other).delay(Duration::from_millis(100)).await;
        fed.link(1, other).reopen().await;
    }
    let witch = &scene.people[1];
    let arrived = |witch: &super::scene::Witness| -> Result<usize> {
        let live = witch.live()?;
        Ok(live.iter().filter(|line| line.nick == NICKS[0]).count())
    };
    let before = arrived(witch)?;
    let says = format!("{} says ", USERS[0]);
    witch
        .until("some pages have arrived", patience(), |all| {
            let crone = all
                .iter()
                .filter(|s| dmuc_testbed::body(s).is_some_and(|text| text.starts_with(&says)));
            crone.count() > before + 250
        })
        .await?;
    match end {
        End::Restart => fed[victim].stop().await?,
        End::Kill => fed[victim].kill().await?,
    }
    let reached = arrived(&scene.people[1])? - before;
    ensure!(
        reached < MISSED,
        "all {reached} had arrived: this was not the middle"
    );
    fed[victim].start().await?;
    scene.returns(victim).await?;
    scene.are_whole().await?;
    if victim != 1 {
        scene.hears(1, &promised).await?;
    }
    fed.heal_all().await;
    agree(&scene).await.context("after the resync")?;
    for witness in &scene.people {
        has_all(&witness.nick, &archive(witness, None).await?, &promised)?;
    }
    scene.converse(1).await?;
    agree(&scene).await?;
    fed.finish().await
}

on_every_version! {
    fn a_resync_goes_on_where_it_was_when_the_one_who_catches_up_is_killed(version, storage) {
        in_the_middle("mid-shadow", 1, End::Kill, version, storage).await
    }

    fn a_resync_goes_on_where_it_was_when_the_one_who_catches_up_restarts(version, storage = Sqlite) {
        in_the_middle("mid-restart", 1, End::Restart, version, storage).await
    }

    fn a_resync_goes_on_where_it_was_when_the_one_who_tells_is_killed(version, storage = Sqlite) {
        in_the_middle("mid-source", 0, End::Kill, version, storage).await
    }

    fn a_resync_goes_on_where_it_was_when_the_one_who_tells_restarts(version, storage = Sqlite) {
        in_the_middle("mid-source", 0, End::Restart, version, storage).await
    }
}
