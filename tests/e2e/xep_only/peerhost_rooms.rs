//! Life in a room one of whose shadows is at a peer that speaks only the XEP's text.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{
    Client, Element, Storage, Version, body, code_list, error_condition, on_every_version, to_string,
};

use super::peerhost::Coven;
use super::script::{CHAT, PEER, ROOMS, only_child, same};
use crate::support::{MACBETH, MARLOWE, SOURCE, eventually, from, nicks};

const STANZA_ID: &str = "urn:xmpp:sid:0";
const MUC_USER: &str = "http://jabber.org/protocol/muc#user";

/// The stanza-id that a room gave a message.
fn stanza_id(message: &Element, room: &str) -> Option<String> {
    message
        .children()
        .find(|c| c.is("stanza-id", STANZA_ID) && c.attr("by") == Some(room))
        .and_then(|c| c.attr("id").map(str::to_owned))
}

/// What clients have besides what was expected, after everything has been delivered.
async fn nothing_more(coven: &Coven, clients: &[&Client]) -> Result<()> {
    coven.peer.has_nothing_more().await?;
    coven.fed.settle(1).await?;
    for client in clients {
        client.sync().await?;
        let more = client.drain_matching(|s| s.is("message", "jabber:client"));
        ensure!(
            more.is_empty(),
            "{}: {:?}",
            client.jid(),
            more.iter().map(to_string).collect::<Vec<_>>()
        );
    }
    Ok(())
}

/// Sections 3.4 and 3.6: its occupants join, talk and leave; so do ours.
async fn people_of_all_three_join_talk_and_leave(version: Version, storage: Storage) -> Result<()> {
    let coven = Coven::gather("xep-talk", version, storage, &[]).await?;
    coven.faust_enters().await?;
    // Ours come in one presence each, as in "Shadow Informs Source of New Occupant".
    let hecate = coven.fed[1].client("hecate", "tower").await?;
    hecate.join(MACBETH, "hecate").await?;
    let presence = coven.peer.take("hecate", from(MACBETH, "hecate")).await?;
    let id = presence.attr("id").context("the id of her presence")?;
    let avatar = presence
        .get_child("x", "vcard-temp:x:update")
        .map(to_string)
        .unwrap_or_default();
    same(
        &presence,
        &format!(
            "<presence from='{MACBETH}/hecate' id='{id}' to='{MARLOWE}/hecate'>{avatar}<x xmlns='{MUC_USER}'>\
             <item affiliation='none' role='participant'/></x></presence>"
        ),
    )?;
    for client in [&coven.crone, &coven.witch, &hecate] {
        client.sync().await?;
        client.drain();
    }
    talk(&coven, &hecate).await?;
    // Leaving, with and without the muc#user element.
    for room in [SOURCE, MACBETH] {
        coven.peer.leaves(MARLOWE, room, "faust").await?;
    }
    for (client, room) in [(&coven.crone, SOURCE), (&coven.witch, MACBETH)] {
        let gone = client.expect("faust leaving", from(room, "faust")).await?;
        assert_eq!(gone.attr("type"), Some("unavailable"));
    }
    hecate.leave(MACBETH, "hecate").await?;
    let gone = coven.peer.take("hecate leaving", from(MACBETH, "hecate")).await?;
    assert_eq!(gone.attr("type"), Some("unavailable"));
    assert_eq!(gone.attr("to"), Some(&*format!("{MARLOWE}/hecate")));
    let late = coven.fed[1].client("late", "comer").await?;
    let joined = late.join(MACBETH, "late").await?;
    ensure!(joined.nicks().len() == 2, "{:?}", joined.nicks());
    assert_eq!(
        joined.history_bodies(),
        ["Of the source", "Of the shadow", "Message 4.", "Without an id"]
    );
    coven.ends().await
}

