//! One instance's part in the succession of one room.

use std::collections::{BTreeMap, BTreeSet};

use super::{Claim, Edition, Line, Moment, Name, Statement};

/// How many decisions are remembered that not everybody is known to hold; the oldest are given up (G13).
pub const MAX_OWED: usize = 256;

/// What one instance knows and has promised. Everything but what it heard of others is stored before it is told.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Party<N> {
    pub(super) me: N,
    /// What this instance has to say of itself.
    pub(super) said: Statement<N>,
    /// What it said last: as soon as it has something else to say, that is another statement.
    pub(super) told: Statement<N>,
    /// Voters and lineage of the edition that is held.
    pub(super) line: Line<N>,
    /// The last statement of the life before, as far as it was stored.
    pub(super) past: Option<Moment>,
    /// Who has said what this instance had told before its storage went back in time; nothing if that is not known to have
    /// happened.
    pub(super) recalled: Option<BTreeSet<N>>,
    /// Whether that has been settled for this life.
    pub(super) has_recovered: bool,
    /// Editions that were decided here, or confirmed to people here, and that not everybody is known to hold.
    pub(super) owed: BTreeSet<Edition<N>>,
    /// Everybody who was ever heard, until it is forgotten.
    pub(super) known: BTreeSet<N>,
    /// Whether it has released the role of source, and nobody has won since.
    pub(super) has_released: bool,
    /// The latest statements of the others.
    pub(super) heard: BTreeMap<N, Statement<N>>,
}

/// What of a [`Party`] is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredParty<N> {
    /// What it said last.
    pub said: Statement<N>,
    /// Voters and lineage of what it holds.
    pub line: Line<N>,
    /// The last statement of the life before.
    pub past: Option<Moment>,
    /// Who has said what it had promised, if it has forgotten that.
    pub recalled: Option<BTreeSet<N>>,
    /// Editions that not everybody is known to hold.
    pub owed: BTreeSet<Edition<N>>,
    /// Everybody who was ever heard.
    pub known: BTreeSet<N>,
    /// Whether it has released the role of source, and nobody has won since.
    pub has_released: bool,
}

impl<N: Name> Party<N> {
    /// What has to be stored before it is told.
    pub fn to_stored(&self) -> StoredParty<N> {
        StoredParty {
            said: self.said.clone(),
            line: self.line.clone(),
            past: self.past,
            recalled: self.recalled.clone(),
            owed: self.owed.clone(),
            known: self.known.clone(),
            has_released: self.has_released,
        }
    }

    /// As it was stored. [`Party::restart`] follows.
    pub fn from_stored(me: N, stored: StoredParty<N>) -> Party<N> {
        Party {
            me,
            told: stored.said.clone(),
            said: stored.said,
            line: stored.line,
            past: stored.past,
            recalled: stored.recalled,
            has_recovered: false,
            owed: stored.owed,
            known: stored.known,
            has_released: stored.has_released,
            heard: BTreeMap::new(),
        }
    }

    /// A room's first source, which is its only voter.
    pub fn source(me: N, life: u64, version: u64) -> Party<N> {
        let first = Claim {
            term: 0,
            source: me.clone(),
        };
        let edition = Edition {
            claim: first.clone(),
            life,
            version,
        };
        let line = Line::of(me.clone());
        Party::new(me, life, first, edition, line)
    }

    /// An instance that takes `edition` for what the source of `follows` has decided.
    pub fn new(me: N, life: u64, follows: Claim<N>, edition: Edition<N>, line: Line<N>) -> Party<N> {
        let said = Statement {
            at: Moment { life, serial: 0 },
            promised: follows.clone(),
            follows,
            granted: Vec::new(),
            is_standing: false,
            edition,
            branches: Vec::new(),
        };
        Party {
            me,
            told: said.clone(),
            said,
            line,
            past: None,
            recalled: None,
            has_recovered: false,
            owed: BTreeSet::new(),
            known: BTreeSet::new(),
            has_released: false,
            heard: BTreeMap::new(),
        }
    }

    /// A new life begins with what is stored: nothing of what others said is known, and nobody stands any more.
    pub fn restart(&mut self, life: u64) {
        self.past = Some(self.said.at);
        self.heard.clear();
        self.has_recovered = false;
        self.said.is_standing = false;
        self.said.branches.clear();
        self.said.at = Moment {
            life,
            serial: self.said.at.serial + 1,
        };
        self.told = self.said.clone();
    }

