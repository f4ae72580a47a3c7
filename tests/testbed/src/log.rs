//! What a server logged.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use regex::Regex;
use tokio::sync::watch;

pub(crate) const READY: &str = "TESTBED READY";

#[derive(Debug, Default, Clone, Copy)]
struct Progress {
    lines: usize,
    /// Counts processes.
    run: u64,
    /// Whether the current process has closed its output.
    closed: bool,
}

/// The lines a server wrote, in memory and in a file, over all its restarts.
#[derive(Debug)]
pub struct LogStore {
    lines: Mutex<Vec<String>>,
    file: Mutex<File>,
    changed: watch::Sender<Progress>,
}

impl LogStore {
    pub(crate) fn create(path: &Path) -> Result<Arc<LogStore>> {
        let file = File::create(path).with_context(|| format!("creating {}", path.display()))?;
        Ok(Arc::new(LogStore {
            lines: Mutex::default(),
            file: Mutex::new(file),
            changed: watch::Sender::new(Progress::default()),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new process is about to write; returns its number.
    pub(crate) fn begin(&self) -> u64 {
        self.changed.send_modify(|p| {
            p.run += 1;
            p.closed = false;
        });
        self.changed.borrow().run
    }

    /// Takes lines from a process until it closes its output, which is the end of run `ends`. Blocks.
    pub(crate) fn follow(&self, source: impl Read, ends: Option<u64>) {
        let mut source = BufReader::new(source);
        let mut line = Vec::new();
        loop {
            line.clear();
            match source.read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            {
                let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
                // A full disk must not stop the server.
                let _ = writeln!(file, "{text}");
            }
            let count = {
                let mut lines = self.lock();
                lines.push(text);
                lines.len()
            };
            self.changed.send_modify(|p| p.lines = count);
        }
        self.changed.send_modify(|p| p.closed |= ends == Some(p.run));
    }

    /// A position to search from: everything logged so far is before it.
    pub fn mark(&self) -> usize {
        self.lock().len()
    }

    /// All lines from a position on.
    pub fn lines_since(&self, mark: usize) -> Vec<String> {
        self.lock().iter().skip(mark).cloned().collect()
    }

    /// All lines that match.
    pub fn matching(&self, pattern: &str) -> Result<Vec<String>> {
        let regex = Regex::new(pattern)?;
        Ok(self
            .lock()
            .iter()
            .filter(|l| regex.is_match(l))
            .cloned()
            .collect())
    }

    /// The last lines, for error messages.
    pub fn tail(&self, count: usize) -> String {
        let lines = self.lock();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }

    /// Waits for a line at or after `mark` that matches, and returns it.
    pub async fn wait_since(&self, mark: usize, pattern: &str, timeout: Duration) -> Result<String> {
        let regex = Regex::new(pattern)?;
        let mut changed = self.changed.subscribe();
        let mut next = mark;
        let search = async {
            loop {
                let closed = changed.borrow_and_update().closed;
                {
                    let lines = self.lock();
                    if let Some(line) = lines.iter().skip(next).find(|l| regex.is_match(l)) {
                        return Ok(line.clone());
                    }
                    next = next.max(lines.len());
                }
                if closed {
                    bail!("the server ended");
                }
                changed.changed().await.context("the log is gone")?;
            }
        };
        match tokio::time::timeout(timeout, search).await {
            Ok(found) => found,
            Err(_) => Err(anyhow::anyhow!("timeout after {timeout:?}")),
        }
        .with_context(|| {
            format!(
                "waiting for a log line like {pattern:?}; the last lines:\n{}",
                self.tail(30)
            )
        })
    }

    /// Every line that tells of a bug: Lua errors with their tracebacks, and lines of level `error`.
    pub fn errors(&self) -> Vec<String> {
        let lines = self.lock();
        let mut found = Vec::new();
        let mut inside = false;
        for line in lines.iter() {
            if is_error(line) || line.contains("stack traceback") || line.starts_with("lua5") {
                inside = true;
            } else if starts_with_time(line) || line == READY {
                inside = false;
            }
            if inside {
                found.push(line.clone());
            }
        }
        found
    }
}

fn starts_with_time(line: &str) -> bool {
    let time = line.as_bytes();
    time.len() > 8 && time[2] == b':' && time[5] == b':' && time[8] == b' '
}

/// `12:34:56 source        error<TAB>text`: the level is the word before the tab.
fn is_error(line: &str) -> bool {
    starts_with_time(line)
        && line
            .split_once('\t')
            .is_some_and(|(head, _)| head.ends_with("error"))
}
