//! Moderation (XEP-0425) across instances, with Debian's mod_muc_moderation at two of three: a message is gone from every
//! history and archive, whoever took it away, wherever it was said, also after a split and a restart.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{
    Builder, Element, Federation, Storage, Version, body, error_condition, on_every_version, to_string,
};

use crate::splits::{hasty, patience};
use crate::stage::{CLIENT, OCCUPANT_ID, Person, company, occupant_id, quiet, stanza_id};

/// Where Debian's package has it; Prosody 13 of the testbed looks elsewhere by itself.
const MODULE: &str = "/usr/lib/prosody/modules/mod_muc_moderation";
const FASTEN: &str = "urn:xmpp:fasten:0";
const MODERATE_0: &str = "urn:xmpp:message-moderate:0";
const RETRACT_0: &str = "urn:xmpp:message-retract:0";
const MODERATE_1: &str = "urn:xmpp:message-moderate:1";
const RETRACT_1: &str = "urn:xmpp:message-retract:1";
const REASON: &str = "Spam & <more>";

/// Which form of the specification a client speaks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    V0_2,
    V0_3,
}

pub(crate) fn federation(version: Version, storage: Storage) -> Builder {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let paths = format!(
        "plugin_paths = {{ {:?}; {:?}; {MODULE:?} }}",
        root.join("tests/testbed/prosody"),
        root.join("target/plugin")
    );
    let mut builder = hasty("moderation", version, storage).global_line(&paths);
    for index in [0, 1] {
        builder = builder.with_server(index, |server| server.muc_modules.push("muc_moderation".into()));
    }
    builder
}

/// What a client sends to take a message away.
pub(crate) fn asking(id: &str, form: Form) -> String {
    let reason = "<reason>Spam &amp; &lt;more&gt;</reason>";
    match form {
        Form::V0_2 => format!(
            "<apply-to xmlns='{FASTEN}' id='{id}'><moderate xmlns='{MODERATE_0}'><retract xmlns='{RETRACT_0}'/>{reason}\
             </moderate></apply-to>"
        ),
        Form::V0_3 => format!(
            "<moderate xmlns='{MODERATE_1}' id='{id}'><retract xmlns='{RETRACT_1}'/>{reason}</moderate>"
        ),
    }
}

pub(crate) async fn take_away(person: &Person, id: &str, form: Form) -> Result<Element> {
    let (room, request) = (&person.room, asking(id, form));
    person
        .iq_xml(&format!("<iq type='set' to='{room}'>{request}</iq>"))
        .await
}

pub(crate) async fn takes_away(person: &Person, id: &str, form: Form) -> Result<()> {
    let answer = take_away(person, id, form).await?;
    ensure!(answer.attr("type") == Some("result"), "{}", to_string(&answer));
    Ok(())
}

/// Whether a message says in both forms that the one with this id was taken away; then by whom.
fn announced(message: &Element, id: &str) -> Option<String> {
    let old = message.get_child("apply-to", FASTEN)?;
    let moderated = old.get_child("moderated", MODERATE_0)?;
    moderated.get_child("retract", RETRACT_0)?;
    let new = message.get_child("retract", RETRACT_1)?;
    let by = moderated.attr("by")?;
    let is_same = new.get_child("moderated", MODERATE_1)?.attr("by") == Some(by);
    let ids = [old.attr("id"), new.attr("id")];
    let reasons = [
        moderated.get_child("reason", MODERATE_0),
        new.get_child("reason", RETRACT_1),
    ];
    let is_reason = reasons
        .iter()
        .all(|reason| reason.is_some_and(|reason| reason.text() == REASON));
    (is_same && is_reason && ids == [Some(id); 2]).then(|| by.to_owned())
}

/// Somebody is told that a message was taken away. Returns the stanza-id of the announcement.
pub(crate) async fn is_told(viewer: &Person, id: &str, moderator: &Person) -> Result<String> {
    let what = format!("{} learns that {id} was taken away", viewer.nick);
    let message = viewer
        .expect_within(&what, patience(), |s| {
            s.is("message", CLIENT) && announced(s, id).is_some()
        })
        .await?;
    assert_eq!(message.attr("from"), Some(&*viewer.room));
    assert_eq!(message.attr("type"), Some("groupchat"));
    assert_eq!(announced(&message, id), Some(viewer.sees(&moderator.nick)));
    let by = message
        .get_child("retract", RETRACT_1)
        .and_then(|retract| retract.get_child("moderated", MODERATE_1))
        .and_then(|moderated| moderated.get_child("occupant-id", OCCUPANT_ID))
        .and_then(|id| id.attr("id"))
        .map(str::to_owned);
    assert_eq!(by, Some(occupant_id(&moderator.joined.self_presence)?));
    stanza_id(&message, &viewer.room)
}

