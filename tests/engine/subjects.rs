//! Subjects that meet at the source: what is compared with what counts from when it is decided, not from when it is shown (G7).

use dmuc::address::Jid;
use dmuc::error::Error;
use dmuc::wire::{Affiliation, Condition, IqKind};
use dmuc::{Input, Verdict};

use crate::scenes;
use crate::support::event::{Crossing, Seen};
use crate::support::federation::Federation;
use crate::support::host::Host;
use crate::support::names::*;

/// The witch at one shadow and faust at another are admins.
fn coven() -> Federation {
    let mut fed = scenes::coven();
    for user in ["somewitch@macbeth.lit", "faust@marlowe.lit"] {
        fed.affiliate(FOO, user, Affiliation::Admin);
    }
    fed.set_subject(FOO, "Toil");
    fed.run();
    fed.forget();
    fed
}

/// Somebody's offer from a split comes to the source. What it leads to is not done yet.
fn offer(
    host: &mut Host,
    (nick, user): (&str, &str),
    from: &str,
    text: &str,
    was: &str,
) -> Result<Verdict, Error> {
    let (from, to) = (from.parse::<Jid>().unwrap(), COVEN.parse::<Jid>().unwrap());
    let payload = format!(
        "<act xmlns='urn:x-dmuc:0' nick='{nick}' jid='{user}'><subject><text>{text}</text>\
         <was>{was}</was></subject></act>"
    );
    host.input(Input::PeerIq {
        from: &from,
        to: &to,
        kind: IqKind::Set,
        id: nick,
        payload: &payload,
        taken: false,
    })
}

const WITCHS: (&str, &str) = ("witch", "somewitch@macbeth.lit");
const FAUSTS: (&str, &str) = ("faust", "faust@marlowe.lit");

fn is_conflict(said: &Result<Verdict, Error>) -> bool {
    let error = said.as_ref().err().and_then(|error| error.stanza_error());
    error.is_some_and(|error| error.condition == Condition::Conflict)
}

/// Everybody was shown this one, once, and each instance was told once.
fn expect_shown_once(fed: &Federation, text: &str) {
    for place in [FOO, WITCH_PLACE, FAUST_PLACE] {
        let subjects = fed.seen(place).into_iter().filter_map(|seen| match seen {
            Seen::Subject { text, .. } => Some(text),
            _ => None,
        });
        assert_eq!(subjects.collect::<Vec<_>>(), [text], "{place}");
    }
    for peer in [ROOMS, CONF] {
        let is_subject = |what: &Crossing| matches!(what, Crossing::Subject { .. });
        let crossed = fed.crossed(CHAT, peer).into_iter().filter(is_subject);
        let expected = [Crossing::Subject { text: text.into() }];
        assert_eq!(crossed.collect::<Vec<_>>(), expected, "{peer}");
    }
}

#[test]
fn of_two_offers_that_come_before_one_is_shown_the_second_is_refused() {
    let mut fed = coven();
    let (first, second) = fed.at(&bare(CHAT), |host| {
        let first = offer(host, WITCHS, COVEN_AT_ROOMS, "Trouble", "Toil");
        (first, offer(host, FAUSTS, COVEN_AT_CONF, "Pudels Kern", "Toil"))
    });
    assert!(first.is_ok(), "{first:?}");
    assert!(is_conflict(&second), "{second:?}");
    fed.run();
    expect_shown_once(&fed, "Trouble");
}

#[test]
fn an_offer_is_compared_with_a_wish_that_is_not_shown_yet() {
    let mut fed = coven();
    let second = fed.at(&bare(CHAT), |host| {
        let wish = Input::PeerSubject {
            from: &WITCH_PLACE.parse().unwrap(),
            room: &bare(COVEN),
            text: "Trouble",
            version: None,
        };
        host.input(wish).unwrap();
        offer(host, FAUSTS, COVEN_AT_CONF, "Pudels Kern", "Toil")
    });
    assert!(is_conflict(&second), "{second:?}");
    fed.run();
    expect_shown_once(&fed, "Trouble");
}

/// A configuration, the whole list that follows it, and the subjects after that, which are of the same settings.
#[test]
fn what_the_network_delivers_again_brings_no_older_subject_back() {
    let mut fed = scenes::shared(&[CHAT, ROOMS]);
    fed.join(FOO, CRONE1);
    fed.join(WITCH_PLACE, WITCH);
    fed.run();
    (fed.is_traced, fed.trace) = (true, Vec::new());
    fed.configure(FOO, &[("muc#roomconfig_whois", "anyone")]);
    for text in ["Toil", "Trouble"] {
        fed.set_subject(FOO, text);
    }
    fed.run();
    let gets = format!("{ROOMS} gets ");
    let lines = fed.trace.iter().filter_map(|line| line.split_once(&gets));
    let told: Vec<String> = lines.map(|(_, xml)| xml.to_owned()).collect();
    assert!(
        told.iter().any(|xml| xml.contains("affiliations='true'")),
        "{told:#?}"
    );
    fed.forget();
    for xml in &told {
        fed.hand_in(&bare(ROOMS), xml);
    }
    let shown = fed.seen(WITCH_PLACE);
    let subject = shown.iter().find(|seen| matches!(seen, Seen::Subject { .. }));
    assert_eq!(subject, None);
    assert_eq!(fed.subject(COVEN_AT_ROOMS), "Trouble");
}
