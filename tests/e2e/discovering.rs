//! Service discovery of a room, its people and its service (XEP-0045 section 6), and oneself in it (XEP-0410): each
//! instance answers by itself, also during a split, and says what the others say.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Client, Federation, Storage, Version, error_condition, on_every_version};

use crate::asking::{field, info_form, items, value, without_source};
use crate::splits::agreement::agree;
use crate::splits::hasty;
use crate::splits::scene::{ALL, Scene, Witness};
use crate::stage::canonical;
use crate::support::eventually;

const ROOMINFO: &str = "http://jabber.org/protocol/muc#roominfo";

/// What an instance says of the room, without what is its own: its source.
async fn described(client: &Client, room: &str) -> Result<String> {
    Ok(canonical(&without_source(&client.disco_info(room).await?)))
}

/// Every instance comes to say the same of the room, to whoever asks there.
async fn all_say(askers: [&Client; 3], rooms: &[String; 3], vars: &[(&str, &str)]) -> Result<()> {
    for (asker, room) in askers.into_iter().zip(rooms) {
        eventually(&format!("{room} has {vars:?}"), || async {
            let info = asker.disco_info(room).await?;
            let form = info_form(&info, ROOMINFO).context("muc#roominfo")?;
            Ok(vars
                .iter()
                .all(|(var, wanted)| value(form, var).unwrap_or_default() == *wanted))
        })
        .await?;
    }
    let expected = described(askers[0], &rooms[0]).await?;
    for (asker, room) in askers.into_iter().zip(rooms).skip(1) {
        let found = described(asker, room).await?;
        ensure!(found == expected, "{room} says\n{found}\nand not\n{expected}");
    }
    Ok(())
}

/// What a service lists.
async fn listed(client: &Client, service: &str) -> Result<Vec<(String, String)>> {
    Ok(items(&client.disco_items(service).await?))
}

/// Everybody is in their room, by their own nick and no other.
async fn each_is_there(people: &[Witness]) -> Result<()> {
    for witness in people {
        ensure!(witness.self_ping(&witness.room, &witness.nick).await?.is_none());
        let items = witness.disco_items(&witness.room).await?;
        ensure!(
            items.children().count() == 0,
            "mod_muc keeps its occupants to itself"
        );
        // A session that is not in the room.
        let ping = format!(
            "<iq type='get' to='{}/nobody'><ping xmlns='urn:xmpp:ping'/></iq>",
            witness.room
        );
        let answer = witness.iq_xml(&ping).await?;
        ensure!(
            error_condition(&answer).as_deref() == Some("item-not-found"),
            "{answer:?}"
        );
    }
    Ok(())
}

