//! Who rules a room, and who may be in it, while its instances cannot reach each other (XEP-0045 sections 7.2, 8, 9).

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Element, Storage, Version, code_list, on_every_version, to_string};

use super::agreement::agree;
use super::hasty;
use super::scene::{Scene, Witness};
use crate::asking::{gone, value};
use crate::ruling::capacity::{MAX_USERS, is_full};
use crate::ruling::{answered, item};
use crate::stage::{CLIENT, gathered};
use crate::support::eventually;

const MEMBERS_ONLY: &str = "muc#roomconfig_membersonly";

/// Whether a nick has left, as somebody saw it since then.
fn saw_leave(witness: &Witness, mark: usize, nick: &str) -> Vec<Element> {
    let jid = witness.sees(nick);
    let mut found = witness.came_since(mark);
    found.retain(|s| {
        s.is("presence", CLIENT) && s.attr("type") == Some("unavailable") && s.attr("from") == Some(&*jid)
    });
    found
}

async fn moderation(scene: &Scene<'_>) -> Result<()> {
    let [crone, witch, faust] = [&scene.people[0], &scene.people[1], &scene.people[2]];
    crone
        .set_affiliation(&crone.room, witch.bare_jid(), "owner")
        .await?;
    let banquo = scene.enters(1, "banquo", &scene.name, "banquo").await?;
    agree(scene).await?;
    scene.fed.isolate(1).await;
    scene.is_alone(1).await?;
    // Whose home cannot be reached is told so, to whoever tries; the others go on.
    for (by, nick) in [
        (witch, "faust"),
        (witch, "firstcrone"),
        (crone, "banquo"),
        (faust, "banquo"),
    ] {
        let kick = item(&by.room, &format!("role='none' nick='{nick}'"), "out");
        let condition = match by.nick.as_str() {
            "faust" => "not-allowed",
            _ => "remote-server-not-found",
        };
        answered(by, &kick, Some(condition)).await?;
    }
    answered(
        crone,
        &item(&crone.room, "role='visitor' nick='faust'", "hush"),
        None,
    )
    .await?;
    answered(
        crone,
        &item(&crone.room, "role='participant' nick='faust'", ""),
        None,
    )
    .await?;
    answered(
        witch,
        &item(&witch.room, "role='none' nick='banquo'", "out"),
        None,
    )
    .await?;
    let presence = gone(&banquo, &banquo.room, "banquo").await?;
    ensure!(code_list(&presence).contains(&307), "{}", to_string(&presence));
    scene.heals().await?;
    gathered(scene.fed, &scene.name, &["faust", "firstcrone", "firstwitch"]).await?;
    agree(scene).await
}

