//! Seeded random values (splitmix64): a failing seed replays.

use dmuc::address::{BareJid, Jid};
use dmuc::wire::{
    Act, ActKind, Affiliation, Avatar, AvatarPart, AvatarQuery, Close, Condition, Config, Destroy, DiscoInfo,
    ErrorType, EventStamp, Field, Form, Hats, History, HistoryMessage, HistoryResult, Hlc, Identity, Listed,
    MucItem, OccupantExtra, OccupantStamp, Peerhost, Replicate, Request, Response, Role, RoomId, Roster,
    RosterExtra, RosterItem, SettingsExtra, StanzaError, Steering, Subject, escaped, limits,
};

pub struct Gen(pub u64);

impl Gen {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub fn flip(&mut self) -> bool {
        self.below(2) == 0
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    pub fn maybe<T>(&mut self, make: impl FnOnce(&mut Gen) -> T) -> Option<T> {
        self.flip().then(|| make(self))
    }

    pub fn some<T>(&mut self, most: usize, mut make: impl FnMut(&mut Gen) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| make(self)).collect()
    }

    /// Any text XML can hold, the awkward characters included.
    pub fn text(&mut self) -> String {
        let awkward = [
            '<', '>', '&', '\'', '"', '\n', '\t', '\r', ' ', 'ä', '魔', '🧙', ']', 'a', 'Z', '0', ';',
        ];
        self.some(12, |g| g.pick(&awkward)).into_iter().collect()
    }

    pub fn word(&mut self) -> String {
        let length = 1 + self.below(12);
        (0..length)
            .map(|_| self.pick(&['a', 'b', 'c', 'x', '0', '9', '-', '_', '.']))
            .collect()
    }

    /// A number, often small, sometimes at the edge.
    pub fn number(&mut self) -> u64 {
        let (small, any) = (self.next() % 100, self.next());
        self.pick(&[small, small, any, u64::MAX, 0])
    }

    /// A number one can go on counting from.
    pub fn countable(&mut self) -> u64 {
        self.number() >> 1
    }

    pub fn stamp(&mut self) -> i64 {
        -62_167_219_200_000 + (self.next() % 315_569_520_000_000) as i64
    }

    pub fn nick(&mut self) -> String {
        let nick = format!(
            "{}{}",
            self.word(),
            self.pick(&["", " the witch", "ä", "<&'\">", "/@", "魔女"])
        );
        jid::ResourcePart::new(&nick).unwrap().into_owned().into_inner()
    }

    pub fn bare(&mut self) -> BareJid {
        let local = self.word();
        BareJid::new(&format!("{local}@{}", self.domain())).unwrap()
    }

    pub fn domain(&mut self) -> BareJid {
        BareJid::new(self.pick(&["chat.shakespeare.lit", "rooms.macbeth.lit", "localhost", "[::1]"])).unwrap()
    }

    pub fn jid(&mut self) -> Jid {
        let bare = self.bare();
        match self.flip() {
            true => bare.into(),
            false => bare.with_resource(&self.nick()).unwrap().into(),
        }
    }

    pub fn full(&mut self) -> Jid {
        let bare = self.bare();
        bare.with_resource(&self.nick()).unwrap().into()
    }

    pub fn room(&mut self) -> RoomId {
        RoomId::new(&self.word()).unwrap()
    }

    pub fn affiliation(&mut self) -> Affiliation {
        use Affiliation::{Admin, Member, None, Outcast, Owner};
        self.pick(&[Outcast, None, Member, Admin, Owner])
    }

    pub fn role(&mut self) -> Role {
        self.pick(&[Role::None, Role::Visitor, Role::Participant, Role::Moderator])
    }

    /// A payload in the form in which we write one.
    pub fn payload(&mut self) -> String {
        let elements = [
            "<body>Message &amp; 4.</body>",
            "<body xml:lang='en'>two &lt;b&gt;</body>",
            "<show>away</show>",
            "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' ver='x&apos;y'/>",
            "<delay xmlns='urn:xmpp:delay' stamp='2002-10-13T23:58:37Z'/>",
            "<x xmlns='urn:a'><y>1</y><z xmlns='urn:b'><y xmlns='urn:a'/> mixed <y/></z></x>",
            "<reactions xmlns='urn:xmpp:reactions:0' id='1'><reaction>🧙</reaction></reactions>",
            "<a xmlns='urn:a' xmlns:ns0='urn:attr' ns0:k='v'/>",
        ];
        self.some(4, |g| g.pick(&elements)).concat()
    }

    pub fn form(&mut self) -> Form {
        let mut form = Form::default();
        for i in 0..self.below(6) {
            let values = self.some(3, Gen::text);
            form.fields.push(Field {
                var: format!("muc#roomconfig_{i}{}", self.text()),
                values,
            });
        }
        form
    }

