//! Section 3.1, Creating a Room. Prosody serves the form; what is ours is reading the field.

use dmuc::wire::{Form, IqBody, Stanza};

use crate::support::spec::round_trip;
use crate::support::xml::{child, compare, element};

fn form(stanza: &Stanza) -> Form {
    let Stanza::Iq(iq) = stanza else {
        panic!("not an IQ")
    };
    let (IqBody::Set(payload) | IqBody::Result(Some(payload))) = &iq.body else {
        panic!("no payload")
    };
    let query = element(payload);
    assert!(query.is("query", dmuc::wire::ns::MUC_OWNER));
    Form::parse(&String::from(child(&query, "x"))).expect("a configuration form")
}

#[test]
fn service_sends_configuration_form() {
    let form = form(&round_trip("Service Sends Configuration Form"));
    assert_eq!(form.fields.len(), 1);
    assert_eq!(form.flag("muc#roomconfig_distributed"), Some(false));
}

#[test]
fn room_owner_submits_configuration_form() {
    let form = form(&round_trip("Room Owner Submits Configuration Form"));
    assert_eq!(form.flag("muc#roomconfig_distributed"), Some(true));
    compare(
        &form.to_xml(),
        "<x xmlns='jabber:x:data' type='form'>
           <field type='hidden' var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>
           <field var='muc#roomconfig_distributed'><value>true</value></field>
         </x>",
    );
}

#[test]
fn all_four_spellings_of_a_boolean_are_read() {
    for (value, flag) in [
        ("0", Some(false)),
        ("false", Some(false)),
        ("1", Some(true)),
        ("true", Some(true)),
    ]
    .into_iter()
    .chain([("yes", None), ("", None)])
    {
        let mut form = Form::default();
        form.set("muc#roomconfig_distributed", vec![value.to_owned()]);
        assert_eq!(form.flag("muc#roomconfig_distributed"), flag, "{value:?}");
    }
    assert_eq!(Form::default().flag("muc#roomconfig_distributed"), None);
}

#[test]
fn forms_are_equal_whatever_the_order_of_their_fields() {
    let mut one = Form::default();
    one.set("a", vec!["1".to_owned(), "2".to_owned()]);
    one.set("b", Vec::new());
    let mut other = Form::default();
    other.set("b", Vec::new());
    other.set("a", vec!["1".to_owned(), "2".to_owned()]);
    assert_eq!(one, other);
    other.set("a", vec!["2".to_owned(), "1".to_owned()]);
    assert_ne!(one, other, "the order of values counts");
    assert!(other.remove("a") && !other.remove("a"));
    assert_ne!(one, other);
}
