//! What people say to each other, in the room and in private, and what it names.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Element, Storage, Version, body, error_condition, on_every_version, to_string};

use super::scene::{A, Cast, Guest, H, cast, child, inside, servers, streams_of_users};
use crate::stage::CLIENT;

const FORWARD: &str = "urn:xmpp:forward:0";

/// A message as it stands in a payload of its own, `@ROOM@` being a room.
const NAMING: &str = "<body>Hail, firstcrone</body>\
     <reply xmlns='urn:xmpp:reply:0' to='@ROOM@/firstcrone' id='x1'/>\
     <reference xmlns='urn:xmpp:reference:0' type='mention' begin='6' end='16' uri='xmpp:@ROOM@/firstcrone'/>\
     <mention xmlns='urn:xmpp:mentions:0' mentions='urn:xmpp:mentions:0#channel' uri='xmpp:@ROOM@?join'/>\
     <invite xmlns='urn:xmpp:call-invites:0'><jingle sid='s1' jid='@ROOM@/firstcrone'/></invite>";

fn children_of(message: &Element) -> Vec<String> {
    let named = ["reply", "reference", "mention", "invite"];
    message
        .children()
        .filter(|c| named.contains(&c.name()))
        .map(crate::stage::canonical)
        .collect()
}

fn naming(room: &str) -> Result<Vec<String>> {
    crate::stage::children(&NAMING.replace("@ROOM@", room)).map(|all| all[1..].to_vec())
}

async fn private(cast: &Cast) -> Result<()> {
    let (witch, lennox, crone) = (&cast.witch, &cast.lennox, &cast.crone);
    let is = |text: &'static str| {
        move |s: &Element| s.attr("type") == Some("chat") && body(s).as_deref() == Some(text)
    };
    witch.say_privately(A, "lennox", "By A, here").await?;
    lennox
        .hears("firstwitch", "a private message", is("By A, here"))
        .await?;
    lennox.say_privately(H, "firstwitch", "By H, here").await?;
    witch
        .hears("lennox", "a private message", is("By H, here"))
        .await?;
    witch.say_privately(A, "firstcrone", "By A, there").await?;
    let heard = crone.expect_body("By A, there").await?;
    assert_eq!(heard.attr("from"), Some("coven@chat.shakespeare.lit/firstwitch"));
    crone.say_privately(A, "firstwitch", "From there").await?;
    witch
        .hears("firstcrone", "a private message", is("From there"))
        .await?;
    // Errors, direct ones and those of clients.
    for guest in [witch, lennox] {
        guest.say_privately(guest.address, "nobody", "Anybody?").await?;
        let error = guest
            .hears("nobody", "an error", |s| s.attr("type") == Some("error"))
            .await?;
        assert_eq!(error_condition(&error).as_deref(), Some("item-not-found"));
        assert_eq!(
            child(&error, "error", CLIENT)?
                .attr("by")
                .unwrap_or(guest.address),
            guest.address
        );
    }
    lennox.say_privately(H, "firstwitch", "No?").await?;
    let asked = witch.hears("lennox", "a private message", is("No?")).await?;
    let id = asked.attr("id").context("an id")?;
    witch
        .send_xml(&format!(
            "<message type='error' id='{id}' to='{A}/lennox'><error type='cancel'>\
             <not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
        ))
        .await?;
    lennox
        .hears("firstwitch", "an error", |s| s.attr("type") == Some("error"))
        .await?;
    Ok(())
}

/// The user's own archive has both directions under the address that was used.
async fn own_archive(witch: &Guest) -> Result<()> {
    let all = witch.mam_all(witch.bare_jid()).await?;
    let texts: Vec<String> = all.iter().map(|item| to_string(&item.message)).collect();
    for text in &texts {
        ensure!(!text.contains(H), "{text}");
    }
    for (text, attr) in [
        ("By A, here", "to"),
        ("By H, here", "from"),
        ("By A, there", "to"),
        ("From there", "from"),
    ] {
        let found = all
            .iter()
            .find(|item| body(&item.message).as_deref() == Some(text));
        let message = &found.with_context(|| format!("no {text} in {texts:?}"))?.message;
        ensure!(
            message.attr(attr).is_some_and(|jid| jid.starts_with(A)),
            "{}",
            to_string(message)
        );
    }
    Ok(())
}

