//! Life in a room whose source is at a peer that speaks only the XEP's text.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{
    Client, Element, Federation, Storage, Version, body, code_list, error_condition, on_every_version,
    to_string,
};

use super::firsthost::{AT_ROOMS, HEATH, config, fills, ranks, replicates, roster};
use super::script::{Peer, ROOMS, with_peer};
use crate::support::from;

const MUC_USER: &str = "http://jabber.org/protocol/muc#user";
const MUC_OWNER: &str = "http://jabber.org/protocol/muc#owner";

/// The shadow with two people in it.
struct Shadow {
    fed: Federation,
    peer: Peer,
    witch: Client,
    hecate: Client,
}

impl Shadow {
    async fn raise(
        label: &str,
        version: Version,
        storage: Storage,
        fields: &[(&str, &str)],
    ) -> Result<Shadow> {
        let fed = with_peer(label, version, storage).start().await?;
        let peer = Peer::connect(&fed).await?;
        replicates(&peer, ROOMS).await?;
        fills(&peer, AT_ROOMS, fields).await?;
        let witch = fed[1].client("somewitch", "mobile").await?;
        let hecate = fed[1].client("hecate", "tower").await?;
        for (client, nick) in [(&witch, "firstwitch"), (&hecate, "hecate")] {
            client.join(AT_ROOMS, nick).await?;
            peer.take(nick, from(AT_ROOMS, nick)).await?;
        }
        witch.expect("hecate", from(AT_ROOMS, "hecate")).await?;
        Ok(Shadow {
            fed,
            peer,
            witch,
            hecate,
        })
    }

    async fn ends(self) -> Result<()> {
        self.peer.has_nothing_more().await?;
        self.fed.finish().await
    }
}

fn subject(text: &str) -> impl Fn(&Element) -> bool + use<'_> {
    move |s| {
        s.is("message", "jabber:client")
            && s.get_child("subject", "jabber:client")
                .is_some_and(|s| s.text() == text)
    }
}

/// Messages, subjects, private messages and IQs between its occupants and ours.
async fn its_people_and_ours_talk(version: Version, storage: Storage) -> Result<()> {
    let shadow = Shadow::raise("xep-heath", version, storage, &[("changesubject", "1")]).await?;
    let Shadow {
        peer, witch, hecate, ..
    } = &shadow;
    peer.says(HEATH, AT_ROOMS, "baz", "m4", "<body>Message 4.</body>")
        .await?;
    for client in [witch, hecate] {
        let message = client.expect_body("Message 4.").await?;
        assert_eq!(message.attr("from"), Some(&*format!("{AT_ROOMS}/baz")));
        assert_eq!(message.attr("id"), Some("m4"));
    }
    // A subject is wished for here and decided there.
    witch.set_subject(AT_ROOMS, "Double, double").await?;
    let wish = peer
        .take("the wish for a subject", subject("Double, double"))
        .await?;
    assert_eq!(wish.attr("from"), Some(&*format!("{AT_ROOMS}/firstwitch")));
    assert_eq!(wish.attr("to"), Some(&*format!("{HEATH}/firstwitch")));
    witch.sync().await?;
    ensure!(
        witch.drain_matching(subject("Double, double")).is_empty(),
        "the source has not decided yet"
    );
    peer.says(
        HEATH,
        AT_ROOMS,
        "firstwitch",
        "s1",
        "<subject>Double, double</subject>",
    )
    .await?;
    for client in [witch, hecate] {
        let told = client.expect("the subject", subject("Double, double")).await?;
        assert_eq!(told.attr("from"), Some(&*format!("{AT_ROOMS}/firstwitch")));
    }
    // The room's own, without a nick.
    peer.send(&format!(
        "<message from='{HEATH}' to='{AT_ROOMS}' type='groupchat'><subject>A desert place</subject></message>"
    ))
    .await?;
    let told = hecate.expect("the subject", subject("A desert place")).await?;
    assert_eq!(told.attr("from"), Some(AT_ROOMS));
    whisper(peer, witch).await?;
    for client in [witch, hecate] {
        client.sync().await?;
        let more = client.drain_matching(|s| body(s).is_some());
        ensure!(
            more.is_empty(),
            "{:?}",
            more.iter().map(to_string).collect::<Vec<_>>()
        );
    }
    shadow.ends().await
}

