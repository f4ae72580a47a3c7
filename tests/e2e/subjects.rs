//! Subjects: set at any instance by who is entitled, seen once everywhere, from the right nick.

use anyhow::{Context, Result};
use dmuc_testbed::{Element, Federation, Storage, Version, error_condition, on_every_version, to_string};

use crate::stage::{CLIENT, Person, company, once_from, quiet, raise, traffic};

/// The subjects among what arrived, which is nothing else: who set it, and what it is.
fn take_subjects(viewer: &Person) -> Result<Vec<(String, String)>> {
    let all = viewer.take_all()?;
    let subject = |message: &Element| {
        let subject = message
            .get_child("subject", CLIENT)
            .with_context(|| format!("only subjects: {}", to_string(message)))?;
        let from = message.attr("from").context("from")?;
        assert!(from.starts_with(&format!("{}/", viewer.room)), "{from}");
        Ok((
            from.split_once('/').unwrap_or_default().1.to_owned(),
            subject.text(),
        ))
    };
    all.iter().map(subject).collect()
}

async fn latecomers_see(fed: &Federation, people: &[Person; 3], nick: &str, subject: &str) -> Result<()> {
    for person in people {
        let client = fed[person.server].client("late", nick).await?;
        let joined = client.join(&person.room, "latecomer").await?;
        assert_eq!(joined.subject(), subject, "{}", person.room);
        if !subject.is_empty() {
            assert_eq!(joined.subject_message.attr("from"), Some(&*person.sees(nick)));
        }
        client.leave(&person.room, "latecomer").await?;
        quiet(fed, &people.each_ref()).await?;
    }
    for person in people {
        person.take_all()?;
    }
    Ok(())
}

/// Without the right only the moderator may, at the source; everybody else is refused and nothing happens.
async fn who_may_not_set_the_subject_is_told_so(fed: &Federation) -> Result<()> {
    let people = company(fed, "coven", &[("muc#roomconfig_changesubject", "0")]).await?;
    let [crone, witch, faust] = people.each_ref();
    fed.reset_stats().await?;
    for person in [witch, faust] {
        let id = person.set_subject(&person.room, "Mine").await?;
        let error = person
            .expect("a refusal", |s| {
                s.attr("type") == Some("error") && s.attr("id") == Some(&*id)
            })
            .await?;
        assert_eq!(error_condition(&error).as_deref(), Some("forbidden"));
    }
    quiet(fed, &people.each_ref()).await?;
    assert_eq!(
        traffic(fed).await?,
        once_from(fed, 0, (0, 0)),
        "a refusal needs nobody else"
    );
    crone
        .set_subject(&crone.room, "Fire burn & cauldron bubble")
        .await?;
    quiet(fed, &people.each_ref()).await?;
    for viewer in &people {
        let wanted = [("firstcrone".to_owned(), "Fire burn & cauldron bubble".to_owned())];
        assert_eq!(take_subjects(viewer)?, wanted, "{}", viewer.nick);
    }
    assert_eq!(traffic(fed).await?, once_from(fed, 0, (1, 0)));
    latecomers_see(fed, &people, "firstcrone", "Fire burn & cauldron bubble").await
}

/// With the right everybody may, at the own instance.
async fn a_subject_set_at_a_shadow_is_everybodys(fed: &Federation) -> Result<()> {
    let people = company(fed, "heath", &[("muc#roomconfig_changesubject", "1")]).await?;
    for (index, subject) in [
        (1, "When shall we three meet again"),
        (2, "Che sarà, sarà"),
        (0, "Fair is foul"),
    ] {
        fed.reset_stats().await?;
        let setter = &people[index];
        setter.set_subject(&setter.room, subject).await?;
        quiet(fed, &people.each_ref()).await?;
        for viewer in &people {
            let wanted = [(setter.nick.clone(), subject.to_owned())];
            assert_eq!(take_subjects(viewer)?, wanted, "{}", viewer.nick);
        }
        let mut wanted = once_from(fed, 0, (1, 0));
        if index != 0 {
            wanted.insert((index, 0), (1, 0));
        }
        assert_eq!(traffic(fed).await?, wanted);
        latecomers_see(fed, &people, &setter.nick, subject).await?;
    }
    // And taken away again.
    people[1].set_subject(&people[1].room, "").await?;
    quiet(fed, &people.each_ref()).await?;
    for viewer in &people {
        assert_eq!(take_subjects(viewer)?, [("firstwitch".to_owned(), String::new())]);
    }
    latecomers_see(fed, &people, "firstwitch", "").await
}

async fn subjects(version: Version, storage: Storage) -> Result<()> {
    let fed = raise("subjects", version, storage).await?;
    who_may_not_set_the_subject_is_told_so(&fed).await?;
    a_subject_set_at_a_shadow_is_everybodys(&fed).await?;
    fed.finish().await
}

on_every_version! {
    fn a_subject_is_seen_once_everywhere(version, storage) {
        subjects(version, storage).await
    }
}
