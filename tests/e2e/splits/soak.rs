//! Random faults on real servers for some time. `make soak` runs it for as long as wanted; `make test` for a moment.

use std::fmt::Write as _;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use anyhow::{Context, Result};
use dmuc_testbed::{Federation, Storage, Version};
use tokio::time::Instant;

use super::agreement::{agree, archive, begin_again};
use super::evidence::has_all;
use super::hasty;
use super::scene::{ALL, NICKS, Scene};

/// A sequence of numbers that a seed decides (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % sides.max(1) as u64) as usize
    }

    /// Two different servers.
    fn link(&mut self) -> (usize, usize) {
        let from = self.roll(3);
        (from, (from + 1 + self.roll(2)) % 3)
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Cut(usize, usize),
    CutOneWay(usize, usize),
    Stall(usize, usize),
    Swallow(usize, usize),
    Slow(usize, usize),
    Heal(usize, usize),
    Kill(usize),
    Restart(usize),
    Reload(usize),
    Nick(usize),
    Visit(usize),
    Subject(usize),
    Name(usize),
    Affiliation(usize),
    /// Time passes, in milliseconds.
    Pass(u64),
}

fn step(dice: &mut Dice) -> Step {
    let (a, b) = dice.link();
    match dice.roll(23) {
        0 | 1 => Step::Cut(a, b),
        2 => Step::CutOneWay(a, b),
        3 | 4 => Step::Stall(a, b),
        5 | 6 => Step::Swallow(a, b),
        7 => Step::Slow(a, b),
        8 | 9 => Step::Heal(a, b),
        10 => Step::Kill(a),
        11 => Step::Restart(a),
        12 => Step::Reload(a),
        13 => Step::Nick(a),
        14 => Step::Visit(a),
        // Owners: one at the source, one at a shadow.
        15 => Step::Subject(a % 2),
        16 => Step::Name(a % 2),
        17 => Step::Affiliation(a % 2),
        _ => Step::Pass(200 + dice.roll(5000) as u64),
    }
}

/// One round: faults and what people do meanwhile.
struct Round {
    number: usize,
    steps: Vec<(Step, [usize; 3])>,
}

impl Round {
    fn of(dice: &mut Dice, number: usize) -> Round {
        let steps = (0..4 + dice.roll(6)).map(|_| (step(dice), ALL.map(|_| dice.roll(4))));
        Round {
            number,
            steps: steps.collect(),
        }
    }

    async fn runs(&self, scene: &mut Scene<'_>) -> Result<()> {
        let mut promised = Vec::new();
        for (at, (step, lines)) in self.steps.iter().enumerate() {
            let unique = format!("{}.{at}", self.number);
            take(scene, *step, &unique)
                .await
                .with_context(|| format!("step {at}: {step:?}"))?;
            for (who, count) in lines.iter().enumerate() {
                let said = scene.speaks(who, *count).await;
                promised.extend(said.with_context(|| format!("talking after step {at}: {step:?}"))?);
            }
        }
        scene.fed.heal_all().await;
        scene.are_whole().await?;
        scene.all_here().await?;
        promised.extend(scene.converse(1).await?);
        agree(scene).await?;
        for witness in &scene.people {
            let archive = archive(witness, witness.since.as_deref()).await?;
            has_all(&witness.nick, &archive, &promised)?;
        }
        begin_again(scene).await
    }
}

