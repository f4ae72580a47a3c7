//! Instances of one room, what lies between them, and what can happen to them. Names are numbers; the first source is 0.

use std::collections::{BTreeMap, BTreeSet};

use dmuc::succession::{Claim, Edition, Outcome, Party, Statement, Step};

pub type Name = u8;

/// How much of everything may still happen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    pub decisions: u8,
    pub takeovers: u8,
    pub handovers: u8,
    pub again: u8,
    pub forced: u8,
    pub followed: u8,
    pub changes: u8,
    pub cuts: u8,
    pub crashes: u8,
    pub backups: u8,
    pub deaths: u8,
    pub lies: u8,
}

/// Something that was decided.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Decision {
    pub edition: Edition<Name>,
    /// Who has to hold it: most of each.
    pub electorates: Vec<Vec<Name>>,
    /// To whose people it was confirmed.
    pub home: Name,
    /// Whether it was offered again by whoever confirmed it, or its author was told.
    pub is_told: bool,
    /// Whether its home, or somebody who held it, has lost its storage since.
    pub is_forgotten: bool,
}

/// What happened so far, which no instance knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Witness {
    pub decisions: Vec<Decision>,
    /// What most voters held at some time, and none has lost with its storage.
    pub held: BTreeSet<Edition<Name>>,
    /// Who has won which term.
    pub won: BTreeMap<u64, Name>,
    pub has_lost_storage: bool,
    /// Claims that were made by force.
    pub forced: BTreeSet<Claim<Name>>,
    pub faults: BTreeSet<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    pub parties: Vec<Party<Name>>,
    pub backups: Vec<Option<Party<Name>>>,
    pub dead: BTreeSet<Name>,
    /// From whom to whom nothing arrives.
    pub cuts: BTreeSet<(Name, Name)>,
    /// Only links of this one are cut.
    pub cut_off: Option<Name>,
    /// How many lives each has had.
    pub lives: Vec<u64>,
    /// How many lies have been told.
    pub lies: u64,
    pub left: Budget,
    pub witness: Witness,
}

/// What can happen next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Event {
    /// The latest statement of the first reaches the second.
    Hear(Name, Name),
    /// The first gets what the second holds.
    Take(Name, Name),
    /// Somebody at the second has the first, its source, decide something.
    Decide(Name, Name),
    /// An order of an administrator.
    Order(Name, Step<Name>),
    Cut(Name, Name),
    Heal(Name, Name),
    Crash(Name),
    Backup(Name),
    Restore(Name),
    Die(Name),
    /// The liar says this to the second.
    Lie(Name, Lie),
}

/// What a voter may say that is not so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lie {
    /// "I am the source."
    Claims,
    /// "I ask for votes, and hold more than anybody."
    Stands,
    /// "I have promised this one the next term."
    Grants(Name),
}

impl World {
    /// A room whose first `voters` instances vote, with `size` instances in all.
    pub fn new(size: u8, voters: u8, left: Budget) -> World {
        let source = Party::source(0, 1, 1);
        let mut parties = vec![source.clone()];
        parties.extend((1..size).map(|name| follower(name, &source)));
        let mut world = World {
            backups: vec![None; parties.len()],
            lives: vec![1; parties.len()],
            parties,
            dead: BTreeSet::new(),
            cuts: BTreeSet::new(),
            cut_off: None,
            lies: 0,
            left: Budget::default(),
            witness: Witness::default(),
        };
        super::rest::talk(&mut world);
        for count in 2..=voters {
            world.left.changes = 1;
            world.order(0, Step::Voters((0..count).collect()));
            (0..3).for_each(|_| super::rest::talk(&mut world));
        }
        World { left, ..world }
    }

    pub fn names(&self) -> impl Iterator<Item = Name> + use<> {
        0..u8::try_from(self.parties.len()).unwrap_or(u8::MAX)
    }

    /// Every instance in a line.
    pub fn summary(&self) -> String {
        let claim = |claim: &Claim<Name>| format!("{}@{}", claim.term, claim.source);
        let edition = |of: &Edition<Name>| format!("{}/{}.{}", claim(&of.claim), of.life, of.version);
        let line = |party: &Party<Name>| {
            let (said, line) = (party.statement(), party.line());
            format!(
                "{}: follows {} promised {}{}{} holds {} voters {:?} before {:?} unforced {:?} since {} branches {:?} owed {:?}",
                party.name(),
                claim(&said.follows),
                claim(&said.promised),
                if said.is_standing { " standing" } else { "" },
                if party.is_recovering() { " recovering" } else { "" },
                edition(&said.edition),
                line.voters,
                line.before,
                line.unforced,
                line.since,
                line.branches.iter().map(edition).collect::<Vec<_>>(),
                party.owed().map(edition).collect::<Vec<_>>(),
            )
        };
        let lines: Vec<String> = self.parties.iter().map(line).collect();
        format!(
            "{}\ndead {:?} cuts {:?} {:?}",
            lines.join("\n"),
            self.dead,
            self.cuts,
            self.witness
        )
    }

