//! Invitations name the instance that serves the invitee best; declines find who invited.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{
    Client, Element, Federation, Storage, Version, body, error_condition, on_every_version, to_string,
};

use crate::asking::invited_to;
use crate::splits::hasty;
use crate::stage::{MUC_USER, Person, clean, company, gathered, quiet};
use crate::support::{VISITS, eventually};

/// Users who are invited, by server.
const GUESTS: [&str; 3] = ["hag66", "lennox", "wagner"];

/// A user who gets what is sent to the account.
async fn guest(fed: &Federation, server: usize, user: &str, resource: &str) -> Result<Client> {
    let client = fed[server].client(user, resource).await?;
    client.send_xml("<presence/>").await?;
    client.sync().await?;
    Ok(client)
}

async fn guests(fed: &Federation, name: &str) -> Result<Vec<Client>> {
    let mut all = Vec::new();
    for (server, user) in GUESTS.iter().enumerate() {
        all.push(guest(fed, server, user, name).await?);
    }
    Ok(all)
}

/// Sends a mediated invitation; returns its id.
async fn invites(inviter: &Person, invitee: &str, reason: &str) -> Result<String> {
    let id = inviter
        .send_xml(&format!(
            "<message to='{}'><x xmlns='{MUC_USER}'><invite to='{invitee}'><reason>{reason}</reason></invite></x></message>",
            inviter.room
        ))
        .await?;
    inviter.sync().await?;
    Ok(id)
}

fn child<'a>(message: &'a Element, name: &str) -> Option<&'a Element> {
    message.get_child("x", MUC_USER)?.get_child(name, MUC_USER)
}

/// The invitee gets exactly this invitation; returns it.
async fn is_invited(guest: &Client, room: &str, by: &str, reason: &str) -> Result<Element> {
    let message = guest
        .expect("an invitation", |s| child(s, "invite").is_some())
        .await?;
    clean(&message)?;
    let shown = to_string(&message);
    assert_eq!(message.attr("from"), Some(room), "{shown}");
    assert_eq!(invited_to(&message), Some(room), "{shown}");
    let invite = child(&message, "invite").context("an invitation")?;
    assert_eq!(invite.attr("from"), Some(by), "{shown}");
    let why = invite.get_child("reason", MUC_USER).map(Element::text);
    assert_eq!(why.as_deref(), Some(reason), "{shown}");
    assert!(body(&message).is_some_and(|text| text.contains(room)), "{shown}");
    Ok(message)
}

async fn declines(guest: &Client, room: &str, to: &str, reason: &str) -> Result<String> {
    let id = guest
        .send_xml(&format!(
            "<message to='{room}'><x xmlns='{MUC_USER}'><decline to='{to}'><reason>{reason}</reason></decline></x></message>"
        ))
        .await?;
    guest.sync().await?;
    Ok(id)
}

async fn is_declined(inviter: &Person, guest: &Client, reason: &str) -> Result<()> {
    let message = inviter
        .expect("a decline", |s| child(s, "decline").is_some())
        .await?;
    clean(&message)?;
    let shown = to_string(&message);
    assert_eq!(message.attr("from"), Some(&*inviter.room), "{shown}");
    let decline = child(&message, "decline").context("a decline")?;
    let by = decline.attr("from").unwrap_or_default();
    assert_eq!(by.split('/').next(), Some(guest.bare_jid()), "{shown}");
    let why = decline.get_child("reason", MUC_USER).map(Element::text);
    assert_eq!(why.as_deref(), Some(reason), "{shown}");
    assert!(body(&message).is_some(), "{shown}");
    Ok(())
}

/// Nobody has an invitation or a decline that was not expected.
async fn nothing_else(fed: &Federation, people: &[&Person], guests: &[Client]) -> Result<()> {
    quiet(fed, people).await?;
    for guest in guests {
        guest.sync().await?;
    }
    let clients = people.iter().map(|person| &person.client).chain(guests);
    for client in clients {
        let more = client.drain_matching(|s| child(s, "invite").is_some() || child(s, "decline").is_some());
        ensure!(more.is_empty(), "{}: {}", client.jid(), to_string(&more[0]));
    }
    Ok(())
}

