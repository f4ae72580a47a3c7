//! XEP-0045 sections 7.4, 7.5 and 8.1: messages to all, to one, and the subject.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::Element;

use super::scene::Scene;
use super::{Case, case};
use crate::stage::{CLIENT, OCCUPANT_ID, stanza_id};

pub const CASES: &[Case] = &[
    case!("7.4", "A message reaches everybody once, with its id", a_message),
    case!("7.5", "A private message reaches one", a_private_message),
    case!("7.5", "What is private and cannot be is refused", what_cannot_be),
    case!("8.1", "A moderator sets the subject", a_subject),
    case!(
        "8.1",
        "Participants set the subject where they may",
        participants_subject
    ),
    case!(
        "8.1",
        "A message with subject and body is no change of subject",
        no_subject
    ),
    case!(
        "XEP-0308",
        "A correction, a reaction, a reply, a retraction pass as they are",
        payloads
    ),
    case!(
        "XEP-0421",
        "Nobody makes up an occupant-id or a stanza-id",
        forgeries
    ),
];

async fn a_message(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[]).await?;
    for actor in cast.all() {
        let text = format!("{} speaks", actor.nick);
        let id = actor.say(&actor.room, &text).await?;
        for other in cast.all() {
            let message = other.expect_body(&text).await?;
            ensure!(message.attr("id") == Some(&*id));
            ensure!(message.attr("from") == Some(&*other.sees(actor.nick)));
            ensure!(message.attr("type") == Some("groupchat"));
            stanza_id(&message, &other.room)?;
        }
        scene.settled(&cast).await?;
    }
    for actor in cast.all() {
        ensure!(!actor.drain().iter().any(|s| s.name() == "message"), "once");
    }
    scene.ends(cast).await
}

async fn a_private_message(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[]).await?;
    for (from, to) in [
        (&cast.owner, &cast.guest),
        (&cast.guest, &cast.third),
        (&cast.third, &cast.owner),
    ] {
        let text = format!("{} to {}", from.nick, to.nick);
        let id = from.say_privately(&from.room, to.nick, &text).await?;
        let message = to.expect_body(&text).await?;
        ensure!(message.attr("id") == Some(&*id) && message.attr("type") == Some("chat"));
        ensure!(message.attr("from") == Some(&*to.sees(from.nick)));
        let x = message.get_child("x", crate::stage::MUC_USER);
        ensure!(x.is_some(), "{message:?}");
    }
    scene.ends(cast).await
}

async fn what_cannot_be(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.empty(&[]).await?;
    cast.owner.joins().await?;
    scene.settled(&cast).await?;
    let id = cast
        .guest
        .say_privately(&cast.guest.room, "owner", "psst")
        .await?;
    cast.guest.sees_error(&id, "not-acceptable").await?;
    for actor in [&cast.guest, &cast.third] {
        actor.joins().await?;
        scene.settled(&cast).await?;
    }
    for (actor, other) in [
        (&cast.owner, "guest"),
        (&cast.guest, "third"),
        (&cast.third, "owner"),
    ] {
        let id = actor.say_privately(&actor.room, "nobody", "psst").await?;
        actor.sees_error(&id, "item-not-found").await?;
        let id = actor
            .send_xml(&format!(
                "<message type='groupchat' to='{}'><body>All</body></message>",
                actor.sees(other)
            ))
            .await?;
        actor.sees_error(&id, "bad-request").await?;
    }
    scene.ends(cast).await
}

fn subject(message: &Element) -> Option<String> {
    message.get_child("subject", CLIENT).map(Element::text)
}

async fn a_subject(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[("muc#roomconfig_changesubject", "0")]).await?;
    for text in ["Fire burn and cauldron bubble", ""] {
        cast.owner.set_subject(&cast.owner.room, text).await?;
        for actor in cast.all() {
            let from = actor.sees("owner");
            let message = actor
                .expect("a subject", |s| subject(s).as_deref() == Some(text))
                .await?;
            ensure!(message.attr("from") == Some(&*from) && message.get_child("body", CLIENT).is_none());
        }
        scene.settled(&cast).await?;
    }
    for actor in [&cast.guest, &cast.third] {
        let id = actor.set_subject(&actor.room, "Mine").await?;
        actor.sees_error(&id, "forbidden").await?;
    }
    cast.owner.grants("<item role='moderator' nick='guest'/>").await?;
    cast.guest.sees_as("guest", "none", "moderator").await?;
    scene.settled(&cast).await?;
    cast.guest.set_subject(&cast.guest.room, "Mine").await?;
    for actor in cast.all() {
        actor
            .expect("a subject", |s| subject(s).as_deref() == Some("Mine"))
            .await?;
    }
    scene.ends(cast).await
}

