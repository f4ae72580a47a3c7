//! One distributed room as one instance knows it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::address::{BareJid, Jid};

use super::clock::MAX_CLOCK_LEAD_MS;
use super::log::{Entry, EventKey, Log, UNSTAMPED};
use super::offers::{Offer, OfferKey};
use super::voice::{OpenRequest, SeenRequest};
use crate::ids;
use crate::wire::{
    Affiliation, Form, Hats, Listed, Role, RoomId, RosterItem, SeenNumbers, SettingsExtra, Subject, SyncEvent,
};

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
    /// The nicks that occupants of ours are just given, and the peers on whose mere word.
    pub(crate) giving_way: BTreeMap<String, BTreeSet<BareJid>>,
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
    /// Grows whenever numbers used before may not be known any more.
    pub(crate) incarnation: u64,
    /// When the configuration arrived for the first time (Unix ms): from then on people may have missed something.
    pub(crate) ready_at_ms: u64,
    /// The latest events that the source had of each origin then, if it has said so: nobody here has missed those.
    pub(crate) said_before: Option<BTreeMap<BareJid, (u64, u64)>>,
    /// What was changed here while the source was out of reach, until the source has decided (G7).
    pub(crate) offers: BTreeMap<OfferKey, Offer>,
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
    /// The version when this life of the engine began: what came between is not known any more.
    pub(crate) restored_version: u64,
    /// Counts hand-overs of the source role.
    pub(crate) term: u64,
    pub(crate) affiliations: BTreeMap<BareJid, Affiliated>,
    /// The hats of who is on the source's list (XEP-0317), whatever waits for its decision here.
    pub(crate) hats: BTreeMap<BareJid, Hats>,
    /// Who was taken off the list at which version. The oldest are forgotten (G13).
    pub(crate) removed: BTreeMap<BareJid, u64>,
    /// Peers that know less than this version are told the whole list.
    pub(crate) removed_since: u64,
    pub(crate) subject: Option<Subject>,
}

/// An entry of the list of affiliations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Affiliated {
    pub(crate) affiliation: Affiliation,
    pub(crate) reserved_nick: Option<String>,
    /// The version of the settings that brought it, if that was in this life of the engine (at the source).
    pub(crate) version: u64,
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

/// How far the question for what is missing here is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SyncStage {
    /// Nothing is missing, as far as is known.
    Idle,
    /// To be asked as soon as the link allows.
    Wanted,
    /// On its way: the answer has everything that its sender had told of before.
    Asked,
    /// The answer is here and is taken in bit by bit.
    Taking {
        /// Something that came after the answer was found missing.
        again: bool,
    },
}

/// A page of what was missing, of which a part has been taken.
#[derive(Debug, Clone)]
pub(crate) struct OpenPage {
    pub(crate) events: VecDeque<SyncEvent>,
    pub(crate) more: bool,
    pub(crate) seen: Vec<SeenNumbers>,
    /// Whether anything in the answer was new.
    pub(crate) is_useful: bool,
    /// When the next part is taken (monotonic ms).
    pub(crate) next_at: u64,
}

