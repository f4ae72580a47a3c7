//! Affiliations and roles (XEP-0045 sections 5.1 and 5.2).

use std::str::FromStr;

use super::{Condition, WireError};

/// A long-lived association of a user with a room (XEP-0045 section 5.2), ordered by rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Affiliation {
    /// Banned.
    Outcast,
    /// No association.
    #[default]
    None,
    /// On the list of a members-only room.
    Member,
    /// May kick, ban, and change members.
    Admin,
    /// May do everything.
    Owner,
}

/// What an occupant may do while it is in the room (XEP-0045 section 5.1), ordered by rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Role {
    /// Not in the room; as an act, a kick.
    #[default]
    None,
    /// May listen.
    Visitor,
    /// May speak.
    Participant,
    /// May kick and grant voice.
    Moderator,
}

impl Affiliation {
    /// The value of the `affiliation` attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Affiliation::Outcast => "outcast",
            Affiliation::None => "none",
            Affiliation::Member => "member",
            Affiliation::Admin => "admin",
            Affiliation::Owner => "owner",
        }
    }
}

impl Role {
    /// The value of the `role` attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::None => "none",
            Role::Visitor => "visitor",
            Role::Participant => "participant",
            Role::Moderator => "moderator",
        }
    }
}

impl FromStr for Affiliation {
    type Err = WireError;

    fn from_str(name: &str) -> Result<Affiliation, WireError> {
        Ok(match name {
            "outcast" => Affiliation::Outcast,
            "none" => Affiliation::None,
            "member" => Affiliation::Member,
            "admin" => Affiliation::Admin,
            "owner" => Affiliation::Owner,
            _ => {
                return Err(WireError::new(
                    Condition::BadRequest,
                    "this is not an affiliation",
                ));
            }
        })
    }
}

impl FromStr for Role {
    type Err = WireError;

    fn from_str(name: &str) -> Result<Role, WireError> {
        Ok(match name {
            "none" => Role::None,
            "visitor" => Role::Visitor,
            "participant" => Role::Participant,
            "moderator" => Role::Moderator,
            _ => return Err(WireError::new(Condition::BadRequest, "this is not a role")),
        })
    }
}
