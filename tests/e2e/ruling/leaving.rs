//! An administrator of a service who is no owner of the room destroys the shadow there: it leaves, the room goes on
//! elsewhere, and whoever was in it is shown the way to the source.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Federation, Storage, Version, error_condition, on_every_version, to_string};

use super::answered;
use crate::asking::{gone, invited_to, role};
use crate::stage::{MUC_USER, Person, company, quiet};
use crate::support::{VISITS, eventually, instances, nicks, three};

fn destroy(room: &str, why: &str) -> String {
    format!(
        "<iq type='set' to='{room}'><query xmlns='http://jabber.org/protocol/muc#owner'>\
         <destroy><reason>{why}</reason></destroy></query></iq>"
    )
}

/// The shadow at the second server is gone, and nobody there but those who followed to the source.
async fn is_apart(fed: &Federation, name: &str) -> Result<()> {
    assert_eq!(role(fed, 1, &fed[1].room(name)).await?, None);
    for (server, other) in [(0, 2), (2, 0)] {
        let (room, other) = (fed[server].room(name), fed[other].room(name));
        eventually(&format!("{room} shares with {other} alone"), || async {
            Ok(instances(fed, server, &room).await? == [other.as_str()])
        })
        .await?;
    }
    Ok(())
}

async fn destroyed_by_an_administrator(fed: &Federation) -> Result<()> {
    let people = company(fed, "coven", &[]).await?;
    let [crone, witch, faust] = people.each_ref();
    let hecate = fed[1].client("hecate", "desk").await?;
    // Not by anybody, and not at another service.
    answered(witch, &destroy(&witch.room, "I wish"), Some("forbidden")).await?;
    answered(&hecate, &destroy(&faust.room, "I wish"), Some("forbidden")).await?;
    quiet(fed, &[crone, witch, faust]).await?;
    hecate.iq_ok(&destroy(&witch.room, "Too loud")).await?;
    // At home it is destroyed as any room, with the source as its venue, and an invitation there.
    let presence = gone(witch, &witch.room, "firstwitch").await?;
    let destroyed = presence
        .get_child("x", MUC_USER)
        .and_then(|x| x.get_child("destroy", MUC_USER));
    let destroyed = destroyed.with_context(|| to_string(&presence))?;
    assert_eq!(destroyed.attr("jid"), Some(&*crone.room));
    let why = destroyed
        .get_child("reason", MUC_USER)
        .map(|reason| reason.text());
    assert_eq!(why.as_deref(), Some("Too loud"));
    let invitation = witch.expect("an invitation", |s| invited_to(s).is_some()).await?;
    assert_eq!(invited_to(&invitation), Some(&*crone.room));
    assert_eq!(invitation.attr("from"), Some(&*witch.room));
    // Elsewhere she has left, and that is all.
    for person in [crone, faust] {
        let presence = gone(person, &person.room, "firstwitch").await?;
        let is_destroyed = presence
            .get_child("x", MUC_USER)
            .and_then(|x| x.get_child("destroy", MUC_USER));
        ensure!(is_destroyed.is_none(), "{}", to_string(&presence));
    }
    is_apart(fed, "coven").await?;
    // Who comes late is sent there, too, and nobody at the source is sent back.
    let late = fed[1].client("banquo", "late").await?;
    let refused = late
        .try_join(&witch.room, "banquo")
        .await?
        .err()
        .context("a refusal")?;
    assert_eq!(refused.condition, "gone");
    ensure!(
        to_string(&refused.presence).contains(&format!("xmpp:{}?join", crone.room)),
        "{refused}"
    );
    witch.join(&crone.room, "firstwitch").await?;
    witch.say(&crone.room, "Here we go on").await?;
    for person in [crone, faust] {
        person.expect_body("Here we go on").await?;
    }
    // It does not come back by itself when the source starts again.
    fed[0].restart().await?;
    fed[0]
        .wait_for_log("coven@chat.shakespeare.lit: rooms.macbeth.lit refused")
        .await?;
    let crone = fed[0].client("crone1", "back").await?;
    crone.join(&people[0].room, "firstcrone").await?;
    eventually("the two who are left meet again", || async {
        Ok(nicks(fed, 2, &people[2].room).await? == ["faust", "firstcrone"])
    })
    .await?;
    is_apart(fed, "coven").await
}

/// A module, or the shell, which asks nobody; and while the source cannot be reached.
async fn destroyed_by_the_shell(fed: &Federation) -> Result<()> {
    let people = company(fed, "heath", &[]).await?;
    let [crone, witch, faust] = people.each_ref();
    fed.link(0, 1).stall().await;
    let muc = fed[1].muc();
    fed[1]
        .eval(&format!(
            "return prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{}'):destroy()",
            witch.room
        ))
        .await?;
    let presence = gone(witch, &witch.room, "firstwitch").await?;
    ensure!(
        to_string(&presence).contains(&*crone.room),
        "{}",
        to_string(&presence)
    );
    let invitation = witch.expect("an invitation", |s| invited_to(s).is_some()).await?;
    assert_eq!(invited_to(&invitation), Some(&*crone.room));
    fed.link(0, 1).heal().await;
    is_apart(fed, "heath").await?;
    faust.say(&faust.room, "Who is left").await?;
    crone.expect_body("Who is left").await?;
    Ok(())
}

/// An owner who administers the service rules the room, not only its shadow.
async fn destroyed_by_an_owner(fed: &Federation) -> Result<()> {
    let people = company(fed, "wood", &[]).await?;
    let [crone, witch, faust] = people.each_ref();
    crone
        .set_affiliation(&crone.room, "hecate@macbeth.lit", "owner")
        .await?;
    let hecate = Person::joins(fed, 1, "hecate", "wood", "hecate").await?;
    super::all_see(&[crone, witch, faust], "hecate", "owner", "moderator").await?;
    hecate.iq_ok(&destroy(&hecate.room, "All is done")).await?;
    for person in [crone, witch, faust] {
        gone(person, &person.room, &person.nick).await?;
        let late = fed[person.server].client("banquo", "wood").await?;
        let refused = late
            .try_join(&person.room, "banquo")
            .await?
            .err()
            .context("a refusal")?;
        assert_eq!(error_condition(&refused.presence).as_deref(), Some("gone"));
    }
    Ok(())
}

async fn leaving(version: Version, storage: Storage) -> Result<()> {
    let fed = three("leaving", version, storage)
        .muc_line(VISITS)
        .with_server(1, |s| {
            s.muc_lines.push("admins = { \"hecate@macbeth.lit\" }".into())
        })
        .start()
        .await?;
    destroyed_by_the_shell(&fed).await?;
    destroyed_by_an_owner(&fed).await?;
    destroyed_by_an_administrator(&fed).await?;
    fed.finish().await
}

on_every_version! {
    fn an_administrator_of_a_service_ends_its_shadow_and_nothing_else(version, storage = Sqlite) {
        leaving(version, storage).await
    }
}
