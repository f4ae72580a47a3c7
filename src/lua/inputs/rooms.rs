//! A room of this service: made distributed or ordinary, complete, destroyed.

use mlua::UserDataMethods;

use super::super::Handle;
use super::super::convert::{bare, now};
use super::{Text, fitting_form};
use crate::engine::{Input, Order};

pub(super) fn add_methods<M: UserDataMethods<Handle>>(methods: &mut M) {
    add_orders(methods);
    // distribute(mono, wall, room, form_xml, salt, subject_nick, subject)
    methods.add_method(
        "distribute",
        |lua,
         this,
         (mono, wall, room, xml, salt, nick, subject): (
            f64,
            f64,
            String,
            Text,
            String,
            Option<Text>,
            Option<Text>,
        )| {
            let room = bare(&room)?;
            let (form, unfit) = fitting_form(&xml.0)?;
            let (nick, subject) = (nick.map(|nick| nick.0), subject.map(|subject| subject.0));
            let subject = nick.as_deref().zip(subject.as_deref());
            let input = Input::Distribute {
                room: &room,
                form,
                unfit,
                salt: &salt,
                subject,
            };
            this.input(lua, now(mono, wall), input)
        },
    );
    // unread(mono, wall, room or nil for the list of rooms, is_unread)
    methods.add_method(
        "unread",
        |lua, this, (mono, wall, room, is_unread): (f64, f64, Option<String>, bool)| {
            let room = room.map(|room| bare(&room)).transpose()?;
            let room = room.as_ref();
            this.input(lua, now(mono, wall), Input::Unread { room, is_unread })
        },
    );
    methods.add_method(
        "undistribute",
        |lua, this, (mono, wall, room, reason): (f64, f64, String, Option<Text>)| {
            let room = bare(&room)?;
            let input = Input::Undistribute {
                room: &room,
                reason: reason.as_ref().map(|reason| reason.0.as_str()),
            };
            this.input(lua, now(mono, wall), input)
        },
    );
    methods.add_method("let_go", |lua, this, (mono, wall, room): (f64, f64, String)| {
        let room = bare(&room)?;
        this.input(lua, now(mono, wall), Input::LetGo { room: &room })
    });
    // destroyed(mono, wall, room, reason, venue, password)
    methods.add_method(
        "destroyed",
        |lua,
         this,
         (mono, wall, room, reason, venue, password): (
            f64,
            f64,
            String,
            Option<Text>,
            Option<String>,
            Option<Text>,
        )| {
            let room = bare(&room)?;
            let venue = venue.and_then(|venue| bare(&venue).ok());
            let input = Input::Destroyed {
                room: &room,
                reason: reason.as_ref().map(|reason| reason.0.as_str()),
                venue: venue.as_ref(),
                password: password.as_ref().map(|password| password.0.as_str()),
            };
            this.input(lua, now(mono, wall), input)
        },
    );
}

fn add_orders<M: UserDataMethods<Handle>>(methods: &mut M) {
    // order(mono, wall, what, room, service): "sync" (one of the two), "replicate", "retract" (both), "forget" (a service),
    // "compare", "take_over", "force", "force_alone" (a room), "hand_over", "follow" (both)
    methods.add_method(
        "order",
        |lua, this, (mono, wall, what, room, service): (f64, f64, String, Option<String>, Option<String>)| {
            let room = room.map(|room| bare(&room)).transpose()?;
            let service = service.map(|service| bare(&service)).transpose()?;
            let order = match (what.as_str(), &room, &service) {
                ("sync", Some(room), None) => Order::SyncRoom(room),
                ("sync", None, Some(service)) => Order::SyncPeer(service),
                ("compare", Some(room), None) => Order::Compare(room),
                ("replicate", Some(room), Some(service)) => Order::Replicate { room, service },
                ("retract", Some(room), Some(service)) => Order::Retract { room, service },
                ("forget", None, Some(service)) => Order::Forget(service),
                ("take_over", Some(room), None) => Order::TakeOver(room),
                ("force", Some(room), None) => Order::Force { room, strikes: false },
                ("force_alone", Some(room), None) => Order::Force { room, strikes: true },
                ("hand_over", Some(room), Some(service)) => Order::HandOver { room, service },
                ("follow", Some(room), Some(service)) => Order::Follow { room, service },
                _ => return Err(mlua::Error::runtime(format!("no such order: {what:?}"))),
            };
            this.input(lua, now(mono, wall), Input::Order(order))
        },
    );
}
