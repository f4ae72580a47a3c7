//! What people do while two instances are apart, and are shown as when the link is back: who sees real JIDs, one person
//! with a client on each side, a new nick, an invitation. One split for all of it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Element, Federation, Storage, Version, code_list, on_every_version, to_string};

use super::hasty;
use crate::asking::item_attr;
use crate::stage::{CLIENT, Item, Person, gathered, occupant_id, quiet};
use crate::support::{VISITS, from};

const WHOIS: &str = "muc#roomconfig_whois";
const NICKS: [&str; 3] = ["faust", "firstcrone", "firstwitch"];

/// The source and the second shadow are apart; the first shadow has both.
const PARTS: (usize, usize) = (0, 2);

/// The others whose real JID this person's client has been shown, by the last presence of each.
fn named(person: &Person) -> Vec<String> {
    let mut last = BTreeMap::new();
    let seen = person.joined.all.iter().cloned().chain(person.transcript());
    for presence in seen.filter(|s| s.is("presence", CLIENT)) {
        let nick = presence.attr("from").and_then(|from| from.split_once('/'));
        let Some((_, nick)) = nick.filter(|(room, nick)| *room == person.room && *nick != person.nick) else {
            continue;
        };
        let item = Item::of(&presence).filter(|_| presence.attr("type").is_none());
        last.insert(nick.to_owned(), item.is_some_and(|item| item.jid.is_some()));
    }
    last.into_iter()
        .filter(|(_, is_named)| *is_named)
        .map(|(nick, _)| nick)
        .collect()
}

/// As [`company`](crate::stage::company), with everything recorded that each sees.
async fn company(fed: &Federation, name: &str, config: &[(&str, &str)]) -> Result<[Person; 3]> {
    let crone = Person::founds(fed, name, config).await?;
    crone.keep_transcript();
    let witch = Person::joins(fed, 1, "somewitch", name, "firstwitch").await?;
    witch.keep_transcript();
    let faust = Person::joins(fed, 2, "drfaust", name, "faust").await?;
    faust.keep_transcript();
    gathered(fed, name, &NICKS).await?;
    Ok([crone, witch, faust])
}

/// What somebody who joins now is shown: whose real JID, and whether the room says so (code 100).
async fn newcomer_knows(fed: &Federation, server: usize) -> Result<(Vec<String>, bool)> {
    let nick = format!("hag{server}");
    let hag = Person::joins(fed, server, "hag66", "masks", &nick).await?;
    let mut known = named(&hag);
    // The one before may not have left everywhere yet.
    known.retain(|nick| !nick.starts_with("hag"));
    let known = (known, hag.joined.codes().contains(&100));
    hag.leave(&hag.room, &nick).await?;
    Ok(known)
}

fn owned(nicks: &[&str]) -> Vec<String> {
    nicks.iter().map(|nick| (*nick).to_owned()).collect()
}

async fn drained(fed: &Federation, people: &[&Person]) -> Result<()> {
    quiet(fed, people).await?;
    for person in people {
        person.take_all()?;
    }
    Ok(())
}

/// Goodbyes of an occupant that somebody was shown.
fn exits(seen: &[Element], room: &str, nick: &str) -> Vec<Element> {
    let is_it = from(room, nick);
    let seen = seen.iter();
    let exits =
        seen.filter(|s| is_it(s) && s.is("presence", CLIENT) && s.attr("type") == Some("unavailable"));
    exits.cloned().collect()
}

/// Each hears it once, and has nobody leave meanwhile.
async fn heard_once(person: &Person, texts: &[&str], seen: &[Element]) -> Result<()> {
    for text in texts {
        let count = seen
            .iter()
            .filter(|s| dmuc_testbed::body(s).as_deref() == Some(text))
            .count();
        ensure!(count == 1, "{} hears {text:?} {count} times", person.nick);
    }
    let gone = exits(seen, &person.room, "lady");
    ensure!(gone.is_empty(), "{}: {}", person.nick, to_string(&gone[0]));
    Ok(())
}

