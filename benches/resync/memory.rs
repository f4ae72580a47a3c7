//! Memory per message of the log and per occupant of another instance: how much the process grows.

use std::fs;

use anyhow::{Context, Result};
use dmuc::address::{BareJid, Jid};
use dmuc::engine::PeerPresence;
use dmuc::wire::{Affiliation, Role};
use dmuc::{Engine, Input, Now, Verdict};

use crate::payload;
use crate::report::Table;
use crate::support::federation::{EPOCH_MS, Federation, config_of};
use crate::support::names::{CHAT, COVEN, COVEN_AT_ROOMS, CRONE1, ROOMS, bare, jid};

/// Enough that nothing else counts.
const COUNT: usize = 50_000;
const CAPS: &str = "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' \
    node='https://witches.lit/client' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/>";

/// Resident memory of this process in bytes.
fn resident() -> Result<usize> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next());
    Ok(kib.context("no VmRSS")?.parse::<usize>()? * 1024)
}

fn engine_at(service: &str) -> (Engine, Now) {
    let mut fed = Federation::empty(1);
    for name in [CHAT, ROOMS] {
        let mut config = config_of(name, &[CHAT, ROOMS]);
        (config.log_max_messages, config.log_max_bytes) = (10 * COUNT, 1 << 30);
        (config.max_remote_occupants, config.max_occupants_per_peer) = (2 * COUNT, 2 * COUNT);
        fed.add(config);
    }
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    fed.join(&format!("{COVEN}/nick0"), CRONE1);
    fed.run();
    let now = Now {
        mono_ms: fed.now_ms,
        wall_ms: EPOCH_MS + fed.now_ms,
    };
    let host = fed.hosts.remove(&bare(service)).unwrap();
    (host.engine, now)
}

/// What an input makes an engine grow by, mean of many.
fn growth(engine: &mut Engine, now: Now, mut input: impl FnMut(&mut Engine, Now, usize)) -> Result<usize> {
    let mut now = now;
    let mut next = |engine: &mut Engine, number: usize| {
        now.mono_ms += 1;
        now.wall_ms += 1;
        input(engine, now, number);
        while engine.poll_action().is_some() {}
    };
    // The first ones fill what is allocated in large pieces.
    (0..COUNT / 10).for_each(|number| next(engine, number));
    let before = resident()?;
    (COUNT / 10..COUNT).for_each(|number| next(engine, number));
    Ok((resident()? - before) / (COUNT - COUNT / 10))
}

pub fn measure() -> Result<String> {
    let room: BareJid = bare(COVEN);
    let (mut source, now) = engine_at(CHAT);
    let mut size = 0;
    let entry = growth(&mut source, now, |engine, now, number| {
        let id = format!("6f1e9c5e-7d0f-4d3c-9d53-{number:012}");
        let payload = payload(number, &id);
        size = payload.len();
        let said = Input::Groupchat {
            room: &room,
            nick: "nick0",
            message_id: Some(&id),
            lang: None,
            payload: &payload,
            keep: true,
        };
        engine.handle_input(now, said).unwrap();
    })?;
    let kept = source.messages(&room).count();
    assert_eq!(kept, COUNT);

    let (mut forgetful, now) = engine_at(CHAT);
    let stub = growth(&mut forgetful, now, |engine, now, number| {
        let id = format!("6f1e9c5e-7d0f-4d3c-9d53-{number:012}");
        let payload = payload(number, &id);
        let said = Input::Groupchat {
            room: &room,
            nick: "nick0",
            message_id: Some(&id),
            lang: None,
            payload: &payload,
            keep: true,
        };
        let Ok(Verdict::Accepted { id, .. }) = engine.handle_input(now, said) else {
            panic!("{number} is refused");
        };
        let stored = Input::MessageStored { room: &room, id: &id };
        engine.handle_input(now, stored).unwrap();
    })?;
    assert_eq!(forgetful.log(&room).count(), COUNT);

    let (mut shadow, now) = engine_at(ROOMS);
    let occupant = growth(&mut shadow, now, |engine, now, number| {
        let named = |room: &str| -> Jid { jid(&format!("{room}/occupant{number}")) };
        let user = jid(&format!("user{number}@shakespeare.lit/desktop.{number:08}"));
        let id = format!("{number:032}");
        let here = Input::PeerPresence(PeerPresence {
            from: &named(COVEN),
            to: &named(COVEN_AT_ROOMS),
            available: true,
            affiliation: Affiliation::None,
            role: Role::Participant,
            jid: Some(&user),
            occupant_id: Some(&id),
            serial: Some(number as u64 + 10),
            version: None,
            codes: &[],
            new_nick: None,
            actor: None,
            reason: None,
            payload: CAPS,
        });
        engine.handle_input(now, here).unwrap();
    })?;
    let there = shadow.remote_occupants(&bare(COVEN_AT_ROOMS)).len();
    assert!(there >= COUNT, "{there} are there");

    let mut table = Table::new(&["memory of the engine", "payload", "resident"]);
    table.row([
        "per message of the log".to_owned(),
        format!("{size} bytes"),
        format!("{entry} bytes"),
    ]);
    table.row([
        "the same, in the stored log".to_owned(),
        format!("{size} bytes"),
        format!("{stub} bytes"),
    ]);
    table.row([
        "per occupant of another instance".to_owned(),
        format!("{} bytes", CAPS.len()),
        format!("{occupant} bytes"),
    ]);
    Ok(format!(
        "### Memory\n\nHow much the process grows, the mean of {} after {}. What Prosody keeps besides is not in it.\n\n{}",
        COUNT - COUNT / 10,
        COUNT / 10,
        table.text()
    ))
}
