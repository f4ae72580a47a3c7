//! A room's history as an answer (XEP-0281 section 3.2).

use crate::address::{BareJid, Jid};
use minidom::Element;

use super::dom::{bad, id, jid, lang, message_id, over, required, time, to_jid};
use super::limits::{MAX_HISTORY_MESSAGES, MAX_MESSAGE_ID_BYTES};
use super::payload::{collect, push_sound};
use super::text::Tag;
use super::{Condition, EventStamp, WireError, datetime, ns};

/// `<history/>`: the messages, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HistoryResult {
    /// The messages, oldest first.
    pub messages: Vec<HistoryMessage>,
}

/// One message of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryMessage {
    /// Who said it (the resource of `from`).
    pub nick: String,
    /// The instance that answers (the bare JID of `from`).
    pub instance: BareJid,
    /// The `id` its sender gave it.
    pub id: Option<String>,
    /// Its `xml:lang`.
    pub lang: Option<String>,
    /// The children as XML, without the delay, event and occupant-id below.
    pub payload: String,
    /// When it was said, in milliseconds since 1970.
    pub stamp: i64,
    /// The `from` of the delay: the real JID where the room is not anonymous, else the room (XEP-0045 7.2.13).
    pub delay_from: Option<Jid>,
    /// The mark of the event; absent from peers that speak only the XEP.
    pub event: Option<EventStamp>,
    /// The occupant-id (XEP-0421) of the sender.
    pub occupant_id: Option<String>,
}

impl HistoryResult {
    /// Messages of the room itself (whose `from` has no nick) are no part of what was said, and are passed over.
    pub(super) fn read(el: &Element) -> Result<HistoryResult, WireError> {
        let mut messages = Vec::new();
        for message in el.children().filter(|child| child.is("message", ns::CLIENT)) {
            if messages.len() == MAX_HISTORY_MESSAGES {
                return Err(over(format!(
                    "the history has more than {MAX_HISTORY_MESSAGES} messages"
                )));
            }
            messages.extend(HistoryMessage::read(message)?);
        }
        Ok(HistoryResult { messages })
    }

    pub(super) fn write(&self, out: &mut String) {
        Tag::within(out, "history", ns::MUC).body(|out| {
            self.messages.iter().for_each(|message| message.write(out));
        });
    }
}

impl HistoryMessage {
    fn read(el: &Element) -> Result<Option<HistoryMessage>, WireError> {
        if el.attr("type") != Some("groupchat") {
            return Err(bad("a message of the history is not of type 'groupchat'"));
        }
        let from = to_jid("from", required(el, "from")?)?;
        let Some(nick) = from.resource().map(str::to_owned) else {
            return Ok(None);
        };
        if from.node().is_none() {
            return Err(WireError::new(
                Condition::JidMalformed,
                "'from' is not the JID of an occupant",
            ));
        }
        // A client may have sent a <delay/> of its own; the one that the history adds comes after it.
        let delay = el.children().filter(|child| child.is("delay", ns::DELAY)).last();
        let delay = delay.ok_or_else(|| bad("a message of the history lacks <delay/>"))?;
        let stamp = time(delay, "stamp")?.ok_or_else(|| bad("<delay/> lacks the attribute 'stamp'"))?;
        let event = el.children().find(|child| child.is("event", ns::OURS));
        let occupant = el
            .children()
            .find(|child| child.is("occupant-id", ns::OCCUPANT_ID));
        let payload = collect(el, |child| {
            let namespace = child.ns();
            let added = [ns::OURS, ns::DMUC, ns::OCCUPANT_ID].contains(&namespace.as_str());
            !added && !std::ptr::eq(child, delay)
        })?;
        Ok(Some(HistoryMessage {
            nick,
            instance: from.to_bare(),
            id: message_id(el)?,
            lang: lang(el),
            payload,
            stamp,
            delay_from: jid(delay, "from")?,
            event: event.map(EventStamp::read).transpose()?,
            occupant_id: occupant.map(|occupant| id(occupant, "id")).transpose()?.flatten(),
        }))
    }

    fn write(&self, out: &mut String) {
        let from = format!("{}/{}", self.instance, self.nick);
        Tag::within(out, "message", ns::CLIENT)
            .attr("from", &from)
            .attr("type", "groupchat")
            .opt(
                "id",
                self.id.as_deref().filter(|id| id.len() <= MAX_MESSAGE_ID_BYTES),
            )
            .opt("xml:lang", self.lang.as_deref())
            .body(|out| {
                push_sound(out, &self.payload);
                Tag::within(out, "delay", ns::DELAY)
                    .opt("from", self.delay_from.as_ref().map(Jid::as_str))
                    .attr("stamp", &datetime::format(self.stamp))
                    .empty();
                if let Some(id) = &self.occupant_id {
                    Tag::within(out, "occupant-id", ns::OCCUPANT_ID)
                        .attr("id", id)
                        .empty();
                }
                if let Some(event) = &self.event {
                    event.write(out);
                }
            });
    }
}
