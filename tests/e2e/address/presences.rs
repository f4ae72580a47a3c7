//! What becomes of people in the room: nicks, roles, kicks and bans, settings, invitations, requests for voice, avatars.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{
    Element, Storage, Version, body, code_list, error_condition, on_every_version, to_string,
};

use super::scene::{A, Cast, Guest, H, cast, crown, servers, streams_of_users};
use crate::asking::{invited_to, item_attr};

const MUC_USER: &str = "http://jabber.org/protocol/muc#user";

fn is_out(s: &Element) -> bool {
    s.name() == "presence" && s.attr("type") == Some("unavailable")
}

async fn nicks(cast: &Cast) -> Result<()> {
    let (witch, lennox) = (&cast.witch, &cast.lennox);
    for (guest, other) in [(witch, lennox), (lennox, witch)] {
        let (old, new) = guest.change_nick(guest.address, "weird").await?;
        guest.knows_only_its_address(&[old, new])?;
        other
            .hears(guest.nick, "the change", |s| {
                is_out(s) && code_list(s).contains(&303)
            })
            .await?;
        other
            .hears("weird", "the new nick", |s| s.name() == "presence")
            .await?;
        let (old, new) = guest.change_nick(guest.address, guest.nick).await?;
        guest.knows_only_its_address(&[old, new])?;
        other
            .hears(guest.nick, "the old nick", |s| {
                s.name() == "presence" && s.attr("type").is_none()
            })
            .await?;
        // Somebody else's.
        guest.sends("<presence to='@ROOM@/firstcrone'/>").await?;
        let refused = guest
            .hears("firstcrone", "a refusal", |s| s.attr("type") == Some("error"))
            .await?;
        assert_eq!(error_condition(&refused).as_deref(), Some("conflict"));
        // And is in as before.
        guest
            .sends(&format!(
                "<presence to='@ROOM@/{}'><show>away</show></presence>",
                guest.nick
            ))
            .await?;
        for each in [guest, other] {
            each.hears(guest.nick, "that somebody is away", |s| {
                s.get_child("show", "jabber:client").is_some()
            })
            .await?;
        }
        guest
            .sends(&format!("<presence to='@ROOM@/{}'/>", guest.nick))
            .await?;
        other
            .hears(guest.nick, "that somebody is back", |s| s.name() == "presence")
            .await?;
        guest
            .sends("<presence type='probe' to='@ROOM@/firstcrone'/>")
            .await?;
        guest
            .hears("firstcrone", "the answer to a probe", |s| s.name() == "presence")
            .await?;
    }
    Ok(())
}

