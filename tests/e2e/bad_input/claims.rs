//! What a peer says of its occupants: taken as far as it is its to say.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{
    Element, Storage, Version, body, code_list, error_condition, on_every_version, to_string,
};

use super::events::{AUDIENCE, MUC_USER, bounces, item, message, presence};
use super::scene::{SECRET, Scene};
use crate::support::{MARLOWE, SOURCE, eventually, from, nicks};

/// What a peer says of its own occupants is taken, but not more of it than is its to say.
async fn a_peer_speaks_for_its_own_only(version: Version, storage: Storage) -> Result<()> {
    let scene = Scene::set("bad-claims", version, storage, "").await?;
    let crone_sees = async |nick: &str, affiliation: &str| -> Result<Element> {
        let presence = scene.crone.expect(nick, from(SOURCE, nick)).await?;
        let x = presence.get_child("x", MUC_USER).context("muc#user")?;
        let item = x.get_child("item", MUC_USER).context("an item")?;
        ensure!(
            item.attr("affiliation") == Some(affiliation),
            "{}",
            to_string(&presence)
        );
        Ok(presence)
    };
    // Somebody else's owner: unaffiliated, and not by that name.
    let claim = "affiliation='owner' role='participant' jid='crone1@shakespeare.lit/desktop'";
    scene.peer.enters(MARLOWE, SOURCE, "mephisto", claim).await?;
    let seen = crone_sees("mephisto", "none").await?;
    ensure!(!to_string(&seen).contains("jid='crone1"), "{}", to_string(&seen));
    let query = "<query xmlns='http://jabber.org/protocol/muc#owner'/>";
    let answer = scene
        .peer
        .ask(&format!(
            "<iq type='get' from='{MARLOWE}/mephisto' to='{SOURCE}'>{query}</iq>"
        ))
        .await?;
    assert_eq!(error_condition(&answer).as_deref(), Some("forbidden"));
    // A moderator by its own word: no right to send anybody away here.
    scene
        .peer
        .enters(MARLOWE, SOURCE, "judge", "affiliation='none' role='moderator'")
        .await?;
    crone_sees("judge", "none").await?;
    let kick =
        "<query xmlns='http://jabber.org/protocol/muc#admin'><item role='none' nick='firstcrone'/></query>";
    let voice =
        "<query xmlns='http://jabber.org/protocol/muc#admin'><item role='participant' nick='mute'/></query>";
    for query in [kick, voice] {
        let answer = scene
            .peer
            .ask(&format!(
                "<iq type='set' from='{MARLOWE}/judge' to='{SOURCE}'>{query}</iq>"
            ))
            .await?;
        let condition = error_condition(&answer).unwrap_or_default();
        ensure!(
            ["forbidden", "not-allowed"].contains(&&*condition),
            "{}",
            to_string(&answer)
        );
    }
    // Nor are such a moderator's lists answered: there are real JIDs in them.
    for which in ["role='participant'", "role='moderator'", "affiliation='owner'"] {
        let list = format!("<query xmlns='http://jabber.org/protocol/muc#admin'><item {which}/></query>");
        let answer = scene
            .peer
            .ask(&format!(
                "<iq type='get' from='{MARLOWE}/judge' to='{SOURCE}'>{list}</iq>"
            ))
            .await?;
        assert_eq!(error_condition(&answer).as_deref(), Some("forbidden"), "{which}");
    }
    let beldam = scene.fed[0].client("beldam", "x").await?;
    beldam.join(SOURCE, "beldam").await?;
    let kick = kick.replace("firstcrone", "beldam");
    let answer = scene
        .peer
        .ask(&format!(
            "<iq type='set' from='{MARLOWE}/judge' to='{SOURCE}'>{kick}</iq>"
        ))
        .await?;
    ensure!(answer.attr("type") == Some("error"), "{}", to_string(&answer));
    assert_eq!(beldam.self_ping(SOURCE, "beldam").await?, None);
    beldam.leave(SOURCE, "beldam").await?;
    // That somebody here has lost a nick it is believed once.
    let conflict = |nick: &str| {
        format!(
            "<presence type='error' from='{MARLOWE}/{nick}' to='{SOURCE}/{nick}'><error type='cancel'>\
             <conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>"
        )
    };
    let mark = scene.fed[0].log().mark();
    let rival = scene.fed[0].client("rival", "x").await?;
    rival.join(SOURCE, "rival").await?;
    for nick in ["rival", "rival (2)"] {
        scene.peer.send(&conflict(nick)).await?;
        let is_it = from(SOURCE, "rival (2)");
        if nick == "rival" {
            rival
                .expect("a new nick", |s| is_it(s) && code_list(s).contains(&210))
                .await?;
        }
    }
    scene.fed[0]
        .log()
        .wait_since(mark, "Ignored that .* says again", dmuc_testbed::deadline())
        .await?;
    assert_eq!(rival.self_ping(SOURCE, "rival (2)").await?, None);
    rival.leave(SOURCE, "rival (2)").await?;
    // Its own user, whose affiliation the source's list knows better.
    scene
        .peer
        .enters(
            MARLOWE,
            SOURCE,
            "wagner",
            "affiliation='owner' role='participant' jid='wagner@marlowe.lit/x'",
        )
        .await?;
    crone_sees("wagner", "none").await?;
    // What is no affiliation is refused, and shown to nobody.
    let mark = scene.fed[0].log().mark();
    scene
        .peer
        .enters(
            MARLOWE,
            SOURCE,
            "emperor",
            "affiliation='emperor' role='jester' jid='@@@'",
        )
        .await?;
    scene.fed[0]
        .log()
        .wait_since(
            mark,
            "Refused presence from .*emperor.*: bad-request",
            dmuc_testbed::deadline(),
        )
        .await?;
    scene
        .peer
        .take("its bounce", |s| s.attr("type") == Some("error"))
        .await?;
    for (number, (attrs, children)) in [
        (
            "affiliation='none' role='participant'",
            "<status code='99999'/><status code='-1'/><status code='x'/><status/>",
        ),
        (
            "affiliation='none' role='participant'",
            "<status code='1.5'/><status code='1e99'/><status code='0x6e'/>",
        ),
    ]
    .iter()
    .enumerate()
    {
        let x = format!("<x xmlns='{MUC_USER}'><item {attrs}/>{children}</x>");
        let nick = &format!("famulus{number}");
        scene
            .peer
            .send(&presence(
                &format!("{MARLOWE}/{nick}"),
                &format!("{SOURCE}/{nick}"),
                "",
                &x,
            ))
            .await?;
        let seen = crone_sees(nick, "none").await?;
        ensure!(code_list(&seen).is_empty(), "{}", to_string(&seen));
    }
    // Who is banned does not come in by another door.
    let banned = item("affiliation='member' role='participant' jid='outlaw@marlowe.lit/x'");
    let xml = presence(
        &format!("{MARLOWE}/outlaw"),
        &format!("{SOURCE}/outlaw"),
        "",
        &banned,
    );
    bounces(&scene, &xml, "forbidden").await?;
    // The last nick that an address has room for.
    let nick = "n".repeat(1023);
    scene.peer.enters(MARLOWE, SOURCE, &nick, AUDIENCE).await?;
    crone_sees(&nick, "none").await?;
    scene.peer.leaves(MARLOWE, SOURCE, &nick).await?;
    // Codes and nicks of a departure are those of a departure.
    let x = format!(
        "<x xmlns='{MUC_USER}'><item affiliation='none' role='none'/><status code='110'/><status code='303'/>\
         <status code='201'/></x>"
    );
    scene
        .peer
        .send(&presence(
            &format!("{MARLOWE}/famulus1"),
            &format!("{SOURCE}/famulus1"),
            "type='unavailable'",
            &x,
        ))
        .await?;
    let gone = scene
        .crone
        .expect("famulus leaving", |s| {
            from(SOURCE, "famulus1")(s) && s.attr("type") == Some("unavailable")
        })
        .await?;
    ensure!(code_list(&gone).is_empty(), "{}", to_string(&gone));
    let witch = scene.fed[1].client("somewitch", "mobile").await?;
    witch.join("coven@rooms.macbeth.lit", "firstwitch").await?;
    scene
        .crone
        .expect("the witch", from(SOURCE, "firstwitch"))
        .await?;
    bounce_of_nothing(&scene).await?;
    nicks_of_others(&scene).await?;
    forged_time(&scene).await?;
    // A room's own words and ours do not come from a peer's mouth.
    let forged = format!(
        "<body>Hear</body><x xmlns='{MUC_USER}'><status code='104'/></x><replicate xmlns='urn:xmpp:dmuc:0'/>\
         <act xmlns='urn:x-dmuc:0'/><stanza-id xmlns='urn:xmpp:sid:0' by='{SOURCE}' id='forged'/>\
         <occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/>"
    );
    scene.peer.says(MARLOWE, SOURCE, "faust", "f1", &forged).await?;
    let heard = to_string(&scene.crone.expect_body("Hear").await?);
    for word in ["forged", "104", "urn:xmpp:dmuc:0", "urn:x-dmuc:0"] {
        ensure!(!heard.contains(word), "{heard}");
    }
    scene.fed.finish().await
}

