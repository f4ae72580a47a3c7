//! A storage that is away: what cannot be read is closed until it can, and what cannot be written waits in memory.

use std::fs;

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Client, Federation, Server, Storage, Version, body, on_every_version, to_string};

use crate::splits::{hasty, patience};
use crate::stage::{MUC_USER, Person, company, maybe_stanza_id, quiet};
use crate::support::{eventually, instances};

const WORDS: &str = "The room's storage cannot be reached yet; try again";
const USERS: [(&str, &str); 3] = [
    ("crone1", "firstcrone"),
    ("somewitch", "firstwitch"),
    ("drfaust", "faust"),
];

pub async fn start(label: &str, version: Version, storage: Storage) -> Result<Federation> {
    let mut builder = hasty(label, version, storage);
    for index in 0..3 {
        builder = builder.with_server(index, |server| server.muc_modules.push("testbed_storage".into()));
    }
    builder.start().await
}

pub fn take_away_at_start(server: &Server, lines: &str) -> Result<()> {
    fs::write(server.dir().join("data/away"), lines).context("writing the file away")
}

pub async fn take_away(server: &Server, how: &str, stores: &[&str]) -> Result<()> {
    let muc = server.muc();
    let stores: String = stores.iter().map(|store| format!(", '{store}'")).collect();
    let chunk = format!("return prosody.hosts['{muc}'].modules.testbed_storage.take_away('{how}'{stores})");
    server.eval(&chunk).await.map(|_| ())
}

pub async fn give_back(server: &Server) -> Result<()> {
    let muc = server.muc();
    let chunk = format!("return prosody.hosts['{muc}'].modules.testbed_storage.give_back()");
    server.eval(&chunk).await.map(|_| ())
}

/// Nobody gets in, and reads why; nor is anything else of the room to be had.
async fn is_closed(client: &Client, room: &str) -> Result<()> {
    let Err(error) = client.try_join(room, "hasty").await? else {
        anyhow::bail!("{room} is open");
    };
    let text = to_string(&error.presence);
    ensure!(
        error.condition == "service-unavailable" && text.contains("'wait'") && text.contains(WORDS),
        "{text}"
    );
    let info = client
        .iq_xml(&format!(
            "<iq type='get' to='{room}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
        ))
        .await?;
    ensure!(to_string(&info).contains(WORDS), "{}", to_string(&info));
    Ok(())
}

/// Whatever is away when a service starts, its rooms are closed until it is back, and then go on; the others go on meanwhile.
async fn closed_until_read(version: Version, storage: Storage) -> Result<()> {
    let fed = start("unread", version, storage).await?;
    let mut people = company(&fed, "coven", &[]).await?;
    let plain = fed[1].client("hag", "plain").await?;
    plain
        .create_room(
            &fed[1].room("plain"),
            "hag",
            &[("muc#roomconfig_persistentroom", "1")],
        )
        .await?;
    let cases = [
        (1, "dmuc raise\n", true),
        (0, "dmuc raise\n", true),
        (1, "dmuc half\ndmuc_log error\n", false),
        (1, "dmuc_log error\n", false),
        (0, "config error\n", false),
    ];
    for (number, (away, lines, is_list_away)) in cases.into_iter().enumerate() {
        let other = if away == 0 { 2 } else { 0 };
        take_away_at_start(&fed[away], lines)?;
        fed[away].restart().await?;
        fed[away]
            .wait_for_log("The storage of distributed rooms cannot be read")
            .await?;
        let client = fed[away].client("hag", &format!("hasty{number}")).await?;
        is_closed(&client, &fed[away].room("coven")).await?;
        if is_list_away {
            is_closed(&client, &fed[away].room("nowhere")).await?;
        }
        if away == 1 {
            client.join(&fed[1].room("plain"), "hag").await?;
        }
        let text = format!("Meanwhile {number}");
        people[other].say_and_see(&people[other].room, &text).await?;
        fs::remove_file(fed[away].dir().join("data/away"))?;
        let mark = fed[away].log().mark();
        give_back(&fed[away]).await?;
        fed[away]
            .log()
            .wait_since(
                mark,
                "The storage of distributed rooms can be read again",
                patience(),
            )
            .await?;
        let (user, nick) = USERS[away];
        people[away] = Person::joins(&fed, away, user, "coven", nick).await?;
        for index in 0..3 {
            let room = fed[index].room("coven");
            eventually(&format!("{room} knows the others"), || async {
                Ok(instances(&fed, index, &room).await?.len() == 2)
            })
            .await?;
        }
        let late = fed[away].client("late", &format!("late{number}")).await?;
        eventually(&format!("{text:?} is in the history"), || async {
            let joined = late.join(&people[away].room, "late").await?;
            late.leave(&people[away].room, "late").await?;
            Ok(joined.history_bodies().contains(&text))
        })
        .await?;
        let text = format!("Afterwards {number}");
        people[away].say(&people[away].room, &text).await?;
        for person in &people {
            person.expect_body(&text).await?;
        }
    }
    for server in fed.servers() {
        let denied =
            server.log_lines_matching("ordinary room here|no such room|does not exist at its source")?;
        ensure!(denied.is_empty(), "{denied:?}");
    }
    let destroyed = people[2].peek().iter().any(|s| {
        s.get_child("x", MUC_USER)
            .is_some_and(|x| x.children().any(|c| c.name() == "destroy"))
    });
    ensure!(!destroyed, "somebody was sent out");
    fed.finish_with_errors().await
}

