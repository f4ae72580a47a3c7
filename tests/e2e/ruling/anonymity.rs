//! Who sees real JIDs (XEP-0045 sections 7.2.4 and 10.2.1), whatever the instance.

use std::time::Duration;

use anyhow::{Result, ensure};
use dmuc_testbed::{Federation, code_list};

use super::all_see;
use crate::stage::{Person, company, quiet};
use crate::support::eventually;

/// Waits until somebody sees exactly these nicks with a real JID, the own one apart.
async fn sees_jids(person: &Person, expected: &[&str]) -> Result<()> {
    eventually(
        &format!("{} sees the JIDs of {expected:?}", person.nick),
        || async {
            person.sync().await?;
            let roster = person.roster();
            let mut found: Vec<&str> = Vec::new();
            for (nick, item) in roster.iter().filter(|(nick, _)| **nick != person.nick) {
                if item.jid.is_some() {
                    found.push(nick);
                }
            }
            Ok(found == expected)
        },
    )
    .await
}

pub async fn moderators_see_real_jids_and_nobody_else(fed: &Federation) -> Result<()> {
    let people = company(fed, "masks", &[("muc#roomconfig_whois", "moderators")]).await?;
    let [crone, witch, faust] = people.each_ref();
    crone
        .set_affiliation(&crone.room, "hecate@macbeth.lit", "admin")
        .await?;
    let hecate = Person::joins(fed, 1, "hecate", "masks", "hecate").await?;
    all_see(&[crone, witch, faust], "hecate", "admin", "moderator").await?;
    ensure!(
        !hecate.joined.codes().contains(&100),
        "{:?}",
        hecate.joined.codes()
    );
    sees_jids(&hecate, &["faust", "firstcrone", "firstwitch"]).await?;
    quiet(fed, &[crone, witch, faust, &hecate]).await?;
    // She is at the same instance, and learns nothing by that.
    sees_jids(witch, &[]).await?;
    sees_jids(faust, &[]).await?;

    // Somebody becomes a moderator at a shadow that knew nothing, and ceases to be one.
    crone
        .set_affiliation(&crone.room, "drfaust@marlowe.lit", "admin")
        .await?;
    all_see(&[crone, witch, faust, &hecate], "faust", "admin", "moderator").await?;
    sees_jids(faust, &["firstcrone", "firstwitch", "hecate"]).await?;
    crone
        .set_affiliation(&crone.room, "drfaust@marlowe.lit", "none")
        .await?;
    all_see(&[crone, witch, faust, &hecate], "faust", "none", "participant").await?;
    quiet(fed, &[crone, witch, faust, &hecate]).await?;
    // What he is shown from now on names nobody.
    faust.drain();
    for person in [crone, witch, &hecate] {
        let change = format!(
            "<presence to='{}'><show>away</show></presence>",
            person.sees(&person.nick)
        );
        person.send_xml(&change).await?;
    }
    quiet(fed, &[crone, witch, faust, &hecate]).await?;
    let shown = faust.roster();
    for nick in ["firstcrone", "firstwitch", "hecate"] {
        assert_eq!(shown.get(nick).and_then(|item| item.jid.clone()), None, "{nick}");
    }
    sees_jids(witch, &[]).await
}

/// Waits for the room's word that its configuration has changed with this code.
async fn is_told(person: &Person, code: u16) -> Result<()> {
    person
        .expect(&format!("status {code} for {}", person.nick), |s| {
            s.attr("from") == Some(&*person.room) && code_list(s).contains(&code)
        })
        .await?;
    Ok(())
}

/// The status codes of joining each instance.
async fn codes_on_joining(fed: &Federation, name: &str, is_open: bool) -> Result<()> {
    for (server, host) in fed.servers().iter().enumerate() {
        let client = fed[server].client("guest", &format!("{name}-{is_open}")).await?;
        let room = host.room(name);
        let joined = client.join(&room, "guest").await?;
        assert_eq!(
            joined.codes().contains(&100),
            is_open,
            "{room}: {:?}",
            joined.codes()
        );
        client.leave(&room, "guest").await?;
        // The nick is free everywhere before the next guest comes.
        fed.settle(2).await?;
    }
    Ok(())
}

pub async fn a_switch_takes_effect_everywhere(fed: &Federation) -> Result<()> {
    let people = company(fed, "switch", &[("muc#roomconfig_whois", "moderators")]).await?;
    let [crone, witch, faust] = people.each_ref();
    let whois = "muc#roomconfig_whois";
    codes_on_joining(fed, "switch", false).await?;
    quiet(fed, &[crone, witch, faust]).await?;
    // One shadow hears of it last, when the other one has told it already who its occupants are.
    let late = fed.link_one_way(0, 1);
    late.delay(Duration::from_millis(400)).await;
    crone.configure_room(&crone.room, &[(whois, "anyone")]).await?;
    for person in &people {
        is_told(person, 172).await?;
    }
    late.heal().await;
    // A shadow shows anew whom it knows of other instances; the source's own people learn with the next presence, as on
    // one server.
    sees_jids(witch, &["faust", "firstcrone"]).await?;
    sees_jids(faust, &["firstcrone", "firstwitch"]).await?;
    codes_on_joining(fed, "switch", true).await?;
    let hag = Person::joins(fed, 2, "hag66", "switch", "hag").await?;
    sees_jids(&hag, &["faust", "firstcrone", "firstwitch"]).await?;
    hag.leave(&hag.room, "hag").await?;
    // Back again, by an owner at a shadow.
    crone
        .set_affiliation(&crone.room, "somewitch@macbeth.lit", "owner")
        .await?;
    all_see(&[crone, witch, faust], "firstwitch", "owner", "moderator").await?;
    quiet(fed, &[crone, witch, faust]).await?;
    witch
        .configure_room(&witch.room, &[(whois, "moderators")])
        .await?;
    for person in &people {
        is_told(person, 173).await?;
    }
    quiet(fed, &[crone, witch, faust]).await?;
    codes_on_joining(fed, "switch", false).await?;
    let hag = Person::joins(fed, 2, "hag66", "switch", "hag").await?;
    quiet(fed, &[crone, witch, faust, &hag]).await?;
    sees_jids(&hag, &[]).await?;
    // An owner by now: whoever is shown anew is shown with it.
    sees_jids(witch, &["faust", "firstcrone", "hag"]).await
}