async fn participants_subject(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[("muc#roomconfig_changesubject", "1")]).await?;
    for actor in [&cast.guest, &cast.third] {
        let text = format!("{} was here", actor.nick);
        actor.set_subject(&actor.room, &text).await?;
        for other in cast.all() {
            let message = other
                .expect("a subject", |s| subject(s).as_deref() == Some(&*text))
                .await?;
            ensure!(message.attr("from") == Some(&*other.sees(actor.nick)));
        }
        scene.settled(&cast).await?;
    }
    cast.owner.grants("<item role='visitor' nick='third'/>").await?;
    cast.third.sees_as("third", "none", "visitor").await?;
    let id = cast.third.set_subject(&cast.third.room, "Mute").await?;
    cast.third.sees_error(&id, "forbidden").await?;
    scene.ends(cast).await
}

async fn no_subject(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.empty(&[]).await?;
    cast.owner.joins().await?;
    cast.owner.set_subject(&cast.owner.room, "True").await?;
    cast.owner
        .expect("a subject", |s| subject(s).as_deref() == Some("True"))
        .await?;
    scene.settled(&cast).await?;
    cast.guest.joins().await?;
    scene.settled(&cast).await?;
    let content = "<subject>False</subject><body>With a body</body>";
    cast.guest.sends(content).await?;
    for actor in [&cast.owner, &cast.guest] {
        let message = actor.expect_body("With a body").await?;
        ensure!(subject(&message).as_deref() == Some("False"));
    }
    scene.settled(&cast).await?;
    let joined = cast.third.joins().await?;
    ensure!(joined.subject() == "True", "{}", joined.subject());
    ensure!(joined.history_bodies() == ["With a body"]);
    scene.ends(cast).await
}

async fn payloads(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[]).await?;
    let id = cast.guest.say_and_see(&cast.guest.room, "Fair is fuol").await?;
    let id = id.attr("id").context("an id")?.to_owned();
    let mut stanza_ids = Vec::new();
    for actor in [&cast.owner, &cast.third] {
        let message = actor.expect_body("Fair is fuol").await?;
        stanza_ids.push(stanza_id(&message, &actor.room)?);
    }
    ensure!(
        stanza_ids[0] == stanza_ids[1],
        "clients refer to one message by one id"
    );
    let original = &stanza_ids[0];
    for (actor, content) in [
        (
            &cast.guest,
            format!(
                "<body>Fair is foul</body><replace id='{id}' xmlns='urn:xmpp:message-correct:0'/>"
            ),
        ),
        (
            &cast.third,
            format!(
                "<reactions id='{original}' xmlns='urn:xmpp:reactions:0'><reaction>\u{1F438}</reaction></reactions>\
                 <store xmlns='urn:xmpp:hints'/>"
            ),
        ),
        (
            &cast.owner,
            format!("<body>and foul is fair</body><reply id='{original}' xmlns='urn:xmpp:reply:0'/>"),
        ),
        (
            &cast.guest,
            format!(
                "<retract id='{original}' xmlns='urn:xmpp:message-retract:1'/><body>Retracted</body>\
                 <fallback for='urn:xmpp:message-retract:1' xmlns='urn:xmpp:fallback:0'/>"
            ),
        ),
        (
            &cast.third,
            "<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'/><payload>AAAA</payload></encrypted>\
             <body>OMEMO</body><encryption namespace='eu.siacs.conversations.axolotl' xmlns='urn:xmpp:eme:0'/>"
                .to_owned(),
        ),
    ] {
        let sent = actor.sends(&content).await?;
        for other in cast.all() {
            let message = other
                .expect("the message", |s| s.attr("id") == Some(&*sent))
                .await?;
            ensure!(
                crate::stage::payload(&message) == crate::stage::children(&content)?,
                "{message:?}"
            );
        }
    }
    scene.settled(&cast).await?;
    // The ids in them are made up.
    for actor in cast.all() {
        actor.sync().await?;
    }
    scene.finished(cast).await
}

async fn forgeries(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[]).await?;
    for actor in cast.all() {
        let text = format!("forged by {}", actor.nick);
        actor
            .sends(&format!(
                "<body>{text}</body><occupant-id id='mine' xmlns='{OCCUPANT_ID}'/>\
                 <stanza-id id='mine' by='{}' xmlns='urn:xmpp:sid:0'/>",
                actor.room
            ))
            .await?;
        for other in cast.all() {
            let message = other.expect_body(&text).await?;
            ensure!(stanza_id(&message, &other.room)? != "mine");
            ensure!(crate::stage::occupant_id(&message)? != "mine");
        }
    }
    scene.ends(cast).await
}
