//! What people do in a simulation, each deed rolled against what there is at the time.

use dmuc::address::BareJid;
use dmuc::config::Replicate;
use dmuc::wire::{Affiliation, Form, Role};

use crate::plan::{Deed, Kind};
use crate::support::dice::Dice;
use crate::support::names::{bare, full, service_of};
use crate::support::net::{Mode, Weather};
use crate::support::people::Denied;
use crate::world::{Ambush, Due, Group, World};

pub const NICKS: [&str; 14] = [
    "alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "mallory", "niaj",
    "olivia", "peggy",
];
const USERS: u64 = 4;
/// What duels are about: an affiliation, the subject, a field of the form.
const WHAT: u64 = 3;
/// And in schedules of rulings: a nick that two want, a message.
const RULED: u64 = 2;

impl World {
    pub fn perform(&mut self, deed: Deed, dice: &mut Dice) {
        match deed {
            Deed::Create => self.create(dice),
            Deed::Distribute => self.distribute(dice),
            Deed::Join => self.join(dice),
            Deed::Race => self.race(dice),
            Deed::JoinTwice => self.join_twice(dice),
            Deed::StartLate => {
                let waiting: Vec<usize> = (0..self.plan.setup.services.len())
                    .filter(|number| !self.running.contains(number))
                    .collect();
                if let Some(number) = dice.pick(&waiting) {
                    self.start(*number);
                    self.checkers.unsettle();
                }
            }
            Deed::Undistribute | Deed::Destroy => self.end(deed, dice),
            Deed::Rest => {}
            Deed::Register => self.register(dice),
            Deed::Moderate => self.moderate(dice),
            Deed::Avatar => self.picture(dice),
            Deed::Duel => self.duel(dice),
            Deed::Ambush => self.ambush(dice),
            Deed::Volley => self.volley(dice),
            Deed::Unname => self.unname(dice),
            Deed::Unload => self.unload(dice),
            Deed::Limits => self.strain(dice),
            Deed::Set => self.set_by_module(dice),
            Deed::SaySlowly => self.say_slowly(dice),
            Deed::StoreAway => self.lose_store(dice),
            Deed::MessagesAway => self.lose_messages(dice),
            Deed::Lie => self.lie(dice),
            Deed::Mislead => self.mislead(dice),
            Deed::Cut
            | Deed::Isolate
            | Deed::Wedge
            | Deed::Reset
            | Deed::Weather
            | Deed::Thin
            | Deed::Heal
            | Deed::Crash
            | Deed::Restart
            | Deed::Backup
            | Deed::RestoreBackup
            | Deed::ClockJump => self.fail(deed, dice),
            _ => self.act(deed, dice),
        }
    }

    fn create(&mut self, dice: &mut Dice) {
        let ours: Vec<usize> = self
            .running
            .iter()
            .copied()
            .filter(|number| {
                let service = &self.plan.setup.services[*number];
                !service.is_xep && !service.is_liar && self.fed.runs(&bare(&service.name))
            })
            .collect();
        if self.groups.iter().filter(|group| !group.has_ended).count() >= self.plan.setup.rooms {
            return;
        }
        let Some(number) = dice.pick(&ours) else { return };
        let service = self.plan.setup.services[*number].clone();
        let room = bare(&format!("room{}@{}", self.groups.len(), service.name));
        let owner = bare(&format!("user0@{}", service.domain));
        let mut form = Form::default();
        let whois = if dice.chance(30) { "anyone" } else { "moderators" };
        form.set("muc#roomconfig_whois", vec![whois.to_owned()]);
        for (var, chance) in [
            ("muc#roomconfig_moderatedroom", 20),
            ("muc#roomconfig_changesubject", 50),
            ("muc#roomconfig_membersonly", 5),
        ] {
            form.set(var, vec![if dice.chance(chance) { "1" } else { "0" }.to_owned()]);
        }
        self.checkers.source(self.groups.len(), &room);
        // Rooms begin and end for good: that is not what may be lost.
        self.fed.at(&service_of(&room), |host| {
            host.fuse = None;
            host.create(&room, &owner, form);
            let _ = host.join(&room, "owner", &full(&format!("{owner}/home")), "");
            host.flush();
        });
        self.groups.push(Group {
            source: room,
            is_distributed: false,
            has_ended: false,
        });
    }

