//! What an administrator sees and does in Prosody's shell: with two MUC services on one server, and before, during and after a
//! cut link.

use anyhow::Result;
use dmuc_testbed::{Federation, Version, on_every_version};

use crate::support::eventually;

const SOURCE: &str = "coven@chat.shakespeare.lit";
const SHADOW: &str = "coven@rooms.macbeth.lit";
const SECOND: &str = "moot.shakespeare.lit";

/// Two servers; the first has a second MUC service with the module.
async fn federation(label: &str, version: Version) -> Result<Federation> {
    Federation::builder()
        .servers(2)
        .label(label)
        .version(version)
        .dmuc(true)
        .muc_line("dmuc_room_id = \"name\"")
        .muc_line("dmuc_shadow_names = \"any\"")
        .muc_line("dmuc_ping_interval = 1")
        .muc_line("dmuc_link_timeout = 3")
        .with_server(0, |spec| {
            spec.modules.push("admin_shell".to_owned());
            spec.muc_lines.push(format!(
                "Component \"{SECOND}\" \"muc\"\nmodules_enabled = {{ \"dmuc\" }}\ndmuc_peers = {{ \"rooms.macbeth.lit\" }}"
            ));
        })
        .with_server(1, |spec| spec.modules.push("admin_shell".to_owned()))
        .start()
        .await
}

async fn founded(fed: &Federation) -> Result<dmuc_testbed::Client> {
    let crone = fed[0].client("crone1", "desktop").await?;
    let config = [
        ("muc#roomconfig_roomname", "A Dark Cave"),
        ("muc#roomconfig_distributed", "1"),
    ];
    crone.create_room(SOURCE, "firstcrone", &config).await?;
    crate::support::replicated(fed, &["rooms.macbeth.lit"]).await?;
    Ok(crone)
}

/// Waits until the line of the shell's answer that has the first word has all others.
pub async fn shows(fed: &Federation, server: usize, command: &str, words: &[&str]) -> Result<()> {
    eventually(&format!("{command} shows {words:?}"), || async {
        Ok(fed[server].shell(command).await?.has(words))
    })
    .await
}

async fn seen_through_a_cut(version: Version) -> Result<()> {
    let fed = federation("shell", version).await?;
    let _crone = founded(&fed).await?;
    let witch = fed[1].client("somewitch", "mobile").await?;
    witch.join(SHADOW, "witch").await?;

    shows(
        &fed,
        0,
        "dmuc:rooms()",
        &[SOURCE, "source", "1 of 1", "A Dark Cave"],
    )
    .await?;
    shows(
        &fed,
        1,
        "dmuc:rooms()",
        &[SHADOW, "shadow", "1 of 1", "A Dark Cave"],
    )
    .await?;
    let one = format!("dmuc:room(\"{SOURCE}\")");
    shows(&fed, 0, &one, &[SHADOW, "in step", "up", "mod_dmuc", "1", "ago"]).await?;
    let at_shadow = format!("dmuc:room(\"{SHADOW}\")");
    shows(&fed, 1, &at_shadow, &[SOURCE, "(source)", "in step"]).await?;
    let link = ["chat.shakespeare.lit", "rooms.macbeth.lit", "up"];
    shows(&fed, 0, "dmuc:links()", &link).await?;
    let said = fed[0].shell("dmuc:parked()").await?;
    assert!(said.has(&["Nothing is parked"]), "{said:?}");

    fed.link(0, 1).cut().await;
    shows(&fed, 0, &one, &[SHADOW, "out of reach", "down"]).await?;
    shows(&fed, 0, "dmuc:rooms()", &[SOURCE, "0 of 1"]).await?;
    let down = ["chat.shakespeare.lit", "rooms.macbeth.lit", "down", "connections"];
    shows(&fed, 0, "dmuc:links()", &down).await?;

    fed.link(0, 1).heal().await;
    shows(&fed, 0, &one, &[SHADOW, "in step", "up"]).await?;
    shows(&fed, 0, "dmuc:links()", &link).await?;
    fed.finish().await
}

