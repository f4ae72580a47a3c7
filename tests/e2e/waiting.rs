//! What users wait for while another instance is asked: there is a limit to it, everybody is answered when the module goes,
//! and an act that goes wrong is answered, too.

use anyhow::{Result, ensure};
use dmuc_testbed::{
    Client, Element, Federation, Storage, Version, error_condition, on_every_version, to_string,
};

use crate::lasting::gathered;
use crate::stage::MUC_USER;
use crate::support::{MACBETH, SOURCE, eventually, instances, three};

/// `max_waiting` of requests.lib.lua.
const LIMIT: usize = 1_000;

async fn invites(client: &Client, room: &str, number: usize) -> Result<String> {
    client
        .send_xml(&format!(
            "<message to='{room}'><x xmlns='{MUC_USER}'><invite to='guest{number}@macbeth.lit'/></x></message>"
        ))
        .await
}

fn kick(nick: &str) -> String {
    format!(
        "<iq type='set' to='{SOURCE}'><query xmlns='http://jabber.org/protocol/muc#admin'>\
         <item nick='{nick}' role='none'/></query></iq>"
    )
}

async fn error_of(client: &Client, id: &str) -> Result<Option<String>> {
    let is_it = |s: &Element| s.attr("id") == Some(id) && s.attr("type") == Some("error");
    Ok(error_condition(&client.expect("an error", is_it).await?))
}

/// A module of the source's server takes voice from somebody elsewhere: what it is told.
async fn mutes(fed: &Federation, nick: &str) -> Result<String> {
    let muc = fed[0].muc();
    let chunk = format!(
        "local room = prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{SOURCE}'); \
         local ok, _, condition = room:set_role(true, '{SOURCE}/{nick}', 'visitor'); return condition or tostring(ok)"
    );
    Ok(fed[0].eval(&chunk).await?.as_str().unwrap_or_default().to_owned())
}

async fn waiting(version: Version, storage: Storage) -> Result<()> {
    let fed = three("waiting", version, storage).start().await?;
    let [crone, witch, _faust] = gathered(&fed).await?;
    an_act_that_goes_wrong_is_answered(&fed, &crone).await?;
    an_invitation_is_answered_when_its_room_has_gone(&fed, &crone).await?;
    fed.link(0, 1).stall().await;
    ensure!(mutes(&fed, "firstwitch").await? == "true", "it is asked for");
    let mut sent = vec![crone.send_xml(&kick("firstwitch")).await?];
    for number in sent.len() + 1..LIMIT {
        sent.push(invites(&crone, SOURCE, number).await?);
    }
    crone.sync().await?;
    ensure!(
        crone
            .drain_matching(|s| s.attr("type") == Some("error"))
            .is_empty()
    );
    // Whatever it is, it is one too many.
    for id in [
        invites(&crone, SOURCE, LIMIT).await?,
        crone.send_xml(&kick("firstwitch")).await?,
    ] {
        assert_eq!(
            error_of(&crone, &id).await?.as_deref(),
            Some("resource-constraint")
        );
    }
    assert_eq!(mutes(&fed, "firstwitch").await?, "resource-constraint");
    // The module goes: nobody waits for ever.
    fed[0].unload_module(fed[0].muc(), "dmuc").await?;
    crone.sync().await?;
    let errors = crone.drain_matching(|s| s.attr("type") == Some("error"));
    for error in &errors {
        let shown = to_string(error);
        assert_eq!(
            error_condition(error).as_deref(),
            Some("remote-server-timeout"),
            "{shown}"
        );
    }
    let mut answered: Vec<&str> = errors.iter().filter_map(|error| error.attr("id")).collect();
    answered.sort_unstable();
    sent.sort_unstable();
    assert_eq!(answered, sent);
    fed[0].load_module(fed[0].muc(), "dmuc").await?;
    fed.link(0, 1).heal().await;
    witch.sync().await?;
    // And there is room again.
    assert_eq!(mutes(&fed, "faust").await?, "true");
    what_a_failed_engine_was_asked_is_answered(&fed, &crone).await?;
    fed.finish_with_errors().await
}