/// A room is closed to those who are no members, on the other side: who has become one in the same time stays, who has
/// not is out with the reason (322). And the other way round.
async fn membership(scene: &Scene<'_>) -> Result<()> {
    let [crone, witch] = [&scene.people[0], &scene.people[1]];
    crone
        .set_affiliation(&crone.room, scene.people[2].bare_jid(), "member")
        .await?;
    let banquo = scene.enters(1, "banquo", "members", "banquo").await?;
    let lennox = scene.enters(1, "lennox", "members", "lennox").await?;
    let everybody = ["banquo", "faust", "firstcrone", "firstwitch", "lennox"];
    gathered(scene.fed, &scene.name, &everybody).await?;
    agree(scene).await?;
    scene.fed.isolate(1).await;
    scene.is_alone(1).await?;
    let mark = witch.now();
    crone
        .set_affiliation(&crone.room, banquo.bare_jid(), "member")
        .await?;
    crone.configure_room(&crone.room, &[(MEMBERS_ONLY, "1")]).await?;
    // What the shadow knows is what holds there.
    let macduff = scene.enters(1, "macduff", "members", "macduff").await?;
    ensure!(macduff.self_ping(&macduff.room, "macduff").await?.is_none());
    scene.heals().await?;
    for (out, nick) in [(&lennox, "lennox"), (&macduff, "macduff")] {
        let presence = gone(out, &out.room, nick).await?;
        ensure!(
            code_list(&presence).contains(&322),
            "{nick}: {}",
            to_string(&presence)
        );
    }
    gathered(
        scene.fed,
        &scene.name,
        &["banquo", "faust", "firstcrone", "firstwitch"],
    )
    .await?;
    ensure!(saw_leave(witch, mark, "banquo").is_empty(), "banquo is a member");
    for server in 0..3 {
        let late = scene.fed[server]
            .client("lennox", &format!("late-{server}"))
            .await?;
        let refused = late
            .try_join(&scene.fed[server].room(&scene.name), "late")
            .await?
            .err();
        assert_eq!(refused.context("a refusal")?.condition, "registration-required");
    }

    // Open again, and banquo is none any more: nobody has a reason to go.
    scene.fed.isolate(1).await;
    scene.is_alone(1).await?;
    let mark = witch.now();
    crone.configure_room(&crone.room, &[(MEMBERS_ONLY, "0")]).await?;
    crone
        .set_affiliation(&crone.room, banquo.bare_jid(), "none")
        .await?;
    scene.heals().await?;
    eventually("the shadow is open", || async {
        let form = witch.room_form(&witch.room).await?;
        Ok(value(&form, MEMBERS_ONLY).as_deref() != Some("1"))
    })
    .await?;
    agree(scene).await?;
    ensure!(saw_leave(witch, mark, "banquo").is_empty(), "the room is open");
    gathered(
        scene.fed,
        &scene.name,
        &["banquo", "faust", "firstcrone", "firstwitch"],
    )
    .await?;

    // Who is taken off the list of a closed room meanwhile is out with 321.
    crone
        .set_affiliation(&crone.room, banquo.bare_jid(), "member")
        .await?;
    crone.configure_room(&crone.room, &[(MEMBERS_ONLY, "1")]).await?;
    agree(scene).await?;
    scene.fed.isolate(1).await;
    scene.is_alone(1).await?;
    crone
        .set_affiliation(&crone.room, banquo.bare_jid(), "none")
        .await?;
    scene.heals().await?;
    let presence = gone(&banquo, &banquo.room, "banquo").await?;
    ensure!(code_list(&presence).contains(&321), "{}", to_string(&presence));
    crone.configure_room(&crone.room, &[(MEMBERS_ONLY, "0")]).await?;
    gathered(scene.fed, &scene.name, &["faust", "firstcrone", "firstwitch"]).await?;
    agree(scene).await
}

/// Both sides fill up: nobody is removed for it, and nobody else gets in.
async fn capacity(scene: &Scene<'_>) -> Result<()> {
    let crone = &scene.people[0];
    crone.configure_room(&crone.room, &[(MAX_USERS, "4")]).await?;
    agree(scene).await?;
    scene.fed.isolate(1).await;
    scene.is_alone(1).await?;
    let lennox = scene.enters(1, "lennox", "limit", "lennox").await?;
    let wagner = scene.enters(2, "wagner", "limit", "wagner").await?;
    let (muc, room) = (scene.fed[0].muc(), scene.fed[0].room(&scene.name));
    let is_here = format!(
        "local room = prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{room}') \
         return room:get_occupant_by_nick('{room}/wagner') ~= nil"
    );
    eventually("the source has heard of wagner", || async {
        Ok(scene.fed[0].eval(&is_here).await?.as_bool() == Some(true))
    })
    .await?;
    is_full(scene.fed, &scene.name, &[0, 1, 2]).await?;
    scene.heals().await?;
    let five = ["faust", "firstcrone", "firstwitch", "lennox", "wagner"];
    gathered(scene.fed, &scene.name, &five).await?;
    is_full(scene.fed, &scene.name, &[0, 1, 2]).await?;
    lennox.leave(&lennox.room, "lennox").await?;
    gathered(
        scene.fed,
        &scene.name,
        &["faust", "firstcrone", "firstwitch", "wagner"],
    )
    .await?;
    is_full(scene.fed, &scene.name, &[1]).await?;
    wagner.leave(&wagner.room, "wagner").await?;
    gathered(scene.fed, &scene.name, &["faust", "firstcrone", "firstwitch"]).await?;
    let back = scene.fed[1].client("lennox", "limit-back").await?;
    back.join(&scene.people[1].room, "lennox").await?;
    Ok(())
}

async fn rulings(version: Version, storage: Storage) -> Result<()> {
    let fed = hasty("rulings", version, storage).start().await?;
    let scene = Scene::opens(&fed, "coven", &[]).await?;
    moderation(&scene).await?;
    membership(&scene).await?;
    capacity(&scene).await?;
    fed.finish().await
}

on_every_version! {
    fn a_split_lets_nobody_rule_or_enter_who_may_not_afterwards(version, storage = Sqlite) {
        rulings(version, storage).await
    }
}
