//! The XEP's story: created, replicated, joined, talked in, left.

use anyhow::Result;
use dmuc_testbed::{Storage, Version, on_every_version};

use crate::support::{MACBETH, MARLOWE, SOURCE, distributed, three, together};

async fn the_story(version: Version, storage: Storage) -> Result<()> {
    let fed = three("story", version, storage).start().await?;
    let crone = distributed(&fed, &[]).await?;
    let witch = fed[1].client("somewitch", "mobile").await?;
    let faust = fed[2].client("faust", "study").await?;
    let joined = witch.join(MACBETH, "firstwitch").await?;
    assert_eq!(joined.nicks(), ["firstcrone"]);
    together(&fed, &["firstcrone", "firstwitch"]).await?;
    let joined = faust.join(MARLOWE, "faust").await?;
    let mut nicks = joined.nicks();
    nicks.sort();
    assert_eq!(nicks, ["firstcrone", "firstwitch"]);
    together(&fed, &["faust", "firstcrone", "firstwitch"]).await?;
    for (client, room) in [(&crone, SOURCE), (&witch, MACBETH)] {
        let body = format!("Hail from {room}");
        let id = client.say(room, &body).await?;
        for other in [&crone, &witch, &faust] {
            let message = other.expect_body(&body).await?;
            assert_eq!(message.attr("id"), Some(&*id));
        }
    }
    fed.finish().await
}

on_every_version! {
    fn the_story(version, storage) {
        the_story(version, storage).await
    }
}
