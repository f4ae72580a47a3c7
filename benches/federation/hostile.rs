//! A peer at full speed: what people in other rooms notice, and how much memory it gets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use dmuc_testbed::{Client, ComponentClient, Federation, Server, Storage, Version, to_string};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::report::{Table, verdict};
use crate::said::resident;
use crate::say;

/// The hostile service: it has rooms of its own, of which there are shadows here, as any peer can.
const PEER: &str = "conference.marlowe.lit";
const CHAT: &str = "chat.shakespeare.lit";
const ROOMS: usize = 4;
/// How often somebody in another room says something, before and while it is at work.
const MESSAGES: usize = 1_000;
const PAUSE: Duration = Duration::from_millis(15);
/// The slowest hundredth of latencies in those without it; of the server's turns also in those of a Prosody without the module.
const BAR_RATIO: f64 = 2.0;

/// What may be kept for it, in bytes, and in other things.
const BYTES: [(&str, u64); 4] = [
    ("dmuc_max_bytes_per_peer", 16 << 20),
    ("dmuc_max_presence_bytes_per_peer", 4 << 20),
    ("dmuc_max_roster_bytes_per_peer", 4 << 20),
    ("dmuc_max_unsent", 4 << 20),
];
const COUNTS: [(&str, u64); 3] = [
    ("dmuc_max_occupants_per_peer", 1_000),
    ("dmuc_max_listed_per_peer", 10_000),
    ("dmuc_max_shadows_per_peer", 50),
];
/// The server may grow by three times the bytes that are kept for a peer (the engine, Prosody's occupants, and what its
/// collectors have not freed yet), and by so much for all else.
const SLACK_BYTES: u64 = 64 << 20;

fn bound() -> u64 {
    3 * BYTES.iter().map(|(_, bytes)| bytes).sum::<u64>() + SLACK_BYTES
}

fn dmuc(name: &str, attrs: &str, children: &str) -> String {
    format!("<{name} xmlns='urn:xmpp:dmuc:0' {attrs}>{children}</{name}>")
}

fn ours(name: &str, attrs: &str, children: &str) -> String {
    format!("<{name} xmlns='urn:x-dmuc:0' {attrs}>{children}</{name}>")
}

fn iq(from: &str, to: &str, kind: &str, payload: &str) -> String {
    format!("<iq from='{from}' to='{to}' type='{kind}'>{payload}</iq>")
}

/// It says yes to everything, so that nothing keeps it out.
async fn answers(wire: Arc<ComponentClient>) {
    loop {
        let is_request =
            |s: &dmuc_testbed::Element| s.name() == "iq" && matches!(s.attr("type"), Some("get" | "set"));
        let Ok(request) = wire.expect("a request", is_request).await else {
            continue;
        };
        let attr = |name| request.attr(name).unwrap_or_default();
        let text = to_string(&request);
        let answer = if text.contains("disco#info") {
            "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='conference' type='text'/>\
             <feature var='urn:xmpp:dmuc:0'/><feature var='urn:x-dmuc:0'/></query>"
                .to_owned()
        } else if text.contains("<digest") {
            ours("digest", "life='1'", "")
        } else if text.contains("<sync") {
            ours("sync", "", "")
        } else {
            String::new()
        };
        let (from, to, id) = (attr("to"), attr("from"), attr("id"));
        let xml = format!("<iq type='result' from='{from}' to='{to}' id='{id}'>{answer}</iq>");
        if wire.send_xml(&xml).await.is_err() {
            return;
        }
        wire.drain_matching(|s| s.attr("type") == Some("error") || s.attr("type") == Some("result"));
    }
}

