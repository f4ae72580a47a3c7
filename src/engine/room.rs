//! One distributed room as one instance knows it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::address::{BareJid, Jid};

use super::log::{Entry, Log};
use crate::wire::{Affiliation, Form, Role, RoomId, RosterItem, Subject};

/// A room that is distributed and has its source or a shadow here.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    /// Our instance.
    pub(crate) jid: BareJid,
    /// The id all instances share.
    pub(crate) id: RoomId,
    /// The service that asked us to replicate, or our own for a source.
    pub(crate) firsthost: BareJid,
    /// The source; unknown between a `<replicate/>` that does not name it and the first configuration.
    pub(crate) source: Option<BareJid>,
    /// Whether the configuration has arrived (always true for a source): before that nobody joins.
    pub(crate) ready: bool,
    /// Whether the state of a new source is complete, so that replication may begin.
    pub(crate) started: bool,
    /// What the source decides.
    pub(crate) settings: Settings,
    /// The other instances we know.
    pub(crate) instances: BTreeMap<BareJid, Instance>,
    /// Our own occupants, by nick: we are their only writer.
    pub(crate) locals: BTreeMap<String, Local>,
    /// Counts changes of `locals`.
    pub(crate) roster_version: u64,
    /// The latest join serial given out.
    pub(crate) last_serial: u64,
    /// The messages.
    pub(crate) log: Log,
    /// Grows whenever numbers used before may not be known any more.
    pub(crate) incarnation: u64,
    /// When the configuration arrived, or the room was restored (Unix ms): from then on people may have missed something.
    pub(crate) ready_at_ms: u64,
}

/// Configuration, affiliations and subject: one writer, the source (G7).
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    pub(crate) form: Form,
    pub(crate) salt: Option<String>,
    /// Counts changes made by the source.
    pub(crate) version: u64,
    /// Counts hand-overs of the source role.
    pub(crate) term: u64,
    pub(crate) affiliations: BTreeMap<BareJid, Affiliated>,
    pub(crate) subject: Option<Subject>,
}

/// An entry of the list of affiliations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Affiliated {
    pub(crate) affiliation: Affiliation,
    pub(crate) reserved_nick: Option<String>,
}

/// How far we are with another instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// It said no; not asked again until the room is restored or its service is seen to have changed.
    Refused,
    /// To be brought up as soon as its service answers.
    Wanted,
    /// `<replicate/>` is on its way.
    Replicating,
    /// `<config/>` is on its way to a peer that knows only the XEP's text.
    Configuring,
    /// `<config/>` and `<roster/>` are on their way; events may follow them in order.
    Rostering,
    /// It holds the room.
    Active,
}

/// Another instance of the room.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub(crate) stage: Stage,
    /// Its occupants as it told us, by nick.
    pub(crate) occupants: BTreeMap<String, Remote>,
    /// Parts of its roster, of which more are to come.
    pub(crate) roster_parts: Vec<RosterItem>,
    /// Whether it knows occupants of ours without their real JIDs (DESIGN section 5).
    pub(crate) lacks_jids: bool,
    /// Whether it lost what we told it, so that our roster has to follow its next one.
    pub(crate) needs_roster: bool,
    /// A shadow we were told of and have not met yet.
    pub(crate) is_introduced: bool,
    /// Whether its history was asked for since we know it.
    pub(crate) was_asked: bool,
    /// Its messages that came while its history is on the way.
    pub(crate) held: Option<Vec<Entry>>,
    /// When a roster it could not take is sent again (monotonic ms), and how often that was tried.
    pub(crate) retry_at: Option<u64>,
    pub(crate) retries: u32,
}

impl Instance {
    pub(crate) fn new(stage: Stage) -> Instance {
        Instance {
            stage,
            occupants: BTreeMap::new(),
            roster_parts: Vec::new(),
            lacks_jids: false,
            needs_roster: false,
            is_introduced: false,
            was_asked: false,
            held: None,
            retry_at: None,
            retries: 0,
        }
    }

    /// Whether presences and messages are sent to it.
    pub(crate) fn takes_events(&self) -> bool {
        self.stage >= Stage::Rostering
    }
}

