//! The host of the room dies, and the room goes on under another source.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{body, scaled};

use super::{Actor, CREATOR, Play, place};
use crate::cast::{AFTERWARDS, SUBJECT, Side};
use crate::tally::by_server;

/// How long a change of who decides may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// Longer than an instance waits before it says something again.
const QUIET: Duration = Duration::from_millis(2_500);

impl Play<'_> {
    /// The server that the room was made at is killed; the owner at a shadow goes on ruling; the old source comes back.
    pub(super) async fn outlive_the_host(&mut self) -> Result<()> {
        let t = self.terminal;
        t.act("The host of the room dies");
        let heir = self.actor(SUBJECT.0)?.person.side;
        self.fed[0].kill().await?;
        self.actors.retain(|actor| actor.person.side != 0);
        t.tell(&format!(
            "kill -9 at {}. All three vote: two of them are enough.",
            place(self.fed, 0)
        ));
        self.notices_that_it_is_gone(heir).await?;
        let room = self.room_at(heir);
        self.fed[heir]
            .shell(&format!("dmuc:take_over(\"{room}\")"))
            .await?;
        let line = self.decides(heir, heir).await?;
        t.tell(&format!("dmuc:take_over at {}: {line}", place(self.fed, heir)));
        self.rules_on(heir).await.context("under the new source")?;
        self.comes_back(heir).await.context("the old source")
    }

    /// Waits until all instances know who elects another source when there is none.
    pub(super) async fn agree_on_voters(&self) -> Result<()> {
        for (side, server) in self.fed.servers().iter().enumerate() {
            let command = format!("dmuc:room(\"{}\")", self.room_at(side));
            self.until(&format!("{command} says who votes"), || async {
                Ok(server.shell(&command).await?.has(&["any 2 of these 3"]))
            })
            .await?;
        }
        self.terminal
            .tell("When its host dies any two of the three may choose another.");
        // What they tell each other of that is no part of what is counted next.
        self.until("nothing but heartbeats crosses the links", || async {
            let before = self.crossed().await?;
            tokio::time::sleep(scaled(QUIET)).await;
            Ok(self.crossed().await? == before)
        })
        .await
    }

    async fn crossed(&self) -> Result<u64> {
        let links = by_server(self.fed, &self.fed.stats().await?)?;
        Ok(links.values().map(|link| link.total().stanzas).sum())
    }

    /// Waits until an administrator reads there that the source is out of reach.
    async fn notices_that_it_is_gone(&self, side: Side) -> Result<()> {
        let room = self.room_at(side);
        let command = format!("dmuc:room(\"{room}\")");
        self.until(&format!("{command} says that the source is gone"), || async {
            Ok(self.fed[side]
                .shell(&command)
                .await?
                .has(&["out of reach", "down"]))
        })
        .await
    }

    /// Waits until an instance follows the source at `heir`; the line that says so.
    async fn decides(&self, side: Side, heir: Side) -> Result<String> {
        let (room, source) = (self.room_at(side), self.room_at(heir));
        let command = format!("dmuc:room(\"{room}\")");
        let role = if side == heir { "source;" } else { "shadow;" };
        let waited = self
            .until(&format!("{room} follows {source}"), || async {
                let said = self.fed[side].shell(&command).await?;
                Ok(said.has(&["Role:", role, &format!("{source};")]))
            })
            .await;
        if waited.is_err() {
            let said = self.fed[side].shell(&command).await?;
            return waited.map(|()| String::new()).context(format!("{said:?}"));
        }
        Ok(format!("{source} decides now"))
    }

    async fn until<F: Future<Output = Result<bool>>>(&self, what: &str, is_so: impl Fn() -> F) -> Result<()> {
        let end = tokio::time::Instant::now() + scaled(PATIENCE);
        while !is_so().await? {
            ensure!(tokio::time::Instant::now() < end, "waited for: {what}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Who owns the room changes its name, and people talk, as ever.
    async fn rules_on(&self, heir: Side) -> Result<()> {
        let owner = self.actor(SUBJECT.0)?;
        let form = [("muc#roomconfig_roomname", AFTERWARDS.0)];
        owner.client.configure_room(&owner.room, &form).await?;
        self.terminal.tell(&format!(
            "{} ({}) calls the room \"{}\".",
            owner.person.nick,
            place(self.fed, heir),
            AFTERWARDS.0
        ));
        self.is_heard(SUBJECT.0, AFTERWARDS.1).await
    }

    /// Everybody in the room hears what somebody says.
    async fn is_heard(&self, nick: &str, text: &str) -> Result<()> {
        let speaker = self.actor(nick)?;
        speaker.client.say(&speaker.room, text).await?;
        for actor in &self.actors {
            let heard = |s: &dmuc_testbed::Element| body(s).as_deref() == Some(text);
            actor.client.expect(text, heard).await?;
        }
        let side = place(self.fed, speaker.person.side);
        self.terminal.tell(&format!("{nick} ({side}): {text}"));
        Ok(())
    }

    /// It finds by itself that it follows another one, and its people are in the room as before.
    async fn comes_back(&mut self, heir: Side) -> Result<()> {
        self.fed[0].start().await?;
        let line = self.decides(0, heir).await?;
        self.terminal.tell(&format!(
            "{} starts again, with what it had: its room is a shadow, {line}.",
            place(self.fed, 0)
        ));
        let client = self.fed[0].client(CREATOR.user, CREATOR.resource).await?;
        let room = self.room_at(0);
        client.join(&room, CREATOR.nick).await?;
        self.actors.push(Actor {
            person: CREATOR,
            client,
            room,
        });
        self.is_heard(CREATOR.nick, AFTERWARDS.2).await
    }
}
