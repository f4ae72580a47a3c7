//! What does not fit the wire's types costs what it is about, and holds nothing back (G6, G13).

use dmuc::Input;
use dmuc::engine::Ruled;
use dmuc::wire::{Affiliation, Form};

use crate::scenes;
use crate::support::federation::Federation;
use crate::support::names::*;

fn coven() -> Federation {
    let mut fed = scenes::shared(&[CHAT, ROOMS]);
    fed.join(FOO, CRONE1);
    fed.run();
    fed.at(&bare(CHAT), |host| host.notices.clear());
    fed.at(&bare(ROOMS), |host| host.notices.clear());
    fed
}

fn affiliate(fed: &mut Federation, user: &str, affiliation: Affiliation, nick: &str) {
    fed.at(&bare(CHAT), |host| {
        host.input(Input::Ruled(Ruled {
            reason: Some(&"é\u{1}".repeat(4_000)),
            ..Ruled::by_the_room(&bare(COVEN), listing(&bare(user), affiliation, nick))
        }))
    })
    .unwrap_or_else(|error| panic!("{user}: {error}"));
    fed.run();
}

fn configure(fed: &mut Federation, form: &str) {
    let (form, unfit) = Form::parse_fitting(form).unwrap();
    fed.at(&bare(CHAT), |host| {
        host.input(Input::Ruled(Ruled {
            unfit,
            ..Ruled::by_the_room(&bare(COVEN), form)
        }))
    })
    .unwrap();
    fed.run();
}

fn form_of(fields: &str) -> String {
    format!(
        "<x xmlns='jabber:x:data' type='form'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig\
         </value></field>{fields}</x>"
    )
}

#[test]
fn a_nick_that_others_do_not_take_is_none_and_later_changes_count() {
    let mut fed = coven();
    let long = "x".repeat(1_024);
    for (user, nick) in [
        ("a@macbeth.lit", ""),
        ("b@macbeth.lit", &*long),
        ("c@macbeth.lit", "\u{202e}"),
    ] {
        affiliate(&mut fed, user, Affiliation::Member, nick);
        assert_eq!(
            fed.affiliation(COVEN_AT_ROOMS, user),
            Affiliation::Member,
            "{nick:?}"
        );
    }
    affiliate(&mut fed, "eve@macbeth.lit", Affiliation::Outcast, "");
    assert_eq!(
        fed.affiliation(COVEN_AT_ROOMS, "eve@macbeth.lit"),
        Affiliation::Outcast
    );
    // No nick is what '' asks for; of the others it is said.
    let notices = fed.notices(CHAT);
    assert_eq!(notices.len(), 2, "{notices:?}");
    assert!(
        notices[0].contains("b@macbeth.lit") && notices[1].contains("c@macbeth.lit"),
        "{notices:?}"
    );
    assert_eq!(fed.notices(ROOMS).len(), 0);
}

#[test]
fn a_form_that_others_do_not_take_is_cut_to_what_they_take() {
    let mut fed = coven();
    let long = "é".repeat(2_500);
    configure(
        &mut fed,
        &form_of(&format!(
            "<field var='muc#roomconfig_roomname'><value>A Dark Cave</value></field>\
             <field var='muc#roomconfig_roomname'><value>A Dark Cave</value></field>\
             <field var='x#twice'><value>1</value></field><field var='x#twice'><value>0</value></field>\
             <field var='muc#roomconfig_roomdesc'><value>{long}</value></field><field var=''><value>1</value></field>"
        )),
    );
    let form = fed.host(ROOMS).room(&bare(COVEN_AT_ROOMS)).form.clone();
    assert_eq!(form.get("muc#roomconfig_roomname"), Some("A Dark Cave"));
    assert_eq!(form.get("x#twice"), Some("1"), "the first counts");
    assert_eq!(form.get("muc#roomconfig_roomdesc").map(str::len), Some(4_096));
    let notices = fed.notices(CHAT);
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(
        notices[0].contains("x#twice") && notices[0].contains("2 more"),
        "{notices:?}"
    );
    // Said once, and later changes count.
    configure(
        &mut fed,
        &form_of("<field var='muc#roomconfig_membersonly'><value>1</value></field>"),
    );
    assert_eq!(
        fed.host(ROOMS)
            .room(&bare(COVEN_AT_ROOMS))
            .form
            .flag("muc#roomconfig_membersonly"),
        Some(true)
    );
    assert_eq!(fed.notices(CHAT).len(), 1);
}

/// The version of the settings that an instance holds, as it stores it.
fn version(fed: &Federation, service: &str, room: &str) -> u64 {
    let stored = &fed.host(service).stored[&bare(room)];
    let (_, rest) = stored.split_once("<settings ").unwrap();
    let (_, rest) = rest.split_once(" version='").unwrap();
    rest.split_once('\'').unwrap().0.parse().unwrap()
}

#[test]
fn an_entry_that_is_not_taken_is_skipped_and_told_and_the_next_version_counts() {
    let mut fed = coven();
    let held = version(&fed, ROOMS, COVEN_AT_ROOMS);
    let list = |version: u64, items: &str| {
        format!(
            "<iq type='set' id='x{version}' from='{COVEN}' to='{COVEN_AT_ROOMS}'><roster xmlns='urn:xmpp:dmuc:0'>\
             <snapshot xmlns='urn:x-dmuc:0' version='1' term='0' settings='{version}'/>{items}</roster></iq>"
        )
    };
    let bad = "<item affiliation='outcast' jid='@@'/><item affiliation='emperor' jid='a@macbeth.lit'/>\
               <item affiliation='outcast' jid='eve@macbeth.lit' nick='\u{202e}'><reason>";
    let long = "x".repeat(4_097);
    let bad = format!("{bad}{long}</reason></item>");
    fed.hand_in(&bare(ROOMS), &list(held + 1, &bad));
    fed.run();
    assert_eq!(
        fed.affiliation(COVEN_AT_ROOMS, "eve@macbeth.lit"),
        Affiliation::Outcast
    );
    assert_eq!(
        fed.affiliation(COVEN_AT_ROOMS, "a@macbeth.lit"),
        Affiliation::None
    );
    let good = "<item affiliation='admin' jid='b@macbeth.lit'/>";
    fed.hand_in(&bare(ROOMS), &list(held + 2, good));
    fed.run();
    assert_eq!(
        fed.affiliation(COVEN_AT_ROOMS, "b@macbeth.lit"),
        Affiliation::Admin
    );
    // As often as it is sent, it is told once.
    fed.hand_in(&bare(ROOMS), &list(held + 3, &bad));
    fed.run();
    assert_eq!(version(&fed, ROOMS, COVEN_AT_ROOMS), held + 3);
    let notices = fed.notices(ROOMS);
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(
        notices[0].contains("Unfit") && notices[0].contains("3 more"),
        "{notices:?}"
    );
}
