//! End to end on real Prosody servers, with the module and without it, in turn in one run.

mod append;
mod cpu;
mod crowds;
mod hostile;
mod links;
mod listed;
mod lists;
mod memory;
mod moderating;
#[path = "../report/mod.rs"]
mod report;
mod resync;
mod said;
mod starts;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use dmuc_testbed::{Client, Federation, Version};

#[tokio::main]
async fn main() -> ExitCode {
    match measure().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("federation: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn measure() -> Result<()> {
    // `cargo bench --bench federation -- cpu 13`: one part and one version, not for the report.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let (chosen, wanted): (Vec<String>, Vec<String>) = wanted
        .into_iter()
        .partition(|arg| arg.starts_with(|c: char| c.is_ascii_digit()) || arg == "newest");
    let chosen: Vec<Version> = chosen
        .iter()
        .map(|name| Version::named(name))
        .collect::<Result<_>>()?;
    let versions = if chosen.is_empty() {
        Version::all()
    } else {
        &chosen
    };
    let names = versions.iter().map(|version| format!("Prosody {version}"));
    let circumstances = report::Circumstances::at_start("federation", names.collect());
    let mut bars = report::Table::new(&["bar", "measured", ""]);
    let mut parts = Vec::new();
    for part in [
        "links",
        "resync",
        "lists",
        "crowds",
        "append",
        "starts",
        "memory",
        "moderating",
        "hostile",
        "cpu",
    ] {
        if !wanted.is_empty() && !wanted.iter().any(|name| name == part) {
            continue;
        }
        let text = match part {
            "links" => links::measure(&mut bars).await?,
            "resync" => resync::measure(versions, &mut bars).await?,
            "lists" => {
                let turns = lists::measure(versions, &mut bars).await?;
                format!("{turns}\n{}", listed::measure(versions, &mut bars).await?)
            }
            "crowds" => crowds::measure(versions, &mut bars).await?,
            "append" => append::measure(versions).await?,
            "starts" => starts::measure(versions, &mut bars).await?,
            "memory" => memory::measure(versions, &mut bars).await?,
            "moderating" => moderating::measure(versions, &mut bars).await?,
            "hostile" => hostile::measure(versions, &mut bars).await?,
            _ => cpu::measure(versions, &mut bars).await?,
        };
        // Seen at once, in case the rest takes too long for somebody.
        println!("{text}");
        parts.push(text);
    }
    let body = format!("{}\n{}", bars.text(), parts.join("\n"));
    if wanted.is_empty() && chosen.is_empty() {
        report::write("federation", "Servers", &circumstances, &body)?;
    } else {
        println!("{}", bars.text());
    }
    Ok(())
}

/// What a client of today sends: 460 bytes on the wire, more or less, by the room's name.
fn message(room: &str, id: &str) -> String {
    format!(
        "<message type='groupchat' to='{room}' id='{id}' xml:lang='en'>\
         <body>When shall we three meet again? In thunder, lightning, or in rain? When the hurlyburly is done.</body>\
         <active xmlns='http://jabber.org/protocol/chatstates'/><markable xmlns='urn:xmpp:chat-markers:0'/>\
         <origin-id xmlns='urn:xmpp:sid:0' id='{id}'/></message>"
    )
}

/// Sends one, and returns its id.
async fn say(client: &Client, room: &str) -> Result<String> {
    let id = format!("6f1e9c5e-7d0f-4d3c-9d53-{:0>24}", client.new_id());
    client.send_xml(&message(room, &id)).await
}

/// Waits until everybody has a message, and forgets what came so far.
async fn everybody_has<'c>(clients: impl IntoIterator<Item = &'c Client>, id: &str) -> Result<()> {
    for client in clients {
        client
            .expect(&format!("the message {id}"), |s| {
                s.name() == "message" && s.attr("id") == Some(id)
            })
            .await?;
        client.drain();
    }
    Ok(())
}

/// Shows something else of an occupant, as clients of today do, and returns what is in it only.
async fn show(client: &Client, occupant: &str) -> Result<String> {
    let id = format!("6f1e9c5e-7d0f-4d3c-9d53-{:0>24}", client.new_id());
    let xml = format!(
        "<presence to='{occupant}' xml:lang='en'><show>away</show><status>{id}</status><priority>50</priority>\
         <c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://gajim.org' ver='q/eDLDUBHWbkFyOJ6lS9XWUFZzE='/>\
         <x xmlns='vcard-temp:x:update'><photo>9e1e3b1f9b4c2d60a6dd7a1d2f24f7a9a1b6b6c1</photo></x>\
         <idle xmlns='urn:xmpp:idle:1' since='2026-11-30T10:00:00Z'/></presence>"
    );
    client.send_xml(&xml).await?;
    Ok(id)
}

/// Waits until everybody has seen what somebody shows, and forgets what came so far.
async fn everybody_sees<'c>(clients: impl IntoIterator<Item = &'c Client>, id: &str) -> Result<()> {
    for client in clients {
        client
            .expect(&format!("the presence {id}"), |s| {
                s.get_child("status", "jabber:client")
                    .map(dmuc_testbed::Element::text)
                    .as_deref()
                    == Some(id)
            })
            .await?;
        client.drain();
    }
    Ok(())
}

/// Waits until a server's instance knows all others.
async fn instances_known(fed: &Federation, server: usize, room: &str) -> Result<()> {
    let muc = fed[server].muc();
    let chunk = format!("return #prosody.hosts['{muc}'].modules.dmuc.instances('{room}')");
    let all = fed.servers().len() as u64 - 1;
    let end = tokio::time::Instant::now() + dmuc_testbed::deadline();
    while fed[server].eval(&chunk).await?.as_u64() != Some(all) {
        ensure!(tokio::time::Instant::now() < end, "{room} is not replicated");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    Ok(())
}
