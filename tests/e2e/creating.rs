//! XEP-0281 section 3.1: a room becomes distributed, early or late in its life, and ordinary again.

use anyhow::{Context, Result};
use dmuc_testbed::{Element, Storage, Version, body, error_condition, on_every_version};

use crate::asking::{field, gone, invited_to, role, submit, value};
use crate::support::{MACBETH, MARLOWE, SOURCE, eventually, from, nicks, replicated, three, together};

const FIELD: &str = "muc#roomconfig_distributed";

async fn choices(version: Version, storage: Storage) -> Result<()> {
    let fed = three("choices", version, storage)
        .with_server(1, |s| s.muc_lines.push("dmuc_default_distributed = true".into()))
        .with_server(2, |s| {
            s.muc_lines.push("dmuc_default_distributed = true".into());
            s.muc_lines.push("dmuc_offer_choice = false".into());
        })
        .start()
        .await?;

    // By default the owner is asked, and the answer is no unless it is yes.
    let crone = fed[0].client("crone1", "desktop").await?;
    for (name, answer) in [("one", "1"), ("true", "true"), ("zero", "0"), ("false", "false")] {
        let room = fed[0].room(name);
        crone.join(&room, "firstcrone").await?;
        let form = crone.room_form(&room).await?;
        let asked = field(&form, FIELD).context("the field")?;
        assert_eq!(asked.attr("type"), Some("boolean"));
        assert_eq!(
            asked.attr("label"),
            Some("Distribute Room Across Multiple Services?")
        );
        assert_eq!(value(&form, FIELD).as_deref(), Some("0"));
        submit(&crone, &room, &[(FIELD, answer)]).await?;
        if ["1", "true"].contains(&answer) {
            fed[0].wait_for_log(&format!("{room} is distributed now")).await?;
            assert_eq!(role(&fed, 0, &room).await?.as_deref(), Some("source"));
            let form = crone.room_form(&room).await?;
            assert_eq!(value(&form, FIELD).as_deref(), Some("1"));
        }
    }
    let plain = fed[0].room("unanswered");
    crone.join(&plain, "firstcrone").await?;
    submit(&crone, &plain, &[("muc#roomconfig_roomname", "Unanswered")]).await?;
    crone.sync().await?;
    for name in ["zero", "false", "unanswered"] {
        assert_eq!(role(&fed, 0, &fed[0].room(name)).await?, None, "{name}");
    }

    // What is not an answer changes nothing, in either direction.
    let one = fed[0].room("one");
    for nonsense in ["", "perhaps"] {
        submit(&crone, &one, &[(FIELD, nonsense)]).await?;
        submit(&crone, &plain, &[(FIELD, nonsense)]).await?;
        crone.sync().await?;
        assert_eq!(
            role(&fed, 0, &one).await?.as_deref(),
            Some("source"),
            "{nonsense:?}"
        );
        assert_eq!(role(&fed, 0, &plain).await?, None, "{nonsense:?}");
    }

    // Where the default is yes, the form says so, saying nothing is enough, and no means no.
    let witch = fed[1].client("somewitch", "mobile").await?;
    let room = fed[1].room("asked");
    witch.join(&room, "firstwitch").await?;
    assert_eq!(value(&witch.room_form(&room).await?, FIELD).as_deref(), Some("1"));
    submit(&witch, &room, &[(FIELD, "0")]).await?;
    witch.sync().await?;
    let instant = fed[1].room("instant");
    witch.join(&instant, "firstwitch").await?;
    witch
        .iq_ok(&format!(
            "<iq type='set' to='{instant}'><query xmlns='http://jabber.org/protocol/muc#owner'>\
             <x xmlns='jabber:x:data' type='submit'/></query></iq>"
        ))
        .await?;
    fed[1]
        .wait_for_log(&format!("{instant} is distributed now"))
        .await?;
    assert_eq!(role(&fed, 1, &room).await?, None);
    assert_eq!(value(&witch.room_form(&room).await?, FIELD).as_deref(), Some("0"));
    // It stays no when the room is configured again without a word about it.
    submit(&witch, &room, &[("muc#roomconfig_roomname", "Ours")]).await?;
    witch.sync().await?;
    assert_eq!(role(&fed, 1, &room).await?, None);

    // Where the owner is not asked, the default rules and nobody can say otherwise.
    let faust = fed[2].client("faust", "study").await?;
    let room = fed[2].room("unasked");
    faust.join(&room, "faust").await?;
    assert!(field(&faust.room_form(&room).await?, FIELD).is_none());
    submit(&faust, &room, &[(FIELD, "0")]).await?;
    fed[2].wait_for_log(&format!("{room} is distributed now")).await?;
    assert_eq!(role(&fed, 2, &room).await?.as_deref(), Some("source"));
    fed.finish().await
}

