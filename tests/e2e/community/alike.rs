//! One module after the other: a story is played in an ordinary room and in distributed ones, with the module on every server,
//! and what everybody got is compared.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Builder, Federation, Line, Storage, Suite, Version};
use futures::future::try_join_all;

use super::modules::{COMMUNITYS, DEBIANS, Difference, Module, NONE};
use super::story;
use crate::conformance::scene::{Place, Scene, reduced};
use crate::support::{linked, three};

/// Where people of a distributed room are.
const PLACES: [Place; 3] = [Place::Source, Place::Between, Place::Crossed];

/// What others load because they need it.
const BROUGHT: [&str; 3] = ["pubsub_subscription", "muc_hats_api", "muc_markers"];

/// What is different without any module, and why.
const MEANT: &[Difference] = &[(
    '+',
    "<message from=\"ROOM\" to=\"OWNER/client\"><x><item affiliation=\"outcast\"",
    "When the home of an occupant has shown its removal already, the list that comes from the source is about somebody who is not \
     in (tests/e2e/conformance)",
)];

/// A folder's Lua files, to tell whether two releases have the same.
fn content(folder: &Path) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut entries: Vec<_> = std::fs::read_dir(folder)?.collect::<std::io::Result<_>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            all.extend(content(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "lua") {
            all.extend(std::fs::read(&path)?);
        }
    }
    Ok(all)
}

/// Those that a release has and no earlier one has like that.
fn new_in(suite: Suite, folder: &Path) -> Result<Vec<&'static Module>> {
    let earlier = Suite::ALL.iter().take_while(|other| **other != suite);
    let earlier: Vec<_> = earlier.filter_map(|other| other.folder()).collect();
    let mut found = Vec::new();
    for module in DEBIANS {
        let name = format!("mod_{}", module.name);
        if !folder.join(&name).is_dir() || module.lacks_in.contains(&suite) {
            continue;
        }
        let known = earlier
            .iter()
            .map(|folder| folder.join(&name))
            .filter(|path| path.is_dir());
        let known: BTreeSet<Vec<u8>> = known.map(|path| content(&path)).collect::<Result<_>>()?;
        if !known.contains(&content(&folder.join(&name))?) {
            found.push(module);
        }
    }
    Ok(found)
}

/// Without the ids in an archive's pages and in links, which are made up anew each time, and without what a shadow says of its
/// source, which is for other services, and of who votes on who follows it.
fn comparable(line: &str) -> String {
    let mut text = line.to_owned();
    // A distributed room has an avatar whatever is loaded, as rooms of Prosody 13 have, and voters.
    for meant in [
        "<feature var=\"vcard-temp\"/>",
        "<field type=\"text-multi\" var=\"muc#roominfo_avatarhash\"/>",
        "<field label=\"Services That Vote on Who Follows the Source\" type=\"list-multi\" var=\"{urn:x-dmuc:0}voters\"/>",
    ] {
        text = text.replace(meant, "");
    }
    for (start, end) in [
        ("<first>", "</first>"),
        ("<last>", "</last>"),
        ("<field label=\"Source Room\"", "</field>"),
        ("/pastebin/", "<"),
        ("/muc_log/", "<"),
    ] {
        while let Some(from) = text.find(start) {
            let length = text[from..].find(end).unwrap_or(text.len() - from);
            let ends = if end == "<" { length } else { length + end.len() };
            text.replace_range(from..(from + ends).min(text.len()), "");
        }
    }
    text
}

/// What is in one transcript more often than in the other.
fn more_often<'a>(this: &'a [String], that: &[String]) -> Vec<&'a str> {
    let mut left: Vec<&str> = that.iter().map(String::as_str).collect();
    let mut found = Vec::new();
    for line in this {
        match left.iter().position(|other| other == line) {
            Some(index) => {
                left.swap_remove(index);
            }
            None => found.push(line.as_str()),
        }
    }
    found
}

