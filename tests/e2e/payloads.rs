//! Messages with any payload: unchanged, once to everybody, one stanza per link, nothing of the servers' own.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{
    Element, Federation, Storage, Version, body, error_condition, on_every_version, to_string,
};

use crate::stage::{CLIENT, children, clean, company, once_from, payload, quiet, traffic};
use crate::support::{from, three};

/// What clients send, by what it is.
fn payloads() -> Vec<(&'static str, String)> {
    let deep = (0..60).fold("<core xmlns='urn:x:core'/>".to_owned(), |inner, level| {
        format!("<level xmlns='urn:x:level' n='{level}'>{inner}</level>")
    });
    let long = "Double, double toil and trouble; ".repeat(3_200);
    let plain = |xml: &str| xml.to_owned();
    vec![
        ("a body", plain("<body>Hail to thee</body>")),
        (
            "text that needs escapes, and space",
            plain("<body>  &lt;b&gt; &amp;amp; \"q\" 'a' ]]&gt; \t\n ä漢字😀\u{202e}x </body>"),
        ),
        (
            "bodies in languages",
            plain("<body>Hi</body><body xml:lang='de'>Hallo</body><body xml:lang='fr'>Salut</body>"),
        ),
        (
            "a subject and a body",
            plain("<subject>No change</subject><body>of subject</body>"),
        ),
        ("a thread", plain("<body>t</body><thread parent='a'>b</thread>")),
        (
            "a correction",
            plain("<body>Hail, to thee</body><replace xmlns='urn:xmpp:message-correct:0' id='bad1'/>"),
        ),
        (
            "reactions",
            plain(
                "<reactions xmlns='urn:xmpp:reactions:0' id='744f6e18'><reaction>👋</reaction>\
                 <reaction>🐢</reaction></reactions><store xmlns='urn:xmpp:hints'/>",
            ),
        ),
        (
            "a marker",
            plain("<displayed xmlns='urn:xmpp:chat-markers:0' id='m'/>"),
        ),
        (
            "a request for a receipt",
            plain("<body>r</body><request xmlns='urn:xmpp:receipts'/>"),
        ),
        ("a receipt", plain("<received xmlns='urn:xmpp:receipts' id='r'/>")),
        (
            "a chat state",
            plain("<composing xmlns='http://jabber.org/protocol/chatstates'/>"),
        ),
        (
            "a reply",
            plain(
                "<body>&gt; Hail\nto thee</body><reply xmlns='urn:xmpp:reply:0' id='s1' to='coven@x.lit/y'/>\
                 <fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='7'/></fallback>",
            ),
        ),
        (
            "something encrypted",
            plain(
                "<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='27183'>\
                 <key rid='31415' prekey='true'>BASE64==</key><iv>BASE64</iv></header><payload>BASE64</payload></encrypted>\
                 <encryption xmlns='urn:xmpp:eme:0' namespace='eu.siacs.conversations.axolotl' name='OMEMO'/>\
                 <body>I sent you an OMEMO encrypted message</body><store xmlns='urn:xmpp:hints'/>",
            ),
        ),
        (
            "somebody else's stanza-id",
            plain(
                "<body>sid</body><stanza-id xmlns='urn:xmpp:sid:0' by='other@elsewhere.lit' id='theirs'/>\
                   <origin-id xmlns='urn:xmpp:sid:0' id='mine'/>",
            ),
        ),
        (
            "attributes with namespaces",
            plain(
                "<a xmlns='urn:x:a' xmlns:q='urn:x:q' q:is='&lt;&quot;&apos;&amp;' is='plain'>text<b/>tail\
                 <c xmlns='urn:x:c' q:is='again'>more</c></a>",
            ),
        ),
        ("sixty levels", deep),
        ("a hundred kilobytes", format!("<body>{long}</body>")),
        (
            "nothing at all but an unknown element",
            plain("<unknown xmlns='urn:x:unknown'/>"),
        ),
    ]
}

