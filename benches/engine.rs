//! What the engine alone costs per input, its actions drained: no Lua, no network, no storage.

// A bench that cannot be set up has no better way to say so than to panic; the shared models do the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod report;
#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};
use std::sync::LazyLock;

use anyhow::{Context, Result, ensure};
use divan::{Bencher, black_box};
use dmuc::address::{BareJid, FullJid, Jid};
use dmuc::engine::{Departure, Occupant, PeerPresence};
use dmuc::wire::{Affiliation, EventStamp, Hlc, IqBody, IqKind, Request, Response, Role, Stanza};
use dmuc::{Engine, Input, Now};
use support::federation::{EPOCH_MS, Federation, config_of};
use support::names::{CHAT, CONF, COVEN, CRONE1, FAUST, ROOMS, WITCH, bare, full, jid};

const PEERS: [usize; 3] = [1, 3, 10];
const FOO: &str = "coven@chat.shakespeare.lit/foo";
const SHADOW: &str = "coven@rooms.peer1.lit";
/// What a client of today sends besides the body.
const PAYLOAD: &str = "<body>When shall we three meet again? In thunder, lightning, or in rain? When the \
    hurlyburly's done, when the battle's lost and won. That will be ere the set of sun.</body>\
    <origin-id xmlns='urn:xmpp:sid:0' id='6f1e9c5e-7d0f-4d3c-9d53-0b8a5a3b1c11'/>\
    <markable xmlns='urn:xmpp:chat-markers:0'/><active xmlns='http://jabber.org/protocol/chatstates'/>";
/// As many as the log keeps by default.
const LOG: usize = 10_000;

/// The child does the measuring, so that its table can be read.
const CHILD: &str = "DMUC_BENCH_CHILD";

