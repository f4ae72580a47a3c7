//! Stanza errors (RFC 6120 section 8.3), from and to XML.

use dmuc::wire::{Condition, ErrorType, StanzaError, WireError};

use crate::support::xml::compare;

#[test]
fn all_conditions_of_rfc_6120_are_known() {
    assert_eq!(Condition::all().count(), 22);
    for condition in Condition::all() {
        assert_eq!(Condition::from_name(condition.as_str()), Some(condition));
        let error = StanzaError::new(condition);
        assert_eq!(StanzaError::parse(&error.to_xml()), Ok(error));
    }
    assert_eq!(Condition::from_name("text"), None);
}

#[test]
fn an_error_has_its_condition_and_its_text() {
    let error = StanzaError::with_text(Condition::Conflict, "the id is an ordinary room");
    compare(
        &error.to_xml(),
        "<error type='cancel'>
           <conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>
           <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>the id is an ordinary room</text>
         </error>",
    );
}

#[test]
fn a_wire_error_is_the_stanza_error_of_its_sender() {
    let error = WireError::new(Condition::JidMalformed, "'jid' is not a JID");
    assert_eq!(error.to_string(), "jid-malformed: 'jid' is not a JID");
    let stanza_error = StanzaError::from(error);
    assert_eq!(stanza_error.kind, ErrorType::Modify);
    assert_eq!(stanza_error.to_string(), "jid-malformed: 'jid' is not a JID");
}

#[test]
fn an_error_that_is_not_understood_is_still_an_error() {
    for xml in [
        "<error/>",
        "<error type='nonsense'><nonsense xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
        "<error code='500'>text</error>",
    ] {
        let error = StanzaError::parse(xml).unwrap();
        assert_eq!(
            (error.kind, error.condition),
            (ErrorType::Cancel, Condition::UndefinedCondition),
            "{xml}"
        );
        assert_eq!((error.text, error.target), (None, None), "{xml}");
    }
    assert_eq!(
        StanzaError::from_parts(None, Some("forbidden"), Some("")),
        StanzaError::new(Condition::Forbidden)
    );
}

#[test]
fn the_text_of_an_error_is_cut_between_characters() {
    let long = StanzaError::with_text(Condition::Conflict, "魔".repeat(2000));
    let read = StanzaError::parse(&long.to_xml()).unwrap();
    assert_eq!(read.text.unwrap().chars().count(), 4096 / 3);
}

#[test]
fn a_redirect_is_read_as_uri_or_jid() {
    for (target, jid) in [
        (
            "xmpp:theroom@rooms.macbeth.lit?join",
            Some("theroom@rooms.macbeth.lit"),
        ),
        (
            "xmpp:theroom@rooms.macbeth.lit",
            Some("theroom@rooms.macbeth.lit"),
        ),
        (" theroom@rooms.macbeth.lit\n", Some("theroom@rooms.macbeth.lit")),
        ("rooms.macbeth.lit", Some("rooms.macbeth.lit")),
        ("xmpp:50%25@rooms.macbeth.lit?join", Some("50%@rooms.macbeth.lit")),
        ("xmpp:%zz@rooms.macbeth.lit", None),
        ("xmpp:%2", None),
        ("xmpp:%ff@rooms.macbeth.lit", None),
        ("mailto:somebody", None),
        ("theroom@rooms.macbeth.lit/nick", None),
        ("", None),
    ] {
        let error = StanzaError {
            target: Some(target.to_owned()),
            ..StanzaError::new(Condition::Redirect)
        };
        assert_eq!(
            error.redirect_target().as_ref().map(|jid| jid.as_str()),
            jid,
            "{target}"
        );
    }
}
