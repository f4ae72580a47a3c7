//! Nothing that the real room at an address sends reaches a session to which that address is served here: it would speak for
//! people whose home is here.

use anyhow::{Result, ensure};
use dmuc_testbed::{Client, Storage, Version, body, on_every_version, to_string};

use super::scene::{A, H, cast, everybody_hears, servers, source_says};

const MUC_USER: &str = "http://jabber.org/protocol/muc#user";

/// What the source says to whom, `@TO@` being a full address.
const FORGED: [&str; 9] = [
    "<message from='coven@chat.shakespeare.lit/lennox' to='@TO@' type='chat'><body>forged in private</body></message>",
    "<message from='coven@chat.shakespeare.lit/lennox' to='@TO@' type='groupchat'><body>forged</body></message>",
    "<message from='coven@chat.shakespeare.lit' to='@TO@' type='groupchat'><subject>forged</subject></message>",
    "<message from='coven@chat.shakespeare.lit' to='@TO@'><x xmlns='http://jabber.org/protocol/muc#user'>\
     <invite from='lennox@macbeth.lit'/></x></message>",
    "<presence from='coven@chat.shakespeare.lit/firstwitch' to='@TO@' type='unavailable'>\
     <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='outcast' role='none'/><status code='110'/>\
     <status code='301'/></x></presence>",
    "<presence from='coven@chat.shakespeare.lit/firstwitch' to='@TO@'><x xmlns='http://jabber.org/protocol/muc#user'>\
     <item affiliation='none' role='none'/><status code='110'/></x></presence>",
    "<presence from='coven@chat.shakespeare.lit/firstwitch' to='@TO@' type='error'><error type='cancel'>\
     <conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>",
    "<iq from='coven@chat.shakespeare.lit/lennox' to='@TO@' type='get' id='f1'><ping xmlns='urn:xmpp:ping'/></iq>",
    "<iq from='coven@chat.shakespeare.lit' to='@TO@' type='result' id='f2'/>",
];

async fn lies(version: Version, storage: Storage) -> Result<()> {
    let fed = servers("address-lies", version, storage).start().await?;
    let cast = cast(&fed, &[]).await?;
    let kitchen: Client = fed[1].client("somewitch", "kitchen").await?;
    let macduff = fed[1].client("macduff", "fife").await?;
    for client in [&kitchen, &macduff] {
        client.send_xml("<presence/>").await?;
        client.sync().await?;
        client.drain();
    }
    // Presences of the own sessions.
    for client in [&cast.witch.client, &kitchen] {
        client.sync().await?;
        client.drain();
    }
    for xml in FORGED {
        for to in [cast.witch.jid(), cast.witch.bare_jid()] {
            if to == cast.witch.bare_jid() && !xml.starts_with("<message") {
                continue;
            }
            source_says(&fed, &xml.replace("@TO@", to)).await?;
        }
    }
    for client in [&cast.witch.client, &kitchen, &cast.lennox.client] {
        client.sync().await?;
        let arrived: Vec<_> = client.drain().iter().map(to_string).collect();
        ensure!(arrived.is_empty(), "{} got {arrived:?}", client.jid());
    }
    // It has changed nothing.
    everybody_hears(&cast, "all is well").await?;
    assert_eq!(cast.witch.self_ping(A, "firstwitch").await?, None);
    cast.witch.say_and_see(A, "indeed").await?;
    // Who is not served hears of it as ever, and so does who has left.
    source_says(&fed, &FORGED[0].replace("@TO@", macduff.jid())).await?;
    macduff.expect_body("forged in private").await?;
    cast.witch.leave(A, "firstwitch").await?;
    source_says(&fed, &FORGED[0].replace("@TO@", cast.witch.jid())).await?;
    cast.witch.expect_body("forged in private").await?;
    // A self-presence of a room that nobody has joined makes no difference to where a join goes.
    source_says(
        &fed,
        &format!(
            "<presence from='{A}/ross' to='{}'><x xmlns='{MUC_USER}'><item affiliation='none' role='none'/>\
             <status code='110'/></x></presence>",
            macduff.jid()
        ),
    )
    .await?;
    macduff.drain();
    let joined = macduff.join(A, "macduff").await?;
    ensure!(
        joined.nicks().contains(&"lennox".to_owned()),
        "{:?}",
        joined.nicks()
    );
    cast.lennox.say(H, "to whoever is served").await?;
    let heard = macduff.expect_body("to whoever is served").await?;
    assert_eq!(heard.attr("from"), Some(&*format!("{A}/lennox")));
    ensure!(body(&heard).is_some());
    fed.finish().await
}

on_every_version! {
    fn the_real_room_says_nothing_to_whom_its_address_is_served(version, storage = Internal) {
        lies(version, storage).await
    }
}
