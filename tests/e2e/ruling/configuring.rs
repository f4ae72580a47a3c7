//! The configuration form at a shadow (XEP-0045 section 10.2): whole, decided at the source, with its errors.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Client, Element, Federation, code_list, error_condition};

use super::{all_see, answer_to, error_text};
use crate::asking::{field, role, submit, value};
use crate::stage::{company, quiet};
use crate::support::eventually;

const NAME: &str = "muc#roomconfig_roomname";
/// What only the source decides.
const THERE: [&str; 2] = ["muc#roomconfig_distributed", "muc#roomconfig_persistentroom"];

fn variables(form: &Element) -> Vec<&str> {
    let mut found: Vec<&str> = form.children().filter_map(|field| field.attr("var")).collect();
    found.retain(|var| !THERE.contains(var));
    found.sort_unstable();
    found
}

/// The values of a field, in whatever order the room has them.
fn values(form: &Element, var: &str) -> Vec<String> {
    let values = field(form, var).into_iter().flat_map(Element::children);
    let values = values.filter(|child| child.name() == "value");
    let mut found: Vec<String> = values.map(Element::text).collect();
    found.sort();
    found
}

async fn has_name(client: &Client, room: &str, name: &str) -> Result<bool> {
    Ok(value(&client.room_form(room).await?, NAME).as_deref() == Some(name))
}

pub async fn the_form_at_a_shadow_is_whole(fed: &Federation) -> Result<()> {
    let people = company(fed, "form", &[(NAME, "A Dark Cave")]).await?;
    let [crone, witch, faust] = people.each_ref();
    crone
        .set_affiliation(&crone.room, "drfaust@marlowe.lit", "owner")
        .await?;
    all_see(&[crone, witch, faust], "faust", "owner", "moderator").await?;
    let (there, here) = (
        crone.room_form(&crone.room).await?,
        faust.room_form(&faust.room).await?,
    );
    assert_eq!(variables(&here), variables(&there));
    for var in variables(&there) {
        assert_eq!(values(&here, var), values(&there, var), "{var}");
    }
    // What makes no sense here says so, in words.
    for var in THERE {
        ensure!(
            field(&there, var).is_some() && field(&here, var).is_none(),
            "{var}"
        );
    }
    let notes = here.children().filter(|f| f.attr("type") == Some("fixed"));
    let notes: Vec<String> = notes.flat_map(Element::children).map(Element::text).collect();
    let said = notes.iter().filter(|note| note.contains(&crone.room)).count();
    assert_eq!(said, 2, "{notes:?}");
    for var in THERE {
        let answer = submit(faust, &faust.room, &[(NAME, "Mine"), (var, "0")]).await?;
        assert_eq!(
            error_condition(&answer).as_deref(),
            Some("not-acceptable"),
            "{var}"
        );
        let text = error_text(&answer).context("a text")?;
        ensure!(text.contains(&crone.room), "{text}");
    }
    // As it is already, it may be said.
    let answer = submit(
        faust,
        &faust.room,
        &[(NAME, "A Study"), (THERE[0], "1"), (THERE[1], "true")],
    )
    .await?;
    assert_eq!(error_condition(&answer), None, "{answer:?}");
    for person in &people {
        eventually("the name has changed", || {
            has_name(crone, &person.room, "A Study")
        })
        .await?;
        person
            .expect("status 104", |s| {
                s.attr("from") == Some(&*person.room) && code_list(s).contains(&104)
            })
            .await?;
    }
    assert_eq!(role(fed, 0, &crone.room).await?.as_deref(), Some("source"));
    assert_eq!(role(fed, 2, &faust.room).await?.as_deref(), Some("shadow"));
    // Cancelled is cancelled.
    faust
        .iq_ok(&format!(
            "<iq type='set' to='{}'><query xmlns='http://jabber.org/protocol/muc#owner'>\
             <x xmlns='jabber:x:data' type='cancel'/></query></iq>",
            faust.room
        ))
        .await?;
    ensure!(has_name(crone, &crone.room, "A Study").await?);
    Ok(())
}

pub async fn the_source_decides_and_says_why(fed: &Federation) -> Result<()> {
    let people = company(fed, "decision", &[(NAME, "A Dark Cave")]).await?;
    let [crone, witch, faust] = people.each_ref();
    crone
        .set_affiliation(&crone.room, "drfaust@marlowe.lit", "owner")
        .await?;
    all_see(&[crone, witch, faust], "faust", "owner", "moderator").await?;
    let form = |form_type: &str, fields: &str| {
        format!(
            "<iq type='set' to='{}'><query xmlns='http://jabber.org/protocol/muc#owner'>\
             <x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>{form_type}</value></field>\
             {fields}</x></query></iq>",
            faust.room
        )
    };
    let roomconfig = "http://jabber.org/protocol/muc#roomconfig";
    let name = |name: &str| format!("<field var='{NAME}'><value>{name}</value></field>");
    // As a room on one server says it.
    let answer = faust.iq_xml(&form("urn:example:other", &name("Mine"))).await?;
    assert_eq!(error_condition(&answer).as_deref(), Some("bad-request"));
    assert_eq!(
        error_text(&answer).as_deref(),
        Some("Form is not of type room configuration")
    );
    // Not an owner any more, which only the source knows yet.
    fed.link_one_way(0, 2).stall().await;
    crone
        .set_affiliation(&crone.room, "drfaust@marlowe.lit", "admin")
        .await?;
    let id = faust.send_xml(&form(roomconfig, &name("Mine"))).await?;
    crone.sync().await?;
    fed.link_one_way(0, 2).heal().await;
    let answer = answer_to(faust, &id).await?;
    assert_eq!(
        error_condition(&answer).as_deref(),
        Some("forbidden"),
        "{answer:?}"
    );
    quiet(fed, &[crone, witch, faust]).await?;
    for person in &people {
        ensure!(
            has_name(crone, &person.room, "A Dark Cave").await?,
            "{}",
            person.room
        );
    }
    Ok(())
}
