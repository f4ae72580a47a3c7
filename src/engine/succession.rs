//! Who decides for a room, and how that moves (DESIGN 9, G14): what [`crate::succession`] concludes, done. Statements go to
//! every other instance that speaks of succession; a room none of whose instances votes but its source knows nothing of it.

mod moves;
pub(super) mod voters;

use crate::address::BareJid;

use super::link::Caps;
use super::request::Pending;
use super::state::clock::{MAX_CLOCK_LEAD_MS, Now};
use super::state::instance::Stage;
use super::state::room::Room;
use super::state::succession::Succession;
use super::state::waiting::Offer;
use super::{Engine, refuse};
use crate::error::Error;
use crate::succession::{Claim, Edition, Line, MAX_OWED, Moment, Outcome, Party, Statement};
use crate::wire::{Condition, Request, Ruling, StanzaError, Succession as Told};

/// How long what is held waits to be told: changes come in crowds.
const HELD_MS: u64 = 500;
/// How long a disputed role waits for what proves the dispute, before votes are asked for anew; as much again at random.
const DISPUTE_MS: u64 = 2_000;
/// How long a statement that was not taken waits to be told again.
const RETELL_MS: u64 = 30_000;
/// How often the wait for what proves a dispute is doubled at most: somebody may make one after the other.
const MAX_DOUBLINGS: u32 = 10;
/// When a dispute is forgotten.
const PEACE_MS: u64 = 3_600_000;

impl Engine {
    /// Another instance says something of itself.
    pub(super) fn succession_told(
        &mut self,
        now: Now,
        jid: &BareJid,
        from: &BareJid,
        told: Told,
    ) -> Result<(), Error> {
        // Terms count elections, of which there are fewer than milliseconds: nobody can move them so far on that others, whose
        // clocks are as good, do not follow (G13).
        if top(&told) > now.wall_ms.saturating_add(MAX_CLOCK_LEAD_MS) {
            return Err(refuse(
                Condition::PolicyViolation,
                "No room can have had so many elections",
            ));
        }
        self.prove(jid, from);
        let Some(room) = self.rooms.get_mut(jid) else {
            return Err(Error::UnknownRoom);
        };
        let Some(succession) = &mut room.succession else {
            if room.is_from_source(from) && told.said.follows.source == *from {
                room.foretold = Some(Box::new(told));
                self.voting.insert(jid.clone());
            }
            return Ok(());
        };
        succession.keep_former(from, told.said.at.life);
        let heard = told.echo.as_ref().map(|echo| echo.at);
        let is_news = succession.party.hear(from, told.said, told.echo.as_ref());
        if is_news {
            succession.lines.insert(from.clone(), told.line);
        }
        // What follows from it is part of what is answered.
        self.settle_succession(now, jid);
        self.voting.insert(jid.clone());
        let Some(succession) = self.succession_mut(jid) else {
            return Ok(());
        };
        if heard != Some(succession.party.statement().at) {
            if is_news {
                // Whatever it was told before: it has heard nothing of it, or forgotten it.
                succession.told.remove(from);
            }
            self.tell_succession(now, jid, Some(from));
        }
        Ok(())
    }

    /// Whether an instance is out of reach as this service sees it, or has no such room.
    fn is_gone(&self, jid: &BareJid, instance: &BareJid) -> bool {
        let known = self.rooms.get(jid).and_then(|room| room.instances.get(instance));
        let has_it = known.is_some_and(|known| known.stage == Stage::Active && known.gone_since.is_none());
        !has_it || !self.is_link_open(&instance.service())
    }

    /// Concludes what follows in the rooms of which something has changed.
    pub(super) fn settle_successions(&mut self, now: Now) {
        let changed = self.unsaved.iter().filter(|jid| self.has_succession(jid));
        let mut rooms: std::collections::BTreeSet<BareJid> = changed.cloned().collect();
        rooms.append(&mut self.voting);
        for jid in rooms {
            if self.begin_succession(&jid) || self.take_foretold(&jid) {
                self.tell_succession(now, &jid, None);
            }
            // What it concludes may let it conclude more.
            for _ in 0..8 {
                if !self.settle_succession(now, &jid) {
                    break;
                }
            }
        }
    }

