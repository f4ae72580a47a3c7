//! Names and XML as values of the wire, or a result that says that they are none.

use super::guard::Outcome;
use super::result::dmuc_result;
use crate::wire::{Affiliation, Avatar, Form, Picture, Role, Unfit, WireError};

pub(super) fn invalid_value(_: WireError) -> dmuc_result {
    dmuc_result::DMUC_RESULT_INVALID_VALUE
}

pub(super) fn invalid_xml(_: WireError) -> dmuc_result {
    dmuc_result::DMUC_RESULT_INVALID_XML
}

pub(super) fn to_affiliation(name: &str) -> Outcome<Affiliation> {
    name.parse().map_err(invalid_value)
}

pub(super) fn to_role(name: &str) -> Outcome<Role> {
    name.parse().map_err(invalid_value)
}

/// The form of a room, and what no instance would take of it.
pub(super) fn to_fitting_form(xml: &str) -> Outcome<(Form, Unfit)> {
    Form::parse_fitting(xml).map_err(invalid_xml)
}

/// Which avatar a vCard is.
pub(super) fn to_avatar(vcard: Option<&str>) -> Outcome<Option<Avatar>> {
    let vcard = vcard.filter(|vcard| !vcard.is_empty());
    let picture = vcard.map_or(Ok(None), Picture::parse).map_err(invalid_xml)?;
    Ok(picture.map(|picture| picture.avatar))
}

pub(super) fn to_form(xml: &str) -> Outcome<Form> {
    Form::parse(xml).map_err(invalid_xml)
}
