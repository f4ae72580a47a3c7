//! End to end on real Prosody servers, with the module and without it, in turn in one run.

mod cpu;
mod links;
#[path = "../report/mod.rs"]
mod report;

use std::process::ExitCode;

use anyhow::Result;
use dmuc_testbed::{Client, Version};

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
    let versions: Vec<Version> = Version::ALL.into_iter().filter(|v| v.available()).collect();
    let names = versions.iter().map(|v| Ok(format!("Prosody {}", v.installed()?)));
    let circumstances = report::Circumstances::at_start("federation", names.collect::<Result<Vec<_>>>()?);
    let mut bars = report::Table::new(&["bar", "measured", ""]);
    let links = links::measure(&mut bars).await?;
    // Seen at once, in case the second half takes too long for somebody.
    println!("{links}");
    let cpu = cpu::measure(&versions, &mut bars).await?;
    let body = format!("{}\n{links}\n{cpu}", bars.text());
    report::write("federation", "Servers", &circumstances, &body)
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
