//! Sections 3.4 and 3.5, Joining a Shadow and Joining a Room.

use dmuc::address::{BareJid, FullJid, Jid};
use dmuc::wire::{
    Affiliation, Condition, ErrorType, Invitation, Message, MessageKind, MucItem, Presence, PresenceKind,
    Role, Stanza, ns, split_payload, write_invitation, write_redirect,
};

use crate::support::spec::{repaired, round_trip, round_trip_text};
use crate::support::xml::{compare, element};

fn presence(stanza: Stanza) -> Presence {
    match stanza {
        Stanza::Presence(presence) => presence,
        _ => panic!("not a presence"),
    }
}

/// A join as a client sends it (XEP-0045 section 7.1.2): Prosody's to answer, opaque to us.
fn expect_join(caption: &str, to: &str) {
    let join = presence(round_trip(caption));
    assert_eq!(
        (join.from.as_str(), join.to.as_str()),
        ("somewitch@macbeth.lit/mobile", to)
    );
    assert_eq!((&join.kind, &join.item), (&PresenceKind::Available, &None));
    let children = split_payload(&join.payload).unwrap();
    assert!(children.len() == 1 && element(children[0]).is("x", ns::MUC));
}

/// The presence of a shadow's occupant at another instance.
fn expect_occupant(n: usize, nick: &str) {
    let occupant = presence(round_trip_text(&repaired(
        "Shadow Informs Source of New Occupant",
        n,
    )));
    assert_eq!(
        occupant.from.as_str(),
        format!("theroom@rooms.macbeth.lit/{nick}")
    );
    assert_eq!(occupant.to.as_str(), format!("coven@chat.shakespeare.lit/{nick}"));
    let item = MucItem {
        affiliation: Affiliation::None,
        role: Role::Participant,
        ..MucItem::default()
    };
    assert_eq!(occupant.item, Some(item));
    assert_eq!((occupant.payload.as_str(), &occupant.stamp), ("", &None));
}

#[test]
fn local_user_seeks_to_join_shadow_room() {
    expect_join(
        "Local User Seeks to Join Shadow Room",
        "coven@rooms.macbeth.lit/anotherwitch",
    );
}

#[test]
fn shadow_informs_source_of_new_occupant() {
    expect_occupant(1, "anotherwitch");
}

#[test]
fn user_seeks_to_join_source_room() {
    expect_join(
        "User Seeks to Join Source Room",
        "coven@chat.shakespeare.lit/firstwitch",
    );
}

fn shadow() -> BareJid {
    BareJid::new("theroom@rooms.macbeth.lit").unwrap()
}

#[test]
fn source_informs_user_of_a_shadow() {
    // The example holds a service and comes from a nick that nobody asked for. It can be read...
    let literal = presence(round_trip("Source Informs User of a Shadow"));
    let PresenceKind::Error(error) = &literal.kind else {
        panic!()
    };
    assert_eq!(
        (error.kind, error.condition),
        (ErrorType::Cancel, Condition::Redirect)
    );
    assert_eq!(error.redirect_target().unwrap().as_str(), "rooms.macbeth.lit");

    // ...and this is what we send (DESIGN section 4).
    let asked = FullJid::new("coven@chat.shakespeare.lit/firstwitch").unwrap();
    let user = Jid::new("somewitch@macbeth.lit/mobile").unwrap();
    let produced = write_redirect(&asked, &user, &shadow());
    compare(
        &produced,
        "<presence from='coven@chat.shakespeare.lit/firstwitch' to='somewitch@macbeth.lit/mobile' type='error'>
           <error type='cancel'>
             <redirect xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>xmpp:theroom@rooms.macbeth.lit?join</redirect>
           </error>
         </presence>",
    );
    let PresenceKind::Error(error) = presence(round_trip_text(&produced)).kind else {
        panic!()
    };
    assert_eq!(error.redirect_target(), Some(shadow()));
}

#[test]
fn source_invites_user_to_a_shadow() {
    let xml = repaired("Source Invites User to a Shadow", 1);
    let Stanza::Message(Message {
        from,
        to,
        kind: MessageKind::Normal,
        payload,
        ..
    }) = round_trip_text(&xml)
    else {
        panic!()
    };
    let invitation = Invitation::parse(&payload).unwrap();
    assert_eq!(
        invitation,
        Invitation {
            room: shadow(),
            password: None,
            reason: None
        }
    );
    compare(&write_invitation(&from, &to, &invitation), &xml);
}

#[test]
fn user_joins_shadow() {
    expect_join("User Joins Shadow", "theroom@rooms.macbeth.lit/firstwitch");
}

#[test]
fn shadow_informs_source_of_new_occupant_2() {
    expect_occupant(2, "firstwitch");
}