on_every_version! {
    fn the_form_asks_and_the_defaults_decide(version, storage = Sqlite) {
        choices(version, storage).await
    }
}

async fn later(version: Version, storage: Storage) -> Result<()> {
    let fed = three("later", version, storage)
        .muc_line("dmuc_redirect = \"off\"")
        .start()
        .await?;
    // An ordinary room with people, history and a subject.
    let crone = fed[0].client("crone1", "desktop").await?;
    crone
        .create_room(
            SOURCE,
            "firstcrone",
            &[("muc#roomconfig_roomname", "A Dark Cave")],
        )
        .await?;
    let hag = fed[0].client("hag66", "pda").await?;
    hag.join(SOURCE, "thirdwitch").await?;
    // Somebody from a peer's domain is at the source itself.
    let guest = fed[1].client("banquo", "tent").await?;
    guest.join(SOURCE, "banquo").await?;
    for (client, text) in [
        (&crone, "Thrice the brinded cat"),
        (&hag, "Harpier cries"),
        (&guest, "What are these?"),
    ] {
        client.say(SOURCE, text).await?;
        for other in [&crone, &hag, &guest] {
            other.expect_body(text).await?;
        }
    }
    crone.set_subject(SOURCE, "Cauldron").await?;
    for client in [&crone, &hag, &guest] {
        let is_set = |s: &Element| {
            body(s).is_none()
                && s.get_child("subject", "jabber:client")
                    .is_some_and(|subject| subject.text() == "Cauldron")
        };
        client.expect("the subject", is_set).await?;
    }
    hag.drain();
    guest.drain();

    // It becomes distributed: nobody in it notices anything but the change of configuration.
    crone.configure_room(SOURCE, &[(FIELD, "1")]).await?;
    replicated(&fed, &["rooms.macbeth.lit", "conference.marlowe.lit"]).await?;
    together(&fed, &["banquo", "firstcrone", "thirdwitch"]).await?;
    for client in [&hag, &guest] {
        client.sync().await?;
        let noticed = client.drain();
        assert!(
            noticed
                .iter()
                .all(|s| s.name() == "message" && dmuc_testbed::code_list(s) == [104]),
            "{noticed:?}"
        );
    }
    // Whoever joins a shadow finds what was there.
    let witch = fed[1].client("somewitch", "mobile").await?;
    let joined = witch.join(MACBETH, "firstwitch").await?;
    let mut there = joined.nicks();
    there.sort();
    assert_eq!(there, ["banquo", "firstcrone", "thirdwitch"]);
    // The instance may still be fetching it: then it comes after the join, in the same order.
    let mut told = joined.history_bodies();
    for text in ["Thrice the brinded cat", "Harpier cries", "What are these?"]
        .into_iter()
        .skip(told.len())
    {
        witch.expect_body(text).await?;
        told.push(text.to_owned());
    }
    assert_eq!(
        told,
        ["Thrice the brinded cat", "Harpier cries", "What are these?"]
    );
    assert_eq!(joined.subject(), "Cauldron");
    together(&fed, &["banquo", "firstcrone", "firstwitch", "thirdwitch"]).await?;
    for (client, room) in [(&witch, MACBETH), (&guest, SOURCE), (&crone, SOURCE)] {
        let text = format!("By {} in the room that is shared now", client.bare_jid());
        client.say(room, &text).await?;
        for other in [&crone, &hag, &guest, &witch] {
            other.expect_body(&text).await?;
        }
    }

    // It becomes ordinary again: the people in the shadow are told why, and where it goes on.
    let faust = fed[2].client("faust", "study").await?;
    faust.join(MARLOWE, "faust").await?;
    together(
        &fed,
        &["banquo", "faust", "firstcrone", "firstwitch", "thirdwitch"],
    )
    .await?;
    crone.configure_room(SOURCE, &[(FIELD, "0")]).await?;
    for (client, room) in [(&witch, MACBETH), (&faust, MARLOWE)] {
        let told = client
            .expect("why", |s| {
                s.attr("from") == Some(room) && body(s).is_some_and(|text| text.contains("no longer shared"))
            })
            .await?;
        let told = body(&told).context("words")?;
        assert!(told.contains(SOURCE) && told.contains("owner"), "{told}");
        let invitation = client
            .expect("an invitation", |s| invited_to(s).is_some())
            .await?;
        assert_eq!(invited_to(&invitation), Some(SOURCE));
        for nick in ["firstcrone", "thirdwitch", "banquo"] {
            gone(client, room, nick).await?;
        }
    }
    for client in [&crone, &hag, &guest] {
        gone(client, SOURCE, "firstwitch").await?;
        gone(client, SOURCE, "faust").await?;
    }
    // The source goes on with its own people, and nothing crosses any more.
    assert_eq!(
        nicks(&fed, 0, SOURCE).await?,
        ["banquo", "firstcrone", "thirdwitch"]
    );
    assert_eq!(role(&fed, 0, SOURCE).await?, None);
    assert_eq!(
        value(&crone.room_form(SOURCE).await?, FIELD).as_deref(),
        Some("0")
    );
    eventually("nothing is under way", || async {
        Ok(role(&fed, 1, MACBETH).await?.is_none())
    })
    .await?;
    fed.settle(2).await?;
    fed.reset_stats().await?;
    guest.say(SOURCE, "Only for the source").await?;
    for client in [&crone, &hag, &guest] {
        client.expect_body("Only for the source").await?;
    }
    fed.settle(1).await?;
    let pings = fed.stats().await?.link(fed[0].muc(), fed[1].muc());
    assert_eq!(pings.message.stanzas + pings.presence.stanzas, 0);
    // The shadow is closed history: it can be read, not written.
    let joined = fed[1]
        .client("lennox", "castle")
        .await?
        .join(MACBETH, "lennox")
        .await?;
    assert_eq!(joined.nicks(), ["firstwitch"]);
    assert!(joined.history_bodies().contains(&"Harpier cries".to_owned()));
    let id = witch.say(MACBETH, "Anybody?").await?;
    let refused = witch.expect("a refusal", |s| s.attr("id") == Some(&*id)).await?;
    assert_eq!(error_condition(&refused).as_deref(), Some("forbidden"));
    let all = fed[0]
        .client("hecate", "cave")
        .await?
        .join(SOURCE, "hecate")
        .await?;
    assert_eq!(
        all.history_bodies().last().map(String::as_str),
        Some("Only for the source")
    );

    // On once more: the closed shadows are the same room's, so they take part again.
    crone.drain();
    crone.configure_room(SOURCE, &[(FIELD, "1")]).await?;
    here_again(&witch, &crone).await?;
    fed.finish().await
}

async fn here_again(witch: &dmuc_testbed::Client, crone: &dmuc_testbed::Client) -> Result<()> {
    witch
        .expect("the source's occupants are back", |s| {
            from(MACBETH, "firstcrone")(s) && s.attr("type").is_none()
        })
        .await?;
    crone
        .expect("the shadow's occupants are back", |s| {
            from(SOURCE, "firstwitch")(s) && s.attr("type").is_none()
        })
        .await?;
    witch.say(MACBETH, "We three meet again").await?;
    crone.expect_body("We three meet again").await?;
    Ok(())
}

on_every_version! {
    fn a_room_with_people_and_history_is_distributed_and_made_ordinary_again(version, storage) {
        later(version, storage).await
    }
}
