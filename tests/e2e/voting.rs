//! Owners decide who may follow the source of their room, in its configuration and by command, at every instance; and one of them
//! takes it over when its host has died, with a client and no shell.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Client, Element, Version, on_every_version, to_string};

use crate::commands_adhoc::{nodes, run};
use crate::succession::{federation, follows, says};
use crate::support::{MACBETH, MARLOWE, SOURCE, distributed, eventually, replicated};

const VOTERS: &str = "{urn:x-dmuc:0}voters";
const SERVICES: [&str; 3] = [
    "chat.shakespeare.lit",
    "rooms.macbeth.lit",
    "conference.marlowe.lit",
];

fn field<'a>(form: &'a Element, var: &str) -> Option<&'a Element> {
    form.children().find(|field| field.attr("var") == Some(var))
}

fn values(field: &Element) -> Vec<String> {
    let values = field.children().filter(|child| child.name() == "value");
    values.map(Element::text).collect()
}

/// What the form says of the room's voters: those that were chosen, those that can be, and whether the sentence is in it.
async fn form(client: &Client, room: &str, sentence: &str) -> Result<(Vec<String>, Vec<String>, bool)> {
    let form = client.room_form(room).await?;
    let field = field(&form, VOTERS).with_context(|| to_string(&form))?;
    let options = field.children().filter(|child| child.name() == "option");
    let options = options.flat_map(values).collect();
    let mut fixed = form
        .children()
        .filter(|field| field.attr("type") == Some("fixed"));
    Ok((
        values(field),
        options,
        fixed.any(|field| values(field).concat().contains(sentence)),
    ))
}

async fn submits(client: &Client, room: &str, services: &[&str]) -> Result<Element> {
    let values: String = services
        .iter()
        .map(|service| format!("<value>{service}</value>"))
        .collect();
    client
        .iq_xml(&format!(
            "<iq type='set' to='{room}'><query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'>\
             <field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>\
             <field var='{VOTERS}'>{values}</field></x></query></iq>"
        ))
        .await
}

/// The voters that somebody sees in what the room says of itself.
async fn seen(client: &Client, room: &str) -> Result<Option<Vec<String>>> {
    let info = client.disco_info(room).await?;
    let mut forms = info.children().filter(|child| child.name() == "x");
    Ok(forms.find_map(|form| field(form, VOTERS).map(values)))
}

async fn chosen(version: Version) -> Result<()> {
    let fed = federation("voting", version, 3).await?;
    let crone = distributed(&fed, &[]).await?;
    crone
        .set_affiliation(SOURCE, "somewitch@macbeth.lit", "owner")
        .await?;
    crone
        .set_affiliation(SOURCE, "lennox@macbeth.lit", "member")
        .await?;
    let witch = fed[1].client("somewitch", "mobile").await?;
    witch.join(MACBETH, "firstwitch").await?;
    let lennox = fed[1].client("lennox", "castle").await?;
    let guest = fed[1].client("ross", "castle").await?;
    eventually("the shadow has its owner", || async {
        Ok(witch
            .affiliated(MACBETH, "owner")
            .await
            .is_ok_and(|list| list.len() == 2))
    })
    .await?;

    for (server, room) in [(0, SOURCE), (1, MACBETH)] {
        let one = format!("dmuc:room(\"{room}\")");
        says(&fed, server, &one, &["any 2 of these 3"]).await?;
    }
    // Nobody is named: those vote whom the administrator trusts with it, and the form says so, at both.
    for (client, room) in [(&crone, SOURCE), (&witch, MACBETH), (&witch, SOURCE)] {
        let (named, mut options, is_said) = form(client, room, "any 2 of these 3").await?;
        options.sort();
        let mut all = SERVICES.map(str::to_owned);
        all.sort();
        ensure!(
            named.is_empty() && options == all && is_said,
            "{room}: {named:?} {options:?} {is_said}"
        );
    }
    // As it was: nothing is chosen by that.
    witch
        .configure_room(MACBETH, &[("muc#roomconfig_roomdesc", "Where the witches meet")])
        .await?;
    for (client, room) in [(&crone, SOURCE), (&witch, MACBETH)] {
        ensure!(form(client, room, "any 2 of these 3").await?.2, "{room}");
    }

    // Two at the shadow, in the form; then all, at the source, by command.
    for services in [["chat.kyd.lit"], ["coven@rooms.macbeth.lit"]] {
        for (client, room) in [(&crone, SOURCE), (&witch, MACBETH)] {
            let refused = to_string(&submits(client, room, &services).await?);
            ensure!(
                refused.contains("not-acceptable")
                    && (refused.contains("cannot vote") || refused.contains("could vote")),
                "{room}: {refused}"
            );
        }
    }
    let taken = submits(&witch, MACBETH, &["rooms.macbeth.lit"]).await?;
    ensure!(taken.attr("type") == Some("result"), "{}", to_string(&taken));
    let two = [SERVICES[0].to_owned(), SERVICES[1].to_owned()];
    for (client, room, server) in [(&crone, SOURCE, 0), (&witch, MACBETH, 1)] {
        says(
            &fed,
            server,
            &format!("dmuc:room(\"{room}\")"),
            &["only two vote"],
        )
        .await?;
        eventually(&format!("{room} has them in its form"), || async {
            let (named, _, is_said) = form(client, room, "nobody can follow but by force").await?;
            Ok(named == two && is_said)
        })
        .await?;
    }
    let named = run(&crone, SOURCE, "voters", &[&[("voters", &SERVICES)]]).await?;
    named.expect_done("info", "are named")?;
    for (server, room) in [(0, SOURCE), (1, MACBETH), (2, MARLOWE)] {
        says(
            &fed,
            server,
            &format!("dmuc:room(\"{room}\")"),
            &["any 2 of these 3"],
        )
        .await?;
    }
    let told = run(&witch, SOURCE, "succession", &[]).await?;
    told.expect_done("info", "any 2 of these 3")?;
    // Members see them, by either address; others do not.
    for room in [MACBETH, SOURCE] {
        let mut members = seen(&lennox, room).await?.unwrap_or_default();
        members.sort();
        let mut all = SERVICES.map(str::to_owned);
        all.sort();
        ensure!(members == all, "{room}: {members:?}");
        ensure!(seen(&guest, room).await?.is_none(), "{room}");
    }
    // A restart forgets nothing of it, and back to what the service has.
    fed[0].restart().await?;
    let one = format!("dmuc:room(\"{SOURCE}\")");
    for words in ["any 2 of these 3", "2 of 2"] {
        says(&fed, 0, &one, &[words]).await?;
    }
    let (named, ..) = form(&witch, MACBETH, "").await?;
    ensure!(named == SERVICES, "{named:?}");
    let unnamed = run(&witch, MACBETH, "voters", &[&[("voters", &[])]]).await?;
    unnamed.expect_done("info", "are named")?;
    eventually("nothing is chosen", || async {
        Ok(form(&witch, MACBETH, "").await?.0.is_empty())
    })
    .await?;
    fed.finish().await
}

