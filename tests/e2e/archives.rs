//! Archives (XEP-0313) of the instances of one room: complete after a split, the same ids, asked as on one server, by whom
//! one server would let; expired and limited as mod_muc_mam is told.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{
    Element, Federation, Storage, Version, body, error_condition, on_every_version, to_string,
};

use crate::splits::{hasty, patience};
use crate::stage::{Person, company, maybe_stanza_id, quiet, stanza_id};
use crate::support::{eventually, three};

const MAM: &str = "urn:xmpp:mam:2";
const RSM: &str = "http://jabber.org/protocol/rsm";
const DATA: &str = "jabber:x:data";
const STORAGES: [Storage; 3] = [Storage::Internal, Storage::Sqlite, Storage::Internal];

/// A page of an archive.
struct Page {
    ids: Vec<String>,
    is_complete: bool,
    first: Option<String>,
    last: Option<String>,
    count: Option<usize>,
}

/// Asks with fields of the form, and the rest of the query as XML.
async fn ask(person: &Person, fields: &[(&str, &[&str])], rest: &str) -> Result<Result<Page, String>> {
    let query_id = person.new_id();
    let field = |(var, values): &(&str, &[&str])| {
        let values: String = values
            .iter()
            .map(|value| format!("<value>{value}</value>"))
            .collect();
        format!("<field var='{var}'>{values}</field>")
    };
    let fields: String = fields.iter().map(field).collect();
    let answer = person
        .iq_xml(&format!(
            "<iq type='set' to='{}'><query xmlns='{MAM}' queryid='{query_id}'><x xmlns='{DATA}' type='submit'>\
             <field var='FORM_TYPE' type='hidden'><value>{MAM}</value></field>{fields}</x>{rest}</query></iq>",
            person.room
        ))
        .await?;
    if answer.attr("type") == Some("error") {
        return Ok(Err(error_condition(&answer).context("a condition")?));
    }
    let is_result = |s: &Element| {
        s.get_child("result", MAM)
            .is_some_and(|r| r.attr("queryid") == Some(&*query_id))
    };
    let results = person.drain_matching(is_result);
    let id = |s: &Element| {
        s.get_child("result", MAM)
            .and_then(|r| r.attr("id"))
            .map(str::to_owned)
    };
    let fin = answer.get_child("fin", MAM).context("an end")?;
    let set = fin.get_child("set", RSM).context("a set")?;
    let text = |name: &str| set.get_child(name, RSM).map(Element::text);
    Ok(Ok(Page {
        ids: results.iter().filter_map(id).collect(),
        is_complete: fin.attr("complete") == Some("true"),
        first: text("first"),
        last: text("last"),
        count: text("count").and_then(|count| count.parse().ok()),
    }))
}

async fn page(person: &Person, fields: &[(&str, &[&str])], rest: &str) -> Result<Page> {
    ask(person, fields, rest)
        .await?
        .map_err(|condition| anyhow::anyhow!("{condition} for {fields:?} {rest} at {}", person.room))
}

async fn archived(person: &Person) -> Result<Vec<String>> {
    Ok(person
        .mam_all(&person.room)
        .await?
        .into_iter()
        .map(|item| item.id)
        .collect())
}

