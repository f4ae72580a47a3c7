use super::super::state::room::Room;
use super::list::registered;
use super::*;
use crate::wire::{
    Affiliation, Avatar, Condition, Form, Hats, Hatted, Listed, Listing, Moderated, Moderation, Role, RoomId,
    Subject,
};

fn jid(jid: &str) -> BareJid {
    BareJid::new(jid).unwrap()
}

fn shadow() -> Room {
    let source = jid("coven@chat.shakespeare.lit");
    let id = RoomId::new("coven").unwrap();
    Room::new(
        jid("coven@rooms.macbeth.lit"),
        id,
        source.clone(),
        Some(source),
        1,
    )
}

fn listing(affiliation: Affiliation, nick: Option<&str>) -> Ruling {
    Ruling::Listed(Listing {
        jid: jid("hecate@shakespeare.lit"),
        entry: Listed {
            affiliation,
            nick: nick.map(str::to_owned),
        },
    })
}

fn subject(nick: &str, text: &str) -> Ruling {
    Ruling::Subject(Some(Subject {
        nick: Some(nick.to_owned()),
        stamp: 1,
        text: text.to_owned(),
    }))
}

fn form(fields: &[(&str, &str)]) -> Ruling {
    let mut form = Form::default();
    for (var, value) in fields {
        form.set(var, vec![(*value).to_owned()]);
    }
    Ruling::Form(form)
}

fn hats(uris: &[&str]) -> Ruling {
    let hat = |uri: &&str| format!("<hat xmlns='urn:xmpp:hats:0' uri='{uri}'/>");
    let hats: String = uris.iter().map(hat).collect();
    Ruling::Hats(Hatted {
        jid: jid("hecate@shakespeare.lit"),
        hats: Hats::parse(&format!("<hats xmlns='urn:xmpp:hats:0'>{hats}</hats>")).unwrap(),
    })
}

fn avatar(hash: &str) -> Option<Avatar> {
    Some(Avatar {
        hash: hash.to_owned(),
        bytes: 4_000,
    })
}

fn moderated(by: Option<&str>) -> Ruling {
    message("deed", by)
}

fn message(id: &str, by: Option<&str>) -> Ruling {
    let moderation = |nick: &str| Moderation {
        id: id.to_owned(),
        nick: Some(nick.to_owned()),
        reason: Some("Not to be named".to_owned()),
        ..Moderation::default()
    };
    Ruling::Moderated(Moderated {
        id: id.to_owned(),
        moderation: by.map(moderation),
    })
}

/// One ruling of each kind.
fn one_of_each() -> Vec<Ruling> {
    vec![
        listing(Affiliation::Admin, Some("hecate")),
        subject("hecate", "Fire burn"),
        form(&[("muc#roomconfig_roomname", "A dark cave")]),
        moderated(Some("hecate")),
        hats(&["urn:x:witch"]),
        Ruling::Avatar(avatar("1f")),
    ]
}

fn offered(was: Ruling, now: Ruling, actor: &str) -> Offer {
    Offer {
        actor_nick: None,
        actor_jid: Some(jid(actor)),
        base: was.clone(),
        was,
        now,
        is_asked: false,
        is_invited: false,
        is_registered: false,
    }
}

#[test]
fn what_is_put_into_force_is_held() {
    for ruling in one_of_each() {
        let mut room = shadow();
        let before = ruling.held(&room);
        assert!(!before.is_same(&ruling), "{before:?}");
        ruling.hold(&mut room);
        // A message is hidden by the offer.
        if !matches!(ruling, Ruling::Moderated(_)) {
            assert_eq!(ruling.held(&room), ruling);
        }
        before.hold(&mut room);
        assert!(ruling.held(&room).is_same(&before), "{ruling:?}");
    }
}

