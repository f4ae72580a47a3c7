//! The XEP's story: created, replicated, joined, talked in, left.

use anyhow::Result;
use dmuc_testbed::{Storage, Version};

use crate::support::{MACBETH, MARLOWE, SOURCE, distributed, three, together};

async fn the_story(version: Version, storage: Storage) -> Result<()> {
    if !version.available() {
        return Ok(());
    }
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

#[tokio::test]
async fn the_story_on_0_12() -> Result<()> {
    the_story(Version::V0_12, Storage::Internal).await
}

#[tokio::test]
async fn the_story_on_13() -> Result<()> {
    the_story(Version::V13, Storage::Sqlite).await
}