async fn for_scripts(version: Version) -> Result<()> {
    let fed = federation("shell-json", version).await?;
    let _crone = founded(&fed).await?;
    shows(&fed, 0, "dmuc:rooms()", &[SOURCE, "1 of 1"]).await?;
    // As an argument of prosodyctl, and as a line.
    let rooms = fed[0]
        .prosodyctl(&["shell", "dmuc", "rooms", "json"])
        .await?
        .json()?;
    assert_eq!(rooms["rooms"][0]["room"], SOURCE);
    assert_eq!(rooms["rooms"][0]["role"], "source");
    assert_eq!(rooms["rooms"][0]["instances"][0]["state"], "agreed");
    assert_eq!(rooms["more"], 0);
    let none = fed[0].shell("dmuc:rooms(\"heath\", \"json\")").await?.json()?;
    assert_eq!(none["rooms"].as_array(), Some(&Vec::new()));
    let room = fed[0]
        .prosodyctl(&["shell", "dmuc", "room", SOURCE, "json"])
        .await?
        .json()?;
    assert_eq!(room["instances"][0]["instance"], SHADOW);
    assert_eq!(room["instances"][0]["speaks"], "ours");
    let links = fed[0].shell("dmuc:links(\"json\")").await?.json()?;
    let services: Vec<&str> = links["links"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|link| link["service"].as_str())
        .collect();
    assert_eq!(services, ["chat.shakespeare.lit", SECOND]);
    for (command, list) in [("parked", "parked"), ("refusals", "rooms")] {
        let said = fed[0].shell(&format!("dmuc:{command}(\"json\")")).await?.json()?;
        assert_eq!(said[list].as_array(), Some(&Vec::new()), "{said}");
    }
    fed.finish().await
}

/// A list that takes long lets the server do something else in between (tests/specs/commands_spec.lua), and is whole all the same:
/// here that is after each room, since every look at the clock says that a second has passed.
async fn long_lists(version: Version) -> Result<()> {
    let fed = federation("shell-long", version).await?;
    let _crone = founded(&fed).await?;
    fed[0]
        .eval("local seconds = 0; os.clock = function () seconds = seconds + 1; return seconds; end; return true")
        .await?;
    for host in ["chat.shakespeare.lit", SECOND] {
        fed[0].reload_module(host, "dmuc").await?;
    }
    shows(&fed, 0, "dmuc:rooms()", &[SOURCE, "source"]).await?;
    fed.finish().await
}

async fn wrong_words(version: Version) -> Result<()> {
    let fed = federation("shell-wrong", version).await?;
    for (line, words) in [
        ("dmuc:room()", "dmuc:room() needs jid"),
        ("dmuc:room(7)", "is a text in quotes"),
        (
            "dmuc:room(\"chat.shakespeare.lit\")",
            "is not the address of a room",
        ),
        (
            "dmuc:room(\"coven@rooms.macbeth.lit\")",
            "is not a MUC service with mod_dmuc here",
        ),
        ("dmuc:room(\"heath@chat.shakespeare.lit\")", "is not distributed"),
        ("dmuc:links(\"a\", \"b\")", "takes 0 arguments at most"),
    ] {
        let said = fed[0].prosodyctl(&["shell", line]).await?;
        assert_ne!(said.status, 0, "{line}: {said:?}");
        assert!(said.err.contains(words), "{line}: {said:?}");
    }
    let help = fed[0].shell("dmuc:help()").await?;
    for words in ["dmuc:rooms([text]) - ", "dmuc:room(jid) - ", "dmuc:links() - "] {
        assert!(help.has(&[words]), "{help:?}");
    }
    if !version.is_0_12() {
        let help = fed[0].shell("help dmuc").await?;
        assert!(help.has(&["dmuc room", "jid"]), "{help:?}");
    }
    fed.finish().await
}

async fn left(version: Version) -> Result<()> {
    let fed = federation("shell-leave", version).await?;
    let crone = founded(&fed).await?;
    let witch = fed[1].client("somewitch", "mobile").await?;
    witch.join(SHADOW, "witch").await?;
    crate::support::together(&fed, &["firstcrone", "witch"]).await?;
    let said = fed[0].prosodyctl(&["shell", "dmuc", "leave", SOURCE]).await?;
    assert!(said.status != 0 && said.err.contains("is the source"), "{said:?}");
    let said = fed[1].prosodyctl(&["shell", "dmuc", "leave", SHADOW]).await?;
    assert!(
        said.status == 0 && said.has(&[SHADOW, "has left", SOURCE]),
        "{said:?}"
    );
    witch
        .expect("an invitation to the source", |s| {
            s.get_child("x", "jabber:x:conference")
                .is_some_and(|x| x.attr("jid") == Some(SOURCE))
        })
        .await?;
    shows(&fed, 0, "dmuc:rooms()", &[SOURCE, "source", "0 of 0"]).await?;
    shows(&fed, 1, "dmuc:rooms()", &["0 distributed rooms"]).await?;
    crone.say(SOURCE, "Alone at last").await?;
    crone.expect_body("Alone at last").await?;
    let said = fed[1].prosodyctl(&["shell", "dmuc", "leave", SHADOW]).await?;
    assert!(said.err.contains("is not distributed"), "{said:?}");
    fed.finish().await
}

