//! One distributed room as one instance knows it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::address::{BareJid, Jid};

use super::bans::Bans;
use super::beside::Beside;
use super::clock::MAX_CLOCK_LEAD_MS;
use super::instance::{Instance, Remote};
use super::log::{EventKey, Log, UNSTAMPED};
use super::succession::Succession;
use super::waiting::{Matter, Offer, OpenRequest, SeenRequest};
use crate::ids;
use crate::wire::{Affiliation, Avatar, Form, Hats, Hlc, Listed, Role, RoomId, SettingsExtra, Subject};

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
    /// The hash of the vCard that the host shows: while another one is on its way, not that of the one in force.
    pub(crate) pictured: Option<String>,
    /// The other instances we know.
    pub(crate) instances: BTreeMap<BareJid, Instance>,
    /// Those at services that are no peers (any more): they count as soon as they are.
    pub(crate) unnamed: BTreeSet<BareJid>,
    /// Services that an administrator has taken out of the room: none of them gets an instance (at the source).
    pub(crate) retracted: BTreeSet<BareJid>,
    /// Whether the occupant-id of one of our own is made of its real JID and the salt as section 7.2 of docs/PROTOCOL.md
    /// says: then so are those of others, and one that does not fit the real JID it comes with is somebody else's.
    pub(crate) derives_ids: bool,
    /// Our own occupants, by nick: we are their only writer.
    pub(crate) locals: BTreeMap<String, Local>,
    /// The nicks that occupants of ours are just given, who that is, and the peers on whose mere word.
    pub(crate) giving_way: BTreeMap<String, (BareJid, BTreeSet<BareJid>)>,
    /// The nicks that occupants of ours will have, whom the host has yet to rename, by those they have.
    pub(crate) promised: BTreeMap<String, String>,
    /// Counts changes of `locals`, from the incarnation on.
    pub(crate) roster_version: u64,
    /// Who left at which version, so that a peer can be told what is different. The oldest are forgotten (G13).
    pub(crate) departed: BTreeMap<String, u64>,
    /// Peers that know less than this version are told the whole roster.
    pub(crate) departed_since: u64,
    /// The latest join serial given out.
    pub(crate) last_serial: u64,
    /// The messages.
    pub(crate) log: Log,
    /// Since when who is banned.
    pub(crate) bans: Bans,
    /// What the host has stored of the list of affiliations by itself.
    pub(crate) beside: Beside,
    /// How many bytes of them have been counted ([`super::rooms::Rooms::note_log`]).
    pub(crate) noted_bytes: usize,
    /// How many bytes of them in memory have been, and how many of those that may leave it
    /// ([`super::rooms::Rooms::note_memory`]).
    pub(crate) noted_memory: (usize, usize),
    /// Grows whenever numbers used before may not be known any more.
    pub(crate) incarnation: u64,
    /// The lives before that one that began since the engine started: all that was said in them is known here.
    pub(crate) lived: BTreeSet<u64>,
    /// When the configuration arrived for the first time (Unix ms): from then on people may have missed something.
    pub(crate) ready_at_ms: u64,
    /// The latest events that the source had of each origin then, if it has said so: nobody here has missed those.
    pub(crate) said_before: Option<BTreeMap<BareJid, (u64, u64)>>,
    /// Who may be the source after this one; nothing in a room in which nobody votes but the source.
    pub(crate) succession: Option<Succession>,
    /// What the source has said of itself, until what it holds is here.
    pub(crate) foretold: Option<Box<crate::wire::Succession>>,
    /// What was changed here while the source was out of reach, until the source has decided (G7).
    pub(crate) offers: BTreeMap<Matter, Offer>,
    /// What did not fit the wire's types and was told, with the service it is of.
    pub(crate) told_unfit: BTreeSet<(BareJid, String)>,
    /// Grows with everything that a digest tells of.
    pub(crate) revision: u64,
    /// Occupants of ours who have asked for voice and have no answer yet, by nick.
    pub(crate) voice: BTreeMap<String, OpenRequest>,
    /// What our moderators were told of occupants of other instances who asked for voice, by home and nick.
    pub(crate) voice_elsewhere: BTreeMap<(BareJid, String), SeenRequest>,
}

