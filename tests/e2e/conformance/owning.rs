//! XEP-0045 section 10: what owners do.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Element, code_list, error_condition};

use super::scene::Scene;
use super::{Case, case};
use crate::asking::{submit, value};
use crate::stage::MUC_USER;

pub const CASES: &[Case] = &[
    case!(
        "10.2",
        "An owner configures the room, and everybody is told with 104",
        configuration
    ),
    case!("10.2", "Who is no owner does not configure", no_owner),
    case!("10.2.1", "What is not a form is refused", what_is_not_a_form),
    case!(
        "10.2.1",
        "A room that becomes members-only loses those who are none, with 322",
        becomes_members_only
    ),
    case!(
        "10.2.1",
        "Who may see real JIDs changes, with 172 and 173",
        anonymity
    ),
    case!(
        "10.2.1",
        "Visitors and participants when a room becomes moderated",
        becomes_moderated
    ),
    case!("10.3", "Owners are made and unmade, never the last one", owners),
    case!("10.6", "Admins are made and unmade", admins),
    case!(
        "10.9",
        "A destroyed room says where it goes on, and is gone",
        destroyed
    ),
];

async fn told(cast: &super::scene::Cast, code: u16) -> Result<()> {
    for actor in cast.all() {
        let message = actor
            .expect(&format!("{code}"), |s| {
                s.name() == "message" && code_list(s).contains(&code)
            })
            .await?;
        ensure!(message.attr("from") == Some(&*actor.room), "{message:?}");
        ensure!(message.attr("type") == Some("groupchat"), "{message:?}");
    }
    Ok(())
}

async fn configuration(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[]).await?;
    cast.owner
        .configure_room(
            &cast.owner.room,
            &[
                ("muc#roomconfig_roomdesc", "A blasted heath"),
                ("muc#roomconfig_changesubject", "1"),
            ],
        )
        .await?;
    told(&cast, 104).await?;
    scene.settled(&cast).await?;
    let form = cast.owner.room_form(&cast.owner.room).await?;
    ensure!(value(&form, "muc#roomconfig_roomdesc").as_deref() == Some("A blasted heath"));
    ensure!(value(&form, "muc#roomconfig_changesubject").as_deref() == Some("1"));
    cast.third.set_subject(&cast.third.room, "Thunder").await?;
    cast.owner
        .expect("the subject", |s| {
            s.get_child("subject", crate::stage::CLIENT)
                .map(Element::text)
                .as_deref()
                == Some("Thunder")
        })
        .await?;
    // What is as it was is no change.
    cast.owner.configure_room(&cast.owner.room, &[]).await?;
    scene.ends(cast).await
}

async fn no_owner(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[]).await?;
    for actor in [&cast.guest, &cast.third] {
        let query = "<query xmlns='http://jabber.org/protocol/muc#owner'/>";
        let answer = actor
            .asks(&format!("<iq type='get' to='{}'>{query}</iq>", actor.room))
            .await?;
        ensure!(
            error_condition(&answer).as_deref() == Some("forbidden"),
            "{answer:?}"
        );
        let answer = submit(actor, &actor.room, &[("muc#roomconfig_membersonly", "1")]).await?;
        ensure!(
            error_condition(&answer).as_deref() == Some("forbidden"),
            "{answer:?}"
        );
        let answer = actor
            .asks(&format!(
                "<iq type='set' to='{}'><query xmlns='http://jabber.org/protocol/muc#owner'><destroy/></query></iq>",
                actor.room
            ))
            .await?;
        ensure!(
            error_condition(&answer).as_deref() == Some("forbidden"),
            "{answer:?}"
        );
    }
    scene.ends(cast).await
}

async fn what_is_not_a_form(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[]).await?;
    for form in [
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:x-other</value></field></x>",
        "<x xmlns='jabber:x:data' type='cancel'/>",
        "<x xmlns='jabber:x:data' type='form'/>",
        "",
    ] {
        cast.owner
            .asks(&format!(
                "<iq type='set' to='{}'><query xmlns='http://jabber.org/protocol/muc#owner'>{form}</query></iq>",
                cast.owner.room
            ))
            .await?;
    }
    scene.ends(cast).await
}

async fn becomes_members_only(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[]).await?;
    cast.owner
        .grants(&format!(
            "<item affiliation='member' jid='{}'/>",
            cast.guest.bare_jid()
        ))
        .await?;
    scene.settled(&cast).await?;
    cast.owner
        .configure_room(&cast.owner.room, &[("muc#roomconfig_membersonly", "1")])
        .await?;
    let gone = cast.third.sees_gone("third").await?;
    ensure!(code_list(&gone).contains(&322), "{gone:?}");
    scene.settled(&cast).await?;
    for actor in [&cast.owner, &cast.guest] {
        let joined = actor.joins().await?;
        ensure!(joined.nicks().len() == 1, "{:?}", joined.nicks());
        scene.settled(&cast).await?;
    }
    cast.third
        .is_refused("third", "", "registration-required")
        .await?;
    scene.ends(cast).await
}