async fn name_nobody(fed: &Federation, host: &str) -> Result<()> {
    let chunk = format!("require 'core.configmanager'.set('{host}', 'dmuc_peers', {{}}) return true");
    fed[0].eval(&chunk).await?;
    fed[0].reload_module(host, "dmuc").await
}

async fn steered(version: Version) -> Result<()> {
    let fed = federation("shell-orders", version).await?;
    let crone = founded(&fed).await?;
    let witch = fed[1].client("somewitch", "mobile").await?;
    witch.join(SHADOW, "witch").await?;
    crate::support::together(&fed, &["firstcrone", "witch"]).await?;

    // Out of the room, and in again.
    let peer = "rooms.macbeth.lit";
    let said = fed[0]
        .prosodyctl(&["shell", "dmuc", "retract", SOURCE, peer])
        .await?;
    assert!(
        said.status == 0 && said.has(&[SOURCE, "no instance at", peer]),
        "{said:?}"
    );
    fed[1]
        .wait_for_log(&format!("{SHADOW} was closed by its source"))
        .await?;
    shows(&fed, 0, "dmuc:rooms()", &[SOURCE, "0 of 0"]).await?;
    let room = format!("dmuc:room(\"{SOURCE}\")");
    shows(&fed, 0, &room, &[peer, "was retracted"]).await?;
    fed[0]
        .wait_for_log(&format!("An administrator ordered: {SOURCE} has no instance"))
        .await?;
    fed[0].reload_module("chat.shakespeare.lit", "dmuc").await?;
    shows(&fed, 0, &room, &[peer, "was retracted"]).await?;
    let said = fed[0]
        .prosodyctl(&["shell", "dmuc", "replicate", SOURCE, peer])
        .await?;
    assert!(
        said.status == 0 && said.has(&[SOURCE, "gets an instance at", peer]),
        "{said:?}"
    );
    shows(&fed, 0, &room, &[SHADOW, "in step"]).await?;

    // Over a cut, and at once when it heals: the timers have grown long by then.
    fed.link(0, 1).cut().await;
    shows(&fed, 0, "dmuc:links()", &["chat.shakespeare.lit", peer, "down"]).await?;
    crone.say(SOURCE, "Is anybody there?").await?;
    let said = fed[0].shell(&format!("dmuc:sync(\"{SOURCE}\")")).await?;
    assert!(said.has(&["compare", SOURCE]), "{said:?}");
    fed.link(0, 1).heal().await;
    let said = fed[0].prosodyctl(&["shell", "dmuc", "sync", peer]).await?;
    assert!(
        said.status == 0 && said.has(&["compare everything with", peer]),
        "{said:?}"
    );
    witch.expect_body("Is anybody there?").await?;

    for (args, words) in [
        (["sync", "chat.kyd.lit", ""], "dmuc_peers does not name"),
        (["sync", "a@b@c", ""], "is not the address of a room"),
        (["replicate", SOURCE, "chat.kyd.lit"], "dmuc_peers does not name"),
        (
            ["replicate", SOURCE, "a@rooms.macbeth.lit"],
            "is not the name of a service",
        ),
        (
            ["retract", "heath@chat.shakespeare.lit", peer],
            "is not distributed here",
        ),
        (["forget", peer, ""], "take it out there"),
    ] {
        let args: Vec<&str> = args.into_iter().filter(|arg| !arg.is_empty()).collect();
        let said = fed[0]
            .prosodyctl(&[&["shell", "dmuc"], &args[..]].concat())
            .await?;
        assert!(said.status != 0 && said.err.contains(words), "{args:?}: {said:?}");
    }
    let said = fed[1]
        .prosodyctl(&["shell", "dmuc", "retract", SHADOW, "chat.shakespeare.lit"])
        .await?;
    assert!(said.err.contains("The source of the room decides"), "{said:?}");

    // Gone for good: named no more, and forgotten, as soon as no service here names it.
    name_nobody(&fed, "chat.shakespeare.lit").await?;
    shows(&fed, 0, "dmuc:parked()", &[SOURCE, "left out", peer]).await?;
    let said = fed[0].prosodyctl(&["shell", "dmuc", "forget", peer]).await?;
    assert!(said.status != 0, "{said:?}");
    for words in [
        ["chat.shakespeare.lit: ", "is forgotten"],
        [SECOND, "take it out there"],
    ] {
        let lines = &mut said.err.lines();
        assert!(
            lines.any(|line| words.iter().all(|word| line.contains(word))),
            "{said:?}"
        );
    }
    name_nobody(&fed, SECOND).await?;
    let said = fed[0].prosodyctl(&["shell", "dmuc", "forget", peer]).await?;
    assert!(
        said.status == 0 && said.has(&[SECOND, peer, "is forgotten"]),
        "{said:?}"
    );
    shows(&fed, 0, "dmuc:parked()", &["Nothing is parked"]).await?;
    fed.finish().await
}

