//! `prosodyctl mod_dmuc check`: what an administrator got wrong, in a line each that says what to do, with the exit status of
//! `prosodyctl check`.

use std::fs;
use std::net::TcpListener;

use anyhow::{Context, Result};
use dmuc_testbed::{Federation, Said, Version, on_every_version};

const MUC: &str = "chat.shakespeare.lit";
const PEER: &str = "rooms.macbeth.lit";

fn two(label: &str, version: Version) -> dmuc_testbed::Builder {
    Federation::builder()
        .servers(2)
        .label(label)
        .version(version)
        .dmuc(true)
        .with_server(0, |spec| spec.modules.push("admin_shell".to_owned()))
}

async fn check(fed: &Federation) -> Result<Said> {
    fed[0].prosodyctl(&["mod_dmuc", "check"]).await
}

/// The lines about something: without titles and without the end.
fn findings(said: &Said) -> Vec<&str> {
    let lines = said.out.lines();
    lines.filter_map(|line| line.strip_prefix("    ")).collect()
}

fn expect_problem(said: &Said, what: &str, words: &[&str]) {
    let found = findings(said);
    let is_it = |line: &&&str| !line.starts_with("Note: ") && words.iter().all(|word| line.contains(word));
    assert!(found.iter().any(|line| is_it(&line)), "{what}: {said:?}");
    assert_eq!(said.status, 2, "{what}: {said:?}");
    assert!(
        said.out.contains("Problems found, see above."),
        "{what}: {said:?}"
    );
    assert!(
        !said.out.contains("traceback") && said.err.is_empty(),
        "{what}: {said:?}"
    );
}

fn expect_fine(said: &Said) {
    let found = findings(said);
    assert!(found.iter().all(|line| line.starts_with("Note: ")), "{said:?}");
    assert_eq!(said.status, 0, "{said:?}");
    assert!(
        said.out.contains("All checks passed, congratulations!"),
        "{said:?}"
    );
    assert!(said.err.is_empty(), "{said:?}");
}

