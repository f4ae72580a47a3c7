//! Private messages where a room restricts them (Prosody 13), and to people with several clients at one or two instances.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Element, Federation, Storage, Version, body, error_condition, on_every_version};

use crate::stage::{Person, company, gathered, quiet};
use crate::support::{VISITS, three};

/// The error that a private message gets, if it does not arrive.
async fn whisper(from: &Person, to: &Person, text: &str) -> Result<Option<String>> {
    let id = from.say_privately(&from.room, &to.nick, text).await?;
    let is_refusal = |s: &Element| s.attr("type") == Some("error") && s.attr("id") == Some(&*id);
    tokio::select! {
        heard = to.expect_body(text) => heard.map(|_| None),
        error = from.expect("a refusal", is_refusal) => {
            let error = error?;
            assert_eq!(error.attr("from"), Some(&*from.sees(&to.nick)));
            Ok(Some(error_condition(&error).context("a condition")?))
        }
    }
}

/// `muc#roomconfig_allowpm`, set at the source, holds at every instance for everybody's messages.
async fn restrictions_hold_at_every_instance(fed: &Federation) -> Result<()> {
    const FIELD: &str = "muc#roomconfig_allowpm";
    let people = company(fed, "hushed", &[]).await?;
    let crone = &people[0];
    for (who, is_let) in [
        ("moderator", [true, false, false]),
        ("none", [false; 3]),
        ("visitor", [true; 3]),
    ] {
        crone.configure_room(&crone.room, &[(FIELD, who)]).await?;
        quiet(fed, &people.each_ref()).await?;
        for (from, is_let) in people.iter().zip(is_let) {
            for to in people.iter().filter(|to| to.nick != from.nick) {
                let text = format!("{} whispers to {} ({who})", from.nick, to.nick);
                let error = whisper(from, to, &text).await?;
                let wanted = (!is_let).then(|| "policy-violation".to_owned());
                ensure!(error == wanted, "{text}: {error:?}");
            }
        }
    }
    Ok(())
}

/// A nick with two clients at one instance, and one with clients at two: each client hears it once. The one at an instance
/// whose service does not speak for the person hears what is said there, where nobody has to believe that service.
async fn every_client_of_a_nick_hears_it_once(fed: &Federation) -> Result<()> {
    let people = company(fed, "chorus", &[]).await?;
    let [crone, witch, faust] = people.each_ref();
    let second = fed[2].client("drfaust", "chorus-second").await?;
    let joined = second.join(&faust.room, "faust").await?;
    let second = Person {
        client: second,
        server: 2,
        room: faust.room.clone(),
        nick: "faust".into(),
        joined,
    };
    // crone1 again, by way of another instance.
    let elsewhere = fed[0].client("crone1", "chorus-elsewhere").await?;
    let joined = elsewhere.join(&witch.room, "firstcrone").await?;
    let elsewhere = Person {
        client: elsewhere,
        server: 0,
        room: witch.room.clone(),
        nick: "firstcrone".into(),
        joined,
    };
    gathered(fed, "chorus", &["faust", "firstcrone", "firstwitch"]).await?;
    let everybody = [crone, witch, faust, &second, &elsewhere];
    quiet(fed, &everybody).await?;
    for person in everybody {
        person.take_all()?;
    }
    for (from, to, hearers) in [
        (witch, "faust", &[faust, &second][..]),
        (crone, "faust", &[faust, &second]),
        (faust, "firstcrone", &[crone]),
        (witch, "firstcrone", &[crone, &elsewhere]),
    ] {
        let text = format!("{} to all of {to}", from.nick);
        from.say_privately(&from.room, to, &text).await?;
        quiet(fed, &everybody).await?;
        for person in everybody {
            let all = person.take_all()?;
            let heard: Vec<&Element> = all.iter().filter(|s| body(s).is_some()).collect();
            let is_hearer = hearers.iter().any(|hearer| hearer.jid() == person.jid());
            ensure!(
                heard.len() == usize::from(is_hearer),
                "{text:?} at {}: {heard:?}",
                person.jid()
            );
            for message in heard {
                assert_eq!(message.attr("from"), Some(&*person.sees(&from.nick)));
                assert_eq!(message.attr("to"), Some(person.jid()));
            }
        }
    }
    for person in &people {
        assert_eq!(
            person.mam_all(&person.room).await?.len(),
            0,
            "whispers are not archived"
        );
    }
    Ok(())
}

async fn rules(version: Version, storage: Storage) -> Result<()> {
    let fed = three("private-rules", version, storage)
        .muc_line(VISITS)
        .start()
        .await?;
    every_client_of_a_nick_hears_it_once(&fed).await?;
    // Prosody 0.12 has no such setting.
    if !version.is_0_12() {
        restrictions_hold_at_every_instance(&fed).await?;
    }
    fed.finish().await
}

on_every_version! {
    fn private_messages_keep_the_rules_of_the_room(version, storage) {
        rules(version, storage).await
    }
}