async fn talk(coven: &Coven, hecate: &Client) -> Result<()> {
    let everybody = [(&coven.crone, SOURCE), (&coven.witch, MACBETH), (hecate, MACBETH)];
    for (speaker, room, nick, text) in [
        (&coven.crone, SOURCE, "firstcrone", "Of the source"),
        (&coven.witch, MACBETH, "firstwitch", "Of the shadow"),
    ] {
        let id = speaker.say(room, text).await?;
        let copy = coven
            .peer
            .take(text, |s| body(s).as_deref() == Some(text))
            .await?;
        // "Instance Distributes Message": nothing is added to what was said.
        same(
            &copy,
            &format!(
                "<message from='{room}/{nick}' id='{id}' to='{MARLOWE}/{nick}' type='groupchat'>\
                 <body>{text}</body></message>"
            ),
        )?;
        for (client, _) in everybody {
            client.expect_body(text).await?;
        }
    }
    // The peer's own: the same id everywhere, although nobody told it of ids.
    for room in [SOURCE, MACBETH] {
        coven
            .peer
            .says(MARLOWE, room, "faust", "msg4", "<body>Message 4.</body>")
            .await?;
    }
    let mut ids = Vec::new();
    for (client, room) in everybody {
        let message = client.expect_body("Message 4.").await?;
        assert_eq!(message.attr("id"), Some("msg4"));
        assert_eq!(message.attr("from"), Some(&*format!("{room}/faust")));
        ids.push(stanza_id(&message, room).context("a stanza-id")?);
    }
    ensure!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    for room in [SOURCE, MACBETH] {
        // The XEP's own example has no id at all.
        coven
            .peer
            .send(&format!(
                "<message from='{MARLOWE}/faust' id='' to='{room}/faust' type='groupchat'><body>Without an id</body></message>"
            ))
            .await?;
    }
    for (client, _) in everybody {
        client.expect_body("Without an id").await?;
    }
    // Any payload, unchanged, both ways.
    let payload = "<body>Edited</body><replace xmlns='urn:xmpp:message-correct:0' id='msg4'/>\
                   <strange xmlns='urn:example:unknown'><inner a='1'/>text</strange>";
    for room in [SOURCE, MACBETH] {
        let tagged = format!("{payload}<no-store xmlns='urn:xmpp:hints'/>");
        coven.peer.says(MARLOWE, room, "faust", "msg5", &tagged).await?;
    }
    for (client, _) in everybody {
        let message = client.expect_body("Edited").await?;
        let text = to_string(&message);
        ensure!(
            text.contains("<strange xmlns='urn:example:unknown'><inner a='1'/>text</strange>")
                && text.contains("<replace xmlns='urn:xmpp:message-correct:0' id='msg4'/>"),
            "{text}"
        );
    }
    let marker = "<composing xmlns='http://jabber.org/protocol/chatstates'/>";
    coven
        .crone
        .send_xml(&format!(
            "<message to='{SOURCE}' type='groupchat' id='cs1'>{marker}</message>"
        ))
        .await?;
    let copy = coven
        .peer
        .take("a chat state", |s| s.attr("id") == Some("cs1"))
        .await?;
    same(
        &copy,
        &format!(
            "<message from='{SOURCE}/firstcrone' id='cs1' to='{MARLOWE}/firstcrone' type='groupchat'>{marker}</message>"
        ),
    )?;
    for (client, _) in everybody {
        client
            .expect("a chat state", |s| s.attr("id") == Some("cs1"))
            .await?;
    }
    nothing_more(coven, &[&coven.crone, &coven.witch, hecate]).await
}

/// XEP-0045 between occupants: private messages, IQs, changes of nick, presence updates.
async fn its_occupants_are_like_all_others(version: Version, storage: Storage) -> Result<()> {
    let coven = Coven::gather("xep-whisper", version, storage, &[]).await?;
    coven.faust_enters().await?;
    let Coven {
        peer, crone, witch, ..
    } = &coven;
    for (client, room, nick) in [(crone, SOURCE, "firstcrone"), (witch, MACBETH, "firstwitch")] {
        client.say_privately(room, "faust", "Wer ruft mir?").await?;
        let whisper = peer
            .take("a private message", |s| {
                body(s).as_deref() == Some("Wer ruft mir?")
            })
            .await?;
        assert_eq!(whisper.attr("type"), Some("chat"));
        assert_eq!(whisper.attr("from"), Some(&*format!("{room}/{nick}")));
        assert_eq!(whisper.attr("to"), Some(&*format!("{MARLOWE}/faust")));
        peer.send(&format!(
            "<message type='chat' from='{MARLOWE}/faust' to='{room}/{nick}'><body>Schreckliches Gesicht!</body></message>"
        ))
        .await?;
        let whisper = client.expect_body("Schreckliches Gesicht!").await?;
        assert_eq!(whisper.attr("from"), Some(&*format!("{room}/faust")));
        assert_eq!(whisper.attr("type"), Some("chat"));
        // An IQ there and its answer back, and one from there.
        let ping = "<ping xmlns='urn:xmpp:ping'/>";
        let asked = client
            .send_xml(&format!("<iq type='get' to='{room}/faust'>{ping}</iq>"))
            .await?;
        let question = peer
            .take("a ping", |s| s.get_child("ping", "urn:xmpp:ping").is_some())
            .await?;
        assert_eq!(question.attr("from"), Some(&*format!("{room}/{nick}")));
        assert_eq!(question.attr("to"), Some(&*format!("{MARLOWE}/faust")));
        peer.acknowledge(&question).await?;
        let answer = client
            .expect("the answer", |s| s.attr("id") == Some(&*asked))
            .await?;
        assert_eq!(answer.attr("type"), Some("result"), "{}", to_string(&answer));
        let answer = peer
            .ask(&format!(
                "<iq type='get' from='{MARLOWE}/faust' to='{room}/{nick}'>{ping}</iq>"
            ))
            .await?;
        assert_eq!(answer.attr("type"), Some("result"), "{}", to_string(&answer));
        assert_eq!(answer.attr("from"), Some(&*format!("{room}/{nick}")));
    }
    for room in [SOURCE, MACBETH] {
        peer.send(&format!(
            "<presence from='{MARLOWE}/faust' to='{room}/faust'><show>away</show><status>Osterspaziergang</status>\
             <x xmlns='{MUC_USER}'><item affiliation='none' role='participant'/></x></presence>"
        ))
        .await?;
        // XEP-0045 section 7.6, from room to room.
        peer.send(&format!(
            "<presence type='unavailable' from='{MARLOWE}/faust' to='{room}/faust'><x xmlns='{MUC_USER}'>\
             <item affiliation='none' role='participant' nick='heinrich'/><status code='303'/></x></presence>"
        ))
        .await?;
        peer.enters(MARLOWE, room, "heinrich", "affiliation='none' role='participant'")
            .await?;
    }
    for (client, room) in [(crone, SOURCE), (witch, MACBETH)] {
        let away = client.expect("the status", from(room, "faust")).await?;
        ensure!(
            to_string(&away).contains("Osterspaziergang"),
            "{}",
            to_string(&away)
        );
        let gone = client.expect("the old nick", from(room, "faust")).await?;
        ensure!(code_list(&gone).contains(&303), "{}", to_string(&gone));
        client.expect("the new nick", from(room, "heinrich")).await?;
    }
    crone.change_nick(SOURCE, "eldest").await?;
    let gone = peer.take("the old nick", from(SOURCE, "firstcrone")).await?;
    same(
        &gone,
        &format!(
            "<presence from='{SOURCE}/firstcrone' to='{MARLOWE}/firstcrone' type='unavailable'><x xmlns='{MUC_USER}'>\
             <item affiliation='owner' nick='eldest' role='moderator'/><status code='303'/></x></presence>"
        ),
    )?;
    peer.take("the new nick", from(SOURCE, "eldest")).await?;
    peer.has_nothing_more().await?;
    coven.ends().await
}

