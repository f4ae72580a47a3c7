//! What the source decides (G7), as one table: for each kind of [`Ruling`] what is held of it, how it is held, when two are
//! the same, what follows when somebody here decides it, how the host is shown it, how the source is asked for it, and how
//! it is stored ([`Stored`]). A kind that lacks one of these does not compile.
//!
//! What becomes of a change at a shadow that cannot reach its source is the same for all, and in [`offers`].

mod asked;
mod avatar;
mod form;
mod hats;
mod list;
mod moderation;
mod offers;
mod subject;

use super::input::Ruled;
use super::state::clock::Now;
use super::state::room::Room;
use super::state::waiting::{Matter, Offer};
use super::{Engine, Verdict};
use crate::address::BareJid;
use crate::error::Error;
use crate::snapshot::Stored;
use crate::wire::{ActKind, Ruling};
use asked::Asker;
pub(super) use offers::Actor;

/// What the engine does with one kind of ruling.
trait Kind: Stored + Clone + PartialEq {
    /// What it is about. `None`: it is about several things, each of which is decided for itself ([`Ruling::each`]).
    fn matter(&self) -> Option<Matter>;

    /// What is in force in `room` of what it is about.
    fn held(&self, room: &Room) -> Self;

    /// Puts it into force in `room`.
    fn hold(&self, room: &mut Room);

    /// Whether two rulings about the same come to the same.
    fn is_same(&self, other: &Self) -> bool {
        self == other
    }

    /// Somebody here has decided so. The source tells the other instances; a shadow holds it until it can ask the source.
    ///
    /// # Errors
    /// Why it is refused; nothing changed then.
    fn rule(self, engine: &mut Engine, now: Now, room: &BareJid, by: By<'_>) -> Result<Verdict, Error>;

    /// The host shows it: the source has decided so, and it is in force.
    fn show(&self, engine: &mut Engine, room: &BareJid);

    /// Whether there is a rule against it, at the source, that is not one of XEP-0045: what somebody is entitled to is for the
    /// host to say.
    fn check(&self, engine: &Engine, room: &Room, asker: Asker<'_>) -> Result<(), Error>;

    /// The source is asked for it. `true`: the engine has decided, and shows it. `false`: the host decides, and tells.
    fn take(&self, engine: &mut Engine, now: Now, room: &BareJid, asker: Asker<'_>) -> Result<bool, Error>;

    /// The act that asks the source for what `offer` has made of it, and the reason given. `None`: that is decided at the source
    /// only.
    fn as_act(&self, offer: &Offer) -> Option<(ActKind, Option<String>)>;
}

/// A type with a variant of [`Ruling`].
pub(crate) trait Variant: Into<Ruling> {
    /// The ruling, if it is one of these.
    fn of(ruling: &Ruling) -> Option<&Self>;
}

/// Does something with the list of all kinds: the type and its variant.
macro_rules! with_kinds {
    ($does:ident) => {
        $does! {
            $crate::wire::Listing => Listed,
            Option<$crate::wire::Subject> => Subject,
            $crate::wire::Form => Form,
            $crate::wire::Moderated => Moderated,
            $crate::wire::Hatted => Hats,
            Option<$crate::wire::Avatar> => Avatar,
        }
    };
}
pub(crate) use with_kinds;

macro_rules! variants {
    ($($kind:ty => $variant:ident),+ $(,)?) => {
        $(
            impl From<$kind> for Ruling {
                fn from(kind: $kind) -> Ruling {
                    Ruling::$variant(kind)
                }
            }

            impl Variant for $kind {
                fn of(ruling: &Ruling) -> Option<&$kind> {
                    match ruling {
                        Ruling::$variant(kind) => Some(kind),
                        _ => None,
                    }
                }
            }
        )+
    };
}
with_kinds!(variants);

/// Does the same with a ruling of any kind.
macro_rules! each_kind {
    ($ruling:expr, $kind:ident => $does:expr) => {
        match $ruling {
            $crate::wire::Ruling::Listed($kind) => $does,
            $crate::wire::Ruling::Subject($kind) => $does,
            $crate::wire::Ruling::Form($kind) => $does,
            $crate::wire::Ruling::Moderated($kind) => $does,
            $crate::wire::Ruling::Hats($kind) => $does,
            $crate::wire::Ruling::Avatar($kind) => $does,
        }
    };
}
pub(crate) use each_kind;

/// By whom something is decided, and why.
#[derive(Debug, Clone, Copy)]
struct By<'a> {
    actor: Actor<'a>,
    reason: Option<&'a str>,
}

impl Engine {
    /// Somebody entitled here has decided something.
    pub(super) fn ruled(&mut self, now: Now, ruled: Ruled<'_>) -> Result<Verdict, Error> {
        let by = By {
            actor: Actor {
                nick: ruled.actor_nick,
                jid: ruled.actor_jid,
                invites: ruled.is_invited,
            },
            reason: ruled.reason,
        };
        if ruled.unfit.text().is_some() {
            self.tell_unfit_here(ruled.room, &ruled.unfit);
        }
        let decided = self.to_remember(ruled.room, &ruled.ruling, by.actor);
        let verdict = each_kind!(ruled.ruling, kind => kind.rule(self, now, ruled.room, by))?;
        self.remember(ruled.room, decided);
        Ok(verdict)
    }

    /// The source decides what was provisional at a shadow before.
    pub(super) fn rule_again(
        &mut self,
        now: Now,
        room: &BareJid,
        ruling: Ruling,
        actor: Actor<'_>,
    ) -> Result<(), Error> {
        let by = By { actor, reason: None };
        let ruling = ruling.whole(self.rooms.get(room));
        let decided = self.to_remember(room, &ruling, actor);
        each_kind!(ruling, kind => kind.rule(self, now, room, by))?;
        self.remember(room, decided);
        Ok(())
    }
}

/// The table, for a ruling whose kind is not known before ([`Kind`] says what each is).
impl Ruling {
    pub(crate) fn matter(&self) -> Option<Matter> {
        each_kind!(self, kind => kind.matter())
    }

    pub(super) fn held(&self, room: &Room) -> Ruling {
        each_kind!(self, kind => kind.held(room).into())
    }

    pub(super) fn hold(&self, room: &mut Room) {
        each_kind!(self, kind => kind.hold(room));
    }

    /// Rulings about something else are never the same.
    pub(super) fn is_same(&self, other: &Ruling) -> bool {
        each_kind!(self, kind => Variant::of(other).is_some_and(|other| kind.is_same(other)))
    }

    fn show(&self, engine: &mut Engine, room: &BareJid) {
        each_kind!(self, kind => kind.show(engine, room));
    }

    fn as_act(&self, offer: &Offer) -> Option<(ActKind, Option<String>)> {
        each_kind!(self, kind => kind.as_act(offer))
    }

    /// One ruling for each thing that it decides: fields of the configuration come together.
    fn each(self) -> Vec<Ruling> {
        match self {
            Ruling::Form(form) => form::each(form).map(Ruling::Form).collect(),
            other => vec![other],
        }
    }
}

#[cfg(test)]
mod tests;
