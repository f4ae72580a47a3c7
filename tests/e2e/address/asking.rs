//! What is asked of a room and of its occupants is answered in the address that was asked, and as by any other.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Client, Storage, Version, body, error_condition, on_every_version, to_string};

use super::scene::{A, Cast, Guest, H, both_ask, cast, crown, servers, streams_of_users};
use crate::asking::submit;

const ADMIN: &str = "http://jabber.org/protocol/muc#admin";
const OWNER: &str = "http://jabber.org/protocol/muc#owner";
const INFO: &str = "http://jabber.org/protocol/disco#info";
const ITEMS: &str = "http://jabber.org/protocol/disco#items";
const MAM: &str = "urn:xmpp:mam:2";

async fn discover(cast: &Cast, before: [&Client; 2]) -> Result<()> {
    let (witch, lennox) = (&cast.witch, &cast.lennox);
    for query in [
        format!("<query xmlns='{INFO}'/>"),
        format!("<query xmlns='{ITEMS}'/>"),
        format!("<query xmlns='{INFO}' node='x-roomuser-item'/>"),
        format!("<query xmlns='{INFO}' node='nowhere'/>"),
    ] {
        let xml = format!("<iq type='get' to='@ROOM@'>{query}</iq>");
        both_ask(witch, lennox, &xml).await?;
        for (client, address, other) in [(before[0], A, H), (before[1], H, A)] {
            let answer = to_string(&client.iq_xml(&xml.replace("@ROOM@", address)).await?);
            ensure!(answer.contains(&format!("from='{address}'")), "{answer}");
            ensure!(address == H || !answer.contains(other), "{answer}");
        }
    }
    Ok(())
}

async fn archive(cast: &Cast, before: &Client) -> Result<()> {
    let (witch, lennox) = (&cast.witch, &cast.lennox);
    both_ask(
        witch,
        lennox,
        &format!("<iq type='get' to='@ROOM@'><query xmlns='{MAM}'/></iq>"),
    )
    .await?;
    both_ask(
        witch,
        lennox,
        &format!("<iq type='get' to='@ROOM@'><prefs xmlns='{MAM}'/></iq>"),
    )
    .await?;
    let unknown = "<set xmlns='http://jabber.org/protocol/rsm'><after>nothing</after></set>";
    both_ask(
        witch,
        lennox,
        &format!("<iq type='set' to='@ROOM@'><query xmlns='{MAM}'>{unknown}</query></iq>"),
    )
    .await?;
    for (client, address) in [(&witch.client, A), (&lennox.client, H), (before, A)] {
        let all = client.mam_pages(address, 1).await?;
        ensure!(
            all.iter()
                .any(|item| body(&item.message).as_deref() == Some("hail")),
            "{all:?}"
        );
        for item in &all {
            let text = to_string(&item.message);
            ensure!(text.contains(&format!("from='{address}/")), "{text}");
            ensure!(!text.contains(if address == A { H } else { A }), "{text}");
        }
        client.sync().await?;
    }
    witch.all().await?;
    lennox.all().await?;
    Ok(())
}

async fn administer(cast: &Cast) -> Result<()> {
    let (witch, lennox) = (&cast.witch, &cast.lennox);
    for item in [
        "<item affiliation='owner'/>",
        "<item affiliation='none'/>",
        "<item role='moderator'/>",
        "<item/>",
    ] {
        let xml = format!("<iq type='get' to='@ROOM@'><query xmlns='{ADMIN}'>{item}</query></iq>");
        both_ask(witch, lennox, &xml).await?;
    }
    for item in [
        "<item affiliation='member' jid='banquo@macbeth.lit'/>",
        "<item affiliation='lord' jid='banquo@macbeth.lit'/>",
        "<item role='moderator' nick='nobody'/>",
        "<item affiliation='member' jid='@@'/>",
    ] {
        let xml = format!("<iq type='set' to='@ROOM@'><query xmlns='{ADMIN}'>{item}</query></iq>");
        both_ask(witch, lennox, &xml).await?;
    }
    for guest in [witch, lennox] {
        // The form of a shadow says which room is the source.
        let form = guest.room_form(guest.address).await?;
        let title = form
            .get_child("title", "jabber:x:data")
            .map(dmuc_testbed::Element::text);
        assert_eq!(title, Some(format!("Configuration for {}", guest.address)));
    }
    for guest in [witch, lennox] {
        let done = submit(guest, guest.address, &[("muc#roomconfig_roomname", guest.nick)]).await?;
        assert_eq!(done.attr("from"), Some(guest.address));
        ensure!(error_condition(&done).is_none(), "{}", to_string(&done));
        for other in [witch, lennox] {
            other
                .hears("", "that the configuration changed", |s| {
                    dmuc_testbed::code_list(s).contains(&104)
                })
                .await?;
        }
    }
    both_ask(
        witch,
        lennox,
        &format!(
            "<iq type='set' to='@ROOM@'><query xmlns='{OWNER}'><x xmlns='jabber:x:data' type='submit'>\
                  <field var='FORM_TYPE'><value>nonsense</value></field></x></query></iq>"
        ),
    )
    .await?;
    Ok(())
}

