//! With every link up: at the source, at a shadow, by an administrator at either.

use anyhow::Result;
use dmuc_testbed::{Client, Federation, Storage, Version, code_list, error_condition, on_every_version};

use super::*;
use crate::asking::{gone, reason};
use crate::support::{VISITS, distributed, three, together};

/// crone owns the room; witch and faust are members, at home at the shadows, and not in it.
async fn members(fed: &Federation) -> Result<[Client; 3]> {
    let crone = distributed(fed, &[]).await?;
    for member in ["somewitch@macbeth.lit", "drfaust@marlowe.lit"] {
        crone.set_affiliation(SOURCE, member, "member").await?;
    }
    let witch = fed[1].client("somewitch", "mobile").await?;
    let faust = fed[2].client("drfaust", "study").await?;
    for (member, room) in [(&witch, MACBETH), (&faust, MARLOWE)] {
        eventually("the form is offered", || async {
            let xml = format!("<iq type='get' to='{room}'><query xmlns='{REGISTER}'/></iq>");
            Ok(member.iq_xml(&xml).await?.attr("type") == Some("result"))
        })
        .await?;
    }
    Ok([crone, witch, faust])
}

/// Whatever is wrong with a request is said as on one server, wherever it is made.
async fn what_the_source_says(fed: &Federation, crone: &Client, witch: &Client) -> Result<()> {
    crone
        .set_affiliation(SOURCE, "graymalkin@macbeth.lit", "outcast")
        .await?;
    let stranger = fed[1].client("banquo", "tent").await?;
    let outcast = fed[1].client("graymalkin", "roof").await?;
    denied(
        &register(&stranger, MACBETH, "ghost").await?,
        "registration-required",
    );
    denied(&register(&outcast, MACBETH, "cat").await?, "forbidden");
    denied(&register(witch, MACBETH, "firstcrone").await?, "conflict");
    denied(&register(witch, MACBETH, "").await?, "bad-request");
    denied(&register(witch, MACBETH, "\u{fffd}").await?, "bad-request");
    for query in [
        String::new(),
        format!("<x xmlns='{DATA_FORMS}' type='submit'/>"),
        format!(
            "<x xmlns='{DATA_FORMS}' type='submit'><field var='FORM_TYPE'><value>urn:example:other</value></field>\
             <field var='muc#register_roomnick'><value>wyrd</value></field></x>"
        ),
        "<username>wyrd</username>".to_owned(),
    ] {
        let xml = format!("<iq type='set' to='{MACBETH}'><query xmlns='{REGISTER}'>{query}</query></iq>");
        denied(&witch.iq_xml(&xml).await?, "bad-request");
    }
    // Somebody else's server does not speak for a user of this one.
    denied(&register(crone, MACBETH, "firstcrone").await?, "forbidden");
    registered_everywhere(witch, None).await?;
    // What is said is the same at the source.
    denied(
        &register(&stranger, SOURCE, "ghost").await?,
        "registration-required",
    );
    denied(&register(&outcast, SOURCE, "cat").await?, "forbidden");
    denied(&register(witch, SOURCE, "firstcrone").await?, "conflict");
    Ok(())
}

async fn at_a_shadow(fed: &Federation, people: &[Client; 3]) -> Result<()> {
    let [crone, witch, faust] = people;
    let mark = crone.mark();
    granted(&register(witch, MACBETH, "wyrd sister").await?);
    // Who registered sees it at once; the others when it has arrived.
    assert_eq!(
        registration(witch, MACBETH).await?.as_deref(),
        Some("wyrd sister")
    );
    assert_eq!(reserved(witch, MACBETH).await?.as_deref(), Some("wyrd sister"));
    registered_everywhere(witch, Some("wyrd sister")).await?;
    registered_everywhere(faust, None).await?;
    denied(&register(faust, MARLOWE, "wyrd sister").await?, "conflict");
    denied(&register(crone, SOURCE, "wyrd sister").await?, "conflict");
    // It is nobody else's, at no door, not by a change of nick either.
    for room in ROOMS {
        refused(faust, room, "wyrd sister").await?;
        refused(crone, room, "wyrd sister").await?;
    }
    faust.join(MARLOWE, "faust").await?;
    assert!(faust.change_nick(MARLOWE, "wyrd sister").await.is_err());
    // Its owner has it at every instance.
    for room in ROOMS {
        let joined = witch.join(room, "wyrd sister").await?;
        assert_eq!(joined.own_nick(), "wyrd sister");
        together(fed, &["faust", "firstcrone", "wyrd sister"]).await?;
        witch.leave(room, "wyrd sister").await?;
        together(fed, &["faust", "firstcrone"]).await?;
    }
    // Lists have it, everywhere.
    for room in ROOMS {
        let xml = format!(
            "<iq type='get' to='{room}'><query xmlns='http://jabber.org/protocol/muc#admin'>\
             <item affiliation='member'/></query></iq>"
        );
        let answer = crone.iq_ok(&xml).await?;
        let query = answer.get_child("query", "http://jabber.org/protocol/muc#admin");
        let nicks: Vec<_> = query
            .context("a query")?
            .children()
            .filter(|item| item.attr("jid") == Some("somewitch@macbeth.lit"))
            .map(|item| item.attr("nick").map(str::to_owned))
            .collect();
        assert_eq!(nicks, [Some("wyrd sister".to_owned())], "{room}");
    }
    // Another nick frees the first one.
    granted(&register(witch, MACBETH, "weird").await?);
    registered_everywhere(witch, Some("weird")).await?;
    granted(&register(faust, MARLOWE, "wyrd sister").await?);
    registered_everywhere(faust, Some("wyrd sister")).await?;
    granted(&unregister(faust, MARLOWE).await?);
    // With the registration ends what it may have come with, as Prosody has it.
    assert!(crone.affiliated(SOURCE, "member").await? == ["somewitch@macbeth.lit"]);
    for room in [MACBETH, MARLOWE] {
        eventually("faust is no member any more", || async {
            Ok(crone.affiliated(room, "member").await? == ["somewitch@macbeth.lit"])
        })
        .await?;
    }
    granted(&register(witch, MACBETH, "wyrd sister").await?);
    // Nobody left, or was renamed, meanwhile.
    fed.settle(2).await?;
    crone.sync().await?;
    let harmed = crone.drain_matching(|s| {
        let codes = code_list(s);
        s.name() == "presence" && (codes.contains(&303) || codes.contains(&307))
    });
    assert!(harmed.is_empty(), "since {mark}: {harmed:?}");
    faust.leave(MARLOWE, "faust").await.map(|_| ())
}