/// Another instance of the room.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub(crate) stage: Stage,
    /// Its occupants as it told us, by nick.
    pub(crate) occupants: BTreeMap<String, Remote>,
    /// The version of its roster that we have; absent for none.
    pub(crate) roster_version: Option<u64>,
    /// Parts of its roster, of which more are to come.
    pub(crate) roster_parts: Vec<RosterItem>,
    /// The version of the roster that they are parts of.
    pub(crate) parts_version: Option<u64>,
    /// Whether everything it sent until now is here, so that its next event is taken as it comes.
    pub(crate) is_synced: bool,
    /// Whether it once had nothing that we lacked, since we know it or started: what we pull afterwards was said since.
    pub(crate) has_caught_up: bool,
    /// Whether its link went down since both sides agreed: its occupants are shown as out of reach.
    pub(crate) is_cut: bool,
    /// Whether they are not shown at all since then (`dmuc_split_presence = "leave"`).
    pub(crate) is_out: bool,
    /// How far the question for what is missing here is.
    pub(crate) sync: SyncStage,
    /// The page that is being taken.
    pub(crate) page: Option<Box<OpenPage>>,
    /// When that is asked again (monotonic ms), and how often it was in vain.
    pub(crate) resync_at: Option<u64>,
    pub(crate) resyncs: u32,
    /// While it pulls pages of our log they have our new messages, too (until then, monotonic ms).
    pub(crate) pulls_until: Option<u64>,
    /// The revision of the room that it was told of in a digest.
    pub(crate) told: Option<u64>,
    /// Since when it says that it does not have the room (monotonic ms).
    pub(crate) gone_since: Option<u64>,
    /// Its hash over third instances' events which brought nothing that we lack.
    pub(crate) settled_rest: Option<String>,
    /// Whether it knows occupants of ours without their real JIDs (DESIGN section 5).
    pub(crate) lacks_jids: bool,
    /// Whether it lost what we told it, so that our roster has to follow its next one.
    pub(crate) needs_roster: bool,
    /// Whether somebody in its roster is banned, and is not shown here for that.
    pub(crate) has_banned: bool,
    /// Whether what it is being asked for is not enough: its whole roster is wanted after that.
    pub(crate) wants_whole: bool,
    /// A shadow we were told of and have not met yet.
    pub(crate) is_introduced: bool,
    /// Shadows of which it could not be told, and whether that was the first half of the introduction.
    pub(crate) unmet: BTreeMap<BareJid, bool>,
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
            roster_version: None,
            roster_parts: Vec::new(),
            parts_version: None,
            is_synced: false,
            has_caught_up: false,
            is_cut: false,
            is_out: false,
            sync: SyncStage::Idle,
            page: None,
            resync_at: None,
            resyncs: 0,
            pulls_until: None,
            told: None,
            gone_since: None,
            settled_rest: None,
            lacks_jids: false,
            needs_roster: false,
            has_banned: false,
            wants_whole: false,
            is_introduced: false,
            unmet: BTreeMap::new(),
            was_asked: false,
            held: None,
            retry_at: None,
            retries: 0,
        }
    }

    /// A shadow that the source has named, and to which we have not been introduced yet.
    pub(crate) fn is_expected(&self) -> bool {
        self.stage == Stage::Wanted && self.retry_at.is_some() && !self.is_introduced
    }

    /// Whether anything is to be agreed with it yet.
    pub(crate) fn waits(&self) -> bool {
        self.sync != SyncStage::Idle || self.resync_at.is_some() || self.retry_at.is_some() || self.is_cut
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
    /// The version of the roster that brought it as it is.
    pub(crate) version: u64,
    /// The peers on whose mere word it was renamed since it chose its nick.
    pub(crate) gave_way_to: BTreeSet<BareJid>,
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
    /// The children of its presence.
    pub(crate) payload: Arc<str>,
    /// It lost a nick clash and is not shown until its home renames it.
    pub(crate) hidden: bool,
    /// Until when that is to be expected (monotonic ms).
    pub(crate) rename_by: u64,
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
            instances: BTreeMap::new(),
            locals: BTreeMap::new(),
            giving_way: BTreeMap::new(),
            roster_version: incarnation,
            departed: BTreeMap::new(),
            departed_since: incarnation,
            last_serial: 0,
            log: Log::default(),
            incarnation,
            ready_at_ms: 0,
            said_before: None,
            offers: BTreeMap::new(),
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

    /// What goes with the configuration form.
    pub(crate) fn settings_extra(&self) -> SettingsExtra {
        SettingsExtra {
            term: self.settings.term,
            version: self.settings.version,
            salt: self.settings.salt.clone(),
            subject: self.settings.subject.clone(),
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

    /// The services of the shadows that hold the room, at the source.
    pub(crate) fn shadows(&self) -> impl Iterator<Item = BareJid> {
        let active = |(_, instance): &(&BareJid, &Instance)| instance.stage == Stage::Active;
        let is_source = self.is_source();
        let instances = self.instances.iter().filter(move |_| is_source);
        instances.filter(active).map(|(jid, _)| jid.service())
    }

    pub(crate) fn is_source(&self) -> bool {
        self.source.as_ref() == Some(&self.jid)
    }

    pub(crate) fn is_from_source(&self, instance: &BareJid) -> bool {
        self.source.as_ref() == Some(instance)
    }

    /// Whether the id follows from the room's address (`dmuc_room_id = "name"` or `"sha256"`).
    pub(crate) fn has_guessable_id(&self) -> bool {
        let id = self.id.as_str();
        let source = self.source.as_ref().unwrap_or(&self.jid);
        source.node() == Some(id) || ids::room_id_sha256(source) == id
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
        let entries = self.settings.affiliations.iter();
        let owners = entries.filter(|(_, entry)| entry.reserved_nick.as_deref() == Some(nick));
        let waits = |jid: &BareJid| self.offers.contains_key(&OfferKey::Affiliation(jid.clone()));
        owners.map(|(jid, _)| jid).min_by_key(|jid| waits(jid))
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
        self.settings.affiliations.insert(jid.clone(), entry);
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

    /// Whether what changed after this version of the settings can be told.
    pub(crate) fn knows_settings_since(&self, version: u64) -> bool {
        let is_ours = version >= self.incarnation && version <= self.settings.version;
        (is_ours || version == self.settings.restored_version) && version >= self.settings.removed_since
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
            [instance.retry_at, instance.resync_at, next_part]
        });
        timers.flatten().min()
    }

    /// What is new here is told to peers in the next digest.
    pub(crate) fn touch(&mut self) {
        self.revision += 1;
    }

    /// Whether a room JID may be that of an instance of this room, now or once.
    pub(crate) fn may_have_instance(&self, jid: &BareJid) -> bool {
        self.is_from_source(jid) || *jid == self.jid || *jid == self.id.at(&jid.service())
    }

    /// Whether this occupant-id is known to be that of somebody who is not at `home`, and for whom `home` does not speak.
    pub(crate) fn is_somebody_elses(
        &self,
        home: &BareJid,
        id: &str,
        speaks_for: impl Fn(&Jid) -> bool,
    ) -> bool {
        let is_it = |known: &Option<String>| known.as_deref() == Some(id);
        let holders = |instance: &Instance| {
            let remotes = instance
                .occupants
                .values()
                .filter(|remote| is_it(&remote.occupant_id));
            remotes.map(|remote| remote.jid.clone()).collect::<Vec<_>>()
        };
        if self
            .instances
            .get(home)
            .is_some_and(|instance| !holders(instance).is_empty())
        {
            return false;
        }
        let locals = self.locals.values().filter(|local| is_it(&local.occupant_id));
        let mut jids: Vec<Jid> = locals.map(|local| local.jid.clone()).collect();
        jids.extend(self.instances.values().flat_map(holders).flatten());
        !jids.is_empty() && !jids.iter().any(speaks_for)
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

/// How many removals are remembered so that only they are told (G13).
const MAX_REMOVALS: usize = 1_000;

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
