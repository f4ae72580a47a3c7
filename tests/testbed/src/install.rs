//! Which Prosody to run, and how.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// A version of Prosody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// The system's Prosody: 0.12.3 on Debian 12.
    V0_12,
    /// Prosody 13.0.1 from Debian's backports, unpacked in `target/prosody-13` by `make deps`.
    V13,
}

/// The workspace's root folder.
pub(crate) fn workspace() -> &'static Path {
    let testbed = Path::new(env!("CARGO_MANIFEST_DIR"));
    testbed.ancestors().nth(2).unwrap_or(testbed)
}

impl Version {
    /// Every version that the tests must cover.
    pub const ALL: [Version; 2] = [Version::V0_12, Version::V13];

    /// The folder that stands for `/`.
    fn prefix(self) -> PathBuf {
        match self {
            Version::V0_12 => PathBuf::from("/"),
            Version::V13 => workspace().join("target/prosody-13"),
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Version::V0_12 => "0.12.",
            Version::V13 => "13.",
        }
    }

    /// The exact version that is installed.
    pub fn installed(self) -> Result<String> {
        let path = self.prefix().join("usr/lib/prosody/prosody.version");
        let found = fs::read_to_string(&path).with_context(|| {
            format!(
                "Prosody {}x is not here (`make deps`): {}",
                self.expected(),
                path.display()
            )
        })?;
        let found = found.trim();
        if !found.starts_with(self.expected()) {
            bail!("{} is Prosody {found}, not {}x", path.display(), self.expected());
        }
        Ok(found.to_owned())
    }

    /// Whether tests with this version can run. Where it is missing, prints one line and returns `false`.
    ///
    /// # Panics
    ///
    /// When the environment says `CI=true`: there, a skipped test is a failure. Also when 0.12 is missing,
    /// since nothing works without it.
    #[allow(clippy::panic, reason = "a test that must not be skipped fails")]
    pub fn available(self) -> bool {
        let Err(e) = self.installed() else { return true };
        let ci = std::env::var("CI").is_ok_and(|v| v == "true" || v == "1");
        if ci || self == Version::V0_12 {
            panic!("{e:#}");
        }
        eprintln!("SKIPPED: {e:#}");
        false
    }

    /// Writes a start script for this version into a folder, and returns its path.
    ///
    /// The `prosody` script has its folders written into it, so the copy gets the right ones.
    pub(crate) fn write_launcher(self, dir: &Path) -> Result<PathBuf> {
        self.installed()?;
        let prefix = self.prefix();
        let original = prefix.join("usr/bin/prosody");
        let script =
            fs::read_to_string(&original).with_context(|| format!("reading {}", original.display()))?;
        let source = prefix.join("usr/lib/prosody");
        let patched: Vec<String> = script
            .lines()
            .map(|line| match line.split_once('=').map(|(name, _)| name) {
                Some("CFG_SOURCEDIR") => format!("CFG_SOURCEDIR='{}';", source.display()),
                Some("CFG_PLUGINDIR") => format!("CFG_PLUGINDIR='{}/modules/';", source.display()),
                Some("CFG_CONFIGDIR") => format!("CFG_CONFIGDIR='{}';", dir.display()),
                Some("CFG_DATADIR") => format!("CFG_DATADIR='{}/data';", dir.display()),
                _ => line.to_owned(),
            })
            .collect();
        let launcher = dir.join("prosody");
        fs::write(&launcher, patched.join("\n"))
            .with_context(|| format!("writing {}", launcher.display()))?;
        Ok(launcher)
    }
}
