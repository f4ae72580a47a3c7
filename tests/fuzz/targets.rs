//! What is fuzzed: each target takes any bytes and panics if a promise is broken (G13). `make fuzz` looks for such bytes, and
//! `make test` plays those in `corpus` again.

use dmuc::address::{BareJid, Jid};
use dmuc::config::RoomIdScheme;
use dmuc::engine::{Action, Input, Occupant, Ruled};
use dmuc::inbound::{Head, Inbound, handle_stanza};
use dmuc::wire::{
    Affiliation, Form, Hats, IqKind, Listed, Listing, Moderation, Request, Response, Role, Stanza,
    StanzaError, write_iq, write_message, write_presence,
};
use dmuc::{Config, Engine, Now, Snapshot};

/// A target takes anything.
pub type Target = fn(&[u8]);

/// Every target, with the name of its folder in the corpus.
pub const TARGETS: [(&str, Target); 3] = [("wire", wire), ("snapshot", snapshot), ("peer", peer)];

/// Every type of the wire: whatever is taken is written so that it means the same.
pub fn wire(data: &[u8]) {
    let Ok(xml) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(stanza) = Stanza::parse(xml) {
        let written = match &stanza {
            Stanza::Iq(iq) => write_iq(iq),
            Stanza::Presence(presence) => write_presence(presence),
            Stanza::Message(message) => write_message(message),
        };
        assert_eq!(Stanza::parse(&written), Ok(stanza), "{written}");
    }
    for kind in [IqKind::Get, IqKind::Set] {
        if let Ok(request) = Request::parse(kind, xml) {
            let written = request.to_xml();
            assert_eq!(Request::parse(kind, &written), Ok(request), "{written}");
        }
        if let Ok((request, _)) = Request::parse_fitting(kind, xml) {
            let written = request.to_xml();
            assert_eq!(
                Request::parse(kind, &written),
                Ok(request),
                "what fits is sound: {written}"
            );
        }
    }
    if let Ok(response) = Response::parse(Some(xml)) {
        let written = response.to_xml();
        assert_eq!(Response::parse(written.as_deref()), Ok(response), "{written:?}");
    }
    if let Ok((response, _)) = Response::parse_fitting(Some(xml)) {
        let written = response.to_xml();
        assert_eq!(
            Response::parse(written.as_deref()),
            Ok(response),
            "what fits is sound: {written:?}"
        );
    }
    if let Ok(form) = Form::parse(xml) {
        assert_eq!(Form::parse(&form.to_xml()), Ok(form));
    }
    if let Ok(hats) = Hats::parse(xml)
        && !hats.is_empty()
    {
        assert_eq!(Hats::parse(&hats.to_xml()), Ok(hats));
    }
    if let Ok(moderation) = Moderation::parse(xml) {
        assert_eq!(Moderation::parse(&moderation.to_xml()), Ok(moderation));
    }
    if let Ok(error) = StanzaError::parse(xml) {
        assert_eq!(StanzaError::parse(&error.to_xml()), Ok(error));
    }
    if let (Some(head), Ok(inbound)) = (Head::read(xml), Inbound::parse(xml)) {
        assert_eq!((head.from(), head.to()), addresses(inbound.stanza()), "{xml}");
    }
}

fn addresses(stanza: &Stanza) -> (&Jid, &Jid) {
    match stanza {
        Stanza::Iq(iq) => (&iq.from, &iq.to),
        Stanza::Presence(presence) => (&presence.from, &presence.to),
        Stanza::Message(message) => (&message.from, &message.to),
    }
}

/// What is stored, as a disk or an earlier version left it: what is taken is taken again, and makes a room.
pub fn snapshot(data: &[u8]) {
    let Ok(xml) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(stored) = Snapshot::parse(xml) else { return };
    let written = stored.to_xml();
    let again = match Snapshot::parse(&written) {
        Ok(again) => again,
        Err(error) => panic!("{error}: {written}"),
    };
    assert_eq!(again.unfit().count, 0, "{written}");
    assert_eq!(again.to_xml(), written);
    let mut engine = Engine::new(config(), [7; 32]);
    let now = Clock::default().now();
    if engine.restore(now, &stored).is_ok() {
        let room = stored.room().clone();
        let _ = engine.handle_input(
            now,
            Input::Started {
                room: &room,
                is_whole: true,
            },
        );
        engine.handle_timeout(Now {
            mono_ms: now.mono_ms + 3_600_000,
            ..now
        });
        while engine.poll_action().is_some() {}
    }
}

const HERE: &str = "rooms.macbeth.lit";
const OWN: &str = "heath@rooms.macbeth.lit";
/// A peer that sends what it likes has no more than this of an engine with the limits of [`config`].
const MOST_STORED: usize = 1 << 20;
/// However large a stanza is, it causes no more than so many actions, beside those for each room, peer and occupant.
const MOST_ACTIONS: usize = 20_000;

fn bare(text: &str) -> BareJid {
    match BareJid::new(text) {
        Ok(jid) => jid,
        Err(error) => panic!("{text}: {error}"),
    }
}

