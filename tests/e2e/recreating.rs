//! After a room was destroyed: what is said at the address of each of its instances, and a new room of the same name.

use anyhow::{Context, Result};
use dmuc_testbed::{Client, Element, Federation, Storage, Version, on_every_version, to_string};

use crate::asking::role;
use crate::destroying::{VENUE, destroy, is_out};
use crate::splits::{hasty, patience};
use crate::support::{
    MACBETH, MARLOWE, SOURCE, VISITS, distributed, eventually, instances, replicated, together,
};

const CLIENT: &str = "jabber:client";
const STANZA_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
const WHY: &str = "The charm is wound up";

/// It is gone, why, and where it goes on.
fn is_gone(answer: &Element, room: &str) -> Result<()> {
    let what = || format!("{room}: {}", to_string(answer));
    let error = answer.get_child("error", CLIENT).with_context(what)?;
    assert_eq!(error.attr("type"), Some("cancel"), "{}", what());
    let gone = error.get_child("gone", STANZA_ERRORS).with_context(what)?;
    assert_eq!(gone.text(), format!("xmpp:{VENUE}?join"), "{}", what());
    let text = error.get_child("text", STANZA_ERRORS).with_context(what)?;
    assert_eq!(text.text(), WHY, "{}", what());
    Ok(())
}

/// Whatever is asked of an instance that was.
async fn says_that_it_is_gone(client: &Client, room: &str) -> Result<()> {
    let refusal = client.try_join(room, "late").await?.err().context("a refusal")?;
    is_gone(&refusal.presence, room)?;
    for query in [
        "<query xmlns='http://jabber.org/protocol/disco#info'/>",
        "<query xmlns='jabber:iq:register'/>",
        "<query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='owner'/></query>",
    ] {
        is_gone(
            &client
                .iq_xml(&format!("<iq type='get' to='{room}'>{query}</iq>"))
                .await?,
            room,
        )?;
    }
    let ping = format!("<iq type='get' to='{room}/late'><ping xmlns='urn:xmpp:ping'/></iq>");
    is_gone(&client.iq_xml(&ping).await?, room)?;
    let id = client.say(room, "Is anybody there?").await?;
    let bounce = client
        .expect("a bounce", |s| {
            s.attr("id") == Some(&*id) && s.attr("type") == Some("error")
        })
        .await?;
    is_gone(&bounce, room)
}

/// Somebody joins: nothing is left of an earlier room.
async fn joins_afresh(client: &Client, room: &str, nick: &str, said: &[&str]) -> Result<()> {
    let joined = client.join(room, nick).await?;
    assert_eq!(joined.history_bodies(), said, "{room}");
    assert_eq!(joined.subject(), "", "{room}");
    assert!(!joined.codes().contains(&201), "{room} was made anew by joining");
    let archived = client.mam_after(room, None, 50).await?;
    let bodies: Vec<_> = archived
        .iter()
        .filter_map(|item| dmuc_testbed::body(&item.message))
        .collect();
    assert_eq!(bodies, said, "the archive of {room}");
    Ok(())
}

/// One line each, heard by all.
async fn talk(people: &[(&Client, &str)], occasion: &str) -> Result<Vec<String>> {
    let mut said = Vec::new();
    for (speaker, room) in people {
        let text = format!("{occasion} at {room}");
        speaker.say(room, &text).await?;
        for (hearer, _) in people {
            hearer.expect_body(&text).await?;
        }
        said.push(text);
    }
    Ok(said)
}

/// The end of the room reaches somebody whose server was away.
async fn hears_late(witch: &Client, seen: usize) -> Result<()> {
    let own = format!("{MACBETH}/witch");
    let is_end = |s: &Element| s.attr("from") == Some(&*own) && s.attr("type") == Some("unavailable");
    witch
        .until("the room is over", patience(), |all| {
            all.iter().skip(seen).any(is_end)
        })
        .await
}

