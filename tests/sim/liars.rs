//! A service that lies. It runs the engine, so that it is told everything an instance is told; what it sends is sometimes
//! something else, and besides it makes up stanzas of every kind, with true ids, nicks and JIDs wherever they help. What
//! it may say of its own people is nobody's business; everything else must change nothing between honest services.

use dmuc::address::BareJid;

use crate::support::dice::Dice;
use crate::support::event::{Event, Seen};
use crate::support::federation::EPOCH_MS;
use crate::support::names::{bare, full, service_of};
use crate::world::World;

/// By this what a liar makes up is told from what people say.
const MARK: &str = "<body>lie ";
/// How many of a hundred stanzas that its engine sends are changed on the way.
const CHANGED: u64 = 25;
/// How many stanzas a flood has.
const FLOOD: usize = 120;

/// Whom a lie is about: an honest room, seen with all that can be known of it.
struct Scene {
    /// The liar's instance of the room.
    me: BareJid,
    /// Who is told.
    to: BareJid,
    /// All honest instances.
    instances: Vec<BareJid>,
    /// Nick, occupant-id and real JID of everybody who is at one of these.
    people: Vec<(String, String, String)>,
    /// Stanza-ids of the latest messages, and their numbers.
    ids: Vec<(String, BareJid, u64, u64)>,
    /// Those of the latest messages anywhere, also of what has not arrived where the lie is told.
    early_ids: Vec<String>,
    room_id: String,
    now_ms: u64,
}

impl World {
    fn liar(&self) -> Option<BareJid> {
        let mut liars = self.fed.liars.iter();
        liars.find(|liar| self.fed.runs(liar)).cloned()
    }

    fn scene(&self, dice: &mut Dice) -> Option<Scene> {
        let liar = self.liar()?;
        let alive = self.groups_where(|group| group.is_distributed && !group.has_ended);
        let group = &self.groups[*dice.pick(&alive)?];
        let instances = self.instances(group);
        let to = dice.pick(&instances)?.clone();
        let mut own = self.fed.hosts[&liar].engine.rooms();
        let me = own.find(|room| {
            let info = self.fed.hosts[&liar].engine.room_info(room);
            info.is_some_and(|info| info.source.as_ref() == Some(&group.source))
        });
        let room_id = to.node().unwrap_or("room").to_owned();
        let made_up = bare(&format!("{room_id}@{liar}"));
        let mut people = Vec::new();
        for room in &instances {
            let locals = self.host(room).room(room).locals();
            people.extend(
                locals.map(|(nick, local)| (nick.clone(), local.occupant_id.clone(), local.jid.to_string())),
            );
        }
        let latest = self.host(&to).messages(&to).into_iter().rev().take(10);
        let ids = latest.map(|entry| {
            let key = &entry.key;
            (entry.id.clone(), key.origin.clone(), key.incarnation, key.seq)
        });
        let mut early_ids = Vec::new();
        for room in instances.iter().filter(|_| self.plan.setup.ids_on_their_way) {
            let latest = self.host(room).messages(room).into_iter().rev().take(3);
            early_ids.extend(latest.map(|entry| entry.id.clone()));
        }
        Some(Scene {
            early_ids,
            me: me.cloned().unwrap_or(made_up),
            ids: ids.collect(),
            to,
            instances,
            people,
            room_id,
            now_ms: EPOCH_MS + self.fed.now_ms,
        })
    }

    /// Some lies.
    pub fn lie(&mut self, dice: &mut Dice) {
        for _ in 0..dice.between(1, 4) {
            let (Some(liar), Some(scene)) = (self.liar(), self.scene(dice)) else {
                return;
            };
            self.count += 1;
            let what = dice.below(LIES.len() as u64) as usize;
            let Some((name, lie)) = LIES.get(what) else { return };
            self.tell(format!("{liar} lies to {}: {name}", scene.to));
            for xml in lie(&scene, dice, self.count) {
                self.fed.forge(&liar, xml);
            }
        }
    }

