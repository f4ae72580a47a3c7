//! What of a room is stored, apart from its messages: what [`crate::snapshot`] writes and reads.

use std::collections::{BTreeMap, BTreeSet};

use super::beside::Beside;
use super::instance::{Instance, Remote, Stage};
use super::room::Room;
use super::succession::Succession;
use super::waiting::{Matter, Offer};
use crate::address::BareJid;
use crate::succession::{Edition, Party, StoredParty};
use crate::wire::{Condition, Config, Form, Hlc, Numbers, RoomId, RosterItem, SettingsExtra, check_payload};

/// A room as it comes back after a restart. Its messages are in the stored log; occupants are nowhere, except those who
/// were out of reach: nobody else could tell of them.
#[derive(Debug, Clone)]
pub(crate) struct StoredRoom {
    pub(crate) jid: BareJid,
    pub(crate) id: RoomId,
    pub(crate) firsthost: BareJid,
    pub(crate) source: Option<BareJid>,
    pub(crate) is_ready: bool,
    pub(crate) ready_at_ms: u64,
    pub(crate) incarnation: u64,
    /// What the source decided.
    pub(crate) config: Config,
    /// The hash of the vCard that the host shows.
    pub(crate) pictured: Option<String>,
    /// Its list of affiliations, with hats; empty if it is stored beside it.
    pub(crate) list: Vec<RosterItem>,
    pub(crate) is_list_beside: bool,
    /// What the host has of the list beside the room, where it was read from there: the base's entries, and the changes since.
    pub(crate) read_beside: Option<(usize, usize)>,
    pub(crate) instances: BTreeMap<BareJid, StoredInstance>,
    /// Those at services that are no peers (any more).
    pub(crate) unnamed: BTreeSet<BareJid>,
    /// Those that an administrator has taken out of the room.
    pub(crate) retracted: BTreeSet<BareJid>,
    /// What was seen of an origin in one of its lives, and is not in the stored log.
    pub(crate) seen: Vec<(BareJid, u64, Numbers)>,
    /// What the stored log has of it.
    pub(crate) logged: Vec<(BareJid, u64, Numbers)>,
    /// What was seen and is left to the source.
    pub(crate) withheld: Vec<(BareJid, u64, Numbers)>,
    /// Who is banned since when.
    pub(crate) bans: BTreeMap<BareJid, Hlc>,
    /// What waits for the source's decision.
    pub(crate) offers: BTreeMap<Matter, Offer>,
    /// Who may be the source after this one.
    pub(crate) succession: Option<StoredSuccession>,
}

/// An instance's part in the succession, with what was decided here and is not known to count.
#[derive(Debug, Clone)]
pub(crate) struct StoredSuccession {
    pub(crate) party: StoredParty<BareJid>,
    pub(crate) decided: BTreeMap<Edition<BareJid>, Vec<Offer>>,
}

/// What is worth remembering of another instance.
#[derive(Debug, Clone)]
pub(crate) struct StoredInstance {
    /// Active, refused or wanted: what was going on is begun again.
    pub(crate) stage: Stage,
    pub(crate) is_proven: bool,
    pub(crate) is_named: bool,
    pub(crate) may_hold: bool,
    /// Why it said no, if that is its stage.
    pub(crate) refused_for: Option<Condition>,
    pub(crate) cut: Option<StoredCut>,
}

/// The occupants of an instance that was out of reach.
#[derive(Debug, Clone)]
pub(crate) struct StoredCut {
    /// Whether they are not shown since then.
    pub(crate) is_out: bool,
    pub(crate) roster_version: Option<u64>,
    pub(crate) occupants: BTreeMap<String, Remote>,
}

impl StoredRoom {
    /// A room of which nothing else has been read yet.
    pub(crate) fn new(jid: BareJid, id: RoomId, firsthost: BareJid, incarnation: u64) -> StoredRoom {
        StoredRoom {
            jid,
            id,
            firsthost,
            source: None,
            is_ready: false,
            ready_at_ms: 0,
            incarnation,
            config: Config {
                form: Form::default(),
                settings: None,
            },
            pictured: None,
            list: Vec::new(),
            is_list_beside: false,
            read_beside: None,
            instances: BTreeMap::new(),
            unnamed: BTreeSet::new(),
            retracted: BTreeSet::new(),
            seen: Vec::new(),
            logged: Vec::new(),
            withheld: Vec::new(),
            bans: BTreeMap::new(),
            offers: BTreeMap::new(),
            succession: None,
        }
    }

