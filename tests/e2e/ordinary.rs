//! G12: with the module loaded, a room that is not distributed is the room it was without it.

use anyhow::Result;
use dmuc_testbed::{Client, Element, Federation, LinkCount, Storage, Version, on_every_version};

use crate::stage::canonical;
use crate::support::three;

/// One half of the comparison: two people and everything they got, with what is random taken out.
struct Half {
    room: String,
    owner: Client,
    guest: Client,
    transcript: Vec<String>,
}

/// Names that differ between the halves, and ids that are made up anew each time.
fn levelled(element: &Element, fed: &Federation, server: usize) -> String {
    let mut text = canonical(element)
        .replace(fed[server].muc(), "MUC")
        .replace(fed[server].domain(), "DOMAIN");
    for (start, end) in [
        ("<{urn:xmpp:occupant-id:0}occupant-id", ">"),
        ("{}id=\"", "\""),
        ("stamp=\"", "\""),
        ("rsm}first>", "<"),
        ("rsm}last>", "<"),
    ] {
        let mut at = 0;
        while let Some(found) = text[at..].find(start) {
            let from = at + found + start.len();
            let Some(length) = text[from..].find(end) else {
                break;
            };
            text.replace_range(from..from + length, "…");
            at = from;
        }
    }
    text
}

impl Half {
    async fn collect(&mut self, fed: &Federation, server: usize, what: &str) -> Result<()> {
        // When both have been answered the server has taken what either sent, and after that they have got all of it.
        for client in [&self.owner, &self.guest, &self.owner, &self.guest] {
            client.sync().await?;
        }
        for client in [&self.owner, &self.guest] {
            for stanza in client.drain() {
                let to = stanza.attr("to").unwrap_or_default().to_owned();
                let who = to.split('@').next().unwrap_or_default();
                self.transcript
                    .push(format!("{what}: {who}: {}", levelled(&stanza, fed, server)));
            }
        }
        Ok(())
    }

    /// A request's answer.
    async fn ask(&mut self, fed: &Federation, server: usize, as_owner: bool, xml: &str) -> Result<()> {
        let client = if as_owner { &self.owner } else { &self.guest };
        let answer = client.iq_xml(&xml.replace("ROOM", &self.room)).await?;
        self.transcript
            .push(format!("{xml}: {}", levelled(&answer, fed, server)));
        self.collect(fed, server, xml).await
    }

    /// A stanza without an answer of its own.
    async fn tell(&mut self, fed: &Federation, server: usize, as_owner: bool, xml: &str) -> Result<()> {
        let client = if as_owner { &self.owner } else { &self.guest };
        client.send_xml(&xml.replace("ROOM", &self.room)).await?;
        self.collect(fed, server, xml).await
    }
}

const CONFIG: &str = "<iq type='set' to='ROOM'><query xmlns='http://jabber.org/protocol/muc#owner'>\
    <x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value>\
    </field><field var='muc#roomconfig_roomname'><value>A plain room</value></field>\
    <field var='muc#roomconfig_persistentroom'><value>1</value></field>\
    <field var='muc#roomconfig_changesubject'><value>1</value></field></x></query></iq>";

