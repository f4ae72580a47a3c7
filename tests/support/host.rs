//! A modelled MUC service around a real engine: what Prosody and the Lua shim are in production.

use std::collections::BTreeMap;
use std::sync::Arc;

use dmuc::address::{BareJid, Jid};
use dmuc::engine::{Departure, Entry, Notice, Occupant as EngineOccupant};
use dmuc::wire::{Affiliation, Role, StanzaError};
use dmuc::{Config, Engine, Error, Input, Now, Verdict};

use super::dice::Dice;
use super::event::{Cause, Event, Seen, SeenMessage, What};
use super::inviting::{Letter, Sent};
use super::outputs;
use super::private::Whisper;
use super::reading::Reading;
use super::room::{Archived, HostRoom, Listed, Local};
use super::slow::Slow;
use super::storage::{Disk, LogEntry, Remains};
use super::unstored::Unstored;

/// How many messages a join gets.
pub const HISTORY: usize = 20;

#[derive(Debug)]
pub struct Host {
    pub engine: Engine,
    pub service: BareJid,
    pub now: Now,
    pub rooms: BTreeMap<BareJid, HostRoom>,
    /// What the engine wants stored (store `dmuc`).
    pub stored: BTreeMap<BareJid, String>,
    /// The stored logs (store `dmuc_log`).
    pub logs: BTreeMap<BareJid, Vec<Arc<LogEntry>>>,
    /// What of all this would survive a loss of power.
    pub(super) disk: Disk,
    /// The id of the entry that the stored log ended with when the engine's state was stored.
    pub(super) places: BTreeMap<BareJid, Option<String>>,
    /// By which addresses each room may be asked for here, as the engine has told since it started.
    pub served: BTreeMap<BareJid, Vec<BareJid>>,
    /// What has not been read back yet.
    pub reading: Reading,
    pub(super) backup: Option<Box<Remains>>,
    /// It does not run.
    pub is_down: bool,
    /// It dies after so many more things that it does.
    pub fuse: Option<u64>,
    /// When it dies it takes with it what was not flushed.
    pub loses_tail: bool,
    /// Since then it is dead: what it left, and how many events and stanzas were out.
    pub(super) at_death: Option<Box<(Remains, usize, usize)>>,
    pub(super) dice: Dice,
    /// What the engine wants stored cannot be: the store `dmuc` answers nothing but errors.
    pub is_store_away: bool,
    /// Lists of more entries are stored beside their rooms.
    pub most_within: usize,
    /// It could not be stored once.
    pub(super) has_missed_store: bool,
    /// No message can be stored: the stores of the log and of the archive answer nothing but errors.
    pub are_messages_away: bool,
    /// What waits until they can be, in order, with its room.
    pub(super) unstored: Vec<(BareJid, Unstored)>,
    /// Messages that other modules' hooks hold up, by room and nick, in order.
    pub(super) slow: Vec<Slow>,
    /// Connections that the engine has given up, by the peer's service: after so many of the stanzas of the outbox.
    pub resets: Vec<(usize, BareJid)>,
    /// Services that are not to be read for so long (ms). The network here goes on as before.
    pub slowed: Vec<(BareJid, u64)>,
    /// Private stanzas that are on their way, by their token.
    pub(super) private: BTreeMap<u64, Whisper>,
    /// Stanzas to send, in order.
    pub outbox: Vec<String>,
    pub events: Vec<Event>,
    /// How acts ended, by their token.
    pub acts: BTreeMap<u64, Option<StanzaError>>,
    /// Invitations and declines that users got.
    pub letters: Vec<Letter>,
    /// Invitations for which another instance is asked, by their token.
    pub(super) inviting: BTreeMap<u64, Sent>,
    pub notices: Vec<(BareJid, BareJid, Notice)>,
    pub refused: Vec<(Jid, StanzaError)>,
    /// The features of the service; without ours it counts as one that speaks only the XEP's text.
    pub features: Vec<&'static str>,
    /// The children of the presence that is being handed to the engine.
    pub(super) presence_payload: Option<String>,
    pub(super) next_session: u64,
    pub(super) next_token: u64,
}

