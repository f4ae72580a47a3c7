//! One room in which much was said, and what a server has used so far.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Client, Server};

pub const ROOM: &str = "coven";
pub const NICK: &str = "firstcrone";

/// What was said, by whoever is in the room: 256 bytes and a number each time.
pub async fn fill(server: &Server, name: &str, count: u64) -> Result<()> {
    let (muc, room) = (server.muc(), server.room(name));
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

/// Resident memory of a server, in bytes.
pub fn resident(server: &Server) -> Result<u64> {
    let pid = server.pid().context("it does not run")?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next());
    Ok(kib.context("no VmRSS")?.parse::<u64>()? * 1024)
}

/// The room, made by somebody who stays in it, with so much said in it.
pub async fn founded(server: &Server, has_dmuc: bool, count: u64) -> Result<Client> {
    let owner = server.client("crone1", "desktop").await?;
    create(&owner, &server.room(ROOM), has_dmuc).await?;
    fill(server, ROOM, count).await?;
    Ok(owner)
}

/// A persistent room, distributed or not.
pub async fn create(owner: &Client, room: &str, is_distributed: bool) -> Result<()> {
    let form = [
        ("muc#roomconfig_persistentroom", "1"),
        ("muc#roomconfig_distributed", "1"),
    ];
    owner
        .create_room(room, NICK, if is_distributed { &form } else { &form[..1] })
        .await?;
    Ok(())
}
