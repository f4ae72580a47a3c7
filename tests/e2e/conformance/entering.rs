//! XEP-0045 section 7.2: entering a room.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::code_list;

use super::scene::Scene;
use super::{Case, case};
use crate::stage::Item;

pub const CASES: &[Case] = &[
    case!(
        "7.2.2",
        "A newcomer gets everybody's presence, its own, the history, the subject, in this order",
        everybodys_presence
    ),
    case!(
        "7.2.1",
        "An address without a nick, and nicks that cannot be",
        nicks_that_cannot_be
    ),
    case!(
        "7.2.1",
        "Who is not in and does not ask to be is told so",
        without_asking
    ),
    case!(
        "7.2.4",
        "In a room without anonymity all see who is who",
        without_anonymity
    ),
    case!(
        "7.2.5",
        "In a semi-anonymous room moderators see who is who",
        semi_anonymous
    ),
    case!("7.2.6", "A password is asked for", a_password),
    case!("7.2.7", "A members-only room lets members in", members_only),
    case!("7.2.8", "Who is banned stays out", banned),
    case!(
        "7.2.9",
        "A nick that is taken is a conflict",
        a_nick_that_is_taken
    ),
    case!("7.2.12", "In a moderated room newcomers have no voice", moderated),
    case!("7.2.14", "A newcomer says how much history it wants", history),
    case!(
        "7.2.2",
        "Who joins again, having lost track, gets everything again",
        joins_again
    ),
    case!(
        "7.2.3",
        "Presence of those without voice is shown to nobody where the room says so",
        presence_broadcast
    ),
    case!("7.2.2", "A probe is answered to those who are in", probes),
];

async fn everybodys_presence(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.empty(&[]).await?;
    cast.owner.joins().await?;
    cast.owner
        .set_subject(&cast.owner.room, "Toil and trouble")
        .await?;
    cast.owner
        .say_and_see(&cast.owner.room, "When shall we three meet again")
        .await?;
    scene.settled(&cast).await?;
    let mut before = vec!["owner".to_owned()];
    for actor in [&cast.guest, &cast.third] {
        let joined = actor.joins().await?;
        let mut nicks = joined.nicks();
        nicks.sort();
        ensure!(nicks == before, "{nicks:?}");
        ensure!(joined.codes() == [110], "{:?}", joined.codes());
        ensure!(joined.history_bodies() == ["When shall we three meet again"]);
        ensure!(joined.subject() == "Toil and trouble");
        ensure!(joined.subject_message.attr("from") == Some(&*actor.sees("owner")));
        let kinds: Vec<&str> = joined.all.iter().map(dmuc_testbed::Element::name).collect();
        ensure!(kinds.iter().take_while(|kind| **kind == "presence").count() == before.len() + 1);
        let seen = cast.owner.sees_here(actor.nick).await?;
        let item = Item::of(&seen).context("an item")?;
        ensure!((&*item.affiliation, &*item.role) == ("none", "participant"));
        scene.settled(&cast).await?;
        before.push(actor.nick.to_owned());
        before.sort();
    }
    scene.ends(cast).await
}

async fn nicks_that_cannot_be(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.empty(&[]).await?;
    for actor in cast.all() {
        let id = actor
            .send_xml(&format!(
                "<presence to='{}'><x xmlns='http://jabber.org/protocol/muc'/></presence>",
                actor.room
            ))
            .await?;
        // Which error is not compared with the XEP's: Prosody's own is taken.
        actor.sees_error(&id, "service-unavailable").await?;
        // An unassigned code point as of the Unicode of stringprep, and nothing but a space.
        actor.is_refused("\u{1F916}\u{FE0F}", "", "jid-malformed").await?;
        actor.is_refused(" ", "", "not-allowed").await?;
    }
    scene.ends(cast).await
}

async fn without_asking(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.empty(&[]).await?;
    cast.owner.joins().await?;
    for actor in [&cast.guest, &cast.third] {
        let id = actor
            .send_xml(&format!("<presence to='{}'/>", actor.sees(actor.nick)))
            .await?;
        actor.sees_error(&id, "item-not-found").await?;
        let id = actor.sends("<body>Hail</body>").await?;
        actor.sees_error(&id, "not-acceptable").await?;
    }
    scene.ends(cast).await
}