    pub fn event(&mut self) -> EventStamp {
        EventStamp {
            id: format!("{}{}", self.word(), self.text()),
            origin: self.maybe(Gen::bare),
            incarnation: self.countable(),
            seq: self.countable(),
            at: self.hlc(),
            roster: self.maybe(Gen::countable),
        }
    }

    /// A time up to the last one that is taken.
    pub fn hlc(&mut self) -> Hlc {
        Hlc {
            wall_ms: self.number() >> 11,
            counter: self.number() as u32,
        }
    }

    pub fn item(&mut self) -> MucItem {
        MucItem {
            affiliation: self.affiliation(),
            role: self.role(),
            jid: self.maybe(Gen::jid),
            nick: self.maybe(Gen::nick),
            reason: self.maybe(Gen::text),
            actor: self.maybe(Gen::nick),
        }
    }

    pub fn occupant_stamp(&mut self) -> OccupantStamp {
        OccupantStamp {
            occupant_id: self.maybe(Gen::word),
            serial: self.countable(),
            version: self.maybe(Gen::countable),
        }
    }

    pub fn config(&mut self) -> Config {
        let subject = |g: &mut Gen| Subject {
            nick: g.maybe(Gen::nick),
            stamp: g.stamp(),
            text: g.text(),
        };
        let settings = |g: &mut Gen| SettingsExtra {
            term: g.countable(),
            version: g.countable(),
            salt: g.maybe(Gen::word),
            subject: g.maybe(subject),
            avatar: g.maybe(Gen::avatar),
            instances: g.some(3, Gen::domain),
            said: g.maybe(|g| {
                let latest = |g: &mut Gen| (g.bare(), (g.countable().max(1), g.countable().max(1)));
                g.some(3, latest).into_iter().collect()
            }),
        };
        Config {
            form: self.form(),
            settings: self.maybe(settings),
        }
    }

    fn avatar(&mut self) -> Avatar {
        Avatar {
            hash: self.word(),
            bytes: 1 + self.below(limits::MAX_AVATAR_BYTES) as u64,
        }
    }

    fn hats(&mut self) -> Hats {
        let hats = self.some(3, |g| {
            (g.word(), g.maybe(Gen::text), g.maybe(Gen::word), g.flip())
        });
        let mut xml = "<hats xmlns='urn:xmpp:hats:0'>".to_owned();
        for (n, (uri, title, hue, is_full)) in hats.into_iter().enumerate() {
            xml.push_str(&format!("<hat uri='{}'", escaped(&format!("{uri}{n}"))));
            if let Some(title) = title {
                xml.push_str(&format!(" title='{}'", escaped(&title)));
            }
            if let Some(hue) = hue {
                xml.push_str(&format!(" hue='{hue}' xml:lang='en'"));
            }
            let held = if is_full {
                "<badge xmlns='urn:example:badges' level='3'/>"
            } else {
                ""
            };
            xml.push_str(&format!(">{held}</hat>"));
        }
        xml.push_str("</hats>");
        Hats::parse(&xml).unwrap()
    }

    fn roster_item(&mut self) -> RosterItem {
        let (jid, nick) = match self.below(3) {
            0 => (Some(self.jid()), None),
            1 => (None, Some(self.nick())),
            _ => (Some(self.jid()), Some(self.nick())),
        };
        RosterItem {
            affiliation: self.affiliation(),
            role: self.maybe(Gen::role),
            jid,
            nick,
            reserved_nick: self.maybe(Gen::nick),
            hats: self.hats(),
            reason: self.maybe(Gen::text),
            actor: self.maybe(Gen::nick),
            occupant: self.maybe(|g| OccupantExtra {
                occupant_id: g.maybe(Gen::word),
                serial: g.countable(),
                payload: g.payload(),
            }),
        }
    }

    pub fn roster(&mut self) -> Roster {
        let extra = |g: &mut Gen| RosterExtra {
            version: g.countable(),
            occupants: g.flip(),
            affiliations: g.flip(),
            more: g.flip(),
            part: g.countable(),
            term: g.maybe(Gen::countable),
            settings: g.maybe(Gen::countable),
        };
        Roster {
            items: self.some(5, Gen::roster_item),
            extra: self.maybe(extra),
        }
    }

    fn history(&mut self) -> History {
        History {
            id: self.maybe(Gen::room),
            maxchars: self.maybe(Gen::number),
            maxstanzas: self.maybe(Gen::number),
            seconds: self.maybe(Gen::number),
            since: self.maybe(Gen::stamp),
        }
    }

