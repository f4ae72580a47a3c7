//! The scripted peer is a firsthost: real services hold shadows of its room, told in the XEP's own stanzas.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Element, Federation, Storage, Version, code_list, on_every_version, to_string};

use super::script::{PEER, Peer, ROOMS, same, with_peer};
use crate::support::{from, instances, nicks};

/// The source, and its shadows.
pub const HEATH: &str = "heath@conference.marlowe.lit";
pub const AT_ROOMS: &str = "theroom@rooms.macbeth.lit";
pub const AT_CHAT: &str = "theroom@chat.shakespeare.lit";

const MUC_USER: &str = "http://jabber.org/protocol/muc#user";

/// "Source Sends Room Configuration to Shadow", with these fields.
pub fn config(id: &str, to: &str, fields: &[(&str, &str)]) -> String {
    let fields: String = fields
        .iter()
        .map(|(var, value)| format!("<field var='muc#roomconfig_{var}'><value>{value}</value></field>"))
        .collect();
    format!(
        "<iq from='{HEATH}' id='{id}' to='{to}' type='set'><config xmlns='urn:xmpp:dmuc:0'>\
         <x xmlns='jabber:x:data' type='form'><field type='hidden' var='FORM_TYPE'>\
         <value>http://jabber.org/protocol/muc#roomconfig</value></field>{fields}</x></config></iq>"
    )
}

/// "Source Sends Room Roster to Shadow", with the items of the example.
pub fn roster(id: &str, to: &str, more: &str) -> String {
    format!(
        "<iq from='{HEATH}' id='{id}' to='{to}' type='set'><roster xmlns='urn:xmpp:dmuc:0'>\
         <item affiliation='owner' jid='crone1@shakespeare.lit/desktop' name='foo'/>\
         <item affiliation='admin' jid='wiccarocks@shakespeare.lit/laptop' name='bar'/>\
         <item affiliation='none' jid='hag66@shakespeare.lit/pda' name='baz'/>{more}</roster></iq>"
    )
}

/// "Firsthost Sends Room History to Peerhost".
fn history(id: &str, to: &str) -> String {
    let messages: String = [
        ("foo", "crone1@shakespeare.lit/desktop", "37"),
        ("bar", "wiccarocks@shakespeare.lit/laptop", "43"),
        ("baz", "hag66@shakespeare.lit/pda", "49"),
    ]
    .iter()
    .enumerate()
    .map(|(index, (nick, jid, second))| {
        format!(
            "<message xmlns='jabber:client' from='{HEATH}/{nick}' type='groupchat'><body>Message {}.</body>\
             <delay xmlns='urn:xmpp:delay' from='{jid}' stamp='2002-10-13T23:58:{second}Z'/></message>",
            index + 1
        )
    })
    .collect();
    format!(
        "<iq from='{HEATH}' id='{id}' to='{to}' type='result'>\
         <history xmlns='http://jabber.org/protocol/muc'>{messages}</history></iq>"
    )
}

/// Asks for a shadow, in the XEP's words.
pub async fn replicates(peer: &Peer, service: &str) -> Result<()> {
    let answer = peer
        .ask(&format!(
            "<iq from='{PEER}' id='replicate1' to='{service}' type='set'><replicate xmlns='urn:xmpp:dmuc:0'>\
             <room id='theroom'/></replicate></iq>"
        ))
        .await?;
    same(
        &answer,
        &format!("<iq to='{PEER}' id='replicate1' from='{service}' type='result'/>"),
    )?;
    peer.tells_support(service).await
}

/// Pushes the configuration and the roster, and answers the question for the history.
pub async fn fills(peer: &Peer, shadow: &str, fields: &[(&str, &str)]) -> Result<()> {
    let answer = peer.ask(&config("config1", shadow, fields)).await?;
    same(
        &answer,
        &format!("<iq to='{HEATH}' id='config1' from='{shadow}' type='result'/>"),
    )?;
    let answer = peer.ask(&roster("roster1", shadow, "")).await?;
    same(
        &answer,
        &format!("<iq to='{HEATH}' id='roster1' from='{shadow}' type='result'/>"),
    )?;
    let asked = peer.request("room", shadow).await?;
    same(
        &asked,
        &format!(
            "<iq to='{HEATH}' id='ID' from='{shadow}' type='get'><room xmlns='urn:xmpp:dmuc:0' id='theroom'>\
             <history xmlns='http://jabber.org/protocol/muc'/></room></iq>"
        ),
    )?;
    let id = asked.attr("id").unwrap_or_default();
    peer.send(&history(id, shadow)).await.map(|_| ())
}

