//! What becomes of a room when peers refuse, know nothing of distributed rooms, or are not there (XEP-0281
//! sections 3.2 and 4). The owner is told in words, and so is the log.

use anyhow::Result;
use dmuc_testbed::{Client, Federation, Storage, Version, body, on_every_version};

use crate::asking::role;
use crate::support::{VISITS, eventually, instances, three};

const ROOM: &str = "coven@chat.shakespeare.lit";

/// The owner reads it in the room, the administrator in the log.
async fn is_told(fed: &Federation, owner: &Client, peer: &str, words: &[&str]) -> Result<()> {
    let told = owner
        .expect(&format!("words about {peer}"), |s| {
            s.attr("from") == Some(ROOM) && body(s).is_some_and(|text| text.contains(peer))
        })
        .await?;
    let text = body(&told).unwrap_or_default();
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text:?}");
    }
    fed[0].wait_for_log(&format!("warn.*{ROOM}: .*{peer}")).await?;
    Ok(())
}

async fn refusals(version: Version, storage: Storage) -> Result<()> {
    // After the firsthost: one that does not list us, one with a room of the same name, one that is full, one
    // without the module, one that is started later.
    let fed = Federation::builder()
        .servers(6)
        .label("refusals")
        .version(version)
        .storage(storage)
        .dmuc(true)
        .muc_line("dmuc_room_id = \"name\"")
        .muc_line("dmuc_shadow_names = \"any\"")
        .with_server(0, |s| {
            s.muc_lines.push(
                "dmuc_peers = { \"rooms.macbeth.lit\"; \"conference.marlowe.lit\"; \"muc.jonson.lit\"; \
                 \"chat.kyd.lit\"; \"rooms.webster.lit\" }"
                    .into(),
            );
        })
        .with_server(1, |s| {
            s.muc_lines
                .push("dmuc_peers = { \"conference.marlowe.lit\" }".into())
        })
        .with_server(3, |s| s.muc_lines.push("dmuc_max_shadows = 0".into()))
        .with_server(4, |s| s.dmuc = false)
        .prepare()
        .await?;
    for index in 0..5 {
        fed[index].start().await?;
    }
    let faust = fed[2].client("faust", "study").await?;
    let theirs = fed[2].room("coven");
    for room in [&theirs, &fed[2].room("coven.chat.shakespeare.lit")] {
        faust
            .create_room(room, "faust", &[("muc#roomconfig_roomname", "Not yours")])
            .await?;
    }

    let crone = fed[0].client("crone1", "desktop").await?;
    crone.create_room(ROOM, "firstcrone", &[]).await?;
    let hag = fed[0].client("hag66", "pda").await?;
    hag.join(ROOM, "thirdwitch").await?;
    crone
        .configure_room(ROOM, &[("muc#roomconfig_distributed", "1")])
        .await?;
    is_told(&fed, &crone, "rooms.macbeth.lit", &["refused", "does not peer"]).await?;
    is_told(
        &fed,
        &crone,
        "conference.marlowe.lit",
        &["refused", "ordinary room"],
    )
    .await?;
    is_told(&fed, &crone, "muc.jonson.lit", &["refused", "as many"]).await?;
    is_told(&fed, &crone, "chat.kyd.lit", &["does not support", "no instance"]).await?;
    is_told(&fed, &crone, "rooms.webster.lit", &["cannot be reached", "again"]).await?;

    // What was refused has changed nothing there, and the room here goes on as an ordinary one.
    assert_eq!(faust.join(&theirs, "faust").await?.nicks(), Vec::<String>::new());
    assert_eq!(role(&fed, 2, &theirs).await?, None);
    for server in [1, 3] {
        let rooms = fed[server]
            .client("looker", "on")
            .await?
            .disco_items(fed[server].muc())
            .await?;
        assert_eq!(rooms.children().count(), 0);
    }
    crone.say(ROOM, "When shall we three meet again?").await?;
    hag.expect_body("When shall we three meet again?").await?;
    let guest = fed[4].client("hieronimo", "garden").await?;
    assert_eq!(guest.join(ROOM, "hieronimo").await?.nicks().len(), 2);
    assert_eq!(instances(&fed, 0, ROOM).await?, Vec::<String>::new());

    // The one that was away is asked again until it answers.
    fed[5].start().await?;
    fed[0]
        .wait_for_log(&format!("{ROOM}: rooms.webster.lit has an instance"))
        .await?;
    let bosola = fed[5].client("bosola", "galley").await?;
    let shadow = fed[5].room("coven.chat.shakespeare.lit");
    let joined = bosola.join(&shadow, "bosola").await?;
    let mut nicks = joined.nicks();
    nicks.sort();
    assert_eq!(nicks, ["firstcrone", "hieronimo", "thirdwitch"]);
    bosola.say(&shadow, "Look you, the stars shine still").await?;
    for client in [&crone, &hag, &guest] {
        client.expect_body("Look you, the stars shine still").await?;
    }

    // Only the owner is bothered, and once each.
    hag.sync().await?;
    let heard = hag.drain_matching(|s| s.attr("from") == Some(ROOM) && body(s).is_some());
    assert!(heard.is_empty(), "{heard:?}");
    crone.sync().await?;
    let repeated = crone.drain_matching(|s| s.attr("from") == Some(ROOM) && body(s).is_some());
    assert!(repeated.is_empty(), "{repeated:?}");
    fed.finish().await
}

on_every_version! {
    fn a_peer_that_refuses_leaves_an_ordinary_room_and_an_owner_who_knows_why(version, storage) {
        refusals(version, storage).await
    }
}

async fn on_join(version: Version, storage: Storage) -> Result<()> {
    let fed = three("on-join", version, storage)
        .muc_line(VISITS)
        .muc_line("dmuc_replicate = \"on-join\"")
        .start()
        .await?;
    let crone = fed[0].client("crone1", "desktop").await?;
    crone
        .create_room(ROOM, "firstcrone", &[("muc#roomconfig_distributed", "1")])
        .await?;
    fed[0].wait_for_log(&format!("{ROOM} is distributed now")).await?;
    fed.settle(2).await?;
    assert_eq!(instances(&fed, 0, ROOM).await?, Vec::<String>::new());
    let macbeth = fed[1].room("coven");
    assert_eq!(role(&fed, 1, &macbeth).await?, None);
    // The first user of a peer's domain gets in at the source, and that peer is asked.
    let witch = fed[1].client("somewitch", "mobile").await?;
    witch.join(ROOM, "firstwitch").await?;
    fed[0]
        .wait_for_log(&format!("{ROOM}: rooms.macbeth.lit has an instance"))
        .await?;
    eventually("the shadow is there", || async {
        Ok(role(&fed, 1, &macbeth).await?.as_deref() == Some("shadow"))
    })
    .await?;
    let lennox = fed[1].client("lennox", "castle").await?;
    let mut nicks = lennox.join(&macbeth, "lennox").await?.nicks();
    nicks.sort();
    assert_eq!(nicks, ["firstcrone", "firstwitch"]);
    crone.say(ROOM, "Round about the cauldron go").await?;
    for client in [&witch, &lennox] {
        client.expect_body("Round about the cauldron go").await?;
    }
    // Nobody asked for one at the third service.
    fed.settle(2).await?;
    assert_eq!(instances(&fed, 0, ROOM).await?, ["coven@rooms.macbeth.lit"]);
    assert_eq!(role(&fed, 2, &fed[2].room("coven")).await?, None);
    fed.finish().await
}

on_every_version! {
    fn with_on_join_a_peer_is_asked_when_its_first_user_joins(version, storage) {
        on_join(version, storage).await
    }
}