    fn distribute(&mut self, dice: &mut Dice) {
        let ready: Vec<usize> = self.groups_where(|group| {
            !group.is_distributed && !group.has_ended && self.fed.runs(&service_of(&group.source))
        });
        let Some(number) = dice.pick(&ready) else { return };
        let room = self.groups[*number].source.clone();
        if self.host(&room).are_messages_away {
            // What was said before would be in the archive, and wait for the log.
            return;
        }
        self.checkers.distributed(*number);
        self.fed.at(&service_of(&room), |host| {
            host.fuse = None;
            host.distribute(&room);
            host.flush();
        });
        self.groups[*number].is_distributed = true;
        self.checkers.unsettle();
    }

    pub fn groups_where(&self, is_so: impl Fn(&Group) -> bool) -> Vec<usize> {
        let groups = self.groups.iter().enumerate();
        groups
            .filter(|(_, group)| is_so(group))
            .map(|(number, _)| number)
            .collect()
    }

    /// A user joins its own service's instance; sometimes another one.
    fn join(&mut self, dice: &mut Dice) {
        let alive = self.groups_where(|group| !group.has_ended);
        let Some(number) = dice.pick(&alive).copied() else {
            return;
        };
        let instances = self.instances(&self.groups[number]);
        let Some(room) = dice.pick(&instances).cloned() else {
            return;
        };
        // Who is elsewhere than at home is believed by the source's peers, or where everybody is trusted.
        let may_stray = self.plan.setup.is_trusting || room == self.groups[number].source;
        let domain = if may_stray && dice.chance(20) {
            let services = &self.plan.setup.services[..self.honest_services()];
            dice.pick(services).map(|service| service.domain.clone())
        } else {
            self.domain_of(&room)
        };
        let user = format!("user{}@{}", dice.below(USERS), domain.unwrap_or_default());
        // One stay per person and room: the same person twice is a deed of its own.
        if !self.is_present(number, &bare(&user)) {
            let nick = dice.pick(&NICKS).copied().unwrap_or("nobody");
            self.join_at(number, room, nick, &format!("{user}/r{}", dice.below(3)));
        }
    }

    /// Two people join with one nick, at two instances, at the same moment.
    fn race(&mut self, dice: &mut Dice) {
        let distributed = self.groups_where(|group| group.is_distributed && !group.has_ended);
        let Some(number) = dice.pick(&distributed).copied() else {
            return;
        };
        let nick = dice.pick(&NICKS).copied().unwrap_or("nobody");
        let instances = self.instances(&self.groups[number]);
        for room in instances
            .into_iter()
            .filter(|_| dice.chance(60))
            .take(3)
            .collect::<Vec<_>>()
        {
            let user = format!(
                "user{}@{}",
                dice.below(USERS),
                self.domain_of(&room).unwrap_or_default()
            );
            if !self.is_present(number, &bare(&user)) {
                self.join_at(number, room, nick, &format!("{user}/r"));
            }
        }
    }

    /// Somebody who is in the room joins at another instance, too, mostly with the same nick.
    fn join_twice(&mut self, dice: &mut Dice) {
        let distributed = self.groups_where(|group| group.is_distributed && !group.has_ended);
        let Some(number) = dice.pick(&distributed).copied() else {
            return;
        };
        let group = self.groups[number].clone();
        let mut here: Vec<(String, String)> = Vec::new();
        for room in self
            .instances(&group)
            .into_iter()
            .filter(|room| !self.is_xep(room))
        {
            let host_room = self.fed.hosts[&service_of(&room)].room(&room);
            here.extend(
                host_room
                    .locals()
                    .map(|(nick, local)| (nick.clone(), local.jid.to_bare().to_string())),
            );
        }
        let mut others = self.instances(&group);
        others.retain(|room| !self.is_xep(room) && (self.plan.setup.is_trusting || *room == group.source));
        if let (Some((nick, user)), Some(room)) = (dice.pick(&here).cloned(), dice.pick(&others).cloned()) {
            let other = dice.pick(&NICKS).copied().unwrap_or("nobody").to_owned();
            let nick = if dice.chance(70) { nick } else { other };
            self.join_at(number, room, &nick, &format!("{user}/second"));
        }
    }

