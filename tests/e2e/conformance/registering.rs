//! XEP-0045 section 7.10: registration, and reserved nicks.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Element, code_list, error_condition};

use super::scene::{Actor, Scene};
use super::{Case, case};
use crate::asking::{field, reason};

pub const CASES: &[Case] = &[
    case!(
        "7.10",
        "A member registers a nick, which is reserved from then on",
        a_member_registers
    ),
    case!("7.10", "Who is no member cannot register", no_member),
    case!("7.10", "An owner reserves a nick for somebody", an_owner_reserves),
];

const REGISTER: &str = "jabber:iq:register";

async fn asks_for_the_form(actor: &Actor) -> Result<Element> {
    actor
        .asks(&format!(
            "<iq type='get' to='{}'><query xmlns='{REGISTER}'/></iq>",
            actor.room
        ))
        .await
}

async fn registers(actor: &Actor, nick: &str) -> Result<Element> {
    actor
        .asks(&format!(
            "<iq type='set' to='{}'><query xmlns='{REGISTER}'><x xmlns='jabber:x:data' type='submit'>\
             <field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field>\
             <field var='muc#register_roomnick'><value>{nick}</value></field></x></query></iq>",
            actor.room
        ))
        .await
}

/// The nick that is reserved for somebody (7.11).
async fn reserved(actor: &Actor) -> Result<Option<String>> {
    let answer = actor
        .asks(&format!(
            "<iq type='get' to='{}'><query xmlns='http://jabber.org/protocol/disco#info' node='x-roomuser-item'/></iq>",
            actor.room
        ))
        .await?;
    let query = answer
        .get_child("query", "http://jabber.org/protocol/disco#info")
        .context("a query")?;
    let identity = query.children().find(|child| child.name() == "identity");
    Ok(identity
        .and_then(|identity| identity.attr("name"))
        .map(str::to_owned))
}

async fn a_member_registers(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.empty(&[]).await?;
    cast.owner.joins().await?;
    cast.owner
        .grants(&format!(
            "<item affiliation='member' jid='{}'/>",
            cast.guest.bare_jid()
        ))
        .await?;
    scene.settled(&cast).await?;
    cast.guest.joins().await?;
    scene.settled(&cast).await?;
    let form = asks_for_the_form(&cast.guest).await?;
    let form = form
        .get_child("query", REGISTER)
        .and_then(|query| query.get_child("x", "jabber:x:data"))
        .context("a form")?;
    ensure!(field(form, "muc#register_roomnick").is_some());
    ensure!(reserved(&cast.guest).await?.is_none());
    let answer = registers(&cast.guest, "guest").await?;
    ensure!(answer.attr("type") == Some("result"), "{answer:?}");
    ensure!(reserved(&cast.guest).await?.as_deref() == Some("guest"));
    cast.guest.leave(&cast.guest.room, "guest").await?;
    scene.settled(&cast).await?;
    cast.third.is_refused("guest", "", "conflict").await?;
    let members = cast.owner.lists("<item affiliation='member'/>").await?;
    ensure!(
        members.len() == 1 && members[0].attr("nick") == Some("guest"),
        "{members:?}"
    );
    let answer = cast
        .guest
        .asks(&format!(
            "<iq type='set' to='{}'><query xmlns='{REGISTER}'><remove/></query></iq>",
            cast.guest.room
        ))
        .await?;
    ensure!(answer.attr("type") == Some("result"), "{answer:?}");
    scene.settled(&cast).await?;
    let joined = cast.third.try_join(&cast.third.room, "guest").await?;
    ensure!(joined.is_ok(), "the nick is free again");
    scene.ends(cast).await
}

async fn no_member(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.cast(&[]).await?;
    for actor in [&cast.guest, &cast.third] {
        for answer in [
            asks_for_the_form(actor).await?,
            registers(actor, actor.nick).await?,
        ] {
            ensure!(
                error_condition(&answer).as_deref() == Some("registration-required"),
                "{answer:?}"
            );
        }
    }
    scene.ends(cast).await
}

async fn an_owner_reserves(scene: &Scene<'_>) -> Result<()> {
    let cast = scene.empty(&[]).await?;
    cast.owner.joins().await?;
    scene.settled(&cast).await?;
    // Somebody has the nick meanwhile, and has to go.
    let joined = cast.third.try_join(&cast.third.room, "guest").await?;
    ensure!(joined.is_ok());
    cast.owner.sees_here("guest").await?;
    scene.settled(&cast).await?;
    cast.owner
        .grants(&format!(
            "<item affiliation='member' jid='{}' nick='guest'/>",
            cast.guest.bare_jid()
        ))
        .await?;
    for actor in [&cast.owner, &cast.third] {
        let gone = actor.sees_gone("guest").await?;
        ensure!(code_list(&gone).contains(&307), "{gone:?}");
        ensure!(reason(&gone).is_some());
    }
    scene.settled(&cast).await?;
    cast.third.is_refused("guest", "", "conflict").await?;
    cast.guest.joins().await?;
    ensure!(reserved(&cast.guest).await?.as_deref() == Some("guest"));
    scene.ends(cast).await
}
