//! XEP-0281 section 3.3: how shadows are found, and when.

use anyhow::{Context, Result};
use dmuc_testbed::{
    ComponentClient, Federation, Storage, Version, error_condition, on_every_version, to_string,
};

use crate::asking::{has_feature, info_form, items, role, value};
use crate::support::{MACBETH, MARLOWE, SOURCE, VISITS, distributed, eventually, three};

const ROOMINFO: &str = "http://jabber.org/protocol/muc#roominfo";
const PLAYHOUSE: &str = "playhouse.lit";

async fn finding(version: Version, storage: Storage) -> Result<()> {
    let fed = three("finding", version, storage)
        .muc_line(VISITS)
        .component(0, PLAYHOUSE, "secret")
        .with_server(1, |s| {
            s.muc_lines.push(format!(
                "dmuc_peers = {{ \"chat.shakespeare.lit\"; \"conference.marlowe.lit\"; \"{PLAYHOUSE}\" }}"
            ));
        })
        .start()
        .await?;
    let crone = distributed(&fed, &[("muc#roomconfig_publicroom", "1")]).await?;
    let hidden = fed[0].room("hidden");
    let hidden_config = [
        ("muc#roomconfig_roomname", "Nobody's business"),
        ("muc#roomconfig_publicroom", "0"),
        ("muc#roomconfig_distributed", "1"),
    ];
    crone.create_room(&hidden, "firstcrone", &hidden_config).await?;
    fed[0]
        .wait_for_log(&format!("{hidden}: rooms.macbeth.lit has an instance"))
        .await?;

    // The service says what it can do; its list has the public shadow by its name, and no other.
    let witch = fed[1].client("somewitch", "mobile").await?;
    let service = witch.disco_info(fed[1].muc()).await?;
    assert!(has_feature(&service, "urn:xmpp:dmuc:0") && has_feature(&service, "urn:x-dmuc:0"));
    let listed = |name: &str| vec![(MACBETH.to_owned(), name.to_owned())];
    assert_eq!(
        items(&witch.disco_items(fed[1].muc()).await?),
        listed("A Dark Cave")
    );

    // A shadow names its source; the source and ordinary rooms name none.
    let info = witch.disco_info(MACBETH).await?;
    let form = info_form(&info, ROOMINFO).context("muc#roominfo")?;
    assert_eq!(value(form, "dmuc-source").as_deref(), Some(SOURCE));
    let identity = info
        .children()
        .find(|c| c.name() == "identity")
        .context("an identity")?;
    assert_eq!(identity.attr("name"), Some("A Dark Cave"));
    let info = witch.disco_info(SOURCE).await?;
    let form = info_form(&info, ROOMINFO).context("muc#roominfo")?;
    assert_eq!(value(form, "dmuc-source"), None);

    // What the source changes is what is found.
    crone
        .configure_room(SOURCE, &[("muc#roomconfig_roomname", "A Blasted Heath")])
        .await?;
    eventually("the new name is found", || async {
        Ok(items(&witch.disco_items(fed[1].muc()).await?) == listed("A Blasted Heath"))
    })
    .await?;
    crone
        .configure_room(SOURCE, &[("muc#roomconfig_publicroom", "0")])
        .await?;
    eventually("it is hidden", || async {
        Ok(items(&witch.disco_items(fed[1].muc()).await?).is_empty())
    })
    .await?;
    // Who knows its address finds and joins it still.
    assert_eq!(
        info_form(&witch.disco_info(MACBETH).await?, ROOMINFO)
            .and_then(|f| value(f, "dmuc-source"))
            .as_deref(),
        Some(SOURCE)
    );
    assert_eq!(witch.join(MACBETH, "firstwitch").await?.nicks(), ["firstcrone"]);

    crone
        .configure_room(SOURCE, &[("muc#roomconfig_publicroom", "1")])
        .await?;
    let faust = fed[2].client("faust", "study").await?;
    eventually("it is listed at the other peer", || async {
        let found = items(&faust.disco_items(fed[2].muc()).await?);
        Ok(found == [(MARLOWE.to_owned(), "A Blasted Heath".to_owned())])
    })
    .await?;
    not_before_it_is_configured(&fed, &fed[0].component(PLAYHOUSE).await?).await?;
    fed.finish().await
}

/// A scripted firsthost asks for a shadow and takes its time with the configuration.
async fn not_before_it_is_configured(fed: &Federation, playhouse: &ComponentClient) -> Result<()> {
    let shadow = fed[1].room("tempest");
    let answer = playhouse
        .iq_xml(
            "<iq type='set' from='playhouse.lit' to='rooms.macbeth.lit' id='replicate1'>\
             <replicate xmlns='urn:xmpp:dmuc:0'><room id='tempest'/></replicate></iq>",
        )
        .await?;
    assert_eq!(answer.attr("type"), Some("result"), "{}", to_string(&answer));
    assert_eq!(role(fed, 1, &shadow).await?.as_deref(), Some("pending"));
    let witch = fed[1].client("secondwitch", "heath").await?;
    let refused = witch.try_join(&shadow, "miranda").await?;
    assert_eq!(refused.err().context("a refusal")?.condition, "item-not-found");
    let info =
        format!("<iq type='get' to='{shadow}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>");
    assert_eq!(
        error_condition(&witch.iq_xml(&info).await?).as_deref(),
        Some("item-not-found")
    );
    let list = items(&witch.disco_items(fed[1].muc()).await?);
    assert!(list.iter().all(|(jid, _)| *jid != shadow), "{list:?}");

    let answer = playhouse
        .iq_xml(&format!(
            "<iq type='set' from='tempest@playhouse.lit' to='{shadow}' id='config1'>\
             <config xmlns='urn:xmpp:dmuc:0'><x xmlns='jabber:x:data' type='submit'>\
             <field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>\
             <field var='muc#roomconfig_roomname'><value>The Island</value></field>\
             <field var='muc#roomconfig_publicroom'><value>1</value></field></x></config></iq>"
        ))
        .await?;
    assert_eq!(answer.attr("type"), Some("result"), "{}", to_string(&answer));
    assert_eq!(role(fed, 1, &shadow).await?.as_deref(), Some("shadow"));
    let list = items(&witch.disco_items(fed[1].muc()).await?);
    assert!(
        list.contains(&(shadow.clone(), "The Island".to_owned())),
        "{list:?}"
    );
    witch.join(&shadow, "miranda").await?;
    // Joining did not make the room anew: nobody owns it here.
    let form =
        format!("<iq type='get' to='{shadow}'><query xmlns='http://jabber.org/protocol/muc#owner'/></iq>");
    assert_eq!(
        error_condition(&witch.iq_xml(&form).await?).as_deref(),
        Some("forbidden")
    );
    Ok(())
}

on_every_version! {
    fn a_shadow_is_found_where_its_people_are_once_it_is_configured(version, storage) {
        finding(version, storage).await
    }
}
