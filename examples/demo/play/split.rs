//! A link breaks while they talk, and heals: between the source and one shadow. The other shadow reaches both.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use dmuc::wire::datetime;
use dmuc_testbed::{Element, Joined, body, error_condition, scaled, to_string};

use super::{ALL, Actor, CLIENT, Play, stanza_id};
use crate::cast::{APART, COME_APART, LEAVE_APART, LOST_WHISPER, READERS, SUBJECT, Side, Speech, UNNOTICED};

/// The source's server, and those of the shadow that is cut off from it and of the one that is not.
const SOURCE: Side = 0;
const SHADOW: Side = 1;
const THIRD: Side = 2;
const DELAY: &str = "urn:xmpp:delay";
const MUC_USER: &str = "http://jabber.org/protocol/muc#user";
/// A link is probed after 2, 4, 8 … s and some jitter.
const PATIENCE: Duration = Duration::from_secs(30);

/// Something that one side said and the other missed.
struct Missed {
    nick: &'static str,
    text: &'static str,
    side: Side,
    /// Before it was sent, and when all who could had heard it (Unix ms).
    between: (i64, i64),
}

/// The side that does not reach this one.
fn other(side: Side) -> Side {
    SOURCE + SHADOW - side
}

#[allow(
    clippy::disallowed_methods,
    reason = "this is no engine, and real servers have real clocks"
)]
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}

/// The text of a child of a presence.
fn child(presence: &Element, name: &str) -> Option<String> {
    presence.get_child(name, CLIENT).map(Element::text)
}

fn is_subject(stanza: &Element, text: &str) -> bool {
    stanza.is("message", CLIENT) && child(stanza, "subject").as_deref() == Some(text)
}

/// When the room says that something was said.
fn stamp(message: &Element, room: &str) -> Option<String> {
    let mut delays = message.children().filter(|c| c.is("delay", DELAY));
    let delay = delays.find(|delay| delay.attr("from") == Some(room))?;
    delay.attr("stamp").map(str::to_owned)
}

/// The time of day of a stamp.
fn time_of_day(stamp: &str) -> &str {
    stamp.get(11..19).unwrap_or(stamp)
}

/// Nick, text, time and stanza-id of each message of a history.
fn lines(joined: &Joined, room: &str) -> Result<Vec<[String; 4]>> {
    let line = |message: &Element| {
        let nick = message.attr("from").and_then(|from| from.split_once('/'));
        let (_, nick) = nick.context("no nick")?;
        let text = body(message).unwrap_or_default();
        let stamp = stamp(message, room).context("no time")?;
        let id = stanza_id(message, room).context("no stanza-id")?;
        anyhow::Ok([nick.to_owned(), text, stamp, id])
    };
    joined.history.iter().map(line).collect()
}

impl Actor {
    /// What arrived since the split began to heal, without taking it.
    fn since(&self, mark: usize) -> Vec<Element> {
        self.client
            .with_transcript(|all| all.iter().skip(mark).cloned().collect())
    }

    /// Waits for a text that the room itself says.
    async fn is_told(&self, text: &str) -> Result<()> {
        self.is_told_like(text, text).await.map(drop)
    }

    /// Waits for a line of the room that begins and ends so; returns it.
    async fn is_told_like(&self, beginning: &str, end: &str) -> Result<String> {
        let is_like = |text: String| text.starts_with(beginning) && text.ends_with(end);
        let is_it = |s: &Element| s.attr("from") == Some(&*self.room) && body(s).is_some_and(is_like);
        let patience = scaled(PATIENCE);
        let message = self.client.expect_within(beginning, patience, is_it).await?;
        Ok(body(&message).unwrap_or_default())
    }
}

