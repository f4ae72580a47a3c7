//! The coven at two services: crone1 at the source; at the shadow's server somewitch, who knows the source's address, and
//! lennox, who knows the shadow's.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Builder, Client, Element, Federation, Joined, Storage, Version, stanza, to_string};

use crate::asking::without_source;
use crate::stage::{canonical, clean};
use crate::support::{eventually, instances, two};

/// The source.
pub const A: &str = "coven@chat.shakespeare.lit";
/// The instance that serves.
pub const H: &str = "coven@rooms.macbeth.lit";

/// Two services, the second with what people's clients expect of their own server.
pub fn servers(label: &str, version: Version, storage: Storage) -> Builder {
    two(label, version, storage).with_server(1, |s| {
        s.modules
            .extend(["carbons", "mam", "blocklist"].map(str::to_owned));
    })
}

/// Somebody in the room, by an address.
pub struct Guest {
    pub client: Client,
    pub address: &'static str,
    pub nick: &'static str,
    pub joined: Joined,
}

impl std::ops::Deref for Guest {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Guest {
    pub async fn joins(
        fed: &Federation,
        user: &str,
        resource: &str,
        address: &'static str,
        nick: &'static str,
    ) -> Result<Guest> {
        let client = fed[1].client(user, resource).await?;
        client.send_xml("<presence/>").await?;
        client.sync().await?;
        client.drain();
        let joined = client.join(address, nick).await?;
        let guest = Guest {
            client,
            address,
            nick,
            joined,
        };
        guest.knows_only_its_address(&guest.joined.all)?;
        Ok(guest)
    }

    /// The address that this guest does not use.
    pub fn other(&self) -> &'static str {
        if self.address == A { H } else { A }
    }

    /// Nothing names the room by another address than this guest's, and nothing of the servers' own is in it.
    pub fn knows_only_its_address(&self, stanzas: &[Element]) -> Result<()> {
        for found in stanzas {
            clean(found)?;
            let text = to_string(&without_source(found));
            ensure!(
                !text.contains(self.other()),
                "{} knows {}, and got {text}",
                self.jid(),
                self.address
            );
        }
        Ok(())
    }

    /// Everything that has arrived, none of which names another address.
    pub async fn all(&self) -> Result<Vec<Element>> {
        self.sync().await?;
        let all = self.drain();
        self.knows_only_its_address(&all)?;
        Ok(all)
    }

    /// Waits for a stanza from this nick (or the room itself, if that is empty) at this guest's address.
    pub async fn hears(&self, nick: &str, what: &str, is: impl Fn(&Element) -> bool) -> Result<Element> {
        let from = if nick.is_empty() {
            self.address.to_owned()
        } else {
            self.place_of(nick)
        };
        let found = self
            .expect(&format!("{what} from {from}"), |s| {
                s.attr("from") == Some(&*from) && is(s)
            })
            .await?;
        self.knows_only_its_address(std::slice::from_ref(&found))?;
        Ok(found)
    }

    /// An in-room JID, as this guest sees it.
    pub fn place_of(&self, nick: &str) -> String {
        format!("{}/{nick}", self.address)
    }

    /// Sends XML in which `@ROOM@` stands for the address.
    pub async fn sends(&self, xml: &str) -> Result<String> {
        self.send_xml(&xml.replace("@ROOM@", self.address)).await
    }

    /// Asks with XML in which `@ROOM@` stands for the address. The answer names no other.
    pub async fn asks(&self, xml: &str) -> Result<Element> {
        let answer = self.iq_xml(&xml.replace("@ROOM@", self.address)).await?;
        self.knows_only_its_address(std::slice::from_ref(&answer))?;
        Ok(answer)
    }
}

/// An element as text in which neither its receiver nor the address matters, nor its id.
pub fn anywhere(element: &Element, to: &Guest) -> String {
    let mut copy = element.clone();
    let names: Vec<_> = copy
        .attrs()
        .iter()
        .map(|((ns, name), _)| (ns.clone(), name.clone()))
        .collect();
    for (ns, name) in names {
        if ["to", "id"].contains(&name.as_str()) {
            copy.attrs_mut().remove(&ns, name.as_str());
        }
    }
    // Lists of people have no order.
    let mut lists: Vec<String> = copy
        .children()
        .map(|child| {
            let mut items: Vec<String> = child
                .children()
                .map(|item| canonical(&without_source(item)))
                .collect();
            items.sort();
            format!("{}{}", child.name(), items.concat())
        })
        .collect();
    lists.sort();
    let (from, kind) = (
        copy.attr("from").unwrap_or_default(),
        copy.attr("type").unwrap_or_default(),
    );
    format!("{from} {kind} {}", lists.concat()).replace(to.address, "@ROOM@")
}

/// Both are answered the same, each by its own address. Returns the answer of the first.
pub async fn both_ask(one: &Guest, other: &Guest, xml: &str) -> Result<Element> {
    let answers = [one.asks(xml).await?, other.asks(xml).await?];
    let texts = [anywhere(&answers[0], one), anywhere(&answers[1], other)];
    ensure!(
        texts[0] == texts[1],
        "{xml} is answered\n{}\nby {}, and\n{}\nby {}",
        texts[0],
        one.address,
        texts[1],
        other.address
    );
    Ok(answers[0].clone())
}

/// The people.
pub struct Cast {
    pub crone: Client,
    pub witch: Guest,
    pub lennox: Guest,
}

