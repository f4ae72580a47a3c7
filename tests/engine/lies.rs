//! Peers cannot lie (G11): what comes from the wrong sender is refused with a defined error and changes nothing.

use dmuc::wire::Condition;

use crate::support::federation::{Federation, config_of};
use crate::support::names::*;

/// A peer of everybody that has no instance of the room.
pub const EVIL: &str = "evil.example";
pub const EVIL_ROOM: &str = "coven@evil.example";
/// Nobody's peer.
pub const STRANGER: &str = "rooms.stranger.example";

pub fn coven() -> Federation {
    let services = [CHAT, ROOMS, CONF, EVIL];
    let mut fed = Federation::of(&services[..3]);
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    for (place, user) in [(FOO, CRONE1), (WITCH_PLACE, WITCH), (FAUST_PLACE, FAUST)] {
        fed.join(place, user);
    }
    fed.say(FOO, "hail");
    fed.run();
    for service in [CHAT, ROOMS, CONF] {
        let mut config = config_of(service, &services);
        config.replicate = dmuc::config::Replicate::OnJoin;
        fed.at(&bare(service), |host| host.engine.set_config(host.now, config));
    }
    fed.run();
    assert_eq!(fed.instances(COVEN).len(), 2);
    fed
}

/// The whole state of a service, but for what counts its errors.
pub fn state(fed: &Federation, service: &str) -> String {
    let host = fed.host(service);
    format!(
        "{:?} {:?} {:?} {:?}",
        host.engine, host.rooms, host.stored, host.acts
    )
}

/// A stanza is refused with this condition, and nothing is different after it.
pub fn expect_refused(fed: &mut Federation, service: &str, xml: &str, condition: Condition) {
    let before = state(fed, service);
    let refusals = fed.host(service).refused.len();
    fed.is_traced = true;
    fed.forget();
    fed.hand_in(&bare(service), xml);
    assert_eq!(before, state(fed, service), "{xml} changed something");
    let refused = &fed.host(service).refused[refusals..];
    let conditions: Vec<Condition> = refused.iter().map(|(_, error)| error.condition).collect();
    assert_eq!(conditions, [condition], "{xml}");
    let answers: Vec<&String> = fed.trace.iter().filter(|line| line.contains(" sends ")).collect();
    assert_eq!(answers.len(), 1, "{xml}: {answers:?}");
    assert!(
        answers[0].contains("type='error'") && answers[0].contains(condition.as_str()),
        "{answers:?}"
    );
    // What comes back to whoever is said to have sent it changes nothing there either.
    fed.run();
}

pub fn iq(from: &str, to: &str, kind: &str, payload: &str) -> String {
    format!("<iq from='{from}' to='{to}' id='lie' type='{kind}'>{payload}</iq>")
}

pub const CONFIG: &str = "<config xmlns='urn:xmpp:dmuc:0'><x xmlns='jabber:x:data' type='form'>\
    <field type='hidden' var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>\
    <field var='muc#roomconfig_roomname'><value>Stolen</value></field></x></config>";
pub const ROSTER: &str = "<roster xmlns='urn:xmpp:dmuc:0'><item affiliation='owner' jid='thief@evil.example' name='thief'/></roster>";
pub const QUERY: &str = "<roster xmlns='urn:xmpp:dmuc:0'/>";
pub const HISTORY: &str =
    "<room xmlns='urn:xmpp:dmuc:0' id='coven'><history xmlns='http://jabber.org/protocol/muc'/></room>";
pub const ACT: &str =
    "<act xmlns='urn:x-dmuc:0' nick='thief' jid='thief@evil.example'><role nick='foo' role='none'/></act>";
pub const CLOSE: &str = "<close xmlns='urn:x-dmuc:0'/>";
pub const DESTROY: &str = "<destroy xmlns='urn:x-dmuc:0'/>";
pub const LEAVE: &str = "<leave xmlns='urn:x-dmuc:0'/>";
pub const REPLICATE: &str =
    "<replicate xmlns='urn:xmpp:dmuc:0' source='coven@chat.shakespeare.lit'><room id='coven'/></replicate>";
pub const PEERHOST: &str =
    "<peerhost xmlns='urn:xmpp:dmuc:0' jid='evil.example'><room id='coven'/></peerhost>";
pub const GONE: &str = "<peerhost xmlns='urn:xmpp:dmuc:0' jid='conference.marlowe.lit' gone='true'><room id='coven'/></peerhost>";

pub const ROOM_REQUESTS: [(&str, &str); 8] = [
    ("set", CONFIG),
    ("set", ROSTER),
    ("get", QUERY),
    ("get", HISTORY),
    ("set", ACT),
    ("set", CLOSE),
    ("set", DESTROY),
    ("set", LEAVE),
];

#[test]
fn requests_between_rooms_are_refused_from_whoever_is_no_instance() {
    let mut fed = coven();
    let senders = [
        STRANGER.to_owned(),
        format!("coven@{STRANGER}"),
        format!("coven@{STRANGER}/nick"),
        EVIL.to_owned(),
        EVIL_ROOM.to_owned(),
        format!("{EVIL_ROOM}/foo"),
        CHAT.to_owned(),
        "other@chat.shakespeare.lit".to_owned(),
        CONF.to_owned(),
        "other@conference.marlowe.lit".to_owned(),
        FAUST_PLACE.to_owned(),
        "faust@marlowe.lit/study".to_owned(),
    ];
    for (kind, payload) in ROOM_REQUESTS {
        for sender in &senders {
            for (service, room) in [(CHAT, COVEN), (ROOMS, COVEN_AT_ROOMS)] {
                if service_of(&jid(sender).to_bare()) == bare(service) {
                    continue;
                }
                expect_refused(
                    &mut fed,
                    service,
                    &iq(sender, room, kind, payload),
                    Condition::Forbidden,
                );
            }
        }
    }
}

