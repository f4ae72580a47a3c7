//! A parked room that is to go on, and whose stored messages cannot be read yet: it is given up like any other shadow.

use anyhow::Result;
use dmuc_testbed::{Storage, Version, on_every_version};

use crate::asking::role;
use crate::parked::{is_parked, name};
use crate::splits::{hasty, patience};
use crate::stage::company;
use crate::storage_away::{give_back, take_away};
use crate::support::{MACBETH, SOURCE, eventually, instances};

async fn left(version: Version, storage: Storage) -> Result<()> {
    let fed = hasty("waking", version, storage)
        .with_server(1, |server| {
            server.modules.push("admin_shell".to_owned());
            server.muc_modules.push("testbed_storage".to_owned());
        })
        .start()
        .await?;
    let people = company(&fed, "coven", &[]).await?;
    name(&fed, 1, &["conference.marlowe.lit"]).await?;
    is_parked(&fed, 1, MACBETH).await?;
    take_away(&fed[1], "error", &["dmuc_log"]).await?;
    let mark = fed[1].log().mark();
    name(&fed, 1, &["chat.shakespeare.lit", "conference.marlowe.lit"]).await?;
    let waits = format!("The stored messages of {MACBETH} cannot be read");
    fed[1].log().wait_since(mark, &waits, patience()).await?;

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

on_every_version! {
    fn a_shadow_that_cannot_be_read_yet_leaves_when_it_is_told_to(version, storage) {
        left(version, storage).await
    }
}
