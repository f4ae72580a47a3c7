//! What cannot be stored because the store of messages is away: it waits in memory and is stored, in order, when the store
//! answers again. An id is on what the archive has, and on nothing else (`retrying.lib.lua`).

use dmuc::address::BareJid;

use super::event::Event;
use super::host::Host;
use super::room::Archived;
use super::storage::LogEntry;

/// A message that waits.
#[derive(Debug, Clone)]
pub enum Unstored {
    Log(LogEntry),
    Archive(Archived),
}

impl Unstored {
    fn id(&self) -> &str {
        match self {
            Unstored::Log(entry) => &entry.event.id,
            Unstored::Archive(message) => &message.stanza_id,
        }
    }
}

impl Host {
    /// Remembers an entry of the stored log that cannot be appended now. False if it can.
    pub(super) fn log_waits(&mut self, room: &BareJid, entry: &LogEntry) -> bool {
        if self.are_messages_away {
            self.unstored.push((room.clone(), Unstored::Log(entry.clone())));
            self.event(Event::Waits {
                room: room.clone(),
                id: entry.event.id.clone(),
                payload: entry.payload.to_string(),
            });
        }
        self.are_messages_away
    }

    /// The same for the archive. What is there already waits no more than once.
    pub(super) fn archive_waits(&mut self, room: &BareJid, message: &Archived) -> bool {
        let is_distributed = self.rooms.get(room).is_some_and(|room| room.is_distributed);
        let is_away = self.are_messages_away && is_distributed;
        if is_away && self.has_archived(room, &message.stanza_id) {
            let waits = Unstored::Archive(message.clone());
            self.unstored.push((room.clone(), waits));
        }
        is_away
    }

    /// Whether the archive has what is to be there under this id: a client may ask for what came after it.
    pub(super) fn has_archived(&self, room: &BareJid, id: &str) -> bool {
        let mut unstored = self.unstored.iter();
        !unstored.any(|(at, item)| at == room && matches!(item, Unstored::Archive(_)) && item.id() == id)
    }

    /// What waits for the stored log of a room.
    pub(super) fn waiting_entries(&self, room: &BareJid) -> Vec<LogEntry> {
        let here = self.unstored.iter().filter(|(at, _)| at == room);
        let entries = here.filter_map(|(_, item)| match item {
            Unstored::Log(entry) => Some(entry.clone()),
            Unstored::Archive(_) => None,
        });
        entries.collect()
    }

    /// The room is not distributed any more.
    pub(super) fn forget_unstored(&mut self, room: &BareJid) {
        self.unstored.retain(|(at, _)| at != room);
    }

    /// What is to be stored under this id gets another payload.
    pub(super) fn rewrite_unstored(&mut self, room: &BareJid, id: &str, payload: &str, in_log: bool) {
        let here = self
            .unstored
            .iter_mut()
            .filter(|(at, item)| at == room && item.id() == id);
        for (_, item) in here {
            match item {
                Unstored::Log(entry) if in_log => entry.payload = payload.into(),
                Unstored::Archive(message) if !in_log => payload.clone_into(&mut message.payload),
                _ => {}
            }
        }
    }

    /// The store of messages answers again.
    pub fn messages_are_back(&mut self) {
        self.are_messages_away = false;
        for (room, item) in std::mem::take(&mut self.unstored) {
            match item {
                Unstored::Log(entry) => self.append_log(&room, entry),
                Unstored::Archive(message) => self.keep(&room, message),
            }
        }
    }
}