async fn taken_over(version: Version) -> Result<()> {
    let (fed, _crone, witch, _faust) = crate::succession::coven("voting-heir", version).await?;
    let early = run(&witch, MACBETH, "take-over", &[]).await?;
    early.expect_done("error", "can be reached")?;
    let listed = nodes(&witch, SOURCE).await?;
    for name in ["hand-over", "take-over", "force", "follow"] {
        ensure!(
            listed.contains(&format!("urn:x-dmuc:0#{name}")),
            "{name}: {listed:?}"
        );
    }
    fed[0].kill().await?;
    for (server, room) in [(1, MACBETH), (2, MARLOWE)] {
        says(
            &fed,
            server,
            &format!("dmuc:room(\"{room}\")"),
            &[SOURCE, "out of reach", "down"],
        )
        .await?;
    }
    // By the address that the owner has always used.
    let asked = run(&witch, SOURCE, "take-over", &[]).await?;
    asked.expect_done("info", "Votes are asked for")?;
    follows(&fed, 1, MACBETH, MACBETH).await?;
    follows(&fed, 2, MARLOWE, MACBETH).await?;
    // And it goes on to a third, in two steps of one form.
    let handed = run(
        &witch,
        SOURCE,
        "hand-over",
        &[&[("service", &["conference.marlowe.lit"])]],
    )
    .await?;
    handed.expect_done("info", "is handed over to conference.marlowe.lit")?;
    follows(&fed, 1, MACBETH, MARLOWE).await?;
    // A shadow's owner has its source hand it over.
    let back = run(
        &witch,
        MACBETH,
        "hand-over",
        &[&[("service", &["rooms.macbeth.lit"])]],
    )
    .await?;
    back.expect_done("info", "is handed over to rooms.macbeth.lit")?;
    follows(&fed, 2, MARLOWE, MACBETH).await?;
    fed.finish().await
}

async fn forced(version: Version) -> Result<()> {
    let fed = federation("voting-force", version, 2).await?;
    let crone = fed[0].client("crone1", "desktop").await?;
    crone
        .create_room(SOURCE, "firstcrone", &[("muc#roomconfig_distributed", "1")])
        .await?;
    replicated(&fed, &["rooms.macbeth.lit"]).await?;
    crone
        .set_affiliation(SOURCE, "somewitch@macbeth.lit", "owner")
        .await?;
    let taken = submits(&crone, SOURCE, &SERVICES[..2]).await?;
    ensure!(taken.attr("type") == Some("result"), "{}", to_string(&taken));
    let one = format!("dmuc:room(\"{MACBETH}\")");
    says(&fed, 1, &one, &["nobody can follow but by force"]).await?;
    let witch = fed[1].client("somewitch", "mobile").await?;
    witch.join(MACBETH, "firstwitch").await?;
    fed[0].kill().await?;
    says(&fed, 1, &one, &[SOURCE, "out of reach", "down"]).await?;
    let meant = run(&witch, SOURCE, "force", &[]).await?;
    ensure!(
        to_string(meant.form()?).contains("may be lost"),
        "it says first what may be lost"
    );
    run(&witch, SOURCE, "force", &[&[("sure", &["no"])]])
        .await?
        .expect_done("info", "Nothing was changed")?;
    says(&fed, 1, &one, &["Role: shadow"]).await?;
    run(&witch, SOURCE, "force", &[&[("sure", &["force"])]])
        .await?
        .expect_done("info", "decides about the room from now on")?;
    follows(&fed, 1, MACBETH, MACBETH).await?;
    fed[0].start().await?;
    follows(&fed, 0, SOURCE, MACBETH).await?;
    fed.finish().await
}

on_every_version! {
    fn owners_choose_who_may_follow_the_source(version) {
        chosen(version).await
    }

    fn an_owner_takes_a_room_over_and_hands_it_on_with_a_client(version) {
        taken_over(version).await
    }

    fn an_owner_is_told_what_force_may_lose_before(version) {
        forced(version).await
    }
}
