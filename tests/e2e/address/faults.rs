//! The address works while the source is out of reach, stopped or dead, and after a restart of the own server; and it costs
//! nothing on any link.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use dmuc_testbed::{Builder, Federation, Storage, Version, body, on_every_version};

use super::scene::{A, Guest, H, cast, everybody_hears, founded, served, servers, streams_of_users};
use crate::support::{eventually, link_state};

fn hasty(label: &str, version: Version, storage: Storage) -> Builder {
    servers(label, version, storage)
        .muc_line("dmuc_ping_interval = 1")
        .muc_line("dmuc_link_timeout = 3")
}

async fn is(fed: &Federation, state: &str) -> Result<()> {
    let service = fed[0].muc().to_owned();
    eventually(&format!("the link is {state}"), || async {
        Ok(link_state(fed, 1, &service).await? == state)
    })
    .await
}

/// People by both addresses go on, and a newcomer gets in by the source's.
async fn goes_on(fed: &Federation, witch: &Guest, lennox: &Guest, resource: &str) -> Result<()> {
    for (speaker, hearer) in [(witch, lennox), (lennox, witch)] {
        let text = format!("{} by {resource}", speaker.nick);
        speaker.say(speaker.address, &text).await?;
        hearer
            .hears(speaker.nick, &text, |s| body(s).as_deref() == Some(&*text))
            .await?;
        assert_eq!(speaker.self_ping(speaker.address, speaker.nick).await?, None);
        ensure!(!speaker.mam_all(speaker.address).await?.is_empty());
    }
    let ross = Guest::joins(fed, "ross", resource, A, "ross").await?;
    ensure!(
        ross.joined.nicks().contains(&"firstwitch".to_owned()),
        "{:?}",
        ross.joined.nicks()
    );
    ross.say_and_see(A, "So foul a sky").await?;
    ross.leave(A, "ross").await?;
    ross.client.close().await?;
    witch.all().await?;
    lennox.all().await?;
    assert_eq!(streams_of_users(fed, 1).await?, 0);
    Ok(())
}

async fn out_of_reach(version: Version, storage: Storage) -> Result<()> {
    let fed = hasty("address-split", version, storage).start().await?;
    let cast = cast(&fed, &[]).await?;
    for how in ["cut", "swallowed", "stopped"] {
        match how {
            "cut" => fed.link(0, 1).cut().await,
            "swallowed" => fed.link(0, 1).swallow().await,
            _ => fed[0].pause()?,
        }
        goes_on(&fed, &cast.witch, &cast.lennox, &format!("{how}-at-once")).await?;
        is(&fed, "down").await?;
        goes_on(&fed, &cast.witch, &cast.lennox, &format!("{how}-later")).await?;
        match how {
            "stopped" => fed[0].resume()?,
            _ => fed.link(0, 1).heal().await,
        }
        is(&fed, "up").await?;
        fed.at_rest().await?;
        cast.crone
            .expect_body(&format!("firstwitch by {how}-later"))
            .await?;
        everybody_hears(&cast, &format!("after it was {how}")).await?;
        cast.quiet(&fed).await?;
    }
    assert_eq!(streams_of_users(&fed, 1).await?, 0);
    fed.finish().await
}

async fn dead(version: Version, storage: Storage) -> Result<()> {
    let fed = hasty("address-dead", version, storage).start().await?;
    let cast = cast(&fed, &[]).await?;
    fed[0].kill().await?;
    goes_on(&fed, &cast.witch, &cast.lennox, "killed").await?;
    is(&fed, "down").await?;
    // The own server starts again meanwhile: what is proven is stored.
    fed[1].restart().await?;
    served(&fed, 1, A, Some(H)).await?;
    let witch = Guest::joins(&fed, "somewitch", "again", A, "firstwitch").await?;
    let lennox = Guest::joins(&fed, "lennox", "again", H, "lennox").await?;
    ensure!(
        witch.joined.history_bodies().contains(&"hail".to_owned()),
        "{:?}",
        witch.joined.history_bodies()
    );
    goes_on(&fed, &witch, &lennox, "restarted").await?;
    fed[0].start().await?;
    is(&fed, "up").await?;
    let crone = fed[0].client("crone1", "again").await?;
    let joined = crone.join(A, "firstcrone").await?;
    ensure!(joined.nicks().len() >= 2 || joined.history_bodies().len() > 1);
    eventually("they are together", || async {
        Ok(crate::support::nicks(&fed, 0, A).await? == ["firstcrone", "firstwitch", "lennox"])
    })
    .await?;
    crone.say(A, "I am back").await?;
    for guest in [&witch, &lennox] {
        guest
            .hears("firstcrone", "it", |s| body(s).as_deref() == Some("I am back"))
            .await?;
        guest.all().await?;
    }
    assert_eq!(streams_of_users(&fed, 1).await?, 0);
    fed.finish().await
}

/// What is on each link after the same story.
async fn story(
    fed: &Federation,
    address: &'static str,
) -> Result<BTreeMap<(String, String), (u64, u64, u64)>> {
    fed.at_rest().await?;
    fed.settle(2).await?;
    fed.reset_stats().await?;
    let nick = if address == A { "by-a" } else { "by-h" };
    let ross = Guest::joins(fed, "ross", nick, address, "ross").await?;
    for text in ["one", "two", "three"] {
        ross.say_and_see(address, text).await?;
    }
    ross.send_xml(&format!(
        "<presence to='{address}/ross'><show>away</show></presence>"
    ))
    .await?;
    ross.change_nick(address, "rosse").await?;
    ross.say_privately(address, "firstcrone", "psst").await?;
    ross.disco_info(address).await?;
    ross.mam_all(address).await?;
    assert_eq!(ross.self_ping(address, "rosse").await?, None);
    ross.asks("<iq type='get' to='@ROOM@/firstcrone'><ping xmlns='urn:xmpp:ping'/></iq>")
        .await?;
    ross.leave(address, "rosse").await?;
    ross.client.close().await?;
    fed.at_rest().await?;
    let stats = fed.stats().await?;
    let mut found = BTreeMap::new();
    for (from, to) in [(0, 1), (1, 0)] {
        let all = stats.links.iter().filter(|((here, there), _)| {
            [fed[from].muc(), fed[from].domain()].contains(&&**here)
                && [fed[to].muc(), fed[to].domain()].contains(&&**there)
        });
        for (link, count) in all {
            found.insert(
                link.clone(),
                (
                    count.message.stanzas,
                    count.presence.stanzas,
                    count.requests().stanzas,
                ),
            );
        }
    }
    Ok(found)
}

async fn counted(version: Version, storage: Storage) -> Result<()> {
    let fed = servers("address-links", version, storage).start().await?;
    let crone = founded(&fed, &[]).await?;
    // Whatever happens once only.
    story(&fed, H).await?;
    let [by_h, by_a] = [story(&fed, H).await?, story(&fed, A).await?];
    ensure!(
        by_h.values()
            .any(|(messages, presences, _)| *messages >= 4 && *presences >= 4),
        "{by_h:?}"
    );
    assert_eq!(by_h, by_a);
    crone.expect_body("psst").await?;
    assert_eq!(streams_of_users(&fed, 1).await?, 0);
    fed.finish().await
}

on_every_version! {
    fn an_address_works_while_the_source_is_out_of_reach(version, storage = Internal) {
        out_of_reach(version, storage).await
    }
    fn an_address_works_while_the_source_is_dead(version, storage = Sqlite) {
        dead(version, storage).await
    }
    fn an_address_costs_nothing_on_any_link(version, storage = Internal) {
        counted(version, storage).await
    }
}
