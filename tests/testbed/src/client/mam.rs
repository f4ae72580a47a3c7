//! Archives (XEP-0313).

use anyhow::{Context, Result};
use minidom::Element;

use super::Client;
use crate::xml::{escape, to_string};

const MAM: &str = "urn:xmpp:mam:2";
const RSM: &str = "http://jabber.org/protocol/rsm";
const FORWARD: &str = "urn:xmpp:forward:0";
const DELAY: &str = "urn:xmpp:delay";

/// A message of an archive.
#[derive(Debug, Clone)]
pub struct MamItem {
    /// Its id in the archive.
    pub id: String,
    /// When it was archived, as XEP-0082.
    pub stamp: String,
    /// The message.
    pub message: Element,
}

impl Client {
    /// The whole archive of a room or user, oldest first, in pages of twenty.
    pub async fn mam_all(&self, archive: &str) -> Result<Vec<MamItem>> {
        self.mam_pages(archive, 20).await
    }

    /// The whole archive, in pages of some size.
    pub async fn mam_pages(&self, archive: &str, page: usize) -> Result<Vec<MamItem>> {
        self.mam_after(archive, None, page).await
    }

    /// What the archive has after the item with an id, oldest first, in pages of some size: how a client that was
    /// away catches up.
    pub async fn mam_after(&self, archive: &str, id: Option<&str>, page: usize) -> Result<Vec<MamItem>> {
        let mut items: Vec<MamItem> = Vec::new();
        loop {
            let after = match items.last().map(|item| item.id.as_str()).or(id) {
                Some(id) => format!("<after>{}</after>", escape(id)),
                None => String::new(),
            };
            let query_id = self.new_id();
            let answer = self
                .iq_ok(&format!(
                    "<iq type='set' to='{}'><query xmlns='{MAM}' queryid='{query_id}'>\
                     <set xmlns='{RSM}'><max>{page}</max>{after}</set></query></iq>",
                    escape(archive)
                ))
                .await
                .with_context(|| format!("the archive of {archive}"))?;
            // Results come before the answer, on the same stream.
            let results = self.drain_matching(|s| {
                s.get_child("result", MAM)
                    .is_some_and(|r| r.attr("queryid") == Some(query_id.as_str()))
            });
            let count = results.len();
            for message in &results {
                items.push(item(message).with_context(|| format!("in {}", to_string(message)))?);
            }
            let fin = answer.get_child("fin", MAM).context("an answer without <fin/>")?;
            if count == 0 || matches!(fin.attr("complete"), Some("true" | "1")) {
                return Ok(items);
            }
        }
    }
}

fn item(message: &Element) -> Result<MamItem> {
    let result = message.get_child("result", MAM).context("no result")?;
    let forwarded = result
        .get_child("forwarded", FORWARD)
        .context("nothing forwarded")?;
    let stamp = forwarded
        .get_child("delay", DELAY)
        .and_then(|d| d.attr("stamp"))
        .context("no time")?;
    let inner = forwarded
        .children()
        .find(|c| c.name() == "message")
        .context("no message")?;
    Ok(MamItem {
        id: result.attr("id").context("no id")?.to_owned(),
        stamp: stamp.to_owned(),
        message: inner.clone(),
    })
}
