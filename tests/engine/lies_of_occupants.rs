//! Peers cannot lie about occupants, messages and who acts (G11).

use dmuc::wire::{Affiliation, Condition, Role};

use crate::lies::*;
use crate::support::names::*;

fn presence(from: &str, to: &str, item: &str) -> String {
    format!(
        "<presence from='{from}' to='{to}'><x xmlns='http://jabber.org/protocol/muc#user'>{item}</x>\
         <occupant xmlns='urn:x-dmuc:0' serial='7'/></presence>"
    )
}

const NOBODY: &str = "<item affiliation='none' role='participant'/>";

#[test]
fn presence_of_a_room_that_is_no_instance_is_refused() {
    let mut fed = coven();
    for sender in [
        format!("{EVIL_ROOM}/ghost"),
        "other@conference.marlowe.lit/ghost".to_owned(),
    ] {
        for (service, room) in [(CHAT, COVEN), (ROOMS, COVEN_AT_ROOMS)] {
            let xml = presence(&sender, &format!("{room}/ghost"), NOBODY);
            expect_refused(&mut fed, service, &xml, Condition::Forbidden);
        }
    }
}

#[test]
fn an_occupant_has_one_nick() {
    let mut fed = coven();
    let xml = presence(&format!("{COVEN_AT_CONF}/one"), &format!("{COVEN}/two"), NOBODY);
    expect_refused(&mut fed, CHAT, &xml, Condition::BadRequest);
}

#[test]
fn nobody_takes_away_or_changes_another_homes_occupant() {
    let mut fed = coven();
    let before = fed.roster(COVEN);
    let xml = format!("<presence from='{COVEN_AT_CONF}/witch' to='{COVEN}/witch' type='unavailable'/>");
    fed.hand_in(&bare(CHAT), &xml);
    fed.run();
    assert_eq!(fed.roster(COVEN), before);
    // The same nick from another home is a clash, not a change. (With an earlier serial it would win the nick: the
    // rule believes homes about when somebody joined.)
    let xml = presence(
        &format!("{COVEN_AT_CONF}/witch"),
        &format!("{COVEN}/witch"),
        "<item affiliation='owner' role='moderator' jid='faust@marlowe.lit/study'/>",
    );
    let xml = xml.replace("serial='7'", "serial='9999999999999'");
    fed.hand_in(&bare(CHAT), &xml);
    fed.run();
    assert_eq!(fed.roster(COVEN), before);
}

#[test]
fn a_banned_occupant_is_refused() {
    let mut fed = coven();
    fed.affiliate(FOO, "mephisto@marlowe.lit", Affiliation::Outcast);
    fed.run();
    let item = "<item affiliation='owner' role='moderator' jid='mephisto@marlowe.lit/hell'/>";
    let xml = presence(&format!("{COVEN_AT_CONF}/devil"), &format!("{COVEN}/devil"), item);
    expect_refused(&mut fed, CHAT, &xml, Condition::Forbidden);
}

#[test]
fn rights_follow_real_jids_and_only_from_who_may_name_them() {
    let mut fed = coven();
    for (nick, item) in [
        (
            "one",
            "<item affiliation='owner' role='moderator' jid='crone1@shakespeare.lit/desktop'/>",
        ),
        (
            "two",
            "<item affiliation='owner' role='moderator' jid='wagner@marlowe.lit/x'/>",
        ),
        ("three", "<item affiliation='owner' role='moderator'/>"),
    ] {
        let place = format!("{COVEN}/{nick}");
        fed.hand_in(
            &bare(CHAT),
            &presence(&format!("{COVEN_AT_CONF}/{nick}"), &place, item),
        );
        fed.run();
        let rank = fed.host(CHAT).rank(&bare(COVEN), nick).unwrap();
        assert_eq!(rank.0, Affiliation::None, "{nick}");
        // It may say it is a moderator; what needs an affiliation it cannot do.
        for act in [
            format!(
                "<act xmlns='urn:x-dmuc:0' nick='{nick}'><affiliation jid='thief@evil.example' affiliation='owner'/></act>"
            ),
            format!("<act xmlns='urn:x-dmuc:0' nick='{nick}'><destroy/></act>"),
            format!(
                "<act xmlns='urn:x-dmuc:0' nick='{nick}'><config>{}</config></act>",
                CONFIG
                    .trim_start_matches("<config xmlns='urn:xmpp:dmuc:0'>")
                    .trim_end_matches("</config>")
            ),
        ] {
            fed.is_traced = true;
            fed.forget();
            let rooms = format!("{:?}", fed.host(CHAT).rooms);
            fed.hand_in(&bare(CHAT), &iq(COVEN_AT_CONF, COVEN, "set", &act));
            assert_eq!(rooms, format!("{:?}", fed.host(CHAT).rooms), "{act}");
            assert!(
                fed.trace.iter().any(|line| line.contains("type='error'")),
                "{act}: {:?}",
                fed.trace
            );
            fed.run();
        }
    }
}