impl Host {
    pub fn new(config: Config, seed: [u8; 32], now: Now) -> Host {
        Host {
            service: config.service.clone(),
            engine: Engine::new(config, seed),
            now,
            rooms: BTreeMap::new(),
            stored: BTreeMap::new(),
            logs: BTreeMap::new(),
            disk: Disk::default(),
            places: BTreeMap::new(),
            reading: Reading::new(u64::from_be_bytes([
                seed[0], seed[1], seed[2], seed[3], seed[4], seed[5], seed[6], seed[7],
            ])),
            backup: None,
            served: BTreeMap::new(),
            is_down: false,
            fuse: None,
            loses_tail: false,
            at_death: None,
            dice: Dice::new(u64::from_be_bytes([
                seed[0], seed[1], seed[2], seed[3], seed[4], seed[5], seed[6], seed[7],
            ])),
            is_store_away: false,
            most_within: 64,
            has_missed_store: false,
            are_messages_away: false,
            unstored: Vec::new(),
            slow: Vec::new(),
            resets: Vec::new(),
            slowed: Vec::new(),
            private: BTreeMap::new(),
            outbox: Vec::new(),
            events: Vec::new(),
            acts: BTreeMap::new(),
            letters: Vec::new(),
            inviting: BTreeMap::new(),
            notices: Vec::new(),
            refused: Vec::new(),
            features: vec![dmuc::wire::ns::DMUC, dmuc::wire::ns::OURS, dmuc::wire::ns::PACKED],
            presence_payload: None,
            next_session: 1,
            next_token: 1,
        }
    }

    pub fn room(&self, room: &BareJid) -> &HostRoom {
        self.rooms
            .get(room)
            .unwrap_or_else(|| panic!("there is no room {room}"))
    }

    /// One input, without draining: nested inputs happen while the outermost call drains.
    pub fn input(&mut self, input: Input<'_>) -> Result<Verdict, Error> {
        self.engine.handle_input(self.now, input)
    }

    /// Input that a correct host never sees refused.
    pub(super) fn tell(&mut self, input: Input<'_>) -> Verdict {
        let shown = format!("{input:?}");
        self.input(input)
            .unwrap_or_else(|error| panic!("{} refused {shown}: {error}", self.service))
    }

    /// Performs what the engine wants, in order, until it wants nothing more.
    pub fn drain(&mut self) {
        loop {
            while let Some(action) = self.engine.poll_action() {
                outputs::note(outputs::Kind::Action, || {
                    format!("{} {}", self.service, outputs::described(&action))
                });
                self.tick();
                self.perform(action);
            }
            if !self.read_some() {
                break;
            }
        }
        self.flush_some();
    }

    pub fn timeout(&mut self) {
        self.engine.handle_timeout(self.now);
        self.drain();
    }

    /// The process ends in good order and starts again: occupants are gone, what was stored comes back.
    pub fn restart(&mut self, config: Config, seed: [u8; 32]) {
        self.stop();
        self.engine = Engine::new(config, seed);
        self.served.clear();
        self.start(seed);
    }

    /// Nothing is outstanding: only heartbeats are left.
    pub fn is_settled(&self) -> bool {
        self.is_down || self.engine.is_settled()
    }

    pub(super) fn event(&mut self, event: Event) {
        self.events.push(event);
    }

    /// A source's or an ordinary room's settings changed, or a shadow's.
    pub(super) fn decided(&mut self, room: &BareJid, what: What, value: String) {
        let Some(host_room) = self.rooms.get(room) else {
            return;
        };
        let (room, is_shadow) = (room.clone(), host_room.is_shadow());
        self.event(if is_shadow {
            Event::Took { room, what, value }
        } else {
            Event::Decided { room, what, value }
        });
    }

    /// Shows something to every local occupant.
    pub(super) fn show_all(&mut self, room: &BareJid, seen: &Seen) {
        let Some(host_room) = self.rooms.get(room) else {
            return;
        };
        let sessions: Vec<u64> = host_room.locals().map(|(_, local)| local.session).collect();
        for session in sessions {
            self.show(room, session, seen.clone());
        }
    }

    pub(super) fn show(&mut self, room: &BareJid, session: u64, seen: Seen) {
        self.tick();
        self.event(Event::Saw {
            room: room.clone(),
            session,
            seen,
        });
    }