/// What the archive of a room has of a message: nothing but that there was one.
pub(crate) async fn is_tombstone(viewer: &Person, id: &str, author: &str, said: &str) -> Result<()> {
    let items = viewer.mam_all(&viewer.room).await?;
    let archived: Vec<_> = items.iter().filter(|item| item.id == id).collect();
    ensure!(
        archived.len() == 1,
        "{} items under {id} at {}",
        archived.len(),
        viewer.room
    );
    let message = &archived[0].message;
    assert_eq!(message.attr("from"), Some(&*viewer.sees(author)));
    for (namespace, container) in [(MODERATE_0, Some("moderated")), (RETRACT_1, None)] {
        let place = container.map_or(Some(message), |name| message.get_child(name, namespace));
        let retracted = place
            .context("what was moderated")?
            .children()
            .find(|c| c.name() == "retracted");
        ensure!(
            retracted.is_some_and(|r| r.attr("stamp").is_some()),
            "{}",
            to_string(message)
        );
    }
    let leaks = items.iter().any(|item| to_string(&item.message).contains(said));
    ensure!(!leaks, "{said:?} is in the archive of {} still", viewer.room);
    Ok(())
}

/// Nobody who joins hears of it but that it was taken away.
async fn joins_without(fed: &Federation, viewer: &Person, id: &str, said: &str) -> Result<()> {
    let late = fed[viewer.server]
        .client("late", &fed[viewer.server].log().mark().to_string())
        .await?;
    // At the other instances the one before may be seen yet.
    let nick = format!("late {}", viewer.server);
    let joined = late.join(&viewer.room, &nick).await?;
    for message in &joined.history {
        ensure!(
            !to_string(message).contains(said),
            "in the history: {}",
            to_string(message)
        );
    }
    let told = joined
        .history
        .iter()
        .filter(|message| announced(message, id).is_some())
        .count();
    ensure!(
        told == 1,
        "{told} announcements of {id} in the history of {}",
        viewer.room
    );
    late.leave(&viewer.room, &nick).await?;
    Ok(())
}

async fn is_gone_everywhere(
    fed: &Federation,
    people: &[Person; 3],
    id: &str,
    author: &str,
    said: &str,
) -> Result<()> {
    for viewer in people {
        is_tombstone(viewer, id, author, said).await?;
        joins_without(fed, viewer, id, said).await?;
    }
    Ok(())
}

/// Says something that everybody hears; returns its stanza-id.
pub(crate) async fn says(author: &Person, people: &[Person; 3], text: &str) -> Result<String> {
    author.say(&author.room, text).await?;
    let mut ids = Vec::new();
    for viewer in people {
        ids.push(stanza_id(&viewer.expect_body(text).await?, &viewer.room)?);
    }
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    Ok(ids.remove(0))
}

async fn a_moderator_anywhere_takes_a_message_said_anywhere_away(
    fed: &Federation,
    people: &[Person; 3],
) -> Result<()> {
    for (moderator, form) in [(0, Form::V0_2), (1, Form::V0_2), (1, Form::V0_3)] {
        for author in people {
            let moderator = &people[moderator];
            let text = format!("Buy of {} before {}'s {form:?}", author.nick, moderator.nick);
            let id = says(author, people, &text).await?;
            takes_away(moderator, &id, form).await?;
            let mut announcements = Vec::new();
            for viewer in people {
                announcements.push(is_told(viewer, &id, moderator).await?);
            }
            assert!(
                announcements.iter().all(|id| *id == announcements[0]),
                "{announcements:?}"
            );
            // Again: acknowledged, and nobody is told twice.
            takes_away(moderator, &id, form).await?;
            quiet(fed, &people.each_ref()).await?;
            for viewer in people {
                let again = viewer
                    .take_all()?
                    .iter()
                    .filter(|s| announced(s, &id).is_some())
                    .count();
                assert_eq!(again, 0, "{}", viewer.nick);
            }
            is_gone_everywhere(fed, people, &id, &author.nick, &text).await?;
            // The announcement is archived under its one id.
            for viewer in people {
                let items = viewer.mam_all(&viewer.room).await?;
                let found = items
                    .iter()
                    .filter(|item| announced(&item.message, &id).is_some());
                let ids: Vec<&str> = found.map(|item| &*item.id).collect();
                assert_eq!(ids, [&*announcements[0]], "{}", viewer.room);
            }
        }
    }
    Ok(())
}