    fn has_succession(&self, jid: &BareJid) -> bool {
        self.rooms
            .get(jid)
            .is_some_and(|room| room.succession.is_some() || room.foretold.is_some() || room.is_source())
    }

    /// Returns whether anything came of it.
    fn settle_succession(&mut self, now: Now, jid: &BareJid) -> bool {
        let Some(room) = self.rooms.get_mut(jid) else {
            return false;
        };
        let (is_source, version) = (room.is_source(), room.settings.version);
        let Some(mut succession) = room.succession.take() else {
            return false;
        };
        if is_source && succession.party.is_source() {
            succession.date(version);
        }
        self.take_edition(&mut succession, jid);
        let before = succession.party.statement().clone();
        let outcomes = succession.party.settle(&|name| self.is_gone(jid, name));
        let is_disputed = succession
            .party
            .has_to_stand_again(&|name| self.is_gone(jid, name));
        let wait = succession.patience(now.mono_ms, PEACE_MS).min(MAX_DOUBLINGS);
        let wait = (DISPUTE_MS + self.ids.below(DISPUTE_MS)) << wait;
        succession.stand_at = match (is_disputed, succession.stand_at) {
            (true, None) => Some(now.mono_ms + wait),
            (true, at) => at,
            (false, _) => None,
        };
        if let Some(room) = self.rooms.get_mut(jid) {
            room.succession = Some(succession);
        }
        let is_move = |outcome: &Outcome<BareJid>| !matches!(outcome, Outcome::Take(_));
        let has_moved = outcomes.iter().any(is_move);
        for outcome in outcomes {
            match outcome {
                Outcome::Said => self.said(now, jid, &before),
                Outcome::Won(_) => self.become_source(now, jid),
                Outcome::Follows(_) => self.follow_source(now, jid),
                Outcome::Lost(editions) => self.offer_lost(now, jid, &editions),
                Outcome::Take(_) => {}
            }
        }
        if let Some(succession) = self.succession_mut(jid) {
            succession.forget_settled();
        }
        self.tend_voters(now, jid);
        self.release_when_held(now, jid);
        self.await_succession(now, jid);
        self.timed.insert(jid.clone());
        has_moved
    }

    /// What the source has decided is here as a whole: it is held from now on.
    fn take_edition(&self, succession: &mut Succession, jid: &BareJid) {
        let Some(room) = self.rooms.get(jid) else { return };
        let Some(source) = room.source.as_ref().filter(|source| *source != jid) else {
            return;
        };
        let Some(said) = succession.party.heard(source) else {
            return;
        };
        let edition = said.edition.clone();
        let is_here = edition.version == room.settings.version && room.settings.version > 0;
        let is_news = edition != succession.party.statement().edition && said.follows.source == *source;
        if !is_here || !is_news {
            return;
        }
        let Some(line) = succession.lines.get(source).cloned() else {
            return;
        };
        let is_followed = edition.claim == succession.party.statement().follows;
        if succession
            .party
            .take(source, edition.clone(), line.clone())
            .is_err()
            && is_followed
        {
            succession.party.give_in(edition, line);
        }
    }

    /// There is something new to say: it is stored, and then told. What is held alone can wait a moment.
    fn said(&mut self, now: Now, jid: &BareJid, before: &Statement<BareJid>) {
        self.unsaved.insert(jid.clone());
        let Some(succession) = self.succession_mut(jid) else {
            return;
        };
        let said = succession.party.statement();
        let is_only_held = (&said.follows, &said.promised) == (&before.follows, &before.promised)
            && said.is_standing == before.is_standing
            && succession.heir.is_none();
        if is_only_held {
            succession.tell_at.get_or_insert(now.mono_ms + HELD_MS);
            return;
        }
        self.tell_succession(now, jid, None);
    }

