//! Everything that Debian 12's prosody-modules has for MUC services, at once, on every server.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{
    Builder, Element, Federation, Storage, Suite, Version, body, code_list, on_every_version,
};

use crate::stage::{CLIENT, MUC_USER, Person, company, quiet, stanza_id};
use crate::support::{eventually, from, nicks, three};

const OOB: &str = "jabber:x:oob";

/// On the MUC service.
const FOR_ROOMS: [&str; 8] = [
    "http_muc_log",
    "muc_log",
    "muc_log_http",
    "muc_moderation",
    "muc_restrict_media",
    "pastebin",
    "pubsub_subscription",
    "vcard_muc",
];

/// On the user domain.
const FOR_USERS: [&str; 2] = ["ping_muc", "track_muc_joins"];

/// As well, but loaded when the server runs: its list is on the same server, whose hosts start in any order.
const LATE: &str = "muc_rtbl";

fn with_all(builder: Builder, modules: &Path) -> Builder {
    (0..3).fold(builder, |builder, index| {
        builder.with_server(index, |spec| {
            spec.muc_modules = FOR_ROOMS.map(str::to_owned).to_vec();
            spec.modules = FOR_USERS.map(str::to_owned).to_vec();
            let folders = FOR_ROOMS.iter().chain(&FOR_USERS).chain([&LATE]);
            spec.community = folders.map(|name| modules.join(format!("mod_{name}"))).collect();
            let (domain, muc) = (spec.domain.clone(), spec.muc.clone());
            spec.muc_lines.push(format!("muc_rtbl_jid = \"rtbl.{domain}\""));
            // These are the last lines of the configuration: a section of its own for the list of banned hashes.
            spec.muc_lines
                .push(format!("Component \"rtbl.{domain}\" \"pubsub\""));
            spec.muc_lines.push(format!("admins = {{ \"{muc}\" }}"));
            spec.muc_lines.push("autocreate_on_subscribe = true".to_owned());
        })
    })
}

/// What everybody sees of one message, which is the same for all.
async fn seen_by_all(fed: &Federation, people: &[Person; 3], id: &str) -> Result<Element> {
    quiet(fed, &people.each_ref()).await?;
    let mut seen = Vec::new();
    for viewer in people {
        let mut all = viewer.take_all()?;
        all.retain(|s| s.is("message", CLIENT) && s.attr("id") == Some(id));
        ensure!(all.len() == 1, "{} sees it {} times", viewer.nick, all.len());
        let message = all.remove(0);
        let id = stanza_id(&message, &viewer.room)?;
        seen.push((id, body(&message), message.get_child("x", OOB).is_some(), message));
    }
    let [first, rest @ ..] = &seen[..] else {
        unreachable!("three people")
    };
    for other in rest {
        assert_eq!((&other.0, &other.1, other.2), (&first.0, &first.1, first.2));
    }
    Ok(first.3.clone())
}

