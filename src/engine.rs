//! The engine: every distributed room, link and timer of one MUC service. Pure: time and randomness are arguments.
//!
//! Feed it with [`Engine::handle_input`] and [`Engine::handle_timeout`], and after every call drain
//! [`Engine::poll_action`] and arm one timer for [`Engine::poll_timeout`].

mod action;
mod affiliations;
mod clash;
mod clock;
mod digest;
mod ending;
mod groupchat;
mod hats;
mod history;
mod host;
mod input;
mod introduction;
mod invitations;
mod link;
mod log;
mod merge;
mod moderation;
mod offers;
mod peer;
mod peer_roster;
mod presence;
mod private;
mod replication;
mod request;
mod room;
mod roster;
mod settings;
mod split;
mod stanza;
mod sync;
mod voice;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::address::{BareJid, Jid};

pub use action::{Action, Change, Notice, RemoteOccupant, SendPresence, Verdict};
pub use clock::{MAX_CLOCK_LEAD_MS, Now};
pub use input::{Departure, Input, Occupant, PeerPresence};
pub use link::LinkState;
pub use log::{Entry, EventKey};

use crate::config::Config;
use crate::error::{Error, RestoreError};
use crate::ids::{IdSource, Seed};
use crate::snapshot::Snapshot;
use crate::wire::{Condition, Listed, StanzaError};
use clock::HybridClock;
pub(crate) use ending::Ending;
use invitations::Invitations;
use link::Link;
use offers::Actor;
pub(crate) use offers::{Offer, OfferKey, Value};
use private::Private;
use request::Outstanding;
pub(crate) use room::Remote;
pub(crate) use room::{Instance, Room, Stage};

/// How many numbers and versions one life of the engine may use while the wall clock stands still.
const LIFE: u64 = 1 << 20;

/// Every distributed room of one MUC service.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    ids: IdSource,
    clock: HybridClock,
    rooms: BTreeMap<BareJid, Room>,
    links: BTreeMap<BareJid, Link>,
    outstanding: BTreeMap<String, Outstanding>,
    /// Acts of users here that several instances may have been asked for: how many have not answered, and what the first of
    /// them said against it.
    acts: BTreeMap<(BareJid, u64), (usize, Option<StanzaError>)>,
    /// Users that were redirected, and when (monotonic ms): who insists gets in.
    redirected: BTreeMap<(BareJid, BareJid), u64>,
    /// Rooms that have ended here, while there is somebody who does not know.
    endings: BTreeMap<BareJid, Ending>,
    /// Private stanzas on their way to other instances, by the host's token, and how many there were.
    privates: BTreeMap<u64, Private>,
    private_mark: u64,
    /// Invitations that may be declined yet.
    invitations: Invitations,
    actions: VecDeque<Action>,
    /// Rooms whose stored state is out of date.
    unsaved: BTreeSet<BareJid>,
    /// Rooms whose list of affiliations has changed: who may have a nick may be somebody else.
    relisted: BTreeSet<BareJid>,
    /// Rooms with an instance of which something is to be tried again, and maybe some others.
    timed: BTreeSet<BareJid>,
    /// Rooms whose stored log is to be cut down, and to how many entries.
    trims: BTreeMap<BareJid, usize>,
}

/// What a host needs to know of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomInfo {
    /// The id all instances share.
    pub id: String,
    /// The source, if it is known.
    pub source: Option<BareJid>,
    /// Whether the source is here.
    pub is_source: bool,
    /// Whether users may join and find it: its configuration has arrived.
    pub is_ready: bool,
}

impl Engine {
    /// An engine for the service named in `config`, with no rooms. The same seed and the same inputs give the
    /// same outputs, byte for byte.
    pub fn new(config: Config, seed: Seed) -> Engine {
        Engine {
            config,
            ids: IdSource::new(seed),
            clock: HybridClock::default(),
            rooms: BTreeMap::new(),
            links: BTreeMap::new(),
            outstanding: BTreeMap::new(),
            acts: BTreeMap::new(),
            redirected: BTreeMap::new(),
            endings: BTreeMap::new(),
            privates: BTreeMap::new(),
            private_mark: 0,
            invitations: Invitations::default(),
            actions: VecDeque::new(),
            unsaved: BTreeSet::new(),
            relisted: BTreeSet::new(),
            timed: BTreeSet::new(),
            trims: BTreeMap::new(),
        }
    }