    pub fn party(&self, name: Name) -> &Party<Name> {
        &self.parties[usize::from(name)]
    }

    fn arrives(&self, from: Name, to: Name) -> bool {
        let is_alive = |name| !self.dead.contains(&name);
        is_alive(from) && is_alive(to) && !self.cuts.contains(&(from, to))
    }

    /// Whether the link between two is down, as either of them sees it: nothing answers if one direction is cut.
    pub fn is_down(&self, one: Name, other: Name) -> bool {
        !self.arrives(one, other) || !self.arrives(other, one)
    }

    /// Everything that can happen now.
    pub fn events(&self, events: &mut Vec<Event>) {
        let left = &self.left;
        for name in self.names().filter(|name| !self.dead.contains(name)) {
            self.events_between(name, events);
            let is_liar = left.lies > 0 && usize::from(name) == self.parties.len() - 1;
            if is_liar {
                continue;
            }
            if left.crashes > 0 {
                events.push(Event::Crash(name));
            }
            match &self.backups[usize::from(name)] {
                None if left.backups > 0 => events.push(Event::Backup(name)),
                Some(backup) if backup != self.party(name) => events.push(Event::Restore(name)),
                _ => {}
            }
            if left.deaths > 0 {
                events.push(Event::Die(name));
            }
            if left.takeovers > 0 && !self.party(name).statement().is_standing {
                self.offer(name, Step::TakeOver, events);
            }
            if left.again > 0 {
                self.offer(name, Step::StandAgain, events);
            }
            if left.forced > 0 {
                self.offer(name, Step::Force(false), events);
                self.offer(name, Step::Force(true), events);
            }
            if left.handovers > 0 {
                for heir in self.names() {
                    self.offer(name, Step::Release(heir), events);
                }
            }
            self.offer(name, Step::Reclaim, events);
            if left.followed > 0 {
                for other in self.names() {
                    self.offer(name, Step::Follow(other), events);
                }
            }
            if left.changes > 0 {
                self.changes_of(name, events);
            }
        }
    }

    fn events_between(&self, name: Name, events: &mut Vec<Event>) {
        let left = &self.left;
        for other in self.names().filter(|other| *other != name) {
            let (party, theirs) = (self.party(name), self.party(other));
            let is_known = theirs
                .heard(&name)
                .is_some_and(|said| said.at >= party.statement().at);
            if self.arrives(name, other) && !is_known && !self.is_liar(name) {
                events.push(Event::Hear(name, other));
            }
            if !self.is_down(name, other) {
                if party.wanted(&|of| self.is_down(name, *of)) == Some(other) {
                    events.push(Event::Take(name, other));
                }
                let is_its_source = theirs.statement().follows == party.statement().follows;
                if left.decisions > 0 && party.may_decide() && is_its_source {
                    events.push(Event::Decide(name, other));
                }
            }
            match self.cuts.contains(&(name, other)) {
                true => events.push(Event::Heal(name, other)),
                false if left.cuts > 0 && self.arrives(name, other) && self.is_cuttable(name, other) => {
                    events.push(Event::Cut(name, other))
                }
                false => {}
            }
            if self.is_liar(name) && self.arrives(name, other) {
                events.push(Event::Lie(other, Lie::Claims));
                events.push(Event::Lie(other, Lie::Stands));
                let grants = self.names().map(|to| Event::Lie(other, Lie::Grants(to)));
                events.extend(grants);
            }
        }
        if left.decisions > 0 && self.party(name).may_decide() {
            events.push(Event::Decide(name, name));
        }
    }

    fn is_cuttable(&self, one: Name, other: Name) -> bool {
        self.cut_off.is_none_or(|name| name == one || name == other)
    }

    fn is_liar(&self, name: Name) -> bool {
        self.left.lies > 0 && usize::from(name) == self.parties.len() - 1
    }

    /// `step`, if it would not be refused.
    fn offer(&self, name: Name, step: Step<Name>, events: &mut Vec<Event>) {
        let mut party = self.party(name).clone();
        if party.order(step.clone(), &|of| self.is_down(name, *of)).is_ok() {
            events.push(Event::Order(name, step));
        }
    }

