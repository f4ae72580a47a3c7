//! One Lua method per [`Input`](crate::engine::Input), with its parts as arguments.

mod messages;
mod occupants;
mod peers;
mod requests;
mod rooms;
mod settings;

use mlua::{BorrowedStr, LuaString, UserDataMethods};

use super::Handle;
use crate::wire::Form;

pub(super) fn add_methods<M: UserDataMethods<Handle>>(methods: &mut M) {
    rooms::add_methods(methods);
    occupants::add_methods(methods);
    settings::add_methods(methods);
    messages::add_methods(methods);
    requests::add_methods(methods);
    peers::add_methods(methods);
}

fn str_of(text: &LuaString) -> mlua::Result<BorrowedStr> {
    text.to_str()
}

/// The form of a room as XML.
fn form(xml: &str) -> mlua::Result<Form> {
    Form::parse(xml).map_err(|error| mlua::Error::runtime(error.to_string()))
}
