//! What goes wrong in a simulation: links, processes, disks and clocks.

use dmuc::address::BareJid;

use crate::plan::Deed;
use crate::support::dice::Dice;
use crate::support::names::bare;
use crate::support::net::{Mode, Reset, Weather};
use crate::world::{Due, World};

/// What thin links carry, in bytes per second: from a modem on.
const RATES: [u64; 4] = [300, 1_200, 12_000, 100_000];

impl World {
    pub fn fail(&mut self, deed: Deed, dice: &mut Dice) {
        self.checkers.unsettle();
        match deed {
            Deed::Cut => self.cut(dice),
            Deed::Isolate => self.isolate(dice),
            Deed::Wedge | Deed::Reset | Deed::Weather | Deed::Thin => {
                let Some((from, to)) = self.pair(dice) else { return };
                match deed {
                    Deed::Wedge => self.set(&from, &to, Mode::Wedged, None),
                    Deed::Reset => self.reset(&from, &to, dice),
                    Deed::Thin => self.thin(&from, &to, dice),
                    _ => self.weather(&from, &to, dice),
                }
            }
            Deed::Heal => {
                let all: Vec<(u64, u64)> = self.due_links();
                self.forget_due(&all);
                self.fed.net.heal();
                self.fed.net.thicken();
            }
            Deed::ClockJump => {
                if let Some(service) = self.service(dice) {
                    let jump = dice.between(0, 1_200_000) as i64 - 600_000;
                    self.tell(format!("the clock of {service} jumps by {jump} ms"));
                    *self.fed.skew_ms.entry(service).or_default() += jump;
                    self.checkers.skewed();
                }
            }
            _ => self.strike(deed, dice),
        }
    }

    /// A service of ours that runs.
    fn service(&self, dice: &mut Dice) -> Option<BareJid> {
        let running: Vec<&BareJid> = self.engines().map(|host| &host.service).collect();
        dice.pick(&running).map(|service| (*service).clone())
    }

    /// Two services, in this direction. Services that speak the XEP's text only are spared in most plans.
    fn pair(&self, dice: &mut Dice) -> Option<(BareJid, BareJid)> {
        let services = self.plan.setup.services.iter();
        let all: Vec<BareJid> = services
            .filter(|service| !service.is_xep || self.plan.setup.touches_xep)
            .map(|service| bare(&service.name))
            .collect();
        let from = dice.pick(&all)?.clone();
        let others: Vec<&BareJid> = all.iter().filter(|to| **to != from).collect();
        let to = (*dice.pick(&others)?).clone();
        Some((from, to))
    }

    fn mode(dice: &mut Dice) -> Mode {
        *dice
            .pick(&[Mode::Bounces, Mode::Swallows, Mode::Swallows, Mode::Stalls])
            .unwrap_or(&Mode::Swallows)
    }

    /// How long a fault lasts; some stay until somebody heals them.
    fn duration(&self, dice: &mut Dice) -> Option<u64> {
        let timeout = self.plan.setup.link_timeout_ms;
        let is_long = self.plan.setup.long_cuts > 0 && dice.chance(self.plan.setup.long_cuts);
        if is_long {
            return Some(2 * timeout + dice.below(10 * timeout));
        }
        match dice.below(10) {
            0..3 => Some(dice.below(2_000)),
            3..6 => Some(dice.below(timeout)),
            6..9 => Some(timeout + dice.below(4 * timeout)),
            _ => None,
        }
    }

    /// One direction behaves so, for a while.
    pub fn set(&mut self, from: &BareJid, to: &BareJid, mode: Mode, ms: Option<u64>) {
        let how_long = ms.map_or("until healed".to_owned(), |ms| format!("for {ms} ms"));
        self.tell(format!("{from} → {to}: {mode:?} {how_long}"));
        self.fed.net.tick(self.fed.now_ms);
        self.fed.net.set_direction(from, to, mode);
        if let Some(ms) = ms {
            self.later(ms, Due::Mode(from.clone(), to.clone(), Mode::Up));
        }
    }