/// What is written wrong: in place of which text of the configuration stands what, and what is said of it.
fn mistakes() -> Vec<(&'static str, String, &'static [&'static str])> {
    let peers = "dmuc_peers = { \"rooms.macbeth.lit\" }";
    let with = |line: &str| format!("{peers}\n{line}");
    let instead = |line: &str| line.to_owned();
    vec![
        (
            peers,
            instead("dmuc_peer = { \"rooms.macbeth.lit\" }"),
            &["dmuc_peer is not an option", "did you mean dmuc_peers?"],
        ),
        (
            peers,
            with("dmuc_link_timout = 30"),
            &["did you mean dmuc_link_timeout?"],
        ),
        (
            peers,
            with("dmuc_link_timeout = \"1m\""),
            &["dmuc_link_timeout", "1m"],
        ),
        (
            peers,
            with("dmuc_offer_choice = \"yes\""),
            &["dmuc_offer_choice = yes", "true or false"],
        ),
        (
            peers,
            instead(""),
            &["dmuc_peers names no other service", "name the MUC services"],
        ),
        (
            peers,
            instead(
                "dmuc_peers = { [\"Rooms.macbeth.lit\"] = { trusted = false }; [\"rooms.macbeth.lit\"] = { trusted = true } }",
            ),
            &["2 times", "leave one of them"],
        ),
        (
            peers,
            instead("dmuc_peers = { \"chat.nowhere.lit\" }"),
            &["chat.nowhere.lit", "cannot be resolved"],
        ),
        (
            peers,
            with("storage = \"memory\""),
            &["storage is \"memory\"", "are gone after a restart", "internal"],
        ),
        (
            "s2s_secure_auth = true",
            instead("s2s_secure_auth = false"),
            &["s2s_secure_auth is off", "set s2s_secure_auth = true"],
        ),
        (
            "s2s_secure_auth = true",
            instead("s2s_secure_auth = true\ns2s_insecure_domains = { \"rooms.macbeth.lit\" }"),
            &["s2s_insecure_domains", "take them out"],
        ),
        (
            "s2s_secure_auth = true",
            instead("s2s_secure_auth = true\ns2s_stanza_size_limit = 65536"),
            &["s2s_stanza_size_limit is 65536", "raise it"],
        ),
        (
            "\"s2s_bidi\"",
            instead("\"s2s_bidi\"; \"s2s\""),
            &["s2s is among modules_disabled", "take it out"],
        ),
        (
            "\"pep\";",
            instead("\"pep\"; \"dmuc\";"),
            &["dmuc is among the global modules_enabled", "move it"],
        ),
        (
            "modules_enabled = { \"admin_shell\" }",
            instead("modules_enabled = { \"admin_shell\"; \"dmuc\" }"),
            &["shakespeare.lit, which is no MUC component", "move it"],
        ),
        (
            "modules_enabled = { \"dmuc\"; \"muc_mam\" }",
            instead("modules_enabled = { \"muc_mam\" }"),
            &["No MUC service has dmuc", "add it"],
        ),
        (
            "Component \"chat.shakespeare.lit\" \"muc\"",
            instead("Component \"talk.shakespeare.lit\" \"muc\""),
            &["talk.shakespeare.lit", "not for that name"],
        ),
    ]
}

async fn configured_wrongly(version: Version) -> Result<()> {
    let fed = two("check-config", version).prepare().await?;
    let file = fed[0].config_file();
    let right = fs::read_to_string(&file)?;
    fed.link(0, 1).cut().await;
    // The servers do not run: of that there is only a note, and of the peer's port that nobody listens.
    let said = check(&fed).await?;
    expect_problem(&said, "nobody listens", &[PEER, "takes no connections"]);
    assert!(
        said.has(&["Note: ", "it does not run, or admin_shell is not enabled"]),
        "{said:?}"
    );
    let others = findings(&said)
        .into_iter()
        .filter(|line| !line.starts_with("Note: "));
    assert_eq!(others.count(), 1, "{said:?}");
    for (text, wrong, words) in mistakes() {
        assert!(
            right.contains(text),
            "{text} is not in the configuration: {right}"
        );
        fs::write(&file, right.replace(text, &wrong))?;
        expect_problem(&check(&fed).await?, &wrong, words);
    }
    // Worth knowing, and no mistake.
    fs::write(
        &file,
        format!("{right}enforce_registered_nickname = true\n").replace("; \"muc_mam\"", ""),
    )?;
    let said = check(&fed).await?;
    assert!(
        said.has(&["Note: ", "enforce_registered_nickname", "alike"]),
        "{said:?}"
    );
    assert!(said.has(&["Note: ", "muc_mam is not enabled", MUC]), "{said:?}");
    let said = fed[0].prosodyctl(&["mod_dmuc"]).await?;
    assert!(
        said.status == 1 && said.has(&["Usage: prosodyctl mod_dmuc check"]),
        "{said:?}"
    );
    fed.finish_fast()
}

/// A peer whose port for Direct TLS (XEP-0368) alone takes connections can be reached.
async fn direct_tls(version: Version) -> Result<()> {
    let fed = two("check-direct", version).prepare().await?;
    fed.link(0, 1).cut().await;
    let hosts = fs::read_to_string(fed[0].dir().join("hosts"))?;
    let line = hosts.lines().find(|line| line.ends_with(PEER));
    let address = line
        .and_then(|line| line.split(' ').next())
        .context("no address")?;
    let listener = TcpListener::bind((address, 0))?;
    let port = listener.local_addr()?.port();
    let file = fed[0].config_file();
    let right = fs::read_to_string(&file)?;
    for (target, is_reached) in [(PEER, true), ("", false)] {
        let record = format!("_xmpps-server._tcp.{PEER}. SRV 0 0 {port} {target}.");
        let zone = "[\"local-zone:\"] = \"lit. static\"";
        assert!(right.contains(zone), "{right}");
        let config = right.replace(zone, &format!("{zone}; [\"local-data:\"] = '{record}'"));
        fs::write(&file, config)?;
        let said = check(&fed).await?;
        match is_reached {
            true => expect_fine(&said),
            false => expect_problem(&said, "no Direct TLS", &[PEER, "takes no connections"]),
        }
    }
    fed.finish_fast()
}

async fn running(version: Version) -> Result<()> {
    let fed = two("check-running", version)
        .muc_line("dmuc_ping_interval = 1")
        .muc_line("dmuc_link_timeout = 3")
        .start()
        .await?;
    crate::support::linked(&fed).await?;
    expect_fine(&check(&fed).await?);
    let fine = fed[0].shell("dmuc:check()").await?;
    assert!(fine.has(&[MUC, PEER, "fine"]), "{fine:?}");

    // The peer names others, has no module, or cannot be reached.
    fed[1]
        .eval(&format!(
            "require 'core.configmanager'.set('{PEER}', 'dmuc_peers', {{ 'chat.kyd.lit' }}) return true"
        ))
        .await?;
    fed[1].reload_module(PEER, "dmuc").await?;
    let said = check(&fed).await?;
    expect_problem(&said, "not named", &[PEER, "its dmuc_peers has to name", MUC]);
    fed[1].unload_module(PEER, "dmuc").await?;
    let said = fed[0].shell(&format!("dmuc:check(\"{PEER}\")")).await?;
    assert!(said.has(&[PEER, "mod_dmuc has to be loaded"]), "{said:?}");
    fed.link(0, 1).cut().await;
    let said = check(&fed).await?;
    expect_problem(&said, "cut", &[PEER, "takes no connections"]);
    let said = fed[0]
        .prosodyctl(&["shell", "dmuc", "check", "chat.kyd.lit"])
        .await?;
    assert!(
        said.err
            .contains("dmuc_peers names chat.kyd.lit for no MUC service here"),
        "{said:?}"
    );
    fed.finish().await
}

/// With the options as they are by default, a link counts as up for a minute after it has begun to swallow everything.
async fn swallowed(version: Version) -> Result<()> {
    let fed = two("check-silent", version).start().await?;
    crate::support::linked(&fed).await?;
    fed.link(0, 1).swallow().await;
    let said = check(&fed).await?;
    expect_problem(&said, "silent", &[PEER, "has not answered within 12 s"]);
    let links = fed[0].shell("dmuc:links()").await?;
    assert!(links.has(&[PEER, "up"]), "the engine is more patient: {links:?}");
    let said = fed[0].shell("dmuc:check()").await?;
    assert!(said.has(&[MUC, PEER, "has not answered within 12 s"]), "{said:?}");
    assert!(said.has(&["1 link with problems"]), "{said:?}");
    fed.finish().await
}

async fn too_small(version: Version) -> Result<()> {
    let fed = two("check-limits", version)
        .with_server(1, |spec| {
            spec.muc_lines.push("dmuc_max_stanza_size = 65536".to_owned());
            spec.clock_ahead_s = 600;
        })
        .start()
        .await?;
    crate::support::linked(&fed).await?;
    let said = check(&fed).await?;
    expect_problem(&said, "limit", &[PEER, "65536", "set dmuc_max_stanza_size alike"]);
    expect_problem(&said, "clock", &[PEER, "600 s ahead", "NTP"]);
    fed.finish().await
}

on_every_version! {
    fn every_mistake_in_the_configuration_is_told_with_its_remedy(version) {
        configured_wrongly(version).await
    }

    fn a_peer_with_direct_tls_alone_can_be_reached(version) {
        direct_tls(version).await
    }

    fn links_are_checked_where_the_server_runs(version) {
        running(version).await
    }

    fn a_link_that_swallows_everything_is_not_fine(version) {
        swallowed(version).await
    }

    fn what_two_services_have_not_alike_is_told(version) {
        too_small(version).await
    }
}