async fn reloaded(version: Version) -> Result<()> {
    let fed = federation("shell-reload", version).await?;
    let has = |host: &'static str| {
        let fed = &fed;
        async move {
            let links = fed[0].shell("dmuc:links(\"json\")").await?.json()?;
            let all = links["links"].as_array().cloned().unwrap_or_default();
            anyhow::Ok(all.iter().any(|link| link["service"] == host))
        }
    };
    // One of two goes: the other's stays, whichever was loaded first.
    for (gone, stays) in [(SECOND, "chat.shakespeare.lit"), ("chat.shakespeare.lit", SECOND)] {
        fed[0].unload_module(gone, "dmuc").await?;
        assert!(has(stays).await? && !has(gone).await?, "{gone} went");
        // What waits for something needs a component that runs.
        let said = fed[0].shell("dmuc:check()").await?;
        assert!(
            said.has(&[stays, "rooms.macbeth.lit"]) && !said.has(&[gone]),
            "{gone} went: {said:?}"
        );
        fed[0].load_module(gone, "dmuc").await?;
        assert!(has(stays).await? && has(gone).await?, "{gone} is back");
        fed[0].reload_module(gone, "dmuc").await?;
        assert!(has(stays).await? && has(gone).await?, "{gone} was reloaded");
    }
    fed[0].eval("return reload_module('*', 'admin_shell')").await?;
    assert!(has(SECOND).await?, "the shell was reloaded");
    // An open session keeps its commands when the module is reloaded from it.
    let session = fed[0]
        .eval(
            "local shell = require 'core.modulemanager'.get_module('*', 'admin_shell'); \
             local said = {}; \
             local admin = { send = function (stanza) said[#said + 1] = stanza:get_text(); end }; \
             local st = require 'util.stanza'; \
             for _, line in ipairs { 'dmuc:links()', 'module:reload(\"dmuc\", \"moot.shakespeare.lit\")', 'dmuc:links()' } do \
               prosody.events.fire_event('admin/repl-input', { origin = admin, stanza = st.stanza('repl-input'):text(line) }); \
             end \
             return { table.concat(said, '\\n') }",
        )
        .await?;
    let session = session[0].as_str().unwrap_or_default();
    assert_eq!(session.matches("moot.shakespeare.lit  ").count(), 2, "{session}");
    for host in [SECOND, "chat.shakespeare.lit"] {
        fed[0].unload_module(host, "dmuc").await?;
    }
    let said = fed[0].prosodyctl(&["shell", "dmuc", "links"]).await?;
    assert_ne!(said.status, 0, "nothing is left of it: {said:?}");
    // As docs/OPERATING.md quotes it.
    let words = match version.is_0_12() {
        true => "attempt to index a nil value (global 'dmuc')",
        false => "Command not found",
    };
    assert!(said.err.contains(words), "{said:?}");
    fed.finish().await
}

on_every_version! {
    fn the_shell_shows_rooms_and_links_through_a_cut(version) {
        seen_through_a_cut(version).await
    }

    fn every_command_answers_as_json_too(version) {
        for_scripts(version).await
    }

    fn a_list_with_pauses_is_whole(version) {
        long_lists(version).await
    }

    fn a_wrong_word_is_an_error_that_says_what_is_right(version) {
        wrong_words(version).await
    }

    fn a_shadow_leaves_and_the_room_goes_on_at_its_source(version) {
        left(version).await
    }

    fn an_administrator_steers_rooms_and_links(version) {
        steered(version).await
    }

    fn the_section_of_the_shell_follows_the_components(version) {
        reloaded(version).await
    }
}
