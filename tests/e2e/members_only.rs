//! A room becomes members-only: each instance removes its own people, and takes nobody else's away. The shadows have no
//! moderators here, so they do not know who the occupants of the others are.

use anyhow::{Context, Result};
use dmuc_testbed::{Storage, Version, code_list, on_every_version};

use crate::asking::gone;
use crate::support::{MACBETH, MARLOWE, SOURCE, VISITS, distributed, three, together};

async fn members_only(version: Version, storage: Storage) -> Result<()> {
    let fed = three("members-only", version, storage)
        .muc_line(VISITS)
        .start()
        .await?;
    let crone = distributed(&fed, &[]).await?;
    crone
        .set_affiliation(SOURCE, "somewitch@macbeth.lit", "member")
        .await?;
    let witch = fed[1].client("somewitch", "mobile").await?;
    witch.join(MACBETH, "firstwitch").await?;
    let faust = fed[2].client("faust", "study").await?;
    faust.join(MARLOWE, "faust").await?;
    let wagner = fed[2].client("wagner", "library").await?;
    crone
        .set_affiliation(SOURCE, "wagner@marlowe.lit", "member")
        .await?;
    wagner.join(MARLOWE, "wagner").await?;
    together(&fed, &["faust", "firstcrone", "firstwitch", "wagner"]).await?;

    crone
        .configure_room(SOURCE, &[("muc#roomconfig_membersonly", "1")])
        .await?;
    for (client, room) in [
        (&crone, SOURCE),
        (&witch, MACBETH),
        (&faust, MARLOWE),
        (&wagner, MARLOWE),
    ] {
        let presence = gone(client, room, "faust").await?;
        assert!(code_list(&presence).contains(&322), "at {room}: {presence:?}");
    }
    fed.settle(2).await?;
    together(&fed, &["firstcrone", "firstwitch", "wagner"]).await?;
    for (client, room) in [(&crone, SOURCE), (&witch, MACBETH), (&wagner, MARLOWE)] {
        client.sync().await?;
        let left = client.drain_matching(|s| s.attr("type") == Some("unavailable"));
        assert!(left.is_empty(), "{left:?}");
        client.say(room, room).await?;
        for other in [&crone, &witch, &wagner] {
            other.expect_body(room).await?;
        }
    }
    for room in [SOURCE, MACBETH, MARLOWE] {
        let refused = faust.try_join(room, "faust").await?.err().context("a refusal")?;
        assert_eq!(refused.condition, "registration-required", "at {room}");
    }
    fed.finish().await
}

on_every_version! {
    fn a_room_that_becomes_members_only_loses_those_who_are_none_and_nobody_else(version, storage = Sqlite) {
        members_only(version, storage).await
    }
}
