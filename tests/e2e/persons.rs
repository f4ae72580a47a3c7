//! One person with clients at two instances is one occupant (XEP-0045 section 7.2.9), also where an instance may not know
//! who somebody at another one is: the room is semi-anonymous, and nobody is trusted with more than its own domain.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{
    Client, Element, Federation, Storage, Version, code_list, error_condition, on_every_version, to_string,
};

use crate::stage::{CLIENT, Item, Person, company, gathered, occupant_id, quiet};
use crate::support::{VISITS, eventually, from, three};

/// The person of [`company`] at the first shadow, with another client at the second shadow.
async fn abroad(fed: &Federation, name: &str) -> Result<Person> {
    let client = fed[1].client("somewitch", &format!("{name}-abroad")).await?;
    let room = fed[2].room(name);
    let joined = client.join(&room, "firstwitch").await?;
    Ok(Person {
        client,
        server: 2,
        room,
        nick: "firstwitch".to_owned(),
        joined,
    })
}

/// The nicks are there everywhere, and the person has as many sessions as there are instances with clients of it.
async fn agreed(fed: &Federation, name: &str, nicks: &[&str]) -> Result<()> {
    gathered(fed, name, nicks).await
}

async fn drained(fed: &Federation, people: &[&Person]) -> Result<()> {
    quiet(fed, people).await?;
    for person in people {
        person.take_all()?;
    }
    Ok(())
}

fn show(presence: &Element) -> Option<String> {
    presence.get_child("show", CLIENT).map(Element::text)
}

/// How somebody who joins now sees the nick.
async fn seen_by_newcomer(fed: &Federation, server: usize, name: &str, nick: &str) -> Result<Element> {
    let client = fed[server].client("newcomer", &format!("{name}-new")).await?;
    let room = fed[server].room(name);
    let joined = client.join(&room, "newcomer").await?;
    let is_it = from(&room, nick);
    let seen = joined
        .presences
        .iter()
        .filter(|s| is_it(s))
        .cloned()
        .collect::<Vec<_>>();
    client.leave(&room, "newcomer").await?;
    // The nick is free everywhere before the next one comes.
    fed.settle(2).await?;
    ensure!(seen.len() == 1, "{nick} once: {seen:?}");
    Ok(seen[0].clone())
}

async fn shows(person: &Person, show: &str) -> Result<()> {
    person
        .send_xml(&format!(
            "<presence to='{}'><show>{show}</show><priority>{}</priority></presence>",
            person.sees(&person.nick),
            show.len()
        ))
        .await?;
    Ok(())
}

async fn a_second_client_elsewhere_is_the_same_occupant(fed: &Federation) -> Result<()> {
    let [crone, witch, faust] = company(fed, "heath", &[]).await?;
    let others = [&crone, &witch, &faust];
    let thief = fed[2].client("thief", "heath").await?;
    let refused = thief.try_join(&faust.room, "firstwitch").await?;
    ensure!(
        refused.err().context("a refusal")?.condition == "conflict",
        "somebody else"
    );

    shows(&witch, "dnd").await?;
    quiet(fed, &others).await?;
    let away = abroad(fed, "heath").await?;
    ensure!(away.joined.own_nick() == "firstwitch" && away.joined.nicks().len() == 2);
    ensure!(occupant_id(&away.joined.self_presence)? == occupant_id(&witch.joined.self_presence)?);
    let all = [&crone, &witch, &faust, &away];
    quiet(fed, &all).await?;
    agreed(fed, "heath", &["faust", "firstcrone", "firstwitch"]).await?;
    for person in others {
        for stanza in person.take_all()? {
            ensure!(
                stanza.attr("type").is_none(),
                "nobody left: {}",
                to_string(&stanza)
            );
        }
    }
    // Which of the two is shown is the same everywhere: the one that came first.
    shows(&away, "xa").await?;
    quiet(fed, &all).await?;
    for server in 0..3 {
        let seen = seen_by_newcomer(fed, server, "heath", "firstwitch").await?;
        ensure!(
            show(&seen).as_deref() == Some("dnd"),
            "at {server}: {}",
            to_string(&seen)
        );
    }
    drained(fed, &all).await?;

    what_either_says_is_of_one_occupant(fed, &all).await?;
    a_private_message_goes_where_the_person_may_be_named(fed, &all).await?;

    // One of two that leaves is no leave; the other one is shown.
    witch.leave(&witch.room, "firstwitch").await?;
    for person in [&crone, &faust] {
        let is_it = from(&person.room, "firstwitch");
        let seen = person.expect("the other client", |s| is_it(s)).await?;
        ensure!(
            seen.attr("type").is_none() && show(&seen).as_deref() == Some("xa"),
            "{}",
            to_string(&seen)
        );
    }
    drained(fed, &all).await?;
    agreed(fed, "heath", &["faust", "firstcrone", "firstwitch"]).await?;
    // And back, this time with the other way round.
    let joined = witch.join(&witch.room, "firstwitch").await?;
    ensure!(joined.own_nick() == "firstwitch");
    drained(fed, &all).await?;
    for server in 0..3 {
        let seen = seen_by_newcomer(fed, server, "heath", "firstwitch").await?;
        ensure!(
            show(&seen).as_deref() == Some("xa"),
            "at {server}: {}",
            to_string(&seen)
        );
    }
    drained(fed, &all).await?;
    away.leave(&away.room, "firstwitch").await?;
    drained(fed, &all).await?;
    agreed(fed, "heath", &["faust", "firstcrone", "firstwitch"]).await?;
    witch.leave(&witch.room, "firstwitch").await?;
    for person in [&crone, &faust] {
        let is_it = from(&person.room, "firstwitch");
        let gone = person.expect("the last one", |s| is_it(s)).await?;
        ensure!(gone.attr("type") == Some("unavailable"), "{}", to_string(&gone));
    }
    agreed(fed, "heath", &["faust", "firstcrone"]).await
}

