//! What people decide about who decides: owners and administrators.

use super::ballot::IsDown;
use super::line::is_majority;
use super::{Claim, MAX_VOTERS, Name, Party};

/// Why something is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objection {
    /// Only the source does that, and this is not the source, or it has released the role.
    NotTheSource,
    /// Only a voter does that.
    NotAVoter,
    /// The source can be reached: it hands over, or nobody takes over.
    SourceIsHere,
    /// It has that role already.
    IsTheSource,
    /// What it had promised before its storage went back in time is not known yet.
    Recovering,
    /// Who is meant cannot be reached, or does not hold what the source has decided.
    HeirIsBehind,
    /// One voter comes or goes at a time.
    MoreThanOne,
    /// There are as many voters as there may be.
    TooMany,
    /// Most voters do not hold the last change yet.
    Unsettled,
    /// It makes no such claim.
    NoClaim,
    /// It is older than what is held here.
    Older,
}

/// What somebody orders.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step<N> {
    /// Ask for votes, since the source is gone.
    TakeOver,
    /// Ask for votes anew, since somebody disputes the role and does not prove it.
    StandAgain,
    /// Take over without votes; `true` strikes all other voters.
    Force(bool),
    /// Release the role to a voter that holds everything.
    Release(N),
    /// Take back a role that was released to somebody who did not win.
    Reclaim,
    /// Follow this instance's claim on the administrator's word.
    Follow(N),
    /// The voters are these.
    Voters(Vec<N>),
}

impl<N: Name> Party<N> {
    /// Somebody who may orders something. What comes of it shows when it is settled.
    pub fn order(&mut self, step: Step<N>, is_down: IsDown<'_, N>) -> Result<(), Objection> {
        match step {
            Step::TakeOver => self.take_over(is_down),
            Step::StandAgain => self.stand_again(is_down),
            Step::Force(is_striking) => self.force(is_striking),
            Step::Release(heir) => self.release(heir, is_down),
            Step::Reclaim => self.reclaim(),
            Step::Follow(name) => self.follow(&name),
            Step::Voters(voters) => self.change_voters(voters),
        }
    }

    fn check_candidate(&self) -> Result<(), Objection> {
        match (self.line.is_voter(&self.me), self.is_recovering()) {
            (false, _) => Err(Objection::NotAVoter),
            (_, true) => Err(Objection::Recovering),
            (true, false) => Ok(()),
        }
    }

    fn take_over(&mut self, is_down: IsDown<'_, N>) -> Result<(), Objection> {
        self.check_candidate()?;
        if self.is_source() {
            return Err(Objection::IsTheSource);
        }
        if self.sees_source(is_down) {
            return Err(Objection::SourceIsHere);
        }
        self.stand_for_next();
        Ok(())
    }

    fn stand_again(&mut self, is_down: IsDown<'_, N>) -> Result<(), Objection> {
        if !self.has_to_stand_again(is_down) {
            return Err(Objection::NoClaim);
        }
        self.stand_for_next();
        Ok(())
    }

    fn force(&mut self, is_striking: bool) -> Result<(), Objection> {
        self.check_candidate()?;
        let claim = Claim {
            term: self.highest_term() + 1,
            source: self.me.clone(),
        };
        if self.line.unforced.is_empty() {
            self.line.unforced = self.line.voters.clone();
        }
        let edition = self.next_edition(claim.clone());
        self.line.begin(edition.version);
        self.keep_voter(is_striking);
        (self.said.promised, self.said.follows) = (claim.clone(), claim);
        self.said.is_standing = false;
        self.has_released = false;
        self.said.granted.clear();
        Ok(())
    }

    /// A source is a voter.
    pub(super) fn keep_voter(&mut self, is_striking: bool) {
        if is_striking {
            self.line.voters.clear();
        }
        if !self.line.voters.contains(&self.me) {
            self.line.voters.push(self.me.clone());
        }
    }

    fn release(&mut self, heir: N, is_down: IsDown<'_, N>) -> Result<(), Objection> {
        if !self.may_decide() {
            return Err(Objection::NotTheSource);
        }
        if heir == self.me {
            return Err(Objection::IsTheSource);
        }
        if !self.line.is_voter(&heir) {
            return Err(Objection::NotAVoter);
        }
        let edition = &self.said.edition;
        let holds = |name: &N| self.heard.get(name).is_some_and(|said| said.edition == *edition);
        if is_down(&heir) || !holds(&heir) {
            return Err(Objection::HeirIsBehind);
        }
        let term = self.highest_term() + 1;
        let claim = Claim { term, source: heir };
        self.said.promised = claim.clone();
        self.note_vote(claim);
        self.has_released = true;
        self.said.is_standing = false;
        Ok(())
    }

    fn reclaim(&mut self) -> Result<(), Objection> {
        if !self.is_source() || !self.has_released || self.said.is_standing {
            return Err(Objection::NotTheSource);
        }
        self.stand_for_next();
        Ok(())
    }

    fn follow(&mut self, name: &N) -> Result<(), Objection> {
        let said = self.heard.get(name).filter(|said| said.is_claim_of(name));
        let claim = said.map(|said| said.follows.clone()).ok_or(Objection::NoClaim)?;
        if claim <= self.said.follows {
            return Err(Objection::Older);
        }
        self.follow_claim(claim);
        Ok(())
    }

    /// From now on `claim` is followed.
    pub(super) fn follow_claim(&mut self, claim: Claim<N>) {
        self.said.promised = self.said.promised.clone().max(claim.clone());
        self.said.granted.retain(|granted| *granted > claim);
        self.said.follows = claim;
        self.has_released = false;
        self.said.is_standing = false;
    }

    fn change_voters(&mut self, voters: Vec<N>) -> Result<(), Objection> {
        if !self.may_decide() {
            return Err(Objection::NotTheSource);
        }
        if !voters.contains(&self.me) {
            return Err(Objection::IsTheSource);
        }
        if voters.len() > MAX_VOTERS {
            return Err(Objection::TooMany);
        }
        let known = &self.line.voters;
        let added = voters.iter().filter(|name| !known.contains(name)).count();
        let removed = known.iter().filter(|name| !voters.contains(name)).count();
        if added + removed > 1 {
            return Err(Objection::MoreThanOne);
        }
        let is_settled = self.is_settled() && !self.said.is_standing;
        if added + removed == 1 && !is_settled {
            return Err(Objection::Unsettled);
        }
        let edition = self.next_edition(self.said.follows.clone());
        if added + removed == 1 {
            self.line.before = std::mem::take(&mut self.line.voters);
            self.line.since = edition.version;
        }
        self.line.voters = voters;
        Ok(())
    }

    /// Whether most voters hold the first edition of this claim and the last change of voters.
    pub fn is_settled(&self) -> bool {
        let head = &self.said.edition;
        let holds = |name: &N| {
            self.said_by(name).is_some_and(|said| {
                let held = &said.edition;
                let is_bound = said.is_bound_to(&head.claim);
                is_bound && held.claim == head.claim && held.version >= self.line.since
            })
        };
        head.claim == self.said.follows && self.line.electorates().all(|list| is_majority(list, holds))
    }
}