/// crone1 makes the coven, and everybody joins; afterwards nobody has anything to read.
pub async fn cast(fed: &Federation, config: &[(&str, &str)]) -> Result<Cast> {
    let crone = founded(fed, config).await?;
    let witch = Guest::joins(fed, "somewitch", "by-a", A, "firstwitch").await?;
    let lennox = Guest::joins(fed, "lennox", "by-h", H, "lennox").await?;
    let cast = Cast { crone, witch, lennox };
    everybody_hears(&cast, "hail").await?;
    cast.quiet(fed).await?;
    Ok(cast)
}

/// crone1 makes the coven, and the shadow serves it.
pub async fn founded(fed: &Federation, config: &[(&str, &str)]) -> Result<Client> {
    let crone = fed[0].client("crone1", "desktop").await?;
    let mut all = vec![("muc#roomconfig_distributed", "1")];
    all.extend_from_slice(config);
    crone.create_room(A, "firstcrone", &all).await?;
    eventually("there is a shadow", || async {
        Ok(instances(fed, 0, A).await?.len() == 1 && instances(fed, 1, H).await?.len() == 1)
    })
    .await?;
    served(fed, 1, A, Some(H)).await?;
    served(fed, 0, H, Some(A)).await?;
    Ok(crone)
}

impl Cast {
    /// Waits until everything has arrived, and forgets it.
    pub async fn quiet(&self, fed: &Federation) -> Result<()> {
        fed.at_rest().await?;
        fed.settle(2).await?;
        self.crone.sync().await?;
        self.crone.drain();
        self.witch.all().await?;
        self.lennox.all().await?;
        Ok(())
    }
}

/// Somebody at the source says something, and all hear it.
pub async fn everybody_hears(cast: &Cast, text: &str) -> Result<()> {
    cast.crone.say(A, text).await?;
    cast.crone.expect_body(text).await?;
    for guest in [&cast.witch, &cast.lennox] {
        guest
            .hears("firstcrone", text, |s| {
                dmuc_testbed::body(s).as_deref() == Some(text)
            })
            .await?;
    }
    Ok(())
}

/// A chunk of Lua in which `dmuc` is what the module's files share.
pub fn inside(muc: &str, chunk: &str) -> String {
    format!(
        "local instances, dmuc = prosody.hosts['{muc}'].modules.dmuc.instances; \
         for i = 1, 9 do \
           local name, value = debug.getupvalue(instances, i); \
           if name == 'dmuc' then dmuc = value; end; \
         end \
         {chunk}"
    )
}

/// Waits until a server serves an address in this room, or in none.
pub async fn served(fed: &Federation, server: usize, address: &str, room: Option<&str>) -> Result<()> {
    let muc = fed[server].muc().to_owned();
    let chunk = inside(&muc, &format!("return dmuc.serving.meant('{address}') or ''"));
    eventually(&format!("{address} is served in {room:?}"), || async {
        Ok(fed[server].eval(&chunk).await? == room.unwrap_or_default())
    })
    .await
}

/// crone1 makes the coven; somewitch joins it where it is, as the first of her server; then the shadow serves that address.
pub async fn in_the_source(servers: Builder) -> Result<(Federation, Client, Client)> {
    let fed = servers
        .with_server(0, |s| s.muc_lines.push("dmuc_replicate = \"on-join\"".into()))
        .start()
        .await?;
    let crone = fed[0].client("crone1", "desktop").await?;
    crone
        .create_room(A, "firstcrone", &[("muc#roomconfig_distributed", "1")])
        .await?;
    let witch = fed[1].client("somewitch", "by-a").await?;
    witch.send_xml("<presence/>").await?;
    witch.join(A, "firstwitch").await?;
    served(&fed, 1, A, Some(H)).await?;
    Ok((fed, crone, witch))
}

/// Whether the host of the users has a connection to another server.
pub async fn streams_of_users(fed: &Federation, server: usize) -> Result<u64> {
    let domain = fed[server].domain();
    let count = fed[server]
        .eval(&format!(
            "local count = 0; for _ in pairs(prosody.hosts['{domain}'].s2sout) do count = count + 1 end; return count"
        ))
        .await?;
    count.as_u64().context("a number")
}

/// The one child of an element with this name and namespace.
pub fn child<'a>(element: &'a Element, name: &str, ns: &str) -> Result<&'a Element> {
    element
        .get_child(name, ns)
        .with_context(|| format!("no <{name} xmlns='{ns}'/> in {}", to_string(element)))
}

/// Has the source's server say something in the source's name, to anybody.
pub async fn source_says(fed: &Federation, xml: &str) -> Result<()> {
    stanza(xml)?;
    let (muc, users) = (fed[0].muc().to_owned(), fed[1].domain().to_owned());
    fed[0]
        .eval(&format!(
            "prosody.core_post_stanza(prosody.hosts['{muc}'], require 'util.xml'.parse([[{xml}]])); \
             return ping_host('{muc}', '{users}', 30)"
        ))
        .await
        .map(|_| ())
}

/// Makes both guests owners.
pub async fn crown(fed: &Federation, cast: &Cast) -> Result<()> {
    for guest in [&cast.witch, &cast.lennox] {
        cast.crone.set_affiliation(A, guest.bare_jid(), "owner").await?;
        let bare = guest.bare_jid().to_owned();
        let muc = fed[1].muc().to_owned();
        eventually(&format!("{bare} is an owner at the shadow"), || async {
            let chunk = format!(
                "return prosody.hosts['{muc}'].modules.muc.get_room_from_jid('{H}'):get_affiliation('{bare}') or ''"
            );
            Ok(fed[1].eval(&chunk).await? == "owner")
        })
        .await?;
    }
    cast.quiet(fed).await
}