async fn what_either_says_is_of_one_occupant(fed: &Federation, all: &[&Person; 4]) -> Result<()> {
    for speaker in [all[1], all[3]] {
        let text = format!("from {}", speaker.room);
        let id = speaker.say(&speaker.room, &text).await?;
        for person in all {
            let message = person.expect_body(&text).await?;
            ensure!(message.attr("id") == Some(&*id));
            ensure!(message.attr("from") == Some(&*person.sees("firstwitch")));
        }
    }
    quiet(fed, all).await?;
    for person in all {
        ensure!(person.take_all()?.is_empty(), "once");
    }
    Ok(())
}

/// From each of the others, and a request, which one of the two answers. Whose client the other one is, anybody could say
/// who shows the occupant-id: where the person is known by her own service, only that one gets what is for her. At the other
/// instance she is known by the client there, and her own service may name her.
async fn a_private_message_goes_where_the_person_may_be_named(
    fed: &Federation,
    all: &[&Person; 4],
) -> Result<()> {
    let sister = fed[1].client("sister", "heath").await?;
    let room = all[1].room.clone();
    sister.join(&room, "sister").await?;
    quiet(fed, all).await?;
    let senders: [(&Client, &str); 3] = [(all[0], &all[0].room), (all[2], &all[2].room), (&sister, &room)];
    for (sender, room) in senders {
        let text = format!("psst from {}", sender.jid());
        sender.say_privately(room, "firstwitch", &text).await?;
        all[1].expect_body(&text).await?;
        if *room == all[2].room {
            all[3].expect_body(&text).await?;
        }
        let answer = sender
            .iq_xml(&format!(
                "<iq type='get' to='{room}/firstwitch'><query xmlns='jabber:iq:version'/></iq>"
            ))
            .await?;
        ensure!(answer.attr("type") == Some("result"), "{}", to_string(&answer));
    }
    quiet(fed, all).await?;
    sister.sync().await?;
    let stray = |s: &Element| s.name() == "message" || s.attr("type") == Some("error");
    for client in [all[0] as &Client, all[1], all[2], all[3], &sister] {
        let found = client.drain_matching(stray);
        ensure!(found.is_empty(), "{} got {found:?} besides", client.jid());
    }
    sister.leave(&room, "sister").await?;
    drained(fed, all).await
}

async fn a_change_of_nick_is_that_clients(fed: &Federation) -> Result<()> {
    let [crone, witch, faust] = company(fed, "moor", &[]).await?;
    let away = abroad(fed, "moor").await?;
    let all = [&crone, &witch, &faust, &away];
    drained(fed, &all).await?;
    for (one, other, nick) in [(&away, &witch, "hecate"), (&witch, &away, "graymalkin")] {
        one.change_nick(&one.room, nick).await?;
        quiet(fed, &all).await?;
        let mut nicks = ["faust", "firstcrone", "firstwitch", nick];
        nicks.sort_unstable();
        agreed(fed, "moor", &nicks).await?;
        for person in [&crone, &faust] {
            let arrived = person.take_all()?;
            let is_it = from(&person.room, nick);
            ensure!(arrived.iter().any(is_it), "{nick} for {}", person.nick);
            ensure!(!arrived.iter().any(|s| s.attr("type") == Some("unavailable")));
        }
        let text = format!("{nick} speaks");
        one.say(&one.room, &text).await?;
        let message = crone.expect_body(&text).await?;
        ensure!(message.attr("from") == Some(&*crone.sees(nick)));
        let text = "the other one speaks";
        other.say(&other.room, text).await?;
        let message = faust.expect_body(text).await?;
        ensure!(message.attr("from") == Some(&*faust.sees("firstwitch")));
        // Back to one occupant.
        one.send_xml(&format!("<presence to='{}'/>", one.sees("firstwitch")))
            .await?;
        agreed(fed, "moor", &["faust", "firstcrone", "firstwitch"]).await?;
        drained(fed, &all).await?;
    }
    Ok(())
}