/// The item of a presence: affiliation and role.
pub fn ranks(presence: &Element) -> Option<(&str, &str)> {
    let item = presence.get_child("x", MUC_USER)?.get_child("item", MUC_USER)?;
    Some((item.attr("affiliation")?, item.attr("role")?))
}

/// Sections 3.2 to 3.4 from the other side: what a client sees of a room that such a source replicated.
async fn its_room_has_a_shadow_here(version: Version, storage: Storage) -> Result<()> {
    let fed = with_peer("xep-firsthost", version, storage).start().await?;
    let peer = Peer::connect(&fed).await?;
    let witch = fed[1].client("somewitch", "mobile").await?;
    replicates(&peer, ROOMS).await?;
    not_there_yet(&fed, &witch).await?;
    let fields = [
        ("roomname", "A Dark Cave"),
        ("publicroom", "1"),
        ("changesubject", "1"),
        ("whois", "moderators"),
    ];
    fills(&peer, AT_ROOMS, &fields).await?;
    peer.says(HEATH, AT_ROOMS, "foo", "subject1", "<subject>Fire burn</subject>")
        .await?;
    peer.has_nothing_more().await?;

    let items = to_string(&witch.disco_items(ROOMS).await?);
    ensure!(
        items.contains(AT_ROOMS) && items.contains("name='A Dark Cave'"),
        "{items}"
    );
    let info = witch.disco_info(AT_ROOMS).await?;
    let source = info
        .children()
        .filter(|c| c.is("x", "jabber:x:data"))
        .flat_map(Element::children)
        .find(|f| f.attr("var") == Some("dmuc-source"))
        .and_then(|f| f.children().next())
        .map(Element::text);
    assert_eq!(source.as_deref(), Some(HEATH));

    let joined = witch.join(AT_ROOMS, "firstwitch").await?;
    let mut present: Vec<_> = joined
        .presences
        .iter()
        .map(|p| (p.attr("from"), ranks(p)))
        .collect();
    present.sort();
    let nick = |nick: &str| format!("{AT_ROOMS}/{nick}");
    assert_eq!(
        present,
        [
            (Some(&*nick("bar")), Some(("admin", "moderator"))),
            (Some(&*nick("baz")), Some(("none", "participant"))),
            (Some(&*nick("foo")), Some(("owner", "moderator"))),
        ]
    );
    ensure!(
        joined
            .presences
            .iter()
            .all(|p| !to_string(p).contains("jid='crone1")),
        "the room is semi-anonymous"
    );
    assert_eq!(ranks(&joined.self_presence), Some(("none", "participant")));
    assert_eq!(
        joined.history_bodies(),
        ["Message 1.", "Message 2.", "Message 3."]
    );
    for (message, second) in joined.history.iter().zip([37, 43, 49]) {
        let delay = message.get_child("delay", "urn:xmpp:delay").context("a delay")?;
        let stamp = delay.attr("stamp").context("a stamp")?;
        ensure!(
            stamp.starts_with(&format!("2002-10-13T23:58:{second}")),
            "{}",
            to_string(message)
        );
    }
    assert_eq!(joined.subject(), "Fire burn");
    assert_eq!(joined.subject_message.attr("from"), Some(&*nick("foo")));
    let told = peer.take("the witch", from(AT_ROOMS, "firstwitch")).await?;
    assert_eq!(told.attr("to"), Some(&*format!("{HEATH}/firstwitch")));
    assert_eq!(ranks(&told), Some(("none", "participant")));
    peer.has_nothing_more().await?;
    witch.say_and_see(AT_ROOMS, "Of the shadow").await?;
    peer.take("her message", from(AT_ROOMS, "firstwitch")).await?;
    peer.says(HEATH, AT_ROOMS, "baz", "m4", "<body>Message 4.</body>")
        .await?;
    witch.expect_body("Message 4.").await?;
    slips(&peer).await?;
    fed.finish().await
}

