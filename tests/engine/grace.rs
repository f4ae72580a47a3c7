//! Who has lost a nick may go on speaking under it for a minute: one for each home and nick (G11).

use dmuc::wire::Condition;

use crate::lies::*;
use crate::support::federation::Federation;
use crate::support::names::*;

/// CONF says that somebody there has the nick of the witch, who is at ROOMS and came first.
fn comes(fed: &mut Federation) {
    let xml = format!(
        "<presence from='{COVEN_AT_CONF}/witch' to='{COVEN}/witch'><x xmlns='http://jabber.org/protocol/muc#user'>\
         <item affiliation='none' role='participant'/></x>\
         <occupant xmlns='urn:x-dmuc:0' serial='9999999999999'/></presence>"
    );
    fed.hand_in(&bare(CHAT), &xml);
}

fn goes(fed: &mut Federation) {
    let xml = format!("<presence from='{COVEN_AT_CONF}/witch' to='{COVEN}/witch' type='unavailable'/>");
    fed.hand_in(&bare(CHAT), &xml);
}

/// Whether the source takes what is said under the nick there.
fn may_speak(fed: &mut Federation, text: &str) -> bool {
    let refusals = fed.host(CHAT).refused.len();
    let xml = format!(
        "<message from='{COVEN_AT_CONF}/witch' to='{COVEN}/witch' type='groupchat'><body>{text}</body></message>"
    );
    fed.hand_in(&bare(CHAT), &xml);
    let refused = &fed.host(CHAT).refused[refusals..];
    let conditions: Vec<Condition> = refused.iter().map(|(_, error)| error.condition).collect();
    assert!(
        conditions.is_empty() || conditions == [Condition::Conflict],
        "{conditions:?}"
    );
    assert_eq!(fed.heard(FOO).contains(&text.to_owned()), conditions.is_empty());
    conditions.is_empty()
}

#[test]
fn a_nick_that_is_lost_is_spoken_under_for_one_minute_however_often_it_is_taken() {
    let mut fed = coven();
    comes(&mut fed);
    assert!(may_speak(&mut fed, "at first"));
    for round in 0..5 {
        fed.run_for(45_000);
        goes(&mut fed);
        comes(&mut fed);
        assert_eq!(may_speak(&mut fed, &format!("round {round}")), round == 0);
    }
}

#[test]
fn a_nick_that_was_nobody_elses_meanwhile_can_be_lost_again() {
    let mut fed = coven();
    comes(&mut fed);
    fed.run_for(70_000);
    assert!(!may_speak(&mut fed, "too late"));
    fed.leave(WITCH_PLACE);
    fed.run();
    assert!(may_speak(&mut fed, "it is free"));
}
