//! The engine: every distributed room, link and timer of one MUC service. Pure: time and randomness are arguments.
//!
//! Feed it with [`Engine::handle_input`] and [`Engine::handle_timeout`], and after every call drain
//! [`Engine::poll_action`] and arm one timer for [`Engine::poll_timeout`].

mod action;
mod allowance;
mod capacity;
mod cause;
mod clash;
mod differing;
mod digest;
mod door;
mod ending;
mod fitting;
mod groupchat;
mod heartbeat;
mod history;
mod host;
mod input;
mod introduction;
mod invitations;
mod judging;
mod link;
mod naming;
mod orders;
mod outage;
mod overview;
mod pace;
mod parked;
mod peer;
mod peer_roster;
mod pictures;
mod presence;
mod private;
mod proving;
mod queries;
mod quiet;
mod rank;
mod rate;
mod reading;
mod recall;
mod refusals;
mod replication;
mod request;
mod roster;
mod rulings;
mod serving;
mod split;
mod stanza;
mod state;
mod succession;
mod sync;
mod unlike;
mod unread;
mod voice;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::address::{BareJid, Jid};

pub use action::{Action, Notice, RemoteOccupant, SendPresence, Shown, Verdict};
use allowance::Allowances;
pub use cause::Cause;
pub use differing::{Alike, Difference};
pub use input::{Departure, Input, Occupant, PeerPresence, Ruled};
pub use link::LinkState;
pub use orders::Order;
pub use overview::{
    InstanceOverview, InstanceState, LinkOverview, RefusalOverview, RoomOverview, Speaks, Totals,
};
pub use parked::{ParkedFor, ParkedRoom};
pub use queries::RoomInfo;
pub use state::clock::{MAX_CLOCK_LEAD_MS, Now};
pub use state::log::{Entry, EventKey, Held};
pub use succession::voters::VOTERS_FIELD;

use crate::config::Config;
use crate::error::{Error, RestoreError};
use crate::ids::{IdSource, Seed};
use crate::snapshot::Snapshot;
use crate::wire::{Condition, StanzaError};
pub(crate) use ending::Ending;
use invitations::Invitations;
use link::Link;
use pictures::Pictures;
use private::Private;
use recall::Questions;
use refusals::Refusals;
use request::Outstanding;
use rulings::Actor;
pub(crate) use rulings::{Variant, each_kind, with_kinds};
pub(crate) use state::beside;
use state::clock::HybridClock;
pub(crate) use state::instance::{Instance, Remote, Stage};
pub(crate) use state::room::Room;
use state::rooms::Rooms;
pub(crate) use state::stored;
pub(crate) use state::waiting::{Matter, Offer};
use unread::Unread;

/// How many numbers and versions one life of the engine may use while the wall clock stands still.
const LIFE: u64 = 1 << 20;

/// Every distributed room of one MUC service.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    ids: IdSource,
    clock: HybridClock,
    rooms: Rooms,
    /// Shadows that the configuration, here or at their source, leaves out, as they are stored.
    parked: BTreeMap<BareJid, Room>,
    links: BTreeMap<BareJid, Link>,
    /// Services whose link carries little.
    thin: BTreeSet<BareJid>,
    outstanding: BTreeMap<String, Outstanding>,
    /// What peers would not have, by service.
    refusals: BTreeMap<BareJid, Refusals>,
    /// Whether the peers have been told that this service is there.
    is_greeted: bool,
    /// Acts of users here that several instances may have been asked for: how many have not answered, and what the first of
    /// them said against it.
    acts: BTreeMap<(BareJid, u64), (usize, Option<StanzaError>)>,
    /// Users that were redirected, and when they were invited (monotonic ms).
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
    /// Rooms in which it may follow from what has changed that somebody else is the source.
    voting: BTreeSet<BareJid>,
    /// Rooms whose list of affiliations has changed: who may have a nick may be somebody else.
    relisted: BTreeSet<BareJid>,
    /// Rooms that may have room again for occupants of other instances.
    roomier: BTreeSet<BareJid>,
    /// Rooms with an instance of which something is to be tried again, and maybe some others.
    timed: BTreeSet<BareJid>,
    /// Rooms whose log has grown, and when, while the host is not told of all that is in it.
    grown: BTreeMap<BareJid, Now>,
    /// What peers have used of what they may.
    allowances: Allowances,
    /// By which addresses each room is known elsewhere, as the host was told last.
    addresses: BTreeMap<BareJid, Vec<BareJid>>,
    /// Shadows without a configuration, and until when one is awaited (monotonic ms).
    unconfigured: BTreeMap<BareJid, u64>,
    /// What is asked of peers that is missing here, or waits for that.
    pulls: sync::Pulls,
    /// vCards of rooms on their way.
    pictures: Pictures,
    /// Rooms whose stored log is to be cut down, and to how many entries.
    trims: BTreeMap<BareJid, usize>,
    /// What the host cannot read yet.
    unread: Unread,
    /// What peers have asked that needs messages which are not in memory.
    questions: Questions,
}

