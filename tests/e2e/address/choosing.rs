//! Whose users are served: `dmuc_serve`.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Storage, Version, on_every_version};

use super::scene::{A, H, inside, served, servers};
use crate::support::{eventually, instances};

/// Another host of the shadow's server. Nobody else resolves it.
const OTHER: &str = "fife.lit";

async fn chosen(serve: &str, version: Version, storage: Storage) -> Result<()> {
    let option = format!("dmuc_serve = {serve}");
    let fed = servers("address-chosen", version, storage)
        .with_server(1, |s| {
            s.muc_lines.push(option);
            s.muc_lines.push(format!("VirtualHost \"{OTHER}\""));
        })
        .start()
        .await?;
    let crone = fed[0].client("crone1", "desktop").await?;
    crone
        .create_room(A, "firstcrone", &[("muc#roomconfig_distributed", "1")])
        .await?;
    eventually("there is a shadow", || async {
        Ok(instances(&fed, 0, A).await?.len() == 1 && instances(&fed, 1, H).await?.len() == 1)
    })
    .await?;
    let macduff = fed[1].client_of(OTHER, "macduff", "fife").await?;
    let witch = fed[1].client("somewitch", "heath").await?;
    let (serves_witch, serves_macduff) = match serve {
        "\"off\"" => (false, false),
        "\"all\"" => (true, false),
        _ => (false, true),
    };
    if serve != "\"off\"" {
        served(&fed, 1, A, Some(H)).await?;
    }
    for (client, is) in [(&witch, serves_witch), (&macduff, serves_macduff)] {
        let joined = client.try_join(A, "guest").await?;
        if is {
            ensure!(joined.context("joining")?.nicks() == ["firstcrone"]);
            client.leave(A, "guest").await?;
        } else {
            let refused = joined.err().context("a refusal")?;
            // The source's own answer for its peer's users, and no way to the other host.
            let expected = if client.bare_jid().ends_with(OTHER) {
                "remote-server-not-found"
            } else {
                "redirect"
            };
            ensure!(
                [expected, "remote-server-timeout"].contains(&&*refused.condition),
                "{refused}"
            );
        }
        let book = format!(
            "return dmuc.books.addresses(prosody.full_sessions['{}'], '{H}') == nil",
            client.jid()
        );
        assert_eq!(fed[1].eval(&inside(fed[1].muc(), &book)).await?, true);
    }
    fed.finish().await
}

on_every_version! {
    fn the_users_of_the_parent_host_are_served_unless_others_are_named(version, storage = Internal) {
        for serve in ["\"all\"", "\"off\"", "{ \"fife.lit\" }"] {
            chosen(serve, version, storage).await?;
        }
        Ok(())
    }
}
