//! What an instance refuses to show is not shown later: neither to people, nor in the history, nor in the archive.

use anyhow::{Result, ensure};
use dmuc_testbed::{Federation, Storage, Version, body, on_every_version, to_string};

use crate::stage::{Person, company, quiet};
use crate::support::eventually;

const SERVER: usize = 1;
const BANNED: &str = "hecate@macbeth.lit";

/// Runs a chunk with `room` on a server's instance of the coven.
async fn with_room(fed: &Federation, server: usize, chunk: &str) -> Result<bool> {
    let (muc, room) = (fed[server].muc(), fed[server].room("coven"));
    let chunk = format!(
        "local room = prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{room}'); \
         local function run() {chunk} end return (run()) and true or false"
    );
    Ok(fed[server].eval(&chunk).await?.as_bool().unwrap_or_default())
}

/// Whether this person, a newcomer beside them, or the archive has a message with this text.
async fn has_heard(
    fed: &Federation,
    person: &Person,
    text: &str,
    newcomer: &str,
) -> Result<Vec<&'static str>> {
    let mut places = Vec::new();
    if person.peek().iter().any(|s| body(s).as_deref() == Some(text)) {
        places.push("shown");
    }
    let user = ["crone1", "somewitch", "drfaust"][person.server];
    let client = fed[person.server].client(user, newcomer).await?;
    let joined = client.join(&person.room, newcomer).await?;
    if joined.all.iter().any(|s| body(s).as_deref() == Some(text)) {
        places.push("in the history");
    }
    let page = person.mam_all(&person.room).await?;
    if page.iter().any(|item| to_string(&item.message).contains(text)) {
        places.push("in the archive");
    }
    Ok(places)
}

async fn refused(version: Version, storage: Storage) -> Result<()> {
    let fed = crate::stage::raise("refused-words", version, storage).await?;
    let people = company(&fed, "coven", &[]).await?;
    let [crone, witch, faust] = &people;
    crone.set_affiliation(&crone.room, BANNED, "outcast").await?;
    eventually("the ban is at the shadow", || async {
        with_room(
            &fed,
            SERVER,
            &format!("return room:get_affiliation('{BANNED}') == 'outcast'"),
        )
        .await
    })
    .await?;
    // A server that lets in whom the source has banned.
    with_room(
        &fed,
        SERVER,
        &format!("room._affiliations['{BANNED}'] = nil return true"),
    )
    .await?;
    let hecate = Person::joins(&fed, SERVER, "hecate", "coven", "queen").await?;
    hecate.say(&hecate.room, "Words of hecate").await?;
    quiet(&fed, &people.each_ref()).await?;
    // Others at that server are heard, and nothing of hers is pulled with theirs.
    witch.say(&witch.room, "Words of the witch").await?;
    quiet(&fed, &people.each_ref()).await?;
    for (person, newcomer) in [(crone, "one"), (faust, "two")] {
        let places = has_heard(&fed, person, "Words of the witch", newcomer).await?;
        ensure!(places.len() == 3, "{}: only {places:?}", person.room);
    }
    let places = has_heard(&fed, crone, "Words of hecate", "three").await?;
    ensure!(places.is_empty(), "refused at the source, and {places:?}");
    fed.finish().await
}

on_every_version! {
    fn what_the_source_refuses_is_not_shown_with_a_later_page(version, storage) {
        refused(version, storage).await
    }
}