/// An occupant of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Local {
    pub(crate) jid: Jid,
    pub(crate) affiliation: Affiliation,
    pub(crate) role: Role,
    pub(crate) occupant_id: Option<String>,
    /// When it joined, Unix ms; unique here, so that a stale act misses.
    pub(crate) serial: u64,
    pub(crate) payload: Arc<str>,
}

/// An occupant of another instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remote {
    /// Its real JID, if its home may name it.
    pub(crate) jid: Option<Jid>,
    pub(crate) affiliation: Affiliation,
    /// What its home says of it.
    pub(crate) claimed: Affiliation,
    pub(crate) role: Role,
    pub(crate) occupant_id: Option<String>,
    pub(crate) serial: u64,
    /// It lost a nick clash and is not shown until its home renames it.
    pub(crate) hidden: bool,
    /// Until when that is to be expected (monotonic ms).
    pub(crate) rename_by: u64,
}

impl Room {
    pub(crate) fn new(jid: BareJid, id: RoomId, firsthost: BareJid, source: Option<BareJid>) -> Room {
        Room {
            jid,
            id,
            firsthost,
            source,
            ready: false,
            started: true,
            settings: Settings::default(),
            instances: BTreeMap::new(),
            locals: BTreeMap::new(),
            roster_version: 0,
            last_serial: 0,
            log: Log::default(),
            incarnation: 1,
            ready_at_ms: 0,
        }
    }

    pub(crate) fn is_source(&self) -> bool {
        self.source.as_ref() == Some(&self.jid)
    }

    pub(crate) fn is_from_source(&self, instance: &BareJid) -> bool {
        self.source.as_ref() == Some(instance)
    }

    /// Whether everybody may see real JIDs.
    pub(crate) fn is_non_anonymous(&self) -> bool {
        self.settings.form.get("muc#roomconfig_whois") == Some("anyone")
    }

    /// The affiliation the source's list gives to a real JID; a ban of its domain counts.
    pub(crate) fn affiliation_of(&self, jid: &Jid) -> Affiliation {
        let listed = |jid: &BareJid| self.settings.affiliations.get(jid).map(|entry| entry.affiliation);
        listed(&jid.to_bare())
            .or_else(|| listed(&jid.service()).filter(|domain| *domain == Affiliation::Outcast))
            .unwrap_or(Affiliation::None)
    }

    /// Who has registered this nick.
    pub(crate) fn nick_owner(&self, nick: &str) -> Option<&BareJid> {
        let entry = |(_, entry): &(&BareJid, &Affiliated)| entry.reserved_nick.as_deref() == Some(nick);
        self.settings.affiliations.iter().find(entry).map(|(jid, _)| jid)
    }

    /// Changes the list; `None` takes the entry off. Returns whether anything changed.
    pub(crate) fn set_affiliation(
        &mut self,
        jid: &BareJid,
        affiliation: Affiliation,
        reserved_nick: Option<&str>,
    ) -> bool {
        if affiliation == Affiliation::None && reserved_nick.is_none() {
            return self.settings.affiliations.remove(jid).is_some();
        }
        let entry = Affiliated {
            affiliation,
            reserved_nick: reserved_nick.map(str::to_owned),
        };
        self.settings.affiliations.insert(jid.clone(), entry.clone()) != Some(entry)
    }

    /// The visible occupant of another instance with this nick.
    pub(crate) fn remote(&self, nick: &str) -> Option<(&BareJid, &Remote)> {
        self.instances.iter().find_map(|(home, instance)| {
            instance
                .occupants
                .get(nick)
                .filter(|remote| !remote.hidden)
                .map(|remote| (home, remote))
        })
    }

    /// Whether anybody uses this nick, shown or not.
    pub(crate) fn is_nick_used(&self, nick: &str) -> bool {
        self.locals.contains_key(nick)
            || self
                .instances
                .values()
                .any(|instance| instance.occupants.contains_key(nick))
    }

    /// How many occupants other instances have.
    pub(crate) fn remote_count(&self) -> usize {
        self.instances
            .values()
            .map(|instance| instance.occupants.len())
            .sum()
    }
}
