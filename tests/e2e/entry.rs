//! Who may join a shadow: what the source decided is enforced there, without asking (G2).

use anyhow::{Context, Result};
use dmuc_testbed::{Federation, Storage, Version, on_every_version};

use crate::stage::{Person, gathered, once_from, quiet, traffic};
use crate::support::{VISITS, eventually, three};

/// Waits until a service lists this affiliation for a JID in its instance.
async fn listed(fed: &Federation, server: usize, name: &str, jid: &str, affiliation: &str) -> Result<()> {
    let (muc, room) = (fed[server].muc(), fed[server].room(name));
    let chunk = format!(
        "local room = prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{room}'); \
         return room._affiliations['{jid}'] or 'none'"
    );
    eventually(&format!("{room} lists {jid} as {affiliation}"), || async {
        Ok(fed[server].eval(&chunk).await?.as_str() == Some(affiliation))
    })
    .await
}

/// A try to join that fails, and is nobody else's business.
async fn refused(
    fed: &Federation,
    server: usize,
    user: &str,
    name: &str,
    x: &str,
    condition: &str,
) -> Result<()> {
    let client = fed[server].client(user, &format!("{name}-refused")).await?;
    let room = fed[server].room(name);
    let error = client.join_with(&room, "intruder", x).await?.err();
    let error = error.with_context(|| format!("{user} got into {room}"))?;
    assert_eq!(error.condition, condition);
    Ok(())
}

async fn a_banned_person_cannot_join_anywhere(fed: &Federation) -> Result<()> {
    let crone = Person::founds(fed, "coven", &[]).await?;
    crone
        .set_affiliation(&crone.room, "graymalkin@macbeth.lit", "outcast")
        .await?;
    for server in 1..3 {
        listed(fed, server, "coven", "graymalkin@macbeth.lit", "outcast").await?;
    }
    quiet(fed, &[&crone]).await?;
    crone.take_all()?;
    fed.reset_stats().await?;
    refused(fed, 1, "graymalkin", "coven", "", "forbidden").await?;
    quiet(fed, &[&crone]).await?;
    assert_eq!(
        traffic(fed).await?,
        once_from(fed, 0, (0, 0)),
        "no instance hears of it"
    );
    assert_eq!(crone.take_all()?.len(), 0);
    // From the other shadow: the person is what counts, not the way in.
    let other_way = fed[1].client("graymalkin", "other-way").await?;
    let error = other_way.try_join(&fed[2].room("coven"), "cat").await?.err();
    assert_eq!(error.context("a refusal")?.condition, "forbidden");

    crone
        .set_affiliation(&crone.room, "graymalkin@macbeth.lit", "none")
        .await?;
    listed(fed, 1, "coven", "graymalkin@macbeth.lit", "none").await?;
    let _forgiven = Person::joins(fed, 1, "graymalkin", "coven", "graymalkin").await?;
    gathered(fed, "coven", &["firstcrone", "graymalkin"]).await
}

async fn a_password_is_asked_for_at_every_instance(fed: &Federation) -> Result<()> {
    let secret = [
        ("muc#roomconfig_passwordprotectedroom", "1"),
        ("muc#roomconfig_roomsecret", "open & sesame"),
    ];
    let crone = Person::founds(fed, "cave", &secret).await?;
    for server in 1..3 {
        refused(fed, server, "thief", "cave", "", "not-authorized").await?;
        refused(
            fed,
            server,
            "cassim",
            "cave",
            "<password>open barley</password>",
            "not-authorized",
        )
        .await?;
        let client = fed[server].client("alibaba", "cave").await?;
        let room = fed[server].room("cave");
        let nick = format!("alibaba{server}");
        client
            .join_with(&room, &nick, "<password>open &amp; sesame</password>")
            .await??;
        client.leave(&room, &nick).await?;
    }
    // A new one holds as soon as it has arrived.
    crone
        .configure_room(&crone.room, &[("muc#roomconfig_roomsecret", "melon")])
        .await?;
    for server in 1..3 {
        let (muc, room) = (fed[server].muc(), fed[server].room("cave"));
        let chunk =
            format!("return prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{room}'):get_password()");
        eventually("the password is new", || async {
            Ok(fed[server].eval(&chunk).await?.as_str() == Some("melon"))
        })
        .await?;
        refused(
            fed,
            server,
            "alibaba",
            "cave",
            "<password>open &amp; sesame</password>",
            "not-authorized",
        )
        .await?;
    }
    Ok(())
}

async fn a_members_only_room_is_so_at_every_instance(fed: &Federation) -> Result<()> {
    let crone = Person::founds(fed, "circle", &[("muc#roomconfig_membersonly", "1")]).await?;
    for server in 1..3 {
        refused(fed, server, "stranger", "circle", "", "registration-required").await?;
    }
    crone
        .set_affiliation(&crone.room, "hecate@macbeth.lit", "member")
        .await?;
    listed(fed, 1, "circle", "hecate@macbeth.lit", "member").await?;
    let hecate = Person::joins(fed, 1, "hecate", "circle", "hecate").await?;
    gathered(fed, "circle", &["firstcrone", "hecate"]).await?;
    // Who is no member any more is out, everywhere, with the reason.
    crone
        .set_affiliation(&crone.room, "hecate@macbeth.lit", "none")
        .await?;
    let out = hecate
        .expect("the end of the visit", |s| s.attr("type") == Some("unavailable"))
        .await?;
    assert!(dmuc_testbed::code_list(&out).contains(&321), "{out:?}");
    gathered(fed, "circle", &["firstcrone"]).await?;
    refused(fed, 1, "hecate", "circle", "", "registration-required").await
}

async fn entry(version: Version, storage: Storage) -> Result<()> {
    let fed = three("entry", version, storage).muc_line(VISITS).start().await?;
    a_banned_person_cannot_join_anywhere(&fed).await?;
    a_password_is_asked_for_at_every_instance(&fed).await?;
    a_members_only_room_is_so_at_every_instance(&fed).await?;
    fed.finish().await
}

on_every_version! {
    fn a_shadow_lets_in_whom_the_source_would(version, storage = Sqlite) {
        entry(version, storage).await
    }
}
