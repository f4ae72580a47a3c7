//! One person with clients at two instances is one occupant: roles are every home's to set, and which client is shown is
//! decided alike everywhere.

use dmuc::wire::{Affiliation, Condition, Role};

use crate::lies::{expect_refused, iq};
use crate::scenes;
use crate::support::federation::{Federation, config_of};
use crate::support::moderate::Wish;
use crate::support::names::*;
use crate::support::net::Mode;

const AT_ROOMS: &str = "coven@rooms.macbeth.lit/witch";
const AT_CONF: &str = "coven@conference.marlowe.lit/witch";
const ABROAD: &str = "somewitch@macbeth.lit/abroad";

/// The witch is at both shadows, under one nick.
fn coven() -> Federation {
    let mut fed = scenes::shared(&[CHAT, ROOMS, CONF]);
    fed.join(FOO, CRONE1);
    fed.run();
    fed.join(AT_ROOMS, WITCH);
    fed.run();
    fed.now_ms += 10;
    fed.join(AT_CONF, ABROAD);
    fed.run();
    fed.forget();
    fed
}

fn token(wish: Wish) -> u64 {
    match wish {
        Wish::Asked(token) => token,
        Wish::Done => panic!("it was done at once"),
    }
}

fn first_homes(fed: &Federation) -> Vec<String> {
    let homes = [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF].map(|room| {
        let engine = &fed.host(service_of(&bare(room)).as_str()).engine;
        engine.first_home(&bare(room), "witch").map(ToString::to_string)
    });
    homes.into_iter().map(Option::unwrap_or_default).collect()
}

#[test]
fn the_client_that_came_first_is_the_one_that_is_shown_everywhere() {
    let mut fed = coven();
    assert_eq!(first_homes(&fed), [COVEN_AT_ROOMS; 3]);
    fed.leave(AT_ROOMS);
    fed.run();
    assert_eq!(first_homes(&fed), [COVEN_AT_CONF; 3]);
    fed.now_ms += 10;
    fed.join(AT_ROOMS, WITCH);
    fed.run();
    assert_eq!(
        first_homes(&fed),
        [COVEN_AT_CONF; 3],
        "who comes back comes later"
    );
    fed.leave(AT_ROOMS);
    fed.leave(AT_CONF);
    fed.run();
    assert_eq!(first_homes(&fed), [""; 3]);
}

#[test]
fn a_kick_is_carried_out_by_every_home_and_answered_once() {
    let mut fed = coven();
    let wish = token(fed.kick(FOO, "witch"));
    fed.run();
    assert_eq!(fed.host(CHAT).acts.get(&wish), Some(&None));
    for room in [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF] {
        assert_eq!(fed.roster(room), fed.roster(COVEN), "{room}");
        assert_eq!(fed.roster(room).len(), 1, "{room}");
    }
}

#[test]
fn a_role_is_set_by_every_home() {
    let mut fed = coven();
    let wish = fed.here(FOO, |host, room, nick| {
        host.set_role(room, nick, "witch", Role::Visitor, None)
    });
    let wish = token(wish);
    fed.run();
    assert_eq!(fed.host(CHAT).acts.get(&wish), Some(&None));
    for room in [COVEN_AT_ROOMS, COVEN_AT_CONF] {
        let host_room = fed.host(service_of(&bare(room)).as_str()).room(&bare(room));
        assert_eq!(host_room.local("witch").unwrap().role, Role::Visitor, "{room}");
    }
}

#[test]
fn a_home_that_cannot_be_asked_is_said_so_and_the_other_one_does_it() {
    let mut fed = coven();
    fed.net.set_mode(&bare(CHAT), &bare(CONF), Mode::Bounces);
    fed.run_for(200_000);
    let wish = token(fed.kick(FOO, "witch"));
    fed.run_for(60_000);
    let answer = fed.host(CHAT).acts.get(&wish).expect("an answer").as_ref();
    assert_eq!(
        answer.map(|error| error.condition),
        Some(Condition::RemoteServerNotFound)
    );
    let at_rooms = fed.host(ROOMS).room(&bare(COVEN_AT_ROOMS));
    assert!(at_rooms.local("witch").is_none());
    let at_conf = fed.host(CONF).room(&bare(COVEN_AT_CONF));
    assert!(at_conf.local("witch").is_some());
}

fn is_vouched_for(fed: &Federation, at: &str, home: &str) -> bool {
    let engine = &fed.host(service_of(&bare(at)).as_str()).engine;
    engine.is_vouched_for(&bare(at), &bare(home), "witch")
}

