//! Other modules and moderation: muc-moderate-message, as mod_muc_moderation fires it, at every instance.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Element, Federation, Storage, Version, body, error_condition, on_every_version};

use crate::moderation::{Form, federation, is_told, is_tombstone, says, take_away, takes_away};
use crate::splits::patience;
use crate::stage::{CLIENT, Person, company, quiet};

const EVENT: &str = "muc-moderate-message";

/// A module of the server that hooks the event, with the room as `room`.
async fn hook(fed: &Federation, server: usize, body: &str) -> Result<()> {
    let muc = fed[server].muc();
    let chunk = format!(
        "local host = prosody.hosts['{muc}'] \
         local archive = host.modules.dmuc.module:context('{muc}'):open_store('muc_log', 'archive') \
         local function archived(event) \
           local node = require 'util.jid'.node(event.room.jid) \
           for key, stanza in archive:find(node, {{ key = event.stanza_id; limit = 1 }}) do \
             if key == event.stanza_id then return stanza:get_child_text('body'); end \
           end \
         end \
         prosody.moderations = prosody.moderations or {{}} \
         prosody.listener = function (event) {body} end \
         host.events.add_handler('{EVENT}', prosody.listener); return true"
    );
    fed[server].eval(&chunk).await?;
    Ok(())
}

const NOTE: &str = "table.insert(prosody.moderations, { room = event.room.jid; id = event.stanza_id; reason = event.reason; \
    actor = event.actor; nick = event.actor_nick; body = archived(event); retract = event.retract and true; \
    announcement = tostring(event.announcement); tombstone = tostring(event.tombstone) });";

/// What the module has noted.
async fn noted(fed: &Federation, server: usize) -> Result<Vec<BTreeMap<String, String>>> {
    let found = fed[server].eval("return prosody.moderations").await?;
    let events = found.as_array().into_iter().flatten();
    let events = events.filter_map(|event| event.as_object());
    let text = |value: &str| value.trim_matches('"').to_owned();
    Ok(events
        .map(|event| {
            let fields = event.iter();
            let fields = fields.map(|(key, value)| {
                let value = value
                    .as_str()
                    .map_or_else(|| text(&value.to_string()), str::to_owned);
                (key.clone(), value)
            });
            fields.collect()
        })
        .collect())
}

async fn unhook(fed: &Federation, server: usize) -> Result<()> {
    let muc = fed[server].muc();
    let chunk = format!(
        "prosody.hosts['{muc}'].events.remove_handler('{EVENT}', prosody.listener); prosody.moderations = nil; return true"
    );
    fed[server].eval(&chunk).await?;
    Ok(())
}

async fn each_instance_fires_it_once(fed: &Federation, people: &[Person; 3]) -> Result<()> {
    for moderator in &people[..2] {
        for server in 0..3 {
            hook(fed, server, NOTE).await?;
        }
        let text = format!("Before {}", moderator.nick);
        let id = says(&people[2], people, &text).await?;
        takes_away(moderator, &id, Form::V0_3).await?;
        for viewer in people {
            is_told(viewer, &id, moderator).await?;
        }
        quiet(fed, &people.each_ref()).await?;
        for (server, viewer) in people.iter().enumerate() {
            let events = noted(fed, server).await?;
            ensure!(events.len() == 1, "at {server}: {events:?}");
            let event = &events[0];
            for (key, value) in [
                ("room", &viewer.room),
                ("id", &id),
                ("body", &text),
                ("nick", &viewer.sees(&moderator.nick)),
                ("reason", &"Spam & <more>".to_owned()),
            ] {
                assert_eq!(event.get(key), Some(value), "{key} at {server}: {event:?}");
            }
            assert_eq!(event["retract"], "true");
            for stanza in ["announcement", "tombstone"] {
                ensure!(event[stanza].contains("moderated"), "{event:?}");
            }
            let actor = &event["actor"];
            if server == moderator.server {
                assert_eq!(*actor, moderator.jid());
            } else {
                ensure!(
                    *actor == moderator.bare_jid() || *actor == viewer.sees(&moderator.nick),
                    "{actor}"
                );
            }
            is_tombstone(viewer, &id, "faust", &text).await?;
        }
        // Again: acknowledged, and no news.
        takes_away(moderator, &id, Form::V0_3).await?;
        quiet(fed, &people.each_ref()).await?;
        for server in 0..3 {
            assert_eq!(noted(fed, server).await?.len(), 1);
            unhook(fed, server).await?;
        }
    }
    Ok(())
}

/// A module may object where a moderator asks, and at the source, which decides; nowhere else.
async fn a_module_may_object_where_it_is_asked_and_at_the_source(
    fed: &Federation,
    people: &[Person; 3],
) -> Result<()> {
    for (objecting, moderator, is_kept) in [
        (0, 0, true),
        (1, 1, true),
        (0, 1, true),
        (1, 0, false),
        (2, 1, false),
    ] {
        hook(fed, objecting, "return true;").await?;
        let moderator = &people[moderator];
        let text = format!("Objection of {objecting} to {}", moderator.nick);
        let id = says(&people[2], people, &text).await?;
        let answer = take_away(moderator, &id, Form::V0_2).await?;
        if is_kept {
            assert_eq!(error_condition(&answer).as_deref(), Some("internal-server-error"));
            let error = answer.get_child("error", CLIENT).context("an error")?;
            assert_eq!(error.attr("type"), Some("wait"));
        } else {
            for viewer in people {
                is_told(viewer, &id, moderator).await?;
            }
        }
        quiet(fed, &people.each_ref()).await?;
        for viewer in people {
            let items = viewer.mam_all(&viewer.room).await?;
            let is_there = items
                .iter()
                .any(|item| item.id == id && body(&item.message).as_deref() == Some(&*text));
            assert_eq!(is_there, is_kept, "{text} at {}", viewer.room);
        }
        unhook(fed, objecting).await?;
        if is_kept {
            // Nothing is left of it: next time it is moderated.
            takes_away(moderator, &id, Form::V0_2).await?;
            for viewer in people {
                is_told(viewer, &id, moderator).await?;
            }
        }
    }
    Ok(())
}

