//! A full room whose link fails: everybody sees of everybody once that they are out of reach, and once that they are back. That
//! this is cut into turns is in tests/specs/crowds_spec.lua, and how long they are a bench (`crowds`).

use std::time::Duration;

use anyhow::{Result, ensure};
use dmuc_testbed::{Element, Federation, Storage, Version, on_every_version, scaled};
use futures::future::try_join_all;

use super::hasty;
use crate::stage::{CLIENT, Person};
use crate::support::from;

/// How many are in the room at each of two instances.
const PEOPLE: usize = 60;

fn show(presence: &Element) -> Option<String> {
    presence.get_child("show", CLIENT).map(Element::text)
}

/// The presences of those at the other instance: whether they say that they are out of reach.
fn seen_in(all: &[Element], room: &str, nicks: &[String]) -> Vec<(String, bool)> {
    let prefix = format!("{room}/");
    let presences = all.iter().filter(|s| s.is("presence", CLIENT));
    let of = presences.filter_map(|s| Some((s.attr("from")?.strip_prefix(&prefix)?.to_owned(), s)));
    of.filter(|(nick, _)| nicks.contains(nick))
        .map(|(nick, s)| (nick, show(s).as_deref() == Some("xa")))
        .collect()
}

async fn joins(fed: &Federation, server: usize) -> Result<Vec<Person>> {
    let mut people = Vec::new();
    for n in 0..PEOPLE {
        let (user, nick) = (format!("thane{n}"), format!("thane{n}at{server}"));
        people.push(Person::joins(fed, server, &user, "coven", &nick).await?);
    }
    Ok(people)
}

/// Waits until each has seen so much of everybody at the other instance, and nothing else of them.
async fn all_see(viewers: &[Person], of: &[Person], expected: &[bool]) -> Result<()> {
    let nicks: Vec<String> = of.iter().map(|person| person.nick.clone()).collect();
    let within = scaled(Duration::from_secs(60));
    try_join_all(viewers.iter().map(|viewer| {
        let nicks = &nicks;
        async move {
            let count = nicks.len() * expected.len();
            let what = format!("{count} presences of others");
            viewer
                .until(&what, within, |all| {
                    seen_in(all, &viewer.room, nicks).len() >= count
                })
                .await?;
            let all = viewer.with_transcript(|all| seen_in(all, &viewer.room, nicks));
            for nick in nicks {
                let seen = all.iter().filter(|(of, _)| of == nick);
                let seen: Vec<bool> = seen.map(|(_, is_out)| *is_out).collect();
                ensure!(seen == expected, "{} sees {nick}: {seen:?}", viewer.nick);
            }
            anyhow::Ok(())
        }
    }))
    .await?;
    Ok(())
}

async fn a_full_room(version: Version, storage: Storage) -> Result<()> {
    let fed = hasty("crowds", version, storage).start().await?;
    let _crone = Person::founds(&fed, "coven", &[]).await?;
    let (here, there) = (joins(&fed, 0).await?, joins(&fed, 1).await?);
    let last = |people: &[Person]| {
        people
            .last()
            .map(|person| person.nick.clone())
            .unwrap_or_default()
    };
    for (viewers, of) in [(&here, &there), (&there, &here)] {
        let nick = last(of);
        for viewer in viewers {
            if !viewer.joined.nicks().contains(&nick) {
                viewer
                    .expect("the last to come", from(&viewer.room, &nick))
                    .await?;
            }
            viewer.drain();
            viewer.keep_transcript();
        }
    }
    fed.link(0, 1).cut().await;
    all_see(&here, &there, &[true]).await?;
    all_see(&there, &here, &[true]).await?;
    fed.link(0, 1).heal().await;
    all_see(&here, &there, &[true, false]).await?;
    all_see(&there, &here, &[true, false]).await?;
    fed.finish().await
}

on_every_version! {
    fn a_split_of_a_full_room_is_shown_once_to_everybody(version, storage) {
        a_full_room(version, storage).await
    }
}
