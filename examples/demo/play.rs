//! The performance: the same scenes on distributed and on plain rooms, everything awaited and counted.

mod split;
mod succession;

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Client, Element, Federation, Joined, LinkCount};

use crate::cast::{COMPANY, CREATOR, LATECOMER, LEAVERS, Line, Person, STRAY, Side, TALK, WHISPER};
use crate::tally::{Cost, Tally, Way, by_server};
use crate::terminal::Terminal;

const CLIENT: &str = "jabber:client";
const ROOM: &str = "coven";
const ALL: [Side; 3] = [0, 1, 2];

/// Somebody in the room.
struct Actor {
    person: Person,
    client: Client,
    /// The room it joined.
    room: String,
}

impl Actor {
    /// The occupant JID of a nick as this actor sees it.
    fn sees(&self, nick: &str) -> String {
        format!("{}/{nick}", self.room)
    }
}

/// Where something is booked.
type Book = fn(&mut Tally) -> &mut Cost;

/// One performance on one federation.
pub struct Play<'a> {
    fed: &'a Federation,
    is_distributed: bool,
    terminal: Terminal,
    actors: Vec<Actor>,
    tally: Tally,
}

impl<'a> Play<'a> {
    pub fn new(fed: &'a Federation, is_distributed: bool, terminal: Terminal) -> Play<'a> {
        Play {
            fed,
            is_distributed,
            terminal,
            actors: Vec::new(),
            tally: Tally::default(),
        }
    }

    pub fn tally(&self) -> Tally {
        self.tally.clone()
    }

    pub async fn perform(&mut self) -> Result<()> {
        self.introduce();
        self.open_links().await.context("opening the links")?;
        self.create().await.context("creating the room")?;
        self.gather().await.context("joining")?;
        self.stray()
            .await
            .context("joining the source from macbeth.lit")?;
        self.talk().await.context("talking")?;
        self.whisper().await.context("a private message")?;
        self.come_late().await.context("joining late")?;
        if self.is_distributed {
            self.split().await.context("a broken link")?;
        }
        self.part().await.context("leaving")?;
        if self.is_distributed {
            self.outlive_the_host().await.context("a host that dies")?;
        }
        Ok(())
    }

    /// The room that people of a server join.
    fn room_at(&self, side: Side) -> String {
        self.fed[if self.is_distributed { side } else { 0 }].room(ROOM)
    }

    fn actor(&self, nick: &str) -> Result<&Actor> {
        self.actors
            .iter()
            .find(|actor| actor.person.nick == nick)
            .with_context(|| format!("{nick} is not in the room"))
    }

    fn place(&self, side: Side) -> &str {
        place(self.fed, side)
    }

    fn introduce(&self) {
        let t = self.terminal;
        t.act("Three servers");
        for server in self.fed.servers() {
            t.tell(&format!(
                "{:<16} users at {:<17} rooms at {}",
                server.address().to_string(),
                server.domain(),
                server.muc()
            ));
        }
        t.quiet_line("real Prosodys, TLS between them, certificates of a CA made just now, checked");
    }

    /// Opens every connection between the servers: what waits for one is queued as text and escapes the counters.
    async fn open_links(&self) -> Result<()> {
        for from in self.fed.servers() {
            for to in self
                .fed
                .servers()
                .iter()
                .filter(|to| to.domain() != from.domain())
            {
                for (a, b) in [
                    (from.domain(), to.domain()),
                    (from.domain(), to.muc()),
                    (from.muc(), to.domain()),
                    (from.muc(), to.muc()),
                ] {
                    from.eval(&format!("return ping_host({a:?}, {b:?}, 30)")).await?;
                }
            }
        }
        Ok(())
    }

    /// XEP-0281 sections 3.1 to 3.3.
    async fn create(&mut self) -> Result<()> {
        let t = self.terminal;
        let source = self.room_at(0);
        self.fed.reset_stats().await?;
        t.act("A room is created, and replicated");
        let client = self.fed[0].client(CREATOR.user, CREATOR.resource).await?;
        let mut form = vec![
            ("muc#roomconfig_roomname", "A Dark Cave"),
            ("muc#roomconfig_publicroom", "1"),
            ("muc#roomconfig_persistentroom", "1"),
        ];
        if self.is_distributed {
            form.push(("muc#roomconfig_distributed", "1"));
        }
        t.tell(&format!("{}@shakespeare.lit creates {source}", CREATOR.user));
        t.tell("and answers \"Distribute Room Across Multiple Services?\" with yes.");
        client.create_room(&source, CREATOR.nick, &form).await?;
        self.actors.push(Actor {
            person: CREATOR,
            client,
            room: source.clone(),
        });
        if self.is_distributed {
            for server in &self.fed.servers()[1..] {
                let wanted = format!("{source}: {} has an instance", server.muc());
                self.fed[0].wait_for_log(&wanted).await?;
                t.tell(&format!(
                    "{} replicates it as {}",
                    server.muc(),
                    server.room(ROOM)
                ));
            }
            self.agree_on_voters().await?;
            self.replicated().await?;
            self.counted(1, Some(|tally| &mut tally.setup)).await?;
            self.find().await?;
        }
        Ok(())
    }

    /// XEP-0281 section 3.3: shadows are found where one is.
    async fn find(&self) -> Result<()> {
        let source = self.room_at(0);
        for server in &self.fed.servers()[1..] {
            let client = self
                .fed
                .by_host(server.domain())?
                .client("browser", "demo")
                .await?;
            let shadow = server.room(ROOM);
            let items = client.disco_items(server.muc()).await?;
            let item = items.children().find(|item| item.attr("jid") == Some(&*shadow));
            let item = item.with_context(|| format!("{} does not list {shadow}", server.muc()))?;
            let name = item.attr("name").unwrap_or_default();
            ensure!(name == "A Dark Cave", "{shadow} is called {name:?}");
            let info = client.disco_info(&shadow).await?;
            let found = form_value(&info, "dmuc-source");
            ensure!(found.as_deref() == Some(&*source), "dmuc-source is {found:?}");
            client.close().await?;
        }
        self.terminal
            .tell("Whoever browses the rooms of rooms.macbeth.lit or conference.marlowe.lit finds");
        self.terminal
            .tell(&format!("\"A Dark Cave\" there, with dmuc-source = {source}."));
        Ok(())
    }

    /// XEP-0281 section 3.4.
    async fn gather(&mut self) -> Result<()> {
        self.terminal
            .act("Everybody joins the instance of their own server");
        for person in COMPANY {
            self.fed.reset_stats().await?;
            let client = self.fed[person.side].client(person.user, person.resource).await?;
            let room = self.room_at(person.side);
            self.enter(person, client, &room).await?;
            self.counted(1, Some(|tally| &mut tally.joins)).await?;
        }
        Ok(())
    }

    /// Those at some servers.
    fn at(&self, sides: &[Side]) -> impl Iterator<Item = &Actor> {
        let is_there = |actor: &&Actor| sides.contains(&actor.person.side);
        self.actors.iter().filter(is_there)
    }

    /// Joins, and awaits that everybody notices.
    async fn enter(&mut self, person: Person, client: Client, room: &str) -> Result<Joined> {
        self.enter_before(person, client, room, &ALL, &[]).await
    }

    /// Joins, and awaits that everybody at some servers notices. Sees everybody but the `unknown`.
    async fn enter_before(
        &mut self,
        person: Person,
        client: Client,
        room: &str,
        sides: &[Side],
        unknown: &[&str],
    ) -> Result<Joined> {
        let joined = client.join(room, person.nick).await?;
        let mut seen = joined.nicks();
        seen.sort();
        let mut there: Vec<&str> = self.actors.iter().map(|actor| actor.person.nick).collect();
        there.retain(|nick| !unknown.contains(nick));
        there.sort_unstable();
        ensure!(seen == there, "{} sees {seen:?}, not {there:?}", person.nick);
        for other in self.at(sides) {
            let wanted = other.sees(person.nick);
            let what = format!("the presence of {wanted}");
            let is_it = |s: &Element| s.is("presence", CLIENT) && s.attr("from") == Some(&*wanted);
            other.client.expect(&what, is_it).await?;
        }
        self.terminal.tell(&format!(
            "{}@{} joins {room} as {}",
            person.user,
            self.fed[person.side].domain(),
            person.nick
        ));
        self.actors.push(Actor {
            person,
            client,
            room: room.to_owned(),
        });
        Ok(joined)
    }

    /// Somebody has only ever heard of the source. Her own server lets her in under that address: no client knows how to follow the
    /// redirect of XEP-0281 section 3.5.
    async fn stray(&mut self) -> Result<()> {
        let t = self.terminal;
        let source = self.room_at(0);
        self.fed.reset_stats().await?;
        t.act("One knows only the address of the source");
        let client = self.fed[STRAY.side].client(STRAY.user, STRAY.resource).await?;
        self.enter(STRAY, client, &source).await?;
        if self.is_distributed {
            t.tell("and keeps that address, though her own server serves her:");
            let links = by_server(self.fed, &self.fed.stats().await?)?;
            let told = links
                .get(&(0, STRAY.side))
                .map_or(0, |link| link.presence.stanzas);
            ensure!(told == 0, "the source told {} of {told} people", STRAY.nick);
        }
        self.counted(1, Some(|tally| &mut tally.joins)).await
    }

    /// XEP-0281 section 3.6.
    async fn talk(&mut self) -> Result<()> {
        let t = self.terminal;
        t.act("They talk");
        self.fed.reset_stats().await?;
        let (mut last_id, mut last_stanza_id) = (BTreeMap::new(), String::new());
        for line in TALK {
            let (nick, xml) = match line {
                Line::Says(nick, text) => {
                    t.quote(nick, self.place_of(nick)?, text);
                    (nick, format!("<body>{text}</body>"))
                }
                Line::Corrects(nick, text) => {
                    t.quote(nick, self.place_of(nick)?, &format!("(corrects) {text}"));
                    let id = last_id.get(nick).context("nothing to correct")?;
                    let replace = format!("<replace xmlns='urn:xmpp:message-correct:0' id='{id}'/>");
                    (nick, format!("<body>{text}</body>{replace}"))
                }
                Line::Reacts(nick, reaction, told) => {
                    t.quote(nick, self.place_of(nick)?, &format!("(reacts with {told})"));
                    let xmlns = "urn:xmpp:reactions:0";
                    let reactions = format!("<reaction>{reaction}</reaction>");
                    (
                        nick,
                        format!("<reactions xmlns='{xmlns}' id='{last_stanza_id}'>{reactions}</reactions>"),
                    )
                }
            };
            let (id, stanza_id) = self.say(nick, &xml, &ALL).await?;
            last_id.insert(nick, id);
            last_stanza_id = stanza_id;
        }
        let seen = self.actors.len();
        t.plain("");
        t.tell(&format!(
            "{} messages, each seen once by all {seen}, with the same id and",
            TALK.len()
        ));
        t.tell("stanza-id on every server: corrections and reactions find their target.");
        self.counted(TALK.len() as u64, Some(|tally| &mut tally.messages))
            .await?;
        self.nothing_more_came().await
    }

    fn place_of(&self, nick: &str) -> Result<&str> {
        Ok(self.place(self.actor(nick)?.person.side))
    }

    /// Sends a message and awaits it at some servers. Returns its id and its stanza-id.
    async fn say(&self, nick: &str, payload: &str, sides: &[Side]) -> Result<(String, String)> {
        let actor = self.actor(nick)?;
        let xml = format!(
            "<message type='groupchat' to='{}'>{payload}</message>",
            actor.room
        );
        let id = actor.client.send_xml(&xml).await?;
        // What the archives do not keep, a reaction for example, has a stanza-id nowhere.
        let mut shared: Option<Option<String>> = None;
        for other in self.at(sides) {
            let from = other.sees(nick);
            let what = format!("{id} from {from}");
            let is_it = |s: &Element| s.attr("from") == Some(&*from) && s.attr("id") == Some(&*id);
            let message = other.client.expect(&what, is_it).await?;
            let stanza_id = stanza_id(&message, &other.room);
            let first = shared.get_or_insert_with(|| stanza_id.clone());
            ensure!(
                !self.is_distributed || *first == stanza_id,
                "{what} is {stanza_id:?} here and {first:?} elsewhere"
            );
        }
        Ok((id, shared.flatten().unwrap_or_default()))
    }

    /// No message of the conversation came twice. After the counting, since this asks over the links.
    async fn nothing_more_came(&self) -> Result<()> {
        self.fed.settle(1).await?;
        for actor in &self.actors {
            actor.client.sync().await?;
            let more = actor.client.drain_matching(|s| s.is("message", CLIENT));
            let more = more.iter().filter(|m| dmuc_testbed::body(m).is_some()).count();
            ensure!(more == 0, "{} got {more} more messages", actor.person.nick);
        }
        Ok(())
    }

    async fn whisper(&mut self) -> Result<()> {
        let (from, to, text) = WHISPER;
        self.terminal.act("A private message");
        self.fed.reset_stats().await?;
        let (sender, target) = (self.actor(from)?, self.actor(to)?);
        sender.client.say_privately(&sender.room, to, text).await?;
        let message = target.client.expect_body(text).await?;
        let (seen, wanted) = (message.attr("from"), target.sees(from));
        ensure!(seen == Some(&*wanted), "it comes from {seen:?}");
        let place = self.place(sender.person.side);
        self.terminal
            .quote(from, place, &format!("(to {to} only) {text}"));
        self.counted(1, None).await
    }

    async fn come_late(&mut self) -> Result<()> {
        self.terminal.act("Somebody comes late, and reads what was said");
        let client = self.fed[LATECOMER.side]
            .client(LATECOMER.user, LATECOMER.resource)
            .await?;
        self.fed.reset_stats().await?;
        let room = self.room_at(LATECOMER.side);
        let history = self.enter(LATECOMER, client, &room).await?.history.len();
        ensure!(history >= TALK.len() - 1, "{history} messages of history");
        self.terminal.tell(&format!(
            "and gets {history} messages of history from the own server."
        ));
        self.counted(1, Some(|tally| &mut tally.joins)).await
    }

    async fn part(&mut self) -> Result<()> {
        self.terminal.act("Some leave");
        self.fed.reset_stats().await?;
        for nick in LEAVERS {
            self.leave(nick, &ALL).await?;
        }
        self.counted(0, None).await
    }

    /// Leaves, and awaits that everybody at some servers notices.
    async fn leave(&mut self, nick: &str, sides: &[Side]) -> Result<()> {
        let at = self
            .actors
            .iter()
            .position(|actor| actor.person.nick == nick)
            .with_context(|| format!("{nick} is not in the room"))?;
        let leaver = self.actors.remove(at);
        leaver.client.leave(&leaver.room, nick).await?;
        for other in self.at(sides) {
            let wanted = other.sees(nick);
            let what = format!("{wanted} leaving");
            let is_it =
                |s: &Element| s.attr("from") == Some(&*wanted) && s.attr("type") == Some("unavailable");
            other.client.expect(&what, is_it).await?;
        }
        leaver.client.close().await?;
        let place = self.place(leaver.person.side);
        self.terminal.tell(&format!("{nick} ({place}) leaves."));
        Ok(())
    }

    /// Tells what crossed the links since the counters were reset, and books it.
    async fn counted(&mut self, events: u64, book: Option<Book>) -> Result<()> {
        let links = by_server(self.fed, &self.fed.stats().await?)?;
        tell_links(self.terminal, self.fed, &links);
        if let Some(book) = book {
            book(&mut self.tally).add(events, &links);
        }
        Ok(())
    }

    /// Waits until every instance knows of all others and nothing crosses the links any more.
    async fn replicated(&self) -> Result<()> {
        let end = tokio::time::Instant::now() + dmuc_testbed::deadline();
        let all = self.fed.servers().len() * (self.fed.servers().len() - 1);
        let mut last = None;
        loop {
            let mut known = 0;
            for server in self.fed.servers() {
                let (muc, room) = (server.muc(), server.room(ROOM));
                let chunk = format!("return prosody.hosts['{muc}'].modules.dmuc.instances('{room}')");
                known += server.eval(&chunk).await?.as_array().map_or(0, Vec::len);
            }
            let crossed = self.fed.stats().await?.total();
            if known == all && last == Some(crossed) {
                return Ok(());
            }
            last = Some(crossed);
            let is_late = tokio::time::Instant::now() >= end;
            ensure!(!is_late, "the instances know {known} others, not {all}");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
}

/// The short name of a server.
fn place(fed: &Federation, side: Side) -> &str {
    fed[side].domain().trim_end_matches(".lit")
}

fn tell_links(terminal: Terminal, fed: &Federation, links: &BTreeMap<Way, LinkCount>) {
    if links.values().all(|link| link.total().stanzas == 0) {
        terminal.quiet_line("  | nothing crossed a link");
    }
    // What had only heartbeats is not told.
    for ((from, to), link) in links.iter().filter(|(_, link)| link.total().stanzas > 0) {
        let kinds = [
            (link.presence.stanzas, "presence"),
            (link.message.stanzas, "message"),
            (link.iq.stanzas, "iq"),
        ];
        let kinds: Vec<String> = kinds
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, kind)| format!("{count} {kind}{}", if *count == 1 { "" } else { "s" }))
            .collect();
        let way = format!("{} -> {}", place(fed, *from), place(fed, *to));
        let bytes = link.total().bytes;
        terminal.quiet_line(&format!(
            "  | {way:<24} {:<30} {bytes:>6} bytes",
            kinds.join(", ")
        ));
    }
}

fn form_value(query: &Element, var: &str) -> Option<String> {
    let forms = query.children().filter(|c| c.is("x", "jabber:x:data"));
    let mut fields = forms.flat_map(Element::children);
    let field = fields.find(|field| field.attr("var") == Some(var))?;
    Some(field.children().find(|c| c.name() == "value")?.text())
}

fn stanza_id(message: &Element, by: &str) -> Option<String> {
    let mut ids = message.children().filter(|c| c.is("stanza-id", "urn:xmpp:sid:0"));
    Some(ids.find(|id| id.attr("by") == Some(by))?.attr("id")?.to_owned())
}
