//! Any instance's address works: a third one's, and that of a source that is one no more.

use anyhow::{Result, ensure};
use dmuc_testbed::{Client, Federation, Storage, Version, body, on_every_version, to_string};

use super::scene::{served, streams_of_users};
use crate::succession::{coven, follows, says};
use crate::support::{MACBETH, MARLOWE, SOURCE};

/// Somebody at the shadow's server, by an address; what they get names no other.
struct Guest {
    client: Client,
    address: &'static str,
}

impl Guest {
    async fn joins(fed: &Federation, user: &str, address: &'static str) -> Result<Guest> {
        let client = fed[1].client(user, "moving").await?;
        let joined = client.join(address, user).await?;
        ensure!(
            joined.nicks().contains(&"firstwitch".to_owned()),
            "{:?}",
            joined.nicks()
        );
        let guest = Guest { client, address };
        joined.all.iter().try_for_each(|stanza| guest.clean(stanza))?;
        Ok(guest)
    }

    fn clean(&self, stanza: &dmuc_testbed::Element) -> Result<()> {
        let text = to_string(stanza);
        for other in [SOURCE, MACBETH, MARLOWE]
            .iter()
            .filter(|other| **other != self.address)
        {
            // The room itself says who is out of reach, and who decides from now on.
            ensure!(
                body(stanza).is_some() || !text.contains(other),
                "{} got {text}",
                self.address
            );
        }
        Ok(())
    }

    /// Talks with somebody at the own server.
    async fn goes_on(&self, witch: &Client, text: &str) -> Result<()> {
        self.client.say_and_see(self.address, text).await?;
        witch.expect_body(text).await?;
        let answer = format!("{text}, too");
        witch.say(MACBETH, &answer).await?;
        let heard = self.client.expect_body(&answer).await?;
        assert_eq!(heard.attr("from"), Some(&*format!("{}/firstwitch", self.address)));
        let nick = self
            .client
            .bare_jid()
            .split('@')
            .next()
            .unwrap_or_default()
            .to_owned();
        assert_eq!(self.client.self_ping(self.address, &nick).await?, None);
        self.client.sync().await?;
        self.client
            .drain()
            .iter()
            .try_for_each(|stanza| self.clean(stanza))
    }
}

async fn moved(version: Version, _: Storage) -> Result<()> {
    let (fed, _crone, witch, faust) = coven("address-moved", version).await?;
    for address in [SOURCE, MARLOWE] {
        served(&fed, 1, address, Some(MACBETH)).await?;
    }
    let ross = Guest::joins(&fed, "ross", SOURCE).await?;
    let angus = Guest::joins(&fed, "angus", MARLOWE).await?;
    for guest in [&ross, &angus] {
        guest.goes_on(&witch, "before").await?;
    }
    faust.expect_body("before").await?;

    fed[0].kill().await?;
    says(
        &fed,
        1,
        &format!("dmuc:room(\"{MACBETH}\")"),
        &[SOURCE, "out of reach", "down"],
    )
    .await?;
    says(
        &fed,
        2,
        &format!("dmuc:room(\"{MARLOWE}\")"),
        &[SOURCE, "out of reach", "down"],
    )
    .await?;
    fed[1].shell(&format!("dmuc:take_over(\"{MACBETH}\")")).await?;
    follows(&fed, 1, MACBETH, MACBETH).await?;
    follows(&fed, 2, MARLOWE, MACBETH).await?;
    for guest in [&ross, &angus] {
        guest.goes_on(&witch, "under another source").await?;
    }
    let late = Guest::joins(&fed, "menteith", SOURCE).await?;
    late.goes_on(&witch, "somebody new").await?;

    fed[0].start().await?;
    follows(&fed, 0, SOURCE, MACBETH).await?;
    let crone = fed[0].client("crone1", "again").await?;
    crone.join(SOURCE, "firstcrone").await?;
    for guest in [&ross, &angus, &late] {
        guest.goes_on(&witch, "afterwards").await?;
    }
    crone.say(SOURCE, "I follow").await?;
    for guest in [&ross, &angus, &late] {
        let heard = guest.client.expect_body("I follow").await?;
        guest.clean(&heard)?;
        assert_eq!(
            heard.attr("from"),
            Some(&*format!("{}/firstcrone", guest.address))
        );
    }
    assert_eq!(streams_of_users(&fed, 1).await?, 0);
    fed.finish().await
}

on_every_version! {
    fn an_address_outlives_its_source_and_a_third_ones_does_as_well(version, storage = Internal) {
        moved(version, storage).await
    }
}
