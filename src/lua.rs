//! The Lua binding: the module `dmuc.so`.
//!
//! Translates and nothing else. Conventions: every call that takes time starts with two numbers, monotonic and wall
//! seconds; an input returns its verdict's name followed by the verdict's values, or `nil, type, condition, text` when
//! a peer's stanza is refused; a room the engine does not know gives `"continue"`. Lua is never called while the
//! engine is borrowed, so nested hooks may feed inputs.

mod action;
mod convert;
mod inputs;
mod overview;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use mlua::{Lua, MultiValue, Table, UserData, UserDataMethods, Value};
use parking_lot::Mutex;

use crate::config::{Config, advice};
use crate::engine::{Action, Engine, Held, Input, Now, Verdict};
use crate::error::Error;
use crate::snapshot::{ListPart, Snapshot};
use crate::wire::{EventStamp, limits};
use crate::words;
use convert::{bare, now, options, text};

/// One engine per MUC host; outlives `module:reload()`, so that reloading keeps rooms, rosters and logs.
static REGISTRY: Mutex<BTreeMap<String, Arc<Mutex<Guarded>>>> = Mutex::new(BTreeMap::new());

struct Guarded {
    engine: Engine,
    is_poisoned: bool,
}

/// The engine of one host as Lua sees it.
struct Handle(Arc<Mutex<Guarded>>);

impl Handle {
    /// Runs `work` on the engine. A panic poisons it: from then on every call fails until the host opens a new one.
    fn with<T>(&self, work: impl FnOnce(&mut Engine) -> T) -> mlua::Result<T> {
        let mut guarded = self.0.lock();
        if guarded.is_poisoned {
            return Err(mlua::Error::runtime(Error::Poisoned.to_string()));
        }
        match catch_unwind(AssertUnwindSafe(|| work(&mut guarded.engine))) {
            Ok(result) => Ok(result),
            Err(cause) => {
                guarded.is_poisoned = true;
                let cause = cause
                    .downcast_ref::<&str>()
                    .map(|text| (*text).to_owned())
                    .or_else(|| cause.downcast_ref::<String>().cloned())
                    .unwrap_or_default();
                Err(mlua::Error::runtime(format!("dmuc engine failed: {cause}")))
            }
        }
    }

    fn input(&self, lua: &Lua, now: Now, input: Input<'_>) -> mlua::Result<MultiValue> {
        let verdict = self.with(|engine| engine.handle_input(now, input))?;
        verdict_values(lua, verdict)
    }
}

fn verdict_values(lua: &Lua, verdict: Result<Verdict, Error>) -> mlua::Result<MultiValue> {
    let string = |text: &str| lua.create_string(text).map(Value::String);
    let optional = |text: &Option<String>| text.as_deref().map_or(Ok(Value::Nil), string);
    let values = match verdict {
        Ok(Verdict::Continue) | Err(Error::UnknownRoom) => vec![string("continue")?],
        Ok(Verdict::Done) => vec![string("done")?],
        Ok(Verdict::Hold) => vec![string("hold")?],
        Ok(Verdict::Accepted { id, event }) => {
            let mut values = vec![string("accepted")?, string(&id)?];
            values.extend(event_values(lua, event.as_ref())?);
            values
        }
        Ok(Verdict::Deliver { event, occupant_id }) => {
            let id = event.as_ref().map(|event| event.id.clone());
            let mut values = vec![string("deliver")?, optional(&id)?];
            values.extend(event_values(lua, event.as_ref())?);
            values.push(optional(&occupant_id)?);
            values
        }
        Ok(Verdict::Redirect { to, is_invited }) => vec![
            string("redirect")?,
            string(to.as_str())?,
            string(&words::of_redirect(&to))?,
            Value::Boolean(is_invited),
        ],
        Err(Error::Refused(error)) => {
            vec![
                Value::Nil,
                string(error.kind.as_str())?,
                string(error.condition.as_str())?,
                optional(&error.text)?,
            ]
        }
        Err(error @ Error::Poisoned) => return Err(mlua::Error::runtime(error.to_string())),
    };
    Ok(MultiValue::from_vec(values))
}

/// Incarnation, number and time of an event, `nil` without one.
fn event_values(lua: &Lua, event: Option<&EventStamp>) -> mlua::Result<[Value; 3]> {
    let Some(event) = event else {
        return Ok([Value::Nil, Value::Nil, Value::Nil]);
    };
    let string = |text: String| lua.create_string(text).map(Value::String);
    Ok([
        string(event.incarnation.to_string())?,
        string(event.seq.to_string())?,
        string(event.at.to_string())?,
    ])
}

