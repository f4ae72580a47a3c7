//! A room with one person at each of three servers, of whom everything is recorded that they see.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::ops::Deref;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Element, Federation, body, to_string};
use futures::future::join_all;
use tokio::time::Instant;

use super::evidence::{Line, saying};
use super::patience;
use crate::stage::{CLIENT, DELAY, Person, quiet, stanza_id};
use crate::support::nicks;

pub const USERS: [&str; 3] = ["crone1", "somewitch", "drfaust"];
pub const NICKS: [&str; 3] = ["firstcrone", "firstwitch", "faust"];
/// Everybody.
pub const ALL: [usize; 3] = [0, 1, 2];

/// Somebody whose every stanza is kept.
pub struct Witness {
    pub person: Person,
    user: String,
    said: Cell<u32>,
    /// Where the record begins in the transcript.
    mark: usize,
    /// The last item of the archive when the record began.
    pub since: Option<String>,
    /// Whether the record has no gap.
    pub is_witness: bool,
    /// How many items of the archive are asked for at once.
    pub page: usize,
    history: Vec<Line>,
    earlier: Vec<Line>,
    sessions: u32,
    /// Ids of stanzas that may fail.
    may_fail: RefCell<BTreeSet<String>>,
}

impl Deref for Witness {
    type Target = Person;
    fn deref(&self) -> &Person {
        &self.person
    }
}

impl Witness {
    fn of(person: Person, user: &str) -> Result<Witness> {
        let history = lines(&person.joined.history, &person.room)?;
        Ok(Witness {
            person,
            user: user.to_owned(),
            said: Cell::new(0),
            mark: 0,
            since: None,
            is_witness: true,
            page: 30,
            history,
            earlier: Vec::new(),
            sessions: 0,
            may_fail: RefCell::default(),
        })
    }

    /// What was seen live since the record began.
    pub fn live(&self) -> Result<Vec<Line>> {
        let room = &self.room;
        self.with_transcript(|all| lines(all.iter().skip(self.mark), room))
    }

    /// The history on joining this session, and what earlier sessions saw.
    pub fn before(&self) -> (Vec<Line>, Vec<Line>) {
        (self.history.clone(), self.earlier.clone())
    }

    /// An error in answer to this is none of the network kicking anybody.
    pub fn may_fail(&self, id: &str) {
        self.may_fail.borrow_mut().insert(id.to_owned());
    }

    /// The ids of what may fail.
    pub fn fallible(&self) -> BTreeSet<String> {
        self.may_fail.borrow().clone()
    }

    /// What this person's own messages were reflected as.
    pub fn reflected(&self) -> Result<Vec<String>> {
        let own = self.live()?.into_iter().filter(|line| line.nick == self.nick);
        Ok(own.map(|line| line.body).collect())
    }

    /// Begins the record anew.
    pub fn begin_again(&mut self, last_archived: Option<String>) {
        self.mark = self.with_transcript(<[Element]>::len);
        self.since = last_archived;
        self.is_witness = true;
        self.history.clear();
        self.earlier.clear();
    }

    /// Where the transcript is now.
    pub fn now(&self) -> usize {
        self.with_transcript(<[Element]>::len)
    }

    /// What came since, taking nothing.
    pub fn came_since(&self, mark: usize) -> Vec<Element> {
        self.with_transcript(|all| all.iter().skip(mark).cloned().collect())
    }

    /// The room's own lines: texts from the room itself, with how often.
    pub fn room_lines(&self) -> Vec<String> {
        self.with_transcript(|all| all.iter().filter_map(|s| room_line(s, &self.room)).collect())
    }

    /// What the room itself said other than at the ends of a split.
    pub fn other_room_lines(&self) -> Vec<String> {
        let mut lines = self.room_lines();
        lines.retain(|text| !text.starts_with("The connection to "));
        lines
    }

