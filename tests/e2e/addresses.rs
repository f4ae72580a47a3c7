//! What the host takes as an address, every instance takes: characters newer than Unicode 3.2, and domains that are no
//! host names.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use dmuc_testbed::{
    Federation, Storage, Version, body, code_list, error_condition, on_every_version, to_string,
};

use crate::asking::gone;
use crate::stage::{Person, company, gathered};
use crate::support::{eventually, from, three};

/// Of users only: services of such a name get no certificates. The hyphens stand where only a host name in ASCII form may
/// have them.
const DOMAIN: &str = "ab--cd.test";
/// Where Prosody itself refuses that one, from 13.0.7 on.
const PLAIN_DOMAIN: &str = "odd.test";
/// Tifinagh, of Unicode 4.1.
const USER: &str = "ⵜⴰⵎ";

/// The list of an instance.
pub async fn listed(fed: &Federation, server: usize, room: &str) -> Result<BTreeMap<String, String>> {
    let muc = fed[server].muc();
    let chunk = format!(
        "local room = prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{room}'); local list = {{}}; \
         for jid, affiliation in room:each_affiliation() do list[jid] = affiliation; end; return list"
    );
    let list = fed[server].eval(&chunk).await?;
    let list = list.as_object().context("a list")?.iter();
    list.map(|(jid, affiliation)| Ok((jid.clone(), affiliation.as_str().context("a name")?.to_owned())))
        .collect()
}

async fn addresses(version: Version, of_the_odd_one: Version) -> Result<()> {
    let refuses = |version: &Version| {
        let number = version.number().strip_prefix("13.0.");
        number
            .and_then(|last| last.parse().ok())
            .is_some_and(|last: u32| last >= 7)
    };
    let is_refused = [version, of_the_odd_one].iter().any(refuses);
    let domain = if is_refused { PLAIN_DOMAIN } else { DOMAIN };
    let fed = three("addresses", version, Storage::Internal)
        .with_server(1, |spec| {
            spec.domain = domain.to_owned();
            spec.version = of_the_odd_one;
        })
        .start()
        .await?;
    let people = company(&fed, "coven", &[]).await?;
    let [crone, _, faust] = &people;
    let dora = Person::joins(&fed, 1, USER, "coven", "dora").await?;
    gathered(&fed, "coven", &["dora", "faust", "firstcrone", "firstwitch"]).await?;
    dora.sends("<body>I come, Graymalkin!</body>").await?;
    for person in [crone, faust] {
        let said = person
            .expect("what somebody of the odd domain says", |s| {
                s.name() == "message" && from(&person.room, &dora.nick)(s) && body(s).is_some()
            })
            .await?;
        assert_eq!(body(&said).as_deref(), Some("I come, Graymalkin!"));
    }

    let long = format!("eve@{}.test", "a".repeat(64));
    let known = [
        "eve@ⵜⴰⵎ.test",
        "ꬰ.test",
        "🦊@marlowe.lit",
        "eve@-a.test",
        "ab--ef.test",
        &long,
    ];
    // What every server of the federation takes as an address: Prosody itself refuses some of these from 13.0.7 on.
    let mut banned = Vec::new();
    for jid in known {
        let mut is_taken = true;
        for server in fed.servers() {
            let taken = server
                .eval(&format!("return (require 'util.jid'.prep('{jid}')) ~= nil"))
                .await?;
            is_taken &= taken.as_bool() == Some(true);
        }
        if is_taken {
            banned.push(jid);
        }
    }
    assert!(banned.len() >= 3, "{banned:?}");
    crone
        .set_affiliation(&crone.room, "drfaust@marlowe.lit", "owner")
        .await?;
    for (i, jid) in banned.iter().enumerate() {
        let owner = if i % 2 == 0 { crone } else { faust };
        owner.set_affiliation(&owner.room, jid, "outcast").await?;
    }
    for (server, person) in people.iter().enumerate() {
        eventually(&format!("{} bans them all", person.room), || async {
            let list = listed(&fed, server, &person.room).await?;
            let is_banned = |jid: &&str| list.get(*jid).is_some_and(|affiliation| affiliation == "outcast");
            Ok(banned.iter().all(is_banned))
        })
        .await?;
    }
    // Who is banned by one of these addresses is out.
    let address = format!("{USER}@{domain}");
    crone.set_affiliation(&crone.room, &address, "outcast").await?;
    for person in [&dora, crone, faust] {
        let seen = gone(person, &person.room, &dora.nick).await?;
        assert!(code_list(&seen).contains(&301), "{seen:?}");
    }
    fed.finish().await
}

on_every_version! {
    fn what_the_host_takes_as_an_address_every_instance_takes(version) {
        addresses(version, version).await
    }
}

#[tokio::test]
async fn what_the_oldest_takes_as_an_address_the_newest_takes() -> Result<()> {
    addresses(Version::newest(), Version::oldest()).await
}

/// An owner at the newest Prosody, which takes fewer domains than the oldest, reads that it is this server which does not;
/// what the source takes is in the list there all the same.
#[tokio::test]
async fn what_only_one_server_takes_as_an_address_is_refused_there_in_words() -> Result<()> {
    const JID: &str = "eve@-a.test";
    let fed = three("addresses-refused", Version::oldest(), Storage::Internal)
        .with_server(1, |spec| spec.version = Version::newest())
        .start()
        .await?;
    let people = company(&fed, "coven", &[]).await?;
    let [crone, witch, _] = &people;
    crone
        .set_affiliation(&crone.room, witch.bare_jid(), "owner")
        .await?;
    eventually("witch is an owner", || async {
        let list = listed(&fed, 1, &witch.room).await?;
        Ok(list.get(witch.bare_jid()).map(String::as_str) == Some("owner"))
    })
    .await?;
    let takes = fed[1]
        .eval(&format!("return (require 'util.jid'.prep('{JID}')) ~= nil"))
        .await?;
    if takes.as_bool() == Some(false) {
        let room = &witch.room;
        let answer = witch
            .iq_xml(&format!(
                "<iq type='set' to='{room}'><query xmlns='http://jabber.org/protocol/muc#admin'>\
                 <item jid='{JID}' affiliation='outcast'/></query></iq>"
            ))
            .await?;
        assert_eq!(error_condition(&answer).as_deref(), Some("jid-malformed"));
        let text = to_string(&answer);
        assert!(text.contains("This server does not take"), "{text}");
    }
    crone.set_affiliation(&crone.room, JID, "outcast").await?;
    for (server, person) in people.iter().enumerate() {
        eventually(&format!("{} bans {JID}", person.room), || async {
            let list = listed(&fed, server, &person.room).await?;
            Ok(list.get(JID).map(String::as_str) == Some("outcast"))
        })
        .await?;
    }
    fed.finish().await
}
