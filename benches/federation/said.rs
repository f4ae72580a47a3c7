//! One room in which much was said, and what a server has used so far.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Client, Server};

pub const ROOM: &str = "coven";
pub const NICK: &str = "firstcrone";

/// What was said, by whoever is in the room.
async fn fill(server: &Server, count: u64) -> Result<()> {
    let (muc, room) = (server.muc(), server.room(ROOM));
    for first in (0..count).step_by(250) {
        let last = (first + 250).min(count);
        let said = server
            .eval(&format!(
                "local st = require 'util.stanza'
                 local room = prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{room}')
                 for i = {first} + 1, {last} do
                     local message = st.message({{ type = 'groupchat', id = 'm'..i, from = '{room}/{NICK}', to = '{room}' }})
                         :text_tag('body', ('When shall we three meet again? '):rep(8)..i)
                     room:broadcast_message(message)
                 end
                 return {last}"
            ))
            .await?;
        ensure!(said.as_u64() == Some(last), "{said}");
    }
    Ok(())
}

pub async fn cpu_ms(server: &Server) -> Result<f64> {
    let clock = server.eval("return os.clock()").await?;
    Ok(clock.as_f64().context("no time")? * 1e3)
}

/// The room, made by somebody who stays in it, with so much said in it.
pub async fn founded(server: &Server, has_dmuc: bool, count: u64) -> Result<Client> {
    let owner = server.client("crone1", "desktop").await?;
    let form = [
        ("muc#roomconfig_persistentroom", "1"),
        ("muc#roomconfig_distributed", "1"),
    ];
    owner
        .create_room(
            &server.room(ROOM),
            NICK,
            if has_dmuc { &form } else { &form[..1] },
        )
        .await?;
    fill(server, count).await?;
    Ok(owner)
}