/// Its rooms have shadows here.
async fn settles_in(wire: &ComponentClient) -> Result<()> {
    for number in 0..ROOMS {
        let (source, shadow) = (format!("heath{number}@{PEER}"), format!("heath{number}@{CHAT}"));
        let room = format!("<room id='heath{number}'/>");
        let form = "<x xmlns='jabber:x:data' type='form'><field var='FORM_TYPE'>\
                    <value>http://jabber.org/protocol/muc#roomconfig</value></field></x>";
        let settings = ours("settings", "term='0' version='1'", "");
        let snapshot = ours(
            "snapshot",
            "version='1' settings='1' term='0' occupants='true' affiliations='true'",
            "",
        );
        let speaker = format!(
            "<item affiliation='none' name='speaker'>{}</item>",
            ours("occupant", "serial='1'", "")
        );
        for (from, to, payload) in [
            (
                PEER,
                CHAT,
                dmuc("replicate", &format!("source='{source}'"), &room),
            ),
            (
                &*source,
                &*shadow,
                dmuc("config", "", &format!("{form}{settings}")),
            ),
            (
                &*source,
                &*shadow,
                dmuc("roster", "", &format!("{snapshot}{speaker}")),
            ),
        ] {
            let answer = wire.iq_xml(&iq(from, to, "set", &payload)).await?;
            ensure!(answer.attr("type") == Some("result"), "{}", to_string(&answer));
        }
    }
    Ok(())
}

/// One of everything that costs most, the `number`th time.
fn volley(number: u64) -> Vec<String> {
    let room = number % ROOMS as u64;
    let (source, shadow) = (format!("heath{room}@{PEER}"), format!("heath{room}@{CHAT}"));
    let words = "Toil and trouble ".repeat(1_000);
    let seq = number / ROOMS as u64 + 1;
    let event = ours(
        "event",
        &format!("id='e{number}' inc='1795425160000' seq='{seq}' at='1795425160000.{number}'"),
        "",
    );
    let stamp = ours("occupant", &format!("serial='{}'", number + 2), "");
    let lines: String = (0..200)
        .map(|line| format!("<room id='nowhere{number}-{line}' log='1.1'/>"))
        .collect();
    let items: String = (0..100)
        .map(|item| format!("<item affiliation='member' jid='u{number}.{item}@example.org'/>"))
        .collect();
    let part = ours(
        "snapshot",
        &format!("version='{}' occupants='true' more='true'", number + 2),
        "",
    );
    let (from, to) = (format!("{source}/speaker"), format!("{shadow}/speaker"));
    let nick = format!("n{number}");
    vec![
        iq(&source, &shadow, "get", &ours("sync", "", "")),
        iq(
            PEER,
            CHAT,
            "set",
            &ours("digest", &format!("life='{number}' hello='true'"), &lines),
        ),
        iq(&source, &shadow, "get", &dmuc("roster", "", "")),
        iq(
            &source,
            &shadow,
            "set",
            &dmuc("roster", "", &format!("{part}{items}")),
        ),
        iq(
            PEER,
            CHAT,
            "set",
            &dmuc("replicate", "", &format!("<room id='cave{number}'/>")),
        ),
        iq(
            &source,
            &shadow,
            "set",
            &ours("act", "nick='speaker'", "<voice serial='1' request='1'/>"),
        ),
        format!(
            "<presence from='{source}/{nick}' to='{shadow}/{nick}'><status>{words}</status>\
             <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/></x>{stamp}</presence>"
        ),
        format!("<message type='groupchat' from='{from}' to='{to}'><body>{words}</body>{event}</message>"),
        format!(
            "<message type='groupchat' from='{from}' to='{shadow}/nobody'><body>{words}</body></message>"
        ),
        format!(
            "<presence type='error' from='{from}' to='{to}'><error type='auth'>\
                 <forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>"
        ),
    ]
}

/// All that it does, in a thread of its own. It and its server are of the lowest priority: in truth they have a machine of
/// their own, and here they are to take nothing from those they attack but by what they send.
struct Attacker {
    thread: std::thread::JoinHandle<Result<()>>,
    begin: oneshot::Sender<()>,
    is_over: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
}

impl Attacker {
    /// Connects, and waits for the word.
    async fn settled(fed: &Arc<Federation>, has_dmuc: bool) -> Result<Attacker> {
        let (is_over, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (ready, is_ready) = oneshot::channel();
        let (begin, begins) = oneshot::channel();
        let its = (Arc::clone(fed), Arc::clone(&is_over), Arc::clone(&sent));
        let thread = std::thread::spawn(move || {
            let (fed, is_over, sent) = its;
            let task = std::fs::read_link("/proc/thread-self")?;
            let id = task
                .file_name()
                .context("no thread")?
                .to_string_lossy()
                .into_owned();
            yields(&id)?;
            yields(&fed[1].pid().context("it does not run")?.to_string())?;
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let wire = Arc::new(fed[1].component(PEER).await?);
                tokio::spawn(answers(Arc::clone(&wire)));
                if has_dmuc {
                    settles_in(&wire).await?;
                }
                ready.send(()).ok();
                if begins.await.is_ok() {
                    floods(&wire, &is_over, &sent).await;
                }
                anyhow::Ok(())
            })
        });
        if is_ready.await.is_err() {
            joined(thread)?;
            bail!("the attacker has gone");
        }
        Ok(Attacker {
            thread,
            begin,
            is_over,
            sent,
        })
    }
}

