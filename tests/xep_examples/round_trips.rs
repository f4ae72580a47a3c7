//! What is produced is read back as what it was, for every type; and no damage to it makes the parser panic.

use dmuc::wire::{
    Invitation, Iq, IqBody, IqKind, Message, MessageKind, Presence, PresenceKind, Request, Response, RoomId,
    Stanza, StanzaError, write_invitation, write_iq, write_message, write_presence,
};

use crate::support::generator::Gen;
use crate::support::xml::element;

const SEEDS: u64 = 4000;

#[test]
fn every_request_is_read_back() {
    for seed in 0..SEEDS {
        let request = Gen(seed).request();
        let xml = request.to_xml();
        assert_eq!(
            Request::parse(request.iq_kind(), &xml).as_ref(),
            Ok(&request),
            "seed {seed}\n{xml}"
        );
    }
}

#[test]
fn every_response_is_read_back() {
    for seed in 0..SEEDS {
        let response = Gen(seed).response();
        let xml = response.to_xml();
        assert_eq!(
            Response::parse(xml.as_deref()).as_ref(),
            Ok(&response),
            "seed {seed}\n{xml:?}"
        );
    }
}

/// What a host puts into an IQ comes out of it, even where it was written anew on the way.
#[test]
fn everything_asked_and_answered_survives_its_iq() {
    for seed in 0..SEEDS / 2 {
        let g = &mut Gen(seed);
        let (request, response) = (g.request(), g.response());
        let carried = |body| {
            let (from, to, id) = (Gen(seed).full(), Gen(seed).jid(), "1".to_owned());
            match Stanza::parse(&write_iq(&Iq { from, to, id, body })) {
                Ok(Stanza::Iq(iq)) => iq.body,
                other => panic!("seed {seed}\n{other:?}"),
            }
        };
        let (IqBody::Get(xml) | IqBody::Set(xml)) = carried(match request.iq_kind() {
            IqKind::Get => IqBody::Get(request.to_xml()),
            IqKind::Set => IqBody::Set(request.to_xml()),
        }) else {
            panic!("seed {seed}")
        };
        assert_eq!(
            Request::parse(request.iq_kind(), &xml),
            Ok(request),
            "seed {seed}"
        );
        let IqBody::Result(xml) = carried(IqBody::Result(response.to_xml())) else {
            panic!("seed {seed}")
        };
        assert_eq!(Response::parse(xml.as_deref()), Ok(response), "seed {seed}");
    }
}

#[test]
fn every_error_is_read_back() {
    for seed in 0..SEEDS {
        let error = Gen(seed).error();
        let xml = error.to_xml();
        assert_eq!(
            StanzaError::parse(&xml).as_ref(),
            Ok(&error),
            "seed {seed}\n{xml}"
        );
    }
}

#[test]
fn every_redirect_leads_to_its_shadow() {
    for seed in 0..SEEDS {
        let id = Gen(seed).room();
        let shadow = id.at(&dmuc::address::BareJid::new("rooms.macbeth.lit").unwrap());
        assert_eq!(
            StanzaError::redirect(&shadow).redirect_target(),
            Some(shadow),
            "seed {seed}"
        );
    }
    for odd in [
        "50%",
        "where?",
        "#1",
        "ä ö".replace(' ', "_").as_str(),
        "魔女",
        "a+b=c",
    ] {
        let shadow = RoomId::new(odd)
            .unwrap()
            .at(&dmuc::address::BareJid::new("rooms.macbeth.lit").unwrap());
        let error = StanzaError::redirect(&shadow);
        assert!(error.target.as_ref().unwrap().is_ascii());
        assert_eq!(error.redirect_target(), Some(shadow));
    }
}