    fn changes_of(&self, name: Name, events: &mut Vec<Event>) {
        let voters = &self.party(name).line().voters;
        for other in self.names().filter(|other| *other != name) {
            let mut changed = voters.clone();
            match changed.iter().position(|voter| *voter == other) {
                Some(place) => drop(changed.remove(place)),
                None => changed.push(other),
            }
            self.offer(name, Step::Voters(changed), events);
        }
    }

    /// What comes of it.
    pub fn happen(&mut self, event: &Event) {
        match event {
            Event::Hear(from, to) => {
                let said = self.party(*from).statement().clone();
                let echo = self.party(*from).heard(to).cloned();
                self.parties[usize::from(*to)].hear(from, said, echo.as_ref());
                self.settle(*to);
            }
            Event::Take(name, from) => self.take(*name, *from),
            Event::Decide(source, home) => self.decide(*source, *home),
            Event::Order(name, step) => self.order(*name, step.clone()),
            Event::Cut(from, to) => {
                self.left.cuts -= 1;
                self.cuts.insert((*from, *to));
                self.settle_both(*from, *to);
            }
            Event::Heal(from, to) => {
                self.cuts.remove(&(*from, *to));
                self.settle_both(*from, *to);
            }
            Event::Crash(name) => {
                self.left.crashes -= 1;
                self.restart(*name);
            }
            Event::Backup(name) => {
                self.left.backups -= 1;
                self.backups[usize::from(*name)] = Some(self.party(*name).clone());
            }
            Event::Restore(name) => self.restore(*name),
            Event::Die(name) => {
                self.left.deaths -= 1;
                self.dead.insert(*name);
                self.names().for_each(|name| self.settle(name));
            }
            Event::Lie(to, lie) => self.lie(*to, *lie),
        }
        self.note_held();
    }

    fn settle_both(&mut self, one: Name, other: Name) {
        self.settle(one);
        self.settle(other);
    }

    fn restart(&mut self, name: Name) {
        let place = usize::from(name);
        self.lives[place] += 1;
        self.parties[place].restart(self.lives[place]);
        self.settle(name);
    }

    fn restore(&mut self, name: Name) {
        let place = usize::from(name);
        let Some(backup) = self.backups[place].take() else {
            return;
        };
        let after = backup.clone();
        let lost = |decision: &Decision| {
            let had = self.party(name);
            let holds = |party: &Party<Name>| {
                party
                    .line()
                    .contains(&party.statement().edition, &decision.edition)
            };
            holds(had) && !holds(&after)
        };
        let lost: Vec<bool> = self.witness.decisions.iter().map(lost).collect();
        for (decision, is_lost) in self.witness.decisions.iter_mut().zip(lost) {
            decision.is_forgotten |= is_lost;
        }
        self.parties[place] = backup;
        self.witness.has_lost_storage = true;
        let homes = self.witness.decisions.iter_mut();
        homes
            .filter(|decision| decision.home == name)
            .for_each(|decision| decision.is_forgotten = true);
        self.restart(name);
        self.witness.held.clear();
    }

    fn take(&mut self, name: Name, from: Name) {
        let theirs = self.party(from);
        let (edition, line) = (theirs.statement().edition.clone(), theirs.line().clone());
        let said = self.party(name).statement();
        let is_lower = edition.claim < said.follows && !said.is_standing && edition.claim.source != name;
        let before = self.party(name).statement().edition.claim.clone();
        if self.parties[usize::from(name)]
            .take(&from, edition, line)
            .is_err()
        {
            // It has become another's since it was wanted.
            return;
        }
        if is_lower {
            self.witness.faults.insert("settings of a lower claim");
        }
        if self.party(name).statement().edition.claim < before {
            self.witness.faults.insert("settings of a lower claim");
        }
        self.settle(name);
    }

    /// What was confirmed at `home` is offered to the source, which takes it or has its author told.
    fn tell(&mut self, home: Name, lost: &[Edition<Name>]) {
        for decision in &mut self.witness.decisions {
            if lost.contains(&decision.edition) && decision.home == home {
                decision.is_told = true;
            }
        }
    }

    fn decide(&mut self, source: Name, home: Name) {
        self.left.decisions -= 1;
        let place = usize::from(source);
        let Some(edition) = self.parties[place].decide() else {
            return;
        };
        if home != source {
            self.parties[usize::from(home)].confirm(edition.clone());
        }
        self.witness.decisions.push(Decision {
            edition,
            electorates: self.party(source).line().electorates().cloned().collect(),
            home,
            is_told: false,
            is_forgotten: false,
        });
        self.settle(source);
    }

