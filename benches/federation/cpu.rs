//! CPU of a server per delivered message and presence in a local room: with the module and without it, in turn.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Client, Federation, Version};

use crate::report::{Table, verdict};
use crate::{everybody_has, everybody_sees, say, show};

/// Deliveries per batch, about.
const DELIVERIES: usize = 6_000;
/// Batches per server and size, after one that is not counted.
const ROUNDS: usize = 6;
const ROOM: &str = "coven";
const GENERATIONAL: &str = "gc = { mode = \"generational\" }";

/// What one server is like.
#[derive(Debug, Clone, Copy)]
struct Kind {
    is_generational: bool,
    rooms: Rooms,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rooms {
    /// Without the module.
    Plain,
    /// Distributed, with nobody else to tell.
    Distributed,
}

/// The order in which batches take turns.
const KINDS: [Kind; 4] = [
    kind(false, Rooms::Plain),
    kind(false, Rooms::Distributed),
    kind(true, Rooms::Plain),
    kind(true, Rooms::Distributed),
];

const fn kind(is_generational: bool, rooms: Rooms) -> Kind {
    Kind {
        is_generational,
        rooms,
    }
}

/// What is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Message,
    Presence,
}

impl What {
    const ALL: [What; 2] = [What::Message, What::Presence];

    fn name(self) -> &'static str {
        match self {
            What::Message => "message",
            What::Presence => "presence",
        }
    }

    /// What distributed may cost at most, in that of plain.
    fn bar(self, occupants: usize) -> f64 {
        match (self, occupants) {
            (What::Message, 100..) => 0.40,
            (What::Message, 20..) => 0.60,
            (What::Message, _) => 0.90,
            (What::Presence, _) => 1.0,
        }
    }
}

/// One room on one server, and who is in it.
struct Hall {
    clients: Vec<Client>,
    room: String,
    /// CPU per delivery in us, by round.
    measured: Vec<f64>,
}

impl Hall {
    async fn open(fed: &Federation, server: usize) -> Result<Hall> {
        let room = fed[server].room(ROOM);
        let owner = fed[server].client("user0", "mobile").await?;
        let form: &[(&str, &str)] = match KINDS[server].rooms {
            Rooms::Plain => &[],
            Rooms::Distributed => &[("muc#roomconfig_distributed", "1")],
        };
        owner.create_room(&room, "nick0", form).await?;
        let muc = fed[server].muc();
        let chunk =
            format!("local d = prosody.hosts['{muc}'].modules.dmuc; return d and d.role('{room}') or 'none'");
        let wanted = if form.is_empty() { "none" } else { "source" };
        let end = tokio::time::Instant::now() + dmuc_testbed::deadline();
        // The room becomes distributed a moment after its form was taken.
        while fed[server].eval(&chunk).await? != wanted {
            ensure!(tokio::time::Instant::now() < end, "{room} is no {wanted}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        Ok(Hall {
            clients: vec![owner],
            room,
            measured: Vec::new(),
        })
    }

    async fn fill(&mut self, fed: &Federation, server: usize, size: usize) -> Result<()> {
        while self.clients.len() < size {
            let number = self.clients.len();
            let client = fed[server].client(&format!("user{number}"), "mobile").await?;
            client.join(&self.room, &format!("nick{number}")).await?;
            self.clients.push(client);
        }
        self.clients.iter().for_each(|client| drop(client.drain()));
        Ok(())
    }

    /// A batch, sent as fast as the server takes it.
    async fn batch(&self, fed: &Federation, server: usize, what: What) -> Result<f64> {
        let count = (DELIVERIES / self.clients.len()).clamp(10, 300);
        let number = self.clients.len() - 1;
        let sender = self.clients.last().context("nobody is here")?;
        let before = fed[server].stats().await?;
        let mut last = String::new();
        for _ in 0..count {
            last = match what {
                What::Message => say(sender, &self.room).await?,
                What::Presence => show(sender, &format!("{}/nick{number}", self.room)).await?,
            };
        }
        match what {
            What::Message => everybody_has(&self.clients, &last).await?,
            What::Presence => everybody_sees(&self.clients, &last).await?,
        }
        let after = fed[server].stats().await?;
        let delivered = |stats: &dmuc_testbed::Stats| stats.delivered.get(what.name()).copied().unwrap_or(0);
        let deliveries = delivered(&after) - delivered(&before);
        ensure!(
            deliveries == (count * self.clients.len()) as u64,
            "{deliveries} deliveries of {count} {}s to {}",
            what.name(),
            self.clients.len()
        );
        Ok((after.cpu_s - before.cpu_s) * 1e6 / deliveries as f64)
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        _ if sorted.is_empty() => 0.0,
        0 => (sorted[middle - 1] + sorted[middle]) / 2.0,
        _ => sorted[middle],
    }
}

