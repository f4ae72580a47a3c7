//! `docs/BENCHMARKS.md`: each bench writes its own part, everything in it measured or asked of the system.

// Every bench uses a part of this.
#![allow(dead_code)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// The parts, in the order in which they stand in the file.
const PARTS: [&str; 4] = ["engine", "resync", "border", "federation"];

const HEAD: &str = "# Benchmarks\n\n\
    Written by `make bench`, each part by the bench it names; do not edit. Times depend on the machine and on what \
    else it did;\nstanzas and bytes do not.\n";

/// A Markdown table.
#[derive(Debug, Clone)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With the titles of its columns. All but the first are aligned to the right.
    pub fn new(titles: &[&str]) -> Table {
        Table {
            rows: vec![titles.iter().map(|title| (*title).to_owned()).collect()],
        }
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub fn text(&self) -> String {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(3)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut out = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            for (column, width) in widths.iter().enumerate() {
                let cell = row.get(column).map_or("", String::as_str);
                let padding = " ".repeat(width - cell.chars().count());
                let _ = match column {
                    0 => write!(out, "| {cell}{padding} "),
                    _ => write!(out, "| {padding}{cell} "),
                };
            }
            out.push_str("|\n");
            if number == 0 {
                for (column, width) in widths.iter().enumerate() {
                    let _ = match column {
                        0 => write!(out, "|{}", "-".repeat(width + 2)),
                        _ => write!(out, "|{}:", "-".repeat(width + 1)),
                    };
                }
                out.push_str("|\n");
            }
        }
        out
    }
}

/// "pass" or "MISSED".
pub fn verdict(is_met: bool) -> String {
    if is_met { "pass" } else { "MISSED" }.to_owned()
}

fn first_line(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).current_dir(root()).output();
    let text = output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned());
    text.unwrap_or_default()
        .lines()
        .next()
        .unwrap_or("?")
        .trim()
        .to_owned()
}

/// The package's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("?", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let count = info.lines().filter(|line| line.starts_with("processor")).count();
    format!("{count} x {model}")
}

fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("?").to_owned()
}

/// What the numbers were measured on.
#[derive(Debug)]
pub struct Circumstances {
    command: String,
    commit: String,
    started: String,
    load: String,
    versions: Vec<String>,
}

impl Circumstances {
    /// At the start of a bench; `versions` are those of what is measured.
    pub fn at_start(bench: &str, versions: Vec<String>) -> Circumstances {
        Circumstances {
            command: format!("cargo bench -p dmuc --bench {bench}"),
            commit: first_line("git", &["describe", "--always", "--dirty"]),
            started: first_line("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
            load: load(),
            versions,
        }
    }

    fn text(&self) -> String {
        format!(
            "`{}`, {}, at {}.  \n{}, Linux {}, {}; load average {} at the start, {} at the end.  \n{}.\n",
            self.command,
            self.started,
            self.commit,
            processor(),
            first_line("uname", &["-r"]),
            first_line("rustc", &["--version"]),
            self.load,
            load(),
            self.versions.join(", ")
        )
    }
}

/// Replaces the part of one bench, prints it, and leaves the others as they are.
pub fn write(bench: &str, title: &str, circumstances: &Circumstances, body: &str) -> Result<()> {
    let path = path();
    let old = fs::read_to_string(&path).unwrap_or_default();
    let new = format!("## {title}\n\n{}\n{}\n", circumstances.text(), body.trim_end());
    println!("{new}");
    let mut out = HEAD.to_owned();
    for part in PARTS {
        let (begin, end) = (format!("<!-- {part} -->\n"), format!("<!-- /{part} -->\n"));
        let kept = old
            .split_once(&begin)
            .and_then(|(_, rest)| rest.split_once(&end))
            .map(|(text, _)| text);
        let Some(text) = (if part == bench { Some(&*new) } else { kept }) else {
            continue;
        };
        let _ = write!(out, "\n{begin}{text}{end}");
    }
    fs::write(&path, out).with_context(|| format!("writing {}", path.display()))
}

fn path() -> PathBuf {
    root().join("docs/BENCHMARKS.md")
}