/// Configuration, affiliations and subject: one writer, the source (G7).
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    pub(crate) form: Form,
    pub(crate) salt: Option<String>,
    /// Counts changes made by the source.
    pub(crate) version: u64,
    /// The version of the form and the subject, while entries of the list are on their way (at a shadow).
    pub(crate) form_version: u64,
    /// A configuration that has come in parts with a list that has not come yet.
    pub(crate) ahead: Option<Box<crate::wire::Config>>,
    /// The version when this life of the engine began: what came between is not known any more.
    pub(crate) restored_version: u64,
    /// Counts hand-overs of the source role.
    pub(crate) term: u64,
    pub(crate) affiliations: BTreeMap<BareJid, Affiliated>,
    /// The hats of who is on the source's list (XEP-0317), whatever waits for its decision here.
    pub(crate) hats: BTreeMap<BareJid, Hats>,
    /// Who has registered which nick, from the list.
    pub(crate) nick_owners: BTreeMap<String, BTreeSet<BareJid>>,
    /// Who was taken off the list at which version. The oldest are forgotten (G13).
    pub(crate) removed: BTreeMap<BareJid, u64>,
    /// Peers that know less than this version are told the whole list.
    pub(crate) removed_since: u64,
    pub(crate) subject: Option<Subject>,
    pub(crate) avatar: Option<Avatar>,
}

/// An entry of the list of affiliations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Affiliated {
    pub(crate) affiliation: Affiliation,
    pub(crate) reserved_nick: Option<String>,
    /// The version of the settings that brought it, if that was in this life of the engine (at the source).
    pub(crate) version: u64,
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
    /// The version of the roster that brought it as it is.
    pub(crate) version: u64,
    /// The peers on whose mere word it was renamed since it chose its nick.
    pub(crate) gave_way_to: BTreeSet<BareJid>,
}

impl Room {
    /// `incarnation` is at least the wall clock in ms, so that no numbers of an earlier life are used again.
    pub(crate) fn new(
        jid: BareJid,
        id: RoomId,
        firsthost: BareJid,
        source: Option<BareJid>,
        incarnation: u64,
    ) -> Room {
        Room {
            jid,
            id,
            firsthost,
            source,
            ready: false,
            started: true,
            settings: Settings::default(),
            pictured: None,
            instances: BTreeMap::new(),
            unnamed: BTreeSet::new(),
            retracted: BTreeSet::new(),
            derives_ids: false,
            locals: BTreeMap::new(),
            giving_way: BTreeMap::new(),
            promised: BTreeMap::new(),
            roster_version: incarnation,
            departed: BTreeMap::new(),
            departed_since: incarnation,
            last_serial: 0,
            log: Log::default(),
            bans: Bans::default(),
            beside: Beside::default(),
            noted_bytes: 0,
            noted_memory: (0, 0),
            incarnation,
            lived: BTreeSet::new(),
            ready_at_ms: 0,
            said_before: None,
            succession: None,
            foretold: None,
            offers: BTreeMap::new(),
            told_unfit: BTreeSet::new(),
            revision: 1,
            voice: BTreeMap::new(),
            voice_elsewhere: BTreeMap::new(),
        }
    }

    /// A new life of the engine: numbers and versions begin anew, above all that were used before.
    pub(crate) fn live_anew(&mut self, incarnation: u64) {
        self.incarnation = incarnation;
        (self.roster_version, self.departed_since) = (incarnation, incarnation);
        self.settings.restored_version = self.settings.version;
        self.departed.clear();
    }

    /// The number of the next event of our own, which happens at this time.
    pub(crate) fn next_key(&self, at: Hlc) -> EventKey {
        EventKey {
            at,
            origin: self.jid.clone(),
            incarnation: self.incarnation,
            seq: self.log.next_seq(&self.jid, self.incarnation),
        }
    }

