//! One id (G5): the same stanza-id, message id and occupant-id live, in the history and in the archive, everywhere. Where
//! there is no archive there is no stanza-id (XEP-0313, as in an ordinary room).

use anyhow::{Context, Result};
use dmuc_testbed::{Element, Federation, Storage, Version, on_every_version, to_string};

use crate::stage::{
    DELAY, OCCUPANT_ID, Person, STANZA_ID, company, gathered, maybe_stanza_id, occupant_id, payload, quiet,
};
use crate::support::three;

/// What identifies a message; its stanza-id where it is archived.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ids {
    nick: String,
    message: String,
    stanza: Option<String>,
    occupant: String,
}

fn ids(message: &Element, room: &str) -> Result<Ids> {
    let from = message.attr("from").context("from")?;
    Ok(Ids {
        nick: from.split_once('/').context("a nick")?.1.to_owned(),
        message: message.attr("id").context("id")?.to_owned(),
        stanza: maybe_stanza_id(message, room)?,
        occupant: occupant_id(message)?,
    })
}

/// What somebody sees of the same messages where they are archived, or are not.
fn as_seen(live: &[(Ids, Vec<String>)], has_archive: bool) -> Vec<(Ids, Vec<String>)> {
    let mut seen = live.to_vec();
    if !has_archive {
        seen.iter_mut().for_each(|(ids, _)| ids.stanza = None);
    }
    seen
}

/// Takes what arrived, which is nothing but messages.
fn take_ids(viewer: &Person) -> Result<Vec<(Ids, Vec<String>)>> {
    let all = viewer.take_all()?;
    all.iter()
        .map(|message| Ok((ids(message, &viewer.room)?, payload(message))))
        .collect()
}

/// The archive of a room as one person gets it, in pages of two.
async fn archive(person: &Person) -> Result<Vec<(Ids, Vec<String>)>> {
    let items = person.mam_pages(&person.room, 2).await?;
    let mut found = Vec::new();
    for item in items {
        let message = &item.message;
        let from = message.attr("from").context("from")?;
        let (room, nick) = from.split_once('/').context("a nick")?;
        assert_eq!(room, person.room, "{}", to_string(message));
        let id = Ids {
            nick: nick.to_owned(),
            message: message.attr("id").context("id")?.to_owned(),
            stanza: Some(item.id.clone()),
            occupant: occupant_id(message)?,
        };
        found.push((id, payload(message)));
    }
    Ok(found)
}

/// A message's ids and content: the same for its sender, everybody else, who joins later, and in every archive.
async fn every_message_has_one_id(fed: &Federation, with_archive: [bool; 3]) -> Result<()> {
    let people = company(fed, "coven", &[]).await?;
    let contents = [
        "<body>one</body>",
        "<body>two</body><body xml:lang='de'>zwei</body>",
        "<reactions xmlns='urn:xmpp:reactions:0' id='x'><reaction>👋</reaction></reactions><store xmlns='urn:xmpp:hints'/>",
        "<body>three</body><a xmlns='urn:x:a' xmlns:q='urn:x:q' q:is='&lt;'><b/>&amp;</a>",
    ];
    for sender in &people {
        for content in contents {
            sender.sends(content).await?;
        }
        quiet(fed, &people.each_ref()).await?;
    }
    let mut all_seen = Vec::new();
    for viewer in &people {
        all_seen.push(take_ids(viewer)?);
    }
    let archived = with_archive.iter().position(|has| *has).context("an archive")?;
    let live = all_seen[archived].clone();
    assert_eq!(live.len(), 3 * contents.len());
    for ((viewer, seen), has_archive) in people.iter().zip(all_seen).zip(with_archive) {
        assert_eq!(seen, as_seen(&live, has_archive), "what {} saw", viewer.nick);
    }
    for person in &people {
        let own = occupant_id(&person.joined.self_presence)?;
        let said: Vec<_> = live.iter().filter(|(id, _)| id.nick == person.nick).collect();
        assert_eq!(said.len(), contents.len());
        assert!(said.iter().all(|(id, _)| id.occupant == own), "{said:?}");
    }
    let mut unique: Vec<&str> = live.iter().filter_map(|(id, _)| id.stanza.as_deref()).collect();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), live.len());

    for (person, has_archive) in people.iter().zip(with_archive) {
        let features = person.disco_info(&person.room).await?;
        let has = |var: &str| features.children().any(|f| f.attr("var") == Some(var));
        assert_eq!(has(STANZA_ID), has_archive, "{} promises ids", person.room);
        assert_eq!(has("urn:xmpp:mam:2"), has_archive);
        let late = Person::joins(
            fed,
            person.server,
            "late",
            "coven",
            &format!("late{}", person.server),
        )
        .await?;
        let mut history = Vec::new();
        for message in &late.joined.history {
            let own_delays = message.children().filter(|c| c.is("delay", DELAY));
            assert_eq!(
                own_delays.filter(|d| d.attr("from") == Some(&late.room)).count(),
                1
            );
            history.push((ids(message, &late.room)?, payload(message)));
        }
        assert_eq!(
            history,
            as_seen(&live, has_archive),
            "the history of {}",
            late.room
        );
        if has_archive {
            assert_eq!(archive(&late).await?, live, "the archive of {}", late.room);
        }
    }
    Ok(())
}