async fn is_role(fed: &Federation, name: &str, role: &str) -> Result<()> {
    for (index, server) in fed.servers().iter().enumerate() {
        let (room, muc) = (server.room(name), server.muc());
        let chunk = format!(
            "local room = prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{room}'); \
             local occupant = room:get_occupant_by_nick('{room}/firstwitch'); return occupant and occupant.role or 'gone'"
        );
        eventually(&format!("firstwitch is {role} at {index}"), || async {
            Ok(server.eval(&chunk).await?.as_str() == Some(role))
        })
        .await?;
    }
    Ok(())
}

/// Voice, kicks and bans by somebody at the source, at one of the homes, and at neither.
async fn roles_and_removals_are_of_all_clients(fed: &Federation) -> Result<()> {
    let [crone, witch, faust] = company(fed, "fen", &[]).await?;
    let rivals = [
        Person::joins(fed, 1, "hecate", "fen", "hecate").await?,
        Person::joins(fed, 2, "mephisto", "fen", "mephisto").await?,
    ];
    for rival in &rivals {
        crone
            .set_affiliation(&crone.room, rival.bare_jid(), "admin")
            .await?;
    }
    let mut away = abroad(fed, "fen").await?;
    let bystanders = [&crone, &faust, &rivals[0], &rivals[1]];
    for (round, judge) in [&crone, &rivals[0], &rivals[1]].into_iter().enumerate() {
        quiet(fed, &bystanders).await?;
        let both = [&witch, &away];
        judge.set_role(&judge.room, "firstwitch", "visitor").await?;
        is_role(fed, "fen", "visitor").await?;
        quiet(fed, &bystanders).await?;
        for client in both {
            let id = client.sends("<body>mute</body>").await?;
            client
                .expect("forbidden", |s| {
                    s.attr("type") == Some("error") && s.attr("id") == Some(&*id)
                })
                .await?;
        }
        judge.set_role(&judge.room, "firstwitch", "participant").await?;
        is_role(fed, "fen", "participant").await?;
        drained(fed, &bystanders).await?;
        drained(fed, &both).await?;
        judge.kick(&judge.room, "firstwitch").await?;
        for client in both {
            let is_it = from(&client.room, "firstwitch");
            let gone = client
                .expect("the kick", |s| is_it(s) && s.attr("type") == Some("unavailable"))
                .await?;
            ensure!(code_list(&gone).contains(&307), "{}", to_string(&gone));
        }
        gathered(fed, "fen", &["faust", "firstcrone", "hecate", "mephisto"]).await?;
        quiet(fed, &bystanders).await?;
        for person in bystanders {
            let is_it = from(&person.room, "firstwitch");
            let gone: Vec<Element> = person.take_all()?.into_iter().filter(|s| is_it(s)).collect();
            let left = gone.iter().filter(|s| s.attr("type") == Some("unavailable"));
            let left: Vec<_> = left.collect();
            ensure!(left.len() == 1, "round {round}: {} saw {gone:?}", person.nick);
            ensure!(code_list(left[0]).contains(&307), "{}", to_string(left[0]));
            ensure!(Item::of(left[0]).is_some_and(|item| item.role == "none"));
        }
        witch.join(&witch.room, "firstwitch").await?;
        quiet(fed, &bystanders).await?;
        away.joined = away.join(&away.room, "firstwitch").await?;
    }
    crone
        .set_affiliation(&crone.room, "somewitch@macbeth.lit", "outcast")
        .await?;
    for client in [&witch, &away] {
        let is_it = from(&client.room, "firstwitch");
        let gone = client
            .expect("the ban", |s| is_it(s) && s.attr("type") == Some("unavailable"))
            .await?;
        ensure!(code_list(&gone).contains(&301), "{}", to_string(&gone));
    }
    gathered(fed, "fen", &["faust", "firstcrone", "hecate", "mephisto"]).await
}

/// The service of one instance says that somebody is a moderator; the same person joins another instance, by which that
/// service is not believed.
async fn nobody_becomes_a_moderator_by_another_services_word(fed: &Federation) -> Result<()> {
    let crone = Person::founds(fed, "glen", &[]).await?;
    let away = abroad(fed, "glen").await?;
    gathered(fed, "glen", &["firstcrone", "firstwitch"]).await?;
    crone.set_role(&crone.room, "firstwitch", "moderator").await?;
    is_role(fed, "glen", "moderator").await?;
    let witch = Person::joins(fed, 1, "somewitch", "glen", "firstwitch").await?;
    let item = Item::of(&witch.joined.self_presence).context("an item")?;
    ensure!(item.role == "participant", "{item:?}");
    quiet(fed, &[&crone, &away, &witch]).await
}