/// A mediated invitation, to whoever is in and to others; declining; direct ones.
async fn invitations(fed: &dmuc_testbed::Federation, cast: &Cast) -> Result<()> {
    let (witch, lennox) = (&cast.witch, &cast.lennox);
    let macduff = fed[1].client("macduff", "fife").await?;
    macduff.send_xml("<presence/>").await?;
    macduff.sync().await?;
    let is_invitation = |s: &Element| {
        s.get_child("x", MUC_USER)
            .is_some_and(|x| x.get_child("invite", MUC_USER).is_some())
    };
    for (sender, room) in [(&witch.client, A), (&lennox.client, H), (&cast.crone, A)] {
        // Who is not in is invited to the room here.
        sender
            .send_xml(&format!(
                "<message to='{room}'><x xmlns='{MUC_USER}'><invite to='macduff@macbeth.lit'><reason>Come</reason></invite></x></message>"
            ))
            .await?;
        let invitation = macduff.expect("an invitation", is_invitation).await?;
        assert_eq!(invitation.attr("from"), Some(H));
        ensure!(!to_string(&invitation).contains(A), "{}", to_string(&invitation));
        // Who is in, at the address that is in use; twice over, for the text of one and for the other.
        for guest in [witch, lennox] {
            sender
                .send_xml(&format!(
                    "<message to='{room}'><x xmlns='{MUC_USER}'><invite to='{}'/></x></message>",
                    guest.bare_jid()
                ))
                .await?;
            let invitation = guest.hears("", "an invitation", is_invitation).await?;
            ensure!(
                body(&invitation)
                    .is_some_and(|text| text.contains(&format!("to the room {}", guest.address))),
                "{}",
                to_string(&invitation)
            );
            assert_eq!(invited_to(&invitation), Some(guest.address));
        }
        // Direct ones, naming either address.
        for named in [A, H] {
            for (client, address) in [(&witch.client, A), (&lennox.client, H), (&macduff, H)] {
                let to = client.bare_jid();
                sender
                    .send_xml(&format!(
                        "<message to='{to}'><x xmlns='jabber:x:conference' jid='{named}'/></message>"
                    ))
                    .await?;
                let invitation = client
                    .expect("a direct invitation", |s| invited_to(s).is_some())
                    .await?;
                assert_eq!(invited_to(&invitation), Some(address), "{to} by {named}");
            }
        }
    }
    // Declining the last one, by the place in the room; a second time there is none.
    for (guest, to) in [(witch, "lennox"), (lennox, "firstwitch")] {
        let other = if guest.address == A { lennox } else { witch };
        let decline = format!(
            "<message to='@ROOM@'><x xmlns='{MUC_USER}'><decline to='{}'/></x></message>",
            guest.place_of(to)
        );
        guest.sends(&decline).await?;
        other
            .hears("", "that somebody declines", |s| {
                s.get_child("x", MUC_USER)
                    .is_some_and(|x| x.get_child("decline", MUC_USER).is_some())
            })
            .await?;
        guest.sends(&decline).await?;
        guest
            .hears("", "a refusal", |s| s.attr("type") == Some("error"))
            .await?;
    }
    macduff.close().await
}

async fn voice(fed: &dmuc_testbed::Federation, cast: &Cast) -> Result<()> {
    let (witch, lennox) = (&cast.witch, &cast.lennox);
    cast.crone
        .configure_room(A, &[("muc#roomconfig_moderatedroom", "1")])
        .await?;
    cast.quiet(fed).await?;
    let donalbain = Guest::joins(fed, "donalbain", "a", A, "donalbain").await?;
    let request = |s: &Element| s.get_child("x", "jabber:x:data").is_some();
    donalbain
        .sends(
            "<message to='@ROOM@'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
             <value>http://jabber.org/protocol/muc#request</value></field>\
             <field var='muc#role'><value>participant</value></field></x></message>",
        )
        .await?;
    lennox.hears("", "a request for voice", request).await?;
    witch.hears("", "a request for voice", request).await?;
    witch
        .sends(
            "<message to='@ROOM@'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
             <value>http://jabber.org/protocol/muc#request</value></field>\
             <field var='muc#role'><value>participant</value></field>\
             <field var='muc#roomnick'><value>donalbain</value></field>\
             <field var='muc#jid'><value>donalbain@macbeth.lit</value></field>\
             <field var='muc#request_allow'><value>1</value></field></x></message>",
        )
        .await?;
    donalbain
        .hears("donalbain", "that there is voice", |s| {
            item_attr(s, "role") == "participant"
        })
        .await?;
    cast.crone
        .configure_room(A, &[("muc#roomconfig_moderatedroom", "0")])
        .await?;
    donalbain.leave(A, "donalbain").await?;
    cast.quiet(fed).await
}

