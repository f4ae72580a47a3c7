//! `<act/>` (ours): an instance asks on behalf of an actor for what only another instance may do (G7, DESIGN 3.3, 3.4).

use jid::BareJid;

use super::{Affiliation, Form, Role};

/// `<act xmlns='urn:x-dmuc:0'/>`: who wants what, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// The nick of the actor.
    pub actor_nick: Option<String>,
    /// The real bare JID of the actor.
    pub actor_jid: Option<BareJid>,
    /// What is to be done.
    pub kind: ActKind,
    /// The actor's reason.
    pub reason: Option<String>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActKind {
    /// Change the role of an occupant; sent to its home. `Role::None` is a kick.
    Role {
        /// The target's nick.
        nick: String,
        /// The target's join, so that an act on an earlier one misses.
        serial: Option<u64>,
        /// The new role.
        role: Role,
    },
    /// Change an affiliation; sent to the source.
    Affiliation {
        /// Whose.
        jid: BareJid,
        /// The new affiliation.
        affiliation: Affiliation,
        /// The nick to register with it.
        nick: Option<String>,
    },
    /// Change the configuration; sent to the source.
    Config {
        /// The fields to change.
        form: Form,
    },
    /// Destroy the room; sent to the source. The reason is the act's.
    Destroy {
        /// Where to go instead.
        venue: Option<BareJid>,
        /// The password there.
        password: Option<String>,
    },
}
