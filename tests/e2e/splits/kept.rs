//! Nobody is kicked by a network (G8): people stay, their pings and messages work, others are shown as out of reach and then
//! as before, and the room says so in one line at each end.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Element, Storage, Version, on_every_version, to_string};

use super::agreement::{agree, client_roster, one_history, unharmed};
use super::hasty;
use super::patience;
use super::scene::{ALL, NICKS, Scene, Witness, is_beginning, is_end};
use crate::stage::{CLIENT, Item, occupant_id};

fn child(presence: &Element, name: &str) -> Option<String> {
    presence.get_child(name, CLIENT).map(Element::text)
}

fn presences_of(witness: &Witness, nick: &str, since: usize) -> Vec<Element> {
    let jid = witness.sees(nick);
    let all = witness.came_since(since);
    all.into_iter()
        .filter(|s| s.is("presence", CLIENT) && s.attr("from") == Some(&*jid))
        .collect()
}

fn is_unreachable(presence: &Element, service: &str) -> bool {
    presence.attr("type").is_none()
        && child(presence, "show").as_deref() == Some("xa")
        && child(presence, "status").is_some_and(|status| status.contains(service))
}

/// Both others of somebody.
fn others(of: usize) -> impl Iterator<Item = usize> {
    ALL.into_iter().filter(move |other| *other != of)
}

/// Somebody goes on: pings themselves, speaks, and is seen by who comes.
async fn goes_on(scene: &Scene<'_>, who: usize) -> Result<()> {
    let witness = &scene.people[who];
    for _ in 0..2 {
        let ping = witness.self_ping(&witness.room, &witness.nick).await?;
        ensure!(ping.is_none(), "{} pings themselves: {ping:?}", witness.nick);
        scene.speaks(who, 2).await?;
    }
    unharmed(witness)
}

/// Everybody is alone; each server has another `dmuc_split_presence`, the second says nothing in rooms.
async fn alone(scene: &Scene<'_>, marks: [usize; 3]) -> Result<()> {
    // What tells of it is different for each: lines at the first and the third, nothing at all at the second.
    for (at, of) in [(0, 1), (0, 2), (2, 0), (2, 1)] {
        scene.people[at].sees_split(scene.service(of)).await?;
    }
    let crone = &scene.people[0];
    for other in others(0) {
        let what = format!("{} is out of reach", NICKS[other]);
        let service = scene.service(other);
        let jid = crone.sees(NICKS[other]);
        crone
            .until(&what, patience(), |all| {
                all.iter()
                    .any(|s| s.attr("from") == Some(&*jid) && is_unreachable(s, service))
            })
            .await?;
        let seen = presences_of(crone, NICKS[other], marks[0]);
        ensure!(seen.len() == 1, "{} presences of {}", seen.len(), NICKS[other]);
        let before = scene.people[other].joined.self_presence.clone();
        ensure!(occupant_id(&seen[0])? == occupant_id(&before)?);
        let (now, then) = (
            Item::of(&seen[0]).context("an item")?,
            Item::of(&before).context("an item")?,
        );
        ensure!(
            (&now.role, &now.affiliation) == (&then.role, &then.affiliation),
            "{now:?}"
        );
    }
    let faust = &scene.people[2];
    for other in others(2) {
        let jid = faust.sees(NICKS[other]);
        faust
            .until("they have left", patience(), |all| {
                all.iter()
                    .any(|s| s.attr("from") == Some(&*jid) && s.attr("type") == Some("unavailable"))
            })
            .await?;
        let seen = presences_of(faust, NICKS[other], marks[2]);
        ensure!(
            seen.len() == 1 && seen[0].attr("type") == Some("unavailable"),
            "{seen:?}"
        );
    }
    // Who keeps them sees nothing; the same for who comes now.
    let expected = [
        ("late0", vec!["faust", "firstwitch"]),
        ("late1", vec!["faust", "firstcrone"]),
        ("late2", vec![]),
    ];
    for (who, (nick, nicks)) in expected.into_iter().enumerate() {
        let witness = &scene.people[who];
        let late = scene.enters(witness.server, "late", "split", nick).await?;
        let mut found = late.joined.nicks();
        found.retain(|nick| *nick != witness.nick);
        found.sort();
        ensure!(found == nicks, "who comes to {} sees {found:?}", witness.room);
        for presence in &late.joined.presences {
            let from = presence.attr("from").unwrap_or_default();
            let Some(other) = others(who).find(|other| from == late.sees(NICKS[*other])) else {
                continue;
            };
            ensure!(
                is_unreachable(presence, scene.service(other)) == (who == 0),
                "{}",
                to_string(presence)
            );
        }
        late.leave(&late.room, nick).await?;
        late.close().await?;
    }
    let witch = &scene.people[1];
    witch.sync().await?;
    for other in others(1) {
        let seen = presences_of(witch, NICKS[other], marks[1]);
        ensure!(seen.is_empty(), "{seen:?}");
    }
    Ok(())
}

