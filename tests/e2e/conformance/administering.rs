//! XEP-0045 section 9: what admins do.

use anyhow::{Result, ensure};
use dmuc_testbed::code_list;

use super::scene::Scene;
use super::{Case, case};
use crate::asking::reason;
use crate::stage::MUC_USER;

pub const CASES: &[Case] = &[
    case!("9.1", "A ban removes, with 301 and the reason, and lasts", a_ban),
    case!("9.2", "The list of the banned is edited", the_ban_list),
    case!("9.3", "Membership is granted and revoked", membership),
    case!(
        "9.3",
        "Whoever is not in becomes a member, and those who are in are told",
        of_non_occupants
    ),
    case!("9.3", "A member is named by nick alone", by_nick_alone),
    case!(
        "9.4",
        "Who loses membership of a members-only room is removed, with 321",
        loses_membership
    ),
    case!(
        "9.6",
        "The role of a moderator is granted and revoked",
        moderators
    ),
    case!("9.8", "The list of moderators", moderator_list),
    case!("9", "Who may not administer does not", who_may_not),
];

async fn a_ban(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[]).await?;
    cast.owner
        .grants(&format!(
            "<item affiliation='outcast' jid='{}'><reason>Treason</reason></item>",
            cast.guest.bare_jid()
        ))
        .await?;
    for actor in cast.all() {
        let gone = actor.sees_gone("guest").await?;
        ensure!(code_list(&gone).contains(&301), "{}: {gone:?}", actor.nick);
        ensure!(reason(&gone).as_deref() == Some("Treason"));
    }
    scene.settled(&cast).await?;
    cast.guest.is_refused("guest", "", "forbidden").await?;
    cast.guest.is_refused("somebody else", "", "forbidden").await?;
    scene.ends(cast).await
}

async fn the_ban_list(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.empty(&[]).await?;
    cast.owner.joins().await?;
    for user in ["banquo@elsewhere.lit", "duncan@elsewhere.lit"] {
        cast.owner
            .grants(&format!(
                "<item affiliation='outcast' jid='{user}'><reason>Because</reason></item>"
            ))
            .await?;
    }
    scene.settled(&cast).await?;
    let listed = |found: &[dmuc_testbed::Element]| {
        let mut jids: Vec<String> = found
            .iter()
            .filter_map(|item| item.attr("jid").map(str::to_owned))
            .collect();
        jids.sort();
        jids
    };
    let found = cast.owner.lists("<item affiliation='outcast'/>").await?;
    ensure!(
        listed(&found) == ["banquo@elsewhere.lit", "duncan@elsewhere.lit"],
        "{found:?}"
    );
    cast.owner
        .grants("<item affiliation='none' jid='banquo@elsewhere.lit'/>")
        .await?;
    scene.settled(&cast).await?;
    let found = cast.owner.lists("<item affiliation='outcast'/>").await?;
    ensure!(listed(&found) == ["duncan@elsewhere.lit"], "{found:?}");
    cast.third.joins().await?;
    let denied = cast
        .third
        .asks(&format!(
            "<iq type='get' to='{}'><query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='outcast'/></query></iq>",
            cast.third.room
        ))
        .await?;
    ensure!(
        dmuc_testbed::error_condition(&denied).as_deref() == Some("forbidden"),
        "{denied:?}"
    );
    scene.ends(cast).await
}

async fn membership(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[]).await?;
    for (affiliation, why) in [("member", "A worthy thane"), ("none", "No more")] {
        cast.owner
            .grants(&format!(
                "<item affiliation='{affiliation}' jid='{}'><reason>{why}</reason></item>",
                cast.guest.bare_jid()
            ))
            .await?;
        for actor in cast.all() {
            actor.sees_why("guest", affiliation, "participant", why).await?;
        }
        scene.settled(&cast).await?;
        let members = cast.owner.lists("<item affiliation='member'/>").await?;
        ensure!(
            members.len() == usize::from(affiliation == "member"),
            "{members:?}"
        );
    }
    scene.ends(cast).await
}

async fn of_non_occupants(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.empty(&[]).await?;
    for actor in [&cast.owner, &cast.third] {
        actor.joins().await?;
        scene.settled(&cast).await?;
    }
    cast.owner
        .grants(&format!(
            "<item affiliation='member' jid='{}'/>",
            cast.guest.bare_jid()
        ))
        .await?;
    let told = |s: &dmuc_testbed::Element| {
        let item = s
            .get_child("x", MUC_USER)
            .and_then(|x| x.get_child("item", MUC_USER));
        s.name() == "message" && item.and_then(|item| item.attr("affiliation")) == Some("member")
    };
    let message = cast.owner.expect("a word of it", told).await?;
    ensure!(message.attr("from") == Some(&*cast.owner.room));
    scene.settled(&cast).await?;
    scene.ends(cast).await
}

