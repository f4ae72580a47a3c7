//! Distributed rooms with people at every instance, several per federation, and what is asked of all of them.

use std::collections::BTreeMap;
use std::ops::Deref;

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Client, Element, Federation, Joined, Storage, Version, stanza, to_string};

use crate::support::{eventually, instances, nicks, three};

pub const CLIENT: &str = "jabber:client";
pub const MUC_USER: &str = "http://jabber.org/protocol/muc#user";
pub const STANZA_ID: &str = "urn:xmpp:sid:0";
pub const OCCUPANT_ID: &str = "urn:xmpp:occupant-id:0";
pub const DISCO_INFO: &str = "http://jabber.org/protocol/disco#info";
pub const DELAY: &str = "urn:xmpp:delay";

/// Three servers.
pub async fn raise(label: &str, version: Version, storage: Storage) -> Result<Federation> {
    three(label, version, storage).start().await
}

/// Somebody in a room.
pub struct Person {
    pub client: Client,
    pub server: usize,
    /// The instance this person joined.
    pub room: String,
    pub nick: String,
    /// What the room sent on joining.
    pub joined: Joined,
}

impl Deref for Person {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Person {
    /// Logs in; the resource is free in every room of a federation if the names of the rooms differ.
    pub async fn joins(
        fed: &Federation,
        server: usize,
        user: &str,
        name: &str,
        nick: &str,
    ) -> Result<Person> {
        let client = fed[server].client(user, &format!("{name}-{nick}")).await?;
        let room = fed[server].room(name);
        let joined = client.join(&room, nick).await?;
        Ok(Person {
            client,
            server,
            room,
            nick: nick.to_owned(),
            joined,
        })
    }

    /// crone1 creates a distributed room; returns when both shadows are there.
    pub async fn founds(fed: &Federation, name: &str, config: &[(&str, &str)]) -> Result<Person> {
        let client = fed[0].client("crone1", name).await?;
        let room = fed[0].room(name);
        let mut all = vec![("muc#roomconfig_distributed", "1")];
        all.extend_from_slice(config);
        let joined = client.create_room(&room, "firstcrone", &all).await?;
        for (index, server) in fed.servers().iter().enumerate() {
            let instance = server.room(name);
            eventually(&format!("{instance} knows the others"), || async {
                Ok(instances(fed, index, &instance).await?.len() == fed.servers().len() - 1)
            })
            .await?;
        }
        Ok(Person {
            client,
            server: 0,
            room,
            nick: "firstcrone".to_owned(),
            joined,
        })
    }

    /// Sends a groupchat message with these children; returns its id.
    pub async fn sends(&self, children: &str) -> Result<String> {
        let to = &self.room;
        self.send_xml(&format!(
            "<message type='groupchat' to='{to}'>{children}</message>"
        ))
        .await
    }

    /// How this person sees an occupant's in-room JID.
    pub fn sees(&self, nick: &str) -> String {
        format!("{}/{nick}", self.room)
    }

    /// The roster as this person's client has it: by nick, the last presence.
    pub fn roster(&self) -> BTreeMap<String, Item> {
        let mut roster = BTreeMap::new();
        let seen = self.joined.all.iter().cloned().chain(self.peek());
        for presence in seen.filter(|s| s.is("presence", CLIENT)) {
            let Some((room, nick)) = presence.attr("from").and_then(|from| from.split_once('/')) else {
                continue;
            };
            if room != self.room || presence.attr("type") == Some("error") {
                continue;
            }
            match Item::of(&presence) {
                Some(item) if presence.attr("type").is_none() => {
                    roster.insert(nick.to_owned(), item);
                }
                _ => {
                    roster.remove(nick);
                }
            }
        }
        roster
    }

    /// Everything that arrived, none of which may have anything of the servers' own dealings.
    pub fn take_all(&self) -> Result<Vec<Element>> {
        let all = self.drain();
        for stanza in &all {
            clean(stanza)?;
        }
        Ok(all)
    }
}

/// Nothing that servers tell each other reaches a client.
pub fn clean(stanza: &Element) -> Result<()> {
    fn is_clean(element: &Element) -> bool {
        !["urn:x-dmuc:0", "urn:xmpp:dmuc:0"].contains(&element.ns().as_str())
            && element.children().all(is_clean)
    }
    ensure!(is_clean(stanza), "ours, sent to a client: {}", to_string(stanza));
    Ok(())
}

/// What a presence says of its occupant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub affiliation: String,
    pub role: String,
    pub jid: Option<String>,
}

impl Item {
    pub fn new(affiliation: &str, role: &str, jid: Option<&str>) -> Item {
        Item {
            affiliation: affiliation.to_owned(),
            role: role.to_owned(),
            jid: jid.map(str::to_owned),
        }
    }

    pub fn of(presence: &Element) -> Option<Item> {
        let item = presence.get_child("x", MUC_USER)?.get_child("item", MUC_USER)?;
        Some(Item {
            affiliation: item.attr("affiliation")?.to_owned(),
            role: item.attr("role")?.to_owned(),
            jid: item.attr("jid").map(str::to_owned),
        })
    }
}

