//! Who votes: instances at services that the source's administrator trusts with it (`dmuc_voters`), or those among them that the
//! owners of the room have named in its configuration; one change at a time.

use crate::address::BareJid;

use super::super::state::clock::Now;
use super::super::state::room::Room;
use super::super::{Engine, refuse};
use crate::config::Voters;
use crate::error::Error;
use crate::succession::{MAX_VOTERS, Step};
use crate::wire::{Condition, Form};

/// The field of the configuration in which owners name the services that vote, the source's own among them.
pub const VOTERS_FIELD: &str = "{urn:x-dmuc:0}voters";

/// The services that the owners of the room have named, in order. Nothing: it is as `dmuc_voters` has it.
fn named(form: &Form) -> Option<Vec<BareJid>> {
    let values = form.values(VOTERS_FIELD).unwrap_or_default();
    let services: Vec<BareJid> = values
        .iter()
        .filter_map(|value| BareJid::new(value).ok())
        .collect();
    Some(services).filter(|services| !services.is_empty())
}

/// Who came in first was the first to hold what the source had decided: the order is the owners'.
fn order_as_named(voters: &mut [BareJid], form: &Form) {
    if let Some(order) = named(form) {
        voters.sort_by_key(|voter| {
            let place = order.iter().position(|service| voter.is_at(service));
            place.unwrap_or(order.len())
        });
    }
}

impl Engine {
    /// Whether an instance of the room at this service may vote.
    fn may_vote(&self, room: &Room, service: &BareJid) -> bool {
        let is_named = named(&room.settings.form).is_none_or(|services| services.contains(service));
        is_named && self.is_allowed_to_vote(service)
    }

    /// Whether the administrator here lets this service vote. Owners choose among those.
    fn is_allowed_to_vote(&self, service: &BareJid) -> bool {
        let policy = self.config.peers.get(service);
        match &self.config.voters {
            Voters::Nobody => false,
            Voters::Trusted => policy.is_some_and(|policy| policy.trusted),
            Voters::These(services) => policy.is_some() && services.contains(service),
        }
    }

    /// Whether who votes has to stop. Who is named is struck by not being named any more; trust says only who is made a voter.
    fn is_unwanted(&self, room: &Room, service: &BareJid) -> bool {
        let is_left_out = named(&room.settings.form).is_some_and(|services| !services.contains(service));
        is_left_out || self.config.voters != Voters::Trusted && !self.is_allowed_to_vote(service)
    }

    /// Whether the source takes this form: who is named in it as a voter and is none yet has to be able to vote.
    ///
    /// # Errors
    /// Somebody cannot, or they are too many.
    pub fn check_voters(&self, room: &BareJid, form: &Form) -> Result<(), Error> {
        let room = self.rooms.get(room).ok_or(Error::UnknownRoom)?;
        self.check_named(room, form)
    }

    pub(in crate::engine) fn check_named(&self, room: &Room, form: &Form) -> Result<(), Error> {
        let not_acceptable = |text: String| Err(refuse(Condition::NotAcceptable, &text));
        for value in form.values(VOTERS_FIELD).unwrap_or_default() {
            if !BareJid::new(value).is_ok_and(|jid| jid.node().is_none()) {
                return not_acceptable(format!("{value} is not the name of a service that could vote"));
            }
        }
        let Some(services) = named(form) else {
            return Ok(());
        };
        let before = named(&room.settings.form).unwrap_or_default();
        let voters = self.voters(&room.jid);
        let votes = |service: &BareJid| voters.iter().any(|voter| voter.is_at(service));
        let others = services.iter().filter(|service| **service != self.config.service);
        if self.config.voters == Voters::Nobody && services.iter().any(|service| !before.contains(service)) {
            return not_acceptable(format!(
                "Nobody can be made a voter: the administrator of {} has it that nobody follows its rooms (dmuc_voters = \"none\")",
                self.config.service
            ));
        }
        for service in others
            .clone()
            .filter(|service| !before.contains(service) && !votes(service))
        {
            if let Some(why) = self.why_no_vote(room, service) {
                return not_acceptable(format!("{service} cannot vote: {why}"));
            }
        }
        if others.count() >= MAX_VOTERS {
            return not_acceptable(format!(
                "At most {MAX_VOTERS} services vote, the source's among them"
            ));
        }
        Ok(())
    }

    fn why_no_vote(&self, room: &Room, service: &BareJid) -> Option<&'static str> {
        if !self.config.peers.contains_key(service) {
            return Some("it is no service that this one shares rooms with (dmuc_peers)");
        }
        if *service != self.config.service && !self.is_allowed_to_vote(service) {
            return Some(
                "the administrator of the source's service does not trust it with that (dmuc_voters)",
            );
        }
        let mut instances = room.instances.iter();
        match instances.find(|(peer, _)| peer.is_at(service)) {
            None => Some("it has no instance of this room"),
            Some((_, instance)) if !instance.holds_room() => {
                Some("its instance of this room is not there yet")
            }
            Some((peer, _)) if !self.speaks_ours(peer) => {
                Some("it speaks only XEP-0281, or has not said yet what it speaks")
            }
            Some(_) if !self.hears_of_it(service) => Some("its version of mod_dmuc knows nothing of votes"),
            Some(_) => None,
        }
    }

    /// The services whose instances could vote, the source's own first: what an owner chooses among.
    pub fn eligible_voters(&self, jid: &BareJid) -> Vec<BareJid> {
        let Some(room) = self.rooms.get(jid) else {
            return Vec::new();
        };
        let source = room.source.iter().map(|source| source.service());
        let others = room.instances.keys().map(|peer| peer.service());
        let can_vote = |service: &BareJid| room.is_source() && self.why_no_vote(room, service).is_none();
        let is_meant = |service: &BareJid| can_vote(service) || !room.is_source();
        let mut services: Vec<BareJid> = source.chain([self.config.service.clone()]).collect();
        services.extend(others.filter(is_meant));
        let mut seen = std::collections::BTreeSet::new();
        services.retain(|service| seen.insert(service.clone()));
        services
    }

    /// The instances that may vote besides the source.
    pub(super) fn voters_wanted(&self, room: &Room) -> Vec<BareJid> {
        let instances = room.instances.iter();
        let may_vote = instances.filter(|(peer, instance)| {
            instance.holds_room() && self.speaks_ours(peer) && self.hears_of_it(&peer.service())
        });
        let peers = may_vote.map(|(peer, _)| peer.clone());
        let mut wanted: Vec<BareJid> = peers
            .filter(|peer| self.may_vote(room, &peer.service()))
            .collect();
        if let Some(order) = named(&room.settings.form) {
            wanted.sort_by_key(|peer| order.iter().position(|service| peer.is_at(service)));
        }
        wanted
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
            voter != jid && (!is_instance || self.is_unwanted(room, &voter.service()))
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
            match next.filter(|_| voters.len() < MAX_VOTERS) {
                Some(next) => changed.push(next),
                None => order_as_named(&mut changed, &room.settings.form),
            }
            if changed == voters {
                return;
            }
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
