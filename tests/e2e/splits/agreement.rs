//! How a test of a split ends: everybody has seen and can find the same messages once, and every instance and client has
//! the same people and settings.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Element, Federation, Value, body, code_list, to_string};

use super::evidence::{Line, Record, Trouble, judge, same_history};
use super::patience;
use super::scene::{Scene, Witness, lines, room_line};
use crate::stage::{CLIENT, DELAY, Item, clean, gathered};

/// What the archive has of occupants since the record began. Nothing the room itself said may be in it.
pub async fn archive(witness: &Witness, since: Option<&str>) -> Result<Vec<Line>> {
    let room = &witness.room;
    let mut found = Vec::new();
    for item in witness.mam_after(room, since, witness.page).await? {
        let message = &item.message;
        clean(message)?;
        ensure!(
            room_line(message, room).is_none(),
            "archived, but said by the room: {}",
            to_string(message)
        );
        let from = message.attr("from").context("from")?;
        let (Some((_, nick)), Some(body)) = (from.split_once('/'), body(message)) else {
            continue;
        };
        let delay = message
            .children()
            .find(|c| c.is("delay", DELAY) && c.attr("from") == Some(room));
        found.push(Line {
            nick: nick.to_owned(),
            body,
            id: item.id,
            message_id: message.attr("id").context("an id")?.to_owned(),
            delay: delay.and_then(|delay| delay.attr("stamp")).map(str::to_owned),
        });
    }
    Ok(found)
}

async fn record(witness: &Witness) -> Result<Record> {
    let archive = archive(witness, witness.since.as_deref()).await?;
    let (history, earlier) = witness.before();
    Ok(Record {
        whose: format!("{} at {}", witness.nick, witness.room),
        earlier,
        history,
        live: witness.live()?,
        archive,
        is_witness: witness.is_witness,
    })
}

/// Somebody in a room: affiliation, role, show and status.
type Entry = (String, String, String, String);

fn entry(presence: &Element) -> Option<Entry> {
    let item = Item::of(presence)?;
    let text = |name: &str| {
        presence
            .get_child(name, CLIENT)
            .map(Element::text)
            .unwrap_or_default()
    };
    Some((item.affiliation, item.role, text("show"), text("status")))
}

/// The roster of a room as a client has it that got these stanzas.
fn roster<'a>(stanzas: impl IntoIterator<Item = &'a Element>, of: &str) -> BTreeMap<String, Entry> {
    let mut roster = BTreeMap::new();
    for presence in stanzas {
        let from = presence.attr("from").and_then(|from| from.split_once('/'));
        let Some((room, nick)) = from else { continue };
        if !presence.is("presence", CLIENT) || room != of || presence.attr("type") == Some("error") {
            continue;
        }
        match entry(presence) {
            Some(entry) if presence.attr("type").is_none() => {
                roster.insert(nick.to_owned(), entry);
            }
            _ => {
                roster.remove(nick);
            }
        }
    }
    roster
}

/// The roster as somebody's client has it.
pub fn client_roster(witness: &Witness) -> BTreeMap<String, Entry> {
    witness.with_transcript(|all| roster(witness.joined.all.iter().chain(all), &witness.room))
}

/// All are the same as the first.
fn all_equal<T: PartialEq + Debug>(found: &[(String, T)]) -> Result<(), Trouble> {
    let Some((first, expected)) = found.first() else {
        return Ok(());
    };
    match found.iter().find(|(_, other)| other != expected) {
        Some((whose, other)) => Err(Trouble::Missing(format!(
            "at {first} there is {expected:#?}\nat {whose} {other:#?}"
        ))),
        None => Ok(()),
    }
}

/// What an instance has: people (nick, affiliation, role, show, status), settings, affiliations, subject.
async fn state(fed: &Federation, server: usize, room: &str) -> Result<Value> {
    let muc = fed[server].muc();
    let chunk = format!(
        "local room = prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{room}'); \
         if not room then return 'no room' end; \
         local people, affiliations = {{}}, {{}}; \
         for jid, o in room:each_occupant() do \
           local p = o:get_presence(); \
           people[#people+1] = table.concat({{ jid:match('/(.*)$'), o.role or '', p and p:get_child_text('show') or '', \
             p and p:get_child_text('status') or '' }}, ' | '); \
         end; \
         for jid, affiliation in room:each_affiliation() do \
           affiliations[#affiliations+1] = jid .. ' ' .. affiliation; \
         end; \
         table.sort(people); table.sort(affiliations); \
         local _, subject = room:get_subject(); \
         return {{ people = people, affiliations = affiliations, subject = subject or '', name = room:get_name() or '', \
           description = room:get_description() or '', moderated = room:get_moderated(), \
           members_only = room:get_members_only(), hidden = room:get_hidden(), whois = room:get_whois(), \
           password = room:get_password() or '', history = room:get_historylength() }}"
    );
    fed[server].eval(&chunk).await
}