    /// Tells the engine of a local occupant as it is now, and the other locals of its presence.
    pub(super) fn announce(&mut self, room: &BareJid, nick: &str, codes: Vec<u16>) {
        let Some(host_room) = self.rooms.get(room) else {
            return;
        };
        let Some(local) = host_room.local(nick).cloned() else {
            return;
        };
        let is_distributed = host_room.is_distributed;
        // Status 110 says to somebody that this is its own presence (XEP-0045 section 7.2.2).
        let others: Vec<u16> = codes.iter().copied().filter(|code| *code != 110).collect();
        let sessions: Vec<u64> = host_room.locals().map(|(_, local)| local.session).collect();
        for session in sessions {
            let codes = if session == local.session { &codes } else { &others };
            self.show(room, session, local.as_seen(nick, codes.clone()));
        }
        if is_distributed {
            self.tell_occupant(room, nick, &local);
        }
    }

    pub(super) fn tell_occupant(&mut self, room: &BareJid, nick: &str, local: &Local) {
        self.event(Event::Changed {
            room: room.clone(),
            nick: nick.to_owned(),
        });
        self.tell(Input::Occupant(EngineOccupant {
            room,
            nick,
            jid: &Jid::from(local.jid.clone()),
            affiliation: local.affiliation,
            role: local.role,
            occupant_id: Some(&local.occupant_id),
            payload: &local.payload,
        }));
    }

    /// A local occupant ceases to be one. Locals, itself included, and the engine are told.
    pub(super) fn remove(&mut self, room: &BareJid, how: Departure<'_>) {
        let nick = how.nick.to_owned();
        let Some(host_room) = self.rooms.get_mut(room) else {
            return;
        };
        let is_distributed = host_room.is_distributed;
        let Some(local) = host_room.local(&nick).cloned() else {
            return;
        };
        let gone = Seen::Gone {
            nick: nick.clone(),
            codes: how.codes.to_vec(),
            new_nick: how.new_nick.map(str::to_owned),
            actor: how.actor.map(str::to_owned),
            reason: how.reason.map(str::to_owned),
        };
        self.show_all(room, &gone);
        if let Some(host_room) = self.rooms.get_mut(room) {
            if let Some(occupant) = host_room.occupants.get_mut(&nick) {
                occupant.local = None;
            }
            host_room.tidy();
        }
        if how.new_nick.is_none() {
            let is_own = how.codes.is_empty();
            self.event(Event::Left {
                room: room.clone(),
                nick: nick.clone(),
                session: local.session,
                cause: if is_own {
                    Cause::Own
                } else {
                    Cause::Removed(how.codes.to_vec())
                },
            });
        }
        if is_distributed {
            self.event(Event::Changed {
                room: room.clone(),
                nick,
            });
            self.tell(Input::OccupantLeft(Departure {
                room: Some(room),
                ..how
            }));
        }
    }

    /// Sets an affiliation in the list and on the occupants it concerns; bans remove (XEP-0045 section 9.1).
    pub(super) fn set_affiliation(
        &mut self,
        room: &BareJid,
        user: &BareJid,
        entry: &Listed,
        reason: Option<&str>,
        actor: Option<&str>,
    ) {
        let Some(host_room) = self.rooms.get_mut(room) else {
            return;
        };
        if entry.affiliation == Affiliation::None && entry.nick.is_none() {
            host_room.affiliations.remove(user);
            host_room.hats.remove(user);
        } else {
            host_room.affiliations.insert(user.clone(), entry.clone());
        }
        self.decided(room, What::Affiliation(user.clone()), entry.as_text());
        let Some(host_room) = self.rooms.get_mut(room) else {
            return;
        };
        let concerns =
            |jid: &BareJid| jid == user || (user.node().is_none() && jid.domain() == user.domain());
        let host_room = &*host_room;
        let changed: Vec<(String, Affiliation)> = host_room
            .locals()
            .filter(|(_, local)| concerns(&local.jid.to_bare()))
            .map(|(nick, local)| (nick.clone(), host_room.affiliation_of(&local.jid.to_bare())))
            .collect();
        for (nick, affiliation) in changed {
            if affiliation == Affiliation::Outcast {
                let affiliation = Some(affiliation);
                let how = Departure {
                    nick: &nick,
                    codes: &[301],
                    affiliation,
                    actor,
                    reason,
                    ..Departure::default()
                };
                self.remove(room, how);
                continue;
            }
            self.reclassify(room, &nick, affiliation);
        }
        self.enforce_membership(room);
        // Affiliation follows the real bare JID (DESIGN section 2), whoever's occupant it is, and mod_muc sets the role with it.
        let Some(host_room) = self.rooms.get_mut(room) else {
            return;
        };
        let mut shown = Vec::new();
        let now = host_room.affiliation_of(user);
        let role = host_room.default_role(now);
        for (nick, occupant) in &mut host_room.occupants {
            for remote in occupant.remote.values_mut() {
                let is_it = remote.bare().as_ref() == Some(user);
                if is_it && now != Affiliation::Outcast && remote.affiliation != now {
                    (remote.affiliation, remote.role) = (now, role);
                    shown.push((nick.clone(), remote.clone()));
                }
            }
        }
        for (nick, remote) in shown {
            self.show_all(room, &remote.as_seen(&nick));
        }
    }