    /// The liar has people, too, who do as people do.
    pub fn mislead(&mut self, dice: &mut Dice) {
        let (Some(liar), Some(scene)) = (self.liar(), self.scene(dice)) else {
            return;
        };
        self.count += 1;
        let count = self.count;
        let user = full(&format!("user{}@{liar}/r", dice.below(3)));
        let nick = scene.anyones_nick(dice);
        let host = &self.fed.hosts[&liar];
        let own = host.rooms.get(&scene.me);
        let own: Vec<String> = own.map_or_else(Vec::new, |room| {
            room.locals().map(|(nick, _)| nick.clone()).collect()
        });
        let speaker = dice.pick(&own).cloned();
        self.fed.at(&liar, |host| match (dice.below(4), speaker) {
            (0 | 1, Some(speaker)) => {
                let payload = format!("{MARK}{count}</body>");
                drop(host.say(&scene.me, &speaker, Some(&format!("id{count}")), &payload));
            }
            (2, Some(speaker)) => drop(host.leave(&scene.me, &speaker)),
            _ => drop(host.join(&scene.me, &nick, &user, "")),
        });
    }

    /// What liars' engines are about to send goes out, some of it changed, left out or told twice.
    pub fn pass_on_lies(&mut self) {
        for (liar, xml) in std::mem::take(&mut self.fed.told) {
            let mut dice = Dice::new(self.dice.roll());
            if !self.is_lying || !dice.chance(CHANGED) {
                self.fed.forge(&liar, xml);
                continue;
            }
            self.count += 1;
            let scene = self.scene(&mut dice);
            let changed = scene.map_or_else(
                || vec![xml.clone()],
                |scene| scene.change(&xml, &mut dice, self.count),
            );
            for xml in changed {
                self.fed.forge(&liar, xml);
            }
        }
    }

    /// Between honest services a liar counts for nothing: what it says and what is said to it is looked at by itself.
    pub fn leave_out_lies(&mut self, events: &mut Vec<Event>) -> Result<(), String> {
        if self.fed.liars.is_empty() {
            return Ok(());
        }
        let liars = self.fed.liars.clone();
        let is_liars = |room: &BareJid| liars.contains(&service_of(room));
        let (mut kept, mut lies) = (Vec::new(), Vec::new());
        for event in std::mem::take(events) {
            let is_lie = match &event {
                Event::Refused { from, .. } => is_liars(&from.to_bare()),
                Event::Noticed { peer, notice, .. } => {
                    use dmuc::engine::Notice;
                    is_liars(peer) || matches!(notice, Notice::Differs { origin } if is_liars(origin))
                }
                Event::Kept { payload, .. } => payload.contains(MARK),
                Event::Saw {
                    seen: Seen::Message(message),
                    ..
                } => message.payload.contains(MARK),
                Event::Private { room, to, token, .. } => {
                    is_liars(to) && self.lost_privates.insert((room.clone(), *token))
                }
                Event::PrivateEnded { room, token, .. } | Event::PrivateArrived { room, token } => {
                    self.lost_privates.contains(&(room.clone(), *token))
                }
                _ => false,
            };
            if is_lie {
                lies.push(event);
            } else {
                kept.push(event);
            }
        }
        *events = kept;
        self.map_instances();
        lies.iter().try_for_each(|event| self.checkers.lie(event))
    }
}

type Lie = fn(&Scene, &mut Dice, u64) -> Vec<String>;

const LIES: [(&str, Lie); 17] = [
    ("a message", Scene::message),
    ("a message that nobody has numbered", Scene::unnumbered),
    ("a presence", Scene::presence),
    ("somebody is gone", Scene::absence),
    ("a roster", Scene::roster),
    ("a configuration", Scene::config),
    ("an act", Scene::act),
    ("a message is taken away", Scene::moderation),
    ("a subject", Scene::subject),
    ("an instance", Scene::instance),
    ("a room of its own", Scene::own_room),
    ("a digest", Scene::digest),
    ("it lacks something", Scene::lack),
    ("an end", Scene::end),
    ("an error", Scene::error),
    ("an answer", Scene::answer),
    ("a flood", Scene::flood),
];

