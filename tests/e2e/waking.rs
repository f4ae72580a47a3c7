//! What an administrator sees and does of rooms that cannot be read yet: closed ones, and parked ones that are to go on.

use std::fs;

use anyhow::Result;
use dmuc_testbed::{Federation, Storage, Version, on_every_version};

use crate::asking::role;
use crate::parked::{is_parked, name};
use crate::shell::shows;
use crate::splits::{hasty, patience};
use crate::stage::company;
use crate::storage_away::{give_back, take_away, take_away_at_start};
use crate::support::{MACBETH, SOURCE, eventually, instances};

async fn start(label: &str, version: Version, storage: Storage) -> Result<Federation> {
    let builder = hasty(label, version, storage).with_server(1, |server| {
        server.modules.push("admin_shell".to_owned());
        server.muc_modules.push("testbed_storage".to_owned());
    });
    builder.start().await
}

async fn left(version: Version, storage: Storage) -> Result<()> {
    let fed = start("waking", version, storage).await?;
    let people = company(&fed, "coven", &[]).await?;
    name(&fed, 1, &["conference.marlowe.lit"]).await?;
    is_parked(&fed, 1, MACBETH).await?;
    take_away(&fed[1], "error", &["dmuc_log"]).await?;
    let mark = fed[1].log().mark();
    name(&fed, 1, &["chat.shakespeare.lit", "conference.marlowe.lit"]).await?;
    let waits = format!("The stored messages of {MACBETH} cannot be read");
    fed[1].log().wait_since(mark, &waits, patience()).await?;
    shows(&fed, 1, "dmuc:parked()", &[MACBETH, "cannot be read yet"]).await?;

    let said = fed[1].prosodyctl(&["shell", "dmuc", "leave", MACBETH]).await?;
    assert!(
        said.status == 0 && said.has(&[MACBETH, "has left", SOURCE]),
        "{said:?}"
    );
    people[1]
        .client
        .expect("an invitation to the source", |s| {
            s.get_child("x", "jabber:x:conference")
                .is_some_and(|x| x.attr("jid") == Some(SOURCE))
        })
        .await?;
    assert_eq!(role(&fed, 1, MACBETH).await?, None);
    eventually("the source knows that it has left", || async {
        Ok(instances(&fed, 0, SOURCE).await? == ["coven@conference.marlowe.lit"])
    })
    .await?;

    give_back(&fed[1]).await?;
    let rooms = fed[1].shell("dmuc:rooms()").await?;
    assert!(rooms.has(&["0 distributed rooms"]), "{rooms:?}");
    let said = fed[1].prosodyctl(&["shell", "dmuc", "leave", MACBETH]).await?;
    assert!(said.err.contains("is not distributed"), "{said:?}");
    fed.finish_with_errors().await
}

async fn listed(version: Version, storage: Storage) -> Result<()> {
    let fed = start("unread-shell", version, storage).await?;
    let _people = company(&fed, "coven", &[]).await?;
    let room = format!("dmuc:room(\"{MACBETH}\")");
    for (lines, words) in [
        ("dmuc_log error\n", [MACBETH, "cannot be read yet"]),
        ("dmuc error\n", ["*", "which rooms there are is not known"]),
    ] {
        take_away_at_start(&fed[1], lines)?;
        fed[1].restart().await?;
        fed[1]
            .wait_for_log("The storage of distributed rooms cannot be read")
            .await?;
        shows(&fed, 1, "dmuc:parked()", &words).await?;
        let said = fed[1].shell(&room).await?;
        assert!(said.has(&["Role: closed"]) && said.has(&[words[1]]), "{said:?}");
        fs::remove_file(fed[1].dir().join("data/away"))?;
        give_back(&fed[1]).await?;
        eventually("the room is back", || async {
            Ok(role(&fed, 1, MACBETH).await?.as_deref() == Some("shadow"))
        })
        .await?;
        shows(&fed, 1, "dmuc:parked()", &["Nothing is parked"]).await?;
    }
    fed.finish_with_errors().await
}

on_every_version! {
    fn rooms_that_cannot_be_read_are_listed_as_closed(version, storage) {
        listed(version, storage).await
    }

    fn a_shadow_that_cannot_be_read_yet_leaves_when_it_is_told_to(version, storage) {
        left(version, storage).await
    }
}
