//! Whoever is in the source itself, from before there was a shadow, leaves it when their session ends, and is served here only when
//! their join here has held.

use anyhow::{Result, ensure};
use dmuc_testbed::{Client, Federation, Storage, Version, body, on_every_version, to_string};

use super::scene::{A, H, in_the_source, servers};
use crate::support::{eventually, nicks};

/// somewitch is in the source, and nothing is on its way any more.
async fn settled(label: &str, version: Version, storage: Storage) -> Result<(Federation, Client, Client)> {
    let (fed, crone, witch) = in_the_source(servers(label, version, storage)).await?;
    fed.at_rest().await?;
    witch.sync().await?;
    witch.drain();
    Ok((fed, crone, witch))
}

/// Nobody but crone1 is in any of the rooms.
async fn alone(fed: &Federation) -> Result<()> {
    for (server, room) in [(0, A), (1, H)] {
        eventually(&format!("only the first crone is in {room}"), || async {
            Ok(nicks(fed, server, room).await? == ["firstcrone"])
        })
        .await?;
    }
    Ok(())
}

async fn ends(version: Version, storage: Storage) -> Result<()> {
    let (fed, crone, witch) = settled("address-ghost", version, storage).await?;
    assert_eq!(nicks(&fed, 0, A).await?, ["firstcrone", "firstwitch"]);
    witch.close().await?;
    alone(&fed).await?;
    crone
        .expect("the leave", |s| {
            s.attr("from") == Some(&*format!("{A}/firstwitch")) && s.attr("type") == Some("unavailable")
        })
        .await?;
    fed.finish().await
}

/// She has joined here, and the source has not been told yet, or has.
async fn ends_after_a_join(version: Version, storage: Storage) -> Result<()> {
    for when in ["at once", "later"] {
        let (fed, crone, witch) = settled(
            &format!("address-quick-{}", when.replace(' ', "-")),
            version,
            storage,
        )
        .await?;
        witch.join(A, "firstwitch").await?;
        if when == "later" {
            let told = format!(
                "local kept = prosody.full_sessions['{}'].dmuc; return kept.told ~= nil and kept.told['{A}'] ~= nil",
                witch.jid()
            );
            eventually("the source is told", || async {
                Ok(fed[1].eval(&told).await? == true)
            })
            .await?;
        }
        witch.close().await?;
        alone(&fed).await?;
        drop(crone);
        fed.finish().await?;
    }
    Ok(())
}

/// Her join here is refused: she stays where she is, and goes on.
async fn refused(version: Version, storage: Storage) -> Result<()> {
    let (fed, crone, witch) = settled("address-limbo", version, storage).await?;
    crone
        .configure_room(
            A,
            &[
                ("muc#roomconfig_passwordprotectedroom", "1"),
                ("muc#roomconfig_roomsecret", "toil"),
            ],
        )
        .await?;
    let has_password = format!(
        "return prosody.hosts['{}'].modules.muc.get_room_from_jid('{H}'):get_password() == 'toil'",
        fed[1].muc()
    );
    eventually("the shadow has the password", || async {
        Ok(fed[1].eval(&has_password).await? == true)
    })
    .await?;
    witch.say_and_see(A, "before").await?;
    witch.sync().await?;
    witch.drain();
    let Err(refusal) = witch.try_join(A, "firstwitch").await? else {
        anyhow::bail!("nothing was refused");
    };
    assert_eq!(refusal.condition, "not-authorized");
    for (speaker, text) in [(&crone, "Do you hear me?"), (&witch, "I do")] {
        speaker.say(A, text).await?;
        for hearer in [&crone, &witch] {
            let heard = hearer.expect_body(text).await?;
            ensure!(heard.attr("type") == Some("groupchat"), "{}", to_string(&heard));
        }
    }
    // With the password she is served here.
    let join = format!(
        "<presence to='{A}/firstwitch'><x xmlns='http://jabber.org/protocol/muc'><password>toil</password></x></presence>"
    );
    witch.send_xml(&join).await?;
    let there = format!(
        "return prosody.hosts['{}'].modules.muc.get_room_from_jid('{A}'):get_occupant_jid('{}') ~= nil",
        fed[0].muc(),
        witch.jid()
    );
    eventually("the source has seen her leave", || async {
        Ok(fed[0].eval(&there).await? == false)
    })
    .await?;
    fed.at_rest().await?;
    witch.sync().await?;
    witch.drain();
    crone.say(A, "And now?").await?;
    witch.expect_body("And now?").await?;
    witch.say(A, "As well").await?;
    crone.expect_body("As well").await?;
    fed.settle(2).await?;
    witch.sync().await?;
    let twice = witch
        .drain()
        .iter()
        .filter(|s| body(s).as_deref() == Some("And now?"))
        .count();
    assert_eq!(twice, 0);
    fed.finish().await
}

on_every_version! {
    fn whoever_is_in_the_source_leaves_it_when_the_stream_ends(version, storage = Internal) {
        ends(version, storage).await
    }
    fn a_stream_that_ends_after_a_join_here_leaves_nobody_anywhere(version, storage = Internal) {
        ends_after_a_join(version, storage).await
    }
    fn whoever_is_refused_here_stays_in_the_source(version, storage = Internal) {
        refused(version, storage).await
    }
}
