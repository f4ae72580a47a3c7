//! Modules, ad-hoc commands and the shell call methods of the room object at a shadow: the source is asked in the name of
//! the one they call it for, and everything else is refused in words and changes nothing.

use anyhow::{Result, ensure};
use dmuc_testbed::{Federation, Storage, Version, on_every_version};

use crate::stage::{company, quiet, raise};
use crate::support::eventually;

const WITCH: usize = 1;

/// Runs a chunk with `room` on a server's instance of the coven.
async fn with_room(fed: &Federation, server: usize, chunk: &str) -> Result<String> {
    let (muc, room) = (fed[server].muc(), fed[server].room("coven"));
    let chunk = format!(
        "local room = prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{room}'); \
         local function run() {chunk} end return tostring((run()))"
    );
    Ok(fed[server]
        .eval(&chunk)
        .await?
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

/// Everything that a room stores about itself, as text in an order of its own.
const STORED: &str = "local function text(value) \
     if type(value) ~= 'table' then return tostring(value); end \
     local parts = {}; \
     for k, v in pairs(value) do parts[#parts + 1] = tostring(k)..'='..text(v); end \
     table.sort(parts); return '{'..table.concat(parts, ';')..'}'; end \
     return text((room:freeze()));";

/// Calls every method that sets something, and returns those that were not refused in words.
const SET_ALL: &str = "local values = { set_whois = 'anyone'; set_historylength = 3; set_language = 'tlh'; \
         set_name = 'x'; set_description = 'x'; set_password = 'x'; set_allow_pm = 'moderators'; \
         set_allow_modpm = not room._data.allow_modpm; set_presence_broadcast = { visitor = false }; }; \
     local taken = {}; \
     for name, method in pairs(getmetatable(room).__index) do \
         if name:find('^set_') and name ~= 'set_role' then \
             local ok, err, condition, text; \
             if name == 'set_affiliation' then ok, err, condition, text = room:set_affiliation(true, 'eve@macbeth.lit', 'owner'); \
             elseif name == 'set_affiliation_data' then \
                 ok, err, condition, text = room:set_affiliation_data('crone1@shakespeare.lit', 'reserved_nickname', 'x'); \
             elseif name == 'set_subject' then ok, err, condition, text = room:set_subject(room.jid, 'x'); \
             else \
                 local value = values[name]; \
                 if value == nil then value = not room['get'..name:sub(4)](room); end \
                 ok, err, condition, text = room[name](room, value); \
             end \
             if ok ~= nil or err ~= 'cancel' or condition ~= 'not-allowed' or not text:find('coven@chat.shakespeare.lit', 1, true) then \
                 taken[#taken + 1] = name; \
             end \
         end \
     end \
     room:save(true); \
     return table.concat(taken, ', ');";

async fn affiliation_is(fed: &Federation, server: usize, jid: &str, wanted: &str) -> Result<()> {
    let chunk = format!("return room:get_affiliation('{jid}') or 'none'");
    eventually(&format!("{jid} is {wanted} at server {server}"), || async {
        Ok(with_room(fed, server, &chunk).await? == wanted)
    })
    .await
}

async fn setters(version: Version, storage: Storage) -> Result<()> {
    let fed = raise("setters", version, storage).await?;
    let people = company(&fed, "coven", &[]).await?;
    let before = with_room(&fed, WITCH, STORED).await?;
    assert_eq!(
        with_room(&fed, WITCH, SET_ALL).await?,
        "",
        "set without being refused"
    );
    quiet(&fed, &people.each_ref()).await?;
    assert_eq!(with_room(&fed, WITCH, STORED).await?, before, "it is as it was");
    // In somebody's name: the source decides, by that person's rights.
    let set = |actor: &str, jid: &str| {
        format!("return (room:set_affiliation('{actor}', '{jid}', 'member', 'Because'))")
    };
    let (witch, crone) = (people[WITCH].jid(), "crone1@shakespeare.lit");
    assert_eq!(
        with_room(&fed, WITCH, &set(witch, "eve@macbeth.lit")).await?,
        "true",
        "it is asked for"
    );
    quiet(&fed, &people.each_ref()).await?;
    for server in 0..3 {
        affiliation_is(&fed, server, "eve@macbeth.lit", "none").await?;
    }
    people[0]
        .set_affiliation(&people[0].room, "somewitch@macbeth.lit", "owner")
        .await?;
    affiliation_is(&fed, WITCH, "somewitch@macbeth.lit", "owner").await?;
    assert_eq!(
        with_room(&fed, WITCH, &set(witch, "eve@macbeth.lit")).await?,
        "true"
    );
    for server in 0..3 {
        affiliation_is(&fed, server, "eve@macbeth.lit", "member").await?;
    }
    // A subject in the name of an occupant here.
    with_room(
        &fed,
        WITCH,
        "return room:set_subject(room.jid..'/firstwitch', 'Fillet of a fenny snake')",
    )
    .await?;
    for server in 0..3 {
        eventually("the subject is everywhere", || async {
            let subject = with_room(
                &fed,
                server,
                "local _, subject = room:get_subject(); return subject",
            )
            .await?;
            Ok(subject == "Fillet of a fenny snake")
        })
        .await?;
    }
    // What the source sets is taken in by the same methods.
    with_room(
        &fed,
        0,
        "room:set_name('Source'); room:set_public(not room:get_public()); room:set_moderated(true); \
         room:set_affiliation(true, 'dan@marlowe.lit', 'admin'); room:save(true)",
    )
    .await?;
    let source = "return table.concat({ room:get_name() or '', tostring(room:get_public()), tostring(room:get_moderated()) }, ' ')";
    let wanted = with_room(&fed, 0, source).await?;
    ensure!(wanted.starts_with("Source "), "{wanted}");
    for server in 1..3 {
        eventually("the shadows follow", || async {
            Ok(with_room(&fed, server, source).await? == wanted)
        })
        .await?;
        affiliation_is(&fed, server, "dan@marlowe.lit", "admin").await?;
    }
    assert_eq!(
        with_room(&fed, 0, &format!("return room:get_affiliation('{crone}')")).await?,
        "owner"
    );
    // An ordinary room again, the methods are mod_muc's.
    fed[WITCH].unload_module(fed[WITCH].muc(), "dmuc").await?;
    assert_eq!(
        with_room(&fed, WITCH, "return room:set_name('Alone')").await?,
        "true"
    );
    fed.finish_fast()
}

on_every_version! {
    fn methods_of_a_room_decide_nothing_at_a_shadow(version, storage) {
        setters(version, storage).await
    }
}