async fn without_anonymity(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.empty(&[("muc#roomconfig_whois", "anyone")]).await?;
    for (index, actor) in cast.all().into_iter().enumerate() {
        let joined = actor.joins().await?;
        ensure!(joined.codes().contains(&100), "{:?}", joined.codes());
        for other in &cast.all()[..index] {
            let seen = other.sees_here(actor.nick).await?;
            ensure!(Item::of(&seen).and_then(|item| item.jid).as_deref() == Some(actor.jid()));
        }
        scene.settled(&cast).await?;
    }
    scene.ends(cast).await
}

async fn semi_anonymous(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.empty(&[("muc#roomconfig_whois", "moderators")]).await?;
    for (index, actor) in cast.all().into_iter().enumerate() {
        let joined = actor.joins().await?;
        ensure!(!joined.codes().contains(&100));
        let own = Item::of(&joined.self_presence).and_then(|item| item.jid);
        ensure!(own.as_deref() == Some(actor.jid()), "the own JID is no secret");
        for other in &cast.all()[..index] {
            let seen = other.sees_here(actor.nick).await?;
            let jid = Item::of(&seen).and_then(|item| item.jid);
            let expected = (other.nick == "owner").then(|| actor.jid().to_owned());
            ensure!(jid == expected, "{} sees {jid:?}", other.nick);
        }
        scene.settled(&cast).await?;
    }
    // Who comes later sees as much.
    let again = cast.owner.leave(&cast.owner.room, "owner").await?;
    ensure!(code_list(&again).contains(&110));
    scene.settled(&cast).await?;
    scene.ends(cast).await
}

async fn a_password(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.empty(&[("muc#roomconfig_roomsecret", "cauldron")]).await?;
    for actor in cast.all() {
        actor.is_refused(actor.nick, "", "not-authorized").await?;
        actor
            .is_refused(actor.nick, "<password>kettle</password>", "not-authorized")
            .await?;
        let joined = actor
            .join_with(&actor.room, actor.nick, "<password>cauldron</password>")
            .await?;
        ensure!(joined.is_ok(), "{} with the password", actor.nick);
        scene.settled(&cast).await?;
    }
    scene.ends(cast).await
}

async fn members_only(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.empty(&[("muc#roomconfig_membersonly", "1")]).await?;
    cast.owner.joins().await?;
    for actor in [&cast.guest, &cast.third] {
        actor.is_refused(actor.nick, "", "registration-required").await?;
        cast.owner
            .grants(&format!(
                "<item affiliation='member' jid='{}'/>",
                actor.bare_jid()
            ))
            .await?;
        scene.settled(&cast).await?;
        let joined = actor.joins().await?;
        let item = Item::of(&joined.self_presence).context("an item")?;
        ensure!(item.affiliation == "member", "{item:?}");
        scene.settled(&cast).await?;
    }
    scene.ends(cast).await
}

async fn banned(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.empty(&[]).await?;
    cast.owner.joins().await?;
    for actor in [&cast.guest, &cast.third] {
        cast.owner
            .grants(&format!(
                "<item affiliation='outcast' jid='{}'/>",
                actor.bare_jid()
            ))
            .await?;
    }
    scene.settled(&cast).await?;
    for actor in [&cast.guest, &cast.third] {
        actor.is_refused(actor.nick, "", "forbidden").await?;
    }
    scene.ends(cast).await
}

async fn a_nick_that_is_taken(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[]).await?;
    for (actor, taken) in [
        (&cast.owner, "third"),
        (&cast.guest, "owner"),
        (&cast.third, "guest"),
    ] {
        let id = actor
            .send_xml(&format!("<presence to='{}'/>", actor.sees(taken)))
            .await?;
        actor.sees_error(&id, "conflict").await?;
    }
    cast.guest.leave(&cast.guest.room, "guest").await?;
    scene.settled(&cast).await?;
    for taken in ["owner", "third"] {
        cast.guest.is_refused(taken, "", "conflict").await?;
    }
    scene.ends(cast).await
}

async fn moderated(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.empty(&[("muc#roomconfig_moderatedroom", "1")]).await?;
    cast.owner.joins().await?;
    cast.owner
        .grants(&format!(
            "<item affiliation='member' jid='{}'/>",
            cast.guest.bare_jid()
        ))
        .await?;
    scene.settled(&cast).await?;
    cast.guest.joins().await?;
    scene.settled(&cast).await?;
    let joined = cast.third.joins().await?;
    let item = Item::of(&joined.self_presence).context("an item")?;
    ensure!(
        (&*item.affiliation, &*item.role) == ("none", "visitor"),
        "{item:?}"
    );
    cast.owner.sees_as("guest", "member", "participant").await?;
    cast.owner.sees_as("third", "none", "visitor").await?;
    let id = cast.third.sends("<body>May I?</body>").await?;
    cast.third.sees_error(&id, "forbidden").await?;
    cast.guest.say_and_see(&cast.guest.room, "I may").await?;
    cast.third.expect_body("I may").await?;
    scene.ends(cast).await
}