#[test]
fn what_only_the_source_may_do_is_refused_from_another_shadow() {
    let mut fed = coven();
    for payload in [CONFIG, CLOSE, DESTROY] {
        expect_refused(
            &mut fed,
            ROOMS,
            &iq(COVEN_AT_CONF, COVEN_AT_ROOMS, "set", payload),
            Condition::Forbidden,
        );
        expect_refused(
            &mut fed,
            CHAT,
            &iq(COVEN_AT_CONF, COVEN, "set", payload),
            Condition::Forbidden,
        );
    }
    expect_refused(
        &mut fed,
        ROOMS,
        &iq(COVEN_AT_CONF, COVEN_AT_ROOMS, "set", LEAVE),
        Condition::UnexpectedRequest,
    );
}

#[test]
fn requests_between_services_are_refused_from_anybody_else() {
    let mut fed = coven();
    for payload in [REPLICATE, PEERHOST, GONE] {
        for sender in [
            STRANGER,
            EVIL_ROOM,
            "coven@evil.example/x",
            COVEN_AT_CONF,
            "coven@rooms.stranger.example",
        ] {
            expect_refused(
                &mut fed,
                ROOMS,
                &iq(sender, ROOMS, "set", payload),
                Condition::Forbidden,
            );
        }
        // Asked of a room instead of the service.
        expect_refused(
            &mut fed,
            ROOMS,
            &iq(CHAT, COVEN_AT_ROOMS, "set", payload),
            Condition::Forbidden,
        );
    }
}

#[test]
fn a_service_speaks_only_for_rooms_it_is_the_firsthost_of() {
    let mut fed = coven();
    for sender in [EVIL, CONF] {
        // A source it does not host, and a room of another source here.
        expect_refused(
            &mut fed,
            ROOMS,
            &iq(sender, ROOMS, "set", REPLICATE),
            Condition::NotAcceptable,
        );
        let own =
            format!("<replicate xmlns='urn:xmpp:dmuc:0' source='x@{sender}'><room id='coven'/></replicate>");
        expect_refused(
            &mut fed,
            ROOMS,
            &iq(sender, ROOMS, "set", &own),
            Condition::Conflict,
        );
        let unnamed = "<replicate xmlns='urn:xmpp:dmuc:0'><room id='coven'/></replicate>";
        expect_refused(
            &mut fed,
            ROOMS,
            &iq(sender, ROOMS, "set", unnamed),
            Condition::Conflict,
        );
        for payload in [PEERHOST, GONE] {
            expect_refused(
                &mut fed,
                ROOMS,
                &iq(sender, ROOMS, "set", payload),
                Condition::ItemNotFound,
            );
        }
    }
    expect_refused(
        &mut fed,
        CHAT,
        &iq(ROOMS, CHAT, "set", PEERHOST),
        Condition::ItemNotFound,
    );
}

#[test]
fn a_room_that_is_not_here_is_not_found() {
    let mut fed = coven();
    for (kind, payload) in ROOM_REQUESTS {
        let xml = iq(COVEN_AT_CONF, "heath@rooms.macbeth.lit", kind, payload);
        expect_refused(&mut fed, ROOMS, &xml, Condition::ItemNotFound);
    }
}

#[test]
fn answers_count_only_from_who_was_asked() {
    let mut fed = coven();
    fed.is_traced = true;
    fed.kick(FOO, "faust");
    let line = fed
        .trace
        .iter()
        .find(|line| line.contains(" sends ") && line.contains("<act "))
        .unwrap();
    let id = line
        .split("id='")
        .nth(1)
        .unwrap()
        .split('\'')
        .next()
        .unwrap()
        .to_owned();
    let before = state(&fed, CHAT);
    for sender in [COVEN_AT_ROOMS, EVIL_ROOM, STRANGER, CONF, FAUST_PLACE] {
        fed.hand_in(
            &bare(CHAT),
            &format!("<iq from='{sender}' to='{COVEN}' id='{id}' type='result'/>"),
        );
        assert_eq!(before, state(&fed, CHAT), "{sender}");
    }
    fed.run();
    assert!(
        !fed.roster(COVEN).contains(&"faust none participant".to_owned()),
        "the real answer still counts"
    );
}

/// With `dmuc_replicate = "on-join"` a room goes to those whose users come, not to who names it.
#[test]
fn a_peer_that_names_a_rooms_id_is_not_given_the_room() {
    for proof in ["", " proof='c3d4'"] {
        let mut fed = coven();
        fed.is_traced = true;
        fed.forget();
        let digest = format!("<digest xmlns='urn:x-dmuc:0'><room id='coven' roster='7'{proof}/></digest>");
        fed.hand_in(&bare(CHAT), &iq(EVIL, CHAT, "set", &digest));
        fed.run_for(10_000);
        let sent: Vec<&String> = fed.trace.iter().filter(|line| line.contains(" sends ")).collect();
        let answer = sent
            .iter()
            .find(|line| line.contains("id='lie'"))
            .expect("an answer");
        assert!(answer.contains("gone='true'"), "{answer}");
        assert!(!sent.iter().any(|line| line.contains("<replicate ")), "{sent:?}");
        assert!(!fed.instances(COVEN).contains(EVIL_ROOM));
    }
}