    fn reclassify(&mut self, room: &BareJid, nick: &str, affiliation: Affiliation) {
        let Some(host_room) = self.rooms.get_mut(room) else {
            return;
        };
        let role = host_room.default_role(affiliation);
        let Some(local) = host_room.local_mut(nick) else {
            return;
        };
        if local.affiliation != affiliation {
            (local.affiliation, local.role) = (affiliation, role);
            self.announce(room, nick, Vec::new());
        }
    }

    /// Who is no member leaves a members-only room (status 322).
    pub(super) fn enforce_membership(&mut self, room: &BareJid) {
        let Some(host_room) = self.rooms.get(room) else {
            return;
        };
        if host_room.form.flag("muc#roomconfig_membersonly") != Some(true) {
            return;
        }
        let strangers: Vec<String> = host_room
            .locals()
            .filter(|(_, local)| local.affiliation < Affiliation::Member)
            .map(|(nick, _)| nick.clone())
            .collect();
        for nick in strangers {
            self.remove(
                room,
                Departure {
                    nick: &nick,
                    codes: &[322],
                    ..Departure::default()
                },
            );
        }
    }

    /// What the history of a room shows now.
    pub fn shown_of(&self, room: &BareJid) -> impl DoubleEndedIterator<Item = Entry> {
        let shown = self.engine.history(self.now, room);
        let shown: Vec<Entry> = shown.map(|held| self.read_again(room, &held)).collect();
        shown.into_iter()
    }

    pub(super) fn history_for(&mut self, room: &BareJid) -> Vec<SeenMessage> {
        self.read_history(room);
        let Some(host_room) = self.rooms.get(room) else {
            return Vec::new();
        };
        if !host_room.is_distributed {
            let newest = host_room.archive.iter().rev();
            let newest = newest.filter(|message| !self.is_held_up(room, &message.stanza_id));
            let newest = newest.take(HISTORY);
            let mut messages: Vec<SeenMessage> = newest.map(|archived| archived.as_seen(true)).collect();
            messages.reverse();
            return messages;
        }
        let newest = self.shown_of(room).rev();
        let newest = newest.filter(|entry| !self.is_held_up(room, &entry.id));
        let mut newest: Vec<_> = newest.take(HISTORY).collect();
        newest.reverse();
        newest
            .into_iter()
            .map(|entry| SeenMessage {
                nick: entry.nick.clone(),
                payload: entry.payload.to_string(),
                message_id: entry.message_id.clone(),
                stanza_id: Some(entry.id.clone()).filter(|id| self.has_archived(room, id)),
                occupant_id: entry.occupant_id.clone(),
                delayed: true,
            })
            .collect()
    }

    /// The role of somebody local or remote, as it is shown here.
    pub fn rank(&self, room: &BareJid, nick: &str) -> Option<(Affiliation, Role)> {
        let host_room = self.rooms.get(room)?;
        let local = host_room.local(nick).map(|local| (local.affiliation, local.role));
        local.or_else(|| {
            host_room
                .remote(nick)
                .map(|(_, remote)| (remote.affiliation, remote.role))
        })
    }
}

impl Archived {
    pub fn as_seen(&self, delayed: bool) -> SeenMessage {
        SeenMessage {
            nick: self.nick.clone(),
            payload: self.payload.clone(),
            message_id: self.message_id.clone(),
            stanza_id: Some(self.stanza_id.clone()),
            occupant_id: self.occupant_id.clone(),
            delayed,
        }
    }
}
