//! Bad input in what makes up for a split: `<sync/>`, `<digest/>`, `<act/>` with `<was/>`, versions of settings and rosters.

use dmuc::wire::{Condition, IqKind, OccupantStamp, Request, Response, Stanza};

use Condition::{BadRequest, JidMalformed, NotAcceptable, PolicyViolation};
use IqKind::{Get, Set};

use crate::malformed::expect_refused;

/// What is no number that one could count on from: 2^63 is the first that is too large.
const NO_COUNTS: [&str; 9] = [
    "",
    "-1",
    "+1",
    " 1",
    "1e3",
    "0x1",
    "１",
    "9223372036854775808",
    "18446744073709551616",
];
const HIGHEST: &str = "9223372036854775807";

const SEEN: &str = "<seen origin='coven@chat.shakespeare.lit' inc='7' numbers='1-4 6' first='2'/>";

fn sync(attrs: &str, inner: &str) -> String {
    format!("<sync xmlns='urn:x-dmuc:0' {attrs}>{inner}</sync>")
}

/// `<seen/>` is read by the same rules in a question and in an answer.
#[track_caller]
fn expect_seen_refused(seen: &str, condition: Condition) {
    let xml = sync("", seen);
    expect_refused(Get, &[(&xml, condition)]);
    expect_answer_refused(&xml, condition);
}

#[track_caller]
fn expect_answer_refused(xml: &str, condition: Condition) {
    let error = Response::parse(Some(xml)).expect_err(xml);
    assert_eq!(error.condition, condition, "{xml}\n{error}");
    assert_eq!(error.kind, condition.default_type(), "{xml}");
    assert!(!error.text.is_empty());
}

#[test]
fn a_malformed_question_for_what_was_missed_is_refused() {
    assert!(Request::parse(Get, &sync("", SEEN)).is_ok());
    assert!(Request::parse(Get, &sync("", "")).is_ok(), "who has nothing");
    for name in ["roster", "settings"] {
        let with = |number: &str| sync(&format!("{name}='{number}'"), "");
        assert!(Request::parse(Get, &with(HIGHEST)).is_ok());
        for number in NO_COUNTS {
            expect_refused(Get, &[(&with(number), BadRequest)]);
        }
    }
    for flag in ["relay='perhaps'", "new='perhaps'", "new=''"] {
        expect_refused(Get, &[(&sync(flag, ""), BadRequest)]);
    }
    expect_refused(Set, &[(&sync("", SEEN), BadRequest)]);
    let foreign = sync("", SEEN).replace("urn:x-dmuc:0", "urn:xmpp:dmuc:0");
    expect_refused(Get, &[(&foreign, Condition::FeatureNotImplemented)]);
    let nobodys = sync("", SEEN).replace("urn:x-dmuc:0", "urn:x-dmuc:1");
    expect_refused(Get, &[(&nobodys, Condition::ServiceUnavailable)]);
}

#[test]
fn malformed_numbers_of_what_was_seen_are_refused() {
    let without = |attr: &str| SEEN.replace(attr, "");
    expect_seen_refused(&without("origin='coven@chat.shakespeare.lit'"), BadRequest);
    expect_seen_refused(&without("inc='7'"), BadRequest);
    assert!(Request::parse(Get, &sync("", &without("numbers='1-4 6'"))).is_ok());
    assert!(Request::parse(Get, &sync("", &without("first='2'"))).is_ok());
    for origin in ["", "@", "coven@chat.shakespeare.lit/nick"] {
        expect_seen_refused(&SEEN.replace("coven@chat.shakespeare.lit", origin), JidMalformed);
    }
    for number in NO_COUNTS.into_iter().chain(["0"]) {
        expect_seen_refused(&SEEN.replace("'7'", &format!("'{number}'")), BadRequest);
        expect_seen_refused(&SEEN.replace("'2'", &format!("'{number}'")), BadRequest);
    }
    let highest = SEEN.replace("'7'", &format!("'{HIGHEST}'"));
    assert!(Request::parse(Get, &sync("", &highest)).is_ok());
}

