//! One case in one place: a room, three people, and everything they got, made comparable.

use std::ops::Deref;
use std::sync::Mutex;

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Client, Element, Federation, Joined, error_condition, to_string};

use crate::stage::clean;
use crate::support::{eventually, instances};

/// Where the three people of a case join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// All in an ordinary room of one server: what XEP-0045 looks like there is what is expected elsewhere.
    Plain,
    /// All at the source of a distributed room.
    Source,
    /// All at one shadow.
    Shadow,
    /// The owner at the source, the others at one shadow each.
    Between,
    /// The owner at a shadow, the guest at the source, the third at the other shadow.
    Crossed,
}

impl Place {
    pub const ALL: [Place; 5] = [
        Place::Plain,
        Place::Source,
        Place::Shadow,
        Place::Between,
        Place::Crossed,
    ];

    /// The servers of owner, guest and third.
    fn servers(self) -> [usize; 3] {
        match self {
            Place::Plain | Place::Source => [0, 0, 0],
            Place::Shadow => [1, 1, 1],
            Place::Between => [0, 1, 2],
            Place::Crossed => [1, 0, 2],
        }
    }
}

/// A room for one case.
pub struct Scene<'a> {
    pub fed: &'a Federation,
    pub place: Place,
    name: String,
    /// What everybody got, filled in at the end.
    transcripts: Mutex<Vec<String>>,
}

/// The three people of a case.
pub struct Cast {
    pub owner: Actor,
    pub guest: Actor,
    pub third: Actor,
}

/// Somebody who may join, under the nick that is also the name.
pub struct Actor {
    client: Client,
    pub nick: &'static str,
    /// The instance this person uses.
    pub room: String,
    names: Names,
    answers: Mutex<Vec<String>>,
}

impl Deref for Actor {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.client
    }
}

