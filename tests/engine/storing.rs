//! Whatever an engine has accepted it can store and take back (G3, G13).

use dmuc::engine::{Input, Occupant, PeerPresence, Ruled};
use dmuc::snapshot::ListPart;
use dmuc::wire::{Affiliation, Form, Hlc, Role};
use dmuc::{Engine, Now, Snapshot};

use crate::support::dice::Dice;
use crate::support::federation::Federation;
use crate::support::names::*;
use crate::support::net::Mode;

/// Texts at every edge: empty, at and over every limit, of bytes and characters that are none in XML.
fn text(dice: &mut Dice) -> String {
    let length = *dice
        .pick(&[0, 1, 5, 128, 129, 1_023, 1_024, 4_096, 4_097, 9_000])
        .unwrap();
    let char = *dice
        .pick(&[
            'x', ' ', 'é', '🦊', '\u{1}', '\u{fffe}', '<', '\'', '\n', '\u{202e}',
        ])
        .unwrap();
    char.to_string().repeat(length)
}

/// As it is written again: only its meaning is kept.
fn payload(dice: &mut Dice) -> String {
    let depth = *dice.pick(&[0, 1, 54, 56, 80]).unwrap();
    let long = "x".repeat(*dice.pick(&[1, 100, 9_000, 60_000]).unwrap());
    match dice.below(4) {
        0 => format!("<show a='{long}'>away</show>"),
        1 => format!(
            "<b xmlns='x'>{}<c/>{}</b>",
            "<a>".repeat(depth),
            "</a>".repeat(depth)
        ),
        2 => "<unclosed".to_owned(),
        _ => format!("<status>{long}</status>"),
    }
}

fn number(dice: &mut Dice) -> u64 {
    *dice
        .pick(&[0, 1, 2, 1 << 53, i64::MAX as u64, (i64::MAX as u64) + 1, u64::MAX])
        .unwrap()
}

/// One input of a careless host, or of a peer that sends what it likes. Refused or taken, as the engine likes.
fn anything(dice: &mut Dice, engine: &mut Engine, now: Now) {
    let (room, here) = (bare(COVEN_AT_ROOMS), bare(COVEN_AT_ROOMS));
    let (words, nick) = (text(dice), format!("n{}", dice.below(6)));
    let affiliations = [
        Affiliation::Outcast,
        Affiliation::None,
        Affiliation::Member,
        Affiliation::Owner,
    ];
    let affiliation = *dice.pick(&affiliations).unwrap();
    let user = bare(&format!("user{}@marlowe.lit", dice.below(4)));
    let from = in_room(&bare(COVEN_AT_CONF), &nick).into();
    let to = in_room(&here, &nick).into();
    let (serial, version, payload) = (number(dice), number(dice), payload(dice));
    let taken = match dice.below(8) {
        0 => engine.handle_input(
            now,
            Input::Ruled(Ruled {
                reason: Some(&words),
                actor_nick: Some("foo"),
                actor_jid: Some(&user),
                ..Ruled::by_the_room(&room, listing(&user, affiliation, &words))
            }),
        ),
        1 => engine.handle_input(
            now,
            Input::Ruled(Ruled {
                actor_jid: Some(&user),
                ..Ruled::by_the_room(&room, Some(subject(&nick, &words)))
            }),
        ),
        2 => {
            let mut form = Form::default();
            form.set("muc#roomconfig_roomname", vec![dmuc::wire::fitting_text(&words)]);
            engine.handle_input(
                now,
                Input::Ruled(Ruled {
                    actor_nick: Some(&nick),
                    actor_jid: Some(&user),
                    ..Ruled::by_the_room(&room, form)
                }),
            )
        }
        3 => engine.handle_input(
            now,
            Input::Occupant(Occupant {
                room: &room,
                nick: "local",
                jid: &jid(WITCH),
                affiliation,
                role: Role::Participant,
                occupant_id: Some(&words),
                payload: &payload,
            }),
        ),
        4 => engine.handle_input(
            now,
            Input::PeerGroupchat {
                from: &from,
                to: &to,
                message_id: Some(&words),
                lang: Some(&words),
                event: Some(dmuc::wire::EventStamp {
                    id: format!("id{}", dice.roll()),
                    origin: None,
                    incarnation: 1 + dice.below(2),
                    seq: 1 + dice.below(400),
                    at: Hlc::default(),
                    roster: None,
                }),
                payload: "<body>x</body>",
                keep: true,
            },
        ),
        _ => engine.handle_input(
            now,
            Input::PeerPresence(PeerPresence {
                from: &from,
                to: &to,
                available: dice.chance(80),
                affiliation,
                role: Role::Moderator,
                jid: Some(&user.clone().into()),
                occupant_id: Some(&words),
                serial: Some(serial),
                version: dice.chance(20).then_some(version),
                codes: &[303],
                new_nick: Some(&words),
                actor: Some(&words),
                reason: Some(&words),
                payload: &payload,
            }),
        ),
    };
    let _ = taken; // what is refused changes nothing
    while engine.poll_action().is_some() {}
}

