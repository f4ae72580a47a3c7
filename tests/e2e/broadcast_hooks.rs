//! Modules that change messages on the way to people: each instance has its own, and does it once.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Element, Storage, Version, on_every_version};

use crate::stage::{CLIENT, company, quiet, raise};

const MARK: &str = "urn:x:mark";

fn marks(message: &Element) -> usize {
    message.children().filter(|c| c.is("mark", MARK)).count()
}

/// As in an ordinary room: behind the archive, so that people who are in get it, and neither archive nor history have it.
async fn marking(version: Version, storage: Storage) -> Result<()> {
    let fed = raise("marking", version, storage).await?;
    for server in fed.servers() {
        let muc = server.muc();
        let chunk = format!(
            "local module = prosody.hosts['{muc}'].modules.muc.module; \
             module:hook('muc-broadcast-message', function (event) \
                 event.stanza:tag('mark', {{ xmlns = '{MARK}'; to = event.stanza.attr.to }}):up(); \
             end, -1)"
        );
        server.eval(&chunk).await?;
    }
    let people = company(&fed, "coven", &[]).await?;
    for sender in &people {
        let id = sender
            .sends(&format!("<body>{} speaks</body>", sender.nick))
            .await?;
        for viewer in &people {
            let seen = viewer
                .expect("the message", |s| {
                    s.is("message", CLIENT) && s.attr("id") == Some(&*id)
                })
                .await?;
            assert_eq!(marks(&seen), 1, "{} to {}: {seen:?}", sender.nick, viewer.nick);
            // What is said is to the room, whoever says it.
            let mark = seen.get_child("mark", MARK).context("a mark")?;
            assert_eq!(mark.attr("to"), Some(&*viewer.room));
        }
        quiet(&fed, &people.each_ref()).await?;
    }
    for person in &people {
        let archived = person.mam_all(&person.room).await?;
        let marked: usize = archived.iter().map(|item| marks(&item.message)).sum();
        assert_eq!((archived.len(), marked), (3, 0), "{}", person.room);
        let late = fed[person.server].client("late", "coven").await?;
        let joined = late.join(&person.room, &format!("late{}", person.server)).await?;
        assert_eq!(joined.history_bodies().len(), 3);
        ensure!(joined.all.iter().all(|s| marks(s) == 0), "{:?}", joined.all);
    }
    fed.finish().await
}

on_every_version! {
    fn what_a_module_adds_to_messages_is_added_once_at_each_instance(version, storage) {
        marking(version, storage).await
    }
}
