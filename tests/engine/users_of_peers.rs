//! A domain among the peers may be one of users, by mistake: their JIDs look like those of rooms, and they have the rights
//! that they would have without it.

use dmuc::Verdict;
use dmuc::wire::Condition;

use crate::lies::{EVIL_ROOM, coven, expect_refused};
use crate::support::names::*;

/// Somebody with an account at a domain that is in everybody's list of peers.
const USER: &str = "bob@evil.example/phone";

/// The verdict about a stanza, which must not be a refusal.
fn verdict(xml: &str) -> Verdict {
    let mut fed = coven();
    fed.at(&bare(CHAT), |host| {
        let handled = dmuc::inbound::handle_stanza(&mut host.engine, host.now, xml, false).unwrap();
        assert!(handled.refusal.is_none(), "{xml}: {handled:?}");
        handled.verdict.unwrap()
    })
}

#[test]
fn users_of_a_domain_among_the_peers_are_left_to_the_host() {
    let room = "coven@chat.shakespeare.lit";
    for xml in [
        format!(
            "<presence from='{USER}' to='{room}/bob'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
        ),
        format!("<presence from='{USER}' to='{room}/bob'><show>away</show></presence>"),
        // Whose resource is their nick.
        format!(
            "<presence from='{USER}' to='{room}/phone'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
        ),
        format!("<presence from='{USER}' to='{room}/bob' type='unavailable'/>"),
        format!("<message from='{USER}' to='{room}' type='groupchat' id='m1'><body>Hail</body></message>"),
        format!("<message from='{USER}' to='{room}' type='groupchat'><subject>Toads</subject></message>"),
        // As users anywhere may try, for mod_muc to refuse.
        format!(
            "<message from='{EVIL_ROOM}/foo' to='{room}/foo' type='groupchat'><subject>lie</subject></message>"
        ),
        // What nobody can read is for the host, too.
        format!(
            "<message from='{USER}' to='{room}' type='groupchat' id='m2'><event xmlns='urn:x-dmuc:0'/></message>"
        ),
    ] {
        assert!(matches!(verdict(&xml), Verdict::Continue), "{xml}");
    }
}

#[test]
fn what_only_an_instance_sends_is_refused_to_rooms_of_peers_that_are_none() {
    let mut fed = coven();
    let room = "coven@chat.shakespeare.lit";
    let item =
        "<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/></x>";
    for xml in [
        format!("<presence from='{EVIL_ROOM}/x' to='{room}/x'>{item}</presence>"),
        format!(
            "<message from='{EVIL_ROOM}/x' to='{room}/x' type='groupchat' id='m1'><body>Hail</body></message>"
        ),
        format!(
            "<message from='{EVIL_ROOM}' to='{room}' type='groupchat'><subject>Toads</subject></message>"
        ),
    ] {
        expect_refused(&mut fed, CHAT, &xml, Condition::Forbidden);
    }
}