fn joined(thread: std::thread::JoinHandle<Result<()>>) -> Result<()> {
    thread
        .join()
        .unwrap_or_else(|_| Err(anyhow::anyhow!("the attacker panicked")))
}

/// A process or thread yields to all others.
fn yields(id: &str) -> Result<()> {
    let done = std::process::Command::new("renice")
        .args(["-n", "19", "-p", id])
        .output()?;
    ensure!(
        done.status.success(),
        "renice: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(())
}

async fn floods(wire: &ComponentClient, is_over: &AtomicBool, sent: &AtomicU64) {
    for number in 0.. {
        for xml in volley(number) {
            if is_over.load(Ordering::Relaxed) || wire.send_xml(&xml).await.is_err() {
                return;
            }
            sent.fetch_add(1, Ordering::Relaxed);
            // What is answered has its turn.
            tokio::task::yield_now().await;
        }
    }
}

/// Half and the slowest hundredth of the times after which somebody sees their own message, in milliseconds.
async fn latencies(client: &Client, room: &str, count: usize) -> Result<(f64, f64)> {
    let mut times = Vec::new();
    for _ in 0..count {
        let start = Instant::now();
        let id = say(client, room).await?;
        client
            .expect("the message", |s| {
                s.name() == "message" && s.attr("id") == Some(&*id)
            })
            .await?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
        client.drain();
        tokio::time::sleep(PAUSE).await;
    }
    times.sort_by(f64::total_cmp);
    Ok((times[count / 2], times[count * 99 / 100]))
}

/// What was measured of one server.
struct Measured {
    quiet: (f64, f64),
    flooded: (f64, f64),
    /// The slowest hundredth of the server's turns, in CPU, before and meanwhile: no other process has a part in that.
    turns_ms: (f64, f64),
    /// Stanzas in a second.
    rate: f64,
    /// Share of the flood's time that the server computed.
    cpu: f64,
    /// Bytes.
    grown: u64,
}

async fn turn_ms(server: &Server) -> Result<f64> {
    let told = server.eval("return longest_turn()").await?;
    Ok(told["p99"].as_f64().context("no turn")? * 1e3)
}

async fn measured(version: Version, has_dmuc: bool, is_limited: bool) -> Result<Measured> {
    let mut builder = Federation::builder()
        .servers(2)
        .label("bench-hostile")
        .version(version)
        .storage(Storage::Internal)
        .log_level("warn")
        .with_server(0, |s| {
            (s.dmuc, s.peers) = (has_dmuc, false);
            if has_dmuc {
                s.muc_lines.push(format!("dmuc_peers = {{ \"{PEER}\" }}"));
                s.muc_lines.push("dmuc_shadow_names = \"any\"".to_owned());
                for (option, value) in BYTES.iter().chain(&COUNTS) {
                    s.muc_lines.push(format!("{option} = {value}"));
                }
            }
        })
        .component(1, PEER, "secret");
    if is_limited {
        // As Debian ships it, but for clients: the module limits these to 10 kB/s, too, which would be measured.
        builder = builder.with_server(0, |s| {
            s.modules.push("limits".to_owned());
            s.global_lines.push(
                "limits = { c2s = { rate = \"10mb/s\" }, s2sin = { rate = \"30kb/s\"; burst = \"2s\" } }"
                    .to_owned(),
            );
        });
    }
    let fed = Arc::new(builder.start().await?);
    let room = fed[0].room("coven");
    let crone = fed[0].client("crone1", "desktop").await?;
    crone.create_room(&room, "firstcrone", &[]).await?;
    let attacker = Attacker::settled(&fed, has_dmuc).await?;
    latencies(&crone, &room, MESSAGES / 10).await?; // warm
    fed[0].eval("return measure_turns()").await?;
    let quiet = latencies(&crone, &room, MESSAGES).await?;
    let quiet_turn_ms = turn_ms(&fed[0]).await?;
    let (memory, cpu, start) = (resident(&fed[0])?, fed[0].stats().await?.cpu_s, Instant::now());
    fed[0].eval("return measure_turns()").await?;
    attacker.begin.send(()).ok();
    let flooded = latencies(&crone, &room, MESSAGES).await?;
    let flooded_turn_ms = turn_ms(&fed[0]).await?;
    let took = start.elapsed().as_secs_f64();
    let measured = Measured {
        quiet,
        flooded,
        turns_ms: (quiet_turn_ms, flooded_turn_ms),
        rate: attacker.sent.load(Ordering::Relaxed) as f64 / took,
        cpu: (fed[0].stats().await?.cpu_s - cpu) / took,
        grown: resident(&fed[0])?.saturating_sub(memory),
    };
    attacker.is_over.store(true, Ordering::Relaxed);
    joined(attacker.thread)?;
    Arc::into_inner(fed)
        .context("somebody has the federation yet")?
        .finish_fast()?;
    Ok(measured)
}

pub async fn measure(versions: &[Version], bars: &mut Table) -> Result<String> {
    let mut table = Table::new(&[
        "a peer at full speed",
        "before: median",
        "p99",
        "meanwhile: median",
        "p99",
        "turns: p99 of before, meanwhile",
        "stanzas/s",
        "CPU",
        "memory",
    ]);
    for version in versions {
        for is_limited in [false, true] {
            let what = match is_limited {
                true => format!("Prosody {version}, s2sin 30kb/s"),
                false => format!("Prosody {version}"),
            };
            let plain = measured(*version, false, is_limited).await?;
            let ours = measured(*version, true, is_limited).await?;
            for (measured, whose) in [(&plain, "without the module"), (&ours, "with it")] {
                let row = [
                    format!("{what}, {whose}"),
                    format!("{:.2} ms", measured.quiet.0),
                    format!("{:.2} ms", measured.quiet.1),
                    format!("{:.2} ms", measured.flooded.0),
                    format!("{:.2} ms", measured.flooded.1),
                    format!("{:.2}, {:.2} ms", measured.turns_ms.0, measured.turns_ms.1),
                    format!("{:.0}", measured.rate),
                    format!("{:.0} %", measured.cpu * 1e2),
                    format!("+{} MiB", measured.grown >> 20),
                ];
                eprintln!("{row:?}");
                table.row(row);
            }
            let ratio = ours.flooded.1 / ours.quiet.1;
            bars.row([
                format!(
                    "a peer at full speed: p99 of another room at most {BAR_RATIO} times as long: {what}"
                ),
                format!("{ratio:.2}"),
                verdict(ratio <= BAR_RATIO),
            ]);
            let without = plain.turns_ms.1.max(ours.turns_ms.0);
            let ratio = ours.turns_ms.1 / without;
            bars.row([
                format!(
                    "and the server's turns, p99 in CPU, at most {BAR_RATIO} times those without the flood, or with it without the module: {what}"
                ),
                format!("{ratio:.2}"),
                verdict(ratio <= BAR_RATIO),
            ]);
            bars.row([
                format!("and memory at most {} MiB more: {what}", bound() >> 20),
                format!("{} MiB", ours.grown >> 20),
                verdict(ours.grown <= bound()),
            ]);
        }
    }
    Ok(format!(
        "### A hostile peer\n\nA service in `dmuc_peers` sends all that costs most, as fast as its server takes it, while somebody \
         says {MESSAGES} things in a room\nthat is none of its; `dmuc_max_bytes_per_peer` 16 MiB, presences, rosters and unsent 4 MiB \
         each. The same stanzas to a Prosody\nwithout the module, which refuses them, show what is Prosody's own. Once as Prosody is, \
         once with the rate limit between servers\nthat Debian ships. Who floods, and its server, run at the lowest priority, since \
         in truth they have a machine of their own; on two cores\nthey are felt all the same. The slowest hundredth of the server's turns (CPU \
         between two ticks of a timer of 5 ms; before, meanwhile) is\nwithout that, and is what somebody else waits for at most.\n\n{}",
        table.text()
    ))
}
