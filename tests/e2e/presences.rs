//! Presence of occupants at every instance: changes, leaving, nicks, several clients, self-ping.

use anyhow::{Context, Result};
use dmuc_testbed::{
    Element, Federation, Storage, Version, code_list, error_condition, on_every_version, to_string,
};

use crate::stage::{
    CLIENT, Item, MUC_USER, Person, children, company, gathered, occupant_id, once_from, payload, quiet,
    raise, traffic,
};
use crate::support::from;

/// Waits for a presence of a nick as this person sees it.
async fn presence_of(viewer: &Person, nick: &str) -> Result<Element> {
    let is_from = from(&viewer.room, nick);
    viewer
        .expect(&format!("presence of {nick}"), |s| {
            s.is("presence", CLIENT) && is_from(s)
        })
        .await
}

fn status(presence: &Element) -> Option<String> {
    presence.get_child("status", CLIENT).map(Element::text)
}

/// Nothing more has arrived anywhere.
async fn nothing_more(fed: &Federation, people: &[&Person]) -> Result<()> {
    quiet(fed, people).await?;
    for person in people {
        let rest = person.take_all()?;
        let rest: Vec<String> = rest.iter().map(to_string).collect();
        assert_eq!(rest, [""; 0], "what {} got besides", person.nick);
    }
    Ok(())
}

/// show, status, caps and the hash of the avatar arrive everywhere, once, over each link once.
async fn a_changed_presence_is_seen_everywhere(fed: &Federation) -> Result<()> {
    let people = company(fed, "wood", &[]).await?;
    let all = people.each_ref();
    let content = "<show>dnd</show><status>in a &lt;trance&gt;</status><status xml:lang='la'>in somno</status>\
        <c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://witch.example' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/>\
        <x xmlns='vcard-temp:x:update'><photo>sha1-of-a-cat</photo></x><nick xmlns='http://jabber.org/protocol/nick'>W</nick>";
    for (index, sender) in people.iter().enumerate() {
        let before = sender.roster();
        assert!(before.is_empty() || before.contains_key(&sender.nick));
        fed.reset_stats().await?;
        sender
            .send_xml(&format!(
                "<presence to='{}'>{content}</presence>",
                sender.sees(&sender.nick)
            ))
            .await?;
        let sent = children(content)?;
        let own = occupant_id(&sender.joined.self_presence)?;
        for viewer in &people {
            let seen = presence_of(viewer, &sender.nick).await?;
            let mut got = payload(&seen);
            // mod_vcard_legacy may have a hash of its own; the client's own comes unchanged.
            got.retain(|child| sent.contains(child));
            assert_eq!(
                got,
                sent,
                "{} sees {}: {}",
                viewer.nick,
                sender.nick,
                to_string(&seen)
            );
            assert_eq!(occupant_id(&seen)?, own);
            assert_eq!(code_list(&seen).contains(&110), viewer.nick == sender.nick);
        }
        nothing_more(fed, &all).await?;
        assert_eq!(traffic(fed).await?, once_from(fed, index, (0, 1)));
    }
    // A second look: who joins later sees the last presence.
    let sister = Person::joins(fed, 1, "sister", "wood", "sister").await?;
    for nick in ["firstcrone", "faust"] {
        let presences = sister.joined.presences.iter();
        let seen = presences
            .clone()
            .find(|p| from(&sister.room, nick)(p))
            .context("everybody's presence")?;
        assert_eq!(
            seen.get_child("show", CLIENT).map(Element::text).as_deref(),
            Some("dnd")
        );
        assert!(seen.get_child("c", "http://jabber.org/protocol/caps").is_some());
    }
    Ok(())
}