#[test]
fn what_is_for_a_person_goes_only_where_the_person_may_be_named() {
    let mut fed = coven();
    // Who the witch is the source knows from her own service, and each home of its own client.
    for (at, home, expected) in [
        (COVEN, COVEN_AT_ROOMS, true),
        (COVEN, COVEN_AT_CONF, false),
        (COVEN_AT_ROOMS, COVEN_AT_CONF, false),
        (COVEN_AT_CONF, COVEN_AT_ROOMS, true),
        (COVEN_AT_ROOMS, COVEN, true),
    ] {
        assert_eq!(is_vouched_for(&fed, at, home), expected, "{home} at {at}");
    }
    // Her own service cannot be reached: the other one does not get what is for her.
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Bounces);
    fed.run_for(200_000);
    let sent = fed.at(&bare(CHAT), |host| {
        host.input(dmuc::Input::Private {
            room: &bare(COVEN),
            nick: "witch",
            token: 1_000_000,
            is_request: false,
        })
    });
    let condition = sent.map_err(|error| error.stanza_error().map(|error| error.condition));
    assert_eq!(condition.err(), Some(Some(Condition::RemoteServerNotFound)));
    fed.net.heal();
    fed.run_for(200_000);
    let mut config = config_of(CHAT, &[CHAT, ROOMS, CONF]);
    config.peers.get_mut(&bare(CONF)).unwrap().trusted = true;
    fed.at(&bare(CHAT), |host| host.engine.set_config(host.now, config));
    assert!(is_vouched_for(&fed, COVEN, COVEN_AT_CONF), "a trusted peer");
    // Where nobody knows who she is, the occupant-id has to do.
    fed.leave(AT_ROOMS);
    fed.run();
    assert!(is_vouched_for(&fed, COVEN_AT_ROOMS, COVEN_AT_CONF));
}

/// The occupant-id of a moderator is as public as anybody's.
#[test]
fn nobody_acts_for_a_person_by_showing_its_occupant_id() {
    let mut fed = scenes::shared(&[CHAT, ROOMS, CONF]);
    fed.join(FOO, CRONE1);
    fed.affiliate(FOO, "somewitch@macbeth.lit", Affiliation::Admin);
    fed.run();
    fed.join(AT_ROOMS, WITCH);
    fed.join("coven@rooms.macbeth.lit/banquo", "banquo@macbeth.lit/x");
    fed.run();
    let rooms = bare(COVEN_AT_ROOMS);
    let id = fed
        .host(ROOMS)
        .room(&rooms)
        .occupant_id(&bare("somewitch@macbeth.lit"));
    fed.hand_in(
        &bare(ROOMS),
        &format!(
            "<presence from='{AT_CONF}' to='{AT_ROOMS}'><x xmlns='http://jabber.org/protocol/muc#user'>\
             <item affiliation='none' role='participant'/></x>\
             <occupant xmlns='urn:x-dmuc:0' id='{id}' serial='9999999999999'/></presence>"
        ),
    );
    assert!(
        fed.host(ROOMS).room(&rooms).remote("witch").is_some(),
        "shown as hers"
    );
    for inner in [
        "<role nick='banquo' role='none'/>",
        "<invite jid='lennox@macbeth.lit'/>",
    ] {
        let act = format!("<act xmlns='urn:x-dmuc:0' nick='witch' jid='wagner@marlowe.lit'>{inner}</act>");
        let xml = iq(COVEN_AT_CONF, COVEN_AT_ROOMS, "set", &act);
        expect_refused(&mut fed, ROOMS, &xml, Condition::Forbidden);
    }
}

/// What a service says under her nick has no occupant-id of hers where she is known: it may not speak for her.
#[test]
fn nobody_speaks_as_a_person_by_showing_its_occupant_id() {
    let mut fed = coven();
    for (at, text, has_hers) in [(AT_ROOMS, "hail", true), (AT_CONF, "I am she", false)] {
        let room = bare(COVEN_AT_ROOMS);
        let hers = fed
            .host(ROOMS)
            .room(&room)
            .occupant_id(&bare("somewitch@macbeth.lit"));
        fed.say(at, text);
        fed.run();
        for room in [COVEN, COVEN_AT_ROOMS] {
            let (_, said) = fed.history(room).pop().unwrap();
            assert_eq!(said.payload, format!("<body>{text}</body>"));
            let expected = has_hers.then(|| hers.clone());
            assert_eq!(said.occupant_id, expected, "{text} at {room}");
        }
    }
}

const HERS: &str = "rooms.evil.example";
const AT_HERS: &str = "coven@rooms.evil.example/witch";
const BANQUO_PLACE: &str = "coven@conference.marlowe.lit/banquo";

/// The witch is at one shadow, and at another one nobody knows who she is. A third names an occupant of its own and shows
/// the witch's occupant-id for it; `first` if that one joined before her.
fn turned_round(knows_how: bool, first: bool) -> Federation {
    let mut fed = Federation::of(&[CHAT, ROOMS, CONF, HERS]);
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    fed.join(FOO, CRONE1);
    fed.join(AT_ROOMS, WITCH);
    if knows_how {
        fed.join(BANQUO_PLACE, "banquo@marlowe.lit/x");
    }
    fed.run();
    let serial = if first { "1" } else { "9999999999999" };
    let xml = format!(
        "<presence from='{AT_HERS}' to='{AT_CONF}'><x xmlns='http://jabber.org/protocol/muc#user'>\
         <item affiliation='none' role='participant' jid='medea@evil.example/x'/></x>\
         <occupant xmlns='urn:x-dmuc:0' id='{}' serial='{serial}'/></presence>",
        id_of_witch(&fed),
    );
    fed.hand_in(&bare(CONF), &xml);
    if !knows_how {
        fed.join(BANQUO_PLACE, "banquo@marlowe.lit/x");
    }
    fed
}