#[test]
fn malformed_ranges_are_refused() {
    let with = |numbers: &str| SEEN.replace("1-4 6", numbers);
    for numbers in [
        "0",
        "0-5",
        "5-4",
        "6 1-4",
        "1-4 4",
        "1-4 2-8",
        "3 3",
        "1-",
        "-4",
        "-",
        "1--4",
        "1-2-3",
        "1,4",
        "1..4",
        "+1",
        "9223372036854775808",
        "1-9223372036854775808",
        "1-18446744073709551616",
    ] {
        expect_seen_refused(&with(numbers), BadRequest);
    }
    for numbers in ["", " ", "1", "1-4  6", "1-9223372036854775807"] {
        let xml = sync("", &with(numbers));
        assert!(Request::parse(Get, &xml).is_ok(), "{xml}");
    }
}

#[test]
fn an_incarnation_that_is_named_twice_is_refused() {
    expect_seen_refused(&SEEN.repeat(2), BadRequest);
    let other_life = SEEN.replace("'7'", "'8'");
    assert!(Request::parse(Get, &sync("", &format!("{SEEN}{other_life}"))).is_ok());
}

#[test]
fn what_is_seen_in_another_namespace_is_not() {
    let foreign = SEEN.replace("<seen", "<seen xmlns='urn:x'");
    match Request::parse(Get, &sync("", &foreign)) {
        Ok(Request::Sync(request)) => assert!(request.seen.is_empty()),
        other => panic!("{other:?}"),
    }
}

const EVENT: &str = "<message xmlns='jabber:client' event='e' seq='1' at='5.0' nick='foo' id='m' occupant='o'>\
    <body>1</body></message>";

fn page(events: &str) -> String {
    sync(
        "",
        &format!("<events origin='coven@chat.shakespeare.lit' inc='7'>{events}</events>"),
    )
}

#[test]
fn a_malformed_page_is_refused() {
    assert!(Response::parse(Some(&page(EVENT))).is_ok());
    for (part, other, condition) in [
        (" origin='coven@chat.shakespeare.lit'", "", BadRequest),
        ("'coven@chat.shakespeare.lit'", "'@'", JidMalformed),
        (
            "'coven@chat.shakespeare.lit'",
            "'coven@chat.shakespeare.lit/n'",
            JidMalformed,
        ),
        (" inc='7'", "", BadRequest),
        (" event='e'", "", BadRequest),
        ("event='e'", "event=''", BadRequest),
        (" seq='1'", "", BadRequest),
        ("seq='1'", "seq='0'", BadRequest),
        (" at='5.0'", "", BadRequest),
        ("at='5.0'", "at='5'", BadRequest),
        ("at='5.0'", "at='5.4294967296'", BadRequest),
        // 2^53, which no double can count on from.
        ("at='5.0'", "at='9007199254740992.0'", BadRequest),
        (" nick='foo'", "", BadRequest),
        ("nick='foo'", "nick=''", JidMalformed),
        ("occupant='o'", "occupant=''", BadRequest),
        ("<sync ", "<sync more='2' ", BadRequest),
    ] {
        let xml = page(EVENT);
        assert!(xml.contains(part), "{part}");
        expect_answer_refused(&xml.replace(part, other), condition);
    }
    for number in NO_COUNTS {
        expect_answer_refused(&page(EVENT).replace("'7'", &format!("'{number}'")), BadRequest);
        expect_answer_refused(&page(EVENT).replace("'1'", &format!("'{number}'")), BadRequest);
    }
    for without in [" id='m'", " occupant='o'", "<body>1</body>"] {
        assert!(
            Response::parse(Some(&page(EVENT).replace(without, ""))).is_ok(),
            "{without}"
        );
    }
}

