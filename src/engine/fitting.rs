//! What does not fit the wire's types: of what the host holds it is cut or left out on its way in, of what a peer tells
//! it is passed over. Either costs what it is about and nothing else, and administrators are told once.

use crate::address::BareJid;

use super::action::Notice;
use super::state::room::Room;
use super::{Action, Engine};
use crate::wire::{self, Listed, Unfit};

/// How many different things are remembered as told, of one room; when there are more, they are told anew (G13).
const MAX_TOLD: usize = 32;

impl Room {
    /// Whether this is said for the first time.
    fn is_news(&mut self, service: &BareJid, what: &str) -> bool {
        if self.told_unfit.len() >= MAX_TOLD {
            self.told_unfit.clear();
        }
        self.told_unfit.insert((service.clone(), what.to_owned()))
    }
}

impl Engine {
    /// Something of `service` was cut or left out in this room: of our own host, or of a peer.
    pub(super) fn tell_unfit(&mut self, jid: &BareJid, service: &BareJid, unfit: &Unfit) {
        let (Some(room), Some(what)) = (self.rooms.get_mut(jid), unfit.text()) else {
            return;
        };
        if room.is_news(service, &what) {
            self.actions.push_back(Action::Notice {
                room: jid.clone(),
                peer: service.clone(),
                notice: Notice::Unfit { what },
            });
        }
    }

    /// Something of our own host did not fit.
    pub(super) fn tell_unfit_here(&mut self, jid: &BareJid, unfit: &Unfit) {
        let service = self.config.service.clone();
        self.tell_unfit(jid, &service, unfit);
    }

    /// An entry of the list as all instances take it. No nick and an empty one are the same: none is reserved (XEP-0045
    /// section 9.3).
    pub(super) fn fit_listed(&mut self, jid: &BareJid, user: &BareJid, entry: Listed) -> Listed {
        let nick = entry.nick.filter(|nick| !nick.is_empty());
        let fitting = nick.as_deref().and_then(wire::fitting_nick);
        if nick.is_some() && fitting.is_none() {
            let mut unfit = Unfit::default();
            unfit.note(format!(
                "the nick that is reserved for {user} is none that other instances take"
            ));
            self.tell_unfit_here(jid, &unfit);
        }
        Listed {
            nick: fitting,
            ..entry
        }
    }

    /// A text of the host's as all instances take it.
    pub(super) fn fit_text(&mut self, jid: &BareJid, what: &str, text: &str) -> String {
        let fitting = wire::fitting_text(text);
        if fitting.len() < text.len() {
            let mut unfit = Unfit::default();
            unfit.note(format!("{what} is longer than other instances take"));
            self.tell_unfit_here(jid, &unfit);
        }
        fitting
    }
}
