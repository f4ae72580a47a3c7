//! Rooms whose stored state the host cannot read yet. What is not known is not denied: peers are asked to wait, and nobody
//! is told that such a room, or any room while it is not even known which there are, is gone.

use std::collections::BTreeSet;

use crate::address::BareJid;

use super::{Engine, refuse};
use crate::error::Error;
use crate::wire::Condition;

/// What cannot be read yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unread {
    /// Which rooms there are.
    list: bool,
    /// These rooms.
    rooms: BTreeSet<BareJid>,
}

impl Engine {
    /// The host cannot read a room, or the list of them, or has read it.
    pub(super) fn note_unread(&mut self, room: Option<&BareJid>, is_unread: bool) {
        match (room, is_unread) {
            (None, _) => self.unread.list = is_unread,
            (Some(room), true) => {
                self.unread.rooms.insert(room.clone());
            }
            (Some(room), false) => {
                self.unread.rooms.remove(room);
            }
        }
    }

    /// Whether this may be one of the rooms that cannot be read yet.
    pub fn is_unread(&self, room: &BareJid) -> bool {
        !self.rooms.contains_key(room) && (self.unread.list || self.unread.rooms.contains(room))
    }

    /// Whether there may be rooms of which nothing is known yet, whatever their ids.
    pub fn has_unread(&self) -> bool {
        self.unread.list || !self.unread.rooms.is_empty()
    }

    /// The rooms that are known not to be readable yet, in the order of their JIDs.
    pub fn unread_rooms(&self) -> impl Iterator<Item = &BareJid> {
        self.unread.rooms.iter()
    }

    /// Whether it is not even known which rooms there are.
    pub fn is_list_unread(&self) -> bool {
        self.unread.list
    }

    /// Refuses what is asked of a room that cannot be read yet.
    pub(super) fn expect_read(&self, room: &BareJid) -> Result<(), Error> {
        match self.is_unread(room) {
            true => Err(refuse(
                Condition::ResourceConstraint,
                "The storage of this room cannot be reached yet; try again",
            )),
            false => Ok(()),
        }
    }
}