async fn take(scene: &mut Scene<'_>, step: Step, unique: &str) -> Result<()> {
    let fed = scene.fed;
    match step {
        Step::Cut(a, b) => fed.link(a, b).cut().await,
        Step::CutOneWay(a, b) => fed.link_one_way(a, b).cut().await,
        Step::Stall(a, b) => fed.link(a, b).stall().await,
        Step::Swallow(a, b) => fed.link(a, b).swallow().await,
        Step::Slow(a, b) => fed.link(a, b).delay(Duration::from_millis(150)).await,
        Step::Heal(a, b) => fed.link(a, b).heal().await,
        Step::Kill(server) => {
            fed[server].crash().await?;
            scene.returns(server).await?;
        }
        Step::Restart(server) => {
            fed[server].restart().await?;
            scene.returns(server).await?;
        }
        Step::Reload(server) => fed[server].reload_module(fed[server].muc(), "dmuc").await?,
        Step::Nick(who) => {
            let nick = format!("{} {unique}", NICKS[who]);
            let witness = &mut scene.people[who];
            witness.change_nick(&witness.room, &nick).await?;
            witness.person.nick = nick;
        }
        Step::Visit(server) => {
            let visitor = scene
                .enters(server, "visitor", unique, &format!("visitor {unique}"))
                .await?;
            visitor
                .say(&visitor.room, &format!("visitor {unique} was here"))
                .await?;
            visitor.leave(&visitor.room, &visitor.nick).await?;
            visitor.close().await?;
        }
        Step::Subject(who) => {
            let witness = &scene.people[who];
            // On a link that has died and is not known to be dead, the wish may fail.
            let subject = format!("Subject {unique}");
            let id = witness.set_subject(&witness.room, &subject).await?;
            witness.may_fail(&id);
        }
        Step::Name(who) => {
            let witness = &scene.people[who];
            let name = [("muc#roomconfig_roomname", &*format!("Room {unique}"))];
            // While its answer is on a link that has just died there may be none: an error is fine, what counts is agreement.
            witness.configure_room(&witness.room, &name).await.ok();
        }
        Step::Affiliation(who) => {
            let witness = &scene.people[who];
            let jid = format!("person{}@elsewhere.lit", unique.len() % 3);
            let affiliation =
                ["member", "outcast", "none"][unique.bytes().map(usize::from).sum::<usize>() % 3];
            witness
                .set_affiliation(&witness.room, &jid, affiliation)
                .await
                .ok();
        }
        // Not a wait for something: how long a fault lasts is part of it.
        Step::Pass(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
    }
    Ok(())
}

async fn start() -> Result<Federation> {
    hasty("soak", Version::oldest(), Storage::Internal)
        .log_level("info")
        .with_server(1, |s| {
            s.version = Version::newest();
            s.storage = Storage::Sqlite;
        })
        .with_server(2, |s| s.storage = Storage::Sqlite)
        .start()
        .await
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.trim().parse().ok()
}

#[tokio::test]
async fn random_faults_leave_everybody_in_agreement() -> Result<()> {
    // Without SOAK_SECONDS this is one of many tests: always the same, and short.
    let (length, seed) = match number("SOAK_SECONDS") {
        Some(seconds) => (
            Duration::from_secs(seconds),
            number("SOAK_SEED").unwrap_or_else(|| RandomState::new().hash_one(0)),
        ),
        None => (Duration::from_secs(10), number("SOAK_SEED").unwrap_or(281)),
    };
    let replay = format!("make soak SOAK_SEED={seed} SOAK_SECONDS={}", length.as_secs());
    println!("soak: {replay}");
    let fed = start().await?;
    let mut scene = Scene::opens(&fed, "coven", &[]).await?;
    let crone = &scene.people[0];
    crone
        .set_affiliation(&crone.room, scene.people[1].bare_jid(), "owner")
        .await?;
    agree(&scene).await?;
    begin_again(&mut scene).await?;
    let mut dice = Dice(seed);
    let begin = Instant::now();
    let mut number = 0;
    while number == 0 || begin.elapsed() < length {
        number += 1;
        let round = Round::of(&mut dice, number);
        let mut schedule = String::new();
        for (step, lines) in &round.steps {
            // Writing to a string does not fail.
            let _ = write!(schedule, " {step:?}{lines:?}");
        }
        println!(
            "soak: {:>4} s, round {number}:{schedule}",
            begin.elapsed().as_secs()
        );
        round
            .runs(&mut scene)
            .await
            .with_context(|| format!("round {number} of {replay}:{schedule}"))?;
    }
    println!("soak: {number} rounds in {} s", begin.elapsed().as_secs());
    fed.finish().await
}

#[test]
fn a_seed_always_gives_the_same_schedule() {
    let rounds = |seed| {
        let mut dice = Dice(seed);
        let rounds = (0..50).map(|number| Round::of(&mut dice, number).steps);
        rounds.collect::<Vec<_>>()
    };
    assert_eq!(rounds(281), rounds(281));
    assert_ne!(rounds(281), rounds(282));
    let all = rounds(281).concat();
    for wanted in [
        Step::Kill as fn(usize) -> Step,
        Step::Restart,
        Step::Reload,
        Step::Nick,
        Step::Visit,
    ] {
        assert!(
            ALL.iter()
                .all(|server| all.iter().any(|(step, _)| *step == wanted(*server)))
        );
    }
}
