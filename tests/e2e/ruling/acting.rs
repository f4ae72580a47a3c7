//! Roles of occupants of other instances: their home decides, and whoever asked learns what it decided.

use anyhow::{Result, ensure};
use dmuc_testbed::{Federation, code_list, error_condition};

use super::{all_see, answer_to, answered, is_answered, item};
use crate::asking::{gone, reason};
use crate::stage::{CLIENT, Person, company, gathered, quiet};

/// company(), with hecate as an admin at the first shadow.
async fn court(fed: &Federation, name: &str) -> Result<([Person; 3], Person)> {
    let people = company(fed, name, &[]).await?;
    people[0]
        .set_affiliation(&people[0].room, "hecate@macbeth.lit", "admin")
        .await?;
    let hecate = Person::joins(fed, 1, "hecate", name, "hecate").await?;
    let [crone, witch, faust] = people.each_ref();
    all_see(&[crone, witch, faust, &hecate], "hecate", "admin", "moderator").await?;
    Ok((people, hecate))
}

pub async fn who_asks_is_answered_by_the_home(fed: &Federation) -> Result<()> {
    let (people, hecate) = court(fed, "acting").await?;
    let [crone, witch, faust] = people.each_ref();
    quiet(fed, &[crone, witch, faust, &hecate]).await?;
    // Nothing gets to faust's home: nothing is answered yet, and nothing done.
    let kick = item(&hecate.room, "role='none' nick='faust'", "out");
    fed.link(1, 2).stall().await;
    let id = hecate.send_xml(&kick).await?;
    hecate.sync().await?;
    ensure!(!is_answered(&hecate, &id), "answered before the home has decided");
    fed.link(1, 2).heal().await;
    let answer = answer_to(&hecate, &id).await?;
    assert_eq!(answer.attr("type"), Some("result"), "{answer:?}");
    for person in [crone, witch, faust, &hecate] {
        let presence = gone(person, &person.room, "faust").await?;
        ensure!(code_list(&presence).contains(&307), "{presence:?}");
        assert_eq!(reason(&presence).as_deref(), Some("out"));
    }
    let faust = Person::joins(fed, 2, "drfaust", "acting", "faust").await?;
    gathered(fed, "acting", &["faust", "firstcrone", "firstwitch", "hecate"]).await?;
    // The home knows that hecate is an admin no more, her own instance does not: the home's error is the answer.
    fed.link_one_way(0, 1).stall().await;
    crone
        .set_affiliation(&crone.room, "hecate@macbeth.lit", "none")
        .await?;
    all_see(&[&faust], "hecate", "none", "participant").await?;
    answered(&hecate, &kick, Some("not-allowed")).await?;
    fed.link_one_way(0, 1).heal().await;
    all_see(&[witch, &hecate], "hecate", "none", "participant").await?;
    // Who is not entitled is told so at once, and so is who means nobody or nothing.
    answered(&hecate, &kick, Some("not-allowed")).await?;
    let nobody = item(&crone.room, "role='none' nick='nobody'", "");
    answered(crone, &nobody, Some("item-not-found")).await?;
    let king = item(&crone.room, "role='king' nick='faust'", "");
    answered(crone, &king, Some("not-acceptable")).await?;
    gathered(fed, "acting", &["faust", "firstcrone", "firstwitch", "hecate"]).await
}

/// Somebody else has the nick by the time the act arrives.
pub async fn a_stale_act_misses(fed: &Federation) -> Result<()> {
    let (people, hecate) = court(fed, "stale").await?;
    let [crone, witch, faust] = people.each_ref();
    quiet(fed, &[crone, witch, faust, &hecate]).await?;
    fed.link(1, 2).stall().await;
    let ids = [
        hecate
            .send_xml(&item(&hecate.room, "role='none' nick='faust'", "out"))
            .await?,
        hecate
            .send_xml(&item(&hecate.room, "role='visitor' nick='faust'", "hush"))
            .await?,
    ];
    hecate.sync().await?;
    faust.leave(&faust.room, "faust").await?;
    let wagner = Person::joins(fed, 2, "wagner", "stale", "faust").await?;
    fed.link(1, 2).heal().await;
    for id in ids {
        let answer = answer_to(&hecate, &id).await?;
        assert_eq!(error_condition(&answer).as_deref(), Some("item-not-found"));
    }
    quiet(fed, &[crone, witch, &wagner, &hecate]).await?;
    all_see(&[crone, witch, &wagner, &hecate], "faust", "none", "participant").await?;
    wagner.say_and_see(&wagner.room, "I am another").await?;
    Ok(())
}