/// The status text of a leave, and a connection that breaks, at every instance.
async fn leaving_and_vanishing_are_seen_everywhere(fed: &Federation) -> Result<()> {
    let [crone, witch, faust] = company(fed, "camp", &[]).await?;
    let sister = Person::joins(fed, 1, "sister", "camp", "sister").await?;
    gathered(fed, "camp", &["faust", "firstcrone", "firstwitch", "sister"]).await?;
    let all = [&crone, &witch, &faust, &sister];
    quiet(fed, &all).await?;
    for person in all {
        person.take_all()?;
    }
    fed.reset_stats().await?;
    sister
        .send_xml(&format!(
            "<presence type='unavailable' to='{}'><status>gone to sleep</status></presence>",
            sister.sees("sister")
        ))
        .await?;
    for viewer in [&crone, &witch, &faust, &sister] {
        let seen = presence_of(viewer, "sister").await?;
        assert_eq!(seen.attr("type"), Some("unavailable"));
        assert_eq!(status(&seen).as_deref(), Some("gone to sleep"));
        assert_eq!(code_list(&seen).contains(&110), viewer.nick == "sister");
        let item = Item::of(&seen).context("an item")?;
        assert_eq!((&*item.affiliation, &*item.role), ("none", "none"));
        assert_eq!(occupant_id(&seen)?, occupant_id(&sister.joined.self_presence)?);
    }
    nothing_more(fed, &all).await?;
    assert_eq!(traffic(fed).await?, once_from(fed, 1, (0, 1)));

    // Without smacks hibernation in the way: the stream closes, the room sees it at once.
    faust.close().await?;
    for viewer in [&crone, &witch] {
        let seen = presence_of(viewer, "faust").await?;
        assert_eq!(seen.attr("type"), Some("unavailable"));
    }
    gathered(fed, "camp", &["firstcrone", "firstwitch"]).await?;
    witch.abort().await?;
    let seen = presence_of(&crone, "firstwitch").await?;
    assert_eq!(seen.attr("type"), Some("unavailable"));
    gathered(fed, "camp", &["firstcrone"]).await?;
    nothing_more(fed, &[&crone]).await
}

/// 303 with the new nick, then the presence under the new nick.
async fn a_new_nick_is_announced_everywhere(fed: &Federation) -> Result<()> {
    let mut people = company(fed, "castle", &[]).await?;
    for (index, new) in ["hecate", "second witch", "Фауст & Söhne"]
        .into_iter()
        .enumerate()
    {
        let own_id = occupant_id(&people[index].joined.self_presence)?;
        fed.reset_stats().await?;
        let old = std::mem::replace(&mut people[index].nick, new.to_owned());
        people[index].change_nick(&people[index].room, new).await?;
        for viewer in people.iter().filter(|viewer| viewer.nick != new) {
            let seen = presence_of(viewer, &old).await?;
            assert_eq!(seen.attr("type"), Some("unavailable"), "{}", to_string(&seen));
            assert_eq!(code_list(&seen), [303]);
            let item = seen
                .get_child("x", MUC_USER)
                .and_then(|x| x.get_child("item", MUC_USER));
            assert_eq!(
                item.and_then(|item| item.attr("nick")),
                Some(new),
                "{}",
                to_string(&seen)
            );
            let seen = presence_of(viewer, new).await?;
            assert_eq!(seen.attr("type"), None);
            assert_eq!(code_list(&seen), [0u16; 0]);
            assert_eq!(occupant_id(&seen)?, own_id);
        }
        nothing_more(fed, &people.each_ref()).await?;
        assert_eq!(traffic(fed).await?, once_from(fed, index, (0, 2)));
    }
    // The nick is the one messages come from, and the old ones are free.
    let id = people[2].say(&people[2].room, "It is I").await?;
    for viewer in &people {
        let message = viewer.expect_body("It is I").await?;
        assert_eq!(message.attr("id"), Some(&*id));
        assert_eq!(message.attr("from"), Some(&*viewer.sees("Фауст & Söhne")));
    }
    Person::joins(fed, 1, "sister", "castle", "faust").await?;
    Ok(())
}

/// Joining with, and changing to, a nick that somebody has at another instance.
async fn a_nick_in_use_elsewhere_is_a_conflict(fed: &Federation) -> Result<()> {
    let [crone, witch, faust] = company(fed, "hall", &[]).await?;
    let newcomer = fed[1].client("newcomer", "hall").await?;
    for nick in ["firstcrone", "faust"] {
        let refused = newcomer.try_join(&witch.room, nick).await?;
        let error = refused.err().context("a refusal")?;
        assert_eq!(error.condition, "conflict");
    }
    let thief = fed[0].client("thief", "hall").await?;
    let refused = thief.try_join(&crone.room, "faust").await?;
    assert_eq!(refused.err().context("a refusal")?.condition, "conflict");
    faust
        .send_xml(&format!("<presence to='{}'/>", faust.sees("firstwitch")))
        .await?;
    let error = faust
        .expect("a conflict", |s| s.attr("type") == Some("error"))
        .await?;
    assert_eq!(error_condition(&error).as_deref(), Some("conflict"));
    nothing_more(fed, &[&crone, &witch, &faust]).await?;
    gathered(fed, "hall", &["faust", "firstcrone", "firstwitch"]).await
}