    fn order(&mut self, name: Name, step: Step<Name>) {
        let left = &mut self.left;
        match step {
            Step::TakeOver => left.takeovers -= 1,
            Step::StandAgain => left.again -= 1,
            Step::Force(_) => left.forced -= 1,
            Step::Release(_) => left.handovers -= 1,
            Step::Follow(_) => left.followed -= 1,
            Step::Voters(_) => left.changes -= 1,
            Step::Reclaim => {}
        }
        let is_forced = matches!(step, Step::Force(_));
        let links = self.clone();
        let party = &mut self.parties[usize::from(name)];
        if party.order(step, &|of| links.is_down(name, *of)).is_err() {
            self.witness.faults.insert("an order that was offered is refused");
            return;
        }
        if is_forced {
            self.witness
                .forced
                .insert(self.party(name).statement().follows.clone());
        }
        self.settle(name);
    }

    fn lie(&mut self, to: Name, lie: Lie) {
        self.left.lies -= 1;
        self.lies += 1;
        let liar = u8::try_from(self.parties.len() - 1).unwrap_or(u8::MAX);
        let top = |said: &Statement<Name>| said.promised.term.max(said.follows.term);
        let next = self
            .parties
            .iter()
            .map(|party| top(party.statement()))
            .max()
            .unwrap_or(0)
            + 1;
        let claim = |source| Claim { term: next, source };
        let mut said = self.party(liar).statement().clone();
        said.at.serial += self.lies;
        match lie {
            Lie::Claims => {
                (said.follows, said.promised) = (claim(liar), claim(liar));
                said.edition.claim = claim(liar);
            }
            Lie::Stands => {
                (said.promised, said.is_standing) = (claim(liar), true);
                said.edition.version += 100;
            }
            Lie::Grants(candidate) => said.promised = claim(candidate),
        }
        self.parties[usize::from(to)].hear(&liar, said, None);
        self.settle(to);
    }

    /// Lets an instance draw its conclusions, and looks at them.
    pub fn settle(&mut self, name: Name) {
        if self.dead.contains(&name) || self.is_liar(name) {
            return;
        }
        let links = self.clone();
        let before = self.party(name).statement().follows.clone();
        let outcomes = self.parties[usize::from(name)].settle(&|of| links.is_down(name, *of));
        if self.party(name).statement().follows < before {
            self.witness.faults.insert("a lower claim is followed");
        }
        for outcome in outcomes {
            match outcome {
                Outcome::Won(_) => self.note_win(name),
                Outcome::Lost(lost) => self.tell(name, &lost),
                _ => {}
            }
        }
    }

    fn note_win(&mut self, name: Name) {
        let party = self.party(name);
        let term = party.statement().follows.term;
        if self.is_overridden(party) {
            self.witness.faults.insert("what most voters held is overridden");
        }
        let other = self.witness.won.insert(term, name);
        if other.is_some_and(|other| other != name) && !self.witness.has_lost_storage {
            self.witness.faults.insert("two sources of one term");
        }
    }

    /// Whether something that most voters held is no part of what this one holds, and not because somebody forced it.
    pub fn is_overridden(&self, party: &Party<Name>) -> bool {
        let (line, head) = (party.line(), &party.statement().edition);
        let is_forced = line
            .branches
            .iter()
            .any(|branch| self.witness.forced.contains(&branch.claim));
        !is_forced
            && self
                .witness
                .held
                .iter()
                .any(|edition| !line.contains(head, edition))
    }

    /// What most voters hold from now on.
    fn note_held(&mut self) {
        for decision in &self.witness.decisions {
            let claim = &decision.edition.claim;
            let is_held = |name: &&Name| {
                let party = self.party(**name);
                let said = party.statement();
                said.edition.claim == *claim
                    && (said.promised.term < claim.term || said.promised == *claim)
                    && party.line().contains(&said.edition, &decision.edition)
            };
            let mut lists = decision.electorates.iter();
            if lists.all(|list| 2 * list.iter().filter(is_held).count() > list.len()) {
                self.witness.held.insert(decision.edition.clone());
            }
        }
    }
}

/// An instance that holds what `source` has decided.
fn follower(name: Name, source: &Party<Name>) -> Party<Name> {
    let said = source.statement();
    Party::new(
        name,
        1,
        said.follows.clone(),
        said.edition.clone(),
        source.line().clone(),
    )
}