    /// Whether the last line about a service says that it is out of reach.
    fn is_split(&self, all: &[Element], service: &str) -> bool {
        let lines = all.iter().rev().filter_map(|s| room_line(s, &self.room));
        lines
            .filter_map(|text| match is_beginning(&text, service) {
                true => Some(true),
                false => is_end(&text, service).then_some(false),
            })
            .next()
            .unwrap_or(false)
    }

    /// Waits until the room has said that a service is out of reach.
    pub async fn sees_split(&self, service: &str) -> Result<()> {
        let what = format!("{service} is out of reach");
        self.until(&what, patience(), |all| self.is_split(all, service))
            .await
    }

    /// Waits until the room has said that a service is back, if it has said that it is away.
    pub async fn sees_end(&self, service: &str) -> Result<()> {
        let what = format!("{service} is back");
        self.until(&what, patience(), |all| !self.is_split(all, service))
            .await
    }
}

/// A text that the room itself says.
pub fn room_line(stanza: &Element, room: &str) -> Option<String> {
    let is_it = stanza.is("message", CLIENT)
        && stanza.attr("type") != Some("error")
        && stanza.attr("from") == Some(room);
    if is_it { body(stanza) } else { None }
}

/// The line at the beginning of a split.
pub fn is_beginning(text: &str, service: &str) -> bool {
    text.starts_with(&format!("The connection to {service} is interrupted: "))
        && text.ends_with("cannot be reached until it is back.")
}

/// The line at its end.
pub fn is_end(text: &str, service: &str) -> bool {
    text == format!("The connection to {service} is back.")
}

/// The messages of occupants among stanzas.
pub fn lines<'a>(stanzas: impl IntoIterator<Item = &'a Element>, room: &str) -> Result<Vec<Line>> {
    let mut found = Vec::new();
    for stanza in stanzas {
        if !stanza.is("message", CLIENT) || stanza.attr("type") != Some("groupchat") {
            continue;
        }
        let sender = stanza.attr("from").and_then(|from| from.split_once('/'));
        let (Some((from, nick)), Some(body)) = (sender, body(stanza)) else {
            continue;
        };
        if from != room {
            continue;
        }
        let delays: Vec<&Element> = stanza
            .children()
            .filter(|c| c.is("delay", DELAY) && c.attr("from") == Some(room))
            .collect();
        ensure!(delays.len() <= 1, "one delay by the room: {}", to_string(stanza));
        found.push(Line {
            nick: nick.to_owned(),
            body,
            id: stanza_id(stanza, room)?,
            message_id: stanza.attr("id").context("an id")?.to_owned(),
            delay: delays
                .first()
                .and_then(|delay| delay.attr("stamp"))
                .map(str::to_owned),
        });
    }
    Ok(found)
}

/// The room and its people.
pub struct Scene<'a> {
    pub fed: &'a Federation,
    pub name: String,
    pub people: Vec<Witness>,
}