async fn who_is_not_entitled_takes_nothing_away(fed: &Federation, people: &[Person; 3]) -> Result<()> {
    let [crone, witch, _] = people;
    let id = says(witch, people, "Stays").await?;
    let hag = fed[1].client("hag66", "moderation").await?;
    let joined = hag.join(&witch.room, "hag66").await?;
    // At the source, too.
    fed.settle(2).await?;
    let hag = Person {
        client: hag,
        server: 1,
        room: witch.room.clone(),
        nick: "hag66".into(),
        joined,
    };
    for form in [Form::V0_2, Form::V0_3] {
        let refused = take_away(&hag, &id, form).await?;
        assert_eq!(error_condition(&refused).as_deref(), Some("forbidden"));
        for moderator in [crone, witch] {
            let unknown = take_away(moderator, "nothing-has-this-id", form).await?;
            assert_eq!(error_condition(&unknown).as_deref(), Some("item-not-found"));
        }
    }
    // A moderator by role only: the source has but the word of a service for it.
    crone.set_role(&crone.room, "hag66", "moderator").await?;
    let seen = hag.sees("hag66");
    hag.expect("the role", |s| {
        s.attr("from") == Some(&*seen) && to_string(s).contains("'moderator'")
    })
    .await?;
    let refused = take_away(&hag, &id, Form::V0_3).await?;
    assert_eq!(error_condition(&refused).as_deref(), Some("forbidden"));
    assert!(
        to_string(&refused).contains("Only admins and owners"),
        "{}",
        to_string(&refused)
    );
    hag.leave(&hag.room, "hag66").await?;
    quiet(fed, &people.each_ref()).await?;
    for viewer in people {
        let items = viewer.mam_all(&viewer.room).await?;
        assert!(
            items
                .iter()
                .any(|item| body(&item.message).as_deref() == Some("Stays"))
        );
    }
    Ok(())
}

/// A service says of its occupant that it is a moderator, and sends in its name what a client would: the module that knows
/// one server only is not to believe it.
async fn a_peer_takes_nothing_away_by_a_clients_request(
    fed: &Federation,
    people: &[Person; 3],
) -> Result<()> {
    let [crone, _, faust] = people;
    let id = says(crone, people, "Stays as well").await?;
    crone.set_role(&crone.room, "faust", "moderator").await?;
    for viewer in people {
        let seen = viewer.sees("faust");
        let is_it = |s: &Element| s.attr("from") == Some(&*seen) && to_string(s).contains("'moderator'");
        viewer.expect("the role", is_it).await?;
    }
    for (server, viewer) in people.iter().enumerate().take(2) {
        for form in [Form::V0_2, Form::V0_3] {
            let mark = fed[server].log().mark();
            let request = asking(&id, form);
            let iq = format!(
                "<iq type='set' id='as-{server}-{form:?}' from='{}/faust' to='{}'>{request}</iq>",
                faust.room, viewer.room
            );
            fed[2]
                .eval(&format!(
                    "local iq = require 'util.xml'.parse([=[{iq}]=]); iq.attr.xmlns = nil; \
                     prosody.hosts['{}'].modules.dmuc.module:send(iq); return true",
                    fed[2].muc()
                ))
                .await?;
            let refused = format!("Refused <.*/> from {}/faust: forbidden", faust.room);
            fed[server]
                .log()
                .wait_since(mark, &refused, dmuc_testbed::deadline())
                .await?;
        }
    }
    crone.set_role(&crone.room, "faust", "participant").await?;
    quiet(fed, &people.each_ref()).await?;
    for viewer in people {
        let told = viewer.take_all()?;
        ensure!(
            told.iter().all(|s| announced(s, &id).is_none()),
            "{} was told: {told:?}",
            viewer.nick
        );
        let items = viewer.mam_all(&viewer.room).await?;
        let stays = items.iter().filter(|item| item.id == id);
        ensure!(
            stays.count() == 1
                && items
                    .iter()
                    .any(|item| body(&item.message).as_deref() == Some("Stays as well")),
            "in the archive of {}",
            viewer.room
        );
    }
    Ok(())
}