/// What the source rules reaches the peer; what its occupants may do is done.
async fn the_source_rules_over_it(version: Version, storage: Storage) -> Result<()> {
    let config = [("muc#roomconfig_changesubject", "1")];
    let coven = Coven::gather("xep-rule", version, storage, &config).await?;
    coven.faust_enters().await?;
    let Coven {
        peer,
        crone,
        witch,
        fed,
    } = &coven;
    crone.set_subject(SOURCE, "Toil and trouble").await?;
    let subject = |text: &'static str| {
        move |s: &Element| {
            s.get_child("subject", "jabber:client")
                .is_some_and(|s| s.text() == text)
        }
    };
    let told = peer.take("the subject", subject("Toil and trouble")).await?;
    assert_eq!(told.attr("from"), Some(&*format!("{SOURCE}/firstcrone")));
    assert_eq!(told.attr("to"), Some(&*format!("{MARLOWE}/firstcrone")));
    witch.expect("the subject", subject("Toil and trouble")).await?;
    // Its occupant's: sent to all, decided by the source.
    for room in [SOURCE, MACBETH] {
        peer.says(MARLOWE, room, "faust", "s1", "<subject>Studierzimmer</subject>")
            .await?;
    }
    for (client, room) in [(crone, SOURCE), (witch, MACBETH)] {
        let told = client.expect("faust's subject", subject("Studierzimmer")).await?;
        assert_eq!(told.attr("from"), Some(&*format!("{room}/faust")));
    }
    // A change of settings is a push of all of them, one of affiliations a push of the roster.
    crone
        .configure_room(SOURCE, &[("muc#roomconfig_roomname", "A Lonely Heath")])
        .await?;
    let config = peer.accept("config", SOURCE).await?;
    ensure!(
        to_string(&config).contains("A Lonely Heath"),
        "{}",
        to_string(&config)
    );
    let beldam = fed[0].client("beldam", "x").await?;
    beldam.join(SOURCE, "beldam").await?;
    peer.take("beldam", from(SOURCE, "beldam")).await?;
    crone
        .set_affiliation(SOURCE, "hag66@shakespeare.lit", "admin")
        .await?;
    let roster = peer.accept("roster", SOURCE).await?;
    let items: Vec<String> = only_child(&roster)?.children().map(to_string).collect();
    let dmuc = "urn:xmpp:dmuc:0";
    assert_eq!(
        items,
        [
            // In a semi-anonymous room only who is on the list anyway is named.
            format!("<item xmlns='{dmuc}' affiliation='none' name='beldam' role='participant'/>"),
            format!(
                "<item xmlns='{dmuc}' affiliation='owner' jid='crone1@shakespeare.lit/desktop' name='firstcrone' role='moderator'/>"
            ),
            format!("<item xmlns='{dmuc}' affiliation='owner' jid='crone1@shakespeare.lit'/>"),
            format!("<item xmlns='{dmuc}' affiliation='admin' jid='hag66@shakespeare.lit'/>"),
        ]
    );
    // Who may not speak may not speak there either.
    crone.set_role(SOURCE, "firstwitch", "visitor").await?;
    let visitor = peer.take("the visitor", from(MACBETH, "firstwitch")).await?;
    ensure!(
        to_string(&visitor).contains("role='visitor'"),
        "{}",
        to_string(&visitor)
    );
    // Kicked: in the words of XEP-0045, said to its session, which is its JID at home.
    crone.kick(SOURCE, "faust").await?;
    let kicked = peer.take("the kick", from(SOURCE, "faust")).await?;
    assert_eq!(kicked.attr("to"), Some(&*format!("{MARLOWE}/faust")));
    assert_eq!(kicked.attr("type"), Some("unavailable"));
    ensure!(code_list(&kicked).contains(&307), "{}", to_string(&kicked));
    for room in [SOURCE, MACBETH] {
        peer.leaves(MARLOWE, room, "faust").await?;
    }
    for (client, room) in [(crone, SOURCE), (witch, MACBETH)] {
        client
            .expect("faust leaving", |s| {
                from(room, "faust")(s) && s.attr("type") == Some("unavailable")
            })
            .await?;
    }
    peer.has_nothing_more().await?;
    // The end of distribution: it sees ours leave, as it knows no other word for it.
    crone
        .configure_room(SOURCE, &[("muc#roomconfig_distributed", "0")])
        .await?;
    let gone = peer
        .take("the source leaving", from(SOURCE, "firstcrone"))
        .await?;
    assert_eq!(gone.attr("type"), Some("unavailable"));
    eventually("only those at the source are left", || async {
        Ok(nicks(fed, 0, SOURCE).await? == ["beldam", "firstcrone"])
    })
    .await?;
    coven.ends().await
}

