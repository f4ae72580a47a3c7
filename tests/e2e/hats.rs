//! Hats (XEP-0317): given at the source, worn everywhere. The modules that give them are not in Debian; what they do to a
//! room is done here.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Element, Federation, Storage, Version};

use crate::stage::{CLIENT, Person, company, quiet};
use crate::support::{from, three};

const WITCH: &str = "somewitch@macbeth.lit";

/// What `mod_muc_hats_api` does: whether the room took it, and what it said if not.
async fn give(
    fed: &Federation,
    server: usize,
    user: &str,
    hats: &[(&str, &str)],
) -> Result<Result<(), String>> {
    let (muc, room) = (fed[server].muc(), fed[server].room("coven"));
    let hats: String = hats
        .iter()
        .map(|(uri, title)| format!("data.hats['{uri}'] = {{ active = true, title = '{title}' }} "))
        .collect();
    let said = fed[server]
        .eval(&format!(
            "local room = prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{room}') \
             local data = room:get_affiliation_data('{user}') or {{}} \
             data.hats = {{ away = {{ active = false, title = 'not worn' }} }} {hats} \
             local ok, _, _, text = room:set_affiliation(true, '{user}', room:get_affiliation('{user}'), nil, data) \
             return ok or text"
        ))
        .await?;
    Ok(match said.as_str() {
        Some(text) => Err(text.to_owned()),
        None => Ok(()),
    })
}

/// The hats in a presence, as this version of Prosody writes them.
fn worn(presence: &Element, version: Version) -> Vec<(String, String)> {
    let xmlns = match version {
        Version::V0_12 => "xmpp:prosody.im/protocol/hats:1",
        Version::V13 => "urn:xmpp:hats:0",
    };
    let hats = presence.children().filter(|child| child.name() == "hats");
    let mut worn = Vec::new();
    for hats in hats {
        assert_eq!(hats.ns(), xmlns, "{presence:?}");
        worn.extend(hats.children().map(|hat| {
            let attr = |name| hat.attr(name).unwrap_or_default().to_owned();
            (attr("uri"), attr("title"))
        }));
    }
    worn.sort();
    worn
}

fn owned(hats: &[(&str, &str)]) -> Vec<(String, String)> {
    let hats = hats.iter();
    hats.map(|(uri, title)| ((*uri).to_owned(), (*title).to_owned()))
        .collect()
}

/// Waits until everybody sees somebody with exactly these hats.
async fn all_see(people: &[&Person], nick: &str, hats: &[(&str, &str)], version: Version) -> Result<()> {
    for person in people {
        let is_it = from(&person.room, nick);
        let wanted = owned(hats);
        person
            .expect(&format!("{nick} with {hats:?} to {}", person.nick), |s| {
                is_it(s) && s.is("presence", CLIENT) && worn(s, version) == wanted
            })
            .await?;
    }
    Ok(())
}

