//! Who votes: instances at services that the source's administrator trusts with it (`dmuc_voters`), one change at a time.

use crate::address::BareJid;

use super::super::Engine;
use super::super::state::clock::Now;
use super::super::state::room::Room;
use crate::config::Voters;
use crate::succession::{MAX_VOTERS, Step};

impl Engine {
    /// Whether an instance at this service may vote.
    fn may_vote(&self, service: &BareJid) -> bool {
        let policy = self.config.peers.get(service);
        match &self.config.voters {
            Voters::Trusted => policy.is_some_and(|policy| policy.trusted),
            Voters::Nobody => false,
            Voters::These(services) => policy.is_some() && services.contains(service),
        }
    }

    /// The instances that may vote besides the source.
    pub(super) fn voters_wanted(&self, room: &Room) -> Vec<BareJid> {
        let instances = room.instances.iter();
        let may_vote = instances.filter(|(peer, instance)| {
            instance.holds_room() && self.speaks_ours(peer) && self.hears_of_it(&peer.service())
        });
        may_vote
            .map(|(peer, _)| peer.clone())
            .filter(|peer| self.may_vote(&peer.service()))
            .collect()
    }

    /// Who votes in a room, in order; only its source, or nobody who is known here, if nobody can follow that.
    pub fn voters(&self, jid: &BareJid) -> &[BareJid] {
        let succession = self.rooms.get(jid).and_then(|room| room.succession.as_ref());
        succession.map_or(&[], |succession| &succession.party.line().voters)
    }

    /// The source makes a voter of who may vote and holds what it has decided, and strikes who is no instance any more.
    pub(super) fn tend_voters(&mut self, now: Now, jid: &BareJid) {
        let Some(room) = self.rooms.get(jid) else { return };
        let Some(succession) = &room.succession else {
            return;
        };
        let party = &succession.party;
        if !party.may_decide() || !party.is_settled() || succession.heir.is_some() {
            return;
        }
        let voters = party.line().voters.clone();
        let is_gone = |voter: &BareJid| {
            let is_instance = room.instances.contains_key(voter) || room.unnamed.contains(voter);
            // Who is named is struck by not being named any more; trust says only who is made a voter.
            let is_unwanted = self.config.voters != Voters::Trusted && !self.may_vote(&voter.service());
            voter != jid && (!is_instance || is_unwanted)
        };
        let mut changed = voters.clone();
        if let Some(place) = voters.iter().position(is_gone) {
            changed.remove(place);
        } else {
            let edition = &party.statement().edition;
            let holds = |peer: &BareJid| party.heard(peer).is_some_and(|said| said.edition == *edition);
            let wanted = self.voters_wanted(room);
            let next = wanted
                .into_iter()
                .find(|peer| !voters.contains(peer) && holds(peer));
            let Some(next) = next.filter(|_| voters.len() < MAX_VOTERS) else {
                return;
            };
            changed.push(next);
        }
        let mut party = party.clone();
        if party.order(Step::Voters(changed), &|_| false).is_err() {
            return;
        }
        let version = party.statement().edition.version;
        if let Some(room) = self.rooms.get_mut(jid) {
            // It is an edition of the settings like any other.
            (room.settings.version, room.settings.form_version) = (version, version);
            room.touch();
            if let Some(succession) = &mut room.succession {
                succession.party = party;
            }
        }
        self.unsaved.insert(jid.clone());
        self.shadows_changed(now, jid);
        self.voting.insert(jid.clone());
    }
}