/// Two clients of one person under one nick at a shadow are one occupant everywhere, gone with the last.
async fn two_clients_of_one_person_are_one_occupant(fed: &Federation) -> Result<()> {
    let [crone, witch, faust] = company(fed, "cave", &[]).await?;
    fed.reset_stats().await?;
    let tablet = fed[1].client("somewitch", "cave-tablet").await?;
    let joined = tablet.join(&witch.room, "firstwitch").await?;
    assert_eq!(joined.own_nick(), "firstwitch");
    gathered(fed, "cave", &["faust", "firstcrone", "firstwitch"]).await?;
    quiet(fed, &[&crone, &witch, &faust]).await?;
    let message = crone.say_and_see(&crone.room, "To both").await?;
    let id = message.attr("id");
    assert_eq!(witch.expect_body("To both").await?.attr("id"), id);
    assert_eq!(tablet.expect_body("To both").await?.attr("id"), id);
    let sent = tablet.say_and_see(&witch.room, "From one").await?;
    for viewer in [&crone, &witch, &faust] {
        let message = viewer.expect_body("From one").await?;
        assert_eq!(message.attr("id"), sent.attr("id"));
        assert_eq!(message.attr("from"), Some(&*viewer.sees("firstwitch")));
    }
    for viewer in [&crone, &faust] {
        viewer.drain();
    }
    tablet.close().await?;
    quiet(fed, &[&crone, &witch, &faust]).await?;
    gathered(fed, "cave", &["faust", "firstcrone", "firstwitch"]).await?;
    for viewer in [&crone, &faust] {
        for presence in viewer.take_all()? {
            assert_eq!(
                presence.attr("type"),
                None,
                "still there: {}",
                to_string(&presence)
            );
        }
    }
    witch.leave(&witch.room, "firstwitch").await?;
    for viewer in [&crone, &faust] {
        let seen = presence_of(viewer, "firstwitch").await?;
        assert_eq!(seen.attr("type"), Some("unavailable"));
    }
    gathered(fed, "cave", &["faust", "firstcrone"]).await
}

/// XEP-0410, answered by the own instance without asking anybody.
async fn a_self_ping_tells_who_is_in(fed: &Federation) -> Result<()> {
    let people = company(fed, "tower", &[]).await?;
    quiet(fed, &people.each_ref()).await?;
    fed.reset_stats().await?;
    for person in &people {
        assert_eq!(person.self_ping(&person.room, &person.nick).await?, None);
    }
    assert_eq!(
        fed.muc_traffic(1, 0).await?.stanzas,
        0,
        "nobody elsewhere is asked"
    );
    assert_eq!(fed.muc_traffic(0, 1).await?.stanzas, 0);
    for person in &people[1..] {
        person.leave(&person.room, &person.nick).await?;
        let condition = person.self_ping(&person.room, &person.nick).await?;
        assert_eq!(condition.as_deref(), Some("not-acceptable"));
    }
    Ok(())
}

async fn presences(version: Version, storage: Storage) -> Result<()> {
    let fed = raise("presences", version, storage).await?;
    a_changed_presence_is_seen_everywhere(&fed).await?;
    a_new_nick_is_announced_everywhere(&fed).await?;
    a_nick_in_use_elsewhere_is_a_conflict(&fed).await?;
    two_clients_of_one_person_are_one_occupant(&fed).await?;
    a_self_ping_tells_who_is_in(&fed).await?;
    leaving_and_vanishing_are_seen_everywhere(&fed).await?;
    fed.finish().await
}

on_every_version! {
    fn presence_is_the_same_at_every_instance(version, storage) {
        presences(version, storage).await
    }
}
