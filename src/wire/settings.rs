//! `<config/>`: the source tells a shadow the configuration of the room (XEP-0281 section 3.2).

use super::Form;

/// `<config/>` with its form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The configuration form.
    pub form: Form,
    /// What the XEP has no place for; only to peers that speak `urn:x-dmuc:0`.
    pub settings: Option<SettingsExtra>,
}

/// `<settings xmlns='urn:x-dmuc:0' term='1' version='3' salt='…'/>`: what goes with the form (G6, G7).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SettingsExtra {
    /// Counts hand-overs of the source role.
    pub term: u64,
    /// Counts changes within the term.
    pub version: u64,
    /// The salt of occupant-ids (XEP-0421), shared so that they are the same everywhere (G5).
    pub salt: Option<String>,
    /// The subject of the room.
    pub subject: Option<Subject>,
}

/// A room's subject and who set it when (XEP-0045 section 7.2.15).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The nick of whoever set it; `None` when the room itself did.
    pub nick: Option<String>,
    /// When, in milliseconds since 1970.
    pub stamp: i64,
    /// The subject; may be empty.
    pub text: String,
}