async fn register(cast: &Cast) -> Result<()> {
    let (witch, lennox) = (&cast.witch, &cast.lennox);
    both_ask(
        witch,
        lennox,
        "<iq type='get' to='@ROOM@'><query xmlns='jabber:iq:register'/></iq>",
    )
    .await?;
    for guest in [witch, lennox] {
        let answer = guest
            .asks(&format!(
                "<iq type='set' to='@ROOM@'><query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'>\
                 <field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field>\
                 <field var='muc#register_roomnick'><value>{}</value></field></x></query></iq>",
                guest.nick
            ))
            .await?;
        assert_eq!(answer.attr("type"), Some("result"), "{}", to_string(&answer));
        assert_eq!(answer.attr("from"), Some(guest.address));
    }
    // Taken by the other one.
    for (guest, taken) in [(witch, "lennox"), (lennox, "firstwitch")] {
        let answer = guest
            .asks(&format!(
                "<iq type='set' to='@ROOM@'><query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'>\
                 <field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field>\
                 <field var='muc#register_roomnick'><value>{taken}</value></field></x></query></iq>"
            ))
            .await?;
        assert_eq!(
            error_condition(&answer).as_deref(),
            Some("conflict"),
            "{}",
            to_string(&answer)
        );
    }
    both_ask(
        witch,
        lennox,
        &format!("<iq type='get' to='@ROOM@'><query xmlns='{INFO}' node='x-roomuser-item'/></iq>"),
    )
    .await
    .err()
    .context("each has a nick of its own")?;
    Ok(())
}

/// Pings and the like to occupants here and elsewhere, from them, and to nobody; the room's vCard.
async fn occupants(cast: &Cast) -> Result<()> {
    let (witch, lennox) = (&cast.witch, &cast.lennox);
    for query in [
        "<ping xmlns='urn:xmpp:ping'/>",
        "<query xmlns='jabber:iq:version'/>",
    ] {
        for nick in ["firstcrone", "nobody"] {
            both_ask(
                witch,
                lennox,
                &format!("<iq type='get' to='@ROOM@/{nick}'>{query}</iq>"),
            )
            .await?;
        }
        for (guest, nick) in [(witch, "lennox"), (lennox, "firstwitch")] {
            let answer = guest
                .asks(&format!("<iq type='get' to='@ROOM@/{nick}'>{query}</iq>"))
                .await?;
            assert_eq!(answer.attr("from"), Some(&*guest.place_of(nick)));
        }
    }
    for guest in [witch, lennox] {
        assert_eq!(guest.self_ping(guest.address, guest.nick).await?, None);
        let answer = cast
            .crone
            .iq_xml(&format!(
                "<iq type='get' to='{A}/{}'><query xmlns='jabber:iq:version'/></iq>",
                guest.nick
            ))
            .await?;
        assert_eq!(answer.attr("type"), Some("result"), "{}", to_string(&answer));
    }
    // A question that a client answers itself.
    lennox
        .send_xml(&format!(
            "<iq type='set' id='q1' to='{H}/firstwitch'><x xmlns='urn:example:q'/></iq>"
        ))
        .await?;
    let question = witch.hears("lennox", "a question", |s| s.name() == "iq").await?;
    let id = question.attr("id").context("an id")?;
    witch
        .send_xml(&format!(
            "<iq type='result' id='{id}' to='{A}/lennox'><y xmlns='urn:example:q'/></iq>"
        ))
        .await?;
    lennox
        .hears("firstwitch", "the answer", |s| s.attr("id") == Some("q1"))
        .await?;
    both_ask(
        witch,
        lennox,
        "<iq type='get' to='@ROOM@'><vCard xmlns='vcard-temp'/></iq>",
    )
    .await?;
    both_ask(
        witch,
        lennox,
        "<iq type='get' to='@ROOM@/firstcrone'><vCard xmlns='vcard-temp'/></iq>",
    )
    .await?;
    both_ask(
        witch,
        lennox,
        "<iq type='get' to='@ROOM@'><query xmlns='http://jabber.org/protocol/commands'/></iq>",
    )
    .await?;
    Ok(())
}

