//! One server is cut off from the other two in the middle of a conversation, in every way a link can fail; both sides talk
//! on; it heals.

use std::time::Duration;

use anyhow::{Result, ensure};
use dmuc_testbed::{Federation, Storage, Version, on_every_version};

use super::agreement::{agree, archive, one_history};
use super::evidence::{Line, at_once, late, once, same};
use super::hasty;
use super::scene::{ALL, Scene};

/// What happens to the links of one server.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Cut,
    Stall,
    Swallow,
    /// Only what it sends.
    CutOut,
    /// Only what it is sent.
    CutIn,
}

impl Fault {
    async fn strikes(self, fed: &Federation, server: usize) {
        for other in ALL.into_iter().filter(|other| *other != server) {
            match self {
                Fault::Cut => fed.link(server, other).cut().await,
                Fault::Stall => fed.link(server, other).stall().await,
                Fault::Swallow => fed.link(server, other).swallow().await,
                Fault::CutOut => fed.link_one_way(server, other).cut().await,
                Fault::CutIn => fed.link_one_way(other, server).cut().await,
            }
        }
    }
}

/// What everybody has in the archive before, then what comes after the last item of that: all, and nothing twice.
async fn paged_on(scene: &Scene<'_>, before: &[Vec<Line>]) -> Result<()> {
    for (witness, before) in scene.people.iter().zip(before) {
        let last = before.last().map(|line| line.id.clone());
        let mut paged = before.clone();
        paged.extend(archive(witness, last.as_deref()).await?);
        once(&witness.nick, &paged)?;
        let whole = archive(witness, None).await?;
        same("what was paged in two visits", &paged, "the archive", &whole)?;
    }
    Ok(())
}

async fn a_split(label: &str, fault: Fault, version: Version, storage: Storage) -> Result<()> {
    let fed = hasty(label, version, storage).start().await?;
    let scene = Scene::opens(&fed, "coven", &[]).await?;
    let mut said = scene.converse(2).await?;
    for witness in &scene.people {
        at_once(&witness.nick, &witness.live()?, &said)?;
    }

    fault.strikes(&fed, 1).await;
    // Nobody knows yet: what is said now may be on its way, or lost on it.
    said.extend(scene.talk(&ALL, 2).await?);
    scene.is_alone(1).await?;
    let there = scene.speaks(1, 4).await?;
    let here = scene.talk(&[0, 2], 4).await?;
    scene.hear(&[0, 2], &here).await?;
    for who in [0, 2] {
        let witness = &scene.people[who];
        at_once(&witness.nick, &witness.live()?, &here)?;
        let heard = witness.live()?.into_iter().any(|line| there.contains(&line.body));
        ensure!(!heard, "{} hears through {fault:?}", witness.nick);
    }
    let mut visits = Vec::new();
    for witness in &scene.people {
        visits.push(archive(witness, None).await?);
    }

    scene.heals().await?;
    scene.hear(&[1], &here).await?;
    scene.hear(&[0, 2], &there).await?;
    scene.hear(&ALL, &said).await?;
    late("firstwitch", &scene.people[1].live()?, &here)?;
    late("firstcrone", &scene.people[0].live()?, &there)?;
    late("faust", &scene.people[2].live()?, &there)?;
    at_once("firstwitch", &scene.people[1].live()?, &there)?;
    agree(&scene).await?;
    paged_on(&scene, &visits).await?;
    one_history(&scene).await?;

    let after = scene.converse(1).await?;
    for witness in &scene.people {
        at_once(&witness.nick, &witness.live()?, &after)?;
    }
    agree(&scene).await?;
    fed.finish().await
}

on_every_version! {
    fn what_is_said_during_a_cut_arrives_late_and_once(version) {
        a_split("cut", Fault::Cut, version, Storage::Internal).await
    }

    fn what_is_said_during_a_cut_arrives_late_and_once_with_sqlite(version) {
        a_split("cut", Fault::Cut, version, Storage::Sqlite).await
    }

    fn what_is_said_while_links_are_stalled_arrives_late_and_once(version, storage = Sqlite) {
        a_split("stall", Fault::Stall, version, storage).await
    }

    fn what_links_swallow_arrives_late_and_once(version, storage) {
        a_split("swallow", Fault::Swallow, version, storage).await
    }

    fn a_server_that_can_only_listen_is_cut_off_and_catches_up(version, storage = Sqlite) {
        a_split("cut-out", Fault::CutOut, version, storage).await
    }

    fn a_server_that_can_only_speak_is_cut_off_and_catches_up(version, storage) {
        a_split("cut-in", Fault::CutIn, version, storage).await
    }
}

async fn slow_links(version: Version, storage: Storage) -> Result<()> {
    let fed = hasty("slow", version, storage).start().await?;
    let scene = Scene::opens(&fed, "coven", &[]).await?;
    fed.delay_all(Duration::from_millis(600)).await;
    // A slow link is no split: nobody is told of one.
    let said = scene.converse(5).await?;
    for witness in &scene.people {
        at_once(&witness.nick, &witness.live()?, &said)?;
        ensure!(witness.room_lines().is_empty(), "{:?}", witness.room_lines());
    }

    fed.isolate(1).await;
    let mut said = scene.talk(&ALL, 2).await?;
    scene.is_alone(1).await?;
    said.extend(scene.talk(&ALL, 3).await?);
    for other in [0, 2] {
        fed.link(1, other).reopen().await;
    }
    scene.are_whole().await?;
    scene.hear(&ALL, &said).await?;
    // As many messages at the same moment as fit: they pass each other on the way.
    scene.converse(10).await?;
    agree(&scene).await?;
    fed.heal_all().await;
    one_history(&scene).await?;
    agree(&scene).await?;
    fed.finish().await
}

on_every_version! {
    fn links_of_600_ms_lose_and_double_nothing_also_across_a_cut(version, storage) {
        slow_links(version, storage).await
    }
}

/// Nothing happens to the links: what all tests here rely on holds without a fault as well.
async fn no_fault(version: Version, storage: Storage) -> Result<()> {
    let fed = hasty("no-fault", version, storage).start().await?;
    let scene = Scene::opens(&fed, "coven", &[]).await?;
    let before = scene.converse(20).await?;
    for witness in &scene.people {
        at_once(&witness.nick, &witness.live()?, &before)?;
        ensure!(witness.room_lines().is_empty(), "{:?}", witness.room_lines());
    }
    agree(&scene).await?;
    one_history(&scene).await?;
    scene.converse(1).await?;
    agree(&scene).await?;
    fed.finish().await
}

on_every_version! {
    fn without_a_fault_everybody_agrees(version, storage = Sqlite) {
        no_fault(version, storage).await
    }
}
