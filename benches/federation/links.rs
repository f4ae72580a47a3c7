//! Stanzas and plaintext bytes on each link: plain MUC and distributed, counted by the sending servers.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Client, Count, Federation};

use crate::report::{Table, verdict};
use crate::{everybody_has, instances_known, say};

const CROWDS: [usize; 2] = [20, 100];
/// From each server.
const MESSAGES: usize = 5;
/// Bytes of ours that a message may carry.
const BAR_BYTES: u64 = 150;
const ROOM: &str = "coven";

type Ways = BTreeMap<(usize, usize), Count>;

/// Everything counted at one size.
struct Counted {
    messages: Ways,
    join: Ways,
}

struct Side<'f> {
    fed: &'f Federation,
    is_distributed: bool,
    crowd: Vec<Vec<Client>>,
}

impl Side<'_> {
    fn room(&self, server: usize) -> String {
        self.fed[if self.is_distributed { server } else { 0 }].room(ROOM)
    }

    fn everybody(&self) -> impl Iterator<Item = &Client> {
        self.crowd.iter().flatten()
    }

    async fn ways(&self) -> Result<Ways> {
        let servers = self.fed.servers();
        let side = |host: &str| {
            let at = servers.iter().position(|s| s.domain() == host || s.muc() == host);
            at.with_context(|| format!("no server is called {host}"))
        };
        let mut ways = Ways::new();
        for ((from, to), count) in self.fed.stats().await?.links {
            // Requests are not what is counted, and pings of the engine come when they come.
            *ways.entry((side(&from)?, side(&to)?)).or_default() += count.message + count.presence;
        }
        Ok(ways)
    }

    /// One more occupant. Returns its nick.
    async fn enter(&self, server: usize) -> Result<(Client, String)> {
        let number = self.crowd[server].len();
        let nick = format!("witch{server}-{number}");
        let client = self.fed[server]
            .client(&format!("user{number}"), "mobile")
            .await?;
        client.join(&self.room(server), &nick).await?;
        Ok((client, nick))
    }

    /// One more occupant; everybody has noticed.
    async fn join(&mut self, server: usize) -> Result<()> {
        let (client, nick) = self.enter(server).await?;
        for (home, crowd) in self.crowd.iter().enumerate() {
            let wanted = format!("{}/{nick}", self.room(home));
            for other in crowd {
                other
                    .expect(&wanted, |s| {
                        s.name() == "presence" && s.attr("from") == Some(&*wanted)
                    })
                    .await?;
                other.drain();
            }
        }
        self.crowd[server].push(client);
        Ok(())
    }

    async fn fill(&mut self, size: usize) -> Result<()> {
        for server in 0..self.crowd.len() {
            while self.crowd[server].len() < size {
                let (client, _) = self.enter(server).await?;
                self.crowd[server].push(client);
            }
            self.everybody().for_each(|client| drop(client.drain()));
        }
        Ok(())
    }

    async fn count(&mut self, size: usize) -> Result<Counted> {
        self.fill(size - 1).await?;
        for server in [0, 2] {
            self.join(server).await?;
        }
        // The last one to come, at a server that is not the source's.
        self.fed.reset_stats().await?;
        self.join(1).await?;
        let join = self.ways().await?;
        self.fed.reset_stats().await?;
        for _ in 0..MESSAGES {
            for server in 0..self.crowd.len() {
                let sender = self.crowd[server].first().context("nobody is here")?;
                let id = say(sender, &self.room(server)).await?;
                everybody_has(self.everybody(), &id).await?;
            }
        }
        let messages = self.ways().await?;
        Ok(Counted { messages, join })
    }
}

async fn side(fed: &Federation, is_distributed: bool) -> Result<Side<'_>> {
    // What waits for a connection is queued as text and escapes the counters: all are opened first.
    for from in fed.servers() {
        for to in fed.servers().iter().filter(|to| to.domain() != from.domain()) {
            for (a, b) in [
                (from.domain(), to.muc()),
                (from.muc(), to.domain()),
                (from.muc(), to.muc()),
            ] {
                from.eval(&format!("return ping_host({a:?}, {b:?}, 30)")).await?;
            }
        }
    }
    let room = fed[0].room(ROOM);
    let owner = fed[0].client("user0", "mobile").await?;
    let form: &[(&str, &str)] = match is_distributed {
        true => &[("muc#roomconfig_distributed", "1")],
        false => &[],
    };
    owner.create_room(&room, "witch0-0", form).await?;
    if is_distributed {
        for (index, server) in fed.servers().iter().enumerate() {
            instances_known(fed, index, &server.room(ROOM)).await?;
        }
    }
    let mut crowd: Vec<Vec<Client>> = fed.servers().iter().map(|_| Vec::new()).collect();
    crowd[0].push(owner);
    Ok(Side {
        fed,
        is_distributed,
        crowd,
    })
}