    /// The room as it is now, with its list or without.
    pub(crate) fn of(room: &Room, is_list_beside: bool) -> StoredRoom {
        let listed = match is_list_beside {
            true => BTreeSet::new(),
            false => room.listed_users(),
        };
        let seen = room.log.given_up().into_iter();
        let logged = room.log.logged().into_iter();
        let withheld = room.log.withheld().iter();
        let instances = room.instances.iter();
        StoredRoom {
            jid: room.jid.clone(),
            id: room.id.clone(),
            firsthost: room.firsthost.clone(),
            source: room.source.clone(),
            is_ready: room.ready,
            ready_at_ms: room.ready_at_ms,
            incarnation: room.incarnation,
            config: Config {
                form: room.settings.form.clone(),
                settings: Some(SettingsExtra {
                    said: room.said_before.clone(),
                    ..room.settings_extra()
                }),
            },
            pictured: room.pictured.clone(),
            list: listed.into_iter().map(|user| room.entry(user)).collect(),
            is_list_beside,
            read_beside: None,
            instances: instances
                .map(|(jid, instance)| (jid.clone(), StoredInstance::of(instance)))
                .collect(),
            unnamed: room.unnamed.clone(),
            retracted: room.retracted.clone(),
            seen: seen
                .map(|(origin, life, numbers)| (origin.clone(), life, numbers))
                .collect(),
            logged: logged
                .map(|((origin, life), numbers)| (origin, life, numbers))
                .collect(),
            withheld: withheld
                .map(|((origin, life), numbers)| (origin.clone(), *life, numbers.clone()))
                .collect(),
            bans: match is_list_beside {
                true => BTreeMap::new(),
                false => room.bans.since.clone(),
            },
            offers: room.offers.clone(),
            succession: room.succession.as_ref().map(StoredSuccession::of),
        }
    }

    /// The room as it comes back, without its messages.
    pub(crate) fn to_room(&self) -> Room {
        let (id, source) = (self.id.clone(), self.source.clone());
        let mut room = Room::new(
            self.jid.clone(),
            id,
            self.firsthost.clone(),
            source,
            self.incarnation,
        );
        (room.ready, room.ready_at_ms) = (self.is_ready, self.ready_at_ms);
        room.settings.form = self.config.form.clone();
        if let Some(settings) = &self.config.settings {
            room.settings.term = settings.term;
            room.settings.version = settings.version;
            room.settings.form_version = settings.version;
            room.settings.salt.clone_from(&settings.salt);
            room.settings.subject.clone_from(&settings.subject);
            room.settings.avatar.clone_from(&settings.avatar);
            room.said_before.clone_from(&settings.said);
        }
        room.pictured.clone_from(&self.pictured);
        for item in &self.list {
            if let Some(jid) = &item.jid {
                let (user, nick) = (jid.to_bare(), item.reserved_nick.as_deref());
                room.set_affiliation(&user, item.affiliation, nick);
                room.set_hats(&user, item.hats.clone());
            }
        }
        let instances = self.instances.iter();
        room.instances = instances
            .map(|(jid, instance)| (jid.clone(), instance.to_instance()))
            .collect();
        room.unnamed.clone_from(&self.unnamed);
        room.retracted.clone_from(&self.retracted);
        for (origin, life, numbers) in &self.seen {
            room.log.recall(origin, *life, numbers);
        }
        room.log.expect_more();
        for (origin, life, numbers) in &self.logged {
            room.log.recall_logged(origin, *life, numbers);
        }
        for (origin, life, numbers) in &self.withheld {
            room.log.recall_withheld(origin.clone(), *life, numbers.clone());
        }
        room.bans.since.clone_from(&self.bans);
        room.offers.clone_from(&self.offers);
        let succession = self.succession.as_ref();
        room.succession = succession.map(|stored| stored.to_succession(&self.jid));
        if let Some((entries, changes)) = self.read_beside {
            room.beside = Beside::read(entries, changes);
        }
        room
    }
}

impl StoredSuccession {
    fn of(succession: &Succession) -> StoredSuccession {
        StoredSuccession {
            party: succession.party.to_stored(),
            decided: succession.decided.clone(),
        }
    }

    fn to_succession(&self, jid: &BareJid) -> Succession {
        let mut succession = Succession::new(Party::from_stored(jid.clone(), self.party.clone()));
        succession.decided.clone_from(&self.decided);
        succession
    }
}

impl StoredInstance {
    fn of(instance: &Instance) -> StoredInstance {
        let stage = match instance.stage {
            Stage::Active | Stage::Refused => instance.stage,
            _ => Stage::Wanted,
        };
        StoredInstance {
            stage,
            is_proven: instance.is_proven,
            is_named: instance.is_named,
            may_hold: instance.may_hold,
            refused_for: instance.refused_for.filter(|_| stage == Stage::Refused),
            cut: instance.is_cut.then(|| StoredCut::of(instance)),
        }
    }

    fn to_instance(&self) -> Instance {
        let mut instance = Instance::new(self.stage);
        instance.is_proven = self.is_proven;
        (instance.is_named, instance.may_hold) = (self.is_named, self.may_hold);
        instance.refused_for = self.refused_for;
        if let Some(cut) = &self.cut {
            // What was shown of them is gone with the process.
            (instance.is_cut, instance.is_cut_shown, instance.is_out) = (true, true, cut.is_out);
            instance.roster_version = cut.roster_version;
            instance.occupants.clone_from(&cut.occupants);
        }
        instance
    }
}

impl StoredCut {
    fn of(instance: &Instance) -> StoredCut {
        let mut occupants = instance.occupants.clone();
        for remote in occupants.values_mut() {
            remote.rename_by = 0;
            if check_payload(&remote.payload).is_err() {
                remote.payload = "".into();
            }
        }
        StoredCut {
            is_out: instance.is_out,
            roster_version: instance.roster_version,
            occupants,
        }
    }
}