impl<'a> Scene<'a> {
    /// The creator at the source and one person at each shadow, all of whom see each other.
    pub async fn opens(fed: &'a Federation, name: &str, config: &[(&str, &str)]) -> Result<Scene<'a>> {
        let mut all = vec![("muc#roomconfig_historylength", "500")];
        all.extend_from_slice(config);
        let crone = Person::founds(fed, name, &all).await?;
        crone.keep_transcript();
        let mut scene = Scene {
            fed,
            name: name.to_owned(),
            people: vec![Witness::of(crone, USERS[0])?],
        };
        for server in [1, 2] {
            let user = USERS[server];
            let person = scene.enters(server, user, name, NICKS[server]).await?;
            scene.people.push(person);
        }
        scene.all_here().await?;
        let people: Vec<&Person> = scene.people.iter().map(|w| &w.person).collect();
        quiet(fed, &people).await?;
        Ok(scene)
    }

    /// Somebody joins, recorded from the first stanza.
    pub async fn enters(&self, server: usize, user: &str, resource: &str, nick: &str) -> Result<Witness> {
        let client = self.fed[server].client(user, resource).await?;
        client.keep_transcript();
        let room = self.fed[server].room(&self.name);
        let joined = client.join(&room, nick).await?;
        let mut witness = Witness::of(
            Person {
                client,
                server,
                room,
                nick: joined.own_nick(),
                joined,
            },
            user,
        )?;
        // The subject ends the history; what comes behind it is live.
        witness.mark = witness.with_transcript(|all| {
            let end = all.iter().position(|s| *s == witness.joined.subject_message);
            end.map_or(0, |end| end + 1)
        });
        Ok(witness)
    }

    /// The same person, with a new connection: their server has been away.
    pub async fn returns(&mut self, who: usize) -> Result<()> {
        let old = &self.people[who];
        let sessions = old.sessions + 1;
        let resource = format!("{}-{sessions}", self.name);
        let mut back = self.enters(old.server, &old.user, &resource, &old.nick).await?;
        back.said.set(old.said.get());
        back.since = old.since.clone();
        back.is_witness = false;
        back.page = old.page;
        back.earlier = old.earlier.clone();
        back.earlier.extend(old.live()?);
        back.sessions = sessions;
        self.people[who] = back;
        Ok(())
    }

    /// Waits until every instance has exactly these people.
    pub async fn all_here(&self) -> Result<()> {
        let mut expected: Vec<&str> = self.people.iter().map(|w| &*w.nick).collect();
        expected.sort_unstable();
        let end = Instant::now() + patience();
        for (server, host) in self.fed.servers().iter().enumerate() {
            let room = host.room(&self.name);
            loop {
                let found = nicks(self.fed, server, &room).await?;
                if found == expected {
                    break;
                }
                ensure!(Instant::now() < end, "{room} has {found:?}, not {expected:?}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    /// A service's name.
    pub fn service(&self, server: usize) -> &str {
        self.fed[server].muc()
    }

    /// Says something without waiting for anything.
    pub async fn utters(&self, who: usize) -> Result<String> {
        let witness = &self.people[who];
        let n = witness.said.get() + 1;
        witness.said.set(n);
        let text = saying(&witness.user, n);
        witness.say(&witness.room, &text).await?;
        Ok(text)
    }

    /// Says so many things; returns when the last was reflected.
    pub async fn speaks(&self, who: usize, count: usize) -> Result<Vec<String>> {
        let mut said = Vec::new();
        for _ in 0..count {
            said.push(self.utters(who).await?);
        }
        self.hears(who, &said).await?;
        Ok(said)
    }

    /// All of them say so many things at the same time, and see them reflected.
    pub async fn talk(&self, who: &[usize], count: usize) -> Result<Vec<String>> {
        let said = join_all(who.iter().map(|who| self.speaks(*who, count))).await;
        let said: Result<Vec<Vec<String>>> = said.into_iter().collect();
        Ok(said?.concat())
    }

    /// Waits until somebody has seen all of this.
    pub async fn hears(&self, who: usize, bodies: &[String]) -> Result<()> {
        let witness = &self.people[who];
        let what = format!("{} has heard {} messages", witness.nick, bodies.len());
        let mut heard = BTreeSet::new();
        let mut looked_at = 0;
        let wait = witness.until(&what, patience(), |all| {
            heard.extend(all.iter().skip(looked_at).filter_map(body));
            looked_at = all.len();
            bodies.iter().all(|wanted| heard.contains(wanted))
        });
        wait.await
    }

    /// Waits until all of them have seen all of this.
    pub async fn hear(&self, who: &[usize], bodies: &[String]) -> Result<()> {
        for who in who {
            self.hears(*who, bodies).await?;
        }
        Ok(())
    }

    /// All of them talk, and everybody hears it: there is no split.
    pub async fn converse(&self, count: usize) -> Result<Vec<String>> {
        let all: Vec<usize> = (0..self.people.len()).collect();
        let said = self.talk(&all, count).await?;
        self.hear(&all, &said).await?;
        Ok(said)
    }

    /// Waits until the people at two servers were told of the split between them.
    pub async fn are_split(&self, a: usize, b: usize) -> Result<()> {
        for (at, of) in [(a, b), (b, a)] {
            self.people[at].sees_split(self.service(of)).await?;
        }
        Ok(())
    }

    /// Waits until the people at two servers were told of its end, if they were told of its beginning.
    pub async fn are_one(&self, a: usize, b: usize) -> Result<()> {
        for (at, of) in [(a, b), (b, a)] {
            self.people[at].sees_end(self.service(of)).await?;
        }
        Ok(())
    }

    /// Waits until a server is known to be cut off from the others, on all sides.
    pub async fn is_alone(&self, server: usize) -> Result<()> {
        for other in ALL.into_iter().filter(|other| *other != server) {
            self.are_split(server, other).await?;
        }
        Ok(())
    }

    /// Heals every link, and waits until everybody who was told of a split was told of its end.
    pub async fn heals(&self) -> Result<()> {
        self.fed.heal_all().await;
        self.are_whole().await
    }

    /// Waits until nobody is left in a split.
    pub async fn are_whole(&self) -> Result<()> {
        for a in ALL {
            for b in 0..a {
                self.are_one(a, b).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use dmuc_testbed::stanza;

    use super::*;

    const ROOM: &str = "coven@rooms.macbeth.lit";
    const SERVICE: &str = "chat.shakespeare.lit";

    fn message(from: &str, kind: &str, content: &str) -> Element {
        let xml = format!(
            "<message from='{from}' type='{kind}' id='m'>{content}<stanza-id xmlns='urn:xmpp:sid:0' by='{ROOM}' id='s'/></message>"
        );
        stanza(&xml).expect("a message")
    }

    #[test]
    fn lines_are_what_occupants_said_in_this_room_with_the_rooms_delay() {
        let ross = format!("{ROOM}/ross");
        let late = format!(
            "<body>b</body><delay xmlns='urn:xmpp:delay' from='{ROOM}' stamp='2026-07-30T10:20:30Z'/>"
        );
        let all = [
            message(
                &ross,
                "groupchat",
                "<body>a</body><delay xmlns='urn:xmpp:delay' from='other' stamp='x'/>",
            ),
            message(&ross, "groupchat", &late),
            message(&ross, "chat", "<body>whispered</body>"),
            message(ROOM, "groupchat", "<body>by the room</body>"),
            message(
                "heath@rooms.macbeth.lit/ross",
                "groupchat",
                "<body>elsewhere</body>",
            ),
            message(&ross, "groupchat", "<subject>no body</subject>"),
        ];
        let found = lines(&all, ROOM).expect("lines");
        let found: Vec<_> = found
            .iter()
            .map(|line| (&*line.body, line.delay.as_deref()))
            .collect();
        assert_eq!(found, [("a", None), ("b", Some("2026-07-30T10:20:30Z"))]);
        let bare = stanza(&format!(
            "<message from='{ross}' type='groupchat' id='m'><body>a</body></message>"
        ));
        assert!(
            lines(&[bare.expect("a message")], ROOM).is_err(),
            "without a stanza-id"
        );
        assert!(lines(&[message(&ross, "groupchat", &late.repeat(2))], ROOM).is_err());
    }

    #[test]
    fn the_lines_of_a_split_are_recognised_and_no_others() {
        let begins = format!(
            "The connection to {SERVICE} is interrupted: 2 occupants there cannot be reached until it is back."
        );
        let ends = format!("The connection to {SERVICE} is back.");
        assert!(is_beginning(&begins, SERVICE) && !is_end(&begins, SERVICE));
        assert!(is_end(&ends, SERVICE) && !is_beginning(&ends, SERVICE));
        assert!(!is_beginning(&begins, "shakespeare.lit") && !is_end(&ends, "shakespeare.lit"));
        let said = message(ROOM, "groupchat", &format!("<body>{ends}</body>"));
        assert_eq!(room_line(&said, ROOM), Some(ends.clone()));
        let forged = message(
            &format!("{ROOM}/ross"),
            "groupchat",
            &format!("<body>{ends}</body>"),
        );
        assert_eq!(room_line(&forged, ROOM), None);
    }
}