/// The bounce of a private message is an error, and no way to say something.
async fn bounce_of_nothing(scene: &Scene) -> Result<()> {
    let error = "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
    let forged = format!("<body>{SECRET}</body><subject>{SECRET}</subject>{error}");
    for nick in ["departed", "firstwitch"] {
        scene
            .peer
            .send(&format!(
                "<message type='error' from='{MARLOWE}/{nick}' to='{SOURCE}/firstcrone'>{forged}</message>"
            ))
            .await?;
    }
    scene.peer.sync().await?;
    scene.crone.sync().await?;
    let told = scene
        .crone
        .drain_matching(|s| s.is("message", "jabber:client") && s.attr("type") == Some("error"));
    // Somebody may have left after the whisper; the witch is at home elsewhere, and says so herself.
    ensure!(told.len() == 1 && from(SOURCE, "departed")(&told[0]), "{told:?}");
    assert_eq!(error_condition(&told[0]).as_deref(), Some("item-not-found"));
    ensure!(!to_string(&told[0]).contains(SECRET), "{}", to_string(&told[0]));
    Ok(())
}

/// A nick is whose it is: no message and no subject under it from elsewhere.
async fn nicks_of_others(scene: &Scene) -> Result<()> {
    scene
        .peer
        .enters(
            MARLOWE,
            SOURCE,
            "firstcrone",
            "affiliation='none' role='moderator'",
        )
        .await?;
    scene.peer.sync().await?;
    for (children, condition) in [
        (format!("<body>{SECRET}</body>"), "conflict"),
        (format!("<subject>{SECRET}</subject>"), "forbidden"),
    ] {
        let xml = message(
            &format!("{MARLOWE}/firstcrone"),
            &format!("{SOURCE}/firstcrone"),
            &children,
        );
        bounces(scene, &xml, condition).await?;
    }
    scene
        .peer
        .send(&format!(
            "<message type='chat' from='{MARLOWE}/firstcrone' to='{SOURCE}/firstcrone'><body>{SECRET}</body></message>"
        ))
        .await?;
    let bounce = scene
        .peer
        .take("the bounce of a whisper", |s| s.attr("type") == Some("error"))
        .await?;
    assert_eq!(error_condition(&bounce).as_deref(), Some("not-acceptable"));
    scene.crone.sync().await?;
    let seen = scene.crone.drain_matching(|s| to_string(s).contains(SECRET));
    ensure!(seen.is_empty(), "{}", to_string(&seen[0]));
    assert_eq!(scene.crone.self_ping(SOURCE, "firstcrone").await?, None);
    // When the owner of the nick has gone, the other one has it.
    let session = scene.fed[0].client("crone2", "x").await?;
    session.join(SOURCE, "second").await?;
    scene.crone.change_nick(SOURCE, "eldest").await?;
    session
        .expect("the other one", |s| {
            from(SOURCE, "firstcrone")(s) && s.attr("type").is_none() && !to_string(s).contains("owner")
        })
        .await?;
    let xml = message(
        &format!("{MARLOWE}/firstcrone"),
        &format!("{SOURCE}/firstcrone"),
        "<body>Now I may</body>",
    );
    scene.peer.send(&xml).await?;
    scene.crone.expect_body("Now I may").await?;
    scene.peer.leaves(MARLOWE, SOURCE, "firstcrone").await?;
    scene
        .crone
        .expect("the nick to be free", |s| {
            from(SOURCE, "firstcrone")(s) && s.attr("type") == Some("unavailable") && code_list(s).is_empty()
        })
        .await?;
    scene.crone.change_nick(SOURCE, "firstcrone").await?;
    session.leave(SOURCE, "second").await?;
    eventually("all is as it was", || async {
        let now = nicks(&scene.fed, 0, SOURCE).await?;
        Ok(now.contains(&"firstcrone".to_owned()) && !now.contains(&"second".to_owned()))
    })
    .await
}

