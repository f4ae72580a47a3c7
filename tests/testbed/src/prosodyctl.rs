//! `prosodyctl` of a server, as its administrator runs it.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::server::Server;
use crate::waiting::deadline;

/// How long a command may wait itself: one that asks peers gives them 12 s.
const PATIENCE: Duration = Duration::from_secs(15);

/// What one run of `prosodyctl` said.
#[derive(Debug, Clone)]
pub struct Said {
    /// Its exit status.
    pub status: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// Whether a line of the output has all of these words.
    pub fn has(&self, words: &[&str]) -> bool {
        let mut lines = self.out.lines();
        lines.any(|line| words.iter().all(|word| line.contains(word)))
    }

    /// The first line, which is JSON.
    pub fn json(&self) -> Result<Value> {
        let line = self.out.lines().next().unwrap_or_default();
        serde_json::from_str(line).with_context(|| format!("not JSON: {self:?}"))
    }
}

impl Server {
    /// Runs `prosodyctl` with these arguments.
    pub async fn prosodyctl(&self, args: &[&str]) -> Result<Said> {
        let script = self.version().write_script("prosodyctl", self.dir())?;
        let mut command = Command::new("timeout");
        command
            .arg((deadline() + PATIENCE).as_secs().to_string())
            .arg(self.version().lua())
            .arg(script)
            .arg("--config")
            .arg(self.config_file())
            .args(args)
            .current_dir(self.dir())
            .env_remove("PROSODY_CONFIG")
            .stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output())
            .await?
            .context("starting prosodyctl")?;
        Ok(Said {
            status: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// A command of the shell, `dmuc:rooms()`, which must succeed. The server needs the module `admin_shell`.
    pub async fn shell(&self, line: &str) -> Result<Said> {
        let said = self.prosodyctl(&["shell", line]).await?;
        ensure!(said.status == 0, "{line}: {said:?}");
        Ok(said)
    }
}