async fn asked(version: Version, storage: Storage) -> Result<()> {
    let fed = servers("address-asked", version, storage).start().await?;
    let cast = cast(&fed, &[("muc#roomconfig_publicroom", "1")]).await?;
    let before = [
        fed[1].client("macduff", "a").await?,
        fed[1].client("ross", "h").await?,
    ];
    discover(&cast, before.each_ref()).await?;
    archive(&cast, &before[0]).await?;
    occupants(&cast).await?;
    crown(&fed, &cast).await?;
    administer(&cast).await?;
    register(&cast).await?;
    cast.quiet(&fed).await?;
    assert_eq!(streams_of_users(&fed, 1).await?, 0);
    fed.finish().await
}

/// What somebody asks of a members-only room in which they are not.
async fn refused(version: Version, storage: Storage) -> Result<()> {
    let fed = servers("address-refused", version, storage).start().await?;
    let cast = cast(&fed, &[]).await?;
    for (name, value, condition) in [
        ("muc#roomconfig_passwordprotectedroom", "1", "not-authorized"),
        ("muc#roomconfig_membersonly", "1", "registration-required"),
    ] {
        cast.crone
            .configure_room(A, &[(name, value), ("muc#roomconfig_roomsecret", "cauldron")])
            .await?;
        cast.quiet(&fed).await?;
        is_refused(&fed, "donalbain", "x", condition).await?;
        cast.crone
            .configure_room(A, &[(name, "0"), ("muc#roomconfig_roomsecret", "")])
            .await?;
        cast.quiet(&fed).await?;
    }
    is_refused(&fed, "donalbain", "firstcrone", "conflict").await?;
    cast.crone
        .set_affiliation(A, "donalbain@macbeth.lit", "outcast")
        .await?;
    cast.quiet(&fed).await?;
    is_refused(&fed, "donalbain", "x", "forbidden").await?;
    cast.crone
        .set_affiliation(A, "donalbain@macbeth.lit", "none")
        .await?;
    cast.quiet(&fed).await?;
    // And gets in as if nothing had been.
    Guest::joins(&fed, "donalbain", "after", A, "donalbain")
        .await?
        .all()
        .await?;
    assert_eq!(streams_of_users(&fed, 1).await?, 0);
    fed.finish().await
}

async fn is_refused(fed: &dmuc_testbed::Federation, user: &str, nick: &str, condition: &str) -> Result<()> {
    let client = fed[1].client(user, condition).await?;
    let refused = client.try_join(A, nick).await?.err().context("a refusal")?;
    assert_eq!(refused.condition, condition);
    let text = to_string(&refused.presence);
    ensure!(!text.contains(H), "{text}");
    assert_eq!(refused.presence.attr("from"), Some(&*format!("{A}/{nick}")));
    // Whoever is not in hears nothing, and what they say is refused in the same address.
    client.say(A, "Let me in").await?;
    let error = client
        .expect("an error", |s| {
            s.name() == "message" && s.attr("type") == Some("error")
        })
        .await?;
    ensure!(!to_string(&error).contains(H), "{}", to_string(&error));
    let book = super::scene::inside(
        fed[1].muc(),
        &format!(
            "local session = prosody.full_sessions['{}']; \
             return dmuc.books.addresses(session, '{H}') == nil and dmuc.books.is_there(session, '{A}') == false",
            client.jid()
        ),
    );
    assert_eq!(fed[1].eval(&book).await?, true);
    client.close().await
}

on_every_version! {
    fn what_is_asked_is_answered_in_the_address_that_was_asked(version, storage = Sqlite) {
        asked(version, storage).await
    }
    fn whoever_is_refused_is_refused_by_the_address_they_used(version, storage = Internal) {
        refused(version, storage).await
    }
}
