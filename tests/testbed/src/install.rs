//! Which Prosodys are here, and how each is started.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, OnceLock};

use anyhow::{Context, Result, ensure};

/// The workspace's root folder.
pub(crate) fn workspace() -> &'static Path {
    let testbed = Path::new(env!("CARGO_MANIFEST_DIR"));
    testbed.ancestors().nth(2).unwrap_or(testbed)
}

/// A Prosody that was found: the installed one, or one that `make deps` unpacked into `target/prosody-VERSION`.
///
/// Ordered by version. The default is the installed one, or the oldest where none is installed.
#[derive(Clone, Copy)]
pub struct Version(&'static Install);

struct Install {
    /// "13.0.1"; empty if there is none.
    number: String,
    /// The folder that stands for `/`.
    prefix: PathBuf,
    /// What runs its start script.
    lua: PathBuf,
}

/// What [`Version::default`] is where nothing was found: to start it fails in words.
static NONE: LazyLock<Install> = LazyLock::new(|| Install {
    number: String::new(),
    prefix: PathBuf::new(),
    lua: PathBuf::new(),
});

impl Install {
    fn at(prefix: &Path) -> Option<Install> {
        let number = fs::read_to_string(prefix.join("usr/lib/prosody/prosody.version")).ok()?;
        // Beside libraries of its own, an unpacked Prosody has a script that starts Lua with them.
        let own_lua = prefix.join("lua5.4");
        let lua = match own_lua.exists() {
            true => own_lua,
            false => PathBuf::from("lua5.4"),
        };
        let number = number.trim();
        // Nothing is promised for what is older than 0.12.
        let is_known = !number.starts_with("0.") || number.starts_with("0.12.");
        is_known.then(|| Install {
            number: number.to_owned(),
            prefix: prefix.to_owned(),
            lua,
        })
    }
}

impl Version {
    /// Every Prosody that is here, the oldest first. What is both installed and unpacked is there once.
    pub fn all() -> &'static [Version] {
        static ALL: OnceLock<Vec<Version>> = OnceLock::new();
        ALL.get_or_init(|| {
            let mut prefixes = vec![PathBuf::from("/")];
            let beside = fs::read_dir(workspace().join("target")).into_iter().flatten();
            prefixes.extend(beside.flatten().map(|entry| entry.path()).filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                // setup.sh works in a folder with another ending.
                name.starts_with("prosody-") && !name.ends_with(".new")
            }));
            prefixes[1..].sort();
            let mut all: Vec<Version> = Vec::new();
            for install in prefixes.iter().filter_map(|prefix| Install::at(prefix)) {
                if all.iter().all(|version| version.0.number != install.number) {
                    all.push(Version(Box::leak(Box::new(install))));
                }
            }
            all.sort_by_key(|version| version.parts());
            all
        })
    }

    /// The oldest that begins with this number: "13" or "13.0.6". "newest" is the newest.
    pub fn named(name: &str) -> Result<Version> {
        let found = match name {
            "newest" => Version::all().last(),
            _ => Version::all().iter().find(|version| {
                let rest = version.number().strip_prefix(name);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            }),
        };
        let known: Vec<&str> = Version::all().iter().map(Version::number).collect();
        found
            .copied()
            .with_context(|| format!("no Prosody {name} is here (`make deps`), only {known:?}"))
    }

    /// The newest that is here.
    pub fn newest() -> Version {
        Version::all().last().copied().unwrap_or(Version(&NONE))
    }

    /// The oldest that is here.
    pub fn oldest() -> Version {
        Version::all().first().copied().unwrap_or(Version(&NONE))
    }

    /// "13.0.1".
    pub fn number(&self) -> &'static str {
        &self.0.number
    }

    /// The numbers of which it consists, for comparing; anything else counts as zero.
    fn parts(self) -> Vec<u32> {
        let parts = self.number().split(|c: char| !c.is_ascii_digit());
        parts.map(|part| part.parse().unwrap_or_default()).collect()
    }

    /// Whether it is a 0.12: some things are called otherwise there.
    pub fn is_0_12(self) -> bool {
        self.number().starts_with("0.12.")
    }

    /// The folder that stands for `/`.
    pub fn prefix(self) -> &'static Path {
        &self.0.prefix
    }

    /// The Lua that runs it: a command's name, or a script that starts one with the libraries that this Prosody
    /// was built for.
    pub fn lua(self) -> &'static Path {
        &self.0.lua
    }

    /// Writes a start script into a folder, and returns its path.
    pub(crate) fn write_launcher(self, dir: &Path) -> Result<PathBuf> {
        self.write_script("prosody", dir)
    }

    /// Writes a copy of one of Prosody's scripts (`prosody`, `prosodyctl`) into a folder, and returns its path.
    ///
    /// They have their folders written into them, so the copy gets the right ones.
    pub(crate) fn write_script(self, name: &str, dir: &Path) -> Result<PathBuf> {
        ensure!(!self.number().is_empty(), "no Prosody is here: run `make deps`");
        let original = self.prefix().join("usr/bin").join(name);
        let script =
            fs::read_to_string(&original).with_context(|| format!("reading {}", original.display()))?;
        let source = self.prefix().join("usr/lib/prosody");
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
        let script = dir.join(name);
        fs::write(&script, patched.join("\n")).with_context(|| format!("writing {}", script.display()))?;
        Ok(script)
    }
}

impl Default for Version {
    fn default() -> Version {
        let installed = Version::all()
            .iter()
            .find(|version| version.prefix() == Path::new("/"));
        installed.copied().unwrap_or_else(Version::oldest)
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Version) -> bool {
        self.number() == other.number()
    }
}

impl Eq for Version {}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.number())
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prosody {} in {}", self.number(), self.prefix().display())
    }
}
