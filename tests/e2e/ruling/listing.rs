//! Lists of affiliations: by domain, of absent people, the last owner, and what is asked of a shadow.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Element, Federation, Version, code_list};

use super::{all_see, answered, item, list, shown, user_item};
use crate::asking::gone;
use crate::stage::{CLIENT, Person, company, gathered, quiet};
use crate::support::eventually;

/// Waits until a list is this at every instance, as crone (an owner) gets it.
async fn lists_agree(
    fed: &Federation,
    crone: &Person,
    name: &str,
    affiliation: &str,
    expected: &[&str],
) -> Result<()> {
    for server in fed.servers() {
        let room = server.room(name);
        eventually(&format!("{room} lists {expected:?} as {affiliation}"), || async {
            let mut found = crone.affiliated(&room, affiliation).await?;
            found.sort();
            Ok(found == expected)
        })
        .await?;
    }
    Ok(())
}

pub async fn a_domain_is_banned_everywhere(fed: &Federation) -> Result<()> {
    let people = company(fed, "domain", &[]).await?;
    let [crone, witch, faust] = people.each_ref();
    crone
        .set_affiliation(&crone.room, "drfaust@marlowe.lit", "owner")
        .await?;
    all_see(&[crone, witch, faust], "faust", "owner", "moderator").await?;
    // Once at the source, once at the other shadow.
    for (by, nick) in [(crone, "firstwitch"), (faust, "graymalkin")] {
        let victim = match nick {
            "firstwitch" => None,
            nick => Some(Person::joins(fed, 1, "graymalkin", "domain", nick).await?),
        };
        let victim = victim.as_ref().unwrap_or(witch);
        gathered(fed, "domain", &sorted(["faust", "firstcrone", nick])).await?;
        answered(
            by,
            &item(&by.room, "affiliation='outcast' jid='macbeth.lit'", "all of you"),
            None,
        )
        .await?;
        for person in [crone, faust, victim] {
            let presence = gone(person, &person.room, nick).await?;
            ensure!(
                code_list(&presence).contains(&301),
                "{}: {presence:?}",
                person.nick
            );
        }
        gathered(fed, "domain", &["faust", "firstcrone"]).await?;
        lists_agree(fed, crone, "domain", "outcast", &["macbeth.lit"]).await?;
        let banquo = fed[1].client("banquo", &format!("domain-{nick}")).await?;
        for server in fed.servers() {
            let refused = banquo.try_join(&server.room("domain"), "banquo").await?.err();
            let refused = refused.context("a refusal")?;
            assert_eq!(refused.condition, "forbidden", "{refused}");
        }
        // Others of other domains get in.
        let wagner = fed[2].client("wagner", &format!("domain-{nick}")).await?;
        wagner.join(&faust.room, "wagner").await?;
        wagner.leave(&faust.room, "wagner").await?;
        answered(
            by,
            &item(&by.room, "affiliation='none' jid='macbeth.lit'", ""),
            None,
        )
        .await?;
        lists_agree(fed, crone, "domain", "outcast", &[]).await?;
    }
    Ok(())
}

fn sorted<const N: usize>(mut nicks: [&str; N]) -> [&str; N] {
    nicks.sort_unstable();
    nicks
}

/// The messages that announce an affiliation (XEP-0045 example 195): whose, and which.
fn announced(person: &Person) -> Vec<(String, String)> {
    let is_it = |s: &Element| {
        s.is("message", CLIENT) && s.attr("from") == Some(&*person.room) && user_item(s).is_some()
    };
    let attribute = |s: &Element, name| {
        user_item(s)
            .and_then(|i| i.attr(name))
            .unwrap_or_default()
            .to_owned()
    };
    let found = person.drain_matching(is_it);
    found
        .iter()
        .map(|s| (attribute(s, "jid"), attribute(s, "affiliation")))
        .collect()
}

pub async fn changes_of_absent_people_are_announced(fed: &Federation) -> Result<()> {
    let people = company(fed, "absent", &[]).await?;
    let [crone, witch, faust] = people.each_ref();
    crone
        .set_affiliation(&crone.room, "drfaust@marlowe.lit", "admin")
        .await?;
    all_see(&[crone, witch, faust], "faust", "admin", "moderator").await?;
    quiet(fed, &[crone, witch, faust]).await?;
    for person in &people {
        announced(person);
    }
    for by in [crone, faust] {
        for affiliation in ["member", "none"] {
            let change = format!("affiliation='{affiliation}' jid='banquo@macbeth.lit'");
            answered(by, &item(&by.room, &change, ""), None).await?;
            let wanted = ("banquo@macbeth.lit".to_owned(), affiliation.to_owned());
            quiet(fed, &[crone, witch, faust]).await?;
            assert_eq!(
                announced(crone),
                std::slice::from_ref(&wanted),
                "to the moderator at the source"
            );
            assert_eq!(announced(faust), [wanted], "to the moderator at a shadow");
            assert_eq!(announced(witch), [], "to nobody else");
        }
    }
    Ok(())
}