impl<'a> Scene<'a> {
    pub fn new(fed: &'a Federation, place: Place, number: usize) -> Scene<'a> {
        Scene {
            fed,
            place,
            name: format!("{place:?}{number}").to_lowercase(),
            transcripts: Mutex::new(Vec::new()),
        }
    }

    /// Makes the room, which the owner of the case owns together with a founder who is not in it.
    async fn room(&self, config: &[(&str, &str)]) -> Result<Cast> {
        let mut all = vec![
            ("muc#roomconfig_roomname", "Conformance"),
            ("muc#roomconfig_persistentroom", "1"),
        ];
        if self.place != Place::Plain {
            all.push(("muc#roomconfig_distributed", "1"));
        }
        all.extend_from_slice(config);
        let cast = Cast {
            owner: self.actor("owner", 0).await?,
            guest: self.actor("guest", 1).await?,
            third: self.actor("third", 2).await?,
        };
        let room = self.fed[0].room(&self.name);
        let founder = self.fed[0].client(&format!("founder-{}", self.name), "f").await?;
        founder.create_room(&room, "founder", &all).await?;
        founder
            .set_affiliation(&room, cast.owner.bare_jid(), "owner")
            .await?;
        founder.leave(&room, "founder").await?;
        if self.place != Place::Plain {
            self.replicated(&cast).await?;
        }
        Ok(cast)
    }

    /// The room with nobody in it yet, for cases about how people come in.
    pub async fn empty(&self, config: &[(&str, &str)]) -> Result<Cast> {
        let cast = self.room(config).await?;
        for actor in cast.all() {
            actor.keep_transcript();
        }
        Ok(cast)
    }

    /// The room with everybody in it, who have seen each other. What they got on joining is not looked at.
    pub async fn cast(&self, config: &[(&str, &str)]) -> Result<Cast> {
        let cast = self.room(config).await?;
        for actor in cast.all() {
            actor.joins().await?;
        }
        self.settled(&cast).await?;
        for actor in cast.all() {
            actor.drain();
            actor.keep_transcript();
        }
        Ok(cast)
    }

    async fn replicated(&self, cast: &Cast) -> Result<()> {
        let owner = cast.owner.bare_jid();
        for (index, server) in self.fed.servers().iter().enumerate() {
            let (instance, muc) = (server.room(&self.name), server.muc());
            eventually(&format!("{instance} is there"), || async {
                let others = instances(self.fed, index, &instance).await?.len();
                if others + 1 < self.fed.servers().len() {
                    return Ok(false);
                }
                let chunk = format!(
                    "local room = prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{instance}'); \
                     return room and room:get_affiliation('{owner}') == 'owner' and not room:has_occupant() or false"
                );
                Ok(server.eval(&chunk).await?.as_bool() == Some(true))
            })
            .await?;
        }
        Ok(())
    }

    fn names(&self) -> Names {
        let servers = self.fed.servers().iter();
        Names {
            name: self.name.clone(),
            hosts: servers
                .map(|server| (server.domain().to_owned(), server.muc().to_owned()))
                .collect(),
        }
    }

    async fn actor(&self, name: &'static str, index: usize) -> Result<Actor> {
        let server = &self.fed[self.place.servers()[index]];
        Ok(Actor {
            client: server.client(&format!("{name}-{}", self.name), "client").await?,
            nick: name,
            room: server.room(&self.name),
            names: self.names(),
            answers: Mutex::default(),
        })
    }

    /// Another client of somebody.
    pub async fn second_client(&self, of: &Actor) -> Result<Actor> {
        let (user, domain) = of.bare_jid().split_once('@').context("a bare JID")?;
        let client = self.fed.by_host(domain)?.client(user, "second").await?;
        client.keep_transcript();
        Ok(Actor {
            client,
            nick: of.nick,
            room: of.room.clone(),
            names: self.names(),
            answers: Mutex::default(),
        })
    }

    /// Everything that anybody has sent is with everybody.
    pub async fn settled(&self, cast: &Cast) -> Result<()> {
        for actor in cast.all() {
            if !actor.is_closed() {
                actor.sync().await?;
            }
        }
        if self.place != Place::Plain {
            self.fed.settle(2).await?;
        }
        for actor in cast.all() {
            if !actor.is_closed() {
                actor.sync().await?;
            }
        }
        Ok(())
    }

    /// The end of a case: notes what everybody got.
    pub async fn ends(&self, cast: Cast) -> Result<()> {
        self.settled(&cast).await?;
        let mut all = Vec::new();
        for actor in cast.all() {
            let mut lines = actor
                .answers
                .lock()
                .map(|lines| lines.clone())
                .unwrap_or_default();
            for stanza in actor.transcript() {
                clean(&stanza)?;
                lines.push(actor.names.levelled(&stanza));
            }
            // What comes of one deed may come by two ways, in any order; what order matters the case has seen to. A presence
            // that says again what one said before is no news.
            lines.sort();
            lines.dedup_by(|line, before| line == before && line.starts_with("<presence"));
            all.extend(lines.into_iter().map(|line| format!("{}: {line}", actor.nick)));
        }
        if let Ok(mut transcripts) = self.transcripts.lock() {
            *transcripts = all;
        }
        Ok(())
    }

    /// The end of a case whose stanzas name what is different in each place, so that there is nothing to compare.
    pub async fn finished(&self, cast: Cast) -> Result<()> {
        self.settled(&cast).await?;
        for actor in cast.all() {
            actor.transcript().iter().try_for_each(clean)?;
        }
        Ok(())
    }

    pub fn transcript(self) -> Vec<String> {
        self.transcripts.into_inner().unwrap_or_default()
    }
}

/// What is called differently in different places.
#[derive(Clone)]
struct Names {
    name: String,
    /// Domains and MUC services.
    hosts: Vec<(String, String)>,
}

impl Names {
    /// A stanza as text in which names that differ between places, and ids that are made up, are the same.
    fn levelled(&self, stanza: &Element) -> String {
        let mut text = sorted(stanza, true);
        let name = &self.name;
        for (domain, _) in &self.hosts {
            for nick in ["owner", "guest", "third", "founder"] {
                text = text.replace(&format!("{nick}-{name}@{domain}"), &nick.to_uppercase());
            }
        }
        for (_, muc) in &self.hosts {
            text = text.replace(&format!("{name}@{muc}"), "ROOM").replace(muc, "MUC");
        }
        for (start, end) in [("<occupant-id", "/>"), (" id=\"", "\""), (" stamp=\"", "\"")] {
            let mut at = 0;
            while let Some(found) = text[at..].find(start) {
                let from = at + found + start.len();
                let Some(length) = text[from..].find(end) else {
                    break;
                };
                text.replace_range(from..from + length, "…");
                at = from;
            }
        }
        text
    }
}

/// An element as text in which the order of children, which Prosody's tables give in any, and the namespaces of names that
/// are unmistakable do not matter. Of the stanza itself, id and language are of its sender's making: a presence that is shown
/// again by another instance, or a message of the history, need not have them.
fn sorted(element: &Element, is_root: bool) -> String {
    let mut attributes: Vec<String> = element
        .attrs()
        .iter()
        .filter(|((_, name), _)| !is_root || !["id", "lang"].contains(&name.as_str()))
        .map(|((_, name), value)| format!(" {name}={value:?}"))
        .collect();
    attributes.sort();
    let mut content: Vec<String> = element
        .nodes()
        .map(|node| match node.as_element() {
            Some(child) => sorted(child, false),
            None => node.as_text().unwrap_or_default().to_owned(),
        })
        .collect();
    content.sort();
    let (name, attributes) = (element.name(), attributes.concat());
    match content.is_empty() {
        true => format!("<{name}{attributes}/>"),
        false => format!("<{name}{attributes}>{}</{name}>", content.concat()),
    }
}

/// What a presence says of its occupant, without real JID, actor and reason.
pub fn reduced(line: &str) -> String {
    let mut text = line.to_owned();
    for (start, end) in [(" jid=\"", "\""), ("<actor", "/>"), ("<reason>", "</reason>")] {
        while let Some(from) = text.find(start) {
            let after = from + start.len();
            let Some(length) = text[after..].find(end) else {
                break;
            };
            text.replace_range(from..after + length + end.len(), "");
        }
    }
    // An item that had an actor or a reason has no content now.
    text.replace("></item>", "/>")
}

impl Cast {
    pub fn all(&self) -> [&Actor; 3] {
        [&self.owner, &self.guest, &self.third]
    }
}

impl Actor {
    /// How this person sees an occupant.
    pub fn sees(&self, nick: &str) -> String {
        format!("{}/{nick}", self.room)
    }

