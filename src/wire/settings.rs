//! `<config/>`: the source tells a shadow the configuration of the room (XEP-0281 section 3.2).

use std::collections::BTreeMap;

use crate::address::BareJid;
use minidom::Element;

use super::dom::{bad, event_number, id, nick, only, over, required, required_count, text, time, to_bare};
use super::limits::MAX_INSTANCES;
use super::reading::Reading;
use super::text::Tag;
use super::{Avatar, Form, WireError, datetime, ns};

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
    /// Which vCard the room has.
    pub avatar: Option<Avatar>,
    /// The services of all shadows, so that instances that missed an introduction get to know each other. Of a former source
    /// that has another localpart than the room's id: its address.
    pub instances: Vec<BareJid>,
    /// In the first configuration of a shadow: the latest event of each origin that the source has, as incarnation and
    /// number. What is not beyond it was said before anybody could be at the shadow, whatever the clocks say (G4).
    pub said: Option<BTreeMap<BareJid, (u64, u64)>>,
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
    pub(super) fn read(el: &Element, reading: &mut Reading) -> Result<Config, WireError> {
        let form = Form::read_child(el, reading)?;
        let settings = only(el, "settings", ns::OURS)?
            .map(|settings| SettingsExtra::read(settings, reading))
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
    fn read(el: &Element, reading: &mut Reading) -> Result<SettingsExtra, WireError> {
        let subject = match only(el, "subject", ns::OURS)? {
            Some(subject) => Subject::read(subject, reading).map(Some),
            None => Ok(None),
        };
        let said = match only(el, "said", ns::OURS)? {
            Some(said) => Some(read_said(said, reading)?),
            None => None,
        };
        let avatar = only(el, "avatar", ns::OURS)?.map(Avatar::read).transpose();
        Ok(SettingsExtra {
            term: required_count(el, "term")?,
            version: required_count(el, "version")?,
            salt: id(el, "salt")?,
            subject: reading.part(subject)?.flatten(),
            avatar: reading.part(avatar)?.flatten(),
            instances: read_instances(el, reading)?,
            said,
        })
    }

    fn write(&self, out: &mut String) {
        Tag::within(out, "settings", ns::OURS)
            .number("term", self.term)
            .number("version", self.version)
            .opt("salt", self.salt.as_deref())
            .body(|out| {
                if let Some(avatar) = &self.avatar {
                    Avatar::tag(Some(avatar), out, "avatar").empty();
                }
                if let Some(subject) = &self.subject {
                    subject.write(out);
                }
                for service in &self.instances {
                    Tag::new(out, "instance")
                        .attr("jid", service.service().as_str())
                        .opt("room", service.node())
                        .empty();
                }
                if let Some(said) = &self.said {
                    write_said(out, said);
                }
            });
    }
}

fn read_instances(el: &Element, reading: &mut Reading) -> Result<Vec<BareJid>, WireError> {
    let service = |child: &Element| {
        let service = to_bare("jid", required(child, "jid")?)?;
        match (service.node(), child.attr("room")) {
            (Some(_), _) => Err(bad("an instance is named by its service")),
            (None, Some(room)) => to_bare("room", &format!("{room}@{service}")),
            (None, None) => Ok(service),
        }
    };
    let mut services = Vec::new();
    for child in el.children().filter(|child| child.is("instance", ns::OURS)) {
        let too_many = || over(format!("a room has more than {MAX_INSTANCES} instances"));
        if reading.has_room(services.len(), MAX_INSTANCES, too_many)? {
            services.extend(reading.part(service(child))?);
        }
    }
    Ok(services)
}

fn read_said(el: &Element, reading: &mut Reading) -> Result<BTreeMap<BareJid, (u64, u64)>, WireError> {
    let latest = |child: &Element| {
        let origin = to_bare("origin", required(child, "origin")?)?;
        Ok((origin, event_number("log", required(child, "log")?)?))
    };
    let mut said = BTreeMap::new();
    for child in el.children().filter(|child| child.is("latest", ns::OURS)) {
        let too_many = || over(format!("a room has more than {MAX_INSTANCES} origins"));
        if !reading.has_room(said.len(), MAX_INSTANCES, too_many)? {
            continue;
        }
        if let Some((origin, log)) = reading.part(latest(child))?
            && said.insert(origin, log).is_some()
        {
            reading.pass_over(bad("an origin has more than one latest event"))?;
        }
    }
    Ok(said)
}

fn write_said(out: &mut String, said: &BTreeMap<BareJid, (u64, u64)>) {
    Tag::new(out, "said").body(|out| {
        for (origin, (incarnation, seq)) in said {
            Tag::new(out, "latest")
                .attr("origin", origin.as_str())
                .attr("log", &format!("{incarnation}.{seq}"))
                .empty();
        }
    });
}

impl Subject {
    fn read(el: &Element, reading: &mut Reading) -> Result<Subject, WireError> {
        let stamp = time(el, "stamp")?.ok_or_else(|| bad("<subject/> lacks the attribute 'stamp'"))?;
        Ok(Subject {
            nick: reading.part(nick(el, "nick"))?.flatten(),
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
