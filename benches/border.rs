//! What the border between Lua and Rust costs per groupchat, measured inside Lua (`border.lua`).

mod report;

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use dmuc_testbed::Version;

/// Microseconds per groupchat, at two peers (the XEP's federation).
const BAR_US: f64 = 25.0;
const MEASURED_AGAINST_BAR: &str = "out, 2 peers: payload, engine, actions";

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("border: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What border.lua printed: its values by name, in order.
fn run(version: Version) -> Result<Vec<(String, Vec<f64>)>> {
    let plugin = report::root().join("target/plugin/mod_dmuc");
    ensure!(plugin.join("dmuc.so").exists(), "no dmuc.so: run 'make plugin'");
    let output = Command::new(version.lua())
        .arg(report::root().join("benches/border.lua"))
        .arg(plugin)
        .arg(version.prefix().join("usr/lib/prosody"))
        .arg("20000")
        .output()
        .context("starting lua5.4")?;
    if !output.status.success() {
        bail!("border.lua: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8(output.stdout)?;
    let line = |line: &str| {
        let mut cells = line.split('\t');
        let name = cells.next().unwrap_or_default().to_owned();
        let values = cells.map(str::parse).collect::<Result<Vec<f64>, _>>()?;
        Ok((name, values))
    };
    text.lines().map(line).collect()
}

fn measure() -> Result<()> {
    let versions = Version::all();
    let names = versions
        .iter()
        .map(|version| format!("util.stanza of Prosody {version}"));
    let mut names: Vec<String> = names.collect();
    names.push("Lua 5.4".to_owned());
    let circumstances = report::Circumstances::at_start("border", names);
    let mut sizes = BTreeMap::new();
    let mut table = report::Table::new(&["CPU per groupchat", "Prosody", "best of 10", "mean"]);
    let mut bars = report::Table::new(&["bar", "Prosody", "measured", ""]);
    for version in versions {
        let installed = version.number().to_owned();
        let mut measured = None;
        for (name, values) in run(*version)? {
            match values[..] {
                [size] => drop(sizes.insert(name, size)),
                [best, mean] => {
                    if name == MEASURED_AGAINST_BAR {
                        measured = Some(best);
                    }
                    table.row([
                        name,
                        installed.clone(),
                        format!("{best:.1} us"),
                        format!("{mean:.1} us"),
                    ]);
                }
                _ => bail!("border.lua said {name}: {values:?}"),
            }
        }
        let best = measured.context("border.lua did not measure what the bar is for")?;
        bars.row([
            format!("border cost per groupchat under {BAR_US} us"),
            installed,
            format!("{best:.1} us"),
            report::verdict(best < BAR_US),
        ]);
    }
    let sizes: Vec<String> = sizes
        .iter()
        .map(|(name, size)| format!("{name}: {size}"))
        .collect();
    let body = format!(
        "The real `dmuc.so`, `engine.lib.lua` and `stanzas.lib.lua` in a Lua process: the children of the message become \
         text,\nthe engine numbers, logs and routes it, its actions are drained as tables. {}.\n\n{}\n{}",
        sizes.join(", "),
        table.text(),
        bars.text()
    );
    report::write("border", "The border between Lua and Rust", &circumstances, &body)
}
