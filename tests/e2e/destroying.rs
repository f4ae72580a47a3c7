//! XEP-0045 section 10.9 for a room at several services: destroyed at the source, or at a shadow by somebody who may.

use anyhow::{Context, Result};
use dmuc_testbed::{Client, Federation, Storage, Version, error_condition, on_every_version};

use crate::asking::{gone, items, role};
use crate::support::{eventually, instances};

const MUC_USER: &str = "http://jabber.org/protocol/muc#user";
pub const VENUE: &str = "elsewhere@conference.marlowe.lit";

/// The request that destroys a room.
pub fn destroy(room: &str, venue: &str, why: &str) -> String {
    format!(
        "<iq type='set' to='{room}'><query xmlns='http://jabber.org/protocol/muc#owner'>\
         <destroy jid='{venue}'><reason>{why}</reason></destroy></query></iq>"
    )
}

/// The user is out, and knows why and where it goes on.
pub async fn is_out(client: &Client, room: &str, nick: &str, why: &str) -> Result<()> {
    let presence = gone(client, room, nick).await?;
    let destroyed = presence
        .get_child("x", MUC_USER)
        .and_then(|x| x.get_child("destroy", MUC_USER))
        .with_context(|| format!("{presence:?} does not tell that {room} was destroyed"))?;
    assert_eq!(destroyed.attr("jid"), Some(VENUE), "at {room}");
    let reason = destroyed
        .get_child("reason", MUC_USER)
        .map(|reason| reason.text());
    assert_eq!(reason.as_deref(), Some(why), "at {room}");
    Ok(())
}

/// A public room of three instances with crone (its owner), witch and faust, who is an owner too.
struct Company {
    rooms: [String; 3],
    witch: Client,
    faust: Client,
}

impl Company {
    async fn gathers(fed: &Federation, crone: &Client, name: &str) -> Result<Company> {
        let rooms = [0, 1, 2].map(|server| fed[server].room(name));
        let config = [
            ("muc#roomconfig_publicroom", "1"),
            ("muc#roomconfig_distributed", "1"),
        ];
        crone.create_room(&rooms[0], "firstcrone", &config).await?;
        crone
            .set_affiliation(&rooms[0], "faust@marlowe.lit", "owner")
            .await?;
        for (server, room) in rooms.iter().enumerate() {
            eventually(&format!("{room} knows the others"), || async {
                Ok(instances(fed, server, room).await?.len() == 2)
            })
            .await?;
        }
        let company = Company {
            rooms,
            witch: fed[1].client("somewitch", name).await?,
            faust: fed[2].client("faust", name).await?,
        };
        company.witch.join(&company.rooms[1], "witch").await?;
        company.faust.join(&company.rooms[2], "faust").await?;
        fed.settle(2).await?;
        Ok(company)
    }

    /// Nothing is left at any service, and who comes late is told so.
    async fn is_over(&self, fed: &Federation, crone: &Client, why: &str) -> Result<()> {
        let people = [
            (crone, "firstcrone"),
            (&self.witch, "witch"),
            (&self.faust, "faust"),
        ];
        for ((client, nick), room) in people.into_iter().zip(&self.rooms) {
            is_out(client, room, nick, why).await?;
        }
        for (server, room) in self.rooms.iter().enumerate() {
            assert_eq!(role(fed, server, room).await?, None);
            let (client, nick) = people[server];
            let listed = items(&client.disco_items(fed[server].muc()).await?);
            assert!(listed.iter().all(|(jid, _)| jid != room), "{listed:?}");
            let late = client
                .try_join(room, nick)
                .await?
                .err()
                .with_context(|| format!("{room} was joined"))?;
            assert_eq!(late.condition, "gone", "at {room}");
        }
        Ok(())
    }
}

async fn destroying(version: Version, storage: Storage) -> Result<()> {
    let fed = crate::support::three("destroying", version, storage)
        .start()
        .await?;
    let crone = fed[0].client("crone1", "desktop").await?;

    // At the source, by its owner.
    let coven = Company::gathers(&fed, &crone, "coven").await?;
    crone
        .iq_ok(&destroy(&coven.rooms[0], VENUE, "All is done"))
        .await?;
    coven.is_over(&fed, &crone, "All is done").await?;

    // At a shadow: not by anybody, but by an owner.
    let heath = Company::gathers(&fed, &crone, "heath").await?;
    let refused = heath
        .witch
        .iq_xml(&destroy(&heath.rooms[1], VENUE, "I wish"))
        .await?;
    assert_eq!(error_condition(&refused).as_deref(), Some("forbidden"));
    heath.witch.say(&heath.rooms[1], "It is still here").await?;
    for client in [&crone, &heath.witch, &heath.faust] {
        client.expect_body("It is still here").await?;
    }
    heath
        .faust
        .iq_ok(&destroy(&heath.rooms[2], VENUE, "The hour strikes"))
        .await?;
    heath.is_over(&fed, &crone, "The hour strikes").await?;

    // It stays so after a restart, and nothing is stored that would bring it back.
    fed[1].restart().await?;
    let witch = fed[1].client("somewitch", "again").await?;
    for room in [&coven.rooms[1], &heath.rooms[1]] {
        assert_eq!(role(&fed, 1, room).await?, None);
        let late = witch.try_join(room, "witch").await?.err().context("a refusal")?;
        assert_eq!(late.condition, "gone");
    }
    fed.finish().await
}

on_every_version! {
    fn a_room_destroyed_by_an_owner_anywhere_is_gone_everywhere(version, storage = Sqlite) {
        destroying(version, storage).await
    }
}
