//! Private messages are decided by the sender's home; what the addressee's home refuses comes back as it would in any room.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Element, Federation, Storage, Version, body, error_condition, on_every_version};

use crate::stage::{CLIENT, Person, company, quiet, raise};

/// A module that refuses private messages whose text names this server, each in the way the text says.
async fn refuse_at(fed: &Federation, server: usize) -> Result<()> {
    let muc = fed[server].muc();
    let chunk = format!(
        "local st, async = require 'util.stanza', require 'util.async' \
         prosody.hosts['{muc}'].events.add_handler('muc-private-message', function (event) \
           local how = (event.stanza:get_child_text('body') or ''):match('^(%a+) at {server}') \
           if not how then return; end \
           if how == 'late' then \
             local wait, done = async.waiter(); \
             require 'util.timer'.add_task(0.1, done); wait(); \
           end \
           if how == 'silent' then return false; end \
           local reply = st.error_reply(event.stanza, 'cancel', 'policy-violation', 'Not here', event.room.jid); \
           if how == 'direct' then event.origin.send(reply); \
           else event.room:route_to_occupant(event.room:get_occupant_by_nick(event.stanza.attr.from), reply); end \
           return false; \
         end, 1); return true"
    );
    fed[server].eval(&chunk).await?;
    Ok(())
}

/// The answer to a private message, if it is an error.
async fn whisper(from: &Person, to: &Person, text: &str) -> Result<Option<Element>> {
    let id = from.say_privately(&from.room, &to.nick, text).await?;
    let is_refusal = |s: &Element| s.attr("type") == Some("error") && s.attr("id") == Some(&*id);
    tokio::select! {
        heard = to.expect_body(text) => heard.map(|_| None),
        error = from.expect("a refusal", is_refusal) => error.map(Some),
    }
}

async fn what_the_addressees_home_refuses_comes_back(fed: &Federation, people: &[Person; 3]) -> Result<()> {
    for server in 0..3 {
        refuse_at(fed, server).await?;
    }
    for how in ["routed", "direct", "late"] {
        for from in people {
            for to in people.iter().filter(|to| to.nick != from.nick) {
                let text = format!("{how} at {}", to.server);
                let error = whisper(from, to, &text).await?.context("it was let through")?;
                assert_eq!(error.attr("from"), Some(&*from.sees(&to.nick)));
                assert_eq!(error.attr("to"), Some(from.jid()));
                assert_eq!(error_condition(&error).as_deref(), Some("policy-violation"));
                let child = error.get_child("error", CLIENT).context("an error")?;
                assert_eq!(child.attr("type"), Some("cancel"));
                assert_eq!(child.attr("by"), Some(&*from.room));
                ensure!(dmuc_testbed::to_string(child).contains("Not here"), "{child:?}");
                assert_eq!(error.children().count(), 1, "{error:?}");
            }
        }
    }
    // Refused without a word, as some modules do: nobody hears anything. What follows arrives.
    let [_, witch, faust] = people;
    witch
        .say_privately(&witch.room, &faust.nick, "silent at 2")
        .await?;
    ensure!(whisper(witch, faust, "and this").await?.is_none());
    quiet(fed, &people.each_ref()).await?;
    for person in people {
        let all = person.take_all()?;
        ensure!(
            all.iter()
                .all(|s| body(s).is_none() && s.attr("type") != Some("error")),
            "{all:?}"
        );
    }
    Ok(())
}

/// What members may do they may everywhere, whether or not the addressee's instance knows who they are. Who is a guest of
/// an instance whose word is not believed about them is a member all the same.
async fn members_whisper(fed: &Federation, people: &[Person; 3]) -> Result<()> {
    let [crone, witch, faust] = people;
    let guest = Person {
        client: fed[2].client("goethe", "coven-goethe").await?,
        server: 1,
        room: witch.room.clone(),
        nick: "goethe".into(),
        joined: witch.joined.clone(),
    };
    for member in [witch, faust, &guest] {
        crone
            .set_affiliation(&crone.room, member.bare_jid(), "member")
            .await?;
    }
    quiet(fed, &people.each_ref()).await?;
    guest.join(&guest.room, "goethe").await?;
    let all = [crone, witch, faust, &guest];
    for who in ["affiliated", "visitor", "affiliated"] {
        crone
            .configure_room(&crone.room, &[("muc#roomconfig_allowpm", who)])
            .await?;
        quiet(fed, &all).await?;
        for from in all {
            for to in all.iter().filter(|to| to.nick != from.nick) {
                let text = format!("{} whispers to {} ({who})", from.nick, to.nick);
                let error = whisper(from, to, &text).await?;
                ensure!(error.is_none(), "{text}: {error:?}");
            }
        }
    }
    Ok(())
}

async fn refusals(version: Version, storage: Storage) -> Result<()> {
    let fed = raise("private-refusals", version, storage).await?;
    let people = company(&fed, "coven", &[]).await?;
    what_the_addressees_home_refuses_comes_back(&fed, &people).await?;
    // Prosody 0.12 has no such setting.
    if !version.is_0_12() {
        members_whisper(&fed, &people).await?;
    }
    fed.finish().await
}

on_every_version! {
    fn private_messages_are_decided_at_home_and_refusals_come_back(version, storage) {
        refusals(version, storage).await
    }
}