/// What a module has written into the stanzas people here get: live, in the archive, in the history.
async fn a_module_may_change_what_its_people_are_told(fed: &Federation, people: &[Person; 3]) -> Result<()> {
    const MARK: &str = "urn:example:mark";
    let marks = format!(
        "event.announcement:tag('mark', {{ xmlns = '{MARK}' }}):up(); \
         event.tombstone:tag('mark', {{ xmlns = '{MARK}' }}):up();"
    );
    for (marking, moderator) in [(0, 0), (1, 1), (1, 0), (2, 0)] {
        hook(fed, marking, &marks).await?;
        let moderator = &people[moderator];
        let text = format!("Marked at {marking}");
        let id = says(&people[2], people, &text).await?;
        takes_away(moderator, &id, Form::V0_3).await?;
        for (server, viewer) in people.iter().enumerate() {
            let is_marked = |s: &Element| s.get_child("mark", MARK).is_some() == (server == marking);
            let about = |s: &Element| {
                let retract = s.get_child("retract", "urn:xmpp:message-retract:1");
                retract.and_then(|retract| retract.attr("id")) == Some(&*id)
            };
            let told = viewer
                .expect_within("the announcement", patience(), |s| {
                    s.is("message", CLIENT) && about(s)
                })
                .await?;
            ensure!(is_marked(&told), "at {server}: {told:?}");
            quiet(fed, &people.each_ref()).await?;
            let items = viewer.mam_all(&viewer.room).await?;
            let kept: Vec<_> = items
                .iter()
                .filter(|item| item.id == id || about(&item.message))
                .collect();
            assert_eq!(kept.len(), 2);
            ensure!(kept.iter().all(|item| is_marked(&item.message)), "at {server}");
            let late = fed[server].client("late", &format!("marked-{marking}")).await?;
            let nick = format!("late {marking} {server}");
            let joined = late.join(&viewer.room, &nick).await?;
            let history: Vec<_> = joined.history.iter().filter(|s| about(s)).collect();
            assert_eq!(history.len(), 1);
            ensure!(
                is_marked(history[0]),
                "in the history at {server}: {:?}",
                history[0]
            );
            late.leave(&viewer.room, &nick).await?;
        }
        unhook(fed, marking).await?;
    }
    Ok(())
}

/// A hook that waits for a network delays the moderation, and nothing else.
async fn a_module_may_wait(fed: &Federation, people: &[Person; 3]) -> Result<()> {
    for (waiting, moderator) in [(0, 0), (1, 1), (1, 0), (0, 1), (2, 0)] {
        let muc = fed[waiting].muc();
        hook(
            fed,
            waiting,
            "local wait, done = require 'util.async'.waiter(); prosody.release = done; wait();",
        )
        .await?;
        let moderator = &people[moderator];
        let id = says(&people[2], people, &format!("Waits at {waiting}")).await?;
        let room = &moderator.room;
        let request = crate::moderation::asking(&id, Form::V0_3);
        moderator
            .send_xml(&format!(
                "<iq type='set' id='w{waiting}' to='{room}'>{request}</iq>"
            ))
            .await?;
        crate::support::eventually(&format!("a hook waits at {muc}"), || async {
            Ok(fed[waiting].eval("return prosody.release ~= nil").await? == true)
        })
        .await?;
        // Those whose stanza does not wait speak.
        for author in people.iter().filter(|person| person.server != moderator.server) {
            says(
                author,
                people,
                &format!("{} meanwhile {waiting} {room}", author.nick),
            )
            .await?;
        }
        fed[waiting]
            .eval("local done = prosody.release; prosody.release = nil; done(); return true")
            .await?;
        for viewer in people {
            is_told(viewer, &id, moderator).await?;
        }
        quiet(fed, &people.each_ref()).await?;
        for viewer in people {
            is_tombstone(viewer, &id, "faust", "Waits at").await?;
        }
        unhook(fed, waiting).await?;
    }
    Ok(())
}

async fn events(version: Version, storage: Storage) -> Result<()> {
    let fed = federation(version, storage).start().await?;
    let people = company(&fed, "coven", &[("muc#roomconfig_historylength", "50")]).await?;
    people[0]
        .set_affiliation(&people[0].room, people[1].bare_jid(), "admin")
        .await?;
    let witch = people[1].sees("firstwitch");
    people[1]
        .expect("a promotion", |s| {
            s.attr("from") == Some(&*witch) && dmuc_testbed::to_string(s).contains("'moderator'")
        })
        .await?;
    quiet(&fed, &people.each_ref()).await?;
    each_instance_fires_it_once(&fed, &people).await?;
    a_module_may_object_where_it_is_asked_and_at_the_source(&fed, &people).await?;
    a_module_may_change_what_its_people_are_told(&fed, &people).await?;
    a_module_may_wait(&fed, &people).await?;
    fed.finish().await
}

on_every_version! {
    fn other_modules_learn_of_moderation_and_may_object(version, storage) {
        events(version, storage).await
    }
}
