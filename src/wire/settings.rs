//! `<config/>`: the source tells a shadow the configuration of the room (XEP-0281 section 3.2).

use minidom::Element;

use super::dom::{bad, id, nick, only, required_number, text, time};
use super::text::Tag;
use super::{Form, WireError, datetime, ns};

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

impl Config {
    pub(super) fn read(el: &Element) -> Result<Config, WireError> {
        let form = Form::read_child(el)?;
        let settings = only(el, "settings", ns::OURS)?
            .map(SettingsExtra::read)
            .transpose()?;
        Ok(Config { form, settings })
    }

    pub(super) fn write(&self, out: &mut String) {
        Tag::within(out, "config", ns::DMUC).body(|out| {
            self.form.write(out);
            if let Some(settings) = &self.settings {
                settings.write(out);
            }
        });
    }
}

impl SettingsExtra {
    fn read(el: &Element) -> Result<SettingsExtra, WireError> {
        Ok(SettingsExtra {
            term: required_number(el, "term")?,
            version: required_number(el, "version")?,
            salt: id(el, "salt")?,
            subject: only(el, "subject", ns::OURS)?.map(Subject::read).transpose()?,
        })
    }

    fn write(&self, out: &mut String) {
        Tag::within(out, "settings", ns::OURS)
            .number("term", self.term)
            .number("version", self.version)
            .opt("salt", self.salt.as_deref())
            .body(|out| {
                if let Some(subject) = &self.subject {
                    subject.write(out);
                }
            });
    }
}

impl Subject {
    fn read(el: &Element) -> Result<Subject, WireError> {
        let stamp = time(el, "stamp")?.ok_or_else(|| bad("<subject/> lacks the attribute 'stamp'"))?;
        Ok(Subject {
            nick: nick(el, "nick")?,
            stamp,
            text: text(el)?,
        })
    }

    fn write(&self, out: &mut String) {
        Tag::new(out, "subject")
            .opt("nick", self.nick.as_deref())
            .attr("stamp", &datetime::format(self.stamp))
            .text(&self.text);
    }
}
