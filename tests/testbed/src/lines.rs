//! The lines of Prosody that every test runs on.

use std::fs::OpenOptions;
use std::io::Write as _;

use crate::install::Version;

/// What was found, divided by what tests are named after. Every [`Version`] belongs to exactly one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// 0.12, Debian 12's.
    V0_12,
    /// Older than the newest, from 13 on: 13.0.1, Debian 13's.
    V13,
    /// The newest of all, if there is an older one from 13 on.
    Newest,
}

impl Line {
    /// What of this line is here: one version, unless somebody unpacked more.
    pub fn found(self) -> Vec<Version> {
        let (old, mut new): (Vec<Version>, Vec<Version>) = Version::all()
            .iter()
            .copied()
            .partition(|version| version.is_0_12());
        let newest = if new.len() > 1 { new.pop() } else { None };
        match self {
            Line::V0_12 => old,
            Line::V13 => new,
            Line::Newest => newest.into_iter().collect(),
        }
    }

    /// [`found`](Line::found), for a test, which is [skipped](crate::skipped) where that is nothing.
    pub fn found_for(self, test: &str) -> Vec<Version> {
        let found = self.found();
        if found.is_empty() {
            let missing = match self {
                Line::V0_12 => "Prosody 0.12",
                Line::V13 => "Prosody 13",
                Line::Newest => "a Prosody newer than the first 13",
            };
            skipped(test, missing);
        }
        found
    }
}

/// A test that cannot run here says so in one line, which also goes into the file that the environment variable `DMUC_SKIPPED`
/// names.
///
/// # Panics
///
/// Where the environment says `CI=true`: there, a skipped test is a failure.
#[allow(clippy::panic, reason = "a test that must not be skipped fails")]
pub fn skipped(test: &str, missing: &str) {
    let skipped = format!("{test}: {missing} is not here (`make deps`)");
    if std::env::var("CI").is_ok_and(|v| v == "true" || v == "1") {
        panic!("{skipped}");
    }
    eprintln!("SKIPPED: {skipped}");
    if let Some(file) = std::env::var_os("DMUC_SKIPPED") {
        let opened = OpenOptions::new().create(true).append(true).open(file);
        // In one piece: others write as well. The line above has been printed whatever happens here.
        let _ = opened.and_then(|mut file| file.write_all(format!("{skipped}\n").as_bytes()));
    }
}

/// Declares tests that run on every Prosody: `on_0_12`, `on_13` and `on_newest` in a module of the test's name.
///
/// ```ignore
/// on_every_version! {
///     fn the_story(version, storage) { the_story(version, storage).await }
///     fn joining_a_shadow_is_joining_a_room(version, storage = Sqlite) { joining(version, storage).await }
///     fn a_wrong_option_is_named(version) { wrong_options(version).await }
/// }
/// on_every_version!(the_story, another_story);
/// ```
///
/// Storages take turns: files on the first line, SQLite on the second, files on the third; with `= Sqlite` it is the
/// other way round. Names alone are functions of a version and a storage.
#[macro_export]
macro_rules! on_every_version {
    ($($name:ident),+ $(,)?) => {
        $crate::on_every_version! { $(fn $name(version, storage) { super::$name(version, storage).await })+ }
    };
    ($($(#[$meta:meta])* fn $name:ident($version:ident $(, $storage:ident $(= $first:ident)?)?) $body:block)+) => {
        $($(#[$meta])* mod $name {
            #[allow(unused_imports, reason = "some bodies need more than others")]
            use super::*;

            async fn on(
                $version: $crate::Version,
                _storage: $crate::Storage,
            ) -> ::anyhow::Result<()> {
                $(let $storage = _storage $(.starting_with($crate::Storage::$first))?;)?
                $body
            }

            async fn on_all_of(line: $crate::Line, name: &str, storage: $crate::Storage) -> ::anyhow::Result<()> {
                for version in line.found_for(&format!("{}::{name}", module_path!())) {
                    on(version, storage).await?;
                }
                Ok(())
            }

            #[tokio::test]
            async fn on_0_12() -> ::anyhow::Result<()> {
                on_all_of($crate::Line::V0_12, "on_0_12", $crate::Storage::Internal).await
            }

            #[tokio::test]
            async fn on_13() -> ::anyhow::Result<()> {
                on_all_of($crate::Line::V13, "on_13", $crate::Storage::Sqlite).await
            }

            #[tokio::test]
            async fn on_newest() -> ::anyhow::Result<()> {
                on_all_of($crate::Line::Newest, "on_newest", $crate::Storage::Internal).await
            }
        })+
    };
}
