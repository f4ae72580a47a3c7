//! Who decides for a room, as one instance of it knows ([`crate::succession`]), with what was decided here.

use std::collections::BTreeMap;

use super::waiting::Offer;
use crate::address::BareJid;
use crate::succession::{Edition, Line, Moment, Party, Statement};

/// An instance's part in the succession, with what the engine keeps beside it.
#[derive(Debug, Clone)]
pub(crate) struct Succession {
    pub(crate) party: Party<BareJid>,
    /// Voters and lineage of what the others hold, as they said last.
    pub(crate) lines: BTreeMap<BareJid, Line<BareJid>>,
    /// What was decided with the editions that are owed: it is offered if they turn out not to count.
    pub(crate) decided: BTreeMap<Edition<BareJid>, Vec<Offer>>,
    /// What was decided since the last edition.
    pub(crate) undated: Vec<Offer>,
    /// What each other instance has been told, and has taken or has yet to answer.
    pub(crate) told: BTreeMap<BareJid, Moment>,
    /// What those who have begun another life said last in the one before, until they have been told that it is known.
    pub(crate) formers: BTreeMap<BareJid, Statement<BareJid>>,
    /// How many disputes in a row were answered, and when the last one was (monotonic ms).
    pub(crate) disputes: (u32, u64),
    /// To whom the role of source is to be released as soon as it holds everything.
    pub(crate) heir: Option<BareJid>,
    /// When what is held is told (monotonic ms): changes come in crowds.
    pub(crate) tell_at: Option<u64>,
    /// When votes are asked for anew, if the role is still disputed then (monotonic ms).
    pub(crate) stand_at: Option<u64>,
    /// When a hand-over is given up (monotonic ms).
    pub(crate) reclaim_at: Option<u64>,
    /// When this instance stands by itself (monotonic ms).
    pub(crate) succeed_at: Option<u64>,
}

impl Succession {
    pub(crate) fn new(party: Party<BareJid>) -> Succession {
        Succession {
            party,
            lines: BTreeMap::new(),
            decided: BTreeMap::new(),
            undated: Vec::new(),
            told: BTreeMap::new(),
            formers: BTreeMap::new(),
            disputes: (0, 0),
            heir: None,
            tell_at: None,
            stand_at: None,
            reclaim_at: None,
            succeed_at: None,
        }
    }

    /// The settings have this version now: if that is news, the source has decided something.
    pub(crate) fn date(&mut self, version: u64) {
        if version > self.party.statement().edition.version {
            let edition = self.party.decided(version);
            let offers = std::mem::take(&mut self.undated);
            if !offers.is_empty() {
                self.decided.insert(edition, offers);
            }
        }
    }

    /// When something is due next (monotonic ms).
    pub(crate) fn next_timer(&self) -> Option<u64> {
        let times = [self.tell_at, self.stand_at, self.reclaim_at, self.succeed_at];
        times.into_iter().flatten().min()
    }

    /// Somebody speaks in this life: what it said in an earlier one is kept, to be told of it.
    pub(crate) fn keep_former(&mut self, name: &BareJid, life: u64) {
        let known = self.party.heard(name).filter(|known| known.at.life < life);
        if let Some(known) = known.cloned() {
            self.formers.insert(name.clone(), known);
        }
    }

    /// What somebody is told that it said last: in its life before, if it has not heard of that in this one.
    pub(crate) fn echo_for(&self, name: &BareJid) -> Option<Statement<BareJid>> {
        let former = self.formers.get(name);
        former.or_else(|| self.party.heard(name)).cloned()
    }

    /// How many times the wait for what proves a dispute is doubled now.
    pub(crate) fn patience(&self, now_ms: u64, peace_ms: u64) -> u32 {
        let (count, last) = self.disputes;
        if now_ms.saturating_sub(last) > peace_ms {
            0
        } else {
            count
        }
    }

    /// Drops what nobody is owed any more.
    pub(crate) fn forget_settled(&mut self) {
        let owed: Vec<&Edition<BareJid>> = self.party.owed().collect();
        self.decided.retain(|edition, _| owed.contains(&edition));
    }
}