on_every_version! {
    fn rooms_that_cannot_be_read_are_closed_until_they_can(version) {
        let storage = if version.is_0_12() { Storage::Internal } else { Storage::Sqlite };
        closed_until_read(version, storage).await
    }
}

/// What somebody who joins finds in the history, with the ids by the room, and what is in the archive.
async fn kept(
    fed: &Federation,
    server: usize,
    who: &str,
) -> Result<(Vec<(String, Option<String>)>, Vec<(String, String)>)> {
    let late = Person::joins(fed, server, who, "coven", who).await?;
    let mut history = Vec::new();
    for message in &late.joined.history {
        history.push((
            body(message).unwrap_or_default(),
            maybe_stanza_id(message, &late.room)?,
        ));
    }
    let items = late.mam_all(&late.room).await?;
    let archived = items
        .into_iter()
        .map(|item| (body(&item.message).unwrap_or_default(), item.id));
    late.leave(&late.room, who).await?;
    Ok((history, archived.collect()))
}

/// What is said while nothing can be written is shown without an id by the room, and stored in order when the storage is
/// back: it outlives the process then. Owners and administrators are told once of both.
async fn waits_until_written(version: Version, storage: Storage) -> Result<()> {
    let fed = start("unwritten", version, storage).await?;
    let mut people = company(&fed, "coven", &[]).await?;
    let mut said = Vec::new();
    for (round, how) in ["raise", "error"].into_iter().enumerate() {
        take_away(&fed[0], how, &["dmuc", "dmuc_log", "muc_log"]).await?;
        people[0].drain();
        for (number, speaker) in people.iter().chain([&people[0]]).enumerate() {
            let text = format!("Away {round} {number}");
            speaker.say(&speaker.room, &text).await?;
            for viewer in &people {
                let message = viewer.expect_body(&text).await?;
                let id = maybe_stanza_id(&message, &viewer.room)?;
                ensure!(
                    id.is_some() == (viewer.server != 0),
                    "at {}: {}",
                    viewer.room,
                    to_string(&message)
                );
            }
            said.push(text);
        }
        quiet(&fed, &people.each_ref()).await?;
        give_back(&fed[0]).await?;
        people[0]
            .expect_within("it is said that the storage is back", patience(), |s| {
                body(s).is_some_and(|text| text.starts_with("The storage of this room answers again"))
            })
            .await?;
        let since = people[0].peek();
        let told = since.iter().filter(|s| {
            body(s).is_some_and(|text| text.starts_with("The storage of this room cannot be reached"))
        });
        ensure!(told.count() == 1, "the owner is told once");
        let lines = |pattern: &str| fed[0].log_lines_matching(pattern).map(|lines| lines.len());
        eventually("the log says when it is over", || async {
            Ok(lines("The storage answers again: 4 messages")? == round + 1)
        })
        .await?;
        assert_eq!(lines("A storage cannot be written to")?, round + 1);
    }
    fed[0].crash().await?;
    people[0] = Person::joins(&fed, 0, "crone1", "coven", "firstcrone").await?;
    for server in 0..3 {
        let (history, archived) = kept(&fed, server, &format!("late{server}")).await?;
        let texts = |all: &[(String, String)]| all.iter().map(|(text, _)| text.clone()).collect::<Vec<_>>();
        assert_eq!(texts(&archived), said, "the archive of server {server}");
        let with_ids: Vec<(String, Option<String>)> = archived
            .iter()
            .map(|(text, id)| (text.clone(), Some(id.clone())))
            .collect();
        assert_eq!(history, with_ids, "the history of server {server}");
    }
    fed.finish_with_errors().await
}