    /// Whose part this is.
    pub fn name(&self) -> &N {
        &self.me
    }

    /// What this instance says of itself, to be told to all others.
    pub fn statement(&self) -> &Statement<N> {
        &self.said
    }

    /// Voters and lineage of what is held.
    pub fn line(&self) -> &Line<N> {
        &self.line
    }

    /// The latest statement of another instance.
    pub fn heard(&self, name: &N) -> Option<&Statement<N>> {
        self.heard.get(name)
    }

    /// Editions that were decided here, or confirmed to people here, and that not everybody is known to hold.
    pub fn owed(&self) -> impl Iterator<Item = &Edition<N>> {
        self.owed.iter()
    }

    /// Whether this instance is the source, as far as it knows.
    pub fn is_source(&self) -> bool {
        self.said.is_claim_of(&self.me)
    }

    /// Whether it may decide: not once it has released the role, until somebody has won, nor with settings that are another's.
    pub fn may_decide(&self) -> bool {
        self.is_source() && !self.has_released && self.said.edition.claim <= self.said.follows
    }

    /// Whether it does not know what it had promised, and so promises nothing.
    pub fn is_recovering(&self) -> bool {
        self.recalled.is_some()
    }

    /// Another instance says something of itself, and, if it is asked for votes or the link has just come up, what it heard of
    /// this one last. Returns whether that is news.
    pub fn hear(&mut self, from: &N, statement: Statement<N>, echo: Option<&Statement<N>>) -> bool {
        if let Some(echo) = echo {
            self.recall(from, echo);
        }
        let known = self.heard.get(from).map(|known| known.at);
        if known.is_some_and(|known| statement.at <= known) || *from == self.me {
            return false;
        }
        self.heard.insert(from.clone(), statement);
        self.known.insert(from.clone());
        self.settle_debts();
        true
    }

    /// What somebody who votes remembers of this instance: more than itself does, if its storage went back in time. That counts
    /// against what it may promise, and for nobody.
    fn recall(&mut self, from: &N, echo: &Statement<N>) {
        if self.has_recovered || !self.line.is_voter(from) {
            return;
        }
        let is_of_past = echo.at.life < self.said.at.life;
        if is_of_past && self.past.is_none_or(|past| echo.at > past) {
            self.recalled.get_or_insert_default();
            let spent = Claim {
                term: echo.promised.term,
                source: self.me.clone(),
            };
            if spent.term > self.said.promised.term {
                self.said.promised = spent;
                self.said.is_standing = false;
            }
        }
        if let Some(recalled) = &mut self.recalled {
            recalled.insert(from.clone());
        }
    }

    /// Somebody is no instance of the room any more.
    pub fn forget(&mut self, name: &N) {
        self.heard.remove(name);
        self.known.remove(name);
    }

    /// What was decided with the edition that is held was confirmed to somebody here.
    pub fn confirm(&mut self, edition: Edition<N>) {
        self.owed.insert(edition);
        if self.owed.len() > MAX_OWED {
            self.owed.pop_first();
        }
        self.settle_debts();
    }

    /// The source decides something: the next edition. Nothing if it may not.
    pub fn decide(&mut self) -> Option<Edition<N>> {
        if !self.may_decide() {
            return None;
        }
        let edition = self.next_edition(self.said.follows.clone());
        self.confirm(edition.clone());
        Some(edition)
    }

    /// The source has decided something, and given it this version of its settings, which is above that of the edition held.
    pub fn decided(&mut self, version: u64) -> Edition<N> {
        let claim = self.said.follows.clone();
        self.next_edition(claim);
        self.said.edition.version = self.said.edition.version.max(version);
        let edition = self.said.edition.clone();
        self.confirm(edition.clone());
        edition
    }

    /// The source of the claim that is followed has lost what is held here, and gone on without it: what it says counts.
    pub fn give_in(&mut self, edition: Edition<N>, line: Line<N>) {
        (self.said.edition, self.line) = (edition, line);
    }

