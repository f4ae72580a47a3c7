//! docs/OPERATING.md: every configuration in it is loaded, and every command is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use dmuc_testbed::{Federation, Said, Version, on_every_version};

fn page() -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/OPERATING.md");
    fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
}

/// The blocks of code in one language, without what they are indented by.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}");
    let mut found = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(indent) = line.strip_suffix(&fence) else {
            continue;
        };
        let inside = lines
            .by_ref()
            .map(|line| line.strip_prefix(indent).unwrap_or(line));
        let block: Vec<&str> = inside.take_while(|line| !line.starts_with("```")).collect();
        found.push(block.join("\n"));
    }
    found
}

/// The commands of the shell that are named: `dmuc:name(` and `shell dmuc name`.
fn commands(page: &str) -> BTreeSet<String> {
    let after = |start: &str| {
        let parts = page.split(start).skip(1).map(str::to_owned).collect::<Vec<_>>();
        parts.into_iter().filter_map(|rest| {
            let name: String = rest
                .chars()
                .take_while(|c| c.is_ascii_lowercase() || *c == '_')
                .collect();
            (!name.is_empty()).then_some(name)
        })
    };
    after("dmuc:").chain(after("shell dmuc ")).collect()
}

/// What `prosodyctl mod_dmuc check` has against modules and options.
fn complaints(said: &Said) -> Vec<&str> {
    let mut is_meant = false;
    let mut found = Vec::new();
    for line in said.out.lines() {
        match line.strip_prefix("    ") {
            Some(text) if is_meant && !text.starts_with("Note: ") => found.push(text),
            Some(_) => {}
            None => {
                is_meant = line.starts_with("Checking modules") || line.starts_with("Checking the options")
            }
        }
    }
    found
}

/// Prosody does not take an option twice: a configuration without those that a block sets.
fn without(configuration: &str, block: &str) -> String {
    let options: Vec<&str> = block
        .lines()
        .filter_map(|line| line.split(" = ").next())
        .collect();
    let is_set = |line: &&str| {
        options
            .iter()
            .any(|option| line.starts_with(&format!("{option} = ")))
    };
    let kept: Vec<&str> = configuration.lines().filter(|line| !is_set(line)).collect();
    kept.join("\n")
}

async fn kept_up(version: Version) -> Result<()> {
    let fed = Federation::builder()
        .servers(1)
        .label("operating")
        .version(version)
        .dmuc(true)
        .muc_line("dmuc_peers = { \"rooms.macbeth.lit\" }")
        .with_server(0, |spec| spec.modules.push("admin_shell".to_owned()))
        .start()
        .await?;
    let page = page()?;
    let configurations = blocks(&page, "lua");
    assert!(configurations.len() >= 5, "{configurations:?}");
    let file = fed[0].config_file();
    let ours = fs::read_to_string(&file)?;
    let (global, hosts) = ours.split_once("\nVirtualHost").context("no host")?;
    let (users, muc) = hosts.split_once("\nComponent").context("no component")?;
    for block in configurations {
        let tried = match block.contains("Component ") {
            true => format!("{global}\nVirtualHost{users}\n{block}\n"),
            false => format!(
                "{}\n{block}\nVirtualHost{users}\nComponent{muc}",
                without(global, &block)
            ),
        };
        fs::write(&file, tried)?;
        let said = fed[0].prosodyctl(&["check", "config"]).await?;
        assert!(
            said.out.contains("Checking config...") && said.out.contains("Done."),
            "{block}: {said:?}"
        );
        let said = fed[0].prosodyctl(&["mod_dmuc", "check"]).await?;
        assert!(said.out.contains("Checking the options of"), "{block}: {said:?}");
        assert_eq!(complaints(&said), [""; 0], "{block}");
    }
    fs::write(&file, &ours)?;
    let help = fed[0].shell("dmuc:help()").await?;
    let named = commands(&page);
    assert!(named.contains("retract") && named.contains("links"), "{named:?}");
    for name in named {
        assert!(
            help.has(&[&format!("dmuc:{name}(")]),
            "{name} is no command: {help:?}"
        );
    }
    // Those in blocks are run as they are: nothing but the peer is missing here.
    for line in blocks(&page, "sh").iter().flat_map(|block| block.lines()) {
        let Some(args) = line.strip_prefix("prosodyctl shell ") else {
            continue;
        };
        let args: Vec<&str> = ["shell"].into_iter().chain(args.split_whitespace()).collect();
        let said = fed[0].prosodyctl(&args).await?;
        let is_known = ["is not distributed", "dmuc_peers names this service"]
            .iter()
            .any(|words| said.err.contains(words));
        assert!(said.status == 0 || is_known, "{line}: {said:?}");
    }
    fed.finish().await
}

on_every_version! {
    fn what_the_page_says_is_so(version) {
        kept_up(version).await
    }
}
