//! A schedule, made from a seed before anything runs: steps can be left out and the rest still makes sense.

use std::fmt;

use dmuc::config::{Replicate, RoomIdScheme, SplitPresence};
use serde::{Deserialize, Serialize};

use crate::support::dice::Dice;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    pub seed: u64,
    pub setup: Setup,
    pub steps: Vec<Step>,
}

/// What a plan is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    Usual,
    /// Many rooms that the same services share, and no more heartbeats than there must be.
    ManyRooms,
    /// Seven services; for a long time some of them do not reach some others.
    Mesh,
    /// Mostly changes of the same thing by two entitled people while something old is on its way.
    Duels,
    /// The usual, and nicks are registered and messages taken away.
    Rulings,
    /// The same, and avatars are set.
    Pictures,
    /// Administrators at work: configurations leave peers out, the module goes and comes, values are at their limits.
    Upheavals,
    /// The last service lies, in every way that is known.
    Liars,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Setup {
    pub kind: Kind,
    /// Most rooms at a time.
    pub rooms: usize,
    pub services: Vec<ServicePlan>,
    #[serde(with = "stored::RoomIdScheme")]
    pub room_id: RoomIdScheme,
    #[serde(with = "stored::Replicate")]
    pub replicate: Replicate,
    pub redirect: bool,
    /// Everybody believes everybody about real JIDs; people join wherever they like.
    pub is_trusting: bool,
    pub jitter_ms: u64,
    /// Without faults the strictest rules hold.
    pub has_faults: bool,
    /// Most faults are cuts that outlast the timeout, in percent.
    pub long_cuts: u64,
    /// Faults touch the links of services that speak the XEP's text only, too.
    pub touches_xep: bool,
    pub ping_interval_ms: u64,
    pub link_timeout_ms: u64,
    #[serde(with = "stored::SplitPresence")]
    pub split_presence: SplitPresence,
    /// A log so short that what was missed may be beyond it.
    pub log_max_messages: Option<usize>,
    /// Liars claim ids of messages that have not arrived everywhere.
    #[serde(default)]
    pub ids_on_their_way: bool,
    /// Latency of each direction, by sender and receiver.
    pub latency_ms: Vec<Vec<u64>>,
}

/// How the options of a stored plan are written.
mod stored {
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    #[serde(remote = "dmuc::config::RoomIdScheme")]
    pub enum RoomIdScheme {
        Uuid,
        Sha256,
        Name,
    }

    #[derive(Serialize, Deserialize)]
    #[serde(remote = "dmuc::config::Replicate")]
    pub enum Replicate {
        Immediately,
        OnJoin,
    }

