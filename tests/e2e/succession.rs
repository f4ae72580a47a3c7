//! A room outlives its host (G14): the source's server is killed, another one decides from then on, and the first comes back as a
//! shadow; handing over; a room of two, by force.

use anyhow::Result;
use dmuc_testbed::{Client, Federation, Storage, Version, on_every_version};

use crate::support::{MACBETH, MARLOWE, SOURCE, distributed, eventually, three, two};

const VOTERS: &str =
    "dmuc_voters = { \"chat.shakespeare.lit\", \"rooms.macbeth.lit\", \"conference.marlowe.lit\" }";

/// What an administrator reads in the shell.
pub async fn says(fed: &Federation, server: usize, command: &str, words: &[&str]) -> Result<()> {
    eventually(&format!("{command} shows {words:?}"), || async {
        Ok(fed[server].shell(command).await?.has(words))
    })
    .await
}

/// An order that is not carried out, in words.
async fn refuses(fed: &Federation, server: usize, command: &str, words: &str) -> Result<()> {
    let said = match fed[server].shell(command).await {
        Ok(said) => anyhow::bail!("{command}: {said:?}"),
        Err(error) => format!("{error:#}"),
    };
    anyhow::ensure!(said.contains(words), "{command}: {said}");
    Ok(())
}

pub async fn follows(fed: &Federation, server: usize, room: &str, source: &str) -> Result<()> {
    let role = match room == source {
        true => "source;".to_owned(),
        false => "shadow;".to_owned(),
    };
    let source = format!("{source};");
    says(
        fed,
        server,
        &format!("dmuc:room(\"{room}\")"),
        &["Role:", &role, &source],
    )
    .await
}

pub async fn federation(label: &str, version: Version, count: usize) -> Result<Federation> {
    let builder = match count {
        2 => two(label, version, Storage::Internal),
        _ => three(label, version, Storage::Internal),
    };
    let mut builder = builder
        .muc_line(VOTERS)
        .muc_line("dmuc_ping_interval = 1")
        .muc_line("dmuc_link_timeout = 3");
    for server in 0..count {
        builder = builder.with_server(server, |spec| spec.modules.push("admin_shell".to_owned()));
    }
    builder.start().await
}

/// The coven at three services that vote, with crone1 at its source and somewitch, an owner as well, and drfaust elsewhere.
pub async fn coven(label: &str, version: Version) -> Result<(Federation, Client, Client, Client)> {
    let fed = federation(label, version, 3).await?;
    let crone = distributed(&fed, &[]).await?;
    let witch = fed[1].client("somewitch", "mobile").await?;
    witch.join(MACBETH, "firstwitch").await?;
    let faust = fed[2].client("drfaust", "study").await?;
    faust.join(MARLOWE, "faust").await?;
    crone
        .set_affiliation(SOURCE, "somewitch@macbeth.lit", "owner")
        .await?;
    for (server, room) in [(0, SOURCE), (1, MACBETH), (2, MARLOWE)] {
        says(
            &fed,
            server,
            &format!("dmuc:room(\"{room}\")"),
            &["any 2 of these 3"],
        )
        .await?;
    }
    Ok((fed, crone, witch, faust))
}