    /// The present life is about to end while the engine runs.
    pub(crate) fn note_life(&mut self) {
        self.lived.insert(self.incarnation);
        if self.lived.len() > MAX_LIVED {
            self.lived.pop_first();
        }
    }

    /// Whether the host shows the vCard that is in force.
    pub(crate) fn is_pictured(&self) -> bool {
        let avatar = self.settings.avatar.as_ref();
        self.pictured.as_ref() == avatar.map(|avatar| &avatar.hash)
    }

    /// What goes with the configuration form.
    pub(crate) fn settings_extra(&self) -> SettingsExtra {
        SettingsExtra {
            term: self.settings.term,
            version: self.settings.version,
            salt: self.settings.salt.clone(),
            subject: self.settings.subject.clone(),
            avatar: self.settings.avatar.clone(),
            instances: self.shadows().collect(),
            said: None,
        }
    }

    /// Whether people here may have missed a message: it was said since the configuration arrived for the first time.
    /// Clocks may differ, so they decide only if the source has not said what was said before.
    pub(crate) fn may_be_missed(&self, key: &EventKey) -> bool {
        match &self.said_before {
            Some(before) if key.incarnation != UNSTAMPED => before
                .get(&key.origin)
                .is_none_or(|latest| (key.incarnation, key.seq) > *latest),
            _ => key.at.wall_ms >= self.ready_at_ms.saturating_sub(MAX_CLOCK_LEAD_MS),
        }
    }

    /// The services of the shadows that hold the room, at the source; the address of one that was the source itself and has
    /// another localpart than the id.
    pub(crate) fn shadows(&self) -> impl Iterator<Item = BareJid> {
        let named = |(_, instance): &(&BareJid, &Instance)| instance.is_named;
        let is_source = self.is_source();
        let instances = self.instances.iter().filter(move |_| is_source);
        instances
            .filter(named)
            .map(|(jid, _)| match *jid == self.id.at(&jid.service()) {
                true => jid.service(),
                false => jid.clone(),
            })
    }

    pub(crate) fn is_source(&self) -> bool {
        self.source.as_ref() == Some(&self.jid)
    }

    /// Whether it is the source, or was it before another one was elected.
    pub(crate) fn was_source(&self, instance: &BareJid) -> bool {
        let was = |succession: &Succession| {
            let branches = &succession.party.line().branches;
            branches.iter().any(|branch| branch.claim.source == *instance)
        };
        self.is_from_source(instance) || self.succession.as_ref().is_some_and(was)
    }

    pub(crate) fn is_from_source(&self, instance: &BareJid) -> bool {
        self.source.as_ref() == Some(instance)
    }

    /// Whether the id follows from the room's address (`dmuc_room_id = "name"` or `"sha256"`).
    pub(crate) fn has_guessable_id(&self) -> bool {
        let id = self.id.as_str();
        let source = self.source.as_ref().unwrap_or(&self.jid);
        source.node() == Some(id)
            || ids::room_id_of_service(source) == id
            || ids::room_id_sha256(source) == id
    }

    /// What shows that `service` had this room, if its id does not: anybody can guess that.
    pub(crate) fn proof(&self, service: &BareJid) -> Option<String> {
        let salt = self.settings.salt.as_deref()?;
        let is_needed = self.has_guessable_id();
        is_needed.then(|| ids::proof_of_room(salt, service, self.id.as_str()))
    }