    #[derive(Serialize, Deserialize)]
    #[serde(remote = "dmuc::config::SplitPresence")]
    pub enum SplitPresence {
        Away,
        Keep,
        Leave,
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServicePlan {
    pub name: String,
    pub domain: String,
    /// It speaks the XEP's text only.
    pub is_xep: bool,
    /// It lies.
    #[serde(default)]
    pub is_liar: bool,
    pub starts_late: bool,
    pub skew_ms: i64,
}

/// One thing that somebody does, after a while. What exactly is rolled with its own dice against what there is then.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Step {
    /// Its place in the whole schedule; it keeps it when others are left out.
    pub number: usize,
    pub wait_ms: u64,
    pub deed: Deed,
    pub roll: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Deed {
    Create,
    Distribute,
    Join,
    /// Two people join with one nick, at two instances, at the same moment.
    Race,
    /// Somebody who is here joins at another instance, too.
    JoinTwice,
    Leave,
    Update,
    ChangeNick,
    Say,
    /// A message that is not kept.
    Hum,
    Subject,
    Configure,
    /// An owner says how many messages newcomers are shown. A deed of its own: kept schedules mean what they meant.
    HistoryLength,
    Affiliate,
    /// Kick, voice, moderator.
    Role,
    Undistribute,
    Destroy,
    StartLate,
    /// A private message or request to somebody elsewhere.
    Private,
    /// Somebody registers a nick, or takes the registration back.
    Register,
    /// A moderator takes a message away.
    Moderate,
    /// An owner sets the room's avatar.
    Avatar,
    /// Two entitled people, at the source and at a shadow that cannot reach it, change the same thing.
    Duel,
    /// The same, but the source changes it when the shadow's offer is on its way.
    Ambush,
    /// The source changes its settings several times in a row, over a connection that delivers old stanzas again.
    Volley,
    /// The configuration of a service leaves a peer out for a while.
    Unname,
    /// A service runs without the module for a while.
    Unload,
    /// A value as large as it may be, or larger.
    Limits,
    /// Another module calls a setter of the room object, mostly at a shadow.
    Set,
    /// Somebody speaks, and a hook of another module waits before anybody sees it.
    SaySlowly,
    /// What is to be stored of rooms cannot be, for a while.
    StoreAway,
    /// What is said cannot be stored, for a while.
    MessagesAway,
    /// A liar tells some lies.
    Lie,
    /// One of the people at a liar's service comes, speaks or leaves.
    Mislead,
    /// A link fails, one way or both, for a while or until healed.
    Cut,
    /// All links of a service fail.
    Isolate,
    /// A connection swallows everything until it is given up.
    Wedge,
    /// A connection dies, with what was in flight.
    Reset,
    /// Loss, duplicates and reordering on a link for a while.
    Weather,
    /// A link carries little, both ways, for a while.
    Thin,
    /// All links work again.
    Heal,
    /// A process is killed, or a machine loses power, now or in the middle of what it does next.
    Crash,
    /// A service is stopped and started again.
    Restart,
    Backup,
    RestoreBackup,
    ClockJump,
    /// Nothing, until everything has arrived; then the instances must agree.
    Rest,
}

const WEIGHTS: [(Deed, u64); 21] = [
    (Deed::Create, 4),
    (Deed::Distribute, 8),
    (Deed::Join, 26),
    (Deed::Race, 3),
    (Deed::JoinTwice, 2),
    (Deed::Leave, 8),
    (Deed::Update, 8),
    (Deed::ChangeNick, 6),
    (Deed::Say, 36),
    (Deed::Hum, 5),
    (Deed::Subject, 5),
    (Deed::Configure, 4),
    (Deed::HistoryLength, 2),
    (Deed::Affiliate, 8),
    (Deed::Role, 6),
    (Deed::Undistribute, 1),
    (Deed::Destroy, 1),
    (Deed::StartLate, 2),
    (Deed::Private, 4),
    (Deed::Rest, 3),
    (Deed::Duel, 2),
];

/// In schedules of duels, faults aside.
const DUELS: [(Deed, u64); 8] = [
    (Deed::Join, 22),
    (Deed::Say, 8),
    (Deed::Affiliate, 4),
    (Deed::Configure, 3),
    (Deed::Duel, 8),
    (Deed::Ambush, 30),
    (Deed::Volley, 20),
    (Deed::Rest, 5),
];

/// In schedules of rulings, faults aside.
const RULINGS: [(Deed, u64); 16] = [
    (Deed::Distribute, 2),
    (Deed::Join, 16),
    (Deed::Race, 3),
    (Deed::JoinTwice, 2),
    (Deed::Leave, 4),
    (Deed::ChangeNick, 5),
    (Deed::Say, 22),
    (Deed::Subject, 1),
    (Deed::Configure, 2),
    (Deed::Affiliate, 6),
    (Deed::Role, 3),
    (Deed::Register, 22),
    (Deed::Moderate, 22),
    (Deed::Duel, 14),
    (Deed::StartLate, 2),
    (Deed::Rest, 4),
];

/// In schedules of pictures, faults aside.
const PICTURES: [(Deed, u64); 13] = [
    (Deed::Distribute, 2),
    (Deed::Join, 14),
    (Deed::Leave, 3),
    (Deed::ChangeNick, 2),
    (Deed::Say, 12),
    (Deed::Subject, 2),
    (Deed::Configure, 4),
    (Deed::Affiliate, 6),
    (Deed::Moderate, 4),
    (Deed::Avatar, 40),
    (Deed::Duel, 14),
    (Deed::StartLate, 2),
    (Deed::Rest, 4),
];

/// In schedules of upheavals, faults aside.
const UPHEAVALS: [(Deed, u64); 20] = [
    (Deed::Create, 2),
    (Deed::Distribute, 4),
    (Deed::Join, 20),
    (Deed::Leave, 4),
    (Deed::Update, 5),
    (Deed::ChangeNick, 3),
    (Deed::Say, 30),
    (Deed::Hum, 3),
    (Deed::Subject, 4),
    (Deed::Configure, 4),
    (Deed::HistoryLength, 2),
    (Deed::Affiliate, 5),
    (Deed::Unname, 10),
    (Deed::Unload, 4),
    (Deed::Limits, 6),
    (Deed::Set, 8),
    (Deed::SaySlowly, 12),
    (Deed::StoreAway, 3),
    (Deed::MessagesAway, 5),
    (Deed::Rest, 4),
];

/// In schedules with a liar, faults aside.
const LIARS: [(Deed, u64); 19] = [
    (Deed::Create, 1),
    (Deed::Distribute, 2),
    (Deed::Join, 18),
    (Deed::Race, 2),
    (Deed::Leave, 4),
    (Deed::Update, 4),
    (Deed::ChangeNick, 4),
    (Deed::Say, 30),
    (Deed::Hum, 2),
    (Deed::Subject, 3),
    (Deed::Configure, 3),
    (Deed::Affiliate, 5),
    (Deed::Role, 3),
    (Deed::Private, 2),
    (Deed::Register, 3),
    (Deed::Moderate, 3),
    (Deed::Lie, 60),
    (Deed::Mislead, 14),
    (Deed::Rest, 4),
];

/// Of so many seeds one has duels, one upheavals, one a liar, one pictures, and two have rulings. It is told by the seed, so that the others mean what they meant
/// without them.
const KINDS_OF: u64 = 20;
const DUELS_AT: u64 = 11;
const RULINGS_AT: [u64; 2] = [7, 17];
const UPHEAVALS_AT: u64 = 13;
const PICTURES_AT: u64 = 3;
const LIARS_AT: u64 = 19;

const FAULTS: [(Deed, u64); 12] = [
    (Deed::Cut, 14),
    (Deed::Isolate, 5),
    (Deed::Wedge, 4),
    (Deed::Reset, 5),
    (Deed::Weather, 4),
    (Deed::Thin, 4),
    (Deed::Heal, 6),
    (Deed::Crash, 6),
    (Deed::Restart, 3),
    (Deed::Backup, 2),
    (Deed::RestoreBackup, 2),
    (Deed::ClockJump, 2),
];

impl Kind {
    /// Whether no crash takes anything with it, or is in the middle of anything.
    pub fn is_gentle(self) -> bool {
        matches!(
            self,
            Kind::Rulings | Kind::Pictures | Kind::Upheavals | Kind::Liars
        )
    }
}

impl Plan {
    pub fn of(seed: u64) -> Plan {
        let mut dice = Dice::new(seed);
        let setup = Setup::of(&mut dice, special(seed));
        let weights = setup.weights();
        let count = dice.between(20, 90);
        let mut steps = Vec::new();
        for deed in setup.beginning() {
            steps.push(Step {
                number: steps.len(),
                wait_ms: 0,
                deed,
                roll: dice.roll(),
            });
        }
        // Fewer steps where each sets off more.
        let count = count * 3 / (setup.services.len() as u64).max(3);
        for _ in 0..count {
            let deed = if setup.has_faults && dice.chance(setup.faults()) {
                setup.fault(&mut dice)
            } else {
                weighted(&mut dice, weights)
            };
            // Mostly in the middle of what the last step set off, sometimes long after.
            let wait_ms = match dice.below(100) {
                // An offer takes a cut and a heal.
                60.. if setup.kind == Kind::Duels => dice.below(6 * setup.link_timeout_ms),
                80.. if matches!(setup.kind, Kind::Rulings | Kind::Pictures) => {
                    dice.below(6 * setup.link_timeout_ms)
                }
                0..75 => dice.below(120),
                75..90 => dice.below(3_000),
                _ if setup.has_faults => dice.below(2 * setup.link_timeout_ms),
                _ => dice.below(3_000),
            };
            steps.push(Step {
                number: steps.len(),
                wait_ms,
                deed,
                roll: dice.roll(),
            });
        }
        Plan { seed, setup, steps }
    }