async fn rosters_and_settings(scene: &Scene<'_>) -> Result<Result<(), Trouble>> {
    let mut states = Vec::new();
    let mut nicks = Vec::new();
    for (server, host) in scene.fed.servers().iter().enumerate() {
        let room = host.room(&scene.name);
        nicks = crate::support::nicks(scene.fed, server, &room).await?;
        states.push((room.clone(), state(scene.fed, server, &room).await?));
    }
    let clients = scene.people.iter().map(|witness| {
        let whose = format!("the client of {}", witness.nick);
        (whose, client_roster(witness))
    });
    let clients: Vec<_> = clients.collect();
    if let Err(trouble) = all_equal(&states).and_then(|()| all_equal(&clients)) {
        return Ok(Err(trouble));
    }
    // And what clients have is what is there.
    let shown = clients.into_iter().next();
    let shown = shown.map(|(whose, roster)| (whose, roster.into_keys().collect()));
    Ok(all_equal(
        &[("the instances".to_owned(), nicks)]
            .into_iter()
            .chain(shown)
            .collect::<Vec<_>>(),
    ))
}

async fn examine(scene: &Scene<'_>) -> Result<Result<(), Trouble>> {
    let mut records = Vec::new();
    for witness in &scene.people {
        records.push(record(witness).await?);
    }
    if let Err(trouble) = judge(&records) {
        return Ok(Err(trouble));
    }
    rosters_and_settings(scene).await
}