    /// The configuration in force.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Puts a changed configuration into force: instances at services that are no longer peers are let go, new
    /// peers are asked to replicate.
    pub fn set_config(&mut self, now: Now, config: Config) {
        self.config = config;
        self.drop_foreign_instances(now);
        let started = self
            .rooms
            .values()
            .filter(|room| room.is_source() && room.started);
        for room in started.map(|room| room.jid.clone()).collect::<Vec<_>>() {
            self.begin(now, &room);
        }
        self.queue_stores();
    }

    /// Takes a stored room back after a restart. [`Input::Logged`] for each entry of its stored log and
    /// [`Input::Started`] follow; then its instances are brought up to date as they answer.
    ///
    /// # Errors
    /// [`RestoreError`] when the room is here already; nothing changes then.
    pub fn restore(&mut self, now: Now, snapshot: &Snapshot) -> Result<(), RestoreError> {
        let jid = snapshot.room().clone();
        if self.rooms.contains_key(&jid) {
            return Err(RestoreError(format!("{jid} is here already")));
        }
        if let Some(ending) = snapshot.ending() {
            self.endings.insert(jid.clone(), ending.clone());
            for service in ending.untold.iter().map(link::service_of) {
                self.learn_caps(now, &service);
            }
        }
        if let Some(mut room) = snapshot.to_room() {
            // What was used after the snapshot was stored is not known any more: neither numbers of events nor versions.
            let jitter = self.ids.below(LIFE / 16);
            room.live_anew((room.incarnation + LIFE + jitter).max(now.wall_ms));
            room.started = false;
            self.rooms.insert(jid.clone(), room);
            self.unsaved.insert(jid);
            self.drop_foreign_instances(now);
        }
        self.queue_stores();
        Ok(())
    }

    /// Takes in one thing that happened.
    ///
    /// # Errors
    /// [`Error`] says why the input was refused; nothing changed then.
    pub fn handle_input(&mut self, now: Now, input: Input<'_>) -> Result<Verdict, Error> {
        let verdict = self.dispatch(now, input);
        self.settle_nicks(now);
        self.queue_stores();
        verdict
    }

