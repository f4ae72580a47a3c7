//! The room's avatar (XEP-0486) as clients see it: with Prosody's own vCards of rooms (13), with the community's
//! `mod_vcard_muc`, and with neither.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{
    Builder, Client, Element, Federation, Storage, Suite, Version, on_every_version, to_string,
};

use crate::splits::scene::{Scene, Witness};
use crate::splits::{hasty, scene};
use crate::stage::{CLIENT, DISCO_INFO, MUC_USER};
use crate::support::{eventually, instances};

const VCARD: &str = "vcard-temp";
const UPDATE: &str = "vcard-temp:x:update";
const HASH_FIELD: &str = "muc#roominfo_avatarhash";
/// Four characters for three bytes; so many times.
const TIMES: usize = 8_000;

/// A photo: what it is made of, and the SHA-1 of it.
type Photo = (&'static str, &'static str);
const ABC: Photo = ("QUJD", "44801fb06915c94edccaeb09064e6e396f6c971c");
const XYZ: Photo = ("WFla", "d03602d431b109a9237894ec7527545a18e8feab");
const FOG: Photo = ("Zm9n", "2be5103ce26dd4bc7fa4fdc9bced18643fd93046");

/// The first service has what Prosody has, the second the community's module as well, the last nothing.
fn services(label: &str, version: Version, storage: Storage) -> Option<Builder> {
    // The newest that has the module: Prosody 13 brings its own.
    let modules = Suite::Bookworm.folder_for("avatars")?;
    let builder = hasty(label, version, storage);
    let builder = builder.with_server(1, |spec| {
        spec.muc_modules.push("vcard_muc".to_owned());
        spec.community.push(modules.join("mod_vcard_muc"));
    });
    Some(builder.with_server(2, |spec| spec.muc_lines.push("muc_vcard = false".to_owned())))
}

/// A client breaks lines, and says more of a room than how it looks.
fn vcard((bytes, hash): Photo) -> String {
    let line = bytes.repeat(16);
    let photo = format!("{line}\r\n").repeat(TIMES / 16);
    format!(
        "<vCard xmlns='{VCARD}'><FN>{hash} &amp; more</FN><PHOTO><TYPE>image/png</TYPE><BINVAL>{photo}</BINVAL></PHOTO>\
         <X-MORE xml:lang='en' b='2' a='1'>é</X-MORE></vCard>"
    )
}

async fn asks_for(client: &Client, room: &str, vcard: &str) -> Result<Element> {
    client
        .iq_xml(&format!("<iq type='set' to='{room}'>{vcard}</iq>"))
        .await
}

async fn sets(witness: &Witness, photo: Photo) -> Result<()> {
    let answer = asks_for(witness, &witness.room, &vcard(photo)).await?;
    ensure!(answer.attr("type") == Some("result"), "{}", to_string(&answer));
    Ok(())
}

/// What the room has, as any client finds it: its photo as text, and how it is called.
async fn held(client: &Client, room: &str) -> Result<Option<(String, String)>> {
    let answer = client
        .iq_xml(&format!(
            "<iq type='get' to='{room}'><vCard xmlns='{VCARD}'/></iq>"
        ))
        .await?;
    let id = answer.attr("id").context("an id")?.to_owned();
    client.sync().await?;
    let again = client.drain_matching(|s| s.is("iq", CLIENT) && s.attr("id") == Some(&*id));
    ensure!(again.is_empty(), "{room} answers twice");
    let Some(vcard) = answer.get_child("vCard", VCARD) else {
        ensure!(
            to_string(&answer).contains("item-not-found"),
            "{}",
            to_string(&answer)
        );
        return Ok(None);
    };
    let photo = vcard
        .get_child("PHOTO", VCARD)
        .and_then(|photo| photo.get_child("BINVAL", VCARD));
    let photo: String = photo.context("a photo")?.text().split_whitespace().collect();
    let more = vcard.get_child("X-MORE", VCARD).context("the rest")?;
    let more = format!("{} {:?}{:?}", more.text(), more.attr("a"), more.attr("b"));
    ensure!(more == "é Some(\"1\")Some(\"2\")", "{more}");
    let name = vcard.get_child("FN", VCARD).context("a name")?.text();
    Ok(Some((photo, name)))
}