/// A number at the edge of what anybody counts to, or near one that is in use.
fn odd_number(dice: &mut Dice, near: u64) -> u64 {
    let edges = [
        0,
        1,
        near,
        near + 1,
        near.saturating_sub(1),
        near + 1_000,
        1 << 31,
        (1 << 53) - 1,
        1 << 53,
        (1 << 63) - 1,
        1 << 63,
        u64::MAX,
    ];
    dice.pick(&edges).copied().unwrap_or(0)
}

impl Scene {
    fn odd_time(&self, dice: &mut Dice) -> String {
        let now = self.now_ms;
        let year = 31_536_000_000;
        let times = [
            now,
            now + 240_000,
            now + 600_000,
            now + year,
            4_102_444_800_000,
            (1 << 53) - 1,
            now - 3_600_000,
            0,
        ];
        let counter = if dice.chance(80) { 0 } else { u32::MAX };
        format!("{}.{counter}", dice.pick(&times).copied().unwrap_or(now))
    }

    fn anyones_nick(&self, dice: &mut Dice) -> String {
        let nick = dice.pick(&self.people).map(|(nick, _, _)| nick.clone());
        nick.filter(|_| dice.chance(50))
            .unwrap_or_else(|| format!("evil{}", dice.below(4)))
    }

    fn anyones_id(&self, dice: &mut Dice) -> String {
        let id = dice.pick(&self.people).map(|(_, id, _)| id.clone());
        id.filter(|_| dice.chance(70))
            .unwrap_or_else(|| "nobody".to_owned())
    }

    fn anyones_jid(&self, dice: &mut Dice) -> String {
        let jid = dice.pick(&self.people).map(|(_, _, jid)| jid.clone());
        jid.filter(|_| dice.chance(70))
            .unwrap_or_else(|| "victim@s0.example/home".to_owned())
    }

    fn anyones_bare_jid(&self, dice: &mut Dice) -> String {
        full(&self.anyones_jid(dice)).to_bare().to_string()
    }

    /// Some instance, perhaps one that is not.
    fn anyones_room(&self, dice: &mut Dice) -> BareJid {
        let mut rooms = self.instances.clone();
        rooms.extend([
            self.me.clone(),
            bare(&format!("{}@rooms.third.example", self.room_id)),
        ]);
        dice.pick(&rooms).cloned().unwrap_or_else(|| self.me.clone())
    }

    fn message_id(&self, dice: &mut Dice, count: u64) -> String {
        let id = match self.early_ids.is_empty() || dice.chance(50) {
            true => dice.pick(&self.ids).map(|(id, ..)| id.clone()),
            false => dice.pick(&self.early_ids).cloned(),
        };
        id.filter(|_| dice.chance(30))
            .unwrap_or_else(|| format!("lie-{count}"))
    }

    /// The number of some message here, or one beyond.
    fn number(&self, dice: &mut Dice) -> (BareJid, u64, u64) {
        let known = dice
            .pick(&self.ids)
            .map(|(_, origin, life, seq)| (origin.clone(), *life, *seq));
        let (origin, life, seq) = known.unwrap_or((self.to.clone(), self.now_ms, 1));
        match dice.below(4) {
            0 => (origin, life, seq + 1),
            1 => (origin, life, odd_number(dice, seq)),
            2 => (origin, odd_number(dice, life), odd_number(dice, seq)),
            _ => (origin, life, seq),
        }
    }

    fn iq(&self, from: &BareJid, to: &BareJid, kind: &str, count: u64, payload: &str) -> String {
        format!("<iq from='{from}' to='{to}' id='lie{count}' type='{kind}'>{payload}</iq>")
    }

    fn event(&self, dice: &mut Dice, count: u64, life: Option<u64>) -> String {
        let (origin, own, seq) = self.number(dice);
        let life = life.unwrap_or(own);
        let origin = if dice.chance(20) {
            format!(" origin='{origin}'")
        } else {
            String::new()
        };
        let roster = if dice.chance(50) {
            format!(" roster='{}'", odd_number(dice, self.now_ms))
        } else {
            String::new()
        };
        let (id, at) = (self.message_id(dice, count), self.odd_time(dice));
        format!("<event xmlns='urn:x-dmuc:0' id='{id}' inc='{life}' seq='{seq}' at='{at}'{origin}{roster}/>")
    }