#[test]
fn over_long_parts_of_a_page_are_refused() {
    for (part, most, condition) in [
        ("'e'", 128, PolicyViolation),
        ("'foo'", 1023, PolicyViolation),
        ("'m'", 262_144, PolicyViolation),
        ("'o'", 128, PolicyViolation),
    ] {
        let with = |length: usize| page(EVENT).replace(part, &format!("'{}'", "x".repeat(length)));
        assert!(Response::parse(Some(&with(most))).is_ok(), "{part}");
        expect_answer_refused(&with(most + 1), condition);
    }
}

#[test]
fn one_bad_event_refuses_the_whole_page() {
    let bad = EVENT.replace("seq='1'", "seq='0'");
    expect_answer_refused(&page(&format!("{EVENT}{bad}")), BadRequest);
}

#[test]
fn config_and_roster_in_a_page_are_read_by_their_own_rules() {
    for (inner, condition) in [
        ("<config xmlns='urn:xmpp:dmuc:0'/>", BadRequest),
        (
            "<roster xmlns='urn:xmpp:dmuc:0'><item affiliation='none'/></roster>",
            BadRequest,
        ),
        (
            "<roster xmlns='urn:xmpp:dmuc:0'/><roster xmlns='urn:xmpp:dmuc:0'/>",
            BadRequest,
        ),
        (
            "<roster xmlns='urn:xmpp:dmuc:0'><snapshot xmlns='urn:x-dmuc:0' version='9223372036854775808'/></roster>",
            BadRequest,
        ),
        (
            "<roster xmlns='urn:xmpp:dmuc:0'><item affiliation='none' name='a'>\
             <occupant xmlns='urn:x-dmuc:0' serial='9223372036854775808'/></item></roster>",
            BadRequest,
        ),
    ] {
        expect_answer_refused(&sync("", inner), condition);
    }
}

#[test]
fn events_in_another_namespace_are_passed_over() {
    for foreign in [
        page(EVENT).replace("<events ", "<events xmlns='urn:x' "),
        page(EVENT).replace("jabber:client", "jabber:server"),
        page(EVENT).replace(" xmlns='jabber:client'", ""),
    ] {
        match Response::parse(Some(&foreign)) {
            Ok(Response::Sync(answer)) => assert!(answer.events.is_empty(), "{foreign}"),
            other => panic!("{other:?}"),
        }
    }
}

fn digest(line: &str) -> String {
    format!("<digest xmlns='urn:x-dmuc:0'>{line}</digest>")
}

#[test]
fn a_malformed_digest_is_refused_in_both_directions() {
    let line = "<room id='theroom' log='7.42' roster='3' settings='5' rest='a1'/>";
    assert!(Request::parse(Set, &digest(line)).is_ok());
    expect_refused(Get, &[(&digest(line), BadRequest)]);
    let refused = |line: String, condition| {
        expect_refused(Set, &[(&digest(&line), condition)]);
        expect_answer_refused(&digest(&line), condition);
    };
    refused(line.replace(" id='theroom'", ""), BadRequest);
    for (life, condition) in [(String::new(), BadRequest), ("a".repeat(129), PolicyViolation)] {
        let digest = digest(line).replace("0'>", &format!("0' life='{life}'>"));
        expect_refused(Set, &[(&digest, condition)]);
        expect_answer_refused(&digest, condition);
    }
    refused(line.replace("theroom", ""), NotAcceptable);
    refused(line.replace("theroom", "the@room"), NotAcceptable);
    refused(line.replace("a1", ""), BadRequest);
    refused(line.replace("a1", &"a".repeat(129)), PolicyViolation);
    refused(line.replace("<room", "<room gone='never'"), BadRequest);
    for log in [
        "", "7", "7.", ".42", ".", "7.42.1", "7,42", "-7.42", "7.-42", "0.42", "7.0",
    ] {
        refused(line.replace("7.42", log), BadRequest);
    }
    for number in NO_COUNTS {
        for part in ["'3'", "'5'"] {
            refused(line.replace(part, &format!("'{number}'")), BadRequest);
        }
        refused(line.replace("'7.", &format!("'{number}.")), BadRequest);
        refused(line.replace(".42'", &format!(".{number}'")), BadRequest);
    }
    for without in [" log='7.42'", " roster='3'", " settings='5'", " rest='a1'"] {
        assert!(
            Request::parse(Set, &digest(&line.replace(without, ""))).is_ok(),
            "{without}"
        );
    }
}