    /// The same without the steps whose numbers are not among these.
    pub fn keeping(&self, numbers: &[usize]) -> Plan {
        let kept = self.steps.iter().filter(|step| numbers.contains(&step.number));
        Plan {
            steps: kept.cloned().collect(),
            ..self.clone()
        }
    }

    pub fn numbers(&self) -> Vec<usize> {
        self.steps.iter().map(|step| step.number).collect()
    }
}

/// What a seed is about, if that is not by chance.
fn special(seed: u64) -> Option<Kind> {
    match seed % KINDS_OF {
        DUELS_AT => Some(Kind::Duels),
        UPHEAVALS_AT => Some(Kind::Upheavals),
        PICTURES_AT => Some(Kind::Pictures),
        LIARS_AT => Some(Kind::Liars),
        at if RULINGS_AT.contains(&at) => Some(Kind::Rulings),
        _ => None,
    }
}

fn weighted(dice: &mut Dice, weights: &[(Deed, u64)]) -> Deed {
    let total: u64 = weights.iter().map(|(_, weight)| weight).sum();
    let mut left = dice.below(total);
    for (deed, weight) in weights {
        if left < *weight {
            return *deed;
        }
        left -= weight;
    }
    Deed::Rest
}

impl Setup {
    fn of(dice: &mut Dice, special: Option<Kind>) -> Setup {
        let by_chance = match dice.below(100) {
            0..85 => Kind::Usual,
            85..95 => Kind::ManyRooms,
            _ => Kind::Mesh,
        };
        let kind = special.unwrap_or(by_chance);
        let mut count = *dice.pick(&[2, 2, 3, 3, 3, 4, 4, 5, 6, 7]).unwrap();
        let mut has_faults = dice.chance(80);
        match kind {
            Kind::Usual => {}
            Kind::Rulings | Kind::Pictures => count = count.min(4),
            Kind::Liars => count = count.clamp(3, 5),
            Kind::Upheavals => (count, has_faults) = (count.min(4), true),
            Kind::ManyRooms => count = count.min(3),
            Kind::Mesh => (count, has_faults) = (7, true),
            Kind::Duels => (count, has_faults) = (count.min(3), true),
        }
        let has_xep = dice.chance(25) && special.is_none();
        let is_skewed = dice.chance(30);
        let services = (0..count)
            .map(|number| ServicePlan {
                name: format!("rooms.s{number}.example"),
                domain: format!("s{number}.example"),
                is_xep: has_xep && number + 1 == count,
                is_liar: kind == Kind::Liars && number + 1 == count,
                starts_late: number > 0 && dice.chance(15) && kind != Kind::Liars,
                skew_ms: if is_skewed {
                    dice.between(0, 600_000) as i64 - 300_000
                } else {
                    0
                },
            })
            .collect();
        let slow = dice.chance(30);
        let latency = |dice: &mut Dice| {
            if slow {
                dice.between(50, 900)
            } else {
                dice.between(1, 60)
            }
        };
        let latency_ms = (0..count)
            .map(|_| (0..count).map(|_| latency(dice)).collect())
            .collect();
        let link_timeout_ms = *dice.pick(&[6_000, 15_000, 30_000, 60_000]).unwrap();
        let ping_interval_ms = match kind {
            // Half the timeout is the most there can be.
            Kind::ManyRooms => link_timeout_ms,
            _ => link_timeout_ms / dice.between(2, 4),
        };
        let splits = [
            SplitPresence::Away,
            SplitPresence::Away,
            SplitPresence::Keep,
            SplitPresence::Leave,
        ];
        Setup {
            kind,
            rooms: if kind == Kind::ManyRooms { 8 } else { 3 },
            services,
            has_faults,
            long_cuts: if kind == Kind::Mesh { 70 } else { 0 },
            touches_xep: has_xep && dice.chance(50),
            ping_interval_ms,
            link_timeout_ms,
            split_presence: *dice.pick(&splits).unwrap(),
            ids_on_their_way: kind == Kind::Liars,
            log_max_messages: dice.chance(6).then(|| dice.between(6, 14) as usize),
            room_id: *dice
                .pick(&[RoomIdScheme::Uuid, RoomIdScheme::Sha256, RoomIdScheme::Name])
                .filter(|scheme| kind != Kind::Liars || **scheme != RoomIdScheme::Name)
                .unwrap_or(&RoomIdScheme::Uuid),
            replicate: if dice.chance(25) {
                Replicate::OnJoin
            } else {
                Replicate::Immediately
            },
            redirect: dice.chance(30),
            is_trusting: dice.chance(40) && kind != Kind::Liars,
            jitter_ms: *dice.pick(&[0, 5, 50]).unwrap(),
            latency_ms,
        }
    }
}

impl Setup {
    /// What every plan of this kind begins with.
    fn beginning(&self) -> Vec<Deed> {
        let rooms = if self.kind == Kind::ManyRooms { 5 } else { 1 };
        let mut deeds = [Deed::Create, Deed::Distribute].repeat(rooms);
        if matches!(self.kind, Kind::Rulings | Kind::Pictures) {
            // Who may rule has to be there first.
            deeds.push(Deed::Rest);
            deeds.extend([Deed::Join; 5]);
            deeds.extend([Deed::Register, Deed::Moderate, Deed::Register, Deed::Moderate]);
        }
        if self.kind == Kind::Liars {
            // There is something to lie about.
            deeds.push(Deed::Rest);
            deeds.extend([Deed::Join; 4]);
            deeds.extend([Deed::Mislead, Deed::Say, Deed::Mislead, Deed::Mislead, Deed::Say]);
        }
        deeds
    }

