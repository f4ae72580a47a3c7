//! What an administrator may see, as tables: the shim's shell commands show it.

use mlua::{IntoLua, Lua, Table, UserDataMethods, Value};

use super::Handle;
use super::convert::{bare, now};
use crate::address::BareJid;
use crate::engine::{
    Difference, InstanceOverview, LinkOverview, RefusalOverview, RoomOverview, VOTERS_FIELD,
};
use crate::error::Error;
use crate::wire::Form;
use crate::words;

pub(super) fn add_methods<M: UserDataMethods<Handle>>(methods: &mut M) {
    // overview(mono, wall, room): what there is to see of a distributed room, nil of any other
    methods.add_method("overview", |lua, this, (mono, wall, room): (f64, f64, String)| {
        let room = bare(&room)?;
        let seen = this.with(|engine| engine.room_overview(now(mono, wall), &room))?;
        seen.map(|seen| room_table(lua, &room.to_string(), &seen))
            .transpose()
    });
    // succession(room): who votes, what happens when its source dies, in words, and the services that could vote
    methods.add_method("succession", |_, this, room: String| {
        let room = bare(&room)?;
        let names = |jids: &[BareJid]| jids.iter().map(ToString::to_string).collect::<Vec<_>>();
        this.with(|engine| {
            let voters = engine.voters(&room);
            let eligible = engine.eligible_voters(&room);
            (names(voters), words::of_voters(voters), names(&eligible))
        })
    });
    // differences(mono, wall, room): what each other instance has of a room, nil of a room that is not distributed
    methods.add_method(
        "differences",
        |lua, this, (mono, wall, room): (f64, f64, String)| {
            let room = bare(&room)?;
            let found = this.with(|engine| engine.room_differences(now(mono, wall), &room))?;
            let table = |found: Vec<Difference>| {
                let tables = found.iter().map(|one| difference_table(lua, one));
                tables.collect::<mlua::Result<Vec<_>>>()
            };
            found.map(table).transpose()
        },
    );
    // voters_problem(room, services): why an owner cannot name these as voters, in words; or nil
    methods.add_method(
        "voters_problem",
        |_, this, (room, services): (String, Vec<String>)| {
            let room = bare(&room)?;
            let mut form = Form::default();
            form.set(VOTERS_FIELD, services);
            let checked = this.with(|engine| engine.check_voters(&room, &form))?;
            Ok(checked.err().map(|error| match error {
                Error::Refused(error) => error.text.unwrap_or_else(|| error.condition.as_str().to_owned()),
                other => other.to_string(),
            }))
        },
    );
    add_links(methods);
}

fn add_links<M: UserDataMethods<Handle>>(methods: &mut M) {
    // links(mono, wall, asked_ago): one table for each peer; with the seconds since they were asked something, also what there is
    // to say of each
    methods.add_method(
        "links",
        |lua, this, (mono, wall, asked_ago): (f64, f64, Option<f64>)| {
            let asked_ago_ms = asked_ago.map(|seconds| (seconds * 1_000.0) as u64);
            let (links, config) = this.with(|engine| {
                let links = engine.link_overviews(now(mono, wall));
                (links, engine.config().clone())
            })?;
            let tables = links.iter().map(|link| {
                let table = link_table(lua, link)?;
                if let Some(asked_ago_ms) = asked_ago_ms {
                    let found = words::of_link(&config, link, asked_ago_ms);
                    table.set("waits", link.waits(asked_ago_ms))?;
                    table.set("problems", found.problems)?;
                    table.set("notes", found.notes)?;
                }
                Ok(table)
            });
            tables.collect::<mlua::Result<Vec<_>>>()
        },
    );
    // totals(): what there is in all rooms together
    methods.add_method("totals", |lua, this, ()| {
        let totals = this.with(|engine| engine.totals())?;
        table(
            lua,
            [
                ("source", totals.sources.into_lua(lua)?),
                ("shadow", totals.shadows.into_lua(lua)?),
                ("pending", totals.pending.into_lua(lua)?),
                ("parked", totals.parked.into_lua(lua)?),
                ("here", totals.here.into_lua(lua)?),
                ("elsewhere", totals.elsewhere.into_lua(lua)?),
                ("messages", totals.messages.into_lua(lua)?),
                ("memory", totals.memory.into_lua(lua)?),
                ("offers", totals.offers.into_lua(lua)?),
                ("refused", totals.refused.into_lua(lua)?),
            ],
        )
    });
    // refusals(mono, wall): instances that peers would not have
    methods.add_method("refusals", |lua, this, (mono, wall): (f64, f64)| {
        let refusals = this.with(|engine| engine.refusal_overviews(now(mono, wall)))?;
        let tables = refusals.iter().map(|refusal| refusal_table(lua, refusal));
        tables.collect::<mlua::Result<Vec<_>>>()
    });
}

fn seconds(ms: Option<u64>) -> Option<f64> {
    ms.map(|ms| ms as f64 / 1_000.0)
}