/// One person with clients at the source and at a shadow is one occupant: out is out.
pub async fn a_person_at_two_instances_is_removed_from_both(fed: &Federation) -> Result<()> {
    for (name, remover) in [("twofold", 0), ("twofold-far", 2)] {
        let people = company(fed, name, &[]).await?;
        let [crone, witch, faust] = people.each_ref();
        crone
            .set_affiliation(&crone.room, "drfaust@marlowe.lit", "admin")
            .await?;
        all_see(&[crone, witch, faust], "faust", "admin", "moderator").await?;
        let other = fed[1].client("somewitch", &format!("{name}-other")).await?;
        other.join(&crone.room, "firstwitch").await?;
        quiet(fed, &[crone, witch, faust]).await?;
        let by = &people[remover];
        // Voice first: at both.
        answered(by, &item(&by.room, "role='visitor' nick='firstwitch'", ""), None).await?;
        all_see(&[crone, witch, faust], "firstwitch", "none", "visitor").await?;
        answered(
            by,
            &item(&by.room, "role='participant' nick='firstwitch'", ""),
            None,
        )
        .await?;
        all_see(&[crone, witch, faust], "firstwitch", "none", "participant").await?;
        answered(by, &item(&by.room, "role='none' nick='firstwitch'", "away"), None).await?;
        for (client, room) in [(&witch.client, &witch.room), (&other, &crone.room)] {
            let presence = gone(client, room, "firstwitch").await?;
            let codes = code_list(&presence);
            ensure!(
                codes.contains(&307) && codes.contains(&110),
                "{name}: {presence:?}"
            );
        }
        gathered(fed, name, &["faust", "firstcrone"]).await?;
    }
    Ok(())
}

/// Somebody whom an admin has made a moderator, without an affiliation: kicks and the subject, but no moderators.
pub async fn a_moderator_for_the_time_being_is_one_everywhere(fed: &Federation) -> Result<()> {
    let people = company(fed, "deputy", &[]).await?;
    let [crone, witch, faust] = people.each_ref();
    let kick = item(&faust.room, "role='none' nick='firstwitch'", "out");
    answered(faust, &kick, Some("not-allowed")).await?;
    answered(
        crone,
        &item(&crone.room, "role='moderator' nick='faust'", ""),
        None,
    )
    .await?;
    all_see(&[crone, witch, faust], "faust", "none", "moderator").await?;
    faust.set_subject(&faust.room, "The deputy's").await?;
    for person in &people {
        person
            .expect("the deputy's subject", |s| {
                s.get_child("subject", CLIENT)
                    .is_some_and(|subject| subject.text() == "The deputy's")
            })
            .await?;
    }
    let promote = item(&faust.room, "role='moderator' nick='firstwitch'", "");
    answered(faust, &promote, Some("not-allowed")).await?;
    let owner = item(&faust.room, "role='none' nick='firstcrone'", "");
    answered(faust, &owner, Some("not-allowed")).await?;
    answered(faust, &kick, None).await?;
    for person in &people {
        let presence = gone(person, &person.room, "firstwitch").await?;
        ensure!(code_list(&presence).contains(&307), "{presence:?}");
    }
    witch.join(&witch.room, "firstwitch").await?;
    gathered(fed, "deputy", &["faust", "firstcrone", "firstwitch"]).await?;
    answered(
        crone,
        &item(&crone.room, "role='participant' nick='faust'", ""),
        None,
    )
    .await?;
    all_see(&[crone, faust], "faust", "none", "participant").await?;
    answered(faust, &kick, Some("not-allowed")).await?;
    let id = faust.set_subject(&faust.room, "Mine").await?;
    let refused = faust
        .expect("a refusal", |s| {
            s.attr("id") == Some(&*id) && s.attr("type") == Some("error")
        })
        .await?;
    assert_eq!(error_condition(&refused).as_deref(), Some("forbidden"));
    Ok(())
}
