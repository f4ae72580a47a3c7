//! Everything that arrived, also what was taken: for questions about the whole of what somebody saw.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use minidom::Element;

use super::Inbox;
use crate::xml::to_string;

impl Inbox {
    /// From now on everything that arrives is also kept in the [transcript](Inbox::transcript), whoever takes it from
    /// the inbox. What is in the inbox now is its beginning.
    pub fn keep_transcript(&self) {
        let mut state = self.shared.lock();
        if state.transcript.is_none() {
            state.transcript = Some(state.queue.iter().map(|(_, e)| e.clone()).collect());
        }
    }

    /// Everything that arrived since [`Inbox::keep_transcript`], in order, also what was taken.
    pub fn transcript(&self) -> Vec<Element> {
        self.with_transcript(<[Element]>::to_vec)
    }

    /// Looks at the transcript without copying it.
    pub fn with_transcript<T>(&self, look: impl FnOnce(&[Element]) -> T) -> T {
        look(self.shared.lock().transcript.as_deref().unwrap_or_default())
    }

    /// Waits until the transcript is as wanted. Takes nothing. A stream that has ended fails it.
    pub async fn until(
        &self,
        what: &str,
        timeout: Duration,
        mut wanted: impl FnMut(&[Element]) -> bool,
    ) -> Result<()> {
        let mut changed = self.shared.changed.subscribe();
        let wait = async {
            loop {
                changed.borrow_and_update();
                if self.with_transcript(&mut wanted) {
                    return Ok(());
                }
                if let Some(why) = &self.shared.lock().closed {
                    bail!("the stream closed: {why}");
                }
                changed.changed().await?;
            }
        };
        tokio::time::timeout(timeout, wait)
            .await
            .unwrap_or_else(|_| bail!("timeout after {timeout:?}"))
            .with_context(|| {
                let last: Vec<String> = self
                    .transcript()
                    .iter()
                    .rev()
                    .take(30)
                    .rev()
                    .map(to_string)
                    .collect();
                format!(
                    "{}: waiting until {what}; the last of the transcript:\n{}",
                    self.shared.name,
                    last.join("\n")
                )
            })
    }

    /// Whether the stream has ended.
    pub fn is_closed(&self) -> bool {
        self.shared.lock().closed.is_some()
    }
}
