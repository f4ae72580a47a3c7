//! The corpus of the fuzzers is played again, and so are the stanzas of a federation that does everything once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

#[path = "../support/mod.rs"]
mod support;
mod targets;

use support::federation::Federation;
use support::names::*;
use targets::TARGETS;

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/corpus")
        .join(target)
}

/// The stanzas that each service gets while a room is made, joined, talked in, configured and split.
fn story() -> (Federation, Vec<(String, String)>) {
    let mut fed = Federation::of(&[CHAT, ROOMS, CONF]);
    fed.is_traced = true;
    let (crone, witch) = ("coven@chat.shakespeare.lit/foo", "coven@rooms.macbeth.lit/witch");
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    fed.join(crone, CRONE1);
    fed.join(witch, WITCH);
    fed.run();
    fed.say(crone, "When shall we three meet again?");
    fed.say(witch, "When the hurlyburly's done");
    fed.set_subject(crone, "Thunder");
    fed.update(witch, "<show>away</show>");
    fed.change_nick(witch, "somewitch");
    fed.run();
    fed.net
        .set_mode(&bare(CHAT), &bare(ROOMS), support::net::Mode::Swallows);
    fed.say(crone, "missed");
    fed.run_for(200_000);
    fed.net.heal();
    fed.run_for(200_000);
    let gets = |line: &String| {
        let (who, xml) = line.trim_start().split_once(' ')?.1.split_once(" gets ")?;
        Some((who.to_owned(), xml.to_owned()))
    };
    let gotten = fed.trace.iter().filter_map(gets).collect();
    (fed, gotten)
}

#[test]
fn what_a_federation_sends_breaks_no_promise() {
    let (fed, story) = story();
    assert!(story.len() > 50, "{}", story.len());
    for (_, xml) in &story {
        targets::wire(xml.as_bytes());
    }
    let to_rooms = |(who, xml): &(String, String)| (who == ROOMS).then(|| xml.clone());
    let lines: Vec<String> = story.iter().filter_map(to_rooms).collect();
    targets::peer(lines.join("\n").as_bytes());
    let stored =
        |(service, room): &(&str, &str)| fed.host(service).engine.snapshot(&bare(room)).unwrap().to_xml();
    let stored: Vec<String> = [(CHAT, COVEN), (ROOMS, COVEN_AT_ROOMS), (CONF, COVEN_AT_CONF)]
        .iter()
        .map(stored)
        .collect();
    stored.iter().for_each(|xml| targets::snapshot(xml.as_bytes()));
    // Seeds for the fuzzers.
    if std::env::var_os("DMUC_FUZZ_SEEDS").is_some() {
        for (n, (_, xml)) in story.iter().enumerate().step_by(3) {
            fs::write(corpus("wire").join(format!("story-{n}")), xml).unwrap();
        }
        for (n, xml) in stored.iter().enumerate() {
            fs::write(corpus("snapshot").join(format!("story-{n}")), xml).unwrap();
        }
        fs::write(corpus("peer").join("story"), lines.join("\n+1000\n")).unwrap();
    }
}

#[test]
fn every_input_that_was_found_once_breaks_no_promise_now() {
    for (name, target) in TARGETS {
        let files = fs::read_dir(corpus(name)).unwrap();
        let paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        assert!(!paths.is_empty(), "{name} has no corpus");
        for path in paths {
            println!("{}", path.display());
            target(&fs::read(&path).unwrap());
        }
    }
}
