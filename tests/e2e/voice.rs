//! Requests for voice (XEP-0045 sections 7.13 and 8.6): moderators of every instance are asked, and the first answer counts.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Element, Federation, Storage, Version, error_condition, on_every_version, to_string};

use crate::asking::value;
use crate::splits::{hasty, patience};
use crate::stage::{Item, Person, clean, gathered, quiet};
use crate::support::eventually;

const DATA_FORMS: &str = "jabber:x:data";
const REQUEST: &str = "http://jabber.org/protocol/muc#request";

/// The form in a message, if it is a voice request.
fn request(stanza: &Element) -> Option<&Element> {
    let form = stanza.get_child("x", DATA_FORMS)?;
    (value(form, "FORM_TYPE").as_deref() == Some(REQUEST)).then_some(form)
}

async fn asks(visitor: &Person) -> Result<()> {
    visitor
        .send_xml(&format!(
            "<message to='{}'><x xmlns='{DATA_FORMS}' type='submit'>\
             <field var='FORM_TYPE'><value>{REQUEST}</value></field>\
             <field var='muc#role' type='list-single'><value>participant</value></field></x></message>",
            visitor.room
        ))
        .await?;
    visitor.sync().await
}

/// The moderator is shown the request, by its own room; returns who it says asks.
async fn is_asked(moderator: &Person, nick: &str) -> Result<String> {
    let message = moderator
        .expect_within("a voice request", patience(), |s| {
            request(s).is_some_and(|form| value(form, "muc#roomnick").as_deref() == Some(nick))
        })
        .await?;
    clean(&message)?;
    assert_eq!(message.attr("from"), Some(&*moderator.room));
    let form = request(&message).context("a form")?;
    assert_eq!(form.attr("type"), Some("form"));
    assert_eq!(value(form, "muc#role").as_deref(), Some("participant"));
    assert_eq!(value(form, "muc#request_allow").as_deref(), Some("0"));
    value(form, "muc#jid").context("a JID")
}

/// Returns the id of the answer.
async fn answers(moderator: &Person, jid: &str, nick: &str, is_granted: bool) -> Result<String> {
    let id = moderator
        .send_xml(&format!(
            "<message to='{}'><x xmlns='{DATA_FORMS}' type='submit'>\
             <field var='FORM_TYPE'><value>{REQUEST}</value></field>\
             <field var='muc#role'><value>participant</value></field>\
             <field var='muc#jid'><value>{jid}</value></field>\
             <field var='muc#roomnick'><value>{nick}</value></field>\
             <field var='muc#request_allow'><value>{is_granted}</value></field></x></message>",
            moderator.room
        ))
        .await?;
    moderator.sync().await?;
    Ok(id)
}

/// Everybody sees this occupant with this role.
async fn all_see(people: &[&Person], nick: &str, role: &str) -> Result<()> {
    for person in people {
        eventually(&format!("{} sees {nick} as {role}", person.nick), || async {
            person.sync().await?;
            let roster = person.roster();
            Ok(roster.get(nick).is_some_and(|item: &Item| item.role == role))
        })
        .await?;
    }
    Ok(())
}

fn nobody_else_was_asked(people: &[&Person]) -> Result<()> {
    for person in people {
        let forms = person.peek().into_iter().filter(|s| request(s).is_some()).count();
        ensure!(forms == 0, "{} was asked, too", person.nick);
    }
    Ok(())
}

/// crone owns the room at the source; hecate and mephisto are admins at the shadows. One visitor is at each instance.
async fn asked_everywhere(fed: &Federation) -> Result<()> {
    let crone = Person::founds(fed, "coven", &[("muc#roomconfig_moderatedroom", "1")]).await?;
    for admin in ["hecate@macbeth.lit", "mephisto@marlowe.lit"] {
        crone.set_affiliation(&crone.room, admin, "admin").await?;
    }
    let hecate = Person::joins(fed, 1, "hecate", "coven", "hecate").await?;
    let mephisto = Person::joins(fed, 2, "mephisto", "coven", "mephisto").await?;
    let hag = Person::joins(fed, 0, "hag66", "coven", "hag").await?;
    let witch = Person::joins(fed, 1, "somewitch", "coven", "witch").await?;
    let faust = Person::joins(fed, 2, "drfaust", "coven", "faust").await?;
    gathered(
        fed,
        "coven",
        &["faust", "firstcrone", "hag", "hecate", "mephisto", "witch"],
    )
    .await?;
    let moderators = [&crone, &hecate, &mephisto];
    let visitors = [&hag, &witch, &faust];
    let people = [&crone, &hecate, &mephisto, &hag, &witch, &faust];
    for visitor in visitors {
        all_see(&people, &visitor.nick, "visitor").await?;
    }
    for visitor in visitors {
        let nick = &*visitor.nick;
        for (number, first) in moderators.into_iter().enumerate() {
            // Granted.
            asks(visitor).await?;
            for moderator in moderators {
                assert_eq!(
                    is_asked(moderator, nick).await?,
                    visitor.jid(),
                    "{nick}, at {}",
                    moderator.room
                );
            }
            answers(first, visitor.jid(), nick, true).await?;
            all_see(&people, nick, "participant").await?;
            // An answer that comes late changes nothing, whatever has happened since.
            let second = moderators[(number + 1) % 3];
            crone.set_role(&crone.room, nick, "visitor").await?;
            all_see(&people, nick, "visitor").await?;
            answers(second, visitor.jid(), nick, true).await?;
            quiet(fed, &people).await?;
            all_see(&people, nick, "visitor").await?;
            // Refused: that counts for all others.
            asks(visitor).await?;
            for moderator in moderators {
                is_asked(moderator, nick).await?;
            }
            answers(first, visitor.jid(), nick, false).await?;
            quiet(fed, &people).await?;
            answers(second, visitor.jid(), nick, true).await?;
            quiet(fed, &people).await?;
            all_see(&people, nick, "visitor").await?;
            nobody_else_was_asked(&people)?;
        }
    }
    for moderator in moderators {
        let errors = moderator.drain_matching(|s| s.attr("type") == Some("error"));
        ensure!(errors.is_empty(), "{}", to_string(&errors[0]));
    }
    in_a_split(fed, [&crone, &hecate, &mephisto], &witch, &people).await
}

