//! `<act/>` (ours): an instance asks on behalf of an actor for what only another instance may do (G7, DESIGN 3.3, 3.4).

use std::str::FromStr;

use crate::address::{BareJid, Jid};
use minidom::Element;

use super::dom::{
    bad, bare_jid, child_text, count, flag, nick, only, required, required_count, to_bare, to_id, to_jid,
    to_nick,
};
use super::reading::Reading;
use super::text::{Tag, opt_text};
use super::{Affiliation, Avatar, Form, Role, WireError, ns};

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
        /// The answer to the voice request with this number (XEP-0045 section 8.6): `Role::Participant` grants it,
        /// `Role::Visitor` refuses it. It counts only if nobody has answered before.
        request: Option<u64>,
    },
    /// Change an affiliation; sent to the source.
    Affiliation {
        /// Whose.
        jid: BareJid,
        /// The new affiliation.
        affiliation: Affiliation,
        /// The nick to register with it.
        nick: Option<String>,
        /// Only if the entry is still this one (G7).
        was: Option<Listed>,
        /// The actor has invited this user into a members-only room (XEP-0045 section 7.8.2): who may invite makes a
        /// member that way, and nothing else.
        is_invited: bool,
    },
    /// The actor, a visitor whose home the sender is, asks for voice (XEP-0045 section 7.13); sent to each instance that
    /// hosts a moderator.
    Voice {
        /// The actor's join.
        serial: u64,
        /// Names the request; the answer brings it back.
        request: u64,
    },
    /// The actor invites a user (XEP-0045 section 7.8.2) whom the receiver serves: the receiver sends the invitation.
    Invite {
        /// The invitee.
        jid: Jid,
    },
    /// The user named as actor declines an invitation (XEP-0045 section 7.8.2); sent to the home of who invited.
    Decline {
        /// The nick that the inviter had then.
        nick: Option<String>,
        /// The inviter's real JID, if it had no nick.
        jid: Option<BareJid>,
    },
    /// Change the configuration; sent to the source.
    Config {
        /// The fields to change.
        form: Form,
        /// Only if the fields still have these values (G7).
        was: Option<Form>,
    },
    /// Change the subject; sent to the source by an instance that could not reach it when that was done.
    Subject {
        /// The new subject.
        text: String,
        /// Only if the subject is still this one (G7).
        was: Option<String>,
    },
    /// Take a message away (XEP-0425); sent to the source. The reason is the act's.
    Moderate {
        /// Its stanza-id.
        id: String,
    },
    /// Change the avatar; sent to the source, which asks the sender for the vCard before it decides.
    Avatar {
        /// The new one; `None` to remove it.
        avatar: Option<Avatar>,
        /// Only if it is still this one (G7).
        was: Option<Option<Avatar>>,
    },
    /// Register a nick for the actor, or take its registration back (XEP-0045 section 7.10); sent to the source. The actor
    /// need not be in the room.
    Register {
        /// The nick; absent to take the registration back, which ends a membership that came with it.
        nick: Option<String>,
        /// Only if the actor's entry of the list is still this one (G7).
        was: Option<Listed>,
    },
    /// Where the room has instances, or its source; sent to the source, for an owner of the room.
    Steer {
        /// The service that it is about.
        service: BareJid,
        /// What becomes of it.
        what: Steering,
    },
    /// Destroy the room; sent to the source. The reason is the act's.
    Destroy {
        /// Where to go instead.
        venue: Option<BareJid>,
        /// The password there.
        password: Option<String>,
    },
}

impl ActKind {
    /// Whether it asks for a [`Ruling`](super::Ruling): the source decides it, and a shadow that cannot reach the source does so
    /// provisionally (G7). The rest is for the home of an occupant, or waits for the source.
    pub fn is_ruling(&self) -> bool {
        match self {
            ActKind::Affiliation { .. }
            | ActKind::Config { .. }
            | ActKind::Subject { .. }
            | ActKind::Moderate { .. }
            | ActKind::Avatar { .. }
            | ActKind::Register { .. } => true,
            ActKind::Role { .. }
            | ActKind::Voice { .. }
            | ActKind::Invite { .. }
            | ActKind::Decline { .. }
            | ActKind::Steer { .. }
            | ActKind::Destroy { .. } => false,
        }
    }
}