impl UserData for Handle {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        inputs::add_methods(methods);
        methods.add_method("poll_action", |lua, this, ()| {
            let polled = this.with(|engine| {
                let action = engine.poll_action()?;
                let line = match &action {
                    Action::Notice { room, peer, notice } => {
                        Some(words::of_notice(engine, room, peer, notice))
                    }
                    _ => None,
                };
                Some((action, line))
            })?;
            match polled {
                Some((action, line)) => action::to_table(lua, action, line).map(Value::Table),
                None => Ok(Value::Nil),
            }
        });
        methods.add_method("is_poisoned", |_, this, ()| Ok(this.0.lock().is_poisoned));
        methods.add_method("poll_timeout", |_, this, ()| {
            this.with(|engine| engine.poll_timeout().map(|at| at as f64 / 1_000.0))
        });
        methods.add_method("timeout", |_, this, (mono, wall): (f64, f64)| {
            this.with(|engine| engine.handle_timeout(now(mono, wall)))
        });
        // check(options): nothing, or the one line that an administrator should see; nothing changes
        methods.add_method("check", |lua, this, given: Table| {
            let service = this.with(|engine| engine.config().service.clone())?;
            match Config::from_options(service, &options(&given)?) {
                Ok(_) => Ok(Value::Nil),
                Err(error) => text(lua, &error.to_string()),
            }
        });
        methods.add_method(
            "configure",
            |lua, this, (mono, wall, given): (f64, f64, Table)| {
                let service = this.with(|engine| engine.config().service.clone())?;
                match Config::from_options(service, &options(&given)?) {
                    Ok(config) => {
                        this.with(|engine| engine.set_config(now(mono, wall), config))?;
                        Ok((Value::Boolean(true), Value::Nil))
                    }
                    Err(error) => Ok((Value::Nil, text(lua, &error.to_string())?)),
                }
            },
        );
        add_stored(methods);
        add_queries(methods);
        overview::add_methods(methods);
    }
}

/// What is stored, out of the engine and into it.
fn add_stored<M: UserDataMethods<Handle>>(methods: &mut M) {
    // restore(mono, wall, snapshot, list): list is what is stored of a list beside the room, nil if it is in the snapshot
    methods.add_method(
        "restore",
        |lua, this, (mono, wall, xml, list): (f64, f64, String, Option<String>)| {
            let parsed = match list {
                Some(list) => Snapshot::parse_in_parts(&xml, &list),
                None => Snapshot::parse(&xml),
            };
            let restored = match parsed {
                Ok(snapshot) => this.with(|engine| engine.restore(now(mono, wall), &snapshot))?,
                Err(error) => Err(error),
            };
            match restored {
                Ok(()) => Ok((Value::Boolean(true), Value::Nil)),
                Err(error) => Ok((Value::Nil, text(lua, &error.to_string())?)),
            }
        },
    );
    methods.add_method("snapshot", |_, this, room: String| {
        let room = bare(&room)?;
        this.with(|engine| engine.snapshot(&room).map(|snapshot| snapshot.to_xml()))
    });
    // snapshot_in_parts(room, has_none, most_within): the snapshot; "within", "whole", "changes" or "unchanged"; the list
    methods.add_method(
        "snapshot_in_parts",
        |_, this, (room, has_none, most_within): (String, bool, usize)| {
            let room = bare(&room)?;
            let parts = this.with(|engine| engine.snapshot_in_parts(&room, has_none, most_within))?;
            Ok(parts.map_or((None, None, None), |(snapshot, list)| {
                let (kind, list) = match list {
                    ListPart::Within => ("within", None),
                    ListPart::Whole(list) => ("whole", Some(list)),
                    ListPart::Changes(list) => ("changes", Some(list)),
                    ListPart::Unchanged => ("unchanged", None),
                };
                (Some(snapshot.to_xml()), Some(kind), list)
            }))
        },
    );
}