/// The creator and one person at each shadow, all of whom see each other, with empty inboxes.
pub async fn company(fed: &Federation, name: &str, config: &[(&str, &str)]) -> Result<[Person; 3]> {
    let crone = Person::founds(fed, name, config).await?;
    let witch = Person::joins(fed, 1, "somewitch", name, "firstwitch").await?;
    let faust = Person::joins(fed, 2, "drfaust", name, "faust").await?;
    gathered(fed, name, &["faust", "firstcrone", "firstwitch"]).await?;
    let people = [crone, witch, faust];
    quiet(fed, &people.each_ref()).await?;
    for person in &people {
        person.take_all()?;
    }
    Ok(people)
}

/// Waits until every instance has exactly these occupants (sorted).
pub async fn gathered(fed: &Federation, name: &str, expected: &[&str]) -> Result<()> {
    for (index, server) in fed.servers().iter().enumerate() {
        let room = server.room(name);
        eventually(&format!("{room} has {expected:?}"), || async {
            Ok(nicks(fed, index, &room).await? == expected)
        })
        .await?;
    }
    Ok(())
}

/// Waits until everything that was sent has arrived everywhere, so that what is not there now does not come, and what is
/// said next is taken as it comes.
pub async fn quiet(fed: &Federation, people: &[&Person]) -> Result<()> {
    fed.at_rest().await?;
    for person in people {
        person.sync().await?;
    }
    fed.settle(2).await?;
    for person in people {
        person.sync().await?;
    }
    Ok(())
}

/// What went from MUC service to MUC service over each link: messages and presences.
pub async fn traffic(fed: &Federation) -> Result<BTreeMap<(usize, usize), (u64, u64)>> {
    let stats = fed.stats().await?;
    let mut found = BTreeMap::new();
    for from in 0..fed.servers().len() {
        for to in (0..fed.servers().len()).filter(|to| *to != from) {
            let link = stats.link(fed[from].muc(), fed[to].muc());
            found.insert((from, to), (link.message.stanzas, link.presence.stanzas));
        }
    }
    Ok(found)
}

/// What [`traffic`] is when one server sent something to each other one.
pub fn once_from(fed: &Federation, sender: usize, count: (u64, u64)) -> BTreeMap<(usize, usize), (u64, u64)> {
    let servers = 0..fed.servers().len();
    let links = servers
        .clone()
        .flat_map(|from| servers.clone().map(move |to| (from, to)));
    links
        .filter(|(from, to)| from != to)
        .map(|link| (link, if link.0 == sender { count } else { (0, 0) }))
        .collect()
}

/// The `id` of the stanza-id by a room; fails if there is more or less than one.
pub fn stanza_id(message: &Element, room: &str) -> Result<String> {
    let ids: Vec<&Element> = message
        .children()
        .filter(|c| c.is("stanza-id", STANZA_ID) && c.attr("by") == Some(room))
        .collect();
    ensure!(ids.len() == 1, "one stanza-id by {room}: {}", to_string(message));
    Ok(ids[0].attr("id").context("an id")?.to_owned())
}

/// The same where there may be none.
pub fn maybe_stanza_id(message: &Element, room: &str) -> Result<Option<String>> {
    let is_by = |c: &Element| c.is("stanza-id", STANZA_ID) && c.attr("by") == Some(room);
    match message.children().any(is_by) {
        true => stanza_id(message, room).map(Some),
        false => Ok(None),
    }
}

/// The one occupant-id of a stanza.
pub fn occupant_id(stanza: &Element) -> Result<String> {
    let ids: Vec<&Element> = stanza
        .children()
        .filter(|c| c.is("occupant-id", OCCUPANT_ID))
        .collect();
    ensure!(ids.len() == 1, "one occupant-id: {}", to_string(stanza));
    Ok(ids[0].attr("id").context("an id")?.to_owned())
}

/// Children without what the room adds: ids, muc#user and delays by the room, in canonical text.
pub fn payload(message: &Element) -> Vec<String> {
    let room = message.attr("from").unwrap_or_default();
    let room = room.split('/').next().unwrap_or_default();
    let added = |c: &Element| {
        c.is("occupant-id", OCCUPANT_ID)
            || c.is("x", MUC_USER)
            || ((c.is("stanza-id", STANZA_ID)) && c.attr("by") == Some(room))
            || (c.is("delay", DELAY) && c.attr("from") == Some(room))
    };
    message.children().filter(|c| !added(c)).map(canonical).collect()
}

/// Children given as XML, in the same canonical text.
pub fn children(xml: &str) -> Result<Vec<String>> {
    let parsed = stanza(&format!("<message>{xml}</message>"))?;
    Ok(parsed.children().map(canonical).collect())
}

/// An element as text in which prefixes and the order of attributes do not matter.
pub fn canonical(element: &Element) -> String {
    let mut attributes: Vec<String> = element
        .attrs()
        .iter()
        .map(|((ns, name), value)| format!(" {{{ns}}}{name}={value:?}"))
        .collect();
    attributes.sort();
    let mut content: Vec<String> = element
        .nodes()
        .map(|node| {
            node.as_element()
                .map_or_else(|| node.as_text().unwrap_or_default().to_owned(), canonical)
        })
        .collect();
    // Prosody gives features, fields and parts of a result set in any order.
    let unordered = [DISCO_INFO, "jabber:x:data", "http://jabber.org/protocol/rsm"];
    if ["query", "x", "set"].contains(&element.name()) && unordered.contains(&element.ns().as_str()) {
        content.sort();
    }
    format!(
        "<{{{}}}{}{}>{}</>",
        element.ns(),
        element.name(),
        attributes.concat(),
        content.concat()
    )
}