fn act(inner: &str) -> String {
    format!("<act xmlns='urn:x-dmuc:0' nick='a'>{inner}</act>")
}

#[test]
fn an_act_that_says_badly_what_was_there_is_refused() {
    let form = "<x xmlns='jabber:x:data' type='form'><field var='FORM_TYPE'>\
        <value>http://jabber.org/protocol/muc#roomconfig</value></field></x>";
    let long = "x".repeat(4097);
    for (inner, condition) in [
        ("<affiliation jid='a@b.lit' affiliation='none'><was/></affiliation>".to_owned(), BadRequest),
        (
            "<affiliation jid='a@b.lit' affiliation='none'><was affiliation='king'/></affiliation>".to_owned(),
            BadRequest,
        ),
        (
            "<affiliation jid='a@b.lit' affiliation='none'><was affiliation='none' nick=''/></affiliation>".to_owned(),
            JidMalformed,
        ),
        (
            "<affiliation jid='a@b.lit' affiliation='none'><was affiliation='none'/><was affiliation='none'/>\
             </affiliation>"
                .to_owned(),
            BadRequest,
        ),
        (format!("<config>{form}<was/></config>"), BadRequest),
        (format!("<config>{form}<was><x xmlns='jabber:x:data' type='form'/></was></config>"), BadRequest),
        (format!("<config><was>{form}</was></config>"), BadRequest),
        (format!("<config>{form}{form}</config>"), BadRequest),
        (format!("<subject><text>{long}</text></subject>"), PolicyViolation),
        (format!("<subject><text/><was>{long}</was></subject>"), PolicyViolation),
        ("<subject><text/><text/></subject>".to_owned(), BadRequest),
        ("<subject><was/><was/></subject>".to_owned(), BadRequest),
        ("<role nick='b' role='none' serial='9223372036854775808'/>".to_owned(), BadRequest),
        ("<register nick=''/>".to_owned(), JidMalformed),
        (format!("<register nick='{}'/>", "n".repeat(1024)), PolicyViolation),
        ("<register nick='b'><was nick='b'/></register>".to_owned(), BadRequest),
        ("<register nick='b'><was affiliation='king'/></register>".to_owned(), BadRequest),
        (
            "<register nick='b'><was affiliation='none'/><was affiliation='none'/></register>".to_owned(),
            BadRequest,
        ),
        ("<register nick='b'/><register nick='c'/>".to_owned(), BadRequest),
    ] {
        expect_refused(Set, &[(&act(&inner), condition)]);
    }
    for inner in [
        "<affiliation jid='a@b.lit' affiliation='none'><was affiliation='none'/></affiliation>".to_owned(),
        format!("<config>{form}<was>{form}</was></config>"),
        "<subject/>".to_owned(),
        "<register/>".to_owned(),
        "<register nick='b'><was affiliation='none'/></register>".to_owned(),
    ] {
        assert!(Request::parse(Set, &act(&inner)).is_ok(), "{inner}");
    }
}

#[test]
fn malformed_settings_of_a_subject_are_refused() {
    let message = |settings: &str| {
        format!(
            "<message from='a@b.lit/c' to='d@e.lit' type='groupchat'><subject>x</subject>{settings}</message>"
        )
    };
    for (settings, version) in [
        ("", Ok(None)),
        ("<settings xmlns='urn:x-dmuc:0'/>", Ok(None)),
        ("<settings xmlns='urn:x' version='no'/>", Ok(None)),
        ("<settings xmlns='urn:x-dmuc:0' version='7'/>", Ok(Some(7))),
        (
            "<settings xmlns='urn:x-dmuc:0' version='9223372036854775808'/>",
            Err(BadRequest),
        ),
        ("<settings xmlns='urn:x-dmuc:0' version='no'/>", Err(BadRequest)),
        (
            "<settings xmlns='urn:x-dmuc:0'/><settings xmlns='urn:x-dmuc:0'/>",
            Err(BadRequest),
        ),
    ] {
        let read = match Stanza::parse(&message(settings)) {
            Ok(Stanza::Message(message)) => Ok(message.settings),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.condition),
        };
        assert_eq!(read, version, "{settings}");
    }
}

