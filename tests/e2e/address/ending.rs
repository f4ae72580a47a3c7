//! A room that is no longer shared sends those out who know it by another address: their clients join where it is. A
//! destroyed one answers under all of its addresses.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Storage, Version, body, code_list, on_every_version, to_string};

use super::scene::{A, H, cast, served, servers, streams_of_users};
use crate::support::eventually;

const MUC_USER: &str = "http://jabber.org/protocol/muc#user";

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

async fn destroyed(version: Version, storage: Storage) -> Result<()> {
    let fed = servers("address-destroyed", version, storage).start().await?;
    let cast = cast(&fed, &[]).await?;
    cast.crone
        .iq_ok(&format!(
            "<iq type='set' to='{A}'><query xmlns='http://jabber.org/protocol/muc#owner'>\
             <destroy jid='heath@chat.shakespeare.lit'><reason>Hover through the fog</reason></destroy></query></iq>"
        ))
        .await?;
    for guest in [&cast.witch, &cast.lennox] {
        let out = guest
            .hears(guest.nick, "the end", |s| {
                s.get_child("x", MUC_USER)
                    .is_some_and(|x| x.get_child("destroy", MUC_USER).is_some())
            })
            .await?;
        ensure!(
            to_string(&out).contains("heath@chat.shakespeare.lit"),
            "{}",
            to_string(&out)
        );
        guest.all().await?;
    }
    eventually("there is a tombstone", || async {
        let chunk = format!(
            "local room = prosody.hosts['{}'].modules.muc.get_room_from_jid('{H}'); return room and room._data.destroyed or false",
            fed[1].muc()
        );
        Ok(fed[1].eval(&chunk).await? != false)
    })
    .await?;
    for how in ["at once", "with a dead source", "after a restart"] {
        match how {
            "with a dead source" => fed[0].kill().await?,
            "after a restart" => fed[1].restart().await?,
            _ => {}
        }
        for address in [A, H] {
            let macduff = fed[1].client("macduff", how).await?;
            let refused = macduff
                .try_join(address, "macduff")
                .await?
                .err()
                .context("a refusal")?;
            assert_eq!(refused.condition, "gone", "{how}, {address}");
            let text = to_string(&refused.presence);
            ensure!(!text.contains(if address == A { H } else { A }), "{text}");
            macduff.close().await?;
        }
    }
    fed.finish().await
}

/// A destroyed room of a source without tombstones is made anew, and not shared: people get in there.
async fn made_anew(version: Version, storage: Storage) -> Result<()> {
    let fed = servers("address-anew", version, storage)
        .with_server(0, |s| s.muc_lines.push("muc_tombstones = false".into()))
        .start()
        .await?;
    let cast = cast(&fed, &[]).await?;
    cast.crone
        .iq_ok(&format!(
            "<iq type='set' to='{A}'><query xmlns='http://jabber.org/protocol/muc#owner'><destroy/></query></iq>"
        ))
        .await?;
    for guest in [&cast.witch, &cast.lennox] {
        guest
            .hears(guest.nick, "the end", |s| s.attr("type") == Some("unavailable"))
            .await?;
    }
    fed.at_rest().await?;
    cast.crone.drain();
    cast.crone
        .create_room(A, "firstcrone", &[("muc#roomconfig_distributed", "0")])
        .await?;
    let macduff = fed[1].client("macduff", "fife").await?;
    let joined = macduff.join(A, "macduff").await?;
    ensure!(
        joined.nicks().contains(&"firstcrone".to_owned()),
        "{:?}",
        joined.nicks()
    );
    macduff.say_and_see(A, "What is the newest grief?").await?;
    cast.crone.expect_body("What is the newest grief?").await?;
    // By the address of the one here it is gone.
    let refused = macduff.try_join(H, "macduff").await?.err().context("a refusal")?;
    assert_eq!(refused.condition, "gone");
    fed.finish().await
}

/// The service of the source is no peer any more, and this one serves nobody any more.
async fn unnamed(version: Version, storage: Storage) -> Result<()> {
    let fed = servers("address-unnamed", version, storage).start().await?;
    let cast = cast(&fed, &[]).await?;
    let muc = fed[1].muc().to_owned();
    let option = |name: &str, value: &str| {
        format!("require 'core.configmanager'.set('{muc}', '{name}', {value}); return true")
    };
    for (name, off, on) in [
        ("dmuc_serve", "'off'", "'all'"),
        ("dmuc_peers", "{ 'nobody.lit' }", "{ 'chat.shakespeare.lit' }"),
    ] {
        fed[1].eval(&option(name, off)).await?;
        fed[1].reload_module(&muc, "dmuc").await?;
        cast.witch
            .hears("firstwitch", "being out", |s| {
                s.attr("type") == Some("unavailable") && code_list(s).contains(&110)
            })
            .await
            .with_context(|| format!("{name} = {off}"))?;
        cast.witch.all().await?;
        let nicks = crate::support::nicks(&fed, 1, H).await?;
        ensure!(!nicks.contains(&"firstwitch".to_owned()), "{nicks:?}");
        ensure!(nicks.contains(&"lennox".to_owned()), "{nicks:?}");
        fed[1].eval(&option(name, on)).await?;
        fed[1].reload_module(&muc, "dmuc").await?;
        served(&fed, 1, A, Some(H)).await?;
        eventually("the room goes on", || async {
            Ok(crate::asking::role(&fed, 1, H).await?.as_deref() == Some("shadow"))
        })
        .await?;
        fed.at_rest().await?;
        cast.witch.drain();
        cast.witch.join(A, "firstwitch").await?;
        cast.lennox.drain();
        cast.witch.say(A, name).await?;
        cast.lennox
            .hears("firstwitch", "it", |s| body(s).as_deref() == Some(name))
            .await?;
    }
    assert_eq!(streams_of_users(&fed, 1).await?, 0);
    fed.finish().await
}

on_every_version! {
    fn a_destroyed_room_is_gone_under_all_its_addresses(version, storage = Sqlite) {
        destroyed(version, storage).await
    }
    fn a_room_that_is_made_anew_after_its_end_lets_people_in(version, storage = Internal) {
        made_anew(version, storage).await
    }
    fn whoever_is_not_served_any_more_is_sent_out(version, storage = Internal) {
        unnamed(version, storage).await
    }
    fn a_room_that_is_not_shared_any_more_sends_people_where_it_is(version, storage = Internal) {
        closed(version, storage).await
    }
    fn a_shadow_that_leaves_sends_people_where_the_room_is(version, storage = Internal) {
        left(version, storage).await
    }
}
