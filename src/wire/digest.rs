//! `<digest/>` (ours): heartbeat of a pair of services, and in one line per room what each side has to offer (DESIGN 3).

use minidom::Element;

use super::dom::{count, event_number, flag, id, only, over, required};
use super::limits::MAX_DIGEST_ROOMS;
use super::text::Tag;
use super::{RoomId, WireError, ns};

/// What a service says of the rooms it shares with another: those that have changed since it last said so.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Digest {
    /// Names the sender's present life: another one shows that it was restarted.
    pub life: Option<String>,
    /// The sender was loaded, or reached us again: what it refused before it may take now.
    pub hello: bool,
    /// In an answer: what time it is at the sender, ms since 1970.
    pub time: Option<u64>,
    /// In an answer: the largest payload of a message that the sender takes, bytes (`dmuc_max_stanza_size`).
    pub takes: Option<u64>,
    /// One line per room; none is a mere heartbeat.
    pub rooms: Vec<RoomDigest>,
}

/// What one instance has to offer to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomDigest {
    /// The room.
    pub id: RoomId,
    /// Its own latest event: incarnation and number. Absent while it has none.
    pub log: Option<(u64, u64)>,
    /// The version of its roster.
    pub roster: u64,
    /// The version of the settings, from the source.
    pub settings: Option<u64>,
    /// A hash over what it holds of third instances' events.
    pub rest: Option<String>,
    /// A hash over what the newest messages say: to a shadow of all origins but its own, to the source of the sender's own.
    pub words: Option<String>,
    /// Shows that the sender had the room: what [`crate::ids::proof_of_room`] makes of it.
    pub proof: Option<String>,
    /// What it has of each part, as hashes: what another asks who says this of its own.
    pub parts: Option<Parts>,
    /// There is no such room here.
    pub gone: bool,
}

/// What an instance has of each part of a room, each as a hash that is the same where the part is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parts {
    /// Who is in it.
    pub people: Option<String>,
    /// The list of affiliations.
    pub list: Option<String>,
    /// The configuration.
    pub settings: Option<String>,
    /// The subject.
    pub subject: Option<String>,
    /// The latest number of each instance.
    pub numbers: Option<String>,
    /// What the newest messages say.
    pub words: Option<String>,
}

impl Parts {
    fn read(el: &Element) -> Result<Parts, WireError> {
        Ok(Parts {
            people: id(el, "people")?,
            list: id(el, "list")?,
            settings: id(el, "settings")?,
            subject: id(el, "subject")?,
            numbers: id(el, "numbers")?,
            words: id(el, "words")?,
        })
    }

    fn write(&self, out: &mut String) {
        Tag::new(out, "parts")
            .opt("people", self.people.as_deref())
            .opt("list", self.list.as_deref())
            .opt("settings", self.settings.as_deref())
            .opt("subject", self.subject.as_deref())
            .opt("numbers", self.numbers.as_deref())
            .opt("words", self.words.as_deref())
            .empty();
    }
}

impl RoomDigest {
    /// The line of a service that does not have the room.
    pub fn gone(id: RoomId) -> RoomDigest {
        RoomDigest {
            id,
            log: None,
            roster: 0,
            settings: None,
            rest: None,
            words: None,
            proof: None,
            parts: None,
            gone: true,
        }
    }
}

impl Digest {
    pub(super) fn read(el: &Element) -> Result<Digest, WireError> {
        let mut rooms = Vec::new();
        for child in el.children().filter(|child| child.is("room", ns::OURS)) {
            if rooms.len() == MAX_DIGEST_ROOMS {
                return Err(over(format!("a digest has more than {MAX_DIGEST_ROOMS} rooms")));
            }
            rooms.push(RoomDigest::read(child)?);
        }
        Ok(Digest {
            life: id(el, "life")?,
            hello: flag(el, "hello")?,
            time: count(el, "time")?,
            takes: count(el, "takes")?,
            rooms,
        })
    }

    pub(super) fn write(&self, out: &mut String) {
        Tag::within(out, "digest", ns::OURS)
            .opt("life", self.life.as_deref())
            .flag("hello", self.hello)
            .opt_number("time", self.time)
            .opt_number("takes", self.takes)
            .body(|out| self.rooms.iter().for_each(|room| room.write(out)));
    }
}

impl RoomDigest {
    fn read(el: &Element) -> Result<RoomDigest, WireError> {
        let log = |text: &str| event_number("log", text);
        Ok(RoomDigest {
            id: RoomId::new(required(el, "id")?)?,
            log: el.attr("log").map(log).transpose()?,
            roster: count(el, "roster")?.unwrap_or(0),
            settings: count(el, "settings")?,
            rest: id(el, "rest")?,
            words: id(el, "words")?,
            proof: id(el, "proof")?,
            parts: only(el, "parts", ns::OURS)?.map(Parts::read).transpose()?,
            gone: flag(el, "gone")?,
        })
    }

    fn write(&self, out: &mut String) {
        let log = self.log.map(|(incarnation, seq)| format!("{incarnation}.{seq}"));
        Tag::new(out, "room")
            .attr("id", self.id.as_str())
            .opt("log", log.as_deref())
            .opt_number("roster", Some(self.roster).filter(|version| *version > 0))
            .opt_number("settings", self.settings)
            .opt("rest", self.rest.as_deref())
            .opt("words", self.words.as_deref())
            .opt("proof", self.proof.as_deref())
            .flag("gone", self.gone)
            .body(|out| {
                if let Some(parts) = &self.parts {
                    parts.write(out);
                }
            });
    }
}