impl Engine {
    /// An engine for the service named in `config`, with no rooms. The same seed and the same inputs give the
    /// same outputs, byte for byte.
    pub fn new(config: Config, seed: Seed) -> Engine {
        Engine {
            config,
            ids: IdSource::new(seed),
            clock: HybridClock::default(),
            rooms: Rooms::default(),
            parked: BTreeMap::new(),
            links: BTreeMap::new(),
            thin: BTreeSet::new(),
            outstanding: BTreeMap::new(),
            refusals: BTreeMap::new(),
            is_greeted: false,
            acts: BTreeMap::new(),
            redirected: BTreeMap::new(),
            endings: BTreeMap::new(),
            privates: BTreeMap::new(),
            private_mark: 0,
            invitations: Invitations::default(),
            actions: VecDeque::new(),
            unsaved: BTreeSet::new(),
            voting: BTreeSet::new(),
            relisted: BTreeSet::new(),
            roomier: BTreeSet::new(),
            timed: BTreeSet::new(),
            grown: BTreeMap::new(),
            allowances: Allowances::default(),
            addresses: BTreeMap::new(),
            unconfigured: BTreeMap::new(),
            pulls: sync::Pulls::default(),
            pictures: Pictures::default(),
            trims: BTreeMap::new(),
            unread: Unread::default(),
            questions: Questions::default(),
        }
    }

    /// The configuration in force.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Puts a configuration into force, changed or not: what is at services that are no longer peers is parked, what was
    /// parked for want of a name goes on, new peers and those that have refused an instance are asked to replicate.
    pub fn set_config(&mut self, now: Now, config: Config) {
        let was = std::mem::replace(&mut self.config, config);
        self.follow_peers(now, &was);
        self.forget_refusals();
        // Those who were refused, or are new, are asked; the peers hear that there is reason to ask us.
        self.is_greeted = false;
        let started = self
            .rooms
            .values()
            .filter(|room| room.is_source() && room.started);
        for room in started.map(|room| room.jid.clone()).collect::<Vec<_>>() {
            self.begin(now, &room);
        }
        self.roomier.extend(self.rooms.keys().cloned());
        self.take_left_out(now);
        self.queue_stores();
    }

    /// Takes a stored room back after a restart. [`Input::Logged`] for each entry of its stored log and
    /// [`Input::Started`] follow, if [`Engine::room_info`] knows the room then; its instances are brought up to date as they
    /// answer. A shadow whose source's service is no peer is parked ([`Action::Park`]).
    ///
    /// # Errors
    /// [`RestoreError`] when the room is here already; nothing changes then.
    pub fn restore(&mut self, now: Now, snapshot: &Snapshot) -> Result<(), RestoreError> {
        let jid = snapshot.room().clone();
        self.note_unread(Some(&jid), false);
        if self.rooms.contains_key(&jid) || self.parked.contains_key(&jid) {
            return Err(RestoreError(format!("{jid} is here already")));
        }
        if let Some(ending) = snapshot.ending() {
            self.endings.insert(jid.clone(), ending.clone());
            for service in ending.untold.iter().map(|jid| jid.service()) {
                if self.config.peers.contains_key(&service) {
                    self.learn_caps(now, &service);
                }
            }
        }
        if let Some(room) = snapshot.to_room() {
            self.place_restored(now, room);
            self.tell_unfit_here(&jid, snapshot.unfit());
        }
        self.queue_stores();
        Ok(())
    }

