//! Private messages and requests between occupants of different instances, every way.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use dmuc_testbed::{
    Element, Federation, Server, Storage, Version, body, error_condition, on_every_version, to_string,
};

use crate::stage::{
    CLIENT, MUC_USER, Person, clean, company, gathered, occupant_id, once_from, quiet, raise, traffic,
};

/// Every ordered pair of different people: source to shadow, shadow to source, shadow to shadow.
fn pairs(people: &[Person; 3]) -> Vec<(&Person, &Person)> {
    let all = people
        .iter()
        .flat_map(|from| people.iter().map(move |to| (from, to)));
    all.filter(|(from, to)| from.nick != to.nick).collect()
}

async fn private_messages_go_from_home_to_home(fed: &Federation) -> Result<()> {
    let people = company(fed, "coven", &[]).await?;
    for (from, to) in pairs(&people) {
        fed.reset_stats().await?;
        let text = format!("{} whispers <&> to {}", from.nick, to.nick);
        let id = from.say_privately(&from.room, &to.nick, &text).await?;
        let heard = to.expect_body(&text).await?;
        assert_eq!(heard.attr("from"), Some(&*to.sees(&from.nick)));
        assert_eq!(heard.attr("to"), Some(to.jid()));
        assert_eq!(heard.attr("type"), Some("chat"));
        assert_eq!(heard.attr("id"), Some(&*id));
        assert_eq!(
            heard.children().filter(|c| c.is("x", MUC_USER)).count(),
            1,
            "{}",
            to_string(&heard)
        );
        assert_eq!(occupant_id(&heard)?, occupant_id(&from.joined.self_presence)?);
        clean(&heard)?;
        quiet(fed, &people.each_ref()).await?;
        for person in &people {
            assert_eq!(person.take_all()?.len(), 0, "nobody else hears it");
        }
        let messages: u64 = traffic(fed).await?.values().map(|(messages, _)| messages).sum();
        let direct = traffic(fed).await?[&(from.server, to.server)];
        assert_eq!((messages, direct), (1, (1, 0)));
    }
    for person in &people {
        assert_eq!(
            person.mam_all(&person.room).await?.len(),
            0,
            "whispers are not archived"
        );
        let late = fed[person.server].client("late", "coven").await?;
        let joined = late.join(&person.room, "late").await?;
        assert_eq!(joined.history_bodies(), [""; 0]);
        late.leave(&person.room, "late").await?;
        gathered(fed, "coven", &["faust", "firstcrone", "firstwitch"]).await?;
    }
    Ok(())
}

/// To somebody who has left, and the answer of a client that does not take it.
/// Returns where the logs were when everybody was there.
async fn a_private_message_that_cannot_arrive_comes_back(
    fed: &Federation,
) -> Result<BTreeMap<String, usize>> {
    let people = company(fed, "moor", &[]).await?;
    let mark = |server: &Arc<Server>| (server.domain().to_owned(), server.log().mark());
    let marks = fed.servers().iter().map(mark).collect();
    let [crone, witch, faust] = people.each_ref();
    for (from, to, condition) in [
        (crone, witch, "not-acceptable"),
        (crone, faust, "forbidden"),
        (witch, crone, "forbidden"),
        (witch, faust, "forbidden"),
    ] {
        let text = format!("Do you take this, {}?", to.nick);
        let id = from.say_privately(&from.room, &to.nick, &text).await?;
        let heard = to.expect_body(&text).await?;
        let answer_to = heard.attr("from").context("from")?;
        to.send_xml(&format!(
            "<message type='error' id='{id}' to='{answer_to}'><error type='cancel'>\
             <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
        ))
        .await?;
        let error = from
            .expect("the refusal", |s| {
                s.attr("type") == Some("error") && s.attr("id") == Some(&*id)
            })
            .await?;
        assert_eq!(error_condition(&error).as_deref(), Some(condition));
        assert_eq!(error.attr("from"), Some(&*from.sees(&to.nick)));
    }
    faust.leave(&faust.room, "faust").await?;
    gathered(fed, "moor", &["firstcrone", "firstwitch"]).await?;
    for from in [crone, witch] {
        let id = from.say_privately(&from.room, "faust", "Still there?").await?;
        let error = from
            .expect("the error", |s| {
                s.attr("type") == Some("error") && s.attr("id") == Some(&*id)
            })
            .await?;
        assert_eq!(error_condition(&error).as_deref(), Some("item-not-found"));
    }
    gathered(fed, "moor", &["firstcrone", "firstwitch"]).await?;
    Ok(marks)
}