async fn story(version: Version, storage: Storage) -> Result<()> {
    if !version.available() {
        return Ok(());
    }
    let fed = three("hats", version, storage).start().await?;
    // Only moderators see real JIDs: what faust's instance shows of the witch it has from hers.
    let people = company(&fed, "coven", &[("muc#roomconfig_whois", "moderators")]).await?;
    let [crone, witch, faust] = people.each_ref();
    let everybody = [crone, witch, faust];
    crone.set_affiliation(&crone.room, WITCH, "member").await?;
    let (host, teacher) = (("urn:hat:host", "Host"), ("urn:hat:teacher", "Teacher"));
    give(&fed, 0, WITCH, &[host, teacher])
        .await?
        .map_err(anyhow::Error::msg)?;
    all_see(&everybody, "firstwitch", &[host, teacher], version).await?;
    // The crone's real JID is on the list, and known to nobody at the shadows.
    give(&fed, 0, "crone1@shakespeare.lit", &[host])
        .await?
        .map_err(anyhow::Error::msg)?;
    all_see(&everybody, "firstcrone", &[host], version).await?;

    // Who comes later, wherever: the same.
    for (server, host_of) in fed.servers().iter().enumerate() {
        let late = fed[server].client("lennox", "late").await?;
        let room = host_of.room("coven");
        let joined = late.join(&room, "lennox").await?;
        for (nick, hats) in [("firstwitch", &[host, teacher][..]), ("firstcrone", &[host])] {
            let shown = joined.all.iter().find(|s| from(&room, nick)(s));
            assert_eq!(worn(shown.context("a presence")?, version), owned(hats), "{room}");
        }
        late.leave(&room, "lennox").await?;
        // The nick is free everywhere before the next one comes.
        fed.settle(2).await?;
    }
    quiet(&fed, &everybody).await?;

    // Not at a shadow, not to strangers, not by a client's own word.
    let refused = give(&fed, 1, WITCH, &[("urn:hat:king", "King")]).await?;
    ensure!(
        refused.as_ref().is_err_and(|text| text.contains(&crone.room)),
        "{refused:?}"
    );
    let many: Vec<String> = (0..17).map(|n| format!("urn:hat:{n}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|uri| (&**uri, "")).collect();
    let refused = give(&fed, 0, WITCH, &many).await?;
    ensure!(
        refused.as_ref().is_err_and(|text| text.contains("16")),
        "{refused:?}"
    );
    quiet(&fed, &everybody).await?;
    for person in everybody {
        person.drain();
    }
    let forged = "<hats xmlns='urn:xmpp:hats:0'><hat uri='urn:hat:king' title='King'/></hats>\
                  <hats xmlns='xmpp:prosody.im/protocol/hats:1'><hat uri='urn:hat:king' title='King'/></hats>";
    for person in everybody {
        let to = person.sees(&person.nick);
        person
            .send_xml(&format!(
                "<presence to='{to}'><show>away</show>{forged}</presence>"
            ))
            .await?;
    }
    all_see(&everybody, "faust", &[], version).await?;
    all_see(&everybody, "firstcrone", &[host], version).await?;
    all_see(&everybody, "firstwitch", &[host, teacher], version).await?;
    let hag = fed[2].client("hag66", "pda").await?;
    let hags_room = fed[2].room("coven");
    hag.send_xml(&format!(
        "<presence to='{hags_room}/hag'><x xmlns='http://jabber.org/protocol/muc'/>{forged}</presence>"
    ))
    .await?;
    all_see(&everybody, "hag", &[], version).await?;

    // Nor by the word of a server whose occupant it is, where it is known who that is: at the source by the list.
    let (muc, room) = (fed[1].muc(), &witch.room);
    fed[1]
        .eval(&format!(
            "local room = prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{room}') \
             room._affiliation_data['{WITCH}'].hats['urn:hat:king'] = {{ active = true, title = 'King' }}"
        ))
        .await?;
    quiet(&fed, &everybody).await?;
    crone.drain();
    let to = witch.sees("firstwitch");
    witch
        .send_xml(&format!("<presence to='{to}'><show>dnd</show></presence>"))
        .await?;
    all_see(&[crone], "firstwitch", &[host, teacher], version).await?;

    // Taken away, and in a split: there after it.
    give(&fed, 0, WITCH, &[teacher])
        .await?
        .map_err(anyhow::Error::msg)?;
    all_see(&everybody, "firstwitch", &[teacher], version).await?;
    quiet(&fed, &everybody).await?;
    for person in everybody {
        person.drain();
    }
    fed.isolate(1).await;
    give(&fed, 0, WITCH, &[host]).await?.map_err(anyhow::Error::msg)?;
    fed.heal_all().await;
    all_see(&everybody, "firstwitch", &[host], version).await?;
    // They go with the affiliation.
    crone.set_affiliation(&crone.room, WITCH, "none").await?;
    all_see(&everybody, "firstwitch", &[], version).await?;
    fed.finish().await
}

#[tokio::test]
async fn hats_are_the_sources_to_give_and_seen_everywhere_on_0_12() -> Result<()> {
    story(Version::V0_12, Storage::Internal).await
}

#[tokio::test]
async fn hats_are_the_sources_to_give_and_seen_everywhere_on_13() -> Result<()> {
    story(Version::V13, Storage::Sqlite).await
}