    /// The user domain of the service that hosts a room.
    pub fn domain_of(&self, room: &BareJid) -> Option<String> {
        let service = service_of(room);
        let mut services = self.plan.setup.services.iter();
        services
            .find(|plan| bare(&plan.name) == service)
            .map(|plan| plan.domain.clone())
    }

    /// Joins there, or where that sends it.
    fn join_at(&mut self, number: usize, mut room: BareJid, nick: &str, user: &str) {
        if self.plan.setup.replicate == Replicate::OnJoin {
            // It may bring an instance.
            self.checkers.unsettle();
        }
        for _ in 0..2 {
            self.checkers.map(&room, number);
            let service = service_of(&room);
            if self.is_xep(&room) {
                let user = full(user).into();
                self.fed
                    .at_xep(service.as_str(), |peer| peer.join(&room, nick, &user));
                return;
            }
            match self
                .fed
                .at(&service, |host| host.join(&room, nick, &full(user), ""))
            {
                Err(Denied::Redirected(shadow)) => room = shadow,
                _ => return,
            }
        }
    }

    fn is_present(&self, number: usize, user: &BareJid) -> bool {
        self.instances(&self.groups[number])
            .iter()
            .any(|room| match self.fed.xep.get(&service_of(room)) {
                Some(peer) => {
                    let entry = peer.rooms.get(room);
                    entry
                        .is_some_and(|entry| entry.locals.values().any(|local| local.user.to_bare() == *user))
                }
                None => {
                    let entry = self.fed.hosts[&service_of(room)].rooms.get(room);
                    entry.is_some_and(|entry| entry.locals().any(|(_, local)| local.jid.to_bare() == *user))
                }
            })
    }