/// From everywhere to everywhere, with a password, who invites being hidden by the room.
async fn the_invitees_own_instance_invites(fed: &Federation) -> Result<()> {
    let config = [
        ("muc#roomconfig_whois", "moderators"),
        ("muc#roomconfig_roomsecret", ""),
    ];
    let people = company(fed, "coven", &config).await?;
    let guests = guests(fed, "coven").await?;
    people[0]
        .configure_room(&people[0].room, &[("muc#roomconfig_roomsecret", "open, locks")])
        .await?;
    for server in [1, 2] {
        let room = fed[server].room("coven");
        eventually(&format!("{room} has the password"), || async {
            let form = people[0].room_form(&room).await?;
            Ok(crate::asking::value(&form, "muc#roomconfig_roomsecret").as_deref() == Some("open, locks"))
        })
        .await?;
    }
    for inviter in &people {
        for (server, guest) in guests.iter().enumerate() {
            let room = fed[server].room("coven");
            let (why, by) = (
                format!("from {}", inviter.nick),
                format!("{room}/{}", inviter.nick),
            );
            // As the invitation names who invited, and as clients that know better may.
            for to in [
                by.clone(),
                inviter.sees(&inviter.nick),
                inviter.bare_jid().to_owned(),
            ] {
                invites(inviter, guest.bare_jid(), &why).await?;
                let message = is_invited(guest, &room, &by, &why).await?;
                let password = child(&message, "password").map(Element::text);
                assert_eq!(password.as_deref(), Some("open, locks"));
                declines(guest, &room, &to, "busy").await?;
                is_declined(inviter, guest, "busy").await?;
                // That ends it: another one is told to nobody.
                let again = declines(guest, &room, &to, "really").await?;
                if to != inviter.bare_jid() {
                    let error = guest
                        .expect("an error", |s| s.attr("id") == Some(&*again))
                        .await?;
                    assert_eq!(error_condition(&error).as_deref(), Some("item-not-found"));
                }
            }
        }
    }
    let all = people.each_ref();
    nothing_else(fed, &all, &guests).await?;
    // To one's own instance it goes, too, if the invitation came by another. Whom nobody invited declines nothing.
    invites(&people[1], guests[2].bare_jid(), "").await?;
    is_invited(&guests[2], &people[2].room, &people[2].sees("firstwitch"), "").await?;
    declines(&guests[2], &people[0].room, &people[0].sees("firstwitch"), "here").await?;
    is_declined(&people[1], &guests[2], "here").await?;
    nothing_else(fed, &all, &guests).await?;
    let ross = guest(fed, 1, "ross", "coven").await?;
    invites(&people[0], ross.bare_jid(), "").await?;
    is_invited(&ross, &people[1].room, &people[1].sees("firstcrone"), "").await?;
    declines(&ross, &people[1].room, &people[1].sees("faust"), "what?").await?;
    let refused = declines(&ross, &people[1].room, &people[1].sees("firstwitch"), "what?").await?;
    let error = ross
        .expect("an error", |s| {
            s.attr("id") == Some(&*refused) && s.attr("type") == Some("error")
        })
        .await?;
    assert_eq!(error_condition(&error).as_deref(), Some("item-not-found"));
    nothing_else(fed, &all, &guests).await?;
    // The password is the one that lets in.
    guests[1]
        .join_with(&people[1].room, "lennox", "<password>open, locks</password>")
        .await?
        .map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
    gathered(fed, "coven", &["faust", "firstcrone", "firstwitch", "lennox"]).await
}

/// Whom an instance does not invite, it does not invite elsewhere.
async fn is_refused(inviter: &Person, invitee: &str) -> Result<()> {
    let id = invites(inviter, invitee, "").await?;
    let error = inviter
        .expect("an error", |s| {
            s.attr("id") == Some(&*id) && s.attr("type") == Some("error")
        })
        .await?;
    assert_eq!(
        error_condition(&error).as_deref(),
        Some("forbidden"),
        "{}",
        inviter.nick
    );
    Ok(())
}