async fn whisper(peer: &Peer, witch: &Client) -> Result<()> {
    witch
        .say_privately(AT_ROOMS, "foo", "Is there anybody there?")
        .await?;
    let whisper = peer
        .take("a private message", |s| {
            body(s).as_deref() == Some("Is there anybody there?")
        })
        .await?;
    assert_eq!(whisper.attr("type"), Some("chat"));
    assert_eq!(whisper.attr("from"), Some(&*format!("{AT_ROOMS}/firstwitch")));
    assert_eq!(whisper.attr("to"), Some(&*format!("{HEATH}/foo")));
    peer.send(&format!(
        "<message type='chat' from='{HEATH}/foo' to='{AT_ROOMS}/firstwitch'><body>I come, Graymalkin!</body></message>"
    ))
    .await?;
    let whisper = witch.expect_body("I come, Graymalkin!").await?;
    assert_eq!(whisper.attr("type"), Some("chat"));
    assert_eq!(whisper.attr("from"), Some(&*format!("{AT_ROOMS}/foo")));
    let version = "<query xmlns='jabber:iq:version'/>";
    let asked = witch
        .send_xml(&format!("<iq type='get' to='{AT_ROOMS}/foo'>{version}</iq>"))
        .await?;
    let question = peer
        .take("a question", |s| {
            s.get_child("query", "jabber:iq:version").is_some()
        })
        .await?;
    assert_eq!(question.attr("to"), Some(&*format!("{HEATH}/foo")));
    peer.refuse(&question, "cancel", "service-unavailable").await?;
    let answer = witch
        .expect("the answer", |s| s.attr("id") == Some(&*asked))
        .await?;
    assert_eq!(error_condition(&answer).as_deref(), Some("service-unavailable"));
    assert_eq!(answer.attr("from"), Some(&*format!("{AT_ROOMS}/foo")));
    let answer = peer
        .ask(&format!(
            "<iq type='get' from='{HEATH}/foo' to='{AT_ROOMS}/firstwitch'>{version}</iq>"
        ))
        .await?;
    assert_eq!(answer.attr("type"), Some("result"), "{}", to_string(&answer));
    Ok(())
}

/// Settings and affiliations are the source's: pushed anew as a whole, and followed.
async fn its_settings_are_followed(version: Version, storage: Storage) -> Result<()> {
    let shadow = Shadow::raise("xep-settings", version, storage, &[("roomname", "A Dark Cave")]).await?;
    let Shadow {
        peer, witch, hecate, ..
    } = &shadow;
    let fields = [
        ("roomname", "A Lonely Heath"),
        ("moderatedroom", "1"),
        ("membersonly", "0"),
    ];
    let answer = peer.ask(&config("config2", AT_ROOMS, &fields)).await?;
    assert_eq!(answer.attr("type"), Some("result"));
    witch
        .expect("the news of the configuration", |s| {
            s.is("message", "jabber:client") && code_list(s).contains(&104)
        })
        .await?;
    let info = to_string(&witch.disco_info(AT_ROOMS).await?);
    ensure!(
        info.contains("A Lonely Heath") && info.contains("muc_moderated"),
        "{info}"
    );
    // Nobody here has rights that the source has not given.
    let form = witch
        .iq_xml(&format!(
            "<iq type='get' to='{AT_ROOMS}'><query xmlns='{MUC_OWNER}'/></iq>"
        ))
        .await?;
    assert_eq!(error_condition(&form).as_deref(), Some("forbidden"));
    let lists = "<item affiliation='owner' jid='somewitch@macbeth.lit'/>\
                 <item affiliation='outcast' jid='hecate@macbeth.lit'/>";
    let answer = peer.ask(&roster("roster2", AT_ROOMS, lists)).await?;
    assert_eq!(answer.attr("type"), Some("result"));
    let raised = witch
        .expect("the new rank", |s| {
            from(AT_ROOMS, "firstwitch")(s) && ranks(s) == Some(("owner", "moderator"))
        })
        .await?;
    ensure!(code_list(&raised).contains(&110), "{}", to_string(&raised));
    let banned = hecate
        .expect("the ban", |s| {
            from(AT_ROOMS, "hecate")(s) && s.attr("type") == Some("unavailable")
        })
        .await?;
    ensure!(code_list(&banned).contains(&301), "{}", to_string(&banned));
    let told = peer
        .take("the new rank", |s| {
            from(AT_ROOMS, "firstwitch")(s) && ranks(s) == Some(("owner", "moderator"))
        })
        .await?;
    assert_eq!(told.attr("to"), Some(&*format!("{HEATH}/firstwitch")));
    peer.take("the ban's effect", |s| {
        from(AT_ROOMS, "hecate")(s) && s.attr("type") == Some("unavailable")
    })
    .await?;
    let refused = hecate.try_join(AT_ROOMS, "hecate").await?;
    assert_eq!(refused.err().context("banned")?.condition, "forbidden");
    // What an owner wants done goes to the source, which has no word for it: the owner is told.
    let refused = witch
        .iq_xml(&format!(
            "<iq type='set' to='{AT_ROOMS}'><query xmlns='{MUC_OWNER}'><x xmlns='jabber:x:data' type='submit'>\
             <field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>\
             <field var='muc#roomconfig_roomname'><value>Mine</value></field></x></query></iq>"
        ))
        .await?;
    assert_eq!(
        error_condition(&refused).as_deref(),
        Some("feature-not-implemented")
    );
    let info = to_string(&witch.disco_info(AT_ROOMS).await?);
    ensure!(info.contains("A Lonely Heath"), "{info}");
    // An entry that is missing from the list is none, and somebody missing from the roster has left.
    let answer = peer
        .ask(&format!(
            "<iq from='{HEATH}' id='roster3' to='{AT_ROOMS}' type='set'><roster xmlns='urn:xmpp:dmuc:0'>\
             <item affiliation='owner' jid='crone1@shakespeare.lit/desktop' name='foo'/></roster></iq>"
        ))
        .await?;
    assert_eq!(answer.attr("type"), Some("result"));
    for nick in ["bar", "baz"] {
        witch
            .expect(&format!("{nick} leaving"), |s| {
                from(AT_ROOMS, nick)(s) && s.attr("type") == Some("unavailable")
            })
            .await?;
    }
    let lowered = peer
        .take("the old rank", |s| {
            from(AT_ROOMS, "firstwitch")(s) && ranks(s).is_some_and(|r| r.0 == "none")
        })
        .await?;
    ensure!(lowered.attr("type").is_none(), "{}", to_string(&lowered));
    let back = hecate.join(AT_ROOMS, "hecate").await?;
    // The room is moderated now.
    assert_eq!(ranks(&back.self_presence), Some(("none", "visitor")));
    let told = peer.take("hecate", from(AT_ROOMS, "hecate")).await?;
    assert_eq!(ranks(&told), Some(("none", "visitor")));
    shadow.ends().await
}