/// The hash in the room's disco#info, which says everything once.
async fn announced(client: &Client, room: &str) -> Result<String> {
    let info = client.disco_info(room).await?;
    let features = info
        .children()
        .filter(|c| c.is("feature", DISCO_INFO) && c.attr("var") == Some(VCARD));
    ensure!(features.count() == 1, "{}", to_string(&info));
    let form = info.get_child("x", "jabber:x:data").context("a form")?;
    let fields: Vec<&Element> = form
        .children()
        .filter(|c| c.attr("var") == Some(HASH_FIELD))
        .collect();
    ensure!(fields.len() <= 1, "{}", to_string(&info));
    let values = fields.iter().flat_map(|field| field.children());
    Ok(values.map(Element::text).collect())
}

/// Waits until everybody finds this one, or none.
async fn everywhere(scene: &Scene<'_>, photo: Option<Photo>) -> Result<()> {
    for witness in &scene.people {
        let wanted = photo.map(|(bytes, hash)| (bytes.repeat(TIMES), format!("{hash} & more")));
        let hash = photo.map_or("", |(_, hash)| hash);
        eventually(&format!("{} has {hash:?}", witness.room), || async {
            Ok(held(witness, &witness.room).await? == wanted
                && announced(witness, &witness.room).await? == hash)
        })
        .await?;
    }
    Ok(())
}

/// The photo of which a presence of the room itself tells; empty for none.
fn told(stanza: &Element, room: &str) -> Option<String> {
    let is_it = stanza.is("presence", CLIENT) && stanza.attr("from") == Some(room);
    let update = stanza.get_child("x", UPDATE).filter(|_| is_it)?;
    update.get_child("photo", UPDATE).map(Element::text)
}

fn is_104(stanza: &Element, room: &str) -> bool {
    let x = stanza
        .get_child("x", MUC_USER)
        .filter(|_| stanza.attr("from") == Some(room));
    stanza.is("message", CLIENT) && x.is_some_and(|x| x.children().any(|c| c.attr("code") == Some("104")))
}

/// Everybody is told of a change once, in both ways.
async fn all_are_told(scene: &Scene<'_>, marks: &[usize], hash: &str) -> Result<()> {
    for (witness, mark) in scene.people.iter().zip(marks) {
        let what = format!("{} is told of {hash:?}", witness.nick);
        let count =
            |what: &dyn Fn(&Element) -> bool| witness.came_since(*mark).iter().filter(|s| what(s)).count();
        let is_told = |s: &Element| told(s, &witness.room).is_some_and(|told| told == hash);
        eventually(&what, || async {
            Ok(count(&is_told) == 1 && count(&|s| is_104(s, &witness.room)) == 1)
        })
        .await?;
        ensure!(
            count(&|s| told(s, &witness.room).is_some()) == 1,
            "{what}, and more"
        );
    }
    Ok(())
}

fn marks(scene: &Scene<'_>) -> Vec<usize> {
    scene.people.iter().map(Witness::now).collect()
}

async fn story(version: Version, storage: Storage) -> Result<()> {
    let Some(builder) = services("avatars", version, storage) else {
        return Ok(());
    };
    let fed = builder.start().await?;
    let mut scene = Scene::opens(&fed, "coven", &[]).await?;
    everywhere(&scene, None).await?;
    let mark = marks(&scene);
    sets(&scene.people[0], ABC).await?;
    everywhere(&scene, Some(ABC)).await?;
    all_are_told(&scene, &mark, ABC.1).await?;
    // Who comes later.
    for server in scene::ALL {
        let late = fed[server].client("lennox", "late").await?;
        late.keep_transcript();
        let room = fed[server].room("coven");
        late.join(&room, "lennox").await?;
        let is_told =
            || late.with_transcript(|all| all.iter().any(|s| told(s, &room).as_deref() == Some(ABC.1)));
        eventually(&format!("who comes to {room} is told"), || async {
            Ok(is_told())
        })
        .await?;
        late.leave(&room, "lennox").await?;
        fed.settle(2).await?;
    }
    // Only owners, everywhere.
    for witness in &scene.people[1..] {
        let refused = asks_for(witness, &witness.room, &vcard(XYZ)).await?;
        ensure!(
            to_string(&refused).contains("forbidden"),
            "{}",
            to_string(&refused)
        );
    }
    let [crone, witch] = [&scene.people[0], &scene.people[1]];
    crone
        .set_affiliation(&crone.room, witch.bare_jid(), "owner")
        .await?;
    crone
        .set_affiliation(&crone.room, scene.people[2].bare_jid(), "owner")
        .await?;
    scene.fed.settle(2).await?;
    for (who, photo) in [(1, XYZ), (2, FOG)] {
        let mark = marks(&scene);
        sets(&scene.people[who], photo).await?;
        everywhere(&scene, Some(photo)).await?;
        all_are_told(&scene, &mark, photo.1).await?;
    }
    // After a restart, of all at once.
    for server in scene::ALL {
        fed[server].restart().await?;
    }
    for who in scene::ALL {
        scene.returns(who).await?;
    }
    scene.all_here().await?;
    everywhere(&scene, Some(FOG)).await?;
    let mark = marks(&scene);
    let empty = format!("<vCard xmlns='{VCARD}'/>");
    let answer = asks_for(&scene.people[1], &scene.people[1].room, &empty).await?;
    ensure!(answer.attr("type") == Some("result"), "{}", to_string(&answer));
    everywhere(&scene, None).await?;
    all_are_told(&scene, &mark, "").await?;
    nothing_leaks(&scene)?;
    fed.finish().await
}

