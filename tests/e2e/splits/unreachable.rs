//! Private messages and requests to somebody behind a dead link: an error, soon, whether the link is known to be dead or not.

use std::time::Duration;

use anyhow::{Result, ensure};
use dmuc_testbed::{
    Element, Federation, Storage, Version, error_condition, on_every_version, scaled, to_string,
};
use futures::future::join_all;

use super::agreement::agree;
use super::scene::{ALL, Scene, Witness};
use super::{LINK_TIMEOUT, hasty};
use crate::stage::CLIENT;

const NOT_FOUND: &str = "remote-server-not-found";
const TIMEOUT: &str = "remote-server-timeout";

const REQUESTS: [&str; 2] = ["<vCard xmlns='vcard-temp'/>", "<ping xmlns='urn:xmpp:ping'/>"];

/// Every ordered pair of different people.
fn pairs<'a>(scene: &'a Scene<'_>) -> Vec<(&'a Witness, &'a Witness)> {
    let all = scene
        .people
        .iter()
        .flat_map(|from| scene.people.iter().map(move |to| (from, to)));
    all.filter(|(from, to)| from.server != to.server).collect()
}

fn expect_error(stanza: &Element, to: &str, accepted: &[&str]) -> Result<()> {
    let condition = error_condition(stanza).unwrap_or_default();
    ensure!(
        stanza.attr("type") == Some("error")
            && stanza.attr("from") == Some(to)
            && accepted.contains(&&*condition),
        "not an error from {to} of {accepted:?}: {}",
        to_string(stanza)
    );
    Ok(())
}

/// A private message and two requests, each of which fails in time.
async fn all_fail(from: &Witness, to: &Witness, within: Duration, accepted: &[&str]) -> Result<()> {
    let jid = from.sees(&to.nick);
    let message = async {
        let id = from.say_privately(&from.room, &to.nick, "Are you there?").await?;
        from.may_fail(&id);
        let what = format!("the error of a private message to {}", to.nick);
        let is_it = |s: &Element| s.is("message", CLIENT) && s.attr("id") == Some(&*id);
        let error = from.expect_within(&what, within, is_it).await?;
        expect_error(&error, &jid, accepted)
    };
    let asked = |request: &'static str| {
        let xml = format!("<iq type='get' to='{jid}'>{request}</iq>");
        let jid = &jid;
        async move {
            let answer = tokio::time::timeout(within, from.iq_xml(&xml)).await;
            expect_error(&answer??, jid, accepted)
        }
    };
    let requests = join_all(REQUESTS.into_iter().map(asked));
    let (message, requests) = tokio::join!(message, requests);
    message?;
    requests.into_iter().collect()
}

async fn everybody_fails(scene: &Scene<'_>, within: Duration, accepted: &[&str]) -> Result<()> {
    let attempts = pairs(scene)
        .into_iter()
        .map(|(from, to)| all_fail(from, to, within, accepted));
    join_all(attempts)
        .await
        .into_iter()
        .collect::<Result<Vec<()>>>()?;
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum Death {
    Stall,
    Swallow,
}

async fn all_links_die(fed: &Federation, how: Death) {
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        match how {
            Death::Stall => fed.link(a, b).stall().await,
            Death::Swallow => fed.link(a, b).swallow().await,
        }
    }
}

async fn unreachable(label: &str, how: Death, version: Version, storage: Storage) -> Result<()> {
    let fed = hasty(label, version, storage).start().await?;
    let scene = Scene::opens(&fed, "coven", &[]).await?;
    scene.converse(1).await?;
    // Dead, and nobody knows: twice the timeout, and some time for the servers to do it.
    all_links_die(&fed, how).await;
    let soon = 2 * LINK_TIMEOUT + scaled(Duration::from_secs(3));
    everybody_fails(&scene, soon, &[NOT_FOUND, TIMEOUT]).await?;
    // Known to be dead: at once.
    for server in ALL {
        scene.is_alone(server).await?;
    }
    let at_once = scaled(Duration::from_secs(1));
    everybody_fails(&scene, at_once, &[NOT_FOUND]).await?;
    // It concerned nobody else, and nobody lost their place by it.
    for witness in &scene.people {
        ensure!(witness.self_ping(&witness.room, &witness.nick).await?.is_none());
        let nicks = crate::support::nicks(&fed, witness.server, &witness.room).await?;
        ensure!(nicks.len() == 3, "{nicks:?}");
    }
    scene.talk(&ALL, 1).await?;

    scene.heals().await?;
    for (from, to) in pairs(&scene) {
        let text = format!("{} is back for {}", to.nick, from.nick);
        from.say_privately(&from.room, &to.nick, &text).await?;
        to.expect_body(&text).await?;
        ensure!(
            from.self_ping(&from.room, &to.nick).await?.is_none(),
            "{} pings {}",
            from.nick,
            to.nick
        );
    }
    for witness in &scene.people {
        let more = witness.drain_matching(|s| s.attr("type") == Some("error"));
        ensure!(more.is_empty(), "{more:?}");
        witness.with_transcript(|all| {
            for error in all.iter().filter(|s| s.attr("type") == Some("error")) {
                ensure!(error.is("message", CLIENT), "{}", to_string(error));
            }
            Ok(())
        })?;
    }
    scene.converse(1).await?;
    agree(&scene).await?;
    fed.finish().await
}

on_every_version! {
    fn a_whisper_or_request_over_a_stalled_link_fails_in_time(version, storage) {
        unreachable("pm-stall", Death::Stall, version, storage).await
    }

    fn a_whisper_or_request_that_is_swallowed_fails_in_time(version, storage = Sqlite) {
        unreachable("pm-swallow", Death::Swallow, version, storage).await
    }
}
