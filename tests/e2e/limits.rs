//! What no instance would take from another is refused to who asks for it, in words, and changes nothing (G13).

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{
    Client, Element, Federation, Storage, Version, body, code_list, error_condition, on_every_version,
};

use crate::asking::{gone, role, submit, value};
use crate::stage::{Person, company, quiet, raise};
use crate::support::{eventually, nicks};

const DESCRIPTION: &str = "muc#roomconfig_roomdesc";

/// More than 4,096 bytes.
fn long() -> String {
    "Double, double toil and trouble. ".repeat(200)
}

fn text_of(error: &Element) -> Option<String> {
    let error = error.children().find(|child| child.name() == "error")?;
    error
        .children()
        .find(|child| child.name() == "text")
        .map(Element::text)
}

async fn subjects(fed: &Federation, people: &[Person; 3]) -> Result<()> {
    for person in people {
        let id = person.set_subject(&person.room, &long()).await?;
        let error = person
            .expect("a refusal", |s| {
                s.attr("type") == Some("error") && s.attr("id") == Some(&*id)
            })
            .await?;
        assert_eq!(error_condition(&error).as_deref(), Some("policy-violation"));
        let text = text_of(&error).context("a text")?;
        assert!(text.contains("4096"), "{text}");
    }
    quiet(fed, &people.each_ref()).await?;
    for person in people {
        assert_eq!(person.take_all()?.len(), 0, "nobody saw anything");
    }
    Ok(())
}

/// The owner is told which field it is, wherever the form is submitted, and nothing of it is taken.
async fn forms(fed: &Federation, people: &[Person; 3]) -> Result<()> {
    let [crone, witch, _] = people;
    crone
        .set_affiliation(&crone.room, "somewitch@macbeth.lit", "owner")
        .await?;
    quiet(fed, &people.each_ref()).await?;
    for owner in [crone, witch] {
        let fields = [("muc#roomconfig_roomname", "Half of it"), (DESCRIPTION, &*long())];
        let answer = submit(owner, &owner.room, &fields).await?;
        assert_eq!(error_condition(&answer).as_deref(), Some("not-acceptable"));
        let text = text_of(&answer).context("a text")?;
        assert!(text.contains(DESCRIPTION), "{text}");
    }
    quiet(fed, &people.each_ref()).await?;
    for person in [crone, witch] {
        let form = person.room_form(&person.room).await?;
        assert_ne!(
            value(&form, "muc#roomconfig_roomname").as_deref(),
            Some("Half of it")
        );
        person.take_all()?;
    }
    Ok(())
}

/// A long reason ends where the others take no more; the occupant is gone everywhere all the same.
async fn reasons(fed: &Federation, people: &[Person; 3]) -> Result<()> {
    let [crone, _, faust] = people;
    let hag = fed[0].client("hag66", "limits").await?;
    hag.join(&crone.room, "hag").await?;
    quiet(fed, &people.each_ref()).await?;
    let (room, reason) = (&crone.room, long());
    let kicked = crone
        .iq_xml(&format!(
            "<iq type='set' to='{room}'><query xmlns='http://jabber.org/protocol/muc#admin'>\
             <item nick='hag' role='none'><reason>{reason}</reason></item></query></iq>"
        ))
        .await?;
    assert_eq!(kicked.attr("type"), Some("result"));
    let seen = gone(faust, &faust.room, "hag").await?;
    assert!(code_list(&seen).contains(&307), "{seen:?}");
    for (server, person) in people.iter().enumerate() {
        eventually("hag is gone", || async {
            Ok(!nicks(fed, server, &person.room)
                .await?
                .contains(&"hag".to_owned()))
        })
        .await?;
    }
    Ok(())
}

/// A room that has grown beyond the limit stays an ordinary one, and its owner learns why.
async fn rooms(fed: &Federation) -> Result<()> {
    let room = fed[0].room("heath");
    let crone: Client = fed[0].client("crone1", "heath").await?;
    crone
        .create_room(&room, "firstcrone", &[(DESCRIPTION, &long())])
        .await?;
    submit(&crone, &room, &[("muc#roomconfig_distributed", "1")]).await?;
    let told = crone
        .expect("why the room is not distributed", |s| {
            s.attr("from") == Some(&*room) && body(s).is_some_and(|text| text.contains("is not distributed"))
        })
        .await?;
    let text = body(&told).context("a body")?;
    ensure!(text.contains(DESCRIPTION), "{text}");
    assert_eq!(role(fed, 0, &room).await?, None);
    // Once it is shorter, it goes.
    submit(
        &crone,
        &room,
        &[(DESCRIPTION, "Short"), ("muc#roomconfig_distributed", "1")],
    )
    .await?;
    eventually("the room is distributed", || async {
        Ok(role(fed, 0, &room).await?.as_deref() == Some("source"))
    })
    .await
}

async fn limits(version: Version, storage: Storage) -> Result<()> {
    let fed = raise("limits", version, storage).await?;
    let people = company(&fed, "coven", &[]).await?;
    for person in &people {
        person.take_all()?;
    }
    subjects(&fed, &people).await?;
    forms(&fed, &people).await?;
    reasons(&fed, &people).await?;
    rooms(&fed).await?;
    fed.finish().await
}

on_every_version! {
    fn what_no_instance_takes_is_refused_in_words(version) {
        limits(version, Storage::Internal).await
    }
}
