//! What rank somebody at another instance has (G11): the list's, by a real JID that its home may name.
//!
//! That an occupant is a moderator whom no list makes one is its home's word. It is taken from the source, from trusted peers,
//! and from who speaks for an admin or owner of the room and so could have one of them do the same; and where it was somebody
//! here who made it one.

use crate::address::{BareJid, Jid};

use super::Engine;
use super::state::instance::Remote;
use super::state::room::{Affiliated, Room};
use crate::wire::{ActKind, Affiliation, Role};

impl Engine {
    /// The affiliation that the list gives to somebody at another instance: by the real JID that is known here of the
    /// occupant with this nick, or that its home may name.
    pub(super) fn rank_of(
        &self,
        room: &Room,
        home: &BareJid,
        nick: Option<&str>,
        named: Option<&BareJid>,
    ) -> Affiliation {
        let known = occupant(room, home, nick).and_then(|remote| remote.jid.clone());
        let may_name = |jid: &&BareJid| self.config.is_authoritative(&home.service(), jid.domain());
        let named = named.filter(may_name);
        known
            .or(named.cloned().map(Jid::from))
            .map_or(Affiliation::None, |person| room.affiliation_of(&person))
    }

    /// Whether `home` is believed that this occupant of its own is a moderator, whatever the list says of that occupant.
    fn is_moderator_believed(&self, room: &Room, home: &BareJid, remote: &Remote) -> bool {
        let service = home.service();
        let rules = |(user, entry): (&BareJid, &Affiliated)| {
            entry.affiliation >= Affiliation::Admin
                && user.node().is_some()
                && self.config.is_authoritative(&service, user.domain())
        };
        remote.is_made_moderator
            || room.is_from_source(home)
            || self.config.is_trusted(&service)
            || room.settings.affiliations.iter().any(rules)
    }

    /// Somebody here has an occupant of `home` given a role.
    pub(super) fn note_role_given(&mut self, jid: &BareJid, home: &BareJid, given: &ActKind) {
        if let ActKind::Role {
            nick, serial, role, ..
        } = given
            && let Some(instance) = self.instance_mut(jid, home)
            && let Some(remote) = instance.occupants.get_mut(nick)
            && serial.is_none_or(|serial| serial == remote.serial)
        {
            remote.is_made_moderator = *role == Role::Moderator;
        }
    }

    /// Whether somebody at another instance may set the subject: as an occupant there, or by rank.
    pub(super) fn may_set_subject(
        &self,
        room: &Room,
        home: &BareJid,
        nick: Option<&str>,
        jid: Option<&BareJid>,
    ) -> bool {
        let anybody = room.settings.form.flag("muc#roomconfig_changesubject") == Some(true);
        if let Some(remote) = occupant(room, home, nick).filter(|remote| !remote.hidden) {
            return match anybody {
                true => remote.role >= Role::Participant,
                false => {
                    let rank = self.rank_of(room, home, nick, jid);
                    remote.role >= Role::Moderator
                        && (rank >= Affiliation::Admin || self.is_moderator_believed(room, home, remote))
                }
            };
        }
        // Gone since: by what the list says, if the instance may name it.
        if !jid.is_some_and(|jid| self.config.is_authoritative(&home.service(), jid.domain())) {
            return false;
        }
        let affiliation = self.rank_of(room, home, None, jid);
        let is_moderated = room.settings.form.flag("muc#roomconfig_moderatedroom") == Some(true);
        affiliation >= Affiliation::Admin
            || anybody
                && (affiliation >= Affiliation::Member || affiliation == Affiliation::None && !is_moderated)
    }
}

fn occupant<'a>(room: &'a Room, home: &BareJid, nick: Option<&str>) -> Option<&'a Remote> {
    let instance = room.instances.get(home)?;
    instance.occupants.get(nick?)
}
