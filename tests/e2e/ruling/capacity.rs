//! A limit of occupants (XEP-0045 section 7.2.9) counts those of all instances, at every instance.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::Federation;

use super::{all_see, error_text};
use crate::asking::{field, value};
use crate::stage::{Person, company, gathered, quiet};
use crate::support::eventually;

pub const MAX_USERS: &str = "muc#roomconfig_maxusers";

/// Nobody in particular is turned away at the doors of these servers.
pub async fn is_full(fed: &Federation, name: &str, servers: &[usize]) -> Result<()> {
    for server in servers {
        let client = fed[*server].client("banquo", &format!("{name}-{server}")).await?;
        let refused = client.try_join(&fed[*server].room(name), "banquo").await?.err();
        let refused = refused.with_context(|| format!("{server} is not full"))?;
        assert_eq!(refused.condition, "service-unavailable", "{refused}");
        ensure!(error_text(&refused.presence).is_some(), "{refused}");
    }
    Ok(())
}

/// Waits until the limit has arrived everywhere.
pub async fn limited(fed: &Federation, owner: &Person, name: &str, limit: &str) -> Result<()> {
    for server in fed.servers() {
        let room = server.room(name);
        eventually(&format!("{room} takes {limit}"), || async {
            Ok(value(&owner.room_form(&room).await?, MAX_USERS).as_deref() == Some(limit))
        })
        .await?;
    }
    Ok(())
}

pub async fn a_full_room_is_full_at_every_instance(fed: &Federation) -> Result<()> {
    let people = company(fed, "full", &[]).await?;
    let [crone, witch, faust] = people.each_ref();
    limited(fed, crone, "full", "none").await?;
    crone.configure_room(&crone.room, &[(MAX_USERS, "3")]).await?;
    limited(fed, crone, "full", "3").await?;
    is_full(fed, "full", &[0, 1, 2]).await?;
    // Somebody's second client is nobody new.
    let again = fed[1].client("somewitch", "full-again").await?;
    again.join(&witch.room, "firstwitch").await?;
    // Those who rule the room get in.
    for (jid, affiliation) in [("hecate@macbeth.lit", "admin"), ("drfaust@marlowe.lit", "owner")] {
        crone.set_affiliation(&crone.room, jid, affiliation).await?;
    }
    all_see(&[crone, witch, faust], "faust", "owner", "moderator").await?;
    let hecate = Person::joins(fed, 1, "hecate", "full", "hecate").await?;
    gathered(fed, "full", &["faust", "firstcrone", "firstwitch", "hecate"]).await?;
    // A fourth one left: still three.
    hecate.leave(&hecate.room, "hecate").await?;
    gathered(fed, "full", &["faust", "firstcrone", "firstwitch"]).await?;
    is_full(fed, "full", &[2, 0]).await?;
    // Who is in stays when the room shrinks; what is no number of people is no limit.
    faust.configure_room(&faust.room, &[(MAX_USERS, "1")]).await?;
    limited(fed, crone, "full", "1").await?;
    for nonsense in ["0", "-1", "2.5", "many"] {
        faust
            .configure_room(&faust.room, &[(MAX_USERS, nonsense)])
            .await?;
    }
    quiet(fed, &[crone, witch, faust]).await?;
    limited(fed, crone, "full", "1").await?;
    gathered(fed, "full", &["faust", "firstcrone", "firstwitch"]).await?;
    faust.configure_room(&faust.room, &[(MAX_USERS, "none")]).await?;
    limited(fed, crone, "full", "none").await?;
    Person::joins(fed, 1, "banquo", "full", "banquo").await?;
    // A room that is not distributed has no such field (G12).
    let plain = fed[0].room("full-plain");
    crone.create_room(&plain, "firstcrone", &[]).await?;
    ensure!(field(&crone.room_form(&plain).await?, MAX_USERS).is_none());
    Ok(())
}
