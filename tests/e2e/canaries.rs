//! Canaries: JIDs, a password, a salt and a registered nick that would be seen wherever they must not be. In a semi-anonymous
//! room nothing that crosses a link, reaches a client or is logged has a JID that its receiver may not know (PROTOCOL 5.2).

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Client, Element, Federation, Storage, Version, on_every_version, to_string};

use crate::asking::gone;
use crate::support::{MACBETH, MARLOWE, SOURCE, distributed, eventually, from, nicks, three, together};

const PASSWORD: &str = "canary-password-by-the-pricking";

/// Who may know a person's real JID by now: the indices of servers.
struct Canaries(BTreeMap<&'static str, BTreeSet<usize>>);

impl Canaries {
    /// One more, who is at home at `server`. The source (0) enforces bans, so it may know everybody.
    fn add(&mut self, jid: &'static str, server: usize) {
        self.0.insert(jid, [0, server].into());
    }

    /// A server hosts a moderator who is on the list: it may know everybody who is there.
    fn reveal_to(&mut self, server: usize) {
        self.0.values_mut().for_each(|may| {
            may.insert(server);
        });
    }

    /// What has crossed so far, and what each server has logged, names nobody to who may not know.
    fn check(&self, fed: &Federation) -> Result<()> {
        for (sender, server) in fed.servers().iter().enumerate() {
            let wire = server.wire();
            ensure!(wire.lines().count() > 20, "{} has sent nothing", server.domain());
            for line in wire.lines() {
                for (receiver, other) in fed.servers().iter().enumerate() {
                    let is_to =
                        |name: &str| line.contains(&format!("{name}'")) && addressee(line).ends_with(name);
                    if receiver == sender || !(is_to(other.muc()) || is_to(other.domain())) {
                        continue;
                    }
                    for (jid, may) in &self.0 {
                        ensure!(
                            may.contains(&receiver) || !line.contains(jid),
                            "{} learns of {jid}: {line}",
                            other.domain()
                        );
                    }
                }
            }
        }
        for (index, server) in fed.servers().iter().enumerate() {
            for (jid, may) in self.0.iter().filter(|(_, may)| !may.contains(&index)) {
                let lines = server.log_lines_matching(&jid.replace('.', "[.]"))?;
                ensure!(
                    lines.is_empty(),
                    "{} ({may:?}) logs {jid}: {lines:?}",
                    server.domain()
                );
            }
        }
        Ok(())
    }
}

/// The domain of `to`.
fn addressee(line: &str) -> &str {
    let to = line.split_once(" to='").map_or("", |(_, rest)| rest);
    let to = to.split_once('\'').map_or("", |(to, _)| to);
    let bare = to.split_once('/').map_or(to, |(bare, _)| bare);
    bare.rsplit_once('@').map_or(bare, |(_, domain)| domain)
}

/// Nothing in a client's inbox has the JID of somebody else who is a canary.
fn knows_nobody(client: &Client, everything: &[Element], canaries: &Canaries) -> Result<()> {
    for stanza in everything {
        let text = to_string(stanza);
        for jid in canaries.0.keys().filter(|jid| **jid != client.bare_jid()) {
            ensure!(!text.contains(jid), "{} learns of {jid}: {text}", client.jid());
        }
    }
    Ok(())
}

async fn canaries(version: Version, storage: Storage) -> Result<()> {
    let fed = three("canaries", version, storage)
        .global_line("testbed_wire_all = true")
        .muc_line("dmuc_ping_interval = 1")
        .muc_line("dmuc_link_timeout = 4")
        .muc_line("dmuc_redirect = \"off\"")
        .start()
        .await?;
    let crone = distributed(&fed, &[("muc#roomconfig_whois", "moderators")]).await?;
    let mut canaries = Canaries(BTreeMap::new());

    // Joins, presences, nicks, words and errors of people whom nobody knows.
    let mut people = Vec::new();
    for (server, user, room, nick) in [
        (1, "canary-witch", MACBETH, "witch"),
        (1, "canary-banquo", MACBETH, "banquo"),
        (2, "canary-faust", MARLOWE, "faust"),
        (0, "canary-hag", SOURCE, "hag"),
    ] {
        canaries.add(JIDS[people.len()], server);
        let client = fed[server].client(user, "canary").await?;
        ensure!(client.bare_jid() == JIDS[people.len()], "{}", client.bare_jid());
        client.join(room, nick).await?;
        people.push(client);
    }
    let all = ["banquo", "faust", "firstcrone", "hag", "witch"];
    together(&fed, &all).await?;
    let [witch, banquo, faust, hag] = &people[..] else {
        unreachable!("four have joined")
    };
    let rooms = [
        (witch, MACBETH),
        (banquo, MACBETH),
        (faust, MARLOWE),
        (hag, SOURCE),
    ];
    for (client, room) in rooms {
        client.say(room, &format!("words of {}", nick_of(client))).await?;
        client
            .send_xml(&format!(
                "<presence to='{room}/{}'><show>away</show></presence>",
                nick_of(client)
            ))
            .await?;
        // Not allowed, and taken already.
        client.set_subject(room, "not mine to set").await?;
        client
            .send_xml(&format!("<presence to='{room}/firstcrone'/>"))
            .await?;
        client
            .say_privately(room, "firstcrone", "a word in your ear")
            .await?;
        client
            .iq_xml(&format!(
                "<iq type='set' to='{room}'><query xmlns='http://jabber.org/protocol/muc#admin'>\
                 <item nick='firstcrone' role='none'/></query></iq>"
            ))
            .await?;
    }
    for (client, _) in rooms {
        crone
            .expect_body(&format!("words of {}", nick_of(client)))
            .await?;
        client.sync().await?;
    }
    fed.settle(2).await?;
    canaries.check(&fed)?;

    // A cut and a resync tell no more.
    fed.isolate(2).await;
    for room in [SOURCE, MARLOWE] {
        let client = if room == SOURCE { hag } else { faust };
        client
            .expect("the split", |s| {
                dmuc_testbed::body(s).is_some_and(|text| text.contains("is interrupted"))
            })
            .await?;
    }
    faust.say(MARLOWE, "said in the split").await?;
    fed.heal_all().await;
    for client in [&crone, witch, hag] {
        client.expect_body("said in the split").await?;
    }
    // A new password, and one who does not know it.
    crone
        .configure_room(
            SOURCE,
            &[
                ("muc#roomconfig_passwordprotectedroom", "1"),
                ("muc#roomconfig_roomsecret", PASSWORD),
            ],
        )
        .await?;
    fed.settle(2).await?;
    canaries.add(JIDS[4], 2);
    let wagner = fed[2].client("canary-wagner", "canary").await?;
    let refused = wagner
        .try_join(MARLOWE, "wagner")
        .await?
        .err()
        .context("a refusal")?;
    assert_eq!(refused.condition, "not-authorized");
    let x = format!("<password>{PASSWORD}</password>");
    ensure!(
        wagner.join_with(MARLOWE, "wagner", &x).await?.is_ok(),
        "the password is right"
    );
    crone.expect("wagner", from(SOURCE, "wagner")).await?;
    canaries.check(&fed)?;
    password_stays_in_forms(&fed)?;

    // A moderator who is on the list is at macbeth.lit: its people's JIDs go there, and to nobody else.
    crone.set_affiliation(SOURCE, "lady@macbeth.lit", "admin").await?;
    fed.settle(2).await?;
    canaries.reveal_to(1);
    let lady = fed[1].client("lady", "castle").await?;
    ensure!(lady.join_with(MACBETH, "lady", &x).await?.is_ok(), "she joins");
    let is_named = |s: &Element| from(MACBETH, "faust")(s) && to_string(s).contains(JIDS[2]);
    lady.expect("faust's JID", is_named).await?;
    together(
        &fed,
        &["banquo", "faust", "firstcrone", "hag", "lady", "wagner", "witch"],
    )
    .await?;
    canaries.check(&fed)?;
    lady.leave(MACBETH, "lady").await?;
    gone(&crone, SOURCE, "lady").await?;
    gone(faust, MARLOWE, "lady").await?;
    fed.settle(2).await?;
    // Who comes after her is nobody's to know there.
    canaries.add(JIDS[5], 2);
    let late = fed[2].client("canary-late", "canary").await?;
    ensure!(late.join_with(MARLOWE, "late", &x).await?.is_ok(), "it joins");
    crone.expect("the late one", from(SOURCE, "late")).await?;
    witch.expect("the late one", from(MACBETH, "late")).await?;
    fed.settle(2).await?;
    canaries.check(&fed)?;

    // Everybody may know everybody, for a while: what clients were sent until then is looked at.
    let unspoken = inboxes(&[witch, banquo, faust, hag, &wagner, &late]);
    crone
        .configure_room(SOURCE, &[("muc#roomconfig_whois", "anyone")])
        .await?;
    let is_named = |s: &Element| from(MARLOWE, "witch")(s) && to_string(s).contains(JIDS[0]);
    faust.expect("the witch's JID", is_named).await?;
    crone
        .configure_room(SOURCE, &[("muc#roomconfig_whois", "moderators")])
        .await?;
    fed.settle(2).await?;
    canaries.reveal_to(1);
    canaries.reveal_to(2);
    canaries.add(JIDS[6], 1);
    let last = fed[1].client("canary-last", "canary").await?;
    ensure!(last.join_with(MACBETH, "last", &x).await?.is_ok(), "it joins");
    eventually("the last one is everywhere", || async {
        Ok(nicks(&fed, 2, MARLOWE).await?.contains(&"last".to_owned()))
    })
    .await?;
    fed.settle(2).await?;
    canaries.check(&fed)?;

    for (client, stanzas) in &unspoken {
        knows_nobody(client, stanzas, &canaries)?;
    }
    fed.finish().await
}

const JIDS: [&str; 7] = [
    "canary-witch@macbeth.lit",
    "canary-banquo@macbeth.lit",
    "canary-faust@marlowe.lit",
    "canary-hag@shakespeare.lit",
    "canary-wagner@marlowe.lit",
    "canary-late@marlowe.lit",
    "canary-last@macbeth.lit",
];

fn nick_of(client: &Client) -> &str {
    let user = client.bare_jid().split('@').next().unwrap_or_default();
    user.strip_prefix("canary-").unwrap_or(user)
}

/// What is in each client's inbox.
fn inboxes<'a>(clients: &[&'a Client]) -> Vec<(&'a Client, Vec<Element>)> {
    clients.iter().map(|client| (*client, client.peek())).collect()
}

/// The password crosses as a field of the configuration, to instances, and is nowhere in a log.
fn password_stays_in_forms(fed: &Federation) -> Result<()> {
    for server in fed.servers() {
        for line in server.wire().lines().filter(|line| line.contains(PASSWORD)) {
            ensure!(
                line.starts_with("<iq ") && line.contains("muc#roomconfig_roomsecret"),
                "{line}"
            );
        }
        let of_module = server.log_lines_matching(&format!("dmuc.*{PASSWORD}"))?;
        ensure!(of_module.is_empty(), "{of_module:?}");
    }
    Ok(())
}

on_every_version! {
    fn nobody_learns_a_jid_that_is_not_for_them(version, storage) {
        canaries(version, storage).await
    }
}
