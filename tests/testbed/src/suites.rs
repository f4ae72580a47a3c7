//! Debian's package of community modules, as its releases have it.

use std::path::PathBuf;

use crate::install::workspace;
use crate::lines::skipped;

/// A release of Debian, for its package prosody-modules. They are small and need nothing of the system, so that each is run on
/// every Prosody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// Debian 12, with modules of February 2023.
    Bookworm,
    /// Debian 13, with those of April 2025.
    Trixie,
    /// What comes after it, with those of July 2026; backports have the same.
    Forky,
}

impl Suite {
    /// All of them, the oldest first.
    pub const ALL: [Suite; 3] = [Suite::Bookworm, Suite::Trixie, Suite::Forky];

    /// The name that apt's sources call it by.
    pub fn name(self) -> &'static str {
        match self {
            Suite::Bookworm => "bookworm",
            Suite::Trixie => "trixie",
            Suite::Forky => "forky",
        }
    }

    /// The folder that has a folder for each of its modules (`mod_pastebin`), if `make deps` could get it.
    pub fn folder(self) -> Option<PathBuf> {
        let folder = workspace().join(format!("target/prosody-modules-{}", self.name()));
        folder.is_dir().then_some(folder)
    }

    /// [`folder`](Suite::folder), for a test, which is [skipped] where there is none.
    pub fn folder_for(self, test: &str) -> Option<PathBuf> {
        let folder = self.folder();
        if folder.is_none() {
            skipped(test, &format!("prosody-modules of Debian's {}", self.name()));
        }
        folder
    }
}
