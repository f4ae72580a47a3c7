//! The scripted peer is a peerhost: a real source replicates to it, with a real shadow beside it.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Client, Element, Federation, Storage, Version, body, on_every_version, to_string};

use super::script::{CHAT, PEER, Peer, ROOMS, only_child, said, same, with_peer};
use crate::support::{MACBETH, MARLOWE, SOURCE, eventually, from, instances, is_instance};

/// What the source sent in the course of replication.
pub struct Replication {
    pub replicate: Element,
    pub config: Element,
    pub roster: Element,
    pub news: Element,
}

/// The peer says yes to everything, and both real instances know it.
pub async fn is_replicated(fed: &Federation, peer: &Peer) -> Result<Replication> {
    peer.tells_support(CHAT).await?;
    let replicate = peer.accept("replicate", CHAT).await?;
    let config = peer.accept("config", SOURCE).await?;
    let roster = peer.accept("roster", SOURCE).await?;
    let news = peer.accept("peerhost", CHAT).await?;
    peer.tells_support(ROOMS).await?;
    peer.sync().await?;
    for (server, room) in [(0, SOURCE), (1, MACBETH)] {
        eventually(&format!("{room} knows the two others"), || async {
            // Of the peer the other shadow has only been told: it counts when it has spoken.
            let known = instances(fed, server, room).await?;
            Ok(is_instance(fed, server, room, MARLOWE).await? && known.len() == 2 - server)
        })
        .await?;
    }
    Ok(Replication {
        replicate,
        config,
        roster,
        news,
    })
}

/// The coven: crone1 at the source, somewitch at the real shadow, and the peer, which holds it as well.
pub struct Coven {
    pub fed: Federation,
    pub peer: Peer,
    pub crone: Client,
    pub witch: Client,
}

impl Coven {
    pub async fn gather(
        label: &str,
        version: Version,
        storage: Storage,
        config: &[(&str, &str)],
    ) -> Result<Coven> {
        let fed = with_peer(label, version, storage).start().await?;
        let peer = Peer::connect(&fed).await?;
        let crone = fed[0].client("crone1", "desktop").await?;
        let mut all = vec![("muc#roomconfig_distributed", "1")];
        all.extend_from_slice(config);
        crone.create_room(SOURCE, "firstcrone", &all).await?;
        is_replicated(&fed, &peer).await?;
        let witch = fed[1].client("somewitch", "mobile").await?;
        witch.join(MACBETH, "firstwitch").await?;
        peer.take("the witch's presence", from(MACBETH, "firstwitch"))
            .await?;
        crone.expect("the witch", from(SOURCE, "firstwitch")).await?;
        Ok(Coven {
            fed,
            peer,
            crone,
            witch,
        })
    }

    /// An occupant of the peer joins; both real instances show it.
    pub async fn faust_enters(&self) -> Result<()> {
        for room in [SOURCE, MACBETH] {
            self.peer
                .enters(MARLOWE, room, "faust", "affiliation='none' role='participant'")
                .await?;
        }
        for (client, room) in [(&self.crone, SOURCE), (&self.witch, MACBETH)] {
            let presence = client.expect("faust", from(room, "faust")).await?;
            let x = presence
                .get_child("x", "http://jabber.org/protocol/muc#user")
                .context("muc#user")?;
            let item = x.children().next().context("an item")?;
            ensure!(
                item.attr("affiliation") == Some("none") && item.attr("role") == Some("participant"),
                "{}",
                to_string(&presence)
            );
        }
        Ok(())
    }

    /// The end: nothing of ours was sent, nothing was logged.
    pub async fn ends(self) -> Result<()> {
        self.peer.sync().await?;
        self.peer.rest();
        self.peer.was_spared()?;
        self.fed.finish().await
    }
}

/// Section 3.2, stanza by stanza: what the source pushes, and the answers to questions for the history.
async fn it_is_replicated_to_in_the_xeps_formats(version: Version, storage: Storage) -> Result<()> {
    let fed = with_peer("xep-peerhost", version, storage).start().await?;
    let peer = Peer::connect(&fed).await?;
    let crone = fed[0].client("crone1", "desktop").await?;
    let whois = ("muc#roomconfig_whois", "anyone");
    let name = ("muc#roomconfig_roomname", "A Dark Cave");
    crone.create_room(SOURCE, "firstcrone", &[whois, name]).await?;
    crone
        .set_affiliation(SOURCE, "hag66@shakespeare.lit", "member")
        .await?;
    for number in 1..=3 {
        crone.say_and_see(SOURCE, &format!("Message {number}.")).await?;
    }
    crone.set_subject(SOURCE, "Fire burn").await?;
    crone
        .configure_room(SOURCE, &[("muc#roomconfig_distributed", "1")])
        .await?;
    let pushed = is_replicated(&fed, &peer).await?;

    same(
        &pushed.replicate,
        &format!(
            "<iq from='{CHAT}' id='ID' to='{PEER}' type='set'><replicate xmlns='urn:xmpp:dmuc:0' source='{SOURCE}'>\
             <room id='coven'/></replicate></iq>"
        ),
    )?;
    same(
        &pushed.roster,
        &format!(
            "<iq from='{SOURCE}' id='ID' to='{MARLOWE}' type='set'><roster xmlns='urn:xmpp:dmuc:0'>\
             <item affiliation='owner' role='moderator' jid='crone1@shakespeare.lit/desktop' name='firstcrone'/>\
             <item affiliation='owner' jid='crone1@shakespeare.lit'/>\
             <item affiliation='member' jid='hag66@shakespeare.lit'/></roster></iq>"
        ),
    )?;
    same(
        &pushed.news,
        &format!(
            "<iq from='{CHAT}' id='ID' to='{PEER}' type='set'><peerhost xmlns='urn:xmpp:dmuc:0' jid='{ROOMS}'>\
             <room id='coven'/></peerhost></iq>"
        ),
    )?;
    let config = &pushed.config;
    ensure!(
        (config.attr("from"), config.attr("to"), config.attr("type"))
            == (Some(SOURCE), Some(MARLOWE), Some("set")),
        "{}",
        to_string(config)
    );
    let form = only_child(only_child(config)?)?;
    ensure!(form.is("x", "jabber:x:data") && form.attr("type") == Some("form"));
    let field = |var: &str| {
        form.children()
            .find(|f| f.attr("var") == Some(var))
            .and_then(|f| f.children().next())
            .map(Element::text)
    };
    assert_eq!(
        field("FORM_TYPE").as_deref(),
        Some("http://jabber.org/protocol/muc#roomconfig")
    );
    assert_eq!(field("muc#roomconfig_roomname").as_deref(), Some("A Dark Cave"));
    assert_eq!(
        field("muc#roomconfig_distributed"),
        None,
        "the peer must not distribute it on"
    );
    let subject = peer
        .take("the subject", |s| {
            s.get_child("subject", "jabber:client").is_some()
        })
        .await?;
    same(
        &subject,
        &format!(
            "<message type='groupchat' from='{SOURCE}/firstcrone' to='{MARLOWE}/firstcrone'>\
             <subject>Fire burn</subject></message>"
        )
        .replace("<message ", &id_attr(&subject)),
    )?;
    peer.has_nothing_more().await?;
    asks_for_the_history(&peer, &crone).await?;
    peer.was_spared()?;
    fed.finish().await
}