/// Section 3.5 for a shadow there, section 4, and answers that are no.
async fn it_is_where_its_users_are_sent(version: Version, storage: Storage) -> Result<()> {
    let coven = Coven::gather("xep-redirect", version, storage, &[]).await?;
    let faust = coven.fed[2].client("faust", "study").await?;
    let refused = faust.try_join(SOURCE, "faust").await?;
    let refusal = refused.err().context("a redirect")?.presence;
    assert_eq!(error_condition(&refusal).as_deref(), Some("redirect"));
    assert_eq!(refusal.attr("from"), Some(&*format!("{SOURCE}/faust")));
    ensure!(
        to_string(&refusal).contains(&format!("xmpp:{MARLOWE}?join")),
        "{}",
        to_string(&refusal)
    );
    let invitation = faust
        .expect("the invitation", |s| {
            s.get_child("x", "jabber:x:conference").is_some()
        })
        .await?;
    ensure!(
        to_string(&invitation).contains(&format!("jid='{MARLOWE}'")),
        "{}",
        to_string(&invitation)
    );
    let again = faust
        .try_join(SOURCE, "faust")
        .await?
        .err()
        .context("a redirect")?;
    assert_eq!(error_condition(&again.presence).as_deref(), Some("redirect"));
    // It says no to another room: the owner is told, and the room goes on without it.
    for (condition, kind, words) in [
        ("forbidden", "auth", "refused an instance"),
        ("resource-constraint", "wait", "refused an instance"),
        (
            "feature-not-implemented",
            "cancel",
            "does not support distributed rooms",
        ),
    ] {
        let room = format!("{condition}@{CHAT}");
        let config = [("muc#roomconfig_distributed", "1")];
        coven.crone.create_room(&room, "firstcrone", &config).await?;
        let asked = coven
            .peer
            .take("<replicate/>", |s| {
                to_string(s).contains(&format!("source='{room}'"))
            })
            .await?;
        coven.peer.refuse(&asked, kind, condition).await?;
        let told = coven
            .crone
            .expect(&format!("word of {condition}"), |s| {
                s.attr("from") == Some(&*room)
                    && body(s).is_some_and(|b| b.contains(PEER) && b.contains(words))
            })
            .await?;
        assert_eq!(told.attr("type"), Some("groupchat"));
        let shadow = format!("{condition}@{ROOMS}");
        eventually(&format!("{shadow} is there all the same"), || async {
            Ok(crate::support::instances(&coven.fed, 0, &room).await? == [&*shadow])
        })
        .await?;
    }
    coven.ends().await
}

on_every_version!(
    people_of_all_three_join_talk_and_leave,
    its_occupants_are_like_all_others,
    the_source_rules_over_it,
    it_is_where_its_users_are_sent,
);
