//! What an administrator gets wrong: options, the place of the module, its library. The module does not load, and one
//! line of the log says what to do; the service goes on as an ordinary one.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use dmuc_testbed::{Federation, Server, Version, on_every_version};

const MUC: &str = "chat.shakespeare.lit";

/// Loads the module, which must fail; returns the lines of level error.
async fn complaint(server: &Server, host: &str) -> Result<Vec<String>> {
    let mark = server.log().mark();
    let loaded = server.load_module(host, "dmuc").await;
    assert!(loaded.is_err(), "it was loaded");
    assert!(!server.is_loaded(host, "dmuc").await?);
    // The log is written before the answer, but read beside it.
    server
        .log()
        .wait_since(mark, "Error initializing module 'dmuc'", dmuc_testbed::deadline())
        .await?;
    let about = |line: &String| {
        line.contains("error\t") || line.starts_with("stack traceback") || line.contains("attempt to")
    };
    Ok(server.log().lines_since(mark).into_iter().filter(about).collect())
}

async fn set(server: &Server, option: &str, value: &str) -> Result<()> {
    server
        .eval(&format!(
            "require 'core.configmanager'.set('{MUC}', '{option}', {value}) return true"
        ))
        .await
        .map(|_| ())
}

async fn wrong_options(version: Version) -> Result<()> {
    let fed = Federation::builder()
        .servers(1)
        .label("options")
        .version(version)
        .component(0, "echo.shakespeare.lit", "secret")
        .start()
        .await?;
    let server = &fed[0];
    let number = "a whole number";
    for (option, value, shown, accepted) in [
        (
            "dmuc_peers",
            "'rooms.macbeth.lit'",
            "\"rooms.macbeth.lit\"",
            "a list of service JIDs",
        ),
        (
            "dmuc_peers",
            "{ 'witch@macbeth.lit' }",
            "\"witch@macbeth.lit\"",
            "a list of service JIDs",
        ),
        (
            "dmuc_peers",
            "{ 'chat.shakespeare.lit' }",
            MUC,
            "other than this one",
        ),
        ("dmuc_peers", "{ 7 }", "7", "a list of service JIDs"),
        (
            "dmuc_peers",
            "{ ['rooms.macbeth.lit'] = { trust = true } }",
            "trust = true",
            "trusted",
        ),
        (
            "dmuc_replicate",
            "'later'",
            "\"later\"",
            "\"immediately\" or \"on-join\"",
        ),
        ("dmuc_replicate", "true", "true", "\"immediately\" or \"on-join\""),
        (
            "dmuc_room_id",
            "'random'",
            "\"random\"",
            "\"uuid\" or \"sha256\" or \"name\"",
        ),
        ("dmuc_shadow_names", "'all'", "\"all\"", "\"opaque\" or \"any\""),
        (
            "dmuc_own_domains",
            "{ 7 }",
            "7",
            "a domain of this server's users",
        ),
        ("dmuc_redirect", "'force'", "\"force\"", "\"invite\" or \"off\""),
        ("dmuc_redirect", "false", "false", "\"invite\" or \"off\""),
        ("dmuc_redirect_after", "-1", "-1", number),
        ("dmuc_ping_interval", "0", "0", number),
        ("dmuc_link_timeout", "'1m'", "\"1m\"", "\"30 minutes\""),
        ("dmuc_link_timeout", "'2 hours'", "\"2 hours\"", number),
        (
            "dmuc_split_presence",
            "'hide'",
            "\"hide\"",
            "\"away\" or \"keep\" or \"leave\"",
        ),
        ("dmuc_log_max_age", "1.5", "1.5", number),
        ("dmuc_log_max_messages", "1", "1", number),
        ("dmuc_max_shadows", "'many'", "\"many\"", number),
        ("dmuc_max_remote_occupants", "{}", "{", number),
        ("dmuc_max_peerhosts", "0", "0", number),
        ("dmuc_max_shadows_per_peer", "-1", "-1", number),
        ("dmuc_max_occupants_per_peer", "'few'", "\"few\"", number),
        ("dmuc_max_bytes_per_peer", "7", "7", number),
        ("dmuc_max_questions", "0", "0", number),
        ("dmuc_max_unsent", "1.5", "1.5", number),
        ("dmuc_max_presence_bytes_per_peer", "7", "7", number),
        ("dmuc_max_listed_per_peer", "-1", "-1", number),
        ("dmuc_max_roster_bytes_per_peer", "'big'", "\"big\"", number),
        ("dmuc_max_voice_requests", "0", "0", number),
        ("dmuc_max_lives", "{}", "{", number),
        ("dmuc_max_origins", "1001", "1001", number),
        ("dmuc_max_split_notices", "0", "0", number),
        ("dmuc_max_stanzas", "9", "9", number),
        ("dmuc_max_stanza_size", "3", "3", number),
        ("dmuc_default_distributed", "'yes'", "yes", "true or false"),
        ("dmuc_offer_choice", "1", "1", "true or false"),
        ("dmuc_rewrite_invitations", "'no'", "no", "true or false"),
        ("dmuc_serve", "'some'", "some", "user hosts"),
        ("dmuc_serve", "true", "true", "user hosts"),
        (
            "dmuc_serve",
            "{ 'crone1@shakespeare.lit' }",
            "crone1@shakespeare.lit",
            "user hosts",
        ),
    ] {
        set(server, option, value).await?;
        let lines = complaint(server, MUC).await?;
        assert_eq!(lines.len(), 1, "{option} = {value}: {lines:#?}");
        let said = &lines[0];
        assert!(
            said.contains(&format!("{option} = "))
                && said.contains(shown)
                && said.contains("accepted is")
                && said.contains(accepted),
            "{option} = {value}: {said}"
        );
        set(server, option, "nil").await?;
    }
    // Where it does not belong.
    let lines = complaint(server, "shakespeare.lit").await?;
    assert!(
        lines.len() == 1 && lines[0].contains("MUC component") && lines[0].contains("modules_enabled"),
        "{lines:?}"
    );
    let lines = complaint(server, "echo.shakespeare.lit").await?;
    assert!(
        lines.len() == 1 && lines[0].contains("MUC component, which echo.shakespeare.lit is not"),
        "{lines:?}"
    );
    // The service was never hurt, and with the options corrected the module loads.
    let crone = server.client("crone1", "desktop").await?;
    crone
        .create_room(&server.room("coven"), "firstcrone", &[])
        .await?;
    server.load_module(MUC, "dmuc").await?;
    // A change that is wrong leaves what was in force before.
    set(server, "dmuc_room_id", "'random'").await?;
    let mark = server.log().mark();
    server.reload_module(MUC, "dmuc").await?;
    server
        .log()
        .wait_since(mark, "the options from before stay", dmuc_testbed::deadline())
        .await?;
    assert!(server.is_loaded(MUC, "dmuc").await?);
    crone.say_and_see(&server.room("coven"), "Double, double").await?;
    set(server, "dmuc_room_id", "nil").await?;
    server.reload_module(MUC, "dmuc").await?;
    fed.finish_with_errors().await
}