/// What refers to something: another message, a person, a file. Clients look for all of it in the history, too.
fn referring() -> Vec<(&'static str, &'static str)> {
    vec![
        (
            "references (XEP-0372)",
            "<body>hecate: https://witch.lit/cauldron</body>\
             <reference xmlns='urn:xmpp:reference:0' begin='0' end='5' type='mention' uri='xmpp:coven@x.lit/hecate'/>\
             <reference xmlns='urn:xmpp:reference:0' begin='8' end='33' type='data' uri='https://witch.lit/cauldron'/>",
        ),
        (
            "a file by its address (XEP-0066)",
            "<body>https://witch.lit/newt.png</body>\
             <x xmlns='jabber:x:oob'><url>https://witch.lit/newt.png</url><desc>An eye</desc></x>",
        ),
        (
            "a file that is described (XEP-0447)",
            "<body>https://witch.lit/newt.png</body>\
             <file-sharing xmlns='urn:xmpp:sfs:0' id='one' disposition='inline'>\
             <file xmlns='urn:xmpp:file:metadata:0'><media-type>image/png</media-type><name>newt.png</name><size>3032449</size>\
             <hash xmlns='urn:xmpp:hashes:2' algo='sha3-256'>2XarmwTlNxDAMkvymloX3S5+VbylNrJt/l5QyPa+YoU=</hash></file>\
             <sources><url-data xmlns='http://jabber.org/protocol/url-data' target='https://witch.lit/newt.png'/></sources>\
             </file-sharing>",
        ),
        (
            "a retraction (XEP-0424)",
            "<retract xmlns='urn:xmpp:message-retract:1' id='stanza-id-1'/>\
             <fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:message-retract:1'/>\
             <body>This person attempted to retract a previous message, but it's unsupported by your client.</body>\
             <store xmlns='urn:xmpp:hints'/>",
        ),
    ]
}

/// Live, to who joins later, and in the archive: the same, whichever instance it was said and is read at.
async fn what_refers_to_something_is_kept_as_it_was(fed: &Federation) -> Result<()> {
    let people = company(fed, "library", &[]).await?;
    let mut said = Vec::new();
    for sender in &people {
        for (what, xml) in referring() {
            let message = format!(
                "<message type='groupchat' xml:lang='la' to='{}'>{xml}</message>",
                sender.room
            );
            let id = sender.send_xml(&message).await?;
            said.push((id, format!("{what} of {}", sender.nick), children(xml)?));
        }
        quiet(fed, &people.each_ref()).await?;
    }
    for viewer in &people {
        let late = fed[viewer.server].client("late", "library").await?;
        let joined = late.join(&viewer.room, &format!("late{}", viewer.server)).await?;
        let archive = viewer.mam_all(&viewer.room).await?;
        let live = viewer.take_all()?;
        let history: Vec<&Element> = joined.history.iter().collect();
        let archived: Vec<&Element> = archive.iter().map(|item| &item.message).collect();
        for (place, found) in [
            ("live", live.iter().collect()),
            ("history", history),
            ("archive", archived),
        ] {
            for (id, what, wanted) in &said {
                let mut found = found.iter().filter(|m: &&&Element| m.attr("id") == Some(id));
                let message = found
                    .next()
                    .with_context(|| format!("{what}: {place} at {}", viewer.room))?;
                assert_eq!(&payload(message), wanted, "{what}: {place} at {}", viewer.room);
                let lang = message.attr_ns("http://www.w3.org/XML/1998/namespace", "lang");
                assert_eq!(lang, Some("la"), "{what}: {place} at {}", viewer.room);
                ensure!(found.next().is_none(), "{what} twice: {place} at {}", viewer.room);
            }
        }
    }
    Ok(())
}

async fn any_payload_reaches_everybody_once_and_unchanged(fed: &Federation) -> Result<()> {
    let people = company(fed, "coven", &[]).await?;
    let all = people.each_ref();
    let payloads = payloads();
    for (index, sender) in people.iter().enumerate() {
        fed.reset_stats().await?;
        let mut ids = Vec::new();
        for (_, xml) in &payloads {
            ids.push(sender.sends(xml).await?);
        }
        quiet(fed, &all).await?;
        for viewer in &people {
            let seen = viewer.take_all()?;
            let got: Vec<&str> = seen.iter().filter_map(|m| m.attr("id")).collect();
            assert_eq!(got, ids, "{}'s, to {}", sender.nick, viewer.nick);
            for (message, (what, xml)) in seen.iter().zip(&payloads) {
                assert_eq!(
                    payload(message),
                    children(xml)?,
                    "{what} from {} to {}",
                    sender.nick,
                    viewer.nick
                );
                assert_eq!(message.attr("from"), Some(&*viewer.sees(&sender.nick)), "{what}");
                assert_eq!(message.attr("to"), Some(viewer.jid()));
                assert_eq!(message.attr("type"), Some("groupchat"));
            }
        }
        let count = payloads.len() as u64;
        assert_eq!(traffic(fed).await?, once_from(fed, index, (count, 0)));
    }
    Ok(())
}