/// Both sides of a cut take something away that was said before it; the shadow's is offered, the source's pulled.
async fn what_is_taken_away_during_a_split_is_gone_after_it(
    fed: &Federation,
    people: &[Person; 3],
) -> Result<()> {
    let [crone, witch, _] = people;
    let first = says(people.last().context("three")?, people, "Before the split, one").await?;
    let second = says(witch, people, "Before the split, two").await?;
    let marks = [fed[0].log().mark(), fed[1].log().mark()];
    fed.link(0, 1).cut().await;
    for (server, peer) in [(0, 1), (1, 0)] {
        let down = format!("the link to {} is down", fed[peer].muc());
        fed[server]
            .log()
            .wait_since(marks[server], &down, patience())
            .await?;
    }
    takes_away(witch, &first, Form::V0_2).await?;
    let hidden = |s: &Element| s.is("message", CLIENT) && announced(s, &first).is_some();
    witch.expect("it is gone at once", hidden).await?;
    is_tombstone(witch, &first, "faust", "split, one").await?;
    crone.say(&crone.room, "During the split").await?;
    let third = stanza_id(&crone.expect_body("During the split").await?, &crone.room)?;
    takes_away(crone, &second, Form::V0_3).await?;
    takes_away(crone, &third, Form::V0_3).await?;
    fed.link(0, 1).heal().await;
    is_told(witch, &second, crone).await?;
    is_told(crone, &first, witch).await?;
    is_told(&people[2], &first, witch).await?;
    fed.settle(2).await?;
    quiet(fed, &people.each_ref()).await?;
    is_gone_everywhere(fed, people, &first, "faust", "split, one").await?;
    is_gone_everywhere(fed, people, &second, "firstwitch", "split, two").await?;
    is_gone_everywhere(fed, people, &third, "firstcrone", "During the split").await?;
    let heard = witch.take_all()?;
    assert!(
        heard
            .iter()
            .all(|s| body(s).as_deref() != Some("During the split"))
    );
    Ok(())
}

async fn moderation(version: Version, storage: Storage) -> Result<()> {
    let fed = federation(version, storage).start().await?;
    let mut people = company(&fed, "coven", &[("muc#roomconfig_historylength", "50")]).await?;
    people[0]
        .set_affiliation(&people[0].room, people[1].bare_jid(), "admin")
        .await?;
    let witch = people[1].sees("firstwitch");
    people[1]
        .expect("a promotion", |s| {
            s.attr("from") == Some(&*witch) && to_string(s).contains("'moderator'")
        })
        .await?;
    who_is_not_entitled_takes_nothing_away(&fed, &people).await?;
    a_peer_takes_nothing_away_by_a_clients_request(&fed, &people).await?;
    a_moderator_anywhere_takes_a_message_said_anywhere_away(&fed, &people).await?;
    what_is_taken_away_during_a_split_is_gone_after_it(&fed, &people).await?;
    // Nothing of it comes back with a restart.
    let id = says(&people[2], &people, "Before the restart").await?;
    takes_away(&people[0], &id, Form::V0_2).await?;
    for viewer in &people {
        is_told(viewer, &id, &people[0]).await?;
    }
    for server in 0..3 {
        fed[server].restart().await?;
        let (user, nick) = [
            ("crone1", "firstcrone"),
            ("somewitch", "firstwitch"),
            ("drfaust", "faust"),
        ][server];
        people[server] = Person::joins(&fed, server, user, "coven", nick).await?;
    }
    is_gone_everywhere(&fed, &people, &id, "faust", "Before the restart").await?;
    fed.finish().await
}

on_every_version! {
    fn a_moderated_message_is_gone_everywhere(version, storage) {
        moderation(version, storage).await
    }
}