/// The room as crone makes it again, empty.
async fn again(fed: &Federation, crone: &Client, services: &[&str]) -> Result<()> {
    let marks: Vec<_> = fed.servers().iter().map(|server| server.log().mark()).collect();
    let config = [
        ("muc#roomconfig_distributed", "1"),
        ("muc#roomconfig_publicroom", "1"),
    ];
    crone.create_room(SOURCE, "firstcrone", &config).await?;
    for service in services {
        let line = format!("{SOURCE}: {service} has an instance");
        fed[0].log().wait_since(marks[0], &line, patience()).await?;
    }
    Ok(())
}

async fn recreating(version: Version, storage: Storage) -> Result<()> {
    let fed = hasty("recreating", version, storage)
        .muc_line(VISITS)
        // Who may take the place of a tombstone.
        .with_server(0, |s| {
            s.muc_lines.push("admins = { \"crone1@shakespeare.lit\" }".into())
        })
        .with_server(2, |s| {
            s.muc_lines.retain(|line| !line.starts_with("dmuc_room_id"));
            s.muc_lines.push("dmuc_room_id = \"uuid\"".into());
        })
        .start()
        .await?;
    let crone = distributed(&fed, &[]).await?;
    let witch = fed[1].client("somewitch", "mobile").await?;
    let faust = fed[2].client("drfaust", "study").await?;
    let people = [(&crone, SOURCE), (&witch, MACBETH), (&faust, MARLOWE)];
    witch.keep_transcript();
    witch.join(MACBETH, "witch").await?;
    faust.join(MARLOWE, "faust").await?;
    together(&fed, &["faust", "firstcrone", "witch"]).await?;
    crone
        .set_affiliation(SOURCE, "drfaust@marlowe.lit", "owner")
        .await?;
    crone
        .set_affiliation(SOURCE, "banquo@macbeth.lit", "outcast")
        .await?;
    crone.set_subject(SOURCE, "Toil and trouble").await?;
    talk(&people, "The first time").await?;

    // Gone everywhere, with the way to go on. (Who may take the place of a tombstone is not told so.)
    crone.iq_ok(&destroy(SOURCE, VENUE, WHY)).await?;
    let late = fed[1].client("latecomer", "gate").await?;
    for ((client, room), nick) in people.into_iter().zip(["firstcrone", "witch", "faust"]) {
        is_out(client, room, nick, WHY).await?;
        says_that_it_is_gone(&late, room).await?;
    }
    says_that_it_is_gone(&witch, MACBETH).await?;
    says_that_it_is_gone(&faust, MARLOWE).await?;

    // A new one under the old name, at once: nothing of the old one is in it.
    again(&fed, &crone, &["rooms.macbeth.lit", "conference.marlowe.lit"]).await?;
    replicated(&fed, &["rooms.macbeth.lit", "conference.marlowe.lit"]).await?;
    joins_afresh(&witch, MACBETH, "witch", &[]).await?;
    joins_afresh(&faust, MARLOWE, "faust", &[]).await?;
    together(&fed, &["faust", "firstcrone", "witch"]).await?;
    for (_, room) in people {
        assert!(crone.affiliated(room, "outcast").await?.is_empty(), "{room}");
        assert_eq!(
            crone.affiliated(room, "owner").await?,
            ["crone1@shakespeare.lit"],
            "{room}"
        );
    }
    talk(&people, "The second time").await?;

    // Again, while the witch's server is out of reach: twice.
    let seen = witch.with_transcript(<[Element]>::len);
    fed.isolate(1).await;
    for (client, room) in [people[0], people[1]] {
        client
            .expect_within("the end of the connection", patience(), |s| {
                s.attr("from") == Some(room)
                    && dmuc_testbed::body(s).is_some_and(|text| text.contains("is interrupted"))
            })
            .await?;
    }
    for time in ["third", "fourth"] {
        crone.iq_ok(&destroy(SOURCE, VENUE, WHY)).await?;
        is_out(&crone, SOURCE, "firstcrone", WHY).await?;
        is_out(&faust, MARLOWE, "faust", WHY).await?;
        again(&fed, &crone, &["conference.marlowe.lit"]).await?;
        joins_afresh(&faust, MARLOWE, "faust", &[]).await?;
        eventually("both are in", || async {
            Ok(crate::support::nicks(&fed, 0, SOURCE).await? == ["faust", "firstcrone"])
        })
        .await?;
        talk(&[people[0], people[2]], &format!("The {time} time")).await?;
    }
    // She knows nothing of that.
    assert_eq!(witch.self_ping(MACBETH, "witch").await?, None);
    witch.say_and_see(MACBETH, "Where are they?").await?;
    fed.heal_all().await;
    hears_late(&witch, seen).await?;
    is_out(&witch, MACBETH, "witch", WHY).await?;
    eventually("the new room has come", || async {
        Ok(instances(&fed, 1, MACBETH).await?.len() == 2 && instances(&fed, 2, MARLOWE).await?.len() == 2)
    })
    .await?;
    let said = [
        "The fourth time at coven@chat.shakespeare.lit",
        "The fourth time at coven@conference.marlowe.lit",
    ];
    joins_afresh(&witch, MACBETH, "witch", &said).await?;
    together(&fed, &["faust", "firstcrone", "witch"]).await?;
    talk(&people, "At last").await?;

    // Destroyed for good while she is away, with nothing in its place.
    let seen = witch.with_transcript(<[Element]>::len);
    fed.isolate(1).await;
    crone.iq_ok(&destroy(SOURCE, VENUE, WHY)).await?;
    is_out(&faust, MARLOWE, "faust", WHY).await?;
    fed.heal_all().await;
    hears_late(&witch, seen).await?;
    is_out(&witch, MACBETH, "witch", WHY).await?;
    for (server, (_, room)) in people.into_iter().enumerate() {
        assert_eq!(role(&fed, server, room).await?, None);
        says_that_it_is_gone(&late, room).await?;
    }
    other_ids(&fed, &faust, &witch).await?;
    fed.finish().await
}

