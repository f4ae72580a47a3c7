//! How strictly a picture of many parts is read: a list, a form, a page. Whoever asks for one thing is refused if it is
//! malformed. In a picture of many, what is malformed costs at most what it describes: refused as a whole it would be
//! sent again as it is, and hold back everything after it.

use super::WireError;

/// What was cut or left out of something that was taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unfit {
    /// How many parts.
    pub count: u64,
    /// What was wrong with the first of them, in words.
    pub first: Option<String>,
}

impl Unfit {
    /// Counts one part.
    pub fn note(&mut self, what: impl Into<String>) {
        self.count += 1;
        self.first.get_or_insert_with(|| what.into());
    }

    /// Counts those of `other` as well.
    pub fn add(&mut self, other: Unfit) {
        self.count += other.count;
        if self.first.is_none() {
            self.first = other.first;
        }
    }

    /// What happened in words; `None` if everything was taken as it is.
    pub fn text(&self) -> Option<String> {
        let first = self.first.as_deref()?;
        Some(match self.count {
            0 | 1 => first.to_owned(),
            count => format!("{first}; {} more", count - 1),
        })
    }
}

/// Reads strictly, or counts what is passed over.
pub(super) struct Reading {
    is_strict: bool,
    pub(super) unfit: Unfit,
}

impl Reading {
    pub(super) fn strict() -> Reading {
        Reading {
            is_strict: true,
            unfit: Unfit::default(),
        }
    }

    pub(super) fn lenient() -> Reading {
        Reading {
            is_strict: false,
            unfit: Unfit::default(),
        }
    }

    pub(super) fn is_strict(&self) -> bool {
        self.is_strict
    }

    /// Something is wrong with a part, which is passed over.
    pub(super) fn pass_over(&mut self, error: WireError) -> Result<(), WireError> {
        if self.is_strict {
            return Err(error);
        }
        self.unfit.note(error.text);
        Ok(())
    }

    /// A part, or nothing if it is passed over.
    pub(super) fn part<T>(&mut self, part: Result<T, WireError>) -> Result<Option<T>, WireError> {
        match part {
            Ok(part) => Ok(Some(part)),
            Err(error) => self.pass_over(error).map(|()| None),
        }
    }

    /// Something of an item that may be absent, or nothing if it is passed over.
    pub(super) fn detail<T>(
        &mut self,
        whose: &str,
        part: Result<Option<T>, WireError>,
    ) -> Result<Option<T>, WireError> {
        let part = part.map_err(|error| WireError {
            text: format!("{} (of {whose})", error.text),
            ..error
        });
        Ok(self.part(part)?.flatten())
    }

    /// Whether there is room for another of `most` parts. What is beyond is passed over.
    pub(super) fn has_room(
        &mut self,
        count: usize,
        most: usize,
        over: impl FnOnce() -> WireError,
    ) -> Result<bool, WireError> {
        match count < most {
            true => Ok(true),
            false => self.pass_over(over()).map(|()| false),
        }
    }
}

/// Whom an item is about, for words in a log.
pub(super) fn whose(jid: Option<&str>, nick: Option<&str>) -> String {
    let shown = |c: char| if c.is_control() { '\u{FFFD}' } else { c };
    jid.or(nick)
        .unwrap_or("nobody")
        .chars()
        .take(80)
        .map(shown)
        .collect()
}
