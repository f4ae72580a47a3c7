//! Printing: 80 columns, plain ASCII, colours only on a terminal.

use std::io::IsTerminal;

/// Where the story is told.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    is_silent: bool,
    has_colours: bool,
}

const WIDTH: usize = 78;
const BOLD: &str = "1";
const DIM: &str = "2";

impl Terminal {
    pub fn for_stdout() -> Terminal {
        Terminal {
            is_silent: false,
            has_colours: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        }
    }

    pub fn silent() -> Terminal {
        Terminal {
            is_silent: true,
            has_colours: false,
        }
    }

    fn print(self, style: &str, line: &str) {
        if self.is_silent {
            return;
        }
        match self.has_colours && !style.is_empty() {
            true => println!("\x1b[{style}m{line}\x1b[0m"),
            false => println!("{line}"),
        }
    }

    /// The title of a part.
    pub fn act(self, title: &str) {
        self.print("", "");
        self.print(BOLD, title);
        self.print(DIM, &"-".repeat(title.len()));
    }

    /// A line of the story.
    pub fn tell(self, line: &str) {
        self.print("", &format!("  {line}"));
    }

    /// What somebody says, wrapped behind who and where.
    pub fn quote(self, who: &str, place: &str, what: &str) {
        let head = format!("  {:<26}", format!("{who} ({place})"));
        for (number, line) in wrapped(what, WIDTH - head.len()).iter().enumerate() {
            match number {
                0 => self.print("", &format!("{head}{line}")),
                _ => self.print("", &format!("{}{line}", " ".repeat(head.len()))),
            }
        }
    }

    /// Two things side by side, each cut off where its column ends.
    pub fn columns(self, left: &str, right: &str) {
        const COLUMN: usize = (WIDTH - 2) / 2 - 1;
        let cut = |text: &str| match text.chars().count() > COLUMN {
            true => text.chars().take(COLUMN - 3).chain("...".chars()).collect(),
            false => text.to_owned(),
        };
        let line = format!("  {:<COLUMN$}  {}", cut(left), cut(right));
        self.print("", line.trim_end());
    }

    /// A side remark.
    pub fn quiet_line(self, line: &str) {
        self.print(DIM, &format!("  {line}"));
    }

    /// As it is.
    pub fn plain(self, line: &str) {
        self.print("", line);
    }

    /// As it is, to be noticed.
    pub fn strong(self, line: &str) {
        self.print(BOLD, line);
    }
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
