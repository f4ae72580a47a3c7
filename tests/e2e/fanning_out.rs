//! What a room tells many is text that they share, and whoever has a part in how it gets to one of them sees what they always do:
//! hooks, filters, modules that send in Prosody's place, stream management (XEP-0198), client state (XEP-0352).

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Client, Element, Federation, Version, on_every_version, to_string};

use crate::stage::{CLIENT, DELAY};
use crate::support::eventually;

const ROOM: &str = "coven@chat.shakespeare.lit";
const MARK: &str = "urn:x:mark";
const SM: &str = "urn:xmpp:sm:3";

/// A distributed room with these people besides crone, and nobody elsewhere.
async fn company(label: &str, version: Version, users: &[&str]) -> Result<(Federation, Client, Vec<Client>)> {
    let fed = Federation::builder()
        .servers(1)
        .label(label)
        .version(version)
        .dmuc(true)
        .with_server(0, |spec| {
            spec.peers = false;
            spec.modules.extend(["csi", "csi_simple"].map(str::to_owned));
        })
        .start()
        .await?;
    let crone = fed[0].client("crone1", "desktop").await?;
    crone
        .create_room(ROOM, "crone", &[("muc#roomconfig_distributed", "1")])
        .await?;
    let chunk = format!("return prosody.hosts['chat.shakespeare.lit'].modules.dmuc.role('{ROOM}') or ''");
    eventually("the room is distributed", || async {
        Ok(fed[0].eval(&chunk).await? == "source")
    })
    .await?;
    let mut people = Vec::new();
    for user in users {
        let client = fed[0].client(user, "mobile").await?;
        client.join(ROOM, user).await?;
        people.push(client);
    }
    Ok((fed, crone, people))
}

async fn says(crone: &Client, text: &str) -> Result<()> {
    let body = format!("<message type='groupchat' to='{ROOM}'><body>{text}</body></message>");
    crone.send_xml(&body).await.map(drop)
}

async fn shows(crone: &Client, text: &str) -> Result<()> {
    let presence = format!("<presence to='{ROOM}/crone'><status>{text}</status></presence>");
    crone.send_xml(&presence).await.map(drop)
}

fn has(stanza: &Element, text: &str) -> bool {
    ["body", "status"].iter().any(|name| {
        stanza
            .get_child(name, CLIENT)
            .is_some_and(|child| child.text() == text)
    })
}

fn marks(stanza: &Element) -> Vec<&str> {
    let marks = stanza.children().filter(|child| child.is("mark", MARK));
    marks.filter_map(|mark| mark.attr("by")).collect()
}

/// Each of these users' sessions has another module that meddles: a filter, one that drops, a hook, and one that sends in
/// Prosody's place. What they see is counted.
fn meddlers() -> String {
    format!(
        "local st, filters = require 'util.stanza', require 'util.filters'; \
         seen = {{ hook = {{}}, bytes = 0, sent = 0 }}; \
         local function session(user) return prosody.full_sessions[user..'@shakespeare.lit/mobile']; end; \
         local function mark(stanza, by) return st.clone(stanza):tag('mark', {{ xmlns = '{MARK}'; by = by }}):up(); end; \
         filters.add_filter(session 'filtered', 'stanzas/out', function (stanza) return mark(stanza, 'filter'); end, -5); \
         filters.add_filter(session 'filtered', 'bytes/out', function (data) \
             if type(data) == 'string' and data:find('brew', 1, true) then seen.bytes = seen.bytes + 1; end; return data; end); \
         filters.add_filter(session 'deaf', 'stanzas/out', function (stanza) \
             if not stanza:get_child_text('body') and not stanza:get_child_text('status') then return stanza; end; end); \
         local wrapped = session 'wrapped'; local send = wrapped.send; \
         wrapped.send = function (stanza) \
             if not st.is_stanza(stanza) or stanza.name == 'iq' then return send(stanza); end; \
             seen.sent = seen.sent + 1; return send(mark(stanza, 'wrapper')); end; \
         for _, kind in ipairs {{ 'message', 'presence' }} do \
             prosody.hosts['shakespeare.lit'].events.add_handler(kind..'/full', function (event) \
                 local to = event.stanza.attr.to; assert(st.is_stanza(event.stanza) and event.origin.host == 'chat.shakespeare.lit'); \
                 seen.hook[kind..' '..to] = (seen.hook[kind..' '..to] or 0) + 1; \
                 if to:find('hooked', 1, true) then event.stanza = mark(event.stanza, 'hook'); end; \
             end, 5); \
         end; \
         return true"
    )
}