/// A copy of what one session sends, for one that is in by the other address.
async fn copies(fed: &dmuc_testbed::Federation, cast: &Cast) -> Result<()> {
    let kitchen = Guest::joins(fed, "somewitch", "by-h", H, "firstwitch").await?;
    let third = Guest::joins(fed, "somewitch", "by-a-too", A, "firstwitch").await?;
    let outside = fed[1].client("somewitch", "outside").await?;
    for client in [&kitchen.client, &third.client, &outside, &cast.witch.client] {
        client
            .iq_ok("<iq type='set'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
            .await?;
    }
    cast.quiet(fed).await?;
    for (sender, others) in [
        (
            &cast.witch,
            [(&kitchen.client, H), (&third.client, A), (&outside, A)],
        ),
        (
            &kitchen,
            [(&cast.witch.client, A), (&third.client, A), (&outside, H)],
        ),
    ] {
        let to = sender.place_of("lennox");
        sender
            .send_xml(&format!(
                "<message type='chat' to='{to}'><body>Copy me</body></message>"
            ))
            .await?;
        for (client, address) in others {
            let copy = client
                .expect("a copy", |s| s.get_child("sent", "urn:xmpp:carbons:2").is_some())
                .await?;
            let forwarded = child(child(&copy, "sent", "urn:xmpp:carbons:2")?, "forwarded", FORWARD)?;
            let message = child(forwarded, "message", CLIENT)?;
            assert_eq!(
                message.attr("to"),
                Some(&*format!("{address}/lennox")),
                "to {}",
                client.jid()
            );
        }
    }
    // What somebody else sends comes to each under its own address.
    cast.lennox
        .say_privately(H, "firstwitch", "To all of you")
        .await?;
    for guest in [&cast.witch, &kitchen, &third] {
        guest
            .hears("lennox", "it", |s| body(s).as_deref() == Some("To all of you"))
            .await?;
    }
    kitchen.leave(H, "firstwitch").await?;
    third.leave(A, "firstwitch").await?;
    Ok(())
}

async fn speaking(version: Version, storage: Storage) -> Result<()> {
    let fed = servers("address-speaking", version, storage).start().await?;
    let cast = cast(&fed, &[]).await?;
    private(&cast).await?;
    own_archive(&cast.witch).await?;
    cast.quiet(&fed).await?;
    copies(&fed, &cast).await?;
    cast.quiet(&fed).await?;
    cast.witch.set_subject(A, "Toil").await?;
    assert_eq!(streams_of_users(&fed, 1).await?, 0);
    fed.finish().await
}

/// Addresses in what people write are the receiver's, the log has what was sent, and nothing else is looked into.
async fn payloads(version: Version, storage: Storage) -> Result<()> {
    let fed = servers("address-payloads", version, storage).start().await?;
    let cast = cast(&fed, &[]).await?;
    let (witch, lennox, crone) = (&cast.witch, &cast.lennox, &cast.crone);
    for (sender, room) in [(&witch.client, A), (&lennox.client, H), (crone, A)] {
        let id = sender
            .send_xml(&format!(
                "<message type='groupchat' to='{room}'>{}</message>",
                NAMING.replace("@ROOM@", room)
            ))
            .await?;
        for (client, address) in [(&witch.client, A), (&lennox.client, H), (crone, A)] {
            let heard = client
                .expect("what names somebody", |s| s.attr("id") == Some(&*id))
                .await?;
            assert_eq!(
                children_of(&heard),
                naming(address)?,
                "{} from {room}",
                client.jid()
            );
        }
    }
    let whole = 3;
    // The log has what was sent.
    for server in [0, 1] {
        let (muc, room) = (fed[server].muc().to_owned(), fed[server].room("coven"));
        let chunk = inside(
            &muc,
            &format!(
                "local found = {{}}; for _, entry in ipairs(dmuc.ask('newest', '{room}', os.time() + 5, 0, 3)) do \
                   found[#found + 1] = entry.payload; end; return table.concat(found)"
            ),
        );
        let logged = fed[server].eval(&chunk).await?;
        let logged = logged.as_str().context("payloads")?;
        assert_eq!(
            logged.matches(&format!("xmpp:{A}/firstcrone")).count(),
            2,
            "{logged}"
        );
        assert_eq!(
            logged.matches(&format!("xmpp:{H}/firstcrone")).count(),
            1,
            "{logged}"
        );
    }
    // Archives and history.
    for (client, address) in [(&witch.client, A), (&lennox.client, H), (crone, A)] {
        let all = client.mam_all(address).await?;
        let named: Vec<_> = all
            .iter()
            .map(|item| children_of(&item.message))
            .filter(|c| !c.is_empty())
            .collect();
        assert_eq!(named, vec![naming(address)?; whole], "{}", client.jid());
    }
    for address in [A, H] {
        let late = Guest::joins(&fed, "macduff", address, address, "macduff").await?;
        let named: Vec<_> = late
            .joined
            .history
            .iter()
            .map(children_of)
            .filter(|c| !c.is_empty())
            .collect();
        assert_eq!(named, vec![naming(address)?; whole], "{address}");
        late.leave(address, "macduff").await?;
    }
    // In private.
    witch
        .send_xml(&format!(
            "<message type='chat' to='{A}/lennox'>{}</message>",
            NAMING.replace("@ROOM@", A)
        ))
        .await?;
    let heard = lennox
        .hears("firstwitch", "what names somebody", |s| {
            !children_of(s).is_empty()
        })
        .await?;
    assert_eq!(children_of(&heard), naming(H)?);
    lennox
        .send_xml(&format!(
            "<message type='chat' to='{H}/firstcrone'>{}</message>",
            NAMING.replace("@ROOM@", H)
        ))
        .await?;
    let heard = crone
        .expect("what names somebody", |s| !children_of(s).is_empty())
        .await?;
    assert_eq!(children_of(&heard), naming(A)?);
    // What is encrypted, signed or not known, other rooms, and what is no address.
    let sealed = format!(
        "<body>sealed</body><encrypted xmlns='urn:example:encrypted'><payload>{A}/firstcrone</payload></encrypted>\
         <signed xmlns='urn:example:signed' to='{A}/firstcrone'>{A}</signed>\
         <reply xmlns='urn:example:reply' to='{A}/firstcrone'/>\
         <reply xmlns='urn:xmpp:reply:0' to='heath@chat.shakespeare.lit/x' id='{A}'/>\
         <reference xmlns='urn:xmpp:reference:0' type='data' uri='https://example.org/{A}'/>"
    );
    let id = witch
        .send_xml(&format!("<message type='groupchat' to='{A}'>{sealed}</message>"))
        .await?;
    let heard = lennox
        .expect("what is sealed", |s| s.attr("id") == Some(&*id))
        .await?;
    let expected = crate::stage::children(&sealed)?;
    assert_eq!(crate::stage::payload(&heard), expected);
    fed.finish().await
}

on_every_version! {
    fn private_messages_go_by_the_address_that_was_used(version, storage = Internal) {
        speaking(version, storage).await
    }
    fn addresses_in_what_people_write_are_the_receivers(version, storage = Sqlite) {
        payloads(version, storage).await
    }
}