    /// Tells one instance, or all that do not know it yet, what this one says of itself.
    fn tell_succession(&mut self, now: Now, jid: &BareJid, to: Option<&BareJid>) {
        let Some(room) = self.rooms.get(jid) else { return };
        let Some(succession) = &room.succession else {
            return;
        };
        let at = succession.party.statement().at;
        let mut receivers = Vec::new();
        for (peer, instance) in &room.instances {
            let service = peer.service();
            let is_meant = to.is_none_or(|to| to == peer);
            let is_told = succession.told.get(peer) == Some(&at);
            let hears =
                instance.holds_room() && self.caps(&service) == Caps::Full && self.hears_of_it(&service);
            if is_meant && hears && !is_told && self.is_link_open(&service) {
                let told = Told {
                    said: succession.party.statement().clone(),
                    line: succession.party.line().clone(),
                    echo: succession.echo_for(peer),
                };
                receivers.push((peer.clone(), told));
            }
        }
        if receivers.is_empty() {
            return;
        }
        // It is stored before anybody hears it.
        self.unsaved.insert(jid.clone());
        self.queue_stores();
        for (peer, told) in receivers {
            if let Some(succession) = self.succession_mut(jid) {
                succession.told.insert(peer.clone(), at);
                succession.formers.remove(&peer);
            }
            let pending = Pending::Succession {
                room: jid.clone(),
                instance: peer.clone(),
                at,
            };
            self.request(
                now,
                jid.clone(),
                peer,
                Request::Succession(Box::new(told)),
                pending,
            );
        }
    }

    fn hears_of_it(&self, service: &BareJid) -> bool {
        !self.links.get(service).is_some_and(|link| link.is_deaf)
    }

    /// An instance has taken what it was told, or has not.
    pub(super) fn succession_answered(
        &mut self,
        now: Now,
        jid: &BareJid,
        peer: &BareJid,
        at: Moment,
        error: Option<&StanzaError>,
    ) {
        let Some(error) = error else { return };
        if error.condition == Condition::FeatureNotImplemented
            && let Some(link) = self.links.get_mut(&peer.service())
        {
            link.is_deaf = true;
        }
        if let Some(succession) = self.succession_mut(jid)
            && succession.told.get(peer) == Some(&at)
        {
            // It is told again after a while, or when both sides agree again.
            succession.told.remove(peer);
            if error.condition != Condition::FeatureNotImplemented {
                succession.tell_at.get_or_insert(now.mono_ms + RETELL_MS);
                self.timed.insert(jid.clone());
            }
        }
    }

    /// Both sides agree again: who has not heard the latest does.
    pub(super) fn succession_agreed(&mut self, now: Now, jid: &BareJid, peer: &BareJid) {
        self.voting.insert(jid.clone());
        self.tell_succession(now, jid, Some(peer));
    }

    /// The links to a service have come up, or gone down.
    pub(super) fn succession_links(&mut self, service: &BareJid) {
        self.voting.extend(self.rooms_with(service));
    }

    pub(super) fn handle_succession_timeouts(&mut self, now: Now) {
        let is_due = |room: &Room| {
            let next = room.succession.as_ref().and_then(Succession::next_timer);
            next.is_some_and(|at| at <= now.mono_ms)
        };
        let due: Vec<BareJid> = self
            .timed
            .iter()
            .filter(|jid| self.rooms.get(jid).is_some_and(is_due))
            .cloned()
            .collect();
        for jid in due {
            let Some(succession) = self.succession_mut(&jid) else {
                continue;
            };
            let is_now = |at: &mut Option<u64>| at.take_if(|at| *at <= now.mono_ms).is_some();
            let tells = is_now(&mut succession.tell_at);
            let stands = is_now(&mut succession.stand_at);
            let reclaims = is_now(&mut succession.reclaim_at);
            let succeeds = is_now(&mut succession.succeed_at);
            if tells {
                self.tell_succession(now, &jid, None);
            }
            self.succession_due(now, &jid, (stands, reclaims, succeeds));
            self.voting.insert(jid);
        }
    }

    /// Somebody is no instance of the room any more: nothing is owed to it, and what it said counts no longer.
    pub(super) fn forget_in_succession(&mut self, jid: &BareJid, instance: &BareJid) {
        if let Some(succession) = self.succession_mut(jid) {
            succession.party.forget(instance);
            succession.lines.remove(instance);
            succession.told.remove(instance);
            self.voting.insert(jid.clone());
        }
    }