    /// Joins under the own name.
    pub async fn joins(&self) -> Result<Joined> {
        self.client.join(&self.room, self.nick).await
    }

    /// Joins, or is refused with this condition.
    pub async fn is_refused(&self, nick: &str, x: &str, condition: &str) -> Result<Element> {
        let refused = self.client.join_with(&self.room, nick, x).await?;
        let error = refused.err().with_context(|| format!("{nick} is let in"))?;
        ensure!(error.condition == condition, "{condition}, not {error}");
        Ok(error.presence)
    }

    /// A presence of a nick, as it comes next.
    pub async fn sees_presence(
        &self,
        nick: &str,
        what: &str,
        wanted: impl Fn(&Element) -> bool,
    ) -> Result<Element> {
        let from = self.sees(nick);
        self.client
            .expect(&format!("{nick}: {what}"), |s| {
                s.name() == "presence" && s.attr("from") == Some(&*from) && wanted(s)
            })
            .await
    }

    pub async fn sees_here(&self, nick: &str) -> Result<Element> {
        self.sees_presence(nick, "available", |s| s.attr("type").is_none())
            .await
    }

    pub async fn sees_gone(&self, nick: &str) -> Result<Element> {
        self.sees_presence(nick, "unavailable", |s| s.attr("type") == Some("unavailable"))
            .await
    }

    /// A presence with these attributes in its item.
    pub async fn sees_as(&self, nick: &str, affiliation: &str, role: &str) -> Result<Element> {
        let is_it = |s: &Element| {
            let item = crate::stage::Item::of(s);
            item.is_some_and(|item| item.affiliation == affiliation && item.role == role)
        };
        self.sees_presence(nick, &format!("{affiliation}, {role}"), is_it)
            .await
    }

    /// As [`Actor::sees_as`], with this reason. What the home of an occupant says may come before what the source has
    /// decided, which has the reason.
    pub async fn sees_why(&self, nick: &str, affiliation: &str, role: &str, why: &str) -> Result<Element> {
        let is_it = |s: &Element| {
            let item = crate::stage::Item::of(s);
            item.is_some_and(|item| item.affiliation == affiliation && item.role == role)
                && crate::asking::reason(s).as_deref() == Some(why)
        };
        self.sees_presence(nick, &format!("{affiliation}, {role}: {why}"), is_it)
            .await
    }

    /// Asks, and notes the answer for the comparison, which is returned.
    pub async fn asks(&self, xml: &str) -> Result<Element> {
        let answer = self.client.iq_xml(xml).await?;
        let line = self.names.levelled(&answer);
        if let Ok(mut answers) = self.answers.lock() {
            answers.push(line);
        }
        Ok(answer)
    }

    /// An item of muc#admin, and whether it is taken.
    pub async fn administers(&self, item: &str) -> Result<Element> {
        self.asks(&format!(
            "<iq type='set' to='{}'><query xmlns='http://jabber.org/protocol/muc#admin'>{item}</query></iq>",
            self.room
        ))
        .await
    }

    /// An item of muc#admin that is taken.
    pub async fn grants(&self, item: &str) -> Result<()> {
        let answer = self.administers(item).await?;
        ensure!(answer.attr("type") == Some("result"), "{}", to_string(&answer));
        Ok(())
    }

    /// An item of muc#admin that is refused.
    pub async fn is_denied(&self, item: &str, condition: &str) -> Result<()> {
        let answer = self.administers(item).await?;
        let found = error_condition(&answer).unwrap_or_default();
        ensure!(found == condition, "{condition}, not {}", to_string(&answer));
        Ok(())
    }

    /// A list of muc#admin: what an item asks for.
    pub async fn lists(&self, item: &str) -> Result<Vec<Element>> {
        let answer = self
            .asks(&format!(
                "<iq type='get' to='{}'><query xmlns='http://jabber.org/protocol/muc#admin'>{item}</query></iq>",
                self.room
            ))
            .await?;
        let query = answer
            .get_child("query", "http://jabber.org/protocol/muc#admin")
            .with_context(|| to_string(&answer))?;
        Ok(query.children().cloned().collect())
    }

    /// Sends a message to the room.
    pub async fn sends(&self, children: &str) -> Result<String> {
        let to = &self.room;
        self.client
            .send_xml(&format!(
                "<message type='groupchat' to='{to}'>{children}</message>"
            ))
            .await
    }

    /// An error that answers the stanza with this id.
    pub async fn sees_error(&self, id: &str, condition: &str) -> Result<Element> {
        let error = self
            .client
            .expect(&format!("an error for {id}"), |s| {
                s.attr("type") == Some("error") && s.attr("id") == Some(id)
            })
            .await?;
        let found = error_condition(&error).unwrap_or_default();
        ensure!(found == condition, "{condition}, not {}", to_string(&error));
        Ok(error)
    }
}