/// A trusted service named the person, and is not trusted any more; the other home may not name it either. What is for the
/// person alone goes to neither, and who sends it learns that.
async fn whom_no_home_may_name_gets_nothing_private(fed: &Federation) -> Result<()> {
    let trusting = |trust: &str| {
        format!(
            "{{ '{}', ['{}'] = {{ trusted = {trust} }} }}",
            fed[1].muc(),
            fed[2].muc()
        )
    };
    // Where some peers are trusted and others are not, a new room would not have its name everywhere.
    let crone = Person::founds(fed, "weald", &[]).await?;
    configure(fed, &trusting("true")).await?;
    let homes = [
        Person::joins(fed, 1, "somewitch", "weald", "firstwitch").await?,
        Person::joins(fed, 2, "drfaust", "weald", "faust").await?,
    ];
    gathered(fed, "weald", &["faust", "firstcrone", "firstwitch"]).await?;
    let mut hags = Vec::new();
    for home in &homes {
        let client = fed[0].client("hag66", &format!("weald-{}", home.server)).await?;
        client.join(&home.room, "hag").await?;
        gathered(fed, "weald", &["faust", "firstcrone", "firstwitch", "hag"]).await?;
        hags.push(client);
    }
    let vouched = |wanted: usize| {
        let rooms = homes.each_ref().map(|home| home.room.clone());
        let chunk = ASKED.replace("MUC", fed[0].muc()).replace("ROOM", &crone.room);
        let chunk = chunk.replace("HOMES", &format!("'{}', '{}'", rooms[0], rooms[1]));
        async move {
            eventually(&format!("{wanted} homes may name the hag"), || async {
                Ok(fed[0].eval(&chunk).await?.as_u64() == Some(wanted as u64))
            })
            .await
        }
    };
    vouched(1).await?;
    configure(fed, &trusting("false")).await?;
    vouched(0).await?;
    crone.sync().await?;
    crone.take_all()?;
    let is_refused = async |stanza: &str| -> Result<()> {
        let id = crone.send_xml(stanza).await?;
        let is_it = |s: &Element| s.attr("id") == Some(&*id) && s.attr("type") == Some("error");
        let error = crone.expect("an error", is_it).await?;
        ensure!(
            error_condition(&error).as_deref() == Some("item-not-found"),
            "{}",
            to_string(&error)
        );
        Ok(())
    };
    let hag = crone.sees("hag");
    for payload in [
        "<query xmlns='jabber:iq:version'/>",
        "<vCard xmlns='vcard-temp'/>",
    ] {
        is_refused(&format!("<iq type='get' to='{hag}'>{payload}</iq>")).await?;
    }
    is_refused(&format!(
        "<message type='chat' to='{hag}'><body>Between us</body></message>"
    ))
    .await?;
    quiet(fed, &[&crone, &homes[0], &homes[1]]).await?;
    for client in &hags {
        client.sync().await?;
        let stray = client.drain_matching(|s| s.name() != "presence" && to_string(s).contains("firstcrone"));
        ensure!(stray.is_empty(), "{stray:?}");
    }
    Ok(())
}

/// Whom the first service peers with from now on.
async fn configure(fed: &Federation, peers: &str) -> Result<()> {
    let muc = fed[0].muc();
    fed[0]
        .eval(&format!(
            "require 'core.configmanager'.set('{muc}', 'dmuc_peers', {peers}) return true"
        ))
        .await?;
    fed[0].reload_module(muc, "dmuc").await
}

/// How many homes of the hag are vouched for.
const ASKED: &str = r#"
local instances, dmuc = prosody.hosts['MUC'].modules.dmuc.instances;
for i = 1, 9 do
	local name, value = debug.getupvalue(instances, i);
	if name == "dmuc" then dmuc = value; end
end
local count = 0;
for _, home in ipairs { HOMES } do
	if dmuc.ask("is_vouched_for", "ROOM", home, "hag") then count = count + 1; end
end
return count
"#;

async fn persons(version: Version, storage: Storage) -> Result<()> {
    let fed = three("persons", version, storage)
        .muc_line(VISITS)
        .start()
        .await?;
    a_second_client_elsewhere_is_the_same_occupant(&fed).await?;
    a_change_of_nick_is_that_clients(&fed).await?;
    roles_and_removals_are_of_all_clients(&fed).await?;
    nobody_becomes_a_moderator_by_another_services_word(&fed).await?;
    whom_no_home_may_name_gets_nothing_private(&fed).await?;
    fed.finish().await
}

on_every_version! {
    fn one_person_at_two_instances_is_one_occupant(version, storage) {
        persons(version, storage).await
    }
}