/// Waits until everybody agrees (what is twice, out of order or contradictory fails at once), and makes sure that it stays.
pub async fn agree(scene: &Scene<'_>) -> Result<()> {
    let end = tokio::time::Instant::now() + patience();
    while let Err(trouble) = examine(scene).await? {
        let is_final = matches!(trouble, Trouble::Wrong(_)) || tokio::time::Instant::now() > end;
        ensure!(!is_final, "{}: {trouble}", scene.name);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // What is still on its way arrives, and must change nothing.
    scene.fed.settle(2).await?;
    for witness in &scene.people {
        witness.sync().await?;
        unharmed(witness)?;
    }
    examine(scene)
        .await?
        .with_context(|| format!("{}: it did not stay so", scene.name))
}

/// No error, no leave of their own, nothing of the servers' dealings ever came to this person.
pub fn unharmed(witness: &Witness) -> Result<()> {
    witness
        .with_transcript(|all| harm(all, &witness.fallible()))
        .with_context(|| format!("to {}", witness.nick))
}

/// The harm that was done to who got these stanzas, as an error; what was sent with some ids may have failed.
fn harm(stanzas: &[Element], may_fail: &BTreeSet<String>) -> Result<()> {
    for stanza in stanzas {
        clean(stanza)?;
        let is_error = stanza.attr("type") == Some("error")
            && stanza.name() != "iq"
            && stanza.attr("id").is_none_or(|id| !may_fail.contains(id));
        ensure!(!is_error, "an error: {}", to_string(stanza));
        ensure!(!is_own_exit(stanza), "put out: {}", to_string(stanza));
    }
    Ok(())
}

fn is_own_exit(stanza: &Element) -> bool {
    let codes = code_list(stanza);
    stanza.is("presence", CLIENT)
        && stanza.attr("type") == Some("unavailable")
        && codes.contains(&110)
        && !codes.contains(&303)
}

/// Somebody comes late at each instance: the history is the same messages in the same order, and those of the archive.
pub async fn one_history(scene: &Scene<'_>) -> Result<()> {
    let mut first: Option<(String, Vec<Line>)> = None;
    for witness in &scene.people {
        let nick = format!("late{}", witness.server);
        let late = scene.fed[witness.server].client("late", &scene.name).await?;
        let joined = late
            .join_with(&witness.room, &nick, "<history maxstanzas='500'/>")
            .await??;
        for message in &joined.history {
            ensure!(
                room_line(message, &witness.room).is_none(),
                "in the history, but said by the room: {}",
                to_string(message)
            );
        }
        let history = lines(&joined.history, &witness.room)?;
        super::evidence::once(&nick, &history)?;
        super::evidence::in_order(&nick, &history)?;
        let archive = archive(witness, None).await?;
        super::evidence::same(
            &format!("the history of {}", witness.room),
            &history,
            "its archive",
            &archive,
        )?;
        match &first {
            Some((other, expected)) => same_history(other, expected, &witness.room, &history)?,
            None => first = Some((witness.room.clone(), history)),
        }
        late.leave(&witness.room, &nick).await?;
        late.close().await?;
    }
    let mut nicks: Vec<&str> = scene.people.iter().map(|witness| &*witness.nick).collect();
    nicks.sort_unstable();
    gathered(scene.fed, &scene.name, &nicks).await
}

/// The records begin anew: everybody agrees now, and everybody is a witness of what follows.
pub async fn begin_again(scene: &mut Scene<'_>) -> Result<()> {
    for witness in &mut scene.people {
        let room = witness.room.clone();
        let last = witness
            .mam_after(&room, witness.since.as_deref(), witness.page)
            .await?
            .pop();
        let last = last.map(|item| item.id).or_else(|| witness.since.clone());
        witness.begin_again(last);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use dmuc_testbed::stanza;

    use super::*;

    const ROOM: &str = "coven@chat.shakespeare.lit";

    fn presence(nick: &str, content: &str, kind: &str) -> Element {
        let item = "<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/></x>";
        let xml = format!("<presence from='{ROOM}/{nick}' {kind}>{item}{content}</presence>");
        stanza(&xml).expect("a presence")
    }

    fn parsed(xml: &str) -> Element {
        stanza(xml).expect("a stanza")
    }

    #[test]
    fn a_roster_is_what_the_last_presences_say() {
        let gone = presence("ross", "", "type='unavailable'");
        let stanzas = [presence("ross", "", ""), presence("angus", "", ""), gone];
        assert_eq!(roster(&stanzas, ROOM).into_keys().collect::<Vec<_>>(), ["angus"]);
        assert_eq!(roster(&stanzas, "heath@chat.shakespeare.lit").len(), 0);
        let before = roster(&stanzas, ROOM);
        let away = presence("angus", "<show>xa</show>", "");
        let after = roster(stanzas.iter().chain([&away]), ROOM);
        assert_ne!(before, after);
    }

    #[test]
    fn one_that_differs_is_missing_something() {
        let of =
            |values: &[u8]| -> Vec<(String, u8)> { values.iter().map(|v| (v.to_string(), *v)).collect() };
        assert_eq!(all_equal(&of(&[])), Ok(()));
        assert_eq!(all_equal(&of(&[1, 1, 1])), Ok(()));
        for values in [[1, 1, 2], [2, 1, 1], [1, 2, 1]] {
            assert!(matches!(all_equal(&of(&values)), Err(Trouble::Missing(_))));
        }
    }

    #[test]
    fn an_error_or_an_exit_is_harm_and_a_new_nick_is_not() {
        let own = |codes: &[u16]| {
            let codes: String = codes.iter().map(|c| format!("<status code='{c}'/>")).collect();
            let x = format!("<x xmlns='http://jabber.org/protocol/muc#user'>{codes}</x>");
            parsed(&format!(
                "<presence from='{ROOM}/ross' type='unavailable'>{x}</presence>"
            ))
        };
        let nothing = BTreeSet::new();
        let harm = |stanzas: &[Element]| super::harm(stanzas, &nothing);
        let renamed = [own(&[303, 110]), presence("ross", "", "")];
        assert!(harm(&renamed).is_ok());
        assert!(harm(&[presence("angus", "", "type='unavailable'")]).is_ok());
        assert!(harm(&[own(&[110, 333])]).is_err());
        let error = parsed(&format!("<message from='{ROOM}' type='error' id='m'/>"));
        assert!(harm(std::slice::from_ref(&error)).is_err());
        assert!(super::harm(&[error], &BTreeSet::from(["m".to_owned()])).is_ok());
        assert!(harm(&[presence("ross", "", "type='error'")]).is_err());
        assert!(harm(&[presence("ross", "<occupant xmlns='urn:x-dmuc:0'/>", "")]).is_err());
    }
}