fn differences(differs: &[Difference], plain: &[String], other: &[String]) -> String {
    let is_meant = |sign: char, line: &str| {
        let mut all = MEANT.iter().chain(differs);
        all.any(|(of, text, _)| *of == sign && (line.contains(text) || reduced(line).contains(text)))
    };
    let shown: BTreeSet<String> = plain.iter().map(|line| reduced(line)).collect();
    let mut found = String::new();
    for line in more_often(plain, other)
        .into_iter()
        .filter(|line| !is_meant('-', line))
    {
        let _ = writeln!(found, "  - {line}");
    }
    for line in more_often(other, plain) {
        // What has become of somebody may be told in two steps, by the home and by the source.
        let is_step = line.contains("<presence") && shown.contains(&reduced(line));
        if !is_step && !is_meant('+', line) {
            let _ = writeln!(found, "  + {line}");
        }
    }
    found
}

/// Plays the story in all places; returns what it is in the ordinary room, and what is different elsewhere.
async fn compared(fed: &Federation, number: usize, module: &Module) -> Result<(Vec<String>, String)> {
    let told = [Place::Plain].into_iter().chain(PLACES).map(async |place| {
        let scene = Scene::new(fed, place, number);
        story::play(&scene, module)
            .await
            .with_context(|| format!("{place:?}"))?;
        let lines = scene.transcript();
        anyhow::Ok(lines.iter().map(|line| comparable(line)).collect::<Vec<String>>())
    });
    let mut told = try_join_all(told).await?;
    ensure!(told[0].len() > 50, "a story: {}", told[0].len());
    let mut problems = String::new();
    for (place, lines) in PLACES.iter().zip(&told[1..]) {
        let found = differences(module.differs, &told[0], lines);
        if !found.is_empty() {
            let _ = writeln!(problems, "{place:?}:\n{found}");
        }
    }
    Ok((told.remove(0), problems))
}

/// Three servers that can load these modules, with what those need.
fn servers(label: &str, folder: &Path, modules: &[&Module], version: Version, storage: Storage) -> Builder {
    let mut builder = three(label, version, storage);
    for line in modules.iter().flat_map(|module| module.lines) {
        builder = builder.muc_line(line);
    }
    for index in 0..3 {
        builder = builder.with_server(index, |spec| {
            let names = modules.iter().map(|module| module.name).chain(BROUGHT);
            spec.community = names.map(|name| folder.join(format!("mod_{name}"))).collect();
            // For mod_muc_cache_media, which gets nothing to store here.
            let store = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{label}-{index}"));
            spec.muc_lines.push(format!(
                "muc_media_store_path = {:?}",
                store.display().to_string()
            ));
            // For mod_muc_rtbl. These are the last lines of the configuration: a section of its own for the list.
            if modules.iter().any(|module| module.name == "muc_rtbl") {
                let (domain, muc) = (spec.domain.clone(), spec.muc.clone());
                spec.muc_lines.extend([
                    format!("muc_rtbl_jid = \"rtbl.{domain}\""),
                    format!("Component \"rtbl.{domain}\" \"pubsub\""),
                    format!("admins = {{ \"{muc}\" }}"),
                    "autocreate_on_subscribe = true".to_owned(),
                ]);
            }
        });
    }
    builder
}

/// Each module by itself, loaded on all servers that it is for, and gone before the next one comes.
async fn run(
    label: &str,
    folder: &Path,
    modules: &[&Module],
    is_raising: bool,
    (version, storage): (Version, Storage),
) -> Result<()> {
    let fed = servers(label, folder, modules, version, storage).start().await?;
    linked(&fed).await?;
    let mut problems = String::new();
    let (without, found) = compared(&fed, 0, &NONE).await?;
    if !found.is_empty() {
        let _ = writeln!(problems, "no module: {found}");
    }
    for (number, module) in modules.iter().enumerate() {
        let name = module.name;
        let servers = if module.for_one {
            &fed.servers()[..1]
        } else {
            fed.servers()
        };
        for server in servers {
            server.load_module(server.muc(), name).await.context(name)?;
        }
        let (with, found) = compared(&fed, number + 1, module).await.context(name)?;
        if !found.is_empty() {
            let _ = writeln!(problems, "{name}: {found}");
        }
        if (with != without) != module.is_seen {
            let _ = writeln!(problems, "{name}: seen in an ordinary room: {}", !module.is_seen);
        }
        for server in servers {
            for name in [name].into_iter().chain(BROUGHT) {
                if server.is_loaded(server.muc(), name).await? {
                    server.unload_module(server.muc(), name).await.context(name)?;
                }
            }
        }
    }
    ensure!(problems.is_empty(), "not as in an ordinary room:\n{problems}");
    match is_raising {
        true => fed.finish_with_errors().await,
        false => fed.finish().await,
    }
}

