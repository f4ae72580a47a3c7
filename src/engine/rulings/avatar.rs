//! The room's avatar (XEP-0486): an owner sets it, the source decides, and it comes with the settings. That is which vCard it
//! is; the vCard itself is with the host, and asked for where it is missing ([`super::super::pictures`]).

use crate::address::BareJid;

use super::super::state::clock::Now;
use super::super::state::room::Room;
use super::super::state::waiting::{Matter, Offer};
use super::super::{Engine, Verdict, refuse};
use super::{Actor, Asker, By, Kind, Variant};
use crate::error::Error;
use crate::wire::{ActKind, Affiliation, Avatar, Condition, Picture, Ruling};

impl Kind for Option<Avatar> {
    fn matter(&self) -> Option<Matter> {
        Some(Matter::Avatar)
    }

    fn held(&self, room: &Room) -> Option<Avatar> {
        room.settings.avatar.clone()
    }

    fn hold(&self, room: &mut Room) {
        room.settings.avatar.clone_from(self);
    }

    fn rule(self, engine: &mut Engine, now: Now, room: &BareJid, by: By<'_>) -> Result<Verdict, Error> {
        engine.local_avatar(now, room, self, by.actor)
    }

    /// As soon as the vCard is here.
    fn show(&self, engine: &mut Engine, room: &BareJid) {
        engine.pictures.look_at(room);
    }

    /// Only an owner sets it, and only the source decides: it may have ceased to be that while the vCard was on its way.
    fn check(&self, engine: &Engine, room: &Room, Asker { home, act }: Asker<'_>) -> Result<(), Error> {
        let rank = engine.rank_of(room, home, act.actor_nick.as_deref(), act.actor_jid.as_ref());
        if rank != Affiliation::Owner || !room.is_source() {
            return Err(refuse(Condition::Forbidden, "Only an owner may set the avatar"));
        }
        Ok(())
    }

    /// One that is not here yet is asked for first.
    fn take(&self, engine: &mut Engine, now: Now, room: &BareJid, _: Asker<'_>) -> Result<bool, Error> {
        let held = &engine.room_mut(room)?.settings.avatar;
        if self.is_none() && held.is_some() {
            engine.decide_avatar(now, room, None);
        }
        Ok(self.is_none())
    }

    fn as_act(&self, offer: &Offer) -> Option<(ActKind, Option<String>)> {
        let kind = ActKind::Avatar {
            avatar: self.clone(),
            was: Self::of(&offer.was).cloned(),
        };
        Some((kind, None))
    }
}

impl Engine {
    /// An owner here has set it, and the host shows it.
    fn local_avatar(
        &mut self,
        now: Now,
        jid: &BareJid,
        avatar: Option<Avatar>,
        actor: Actor<'_>,
    ) -> Result<Verdict, Error> {
        let room = self.room_mut(jid)?;
        room.pictured = avatar.as_ref().map(|avatar| avatar.hash.clone());
        if room.settings.avatar == avatar {
            return Ok(Verdict::Done);
        }
        if !room.is_source() {
            self.offer(jid, Ruling::Avatar(avatar), actor);
            self.offer_if_agreed(now, jid);
            return Ok(Verdict::Done);
        }
        room.settings.avatar = avatar;
        room.next_settings();
        self.tell_settings(now, jid);
        Ok(Verdict::Done)
    }

    /// The host has this one. At the source that is the one in force, at a shadow the one in force is shown instead.
    pub(in crate::engine) fn avatar_found(
        &mut self,
        now: Now,
        jid: &BareJid,
        avatar: Option<Avatar>,
    ) -> Result<(), Error> {
        let room = self.room_mut(jid)?;
        if !room.is_source() {
            room.pictured = avatar.map(|avatar| avatar.hash);
            self.pictures.look_at(jid);
            return Ok(());
        }
        let nobody = Actor {
            nick: None,
            jid: None,
            invites: false,
        };
        self.local_avatar(now, jid, avatar, nobody).map(drop)
    }

    /// The source takes one that was asked for elsewhere, and has it.
    pub(in crate::engine) fn decide_avatar(&mut self, now: Now, jid: &BareJid, picture: Option<Picture>) {
        let Some(room) = self.rooms.get_mut(jid) else {
            return;
        };
        room.settings.avatar = picture.as_ref().map(|picture| picture.avatar.clone());
        room.next_settings();
        self.show_picture(jid, picture);
        self.tell_settings(now, jid);
    }
}
