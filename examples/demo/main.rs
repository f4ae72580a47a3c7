//! The story of XEP-0281 on three real Prosody servers, told while it happens, with a link that breaks and heals, and
//! then the same conversation on plain MUC for comparison. `make demo`; with `KEEP=1` the servers stay up for an own client.
//!
//! Whatever is printed was observed: every message and presence is awaited at every client that should get it, and
//! what crossed a link was counted by the sending server. Anything unexpected ends the demo with an error.

mod cast;
mod play;
mod summary;
mod tally;
mod terminal;
mod visit;

use std::process::ExitCode;
use tokio::time::Instant;

use anyhow::{Context, Result};
use dmuc_testbed::{Federation, Version};

use play::Play;
use terminal::Terminal;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where the logs are was printed by the federation as it went down.
            eprintln!("\ndemo: failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The installed Prosody, or what the environment names: `PROSODY=13`, `PROSODY=newest`.
fn version() -> Result<Version> {
    std::env::var("PROSODY").map_or_else(|_| Ok(Version::default()), |name| Version::named(&name))
}

/// Who elects another source when the one there is is gone.
const VOTERS: &str =
    "dmuc_voters = { \"chat.shakespeare.lit\", \"rooms.macbeth.lit\", \"conference.marlowe.lit\" }";

async fn servers(is_distributed: bool) -> Result<Federation> {
    let mut builder = Federation::builder()
        .label(if is_distributed { "demo" } else { "demo-plain" })
        .version(version()?)
        .log_level("info")
        .dmuc(is_distributed);
    if is_distributed {
        // Shadows may be called as the room is; without it the source's service is in their names.
        builder = builder.muc_line("dmuc_shadow_names = \"any\"");
        // A broken link is noticed soon; the defaults are 30 and 60 s.
        for line in ["dmuc_ping_interval = 1", "dmuc_link_timeout = 3", VOTERS] {
            builder = builder.muc_line(line);
        }
        for server in 0..3 {
            builder = builder.with_server(server, |spec| spec.modules.push("admin_shell".to_owned()));
        }
    }
    builder.start().await.context("starting the servers")
}

async fn run() -> Result<()> {
    let started = Instant::now();
    let keep = std::env::var("KEEP").is_ok_and(|value| !matches!(&*value, "" | "0"));
    let terminal = Terminal::for_stdout();

    let fed = servers(true).await?;
    let mut story = Play::new(&fed, true, terminal);
    story.perform().await?;
    let with_dmuc = story.tally();

    terminal.act("The same play on plain MUC");
    terminal.tell("Three more servers, without the module. Everybody joins the one room at");
    terminal.tell("chat.shakespeare.lit; the same people come, say the same and leave.");
    let plain_fed = servers(false).await?;
    let mut plain = Play::new(&plain_fed, false, Terminal::silent());
    plain.perform().await.context("on plain MUC")?;
    let without = plain.tally();
    drop(plain);
    plain_fed.finish().await.context("on plain MUC")?;

    summary::print(terminal, &without, &with_dmuc)?;
    terminal.quiet_line(&format!("{:.1} seconds", started.elapsed().as_secs_f64()));
    if keep {
        visit::wait_for_interrupt(&fed, terminal).await?;
    }
    drop(story);
    fed.finish().await
}
