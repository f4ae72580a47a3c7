//! Subject, configuration, affiliations and roles: the source rules (G7), homes act on their own occupants.

use dmuc::wire::{Affiliation, Condition, Role};

use crate::support::event::{Crossing, Seen};
use crate::support::federation::Federation;
use crate::support::moderate::Wish;
use crate::support::names::*;
use crate::support::people::Denied;

/// crone1 owns the room, the witch is an owner, too, and is in a shadow; faust is nobody, in another shadow.
fn coven_with(fields: &[(&str, &str)]) -> Federation {
    let mut fed = Federation::of(&[CHAT, ROOMS, CONF]);
    fed.create(COVEN, CRONE1, fields);
    fed.join(FOO, CRONE1);
    fed.affiliate(FOO, "somewitch@macbeth.lit", Affiliation::Owner);
    fed.at(&bare(CHAT), |host| host.distribute(&bare(COVEN)));
    fed.run();
    fed.join(WITCH_PLACE, WITCH);
    fed.join(FAUST_PLACE, FAUST);
    fed.run();
    fed.forget();
    fed
}

fn coven() -> Federation {
    coven_with(&[])
}

fn subjects(fed: &Federation, place: &str) -> Vec<String> {
    let seen = fed.seen(place).into_iter();
    seen.filter_map(|seen| match seen {
        Seen::Subject { text, .. } => Some(text),
        _ => None,
    })
    .collect()
}

fn token(wish: Wish) -> u64 {
    match wish {
        Wish::Asked(token) => token,
        Wish::Done => panic!("it was done at once"),
    }
}

const EVERYWHERE: [&str; 3] = [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF];

#[test]
fn a_subject_set_at_the_source_is_shown_once_everywhere() {
    let mut fed = coven();
    fed.set_subject(FOO, "Toil");
    fed.run();
    for place in [FOO, WITCH_PLACE, FAUST_PLACE] {
        assert_eq!(subjects(&fed, place), ["Toil"], "{place}");
    }
    for peer in [ROOMS, CONF] {
        assert_eq!(
            fed.crossed(CHAT, peer),
            [Crossing::Subject { text: "Toil".into() }]
        );
    }
}

#[test]
fn a_subject_set_at_a_shadow_goes_to_the_source_which_tells_everybody() {
    let mut fed = coven();
    fed.set_subject(WITCH_PLACE, "Trouble");
    assert!(subjects(&fed, WITCH_PLACE).is_empty(), "the source decides");
    fed.run();
    for place in [FOO, WITCH_PLACE, FAUST_PLACE] {
        assert_eq!(subjects(&fed, place), ["Trouble"], "{place}");
    }
    let subject = [Crossing::Subject {
        text: "Trouble".into(),
    }];
    assert_eq!(fed.crossed(ROOMS, CHAT), subject);
    assert_eq!(fed.crossed(CHAT, CONF), subject);
    assert!(fed.crossed(ROOMS, CONF).is_empty());
}

#[test]
fn who_is_not_entitled_does_not_change_the_subject() {
    let mut fed = coven();
    let denied = fed.at(&bare(CONF), |host| {
        host.set_subject(&bare(COVEN_AT_CONF), "faust", "mine")
    });
    assert_eq!(denied, Err(Denied::NotEntitled));
    // Nor does a home that lets it.
    let xml = format!(
        "<message from='{FAUST_PLACE}' to='{COVEN}/faust' type='groupchat'><subject>mine</subject></message>"
    );
    fed.hand_in(&bare(CHAT), &xml);
    fed.run();
    assert_eq!(fed.subject(COVEN), "");
    assert_eq!(fed.host(CHAT).refused[0].1.condition, Condition::Forbidden);
    fed.configure(FOO, &[("muc#roomconfig_changesubject", "1")]);
    fed.run();
    fed.set_subject(FAUST_PLACE, "ours");
    fed.run();
    for room in EVERYWHERE {
        assert_eq!(fed.subject(room), "ours");
    }
}

#[test]
fn two_subjects_at_once_end_as_one() {
    let mut fed = coven();
    fed.set_subject(FOO, "source's");
    fed.set_subject(WITCH_PLACE, "shadow's");
    fed.run();
    let subject = fed.subject(COVEN);
    assert_eq!(subject, "shadow's", "the last one the source decided");
    for room in EVERYWHERE {
        assert_eq!(fed.subject(room), subject, "{room}");
    }
}

#[test]
fn a_subject_is_not_shown_again_when_the_configuration_changes() {
    let mut fed = coven();
    fed.set_subject(FOO, "Toil");
    fed.run();
    fed.forget();
    fed.configure(FOO, &[("muc#roomconfig_roomname", "Heath")]);
    fed.run();
    assert!(subjects(&fed, WITCH_PLACE).is_empty() && subjects(&fed, FAUST_PLACE).is_empty());
}

