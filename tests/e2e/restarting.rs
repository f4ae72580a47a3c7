//! Who somebody is stays the same through a restart of any server: the occupant-id (XEP-0421), the hats (XEP-0317).

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use dmuc_testbed::{Element, Federation, Storage, Version};

use crate::stage::{Person, company, gathered, occupant_id};
use crate::support::three;

const USERS: [&str; 3] = ["crone1", "somewitch", "drfaust"];

/// What somebody who joins is shown of the others: occupant-id and hats, by nick.
async fn shown(fed: &Federation, server: usize) -> Result<BTreeMap<String, (String, Vec<String>)>> {
    let hag = Person::joins(fed, server, "hag66", "coven", "hag").await?;
    let mut shown = BTreeMap::new();
    for presence in &hag.joined.presences {
        let nick = presence.attr("from").and_then(|from| from.split_once('/'));
        let hats = presence.children().filter(|child| child.name() == "hats");
        let titles = |hats: &Element| -> Vec<String> {
            let hats = hats.children();
            hats.filter_map(|hat| hat.attr("title").map(str::to_owned))
                .collect()
        };
        let (_, nick) = nick.context("a nick")?;
        shown.insert(
            nick.to_owned(),
            (occupant_id(presence)?, hats.flat_map(titles).collect()),
        );
    }
    hag.leave(&hag.room, "hag").await?;
    Ok(shown)
}

#[tokio::test]
async fn everybody_is_the_same_occupant_after_a_restart_of_any_server() -> Result<()> {
    let fed = three("identity", Version::newest(), Storage::Sqlite)
        .with_server(1, |s| {
            (s.version, s.storage) = (Version::oldest(), Storage::Internal)
        })
        .start()
        .await?;
    let mut people = company(&fed, "coven", &[]).await?;
    let (muc, room) = (fed[0].muc(), fed[0].room("coven"));
    for user in ["somewitch@macbeth.lit", "drfaust@marlowe.lit"] {
        people[0].set_affiliation(&room, user, "member").await?;
        fed[0]
            .eval(&format!(
                "local room = prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{room}') \
                 local data = {{ hats = {{ ['urn:hat:host'] = {{ active = true, title = 'Host' }} }} }} \
                 return room:set_affiliation(true, '{user}', 'member', nil, data)"
            ))
            .await?;
    }
    let nicks = ["faust", "firstcrone", "firstwitch"];
    let mut expected = BTreeMap::new();
    for person in &people {
        let hats = match person.nick.as_str() {
            "firstcrone" => Vec::new(),
            _ => vec!["Host".to_owned()],
        };
        expected.insert(
            person.nick.clone(),
            (occupant_id(&person.joined.self_presence)?, hats),
        );
    }
    fed.settle(2).await?;
    for restarted in 0..3 {
        fed[restarted].restart().await?;
        let nick = people[restarted].nick.clone();
        people[restarted] = Person::joins(&fed, restarted, USERS[restarted], "coven", &nick).await?;
        gathered(&fed, "coven", &nicks).await?;
        for server in 0..3 {
            assert_eq!(
                shown(&fed, server).await?,
                expected,
                "at {server}, after {restarted} was restarted"
            );
            gathered(&fed, "coven", &nicks).await?;
        }
    }
    fed.finish().await
}