async fn the_host_dies(version: Version) -> Result<()> {
    let (fed, _crone, witch, faust) = coven("heirs", version).await?;
    refuses(
        &fed,
        1,
        &format!("dmuc:take_over(\"{MACBETH}\")"),
        "can be reached",
    )
    .await?;

    fed[0].kill().await?;
    let one = format!("dmuc:room(\"{MACBETH}\")");
    says(&fed, 1, &one, &[SOURCE, "(source)", "out of reach", "down"]).await?;
    says(
        &fed,
        2,
        &format!("dmuc:room(\"{MARLOWE}\")"),
        &[SOURCE, "out of reach", "down"],
    )
    .await?;
    fed[1].shell(&format!("dmuc:take_over(\"{MACBETH}\")")).await?;
    follows(&fed, 1, MACBETH, MACBETH).await?;
    follows(&fed, 2, MARLOWE, MACBETH).await?;

    // Its people configure it, rule in it, and talk, as ever.
    witch
        .configure_room(MACBETH, &[("muc#roomconfig_roomname", "A heath")])
        .await?;
    witch
        .set_affiliation(MACBETH, "drfaust@marlowe.lit", "admin")
        .await?;
    witch
        .set_subject(MACBETH, "When shall we three meet again?")
        .await?;
    faust
        .set_affiliation(MARLOWE, "duncan@shakespeare.lit", "outcast")
        .await?;
    faust.say(MARLOWE, "in thunder").await?;
    witch.expect_body("in thunder").await?;

    // The old source comes back with what it had: it follows, and its people are ruled from elsewhere.
    fed[0].start().await?;
    follows(&fed, 0, SOURCE, MACBETH).await?;
    let crone = fed[0].client("crone1", "desktop").await?;
    crone.join(SOURCE, "firstcrone").await?;
    witch.say(MACBETH, "lightning").await?;
    crone.expect_body("lightning").await?;
    crone.say(SOURCE, "or in rain").await?;
    for client in [&witch, &faust] {
        client.expect_body("or in rain").await?;
    }
    crone
        .set_affiliation(SOURCE, "macduff@shakespeare.lit", "member")
        .await?;
    let lists = |server: usize, room: &'static str| {
        let muc = fed[server].muc().to_owned();
        let chunk = format!(
            "local room = prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{room}'); \
             return ('%s, %s, %s'):format(room:get_affiliation('macduff@shakespeare.lit') or 'none', \
                       room:get_affiliation('duncan@shakespeare.lit') or 'none', room:get_name() or '')"
        );
        let server = &fed[server];
        async move { server.eval(&chunk).await }
    };
    for (server, room) in [(0, SOURCE), (1, MACBETH), (2, MARLOWE)] {
        eventually(&format!("{room} has what was decided"), || async {
            Ok(lists(server, room).await? == "member, outcast, A heath")
        })
        .await?;
    }
    fed.finish().await
}

async fn handed_over(version: Version) -> Result<()> {
    let (fed, crone, witch, faust) = coven("hand-over", version).await?;
    for number in 1..=10 {
        faust.say(MARLOWE, &format!("before {number}")).await?;
    }
    fed[0]
        .shell(&format!(
            "dmuc:hand_over(\"{SOURCE}\", \"conference.marlowe.lit\")"
        ))
        .await?;
    for number in 1..=10 {
        witch.say(MACBETH, &format!("while {number}")).await?;
    }
    for (server, room) in [(0, SOURCE), (1, MACBETH), (2, MARLOWE)] {
        follows(&fed, server, room, MARLOWE).await?;
    }
    for number in 1..=10 {
        crone.expect_body(&format!("before {number}")).await?;
    }
    for number in 1..=10 {
        crone.expect_body(&format!("while {number}")).await?;
    }
    witch
        .set_affiliation(MACBETH, "hecate@macbeth.lit", "member")
        .await?;
    let muc = fed[0].muc().to_owned();
    eventually("the old source's list has what the new one decided", || async {
        let chunk = format!(
            "local room = prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{SOURCE}'); \
             return room:get_affiliation('hecate@macbeth.lit') or 'none'"
        );
        Ok(fed[0].eval(&chunk).await? == "member")
    })
    .await?;
    fed.finish().await
}

async fn by_force(version: Version) -> Result<()> {
    let fed = federation("force", version, 2).await?;
    let crone = fed[0].client("crone1", "desktop").await?;
    crone
        .create_room(SOURCE, "firstcrone", &[("muc#roomconfig_distributed", "1")])
        .await?;
    crate::support::replicated(&fed, &["rooms.macbeth.lit"]).await?;
    crone
        .set_affiliation(SOURCE, "somewitch@macbeth.lit", "owner")
        .await?;
    let one = format!("dmuc:room(\"{MACBETH}\")");
    says(&fed, 1, &one, &["nobody can follow but by force"]).await?;
    let witch = fed[1].client("somewitch", "mobile").await?;
    witch.join(MACBETH, "firstwitch").await?;
    fed[0].kill().await?;
    says(&fed, 1, &one, &[SOURCE, "out of reach", "down"]).await?;
    refuses(&fed, 1, &format!("dmuc:force(\"{MACBETH}\")"), "may be lost").await?;
    fed[1]
        .shell(&format!("dmuc:force(\"{MACBETH}\", \"force\")"))
        .await?;
    follows(&fed, 1, MACBETH, MACBETH).await?;
    witch
        .set_affiliation(MACBETH, "hecate@macbeth.lit", "member")
        .await?;
    fed[0].start().await?;
    follows(&fed, 0, SOURCE, MACBETH).await?;
    fed.finish().await
}

on_every_version! {
    fn a_room_goes_on_when_its_host_dies(version) {
        the_host_dies(version).await
    }

    fn a_source_hands_over_while_people_talk(version) {
        handed_over(version).await
    }

    fn a_room_of_two_goes_on_by_force(version) {
        by_force(version).await
    }
}