/// Ids that a client makes up in the name of rooms.
async fn forged_ids_are_removed(fed: &Federation, with_archive: [bool; 3]) -> Result<()> {
    let people = company(fed, "forge", &[]).await?;
    for sender in &people {
        let mut forged = "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/>".to_owned();
        for viewer in &people {
            // The same address in two forms.
            for by in [viewer.room.clone(), viewer.room.to_uppercase()] {
                forged.push_str(&format!("<stanza-id xmlns='{STANZA_ID}' by='{by}' id='forged'/>"));
            }
        }
        let text = format!("{} forges", sender.nick);
        sender.sends(&format!("{forged}<body>{text}</body>")).await?;
        let mut seen = Vec::new();
        for (viewer, has_archive) in people.iter().zip(with_archive) {
            let message = viewer.expect_body(&text).await?;
            let id = ids(&message, &viewer.room)?;
            assert_eq!(id.stanza.is_some(), has_archive, "{}", to_string(&message));
            assert_ne!(id.stanza.as_deref(), Some("forged"));
            assert_eq!(id.occupant, occupant_id(&sender.joined.self_presence)?);
            let by_this_room = |s: &&Element| {
                let by = s.attr("by").unwrap_or_default();
                s.name() == "stanza-id" && by.eq_ignore_ascii_case(&viewer.room)
            };
            let count = message.children().filter(by_this_room).count();
            assert_eq!(count, usize::from(has_archive), "{}", to_string(&message));
            seen.push(id);
        }
        let given: Vec<&String> = seen.iter().filter_map(|id| id.stanza.as_ref()).collect();
        assert!(given.iter().all(|id| *id == given[0]), "{seen:?}");
        sender
            .send_xml(&format!(
                "<presence to='{}'><status>{text}</status>{forged}</presence>",
                sender.sees(&sender.nick)
            ))
            .await?;
        for viewer in &people {
            let is_it = |s: &Element| s.children().any(|c| c.name() == "status" && c.text() == text);
            let presence = viewer.expect("a presence", is_it).await?;
            assert_eq!(occupant_id(&presence)?, seen[0].occupant);
        }
    }
    // Nor with the first presence.
    let late = fed[1].client("late", "forge").await?;
    let mark = late.mark();
    late.send_xml(&format!(
        "<presence to='{}/late'><x xmlns='http://jabber.org/protocol/muc'/><occupant-id xmlns='{OCCUPANT_ID}' id='forged'/>\
         </presence>",
        people[1].room
    ))
    .await?;
    let joined = late.joining(mark, &people[1].room).await??;
    assert_ne!(occupant_id(&joined.self_presence)?, "forged");
    for message in &joined.history {
        assert_ne!(
            maybe_stanza_id(message, &people[1].room)?.as_deref(),
            Some("forged")
        );
    }
    Ok(())
}