async fn discovering(version: Version, storage: Storage) -> Result<()> {
    let fed: Federation = hasty("discovering", version, storage).start().await?;
    let config = [
        ("muc#roomconfig_roomname", "A Dark Cave"),
        ("muc#roomconfig_roomdesc", "In the middle, a boiling cauldron"),
        ("muc#roomconfig_lang", "en"),
        ("muc#roomconfig_publicroom", "1"),
        ("muc#roomconfig_changesubject", "1"),
    ];
    let mut scene = Scene::opens(&fed, "coven", &config).await?;
    let rooms: [String; 3] = ALL.map(|server| fed[server].room("coven"));
    let mut outsiders = Vec::new();
    for server in ALL {
        outsiders.push(fed[server].client("outsider", "street").await?);
    }
    let askers = [&outsiders[0], &outsiders[1], &outsiders[2]];
    let first = [
        ("muc#roominfo_description", "In the middle, a boiling cauldron"),
        ("muc#roominfo_lang", "en"),
        ("muc#roominfo_occupants", "3"),
    ];
    all_say(askers, &rooms, &first).await?;
    // Only a shadow has a source.
    for (server, room) in rooms.iter().enumerate() {
        let info = askers[server].disco_info(room).await?;
        let form = info_form(&info, ROOMINFO).context("muc#roominfo")?;
        ensure!(field(form, "dmuc-source").is_some() == (server > 0));
        ensure!(
            listed(askers[server], fed[server].muc()).await? == [(room.clone(), "A Dark Cave".to_owned())]
        );
    }
    each_is_there(&scene.people).await?;
    // The history is as long as the source has it.
    let crone = &scene.people[0];
    crone
        .configure_room(&crone.room, &[("muc#roomconfig_historylength", "7")])
        .await?;
    agree(&scene).await?;
    let said = scene.speaks(2, 9).await?;
    scene.hear(&ALL, &said).await?;
    for (asker, room) in askers.into_iter().zip(&rooms) {
        let nick = format!("late at {room}");
        let history = asker.join(room, &nick).await?.history_bodies();
        ensure!(history == said[2..], "{room}: {history:?}");
        asker.leave(room, &nick).await?;
    }

    // What an owner changes at a shadow is what is found everywhere.
    crone
        .set_affiliation(&crone.room, "drfaust@marlowe.lit", "owner")
        .await?;
    let faust = &scene.people[2];
    eventually("faust is an owner at home", || async {
        Ok(faust.room_form(&faust.room).await.is_ok())
    })
    .await?;
    let changes = [
        ("muc#roomconfig_roomname", "A Study"),
        ("muc#roomconfig_roomdesc", "Ein gotisches Zimmer"),
        ("muc#roomconfig_lang", "de"),
        ("muc#roomconfig_membersonly", "1"),
        ("muc#roomconfig_moderatedroom", "1"),
        ("muc#roomconfig_passwordprotectedroom", "1"),
        ("muc#roomconfig_roomsecret", "Flederwisch"),
    ];
    for user in ["somewitch@macbeth.lit", "crone1@shakespeare.lit"] {
        let affiliation = if user.starts_with("crone") {
            "owner"
        } else {
            "member"
        };
        crone.set_affiliation(&crone.room, user, affiliation).await?;
    }
    faust.configure_room(&faust.room, &changes).await?;
    let second = [
        ("muc#roominfo_description", "Ein gotisches Zimmer"),
        ("muc#roominfo_lang", "de"),
        ("muc#roominfo_occupants", "3"),
    ];
    all_say(askers, &rooms, &second).await?;
    let found = described(askers[1], &rooms[1]).await?;
    for feature in [
        "muc_membersonly",
        "muc_moderated",
        "muc_passwordprotected",
        "muc_public",
        "muc_persistent",
    ] {
        ensure!(found.contains(feature), "{feature}: {found}");
    }
    agree(&scene).await?;

    // During a split: at once, and what is known there.
    fed.isolate(1).await;
    scene.is_alone(1).await?;
    all_say(askers, &rooms, &second).await?;
    each_is_there(&scene.people).await?;
    for (server, room) in rooms.iter().enumerate() {
        ensure!(listed(askers[server], fed[server].muc()).await? == [(room.clone(), "A Study".to_owned())]);
    }
    // Hidden meanwhile: the shadow that is cut off follows when it hears of it. (Prosody 13 lets only users of the source's
    // own server choose that.)
    crone
        .configure_room(&crone.room, &[("muc#roomconfig_publicroom", "0")])
        .await?;
    for server in [0, 2] {
        eventually("it is hidden", || async {
            Ok(listed(askers[server], fed[server].muc()).await?.is_empty())
        })
        .await?;
    }
    ensure!(listed(askers[1], fed[1].muc()).await?.len() == 1);
    scene.heals().await?;
    eventually("it is hidden at the last one, too", || async {
        Ok(listed(askers[1], fed[1].muc()).await?.is_empty())
    })
    .await?;
    all_say(askers, &rooms, &second).await?;
    ensure!(described(askers[1], &rooms[1]).await?.contains("muc_hidden"));
    agree(&scene).await?;

    // A restart makes nothing of it public, and forgets nothing.
    fed[1].restart().await?;
    outsiders[1] = fed[1].client("outsider", "again").await?;
    ensure!(listed(&outsiders[1], fed[1].muc()).await?.is_empty());
    let askers = [&outsiders[0], &outsiders[1], &outsiders[2]];
    let witch = fed[1].client("somewitch", "coven-1").await?;
    let joined = witch
        .join_with(&rooms[1], "firstwitch", "<password>Flederwisch</password>")
        .await??;
    ensure!(joined.own_nick() == "firstwitch");
    all_say(askers, &rooms, &second).await?;
    crone
        .configure_room(&crone.room, &[("muc#roomconfig_publicroom", "1")])
        .await?;
    for (server, room) in rooms.iter().enumerate() {
        eventually("it is public again", || async {
            let wanted = [(room.clone(), "A Study".to_owned())];
            Ok(listed(askers[server], fed[server].muc()).await? == wanted)
        })
        .await?;
    }
    scene.people.clear();
    fed.finish().await
}

on_every_version! {
    fn discovery_says_the_same_at_every_instance_also_during_a_split(version, storage = Sqlite) {
        discovering(version, storage).await
    }
}
