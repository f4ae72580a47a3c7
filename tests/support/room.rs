//! A room as the modelled MUC service holds it.

use std::collections::BTreeMap;

use dmuc::address::{BareJid, FullJid, Jid};
use dmuc::wire::{Affiliation, Form, Hats, Listing, Role};

use super::event::Seen;

#[derive(Debug, Clone)]
pub struct HostRoom {
    pub jid: BareJid,
    pub form: Form,
    pub salt: String,
    pub subject: Option<(Option<String>, String)>,
    /// Empty for none.
    pub vcard: String,
    pub affiliations: BTreeMap<BareJid, Listed>,
    /// They go with the affiliations.
    pub hats: BTreeMap<BareJid, Hats>,
    pub occupants: BTreeMap<String, Occupant>,
    /// In the order of arrival, as an archive is.
    pub archive: Vec<Archived>,
    /// The source, if this is a shadow.
    pub source: Option<BareJid>,
    pub is_distributed: bool,
    /// A shadow that was let go: history without messages to come.
    pub is_closed: bool,
    /// A shadow in which nobody may speak until a configuration is put right.
    pub is_parked: bool,
}

/// An entry of the list of affiliations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub affiliation: Affiliation,
    pub nick: Option<String>,
}

impl Listed {
    /// The entry, as somebody's.
    pub fn of(&self, jid: &BareJid) -> Listing {
        Listing {
            jid: jid.clone(),
            entry: dmuc::wire::Listed {
                affiliation: self.affiliation,
                nick: self.nick.clone(),
            },
        }
    }

    /// `member`, or with a registered nick `member as witch`.
    pub fn as_text(&self) -> String {
        let affiliation = self.affiliation.as_str();
        match &self.nick {
            Some(nick) => format!("{affiliation} as {nick}"),
            None => affiliation.to_owned(),
        }
    }
}

/// Who has a nick: somebody here, somebody elsewhere, or one person at several homes.
#[derive(Debug, Clone, Default)]
pub struct Occupant {
    pub local: Option<Local>,
    pub remote: BTreeMap<BareJid, Remote>,
}

#[derive(Debug, Clone)]
pub struct Local {
    /// Names this stay; a change of nick keeps it.
    pub session: u64,
    pub jid: FullJid,
    pub affiliation: Affiliation,
    pub role: Role,
    pub occupant_id: String,
    pub payload: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    pub jid: Option<Jid>,
    pub affiliation: Affiliation,
    pub role: Role,
    pub occupant_id: Option<String>,
    pub payload: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archived {
    pub stanza_id: String,
    pub nick: String,
    pub message_id: Option<String>,
    pub occupant_id: Option<String>,
    pub payload: String,
    pub wall_ms: u64,
}

impl HostRoom {
    pub fn new(jid: BareJid) -> HostRoom {
        HostRoom {
            salt: format!("salt of {jid}"),
            jid,
            form: Form::default(),
            subject: None,
            vcard: String::new(),
            affiliations: BTreeMap::new(),
            hats: BTreeMap::new(),
            occupants: BTreeMap::new(),
            archive: Vec::new(),
            source: None,
            is_distributed: false,
            is_closed: false,
            is_parked: false,
        }
    }

    pub fn is_shadow(&self) -> bool {
        self.source.is_some()
    }

    pub fn affiliation_of(&self, user: &BareJid) -> Affiliation {
        let listed = |jid: &BareJid| self.affiliations.get(jid).map(|entry| entry.affiliation);
        listed(user)
            .or_else(|| listed(&user.service()).filter(|domain| *domain == Affiliation::Outcast))
            .unwrap_or_default()
    }

    /// What is listed of a user.
    pub fn listed(&self, user: &BareJid) -> Listed {
        let unlisted = Listed {
            affiliation: Affiliation::None,
            nick: None,
        };
        self.affiliations.get(user).cloned().unwrap_or(unlisted)
    }

    /// The same with another affiliation: as in Prosody, a registered nick stays unless the entry goes.
    pub fn with_affiliation(
        &self,
        user: &BareJid,
        affiliation: Affiliation,
        reserved: Option<&str>,
    ) -> Listed {
        let held = self
            .listed(user)
            .nick
            .filter(|_| affiliation != Affiliation::None);
        Listed {
            affiliation,
            nick: reserved.map(str::to_owned).or(held),
        }
    }

    /// The role an occupant with this affiliation comes in with (XEP-0045 section 5.1.2).
    pub fn default_role(&self, affiliation: Affiliation) -> Role {
        match affiliation {
            Affiliation::Outcast => Role::None,
            Affiliation::Owner | Affiliation::Admin => Role::Moderator,
            Affiliation::None if self.form.flag("muc#roomconfig_moderatedroom") == Some(true) => {
                Role::Visitor
            }
            _ => Role::Participant,
        }
    }

    pub fn occupant_id(&self, user: &BareJid) -> String {
        dmuc::ids::occupant_id(user, &self.salt)
    }

    pub fn nick_owner(&self, nick: &str) -> Option<&BareJid> {
        let mut entries = self.affiliations.iter();
        entries
            .find(|(_, entry)| entry.nick.as_deref() == Some(nick))
            .map(|(user, _)| user)
    }

    /// Whether `user` may take this nick as far as this instance knows. Its own may be known by the occupant-id.
    pub fn may_take(&self, nick: &str, user: &BareJid) -> bool {
        if self.nick_owner(nick).is_some_and(|owner| owner != user) {
            return false;
        }
        let id = self.occupant_id(user);
        let is_same = |remote: &Remote| match remote.bare() {
            Some(known) => known == *user,
            None => remote.occupant_id.as_ref() == Some(&id),
        };
        self.occupants
            .get(nick)
            .is_none_or(|occupant| occupant.local.is_none() && occupant.remote.values().all(is_same))
    }

    pub fn local(&self, nick: &str) -> Option<&Local> {
        self.occupants
            .get(nick)
            .and_then(|occupant| occupant.local.as_ref())
    }

    pub fn local_mut(&mut self, nick: &str) -> Option<&mut Local> {
        self.occupants
            .get_mut(nick)
            .and_then(|occupant| occupant.local.as_mut())
    }

    pub fn locals(&self) -> impl Iterator<Item = (&String, &Local)> {
        self.occupants
            .iter()
            .filter_map(|(nick, occupant)| Some((nick, occupant.local.as_ref()?)))
    }

    /// The remote occupant with this nick that comes first, and its home.
    pub fn remote(&self, nick: &str) -> Option<(&BareJid, &Remote)> {
        self.occupants
            .get(nick)
            .and_then(|occupant| occupant.remote.iter().next())
    }

    /// Drops seats that nobody has any more.
    pub fn tidy(&mut self) {
        self.occupants
            .retain(|_, occupant| occupant.local.is_some() || !occupant.remote.is_empty());
    }
}

impl Remote {
    pub fn bare(&self) -> Option<BareJid> {
        self.jid.as_ref().map(Jid::to_bare)
    }
}

impl Local {
    pub fn as_seen(&self, nick: &str, codes: Vec<u16>) -> Seen {
        Seen::Presence {
            nick: nick.to_owned(),
            affiliation: self.affiliation,
            role: self.role,
            occupant_id: Some(self.occupant_id.clone()),
            payload: self.payload.clone(),
            codes,
        }
    }
}
