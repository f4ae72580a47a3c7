//! XEP-0281 section 3.2: what a shadow is given, under which id, and that instances talk directly.

use anyhow::{Context, Result};
use dmuc_testbed::{Client, Federation, Storage, Version, body, on_every_version};

use crate::asking::{role, value};
use crate::support::{VISITS, eventually, instances};

const ROOM: &str = "coven@chat.shakespeare.lit";

/// The shadow of `source` at a service, as the source's log names it.
async fn shadow(fed: &Federation, server: usize, source: &str, service: &str) -> Result<String> {
    let line = fed[server]
        .wait_for_log(&format!("{source}: {service} has an instance"))
        .await?;
    let jid = line.rsplit(' ').next().context("a JID at the end")?.to_owned();
    let other = fed
        .servers()
        .iter()
        .position(|s| s.muc() == service)
        .context("a server")?;
    eventually(&format!("{jid} knows the others"), || async {
        Ok(instances(fed, other, &jid).await?.len() == 2)
    })
    .await?;
    Ok(jid)
}

/// A message of `minutes` ago in an ordinary room's archive, which is where its history comes from.
async fn said_before(fed: &Federation, nick: &str, text: &str, minutes: u32) -> Result<()> {
    fed[0]
        .eval(&format!(
            "local st = require 'util.stanza'; \
             local archive = require 'core.storagemanager'.open('chat.shakespeare.lit', 'muc_log', 'archive'); \
             return (archive:append('coven', nil, st.message({{ type = 'groupchat', id = 'id-{minutes}', \
             from = '{ROOM}/{nick}' }}, '{text}'), os.time() - {minutes} * 60, 'message<groupchat'))"
        ))
        .await
        .map(|_| ())
}

async fn history_with(client: &Client, room: &str, limits: &str) -> Result<Vec<String>> {
    let joined = client
        .join_with(room, client.bare_jid(), &format!("<history {limits}/>"))
        .await??;
    client.leave(room, client.bare_jid()).await?;
    Ok(joined.history_bodies())
}

/// What people at a shadow find: configuration, lists, subject, history.
async fn is_complete(fed: &Federation, server: usize, shadow: &str, crone: &Client) -> Result<()> {
    let here = crone.room_form(shadow).await?;
    let there = crone.room_form(ROOM).await?;
    for var in [
        "muc#roomconfig_roomname",
        "muc#roomconfig_roomdesc",
        "muc#roomconfig_membersonly",
        "muc#roomconfig_moderatedroom",
        "muc#roomconfig_changesubject",
        "muc#roomconfig_whois",
        "muc#roomconfig_allowinvites",
        "muc#roomconfig_allowmemberinvites",
        "muc#roomconfig_historylength",
        "muc#roomconfig_defaulthistorymessages",
        "muc#roomconfig_lang",
    ] {
        assert_eq!(value(&here, var), value(&there, var), "{var} at {shadow}");
    }
    assert_eq!(value(&here, "muc#roomconfig_changesubject").as_deref(), Some("1"));
    assert_eq!(
        value(&here, "muc#roomconfig_roomdesc").as_deref(),
        Some("Where <charms> are \"made\" & brewed")
    );
    for (affiliation, expected) in [
        ("owner", &["crone1@shakespeare.lit"][..]),
        ("admin", &["hecate@macbeth.lit"]),
        ("member", &["faust@marlowe.lit", "hag66@shakespeare.lit"]),
        ("outcast", &["iago@venice.lit", "macduff@macbeth.lit"]),
    ] {
        let mut found = crone.affiliated(shadow, affiliation).await?;
        found.sort();
        assert_eq!(found, expected, "{affiliation}s at {shadow}");
    }
    let user = fed[server].client("reader", "phone").await?;
    let joined = user.join(shadow, "reader").await?;
    assert_eq!(joined.subject(), "Cauldron");
    assert_eq!(joined.nicks(), ["firstcrone"]);
    assert_eq!(
        joined.history_bodies(),
        ["An hour ago", "Half an hour ago", "A moment ago", "Now"]
    );
    let stamp = |n: usize| {
        let delay = joined.history[n].get_child("delay", "urn:xmpp:delay")?;
        delay.attr("stamp").map(str::to_owned)
    };
    let half_an_hour_ago = stamp(1).context("a stamp")?;
    user.leave(shadow, "reader").await?;
    for (limits, expected) in [
        ("maxstanzas='2'", &["A moment ago", "Now"][..]),
        ("maxstanzas='0'", &[]),
        ("maxchars='0'", &[]),
        ("seconds='900'", &["A moment ago", "Now"]),
        ("seconds='2400'", &["Half an hour ago", "A moment ago", "Now"]),
        (
            &format!("since='{half_an_hour_ago}'"),
            &["Half an hour ago", "A moment ago", "Now"],
        ),
        ("since='2100-01-01T00:00:00Z'", &[]),
        ("maxstanzas='1' seconds='2400'", &["Now"]),
    ] {
        assert_eq!(
            history_with(&user, shadow, limits).await?,
            expected,
            "{limits} at {shadow}"
        );
    }
    Ok(())
}

/// Messages and presences from one service to another since the last reset.
async fn crossed(fed: &Federation, from: usize, to: usize) -> Result<u64> {
    let link = fed[from].stats().await?.link(fed[from].muc(), fed[to].muc());
    Ok(link.message.stanzas + link.presence.stanzas)
}

