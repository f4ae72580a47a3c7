//! A room that is no longer shared sends those out who know it by another address: their clients join where it is.

use anyhow::{Result, ensure};
use dmuc_testbed::{Storage, Version, body, code_list, on_every_version, to_string};

use super::scene::{A, H, cast, served, servers, streams_of_users};

/// The source is an ordinary room again, and the shadow is closed.
async fn closed(version: Version, storage: Storage) -> Result<()> {
    let fed = servers("address-closed", version, storage).start().await?;
    let cast = cast(&fed, &[]).await?;
    let ross = fed[1].client("ross", "tabs").await?;
    ross.join(A, "ross").await?;
    ross.join(H, "ross").await?;
    ross.sync().await?;
    ross.drain();
    cast.crone
        .configure_room(A, &[("muc#roomconfig_distributed", "0")])
        .await?;
    cast.witch
        .hears("firstwitch", "being out", |s| {
            s.name() == "presence" && s.attr("type") == Some("unavailable") && code_list(s).contains(&110)
        })
        .await?;
    served(&fed, 1, A, None).await?;
    // Who knows this room stays, and is told.
    cast.lennox
        .expect("the closing line", |s| {
            body(s).is_some_and(|text| text.contains("no longer shared"))
        })
        .await?;
    // Who has both is out of the one and in the other.
    ross.expect("being out by that address", |s| {
        s.attr("from") == Some(&*format!("{A}/ross")) && code_list(s).contains(&110)
    })
    .await?;
    ross.expect("the closing line in the other", |s| {
        s.attr("from") == Some(H) && body(s).is_some_and(|text| text.contains("no longer shared"))
    })
    .await?;
    // The room is where it is.
    let joined = cast.witch.join(A, "firstwitch").await?;
    ensure!(joined.nicks() == ["firstcrone"], "{:?}", joined.nicks());
    cast.witch.say(A, "At the source itself").await?;
    cast.crone.expect_body("At the source itself").await?;
    cast.witch.expect_body("At the source itself").await?;
    ensure!(streams_of_users(&fed, 1).await? > 0);
    // It is shared again: who is there stays there until the next join.
    cast.witch.sync().await?;
    cast.witch.drain();
    cast.crone
        .configure_room(A, &[("muc#roomconfig_distributed", "1")])
        .await?;
    served(&fed, 1, A, Some(H)).await?;
    cast.witch.say(A, "Still there").await?;
    cast.witch.expect_body("Still there").await?;
    cast.witch.join(A, "firstwitch").await?;
    cast.witch.say(A, "Here again").await?;
    cast.witch.expect_body("Here again").await?;
    cast.lennox.expect_body("Here again").await?;
    fed.finish().await
}

/// Who administers the shadow's service ends it there: the room goes on at the source.
async fn left(version: Version, storage: Storage) -> Result<()> {
    let fed = servers("address-left", version, storage).start().await?;
    let cast = cast(&fed, &[]).await?;
    let muc = fed[1].muc().to_owned();
    fed[1]
        .eval(&format!(
            "return prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{H}'):destroy()"
        ))
        .await?;
    let out = cast
        .witch
        .hears("firstwitch", "being out", |s| {
            s.attr("type") == Some("unavailable") && code_list(s).contains(&110)
        })
        .await?;
    ensure!(!to_string(&out).contains(H), "{}", to_string(&out));
    served(&fed, 1, A, None).await?;
    let joined = cast.witch.join(A, "firstwitch").await?;
    ensure!(
        joined.nicks().contains(&"firstcrone".to_owned()),
        "{:?}",
        joined.nicks()
    );
    cast.witch.say(A, "At the source itself").await?;
    for client in [&cast.witch.client, &cast.crone] {
        client.expect_body("At the source itself").await?;
    }
    fed.finish().await
}

on_every_version! {
    fn a_room_that_is_not_shared_any_more_sends_people_where_it_is(version, storage = Internal) {
        closed(version, storage).await
    }
    fn a_shadow_that_leaves_sends_people_where_the_room_is(version, storage = Internal) {
        left(version, storage).await
    }
}