/// All modules, those that raise errors by themselves: what others log must be clean.
async fn run_all(
    suite: Option<Suite>,
    folder: &Path,
    mut modules: Vec<&Module>,
    on: (Version, Storage),
) -> Result<()> {
    modules.retain(|module| !(module.needs_13 && on.0.is_0_12()));
    let raises = |module: &&Module| match suite {
        Some(suite) => module.raises_in.contains(&suite),
        None => !module.raises_in.is_empty(),
    };
    let (raising, quiet): (Vec<_>, Vec<_>) = modules.into_iter().partition(raises);
    ensure!(!quiet.is_empty(), "none of them is in {}", folder.display());
    let label = format!("alike-{}", suite.map_or("checkout", Suite::name));
    for module in raising {
        run(&format!("{label}-raising"), folder, &[module], true, on).await?;
    }
    run(&label, folder, &quiet, false, on).await
}

async fn debians(suite: Suite, version: Version, storage: Storage) -> Result<()> {
    let Some(folder) = suite.folder_for(&format!("community::alike, {}", suite.name())) else {
        return Ok(());
    };
    let modules = new_in(suite, &folder)?;
    run_all(Some(suite), &folder, modules, (version, storage)).await
}

/// `DMUC_COMMUNITY_MODULES=FOLDER cargo test -p dmuc-e2e --test e2e a_checkout -- --ignored`, with a checkout of the community's
/// repository. `DMUC_COMMUNITY=muc_rai` tries one.
#[tokio::test]
#[ignore = "needs a folder of modules"]
async fn what_a_checkout_has_does_in_a_distributed_room_what_it_does_in_another() -> Result<()> {
    let folder = std::env::var_os("DMUC_COMMUNITY_MODULES").context("DMUC_COMMUNITY_MODULES=FOLDER")?;
    let folder = Path::new(&folder);
    let wanted = std::env::var("DMUC_COMMUNITY").unwrap_or_default();
    let modules = COMMUNITYS
        .iter()
        .filter(|module| wanted.is_empty() || module.name == wanted);
    let modules: Vec<_> = modules
        .filter(|module| folder.join(format!("mod_{}", module.name)).is_dir())
        .collect();
    for (version, storage) in
        Version::all()
            .iter()
            .zip([Storage::Internal, Storage::Sqlite, Storage::Internal])
    {
        run_all(None, folder, modules.clone(), (*version, storage))
            .await
            .with_context(|| version.to_string())?;
    }
    Ok(())
}

/// A release's modules on the Prosody of that release: the others are [`every_release_on_every_prosody`]'s.
async fn on_its_own(line: Line, suite: Suite, storage: Storage) -> Result<()> {
    for version in line.found_for(&format!("community::alike, {}", suite.name())) {
        debians(suite, version, storage).await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_debian_12_has_does_in_a_distributed_room_what_it_does_in_another() -> Result<()> {
    on_its_own(Line::V0_12, Suite::Bookworm, Storage::Internal).await
}

#[tokio::test]
async fn what_debian_13_has_does_in_a_distributed_room_what_it_does_in_another() -> Result<()> {
    on_its_own(Line::V13, Suite::Trixie, Storage::Sqlite).await
}

#[tokio::test]
async fn what_comes_after_debian_13_does_in_a_distributed_room_what_it_does_in_another() -> Result<()> {
    on_its_own(Line::Newest, Suite::Forky, Storage::Internal).await
}

/// `cargo test -p dmuc-e2e --test e2e every_release -- --ignored`, after a change of what modules see: about ten minutes.
#[tokio::test]
#[ignore = "takes ten minutes"]
async fn every_release_on_every_prosody() -> Result<()> {
    for version in Version::all() {
        for suite in [Suite::Bookworm, Suite::Trixie, Suite::Forky] {
            debians(suite, *version, Storage::Internal).await?;
        }
    }
    Ok(())
}