/// What the instances would not take nobody sees: its sender is told.
async fn a_message_beyond_the_limit_is_refused(fed: &Federation) -> Result<()> {
    let people = company(fed, "bog", &[]).await?;
    for sender in &people {
        let id = sender
            .sends(&format!("<body>{}</body>", "Bubble! ".repeat(20_000)))
            .await?;
        let error = sender
            .expect("a refusal", |s| {
                s.attr("type") == Some("error") && s.attr("id") == Some(&*id)
            })
            .await?;
        assert_eq!(error_condition(&error).as_deref(), Some("policy-violation"));
        assert_eq!(error.attr("from"), Some(&*sender.room));
        sender.say_and_see(&sender.room, "Shorter").await?;
        quiet(fed, &people.each_ref()).await?;
        for viewer in people.iter().filter(|viewer| viewer.nick != sender.nick) {
            let seen = viewer.take_all()?;
            let bodies: Vec<String> = seen.iter().filter_map(body).collect();
            assert_eq!(bodies, ["Shorter"]);
        }
        assert_eq!(sender.take_all()?.len(), 0);
    }
    Ok(())
}

/// At most 150 bytes more than the message itself from room JID to room JID.
async fn little_is_added_on_the_link(fed: &Federation) -> Result<()> {
    let people = company(fed, "pit", &[]).await?;
    for (index, sender) in people.iter().enumerate() {
        // The counters name the ids of streams: a warm-up first, so that numbers have grown.
        for _ in 0..12 {
            sender.say_and_see(&sender.room, "warm").await?;
        }
        quiet(fed, &people.each_ref()).await?;
        fed.reset_stats().await?;
        let id = sender.say(&sender.room, "Eye of newt").await?;
        quiet(fed, &people.each_ref()).await?;
        for (other, viewer) in people.iter().enumerate().filter(|(other, _)| *other != index) {
            let stats = fed[index].stats().await?;
            let link = stats.link(fed[index].muc(), fed[other].muc()).message;
            assert_eq!(link.stanzas, 1);
            let (from, to) = (sender.sees(&sender.nick), viewer.sees(&sender.nick));
            let itself = format!(
                "<message id='{id}' from='{from}' to='{to}' type='groupchat' xml:lang='en'><body>Eye of newt</body></message>"
            );
            let added = link.bytes.saturating_sub(itself.len() as u64);
            assert!((1..=150).contains(&added), "{added} bytes more than {itself}");
        }
    }
    Ok(())
}

/// The servers' own namespaces, sent by a client: in messages, presence, private messages and requests.
async fn a_client_cannot_speak_as_a_server(fed: &Federation) -> Result<()> {
    let people = company(fed, "forge", &[]).await?;
    let all = people.each_ref();
    let forged = "<event xmlns='urn:x-dmuc:0' id='forged' inc='1' seq='1' at='99999999999999.0'/>\
        <occupant xmlns='urn:x-dmuc:0' id='forged' serial='1'/><coven xmlns='urn:xmpp:dmuc:0'/>";
    for sender in &people {
        let body = format!("{} forges", sender.nick);
        sender.sends(&format!("<body>{body}</body>{forged}")).await?;
        sender
            .send_xml(&format!(
                "<presence to='{}'><status>{body}</status>{forged}</presence>",
                sender.sees(&sender.nick)
            ))
            .await?;
        for viewer in people.iter().filter(|viewer| viewer.nick != sender.nick) {
            sender
                .send_xml(&format!(
                    "<message type='chat' to='{}'><body>{body} privately</body>{forged}</message>",
                    sender.sees(&viewer.nick)
                ))
                .await?;
        }
        quiet(fed, &all).await?;
        for viewer in &people {
            // take_all() checks that nothing of it is left.
            let seen = viewer.take_all()?;
            let bodies: Vec<String> = seen.iter().filter_map(dmuc_testbed::body).collect();
            let mut wanted = vec![body.clone()];
            if viewer.nick != sender.nick {
                wanted.push(format!("{body} privately"));
            }
            assert_eq!(bodies, wanted);
            let is_shown =
                |s: &&Element| s.get_child("status", CLIENT).map(Element::text).as_ref() == Some(&body);
            assert_eq!(seen.iter().filter(is_shown).count(), 1, "{seen:?}");
        }
        for (to, what) in [
            (sender.room.clone(), "<close xmlns='urn:x-dmuc:0'/>"),
            (sender.room.clone(), "<roster xmlns='urn:xmpp:dmuc:0'/>"),
            (
                fed[sender.server].muc().to_owned(),
                "<replicate xmlns='urn:xmpp:dmuc:0'><room id='evil'/></replicate>",
            ),
        ] {
            let answer = sender
                .iq_xml(&format!("<iq type='set' to='{to}'>{what}</iq>"))
                .await?;
            assert_eq!(
                answer.attr("type"),
                Some("error"),
                "{what}: {}",
                to_string(&answer)
            );
            let condition = error_condition(&answer).context("a condition")?;
            assert!(
                ["forbidden", "service-unavailable"].contains(&&*condition),
                "{what}: {condition}"
            );
            clean_error(&answer)?;
        }
    }
    let joined = fed[1]
        .client("latecomer", "forge")
        .await?
        .join(&people[1].room, "late")
        .await?;
    assert_eq!(joined.presences.len(), 3);
    joined.all.iter().try_for_each(clean)
}

