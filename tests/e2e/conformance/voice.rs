//! XEP-0045 sections 7.13 and 8.6: asking for voice.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::Element;

use super::scene::Scene;
use super::{Case, case};
use crate::asking::value;

pub const CASES: &[Case] = &[
    case!(
        "7.13",
        "A visitor asks for voice, and a moderator grants it",
        voice_is_granted
    ),
    case!(
        "8.6",
        "A moderator leaves a request for voice at that",
        voice_is_not_granted
    ),
];

const FORM: &str = "http://jabber.org/protocol/muc#request";

fn form(message: &Element) -> Option<&Element> {
    message.get_child("x", "jabber:x:data")
}

/// The guest asks; the owner has the form.
async fn asked(scene: &Scene<'_>, cast: &super::scene::Cast) -> Result<Element> {
    scene.settled(cast).await?;
    cast.guest
        .send_xml(&format!(
            "<message to='{}'><x xmlns='jabber:x:data' type='submit'>\
             <field var='FORM_TYPE'><value>{FORM}</value></field>\
             <field var='muc#role' type='list-single'><value>participant</value></field></x></message>",
            cast.guest.room
        ))
        .await?;
    let message = cast
        .owner
        .expect("a request for voice", |s| {
            form(s).and_then(|form| value(form, "FORM_TYPE")).as_deref() == Some(FORM)
        })
        .await?;
    let form = form(&message).context("a form")?.clone();
    ensure!(value(&form, "muc#roomnick").as_deref() == Some("guest"));
    let jid = value(&form, "muc#jid").context("a JID")?;
    ensure!(jid.starts_with(cast.guest.bare_jid()), "{jid}");
    ensure!(message.attr("from") == Some(&*cast.owner.room));
    Ok(form)
}

async fn answers(cast: &super::scene::Cast, form: &Element, allow: &str) -> Result<()> {
    let jid = value(form, "muc#jid").context("a JID")?;
    cast.owner
        .send_xml(&format!(
            "<message to='{}'><x xmlns='jabber:x:data' type='submit'>\
             <field var='FORM_TYPE'><value>{FORM}</value></field>\
             <field var='muc#role'><value>participant</value></field>\
             <field var='muc#jid'><value>{jid}</value></field>\
             <field var='muc#roomnick'><value>guest</value></field>\
             <field var='muc#request_allow'><value>{allow}</value></field></x></message>",
            cast.owner.room
        ))
        .await?;
    Ok(())
}

async fn voice_is_granted(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[("muc#roomconfig_moderatedroom", "1")]).await?;
    let form = asked(scene, &cast).await?;
    answers(&cast, &form, "true").await?;
    for actor in cast.all() {
        actor.sees_as("guest", "none", "participant").await?;
    }
    cast.guest.say_and_see(&cast.guest.room, "At last").await?;
    scene.ends(cast).await
}

async fn voice_is_not_granted(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[("muc#roomconfig_moderatedroom", "1")]).await?;
    let form = asked(scene, &cast).await?;
    answers(&cast, &form, "false").await?;
    scene.settled(&cast).await?;
    let id = cast.guest.sends("<body>Still mute</body>").await?;
    cast.guest.sees_error(&id, "forbidden").await?;
    scene.ends(cast).await
}
