//! One screen: what the same conversation cost on plain MUC and on the distributed room.

use anyhow::{Result, ensure};

use crate::tally::{Cost, Tally, Way};
use crate::terminal::Terminal;

const WAYS: [(Way, &str); 6] = [
    ((0, 1), "shakespeare -> macbeth"),
    ((1, 0), "macbeth -> shakespeare"),
    ((0, 2), "shakespeare -> marlowe"),
    ((2, 0), "marlowe -> shakespeare"),
    ((1, 2), "macbeth -> marlowe"),
    ((2, 1), "marlowe -> macbeth"),
];

pub fn print(terminal: Terminal, plain: &Tally, dmuc: &Tally) -> Result<()> {
    terminal.act("What crossed the links: plain MUC and distributed, both counted");
    terminal.plain(&format!("{:>45}{:>24}", "plain MUC", "distributed"));
    terminal.plain(&row_of_text("", "stanzas", "bytes", "stanzas", "bytes"));
    table(terminal, "per message", &plain.messages, &dmuc.messages);
    table(terminal, "per join", &plain.joins, &dmuc.joins);
    let setup = dmuc.setup.total();
    terminal.plain("");
    terminal.plain(&format!(
        "  To make the two shadows, once: {} stanzas, {} bytes.",
        setup.stanzas, setup.bytes
    ));
    terminal.plain("  Each side sent a third of the messages. Distributed, each crossed once to each");
    terminal.plain("  of the two other servers, whatever the number of occupants there.");
    ensure!(
        plain.messages.events == dmuc.messages.events && plain.joins.events == dmuc.joins.events,
        "the performances differ"
    );
    // Each message leaves its server once for each of the two others (G1).
    let expected = dmuc.messages.events * 2;
    let found = dmuc.messages.total().stanzas;
    ensure!(
        found == expected,
        "{found} stanzas for {} messages, not {expected}",
        dmuc.messages.events
    );
    Ok(())
}

fn table(terminal: Terminal, what: &str, plain: &Cost, dmuc: &Cost) {
    let times = plain.events;
    terminal.strong(&format!("  {what}, mean of {times}"));
    for (way, name) in WAYS {
        terminal.plain(&row(name, plain.per_event(way), dmuc.per_event(way)));
    }
    let all = row("all links", plain.per_event_in_all(), dmuc.per_event_in_all());
    terminal.strong(&all);
}

fn row(name: &str, plain: (f64, f64), dmuc: (f64, f64)) -> String {
    let stanzas = |count: f64| format!("{count:.2}");
    let bytes = |count: f64| format!("{count:.0}");
    row_of_text(
        name,
        &stanzas(plain.0),
        &bytes(plain.1),
        &stanzas(dmuc.0),
        &bytes(dmuc.1),
    )
}

fn row_of_text(name: &str, a: &str, b: &str, c: &str, d: &str) -> String {
    format!("    {name:<24} {a:>10} {b:>9}   {c:>12} {d:>9}")
        .trim_end()
        .to_owned()
}