async fn meddled(version: Version) -> Result<()> {
    let users = [
        "witch1", "filtered", "hooked", "deaf", "wrapped", "witch2", "witch3",
    ];
    let (fed, crone, people) = company("fan-out", version, &users).await?;
    // Once before, so that everything is in place when others begin to meddle, and once more after it.
    says(&crone, "round about").await?;
    for person in &people {
        person.expect_body("round about").await?;
    }
    fed[0].eval(&meddlers()).await?;
    for text in ["brew one", "brew &lt;two&gt;", "brew three"] {
        says(&crone, text).await?;
        shows(&crone, text).await?;
    }
    for text in ["brew one", "brew <two>", "brew three"] {
        for (user, person) in users.iter().zip(&people) {
            let wanted: &[&str] = match *user {
                "filtered" => &["filter"],
                "hooked" => &["hook"],
                "wrapped" => &["wrapper"],
                "deaf" => continue,
                _ => &[],
            };
            for name in ["message", "presence"] {
                let seen = person
                    .expect(&format!("{name} {text}"), |s| s.is(name, CLIENT) && has(s, text))
                    .await?;
                assert_eq!(marks(&seen), wanted, "{user}: {}", to_string(&seen));
                assert_eq!(seen.attr("to"), Some(person.jid()));
                assert_eq!(seen.attr("from"), Some(&*format!("{ROOM}/crone")));
            }
        }
    }
    for person in &people {
        person.sync().await?;
        let more = person.drain_matching(|s| ["brew one", "brew three"].iter().any(|text| has(s, text)));
        assert!(more.is_empty(), "{}: {more:?}", person.jid());
    }
    let seen = fed[0].eval("return seen").await?;
    assert_eq!((&seen["bytes"], &seen["sent"]), (&6.into(), &6.into()), "{seen}");
    for user in users {
        for kind in ["message", "presence"] {
            assert_eq!(
                seen["hook"][format!("{kind} {user}@shakespeare.lit/mobile")],
                3,
                "{seen}"
            );
        }
    }
    // Nothing of ours stays in a session; what others have put around it works.
    fed[0].unload_module("chat.shakespeare.lit", "dmuc").await?;
    let chunk = "local session = prosody.full_sessions['witch1@shakespeare.lit/mobile']; \
                 return { debug.getinfo(session.send, 'S').source, #(session.filters['stanzas/out'] or {}) }";
    let left = fed[0].eval(chunk).await?;
    assert!(
        left[0]
            .as_str()
            .is_some_and(|file| file.ends_with("core/sessionmanager.lua")),
        "{left}"
    );
    assert_eq!(left[1], 1, "the testbed's own: {left}");
    says(&crone, "brew four").await?;
    for person in [&people[0], &people[4]] {
        person.expect_body("brew four").await?;
    }
    fed.finish().await
}

