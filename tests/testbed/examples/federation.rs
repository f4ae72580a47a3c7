//! A federation that stays up, for real clients: those that people try by hand and those of `tests/browser`.
//!
//! ```sh
//! cargo run -p dmuc-testbed --example federation -- 13     # or 0.12, 13.0.1, newest; by default what is installed
//! ```
//!
//! `versions` instead of a version prints those that are here, the oldest first, as a JSON list, and that is all.
//!
//! The first line on stdout is JSON that says where the servers are. Then every line on stdin is a command, answered by
//! one line of JSON, `{"ok": …}` or `{"error": "…"}`:
//!
//! | command | does |
//! |---|---|
//! | `cut 0 1`, `stall 0 1`, `swallow 0 1` | what [`dmuc_testbed::Link`] does, to the link between two servers |
//! | `heal` | every link is as it was |
//! | `stop 1`, `kill 1`, `start 1`, `restart 1`, `crash 1` | a server |
//! | `settle` | everything that services had sent each other has been processed |
//! | `eval 1 return …` | Lua inside a server |
//! | `shell 1 dmuc:rooms()` | an administrator's command, answered by what the shell prints |
//!
//! The end of stdin ends the servers; the exit code is not 0 if one of them logged an error.

use std::io::{BufRead, Write};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use dmuc_testbed::{Builder, Federation, Server, Value, Version};
use serde_json::json;
use tokio::sync::mpsc;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("federation: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let version = match std::env::args().nth(1).as_deref() {
        None => Version::default(),
        Some("versions") => {
            let found: Vec<&str> = Version::all().iter().map(Version::number).collect();
            println!("{}", json!(found));
            return Ok(());
        }
        Some(name) => Version::named(name)?,
    };
    let fed = servers(version).start().await?;
    say(&hello(&fed));
    let mut lines = lines();
    while let Some(line) = lines.recv().await {
        let answer = match obey(&fed, &line).await {
            Ok(value) => json!({ "ok": value }),
            Err(error) => json!({ "error": format!("{error:#}") }),
        };
        say(&answer);
    }
    fed.finish().await
}

/// Three servers, whose services vote on who follows a source.
fn servers(version: Version) -> Builder {
    let builder = Federation::builder()
        .label("clients")
        .version(version)
        .dmuc(true)
        .websocket(true)
        .muc_line("dmuc_room_id = \"name\"")
        .muc_line("dmuc_shadow_names = \"any\"")
        .muc_line(
            "dmuc_voters = { \"chat.shakespeare.lit\", \"rooms.macbeth.lit\", \"conference.marlowe.lit\" }",
        )
        // A broken link is noticed soon; the defaults are 30 and 60 s.
        .muc_line("dmuc_ping_interval = 1")
        .muc_line("dmuc_link_timeout = 3");
    (0..3).fold(builder, |builder, server| {
        builder.with_server(server, |spec| {
            spec.modules
                .extend(["admin_shell", "http_dmuc"].map(str::to_owned));
        })
    })
}

fn hello(fed: &Federation) -> Value {
    let server = |s: &std::sync::Arc<Server>| {
        json!({
            "domain": s.domain(),
            "muc": s.muc(),
            "address": s.address().to_string(),
            "page": format!("http://{}:5280/dmuc/", s.domain()),
            "websocket": format!("ws://{}:5280/xmpp-websocket", s.domain()),
            "log": s.dir().join("prosody.log"),
        })
    };
    json!({
        "servers": fed.servers().iter().map(server).collect::<Vec<_>>(),
        "ca": fed.dir().join("pki/ca.crt"),
    })
}

/// Whoever has started this waits for the line.
fn say(value: &Value) {
    let mut out = std::io::stdout().lock();
    // Nobody listens any more: stdin says so as well.
    let _ = writeln!(out, "{value}").and_then(|()| out.flush());
}

/// The lines of stdin until its end. A thread: reading a terminal blocks.
fn lines() -> mpsc::UnboundedReceiver<String> {
    let (tx, rx) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if tx.send(line).is_err() {
                return;
            }
        }
    });
    rx
}

async fn obey(fed: &Federation, line: &str) -> Result<Value> {
    let (verb, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
    let server = |text: &str| -> Result<usize> {
        let index: usize = text
            .parse()
            .with_context(|| format!("{text:?} is not a server"))?;
        ensure!(index < fed.servers().len(), "there is no server {index}");
        Ok(index)
    };
    match verb {
        "cut" | "stall" | "swallow" => {
            let (a, b) = rest.split_once(' ').context("which two servers?")?;
            let link = fed.link(server(a)?, server(b)?);
            match verb {
                "cut" => link.cut().await,
                "stall" => link.stall().await,
                _ => link.swallow().await,
            }
        }
        "heal" => fed.heal_all().await,
        "stop" => fed[server(rest)?].stop().await?,
        "kill" => fed[server(rest)?].kill().await?,
        "start" => fed[server(rest)?].start().await?,
        "restart" => fed[server(rest)?].restart().await?,
        "crash" => fed[server(rest)?].crash().await?,
        "settle" => fed.settle(2).await?,
        "eval" => {
            let (index, chunk) = rest.split_once(' ').context("what shall be run?")?;
            return fed[server(index)?].eval(chunk).await;
        }
        "shell" => {
            let (index, line) = rest.split_once(' ').context("which command?")?;
            return Ok(json!(fed[server(index)?].shell(line).await?.out));
        }
        _ => bail!("unknown command {verb:?}"),
    }
    Ok(Value::Null)
}
