//! Values that Prosody or another module puts into a room, and other instances do not take as they are: what is set after
//! that counts everywhere all the same.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Federation, Storage, Version, body, on_every_version};

use crate::addresses::listed;
use crate::asking::submit;
use crate::stage::{Person, company, quiet, raise};
use crate::support::eventually;

/// What a module does to the room at its source: a name for it, Lua with `room`, and what the owner is told, if anything.
const VALUES: [(&str, &str, Option<&str>); 6] = [
    ("history", "room:set_historylength(2.5) room:save(true)", None),
    (
        "twice",
        "prosody.hosts[host].events.add_handler('muc-config-form', function (event) \
           for i = 1, 2 do table.insert(event.form, { name = 'x#twice'; type = 'text-single'; label = 'x'; value = tostring(i) }); end \
         end) room:save(true)",
        Some("x#twice"),
    ),
    (
        "description",
        "room:set_description(('d'):rep(5000)) room:save(true)",
        Some("muc#roomconfig_roomdesc"),
    ),
    (
        "long nick",
        "room:set_affiliation(true, 'lady@macbeth.lit', 'member') \
         room:set_affiliation_data('lady@macbeth.lit', 'reserved_nickname', ('n'):rep(1100)) room:save(true)",
        Some("lady@macbeth.lit"),
    ),
    (
        "empty nick",
        "room:set_affiliation(true, 'porter@macbeth.lit', 'member', nil, { reserved_nickname = '' }) room:save(true)",
        None,
    ),
    (
        "odd nick",
        "room:set_affiliation(true, 'duncan@macbeth.lit', 'member', nil, { reserved_nickname = 'a\\tb\\127' }) room:save(true)",
        Some("duncan@macbeth.lit"),
    ),
];

async fn at(fed: &Federation, server: usize, person: &Person, code: &str) -> Result<String> {
    let (muc, room) = (fed[server].muc(), &person.room);
    let chunk = format!(
        "local host = '{muc}' local room = prosody.hosts[host].modules.muc.get_room_from_jid('{room}') {code}"
    );
    let found = fed[server].eval(&chunk).await?;
    Ok(found.as_str().map_or_else(|| found.to_string(), str::to_owned))
}

/// What the owner sets counts at every instance, and so does what is said.
async fn everything_follows(fed: &Federation, people: &[Person; 3], what: &str) -> Result<()> {
    let crone = &people[0];
    let (name, subject) = (format!("After {what}"), format!("About {what}"));
    let banned = format!("{}@marlowe.lit", what.replace(' ', "-"));
    // Prosody itself does not show a form with half a message in it.
    let answer = submit(crone, &crone.room, &[("muc#roomconfig_roomname", &name)]).await?;
    ensure!(answer.attr("type") == Some("result"), "{answer:?}");
    crone.set_affiliation(&crone.room, &banned, "outcast").await?;
    crone.set_subject(&crone.room, &subject).await?;
    for (server, person) in people.iter().enumerate() {
        eventually(&format!("{} follows after {what}", person.room), || async {
            let has_name = at(fed, server, person, "return room:get_name()").await? == name;
            let has_subject =
                at(fed, server, person, "return (select(2, room:get_subject()))").await? == subject;
            let is_banned = listed(fed, server, &person.room).await?.get(&banned).cloned();
            Ok(has_name && has_subject && is_banned.as_deref() == Some("outcast"))
        })
        .await?;
    }
    people[2].say(&people[2].room, what).await?;
    for person in people {
        person.expect_body(what).await?;
    }
    Ok(())
}

async fn values(version: Version, storage: Storage) -> Result<()> {
    let fed = raise("host-values", version, storage).await?;
    let people = company(&fed, "coven", &[]).await?;
    let crone = &people[0];
    for (what, code, told) in VALUES {
        let mark = crone.mark();
        at(&fed, 0, crone, &format!("{code} return true")).await?;
        if let Some(told) = told {
            crone
                .expect_since(mark, "what was left out", |s| {
                    s.attr("from") == Some(&*crone.room) && body(s).is_some_and(|text| text.contains(told))
                })
                .await
                .with_context(|| format!("nobody says what became of the {what}"))?;
        }
        everything_follows(&fed, &people, what).await?;
        // Somebody who comes now gets in, and has a nick or not as in any room.
        let late = fed[1].client("seyton", &what.replace(' ', "-")).await?;
        late.join(&people[1].room, "seyton").await?;
        late.leave(&people[1].room, "seyton").await?;
        quiet(&fed, &people.each_ref()).await?;
    }
    for (server, person) in people.iter().enumerate() {
        let length = at(&fed, server, person, "return tostring(room:get_historylength())").await?;
        let wanted: &[&str] = if server == 0 { &["2.5", "2"] } else { &["2", "2.0"] };
        ensure!(wanted.contains(&&*length), "{length} at {}", person.room);
        let list = listed(&fed, server, &person.room).await?;
        for member in ["lady@macbeth.lit", "porter@macbeth.lit", "duncan@macbeth.lit"] {
            assert_eq!(
                list.get(member).map(String::as_str),
                Some("member"),
                "{member} at {}",
                person.room
            );
        }
    }
    fed.finish().await
}

on_every_version! {
    fn what_comes_after_a_value_that_others_do_not_take_counts_everywhere(version, storage) {
        values(version, storage).await
    }
}