async fn replicating(version: Version, storage: Storage) -> Result<()> {
    let fed = Federation::builder()
        .label("replicating")
        .version(version)
        .storage(storage)
        .dmuc(true)
        .muc_line(VISITS)
        .muc_line("dmuc_shadow_names = \"any\"")
        .with_server(0, |s| s.muc_lines.push("dmuc_room_id = \"uuid\"".into()))
        .with_server(1, |s| s.muc_lines.push("dmuc_room_id = \"sha256\"".into()))
        .start()
        .await?;
    // A room with a past.
    let crone = fed[0].client("crone1", "desktop").await?;
    let config = [
        ("muc#roomconfig_roomname", "A Dark Cave"),
        ("muc#roomconfig_roomdesc", "Where <charms> are \"made\" & brewed"),
        ("muc#roomconfig_changesubject", "1"),
        ("muc#roomconfig_lang", "sco"),
    ];
    crone.create_room(ROOM, "firstcrone", &config).await?;
    for (jid, affiliation) in [
        ("hecate@macbeth.lit", "admin"),
        ("hag66@shakespeare.lit", "member"),
        ("faust@marlowe.lit", "member"),
        ("macduff@macbeth.lit", "outcast"),
        ("iago@venice.lit", "outcast"),
    ] {
        crone.set_affiliation(ROOM, jid, affiliation).await?;
    }
    for (text, minutes) in [("An hour ago", 60), ("Half an hour ago", 30), ("A moment ago", 5)] {
        said_before(&fed, "firstcrone", text, minutes).await?;
    }
    crone.set_subject(ROOM, "Cauldron").await?;
    crone.say_and_see(ROOM, "Now").await?;
    crone
        .configure_room(ROOM, &[("muc#roomconfig_distributed", "1")])
        .await?;

    // The id is a UUID, the same at every service, and everything arrives there.
    let macbeth = shadow(&fed, 0, ROOM, "rooms.macbeth.lit").await?;
    let marlowe = shadow(&fed, 0, ROOM, "conference.marlowe.lit").await?;
    let id = macbeth.split('@').next().context("a localpart")?;
    assert!(
        id.len() == 36 && id.matches('-').count() == 4 && !id.contains("coven"),
        "{id}"
    );
    assert_eq!(marlowe, format!("{id}@conference.marlowe.lit"));
    is_complete(&fed, 1, &macbeth, &crone).await?;
    is_complete(&fed, 2, &marlowe, &crone).await?;

    // The other schemes.
    let witch = fed[1].client("somewitch", "mobile").await?;
    let heath = fed[1].room("heath");
    witch
        .create_room(&heath, "firstwitch", &[("muc#roomconfig_distributed", "1")])
        .await?;
    let hash = fed[1]
        .eval(&format!("return require 'util.hashes'.sha256('{heath}', true)"))
        .await?;
    let hash = hash.as_str().context("a hash")?;
    assert_eq!(
        shadow(&fed, 1, &heath, "chat.shakespeare.lit").await?,
        fed[0].room(hash)
    );
    let faust = fed[2].client("faust", "study").await?;
    let study = fed[2].room("study");
    faust
        .create_room(&study, "faust", &[("muc#roomconfig_distributed", "1")])
        .await?;
    assert_eq!(
        shadow(&fed, 2, &study, "chat.shakespeare.lit").await?,
        fed[0].room("study")
    );
    assert_eq!(
        role(&fed, 0, &fed[0].room("study")).await?.as_deref(),
        Some("shadow")
    );

    // Shadows talk to each other directly: one stanza per instance, none through the source.
    witch.join(&macbeth, "firstwitch").await?;
    faust.join(&marlowe, "faust").await?;
    witch
        .expect("the other shadow's occupant", |s| {
            s.attr("from") == Some(&*format!("{macbeth}/faust"))
        })
        .await?;
    fed.settle(2).await?;
    fed.reset_stats().await?;
    witch.say(&macbeth, "By the pricking of my thumbs").await?;
    for client in [&witch, &faust, &crone] {
        let message = client.expect_body("By the pricking of my thumbs").await?;
        assert!(body(&message).is_some());
    }
    fed.settle(2).await?;
    for (from, to, expected) in [(1, 0, 1), (1, 2, 1), (0, 1, 0), (0, 2, 0), (2, 0, 0), (2, 1, 0)] {
        assert_eq!(crossed(&fed, from, to).await?, expected, "from {from} to {to}");
    }
    fed.finish().await
}

on_every_version! {
    fn a_shadow_is_given_everything_under_the_id_of_the_room(version, storage = Sqlite) {
        replicating(version, storage).await
    }
}

/// Servers that are told of each other and nothing else.
async fn by_default(version: Version, storage: Storage) -> Result<()> {
    let fed = Federation::builder()
        .label("names")
        .version(version)
        .storage(storage)
        .dmuc(true)
        .start()
        .await?;
    let crone = fed[0].client("crone1", "desktop").await?;
    crone
        .create_room(ROOM, "firstcrone", &[("muc#roomconfig_distributed", "1")])
        .await?;
    let there = shadow(&fed, 0, ROOM, "rooms.macbeth.lit").await?;
    assert_eq!(there, fed[1].room("coven.chat.shakespeare.lit"));
    let witch = fed[1].client("hecate", "moon").await?;
    assert_eq!(witch.join(&there, "hecate").await?.nicks(), ["firstcrone"]);
    witch.say(&there, "Black spirits").await?;
    crone
        .expect("what is said there", |s| {
            body(s).as_deref() == Some("Black spirits")
        })
        .await?;
    Ok(())
}

on_every_version! {
    fn a_shadow_has_a_name_that_people_can_read_without_any_option(version, storage = Internal) {
        by_default(version, storage).await
    }
}
