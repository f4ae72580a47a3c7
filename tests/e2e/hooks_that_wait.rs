//! Modules whose hooks wait (util.async), in every event of the MUC service: what waits comes late, everything else flows.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Element, Federation, Storage, Version, body, on_every_version};

use crate::stage::{CLIENT, DELAY, MUC_USER, Person, company, gathered, quiet, stanza_id};
use crate::support::{eventually, three};

/// The module of the testbed.
const WAITS: &str = "waits";

/// Calls one of its functions.
async fn call(fed: &Federation, server: usize, call: &str) -> Result<String> {
    let muc = fed[server].muc();
    let chunk = format!("return tostring(prosody.hosts['{muc}'].modules.{WAITS}.{call})");
    Ok(fed[server]
        .eval(&chunk)
        .await?
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

async fn waiting(fed: &Federation, server: usize) -> Result<u64> {
    Ok(call(fed, server, "waiting()").await?.parse()?)
}

/// Every event came where a hook can wait.
async fn could_wait_everywhere(fed: &Federation, server: usize) -> Result<()> {
    let outside = call(fed, server, "not_waited_in()").await?;
    ensure!(
        outside.is_empty(),
        "server {server} fires these where nothing can wait: {outside}"
    );
    Ok(())
}

/// What somebody called slow does, the event in which it waits, and how it is seen at last by whom.
struct Act {
    events: &'static [&'static str],
    /// The one who acts: slow, or the owner.
    actor: usize,
    xml: fn(&[Person], usize) -> String,
    /// What everybody sees of it in the end.
    is_seen: fn(&Element, usize) -> bool,
    /// Who sees it.
    viewers: &'static [usize],
}

const OWNER: usize = 0;
const SLOW: usize = 1;
const FAUST: usize = 2;
const EVERYBODY: &[usize] = &[OWNER, SLOW, FAUST];

fn text_of(round: usize) -> String {
    format!("slow {round}")
}

const ACTS: &[Act] = &[
    Act {
        events: &[
            "muc-occupant-groupchat",
            "muc-broadcast-message",
            "muc-message-is-historic",
            "muc-add-history",
        ],
        actor: SLOW,
        xml: |people, round| {
            let text = text_of(round);
            format!(
                "<message type='groupchat' to='{}'><body>{text}</body></message>",
                people[SLOW].room
            )
        },
        is_seen: |s, round| s.is("message", CLIENT) && body(s) == Some(text_of(round)),
        viewers: EVERYBODY,
    },
    Act {
        events: &[
            "muc-occupant-pre-change",
            "muc-build-occupant-presence",
            "muc-broadcast-presence",
        ],
        actor: SLOW,
        xml: |people, round| {
            format!(
                "<presence to='{}'><status>{}</status></presence>",
                people[SLOW].sees("slow"),
                text_of(round)
            )
        },
        is_seen: |s, round| {
            s.get_child("status", CLIENT)
                .is_some_and(|status| status.text() == text_of(round))
        },
        viewers: EVERYBODY,
    },
    Act {
        events: &["muc-private-message"],
        actor: SLOW,
        xml: |people, round| {
            let text = text_of(round);
            format!(
                "<message type='chat' to='{}/firstcrone'><body>{text}</body><x xmlns='{MUC_USER}'/></message>",
                people[SLOW].room
            )
        },
        is_seen: |s, round| s.attr("type") == Some("chat") && body(s) == Some(text_of(round)),
        viewers: &[OWNER],
    },
    Act {
        events: &["muc-pre-set-affiliation", "muc-set-affiliation"],
        actor: OWNER,
        xml: |people, round| {
            let affiliation = if round % 2 == 0 { "member" } else { "none" };
            format!(
                "<iq type='set' to='{}'><query xmlns='http://jabber.org/protocol/muc#admin'>\
                 <item jid='slow@macbeth.lit' affiliation='{affiliation}'><reason>{}</reason></item></query></iq>",
                people[OWNER].room,
                text_of(round)
            )
        },
        is_seen: |s, round| {
            let item = s
                .get_child("x", MUC_USER)
                .and_then(|x| x.get_child("item", MUC_USER));
            let reason = item.and_then(|item| item.get_child("reason", MUC_USER));
            s.attr("type").is_none() && reason.is_some_and(|reason| reason.text() == text_of(round))
        },
        viewers: EVERYBODY,
    },
];

/// While what is said or done waits at one server, everybody hears what others say, here and in another room.
async fn the_others_flow(
    fed: &Federation,
    people: &[Person],
    others: &[Person],
    actor: usize,
    round: usize,
) -> Result<()> {
    let held = waiting(fed, round % 3).await?;
    for room in [people, others] {
        // Nobody says anything in a session whose stanza waits.
        let acts = |p: &Person| p.room == people[actor].room && p.nick == people[actor].nick;
        for speaker in room.iter().filter(|p| p.nick != "slow" && !acts(p)) {
            let text = format!("{} flows {round}", speaker.sees(&speaker.nick));
            speaker.sends(&format!("<body>{text}</body>")).await?;
            for viewer in room {
                let message = viewer.expect_body(&text).await?;
                ensure!(
                    message.get_child("delay", DELAY).is_none(),
                    "it is live: {message:?}"
                );
            }
        }
    }
    ensure!(
        held > 0 && waiting(fed, round % 3).await? == held,
        "and what waits waits still"
    );
    Ok(())
}

async fn one_at_a_time(version: Version, storage: Storage) -> Result<()> {
    let mut builder = three("waits-one", version, storage);
    for server in 0..3 {
        builder = builder.with_server(server, |spec| spec.muc_modules.push(WAITS.to_owned()));
    }
    let fed = builder.start().await?;
    let others = company(&fed, "heath", &[]).await?;
    let [crone, witch, faust] = company(&fed, "coven", &[]).await?;
    witch.leave(&witch.room, "firstwitch").await?;
    let slow = Person::joins(&fed, 1, "slow", "coven", "slow").await?;
    gathered(&fed, "coven", &["faust", "firstcrone", "slow"]).await?;
    let people = [crone, slow, faust];
    quiet(&fed, &people.each_ref()).await?;
    let mut round = 0;
    for act in ACTS {
        for event in act.events {
            // At every server where it is fired for this act, one after the other.
            for server in 0..3 {
                // `round % 3` is the server.
                round += (server + 3 - round % 3) % 3;
                for person in people.iter().chain(&others) {
                    person.drain();
                }
                call(&fed, server, &format!("wait_for('{event}', 'slow')")).await?;
                people[act.actor].send_xml(&(act.xml)(&people, round)).await?;
                let is_fired = fires(act, event, server);
                if is_fired {
                    eventually(&format!("{event} waits at server {server}"), || async {
                        Ok(waiting(&fed, server).await? > 0)
                    })
                    .await?;
                    the_others_flow(&fed, &people, &others, act.actor, round)
                        .await
                        .with_context(|| format!("{event} at server {server}"))?;
                }
                // Goes on, and waits again where an event is fired more than once.
                call(&fed, server, "release()").await?;
                for viewer in act.viewers {
                    people[*viewer]
                        .expect(&format!("{event} at server {server}, at last"), |s| {
                            (act.is_seen)(s, round)
                        })
                        .await?;
                }
                could_wait_everywhere(&fed, server).await?;
                round += 1;
            }
        }
    }
    fed.finish().await
}

/// Whether an event is fired at a server for this act.
fn fires(act: &Act, event: &str, server: usize) -> bool {
    match event {
        // The sender's home only.
        "muc-occupant-groupchat" | "muc-occupant-pre-change" => server == SLOW,
        // Both ends.
        "muc-private-message" => server == SLOW || act.viewers.contains(&server),
        _ => true,
    }
}

/// What came of a story in which everything waits everywhere: messages by id, in order.
fn heard(person: &Person) -> Result<Vec<(String, String)>> {
    let mut messages = Vec::new();
    for message in person.take_all()? {
        let is_said = message.is("message", CLIENT) && message.attr("type") == Some("groupchat");
        let Some(text) = body(&message).filter(|_| is_said) else {
            continue;
        };
        ensure!(
            message.get_child("delay", DELAY).is_none(),
            "it is live: {message:?}"
        );
        messages.push((stanza_id(&message, &person.room)?, text));
    }
    Ok(messages)
}

async fn all_at_once(version: Version, storage: Storage) -> Result<()> {
    let mut builder = three("waits-all", version, storage);
    for server in 0..3 {
        builder = builder.with_server(server, |spec| spec.muc_modules.push(WAITS.to_owned()));
    }
    let fed = builder.start().await?;
    // Even while the room is made, and becomes distributed.
    for server in 0..3 {
        call(&fed, server, "wait_for(nil, nil, 0.005)").await?;
    }
    let people = company(&fed, "coven", &[]).await?;
    let rounds = 8;
    for round in 0..rounds {
        for person in &people {
            person
                .sends(&format!("<body>{} {round}</body>", person.nick))
                .await?;
        }
    }
    // Meanwhile others come and go, and the owner decides.
    let crone = &people[0];
    let late = Person::joins(&fed, 1, "late", "coven", "late").await?;
    late.change_nick(&late.room, "later").await?;
    late.sends("<body>late 0</body>").await?;
    crone
        .set_affiliation(&crone.room, "drfaust@marlowe.lit", "admin")
        .await?;
    crone
        .configure_room(&crone.room, &[("muc#roomconfig_roomname", "Waiting")])
        .await?;
    crone.set_subject(&crone.room, "Patience").await?;
    crone.say_privately(&crone.room, "faust", "psst").await?;
    people[2].expect_body("psst").await?;
    for viewer in &people {
        for text in people
            .iter()
            .map(|p| format!("{} {}", p.nick, rounds - 1))
            .chain(["late 0".to_owned()])
        {
            eventually(&format!("{} hears {text}", viewer.nick), || async {
                Ok(viewer.peek().iter().any(|s| body(s).as_deref() == Some(&*text)))
            })
            .await?;
        }
    }
    late.leave(&late.room, "later").await?;
    gathered(&fed, "coven", &["faust", "firstcrone", "firstwitch"]).await?;
    for server in 0..3 {
        eventually("nothing waits", || async {
            Ok(waiting(&fed, server).await? == 0)
        })
        .await?;
    }
    quiet(&fed, &people.each_ref()).await?;
    let mut histories = Vec::new();
    for viewer in &people {
        let all = heard(viewer)?;
        let by_id: BTreeMap<_, _> = all.iter().cloned().collect();
        ensure!(
            by_id.len() == all.len(),
            "{} hears each once: {all:?}",
            viewer.nick
        );
        for sender in people.iter().map(|p| &*p.nick) {
            let of_it: Vec<_> = all
                .iter()
                .filter(|m| m.1.starts_with(&format!("{sender} ")))
                .collect();
            let expected: Vec<_> = (0..rounds).map(|round| format!("{sender} {round}")).collect();
            let texts: Vec<_> = of_it.iter().map(|m| m.1.clone()).collect();
            assert_eq!(texts, expected, "what {} hears of {sender}", viewer.nick);
        }
        histories.push(by_id);
    }
    assert_eq!(histories[0], histories[1], "the same ids");
    assert_eq!(histories[0], histories[2], "the same ids");
    for server in 0..3 {
        could_wait_everywhere(&fed, server).await?;
        call(&fed, server, "release()").await?;
        let room = fed[server].room("coven");
        let muc = fed[server].muc();
        eventually(&format!("{room} has what the owner has set"), || async {
            let state = fed[server]
                .eval(&format!(
                    "local room = prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{room}'); \
                     local _, subject = room:get_subject(); \
                     return table.concat({{ room:get_name(), subject, room:get_affiliation('drfaust@marlowe.lit') or 'none' }}, ', ')"
                ))
                .await?;
            Ok(state.as_str() == Some("Waiting, Patience, admin"))
        })
        .await?;
        ensure!(
            fed[server].log_lines_matching("interrupted|is down")?.is_empty(),
            "no link is called down"
        );
    }
    fed.finish().await
}

on_every_version! {
    fn what_waits_in_any_hook_delays_nothing_else(version, storage) {
        one_at_a_time(version, storage).await
    }
    fn a_story_in_which_every_hook_waits_ends_well(version, storage) {
        all_at_once(version, storage).await
    }
}
