//! Links that carry little: what was missed arrives all the same, in order, and the link is not called down meanwhile.

use std::time::Duration;

use anyhow::{Result, ensure};
use dmuc_testbed::{Element, Federation, Storage, Version, body, noise, on_every_version, scaled};

use crate::support::{Two, eventually, link_state, two, two_together};

/// What one page of it all would be on its way for longer than the link timeout.
const BYTES_PER_S: u32 = 4_000;
const MESSAGES: usize = 100;
const TIMEOUT_S: u32 = 6;

fn is_heard(stanza: &Element) -> bool {
    stanza.attr("type") == Some("groupchat") && body(stanza).is_some_and(|text| text.starts_with("missed "))
}

async fn thin(version: Version, storage: Storage) -> Result<()> {
    let fed = two("thin-links", version, storage)
        .muc_line("dmuc_ping_interval = 2")
        .muc_line(&format!("dmuc_link_timeout = {TIMEOUT_S}"))
        .start()
        .await?;
    let Two { rooms, crone, witch } = two_together(&fed).await?;

    let services = [fed[0].muc().to_owned(), fed[1].muc().to_owned()];
    fed.link(0, 1).swallow().await;
    eventually("both sides have noticed", || async {
        Ok(link_state(&fed, 0, &services[1]).await? == "down"
            && link_state(&fed, 1, &services[0]).await? == "down")
    })
    .await?;
    for number in 0..MESSAGES {
        crone
            .say_and_see(
                &rooms[0],
                &format!("missed {number} {}", noise(number as u32, 300)),
            )
            .await?;
    }
    fed.link(0, 1).throttle(BYTES_PER_S).await;
    fed.link(0, 1).reopen().await;
    eventually("they have found each other", || async {
        Ok(link_state(&fed, 0, &services[1]).await? != "down"
            && link_state(&fed, 1, &services[0]).await? != "down")
    })
    .await?;

    let (until, mut heard) = (scaled(Duration::from_secs(60)), Vec::new());
    let last = format!("missed {} ", MESSAGES - 1);
    let arrival = witch.expect_within("the last message", until, |stanza| {
        if is_heard(stanza) {
            heard.extend(body(stanza));
        }
        body(stanza).is_some_and(|text| text.starts_with(&last))
    });
    tokio::select! {
        arrived = arrival => { arrived?; }
        fault = called_down(&fed, &services) => { fault?; }
    }
    let numbers: Vec<String> = heard
        .iter()
        .filter_map(|text| Some(text.split(' ').nth(1)?.to_owned()))
        .collect();
    let expected: Vec<String> = (0..MESSAGES).map(|number| number.to_string()).collect();
    ensure!(numbers == expected, "heard {numbers:?}");

    // One stanza that is on its way for longer than the link may be silent.
    let long = format!("long {}", "y".repeat(60_000));
    crone.say(&rooms[0], &long).await?;
    let arrival = witch.expect_within("the long message", until, |stanza| {
        body(stanza).as_ref() == Some(&long)
    });
    tokio::select! {
        arrived = arrival => { arrived?; }
        fault = called_down(&fed, &services) => { fault?; }
    }
    fed.finish().await
}

/// Ends when either side takes the link for down.
async fn called_down(fed: &Federation, services: &[String; 2]) -> Result<()> {
    loop {
        for (server, service) in [(0, &services[1]), (1, &services[0])] {
            let state = link_state(fed, server, service).await?;
            ensure!(
                state != "down",
                "server {server} calls the link down while it carries a page"
            );
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

on_every_version! {
    fn what_was_missed_arrives_over_a_thin_link_that_is_not_called_down(version, storage) {
        thin(version, storage).await
    }
}
