//! The vCard of a room (XEP-0486), as a host keeps it.

use dmuc::Input;
use dmuc::address::BareJid;
use dmuc::engine::Ruled;
use dmuc::wire::{ActKind, Affiliation, Picture};

use super::event::{Seen, What};
use super::host::Host;
use super::moderate::Wish;
use super::people::Denied;

/// A vCard with a photo of about so many bytes. No bytes: none.
pub fn vcard(name: &str, bytes: usize) -> String {
    if bytes == 0 {
        return String::new();
    }
    let photo = "Zm90".repeat(bytes / 4);
    format!("<vCard xmlns='vcard-temp'><FN>{name}</FN><PHOTO><BINVAL>{photo}</BINVAL></PHOTO></vCard>")
}

impl Host {
    /// An owner sets the avatar; an empty text removes it.
    pub fn set_avatar(&mut self, room: &BareJid, nick: &str, vcard: &str) -> Result<Wish, Denied> {
        let actor = self.expect_local(room, nick)?.clone();
        if actor.affiliation < Affiliation::Owner {
            return Err(Denied::NotEntitled);
        }
        let user = actor.jid.to_bare();
        let given = Some(vcard).filter(|vcard| !vcard.is_empty());
        let avatar = given.and_then(|vcard| Picture::parse(vcard).expect("a vCard"));
        let avatar = avatar.map(|picture| picture.avatar);
        let host_room = self.room(room);
        let (is_shadow, is_distributed) = (host_room.is_shadow(), host_room.is_distributed);
        if is_distributed {
            self.tell(Input::Avatar {
                room,
                vcard: given,
                is_wanted: true,
            });
        }
        if is_shadow {
            let kind = ActKind::Avatar {
                avatar: avatar.clone(),
                was: None,
            };
            if let Some(wish) = self.ask(room, nick, &actor, kind, None) {
                return Ok(wish);
            }
            self.tried(room, &user, What::Avatar, vcard.to_owned());
        }
        // What is to be offered is stored before anybody sees it.
        if is_distributed {
            self.tell(Input::Ruled(Ruled {
                actor_nick: Some(nick),
                actor_jid: Some(&user),
                ..Ruled::by_the_room(room, avatar)
            }));
        }
        self.show_avatar(room, vcard.to_owned());
        self.drain();
        Ok(Wish::Done)
    }

    /// The hash of the avatar that the engine has been told to be in force here.
    pub(super) fn avatar_told(&self, room: &BareJid) -> Option<String> {
        let stored = self.engine.snapshot(room)?.to_xml();
        let (_, settings) = stored.split_once("<settings ")?;
        let (settings, _) = settings.split_once("</settings>")?;
        let (_, avatar) = settings.split_once("<avatar ")?;
        let (avatar, _) = avatar.split_once('>')?;
        let (_, hash) = avatar.split_once("hash='")?;
        hash.split_once('\'').map(|(hash, _)| hash.to_owned())
    }

    /// People here are told, and it is kept.
    pub(super) fn show_avatar(&mut self, room: &BareJid, vcard: String) {
        let Some(host_room) = self.rooms.get_mut(room) else {
            return;
        };
        host_room.vcard.clone_from(&vcard);
        self.decided(room, What::Avatar, vcard.clone());
        self.show_all(room, &Seen::Avatar(vcard));
    }

    pub(super) fn give_avatar(&mut self, room: &BareJid) {
        let vcard = self.rooms.get(room).map(|room| room.vcard.clone());
        let Some(vcard) = vcard.filter(|_| self.engine.room_info(room).is_some()) else {
            return;
        };
        self.tell(Input::Avatar {
            room,
            vcard: Some(&*vcard).filter(|vcard| !vcard.is_empty()),
            is_wanted: false,
        });
    }
}