#[test]
fn whatever_was_accepted_is_stored_and_taken_back() {
    for seed in 0..30 {
        let mut dice = Dice::new(seed);
        let mut fed = Federation::of(&[CHAT, ROOMS, CONF]);
        fed.distributed(COVEN, CRONE1, &[]);
        fed.run();
        fed.join(FOO, CRONE1);
        fed.run();
        // Some of them with the source and the peer out of reach: then occupants are stored as well, and offers.
        if dice.chance(70) {
            fed.net.set_mode(&bare(ROOMS), &bare(CHAT), Mode::Bounces);
            fed.net.set_mode(&bare(ROOMS), &bare(CONF), Mode::Bounces);
            fed.say(FOO, "is anybody there?");
            fed.run_for(200_000);
        }
        let (config, now) = fed.at(&bare(ROOMS), |host| (host.engine.config().clone(), host.now));
        let mut parts = String::new();
        for step in 0..150 {
            let xml = fed.at(&bare(ROOMS), |host| {
                anything(&mut dice, &mut host.engine, now);
                host.engine.snapshot(&bare(COVEN_AT_ROOMS)).unwrap().to_xml()
            });
            // The same from its parts.
            if dice.chance(50) {
                let has_none = parts.is_empty();
                let (snapshot, part) = fed.at(&bare(ROOMS), |host| {
                    let engine = &mut host.engine;
                    engine
                        .snapshot_in_parts(&bare(COVEN_AT_ROOMS), has_none, 0)
                        .unwrap()
                });
                match part {
                    ListPart::Within => parts.clear(),
                    ListPart::Whole(list) => parts = list,
                    ListPart::Changes(list) => parts.push_str(&list),
                    ListPart::Unchanged => {}
                }
                let stored = match parts.is_empty() {
                    true => Snapshot::parse(&snapshot.to_xml()),
                    false => Snapshot::parse_in_parts(&snapshot.to_xml(), &parts),
                };
                assert_eq!(stored.unwrap().to_xml(), xml, "{seed}/{step}: {parts}");
            }
            let stored =
                Snapshot::parse(&xml).unwrap_or_else(|error| panic!("{seed}/{step}: {error}: {xml}"));
            assert_eq!(stored.unfit().text(), None, "{seed}/{step}: {xml}");
            let again = stored.to_xml();
            let same = again.bytes().zip(xml.bytes()).take_while(|(a, b)| a == b).count();
            let near = |text: &str| {
                String::from_utf8_lossy(&text.as_bytes()[same.saturating_sub(80)..])
                    .chars()
                    .take(200)
                    .collect::<String>()
            };
            assert!(
                again == xml,
                "{seed}/{step}: {} became {}",
                near(&xml),
                near(&again)
            );
            let mut other = Engine::new(config.clone(), dice.seed());
            other
                .restore(now, &stored)
                .unwrap_or_else(|error| panic!("{seed}/{step}: {error}"));
        }
    }
}

/// A room as an earlier version stored it, with what a peer could put into it then.
#[test]
fn what_peers_wrote_costs_what_it_describes_and_never_the_room() {
    let long = "x".repeat(10_000);
    let ranges: Vec<String> = (1..100).map(|n| (n * 2).to_string()).collect();
    let ranges = ranges.join(" ");
    let item = |nick: &str, occupant: &str| {
        format!("<item affiliation='none' role='participant' name='{nick}'>{occupant}</item>")
    };
    let occupant = |attrs: &str, payload: &str| {
        format!(
            "<occupant xmlns='urn:x-dmuc:0' {attrs}><presence xmlns='jabber:client'>{payload}</presence></occupant>"
        )
    };
    let items = [
        item("sound", &occupant("serial='1'", "<show>away</show>")),
        item(
            "long",
            &occupant("serial='1'", &format!("<show a='{long}'>away</show>")),
        ),
        item("nameless", &occupant("id='' serial='1'", "")),
        item("far", &occupant("serial='9223372036854775808'", "")),
        item("\u{202e}", &occupant("serial='1'", "")),
    ]
    .concat();
    let xml = format!(
        "<room xmlns='urn:x-dmuc:0#snapshot' jid='{COVEN_AT_ROOMS}' id='coven' firsthost='{CHAT}' source='{COVEN}' \
         ready='true' ready-at='1' incarnation='5'>\
         <config xmlns='urn:xmpp:dmuc:0'><x xmlns='jabber:x:data' type='form'><field type='hidden' var='FORM_TYPE'>\
         <value>http://jabber.org/protocol/muc#roomconfig</value></field></x>\
         <settings xmlns='urn:x-dmuc:0' term='0' version='7' salt='s'/></config>\
         <instance jid='{COVEN}' active='true' cut='shown'><roster xmlns='urn:xmpp:dmuc:0'>\
         <snapshot xmlns='urn:x-dmuc:0' version='3' occupants='true'/>{items}</roster></instance>\
         <seen origin='{COVEN}' inc='4' numbers='{ranges}'/><seen origin='@' inc='4' numbers='1'/>\
         <offer affiliation='eve@macbeth.lit'><was affiliation='none'/></offer></room>"
    );
    let stored = Snapshot::parse(&xml).unwrap();
    assert!(stored.is_alive());
    assert_eq!(stored.unfit().count, 5, "{:?}", stored.unfit());
    let again = stored.to_xml();
    for nick in ["sound", "long", "nameless"] {
        assert!(again.contains(&format!("name='{nick}'")), "{nick}: {again}");
    }
    assert!(!again.contains("name='far'") && again.contains(&long));
    assert!(
        again.contains("numbers='2 4 6") && again.contains(" 198'"),
        "{again}"
    );
    let read = Snapshot::parse(&again).unwrap();
    assert_eq!((read.unfit().count, read.to_xml()), (0, again));
}