async fn ask(from: &Person, to: &Person, kind: &str, payload: &str) -> Result<Element> {
    let jid = from.sees(&to.nick);
    let answer = from
        .iq_xml(&format!("<iq type='{kind}' to='{jid}'>{payload}</iq>"))
        .await?;
    assert_eq!(answer.attr("from"), Some(&*jid), "{}", to_string(&answer));
    clean(&answer)?;
    Ok(answer)
}

/// As much as an avatar usually has, in base64: somebody's own.
fn avatar_of(person: &Person) -> String {
    let nick: String = person.nick.bytes().map(|b| char::from(b'A' + b % 26)).collect();
    nick.repeat(24_000 / nick.len()).chars().take(20_000).collect()
}

/// What clients ask each other, answered by the client or its account at its home.
async fn requests_are_answered_by_the_home(fed: &Federation) -> Result<()> {
    let people = company(fed, "tower", &[]).await?;
    for person in &people {
        let vcard = format!(
            "<vCard xmlns='vcard-temp'><FN>{} herself</FN></vCard>",
            person.nick
        );
        person.iq_ok(&format!("<iq type='set'>{vcard}</iq>")).await?;
        let data = "<metadata xmlns='urn:xmpp:avatar:metadata'><info id='111f4b3c50d7b0df729d299bc6f8e9ef9066971f' \
            bytes='1' type='image/png'/></metadata>";
        person
            .iq_ok(&format!(
                "<iq type='set'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:avatar:metadata'>\
                 <item id='111f4b3c50d7b0df729d299bc6f8e9ef9066971f'>{data}</item></publish><publish-options>\
                 <x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
                 <value>http://jabber.org/protocol/pubsub#publish-options</value></field>\
                 <field var='pubsub#access_model'><value>open</value></field></x></publish-options></pubsub></iq>"
            ))
            .await?;
    }
    for person in &people {
        let image = format!("<data xmlns='urn:xmpp:avatar:data'>{}</data>", avatar_of(person));
        person
            .iq_ok(&format!(
                "<iq type='set'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:avatar:data'>\
                 <item id='111f4b3c50d7b0df729d299bc6f8e9ef9066971f'>{image}</item></publish><publish-options>\
                 <x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
                 <value>http://jabber.org/protocol/pubsub#publish-options</value></field>\
                 <field var='pubsub#access_model'><value>open</value></field></x></publish-options></pubsub></iq>"
            ))
            .await?;
    }
    quiet(fed, &people.each_ref()).await?;
    for person in &people {
        person.take_all()?;
    }
    for (from, to) in pairs(&people) {
        let pong = ask(from, to, "get", "<ping xmlns='urn:xmpp:ping'/>").await?;
        assert_eq!(pong.attr("type"), Some("result"));
        let version = ask(from, to, "get", "<query xmlns='jabber:iq:version'/>").await?;
        let name = version
            .get_child("query", "jabber:iq:version")
            .context("a version")?;
        assert_eq!(
            name.get_child("name", "jabber:iq:version")
                .map(Element::text)
                .as_deref(),
            Some("testbed")
        );
        let info = ask(
            from,
            to,
            "get",
            "<query xmlns='http://jabber.org/protocol/disco#info'/>",
        )
        .await?;
        assert!(
            to_string(&info).contains("name='testbed'"),
            "{}",
            to_string(&info)
        );
        let vcard = ask(from, to, "get", "<vCard xmlns='vcard-temp'/>").await?;
        assert!(
            to_string(&vcard).contains(&format!("<FN>{} herself</FN>", to.nick)),
            "{}",
            to_string(&vcard)
        );
        let avatar = ask(
            from,
            to,
            "get",
            "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:avatar:metadata'/></pubsub>",
        )
        .await?;
        assert!(
            to_string(&avatar).contains("111f4b3c"),
            "{} to {}: {}",
            from.nick,
            to.nick,
            to_string(&avatar)
        );

        let image = ask(
            from,
            to,
            "get",
            "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:avatar:data'>\
             <item id='111f4b3c50d7b0df729d299bc6f8e9ef9066971f'/></items></pubsub>",
        )
        .await?;
        assert!(
            to_string(&image).contains(&avatar_of(to)),
            "{} to {}",
            from.nick,
            to.nick
        );
        let mark = to.mark();
        let (idle, ()) = tokio::try_join!(ask(from, to, "get", "<query xmlns='jabber:iq:last'/>"), async {
            let is_it = |s: &Element| s.get_child("query", "jabber:iq:last").is_some();
            let asked = to.expect_since(mark, "the question", is_it).await?;
            let id = asked.attr("id").context("id")?;
            let back = asked.attr("from").context("from")?;
            to.send_xml(&format!(
                "<iq type='result' id='{id}' to='{back}'><query xmlns='jabber:iq:last' seconds='903'/></iq>"
            ))
            .await?;
            Ok(())
        })?;
        let idle = idle.get_child("query", "jabber:iq:last");
        assert_eq!(idle.and_then(|query| query.attr("seconds")), Some("903"));

        // What the client does not know: the error is the client's, and comes back.
        let mark = to.mark();
        let (answer, ()) = tokio::try_join!(
            ask(
                from,
                to,
                "set",
                "<unknown xmlns='urn:x:unknown' a='1'><deep>x</deep></unknown>"
            ),
            async {
                let asked = to
                    .expect_since(mark, "the question", |s| {
                        s.get_child("unknown", "urn:x:unknown").is_some()
                    })
                    .await?;
                assert_eq!(asked.attr("from"), Some(&*to.sees(&from.nick)));
                assert!(to_string(&asked).contains("<deep>x</deep>"));
                let (id, back) = (
                    asked.attr("id").context("id")?,
                    asked.attr("from").context("from")?,
                );
                to.send_xml(&format!(
                    "<iq type='error' id='{id}' to='{back}'><error type='cancel'>\
                     <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
                ))
                .await?;
                Ok(())
            }
        )?;
        assert_eq!(error_condition(&answer).as_deref(), Some("service-unavailable"));
    }
    // Somebody who is not there, and somebody who is not in the room.
    let nobody = people[1]
        .iq_xml(&format!(
            "<iq type='get' to='{}'><ping xmlns='urn:xmpp:ping'/></iq>",
            people[1].sees("nobody")
        ))
        .await?;
    assert_eq!(error_condition(&nobody).as_deref(), Some("item-not-found"));
    let outside = fed[1].client("outside", "tower").await?;
    let refused = outside
        .iq_xml(&format!(
            "<iq type='get' to='{}'><ping xmlns='urn:xmpp:ping'/></iq>",
            people[1].sees("firstcrone")
        ))
        .await?;
    assert_eq!(error_condition(&refused).as_deref(), Some("not-acceptable"));
    gathered(fed, "tower", &["faust", "firstcrone", "firstwitch"]).await?;
    for person in &people {
        assert_eq!(person.take_all()?.iter().filter(|s| body(s).is_some()).count(), 0);
    }
    Ok(())
}