async fn at_the_source(fed: &Federation, people: &[Client; 3]) -> Result<()> {
    let [crone, witch, faust] = people;
    granted(&register(crone, SOURCE, "firstcrone").await?);
    registered_everywhere(crone, Some("firstcrone")).await?;
    // Also who is at home elsewhere.
    granted(&register(witch, SOURCE, "wyrd").await?);
    registered_everywhere(witch, Some("wyrd")).await?;
    crone.leave(SOURCE, "firstcrone").await?;
    together(fed, &[]).await?;
    for room in ROOMS {
        refused(faust, room, "firstcrone").await?;
        refused(faust, room, "wyrd").await?;
    }
    crone.join(SOURCE, "firstcrone").await?;
    Ok(())
}

/// Who may edit the list reserves nicks for others (XEP-0045 section 9.3), and whoever uses one has to go.
async fn by_an_administrator(fed: &Federation, people: &[Client; 3]) -> Result<()> {
    let [crone, witch, faust] = people;
    crone
        .set_affiliation(SOURCE, "drfaust@marlowe.lit", "admin")
        .await?;
    let thane = fed[0].client("thane", "castle").await?;
    let porter = fed[1].client("porter", "gate").await?;
    eventually("faust is an admin at home", || async {
        Ok(!faust
            .affiliated(MARLOWE, "admin")
            .await
            .unwrap_or_default()
            .is_empty())
    })
    .await?;
    for (by, room, nick) in [(faust, MARLOWE, "glamis"), (crone, SOURCE, "cawdor")] {
        thane.join(SOURCE, "nobody").await?;
        porter.join(MACBETH, nick).await?;
        let mut all = [nick, "firstcrone", "nobody"];
        all.sort_unstable();
        together(fed, &all).await?;
        for client in [&thane, &porter] {
            client.drain();
        }
        let item = format!("affiliation='member' jid='thane@shakespeare.lit' nick='{nick}'");
        let xml = format!(
            "<iq type='set' to='{room}'><query xmlns='http://jabber.org/protocol/muc#admin'><item {item}/></query></iq>"
        );
        by.iq_ok(&xml).await?;
        for (client, at) in [(&thane, SOURCE), (&porter, MACBETH)] {
            let presence = gone(client, at, nick).await?;
            assert!(code_list(&presence).contains(&307), "{presence:?}");
            assert_eq!(reason(&presence).as_deref(), Some("This nickname is reserved"));
        }
        registered_everywhere(&thane, Some(nick)).await?;
        refused(&porter, MACBETH, nick).await?;
        thane.leave(SOURCE, "nobody").await?;
        together(fed, &["firstcrone"]).await?;
    }
    // Nobody is put out by who may not.
    porter.join(MACBETH, "porter").await?;
    together(fed, &["firstcrone", "porter"]).await?;
    let xml = format!(
        "<iq type='set' to='{MACBETH}'><query xmlns='http://jabber.org/protocol/muc#admin'>\
         <item affiliation='member' jid='somewitch@macbeth.lit' nick='porter'/></query></iq>"
    );
    assert_eq!(
        error_condition(&witch.iq_xml(&xml).await?).as_deref(),
        Some("not-allowed")
    );
    together(fed, &["firstcrone", "porter"]).await?;
    registered_everywhere(witch, Some("wyrd")).await
}

async fn registering(version: Version, storage: Storage) -> Result<()> {
    // People join wherever they like.
    let fed = three("registering", version, storage)
        .muc_line(VISITS)
        .muc_line("dmuc_redirect = \"off\"")
        .start()
        .await?;
    let people = members(&fed).await?;
    what_the_source_says(&fed, &people[0], &people[1]).await?;
    at_a_shadow(&fed, &people).await?;
    at_the_source(&fed, &people).await?;
    by_an_administrator(&fed, &people).await?;
    // It outlasts restarts.
    fed[1].restart().await?;
    fed[0].restart().await?;
    let witch = fed[1].client("somewitch", "again").await?;
    registered_everywhere(&witch, Some("wyrd")).await?;
    fed.finish().await
}

on_every_version! {
    fn a_nick_is_registered_once_for_all_instances(version, storage) {
        registering(version, storage).await
    }
}