#[allow(clippy::too_many_lines)] // a table: one method after the other
fn add_queries<M: UserDataMethods<Handle>>(methods: &mut M) {
    // Role of a room: nil (not distributed), "source", "shadow", or "pending" (configuration not here yet);
    // then the source's JID and the room id.
    methods.add_method("room", |_, this, room: String| {
        // Asked of every stanza: what is no address here is no distributed room.
        let room = bare(&room).ok();
        let info = this.with(|engine| room.and_then(|room| engine.room_info(&room)))?;
        Ok(info.map_or((None, None, None), |info| {
            let role = match (info.is_source, info.is_ready) {
                (true, _) => "source",
                (false, true) => "shadow",
                (false, false) => "pending",
            };
            (
                Some(role),
                info.source.map(|source| source.to_string()),
                Some(info.id),
            )
        }))
    });
    methods.add_method("rooms", |_, this, ()| {
        this.with(|engine| engine.rooms().map(ToString::to_string).collect::<Vec<_>>())
    });
    methods.add_method("is_instance", |_, this, (room, instance): (String, String)| {
        let jids = bare(&room).ok().zip(bare(&instance).ok());
        this.with(|engine| jids.is_some_and(|(room, instance)| engine.is_instance(&room, &instance)))
    });
    methods.add_method("instance_here", |_, this, instance: String| {
        let jid = bare(&instance).ok();
        this.with(|engine| {
            let room = jid.and_then(|instance| engine.instance_here(&instance).cloned());
            room.map(|room| room.to_string())
        })
    });
    methods.add_method("addresses", |_, this, room: String| {
        let room = bare(&room)?;
        this.with(|engine| {
            let addresses = engine.addresses(&room);
            addresses.iter().map(ToString::to_string).collect::<Vec<_>>()
        })
    });
    methods.add_method("instances", |_, this, room: String| {
        let room = bare(&room)?;
        this.with(|engine| {
            engine
                .active_instances(&room)
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        })
    });
    // behind(): instances of which something may be missing here, each as { room, instance }
    methods.add_method("behind", |lua, this, ()| {
        let behind = this.with(|engine| {
            let pairs = engine.behind();
            let pairs = pairs.map(|(room, instance)| (room.to_string(), instance.to_string()));
            pairs.collect::<Vec<_>>()
        })?;
        let tables = behind.into_iter().map(|(room, instance)| {
            let table = lua.create_table()?;
            table.set("room", room)?;
            table.set("instance", instance)?;
            Ok(table)
        });
        tables.collect::<mlua::Result<Vec<_>>>()
    });
    // parked(): what waits for a service to be named, each as { kind, room, peer, source, reason }
    methods.add_method("parked", |lua, this, ()| {
        let parked = this.with(|engine| engine.parked())?;
        let tables = parked
            .iter()
            .map(|parked| action::parked_table(lua, "parked", parked));
        tables.collect::<mlua::Result<Vec<_>>>()
    });
    // parked_lines(): what an administrator reads of them, one line for each service
    methods.add_method("parked_lines", |_, this, ()| {
        this.with(|engine| words::of_all_parked(engine))
    });
    // parked_room(room): the same of a shadow here, nil if it is not parked
    methods.add_method("parked_room", |lua, this, room: String| {
        // Asked of every stanza: what is no address here is no parked room.
        let room = bare(&room).ok();
        let parked = this.with(|engine| room.and_then(|room| engine.parked_room(&room)))?;
        parked
            .map(|parked| action::parked_table(lua, "parked", &parked))
            .transpose()
    });
    methods.add_method("is_peer", |_, this, service: String| {
        let service = bare(&service).ok();
        this.with(|engine| service.is_some_and(|service| engine.config().peers.contains_key(&service)))
    });
    // link_timeout(): seconds
    methods.add_method("link_timeout", |_, this, ()| {
        this.with(|engine| engine.config().link_timeout_ms as f64 / 1000.0)
    });
    methods.add_method("is_log_whole", |_, this, room: String| {
        let room = bare(&room)?;
        this.with(|engine| engine.is_log_whole(&room))
    });
    methods.add_method("has_unread", |_, this, ()| {
        this.with(|engine| engine.has_unread())
    });
    // unread_rooms(): the rooms that cannot be read yet, and whether it is not even known which rooms there are
    methods.add_method("unread_rooms", |_, this, ()| {
        this.with(|engine| {
            let rooms: Vec<String> = engine.unread_rooms().map(ToString::to_string).collect();
            (rooms, engine.is_list_unread())
        })
    });
    methods.add_method("shadow_room", |_, this, id: String| {
        let id = crate::wire::RoomId::new(&id).ok();
        this.with(|engine| id.map(|id| id.at(&engine.config().service).to_string()))
    });
    // "unknown", "up", "suspect", "down" or "syncing"
    methods.add_method("link", |_, this, service: String| {
        let service = bare(&service)?;
        this.with(|engine| engine.link_state(&service).as_str())
    });
    // message(room, stanza_id): one that is in the stored log only has is_away, and not what it says
    methods.add_method("message", |lua, this, (room, id): (String, String)| {
        let room = bare(&room)?;
        let entries = this.with(|engine| {
            let moderated = engine.moderation(&room, &id).cloned();
            let found = engine.held(&room, &id).map(action::Found::from);
            found.zip(Some(moderated))
        })?;
        entries
            .map(|(entry, moderated)| action::found_table(lua, &entry, moderated.as_ref()))
            .transpose()
    });
    // is_moderated(room, stanza_id): whether the source has taken this message away
    methods.add_method("is_moderated", |_, this, (room, id): (String, String)| {
        let room = bare(&room)?;
        this.with(|engine| engine.moderation(&room, &id).is_some())
    });
    // newest(room, wall, skip, max, since): what the history shows at this time, newest first; times in seconds, since may be
    // absent
    methods.add_method(
        "newest",
        |lua, this, (room, wall, skip, max, since): (String, f64, usize, usize, Option<f64>)| {
            let (room, now) = (bare(&room)?, now(0.0, wall));
            let since_ms = since.map_or(0, |seconds| (seconds.max(0.0) * 1_000.0) as u64);
            let entries = this.with(|engine| {
                let is_late = |held: &Held<'_>| held.key().at.wall_ms >= since_ms;
                let newest = engine
                    .history(now, &room)
                    .rev()
                    .take_while(is_late)
                    .skip(skip)
                    .take(max);
                newest.map(action::Found::from).collect::<Vec<_>>()
            })?;
            entries
                .iter()
                .map(|entry| action::found_table(lua, entry, None))
                .collect::<mlua::Result<Vec<_>>>()
        },
    );
    // affiliations(room): the list in force, each entry as { jid, affiliation, nick }
    methods.add_method("affiliations", |lua, this, room: String| {
        let room = bare(&room)?;
        let list = this.with(|engine| {
            let list = engine.affiliations(&room).into_iter();
            list.map(|(user, entry)| (user.to_string(), entry))
                .collect::<Vec<_>>()
        })?;
        list.into_iter()
            .map(|(user, entry)| {
                let table = lua.create_table()?;
                table.set("jid", user)?;
                table.set("affiliation", entry.affiliation.as_str())?;
                table.set("nick", entry.nick)?;
                Ok(table)
            })
            .collect::<mlua::Result<Vec<_>>>()
    });
    // is_vouched_for(room, home, nick): whether the client that home shows counts as the person who has the nick
    methods.add_method(
        "is_vouched_for",
        |_, this, (room, home, nick): (String, String, String)| {
            let jids = bare(&room).ok().zip(bare(&home).ok());
            this.with(|engine| jids.is_some_and(|(room, home)| engine.is_vouched_for(&room, &home, &nick)))
        },
    );
    // hats_of(room, jid): what the source has given, as XML; empty for none
    methods.add_method("hats_of", |_, this, (room, jid): (String, String)| {
        let (room, jid) = (bare(&room)?, bare(&jid).ok());
        this.with(|engine| jid.map_or_else(String::new, |jid| engine.hats_of(&room, &jid).to_xml()))
    });
    // claimed_affiliation(room, home, nick): what the home of an occupant says of it, or nil
    methods.add_method(
        "claimed_affiliation",
        |_, this, (room, home, nick): (String, String, String)| {
            let jids = bare(&room).ok().zip(bare(&home).ok());
            this.with(|engine| {
                let claimed = jids.and_then(|(room, home)| engine.claimed_affiliation(&room, &home, &nick));
                claimed.map(|affiliation| affiliation.as_str())
            })
        },
    );
    // first_home(room, nick): the instance whose client is shown of an occupant with clients at several
    methods.add_method("first_home", |_, this, (room, nick): (String, String)| {
        let room = bare(&room)?;
        this.with(|engine| engine.first_home(&room, &nick).map(ToString::to_string))
    });
    methods.add_method("local_nicks", |_, this, room: String| {
        let room = bare(&room)?;
        this.with(|engine| {
            engine
                .local_nicks(&room)
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
    });
    methods.add_method("remote_occupants", |lua, this, room: String| {
        let room = bare(&room)?;
        let shown = this.with(|engine| engine.remote_occupants(&room))?;
        shown
            .into_iter()
            .map(|occupant| action::occupant_table(lua, occupant))
            .collect::<mlua::Result<Vec<_>>>()
    });
}

/// `open(host, options, seed)`: the engine of `host`, made anew unless one is alive. Returns it and whether it is
/// new, or `nil` and the one line an administrator should see.
fn open(lua: &Lua, (host, given, seed): (String, Table, mlua::LuaString)) -> mlua::Result<(Value, Value)> {
    let service = bare(&host)?;
    let config = match Config::from_options(service, &options(&given)?) {
        Ok(config) => config,
        Err(error) => return Ok((Value::Nil, text(lua, &error.to_string())?)),
    };
    let Ok(seed) = <[u8; 32]>::try_from(&*seed.as_bytes()) else {
        return Ok((Value::Nil, text(lua, "the seed must be 32 bytes")?));
    };
    let mut registry = REGISTRY.lock();
    let alive = registry
        .get(&host)
        .filter(|guarded| !guarded.lock().is_poisoned)
        .cloned();
    let is_new = alive.is_none();
    let guarded = alive.unwrap_or_else(|| {
        let guarded = Guarded {
            engine: Engine::new(config, seed),
            is_poisoned: false,
        };
        let guarded = Arc::new(Mutex::new(guarded));
        registry.insert(host, guarded.clone());
        guarded
    });
    Ok((
        Value::UserData(lua.create_userdata(Handle(guarded))?),
        Value::Boolean(is_new),
    ))
}

/// `check(host, options)`: true, or `nil` and the one line that names the first wrong option.
fn check(lua: &Lua, (host, given): (String, Table)) -> mlua::Result<(Value, Value)> {
    match Config::from_options(bare(&host)?, &options(&given)?) {
        Ok(_) => Ok((Value::Boolean(true), Value::Nil)),
        Err(error) => Ok((Value::Nil, text(lua, &error.to_string())?)),
    }
}

/// `advice(options, configured, host)`: lines about what is configured and will hardly do what was meant; `configured` are the
/// names of all options, `host` those of this module that are not among `option_names`.
fn give_advice(
    _: &Lua,
    (given, configured, host): (Table, Vec<String>, Vec<String>),
) -> mlua::Result<Vec<String>> {
    let host: Vec<&str> = host.iter().map(String::as_str).collect();
    let mut lines = advice::misspelt(configured.iter().map(String::as_str), &host);
    lines.extend(advice::contradictions(&options(&given)?));
    Ok(lines)
}

/// Which build this is, as `build.lib.lua` finds it in the file.
#[used]
static MARK: &str = concat!("dmuc-build:", env!("DMUC_BUILD"), ";");

/// `close(host)`: forgets the engine of a host that is gone for good.
fn close(_: &Lua, host: String) -> mlua::Result<()> {
    REGISTRY.lock().remove(&host);
    Ok(())
}

// Prosody sets no limit on Lua's memory; guarding every string against one doubles the price of an action.
#[mlua::lua_module(name = "dmuc", skip_memory_check)]
fn module(lua: &Lua) -> mlua::Result<Table> {
    let module = lua.create_table()?;
    module.set("version", env!("CARGO_PKG_VERSION"))?;
    let identity = MARK.trim_start_matches("dmuc-build:").trim_end_matches(';');
    module.set("identity", identity)?;
    module.set("check", lua.create_function(check)?)?;
    // closed_for_now(why): the line in a room in which nobody can speak
    let closed_for_now = |_: &Lua, why: String| Ok(words::closed_for_now(&why));
    module.set("closed_for_now", lua.create_function(closed_for_now)?)?;
    // is_worth_keeping({ name, xmlns, name, xmlns … }): whether a message with these children belongs into the log, where nobody
    // else has an opinion
    let is_worth_keeping = |_: &Lua, children: Vec<String>| {
        let pairs = children.chunks_exact(2);
        Ok(crate::inbound::is_worth_keeping(pairs.filter_map(|pair| {
            Some((pair.first()?.as_str(), pair.last()?.as_str()))
        })))
    };
    module.set("is_worth_keeping", lua.create_function(is_worth_keeping)?)?;
    // option_names: those of the options that check() and open() read
    module.set("option_names", advice::NAMES.to_vec())?;
    module.set("default_max_stanza_size", crate::config::MAX_STANZA_SIZE)?;
    module.set("advice", lua.create_function(give_advice)?)?;
    module.set("open", lua.create_function(open)?)?;
    module.set("close", lua.create_function(close)?)?;
    // What the shim refuses to its users, because no instance would take it from another.
    let limits = lua.create_table()?;
    limits.set("text", limits::MAX_TEXT_BYTES)?;
    limits.set("hats", limits::MAX_HATS)?;
    limits.set("hat", limits::MAX_HAT_BYTES)?;
    limits.set("hat_payload", limits::MAX_HAT_PAYLOAD_BYTES)?;
    limits.set("hat_depth", limits::MAX_HAT_DEPTH)?;
    limits.set("lang", limits::MAX_LANG_BYTES)?;
    limits.set("form_value", limits::MAX_FORM_VALUE_BYTES)?;
    module.set("limits", limits)?;
    Ok(module)
}