async fn is_member_everywhere(fed: &Federation, owner: &Client, user: &str) -> Result<()> {
    for server in fed.servers() {
        let room = server.room("heath");
        eventually(&format!("{room} has {user} as a member"), || async {
            Ok(owner
                .affiliated(&room, "member")
                .await?
                .iter()
                .any(|jid| jid == user))
        })
        .await?;
    }
    Ok(())
}

/// Only members may join: who is invited becomes one, at the source.
async fn who_is_invited_becomes_a_member(fed: &Federation) -> Result<()> {
    let people = company(fed, "heath", &[("muc#roomconfig_whois", "anyone")]).await?;
    let [crone, witch, faust] = people.each_ref();
    let guests = guests(fed, "heath").await?;
    crone
        .set_affiliation(&crone.room, witch.bare_jid(), "admin")
        .await?;
    crone
        .set_affiliation(&crone.room, faust.bare_jid(), "member")
        .await?;
    is_member_everywhere(fed, crone, faust.bare_jid()).await?;
    crone
        .configure_room(&crone.room, &[("muc#roomconfig_membersonly", "1")])
        .await?;
    for server in [1, 2] {
        let room = fed[server].room("heath");
        eventually(&format!("{room} is for members"), || async {
            let form = crone.room_form(&room).await?;
            Ok(crate::asking::value(&form, "muc#roomconfig_membersonly").as_deref() == Some("1"))
        })
        .await?;
    }
    // Members may not invite, as on one server.
    is_refused(faust, guests[1].bare_jid()).await?;
    // An admin at a shadow may, wherever the invitee is; in this room everybody sees who invites.
    for (server, guest) in guests.iter().enumerate() {
        let room = fed[server].room("heath");
        invites(witch, guest.bare_jid(), "come").await?;
        is_invited(guest, &room, witch.jid(), "come").await?;
        is_member_everywhere(fed, crone, guest.bare_jid()).await?;
        guest.join(&room, GUESTS[server]).await?;
        guest.leave(&room, GUESTS[server]).await?;
    }
    // Where the room lets members invite, they do, from a shadow, too.
    crone
        .configure_room(
            &crone.room,
            &[(
                "{http://prosody.im/protocol/muc}roomconfig_allowmemberinvites",
                "1",
            )],
        )
        .await?;
    quiet(fed, &people.each_ref()).await?;
    let ross = guest(fed, 1, "ross", "heath").await?;
    invites(faust, ross.bare_jid(), "come").await?;
    is_invited(&ross, &witch.room, faust.jid(), "come").await?;
    is_member_everywhere(fed, crone, ross.bare_jid()).await?;
    // Nobody who is banned becomes a member that way, whoever invites.
    crone
        .set_affiliation(&crone.room, ross.bare_jid(), "outcast")
        .await?;
    for server in fed.servers() {
        let room = server.room("heath");
        eventually(&format!("{room} bans ross"), || async {
            Ok(crone.affiliated(&room, "outcast").await? == [ross.bare_jid()])
        })
        .await?;
    }
    for inviter in [crone, witch, faust] {
        is_refused(inviter, ross.bare_jid()).await?;
    }
    for server in fed.servers() {
        let room = server.room("heath");
        assert_eq!(
            crone.affiliated(&room, "outcast").await?,
            [ross.bare_jid()],
            "{room}"
        );
    }
    nothing_else(fed, &people.each_ref(), std::slice::from_ref(&ross)).await?;
    nothing_else(fed, &people.each_ref(), &guests).await?;
    in_a_split(fed, &people).await
}

