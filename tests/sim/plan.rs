//! A schedule, made from a seed before anything runs: steps can be left out and the rest still makes sense.

use dmuc::config::{Replicate, RoomIdScheme};

use crate::support::dice::Dice;

#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub setup: Setup,
    pub steps: Vec<Step>,
}

#[derive(Debug, Clone)]
pub struct Setup {
    pub services: Vec<ServicePlan>,
    pub room_id: RoomIdScheme,
    pub replicate: Replicate,
    pub redirect: bool,
    /// Everybody believes everybody about real JIDs; people join wherever they like.
    pub is_trusting: bool,
    pub jitter_ms: u64,
    /// Latency of each direction, by sender and receiver.
    pub latency_ms: Vec<Vec<u64>>,
}

#[derive(Debug, Clone)]
pub struct ServicePlan {
    pub name: String,
    pub domain: String,
    /// It speaks the XEP's text only.
    pub is_xep: bool,
    pub starts_late: bool,
    pub skew_ms: i64,
}

/// One thing that somebody does, after a while. What exactly is rolled with its own dice against what there is then.
#[derive(Debug, Clone)]
pub struct Step {
    pub wait_ms: u64,
    pub deed: Deed,
    pub roll: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    Affiliate,
    /// Kick, voice, moderator.
    Role,
    Undistribute,
    Destroy,
    StartLate,
    /// Nothing, until everything has arrived; then the instances must agree.
    Rest,
}

const WEIGHTS: [(Deed, u64); 18] = [
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
    (Deed::Affiliate, 8),
    (Deed::Role, 6),
    (Deed::Undistribute, 1),
    (Deed::Destroy, 1),
    (Deed::StartLate, 2),
    (Deed::Rest, 3),
];

impl Plan {
    pub fn of(seed: u64) -> Plan {
        let mut dice = Dice::new(seed);
        let setup = Setup::of(&mut dice);
        let count = dice.between(20, 90);
        let mut steps = vec![
            Step {
                wait_ms: 0,
                deed: Deed::Create,
                roll: dice.roll(),
            },
            Step {
                wait_ms: 0,
                deed: Deed::Distribute,
                roll: dice.roll(),
            },
        ];
        for _ in 0..count {
            let deed = deed(&mut dice);
            // Mostly in the middle of what the last step set off, sometimes long after.
            let wait_ms = if dice.chance(80) {
                dice.below(120)
            } else {
                dice.below(3_000)
            };
            steps.push(Step {
                wait_ms,
                deed,
                roll: dice.roll(),
            });
        }
        Plan { seed, setup, steps }
    }
}

fn deed(dice: &mut Dice) -> Deed {
    let total: u64 = WEIGHTS.iter().map(|(_, weight)| weight).sum();
    let mut left = dice.below(total);
    for (deed, weight) in WEIGHTS {
        if left < weight {
            return deed;
        }
        left -= weight;
    }
    Deed::Rest
}

impl Setup {
    fn of(dice: &mut Dice) -> Setup {
        let count = dice.between(2, 5);
        let has_xep = dice.chance(25);
        let is_skewed = dice.chance(30);
        let services = (0..count)
            .map(|number| ServicePlan {
                name: format!("rooms.s{number}.example"),
                domain: format!("s{number}.example"),
                is_xep: has_xep && number + 1 == count,
                starts_late: number > 0 && dice.chance(15),
                skew_ms: if is_skewed {
                    dice.between(0, 240_000) as i64 - 120_000
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
        Setup {
            services,
            room_id: *dice
                .pick(&[RoomIdScheme::Uuid, RoomIdScheme::Sha256, RoomIdScheme::Name])
                .unwrap(),
            replicate: if dice.chance(25) {
                Replicate::OnJoin
            } else {
                Replicate::Immediately
            },
            redirect: dice.chance(30),
            is_trusting: dice.chance(40),
            jitter_ms: *dice.pick(&[0, 5, 50]).unwrap(),
            latency_ms,
        }
    }
}