/// What an owner at a shadow has the source do with one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steering {
    /// It gets an instance, or is asked for one again.
    Replicate,
    /// Its instance is closed, and it gets none.
    Retract,
    /// The instance there becomes the source.
    HandOver,
}

impl Steering {
    /// As it stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Steering::Replicate => "replicate",
            Steering::Retract => "retract",
            Steering::HandOver => "hand-over",
        }
    }
}

impl FromStr for Steering {
    type Err = WireError;

    fn from_str(text: &str) -> Result<Steering, WireError> {
        let all = [Steering::Replicate, Steering::Retract, Steering::HandOver];
        let found = all.into_iter().find(|what| what.as_str() == text);
        found.ok_or_else(|| bad(format!("what={text:?} is nothing that is done with a service")))
    }
}

/// An entry of the list of affiliations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listed {
    /// The affiliation.
    pub affiliation: Affiliation,
    /// The nick registered with it.
    pub nick: Option<String>,
}

impl Act {
    pub(super) fn read(el: &Element) -> Result<Act, WireError> {
        let mut kinds = el
            .children()
            .filter(|child| child.has_ns(ns::OURS) && child.name() != "reason");
        let kind = kinds.next().ok_or_else(|| bad("<act/> says not what to do"))?;
        if kinds.next().is_some() {
            return Err(bad("<act/> says more than one thing to do"));
        }
        Ok(Act {
            actor_nick: nick(el, "nick")?,
            actor_jid: bare_jid(el, "jid")?,
            kind: ActKind::read(kind)?,
            reason: child_text(el, "reason", ns::OURS)?,
        })
    }

    pub(super) fn write(&self, out: &mut String) {
        Tag::within(out, "act", ns::OURS)
            .opt("nick", self.actor_nick.as_deref())
            .opt("jid", self.actor_jid.as_ref().map(|jid| jid.as_str()))
            .body(|out| {
                self.kind.write(out);
                opt_text(out, "reason", self.reason.as_deref());
            });
    }
}

impl ActKind {
    fn read(el: &Element) -> Result<ActKind, WireError> {
        Ok(match el.name() {
            "role" => ActKind::Role {
                nick: to_nick("nick", required(el, "nick")?)?,
                serial: count(el, "serial")?,
                role: required(el, "role")?.parse()?,
                request: count(el, "request")?,
            },
            "affiliation" => ActKind::Affiliation {
                jid: to_bare("jid", required(el, "jid")?)?,
                affiliation: required(el, "affiliation")?.parse()?,
                nick: match el.attr("nick") {
                    Some("") => Some(String::new()),
                    _ => nick(el, "nick")?,
                },
                was: only(el, "was", ns::OURS)?.map(Listed::read).transpose()?,
                is_invited: flag(el, "invited")?,
            },
            "voice" => ActKind::Voice {
                serial: required_count(el, "serial")?,
                request: required_count(el, "request")?,
            },
            "invite" => ActKind::Invite {
                jid: to_jid("jid", required(el, "jid")?)?,
            },
            "decline" => match (nick(el, "nick")?, bare_jid(el, "jid")?) {
                (None, None) => return Err(bad("<decline/> says not to whom")),
                (nick, jid) => ActKind::Decline { nick, jid },
            },
            "config" => ActKind::Config {
                form: Form::read_child(el, &mut Reading::strict())?,
                was: match only(el, "was", ns::OURS)? {
                    Some(was) => Some(Form::read_child(was, &mut Reading::strict())?),
                    None => None,
                },
            },
            "subject" => ActKind::Subject {
                text: child_text(el, "text", ns::OURS)?.unwrap_or_default(),
                was: child_text(el, "was", ns::OURS)?,
            },
            "moderate" => ActKind::Moderate {
                id: to_id("id", required(el, "id")?)?,
            },
            "avatar" => ActKind::Avatar {
                avatar: Avatar::read_optional(el)?,
                was: only(el, "was", ns::OURS)?
                    .map(Avatar::read_optional)
                    .transpose()?,
            },
            "register" => ActKind::Register {
                nick: nick(el, "nick")?,
                was: only(el, "was", ns::OURS)?.map(Listed::read).transpose()?,
            },
            "steer" => ActKind::Steer {
                service: to_bare("jid", required(el, "jid")?)?,
                what: required(el, "what")?.parse()?,
            },
            "destroy" => ActKind::Destroy {
                venue: bare_jid(el, "jid")?,
                password: child_text(el, "password", ns::OURS)?,
            },
            _ => return Err(bad("<act/> says something unknown to do")),
        })
    }