/// A chat state in private, and one for the room: passed on, never kept.
async fn chat_states_are_not_kept(fed: &Federation) -> Result<()> {
    let people = company(fed, "lake", &[]).await?;
    let [_, witch, faust] = people.each_ref();
    let state = "<composing xmlns='http://jabber.org/protocol/chatstates'/>";
    let is_state = |s: &Element| {
        s.get_child("composing", "http://jabber.org/protocol/chatstates")
            .is_some()
    };
    fed.reset_stats().await?;
    witch.sends(state).await?;
    for viewer in &people {
        viewer.expect("a chat state", is_state).await?;
    }
    quiet(fed, &people.each_ref()).await?;
    assert_eq!(traffic(fed).await?, once_from(fed, 1, (1, 0)));
    witch
        .send_xml(&format!(
            "<message type='chat' to='{}'>{state}</message>",
            witch.sees("faust")
        ))
        .await?;
    let private = faust.expect("a chat state", is_state).await?;
    assert_eq!(private.attr("type"), Some("chat"));
    assert!(private.get_child("body", CLIENT).is_none());
    for person in &people {
        assert_eq!(person.mam_all(&person.room).await?.len(), 0);
    }
    Ok(())
}

async fn private(version: Version, storage: Storage) -> Result<()> {
    let fed = raise("private", version, storage).await?;
    private_messages_go_from_home_to_home(&fed).await?;
    let marks = a_private_message_that_cannot_arrive_comes_back(&fed).await?;
    requests_are_answered_by_the_home(&fed).await?;
    chat_states_are_not_kept(&fed).await?;
    // What one client answered another said nothing of the instances: they had nothing to repair.
    for server in fed.servers() {
        let repairs = server.log().lines_since(marks[server.domain()]).into_iter();
        let repairs: Vec<String> = repairs
            .filter(|line| {
                line.contains("Sending[s2sout]: <iq") && line.contains("moor@") && line.contains("'dmuc-")
            })
            .collect();
        assert_eq!(repairs, [""; 0]);
    }
    fed.finish().await
}

on_every_version! {
    fn occupants_of_different_instances_reach_each_other(version, storage) {
        private(version, storage).await
    }
}