    fn succession_mut(&mut self, jid: &BareJid) -> Option<&mut Succession> {
        self.rooms.get_mut(jid)?.succession.as_mut()
    }

    /// What somebody entitled is about to decide at the source, as it is offered again if it turns out not to count.
    pub(super) fn to_remember(
        &self,
        jid: &BareJid,
        ruling: &Ruling,
        actor: super::rulings::Actor<'_>,
    ) -> Vec<Offer> {
        let room = self.rooms.get(jid);
        let is_remembered = |room: &&Room| room.is_source() && room.succession.is_some();
        room.filter(is_remembered)
            .map_or_else(Vec::new, |room| ruling.clone().offers(room, actor))
    }

    /// It has been decided.
    pub(super) fn remember(&mut self, jid: &BareJid, decided: Vec<Offer>) {
        if let Some(succession) = self.succession_mut(jid) {
            succession.undated.extend(decided);
            let excess = succession.undated.len().saturating_sub(MAX_OWED);
            succession.undated.drain(..excess);
        }
    }

    /// What was decided here does not count any more: it is offered to the source, or who decided it is told.
    fn offer_lost(&mut self, now: Now, jid: &BareJid, editions: &[crate::succession::Edition<BareJid>]) {
        let mut lost: Vec<Offer> = Vec::new();
        if let Some(succession) = self.succession_mut(jid) {
            for edition in editions {
                lost.extend(succession.decided.remove(edition).unwrap_or_default());
            }
        }
        for offer in lost {
            self.offer_anew(jid, offer);
        }
        self.unsaved.insert(jid.clone());
        self.make_offers(now, jid);
    }

    /// The source's first edition of which others are told.
    fn begin_succession(&mut self, jid: &BareJid) -> bool {
        let Some(room) = self.rooms.get(jid) else {
            return false;
        };
        let is_ready = room.is_source() && room.started && room.succession.is_none();
        if !is_ready || self.voters_wanted(room).is_empty() {
            return false;
        }
        // Of an earlier succession that could not be read any more the term is known.
        let claim = Claim {
            term: room.settings.term,
            source: jid.clone(),
        };
        let (life, version) = (room.incarnation, room.settings.version);
        let edition = Edition {
            claim: claim.clone(),
            life,
            version,
        };
        let party = Party::new(jid.clone(), life, claim, edition, Line::of(jid.clone()));
        if let Some(room) = self.rooms.get_mut(jid) {
            room.succession = Some(Succession::new(party));
        }
        self.unsaved.insert(jid.clone());
        true
    }

    /// The source has said what this instance holds by now: from here on it has a part in it.
    fn take_foretold(&mut self, jid: &BareJid) -> bool {
        let Some(room) = self.rooms.get_mut(jid) else {
            return false;
        };
        let version = room.settings.version;
        let is_held = |told: &mut Box<Told>| told.said.edition.version == version && version > 0;
        let Some(told) = room.foretold.take_if(is_held) else {
            return false;
        };
        let Some(source) = room.source.clone() else {
            return false;
        };
        let Told { said, line, .. } = *told;
        let (follows, edition) = (said.follows.clone(), said.edition.clone());
        let mut party = Party::new(jid.clone(), room.incarnation, follows, edition, line.clone());
        party.hear(&source, said, None);
        let mut succession = Succession::new(party);
        succession.lines.insert(source, line);
        room.settings.term = succession.party.statement().follows.term;
        room.succession = Some(succession);
        self.unsaved.insert(jid.clone());
        true
    }
}

/// The highest term that is named.
fn top(told: &Told) -> u64 {
    let all = [Some(&told.said), told.echo.as_ref()];
    let claims = all.into_iter().flatten().flat_map(|said| {
        let named = [&said.promised, &said.follows, &said.edition.claim];
        named.into_iter().chain(&said.granted)
    });
    let branches = told.line.branches.iter().map(|branch| &branch.claim);
    claims.chain(branches).map(|claim| claim.term).max().unwrap_or(0)
}