on_every_version! {
    fn what_cannot_be_written_waits_in_order(version) {
        let storage = if version.is_0_12() { Storage::Sqlite } else { Storage::Internal };
        waits_until_written(version, storage).await
    }
}

/// Beyond what may wait nobody here can speak, and whoever tries reads why.
async fn has_a_limit(version: Version) -> Result<()> {
    const LIMIT: usize = 1000;
    let fed = start("overflow", version, Storage::Internal).await?;
    let people = company(&fed, "coven", &[]).await?;
    take_away(&fed[0], "error", &["dmuc_log"]).await?;
    for number in 0..LIMIT {
        people[0]
            .say(&people[0].room, &format!("Number {number}"))
            .await?;
    }
    people[0].expect_body(&format!("Number {}", LIMIT - 1)).await?;
    let id = people[0].say(&people[0].room, "One more").await?;
    let answer = people[0]
        .expect("an error", |s| {
            s.name() == "message" && s.attr("id") == Some(&*id)
        })
        .await?;
    ensure!(
        answer.attr("type") == Some("error") && to_string(&answer).contains("resource-constraint"),
        "{}",
        to_string(&answer)
    );
    quiet(&fed, &people.each_ref()).await?;
    for person in &people {
        ensure!(
            !person.peek().iter().any(
                |s| s.attr("type") == Some("groupchat") && body(s).is_some_and(|text| text == "One more")
            ),
            "it was shown to {}",
            person.nick
        );
    }
    give_back(&fed[0]).await?;
    fed[0]
        .log()
        .wait_since(0, "The storage answers again: 1000 messages", patience())
        .await?;
    people[0].say_and_see(&people[0].room, "Again").await?;
    fed.finish_with_errors().await
}

on_every_version! {
    fn what_waits_has_a_limit(version) {
        has_a_limit(version).await
    }
}

/// A shadow of which nothing could be stored before its server went down is its source's again, and goes on with what was said
/// in it while nobody else could hear (G3).
async fn was_never_stored(version: Version) -> Result<()> {
    let fed = start("unstored", version, Storage::Internal).await?;
    take_away(&fed[1], "error", &["dmuc"]).await?;
    let mut people = company(&fed, "coven", &[]).await?;
    for other in [0, 2] {
        fed[other].stop().await?;
    }
    people[1].say_and_see(&people[1].room, "Alone").await?;
    fed[1].crash().await?;
    for other in [0, 2] {
        fed[other].start().await?;
    }
    // The source hears that it is not there, and asks for it again.
    let room = fed[1].room("coven");
    eventually("the shadow is there again", || async {
        Ok(instances(&fed, 1, &room).await?.len() == 2)
    })
    .await?;
    for (index, (user, nick)) in USERS.into_iter().enumerate() {
        people[index] = Person::joins(&fed, index, user, "coven", nick).await?;
    }
    people[1].say(&people[1].room, "Again").await?;
    for person in &people {
        person.expect_body("Again").await?;
    }
    for server in 0..3 {
        eventually(&format!("what was said alone is at server {server}"), || async {
            let (history, archived) = kept(&fed, server, &format!("late{server}")).await?;
            let count = |text: &str| history.iter().filter(|(said, _)| said == text).count();
            let is_archived = archived.iter().filter(|(said, _)| said == "Alone").count() == 1;
            Ok(count("Alone") == 1 && count("Again") == 1 && is_archived)
        })
        .await?;
    }
    fed.finish_with_errors().await
}

on_every_version! {
    fn a_shadow_that_was_never_stored_is_made_again(version) {
        was_never_stored(version).await
    }
}