/// Before its configuration has come, a shadow is neither joined nor found nor made by somebody else.
async fn not_there_yet(fed: &Federation, witch: &dmuc_testbed::Client) -> Result<()> {
    let refused = witch.try_join(AT_ROOMS, "firstwitch").await?;
    let refusal = refused.err().context("there is nothing to join")?;
    assert_eq!(refusal.condition, "item-not-found");
    let items = to_string(&witch.disco_items(ROOMS).await?);
    ensure!(!items.contains("theroom"), "{items}");
    let info = witch
        .iq_xml(&format!(
            "<iq type='get' to='{AT_ROOMS}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
        ))
        .await?;
    assert_eq!(info.attr("type"), Some("error"), "{}", to_string(&info));
    assert_eq!(instances(fed, 1, AT_ROOMS).await?, [""; 0]);
    Ok(())
}

/// What is wrong in the XEP's examples and harmless.
async fn slips(peer: &Peer) -> Result<()> {
    // "Peerhost Requests Room History", from the source to the shadow as it stands there: the shadow tells what its
    // own people said, the newest first to count.
    let answer = peer
        .ask(&format!(
            "<iq to='{AT_ROOMS}' id='history9' from='{HEATH}' type='get'><room xmlns='urn:xmpp:dmuc:0' id='theroom'>\
             <history xmlns='http://jabber.org/protocol/muc' maxstanzas='1'/></room></iq>"
        ))
        .await?;
    assert_eq!(
        super::script::said(&answer)?,
        [("firstwitch".to_owned(), "Of the shadow".to_owned())]
    );
    // "Peerhost Acknowledges Receipt of Room History": results to nothing, with ids of ours and of its own.
    for id in ["history1", "config1", "dmuc-00000000-0000-4000-8000-000000000000"] {
        peer.send(&format!(
            "<iq to='{AT_ROOMS}' id='{id}' from='{HEATH}' type='result'/>"
        ))
        .await?;
    }
    // "Firsthost Reports New Peerhost", which does not say which.
    let answer = peer
        .ask(&format!(
            "<iq from='{PEER}' id='ph1' to='{ROOMS}' type='set'><peerhost xmlns='urn:xmpp:dmuc:0'>\
             <room id='theroom'/></peerhost></iq>"
        ))
        .await?;
    same(
        &answer,
        &format!("<iq from='{ROOMS}' id='ph1' to='{PEER}' type='result'/>"),
    )?;
    // A presence without the muc#user element is a presence all the same; so is one with nothing in its item.
    peer.send(&format!(
        "<presence from='{HEATH}/hecate' to='{AT_ROOMS}/hecate'/>"
    ))
    .await?;
    peer.enters(HEATH, AT_ROOMS, "lennox", "").await?;
    // It starts over: acknowledged as before.
    let answer = peer
        .ask(&format!(
            "<iq from='{PEER}' id='replicate1' to='{ROOMS}' type='set'><replicate xmlns='urn:xmpp:dmuc:0'>\
             <room id='theroom'/></replicate></iq>"
        ))
        .await?;
    assert_eq!(answer.attr("type"), Some("result"), "{}", to_string(&answer));
    peer.was_spared()
}