    /// Somebody who is in a room does something there.
    fn act(&mut self, deed: Deed, dice: &mut Dice) {
        let alive = self.groups_where(|group| !group.has_ended);
        let Some(number) = dice.pick(&alive).copied() else {
            return;
        };
        let mut people = self.people(&self.groups[number]);
        let needs_rank = matches!(
            deed,
            Deed::Configure | Deed::HistoryLength | Deed::Affiliate | Deed::Role
        );
        if needs_rank {
            people.retain(|(_, _, affiliation)| *affiliation >= Affiliation::Admin);
        }
        let Some((room, nick, _)) = dice.pick(&people).cloned() else {
            return;
        };
        self.count += 1;
        let count = self.count;
        if needs_rank {
            self.checkers.loosen(number);
            match deed {
                Deed::Role => self.checkers.kick(number),
                _ => self.checkers.govern(number),
            }
        }
        if self.is_xep(&room) {
            self.act_xep(deed, &room, &nick, count);
            return;
        }
        let user = format!(
            "user{}@s{}.example",
            dice.below(USERS),
            dice.below(self.honest_services() as u64)
        );
        let other_nick = dice.pick(&NICKS).copied().unwrap_or("nobody");
        let everybody: Vec<String> = self
            .people(&self.groups[number])
            .into_iter()
            .map(|(_, nick, _)| nick)
            .filter(|nick| nick != "owner")
            .collect();
        let target = dice.pick(&everybody).cloned();
        let session = self.fed.hosts[&service_of(&room)]
            .room(&room)
            .local(&nick)
            .map(|local| local.session);
        let session = session.unwrap_or_default();
        let name = format!("{room}#{session}");
        self.fed.at(&service_of(&room), |host| match deed {
            Deed::Leave => drop(host.leave(&room, &nick)),
            Deed::Update => drop(host.update(&room, &nick, &format!("<status>{count}</status>"))),
            Deed::ChangeNick => drop(host.change_nick(&room, &nick, other_nick)),
            Deed::Say => {
                let payload = format!("<body>{name} says {count}</body>");
                drop(host.say(&room, &nick, Some(&format!("id{count}")), &payload));
            }
            Deed::Hum => {
                let payload = format!("<hum xmlns='urn:example:hum'>{name} says {count}</hum>");
                drop(host.say(&room, &nick, None, &payload));
            }
            Deed::Private => {
                if let Some(target) = target {
                    drop(host.whisper(&room, &nick, &target, dice.chance(40)));
                }
            }
            Deed::Subject => drop(host.set_subject(&room, &nick, &format!("subject {count}"))),
            Deed::Configure => {
                let count = count.to_string();
                let (var, value) = match dice.below(4) {
                    0 => (
                        "muc#roomconfig_changesubject",
                        if dice.chance(50) { "1" } else { "0" },
                    ),
                    1 => (
                        "muc#roomconfig_whois",
                        if dice.chance(50) { "anyone" } else { "moderators" },
                    ),
                    2 => (
                        "muc#roomconfig_moderatedroom",
                        if dice.chance(50) { "1" } else { "0" },
                    ),
                    _ => ("muc#roomconfig_roomname", count.as_str()),
                };
                drop(host.configure(&room, &nick, &[(var, value)]));
            }
            Deed::HistoryLength => {
                let length = (count % 100).to_string();
                drop(host.configure(&room, &nick, &[("muc#roomconfig_historylength", &length)]));
            }
            Deed::Affiliate => {
                let all = [
                    Affiliation::Outcast,
                    Affiliation::None,
                    Affiliation::None,
                    Affiliation::Member,
                    Affiliation::Member,
                    Affiliation::Admin,
                    Affiliation::Admin,
                    Affiliation::Owner,
                ];
                let affiliation = dice.pick(&all).copied().unwrap_or_default();
                drop(host.affiliate(&room, &nick, &bare(&user), affiliation, None));
            }
            Deed::Role => {
                let role = *dice
                    .pick(&[Role::None, Role::Visitor, Role::Participant, Role::Moderator])
                    .unwrap();
                if let Some(target) = target {
                    drop(host.set_role(&room, &nick, &target, role, None));
                }
            }
            _ => {}
        });
    }

    /// Two entitled people are to change the same at the source and at a shadow that cannot reach it.
    /// A room and one of its shadows, where somebody is entitled. If nobody is yet, somebody becomes so.
    fn duellists(&mut self, dice: &mut Dice) -> Option<(usize, BareJid)> {
        let distributed = self.groups_where(|group| group.is_distributed && !group.has_ended);
        let number = dice.pick(&distributed).copied()?;
        let source = self.groups[number].source.clone();
        let mut shadows = self.instances(&self.groups[number]);
        shadows.retain(|room| *room != source && !self.is_xep(room));
        let shadow = dice.pick(&shadows).cloned()?;
        self.checkers.govern(number);
        self.checkers.loosen(number);
        let (ours, theirs) = (self.ranked(&source), self.ranked(&shadow));
        let is_ready = theirs
            .iter()
            .any(|(_, affiliation)| *affiliation >= Affiliation::Admin);
        let (owner, _) = ours
            .iter()
            .find(|(_, affiliation)| *affiliation == Affiliation::Owner)?;
        if !is_ready {
            // Somebody there has to be entitled first; another time, then.
            let (nick, _) = dice.pick(&theirs)?;
            let local = self.host(&shadow).room(&shadow).local(nick);
            let user = local.map(|local| local.jid.to_bare())?;
            let rank = if dice.chance(50) {
                Affiliation::Owner
            } else {
                Affiliation::Admin
            };
            self.fed.at(&service_of(&source), |host| {
                drop(host.affiliate(&source, owner, &user, rank, None));
            });
            return None;
        }
        Some((number, shadow))
    }

