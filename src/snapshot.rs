//! A room's distributed state as the host stores it: who the instances are and what the source decided. Messages
//! and occupants are not in it.

use crate::address::BareJid;
use minidom::Element;

use crate::engine::{Instance, Room, Stage};
use crate::error::RestoreError;
use crate::wire::{Config, IqKind, Request, RoomId, Roster, RosterExtra, RosterItem, SettingsExtra, escaped};

/// Namespace of the stored form, with its version.
const NS: &str = "urn:x-dmuc:0#snapshot";

/// Everything that has to survive a restart besides the messages.
#[derive(Debug, Clone)]
pub struct Snapshot {
    room: Room,
}

impl Snapshot {
    pub(crate) fn of_room(room: &Room) -> Snapshot {
        let mut room = room.clone();
        room.locals.clear();
        for instance in room.instances.values_mut() {
            *instance = Instance::new(instance.stage);
        }
        Snapshot { room }
    }

    pub(crate) fn to_room(&self) -> Room {
        let mut room = self.room.clone();
        room.log = Default::default();
        for instance in room.instances.values_mut() {
            *instance = Instance::new(Stage::Wanted);
        }
        room
    }

    /// The room this is the state of.
    pub fn room(&self) -> &BareJid {
        &self.room.jid
    }

    /// As one line of XML.
    pub fn to_xml(&self) -> String {
        let room = &self.room;
        let mut out = format!(
            "<room xmlns='{NS}' jid='{}' id='{}' firsthost='{}'",
            escaped(room.jid.as_str()),
            escaped(room.id.as_str()),
            escaped(room.firsthost.as_str()),
        );
        if let Some(source) = &room.source {
            out.push_str(&format!(" source='{}'", escaped(source.as_str())));
        }
        out.push_str(&format!(
            " ready='{}' incarnation='{}'>",
            room.ready, room.incarnation
        ));
        let settings = SettingsExtra {
            term: room.settings.term,
            version: room.settings.version,
            salt: room.settings.salt.clone(),
            subject: room.settings.subject.clone(),
        };
        let config = Config {
            form: room.settings.form.clone(),
            settings: Some(settings),
        };
        out.push_str(&Request::Config(config).to_xml());
        let items = room.settings.affiliations.iter().map(|(jid, entry)| RosterItem {
            affiliation: entry.affiliation,
            role: None,
            jid: Some(jid.clone().into()),
            nick: None,
            reserved_nick: entry.reserved_nick.clone(),
            reason: None,
            actor: None,
            occupant: None,
        });
        let extra = RosterExtra {
            version: 0,
            occupants: false,
            affiliations: true,
            more: false,
            term: None,
            settings: None,
        };
        let roster = Roster {
            items: items.collect(),
            extra: Some(extra),
        };
        out.push_str(&Request::Roster(roster).to_xml());
        for jid in room.instances.keys() {
            out.push_str(&format!("<instance jid='{}'/>", escaped(jid.as_str())));
        }
        out.push_str("</room>");
        out
    }

    /// Reads what [`Snapshot::to_xml`] wrote.
    ///
    /// # Errors
    /// [`RestoreError`] says what is wrong with it.
    pub fn parse(xml: &str) -> Result<Snapshot, RestoreError> {
        let wrong = |what: &str| RestoreError(what.to_owned());
        let el: Element = xml.parse().map_err(|_| wrong("not XML"))?;
        if !el.is("room", NS) {
            return Err(wrong("not a snapshot of this version"));
        }
        let attr = |name: &'static str| {
            el.attr(name)
                .ok_or_else(|| RestoreError(format!("no attribute {name}")))
        };
        let jid = |name: &str, text: &str| {
            BareJid::new(text).map_err(|_| RestoreError(format!("{name} is no JID")))
        };
        let id = RoomId::new(attr("id")?).map_err(|_| wrong("bad room id"))?;
        let source = el.attr("source").map(|text| jid("source", text)).transpose()?;
        let mut room = Room::new(
            jid("jid", attr("jid")?)?,
            id,
            jid("firsthost", attr("firsthost")?)?,
            source,
        );
        room.ready = attr("ready")? == "true";
        room.incarnation = attr("incarnation")?
            .parse()
            .map_err(|_| wrong("bad incarnation"))?;
        for child in el.children() {
            if child.is("instance", NS) {
                let peer = child.attr("jid").ok_or_else(|| wrong("an instance has no jid"))?;
                room.instances
                    .insert(jid("instance", peer)?, Instance::new(Stage::Wanted));
                continue;
            }
            match Request::parse(IqKind::Set, &String::from(child)) {
                Ok(Request::Config(config)) => {
                    room.settings.form = config.form;
                    if let Some(settings) = config.settings {
                        room.settings.term = settings.term;
                        room.settings.version = settings.version;
                        room.settings.salt = settings.salt;
                        room.settings.subject = settings.subject;
                    }
                }
                Ok(Request::Roster(roster)) => {
                    for item in roster.items {
                        if let Some(jid) = item.jid {
                            let nick = item.reserved_nick.as_deref();
                            room.set_affiliation(&jid.to_bare(), item.affiliation, nick);
                        }
                    }
                }
                _ => return Err(wrong("an unknown part")),
            }
        }
        Ok(Snapshot { room })
    }
}