    fn cut(&mut self, dice: &mut Dice) {
        let Some((from, to)) = self.pair(dice) else { return };
        let (mode, ms) = (World::mode(dice), self.duration(dice));
        self.set(&from, &to, mode, ms);
        if dice.chance(65) {
            // The other direction is a connection of its own: it may fail in another way.
            let other = if dice.chance(70) { mode } else { World::mode(dice) };
            self.set(&to, &from, other, ms);
        }
    }

    fn isolate(&mut self, dice: &mut Dice) {
        let Some((one, _)) = self.pair(dice) else { return };
        let (mode, ms) = (World::mode(dice), self.duration(dice));
        let spared = |service: &&crate::plan::ServicePlan| service.is_xep && !self.plan.setup.touches_xep;
        let others: Vec<BareJid> = self
            .plan
            .setup
            .services
            .iter()
            .filter(|service| !spared(service))
            .map(|service| bare(&service.name))
            .filter(|service| *service != one)
            .collect();
        for other in others {
            self.set(&one, &other, mode, ms);
            self.set(&other, &one, mode, ms);
        }
    }

    fn reset(&mut self, from: &BareJid, to: &BareJid, dice: &mut Dice) {
        let how = if dice.chance(50) {
            Reset::Loses
        } else {
            Reset::Bounces
        };
        self.tell(format!("the connection {from} → {to} dies: {how:?}"));
        self.fed.net.tick(self.fed.now_ms);
        self.fed.net.reset(from, to, how);
    }

    fn weather(&mut self, from: &BareJid, to: &BareJid, dice: &mut Dice) {
        let mut weather = Weather::default();
        match dice.below(3) {
            0 => weather.loss = dice.between(50, 400),
            1 => weather.duplicates = dice.between(50, 400),
            _ => weather.reorders = dice.between(50, 400),
        }
        self.tell(format!("{from} → {to}: {weather:?}"));
        self.fed.net.set_weather(from, to, weather);
        if let Some(ms) = self.duration(dice) {
            self.later(ms, Due::Clear(from.clone(), to.clone()));
        }
    }

    /// A satellite, a modem, a line that somebody else fills.
    fn thin(&mut self, from: &BareJid, to: &BareJid, dice: &mut Dice) {
        let rate = dice.pick(&RATES).copied();
        self.tell(format!("{from} ↔ {to}: {rate:?} bytes/s"));
        self.fed.net.tick(self.fed.now_ms);
        self.fed.net.set_rate(from, to, rate);
        self.fed.net.set_rate(to, from, rate);
        if let Some(ms) = self.duration(dice) {
            self.later(ms, Due::Thick(from.clone(), to.clone()));
        }
    }

    /// Processes and disks.
    fn strike(&mut self, deed: Deed, dice: &mut Dice) {
        let Some(service) = self.service(dice) else { return };
        let lose_tail = dice.chance(40) && !self.plan.setup.kind.is_gentle();
        match deed {
            Deed::Crash => {
                let fuse = dice.chance(70).then(|| dice.below(12));
                let fuse = fuse.filter(|_| !self.plan.setup.kind.is_gentle());
                match fuse {
                    Some(things) => {
                        self.tell(format!(
                            "{service} will die after {things} more things that it does"
                        ));
                        if let Some(host) = self.fed.hosts.get_mut(&service) {
                            (host.fuse, host.loses_tail) = (Some(things), lose_tail);
                        }
                    }
                    None => {
                        self.tell(format!("{service} dies"));
                        if let Some(host) = self.fed.hosts.get_mut(&service) {
                            host.loses_tail = lose_tail;
                        }
                        self.fed.crash(&service, lose_tail);
                    }
                }
            }
            Deed::Restart => {
                self.tell(format!("{service} stops"));
                self.fed.at(&service, |host| {
                    host.loses_tail = false;
                    host.stop();
                });
            }
            Deed::Backup => {
                self.tell(format!("{service} is backed up"));
                self.fed.at(&service, |host| host.backup());
            }
            Deed::RestoreBackup => {
                self.fed.at(&service, |host| {
                    host.loses_tail = false;
                    host.stop();
                });
                if self.fed.at(&service, |host| host.restore_backup()) {
                    self.tell(format!("{service} is put back to its backup"));
                    self.checkers.lossy(&service);
                }
            }
            _ => {}
        }
    }
}