    /// The next edition, under this claim.
    pub(super) fn next_edition(&mut self, claim: Claim<N>) -> Edition<N> {
        let head = &self.said.edition;
        let life = self.said.at.life;
        let version = (head.version + 1).max(life);
        if (&head.claim, head.life) != (&claim, life) {
            let head = head.clone();
            self.line.branch_off(head);
        }
        self.said.edition = Edition { claim, life, version };
        self.said.edition.clone()
    }

    /// Somebody hands over what it holds: its edition, with voters and lineage. An error if it is not taken.
    pub fn take(&mut self, from: &N, edition: Edition<N>, line: Line<N>) -> Result<(), super::Objection> {
        let is_sources = self.said.follows == edition.claim && *from == edition.claim.source;
        if !is_sources && !self.wants_from(from, &edition) {
            return Err(super::Objection::NotTheSource);
        }
        if self.is_source() && edition.claim.source == self.me {
            self.take_back(edition, line);
            return Ok(());
        }
        if !is_newer(&self.said.edition, &edition, &line) {
            return Err(super::Objection::Older);
        }
        self.said.edition = edition;
        self.line = line;
        Ok(())
    }

    /// A source takes back what it had decided before its storage went back in time.
    fn take_back(&mut self, edition: Edition<N>, line: Line<N>) {
        self.line = line;
        let head = std::mem::replace(&mut self.said.edition, edition);
        self.said.edition.version = self.said.edition.version.max(head.version);
        let claim = self.said.follows.clone().max(self.said.edition.claim.clone());
        self.said.promised = self.said.promised.clone().max(claim.clone());
        self.said.follows = claim.clone();
        let edition = self.next_edition(claim);
        self.line.since = edition.version;
    }

    /// What was decided or confirmed here and will not come any more: what is held now is later and without it, or the source
    /// has lost it with its storage. It is owed no longer.
    pub(super) fn take_lost(&mut self) -> Vec<Edition<N>> {
        let (line, head) = (&self.line, &self.said.edition);
        let source = self.heard.get(&self.said.follows.source);
        let is_whole = source.is_some_and(|said| said.edition == *head);
        let is_over = |life: u64| is_whole && source.is_some_and(|said| said.at.life > life);
        let is_lost = |edition: &&Edition<N>| {
            (*edition < head || is_over(edition.life)) && !line.contains(head, edition)
        };
        let lost: Vec<Edition<N>> = self.owed.iter().filter(is_lost).cloned().collect();
        for edition in &lost {
            self.owed.remove(edition);
        }
        self.settle_debts();
        lost
    }

    /// Whether `name` holds `edition`, as it says itself, and has promised nothing that could go back on it.
    pub(super) fn holds(&self, name: &N, edition: &Edition<N>) -> bool {
        self.said_by(name).is_some_and(|statement| {
            let held = &statement.edition;
            let is_bound = statement.is_bound_to(&held.claim);
            is_bound && held >= edition && self.line.contains(&self.said.edition, held)
        })
    }

    /// What everybody holds is owed to nobody: whoever takes over has it. Most voters are not enough, since somebody who does
    /// not know them may take over by force.
    fn settle_debts(&mut self) {
        let party = &*self;
        let is_owed = |edition: &&Edition<N>| {
            let mut all = party
                .line
                .voters
                .iter()
                .chain(&party.line.unforced)
                .chain(&party.known);
            !all.all(|name| party.holds(name, edition))
        };
        self.owed = self.owed.iter().filter(is_owed).cloned().collect();
    }

    /// The highest term that anybody is known to have promised or to follow.
    pub(super) fn highest_term(&self) -> u64 {
        let own = [&self.said];
        let all = own.into_iter().chain(self.heard.values());
        let terms = all.map(|statement| statement.promised.term.max(statement.follows.term));
        terms.max().unwrap_or_default()
    }

    /// Asks for votes for a term above every other.
    pub(super) fn stand_for_next(&mut self) {
        self.stand_for(self.highest_term() + 1);
    }

    pub(super) fn stand_for(&mut self, term: u64) {
        self.said.promised = Claim {
            term,
            source: self.me.clone(),
        };
        self.said.is_standing = true;
    }
}

/// Whether `edition` follows upon `held`, or is of a higher claim.
pub(super) fn is_newer<N: Name>(held: &Edition<N>, edition: &Edition<N>, line: &Line<N>) -> bool {
    edition.claim > held.claim
        || edition != held && edition.claim == held.claim && line.contains(edition, held)
}