async fn anonymity(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[("muc#roomconfig_whois", "moderators")]).await?;
    for (whois, code) in [("anyone", 172), ("moderators", 173)] {
        cast.owner
            .configure_room(&cast.owner.room, &[("muc#roomconfig_whois", whois)])
            .await?;
        told(&cast, code).await?;
        scene.settled(&cast).await?;
        let info = cast.third.disco_info(&cast.third.room).await?;
        let feature = match whois {
            "anyone" => "muc_nonanonymous",
            _ => "muc_semianonymous",
        };
        ensure!(crate::asking::has_feature(&info, feature), "{whois}");
        // What is said of somebody from now on.
        cast.guest
            .send_xml(&format!(
                "<presence to='{}'><status>{whois}</status></presence>",
                cast.guest.sees("guest")
            ))
            .await?;
        let seen = cast
            .third
            .sees_presence("guest", whois, |s| {
                s.get_child("status", crate::stage::CLIENT)
                    .map(Element::text)
                    .as_deref()
                    == Some(whois)
            })
            .await?;
        let jid = crate::stage::Item::of(&seen).and_then(|item| item.jid);
        ensure!(jid.is_some() == (whois == "anyone"), "{whois}: {jid:?}");
        scene.settled(&cast).await?;
    }
    scene.ends(cast).await
}

async fn becomes_moderated(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[]).await?;
    cast.owner
        .configure_room(&cast.owner.room, &[("muc#roomconfig_moderatedroom", "1")])
        .await?;
    told(&cast, 104).await?;
    scene.settled(&cast).await?;
    // Those who are in keep their voice; who comes from now on has none.
    cast.guest.say_and_see(&cast.guest.room, "I was here").await?;
    scene.settled(&cast).await?;
    cast.third.leave(&cast.third.room, "third").await?;
    scene.settled(&cast).await?;
    let joined = cast.third.joins().await?;
    let item = crate::stage::Item::of(&joined.self_presence).context("an item")?;
    ensure!(item.role == "visitor", "{item:?}");
    scene.ends(cast).await
}

async fn owners(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[]).await?;
    let (owner, guest) = (cast.owner.bare_jid(), cast.guest.bare_jid());
    cast.owner
        .grants(&format!("<item affiliation='owner' jid='{guest}'/>"))
        .await?;
    for actor in cast.all() {
        actor.sees_as("guest", "owner", "moderator").await?;
    }
    scene.settled(&cast).await?;
    // The founder, who made the room, is an owner still.
    let found = cast.guest.lists("<item affiliation='owner'/>").await?;
    ensure!(found.len() == 3, "{found:?}");
    // Who founded the room first, of which the other one is told.
    let mut others: Vec<&str> = found.iter().filter_map(|entry| entry.attr("jid")).collect();
    others.retain(|jid| *jid != guest);
    others.sort_unstable();
    for jid in others {
        cast.guest
            .grants(&format!("<item affiliation='none' jid='{jid}'/>"))
            .await?;
        scene.settled(&cast).await?;
    }
    for actor in cast.all() {
        actor.sees_as("owner", "none", "participant").await?;
    }
    scene.settled(&cast).await?;
    cast.guest
        .is_denied(&format!("<item affiliation='none' jid='{guest}'/>"), "conflict")
        .await?;
    cast.owner
        .is_denied(
            &format!("<item affiliation='owner' jid='{owner}'/>"),
            "not-allowed",
        )
        .await?;
    scene.ends(cast).await
}

async fn admins(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[]).await?;
    for (affiliation, role) in [
        ("admin", "moderator"),
        ("member", "participant"),
        ("none", "participant"),
    ] {
        cast.owner
            .grants(&format!(
                "<item affiliation='{affiliation}' jid='{}'/>",
                cast.third.bare_jid()
            ))
            .await?;
        for actor in cast.all() {
            actor.sees_as("third", affiliation, role).await?;
        }
        scene.settled(&cast).await?;
    }
    let malformed = cast
        .owner
        .administers("<item affiliation='admin' jid='@@'/>")
        .await?;
    ensure!(malformed.attr("type") == Some("error"));
    cast.owner
        .is_denied(
            &format!("<item affiliation='king' jid='{}'/>", cast.third.bare_jid()),
            "not-acceptable",
        )
        .await?;
    scene.ends(cast).await
}

async fn destroyed(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[]).await?;
    let answer = cast
        .owner
        .iq_xml(&format!(
            "<iq type='set' to='{}'><query xmlns='http://jabber.org/protocol/muc#owner'>\
             <destroy jid='heath@elsewhere.lit'><reason>The battle is lost</reason></destroy></query></iq>",
            cast.owner.room
        ))
        .await?;
    ensure!(answer.attr("type") == Some("result"), "{answer:?}");
    for actor in cast.all() {
        let gone = actor.sees_gone(actor.nick).await?;
        let destroy = gone
            .get_child("x", MUC_USER)
            .and_then(|x| x.get_child("destroy", MUC_USER))
            .context("destroy")?;
        ensure!(destroy.attr("jid") == Some("heath@elsewhere.lit"));
        let why = destroy.get_child("reason", MUC_USER).map(Element::text);
        ensure!(why.as_deref() == Some("The battle is lost"));
    }
    scene.settled(&cast).await?;
    for actor in cast.all() {
        let error = actor.is_refused(actor.nick, "", "gone").await?;
        let gone = error.get_child("error", crate::stage::CLIENT);
        let to = gone
            .and_then(|error| error.get_child("gone", "urn:ietf:params:xml:ns:xmpp-stanzas"))
            .map(Element::text);
        ensure!(
            to.as_deref().is_some_and(|to| to.contains("heath@elsewhere.lit")),
            "{error:?}"
        );
    }
    scene.ends(cast).await
}