#[test]
fn a_hidden_message_is_held_by_its_offer() {
    let mut room = shadow();
    let (was, now) = (moderated(None), moderated(Some("hecate")));
    assert_eq!(now.held(&room), was);
    let offer = offered(was, now.clone(), "hecate@shakespeare.lit");
    room.offers.insert(now.matter().unwrap(), offer);
    assert_eq!(moderated(None).held(&room), now);
}

#[test]
fn rulings_of_two_kinds_are_about_two_matters_and_never_the_same() {
    let all = one_of_each();
    for (n, ruling) in all.iter().enumerate() {
        for (m, other) in all.iter().enumerate() {
            assert_eq!(ruling.is_same(other), n == m, "{ruling:?} {other:?}");
            assert_eq!(ruling.matter() == other.matter(), n == m, "{ruling:?} {other:?}");
        }
    }
}

#[test]
fn two_messages_are_never_the_same() {
    for by in [None, Some("hecate")] {
        assert!(message("deed", by).is_same(&message("deed", by)));
        assert!(!message("deed", by).is_same(&message("word", by)));
        assert_ne!(message("deed", by).matter(), message("word", by).matter());
    }
}

#[test]
fn subjects_are_the_same_if_they_say_the_same() {
    assert!(subject("hecate", "Fire burn").is_same(&subject("wiccan", "Fire burn")));
    assert!(subject("hecate", "").is_same(&Ruling::Subject(None)));
    assert!(!subject("hecate", "Fire burn").is_same(&Ruling::Subject(None)));
}

#[test]
fn each_field_of_a_form_is_decided_for_itself() {
    let both = form(&[("a", "1"), ("b", "2")]);
    assert_eq!(both.matter(), None);
    assert_eq!(form(&[("a", "1")]).matter(), form(&[("a", "2")]).matter());
    assert_eq!(both.each(), [form(&[("a", "1")]), form(&[("b", "2")])]);
    assert_eq!(subject("hecate", "x").each(), [subject("hecate", "x")]);
}

#[test]
fn the_source_is_asked_for_what_was_changed_with_what_it_was() {
    let offer = |was, now| offered(was, now, "hecate@shakespeare.lit").as_act();
    let act = offer(subject("wiccan", "Eye of newt"), subject("hecate", "Fire burn"));
    let (text, was) = ("Fire burn".to_owned(), Some("Eye of newt".to_owned()));
    assert_eq!(act.unwrap().kind, ActKind::Subject { text, was });
    let act = offer(Ruling::Avatar(None), Ruling::Avatar(avatar("1f"))).unwrap();
    let (avatar, was) = (avatar("1f"), Some(None));
    assert_eq!(act.kind, ActKind::Avatar { avatar, was });
    let act = offer(moderated(None), moderated(Some("hecate"))).unwrap();
    assert_eq!(
        act.kind,
        ActKind::Moderate {
            id: "deed".to_owned()
        }
    );
    assert_eq!(act.reason.as_deref(), Some("Not to be named"));
    assert_eq!(
        offer(hats(&[]), hats(&["urn:x:witch"])),
        None,
        "hats are given at the source"
    );
}

#[test]
fn who_registers_a_nick_asks_for_that_alone() {
    let (none, member) = (
        listing(Affiliation::None, None),
        listing(Affiliation::Member, Some("hecate")),
    );
    let was = Some(Listed::default());
    let own = offered(none.clone(), member.clone(), "hecate@shakespeare.lit");
    let nick = Some("hecate".to_owned());
    assert_eq!(own.as_act().unwrap().kind, ActKind::Register { nick, was });
    let by_another = offered(none, member, "crone1@shakespeare.lit");
    assert!(matches!(
        by_another.as_act().unwrap().kind,
        ActKind::Affiliation {
            affiliation: Affiliation::Member,
            ..
        }
    ));
}

