//! XEP-0281 section 3.5: users of a peer's domains who come to the source are shown the way to their own shadow, as long as
//! that can be reached, and their own server does not serve them at that address.

use anyhow::{Context, Result};
use dmuc_testbed::{Client, Element, Federation, JoinError, Storage, Version, body, on_every_version};

use crate::asking::{invited_to, role};
use crate::support::{MACBETH, SOURCE, distributed, eventually, instances, nicks};

const MUC: &str = "http://jabber.org/protocol/muc";
const STANZA_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";

/// The join was answered with the redirect error and the invitation of the XEP.
async fn is_redirected(client: &Client, room: &str, nick: &str, shadow: &str) -> Result<()> {
    let refused: JoinError = client.try_join(room, nick).await?.err().context("a redirect")?;
    assert_eq!(refused.condition, "redirect");
    assert_eq!(refused.presence.attr("from"), Some(&*format!("{room}/{nick}")));
    let error = refused
        .presence
        .get_child("error", "jabber:client")
        .context("an error")?;
    assert_eq!(error.attr("type"), Some("cancel"));
    let redirect = error.get_child("redirect", STANZA_ERRORS).map(Element::text);
    assert_eq!(redirect, Some(format!("xmpp:{shadow}?join")));
    let words = error.get_child("text", STANZA_ERRORS).map(Element::text);
    assert!(
        words.is_some_and(|words| words.contains(shadow)),
        "{:?}",
        refused.presence
    );
    assert!(
        refused.presence.get_child("x", MUC).is_some(),
        "{:?}",
        refused.presence
    );
    let invitation = client
        .expect("an invitation", |s| invited_to(s).is_some())
        .await?;
    assert_eq!(invited_to(&invitation), Some(shadow));
    assert_eq!(invitation.attr("from"), Some(room));
    let x = invitation
        .get_child("x", "jabber:x:conference")
        .context("an invitation")?;
    let name = room.split('@').next().context("a localpart")?;
    let names_it = |reason: &str| reason.contains(name) && reason.contains(shadow);
    assert!(x.attr("reason").is_some_and(names_it), "{invitation:?}");
    Ok(())
}

async fn invite(fed: &Federation) -> Result<()> {
    let crone = distributed(fed, &[]).await?;
    let witch = fed[1].client("somewitch", "mobile").await?;
    is_redirected(&witch, SOURCE, "firstwitch", MACBETH).await?;
    // Nobody saw the attempt.
    crone.sync().await?;
    assert!(
        crone
            .drain_matching(
                |s| s.name() == "presence" && s.attr("from") != Some("coven@chat.shakespeare.lit/firstcrone")
            )
            .is_empty()
    );
    // Who tries again is shown the same, and not invited again at once.
    for device in ["mobile", "kitchen"] {
        let witch = fed[1].client("somewitch", device).await?;
        let refused = witch
            .try_join(SOURCE, "firstwitch")
            .await?
            .err()
            .context("a redirect")?;
        assert_eq!(refused.condition, "redirect");
        witch.sync().await?;
        assert!(witch.drain_matching(|s| invited_to(s).is_some()).is_empty());
    }
    assert_eq!(nicks(fed, 0, SOURCE).await?, ["firstcrone"]);
    let lennox = fed[1].client("lennox", "castle").await?;
    is_redirected(&lennox, SOURCE, "lennox", MACBETH).await?;
    lennox.join(MACBETH, "lennox").await?;
    eventually("lennox is among them", || async {
        Ok(nicks(fed, 0, SOURCE).await? == ["firstcrone", "lennox"])
    })
    .await?;
    // Users of domains that no peer serves, and the source's own, join as ever.
    let guest = fed[3].client("volpone", "bed").await?;
    guest.join(SOURCE, "volpone").await?;
    fed[0]
        .client("hag66", "pda")
        .await?
        .join(SOURCE, "thirdwitch")
        .await?;
    // Who is banned is told that, not where else to go.
    crone
        .set_affiliation(SOURCE, "macduff@macbeth.lit", "outcast")
        .await?;
    let macduff = fed[1].client("macduff", "fife").await?;
    let refused = macduff
        .try_join(SOURCE, "macduff")
        .await?
        .err()
        .context("a refusal")?;
    assert_eq!(refused.condition, "forbidden");
    macduff.sync().await?;
    assert!(macduff.drain().is_empty());
    Ok(())
}

/// The shadow could not be had there, so nobody is sent there.
async fn no_shadow(fed: &Federation) -> Result<()> {
    let theirs = fed[1].room("knocking");
    let porter = fed[1].client("porter", "gate").await?;
    for room in [&theirs, &fed[1].room("knocking.chat.shakespeare.lit")] {
        porter.create_room(room, "porter", &[]).await?;
    }
    let ours = fed[0].room("knocking");
    let hag = fed[0].client("hecate", "moon").await?;
    hag.create_room(&ours, "hecate", &[("muc#roomconfig_distributed", "1")])
        .await?;
    fed[0]
        .wait_for_log(&format!("{ours}: rooms.macbeth.lit refused"))
        .await?;
    fed[0]
        .wait_for_log(&format!("{ours}: conference.marlowe.lit has an instance"))
        .await?;
    assert_eq!(porter.join(&ours, "porter").await?.nicks(), ["hecate"]);
    let faust = fed[2].client("faust", "study").await?;
    is_redirected(
        &faust,
        &ours,
        "faust",
        &fed[2].room("knocking.chat.shakespeare.lit"),
    )
    .await
}