async fn by_nick_alone(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[]).await?;
    cast.owner
        .grants("<item affiliation='member' nick='guest'/>")
        .await?;
    for actor in cast.all() {
        actor.sees_as("guest", "member", "participant").await?;
    }
    scene.settled(&cast).await?;
    let members = cast.owner.lists("<item affiliation='member'/>").await?;
    ensure!(members.len() == 1 && members[0].attr("jid") == Some(cast.guest.bare_jid()));
    scene.ends(cast).await
}

async fn loses_membership(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.empty(&[("muc#roomconfig_membersonly", "1")]).await?;
    for actor in [&cast.guest, &cast.third] {
        let item = format!("<item affiliation='member' jid='{}'/>", actor.bare_jid());
        cast.owner.grants(&item).await?;
    }
    scene.settled(&cast).await?;
    for actor in cast.all() {
        actor.joins().await?;
        scene.settled(&cast).await?;
    }
    cast.owner
        .grants(&format!(
            "<item affiliation='none' jid='{}'/>",
            cast.guest.bare_jid()
        ))
        .await?;
    for actor in cast.all() {
        let gone = actor.sees_gone("guest").await?;
        ensure!(code_list(&gone).contains(&321), "{}: {gone:?}", actor.nick);
    }
    scene.settled(&cast).await?;
    cast.guest
        .is_refused("guest", "", "registration-required")
        .await?;
    scene.ends(cast).await
}

async fn moderators(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[]).await?;
    cast.owner.grants("<item role='moderator' nick='third'/>").await?;
    for actor in cast.all() {
        actor.sees_as("third", "none", "moderator").await?;
    }
    scene.settled(&cast).await?;
    // It can do what moderators do.
    cast.third.grants("<item role='visitor' nick='guest'/>").await?;
    for actor in cast.all() {
        actor.sees_as("guest", "none", "visitor").await?;
    }
    scene.settled(&cast).await?;
    cast.third
        .is_denied("<item role='participant' nick='owner'/>", "not-allowed")
        .await?;
    cast.owner
        .grants("<item role='participant' nick='third'/>")
        .await?;
    for actor in cast.all() {
        actor.sees_as("third", "none", "participant").await?;
    }
    cast.third
        .is_denied("<item role='participant' nick='guest'/>", "not-allowed")
        .await?;
    scene.ends(cast).await
}

async fn moderator_list(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[]).await?;
    cast.owner.grants("<item role='moderator' nick='third'/>").await?;
    cast.owner.sees_as("third", "none", "moderator").await?;
    scene.settled(&cast).await?;
    for actor in [&cast.owner, &cast.third] {
        let found = actor.lists("<item role='moderator'/>").await?;
        let mut nicks: Vec<&str> = found.iter().filter_map(|item| item.attr("nick")).collect();
        nicks.sort_unstable();
        ensure!(nicks == ["owner", "third"], "{}: {found:?}", actor.nick);
    }
    scene.finished(cast).await
}

async fn who_may_not(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[]).await?;
    let owner = cast.owner.bare_jid();
    for actor in [&cast.guest, &cast.third] {
        for affiliation in ["outcast", "none", "member", "admin"] {
            actor
                .is_denied(
                    &format!("<item affiliation='{affiliation}' jid='{owner}'/>"),
                    "not-allowed",
                )
                .await?;
        }
        let own = actor.bare_jid();
        actor
            .is_denied(&format!("<item affiliation='owner' jid='{own}'/>"), "not-allowed")
            .await?;
    }
    cast.owner
        .grants(&format!(
            "<item affiliation='admin' jid='{}'/>",
            cast.guest.bare_jid()
        ))
        .await?;
    for actor in cast.all() {
        actor.sees_as("guest", "admin", "moderator").await?;
    }
    scene.settled(&cast).await?;
    cast.guest
        .is_denied(
            &format!("<item affiliation='outcast' jid='{owner}'/>"),
            "not-allowed",
        )
        .await?;
    cast.guest
        .is_denied(
            &format!("<item affiliation='owner' jid='{}'/>", cast.third.bare_jid()),
            "not-allowed",
        )
        .await?;
    cast.guest
        .grants(&format!(
            "<item affiliation='member' jid='{}'/>",
            cast.third.bare_jid()
        ))
        .await?;
    scene.ends(cast).await
}
