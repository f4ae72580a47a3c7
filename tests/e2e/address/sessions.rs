//! Sessions: several of one person, one by two addresses, broken ones, resumed ones, and who is in the source itself.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{
    Client, Element, Federation, Storage, Version, body, code_list, on_every_version, to_string,
};

use super::scene::{
    self, A, Cast, Guest, H, cast, everybody_hears, inside, served, servers, streams_of_users,
};
use crate::support::{eventually, nicks, two};

fn is_out(s: &Element) -> bool {
    s.name() == "presence" && s.attr("type") == Some("unavailable")
}

fn says<'a>(text: &'a str) -> impl Fn(&Element) -> bool + 'a {
    move |s| body(s).as_deref() == Some(text)
}

async fn gone_everywhere(fed: &Federation, nick: &str) -> Result<()> {
    for (server, room) in [(0, A), (1, H)] {
        eventually(&format!("{nick} has left {room}"), || async {
            Ok(!nicks(fed, server, room).await?.iter().any(|other| other == nick))
        })
        .await?;
    }
    Ok(())
}

/// All ways to go, none of which says so to the source's server from the user's host.
async fn leaving(fed: &Federation, cast: &Cast) -> Result<()> {
    for (i, how) in ["undirected", "closed", "broken", "replaced"]
        .into_iter()
        .enumerate()
    {
        let ross = Guest::joins(fed, "ross", &format!("r{i}"), A, "ross").await?;
        cast.lennox
            .hears("ross", "somebody", |s| s.name() == "presence")
            .await?;
        match how {
            "undirected" => {
                ross.send_xml("<presence type='unavailable'/>").await?;
                ross.hears("ross", "having left", |s| {
                    is_out(s) && code_list(s).contains(&110)
                })
                .await?;
            }
            "closed" => ross.client.close().await?,
            "broken" => ross.client.abort().await?,
            _ => {
                // Another connection with the same resource.
                let again = fed[1].client("ross", &format!("r{i}")).await?;
                again.sync().await?;
                again.close().await?;
            }
        }
        cast.lennox.hears("ross", how, is_out).await?;
        gone_everywhere(fed, "ross").await?;
    }
    Ok(())
}

/// Blocking is by the address that the user knows.
async fn blocking(cast: &Cast) -> Result<()> {
    let block = |what: &str, jid: &str| {
        format!("<iq type='set'><{what} xmlns='urn:xmpp:blocking'><item jid='{jid}'/></{what}></iq>")
    };
    cast.witch.iq_ok(&block("block", &format!("{A}/lennox"))).await?;
    cast.witch.all().await?;
    cast.lennox.say_privately(H, "firstwitch", "Psst").await?;
    cast.lennox.say_and_see(H, "Aloud").await?;
    cast.lennox.sync().await?;
    let heard = cast.witch.all().await?;
    ensure!(
        !heard.iter().any(|s| body(s).is_some()),
        "{}",
        heard.iter().map(to_string).collect::<String>()
    );
    cast.witch
        .iq_ok(&block("unblock", &format!("{A}/lennox")))
        .await?;
    cast.lennox.say_privately(H, "firstwitch", "Psst, again").await?;
    cast.witch.hears("lennox", "it", says("Psst, again")).await?;
    Ok(())
}

