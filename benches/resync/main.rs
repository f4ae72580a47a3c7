//! What a split costs when it is over, and links when nothing happens: engines in one process, XML between them.

// A bench that cannot be set up has no better way to say so than to panic; the shared models do the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods, reason = "it measures CPU")]

mod memory;
#[path = "../report/mod.rs"]
mod report;
mod services;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use dmuc::address::BareJid;
use dmuc::{Input, Verdict};
use report::{Table, verdict};
use services::{Crossed, Services};
use sha2::{Digest as _, Sha256};
use support::federation::{Federation, config_of};
use support::names::{CHAT, COVEN, CRONE1, ROOMS, WITCH, bare};
use support::talk::words;

const MISSED: [usize; 3] = [100, 1_000, 10_000];
const OCCUPANTS: [usize; 2] = [10, 1_000];
const SHARED_ROOMS: [usize; 3] = [1, 100, 1_000];
/// Bytes from heal to converged, in bytes of the same messages sent live.
const BAR_RATIO: f64 = 0.35;
const PULLED_ROOMS: [usize; 2] = [10, 1_000];
/// CPU per pull with many rooms, in that with few.
const BAR_PULL_RATIO: f64 = 3.0;
const BAR_PULL_US: f64 = 1_000.0;
/// Heartbeats that are counted.
const BEATS: u64 = 100;

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("resync: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<()> {
    let versions = vec![format!("dmuc {}", env!("CARGO_PKG_VERSION"))];
    let circumstances = report::Circumstances::at_start("resync", versions);
    let mut bars = Table::new(&["bar", "measured", ""]);
    // `cargo bench --bench resync -- pulls`: that part alone, not for the report.
    if std::env::args().any(|arg| arg == "pulls") {
        println!("{}\n{}", pulls(&mut bars), bars.text());
        return Ok(());
    }
    // First, while the process has not used and freed memory.
    let memory = memory::measure()?;
    let parts = [
        missed(&mut bars),
        nothing_missed(&mut bars),
        pulls(&mut bars),
        heartbeats(),
        memory,
    ];
    let body = format!(
        "Two services: each a real engine, what they send each other as XML, parsed and counted; time is virtual, CPU is \
         not. Both\nwrite and read all of it in one process, without Lua, storage and network.\n\n{}\n{}",
        bars.text(),
        parts.join("\n")
    );
    report::write("resync", "Splits and resync", &circumstances, &body)
}

/// `rooms` rooms with their source at CHAT and a shadow at ROOMS; `occupants` people at the source of each, one at the
/// shadow.
fn services(rooms: usize, occupants: usize) -> Services {
    let mut fed = Federation::empty(1);
    for service in [CHAT, ROOMS] {
        let mut config = config_of(service, &[CHAT, ROOMS]);
        // What is said before a split must not be in the way of what is said during it.
        (config.log_max_messages, config.log_max_bytes) = (1_000_000, 1 << 30);
        (config.max_shadows, config.max_shadows_per_peer) = (rooms, rooms);
        fed.add(config);
    }
    for room in (0..rooms).map(name_of) {
        fed.distributed(&room, CRONE1, &[]);
        fed.run();
        for number in 0..occupants {
            let user = format!("user{number}@shakespeare.lit/desktop");
            fed.join(&format!("{room}/nick{number}"), &user);
            // What people saw is not looked at, and fills memory.
            fed.events.clear();
        }
        fed.run();
        fed.join(&format!("{}@{ROOMS}/witch", bare(&room).node().unwrap()), WITCH);
        fed.run();
        fed.events.clear();
    }
    Services::of(fed)
}

fn name_of(number: usize) -> String {
    match number {
        0 => COVEN.to_owned(),
        number => format!("coven{number}@{CHAT}"),
    }
}