/// A small conversation with a bit of everything.
async fn play(fed: &Federation, server: usize) -> Result<Vec<String>> {
    let room = fed[server].room("plain");
    let owner = fed[server].client("owner", "desk").await?;
    let guest = fed[server].client("guest", "desk").await?;
    let mut half = Half {
        room,
        owner,
        guest,
        transcript: Vec::new(),
    };
    let join = |nick: &str| {
        format!("<presence id='j' to='ROOM/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
    };
    half.tell(fed, server, true, &join("owner")).await?;
    half.ask(fed, server, true, CONFIG).await?;
    half.tell(
        fed,
        server,
        true,
        "<message id='m0' type='groupchat' to='ROOM'><body>before</body></message>",
    )
    .await?;
    half.tell(fed, server, false, &join("guest")).await?;
    for xml in [
        "<message id='m1' type='groupchat' to='ROOM'><body>a &lt;b&gt;</body><x xmlns='urn:x:x'><y/></x>\
         <stanza-id xmlns='urn:xmpp:sid:0' by='ROOM' id='forged'/><occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/></message>",
        "<message id='m2' type='groupchat' to='ROOM'><subject>On plains</subject></message>",
        "<message id='m3' type='chat' to='ROOM/owner'><body>psst</body></message>",
        "<message id='m4' type='chat' to='ROOM/nobody'><body>psst</body></message>",
        "<message id='m5' type='groupchat' to='ROOM'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>",
        "<presence id='p1' to='ROOM/guest'><show>away</show><status>out</status></presence>",
        "<presence id='p2' to='ROOM/friend'/>",
        "<presence id='p3' to='ROOM/owner'/>",
    ] {
        half.tell(fed, server, false, xml).await?;
    }
    let admin = |item: &str| {
        format!(
            "<iq type='set' to='ROOM'><query xmlns='http://jabber.org/protocol/muc#admin'>{item}</query></iq>"
        )
    };
    let get = |to: &str, payload: &str| format!("<iq type='get' to='ROOM{to}'>{payload}</iq>");
    for (as_owner, xml) in [
        (false, get("/friend", "<ping xmlns='urn:xmpp:ping'/>")),
        (false, get("/owner", "<query xmlns='jabber:iq:version'/>")),
        (false, get("/owner", "<vCard xmlns='vcard-temp'/>")),
        (
            false,
            get("", "<query xmlns='http://jabber.org/protocol/disco#info'/>"),
        ),
        (
            false,
            get("", "<query xmlns='http://jabber.org/protocol/disco#items'/>"),
        ),
        (
            false,
            get("", "<query xmlns='http://jabber.org/protocol/muc#owner'/>"),
        ),
        (true, admin("<item nick='friend' role='visitor'/>")),
        (
            true,
            admin("<item jid='friend@elsewhere.lit' affiliation='member'/>"),
        ),
        (
            true,
            get(
                "",
                "<query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='member'/></query>",
            ),
        ),
        (false, admin("<item nick='owner' role='none'/>")),
        (
            true,
            admin("<item nick='friend' role='none'><reason>enough</reason></item>"),
        ),
    ] {
        half.ask(fed, server, as_owner, &xml).await?;
    }
    half.tell(fed, server, false, &join("again")).await?;
    half.ask(
        fed,
        server,
        false,
        "<iq type='set' to='ROOM'><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>50</max></set></query></iq>",
    )
    .await?;
    half.tell(
        fed,
        server,
        false,
        "<presence type='unavailable' to='ROOM/again'><status>bye</status></presence>",
    )
    .await?;
    half.ask(
        fed,
        server,
        true,
        "<iq type='set' to='ROOM'><query xmlns='http://jabber.org/protocol/muc#owner'><destroy jid='other@place.lit'>\
         <reason>over</reason></destroy></query></iq>",
    )
    .await?;
    Ok(half.transcript)
}

async fn ordinary(version: Version, storage: Storage) -> Result<()> {
    // The third server has no dmuc.
    let fed = three("ordinary", version, storage)
        .with_server(2, |server| {
            server.dmuc = false;
            server.muc_lines.clear();
        })
        .start()
        .await?;
    // What the services ask each other when they are loaded is no room's.
    let before = fed[0].stats().await?.link(fed[0].muc(), fed[1].muc());
    let mut with = play(&fed, 0).await?;
    let mut without = play(&fed, 2).await?;
    // Who of two recipients is sent something first is as Lua's tables have it.
    for transcript in [&mut with, &mut without] {
        transcript.sort_by_key(|line| line.contains(": owner: <"));
    }
    for (with, without) in with.iter().zip(&without) {
        assert_eq!(with, without);
    }
    assert_eq!(with.len(), without.len());
    assert!(with.len() > 50, "a conversation: {}", with.len());
    let after = fed[0].stats().await?.link(fed[0].muc(), fed[1].muc());
    let rooms = |link: &LinkCount| (link.message.stanzas, link.presence.stanzas);
    assert_eq!(rooms(&after), (0, 0), "nobody elsewhere hears of it");
    // Requests are those of the load, answers included, of which a few may have come meanwhile.
    let asked = after.iq.stanzas - before.iq.stanzas;
    assert!(
        asked <= 6,
        "{asked} requests: nobody is asked because of an ordinary room"
    );
    fed.finish().await
}

on_every_version! {
    fn an_ordinary_room_is_as_without_the_module(version, storage) {
        ordinary(version, storage).await
    }
}
