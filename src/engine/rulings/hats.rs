//! Hats (XEP-0317): they go with the list of affiliations and are the source's to give (G7).

use crate::address::BareJid;

use super::super::state::clock::Now;
use super::super::state::room::Room;
use super::super::state::waiting::{Matter, Offer};
use super::super::{Action, Engine, Shown, Verdict, refuse};
use super::{Asker, By, Kind};
use crate::error::Error;
use crate::wire::{ActKind, Condition, Hats, Hatted};

impl Kind for Hatted {
    fn matter(&self) -> Option<Matter> {
        Some(Matter::Hats(self.jid.clone()))
    }

    fn held(&self, room: &Room) -> Hatted {
        Hatted {
            jid: self.jid.clone(),
            hats: room.hats(&self.jid),
        }
    }

    fn hold(&self, room: &mut Room) {
        room.set_hats(&self.jid, self.hats.clone());
    }

    fn rule(self, engine: &mut Engine, now: Now, room: &BareJid, _by: By<'_>) -> Result<Verdict, Error> {
        engine.local_hats(now, room, &self.jid, self.hats)
    }

    fn show(&self, engine: &mut Engine, room: &BareJid) {
        engine.show_hats(room, &self.jid);
    }

    fn check(&self, _engine: &Engine, _room: &Room, _asker: Asker<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn take(&self, _: &mut Engine, _: Now, _: &BareJid, _: Asker<'_>) -> Result<bool, Error> {
        Ok(false)
    }

    fn as_act(&self, _offer: &Offer) -> Option<(ActKind, Option<String>)> {
        None
    }
}

impl Engine {
    /// Hats given here. A shadow follows its source, so that there it is no news.
    fn local_hats(&mut self, now: Now, jid: &BareJid, user: &BareJid, hats: Hats) -> Result<Verdict, Error> {
        let room = self.room_mut(jid)?;
        if !room.is_source() {
            return Ok(Verdict::Done);
        }
        if !hats.is_empty() && !room.settings.affiliations.contains_key(user) {
            return Err(refuse(
                Condition::ItemNotFound,
                "Hats are for who is on the list of affiliations",
            ));
        }
        if room.set_hats(user, hats) {
            room.next_settings();
            room.note_affiliation(user);
            let item = room.entry(user);
            self.send_affiliation(now, jid, &item);
            self.unsaved.insert(jid.clone());
        }
        Ok(Verdict::Done)
    }

    /// The hats of somebody, as the source has given them.
    pub fn hats_of(&self, room: &BareJid, user: &BareJid) -> Hats {
        let room = self.rooms.get(room);
        room.map(|room| room.hats(user)).unwrap_or_default()
    }

    /// The host shows the hats of somebody as they are: none while a change that waits for the source has taken them off
    /// the list here.
    pub(in crate::engine) fn show_hats(&mut self, jid: &BareJid, user: &BareJid) {
        let Some(room) = self.rooms.get(jid) else { return };
        let is_listed = room.settings.affiliations.contains_key(user);
        let hats = match is_listed {
            true => room.hats(user),
            false => Hats::default(),
        };
        let user = user.clone();
        let shown = Shown::Hats(Hatted { jid: user, hats });
        self.actions.push_back(Action::apply(jid, shown));
    }
}
