//! Who rules a distributed room rules it everywhere: configuration, affiliations, roles, kicks and bans made at
//! the source reach the shadows, and those made at a shadow go to where they are decided and come back.

use anyhow::{Context, Result};
use dmuc_testbed::{
    Client, Element, Federation, Storage, Version, code_list, error_condition, on_every_version,
};

use crate::asking::{gone, here, item_attr, reason, value};
use crate::support::{
    MACBETH, MARLOWE, SOURCE, VISITS, distributed, eventually, from, nicks, three, together,
};

const ADMIN: &str = "http://jabber.org/protocol/muc#admin";
const ROOMS: [&str; 3] = [SOURCE, MACBETH, MARLOWE];

/// crone owns the room; hecate (admin) and witch are at macbeth, mephisto (owner) and faust at marlowe.
struct Court {
    crone: Client,
    hecate: Client,
    witch: Client,
    mephisto: Client,
    faust: Client,
}

impl Court {
    async fn sits(fed: &Federation) -> Result<Court> {
        let crone = distributed(fed, &[]).await?;
        crone
            .set_affiliation(SOURCE, "hecate@macbeth.lit", "admin")
            .await?;
        crone
            .set_affiliation(SOURCE, "mephisto@marlowe.lit", "owner")
            .await?;
        let court = Court {
            crone,
            hecate: fed[1].client("hecate", "moon").await?,
            witch: fed[1].client("somewitch", "mobile").await?,
            mephisto: fed[2].client("mephisto", "hell").await?,
            faust: fed[2].client("faust", "study").await?,
        };
        court
            .lists_agree("owner", &["crone1@shakespeare.lit", "mephisto@marlowe.lit"])
            .await?;
        court.lists_agree("admin", &["hecate@macbeth.lit"]).await?;
        court.hecate.join(MACBETH, "hecate").await?;
        court.witch.join(MACBETH, "witch").await?;
        court.mephisto.join(MARLOWE, "mephisto").await?;
        court.faust.join(MARLOWE, "faust").await?;
        together(fed, &["faust", "firstcrone", "hecate", "mephisto", "witch"]).await?;
        court.forget(fed).await?;
        Ok(court)
    }