/// 307, 301, 322 and an error that removes.
async fn removals(fed: &dmuc_testbed::Federation, cast: &Cast) -> Result<()> {
    let (witch, lennox) = (&cast.witch, &cast.lennox);
    let book = |jid: &str| {
        let chunk = super::scene::inside(
            fed[1].muc(),
            &format!("return dmuc.books.addresses(prosody.full_sessions['{jid}'], '{H}') == nil"),
        );
        async move { fed[1].eval(&chunk).await }
    };
    for (code, by) in [(307, A), (307, H), (301, A), (322, A)] {
        let ross = Guest::joins(fed, "ross", "a", A, "ross").await?;
        let angus = Guest::joins(fed, "angus", "h", H, "angus").await?;
        let out = |s: &Element| is_out(s) && code_list(s).contains(&code);
        match code {
            307 => {
                for nick in ["ross", "angus"] {
                    let by_whom = if by == A { witch } else { lennox };
                    by_whom.kick(by, nick).await?;
                }
            }
            301 => {
                for guest in [&ross, &angus] {
                    witch.set_affiliation(A, guest.bare_jid(), "outcast").await?;
                }
            }
            _ => {
                cast.crone
                    .configure_room(A, &[("muc#roomconfig_membersonly", "1")])
                    .await?;
            }
        }
        for guest in [&ross, &angus] {
            let own = guest.hears(guest.nick, "its own removal", out).await?;
            ensure!(code_list(&own).contains(&110), "{}", to_string(&own));
            for other in [witch, lennox] {
                other.hears(guest.nick, "a removal", is_out).await?;
            }
        }
        assert_eq!(book(ross.jid()).await?, true);
        for guest in [&ross, &angus] {
            // Who is out is answered so by the same address.
            let ping = guest.self_ping(guest.address, guest.nick).await?;
            assert_eq!(ping.as_deref(), Some("not-acceptable"));
            if code == 301 {
                cast.crone.set_affiliation(A, guest.bare_jid(), "none").await?;
            }
        }
        if code == 322 {
            cast.crone
                .configure_room(A, &[("muc#roomconfig_membersonly", "0")])
                .await?;
        }
        cast.quiet(fed).await?;
        ross.client.close().await?;
        angus.client.close().await?;
    }
    let ross = Guest::joins(fed, "ross", "error", A, "ross").await?;
    ross.sends(
        "<message type='error' to='@ROOM@/lennox'><error type='cancel'>\
         <recipient-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
    )
    .await?;
    ross.hears("ross", "its own removal", |s| {
        is_out(s) && code_list(s).contains(&110)
    })
    .await?;
    assert_eq!(book(ross.jid()).await?, true);
    ross.client.close().await
}

/// Settings change; the room gets a picture.
async fn settings(cast: &Cast) -> Result<()> {
    let photo =
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    cast.crone
        .iq_ok(&format!(
            "<iq type='set' to='{A}'><vCard xmlns='vcard-temp'><PHOTO><TYPE>image/png</TYPE><BINVAL>{photo}</BINVAL></PHOTO></vCard></iq>"
        ))
        .await?;
    for guest in [&cast.witch, &cast.lennox] {
        let told = guest
            .hears("", "that there is a picture", |s| {
                s.get_child("x", "vcard-temp:x:update").is_some() || code_list(s).contains(&104)
            })
            .await?;
        ensure!(told.attr("from") == Some(guest.address), "{}", to_string(&told));
        let card = guest
            .asks("<iq type='get' to='@ROOM@'><vCard xmlns='vcard-temp'/></iq>")
            .await?;
        ensure!(to_string(&card).contains(photo), "{}", to_string(&card));
    }
    Ok(())
}

async fn presences(version: Version, storage: Storage) -> Result<()> {
    let fed = servers("address-presences", version, storage).start().await?;
    let cast = cast(&fed, &[]).await?;
    nicks(&cast).await?;
    cast.quiet(&fed).await?;
    invitations(&fed, &cast).await.context("invitations")?;
    cast.quiet(&fed).await?;
    crown(&fed, &cast).await?;
    voice(&fed, &cast).await.context("voice")?;
    if !version.number().starts_with("0.12") {
        settings(&cast).await?;
        cast.quiet(&fed).await?;
    }
    removals(&fed, &cast).await.context("removals")?;
    cast.quiet(&fed).await?;
    assert_eq!(streams_of_users(&fed, 1).await?, 0);
    fed.finish().await
}

on_every_version! {
    fn what_becomes_of_people_is_told_by_the_address_that_they_use(version, storage = Internal) {
        presences(version, storage).await
    }
}