/// What a client of today sends.
fn payload(number: usize, id: &str) -> String {
    let text = words(number, 100);
    format!(
        "<body>{text}</body>\
         <active xmlns='http://jabber.org/protocol/chatstates'/><markable xmlns='urn:xmpp:chat-markers:0'/>\
         <origin-id xmlns='urn:xmpp:sid:0' id='{id}'/>"
    )
}

/// An id as clients make them: nothing of it is like that of another.
fn random_uuid(number: usize) -> String {
    let hash = Sha256::digest(number.to_be_bytes());
    let random: [u8; 16] = std::array::from_fn(|at| hash[at]);
    uuid::Builder::from_random_bytes(random).into_uuid().to_string()
}

/// Somebody at the source says something. Returns the stanza-id.
fn say(services: &mut Services, room: &BareJid, number: usize) -> String {
    let id = random_uuid(number);
    let verdict = services.input(
        &bare(CHAT),
        Input::Groupchat {
            room,
            nick: "nick0",
            message_id: Some(&id),
            lang: None,
            payload: &payload(number, &id),
            keep: true,
        },
    );
    match verdict {
        Verdict::Accepted { id, .. } => id,
        other => panic!("a message got {other:?}"),
    }
}

/// Heals, and runs until nothing is left to do. What crossed, and the CPU of both sides.
fn heal(services: &mut Services) -> (Crossed, Duration) {
    services.is_cut = false;
    services.crossed = Crossed::default();
    services.shown.clear();
    let start = Instant::now();
    services.run();
    (services.crossed, start.elapsed())
}

fn missed(bars: &mut Table) -> String {
    let mut table = Table::new(&[
        "missed messages",
        "occupants",
        "live bytes",
        "resync bytes",
        "ratio",
        "stanzas",
        "CPU",
        "per message",
    ]);
    for occupants in OCCUPANTS {
        for count in MISSED {
            let room = bare(COVEN);
            let mut services = services(1, occupants);
            services.crossed = Crossed::default();
            for number in 0..count {
                say(&mut services, &room, number);
            }
            let live = services.crossed;
            assert_eq!((live.stanzas, live.events), (count as u64, 0));
            services.cut();
            let said: Vec<String> = (0..count)
                .map(|number| say(&mut services, &room, number))
                .collect();
            let (crossed, time) = heal(&mut services);
            assert_eq!(services.shown, said, "each once, in order");
            let ratio = crossed.bytes as f64 / live.bytes as f64;
            let us = time.as_secs_f64() * 1e6 / count as f64;
            table.row([
                count.to_string(),
                occupants.to_string(),
                live.bytes.to_string(),
                crossed.bytes.to_string(),
                format!("{ratio:.3}"),
                crossed.stanzas.to_string(),
                format!("{:.1} ms", time.as_secs_f64() * 1e3),
                format!("{us:.1} us"),
            ]);
            let what = format!("{count} missed, {occupants} occupants");
            bars.row([
                format!("resync takes at most {BAR_RATIO} of the payload missed: {what}"),
                format!("{ratio:.3}"),
                verdict(ratio <= BAR_RATIO),
            ]);
            bars.row([
                format!("nothing held is sent again: {what}"),
                format!("{} messages sent", crossed.events),
                verdict(crossed.events == count as u64),
            ]);
        }
    }
    format!(
        "### From heal to converged\n\nSaid at the source while the link was cut, missed at the shadow. Live bytes: the same \
         messages sent while the link was\nup. Resync: everything that crosses in both directions from the heal until both sides \
         agree, the probe that finds the\nlink open included. Occupants are at the source.\n\n{}",
        table.text()
    )
}