fn table<const N: usize>(lua: &Lua, fields: [(&str, Value); N]) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    for (name, value) in fields {
        table.set(name, value)?;
    }
    Ok(table)
}

fn room_table(lua: &Lua, jid: &str, room: &RoomOverview) -> mlua::Result<Table> {
    let role = match (room.info.is_source, room.info.is_ready) {
        (true, _) => "source",
        (false, true) => "shadow",
        (false, false) => "pending",
    };
    let source = room.info.source.as_ref().map(ToString::to_string);
    let instances = room
        .instances
        .iter()
        .map(|instance| instance_table(lua, instance));
    let instances = instances.collect::<mlua::Result<Vec<_>>>()?;
    let retracted: Vec<String> = room.retracted.iter().map(ToString::to_string).collect();
    let unnamed: Vec<String> = room.unnamed.iter().map(ToString::to_string).collect();
    table(
        lua,
        [
            ("room", jid.into_lua(lua)?),
            ("role", role.into_lua(lua)?),
            ("id", room.info.id.as_str().into_lua(lua)?),
            ("source", source.into_lua(lua)?),
            ("title", room.title.as_str().into_lua(lua)?),
            ("term", room.term.into_lua(lua)?),
            ("settings_version", room.settings_version.into_lua(lua)?),
            ("occupants", room.occupants.into_lua(lua)?),
            ("messages", room.messages.into_lua(lua)?),
            ("offers", room.offers.into_lua(lua)?),
            ("succession", words::of_voters(&room.voters).into_lua(lua)?),
            (
                "voters",
                room.voters
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .into_lua(lua)?,
            ),
            ("instances", instances.into_lua(lua)?),
            ("unnamed", unnamed.into_lua(lua)?),
            ("retracted", retracted.into_lua(lua)?),
        ],
    )
}

fn instance_table(lua: &Lua, instance: &InstanceOverview) -> mlua::Result<Table> {
    let refused_for = instance.refused_for.map(|condition| condition.as_str());
    table(
        lua,
        [
            ("instance", instance.jid.as_str().into_lua(lua)?),
            ("is_source", instance.is_source.into_lua(lua)?),
            ("state", instance.state.as_str().into_lua(lua)?),
            ("link", instance.link.as_str().into_lua(lua)?),
            ("speaks", instance.speaks.as_str().into_lua(lua)?),
            ("occupants", instance.occupants.into_lua(lua)?),
            ("agreed_ago", seconds(instance.agreed_ago_ms).into_lua(lua)?),
            ("answered_ago", seconds(instance.answered_ago_ms).into_lua(lua)?),
            ("refused_for", refused_for.into_lua(lua)?),
        ],
    )
}

fn difference_table(lua: &Lua, one: &Difference) -> mlua::Result<Table> {
    table(
        lua,
        [
            ("instance", one.jid.as_str().into_lua(lua)?),
            ("state", one.state.as_str().into_lua(lua)?),
            ("said_ago", seconds(one.said_ago_ms).into_lua(lua)?),
            ("people", one.people.as_str().into_lua(lua)?),
            ("list", one.list.as_str().into_lua(lua)?),
            ("settings", one.settings.as_str().into_lua(lua)?),
            ("subject", one.subject.as_str().into_lua(lua)?),
            ("messages", one.messages.as_str().into_lua(lua)?),
        ],
    )
}

fn link_table(lua: &Lua, link: &LinkOverview) -> mlua::Result<Table> {
    let ahead = link.ahead_ms.map(|ms| ms as f64 / 1_000.0);
    table(
        lua,
        [
            ("peer", link.service.as_str().into_lua(lua)?),
            ("state", link.state.as_str().into_lua(lua)?),
            ("for_seconds", seconds(link.for_ms).into_lua(lua)?),
            ("cause", link.cause.map(|cause| cause.as_str()).into_lua(lua)?),
            ("cause_text", link.cause.and_then(words::of_cause).into_lua(lua)?),
            ("speaks", link.speaks.as_str().into_lua(lua)?),
            ("answered_ago", seconds(link.answered_ago_ms).into_lua(lua)?),
            ("next_in", seconds(link.next_in_ms).into_lua(lua)?),
            ("clock_ahead", ahead.into_lua(lua)?),
            ("takes_bytes", link.takes.into_lua(lua)?),
            ("rooms", link.rooms.into_lua(lua)?),
            ("behind", link.behind.into_lua(lua)?),
            ("endings", link.endings.into_lua(lua)?),
        ],
    )
}

fn refusal_table(lua: &Lua, refusal: &RefusalOverview) -> mlua::Result<Table> {
    table(
        lua,
        [
            ("room", refusal.room.as_str().into_lua(lua)?),
            ("peer", refusal.service.as_str().into_lua(lua)?),
            ("condition", refusal.condition.as_str().into_lua(lua)?),
            ("text", refusal.text.as_deref().into_lua(lua)?),
            ("next_in", seconds(refusal.next_in_ms).into_lua(lua)?),
        ],
    )
}