async fn history(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.empty(&[("muc#roomconfig_historylength", "20")]).await?;
    cast.owner.joins().await?;
    for text in ["one", "two", "three"] {
        cast.owner.say_and_see(&cast.owner.room, text).await?;
    }
    scene.settled(&cast).await?;
    for actor in [&cast.guest, &cast.third] {
        for (limits, expected) in [
            ("<history maxstanzas='0'/>", &[][..]),
            ("<history maxchars='0'/>", &[]),
            ("<history maxstanzas='2'/>", &["two", "three"]),
            ("<history seconds='3600'/>", &["one", "two", "three"]),
            ("", &["one", "two", "three"]),
        ] {
            let joined = actor
                .join_with(&actor.room, actor.nick, limits)
                .await?
                .with_context(|| limits)?;
            ensure!(
                joined.history_bodies() == expected,
                "{limits}: {:?}",
                joined.history_bodies()
            );
            for message in &joined.history {
                ensure!(message.attr("from") == Some(&*actor.sees("owner")));
                let delay = message
                    .get_child("delay", crate::stage::DELAY)
                    .context("a delay")?;
                ensure!(delay.attr("from") == Some(&*actor.room));
            }
            actor.leave(&actor.room, actor.nick).await?;
            scene.settled(&cast).await?;
        }
    }
    scene.ends(cast).await
}

async fn joins_again(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[]).await?;
    cast.guest.say_and_see(&cast.guest.room, "Again?").await?;
    scene.settled(&cast).await?;
    for actor in cast.all() {
        let joined = actor.joins().await?;
        let mut others: Vec<&str> = ["guest", "owner", "third"].to_vec();
        others.retain(|nick| *nick != actor.nick);
        let mut nicks = joined.nicks();
        nicks.sort();
        ensure!(nicks == others, "{nicks:?}");
        ensure!(joined.history_bodies() == ["Again?"]);
        scene.settled(&cast).await?;
    }
    scene.ends(cast).await
}

async fn presence_broadcast(scene: &Scene<'_>) -> Result<()> {
    let cast = scene
        .empty(&[
            ("muc#roomconfig_moderatedroom", "1"),
            ("muc#roomconfig_presencebroadcast", "moderator"),
        ])
        .await?;
    for actor in cast.all() {
        let joined = actor.joins().await?;
        let expected: &[&str] = match actor.nick {
            "owner" => &[],
            _ => &["owner"],
        };
        ensure!(joined.nicks() == expected, "{:?}", joined.nicks());
        scene.settled(&cast).await?;
    }
    // Voice changes nothing, the role of a moderator does.
    cast.owner
        .grants("<item role='participant' nick='guest'/>")
        .await?;
    cast.guest.sees_as("guest", "none", "participant").await?;
    cast.owner.grants("<item role='moderator' nick='guest'/>").await?;
    cast.third.sees_as("guest", "none", "moderator").await?;
    scene.settled(&cast).await?;
    for actor in [&cast.owner, &cast.guest] {
        let third = actor.sees("third");
        ensure!(!actor.peek().iter().any(|s| s.attr("from") == Some(&*third)));
    }
    cast.owner.grants("<item role='visitor' nick='guest'/>").await?;
    cast.third.sees_gone("guest").await?;
    scene.ends(cast).await
}

async fn probes(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.empty(&[]).await?;
    cast.owner.joins().await?;
    scene.settled(&cast).await?;
    let probe = |to: String| format!("<presence type='probe' to='{to}'/>");
    let id = cast.guest.send_xml(&probe(cast.guest.sees("owner"))).await?;
    cast.guest.sees_error(&id, "not-acceptable").await?;
    for actor in [&cast.guest, &cast.third] {
        actor.joins().await?;
        scene.settled(&cast).await?;
    }
    for actor in cast.all() {
        actor.drain();
        for nick in ["owner", "guest", "third"] {
            actor.send_xml(&probe(actor.sees(nick))).await?;
            actor.sees_here(nick).await?;
        }
        actor.sync().await?;
        ensure!(actor.drain().is_empty());
    }
    scene.ends(cast).await
}
