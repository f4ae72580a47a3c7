//! Rights that a peer claims for its occupants, and names that it would like to have here.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Element, Storage, Version, on_every_version, to_string};

use super::events::{bounces, message};
use super::malformed::{dmuc, field, form, ours};
use super::scene::{SECRET, Scene, Who, row};
use crate::support::{MARLOWE, SOURCE, eventually, from};
use crate::xep_only::{AT_CHAT, CHAT, HEATH, PEER};

/// What clients ask of a room: (what, type, payload).
pub fn asked_by_clients() -> Vec<(&'static str, &'static str, String)> {
    let admin = |item: &str| format!("<query xmlns='http://jabber.org/protocol/muc#admin'>{item}</query>");
    let owner = |child: &str| format!("<query xmlns='http://jabber.org/protocol/muc#owner'>{child}</query>");
    let register = |child: &str| format!("<query xmlns='jabber:iq:register'>{child}</query>");
    let config = form(&field("muc#roomconfig_roomname", SECRET)).replace("type='form'", "type='submit'");
    let archive = "<query xmlns='urn:xmpp:mam:2'/>".to_owned();
    let moderation = "<moderate id='x' xmlns='urn:xmpp:message-moderate:1'><retract xmlns='urn:xmpp:message-retract:1'/></moderate>";
    let card = "<vCard xmlns='vcard-temp'/>".to_owned();
    vec![
        ("a list of moderators", "get", admin("<item role='moderator'/>")),
        (
            "a list of participants",
            "get",
            admin("<item role='participant'/>"),
        ),
        ("a list of owners", "get", admin("<item affiliation='owner'/>")),
        ("a kick", "set", admin("<item role='none' nick='firstcrone'/>")),
        ("voice", "set", admin("<item role='participant' nick='mute'/>")),
        (
            "a ban",
            "set",
            admin("<item affiliation='outcast' jid='crone1@shakespeare.lit'/>"),
        ),
        ("the form", "get", owner("")),
        ("a form", "set", owner(&config)),
        ("a destruction", "set", owner("<destroy/>")),
        ("a registration form", "get", register("")),
        ("a registration taken back", "set", register("<remove/>")),
        ("the archive", "set", archive),
        ("a moderation", "set", moderation.to_owned()),
        ("a vCard", "set", card.clone()),
        ("a vCard", "get", card),
    ]
}

/// Whatever their home says of them: they ask their own instance.
async fn occupants_of_a_peer_ask_nothing_of_a_room_here(scene: &Scene) -> Result<()> {
    // By name, of a domain for which the peer speaks, and a moderator by its word.
    let claim = "affiliation='none' role='moderator' jid='judge@marlowe.lit/x'";
    scene.peer.enters(MARLOWE, SOURCE, "judge", claim).await?;
    scene.crone.expect("the judge", from(SOURCE, "judge")).await?;
    // An owner, by the source's word.
    let claim = "affiliation='owner' role='moderator' jid='faust@marlowe.lit/x'";
    scene.peer.enters(HEATH, AT_CHAT, "faust", claim).await?;
    scene.crone.expect("faust", from(AT_CHAT, "faust")).await?;
    scene.crone.sync().await?;
    scene.crone.drain();
    let before = scene.state().await?;
    for (what, kind, payload) in asked_by_clients() {
        for (sender, room) in [
            (format!("{MARLOWE}/judge"), SOURCE),
            (format!("{MARLOWE}/nobody"), SOURCE),
            (MARLOWE.to_owned(), SOURCE),
            (format!("{HEATH}/faust"), AT_CHAT),
        ] {
            let refused = scene.refuses(Who::Peer, &sender, room, kind, &payload, "forbidden");
            row(&format!("{what} from {sender}"), refused.await)?;
        }
    }
    // What anybody may ask is answered.
    let sender = format!("{MARLOWE}/judge");
    let info = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
    let answer = scene.ask(Who::Peer, &sender, SOURCE, "get", info).await?;
    ensure!(answer.attr("type") == Some("result"), "{}", to_string(&answer));
    // The subject is for moderators, and the judge is one by its home's word only.
    let subject = format!("<subject>{SECRET}</subject>");
    let wish = message(&sender, &format!("{SOURCE}/judge"), &subject);
    bounces(scene, &wish, "forbidden").await?;
    let act = ours(
        "act",
        "nick='judge' jid='judge@marlowe.lit'",
        &format!("<subject><text>{SECRET}</text></subject>"),
    );
    scene
        .refuses(Who::Peer, MARLOWE, SOURCE, "set", &act, "forbidden")
        .await?;
    scene.is_unmoved(&before).await
}