    fn groupchat(&self, nick: &str, count: u64, extra: &str) -> String {
        let (me, to) = (&self.me, &self.to);
        format!(
            "<message from='{me}/{nick}' to='{to}/{nick}' type='groupchat' id='lie{count}'>{MARK}{count}</body>\
             <stanza-id xmlns='urn:xmpp:sid:0' by='{to}' id='lie'/>{extra}</message>"
        )
    }

    fn message(&self, dice: &mut Dice, count: u64) -> Vec<String> {
        let (nick, event) = (self.anyones_nick(dice), self.event(dice, count, None));
        vec![self.groupchat(&nick, count, &event)]
    }

    fn unnumbered(&self, dice: &mut Dice, count: u64) -> Vec<String> {
        let nick = self.anyones_nick(dice);
        let event = if dice.chance(70) {
            self.event(dice, count, Some(0))
        } else {
            String::new()
        };
        vec![self.groupchat(&nick, count, &event)]
    }

    fn occupant(&self, dice: &mut Dice) -> String {
        let (serial, version) = (odd_number(dice, self.now_ms), odd_number(dice, self.now_ms));
        let id = self.anyones_id(dice);
        format!("<occupant xmlns='urn:x-dmuc:0' id='{id}' serial='{serial}' version='{version}'/>")
    }

    fn rank(dice: &mut Dice) -> (&'static str, &'static str) {
        let ranks = [
            ("owner", "moderator"),
            ("admin", "moderator"),
            ("member", "participant"),
            ("none", "visitor"),
            ("outcast", "none"),
        ];
        dice.pick(&ranks).copied().unwrap_or(ranks[0])
    }

    fn presence_of(&self, nick: &str, kind: &str, item: &str, occupant: &str) -> String {
        let (me, to) = (&self.me, &self.to);
        format!(
            "<presence from='{me}/{nick}' to='{to}/{nick}'{kind}><x xmlns='http://jabber.org/protocol/muc#user'>{item}</x>\
             {occupant}</presence>"
        )
    }

    fn presence(&self, dice: &mut Dice, _: u64) -> Vec<String> {
        let ((affiliation, role), jid) = (Scene::rank(dice), self.anyones_jid(dice));
        let jid = if dice.chance(60) {
            format!(" jid='{jid}'")
        } else {
            String::new()
        };
        let item = format!("<item affiliation='{affiliation}' role='{role}'{jid}/>");
        let (nick, occupant) = (self.anyones_nick(dice), self.occupant(dice));
        let occupant = if dice.chance(70) { occupant } else { String::new() };
        vec![self.presence_of(&nick, "", &item, &occupant)]
    }

    fn absence(&self, dice: &mut Dice, _: u64) -> Vec<String> {
        let (nick, new_nick) = (self.anyones_nick(dice), self.anyones_nick(dice));
        let code = dice.pick(&[301, 303, 307, 322, 332]).copied().unwrap_or(307);
        let item = format!("<item affiliation='none' role='none' nick='{new_nick}'/><status code='{code}'/>");
        let occupant = self.occupant(dice);
        vec![self.presence_of(&nick, " type='unavailable'", &item, &occupant)]
    }

    fn roster_of(&self, dice: &mut Dice, count: u64) -> String {
        let mut items = String::new();
        for _ in 0..dice.between(1, 12) {
            let ((affiliation, role), jid) = (Scene::rank(dice), self.anyones_jid(dice));
            let (nick, occupant) = (self.anyones_nick(dice), self.occupant(dice));
            items.push_str(&match dice.below(3) {
                0 => format!("<item affiliation='{affiliation}' jid='lie{count}@s0.example'/>"),
                1 => format!("<item affiliation='{affiliation}' jid='{}'/>", self.anyones_bare_jid(dice)),
                _ => format!("<item affiliation='{affiliation}' role='{role}' jid='{jid}' name='{nick}'>{occupant}</item>"),
            });
        }
        let (version, settings) = (odd_number(dice, self.now_ms), odd_number(dice, self.now_ms));
        let lists = dice.chance(50);
        format!(
            "<roster xmlns='urn:xmpp:dmuc:0'><snapshot xmlns='urn:x-dmuc:0' version='{version}' occupants='true' \
             affiliations='{lists}' term='0' settings='{settings}'/>{items}</roster>"
        )
    }