/// One session, both addresses: two rooms, of which one may be left.
async fn tabs(fed: &Federation, cast: &Cast) -> Result<()> {
    for (first, second) in [(A, H), (H, A)] {
        let client = fed[1].client("ross", first).await?;
        client.send_xml("<presence/>").await?;
        client.join(first, "ross").await?;
        client.sync().await?;
        client.drain();
        let joined = client.join(second, "ross").await?;
        ensure!(
            joined.nicks() == ["firstcrone", "firstwitch", "lennox"] || joined.nicks().len() == 3,
            "{:?}",
            joined.nicks()
        );
        ensure!(
            joined.history_bodies().contains(&"hail".to_owned()),
            "{:?}",
            joined.history_bodies()
        );
        client.sync().await?;
        let elsewhere = client.drain();
        let again: Vec<_> = elsewhere
            .iter()
            .filter(|s| body(s).is_some() || s.attr("from").is_some_and(|from| from.ends_with("/firstcrone")))
            .map(to_string)
            .collect();
        ensure!(again.is_empty(), "the first tab got {again:?}");
        cast.lennox.say(H, "To both").await?;
        for room in [first, second] {
            let from = format!("{room}/lennox");
            client
                .expect("it, in both", |s| {
                    s.attr("from") == Some(&*from) && body(s).is_some()
                })
                .await?;
            let id = client.say(room, "By a tab").await?;
            for seen in [first, second] {
                let from = format!("{seen}/ross");
                client
                    .expect("a reflection", |s| {
                        s.attr("from") == Some(&*from) && s.attr("id") == Some(&*id)
                    })
                    .await?;
            }
            assert_eq!(client.self_ping(room, "ross").await?, None);
            client.say_privately(room, "lennox", "Psst").await?;
            let heard = cast.lennox.hears("ross", "it", says("Psst")).await?;
            ensure!(heard.attr("type") == Some("chat"));
            cast.lennox.say_privately(H, "ross", "Psst yourself").await?;
            let answer = client.expect("an answer", says("Psst yourself")).await?;
            assert_eq!(answer.attr("from"), Some(&*format!("{room}/lennox")));
        }
        // A further join that is refused leaves it in.
        client.leave(first, "ross").await?;
        client.sync().await?;
        client.drain();
        assert!(nicks(fed, 1, H).await?.contains(&"ross".to_owned()));
        cast.lennox.say(H, "To one").await?;
        let heard = client.expect("it", says("To one")).await?;
        assert_eq!(heard.attr("from"), Some(&*format!("{second}/lennox")));
        client.sync().await?;
        let more = client.drain();
        ensure!(
            more.is_empty(),
            "{:?}",
            more.iter().map(to_string).collect::<Vec<_>>()
        );
        client.leave(second, "ross").await?;
        gone_everywhere(fed, "ross").await?;
        client.close().await?;
        cast.quiet(fed).await?;
    }
    Ok(())
}

async fn capitals(fed: &Federation, cast: &Cast) -> Result<()> {
    let ross = fed[1].client("ross", "capitals").await?;
    let mark = ross.mark();
    ross.send_xml(
        "<presence to='COVEN@Chat.Shakespeare.LIT/ross'><x xmlns='http://jabber.org/protocol/muc'/></presence>",
    )
    .await?;
    ross.joining(mark, A).await?.context("joining")?;
    ross.send_xml("<message type='groupchat' to='Coven@CHAT.shakespeare.lit'><body>LOUD</body></message>")
        .await?;
    let heard = ross.expect("it", says("LOUD")).await?;
    assert_eq!(heard.attr("from"), Some(&*format!("{A}/ross")));
    cast.witch.hears("ross", "it", says("LOUD")).await?;
    ross.close().await?;
    gone_everywhere(fed, "ross").await
}

/// The module is loaded again, and everything goes on.
async fn reloaded(fed: &Federation, cast: &Cast) -> Result<()> {
    fed[1].reload_module(fed[1].muc(), "dmuc").await?;
    served(fed, 1, A, Some(H)).await?;
    everybody_hears(cast, "after the reload").await?;
    cast.witch.say(A, "I am still here").await?;
    cast.witch
        .hears("firstwitch", "it", says("I am still here"))
        .await?;
    assert_eq!(cast.witch.self_ping(A, "firstwitch").await?, None);
    fed[1].reload_module(fed[1].muc(), "muc").await?;
    served(fed, 1, A, Some(H)).await?;
    everybody_hears(cast, "after the other reload").await
}

async fn sessions(version: Version, storage: Storage) -> Result<()> {
    let fed = servers("address-sessions", version, storage)
        .with_server(1, |s| s.smacks = false)
        .start()
        .await?;
    let cast = cast(&fed, &[]).await?;
    leaving(&fed, &cast).await.context("leaving")?;
    cast.quiet(&fed).await?;
    blocking(&cast).await.context("blocking")?;
    cast.quiet(&fed).await?;
    tabs(&fed, &cast).await.context("tabs")?;
    capitals(&fed, &cast).await.context("capitals")?;
    cast.quiet(&fed).await?;
    assert_eq!(streams_of_users(&fed, 1).await?, 0);
    fed.finish().await
}

async fn reloading(version: Version, storage: Storage) -> Result<()> {
    let fed = servers("address-reloading", version, storage).start().await?;
    let cast = cast(&fed, &[]).await?;
    reloaded(&fed, &cast).await?;
    assert_eq!(streams_of_users(&fed, 1).await?, 0);
    fed.finish().await
}