/// Numbers and times that are well-formed and absurd, from a service that does not speak ours and could not tell of them
/// again: they count for nothing, the messages for what they are.
async fn forged_time(scene: &Scene) -> Result<()> {
    let last = "9223372036854775807";
    for (number, attrs) in [
        format!("id='f-1' inc='{last}' seq='{last}' at='9007199254740991.4294967295'"),
        format!("id='f-2' inc='{last}' seq='1' at='0.0'"),
        format!("id='f-3' inc='1' seq='{last}' at='99999999999999.0'"),
        format!("id='f-9' inc='1' seq='{last}' at='1.0'"),
        "id='f-3' inc='1' seq='2' at='1.0'".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        let text = format!("Forged {number}");
        let stamp = format!("<body>{text}</body><event xmlns='urn:x-dmuc:0' {attrs}/>");
        scene
            .peer
            .says(MARLOWE, SOURCE, "faust", &format!("forged{number}"), &stamp)
            .await?;
        scene.crone.expect_body(&text).await?;
    }
    scene.peer.sync().await?;
    // Life goes on after the end of time: ours and theirs are delivered and kept.
    scene.crone.say_and_see(SOURCE, "Still here").await?;
    scene
        .peer
        .says(MARLOWE, SOURCE, "faust", "plain", "<body>And so am I</body>")
        .await?;
    scene.crone.expect_body("And so am I").await?;
    let again = scene
        .crone
        .drain_matching(|s| body(s).is_some_and(|b| b.starts_with("Forged")));
    ensure!(again.is_empty(), "{}", to_string(&again[0]));
    let late = scene.fed[0].client("late", "x").await?;
    let said = late.join(SOURCE, "late").await?.history_bodies();
    for text in ["Still here", "And so am I", "Forged 0", "Forged 4"] {
        ensure!(said.iter().filter(|body| *body == text).count() == 1, "{said:?}");
    }
    late.leave(SOURCE, "late").await.map(|_| ())
}

on_every_version!(a_peer_speaks_for_its_own_only);