async fn story(fed: &Federation) -> Result<()> {
    let people = company(fed, "coven", &[]).await?;
    let [crone, witch, faust] = people.each_ref();
    for sender in &people {
        // As it is.
        let id = sender
            .sends(&format!("<body>{} speaks</body>", sender.nick))
            .await?;
        let message = seen_by_all(fed, &people, &id).await?;
        assert_eq!(body(&message), Some(format!("{} speaks", sender.nick)));
        // Too many lines for mod_pastebin: the sender's server has the rest, for everybody.
        let id = sender
            .sends("<body>Eye\nof\nnewt\nand\ntoe\nof\nfrog</body>")
            .await?;
        let message = seen_by_all(fed, &people, &id).await?;
        let text = body(&message).context("a body")?;
        ensure!(text.starts_with("Eye\nhttp://"), "{text}");
        ensure!(text.contains(fed[sender.server].muc()), "{text}");
        // mod_muc_restrict_media: not shown unless its sender has an affiliation, to nobody anywhere.
        let id = sender
            .sends("<body>http://a.lit/b.png</body><x xmlns='jabber:x:oob'><url>http://a.lit/b.png</url></x>")
            .await?;
        let message = seen_by_all(fed, &people, &id).await?;
        assert_eq!(message.get_child("x", OOB).is_some(), sender.nick == "firstcrone");
    }
    // Its setting is part of the room's configuration, which the source decides for all instances that have the module.
    let field = "{xmpp:prosody.im}muc#roomconfig_unaffiliated_media";
    crone.configure_room(&crone.room, &[(field, "1")]).await?;
    quiet(fed, &people.each_ref()).await?;
    for person in &people {
        person.take_all()?;
    }
    let id = witch
        .sends("<body>http://a.lit/c.png</body><x xmlns='jabber:x:oob'><url>http://a.lit/c.png</url></x>")
        .await?;
    let message = seen_by_all(fed, &people, &id).await?;
    ensure!(message.get_child("x", OOB).is_some(), "{message:?}");
    // mod_vcard_muc: the avatar of the instance where an owner sets it.
    let vcard =
        "<vCard xmlns='vcard-temp'><PHOTO><TYPE>image/png</TYPE><BINVAL>aGVsbG8=</BINVAL></PHOTO></vCard>";
    crone
        .iq_ok(&format!("<iq type='set' to='{}'>{vcard}</iq>", crone.room))
        .await?;
    crone
        .expect("the change of the avatar", |s| code_list(s).contains(&104))
        .await?;
    let refusal = witch
        .iq_xml(&format!("<iq type='set' to='{}'>{vcard}</iq>", witch.room))
        .await?;
    assert_eq!(refusal.attr("type"), Some("error"));
    quiet(fed, &people.each_ref()).await?;
    for person in &people {
        person.take_all()?;
    }
    // Newcomers everywhere have the same history. Nobody is told of an avatar who comes elsewhere, or removed for it.
    let mut histories = Vec::new();
    for person in &people {
        let late = fed[person.server].client("late", "coven").await?;
        let nick = format!("late{}", person.server);
        let joined = late.join(&person.room, &nick).await?;
        histories.push(joined.history_bodies());
        quiet(fed, &people.each_ref()).await?;
        late.sync().await?;
        late.leave(&person.room, &nick).await?;
        quiet(fed, &people.each_ref()).await?;
        for viewer in &people {
            let is_late = from(&viewer.room, &nick);
            let (of_it, others): (Vec<Element>, Vec<Element>) =
                viewer.take_all()?.into_iter().partition(is_late);
            let types: Vec<_> = of_it.iter().map(|s| s.attr("type")).collect();
            assert_eq!(
                types,
                [None, Some("unavailable")],
                "{nick} to {}: {of_it:?}",
                viewer.nick
            );
            ensure!(of_it.iter().all(|s| !code_list(s).contains(&333)), "{of_it:?}");
            ensure!(
                others
                    .iter()
                    .all(|s| viewer.server == person.server && s.is("presence", CLIENT)),
                "{others:?}"
            );
        }
    }
    assert_eq!(histories[0].len(), 10);
    assert_eq!(histories[0], histories[1]);
    assert_eq!(histories[0], histories[2]);
    // The link breaks and heals; nobody is taken for gone (mod_ping_muc asks).
    fed.link(0, 1).cut().await;
    let id = witch.sends("<body>in the split</body>").await?;
    faust.expect_body("in the split").await?;
    crone
        .expect("the notice", |s| {
            body(s).is_some_and(|b| b.contains("interrupted"))
        })
        .await?;
    fed.heal_all().await;
    let late = crone.expect_body("in the split").await?;
    assert_eq!(late.attr("id"), Some(&*id));
    quiet(fed, &people.each_ref()).await?;
    for person in &people {
        let gone = |s: &&Element| s.is("presence", CLIENT) && s.attr("type") == Some("unavailable");
        let left: Vec<Element> = person.take_all()?.iter().filter(gone).cloned().collect();
        ensure!(
            left.iter()
                .all(|s| s.attr("from").is_some_and(|f| f.contains("/late"))),
            "{left:?}"
        );
    }
    // A kick from the source.
    crone.kick(&crone.room, "faust").await?;
    let is_faust = from(&faust.room, "faust");
    let kicked = faust
        .expect("a kick", |s| is_faust(s) && code_list(s).contains(&307))
        .await?;
    ensure!(kicked.get_child("x", MUC_USER).is_some());
    for (index, person) in [crone, witch].into_iter().enumerate() {
        eventually("faust is gone", || async {
            Ok(nicks(fed, index, &person.room).await? == ["firstcrone", "firstwitch"])
        })
        .await?;
    }
    Ok(())
}

async fn together(version: Version, storage: Storage) -> Result<()> {
    let Some(modules) = Suite::Bookworm.folder_for("community::together") else {
        return Ok(());
    };
    let builder = three("community", version, storage)
        .muc_line("dmuc_ping_interval = 1")
        .muc_line("dmuc_link_timeout = 3");
    let fed = with_all(builder, &modules).start().await?;
    for server in fed.servers() {
        server.load_module(server.muc(), LATE).await?;
        server.wait_for_log("RTBL active").await?;
        for module in FOR_ROOMS {
            ensure!(server.is_loaded(server.muc(), module).await?, "{module}");
        }
        for module in FOR_USERS {
            ensure!(server.is_loaded(server.domain(), module).await?, "{module}");
        }
    }
    story(&fed).await?;
    for server in fed.servers() {
        let refused = server.log_lines_matching(r"dmuc\s+warn.*Refused")?;
        ensure!(refused.is_empty(), "{}: {refused:?}", server.domain());
    }
    fed.finish().await
}

on_every_version! {
    fn debians_community_modules_run_beside_it(version, storage) {
        together(version, storage).await
    }
}
