//! XEP-0045 section 6, and what clients ask a room or an occupant.

use anyhow::{Result, ensure};
use dmuc_testbed::error_condition;

use super::scene::Scene;
use super::{Case, case};
use crate::asking::{has_feature, info_form, value};

pub const CASES: &[Case] = &[
    case!("6.4", "A room says what it is", a_room_says_what_it_is),
    case!(
        "6.5",
        "A room keeps its occupants to itself, and tells how many",
        how_many_occupants
    ),
    case!(
        "6.6",
        "An occupant is asked what its client can do",
        an_occupant_is_asked
    ),
    case!("XEP-0410", "A self-ping tells who is in", a_self_ping),
    case!(
        "XEP-0313",
        "The archive tells what was said, in order",
        the_archive
    ),
];

async fn a_room_says_what_it_is(scene: &Scene<'_>) -> Result<()> {
    let cast = scene
        .empty(&[
            ("muc#roomconfig_roomdesc", "A dark cave"),
            ("muc#roomconfig_moderatedroom", "1"),
            ("muc#roomconfig_membersonly", "1"),
            ("muc#roomconfig_publicroom", "1"),
            ("muc#roomconfig_whois", "anyone"),
            ("muc#roomconfig_lang", "la"),
        ])
        .await?;
    for actor in cast.all() {
        let info = actor.disco_info(&actor.room).await?;
        for feature in [
            "http://jabber.org/protocol/muc",
            "muc_persistent",
            "muc_public",
            "muc_moderated",
            "muc_membersonly",
            "muc_nonanonymous",
            "muc_unsecured",
            "http://jabber.org/protocol/muc#stable_id",
            "urn:xmpp:mam:2",
            "urn:xmpp:sid:0",
            "urn:xmpp:occupant-id:0",
        ] {
            ensure!(has_feature(&info, feature), "{feature} for {}", actor.nick);
        }
        let identity = info.children().find(|child| child.name() == "identity");
        let name = identity.and_then(|identity| identity.attr("name"));
        ensure!(name == Some("Conformance"), "{name:?}");
        let form = info_form(&info, "http://jabber.org/protocol/muc#roominfo");
        let described = form.and_then(|form| value(form, "muc#roominfo_description"));
        ensure!(described.as_deref() == Some("A dark cave"), "{described:?}");
        let language = form.and_then(|form| value(form, "muc#roominfo_lang"));
        ensure!(language.as_deref() == Some("la"), "{language:?}");
    }
    scene.ends(cast).await
}

async fn how_many_occupants(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[]).await?;
    for actor in cast.all() {
        let items = actor.disco_items(&actor.room).await?;
        ensure!(items.children().next().is_none(), "{items:?}");
    }
    let count = cast.third.disco_info(&cast.third.room).await?;
    let form = info_form(&count, "http://jabber.org/protocol/muc#roominfo");
    let count = form.and_then(|form| value(form, "muc#roominfo_occupants"));
    ensure!(count.as_deref() == Some("3"), "{count:?} occupants");
    scene.ends(cast).await
}

async fn an_occupant_is_asked(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[]).await?;
    for (asker, nick) in [
        (&cast.owner, "guest"),
        (&cast.guest, "third"),
        (&cast.third, "owner"),
    ] {
        let to = asker.sees(nick);
        for query in [
            "<query xmlns='http://jabber.org/protocol/disco#info'/>",
            "<ping xmlns='urn:xmpp:ping'/>",
            "<query xmlns='jabber:iq:version'/>",
        ] {
            let answer = asker
                .asks(&format!("<iq type='get' to='{to}'>{query}</iq>"))
                .await?;
            ensure!(answer.attr("type") == Some("result"), "{answer:?}");
            ensure!(answer.attr("from") == Some(&*to));
        }
        let nobody = asker.sees("nobody");
        let answer = asker
            .asks(&format!(
                "<iq type='get' to='{nobody}'><ping xmlns='urn:xmpp:ping'/></iq>"
            ))
            .await?;
        ensure!(error_condition(&answer).as_deref() == Some("item-not-found"));
    }
    scene.ends(cast).await
}

async fn a_self_ping(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.empty(&[]).await?;
    for actor in cast.all() {
        let answer = actor.self_ping(&actor.room, actor.nick).await?;
        ensure!(answer.as_deref() == Some("not-acceptable"), "{answer:?}");
        actor.joins().await?;
        let answer = actor.self_ping(&actor.room, actor.nick).await?;
        ensure!(answer.is_none(), "{answer:?}");
    }
    scene.ends(cast).await
}

async fn the_archive(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[]).await?;
    for (actor, text) in [
        (&cast.guest, "first"),
        (&cast.third, "second"),
        (&cast.owner, "third"),
    ] {
        actor.say_and_see(&actor.room, text).await?;
        scene.settled(&cast).await?;
    }
    for actor in cast.all() {
        let answer = actor
            .iq_xml(&format!(
                "<iq type='set' to='{}'><query xmlns='urn:xmpp:mam:2' queryid='q'/></iq>",
                actor.room
            ))
            .await?;
        ensure!(answer.attr("type") == Some("result"), "{answer:?}");
        let results = actor.drain_matching(|s| s.get_child("result", "urn:xmpp:mam:2").is_some());
        let bodies: Vec<String> = results
            .iter()
            .filter_map(|s| {
                let forwarded = s
                    .get_child("result", "urn:xmpp:mam:2")?
                    .get_child("forwarded", "urn:xmpp:forward:0")?;
                dmuc_testbed::body(forwarded.get_child("message", "jabber:client")?)
            })
            .collect();
        ensure!(bodies == ["first", "second", "third"], "{bodies:?}");
    }
    scene.ends(cast).await
}