    fn dispatch(&mut self, now: Now, input: Input<'_>) -> Result<Verdict, Error> {
        match input {
            Input::Distribute {
                room,
                form,
                salt,
                subject,
            } => {
                self.distribute(now, room, form, salt, subject);
                Ok(Verdict::Done)
            }
            Input::Started { room } => {
                self.room_mut(room)?.started = true;
                self.trim(now, room);
                self.begin(now, room);
                Ok(Verdict::Done)
            }
            Input::Logged {
                room,
                nick,
                message_id,
                lang,
                occupant_id,
                event,
                payload,
            } => self.logged(now, room, nick, (message_id, lang), occupant_id, event, payload),
            Input::Undistribute { room, reason } => self.undistribute(now, room, reason),
            Input::Destroyed {
                room,
                reason,
                venue,
                password,
            } => self.destroyed(now, room, reason, venue, password),
            Input::Past {
                room,
                nick,
                message_id,
                lang,
                stanza_id,
                occupant_id,
                wall_ms,
                payload,
            } => self.past(
                now,
                room,
                nick,
                (message_id, lang),
                stanza_id,
                occupant_id,
                wall_ms,
                payload,
            ),
            Input::Occupant(occupant) => self.local_occupant(now, &occupant),
            Input::OccupantLeft(departure) => self.local_left(now, &departure),
            Input::Groupchat {
                room,
                nick,
                message_id,
                lang,
                payload,
                keep,
            } => self.local_groupchat(now, room, nick, (message_id, lang), payload, keep),
            Input::Subject {
                room,
                nick,
                actor_jid,
                text,
            } => {
                let actor = Actor {
                    nick,
                    jid: actor_jid,
                    invites: false,
                };
                self.local_subject(now, room, actor, text)
            }
            Input::Moderate {
                room,
                moderation,
                actor_jid,
            } => self.local_moderation(now, room, moderation, actor_jid),
            Input::Settings {
                room,
                form,
                actor_nick,
                actor_jid,
            } => {
                let actor = Actor {
                    nick: actor_nick,
                    jid: actor_jid,
                    invites: false,
                };
                self.local_settings(now, room, form, actor)
            }
            Input::Affiliation {
                room,
                jid,
                affiliation,
                reserved_nick,
                reason,
                actor,
                actor_jid,
                is_invited,
            } => {
                let entry = Listed {
                    affiliation,
                    nick: reserved_nick.map(str::to_owned),
                };
                let actor = Actor {
                    nick: actor,
                    jid: actor_jid,
                    invites: is_invited,
                };
                self.local_affiliation(now, room, jid, entry, reason, actor)
            }
            Input::Hats { room, jid, hats } => self.local_hats(now, room, jid, hats),
            Input::Private {
                room,
                nick,
                token,
                is_request,
            } => self.private_sent(now, room, nick, token, is_request),
            Input::PrivateAnswered { token } => Ok(self.private_answered(token)),
            Input::Act { room, token, act } => self.local_act(now, room, token, act),
            Input::VoiceRequest { room, nick } => self.voice_requested(now, room, nick),
            Input::VoiceAnswer {
                room,
                nick,
                token,
                actor_nick,
                actor_jid,
                is_granted,
            } => {
                let actor = Actor {
                    nick: actor_nick,
                    jid: actor_jid,
                    invites: false,
                };
                self.voice_answered(now, room, nick, token, actor, is_granted)
            }
            Input::Invite {
                room,
                token,
                nick,
                jid,
                invitee,
                reason,
            } => self.invite(now, room, token, (nick, jid), invitee, reason),
            Input::Decline {
                room,
                invitee,
                to,
                reason,
            } => self.decline(now, room, invitee, to, reason),
            Input::JoinRequest { room, user } => Ok(self.join_request(now, room, user)),
            Input::PeerIq {
                from,
                to,
                kind,
                id,
                payload,
                taken,
            } => self.peer_iq(now, from, to, kind, id, payload, taken),
            Input::PeerAnswer { from, id, answer } => {
                let is_ours = self.peer_answer(now, from, id, answer);
                Ok(if is_ours { Verdict::Done } else { Verdict::Continue })
            }
            Input::PeerPresence(presence) => self.peer_presence(now, &presence),
            Input::PeerGroupchat {
                from,
                to,
                message_id,
                lang,
                event,
                payload,
                keep,
            } => self.peer_groupchat(now, from, to, (message_id, lang), event, payload, keep),
            Input::PeerSubject {
                from,
                room,
                text,
                version,
            } => self.peer_subject(now, from, room, text, version),
            Input::PeerModeration {
                from,
                room,
                event,
                moderation,
            } => self.peer_moderation(now, from, room, event, moderation),
            Input::PeerError { from, error } => Ok(self.peer_error(now, from, error)),
        }
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Now) {
        self.handle_request_timeouts(now);
        self.handle_link_timeouts(now);
        self.handle_instance_timeouts(now);
        self.handle_resyncs(now);
        self.handle_private_timeouts(now);
        self.settle_nicks(now);
        self.queue_stores();
    }