fn config() -> Config {
    let mut config = Config::new(bare(HERE))
        .with_peer(bare("chat.shakespeare.lit"))
        .with_peer(bare("conference.marlowe.lit"));
    config.room_id = RoomIdScheme::Name;
    config.shadow_names = dmuc::config::ShadowNames::Any;
    (config.max_shadows, config.max_remote_occupants) = (4, 20);
    config.max_stanza_size = 4_096;
    (config.log_max_messages, config.log_max_bytes) = (50, 1 << 20);
    config
}

#[derive(Debug, Clone, Copy, Default)]
struct Clock(u64);

impl Clock {
    fn now(self) -> Now {
        Now {
            mono_ms: self.0,
            wall_ms: 1_769_155_200_000 + self.0,
        }
    }
}

/// An engine with a room of its own and somebody in it, and what its peers send it: a line for each input.
///
/// `<…` is a stanza, in which `$` stands for the id of the latest question. `+N` lets N milliseconds pass. `!` restarts the engine
/// from what it has stored. Anything else is said by somebody in the room.
///
/// Refused means unchanged; what was accepted can be stored and taken back; memory and actions are bounded.
pub fn peer(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut clock = Clock::default();
    let mut engine = begin(clock.now());
    let mut asked = String::new();
    for line in text.lines().take(200) {
        let now = clock.now();
        let before = line.starts_with('<').then(|| state(&engine));
        match line.as_bytes().first() {
            Some(b'<') => {
                let xml = line.replace('$', &asked);
                let handled = handle_stanza(&mut engine, now, &xml, false);
                if handled.is_some_and(|handled| handled.verdict.is_err()) {
                    assert_eq!(
                        before.as_deref(),
                        Some(&*state(&engine)),
                        "refused, and changed: {xml}"
                    );
                }
            }
            Some(b'+') => {
                let ms: u64 = line[1..].parse().unwrap_or(1_000);
                clock.0 += ms.min(86_400_000);
                engine.handle_timeout(clock.now());
            }
            Some(b'!') => engine = restarted(&engine, clock.now()),
            _ => {
                let said = Input::Groupchat {
                    room: &bare(OWN),
                    nick: "hag",
                    message_id: None,
                    lang: None,
                    payload: "<body>Where the place?</body>",
                    keep: true,
                };
                let _ = engine.handle_input(now, said);
            }
        }
        let mut actions = 0;
        while let Some(action) = engine.poll_action() {
            actions += 1;
            if let Action::SendRequest { id, .. } = action {
                asked = id;
            }
        }
        assert!(actions <= MOST_ACTIONS, "{actions} actions come of {line}");
        let stored = snapshots(&engine).iter().map(String::len).sum::<usize>();
        assert!(stored <= MOST_STORED, "{stored} bytes are stored");
    }
    restarted(&engine, clock.now());
}

fn begin(now: Now) -> Engine {
    let mut engine = Engine::new(config(), [7; 32]);
    let (room, hag) = (bare(OWN), bare("hag66@macbeth.lit"));
    let mut form = Form::default();
    form.set("muc#roomconfig_whois", vec!["moderators".to_owned()]);
    let owner = Listing {
        jid: hag.clone(),
        entry: Listed {
            affiliation: Affiliation::Owner,
            nick: None,
        },
    };
    let inputs = [
        Input::Distribute {
            room: &room,
            form,
            unfit: Default::default(),
            salt: "salt",
            subject: None,
        },
        Input::Ruled(Ruled::by_the_room(&room, owner)),
        Input::Occupant(Occupant {
            room: &room,
            nick: "hag",
            jid: &Jid::from(hag.clone()),
            affiliation: Affiliation::Owner,
            role: Role::Moderator,
            occupant_id: Some("hag-id"),
            payload: "",
        }),
        Input::Started {
            room: &room,
            is_whole: true,
        },
    ];
    for input in inputs {
        if let Err(error) = engine.handle_input(now, input) {
            panic!("the room is not made: {error}");
        }
    }
    while engine.poll_action().is_some() {}
    engine
}

fn snapshots(engine: &Engine) -> Vec<String> {
    let rooms = engine.rooms().filter_map(|room| engine.snapshot(room));
    rooms.map(|snapshot| snapshot.to_xml()).collect()
}

/// All of an engine that people or a restart could notice.
fn state(engine: &Engine) -> String {
    let mut state = snapshots(engine).join("\n");
    for room in engine.rooms() {
        let said = engine
            .messages(room)
            .map(|entry| (&entry.key, &entry.id, &entry.payload));
        let there = engine.remote_occupants(room);
        state += &format!(
            "\n{room} {:?} {there:?} {:?}",
            said.collect::<Vec<_>>(),
            engine.affiliations(room)
        );
    }
    state
}

/// The same rooms in a new engine, as after a crash of the host.
fn restarted(engine: &Engine, now: Now) -> Engine {
    let mut next = Engine::new(config(), [8; 32]);
    for xml in snapshots(engine) {
        let stored = match Snapshot::parse(&xml) {
            Ok(stored) => stored,
            Err(error) => panic!("{error}: {xml}"),
        };
        assert_eq!(stored.unfit().text(), None, "{xml}");
        assert_eq!(stored.to_xml(), xml);
        if let Err(error) = next.restore(now, &stored) {
            panic!("{error}: {xml}");
        }
        let _ = next.handle_input(
            now,
            Input::Started {
                room: stored.room(),
                is_whole: true,
            },
        );
    }
    while next.poll_action().is_some() {}
    next
}
