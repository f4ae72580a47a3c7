//! Two people take the same nick on two sides of a split: one of them is renamed, the same one everywhere (G8).

use anyhow::{Result, ensure};
use dmuc_testbed::{Element, Storage, Version, code_list, on_every_version};

use super::agreement::{agree, client_roster, one_history};
use super::scene::{ALL, Scene, Witness};
use super::{hasty, patience};
use crate::asking::item_attr;
use crate::stage::CLIENT;

/// Waits until somebody was renamed, and returns the new nick: 303 with the old one, then 210 with the new one.
async fn is_renamed(loser: &Witness) -> Result<String> {
    let own = loser.sees(&loser.nick);
    let is_exit = |s: &Element| {
        let codes = code_list(s);
        s.is("presence", CLIENT)
            && s.attr("from") == Some(&*own)
            && s.attr("type") == Some("unavailable")
            && codes.contains(&303)
            && codes.contains(&110)
    };
    loser
        .until("a new nick is given", patience(), |all| all.iter().any(is_exit))
        .await?;
    loser.sync().await?;
    let all = loser.transcript();
    let exits: Vec<&Element> = all.iter().filter(|s| is_exit(s)).collect();
    ensure!(exits.len() == 1, "renamed {} times", exits.len());
    let nick = item_attr(exits[0], "nick").to_owned();
    let new = loser.sees(&nick);
    let given = all.iter().filter(|s| {
        let codes = code_list(s);
        s.attr("from") == Some(&*new) && codes.contains(&210) && codes.contains(&110)
    });
    ensure!(given.count() == 1, "{nick:?} is not given with 210 and 110");
    Ok(nick)
}

/// Whoever keeps the nick hears nothing about themselves, and sees the other under the new one.
fn is_untouched(winner: &Witness) -> Result<()> {
    let own = winner.sees(&winner.nick);
    let exits = winner.with_transcript(|all| {
        all.iter()
            .filter(|s| s.attr("from") == Some(&*own) && s.attr("type") == Some("unavailable"))
            .count()
    });
    ensure!(exits == 0, "{} seems to have left", winner.nick);
    Ok(())
}

async fn clashes(version: Version, storage: Storage) -> Result<()> {
    let fed = hasty("clashes", version, storage).start().await?;
    let mut scene = Scene::opens(&fed, "coven", &[]).await?;
    scene.converse(1).await?;
    for server in [0, 1] {
        fed.isolate(server).await;
    }
    for server in ALL {
        scene.is_alone(server).await?;
    }
    // The source's occupant keeps the nick, also who came last; between shadows who came first.
    let ross = scene.enters(1, "ross", "coven", "thane").await?;
    let angus = scene.enters(0, "angus", "coven", "thane").await?;
    let lennox = scene.enters(2, "lennox", "coven", "porter").await?;
    let seyton = scene.enters(1, "seyton", "coven", "porter").await?;
    for client in [&ross, &angus, &lennox, &seyton] {
        client
            .say(&client.room, &format!("{} says 1", client.bare_jid()))
            .await?;
    }
    scene.heals().await?;
    let ross_is = is_renamed(&ross).await?;
    let seyton_is = is_renamed(&seyton).await?;
    ensure!(ross_is != seyton_is && ross_is.starts_with("thane") && seyton_is.starts_with("porter"));
    for (witness, nick) in [
        (ross, ross_is),
        (angus, "thane".into()),
        (lennox, "porter".into()),
        (seyton, seyton_is),
    ] {
        if witness.nick == nick {
            is_untouched(&witness)?;
        }
        let mut witness = witness;
        witness.person.nick = nick;
        // They came later: what was said before is in their history.
        witness.is_witness = false;
        scene.people.push(witness);
    }
    scene.all_here().await?;
    agree(&scene).await?;
    // Each of them is who they say, everywhere.
    for (who, server) in [(3, 1), (4, 0), (5, 2), (6, 1)] {
        let speaker = &scene.people[who];
        ensure!(speaker.server == server);
        let text = format!("{} says 2", speaker.bare_jid());
        speaker.say(&speaker.room, &text).await?;
        for viewer in &scene.people {
            let message = viewer.expect_body(&text).await?;
            ensure!(
                message.attr("from") == Some(&*viewer.sees(&speaker.nick)),
                "{message:?}"
            );
        }
    }
    ensure!(client_roster(&scene.people[0]).len() == 7);
    agree(&scene).await?;
    one_history(&scene).await?;
    fed.finish().await
}

on_every_version! {
    fn of_two_with_one_nick_the_same_is_renamed_everywhere(version, storage) {
        clashes(version, storage).await
    }
}
