//! Administrators at work: configurations that leave peers out, a module that goes and comes, values at their limits.

use dmuc::address::BareJid;
use dmuc::wire::{Affiliation, limits};

use crate::plan::ServicePlan;
use crate::support::dice::Dice;
use crate::support::names::{bare, service_of};
use crate::support::room::Listed;
use crate::world::{Due, World};

impl World {
    /// A service that runs, and nothing of which is parked: what is parked is read back only when it goes on.
    fn whole_service(&self, dice: &mut Dice) -> Option<BareJid> {
        let whole = self.engines().filter(|host| host.engine.parked().is_empty());
        let services: Vec<BareJid> = whole.map(|host| host.service.clone()).collect();
        dice.pick(&services).cloned()
    }

    /// The configuration of a service leaves a peer out, for a while.
    pub fn unname(&mut self, dice: &mut Dice) {
        let running: Vec<BareJid> = self.engines().map(|host| host.service.clone()).collect();
        let services: Vec<BareJid> = self
            .plan
            .setup
            .services
            .iter()
            .map(|service: &ServicePlan| bare(&service.name))
            .collect();
        let Some(service) = dice.pick(&running).cloned() else {
            return;
        };
        let others: Vec<&BareJid> = services.iter().filter(|other| **other != service).collect();
        let Some(peer) = dice.pick(&others).map(|peer| (*peer).clone()) else {
            return;
        };
        let ms = dice.below(4 * self.plan.setup.link_timeout_ms);
        self.tell(format!("{service} does not name {peer} for {ms} ms"));
        self.unnamed.insert((service.clone(), peer.clone()));
        self.uproot();
        self.configure_service(&service);
        self.restart_with_it(&service, dice);
        self.later(ms, Due::Name(service, peer));
    }

    /// Some configure a service by a restart.
    fn restart_with_it(&mut self, service: &BareJid, dice: &mut Dice) {
        if dice.chance(40) && self.fed.runs(service) {
            self.tell(format!("{service} is restarted with it"));
            self.fed.at(service, |host| {
                host.loses_tail = false;
                host.stop();
            });
        }
    }

    /// A service names a peer again.
    pub fn name(&mut self, service: &BareJid, peer: &BareJid) {
        if self.unnamed.remove(&(service.clone(), peer.clone())) {
            self.tell(format!("{service} names {peer} again"));
            self.uproot();
            self.configure_service(service);
        }
    }

    fn configure_service(&mut self, service: &BareJid) {
        let services = self.plan.setup.services.iter();
        let number = services
            .map(|known| bare(&known.name))
            .position(|known| known == *service);
        if let Some(number) = number.filter(|_| self.fed.hosts.contains_key(service)) {
            let config = self.config(number);
            self.fed.at(service, |host| host.configure_service(config));
        }
    }

    /// Rooms lose instances, and get them again.
    fn uproot(&mut self) {
        self.checkers.unsettle();
        self.checkers.upheave();
    }

    /// A service runs without the module for a while.
    pub fn unload(&mut self, dice: &mut Dice) {
        let Some(service) = self.whole_service(dice) else {
            return;
        };
        let ms = dice.below(4 * self.plan.setup.link_timeout_ms);
        self.tell(format!("{service} runs without the module for {ms} ms"));
        self.uproot();
        self.recover(&service);
        self.later(ms, Due::Load(service.clone()));
        self.fed.unload(service.as_str());
    }

    /// A service has the module again.
    pub fn load(&mut self, service: &BareJid) -> Result<(), String> {
        self.fed.install(service);
        self.uproot();
        self.bring_up(service)
    }

    /// Every peer is named, every service has the module.
    pub fn calm_down(&mut self) -> Result<(), String> {
        let services: Vec<BareJid> = self.fed.hosts.keys().cloned().collect();
        for service in services {
            self.fed.install(&service);
            self.recover(&service);
        }
        for (service, peer) in self.unnamed.clone() {
            self.name(&service, &peer);
        }
        Ok(())
    }

    /// Another module sets something of a room, at whatever instance it finds.
    pub fn set_by_module(&mut self, dice: &mut Dice) {
        let alive = self.groups_where(|group| group.is_distributed && !group.has_ended);
        let Some(number) = dice.pick(&alive).copied() else {
            return;
        };
        let mut instances = self.instances(&self.groups[number]);
        instances.retain(|room| !self.is_xep(room));
        let Some(room) = dice.pick(&instances).cloned() else {
            return;
        };
        self.count += 1;
        self.checkers.govern(number);
        self.checkers.loosen(number);
        let text = format!("by a module {}", self.count);
        self.tell(format!("a module names {room} {text:?}"));
        self.fed.at(&service_of(&room), |host| {
            drop(host.set_by_module(&room, &[("muc#roomconfig_roomname", &text)]));
        });
    }

