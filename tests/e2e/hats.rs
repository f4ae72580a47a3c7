//! Hats (XEP-0317): given at the source, worn everywhere. The modules that give them are not in Debian; what they do to a
//! room is done here.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Element, Federation, Storage, Version, on_every_version};

use crate::splits::hasty;
use crate::splits::scene::{is_beginning, room_line};
use crate::stage::{CLIENT, Person, company, gathered, quiet};
use crate::support::{eventually, from, instances, three};

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
    let xmlns = match version.is_0_12() {
        true => "xmpp:prosody.im/protocol/hats:1",
        false => "urn:xmpp:hats:0",
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

on_every_version! {
    fn hats_are_the_sources_to_give_and_seen_everywhere(version, storage) {
        story(version, storage).await
    }
}

/// Registers a nick, or takes the registration back.
async fn registers(person: &Person, nick: Option<&str>) -> Result<()> {
    let form_type = "http://jabber.org/protocol/muc#register";
    let wanted = match nick {
        Some(nick) => format!(
            "<x xmlns='jabber:x:data' type='submit'>\
             <field var='FORM_TYPE'><value>{form_type}</value></field>\
             <field var='muc#register_roomnick'><value>{nick}</value></field></x>"
        ),
        None => "<remove/>".to_owned(),
    };
    let query = format!("<query xmlns='jabber:iq:register'>{wanted}</query>");
    let room = &person.room;
    person
        .iq_ok(&format!("<iq type='set' to='{room}'>{query}</iq>"))
        .await?;
    Ok(())
}

/// What is decided at a shadow in a split leaves the hats as they are.
async fn in_a_split(version: Version, storage: Storage) -> Result<()> {
    let fed = hasty("hats-split", version, storage).start().await?;
    let crone = Person::founds(&fed, "coven", &[]).await?;
    let witch = Person::joins(&fed, 1, "somewitch", "coven", "firstwitch").await?;
    let lady = Person::joins(&fed, 1, "lady", "coven", "lady").await?;
    gathered(&fed, "coven", &["firstcrone", "firstwitch", "lady"]).await?;
    let (host, teacher, lady_jid) = (
        ("urn:hat:host", "Host"),
        ("urn:hat:teacher", "Teacher"),
        "lady@macbeth.lit",
    );
    crone.set_affiliation(&crone.room, WITCH, "member").await?;
    crone.set_affiliation(&crone.room, lady_jid, "admin").await?;
    for (user, hats) in [(WITCH, &[host, teacher][..]), (lady_jid, &[host])] {
        let given = give(&fed, 0, user, hats).await?;
        given.map_err(anyhow::Error::msg)?;
    }
    let both = [&lady, &witch];
    let hats_of_witch = &[host, teacher];
    all_see(&both, "firstwitch", hats_of_witch, version).await?;
    all_see(&both, "lady", &[host], version).await?;
    quiet(&fed, &[&crone, &lady, &witch]).await?;

    fed.isolate(1).await;
    lady.expect("the notice of the split", |s| {
        room_line(s, &lady.room).is_some_and(|text| is_beginning(&text, fed[0].muc()))
    })
    .await?;
    let again = || both.iter().for_each(|person| drop(person.drain()));
    let item = async |item: &str| {
        let (room, ns) = (&lady.room, "http://jabber.org/protocol/muc#admin");
        let query = format!("<query xmlns='{ns}'>{item}</query>");
        lady.iq_ok(&format!("<iq type='set' to='{room}'>{query}</iq>"))
            .await
    };
    registers(&witch, Some("firstwitch")).await?;
    all_see(&both, "firstwitch", hats_of_witch, version).await?;
    again();
    item(&format!("<item affiliation='member' jid='{WITCH}' nick='wyrd'/>")).await?;
    all_see(&both, "firstwitch", hats_of_witch, version).await?;
    again();
    registers(&lady, Some("lady")).await?;
    all_see(&both, "lady", &[host], version).await?;
    again();
    // mod_muc forgets with a nick whatever else it has of somebody.
    registers(&lady, None).await?;
    all_see(&both, "lady", &[host], version).await?;
    again();
    // Off the list, and back.
    item(&format!("<item affiliation='none' jid='{WITCH}'/>")).await?;
    all_see(&both, "firstwitch", &[], version).await?;
    item(&format!("<item affiliation='member' jid='{WITCH}'/>")).await?;
    all_see(&both, "firstwitch", hats_of_witch, version).await?;
    // Other hats are the source's to give, and none are others.
    for (user, value) in [
        (WITCH, "nil"),
        (
            lady_jid,
            "{ ['urn:hat:host'] = { active = true, title = 'King' } }",
        ),
    ] {
        let (muc, room) = (fed[1].muc(), &lady.room);
        let refused = fed[1]
            .eval(&format!(
                "local room = prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{room}') \
                 local ok, text = room:set_affiliation_data('{user}', 'hats', {value}) \
                 return not ok and text"
            ))
            .await?;
        let text = refused.as_str().context("a reason")?;
        ensure!(text.contains(&crone.room), "{text}");
    }
    again();
    item(&format!("<item affiliation='outcast' jid='{WITCH}'/>")).await?;
    fed.heal_all().await;
    eventually("the ban holds at the source", || async {
        Ok(crone.affiliated(&crone.room, "outcast").await? == [WITCH])
    })
    .await?;
    // The source has kept them, too.
    crone.drain();
    crone.set_affiliation(&crone.room, WITCH, "member").await?;
    eventually("the shadow has the witch back", || async {
        Ok(lady.affiliated(&lady.room, "member").await? == [WITCH])
    })
    .await?;
    let back = witch.join(&witch.room, "firstwitch").await?;
    let shown = back.all.iter().find(|s| from(&witch.room, "lady")(s));
    assert_eq!(worn(shown.context("the lady")?, version), owned(&[host]));
    all_see(&[&crone], "firstwitch", hats_of_witch, version).await?;
    fed.finish().await
}

on_every_version! {
    fn what_is_decided_in_a_split_leaves_hats_alone(version, storage) {
        in_a_split(version, storage).await
    }
}

/// What a client said of its hats before its room was distributed counts for nothing.
async fn before(version: Version, storage: Storage) -> Result<()> {
    let fed = three("hats-before", version, storage).start().await?;
    let (room, shadow) = (fed[0].room("coven"), fed[1].room("coven"));
    let crone = fed[0].client("crone1", "desktop").await?;
    let whois = ("muc#roomconfig_whois", "moderators");
    crone.create_room(&room, "firstcrone", &[whois]).await?;
    let hag = fed[0].client("hag66", "pda").await?;
    let king = "<hat uri='urn:hat:king' title='King'/>";
    let forged = format!(
        "<hats xmlns='xmpp:prosody.im/protocol/hats:1'>{king}</hats><hats xmlns='urn:xmpp:hats:0'>{king}</hats>"
    );
    hag.send_xml(&format!(
        "<presence to='{room}/hag'><x xmlns='http://jabber.org/protocol/muc'/>{forged}</presence>"
    ))
    .await?;
    crone.expect("the hag", from(&room, "hag")).await?;
    let hag_jid = "hag66@shakespeare.lit";
    crone.set_affiliation(&room, hag_jid, "member").await?;

    // What no other instance would take keeps the room from being shared, and stays as it is.
    let count = async || {
        let muc = fed[0].muc();
        fed[0]
            .eval(&format!(
                "local room = prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{room}') \
                 local n = 0 for _ in pairs(room:get_affiliation_data('{hag_jid}', 'hats')) do n = n + 1 end return n"
            ))
            .await
    };
    let many: Vec<String> = (0..17).map(|n| format!("urn:hat:{n}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|uri| (&**uri, "")).collect();
    let given = give(&fed, 0, hag_jid, &many).await?;
    given.map_err(anyhow::Error::msg)?;
    crone.drain();
    let distributed = [("muc#roomconfig_distributed", "1")];
    crone.configure_room(&room, &distributed).await?;
    let told = crone
        .expect("why it is not", |s| {
            dmuc_testbed::body(s).is_some_and(|text| text.contains("is not distributed"))
        })
        .await?;
    ensure!(dmuc_testbed::body(&told).is_some_and(|text| text.contains("16 hats")));
    ensure!(count().await?.as_u64() == Some(18)); // and one that is not worn
    let given = give(&fed, 0, hag_jid, &[]).await?;
    given.map_err(anyhow::Error::msg)?;

    crone.configure_room(&room, &distributed).await?;
    eventually("the shadow is there", || async {
        Ok(instances(&fed, 1, &shadow).await?.len() == 2)
    })
    .await?;
    let witch = Person::joins(&fed, 1, "somewitch", "coven", "firstwitch").await?;
    gathered(&fed, "coven", &["firstcrone", "firstwitch", "hag"]).await?;
    let late = fed[0].client("lennox", "late").await?;
    let here = late.join(&room, "lennox").await?;
    for (room, seen) in [(&room, &here.all), (&shadow, &witch.joined.all)] {
        let shown = seen.iter().find(|s| from(room, "hag")(s));
        let shown = shown.context("the hag")?;
        ensure!(shown.children().all(|c| c.name() != "hats"), "{shown:?}");
    }

    // What another implementation lets through does not hide what it says itself.
    let muc = fed[0].muc();
    fed[0]
        .eval(&format!(
            "local room = prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{room}') \
             for _, presence in room:get_occupant_by_nick('{room}/hag'):each_session() do \
             presence:tag('hats', {{ xmlns = 'xmpp:prosody.im/protocol/hats:1' }}):up() end return true"
        ))
        .await?;
    let given = give(&fed, 0, hag_jid, &[("urn:hat:host", "Host")]).await?;
    given.map_err(anyhow::Error::msg)?;
    all_see(&[&witch], "hag", &[("urn:hat:host", "Host")], version).await?;
    fed.finish().await
}

on_every_version! {
    fn what_a_client_said_of_hats_before_counts_for_nothing(version, storage) {
        before(version, storage).await
    }
}
