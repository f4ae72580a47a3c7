//! Hats of XEP-0317 0.3.1 with all they have: a colour, a language, and what else a deployment puts into them. No module of
//! Prosody's gives such hats; what one would keep with the affiliation is put there here.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Element, Federation, Storage, Version, on_every_version, to_string};

use crate::splits::hasty;
use crate::stage::{CLIENT, Person, company, gathered, quiet};
use crate::support::from;

const WITCH: &str = "somewitch@macbeth.lit";
const BADGES: &str = "urn:example:badges";

async fn give(fed: &Federation, level: u32, worn: &str) -> Result<()> {
    let (muc, room) = (fed[0].muc(), fed[0].room("coven"));
    let said = fed[0]
        .eval(&format!(
            "local room = prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{room}') \
             local st = require 'util.stanza' \
             local badge = st.stanza('badge', {{ xmlns = '{BADGES}', level = '{level}' }}):text_tag('by', 'a & b') \
             local data = {{ hats = {{ ['urn:hat:host'] = {{ active = true, title = 'Host', {worn} \
               children = {{ st.preserialize(badge) }} }} }} }} \
             local ok, _, _, text = room:set_affiliation(true, '{WITCH}', 'member', nil, data) \
             return ok and 'done' or text"
        ))
        .await?;
    ensure!(said == "done", "{said}");
    Ok(())
}

const WORN: &str = "hue = 327.5, lang = 'en-us',";

/// Whether a presence has the hat, whole.
fn is_whole(presence: &Element, level: u32) -> bool {
    let hats: Vec<&Element> = presence
        .children()
        .filter(|child| child.name() == "hats")
        .flat_map(|hats| hats.children())
        .collect();
    let [hat] = hats[..] else { return false };
    let Some(badge) = hat.get_child("badge", BADGES) else {
        return false;
    };
    let by = badge.get_child("by", BADGES).map(Element::text);
    hat.children().count() == 1
        && (hat.attr("uri"), hat.attr("title"), hat.attr("hue"))
            == (Some("urn:hat:host"), Some("Host"), Some("327.5"))
        && hat.attr_ns("http://www.w3.org/XML/1998/namespace", "lang") == Some("en-us")
        && badge.attr("level") == Some(&*level.to_string())
        && by.as_deref() == Some("a & b")
}

async fn all_see(people: &[&Person], level: u32) -> Result<()> {
    for person in people {
        let is_it = from(&person.room, "firstwitch");
        person
            .expect(&format!("the whole hat to {}", person.nick), |s| {
                is_it(s) && s.is("presence", CLIENT) && is_whole(s, level)
            })
            .await?;
    }
    Ok(())
}

async fn whole(version: Version, storage: Storage) -> Result<()> {
    let fed = hasty("hats-whole", version, storage).start().await?;
    // Only moderators see real JIDs: what faust's instance shows of the witch it has from hers.
    let people = company(&fed, "coven", &[("muc#roomconfig_whois", "moderators")]).await?;
    let everybody = people.each_ref();
    give(&fed, 3, WORN).await?;
    all_see(&everybody, 3).await?;
    give(&fed, 5, WORN).await?;
    all_see(&everybody, 5).await?;
    quiet(&fed, &everybody).await?;
    // What no instance would take changes nothing.
    let long = format!("{WORN} hue = '{}',", "1".repeat(300));
    let refused = give(&fed, 7, &long).await;
    ensure!(refused.is_err_and(|error| error.to_string().contains("256")));
    fed.isolate(1).await;
    give(&fed, 9, WORN).await?;
    fed.heal_all().await;
    all_see(&everybody, 9).await?;
    quiet(&fed, &everybody).await?;
    // Who has them from the storage.
    fed[1].restart().await?;
    let witch = Person::joins(&fed, 1, "somewitch", "coven", "firstwitch").await?;
    gathered(&fed, "coven", &["faust", "firstcrone", "firstwitch"]).await?;
    for server in [0, 1, 2] {
        let late = fed[server].client("lennox", "late").await?;
        let room = fed[server].room("coven");
        let joined = late.join(&room, "lennox").await?;
        let shown = joined.all.iter().find(|s| from(&room, "firstwitch")(s));
        let shown = shown.context("a presence")?;
        ensure!(is_whole(shown, 9), "{room}: {}", to_string(shown));
        late.leave(&room, "lennox").await?;
        fed.settle(2).await?;
    }
    drop(witch);
    fed.finish().await
}

on_every_version! {
    fn a_hat_is_the_same_everywhere_with_all_that_it_has(version, storage) {
        whole(version, storage).await
    }
}