    fn duel(&mut self, dice: &mut Dice) {
        let Some((number, shadow)) = self.duellists(dice) else {
            return;
        };
        let source = self.groups[number].source.clone();
        if !self.plan.setup.has_faults {
            return self.fight(number, &shadow, dice);
        }
        self.checkers.unsettle();
        let timeout = self.plan.setup.link_timeout_ms;
        let ms = Some(3 * timeout + dice.below(2 * timeout));
        let (a, b) = (service_of(&source), service_of(&shadow));
        self.set(&a, &b, Mode::Swallows, ms);
        self.set(&b, &a, Mode::Swallows, ms);
        self.later(
            timeout + dice.below(2 * timeout),
            Due::Duel(number, shadow, dice.roll()),
        );
    }

    /// A shadow that cannot reach its source changes something; the source does when that is on its way.
    fn ambush(&mut self, dice: &mut Dice) {
        let Some((number, shadow)) = self.duellists(dice) else {
            return;
        };
        self.checkers.unsettle();
        let source = service_of(&self.groups[number].source);
        let timeout = self.plan.setup.link_timeout_ms;
        let ms = Some(3 * timeout + dice.below(timeout));
        self.set(&source, &service_of(&shadow), Mode::Swallows, ms);
        self.set(&service_of(&shadow), &source, Mode::Swallows, ms);
        let ambush = Ambush {
            group: number,
            shadow,
            what: dice.below(WHAT),
            victim: self.anybody(dice),
        };
        self.later(2 * timeout + dice.below(timeout), Due::Ambush(ambush));
    }

    /// The shadow changes it.
    pub fn set_ambush(&mut self, ambush: Ambush) {
        if !self.groups[ambush.group].has_ended {
            self.change(ambush.group, &ambush.shadow, ambush.what, &ambush.victim);
            self.ambushes.push(ambush);
        }
    }

    /// The source changes it, when what the shadow has changed is offered.
    pub fn spring_ambushes(&mut self) {
        let is_offered = |ambush: &Ambush| {
            let from = service_of(&ambush.shadow);
            let mut flights = self.fed.net.flights().filter(|flight| flight.from == from);
            flights.any(|flight| flight.xml.contains("<act ") && flight.xml.contains("<was"))
        };
        let Some(place) = self.ambushes.iter().position(is_offered) else {
            return;
        };
        let ambush = self.ambushes.swap_remove(place);
        let group = &self.groups[ambush.group];
        let source = group.source.clone();
        if !group.has_ended && self.fed.runs(&service_of(&source)) {
            self.change(ambush.group, &source, ambush.what, &ambush.victim);
        }
    }

    fn volley(&mut self, dice: &mut Dice) {
        let Some((number, shadow)) = self.duellists(dice) else {
            return;
        };
        self.checkers.unsettle();
        let (from, to) = (service_of(&self.groups[number].source), service_of(&shadow));
        let weather = Weather {
            duplicates: 500,
            ..Weather::default()
        };
        self.tell(format!("{from} → {to}: {weather:?}"));
        self.fed.net.set_weather(&from, &to, weather);
        let mut ms = 0;
        for _ in 0..dice.between(2, 5) {
            self.later(ms, Due::Shot(number, 1 + dice.below(WHAT - 1)));
            ms += dice.between(1, 200);
        }
        self.later(ms, Due::Clear(from, to));
    }

    /// One change of a volley.
    pub fn shoot(&mut self, number: usize, what: u64) {
        let source = self.groups[number].source.clone();
        if !self.groups[number].has_ended && self.fed.runs(&service_of(&source)) {
            let nobody = bare("nobody@s0.example");
            self.change(number, &source, what, &nobody);
        }
    }

    pub fn anybody(&self, dice: &mut Dice) -> BareJid {
        bare(&format!(
            "user{}@s{}.example",
            dice.below(USERS),
            dice.below(self.honest_services() as u64)
        ))
    }

    /// Who is here of our own, with their affiliations.
    fn ranked(&self, room: &BareJid) -> Vec<(String, Affiliation)> {
        let Some(host_room) = self.host(room).rooms.get(room) else {
            return Vec::new();
        };
        let locals = host_room.locals();
        locals
            .map(|(nick, local)| (nick.clone(), local.affiliation))
            .collect()
    }