    /// Everybody with the address of their instance.
    fn everybody(&self) -> [(&Client, &'static str); 5] {
        [
            (&self.crone, SOURCE),
            (&self.hecate, MACBETH),
            (&self.witch, MACBETH),
            (&self.mephisto, MARLOWE),
            (&self.faust, MARLOWE),
        ]
    }

    /// Nothing more is under way, and what arrived is of no interest.
    async fn forget(&self, fed: &Federation) -> Result<()> {
        fed.settle(3).await?;
        for (client, _) in self.everybody() {
            client.sync().await?;
            client.drain();
        }
        Ok(())
    }

    /// Everybody sees this occupant as it is now. The source knows first, and shows it once; elsewhere what the home
    /// says may come before what the source has decided.
    async fn all_see(&self, nick: &str, affiliation: &str, role: &str) -> Result<()> {
        let presence = here(&self.crone, SOURCE, nick).await?;
        assert_eq!(item_attr(&presence, "affiliation"), affiliation, "{nick}");
        assert_eq!(item_attr(&presence, "role"), role, "{nick}");
        for (client, room) in &self.everybody()[1..] {
            let is_now = |s: &Element| {
                from(room, nick)(s)
                    && s.attr("type").is_none()
                    && item_attr(s, "affiliation") == affiliation
                    && item_attr(s, "role") == role
            };
            client
                .expect(&format!("{nick} as {affiliation} and {role}"), is_now)
                .await?;
        }
        Ok(())
    }

    /// Everybody sees this occupant removed, by whom and why.
    async fn all_see_removed(&self, nick: &str, code: u16, actor: &str, why: &str) -> Result<()> {
        for (client, room) in self.everybody() {
            let presence = gone(client, room, nick).await?;
            assert!(
                code_list(&presence).contains(&code),
                "{code} at {room}: {presence:?}"
            );
            assert_eq!(reason(&presence).as_deref(), Some(why), "{nick} at {room}");
            assert_eq!(item_attr(&presence, "role"), "none");
            let by = presence
                .get_child("x", "http://jabber.org/protocol/muc#user")
                .and_then(|x| {
                    x.get_child("item", x.ns().as_str())?
                        .get_child("actor", x.ns().as_str())
                })
                .and_then(|by| by.attr("nick"))
                .map(str::to_owned);
            assert_eq!(by.as_deref(), Some(actor), "who removed {nick} at {room}: {why}");
        }
        Ok(())
    }

    /// A list as the owner gets it at the source and the shadows.
    async fn lists_agree(&self, affiliation: &str, expected: &[&str]) -> Result<()> {
        for room in ROOMS {
            eventually(&format!("{room} lists {expected:?} as {affiliation}"), || async {
                let mut found = self.crone.affiliated(room, affiliation).await?;
                found.sort();
                Ok(found == expected)
            })
            .await?;
        }
        Ok(())
    }
}

/// An item of muc#admin with a reason; the answer, result or error.
async fn administer(client: &Client, room: &str, item: &str, why: &str) -> Result<Element> {
    client
        .iq_xml(&format!(
            "<iq type='set' to='{room}'><query xmlns='{ADMIN}'><item {item}><reason>{why}</reason></item></query></iq>"
        ))
        .await
}

async fn granted(client: &Client, room: &str, item: &str, why: &str) -> Result<()> {
    let answer = administer(client, room, item, why).await?;
    anyhow::ensure!(answer.attr("type") == Some("result"), "{item}: {answer:?}");
    Ok(())
}

async fn denied(client: &Client, room: &str, item: &str, condition: &str) -> Result<()> {
    let answer = administer(client, room, item, "because").await?;
    assert_eq!(
        error_condition(&answer).as_deref(),
        Some(condition),
        "{item} by {}",
        client.jid()
    );
    Ok(())
}

async fn can_speak(court: &Court, client: &Client, room: &str) -> Result<()> {
    let text = format!("I speak {}", client.new_id());
    client.say(room, &text).await?;
    for (other, _) in court.everybody() {
        other.expect_body(&text).await?;
    }
    Ok(())
}

async fn cannot_speak(client: &Client, room: &str) -> Result<()> {
    let id = client.say(room, "May I?").await?;
    let refused = client
        .expect("a refusal", |s| {
            s.attr("id") == Some(&*id) && s.attr("type") == Some("error")
        })
        .await?;
    assert_eq!(error_condition(&refused).as_deref(), Some("forbidden"));
    Ok(())
}

async fn at_the_source(fed: &Federation, court: &Court) -> Result<()> {
    let crone = &court.crone;
    // Affiliations reach lists and presences.
    granted(
        crone,
        SOURCE,
        "affiliation='member' jid='somewitch@macbeth.lit'",
        "",
    )
    .await?;
    court.all_see("witch", "member", "participant").await?;
    court.lists_agree("member", &["somewitch@macbeth.lit"]).await?;
    granted(
        crone,
        SOURCE,
        "affiliation='none' jid='somewitch@macbeth.lit'",
        "",
    )
    .await?;
    court.all_see("witch", "none", "participant").await?;
    court.lists_agree("member", &[]).await?;
    // Voice, at its home.
    granted(crone, SOURCE, "role='visitor' nick='witch'", "hush").await?;
    court.all_see("witch", "none", "visitor").await?;
    crone
        .configure_room(SOURCE, &[("muc#roomconfig_moderatedroom", "1")])
        .await?;
    cannot_speak(&court.witch, MACBETH).await?;
    granted(crone, SOURCE, "role='participant' nick='witch'", "").await?;
    court.all_see("witch", "none", "participant").await?;
    can_speak(court, &court.witch, MACBETH).await?;
    crone
        .configure_room(SOURCE, &[("muc#roomconfig_moderatedroom", "0")])
        .await?;
    // A kick.
    granted(crone, SOURCE, "role='none' nick='faust'", "out").await?;
    court.all_see_removed("faust", 307, "firstcrone", "out").await?;
    together(fed, &["firstcrone", "hecate", "mephisto", "witch"]).await?;
    court.faust.join(MARLOWE, "faust").await?;
    court.forget(fed).await?;
    // A ban holds at every door, until it is lifted.
    granted(
        crone,
        SOURCE,
        "affiliation='outcast' jid='faust@marlowe.lit'",
        "for good",
    )
    .await?;
    court
        .all_see_removed("faust", 301, "firstcrone", "for good")
        .await?;
    court.lists_agree("outcast", &["faust@marlowe.lit"]).await?;
    together(fed, &["firstcrone", "hecate", "mephisto", "witch"]).await?;
    for room in ROOMS {
        let refused = court
            .faust
            .try_join(room, "faust")
            .await?
            .err()
            .context("a refusal")?;
        assert_eq!(refused.condition, "forbidden", "at {room}");
    }
    granted(crone, SOURCE, "affiliation='none' jid='faust@marlowe.lit'", "").await?;
    court.lists_agree("outcast", &[]).await?;
    court.faust.join(MARLOWE, "faust").await?;
    together(fed, &["faust", "firstcrone", "hecate", "mephisto", "witch"]).await?;
    court.forget(fed).await
}

async fn at_a_shadow(fed: &Federation, court: &Court) -> Result<()> {
    let (hecate, mephisto, witch) = (&court.hecate, &court.mephisto, &court.witch);
    // An admin at a shadow: a kick of somebody at a third instance, and of somebody here.
    granted(hecate, MACBETH, "role='none' nick='faust'", "away").await?;
    court.all_see_removed("faust", 307, "hecate", "away").await?;
    court.faust.join(MARLOWE, "faust").await?;
    court.forget(fed).await?;
    granted(hecate, MACBETH, "role='none' nick='witch'", "begone").await?;
    court.all_see_removed("witch", 307, "hecate", "begone").await?;
    witch.join(MACBETH, "witch").await?;
    court.forget(fed).await?;
    granted(hecate, MACBETH, "role='moderator' nick='faust'", "").await?;
    court.all_see("faust", "none", "moderator").await?;
    granted(hecate, MACBETH, "role='participant' nick='faust'", "").await?;
    court.all_see("faust", "none", "participant").await?;
    // Affiliations are decided by the source.
    granted(
        hecate,
        MACBETH,
        "affiliation='member' jid='faust@marlowe.lit'",
        "",
    )
    .await?;
    court.all_see("faust", "member", "participant").await?;
    court.lists_agree("member", &["faust@marlowe.lit"]).await?;
    granted(mephisto, MARLOWE, "affiliation='admin' nick='faust'", "").await?;
    court.all_see("faust", "admin", "moderator").await?;
    granted(
        mephisto,
        MARLOWE,
        "affiliation='none' jid='faust@marlowe.lit'",
        "",
    )
    .await?;
    court.all_see("faust", "none", "participant").await?;
    granted(
        hecate,
        MACBETH,
        "affiliation='outcast' jid='faust@marlowe.lit'",
        "never",
    )
    .await?;
    court.all_see_removed("faust", 301, "hecate", "never").await?;
    court.lists_agree("outcast", &["faust@marlowe.lit"]).await?;
    let refused = court
        .faust
        .try_join(MARLOWE, "faust")
        .await?
        .err()
        .context("a refusal")?;
    assert_eq!(refused.condition, "forbidden");
    granted(
        mephisto,
        MARLOWE,
        "affiliation='none' jid='faust@marlowe.lit'",
        "",
    )
    .await?;
    court.lists_agree("outcast", &[]).await?;
    court.faust.join(MARLOWE, "faust").await?;
    court.forget(fed).await?;
    // Errors are those of the room, whoever decides.
    denied(
        witch,
        MACBETH,
        "affiliation='member' jid='faust@marlowe.lit'",
        "not-allowed",
    )
    .await?;
    denied(witch, MACBETH, "role='none' nick='firstcrone'", "not-allowed").await?;
    denied(witch, MACBETH, "role='none' nick='faust'", "not-allowed").await?;
    denied(hecate, MACBETH, "role='none' nick='firstcrone'", "not-allowed").await?;
    denied(hecate, MACBETH, "role='none' nick='mephisto'", "not-allowed").await?;
    denied(
        hecate,
        MACBETH,
        "affiliation='outcast' jid='crone1@shakespeare.lit'",
        "not-allowed",
    )
    .await?;
    denied(
        hecate,
        MACBETH,
        "affiliation='owner' jid='faust@marlowe.lit'",
        "not-allowed",
    )
    .await?;
    denied(
        hecate,
        MACBETH,
        "affiliation='king' jid='faust@marlowe.lit'",
        "not-acceptable",
    )
    .await?;
    denied(
        &court.crone,
        SOURCE,
        "role='none' nick='nobody'",
        "item-not-found",
    )
    .await?;
    together(fed, &["faust", "firstcrone", "hecate", "mephisto", "witch"]).await
}

/// The configuration at every instance, as an owner reads it there.
async fn configured(court: &Court, var: &str, expected: &str) -> Result<()> {
    for room in ROOMS {
        eventually(&format!("{var} is {expected} at {room}"), || async {
            Ok(value(&court.crone.room_form(room).await?, var).as_deref() == Some(expected))
        })
        .await?;
    }
    Ok(())
}

async fn configuration(fed: &Federation, court: &Court) -> Result<()> {
    let name = "muc#roomconfig_roomname";
    court.forget(fed).await?;
    court
        .crone
        .configure_room(SOURCE, &[(name, "A Blasted Heath")])
        .await?;
    configured(court, name, "A Blasted Heath").await?;
    for (client, room) in court.everybody() {
        client
            .expect("a change of configuration", |s| {
                s.attr("from") == Some(room) && code_list(s).contains(&104)
            })
            .await?;
    }
    // An owner at a shadow changes it for everybody; nobody else does.
    court
        .mephisto
        .configure_room(MARLOWE, &[(name, "A Study")])
        .await?;
    configured(court, name, "A Study").await?;
    for (client, room) in [
        (&court.hecate, MACBETH),
        (&court.witch, MACBETH),
        (&court.faust, MARLOWE),
    ] {
        let form =
            format!("<iq type='get' to='{room}'><query xmlns='http://jabber.org/protocol/muc#owner'/></iq>");
        assert_eq!(
            error_condition(&client.iq_xml(&form).await?).as_deref(),
            Some("forbidden")
        );
        let answer = crate::asking::submit(client, room, &[(name, "Mine")]).await?;
        assert_eq!(
            error_condition(&answer).as_deref(),
            Some("forbidden"),
            "{}",
            client.jid()
        );
    }
    configured(court, name, "A Study").await?;
    // A password is asked for at every door.
    court
        .crone
        .configure_room(SOURCE, &[("muc#roomconfig_roomsecret", "open, locks")])
        .await?;
    configured(court, "muc#roomconfig_roomsecret", "open, locks").await?;
    let banquo = fed[1].client("banquo", "tent").await?;
    let refused = banquo
        .try_join(MACBETH, "banquo")
        .await?
        .err()
        .context("a refusal")?;
    assert_eq!(refused.condition, "not-authorized");
    banquo
        .join_with(MACBETH, "banquo", "<password>open, locks</password>")
        .await??;
    court
        .crone
        .configure_room(SOURCE, &[("muc#roomconfig_roomsecret", "")])
        .await?;
    configured(court, "muc#roomconfig_roomsecret", "").await?;
    banquo.leave(MACBETH, "banquo").await?;
    court.forget(fed).await?;
    // Members only: who is none leaves, at its own home; members elsewhere stay for everybody.
    granted(
        &court.crone,
        SOURCE,
        "affiliation='member' jid='somewitch@macbeth.lit'",
        "",
    )
    .await?;
    court.lists_agree("member", &["somewitch@macbeth.lit"]).await?;
    court.forget(fed).await?;
    court
        .mephisto
        .configure_room(MARLOWE, &[("muc#roomconfig_membersonly", "1")])
        .await?;
    for (client, room) in court.everybody() {
        let presence = gone(client, room, "faust").await?;
        assert!(code_list(&presence).contains(&322), "at {room}: {presence:?}");
    }
    fed.settle(3).await?;
    for (index, room) in ROOMS.iter().enumerate() {
        assert_eq!(
            nicks(fed, index, room).await?,
            ["firstcrone", "hecate", "mephisto", "witch"]
        );
    }
    can_speak_all(court).await?;
    let refused = court
        .faust
        .try_join(MARLOWE, "faust")
        .await?
        .err()
        .context("a refusal")?;
    assert_eq!(refused.condition, "registration-required");
    Ok(())
}

/// Those who are left hear each other.
async fn can_speak_all(court: &Court) -> Result<()> {
    let left = [
        (&court.crone, SOURCE),
        (&court.hecate, MACBETH),
        (&court.witch, MACBETH),
        (&court.mephisto, MARLOWE),
    ];
    for (client, room) in left {
        let text = format!("Still here {}", client.new_id());
        client.say(room, &text).await?;
        for (other, _) in left {
            other.expect_body(&text).await?;
        }
    }
    Ok(())
}

async fn governing(version: Version, storage: Storage) -> Result<()> {
    let fed = three("governing", version, storage)
        .muc_line(VISITS)
        .start()
        .await?;
    let court = Court::sits(&fed).await?;
    at_the_source(&fed, &court).await?;
    at_a_shadow(&fed, &court).await?;
    configuration(&fed, &court).await?;
    fed.finish().await
}

on_every_version! {
    fn owners_and_admins_rule_every_instance_from_any(version, storage) {
        governing(version, storage).await
    }
}