/// XEP-0198: what waits for a broken connection has the address, and what nobody fetches bounces into the room here.
async fn resumed(version: Version, storage: Storage) -> Result<()> {
    let fed = servers("address-resumed", version, storage)
        .with_server(1, |s| s.global_lines.push("smacks_hibernation_time = 4".into()))
        .start()
        .await?;
    let cast = cast(&fed, &[]).await?;
    for is_resumed in [true, false] {
        let resource = format!("r{is_resumed}");
        let ross = Guest::joins(&fed, "ross", &resource, A, "ross").await?;
        ross.send_xml("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
            .await?;
        let enabled = ross.expect("being managed", |s| s.name() == "enabled").await?;
        let id = enabled.attr("id").context("an id")?.to_owned();
        ross.all().await?;
        ross.client.abort().await?;
        cast.lennox.say_and_see(H, "Meanwhile").await?;
        cast.lennox.say_privately(H, "ross", "Where are you?").await?;
        cast.lennox.sync().await?;
        if is_resumed {
            let again: Client = fed[1].resume_client("ross", &resource, &id, 1).await?;
            for text in ["Meanwhile", "Where are you?"] {
                let heard = again.expect(text, says(text)).await?;
                assert_eq!(heard.attr("from"), Some(&*format!("{A}/lennox")));
            }
            cast.lennox.say_and_see(H, "Afterwards").await?;
            let heard = again.expect("what comes later", says("Afterwards")).await?;
            assert_eq!(heard.attr("from"), Some(&*format!("{A}/lennox")));
            again.close().await?;
        } else {
            // What comes back takes them out, as everywhere.
            cast.lennox
                .hears("ross", "that somebody cannot be reached", |s| {
                    is_out(s) && code_list(s).contains(&333)
                })
                .await?;
        }
        gone_everywhere(&fed, "ross").await?;
        cast.quiet(&fed).await?;
    }
    assert_eq!(streams_of_users(&fed, 1).await?, 0);
    fed.finish().await
}

/// Who is in the source itself stays there until the next join, which is served here; the source hears that they have left.
async fn in_the_source(version: Version, storage: Storage) -> Result<()> {
    // The first of a peer's users is let in at the source, and has it make the shadow.
    let (fed, crone, witch) = scene::in_the_source(servers("address-before", version, storage)).await?;
    served(&fed, 0, H, Some(A)).await?;
    let lennox = Guest::joins(&fed, "lennox", "by-h", H, "lennox").await?;
    witch.say(A, "I am at the source").await?;
    for client in [&crone, &lennox.client, &witch] {
        client.expect_body("I am at the source").await?;
    }
    assert_eq!(witch.self_ping(A, "firstwitch").await?, None);
    crone.sync().await?;
    crone.drain();
    lennox.all().await?;
    // Again, as a client does that does not know whether it is in.
    witch.join(A, "firstwitch").await?;
    let chunk = inside(
        fed[1].muc(),
        &format!(
            "return dmuc.books.has(prosody.full_sessions['{}'], '{H}', '{A}')",
            witch.jid()
        ),
    );
    assert_eq!(fed[1].eval(&chunk).await?, true);
    let there = format!(
        "local room = prosody.hosts['{}'].modules.muc.get_room_from_jid('{A}'); \
         return room:get_occupant_jid('{}') == nil",
        fed[0].muc(),
        witch.jid()
    );
    eventually("the source has seen it leave", || async {
        Ok(fed[0].eval(&there).await? == true)
    })
    .await?;
    fed.settle(2).await?;
    for client in [&crone, &lennox.client] {
        client.sync().await?;
        let flicker: Vec<_> = client
            .drain()
            .iter()
            .filter(|s| is_out(s))
            .map(to_string)
            .collect();
        ensure!(flicker.is_empty(), "{flicker:?}");
    }
    witch.sync().await?;
    witch.drain();
    for (client, room, text) in [(&witch, A, "By the shadow"), (&crone, A, "By the source")] {
        client.say(room, text).await?;
        for hearer in [&crone, &lennox.client, &witch] {
            hearer.expect_body(text).await?;
        }
    }
    fed.settle(2).await?;
    witch.sync().await?;
    let twice: Vec<_> = witch
        .drain()
        .iter()
        .filter(|s| body(s).is_some())
        .map(to_string)
        .collect();
    ensure!(twice.is_empty(), "{twice:?}");
    witch.leave(A, "firstwitch").await?;
    gone_everywhere(&fed, "firstwitch").await?;
    fed.finish().await
}

/// The same while the source is out of reach: it hears of the leave when it first says something.
async fn out_of_reach_in_the_source(version: Version, storage: Storage) -> Result<()> {
    let hasty = servers("address-before-split", version, storage)
        .muc_line("dmuc_ping_interval = 1")
        .muc_line("dmuc_link_timeout = 3");
    let (fed, crone, witch) = scene::in_the_source(hasty).await?;
    fed.link(0, 1).cut().await;
    // No answer from there: the client joins again, as clients do, and is served.
    witch.sync().await?;
    witch.drain();
    witch.join(A, "firstwitch").await?;
    witch.say_and_see(A, "I hear nobody").await?;
    // The source is told, which fails, and nobody hears of that.
    let told = inside(
        fed[1].muc(),
        &format!(
            "return dmuc.books.is_owed(prosody.full_sessions['{jid}'], '{A}') \
               and prosody.full_sessions['{jid}'].dmuc.told ~= nil",
            jid = witch.jid()
        ),
    );
    eventually("the farewell came back", || async {
        Ok(fed[1].eval(&told).await? == true)
    })
    .await?;
    assert_eq!(witch.self_ping(A, "firstwitch").await?, None);
    fed.link(0, 1).heal().await;
    fed.at_rest().await?;
    crone.expect_body("I hear nobody").await?;
    crone.say(A, "I hear you").await?;
    witch.expect_body("I hear you").await?;
    let there = format!(
        "local room = prosody.hosts['{}'].modules.muc.get_room_from_jid('{A}'); \
         return room:get_occupant_jid('{}') == nil",
        fed[0].muc(),
        witch.jid()
    );
    eventually("the source has seen it leave", || async {
        Ok(fed[0].eval(&there).await? == true)
    })
    .await?;
    fed.settle(2).await?;
    witch.sync().await?;
    let twice: Vec<_> = witch
        .drain()
        .iter()
        .filter(|s| body(s).is_some_and(|t| t == "I hear you"))
        .map(to_string)
        .collect();
    ensure!(twice.is_empty(), "{twice:?}");
    for (client, room, text) in [(&witch, A, "By the shadow"), (&crone, A, "By the source")] {
        client.say(room, text).await?;
        for hearer in [&crone, &witch] {
            hearer.expect_body(text).await?;
        }
    }
    fed.finish().await
}

/// The source's user by a shadow's address.
async fn by_a_shadows(version: Version, storage: Storage) -> Result<()> {
    let fed = two("address-source", version, storage).start().await?;
    let crone = super::scene::founded(&fed, &[]).await?;
    let hag = fed[0].client("hag66", "pda").await?;
    let joined = hag.join(H, "thirdwitch").await?;
    assert_eq!(joined.nicks(), ["firstcrone"]);
    hag.say(H, "By the shadow's address").await?;
    let heard = hag.expect_body("By the shadow's address").await?;
    assert_eq!(heard.attr("from"), Some(&*format!("{H}/thirdwitch")));
    let heard = crone.expect_body("By the shadow's address").await?;
    assert_eq!(heard.attr("from"), Some(&*format!("{A}/thirdwitch")));
    assert_eq!(streams_of_users(&fed, 0).await?, 0);
    hag.leave(H, "thirdwitch").await?;
    fed.finish().await
}

on_every_version! {
    fn sessions_go_by_the_address_that_each_uses(version, storage = Internal) {
        sessions(version, storage).await
    }
    fn a_reload_changes_no_address(version, storage = Internal) {
        reloading(version, storage).await
    }
    fn a_resumed_stream_keeps_its_address(version, storage = Internal) {
        resumed(version, storage).await
    }
    fn whoever_is_in_the_source_is_served_at_the_next_join(version, storage = Sqlite) {
        in_the_source(version, storage).await
    }
    fn whoever_is_in_a_source_that_is_out_of_reach_is_served_as_well(version, storage = Internal) {
        out_of_reach_in_the_source(version, storage).await
    }
    fn the_sources_users_are_served_at_a_shadows_address(version, storage = Internal) {
        by_a_shadows(version, storage).await
    }
}