    fn roster(&self, dice: &mut Dice, count: u64) -> Vec<String> {
        let roster = self.roster_of(dice, count);
        vec![self.iq(&self.me, &self.to, "set", count, &roster)]
    }

    fn config_of(&self, dice: &mut Dice, count: u64) -> String {
        let (version, third) = (odd_number(dice, self.now_ms), self.anyones_room(dice));
        format!(
            "<config xmlns='urn:xmpp:dmuc:0'><x xmlns='jabber:x:data' type='form'><field type='hidden' var='FORM_TYPE'>\
             <value>http://jabber.org/protocol/muc#roomconfig</value></field><field var='muc#roomconfig_roomname'>\
             <value>lie {count}</value></field><field var='muc#roomconfig_membersonly'><value>1</value></field></x>\
             <settings xmlns='urn:x-dmuc:0' salt='lie' term='0' version='{version}'><instance jid='{third}'/></settings></config>"
        )
    }

    fn config(&self, dice: &mut Dice, count: u64) -> Vec<String> {
        let config = self.config_of(dice, count);
        vec![self.iq(&self.me, &self.to, "set", count, &config)]
    }

    fn act(&self, dice: &mut Dice, count: u64) -> Vec<String> {
        let (actor, nick, jid) = (
            self.anyones_nick(dice),
            self.anyones_nick(dice),
            self.anyones_bare_jid(dice),
        );
        let target = self.anyones_bare_jid(dice);
        let id = self.message_id(dice, count);
        let serial = odd_number(dice, self.now_ms);
        let acts = [
            format!("<role nick='{nick}' role='none'/>"),
            format!("<role nick='{nick}' role='visitor' serial='{serial}'/>"),
            format!("<affiliation jid='{target}' affiliation='outcast'/>"),
            format!("<affiliation jid='lie{count}@s0.example' affiliation='owner'/>"),
            "<config><x xmlns='jabber:x:data' type='submit'><field var='muc#roomconfig_roomname'><value>lie</value></field></x></config>".to_owned(),
            format!("<moderate id='{id}'/>"),
            format!("<register nick='{nick}'/>"),
            format!("<voice serial='{serial}' request='{serial}'/>"),
            format!("<invite jid='{target}'/>"),
            format!("<decline nick='{nick}'/>"),
            "<destroy/>".to_owned(),
        ];
        let named = if dice.chance(60) {
            format!(" jid='{jid}'")
        } else {
            String::new()
        };
        let act = dice.pick(&acts).cloned().unwrap_or_default();
        let act = format!("<act xmlns='urn:x-dmuc:0' nick='{actor}'{named}>{act}</act>");
        vec![self.iq(&self.me, &self.to, "set", count, &act)]
    }

    fn moderation(&self, dice: &mut Dice, count: u64) -> Vec<String> {
        let (me, to) = (&self.me, &self.to);
        let (id, event) = (self.message_id(dice, count), self.event(dice, count, None));
        vec![format!(
            "<message from='{me}' to='{to}' type='groupchat'>{event}<moderate xmlns='urn:x-dmuc:0' id='{id}'/></message>"
        )]
    }

    fn subject(&self, dice: &mut Dice, count: u64) -> Vec<String> {
        let (me, to, version) = (&self.me, &self.to, odd_number(dice, self.now_ms));
        vec![format!(
            "<message from='{me}' to='{to}' type='groupchat'><subject>lie {count}</subject>\
             <settings xmlns='urn:x-dmuc:0' version='{version}'/></message>"
        )]
    }

    fn instance(&self, dice: &mut Dice, count: u64) -> Vec<String> {
        let third = self.anyones_room(dice).service();
        let gone = if dice.chance(50) { " gone='true'" } else { "" };
        let id = &self.room_id;
        let peerhost =
            format!("<peerhost xmlns='urn:xmpp:dmuc:0' jid='{third}'{gone}><room id='{id}'/></peerhost>");
        let from = if dice.chance(50) {
            self.me.clone()
        } else {
            self.me.service()
        };
        let to = if dice.chance(50) {
            self.to.clone()
        } else {
            self.to.service()
        };
        vec![self.iq(&from, &to, "set", count, &peerhost)]
    }

