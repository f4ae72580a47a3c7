//! By which addresses people here may reach a room that is here as well (DESIGN 10): those of its other instances that hold
//! it by their own word ([`super::proving`]). The host is told whenever they change.

use crate::address::BareJid;

use super::{Action, Engine};

impl Engine {
    /// Other instances of `room` whose address people here may use for it: those that have said themselves that they hold it,
    /// until their service says that it does not, whatever the state of the link. None of a room that is not open here.
    pub fn addresses(&self, room: &BareJid) -> Vec<BareJid> {
        let room = self.rooms.get(room).filter(|room| room.ready);
        let instances = room.into_iter().flat_map(|room| &room.instances);
        let proven = instances.filter(|(_, instance)| instance.is_proven);
        proven.map(|(jid, _)| jid.clone()).collect()
    }

    /// Tells the host if the addresses of a room are others than it was told last. Of a room that is no longer shared there
    /// are none.
    pub(super) fn tell_addresses(&mut self, room: &BareJid) {
        let addresses = self.addresses(room);
        let told = self.addresses.get(room).map_or(&[][..], Vec::as_slice);
        if *told == *addresses {
            return;
        }
        if addresses.is_empty() {
            self.addresses.remove(room);
        } else {
            self.addresses.insert(room.clone(), addresses.clone());
        }
        let room = room.clone();
        self.actions.push_back(Action::Served { room, addresses });
    }
}
