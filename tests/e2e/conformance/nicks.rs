//! XEP-0045 sections 7.6, 7.7 and 7.14, and 7.2.8: nicks, changes of presence, several clients, leaving.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::code_list;

use super::scene::Scene;
use super::{Case, case};
use crate::asking::item_attr;
use crate::stage::CLIENT;

pub const CASES: &[Case] = &[
    case!("7.6", "A change of nick is announced with 303", a_change_of_nick),
    case!("7.7", "A change of availability is shown", availability),
    case!("7.14", "Who leaves says why", leaving),
    case!("7.14", "Who vanishes is gone", vanishing),
    case!("7.2.9", "Two clients of one person may share a nick", two_clients),
];

async fn a_change_of_nick(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[]).await?;
    for actor in cast.all() {
        let new = format!("{} the 2nd", actor.nick);
        let (old, now) = actor.change_nick(&actor.room, &new).await?;
        ensure!(code_list(&old) == [303, 110] && item_attr(&old, "nick") == new);
        ensure!(code_list(&now) == [110]);
        for other in cast.all() {
            if other.nick == actor.nick {
                continue;
            }
            let gone = other.sees_gone(actor.nick).await?;
            ensure!(code_list(&gone) == [303], "{gone:?}");
            ensure!(item_attr(&gone, "nick") == new && item_attr(&gone, "role") != "none");
            other.sees_here(&new).await?;
        }
        scene.settled(&cast).await?;
    }
    // The old ones are free.
    let (_, now) = cast.guest.change_nick(&cast.guest.room, "owner").await?;
    ensure!(now.attr("from") == Some(&*cast.guest.sees("owner")));
    scene.ends(cast).await
}

async fn availability(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[]).await?;
    for actor in cast.all() {
        actor
            .send_xml(&format!(
                "<presence to='{}'><show>away</show><status>over the moon</status><priority>5</priority>\
                 <x xmlns='vcard-temp:x:update'><photo>hash of {}</photo></x>\
                 <c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:x' ver='abc'/></presence>",
                actor.sees(actor.nick),
                actor.nick
            ))
            .await?;
        for other in cast.all() {
            let seen = other.sees_here(actor.nick).await?;
            let text = |name| seen.get_child(name, CLIENT).map(dmuc_testbed::Element::text);
            ensure!(text("show").as_deref() == Some("away"));
            ensure!(text("status").as_deref() == Some("over the moon"));
            ensure!(seen.get_child("x", "vcard-temp:x:update").is_some());
        }
        scene.settled(&cast).await?;
    }
    scene.ends(cast).await
}

async fn leaving(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[]).await?;
    for actor in [&cast.third, &cast.guest] {
        actor
            .send_xml(&format!(
                "<presence type='unavailable' to='{}'><status>gone where the goblins go</status></presence>",
                actor.sees(actor.nick)
            ))
            .await?;
        let own = actor.sees_gone(actor.nick).await?;
        ensure!(code_list(&own) == [110] && item_attr(&own, "role") == "none");
        let seen = cast.owner.sees_gone(actor.nick).await?;
        let status = seen.get_child("status", CLIENT).context("a status")?;
        ensure!(status.text() == "gone where the goblins go");
        ensure!(item_attr(&seen, "role") == "none" && code_list(&seen).is_empty());
        scene.settled(&cast).await?;
    }
    let id = cast.guest.sends("<body>Still here?</body>").await?;
    cast.guest.sees_error(&id, "not-acceptable").await?;
    scene.ends(cast).await
}

async fn vanishing(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[]).await?;
    cast.guest.close().await?;
    for actor in [&cast.owner, &cast.third] {
        let seen = actor.sees_gone("guest").await?;
        ensure!(item_attr(&seen, "role") == "none");
    }
    scene.ends(cast).await
}

async fn two_clients(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[]).await?;
    let second = scene.second_client(&cast.guest).await?;
    let joined = second.joins().await?;
    let mut nicks = joined.nicks();
    nicks.sort();
    ensure!(nicks == ["owner", "third"], "{nicks:?}");
    scene.settled(&cast).await?;
    let id = second.say(&second.room, "With one voice").await?;
    for actor in [&cast.owner, &cast.guest, &cast.third, &second] {
        let message = actor.expect_body("With one voice").await?;
        ensure!(message.attr("id") == Some(&*id));
        ensure!(message.attr("from") == Some(&*actor.sees("guest")));
    }
    for sender in [&cast.owner, &cast.third] {
        sender.say_privately(&sender.room, "guest", "psst").await?;
        for client in [&cast.guest, &second] {
            client.expect_body("psst").await?;
        }
    }
    scene.settled(&cast).await?;
    // One of two that leaves is nothing to the others, the last is.
    second.leave(&second.room, "guest").await?;
    scene.settled(&cast).await?;
    for actor in [&cast.owner, &cast.third] {
        ensure!(!actor.peek().iter().any(|s| s.attr("type") == Some("unavailable")));
    }
    // Both are kicked with one word.
    second.joins().await?;
    scene.settled(&cast).await?;
    cast.owner.grants("<item role='none' nick='guest'/>").await?;
    for client in [&cast.owner, &cast.guest, &cast.third, &second] {
        let seen = client.sees_gone("guest").await?;
        ensure!(code_list(&seen).contains(&307), "{}: {seen:?}", client.jid());
    }
    scene.ends(cast).await
}
