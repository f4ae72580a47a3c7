//! Another instance of a room, as far as it is known here: its occupants, and how far we are with it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::address::{BareJid, Jid};

use super::admitted::Admitted;
use super::bans::LeftOut;
use super::budget::Bucket;
use super::stuck::Stuck;
use crate::wire::{Affiliation, Aside, Condition, Parts, Role, RosterItem, SeenNumbers, SyncEvent};

/// How far we are with another instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// It said no, and is asked again later ([`super::refusals`]).
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

/// A page that an instance was given.
#[derive(Debug, Clone)]
pub(crate) struct Paged {
    /// The id of its question.
    pub(crate) id: String,
    /// When (monotonic ms).
    pub(crate) at: u64,
    /// The one event that was in it, if nothing else was.
    pub(crate) alone: Option<Aside>,
}

/// Another instance of the room.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub(crate) stage: Stage,
    /// Whether it has itself spoken as an instance of the room ([`super::proving`]).
    pub(crate) is_proven: bool,
    /// Whether the source has named it to the others as a shadow: it is one until it is let go, also while it is brought up
    /// again after a failure.
    pub(crate) is_named: bool,
    /// Whether it was asked to hold the room, and has not refused: it may have it, whatever became of its answer.
    pub(crate) may_hold: bool,
    /// Whether it will hold the room, and is given it as soon as it is certain that all others would have its name, too.
    pub(crate) has_agreed: bool,
    /// Whether nobody has been told that its service is out of reach: it was wanted when that was known already.
    pub(crate) is_untold: bool,
    /// Why it said no, when it was last asked for.
    pub(crate) refused_for: Option<Condition>,
    /// Its occupants as it told us, by nick.
    pub(crate) occupants: BTreeMap<String, Remote>,
    /// The version of its roster that we have; absent for none.
    pub(crate) roster_version: Option<u64>,
    /// Parts of its roster, of which more are to come.
    pub(crate) roster_parts: Vec<RosterItem>,
    /// The version of the roster that they are parts of.
    pub(crate) parts_version: Option<u64>,
    /// How many of them are here.
    pub(crate) parts_next: u64,
    /// How often it has had our instance begin a new life.
    pub(crate) lives: Bucket,
    /// Whether everything it sent until now is here, so that its next event is taken as it comes.
    pub(crate) is_synced: bool,
    /// Whether it once had nothing that we lacked, since we know it or started: what we pull afterwards was said since.
    pub(crate) has_caught_up: bool,
    /// When both sides were last found to agree (monotonic ms).
    pub(crate) agreed_at: Option<u64>,
    /// Whether its link went down since both sides agreed: its occupants are shown as out of reach.
    pub(crate) is_cut: bool,
    /// Whether people here see that of its occupants. Not at once, and not too often.
    pub(crate) is_cut_shown: bool,
    /// Whether they are not shown at all since then (`dmuc_split_presence = "leave"`).
    pub(crate) is_out: bool,
    /// When they see it if the link is still down, and when they last did (monotonic ms).
    pub(crate) show_cut_at: Option<u64>,
    pub(crate) cut_shown_at: Option<u64>,
    /// How often people here were told that its link is down, and when they are if they were not (monotonic ms).
    pub(crate) splits: Bucket,
    pub(crate) tell_split_at: Option<u64>,
    /// How far the question for what is missing here is.
    pub(crate) sync: SyncStage,
    /// The page that is being taken.
    pub(crate) page: Option<Box<OpenPage>>,
    /// What it could not tell.
    pub(crate) stuck: Stuck,
    /// The page of our log that it was given last.
    pub(crate) paged: Option<Paged>,
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
    /// What it has of third instances and has not told, as a hash, and since when that is so (monotonic ms).
    pub(crate) lacks: Option<(String, u64)>,
    /// Its hash over what the newest messages say, when that was found to differ.
    pub(crate) settled_words: Option<String>,
    /// What it has of each part of the room, as it said last, and when (monotonic ms).
    pub(crate) parts: Option<(Parts, u64)>,
    /// Whether it is to tell the newest messages again: some say something else here.
    pub(crate) is_reviewed: bool,
    /// Whether it knows occupants of ours without their real JIDs (DESIGN section 5).
    pub(crate) lacks_jids: bool,
    /// Whether it lost what we told it, so that our roster has to follow its next one.
    pub(crate) needs_roster: bool,
    /// Messages of visitors, by number: if their home says nothing else of them meanwhile, they were visitors when they spoke.
    pub(crate) suspects: BTreeMap<(u64, u64), String>,
    /// Until when its occupants may go on speaking under nicks that they have lost (monotonic ms), whoever comes and goes
    /// under them meanwhile.
    pub(crate) graces: BTreeMap<String, u64>,
    /// Those of its roster who are not in the room here, by nick.
    pub(crate) left_out: BTreeMap<String, LeftOut>,
    /// Whether there are more of them than are remembered.
    pub(crate) has_left_out_more: bool,
    /// Whether somebody in its roster is banned, and is not shown here for that.
    pub(crate) has_banned: bool,
    /// Whether somebody in its roster was left out because the room had as many as it may.
    pub(crate) has_left_out: bool,
    /// When its roster is asked for because there is room again, and when it was at last (monotonic ms).
    pub(crate) take_in_at: Option<u64>,
    pub(crate) took_in_at: Option<u64>,
    /// Whether what it is being asked for is not enough: its whole roster is wanted after that.
    pub(crate) wants_whole: bool,
    /// A shadow we were told of and have not met yet.
    pub(crate) is_introduced: bool,
    /// Shadows of which it could not be told, and whether that was the first half of the introduction.
    pub(crate) unmet: BTreeMap<BareJid, bool>,
    /// Whether its history was asked for since we know it.
    pub(crate) was_asked: bool,
    /// Whether it is to be, as soon as the stored log has been read.
    pub(crate) wants_history: bool,
    /// Its messages that came while its history is on the way.
    pub(crate) held: Option<Vec<Admitted>>,
    /// When a roster it could not take is sent again (monotonic ms), and how often that was tried.
    pub(crate) retry_at: Option<u64>,
    pub(crate) retries: u32,
}