/// The source is out of reach of one shadow.
async fn in_a_split(fed: &Federation, people: &[Person; 3]) -> Result<()> {
    let [crone, witch, faust] = people.each_ref();
    fed.link(0, 1).cut().await;
    let source = fed[0].muc().to_owned();
    fed[1]
        .wait_for_log(&format!("{}: the link to {source} is down", witch.room))
        .await?;
    // The other shadow knows nothing of a membership that is only provisional: this one invites.
    let angus = guest(fed, 1, "angus", "heath").await?;
    let valdes = guest(fed, 2, "valdes", "heath").await?;
    for guest in [&angus, &valdes] {
        invites(witch, guest.bare_jid(), "come").await?;
        is_invited(guest, &witch.room, witch.jid(), "come").await?;
        guest.join(&witch.room, guest.bare_jid()).await?;
    }
    // To who invited in a part that is out of reach nothing can be brought, and who declines is told so.
    let id = declines(&angus, &witch.room, &format!("{}/firstcrone", crone.room), "no").await?;
    let error = angus
        .expect("an error", |s| {
            s.attr("id") == Some(&*id) && s.attr("type") == Some("error")
        })
        .await?;
    assert_eq!(
        error_condition(&error).as_deref(),
        Some("remote-server-not-found")
    );
    fed.link(0, 1).heal().await;
    for guest in [&angus, &valdes] {
        is_member_everywhere(fed, crone, guest.bare_jid()).await?;
    }
    // Nobody was told that this did not hold.
    quiet(fed, &[crone, witch, faust]).await?;
    let overridden = witch.drain_matching(|s| body(s).is_some_and(|text| text.contains("does not hold")));
    ensure!(overridden.is_empty(), "{}", to_string(&overridden[0]));
    Ok(())
}

/// A direct invitation (XEP-0249) with everything it may have.
async fn invites_directly(from: &Client, to: &str, room: &str) -> Result<Element> {
    let xml = format!(
        "<x xmlns='jabber:x:conference' jid='{room}' password='cauldronburn' reason='Hey Hecate' continue='true' \
         thread='e0ffe42b28561960c6b12b944a092794b9683a38'/>"
    );
    from.send_xml(&format!("<message to='{to}'><body>Come</body>{xml}</message>"))
        .await?;
    dmuc_testbed::stanza(&xml)
}

async fn gets(guest: &Client, sent: &Element, room: &str) -> Result<()> {
    let message = guest.expect("an invitation", |s| invited_to(s).is_some()).await?;
    assert_eq!(invited_to(&message), Some(room));
    assert_eq!(body(&message).as_deref(), Some("Come"));
    let invitation = message
        .get_child("x", "jabber:x:conference")
        .context("an invitation")?;
    for name in ["password", "reason", "continue", "thread"] {
        assert_eq!(invitation.attr(name), sent.attr(name), "{name}");
    }
    Ok(())
}

/// From user to user: what the invitee's server knows of, it names by its own instance, unless told not to.
async fn direct_invitations_lead_to_the_own_instance(fed: &Federation) -> Result<()> {
    let rooms: Vec<String> = fed.servers().iter().map(|server| server.room("moor")).collect();
    let people = company(fed, "moor", &[]).await?;
    let guests = guests(fed, "moor").await?;
    let ordinary = fed[0].room("plain");
    people[0].create_room(&ordinary, "firstcrone", &[]).await?;
    for person in &people {
        for room in &rooms {
            for (server, guest) in guests.iter().enumerate() {
                // To the bare JID and to a session.
                for to in [guest.bare_jid(), guest.jid()] {
                    let sent = invites_directly(person, to, room).await?;
                    let expected = if server == 2 { room } else { &rooms[server] };
                    gets(guest, &sent, expected).await?;
                }
            }
        }
        for guest in &guests {
            for room in [&*ordinary, "nowhere@conference.venice.lit"] {
                let sent = invites_directly(person, guest.bare_jid(), room).await?;
                gets(guest, &sent, room).await?;
            }
        }
    }
    Ok(())
}

async fn inviting(version: Version, storage: Storage) -> Result<()> {
    let fed = hasty("inviting", version, storage)
        .muc_line(VISITS)
        .with_server(2, |s| s.muc_lines.push("dmuc_rewrite_invitations = false".into()))
        .start()
        .await?;
    the_invitees_own_instance_invites(&fed).await?;
    direct_invitations_lead_to_the_own_instance(&fed).await?;
    who_is_invited_becomes_a_member(&fed).await?;
    fed.finish().await
}

on_every_version! {
    fn an_invitation_names_the_instance_that_serves_the_invitee_best(version, storage = Sqlite) {
        inviting(version, storage).await
    }
}