    fn weights(&self) -> &'static [(Deed, u64)] {
        match self.kind {
            Kind::Duels => &DUELS,
            Kind::Rulings => &RULINGS,
            Kind::Pictures => &PICTURES,
            Kind::Upheavals => &UPHEAVALS,
            Kind::Liars => &LIARS,
            _ => &WEIGHTS,
        }
    }

    /// How many steps of a hundred are faults.
    fn faults(&self) -> u64 {
        match self.kind {
            Kind::Duels => 6,
            Kind::Upheavals => 10,
            Kind::Liars => 5,
            _ => 22,
        }
    }

    fn fault(&self, dice: &mut Dice) -> Deed {
        if self.kind == Kind::Duels {
            // Nothing that loses what was decided: then the strictest rules of who decides hold.
            let spared = [Deed::Cut, Deed::Reset, Deed::Restart];
            return dice.pick(&spared).copied().unwrap_or(Deed::Cut);
        }
        if self.kind.is_gentle() {
            // Nor here: a crash takes nothing with it, and is in the middle of nothing (`faults`).
            let loses = |deed: Deed| matches!(deed, Deed::Backup | Deed::RestoreBackup);
            return Some(weighted(dice, &FAULTS))
                .filter(|deed| !loses(*deed))
                .unwrap_or(Deed::Cut);
        }
        if self.long_cuts > 0 && dice.chance(self.long_cuts) {
            return Deed::Cut;
        }
        weighted(dice, &FAULTS)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let setup = &self.setup;
        for service in &setup.services {
            write!(f, "  {}", service.name)?;
            for (is_so, what) in [
                (service.is_xep, "XEP only"),
                (service.is_liar, "lies"),
                (service.starts_late, "starts late"),
            ] {
                if is_so {
                    write!(f, ", {what}")?;
                }
            }
            if service.skew_ms != 0 {
                write!(f, ", clock {:+} ms", service.skew_ms)?;
            }
            writeln!(f)?;
        }
        writeln!(f, "  {:?}", setup.kind)?;
        writeln!(
            f,
            "  ids {:?}, replicate {:?}, redirect {}, trusting {}, ping {} ms, timeout {} ms, split presence {:?}, log {:?}",
            setup.room_id,
            setup.replicate,
            setup.redirect,
            setup.is_trusting,
            setup.ping_interval_ms,
            setup.link_timeout_ms,
            setup.split_presence,
            setup.log_max_messages,
        )?;
        writeln!(
            f,
            "  latency {:?} ms, jitter {} ms",
            setup.latency_ms, setup.jitter_ms
        )?;
        for step in &self.steps {
            writeln!(
                f,
                "  step {:>3} after {:>6} ms: {:?}",
                step.number, step.wait_ms, step.deed
            )?;
        }
        Ok(())
    }
}
