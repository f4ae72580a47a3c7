//! Joining a shadow is joining a room: XEP-0045 for the client, one stanza per peer instance (G1, G12).

use std::collections::BTreeMap;

use anyhow::Result;
use dmuc_testbed::{Federation, Storage, Version, code_list, on_every_version};

use crate::stage::{
    DELAY, Item, Person, clean, gathered, occupant_id, once_from, quiet, raise, stanza_id, traffic,
};
use crate::support::{eventually, from};

/// Others, oneself, the history, the subject; everybody elsewhere sees it once, and each link carries it once.
async fn a_join_is_ordinary_and_crosses_each_link_once(fed: &Federation) -> Result<()> {
    let crone = Person::founds(fed, "coven", &[]).await?;
    crone
        .say_and_see(&crone.room, "Thrice the brinded cat hath mew'd.")
        .await?;
    crone.set_subject(&crone.room, "Fire burn").await?;
    let faust = Person::joins(fed, 2, "drfaust", "coven", "faust").await?;
    gathered(fed, "coven", &["faust", "firstcrone"]).await?;
    faust.say_and_see(&faust.room, "And cauldron bubble.").await?;
    crone.expect_body("And cauldron bubble.").await?;
    quiet(fed, &[&crone, &faust]).await?;
    crone.take_all()?;
    faust.take_all()?;
    fed.reset_stats().await?;

    let witch = Person::joins(fed, 1, "somewitch", "coven", "firstwitch").await?;
    gathered(fed, "coven", &["faust", "firstcrone", "firstwitch"]).await?;
    quiet(fed, &[&crone, &faust, &witch]).await?;

    let room = &witch.room;
    let kind = |stanza: &dmuc_testbed::Element| match stanza.name() {
        "presence" if code_list(stanza).contains(&110) => "self",
        "presence" => "other",
        _ if stanza.get_child("subject", crate::stage::CLIENT).is_some() => "subject",
        _ => "history",
    };
    let kinds: Vec<&str> = witch.joined.all.iter().map(kind).collect();
    assert_eq!(kinds, ["other", "other", "self", "history", "history", "subject"]);
    for stanza in &witch.joined.all {
        clean(stanza)?;
    }
    assert_eq!(
        witch.joined.history_bodies(),
        ["Thrice the brinded cat hath mew'd.", "And cauldron bubble."]
    );
    for (message, nick) in witch.joined.history.iter().zip(["firstcrone", "faust"]) {
        assert_eq!(message.attr("from"), Some(&*witch.sees(nick)));
        assert_eq!(message.attr("to"), Some(witch.jid()));
        assert!(!stanza_id(message, room)?.is_empty());
        assert!(!occupant_id(message)?.is_empty());
        let delays = message.children().filter(|c| c.is("delay", DELAY));
        assert_eq!(delays.filter(|d| d.attr("from") == Some(room)).count(), 1);
    }
    assert_eq!(witch.joined.subject(), "Fire burn");
    assert_eq!(
        witch.joined.subject_message.attr("from"),
        Some(&*witch.sees("firstcrone"))
    );
    assert_eq!(witch.joined.own_nick(), "firstwitch");
    assert_eq!(
        Item::of(&witch.joined.self_presence),
        Some(Item::new("none", "participant", Some(witch.jid())))
    );
    let own_id = occupant_id(&witch.joined.self_presence)?;
    assert_eq!(witch.take_all()?.len(), 0, "nothing follows the subject");
    for other in [&crone, &faust] {
        let seen = other.take_all()?;
        assert_eq!(seen.len(), 1, "one presence: {seen:?}");
        assert!(from(&other.room, "firstwitch")(&seen[0]));
        assert_eq!(code_list(&seen[0]), [0u16; 0]);
        assert_eq!(occupant_id(&seen[0])?, own_id);
    }
    assert_eq!(traffic(fed).await?, once_from(fed, 1, (0, 1)));
    Ok(())
}

/// What everybody should see of everybody.
fn expected(viewer: &Person, sees_all: bool, people: &[(&Person, &str, &str)]) -> BTreeMap<String, Item> {
    let item = |(person, affiliation, role): &(&Person, &str, &str)| {
        let is_own = person.nick == viewer.nick;
        let jid = (sees_all || is_own).then(|| person.jid());
        (person.nick.clone(), Item::new(affiliation, role, jid))
    };
    people.iter().map(item).collect()
}