/// Two real shadows of one room of its: they know each other as soon as they are told, and everything is said once.
async fn its_two_shadows_talk_to_each_other(version: Version, storage: Storage) -> Result<()> {
    let fed = with_peer("xep-mesh", version, storage).start().await?;
    let peer = Peer::connect(&fed).await?;
    for (service, shadow) in [(ROOMS, AT_ROOMS), (super::script::CHAT, AT_CHAT)] {
        replicates(&peer, service).await?;
        fills(
            &peer,
            shadow,
            &[("roomname", "A Dark Cave"), ("changesubject", "1")],
        )
        .await?;
    }
    let witch = fed[1].client("somewitch", "mobile").await?;
    witch.join(AT_ROOMS, "firstwitch").await?;
    peer.take("the witch", from(AT_ROOMS, "firstwitch")).await?;
    for (service, other) in [(ROOMS, super::script::CHAT), (super::script::CHAT, ROOMS)] {
        let answer = peer
            .ask(&format!(
                "<iq from='{PEER}' id='ph-{other}' to='{service}' type='set'>\
                 <peerhost xmlns='urn:xmpp:dmuc:0' jid='{other}'><room id='theroom'/></peerhost></iq>"
            ))
            .await?;
        assert_eq!(answer.attr("type"), Some("result"), "{}", to_string(&answer));
    }
    let all = ["bar", "baz", "firstwitch", "foo"];
    for (server, room) in [(0, AT_CHAT), (1, AT_ROOMS)] {
        crate::support::eventually(&format!("{room} has everybody"), || async {
            Ok(nicks(&fed, server, room).await? == all)
        })
        .await?;
    }
    let crone = fed[0].client("crone2", "desktop").await?;
    let joined = crone.join(AT_CHAT, "secondcrone").await?;
    assert_eq!(
        joined.history_bodies(),
        ["Message 1.", "Message 2.", "Message 3."]
    );
    peer.take("the crone", from(AT_CHAT, "secondcrone")).await?;
    witch.expect("the crone", from(AT_ROOMS, "secondcrone")).await?;
    for (speaker, room, nick, text) in [
        (&witch, AT_ROOMS, "firstwitch", "When shall we three meet again"),
        (&crone, AT_CHAT, "secondcrone", "When the hurlyburly's done"),
    ] {
        let id = speaker.say(room, text).await?;
        let copy = peer
            .take(text, |s| dmuc_testbed::body(s).as_deref() == Some(text))
            .await?;
        same(
            &copy,
            &format!(
                "<message from='{room}/{nick}' id='{id}' to='{HEATH}/{nick}' type='groupchat'><body>{}</body></message>",
                text.replace('\'', "&apos;")
            ),
        )?;
        witch.expect_body(text).await?;
        crone.expect_body(text).await?;
    }
    for room in [AT_ROOMS, AT_CHAT] {
        peer.says(HEATH, room, "foo", "m9", "<body>Message 4.</body>")
            .await?;
    }
    let mut ids = Vec::new();
    for (client, room) in [(&witch, AT_ROOMS), (&crone, AT_CHAT)] {
        let message = client.expect_body("Message 4.").await?;
        let id = message.children().find(|c| c.is("stanza-id", "urn:xmpp:sid:0"));
        ensure!(
            id.and_then(|c| c.attr("by")) == Some(room),
            "{}",
            to_string(&message)
        );
        ids.extend(id.and_then(|c| c.attr("id").map(str::to_owned)));
    }
    ensure!(ids.len() == 2 && ids[0] == ids[1], "{ids:?}");
    peer.has_nothing_more().await?;
    fed.settle(1).await?;
    for client in [&witch, &crone] {
        client.sync().await?;
        let twice = client.drain_matching(|s| dmuc_testbed::body(s).is_some());
        ensure!(
            twice.is_empty(),
            "{:?}",
            twice.iter().map(to_string).collect::<Vec<_>>()
        );
    }
    // Somebody leaves: everybody else sees it, and the peer once per shadow that somebody was in.
    crone.leave(AT_CHAT, "secondcrone").await?;
    peer.take("the crone leaving", from(AT_CHAT, "secondcrone"))
        .await?;
    let gone = witch
        .expect("the crone leaving", |s| {
            from(AT_ROOMS, "secondcrone")(s) && s.attr("type") == Some("unavailable")
        })
        .await?;
    ensure!(code_list(&gone).is_empty(), "{}", to_string(&gone));
    peer.has_nothing_more().await?;
    fed.finish().await
}

on_every_version!(its_room_has_a_shadow_here, its_two_shadows_talk_to_each_other);
