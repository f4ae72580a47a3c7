//! XEP-0045 sections 8.2 to 8.5: what moderators do.

use anyhow::{Result, ensure};
use dmuc_testbed::code_list;

use super::scene::Scene;
use super::{Case, case};
use crate::asking::{item, item_attr, reason};
use crate::stage::MUC_USER;

pub const CASES: &[Case] = &[
    case!("8.2", "A moderator kicks an occupant, with a reason", a_kick),
    case!("8.2", "Who may not kick does not", who_may_not_kick),
    case!("8.3", "Voice is granted and revoked", voice),
    case!("8.5", "The list of those with voice", the_voice_list),
];

async fn a_kick(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[]).await?;
    cast.owner
        .grants("<item role='none' nick='guest'><reason>Avaunt</reason></item>")
        .await?;
    for actor in cast.all() {
        let gone = actor.sees_gone("guest").await?;
        ensure!(code_list(&gone).contains(&307), "{gone:?}");
        ensure!(reason(&gone).as_deref() == Some("Avaunt"));
        let by = item(&gone).and_then(|item| item.get_child("actor", MUC_USER));
        ensure!(by.and_then(|by| by.attr("nick")) == Some("owner"), "{gone:?}");
        ensure!(item_attr(&gone, "role") == "none" && item_attr(&gone, "affiliation") == "none");
    }
    scene.settled(&cast).await?;
    let id = cast.guest.sends("<body>I am out</body>").await?;
    cast.guest.sees_error(&id, "not-acceptable").await?;
    // A kick is no ban.
    cast.guest.joins().await?;
    for actor in [&cast.owner, &cast.third] {
        actor.sees_here("guest").await?;
    }
    scene.ends(cast).await
}

async fn who_may_not_kick(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[]).await?;
    for (actor, other) in [(&cast.guest, "third"), (&cast.third, "owner")] {
        actor
            .is_denied(&format!("<item role='none' nick='{other}'/>"), "not-allowed")
            .await?;
    }
    cast.owner.grants("<item role='moderator' nick='guest'/>").await?;
    cast.guest.sees_as("guest", "none", "moderator").await?;
    scene.settled(&cast).await?;
    // An owner is not a moderator's to kick (8.2: not-allowed).
    cast.guest
        .is_denied("<item role='none' nick='owner'/>", "not-allowed")
        .await?;
    cast.guest.grants("<item role='none' nick='third'/>").await?;
    for actor in cast.all() {
        actor.sees_gone("third").await?;
    }
    scene.settled(&cast).await?;
    let absent = cast.owner.administers("<item role='none' nick='third'/>").await?;
    ensure!(absent.attr("type") == Some("error"), "{absent:?}");
    scene.ends(cast).await
}

async fn voice(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[]).await?;
    cast.owner
        .grants("<item role='visitor' nick='third'><reason>Hush</reason></item>")
        .await?;
    for actor in cast.all() {
        actor.sees_why("third", "none", "visitor", "Hush").await?;
    }
    let id = cast.third.sends("<body>Mute</body>").await?;
    cast.third.sees_error(&id, "forbidden").await?;
    scene.settled(&cast).await?;
    cast.owner
        .grants("<item role='participant' nick='third'/>")
        .await?;
    for actor in cast.all() {
        actor.sees_as("third", "none", "participant").await?;
    }
    cast.third.say_and_see(&cast.third.room, "Loud").await?;
    cast.guest
        .is_denied("<item role='visitor' nick='third'/>", "not-allowed")
        .await?;
    scene.ends(cast).await
}

async fn the_voice_list(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[]).await?;
    let found = cast.owner.lists("<item role='participant'/>").await?;
    let mut nicks: Vec<&str> = found.iter().filter_map(|item| item.attr("nick")).collect();
    nicks.sort_unstable();
    ensure!(nicks == ["guest", "third"], "{found:?}");
    for entry in &found {
        let nick = entry.attr("nick").unwrap_or_default();
        let who = if nick == "guest" { &cast.guest } else { &cast.third };
        ensure!(entry.attr("jid") == Some(who.jid()), "{entry:?}");
    }
    scene.finished(cast).await
}