    /// Takes in one thing that happened.
    ///
    /// # Errors
    /// [`Error`] says why the input was refused; nothing changed then.
    pub fn handle_input(&mut self, now: Now, input: Input<'_>) -> Result<Verdict, Error> {
        let (peer, came) = (input.peer(), input.came());
        let verdict = self.dispatch(now, input);
        // What changes nothing is no sign of life either.
        let is_taken = |verdict: &Verdict| *verdict != Verdict::Continue;
        if let Some(peer) = peer.filter(|_| verdict.as_ref().is_ok_and(is_taken)) {
            self.heard(now, &peer);
            if let Some(came) = came.as_ref().filter(|came| !came.is_answer) {
                self.note_received(&peer, came.bytes);
            }
        }
        if let Some(came) = came {
            self.keep_pace(now, &came, &verdict);
        }
        self.settle_nicks(now);
        self.take_left_out(now);
        self.note_speech(now);
        self.follow_avatars(now);
        self.settle_successions(now);
        self.queue_stores();
        verdict
    }

    #[allow(clippy::too_many_lines)] // a table: what takes which input
    fn dispatch(&mut self, now: Now, input: Input<'_>) -> Result<Verdict, Error> {
        match input {
            Input::Distribute {
                room,
                form,
                unfit,
                salt,
                subject,
            } => self.distribute(now, room, form, &unfit, salt, subject),
            Input::Started { room, is_whole } => {
                let started = self.room_mut(room)?;
                started.started = true;
                if is_whole {
                    started.log.finish_reading();
                }
                self.note_bans(now, room);
                self.show_stored(room);
                self.look_up_avatar(room);
                self.trim(now, room);
                self.begin(now, room);
                self.tell_soon(now, room);
                self.tell_addresses(room);
                Ok(Verdict::Done)
            }
            Input::LogRead { room } => self.log_read(now, room),
            Input::Unread { room, is_unread } => {
                self.note_unread(room, is_unread);
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
                is_stored,
            } => {
                let said = (message_id, lang);
                self.logged(now, room, nick, said, occupant_id, event, payload, is_stored)
            }
            Input::MessageStored { room, id } => Ok(self.message_stored(room, id)),
            Input::MessagesRead { token, is_read } => Ok(self.messages_read(now, token, is_read)),
            Input::Undistribute { room, reason } => self.undistribute(now, room, reason),
            Input::Destroyed {
                room,
                reason,
                venue,
                password,
            } => self.destroyed(now, room, reason, venue, password),
            Input::LetGo { room } => self.let_go(now, room),
            Input::Order(order) => self.order(now, order),
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
            Input::Ruled(ruled) => self.ruled(now, ruled),
            Input::Avatar {
                room,
                vcard,
                is_wanted,
            } => self.picture_given(now, room, vcard, is_wanted),
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
            Input::Arriving { service } => Ok(match self.arriving(now, service) {
                true => Verdict::Done,
                false => Verdict::Continue,
            }),
            Input::PeerError { from, error } => Ok(self.peer_error(now, from, error)),
        }
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Now) {
        if !self.is_greeted {
            self.greet(now);
        }
        self.handle_request_timeouts(now);
        self.handle_link_timeouts(now);
        self.handle_instance_timeouts(now);
        self.handle_refusal_timeouts(now);
        self.handle_resyncs(now);
        self.handle_untold_splits(now);
        self.handle_unshown_splits(now);
        self.handle_private_timeouts(now);
        self.handle_picture_timeouts(now);
        self.drop_unconfigured(now);
        self.handle_succession_timeouts(now);
        self.settle_nicks(now);
        self.handle_left_out_timeouts(now);
        self.note_speech(now);
        self.follow_avatars(now);
        self.settle_successions(now);
        self.queue_stores();
    }

    /// The next thing for the host to do, in order.
    pub fn poll_action(&mut self) -> Option<Action> {
        if self.actions.is_empty() && !self.grown.is_empty() {
            self.trim_grown();
            self.queue_stores();
        }
        self.actions.pop_front()
    }

    /// When [`Engine::handle_timeout`] is due, in monotonic milliseconds.
    pub fn poll_timeout(&self) -> Option<u64> {
        [
            self.requests_timeout(),
            self.links_timeout(),
            self.instances_timeout(),
            self.privates_timeout(),
            self.pictures.next_timer(),
            self.refusals_timeout(),
            self.unconfigured_timeout(),
            (!self.is_greeted).then_some(0),
        ]
        .into_iter()
        .flatten()
        .min()
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
            self.tell_addresses(&room);
            let store = Action::Store { room };
            // What has just been asked for need not be asked for again.
            if self.actions.back() != Some(&store) {
                self.actions.push_back(store);
            }
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
