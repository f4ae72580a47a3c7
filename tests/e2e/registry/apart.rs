//! Registration during a split: provisional until the source has decided.

use anyhow::{Result, ensure};
use dmuc_testbed::{Storage, Version, code_list, on_every_version};

use super::*;
use crate::asking::item_attr;
use crate::splits::agreement::agree;
use crate::splits::scene::Scene;
use crate::splits::{hasty, patience};
use crate::support::VISITS;

async fn apart(version: Version, storage: Storage) -> Result<()> {
    let fed = hasty("registry-apart", version, storage)
        .muc_line(VISITS)
        .start()
        .await?;
    let mut scene = Scene::opens(&fed, "coven", &[]).await?;
    {
        let crone = &scene.people[0];
        for user in ["somewitch@macbeth.lit", "drfaust@marlowe.lit", "ross@macbeth.lit"] {
            crone.set_affiliation(SOURCE, user, "member").await?;
        }
        agree(&scene).await?;
    }

    fed.isolate(1).await;
    scene.is_alone(1).await?;
    let ross = scene.enters(1, "ross", "coven", "thane").await?;
    {
        let [witch, faust] = [&scene.people[1], &scene.people[2]];
        // Nobody contests the first; the second is registered at the source, too.
        granted(&register(witch, MACBETH, "wyrd").await?);
        granted(&register(&ross, MACBETH, "thane").await?);
        granted(&register(faust, MARLOWE, "thane").await?);
        for (client, room, nick) in [
            (&witch.client, MACBETH, "wyrd"),
            (&ross.client, MACBETH, "thane"),
            (&faust.client, MARLOWE, "thane"),
        ] {
            ensure!(registration(client, room).await?.as_deref() == Some(nick));
            ensure!(reserved(client, room).await?.as_deref() == Some(nick));
        }
        // There it holds already.
        let banquo = fed[1].client("banquo", "tent").await?;
        refused(&banquo, MACBETH, "wyrd").await?;
        denied(
            &register(&banquo, MACBETH, "ghost").await?,
            "registration-required",
        );
        denied(&register(witch, MACBETH, "thane").await?, "conflict");
        // Oneself is there, whatever the links do (XEP-0410).
        for witness in scene.people.iter().chain([&ross]) {
            ensure!(witness.self_ping(&witness.room, &witness.nick).await?.is_none());
        }
    }

    scene.heals().await?;
    let own = ross.sees("thane");
    let is_exit = |s: &Element| {
        let codes = code_list(s);
        s.attr("from") == Some(&*own) && codes.contains(&303) && codes.contains(&110)
    };
    // The nick is faust's now, though he does not use it: who has it is renamed, and told about the registration.
    ross.until("ross is renamed", patience(), |all| all.iter().any(is_exit))
        .await?;
    let nick = ross.with_transcript(|all| {
        let exit = all.iter().find(|s| is_exit(s));
        exit.map(|s| item_attr(s, "nick").to_owned())
    });
    let nick = nick.context("a new nick")?;
    ross.until("ross is told", patience(), |all| {
        all.iter().any(|s| {
            dmuc_testbed::body(s).is_some_and(|text| text.contains("the registration of the nick \"thane\""))
        })
    })
    .await?;
    ensure!(ross.self_ping(&ross.room, &nick).await?.is_none());
    let old = ross.self_ping(&ross.room, "thane").await?;
    ensure!(old.is_some(), "nobody is 'thane' any more");
    registered_everywhere(&scene.people[1], Some("wyrd")).await?;
    registered_everywhere(&scene.people[2], Some("thane")).await?;
    registered_everywhere(&ross, None).await?;
    let mut ross = ross;
    (ross.person.nick, ross.is_witness) = (nick, false);
    scene.people.push(ross);
    scene.all_here().await?;
    agree(&scene).await?;

    // Taken back during a split.
    fed.isolate(1).await;
    scene.is_alone(1).await?;
    granted(&unregister(&scene.people[1], MACBETH).await?);
    scene.heals().await?;
    let [crone, witch] = [&scene.people[0], &scene.people[1]];
    for room in ROOMS {
        eventually("the witch is no member any more", || async {
            let mut members = crone.affiliated(room, "member").await?;
            members.sort();
            Ok(members == ["drfaust@marlowe.lit", "ross@macbeth.lit"])
        })
        .await?;
        ensure!(reserved(witch, room).await?.is_none());
    }
    agree(&scene).await?;
    fed.finish().await
}

on_every_version! {
    fn a_nick_registered_during_a_split_is_the_persons_if_the_source_agrees(version, storage) {
        apart(version, storage).await
    }
}