#[test]
fn a_registration_makes_a_member_and_taking_it_back_ends_that() {
    let entry = |affiliation, nick: Option<&str>| Listed {
        affiliation,
        nick: nick.map(str::to_owned),
    };
    for (affiliation, nick, then) in [
        (Affiliation::None, Some("hecate"), Affiliation::Member),
        (Affiliation::Member, None, Affiliation::None),
        (Affiliation::Admin, None, Affiliation::Admin),
        (Affiliation::Owner, Some("hecate"), Affiliation::Owner),
    ] {
        assert_eq!(registered(&entry(affiliation, None), nick), entry(then, nick));
    }
}

/// What the source makes of an act of hecate's: whether that is so already.
fn is_so(room: &Room, kind: &ActKind) -> Result<bool, Error> {
    let (was, ruling) = asked::asked(kind, &jid("hecate@shakespeare.lit")).unwrap();
    asked::is_so(room, was.unwrap(), &ruling)
}

fn conflicts(asked: Result<bool, Error>) -> bool {
    let condition = asked.err().and_then(|error| error.stanza_error().cloned());
    condition.is_some_and(|error| error.condition == Condition::Conflict)
}

#[test]
fn the_source_takes_what_it_has_not_changed_itself() {
    let mut room = shadow();
    let act = ActKind::Subject {
        text: "Fire burn".to_owned(),
        was: Some("Eye of newt".to_owned()),
    };
    subject("wiccan", "Eye of newt").hold(&mut room);
    assert!(!is_so(&room, &act).unwrap());
    subject("wiccan", "Fire burn").hold(&mut room);
    assert!(is_so(&room, &act).unwrap(), "somebody else has done the same");
    subject("wiccan", "Toe of frog").hold(&mut room);
    assert!(conflicts(is_so(&room, &act)));
}

#[test]
fn a_nick_is_registered_for_one_person() {
    let mut room = shadow();
    let act = ActKind::Register {
        nick: Some("witch".to_owned()),
        was: Some(Listed::default()),
    };
    assert!(!is_so(&room, &act).unwrap());
    room.set_affiliation(&jid("wiccan@shakespeare.lit"), Affiliation::Member, Some("witch"));
    assert!(conflicts(is_so(&room, &act)));
}

#[test]
fn a_message_is_there_before_it_is_taken_away() {
    let act = ActKind::Moderate {
        id: "deed".to_owned(),
    };
    assert!(!is_so(&shadow(), &act).unwrap());
}

#[test]
fn a_ruling_is_asked_for_as_one() {
    let hecate = jid("hecate@shakespeare.lit");
    let acts = [
        ActKind::Affiliation {
            jid: hecate.clone(),
            affiliation: Affiliation::Member,
            nick: None,
            was: None,
            is_invited: false,
        },
        ActKind::Config {
            form: Form::default(),
            was: None,
        },
        ActKind::Subject {
            text: "Fire burn".to_owned(),
            was: None,
        },
        ActKind::Moderate {
            id: "deed".to_owned(),
        },
        ActKind::Avatar {
            avatar: None,
            was: None,
        },
        ActKind::Register {
            nick: None,
            was: Some(Listed::default()),
        },
        ActKind::Role {
            nick: "hecate".to_owned(),
            serial: None,
            role: Role::Visitor,
            request: None,
        },
        ActKind::Voice {
            serial: 1,
            request: 1,
        },
        ActKind::Invite {
            jid: hecate.clone().into(),
        },
        ActKind::Decline {
            nick: None,
            jid: Some(hecate.clone()),
        },
        ActKind::Destroy {
            venue: None,
            password: None,
        },
    ];
    for act in acts {
        let is_ruling = asked::asked(&act, &hecate).is_some();
        assert_eq!(act.is_ruling(), is_ruling, "{act:?}");
    }
}

#[test]
fn what_is_no_ruling_is_asked_for_otherwise() {
    let hecate = jid("hecate@shakespeare.lit");
    let end = ActKind::Destroy {
        venue: None,
        password: None,
    };
    assert!(asked::asked(&end, &hecate).is_none());
    let register = ActKind::Register {
        nick: None,
        was: None,
    };
    assert!(
        asked::asked(&register, &hecate).is_none(),
        "what it makes is not known"
    );
}