/// A room whose name cannot stand in a URI as it is (RFC 5122).
async fn in_uris(fed: &Federation) -> Result<()> {
    const NAME: &str = "café#1?50%";
    const ESCAPED: &str = "caf%C3%A9%231%3F50%25";
    let (ours, theirs) = (fed[0].room(NAME), fed[1].room(NAME));
    let hag = fed[0].client("hecate", "uris").await?;
    hag.create_room(&ours, "hecate", &[("muc#roomconfig_distributed", "1")])
        .await?;
    for (server, room) in [(0, &ours), (1, &theirs)] {
        eventually("the instances know each other", || async {
            Ok(instances(fed, server, room).await?.len() == 2)
        })
        .await?;
    }
    let lennox = fed[1].client("lennox", "uris").await?;
    let refused = lennox
        .try_join(&ours, "lennox")
        .await?
        .err()
        .context("a redirect")?;
    let error = refused
        .presence
        .get_child("error", "jabber:client")
        .context("an error")?;
    let redirect = error.get_child("redirect", STANZA_ERRORS).map(Element::text);
    assert_eq!(redirect, Some(format!("xmpp:{ESCAPED}@{}?join", fed[1].muc())));
    lennox.join(&theirs, "lennox").await?;
    hag.configure_room(&ours, &[("muc#roomconfig_distributed", "0")])
        .await?;
    let way = format!("xmpp:{ESCAPED}@{}?join", fed[0].muc());
    lennox
        .expect("the way to the source", |s| {
            s.attr("from") == Some(&*theirs) && body(s).is_some_and(|text| text.ends_with(&way))
        })
        .await?;
    Ok(())
}

/// `dmuc_redirect = "off"`.
async fn off(fed: &Federation) -> Result<()> {
    let room = fed[1].room("heath");
    let witch = fed[1].client("secondwitch", "heath").await?;
    witch
        .create_room(&room, "secondwitch", &[("muc#roomconfig_distributed", "1")])
        .await?;
    fed[1]
        .wait_for_log(&format!("{room}: chat.shakespeare.lit has an instance"))
        .await?;
    assert_eq!(
        role(fed, 0, &fed[0].room("heath")).await?.as_deref(),
        Some("shadow")
    );
    let crone = fed[0].client("crone2", "laptop").await?;
    assert_eq!(crone.join(&room, "secondcrone").await?.nicks(), ["secondwitch"]);
    crone.sync().await?;
    assert!(crone.drain_matching(|s| invited_to(s).is_some()).is_empty());
    Ok(())
}

/// `dmuc_redirect_after = 2`.
async fn after(fed: &Federation) -> Result<()> {
    let room = fed[2].room("study");
    let faust = fed[2].client("wagner", "library").await?;
    faust
        .create_room(&room, "wagner", &[("muc#roomconfig_distributed", "1")])
        .await?;
    fed[2]
        .wait_for_log(&format!("{room}: rooms.macbeth.lit has an instance"))
        .await?;
    let mut inside = Vec::new();
    for nick in ["ross", "angus"] {
        let client = fed[1].client(nick, "camp").await?;
        client.join(&room, nick).await?;
        inside.push(client);
    }
    let third = fed[1].client("menteith", "camp").await?;
    is_redirected(&third, &room, "menteith", &fed[1].room("study")).await?;
    // Somebody of another domain is no company for them.
    let crone = fed[0].client("crone3", "laptop").await?;
    crone.join(&room, "thirdcrone").await?;
    inside[0].leave(&room, "ross").await?;
    let fourth = fed[1].client("caithness", "camp").await?;
    fourth.join(&room, "caithness").await?;
    assert_eq!(
        nicks(fed, 2, &room).await?,
        ["angus", "caithness", "thirdcrone", "wagner"]
    );
    Ok(())
}

async fn redirects(version: Version, storage: Storage) -> Result<()> {
    let fed = Federation::builder()
        .servers(4)
        .label("redirects")
        .version(version)
        .storage(storage)
        .dmuc(true)
        .muc_line("dmuc_room_id = \"name\"")
        .muc_line("dmuc_shadow_names = \"any\"")
        // Otherwise their own servers serve them at the source's address.
        .muc_line("dmuc_serve = \"off\"")
        .with_server(1, |s| s.muc_lines.push("dmuc_redirect = \"off\"".into()))
        .with_server(2, |s| s.muc_lines.push("dmuc_redirect_after = 2".into()))
        .with_server(3, |s| s.dmuc = false)
        .start()
        .await?;
    invite(&fed).await?;
    no_shadow(&fed).await?;
    in_uris(&fed).await?;
    off(&fed).await?;
    after(&fed).await?;
    fed.finish().await
}

on_every_version! {
    fn users_of_a_peer_are_shown_the_way_to_their_own_shadow(version, storage = Sqlite) {
        redirects(version, storage).await
    }
}
