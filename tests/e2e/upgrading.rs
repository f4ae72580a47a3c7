//! What is on the disk changes while Prosody runs, and the module is reloaded: rooms and people stay, whatever is there.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Client, Federation, Server, Version, on_every_version};

use crate::support::eventually;

const SOURCE: &str = "coven@chat.shakespeare.lit";
const SHADOW: &str = "coven@rooms.macbeth.lit";

/// A folder of its own with the plugin, so that it can be changed under a running server.
pub struct Installed {
    folder: PathBuf,
}

impl Installed {
    /// Copies the plugin beside the data of `server`, which has not been started, and lets it load that.
    pub fn beside(fed: &Federation, server: &Server) -> Result<Installed> {
        let config = fs::read_to_string(server.config_file())?;
        let line = config.lines().find(|line| line.starts_with("plugin_paths"));
        let plugins = line
            .and_then(|line| line.split('"').find(|part| part.ends_with("target/plugin")))
            .context("target/plugin in plugin_paths")?;
        let folder = fed.dir().join("plugin/mod_dmuc");
        fs::create_dir_all(&folder)?;
        for entry in fs::read_dir(Path::new(plugins).join("mod_dmuc")).context("make plugin")? {
            let path = entry?.path();
            fs::copy(&path, folder.join(path.file_name().unwrap_or_default()))?;
        }
        let copied = fed.dir().join("plugin").display().to_string();
        fs::write(server.config_file(), config.replace(plugins, &copied))?;
        Ok(Installed { folder })
    }

    /// Puts a file in the place of another, as `make install` does: not into it.
    pub fn replace(&self, name: &str, content: &[u8]) -> Result<()> {
        let new = self.folder.join(format!(".{name}.new"));
        fs::write(&new, content)?;
        fs::rename(new, self.folder.join(name))?;
        Ok(())
    }

    pub fn read(&self, name: &str) -> Result<Vec<u8>> {
        fs::read(self.folder.join(name)).with_context(|| name.to_owned())
    }

    /// Which build the library on the disk says that it is.
    pub fn identity(&self) -> Result<String> {
        let library = self.read("dmuc.so")?;
        let mark = b"dmuc-build:";
        let at = library.windows(mark.len()).position(|part| part == mark);
        let rest = &library[at.context("no mark")? + mark.len()..];
        let end = rest.iter().position(|byte| *byte == b';').context("no end")?;
        Ok(String::from_utf8(rest[..end].to_vec())?)
    }

    /// Makes the library one of another build, as far as anybody can see.
    pub fn rename_library(&self, from: &str, to: &str) -> Result<()> {
        ensure!(from.len() == to.len() && from != to);
        let mut library = self.read("dmuc.so")?;
        let mut from_here = 0;
        while let Some(at) = library[from_here..]
            .windows(from.len())
            .position(|part| part == from.as_bytes())
        {
            let at = from_here + at;
            library[at..at + to.len()].copy_from_slice(to.as_bytes());
            from_here = at + to.len();
        }
        ensure!(from_here > 0, "{from} is not in the library");
        self.replace("dmuc.so", &library)
    }

    /// A Lua file that says something when it is run.
    pub fn says(&self, text: &str) -> Result<()> {
        let code = String::from_utf8(self.read("links.lib.lua")?)?;
        let code = format!("module:log(\"info\", \"{text}\");\n{code}");
        self.replace("links.lib.lua", code.as_bytes())
    }
}

/// Reloads the module; returns what is logged until it says that it is loaded.
async fn reloaded(server: &Server) -> Result<Vec<String>> {
    let mark = server.log().mark();
    server.reload_module(server.muc(), "dmuc").await?;
    let log = server.log();
    log.wait_since(mark, "Loaded: 1 peer", dmuc_testbed::deadline())
        .await?;
    Ok(log.lines_since(mark))
}

fn count(lines: &[String], text: &str) -> usize {
    lines.iter().filter(|line| line.contains(text)).count()
}

async fn talk(people: [(&Client, &str); 2], occasion: &str) -> Result<()> {
    for (speaker, room) in people {
        let text = format!("{occasion} {room}");
        speaker.say(room, &text).await?;
        for (client, _) in people {
            client.expect_body(&text).await?;
        }
    }
    Ok(())
}

/// The other build: its hash is another one.
fn another(identity: &str) -> String {
    let last = if identity.ends_with('0') { '1' } else { '0' };
    format!("{}{last}", &identity[..identity.len() - 1])
}