/// An error may repeat what the client itself sent, nothing else.
fn clean_error(answer: &Element) -> Result<()> {
    let error = answer.get_child("error", CLIENT).context("an error")?;
    clean(error)
}

/// Who has no voice is told so, and nobody hears it.
async fn visitors_are_not_heard(fed: &Federation) -> Result<()> {
    let people = company(fed, "court", &[("muc#roomconfig_moderatedroom", "1")]).await?;
    let [crone, witch, faust] = people.each_ref();
    fed.reset_stats().await?;
    for visitor in [witch, faust] {
        let id = visitor.say(&visitor.room, "May I?").await?;
        let error = visitor
            .expect("a refusal", |s| {
                s.attr("type") == Some("error") && s.attr("id") == Some(&*id)
            })
            .await?;
        assert_eq!(error_condition(&error).as_deref(), Some("forbidden"));
    }
    quiet(fed, &people.each_ref()).await?;
    for person in &people {
        assert_eq!(person.take_all()?.len(), 0);
    }
    assert_eq!(traffic(fed).await?, once_from(fed, 0, (0, 0)));
    crone.set_role(&crone.room, "firstwitch", "participant").await?;
    let is_witch = from(&witch.room, "firstwitch");
    witch
        .expect("a voice", |s| {
            is_witch(s) && crate::stage::Item::of(s).is_some_and(|item| item.role == "participant")
        })
        .await?;
    let id = witch.say(&witch.room, "Thank you").await?;
    for viewer in &people {
        let message = viewer.expect_body("Thank you").await?;
        assert_eq!(message.attr("id"), Some(&*id));
    }
    Ok(())
}

/// Two hundred messages from each side at the same time: each once, each sender's in order.
async fn a_burst_keeps_every_senders_order(fed: &Federation) -> Result<()> {
    let people = company(fed, "storm", &[("muc#roomconfig_historylength", "20")]).await?;
    let burst = async |index: usize| -> Result<()> {
        for number in 0..200 {
            people[index]
                .say(&people[index].room, &format!("{index} {number}"))
                .await?;
        }
        Ok(())
    };
    tokio::try_join!(burst(0), burst(1), burst(2))?;
    quiet(fed, &people.each_ref()).await?;
    for viewer in &people {
        let bodies: Vec<String> = viewer.take_all()?.iter().filter_map(body).collect();
        assert_eq!(bodies.len(), 600, "to {}", viewer.nick);
        for sender in 0..3 {
            let prefix = format!("{sender} ");
            let own: Vec<&String> = bodies.iter().filter(|b| b.starts_with(&prefix)).collect();
            let wanted: Vec<String> = (0..200).map(|number| format!("{sender} {number}")).collect();
            assert!(own.iter().copied().eq(&wanted), "{sender}'s to {}", viewer.nick);
        }
    }
    // The same history everywhere.
    let mut histories = Vec::new();
    for person in &people {
        let late = fed[person.server].client("late", "storm").await?;
        let joined = late.join(&person.room, &format!("late{}", person.server)).await?;
        histories.push(joined.history_bodies());
    }
    assert_eq!(histories[0].len(), 20);
    assert_eq!(histories[0], histories[1]);
    assert_eq!(histories[0], histories[2]);
    Ok(())
}

async fn messages(version: Version, storage: Storage) -> Result<()> {
    let fed = three("payloads", version, storage)
        .muc_line("dmuc_max_stanza_size = 120000")
        .start()
        .await?;
    any_payload_reaches_everybody_once_and_unchanged(&fed).await?;
    what_refers_to_something_is_kept_as_it_was(&fed).await?;
    a_message_beyond_the_limit_is_refused(&fed).await?;
    little_is_added_on_the_link(&fed).await?;
    a_client_cannot_speak_as_a_server(&fed).await?;
    visitors_are_not_heard(&fed).await?;
    a_burst_keeps_every_senders_order(&fed).await?;
    fed.finish().await
}

on_every_version! {
    fn messages_reach_everybody_once_and_unchanged(version, storage) {
        messages(version, storage).await
    }
}
