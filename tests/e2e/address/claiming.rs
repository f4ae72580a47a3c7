//! What a service says of its own address changes nothing of what that address is here already: neither a second room that has
//! it, nor places that nobody has taken.

use anyhow::{Result, ensure};
use dmuc_testbed::{Federation, Storage, Version, body, on_every_version, to_string};

use super::scene::{A, Cast, H, cast, everybody_hears, inside, servers, source_says};

const OTHER: &str = "816decd2-4dcb-41e0-8109-75b146b03a82";
const CONFIG: &str = "<config xmlns='urn:xmpp:dmuc:0'><x xmlns='jabber:x:data' type='form'>\
    <field type='hidden' var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>\
    <field var='muc#roomconfig_roomname'><value>Stolen</value></field></x></config>";

/// The source forges, to whom its address is served, and nothing arrives; what is said to it goes where it went.
async fn still_served(fed: &Federation, cast: &Cast, round: &str) -> Result<()> {
    for kind in ["chat", "groupchat"] {
        source_says(
            fed,
            &format!(
                "<message from='{A}/lennox' to='{}' type='{kind}'><body>forged, {round}</body></message>",
                cast.witch.jid()
            ),
        )
        .await?;
    }
    fed.settle(2).await?;
    let arrived: Vec<_> = cast.witch.all().await?.iter().map(to_string).collect();
    ensure!(arrived.is_empty(), "{round}: {arrived:?}");
    cast.witch.say(A, round).await?;
    cast.lennox
        .hears("firstwitch", round, |s| body(s).as_deref() == Some(round))
        .await?;
    cast.witch.all().await?;
    assert_eq!(cast.witch.self_ping(A, "firstwitch").await?, None);
    Ok(())
}

async fn second_room(version: Version, storage: Storage) -> Result<()> {
    let fed = servers("address-second", version, storage).start().await?;
    let cast = cast(&fed, &[]).await?;
    let other = format!("{OTHER}@{}", fed[1].muc());
    source_says(
        &fed,
        &format!(
            "<iq type='set' id='r1' from='chat.shakespeare.lit' to='{}'><replicate xmlns='urn:xmpp:dmuc:0' \
             source='{A}'><room id='{OTHER}'/></replicate></iq>",
            fed[1].muc()
        ),
    )
    .await?;
    source_says(
        &fed,
        &format!("<iq type='set' id='c1' from='{A}' to='{other}'>{CONFIG}</iq>"),
    )
    .await?;
    fed.settle(2).await?;
    still_served(&fed, &cast, "a second replicate").await?;
    // Whatever the engine has made of that: another room has the address, and then has it no more.
    let take = |room: &str, addresses: &str| {
        inside(
            fed[1].muc(),
            &format!("dmuc.serving.take({{ room = '{room}'; addresses = {{ {addresses} }} }}); return true"),
        )
    };
    fed[1].eval(&take(&other, &format!("'{A}'"))).await?;
    still_served(&fed, &cast, "another room has it").await?;
    fed[1].eval(&take(&other, "")).await?;
    still_served(&fed, &cast, "it has it no more").await?;
    // The next one has it when the first has not.
    let meant = inside(fed[1].muc(), &format!("return dmuc.serving.meant('{A}') or ''"));
    fed[1].eval(&take(&other, &format!("'{A}'"))).await?;
    assert_eq!(fed[1].eval(&meant).await?, H);
    fed[1].eval(&take(H, "")).await?;
    assert_eq!(fed[1].eval(&meant).await?, *other);
    let warnings = fed[1].log_lines_matching("warn.*it stays one of")?;
    ensure!(warnings.len() == 1, "{warnings:?}");
    fed.finish().await
}

/// Self-presences of rooms that nobody has joined.
async fn places(version: Version, storage: Storage) -> Result<()> {
    let fed = servers("address-places", version, storage).start().await?;
    let cast = cast(&fed, &[]).await?;
    let macduff = fed[1].client("macduff", "fife").await?;
    macduff.send_xml("<presence/>").await?;
    macduff.sync().await?;
    macduff.drain();
    let chunk = format!(
        "local muc, xml = '{}', require 'util.xml'; \
         for i = 1, 50 do \
           prosody.core_post_stanza(prosody.hosts[muc], xml.parse((\"<presence from='r%d@%s/x' to='{}'>\
             <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none'/>\
             <status code='110'/></x></presence>\"):format(i, muc))); \
         end; return true",
        fed[0].muc(),
        macduff.jid()
    );
    fed[0].eval(&chunk).await?;
    macduff
        .expect("the last of them", |s| {
            s.attr("from").is_some_and(|from| from.starts_with("r50@"))
        })
        .await?;
    let kept = format!(
        "local kept, count = prosody.full_sessions['{}'].dmuc or {{}}, 0; \
         for _ in pairs(kept.there or {{}}) do count = count + 1; end; return count",
        macduff.jid()
    );
    assert_eq!(fed[1].eval(&kept).await?, 0);
    // Of one that was joined it is noted.
    cast.crone
        .create_room("heath@chat.shakespeare.lit", "firstcrone", &[])
        .await?;
    macduff.join("heath@chat.shakespeare.lit", "macduff").await?;
    assert_eq!(fed[1].eval(&kept).await?, 1);
    macduff.leave("heath@chat.shakespeare.lit", "macduff").await?;
    assert_eq!(fed[1].eval(&kept).await?, 0);
    fed.finish().await
}

/// Another module sends something in the source's name, and does not say over what it came.
async fn from_nowhere(version: Version, storage: Storage) -> Result<()> {
    let fed = servers("address-nowhere", version, storage).start().await?;
    let cast = cast(&fed, &[]).await?;
    let fire = |event: &str, xml: &str| {
        format!(
            "prosody.hosts['{}'].events.fire_event('{event}', {{ stanza = require 'util.xml'.parse([[{xml}]]) }}); \
             return true",
            fed[1].domain()
        )
    };
    let to = cast.witch.jid();
    for (event, xml) in [
        (
            "message/full",
            format!("<message from='{A}/lennox' to='{to}' type='chat'><body>forged</body></message>"),
        ),
        (
            "presence/full",
            format!("<presence from='{A}/lennox' to='{to}'/>"),
        ),
    ] {
        fed[1].eval(&fire(event, &xml)).await?;
    }
    let arrived: Vec<_> = cast.witch.all().await?.iter().map(to_string).collect();
    ensure!(arrived.is_empty(), "{arrived:?}");
    // Of an address that nobody here has it arrives.
    let xml = format!("<presence from='heath@chat.shakespeare.lit/x' to='{to}'/>");
    fed[1].eval(&fire("presence/full", &xml)).await?;
    cast.witch
        .expect("it", |s| s.attr("from") == Some("heath@chat.shakespeare.lit/x"))
        .await?;
    everybody_hears(&cast, "all is well").await?;
    fed.finish().await
}

on_every_version! {
    fn a_second_room_of_an_address_takes_nothing_from_the_first(version, storage = Internal) {
        second_room(version, storage).await
    }
    fn a_place_that_nobody_has_asked_for_is_not_noted(version, storage = Internal) {
        places(version, storage).await
    }
    fn what_comes_from_nowhere_is_handled_as_from_there(version, storage = Internal) {
        from_nowhere(version, storage).await
    }
}