/// Stanzas of type message and presence need no id: the start of the tag with the one it has.
fn id_attr(stanza: &Element) -> String {
    match stanza.attr("id") {
        Some(_) => format!("<{} id='ID' ", stanza.name()),
        None => format!("<{} ", stanza.name()),
    }
}

async fn asks_for_the_history(peer: &Peer, crone: &Client) -> Result<()> {
    let history = async |id: &str, limits: &str| {
        peer.ask(&format!(
            "<iq to='{SOURCE}' id='{id}' from='{MARLOWE}' type='get'><room xmlns='urn:xmpp:dmuc:0' id='coven'>\
             <history xmlns='http://jabber.org/protocol/muc' {limits}/></room></iq>"
        ))
        .await
    };
    let bodies = async |limits: &str| -> Result<Vec<String>> {
        let id = format!("history-{}", limits.len());
        let said = said(&history(&id, limits).await?)?;
        Ok(said.into_iter().map(|(_, body)| body).collect())
    };
    let all = ["Message 1.", "Message 2.", "Message 3."];
    let result = history("history1", "").await?;
    let messages = only_child(&result)?;
    ensure!(
        messages.is("history", "http://jabber.org/protocol/muc"),
        "{}",
        to_string(&result)
    );
    for (message, text) in messages.children().zip(all) {
        let delay = message.get_child("delay", "urn:xmpp:delay").context("a delay")?;
        let (stamp, id) = (
            delay.attr("stamp").context("a stamp")?,
            message.attr("id").context("an id")?,
        );
        let delay_from = delay.attr("from").context("from whom")?;
        ensure!(delay_from == SOURCE || delay_from == "crone1@shakespeare.lit/desktop");
        same(
            message,
            &format!(
                "<message xmlns='jabber:client' id='{id}' from='{SOURCE}/firstcrone' type='groupchat'>\
                 <body>{text}</body><delay xmlns='urn:xmpp:delay' from='{delay_from}' stamp='{stamp}'/></message>"
            ),
        )?;
    }
    // "Peerhost Acknowledges Receipt of Room History": a result to a result. It is borne in silence.
    peer.send(&format!(
        "<iq to='{SOURCE}' id='history1' from='{MARLOWE}' type='result'/>"
    ))
    .await?;
    peer.has_nothing_more().await?;

    assert_eq!(bodies("").await?, all);
    assert_eq!(bodies("maxstanzas='2'").await?, all[1..]);
    assert_eq!(bodies("maxstanzas='0'").await?, [""; 0]);
    assert_eq!(bodies("maxchars='700'").await?, all[2..]);
    assert_eq!(bodies("maxchars='0'").await?, [""; 0]);
    assert_eq!(bodies("seconds='3600'").await?, all);
    assert_eq!(bodies("seconds='0'").await?, [""; 0]);
    assert_eq!(bodies("since='2002-10-13T23:58:37Z'").await?, all);
    assert_eq!(bodies("since='2999-01-01T00:00:00Z'").await?, [""; 0]);
    // What was said since the room is distributed has a finer clock.
    crone.say_and_see(SOURCE, "Message 4.").await?;
    let result = history("history2", "maxstanzas='1'").await?;
    let last = only_child(&result)?.children().next().context("message 4")?;
    ensure!(body(last).as_deref() == Some("Message 4."), "{}", to_string(last));
    let stamp = last
        .get_child("delay", "urn:xmpp:delay")
        .and_then(|d| d.attr("stamp"))
        .context("its time")?;
    assert_eq!(bodies(&format!("since='{stamp}'")).await?, ["Message 4."]);
    assert_eq!(
        bodies("maxstanzas='3' seconds='3600' maxchars='100000'")
            .await?
            .len(),
        3
    );
    Ok(())
}

on_every_version!(it_is_replicated_to_in_the_xeps_formats);