async fn resumed(version: Version) -> Result<()> {
    let users = ["witch1", "sleeper", "witch2"];
    let (fed, crone, mut people) = company("fan-sm", version, &users).await?;
    let sleeper = people.remove(1);
    let enable = format!("<enable xmlns='{SM}' resume='true'/>");
    sleeper.send_xml(&enable).await?;
    let enabled = sleeper.expect("enabled", |s| s.is("enabled", SM)).await?;
    let id = enabled.attr("id").context("no id")?.to_owned();
    // Heard and acknowledged, heard and not acknowledged, never heard.
    says(&crone, "fillet of a fenny snake").await?;
    sleeper.expect_body("fillet of a fenny snake").await?;
    says(&crone, "in the cauldron").await?;
    shows(&crone, "boil and bake").await?;
    sleeper
        .expect("boil and bake", |s| has(s, "boil and bake"))
        .await?;
    sleeper.abort().await?;
    let asleep = "local session = prosody.full_sessions['sleeper@shakespeare.lit/mobile']; \
                  return session and session.hibernating ~= nil or false";
    eventually("the session hibernates", || async {
        Ok(fed[0].eval(asleep).await? == true)
    })
    .await?;
    says(&crone, "eye of newt").await?;
    shows(&crone, "toe of frog").await?;
    for person in &people {
        person.expect("toe of frog", |s| has(s, "toe of frog")).await?;
    }
    let sleeper = fed[0].resume_client("sleeper", "mobile", &id, 1).await?;
    for text in ["in the cauldron", "boil and bake", "eye of newt", "toe of frog"] {
        let seen = sleeper.expect(text, |s| has(s, text)).await?;
        assert_eq!(seen.attr("to"), Some("sleeper@shakespeare.lit/mobile"));
        ensure!(seen.get_child("delay", DELAY).is_some(), "{}", to_string(&seen));
    }
    // And what comes over the new stream.
    says(&crone, "wool of bat").await?;
    shows(&crone, "tongue of dog").await?;
    sleeper.expect_body("wool of bat").await?;
    sleeper
        .expect("tongue of dog", |s| has(s, "tongue of dog"))
        .await?;
    sleeper.sync().await?;
    let more = sleeper.drain_matching(|s| s.is("message", CLIENT));
    assert!(more.is_empty(), "twice: {more:?}");
    sleeper.send_xml(&format!("<r xmlns='{SM}'/>")).await?;
    sleeper.expect("an answer", |s| s.is("a", SM)).await?;
    fed.finish().await
}

async fn idle(version: Version) -> Result<()> {
    let users = ["witch1", "idler", "witch2"];
    let (fed, crone, people) = company("fan-csi", version, &users).await?;
    let idler = &people[1];
    idler.send_xml("<inactive xmlns='urn:xmpp:csi:0'/>").await?;
    let state = "return tostring(prosody.full_sessions['idler@shakespeare.lit/mobile'].state)";
    eventually("it is inactive", || async {
        Ok(fed[0].eval(state).await? == "inactive")
    })
    .await?;
    // A presence can wait, a message cannot.
    shows(&crone, "adder's fork").await?;
    for person in [&people[0], &people[2]] {
        let seen = person.expect("adder's fork", |s| has(s, "adder's fork")).await?;
        assert!(seen.get_child("delay", DELAY).is_none(), "{}", to_string(&seen));
    }
    assert!(!idler.peek().iter().any(|s| has(s, "adder's fork")));
    says(&crone, "blind-worm's sting").await?;
    let seen = idler.expect("adder's fork", |s| has(s, "adder's fork")).await?;
    ensure!(seen.get_child("delay", DELAY).is_some(), "{}", to_string(&seen));
    let seen = idler.expect_body("blind-worm's sting").await?;
    ensure!(seen.get_child("delay", DELAY).is_none(), "{}", to_string(&seen));
    idler.send_xml("<active xmlns='urn:xmpp:csi:0'/>").await?;
    shows(&crone, "lizard's leg").await?;
    idler.expect("lizard's leg", |s| has(s, "lizard's leg")).await?;
    fed.finish().await
}

on_every_version! {
    fn whoever_has_a_part_in_sending_sees_every_stanza(version) {
        meddled(version).await
    }

    fn a_resumed_stream_has_everything_once(version) {
        resumed(version).await
    }

    fn an_idle_client_gets_what_can_wait_later(version) {
        idle(version).await
    }
}