on_every_version! {
    fn a_wrong_option_is_named_in_one_line_with_what_is_accepted(version) {
        wrong_options(version).await
    }
}

/// Copies the plugin without its library.
fn copy_without_library(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).context("make plugin")? {
        let path = entry?.path();
        if path.extension().is_some_and(|ext| ext == "lua") {
            fs::copy(&path, to.join(path.file_name().unwrap_or_default()))?;
        }
    }
    Ok(())
}

async fn wrong_library(version: Version) -> Result<()> {
    let fed = Federation::builder()
        .servers(1)
        .label("library")
        .version(version)
        .prepare()
        .await?;
    let server = &fed[0];
    let config = fs::read_to_string(server.config_file())?;
    let line = config
        .lines()
        .find(|line| line.starts_with("plugin_paths"))
        .context("plugin_paths")?;
    let plugins = line
        .split('"')
        .find(|part| part.ends_with("target/plugin"))
        .context("target/plugin")?;
    let built = Path::new(plugins).join("mod_dmuc");
    let copy = fed.dir().join("plugin/mod_dmuc");
    copy_without_library(&built, &copy)?;
    let copied = fed.dir().join("plugin").display().to_string();
    fs::write(server.config_file(), config.replace(plugins, &copied))?;
    server.start().await?;

    let library = copy.join("dmuc.so");
    let how_to_build = |lines: &[String]| {
        lines.len() == 1
            && lines[0].contains("dmuc.so")
            && lines[0].contains("make plugin")
            && lines[0].contains("README")
    };
    let lines = complaint(server, MUC).await?;
    assert!(how_to_build(&lines), "{lines:#?}");
    fs::write(&library, "not a library")?;
    let lines = complaint(server, MUC).await?;
    assert!(how_to_build(&lines), "{lines:#?}");
    // One for another Lua, which is never opened.
    let right = fs::read(built.join("dmuc.so"))?;
    let mark = b"+lua54.";
    let at = right
        .windows(mark.len())
        .position(|part| part == mark)
        .context("no mark in dmuc.so")?;
    let mut other = right.clone();
    other[at..at + mark.len()].copy_from_slice(b"+lua51.");
    fs::write(&library, other)?;
    let lines = complaint(server, MUC).await?;
    assert!(
        how_to_build(&lines) && lines[0].contains("built for Lua 5.1") && lines[0].contains("LUA=lua54"),
        "{lines:#?}"
    );
    // One of another build than the Lua files, and files of which nobody knows to which it belongs.
    fs::remove_file(&library)?;
    fs::write(&library, right)?;
    let stamp = copy.join("stamp.lib.lua");
    let right = fs::read_to_string(&stamp)?;
    fs::write(&stamp, right.replacen('"', "\"9", 1))?;
    let lines = complaint(server, MUC).await?;
    assert!(
        how_to_build(&lines) && lines[0].contains("belongs to 9"),
        "{lines:#?}"
    );
    fs::remove_file(&stamp)?;
    let lines = complaint(server, MUC).await?;
    assert!(
        lines.len() == 1 && lines[0].contains("stamp.lib.lua is missing") && lines[0].contains("make plugin"),
        "{lines:#?}"
    );
    fs::write(&stamp, right)?;
    server.load_module(MUC, "dmuc").await?;
    fed.finish_with_errors().await
}

on_every_version! {
    fn a_missing_or_wrong_library_is_one_line_that_says_how_to_build_it(version) {
        wrong_library(version).await
    }
}