    /// It makes itself a source: everybody who is in `dmuc_peers` may.
    fn own_room(&self, dice: &mut Dice, count: u64) -> Vec<String> {
        let own = bare(&format!("evil{}@{}", dice.below(3), self.me.service()));
        let id = match dice.below(3) {
            0 => self.room_id.clone(),
            _ => format!("evil-{}-{}", own.node().unwrap_or_default(), dice.below(3)),
        };
        let there = bare(&format!("{id}@{}", self.to.service()));
        let replicate =
            format!("<replicate xmlns='urn:xmpp:dmuc:0' source='{own}'><room id='{id}'/></replicate>");
        let (config, roster) = (self.config_of(dice, count), self.roster_of(dice, count));
        vec![
            self.iq(&own.service(), &there.service(), "set", count, &replicate),
            self.iq(&own, &there, "set", count, &config),
            self.iq(&own, &there, "set", count, &roster),
        ]
    }

    fn digest(&self, dice: &mut Dice, count: u64) -> Vec<String> {
        let (log, seq) = (odd_number(dice, self.now_ms), odd_number(dice, 7));
        let (roster, settings) = (odd_number(dice, self.now_ms), odd_number(dice, self.now_ms));
        let gone = if dice.chance(15) { " gone='true'" } else { "" };
        let id = &self.room_id;
        let line = format!(
            "<room id='{id}' log='{log}.{seq}' roster='{roster}' settings='{settings}' rest='0011223344556677'{gone}/>"
        );
        let time = odd_number(dice, self.now_ms);
        let digest = format!("<digest xmlns='urn:x-dmuc:0' life='lie{count}' time='{time}'>{line}</digest>");
        vec![self.iq(&self.me.service(), &self.to.service(), "set", count, &digest)]
    }

    /// It claims to have seen more than there was.
    fn lack(&self, dice: &mut Dice, count: u64) -> Vec<String> {
        let (origin, life, seq) = self.number(dice);
        let seen = format!("<seen origin='{origin}' inc='{life}' numbers='1-{seq}'/>");
        let sync = format!(
            "<sync xmlns='urn:x-dmuc:0' roster='{}' settings='0' relay='true'>{seen}</sync>",
            odd_number(dice, 1)
        );
        vec![self.iq(&self.me, &self.to, "get", count, &sync)]
    }

    fn end(&self, dice: &mut Dice, count: u64) -> Vec<String> {
        let ends = [
            "<destroy xmlns='urn:x-dmuc:0'/>",
            "<close xmlns='urn:x-dmuc:0'/>",
            "<leave xmlns='urn:x-dmuc:0'/>",
        ];
        let end = dice.pick(&ends).copied().unwrap_or_default();
        vec![self.iq(&self.me, &self.to, "set", count, end)]
    }

    fn error(&self, dice: &mut Dice, count: u64) -> Vec<String> {
        let (me, to, nick) = (&self.me, &self.to, self.anyones_nick(dice));
        let conditions = [
            "conflict",
            "item-not-found",
            "forbidden",
            "remote-server-not-found",
            "not-acceptable",
            "gone",
        ];
        let condition = dice.pick(&conditions).copied().unwrap_or_default();
        let error = format!(
            "<error type='cancel'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
        );
        vec![match dice.chance(50) {
            true => format!(
                "<message from='{me}/{nick}' to='{to}/{nick}' type='error' id='lie{count}'>{error}</message>"
            ),
            false => format!("<presence from='{me}/{nick}' to='{to}/{nick}' type='error'>{error}</presence>"),
        }]
    }

    /// The answer to a question that nobody has asked.
    fn answer(&self, dice: &mut Dice, count: u64) -> Vec<String> {
        let page = format!("<sync xmlns='urn:x-dmuc:0'>{}</sync>", self.page(dice, count));
        vec![self.iq(&self.me, &self.to, "result", count, &page)]
    }

