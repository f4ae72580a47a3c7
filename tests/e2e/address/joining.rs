//! Joining, talking, leaving.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Storage, Version, body, code_list, on_every_version};

use super::scene::{A, Guest, H, everybody_hears, founded, servers, streams_of_users};
use crate::stage::{STANZA_ID, occupant_id};

/// Join with history and subject, talk, leave.
async fn talk(version: Version, storage: Storage) -> Result<()> {
    let fed = servers("address-talk", version, storage).start().await?;
    let crone = founded(&fed, &[]).await?;
    crone.say_and_see(A, "When shall we three meet again?").await?;
    crone.set_subject(A, "The heath").await?;
    crone.sync().await?;
    fed.settle(1).await?;
    let witch = Guest::joins(&fed, "somewitch", "by-a", A, "firstwitch").await?;
    let lennox = Guest::joins(&fed, "lennox", "by-h", H, "lennox").await?;
    ensure!(witch.joined.nicks() == ["firstcrone"] && witch.joined.subject() == "The heath");
    for guest in [&witch, &lennox] {
        let past = &guest.joined.history;
        let past = past.first().context("a history")?;
        assert_eq!(past.attr("from"), Some(&*guest.place_of("firstcrone")));
        let delay = past.get_child("delay", "urn:xmpp:delay").context("a delay")?;
        assert_eq!(delay.attr("from"), Some(guest.address));
        let id = past.get_child("stanza-id", STANZA_ID).context("a stanza-id")?;
        assert_eq!(id.attr("by"), Some(guest.address));
    }
    let cast = super::scene::Cast { crone, witch, lennox };
    everybody_hears(&cast, "hail").await?;
    let said = cast.witch.say_and_see(A, "Fair is foul").await?;
    assert_eq!(said.attr("from"), Some(&*cast.witch.place_of("firstwitch")));
    let heard = cast
        .lennox
        .hears("firstwitch", "the same", |s| {
            body(s).as_deref() == Some("Fair is foul")
        })
        .await?;
    let there = cast.crone.expect_body("Fair is foul").await?;
    assert_eq!(there.attr("from"), Some("coven@chat.shakespeare.lit/firstwitch"));
    for message in [&heard, &there] {
        assert_eq!(occupant_id(message)?, occupant_id(&said)?);
    }
    let ids: Vec<_> = [&said, &heard, &there]
        .iter()
        .map(|m| m.get_child("stanza-id", STANZA_ID).and_then(|id| id.attr("id")))
        .collect();
    ensure!(
        ids[0].is_some() && ids[0] == ids[1] && ids[1] == ids[2],
        "{ids:?}"
    );
    let out = cast.witch.leave(A, "firstwitch").await?;
    assert_eq!(code_list(&out), [110]);
    cast.crone
        .expect("witch leaves", |s| {
            s.attr("type") == Some("unavailable")
                && s.attr("from") == Some("coven@chat.shakespeare.lit/firstwitch")
        })
        .await?;
    cast.witch.all().await?;
    cast.lennox.all().await?;
    assert_eq!(streams_of_users(&fed, 1).await?, 0);
    fed.finish().await
}

on_every_version! {
    fn somebody_joins_talks_and_leaves_by_the_address_they_know(version, storage = Internal) {
        talk(version, storage).await
    }
}
