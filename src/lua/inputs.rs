//! One Lua method per [`Input`](crate::engine::Input), with its parts as arguments.

mod messages;
mod occupants;
mod peers;
mod requests;
mod rooms;
mod settings;

use std::ops::Deref;

use mlua::{BorrowedStr, FromLua, Lua, LuaString, UserDataMethods, Value};

use super::Handle;
use crate::wire::{Avatar, Form, Picture, Unfit, fitting_char};

pub(super) fn add_methods<M: UserDataMethods<Handle>>(methods: &mut M) {
    rooms::add_methods(methods);
    occupants::add_methods(methods);
    settings::add_methods(methods);
    messages::add_methods(methods);
    requests::add_methods(methods);
    peers::add_methods(methods);
}

/// A text as the host has it, or XML that it has put together: what is no UTF-8 or no character of XML is U+FFFD, since
/// modules may cut a name in the middle of a character, and that must not cost what stands beside it.
struct Text(String);

impl FromLua for Text {
    fn from_lua(value: Value, lua: &Lua) -> mlua::Result<Text> {
        let text = LuaString::from_lua(value, lua)?;
        Ok(Text(str_of(&text).as_ref().to_owned()))
    }
}

/// As it is in nearly every case, or as [`Text`].
enum Sound {
    Given(BorrowedStr),
    Fitting(String),
}

impl AsRef<str> for Sound {
    fn as_ref(&self) -> &str {
        match self {
            Sound::Given(text) => text,
            Sound::Fitting(text) => text,
        }
    }
}

impl Deref for Sound {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_ref()
    }
}

fn str_of(text: &LuaString) -> Sound {
    let is_sound = |text: &BorrowedStr| text.chars().all(|c| fitting_char(c) == c);
    match text.to_str() {
        Ok(text) if is_sound(&text) => Sound::Given(text),
        _ => Sound::Fitting(text.to_string_lossy().chars().map(fitting_char).collect()),
    }
}

/// Which avatar a vCard is; an empty text is none.
fn avatar_of(vcard: &str) -> mlua::Result<Option<Avatar>> {
    let picture = match vcard {
        "" => Ok(None),
        xml => Picture::parse(xml),
    };
    let picture = picture.map_err(|error| mlua::Error::runtime(error.to_string()))?;
    Ok(picture.map(|picture| picture.avatar))
}

/// The form of a room as XML, as far as other instances take it, and what is not of it.
fn fitting_form(xml: &str) -> mlua::Result<(Form, Unfit)> {
    Form::parse_fitting(xml).map_err(|error| mlua::Error::runtime(error.to_string()))
}
