//! What users wait for while another instance is asked: there is a limit to it, everybody is answered when the module goes,
//! and an act that goes wrong is answered, too.

use anyhow::{Result, ensure};
use dmuc_testbed::{Client, Element, Federation, Storage, Version, error_condition, to_string};

use crate::lasting::gathered;
use crate::stage::MUC_USER;
use crate::support::{MACBETH, SOURCE, three};

/// `max_waiting` of requests.lib.lua.
const LIMIT: usize = 1_000;

async fn invites(client: &Client, number: usize) -> Result<String> {
    client
        .send_xml(&format!(
            "<message to='{SOURCE}'><x xmlns='{MUC_USER}'><invite to='guest{number}@macbeth.lit'/></x></message>"
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
    if !version.available() {
        return Ok(());
    }
    let fed = three("waiting", version, storage).start().await?;
    let [crone, witch, _faust] = gathered(&fed).await?;
    an_act_that_goes_wrong_is_answered(&fed, &crone).await?;
    fed.link(0, 1).stall().await;
    ensure!(mutes(&fed, "firstwitch").await? == "true", "it is asked for");
    let mut sent = vec![crone.send_xml(&kick("firstwitch")).await?];
    for number in sent.len() + 1..LIMIT {
        sent.push(invites(&crone, number).await?);
    }
    crone.sync().await?;
    ensure!(
        crone
            .drain_matching(|s| s.attr("type") == Some("error"))
            .is_empty()
    );
    // Whatever it is, it is one too many.
    for id in [
        invites(&crone, LIMIT).await?,
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

#[tokio::test]
async fn what_waits_is_bounded_and_answered_on_0_12() -> Result<()> {
    waiting(Version::V0_12, Storage::Internal).await
}

#[tokio::test]
async fn what_waits_is_bounded_and_answered_on_13() -> Result<()> {
    waiting(Version::V13, Storage::Sqlite).await
}