#[test]
fn the_configuration_of_the_source_reaches_every_shadow_once() {
    let mut fed = coven();
    fed.configure(FOO, &[("muc#roomconfig_roomname", "Heath")]);
    fed.run();
    for room in EVERYWHERE {
        assert_eq!(
            fed.field(room, "muc#roomconfig_roomname").as_deref(),
            Some("Heath")
        );
    }
    for peer in [ROOMS, CONF] {
        assert_eq!(fed.crossed(CHAT, peer), [Crossing::Request("config".into())]);
    }
    assert_eq!(fed.seen(FAUST_PLACE), [Seen::ConfigChanged]);
}

#[test]
fn a_configuration_submitted_at_a_shadow_goes_to_the_source_and_comes_back() {
    let mut fed = coven();
    let wish = fed.configure(WITCH_PLACE, &[("muc#roomconfig_roomname", "Heath")]);
    fed.run();
    assert_eq!(fed.act_error(ROOMS, token(wish)), None);
    for room in EVERYWHERE {
        assert_eq!(
            fed.field(room, "muc#roomconfig_roomname").as_deref(),
            Some("Heath")
        );
        assert_eq!(
            fed.field(room, "muc#roomconfig_whois").as_deref(),
            Some("moderators"),
            "the rest stays"
        );
    }
}

#[test]
fn members_only_removes_strangers_from_every_instance() {
    let mut fed = coven();
    fed.configure(FOO, &[("muc#roomconfig_membersonly", "1")]);
    fed.run();
    for room in EVERYWHERE {
        assert_eq!(fed.roster(room), ["foo owner moderator", "witch owner moderator"]);
    }
    assert_eq!(fed.try_join(FAUST_PLACE, FAUST), Err(Denied::MembersOnly));
}

#[test]
fn an_affiliation_set_at_the_source_counts_everywhere() {
    let mut fed = coven();
    fed.affiliate(FOO, "faust@marlowe.lit", Affiliation::Admin);
    fed.run();
    for room in EVERYWHERE {
        assert_eq!(fed.affiliation(room, "faust@marlowe.lit"), Affiliation::Admin);
        assert!(
            fed.roster(room).contains(&"faust admin moderator".to_owned()),
            "{room}: {:?}",
            fed.roster(room)
        );
    }
    assert_eq!(fed.tally(CHAT, ROOMS)["roster"], 1);
}

#[test]
fn an_affiliation_set_at_a_shadow_goes_to_the_source_and_comes_back() {
    let mut fed = coven();
    let wish = fed.affiliate(WITCH_PLACE, "faust@marlowe.lit", Affiliation::Member);
    fed.run();
    assert_eq!(fed.act_error(ROOMS, token(wish)), None);
    for room in EVERYWHERE {
        assert_eq!(fed.affiliation(room, "faust@marlowe.lit"), Affiliation::Member);
        assert!(fed.roster(room).contains(&"faust member participant".to_owned()));
    }
}

#[test]
fn a_ban_removes_the_occupant_everywhere_and_keeps_it_out() {
    let mut fed = coven();
    fed.affiliate(WITCH_PLACE, "faust@marlowe.lit", Affiliation::Outcast);
    fed.run();
    for room in EVERYWHERE {
        assert_eq!(fed.roster(room), ["foo owner moderator", "witch owner moderator"]);
    }
    let seen = fed.seen(FOO);
    assert!(
        seen.iter()
            .any(|seen| matches!(seen, Seen::Gone { nick, codes, .. } if nick == "faust" && *codes == [301]))
    );
    for room in EVERYWHERE {
        assert_eq!(
            fed.try_join(&format!("{room}/faust"), FAUST),
            Err(Denied::Banned),
            "{room}"
        );
    }
}

#[test]
fn a_ban_of_a_domain_counts_everywhere() {
    let mut fed = coven();
    fed.affiliate(FOO, "marlowe.lit", Affiliation::Outcast);
    fed.run();
    for room in EVERYWHERE {
        assert_eq!(
            fed.roster(room),
            ["foo owner moderator", "witch owner moderator"],
            "{room}"
        );
        assert_eq!(
            fed.try_join(&format!("{room}/wagner"), "wagner@marlowe.lit/x"),
            Err(Denied::Banned)
        );
    }
}

#[test]
fn a_registered_nick_is_kept_for_its_owner_everywhere() {
    let mut fed = coven();
    let user = bare("mephisto@marlowe.lit");
    fed.here(FOO, |host, room, nick| {
        host.affiliate(room, nick, &user, Affiliation::Member, Some("devil"))
    });
    fed.run();
    for room in EVERYWHERE {
        assert_eq!(
            fed.try_join(&format!("{room}/devil"), "hag66@shakespeare.lit/x"),
            Err(Denied::NickTaken),
            "{room}"
        );
    }
    fed.join("coven@conference.marlowe.lit/devil", "mephisto@marlowe.lit/hell");
}

#[test]
fn a_kick_of_somebody_elsewhere_is_done_by_its_home() {
    let mut fed = coven();
    let wish = fed.kick(FOO, "faust");
    assert!(
        fed.roster(COVEN).contains(&"faust none participant".to_owned()),
        "its home decides"
    );
    fed.run();
    assert_eq!(fed.act_error(CHAT, token(wish)), None);
    for room in EVERYWHERE {
        assert_eq!(fed.roster(room), ["foo owner moderator", "witch owner moderator"]);
    }
    assert_eq!(fed.tally(CHAT, CONF), [("act".to_owned(), 1)].into());
    assert!(fed.crossed(CHAT, ROOMS).is_empty());
    let seen = fed.seen(WITCH_PLACE);
    assert!(
        matches!(seen.as_slice(), [Seen::Gone { nick, codes, actor, reason, .. }]
            if nick == "faust" && *codes == [307] && actor.as_deref() == Some("foo") && reason.as_deref() == Some("out")),
        "{seen:?}"
    );
}

