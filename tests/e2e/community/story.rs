//! What happens in a room that a module may have something to do with: said, shown, set and asked by an owner, by a guest
//! without an affiliation and by a member who comes late.

use anyhow::{Context, Result};

use super::modules::Module;
use crate::conformance::scene::{Actor, Cast, Scene};
use crate::support::eventually;

const MUC: &str = "http://jabber.org/protocol/muc";

/// What everybody says, with a name for whom it mentions.
const TALK: &[&str] = &[
    "<body>NICK has plain words</body>",
    "<body>https://pictures.lit/a.png</body><x xmlns='jabber:x:oob'><url>https://pictures.lit/a.png</url></x>",
    "<body>Eye\nof\nnewt\nand\ntoe\nof\nfrog</body>",
    "<body>owner: a word with you</body>\
     <reference xmlns='urn:xmpp:reference:0' type='mention' begin='0' end='5' uri='xmpp:ROOM/owner'/>",
    "<body>third, where are you?</body><reference xmlns='urn:xmpp:reference:0' type='mention' begin='0' end='5' uri='xmpp:THIRD'/>",
    "<kept xmlns='urn:x:kept'/><store xmlns='urn:xmpp:hints'/>",
    "<body>not to be kept</body><no-store xmlns='urn:xmpp:hints'/>",
    "<displayed xmlns='urn:xmpp:chat-markers:0' id='earlier'/>",
    "<reactions xmlns='urn:xmpp:reactions:0' id='earlier'><reaction>👍</reaction></reactions>",
    "<composing xmlns='http://jabber.org/protocol/chatstates'/>",
    "<body>corrected</body><replace xmlns='urn:xmpp:message-correct:0' id='earlier'/>",
];

/// A picture of somebody, as clients announce it.
const PICTURE: &str =
    "<x xmlns='vcard-temp:x:update'><photo>5d41402abc4b2a76b9719d911017c592d41d8cd9</photo></x>";

async fn enters(actor: &Actor, nick: &str) -> Result<()> {
    let room = &actor.room;
    let presence = format!("<presence to='{room}/{nick}'><x xmlns='{MUC}'/>{PICTURE}</presence>");
    actor.send_xml(&presence).await?;
    Ok(())
}

async fn talks(actor: &Actor, third: &Actor) -> Result<()> {
    for children in TALK {
        let children = children.replace("NICK", actor.nick).replace("ROOM", &actor.room);
        actor.sends(&children.replace("THIRD", third.bare_jid())).await?;
    }
    Ok(())
}

async fn whispers(from: &Actor, to: &Actor) -> Result<()> {
    let text = format!("{} whispers", from.nick);
    from.say_privately(&from.room, to.nick, &text).await?;
    Ok(())
}

/// What a room says of itself, and what its archive has.
async fn looks_around(actor: &Actor) -> Result<()> {
    let room = &actor.room;
    actor
        .asks(&format!(
            "<iq type='get' to='{room}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
        ))
        .await?;
    actor
        .asks(&format!(
            "<iq type='set' to='{room}'><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>99</max></set>\
             </query></iq>"
        ))
        .await?;
    Ok(())
}

/// Waits until an instance has the configuration that the room was made with, so that nobody hears of it as a change.
async fn is_public(scene: &Scene<'_>, room: &str) -> Result<()> {
    let (_, muc) = room.split_once('@').context("a room's JID")?;
    let server = scene.fed.by_host(muc)?;
    let chunk = format!(
        "local room = prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{room}'); return room and room:get_public() or false"
    );
    eventually(&format!("{room} is public"), || async {
        Ok(server.eval(&chunk).await? == true)
    })
    .await
}

/// Nothing here is expected of anybody: what everybody got is compared with what they got in an ordinary room.
pub(crate) async fn play(scene: &Scene<'_>, module: &Module) -> Result<()> {
    let cast = scene.empty(&[("muc#roomconfig_publicroom", "1")]).await?;
    let Cast { owner, guest, third } = &cast;
    for actor in cast.all() {
        is_public(scene, &actor.room).await?;
    }
    // Not in the room yet, but at home for those who write there.
    third.send_xml("<presence/>").await?;
    enters(owner, "owner").await?;
    scene.settled(&cast).await?;
    owner
        .administers(&format!(
            "<item jid='{}' affiliation='member' nick='third'/>",
            third.bare_jid()
        ))
        .await?;
    // A nick that some refuse; in, it is a change of nick.
    enters(guest, "guest!").await?;
    scene.settled(&cast).await?;
    enters(guest, "guest").await?;
    scene.settled(&cast).await?;
    if !module.midway.is_empty() {
        for server in scene.fed.servers() {
            let chunk = module.midway.replace("MUC", server.muc());
            server.eval(&chunk.replace("GUEST", guest.bare_jid())).await?;
        }
    }
    for actor in [owner, guest] {
        talks(actor, third).await?;
        scene.settled(&cast).await?;
    }
    enters(third, "third").await?;
    scene.settled(&cast).await?;
    talks(third, third).await?;
    scene.settled(&cast).await?;
    for (from, to) in [(guest, third), (third, guest), (guest, owner), (owner, third)] {
        whispers(from, to).await?;
        scene.settled(&cast).await?;
    }
    // The second one may not.
    for actor in [owner, guest] {
        actor
            .set_subject(&actor.room, &format!("{} chose it", actor.nick))
            .await?;
        scene.settled(&cast).await?;
    }
    let away = format!(
        "<presence to='{}/guest'><show>away</show>{PICTURE}</presence>",
        guest.room
    );
    guest.send_xml(&away).await?;
    scene.settled(&cast).await?;
    let mut changes = vec![("muc#roomconfig_roomname", "Another name")];
    changes.extend_from_slice(module.fields);
    owner.configure_room(&owner.room, &changes).await?;
    scene.settled(&cast).await?;
    enters(guest, "guest").await?;
    talks(guest, third).await?;
    scene.settled(&cast).await?;
    for role in ["visitor", "participant"] {
        owner
            .administers(&format!("<item nick='guest' role='{role}'/>"))
            .await?;
        scene.settled(&cast).await?;
        guest.sends("<body>unheard, perhaps</body>").await?;
        scene.settled(&cast).await?;
    }
    for actor in [guest, third] {
        looks_around(actor).await?;
    }
    third
        .send_xml(&format!(
            "<presence type='unavailable' to='{}/third'><status>bye</status></presence>",
            third.room
        ))
        .await?;
    scene.settled(&cast).await?;
    for affiliation in ["outcast", "none"] {
        owner
            .administers(&format!(
                "<item jid='{}' affiliation='{affiliation}'/>",
                guest.bare_jid()
            ))
            .await?;
        scene.settled(&cast).await?;
        enters(guest, "guest").await?;
        scene.settled(&cast).await?;
    }
    guest
        .send_xml(&format!(
            "<presence type='unavailable' to='{}/guest'/>",
            guest.room
        ))
        .await?;
    scene.settled(&cast).await?;
    scene.ends(cast).await
}
