//! The question for a history (XEP-0281 section 3.2) and its limits (XEP-0045 section 7.2.13).

use dmuc::wire::{IqBody, Response};

use crate::support::federation::{EPOCH_MS, Federation, config_of};
use crate::support::names::*;

/// Ten messages, one every ten seconds, and a peer that asks as the XEP does.
fn coven() -> Federation {
    let mut fed = Federation::empty(1);
    fed.add(config_of(CHAT, &[CHAT, ROOMS]));
    fed.add_xep(ROOMS);
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    fed.join(FOO, CRONE1);
    for number in 0..10 {
        fed.say(FOO, &format!("{number}"));
        fed.run_for(10_000);
    }
    fed
}

fn ask(fed: &mut Federation, limits: &str) -> Vec<String> {
    let xml = format!(
        "<iq from='{COVEN_AT_ROOMS}' to='{COVEN}' id='h' type='get'><room xmlns='urn:xmpp:dmuc:0' id='coven'>\
         <history xmlns='http://jabber.org/protocol/muc' {limits}/></room></iq>"
    );
    fed.at_xep(ROOMS, |peer| peer.send(xml));
    fed.run();
    match &fed.xep[&bare(ROOMS)].answers["h"] {
        IqBody::Result(Some(xml)) => match Response::parse(Some(xml)) {
            Ok(Response::History(history)) => {
                let texts = history.messages.iter();
                texts
                    .map(|message| crate::support::view::body(&message.payload))
                    .collect()
            }
            other => panic!("{other:?}"),
        },
        IqBody::Result(None) => Vec::new(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn everything_is_told_when_nothing_limits_it() {
    let mut fed = coven();
    let expected: Vec<String> = (0..10).map(|number| format!("{number}")).collect();
    assert_eq!(ask(&mut fed, ""), expected);
}

#[test]
fn every_limit_is_honoured_and_the_newest_are_told() {
    let mut fed = coven();
    assert_eq!(ask(&mut fed, "maxstanzas='3'"), ["7", "8", "9"]);
    assert_eq!(ask(&mut fed, "maxstanzas='0'"), [""; 0]);
    assert_eq!(ask(&mut fed, "maxchars='0'"), [""; 0]);
    let few = ask(&mut fed, "maxchars='1500'");
    assert!(!few.is_empty() && few.len() < 5, "{few:?}");
    assert_eq!(few.last().map(String::as_str), Some("9"));
    let now = fed.now_ms;
    let since = |ms: u64| dmuc::wire::datetime::format(i64::try_from(EPOCH_MS + ms).unwrap());
    assert_eq!(
        ask(&mut fed, &format!("since='{}'", since(now - 25_000))),
        ["8", "9"]
    );
    let seconds = (fed.now_ms - now) / 1_000 + 35;
    assert_eq!(ask(&mut fed, &format!("seconds='{seconds}'")), ["7", "8", "9"]);
    assert_eq!(
        ask(&mut fed, &format!("seconds='{seconds}' maxstanzas='1'")),
        ["9"]
    );
}

#[test]
fn limits_that_are_none_are_refused() {
    let mut fed = coven();
    for limits in [
        "maxstanzas='-1'",
        "maxchars='many'",
        "seconds='1.5'",
        "since='yesterday'",
    ] {
        let xml = format!(
            "<iq from='{COVEN_AT_ROOMS}' to='{COVEN}' id='h' type='get'><room xmlns='urn:xmpp:dmuc:0' id='coven'>\
             <history xmlns='http://jabber.org/protocol/muc' {limits}/></room></iq>"
        );
        fed.at_xep(ROOMS, |peer| peer.send(xml));
        fed.run();
        assert!(
            matches!(&fed.xep[&bare(ROOMS)].answers["h"], IqBody::Error(_)),
            "{limits}"
        );
    }
}

#[test]
fn an_answer_is_bounded_whatever_is_asked() {
    let mut fed = coven();
    for number in 0..700 {
        fed.say(FOO, &format!("more {number}"));
    }
    fed.run();
    let told = ask(&mut fed, "maxstanzas='100000' maxchars='100000000'");
    assert_eq!(told.len(), 500);
    assert_eq!(told.last().map(String::as_str), Some("more 699"));
}
