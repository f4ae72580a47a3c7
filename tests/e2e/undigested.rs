//! A message that something on the way to a peer cannot digest: every connection over which it is sent carries nothing any more.
//! It takes the link down once, is set aside, and everything else goes on.

use std::time::Duration;

use anyhow::{Result, ensure};
use dmuc_testbed::{Storage, Version, body, noise, on_every_version, scaled};

use crate::support::{Two, eventually, link_state, two, two_together};

const MARKED_BYTES: usize = 150_000;
/// More than everything else together.
const LIMIT_BYTES: usize = 80_000;

async fn undigested(version: Version, storage: Storage) -> Result<()> {
    let fed = two("undigested", version, storage)
        .muc_line("dmuc_ping_interval = 2")
        .muc_line("dmuc_link_timeout = 6")
        .start()
        .await?;
    let Two { rooms, crone, witch } = two_together(&fed).await?;

    fed.link_one_way(0, 1).choke_on(LIMIT_BYTES).await;
    let mark = fed[1].log().mark();
    for number in 0..10 {
        crone.say_and_see(&rooms[0], &format!("before {number}")).await?;
    }
    crone
        .say_and_see(&rooms[0], &format!("marked {}", noise(0, MARKED_BYTES)))
        .await?;
    for number in 0..30 {
        crone.say_and_see(&rooms[0], &format!("after {number}")).await?;
    }
    let (until, mut heard) = (scaled(Duration::from_secs(60)), Vec::new());
    witch
        .expect_within("what was said after it", until, |stanza| {
            heard.extend(
                body(stanza).filter(|text| text.starts_with("before ") || text.starts_with("after ")),
            );
            body(stanza).is_some_and(|text| text == "after 29")
        })
        .await?;
    let before = (0..10).map(|number| format!("before {number}"));
    let all: Vec<String> = before
        .chain((0..30).map(|number| format!("after {number}")))
        .collect();
    ensure!(heard == all, "heard {heard:?}");
    fed[1]
        .log()
        .wait_since(
            mark,
            "a message does not get through from .*: .* is not known here",
            until,
        )
        .await?;

    // Live, in both directions, and the link is as good as ever.
    crone.say(&rooms[0], "live").await?;
    witch.expect_body("live").await?;
    witch.say(&rooms[1], "back").await?;
    crone.expect_body("back").await?;
    let services = [fed[0].muc().to_owned(), fed[1].muc().to_owned()];
    eventually("both sides agree", || async {
        Ok(link_state(&fed, 0, &services[1]).await? == "up"
            && link_state(&fed, 1, &services[0]).await? == "up")
    })
    .await?;
    for server in [0, 1] {
        let down = fed[server].log_lines_matching("warn.*the link to .* is down")?;
        ensure!(
            down.len() <= 1,
            "server {server} took it for down more than once: {down:?}"
        );
    }
    fed.finish().await
}

on_every_version! {
    fn one_message_that_no_connection_survives_is_set_aside_and_the_rest_goes_on(version, storage) {
        undigested(version, storage).await
    }
}