    /// Whether only members may join.
    pub(crate) fn is_members_only(&self) -> bool {
        self.settings.form.flag("muc#roomconfig_membersonly") == Some(true)
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

    /// Who has registered this nick. A registration that waits for the source's decision yields to any other.
    pub(crate) fn nick_owner(&self, nick: &str) -> Option<&BareJid> {
        let waits = |jid: &BareJid| self.offers.contains_key(&Matter::Listed(jid.clone()));
        let owners = self.settings.nick_owners.get(nick)?;
        owners.iter().min_by_key(|jid| waits(jid))
    }

    /// Changes the list; `None` takes the entry off. Returns whether anything changed.
    pub(crate) fn set_affiliation(
        &mut self,
        jid: &BareJid,
        affiliation: Affiliation,
        reserved_nick: Option<&str>,
    ) -> bool {
        if affiliation == Affiliation::None && reserved_nick.is_none() {
            let Some(gone) = self.settings.affiliations.remove(jid) else {
                return false;
            };
            self.settings.forget_nick(jid, gone.reserved_nick.as_deref());
            self.beside.note(jid);
            return true;
        }
        let is_same = |entry: &Affiliated| {
            entry.affiliation == affiliation && entry.reserved_nick.as_deref() == reserved_nick
        };
        if self.settings.affiliations.get(jid).is_some_and(is_same) {
            return false;
        }
        let entry = Affiliated {
            affiliation,
            reserved_nick: reserved_nick.map(str::to_owned),
            version: 0,
        };
        if let Some(nick) = &entry.reserved_nick {
            let owners = self.settings.nick_owners.entry(nick.clone()).or_default();
            owners.insert(jid.clone());
        }
        let had = self.settings.affiliations.insert(jid.clone(), entry);
        let nick = had.and_then(|entry| entry.reserved_nick);
        if nick.as_deref() != reserved_nick {
            self.settings.forget_nick(jid, nick.as_deref());
        }
        self.beside.note(jid);
        true
    }

    /// The entry of the list for a JID, as it is exchanged.
    pub(crate) fn listed(&self, jid: &BareJid) -> Listed {
        let entry = self.settings.affiliations.get(jid);
        Listed {
            affiliation: entry.map_or(Affiliation::None, |entry| entry.affiliation),
            nick: entry.and_then(|entry| entry.reserved_nick.clone()),
        }
    }

    /// A change of the settings at the source: the next version.
    pub(crate) fn next_settings(&mut self) -> u64 {
        self.settings.version = (self.settings.version + 1).max(self.incarnation);
        self.revision += 1;
        self.settings.version
    }

    /// Notes at which version an entry of the list changed (at the source).
    pub(crate) fn note_affiliation(&mut self, jid: &BareJid) {
        let version = self.settings.version;
        match self.settings.affiliations.get_mut(jid) {
            Some(entry) => {
                entry.version = version;
                self.settings.removed.remove(jid);
            }
            None => {
                self.settings.removed.insert(jid.clone(), version);
                let floor = forget_oldest(&mut self.settings.removed);
                self.settings.removed_since = self.settings.removed_since.max(floor);
            }
        }
    }

    /// Whether what changed after this version of the settings can be told. Who has none may have anything.
    pub(crate) fn knows_settings_since(&self, version: u64) -> bool {
        let is_ours = version >= self.incarnation && version <= self.settings.version;
        let is_known = is_ours || version == self.settings.restored_version;
        is_known && version > 0 && version >= self.settings.removed_since
    }

    /// A change of our occupants: the next version of the roster.
    pub(crate) fn next_roster(&mut self) -> u64 {
        self.roster_version += 1;
        self.revision += 1;
        self.roster_version
    }

    /// Notes that an occupant of ours left.
    pub(crate) fn note_departure(&mut self, nick: &str) {
        let version = self.next_roster();
        self.departed.insert(nick.to_owned(), version);
        let floor = forget_oldest(&mut self.departed);
        self.departed_since = self.departed_since.max(floor);
    }

    /// Whether what changed after this version of our roster can be told.
    pub(crate) fn knows_roster_since(&self, version: u64) -> bool {
        version >= self.departed_since && version <= self.roster_version
    }

    /// When something is to be tried again with one of the instances (monotonic ms).
    pub(crate) fn next_timer(&self) -> Option<u64> {
        let timers = self.instances.values().flat_map(|instance| {
            let next_part = instance.page.as_ref().map(|page| page.next_at);
            [
                instance.retry_at,
                instance.resync_at,
                instance.take_in_at,
                instance.tell_split_at,
                instance.show_cut_at,
                next_part,
            ]
        });
        let succession = self.succession.as_ref().and_then(Succession::next_timer);
        timers.flatten().chain(succession).min()
    }

    /// What is new here is told to peers in the next digest.
    pub(crate) fn touch(&mut self) {
        self.revision += 1;
    }

    /// Whether a room JID may be that of an instance of this room, now or once.
    pub(crate) fn may_have_instance(&self, jid: &BareJid) -> bool {
        self.was_source(jid)
            || *jid == self.jid
            || *jid == self.id.at(&jid.service())
            || self.instances.contains_key(jid)
    }

    /// Whether this is the occupant-id that the user has in this room.
    pub(crate) fn fits(&self, jid: &Jid, id: &str) -> bool {
        let salt = self.settings.salt.as_ref();
        salt.is_some_and(|salt| ids::occupant_id(&jid.to_bare(), salt) == id)
    }

    /// Whether somebody who is named so shows the occupant-id of somebody else. Not known where occupant-ids are made in
    /// another way.
    pub(crate) fn is_forged(&self, jid: &Jid, id: &str) -> bool {
        self.derives_ids && !self.fits(jid, id)
    }

    /// The real JIDs of our own occupants who have this occupant-id.
    pub(crate) fn locals_with(&self, id: &str) -> impl Iterator<Item = &Jid> {
        let locals = self.locals.values();
        let those = locals.filter(move |local| local.occupant_id.as_deref() == Some(id));
        those.map(|local| &local.jid)
    }

    /// Whether this occupant-id is known to be that of somebody else than `home` may speak for. That it shows an occupant with
    /// this id proves nothing: occupant-ids are public.
    pub(crate) fn is_somebody_elses(
        &self,
        home: &BareJid,
        id: &str,
        speaks_for: impl Fn(&Jid) -> bool,
    ) -> bool {
        let others = self.instances.iter().filter(|(other, _)| *other != home);
        let remotes = others.flat_map(|(_, instance)| instance.occupants.values());
        let theirs = remotes.filter(|remote| remote.occupant_id.as_deref() == Some(id));
        let mut known = self
            .locals_with(id)
            .chain(theirs.filter_map(|remote| remote.jid.as_ref()));
        let mut is_known = false;
        let is_theirs = known.any(|jid| {
            is_known = true;
            speaks_for(jid)
        });
        is_known && !is_theirs
    }

    /// The visible occupants of other instances with this nick: of one person, if there are several.
    pub(crate) fn remotes(&self, nick: &str) -> impl Iterator<Item = (&BareJid, &Remote)> {
        self.instances.iter().filter_map(move |(home, instance)| {
            instance
                .occupants
                .get(nick)
                .filter(|remote| instance.shows(remote))
                .map(|remote| (home, remote))
        })
    }

    /// The visible occupant of another instance with this nick; the first one of several.
    pub(crate) fn remote(&self, nick: &str) -> Option<(&BareJid, &Remote)> {
        self.remotes(nick).next()
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

impl Settings {
    fn forget_nick(&mut self, jid: &BareJid, nick: Option<&str>) {
        let Some(nick) = nick else { return };
        if let Some(owners) = self.nick_owners.get_mut(nick) {
            owners.remove(jid);
            if owners.is_empty() {
                self.nick_owners.remove(nick);
            }
        }
    }
}

/// How many removals are remembered so that only they are told (G13).
const MAX_REMOVALS: usize = 1_000;
/// How many lives that have begun since the engine started are remembered; the earliest are forgotten (G13).
const MAX_LIVED: usize = 64;

/// Forgets the oldest removal if there are too many. Returns its version, 0 for none.
fn forget_oldest<K: Ord + Clone>(removals: &mut BTreeMap<K, u64>) -> u64 {
    if removals.len() <= MAX_REMOVALS {
        return 0;
    }
    let oldest = removals.iter().min_by_key(|(_, version)| **version);
    let Some((key, version)) = oldest.map(|(key, version)| (key.clone(), *version)) else {
        return 0;
    };
    removals.remove(&key);
    version
}