async fn servers(version: Version) -> Result<Federation> {
    let mut builder = Federation::builder()
        .servers(KINDS.len())
        .label("bench-cpu")
        .version(version)
        .log_level("warn");
    for (server, kind) in KINDS.iter().enumerate() {
        builder = builder.with_server(server, |spec| {
            spec.dmuc = kind.rooms != Rooms::Plain;
            spec.peers = false;
            if kind.is_generational {
                spec.global_lines.push(GENERATIONAL.to_owned());
            }
        });
    }
    builder.start().await
}

pub async fn measure(versions: &[Version], bars: &mut Table) -> Result<String> {
    let mut table = Table::new(&[
        "CPU per delivered stanza",
        "occupants",
        "plain",
        "distributed",
        "distributed / plain",
    ]);
    for version in versions {
        // The largest room takes long to fill: on one version only.
        let sizes: &[usize] = match version.is_0_12() {
            true => &[5, 20, 100, 300],
            false => &[5, 20, 100],
        };
        measure_version(*version, sizes, &mut table, bars).await?;
    }
    Ok(format!(
        "### CPU per delivered stanza\n\n\
         One room, everybody local: distributed (nobody elsewhere) against the same Prosody without the module. Messages of \
         about 460\nbytes, archived (mod_muc_mam), and presences of about 500 as one occupant changes what it shows, sent as \
         fast as the\nserver takes them; CPU time of the server's process divided by what it delivered; the median of {ROUNDS} \
         batches of about\n{DELIVERIES} deliveries (in small rooms of 300 stanzas), the four servers taking turns. The ratio is \
         the median of the ratios of\nneighbouring batches.\n\n{}",
        table.text()
    ))
}

async fn measure_version(
    version: Version,
    sizes: &[usize],
    table: &mut Table,
    bars: &mut Table,
) -> Result<()> {
    let fed = servers(version).await?;
    let mut halls = Vec::new();
    for server in 0..KINDS.len() {
        halls.push(Hall::open(&fed, server).await?);
    }
    for size in sizes {
        for (server, hall) in halls.iter_mut().enumerate() {
            hall.fill(&fed, server, *size).await?;
        }
        for what in What::ALL {
            measure_rooms(&fed, &mut halls, what).await?;
            for pair in 0..KINDS.len() / 2 {
                let mode = match KINDS[pair * 2].is_generational {
                    true => "generational",
                    false => "default",
                };
                let title = format!("{}, Prosody {version}, {mode} GC", what.name());
                report(&title, &halls[pair * 2..], *size, what, table, bars);
            }
        }
    }
    drop(halls);
    fed.finish_fast()
}

/// All servers in turn, round by round.
async fn measure_rooms(fed: &Federation, halls: &mut [Hall], what: What) -> Result<()> {
    for hall in halls.iter_mut() {
        hall.measured.clear();
    }
    for round in 0..=ROUNDS {
        for (server, hall) in halls.iter_mut().enumerate() {
            let cost = hall.batch(fed, server, what).await?;
            if round > 0 {
                hall.measured.push(cost);
            }
        }
    }
    Ok(())
}

/// A row for a room without the module and one with it.
fn report(title: &str, pair: &[Hall], size: usize, what: What, table: &mut Table, bars: &mut Table) {
    let (plain, dmuc) = (&pair[0].measured, &pair[1].measured);
    let ratios: Vec<f64> = dmuc.iter().zip(plain).map(|(dmuc, plain)| dmuc / plain).collect();
    let ratio = median(&ratios);
    table.row([
        title.to_owned(),
        size.to_string(),
        format!("{:.1} us", median(plain)),
        format!("{:.1} us", median(dmuc)),
        format!("{ratio:.2}"),
    ]);
    let bar = what.bar(size);
    bars.row([
        format!("a local broadcast costs at most {bar:.2} of plain: {title}, {size} occupants"),
        format!("{ratio:.2} of plain"),
        verdict(ratio <= bar),
    ]);
}
