//! What a shadow asks its source for (G7): whether it is asked, or decides provisionally, and what the source does with it.

use crate::address::BareJid;

use super::super::state::clock::Now;
use super::super::state::room::Room;
use super::super::{Engine, refuse};
use super::list::{registered, takes_nick};
use super::{Kind, each_kind, form, subject};
use crate::error::Error;
use crate::wire::{Act, ActKind, Condition, Listed, Listing, Moderated, Moderation, Ruling};

/// Somebody at another instance, in whose name that asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker<'a> {
    /// The instance.
    pub(super) home: &'a BareJid,
    /// What it asks, and for whom.
    pub(super) act: &'a Act,
}

impl Engine {
    /// Whether somebody here asks for a ruling of the source's that holds here until the source can be asked: the host does it
    /// then as it would at the source, and says so.
    pub(in crate::engine) fn is_held_here(&self, jid: &BareJid, kind: &ActKind) -> bool {
        kind.is_ruling() && !self.is_source_reachable(jid)
    }

    /// Another instance asks the source for something in the name of `actor`. `true`: that leaves nothing for the host to do. It
    /// is so already, or the engine has decided it.
    ///
    /// # Errors
    /// The source has decided otherwise meanwhile, or there is a rule against it.
    pub(in crate::engine) fn is_decided(
        &mut self,
        now: Now,
        jid: &BareJid,
        home: &BareJid,
        act: &Act,
        actor: &BareJid,
    ) -> Result<bool, Error> {
        let Some((was, ruling)) = asked(&act.kind, actor) else {
            return Ok(false);
        };
        let room = self.rooms.get(jid).ok_or(Error::UnknownRoom)?;
        let asker = Asker { home, act };
        each_kind!(&ruling, kind => kind.check(self, room, asker))?;
        if let Some(was) = was
            && is_so(room, was, &ruling)?
        {
            return Ok(true);
        }
        each_kind!(&ruling, kind => kind.take(self, now, jid, asker))
    }
}

/// What an act asks for, with what it says that was. `None`: it asks for no ruling, or for one that only the host can tell.
pub(super) fn asked(kind: &ActKind, actor: &BareJid) -> Option<(Option<Ruling>, Ruling)> {
    let listed = |jid: &BareJid, entry: Listed| {
        let jid = jid.clone();
        Ruling::Listed(Listing { jid, entry })
    };
    Some(match kind {
        ActKind::Affiliation {
            jid,
            affiliation,
            nick,
            was,
            ..
        } => {
            let now = Listed {
                affiliation: *affiliation,
                nick: nick.clone(),
            };
            (was.clone().map(|was| listed(jid, was)), listed(jid, now))
        }
        ActKind::Register { nick, was: Some(was) } => {
            let now = registered(was, nick.as_deref());
            (Some(listed(actor, was.clone())), listed(actor, now))
        }
        ActKind::Config { form, was } => {
            let was = was.as_ref().map(|was| form::same_fields(form, was));
            (was.map(Ruling::Form), Ruling::Form(form.clone()))
        }
        ActKind::Subject { text, was } => {
            let was = was.as_deref().map(subject::saying);
            (was, subject::saying(text))
        }
        ActKind::Moderate { id } => {
            let moderation = Moderation {
                id: id.clone(),
                ..Moderation::default()
            };
            let there = Moderated {
                id: id.clone(),
                moderation: None,
            };
            (Some(there.into()), Moderated::from(moderation).into())
        }
        ActKind::Avatar { avatar, was } => (was.clone().map(Ruling::Avatar), Ruling::Avatar(avatar.clone())),
        // What a registration makes of an entry depends on that; the rest are no rulings (`ActKind::is_ruling`).
        _ => return None,
    })
}

/// Whether everything that is asked for is so already.
///
/// # Errors
/// Something is neither so nor as it was: the source has changed it.
pub(super) fn is_so(room: &Room, was: Ruling, ruling: &Ruling) -> Result<bool, Error> {
    let mut is_so = true;
    for (was, now) in was.each().into_iter().zip(ruling.clone().each()) {
        let current = now.held(room);
        if current.is_same(&now) {
            continue;
        }
        is_so = false;
        if !current.is_same(&was) {
            return Err(refuse(
                Condition::Conflict,
                "The source has changed this meanwhile",
            ));
        }
        if takes_nick(room, &was, &now) {
            return Err(refuse(
                Condition::Conflict,
                "Somebody else has registered this nick meanwhile",
            ));
        }
    }
    Ok(is_so)
}