fn id_of_witch(fed: &Federation) -> String {
    let room = fed.host(ROOMS).room(&bare(COVEN_AT_ROOMS));
    room.occupant_id(&bare("somewitch@macbeth.lit"))
}

#[test]
fn who_is_named_as_somebody_else_does_not_become_a_person_by_its_occupant_id() {
    for knows_how in [true, false] {
        let fed = turned_round(knows_how, false);
        let room = fed.host(CONF).room(&bare(COVEN_AT_CONF));
        let (home, witch) = room.remote("witch").expect("the witch is shown");
        assert_eq!(home, &bare(COVEN_AT_ROOMS));
        assert_eq!(witch.occupant_id, Some(id_of_witch(&fed)));
        assert_eq!(
            room.occupants["witch"].remote.len(),
            1,
            "nobody gets what is for her"
        );
        assert!(is_vouched_for(&fed, COVEN_AT_CONF, COVEN_AT_ROOMS));
        // Who comes first has the nick, as in every clash, but not her occupant-id.
        let fed = turned_round(knows_how, true);
        let room = fed.host(CONF).room(&bare(COVEN_AT_CONF));
        let (home, other) = room.remote("witch").expect("somebody is shown");
        assert_eq!(home, &bare("coven@rooms.evil.example"));
        assert_eq!(other.occupant_id, None);
        assert_eq!(room.occupants["witch"].remote.len(), 1);
    }
}

/// An honest home names its occupants, and shows the ids that they have.
#[test]
fn an_occupant_id_that_fits_the_named_person_counts() {
    let mut fed = coven();
    fed.configure(FOO, &[("muc#roomconfig_whois", "anyone")]);
    fed.run();
    fed.join(BANQUO_PLACE, "banquo@marlowe.lit/x");
    fed.run();
    let banquo = fed
        .host(CHAT)
        .room(&bare(COVEN))
        .remote("banquo")
        .map(|(_, remote)| {
            let named = remote.bare().expect("named to the source");
            (remote.occupant_id.clone(), named)
        });
    let (id, named) = banquo.expect("shown at the source");
    let room = fed.host(CONF).room(&bare(COVEN_AT_CONF));
    assert_eq!(id, Some(room.occupant_id(&named)));
}

/// Nameless, with the witch's occupant-id, it acts in its own name.
#[test]
fn an_act_does_not_name_who_is_shown_as_somebody_else() {
    let mut fed = Federation::of(&[CHAT, ROOMS, CONF, HERS]);
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    fed.join(FOO, CRONE1);
    fed.join(AT_ROOMS, WITCH);
    fed.join(BANQUO_PLACE, "banquo@marlowe.lit/x");
    fed.run();
    let xml = format!(
        "<presence from='{AT_HERS}' to='{AT_CONF}'><x xmlns='http://jabber.org/protocol/muc#user'>\
         <item affiliation='none' role='participant'/></x>\
         <occupant xmlns='urn:x-dmuc:0' id='{}' serial='9999999999999'/></presence>",
        id_of_witch(&fed),
    );
    fed.hand_in(&bare(CONF), &xml);
    let act = "<act xmlns='urn:x-dmuc:0' nick='witch' jid='medea@evil.example'><role nick='banquo' role='none'/></act>";
    let xml = iq("coven@rooms.evil.example", COVEN_AT_CONF, "set", act);
    fed.hand_in(&bare(CONF), &xml);
    assert!(
        is_vouched_for(&fed, COVEN_AT_CONF, COVEN_AT_ROOMS),
        "what is for the witch goes to her home"
    );
}

/// What the source shows of the witch if the salts that the hosts use are not the one that the engines share.
fn id_at_source(other_at: &[&str]) -> Option<String> {
    let mut fed = scenes::shared(&[CHAT, ROOMS, CONF]);
    for room in other_at {
        fed.at(&service_of(&bare(room)), |host| {
            let room = host.rooms.get_mut(&bare(room)).expect("it is there");
            room.salt = "another".to_owned();
        });
    }
    fed.join(FOO, CRONE1);
    fed.join(AT_ROOMS, WITCH);
    fed.run();
    let room = fed.host(CHAT).room(&bare(COVEN));
    let (_, witch) = room.remote("witch").expect("the witch is shown");
    assert_eq!(witch.bare(), Some(bare("somewitch@macbeth.lit")));
    witch.occupant_id.clone()
}

#[test]
fn where_occupant_ids_are_made_in_another_way_they_are_taken_as_they_are() {
    assert!(id_at_source(&[]).is_some());
    assert!(id_at_source(&[COVEN, COVEN_AT_ROOMS]).is_some(), "all do it so");
    assert_eq!(id_at_source(&[COVEN_AT_ROOMS]), None, "not the witch's");
}