#[test]
fn acts_in_the_name_of_people_of_other_domains_are_refused() {
    let mut fed = coven();
    for act in [
        "<act xmlns='urn:x-dmuc:0' jid='crone1@shakespeare.lit'><affiliation jid='thief@evil.example' affiliation='owner'/></act>",
        "<act xmlns='urn:x-dmuc:0' nick='nobody' jid='crone1@shakespeare.lit'><destroy/></act>",
        "<act xmlns='urn:x-dmuc:0' jid='crone1@shakespeare.lit'><role nick='foo' role='none'/></act>",
    ] {
        expect_refused(
            &mut fed,
            CHAT,
            &iq(COVEN_AT_CONF, COVEN, "set", act),
            Condition::Forbidden,
        );
    }
    let by_nobody = "<act xmlns='urn:x-dmuc:0'><destroy/></act>";
    expect_refused(
        &mut fed,
        CHAT,
        &iq(COVEN_AT_CONF, COVEN, "set", by_nobody),
        Condition::ItemNotFound,
    );
    // The nick is an occupant of another home.
    let by_another = "<act xmlns='urn:x-dmuc:0' nick='witch'><role nick='foo' role='none'/></act>";
    expect_refused(
        &mut fed,
        CHAT,
        &iq(COVEN_AT_CONF, COVEN, "set", by_another),
        Condition::ItemNotFound,
    );
}

#[test]
fn a_shadow_that_claims_an_owner_without_a_jid_cannot_kick_at_another_shadow() {
    let mut fed = coven();
    let item = "<item affiliation='owner' role='moderator'/>";
    fed.hand_in(
        &bare(ROOMS),
        &presence(
            &format!("{COVEN_AT_CONF}/boss"),
            &format!("{COVEN_AT_ROOMS}/boss"),
            item,
        ),
    );
    let act = "<act xmlns='urn:x-dmuc:0' nick='boss'><role nick='witch' role='none'/></act>";
    fed.hand_in(&bare(ROOMS), &iq(COVEN_AT_CONF, COVEN_AT_ROOMS, "set", act));
    fed.run();
    assert!(
        fed.roster(COVEN_AT_ROOMS)
            .contains(&"witch none participant".to_owned()),
        "{:?}",
        fed.roster(COVEN_AT_ROOMS)
    );
}

#[test]
fn only_the_source_decides_of_affiliations_configuration_and_the_end() {
    let mut fed = coven();
    fed.affiliate(FOO, "faust@marlowe.lit", Affiliation::Owner);
    fed.run();
    for act in [
        "<act xmlns='urn:x-dmuc:0' nick='faust'><affiliation jid='x@marlowe.lit' affiliation='owner'/></act>"
            .to_owned(),
        "<act xmlns='urn:x-dmuc:0' nick='faust'><destroy/></act>".to_owned(),
        "<act xmlns='urn:x-dmuc:0' jid='faust@marlowe.lit'><destroy/></act>".to_owned(),
    ] {
        let xml = iq(COVEN_AT_CONF, COVEN_AT_ROOMS, "set", &act);
        expect_refused(&mut fed, ROOMS, &xml, Condition::UnexpectedRequest);
    }
}

#[test]
fn only_the_source_sets_affiliations_by_roster() {
    let mut fed = coven();
    for (service, room) in [(CHAT, COVEN), (ROOMS, COVEN_AT_ROOMS)] {
        let roster = "<roster xmlns='urn:xmpp:dmuc:0'><item affiliation='owner' jid='thief@evil.example'/>\
            <item affiliation='outcast' jid='crone1@shakespeare.lit'/></roster>";
        fed.hand_in(&bare(service), &iq(COVEN_AT_CONF, room, "set", roster));
        fed.run();
        assert_eq!(fed.affiliation(room, "thief@evil.example"), Affiliation::None);
        assert_eq!(
            fed.affiliation(room, "crone1@shakespeare.lit"),
            Affiliation::Owner
        );
    }
}

fn message(from: &str, to: &str, event: &str) -> String {
    format!("<message from='{from}' to='{to}' type='groupchat' id='m'><body>lie</body>{event}</message>")
}

