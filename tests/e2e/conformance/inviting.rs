//! XEP-0045 section 7.8: invitations.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::Element;

use super::scene::{Actor, Scene};
use super::{Case, case};
use crate::stage::MUC_USER;

pub const CASES: &[Case] = &[
    case!("7.8.2", "A mediated invitation, and its decline", an_invitation),
    case!(
        "7.8.2",
        "Who invites into a members-only room makes a member",
        a_members_only_room
    ),
    case!("7.8.2", "Who is not in, or may not, invites nobody", who_may_not),
];

fn x(message: &Element) -> Option<&Element> {
    message.get_child("x", MUC_USER)
}

async fn invites(from: &Actor, to: &str) -> Result<String> {
    from.send_xml(&format!(
        "<message to='{}'><x xmlns='{MUC_USER}'><invite to='{to}'><reason>Come</reason></invite></x></message>",
        from.room
    ))
    .await
}

async fn is_invited(who: &Actor) -> Result<Element> {
    who.expect("an invitation", |s| {
        x(s).is_some_and(|x| x.get_child("invite", MUC_USER).is_some())
    })
    .await
}

async fn an_invitation(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.empty(&[]).await?;
    cast.owner.joins().await?;
    cast.third.send_xml("<presence/>").await?;
    cast.owner.send_xml("<presence/>").await?;
    for actor in cast.all() {
        actor.sync().await?;
    }
    invites(&cast.owner, cast.third.bare_jid()).await?;
    let message = is_invited(&cast.third).await?;
    // Which instance it names is for the service to choose: the one that serves the invited one best.
    let room = message.attr("from").context("a room")?.to_owned();
    let invite = x(&message)
        .and_then(|x| x.get_child("invite", MUC_USER))
        .context("an invite")?;
    ensure!(invite.get_child("reason", MUC_USER).map(Element::text).as_deref() == Some("Come"));
    let by = invite.attr("from").context("who invites")?;
    ensure!(
        by == cast.owner.sees("owner") || by.starts_with(cast.owner.bare_jid()) || by.ends_with("/owner"),
        "{by}"
    );
    cast.third
        .send_xml(&format!(
            "<message to='{room}'><x xmlns='{MUC_USER}'><decline to='{by}'><reason>Too busy</reason></decline></x></message>"
        ))
        .await?;
    let message = cast
        .owner
        .expect("a decline", |s| {
            x(s).is_some_and(|x| x.get_child("decline", MUC_USER).is_some())
        })
        .await?;
    let decline = x(&message)
        .and_then(|x| x.get_child("decline", MUC_USER))
        .context("a decline")?;
    ensure!(
        decline
            .get_child("reason", MUC_USER)
            .map(Element::text)
            .as_deref()
            == Some("Too busy")
    );
    scene.finished(cast).await
}

async fn a_members_only_room(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.empty(&[("muc#roomconfig_membersonly", "1")]).await?;
    cast.owner.joins().await?;
    cast.guest.send_xml("<presence/>").await?;
    cast.guest.sync().await?;
    scene.settled(&cast).await?;
    cast.guest
        .is_refused("guest", "", "registration-required")
        .await?;
    invites(&cast.owner, cast.guest.bare_jid()).await?;
    is_invited(&cast.guest).await?;
    scene.settled(&cast).await?;
    let joined = cast.guest.joins().await?;
    let item = crate::stage::Item::of(&joined.self_presence).context("an item")?;
    ensure!(item.affiliation == "member", "{item:?}");
    scene.finished(cast).await
}

async fn who_may_not(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.empty(&[("muc#roomconfig_membersonly", "1")]).await?;
    cast.owner.joins().await?;
    let id = invites(&cast.guest, cast.third.bare_jid()).await?;
    cast.guest.sees_error(&id, "forbidden").await?;
    cast.owner
        .grants(&format!(
            "<item affiliation='member' jid='{}'/>",
            cast.guest.bare_jid()
        ))
        .await?;
    scene.settled(&cast).await?;
    cast.guest.joins().await?;
    scene.settled(&cast).await?;
    let id = invites(&cast.guest, cast.third.bare_jid()).await?;
    cast.guest.sees_error(&id, "forbidden").await?;
    scene.ends(cast).await
}
