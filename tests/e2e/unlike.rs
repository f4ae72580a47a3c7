//! Clocks that differ, and stanza limits that do: both ends read what it is, once, and owners in their room.

use anyhow::Result;
use dmuc_testbed::{Builder, Federation, Version, body, noise, on_every_version};

use crate::support::{MACBETH, SOURCE, distributed, from, three};

/// The lines of a server's log with all of these words.
fn lines(fed: &Federation, server: usize, words: &[&str]) -> Result<Vec<String>> {
    let all = fed[server].log_lines_matching(words[0])?;
    let has_all = |line: &String| words.iter().all(|word| line.contains(word));
    Ok(all.into_iter().filter(has_all).collect())
}

fn founded(label: &str, version: Version) -> Builder {
    three(label, version, dmuc_testbed::Storage::Internal)
        .muc_line("dmuc_ping_interval = 1")
        .muc_line("dmuc_link_timeout = 8")
}

async fn clocks(version: Version) -> Result<()> {
    let fed = founded("clocks", version)
        .with_server(1, |s| s.clock_ahead_s = 600)
        .start()
        .await?;
    let crone = distributed(&fed, &[]).await?;
    let ahead = "clock of rooms.macbeth.lit is 10 minutes ahead";
    fed[0].wait_for_log(&format!("warn.*{ahead}")).await?;
    let behind = "clock of chat.shakespeare.lit is 10 minutes behind";
    fed[1].wait_for_log(&format!("warn.*{behind}")).await?;
    // The owner is in her room when a shadow is made anew; she is told what the log has.
    crone
        .expect("what is wrong", |s| {
            s.attr("from") == Some(SOURCE)
                && body(s).is_some_and(|text| text.contains(ahead) && text.contains("NTP"))
        })
        .await?;
    // It is told once, and those whose clocks agree say nothing.
    fed.settle(3).await?;
    assert_eq!(lines(&fed, 0, &["warn", "clock of"])?.len(), 1);
    assert_eq!(lines(&fed, 2, &["warn", "clock of chat"])?, Vec::<String>::new());
    fed.finish().await
}

on_every_version! {
    fn clocks_that_differ_are_told_at_both_ends(version) {
        clocks(version).await
    }
}

async fn limits(version: Version) -> Result<()> {
    let fed = founded("limits", version)
        .with_server(1, |s| s.global_lines.push("s2s_stanza_size_limit = 60000".into()))
        .start()
        .await?;
    let crone = distributed(&fed, &[]).await?;
    // Where the limit is.
    let own = lines(&fed, 1, &["s2s_stanza_size_limit", "warn"])?;
    assert!(
        own.len() == 1 && own[0].contains("60000") && own[0].contains("dmuc_max_stanza_size"),
        "{own:?}"
    );
    // Where more is taken.
    let less = "do not arrive at rooms.macbeth.lit";
    fed[0].wait_for_log(&format!("warn.*{less}")).await?;
    crone
        .expect("what is wrong", |s| {
            body(s).is_some_and(|text| text.contains(less))
        })
        .await?;
    // What is larger than that is seen where it can be, and costs nobody the connection.
    let witch = fed[1].client("somewitch", "mobile").await?;
    witch.join(MACBETH, "firstwitch").await?;
    crone.expect("her", from(SOURCE, "firstwitch")).await?;
    for n in 0..40 {
        let text = format!("{n} {}", noise(n, 5_000));
        crone.say(SOURCE, &text).await?;
        witch.expect_body(&text).await?;
    }
    fed.settle(1).await?;
    let down = lines(&fed, 0, &["he link to", "is down"])?;
    assert_eq!(down, Vec::<String>::new());
    // Nor does what was missed, which comes in pages.
    fed.isolate(1).await;
    witch
        .expect("the split", |s| {
            body(s).is_some_and(|text| text.contains("interrupted"))
        })
        .await?;
    for n in 40..80 {
        crone.say(SOURCE, &format!("{n} {}", noise(n, 5_000))).await?;
    }
    fed.heal_all().await;
    for n in 40..80 {
        witch.expect_body(&format!("{n} {}", noise(n, 5_000))).await?;
    }
    fed.finish().await
}

on_every_version! {
    fn a_server_that_takes_less_is_named_and_gets_what_it_can_take(version) {
        limits(version).await
    }
}
