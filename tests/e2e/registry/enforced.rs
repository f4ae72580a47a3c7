//! With Prosody's options `enforce_registered_nickname` and `allow_unaffiliated_register` at every service.

use anyhow::Result;
use dmuc_testbed::{Storage, Version, code_list, on_every_version};

use super::*;
use crate::asking::gone;
use crate::stage::{company, gathered};
use crate::support::{VISITS, three};

async fn enforced(version: Version, storage: Storage) -> Result<()> {
    let fed = three("enforced", version, storage)
        .muc_line(VISITS)
        .muc_line("enforce_registered_nickname = true")
        .muc_line("allow_unaffiliated_register = true")
        .muc_line("muc_registration_include_form = true")
        .muc_line("dmuc_redirect = \"off\"")
        .start()
        .await?;
    let people = company(&fed, "coven", &[]).await?;
    let [crone, witch, faust] = people.each_ref();
    // Who has no affiliation becomes a member with the registration, and has to use the nick from then on.
    granted(&register(witch, MACBETH, "wyrd").await?);
    for viewer in people.each_ref() {
        let presence = gone(viewer, &viewer.room, "firstwitch").await?;
        assert!(code_list(&presence).contains(&307), "{presence:?}");
    }
    gathered(&fed, "coven", &["faust", "firstcrone"]).await?;
    registered_everywhere(witch, Some("wyrd")).await?;
    for room in ROOMS {
        eventually("the witch is a member", || async {
            Ok(crone.affiliated(room, "member").await? == ["somewitch@macbeth.lit"])
        })
        .await?;
    }
    for room in ROOMS {
        let joined = witch.join(room, "any other").await?;
        assert_eq!(joined.own_nick(), "wyrd", "at {room}");
        assert!(joined.codes().contains(&210));
        assert_eq!(witch.self_ping(room, "wyrd").await?, None);
        gathered(&fed, "coven", &["faust", "firstcrone", "wyrd"]).await?;
        assert!(witch.change_nick(room, "any other").await.is_err());
        witch.leave(room, "wyrd").await?;
        gathered(&fed, "coven", &["faust", "firstcrone"]).await?;
    }
    // Registering the nick one has puts nobody out.
    granted(&register(faust, MARLOWE, "faust").await?);
    registered_everywhere(faust, Some("faust")).await?;
    assert_eq!(faust.self_ping(MARLOWE, "faust").await?, None);
    granted(&unregister(witch, MACBETH).await?);
    registered_everywhere(witch, None).await?;
    let joined = witch.join(MACBETH, "any other").await?;
    assert_eq!(joined.own_nick(), "any other");
    for room in ROOMS {
        assert_eq!(
            crone.affiliated(room, "member").await?,
            ["drfaust@marlowe.lit"],
            "{room}"
        );
    }
    fed.finish().await
}

on_every_version! {
    fn a_registered_nick_can_be_made_a_must_at_every_instance(version, storage = Sqlite) {
        enforced(version, storage).await
    }
}