    pub fn fight(&mut self, number: usize, shadow: &BareJid, dice: &mut Dice) {
        if self.groups[number].has_ended {
            return;
        }
        let source = self.groups[number].source.clone();
        let victim = self.anybody(dice);
        let what = match self.plan.setup.kind {
            Kind::Rulings if dice.chance(80) => WHAT + dice.below(RULED),
            Kind::Pictures if dice.chance(80) => WHAT + RULED,
            _ => dice.below(WHAT),
        };
        for room in [source, shadow.clone()] {
            self.change(number, &room, what, &victim);
        }
        if what == 0 {
            // Perhaps one of them is banned by now and does not know.
            self.later(1 + dice.below(4_000), Due::Talk(number, shadow.clone()));
        }
    }

    /// Everybody at an instance says something.
    pub fn talk(&mut self, number: usize, room: &BareJid) {
        let group = &self.groups[number];
        if group.has_ended || !self.instances(group).contains(room) {
            return;
        }
        let locals = self.host(room).room(room).locals();
        let people: Vec<(String, u64)> = locals
            .map(|(nick, local)| (nick.clone(), local.session))
            .collect();
        for (nick, session) in people {
            self.count += 1;
            let (id, payload) = (
                format!("id{}", self.count),
                format!("<body>{room}#{session} says {}</body>", self.count),
            );
            self.fed.at(&service_of(room), |host| {
                drop(host.say(room, &nick, Some(&id), &payload));
            });
        }
    }

    /// Whoever is most entitled at an instance changes something.
    fn change(&mut self, number: usize, room: &BareJid, what: u64, victim: &BareJid) {
        self.checkers.govern(number);
        self.checkers.loosen(number);
        self.count += 1;
        if what >= WHAT {
            return self.rule(room, what - WHAT, victim);
        }
        let text = format!("duel {}", self.count);
        let entitled = self.ranked(room);
        let entitled = entitled
            .iter()
            .filter(|(_, affiliation)| *affiliation >= Affiliation::Admin);
        let Some((nick, _)) = entitled.max_by_key(|(_, affiliation)| *affiliation) else {
            return;
        };
        let rank = [Affiliation::Outcast, Affiliation::Member, Affiliation::None][(self.count % 3) as usize];
        self.tell(format!(
            "{nick} at {room} fights: {what} {victim} {rank:?} {text}"
        ));
        self.fed.at(&service_of(room), |host| match what {
            0 => drop(host.affiliate(room, nick, victim, rank, None)),
            1 => drop(host.set_subject(room, nick, &text)),
            _ => drop(host.configure(room, nick, &[("muc#roomconfig_roomname", &text)])),
        });
    }

    fn act_xep(&mut self, deed: Deed, room: &BareJid, nick: &str, count: u64) {
        let service = service_of(room);
        let session = self.fed.xep[&service].rooms[room].locals[nick].session;
        self.fed.at_xep(service.as_str(), |peer| match deed {
            Deed::Leave => peer.leave(room, nick),
            Deed::Say => {
                let payload = format!("<body>{room}#{session} says {count}</body>");
                peer.say(room, nick, Some(&format!("id{count}")), &payload);
            }
            _ => {}
        });
    }

    fn end(&mut self, deed: Deed, dice: &mut Dice) {
        let alive = self.groups_where(|group| !group.has_ended && self.fed.runs(&service_of(&group.source)));
        let Some(number) = dice.pick(&alive).copied() else {
            return;
        };
        let group = self.groups[number].clone();
        let room = &group.source;
        self.checkers.end(number);
        self.fed.at(&service_of(room), |host| {
            host.fuse = None;
            match deed {
                Deed::Undistribute if group.is_distributed => host.undistribute(room, Some("enough")),
                _ => host.destroy(room, Some("enough"), None),
            }
            host.flush();
        });
        self.groups[number].has_ended = true;
    }
}