async fn upgrading(version: Version) -> Result<()> {
    let fed = Federation::builder()
        .servers(2)
        .label("upgrading")
        .version(version)
        .dmuc(true)
        .muc_line("dmuc_room_id = \"name\"")
        .muc_line("dmuc_shadow_names = \"any\"")
        .prepare()
        .await?;
    let installed = Installed::beside(&fed, &fed[0])?;
    for server in fed.servers() {
        server.start().await?;
    }
    let server = &fed[0];
    let crone = server.client("crone1", "desktop").await?;
    let distributed = ("muc#roomconfig_distributed", "1");
    crone.create_room(SOURCE, "firstcrone", &[distributed]).await?;
    fed[0].wait_for_log("rooms.macbeth.lit has an instance").await?;
    let witch = fed[1].client("somewitch", "mobile").await?;
    witch.join(SHADOW, "firstwitch").await?;
    let people = [(&crone, SOURCE), (&witch, SHADOW)];
    talk(people, "At first").await?;
    for (client, _) in people {
        client.sync().await?;
        client.drain();
    }
    let is_running = |identity: String| async move {
        let running = server
            .eval("return package.loaded['mod_dmuc.running'].identity")
            .await?;
        ensure!(
            running.as_str() == Some(&*identity),
            "{running} runs, not {identity}"
        );
        anyhow::Ok(())
    };
    let first = installed.identity()?;
    is_running(first.clone()).await?;

    // Nothing is new.
    let lines = reloaded(server).await?;
    assert_eq!(count(&lines, "restart"), 0, "{lines:#?}");
    talk(people, "After a reload").await?;

    // Only Lua is new.
    installed.says("Other Lua is running")?;
    let lines = reloaded(server).await?;
    assert_eq!(count(&lines, "Other Lua is running"), 1, "{lines:#?}");
    talk(people, "With other Lua").await?;

    // Another library, with Lua that belongs to it.
    let second = another(&first);
    installed.rename_library(&first, &second)?;
    installed.replace("stamp.lib.lua", format!("return \"{second}\";\n").as_bytes())?;
    installed.says("The newest Lua is running")?;
    for _ in 0..2 {
        let lines = reloaded(server).await?;
        assert_eq!(count(&lines, "takes effect at the next restart"), 1, "{lines:#?}");
        assert_eq!(count(&lines, "The newest Lua is running"), 0, "{lines:#?}");
        assert_eq!(count(&lines, "Other Lua is running"), 1, "{lines:#?}");
        is_running(first.clone()).await?;
        talk(people, "Before the restart").await?;
    }

    // A library that this Prosody cannot use, none at all, Lua that belongs to another, and Lua that is broken.
    let right = installed.read("dmuc.so")?;
    installed.rename_library("+lua54.", "+lua53.")?;
    let lines = reloaded(server).await?;
    assert_eq!(count(&lines, "dmuc.so is built for Lua 5.3"), 1, "{lines:#?}");
    talk(people, "With a library for another Lua").await?;
    installed.replace("dmuc.so", b"not a library")?;
    let lines = reloaded(server).await?;
    assert_eq!(count(&lines, "dmuc.so is not the library"), 1, "{lines:#?}");
    talk(people, "With no library").await?;
    installed.replace("dmuc.so", &right)?;
    installed.rename_library(&second, &first)?;
    let lines = reloaded(server).await?;
    assert_eq!(count(&lines, "mod_dmuc belongs to"), 1, "{lines:#?}");
    installed.replace("stamp.lib.lua", format!("return \"{first}\";\n").as_bytes())?;
    let links = installed.read("links.lib.lua")?;
    installed.replace("links.lib.lua", b"return function (")?;
    let lines = reloaded(server).await?;
    assert_eq!(count(&lines, "links.lib.lua:1:"), 1, "{lines:#?}");
    talk(people, "With half of the Lua").await?;

    // Options count all the while; a wrong one leaves those from before.
    let set = |option: &str, value: &str| {
        let code = format!(
            "require 'core.configmanager'.set('{}', '{option}', {value}) return true",
            server.muc()
        );
        async move { server.eval(&code).await }
    };
    set("dmuc_link_timeout", "'an hour'").await?;
    let lines = reloaded(server).await?;
    let complaints = count(&lines, "dmuc_link_timeout = \"an hour\": accepted is");
    assert_eq!(complaints, 1, "{lines:#?}");
    talk(people, "With a wrong option").await?;
    set("dmuc_link_timeout", "nil").await?;
    assert_eq!(count(&reloaded(server).await?, "accepted is"), 0);
    for client in [&crone, &witch] {
        client.sync().await?;
        let news = client.drain_matching(|s| {
            s.name() == "presence"
                || dmuc_testbed::body(s).is_some_and(|body| body.starts_with("The connection"))
        });
        assert!(news.is_empty(), "{news:?}");
    }

    // The restart.
    installed.replace("links.lib.lua", &links)?;
    installed.replace("dmuc.so", &right)?;
    installed.replace("stamp.lib.lua", format!("return \"{second}\";\n").as_bytes())?;
    let mark = server.log().mark();
    server.restart().await?;
    server
        .log()
        .wait_since(mark, "The newest Lua is running", dmuc_testbed::deadline())
        .await?;
    is_running(second).await?;
    let crone = server.client("crone1", "desktop").await?;
    crone.join(SOURCE, "firstcrone").await?;
    eventually("they are together", || async {
        let nicks = crate::support::nicks(&fed, 1, SHADOW).await?;
        Ok(nicks == ["firstcrone", "firstwitch"])
    })
    .await?;
    talk([(&crone, SOURCE), (&witch, SHADOW)], "After the restart").await?;
    fed.finish_with_errors().await
}

on_every_version! {
    fn an_upgrade_on_the_disk_waits_for_the_restart_and_cuts_no_room_off(version) {
        upgrading(version).await
    }
}