fn replicate(id: &str, source: &str) -> String {
    dmuc("replicate", source, &format!("<room id='{id}'/>"))
}

async fn replicates(scene: &Scene, id: &str, source: &str) -> Result<Element> {
    let payload = replicate(id, source);
    scene.ask(Who::Peer, PEER, CHAT, "set", &payload).await
}

/// The name of a room that was destroyed is its own for as long as its tombstone lasts.
async fn tombstones_keep_their_names(scene: &Scene) -> Result<()> {
    let attic = format!("attic@{CHAT}");
    scene
        .crone
        .create_room(&attic, "firstcrone", &[("muc#roomconfig_persistentroom", "1")])
        .await?;
    let destroy = "<query xmlns='http://jabber.org/protocol/muc#owner'><destroy/></query>";
    scene
        .crone
        .iq_ok(&format!("<iq type='set' to='{attic}'>{destroy}</iq>"))
        .await?;
    scene.crone.sync().await?;
    scene.crone.drain();
    let before = scene.state().await?;
    for source in ["", &format!("source='attic@{PEER}'")] {
        let payload = replicate("attic", source);
        scene
            .refuses(Who::Peer, PEER, CHAT, "set", &payload, "conflict")
            .await?;
    }
    scene.is_unmoved(&before).await?;
    // A shadow that its source has ended is that source's to make again, and nobody else's.
    let (cellar, source) = (format!("cellar@{CHAT}"), format!("source='cellar@{PEER}'"));
    let answer = replicates(scene, "cellar", &source).await?;
    ensure!(answer.attr("type") == Some("result"), "{}", to_string(&answer));
    let config = dmuc("config", "", &form(&field("muc#roomconfig_roomname", "A cellar")));
    let end = ours("destroy", "", "");
    for payload in [config, end] {
        let from = format!("cellar@{PEER}");
        let answer = scene.ask(Who::Peer, &from, &cellar, "set", &payload).await?;
        ensure!(answer.attr("type") == Some("result"), "{}", to_string(&answer));
    }
    let muc = scene.fed[0].muc().to_owned();
    let ended = format!(
        "local room = prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{cellar}'); \
         return room and room._data.dmuc_ended_by or ''"
    );
    eventually("the tombstone says whose it is", || async {
        Ok(scene.fed[0].eval(&ended).await? == format!("cellar@{PEER}"))
    })
    .await?;
    let other = format!("source='other@{PEER}'");
    let payload = replicate("cellar", &other);
    scene
        .refuses(Who::Peer, PEER, CHAT, "set", &payload, "conflict")
        .await?;
    let answer = replicates(scene, "cellar", &source).await?;
    ensure!(answer.attr("type") == Some("result"), "{}", to_string(&answer));
    Ok(())
}

/// The users of this server are its own, whatever is in the configuration.
async fn own_domains_are_known(scene: &Scene) -> Result<()> {
    let muc = scene.fed[0].muc().to_owned();
    let chunk = format!(
        "local instances, dmuc = prosody.hosts['{muc}'].modules.dmuc.instances; \
         for i = 1, 9 do local name, value = debug.getupvalue(instances, i); if name == 'dmuc' then dmuc = value; end end; \
         return dmuc.options.dmuc_own_domains"
    );
    let own = scene.fed[0].eval(&chunk).await?;
    let own = own.as_array().context("a list")?;
    ensure!(own.iter().any(|domain| domain == "shakespeare.lit"), "{own:?}");
    ensure!(!own.iter().any(|domain| domain == CHAT), "{own:?}");
    Ok(())
}

async fn a_peer_has_no_rights_by_claim_and_no_names_of_others(
    version: Version,
    storage: Storage,
) -> Result<()> {
    let scene = Scene::set("bad-rights", version, storage, "").await?;
    occupants_of_a_peer_ask_nothing_of_a_room_here(&scene).await?;
    tombstones_keep_their_names(&scene).await?;
    own_domains_are_known(&scene).await?;
    scene.fed.finish().await
}

on_every_version!(a_peer_has_no_rights_by_claim_and_no_names_of_others);