/// Rooms in which nothing happened during the split.
fn nothing_missed(bars: &mut Table) -> String {
    let mut table = Table::new(&["shared rooms", "occupants per room", "stanzas", "bytes"]);
    let mut take = |rooms: usize, occupants: usize| {
        let mut services = services(rooms, occupants);
        services.cut();
        let (crossed, _) = heal(&mut services);
        table.row([
            rooms.to_string(),
            occupants.to_string(),
            crossed.stanzas.to_string(),
            crossed.bytes.to_string(),
        ]);
        crossed
    };
    let (one, many) = (take(1, 10), take(101, 10));
    let large = take(1, 1_000);
    let per_room = (many.bytes - one.bytes) as f64 / 100.0;
    let per_link = one.bytes as f64 - per_room;
    bars.row([
        "a heal with nothing missed is the same for 1,000 occupants as for 10".to_owned(),
        format!("{} bytes, {} bytes", large.bytes, one.bytes),
        verdict(large == one),
    ]);
    format!(
        "### A heal with nothing missed\n\nPer link {per_link:.0} bytes, and {per_room:.1} bytes per shared room: the difference \
         between 1 and 101 rooms.\n\n{}",
        table.text()
    )
}

/// Rooms in each of which one message was missed.
fn pulls(bars: &mut Table) -> String {
    let mut table = Table::new(&["shared rooms", "CPU per pull"]);
    let mut per_pull = Vec::new();
    for rooms in PULLED_ROOMS {
        let mut services = services(rooms, 1);
        services.cut();
        for number in 0..rooms {
            say(&mut services, &bare(&name_of(number)), number);
        }
        let (_, time) = heal(&mut services);
        assert_eq!(services.shown.len(), rooms, "each room is pulled");
        let us = time.as_secs_f64() * 1e6 / rooms as f64;
        table.row([rooms.to_string(), format!("{us:.1} us")]);
        per_pull.push(us);
    }
    let ratio = per_pull[1] / per_pull[0];
    bars.row([
        format!("a pull costs at most {BAR_PULL_RATIO} times as much with 1,000 shared rooms as with 10"),
        format!("{ratio:.2}"),
        verdict(ratio <= BAR_PULL_RATIO),
    ]);
    bars.row([
        format!("with 1,000 shared rooms a pull takes at most {BAR_PULL_US} us"),
        format!("{:.0} us", per_pull[1]),
        verdict(per_pull[1] <= BAR_PULL_US),
    ]);
    format!(
        "### A heal of many rooms\n\nOne message was missed in each. CPU of both sides from the heal until all is settled, per \
         room.\n\n{}",
        table.text()
    )
}

fn heartbeats() -> String {
    let mut table = Table::new(&[
        "shared rooms",
        "stanzas per interval",
        "bytes per interval",
        "CPU per interval",
        "when every room has a new message: bytes",
        "CPU",
    ]);
    for rooms in SHARED_ROOMS {
        let mut services = services(rooms, 1);
        let interval = services.engine(&bare(CHAT)).config().ping_interval_ms;
        services.run_for(10 * interval);
        services.crossed = Crossed::default();
        let start = Instant::now();
        services.run_for(BEATS * interval);
        let (quiet, time) = (services.crossed, start.elapsed());
        let all: BTreeSet<BareJid> = (0..rooms).map(|number| bare(&name_of(number))).collect();
        for (number, room) in all.iter().enumerate() {
            say(&mut services, room, number);
        }
        services.crossed = Crossed::default();
        let start = Instant::now();
        services.run_for(interval);
        let (busy, busy_time) = (services.crossed, start.elapsed());
        let mean = |total: u64| format!("{:.1}", total as f64 / BEATS as f64);
        table.row([
            rooms.to_string(),
            mean(quiet.stanzas),
            mean(quiet.bytes),
            format!("{:.1} us", time.as_secs_f64() * 1e6 / BEATS as f64),
            busy.bytes.to_string(),
            format!("{:.1} us", busy_time.as_secs_f64() * 1e6),
        ]);
    }
    format!(
        "### Heartbeats\n\nBetween two services, both directions and both sides together; `dmuc_ping_interval` and \
         `dmuc_link_timeout` as by default.\nMean of {BEATS} intervals.\n\n{}",
        table.text()
    )
}