    fn act(&mut self) -> Act {
        let listed = |g: &mut Gen| Listed {
            affiliation: g.affiliation(),
            nick: g.maybe(Gen::nick),
        };
        let kind = match self.below(12) {
            0 => ActKind::Role {
                nick: self.nick(),
                serial: self.maybe(Gen::countable),
                role: self.role(),
                request: self.maybe(Gen::countable),
            },
            1 => ActKind::Affiliation {
                jid: self.bare(),
                affiliation: self.affiliation(),
                nick: self.maybe(Gen::nick),
                was: self.maybe(listed),
                is_invited: self.flip(),
            },
            2 => ActKind::Config {
                form: self.form(),
                was: self.maybe(Gen::form),
            },
            3 => ActKind::Subject {
                text: self.text(),
                was: self.maybe(Gen::text),
            },
            4 => ActKind::Register {
                nick: self.maybe(Gen::nick),
                was: self.maybe(listed),
            },
            5 => ActKind::Moderate { id: self.word() },
            6 => ActKind::Voice {
                serial: self.countable(),
                request: self.countable(),
            },
            7 => ActKind::Invite { jid: self.jid() },
            9 => ActKind::Avatar {
                avatar: self.maybe(Gen::avatar),
                was: self.maybe(|g| g.maybe(Gen::avatar)),
            },
            10 => ActKind::Steer {
                service: self.bare(),
                what: [Steering::Replicate, Steering::Retract, Steering::HandOver][self.below(3)],
            },
            8 => ActKind::Decline {
                nick: Some(self.nick()),
                jid: self.maybe(Gen::bare),
            },
            _ => ActKind::Destroy {
                venue: self.maybe(Gen::bare),
                password: self.maybe(Gen::text),
            },
        };
        Act {
            actor_nick: self.maybe(Gen::nick),
            actor_jid: self.maybe(Gen::bare),
            kind,
            reason: self.maybe(Gen::text),
        }
    }

    pub fn request(&mut self) -> Request {
        match self.below(14) {
            0 => Request::Replicate(Replicate {
                id: self.room(),
                source: self.maybe(Gen::bare),
            }),
            1 => Request::Peerhost(Peerhost {
                id: self.room(),
                jid: self.maybe(Gen::domain),
                gone: self.flip(),
            }),
            2 => Request::Config(self.config()),
            3 => Request::Roster(self.roster()),
            4 => Request::History(self.history()),
            5 => Request::Act(self.act()),
            6 => Request::Close(Close {
                reason: self.maybe(Gen::text),
            }),
            7 => Request::Destroy(Destroy {
                venue: self.maybe(Gen::bare),
                reason: self.maybe(Gen::text),
                password: self.maybe(Gen::text),
            }),
            8 => Request::Leave,
            9 => Request::RosterQuery,
            10 => Request::Sync(self.sync_request()),
            11 => Request::Digest(self.digest()),
            12 => Request::Avatar(AvatarQuery {
                hash: self.word(),
                from: self.countable(),
            }),
            _ => Request::DiscoInfo,
        }
    }

    fn history_message(&mut self) -> HistoryMessage {
        HistoryMessage {
            nick: self.nick(),
            instance: self.bare(),
            id: self.maybe(Gen::text),
            lang: self.maybe(Gen::word),
            payload: self.payload(),
            stamp: self.stamp(),
            delay_from: self.maybe(Gen::jid),
            event: self.maybe(Gen::event),
            occupant_id: self.maybe(Gen::word),
        }
    }

    pub fn response(&mut self) -> Response {
        match self.below(6) {
            0 => Response::Empty,
            1 => Response::Sync(Box::new(self.sync_answer())),
            2 => Response::Digest(self.digest()),
            4 => Response::Avatar(AvatarPart {
                hash: self.word(),
                from: self.countable(),
                text: self.text(),
            }),
            3 => Response::History(HistoryResult {
                messages: self.some(5, Gen::history_message),
            }),
            _ => Response::DiscoInfo(DiscoInfo {
                identities: self.some(2, |g| Identity {
                    category: g.word(),
                    kind: g.word(),
                    name: g.maybe(Gen::text),
                }),
                features: self.some(5, Gen::text).into_iter().collect(),
                room_info: self.form().fields,
            }),
        }
    }

    pub fn error(&mut self) -> StanzaError {
        use ErrorType::{Auth, Cancel, Continue, Modify, Wait};
        let conditions: Vec<Condition> = Condition::all().collect();
        StanzaError {
            kind: self.pick(&[Auth, Cancel, Continue, Modify, Wait]),
            condition: self.pick(&conditions),
            text: self.maybe(|g| format!("x{}", g.text())),
            target: self.maybe(|g| format!("xmpp:{}", g.word())),
        }
    }
}