#[test]
fn messages_are_refused_for_whom_the_sender_is_not_the_home_of() {
    let mut fed = coven();
    for (sender, condition) in [
        (format!("{EVIL_ROOM}/foo"), Condition::Forbidden),
        (
            "other@conference.marlowe.lit/faust".to_owned(),
            Condition::Forbidden,
        ),
        (format!("{COVEN_AT_CONF}/witch"), Condition::NotAcceptable),
        (format!("{COVEN_AT_CONF}/nobody"), Condition::NotAcceptable),
    ] {
        let nick = sender.rsplit('/').next().unwrap();
        let xml = message(&sender, &format!("{COVEN}/{nick}"), "");
        expect_refused(&mut fed, CHAT, &xml, condition);
    }
    let relayed =
        "<event xmlns='urn:x-dmuc:0' id='x' origin='coven@rooms.macbeth.lit' inc='1' seq='9' at='1.0'/>";
    let xml = message(FAUST_PLACE, &format!("{COVEN}/faust"), relayed);
    expect_refused(&mut fed, CHAT, &xml, Condition::Forbidden);
    let xml = message(FAUST_PLACE, &format!("{COVEN}/other"), "");
    expect_refused(&mut fed, CHAT, &xml, Condition::BadRequest);
}

#[test]
fn a_visitor_is_refused_whoever_lets_it_speak() {
    let mut fed = coven();
    fed.here(FOO, |host, room, nick| {
        host.set_role(room, nick, "faust", Role::Visitor, None)
    });
    fed.run();
    let xml = message(FAUST_PLACE, &format!("{COVEN}/faust"), "");
    expect_refused(&mut fed, CHAT, &xml, Condition::Forbidden);
    let xml = message(FAUST_PLACE, &format!("{COVEN_AT_ROOMS}/faust"), "");
    expect_refused(&mut fed, ROOMS, &xml, Condition::Forbidden);
}

#[test]
fn subjects_are_refused_from_whoever_is_not_entitled() {
    let mut fed = coven();
    let subject = |from: &str, to: &str| {
        format!("<message from='{from}' to='{to}' type='groupchat'><subject>lie</subject></message>")
    };
    for sender in [
        FAUST_PLACE.to_owned(),
        format!("{COVEN_AT_CONF}/foo"),
        COVEN_AT_CONF.to_owned(),
    ] {
        expect_refused(
            &mut fed,
            CHAT,
            &subject(&sender, &format!("{COVEN}/x")),
            Condition::Forbidden,
        );
    }
    // From another shadow it is a wish that concerns the source alone.
    let before = state(&fed, ROOMS);
    fed.hand_in(
        &bare(ROOMS),
        &subject(FAUST_PLACE, &format!("{COVEN_AT_ROOMS}/faust")),
    );
    assert_eq!(before, state(&fed, ROOMS));
}

#[test]
fn a_shadows_history_names_only_its_own_messages() {
    let mut fed = coven();
    fed.is_traced = true;
    // A shadow that restarted asks another one for what is missing; the answer speaks for a third.
    fed.at(&bare(CONF), |host| {
        host.restart(host.engine.config().clone(), [10; 32])
    });
    let until = fed.now_ms + 60_000;
    let mut asked = None;
    while asked.is_none() && fed.step(until) {
        asked = fed
            .trace
            .iter()
            .filter_map(|line| line.split_once(" conference.marlowe.lit sends "))
            .map(|(_, xml)| xml.to_owned())
            .find(|xml| xml.contains("to='coven@rooms.macbeth.lit'") && xml.contains("<sync "));
    }
    let asked = asked.expect("it asks");
    let id = asked.split("id='").nth(1).unwrap().split('\'').next().unwrap();
    let lie = format!(
        "<iq from='{COVEN_AT_ROOMS}' to='{COVEN_AT_CONF}' id='{id}' type='result'>\
         <sync xmlns='urn:x-dmuc:0'><events origin='{COVEN}' inc='9'><message xmlns='jabber:client' event='z' seq='1' \
         at='1769155200000.0' nick='foo'><body>lie</body></message></events></sync></iq>"
    );
    fed.hand_in(&bare(CONF), &lie);
    fed.run();
    let texts: Vec<String> = fed
        .history(COVEN_AT_CONF)
        .into_iter()
        .map(|(text, _)| text)
        .collect();
    assert!(!texts.contains(&"lie".to_owned()), "{texts:?}");
}

#[test]
fn errors_from_anybody_remove_nobody() {
    let mut fed = coven();
    let before: Vec<Vec<String>> = [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF]
        .iter()
        .map(|room| fed.roster(room))
        .collect();
    for sender in [
        WITCH_PLACE,
        FAUST_PLACE,
        "coven@evil.example/foo",
        "coven@rooms.stranger.example/x",
    ] {
        for condition in [
            "remote-server-not-found",
            "item-not-found",
            "forbidden",
            "gone",
            "conflict",
            "service-unavailable",
        ] {
            for stanza in ["presence", "message"] {
                let error = format!(
                    "<error type='cancel'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
                );
                fed.hand_in(
                    &bare(CHAT),
                    &format!("<{stanza} from='{sender}' to='{FOO}' type='error'>{error}</{stanza}>"),
                );
            }
        }
    }
    assert_eq!(fed.roster(COVEN), before[0]);
    fed.run();
    let after: Vec<Vec<String>> = [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF]
        .iter()
        .map(|room| fed.roster(room))
        .collect();
    assert_eq!(before, after);
}