    fn flood(&self, dice: &mut Dice, count: u64) -> Vec<String> {
        let kinds: [Lie; 6] = [
            Scene::presence,
            Scene::message,
            Scene::lack,
            Scene::digest,
            Scene::own_room,
            Scene::act,
        ];
        let kind = dice.pick(&kinds).copied().unwrap_or(kinds[0]);
        (0..FLOOD)
            .flat_map(|_| kind(self, dice, count))
            .take(FLOOD)
            .collect()
    }

    /// What a page tells: of anybody, under any number.
    fn page(&self, dice: &mut Dice, count: u64) -> String {
        let mut page = String::new();
        for part in 0..dice.between(1, 4) {
            let (origin, life, seq) = self.number(dice);
            let origin = if dice.chance(40) { self.me.clone() } else { origin };
            let (id, at) = (self.message_id(dice, count * 10 + part), self.odd_time(dice));
            let (nick, occupant) = (self.anyones_nick(dice), self.anyones_id(dice));
            let target = self.message_id(dice, count);
            page.push_str(&format!("<events origin='{origin}' inc='{life}'>"));
            page.push_str(&match dice.chance(85) {
                true => format!(
                    "<message xmlns='jabber:client' event='{id}' seq='{seq}' at='{at}' nick='{nick}' occupant='{occupant}'>\
                     {MARK}{count}.{part}</body></message>"
                ),
                false => format!(
                    "<message xmlns='jabber:client' event='{id}' seq='{seq}' at='{at}'>\
                     <moderate xmlns='urn:x-dmuc:0' id='{target}'/></message>"
                ),
            });
            page.push_str("</events>");
        }
        let (origin, life, seq) = self.number(dice);
        if dice.chance(30) && life > 0 && seq > 0 {
            page = format!("<seen origin='{origin}' inc='{life}' numbers='1-{seq}' first='1'/>{page}");
        }
        page
    }

    /// Something that the liar's engine is about to send, otherwise.
    fn change(&self, xml: &str, dice: &mut Dice, count: u64) -> Vec<String> {
        if xml.contains("type='result'><sync ") && dice.chance(70) {
            let page = self.page(dice, count);
            let more = if dice.chance(20) { " more='true'" } else { "" };
            let start = format!("<sync xmlns='urn:x-dmuc:0'{more}>");
            let changed = match xml.contains("<sync xmlns='urn:x-dmuc:0'/>") {
                true => xml.replace("<sync xmlns='urn:x-dmuc:0'/>", &format!("{start}{page}</sync>")),
                false => xml.replace("</sync>", &format!("{page}</sync>")),
            };
            return vec![changed];
        }
        match dice.below(6) {
            0 => Vec::new(),
            1 => vec![xml.to_owned(), xml.to_owned()],
            2 => vec![self.with_attr(xml, dice, &["nick", "name"], |scene, dice| {
                scene.anyones_nick(dice)
            })],
            3 => {
                vec![
                    self.with_attr(xml, dice, &["jid", "origin", "source"], |scene, dice| match dice
                        .chance(50)
                    {
                        true => scene.anyones_jid(dice),
                        false => scene.anyones_room(dice).to_string(),
                    }),
                ]
            }
            _ => {
                let numbers = [
                    "serial", "version", "seq", "inc", "roster", "settings", "log", "time",
                ];
                vec![self.with_attr(xml, dice, &numbers, |scene, dice| {
                    odd_number(dice, scene.now_ms).to_string()
                })]
            }
        }
    }

    /// The same with another value of one of these attributes, if it has one.
    fn with_attr(
        &self,
        xml: &str,
        dice: &mut Dice,
        names: &[&str],
        value: impl Fn(&Scene, &mut Dice) -> String,
    ) -> String {
        let places: Vec<(usize, usize)> = names
            .iter()
            .flat_map(|name| {
                let start = format!(" {name}='");
                let length = start.len();
                let found: Vec<usize> = xml.match_indices(&start).map(|(at, _)| at + length).collect();
                found
            })
            .filter_map(|at| Some((at, at + xml.get(at..)?.find('\'')?)))
            .collect();
        match dice.pick(&places) {
            Some((from, to)) => format!("{}{}{}", &xml[..*from], value(self, dice), &xml[*to..]),
            None => xml.to_owned(),
        }
    }
}
