//! On SQL the stored log and the archive have a message in one transaction, and both have it whatever became of that.

use anyhow::{Result, ensure};
use dmuc_testbed::{Element, Server, Storage, Version, body, on_every_version};

use crate::splits::patience;
use crate::stage::{Person, company, quiet};
use crate::storage_away::{give_back, start, take_away};
use crate::support::eventually;

/// How many messages one server misses.
const MISSED: u64 = 60;

/// Counts the transactions of a server from now on.
async fn count(server: &Server) -> Result<()> {
    let chunk = "local module = prosody.hosts['SERVICE'].modules.muc.module; prosody.transactions = 0; \
                 for _, database in pairs(module:shared('/*/sql/connections')) do \
                 local begin = database._transaction; \
                 function database:_transaction(...) prosody.transactions = prosody.transactions + 1; return begin(self, ...); end \
                 end return true";
    let done = server.eval(&chunk.replace("SERVICE", server.muc())).await?;
    ensure!(done == true, "{done}");
    Ok(())
}

async fn counted(server: &Server) -> Result<Option<u64>> {
    let counted = "local counted = prosody.transactions; prosody.transactions = 0; return counted";
    Ok(server.eval(counted).await?.as_u64())
}

async fn all_see(people: &[Person], speaker: usize, text: &str) -> Result<()> {
    people[speaker].say(&people[speaker].room, text).await?;
    for person in people {
        person.expect_body(text).await?;
    }
    Ok(())
}

async fn one_transaction(version: Version) -> Result<()> {
    let fed = start("one-transaction", version, Storage::Sqlite).await?;
    let mut people = company(&fed, "coven", &[]).await?;
    // The first one of a day is noted for whoever expires it, and the database is looked for.
    for speaker in 0..3 {
        all_see(&people, speaker, &format!("First {speaker}")).await?;
    }
    quiet(&fed, &people.each_ref()).await?;
    for server in fed.servers() {
        count(server).await?;
    }
    for speaker in 0..3 {
        for server in fed.servers() {
            counted(server).await?;
        }
        all_see(&people, speaker, &format!("Number {speaker}")).await?;
        for server in fed.servers() {
            ensure!(
                counted(server).await? == Some(1),
                "more than one transaction at {}",
                server.muc()
            );
        }
    }
    // What was missed is written many at a time.
    let missed: Vec<String> = (0..MISSED).map(|number| format!("Missed {number}")).collect();
    fed.isolate(2).await;
    for text in &missed {
        people[0].say(&people[0].room, text).await?;
    }
    people[1].expect_body(&missed[MISSED as usize - 1]).await?;
    counted(&fed[2]).await?;
    fed.heal_all().await;
    let is_last = |s: &Element| body(s).as_ref() == missed.last();
    people[2]
        .expect_within("the last one that was missed", patience(), is_last)
        .await?;
    let written = counted(&fed[2]).await?;
    ensure!(
        written < Some(MISSED),
        "{written:?} transactions for {MISSED} messages"
    );
    // One of the two cannot be written to.
    for (number, store) in ["dmuc_log", "muc_log"].into_iter().enumerate() {
        take_away(&fed[0], "error", &[store]).await?;
        all_see(&people, number, &format!("Without {store}")).await?;
        give_back(&fed[0]).await?;
        eventually("what waited is written", || async {
            let lines = fed[0].log_lines_matching("The storage answers again")?;
            Ok(lines.len() == number + 1)
        })
        .await?;
    }
    fed[0].crash().await?;
    people[0] = Person::joins(&fed, 0, "crone1", "coven", "firstcrone").await?;
    let mut said: Vec<String> = (0..3).map(|speaker| format!("First {speaker}")).collect();
    said.extend((0..3).map(|speaker| format!("Number {speaker}")));
    said.extend(missed);
    said.extend(["dmuc_log", "muc_log"].map(|store| format!("Without {store}")));
    ensure!(
        people[0].joined.history_bodies() == said[said.len() - 20..],
        "{:?}",
        people[0].joined.history_bodies()
    );
    for person in &people {
        let items = person.mam_all(&person.room).await?;
        let archived: Vec<String> = items.iter().filter_map(|item| body(&item.message)).collect();
        ensure!(archived == said, "{archived:?} at {}", person.room);
    }
    fed.finish_with_errors().await
}

on_every_version! {
    fn log_and_archive_are_one_transaction(version) {
        one_transaction(version).await
    }
}
