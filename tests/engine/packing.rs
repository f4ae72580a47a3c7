//! What is large goes packed to those who read that, and to nobody else (PROTOCOL 14.7).

use dmuc::wire::{Affiliation, ns};

use crate::support::federation::Federation;
use crate::support::names::*;
use crate::support::net::{Mode, plain};
use crate::support::talk::words;

/// What a service sends another from now on that is packed: its length, and that of what is in it.
fn packed(fed: &Federation, from: &str) -> Vec<(usize, usize)> {
    let sent = fed
        .trace
        .iter()
        .filter_map(|line| line.split_once(&format!(" {from} sends ")));
    let packed = sent.filter(|(_, xml)| xml.contains("<packed "));
    packed.map(|(_, xml)| (xml.len(), plain(xml).len())).collect()
}

/// A room with a list of some length and people at two services; the second has these features.
fn listed(features: &[&'static str]) -> Federation {
    let mut fed = Federation::of(&[CHAT, ROOMS]);
    fed.at(&bare(ROOMS), |host| host.features = features.to_vec());
    fed.is_traced = true;
    fed.create(COVEN, CRONE1, &[]);
    fed.join(FOO, CRONE1);
    for number in 0..100 {
        let user = format!("thane{number}@{}", ["shakespeare.lit", "macbeth.lit"][number % 2]);
        fed.affiliate(FOO, &user, Affiliation::Member);
    }
    fed.at(&bare(CHAT), |host| host.distribute(&bare(COVEN)));
    fed.run();
    fed.join(WITCH_PLACE, WITCH);
    fed.run();
    fed
}

#[test]
fn lists_go_packed_to_who_says_that_it_reads_them() {
    let fed = listed(&[ns::DMUC, ns::OURS, ns::PACKED]);
    let (sent, whole) = *packed(&fed, CHAT).iter().max_by_key(|(_, whole)| *whole).unwrap();
    assert!(whole > 6_000 && sent * 100 <= whole * 35, "{sent} for {whole}");
    let without = listed(&[ns::DMUC, ns::OURS]);
    assert_eq!(packed(&without, CHAT), []);
    for fed in [&fed, &without] {
        let list = |service: &str, room: &str| fed.host(service).room(&bare(room)).affiliations.clone();
        assert_eq!(list(ROOMS, COVEN_AT_ROOMS).len(), 101);
        assert_eq!(list(ROOMS, COVEN_AT_ROOMS), list(CHAT, COVEN));
    }
}

#[test]
fn pages_are_packed_as_they_are_asked_for() {
    let mut fed = listed(&[ns::DMUC, ns::OURS]);
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Swallows);
    fed.run_for(130_000);
    let said: Vec<String> = (0..150).map(|number| words(number, 80)).collect();
    for text in &said {
        fed.say(FOO, text);
    }
    fed.trace.clear();
    fed.net.heal();
    fed.run_for(60_000);
    let heard = fed.heard(WITCH_PLACE);
    assert!(heard.ends_with(&said), "{} heard", heard.len());
    // Whoever asks says so; what its service advertises is for what it does not ask for.
    let (sent, whole) = *packed(&fed, CHAT).iter().max_by_key(|(_, whole)| *whole).unwrap();
    assert!(whole > 40_000 && sent * 100 <= whole * 35, "{sent} for {whole}");
}

/// As from a build that does not know it.
#[test]
fn who_does_not_ask_for_it_packed_gets_it_as_it_is() {
    let mut fed = listed(&[ns::DMUC, ns::OURS, ns::PACKED]);
    for number in 0..20 {
        fed.say(FOO, &words(number, 80));
    }
    fed.run();
    fed.trace.clear();
    let question = format!(
        "<iq from='{COVEN_AT_ROOMS}' to='{COVEN}' id='plain' type='get'><sync xmlns='urn:x-dmuc:0' new='true'/></iq>"
    );
    fed.hand_in(&bare(CHAT), &question);
    fed.run_for(1_000);
    let answer = fed
        .trace
        .iter()
        .find(|line| line.contains(" sends ") && line.contains("id='plain'"))
        .unwrap();
    assert!(answer.contains("<events "), "{answer}");
    assert!(!answer.contains("<packed "), "{answer}");
}
