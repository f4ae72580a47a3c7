//! `KEEP=1`: how to take part with an own client, and waiting for Ctrl-C.

use anyhow::{Context, Result};
use dmuc_testbed::Federation;

use crate::terminal::Terminal;

pub async fn wait_for_interrupt(fed: &Federation, terminal: Terminal) -> Result<()> {
    let interrupt = tokio::signal::ctrl_c();
    terminal.act("Take part");
    terminal.tell("The servers stay up, and most of the company is still in the room.");
    terminal.tell("Connect a client of your own; give it address and port by hand:");
    terminal.plain("");
    for server in fed.servers() {
        terminal.plain(&format!(
            "    you@{:<15} at {}, port 5222: {}",
            server.domain(),
            server.address(),
            server.room("coven")
        ));
    }
    let first = &fed[1];
    terminal.plain("");
    terminal.tell("Any name is an account, any password is right. crone1@shakespeare.lit owns the");
    terminal.tell("room. TLS is offered, with certificates of this CA:");
    terminal.plain(&format!("    {}", fed.dir().join("pki/ca.crt").display()));
    terminal.tell("For example with profanity:");
    terminal.plain(&format!(
        "    /connect me@{} server {} port 5222 tls trust",
        first.domain(),
        first.address()
    ));
    terminal.plain(&format!("    /join {}", first.room("coven")));
    terminal.tell(&format!("Logs and data: {}", fed.dir().display()));
    terminal.plain("");
    terminal.strong("  Ctrl-C ends it.");
    interrupt.await.context("waiting for Ctrl-C")?;
    terminal.plain("");
    Ok(())
}