/// What is not archived has no id, live or in the history: what archives do not keep, and what is said while the archive
/// is switched off for the room. What was archived before has it still.
async fn what_is_not_archived_has_no_id(fed: &Federation, with_archive: [bool; 3]) -> Result<()> {
    let people = company(fed, "bog", &[]).await?;
    let crone = &people[0];
    // The setting is the source's, where that has an archive.
    let is_settable = with_archive[0];
    let contents = [
        (
            "<reactions xmlns='urn:xmpp:reactions:0' id='x'><reaction>+</reaction></reactions>",
            false,
        ),
        ("<received xmlns='urn:xmpp:receipts' id='x'/>", false),
        (
            "<body>secret</body><no-permanent-store xmlns='urn:xmpp:hints'/>",
            false,
        ),
        ("<potion xmlns='urn:example:cauldron'/>", false),
        (
            "<potion xmlns='urn:example:cauldron'/><store xmlns='urn:xmpp:hints'/>",
            true,
        ),
        ("<body>archived</body>", true),
    ];
    for is_on in [true, false] {
        let value = if is_on { "1" } else { "0" };
        crone
            .configure_room(&crone.room, &[("muc#roomconfig_enablearchiving", value)])
            .await?;
        quiet(fed, &people.each_ref()).await?;
        for sender in &people {
            for (content, is_archived) in contents {
                let id = sender.sends(content).await?;
                for (viewer, has_archive) in people.iter().zip(with_archive) {
                    let is_it = |s: &Element| s.name() == "message" && s.attr("id") == Some(&*id);
                    let message = viewer.expect("a message", is_it).await?;
                    assert_eq!(
                        maybe_stanza_id(&message, &viewer.room)?.is_some(),
                        is_archived && has_archive && (is_on || !is_settable),
                        "at {}: {}",
                        viewer.room,
                        to_string(&message)
                    );
                }
            }
        }
    }
    for (person, has_archive) in people.iter().zip(with_archive) {
        let late = Person::joins(
            fed,
            person.server,
            "late",
            "bog",
            &format!("late{}", person.server),
        )
        .await?;
        let archived: Vec<String> = match has_archive {
            true => late
                .mam_all(&late.room)
                .await?
                .into_iter()
                .map(|item| item.id)
                .collect(),
            false => Vec::new(),
        };
        let mut shown = Vec::new();
        for message in &late.joined.history {
            shown.extend(maybe_stanza_id(message, &late.room)?);
        }
        assert_eq!(late.joined.history.len(), 2 * 3 * 2, "at {}", late.room);
        assert_eq!(shown, archived, "at {}", late.room);
        let expected = match (has_archive, is_settable) {
            (false, _) => 0,
            (true, true) => 2 * 3,
            (true, false) => 2 * 2 * 3,
        };
        assert_eq!(shown.len(), expected, "at {}", late.room);
    }
    Ok(())
}

/// Somebody who comes back under another nick, and at another instance, has the same occupant-id.
async fn an_occupant_id_belongs_to_a_person(fed: &Federation) -> Result<()> {
    let people = company(fed, "glen", &[]).await?;
    let first = Person::joins(fed, 1, "sister", "glen", "sister").await?;
    let id = occupant_id(&first.joined.self_presence)?;
    first.leave(&first.room, "sister").await?;
    gathered(fed, "glen", &["faust", "firstcrone", "firstwitch"]).await?;
    let again = Person::joins(fed, 1, "sister", "glen", "elsewise").await?;
    assert_eq!(occupant_id(&again.joined.self_presence)?, id);
    again.say(&again.room, "It is I").await?;
    for viewer in &people {
        assert_eq!(occupant_id(&viewer.expect_body("It is I").await?)?, id);
    }
    Ok(())
}

/// With archives of both kinds, and without one.
async fn one_id(version: Version, storages: [Storage; 3], archives: [bool; 3]) -> Result<()> {
    let mut builder = three("ids", version, Storage::Internal).muc_line("muc_log_all_rooms = false");
    for index in 0..3 {
        builder = builder.with_server(index, |server| {
            server.storage = storages[index];
            server.mam = archives[index];
        });
    }
    let fed = builder.start().await?;
    every_message_has_one_id(&fed, archives).await?;
    forged_ids_are_removed(&fed, archives).await?;
    what_is_not_archived_has_no_id(&fed, archives).await?;
    an_occupant_id_belongs_to_a_person(&fed).await?;
    fed.finish().await
}

on_every_version! {
    fn a_message_has_one_id_everywhere(version) {
        let storages = [Storage::Internal, Storage::Sqlite, Storage::Internal];
        let archives = match version.is_0_12() {
            true => [true, true, false],
            false => [false, true, true],
        };
        one_id(version, storages, archives).await
    }
}