/// With ids that are made up, the addresses of the old shadows stay gone, and the new ones are others.
async fn other_ids(fed: &Federation, faust: &Client, witch: &Client) -> Result<()> {
    let study = fed[2].room("study");
    let config = [("muc#roomconfig_distributed", "1")];
    let there = |others: Vec<String>| {
        others
            .into_iter()
            .find(|room| room.ends_with("@rooms.macbeth.lit"))
    };
    faust.create_room(&study, "faust", &config).await?;
    eventually("the study has its shadows", || async {
        Ok(instances(fed, 2, &study).await?.len() == 2)
    })
    .await?;
    let old = there(instances(fed, 2, &study).await?).context("a shadow")?;
    witch.join(&old, "witch").await?;
    faust.iq_ok(&destroy(&study, VENUE, WHY)).await?;
    is_out(witch, &old, "witch", WHY).await?;
    says_that_it_is_gone(witch, &old).await?;
    says_that_it_is_gone(witch, &study).await?;
    // The tombstone at the source goes when its time is over.
    fed[2]
        .eval(&format!(
            "local room = prosody.hosts['{}'].modules.muc.get_room_from_jid('{study}'); room._data.locked = os.time() - 1",
            fed[2].muc()
        ))
        .await?;
    faust.create_room(&study, "faust", &config).await?;
    eventually("the new study has its shadows", || async {
        Ok(instances(fed, 2, &study).await?.len() == 2)
    })
    .await?;
    let new = there(instances(fed, 2, &study).await?).context("a shadow")?;
    assert_ne!(new, old);
    joins_afresh(witch, &new, "witch", &[]).await?;
    says_that_it_is_gone(witch, &old).await
}

on_every_version! {
    fn what_was_destroyed_is_gone_and_a_room_of_its_name_is_a_new_one(version, storage) {
        recreating(version, storage).await
    }
}