async fn nobody_is_kicked(label: &str, stalls: bool, version: Version, storage: Storage) -> Result<()> {
    let fed = hasty(label, version, storage)
        .with_server(1, |s| {
            s.muc_lines.push("dmuc_split_presence = \"keep\"".into());
            s.muc_lines.push("dmuc_split_notice = false".into());
        })
        .with_server(2, |s| s.muc_lines.push("dmuc_split_presence = \"leave\"".into()))
        .start()
        .await?;
    let scene = Scene::opens(&fed, "coven", &[]).await?;
    for witness in &scene.people {
        let (to, nick) = (witness.sees(&witness.nick), &witness.nick);
        witness
            .send_xml(&format!(
                "<presence to='{to}'><show>dnd</show><status>{nick} toils</status></presence>"
            ))
            .await?;
        for viewer in &scene.people {
            let wanted = viewer.sees(nick);
            viewer
                .until("the status arrives", patience(), |all| {
                    all.iter().any(|s| {
                        s.attr("from") == Some(&*wanted) && child(s, "show").as_deref() == Some("dnd")
                    })
                })
                .await?;
        }
    }
    agree(&scene).await?;
    let before = client_roster(&scene.people[0]);
    let marks = ALL.map(|who| scene.people[who].now());

    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        match stalls {
            true => fed.link(a, b).stall().await,
            false => fed.link(a, b).cut().await,
        }
    }
    for who in ALL {
        goes_on(&scene, who).await?;
    }
    alone(&scene, marks).await?;
    for who in ALL {
        goes_on(&scene, who).await?;
    }

    let marks = ALL.map(|who| scene.people[who].now());
    fed.heal_all().await;
    for (at, of) in [(0, 1), (0, 2), (2, 0), (2, 1)] {
        scene.people[at].sees_end(scene.service(of)).await?;
    }
    scene.converse(1).await?;
    agree(&scene).await?;
    ensure!(
        client_roster(&scene.people[0]) == before,
        "not as before: {:?}",
        client_roster(&scene.people[0])
    );
    // Each that was shown otherwise is shown once more, and nobody else.
    for (who, expected) in [(0, 1), (1, 0), (2, 1)] {
        let witness = &scene.people[who];
        for other in others(who) {
            let seen = presences_of(witness, NICKS[other], marks[who]);
            ensure!(
                seen.len() == expected && seen.iter().all(|s| s.attr("type").is_none()),
                "{} sees of {}: {seen:?}",
                witness.nick,
                NICKS[other]
            );
        }
        let own = presences_of(witness, &witness.nick, marks[who]);
        ensure!(own.is_empty(), "{own:?}");
    }
    // One line at each end for each service that was out of reach, and none where they are not wanted.
    for (who, count) in [(0, 1), (1, 0), (2, 1)] {
        let witness = &scene.people[who];
        let lines = witness.room_lines();
        for other in others(who) {
            let service = scene.service(other);
            let begun = lines.iter().filter(|text| is_beginning(text, service)).count();
            let ended = lines.iter().filter(|text| is_end(text, service)).count();
            ensure!((begun, ended) == (count, count), "{}: {lines:?}", witness.nick);
        }
        ensure!(lines.len() == 4 * count, "{}: {lines:?}", witness.nick);
    }
    // And none of them is kept (`agree` has looked into the archives).
    one_history(&scene).await?;
    fed.finish().await
}

on_every_version! {
    fn a_cut_kicks_nobody_and_says_so_once_at_each_end(version, storage) {
        nobody_is_kicked("kept-cut", false, version, storage).await
    }

    fn a_stall_kicks_nobody_and_says_so_once_at_each_end(version, storage = Sqlite) {
        nobody_is_kicked("kept-stall", true, version, storage).await
    }
}