impl Instance {
    pub(crate) fn new(stage: Stage) -> Instance {
        Instance {
            stage,
            is_proven: false,
            is_named: stage == Stage::Active,
            may_hold: stage == Stage::Active,
            has_agreed: false,
            is_untold: false,
            refused_for: None,
            occupants: BTreeMap::new(),
            roster_version: None,
            roster_parts: Vec::new(),
            parts_version: None,
            parts_next: 0,
            lives: Bucket::default(),
            is_synced: false,
            has_caught_up: false,
            agreed_at: None,
            is_cut: false,
            is_cut_shown: false,
            show_cut_at: None,
            cut_shown_at: None,
            is_out: false,
            splits: Bucket::default(),
            tell_split_at: None,
            sync: SyncStage::Idle,
            page: None,
            stuck: Stuck::default(),
            paged: None,
            resync_at: None,
            resyncs: 0,
            pulls_until: None,
            told: None,
            gone_since: None,
            settled_rest: None,
            lacks: None,
            settled_words: None,
            parts: None,
            is_reviewed: false,
            lacks_jids: false,
            needs_roster: false,
            suspects: BTreeMap::new(),
            graces: BTreeMap::new(),
            left_out: BTreeMap::new(),
            has_left_out_more: false,
            has_banned: false,
            has_left_out: false,
            take_in_at: None,
            took_in_at: None,
            wants_whole: false,
            is_introduced: false,
            unmet: BTreeMap::new(),
            was_asked: false,
            wants_history: false,
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

    /// Whether what its occupants say now is not taken as it comes, since something from before it may be missing here.
    pub(crate) fn is_behind(&self) -> bool {
        match self.stage {
            Stage::Active => self.is_cut || self.sync != SyncStage::Idle || self.is_proven && !self.is_synced,
            Stage::Replicating | Stage::Configuring | Stage::Rostering => true,
            Stage::Refused | Stage::Wanted => false,
        }
    }

    /// Whether presences and messages are sent to it.
    ///
    /// The source asked for what is being brought up; of another shadow only others have told until it is proven.
    pub(crate) fn takes_events(&self) -> bool {
        self.stage == Stage::Rostering || self.holds_room()
    }

    /// Whether it holds the room now, by its own word.
    pub(crate) fn holds_room(&self) -> bool {
        self.stage == Stage::Active && self.is_proven
    }
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
    /// Whether somebody here has made it a moderator, as who has joined with this serial.
    pub(crate) is_made_moderator: bool,
    /// The children of its presence.
    pub(crate) payload: Arc<str>,
    /// It lost a nick clash and is not shown until its home renames it.
    pub(crate) hidden: bool,
    /// Until when that is to be expected (monotonic ms).
    pub(crate) rename_by: u64,
}