/// The home of who is to be removed fails to do it.
async fn an_act_that_goes_wrong_is_answered(fed: &Federation, crone: &Client) -> Result<()> {
    let muc = fed[1].muc();
    let room = format!("local room = prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{MACBETH}');");
    fed[1]
        .eval(&format!(
            "{room} room.dmuc_test = room.set_role; room.set_role = function () error('out of order'); end; return true"
        ))
        .await?;
    let answer = crone.iq_xml(&kick("firstwitch")).await?;
    let condition = error_condition(&answer);
    assert_eq!(condition.as_deref(), Some("internal-server-error"));
    let is_performing = fed[1]
        .eval(&format!(
            "{room} room.set_role, room.dmuc_test = room.dmuc_test, nil; return tostring(room._dmuc.is_performing)"
        ))
        .await?;
    assert_eq!(
        is_performing.as_str(),
        Some("nil"),
        "what comes next is not of it"
    );
    Ok(())
}

/// The invitee's instance refuses to invite, and there is no room any more that could do it instead.
async fn an_invitation_is_answered_when_its_room_has_gone(fed: &Federation, crone: &Client) -> Result<()> {
    let (heath, shadow) = (fed[0].room("heath"), fed[1].room("heath"));
    crone
        .create_room(&heath, "firstcrone", &[("muc#roomconfig_distributed", "1")])
        .await?;
    for (server, room) in [(0, &heath), (1, &shadow)] {
        eventually("the heath has its shadows", || async {
            Ok(instances(fed, server, room).await?.len() == 2)
        })
        .await?;
    }
    fed[1]
        .eval(&format!(
            "local st = require 'util.stanza'; \
             prosody.hosts['{}'].modules.muc.module:hook('muc-invite', function (event) \
             if event.room.jid ~= '{shadow}' then return end \
             event.origin.send(st.error_reply(event.incoming, 'cancel', 'not-allowed')); return true; end, 200); return true",
            fed[1].muc()
        ))
        .await?;
    fed.link(0, 1).stall().await;
    let id = invites(crone, &heath, 0).await?;
    let answer = crone
        .iq_xml(&format!(
            "<iq type='set' to='{heath}'><query xmlns='http://jabber.org/protocol/muc#owner'><destroy/></query></iq>"
        ))
        .await?;
    ensure!(answer.attr("type") == Some("result"), "{}", to_string(&answer));
    fed.link(0, 1).heal().await;
    assert_eq!(error_of(crone, &id).await?.as_deref(), Some("item-not-found"));
    Ok(())
}

/// The engine fails and is made anew: it knows nothing of what the old one was asked.
async fn what_a_failed_engine_was_asked_is_answered(fed: &Federation, crone: &Client) -> Result<()> {
    fed.link(0, 2).stall().await;
    let id = crone.send_xml(&kick("faust")).await?;
    crone.sync().await?;
    fed[0].eval(&FAILS.replace("MUC", fed[0].muc())).await?;
    let condition = error_of(crone, &id).await?;
    assert_eq!(condition.as_deref(), Some("remote-server-timeout"));
    fed.link(0, 2).heal().await;
    Ok(())
}

/// In the place of an engine that has panicked: every call fails, and `open` gives a new one.
const FAILS: &str = r#"
local function upvalue(f, wanted)
	for i = 1, 20 do
		local name, value = debug.getupvalue(f, i);
		if name == wanted then return value, i; end
	end
	error("no "..wanted);
end
local dmuc = upvalue(prosody.hosts["MUC"].modules.dmuc.instances, "dmuc");
local call = upvalue(dmuc.feed_because, "call");
local _, place = upvalue(call, "engine");
dmuc.native.close("MUC");
debug.setupvalue(call, place, {
	is_poisoned = function () return true; end;
	timeout = function () error("The engine failed"); end;
});
local _, _, condition = dmuc.feed("timeout");
assert(condition == "internal-server-error", condition);
return true
"#;

on_every_version! {
    fn what_waits_is_bounded_and_answered(version, storage) {
        waiting(version, storage).await
    }
}