async fn story(version: Version, storage: Storage) -> Result<()> {
    let fed = hasty("apart", version, storage)
        .muc_line(VISITS)
        .muc_line("dmuc_redirect = \"off\"")
        .start()
        .await?;
    let masks = company(&fed, "masks", &[(WHOIS, "moderators")]).await?;
    let heath = company(&fed, "heath", &[]).await?;
    let names = company(&fed, "names", &[]).await?;
    // Her account is at the server that both parts reach.
    let lady = fed[1].client("lady", "castle").await?;
    lady.join(&fed[0].room("heath"), "lady").await?;
    let abroad = fed[1].client("lady", "abroad").await?;
    abroad.join(&fed[2].room("heath"), "lady").await?;
    gathered(&fed, "heath", &["faust", "firstcrone", "firstwitch", "lady"]).await?;
    drained(&fed, &heath.each_ref()).await?;
    drained(&fed, &masks.each_ref()).await?;
    drained(&fed, &names.each_ref()).await?;
    let faust_is = occupant_id(&names[2].joined.self_presence)?;
    assert_eq!(named(&masks[0]), ["faust", "firstwitch"]);
    assert_eq!([named(&masks[1]), named(&masks[2])], [owned(&[]), owned(&[])]);

    fed.link(PARTS.0, PARTS.1).cut().await;
    for (here, there) in [PARTS, (PARTS.1, PARTS.0)] {
        for name in ["masks", "heath", "names"] {
            let line = format!(
                "{}: the link to {} is down",
                fed[here].room(name),
                fed[there].muc()
            );
            fed[here].wait_for_log(&line).await?;
        }
    }
    // The source shows everybody's real JID now, and tells whom it reaches.
    masks[0]
        .configure_room(&masks[0].room, &[(WHOIS, "anyone")])
        .await?;
    for (person, room) in [(&masks[0], 0), (&masks[1], 1)] {
        person
            .expect("status 172", |s| code_list(s).contains(&172))
            .await
            .with_context(|| format!("at {room}"))?;
    }
    // What faust's instance has not heard it does not do: it names him to nobody but the source.
    assert_eq!(
        newcomer_knows(&fed, 1).await?,
        (owned(&["firstcrone", "firstwitch"]), true)
    );
    assert_eq!(newcomer_knows(&fed, 0).await?, (owned(&NICKS), true));
    assert_eq!(newcomer_knows(&fed, 2).await?, (owned(&[]), false));
    ensure!(named(&masks[2]).is_empty(), "{:?}", named(&masks[2]));
    // Each part has the lady, who speaks in both.
    lady.say(&fed[0].room("heath"), "from the castle").await?;
    abroad.say(&fed[2].room("heath"), "from abroad").await?;
    heath[0].expect_body("from the castle").await?;
    heath[2].expect_body("from abroad").await?;
    // A new nick is seen at once where it can be.
    names[2].change_nick(&names[2].room, "mephisto").await?;
    let is_new = from(&names[1].room, "mephisto");
    names[1].expect("the new nick", |s| is_new(s)).await?;
    // A direct invitation names the instance that the invitee's server has, which can be joined.
    let valdes = fed[2].client("valdes", "study").await?;
    let source = fed[0].room("names");
    names[2]
        .send_xml(&format!(
            "<message to='{}'><x xmlns='jabber:x:conference' jid='{source}'/></message>",
            valdes.jid()
        ))
        .await?;
    let invitation = valdes
        .expect("an invitation", |s| {
            s.get_child("x", "jabber:x:conference").is_some()
        })
        .await?;
    let to = invitation
        .get_child("x", "jabber:x:conference")
        .and_then(|x| x.attr("jid"))
        .context("a room")?;
    assert_eq!(to, names[2].room);
    valdes.join(to, "valdes").await?;

    fed.heal_all().await;
    for person in &heath {
        let said = ["from the castle", "from abroad"];
        person
            .until("both are heard", super::patience(), |all| {
                said.iter().all(|text| {
                    all.iter()
                        .any(|s| dmuc_testbed::body(s).as_deref() == Some(*text))
                })
            })
            .await?;
    }
    masks[2]
        .expect_within("status 172", super::patience(), |s| code_list(s).contains(&172))
        .await?;
    gathered(&fed, "names", &["firstcrone", "firstwitch", "mephisto", "valdes"]).await?;
    gathered(&fed, "heath", &["faust", "firstcrone", "firstwitch", "lady"]).await?;
    quiet(&fed, &heath.each_ref()).await?;
    for person in &heath {
        let all = person.transcript();
        heard_once(person, &["from the castle", "from abroad"], &all).await?;
    }
    // One occupant still: who leaves one instance is there through the other.
    lady.leave(&fed[0].room("heath"), "lady").await?;
    quiet(&fed, &heath.each_ref()).await?;
    gathered(&fed, "heath", &["faust", "firstcrone", "firstwitch", "lady"]).await?;
    abroad.leave(&fed[2].room("heath"), "lady").await?;
    gathered(&fed, "heath", &NICKS).await?;
    // The crone has seen one change of nick, of the same occupant, and nobody come or go for it.
    quiet(&fed, &names.each_ref()).await?;
    for person in &names[..2] {
        let all = person.transcript();
        let gone = exits(&all, &person.room, "faust");
        ensure!(gone.len() == 1, "{}: {gone:?}", person.nick);
        ensure!(code_list(&gone[0]).contains(&303), "{}", to_string(&gone[0]));
        assert_eq!(item_attr(&gone[0], "nick"), "mephisto");
        let is_new = from(&person.room, "mephisto");
        let shown: Vec<&Element> = all.iter().filter(|s| is_new(s)).collect();
        ensure!(!shown.is_empty(), "{} does not see mephisto", person.nick);
        for presence in shown {
            assert_eq!(presence.attr("type"), None, "{}", to_string(presence));
            assert_eq!(occupant_id(presence)?, faust_is);
        }
    }
    // What the source decided holds everywhere.
    quiet(&fed, &masks.each_ref()).await?;
    for server in [0, 1, 2] {
        assert_eq!(
            newcomer_knows(&fed, server).await?,
            (owned(&NICKS), true),
            "{server}"
        );
        drained(&fed, &masks.each_ref()).await?;
    }
    fed.finish().await
}

on_every_version! {
    fn what_people_do_in_a_split_is_told_after_it(version, storage) {
        story(version, storage).await
    }
}