/// Changes of nick, clashes of nicks and the end.
async fn its_nicks_come_first(version: Version, storage: Storage) -> Result<()> {
    let shadow = Shadow::raise("xep-nicks", version, storage, &[]).await?;
    let Shadow {
        peer, witch, hecate, ..
    } = &shadow;
    peer.send(&format!(
        "<presence type='unavailable' from='{HEATH}/baz' to='{AT_ROOMS}/baz'><x xmlns='{MUC_USER}'>\
         <item affiliation='none' role='participant' nick='banquo'/><status code='303'/></x></presence>"
    ))
    .await?;
    peer.enters(HEATH, AT_ROOMS, "banquo", "affiliation='none' role='participant'")
        .await?;
    let gone = witch.expect("the old nick", from(AT_ROOMS, "baz")).await?;
    ensure!(code_list(&gone).contains(&303), "{}", to_string(&gone));
    witch.expect("the new nick", from(AT_ROOMS, "banquo")).await?;
    // Whose nick is taken at the source gets another one, and stays.
    peer.enters(HEATH, AT_ROOMS, "hecate", "affiliation='none' role='participant'")
        .await?;
    let renamed = hecate
        .expect("the forced change of nick", |s| {
            from(AT_ROOMS, "hecate")(s) && code_list(s).contains(&303)
        })
        .await?;
    let new = renamed
        .get_child("x", MUC_USER)
        .and_then(|x| x.get_child("item", MUC_USER))
        .and_then(|item| item.attr("nick"))
        .context("the new nick")?
        .to_owned();
    let own = hecate
        .expect("the own presence", |s| {
            from(AT_ROOMS, &new)(s) && code_list(s).contains(&110)
        })
        .await?;
    ensure!(code_list(&own).contains(&210), "{}", to_string(&own));
    witch
        .expect("the other hecate", |s| {
            from(AT_ROOMS, "hecate")(s) && s.attr("type").is_none() && ranks(s).is_some()
        })
        .await?;
    let old = peer
        .take("the old nick leaving", from(AT_ROOMS, "hecate"))
        .await?;
    assert_eq!(old.attr("type"), Some("unavailable"));
    peer.take("the new nick", from(AT_ROOMS, &new)).await?;
    assert_eq!(hecate.self_ping(AT_ROOMS, &new).await?, None);
    // Everybody there leaves. That is no end of the room: it goes on here.
    for nick in ["foo", "bar", "banquo", "hecate"] {
        peer.leaves(HEATH, AT_ROOMS, nick).await?;
        witch
            .expect(&format!("{nick} leaving"), |s| {
                from(AT_ROOMS, nick)(s)
                    && s.attr("type") == Some("unavailable")
                    && !code_list(s).contains(&303)
            })
            .await?;
    }
    witch.say_and_see(AT_ROOMS, "Alone").await?;
    peer.take("the message", |s| body(s).as_deref() == Some("Alone"))
        .await?;
    hecate.expect_body("Alone").await?;
    shadow.ends().await
}

on_every_version!(
    its_people_and_ours_talk,
    its_settings_are_followed,
    its_nicks_come_first
);