async fn rosters_agree(people: &[(&Person, &str, &str)], sees_all: impl Fn(&str) -> bool) -> Result<()> {
    for (viewer, _, role) in people {
        let wanted = expected(viewer, sees_all(role), people);
        let what = format!("{} sees everybody", viewer.nick);
        let agrees = eventually(&what, || async { Ok(viewer.roster() == wanted) }).await;
        if let Err(error) = agrees {
            assert_eq!(viewer.roster(), wanted, "what {} sees: {error}", viewer.nick);
        }
    }
    Ok(())
}

/// The same roster at every instance; real JIDs for moderators only.
async fn only_moderators_see_real_jids_in_a_semi_anonymous_room(fed: &Federation) -> Result<()> {
    let crone = Person::founds(fed, "heath", &[("muc#roomconfig_whois", "moderators")]).await?;
    crone
        .set_affiliation(&crone.room, "hecate@macbeth.lit", "admin")
        .await?;
    crone
        .set_affiliation(&crone.room, "wagner@marlowe.lit", "member")
        .await?;
    let witch = Person::joins(fed, 1, "somewitch", "heath", "firstwitch").await?;
    let faust = Person::joins(fed, 2, "drfaust", "heath", "faust").await?;
    let wagner = Person::joins(fed, 2, "wagner", "heath", "wagner").await?;
    gathered(fed, "heath", &["faust", "firstcrone", "firstwitch", "wagner"]).await?;
    let mut people = vec![
        (&crone, "owner", "moderator"),
        (&witch, "none", "participant"),
        (&faust, "none", "participant"),
        (&wagner, "member", "participant"),
    ];
    rosters_agree(&people, |role| role == "moderator").await?;
    // The first moderator of a shadow: now that instance learns the real JIDs.
    let hecate = Person::joins(fed, 1, "hecate", "heath", "hecate").await?;
    people.push((&hecate, "admin", "moderator"));
    rosters_agree(&people, |role| role == "moderator").await?;
    // Who joins afterwards is in the same state at once.
    let sister = Person::joins(fed, 1, "sister", "heath", "sister").await?;
    people.push((&sister, "none", "participant"));
    rosters_agree(&people, |role| role == "moderator").await?;
    quiet(
        fed,
        &people.iter().map(|(person, ..)| *person).collect::<Vec<_>>(),
    )
    .await?;
    rosters_agree(&people, |role| role == "moderator").await?;
    for (person, ..) in &people {
        person.take_all()?;
    }
    Ok(())
}

/// Everybody sees the real JID of everybody, and never the in-room JID of another instance.
async fn everybody_sees_real_jids_in_a_non_anonymous_room(fed: &Federation) -> Result<()> {
    let crone = Person::founds(fed, "forres", &[("muc#roomconfig_whois", "anyone")]).await?;
    let witch = Person::joins(fed, 1, "somewitch", "forres", "firstwitch").await?;
    assert!(witch.joined.codes().contains(&100), "{:?}", witch.joined.codes());
    let faust = Person::joins(fed, 2, "drfaust", "forres", "faust").await?;
    let people = [
        (&crone, "owner", "moderator"),
        (&witch, "none", "participant"),
        (&faust, "none", "participant"),
    ];
    rosters_agree(&people, |_| true).await?;
    let sister = Person::joins(fed, 1, "sister", "forres", "sister").await?;
    let mut people = people.to_vec();
    people.push((&sister, "none", "participant"));
    rosters_agree(&people, |_| true).await?;
    // The archive of such a room names who it was, too.
    for (speaker, ..) in &people {
        speaker
            .say_and_see(&speaker.room, &format!("I am {}", speaker.nick))
            .await?;
        quiet(
            fed,
            &people.iter().map(|(person, ..)| *person).collect::<Vec<_>>(),
        )
        .await?;
    }
    for (reader, ..) in &people {
        let archived = reader.mam_all(&reader.room).await?;
        let named = archived.iter().filter_map(|item| Item::of(&item.message)?.jid);
        let real = people.iter().map(|(person, ..)| person.bare_jid());
        assert!(named.eq(real), "{}: {archived:?}", reader.room);
    }
    Ok(())
}

async fn joining(version: Version, storage: Storage) -> Result<()> {
    let fed = raise("joining", version, storage).await?;
    a_join_is_ordinary_and_crosses_each_link_once(&fed).await?;
    only_moderators_see_real_jids_in_a_semi_anonymous_room(&fed).await?;
    everybody_sees_real_jids_in_a_non_anonymous_room(&fed).await?;
    fed.finish().await
}

on_every_version! {
    fn joining_a_shadow_is_joining_a_room(version, storage = Sqlite) {
        joining(version, storage).await
    }
}