/// Counts, in the source's server, the bytes of ours in the messages it sends.
const COUNT_OURS: &str = "
    local filters = require 'util.filters'
    prosody.bench_ours = { largest = 0, messages = 0 }
    for _, session in pairs(prosody.hosts['chat.shakespeare.lit'].s2sout) do
        filters.add_filter(session, 'stanzas/out', function (stanza)
            if stanza.name == 'message' then
                local bytes = 0
                for _, tag in ipairs(stanza.tags) do
                    if tag.attr.xmlns == 'urn:x-dmuc:0' or tag.attr.xmlns == 'urn:xmpp:dmuc:0' then
                        bytes = bytes + #tostring(tag)
                    end
                end
                local ours = prosody.bench_ours
                ours.largest, ours.messages = math.max(ours.largest, bytes), ours.messages + 1
            end
            return stanza
        end)
    end
    return true";

pub async fn measure(bars: &mut Table) -> Result<String> {
    let plain_fed = federation(false).await?;
    let dmuc_fed = federation(true).await?;
    let (mut plain, mut dmuc) = (side(&plain_fed, false).await?, side(&dmuc_fed, true).await?);
    dmuc_fed[0].eval(COUNT_OURS).await?;
    let mut text = String::from(
        "### What crosses the links\n\n\
         Messages and presences of one room with occupants on three servers, and their bytes as XML. Every server sends a \
         third\nof the messages. The join is that of one more occupant at macbeth.lit when all others are there.\n",
    );
    for size in CROWDS {
        let (plain, dmuc) = (plain.count(size).await?, dmuc.count(size).await?);
        let events = (MESSAGES * 3) as u64;
        text.push_str(&table(
            &format!("{size} occupants per server: per message"),
            &plain.messages,
            &dmuc.messages,
            events,
        ));
        text.push_str(&table(
            &format!("{size} occupants per server: the join"),
            &plain.join,
            &dmuc.join,
            1,
        ));
        // Each server's messages, to each of its two peers.
        let exact = |count: &Count| count.stanzas == MESSAGES as u64;
        let is_one = dmuc.messages.len() == 6 && dmuc.messages.values().all(exact);
        bars.row([
            format!("one stanza per message and peer, {size} occupants per server"),
            format!(
                "{} for {events} messages to 2 peers",
                total(&dmuc.messages).stanzas
            ),
            verdict(is_one),
        ]);
    }
    let ours = dmuc_fed[0].eval("return prosody.bench_ours").await?;
    let largest = ours["largest"].as_u64().context("no bytes were counted")?;
    ensure!(
        ours["messages"].as_u64() > Some(0) && largest > 0,
        "no message was seen: {ours}"
    );
    bars.row([
        format!("at most {BAR_BYTES} bytes of ours in a message"),
        format!("{largest} bytes"),
        verdict(largest <= BAR_BYTES),
    ]);
    drop((plain, dmuc));
    plain_fed.finish_fast()?;
    dmuc_fed.finish_fast()?;
    Ok(text)
}

async fn federation(is_distributed: bool) -> Result<Federation> {
    Federation::builder()
        .label(if is_distributed {
            "bench-dmuc"
        } else {
            "bench-plain"
        })
        .log_level("warn")
        .dmuc(is_distributed)
        .muc_line("dmuc_room_id = \"name\"")
        .muc_line("dmuc_shadow_names = \"any\"")
        .start()
        .await
}

fn total(ways: &Ways) -> Count {
    ways.values().fold(Count::default(), |sum, count| sum + *count)
}

fn table(title: &str, plain: &Ways, dmuc: &Ways, events: u64) -> String {
    const NAMES: [&str; 3] = ["shakespeare", "macbeth", "marlowe"];
    let mut table = Table::new(&[title, "plain: stanzas", "bytes", "dmuc: stanzas", "bytes"]);
    let cells = |count: Count| {
        let share = |number: u64| number as f64 / events as f64;
        [
            format!("{:.2}", share(count.stanzas)),
            format!("{:.0}", share(count.bytes)),
        ]
    };
    let mut row = |name: String, plain: Count, dmuc: Count| {
        table.row([name].into_iter().chain(cells(plain)).chain(cells(dmuc)));
    };
    for (from, sender) in NAMES.iter().enumerate() {
        for (to, receiver) in NAMES.iter().enumerate().filter(|(to, _)| *to != from) {
            let of = |ways: &Ways| ways.get(&(from, to)).copied().unwrap_or_default();
            row(format!("{sender} to {receiver}"), of(plain), of(dmuc));
        }
    }
    row("all links".to_owned(), total(plain), total(dmuc));
    format!("\n{}", table.text())
}