#[test]
fn a_kick_between_two_shadows_does_not_need_the_source() {
    let mut fed = coven();
    let wish = fed.kick(WITCH_PLACE, "faust");
    fed.run();
    assert_eq!(fed.act_error(ROOMS, token(wish)), None);
    for room in EVERYWHERE {
        assert_eq!(fed.roster(room), ["foo owner moderator", "witch owner moderator"]);
    }
    assert_eq!(fed.tally(ROOMS, CONF)["act"], 1);
    assert!(fed.crossed(ROOMS, CHAT).is_empty());
}

#[test]
fn voice_is_given_and_taken_by_the_home() {
    let mut fed = coven();
    for (role, shown) in [
        (Role::Visitor, "faust none visitor"),
        (Role::Participant, "faust none participant"),
    ] {
        fed.here(WITCH_PLACE, |host, room, nick| {
            host.set_role(room, nick, "faust", role, None)
        });
        fed.run();
        for room in EVERYWHERE {
            assert!(fed.roster(room).contains(&shown.to_owned()), "{room}");
        }
    }
}

#[test]
fn an_act_on_somebody_who_left_and_came_back_misses() {
    let mut fed = coven();
    let wish = fed.kick(FOO, "faust");
    fed.leave(FAUST_PLACE);
    fed.now_ms += 1;
    fed.join(FAUST_PLACE, FAUST);
    fed.run();
    assert_eq!(fed.act_error(CHAT, token(wish)), Some(Condition::ItemNotFound));
    for room in EVERYWHERE {
        assert!(
            fed.roster(room).contains(&"faust none participant".to_owned()),
            "{room}"
        );
    }
}

#[test]
fn an_act_on_somebody_who_left_is_answered() {
    let mut fed = coven();
    let wish = fed.kick(FOO, "faust");
    fed.leave(FAUST_PLACE);
    fed.run();
    assert_eq!(fed.act_error(CHAT, token(wish)), Some(Condition::ItemNotFound));
}

#[test]
fn the_home_refuses_an_act_its_actor_is_not_entitled_to() {
    let mut fed = coven();
    // What a home that checks nothing would send.
    let wish = fed.at(&bare(CONF), |host| {
        let act = dmuc::wire::Act {
            actor_nick: Some("faust".into()),
            actor_jid: Some(bare("faust@marlowe.lit")),
            kind: dmuc::wire::ActKind::Role {
                nick: "witch".into(),
                serial: None,
                role: Role::None,
                request: None,
            },
            reason: None,
        };
        let room = bare(COVEN_AT_CONF);
        host.engine
            .handle_input(
                host.now,
                dmuc::Input::Act {
                    room: &room,
                    token: 77,
                    act,
                },
            )
            .unwrap();
        77
    });
    fed.run();
    assert_eq!(fed.act_error(CONF, wish), Some(Condition::Forbidden));
    assert!(
        fed.roster(COVEN_AT_ROOMS)
            .contains(&"witch owner moderator".to_owned())
    );
}

#[test]
fn an_act_is_answered_even_if_the_peer_never_does() {
    let mut fed = coven();
    fed.net
        .set_mode(&bare(CHAT), &bare(CONF), crate::support::net::Mode::Swallows);
    let wish = fed.kick(FOO, "faust");
    fed.run_for(70_000);
    assert_eq!(
        fed.act_error(CHAT, token(wish)),
        Some(Condition::RemoteServerTimeout)
    );
    assert!(
        fed.roster(COVEN).contains(&"faust none participant".to_owned()),
        "nobody is kicked by a network (G8)"
    );
}

#[test]
fn a_shadows_owner_can_destroy_the_room() {
    let mut fed = coven();
    let wish = fed.at(&bare(ROOMS), |host| {
        let act = dmuc::wire::Act {
            actor_nick: Some("witch".into()),
            actor_jid: Some(bare("somewitch@macbeth.lit")),
            kind: dmuc::wire::ActKind::Destroy {
                venue: Some(bare("heath@chat.shakespeare.lit")),
                password: None,
            },
            reason: Some("Birnam wood".into()),
        };
        let room = bare(COVEN_AT_ROOMS);
        host.engine
            .handle_input(
                host.now,
                dmuc::Input::Act {
                    room: &room,
                    token: 5,
                    act,
                },
            )
            .unwrap();
        5
    });
    fed.run();
    assert_eq!(fed.act_error(ROOMS, wish), None);
    for service in [CHAT, ROOMS, CONF] {
        assert!(fed.host(service).rooms.is_empty(), "{service}");
        assert_eq!(fed.host(service).engine.rooms().count(), 0, "{service}");
    }
}