#[test]
fn malformed_instances_in_settings_are_refused() {
    let config = |instances: &str| {
        format!(
            "<config xmlns='urn:xmpp:dmuc:0'><x xmlns='jabber:x:data' type='form'><field var='FORM_TYPE'>\
             <value>http://jabber.org/protocol/muc#roomconfig</value></field></x>\
             <settings xmlns='urn:x-dmuc:0' term='0' version='1'>{instances}</settings></config>"
        )
    };
    for (instances, condition) in [
        ("<instance/>", BadRequest),
        ("<instance jid=''/>", JidMalformed),
        ("<instance jid='@'/>", JidMalformed),
        ("<instance jid='rooms.macbeth.lit/x'/>", JidMalformed),
        ("<instance jid='theroom@rooms.macbeth.lit'/>", BadRequest),
    ] {
        expect_refused(Set, &[(&config(instances), condition)]);
    }
    assert!(Request::parse(Set, &config("<instance jid='rooms.macbeth.lit'/>")).is_ok());
    let said = |latest: &str| config(&format!("<said>{latest}</said>"));
    for (latest, condition) in [
        ("<latest/>", BadRequest),
        ("<latest origin='a@b.lit'/>", BadRequest),
        ("<latest log='1.1'/>", BadRequest),
        ("<latest origin='a@b.lit/x' log='1.1'/>", JidMalformed),
        ("<latest origin='a@b.lit' log='1'/>", BadRequest),
        ("<latest origin='a@b.lit' log='0.1'/>", BadRequest),
        ("<latest origin='a@b.lit' log='1.0'/>", BadRequest),
        (
            "<latest origin='a@b.lit' log='1.9223372036854775808'/>",
            BadRequest,
        ),
        (
            "<latest origin='a@b.lit' log='1.1'/><latest origin='a@b.lit' log='1.2'/>",
            BadRequest,
        ),
        ("</said><said>", BadRequest),
    ] {
        expect_refused(Set, &[(&said(latest), condition)]);
    }
    let many = |n: usize| -> String {
        (0..n)
            .map(|i| format!("<latest origin='a@s{i}.lit' log='1.1'/>"))
            .collect()
    };
    assert!(Request::parse(Set, &said(&many(1_000))).is_ok());
    expect_refused(Set, &[(&said(&many(1_001)), PolicyViolation)]);
}

#[test]
fn an_absurd_version_of_an_occupant_is_refused() {
    let made = |version| OccupantStamp::from_attrs(None, Some("0"), version).map_err(|error| error.condition);
    let sent = |version: &str| {
        let occupant = format!("<occupant xmlns='urn:x-dmuc:0' serial='0' version='{version}'/>");
        Stanza::parse(&format!(
            "<presence from='a@b.lit/c' to='d@e.lit'>{occupant}</presence>"
        ))
    };
    assert_eq!(made(None).map(|stamp| stamp.version), Ok(None));
    assert_eq!(
        made(Some(HIGHEST)).map(|stamp| stamp.version),
        Ok(Some(i64::MAX.unsigned_abs()))
    );
    assert!(sent(HIGHEST).is_ok());
    for version in NO_COUNTS {
        assert_eq!(made(Some(version)), Err(BadRequest), "{version}");
        assert_eq!(
            sent(version).map_err(|error| error.condition),
            Err(BadRequest),
            "{version}"
        );
    }
}
