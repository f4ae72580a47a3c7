//! What a log takes: nothing but what has passed [the door](super::super::door), which alone makes it
//! (`tests/lint/floors.sh`).

use super::log::{Entry, EventKey};

/// An event that has passed the door.
#[derive(Debug, Clone)]
pub(crate) struct Admitted(Entry);

impl Admitted {
    /// The event.
    pub(crate) fn entry(&self) -> &Entry {
        &self.0
    }

    /// The event, for the log.
    pub(crate) fn into_entry(self) -> Entry {
        self.0
    }

    /// An event that may come in.
    pub(crate) fn by_the_door(entry: Entry) -> Admitted {
        Admitted(entry)
    }

    /// Something that this instance numbers itself: its own people's words and its own decisions.
    pub(crate) fn of_our_own(entry: Entry) -> Admitted {
        Admitted(entry)
    }

    /// A message that waited for its home's history is numbered when it follows.
    pub(crate) fn numbered(self, key: EventKey) -> Admitted {
        Admitted(Entry { key, ..self.0 })
    }

    #[cfg(test)]
    pub(crate) fn in_a_test(entry: Entry) -> Admitted {
        Admitted(entry)
    }
}
