//! What an administrator gets wrong without any value being wrong: one warning each, which names the option and what to do.

use anyhow::Result;
use dmuc_testbed::{Federation, Server, Version, on_every_version};

const MUC: &str = "chat.shakespeare.lit";

/// Sets an option and reloads the module; a line like `says` follows, once. Puts the option back.
async fn warns(server: &Server, host: &str, option: &str, value: &str, says: &str) -> Result<()> {
    let set = |value: &str| {
        let code = format!(
            "local config = require 'core.configmanager'; \
             local before = rawget(config.getconfig(), '{host}')['{option}']; \
             config.getconfig()['{host}']['{option}'] = {value}; \
             package.loaded.option_before = before; return true"
        );
        async move { server.eval(&code).await }
    };
    set(value).await?;
    let mark = server.log().mark();
    server.reload_module(MUC, "dmuc").await?;
    server
        .log()
        .wait_since(mark, says, dmuc_testbed::deadline())
        .await?;
    let lines = server.log().lines_since(mark);
    let warnings: Vec<&String> = lines
        .iter()
        .filter(|line| line.contains(&format!("{MUC}:dmuc")) && line.contains("warn"))
        .collect();
    assert_eq!(warnings.len(), 1, "{option} = {value}: {warnings:#?}");
    assert!(warnings[0].contains(option), "{option} = {value}: {warnings:#?}");
    set("package.loaded.option_before").await?;
    Ok(())
}

async fn mistakes(version: Version) -> Result<()> {
    let fed = Federation::builder()
        .servers(2)
        .label("mistakes")
        .version(version)
        .dmuc(true)
        .start()
        .await?;
    let server = &fed[0];
    server
        .wait_for_log(r"Loaded: 1 peer \(rooms\.macbeth\.lit\), 0 distributed rooms")
        .await?;
    for (host, option, value, says) in [
        // Nearest names.
        (MUC, "dmuc_link_timout", "30", "did you mean dmuc_link_timeout\\?"),
        ("*", "dmuc_peer", "{}", "did you mean dmuc_peers\\?"),
        (MUC, "dmcu_peers", "{}", "did you mean dmuc_peers\\?"),
        (MUC, "dmuc-room-id", "'name'", "did you mean dmuc_room_id\\?"),
        (MUC, "DMUC_PEERS", "{}", "did you mean dmuc_peers\\?"),
        (MUC, "dmuc_frobnicate_everything", "1", "its README lists them"),
        // Nobody, or in the wrong place.
        (MUC, "dmuc_peers", "{}", "names no other service"),
        (MUC, "dmuc_peers", "nil", "names no other service"),
        // One service twice.
        (
            MUC,
            "dmuc_peers",
            "{ ['rooms.macbeth.lit'] = { trusted = true }; ['Rooms.Macbeth.lit'] = { domains = { 'macbeth.lit' } } }",
            "rooms.macbeth.lit 2 times",
        ),
        // The domain of the users, and that beside the right one.
        (
            MUC,
            "dmuc_peers",
            "{ 'macbeth.lit' }",
            "macbeth.lit, which is not a MUC service: did you mean rooms.macbeth.lit\\?",
        ),
        (
            MUC,
            "dmuc_peers",
            "{ 'macbeth.lit'; 'rooms.macbeth.lit' }",
            "but rooms.macbeth.lit is, which is named as well: take macbeth.lit out",
        ),
        // Somebody else's users.
        (
            MUC,
            "dmuc_serve",
            "{ 'marlowe.lit' }",
            "marlowe.lit, which is not a host of this server",
        ),
        // What does not last.
        (
            MUC,
            "storage",
            "'memory'",
            "storage is \"memory\" for the stores persistent, config, dmuc, dmuc_list, dmuc_log",
        ),
        (
            MUC,
            "storage",
            "{ dmuc_log = 'none' }",
            "storage is \"none\" for the store dmuc_log",
        ),
        // Who is believed to be a peer.
        ("*", "s2s_secure_auth", "false", "s2s_secure_auth is off"),
        (
            "*",
            "s2s_insecure_domains",
            "{ 'rooms.macbeth.lit' }",
            "take them out",
        ),
    ] {
        warns(server, host, option, value, says).await?;
    }
    // What is right is not spoken of: the same service in another case, and periods.
    for (option, value) in [
        ("dmuc_peers", "{ 'rooms.macbeth.lit'; 'Rooms.Macbeth.lit' }"),
        ("dmuc_link_timeout", "'30 minutes'"),
        ("dmuc_occupant_timeout", "'1w'"),
        ("dmuc_log_max_age", "'1h'"),
    ] {
        server
            .eval(&format!(
                "require 'core.configmanager'.set('{MUC}', '{option}', {value}) return true"
            ))
            .await?;
        let mark = server.log().mark();
        server.reload_module(MUC, "dmuc").await?;
        server
            .log()
            .wait_since(mark, "Loaded: 1 peer", dmuc_testbed::deadline())
            .await?;
        let lines = server.log().lines_since(mark);
        let about = |line: &&String| line.contains(&format!("{MUC}:dmuc")) && line.contains("warn");
        assert_eq!(lines.iter().filter(about).count(), 0, "{lines:#?}");
    }
    fed.finish().await
}

on_every_version! {
    fn mistakes_in_a_configuration_are_one_warning_each(version) {
        mistakes(version).await
    }
}
