//! Moderated messages (XEP-0425) say by whom in the address that each session uses, live and in the archive.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Element, Storage, Version, on_every_version, to_string};

use super::scene::{A, Guest, cast, crown, servers, streams_of_users};
use crate::moderation::{Form, asking};

/// Where Debian's package has it.
const MODULE: &str = "/usr/lib/prosody/modules/mod_muc_moderation";

/// Who moderated, wherever that stands.
fn by(element: &Element) -> Option<String> {
    if element.name() == "moderated" {
        return element.attr("by").map(str::to_owned);
    }
    element.children().find_map(by)
}

async fn moderate(guest: &Guest, id: &str, form: Form) -> Result<()> {
    let request = asking(id, form);
    let answer = guest
        .asks(&format!("<iq type='set' to='@ROOM@'>{request}</iq>"))
        .await?;
    ensure!(answer.attr("type") == Some("result"), "{}", to_string(&answer));
    Ok(())
}

async fn moderated(version: Version, storage: Storage) -> Result<()> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let paths = format!(
        "plugin_paths = {{ {:?}; {:?}; {MODULE:?} }}",
        root.join("tests/testbed/prosody"),
        root.join("target/plugin")
    );
    let mut builder = servers("address-moderated", version, storage).global_line(&paths);
    for index in [0, 1] {
        builder = builder.with_server(index, |server| server.muc_modules.push("muc_moderation".into()));
    }
    let fed = builder.start().await?;
    let cast = cast(&fed, &[]).await?;
    crown(&fed, &cast).await?;
    let (witch, lennox) = (&cast.witch, &cast.lennox);
    for (moderator, form) in [(witch, Form::V0_2), (lennox, Form::V0_3), (witch, Form::V0_3)] {
        let said = witch.say_and_see(A, "Double, double toil and trouble").await?;
        let id = crate::stage::stanza_id(&said, A)?;
        fed.settle(1).await?;
        moderate(moderator, &id, form).await?;
        for guest in [witch, lennox] {
            let told = guest
                .hears("", "that it is moderated", |s| by(s).is_some())
                .await?;
            assert_eq!(by(&told), Some(guest.place_of(moderator.nick)));
            let all = guest.mam_all(guest.address).await?;
            let left = all.iter().find(|item| item.id == id).context("what is left")?;
            assert_eq!(
                by(&left.message),
                Some(guest.place_of(moderator.nick)),
                "{}",
                to_string(&left.message)
            );
            guest.all().await?;
        }
    }
    assert_eq!(streams_of_users(&fed, 1).await?, 0);
    fed.finish().await
}

on_every_version! {
    fn a_moderated_message_says_by_whom_in_each_address(version, storage = Internal) {
        moderated(version, storage).await
    }
}