fn stanza(g: &mut Gen) -> Stanza {
    let (from, to) = (g.full(), g.jid());
    match g.below(3) {
        0 => {
            let body = match g.below(4) {
                0 => IqBody::Get(Request::DiscoInfo.to_xml()),
                1 => IqBody::Set(Request::Leave.to_xml()),
                2 => IqBody::Result(g.maybe(|_| Request::DiscoInfo.to_xml())),
                _ => IqBody::Error(g.error()),
            };
            Stanza::Iq(Iq {
                from,
                to,
                id: g.text(),
                body,
            })
        }
        1 => {
            let kind = match g.below(3) {
                0 => PresenceKind::Available,
                1 => PresenceKind::Unavailable,
                _ => PresenceKind::Error(g.error()),
            };
            Stanza::Presence(Presence {
                from,
                to,
                kind,
                item: g.maybe(Gen::item),
                statuses: g.some(3, |g| 100 + g.below(300) as u16),
                stamp: g.maybe(Gen::occupant_stamp),
                payload: g.payload(),
            })
        }
        _ => {
            let kind = match g.below(5) {
                0 => MessageKind::Normal,
                1 => MessageKind::Chat,
                2 => MessageKind::Headline,
                3 => MessageKind::Error(g.error()),
                _ => MessageKind::Groupchat,
            };
            let (id, event) = (g.maybe(Gen::text), g.maybe(Gen::event));
            Stanza::Message(Message {
                from,
                to,
                kind,
                id,
                lang: g.maybe(Gen::word),
                event,
                settings: g.maybe(Gen::countable),
                moderation: None,
                payload: g.payload(),
            })
        }
    }
}

fn written(stanza: &Stanza) -> String {
    match stanza {
        Stanza::Iq(iq) => write_iq(iq),
        Stanza::Presence(presence) => write_presence(presence),
        Stanza::Message(message) => write_message(message),
    }
}

#[test]
fn every_stanza_is_read_back() {
    for seed in 0..SEEDS {
        let stanza = stanza(&mut Gen(seed));
        let xml = written(&stanza);
        assert_eq!(Stanza::parse(&xml).as_ref(), Ok(&stanza), "seed {seed}\n{xml}");
    }
}

#[test]
fn every_invitation_is_read_back() {
    for seed in 0..SEEDS {
        let g = &mut Gen(seed);
        let invitation = Invitation {
            room: g.bare(),
            password: g.maybe(Gen::text),
            reason: g.maybe(Gen::text),
        };
        let xml = write_invitation(&g.jid(), &g.jid(), &invitation);
        let Ok(Stanza::Message(message)) = Stanza::parse(&xml) else {
            panic!("seed {seed}\n{xml}")
        };
        assert_eq!(
            Invitation::parse(&message.payload).as_ref(),
            Ok(&invitation),
            "seed {seed}\n{xml}"
        );
    }
}

#[test]
fn everything_produced_names_its_namespace() {
    for seed in 0..SEEDS {
        let xml = Gen(seed).request().to_xml();
        assert_ne!(element(&xml).ns(), "jabber:client", "seed {seed}\n{xml}");
        assert!(!xml.contains(">\n"), "no white space is added");
    }
}

#[test]
fn damaged_xml_never_panics() {
    for seed in 0..SEEDS / 2 {
        let g = &mut Gen(seed);
        let (request, response, stanza) = (g.request(), g.response(), stanza(g));
        let whole = [
            request.to_xml(),
            response.to_xml().unwrap_or_default(),
            written(&stanza),
        ];
        for xml in whole {
            let mut bytes = xml.into_bytes();
            for _ in 0..=g.below(3) {
                if bytes.is_empty() {
                    break;
                }
                let at = g.below(bytes.len());
                match g.below(4) {
                    0 => bytes.truncate(at),
                    1 => bytes[at] = g.pick(b"<>/'\"&;= a0-\0\xff"),
                    2 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, g.pick(b"<>/'\"&;= a0-\0\xff")),
                }
            }
            let text = String::from_utf8_lossy(&bytes);
            let _ = Request::parse(request.iq_kind(), &text);
            let _ = Response::parse(Some(&text));
            let _ = Stanza::parse(&text);
            let _ = StanzaError::parse(&text);
            let _ = dmuc::wire::split_payload(&text);
        }
    }
}
