//! A service goes back from Prosody 13 to 0.12: what was archived can be asked for.

use anyhow::{Result, ensure};
use dmuc_testbed::{Storage, Version, body};

use crate::stage::{Person, company, quiet};
use crate::support::three;

#[tokio::test]
async fn an_archive_written_on_13_can_be_read_on_0_12() -> Result<()> {
    let versions = Version::all();
    let old = versions.iter().find(|version| version.is_0_12());
    let new = versions.iter().find(|version| !version.is_0_12());
    let (Some(old), Some(new)) = (old, new) else {
        eprintln!("skipped: it takes Prosody 0.12 and a newer one");
        return Ok(());
    };
    let fed = three("downgrading", *new, Storage::Internal)
        .with_server(1, |server| server.storage = Storage::Sqlite)
        .start()
        .await?;
    let people = company(&fed, "coven", &[]).await?;
    for person in &people {
        let text = format!("Said by {}", person.nick);
        person.say(&person.room, &text).await?;
        for viewer in &people {
            viewer.expect_body(&text).await?;
        }
    }
    quiet(&fed, &people.each_ref()).await?;
    // What 13 itself writes, in rooms that are ordinary.
    for server in 0..2 {
        let muc = fed[server].muc();
        fed[server]
            .eval(&format!(
                "local st, time = require 'util.stanza', require 'util.time'; \
                 local room = '{}'; \
                 local store = require 'core.storagemanager'.open('{muc}', 'muc_log', 'archive'); \
                 local message = st.message({{ type = 'groupchat', from = room..'/hag', id = 'm' }}, 'With a fraction'); \
                 return store:append('coven', nil, message, math.floor(time.now()) + 0.5, 'message<groupchat')",
                fed[server].room("coven")
            ))
            .await?;
    }
    for server in 0..2 {
        fed[server].restart_as(*old).await?;
        let late = Person::joins(&fed, server, "late", "coven", "late").await?;
        let items = late.mam_all(&late.room).await?;
        let said: Vec<String> = items.iter().filter_map(|item| body(&item.message)).collect();
        let expected = [
            "Said by firstcrone",
            "Said by firstwitch",
            "Said by faust",
            "With a fraction",
        ];
        ensure!(said == expected, "{said:?} at {}", late.room);
    }
    fed.finish().await
}
