//! Lua values to typed ones and back.

use std::collections::BTreeMap;

use crate::address::{BareJid, FullJid, Jid};
use mlua::{Lua, Table, Value};

use crate::config::{OptionValue, Options};
use crate::engine::Now;
use crate::wire::{Affiliation, Role};

/// Seconds, as Prosody's `util.time` gives them, to the engine's milliseconds.
pub(super) fn now(mono: f64, wall: f64) -> Now {
    let ms = |seconds: f64| (seconds.max(0.0) * 1_000.0) as u64;
    Now {
        mono_ms: ms(mono),
        wall_ms: ms(wall),
    }
}

fn no_jid(text: &str) -> mlua::Error {
    mlua::Error::runtime(format!("not a JID: {text:?}"))
}

pub(super) fn bare(text: &str) -> mlua::Result<BareJid> {
    BareJid::new(text).map_err(|_| no_jid(text))
}

pub(super) fn full(text: &str) -> mlua::Result<FullJid> {
    FullJid::new(text).map_err(|_| no_jid(text))
}

pub(super) fn any(text: &str) -> mlua::Result<Jid> {
    Jid::new(text).map_err(|_| no_jid(text))
}

/// Absent and unknown both mean none, as in XEP-0045.
pub(super) fn affiliation(text: Option<&str>) -> Affiliation {
    text.and_then(|text| text.parse().ok())
        .unwrap_or(Affiliation::None)
}

/// Absent and unknown both mean none.
pub(super) fn role(text: Option<&str>) -> Role {
    text.and_then(|text| text.parse().ok()).unwrap_or(Role::None)
}

pub(super) fn text(lua: &Lua, text: &str) -> mlua::Result<Value> {
    lua.create_string(text).map(Value::String)
}

pub(super) fn options(given: &Table) -> mlua::Result<Options> {
    let mut options = Options::new();
    for pair in given.pairs::<String, Value>() {
        let (name, value) = pair?;
        options.insert(name, option_value(&value)?);
    }
    Ok(options)
}

fn option_value(value: &Value) -> mlua::Result<OptionValue> {
    Ok(match value {
        Value::Boolean(value) => OptionValue::Bool(*value),
        Value::Integer(value) => OptionValue::Number(*value as f64),
        Value::Number(value) => OptionValue::Number(*value),
        Value::String(value) => OptionValue::Text(value.to_string_lossy()),
        Value::Table(table) => {
            let mut list = Vec::new();
            let mut map = BTreeMap::new();
            for pair in table.pairs::<Value, Value>() {
                let (key, value) = pair?;
                match key {
                    Value::String(key) => {
                        map.insert(key.to_string_lossy(), option_value(&value)?);
                    }
                    _ => list.push(option_value(&value)?),
                }
            }
            if map.is_empty() {
                OptionValue::List(list)
            } else {
                // A mixture: what is listed counts as a key with the defaults, unless it is one already.
                for value in list {
                    if let OptionValue::Text(key) = value {
                        map.entry(key).or_insert(OptionValue::Bool(true));
                    }
                }
                OptionValue::Map(map)
            }
        }
        other => OptionValue::Text(format!("<{}>", other.type_name())),
    })
}