/// Rooms tell their own people.
fn nothing_leaks(scene: &Scene<'_>) -> Result<()> {
    for witness in &scene.people {
        let strange = witness.with_transcript(|all| {
            let is_a_rooms = |s: &&Element| s.attr("from").is_some_and(|from| !from.contains('/'));
            let other = |s: &&Element| {
                is_a_rooms(s) && told(s, &witness.room).is_none() && s.get_child("x", UPDATE).is_some()
            };
            all.iter().find(other).map(to_string)
        });
        ensure!(strange.is_none(), "{strange:?}");
    }
    Ok(())
}

on_every_version! {
    fn the_avatar_of_a_room_is_the_same_at_every_instance(version, storage) {
        story(version, storage).await
    }
}

async fn split(version: Version, storage: Storage) -> Result<()> {
    let Some(builder) = services("avatar-split", version, storage) else {
        return Ok(());
    };
    let fed = builder.start().await?;
    let scene = Scene::opens(&fed, "coven", &[]).await?;
    let [crone, witch] = [&scene.people[0], &scene.people[1]];
    crone
        .set_affiliation(&crone.room, witch.bare_jid(), "owner")
        .await?;
    scene.fed.settle(2).await?;

    fed.isolate(1).await;
    scene.is_alone(1).await?;
    sets(witch, ABC).await?;
    ensure!(announced(witch, &witch.room).await? == ABC.1, "it holds there");
    ensure!(announced(crone, &crone.room).await?.is_empty());
    scene.heals().await?;
    everywhere(&scene, Some(ABC)).await?;
    ensure!(
        witch.other_room_lines().is_empty(),
        "{:?}",
        witch.other_room_lines()
    );

    fed.isolate(1).await;
    scene.is_alone(1).await?;
    sets(witch, XYZ).await?;
    sets(crone, FOG).await?;
    scene.heals().await?;
    everywhere(&scene, Some(FOG)).await?;
    let is_told = |text: &String| text.contains("the avatar that you set does not hold");
    eventually("she is told", || async {
        Ok(witch.other_room_lines().iter().any(is_told))
    })
    .await?;
    ensure!(crone.other_room_lines().is_empty());
    fed.finish().await
}

on_every_version! {
    fn one_that_is_set_in_a_split_holds_unless_the_source_has_another(version, storage) {
        split(version, storage).await
    }
}

/// What the room had before it was distributed, and has when it is an ordinary one again.
async fn before(version: Version, storage: Storage) -> Result<()> {
    let Some(builder) = services("avatar-before", version, storage) else {
        return Ok(());
    };
    // At the second service every version has vCards of ordinary rooms.
    let fed: Federation = builder.start().await?;
    let witch = fed[1].client("somewitch", "mobile").await?;
    let room = fed[1].room("heath");
    witch.create_room(&room, "firstwitch", &[]).await?;
    let answer = asks_for(&witch, &room, &vcard(ABC)).await?;
    ensure!(answer.attr("type") == Some("result"), "{}", to_string(&answer));
    witch
        .configure_room(&room, &[("muc#roomconfig_distributed", "1")])
        .await?;
    let crone = fed[0].client("crone1", "desktop").await?;
    let shadow = fed[0].room("heath");
    eventually("there is a shadow", || async {
        Ok(instances(&fed, 0, &shadow).await?.len() == 2)
    })
    .await?;
    let wanted = (ABC.0.repeat(TIMES), format!("{} & more", ABC.1));
    eventually("the shadow has it", || async {
        Ok(held(&crone, &shadow).await?.as_ref() == Some(&wanted))
    })
    .await?;
    witch
        .configure_room(&room, &[("muc#roomconfig_distributed", "0")])
        .await?;
    fed[0].wait_for_log("was closed by its source").await?;
    ensure!(held(&witch, &room).await? == Some(wanted));
    fed.finish().await
}

on_every_version! {
    fn a_room_that_has_one_already_keeps_it(version, storage) {
        before(version, storage).await
    }
}