pub async fn the_last_owner_stays(fed: &Federation) -> Result<()> {
    let people = company(fed, "owners", &[]).await?;
    let [crone, witch, faust] = people.each_ref();
    let owner = |jid: &str| format!("affiliation='owner' jid='{jid}'");
    let none = |jid: &str| format!("affiliation='none' jid='{jid}'");
    let (first, second) = ("crone1@shakespeare.lit", "drfaust@marlowe.lit");
    answered(crone, &item(&crone.room, &none(first), ""), Some("conflict")).await?;
    answered(crone, &item(&crone.room, &owner(second), ""), None).await?;
    all_see(&[crone, witch, faust], "faust", "owner", "moderator").await?;
    answered(faust, &item(&faust.room, &none(first), ""), None).await?;
    all_see(&[crone, witch, faust], "firstcrone", "none", "participant").await?;
    // At a shadow the source decides: its error.
    answered(faust, &item(&faust.room, &none(second), ""), Some("conflict")).await?;
    answered(crone, &item(&crone.room, &owner(first), ""), Some("not-allowed")).await?;
    answered(faust, &item(&faust.room, &owner(first), ""), None).await?;
    lists_agree(fed, crone, "owners", "owner", &[first, second]).await
}

pub async fn lists_are_complete_at_a_shadow(fed: &Federation, version: Version) -> Result<()> {
    let people = company(fed, "lists", &[]).await?;
    let [crone, witch, faust] = people.each_ref();
    crone
        .set_affiliation(&crone.room, "drfaust@marlowe.lit", "admin")
        .await?;
    all_see(&[crone, witch, faust], "faust", "admin", "moderator").await?;
    let entry = |affiliation: &str, jid: &str| format!("affiliation='{affiliation}' jid='{jid}'");
    for (by, affiliation, jid) in [
        (crone, "member", "hag66@shakespeare.lit"),
        (faust, "member", "banquo@macbeth.lit"),
        (crone, "outcast", "iago@venice.lit"),
        (faust, "outcast", "macduff@macbeth.lit"),
    ] {
        answered(by, &item(&by.room, &entry(affiliation, jid), "as I wish"), None).await?;
    }
    let members = ["banquo@macbeth.lit", "hag66@shakespeare.lit"];
    let outcasts = ["iago@venice.lit", "macduff@macbeth.lit"];
    lists_agree(fed, crone, "lists", "member", &members).await?;
    lists_agree(fed, crone, "lists", "outcast", &outcasts).await?;
    lists_agree(fed, crone, "lists", "admin", &["drfaust@marlowe.lit"]).await?;
    lists_agree(fed, crone, "lists", "owner", &["crone1@shakespeare.lit"]).await?;
    // With the reasons, where Prosody keeps them.
    if !version.is_0_12() {
        for server in fed.servers() {
            for entry in list(crone, &server.room("lists"), "affiliation='outcast'").await? {
                let why = entry.children().find(|c| c.name() == "reason").map(Element::text);
                assert_eq!(why.as_deref(), Some("as I wish"), "{entry:?}");
            }
        }
    }
    // Roles: of the occupants of all instances, with the real JIDs.
    for (role, expected) in [
        (
            "moderator",
            &[
                ("faust", "drfaust@marlowe.lit"),
                ("firstcrone", "crone1@shakespeare.lit"),
            ][..],
        ),
        ("participant", &[("firstwitch", "somewitch@macbeth.lit")]),
        ("visitor", &[]),
    ] {
        for person in [crone, faust] {
            let entries = list(person, &person.room, &format!("role='{role}'")).await?;
            let mut found: Vec<(&str, &str)> = entries
                .iter()
                .map(|e| {
                    (
                        e.attr("nick").unwrap_or_default(),
                        e.attr("jid").unwrap_or_default(),
                    )
                })
                .map(|(nick, jid)| (nick, jid.split('/').next().unwrap_or_default()))
                .collect();
            found.sort_unstable();
            assert_eq!(
                found,
                expected,
                "{role}s at {}: {:?}",
                person.room,
                shown(&entries)
            );
        }
    }
    // Not for everybody.
    for what in ["affiliation='outcast'", "role='moderator'"] {
        let get = format!(
            "<iq type='get' to='{}'><query xmlns='{}'><item {what}/></query></iq>",
            witch.room,
            super::ADMIN
        );
        answered(witch, &get, Some("forbidden")).await?;
    }
    Ok(())
}