/// The shadows cannot reach each other.
async fn in_a_split(
    fed: &Federation,
    [crone, hecate, mephisto]: [&Person; 3],
    witch: &Person,
    people: &[&Person],
) -> Result<()> {
    // One request was known everywhere before.
    asks(witch).await?;
    for moderator in [crone, hecate, mephisto] {
        is_asked(moderator, "witch").await?;
    }
    fed.link(1, 2).cut().await;
    for server in [1, 2] {
        let other = fed[3 - server].muc().to_owned();
        fed[server]
            .wait_for_log(&format!("the link to {other} is down"))
            .await?;
    }
    // Who answers and is not heard is told so.
    let id = answers(mephisto, witch.jid(), "witch", true).await?;
    let error = mephisto
        .expect("an error", |s| {
            s.attr("id") == Some(&*id) && s.attr("type") == Some("error")
        })
        .await?;
    assert_eq!(
        error_condition(&error).as_deref(),
        Some("remote-server-not-found")
    );
    answers(crone, witch.jid(), "witch", false).await?;
    // On one stream nothing overtakes anything: when this is here, so is the answer.
    crone.say_privately(&crone.room, "witch", "No").await?;
    witch.expect_body("No").await?;
    all_see(people, "witch", "visitor").await?;
    // A new one reaches whom it can, and the others when they are back.
    asks(witch).await?;
    is_asked(hecate, "witch").await?;
    is_asked(crone, "witch").await?;
    mephisto.sync().await?;
    nobody_else_was_asked(people)?;
    fed.link(1, 2).heal().await;
    assert_eq!(is_asked(mephisto, "witch").await?, witch.jid());
    answers(mephisto, witch.jid(), "witch", true).await?;
    all_see(people, "witch", "participant").await?;
    nobody_else_was_asked(people)
}

/// Real JIDs of a semi-anonymous room go to moderators only where an admin vouches for their instance.
async fn who_asks_is_hidden_where_the_room_hides_it(fed: &Federation) -> Result<()> {
    let crone = Person::founds(fed, "moor", &[("muc#roomconfig_whois", "moderators")]).await?;
    let witch = Person::joins(fed, 1, "somewitch", "moor", "witch").await?;
    let faust = Person::joins(fed, 2, "drfaust", "moor", "faust").await?;
    let people = [&crone, &witch, &faust];
    gathered(fed, "moor", &["faust", "firstcrone", "witch"]).await?;
    crone.set_role(&crone.room, "faust", "moderator").await?;
    crone.set_role(&crone.room, "witch", "visitor").await?;
    all_see(&people, "faust", "moderator").await?;
    all_see(&people, "witch", "visitor").await?;
    asks(&witch).await?;
    assert_eq!(is_asked(&crone, "witch").await?, witch.jid());
    let named = is_asked(&faust, "witch").await?;
    assert_eq!(named, faust.sees("witch"));
    answers(&faust, &named, "witch", true).await?;
    all_see(&people, "witch", "participant").await
}

async fn voice(version: Version, storage: Storage) -> Result<()> {
    let fed = hasty("voice", version, storage).start().await?;
    who_asks_is_hidden_where_the_room_hides_it(&fed).await?;
    asked_everywhere(&fed).await?;
    fed.finish().await
}

on_every_version! {
    fn who_asks_for_voice_asks_the_moderators_of_every_instance(version, storage) {
        voice(version, storage).await
    }
}