/// Both sides of a split speak; afterwards every archive has everything once, under the same ids.
async fn every_archive_is_complete_after_a_split(fed: &Federation, people: &[Person; 3]) -> Result<()> {
    let mut said = BTreeSet::new();
    for (index, person) in people.iter().cycle().take(6).enumerate() {
        let reflected = person
            .say_and_see(&person.room, &format!("Before {index}"))
            .await?;
        said.insert(stanza_id(&reflected, &person.room)?);
    }
    quiet(fed, &people.each_ref()).await?;
    fed.isolate(1).await;
    for round in 0..6 {
        for person in people {
            let reflected = person
                .say_and_see(&person.room, &format!("Apart {round} {}", person.nick))
                .await?;
            said.insert(stanza_id(&reflected, &person.room)?);
        }
    }
    fed.heal_all().await;
    let end = tokio::time::Instant::now() + patience();
    for person in people {
        loop {
            let ids = archived(person).await?;
            let found: BTreeSet<String> = ids.iter().cloned().collect();
            ensure!(
                found.len() == ids.len(),
                "something is twice in the archive of {}",
                person.room
            );
            if found == said {
                break;
            }
            let missing = said.difference(&found).count();
            ensure!(
                tokio::time::Instant::now() < end,
                "{missing} are missing in the archive of {}",
                person.room
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    quiet(fed, &people.each_ref()).await
}

/// What a client may ask, answered by each instance from its own archive.
async fn queries_are_answered_as_on_one_server(people: &[Person; 3]) -> Result<()> {
    for person in people {
        let form = person
            .iq_ok(&format!(
                "<iq type='get' to='{}'><query xmlns='{MAM}'/></iq>",
                person.room
            ))
            .await?;
        for var in ["with", "start", "end", "before-id", "after-id", "ids"] {
            ensure!(
                to_string(&form).contains(&format!("'{var}'")),
                "{var}: {}",
                to_string(&form)
            );
        }
        let all = archived(person).await?;
        let count = all.len();
        ensure!(count == 24, "{count} messages");
        let max = |max: usize, rest: &str| format!("<set xmlns='{RSM}'><max>{max}</max>{rest}</set>");
        let first = page(person, &[], &max(5, "")).await?;
        assert_eq!((&first.ids[..], first.is_complete), (&all[..5], false));
        assert_eq!(
            (first.first.as_ref(), first.last.as_ref()),
            (all.first(), all.get(4))
        );
        // What a storage does not count it does not tell, as on one server.
        assert!(first.count.is_none_or(|told| told == count), "{:?}", first.count);
        let last = page(person, &[], &max(5, "<before/>")).await?;
        assert_eq!(last.ids, all[count - 5..]);
        let before = page(person, &[], &max(3, &format!("<before>{}</before>", all[10]))).await?;
        assert_eq!(before.ids, all[7..10]);
        let after = page(person, &[], &max(3, &format!("<after>{}</after>", all[10]))).await?;
        assert_eq!(after.ids, all[11..14]);
        let between = page(
            person,
            &[("after-id", &[&all[3]]), ("before-id", &[&all[9]])],
            &max(50, ""),
        )
        .await?;
        assert_eq!((&between.ids[..], between.is_complete), (&all[4..9], true));
        let wanted: Vec<&str> = [2, 11, 20].iter().map(|index| &*all[*index]).collect();
        let by_ids = page(person, &[("ids", &wanted)], &max(50, "")).await?;
        assert_eq!(by_ids.ids, wanted);
        let flipped = page(person, &[], &format!("{}<flip-page/>", max(4, ""))).await?;
        let mut reversed = all[..4].to_vec();
        reversed.reverse();
        assert_eq!(flipped.ids, reversed);
        let none = page(person, &[], &max(0, "")).await?;
        assert_eq!(none.ids.len(), 0);
        assert!(none.count.is_none_or(|told| told == count), "{:?}", none.count);
        let long_ago = page(person, &[("end", &["2001-01-01T00:00:00Z"])], &max(50, "")).await?;
        assert_eq!(long_ago.ids.len(), 0);
        let since = page(person, &[("start", &["2001-01-01T00:00:00Z"])], &max(50, "")).await?;
        assert_eq!(since.ids, all);
        let unknown = ask(person, &[], &max(5, "<after>nothing-has-this-id</after>")).await?;
        // Prosody 13's internal storage passes over an id that it does not find.
        let condition = unknown.err();
        assert!(
            condition
                .as_ref()
                .is_none_or(|condition| condition == "item-not-found"),
            "{condition:?}"
        );
    }
    Ok(())
}

/// Who is in the room or not, is banned, is a member or not: the source's lists count at every instance.
async fn archives_are_for_whom_the_room_is(fed: &Federation, people: &[Person; 3]) -> Result<()> {
    let crone = &people[0];
    let users = ["onlooker", "banned", "member"];
    let mut strangers = Vec::new();
    for person in people {
        for user in users {
            let client = fed[person.server].client(user, "archives").await?;
            strangers.push((
                user,
                Person {
                    client,
                    server: person.server,
                    room: person.room.clone(),
                    nick: user.to_owned(),
                    joined: people[0].joined.clone(),
                },
            ));
        }
    }
    for (user, stranger) in &strangers {
        match *user {
            "banned" => {
                crone
                    .set_affiliation(&crone.room, stranger.bare_jid(), "outcast")
                    .await?
            }
            "member" => {
                crone
                    .set_affiliation(&crone.room, stranger.bare_jid(), "member")
                    .await?
            }
            _ => continue,
        };
    }
    quiet(fed, &people.each_ref()).await?;
    let expect = async |user: &str, stranger: &Person, members_only: bool| -> Result<()> {
        let is_let = user == "member" || user == "onlooker" && !members_only;
        let condition = ask(stranger, &[], "").await?.err();
        let wanted = (!is_let).then(|| "forbidden".to_owned());
        ensure!(
            condition == wanted,
            "{user} at {}: {condition:?}, members only {members_only}",
            stranger.room
        );
        Ok(())
    };
    for (user, stranger) in &strangers {
        expect(user, stranger, false).await?;
    }
    for person in people.iter().skip(1) {
        crone
            .set_affiliation(&crone.room, person.bare_jid(), "member")
            .await?;
    }
    crone
        .configure_room(&crone.room, &[("muc#roomconfig_membersonly", "1")])
        .await?;
    quiet(fed, &people.each_ref()).await?;
    for (user, stranger) in &strangers {
        expect(user, stranger, true).await?;
    }
    Ok(())
}

/// An owner who has the archive switched off, or on again, does so for every instance.
async fn archiving_follows_the_source(fed: &Federation, people: &[Person; 3]) -> Result<()> {
    let [crone, witch, _] = people;
    let mut said = Vec::new();
    for (value, speaker) in [("0", crone), ("0", witch), ("1", crone), ("1", witch)] {
        crone
            .configure_room(&crone.room, &[("muc#roomconfig_enablearchiving", value)])
            .await?;
        quiet(fed, &people.each_ref()).await?;
        for person in people {
            let is_offered = person
                .disco_info(&person.room)
                .await?
                .children()
                .any(|feature| feature.name() == "feature" && feature.attr("var") == Some(MAM));
            ensure!(
                is_offered == (value == "1"),
                "archiving is {value} at {}",
                person.room
            );
        }
        let reflected = speaker
            .say_and_see(&speaker.room, &format!("archiving is {value}"))
            .await?;
        // Only what is in the archive has an id there.
        let id = maybe_stanza_id(&reflected, &speaker.room)?;
        ensure!(
            id.is_some() == (value == "1"),
            "archiving is {value}: {}",
            to_string(&reflected)
        );
        said.extend(id);
        quiet(fed, &people.each_ref()).await?;
    }
    for person in people {
        let items = person.mam_all(&person.room).await?;
        ensure!(
            !items
                .iter()
                .any(|item| body(&item.message).is_some_and(|text| text == "archiving is 0")),
            "switched off at {}",
            person.room
        );
        for id in &said {
            ensure!(items.iter().any(|item| item.id == *id), "{id} at {}", person.room);
        }
    }
    Ok(())
}

async fn archives(version: Version) -> Result<()> {
    let mut builder = hasty("archives", version, Storage::Internal).muc_line("muc_log_all_rooms = false");
    for (index, storage) in STORAGES.into_iter().enumerate() {
        builder = builder.with_server(index, |server| server.storage = storage);
    }
    let fed = builder.start().await?;
    let people = company(&fed, "coven", &[]).await?;
    every_archive_is_complete_after_a_split(&fed, &people).await?;
    queries_are_answered_as_on_one_server(&people).await?;
    archives_are_for_whom_the_room_is(&fed, &people).await?;
    archiving_follows_the_source(&fed, &people).await?;
    fed.finish().await
}

on_every_version! {
    fn archives_are_complete_and_asked_as_on_one_server(version) {
        archives(version).await
    }
}

/// Does at once what mod_muc_mam does once a day.
async fn expire(fed: &Federation, server: usize) -> Result<()> {
    let muc = fed[server].muc();
    fed[server]
        .eval(&format!(
            "local async = require 'util.async'; \
             for _, task in ipairs(prosody.hosts['{muc}'].modules.muc_mam.module:get_host_items('task')) do \
             async.runner(function () task:run(os.time()) end):run(true) end return true"
        ))
        .await?;
    Ok(())
}

/// With an expiry of a second and a quota of 150 messages.
async fn retention(version: Version) -> Result<()> {
    const LIMIT: usize = 150;
    let mut builder = three("retention", version, Storage::Internal)
        .muc_line("muc_log_expires_after = 1")
        .muc_line(&format!("storage_archive_item_limit = {LIMIT}"));
    for (index, storage) in STORAGES.into_iter().enumerate() {
        builder = builder.with_server(index, |server| server.storage = storage);
    }
    let fed = builder.start().await?;
    let mut people = company(&fed, "coven", &[]).await?;
    for number in 0..LIMIT + 20 {
        let speaker = &people[number % 3];
        speaker
            .say_and_see(&speaker.room, &format!("Number {number}"))
            .await?;
    }
    quiet(&fed, &people.each_ref()).await?;
    for person in &people {
        let items = person.mam_all(&person.room).await?;
        ensure!(
            items.len() <= LIMIT && items.len() > LIMIT / 2,
            "{} at {}",
            items.len(),
            person.room
        );
        // In the order in which they came here.
        let newest = items.iter().rev().take(10).filter_map(|item| body(&item.message));
        ensure!(
            newest.into_iter().any(|text| text == "Number 169"),
            "at {}",
            person.room
        );
    }
    // Everything is older than a second then.
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    for (server, person) in people.iter().enumerate() {
        expire(&fed, server).await?;
        eventually(&format!("everything expires at {}", person.room), || async {
            Ok(archived(person).await?.is_empty())
        })
        .await?;
    }
    // The history is another matter (dmuc_log_max_age); and what has expired does not come back into the archive.
    for server in 0..3 {
        fed[server].restart().await?;
        let (user, nick) = [
            ("crone1", "firstcrone"),
            ("somewitch", "firstwitch"),
            ("drfaust", "faust"),
        ][server];
        people[server] = Person::joins(&fed, server, user, "coven", nick).await?;
        let history = people[server].joined.history_bodies();
        ensure!(
            history.contains(&"Number 169".to_owned()),
            "{history:?} at {}",
            people[server].room
        );
        assert_eq!(
            archived(&people[server]).await?,
            [""; 0],
            "at {}",
            people[server].room
        );
    }
    fed.finish().await
}

on_every_version! {
    fn archives_expire_and_have_a_quota_as_on_one_server(version) {
        retention(version).await
    }
}