impl Play<'_> {
    /// The two sides of a broken link become one again.
    pub(super) async fn split(&mut self) -> Result<()> {
        self.endow().await.context("making an owner")?;
        let mut missed = self.break_link().await.context("breaking it")?;
        self.live_apart(&mut missed).await.context("apart")?;
        self.heal(&missed).await.context("healing")?;
        self.compare(&missed).await.context("comparing histories")?;
        self.nothing_more_came().await
    }

    fn service(&self, side: Side) -> &str {
        self.fed[side].muc()
    }

    /// Somebody at the shadow may decide something, too.
    async fn endow(&self) -> Result<()> {
        let owner = self.actor(SUBJECT.0)?;
        let creator = self.actors.first().context("nobody is here")?;
        creator
            .client
            .set_affiliation(&creator.room, owner.client.bare_jid(), "owner")
            .await?;
        for actor in &self.actors {
            let from = actor.sees(SUBJECT.0);
            let is_it = |s: &Element| {
                let item = s
                    .get_child("x", MUC_USER)
                    .and_then(|x| x.get_child("item", MUC_USER));
                let affiliation = item.and_then(|item| item.attr("affiliation"));
                s.attr("from") == Some(&*from) && affiliation == Some("owner")
            };
            actor.client.expect("an owner", is_it).await?;
        }
        Ok(())
    }

    async fn break_link(&self) -> Result<Vec<Missed>> {
        let t = self.terminal;
        t.act("A link breaks while they talk");
        t.tell("Nothing passes between shakespeare.lit, which has the source, and macbeth.lit;");
        t.tell("marlowe.lit reaches both. At first nobody knows.");
        self.fed.link(SOURCE, SHADOW).cut().await;
        let mut missed = Vec::new();
        for speech in UNNOTICED {
            self.is_said(speech, &mut missed).await?;
        }
        t.plain("");
        for side in [SOURCE, SHADOW] {
            let away = other(side);
            let count = self.at(&[away]).count();
            // Between the two stands why, where that side has found out.
            let beginning = format!("The connection to {} is interrupted: ", self.service(away));
            let end = format!("{count} occupants there cannot be reached until it is back.");
            let mut text = String::new();
            for actor in self.at(&[side]) {
                text = actor.is_told_like(&beginning, &end).await?;
                self.sees_away(actor, away).await?;
            }
            t.quote("the room", self.place(side), &text);
        }
        t.tell("Everybody on either side is told so, and sees those of the other side, who");
        t.tell("stay, as extended away: \"Out of reach: the connection to ... is interrupted\".");
        Ok(missed)
    }

    /// Waits until those at a server are shown as out of reach.
    async fn sees_away(&self, actor: &Actor, away: Side) -> Result<()> {
        let why = format!(
            "Out of reach: the connection to {} is interrupted",
            self.service(away)
        );
        for lost in self.at(&[away]) {
            let from = actor.sees(lost.person.nick);
            let is_it = |s: &Element| {
                s.is("presence", CLIENT)
                    && s.attr("from") == Some(&*from)
                    && child(s, "show").as_deref() == Some("xa")
                    && child(s, "status").as_deref() == Some(&*why)
            };
            actor
                .client
                .expect(&format!("{from} out of reach"), is_it)
                .await?;
        }
        Ok(())
    }

    /// Says something that is heard wherever it can be.
    async fn is_said(&self, speech: Speech, missed: &mut Vec<Missed>) -> Result<()> {
        let (nick, text) = speech;
        let side = self.actor(nick)?.person.side;
        self.terminal.quote(nick, self.place(side), text);
        let reached: &[Side] = match side {
            THIRD => &ALL,
            _ => &[side, THIRD],
        };
        let before = now_ms();
        self.say(nick, &format!("<body>{text}</body>"), reached).await?;
        if side != THIRD {
            missed.push(Missed {
                nick,
                text,
                side,
                between: (before, now_ms()),
            });
        }
        Ok(())
    }

    async fn live_apart(&mut self, missed: &mut Vec<Missed>) -> Result<()> {
        let t = self.terminal;
        t.act("Both sides go on");
        for speech in APART {
            self.is_said(speech, missed).await?;
        }
        self.third_notices_nothing().await?;
        t.plain("");
        t.tell("Each side hears itself and marlowe, at once. marlowe hears both, and nobody");
        t.tell("there is shown as out of reach.");
        t.plain("");
        let mut unknown = Vec::new();
        for person in COME_APART {
            let client = self.fed[person.side].client(person.user, person.resource).await?;
            let room = self.room_at(person.side);
            let reached = [person.side, THIRD];
            self.enter_before(person, client, &room, &reached, &unknown)
                .await?;
            unknown.push(person.nick);
        }
        for nick in LEAVE_APART {
            let reached = [self.actor(nick)?.person.side, THIRD];
            self.leave(nick, &reached).await?;
        }
        t.plain("");
        self.set_subject().await.context("a subject at the shadow")?;
        self.whisper_in_vain().await.context("a private message")
    }

    /// For who reaches both sides there is no split.
    async fn third_notices_nothing(&self) -> Result<()> {
        for actor in self.at(&[THIRD]) {
            actor.client.sync().await?;
            for stanza in actor.client.peek() {
                let is_away = child(&stanza, "show").is_some();
                let is_told = stanza.attr("from") == Some(&*actor.room) && body(&stanza).is_some();
                ensure!(
                    !is_away && !is_told,
                    "{} got {}",
                    actor.person.nick,
                    to_string(&stanza)
                );
            }
        }
        Ok(())
    }

    /// An owner at the shadow decides something: it holds there until the source can be asked.
    async fn set_subject(&self) -> Result<()> {
        let (nick, text) = SUBJECT;
        let owner = self.actor(nick)?;
        owner.client.set_subject(&owner.room, text).await?;
        for actor in self.at(&[SHADOW]) {
            actor.client.expect(text, |s| is_subject(s, text)).await?;
        }
        for actor in self.at(&[SOURCE, THIRD]) {
            actor.client.sync().await?;
            let is_known = actor.client.peek().iter().any(|s| is_subject(s, text));
            ensure!(!is_known, "{} knows of it", actor.person.nick);
        }
        let place = self.place(SHADOW);
        self.terminal
            .quote(nick, place, &format!("(sets the subject) {text}"));
        self.terminal
            .tell("It holds at macbeth, until the source can be asked.");
        Ok(())
    }

    async fn whisper_in_vain(&self) -> Result<()> {
        let (from, to, text) = LOST_WHISPER;
        let sender = self.actor(from)?;
        let id = sender.client.say_privately(&sender.room, to, text).await?;
        let is_it = |s: &Element| s.is("message", CLIENT) && s.attr("id") == Some(&*id);
        let at_once = scaled(Duration::from_secs(1));
        let answer = sender.client.expect_within("the error", at_once, is_it).await?;
        let condition = error_condition(&answer);
        ensure!(
            answer.attr("from") == Some(&*sender.sees(to))
                && condition.as_deref() == Some("remote-server-not-found"),
            "{}",
            to_string(&answer)
        );
        let place = self.place(sender.person.side);
        self.terminal
            .quote(from, place, &format!("(to {to} only) {text}"));
        self.terminal
            .tell("It comes back at once, with the error remote-server-not-found.");
        Ok(())
    }

    async fn heal(&self, missed: &[Missed]) -> Result<()> {
        let t = self.terminal;
        t.act("The link heals, and the two sides become one");
        for actor in &self.actors {
            actor.client.drain_matching(|s| s.is("presence", CLIENT));
            actor.client.keep_transcript();
        }
        let marks: Vec<usize> = self.actors.iter().map(|actor| actor.since(0).len()).collect();
        self.fed.reset_stats().await?;
        self.fed.link(SOURCE, SHADOW).heal().await;
        for side in [SOURCE, SHADOW] {
            let text = format!("The connection to {} is back.", self.service(other(side)));
            for actor in self.at(&[side]) {
                actor.is_told(&text).await?;
            }
            t.quote("the room", self.place(side), &text);
        }
        for side in [SOURCE, SHADOW] {
            let expected: Vec<&Missed> = missed.iter().filter(|missed| missed.side != side).collect();
            let mut shown = Vec::new();
            for (actor, mark) in self.actors.iter().zip(&marks) {
                if actor.person.side == side {
                    shown = self.catches_up(actor, *mark, &expected).await?;
                    self.sees_everybody(actor, *mark).await?;
                }
            }
            t.plain("");
            t.tell(&format!(
                "What {} had missed, as everybody there is shown it now:",
                self.place(side)
            ));
            for (missed, stamp) in expected.iter().zip(&shown) {
                t.quote(missed.nick, time_of_day(stamp), missed.text);
            }
        }
        let (nick, text) = SUBJECT;
        for actor in self.at(&[SOURCE, THIRD]) {
            actor
                .client
                .expect(text, |s| {
                    is_subject(s, text) && s.attr("from") == Some(&*actor.sees(nick))
                })
                .await?;
        }
        t.plain("");
        t.tell("Each once, in order, with the time when it was said. Nobody is away any more.");
        for side in [SOURCE, SHADOW] {
            let (come, gone) = (COME_APART[other(side)].nick, LEAVE_APART[other(side)]);
            t.tell(&format!(
                "{} sees {come} come and {gone} leave.",
                self.place(side)
            ));
        }
        t.tell(&format!(
            "The source takes the subject: \"{text}\" is everybody's."
        ));
        t.tell("Since the link healed:");
        super::tell_links(
            t,
            self.fed,
            &super::by_server(self.fed, &self.fed.stats().await?)?,
        );
        t.quiet_line("  | and heartbeats: one a second here, between each two services");
        Ok(())
    }

    /// Waits until somebody has what was missed: each once, in order, with its time, and nothing else. Returns the times.
    async fn catches_up(&self, actor: &Actor, mark: usize, expected: &[&Missed]) -> Result<Vec<String>> {
        let is_late = |s: &&Element| body(s).is_some() && stamp(s, &actor.room).is_some();
        let what = format!("{} has {} missed messages", actor.person.nick, expected.len());
        actor
            .client
            .until(&what, scaled(PATIENCE), |all| {
                all.iter().skip(mark).filter(is_late).count() >= expected.len()
            })
            .await?;
        actor.client.sync().await?;
        let all = actor.since(mark);
        let late: Vec<&Element> = all.iter().filter(is_late).collect();
        ensure!(
            late.len() == expected.len(),
            "{} are shown to {}",
            late.len(),
            actor.person.nick
        );
        let mut stamps = Vec::new();
        for (message, missed) in late.into_iter().zip(expected) {
            let from = actor.sees(missed.nick);
            let stamp = stamp(message, &actor.room).context("no time")?;
            let at = datetime::parse(&stamp).context("a time that cannot be read")?;
            let (first, last) = missed.between;
            // A stamp may be cut off at the second.
            let is_then = at > first - 1000 && at <= last;
            ensure!(
                is_then
                    && message.attr("from") == Some(&*from)
                    && body(message).as_deref() == Some(missed.text),
                "{:?} of {from} was expected, between {first} and {last}: {}",
                missed.text,
                to_string(message)
            );
            actor.client.expect_body(missed.text).await?;
            stamps.push(stamp);
        }
        Ok(stamps)
    }

    /// Waits until nobody is away and who came is there. Nobody else has left and come back.
    async fn sees_everybody(&self, actor: &Actor, mark: usize) -> Result<()> {
        let away = other(actor.person.side);
        let there: BTreeSet<String> = self
            .at(&[away])
            .map(|found| actor.sees(found.person.nick))
            .collect();
        let what = format!("{} sees everybody", actor.person.nick);
        let wait = actor.client.until(&what, scaled(PATIENCE), |all| {
            let seen = all.iter().skip(mark).filter(|s| {
                s.is("presence", CLIENT) && s.attr("type").is_none() && child(s, "show").is_none()
            });
            let seen: BTreeSet<&str> = seen.filter_map(|s| s.attr("from")).collect();
            there.iter().all(|jid| seen.contains(&**jid))
        });
        wait.await?;
        let since = actor.since(mark);
        let gone = since.iter().filter(|s| s.attr("type") == Some("unavailable"));
        let gone: Vec<&str> = gone.filter_map(|s| s.attr("from")).collect();
        let expected = actor.sees(LEAVE_APART[away]);
        ensure!(gone == [&*expected], "{} sees {gone:?} leave", actor.person.nick);
        Ok(())
    }

    /// What somebody gets who joins now is the same on both sides.
    async fn compare(&mut self, missed: &[Missed]) -> Result<()> {
        let t = self.terminal;
        t.act("Somebody joins on each side, and they compare what they are given to read");
        let mut histories = Vec::new();
        for person in READERS {
            let client = self.fed[person.side].client(person.user, person.resource).await?;
            let room = self.room_at(person.side);
            let joined = self.enter(person, client, &room).await?;
            histories.push(lines(&joined, &room)?);
        }
        let [ours, theirs] = &histories[..] else {
            anyhow::bail!("two histories were expected");
        };
        ensure!(ours == theirs, "the histories differ: {histories:#?}");
        for missed in missed {
            let count = ours.iter().filter(|line| line[1] == missed.text).count();
            ensure!(count == 1, "{:?} is there {count} times", missed.text);
        }
        t.plain("");
        t.columns(self.place(SOURCE), self.place(SHADOW));
        let from = ours.iter().position(|line| line[1] == UNNOTICED[0].1);
        for (left, right) in ours.iter().zip(theirs).skip(from.unwrap_or(0)) {
            let cell =
                |[nick, text, stamp, _]: &[String; 4]| format!("{} {nick}: {text}", time_of_day(stamp));
            t.columns(&cell(left), &cell(right));
        }
        t.plain("");
        t.tell(&format!(
            "The last of {} messages: the same on both sides, in the same order, with the",
            ours.len()
        ));
        t.tell("same times and the same stanza-ids.");
        Ok(())
    }
}