    /// The next thing for the host to do, in order.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Engine::handle_timeout`] is due, in monotonic milliseconds.
    pub fn poll_timeout(&self) -> Option<u64> {
        [
            self.requests_timeout(),
            self.links_timeout(),
            self.instances_timeout(),
            self.privates_timeout(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// What is known of a room, or `None` if it is not distributed.
    pub fn room_info(&self, room: &BareJid) -> Option<RoomInfo> {
        self.rooms.get(room).map(|room| RoomInfo {
            id: room.id.as_str().to_owned(),
            source: room.source.clone(),
            is_source: room.is_source(),
            is_ready: room.ready,
        })
    }

    /// Every distributed room, in the order of their JIDs.
    pub fn rooms(&self) -> impl Iterator<Item = &BareJid> {
        self.rooms.keys()
    }

    /// Whether `instance` is another instance of `room`.
    pub fn is_instance(&self, room: &BareJid, instance: &BareJid) -> bool {
        self.rooms
            .get(room)
            .is_some_and(|room| room.instances.contains_key(instance))
    }

    /// The room here of which `instance` is another instance that holds it now: where a user of this server is better off.
    pub fn instance_here(&self, instance: &BareJid) -> Option<&BareJid> {
        let is_it = |room: &&Room| {
            let other = room.instances.get(instance);
            room.ready && other.is_some_and(|other| other.stage == Stage::Active)
        };
        self.rooms.values().find(is_it).map(|room| &room.jid)
    }

    /// The other instances of `room` that hold it now.
    pub fn active_instances(&self, room: &BareJid) -> Vec<BareJid> {
        let instances = self.rooms.get(room).map(|room| &room.instances);
        let active = |(_, instance): &(&BareJid, &Instance)| instance.stage == Stage::Active;
        instances.map_or_else(Vec::new, |all| {
            all.iter().filter(active).map(|(jid, _)| jid.clone()).collect()
        })
    }

    /// A message of the room's log by its stanza-id.
    pub fn message(&self, room: &BareJid, id: &str) -> Option<&Entry> {
        self.rooms.get(room).and_then(|room| room.log.get(id))
    }

    /// The messages of the room's log in their order, the same on every instance (G6); `rev()` starts with the newest.
    pub fn messages(&self, room: &BareJid) -> impl DoubleEndedIterator<Item = &Entry> {
        self.rooms.get(room).into_iter().flat_map(|room| room.log.iter())
    }

    /// What people who join see of the log: without what is moderated.
    pub fn history(&self, room: &BareJid) -> impl DoubleEndedIterator<Item = &Entry> {
        let room = self.rooms.get(room);
        let shows = move |entry: &&Entry| room.is_some_and(|room| !room.is_hidden(entry));
        room.into_iter().flat_map(|room| room.log.iter()).filter(shows)
    }

    /// The decision of the source that the message with this stanza-id is gone, as an entry of the log whose payload is a
    /// [`Moderation`](crate::wire::Moderation).
    pub fn moderation(&self, room: &BareJid, id: &str) -> Option<&Entry> {
        self.rooms.get(room).and_then(|room| room.log.moderation_of(id))
    }

    /// The occupants of other instances as they should be shown in `room`: what the host compares with after it
    /// restored the room from its own storage.
    pub fn remote_occupants(&self, room: &BareJid) -> Vec<RemoteOccupant> {
        let Some(room) = self.rooms.get(room) else {
            return Vec::new();
        };
        let mut shown = Vec::new();
        for (home, instance) in &room.instances {
            for (nick, remote) in instance
                .occupants
                .iter()
                .filter(|(_, remote)| instance.shows(remote))
            {
                let payload = split::payload_of(instance, home, remote, self.config.split_presence);
                shown.push(presence::shown(room, home, nick, remote, Some(payload)));
            }
        }
        shown
    }

    /// The instance whose client is shown of an occupant with clients at several (XEP-0045 section 7.2.9 leaves it to the
    /// service): the one that was joined first, then the one with the smaller JID. Every instance decides alike.
    pub fn first_home(&self, room: &BareJid, nick: &str) -> Option<&BareJid> {
        let room = self.rooms.get(room)?;
        let here = room.locals.get(nick).map(|local| (local.serial, &room.jid));
        let elsewhere = room.remotes(nick).map(|(home, remote)| (remote.serial, home));
        here.into_iter().chain(elsewhere).min().map(|(_, home)| home)
    }

    /// The list of affiliations of `room` as it is in force here, changes that wait for the source's decision included.
    pub fn affiliations(&self, room: &BareJid) -> Vec<(&BareJid, Listed)> {
        let Some(room) = self.rooms.get(room) else {
            return Vec::new();
        };
        let users = room.settings.affiliations.keys();
        users.map(|user| (user, room.listed(user))).collect()
    }

    /// The nicks of our own occupants of `room`: what the host compares with after it was not listening.
    pub fn local_nicks(&self, room: &BareJid) -> Vec<&str> {
        self.rooms
            .get(room)
            .map_or_else(Vec::new, |room| room.locals.keys().map(String::as_str).collect())
    }

    /// How many requests to peers are not answered yet.
    pub fn pending_requests(&self) -> usize {
        self.outstanding.len()
    }

    /// Whether nothing is to be done but heartbeats: nothing is unanswered, nothing is missing as far as is known, and
    /// every link is up or leads to nobody.
    pub fn is_settled(&self) -> bool {
        self.waits().next().is_none()
    }

    /// What is not settled yet, in words, for whoever has to find out why.
    pub fn waits(&self) -> impl Iterator<Item = String> {
        let is_beat = |outstanding: &Outstanding| matches!(outstanding.pending, request::Pending::Digest(_));
        let requests = self
            .outstanding
            .values()
            .filter(move |outstanding| !is_beat(outstanding));
        let requests = requests
            .map(|outstanding| format!("{} has not answered {:?}", outstanding.to, outstanding.pending));
        let links = self
            .unsettled_links()
            .map(|(service, state)| format!("the link to {service} is {state:?}"));
        let instances = self.rooms.values().filter(|room| room.ready).flat_map(|room| {
            let waiting = room.instances.iter().filter(|(_, instance)| instance.waits());
            waiting.map(|(peer, instance)| {
                let (stage, sync, cut) = (instance.stage, instance.sync, instance.is_cut);
                format!("{} waits for {peer}: {stage:?}, {sync:?}, cut {cut}", room.jid)
            })
        });
        let rooms = self.rooms.values().filter(|room| !room.offers.is_empty());
        let offers = rooms.map(|room| format!("{} has changes that wait for the source", room.jid));
        requests.chain(links).chain(instances).chain(offers)
    }

    /// The room's distributed state for the host to store, or `None` if it is to be forgotten.
    pub fn snapshot(&self, room: &BareJid) -> Option<Snapshot> {
        Snapshot::of(room, self.rooms.get(room), self.endings.get(room))
    }

    fn room_mut(&mut self, room: &BareJid) -> Result<&mut Room, Error> {
        self.rooms.get_mut(room).ok_or(Error::UnknownRoom)
    }

    /// What we know of another instance of one of our rooms.
    fn instance_mut(&mut self, room: &BareJid, instance: &BareJid) -> Option<&mut Instance> {
        self.rooms.get_mut(room)?.instances.get_mut(instance)
    }

    fn queue_stores(&mut self) {
        while let Some(room) = self.unsaved.pop_first() {
            self.actions.push_back(Action::Store { room });
        }
        // What must be remembered of what goes has been stored by then.
        while let Some((room, keep)) = self.trims.pop_first() {
            self.actions.push_back(Action::TrimLog { room, keep });
        }
    }
}

/// A refusal with the error a peer gets.
fn refuse(condition: Condition, text: &str) -> Error {
    Error::Refused(crate::wire::StanzaError::with_text(condition, text))
}

/// The nick of the occupant that a presence or message from one room JID to another is of.
fn nick_of<'a>(from: &'a Jid, to: &Jid) -> Result<&'a str, Error> {
    from.resource()
        .filter(|nick| to.resource() == Some(nick))
        .ok_or_else(|| {
            refuse(
                Condition::BadRequest,
                "An occupant has the same nick at every instance",
            )
        })
}

/// The bare JID of `jid`, if it has no resource.
fn bare(jid: &Jid) -> Option<BareJid> {
    jid.is_bare().then(|| jid.to_bare())
}