    fn write(&self, out: &mut String) {
        match self {
            ActKind::Role {
                nick,
                serial,
                role,
                request,
            } => Tag::new(out, "role")
                .attr("nick", nick)
                .opt_number("serial", *serial)
                .attr("role", role.as_str())
                .opt_number("request", *request)
                .empty(),
            ActKind::Affiliation {
                jid,
                affiliation,
                nick,
                was,
                is_invited,
            } => Tag::new(out, "affiliation")
                .attr("jid", jid.as_str())
                .attr("affiliation", affiliation.as_str())
                .opt("nick", nick.as_deref())
                .flag("invited", *is_invited)
                .body(|out| {
                    if let Some(was) = was {
                        was.write(out);
                    }
                }),
            ActKind::Voice { serial, request } => Tag::new(out, "voice")
                .number("serial", *serial)
                .number("request", *request)
                .empty(),
            ActKind::Invite { jid } => Tag::new(out, "invite").attr("jid", jid.as_str()).empty(),
            ActKind::Decline { nick, jid } => Tag::new(out, "decline")
                .opt("nick", nick.as_deref())
                .opt("jid", jid.as_ref().map(|jid| jid.as_str()))
                .empty(),
            ActKind::Config { form, was } => Tag::new(out, "config").body(|out| {
                form.write(out);
                if let Some(was) = was {
                    Tag::within(out, "was", ns::OURS).body(|out| was.write(out));
                }
            }),
            ActKind::Subject { text, was } => Tag::new(out, "subject").body(|out| {
                opt_text(out, "text", Some(text));
                opt_text(out, "was", was.as_deref());
            }),
            ActKind::Moderate { id } => Tag::new(out, "moderate").attr("id", id).empty(),
            ActKind::Avatar { avatar, was } => {
                Avatar::tag(avatar.as_ref(), out, "avatar").body(|out| {
                    if let Some(was) = was {
                        Avatar::tag(was.as_ref(), out, "was").empty();
                    }
                });
            }
            ActKind::Register { nick, was } => {
                Tag::new(out, "register")
                    .opt("nick", nick.as_deref())
                    .body(|out| {
                        if let Some(was) = was {
                            was.write(out);
                        }
                    })
            }
            ActKind::Steer { service, what } => Tag::new(out, "steer")
                .attr("jid", service.as_str())
                .attr("what", what.as_str())
                .empty(),
            ActKind::Destroy { venue, password } => Tag::new(out, "destroy")
                .opt("jid", venue.as_ref().map(|venue| venue.as_str()))
                .body(|out| opt_text(out, "password", password.as_deref())),
        }
    }
}

impl Listed {
    fn read(el: &Element) -> Result<Listed, WireError> {
        Ok(Listed {
            affiliation: required(el, "affiliation")?.parse()?,
            nick: nick(el, "nick")?,
        })
    }

    fn write(&self, out: &mut String) {
        Tag::new(out, "was")
            .attr("affiliation", self.affiliation.as_str())
            .opt("nick", self.nick.as_deref())
            .empty();
    }
}