    /// Somebody says something, and a hook of another module waits.
    pub fn say_slowly(&mut self, dice: &mut Dice) {
        let alive = self.groups_where(|group| group.is_distributed && !group.has_ended);
        let Some(number) = dice.pick(&alive).copied() else {
            return;
        };
        let mut people = self.people(&self.groups[number]);
        people.retain(|(room, _, _)| !self.is_xep(room));
        let Some((room, nick, _)) = dice.pick(&people).cloned() else {
            return;
        };
        self.count += 1;
        let count = self.count;
        let local = self.host(&room).room(&room).local(&nick);
        let session = local.map(|local| local.session).unwrap_or_default();
        let payload = format!("<body>{room}#{session} says {count}</body>");
        let ms = match dice.below(3) {
            0 => dice.below(20_000),
            _ => dice.below(400),
        };
        self.tell(format!("a hook waits for {ms} ms when {nick} speaks at {room}"));
        let service = service_of(&room);
        self.fed.at(&service, |host| {
            drop(host.say_slowly(&room, &nick, Some(&format!("id{count}")), &payload));
        });
        self.later(ms, Due::Finish(service));
    }

    /// The store of a service fails, for a while.
    pub fn lose_store(&mut self, dice: &mut Dice) {
        let Some(service) = self.whole_service(dice) else {
            return;
        };
        let ms = dice.below(2 * self.plan.setup.link_timeout_ms);
        self.tell(format!("nothing can be stored of rooms at {service} for {ms} ms"));
        if let Some(host) = self.fed.hosts.get_mut(&service) {
            host.is_store_away = true;
        }
        self.later(ms, Due::Store(service));
    }

    /// The stores of the log and of the archive fail, for a while.
    pub fn lose_messages(&mut self, dice: &mut Dice) {
        let Some(service) = self.whole_service(dice) else {
            return;
        };
        let ms = dice.below(2 * self.plan.setup.link_timeout_ms);
        self.tell(format!(
            "nothing that is said can be stored at {service} for {ms} ms"
        ));
        if let Some(host) = self.fed.hosts.get_mut(&service) {
            host.are_messages_away = true;
        }
        self.later(ms, Due::Store(service));
    }

    /// Every store answers, every hook returns.
    pub fn recover(&mut self, service: &BareJid) {
        if self.fed.runs(service) {
            self.fed.at(service, |host| {
                host.store_is_back();
                host.messages_are_back();
                host.finish();
            });
        }
    }

    /// Somebody at the source sets a value that is as large as it may be, or larger than other instances take.
    pub fn strain(&mut self, dice: &mut Dice) {
        let alive = self.groups_where(|group| group.is_distributed && !group.has_ended);
        let Some(number) = dice.pick(&alive).copied() else {
            return;
        };
        let room = self.groups[number].source.clone();
        if !self.fed.runs(&service_of(&room)) {
            return;
        }
        self.count += 1;
        let count = self.count;
        self.checkers.govern(number);
        self.checkers.loosen(number);
        self.checkers.strain();
        let host = self.host(&room);
        let people: Vec<String> = host.room(&room).locals().map(|(nick, _)| nick.clone()).collect();
        let Some(nick) = dice.pick(&people).cloned() else {
            return;
        };
        let session = host.room(&room).local(&nick).map(|local| local.session);
        let name = format!("{room}#{}", session.unwrap_or_default());
        let what = dice.below(5);
        self.tell(format!("{nick} strains {room} with {what}"));
        self.fed.at(&service_of(&room), |host| match what {
            // Nobody has it anywhere else, so that what is made of it is told apart from what was before.
            0 => {
                let user = bare(&format!("limit{count}@s0.example"));
                let entry = Listed {
                    affiliation: Affiliation::Member,
                    nick: Some("n".repeat(limits::MAX_PART_BYTES + 1)),
                };
                host.decide_affiliation(&room, &user, &entry, None, (None, None));
            }
            1 => {
                let text = format!("{count:0>width$}", width = limits::MAX_TEXT_BYTES);
                drop(host.set_subject(&room, &nick, &text));
            }
            2 => {
                let filler = "f".repeat(60_000);
                let payload = format!(
                    "<body>{name} says {count}</body><filler xmlns='urn:example:filler'>{filler}</filler>"
                );
                drop(host.say(&room, &nick, Some(&"i".repeat(limits::MAX_PART_BYTES)), &payload));
            }
            3 => {
                let text = format!("{count:0>width$}", width = limits::MAX_FORM_VALUE_BYTES);
                drop(host.configure(&room, &nick, &[("muc#roomconfig_roomdesc", &text)]));
            }
            _ => {
                let filler = "s".repeat(limits::MAX_PRESENCE_BYTES - 100);
                drop(host.update(&room, &nick, &format!("<status>{count} {filler}</status>")));
            }
        });
    }
}