fn main() -> ExitCode {
    if std::env::var_os(CHILD).is_some() {
        divan::Divan::from_args().main();
        return ExitCode::SUCCESS;
    }
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("engine: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<()> {
    let circumstances =
        report::Circumstances::at_start("engine", vec![format!("dmuc {}", env!("CARGO_PKG_VERSION"))]);
    let args: Vec<String> = std::env::args().skip(1).collect();
    let output = Command::new(std::env::current_exe()?)
        .args(&args)
        .args(["--max-time", "0.5", "--color", "never"])
        .env(CHILD, "1")
        .output()
        .context("running itself")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    if args.iter().any(|arg| arg != "--bench") {
        println!("{text}");
        return Ok(()); // a part of it: not for the report
    }
    let mut table = report::Table::new(&["what", "median", "fastest", "mean"]);
    for row in rows(&text) {
        table.row(row);
    }
    let body = format!(
        "Per input with its actions drained, {LOG} messages in the log; divan's statistics.\n\n{}",
        table.text()
    );
    report::write("engine", "Engine", &circumstances, &body)
}

/// Divan's tree as rows: name (with its argument), median, fastest, mean.
fn rows(text: &str) -> Vec<Vec<String>> {
    let mut group = String::new();
    let mut rows = Vec::new();
    for line in text.lines() {
        let Some(start) = line.find("─ ") else { continue };
        let is_nested = line.starts_with(['│', ' ']);
        let cells: Vec<&str> = line[start + "─ ".len()..].split('│').map(str::trim).collect();
        let (name, fastest) = cells[0].split_once("  ").unwrap_or((cells[0], ""));
        let name = match is_nested {
            true => format!("{group} {name}"),
            false => name.to_owned(),
        };
        if !is_nested {
            group = name.clone();
        }
        if let [_, _, median, mean, ..] = cells[..]
            && !median.is_empty()
        {
            let name = name.replace('_', " ");
            rows.push([&*name, median, fastest.trim(), mean].map(str::to_owned).to_vec());
        }
    }
    rows
}

/// An engine and its clock.
struct Bed {
    engine: Engine,
    now: Now,
    room: BareJid,
}

impl Bed {
    /// The engine that holds `room` in a federation of a source and `peers` shadows, with foo in the source and a
    /// full log.
    fn new(peers: usize, room: &str) -> Bed {
        let mut services = vec![CHAT.to_owned()];
        services.extend((1..=peers).map(|n| format!("rooms.peer{n}.lit")));
        let services: Vec<&str> = services.iter().map(String::as_str).collect();
        let mut fed = Federation::of(&services);
        fed.distributed(COVEN, CRONE1, &[]);
        fed.run();
        fed.join(FOO, CRONE1);
        fed.run();
        let room = bare(room);
        let engine = fed.hosts.remove(&room.service()).unwrap().engine;
        assert_eq!(engine.active_instances(&room).len(), peers);
        let now = Now {
            mono_ms: fed.now_ms,
            wall_ms: EPOCH_MS + fed.now_ms,
        };
        Bed { engine, now, room }
    }

    fn tick(&mut self) {
        self.now.mono_ms += 1;
        self.now.wall_ms += 1;
    }

    fn input(&mut self, input: Input<'_>) {
        black_box(self.engine.handle_input(self.now, input).unwrap());
        while let Some(action) = self.engine.poll_action() {
            black_box(action);
        }
    }

    fn say(&mut self) {
        self.tick();
        let room = self.room.clone();
        self.input(Input::Groupchat {
            room: &room,
            nick: "foo",
            message_id: Some("6f1e9c5e-7d0f-4d3c-9d53-0b8a5a3b1c11"),
            lang: None,
            payload: PAYLOAD,
            keep: true,
        });
    }

    fn hear(&mut self, from: &FullJid, to: &FullJid, event: EventStamp) {
        self.tick();
        self.input(Input::PeerGroupchat {
            from,
            to,
            message_id: Some("6f1e9c5e-7d0f-4d3c-9d53-0b8a5a3b1c11"),
            lang: None,
            event: Some(event),
            payload: PAYLOAD,
            keep: true,
        });
    }
}

#[divan::bench(args = PEERS)]
fn groupchat_out_peers(bencher: Bencher, peers: usize) {
    let mut bed = Bed::new(peers, COVEN);
    (0..LOG).for_each(|_| bed.say());
    bencher.bench_local(|| bed.say());
}

#[divan::bench(args = PEERS)]
fn groupchat_in_peers(bencher: Bencher, peers: usize) {
    let mut bed = Bed::new(peers, SHADOW);
    let (from, to) = (full(FOO), full(&format!("{SHADOW}/foo")));
    let mut seq = 0;
    let mut next = || {
        seq += 1;
        EventStamp {
            id: format!("6f1e9c5e-7d0f-4d3c-9d53-{seq:012}"),
            origin: None,
            incarnation: 77,
            seq,
            at: Hlc {
                wall_ms: EPOCH_MS + seq,
                counter: 0,
            },
            roster: None,
        }
    };
    (0..LOG).for_each(|_| bed.hear(&from, &to, next()));
    assert_eq!(bed.engine.messages(&bed.room).count(), LOG, "all are taken");
    bencher
        .with_inputs(next)
        .bench_local_values(|event| bed.hear(&from, &to, event));
}

#[divan::bench(args = PEERS)]
fn join_and_leave_peers(bencher: Bencher, peers: usize) {
    let mut bed = Bed::new(peers, COVEN);
    let (room, user) = (bed.room.clone(), jid("hag66@shakespeare.lit/pda"));
    bencher.bench_local(|| {
        bed.tick();
        join(&mut bed, &room, "hag", &user);
        bed.input(Input::OccupantLeft(Departure {
            room: Some(&room),
            nick: "hag",
            ..Departure::default()
        }));
    });
}

fn join(bed: &mut Bed, room: &BareJid, nick: &str, user: &Jid) {
    bed.input(Input::Occupant(Occupant {
        room,
        nick,
        jid: user,
        affiliation: Affiliation::None,
        role: Role::Participant,
        occupant_id: Some("6f1e9c5e7d0f4d3c9d530b8a5a3b1c11"),
        payload: "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='x' ver='y'/>",
    }));
}

#[divan::bench(args = PEERS)]
fn remote_join_and_leave_peers(bencher: Bencher, peers: usize) {
    let mut bed = Bed::new(peers, SHADOW);
    let user = jid("hag66@shakespeare.lit/pda");
    let (from, to) = (full(&format!("{COVEN}/hag")), full(&format!("{SHADOW}/hag")));
    let mut serial = 1000;
    bencher.bench_local(|| {
        bed.tick();
        serial += 1;
        for available in [true, false] {
            bed.input(Input::PeerPresence(PeerPresence {
                from: &from,
                to: &to,
                available,
                affiliation: Affiliation::None,
                role: if available { Role::Participant } else { Role::None },
                jid: Some(&user),
                occupant_id: Some("6f1e9c5e7d0f4d3c9d530b8a5a3b1c11"),
                serial: Some(serial),
                version: None,
                codes: &[],
                new_nick: None,
                actor: None,
                reason: None,
                payload: "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='x' ver='y'/>",
            }));
        }
    });
}

#[divan::bench(args = [20, 500])]
fn history_of(bencher: Bencher, count: usize) {
    let mut bed = Bed::new(1, COVEN);
    (0..LOG).for_each(|_| bed.say());
    bencher.bench_local(|| {
        // As the Lua binding does.
        let newest = bed.engine.messages(&bed.room).rev().take(count);
        black_box(newest.cloned().collect::<Vec<_>>())
    });
}

/// A request of each kind (and each answer), as engines sent it in a story that has all of them.
static CONTROLS: LazyLock<BTreeMap<String, Control>> = LazyLock::new(controls);

#[derive(Debug, Clone)]
struct Control {
    /// `None` for an answer.
    kind: Option<IqKind>,
    payload: String,
}

fn controls() -> BTreeMap<String, Control> {
    let services = [CHAT, ROOMS, CONF];
    let mut fed = Federation::empty(1);
    fed.add(config_of(CHAT, &services));
    fed.add(config_of(ROOMS, &services));
    fed.is_traced = true;
    fed.distributed(
        COVEN,
        CRONE1,
        &[("muc#roomconfig_roomdesc", "Double, double toil and trouble")],
    );
    // The third service is not there yet: nothing comes to rest.
    fed.run_for(60_000);
    fed.join(FOO, CRONE1);
    fed.join("coven@rooms.macbeth.lit/witch", WITCH);
    for n in 0..20 {
        fed.say(FOO, &format!("{n}: {PAYLOAD}"));
    }
    fed.run_for(60_000);
    // Comes late: gets a roster, a history, and the others hear of it.
    fed.add(config_of(CONF, &services));
    fed.run_for(3_600_000);
    fed.join("coven@conference.marlowe.lit/faust", FAUST);
    fed.run();
    fed.kick(FOO, "witch");
    fed.run();
    for (room, destroys) in [(COVEN, false), ("heath@chat.shakespeare.lit", true)] {
        if destroys {
            fed.distributed(room, CRONE1, &[]);
            fed.run();
        }
        let room = bare(room);
        fed.at(&room.service(), |host| match destroys {
            true => host.destroy(&room, Some("over"), None),
            false => host.undistribute(&room, Some("no more")),
        });
        fed.run();
    }
    let mut found = BTreeMap::new();
    for line in &fed.trace {
        let Some((_, xml)) = line.split_once(" sends <iq") else {
            continue;
        };
        let Ok(Stanza::Iq(iq)) = Stanza::parse(&format!("<iq{xml}")) else {
            continue;
        };
        let (kind, payload) = match iq.body {
            IqBody::Get(payload) => (Some(IqKind::Get), payload),
            IqBody::Set(payload) => (Some(IqKind::Set), payload),
            IqBody::Result(Some(payload)) => (None, payload),
            _ => continue,
        };
        let end = payload.find([' ', '/', '>']).unwrap_or(payload.len());
        let name = match kind {
            Some(IqKind::Set) => payload[1..end].to_owned(),
            Some(IqKind::Get) => format!("{} asked for", &payload[1..end]),
            None => format!("{} in an answer", &payload[1..end]),
        };
        // The largest of its kind.
        let control = Control { kind, payload };
        let slot = found.entry(name).or_insert_with(|| control.clone());
        if slot.payload.len() < control.payload.len() {
            *slot = control;
        }
    }
    found
}

#[divan::bench(args = CONTROLS.keys())]
fn parse(bencher: Bencher, name: &String) {
    let control = &CONTROLS[name];
    bencher
        .counter(divan::counter::BytesCount::new(control.payload.len()))
        .bench_local(|| match control.kind {
            Some(kind) => drop(black_box(
                Request::parse(kind, black_box(&control.payload)).unwrap(),
            )),
            None => drop(black_box(
                Response::parse(Some(black_box(&control.payload))).unwrap(),
            )),
        });
}

/// The roster of a source with 500 occupants, which fit into one stanza, as a new shadow gets it.
static CROWD: LazyLock<Control> = LazyLock::new(|| {
    let mut fed = Federation::of(&[CHAT, ROOMS]);
    fed.create(COVEN, CRONE1, &[]);
    for n in 0..500 {
        fed.join(
            &format!("{COVEN}/nick{n}"),
            &format!("user{n}@shakespeare.lit/desktop"),
        );
    }
    fed.is_traced = true;
    let room = bare(COVEN);
    fed.at(&room.service(), |host| host.distribute(&room));
    fed.run();
    let rosters = fed.trace.iter().filter_map(|line| {
        let (_, xml) = line.split_once(" sends <iq")?;
        match Stanza::parse(&format!("<iq{xml}")).ok()? {
            Stanza::Iq(iq) => match iq.body {
                IqBody::Set(payload) if payload.starts_with("<roster") => Some(payload),
                _ => None,
            },
            _ => None,
        }
    });
    let payload = rosters.max_by_key(String::len).unwrap();
    let count = payload.matches("<item").count();
    assert!(count >= 500, "{count} items in {} bytes", payload.len());
    Control {
        kind: Some(IqKind::Set),
        payload,
    }
});

#[divan::bench]
fn roster_of_500_parsed(bencher: Bencher) {
    let payload = &CROWD.payload;
    bencher.bench_local(|| black_box(Request::parse(IqKind::Set, black_box(payload)).unwrap()));
}

#[divan::bench]
fn roster_of_500_written(bencher: Bencher) {
    let request = Request::parse(IqKind::Set, &CROWD.payload).unwrap();
    bencher.bench_local(|| black_box(black_box(&request).to_xml()));
}

#[divan::bench]
fn roster_of_500_taken_by_a_shadow(bencher: Bencher) {
    let (from, to) = (jid(COVEN), jid(SHADOW));
    let payload = &CROWD.payload;
    bencher
        .with_inputs(|| Bed::new(1, SHADOW))
        .bench_local_values(|mut bed| {
            bed.input(Input::PeerIq {
                from: &from,
                to: &to,
                kind: IqKind::Set,
                id: "roster1",
                payload,
                taken: false,
            });
            bed
        });
}
