//! XEP-0045 sections 8 to 10 between instances: what moderators, admins and owners do at one, to people and lists of
//! all. `governing` has the plain course of it; here are the answers, the limits and what happens during a split.

mod acting;
mod anonymity;
pub mod capacity;
mod configuring;
mod leaving;
mod listing;

use anyhow::{Context, Result};
use dmuc_testbed::{Client, Element, Storage, Version, error_condition, on_every_version, to_string};

use crate::stage::{MUC_USER, Person};
use crate::support::{VISITS, eventually, three};

const ADMIN: &str = "http://jabber.org/protocol/muc#admin";
const STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";

/// A request with one item of `muc#admin`.
pub fn item(room: &str, attributes: &str, why: &str) -> String {
    format!(
        "<iq type='set' to='{room}'><query xmlns='{ADMIN}'><item {attributes}><reason>{why}</reason></item></query></iq>"
    )
}

/// Asks for it and is answered with this: nothing for a result.
pub async fn answered(client: &Client, xml: &str, condition: Option<&str>) -> Result<Element> {
    let answer = client.iq_xml(xml).await?;
    assert_eq!(error_condition(&answer).as_deref(), condition, "{xml}");
    Ok(answer)
}

/// The text of an error.
fn error_text(stanza: &Element) -> Option<String> {
    let error = stanza.children().find(|child| child.name() == "error")?;
    error.get_child("text", STANZAS).map(Element::text)
}

/// Whether an answer to this request has arrived, without taking it.
fn is_answered(client: &Client, id: &str) -> bool {
    client
        .peek()
        .iter()
        .any(|s| s.is("iq", "jabber:client") && s.attr("id") == Some(id))
}

/// The answer to a request that was sent before.
async fn answer_to(client: &Client, id: &str) -> Result<Element> {
    client
        .expect("an answer", |s| {
            s.is("iq", "jabber:client") && s.attr("id") == Some(id)
        })
        .await
}

/// The items of a list of `muc#admin`.
async fn list(client: &Client, room: &str, attributes: &str) -> Result<Vec<Element>> {
    let answer = client
        .iq_ok(&format!(
            "<iq type='get' to='{room}'><query xmlns='{ADMIN}'><item {attributes}/></query></iq>"
        ))
        .await?;
    let query = answer.get_child("query", ADMIN).context("a query")?;
    Ok(query.children().cloned().collect())
}

/// Waits until everybody here has this nick with affiliation and role, as their clients see it.
pub async fn all_see(people: &[&Person], nick: &str, affiliation: &str, role: &str) -> Result<()> {
    for person in people {
        eventually(
            &format!("{} sees {nick} as {affiliation}, {role}", person.nick),
            || async {
                person.sync().await?;
                let roster = person.roster();
                let item = roster.get(nick);
                Ok(item.is_some_and(|item| item.affiliation == affiliation && item.role == role))
            },
        )
        .await?;
    }
    Ok(())
}

/// The `muc#user` item of a message or presence.
fn user_item(stanza: &Element) -> Option<&Element> {
    stanza.get_child("x", MUC_USER)?.get_child("item", MUC_USER)
}

async fn ruling(version: Version, storage: Storage) -> Result<()> {
    let fed = three("ruling", version, storage).muc_line(VISITS).start().await?;
    acting::who_asks_is_answered_by_the_home(&fed).await?;
    acting::a_stale_act_misses(&fed).await?;
    acting::a_moderator_for_the_time_being_is_one_everywhere(&fed).await?;
    acting::a_person_at_two_instances_is_removed_from_both(&fed).await?;
    listing::a_domain_is_banned_everywhere(&fed).await?;
    listing::changes_of_absent_people_are_announced(&fed).await?;
    listing::the_last_owner_stays(&fed).await?;
    listing::lists_are_complete_at_a_shadow(&fed, version).await?;
    anonymity::moderators_see_real_jids_and_nobody_else(&fed).await?;
    anonymity::a_switch_takes_effect_everywhere(&fed).await?;
    configuring::the_form_at_a_shadow_is_whole(&fed).await?;
    configuring::the_source_decides_and_says_why(&fed).await?;
    capacity::a_full_room_is_full_at_every_instance(&fed).await?;
    fed.finish().await
}

on_every_version! {
    fn moderators_admins_and_owners_rule_between_instances(version, storage) {
        ruling(version, storage).await
    }
}

/// For assertions.
fn shown(stanzas: &[Element]) -> Vec<String> {
    stanzas.iter().map(to_string).collect()
}
